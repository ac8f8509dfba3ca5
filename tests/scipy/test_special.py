"""SciPy's special functions: values, edges against mpmath, and what reaches the rules from where."""

import subprocess
import sys

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads

scipy_special = pytest.importorskip("scipy.special")
from autodiff.scipy import special  # noqa: E402 it needs SciPy


def slope(f, *args, k=None, order=1):
    """The derivative of f by its argument k, the last one where none is named."""
    k = len(args) - 1 if k is None else k

    def along(x):
        return f(*args[:k], x, *args[k + 1 :])

    for _ in range(order):
        along = ad.grad(along)
    return float(along(float(args[k])))


def exact(f, *args, k=None, order=1):
    """The same by mpmath, which computes with as many digits as it takes."""
    k = len(args) - 1 if k is None else k
    with mpmath.workdps(60):
        numbers = [mpmath.mpf(x) for x in args]

        def along(x):
            return f(*numbers[:k], x, *numbers[k + 1 :])

        return float(mpmath.diff(along, numbers[k], order, h=mpmath.mpf(10) ** -15))


# -- how the rules are reached -----------------------------------------------------------------------------------------


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


def test_autodiff_alone_does_not_import_scipy():
    done = run("import sys, autodiff; assert not [m for m in sys.modules if m.partition('.')[0] == 'scipy']")
    assert done.returncode == 0, done.stderr


def test_a_ufunc_of_scipy_brings_its_rules_with_it():
    done = run(
        "import autodiff as ad; from scipy.special import erf, xlogy; import sys\n"
        "assert 'autodiff.scipy.special' not in sys.modules\n"
        "print(repr(float(ad.grad(erf)(0.5))), repr(float(ad.grad(xlogy, argnums=1)(2.0, 4.0))))"
    )
    assert done.returncode == 0, done.stderr
    first, second = map(float, done.stdout.split())
    assert first == pytest.approx(2 / np.sqrt(np.pi) * np.exp(-0.25), rel=1e-15)
    assert second == 0.5


def test_without_scipy_the_extra_is_named():
    done = run("import sys; sys.modules['scipy'] = None\nimport autodiff\nimport autodiff.scipy")
    assert done.returncode == 1
    assert "MissingExtraError" in done.stderr
    assert 'pip install -e ".[scipy]"' in done.stderr


def test_outer_of_a_ufunc():
    a, b = np.array([0.5, 1.5]), np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        ad.grad(lambda x: scipy_special.xlogy.outer(x, b).sum())(a), np.full(2, np.log(b).sum()), rtol=1e-15
    )


def test_the_namespace_is_scipys():
    assert set(dir(scipy_special)) <= set(dir(special))
    assert special.erf is scipy_special.erf
    assert special.logsumexp([0.0, 0.0]) == scipy_special.logsumexp([0.0, 0.0])


@pytest.mark.parametrize("function", ["logsumexp", "zeta", "lambertw", "polygamma"])
def test_scipys_own_python_functions_refuse_tensors(function):
    call = getattr(scipy_special, function)
    with pytest.raises((ad.errors.LostHistoryError, ad.errors.NoRuleError)):
        ad.grad(lambda x: np.real(call(1, x) if function == "polygamma" else call(x)))(2.0)


def test_orders_are_refused_by_name():
    with pytest.raises(ad.errors.NoRuleError, match="jv has no derivative rule for its argument 0"):
        ad.grad(lambda v: special.jv(v, 1.0))(2.0)
    with pytest.raises(ad.errors.NoRuleError, match="zeta has no derivative rule for its argument 0"):
        ad.grad(lambda s: special.zeta(s, 1.0))(2.0)


def test_float32_stays():
    x = np.array([0.5, 1.5], np.float32)
    for f in (special.erf, special.gammaln, special.expit, lambda x: special.gammainc(np.float32(2), x)):
        d = ad.elementwise_grad(f)(x)
        assert d.dtype == np.float32
        np.testing.assert_allclose(d, ad.elementwise_grad(f)(x.astype(float)), rtol=1e-6)


# -- against mpmath, where the textbook's formula would have lost its digits -------------------------------------------

