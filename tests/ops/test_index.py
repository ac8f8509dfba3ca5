"""Reading and writing at positions: every kind of index, positions named twice, spellings of NumPy."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DtypeError, KeywordError
from autodiff.ops.index import scatter
from autodiff.rules import add_at
from tests.ops.as_numpy import check_as_numpy

X = np.arange(24.0).reshape(2, 3, 4)
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, True, False]])

INDICES = {
    "integer": 1,
    "NumPy's integer": np.int64(-1),
    "an array of no axes": np.array(1),
    "slice": slice(None, None, -1),
    "negative step": (Ellipsis, slice(3, 0, -2)),
    "newaxis and ellipsis": (slice(1, None), None, Ellipsis, 2),
    "one element": (1, -1, 0),
    "nothing": (),
    "empty slice": slice(5, 9),
    "list with repeats": [0, 1, 0],
    "empty list": [],
    "array of two axes": np.array([[0, 1], [1, 1]]),
    "separated arrays": ([0, 1], slice(None), [1, 1]),
    "adjacent arrays": (slice(None), [0, 2, 2], [1, 1, 1]),
    "arrays that broadcast": (np.array([[0], [1]]), 1, np.array([3, 0])),
    "array and newaxis": (None, [1, 1], Ellipsis),
    "mask of everything": X > 5,
    "mask of an axis": np.array([True, False]),
    "mask of later axes": (slice(None), MASK),
    "mask and array": (np.array([True, False]), [2, 2]),
    "mask of nothing": np.zeros((2, 3), bool),
    "True": True,
    "False": np.False_,
}


@pytest.mark.parametrize("name", INDICES)
def test_reading(name, rng):
    index = INDICES[name]
    check_as_numpy(lambda x: x[index], rng.standard_normal((2, 3, 4)))


@pytest.mark.parametrize("name", INDICES)
def test_writing(name, rng):
    """x.at[index].set(v) against NumPy's own write, and its derivative with respect to both."""
    index = INDICES[name]
    x = rng.standard_normal((2, 3, 4))
    v = rng.standard_normal(x[index].shape)

    def f(x, v):
        if isinstance(x, np.ndarray):
            x = x.copy()
            x[index] = v
            return x
        return x.at[index].set(v)

    y, pull = ad.vjp(f, x, v)
    np.testing.assert_array_equal(y, f(x, v))
    seed = rng.standard_normal(x.shape)
    dx, dv = pull(seed)
    tx, tv = rng.standard_normal(x.shape), rng.standard_normal(v.shape)
    _, tangent = ad.jvp(f, (x, v), (tx, tv if v.shape else float(tv)))
    np.testing.assert_array_equal(tangent, f(tx, tv))  # a write is linear, so its tangent is the same write
    np.testing.assert_allclose(np.sum(seed * tangent), np.sum(dx * tx) + np.sum(dv * tv), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("index", "v", "expected"),
    [
        (0, 2.0, 12),
        (slice(1, 3), np.ones((1, 1, 3, 4)), np.ones((1, 1, 3, 4))),
        ((slice(None), [0, 0]), np.ones((2, 4)), [[0, 0, 0, 0], [2, 2, 2, 2]]),
        ([1, 1, 0], np.float64(3.0), 24),
    ],
)
def test_of_several_writes_to_one_position_the_last_one_counts(index, v, expected):
    found = ad.grad(lambda x, v: np.sum(x.at[index].set(v)), argnums=(0, 1))(X, v)
    np.testing.assert_array_equal(found[1], expected)


def test_positions_named_twice_add_up_when_read():
    found = ad.grad(lambda x: np.sum(x[[0, 0, 2]] * np.array([1.0, 10.0, 100.0])))(np.ones(3))
    np.testing.assert_array_equal(found, [11, 0, 100])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64])
@pytest.mark.parametrize("shape", [(7,), (7, 5), (7, 40, 50), (7, 0)])
def test_rows_add_up_in_their_order(shape, dtype, order, rng):
    rows = rng.integers(-7, 7, (9, 4)).astype(np.int8)
    values = rng.standard_normal((9, 4, *shape[1:])).astype(dtype)
    start = np.asarray(rng.standard_normal(shape).astype(dtype), order=order)
    for index in (rows, (rows,)):
        expected, found = start.copy(order="K"), start.copy(order="K")
        np.add.at(expected, index, values)
        add_at(found, index, values)
        np.testing.assert_array_equal(found, expected)
        (pulled,) = ad.vjp(lambda x, index=index: x[index], start)[1](values)
        np.testing.assert_array_equal(pulled, scatter(values, index=index, shape=shape))


def test_what_was_overwritten_gets_a_true_zero():
    def f(x):
        y = np.log(x)
        y[1] = 0.0
        return np.sum(y)

    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ad.grad(f)(np.array([2.0, 0.0])), [0.5, 0])


