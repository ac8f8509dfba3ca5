"""What is true at a point: one-sided derivatives in many digits, by evaluating the expression alone."""

import itertools
import math
from types import SimpleNamespace

import mpmath
import numpy as np
from mpmath import mp

DIGITS, STEP = 700, mpmath.mpf(10) ** -60


def _each(f):
    """A function of numbers, on an object array too; nan where it is not defined."""

    def safe(*xs):
        try:
            return f(*xs)
        except (ValueError, ZeroDivisionError):
            return mp.nan

    return np.frompyfunc(safe, f.__code__.co_argcount, 1)


def _power(a, b):
    if a == 0:
        return mp.mpf(1) if b == 0 else mp.mpf(0) if b > 0 else mp.inf
    return mpmath.power(a, b)


def _sqrt(x):
    return mpmath.sqrt(x) if x >= 0 else mp.nan


def _root(x):
    return mpmath.cbrt(x) if x >= 0 else -mpmath.cbrt(-x)


def _norm(x, ord=2):
    sizes = [abs(part) for part in np.ravel(x)]
    if ord in (np.inf, -np.inf):
        return max(sizes) if ord > 0 else min(sizes)
    if ord == 0:
        return mp.mpf(sum(size != 0 for size in sizes))
    return mpmath.power(sum(mpmath.power(size, ord) for size in sizes), 1 / mp.mpf(ord))


def _var(x, where=None, ddof=0):
    part = list(np.ravel(x) if where is None else np.ravel(x)[np.ravel(where)])
    mean = sum(part) / len(part)
    return sum((v - mean) ** 2 for v in part) / (len(part) - ddof)


EXACT = {
    "sin": lambda x: mpmath.sin(x), "cos": lambda x: mpmath.cos(x), "tan": lambda x: mpmath.tan(x),
    "arcsin": lambda x: mpmath.asin(x) if abs(x) <= 1 else mp.nan,
    "arccos": lambda x: mpmath.acos(x) if abs(x) <= 1 else mp.nan,
    "arctan": lambda x: mpmath.atan(x), "sinh": lambda x: mpmath.sinh(x), "cosh": lambda x: mpmath.cosh(x),
    "tanh": lambda x: mpmath.tanh(x), "arcsinh": lambda x: mpmath.asinh(x),
    "arccosh": lambda x: mpmath.acosh(x) if x >= 1 else mp.nan,
    "arctanh": lambda x: mpmath.atanh(x) if abs(x) <= 1 else mp.nan,
    "exp": lambda x: mpmath.exp(x), "exp2": lambda x: mpmath.power(2, x), "expm1": lambda x: mpmath.expm1(x),
    "log": lambda x: mpmath.log(x) if x > 0 else mp.nan, "log2": lambda x: mpmath.log(x, 2) if x > 0 else mp.nan,
    "log10": lambda x: mpmath.log10(x) if x > 0 else mp.nan,
    "log1p": lambda x: mpmath.log1p(x) if x > -1 else mp.nan, "sqrt": _sqrt, "cbrt": _root,
    "square": lambda x: x * x, "reciprocal": lambda x: 1 / x if x != 0 else mp.nan, "abs": lambda x: abs(x),
    "fabs": lambda x: abs(x), "sign": lambda x: mpmath.sign(x), "floor": lambda x: mpmath.floor(x),
    "ceil": lambda x: mpmath.ceil(x), "rint": lambda x: mpmath.nint(x), "sinc": lambda x: mpmath.sincpi(x),
    "trunc": lambda x: mpmath.floor(x) if x >= 0 else mpmath.ceil(x), "negative": lambda x: -x,
    "deg2rad": lambda x: mpmath.radians(x), "rad2deg": lambda x: mpmath.degrees(x), "nan_to_num": lambda x: x,
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "power": _power, "float_power": _power, "maximum": lambda a, b: max(a, b),
    "minimum": lambda a, b: min(a, b), "fmax": lambda a, b: max(a, b), "fmin": lambda a, b: min(a, b),
    "hypot": lambda a, b: mpmath.hypot(a, b), "arctan2": lambda a, b: mpmath.atan2(a, b),
    "logaddexp": lambda a, b: max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b))),
    "logaddexp2": lambda a, b: max(a, b) + mpmath.log1p(mpmath.power(2, -abs(a - b))) / mpmath.log(2),
    "copysign": lambda a, b: abs(a) * (1 if b >= 0 else -1),
    "remainder": lambda a, b: a - mpmath.floor(a / b) * b,
    "fmod": lambda a, b: a - (mpmath.floor(a / b) if a / b >= 0 else mpmath.ceil(a / b)) * b,
}  # fmt: skip

