"""Laws 2 and 3 for pointwise operations where a random draw never goes: zeros of both signs, ones, halves, ties,
saturation, 1e±150 and the ends of the smooth interval; mpmath says what is true there.
"""

import itertools

import mpmath
import numpy as np
import pytest
from mpmath import mp

from autodiff.testing.laws import Case, cases
from autodiff.testing.probe import derived, only, pull, push
from tests.laws.registry import OPS

ONE = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 20.0, -20.0, 400.0, -400.0, 1e150, -1e150, 1e-150, -1e-150)
TWO = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 30.0, 1e150, 1e-150, -1e-150)


def _sum_of_powers(a, b, log):
    """log(e^(a·log) + e^(b·log)) / log; what is 10⁴ smaller is beyond every digit that is computed here."""
    gap = abs(a - b) * log
    return max(a, b) + (mpmath.log1p(mpmath.exp(-gap)) / log if gap < 10**4 else 0)


def _normal_cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2 if abs(x) < 10**4 else mpmath.mpf(x > 0)


TRUTH = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "power": mpmath.power,
    "float_power": mpmath.power,
    "maximum": max,
    "minimum": min,
    "fmax": max,
    "fmin": min,
    "hypot": mpmath.hypot,
    "arctan2": mpmath.atan2,
    "logaddexp": lambda a, b: _sum_of_powers(a, b, mpmath.mpf(1)),
    "logaddexp2": lambda a, b: _sum_of_powers(a, b, mpmath.log(2)),
    "negative": lambda x: -x,
    "positive": lambda x: +x,
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "absolute": abs,
    "fabs": abs,
    "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.cbrt(x) if x >= 0 else -mpmath.cbrt(-x),
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.power(2, x),
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "one_minus_square": lambda x: 1 - x * x,
    "root_of_square_minus_one": lambda x: mpmath.sqrt(x * x - 1),
    "sinc": mpmath.sincpi,
    "deg2rad": mpmath.radians,
    "radians": mpmath.radians,
    "rad2deg": mpmath.degrees,
    "degrees": mpmath.degrees,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "gelu": lambda x: x * _normal_cdf(x),
    "gelu_slope": lambda x: _normal_cdf(x) + x * mpmath.npdf(x),
    "gelu_tanh": lambda x: x / (1 + mpmath.exp(-mpmath.sqrt(8 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))),
    "binary_cross_entropy": lambda x, t: mpmath.log1p(mpmath.exp(-x)) + (1 - t) * x,
    "i0": lambda x: mpmath.besseli(0, x),
    "real": lambda x: x,
    "conjugate": lambda x: x,
}
"""Each function in arbitrary precision, on real arguments."""

BEYOND = ("gamma_density", "beta", "gammaincinv", "gammainccinv", "owens_t", "stdtr", "wofz")
"""At 1e±150 a second derivative of these is the difference of numbers that a double cannot tell apart, or not even
hold; the last one is complex for real arguments."""

POINTWISE = [
    op
    for op in OPS
    if op.kind == "elementwise" and not op.accepts and cases(op)[0].active == tuple(range(op.arity))
    and op.name not in BEYOND
]


def points(op):
    """The special points, and the ends and the middle of the interval in which the function is smooth."""
    if op.arity == 1:
        low, high = op.smooth[0]
        return [np.array([*ONE, low, high, 0.3 * low + 0.7 * high])]
    grid = [p for p in itertools.product(TWO, repeat=2)] if op.arity == 2 else []
    rng = np.random.default_rng(0)
    drawn = [tuple(rng.uniform(*op.smooth[k]) for k in range(op.arity)) for _ in range(5)]
    return [np.array(column) for column in zip(*grid, *drawn, strict=True)]


def case_at(op, xs):
    return Case(op, 0, cases(op)[0].example, tuple(xs), tuple(range(op.arity)))


def partials(op, xs):
    """Every first and second partial derivative at every point; the second by all four orders of the two modes."""
    case, ones = case_at(op, xs), np.ones(xs[0].shape)
    f, n = case.f, op.arity
    with np.errstate(all="ignore"):
        y = np.asarray(case.f(*xs)[0])
        first = {(k, "reverse"): d for k, d in enumerate(pull(f, xs, (ones,)))}
        first |= {(k, "forward"): push(f, xs, only(k, ones, xs))[0] for k in range(n)}
        gradient = derived(f, "reverse", (ones,))
        second = {}
        for i, j in itertools.product(range(n), repeat=2):
            tangent = derived(f, "forward", only(i, ones, xs))
            second[i, j] = {
                "forward over reverse": push(gradient, xs, only(j, ones, xs))[i],
                "reverse over reverse": pull(gradient, xs, only(i, ones, xs))[j],
                "reverse over forward": pull(tangent, xs, (ones,))[j],
                "forward over forward": push(tangent, xs, only(j, ones, xs))[0],
            }
    return y, first, second


def largest(second):
    """At each point the largest of the second derivatives that are finite: what one that cancels is rounded against."""
    found = [np.abs(ways["forward over reverse"]) for ways in second.values()]
    return np.max([np.where(np.isfinite(d), d, 0.0) for d in found], axis=0)


