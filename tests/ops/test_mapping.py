"""Functions that take a function: NumPy's values, and derivatives through what the function returns."""

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import LostHistoryError, NoRuleError
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_as_numpy

FUNCTIONS = {
    "to a number": lambda x: np.apply_along_axis(np.sum, 0, x),
    "to a number, along the middle": lambda x: np.apply_along_axis(lambda v: v @ v, 1, x),
    "to a shorter vector": lambda x: np.apply_along_axis(lambda v: v[1:] * v[:-1], -1, x),
    "to a matrix": lambda x: np.apply_along_axis(lambda v: v[:, None] * v, 1, x),
    "with arguments": lambda x: np.apply_along_axis(lambda v, n, k=1: v**n * k, 0, x, 3, k=2.0),
    "to lists": lambda x: np.apply_along_axis(lambda v: [v[0], 2.0 * v[1]], 2, x),
    "sort along an axis": lambda x: np.apply_along_axis(np.sort, 1, x),
    "a constant": lambda x: x[:, :, 0] * np.apply_along_axis(np.argmax, 2, x),
    "over axes": lambda x: np.apply_over_axes(np.sum, x, (0, 2)),
    "over axes from behind": lambda x: np.apply_over_axes(np.prod, x, [-1, 0]),
    "over one axis": lambda x: np.apply_over_axes(lambda v, axis: np.max(v, axis, keepdims=True), x, 1),
    "over no axes": lambda x: np.apply_over_axes(np.sum, x, ()) * 1.0,
    "ix_": lambda x: np.multiply(*np.ix_(x[0, 0], x[:, 1, 1])),
    "ix_ as an index": lambda x: x[np.ix_([1, 0], [True, False, True], np.array([2, 2]))],
    "meshgrid": lambda x: np.multiply(*np.meshgrid(x[0, 0], x[:, 1, 1])),
    "meshgrid by indices": lambda x: np.add(*np.meshgrid(x[0, 0], x[:, 1, 1], indexing="ij", sparse=True)),
    "meshgrid of three": lambda x: np.stack(np.meshgrid(x[0, 0], 2.0, x[0, :, 1], copy=False)),
    "broadcast_arrays": lambda x: np.stack(np.broadcast_arrays(x[0], x[:, :1], 2.0)),
    "grids": lambda x: np.fromfunction(lambda i, j: x[0] * i + j, (3, 4)) + np.mgrid[:3, :4][0] * x[1],
    "index arrays": lambda x: np.fromfunction(lambda i, j: x[1, i, j], (3, 4), dtype=int),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name, rng):
    check_as_numpy(FUNCTIONS[name], rng.standard_normal((2, 3, 4)))


@pytest.mark.filterwarnings("ignore:`row_stack`")
@pytest.mark.skipif(not hasattr(np, "row_stack"), reason="this NumPy has it no more")
def test_row_stack_is_vstack(rng):
    x = rng.standard_normal((2, 3))
    y = ad.vjp(lambda x: np.row_stack([x, x[0]]), x)[0]  # noqa: NPY201 the old name is what is tested
    np.testing.assert_array_equal(y, np.vstack([x, x[0]]))


# -- vectorize ---------------------------------------------------------------------------------------------------------


def bend(a, b=1.0):
    return a * b if a > b else a - b * b


