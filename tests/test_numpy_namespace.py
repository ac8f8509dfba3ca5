"""autodiff.numpy: NumPy's own objects outside a trace, and what makes arrays inside one."""

import inspect

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import KeywordError, LostHistoryError
from autodiff.testing import check_grads

CONVERSIONS = ["array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"]


def _public(module):
    return [name for name in dir(module) if not name.startswith("_")]


def test_a_name_is_numpys_own_object_or_has_its_signature():
    ours = [name for name in _public(np) if getattr(anp, name) is not getattr(np, name)]
    assert {"array", "asarray", "zeros", "linspace", "full"} <= set(ours)
    for name in set(ours) - {"linalg", "vectorize", "apply_along_axis", "apply_over_axes", "piecewise"}:
        assert inspect.signature(getattr(anp, name)) == inspect.signature(getattr(np, name)), name
    for module, theirs in ((anp.linalg, np.linalg), (anp.fft, np.fft), (anp.random, np.random)):
        assert not [name for name in theirs.__all__ if getattr(module, name) is not getattr(theirs, name)]
    assert set(_public(np)) <= set(dir(anp))


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("x", [3, 2.5, [1, 2], ((1.0, 2j), (3, 4)), np.arange(6.0).reshape(2, 3).T, np.float32(2), []])
def test_conversions_outside_a_trace_are_numpys(name, x):
    got, want = getattr(anp, name)(x), getattr(np, name)(x)
    assert type(got) is type(want)
    assert (got.dtype, got.shape, got.flags.c_contiguous, got.flags.f_contiguous) == (
        want.dtype, want.shape, want.flags.c_contiguous, want.flags.f_contiguous
    )  # fmt: skip
    np.testing.assert_array_equal(got, want)
    assert (got is x) == (want is x)


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_of_tensors(name, rng):
    convert, numpys = getattr(anp, name), getattr(np, name)
    for x in (rng.standard_normal((2, 3)), rng.standard_normal(3), np.float64(1.5)):
        for settings in ({}, {"dtype": np.float32}, {"dtype": complex}):
            y, _ = ad.vjp(lambda x, s=settings: convert(x, **s), x)
            want = numpys(x, **settings)
            assert (y.dtype, y.shape) == (want.dtype, want.shape)
            np.testing.assert_array_equal(y, want)
    x = rng.standard_normal(2)
    y, _ = ad.vjp(lambda x: convert([x[0], 2, x[1] * x[0]]), x)
    np.testing.assert_array_equal(y, [x[0], 2, x[1] * x[0]])
    check_grads(lambda x: np.sum(convert([[x[0], 2], x * x], dtype=complex).real ** 2), (x,), order=2)


def test_asarray_says_whether_it_copies():
    def f(x):
        assert anp.asarray(x) is x
        assert anp.asarray(x, copy=False, device="cpu") is x
        assert anp.array(x, copy=None) is x
        for copied in (anp.asarray(x, copy=True), anp.array(x)):
            assert copied is not x
            copied[0] = 7.0
        assert x[0] == 1.0
        with pytest.raises(ValueError, match="Unable to avoid copy"):
            anp.asarray(x, dtype=np.float32, copy=False)
        with pytest.raises(ValueError, match="Unable to avoid copy"):
            anp.asarray([x, x], copy=False)
        with pytest.raises(ValueError, match=r"[Dd]evice"):
            anp.asarray(x, device="gpu")
        with pytest.raises(KeywordError, match="like"):
            anp.asarray(x, like=np.ones(2))
        return np.sum(x)

    assert list(ad.grad(f)(np.array([1.0, 2.0]))) == [1.0, 1.0]


def test_full_takes_a_tensor():
    check_grads(lambda x: np.sum(anp.full((2, 3), x[0]) * anp.full(2, x[1])[:, None]), (np.array([2.0, 3.0]),), order=2)
    check_grads(lambda x: np.sum(anp.full((2, 2), x, dtype=complex).real ** 2), (np.array([2.0, 3.0]),), order=2)
    assert anp.full(2, 1.5).dtype == np.full(2, 1.5).dtype
    assert type(anp.full(2, 1.5)) is np.ndarray
    with pytest.raises(ValueError, match=r"[Dd]evice"):
        ad.grad(lambda x: np.sum(anp.full(2, x, device="gpu")))(1.0)
    with pytest.raises(LostHistoryError):  # NumPy's own makes a plain array
        ad.grad(lambda x: np.sum(np.full(2, x)))(1.0)


def test_numbers_can_be_written_into_by_a_mask_as_arrays_of_the_standard_can():
    def masked(x):
        y = np.sum(x)
        z = y
        y[y < 0] = x[0] * x[1]
        assert z is y
        return y

    x = np.array([2.0, 5.0])
    assert list(ad.grad(masked)(x)) == [1.0, 1.0]
    assert list(ad.grad(masked)(-x)) == [-5.0, -2.0]


def test_a_write_into_a_view_whose_base_is_gone():
    def f(x):
        y = np.moveaxis(x * 2, 0, 1)  # a view of a product that nobody holds
        y[0, 1:] *= 3.0
        return np.sum(y * y)

    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    scale = np.array([[2.0, 2.0], [6.0, 2.0]])
    np.testing.assert_array_equal(ad.grad(f)(x), 2 * scale**2 * x)
