"""What no law knows of linear algebra: singular matrices, corners, ties, refusals, several results."""

import fractions
import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DegenerateWarning, KeywordError, NoRuleError

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


@pytest.mark.filterwarnings("ignore:overflow encountered in det:RuntimeWarning")
@pytest.mark.parametrize("a", [
    1e-200 * np.eye(2), 1e200 * np.eye(2), np.diag([1e-200, 0.0]), np.diag([1e200, 1e-200, 1.0]),
    np.diag([1e-160, 1e-160, 1e300]), 1e-160 * SINGULAR, 1e140 * (SINGULAR + np.eye(3)), 1e-310 * np.eye(2),
    np.diag([1e-100, 0.0, 1e100]),
])  # fmt: skip
def test_det_has_its_cofactors_where_it_is_too_large_or_too_small_itself(a):
    found = ad.grad(LINALG.det)(a)
    exact = np.array(_exact_cofactors(a))
    assert np.allclose(found, exact, rtol=1e-14 * (1 if np.count_nonzero(a) == len(a) else 100), atol=0)


def _exact_cofactors(a):
    """In rational numbers, of which float() is the nearest one."""
    rows = [[fractions.Fraction(float(x)) for x in row] for row in a]

    def minor(matrix):
        if not matrix:
            return fractions.Fraction(1)
        return sum((-1) ** j * x * minor([r[:j] + r[j + 1 :] for r in matrix[1:]]) for j, x in enumerate(matrix[0]))

    n = range(len(rows))

    def without(i, j):
        return [rows[k][:j] + rows[k][j + 1 :] for k in n if k != i]

    return [[float((-1) ** (i + j) * minor(without(i, j))) for j in n] for i in n]


def test_det_of_a_regular_matrix_takes_one_inverse(rng, monkeypatch):
    calls = []
    plain = LINALG.inv
    a = rng.standard_normal((4, 4)) + 4 * np.eye(4)
    y = LINALG.det(a)
    monkeypatch.setattr(LINALG, "inv", lambda a: calls.append(a) or plain(a))
    assert np.array_equal(ad.graph.OPERATIONS["det"].vjps[0](np.float64(2.0), y, a), 2 * (y * plain(a).T))
    assert len(calls) == 1


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
    _, pull = ad.vjp(lambda a: LINALG.slogdet(a).logabsdet, stack)
    with pytest.warns(DegenerateWarning, match="slogdet"):
        (da,) = pull(np.ones(2))
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
    _, pull = ad.vjp(lambda a: LINALG.qr(a).R, np.zeros((3, 2)))
    with pytest.warns(DegenerateWarning, match="qr: .* depends on"):
        assert np.isnan(pull(np.ones((2, 2)))[0]).all()
    nearly = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])  # rounding decides
    with pytest.warns(DegenerateWarning, match="qr: .* depends on"):
        assert np.allclose(ad.grad(lambda a: np.sum(LINALG.qr(a).R ** 2))(nearly), 2 * nearly)
    with pytest.warns(DegenerateWarning, match="qr: .* depends on"):
        ad.jvp(LINALG.qr, (nearly,), (nearly,))


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


# -- NumPy's spellings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("complex_numbers", [False, True])
@pytest.mark.parametrize("call", [
    LINALG.trace, lambda a: LINALG.trace(a, offset=-1), lambda a: LINALG.trace(a, dtype=complex),
    LINALG.diagonal, lambda a: LINALG.diagonal(a, offset=1), LINALG.matrix_transpose,
    LINALG.qr, lambda a: LINALG.qr(a, mode="r"), lambda a: LINALG.qr(a, "reduced"),
    lambda a: LINALG.norm(a, 2, axis=(-1, -2)), lambda a: LINALG.matrix_norm(a, ord="nuc", keepdims=True),
    lambda a: LINALG.vector_norm(a, ord=3, axis=(0, -1)), lambda a: LINALG.vector_norm(a, keepdims=True),
    lambda a: LINALG.vector_norm(a, axis=0, ord=-np.inf), lambda a: LINALG.norm(a, 0.5, axis=-1),
])  # fmt: skip
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (2, 4, 3)])
def test_spellings_are_numpys_in_value_and_have_both_derivatives(rng, call, shape, complex_numbers):
    a = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if complex_numbers else 0)
    y, _ = ad.vjp(call, a)
    expected = call(a)
    assert type(y) is type(expected)
    for one, two in zip(y, expected, strict=True) if isinstance(y, tuple) else [(y, expected)]:
        assert one.dtype == two.dtype
        assert np.array_equal(one, two)
    ad.testing.check_grads(call, (a,), order=2)


@pytest.mark.parametrize("settings", [{}, {"tol": 0.1}, {"rtol": 0.1}, {"hermitian": True}])
def test_the_rank_is_a_number_without_a_derivative(settings):
    ranks = []

    def f(a):
        ranks.append(LINALG.matrix_rank(a, **settings))
        return np.sum(a) * ranks[-1]

    assert np.array_equal(ad.grad(f)(SINGULAR), np.full((3, 3), float(LINALG.matrix_rank(SINGULAR, **settings))))
    assert ranks == [LINALG.matrix_rank(SINGULAR, **settings)]
    assert LINALG.matrix_rank(SINGULAR, **settings) == ad.vjp(lambda a: LINALG.matrix_rank(a, **settings), SINGULAR)[0]


