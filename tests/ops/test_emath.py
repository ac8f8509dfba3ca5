"""np.emath: the real function within its domain, the complex one as soon as an element lies outside."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads

E = np.emath
FUNCTIONS = {
    "sqrt": (E.sqrt, np.sqrt), "log": (E.log, np.log), "log2": (E.log2, np.log2), "log10": (E.log10, np.log10),
    "logn": (lambda x: E.logn(2 + x, 3 * x), lambda x: np.log(3 * x) / np.log(2 + x)),
    "logn, a number": (lambda x: E.logn(3, x), lambda x: np.log(x) / np.log(3)),
    "power": (lambda x: E.power(x, 1.5 + x), lambda x: np.power(x, 1.5 + x)),
    "power, whole": (lambda x: E.power(x, -2), lambda x: np.power(x, -2.0)),
    "arccos": (E.arccos, np.arccos), "arcsin": (E.arcsin, np.arcsin), "arctanh": (E.arctanh, np.arctanh),
}  # fmt: skip
INSIDE, OUTSIDE = np.array([0.3, 0.7]), np.array([0.3, -2.7, -1.4])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_the_domain_it_is_numpys_own(name):
    f, own = FUNCTIONS[name]
    for dtype in (np.float32, np.float64):
        x = INSIDE.astype(dtype)
        y, _ = ad.vjp(f, x)
        assert y.dtype == f(x).dtype
        np.testing.assert_array_equal(y, f(x))
    np.testing.assert_allclose(ad.jacobian(f)(INSIDE), ad.jacobian(own)(INSIDE), rtol=1e-15)
    check_grads(f, (INSIDE,), order=2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outside_it_is_complex(name):
    f, own = FUNCTIONS[name]
    for dtype in (np.float16, np.float32, np.float64, np.complex64, np.complex128):
        x = OUTSIDE.astype(dtype)
        y, pull = ad.vjp(f, x)
        assert y.dtype == f(x).dtype
        np.testing.assert_array_equal(y, f(x))
        (d,) = pull(np.ones_like(y))
        assert d.dtype == dtype
        through = ad.vjp(lambda x: own(x + 0j), OUTSIDE.astype(np.float64))[1](np.ones(3, complex))[0]
        np.testing.assert_allclose(np.real(d), through, rtol=32 * float(np.finfo(dtype).eps))
    check_grads(f, (OUTSIDE,), order=2)


def test_a_complex_number_is_outside_where_it_is_real():
    x = np.array([1 + 1j, -2.0, 0.5j])
    np.testing.assert_array_equal(ad.vjp(E.sqrt, x)[0], E.sqrt(x))
    check_grads(E.sqrt, (np.array([1 + 1j, -2.0 + 0.1j]),), order=2)


def test_a_number_alone():
    assert ad.vjp(E.sqrt, -4.0)[0] == 2j
    assert ad.grad(lambda x: np.imag(E.sqrt(x)))(-4.0) == -0.25
