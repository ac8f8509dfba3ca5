"""SciPy, for code that wants to be differentiated: ``from autodiff.scipy import special, stats``.

Each module has SciPy's names and SciPy's values. What SciPy computes through NumPy's ufuncs is differentiated as it
stands; its plain Python functions turn their arguments into plain arrays, so they are to be called from here. SciPy
comes with an extra: ``pip install -e ".[scipy]"`` in a checkout.
"""

from __future__ import annotations

from ..errors import MissingExtraError, message

try:
    import scipy as _scipy  # noqa: F401 here only for the message
except ImportError as error:
    raise MissingExtraError(
        message(
            "autodiff.scipy has the rules for SciPy's functions, and SciPy is not installed",
            "it is an extra: NumPy's functions do not need it",
            'in a checkout: pip install -e ".[scipy]"',
        )
    ) from error

__all__ = ["linalg", "sparse", "special", "stats"]
