"""`ad.debug()`: what it names, what it leaves alone, which rules it catches, and what it costs in calls."""

import asyncio
import contextlib
import gc
import inspect
import linecache
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import debugging
from autodiff.call import Call
from autodiff.errors import BatchError, NonFiniteError, RuleError
from autodiff.op import DEBUG
from autodiff.testing.probe import draw_like, pull, push
from tests.laws.registry import SHARP
from tests.trust.scale import times

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's own, which are the first hint
    pytest.mark.filterwarnings("ignore::autodiff.errors.DegenerateWarning"),
]

# -- programs that make a nan or an infinity ---------------------------------------------------------------------------
#
# Each returns a function of nothing that raises; the line with `# here` calls the operation that is to be named.

MAKERS = []


def made(operation, phase, kind, index=(), values=None, **more):
    """Enter a program: what is to be named, and the values of the arguments at that place."""

    def enter(program):
        wanted = dict(more, operation=operation, phase=phase, kind=kind, index=index)
        MAKERS.append(pytest.param(program, wanted, values, id=program.__name__))
        return program

    return enter


def line_of(program):
    lines, first = inspect.getsourcelines(program)
    (at,) = [i for i, line in enumerate(lines) if "# here" in line]
    return inspect.getsourcefile(program), first + at


@made("log", "forward", "-inf", (1,), [0.0])
def log_of_zero():
    def f(p):
        q = np.log(p)  # here
        return np.sum(p * q)

    ad.grad(f)(np.array([0.5, 0.0]))


@made("log", "forward", "nan", (0, 2), [-1.0])
def log_of_a_negative():
    def f(x):
        return np.mean(np.log(x))  # here

    ad.value_and_grad(f)(np.array([[1.0, 2.0, -1.0]]))


@made("sqrt", "forward", "nan", (2,), [-4.0])
def root_of_a_negative():
    def f(x):
        return np.sum(np.sqrt(x) * 2.0)  # here

    ad.grad(f)(np.array([1.0, 2.0, -4.0]))


@made("divide", "forward", "nan", (0,), [0.0, 0.0])
def zero_by_zero():
    def f(x, y):
        return np.sum(x / y)  # here

    ad.grad(f)(np.array([0.0, 2.0]), np.zeros(1))


@made("divide", "forward", "inf", (1, 0), [3.0, 0.0])
def division_by_zero_with_broadcasting():
    def f(x, y):
        return np.sum(x / y)  # here

    ad.grad(f)(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [0.0]]))


@made("power", "forward", "nan", (0,), [-2.0, 0.5])
def root_of_a_negative_by_power():
    def f(x):
        return np.sum(x**0.5)  # here

    ad.grad(f)(np.array([-2.0, 1.0]))


@made("power", "forward", "inf", (1,), [0.0, -1.0])
def zero_to_a_negative_power():
    def f(x):
        return np.sum(x**-1.0)  # here

    ad.grad(f)(np.array([2.0, 0.0]))


@made("exp", "forward", "inf", (), [1000.0])
def overflow():
    def f(x):
        y = np.exp(x * 10.0)  # here
        return y / (1.0 + y)

    ad.grad(f)(100.0)


@made("exp", "forward", "inf", (2,), [800.0])
def softmax_without_shift():
    def f(z):
        e = np.exp(z)  # here
        return (e / np.sum(e))[2]

    ad.grad(f)(np.array([1.0, 2.0, 800.0]))


@made("arccos", "forward", "nan", (1,), [1.0000000000000002])
def a_cosine_beyond_one():
    def f(x):
        return np.sum(np.arccos(x))  # here

    ad.grad(f)(np.array([0.0, np.nextafter(1.0, 2.0)]))


@made("multiply", "forward", "nan", (0,), [0.0, np.inf])
def zero_times_a_constant_infinity():
    wall = np.array([np.inf, 1.0])

    def f(x):
        return np.sum(x * wall)  # here

    ad.grad(f)(np.array([0.0, 1.0]))


@made("subtract", "forward", "nan", (1,), [-np.inf, -np.inf])
def a_row_that_is_masked_wholly():
    def f(x):
        s = np.where(np.array([True, False]), x, -np.inf)[1:]
        s = np.concatenate([x[:1], s])
        return np.sum(s - np.array([0.0, -np.inf]))  # here

    ad.grad(f)(np.array([1.0, 2.0]))


@made("multiply", "forward", "inf", (0,), [np.float16(300.0), np.float16(300.0)])
def overflow_of_a_half():
    def f(x):
        return np.sum(x * x)  # here

    ad.grad(f)(np.array([300.0, 2.0], np.float16))


@made("sum", "forward", "inf", ())
def a_sum_that_overflows():
    def f(x):
        return np.sum(x)  # here

    ad.grad(f)(np.full(3, 1e308))


@made("mean", "forward", "nan", ())
def mean_of_nothing():
    def f(x):
        return np.mean(x[x > 5.0])  # here

    ad.grad(f)(np.ones(3))


@made("var", "forward", "nan", ())
def variance_of_one_number_with_ddof():
    def f(x):
        return np.var(x, ddof=1)  # here

    ad.grad(f)(np.ones(1))


@made("matmul", "forward", "inf", (0,))
def a_product_of_matrices_that_overflows():
    def f(a, b):
        return np.sum(a @ b)  # here

    ad.grad(f)(np.full((2, 2), 1e200), np.array([1e200, 0.0]))


@made("power", "forward", "inf", (1,), [1e200, 2.0])
def a_length_that_overflows():
    def f(x):
        return np.sqrt(np.sum(x**2.0))  # here

    ad.grad(f)(np.array([1.0, 1e200]))


@made("sqrt", "reverse", "inf", (1,), [0.0], delta=1.0)
def slope_of_a_root_at_zero():
    def f(x):
        return np.sum(np.sqrt(x))  # here

    ad.grad(f)(np.array([4.0, 0.0]))


@made("sqrt", "reverse", "inf", (1,), [0.0], delta=0.5)
def a_distance_of_zero():
    def f(w, x):
        length = np.sqrt(np.sum((x - w) ** 2, axis=1))  # here
        return np.mean(length)

    ad.grad(f)(np.zeros(2), np.array([[3.0, 4.0], [0.0, 0.0]]))


@made("divide", "reverse", "-inf", (), [1.0, 1e-200])
def a_quotient_whose_slope_overflows():
    def f(x):
        return 1.0 / x  # here

    ad.grad(f)(1e-200)


