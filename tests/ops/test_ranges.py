"""Points between two ends that are traced, and the derivatives of the Bessel function against mpmath."""

import mpmath
import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import LostHistoryError
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy, check_numpys_error

VECTORS = {
    "linspace": lambda x: np.linspace(x[0], x[1], 7),
    "linspace, one end": lambda x: np.linspace(0, x[1], num=5),
    "linspace, the other": lambda x: np.linspace(x[0], 2, num=5, endpoint=False),
    "linspace of arrays": lambda x: np.linspace(x, x[:2, None] ** 2, 4, axis=1),
    "linspace of arrays, last axis": lambda x: np.linspace(x, 1.0, 4, False, axis=-1),
    "linspace, step": lambda x: np.linspace(x[0], x[1], 5, retstep=True)[1] * x[2],
    "linspace, step of arrays": lambda x: np.linspace(x, 2 * x * x, 5, endpoint=False, retstep=True)[1],
    "linspace, dtype": lambda x: np.linspace(x[0], x[1], 5, dtype=np.longdouble),
    "linspace, complex": lambda x: np.linspace(x[0] * 1j, x[1], 5, dtype=complex),
    "linspace, one point": lambda x: np.linspace(x, 3.0, 1),
    "linspace of equal ends": lambda x: np.linspace(x[0], x[0], 3),
    "logspace": lambda x: np.logspace(x[0], x[1], 5),
    "logspace, base": lambda x: np.logspace(0.5, x[1], 5, base=x[2], endpoint=False),
    "logspace, bases": lambda x: np.logspace(0.5, x[1], 5, base=x, axis=-1),
    "logspace, bases and ends": lambda x: np.logspace(x, x[:, None] ** 2, 3, base=1 + x),
    "logspace, dtype": lambda x: np.logspace(x[0], x[1], 5, dtype=np.longdouble),
    "geomspace": lambda x: np.geomspace(x[0], x[1], 6),
    "geomspace, negative": lambda x: np.geomspace(-x[0], -x[1], 6, endpoint=False),
    "geomspace of arrays": lambda x: np.geomspace(x, 3.0, 4, axis=-1),
    "geomspace, one point": lambda x: np.geomspace(x, 3.0, 1),
    "geomspace, none": lambda x: np.geomspace(x[0], 3.0, 0).sum() + x,
    "geomspace, dtype": lambda x: np.geomspace(x[0], x[1], 5, dtype=np.longdouble),
    "i0": lambda x: np.i0(4 * x),
    "window": lambda x: np.kaiser(5, 2.0) * x[0],
}


@pytest.mark.parametrize("name", VECTORS)
def test_as_numpy(name):
    check_as_numpy(VECTORS[name], np.array([0.7, 1.3, 2.1]), rtol=1e-14)


@pytest.mark.parametrize("f", [np.linspace, np.logspace, np.geomspace])
def test_complex(f):
    start, stop = np.array([1 + 2j, -1 + 0.5j]), np.array(0.5 - 1j)
    y, _ = ad.vjp(lambda a, b: f(a, b, 4), start, stop)
    np.testing.assert_allclose(y, f(start, stop, 4), rtol=1e-14)
    assert y.dtype == complex
    check_grads(lambda a, b: f(a, b, 4), (start, stop), order=2)


def test_whole_numbers_have_no_slope():
    assert ad.vjp(lambda x: np.linspace(0, x, 4, dtype=int), 10.0)[0].tolist() == [0, 3, 6, 10]
    assert ad.grad(lambda x: x * np.linspace(0, x, 4, dtype=int).sum())(10.0) == 19


def test_steps():
    y, step = ad.vjp(lambda x: np.linspace(0, x, 1, retstep=True), 3.0)[0]
    assert y.tolist() == [0]
    assert np.isnan(step)
    assert ad.grad(lambda x: np.linspace(0, x, 5, retstep=True)[1])(3.0) == 0.25


def test_numpys_own_errors():
    for f, error, said in (
        (lambda x: np.linspace(x, 2.0, -1), ValueError, "non-negative"),
        (lambda x: np.linspace(x, 2.0, 2.5), TypeError, "integer"),
        (lambda x: np.geomspace(x - x, 2.0), ValueError, "zero"),
        (lambda x: np.i0(x + 1j), TypeError, "complex"),
    ):
        check_numpys_error(f, 1.0, error, said)


def test_what_numpy_does_not_dispatch():
    """Its length would depend on the values; kaiser has a spelling that takes a tensor."""
    for f in (np.arange, anp.arange, lambda x: np.arange(0, 5, x), lambda x: np.kaiser(4, x)):
        with pytest.raises(LostHistoryError):
            ad.grad(lambda x, f=f: np.sum(f(x)))(3.0)


@pytest.mark.parametrize("m", [0, 1, 2, 7, 8])
def test_kaiser(m):
    y, _ = ad.vjp(lambda beta: anp.kaiser(m, beta), 8.6)
    np.testing.assert_allclose(y, np.kaiser(m, 8.6), rtol=1e-14)
    if m > 1:
        check_grads(lambda beta: anp.kaiser(m, beta), (8.6,), order=2)
        (d,) = ad.vjp(lambda beta: anp.kaiser(m, beta), 0.0)[1](np.ones(m))
        assert d == 0


POINTS = [0.0, 1e-200, 1e-8, 0.3, 1.0, 7.9, 8.1, 29.9, 30.1, 33.9, 34.1, 45.9, 46.1, 100.0, 350.0, 699.0, 700.0]


def true_derivative(x, order):
    """Σ (x/2)²ᵏ / k!², differentiated term by term in many digits."""
    with mpmath.workdps(40):
        x, total = mpmath.mpf(float(x)), mpmath.mpf(0)
        for k in range((order + 1) // 2, 1000):
            falling = mpmath.ff(2 * k, order)
            term = falling * x ** (2 * k - order) / (mpmath.mpf(4) ** k * mpmath.factorial(k) ** 2)
            total += term
            if 2 * k > order and abs(term) <= abs(total) * mpmath.mpf(10) ** -30:
                break
        return float(total)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_i0(order, sign):
    f = np.i0
    for _ in range(order):
        f = ad.elementwise_grad(f)
    points = sign * np.array(POINTS)
    np.testing.assert_allclose(f(points), [true_derivative(x, order) for x in points], rtol=1e-12, atol=1e-300)


def test_i0_far_out():
    """I₁(713) is a double although exp(713) is not; beyond the doubles it is infinite, at nan it is nan."""
    with np.errstate(over="ignore", invalid="ignore"):
        slope = ad.elementwise_grad(np.i0)(np.array([713.0, -713.0, 800.0, -800.0, np.inf, np.nan]))
    with mpmath.workdps(40):
        true = float(mpmath.besseli(1, 713))
    np.testing.assert_allclose(slope, [true, -true, np.inf, -np.inf, np.inf, np.nan], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_i0_in_other_dtypes(dtype):
    x = np.array([0.5, 3.0, 9.0], dtype)
    slope = ad.elementwise_grad(np.i0)(x)
    assert slope.dtype == dtype
    with mpmath.workdps(40):
        true = [dtype(str(mpmath.besseli(1, mpmath.mpf(str(v))))) for v in x]
    np.testing.assert_allclose(slope, np.array(true), rtol=4 * float(np.finfo(dtype).eps))
