"""Sorting: ties, nans, medians."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from tests.ops.as_numpy import check_as_numpy

FUNCTIONS = {
    "sort": lambda x: np.sort(x),
    "sort, flat and stable": lambda x: np.sort(x, axis=None, kind="stable"),
    "sort the columns": lambda x: np.sort(x, 0, stable=True),
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


def test_order_is_replayed_at_other_values():
    graph = ad.trace(lambda x: ad.grad(lambda x: np.sum(np.sort(x) * np.array([1.0, 2.0, 3.0])))(x))(
        np.array([5.0, 4.0, 6.0])
    )
    replayed = ad.sweep.evaluate(graph, [np.array([1.0, 2.0, 0.0])])
    np.testing.assert_array_equal(replayed[graph.outputs[0]], [2, 3, 1])


def test_refusals():
    with pytest.raises(KeywordError, match="order="):
        ad.grad(lambda x: np.sum(np.sort(x, order="f0")))(np.ones(2))
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.median(x, out=np.zeros(())))(np.ones(2))
