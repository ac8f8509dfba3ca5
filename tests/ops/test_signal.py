"""Sampled functions: interpolation, convolution, differences, integrals, covariance."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy

KNOTS = np.array([0.0, 0.5, 1.25, 2.0, 3.5])
HEIGHTS = np.array([1.0, -2.0, 0.5, 4.0, 3.0])
POINTS = np.array([[-0.7, 0.1, 0.9], [1.9, 2.2, 4.1]])
UNEVEN = np.array([0.0, 0.5, 1.25, 3.0])

MATRICES = {
    "trapezoid": lambda x: np.trapezoid(x),
    "trapezoid, wider": lambda x: np.trapezoid(x, dx=0.5, axis=0),
    "trapezoid over points": lambda x: np.trapezoid(x, UNEVEN),
    "trapezoid over points of its own": lambda x: np.trapezoid(x * x, x, axis=1),
    "trapezoid over moving points": lambda x: np.trapezoid(np.ones((3, 4)), x[:, 0] ** 2, axis=0),
    "gradient, one axis": lambda x: np.gradient(x, axis=1),
    "gradient, all axes": lambda x: np.stack(np.gradient(x)),
    "gradient, width": lambda x: np.gradient(x, 0.5, axis=-1),
    "gradient, width an axis": lambda x: np.stack(np.gradient(x, 0.5, 2.0, axis=(1, 0))),
    "gradient, points": lambda x: np.gradient(x, UNEVEN, axis=1),
    "gradient, even points": lambda x: np.gradient(x, np.arange(4), axis=1),
    "gradient, second order ends": lambda x: np.gradient(x, axis=1, edge_order=2),
    "gradient, points, second order ends": lambda x: np.gradient(x, UNEVEN, axis=1, edge_order=2),
    "gradient, moving points": lambda x: np.gradient(np.arange(12.0).reshape(3, 4) ** 2, 3 * UNEVEN + x[0], axis=1),
    "gradient, moving points and ends": lambda x: np.gradient(x, 3 * UNEVEN + x[0], axis=1, edge_order=2),
    "gradient, moving width": lambda x: np.gradient(x, x[0, 0] + 5, axis=0, edge_order=2),
    "unwrap": lambda x: np.unwrap(3 * x),
    "unwrap columns": lambda x: np.unwrap(3 * x, axis=0, discont=4.0),
    "unwrap, period": lambda x: np.unwrap(x, period=1.5),
    "convolve": lambda x: np.convolve(x[0], x[1, :3]),
    "convolve, same": lambda x: np.convolve(x[0], x[1, :2], "same"),
    "convolve, valid by number": lambda x: np.convolve(x[0, :2], x[1], 0),
    "convolve with a number": lambda x: np.convolve(x[0], x[1, 0]),
    "correlate": lambda x: np.correlate(x[0], x[1, :3]),
    "correlate, a shorter first": lambda x: np.correlate(x[0, :3], x[1], "full"),
    "correlate, a shorter first, same": lambda x: np.correlate(x[0, :2], x[1], "same"),
    "correlate, same": lambda x: np.correlate(x[0], x[1, :2], "same"),
    "correlate, full": lambda x: np.correlate(x[0], x[1], mode="full"),
    "cov": lambda x: np.cov(x),
    "cov of columns": lambda x: np.cov(x, rowvar=False, ddof=0),
    "cov of two": lambda x: np.cov(x[0], x[1] ** 2, bias=True),
    "cov of one": lambda x: np.cov(x[0]),
    "cov with another": lambda x: np.cov(x, np.arange(8.0).reshape(2, 4) ** 2),
    "cov, frequencies": lambda x: np.cov(x, fweights=[1, 3, 0, 2]),
    "cov, weights": lambda x: np.cov(x, aweights=[1.5, 3.0, 0.5, 2.0]),
    "cov, moving weights": lambda x: np.cov(x[:2], aweights=x[2] ** 2, ddof=0),
    "cov, both weights": lambda x: np.cov(x[:2], aweights=1 + x[2] ** 2, fweights=[1, 3, 1, 2], bias=True),
    "cov, both weights, unbiased": lambda x: np.cov(x[:2], aweights=1 + x[2] ** 2, fweights=[1, 3, 1, 2]),
    "corrcoef": lambda x: np.corrcoef(x),
    "corrcoef of two": lambda x: np.corrcoef(x[0], x[1] ** 2),
}


@pytest.mark.parametrize("name", MATRICES)
def test_as_numpy(name, rng):
    check_as_numpy(MATRICES[name], rng.standard_normal((3, 4)), rtol=1e-13)


INTERPOLATIONS = {
    "interp": lambda x, xp, fp: np.interp(x, xp, fp),
    "interp, sides": lambda x, xp, fp: np.interp(x, xp, fp, left=-5.0, right=fp[0] * 2),
    "interp, period": lambda x, xp, fp: np.interp(3 * x, xp[::-1], fp, period=4.0),
    "interp, negative period": lambda x, xp, fp: np.interp(x, xp, fp, period=-5.0),
}


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_interp(name):
    f = INTERPOLATIONS[name]
    y, _ = ad.vjp(f, POINTS, KNOTS, HEIGHTS)
    np.testing.assert_array_equal(y, f(POINTS, KNOTS, HEIGHTS))
    check_grads(f, (POINTS, KNOTS, HEIGHTS), order=1)
    check_grads(lambda *args: f(*args) ** 2, (POINTS, KNOTS, HEIGHTS), order=2)
    graph = ad.graph.check(ad.trace(f)(POINTS, KNOTS, HEIGHTS))
    moved = (POINTS[::-1] * 0.7, KNOTS + 0.3, HEIGHTS[::-1])
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, moved)[graph.outputs[0]], f(*moved))
    hessian = ad.hessian(lambda x: np.sum(f(x, 2 * x, HEIGHTS) ** 2))(KNOTS + 0.01)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


def test_the_gradient_of_interp_is_replayed_at_other_values():
    slope = ad.grad(lambda x: np.sum(np.interp(x, KNOTS, HEIGHTS)))
    graph = ad.trace(slope)(POINTS)
    moved = POINTS[::-1] * 0.7
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, [moved])[graph.outputs[0]], slope(moved))


def test_interp_at_knots_and_beyond():
    slopes = np.diff(HEIGHTS) / np.diff(KNOTS)
    found = ad.elementwise_grad(lambda x: np.interp(x, KNOTS, HEIGHTS))(KNOTS)
    np.testing.assert_array_equal(found, [*slopes, slopes[-1]])
    beyond = np.array([-1.0, 4.0])
    np.testing.assert_array_equal(ad.elementwise_grad(lambda x: np.interp(x, KNOTS, HEIGHTS))(beyond), [0, 0])
    np.testing.assert_array_equal(ad.grad(lambda fp: np.interp(-1.0, KNOTS, fp))(HEIGHTS), [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(ad.grad(lambda fp: np.interp(-1.0, KNOTS, fp, left=7.0))(HEIGHTS), np.zeros(5))
    np.testing.assert_array_equal(ad.grad(lambda xp: np.interp(9.0, xp, HEIGHTS))(KNOTS), np.zeros(5))


def test_interp_of_one_knot_and_of_other_dtypes():
    np.testing.assert_array_equal(
        ad.grad(lambda fp: np.sum(np.interp([0.0, 1.0, 2.0], [1.0], fp)))(np.array([5.0])), [3]
    )
    x = np.float32(0.7)
    y, pull = ad.vjp(lambda x: np.interp(x, KNOTS, HEIGHTS), x)
    assert y.dtype == np.interp(x, KNOTS, HEIGHTS).dtype
    assert pull(np.ones((), y.dtype))[0].dtype == np.float32
    z = HEIGHTS + 1j * HEIGHTS[::-1]
    check_grads(lambda x, z: np.interp(x, KNOTS, z), (POINTS, z), order=1)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("function", [np.convolve, np.correlate])
@pytest.mark.parametrize("lengths", [(4, 3), (3, 4), (2, 6), (5, 5), (1, 3)])
def test_complex_convolutions(function, mode, lengths, rng):
    a, v = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for n in lengths)
    y, _ = ad.vjp(lambda a, v: function(a, v, mode), a, v)
    np.testing.assert_allclose(y, function(a, v, mode), rtol=1e-13)
    check_grads(lambda a, v: function(a, v, mode), (a, v), order=2)


def test_unwrap_at_half_a_period():
    x = np.array([0.0, np.pi, 0.0, -3.5, 7.0])
    np.testing.assert_array_equal(ad.vjp(np.unwrap, x)[0], np.unwrap(x))
    np.testing.assert_array_equal(ad.jacobian(np.unwrap)(x), np.eye(5))


def test_refusals():
    x = np.ones(3)
    for f, said in (
        (lambda x: np.interp(x, x, np.ones(2)), "not of the same length"),
        (lambda x: np.interp(x, x, x, period=0), "non-zero"),
        (lambda x: np.convolve(x, x, "all"), "mode"),
        (lambda x: np.convolve(x, x[:0]), "empty"),
        (lambda x: np.gradient(x, edge_order=3), "edge_order"),
        (lambda x: np.gradient(x[:1]), "too small"),
        (lambda x: np.gradient(x, np.ones(2)), "distances must match"),
    ):
        with pytest.raises(ValueError, match=said):
            ad.grad(lambda x, f=f: np.sum(f(x)))(x)
    for settings, error, said in (
        ({"fweights": [1.5, 1, 1]}, TypeError, "must be integer"),
        ({"fweights": [1, -1, 1]}, ValueError, "fweights cannot be negative"),
        ({"aweights": [1, -1, 1]}, ValueError, "aweights cannot be negative"),
        ({"aweights": np.ones((3, 1))}, RuntimeError, "multidimensional aweights"),
        ({"fweights": [1, 1]}, RuntimeError, "samples and fweights"),
        ({"ddof": 0.5}, ValueError, "ddof must be integer"),
    ):
        with pytest.raises(error, match=said):
            ad.grad(lambda x, settings=settings: np.cov(x, **settings))(x)
    with pytest.raises(TypeError, match="number of arguments"):
        ad.grad(lambda x: np.sum(np.gradient(x, 1.0, 2.0)))(x)


def test_complex_covariance(rng):
    x = rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5))
    np.testing.assert_allclose(ad.vjp(np.cov, x)[0], np.cov(x), rtol=1e-13)
    check_grads(np.cov, (x,), order=1)
    np.testing.assert_allclose(ad.vjp(np.corrcoef, x)[0], np.corrcoef(x), rtol=1e-13)


def test_covariance_without_a_degree_of_freedom():
    with pytest.warns(RuntimeWarning, match="freedom"), np.errstate(all="ignore"):
        assert np.isnan(ad.vjp(lambda x: np.cov(x[None]), np.ones(1))[0])


def test_each_variable_is_fully_correlated_with_itself(rng):
    found = ad.jacobian(lambda x: np.diagonal(np.corrcoef(x)))(rng.standard_normal((3, 5)))
    np.testing.assert_allclose(found, 0, atol=1e-14)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("function", [np.cov, np.corrcoef])
@pytest.mark.parametrize("x", [np.array([[1.0], [2.0]]), np.array([[1.0], [2.0j]]), np.array(5.0)])
def test_the_covariance_of_one_observation_has_slopes_of_nan_in_both_modes(function, x):
    call = lambda x: function(x)
    y, pull = ad.vjp(call, x)
    np.testing.assert_array_equal(y, function(x))
    assert np.isnan(y).all()
    assert np.isnan(pull(np.ones(y.shape, y.dtype))[0]).all()
    assert np.isnan(ad.jvp(call, (x,), (np.ones_like(x),))[1]).all()
