"""Bools and whole numbers: what NumPy does to them in its own way it does under `jit` and `vmap` too."""

import numpy as np
import pytest

import autodiff as ad

BOOLS = np.array([[True, False, True, True], [False, False, True, False]])
INTS = np.array([[1, 0, 3, -9], [2, 2, 5, 40]])

CORNERS = {
    "correlate": lambda x: np.correlate(x[0], x[1], "full"),
    "correlate, the other way": lambda x: np.correlate(x[0, :2], x[1], "same"),
    "convolve": lambda x: np.convolve(x[0], x[1, :2]),
    "diff": np.diff,
    "second diff": lambda x: np.diff(x, n=2, axis=1),
    "diff after a row": lambda x: np.diff(x, prepend=x[:, :1]),
    "unwrap": np.unwrap,
    "unwrap, whole": lambda x: np.unwrap(x, period=4),
    "unwrap, odd": lambda x: np.unwrap(x, period=5),
    "max from 0": lambda x: np.max(x, initial=0, where=x > 1),
    "max from 0.0": lambda x: np.max(x, initial=0.0, where=x > 1),
    "min from 3": lambda x: np.min(x, axis=0, initial=3.0, where=x < 1),
    "pad, mean": lambda x: np.pad(x, (1, 3), mode="mean"),
    "pad, median of two": lambda x: np.pad(x, 2, mode="median", stat_length=2),
    "pad, maximum": lambda x: np.pad(x, 1, mode="maximum"),
    "pad, ramp": lambda x: np.pad(x, (3, 7), mode="linear_ramp"),
    "pad, ramp from fractions": lambda x: np.pad(x, (3, 7), mode="linear_ramp", end_values=(2.7, -3)),
    "square": lambda x: x**2,
    "square of abs": lambda x: np.abs(x) ** 2,
    "power": lambda x: np.power(x, 2),
    "cube": lambda x: x**3,
}


def same(got, want):
    np.testing.assert_array_equal(got, want)
    assert np.asarray(got).dtype == np.asarray(want).dtype


@pytest.mark.parametrize(
    "x", [BOOLS, INTS, INTS.astype(np.int8), np.abs(INTS).astype(np.uint16)], ids=lambda x: x.dtype.name
)
@pytest.mark.parametrize("name", CORNERS)
def test_bools_and_whole_numbers_as_numpy(name, x):
    f = CORNERS[name]
    if x.dtype == np.uint16 and name.startswith("unwrap, "):
        pytest.skip("NumPy refuses it")
    want = f(x)
    same(ad.jit(f)(x), want)
    same(ad.vmap(f)(np.stack([x, x[::-1]])), np.stack([want, f(x[::-1])]))


@pytest.mark.parametrize("x", [BOOLS[0, 0], np.array(True)])
def test_bools_without_axes(x):
    for f in (lambda x: x**2, lambda x: np.abs(x) ** 2):
        same(ad.jit(f)(x), f(x))


@pytest.mark.parametrize("mode", ["constant", "edge", "wrap", "reflect", "mean", "linear_ramp"])
def test_padding_of_what_has_no_axes(mode):
    def f(x):
        return np.pad(x, 1, mode=mode)

    for x in (2.5, np.array(3)):
        same(ad.jit(f)(x), f(x))
    assert ad.grad(f)(2.5) == 1.0
    with pytest.raises(ValueError, match="mode 'nowhere' is not supported"):
        ad.jit(lambda x: np.pad(x, 1, mode="nowhere"))(2.5)


@pytest.mark.parametrize("f", [abs, lambda a: +a, lambda a: -abs(a), lambda a: abs(a - 7) * 2])
@pytest.mark.parametrize("a", [2.0, -3, 1 + 1j])
def test_a_number_of_pythons_stays_weak(f, a):
    b = np.ones(2, np.complex64 if isinstance(a, complex) else np.float32)
    same(ad.jit(lambda a, b: f(a) * b)(a, b), f(a) * b)