class TestVectorize:
    """autodiff.numpy.vectorize gives what numpy.vectorize gives, and derivatives."""

    CASES = (
        ((bend,), {}, lambda v, x, w: v(x, w)),
        ((bend,), {}, lambda v, x, w: v(x, 0.3) * v(0.2, w)),
        ((bend,), {"otypes": [float]}, lambda v, x, w: v(x[:0], w)),
        ((bend,), {"otypes": "f", "cache": True}, lambda v, x, w: v(x, b=w)),
        ((lambda a, p: np.sum(p) * a,), {"excluded": {1}}, lambda v, x, w: v(x, w)),
        ((lambda a, p=None: p[0] * a,), {"excluded": ["p"]}, lambda v, x, w: v(x, p=w)),
        ((lambda a, b: (a * b, a + b),), {}, lambda v, x, w: np.stack(v(x, w))),
        ((lambda a, b: (a * b, a + b),), {"otypes": ["d", np.float32]}, lambda v, x, w: v(x, w)[1]),
        ((lambda a: a @ a,), {"signature": "(n)->()"}, lambda v, x, w: v(x) * v(w)),
        ((np.outer,), {"signature": "(m),(n)->(m,n)"}, lambda v, x, w: v(x, w[1:])),
        ((lambda a, b: (a @ b, 2 * b),), {"signature": "(m, n),(n)->(m),(n)"}, lambda v, x, w: v(x, w)[0]),
        ((lambda a, s: a * s,), {"signature": "(n),()->(n)", "otypes": "d"}, lambda v, x, w: v(x[0], w)),
        ((lambda a, p: a * p[0],), {"signature": "()->()", "excluded": {1}}, lambda v, x, w: v(x, w)),
        ((lambda: 3.0,), {}, lambda v, x, w: v() * x),
        ((bend,), {}, lambda v, x, w: v(x[0, 0], w[0])),
    )

    @pytest.mark.parametrize("case", range(len(CASES)))
    def test_as_numpy(self, case, rng):
        args, settings, call = self.CASES[case]
        x, w = rng.standard_normal((3, 4)), rng.standard_normal(4)
        expected = call(np.vectorize(*args, **settings), x, w)
        vectorized = anp.vectorize(*args, **settings)
        y, _ = ad.vjp(lambda x, w: call(vectorized, x, w), x, w)
        assert y.shape == expected.shape
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y, expected, rtol=1e-15)
        np.testing.assert_allclose(call(vectorized, x, w), expected, rtol=1e-15)
        if expected.dtype == float:
            check_grads(lambda x, w: call(vectorized, x, w) ** 2, (x, w), order=2)

    def test_as_a_decorator(self):
        @anp.vectorize
        def square(v):
            """Of a number."""
            return v * v

        @anp.vectorize(otypes=[float], doc="Cubes.")
        def cube(v):
            return v**3

        assert (square.__name__, square.__doc__, cube.__doc__) == ("square", "Of a number.", "Cubes.")
        x = np.array([1.0, 2.0])
        np.testing.assert_array_equal(ad.grad(lambda x: np.sum(square(x) + cube(x)))(x), 2 * x + 3 * x**2)

    def test_a_tensor_from_around_the_function(self):
        scale = ad.grad(lambda s: np.sum(anp.vectorize(lambda v: v * s)(np.arange(4.0))))
        assert scale(2.0) == 6

    def test_elements_are_called_once_each(self):
        seen = []
        ad.vjp(lambda x: anp.vectorize(lambda v: (seen.append(v), v)[1])(x), np.arange(3.0))
        assert len(seen) == 3

    MISTAKES = (
        (lambda v: v(lambda a: a)(np.zeros(0)), "size 0 inputs"),
        (lambda v: v(lambda a: a, signature="(n)->(m)", otypes="d")(np.zeros((0, 2))), "new output dimensions"),
        (lambda v: v(lambda a: a, signature="(n->()"), "not a valid gufunc signature"),
        (lambda v: v(lambda a, b: a, signature="(n),(n)->(n)")(np.ones(2), np.ones(3)), "core dimension"),
        (lambda v: v(lambda a: a, signature="(n,m)->()")(np.ones(2)), "enough dimensions"),
        (lambda v: v(lambda a: (a, a), signature="()->()")(np.ones(2)), "wrong number of outputs"),
        (lambda v: v(lambda a: a, signature="(n)->(n,n)")(np.ones(2)), "dimension"),
        (lambda v: v(lambda a: a, otypes="?!"), "Invalid otype"),
        (lambda v: v(lambda a, b: a)(np.ones(2), np.ones(3)), "broadcast"),
    )

    @pytest.mark.parametrize("case", range(len(MISTAKES)))
    def test_numpys_own_errors(self, case):
        mistake, words = self.MISTAKES[case]
        for vectorize in (np.vectorize, anp.vectorize):
            with pytest.raises(ValueError, match=words):
                mistake(vectorize)

    def test_the_number_of_arguments(self):
        for vectorize in (np.vectorize, anp.vectorize):
            with pytest.raises(TypeError, match="wrong number of positional arguments"):
                vectorize(lambda a: a, signature="(n)->(n)")(np.ones(2), np.ones(2))