FAR = [
    (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), (-40.0,)),
    (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), (8.0,)),
    (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (6.0,)),
    (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (30.0,)),
    (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (-4.0,)),
    (special.dawsn, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x), (25.0,)),
    (special.dawsn, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x), (-7.5,)),
    (special.exprel, lambda x: mpmath.expm1(x) / x, (1e-9,)),
    (special.exprel, lambda x: mpmath.expm1(x) / x, (-30.0,)),
    (special.exprel, lambda x: mpmath.expm1(x) / x, (50.0,)),
    (special.betaln, lambda a, b: mpmath.log(mpmath.beta(a, b)), (1.5, 1e8)),
    (special.kl_div, lambda x, y: x * mpmath.log(x / y) - x + y, (3.0, 3.0000001)),
    (special.boxcox, lambda x, p: (x**p - 1) / p, (3.0, 1e-7)),
    (special.inv_boxcox, lambda x, p: (1 + p * x) ** (1 / p), (3.0, 1e-6)),
    (special.ellipk, mpmath.ellipk, (1e-9,)),
    (special.ellipk, mpmath.ellipk, (-40.0,)),
    (special.ellipe, mpmath.ellipe, (0.999,)),
    (special.psi, lambda x: mpmath.psi(0, x), (-3.3,)),
    (special.expit, lambda x: 1 / (1 + mpmath.exp(-x)), (-700.0,)),
]


@pytest.mark.parametrize(("ours", "theirs", "at"), FAR, ids=[f"{f.__name__} at {at}" for f, _, at in FAR])
@pytest.mark.parametrize("order", [1, 2])
def test_far_out(ours, theirs, at, order):
    # a second derivative next to its recurrence's end loses (2x²)² ulps at most
    assert slope(ours, *at, order=order) == pytest.approx(exact(theirs, *at, order=order), rel=2e-12)


def test_difference_of_digammas_for_a_large_argument():
    """ψ(a) − ψ(a + b) is 1e-8 here, where each is 18: their plain difference has eight digits."""
    want = exact(lambda a, b: mpmath.log(mpmath.beta(a, b)), 1e8, 1.5, k=0)
    assert slope(special.betaln, 1e8, 1.5, k=0) == pytest.approx(want, rel=1e-14)
    plain = float(scipy_special.psi(1e8) - scipy_special.psi(1e8 + 1.5))
    assert abs(plain / want - 1) > 1e-9, "the trap is gone: the plain difference would do"


