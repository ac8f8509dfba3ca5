"""Fourier transforms: NumPy's spellings, lengths that crop and pad, many axes, and the transposes as whole matrices."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from tests.ops.as_numpy import check_as_numpy

NORMS = (None, "backward", "ortho", "forward")
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY = ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn")
TAKES_COMPLEX = ("fft", "ifft", "irfft", "hfft", "fft2", "ifft2", "irfft2", "fftn", "ifftn", "irfftn")
LENGTHS = {
    "usual": {}, "one": {"n": 1}, "even, cropped": {"n": 2}, "odd, cropped": {"n": 3}, "padded": {"n": 8},
    "padded, odd": {"n": 9},
}  # fmt: skip
ONE_AXIS = {
    "first axis": {"axis": 0},
    "middle axis, cropped": {"axis": -2, "n": 2},
    "by position": (7, 1, "ortho"),
}
AXES = {
    "usual": {},
    "two axes": {"axes": (0, 2)},
    "two axes, turned": {"axes": (-1, -3)},
    "cropped and padded": {"s": (5, 2), "axes": (0, 2)},
    "cropped and padded, turned": {"s": (3, 6), "axes": [2, 0]},
    "usual lengths by number": {"s": (-1, 4), "axes": (1, 2)},
    "ortho": {"axes": (1, 2), "norm": "ortho"},
    "one axis": {"axes": (1,), "norm": "forward"},
}


def complex_numbers(rng, shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def transform(name, settings):
    function = getattr(np.fft, name)
    if isinstance(settings, tuple):
        return lambda x: function(x, *settings)
    return lambda x: function(x, **settings)


def check_transform(name, settings, shape, rng):
    """At real numbers, and at complex ones where NumPy takes them."""
    f = transform(name, settings)
    check_as_numpy(f, rng.standard_normal(shape))
    if name in TAKES_COMPLEX:
        z = complex_numbers(rng, shape)
        ad.testing.check_grads(f, (z,), order=1)
        ad.testing.check_grads(lambda x: f(x) * f(x), (z,), order=2)
        y, _ = ad.vjp(f, z)
        np.testing.assert_array_equal(y, f(z))


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", ONE)
def test_lengths(name, length, size, rng):
    check_transform(name, LENGTHS[length], (size,), rng)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE)
def test_norms(name, norm, rng):
    check_transform(name, {"norm": norm, "axis": 0}, (4, 2), rng)


@pytest.mark.parametrize("call", ONE_AXIS)
@pytest.mark.parametrize("name", ONE)
def test_one_axis(name, call, rng):
    check_transform(name, ONE_AXIS[call], (3, 4, 3), rng)


@pytest.mark.parametrize("call", AXES)
@pytest.mark.parametrize("name", MANY)
def test_many_axes(name, call, rng):
    check_transform(name, AXES[call], (3, 2, 4), rng)


@pytest.mark.parametrize("name", ["fftn", "ifftn"])
def test_an_axis_transformed_twice_and_no_axis_at_all(name, rng):
    check_transform(name, {"axes": (0, 1, 0)}, (3, 2), rng)
    check_transform(name, {"axes": ()}, (3, 2), rng)


@pytest.mark.parametrize("axes", [None, 1, -1, (0,), [0, -1], (1, 1)])
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name, axes, rng):
    check_as_numpy(lambda x: getattr(np.fft, name)(x, axes), rng.standard_normal((3, 4, 5)), rtol=0)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_jacobian_of_fft_is_the_fourier_matrix(n, mode, rng):
    j, k = np.ogrid[:n, :n]
    matrix = np.exp(-2j * np.pi * j * k / n)
    found = ad.jacobian(np.fft.fft, mode=mode)(complex_numbers(rng, n))
    np.testing.assert_allclose(found, matrix, atol=1e-14 * n)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("name", ["irfft", "hfft"])
def test_what_a_real_signal_cannot_have_passes_nothing_back(name, n, rng):
    """The imaginary part of the mean, and of the highest frequency of an even length."""
    z = complex_numbers(rng, n // 2 + 1)
    d = ad.grad(lambda z: np.sum(getattr(np.fft, name)(z, n) ** 3))(z)
    ends = [0] if n % 2 else [0, -1]
    np.testing.assert_array_equal(d[ends].imag, 0)
    inner = np.delete(d, ends)
    assert np.all(inner.imag != 0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [6, 7])
def test_the_energy_of_a_signal_is_that_of_its_spectrum(n, norm, rng):
    """By Parseval's theorem, so its gradient is the signal: but for the factor by which the norm is not ortho."""
    x = rng.standard_normal(n)
    d = ad.grad(lambda x: 0.5 * np.sum(np.abs(np.fft.fft(x, norm=norm)) ** 2))(x)
    np.testing.assert_allclose(d, x * {"ortho": 1, "forward": 1 / n}.get(norm, n), rtol=1e-13)


