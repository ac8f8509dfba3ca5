"""Functions of neural networks, each in the form that stays accurate at its extremes.

First the rules, then the functions as they are called. Where a formula multiplies its argument by something that
vanishes at infinity, it takes the argument from an interval beyond which that something is exactly zero (`_within`):
so 0·inf is never formed, and no shape of the function changes.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..errors import DtypeError, SettingError, message
from ..makers import at, elementwise, op
from ..op import Traced
from .elementwise import above, gap, shared
from .elementwise import sigmoid as _sigmoid
from .reduce import guard_groups, restored

# -- pointwise ---------------------------------------------------------------------------------------------------------

_EVERYWHERE = 2e4
"""Where exp(−x) is zero in every precision; a number that half precision holds."""

_CUBIC = 60.0
"""The same for exp(−x³/14), and for the square of x in half precision."""

_GAUSSIAN = 200.0
"""The same for exp(−x²/2)."""


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


def _within(x: Any, bound: float) -> Any:
    return np.clip(x, -bound, bound)


_BLOCK = 1 << 15
"""As many elements as stay in the cache from one step of a formula to the next."""


def in_blocks(f: Any) -> Any:
    """The same function of arrays; of plain ones of one shape block by block, because most of its time is memory's."""

    def blocked(*xs: Any) -> Any:
        shape = np.shape(xs[0])
        plain = all(type(x) is np.ndarray and x.shape == shape for x in xs)
        if not plain or xs[0].size <= _BLOCK:
            return f(*xs)
        flat = [np.ravel(x) for x in xs]
        first = f(*(x[:_BLOCK] for x in flat))
        y = np.empty(flat[0].size, first.dtype)
        y[:_BLOCK] = first
        for start in range(_BLOCK, y.size, _BLOCK):
            y[start : start + _BLOCK] = f(*(x[start : start + _BLOCK] for x in flat))
        return np.reshape(y, shape)

    return blocked


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
    lambda x, *, negative_slope=0.01: np.where(x > 0, x, negative_slope * x)[()],
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
    sloped(lambda x: _silu_slope(_within(x, _EVERYWHERE))),
    name="silu", formulas=("δx = δy·σ(x)·(1 + x·σ(−x))",), edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip
_mish = elementwise(
    in_blocks(lambda x: np.maximum(x, -_EVERYWHERE) * np.tanh(_softplus(x))),
    sloped(lambda x: _mish_slope(_within(x, _EVERYWHERE))),
    name="mish", formulas=("δx = δy·(w + x·(1 − w²)·σ(x)), w = tanh(log(1 + exp(x)))",),
    edges=((0.0, 0.6), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip
_gelu_tanh = elementwise(
    in_blocks(lambda x: np.maximum(x, -_CUBIC) * _sigmoid(_cubic(_within(x, _CUBIC)))),
    sloped(lambda x: _gelu_tanh_slope(_within(x, _CUBIC))),
    name="gelu_tanh", formulas=("δx = δy·(σ(u) + x·σ(u)·σ(−u)·u′), u = √(8/π)·(x + 0.044715·x³)",),
    edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)), note="x·(1 + tanh(u/2))/2 = x·σ(u)",
)  # fmt: skip


def _three(x: Any, right: float, middle: float, left: float) -> Any:
    """One number where x > 0, one at 0, one elsewhere; nan stays on the left."""
    return np.where(x > 0, right, np.where(x == 0, middle, left)).astype(x.dtype)


def _elu_slope(x: Any, alpha: float) -> Any:
    left = alpha * np.exp(np.minimum(x, 0))
    if alpha != 1:
        left = np.where(x == 0, left + (1 - alpha) / 2, left)
    return np.where(x > 0, 1, left)


def _two_sides(x: Any) -> tuple[Any, Any]:
    """σ(x) and σ(−x), of plain real numbers with one exponential."""
    if isinstance(x, Traced) or x.dtype.kind == "c":
        return _sigmoid(x), _sigmoid(-x)
    t = np.exp(np.minimum(x, -x))
    total = 1 + t
    return np.maximum(t, x > 0) / total, np.maximum(t, x < 0) / total


