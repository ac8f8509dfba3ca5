"""Quantiles and percentiles: every method, NumPy's own bits, ties and nans."""

import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.testing import check_grads

METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("q", [0, 0.0, 0.3, 0.5, 1.0, [0.1, 0.77], [[0.2], [0.9]], np.float32(0.4), np.float64(0.6)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_as_numpy(method, q, dtype, rng):
    x = rng.standard_normal((2, 5, 3)).astype(dtype)
    for settings in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}, {"keepdims": True}):

        def f(x, settings=settings):
            return np.quantile(x, q, method=method, **settings)

        y, pull = ad.vjp(f, x)
        expected = f(x)
        assert y.shape == expected.shape
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)
        (delta,) = pull(np.ones_like(y))
        np.testing.assert_allclose(np.sum(delta), np.size(expected), rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method, rng):
    x = rng.standard_normal((4, 5))

    def f(x):
        return np.percentile(x, [0, 13.0, 60.0, 100], axis=0, method=method)

    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))
    check_grads(f, (x,), order=1)
    check_grads(lambda x: f(x) ** 2, (x,), order=2)
    graph = ad.graph.check(ad.trace(f)(x))
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, [x[::-1] * 2])[graph.outputs[0]], f(x[::-1] * 2))
    hessian = ad.hessian(lambda v: np.sum(f(v.reshape(4, 5)) ** 2))(x.ravel())
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


