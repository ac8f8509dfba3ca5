"""Reductions that pass over nan: NumPy's value, a true zero for each nan, the right derivative for the others."""

import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.testing import check_grads

X = np.array([[1.5, np.nan, -0.5, 2.0], [0.25, 3.0, np.nan, np.nan], [-1.0, 0.75, 1.25, -2.5]])
WHERE = np.array([[True, True, False, True], [True, True, True, False], [True, False, True, True]])
HOLES = np.isnan(X)

FUNCTIONS = {
    "nansum": lambda x: np.nansum(x),
    "nansum of a selection": lambda x: np.nansum(x, axis=0, where=WHERE, initial=2.0, keepdims=True),
    "nansum of several axes": lambda x: np.nansum(x, axis=(0, -1)),
    "nanprod": lambda x: np.nanprod(x, axis=-1),
    "nanprod with a start": lambda x: np.nanprod(x, 0, initial=3.0, where=WHERE),
    "nancumsum": lambda x: np.nancumsum(x),
    "nancumsum of rows": lambda x: np.nancumsum(x, axis=1),
    "nancumprod": lambda x: np.nancumprod(x, axis=0),
    "nanmean": lambda x: np.nanmean(x),
    "nanmean of columns": lambda x: np.nanmean(x, axis=0, keepdims=True),
    "nanmean of a selection": lambda x: np.nanmean(x, axis=1, where=WHERE),
    "nanmean in another dtype": lambda x: np.nanmean(x, 1, np.longdouble),
    "nanvar": lambda x: np.nanvar(x),
    "nanvar of rows": lambda x: np.nanvar(x, axis=-1, ddof=1, keepdims=True),
    "nanvar of a selection": lambda x: np.nanvar(x, axis=0, where=WHERE, correction=0.5),
    "nanvar from its mean": lambda x: np.nanvar(x, axis=0, mean=np.nanmean(x, axis=0, keepdims=True)),
    "nanvar from a foreign mean": lambda x: np.nanvar(x, axis=1, mean=np.ones((3, 1))),
    "nanstd": lambda x: np.nanstd(x, axis=1),
    "nanstd of all": lambda x: np.nanstd(x, ddof=2),
    "nanmax": lambda x: np.nanmax(x),
    "nanmax of columns": lambda x: np.nanmax(x, axis=0, keepdims=True),
    "nanmax of a selection": lambda x: np.nanmax(x, axis=1, where=WHERE, initial=-9.0),
    "nanmin": lambda x: np.nanmin(x, 1, initial=0.5),
    "nanmedian": lambda x: np.nanmedian(x),
    "nanmedian of columns": lambda x: np.nanmedian(x, axis=0, keepdims=True),
    "nanmedian of rows": lambda x: np.nanmedian(x, axis=1),
}


def _spread(v):
    """The numbers v in the places where X has numbers, nan in the others."""
    place = np.cumsum(~HOLES).reshape(X.shape) - 1
    return np.where(HOLES, np.nan, v[place])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name):
    f = FUNCTIONS[name]
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        x = X.astype(dtype)
        expected = f(x)
        y, pull = ad.vjp(f, x)
        assert y.dtype == expected.dtype
        assert y.shape == expected.shape
        np.testing.assert_array_equal(y, expected)
        (delta,) = pull(np.ones_like(y))
        assert delta.dtype == dtype
        np.testing.assert_array_equal(delta[HOLES], 0)
        assert np.isfinite(delta).all()
    graph = ad.graph.check(ad.trace(f)(X))
    moved = np.roll(X, 1, axis=1)
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, [moved])[graph.outputs[0]], f(moved))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    f = FUNCTIONS[name]
    numbers = X[~HOLES]
    check_grads(lambda v: f(_spread(v)), (numbers,), order=1)
    check_grads(lambda v: f(_spread(v)) ** 2, (numbers,), order=2)
    hessian = ad.hessian(lambda v: np.sum(f(_spread(v)) ** 2))(numbers)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_a_nan_it_is_the_plain_function(name, rng):
    x = rng.standard_normal(X.shape)
    y, _ = ad.vjp(FUNCTIONS[name], x)
    np.testing.assert_allclose(y, FUNCTIONS[name](x), rtol=1e-15)  # NumPy's prod starts with initial, ours ends
    check_grads(FUNCTIONS[name], (x,), order=1)


