"""autodiff.scipy.linalg: SciPy's values on tensors, derivatives to the second order, SciPy's errors."""

import warnings

import numpy as np
import pytest
import scipy.linalg

import autodiff as ad
import autodiff.scipy.linalg as linalg
from autodiff.errors import LostHistoryError, NoRuleError
from autodiff.testing import check_grads


def general(rng, *shape):
    return rng.standard_normal(shape) + 2 * shape[-1] * np.eye(shape[-2], shape[-1])


def definite(rng, *shape):
    x = rng.standard_normal(shape)
    return x @ np.swapaxes(x, -1, -2).conj() + shape[-1] * np.eye(shape[-1])


def spread(rng, *shape):
    """Eigenvalues and singular values well apart."""
    return rng.standard_normal(shape) / 4 + np.eye(*shape) * 3.0 * np.arange(1, 1 + shape[-1])


def plain(rng, *shape):
    return rng.standard_normal(shape)


CALLS = {
    "solve_triangular": (lambda m, a, b: m.solve_triangular(a, b), [(general, 3, 3), (plain, 3)]),
    "solve_triangular lower": (lambda m, a, b: m.solve_triangular(a, b, lower=True), [(general, 3, 3), (plain, 3, 2)]),
    "solve_triangular T": (lambda m, a, b: m.solve_triangular(a, b, trans="T"), [(general, 3, 3), (plain, 3, 2)]),
    "solve_triangular C": (lambda m, a, b: m.solve_triangular(a, b, 2, True), [(general, 3, 3), (plain, 3, 2)]),
    "solve_triangular unit": (
        lambda m, a, b: m.solve_triangular(a, b, unit_diagonal=True, lower=True), [(general, 3, 3), (plain, 3)]
    ),
    "solve_triangular stack": (lambda m, a, b: m.solve_triangular(a, b), [(general, 2, 3, 3), (plain, 3)]),
    "solve": (lambda m, a, b: m.solve(a, b), [(general, 3, 3), (plain, 3)]),
    "solve stack": (lambda m, a, b: m.solve(a, b), [(general, 2, 3, 3), (plain, 3, 2)]),
    "solve pos": (lambda m, a, b: m.solve(a, b, assume_a="pos"), [(definite, 3, 3), (plain, 3, 2)]),
    "solve pos lower": (lambda m, a, b: m.solve(a, b, lower=True, assume_a="pos"), [(definite, 3, 3), (plain, 3)]),
    "solve sym": (lambda m, a, b: m.solve(a, b, assume_a="sym"), [(general, 3, 3), (plain, 3)]),
    "solve her": (lambda m, a, b: m.solve(a, b, lower=True, assume_a="her"), [(general, 3, 3), (plain, 3)]),
    "solve upper": (lambda m, a, b: m.solve(a, b, assume_a="upper triangular"), [(general, 3, 3), (plain, 3)]),
    "solve lower": (lambda m, a, b: m.solve(a, b, assume_a="lower triangular"), [(general, 3, 3), (plain, 3)]),
    "solve diagonal": (lambda m, a, b: m.solve(a, b, assume_a="diagonal"), [(general, 3, 3), (plain, 3)]),
    "solve tridiagonal": (lambda m, a, b: m.solve(a, b, assume_a="tridiagonal"), [(general, 4, 4), (plain, 4)]),
    "inv": (lambda m, a: m.inv(a), [(general, 3, 3)]),
    "inv pos": (lambda m, a: m.inv(a, assume_a="pos", lower=True), [(definite, 3, 3)]),
    "inv upper": (lambda m, a: m.inv(a, assume_a="upper triangular"), [(general, 3, 3)]),
    "det": (lambda m, a: m.det(a), [(general, 3, 3)]),
    "det stack": (lambda m, a: m.det(a), [(general, 2, 2, 2)]),
    "lstsq": (lambda m, a, b: m.lstsq(a, b)[:2], [(general, 4, 2), (plain, 4)]),
    "lstsq columns": (lambda m, a, b: m.lstsq(a, b)[0], [(general, 4, 2), (plain, 4, 3)]),
    "pinv": (lambda m, a: m.pinv(a), [(general, 4, 2)]),
    "pinv tolerances": (lambda m, a: m.pinv(a, atol=1e-3, rtol=1e-3, return_rank=True)[0], [(general, 2, 4)]),
    "solve_sylvester": (
        lambda m, a, b, q: m.solve_sylvester(a, b, q), [(general, 3, 3), (general, 2, 2), (plain, 3, 2)]
    ),
    "lyapunov": (lambda m, a, q: m.solve_continuous_lyapunov(a, q), [(general, 3, 3), (plain, 3, 3)]),
    "cholesky": (lambda m, a: m.cholesky(a), [(definite, 3, 3)]),
    "cholesky lower": (lambda m, a: m.cholesky(a, lower=True), [(definite, 2, 3, 3)]),
    "cho_factor": (lambda m, a: m.cho_factor(a)[0], [(definite, 3, 3)]),
    "cho_factor lower": (lambda m, a: m.cho_factor(a, lower=True)[0], [(definite, 3, 3)]),
    "cho_solve": (lambda m, a, b: m.cho_solve(m.cho_factor(a), b), [(definite, 3, 3), (plain, 3)]),
    "cho_solve lower": (lambda m, a, b: m.cho_solve(m.cho_factor(a, True), b), [(definite, 3, 3), (plain, 3, 2)]),
    "lu": (lambda m, a: m.lu(a)[1:], [(plain, 3, 3)]),
    "lu permuted": (lambda m, a: m.lu(a, permute_l=True), [(plain, 4, 3)]),
    "lu stack": (lambda m, a: m.lu(a, p_indices=True)[1:], [(plain, 2, 2, 3)]),
    "lu_factor": (lambda m, a: m.lu_factor(a)[0], [(plain, 4, 4)]),
    "lu_factor tall": (lambda m, a: m.lu_factor(a)[0], [(plain, 4, 2)]),
    "lu_factor wide": (lambda m, a: m.lu_factor(a)[0], [(plain, 2, 2, 4)]),
    "lu_solve": (lambda m, a, b: m.lu_solve(m.lu_factor(a), b), [(plain, 4, 4), (plain, 4)]),
    "lu_solve stack": (lambda m, a, b: m.lu_solve(m.lu_factor(a), b), [(plain, 2, 4, 4), (plain, 4, 2)]),
    "lu_solve T": (lambda m, a, b: m.lu_solve(m.lu_factor(a), b, trans=1), [(plain, 4, 4), (plain, 4, 2)]),
    "lu_solve C": (lambda m, a, b: m.lu_solve(m.lu_factor(a), b, trans=2), [(plain, 4, 4), (plain, 4)]),
    "svdvals": (lambda m, a: m.svdvals(a), [(spread, 4, 3)]),
    "norm": (lambda m, a: m.norm(a), [(plain, 3, 4)]),
    "norm of vectors": (lambda m, a: m.norm(a, 3, axis=1, keepdims=True), [(plain, 3, 4)]),
    "norm nuc": (lambda m, a: m.norm(a, "nuc"), [(spread, 3, 3)]),
    "eigvalsh": (lambda m, a: m.eigvalsh(a), [(spread, 3, 3)]),
    "eigvalsh chosen": (lambda m, a: m.eigvalsh(a, lower=False, subset_by_index=(1, 2)), [(spread, 3, 3)]),
    "eigvals": (lambda m, a: m.eigvals(a), [(spread, 3, 3)]),
    "expm": (lambda m, a: m.expm(a), [(plain, 3, 3)]),
    "expm stack": (lambda m, a: m.expm(a), [(plain, 2, 2, 2)]),
    "expm of one": (lambda m, a: m.expm(a), [(plain, 1)]),
    "expm_frechet": (lambda m, a, e: m.expm_frechet(a, e), [(plain, 2, 2), (plain, 2, 2)]),
    "sqrtm": (lambda m, a: m.sqrtm(a), [(general, 3, 3)]),
    "logm": (lambda m, a: m.logm(a), [(general, 2, 2)]),
    "cosm": (lambda m, a: m.cosm(a), [(plain, 2, 2)]),
    "sinm": (lambda m, a: m.sinm(a), [(plain, 2, 2)]),
    "tanm": (lambda m, a: m.tanm(a / 4), [(plain, 2, 2)]),
    "coshm": (lambda m, a: m.coshm(a), [(plain, 2, 2)]),
    "sinhm": (lambda m, a: m.sinhm(a), [(plain, 2, 2)]),
    "tanhm": (lambda m, a: m.tanhm(a / 4), [(plain, 2, 2)]),
    "block_diag": (lambda m, *xs: m.block_diag(*xs), [(plain, 2, 3), (plain, 2), (plain, 2, 1, 2)]),
    "toeplitz": (lambda m, c: m.toeplitz(c), [(plain, 4)]),
    "toeplitz of two": (lambda m, c, r: m.toeplitz(c, r), [(plain, 3), (plain, 4)]),
    "toeplitz stack": (lambda m, c, r: m.toeplitz(c, r), [(plain, 2, 3), (plain, 4)]),
    "circulant": (lambda m, c: m.circulant(c), [(plain, 2, 4)]),
    "hankel": (lambda m, c: m.hankel(c), [(plain, 4)]),
    "hankel of two": (lambda m, c, r: m.hankel(c, r), [(plain, 3), (plain, 5)]),
    "leslie": (lambda m, f, s: m.leslie(f, s), [(plain, 3), (plain, 2)]),
    "convolution_matrix": (lambda m, a: m.convolution_matrix(a, 4, mode="same"), [(plain, 3)]),
    "khatri_rao": (lambda m, a, b: m.khatri_rao(a, b), [(plain, 2, 3), (plain, 4, 3)]),
}  # fmt: skip

