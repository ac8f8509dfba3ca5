"""The Gaussian error linear unit x·Φ(x), right to the last digits, and its authors' approximation by a tanh."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..errors import SettingError, message
from ..makers import elementwise
from .blocks import in_blocks
from .elementwise import sigmoid
from .nn import refuse_complex, sloped, two_sides, within
from .precision import floating, widened

# Bounds beyond which an exponential is zero: the smallest numbers are e^−11433 in quadruple precision, the widest. Half
# precision holds their squares, up to 65504.

_CUBIC = 60.0
"""Where u = √(8/π)·(x + 0.044715·x³), of which the form by a tanh takes σ(−u), is 15508."""

_GAUSSIAN = 200.0
"""Where x²/2 is 20000."""

# -- by a tanh ---------------------------------------------------------------------------------------------------------

_RATE, _BEND = math.sqrt(8 / math.pi), 0.044715  # the second is the authors', fitted


def _cubic(x: Any) -> Any:
    """The u of the formula."""
    return x * (_RATE + (_BEND * _RATE) * (x * x))


def _gelu_tanh_slope(x: Any) -> Any:
    u = _cubic(x)
    right, left = two_sides(u)
    return right * (1 + x * left * (_RATE + (3 * _BEND * _RATE) * (x * x)))


_gelu_tanh = elementwise(
    in_blocks(lambda x: np.maximum(x, -_CUBIC) * sigmoid(_cubic(within(x, _CUBIC)))),
    sloped(lambda x: _gelu_tanh_slope(within(x, _CUBIC))),
    name="gelu_tanh", formulas=("δx = δy·(σ(u) + x·σ(u)·σ(−u)·u′), u = √(8/π)·(x + 0.044715·x³)",),
    edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)), note="x·(1 + tanh(u/2))/2 = x·σ(u)",
)  # fmt: skip

# -- exactly -----------------------------------------------------------------------------------------------------------

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
    return widened(x), x.dtype if x.dtype.kind == "f" else np.float64


def _gelu_of(x: Any) -> Any:
    x, dtype = _single(x)
    return (np.maximum(x, -_GAUSSIAN) * _normal_cdf(x)).astype(dtype, copy=False)[()]


def _gelu_slope_of(x: Any) -> Any:
    x, dtype = _single(x)
    near = within(x, _GAUSSIAN)
    return (_normal_cdf(x) + near * _bell(near)).astype(dtype, copy=False)[()]


@functools.cache
def _peak(dtype: np.dtype[Any]) -> Any:
    """1/√(2π) to the precision of a dtype."""
    return np.finfo(dtype).dtype.type(1 / np.sqrt(2 * np.arccos(np.longdouble(-1))))


def _bell(x: Any) -> Any:
    return np.exp(x * x / -2) * _peak(x.dtype)


def _gelu_curvature(x: Any) -> Any:
    return _bell(x) * (2 - x * x)


_gelu_slope = elementwise(
    in_blocks(_gelu_slope_of), sloped(lambda x: _gelu_curvature(within(x, _GAUSSIAN))),
    name="gelu_slope", formulas=("δx = δy·φ(x)·(2 − x²)",), note="the derivative of gelu: Φ(x) + x·φ(x)",
    edges=((-np.inf, 0.0), (np.inf, 0.0)),
)  # fmt: skip
_gelu = elementwise(
    in_blocks(_gelu_of), sloped(_gelu_slope),
    name="gelu", formulas=("δx = δy·(Φ(x) + x·φ(x))",), edges=((0.0, 0.5), (-np.inf, 0.0), (np.inf, 1.0)),
    note="the limits",
)  # fmt: skip

# -- as it is called ---------------------------------------------------------------------------------------------------


def gelu(x: Any, approximate: str = "none") -> Any:
    """x·Φ(x), element by element, Φ being the distribution function of the normal distribution.

    Parameters
    ----------
    x : array_like
        Real numbers.
    approximate : {"none", "tanh"}
        "none" is right to the last digits, also far out on the left; "tanh" is x·(1 + tanh(u))/2 with
        u = √(2/π)·(x + 0.044715·x³), which is off by up to 0.0005 and faster.

    Returns
    -------
    array with the shape of x

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
    if not isinstance(approximate, str) or approximate not in forms:
        raise SettingError(
            message(
                f"gelu: approximate={approximate!r}",
                "there are two forms of gelu",
                'approximate="none", which is exact, or approximate="tanh"',
            )
        )
    x = floating(x)
    refuse_complex("gelu", x)
    return forms[approximate](x)
