"""What no law knows of eigenvalues: repeated ones, free phases, triangles, matrices without a basis, LAPACK's order."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DegenerateWarning, KeywordError
from autodiff.ops import eigen

LINALG = np.linalg
JORDAN = np.array([[2.0, 1.0], [0.0, 2.0]])


def complex_normal(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("call", [LINALG.eigh, LINALG.eig])
def test_results_are_numpys_named_pairs(call):
    y, pull = ad.vjp(call, np.diag([1.0, 3.0]))
    assert type(y) is type(call(np.eye(2)))
    (da,) = pull(type(y)(np.array([2.0, 5.0]), np.zeros((2, 2))))
    assert np.array_equal(da, np.diag([2.0, 5.0]))


@pytest.mark.parametrize("uplo", ["L", "U", "l", "u"])
@pytest.mark.parametrize("call", [lambda a, u: LINALG.eigh(a, UPLO=u)[0], LINALG.eigvalsh])
def test_the_triangle_that_is_not_read_gets_zero(rng, uplo, call):
    a = rng.standard_normal((4, 4))
    da = ad.grad(lambda a: np.sum(call(a, uplo) ** 2))(a)  # Σ over the matrix that NumPy reads, squared
    triangle = (np.tril if uplo in "Ll" else np.triu)(4 * a) - 2 * np.diag(np.diag(a))
    assert np.allclose(da, triangle, rtol=1e-13, atol=1e-13)


def test_hessian_of_the_sum_of_squares_is_constant(rng):
    a = rng.standard_normal((3, 3))
    want = np.zeros((3, 3, 3, 3))
    for i in range(3):
        for j in range(i + 1):
            want[i, j, i, j] = 2 if i == j else 4
    assert np.allclose(ad.hessian(lambda a: np.sum(LINALG.eigvalsh(a) ** 2))(a), want, atol=1e-12)


@pytest.mark.parametrize("call", [LINALG.eigvalsh, LINALG.eigvals])
def test_repeated_eigenvalues_have_the_delta_of_symmetric_functions(call):
    a = 3 * np.eye(3)
    assert np.allclose(ad.grad(lambda a: np.sum(call(a) ** 2))(a), 2 * a)
    assert np.allclose(ad.grad(lambda a: np.sum(call(a) * np.arange(3.0)))(a), np.eye(3))  # they share it
    assert np.allclose(ad.jvp(call, (a,), (np.diag([1.0, 2.0, 6.0]),))[1], 3.0)


@pytest.mark.parametrize("call", [LINALG.eigvalsh, LINALG.eigvals])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("a", [np.eye(2), np.zeros((2, 2))])
def test_second_derivative_at_repeated_eigenvalues_is_never_a_wrong_number(call, power, a):
    def f(a):
        return np.sum(call(a) ** power)

    with pytest.warns(DegenerateWarning, match=f"{call.__name__}: the second derivative"):
        assert np.isnan(ad.hessian(f)(a)[1, 0]).any()
    with pytest.warns(DegenerateWarning, match=call.__name__):
        assert np.isnan(ad.hvp(f, (a,), (np.ones((2, 2)),))[1]).any()
    assert np.allclose(ad.hvp(f, (a,), (np.eye(2),))[1], power * (power - 1) * np.eye(2))  # it mixes none


@pytest.mark.parametrize("call", [LINALG.eigh, LINALG.eig])
def test_eigenvectors_of_repeated_eigenvalues(call):
    a = np.diag([1.0, 1.0, 2.0])
    name = call.__name__
    with pytest.warns(DegenerateWarning, match=f"{name}: vectors .* have a δ of zero"):
        apart = ad.grad(lambda a: call(a)[1][0, 2])(a)
    where = (2, 0) if call is LINALG.eigh else (0, 2)
    assert apart[where] == 1.0
    assert np.count_nonzero(apart) == 1
    with pytest.warns(DegenerateWarning, match=f"{name}: δ is nan where vectors"):
        assert np.isnan(ad.grad(lambda a: call(a)[1][0, 0])(a)).any()
    with pytest.warns(DegenerateWarning, match="have a δ of zero"):
        assert not ad.grad(lambda a: 0 * np.sum(call(a)[1]))(a).any()
    with pytest.warns(DegenerateWarning, match=f"{name}: the tangent is nan"):
        _, t = ad.jvp(call, (a,), (np.ones((3, 3)),))
    assert np.isnan(t[1][:, :2]).all()
    assert np.allclose(t[1][:, 2], [1, 1, 0])
    _, t = ad.jvp(call, (a,), (np.zeros((3, 3)),))
    assert not t[1].any()


@pytest.mark.parametrize(("g", "weights"), [
    (np.exp, np.ones((2, 2))),
    (np.log, np.array([[0.0, 1.0], [0.0, 0.0]])),  # weights of zero, and δw is zero as well
    (lambda w: w - 1, np.array([[0.0, 0.0], [1.0, 0.0]])),
    (np.sqrt, np.eye(2)),
])  # fmt: skip
def test_functions_of_a_matrix_by_its_eigenvectors_are_never_wrong_without_a_word(g, weights):
    def f(a):
        w, v = LINALG.eigh(a)
        return np.sum(weights * ((v * g(w)) @ v.T))

    with pytest.warns(DegenerateWarning, match="eigh"):
        ad.grad(f)(np.eye(2))
    a = np.array([[1.0, 1e-3], [1e-3, 1.0 + 1e-3]])  # where they are apart they have all that they need
    ad.testing.check_grads(f, (a,), order=1)


@pytest.mark.parametrize("call", [LINALG.eigvalsh, LINALG.eigvals])
def test_simple_eigenvalue_beside_repeated_ones_has_a_second_derivative(call):
    a, t = np.diag([1.0, 1.0, 3.0]), np.zeros((3, 3))
    t[2] = t[:, 2] = 1.0, 2.0, 0.0
    found = ad.hvp(lambda a: call(a)[2], (a,), (t,))[1]
    want = 2 * (1 + 4) / (3 - 1)  # 2·Σ|t_2j|²/(w_2 − w_j), the sum of second-order perturbation
    assert np.allclose(np.sum(found * t), want)


@pytest.mark.parametrize("uplo", ["L", "U"])
def test_functions_that_no_phase_changes_have_a_delta_at_every_complex_matrix(rng, uplo):
    def f(a):
        v = LINALG.eigh(a, UPLO=uplo)[1][:, 1]
        return np.abs(v[0]) ** 2 + np.real(np.conj(v[1]) * v[2])

    a, t = np.diag([1.0, 2.0, 4.0]).astype(complex), complex_normal(rng, 3, 3)
    difference = (f(a + 1e-6 * t) - f(a - 1e-6 * t)) / 2e-6
    assert abs(np.real(np.sum(ad.grad(f)(a) * t)) - difference) < 1e-8
    assert abs(difference) > 0.1


@pytest.mark.parametrize("call", [LINALG.eigvals, lambda a: LINALG.eig(a)[0], lambda a: LINALG.eig(a)[1]])
def test_without_a_basis_of_eigenvectors_delta_is_nan_in_that_matrix_only(call):
    stack = np.stack([JORDAN, np.diag([1.0, 3.0])])
    y, pull = ad.vjp(call, stack)
    with pytest.warns(DegenerateWarning, match="no basis of eigenvectors"):
        (da,) = pull(np.ones_like(y))
    assert np.isnan(da[0]).any()
    assert np.isfinite(da[1]).all()
    with pytest.warns(DegenerateWarning, match="no basis of eigenvectors"):
        assert np.isnan(ad.jvp(call, (stack,), (np.ones_like(stack),))[1][0]).any()
    assert not pull(np.zeros_like(y))[0].any()


def test_sum_of_eigenvalues_is_the_trace(rng):
    a = rng.standard_normal((2, 30, 30))
    eyes = np.broadcast_to(np.eye(30), a.shape)
    for call in (LINALG.eigvals, lambda a: LINALG.eig(a)[0]):
        assert np.allclose(ad.grad(lambda a, call=call: np.real(np.sum(call(a))))(a), eyes, atol=1e-11)


def test_product_of_eigenvalues_is_the_determinant(rng):
    a = complex_normal(rng, 5, 5)
    found = ad.grad(lambda a: np.real(np.prod(LINALG.eigvals(a))))(a)
    assert np.allclose(found, ad.grad(lambda a: np.real(LINALG.det(a)))(a), rtol=1e-11)


def test_eigenvalues_are_matched_with_their_vectors_in_any_order(rng):
    w = complex_normal(rng, 2, 5)
    shuffled = w[:, rng.permutation(5)]
    assert np.array_equal((shuffled[..., None, :] @ eigen._order(w, shuffled))[..., 0, :], w)
    assert np.array_equal(eigen._order(np.ones((1, 3)), np.ones((1, 3)))[0], np.eye(3))


def test_settings_that_numpy_lacks_are_refused():
    with pytest.raises(KeywordError, match="UPLO"):
        ad.grad(lambda a: np.sum(ad.graph.OPERATIONS["eigvals"](a, UPLO="L")))(np.eye(2))


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, np.linalg.eigvals])
def test_the_second_derivative_where_equal_values_come_apart(values):
    """Along the identity they stay equal, and Σ w² has the Hessian 2; along diag(1, 0) they part: nan."""
    total = lambda x: np.sum(values(x) ** 2)
    np.testing.assert_allclose(ad.hvp(total, (np.eye(2),), (np.eye(2),))[1], 2 * np.eye(2), atol=1e-12)
    for apart in (np.diag([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])):
        with pytest.warns(DegenerateWarning, match="would come apart"):
            assert np.isnan(ad.hvp(total, (np.eye(2),), (apart,))[1]).any()