REAL_ONLY = {"eigvalsh", "eigvalsh chosen", "eigvals"}
"""Drawn matrices are not Hermitian when complex, or have eigenvalues near to each other."""


def _as_tuple(y):
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


def _inputs(rng, drawn, dtype):
    xs = []
    for draw, *shape in drawn:
        x = draw(rng, *shape)
        if dtype is complex:
            imaginary = 0.3 * rng.standard_normal(shape)
            x = x + 1j * (imaginary - np.swapaxes(imaginary, -1, -2) if draw is definite else imaginary)
        xs.append(x)
    return xs


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, float) for name in CALLS] + [(name, complex) for name in CALLS if name not in REAL_ONLY]
)
def test_values_are_scipys_and_derivatives_right_to_the_second_order(name, dtype, rng):
    call, drawn = CALLS[name]
    xs = _inputs(rng, drawn, dtype)
    want = _as_tuple(call(scipy.linalg, *xs))
    got = _as_tuple(ad.vjp(lambda *xs: call(linalg, *xs), *xs)[0])
    assert len(got) == len(want)
    for y, true in zip(got, want, strict=True):
        assert np.shape(y) == np.shape(true)
        assert y.dtype == true.dtype
        np.testing.assert_allclose(y, true, rtol=1e-11, atol=1e-12)


    def number(*xs):
        return sum(np.sum(np.sin(np.real(y)) + np.real(y * y)) for y in _as_tuple(call(linalg, *xs)))

    check_grads(number, xs, order=2)