@made("power", "reverse", "inf", (0,), [0.0, 0.5])
def slope_of_a_power_at_zero():
    def f(x):
        return np.sum(x**0.5)  # here

    ad.grad(f)(np.array([0.0, 1.0]))


@made("arcsin", "reverse", "inf", (1,), [1.0])
def slope_of_an_arc_at_its_end():
    def f(x):
        return np.sum(np.arcsin(x))  # here

    ad.grad(f)(np.array([0.0, 1.0]))


@made("exp", "forward", "inf", (), [800.0], reached="exp")
def an_overflow_that_the_value_does_not_show():
    def f(x):
        e = np.exp(x)  # here
        return 1.0 / (1.0 + e)

    ad.grad(f)(800.0)


@made("exp", "forward", "inf", (), [1000.0], reached="exp", delta=0.0)
def zero_times_an_infinite_slope():
    def f(x):
        y = np.exp(x)  # here
        return np.tanh(y)

    ad.grad(f)(1000.0)


@made("user_root", "reverse", "inf", (1,))
def a_rule_of_the_users():
    @ad.primitive
    def user_root(x):
        return np.sqrt(x)

    user_root.defvjp(lambda d, y, x: d / (2.0 * y))

    def f(x):
        return np.sum(user_root(x))  # here

    ad.grad(f)(np.array([1.0, 0.0]))


@made("user_log", "forward", "-inf", (0,))
def a_function_of_the_users():
    @ad.primitive
    def user_log(x):
        return np.log(x)

    user_log.defvjp(lambda d, y, x: d / x)

    def f(x):
        return np.sum(user_log(x))  # here

    ad.grad(f)(np.array([0.0, 1.0]))


@made("divide", "forward", "nan", (1,), [1 + 0j, 0j])
def one_part_of_a_complex_number():
    def f(z, w):
        q = z / w  # here
        return np.sum(np.imag(q))

    ad.grad(f)(np.array([1 + 1j, 1 + 0j]), np.array([1j, 0j]))


@made("log", "forward", "inf", (0,), [0j])
def the_logarithm_of_a_complex_zero():
    def f(z):
        return np.sum(np.abs(np.log(z)))  # here

    ad.grad(f)(np.array([0j, 1j]))


@made("eigh", "reverse", "nan", (0, 0))
def an_operation_with_several_results():
    def f(a):
        values, vectors = np.linalg.eigh(a)  # here
        return vectors[0, 0] + values[0]

    ad.grad(f)(np.eye(2))


@made("log", "forward", "-inf", (), [0.0], scope=("network", "block2"))
def in_a_scope():
    def f(x):
        with ad.scope("network"):
            for n in range(4):
                with ad.scope(f"block{n}"):
                    x = x * 1.0 if n != 2 else np.log(x - x) + x  # here
        return x

    ad.grad(f)(3.0)


@made("divide", "forward", "inf", (), [1.0, 0.0])
def in_a_step_of_a_loop():
    def f(x):
        total = 0.0
        for i in range(10):
            total = total + 1.0 / (x - i)  # here
        return total

    ad.grad(f)(7.0)


@made("sqrt", "reverse", "inf", (0,), [0.0])
def inside_a_checkpoint():
    def block(x):
        return np.sqrt(x) * 2.0  # here

    ad.grad(lambda x: np.sum(ad.checkpoint(block)(x)))(np.array([0.0, 1.0]))


@made("log", "forward", "-inf", (), [0.0], example=(2,))
def in_one_example_of_a_batch():
    def f(x):
        return np.log(x) * 3.0  # here

    ad.vmap(ad.grad(f))(np.array([1.0, 2.0, 0.0, 3.0]))


@made("sqrt", "reverse", "inf", (1,), [0.0], example=(1,))
def on_the_way_back_in_one_example():
    def f(x):
        return np.sum(np.sqrt(x))  # here

    ad.vmap(ad.grad(f))(np.array([[1.0, 2.0], [3.0, 0.0], [1.0, 4.0]]))


@made("log", "forward", "-inf", (2,), [0.0])
def in_a_batch_without_a_derivative():
    def f(x):
        return np.log(x) + 1.0  # here

    ad.vmap(f)(np.array([1.0, 2.0, 0.0, 3.0]))


@made("log", "forward", "-inf", (2,), [0.0])
def in_a_batch_that_is_differentiated():
    def f(x):
        return np.log(x) + 1.0  # here

    ad.grad(lambda x: np.sum(ad.vmap(f)(x)))(np.array([1.0, 2.0, 0.0, 3.0]))


@made("divide", "forward", "inf", (1,), [1.0, 0.0])
def in_a_compiled_function():
    @ad.jit
    def f(x):
        return np.sum(1.0 / x)  # here

    f(np.array([1.0, 0.0]))


@made("sqrt", "reverse", "inf", (1,), [0.0])
def in_a_compiled_gradient():
    def f(x):
        return np.sum(np.sqrt(x))  # here

    ad.jit(ad.grad(f))(np.array([1.0, 0.0]))


@made("sqrt", "reverse", "inf", (1,), [0.0])
def in_the_gradient_of_what_is_compiled():
    @ad.jit
    def f(x):
        return np.sum(np.sqrt(x))  # here

    ad.grad(f)(np.array([1.0, 0.0]))


@made("sqrt", "reverse", "inf", (), [0.5, 0.0], step="divide")
def in_an_inner_derivative():
    def f(x):
        return np.sqrt(x) * 1.0  # here

    ad.grad(ad.grad(f))(0.0)


@made("power", "reverse", "inf", (), [0.0, 0.5], step="power")
def in_the_second_derivative_alone():
    def f(x):
        return x**1.5  # here

    assert ad.grad(f)(0.0) == 0.0
    ad.grad(ad.grad(f))(0.0)


@made("power", "tangent", "inf", (1,), [0.0, 0.5])
def in_a_hessian_forward_over_reverse():
    def f(x):
        return np.sum(x**1.5)  # here

    ad.hvp(f, (np.array([1.0, 0.0]),), (np.array([1.0, 1.0]),))


@made("power", "reverse", "inf", (1,), [0.0, 0.5], step="power")
def in_a_hessian():
    def f(x):
        return np.sum(x**1.5)  # here

    ad.hessian(f)(np.array([1.0, 0.0]))


@made("sqrt", "tangent", "inf", (1,), [0.0])
def in_forward_mode():
    def f(x):
        return np.sqrt(x)  # here

    ad.jvp(f, (np.array([1.0, 0.0]),), (np.array([1.0, 1.0]),))


