"""Reductions: ties, zeros, selections and the other things that a generic law does not know."""

import re

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import DtypeError, KeywordError
from autodiff.graph import OPERATIONS
from tests.ops.as_numpy import check_as_numpy

X = np.array([1.0, 2.0, 3.0])
FIRST_AND_LAST = np.array([True, False, True])
DTYPES = (np.float16, np.float32, np.float64, np.longdouble)


def compositions():
    """Calls that are compositions of operations, on a matrix; the laws see operations only."""
    where = np.array([[True, False, True, True], [False, True, True, False], [True, True, True, False]])
    weights = np.arange(1.0, 13.0).reshape(3, 4)
    return {
        "sum of a selection": lambda x: np.sum(x, axis=0, where=where),
        "sum with a start": lambda x: np.sum(x, axis=(0, -1), initial=3.0, keepdims=True),
        "sum by position": lambda x: np.sum(x, 1, None, None, True),
        "sum in another dtype": lambda x: np.sum(x, dtype=np.longdouble),
        "add.reduce": lambda x: np.add.reduce(x, axis=1),
        "mean of a selection": lambda x: np.mean(x, axis=-1, where=where),
        "var of a selection": lambda x: np.var(x, axis=1, where=where, ddof=1, keepdims=True),
        "var from a given mean": lambda x: np.var(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)),
        "var from a foreign mean": lambda x: np.var(x, axis=0, mean=np.ones((1, 4))),
        "std of a selection": lambda x: np.std(x, where=where),
        "std with a correction": lambda x: np.std(x, axis=0, correction=1),
        "prod of a selection": lambda x: np.prod(x, axis=1, where=where),
        "prod with a start": lambda x: np.prod(x, axis=1, initial=2),
        "max of a selection": lambda x: np.max(x, axis=1, where=where, initial=-9),
        "min of a selection": lambda x: np.min(x, axis=0, where=where, initial=9.0, keepdims=True),
        "amax": lambda x: np.amax(x, 1),
        "amin": lambda x: np.amin(x),
        "ptp": lambda x: np.ptp(x, axis=1, keepdims=True),
        "cumsum in another dtype": lambda x: np.cumsum(x, 0, np.longdouble),
        "average": lambda x: np.average(x, axis=1),
        "average with weights": lambda x: np.average(x, weights=weights),
        "average with the weights of an axis": lambda x: np.average(x, axis=1, weights=weights[0]),
        "average with its weights": lambda x: np.multiply(*np.average(x, axis=0, weights=weights, returned=True)),
        "weights": lambda w: np.average(weights, axis=0, weights=w * w),
        "cumulative_sum": lambda x: np.cumulative_sum(x, axis=1, include_initial=True),
        "cumulative_prod": lambda x: np.cumulative_prod(x, axis=0),
        "method": lambda x: x.std(ddof=1) + x.mean(axis=1, keepdims=True).sum(0),
    }


@pytest.mark.parametrize("name", compositions())
def test_composition_is_numpy_with_the_right_derivative(name, rng):
    check_as_numpy(compositions()[name], rng.standard_normal((3, 4)))


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        (np.sum, [1, 0, 1]), (np.mean, [0.5, 0, 0.5]), (np.prod, [3, 0, 1]), (np.var, [-1, 0, 1]),
        (np.std, [-0.5, 0, 0.5]),
    ],
)
def test_selection(reduction, expected):
    found = ad.grad(lambda x: reduction(x, where=FIRST_AND_LAST))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-15)


def test_what_is_not_selected_may_be_nan():
    x = np.array([1.0, np.nan, 3.0])
    for reduction in (np.sum, np.mean, np.prod, np.var, np.std):
        assert ad.grad(lambda x, r=reduction: r(x, where=FIRST_AND_LAST))(x)[1] == 0
    found = ad.grad(lambda x: np.max(x, where=FIRST_AND_LAST, initial=0))(x)
    np.testing.assert_array_equal(found, [0, 0, 1])


def test_selection_follows_the_values_when_a_graph_is_replayed():
    graph = ad.trace(lambda x: np.mean(x, where=x > 0))(np.array([1.0, -2.0, 3.0]))
    assert ad.sweep.evaluate(graph, [np.array([-1.0, 2.0, 7.0])])[graph.outputs[0]] == 4.5