@pytest.mark.parametrize("name", CALLS)
def test_on_plain_arrays_it_is_scipys_own(name, rng):
    call, drawn = CALLS[name]
    xs = _inputs(rng, drawn, float)
    for y, true in zip(_as_tuple(call(linalg, *xs)), _as_tuple(call(scipy.linalg, *xs)), strict=True):
        np.testing.assert_array_equal(y, true)


@pytest.mark.parametrize("name", ["expm", "sqrtm", "lu", "solve_triangular", "cho_solve", "block_diag", "toeplitz"])
def test_single_precision_stays_single(name, rng):
    call, drawn = CALLS[name]
    xs = [x.astype(np.float32) for x in _inputs(rng, drawn, float)]
    y, pull = ad.vjp(lambda *xs: _as_tuple(call(linalg, *xs)), *xs)
    assert [part.dtype for part in y] == [part.dtype for part in _as_tuple(call(scipy.linalg, *xs))]
    assert {d.dtype for d in pull(tuple(np.ones_like(part) for part in y))} == {np.dtype(np.float32)}


def test_pivots_and_permutations_are_scipys(rng):
    for shape in ((5, 5), (2, 6, 6), (6, 3), (3, 6)):
        a = rng.standard_normal(shape)
        found = {}

        def f(a, found=found):
            found["piv"] = linalg.lu_factor(a)[1]
            found["p"] = linalg.lu(a)[0]
            found["rows"] = linalg.lu(a, p_indices=True)[0]
            return np.sum(a)

        ad.grad(f)(a)
        np.testing.assert_array_equal(found["piv"], scipy.linalg.lu_factor(a)[1])
        np.testing.assert_array_equal(found["p"], scipy.linalg.lu(a)[0])
        np.testing.assert_array_equal(found["rows"], scipy.linalg.lu(a, p_indices=True)[0])


