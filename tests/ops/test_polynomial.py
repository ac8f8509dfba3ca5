"""Polynomials: NumPy's values, derivatives of all orders that are asked for, zeros that NumPy drops."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DegenerateWarning, LostHistoryError
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy, check_numpys_error

UNEVEN = np.array([0.0, 0.5, 1.25, 3.0])
MANY = np.array([0.0, 0.4, 1.1, 1.9, 2.2, 3.0])

MATRICES = {
    "polyval": lambda x: np.polyval(x[0], x[1:]),
    "polyval of constants": lambda x: np.polyval([1.0, 2.0, 3.0], x),
    "polyval at a number": lambda x: np.polyval(x[0], 2.0),
    "polyval of a polynomial": lambda x: np.polyval(x[0], np.poly1d([1.0, 2.0])).coeffs,
    "vander": lambda x: np.vander(x[0]),
    "vander, increasing": lambda x: np.vander(x[0], 3, increasing=True),
    "vander, one column": lambda x: np.vander(x[0], 1) * x[:1].T,
    "polyadd": lambda x: np.polyadd(x[0], x[1, :2]),
    "polyadd, a number": lambda x: np.polyadd(x[0, 0], [1.0, 2.0]) * x[0, 1],
    "polysub": lambda x: np.polysub(x[0, 2:], x[1]),
    "polymul": lambda x: np.polymul(x[0], x[1, :3]),
    "polymul, zeros in front": lambda x: np.polymul(np.concatenate([np.zeros(2), x[0]]), [0.0, 1.0, 2.0]),
    "polydiv, quotient": lambda x: np.polydiv(x[0], 3 + x[1, :2])[0],
    "polydiv, remainder": lambda x: np.polydiv(x[0], 3 + x[1, :3])[1],
    "polydiv by a constant": lambda x: np.polydiv(x[0], [2.0, 1.0])[0],
    "polydiv of a shorter one": lambda x: np.polydiv(x[0, :2], x[1])[1],
    "polyder": lambda x: np.polyder(x[0]),
    "polyder, twice": lambda x: np.polyder(x[0], 2),
    "polyder, not at all": lambda x: np.polyder(x[0], 0),
    "polyint": lambda x: np.polyint(x[0]),
    "polyint, one constant": lambda x: np.polyint(x[0], 3, k=x[1, 0]),
    "polyint, constants": lambda x: np.polyint(x[0, :2], 2, x[1]),
    "poly": lambda x: np.poly(x[0]),
    "poly of a matrix": lambda x: np.poly(x[:, :3]),
    "polyfit": lambda x: np.polyfit(UNEVEN, x[0], 2),
    "polyfit, several": lambda x: np.polyfit(UNEVEN, x.T, 1),
    "polyfit, points": lambda x: np.polyfit(3 * UNEVEN + x[0], x[1], 2),
    "polyfit, weights": lambda x: np.polyfit(UNEVEN, x[0], 1, w=1 + x[1] ** 2),
    "polyfit, several, weights": lambda x: np.polyfit(UNEVEN, x.T, 1, w=1 + x[0] ** 2),
    "polyfit, residuals": lambda x: np.polyfit(UNEVEN, x[0], 1, full=True)[1],
    "polyfit, singular values": lambda x: np.polyfit(3 * UNEVEN + x[0], x[1], 1, full=True)[3],
    "polyfit, covariance": lambda x: np.polyfit(UNEVEN, x[0], 1, cov=True)[1],
    "polyfit, covariance, several": lambda x: np.polyfit(UNEVEN, x.T, 1, cov=True)[1],
    "polyfit, unscaled covariance": lambda x: np.polyfit(UNEVEN, x[0], 1, w=1 + x[1] ** 2, cov="unscaled")[1],
    "polyfit, cut off": lambda x: np.polyfit(UNEVEN, x[0], 1, rcond=1e-3),
}


@pytest.mark.parametrize("name", MATRICES)
def test_as_numpy(name, rng):
    check_as_numpy(MATRICES[name], rng.standard_normal((3, 4)), rtol=1e-11)


COMPLEX = {
    "polyval": np.polyval,
    "polyadd": np.polyadd,
    "polysub": np.polysub,
    "polymul": np.polymul,
    "polydiv": lambda p, q: np.polydiv(p, q[:2]),
    "polyder": lambda p, q: np.polyder(p * q),
    "polyint": lambda p, q: np.polyint(p, 2, q),
    "vander": lambda p, q: np.vander(p * q, 3),
    "poly": lambda p, q: np.poly(p * q),
    "poly of a matrix": lambda p, q: np.poly(0.3 * np.outer(p, q) + np.eye(4)),
    "polyfit of values": lambda p, q: np.polyfit(UNEVEN, p * q, 2),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name, rng):
    p, q = (rng.standard_normal(4) + 1j * rng.standard_normal(4) for _ in "pq")
    f = COMPLEX[name]
    expected, (y, _) = f(p, q), ad.vjp(f, p, q)
    for got, want in zip(*(r if isinstance(r, tuple) else (r,) for r in (y, expected)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    check_grads(f, (p, q), order=2)


ZEROS = {
    "real": [2.0, -3.0, -11.0, 6.0],
    "complex": [1.0, 2.0, 5.0, -1.0],
    "zeros in front": [0.0, 0.0, 1.0, -3.0, 2.0],
    "one at zero": [1.0, -3.0, 2.0, 0.0],
    "a line": [2.0, 3.0],
    "complex coefficients": [1.0 + 1j, 2.0, -0.5j, 3.0],
}


@pytest.mark.parametrize("name", ZEROS)
def test_roots(name):
    """Against differences of the roots, each followed by its nearest neighbour."""
    p = np.array(ZEROS[name])
    y, pull = ad.vjp(np.roots, p)
    np.testing.assert_array_equal(y, np.roots(p))
    for i, z in enumerate(y):
        (d,) = pull(np.eye(len(y), dtype=y.dtype)[i])
        for k in np.flatnonzero(p):  # a zero that NumPy strips changes the number of roots when it moves
            moved = [np.roots(p + h * (np.arange(len(p)) == k)) for h in (1e-6, -1e-6)]
            above, below = (r[np.argmin(np.abs(r - z))] for r in moved)
            slope = (above - below) / 2e-6
            np.testing.assert_allclose(d[k], slope if p.dtype.kind == "c" else slope.real, rtol=1e-7, atol=1e-7)


def test_roots_that_move_with_a_stripped_zero():
    """The root at 0 of x·(x − 1) moves with the last coefficient, those of 0·x² + x − 1 with the first one."""
    np.testing.assert_allclose(ad.jacobian(np.roots)(np.array([1.0, -1.0, 0.0])), [[-1, -1, -1], [0, 0, 1]])
    np.testing.assert_allclose(ad.jacobian(np.roots)(np.array([0.0, 1.0, -1.0])), [[-1, -1, -1]])


def test_roots_and_poly_are_inverse(rng):
    p = np.array([2.0, -3.0, -11.0, 6.0])
    np.testing.assert_allclose(ad.jacobian(lambda p: p[0] * np.poly(np.roots(p)))(p), np.eye(4), atol=1e-12)
    check_grads(lambda p: np.sum(np.roots(p) ** 3), (p,), order=2)


def test_where_roots_meet_no_derivative_is_finite():
    with pytest.warns(DegenerateWarning, match="roots"):
        found = ad.jacobian(np.roots)(np.poly([0.0, 0.0, 1.0]))
    assert not np.isfinite(found[1:]).any()
    np.testing.assert_allclose(found[0], -1)  # that of the root that stands alone
    for roots in ([0.1, 0.1], [0.3, 0.3, 0.3], [1.0, 1.0, 2.0, 2.0]):
        with pytest.warns(DegenerateWarning, match="part infinitely fast"):
            assert np.isnan(ad.jacobian(np.roots)(np.poly(roots))).all()
    close = np.array([1.0, 1.0 + 1e-4])  # apart, and rounding can tell
    slopes = ad.jacobian(np.roots)(np.poly(close))
    np.testing.assert_allclose(slopes[:, 2], [-1e4, 1e4], rtol=1e-6)


def test_roots_of_little():
    assert ad.vjp(np.roots, np.zeros(3))[0].shape == (0,)
    np.testing.assert_array_equal(ad.vjp(np.roots, np.array([0.0, 2.0, 0.0, 0.0]))[0], [0, 0])
    assert ad.vjp(np.roots, np.array([3.0]))[0].shape == (0,)
    with pytest.raises(ValueError, match="rank-1"):
        ad.vjp(np.roots, np.ones((2, 2)))


def test_the_coefficients_of_a_matrix_with_equal_eigenvalues():
    """det(λ − A) is smooth there, its eigenvectors are not."""
    np.testing.assert_allclose(ad.grad(lambda a: np.poly(a)[1])(np.eye(3)), -np.eye(3))
    check_grads(np.poly, (np.eye(3),), order=2)
    np.testing.assert_allclose(ad.jacobian(lambda a: np.poly(a)[-1])(np.eye(2)), np.eye(2))


def test_poly_of_pairs_is_real():
    def f(x):
        return np.poly(np.stack([x[0] + 1j * x[1], x[0] - 1j * x[1], x[2]]))

    x = np.array([1.0, 2.0, 3.0])
    y, _ = ad.vjp(f, x)
    assert y.dtype == float
    np.testing.assert_allclose(y, f(x), rtol=1e-15)
    check_grads(f, (x,), order=2)
    assert ad.vjp(lambda x: np.poly(x[:0]), x)[0] == 1.0


def test_polydiv_undoes_polymul(rng):
    u, v = rng.standard_normal(6), 3 + rng.standard_normal(3)

    def again(u, v):
        q, r = np.polydiv(u, v)
        return np.polyadd(np.polymul(q, v), r)

    np.testing.assert_allclose(again(u, v), u, rtol=1e-12)
    np.testing.assert_allclose(ad.jacobian(again, 0)(u, v), np.eye(6), atol=1e-12)
    np.testing.assert_allclose(ad.jacobian(again, 1)(u, v), 0, atol=1e-12)
    check_grads(np.polydiv, (u, v), order=2)
    y, _ = ad.vjp(np.polydiv, u, v)
    for got, want in zip(y, np.polydiv(u, v), strict=True):
        np.testing.assert_array_equal(got, want)


def test_everything_that_polyfit_returns():
    y = np.array([1.0, 3.0, -1.0, 0.5, 2.0, 7.0])
    weights = np.linspace(1.0, 2.0, 6)
    for settings in ({"full": True}, {"cov": True}, {"cov": "unscaled"}, {"full": True, "cov": True}, {}):
        f = lambda x, y, w, settings=settings: np.polyfit(x, y, 2, w=w, **settings)
        expected, found = f(MANY, y, weights), ad.vjp(f, MANY, y, weights)[0]
        assert type(found) is type(expected)
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10)
        check_grads(f, (MANY, y, weights), order=1)
    check_grads(lambda x, y, w: np.polyfit(x, y, 2, w=w), (MANY, y, weights), order=2)


def test_polyfit_warns_as_numpy():
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"):
        ad.vjp(lambda y: np.polyfit(np.ones(4), y, 2), np.ones(4))


def test_poly1d():
    """It holds a tensor as its coefficients; its operators and methods pass it on."""

    def f(x):
        p = np.poly1d(x)
        made = p * p, p - 2 * p, p + x, np.polymul(p, x), p.deriv(), p.integ(2, x[0]), p * x[1], p**2, -p
        return np.stack([*(y(1.5) for y in made), p(x[0]), p[1]])

    x = np.array([1.0, -2.0, 0.5])
    y, _ = ad.vjp(f, x)
    np.testing.assert_allclose(y, f(x), rtol=1e-14)
    check_grads(f, (x,), order=2)
    np.testing.assert_array_equal(ad.vjp(lambda x: np.poly1d(np.concatenate([[0.0], x])).coeffs, x)[0], x)


def test_a_poly1d_alone_does_not_tell_numpy_that_it_holds_a_tensor():
    with pytest.raises(LostHistoryError):
        ad.grad(lambda x: np.polyval(np.poly1d(x), 2.0))(np.ones(3))
    with pytest.raises(LostHistoryError):
        ad.grad(lambda x: np.poly1d([x, 1.0])(2.0))(1.0)
    with pytest.raises(LostHistoryError):  # NumPy looks for tensors in p alone
        ad.grad(lambda k: np.polyint([1.0, 2.0], k=k)[2])(1.0)


@pytest.mark.parametrize("trim", ["fb", "f", "b", "B"])
@pytest.mark.parametrize("shape", [(7,), (3, 5)])
def test_trim_zeros(trim, shape):
    x = np.zeros(shape)
    x[..., 2:4] = 1.5
    f = lambda x: np.trim_zeros(x, trim)
    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(ad.vjp(f, 0 * x)[0], f(0 * x))
    np.testing.assert_array_equal(ad.vjp(f, x)[1](np.ones_like(f(x)))[0].sum(), f(x).size)
    if len(shape) == 2:
        np.testing.assert_array_equal(ad.vjp(lambda x: np.trim_zeros(x, trim, axis=-1), x)[0].shape, (3, f(x).shape[1]))
    with pytest.raises(ValueError, match="unexpected"):
        ad.vjp(lambda x: np.trim_zeros(x, "front"), x)


def test_poly1d_of_constants_keeps_its_kind():
    x = np.array([1.0, 2.0])
    kinds = []
    ad.vjp(lambda x: kinds.append(type(np.polyadd(np.poly1d([1.0, 2.0]), x))) or x, x)
    assert kinds == [np.poly1d]
    check_grads(lambda x: np.polymul(np.poly1d([1.0, 2.0]), x).coeffs, (x,), order=2)


@pytest.mark.parametrize(
    ("f", "error", "said"),
    [
        (lambda x: np.vander(np.ones((2, 2)) * x[0]), ValueError, "one-dimensional"),
        (lambda x: np.polyder(x, -1), ValueError, "polyint"),
        (lambda x: np.polyint(x, -1), ValueError, "polyder"),
        (lambda x: np.polyint(x, 3, k=x[:2]), ValueError, "rank-1"),
        (lambda x: np.poly(np.ones((2, 3)) * x[0]), ValueError, "square 2d"),
        (lambda x: np.polyfit(x, x, -1), ValueError, "deg >= 0"),
        (lambda x: np.polyfit(x[:, None], x, 1), TypeError, "1D vector"),
        (lambda x: np.polyfit(x[:0], x, 1), TypeError, "non-empty"),
        (lambda x: np.polyfit(x, x[0], 1), TypeError, "1D or 2D"),
        (lambda x: np.polyfit(x, x[:2], 1), TypeError, "same length"),
        (lambda x: np.polyfit(x, x, 1, w=x[0]), TypeError, "weights"),
        (lambda x: np.polyfit(x, x, 1, w=x[:2]), TypeError, "w and y"),
        (lambda x: np.polyfit([0.0, 1.0, 2.0], x, 2, cov=True), ValueError, "must exceed order"),
        (lambda x: np.polyfit(x, x, 1, w=1j * x), TypeError, "cast"),
    ],
)
def test_numpys_own_errors(f, error, said):
    check_numpys_error(f, np.array([1.0, 2.0, 4.0]), error, said)