def test_selection_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="does not broadcast"):
        ad.grad(lambda x: np.sum(x, where=np.ones((2, 3), bool)))(X)
    with pytest.raises(ValueError, match="initial"):
        ad.grad(lambda x: np.max(x, where=FIRST_AND_LAST))(X)


# -- extremes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: np.max(x, initial=5), X, [0, 0, 0]),
        (lambda x: np.min(x, initial=0), X, [0, 0, 0]),
        (lambda x: np.max(x, initial=3), X, [0, 0, 0.5]),
        (np.max, [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
        (np.min, [3.0, 3.0, 4.0], [0.5, 0.5, 0]),
        (np.max, [0.0, -0.0], [0.5, 0.5]),
        (np.max, [1.0, np.nan, 2.0, np.nan], [0, 0.5, 0, 0.5]),
        (np.max, [np.inf, 1.0, np.inf], [0.5, 0, 0.5]),
        (np.ptp, [2.0, 2.0], [0, 0]),
    ],
)
def test_ties_share_equally(f, x, expected):
    np.testing.assert_array_equal(ad.grad(f)(np.array(x)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_ties_over_several_axes(dtype, keepdims):
    x = np.zeros((2, 3, 2), dtype)
    x[0, 1, 1] = x[1, 1, 0] = 1
    found = ad.grad(lambda x: np.sum(np.max(x, axis=(0, -1), keepdims=keepdims)))(x)
    assert found.dtype == dtype
    expected = np.full((2, 3, 2), 0.25)
    expected[:, 1, :] = [[0, 0.5], [0.5, 0]]
    np.testing.assert_array_equal(found, expected)


def test_many_ties_in_half_precision():
    """Their number, 2¹³, is more than a float16 counts to one by one."""
    found = ad.grad(np.max)(np.zeros(8192, np.float16))
    np.testing.assert_array_equal(found, np.full(8192, 2.0**-13, np.float16))


def test_extreme_of_nothing_is_its_initial_value():
    assert ad.grad(lambda x: np.max(x, initial=1.0))(np.zeros((0, 2))).shape == (0, 2)


# -- spread ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1.0, 0.0, 0.1, 1e100])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_std_of_equal_elements_has_derivative_zero(value, n):
    found = ad.grad(np.std)(np.full(n, value))
    assert np.abs(found).max() <= 1e-15


def test_second_derivative_of_std_of_equal_elements_is_finite():
    assert np.isfinite(ad.hessian(np.std)(np.ones(3))).all()


def test_std_of_a_selection_of_equal_elements():
    found = ad.grad(lambda x: np.std(x, where=FIRST_AND_LAST))(np.array([2.0, 5.0, 2.0]))
    np.testing.assert_array_equal(found, 0)


def test_one_group_without_spread_leaves_the_others_alone():
    found = ad.grad(lambda x: np.sum(np.std(x, axis=1)))(np.array([[1.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(found, [[0, 0], [-0.5, 0.5]])


def test_var_of_complex_numbers_is_the_mean_of_squared_distances():
    z = np.array([1 + 2j, -1j, 3.0])
    centred = z - z.mean()
    np.testing.assert_allclose(ad.grad(np.var)(z), 2 * np.conj(centred) / 3, rtol=1e-15)
    np.testing.assert_allclose(ad.grad(np.std)(z), np.conj(centred) / (3 * np.std(z)), rtol=1e-15)


def test_a_group_without_δ_stays_zero_whatever_was_saved():
    x = np.array([[1.0, 2.0, 4.0], [np.inf, 1.0, np.nan]])
    for reduction in (np.var, np.std, np.prod, np.cumprod):
        y, pull = ad.vjp(lambda x, r=reduction: r(x, axis=1), x)
        seed = np.zeros_like(y)
        seed[0] = 1
        (found,) = pull(seed)
        assert np.isfinite(found[0]).all()
        np.testing.assert_array_equal(found[1], 0)


# -- products ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [([0, 2, 3], [6, 0, 0]), ([0, 0, 3], [0, 0, 0]), ([2, 3, 4], [12, 8, 6]), ([-0.0, 5], [5, -0.0]), ([7], [1])],
)
def test_product_with_zeros(x, expected):
    np.testing.assert_array_equal(ad.grad(np.prod)(np.array(x, float)), expected)


def test_second_derivative_of_a_product_is_the_product_of_the_rest():
    x = np.array([0.0, 0.0, 3.0, 2.0])
    expected = [[0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(ad.hessian(np.prod)(x), expected)


@pytest.mark.parametrize(
    ("x", "expected"), [([2, 0, 3, 4], [1, 32, 0, 0]), ([0, 0, 1], [1, 0, 0]), ([5], [1]), ([1, 2], [3, 1]), ([], [])]
)
def test_running_product_with_zeros(x, expected):
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.cumprod(x)))(np.array(x, float)), expected)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 9])
def test_second_derivative_of_a_running_product(n, rng):
    x = rng.integers(0, 3, n).astype(float)
    expected = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                expected[i, j] = sum(np.prod(np.delete(x[:m], [i, j])) for m in range(max(i, j) + 1, n + 1))
    np.testing.assert_allclose(ad.hessian(lambda x: np.sum(np.cumprod(x)))(x), expected, rtol=1e-14)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_a_running_product_with_and_without_a_division(dtype, axis, rng):
    def pulled(x):
        y, pull = ad.vjp(lambda x: np.cumprod(x, axis=axis), x)
        return pull(seed.reshape(y.shape))[0]

    x, seed = (rng.uniform(0.5, 1.5, (7, 9)) * (-1) ** rng.integers(0, 2, (7, 9)) for _ in range(2))
    x, seed = (a * np.exp(1j * a) if np.dtype(dtype).kind == "c" else a for a in (x, seed))
    x, seed = x.astype(dtype), seed.astype(dtype)
    divided, (multiplied, _) = pulled(x), ad.vjp(pulled, x)  # under an outer trace no value is looked at
    assert divided.dtype == multiplied.dtype == dtype
    tolerance = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(divided, multiplied, rtol=tolerance, atol=tolerance * np.abs(multiplied).max())


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1e-200, 1e-200, 1e200], [2.0, 1.0, 0.0]),
        ([1e200, 1e200, 1e-200], [1e200, 1e200, np.inf]),
        ([2.0, np.inf], [np.inf, 2.0]),
    ],
)
def test_running_product_beyond_the_range(x, expected):
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(ad.grad(lambda x: np.sum(np.cumprod(x)))(np.array(x)), expected)