@made("sqrt", "reverse", "inf", (1,), [0.0])
def in_a_row_of_a_jacobian():
    def f(x):
        return np.sqrt(x) * 2.0  # here

    ad.jacobian(f, mode="reverse")(np.arange(2.0)[::-1].copy())


@made("sqrt", "tangent", "inf", (1,), [0.0])
def in_a_column_of_a_jacobian():
    def f(x):
        return np.sqrt(x) * 2.0  # here

    ad.jacobian(f, mode="forward")(np.arange(2.0)[::-1].copy())


@made("sqrt", "reverse", "inf", (3,), [0.0])
def in_a_jacobian_swept_at_once():
    def f(x):
        return np.sqrt(x) * 2.0  # here

    ad.jacobian(f, mode="reverse")(np.array([1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0]))


@made("log", "forward", "-inf", (0,), [0.0])
def element_by_element():
    def f(x):
        return np.log(x)  # here

    ad.elementwise_grad(f)(np.array([0.0, 1.0]))


@made("log", "forward", "-inf", (0,), [0.0])
def in_a_graph():
    def f(x):
        return np.log(x)  # here

    ad.trace(f)(np.array([0.0, 1.0]))


@made("sqrt", "reverse", "inf", (0,), [0.0])
def in_a_flow():
    def f(x):
        return np.sum(np.sqrt(x))  # here

    ad.flow(f)(np.array([0.0, 1.0]))


@made("sqrt", "reverse", "inf", (0,), [0.0])
def on_the_way_back_through_a_graph():
    def f(x):
        return np.sqrt(x) * 1.0  # here

    graph = ad.trace(f)(np.array([0.0, 1.0]))
    graph.backward(np.array([0.0, 1.0]))
    graph.backward(np.array([1.0, 1.0]))


@made("multiply", "sum", "inf")
def terms_whose_sum_overflows():
    def f(x):
        y = x * 1.0  # here
        return y * 1.5e308 + y * 1.5e308

    ad.grad(f)(1e-3)


@made("divide", "forward", "nan", (1,), [0.0, 0.0])
def from_the_branch_that_was_taken():
    def f(x):
        ratio = x / np.abs(x)  # here
        return np.sum(np.where(x >= 0, ratio, 1.0))

    ad.grad(f)(np.array([-1.0, 0.0]))


@made("power", "forward", "inf", (0,), [0.0, -2.0])
def though_another_is_masked():
    def f(x):
        masked = np.where(x > 0, np.log(x), 0.0)
        return np.sum(masked + x**-2.0)  # here

    ad.grad(f)(np.array([0.0, 1.0]))


@made("log", "forward", "-inf", (2,), [0.0])
def in_the_element_that_is_not_masked():
    def f(x):
        return np.sum(np.where(np.array([False, True, True]), np.log(x), 0.0))  # here

    ad.grad(f)(np.array([-1.0, 1.0, 0.0]))


@made("log", "forward", "nan", (1, 2), [-2.0])
def in_the_element_that_is_selected():
    def f(x):
        logs = np.log(x)  # here
        return np.sum(np.transpose(logs)[::-1][0])

    ad.grad(f)(np.array([[0.0, 1.0, 2.0], [0.0, 3.0, -2.0]]))


@made("log", "forward", "-inf", (1, 0), [0.0])
def in_what_is_stretched_later():
    def f(x, y):
        logs = np.log(x)  # here
        return np.sum((y + logs)[:, 1])

    ad.grad(f)(np.array([[1.0], [0.0]]), np.ones((2, 3)))


@made("divide", "forward", "inf", (1,), [1.0, 0.0])
def in_the_branch_that_was_taken_though_the_other_is_bad_there():
    def f(x):
        a = np.log(x)
        b = 1.0 / x  # here
        return np.sum(np.where(x >= 0.0, b, a))

    ad.grad(f)(np.array([1.0, 0.0]))


@made("log", "forward", "-inf", (), [0.0])
def the_first_of_two():
    def f(x):
        a = np.log(x)  # here
        return a + 1.0 / x

    ad.grad(f)(0.0)


@made("cbrt", "reverse", "inf", (), [0.0])
def the_first_of_two_on_the_way_back():
    def f(x):
        a = np.sqrt(x * 1.0)
        return a + np.cbrt(x * 2.0)  # here

    ad.grad(f)(0.0)


@made("sqrt", "reverse", "inf", (1, 0), [0.0])
def on_the_way_back_in_the_element_that_is_not_masked():
    def f(x):
        z = np.reshape(np.where(np.array([False, True]), x, 0.0), (2, 1))
        return np.sum(np.sqrt(z))  # here

    ad.grad(f)(np.zeros(2))


@made("sqrt", "reverse", "inf", (), [0.0], example=(1,))
def in_an_example_beside_one_that_overflows_harmlessly():
    def f(x):
        e = np.exp(x) - 1.0
        root = np.sqrt(e)  # here
        return np.where(x > 100.0, 0.0, root)

    ad.vmap(ad.grad(f))(np.array([800.0, 0.0]))


@made("sqrt", "reverse", "inf", (2,), [0.0])
def on_the_way_back_in_the_element_that_is_selected():
    def f(x):
        return np.sum(np.sqrt(x)[1:])  # here

    ad.grad(f)(np.array([0.0, 1.0, 0.0]))


@made("log", "forward", "nan", (0,), [-1.0])
def in_a_part_of_several():
    def f(x):
        parts = [np.log(part) for part in np.split(x, 2)]  # here
        return parts[1][0]

    ad.grad(lambda x: f(x * 1.0))(np.array([0.0, -1.0]))


@made("sqrt", "tangent", "inf", (), [0.5, 0.0], step="divide")
def in_an_inner_derivative_in_forward_mode():
    def f(x):
        return np.sqrt(x) * 1.0  # here

    ad.grad(lambda x: ad.jvp(f, (x,), (1.0,))[1])(0.0)


@made("inv", "forward", "inf", (0, 0))
def a_matrix_that_is_nearly_singular():
    def f(a):
        return np.sum(np.linalg.inv(a))  # here

    ad.grad(f)(np.array([[1e-310]]))


@pytest.mark.parametrize(("program", "wanted", "values"), MAKERS)
def test_the_first_operation_is_named(program, wanted, values, tried):
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        program()
    error = caught.value
    found = {key: getattr(error, key) for key in wanted if key not in ("scope", "reached")}
    assert {key: found[key] for key in found} == {key: wanted[key] for key in found}
    assert error.line == line_of(program)
    assert f"{error.line[0]}:{error.line[1]}" in str(error)
    assert error.kind in str(error).partition("\n")[0]
    assert error.operation in str(error).partition("\n")[0]
    if values is not None:
        assert list(error.values.values())[: len(values)] == values
    if "scope" in wanted:
        assert error.node.scope == wanted["scope"]
    if "reached" in wanted:
        assert f"reached: the gradient, through the reverse rule of {wanted['reached']}" in str(error)
    tried("programs that make a nan or an infinity, named with direction, line, index and values", 1)


