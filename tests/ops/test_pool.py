"""Pooling against a loop over windows; ties, paddings, and windows that lie partly outside."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import SettingError, ShapeError
from autodiff.testing import check_grads

CASES = {
    "halves": ((2, 3, 4, 6), 2, {}),
    "overlapping": ((2, 2, 7, 6), 3, {"stride": 2}),
    "padded": ((2, 2, 6, 5), 3, {"stride": 2, "padding": 1}),
    "pairs": ((1, 2, 5, 4), (3, 2), {"stride": (1, 2), "padding": ((2, 0), (0, 1))}),
    "same": ((1, 2, 7, 5), 3, {"stride": (2, 1), "padding": "same"}),
    "one axis": ((2, 3, 7), 3, {}),
    "three axes": ((1, 2, 4, 3, 5), (2, 1, 3), {"stride": 1}),
    "the last axis alone": ((3, 8), (4,), {"stride": 2}),
    "gaps between windows": ((1, 1, 8, 7), 2, {"stride": 3}),
    "an empty batch": ((0, 3, 4, 4), 2, {}),
}


def by_windows(x, kernel, reduce, stride=None, padding=0):
    """One window after the other; `reduce` sees what lies in x, and how large the window is."""
    rank = x.ndim - 2 if isinstance(kernel, int) else len(kernel)
    kernel = np.broadcast_to(kernel, rank)
    stride = kernel if stride is None else np.broadcast_to(stride, rank)
    size = x.shape[x.ndim - rank :]
    if padding == "same":
        total = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in zip(size, kernel, stride, strict=True)]
        padding = [(t // 2, t - t // 2) for t in total]
    sides = np.broadcast_to(padding, (rank, 2)) if np.ndim(padding) != 1 else [(p, p) for p in padding]
    out = [(n + a + b - k) // s + 1 for n, k, s, (a, b) in zip(size, kernel, stride, sides, strict=True)]
    y = np.zeros((*x.shape[: x.ndim - rank], *out))
    for place in np.ndindex(*out):
        starts = [p * s - a for p, s, (a, _) in zip(place, stride, sides, strict=True)]
        window = tuple(slice(max(0, b), max(0, b + k)) for b, k in zip(starts, kernel, strict=True))
        y[(..., *place)] = reduce(x[(..., *window)], tuple(range(-rank, 0)), np.prod(kernel))
    return y


def largest(window, axes, count):
    return np.max(window, axis=axes, initial=-np.inf)


def mean_of_all(window, axes, count):
    return np.sum(window, axis=axes) / count


def mean_of_those_inside(window, axes, count):
    return np.mean(window, axis=axes)


POOLS = {
    "max_pool": (nn.max_pool, largest, {}),
    "avg_pool": (nn.avg_pool, mean_of_all, {}),
    "avg_pool without padding": (nn.avg_pool, mean_of_those_inside, {"count_include_pad": False}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("pool", "reduce", "more"), POOLS.values(), ids=POOLS)
def test_values_are_those_of_the_windows(pool, reduce, more, case, rng):
    shape, kernel, settings = case
    x = rng.standard_normal(shape)
    want = by_windows(x, kernel, reduce, **settings)
    for like in (x, np.asfortranarray(x)):
        y = pool(like, kernel, **settings, **more)
        assert y.shape == want.shape
        np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-15)
    y, _ = ad.vjp(lambda x: pool(x, kernel, **settings, **more), x)
    np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("case", [c for name, c in CASES.items() if name != "an empty batch"])
@pytest.mark.parametrize(("pool", "reduce", "more"), POOLS.values(), ids=POOLS)
def test_derivatives(pool, reduce, more, case, rng):
    shape, kernel, settings = case
    x = rng.permutation(np.linspace(-1, 1, np.prod(shape))).reshape(shape)  # no two elements near each other
    check_grads(lambda x: pool(x, kernel, **settings, **more), (x,), order=1)
    check_grads(lambda x: pool(np.sin(x), kernel, **settings, **more) ** 2, (x,), order=2)
    check_grads(lambda x: pool(np.sin(x), kernel, **settings, **more) ** 2, (np.asfortranarray(x),), order=1)


def test_ties_share_equally():
    """Of the four windows one has two largest elements, one four, and two of them share an element."""
    x = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(nn.max_pool(x, (2, 2), stride=1), [[1, 1], [0, 0]])
    d = np.array([[12.0, 120.0], [1200.0, 12000.0]])
    _, pullback = ad.vjp(lambda x: nn.max_pool(x, (2, 2), stride=1), x)
    want = np.array([[6.0, 126.0, 0.0], [300.0, 3300.0, 3000.0], [300.0, 3300.0, 3000.0]])
    np.testing.assert_array_equal(pullback(d)[0], want)
    t = np.arange(9.0).reshape(3, 3)
    ahead = ad.jvp(lambda x: nn.max_pool(x, (2, 2), stride=1), (x,), (t,))[1]
    np.testing.assert_array_equal(ahead, [[0.5, 1.0], [5.0, 6.0]])
    assert np.sum(ahead * d) == np.sum(want * t)


def test_as_np_max_where_one_window_is_everything(rng):
    x = rng.integers(0, 3, (4, 5)).astype(float)  # full of ties
    one = ad.grad(lambda x: nn.max_pool(x, (4, 5))[0, 0])(x)
    np.testing.assert_allclose(one, ad.grad(np.max)(x), rtol=1e-15)
    assert np.count_nonzero(one) == np.sum(x == x.max()) > 1


def test_padding_is_lower_than_minus_infinity():
    """A window of −inf and padding: its δ goes to its own elements, not into the padding."""
    x = np.array([-np.inf, 1.0, -np.inf, -np.inf])
    y, pullback = ad.vjp(lambda x: nn.max_pool(x, (2,), padding=1), x)
    np.testing.assert_array_equal(y, [-np.inf, 1, -np.inf])
    np.testing.assert_array_equal(pullback(np.array([1.0, 2.0, 4.0]))[0], [1, 2, 0, 4])


def test_nan_is_the_largest_and_shares_with_nan():
    x = np.array([np.nan, 1.0, np.nan, 2.0, 3.0, 4.0])
    y, pullback = ad.vjp(lambda x: nn.max_pool(x, (3,)), x)
    np.testing.assert_array_equal(y, [np.nan, 4])
    np.testing.assert_array_equal(pullback(np.array([2.0, 5.0]))[0], [1, 0, 1, 0, 0, 5])


def test_an_infinite_delta_makes_no_nan():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    _, pullback = ad.vjp(lambda x: nn.max_pool(x, (2,)), x)
    np.testing.assert_array_equal(pullback(np.array([np.inf, 1.0]))[0], [0, np.inf, 0, 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize(("pool", "reduce", "more"), POOLS.values(), ids=POOLS)
def test_dtypes_stay(pool, reduce, more, dtype, rng):
    x = rng.standard_normal((2, 1, 5, 5)).astype(dtype)
    y, pullback = ad.vjp(lambda x: pool(x, 3, stride=2, padding=1, **more), x)
    assert y.dtype == pullback(np.ones_like(y))[0].dtype == dtype
    want = by_windows(x.astype(float), 3, reduce, stride=2, padding=1)
    np.testing.assert_allclose(y.astype(float), want, rtol=8 * float(np.finfo(dtype).eps), atol=1e-3)


def test_on_whole_numbers():
    x = np.array([[3, 1, 2, 7]])
    assert nn.max_pool(x, (2,)).tolist() == [[3, 7]]
    assert nn.max_pool(x, (2,)).dtype == x.dtype
    assert nn.avg_pool([[3, 1, 2, 7]], (2,)).tolist() == [[2.0, 4.5]]
    assert nn.max_pool(np.array([True, False, False, False]), (2,)).tolist() == [True, False]


def test_a_mean_of_many_halves_is_right():
    assert nn.avg_pool(np.ones(5000, np.float16), (5000,))[0] == 1


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_a_mean_of_large_halves_does_not_overflow(count_include_pad):
    x = np.full((1, 1, 4), 60000, np.float16)
    y, pullback = ad.vjp(lambda x: nn.avg_pool(x, 2, count_include_pad=count_include_pad), x)
    np.testing.assert_array_equal(y, np.full((1, 1, 2), 60000, np.float16))
    np.testing.assert_array_equal(pullback(np.full(y.shape, 60000, np.float16))[0], x / 2)
    assert y.dtype == np.float16


X = np.zeros((2, 3, 6, 6))
WRONG = {
    "window": (ShapeError, "smaller window", lambda pool: pool(X, 7)),
    "axes": (ShapeError, "last axes", lambda pool: pool(np.zeros((2, 3)), 2)),
    "more lengths than axes": (ShapeError, "last axes", lambda pool: pool(np.zeros((2, 3)), (1, 1, 1))),
    "nothing but padding": (SettingError, "pad less", lambda pool: pool(X, 2, padding=2)),
    "kernel": (SettingError, "kernel=0", lambda pool: pool(X, 0)),
    "stride": (SettingError, "stride=0", lambda pool: pool(X, 2, stride=0)),
    "padding": (SettingError, "from 0 on", lambda pool: pool(X, 3, padding=(-1, 0))),
    "name": (SettingError, '"same"', lambda pool: pool(X, 3, padding="SAME")),
}


@pytest.mark.parametrize(("error", "said", "call"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("pool", [nn.max_pool, nn.avg_pool])
def test_what_does_not_fit_is_refused_with_the_cure(pool, error, said, call):
    with pytest.raises(error) as caught:
        call(pool)
    assert said in str(caught.value)
    assert __file__ in str(caught.value)