def test_qr_complete_is_numpys_and_its_second_columns_count_as_a_space(rng):
    a = rng.standard_normal((4, 3))  # one column fills up, so that only its sign is free
    y, _ = ad.vjp(lambda a: LINALG.qr(a, mode="complete"), a)
    assert type(y) is type(LINALG.qr(a))
    assert all(np.array_equal(*pair) for pair in zip(y, LINALG.qr(a, mode="complete"), strict=True))
    ad.testing.check_grads(lambda a: LINALG.qr(a, mode="complete"), (a,), order=2)
    z = rng.standard_normal((5, 2)) + 1j * rng.standard_normal((5, 2))
    rest, d = LINALG.qr(z, mode="complete").Q[:, 2:], rng.standard_normal((5, 5))

    def space(z):
        q = LINALG.qr(z, mode="complete").Q[:, 2:]
        return np.real(np.sum(d * (q @ np.conj(q.T))))

    def others(z):
        q = LINALG.qr(z).Q
        return np.real(np.sum(d * (np.eye(5) - q @ np.conj(q.T))))

    assert np.allclose(rest @ rest.conj().T + LINALG.qr(z).Q @ LINALG.qr(z).Q.conj().T, np.eye(5))
    assert np.allclose(ad.grad(space)(z), ad.grad(others)(z))


@pytest.mark.parametrize("call", [
    lambda a: LINALG.solve(a, np.ones(a.shape[-1])), lambda a: LINALG.solve(a, np.ones((*a.shape[:-1], 2))),
    LINALG.inv, LINALG.det, LINALG.eigvalsh, LINALG.cholesky, LINALG.eigvals, LINALG.qr,
    lambda a: LINALG.matrix_power(a, 3), lambda a: LINALG.matrix_power(a, -1),
])  # fmt: skip
@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3), (2, 0, 0)])
def test_empty_matrices_and_stacks(call, shape):
    y, pull = ad.vjp(call, np.zeros(shape))
    expected = call(np.zeros(shape))
    assert np.shape(y) == np.shape(expected) if not isinstance(y, tuple) else y[0].shape == expected[0].shape
    seed = type(y)(*map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
    assert pull(seed)[0].shape == shape


def test_the_norms_of_a_matrix_take_the_decomposition_once_a_sweep(rng, monkeypatch):
    calls = []
    plain = LINALG.svd
    a = rng.standard_normal((4, 3))
    _, pull = ad.vjp(lambda a: LINALG.norm(a, "nuc"), a)
    monkeypatch.setattr(LINALG, "svd", lambda a, **settings: calls.append(settings) or plain(a, **settings))
    pull(np.float64(1.0))
    assert calls == [{"full_matrices": False}]


@pytest.mark.parametrize("call", [
    lambda a: LINALG.vector_norm(a, axis=(0, 5)), lambda a: LINALG.vector_norm(a, axis=(0, 0)),
    lambda a: LINALG.norm(a, 3), lambda a: LINALG.norm(a, axis=(0, 1, 2)), lambda a: LINALG.svd(a[0]),
    lambda a: LINALG.qr(a, mode="zz"), lambda a: LINALG.qr(a[0]), lambda a: LINALG.matrix_power(a, 1.5),
    lambda a: LINALG.matrix_power(a[0], 2), lambda a: LINALG.matrix_power(a[:2], 2), lambda a: LINALG.inv(a[:2]),
    lambda a: LINALG.det(a[0]), lambda a: LINALG.trace(a[0]), lambda a: LINALG.tensorinv(a, ind=0),
    lambda a: LINALG.tensorsolve(a, np.ones(2)), lambda a: LINALG.solve(a, np.ones(4)), lambda a: LINALG.cond(a[:2], 1),
    lambda a: LINALG.eigh(a, UPLO="X"), lambda a: LINALG.lstsq(a, np.ones(4)), lambda a: LINALG.multi_dot([a]),
    lambda a: LINALG.matrix_transpose(a[0]), lambda a: LINALG.matrix_rank(a, tol=1.0, rtol=1.0),
])  # fmt: skip
def test_bad_calls_get_numpys_own_error(call):
    with pytest.raises(Exception, match=r".") as numpys:
        call(SINGULAR)
    with pytest.raises(type(numpys.value)) as ours:
        ad.vjp(call, SINGULAR)
    assert str(ours.value) == str(numpys.value)


def test_a_mode_of_qr_that_numpy_gives_up_is_warned_of_by_numpy():
    with pytest.warns(DeprecationWarning, match="full"):
        y, _ = ad.vjp(lambda a: LINALG.qr(a, mode="full"), SINGULAR)
    assert np.array_equal(y.R, LINALG.qr(SINGULAR).R)
