"""The methods and the keywords of ufuncs: NumPy's values, the derivatives of what they mean, refusals by name."""

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import KeywordError, LostHistoryError, NoRuleError
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy

BINARY = (
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2,
    np.hypot,
)  # fmt: skip
X = np.array([[1.5, 0.7, 2.25, 0.4, 1.1], [0.6, 1.9, 0.8, 1.3, 2.6], [2.1, 0.9, 1.6, 0.5, 1.2]])
MASK = X > 0.75
CALLS = {
    "reduce": lambda f, x: f.reduce(x),
    "reduce, last axis": lambda f, x: f.reduce(x, axis=-1, keepdims=True),
    "reduce, initial": lambda f, x: f.reduce(x, 1, initial=1.25),
    "reduce, dtype": lambda f, x: f.reduce(x, 1, np.longdouble),
    "reduce of one": lambda f, x: f.reduce(x[:1]),
    "accumulate": lambda f, x: f.accumulate(x),
    "accumulate, axis": lambda f, x: f.accumulate(x, axis=1),
    "accumulate, dtype": lambda f, x: f.accumulate(x, -1, np.longdouble),
    "accumulate of one": lambda f, x: f.accumulate(x[:1]),
    "reduceat": lambda f, x: f.reduceat(x, [0, 3, 1, 4], axis=1),
    "reduceat, rows": lambda f, x: f.reduceat(x, [0, 1]),
    "outer": lambda f, x: f.outer(x[0], x[1:, :2]),
}


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", CALLS)
def test_methods(name, ufunc):
    check_as_numpy(lambda x: CALLS[name](ufunc, x), X, rtol=1e-13)


REORDERABLE = [f for f in BINARY if f not in (np.subtract, np.divide)]


@pytest.mark.parametrize("ufunc", REORDERABLE, ids=lambda f: f.__name__)
def test_several_axes_and_a_selection(ufunc):
    check_as_numpy(lambda x: ufunc.reduce(x, axis=None), X, rtol=1e-13)
    check_as_numpy(lambda x: ufunc.reduce(x[None], axis=(0, -1)), X, rtol=1e-13)
    if ufunc.identity is not None:
        check_as_numpy(lambda x: ufunc.reduce(x, axis=1, where=MASK), X, rtol=1e-13)
        check_as_numpy(lambda x: ufunc.reduce(x, where=MASK, initial=0.75), X, rtol=1e-13)


def test_logaddexp_reduce_is_softmax_in_reverse():
    x = np.array([1000.0, 1001.0, 999.0, 1000.5])
    share = np.exp(x - 1000) / np.exp(x - 1000).sum()
    np.testing.assert_allclose(ad.grad(np.logaddexp.reduce)(x), share, rtol=1e-13)


def test_steps_of_steps():
    for ufunc in (np.logical_and, np.logical_or, np.logical_xor):
        y, _ = ad.vjp(lambda x, f=ufunc: f.reduce(x, axis=1), MASK * X)
        np.testing.assert_array_equal(y, ufunc.reduce(MASK * X, axis=1))
    y, _ = ad.vjp(lambda x: np.less.outer(x[0], x[1]), X)
    np.testing.assert_array_equal(y, np.less.outer(X[0], X[1]))


def test_fmax_reduce_passes_over_nan_without_a_warning():
    x = np.array([np.nan, 2.0, 1.0])
    np.testing.assert_array_equal(ad.grad(np.fmax.reduce)(x), [0, 1, 0])
    assert np.isnan(ad.vjp(np.fmax.reduce, x[:1])[0])


def test_empty():
    np.testing.assert_array_equal(ad.vjp(lambda x: np.hypot.reduce(x[:, :0], axis=1), X)[0], np.zeros(3))
    assert ad.vjp(lambda x: np.logaddexp.reduce(x[:0, 0]), X)[0] == -np.inf
    assert ad.vjp(lambda x: np.subtract.accumulate(x[:0]), X)[0].shape == (0, 5)
    assert ad.vjp(lambda x: np.add.reduceat(x, []), X)[0].shape == (0, 5)


