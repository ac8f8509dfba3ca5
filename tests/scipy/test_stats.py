"""Distributions: SciPy's values in and out of the support, and derivatives by the variable and each parameter."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads

scipy_stats = pytest.importorskip("scipy.stats")
from autodiff.scipy import stats  # noqa: E402 it needs SciPy

CONTINUOUS = [
    ("norm", ()), ("cauchy", ()), ("laplace", ()), ("logistic", ()), ("gumbel_r", ()), ("gumbel_l", ()),
    ("t", (3.3,)), ("t", (0.5,)), ("t", (1e6,)), ("expon", ()), ("gamma", (0.5,)), ("gamma", (1.0,)), ("gamma", (3.0,)),
    ("chi2", (1.0,)), ("chi2", (2.0,)), ("chi2", (5.5,)), ("invgamma", (2.5,)), ("lognorm", (0.7,)), ("pareto", (2.5,)),
    ("weibull_min", (0.7,)), ("weibull_min", (1.0,)), ("weibull_min", (2.5,)), ("halfnorm", ()), ("halfcauchy", ()),
    ("uniform", ()), ("beta", (0.5, 0.5)), ("beta", (1.0, 1.0)), ("beta", (2.0, 3.0)), ("beta", (40.0, 30.0)),
    ("truncnorm", (-1.0, 2.0)), ("truncnorm", (1.0, 3.0)), ("truncnorm", (-4.0, -2.0)), ("truncnorm", (0.5, np.inf)),
]  # fmt: skip
DISCRETE = [
    ("bernoulli", (0.3,)), ("binom", (5, 0.3)), ("poisson", (2.5,)), ("geom", (0.3,)), ("nbinom", (2.5, 0.3)),
    ("betabinom", (6, 1.5, 2.5)),
]  # fmt: skip
METHODS = ("logpdf", "pdf", "logpmf", "pmf", "cdf", "sf", "logcdf", "logsf")
EVERYWHERE = np.array([-np.inf, -50.0, -3.0, -0.7, 0.0, 0.3, 0.5, 1.0, 1.5, 2.2, 10.0, 60.0, np.inf, np.nan])
WHOLE = np.array([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 30.0])
FRACTIONS = np.array([-1.0, 0.0, 0.01, 0.5, 0.9, 1.0, 2.0, np.nan])


def traced(f, *args):
    """The value that f computes on tensors."""
    graph = ad.trace(f)(*args)
    return np.asarray(graph.values[graph.outputs[0]])


def methods(name):
    return [m for m in (*METHODS, "ppf", "isf") if m in vars(getattr(stats, name))]


def title(pair):
    return f"{pair[0]}{pair[1]}"


@pytest.mark.parametrize("pair", CONTINUOUS, ids=title)
@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (0.5, 2.0), (0.0, -1.0)])
def test_values_of_continuous_distributions(pair, loc, scale):
    name, shapes = pair
    for method in methods(name):
        x = FRACTIONS if method in ("ppf", "isf") else EVERYWHERE
        ours, theirs = getattr(getattr(stats, name), method), getattr(getattr(scipy_stats, name), method)
        with np.errstate(all="ignore"):
            want = theirs(x, *shapes, loc, scale)
        found = traced(lambda x, ours=ours: ours(x, *shapes, loc=loc, scale=scale), x)
        # a quantile magnifies the rounding of what it is the quantile of
        rtol, atol = (1e-11, 1e-16) if method in ("ppf", "isf") else (1e-12, 1e-300)
        np.testing.assert_allclose(found, want, rtol=rtol, atol=atol, err_msg=method)


@pytest.mark.parametrize("pair", DISCRETE, ids=title)
@pytest.mark.parametrize("loc", [0, 1])
def test_values_of_discrete_distributions(pair, loc):
    name, shapes = pair
    k = len(shapes) - 1
    for method in methods(name):
        ours, theirs = getattr(getattr(stats, name), method), getattr(getattr(scipy_stats, name), method)
        with np.errstate(all="ignore"):
            want = theirs(WHOLE, *shapes, loc)
        found = traced(lambda p, ours=ours: ours(WHOLE, *shapes[:k], p, loc=loc), shapes[k])
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-15, err_msg=method)


@pytest.mark.parametrize("pair", CONTINUOUS, ids=title)
def test_derivatives_of_continuous_distributions(pair):
    name, shapes = pair
    if 1e6 in shapes or np.inf in shapes:  # too far for differences, which are what check_grads compares with
        return
    x = np.array([1.4, 1.9]) if name != "pareto" else np.array([3.4, 5.9])
    if name == "truncnorm" and shapes[1] < 0:
        x = x - 8
    for method in methods(name):
        f = getattr(getattr(stats, name), method)
        at = np.array([0.2, 0.7]) if method in ("ppf", "isf") else x
        # what the others are written in has its second order by the laws; where a slope is 0, rounding is left
        check_grads(f, (at, *shapes, 0.5, 2.1), order=2 if method == "logpdf" else 1, atol=1e-12)


@pytest.mark.parametrize("pair", DISCRETE, ids=title)
def test_derivatives_of_discrete_distributions(pair):
    name, shapes = pair
    free = [i for i, shape in enumerate(shapes) if isinstance(shape, float)]
    k = np.array([0]) if name == "bernoulli" else np.array([1, 2, 4])

    def by(f):
        def call(*values):
            given = list(shapes)
            for i, value in zip(free, values, strict=True):
                given[i] = value
            return f(k, *given)

        return call

    for method in methods(name):
        check_grads(by(getattr(getattr(stats, name), method)), tuple(shapes[i] for i in free), atol=1e-12,
                    order=2 if method in ("logpmf", "pmf") else 1)  # fmt: skip


@pytest.mark.parametrize("name", ["expon", "gamma", "beta", "lognorm", "uniform", "invgamma", "truncnorm", "pareto"])
def test_nothing_leaks_from_outside_of_the_support(name):
    shapes = {"gamma": (2.5,), "beta": (2.0, 3.0), "lognorm": (0.7,), "invgamma": (2.5,), "pareto": (2.5,),
              "truncnorm": (0.2, 0.9)}.get(name, ())  # fmt: skip
    inside = {"pareto": 1.5}.get(name, 0.6)
    distribution = getattr(stats, name)

    def total(x, *parameters):
        return np.where(x > 0, distribution.logpdf(x, *parameters), 0.0).sum()

    x = np.array([-1.0, inside, -np.inf])
    every = tuple(range(len(shapes) + 3))
    found = ad.grad(total, argnums=every)(x, *shapes, 0.0, 1.0)
    alone = ad.grad(lambda *args: distribution.logpdf(*args), argnums=every)(inside, *shapes, 0.0, 1.0)
    np.testing.assert_array_equal(found[0], [0.0, alone[0], 0.0])
    for one, other in zip(found[1:], alone[1:], strict=True):
        assert one == pytest.approx(float(other), rel=1e-14)
    beside = ad.grad(lambda x: distribution.pdf(x, *shapes))(-1.0)
    assert beside == 0.0


def test_keywords_and_lists_as_scipy_has_them():
    x = [0.5, 1.5]
    want = scipy_stats.gamma.logpdf(x, a=2.0, loc=0.1, scale=3.0)
    np.testing.assert_allclose(traced(lambda a: stats.gamma.logpdf(x, a=a, loc=0.1, scale=3.0), 2.0), want, rtol=1e-14)
    found = traced(lambda s: stats.norm.logpdf(1, scale=s), 2.0)
    np.testing.assert_allclose(found, scipy_stats.norm.logpdf(1, scale=2), rtol=1e-14)
    with pytest.raises(TypeError):
        ad.grad(lambda a: stats.gamma.logpdf(1.0, alpha=a))(2.0)
    with pytest.raises(TypeError):
        ad.grad(lambda x: stats.beta.logpdf(x, 2.0))(0.5)


def test_on_plain_arrays_it_is_scipys():
    x = np.array([0.3, 1.2])
    np.testing.assert_array_equal(stats.t.logpdf(x, 3.3), scipy_stats.t.logpdf(x, 3.3))
    assert stats.norm.mean(3.0) == 3.0
    assert stats.norm(1.0, 2.0).std() == 2.0
    assert stats.pearsonr is scipy_stats.pearsonr
    assert set(dir(scipy_stats)) <= set(dir(stats))


def test_the_tail_of_a_normal_distribution():
    found = ad.grad(stats.norm.logcdf)(-40.0)
    assert found == pytest.approx(40.0 + 1 / 40 - 2 / 40**3 + 10 / 40**5, rel=1e-9)  # Mills' ratio, term by term
    assert ad.grad(ad.grad(stats.norm.logcdf))(-40.0) == pytest.approx(-1 + 1 / 40**2 - 6 / 40**4, rel=1e-7)


def test_students_distribution_by_many_degrees():
    """Near the normal one the slope is (z⁴ − 2z² − 1) / 4ν², the difference of two digammas of 13 each."""
    z, df = 0.5, 1e6
    found = ad.grad(stats.t.logpdf, argnums=1)(z, df)
    assert found == pytest.approx((z**4 - 2 * z**2 - 1) / (4 * df**2), rel=1e-3)


# -- of several variables ----------------------------------------------------------------------------------------------

COV = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.2], [-0.1, 0.2, 0.7]])
MEAN = np.array([0.1, -0.2, 0.3])
NORMAL = {
    "one point": (np.array([0.5, 1.0, -0.3]), MEAN, COV),
    "many points": (np.arange(12.0).reshape(2, 2, 3) / 7, MEAN, COV),
    "scalar covariance": (np.array([0.5, 1.0, -0.3]), MEAN, 1.7),
    "one variable": (np.array([0.5, 1.0]), 0.3, 1.7),
    "one number": (0.5, 0.3, 1.7),
    "diagonal": (np.array([0.5, 1.0, -0.3]), MEAN, np.array([1.0, 2.0, 3.0])),
}


@pytest.mark.parametrize("name", NORMAL)
def test_multivariate_normal(name):
    x, mean, cov = NORMAL[name]

    def symmetric(x, mean, cov):
        return stats.multivariate_normal.logpdf(x, mean, (cov + np.transpose(cov)) / 2)

    want = scipy_stats.multivariate_normal.logpdf(x, mean, cov)
    found = traced(stats.multivariate_normal.logpdf, x, mean, cov)
    assert found.shape == np.shape(want)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    np.testing.assert_allclose(traced(stats.multivariate_normal.pdf, x, mean, cov), np.exp(want), rtol=1e-12)
    check_grads(symmetric, (x, mean, cov), order=2)


def test_singular_covariance():
    cov = np.array([[1.0, 1.0], [1.0, 1.0]])
    x = np.array([[0.5, 0.5], [0.5, 0.7]])
    with pytest.raises(np.linalg.LinAlgError):
        ad.grad(lambda x: stats.multivariate_normal.logpdf(x, cov=cov).sum())(x)
    normal = stats.multivariate_normal
    found = traced(lambda x: normal.logpdf(x, cov=cov, allow_singular=True), x)
    want = scipy_stats.multivariate_normal.logpdf(x, cov=cov, allow_singular=True)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    assert want[1] == -np.inf
    slope = ad.grad(lambda x: normal.logpdf(x, cov=cov, allow_singular=True)[0])(x)
    np.testing.assert_allclose(slope, [[-0.25, -0.25], [0.0, 0.0]], rtol=1e-12)
    with pytest.raises(ad.errors.NoRuleError, match="singular"):
        ad.grad(lambda c: normal.logpdf(x[0], cov=c, allow_singular=True))(cov)


def test_dirichlet():
    alpha = np.array([1.5, 2.0, 0.8])
    for x in (np.array([0.2, 0.5, 0.3]), np.array([0.2, 0.5]), np.array([[0.2, 0.1], [0.5, 0.6], [0.3, 0.3]])):
        want = scipy_stats.dirichlet.logpdf(x, alpha)
        np.testing.assert_allclose(traced(lambda a, x=x: stats.dirichlet.logpdf(x, a), alpha), want, rtol=1e-12)
        check_grads(lambda a, x=x: stats.dirichlet.logpdf(x, a), (alpha,), order=2)
    check_grads(lambda x: stats.dirichlet.logpdf(x, alpha), (np.array([0.2, 0.5]),), order=2)
    with pytest.raises(ValueError, match="simplex"):
        ad.grad(lambda a: stats.dirichlet.logpdf(np.array([0.2, 0.5, 0.9]), a))(alpha)


def test_multinomial():
    counts, p = np.array([[1, 2, 3], [0, 6, 0]]), np.array([0.2, 0.5, 0.3])
    want = scipy_stats.multinomial.logpmf(counts, 6, p)
    np.testing.assert_allclose(traced(lambda p: stats.multinomial.logpmf(counts, 6, p), p), want, rtol=1e-12)
    np.testing.assert_allclose(traced(lambda p: stats.multinomial.pmf(counts, 6, p), p), np.exp(want), rtol=1e-12)
    off = traced(lambda p: stats.multinomial.logpmf(np.array([1, 2, 4]), 6, p), p)
    assert off == -np.inf

    def of_scores(scores):
        weights = np.exp(scores)
        return stats.multinomial.logpmf(counts, 6, weights / np.sum(weights))

    check_grads(of_scores, (np.array([0.1, -0.4, 0.7]),), order=2)


# -- how a call is read, and the ends of every domain ------------------------------------------------------------------


def test_the_variable_by_keyword():
    assert ad.grad(lambda m: stats.poisson.logpmf(k=3, mu=m))(2.0) == pytest.approx(0.5, rel=1e-14)
    assert ad.grad(lambda x: stats.norm.logpdf(x=x))(1.0) == -1.0
    assert ad.grad(lambda x: stats.gamma.cdf(a=2.0, x=x))(1.0) == pytest.approx(np.exp(-1), rel=1e-14)
    y, tangent = ad.jvp(lambda q: stats.norm.ppf(q=q, loc=1.0), (0.5,), (1.0,))
    assert (y, tangent) == (1.0, pytest.approx(np.sqrt(2 * np.pi), rel=1e-14))


@pytest.mark.parametrize(
    "call",
    [
        lambda s: stats.norm.logpdf(1.0, 0.0, loc=s), lambda s: stats.norm.logpdf(1.0, 0.0, 1.0, s),
        lambda s: stats.norm.logpdf(loc=s), lambda s: stats.norm.logpdf(s, q=0.5), lambda s: stats.gamma.pdf(s),
        lambda s: stats.poisson.logpmf(x=1, mu=s), lambda s: stats.poisson.pmf(1, s, scale=2.0),
    ],
)  # fmt: skip
def test_what_scipy_does_not_take(call):
    with pytest.raises(TypeError):
        call(1.0)
    with pytest.raises(TypeError):
        ad.grad(call)(1.0)


@pytest.mark.parametrize("pair", DISCRETE, ids=title)
def test_a_discrete_variable_that_is_nan(pair):
    name, shapes = pair
    for method in methods(name):
        ours, theirs = getattr(getattr(stats, name), method), getattr(getattr(scipy_stats, name), method)
        assert np.isnan(theirs(np.nan, *shapes))
        y, tangent = ad.jvp(lambda p, f=ours: f(np.array([np.nan, 1.0]), *shapes[:-1], p), (shapes[-1],), (1.0,))
        np.testing.assert_array_equal(np.isnan(y), [True, False], err_msg=method)
        assert np.isfinite(tangent[1])
        assert np.isnan(tangent[0]) or method in ("cdf", "sf", "logcdf", "logsf"), method


SAME = [
    ("cauchy", "ppf", (1e-20,)), ("cauchy", "ppf", (1 - 1e-16,)), ("cauchy", "isf", (1e-20,)),
    ("cauchy", "logpdf", (1e200,)), ("cauchy", "logpdf", (-1e308,)), ("gumbel_r", "isf", (1e-20,)),
    ("t", "logpdf", (1.0, np.inf)), ("t", "cdf", (1.0, np.inf)), ("halfcauchy", "isf", (1.0,)),
    ("cauchy", "ppf", (0.5,)),
    ("invgamma", "cdf", (-0.0, 2.0)), ("invgamma", "sf", (-0.0, 2.0)), ("invgamma", "logcdf", (-0.0, 2.0)),
    ("invgamma", "logsf", (-0.0, 2.0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "method", "args"), SAME)
def test_values_at_the_ends(name, method, args):
    want = getattr(getattr(scipy_stats, name), method)(*args)
    found = traced(lambda x: getattr(getattr(stats, name), method)(x, *args[1:]), args[0])
    np.testing.assert_allclose(found, want, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "at", "want"),
    [
        (stats.gumbel_r.isf, 1e-20, -1e20), (stats.cauchy.isf, 1e-20, -1e40 / np.pi),
        (stats.cauchy.logpdf, 1e200, -2e-200), (stats.halfcauchy.isf, 1.0, -np.pi / 2),
        (lambda z: stats.t.logpdf(z, np.inf), 1.5, -1.5), (lambda x: stats.gamma.cdf(x, 2.5), np.inf, 0.0),
        (lambda z: stats.t.cdf(z, np.inf), 1.5, np.exp(-1.125) / np.sqrt(2 * np.pi)),
        (lambda x: stats.chi2.cdf(x, 3.0), np.inf, 0.0), (lambda x: stats.invgamma.cdf(x, 2.0), 0.0, 0.0),
    ],
)  # fmt: skip
def test_slopes_at_the_ends(call, at, want):
    assert ad.grad(call)(at) == pytest.approx(want, rel=1e-14, abs=0)


@pytest.mark.parametrize("pair", [*CONTINUOUS, *DISCRETE], ids=title)
def test_an_invalid_parameter_has_no_derivative(pair):
    name, shapes = pair
    if not shapes:
        y, slope = ad.value_and_grad(lambda s: getattr(stats, name).logpdf(1.0, 0.0, s))(-1.0)
        assert np.isnan(y)
        assert np.isnan(slope)
        return
    density = getattr(stats, name).logpmf if pair in DISCRETE else getattr(stats, name).logpdf
    last = -7.0 if name == "truncnorm" else -1.0
    y, slope = ad.value_and_grad(lambda s: density(1, *shapes[:-1], s))(last)
    assert np.isnan(y)
    assert np.isnan(slope)


def test_a_scalar_is_a_scalar():
    assert type(ad.vjp(lambda m: stats.norm.logpdf(1.0, m), 0.0)[0]) is np.float64
    assert type(ad.vjp(lambda m: stats.poisson.pmf(1, m), 2.0)[0]) is np.float64
    assert type(ad.vjp(lambda q: stats.norm.ppf(q), 0.2)[0]) is np.float64
