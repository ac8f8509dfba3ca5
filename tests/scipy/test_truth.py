"""SciPy's special functions of real arguments against mpmath: first and second derivatives over the whole domain.

tests/laws/test_special_points.py does the same for NumPy's functions out to 1e±150. Here the points are those at which
mpmath answers: many of these functions it can only sum, and a sum of 10¹⁵⁰ terms has no end.
"""

import itertools

import mpmath
import numpy as np
import pytest
from mpmath import mp

from autodiff.graph import OPERATIONS
from autodiff.testing import cases
from tests.laws.test_special_points import partials

pytest.importorskip("scipy.special")
import autodiff.scipy.special  # noqa: F401 its rules enter the registry

LEFT, SMALL, MIDDLE, LARGE = (-30.5, -7.3, -2.6, -0.4), (1e-8, 0.03), (0.4, 1.3, 2.7), (8.2, 35.0)
POSITIVE, REAL = (*SMALL, *MIDDLE, *LARGE), (*LEFT, *SMALL, *MIDDLE, *LARGE)
UNIT, SYMMETRIC = (1e-6, 0.02, 0.3, 0.5, 0.9, 1 - 1e-6), (-0.999, -0.6, -1e-6, 0.2, 0.9)
BOUNDED = (-5.5, -2.6, -0.4, 1e-8, 0.4, 1.3, 4.7)


def incomplete(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


def beta_part(a, b, x):
    return mpmath.betainc(a, b, 0, x, regularized=True)


def huber(d, r):
    return r * r / 2 if abs(r) <= d else d * (abs(r) - d / 2)


def power_of(x, k):
    return mpmath.log(x) if k == 0 else (x**k - 1) / k


# name: the function in many digits, and for each argument where it is looked at
TRUTH = {
    "gamma": (mpmath.gamma, REAL),
    "rgamma": (mpmath.rgamma, REAL),
    "gammaln": (lambda x: mpmath.log(abs(mpmath.gamma(x))), REAL),
    "loggamma": (mpmath.loggamma, POSITIVE),
    "psi": (mpmath.digamma, REAL),
    "betaln": (lambda a, b: mpmath.log(mpmath.beta(a, b)), POSITIVE, POSITIVE),
    "poch": (mpmath.rf, (0.4, 1.3, 8.2), (0.3, 1.5, 4.2)),
    "binom": (mpmath.binomial, (0.4, 1.3, 8.2), (0.3, 1.5, 4.2)),
    "gammainc": (incomplete, (0.4, 1.3, 8.2), POSITIVE),
    "gammaincc": (lambda a, x: mpmath.gammainc(a, x, mpmath.inf, regularized=True), (0.4, 1.3, 8.2), POSITIVE),
    "betainc": (beta_part, (0.4, 1.3, 8.2), (0.7, 3.1), (0.02, 0.3, 0.9)),
    "betaincc": (lambda a, b, x: 1 - beta_part(a, b, x), (0.4, 1.3, 8.2), (0.7, 3.1), (0.02, 0.3, 0.9)),
    "erf": (mpmath.erf, BOUNDED),
    "erfc": (mpmath.erfc, BOUNDED),
    "erfi": (mpmath.erfi, BOUNDED),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), BOUNDED),
    "dawsn": (lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x), REAL),
    "erfinv": (mpmath.erfinv, SYMMETRIC),
    "erfcinv": (lambda x: mpmath.erfinv(1 - x), UNIT),
    "ndtr": (mpmath.ncdf, BOUNDED),
    "log_ndtr": (lambda x: mpmath.log(mpmath.ncdf(x)), (*LEFT, *BOUNDED)),
    "ndtri": (lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1), UNIT),
    "ndtri_exp": (lambda y: mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.exp(y) - 1), (-5.0, -1.3, -0.4, -0.01)),
    "j0": (lambda x: mpmath.besselj(0, x), REAL),
    "j1": (lambda x: mpmath.besselj(1, x), REAL),
    "y0": (lambda x: mpmath.bessely(0, x), POSITIVE),
    "y1": (lambda x: mpmath.bessely(1, x), POSITIVE),
    "special.i0": (lambda x: mpmath.besseli(0, x), REAL),
    "i1": (lambda x: mpmath.besseli(1, x), REAL),
    "k0": (lambda x: mpmath.besselk(0, x), POSITIVE),
    "k1": (lambda x: mpmath.besselk(1, x), POSITIVE),
    "i0e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), (-7.3, -0.4, *MIDDLE, 8.2)),
    "i1e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), (-7.3, -0.4, *MIDDLE, 8.2)),
    "k0e": (lambda x: mpmath.exp(x) * mpmath.besselk(0, x), (0.03, *MIDDLE, 8.2)),
    "k1e": (lambda x: mpmath.exp(x) * mpmath.besselk(1, x), (0.03, *MIDDLE, 8.2)),
    "gaussian": (lambda x: mpmath.exp(-x * x), BOUNDED),
    "expit": (lambda x: 1 / (1 + mpmath.exp(-x)), REAL),
    "logit": (lambda p: mpmath.log(p / (1 - p)), UNIT),
    "log_expit": (lambda x: -mpmath.log1p(mpmath.exp(-x)), REAL),
    "special.expm1": (mpmath.expm1, REAL),
    "special.log1p": (mpmath.log1p, (-0.9, *POSITIVE)),
    "special.exp2": (lambda x: mpmath.power(2, x), REAL),
    "exp10": (lambda x: mpmath.power(10, x), REAL),
    "special.cbrt": (mpmath.cbrt, POSITIVE),
    "cosm1": (lambda x: mpmath.cos(x) - 1, REAL),
    "exprel": (lambda x: mpmath.expm1(x) / x, REAL),
    "powm1": (lambda x, y: x**y - 1, (0.4, 1.3, 2.7), BOUNDED),
    "xlogy": (lambda x, y: x * mpmath.log(y), REAL, POSITIVE),
    "xlog1py": (lambda x, y: x * mpmath.log1p(y), REAL, POSITIVE),
    "entr": (lambda x: -x * mpmath.log(x), POSITIVE),
    "rel_entr": (lambda x, y: x * mpmath.log(x / y), POSITIVE, POSITIVE),
    "kl_div": (lambda x, y: x * mpmath.log(x / y) - x + y, POSITIVE, POSITIVE),
    "special.huber": (huber, (0.4, 1.3), (-7.3, -0.2, 0.3, 0.9, 8.2)),
    "pseudo_huber": (lambda d, r: d * d * (mpmath.sqrt(1 + (r / d) ** 2) - 1), MIDDLE, REAL),
    "boxcox": (power_of, POSITIVE, (-1.3, 0.4, 2.0)),
    "boxcox1p": (lambda x, k: power_of(1 + x, k), POSITIVE, (-1.3, 0.4, 2.0)),
    "inv_boxcox": (lambda y, k: (k * y + 1) ** (1 / k), (0.03, *MIDDLE), (0.4, 2.0)),
    "inv_boxcox1p": (lambda y, k: (k * y + 1) ** (1 / k) - 1, (0.03, *MIDDLE), (0.4, 2.0)),
    "exp1": (mpmath.e1, POSITIVE),
    "expi": (mpmath.ei, (-7.3, -0.4, *SMALL, 1.3, *LARGE)),
    "spence": (lambda x: mpmath.polylog(2, 1 - x), (0.02, 0.4, 0.9, 1.3, 1.9)),
    "ellipk": (mpmath.ellipk, (-7.3, -0.4, *UNIT)),
    "ellipe": (mpmath.ellipe, (-7.3, -0.4, *UNIT)),
    "sindg": (lambda x: mpmath.sin(mpmath.radians(x)), REAL),
    "cosdg": (lambda x: mpmath.cos(mpmath.radians(x)), REAL),
    "tandg": (lambda x: mpmath.tan(mpmath.radians(x)), REAL),
    "cotdg": (lambda x: mpmath.cot(mpmath.radians(x)), (*LEFT, *MIDDLE, *LARGE)),  # SciPy's value is off near 0
    "wrightomega": (lambda x: mpmath.lambertw(mpmath.exp(x)), BOUNDED),
}

