"""What no law knows of pseudo-inverses, least squares and condition: rank, NumPy's four results, singular matrices."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DegenerateWarning

LINALG = np.linalg
ORDERS = [None, 2, -2, 1, -1, np.inf, -np.inf, "fro"]


def test_pinv_of_a_square_matrix_is_its_inverse(rng):
    a, d = rng.standard_normal((2, 3, 3))
    (found,), (want,) = ad.vjp(LINALG.pinv, a)[1](d), ad.vjp(LINALG.inv, a)[1](d)
    assert np.allclose(found, want, rtol=1e-10)


def test_pinv_is_nan_with_a_warning_where_the_rank_is_not_full_and_only_there(rng):
    stack = np.stack([np.ones((3, 2)), rng.standard_normal((3, 2))])
    y, pull = ad.vjp(LINALG.pinv, stack)
    with pytest.warns(DegenerateWarning, match="pinv: .* cut off"):
        (da,) = pull(np.ones_like(y))
    assert np.isnan(da[0]).all()
    assert np.isfinite(da[1]).all()
    assert not pull(np.zeros_like(y))[0].any()
    with pytest.warns(DegenerateWarning, match="pinv"):
        assert np.isnan(ad.jvp(LINALG.pinv, (stack,), (stack,))[1][0]).all()


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3), (2, 4, 3)])
@pytest.mark.parametrize("complex_numbers", [False, True])
def test_what_is_cut_off_and_not_zero_moves_smoothly(rng, shape, complex_numbers):
    u, _, vh = LINALG.svd(rng.standard_normal(shape) + complex_numbers * 1j * rng.standard_normal(shape), False)
    a = (u * [3.0, 2.0, 0.5]) @ vh
    ad.testing.check_grads(lambda a: LINALG.pinv(a, rcond=0.4), (a,), order=2)
    ad.testing.check_grads(lambda a: LINALG.pinv(a, rtol=0.8), (a,), order=2)
    if a.ndim == 2:
        b = rng.standard_normal((shape[0], 2))
        ad.testing.check_grads(lambda a, b: LINALG.lstsq(a, b, rcond=0.4)[0], (a, b), order=2)
    equal = ad.grad(lambda a: np.real(np.sum(LINALG.pinv(a, rcond=0.4))))((u * [3.0, 3.0, 0.5]) @ vh)
    nearby = ad.grad(lambda a: np.real(np.sum(LINALG.pinv(a, rcond=0.4))))((u * [3.0 + 1e-9, 3.0, 0.5]) @ vh)
    assert np.allclose(equal, nearby, atol=1e-7)


@pytest.mark.parametrize("complex_numbers", [False, True])
def test_pinv_of_a_hermitian_matrix_reads_the_lower_triangle(rng, complex_numbers):
    a = rng.standard_normal((3, 3)) + complex_numbers * 1j * rng.standard_normal((3, 3))

    def f(a):
        return LINALG.pinv(a, hermitian=True)

    y, pull = ad.vjp(f, a)
    assert np.array_equal(y, f(a))
    assert not np.triu(pull(np.ones_like(y))[0], 1).any()
    ad.testing.check_grads(f, (a,), order=2)


@pytest.mark.parametrize("cut", [{"rcond": 1e-8}, {"rtol": 1e-8}, {"rtol": None}, {"rcond": np.full(2, 1e-8)}])
def test_pinv_with_every_cut(rng, cut):
    a = rng.standard_normal((2, 3, 2))
    y, _ = ad.vjp(lambda a: LINALG.pinv(a, **cut), a)
    assert np.array_equal(y, LINALG.pinv(a, **cut))
    ad.testing.check_grads(lambda a: LINALG.pinv(a, **cut), (a,), order=2)
    with pytest.raises(ValueError, match="can't be both"):
        ad.grad(lambda a: np.sum(LINALG.pinv(a, rcond=1e-3, rtol=1e-3)))(a)


@pytest.mark.parametrize("shapes", [((4, 2), (4,)), ((4, 2), (4, 3)), ((3, 3), (3,)), ((2, 4), (2, 3))])
def test_lstsq_returns_what_numpy_returns(rng, shapes):
    a, b = (rng.standard_normal(shape) for shape in shapes)
    want = LINALG.lstsq(a, b)
    found, _ = ad.vjp(lambda a, b: LINALG.lstsq(a, b), a, b)
    for one, two in zip(found, want, strict=True):
        assert np.shape(one) == np.shape(two)
        assert np.array_equal(one, two)
    ad.testing.check_grads(LINALG.lstsq, (a, b), order=2)
    ad.testing.check_grads(lambda a, b: LINALG.lstsq(a, b, -1)[0], (a, b), order=1)
    ad.testing.check_grads(lambda a, b: LINALG.lstsq(a, b, rcond=1e-8)[0], (a, b), order=1)
    z = a + 1j * rng.standard_normal(a.shape)
    ad.testing.check_grads(lambda a, b: LINALG.lstsq(a, b, rcond=None), (z, b), order=2)


def test_residuals_and_singular_values_of_lstsq(rng):
    a, b = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    x = LINALG.lstsq(a, b)[0]
    da, db = ad.grad(lambda a, b: np.sum(LINALG.lstsq(a, b)[1]), (0, 1))(a, b)
    assert np.allclose(db, 2 * (b - a @ x))  # x is where the residual is stationary
    assert np.allclose(da, -2 * (b - a @ x) @ x.T)
    found = ad.grad(lambda a: np.sum(LINALG.lstsq(a, b)[3] ** 2))(a)
    assert np.allclose(found, 2 * a)  # Σ s² = Σ a²


def test_lstsq_without_full_rank_has_delta_of_b_alone():
    a, b = np.ones((3, 2)), np.arange(3.0)
    assert np.allclose(ad.grad(lambda b: np.sum(LINALG.lstsq(a, b)[0]))(b), LINALG.pinv(a).sum(0))
    with pytest.warns(DegenerateWarning, match="lstsq: .* cut off"):
        assert np.isnan(ad.grad(lambda a: np.sum(LINALG.lstsq(a, b)[0]))(a)).all()
    with pytest.warns(DegenerateWarning, match="lstsq"):
        assert np.isnan(ad.jvp(lambda a: LINALG.lstsq(a, b)[0], (a,), (a,))[1]).all()


@pytest.mark.parametrize("p", ORDERS)
def test_cond(rng, p):
    a = rng.standard_normal((2, 3, 3))
    y, _ = ad.vjp(lambda a: LINALG.cond(a, p), a)
    assert np.allclose(y, LINALG.cond(a, p), rtol=1e-13)
    ad.testing.check_grads(lambda a: LINALG.cond(a, p), (a,), order=2)


def test_cond_of_stacks_that_are_empty_and_of_empty_matrices():
    y, pull = ad.vjp(LINALG.cond, np.ones((0, 3, 3)))
    assert (y.shape, pull(y)[0].shape) == ((0,), (0, 3, 3))
    with pytest.raises(LINALG.LinAlgError, match="empty"):
        ad.vjp(LINALG.cond, np.ones((2, 0, 0)))


def test_cond_of_the_identity_shares_its_ties():
    assert not ad.grad(LINALG.cond)(np.eye(3)).any()  # the least that it can be
    assert np.allclose(ad.grad(LINALG.cond)(np.diag([4.0, 2.0, 2.0])), np.diag([0.5, -0.5, -0.5]))


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.ones((2, 2)) * [[1.0], [0.0]]])
def test_cond_of_a_singular_matrix_is_numpys_and_has_no_finite_delta(p, a):
    y, pull = ad.vjp(lambda a: LINALG.cond(a, p), np.stack([a, 2 * np.eye(2)]))
    assert y[0] == LINALG.cond(a, p)
    if p != -2 or not a.any():  # else the least singular value has its corner, where it is 0
        assert not np.isfinite(pull(np.ones(2))[0][0]).all()
    assert np.isfinite(pull(np.ones(2))[0][1]).all()