SPACE = SimpleNamespace(
    **{name: _each(f) for name, f in EXACT.items()},
    where=lambda c, a, b: a if c else b,
    clip=lambda x, low, high: min(max(x, mp.mpf(low)), mp.mpf(high)),
    array=np.array, inf=np.inf, max=np.max,
    sum=lambda x, where=True, **settings: np.sum(np.where(where, x, mp.mpf(0)), **settings),
    prod=lambda x, where=True: np.prod(np.where(where, x, mp.mpf(1))), min=np.min, cumsum=np.cumsum, cumprod=np.cumprod,
    sort=np.sort, diff=np.diff, roll=np.roll, trace=np.trace, outer=np.outer, kron=np.kron,
    mean=lambda x, where=True: np.sum(np.where(where, x, mp.mpf(0))) / int(np.sum(np.broadcast_to(where, x.shape))),
    var=lambda x, **settings: _var(x, **settings),
    std=lambda x, **settings: mpmath.sqrt(_var(x, **settings)),
    ptp=lambda x: np.max(x) - np.min(x),
    median=lambda x: sum(sorted(x)[(len(x) - 1) // 2 : len(x) // 2 + 1]) / (2 - len(x) % 2),
    linalg=SimpleNamespace(norm=lambda x, *ord: _norm(x, *ord) if x.ndim == 1 else mp.nan),
)  # fmt: skip
"""As much of NumPy as the expressions need, in arbitrary precision."""


class Truth:
    """The derivative of one number with respect to one or two others, from each side; None where it cannot be said."""

    def __init__(self, sides):
        self.sides = sides

    @property
    def exists(self):
        low, high = min(self.sides), max(self.sides)
        if not np.isfinite([low, high]).all():
            return low == high
        return high - low <= 1e-9 * max(abs(low), abs(high), 1e-20) or low == high

    def __str__(self):
        shown = [f"{side:.6g}" for side in self.sides]
        return shown[0] if self.exists else f"none: {' | '.join(dict.fromkeys(shown))}"

    slack = 1e-9

    def allows(self, value):
        """Whether a value is the derivative, or, where there is none, between the one-sided ones."""
        low, high = min(self.sides), max(self.sides)
        if np.isnan(value) or (np.isinf(value) and np.isinf(low) and np.isinf(high)):
            return not np.isnan(value) and value in (low, high)
        slack = self.slack * (1.0 + max(abs(low), abs(high))) if np.isfinite([low, high]).all() else 0.0
        return low - slack <= value <= high + slack


def true_derivative(text, args, order):
    """One derivative of Σ of an expression: `order` is a tuple with one index of (argument, element) a differentiation.

    Returns a Truth, or None where the expression is not known here, has no value, or is not finite.
    """
    code = compile(text, text, "eval")
    names = "xyz"[: len(args)]
    if not all(np.isfinite(x).all() for x in args):
        return None

    def value(shifts):
        exact = [np.array([mp.mpf(float(v)) for v in np.ravel(x)], object) for x in args]
        for (k, i), h in shifts.items():
            exact[k][i] += h
        given = [x.reshape(np.shape(a)) if np.ndim(a) else x[0] for x, a in zip(exact, args, strict=True)]
        y = eval(code, {"np": SPACE, **dict(zip(names, given, strict=True))})
        return sum(np.ravel(np.asarray(y, object)), mp.mpf(0))

    with mp.workdps(DIGITS):
        try:
            sides = [_one_sided(value, order, signs) for signs in itertools.product((-1, 1), repeat=len(order))]
        except (AttributeError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None
        inside = [side for side in sides if side is not None]  # at the end of a domain there is one side
        return Truth(tuple(dict.fromkeys(inside))) if inside else None


def _one_sided(value, order, signs):
    """A derivative by differences that go off to one side, so small that they are exact to a double.

    One that is infinite is so large that no other is, or, if it grows only as a logarithm, larger still for the
    square of the step.
    """
    slope = _difference(value, order, signs, STEP)
    if slope is None:
        return None
    if abs(slope) > mp.mpf(10) ** 15:
        return float(mp.sign(slope) * mp.inf)
    if abs(slope) > abs(mp.log(STEP)) / 2:
        closer = _difference(value, order, signs, STEP**2)
        if closer is not None and abs(closer) > 1.5 * abs(slope):
            return float(mp.sign(slope) * mp.inf)
    return float(slope) if abs(slope) > 1e-30 else 0.0


def _difference(value, order, signs, step):
    """The quotient of differences of one step; None where one of the values is none."""
    totals = mp.mpf(0)
    for taken in itertools.product((0, 1), repeat=len(order)):
        shifts = {}
        for at, sign, on in zip(order, signs, taken, strict=True):
            shifts[at] = shifts.get(at, 0) + sign * on * step
        y = value(shifts)
        if not isinstance(y, mp.mpf) or not mpmath.isfinite(y):
            return None
        totals += (-1) ** (len(order) - sum(taken)) * y
    return totals / step ** len(order) * math.prod(signs)


class Measured(Truth):
    """The same by differences of NumPy's own double arithmetic, for what is not known in many digits."""

    slack = 1e-5


def measured(f, x, i, v=None):
    """∂/∂xᵢ of f, or along v of that, by differences in doubles: a Measured with both sides where they differ."""
    x, unit = np.asarray(x, float), np.zeros(np.size(x))
    unit[i] = 1.0
    unit = unit.reshape(x.shape)
    with np.errstate(all="ignore"):
        if v is None:
            left, right = (f(x) - f(x - 1e-7 * unit)) / 1e-7, (f(x + 1e-7 * unit) - f(x)) / 1e-7
            middle = _central(lambda h: (f(x + h * unit) - f(x - h * unit)) / (2 * h))
            found = (middle,) if abs(left - right) <= 1e-4 * (1 + abs(middle)) else (float(left), float(right))
        else:
            found = (_central(lambda h: sum(
                a * b * f(x + a * h * unit + b * h * v) for a in (1, -1) for b in (1, -1)) / (4 * h * h)),)
    return Measured(found) if np.isfinite(found).all() else None


def _central(slope):
    """A central difference with its first error term taken out."""
    return float((4 * slope(1e-3) - slope(2e-3)) / 3)
