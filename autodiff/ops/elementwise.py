"""Pointwise functions. One line a rule: ``d`` is the incoming δ, ``y`` the result, then the arguments."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..makers import REAL, at, composite, elementwise, op
from .flat import sign

POSITIVE = (0.1, 3.0)
NEGATIVE = (-3.0, -0.1)
UNIT = (-0.95, 0.95)
ABOVE_ONE = (1.1, 4.0)

# -- what several rules share ------------------------------------------------------------------------------------------


def nothing(d: Any) -> Any:
    """The δ of an argument in which the function is a step: a true zero."""
    return np.zeros(d.shape, d.dtype)


def away_from_zero(r: Any) -> Any:
    """A radius as a divisor: at the origin, where there is no direction, the quotient and its derivatives are 0."""
    return np.where(r == 0, np.inf, r)


def gap(a: Any, b: Any) -> Any:
    """The difference a − b, and 0 between two infinities of the same sign: they tie."""
    return np.where((a == b) & np.isinf(a), 0, a - b)


@functools.cache
def ln(base: int, dtype: np.dtype[Any]) -> Any:
    """The natural logarithm of a small integer, to the precision of a dtype."""
    return np.log(np.asarray(base, np.finfo(dtype).dtype))[()]


# -- arithmetic: the derivative of a sum, a product, a quotient --------------------------------------------------------

add = elementwise(np.add, lambda d, y, a, b: d, lambda d, y, a, b: d, bounded=True, formulas=("δa = δy", "δb = δy"))
subtract = elementwise(
    np.subtract, lambda d, y, a, b: d, lambda d, y, a, b: -d, bounded=True, formulas=("δa = δy", "δb = −δy")
)
multiply = elementwise(
    np.multiply, lambda d, y, a, b: d * b, lambda d, y, a, b: d * a, formulas=("δa = δy·b", "δb = δy·a")
)
divide = elementwise(
    np.divide, lambda d, y, a, b: d / b, lambda d, y, a, b: -d * y / b,
    smooth=(REAL, POSITIVE), formulas=("δa = δy / b", "δb = −δy·y / b"),
)  # fmt: skip
negative = elementwise(np.negative, lambda d, y, x: -d, bounded=True, formulas=("δx = −δy",))
positive = elementwise(np.positive, lambda d, y, x: d, bounded=True, formulas=("δx = δy",))
square = elementwise(np.square, lambda d, y, x: d * (2 * x), formulas=("δx = δy·2x",))
reciprocal = elementwise(np.reciprocal, lambda d, y, x: -d * y * y, smooth=(POSITIVE,), formulas=("δx = −δy·y²",))
remainder = elementwise(
    np.remainder, lambda d, y, a, b: d, lambda d, y, a, b: -d * np.floor_divide(a, b),
    smooth=((2.1, 2.4), (0.85, 0.95)), formulas=("δa = δy", "δb = −δy·⌊a / b⌋"),
    edges=(((2.0, 1.0), (1.0, -2.0)),), note="at a jump, where b divides a, as on its right",
)  # fmt: skip
fmod = elementwise(
    np.fmod, lambda d, y, a, b: d, lambda d, y, a, b: -d * np.rint((a - y) / b),
    smooth=((-2.4, -2.1), (0.85, 0.95)), formulas=("δa = δy", "δb = −δy·trunc(a / b)"),
    edges=(((2.0, 1.0), (1.0, -2.0)),), note="at a jump, where b divides a, as on the side away from zero",
)  # fmt: skip
ldexp = elementwise(
    np.ldexp, lambda d, y, x, i: np.ldexp(d, i), lambda d, y, x, i: nothing(d),
    smooth=(REAL, None), formulas=("δx = δy·2ⁱ", "0 (i is an integer)"),
)  # fmt: skip
deg2rad = elementwise(np.deg2rad, lambda d, y, x: np.deg2rad(d), bounded=True, formulas=("δx = δy·π / 180",))
radians = elementwise(np.radians, lambda d, y, x: np.radians(d), bounded=True, formulas=("δx = δy·π / 180",))
rad2deg = elementwise(np.rad2deg, lambda d, y, x: np.rad2deg(d), bounded=True, formulas=("δx = δy·180 / π",))
degrees = elementwise(np.degrees, lambda d, y, x: np.degrees(d), bounded=True, formulas=("δx = δy·180 / π",))


@composite(np.divmod)
def divmod(a: Any, b: Any, **settings: Any) -> Any:
    return np.floor_divide(a, b, **settings), np.remainder(a, b, **settings)


modf = op(
    np.modf, lambda d, y, x: nothing(y[0]) if d[0] is None else d[0], jvps=(lambda t, y, x: (t, nothing(t)),),
    results=True, numpy=(np.modf,), examples=(at((3, 4)), at(())), formulas=("δx = δ of the fraction",),
)  # fmt: skip
frexp = op(
    np.frexp, lambda d, y, x: np.ldexp(d[0], -y[1]), jvps=(lambda t, y, x: (np.ldexp(t, -y[1]), nothing(t)),),
    results=True, numpy=(np.frexp,), examples=(at((3, 4)), at(())), formulas=("δx = δ of the mantissa / 2ᵉ",),
)  # fmt: skip

# -- powers and roots --------------------------------------------------------------------------------------------------


def _by_base(d: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float)):
        if b == 0:
            return nothing(d)
        return d * (2 * a) if b == 2 else d * (b * np.power(a, b - 1.0))
    constant = (a == 0) & (b == 0)  # a⁰ is 1 there too, and 0·a⁻¹ must not be formed
    return d * (b * np.power(np.where(constant, 1, a), b - 1.0))


def _by_exponent(d: Any, y: Any, a: Any, b: Any) -> Any:
    return d * power_log(a, b, order=1)


def _power_log(a: Any, b: Any, *, order: int = 1) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.power(a, b)
        log_a = np.log(np.asarray(a).astype(y.dtype, copy=False))
        return np.where((a == 0) & (np.real(b) > 0), 0, y * log_a**order)[()]


def _power_log_by_base(d: Any, y: Any, a: Any, b: Any, *, order: int = 1) -> Any:
    less = np.power(a, b - 1.0) if order == 1 else power_log(a, b - 1.0, order=order - 1)
    return d * (b * power_log(a, b - 1.0, order=order) + order * less)


power_log: Any = elementwise(
    _power_log, _power_log_by_base, lambda d, y, a, b, *, order=1: d * power_log(a, b, order=order + 1),
    name="power_log", numpy=(), smooth=(POSITIVE, REAL),
    examples=(at((3, 4), (3, 4)), at((3, 1), (4,)), at((), (5,), order=2)),
    formulas=("δa = δy·(b·aᵇ⁻¹·lnⁿ a + n·aᵇ⁻¹·lnⁿ⁻¹ a)", "δb = δy·aᵇ·lnⁿ⁺¹ a"),
    note="aᵇ·lnⁿ a, the n-th derivative of aᵇ by b, with its limit 0 at a = 0 for b > 0",
)  # fmt: skip

_POWER_EDGES = (
    ((0.0, 2.0), (0.0, 0.0)), ((0.0, 1.0), (1.0, 0.0)), ((0.0, 0.0), (0.0, -np.inf)), ((0.0, 0.5), (np.inf, 0.0)),
    ((1.0, 0.0), (0.0, 0.0)), ((np.inf, 0.0), (0.0, np.inf)),
    ((-2.0, 3.0), (12.0, np.nan)), ((-2.0, -1.0), (-0.25, np.nan)), ((23.0, 0.0), (0.0, math.log(23.0))),
)  # fmt: skip
_POWER_FORMULAS = ("δa = δy·b·aᵇ⁻¹", "δb = δy·aᵇ·ln a")

power = elementwise(
    np.power, _by_base, _by_exponent, smooth=(POSITIVE, REAL), formulas=_POWER_FORMULAS, edges=_POWER_EDGES,
    note="0**y jumps at y = 0, x**0 is constant; a negative base is real at whole y only, so it has no slope in y"
)
float_power = elementwise(
    np.float_power, _by_base, _by_exponent, smooth=(POSITIVE, REAL), formulas=_POWER_FORMULAS, edges=_POWER_EDGES,
    note="as power"
)
sqrt = elementwise(
    np.sqrt, lambda d, y, x: d * 0.5 / y, smooth=(POSITIVE,), formulas=("δx = δy / 2y",), edges=((0.0, np.inf),),
    note="an infinite slope is infinite"
)
cbrt = elementwise(
    np.cbrt, lambda d, y, x: d / (3 * y * y), smooth=(POSITIVE,), formulas=("δx = δy / 3y²",), edges=((0.0, np.inf),),
    note="an infinite slope is infinite"
)
hypot = elementwise(
    np.hypot, lambda d, y, a, b: d * (a / away_from_zero(y)), lambda d, y, a, b: d * (b / away_from_zero(y)),
    smooth=(POSITIVE, NEGATIVE), formulas=("δa = δy·a / y", "δb = δy·b / y"),
    edges=(((0.0, 0.0), (0.0, 0.0)), ((3.0, 0.0), (1.0, 0.0)), ((1e200, 1e200), (math.sqrt(0.5), math.sqrt(0.5)))),
    note="0 at the tip of the cone; elsewhere without overflow",
)  # fmt: skip

# -- exponentials and logarithms ---------------------------------------------------------------------------------------

exp = elementwise(np.exp, lambda d, y, x: d * y, formulas=("δx = δy·y",))
exp2 = elementwise(np.exp2, lambda d, y, x: d * (y * ln(2, y.dtype)), formulas=("δx = δy·y·ln 2",))
expm1 = elementwise(np.expm1, lambda d, y, x: d * np.exp(x), formulas=("δx = δy·eˣ",))
log = elementwise(np.log, lambda d, y, x: d / x, smooth=(POSITIVE,), formulas=("δx = δy / x",))
log2 = elementwise(
    np.log2, lambda d, y, x: d / (x * ln(2, x.dtype)), smooth=(POSITIVE,), formulas=("δx = δy / (x·ln 2)",)
)
log10 = elementwise(
    np.log10, lambda d, y, x: d / (x * ln(10, x.dtype)), smooth=(POSITIVE,), formulas=("δx = δy / (x·ln 10)",)
)
log1p = elementwise(np.log1p, lambda d, y, x: d / (1 + x), smooth=(UNIT,), formulas=("δx = δy / (1 + x)",))


def _sigmoid_of(x: Any) -> Any:
    """1 / (1 + exp(−x)), or exp(x) / (1 + exp(x)) where x < 0, so that no exponential is of a positive number."""
    t = np.exp(np.minimum(x, -x))
    return (np.exp(np.minimum(x, 0)) if t.dtype.kind == "c" else np.maximum(t, x > 0)) / (1 + t)


sigmoid: Any = elementwise(
    _sigmoid_of,
    lambda d, y, x: d * (y * sigmoid(-x)),  # 1 − y would cancel where y is nearly 1
    name="sigmoid", formulas=("δx = δy·y·(1 − y)",),
)  # fmt: skip
logaddexp = elementwise(
    np.logaddexp, lambda d, y, a, b: d * sigmoid(gap(a, b)), lambda d, y, a, b: d * sigmoid(gap(b, a)),
    formulas=("δa = δy·σ(a − b)", "δb = δy·σ(b − a)"),
    edges=(((1e10, 1e10), (0.5, 0.5)), ((np.inf, 1.0), (1.0, 0.0)), ((-np.inf, -np.inf), (0.5, 0.5))),
    note="a tie shares δ equally, and an infinite argument that is larger has all of it",
)  # fmt: skip
logaddexp2 = elementwise(
    np.logaddexp2,
    lambda d, y, a, b: d * sigmoid(gap(a, b) * ln(2, y.dtype)),
    lambda d, y, a, b: d * sigmoid(gap(b, a) * ln(2, y.dtype)),
    formulas=("δa = δy·σ((a − b)·ln 2)", "δb = δy·σ((b − a)·ln 2)"),
    edges=(((1e10, 1e10), (0.5, 0.5)), ((-np.inf, -np.inf), (0.5, 0.5))),
    note="a tie shares δ equally",
)  # fmt: skip

# -- circular and hyperbolic functions ---------------------------------------------------------------------------------


def _one_minus_square(x: Any) -> Any:
    """Without cancellation. On a cut of the plane a zero keeps its sign if only constants are subtracted."""
    return -((x - 1) * (x - -1)) if x.dtype.kind == "c" else (1 - x) * (1 + x)


one_minus_square: Any = elementwise(
    _one_minus_square, lambda d, y, x: d * (-2 * x),  # by the product rule ∞ − ∞ would come of it at ±1
    name="one_minus_square", numpy=(), formulas=("δx = −δy·2x",), note="1 − x²",
)  # fmt: skip
root_of_square_minus_one: Any = elementwise(
    lambda x: np.sqrt(x - 1) * np.sqrt(x - -1), lambda d, y, x: d * (x / y),
    name="root_of_square_minus_one", numpy=(), smooth=(ABOVE_ONE,), formulas=("δx = δy·x / y",),
    note="√(x − 1)·√(x + 1), with the branch cut of arccosh",
)  # fmt: skip


def _root_of_one_plus_square(x: Any) -> Any:
    """√(1 + x²), without overflow where x is real."""
    return np.sqrt(x * x - -1) if x.dtype.kind == "c" else np.hypot(1, x)


def _over_one_plus_square(d: Any, y: Any, x: Any) -> Any:
    root = _root_of_one_plus_square(x)
    return d / root / root


def _turn(d: Any, along: Any, a: Any, b: Any) -> Any:
    """The angle that a step across the ray makes: d·along / (a² + b²), without overflow; 0 at the origin."""
    radius = away_from_zero(np.hypot(a, b))
    return d * (along / radius) / radius


sin = elementwise(np.sin, lambda d, y, x: d * np.cos(x), formulas=("δx = δy·cos x",))
cos = elementwise(np.cos, lambda d, y, x: -d * np.sin(x), formulas=("δx = −δy·sin x",))
tan = elementwise(np.tan, lambda d, y, x: d * (1 + y * y), smooth=((-1.3, 1.3),), formulas=("δx = δy·(1 + y²)",))
arcsin = elementwise(
    np.arcsin, lambda d, y, x: d / np.sqrt(one_minus_square(x)), smooth=(UNIT,), formulas=("δx = δy / √(1 − x²)",),
    edges=((1.0, np.inf), (-1.0, np.inf)), note="an infinite slope is infinite",
)  # fmt: skip
arccos = elementwise(
    np.arccos, lambda d, y, x: -d / np.sqrt(one_minus_square(x)), smooth=(UNIT,), formulas=("δx = −δy / √(1 − x²)",),
    edges=((1.0, -np.inf), (-1.0, -np.inf)), note="an infinite slope is infinite",
)  # fmt: skip
arctan = elementwise(np.arctan, _over_one_plus_square, formulas=("δx = δy / (1 + x²)",))
arctan2 = elementwise(
    np.arctan2, lambda d, y, a, b: _turn(d, b, a, b), lambda d, y, a, b: _turn(-d, a, a, b),
    smooth=(REAL, POSITIVE), formulas=("δa = δy·b / (a² + b²)", "δb = −δy·a / (a² + b²)"),
    edges=(((0.0, 0.0), (0.0, 0.0)), ((0.0, -1.0), (-1.0, 0.0)), ((2e-200, 0.0), (0.0, -5e199))),
    note="0 at the origin, where the angle is undefined; elsewhere without underflow",
)  # fmt: skip
sinh = elementwise(np.sinh, lambda d, y, x: d * np.cosh(x), formulas=("δx = δy·cosh x",))
cosh = elementwise(np.cosh, lambda d, y, x: d * np.sinh(x), formulas=("δx = δy·sinh x",))
tanh = elementwise(np.tanh, lambda d, y, x: d * (1 - y * y), formulas=("δx = δy·(1 − y²)",))
arcsinh = elementwise(
    np.arcsinh, lambda d, y, x: d / _root_of_one_plus_square(x), formulas=("δx = δy / √(1 + x²)",)
)
arccosh = elementwise(
    np.arccosh, lambda d, y, x: d / root_of_square_minus_one(x), smooth=(ABOVE_ONE,),
    formulas=("δx = δy / (√(x − 1)·√(x + 1))",), edges=((1.0, np.inf),), note="an infinite slope is infinite",
)  # fmt: skip
arctanh = elementwise(
    np.arctanh, lambda d, y, x: d / one_minus_square(x), smooth=(UNIT,), formulas=("δx = δy / (1 − x²)",)
)

# sinc: derivatives of every order as one operation, because their closed forms cancel near zero


def _sinc_derivative(x: Any, *, order: int = 1) -> Any:
    """The derivative of sin(πx) / πx: by its series for |πx| < order + 1, elsewhere by its recurrence."""
    x = np.asarray(x)
    y = np.empty_like(x)
    near = np.abs(x) * np.pi < order + 1
    y[near], y[~near] = _sinc_series(x[near], order), _sinc_recurrence(x[~near], order)
    return y[()]


def _sinc_series(x: Any, order: int) -> Any:
    """Σ (−1)ᵏ (πx)²ᵏ / (2k + 1)! differentiated: πⁿ · Σ (−1)ᵏ · (πx)²ᵏ⁻ⁿ / (2k − n)! / (2k + 1)."""
    first = (order + 1) // 2
    part = (-1.0) ** first * math.pi**order * (np.pi * x) ** (2 * first - order)
    total = part / (2 * first + 1)
    for k in range(first + 1, first + 12 + 3 * order):
        part = -part * np.square(np.pi * x) / ((2 * k - order) * (2 * k - order - 1))
        total = total + part / (2 * k + 1)
    return total


def _sinc_recurrence(x: Any, order: int) -> Any:
    """x·sₙ + n·sₙ₋₁ is the n-th derivative of sin(πx) / π."""
    turn = np.pi * (x - 2 * np.round(np.real(x) / 2))  # sin(πx) loses no digits to a large x
    circle = (np.sin(turn), np.cos(turn), -np.sin(turn), -np.cos(turn))
    s = circle[0] / np.pi / x
    for n in range(1, order + 1):
        s = (math.pi ** (n - 1) * circle[n % 4] - n * s) / x
    return s


sinc_derivative: Any = elementwise(
    _sinc_derivative, lambda d, y, x, *, order=1: d * sinc_derivative(x, order=order + 1),
    name="sinc_derivative", numpy=(), formulas=("δx = δy·sinc⁽ⁿ⁺¹⁾(x)",),
    examples=(at((3, 4)), at(()), at((3, 4), order=2)),
)  # fmt: skip
sinc = elementwise(
    np.sinc, lambda d, y, x: d * sinc_derivative(x, order=1), numpy=(np.sinc,), formulas=("δx = δy·sinc′(x)",),
    edges=((0.0, 0.0), (1.0, -1.0)),
    note="the limit: no 0/0 is formed",
)  # fmt: skip

# -- absolute value, sign, parts of complex numbers --------------------------------------------------------------------


def _unit(x: Any) -> Any:
    """The conjugate of x / |x|; the sign of a real x; 0 at 0."""
    return np.conjugate(np.sign(x)) if x.dtype.kind == "c" else np.sign(x)


absolute = elementwise(
    np.absolute, lambda d, y, x: d * _unit(x), jvps=(lambda t, y, x: np.real(t * _unit(x)),),
    smooth=(POSITIVE,), formulas=("δx = δy·sign x̄",), edges=((0.0, 0.0), (-2.0, -1.0)),
    note="0 at the kink: the mean of the one-sided slopes",
)  # fmt: skip
fabs = elementwise(
    np.fabs, lambda d, y, x: d * np.sign(x), smooth=(NEGATIVE,), formulas=("δx = δy·sign x",), edges=((0.0, 0.0),),
    note="0 at the kink: the mean of the one-sided slopes"
)
copysign = elementwise(
    np.copysign, lambda d, y, a, b: d * (np.sign(a) * np.sign(y)), lambda d, y, a, b: nothing(d),
    smooth=(NEGATIVE, POSITIVE), formulas=("δa = δy·sign a·sign b", "0 (only the sign of b is read)"),
    edges=(((0.0, 1.0), (0.0, 0.0)), ((2.0, -0.0), (-1.0, 0.0))),
    note="0 at x = 0, the mean of the one-sided slopes; the sign of −0 counts, as in NumPy; in the sign it is flat",
)  # fmt: skip
phase = elementwise(
    np.sign,
    lambda d, y, x: (d - np.conjugate(y) * np.real(d * y)) / away_from_zero(np.absolute(x)),
    jvps=(lambda t, y, x: (t - y * np.real(t * np.conjugate(y))) / away_from_zero(np.absolute(x)),),
    name="phase", numpy=(), smooth=(POSITIVE,), formulas=("δz = (δy − ȳ·Re(δy·y)) / |z|",), edges=((0.0, 0.0),),
    note="z / |z|, what np.sign is for complex numbers; 0 at 0",
)  # fmt: skip
conjugate = elementwise(
    np.conjugate, lambda d, y, x: np.conjugate(d), bounded=True, formulas=("δz = the conjugate of δy",)
)
real = elementwise(
    np.real, lambda d, y, x: d, jvps=(lambda t, y, x: np.real(t),), numpy=(np.real,), bounded=True, view=True,
    formulas=("δz = δy",),
)  # fmt: skip


@composite(np.real)
def _real_of(val: Any) -> Any:
    return val if hasattr(val, "dtype") and val.dtype.kind != "c" else real(val)


imag = elementwise(
    np.imag, lambda d, y, x: d * -1j, jvps=(lambda t, y, x: np.imag(t),), numpy=(np.imag,), bounded=True, view=True,
    formulas=("δz = −i·δy",),
)  # fmt: skip

shield = elementwise(
    np.positive, lambda d, y, x: d, jvps=(lambda t, y, x: np.where(np.isfinite(t), t, np.zeros((), t.dtype)),),
    name="shield", numpy=(), masks=True, bounded=True, formulas=("δx = δy",),
    note="a slope that stands beside a δ of zero: an infinite tangent of it does not count",
)  # fmt: skip


@composite(np.sign)
def _sign(x: Any, **settings: Any) -> Any:
    return (phase if x.dtype.kind == "c" else sign)(x, **settings)


@composite(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    turned = np.arctan2(np.imag(z), np.real(z)) if z.dtype.kind == "c" else np.arctan2(0, z)
    return turned * (180 / np.pi) if deg else turned


@composite(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    if a.dtype.kind != "c":
        return a
    within = np.finfo(a.dtype).eps * tol if tol > 1 else tol
    return np.real(a) if np.all(np.absolute(np.imag(a)) < within) else a