# -- what was there already --------------------------------------------------------------------------------------------


def pulled_with_a_bad_seed():
    _, pullback = ad.vjp(lambda x: x * 2.0, np.ones(2))
    pullback(np.array([1.0, np.inf]))


@pytest.mark.parametrize(
    ("program", "phase", "index", "words"),
    [
        (lambda: ad.grad(lambda p: np.sum(p["w"] * p["b"]))({"w": np.array([1.0, np.nan]), "b": 2.0}),
         "argument", (1,), "argument p['w'] of <lambda> is nan already"),
        (lambda: ad.grad(lambda x: np.sum(x))(np.array([[1.0], [-np.inf]])),
         "argument", (1, 0), "argument x of <lambda> is -inf already"),
        (lambda: ad.jit(lambda a, *, b: np.sum(a * b))(np.ones(2), b=np.array([np.nan, 1.0])),
         "argument", (0,), "argument b of <lambda> is nan already"),
        (lambda: ad.vmap(lambda x: x * 2.0)(np.array([1.0, np.nan])),
         "argument", (1,), "argument x of <lambda> is nan already"),
        (lambda: ad.grad(lambda x: np.sum(x * np.array([1.0, np.nan])))(np.ones(2)),
         "constant", (1,), "multiply (node 1) was given nan by its argument 1, a constant"),
        (pulled_with_a_bad_seed, "seed", (1,), "the seed of node 1 (multiply) is inf already"),
        (lambda: ad.jvp(lambda x: x * 2.0, (np.ones(2),), (np.array([1.0, np.nan]),)),
         "seed", (1,), "the tangent of argument x of <lambda> is nan already"),
    ],
)  # fmt: skip
def test_what_was_not_finite_before_is_told_as_such(program, phase, index, words):
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        program()
    assert (caught.value.phase, caught.value.index) == (phase, index)
    assert str(caught.value).startswith(words)


# -- no false alarm ----------------------------------------------------------------------------------------------------

MASK, POINTS = np.array([True, False, True]), np.array([0.0, 1.0, -1.0])
GAPS = np.array([1.0, np.nan, 3.0])

HARMLESS = {
    "a mask of -inf before softmax": lambda: ad.grad(
        lambda x: ad.nn.softmax(np.where(MASK, x, -np.inf))[0])(np.ones(3)),
    "a mask of -inf before logsumexp": lambda: ad.grad(
        lambda x: ad.nn.logsumexp(np.where(MASK, x, -np.inf)))(np.ones(3)),
    "a mask of -inf before max": lambda: ad.grad(lambda x: np.max(np.where(MASK, x, -np.inf)))(np.ones(3)),
    "a mask of -inf that is added": lambda: ad.grad(
        lambda x: np.sum(np.exp(x + np.array([0.0, -np.inf, 0.0]))))(np.ones(3)),
    "a mask of -inf in the result": lambda: ad.vjp(lambda x: np.where(MASK, x, -np.inf), np.ones(3)),
    "the log of 0 in a branch that is not taken": lambda: ad.grad(
        lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)))(POINTS),
    "the root of 0 in a branch that is not taken": lambda: ad.grad(
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), x)))(POINTS),
    "0/0 in a branch that is not taken": lambda: ad.jvp(
        lambda x: np.where(x != 0, x / x, 1.0), (POINTS,), (np.ones(3),)),
    "an inner slope in a branch that is not taken": lambda: ad.elementwise_grad(
        lambda x: np.where(x > 0, ad.elementwise_grad(np.sqrt)(x), 0.0))(np.array([0.0, 4.0])),
    "infinite bounds": lambda: ad.grad(lambda x: np.clip(x, -np.inf, np.inf) + np.minimum(x, np.inf))(1.0),
    "gaps in data": lambda: ad.grad(lambda w: np.nanmean((w * np.where(np.isnan(GAPS), 0.0, GAPS) - GAPS) ** 2))(0.5),
    "the mean of an argument with gaps": lambda: ad.grad(np.nanmean)(GAPS),
    "the sum of an argument with gaps": lambda: ad.grad(lambda x: np.nansum(x * x))(GAPS),
    "nan_to_num": lambda: ad.grad(lambda x: np.sum(np.nan_to_num(np.log(x), neginf=0.0)))(np.array([0.0, 1.0])),
    "a nan that is looked at": lambda: ad.grad(
        lambda x: x * (1.0 if np.isnan(ad.stop_gradient(np.log(x - 5.0))) else 2.0))(3.0),
    "norm at 0": lambda: ad.grad(np.linalg.norm)(np.zeros(3)),
    "a seed that is 0 where the slope is infinite": lambda: ad.vjp(
        np.sqrt, np.array([0.0, 1.0]))[1](np.array([0.0, 1.0])),
    "tanh of what overflowed": lambda: ad.jit(lambda x: np.tanh(np.exp(x)))(np.full(1, 1000.0)),
    "integers that wrap around": lambda: ad.grad(lambda x: x * float(np.int8(127) + np.int8(1)))(2.0),
    "a batch": lambda: ad.vmap(ad.grad(lambda x: np.where(x > 0, np.log(x), 0.0)))(POINTS),
    "a graph": lambda: ad.flow(lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)))(POINTS),
    "a compiled function": lambda: ad.jit(lambda x: np.where(x > 0, np.log(x), 0.0))(POINTS),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_reaches_no_result_is_left_alone(name, tried):
    plain = HARMLESS[name]()
    with ad.debug():
        found = HARMLESS[name]()
    if isinstance(found, np.ndarray | np.generic):
        assert found.tobytes() == plain.tobytes()
    tried("programs with a nan or an infinity that reaches no result, left alone", 1)


def test_infinities_may_be_wanted():
    def f(x):
        return np.log(x) - np.log(x)

    with ad.debug(inf=False):
        assert ad.grad(lambda x: np.sum(np.sqrt(x)))(np.zeros(1)) == np.inf
        with pytest.raises(NonFiniteError) as caught:
            ad.grad(f)(0.0)
    assert (caught.value.operation, caught.value.kind) == ("subtract", "nan")
    with ad.debug(nan=False), pytest.raises(NonFiniteError) as caught:
        ad.grad(lambda x: np.sum(1.0 / x))(np.array([1.0, 0.0]))
    assert (caught.value.operation, caught.value.kind) == ("divide", "inf")
    with ad.debug(nan=False, inf=False) as session:  # rules alone are watched
        assert np.isnan(ad.grad(f)(0.0))
    assert session.checked == 4


