"""Rearrangements: NumPy's spellings, memory orders, and writes that would show through a view."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError, ViewWriteError
from tests.ops.as_numpy import check_as_numpy

MATRIX = {
    "reshape to one length": lambda x: np.reshape(x, 12),
    "reshape, Fortran order": lambda x: np.reshape(x, (2, -1), order="F"),
    "reshape with a keyword": lambda x: np.reshape(x, shape=(6, 2), copy=True),
    "method reshape": lambda x: x.reshape(2, -1),
    "method reshape, tuple": lambda x: x.reshape((2, 6), order="F"),
    "method reshape, NumPy's integers": lambda x: x.reshape(np.array([2, 6])),
    "ravel, Fortran order": lambda x: x.ravel("F"),
    "flatten": lambda x: x.flatten("F"),
    "T": lambda x: x.T,
    "method transpose": lambda x: x.transpose(1, 0),
    "method transpose, tuple": lambda x: x.transpose((-1, 0)),
    "permute_dims": lambda x: np.permute_dims(x, (1, 0)),
    "matrix_transpose": lambda x: np.matrix_transpose(x),
    "squeeze": lambda x: x[None].squeeze(axis=0),
    "atleast_3d": lambda x: np.atleast_3d(x, 1.0)[0],
    "broadcast_to": lambda x: np.broadcast_to(x, [2, 3, 4]),
    "broadcast_arrays": lambda x: np.multiply(*np.broadcast_arrays(x[0], x)),
    "tile": lambda x: np.tile(x, 2),
    "method repeat": lambda x: x.repeat(2, axis=0),
    "repeat, one count in a list": lambda x: np.repeat(x, [2]),
    "repeat, a count each": lambda x: np.repeat(x, [1, 2, 0], axis=0),
    "resize": lambda x: np.resize(x, (5, 4)),
    "resize to one length": lambda x: np.resize(x, 3),
    "meshgrid": lambda x: np.multiply(*np.meshgrid(x[0], x[1, :2])),
    "meshgrid, sparse": lambda x: np.meshgrid(x[0], x[1], indexing="ij", sparse=True, copy=False)[1],
    "fliplr": lambda x: np.fliplr(x),
    "flipud": lambda x: np.flipud(x),
    "roll along axes": lambda x: np.roll(x, np.array([1, 2]), axis=[0, 1]),
    "copy": lambda x: np.copy(x, order="F"),
    "astype": lambda x: np.astype(x, np.longdouble),
}
CUBE = {
    "rollaxis": lambda x: np.rollaxis(x, 2),
    "rollaxis to the end": lambda x: np.rollaxis(x, 0, 3),
    "rollaxis, negative": lambda x: np.rollaxis(x, -1, -2),
    "mT": lambda x: x.mT,
    "method swapaxes": lambda x: x.swapaxes(0, -1),
}
VECTOR = {
    "atleast_1d of a number": lambda x: np.atleast_1d(x[1]),
    "atleast_2d": lambda x: np.atleast_2d(x),
    "atleast_3d": lambda x: np.atleast_3d(x),
    "meshgrid of three": lambda x: np.multiply(*np.meshgrid(x, x[:2], x[:3])[:2]),
    "tile in a list": lambda x: np.tile(x, [2, 3]),
}


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        pytest.param(f, shape, id=f"{name} of {shape}")
        for shape, functions in (((3, 4), MATRIX), ((2, 3, 4), CUBE), ((6,), VECTOR))
        for name, f in functions.items()
    ],
)
def test_as_numpy(f, shape, rng):
    check_as_numpy(f, rng.standard_normal(shape))


LAYOUTS = {
    "C": lambda x: x,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: np.flip(x, 1),
    "permuted": lambda x: np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
}


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_orders_that_follow_the_memory(order, layout):
    """The δ of a ravelled array goes back to where its element was, whatever the layout."""
    x = LAYOUTS[layout](np.arange(24.0).reshape(2, 3, 4))
    weights = np.arange(24.0) ** 2
    for f in (np.ravel, np.reshape):
        if f is np.reshape and order == "K":
            continue
        settings = {"shape": -1} if f is np.reshape else {}
        y, pull = ad.vjp(lambda x, f=f, s=settings: f(x, order=order, **s), x)
        np.testing.assert_array_equal(y, f(x, order=order, **settings))
        expected = np.empty(24)  # by element: each holds its own number
        expected[y.astype(int)] = weights
        np.testing.assert_array_equal(pull(weights)[0], expected[x.astype(int)])


VIEWS = {
    "reshape": lambda x: np.reshape(x, (4, 3)),
    "ravel": lambda x: x.ravel(),
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "rollaxis": lambda x: np.rollaxis(x, 1),
    "squeeze": lambda x: np.squeeze(x),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, np.ones((2, 1, 1))),
    "atleast_3d": lambda x: np.atleast_3d(x),
    "flip": lambda x: np.flip(x, 0),
    "fliplr": lambda x: np.fliplr(x),
    "rot90": lambda x: np.rot90(x),
    "diagonal": lambda x: np.diagonal(x),
    "diag": lambda x: np.diag(x),
    "row": lambda x: x[1],
    "column": lambda x: x[:, 2:3],
    "split": lambda x: np.split(x, 3),
    "array_split": lambda x: np.array_split(x, 2),
    "hsplit": lambda x: np.hsplit(x, 2),
    "unstack": lambda x: np.unstack(x, axis=1),
    "split in two steps": lambda x: np.split(x, [3, 1]),
    "meshgrid without copies": lambda x: np.meshgrid(x, x, copy=False),
}
COPIES = {
    "copy": lambda x: np.copy(x),
    "flatten": lambda x: x.flatten(),
    "reshape with copy": lambda x: np.reshape(x, (4, 3), copy=True),
    "ravel that must copy": lambda x: x.ravel("F"),
    "astype": lambda x: x.astype(float),
    "fancy index": lambda x: x[[0, 1]],
    "take": lambda x: np.take(x, [0], axis=0),
    "roll": lambda x: np.roll(x, 1),
    "tile": lambda x: np.tile(x, 2),
    "concatenate": lambda x: np.concatenate([x]),
    "pad": lambda x: np.pad(x, 1),
    "tril": lambda x: np.tril(x),
    "sort": lambda x: np.sort(x),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_shows_through_a_view_as_in_numpy_or_is_refused(name):
    def f(x):
        y = x * 1.0
        made = VIEWS[name](y)
        view = made[0] if isinstance(made, (list, tuple)) else made
        y[0, 0] = 5.0
        return np.sum(y * y) + np.sum(view * view * view), view

    x = 1.0 + np.arange(12.0).reshape(3, 4) / 10
    try:
        (value, view), g = ad.value_and_grad(f, has_aux=True)(x)
    except ViewWriteError:
        return
    want, plain_view = f(x)
    np.testing.assert_array_equal(view, plain_view)
    assert value == want
    h = 1e-6
    steps = np.eye(12).reshape(12, 3, 4) * h
    np.testing.assert_allclose(g.ravel(), [(f(x + s)[0] - f(x - s)[0]) / (2 * h) for s in steps], rtol=1e-7, atol=1e-7)


def test_a_write_into_the_base_shows_in_a_transposed_view():
    def f(x):
        y = x * 1.0
        view = y.T
        y[0, 0] = 5.0
        return np.sum(view * np.arange(12.0).reshape(4, 3))

    x = np.ones((3, 4))
    expected = np.arange(12.0).reshape(4, 3).T.copy()
    expected[0, 0] = 0.0
    assert ad.value_and_grad(f)(x)[0] == f(x)
    np.testing.assert_array_equal(ad.grad(f)(x), expected)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_stands_alone(name):
    def f(x):
        y = x * 1.0
        copy = COPIES[name](y)
        y[...] = 5.0
        return np.sum(copy) + np.sum(y)

    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(ad.grad(f)(x), ad.grad(lambda x: np.sum(COPIES[name](x)))(x))
    assert ad.value_and_grad(f)(x)[0] == f(x)


def test_astype_without_copy_is_the_same_object():
    def f(x):
        y = x * 1.0
        z = y.astype(float, copy=False)
        z[0] = 0.0
        return np.sum(y * y)

    np.testing.assert_array_equal(ad.grad(f)(np.ones(3)), [0, 2, 2])


def test_settings_are_kept_as_they_were_when_the_call_was_made():
    shape, shift, reps = [2, 2], [1], [2]

    def f(x):
        y = np.tile(np.roll(np.reshape(x, shape), shift, axis=[0]), reps)
        shape[:], shift[:], reps[:] = [4, 1], [0], [7]
        return np.sum(y * np.arange(8.0).reshape(2, 4))

    np.testing.assert_array_equal(ad.grad(f)(np.ones(4)), [10, 12, 2, 4])


def test_keywords_that_say_nothing_here_are_refused():
    with pytest.raises(KeywordError, match="subok"):
        ad.grad(lambda x: np.sum(np.copy(x, subok=True)))(np.ones(2))
    with pytest.raises(KeywordError, match="device"):
        ad.grad(lambda x: np.sum(np.astype(x, float, device="gpu")))(np.ones(2))


def test_errors_are_numpys():
    for f in (
        lambda x: np.reshape(x, (5, 5)),
        lambda x: np.reshape(x, -1, order="F", copy=False),
        lambda x: np.squeeze(x, axis=0),
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.broadcast_to(x, (3, 5)),
        lambda x: np.matrix_transpose(x[0]),
        lambda x: np.fliplr(x[0]),
        lambda x: np.meshgrid(x, indexing="no")[0],
    ):
        with pytest.raises(ValueError) as plain:  # noqa: PT011  (the messages are compared below)
            f(np.ones((3, 4)))
        with pytest.raises(ValueError) as traced:  # noqa: PT011
            ad.grad(lambda x, f=f: np.sum(f(x)))(np.ones((3, 4)))
        assert str(traced.value) == str(plain.value)