def lower(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


def minus_upper(a, x):
    return -mpmath.gammainc(a, x, mpmath.inf, regularized=True)


@pytest.mark.parametrize(
    "at", [(0.3, 0.1), (0.3, 2.0), (1e-3, 0.5), (2.5, 1e-6), (2.5, 40.0), (30.0, 25.0), (30.0, 60.0), (300.0, 350.0)]
)
@pytest.mark.parametrize("order", [1, 2])
def test_incomplete_gamma_by_its_parameter(at, order):
    tail = at[1] > at[0] + 1
    want = exact(minus_upper if tail else lower, *at, k=0, order=order)
    assert slope(special.gammainc, *at, k=0, order=order) == pytest.approx(want, rel=1e-12)
    assert slope(special.gammaincc, *at, k=0, order=order) == pytest.approx(-want, rel=1e-12)


@pytest.mark.parametrize(
    "at", [(0.3, 0.4, 0.1), (2.0, 3.0, 0.3), (2.0, 3.0, 0.9), (30.0, 40.0, 0.4), (300.0, 400.0, 0.45), (0.01, 5.0, 0.5)]
)
@pytest.mark.parametrize("k", [0, 1, 2])
def test_incomplete_beta_by_each_argument(at, k):
    a, b, x = at
    tail = x > (a + 1) / (a + b + 2)

    def theirs(a, b, x):
        return -mpmath.betainc(a, b, x, 1, regularized=True) if tail else mpmath.betainc(a, b, 0, x, regularized=True)

    assert slope(special.betainc, *at, k=k) == pytest.approx(exact(theirs, *at, k=k), rel=1e-12)


@pytest.mark.parametrize("at", [(0.7, -2.0), (3.3, 1e-7), (3.3, 1.8), (3.3, 40.0), (500.0, 2.0)])
@pytest.mark.parametrize("k", [0, 1])
def test_students_distribution_by_its_degrees(at, k):
    def theirs(v, t):
        half = mpmath.betainc(v / 2, 0.5, 0, v / (v + t * t), regularized=True) / 2
        return half if t < 0 else 1 - half

    assert slope(special.stdtr, *at, k=k) == pytest.approx(exact(theirs, *at, k=k), rel=1e-9)


@pytest.mark.parametrize("size", [1e4, 1e5])
def test_large_parameters_settle(size):
    """Beside its mean such a gamma distribution is nearly normal; series and fraction still end."""
    a = np.full(4, size)
    x = a + np.sqrt(a) * np.array([-2.0, -0.1, 0.1, 2.0])
    found = ad.grad(lambda a: special.gammainc(a, x).sum())(a)
    np.testing.assert_allclose(found, -ad.grad(lambda x: special.gammainc(a, x).sum())(x), rtol=0.02)


# -- edges -------------------------------------------------------------------------------------------------------------


def test_reciprocal_gamma_at_its_zeros():
    found = ad.elementwise_grad(special.rgamma)(np.array([0.0, -1.0, -2.0, -3.0]))
    np.testing.assert_allclose(found, [1.0, -1.0, 2.0, -6.0], rtol=1e-14)  # (−1)ⁿ·n!


def test_saturated():
    x = np.array([-800.0, 800.0])
    np.testing.assert_array_equal(ad.elementwise_grad(special.expit)(x), [0.0, 0.0])
    np.testing.assert_array_equal(ad.elementwise_grad(special.log_expit)(x), [1.0, 0.0])
    np.testing.assert_array_equal(ad.elementwise_grad(special.erf)(x), [0.0, 0.0])
    assert slope(special.log_ndtr, 40.0) == 0.0


def test_zero_probabilities():
    p = np.array([0.0, 0.5])
    np.testing.assert_array_equal(ad.grad(lambda p: special.xlogy(p, p).sum())(p)[1], np.log(0.5) + 1)
    np.testing.assert_array_equal(ad.grad(lambda q: special.xlogy(0.0, q).sum())(p), [0.0, 0.0])
    np.testing.assert_array_equal(ad.grad(lambda q: special.rel_entr(0.0, q).sum())(p), [0.0, 0.0])
    masked = ad.grad(lambda p: np.where(p > 0, special.entr(p), 0.0).sum())(p)
    np.testing.assert_array_equal(masked, [0.0, -1 - np.log(0.5)])


def test_lambertw_through_zero():
    assert ad.grad(lambda x: special.lambertw(x).real)(0.0) == 1.0
    assert slope(lambda x: special.lambertw(x).real, 0.0, order=2) == -2.0  # w = x − x² + …


def test_a_branch_not_taken():
    x = np.array([-2.0, 0.0, 2.0])
    found = ad.grad(lambda x: np.where(x > 0, special.gammaln(np.where(x > 0, x, 1.0)), 0.0).sum())(x)
    np.testing.assert_array_equal(found, [0.0, 0.0, special.psi(2.0)])
    plain = ad.grad(lambda x: np.where(x > 0, special.gammaln(x), 0.0).sum())(x)
    np.testing.assert_array_equal(plain, found)


# -- SciPy's plain Python functions ------------------------------------------------------------------------------------

A = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
B = np.array([[1.0, -0.5, 2.0], [0.5, 0.0, 1.5]])
N, K = np.array([5.5, 7.0, 4.2]), np.array([2.0, 3.3, 1.1])
CALLS = {
    "logsumexp": (special.logsumexp, scipy_special.logsumexp, (A,)),
    "logsumexp axis": (lambda a: special.logsumexp(a, 1), lambda a: scipy_special.logsumexp(a, 1), (A,)),
    "logsumexp weights": (
        lambda a, b: special.logsumexp(a, axis=1, b=b), lambda a, b: scipy_special.logsumexp(a, axis=1, b=b), (A, B),
    ),
    "logsumexp stretched": (
        lambda a, b: special.logsumexp(a, axis=0, b=b, keepdims=True),
        lambda a, b: scipy_special.logsumexp(a, axis=0, b=b, keepdims=True), (A, B[0] ** 2),
    ),
    "logsumexp sign": (
        lambda a: special.logsumexp(a, axis=1, b=-B, return_sign=True)[0],
        lambda a: scipy_special.logsumexp(a, axis=1, b=-B, return_sign=True)[0], (A,),
    ),
    "softmax": (special.softmax, scipy_special.softmax, (A,)),
    "softmax axis": (lambda a: special.softmax(a, axis=0), lambda a: scipy_special.softmax(a, axis=0), (A,)),
    "log_softmax": (special.log_softmax, scipy_special.log_softmax, (A,)),
    "multigammaln": (lambda a: special.multigammaln(a, 3), lambda a: scipy_special.multigammaln(a, 3), (N,)),
    "zeta": (lambda q: special.zeta(2.5, q), lambda q: scipy_special.zeta(2.5, q), (N,)),
    "polygamma": (lambda x: special.polygamma(2, x), lambda x: scipy_special.polygamma(2, x), (N,)),
    "lambertw": (lambda x: special.lambertw(x, 0).real, lambda x: scipy_special.lambertw(x, 0).real, (N,)),
    "comb": (special.comb, scipy_special.comb, (N, K)),
    "comb with repetition": (
        lambda n, k: special.comb(n, k, repetition=True),
        lambda n, k: scipy_special.comb(n, k, repetition=True), (N, K),
    ),
    "perm": (special.perm, scipy_special.perm, (N, K)),
    "spherical_jn": (lambda z: special.spherical_jn(2, z), lambda z: scipy_special.spherical_jn(2, z), (N,)),
    "spherical_jn of order 0": (lambda z: special.spherical_jn(0, z), lambda z: scipy_special.spherical_jn(0, z), (N,)),
    "spherical_in′": (
        lambda z: special.spherical_in(1, z, derivative=True),
        lambda z: scipy_special.spherical_in(1, z, derivative=True), (K,),
    ),
    "chdtr": (special.chdtr, scipy_special.chdtr, (N, K)),
    "gdtrc": (lambda b, x: special.gdtrc(0.7, b, x), lambda b, x: scipy_special.gdtrc(0.7, b, x), (N, K)),
    "pdtr": (lambda m: special.pdtr(2, m), lambda m: scipy_special.pdtr(2, m), (N,)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_python_functions(name):
    ours, theirs, args = CALLS[name]
    traced = ad.trace(lambda *xs: ours(*xs))(*args)
    want = theirs(*args)
    found = np.asarray(traced.values[traced.outputs[0]])
    assert found.shape == np.shape(want)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    np.testing.assert_array_equal(ours(*args), want)
    check_grads(ours, args, order=2)


def test_logsumexp_of_weights_that_are_zero():
    a, b = np.array([1.0, 800.0, 2.0]), np.array([1.0, 0.0, 3.0])
    found = ad.grad(lambda a: special.logsumexp(a, b=b))(a)
    np.testing.assert_allclose(found, scipy_special.softmax([1.0, -np.inf, 2.0 + np.log(3.0)]), rtol=1e-14)
    assert np.isnan(special.logsumexp(np.array([1.0]), b=np.array([-1.0])))
    assert np.isnan(ad.trace(lambda a: special.logsumexp(a, b=-1.0))(a).values.results[-1])


def test_scipys_own_errors():
    with pytest.raises(ValueError, match="not met"):
        ad.grad(lambda a: special.multigammaln(a, 3))(0.5)
    with pytest.raises(ad.errors.KeywordError, match="out"):
        ad.grad(lambda q: special.zeta(2.0, q, out=np.zeros(())))(0.5)


def test_several_results_at_once():
    """Airy functions satisfy y″ = x·y, and the two integrals of sine and cosine have theirs as slopes."""
    x = np.linspace(0.5, 4.0, 7)
    for k in (0, 2):
        second = ad.elementwise_grad(ad.elementwise_grad(lambda x, k=k: special.airy(x)[k]))(x)
        np.testing.assert_allclose(second, x * scipy_special.airy(x)[k], rtol=1e-14)
    np.testing.assert_allclose(ad.elementwise_grad(lambda x: special.sici(x)[1])(x), np.cos(x) / x, rtol=1e-14)


# -- ends of the domains, poles and limits -----------------------------------------------------------------------------


def choices(n, k):
    return mpmath.gamma(n + 1) * mpmath.rgamma(k + 1) * mpmath.rgamma(n - k + 1)


BEYOND = [
    (special.spence, lambda x: mpmath.polylog(2, 1 - x), (1e16,), 0),
    (special.spence, lambda x: mpmath.polylog(2, 1 - x), (1e10,), 0),
    (special.spence, lambda x: mpmath.polylog(2, 1 - x), (102.0,), 0),
    (special.ellipk, mpmath.ellipk, (-1e16,), 0),
    (special.ellipk, mpmath.ellipk, (-1e10,), 0),
    (special.ellipk, mpmath.ellipk, (-101.0,), 0),
    (special.inv_boxcox, lambda x, p: (1 + p * x) ** (1 / p), (1e17, 0.5), 1),
    (special.inv_boxcox, lambda x, p: (1 + p * x) ** (1 / p), (1e10, 3.0), 1),
    (special.binom, choices, (2.0, 5.0), 0),
    (special.binom, choices, (2.0, 5.0), 1),
    (special.binom, choices, (3.0, 5.0), 0),
    (special.binom, choices, (3.0, -2.0), 0),
    (special.binom, choices, (3.0, -2.0), 1),
    (lambda x: special.shichi(x)[0], mpmath.shi, (1e-9,), 0),
    (lambda x: special.shichi(x)[0], mpmath.shi, (-0.7,), 0),
    (lambda x: special.shichi(x)[0], mpmath.shi, (1.3,), 0),
    (special.log_ndtr, lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2), (-2e9,), 0),
    *[(special.i0e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), (x,), 0) for x in (-3e9, 29.0, 31.0, 3e9)],
    *[(special.i1e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), (x,), 0) for x in (-3e9, 29.0, 31.0, 3e9)],
    *[(special.k0e, lambda x: mpmath.exp(x) * mpmath.besselk(0, x), (x,), 0) for x in (29.0, 31.0, 1e9, 3e9)],
    *[(special.k1e, lambda x: mpmath.exp(x) * mpmath.besselk(1, x), (x,), 0) for x in (29.0, 31.0, 1e9, 3e9)],
]