# -- where it holds ----------------------------------------------------------------------------------------------------


def bad():
    return ad.grad(lambda x: np.sum(np.sqrt(x)))(np.zeros(1))


def test_it_ends_with_its_block_whatever_happens():
    with pytest.raises(ZeroDivisionError), ad.debug():
        raise ZeroDivisionError
    assert bad() == np.inf
    with ad.debug():
        with ad.debug(inf=False):
            assert bad() == np.inf
        with pytest.raises(NonFiniteError):
            bad()
    assert bad() == np.inf
    decorated = ad.debug()(bad)
    for _ in range(2):
        with pytest.raises(NonFiniteError):
            decorated()
    assert bad() == np.inf


def test_other_threads_do_not_see_it():
    found = []
    with ad.debug():
        thread = threading.Thread(target=lambda: found.append(bad()))
        thread.start()
        thread.join()
    assert found == [np.inf]


def test_threads_may_share_the_function_that_is_debugged():
    def f(x):
        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(lambda n: sum(np.tanh(x * float(n)) for _ in range(50)), range(8)))
        return np.sum(sum(parts))

    x = np.linspace(-1.0, 1.0, 5)
    with ad.debug() as session:
        found = ad.grad(f)(x)
    assert np.allclose(found, ad.grad(f)(x), rtol=1e-12)
    assert session.nodes == 1 + 8 * (50 * 3) + 8 + 1


def test_tasks_have_it_each_for_itself():
    async def inside(turn, other):
        with ad.debug():
            turn.set()
            await other.wait()
            with pytest.raises(NonFiniteError):
                bad()

    async def outside(turn, other):
        await turn.wait()
        assert bad() == np.inf
        other.set()

    async def both():
        turn, other = asyncio.Event(), asyncio.Event()
        await asyncio.gather(inside(turn, other), outside(turn, other))

    asyncio.run(both())


def test_a_pullback_belongs_to_where_it_was_made():
    with ad.debug():
        _, inside = ad.vjp(np.sqrt, np.zeros(1))
    _, outside = ad.vjp(np.sqrt, np.zeros(1))
    with pytest.raises(NonFiniteError) as caught:
        inside(np.ones(1))
    assert caught.value.operation == "sqrt"
    with ad.debug():
        assert outside(np.ones(1))[0] == np.inf


def recomputed():
    return ad.jit(ad.grad(ad.checkpoint(lambda x: np.sum(np.tanh(np.sin(x))))))


def test_a_program_that_was_compiled_before_is_left_out():
    f = ad.jit(lambda x: np.sum(np.log(x)))
    slope = ad.jit(ad.grad(lambda x: np.sum(np.sqrt(x))))
    assert f(np.zeros(1)) == -np.inf
    assert slope(np.zeros(1)) == np.inf
    programs = repr(f), repr(slope)
    with ad.debug():
        for compiled, name in ((f, "log"), (slope, "sqrt")):
            with pytest.raises(NonFiniteError) as caught:
                compiled(np.zeros(1))
            assert caught.value.operation == name
        inside = recomputed().lower(np.ones(2)).source  # compiling itself is left alone
    assert inside == recomputed().lower(np.ones(2)).source
    assert (repr(f), repr(slope)) == programs
    assert f(np.zeros(1)) == -np.inf


def test_compiled_functions_return_what_they_return_outside():
    def f(x, rate, *, how="sum"):
        x[0] = 5.0
        return {"y": getattr(np, how)(x) * rate, "n": 3, "none": None, "text": how, "index": np.argmax(x), "x": x}

    x = np.ones(3, np.float32)
    outside = ad.jit(f)(x, 0.5, how="max")
    with ad.debug():
        inside = ad.jit(f)(x, 0.5, how="max")
    assert inside.keys() == outside.keys()
    assert x[0] == 1.0
    for key, y in outside.items():
        assert type(inside[key]) is type(y)
        assert getattr(inside[key], "dtype", None) == getattr(y, "dtype", None)
        assert np.array_equal(inside[key], y) if y is not None else inside[key] is None


def test_what_transforms_return_is_what_they_return_outside():
    def f(x):
        rank = np.linalg.matrix_rank(np.outer(x, x))
        kept.append(rank)
        return x * float(rank), 3, np.array_equal(x, x), np.argmax(x), x > 1.0

    kept, x = [], np.array([1.0, 2.0])
    outside = ad.vjp(f, x)[0]
    with ad.debug():
        inside = ad.vjp(f, x)[0]
    assert [type(y) for y in inside] == [type(y) for y in outside]
    assert all(np.array_equal(a, b) for a, b in zip(inside, outside, strict=True))
    assert kept[0] == kept[1] == 1  # after the call


def test_a_batch_without_floating_arrays_is_as_outside():
    with ad.debug():
        assert ad.vmap(lambda n: n * 2)(np.arange(3)).tolist() == [0, 2, 4]
        assert ad.jit(lambda n: n * 2)(np.arange(3)).tolist() == [0, 2, 4]
        with pytest.raises(BatchError):
            ad.vmap(lambda: 1.0)()


def test_watch_raises():
    step = ad.watch(lambda w: np.sum(np.sqrt(w)), every=1)
    with ad.debug(), pytest.raises(NonFiniteError):
        step(np.zeros(2))


# -- exceptions in between ---------------------------------------------------------------------------------------------


def refuse(x):
    if not np.isfinite(ad.stop_gradient(x) * 1.0).all():
        raise ValueError("not finite")
    return x


@pytest.mark.parametrize("transform", [ad.grad, ad.jit, ad.trace, ad.elementwise_grad, ad.jacobian])
def test_an_exception_of_the_users_is_told_what_came_before(transform):
    def f(x):
        return refuse(np.log(x))

    with ad.debug(), pytest.raises(ValueError, match="not finite") as caught:
        transform(f)(np.float64(0.0))
    (note,) = caught.value.__notes__
    assert note.startswith("debug: before this, log made -inf in the forward run")
    assert "np.log(x)" in note


