"""What no law knows of singular values and vectors: forms, phases, ties, zeros, the columns that fill up."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DegenerateWarning

LINALG = np.linalg
SHAPES = [(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (2, 9)]


def drawn(rng, shape, complex_numbers):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if complex_numbers else x


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


@pytest.mark.parametrize("complex_numbers", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", [
    lambda a: LINALG.svd(a, full_matrices=False),
    lambda a: LINALG.svd(a, False),
    lambda a: LINALG.svd(a, compute_uv=False),
    LINALG.svdvals,
], ids=["thin", "by position", "values", "svdvals"])  # fmt: skip
def test_every_form_is_numpys_and_has_both_derivatives(rng, call, shape, complex_numbers):
    a = drawn(rng, shape, complex_numbers)
    y, _ = ad.vjp(call, a)
    expected = call(a)
    assert type(y) is type(expected)
    pairs = zip(y, expected, strict=True) if isinstance(y, tuple) else [(y, expected)]
    assert all(np.array_equal(one, two) and one.dtype == two.dtype for one, two in pairs)
    ad.testing.check_grads(call, (a,), order=2)


@pytest.mark.filterwarnings("ignore:svd. the columns beyond:autodiff.errors.DegenerateWarning")
@pytest.mark.parametrize("complex_numbers", [False, True])
@pytest.mark.parametrize("shape", [(5, 2), (2, 5), (2, 4, 2), (3, 2)])
def test_the_columns_that_fill_up_have_the_derivative_of_their_space(rng, shape, complex_numbers):
    a = drawn(rng, shape, complex_numbers)
    k = min(shape[-2:])

    def spaces(a):
        u, s, vh = LINALG.svd(a)
        u2, v2 = u[..., k:], adjoint(vh)[..., k:]
        return u2 @ adjoint(u2), v2 @ adjoint(v2), s

    def as_others(a):
        u, s, vh = LINALG.svd(a, full_matrices=False)
        return np.eye(shape[-2]) - u @ adjoint(u), np.eye(shape[-1]) - adjoint(vh) @ vh, s

    y, pull = ad.vjp(spaces, a)
    d = tuple(drawn(rng, part.shape, np.iscomplexobj(part)) for part in y)
    (found,), (want,) = pull(d), ad.vjp(as_others, a)[1](d)
    assert np.allclose(found, want, rtol=1e-10, atol=1e-12)
    ad.testing.check_grads(spaces, (a,), order=2)


@pytest.mark.parametrize("call", [lambda a: LINALG.svd(a)[0][:, 2:], lambda a: LINALG.qr(a, mode="complete")[0][:, 2:]])
def test_a_choice_of_basis_has_no_derivative_and_says_so(rng, call):
    a = rng.standard_normal((5, 2))
    y, pull = ad.vjp(call, a)
    with pytest.warns(DegenerateWarning, match="beyond .* have no derivative"):
        assert np.isnan(pull(np.ones_like(y))[0]).all()
    with pytest.warns(DegenerateWarning, match="least one"):
        _, t = ad.jvp(call, (a,), (np.ones_like(a),))
    assert np.allclose(y.T @ t, 0)


def test_one_column_that_fills_up_has_only_a_sign_and_so_a_derivative(rng):
    ad.testing.check_grads(lambda a: LINALG.svd(a)[0][:, 2], (rng.standard_normal((3, 2)),), order=2)
    ad.testing.check_grads(lambda a: LINALG.svd(a).Vh[2], (rng.standard_normal((2, 3)),), order=2)


@pytest.mark.parametrize("complex_numbers", [False, True])
def test_svd_of_a_hermitian_matrix_reads_the_lower_triangle(rng, complex_numbers):
    a = drawn(rng, (2, 4, 4), complex_numbers)

    def f(a):
        return LINALG.svd(a, hermitian=True)

    y, pull = ad.vjp(f, a)
    assert type(y) is type(f(a))
    assert all(np.array_equal(one, two) for one, two in zip(y, f(a), strict=True))
    assert not np.triu(pull(type(y)(*map(np.ones_like, y)))[0], 1).any()
    ad.testing.check_grads(f, (a,), order=2)
    ad.testing.check_grads(lambda a: LINALG.svd(a, compute_uv=False, hermitian=True), (a,), order=2)
    alone, _ = ad.vjp(lambda a: LINALG.svd(a, compute_uv=False, hermitian=True), a)
    assert np.array_equal(alone, LINALG.svd(a, compute_uv=False, hermitian=True))


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_functions_of_a_matrix_by_its_vectors_agree_with_those_without(rng, shape):
    a, d = drawn(rng, shape, True), drawn(rng, shape[::-1], True)

    def inverse(a):
        u, s, vh = LINALG.svd(a, full_matrices=False)
        return adjoint(vh) @ (adjoint(u) / s[:, None])

    (found,), (want,) = ad.vjp(inverse, a)[1](d), ad.vjp(LINALG.pinv, a)[1](d)
    assert np.allclose(found, want, rtol=1e-9)


# -- ties and zeros ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [LINALG.svdvals, lambda a: LINALG.svd(a, compute_uv=False), lambda a: LINALG.svd(a)[1]]
)
def test_equal_singular_values_share_their_delta(values):
    assert np.allclose(ad.grad(lambda a: np.sum(values(a)))(np.eye(3)), np.eye(3))
    assert np.allclose(ad.grad(lambda a: values(a)[0])(np.eye(3)), np.eye(3) / 3)
    assert np.allclose(ad.grad(lambda a: np.sum(values(a) ** 3))(2 * np.eye(3)), 12 * np.eye(3))


def test_the_tangents_of_equal_singular_values_are_shared_as_well():
    assert np.allclose(ad.jvp(LINALG.svdvals, (np.eye(3),), (np.diag([1.0, 2.0, 6.0]),))[1], 3.0)


def test_second_derivative_at_equal_singular_values_is_nan_where_it_mixes_them():
    def f(a):
        return np.sum(LINALG.svdvals(a) ** 2)

    stretch = np.array([[0.0, 1.0], [1.0, 0.0]])
    with pytest.warns(DegenerateWarning, match="svdvals: the second derivative"):
        assert np.isnan(ad.hvp(f, (np.eye(2),), (stretch,))[1]).any()
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # turns U against V, which needs no gap
    assert np.allclose(ad.hvp(f, (np.eye(2),), (turn,))[1], 2 * turn)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (4, 4)])
@pytest.mark.parametrize("complex_numbers", [False, True])
def test_zero_singular_values_of_rounding_have_no_part(rng, shape, complex_numbers):
    left, right = drawn(rng, (shape[0], 2), complex_numbers), drawn(rng, (2, shape[1]), complex_numbers)
    a = left @ right
    u, _, vh = LINALG.svd(a)
    polar = np.conj(u[:, :2] @ vh[:2])
    assert np.allclose(ad.grad(lambda a: np.sum(LINALG.svdvals(a)))(a), polar)
    assert np.allclose(ad.grad(lambda a: LINALG.norm(a, "nuc"))(a), polar)
    assert not ad.grad(lambda a: LINALG.norm(a, -2))(a).any()


@pytest.mark.parametrize("a", [np.eye(3), np.diag([2.0, 1.0, 1.0]), np.ones((3, 2)), np.zeros((2, 2))])
def test_vectors_that_are_not_determined_are_nan_with_a_warning(a):
    with pytest.warns(DegenerateWarning, match="svd: δ is nan where vectors"):
        assert np.isnan(ad.grad(lambda a: np.sum(LINALG.svd(a, full_matrices=False)[0][:, 1]))(a)).any()
    with pytest.warns(DegenerateWarning, match="svd: the tangent is nan"):
        _, t = ad.jvp(lambda a: LINALG.svd(a, full_matrices=False)[2], (a,), (np.ones_like(a),))
    assert np.isnan(t[1]).all()


def test_the_vectors_of_a_single_zero_of_a_square_matrix_are_determined(rng):
    u, _, vh = LINALG.svd(rng.standard_normal((3, 3)))
    a = (u * [2.0, 1.0, 0.0]) @ vh

    def f(a):
        u, _, vh = LINALG.svd(a)
        return np.outer(u[:, 2], u[:, 2]) @ a, np.outer(vh[2], vh[2])

    y, pull = ad.vjp(f, a)
    found = pull(tuple(map(np.ones_like, y)))[0]
    t = rng.standard_normal((3, 3))
    difference = sum(np.sum(p - m) / 2e-6 for p, m in zip(f(a + 1e-6 * t), f(a - 1e-6 * t), strict=True))
    assert abs(np.sum(found * t) - difference) < 1e-7


def test_simple_vectors_beside_equal_ones_are_finite_and_warned_of():
    a = np.diag([3.0, 1.0, 1.0])
    with pytest.warns(DegenerateWarning, match="have a δ of zero"):
        da = ad.grad(lambda a: LINALG.svd(a)[0][1, 0])(a)
    sign = LINALG.svd(a)[0][0, 0]
    want = np.zeros((3, 3))
    want[1, 0], want[0, 1] = sign * 3 / 8, sign * 1 / 8  # (P_ij·s_j + P_ji·s_i)/(s_j² − s_i²)
    assert np.allclose(da, want)


def test_a_free_phase_is_nan_with_a_warning_and_otherwise_does_not_count():
    a = np.diag([2.0, 1.0]).astype(complex)  # the first row of V is (1, 0): nothing fixes the second phase
    _, pull = ad.vjp(lambda a: LINALG.svd(a).U[:, 1], a)
    with pytest.warns(DegenerateWarning, match="phase"):
        assert np.isnan(pull(np.array([0, 1j]))[0]).any()
    da = ad.grad(lambda a: np.abs(LINALG.svd(a).U[0, 1]) ** 2 + np.real(LINALG.svd(a).U[0, 0]))(a)
    assert np.isfinite(da).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (2, 0, 3), (0, 3, 3)])
def test_empty_matrices_and_stacks(shape):
    for call in (LINALG.svdvals, lambda a: LINALG.svd(a, full_matrices=False)):
        y, pull = ad.vjp(call, np.zeros(shape))
        assert pull(y)[0].shape == shape


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_single(rng, dtype):
    a = drawn(rng, (4, 3), dtype is np.complex64).astype(dtype)
    y, pull = ad.vjp(lambda a: LINALG.svd(a, full_matrices=False), a)
    assert [part.dtype for part in y] == [part.dtype for part in LINALG.svd(a)]
    assert pull(y)[0].dtype == dtype


@pytest.mark.filterwarnings("ignore::autodiff.errors.DegenerateWarning")
@pytest.mark.parametrize("f", [
    lambda a: np.sum(LINALG.eigh(a)[1][:, 0]), lambda a: np.sum(np.real(LINALG.eig(a)[1][:, 0])),
    lambda a: np.sum(LINALG.svd(a)[0][:, 0]), lambda a: np.sum(LINALG.pinv(a - np.eye(2) + np.ones((2, 2)))),
    lambda a: LINALG.slogdet(a - np.eye(2))[1], lambda a: np.sum(LINALG.qr(a - np.eye(2))[1]),
    lambda a: np.real(LINALG.eigvals(a + np.array([[0.0, 1.0], [0.0, 0.0]]))[0]),
], ids=["eigh", "eig", "svd", "pinv", "slogdet", "qr", "eigvals"])  # fmt: skip
def test_where_there_is_no_first_derivative_the_second_is_nan_as_well(f):
    a, t = np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert np.isnan(ad.grad(f)(a)).any()
    assert np.isnan(ad.hvp(f, (a,), (t,))[1]).any()
    assert np.isnan(ad.hessian(f)(a)).any()
    assert np.isnan(ad.grad(lambda a: np.sum(t * ad.grad(f)(a)))(a)).any()


@pytest.mark.parametrize("values", [np.linalg.svdvals, lambda x: np.linalg.svd(x, compute_uv=False)])
def test_the_second_derivative_of_values_where_equal_ones_come_apart_or_zero_ones_move(values):
    total = lambda x: np.sum(values(x) ** 2)
    a = np.diag([2.0, 1.0, 0.0])
    np.testing.assert_allclose(ad.hvp(total, (np.eye(2),), (np.eye(2),))[1], 2 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(ad.hvp(total, (a,), (a,))[1], 2 * a, atol=1e-12)
    with pytest.warns(DegenerateWarning, match="would come apart"):
        assert np.isnan(ad.hvp(total, (np.eye(2),), (np.diag([1.0, 0.0]),))[1]).any()
    for at, along in ((a, np.eye(3)), (a[:, [0, 2]], np.eye(3)[:, 1:]), (np.zeros((3, 3)), np.eye(3))):
        with pytest.warns(DegenerateWarning, match="a singular value that is zero"):
            assert np.isnan(ad.hvp(total, (at,), (along,))[1]).all()
