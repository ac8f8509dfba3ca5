"""What no law knows of linear algebra: singular matrices, corners, ties, refusals, several results."""

import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError, NoRuleError

SINGULAR = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
LINALG = np.linalg


def _minor(a, rows, columns):
    """The determinant of what is left without these rows and columns, by Leibniz's sum, with the sign of its place."""
    keep_rows = [i for i in range(len(a)) if i not in rows]
    keep_columns = [j for j in range(len(a)) if j not in columns]
    total = 0.0
    for order in itertools.permutations(range(len(keep_rows))):
        sign = (-1) ** sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))
        total += sign * np.prod([a[keep_rows[i], keep_columns[j]] for i, j in enumerate(order)])
    return (-1) ** (sum(rows) + sum(columns)) * total


def _cofactors(a):
    n = len(a)
    return np.array([[_minor(a, [i], [j]) for j in range(n)] for i in range(n)])


def _second_cofactors(a):
    n = len(a)
    h = np.zeros((n,) * 4)
    for i, k in itertools.permutations(range(n), 2):
        for j, m in itertools.permutations(range(n), 2):
            h[i, j, k, m] = _minor(a, [i, k], [j, m]) * (1 if (i < k) == (j < m) else -1)
    return h


# -- determinants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("scale", [1.0, 1e-60, 1e60])
def test_det_has_its_cofactors_for_a_gradient_at_every_rank(rng, rank, scale):
    left, right = rng.integers(-3, 4, (2, 4, rank)).astype(float)
    a = left @ right.T
    gradient = ad.grad(LINALG.det)(a * scale)
    assert np.allclose(gradient / scale**3, _cofactors(a), rtol=1e-11, atol=1e-11 * max(1, abs(a).max()) ** 3)


@pytest.mark.parametrize("a", [np.zeros((3, 3)), np.outer([1.0, 2, 3], [1.0, -1, 2]), SINGULAR, np.eye(3)])
def test_hessian_of_det_at_every_rank(a):
    assert np.allclose(ad.hessian(LINALG.det)(a), _second_cofactors(a), atol=1e-12)


def test_third_derivative_of_det_is_the_same_at_every_matrix():
    third = ad.jacobian(ad.hessian(LINALG.det))
    at_zero = third(np.zeros((3, 3)))
    assert np.allclose(at_zero.sum(), 0)  # even and odd permutations are equally many
    assert np.count_nonzero(at_zero) == 36
    assert np.allclose(third(SINGULAR), at_zero, atol=1e-12)
    assert np.allclose(third(SINGULAR + np.eye(3)), at_zero, atol=1e-12)


def test_det_of_almost_singular_matrices_keeps_its_digits(rng):
    u, _, vh = LINALG.svd(rng.standard_normal((30, 30)))
    s = np.append(np.linspace(1, 2, 29), 1e-13)
    gradient = ad.grad(LINALG.det)((u * s) @ vh)
    leading = LINALG.det(u) * LINALG.det(vh) * np.prod(s[:-1]) * np.outer(u[:, -1], vh[-1])
    assert abs(gradient - leading).max() < 1e-11 * abs(leading).max()


def test_one_matrix_of_a_stack_does_not_spoil_the_others():
    stack = np.stack([SINGULAR, np.eye(3), np.full((3, 3), np.nan), np.zeros((3, 3))])
    with np.errstate(invalid="ignore"):  # NumPy's own det of nan
        (da,) = ad.vjp(LINALG.det, stack)[1](np.ones(4))
    assert np.allclose(da[0], _cofactors(SINGULAR))
    assert np.allclose(da[1], np.eye(3), rtol=0, atol=1e-14)
    assert np.isnan(da[2]).all()
    assert not da[3].any()


def test_slogdet_is_a_named_pair_whose_real_sign_is_flat():
    a = np.array([[0.0, 2.0], [1.0, 3.0]])
    y, pull = ad.vjp(LINALG.slogdet, a)
    assert type(y) is type(LINALG.slogdet(a))
    assert (y.sign, y.logabsdet) == (-1.0, np.log(2.0))
    assert not pull(type(y)(np.float64(1.0), np.float64(0.0)))[0].any()
    assert np.allclose(pull(type(y)(np.float64(5.0), np.float64(1.0)))[0], LINALG.inv(a).T)
    assert np.allclose(ad.grad(lambda a: LINALG.slogdet(a).logabsdet)(a), LINALG.inv(a).T)


def test_slogdet_of_a_singular_matrix_in_a_stack_is_nan_there_and_only_there():
    stack = np.stack([2 * np.eye(2), np.zeros((2, 2))])
    (da,) = ad.vjp(lambda a: LINALG.slogdet(a).logabsdet, stack)[1](np.ones(2))
    assert np.array_equal(da[0], np.eye(2) / 2)
    assert np.isnan(da[1]).all()


# -- inverse, solution, powers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", [LINALG.inv, lambda a: LINALG.solve(a, np.ones(3)), lambda a: LINALG.matrix_power(a, -2)]
)
def test_singular_input_raises_numpys_own_error(call):
    with pytest.raises(LINALG.LinAlgError, match="Singular"):
        ad.grad(lambda a: np.sum(call(a)))(np.zeros((3, 3)))