def test_an_exception_of_numpy_in_a_rule_is_told_as_well():
    @ad.primitive
    def solved(a):
        return np.linalg.inv(np.nan_to_num(a, nan=1.0) + np.eye(2))

    solved.defvjp(lambda d, y, a: np.linalg.inv(np.linalg.cholesky(a)) @ d)

    with ad.debug(), pytest.raises(np.linalg.LinAlgError) as caught:
        ad.grad(lambda a: np.sum(solved(np.log(a))))(np.array([[1.0, -1.0], [2.0, 1.0]]))
    notes = "\n".join(caught.value.__notes__)
    assert "of solved for argument 0" in notes
    assert "log made nan in the forward run" in notes


def test_exceptions_without_a_nan_are_as_they_are():
    def f(x):
        raise ValueError("mine")

    with ad.debug(), pytest.raises(ValueError, match="mine") as caught:
        ad.grad(f)(1.0)
    assert not hasattr(caught.value, "__notes__")


# -- the error ---------------------------------------------------------------------------------------------------------


def caught_in(f, *args):
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        ad.grad(f)(*args)
    return caught.value


def distance(w, x):
    with ad.scope("distance"):
        length = ad.name(np.sqrt(np.sum((x - w) ** 2, axis=1)), "length")
    return np.mean(length)


POINT, PLACES = np.zeros(2), np.array([[3.0, 4.0], [0.0, 0.0]])


def test_the_message_has_its_parts():
    error = caught_in(distance, POINT, PLACES)
    first, *rest = str(error).splitlines()
    assert first == (
        "the reverse rule of sqrt made inf: node 4 'length' in scope 'distance', at index (1,), 1 of 2 elements"
    )
    assert [line.split(":")[0].strip() for line in rest if ":" in line[:12]] == [
        "values", "near", "where", "why", "instead"
    ]  # fmt: skip
    assert "length = ad.name(np.sqrt" in rest[-3]
    assert error.picture in str(error)
    assert error.picture.count("▶") == 1
    assert isinstance(error, FloatingPointError)


def test_its_graph_and_flow_are_those_of_the_call():
    error = caught_in(distance, POINT, PLACES)
    assert error.node == error.graph.node("length")
    assert ad.check(error.graph) is error.graph
    assert np.array_equal(error.flow["length"], [0.5, 0.5])
    assert np.isinf(error.flow[error.node.inputs[0]]).tolist() == [False, True]
    assert error.delta == 0.5
    with ad.debug():  # in which the sweep that fills the flow does not raise again
        assert np.array_equal(caught_in(distance, POINT, PLACES).flow["length"], [0.5, 0.5])
    before = caught_in(lambda x: np.log(x), 0.0)
    assert before.flow is None
    assert before.graph.nodes[1].value == -np.inf
    with pytest.raises(AttributeError):
        NonFiniteError("bare").flow  # noqa: B018


@pytest.mark.parametrize("form", ["svg", "dot", "html", "txt"])
def test_the_neighbourhood_is_drawn(tmp_path, form):
    far = lambda w, x: distance(np.arctan(np.arctan(np.arctan(np.arctan(w)))), x)
    error = caught_in(far, POINT, PLACES)
    path = error.draw(tmp_path / f"nan.{form}")
    text = path.read_text(encoding="utf-8")
    assert "length" in text
    assert ("arctan" not in text or form in ("html", "txt"))
    if form == "svg":
        assert "Inf ×1 of 2" in text
        assert "length: the reverse rule of sqrt made inf, at index (1,)" in text


def test_of_a_large_neighbourhood_a_part_is_drawn(tmp_path):
    def f(x):
        y = np.log(x)
        return sum(y * float(i) for i in range(800))

    error = caught_in(f, 0.0)
    assert "… 797 more" in error.picture
    text = error.draw(tmp_path / "nan.svg").read_text(encoding="utf-8")
    assert "40 of 1602 boxes" in text.replace(",", "")


def test_a_notebook_shows_it():
    shown = caught_in(distance, POINT, PLACES)._repr_mimebundle_()
    assert shown["text/plain"].startswith("NonFiniteError: the reverse rule of sqrt")
    assert shown["image/svg+xml"].startswith("<svg")
    assert NonFiniteError("bare")._repr_mimebundle_() == {"text/plain": "NonFiniteError: bare"}


def test_of_a_batch_the_example_is_drawn(tmp_path):
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        ad.vmap(ad.grad(distance), in_axes=(0, None))(np.array([[1.0, 1.0], [0.0, 0.0]]), PLACES)
    error = caught.value
    assert error.example == (1,)
    assert error.index == (1,)
    assert "of example 1" in str(error)
    assert np.array_equal(error.graph.node("w").value, [0.0, 0.0])
    assert np.isinf(error.flow["length"]).sum() == 0
    error.draw(tmp_path / "nan.svg")


def test_of_a_jacobian_the_unit_vector_is_told():
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        ad.jacobian(lambda x: np.sqrt(x) * 1.0, mode="reverse")(np.array([1.0, 2.0, 3.0, 0.0, 5.0]))
    assert "for unit vector 3" in str(caught.value)
    assert caught.value.example == (3,)


def test_it_travels_between_processes_as_its_message():
    error = caught_in(distance, POINT, PLACES)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is NonFiniteError
    assert str(again) == str(error)


# -- rules that are watched --------------------------------------------------------------------------------------------


def back_to_the_base(x):
    while x.base is not None:
        x = x.base
    x.flags.writeable = True
    return x


def writes_d(d, y, x):
    d *= 2.0
    return d


def writes_y(d, y, x):
    y[0] = 1.0
    return d


def writes_x(d, y, x):
    np.multiply(x, 2.0, out=x)
    return d


def writes_the_base(d, y, x):
    back_to_the_base(x)[0] = 77.0
    return 2.0 * d


def fewer_digits(d, y, x):
    return (2.0 * d).astype(np.float32)


def part_of_it(d, y, x):
    return d[:1]


KEPT = []


def another_tensor(d, y, x):
    if not KEPT:
        ad.grad(lambda z: KEPT.append(z) or np.sum(z))(np.ones(3))
    return KEPT[0]


def doubled(rule=None, pushed=None, forward=lambda x: 2.0 * x):
    @ad.primitive
    def doubled(x):
        return forward(x)

    doubled.defvjp(rule or (lambda d, y, x: 2.0 * d))
    return doubled.defjvp(pushed) if pushed else doubled


REVERSE_MUTANTS = {
    writes_d: "its vjp for argument 0 wrote into an array that it was given",
    writes_y: "its vjp for argument 0 wrote into an array that it was given",
    writes_x: "its vjp for argument 0 wrote into an array that it was given",
    writes_the_base: "its vjp for argument 0 wrote into argument 0",
    fewer_digits: "its vjp for argument 0 returned float32",
    part_of_it: "its vjp for argument 0 returned shape (1,)",
    another_tensor: "its vjp for argument 0 returned a tensor of a function that has already returned",
}


