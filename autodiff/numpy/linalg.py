"""``numpy.linalg``: its functions accept tensors as they stand."""

from numpy.linalg import *  # noqa: F403  # the very same functions
from numpy.linalg import __all__ as __all__