def test_solve_takes_only_a_one_dimensional_b_for_a_vector(rng):
    a, b = rng.standard_normal((3, 3, 3)) + 5 * np.eye(3), rng.standard_normal((3, 3))
    y, pull = ad.vjp(LINALG.solve, a, b)
    assert y.shape == (3, 3, 3)
    da, db = pull(np.ones_like(y))
    columns = LINALG.solve(np.swapaxes(a, 1, 2), np.ones_like(y))
    assert np.allclose(db, columns.sum(0))
    assert np.allclose(da, -columns @ np.swapaxes(y, 1, 2))


def test_solve_does_no_work_for_a_literal():
    joint = ad.graph.OPERATIONS["solve"].joint
    a, b = SINGULAR + np.eye(3), np.ones(3)
    y = LINALG.solve(a, b)
    assert joint(b, y, a, b, wanted=(False, True))[0] is None
    assert joint(b, y, a, b, wanted=(True, False))[1] is None


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 6])
def test_matrix_power_is_repeated_multiplication(n):
    a = np.array([[1.0, 0.5], [-0.25, 2.0]])

    def power(a):
        step = LINALG.inv(a) if n < 0 else a
        product = np.eye(2) + 0 * a
        for _ in range(abs(n)):
            product = product @ step
        return np.sum(product * SINGULAR[:2, :2])

    found = ad.grad(lambda a: np.sum(LINALG.matrix_power(a, n) * SINGULAR[:2, :2]))(a)
    assert np.allclose(found, ad.grad(power)(a), rtol=1e-13)


def test_tensorsolve_and_tensorinv_are_solve_and_inv_of_a_matrix(rng):
    a, b = rng.standard_normal((2, 3, 6)), rng.standard_normal((2, 3))
    found = ad.grad(lambda a: np.sum(LINALG.tensorsolve(a, b) ** 2))(a)
    assert np.allclose(found, ad.grad(lambda a: np.sum(LINALG.solve(a.reshape(6, 6), b.ravel()) ** 2))(a))
    found = ad.grad(lambda a: np.sum(LINALG.tensorinv(a) ** 2))(a)
    assert np.allclose(found, ad.grad(lambda a: np.sum(LINALG.inv(a.reshape(6, 6)) ** 2))(a))
    moved = np.moveaxis(a, 1, 0)
    found = ad.grad(lambda a: np.sum(LINALG.tensorsolve(a, b.T, axes=(2,)) ** 2))(moved)
    assert np.allclose(found, ad.grad(lambda a: np.sum(LINALG.tensorsolve(a, b.T) ** 2))(moved))


# -- factorisations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_reads_one_triangle_and_so_does_its_gradient(upper):
    a = SINGULAR @ SINGULAR.T + np.eye(3)
    gradient = ad.grad(lambda a: np.sum(LINALG.cholesky(a, upper=upper) ** 3))(a)
    unread = np.tril(gradient, -1) if upper else np.triu(gradient, 1)
    assert not unread.any()

    def through_a_symmetric_matrix(x):
        return np.sum(LINALG.cholesky(x @ x.T + np.eye(3), upper=upper) ** 3)

    symmetrised = (gradient + gradient.T) / 2
    assert np.allclose(ad.grad(through_a_symmetric_matrix)(SINGULAR), 2 * symmetrised @ SINGULAR)


def test_cholesky_of_an_indefinite_matrix_raises_numpys_own_error():
    with pytest.raises(LINALG.LinAlgError, match="not positive definite"):
        ad.grad(lambda a: np.sum(LINALG.cholesky(a)))(-np.eye(2))


def test_qr_is_a_named_pair_and_its_modes_agree():
    a = SINGULAR[:, :2]
    y, pull = ad.vjp(LINALG.qr, a)
    assert type(y) is type(LINALG.qr(a))
    (da,) = pull(type(y)(np.zeros((3, 2)), np.ones((2, 2))))
    (same,) = ad.vjp(lambda a: LINALG.qr(a, mode="r"), a)[1](np.ones((2, 2)))
    assert np.array_equal(da, same)
    wide = ad.grad(lambda a: np.sum(LINALG.qr(a, mode="complete").R ** 3))(a.T)
    assert np.array_equal(wide, ad.grad(lambda a: np.sum(LINALG.qr(a).R ** 3))(a.T))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda a: LINALG.qr(a, mode="raw")[0], "raw"),
        (lambda a: LINALG.multi_dot([a, a.T], out=np.empty((3, 3))), "out"),
    ],
)
def test_what_has_no_derivative_is_refused_by_name(call, word):
    with pytest.raises((KeywordError, NoRuleError), match=word):
        ad.grad(lambda a: np.real(np.sum(call(a))))(SINGULAR[:, :2])


def test_qr_of_dependent_columns_has_no_derivative():
    (da,) = ad.vjp(lambda a: LINALG.qr(a).R, np.zeros((3, 2)))[1](np.ones((2, 2)))
    assert np.isnan(da).all()