@pytest.mark.parametrize("op", POINTWISE, ids=lambda op: op.name)
def test_the_four_ways_agree_at_special_points(op):
    xs = points(op)
    y, first, second = partials(op, xs)
    rounding = 64 * np.finfo(float).eps * largest(second)
    calm = np.isfinite(y)
    for d in first.values():
        calm &= np.isfinite(d)
    wrong = []
    for (i, j), ways in second.items():
        mirrored = second[j, i]["forward over reverse"]
        for name, got in {**ways, "the transposed Hessian": mirrored}.items():
            want = ways["forward over reverse"]
            # each way multiplies the same numbers in another order
            with np.errstate(all="ignore"):
                near = np.abs(got - want) <= 1e-12 * np.abs(want) + rounding + 1e-300
            same = near | (~np.isfinite(got) & ~np.isfinite(want))
            for p in np.flatnonzero(calm & ~same):
                wrong.append((i, j, name, *(float(x[p]) for x in xs), float(got[p]), float(want[p])))
    assert not wrong, f"{op.name}: (i, j, way, point, got, wanted)\n" + "\n".join(map(str, wrong[:20]))


@pytest.mark.parametrize("op", POINTWISE, ids=lambda op: op.name)
def test_modes_agree_at_special_points(op):
    xs = points(op)
    y, first, _ = partials(op, xs)
    for k in range(op.arity):
        ahead, back = first[k, "forward"][np.isfinite(y)], first[k, "reverse"][np.isfinite(y)]
        np.testing.assert_array_equal(ahead, back, err_msg=f"{op.name}, argument {k}")


def difference(f, point, orders, side, h):
    """A partial derivative by differences so small that they are exact to a double: forward, backward or central."""
    k = next((k for k, n in enumerate(orders) if n), None)
    if k is None:
        return f(*point)
    less = [n - (i == k) for i, n in enumerate(orders)]
    above, below = ([x + sign * h if i == k else x for i, x in enumerate(point)] for sign in side)
    return (difference(f, above, less, side, h) - difference(f, below, less, side, h)) / ((side[0] - side[1]) * h)


def true_partial(f, point, orders):
    """One partial derivative in many digits; None where there is none (a kink, an edge of the domain) or no double."""
    wide = any(x != 0 and not 1e-100 < abs(x) < 1e100 for x in point)
    with mp.workdps(800 if wide else 400):  # twice the digits that two differences lose
        exact = [mp.mpf(float(x)) for x in point]
        h = mp.mpf(10) ** -40 * min([abs(x) for x in exact if x] + [mp.mpf(1)])
        try:
            value = f(*exact)
            if not isinstance(value, mp.mpf) or not abs(value) <= 1e300:
                return None
            sides = [difference(f, exact, orders, side, h) for side in ((0, -1), (1, -1), (1, 0))]
            sides.append(difference(f, exact, orders, (1, -1), h / 1000))
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            return None
        if any(not isinstance(s, mp.mpf) or not mpmath.isfinite(s) for s in sides):
            return None
        scale = max(map(abs, sides))
        if max(sides) - min(sides) > mp.mpf(10) ** -12 * scale + mp.mpf(10) ** -30 or scale > 1e300:
            return None
        return float(sides[1])


def beyond_doubles(op, point):
    """A power of a negative number turns on whether the exponent is odd, and b - 1 is b from 2**53 on."""
    return op.name in ("power", "float_power") and point[0] < 0 and abs(point[1]) >= 2**53


@pytest.mark.parametrize("op", [op for op in POINTWISE if op.name in TRUTH and op.arity <= 2], ids=lambda op: op.name)
def test_mpmath_agrees_at_special_points(op):
    f, xs = TRUTH[op.name], points(op)
    y, first, second = partials(op, xs)
    curvature = largest(second)
    checked, wrong = 0, []
    for p in range(len(y)):
        point = [float(x[p]) for x in xs]
        wanted = [((k,), first[k, mode][p]) for k in range(op.arity) for mode in ("reverse", "forward")]
        wanted += [(pair, ways["forward over reverse"][p]) for pair, ways in second.items() if pair[0] <= pair[1]]
        for which, got in wanted:
            orders = tuple(which.count(k) for k in range(op.arity))
            calm = np.isfinite([y[p], *(first[k, "reverse"][p] for k in which)]).all()
            true = true_partial(f, point, orders) if calm and not beyond_doubles(op, point) else None
            if true is None:
                continue
            checked += 1
            # a derivative that vanishes by cancellation keeps the rounding of the others at this point
            others = [y[p], *(first[k, "reverse"][p] for k in which)] if len(which) == 2 else [y[p]]
            floor = max(min(max(map(abs, others)), 1.0), curvature[p] if len(which) == 2 else 0.0)
            allowed = 1e-11 * abs(true) + 16 * np.finfo(float).eps * floor + 1e-290
            if not abs(got - true) <= allowed:
                wrong.append((which, *point, float(got), true))
    assert checked, "mpmath had nothing to say"
    assert not wrong, f"{op.name}: (by, point, got, true)\n" + "\n".join(map(str, wrong[:20]))


def test_most_of_numpys_pointwise_operations_have_an_exact_oracle():
    """What is SciPy's is held against mpmath in tests of its own."""
    numpys = [op for op in POINTWISE if any(getattr(np, f.__name__, None) is f for f in op.numpy)]
    known = [op.name for op in numpys if op.name in TRUTH]
    assert len(known) >= 0.7 * len(numpys), sorted({op.name for op in numpys} - set(known))
