"""The activations of neural networks, each in the form that stays accurate at its extremes.

First the rules, then the functions as they are called. Where a formula multiplies its argument by something that
vanishes at infinity, it takes the argument from an interval beyond which that something is exactly zero (`within`):
so 0·inf is never formed, and no shape of the function changes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import DtypeError, message
from ..makers import at, elementwise
from ..traced import Traced
from .blocks import in_blocks
from .branches import above, shared
from .elementwise import sigmoid as _sigmoid
from .precision import floating, number

_EVERYWHERE = 2e4
"""Beyond it exp(−x) is zero: the smallest numbers are e^−11433 in quadruple precision, the widest; half holds 65504."""


def refuse_complex(name: str, *xs: Any) -> None:
    """Raise DtypeError where one of these arrays is complex."""
    if any(x.dtype.kind == "c" for x in xs):
        raise DtypeError(
            message(
                f"{name} of complex numbers",
                "it is made of orderings, squares or probabilities of real ones",
                "pass np.real(x), np.imag(x) or np.abs(x)",
            )
        )


def _ordered(name: str, x: Any) -> Any:
    """The array, refused where it is of complex numbers, of which none is larger than another."""
    x = as_array(x)
    refuse_complex(name, x)
    return x


def within(x: Any, bound: float) -> Any:
    """The nearest number to x that is not beyond the bound on either side."""
    return np.clip(x, -bound, bound)


def sloped(slope: Any) -> Any:
    """The rule δx = δy·slope(x)."""
    product = in_blocks(lambda d, x: d * slope(x))
    return lambda d, y, x: product(d, x)


_relu = elementwise(
    lambda x: np.maximum(x, 0), lambda d, y, x: shared(d, above(x, 0)),
    name="relu", masks=True, bounded=True, smooth=((0.1, 3.0),), edges=((0.0, 0.5), (-0.0, 0.5), (-1.0, 0.0)),
    formulas=("δx = δy where x > 0, δy / 2 at 0, else 0",), note="at 0 as maximum(x, 0) and clip(x, 0, None) have it",
)  # fmt: skip
_leaky_relu = elementwise(
    lambda x, *, negative_slope=0.01: _leaky_of(x, negative_slope),
    lambda d, y, x, *, negative_slope=0.01: d * _three(x, 1.0, (1 + negative_slope) / 2, negative_slope),
    name="leaky_relu", masks=True, smooth=((-3.0, -0.1),), edges=((0.0, 0.505), (-2.0, 0.01), (np.inf, 1.0)),
    examples=(at((3, 4)), at((2, 3), negative_slope=0.3), at((2, 3), draw=lambda rng, shape: rng.uniform(1, 2, shape))),
    formulas=("δx = δy where x > 0, δy·(1 + s)/2 at 0, else δy·s",), note="s = negative_slope",
)  # fmt: skip
_elu = elementwise(
    lambda x, *, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))[()],
    lambda d, y, x, *, alpha=1.0: d * _elu_slope(x, alpha),
    name="elu", smooth=((-3.0, -0.1),), edges=((0.0, 1.0), (-np.inf, 0.0), (np.inf, 1.0)),
    note="smooth at 0 where alpha is 1; the limits at infinity",
    examples=(at((3, 4)), at((2, 3), alpha=0.3), at((2, 3), draw=lambda rng, shape: rng.uniform(1, 2, shape))),
    formulas=("δx = δy where x > 0, δy·(1 + α)/2 at 0, else δy·α·exp(x)",),
)  # fmt: skip
_softplus = elementwise(
    in_blocks(lambda x: np.maximum(x, 0) + np.log1p(np.exp(np.minimum(x, -x)))), sloped(_sigmoid),
    name="softplus", formulas=("δx = δy·σ(x)",), edges=((0.0, 0.5), (1e10, 1.0), (-1e10, 0.0)),
    note="without overflow",
)  # fmt: skip
_log_sigmoid = elementwise(
    in_blocks(lambda x: np.minimum(x, 0) - np.log1p(np.exp(np.minimum(x, -x)))), sloped(lambda x: _sigmoid(-x)),
    name="log_sigmoid", formulas=("δx = δy·σ(−x)",), edges=((0.0, 0.5), (-np.inf, 1.0), (np.inf, 0.0)),
    note="the limits",
)  # fmt: skip
_silu = elementwise(
    in_blocks(lambda x: np.maximum(x, -_EVERYWHERE) * _sigmoid(x)),
    sloped(lambda x: _silu_slope(within(x, _EVERYWHERE))),
    name="silu", formulas=("δx = δy·σ(x)·(1 + x·σ(−x))",), edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip
_mish = elementwise(
    in_blocks(lambda x: np.maximum(x, -_EVERYWHERE) * np.tanh(_softplus(x))),
    sloped(lambda x: _mish_slope(within(x, _EVERYWHERE))),
    name="mish", formulas=("δx = δy·(w + x·(1 − w²)·σ(x)), w = tanh(log(1 + exp(x)))",),
    edges=((0.0, 0.6), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip


def _leaky_of(x: Any, slope: float) -> Any:
    """Without a slope the other branch is 0, and not 0·inf, also at −inf."""
    return np.where(x > 0, x, slope * x)[()] if slope else np.maximum(x, 0)


def _three(x: Any, right: float, middle: float, left: float) -> Any:
    """One number where x > 0, one at 0, one elsewhere; nan stays on the left."""
    return np.where(x > 0, right, np.where(x == 0, middle, left)).astype(x.dtype)


def _elu_slope(x: Any, alpha: float) -> Any:
    left = alpha * np.exp(np.minimum(x, 0))
    if alpha != 1:
        left = np.where(x == 0, left + (1 - alpha) / 2, left)
    return np.where(x > 0, 1, left)


def two_sides(x: Any) -> tuple[Any, Any]:
    """σ(x) and σ(−x), of plain real numbers with one exponential."""
    if isinstance(x, Traced) or x.dtype.kind == "c":
        return _sigmoid(x), _sigmoid(-x)
    t = np.exp(np.minimum(x, -x))
    total = 1 + t
    return np.maximum(t, x > 0) / total, np.maximum(t, x < 0) / total


def _silu_slope(x: Any) -> Any:
    right, left = two_sides(x)
    return right * (1 + x * left)


def _mish_slope(x: Any) -> Any:
    w = np.tanh(_softplus(x))
    return w + x * (1 - w * w) * _sigmoid(x)


# -- as they are called ------------------------------------------------------------------------------------------------


def relu(x: Any) -> Any:
    """max(x, 0), element by element; its derivative at 0 is ½, as that of ``np.maximum(x, 0)`` is.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(ad.nn.relu)(np.array([-1.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ])
    """
    return _relu(_ordered("relu", x))


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), element by element; its derivative is ½ at both corners.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return np.clip(_ordered("relu6", x), 0, 6)


def hardtanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """X within two bounds, element by element; its derivative is ½ on either bound.

    Parameters
    ----------
    x : array_like
        Real numbers.
    low, high : float
        The bounds.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(ad.nn.hardtanh)(np.array([-2.0, -1.0, 0.5]))
    array([0. , 0.5, 1. ])
    """
    low, high = (float(bound) if isinstance(bound, float) else bound for bound in (low, high))  # np.float64 is one
    return np.clip(_ordered("hardtanh", x), low, high)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """X where it is positive, ``negative_slope · x`` elsewhere; at 0 the derivative is the mean of 1 and the slope.

    Parameters
    ----------
    x : array_like
        Real numbers.
    negative_slope : float
        The slope on the left.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.leaky_relu(np.array([-1.0, 2.0]), negative_slope=0.5)
    array([-0.5,  2. ])
    """
    slope = number("leaky_relu", "negative_slope", negative_slope)
    return _leaky_relu(_ordered("leaky_relu", x), negative_slope=slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """X where it is positive, ``alpha · (exp(x) − 1)`` elsewhere; at 0 the derivative is the mean of 1 and alpha.

    Parameters
    ----------
    x : array_like
        Real numbers.
    alpha : float
        What the function tends to, negated, far out on the left.

    Returns
    -------
    array with the shape of x

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.elu(np.array([-1e4, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return _elu(_ordered("elu", x), alpha=number("elu", "alpha", alpha))


def _selu_constants() -> tuple[float, float]:
    """Scale and α for which a standard normal x gives a selu(x) of mean 0 and variance 1.

    With b = Φ(−1)·√e the mean vanishes for α = √(2/π) / (1 − 2b); the scale is one over the root of the second moment.
    """
    once = math.erfc(math.sqrt(0.5)) * math.exp(0.5)
    twice = math.erfc(math.sqrt(2.0)) * math.exp(2.0)
    alpha = math.sqrt(2 / math.pi) / (1 - once)
    return (0.5 + alpha**2 * (twice / 2 - once + 0.5)) ** -0.5, alpha


_SELU_SCALE, _SELU_ALPHA = _selu_constants()


def selu(x: Any) -> Any:
    """An :func:`elu` scaled so that it keeps mean 0 and variance 1 of normally distributed numbers.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.selu)(1.0)
    np.float64(1.05070098735548)
    """
    return _SELU_SCALE * _elu(_ordered("selu", x), alpha=_SELU_ALPHA)


def silu(x: Any) -> Any:
    """x·σ(x), element by element, also known as swish.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.silu)(0.0)
    np.float64(0.5)
    """
    return _silu(floating(x))


swish = silu


def mish(x: Any) -> Any:
    """x·tanh(log(1 + exp(x))), element by element.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    References
    ----------
    Misra, "Mish: a self regularized non-monotonic activation function", 2019.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.mish)(0.0)
    np.float64(0.6)
    """
    return _mish(floating(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), element by element, accurate to the last digits for large negative x too.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.sigmoid)(0.0)
    np.float64(0.25)
    """
    return _sigmoid(floating(x))


def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + exp(−x))), element by element, accurate where σ(x) underflows or is nearly 1.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.nn.log_sigmoid(-1000.0)
    np.float64(-1000.0)
    """
    return _log_sigmoid(floating(x))


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, element by element: ``np.tanh``.

    Parameters
    ----------
    x : array_like
        Real or complex numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.tanh)(0.0)
    np.float64(1.0)
    """
    return np.tanh(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), element by element, without overflow.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.softplus)(0.0)
    np.float64(0.5)
    """
    return _softplus(floating(x))
