"""Sliding windows of NumPy, and the one function beside them that cannot be followed."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import autodiff as ad
from autodiff.errors import KeywordError, LostHistoryError
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy

CALLS = {
    "a vector": ((7,), (3,), {}),
    "a length": ((7,), (3,), {"axis": 0}),
    "all axes": ((3, 4), ((2, 3),), {}),
    "one axis": ((3, 4), (2,), {"axis": -1}),
    "two axes, turned": ((3, 5, 4), ((2, 3),), {"axis": (-1, 0)}),
    "one axis twice": ((7,), ((2, 3),), {"axis": (0, 0)}),
    "longer than half": ((8,), (6,), {}),
    "everything": ((2, 3), ((2, 3),), {}),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "args", "settings"), CALLS.values(), ids=CALLS)
def test_as_numpy(shape, args, settings, rng):
    check_as_numpy(lambda x: sliding_window_view(x, *args, **settings), rng.standard_normal(shape))


def test_each_element_gets_the_sum_over_its_windows(rng):
    x = rng.standard_normal((5, 6))
    y, pullback = ad.vjp(lambda x: sliding_window_view(x, (2, 4)), x)
    d = rng.standard_normal(y.shape)
    want = np.zeros(x.shape)
    for p, q, k, m in np.ndindex(*y.shape):
        want[p + k, q + m] += d[p, q, k, m]
    np.testing.assert_allclose(pullback(d)[0], want, rtol=1e-13, atol=1e-14)


def test_a_moving_average_of_a_moving_average(rng):
    def smooth(x):
        return np.mean(sliding_window_view(x, 3), axis=-1)

    check_grads(lambda x: np.sum(np.sin(smooth(smooth(x)))), (rng.standard_normal(9),), order=2)
    check_grads(lambda z: smooth(z) * z[1:-1], (rng.standard_normal(5) + 1j * rng.standard_normal(5),), order=2)


def test_windows_of_length_zero():
    y, pullback = ad.vjp(lambda x: sliding_window_view(x, 0), np.ones(3))
    assert y.shape == (4, 0)
    np.testing.assert_array_equal(pullback(np.ones((4, 0)))[0], np.zeros(3))


@pytest.mark.parametrize("setting", ["writeable", "subok"])
def test_what_nodes_cannot_be_is_refused(setting):
    with pytest.raises(KeywordError, match=setting):
        ad.grad(lambda x: np.sum(sliding_window_view(x, 2, **{setting: True})))(np.ones(3))
    given = ad.grad(lambda x: np.sum(sliding_window_view(x, 2, **{setting: False})))(np.ones(3))
    np.testing.assert_array_equal(given, [1, 2, 1])


@pytest.mark.parametrize(
    ("args", "said"),
    [((4,), "larger than"), (((2, 2),), "all dimensions"), ((2, (0, 0)), "matching length"), ((-1,), "negative")],
)
def test_numpys_errors_are_numpys(args, said):
    with pytest.raises(ValueError, match=said):
        ad.grad(lambda x: np.sum(sliding_window_view(x, *args)))(np.ones(3))


def test_a_write_into_what_has_windows_shows_in_them():
    def f(x):
        windows = sliding_window_view(x, 2)
        x[1] = 5.0
        return np.sum(windows * np.array([1.0, 10.0]))

    x = np.arange(3.0)
    assert ad.value_and_grad(f)(x)[0] == f(x.copy())
    np.testing.assert_array_equal(ad.grad(f)(x), [1.0, 0.0, 10.0])


def test_strides_of_ones_own_are_refused_by_name():
    with pytest.raises(LostHistoryError, match="as_strided") as caught:
        ad.grad(lambda x: np.sum(as_strided(x, (2, 2), (8, 8))))(np.ones(3))
    assert "sliding_window_view" in str(caught.value)