@pytest.mark.parametrize("s", [(3, 6), (3, 7), (4, 5)])
def test_there_and_back_is_the_identity(s, rng):
    x, w = rng.standard_normal(s), rng.standard_normal(s)
    y, pullback = ad.vjp(lambda x: np.fft.irfft2(np.fft.rfft2(x), s), x)
    np.testing.assert_allclose(y, x, rtol=1e-13)
    np.testing.assert_allclose(pullback(w)[0], w, rtol=1e-13)


def test_convolution_by_spectra_is_convolution(rng):
    x, kernel, w = rng.standard_normal(6), rng.standard_normal(3), rng.standard_normal(8)
    _, pullback = ad.vjp(lambda x, k: np.fft.irfft(np.fft.rfft(x, 8) * np.fft.rfft(k, 8), 8), x, kernel)
    of_x, of_kernel = pullback(w)
    np.testing.assert_allclose(of_x, np.correlate(w, kernel, "valid"), rtol=1e-12)
    np.testing.assert_allclose(of_kernel, np.correlate(w, x, "valid"), rtol=1e-12)


def test_what_is_cropped_passes_a_true_zero():
    with np.errstate(divide="ignore"):
        d = ad.grad(lambda x: np.sum(np.fft.irfft(np.log(x), 2)))(np.array([2.0, 4.0, 0.0]))
    np.testing.assert_array_equal(d, [0.5, 0.0, 0.0])


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, dtype) for name in (*ONE, *MANY) for dtype in (np.float16, np.float32, np.longdouble)]
    + [(name, dtype) for name in TAKES_COMPLEX for dtype in (np.complex64, np.clongdouble)],
)
def test_precision_is_kept(name, dtype, rng):
    x = rng.standard_normal((3, 4)).astype(dtype)
    f = getattr(np.fft, name)
    y, pullback = ad.vjp(f, x)
    (d,) = pullback(y)
    assert y.dtype == f(x).dtype
    assert d.dtype == dtype
    assert ad.jvp(f, (x,), (x,))[1].dtype == y.dtype


def test_a_short_axis_of_nothing_is_padded():
    y, pullback = ad.vjp(lambda x: np.fft.fft(x, 3), np.zeros((2, 0)))
    np.testing.assert_array_equal(y, np.zeros((2, 3)))
    assert pullback(np.ones((2, 3)) + 0j)[0].shape == (2, 0)


@pytest.mark.parametrize("name", [*ONE, *MANY])
def test_out_is_refused(name):
    with pytest.raises(KeywordError, match=f"{name}: the keyword 'out'"):
        ad.vjp(lambda x: getattr(np.fft, name)(x, out=np.empty((3, 3), complex)), np.ones((3, 3)))


WRONG = {
    "no points": ("fft", (3,), {"n": 0}),
    "fewer than no points": ("ifft", (3,), {"n": -1}),
    "half of nothing": ("irfft", (1,), {}),
    "no such axis": ("rfft", (3,), {"axis": 1}),
    "a number": ("fft", (), {}),
    "no such norm": ("hfft", (3,), {"norm": "unitary"}),
    "half a point": ("fft", (3,), {"n": 1.5}),
    "too few axes": ("fft2", (3,), {}),
    "no axis": ("rfftn", (3, 3), {"axes": ()}),
    "more lengths than axes": ("fftn", (3, 3), {"s": (2, 2), "axes": (0,)}),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_of_numpys_own_kind(case):
    name, shape, settings = WRONG[case]
    f = transform(name, settings)
    with pytest.raises((ValueError, TypeError, IndexError)) as expected:
        f(np.ones(shape))
    with pytest.raises(expected.type):
        ad.vjp(f, np.ones(shape))


def test_the_frequencies_stay_constants():
    d = ad.grad(lambda x: np.sum(x * np.fft.fftfreq(4) + np.fft.rfftfreq(6)))(np.ones(4))
    np.testing.assert_array_equal(d, np.fft.fftfreq(4))


@pytest.mark.parametrize("name", MANY)
def test_an_axis_that_is_named_twice_is_transformed_twice(name, rng):
    x = rng.standard_normal((4, 3))
    f = transform(name, {"axes": (0, 0)})
    y, _ = ad.vjp(f, x)
    assert y.shape == f(x).shape
    check_as_numpy(f, x)


@pytest.mark.parametrize("settings", [{"s": (3, 4)}, {"s": (3, None), "axes": (0, 1)}])
def test_what_numpy_warns_of_is_warned_of(settings, rng):
    x = rng.standard_normal((4, 5, 6))
    with pytest.warns(DeprecationWarning, match="NumPy 2.0"):
        y, pull = ad.vjp(transform("fftn", settings), x)
    with pytest.warns(DeprecationWarning, match="NumPy 2.0"):
        assert np.array_equal(y, transform("fftn", settings)(x))
    assert np.allclose(np.sum(pull(np.conj(y))[0] * x), np.sum(np.abs(y) ** 2))