def test_the_triangle_that_is_not_read_has_no_gradient(rng):
    a, b = general(rng, 3, 3), rng.standard_normal(3)
    a[0, 2] = np.nan
    d = ad.grad(lambda a: np.sum(linalg.solve_triangular(a, b, lower=True, check_finite=False)))(a)
    assert np.isfinite(d).all()
    assert not np.triu(d, 1).any()
    assert np.count_nonzero(d) == 6
    settings = {"lower": True, "unit_diagonal": True, "check_finite": False}
    unit = ad.grad(lambda a: np.sum(linalg.solve_triangular(a, b, **settings)))(a)
    assert np.count_nonzero(unit) == 3


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("lower", [True, False])
def test_eigh_has_scipys_own_vectors(lower, dtype, rng):
    a = spread(rng, 4, 4).astype(dtype)
    if dtype is complex:
        a = a + 0.2j * rng.standard_normal((4, 4))
        a[np.diag_indices(4)] = a[np.diag_indices(4)].real
    (w, v), _ = ad.vjp(lambda a: linalg.eigh(a, lower=lower), a)
    true_w, true_v = scipy.linalg.eigh(a, lower=lower)
    np.testing.assert_allclose(w, true_w, rtol=1e-14)
    np.testing.assert_allclose(v, true_v, rtol=0, atol=1e-13)
    check_grads(lambda a: np.sum(np.abs(linalg.eigh(a, lower=lower)[1]) ** 4), (a,), order=2)


def test_eigh_of_a_subset(rng):
    a = spread(rng, 4, 4)
    for subset in ({"subset_by_index": (1, 2)}, {"subset_by_value": (4.0, 10.0)}):
        w, v = scipy.linalg.eigh(a, **subset)
        (got_w, got_v), _ = ad.vjp(lambda a, subset=subset: linalg.eigh(a, **subset), a)
        np.testing.assert_allclose(got_w, w, rtol=1e-12)
        np.testing.assert_allclose(np.abs(got_v), np.abs(v), atol=1e-12)
        check_grads(lambda a, subset=subset: np.sum(linalg.eigh(a, **subset)[1] ** 4), (a,), order=2)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("full", (3, 3)), ("full", (2, 3)), ("r", (2, 3)), ("r", (4, 2)), ("economic", (3, 3)), ("economic", (4, 2))],
)
def test_qr_and_svd(mode, shape, rng):
    a = spread(rng, *shape) if shape[0] == shape[1] else general(rng, *shape)
    found, _ = ad.vjp(lambda a: tuple(linalg.qr(a, mode=mode)), a)
    for y, true in zip(found, scipy.linalg.qr(a, mode=mode), strict=True):
        np.testing.assert_allclose(y, true, rtol=1e-12, atol=1e-13)
    check_grads(lambda a: sum(np.sum(y**3) for y in linalg.qr(a, mode=mode)), (a,), order=2)
    u, s, vh = ad.vjp(lambda a: linalg.svd(a, full_matrices=False), a)[0]
    for y, true in zip((u, s, vh), scipy.linalg.svd(a, full_matrices=False), strict=True):
        np.testing.assert_allclose(y, true, rtol=1e-11, atol=1e-12)


def test_eigenvectors_of_any_matrix(rng):
    a = spread(rng, 3, 3)
    (w, v), _ = ad.vjp(linalg.eig, a)
    true_w, true_v = scipy.linalg.eig(a)
    assert w.dtype == true_w.dtype == complex
    np.testing.assert_allclose(w, true_w, rtol=1e-13)
    np.testing.assert_allclose(np.abs(v), np.abs(true_v), atol=1e-13)
    check_grads(lambda a: np.sum(np.real(linalg.eig(a)[0]) ** 3), (a,), order=2)


# -- where there is no derivative --------------------------------------------------------------------------------------


def test_a_singular_lu_has_nan_and_not_a_number():
    d = ad.grad(lambda a: np.sum(linalg.lu(a)[2] ** 2))(np.stack([np.zeros((2, 2)), np.array([[2.0, 1], [1, 3]])]))
    assert np.isnan(d[0]).all()
    assert np.isfinite(d[1]).all()


def test_functions_of_singular_matrices_have_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(ad.grad(lambda a: np.sum(np.real(linalg.sqrtm(a))))(np.diag([1.0, 0.0]))).any()
        assert np.isnan(ad.grad(lambda a: np.sum(np.real(linalg.logm(a))))(np.diag([1.0, -1.0]))).all()
    assert np.isfinite(ad.grad(lambda a: np.sum(linalg.expm(a)))(np.zeros((2, 2)))).all()