def test_what_was_not_read_gets_a_true_zero():
    x = np.array([[4.0, 0.0], [0.0, 1.0]])
    reads = {
        "getitem": lambda x: np.sqrt(x)[0, 0],
        "take": lambda x: np.sum(np.take(np.sqrt(x), [0])),
        "mask": lambda x: np.sum(np.sqrt(x)[x > 3]),
        "diagonal": lambda x: np.sum(np.diagonal(np.sqrt(x))),
        "trace": lambda x: np.trace(np.sqrt(x)),
        "diag": lambda x: np.sum(np.diag(np.sqrt(x))),
        "tril of triu": lambda x: np.sum(np.tril(np.triu(np.sqrt(x)))),
        "max": lambda x: np.max(np.sqrt(x)),
    }
    for name, f in reads.items():
        found = ad.grad(f)(x)
        assert found[0, 1] == found[1, 0] == 0, name
        assert found[0, 0] == 0.25, name


SELECTIONS = {
    "take": lambda x: x.take([0, 1]),
    "take a table": lambda x: np.take(x, [[1, 0], [1, 1]], axis=0),
    "take one": lambda x: np.take(x, 1, axis=-1),
    "take, wrapped": lambda x: np.take(x, [-9, 7], axis=1, mode="wrap"),
    "take, clipped": lambda x: np.take(x, [-9, 99], 1, mode="clip"),
    "take by truth": lambda x: np.take(x, [True, False, True], axis=0),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0, 2, 1, 1]]), axis=0),
    "take_along_axis, flat": lambda x: np.take_along_axis(x, np.array([5, 5, 1]), axis=None),
    "take_along_axis, one a row": lambda x: np.take_along_axis(x, np.array([[1], [0], [3]]), axis=-1),
    "compress": lambda x: np.compress([True, False, True], x, axis=0),
    "compress, flat": lambda x: np.compress([0, 1, 1, 0, 1], x),
    "method compress": lambda x: x.compress([0, 1, 1], axis=1),
    "extract": lambda x: np.extract(MASK, x),
    "delete": lambda x: np.delete(x, 1, axis=1),
    "delete, list": lambda x: np.delete(x, [0, -1], 0),
    "delete, slice": lambda x: np.delete(x, slice(1, None, 2)),
    "insert a number": lambda x: np.insert(x, 3, 1.0),
    "insert a column": lambda x: np.insert(x, 1, [1.0, 2.0, 3.0], axis=1),
    "insert, list of one": lambda x: np.insert(x, [1], [[1.0], [2.0], [3.0]], axis=1),
    "insert, list": lambda x: np.insert(x, [0, 2], x[:2] * 2, axis=0),
    "insert several at one place": lambda x: np.insert(x[0], -2, x[1, :2]),
    "insert, slice": lambda x: np.insert(x[0], slice(1, 3), [7.0, 8.0]),
    "insert, mask": lambda x: np.insert(x[0], np.array([True, False, True, False]), 5.0),
    "insert into a plain array": lambda x: np.insert(np.ones(3), 1, x[0]),
    "method diagonal": lambda x: x.diagonal(1),
    "method trace": lambda x: x.trace(-1),
    "trace in another dtype": lambda x: np.trace(x, dtype=np.longdouble),
    "diag, matrix of a vector": lambda x: np.diag(x[0], -1),
    "triu of a vector": lambda x: np.triu(x[0], 1),
    "iteration": lambda x: sum((i + 1) * row for i, row in enumerate(x)),
    "unpacking": lambda x: (lambda a, *rest: a * rest[-1])(*x),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_selection_as_numpy(name, rng):
    check_as_numpy(SELECTIONS[name], rng.standard_normal((3, 4)))


def test_writing_fractions_into_integers_is_refused():
    def f(x):
        counts = np.zeros_like(x, dtype=int)
        counts[0] = x[0]
        return np.sum(counts * x)

    with pytest.raises(DtypeError, match="written into an array of int64"):
        ad.grad(f)(np.ones(2))


def test_index_arrays_are_kept_as_they_were_when_the_call_was_made():
    rows, indices, counts = np.array([0, 1]), np.array([0]), np.array([1, 2])

    def f(x):
        y = np.sum(x[rows]) + np.sum(np.take(x, indices)) + np.sum(np.repeat(x[:2], counts))
        rows[:], indices[:], counts[:] = 2, 2, 0
        return y

    np.testing.assert_array_equal(ad.grad(f)(np.ones(3)), [3, 3, 0])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.take(x, [0], out=np.zeros(1)),
        lambda x: np.trace(x, out=np.zeros(())),
        lambda x: np.compress([True], x, out=np.zeros(1)),
    ],
)
def test_out_is_refused(f):
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.sum(f(x)))(np.ones((2, 2)))


def test_errors_are_numpys():
    for f in (lambda x: x[5], lambda x: np.take(x, [5], axis=0), lambda x: np.delete(x, 9)):
        with pytest.raises(IndexError, match="out of bounds"):
            ad.grad(lambda x, f=f: np.sum(f(x)))(np.ones((2, 2)))
