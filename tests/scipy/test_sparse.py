"""Constant sparse matrices beside tensors: every format, both sides, never made dense."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import autodiff as ad
from autodiff.errors import GraphError, LostHistoryError, NoRuleError
from autodiff.scipy import sparse
from autodiff.testing import check_grads

FORMATS = ["csr", "csc", "coo", "dia", "bsr", "lil", "dok"]


def matrix(rng, rows, columns, form="csr", kind=float):
    a = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < 0.5)
    if kind is complex:
        a = a * np.exp(1j * rng.random(a.shape))
    return scipy.sparse.csr_array(a).asformat(form)


class Watched(scipy.sparse.csr_array):
    """A sparse array that may not be made dense."""

    def toarray(self, *args, **kwargs):
        raise AssertionError("made dense")

    todense = toarray


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("form", FORMATS)
def test_products_with_every_format(form, kind, rng):
    a = matrix(rng, 4, 3, form, kind)
    dense = a.toarray()
    for f, g, shape in [
        (lambda x: a @ x, lambda x: dense @ x, (3,)),
        (lambda x: a @ x, lambda x: dense @ x, (3, 2)),
        (lambda x: a @ x, lambda x: dense @ x, (3, 1)),
        (lambda x: x @ a, lambda x: x @ dense, (4,)),
        (lambda x: x @ a, lambda x: x @ dense, (2, 4)),
        (lambda x: sparse.matmul(a, x), lambda x: dense @ x, (3, 2)),
        (lambda x: sparse.matmul(x, a), lambda x: x @ dense, (2, 4)),
    ]:
        x = rng.standard_normal(shape) + (0.5j * rng.standard_normal(shape) if kind is complex else 0)
        y, pull = ad.vjp(f, x)
        true, pull_dense = ad.vjp(g, x)
        assert y.dtype == f(x).dtype
        np.testing.assert_array_equal(y, f(x))
        seed = rng.standard_normal(y.shape).astype(y.dtype)
        np.testing.assert_allclose(pull(seed)[0], pull_dense(seed)[0], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(y, true, rtol=1e-13, atol=1e-14)
    check_grads(lambda x: np.sum(np.abs(a @ np.sin(x)) ** 2), (rng.standard_normal(3),), order=2)


@pytest.mark.parametrize("form", FORMATS)
def test_the_star_of_the_older_classes_is_a_product_of_matrices(form, rng):
    a = scipy.sparse.csr_matrix(matrix(rng, 4, 3)).asformat(form)
    x, z = rng.standard_normal(3), rng.standard_normal((2, 4))
    np.testing.assert_array_equal(ad.vjp(lambda x: a * x, x)[0], a * x)
    np.testing.assert_allclose(ad.grad(lambda x: np.sum((a * x) ** 2))(x), 2 * a.T @ (a @ x), rtol=1e-13)
    np.testing.assert_allclose(ad.grad(lambda z: np.sum((z * a) ** 2))(z), 2 * (z @ a) @ a.T, rtol=1e-13)
    if form != "coo":  # whose dot asks for an array itself
        np.testing.assert_array_equal(ad.grad(lambda x: np.sum(a.dot(x)))(x), a.T @ np.ones(4))


def test_a_sparse_vector(rng):
    a = scipy.sparse.coo_array(np.array([0.0, 2.0, 0.0, -1.0]))
    x = rng.standard_normal((4, 2))
    np.testing.assert_array_equal(ad.vjp(lambda x: a @ x, x)[0], a @ x)
    np.testing.assert_array_equal(ad.grad(lambda x: a @ x)(x[:, 0]), a.toarray())
    np.testing.assert_array_equal(ad.grad(lambda x: x @ a)(x[:, 0]), a.toarray())


def test_forward_mode_and_both_over_reverse(rng):
    a, x, v = matrix(rng, 5, 4), rng.standard_normal(4), rng.standard_normal(4)
    y, t = ad.jvp(lambda x: a @ x, (x,), (v,))
    np.testing.assert_array_equal(y, a @ x)
    np.testing.assert_array_equal(t, a @ v)
    f = lambda x: np.sum((a @ x) ** 3)
    hessian = a.T @ (6 * (a @ x)[:, None] * a.toarray())
    np.testing.assert_allclose(ad.hessian(f)(x), hessian, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ad.jvp(ad.grad(f), (x,), (v,))[1], hessian @ v, rtol=1e-12, atol=1e-12)


def test_it_is_never_made_dense_and_the_work_is_that_of_its_entries():
    n = 300_000  # dense it would take 720 gigabytes
    a = Watched(scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr())
    x = np.linspace(0, 1, n) ** 2
    d = ad.grad(lambda x: np.sum((a @ x) ** 2))(x)
    np.testing.assert_allclose(d, 2 * (a.T @ (a @ x)), rtol=1e-12, atol=1e-15)


def test_a_later_write_into_the_matrix_does_not_reach_the_sweep(rng):
    a, x = matrix(rng, 3, 3), rng.standard_normal(3)
    before = a.T @ np.ones(3)
    _, pull = ad.vjp(lambda x: a @ x, x)
    a.data[:] = 0
    np.testing.assert_array_equal(pull(np.ones(3))[0], before)


def test_single_precision_stays_single(rng):
    a, x = matrix(rng, 3, 3).astype(np.float32), rng.standard_normal(3).astype(np.float32)
    y, pull = ad.vjp(lambda x: a @ x, x)
    assert y.dtype == pull(np.ones(3, np.float32))[0].dtype == np.float32
    y, pull = ad.vjp(lambda x: a.astype(float) @ x, x)
    assert y.dtype == np.float64
    assert pull(np.ones(3))[0].dtype == np.float32


def test_tensors_without_history_stay_with_scipy(rng):
    a = matrix(rng, 3, 3)

    def f(x):
        plain = a @ ad.stop_gradient(x)
        assert isinstance(plain, np.ndarray)
        return np.sum(plain * x)

    x = rng.standard_normal(3)
    np.testing.assert_allclose(ad.grad(f)(x), a @ x)


def test_the_graph_says_what_it_is_and_is_not_saved_as_something_else(rng, tmp_path):
    a = matrix(rng, 3, 2)
    graph = ad.trace(lambda x: np.sum(a @ x))(np.ones(2))
    assert [node.op.name for node in graph.nodes][:2] == ["input", "sparse_matmul"]
    assert "sparse_matmul" in str(graph.backward())
    with pytest.raises(GraphError, match="cannot be written"):
        graph.save(tmp_path / "graph")


REFUSED = {
    "elementwise": (NoRuleError, "toarray", lambda a, x: x * a),
    "elementwise, sparse first": (NoRuleError, "toarray", lambda a, x: (a * x)),
    "multiply": (NoRuleError, "multiply", lambda a, x: a.multiply(x)),
    "into sparse": (LostHistoryError, "would be lost", lambda a, x: scipy.sparse.csr_array(x[:, None])),
    "lengths": (ValueError, "dimension mismatch", lambda a, x: a @ x[:2]),
    "axes": (ValueError, "axes", lambda a, x: sparse.matmul(a, x[:, None, None])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_product_is_refused(name, rng):
    error, words, call = REFUSED[name]
    with pytest.raises(error, match=words):
        ad.vjp(lambda x: call(matrix(rng, 3, 3), x), np.ones(3))


# -- systems -----------------------------------------------------------------------------------------------------------


def regular(rng, n, kind=float):
    return scipy.sparse.csr_array(matrix(rng, n, n, kind=kind) + 4 * scipy.sparse.eye_array(n))


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 1)])
def test_spsolve(shape, kind, rng):
    a = regular(rng, 4, kind)
    for b in (rng.standard_normal(shape), rng.standard_normal(shape) + 1j * rng.standard_normal(shape)):
        want = scipy.sparse.linalg.spsolve(a.tocsc(), b)
        x, pull = ad.vjp(lambda b: sparse.linalg.spsolve(a.tocsc(), b), b)
        assert x.shape == want.shape
        np.testing.assert_allclose(x, want, rtol=1e-12)
        seed = np.ones_like(x)
        (d,) = pull(seed)
        true = np.linalg.solve(a.toarray().T, seed).reshape(shape)
        np.testing.assert_allclose(d, true if d.dtype.kind == "c" else true.real, rtol=1e-12)
        check_grads(lambda b: np.sum(np.abs(sparse.linalg.spsolve(a.tocsc(), b)) ** 2), (b,), order=2)


def test_factorized_and_plain_arrays(rng):
    a, b = regular(rng, 4).tocsc(), rng.standard_normal(4)
    solve = sparse.linalg.factorized(a)
    np.testing.assert_allclose(solve(b), np.linalg.solve(a.toarray(), b))
    np.testing.assert_allclose(ad.grad(lambda b: np.sum(solve(b)))(b), np.linalg.solve(a.toarray().T, np.ones(4)))
    np.testing.assert_array_equal(sparse.linalg.spsolve(a, b), scipy.sparse.linalg.spsolve(a, b))
    natural = ad.vjp(lambda b: sparse.linalg.spsolve(a, b, permc_spec="NATURAL"), b)[0]
    np.testing.assert_allclose(natural, scipy.sparse.linalg.spsolve(a, b, permc_spec="NATURAL"), rtol=1e-14)
    with pytest.raises(NoRuleError, match="constant sparse"):
        ad.grad(lambda d: np.sum(sparse.linalg.spsolve(np.diag(d), d)))(b)


def test_the_rest_of_the_namespaces_is_scipys():
    assert sparse.csr_array is scipy.sparse.csr_array
    assert sparse.linalg.cg is scipy.sparse.linalg.cg
    assert {"csr_array", "matmul"} <= set(dir(sparse))
    assert {"spsolve", "splu"} <= set(dir(sparse.linalg))


@pytest.mark.parametrize("form", FORMATS)
def test_sums_are_dense_as_scipys(form, rng):
    a, x = matrix(rng, 4, 3, form), rng.standard_normal((4, 3))
    for f in (lambda x: a + x, lambda x: x + a, lambda x: a - x, lambda x: x - a, lambda x: a + x[0]):
        y = ad.vjp(f, x)[0]
        np.testing.assert_array_equal(y, f(x))
        check_grads(f, (x,), order=1)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, x: a * x, lambda a, x: x * a, lambda a, x: a.multiply(x), lambda a, x: a / x, lambda a, x: a > x,
        lambda a, x: a * x[0], lambda a, x: x[0] * a, lambda a, x: a / x[0],
    ],
)  # fmt: skip
def test_a_result_that_would_be_sparse_is_refused_by_name(f, rng):
    a = matrix(rng, 3, 3)
    with pytest.raises(NoRuleError) as said:
        ad.grad(lambda x: f(a, x).sum())(np.arange(1.0, 4.0))
    assert "A @ x" in str(said.value)
    assert f"where:   {__file__}" in str(said.value)


@pytest.mark.parametrize("f", [np.matmul, np.dot, np.multiply, np.add, lambda a, x: x / a])
def test_numpys_functions_know_no_sparse_matrix(f, rng):
    a = matrix(rng, 3, 3)
    with pytest.raises(ad.errors.DtypeError, match=r"sparse matrix of SciPy(.|\n)*A @ x"):
        ad.grad(lambda x: f(a, x).sum())(np.ones(3))