def _silu_slope(x: Any) -> Any:
    right, left = _two_sides(x)
    return right * (1 + x * left)


def _mish_slope(x: Any) -> Any:
    w = np.tanh(_softplus(x))
    return w + x * (1 - w * w) * _sigmoid(x)


_RATE = math.sqrt(8 / math.pi)


def _cubic(x: Any) -> Any:
    return x * (_RATE + (0.044715 * _RATE) * (x * x))


def _gelu_tanh_slope(x: Any) -> Any:
    u = _cubic(x)
    right, left = _two_sides(u)
    return right * (1 + x * left * (_RATE + (3 * 0.044715 * _RATE) * (x * x)))


# The distribution function of the normal distribution. For a > 0
#
#     Φ(−a) = a/π · exp(−a²/2) · ∫ exp(−s²/2) / (s² + a²) ds   over s > 0,
#
# and the midpoint rule with step k gives that integral to exp(−2π²/k²), once the residue at s = ia is added.
# Every term is positive, so the result is right in its last digits out to where it underflows. Chiarella and Reichel,
# "On the evaluation of integrals related to the error function", Mathematics of Computation 22 (1968).

def _normal_cdf(x: Any) -> Any:
    """Φ(x), the probability that a standard normal number is less than x."""
    below = _tail(np.abs(x))
    return np.where(x > 0, 1 - below, below)


@functools.cache
def _midpoints(dtype: np.dtype[Any]) -> tuple[list[tuple[Any, Any]], Any, Any]:
    """What a precision needs: s² and exp(−s²/2) at each midpoint, step/π, and where the residue no longer counts."""
    pi, digits = np.arccos(np.longdouble(-1)), np.log(4 / np.longdouble(np.finfo(dtype).eps))
    step = pi * np.sqrt(2 / digits)
    points = (np.arange(np.ceil(digits / pi)) + 0.5) * step
    pairs = [(dtype.type(s * s), dtype.type(np.exp(-s * s / 2))) for s in points]
    return pairs, dtype.type(step / pi), dtype.type(2 * pi / step)


def _tail(a: Any) -> Any:
    """Φ(−a) for a ≥ 0."""
    pairs, factor, pole = _midpoints(a.dtype)
    a = np.minimum(a, _GAUSSIAN)
    square, total, term = a * a, np.zeros_like(a), np.empty_like(a)
    for point, weight in pairs:
        np.add(square, point, out=term)
        total += np.divide(weight, term, out=term)
    short = np.rint(16 * a) / 16  # its square is exact, and so exp(−a²/2) keeps the digits that a large a² would lose
    bell = np.exp(-short * short / 2) * np.exp((short - a) * (short + a) / 2)
    residue = (a < pole) / (1 + np.exp(pole * np.minimum(a, pole)))
    return factor * a * total * bell + residue


def _single(x: Any) -> Any:
    """Real numbers in at least single precision, and the dtype that the result has."""
    x = np.asarray(x)
    refuse_complex("gelu", x)
    return x.astype(np.result_type(x, np.float32), copy=False), x.dtype if x.dtype.kind == "f" else np.float64


def _gelu_of(x: Any) -> Any:
    x, dtype = _single(x)
    return (np.maximum(x, -_GAUSSIAN) * _normal_cdf(x)).astype(dtype, copy=False)[()]


def _gelu_slope_of(x: Any) -> Any:
    x, dtype = _single(x)
    near = _within(x, _GAUSSIAN)
    return (_normal_cdf(x) + near * _bell(near)).astype(dtype, copy=False)[()]


@functools.cache
def _peak(dtype: np.dtype[Any]) -> Any:
    """1/√(2π) to the precision of a dtype."""
    return np.finfo(dtype).dtype.type(1 / np.sqrt(2 * np.arccos(np.longdouble(-1))))