POINTWISE = [
    op
    for op in OPERATIONS.values()
    if op.kind == "elementwise" and not op.accepts and op.vjps[0] is not None
    and op.vjps[0].__module__.startswith("autodiff.scipy")
    and cases(op)[0].active == tuple(range(op.arity))
]  # fmt: skip

LOOSE = {"gammainc": 1e-9, "gammaincc": 1e-9, "betainc": 1e-9, "betaincc": 1e-9}
"""Their derivatives by a shape are sums of series whose terms cancel; all others are held to 1e-11."""


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mpmath_agrees(name):
    f, *where = TRUTH[name]
    op = OPERATIONS[name]
    xs = [np.array(column) for column in zip(*itertools.product(*where), strict=True)]
    y, first, second = partials(op, xs)
    tolerance, wrong = LOOSE.get(name, 1e-11), []
    for p in range(len(y)):
        point = [float(x[p]) for x in xs]
        wanted = [((k,), first[k, mode][p]) for k in range(op.arity) for mode in ("reverse", "forward")]
        wanted += [(pair, ways["forward over reverse"][p]) for pair, ways in second.items() if pair[0] <= pair[1]]
        with mp.workdps(120):
            for which, got in wanted:
                orders = tuple(which.count(k) for k in range(op.arity))
                exact = [mp.mpf(x) for x in point]
                steps = [mp.mpf(10) ** -30 * min(abs(x), 1) for x in exact]
                true = mp.re(_partial(f, exact, list(orders), steps))
                # a second derivative that nearly vanishes keeps the rounding of the first
                floor = abs(float(first[which[0], "reverse"][p])) if len(which) == 2 else abs(float(y[p]))
                # 1e-40: what differences of 120 digits leave of a zero
                if not abs(got - true) <= tolerance * abs(true) + 64 * np.finfo(float).eps * floor + 1e-40:
                    wrong.append((which, *point, float(got), float(true)))
    assert not wrong, "(by, point, got, true)\n" + "\n".join(map(str, wrong[:20]))


def _partial(f, point, orders, steps):
    """A partial derivative by central differences of 120 digits: exact to a double."""
    k = next((k for k, n in enumerate(orders) if n), None)
    if k is None:
        return f(*point)
    less = [n - (i == k) for i, n in enumerate(orders)]
    above, below = ([x + sign * steps[k] if i == k else x for i, x in enumerate(point)] for sign in (1, -1))
    return (_partial(f, above, less, steps) - _partial(f, below, less, steps)) / (2 * steps[k])


def test_most_of_them_have_an_exact_oracle():
    known = [op for op in POINTWISE if op.name in TRUTH]
    assert len(known) >= 0.85 * len(POINTWISE), sorted({op.name for op in POINTWISE} - set(TRUTH))
