"""A row that is masked, and where everything is inf or nan, changes nothing about the others: to second order, in both
modes, also where a δ is exactly zero because a residual is."""

import warnings

import numpy as np
import pytest

import autodiff as ad

GOOD, BAD = np.array([1.3, 0.4, 2.2]), np.array([0.0, -1.0, np.inf])
ROWS = {
    # name: a function of a row
    "log": np.log,
    "sqrt": np.sqrt,
    "power": lambda x: x**1.5,
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "exp": np.exp,
    "logaddexp": lambda x: np.logaddexp(x, 2 * x),
    "arctan2": lambda x: np.arctan2(x, x * x),
    "prod": np.prod,
    "cumprod": np.cumprod,
    "norm": np.linalg.norm,
    "std": np.std,
    "var": np.var,
    "nanstd": np.nanstd,
    "softmax": ad.nn.softmax,
    "log_softmax": ad.nn.log_softmax,
    "logsumexp": ad.nn.logsumexp,
    "layer_norm": ad.nn.layer_norm,
    "rms_norm": ad.nn.rms_norm,
    "dot": lambda x: x @ np.array([1.0, 2.0, 3.0]),
    "einsum": lambda x: np.einsum("i,i->", x, x),
    "sort": lambda x: np.sort(np.sin(x)),
    "fft": lambda x: np.abs(np.fft.rfft(x)),
}
MASKS = {
    "index": lambda y: y[0],
    "where": lambda y: np.where(np.isfinite(y), y, 0.0)[0],
    "sum where": lambda y: np.sum(y, axis=0, where=np.array([True, False]).reshape((2,) + (1,) * (y.ndim - 1))),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", ROWS)
def test_the_hessian_of_what_is_read(name, mask):
    """With a residual of exactly zero: the first δ is zero, and the curvature is all there is."""
    f, keep = ROWS[name], MASKS[mask]

    def whole(x):
        y = np.stack([f(x[0]), f(x[1])])
        return np.sum((keep(y) - target) ** 2)

    def alone(row):
        return np.sum((f(row) - target) ** 2)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        target = f(GOOD)
        x = np.stack([GOOD, BAD])
        wanted = ad.hessian(alone)(GOOD)
        found = ad.hessian(whole)(x)
        np.testing.assert_allclose(found[0, :, 0, :], wanted, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(found[1], 0.0)
        np.testing.assert_array_equal(found[:, :, 1], 0.0)
        forward = ad.jacobian(ad.grad(whole), mode="forward")(x)
        np.testing.assert_allclose(forward[0, :, 0, :], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in ROWS if np.shape(ROWS[name](GOOD)) == (3,)])
def test_pointwise_and_along_an_axis_at_once(name):
    """The same in one call on the whole array, where the guard of one operation sees both rows."""
    f = ROWS[name]

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        along = {"cumprod": lambda x: np.cumprod(x, axis=-1)}.get(name, f)
        target = along(np.stack([GOOD, GOOD]))[0]
        wanted = ad.hessian(lambda row: np.sum((along(row) - target) ** 2))(GOOD)
        x = np.stack([GOOD, BAD])
        found = ad.hessian(lambda x: np.sum((along(x)[0] - target) ** 2))(x)
        np.testing.assert_allclose(found[0, :, 0, :], wanted, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(found[1], 0.0)
        np.testing.assert_array_equal(found[:, :, 1], 0.0)


def test_a_product_whose_other_factor_is_zero():
    def f(x):
        y = np.log(x)
        return y[0] * y[1]

    with np.errstate(all="ignore"):
        found = ad.hessian(f)(np.array([1.0, 2.0, 0.0]))
    np.testing.assert_allclose(found, [[-np.log(2), 0.5, 0], [0.5, 0, 0], [0, 0, 0]], rtol=1e-14)


def test_a_tangent_that_is_zero_still_depends_on_what_it_is_made_of():
    def along(x):
        return ad.jvp(lambda y: np.log(y)[0], (x,), (x - 1.0,))[1]

    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ad.grad(along)(np.array([1.0, 0.0])), [1.0, 0.0])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_order_beside_a_masked_neighbour(order):
    """(ln x)² at 1, where its first derivative is 0: 0, 2, −6, 22."""
    f = along = lambda x: np.sum(np.log(x)[:1] ** 2)
    for _ in range(order):
        along = lambda x, inner=along: ad.grad(inner)(x)[0]
    ahead = f
    for _ in range(order):
        ahead = lambda x, inner=ahead: ad.jvp(inner, (x,), (np.array([1.0, 0.0]),))[1]
    with np.errstate(all="ignore"):
        for found in (along(np.array([1.0, 0.0])), ahead(np.array([1.0, 0.0]))):
            np.testing.assert_allclose(found, [0, 2, -6, 22][order - 1], rtol=1e-12, atol=1e-15)
