"""What no law knows of the products: spellings, refusals, memory, and the order of a chain."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError, LostHistoryError

A = np.arange(1.0, 10.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda x: np.matmul(x, x, keepdims=True), KeywordError, "keepdims"),
        (lambda x: np.matmul(x, x, out=np.empty((3, 3))), LostHistoryError, "out"),
        (lambda x: np.dot(x, x, out=np.empty((3, 3))), KeywordError, "'out'"),
        (lambda x: np.outer(x, x, out=np.empty((9, 9))), KeywordError, "'out'"),
        (lambda x: np.linalg.multi_dot([x, x], out=np.empty((3, 3))), KeywordError, "'out'"),
        (lambda x: np.einsum("ij->ji", x, out=np.empty((3, 3))), KeywordError, "'out'"),
        (lambda x: np.einsum("ij->ji", x, dtype=np.float32), TypeError, "safe"),
        (lambda x: np.einsum("ij->ji", x, order="F"), KeywordError, "'order'"),
        (lambda x: np.cross(x[:, :1], x[:, :2]), ValueError, "must be 2 or 3"),
        (lambda x: np.linalg.cross(x[:, :2], x[:, :2]), ValueError, "3-dimensional vectors"),
        (lambda x: np.cross(x[:, :2], x), DeprecationWarning, "2-dimensional"),
        (lambda x: np.linalg.outer(x, x), ValueError, "one-dimensional"),
        (lambda x: np.linalg.multi_dot([x]), ValueError, "at least two"),
        (lambda x: np.linalg.multi_dot([x, x[0], x]), np.linalg.LinAlgError, "two-dimensional"),
        (lambda x: x @ np.ones(4), ValueError, "mismatch"),
    ],
)
def test_refusals_come_at_the_call(call, error, word):
    with pytest.raises(error, match=word):
        ad.grad(lambda x: np.sum(call(x)))(A)


@pytest.mark.parametrize("call", [
    lambda x: np.einsum("ij->ji", x, order="K", casting="safe", dtype=None, out=None, optimize=False),
    lambda x: np.dot(x, np.eye(3), out=None),
    lambda x: np.tensordot(x, np.eye(3), 1),
])  # fmt: skip
def test_defaults_that_are_written_out_are_no_keywords(call):
    assert np.array_equal(ad.grad(lambda x: np.sum(call(x)))(A), np.ones((3, 3)))


def test_gradients_of_a_layer_are_the_textbook_products_in_memory_of_their_own():
    rng = np.random.default_rng(0)
    x, w, d = (rng.standard_normal(s).astype(np.float32) for s in ((32, 64), (64, 10), (32, 10)))
    dx, dw = ad.vjp(np.matmul, x, w)[1](d)
    assert np.array_equal(dx, d @ w.T)
    assert np.array_equal(dw, x.T @ d)
    assert dx.dtype == dw.dtype == np.float32
    assert dw.flags.c_contiguous
    assert dx.flags.c_contiguous


def test_a_stack_times_one_matrix_is_one_tall_product():
    rng = np.random.default_rng(1)
    x, w, d = rng.standard_normal((5, 3, 4)), rng.standard_normal((4, 2)), rng.standard_normal((5, 3, 2))
    (dw,) = ad.vjp(lambda w: x @ w, w)[1](d)
    assert np.allclose(dw, sum(xi.T @ di for xi, di in zip(x, d, strict=True)), rtol=1e-14)


def test_zero_size_products_have_zero_size_or_zero_gradients():
    dx, dw = ad.vjp(np.matmul, np.ones((2, 0, 4)), np.ones((4, 3)))[1](np.ones((2, 0, 3)))
    assert dx.shape == (2, 0, 4)
    assert np.array_equal(dw, np.zeros((4, 3)))
    da, db = ad.vjp(np.matmul, np.ones((2, 3, 0)), np.ones((0, 4)))[1](np.ones((2, 3, 4)))
    assert (da.shape, db.shape) == ((2, 3, 0), (0, 4))


def test_vdot_conjugates_its_first_argument_and_only_that():
    a, b = np.array([1 + 2j, 3 - 1j]), np.array([0.5 - 1j, 2j])
    one = np.complex128(1)  # the seed of the real part
    da, db = ad.vjp(np.vdot, a, b)[1](one)
    assert np.array_equal(da, b.conj())  # Re Σ conj(a)·b = Σ (a_x·b_x + a_y·b_y), so δa = b_x − i·b_y
    assert np.array_equal(db, a.conj())
    assert np.array_equal(ad.vjp(np.dot, a, b)[1](one)[0], b)


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        (lambda x: np.einsum(x, [0, 1], A, [1, 2]), lambda x: x @ A),
        (lambda x: np.einsum(x, [0, 30], A, [30, 2], [2, 0]), lambda x: (x @ A).T),
        (lambda x: np.einsum(x, [..., 1], [...]), lambda x: np.sum(x, axis=1)),
        (lambda x: np.einsum("ij,jk,kl", A, x, A, optimize=["einsum_path", (0, 1), (0, 1)]), lambda x: A @ x @ A),
        (lambda x: np.einsum(" ij , jk -> ik ", x, A, optimize="greedy"), lambda x: x @ A),
        (lambda x: np.einsum("ba", x), lambda x: x.T),
        (lambda x: np.einsum("i,ij", np.arange(3), x), lambda x: np.arange(3.0) @ x),
        (lambda x: np.tensordot(x, A, axes=(np.array([0]), [-1])), lambda x: x.T @ A.T),
        (lambda x: np.linalg.tensordot(x, A, axes=1), lambda x: x @ A),
        (lambda x: np.linalg.vecdot(x, A, axis=0), lambda x: np.sum(x * A, axis=0)),
        (lambda x: np.cross(x, A, axis=0), lambda x: np.cross(x.T, A.T).T),
        (lambda x: np.cross(x, A, axisa=0, axisb=1, axisc=0), lambda x: np.cross(x.T, A).T),
        (lambda x: np.linalg.cross(A, x, axis=0), lambda x: np.cross(A.T, x.T).T),
        (lambda x: np.linalg.outer(x[0], x[1]), lambda x: x[0][:, None] * x[1]),
        (lambda x: np.linalg.multi_dot([x[0], x, A, x[1]]), lambda x: x[0] @ (x @ (A @ x[1]))),
        (lambda x: np.dot([1.0, 2.0, 3.0], x), lambda x: np.array([1.0, 2.0, 3.0]) @ x),
    ],
)
def test_two_spellings_agree_in_value_and_gradient(spelling, same):
    x = np.sqrt(A)
    y, pull = ad.vjp(spelling, x)
    again, pull_again = ad.vjp(same, x)
    assert np.allclose(y, spelling(x), rtol=1e-14, atol=0)
    assert np.allclose(y, again, rtol=1e-13)
    seed = np.cos(np.arange(y.size)).reshape(y.shape)
    assert np.allclose(pull(seed)[0], pull_again(seed)[0], rtol=1e-13, atol=1e-13)


def test_einsum_puts_exact_zeros_off_a_diagonal():
    assert np.array_equal(ad.grad(lambda x: np.einsum("ii", x))(A), np.eye(3))
    with np.errstate(over="ignore"):
        (dx,) = ad.vjp(lambda x: np.einsum("ii->i", x), A)[1](np.array([np.inf, 1.0, 2.0]))
    assert np.array_equal(dx, np.diag([np.inf, 1.0, 2.0]))


def test_einsum_carries_fewer_terms_than_operands_where_some_are_literal():
    joint = ad.graph.OPERATIONS["einsum"].joint
    terms = joint(A, None, A, A, A, subscripts="ij,jk,kl->il", wanted=(False, True, False))
    assert [term is None for term in terms] == [True, False, True]
    assert np.allclose(terms[1], A.T @ A @ A.T)


def test_multi_dot_multiplies_in_the_cheapest_order():
    shapes = [(30, 35), (35, 15), (15, 5), (5, 10), (10, 20), (20, 25)]  # the chain of the CLRS textbook
    chain = [np.ones(s) for s in shapes]
    graph = ad.trace(lambda *xs: np.linalg.multi_dot(xs))(*chain)
    products = [node for node in graph.nodes if node.op.name == "dot"]
    work = sum(a.shape[0] * a.shape[1] * b.shape[1] for a, b in (node.inputs for node in products))
    assert work == 15_125  # the optimum printed there


def test_a_write_into_a_view_made_by_einsum_shows_in_its_base():
    def f(x):
        y = x * 1.0
        diagonal = np.einsum("ii->i", y)
        diagonal[0] = 5.0
        return np.sum(y * x)

    x = np.arange(9.0).reshape(3, 3)
    expected = 2 * x
    expected[0, 0] = 5.0
    assert ad.value_and_grad(f)(x)[0] == f(x)
    np.testing.assert_array_equal(ad.grad(f)(x), expected)


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors:DeprecationWarning")
@pytest.mark.parametrize("call", [
    lambda a, b: np.cross(a[:, :2], b[:, :2]),
    lambda a, b: np.cross(a[:, :2], b),
    lambda a, b: np.cross(a, b[:, :2]),
    lambda a, b: np.cross(a[:2], b, axisa=0, axisb=1, axisc=0),
    lambda a, b: np.matmul(a, b, axes=[(0, 1), (1, 0), (1, 0)]),
    lambda a, b: np.matmul(a, b, axes=[(-1, -2), (-2, -1), (0, 1)]),
    lambda a, b: np.vecdot(a, b, axes=[(0,), (1,), ()]),
    lambda a, b: np.vecdot(a, b, axes=[0, 1]),
    lambda a, b: np.vecdot(a, b, axis=0),
    lambda a, b: np.matvec(a, b, axes=[(0, 1), 0, 0]),
    lambda a, b: np.vecmat(a, b, axes=[(0,), (1, 0), (0,)]),
    lambda a, b: np.einsum("ij,jk", a, b, dtype=complex),
    lambda a, b: np.einsum("ij,jk->ik", a, b, optimize=np.einsum_path("ij,jk->ik", a, b)[0]),
    lambda a, b: np.einsum(a, [0, 1], b, [1, 2], optimize="optimal"),
    lambda a, b: np.einsum("...ij,...j->...", np.stack([a, a]), b[0]),
    lambda a, b: np.einsum("ii,ij->j", a, b),
    lambda a, b: np.einsum(a, [..., 0, 0], b, [..., 0]),
])  # fmt: skip
@pytest.mark.parametrize("complex_numbers", [False, True])
def test_products_in_every_spelling_are_numpys(rng, call, complex_numbers):
    a, b = rng.standard_normal((2, 3, 3))
    if complex_numbers:
        a, b = a + 1j * rng.standard_normal((3, 3)), b + 1j * rng.standard_normal((3, 3))
    y, _ = ad.vjp(call, a, b)
    assert y.dtype == call(a, b).dtype
    assert np.array_equal(y, call(a, b))
    ad.testing.check_grads(call, (a, b), order=2)


def test_einsum_in_single_precision_casts_first():
    def f(x):
        return np.einsum("ij,jk", x, x, dtype=np.float32, casting="same_kind")

    y, pull = ad.vjp(f, A)
    assert y.dtype == np.float32
    assert np.array_equal(y, f(A))
    assert pull(np.ones((3, 3), np.float32))[0].dtype == np.float64
    assert np.allclose(pull(np.ones((3, 3), np.float32))[0], np.ones((3, 3)) @ A.T + A.T @ np.ones((3, 3)))


def test_the_path_of_einsum_is_known_from_tensors():
    paths = []

    def f(x):
        paths.append(np.einsum_path("ij,jk,k", x, x, x[0], optimize="optimal"))
        return np.einsum("ij,jk,k", x, x, x[0], optimize=paths[0][0])[0]

    assert np.isfinite(ad.grad(f)(A)).all()
    assert paths[0] == np.einsum_path("ij,jk,k", A, A, A[0], optimize="optimal")


@pytest.mark.parametrize(
    "product", [lambda a, **how: np.matmul(a, a.T, **how), lambda a, **how: np.vecdot(a, a, **how)]
)
def test_dtype_says_in_which_precision_a_product_is_computed(product):
    """300·300·4 is more than half precision holds; what NumPy may not cast is its own error."""
    a = np.full((1, 4), 300, np.float16)
    y, pull = ad.vjp(lambda a: product(a, dtype=np.float32), a)
    assert y.dtype == np.float32
    assert y == product(a, dtype=np.float32) == 360000
    np.testing.assert_array_equal(pull(np.ones(y.shape, y.dtype))[0], np.full((1, 4), 600, np.float16))
    for how in ({"dtype": np.int32}, {"dtype": np.float16, "casting": "no"}, {"dtype": np.int64, "casting": "safe"}):
        wide = a.astype(np.float32)
        with pytest.raises(TypeError) as right:
            product(wide, **how)
        with pytest.raises(TypeError) as ours:
            ad.vjp(lambda a, how=how: product(a, **how), wide)
        assert type(ours.value) is type(right.value)