# -- dtypes, shapes, refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "max", "min", "ptp", "average", "median"])
def test_dtype_is_kept(dtype, name):
    f = getattr(np, name)
    value, found = ad.value_and_grad(f)(np.array([1.0, 2.0, 4.0], dtype))
    assert value.dtype == f(np.ones(2, dtype)).dtype
    assert found.dtype == dtype


def test_mean_of_more_elements_than_half_precision_counts_to():
    n = 100_000
    found = ad.grad(np.mean)(np.ones(n, np.float16))
    np.testing.assert_array_equal(found, np.float16(1 / n))


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod"])
def test_nothing_reduced(name):
    assert ad.grad(lambda x: np.sum(getattr(np, name)(x, axis=0)))(np.zeros((0, 3))).shape == (0, 3)
    found = ad.grad(lambda x: np.sum(getattr(np, name)(x, axis=1)))(np.ones((3, 1)))
    np.testing.assert_array_equal(found, np.ones((3, 1)))


@pytest.mark.parametrize(
    "name", ["sum", "mean", "var", "std", "prod", "max", "amax", "min", "amin", "ptp", "cumsum", "cumprod", "median"]
)
def test_out_is_refused_and_out_none_is_nothing(name):
    f = getattr(np, name)
    with pytest.raises(KeywordError, match=re.compile(r"keyword 'out'.*instead: take the result", re.DOTALL)):
        ad.grad(lambda x: np.sum(f(x, out=np.zeros(()))))(X)
    np.testing.assert_array_equal(
        ad.grad(lambda x: np.sum(f(x, out=None)))(X), ad.grad(lambda x: np.sum(f(x)))(X)
    )


@pytest.mark.parametrize("name", ["mean", "var", "std"])
def test_averages_in_integers_are_refused(name):
    with pytest.raises(DtypeError, match=f"{name}: dtype=int64"):
        ad.grad(lambda x: getattr(np, name)(x, dtype=np.int64))(X)


def test_ddof_and_correction_together_are_refused():
    with pytest.raises(ValueError, match="simultaneously"):
        ad.grad(lambda x: np.var(x, ddof=1, correction=1))(X)