def _bell(x: Any) -> Any:
    return np.exp(x * x / -2) * _peak(x.dtype)


_gelu_slope = elementwise(
    in_blocks(_gelu_slope_of), sloped(lambda x: _gelu_curvature(_within(x, _GAUSSIAN))),
    name="gelu_slope", formulas=("δx = δy·φ(x)·(2 − x²)",), note="the derivative of gelu: Φ(x) + x·φ(x)",
    edges=((-np.inf, 0.0), (np.inf, 0.0)),
)  # fmt: skip
_gelu = elementwise(
    in_blocks(_gelu_of), sloped(_gelu_slope),
    name="gelu", formulas=("δx = δy·(Φ(x) + x·φ(x))",), edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip


def _gelu_curvature(x: Any) -> Any:
    return _bell(x) * (2 - x * x)


# -- softmax and its kin -----------------------------------------------------------------------------------------------


def _shifted(x: Any, axis: Any) -> tuple[Any, Any]:
    """X minus its maximum along the axis, so that exp cannot overflow, and the maximum; an infinite one is left out."""
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return x - top, top


def _softmax_of(x: Any, *, axis: Any = -1) -> Any:
    with np.errstate(invalid="ignore"):  # a row of nothing but −inf has no softmax: 0 / 0 is nan
        e = np.exp(_shifted(x, axis)[0])
        return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax_of(x: Any, *, axis: Any = -1) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = _shifted(x, axis)[0]
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _logsumexp_of(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    shifted, top = _shifted(x, axis)
    with np.errstate(divide="ignore"):  # log 0 = −inf is what the sum over nothing but −inf is
        y = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, tuple(range(y.ndim)) if axis is None else axis)[()]


def _portion(x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """The softmax of x, from y = logsumexp(x). Infinite elements that are equal to y share it equally.

    The sum is 1 but for the rounding of y, which is as large as 1 itself where y is about 1e16.
    """
    e = np.exp(gap(x, restored(y, x.shape, axis, keepdims)))
    return e / np.sum(e, axis=axis, keepdims=True)


def _guard_rows(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero in each row whose δ is zero throughout."""
    if np.isfinite(term).all():
        return term
    reached = np.any(d != 0, axis=params.get("axis", -1), keepdims=True)
    return np.where(reached, term, np.zeros((), term.dtype))


_softmax = op(
    _softmax_of,
    lambda d, y, x, *, axis=-1: y * (d - np.sum(d * y, axis=axis, keepdims=True)),
    jvps=(lambda t, y, x, *, axis=-1: y * (t - np.sum(t * y, axis=axis, keepdims=True)),),
    name="softmax", guard=_guard_rows, formulas=("δx = y·(δy − Σ δy·y)",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2)), at((2, 1), axis=-1)),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
_log_softmax = op(
    _log_softmax_of,
    lambda d, y, x, *, axis=-1: d - np.exp(y) * np.sum(d, axis=axis, keepdims=True),
    jvps=(lambda t, y, x, *, axis=-1: t - np.sum(np.exp(y) * t, axis=axis, keepdims=True),),
    name="log_softmax", guard=_guard_rows, formulas=("δx = δy − exp(y)·Σ δy",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2))),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
_logsumexp = op(
    _logsumexp_of,
    lambda d, y, x, *, axis=None, keepdims=False: restored(d, x.shape, axis, keepdims) * _portion(x, y, axis, keepdims),
    jvps=(
        lambda t, y, x, *, axis=None, keepdims=False: np.sum(
            t * _portion(x, y, axis, keepdims), axis=axis, keepdims=keepdims
        ),
    ),
    name="logsumexp", guard=guard_groups, formulas=("δx = δy·softmax(x)",),
    examples=(at(()), at((5,)), at((3, 4), axis=0), at((3, 4), axis=(0, 1), keepdims=True), at((2, 3, 2), axis=-1)),
    note="elements that are infinite with the result share δ equally, as ties do",
)  # fmt: skip

# -- as they are called ------------------------------------------------------------------------------------------------


def relu(x: Any) -> Any:
    """max(x, 0), element by element; its derivative at 0 is ½, as that of ``np.maximum(x, 0)`` is.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(ad.nn.relu)(np.array([-1.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ])
    """
    return _relu(x)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), element by element; its derivative is ½ at both corners.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return np.clip(x, 0, 6)


def hardtanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """X within two bounds, element by element; its derivative is ½ on either bound.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(ad.nn.hardtanh)(np.array([-2.0, -1.0, 0.5]))
    array([0. , 0.5, 1. ])
    """
    return np.clip(x, low, high)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """X where it is positive, ``negative_slope · x`` elsewhere; at 0 the derivative is the mean of 1 and the slope.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.leaky_relu(np.array([-1.0, 2.0]), negative_slope=0.5)
    array([-0.5,  2. ])
    """
    return _leaky_relu(x, negative_slope=negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """X where it is positive, ``alpha · (exp(x) − 1)`` elsewhere; at 0 the derivative is the mean of 1 and alpha.

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
    return _elu(x, alpha=alpha)


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

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.selu)(1.0)
    np.float64(1.05070098735548)
    """
    return _SELU_SCALE * _elu(x, alpha=_SELU_ALPHA)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x·Φ(x), element by element, Φ being the distribution function of the normal distribution.

    Parameters
    ----------
    x : array_like
        Real numbers.
    approximate : {"none", "tanh"}
        "none" is right to the last digits, also far out on the left; "tanh" is x·(1 + tanh(u))/2 with
        u = √(2/π)·(x + 0.044715·x³), which is off by up to 0.0005 and faster.

    Raises
    ------
    SettingError
        For another `approximate`.
    DtypeError
        For complex numbers.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.nn.gelu(1.0)
    np.float64(0.84134474606854)
    >>> ad.grad(ad.nn.gelu)(0.0)
    np.float64(0.5)
    """
    forms = {"none": _gelu, "tanh": _gelu_tanh}
    if approximate not in forms:
        raise SettingError(
            message(
                f"gelu: approximate={approximate!r}",
                "there are two forms of gelu",
                'approximate="none", which is exact, or approximate="tanh"',
            )
        )
    return forms[approximate](x)


def silu(x: Any) -> Any:
    """x·σ(x), element by element, also known as swish.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.silu)(0.0)
    np.float64(0.5)
    """
    return _silu(x)


swish = silu


def mish(x: Any) -> Any:
    """x·tanh(log(1 + exp(x))), element by element.

    References
    ----------
    Misra, "Mish: a self regularized non-monotonic activation function", 2019.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.mish)(0.0)
    np.float64(0.6)
    """
    return _mish(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), element by element, accurate to the last digits for large negative x too.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.sigmoid)(0.0)
    np.float64(0.25)
    """
    return _sigmoid(x)


def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + exp(−x))), element by element, accurate where σ(x) underflows or is nearly 1.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.nn.log_sigmoid(-1000.0)
    np.float64(-1000.0)
    """
    return _log_sigmoid(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, element by element: ``np.tanh``.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.tanh)(0.0)
    np.float64(1.0)
    """
    return np.tanh(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), element by element, without overflow.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.softplus)(0.0)
    np.float64(0.5)
    """
    return _softplus(x)


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """Exponentials along an axis divided by their sum: exp(x) / Σ exp(x), without overflow.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int
        Along which the result sums to one.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _softmax(x, axis=axis)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The difference x − log Σ exp(x) along an axis: the logarithm of :func:`softmax`, accurate where that underflows.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return _log_softmax(x, axis=axis)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """The logarithm of Σ exp(x), without overflow; over nothing but −inf it is −inf.

    Parameters
    ----------
    x : array_like
    axis : int, tuple of int or None
        What to sum over; None for everything.
    keepdims : bool
        Whether the summed axes stay, with length one.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _logsumexp(x, axis=axis, keepdims=keepdims)