@pytest.mark.parametrize("rule", REVERSE_MUTANTS)
def test_a_reverse_rule_that_breaks_its_word_is_named(rule, tried):
    operation = doubled(rule)
    line = inspect.currentframe().f_lineno + 1
    run = ad.grad(lambda x: np.sum(operation(x) * 3.0))
    with ad.debug(), pytest.raises(RuleError) as caught:
        run(np.arange(3.0))
    said = "\n".join((str(caught.value), *getattr(caught.value, "__notes__", ())))
    assert said.startswith(f"doubled: {REVERSE_MUTANTS[rule]}")
    assert f"{__file__}:{line}" in said
    if rule not in (part_of_it, another_tensor):  # which are refused outside as well
        assert f"written in {__file__}:{rule.__code__.co_firstlineno}" in said
    tried("rules of users that break their word, named", 1)


FORWARD_MUTANTS = {
    writes_d: "its jvp for argument 0 wrote into an array that it was given",
    writes_the_base: "its jvp for argument 0 wrote into argument 0",
    fewer_digits: "its jvp for argument 0 returned float32",
    part_of_it: "its jvp for argument 0 returned shape (1,)",
}


@pytest.mark.parametrize("rule", FORWARD_MUTANTS)
def test_a_forward_rule_that_breaks_its_word_is_named(rule, tried):
    operation = doubled(pushed=rule)
    with ad.debug(), pytest.raises(RuleError) as caught:
        ad.jvp(lambda x: operation(x) * 3.0, (np.arange(3.0),), (np.ones(3),))
    assert str(caught.value).startswith(f"doubled: {FORWARD_MUTANTS[rule]}")
    tried("rules of users that break their word, named", 1)


def clears(x):
    x[x < 2.0] = 0.0
    return x


def clears_the_base(x):
    back_to_the_base(x)[0] = 5.0
    return 2.0 * x


@pytest.mark.parametrize("function", [clears, clears_the_base])
def test_a_function_that_writes_into_its_argument_is_named(function):
    operation = doubled(forward=function)
    with ad.debug(), pytest.raises(RuleError, match="doubled: the function itself wrote into a"):
        ad.grad(lambda x: np.sum(operation(x * 1.0)))(np.arange(3.0))


def test_what_was_written_is_put_back():
    operation, x = doubled(writes_the_base), np.arange(3.0)
    with ad.debug():
        _, pullback = ad.vjp(operation, x)
    for _ in range(2):
        with pytest.raises(RuleError, match="wrote into argument 0"):
            pullback(np.ones(3))


def test_rules_need_not_be_watched():
    with ad.debug(rules=False) as session:
        assert np.array_equal(ad.grad(lambda x: np.sum(doubled(fewer_digits)(x)))(np.arange(3.0)), [2.0, 2.0, 2.0])
    assert session.checked == 0


def a_value(d, y, x):
    return x


def a_view_of_a_value(d, y, x):
    return y[::-1][::-1]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (writes_d, "wrote into an array"), (writes_y, "wrote into an array"), (writes_x, "wrote into an array"),
        (a_value, "returned memory of"), (a_view_of_a_value, "returned memory of"), (fewer_digits, "returned float32"),
    ],
)  # fmt: skip
def test_a_rule_of_the_packages_own_is_watched_alike(monkeypatch, rule, words):
    monkeypatch.setattr(ad.graph.OPERATIONS["tanh"], "vjps", (rule,))
    with ad.debug(), pytest.raises(RuleError, match=f"tanh: its vjp for argument 0 {words}"):
        ad.grad(lambda x: np.sum(np.tanh(x) * 2.0))(np.arange(3.0))


def test_a_joint_rule_is_watched_alike(monkeypatch):
    op = ad.graph.OPERATIONS["solve"]
    joint = op.joint

    def spoilt(d, y, a, b, **settings):
        found = joint(d, y, a, b, **settings)
        return (a, found[1])

    monkeypatch.setattr(op, "joint", spoilt)
    with ad.debug(), pytest.raises(RuleError, match="solve: its vjp for argument 0 returned memory of"):
        ad.grad(lambda a, b: np.sum(np.linalg.solve(a, b)))(2.0 * np.eye(2), np.ones(2))


def test_values_can_be_written_into_again_after_a_sweep():
    with ad.debug():
        y, pullback = ad.vjp(lambda x: np.reshape(np.tanh(x), (2, 2)) * 2.0, np.arange(4.0))
        (d,) = pullback(np.ones((2, 2)))
        _, gradient = ad.value_and_grad(lambda x: np.sum(x * x))(np.arange(4.0))
        x = np.arange(4.0)
        call = Call(lambda x: np.sum(np.tanh(x[1:]) * x[0]), None, (x,)).run(debugging.lean(), (x,), {})
        call.sweep([np.float64(1.0)])
    for x in (y, d, gradient, *(y for y in call.trace.results if isinstance(y, np.ndarray))):
        x += 1.0
    assert np.array_equal(pullback(np.ones((2, 2)))[0] + 1.0, d)


# -- every operation ---------------------------------------------------------------------------------------------------

DEGENERATE = {"qr", "svd"}
"""Full matrices of complex numbers, whose last columns no function may use."""


@pytest.mark.parametrize("part", range(4))
def test_no_rule_of_the_table_is_blamed_and_no_bit_changes(part, tried):
    count = 0
    for case in SHARP[part :: times(12, 4, 4)]:
        for dtype in (np.float64, np.float32, np.complex128)[: times(1, 3, 3)]:
            count += held(case.cast([dtype] * len(case.active), imaginary=0.2))
    tried("calls of rules of the package's own, watched, none blamed", count)


def held(case):
    if case.plain() is None:
        return 0
    rng = case.rng("debug")
    ws, vs = case.seeds(rng), tuple(draw_like(rng, x) for x in case.xs)
    with np.errstate(all="ignore"):
        np.random.seed(0)  # noqa: NPY002 SciPy's logm estimates norms by vectors that it draws from there
        wanted = *pull(case.f, case.xs, ws), *push(case.f, case.xs, vs)
        np.random.seed(0)  # noqa: NPY002
        with ad.debug() as session:
            if all(np.isfinite(d).all() for d in wanted):
                found = *pull(case.f, case.xs, ws), *push(case.f, case.xs, vs)
                assert [np.asarray(d).tobytes() for d in found] == [np.asarray(d).tobytes() for d in wanted], case.label
            else:
                assert case.op.name in DEGENERATE, case.label
                with pytest.raises(NonFiniteError, match=f"the reverse rule of {case.op.name} made nan"):
                    pull(case.f, case.xs, ws)
    return session.checked


