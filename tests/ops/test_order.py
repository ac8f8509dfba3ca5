"""Sorting and sets: ties, nans, medians, NumPy's own bits."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.graph import OPERATIONS
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy

FUNCTIONS = {
    "sort": lambda x: np.sort(x),
    "sort, flat and stable": lambda x: np.sort(x, axis=None, kind="stable"),
    "sort the columns": lambda x: np.sort(x, 0, stable=True),
    "partition": lambda x: np.partition(x, (1, 2)),
    "partition the columns": lambda x: np.partition(x, [0, -1], axis=0),
    "partition, flat": lambda x: np.partition(x, (1, 3, 5, 7, 9, 10), None, "introselect"),
    "unique": lambda x: np.unique(x),
    "unique rows": lambda x: np.unique(x, axis=0),
    "unique columns": lambda x: np.unique(x, axis=-1),
    "unique, as it comes": lambda x: np.unique_values(x),
    "union": lambda x: np.union1d(x[0], x[1:]),
    "difference": lambda x: np.setdiff1d(x, [0.0]),
    "difference, in its order": lambda x: np.setdiff1d(x, [0.0], assume_unique=True),
    "symmetric difference": lambda x: np.setxor1d(x[0], x[1]),
    "trim": lambda x: np.trim_zeros(x[0] * np.array([0.0, 1.0, 1.0, 0.0])),
    "median": lambda x: np.median(x),
    "median of columns": lambda x: np.median(x, axis=0, keepdims=True),
    "median of all, kept": lambda x: np.median(x, axis=(0, -1), keepdims=True),
    "median, odd": lambda x: np.median(x[:, :3], axis=-1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name, rng):
    check_as_numpy(FUNCTIONS[name], rng.standard_normal((3, 4)))


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([3.0, 1.0, 3.0, 2.0], [550, 1, 550, 10]),  # both 3 have a half of the weights 100 and 1000
        ([1.0, 1.0, 1.0, 1.0], [277.75, 277.75, 277.75, 277.75]),
        ([np.nan, 0.0, np.nan, -0.0], [550, 5.5, 550, 5.5]),
    ],
)
def test_equal_elements_share_equally(x, expected):
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    _, pull = ad.vjp(np.sort, np.array(x))
    np.testing.assert_array_equal(pull(weights)[0], expected)


def test_forward_mode_is_the_transpose_at_ties():
    x = np.array([[2.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    reverse = ad.jacobian(np.sort, mode="reverse")(x)
    np.testing.assert_array_equal(ad.jacobian(np.sort, mode="forward")(x), reverse)
    np.testing.assert_array_equal(reverse[0, 1], [[0.5, 0, 0.5], [0, 0, 0]])


def test_max_and_the_end_of_a_sort_agree_at_ties():
    x = np.array([1.0, 4.0, 4.0])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sort(x)[-1])(x), ad.grad(np.max)(x))


@pytest.mark.parametrize(
    ("x", "expected"),
    [([5.0], [1]), ([1.0, 3.0], [0.5, 0.5]), ([3.0, 1.0, 2.0], [0, 0, 1]), ([2.0, 2.0, 9.0], [0.5, 0.5, 0])],
)
def test_median(x, expected):
    np.testing.assert_array_equal(ad.grad(np.median)(np.array(x)), expected)


def test_median_with_a_nan_is_nan():
    assert np.isnan(ad.value_and_grad(np.median)(np.array([1.0, np.nan, 0.0]))[0])


@pytest.mark.parametrize("sort", [np.sort, lambda x: np.partition(x, (0, 1))])
def test_order_is_replayed_at_other_values(sort):
    graph = ad.trace(lambda x: ad.grad(lambda x: np.sum(sort(x) * np.array([1.0, 2.0, 3.0])))(x))(
        np.array([5.0, 4.0, 6.0])
    )
    replayed = ad.sweep.evaluate(graph, [np.array([1.0, 2.0, 0.0])])
    np.testing.assert_array_equal(replayed[graph.outputs[0]], [2, 3, 1])


def test_an_array_is_ordered_once(monkeypatch, rng):
    calls, forward = [], OPERATIONS["argsort"].forward
    monkeypatch.setattr(OPERATIONS["argsort"], "forward", lambda *args, **kw: calls.append(1) or forward(*args, **kw))
    value, pull = ad.vjp(np.sort, x := rng.standard_normal((3, 5)))
    np.testing.assert_array_equal(value, np.sort(x))
    np.testing.assert_array_equal(pull(value)[0], x)
    assert len(calls) == 1


SORTS = [
    ("sort", {"axis": 0}), ("sort", {"axis": None, "kind": "heapsort"}), ("sort", {"stable": True}),
    ("partition", {"kth": 1}), ("partition", {"kth": (0, -1), "axis": 0}), ("partition", {"kth": 5, "axis": None}),
    ("partition", {"kth": np.array([1, 2]), "kind": "introselect"}), ("argpartition", {"kth": 2, "axis": None}),
    ("argpartition", {"kth": [0, 2], "axis": 0, "kind": "introselect"}), ("argsort", {"kind": "stable", "axis": None}),
    ("argsort", {"axis": 0, "stable": True}), ("sort_complex", {}), ("median", {"axis": (0, 1), "keepdims": True}),
    ("median", {"axis": -1, "overwrite_input": True}), ("median", {"axis": [1, 0]}), ("nanmedian", {"axis": 0}),
    ("nanmedian", {"axis": (0, 1), "keepdims": True}), ("nanmedian", {"axis": -1, "overwrite_input": True}),
    ("nanmedian", {}), ("unique", {"axis": 0, "return_inverse": True}), ("unique", {"equal_nan": False}),
    ("unique", {"return_index": True, "return_counts": True, "return_inverse": True}), ("unique_all", {}),
    ("unique_counts", {}), ("unique_inverse", {}), ("unique_values", {}), ("trim_zeros", {"trim": "f"}),
    ("trim_zeros", {"trim": "B"}), ("lexsort", {}), ("lexsort", {"axis": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), SORTS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.complex64, np.complex128])
def test_every_keyword_gives_numpys_bits(name, settings, dtype, rng):
    x = np.round(2 * rng.standard_normal((4, 5))).astype(dtype)
    if dtype in (np.complex64, np.complex128):
        x = x + 1j * np.round(rng.standard_normal((4, 5))).astype(x.real.dtype)
    if name == "trim_zeros":
        x = x[0] * np.array([0, 1, 0, 1, 0], x.dtype)
    function = getattr(np, name)
    expected = function(x, **settings)
    found, _ = ad.vjp(lambda x: function(x, **settings), x)
    assert type(found) is type(expected)
    for y, truth in zip(*((y if isinstance(y, tuple) else (y,)) for y in (found, expected)), strict=True):
        assert type(y) is type(truth)
        assert y.dtype == truth.dtype
        np.testing.assert_array_equal(y, truth)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_takes_a_sorter(side, rng):
    x, v = rng.standard_normal(6), rng.standard_normal(3)
    found = []

    def f(x, v):
        found.append(np.searchsorted(x, v, side, np.argsort(x)))
        return np.sum(x)

    ad.grad(f)(x, v)
    np.testing.assert_array_equal(found[0], np.searchsorted(x, v, side, np.argsort(x)))


def test_equal_elements_share_equally_in_a_partition_and_in_a_set():
    x = np.array([3.0, 1.0, 3.0, 2.0])
    back = ad.vjp(lambda x: np.partition(x, 3), x)[1]
    np.testing.assert_array_equal(back(np.array([0.0, 0.0, 0.0, 1.0]))[0], [0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(ad.jacobian(np.unique)(x), [[0, 1, 0, 0], [0, 0, 0, 1], [0.5, 0, 0.5, 0]])
    np.testing.assert_array_equal(ad.jacobian(np.unique, mode="forward")(x), ad.jacobian(np.unique)(x))
    rows = np.array([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0]])
    back = ad.vjp(lambda x: np.unique(x, axis=0), rows)[1]
    np.testing.assert_array_equal(back(np.array([[1.0, 2.0], [4.0, 8.0]]))[0], [[2, 4], [1, 2], [2, 4]])


def test_nans_are_one_value_or_many():
    x = np.array([np.nan, 0.0, np.nan])
    np.testing.assert_array_equal(ad.jacobian(np.unique)(x), [[0, 1, 0], [0.5, 0, 0.5]])
    many = ad.jacobian(lambda x: np.unique(x, equal_nan=False))(x)
    np.testing.assert_array_equal(many, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])


def test_what_is_equal_in_either_set_shares():
    a, b = np.array([1.0, 2.0, 2.0, 7.0]), np.array([2.0, 3.0])
    for function, over_a, over_b in [
        (np.intersect1d, [[0, 1 / 3, 1 / 3, 0]], [[1 / 3, 0]]),
        (np.setdiff1d, [[1, 0, 0, 0], [0, 0, 0, 1]], [[0, 0], [0, 0]]),
        (np.setxor1d, [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], [[0, 0], [0, 1], [0, 0]]),
    ]:
        found = ad.jacobian(function, argnums=(0, 1))(a, b)
        np.testing.assert_array_equal(found[0], over_a)
        np.testing.assert_array_equal(found[1], over_b)
    y, where_a, where_b = ad.vjp(lambda a: np.intersect1d(a, b, return_indices=True), a)[0]
    np.testing.assert_array_equal([y, where_a, where_b], np.intersect1d(a, b, return_indices=True))
    assert ad.vjp(lambda a: np.union1d(a.astype(np.float32), b), a)[0].dtype == np.float64


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("trim", ["fb", "F", "b"])
def test_trim_zeros_of_a_matrix(axis, trim, rng):
    x = np.zeros((5, 6))
    x[1:3, 2:5] = rng.standard_normal((2, 3))
    numbers = np.arange(30.0).reshape(5, 6)
    inside = (slice(1 if "f" in trim.lower() else 0, 3 if "b" in trim else None),
              slice(2 if "f" in trim.lower() else 0, 5 if "b" in trim else None))  # fmt: skip
    cut = tuple(part if axis in (None, i, i - 2, (0, 1)) else slice(None) for i, part in enumerate(inside))
    y, back = ad.vjp(lambda x: np.trim_zeros(x, trim, axis), x)
    np.testing.assert_array_equal(y, x[cut])
    expected = np.zeros((5, 6))
    expected[cut] = numbers[cut]
    np.testing.assert_array_equal(back(numbers[cut])[0], expected)
    assert ad.vjp(lambda x: np.trim_zeros(x, trim), np.zeros(3))[0].shape == (0,)


def test_empty_sets():
    empty, some = np.zeros(0), np.array([2.0, 1.0])
    assert ad.vjp(np.unique, empty)[0].shape == (0,)
    np.testing.assert_array_equal(ad.jacobian(lambda x: np.union1d(x, empty))(some), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(ad.jacobian(lambda x: np.intersect1d(x, empty))(some), np.zeros((0, 2)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sort(x, axis=0), lambda x: np.partition(x, (1, 2), axis=1), lambda x: np.unique(x),
        lambda x: np.unique(x, axis=1, return_counts=True)[0], lambda x: np.sort_complex(x.ravel()),
        lambda x: np.setxor1d(x, x[0, 0]), lambda x: np.nanmedian(x, axis=0), lambda x: np.median(x),
    ],
)  # fmt: skip
def test_derivatives_of_complex_numbers(f, rng):
    z = rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4))
    check_grads(lambda z: f(z) ** 2, (z,), order=2)


def test_numpys_own_errors():
    x = np.ones((2, 3))
    for f, error in [
        (lambda x: np.partition(x, 3), "kth"), (lambda x: np.partition(x, 0, kind="quick"), "kind"),
        (lambda x: np.sort(x, kind="fast"), "kind"), (lambda x: np.sort(x, kind="stable", stable=True), "same time"),
        (lambda x: np.trim_zeros(x, "fx"), "trim"), (lambda x: np.sort(x, 2), "axis 2"),
        (lambda x: np.unique(x, axis=2), "axis 2"),
        (lambda x: np.median(x, axis=2), "axis 2"), (lambda x: np.median(x, axis=(0, -2)), "repeated"),
        (lambda x: np.nanmedian(x, axis=-3), "axis -3"),
    ]:  # fmt: skip
        with pytest.raises((ValueError, np.exceptions.AxisError), match=error):
            ad.vjp(f, x)


def test_refusals():
    with pytest.raises(KeywordError, match="order="):
        ad.grad(lambda x: np.sum(np.sort(x, order="f0")))(np.ones(2))
    with pytest.raises(KeywordError, match="order="):
        ad.grad(lambda x: np.sum(np.partition(x, 0, order="f0")))(np.ones(2))
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.median(x, out=np.zeros(())))(np.ones(2))