@pytest.mark.parametrize("f", [np.nansum, np.nanmean, np.nanprod, np.nanvar])
def test_complex(f, rng):
    x = rng.standard_normal(5) + 1j * rng.standard_normal(5)
    x[2] = complex(np.nan, 1)
    y, pull = ad.vjp(f, x)
    np.testing.assert_allclose(y, f(x), rtol=1e-15)
    assert pull(np.ones_like(y))[0][2] == 0
    numbers = x[[0, 1, 3, 4]]
    found = ad.vjp(f, numbers)[1](np.ones_like(y))[0]
    np.testing.assert_allclose(pull(np.ones_like(y))[0][[0, 1, 3, 4]], found, rtol=1e-14)


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (np.nanmean, "empty slice"), (np.nanvar, "freedom"), (np.nanstd, "freedom"), (np.nanmax, "All-NaN"),
        (np.nanmin, "All-NaN"), (np.nanmedian, "All-NaN"),
    ],
)  # fmt: skip
def test_nothing_but_nan(f, said):
    x = np.array([[np.nan, np.nan, np.nan], [1.0, np.nan, 3.0]])
    with pytest.warns(RuntimeWarning, match=said):
        y, pull = ad.vjp(lambda x: f(x, axis=1), x)
    assert np.isnan(y[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(y, f(x, axis=1))
    (delta,) = pull(np.ones(2))
    np.testing.assert_array_equal(delta[0], 0)
    assert delta[1, 1] == 0
    assert np.any(delta[1] != 0) or f in (np.nanvar, np.nanstd)
    assert np.isfinite(delta).all()


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (np.nansum, [np.nan, np.nan], [0, 0]),
        (np.nanprod, [0.0, np.nan, 3.0], [3, 0, 0]),
        (np.nanprod, [0.0, np.nan, 0.0], [0, 0, 0]),
        (np.nanmax, [2.0, np.nan, 2.0], [0.5, 0, 0.5]),
        (np.nanmax, [-np.inf, np.nan], [1, 0]),
        (np.nanmin, [np.inf, np.nan, np.inf], [0.5, 0, 0.5]),
        (lambda x: np.nanmax(x, initial=2.0), [2.0, np.nan], [0.5, 0]),
        (np.nanstd, [1.0, np.nan, 1.0], [0, 0, 0]),
        (np.nanmedian, [3.0, np.nan, 1.0, 7.0], [1, 0, 0, 0]),
        (np.nanmedian, [3.0, np.nan, 1.0], [0.5, 0, 0.5]),
        (np.nanmedian, [np.inf, np.nan, 1.0, 5.0], [0, 0, 0, 1]),
        (lambda x: np.nansum(np.sqrt(x)), [4.0, -1.0], [0.25, 0]),
        (lambda x: np.nansum(np.log(x) * x), [1.0, -1.0], [1, 0]),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_edges(f, x, expected):
    np.testing.assert_array_equal(ad.grad(f)(np.array(x)), expected)


def test_refusals():
    x = np.ones(3)
    for f in (np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nancumsum, np.nanmedian):
        with pytest.raises(KeywordError, match="'out'"):
            ad.grad(lambda x, f=f: np.sum(f(x, out=np.zeros(()))))(x)
    with pytest.raises(TypeError, match="inexact"):
        ad.grad(lambda x: np.nanmean(x, dtype=int))(x)
    with pytest.raises(ValueError, match="initial"):
        ad.grad(lambda x: np.nanmax(x, where=x > 0))(x)
    with pytest.raises(ValueError, match="simultaneously"):
        ad.grad(lambda x: np.nanvar(x, ddof=1, correction=1))(x)
