"""Quantiles and percentiles: every method, NumPy's own bits, ties and nans."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError, NoRuleError
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
    with pytest.raises(NoRuleError, match="q is a tensor"):
        ad.grad(lambda q: np.quantile(x, q))(0.5)
    with pytest.raises(KeywordError, match="'weights'"):
        ad.grad(lambda x: np.quantile(x, 0.5, weights=np.ones(4), method="inverted_cdf"))(x)
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.percentile(x, 50, out=np.zeros(())))(x)
    with pytest.raises(ValueError, match="range"):
        ad.grad(lambda x: np.quantile(x, 1.5))(x)
    with pytest.raises(ValueError, match="valid method"):
        ad.grad(lambda x: np.quantile(x, 0.5, method="mean"))(x)