def test_adding_at_positions():
    def f(x):
        y = anp.zeros(3) + x[0, :3]
        np.add.at(y, [0, 0, 2], x[1, :3])
        np.subtract.at(y, [1, 1], x[2, 0])
        return y

    want = X[0, :3] + [X[1, 0] + X[1, 1], -2 * X[2, 0], X[1, 2]]
    np.testing.assert_allclose(ad.vjp(f, X)[0], want)
    check_grads(lambda x: f(x) ** 2, (X,), order=2)


@pytest.mark.parametrize(
    ("f", "error", "said"),
    [
        (lambda x: np.multiply.at(x, [0], x[1]), NoRuleError, "np.multiply.at"),
        (lambda x: np.maximum.at(np.zeros(5), [0], x[0, 0]), NoRuleError, "np.maximum.at"),
        (lambda x: np.power.reduce(x), NoRuleError, "np.power.reduce"),
        (lambda x: np.arctan2.accumulate(x), NoRuleError, "np.arctan2.accumulate"),
        (lambda x: np.sin.at(x, [0]), NoRuleError, "np.sin.at"),
        (lambda x: np.add.reduce(x, out=np.zeros(5)), KeywordError, "'out'"),
        (lambda x: np.hypot.reduce(x, out=np.zeros(5)), KeywordError, "'out'"),
        (lambda x: np.maximum.accumulate(x, out=np.zeros((3, 5))), KeywordError, "'out'"),
        (lambda x: np.subtract.reduce(x, axis=None), ValueError, "not reorderable"),
        (lambda x: np.maximum.reduce(x[:0]), ValueError, "no identity"),
        (lambda x: np.subtract.reduce(x, where=MASK, initial=0.0), NoRuleError, "np.subtract.reduce"),
        (lambda x: np.add.reduceat(x, [7]), IndexError, "out-of-bounds"),
        (lambda x: np.add.reduce(x, axis=4), np.exceptions.AxisError, "out of bounds"),
        (lambda x: np.sin(x, where=MASK), KeywordError, "np.where"),
        (lambda x: np.add(x, 1.0, where=MASK), KeywordError, "np.where"),
        (lambda x: np.sin(x, out=np.zeros((3, 5))), LostHistoryError, "out=a"),
        (lambda x: np.add(x, x, dtype=np.float32, casting="safe"), TypeError, "Cannot cast"),
        (lambda x: np.add(x, x, casting="no", dtype=np.longdouble), TypeError, "Cannot cast"),
        (lambda x: np.sin(x, order="F"), KeywordError, "'order'"),
        (lambda x: np.sin(x, dtype=int), TypeError, "No loop"),
        (lambda x: np.sin(x, signature="d->d"), KeywordError, "'signature'"),
    ],
)
def test_refusals(f, error, said):
    with pytest.raises(error, match=said):
        ad.vjp(f, X)


KEYWORDS = {
    "a wider dtype": lambda x: np.sqrt(x, dtype=np.longdouble),
    "a narrower dtype": lambda x: np.multiply(x, x, dtype=np.float32, casting="same_kind"),
    "a complex dtype": lambda x: np.exp(x, dtype=complex),
    "beside a number": lambda x: np.add(x, 1, dtype=np.float64),
    "order": lambda x: np.sin(x, order="K"),
    "subok": lambda x: np.multiply(x, 2.0, subok=False),
    "any casting": lambda x: np.add(x, 1, casting="unsafe"),
    "casting": lambda x: np.divide(x, 3.0, casting="safe"),
    "everywhere": lambda x: np.cos(x, where=True),
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_keywords(name):
    """In NumPy's dtype from the start: the result is not computed in one and converted to another."""
    f = KEYWORDS[name]
    for dtype in (np.float32, np.float64):
        x = X.astype(dtype)
        y, pull = ad.vjp(f, x)
        assert y.dtype == f(x).dtype
        np.testing.assert_array_equal(y, f(x))
        assert pull(np.ones_like(y))[0].dtype == dtype
    if name != "a narrower dtype":
        check_grads(f, (X,), order=2)


def test_the_dtype_of_complex_results():
    z = X + 1j
    np.testing.assert_array_equal(ad.vjp(lambda z: np.absolute(z, dtype=float), z)[0], np.abs(z))
    check_grads(lambda z: np.absolute(z, dtype=float), (z,), order=2)
