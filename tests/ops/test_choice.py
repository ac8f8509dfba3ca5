"""Choices among arrays: select, piecewise, choose."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from tests.ops.as_numpy import check_as_numpy

SIGNS = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, False]])

FUNCTIONS = {
    "select": lambda x: np.select([x > 1, x > 0], [x * x, np.sin(x)], -x),
    "select with a number": lambda x: np.select([SIGNS, ~SIGNS], [x[0], 2.5]),
    "select, broadcast": lambda x: np.select([SIGNS, SIGNS[0]], [x[:1], x * x], default=x[:, 1:2]),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: v**2, np.sin]),
    "piecewise with otherwise": lambda x: np.piecewise(x, [x < 0, x > 1], [np.exp, 7.0, lambda v: -(v**3)]),
    "piecewise with arguments": lambda x: np.piecewise(x, [x < 0], [lambda v, n, k=1: v * n * k, np.multiply], 2.0),
    "piecewise, overlapping": lambda x: np.piecewise(x, [x < 1, x < 0], [lambda v: v**2, lambda v: v**3]),
    "choose": lambda x: np.choose([0, 2, 1, 0], [x, x * x, np.sin(x)]),
    "choose rows": lambda x: np.choose([0, 2, 1, 0], x),
    "choose, wrapped": lambda x: np.choose([[-1], [4], [3]], [x, 2.0, x[0]], mode="wrap"),
    "choose, clipped": lambda x: np.choose([[-1], [4], [3]], [x, x * x], mode="clip"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name, rng):
    check_as_numpy(FUNCTIONS[name], rng.standard_normal((3, 4)) + np.linspace(-2, 2, 4))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.select([x > 0], [np.log(x)], 0.0),
        lambda x: np.piecewise(x, [x > 0], [np.log, 0.0]),
        lambda x: np.choose(x > 0, [0.0, np.log(x)]),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_what_was_not_chosen_contributes_a_true_zero(f):
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(ad.elementwise_grad(f)(x), [0, 0, 0.5])
    np.testing.assert_array_equal(ad.hessian(lambda x: np.sum(f(x)))(x), np.diag([0, 0, -0.25]))


def test_the_first_condition_that_holds_has_the_last_word():
    found = ad.grad(lambda x: np.select([x > 0, x > -1], [2 * x, 3 * x], 5 * x))(1.0)
    assert found == 2


def test_piecewise_of_a_number():
    assert ad.grad(lambda x: np.piecewise(x, [x < 2, x >= 2], [lambda v: v * v, lambda v: -v]))(1.5) == 3


def test_refusals():
    x = np.ones(3)
    with pytest.raises(KeywordError, match="'out'"):
        ad.grad(lambda x: np.sum(np.choose([0, 0, 0], [x], out=np.zeros(3))))(x)
    with pytest.raises(ValueError, match="invalid entry"):
        ad.grad(lambda x: np.sum(np.choose([0, 1, 2], [x, x])))(x)
    with pytest.raises(ValueError, match="same length"):
        ad.grad(lambda x: np.sum(np.select([x > 0], [x, x])))(x)
    with pytest.raises(TypeError, match="boolean"):
        ad.grad(lambda x: np.sum(np.select([x], [x])))(x)
    with pytest.raises(ValueError, match="functions are expected"):
        ad.grad(lambda x: np.sum(np.piecewise(x, [x > 0], [x, x, x])))(x)


@pytest.mark.parametrize("branches", [(3, 0), (True, False), (np.array([1, 2, 3]), 0), (2.5, 1)], ids=str)
def test_no_derivative_passes_a_condition_of_numbers(branches):
    x = np.array([1.5, 0.0, np.nan])

    def f(x):
        return np.sum(np.where(x, *branches))

    for run in (ad.grad(f), ad.jit(ad.grad(f)), lambda x: ad.vmap(ad.grad(f))(x[None])[0]):
        np.testing.assert_array_equal(run(x), np.zeros(3))
    for run in (f, ad.jit(f), lambda x: ad.value_and_grad(f)(x)[0], lambda x: ad.jvp(f, (x,), (np.ones(3),))[0]):
        assert run(x) == f(x)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.where(x, 3, 0) * x))(x[:2]), [3.0, 0.0])
