"""The gradient's way through a graph: the δ of each node, the contribution of each edge, and what follows from them.

Everything here is numbers; :mod:`autodiff.viz` draws them.
"""

from .amounts import CANCELS, Rows, divide, flat, norm, pooled, statistics
from .gradient import GradientFlow
from .structure import find_joins, scopes, window
from .walks import ENDS

__all__ = [
    "CANCELS", "ENDS", "GradientFlow", "Rows", "divide", "find_joins", "flat", "norm", "pooled", "scopes", "statistics",
    "window",
]  # fmt: skip