@pytest.mark.parametrize(("ours", "theirs", "at", "k"), BEYOND)
@pytest.mark.parametrize("order", [1, 2])
def test_beyond(ours, theirs, at, k, order):
    # 1e-14: a second derivative that is 0 by the symmetry of its terms
    with np.errstate(all="ignore"):
        found = slope(ours, *at, k=k, order=order)
    with mpmath.workdps(120):
        numbers = [mpmath.mpf(x) for x in at]
        h = mpmath.mpf(10) ** -30 * max(1, abs(numbers[k]))
        x = numbers[k]

        def f(x):
            return theirs(*numbers[:k], x, *numbers[k + 1 :])

        true = (f(x + h) - f(x - h)) / (2 * h) if order == 1 else (f(x + h) - 2 * f(x) + f(x - h)) / h**2
    assert found == pytest.approx(float(true), rel=2e-12, abs=1e-14 if ours is special.binom else 0)


INF = np.inf
LIMITS = [
    (special.rgamma, INF, (0.0, 0.0)), (lambda x: special.shichi(x)[0], 0.0, (1.0, 0.0)),
    (special.erf, INF, (0.0, 0.0)), (special.erf, -INF, (0.0, 0.0)), (special.erfc, INF, (0.0, 0.0)),
    (special.ndtr, INF, (0.0, 0.0)), (special.ndtr, -INF, (0.0, 0.0)), (special.log_ndtr, INF, (0.0, 0.0)),
    (special.log_ndtr, -INF, (INF, -1.0)), (special.log_ndtr, -1e200, (1e200, -1.0)),
    (special.logit, 0.0, (INF, -INF)), (special.logit, 1e-300, (1e300, -INF)), (special.logit, 1.0, (INF, INF)),
    (lambda x: special.gammainc(2.5, x), INF, (0.0, 0.0)), (lambda x: special.gammaincc(0.5, x), INF, (0.0, 0.0)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "want"), LIMITS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_limits(f, at, want):
    assert tuple(slope(f, at, order=n) for n in (1, 2)) == pytest.approx(want, rel=1e-15, abs=0)


@pytest.mark.parametrize("a", [[INF, 1.0], [-INF, -INF], [INF, INF], [-INF, 1.0], [2.0, 1.0]])
def test_logsumexp_with_weights_of_1_is_that_without(a):
    a, ones = np.array(a), np.ones(2)
    found = ad.grad(lambda a, b: special.logsumexp(a, b=b), argnums=(0, 1))(a, ones)
    want = ad.grad(special.logsumexp)(a)
    for one in found:
        np.testing.assert_allclose(one, want, rtol=1e-14)


def test_logsumexp_of_nothing_but_zero_weights():
    by_a, by_b = ad.grad(lambda a, b: special.logsumexp(a, b=b), argnums=(0, 1))(np.array([1.0, 2.0]), np.zeros(2))
    np.testing.assert_array_equal(by_a, 0.0)
    np.testing.assert_array_equal(by_b, INF)


def exact_by_shape(a, x, order):
    """The derivative of the density by a, integrated from x away from its middle."""
    with mpmath.workdps(40):
        a, x = mpmath.mpf(a), mpmath.mpf(x)

        def by_a(t):
            slope, density = mpmath.log(t) - mpmath.psi(0, a), mpmath.exp((a - 1) * mpmath.log(t) - t - lgamma)
            return density * (slope if order == 1 else slope**2 - mpmath.psi(1, a))

        lgamma, step = mpmath.loggamma(a), mpmath.sqrt(a) * (1 if x > a else -1)
        ends = [x + step * k for k in (0, 0.2, 0.6, 1.5, 3, 6, 12)]
        return -float(mpmath.quad(by_a, ends))


@pytest.mark.parametrize(("a", "z"), [(1.01e5, 0.3), (3e5, 0.0), (1e6, -3.0), (1e6, 1.5), (1e8, 8.0), (1e10, -0.5)])
def test_incomplete_gamma_by_a_large_shape(a, z):
    x = a + z * np.sqrt(a)
    # the rounding of ln(x / a), which is some z / √a, is felt at 1e10
    assert slope(special.gammainc, a, x, k=0) == pytest.approx(exact_by_shape(a, x, 1), rel=2e-12, abs=0)
    assert slope(special.gammaincc, a, x, k=0) == pytest.approx(-exact_by_shape(a, x, 1), rel=2e-12, abs=0)
    if z:
        second = slope(special.gammainc, a, x, k=0, order=2)
        assert second == pytest.approx(exact_by_shape(a, x, 2), rel=1e-11, abs=0)


@pytest.mark.parametrize(("a", "b", "x"), [(2e5, 3.0, 1 - 1e-5), (1e8, 3.0, 1 - 1e-8), (4e5, 3e5, 0.5715)])
def test_incomplete_beta_by_a_large_shape(a, b, x):
    """Against differences of the function itself, which mpmath or SciPy has to 1e-14 or so."""
    h = 1e-3 * a / np.sqrt(max(1.0, min(a, b)))
    if b == 3:  # 1 − Iₓ(a, 3) in closed form: Σ of three terms
        with mpmath.workdps(40):
            x, k = mpmath.mpf(x), mpmath.mpf(a)

            def value(a):
                return x**a * (1 + a * (1 - x) + a * (a + 1) / 2 * (1 - x) ** 2)

            want = float(mpmath.diff(value, k, h=mpmath.mpf(10) ** -12 * k))
        assert slope(special.betainc, a, b, float(x), k=0) == pytest.approx(want, rel=1e-9, abs=0)
    else:
        f = scipy_special.betainc
        want = (8 * (f(a + h, b, x) - f(a - h, b, x)) - f(a + 2 * h, b, x) + f(a - 2 * h, b, x)) / (12 * h)
        assert slope(special.betainc, a, b, x, k=0) == pytest.approx(want, rel=1e-7, abs=0)


def test_students_distribution_of_many_degrees_by_them():
    """∂F/∂ν tends to φ(t)·(t³ + t) / 4ν²."""
    v, t = 1e6, 1.0
    want = np.exp(-0.5) / np.sqrt(2 * np.pi) * 2 / (4 * v * v)
    assert slope(special.stdtr, v, t, k=0) == pytest.approx(want, rel=1e-5, abs=0)