def test_sum_in_integers_is_flat():
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x) + np.sum(x, dtype=int))(X), [1, 1, 1])


def test_linear_reductions_keep_no_array():
    for name in ("sum", "mean", "cumsum"):
        plan = OPERATIONS[name].plan((0,))
        assert not hasattr(plan.keep((X,))[0], "sum")
        assert not plan.result


def test_a_count_has_no_derivative_and_is_numpys():
    found = ad.grad(lambda x: np.sum(x) * np.count_nonzero(x > 1))(X)
    np.testing.assert_array_equal(found, [2, 2, 2])


@pytest.mark.parametrize("scale", [3e-200, 1e200])
@pytest.mark.parametrize("function", [np.linalg.norm, lambda x: np.linalg.norm(x, 3), np.std])
def test_slopes_where_the_squares_leave_the_range_of_the_numbers(function, scale):
    """A function of degree one has the same slope everywhere on a ray, whatever its value under- or overflows to."""
    x, t = np.array([3.0, 4.0, -1.0]), np.array([0.5, -1.0, 2.0])
    want = ad.grad(function)(x)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(ad.grad(function)(x * scale), want, rtol=1e-12)
        np.testing.assert_allclose(ad.jvp(function, (x * scale,), (t,))[1], want @ t, rtol=1e-12)
        hessian = ad.hessian(function)(x * scale) * scale
    np.testing.assert_allclose(hessian, ad.hessian(function)(x), atol=1e-12)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_both_modes_agree_where_half_precision_overflows():
    x = np.array([300, 400], np.float16)
    np.testing.assert_allclose(ad.grad(np.linalg.norm)(x), [0.6, 0.8], rtol=1e-3)
    np.testing.assert_allclose(ad.jvp(np.linalg.norm, (x,), (np.ones_like(x),))[1], 1.4, rtol=1e-3)


CHOSEN = np.array([True, True, True, False])


@pytest.mark.parametrize(
    "function", [lambda x: np.std(x[:3]), lambda x: np.std(x, where=CHOSEN), lambda x: np.nanstd(x, where=CHOSEN)]
)
def test_a_deviation_that_is_rounding_is_none(function):
    """The mean of three times 0.1 is not 0.1."""
    x = np.array([0.1, 0.1, 0.1, 3.0])
    assert function(x) > 0
    assert ad.vjp(function, x)[0] == function(x)
    assert not ad.grad(function)(x).any()
    assert not ad.hessian(function)(x).any()


@pytest.mark.parametrize("function", [lambda z: np.std(z, where=CHOSEN), lambda z: np.var(z, where=CHOSEN), np.nanvar])
def test_a_spread_is_a_scalar_of_numpy(function):
    z = np.array([1, 2j, 3.0, 4 + 1j])
    assert type(ad.vjp(function, z)[0]) is type(function(z)) is np.float64


@pytest.mark.parametrize(
    "function",
    [
        lambda x, t: np.sum(x, initial=t), lambda x, t: np.prod(x, initial=t),
        lambda x, t: np.pad(x, 1, constant_values=t), lambda x, t: np.logaddexp.reduce(x[:2, None] * t, axis=(0, 1)),
        lambda x, t: np.choose(0, [t]), lambda x, t: np.average(x, 0, [1, 2, 3], True)[1] + 0 * x[0],
        lambda x, t: np.average(x[:, None], 0, np.ones(3, int), True)[1],
    ],
)  # fmt: skip
def test_dtypes_and_scalars_are_those_of_numpy(function):
    x, t = np.array([1.0, 2.0, 4.0], np.float32), np.float64(0.5)
    want, got = function(x, t), ad.vjp(function, x, t)[0]
    assert type(got) is type(want)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_the_slope_of_a_start_that_is_converted():
    x = np.array([1.0, 2.0, 4.0], np.float32)
    assert ad.vjp(lambda x, t: np.prod(x, initial=t), x, 0.5)[1](np.float32(1))[1] == 8


@pytest.mark.parametrize(
    ("function", "x"),
    [(lambda x: np.average(x, weights=[1, -1]), np.ones(2)), (lambda x: np.average(x, 1), np.zeros((0, 4)))],
)
def test_averages_that_numpy_does_not_take(function, x):
    for call in (function, ad.grad(function)):
        with pytest.raises(ZeroDivisionError):
            call(x)