def as_numpy(f, *args):
    """The value of f inside a trace, which must be NumPy's, and the pullback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(*args)
        y, back = ad.vjp(f, *args)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)
    return y, back


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("q", [0, 0.3, [0.1, 0.77], np.float32(0.4)])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_nans_are_passed_over(method, q, dtype, rng):
    x = rng.standard_normal((2, 5, 3)).astype(dtype)
    x[0, 1, 2] = x[0, 2, 2] = x[1, :, 0] = np.nan
    for settings in ({}, {"axis": 1}, {"axis": -2, "keepdims": True}, {"axis": (0, -1), "keepdims": True}):
        y, back = as_numpy(lambda x, settings=settings: np.nanquantile(x, q, method=method, **settings), x)
        delta = back(np.where(np.isnan(y), 0, np.ones_like(y)))[0]
        np.testing.assert_allclose(np.sum(delta), np.sum(~np.isnan(y)), rtol=8 * np.finfo(dtype).eps)
        assert not np.any(delta[np.isnan(x)])
    as_numpy(lambda x: np.nanpercentile(x, np.multiply(q, 100, dtype=np.float64), 1, method=method), x)


@pytest.mark.parametrize("function", [np.quantile, np.percentile, np.nanquantile, np.nanpercentile])
@pytest.mark.parametrize("method", METHODS)
def test_derivatives_in_q_and_among_nans(function, method, rng):
    unit = 100.0 if "percentile" in function.__name__ else 1.0
    x, q = rng.standard_normal((3, 5)), np.array([0.13, 0.52]) * unit
    f = lambda x, q: function(x, q, axis=1, method=method)
    as_numpy(f, x, q)
    as_numpy(lambda q: function(x, q, method=method, keepdims=True), np.float64(0.37) * unit)
    if "percentile" in function.__name__:
        check_grads(f, (x, q), order=1)
    elif "nan" not in function.__name__:
        check_grads(lambda x, q: f(x, q) ** 2, (x, q), order=2)
    else:
        missing = np.where(x < -0.8, np.nan, x)
        as_numpy(f, missing, q)
        where = ~np.isnan(missing)

        def g(v, q):
            return f(np.where(where, v, np.nan), q) ** 2

        check_grads(g, (x, q), order=2)


def test_a_quantile_in_q_has_the_slope_to_its_right_and_at_the_end_that_to_its_left():
    x = np.array([1.0, 2.0, 5.0])
    slopes = [float(ad.grad(lambda q: np.quantile(x, q))(q)) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert slopes == [2, 2, 6, 6, 6]
    assert ad.grad(lambda q: np.quantile(x, q, method="hazen"))(0.05) == 0  # beyond the first element
    assert ad.grad(lambda q: np.quantile(x, q, method="hazen"))(0.95) == 0
    assert ad.grad(lambda q: np.quantile(x, q, method="lower"))(0.3) == 0


@pytest.mark.parametrize("function", [np.quantile, np.nanquantile])
@pytest.mark.parametrize("q", [0.3, 0, [0.1, 0.5, 1.0], np.float32(0.4)])
@pytest.mark.parametrize("settings", [{}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}])
def test_weights(function, q, settings, rng):
    x, weights = np.round(2 * rng.standard_normal((2, 5, 3))), rng.integers(0, 3, (2, 5, 3)).astype(float)
    weights[0, :, 0] = [0, 0, 1, 2, 0]
    weights[:, -1] = weights[1, :, -1] = 1.5

    def f(x, w):
        return function(x, q, method="inverted_cdf", weights=w, **settings)

    for holes in (x, np.where(x > 2, np.nan, x)):
        y, back = as_numpy(f, holes, weights)
        delta, flat = back(np.where(np.isnan(y), 0, np.ones_like(y)))
        np.testing.assert_allclose(np.sum(delta), np.sum(~np.isnan(y)), rtol=1e-13)
        np.testing.assert_array_equal(flat, np.zeros_like(weights))
        as_numpy(lambda x: f(x, weights), holes)


def test_weights_along_some_axes(rng):
    x, w = rng.standard_normal((2, 5, 3)), rng.uniform(0.5, 2, (5, 3))
    as_numpy(lambda x: np.quantile(x, [0.2, 0.6], axis=(1, 2), weights=w, method="inverted_cdf"), x)
    as_numpy(lambda x: np.percentile(x, 40, axis=(-1, 1), weights=w.T, method="inverted_cdf"), x)
    as_numpy(lambda x: np.quantile(x, 0.6, axis=1, weights=w[:, 0], method="inverted_cdf"), x)
    check_grads(
        lambda x: np.quantile(x, [0.2, 0.6], axis=1, weights=w[:, 0], method="inverted_cdf") ** 2, (x,), order=2
    )


def test_many_quantiles_at_once(rng):
    x, q = np.round(3 * rng.standard_normal((2, 40)), 1), np.linspace(0, 1, 23)
    y, back = as_numpy(lambda x: np.quantile(x, q, axis=1), x)
    one_by_one = sum(ad.vjp(lambda x, p=p: np.quantile(x, p, axis=1), x)[1](y[k])[0] for k, p in enumerate(q))
    np.testing.assert_allclose(back(y)[0], one_by_one, rtol=1e-12)


def test_a_replay_finds_the_places_anew(rng):
    x, q = rng.standard_normal((3, 6)), np.array([0.2, 0.6])
    x[0, 3] = np.nan
    other = np.where(np.isnan(x), 0.3, x[::-1] * 2)
    other[2, :4] = np.nan
    weights = rng.uniform(0.5, 2, (3, 6))
    for f in (
        lambda x, q: np.nanquantile(x, q, axis=1),
        lambda x, q: np.nanquantile(x, q, axis=1, method="nearest"),
        lambda x, q: np.nanquantile(x + 0 * q[0], 0.4, axis=1, weights=weights, method="inverted_cdf"),
    ):
        graph = ad.graph.check(ad.trace(f)(x, q))
        replayed = ad.sweep.evaluate(graph, [other, q[::-1] * 1.4])[graph.outputs[0]]
        np.testing.assert_array_equal(replayed, f(other, q[::-1] * 1.4))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_of_nothing_as_numpy(shape):
    x = np.zeros(shape)
    with pytest.warns(RuntimeWarning, match="empty slice"):
        y = ad.vjp(lambda x: np.nanquantile(x, 0.5, axis=-1 if shape == (3, 0) else 0), x)[0]
    assert y.shape == shape[:1] * (shape == (3, 0)) + shape[1:] * (shape == (0, 3))
    assert np.isnan(y).all()
    with pytest.raises(IndexError):
        ad.vjp(lambda x: np.quantile(x, 0.5), x)


@pytest.mark.parametrize(
    ("x", "q", "expected"),
    [
        ([3.0, 1.0, 2.0], 0.25, [0, 0.5, 0.5]),
        ([3.0, 1.0, 2.0], 0.5, [0, 0, 1]),
        ([2.0, 2.0, 5.0], 0.0, [0.5, 0.5, 0]),
        ([4.0], 0.7, [1]),
    ],
)
def test_shares(x, q, expected):
    np.testing.assert_allclose(ad.grad(lambda x: np.quantile(x, q))(np.array(x)), expected, rtol=1e-15)


def test_a_nan_makes_its_group_nan_and_no_other():
    x = np.array([[1.0, np.nan, 2.0], [3.0, 5.0, 4.0]])
    y, _ = ad.vjp(lambda x: np.quantile(x, [0.2, 0.5], axis=1), x)
    np.testing.assert_array_equal(y, np.quantile(x, [0.2, 0.5], axis=1))


def test_an_infinite_neighbour_counts_nothing_at_an_element_itself():
    x = np.array([1.0, 2.0, np.inf])  # NumPy, which forms 0·inf, has nan at 0.5
    y, pull = ad.vjp(lambda x: np.quantile(x, [0.5, 0.25]), x)
    np.testing.assert_array_equal(y, [2, 1.5])
    np.testing.assert_array_equal(pull(np.array([1.0, 0.0]))[0], [0, 1, 0])


def test_refusals():
    x = np.arange(4.0)
    for function in (np.quantile, np.nanpercentile):
        with pytest.raises(np.exceptions.AxisError):
            ad.grad(lambda x, function=function: function(x, 0.5, axis=1))(x)
        with pytest.raises(ValueError, match="repeated"):
            ad.grad(lambda x, function=function: function(x, 0.5, axis=(0, -1)))(x)
    with pytest.raises(ValueError, match="supports weights"):
        ad.grad(lambda x: np.quantile(x, 0.5, weights=np.ones(4)))(x)
    with pytest.raises(ValueError, match="non-negative"):
        ad.grad(lambda x: np.nanquantile(x, 0.5, weights=-np.ones(4), method="inverted_cdf"))(x)
    with pytest.raises(TypeError, match="real"):
        ad.grad(lambda x: np.abs(np.quantile(x + 1j, 0.5)))(x)
    with pytest.raises(TypeError, match="interpolation"):
        ad.grad(lambda x: np.quantile(x, 0.5, interpolation="lower"))(x)
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.nanquantile(x, 0.5, out=np.zeros(())))(x)
    with pytest.raises(ValueError, match="range"):
        ad.grad(lambda q: np.percentile(x, q))(101.0)
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.percentile(x, 50, out=np.zeros(())))(x)
    with pytest.raises(ValueError, match="range"):
        ad.grad(lambda x: np.quantile(x, 1.5))(x)
    with pytest.raises(ValueError, match="valid method"):
        ad.grad(lambda x: np.quantile(x, 0.5, method="mean"))(x)
