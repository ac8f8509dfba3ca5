"""`ad.debug()`: what it names, what it leaves alone, which rules it catches, and what it costs in calls."""

import inspect
import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import NonFiniteError, RuleError

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's own, which are the first hint
    pytest.mark.filterwarnings("ignore::autodiff.errors.DegenerateWarning"),
]

# -- programs that make a nan or an infinity -----------------------------------------------------------------------------
#
# Each returns a function of nothing that raises; the line with `# here` calls the operation that is to be named.

MAKERS = []


def made(operation, phase, kind, index=(), values=None, **more):
    """Enter a program: what is to be named, and the values of the arguments at that place."""

    def enter(program):
        MAKERS.append(pytest.param(program, dict(more, operation=operation, phase=phase, kind=kind, index=index), values,
                                   id=program.__name__))  # fmt: skip
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