def test_third_derivative_of_the_exponential(rng):
    """Of a diagonal matrix every derivative of the diagonal is the exponential itself."""
    third = ad.jacobian(ad.jacobian(ad.jacobian(lambda x: linalg.expm(np.diag(x))[0, 0])))(np.array([0.5, -1.0]))
    want = np.zeros((2, 2, 2))
    want[0, 0, 0] = np.exp(0.5)
    np.testing.assert_allclose(third, want, rtol=1e-12, atol=1e-13)


def test_the_derivative_of_the_square_root_of_a_scaled_identity():
    """√(tI): the trace has slope n/(2√t), and repeated eigenvalues do no harm."""

    def f(t):
        return np.trace(linalg.sqrtm(t * np.eye(3)))

    assert ad.grad(f)(4.0) == pytest.approx(3 / 4)
    assert ad.grad(ad.grad(f))(4.0) == pytest.approx(-3 / 32)


REFUSED = {
    "eigh(a, b)": lambda a: linalg.eigh(a, np.eye(3)),
    "eig(left)": lambda a: linalg.eig(a, left=True),
    "qr(pivoting)": lambda a: linalg.qr(a, pivoting=True),
    "qr(raw)": lambda a: linalg.qr(a, mode="raw"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_says_so(name):
    with pytest.raises(NoRuleError, match="no derivative rule"):
        ad.vjp(REFUSED[name], np.eye(3))


def test_the_rest_of_the_namespace_is_scipys():
    assert linalg.hilbert is scipy.linalg.hilbert
    assert linalg.LinAlgError is scipy.linalg.LinAlgError
    assert set(scipy.linalg.__all__) <= set(dir(linalg))
    with pytest.raises(AttributeError, match="no_such_function"):
        linalg.no_such_function  # noqa: B018
    with pytest.raises(LostHistoryError):
        ad.grad(lambda a: linalg.schur(a)[0].sum())(np.eye(3))


ERRORS = {
    "not finite": (ValueError, "infs or NaNs", lambda m, a: m.solve_triangular(a * np.nan, np.ones(3))),
    "singular triangle": (scipy.linalg.LinAlgError, "singular", lambda m, a: m.solve_triangular(a * 0, np.ones(3))),
    "not definite": (scipy.linalg.LinAlgError, "ositive definite", lambda m, a: m.cholesky(-a)),
    "not square": (scipy.linalg.LinAlgError, "square", lambda m, a: m.expm(a[:2])),
    "structure": (ValueError, "not a recognized matrix structure", lambda m, a: m.solve(a, np.ones(3), assume_a="odd")),
    "mode": (ValueError, "Mode argument", lambda m, a: m.qr(a, mode="odd")),
    "subset": (ValueError, "Valid range", lambda m, a: m.eigh(a, subset_by_index=(2, 5))),
    "method": (ValueError, "Unknown implementation", lambda m, a: m.expm_frechet(a, a, method="odd")),
    "lu shapes": (ValueError, "incompatible", lambda m, a: m.lu_solve(m.lu_factor(a), np.ones(4))),
    "keyword": (TypeError, "nonsense", lambda m, a: m.cholesky(a, nonsense=1)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes_raise_what_scipy_raises(name):
    error, words, call = ERRORS[name]
    with pytest.raises(error, match=words):
        call(scipy.linalg, np.eye(3))
    with pytest.raises(error, match=words):
        ad.vjp(lambda a: call(linalg, a), np.eye(3))


@pytest.mark.parametrize("subset", [{"subset_by_index": [1, 2]}, {"subset_by_value": [-1.0, 50.0]}])
def test_chosen_eigenvectors_have_scipys_signs(subset):
    for seed in range(30, 45):
        b = np.random.default_rng(seed).normal(size=(4, 4))
        b = b + b.T
        want = scipy.linalg.eigh(b, **subset)
        found = ad.vjp(lambda b: linalg.eigh(b, **subset), b)[0]
        for one, other in zip(found, want, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_gelsy_has_neither_squares_nor_singular_values(rng):
    a, b = rng.standard_normal((5, 3)), rng.standard_normal(5)
    want = scipy.linalg.lstsq(a, b, lapack_driver="gelsy")
    found = ad.vjp(lambda b: linalg.lstsq(a, b, lapack_driver="gelsy")[:2], b)[0]
    for one, other in zip(found, want[:2], strict=True):
        assert one.shape == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=1e-12)