# -- norms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", [None, 2, 1, 3, 2.5, 1.5, 0.5, 0, -1, np.inf, -np.inf])
def test_every_vector_norm_is_flat_at_the_zero_vector(ord):
    with np.errstate(divide="ignore"):  # NumPy's own norm of negative order
        assert np.array_equal(ad.grad(lambda x: LINALG.norm(x, ord))(np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_every_matrix_norm_is_flat_at_the_zero_matrix(ord):
    assert np.array_equal(ad.grad(lambda x: LINALG.norm(x, ord))(np.zeros((2, 3))), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("ord", "x", "gradient"),
    [
        (np.inf, [1.0, 2.0, 3.0], [0, 0, 1]),
        (np.inf, [3.0, -3.0, 1.0], [0.5, -0.5, 0]),
        (-np.inf, [3.0, -1.0, 1.0], [0, -0.5, 0.5]),
        (-np.inf, [3.0, 0.0, 1.0], [0, 0, 0]),
        (1, [3.0, 0.0, -1.0], [1, 0, -1]),
        (0, [3.0, 0.0, -1.0], [0, 0, 0]),
        (3, [0.0, 0.0, -2.0], [0, 0, -1]),
        (0.5, [0.0, 4.0, 0.0], [0, 1, 0]),
        (None, [3.0, 4.0], [0.6, 0.8]),
    ],
)
def test_norms_at_ties_and_at_zero_elements(ord, x, gradient):
    assert np.allclose(ad.grad(lambda x: LINALG.norm(x, ord))(np.array(x)), gradient, rtol=1e-15)


@pytest.mark.parametrize(
    ("ord", "gradient"), [("nuc", 1.0), (2, 0.5), (-2, 0.5), (1, 0.5), (-1, 0.5), (np.inf, 0.5), (-np.inf, 0.5)]
)
def test_matrix_norms_of_the_identity_share_their_ties(ord, gradient):
    assert np.allclose(ad.grad(lambda x: LINALG.norm(x, ord))(np.eye(2)), gradient * np.eye(2), atol=1e-15)


def test_the_squared_norm_is_flat_at_zero_and_curved_elsewhere():
    assert np.array_equal(ad.grad(lambda x: LINALG.norm(x) ** 2)(np.zeros(2)), [0, 0])
    assert np.allclose(ad.hessian(lambda x: LINALG.norm(x) ** 2)(np.array([3.0, 4.0])), 2 * np.eye(2))
    assert not ad.hessian(LINALG.norm)(np.zeros(2)).any()


def test_the_nuclear_norm_is_smooth_at_the_identity():
    hessian = ad.hessian(lambda x: LINALG.norm(x, "nuc"))(np.eye(2)).reshape(4, 4)
    turn, stretch = np.array([0.0, 1, -1, 0]), np.array([1.0, 2, 2, -1])
    assert np.isclose(turn @ hessian @ turn, 2)  # ‖I + tK‖ = 2·√(1 + t²)
    assert np.allclose(hessian @ stretch, 0)  # ‖I + tS‖ = tr(I + tS) for small t


@pytest.mark.parametrize("spelling", [
    (lambda x: LINALG.vector_norm(x), lambda x: LINALG.norm(np.reshape(x, 9))),
    (lambda x: LINALG.vector_norm(x, ord=3), lambda x: LINALG.norm(np.reshape(x, 9), 3)),
    (lambda x: LINALG.vector_norm(x, axis=-1, ord=1), lambda x: LINALG.norm(x, 1, axis=1)),
    (lambda x: LINALG.vector_norm(x, axis=(1, 0), ord=3, keepdims=True),
     lambda x: np.reshape(LINALG.norm(np.reshape(x, 9), 3), (1, 1))),
    (lambda x: LINALG.matrix_norm(x), lambda x: LINALG.norm(x)),
    (lambda x: LINALG.matrix_norm(x, ord=2, keepdims=True), lambda x: LINALG.norm(x, 2, keepdims=True)),
])  # fmt: skip
def test_the_array_apis_norms_are_the_same_norms(spelling):
    (y, pull), (same, pull_same) = (ad.vjp(f, SINGULAR) for f in spelling)
    assert np.allclose(y, spelling[0](SINGULAR), rtol=1e-15)
    assert y.shape == same.shape
    seed = np.full(y.shape, 1.0)[()]
    assert np.allclose(pull(seed)[0], pull_same(seed)[0], rtol=1e-14)


@pytest.mark.parametrize("f", [
    LINALG.inv, LINALG.det, lambda a: LINALG.slogdet(a)[1], lambda a: LINALG.cholesky(a), lambda a: LINALG.qr(a)[0],
    lambda a: LINALG.norm(a, 3, axis=0), lambda a: LINALG.norm(a, 2), lambda a: LINALG.solve(a, a),
])  # fmt: skip
def test_single_precision_stays_single(f):
    a = (SINGULAR @ SINGULAR.T + np.eye(3)).astype(np.float32)
    y, tangent = ad.jvp(f, (a,), (a,))
    assert ad.grad(lambda a: np.sum(f(a)))(a).dtype == tangent.dtype == y.dtype == np.float32