def test_generators_leave_nothing_behind():
    def inside():
        with ad.debug():
            yield

    first, second = inside(), inside()
    next(first)
    next(second)
    next(first, None)
    next(second, None)
    assert DEBUG.get() is None


def test_a_view_of_a_checkpointed_function_is_refused_as_without():
    def f(x):
        v = ad.checkpoint(lambda t: t[1:])(x)
        x[1] = 5.0
        return np.sum(v)

    for around in (contextlib.nullcontext(), ad.debug()):
        with around, pytest.raises(ad.errors.ViewWriteError):
            ad.grad(f)(np.ones(3))


# -- programs that were made by chance ---------------------------------------------------------------------------------

NUMBERS = np.array([0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 800.0, -800.0, 1e-200, 1e200, 1e-320])
ONE = ("exp", "log", "sqrt", "tanh", "sin", "square", "negative", "cbrt", "reciprocal", "arcsin", "abs", "cumsum")
TWO = ("add", "subtract", "multiply", "divide", "maximum", "hypot", "logaddexp")


def by_chance(rng):
    """A function of three numbers in about eight steps, some of which nothing reads, and numbers to call it with."""
    steps = []
    for n in range(1, rng.integers(4, 12)):
        kind = rng.integers(5)
        a, b, c = rng.integers(max(0, n - 4), n, 3)
        steps.append((kind, ONE[rng.integers(len(ONE))], TWO[rng.integers(len(TWO))], a, b, c))

    def f(x):
        y = [x]
        for kind, one, two, a, b, c in steps:
            if kind < 2:
                y.append(getattr(np, one)(y[a]))
            elif kind < 4:
                y.append(getattr(np, two)(y[a], y[b]))
            else:
                y.append(np.where(y[a] > 0.5, y[b], y[c])[::-1])
        return np.sum(y[-1])

    return f, rng.choice(NUMBERS, 3)


@pytest.mark.parametrize("part", range(4))
def test_what_is_named_in_programs_made_by_chance_is_true(part, tried):
    count = times(60, 250, 5000)
    found = [judged_by_numpy(np.random.default_rng([part, seed])) for seed in range(count)]
    assert {"forward", "reverse", None} <= set(found)
    tried("programs made by chance: what is named makes it in NumPy's hands, and nothing is named without need", count)


@np.errstate(all="ignore")
def judged_by_numpy(rng):
    """Named where value or gradient are not finite, and nowhere else; by an operation whose arguments were finite."""
    f, x = by_chance(rng)
    wanted = ad.value_and_grad(f)(x)
    lost, error = not all(np.isfinite(y).all() for y in wanted), None
    try:
        with ad.debug():
            found = ad.value_and_grad(f)(x)
    except NonFiniteError as raised:
        error = raised
    if error is None:
        assert not lost
        assert all(a.tobytes() == b.tobytes() for a, b in zip(found, wanted, strict=True))
        return None
    assert lost, error
    if error.phase == "sum":
        assert not np.isfinite(error.delta).all(), error
        return "sum"
    *given, result = error.values.values()
    assert all(np.isfinite(y).all() for y in given), error
    if error.phase == "forward":
        again = np.asarray(getattr(np, error.operation)(*given))
        again = again[error.index] if again.shape else again  # where elements mix, the whole arrays were told
        assert not np.isfinite(again), error
        assert again == result or np.isnan(again), error
        assert np.isnan(again) == (error.kind == "nan"), error
    else:
        assert error.phase == "reverse", error
        assert np.isfinite(result).all(), error
        assert np.isfinite(error.delta).all(), error
    return error.phase


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_each_node_is_recorded_once_and_each_rule_watched_once():
    def chain(x, w):
        for _ in range(50):
            x = np.tanh(x) * w * 1.1 + 0.01
        return np.sum(x)

    x = np.linspace(-1.0, 1.0, 32)
    with ad.debug() as session:
        ad.grad(chain, (0, 1))(x, x)
    assert (session.nodes, session.sweeps, session.checked) == (2 + 4 * 50 + 1, 1, 5 * 50 + 1)
    assert repr(session) == "<debug: 203 nodes recorded, 1 sweeps, 251 calls of rules watched>"


def test_nothing_is_searched_while_numbers_are_finite(monkeypatch):
    monkeypatch.setattr(debugging.recorder, "in_forward", None)
    monkeypatch.setattr(debugging.recorder, "in_reverse", None)
    with ad.debug():
        ad.hessian(lambda x: np.sum(np.where(x > 0, np.log(x), 0.0) * x))(POINTS)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: ad.grad(f)(np.ones(3)),
        lambda f: ad.hessian(f)(np.ones(3)),
        lambda f: ad.hvp(f, (np.ones(3),), (np.ones(3),)),
        lambda f: ad.vmap(ad.grad(f))(np.ones((2, 3))),
        lambda f: ad.grad(lambda x: np.sum(ad.jit(ad.grad(f))(x)))(np.ones(3)),
    ],
)
def test_nothing_is_left_behind(call):
    alive = []

    def f(x):
        y = np.tanh(x) * 2.0
        alive.extend(map(weakref.ref, (y, y.recorder.graph)))
        return np.sum(y)

    gc.collect()
    gc.disable()
    try:
        with ad.debug():
            call(f)
            assert [ref() for ref in alive] == [None] * len(alive)
    finally:
        gc.enable()


def test_outside_nothing_of_it_runs(monkeypatch):
    monkeypatch.setattr(debugging.recorder.DebugTrace, "__init__", None)
    monkeypatch.setattr(debugging.rules, "watched_ops", None)
    assert bad() == np.inf
    ad.flow(lambda x: np.sum(x * x))(np.ones(2))


# -- what the page shows -----------------------------------------------------------------------------------------------


def test_the_message_on_the_page_is_the_one_that_comes(monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "nan.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].partition("```")[0]
    shown = page.split("```text\n")[1].partition("\n```")[0]
    monkeypatch.setitem(linecache.cache, "loss.py", (len(code), None, code.splitlines(keepends=True), "loss.py"))
    room = {}
    exec(compile(code, "loss.py", "exec"), room)
    with ad.debug(), pytest.raises(NonFiniteError) as caught:
        ad.grad(room["loss"])(room["w"], room["x"])
    assert str(caught.value) == shown