LOST = {
    "vectorize": lambda x: np.vectorize(bend)(x),
    "vectorize to floats": lambda x: np.vectorize(bend, otypes=[float])(x),
    "vectorize by signature": lambda x: np.vectorize(bend, signature="()->()")(x),
    "a tensor from around": lambda x: np.apply_along_axis(lambda v: v * x, 0, np.ones(3)),
    "piecewise": lambda x: np.piecewise(np.ones(3), [np.ones(3) > 0], [lambda v: x]),
}


@pytest.mark.parametrize("name", LOST)
def test_what_numpy_gives_no_hook_for_says_what_to_write(name):
    with pytest.raises(LostHistoryError, match=r"autodiff\.numpy has a vectorize and an apply_along_axis"):
        ad.vjp(LOST[name], np.arange(3.0))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrices_are_refused():
    with pytest.raises(LostHistoryError, match=r"np\.bmat"):
        ad.vjp(lambda x: np.bmat([[x, x]]), np.ones(3))


def test_and_that_works():
    x = np.array([1.0, 2.0, 3.0])
    along = ad.jacobian(lambda x: anp.apply_along_axis(lambda v: v * x, 0, np.ones((3, 2))))(x)
    np.testing.assert_array_equal(along, np.stack([np.eye(3)] * 2, axis=1))
    pieces = ad.jacobian(lambda x: anp.piecewise(x * 0 + 1, [x > 1.5, x > 2.5], [lambda v: v * x[0], x[2]]))(x)
    np.testing.assert_array_equal(pieces, [[0, 0, 0], [1, 0, 0], [0, 0, 1]])
    plain = np.array([0.0, 1.0])
    found = ad.grad(lambda s: np.sum(anp.piecewise(plain, [plain > 0], [lambda v: v * s, lambda v: s * s])))(3.0)
    assert found == 7
    over = ad.grad(lambda s: anp.apply_over_axes(lambda v, axis: s * np.sum(v, axis), np.ones((2, 3)), (0, 1))[0, 0])
    assert over(2.0) == 24
    for function in (anp.apply_along_axis, np.apply_along_axis):
        np.testing.assert_array_equal(function(np.cumsum, 0, np.ones((2, 2))), [[1, 1], [2, 2]])


def test_frompyfunc_is_refused_on_purpose():
    with pytest.raises(NoRuleError, match=r"frompyfunc makes arrays of objects; autodiff\.numpy\.vectorize"):
        ad.vjp(np.frompyfunc(bend, 2, 1), np.ones(2), np.ones(2))


def test_numpys_own_errors():
    x = np.ones((2, 3))
    for f, error in [
        (lambda x: np.apply_along_axis(np.sum, 2, x), "axis 2"),
        (lambda x: np.apply_along_axis(np.sum, 0, x[:, :0]), "iteration dimensions"),
        (lambda x: np.apply_over_axes(lambda v, axis: v[0, 0], x, 0), "correct shape"),
        (lambda x: np.ix_(x), "1 dimensional"),
        (lambda x: np.meshgrid(x[0], x[0], indexing="ji"), "indexing"),
    ]:
        for call in (f, lambda x, f=f: ad.vjp(f, x)):
            with pytest.raises(ValueError, match=error):
                call(x)


@pytest.mark.parametrize("f", [
    lambda x: np.rollaxis(x, 5), lambda x: np.take_along_axis(x, np.zeros((2, 3), int), 5),
    lambda x: np.sort(x, 5), lambda x: np.diff(x, axis=5), lambda x: np.partition(x, 0, axis=-3),
])  # fmt: skip
def test_an_axis_that_is_not_there_is_never_another_one(f):
    with pytest.raises(np.exceptions.AxisError):
        f(np.ones((2, 3)))
    with pytest.raises(np.exceptions.AxisError):
        ad.vjp(f, np.ones((2, 3)))


def test_ix_of_nothing():
    grids = ad.vjp(lambda x: np.ix_(x[:0], [], x), np.ones(2))[0]
    for grid, expected in zip(grids, np.ix_(np.ones(0), [], np.ones(2)), strict=True):
        assert (grid.shape, grid.dtype) == (expected.shape, expected.dtype)
