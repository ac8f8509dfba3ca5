"""What users call: each transform on every kind of container, nested in each other, in threads, and after failures."""

from collections import OrderedDict, deque, namedtuple

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import (
    DtypeError,
    KeywordError,
    LostHistoryError,
    NoRuleError,
    NotScalarError,
    RuleError,
    SeedError,
)

Pair = namedtuple("Pair", "left right")
X = np.array([0.3, -1.2, 2.0])


def cube(x):
    return np.sum(x**3)


def close(found, expected, rtol=1e-13):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-15)


# -- grad and value_and_grad ---------------------------------------------------------------------------------------


def test_grad_of_a_python_float():
    found = ad.grad(lambda x: x**2)(3.0)
    assert found == 6.0
    assert type(found) is np.float64


def test_grad_of_an_array_has_its_shape_and_is_the_callers_own():
    found = ad.grad(cube)(X)
    close(found, 3 * X**2)
    found[:] = 0.0  # writable, and shared with nothing
    close(ad.grad(cube)(X), 3 * X**2)


def test_value_and_grad_gives_what_the_function_gives():
    value, gradient = ad.value_and_grad(cube)(X)
    assert value == cube(X)
    assert type(value) is np.float64
    close(gradient, 3 * X**2)


def test_value_and_grad_keeps_a_plain_result_as_it_is():
    assert ad.value_and_grad(lambda x: 5.0)(X)[0] == 5.0


def f3(a, b, c):
    return np.sum(a * b**2) + a[0] * c


@pytest.mark.parametrize(("argnums", "names"), [
    (0, "a"), (1, "b"), (2, "c"), (-1, "c"), (-3, "a"), ((0,), ["a"]), ((0, 2), "ac"), ((2, 0), "ca"), ([1], ["b"]),
    ((0, -1), "ac"), (range(3), "abc"), ((-2, 0), "ba"),
])  # fmt: skip
def test_argnums(argnums, names):
    a, b, c = X, X + 1, 0.5
    expected = {"a": b**2 + np.array([c, 0, 0]), "b": 2 * a * b, "c": a[0]}
    value, found = ad.value_and_grad(f3, argnums)(a, b, c)
    assert value == f3(a, b, c)
    if isinstance(argnums, int):
        close(found, expected[names])
    else:
        assert type(found) is tuple
        assert len(found) == len(names)
        for d, name in zip(found, names, strict=True):
            close(d, expected[name])


@pytest.mark.parametrize("argnums", [3, -4, (0, 3), "a", 1.5, (0, None), (0, 0), (2, -1)])
def test_argnums_that_do_not_exist(argnums):
    with pytest.raises(TypeError, match=r"argnums|int|argument"):
        ad.grad(f3, argnums)(X, X, 0.5)


def test_has_aux():
    gradient, aux = ad.grad(lambda x: (cube(x), {"y": x * 2, "n": 3, "s": "text"}), has_aux=True)(X)
    close(gradient, 3 * X**2)
    assert aux["n"] == 3
    assert aux["s"] == "text"
    assert type(aux["y"]) is np.ndarray
    (value, again), gradient = ad.value_and_grad(lambda x: (cube(x), x * 2), has_aux=True)(X)
    assert value == cube(X)
    assert type(again) is np.ndarray
    _, pullback, aux = ad.vjp(lambda x: (x * x, x.sum()), X, has_aux=True)
    assert aux == X.sum()
    close(pullback(np.ones(3))[0], 2 * X)


def test_has_aux_of_a_function_without_a_pair():
    for out in (lambda x: cube(x), lambda x: (cube(x),), lambda x: [cube(x), 1]):
        with pytest.raises(TypeError, match=r"has_aux=True, but <lambda> returned(.|\n)*return a pair"):
            ad.grad(out, has_aux=True)(X)


def test_keyword_arguments_pass_through():
    assert ad.grad(lambda x, *, power, scale=1.0: scale * x**power)(3.0, power=2, scale=10.0) == 60.0


def test_names_and_documentation_carry_over():
    transforms = (ad.grad, ad.value_and_grad, ad.jacobian, ad.hessian, ad.elementwise_grad, ad.trace, ad.checkpoint)
    for transform in transforms:
        assert transform(cube).__name__ == "cube"
        assert transform(cube).__wrapped__ is not None


@pytest.mark.parametrize("f", [np.sin, np.tanh, abs, float.__mul__])
def test_functions_that_are_not_python_functions(f):
    if f in (np.sin, np.tanh):
        close(ad.grad(f)(0.4), np.cos(0.4) if f is np.sin else 1 - np.tanh(0.4) ** 2)
    elif f is abs:
        assert ad.grad(f)(-2.0) == -1.0
    else:
        with pytest.raises(TypeError):
            ad.grad(f)(2.0, 3.0)


# -- containers ----------------------------------------------------------------------------------------------------

CONTAINERS = [
    {"w": X, "b": 0.5},
    [X, X + 1],
    (X, 0.5),
    Pair(X, {"deep": [X * 2, (0.25,)]}),
    {"layers": [{"w": X, "b": 1.0}, {"w": X + 1, "b": 2.0}], "scale": 0.5, "none": None},
    OrderedDict(z=X, a=0.5),
    deque([X, 0.5]),
    {1: X, 2: {}},
    [None, X, ()],
    [[[[X]]]],
]


def total(tree):
    """The sum of the cubes of all leaves; the leaves are found by hand."""
    if tree is None:
        return 0.0
    if isinstance(tree, dict):
        return sum((total(tree[key]) for key in tree), 0.0)
    if isinstance(tree, (list, tuple, deque)):
        return sum((total(part) for part in tree), 0.0)
    return np.sum(tree**3)


def slope_of_total(tree):
    if tree is None:
        return None
    if isinstance(tree, dict):
        return type(tree)((key, slope_of_total(part)) for key, part in tree.items())
    if isinstance(tree, Pair):
        return Pair(*(slope_of_total(part) for part in tree))
    if isinstance(tree, (list, tuple, deque)):
        return type(tree)(slope_of_total(part) for part in tree)
    return 3 * tree**2


def close_trees(found, expected):
    assert type(found) is type(expected) or not isinstance(expected, (dict, list, tuple, deque))
    if expected is None:
        assert found is None
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            close_trees(found[key], expected[key])
    elif isinstance(expected, (list, tuple, deque)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            close_trees(a, b)
    else:
        close(found, expected)


@pytest.mark.parametrize("tree", CONTAINERS, ids=str)
def test_a_gradient_has_the_containers_of_its_argument(tree):
    close_trees(ad.grad(total)(tree), slope_of_total(tree))
    (pulled,) = ad.vjp(total, tree)[1](1.0)
    close_trees(pulled, slope_of_total(tree))


@pytest.mark.parametrize("tree", CONTAINERS, ids=str)
def test_jvp_on_containers(tree):
    value, tangent = ad.jvp(total, (tree,), (slope_of_total(tree),))
    assert value == total(tree)
    squares = ad.jvp(total, (tree,), (tree,))[1]
    close(squares, 3 * total(tree))  # a function of degree three along its own argument
    assert tangent > 0


def test_results_in_containers():
    def f(x):
        return {"double": x * 2, "rest": (np.sum(x), [x[0] * x[1]], None)}

    y, pullback = ad.vjp(f, X)
    close_trees(y, f(X))
    zero = {"double": np.zeros(3), "rest": (0.0, [0.0], None)}
    close(pullback({**zero, "double": X})[0], 2 * X)
    close(pullback({**zero, "rest": (3.0, [0.0], None)})[0], [3, 3, 3])
    close(pullback({**zero, "rest": (0.0, [1.0], None)})[0], [X[1], X[0], 0])
    _, tangent = ad.jvp(f, (X,), (np.array([1.0, 0.0, 0.0]),))
    close_trees(tangent, {"double": np.array([2.0, 0, 0]), "rest": (1.0, [X[1]], None)})


@pytest.mark.parametrize("mode", ["reverse", "forward", "auto"])
def test_jacobian_of_containers_holds_containers_of_containers(mode):
    def f(p):
        return {"a": p["x"] * p["s"], "b": [np.sum(p["x"])]}

    found = ad.jacobian(f, mode=mode)({"x": X, "s": 2.0})
    close(found["a"]["x"], 2 * np.eye(3))
    close(found["a"]["s"], X)
    close(found["b"][0]["x"], np.ones(3))
    close(found["b"][0]["s"], 0.0)


@pytest.mark.parametrize("leaf", [
    "text", object(), {1, 2}, b"bytes", 3, True, np.arange(3), [1.0, 2],
], ids=lambda v: type(v).__name__)
def test_leaves_without_a_derivative_are_refused(leaf):
    with pytest.raises(DtypeError):
        ad.grad(lambda p: 1.0)({"x": X, "other": leaf})


# -- vjp -----------------------------------------------------------------------------------------------------------


def test_a_pullback_may_be_called_many_times_and_is_linear():
    _, pullback = ad.vjp(lambda x: np.sin(x) * x, X)
    u, v = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 3.0])
    first = pullback(u)[0]
    close(pullback(2 * u + v)[0], 2 * pullback(u)[0] + pullback(v)[0])
    np.testing.assert_array_equal(pullback(u)[0], first)


def test_a_pullback_shares_memory_with_nothing():
    seed = np.ones(3)
    y, pullback = ad.vjp(lambda x: x + 0.0, X)
    (d,) = pullback(seed)
    assert not np.shares_memory(d, seed)
    assert not np.shares_memory(d, X)
    d[:] = 5.0
    assert seed[0] == 1.0
    left, right = ad.vjp(np.add, X, X)[1](seed)
    assert not np.shares_memory(left, right)
    assert not np.shares_memory(y, d)


def test_two_results_that_are_the_same_tensor():
    def f(x):
        y = x * x
        return y, y

    (d,) = ad.vjp(f, X)[1]((np.ones(3), 2 * np.ones(3)))
    close(d, 6 * X)


def test_an_argument_returned_as_it_is():
    y, pullback = ad.vjp(lambda x: x, X)
    np.testing.assert_array_equal(y, X)
    np.testing.assert_array_equal(pullback(np.arange(3.0))[0], np.arange(3.0))
    assert ad.grad(lambda x: x)(3.0) == 1.0


# -- jvp, jacobian, hessian, hvp -----------------------------------------------------------------------------------


def g(x, y):
    return np.stack([x[0] * y, x[1] ** 2 * x[2], np.sin(y)])


def jacobian_of_g(x, y):
    at_x = np.array([[y, 0, 0], [0, 2 * x[1] * x[2], x[1] ** 2], [0, 0, 0]])
    return at_x, np.array([x[0], 0, np.cos(y)])


def test_jvp_is_the_jacobian_times_the_tangent():
    u, v = np.array([1.0, -2.0, 0.5]), 0.7
    value, tangent = ad.jvp(g, (X, 0.4), (u, v))
    np.testing.assert_array_equal(value, g(X, 0.4))
    at_x, at_y = jacobian_of_g(X, 0.4)
    close(tangent, at_x @ u + at_y * v)


@pytest.mark.parametrize("mode", ["reverse", "forward", "auto"])
def test_jacobian(mode):
    at_x, at_y = jacobian_of_g(X, 0.4)
    close(ad.jacobian(g, mode=mode)(X, 0.4), at_x)
    close(ad.jacobian(g, 1, mode)(X, 0.4), at_y)
    both = ad.jacobian(g, (0, -1), mode)(X, 0.4)
    assert type(both) is tuple
    close(both[0], at_x)
    close(both[1], at_y)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize(("shape", "out"), [
    ((), ()), ((2,), ()), ((), (3,)), ((2, 3), (4,)), ((0,), (2,)), ((2,), (0,)),
])  # fmt: skip
def test_jacobian_shapes(mode, shape, out, rng):
    weight = rng.standard_normal((*out, *shape))
    axes = tuple(range(len(out), weight.ndim))

    def f(x):
        return np.sum(weight * x, axis=axes) if axes else weight * x

    x = rng.standard_normal(shape)[()]
    found = ad.jacobian(f, mode=mode)(x)
    assert np.shape(found) == out + shape
    close(found, weight)


def test_auto_takes_the_fewer_sweeps(monkeypatch):
    from autodiff import transforms

    taken = []
    for name in ("_rows", "_columns"):
        original = getattr(transforms, name)
        monkeypatch.setattr(transforms, name, lambda call, o=original, name=name: taken.append(name) or o(call))
    ad.jacobian(lambda x: np.sum(x))(X)
    ad.jacobian(lambda x: x * X)(1.0)
    assert taken == ["_rows", "_columns"]


def test_jacobian_mode_must_be_one_of_three():
    with pytest.raises(ad.errors.SettingError, match=r"\"auto\", \"reverse\" or \"forward\""):
        ad.jacobian(g, mode="backward")


def quadratic(x):
    return 0.5 * x @ MATRIX @ x + np.sum(np.sin(x))


MATRIX = np.array([[2.0, 0.3, -1.0], [0.5, 1.0, 0.2], [0.0, -0.4, 3.0]])
HESSIAN = (MATRIX + MATRIX.T) / 2 - np.diag(np.sin(X))


def test_hessian():
    found = ad.hessian(quadratic)(X)
    close(found, HESSIAN)
    close(found, found.T)


def test_hessian_of_several_arguments_and_containers():
    ((aa, ab), (ba, bb)) = ad.hessian(lambda a, b: np.sum(a**2) * b**3, argnums=(0, 1))(X, 2.0)
    close(aa, 2 * 8 * np.eye(3))
    close(ab, 2 * X * 12)
    close(ba, ab)
    close(bb, np.sum(X**2) * 12)
    found = ad.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 3.0, "b": 5.0})
    assert found == {"a": {"a": 10.0, "b": 6.0}, "b": {"a": 6.0, "b": 0.0}}


def test_hvp_is_the_hessian_times_the_vector():
    v = np.array([1.0, 0.5, -2.0])
    gradient, product = ad.hvp(quadratic, (X,), (v,))
    close(gradient, ad.grad(quadratic)(X))
    close(product, HESSIAN @ v)
    gradients, products = ad.hvp(lambda a, b: a**2 * b, (3.0, 5.0), (1.0, 10.0))
    assert gradients == (30.0, 9.0)
    assert products == (2 * 5 * 1 + 2 * 3 * 10, 2 * 3 * 1)


def test_elementwise_grad():
    close(ad.elementwise_grad(np.sin)(X), np.cos(X))
    close(ad.elementwise_grad(ad.elementwise_grad(lambda x: x**3))(X), 6 * X)
    close(ad.elementwise_grad(lambda x, y: x * y, argnums=1)(X, X + 1), X)
    assert ad.elementwise_grad(np.exp)(0.0) == 1.0
    x = X.reshape(1, 3) * np.ones((2, 1))
    assert ad.elementwise_grad(np.tanh)(x).shape == (2, 3)


# -- stop_gradient and checkpoint ----------------------------------------------------------------------------------


def test_stop_gradient():
    assert ad.grad(lambda x: x * ad.stop_gradient(x))(3.0) == 3.0
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(ad.stop_gradient(x)))(X), np.zeros(3))
    found = ad.grad(lambda p: p["a"] * ad.stop_gradient(p)["b"])({"a": 2.0, "b": 5.0})
    assert found == {"a": 5.0, "b": 0.0}
    assert ad.jvp(lambda x: x * ad.stop_gradient(x), (3.0,), (1.0,)) == (9.0, 3.0)
    assert ad.grad(ad.grad(lambda x: x**2 * ad.stop_gradient(x)))(3.0) == 6.0


def test_stop_gradient_is_a_copy_outside_a_trace_as_well():
    """So that a write into x afterwards shows, or does not show, the same way traced and untraced."""
    stopped = ad.stop_gradient(X)
    assert stopped is not X
    np.testing.assert_array_equal(stopped, X)
    assert ad.stop_gradient("text") == "text"


def test_a_stopped_tensor_is_a_plain_number():
    seen = []

    def f(x):
        seen.append((float(ad.stop_gradient(x[0])), np.asarray(ad.stop_gradient(x)).tolist()))
        return np.sum(x)

    ad.grad(f)(X)
    assert seen == [(X[0], X.tolist())]


def block(x, w):
    return np.tanh(w * np.sin(x)) + x


def test_checkpoint_gives_the_same_bits():
    both = (block, ad.checkpoint(block))
    kept, again = (ad.value_and_grad(lambda x, w, f=f: np.sum(f(f(x, w), w)), (0, 1)) for f in both)
    for a, b in zip(kept(X, X + 1)[1], again(X, X + 1)[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert kept(X, X + 1)[0] == again(X, X + 1)[0]


def test_checkpoint_runs_the_function_once_more_in_the_reverse_sweep():
    runs = []

    @ad.checkpoint
    def counted(x):
        runs.append(1)
        return np.sin(x)

    _, pullback = ad.vjp(counted, X)
    assert len(runs) == 1
    pullback(np.ones(3))
    assert len(runs) == 2
    np.testing.assert_array_equal(counted(X), np.sin(X))


def test_checkpoint_of_a_function_that_writes_into_its_argument():
    def f(x):
        x[0] = x[0] * 5
        x += x.at[1].set(0.0)
        return np.sum(x * x)

    x = X.copy()
    for around in (lambda f: f, lambda f: lambda x: f(x * 1) + np.sum(np.sin(x))):
        expected = ad.grad(around(f))(x)
        np.testing.assert_array_equal(ad.grad(around(ad.checkpoint(f)))(x), expected)
        np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("f", [lambda q, w: w, lambda q, w: w.T, lambda q, w: (q * 2, w[1:])])
@pytest.mark.parametrize("which", [0, 1])
def test_a_write_through_what_checkpoint_hands_out_is_refused_as_through_any_other_view(f, which):
    def whole(x):
        y = np.exp(x)
        z = ad.checkpoint(f)(np.sin(x), y)
        z = z[1] if isinstance(z, tuple) else z
        (y, z)[which][...] = 0.0
        return np.sum(y) + np.sum(z)

    with pytest.raises(ad.errors.ViewWriteError, match="copy first"):
        ad.grad(whole)(np.ones((2, 2)))


def test_checkpoint_on_containers_and_beside_constants():
    @ad.checkpoint
    def f(p, count, *, power):
        y = p["x"] ** power * count
        return {"y": y, "n": [np.sum(y)], "flag": 1.0}

    def g(p):
        found = f(p, 3, power=2)
        return np.sum(found["y"]) + found["n"][0] + found["flag"]

    found = ad.grad(g)({"x": X, "unused": 1.0})
    close(found["x"], 12 * X)
    assert found["unused"] == 0.0


def test_checkpoint_in_higher_orders_and_forward_mode():
    f = ad.checkpoint(lambda x: np.sin(x) * x)
    second = 2 * np.cos(0.4) - 0.4 * np.sin(0.4)
    close(ad.grad(ad.grad(f))(0.4), second)
    close(ad.jvp(f, (0.4,), (1.0,))[1], np.sin(0.4) + 0.4 * np.cos(0.4))
    close(ad.jvp(ad.grad(f), (0.4,), (1.0,))[1], second)
    close(ad.grad(lambda x: ad.jvp(f, (x,), (1.0,))[1])(0.4), second)
    close(ad.grad(ad.checkpoint(ad.checkpoint(f)))(0.4), np.sin(0.4) + 0.4 * np.cos(0.4))


def test_checkpoint_refuses_a_tensor_from_the_closure():
    def f(x):
        return ad.checkpoint(lambda y: y * x)(x * 2)

    with pytest.raises(LostHistoryError, match="not among its arguments"):
        ad.grad(f)(3.0)


# -- complex -------------------------------------------------------------------------------------------------------


def test_complex_delta_is_dx_minus_i_dy():
    z = 1 + 2j
    close(ad.grad(lambda z: np.real(z * np.conj(z)))(z), 2 - 4j)
    close(ad.grad(lambda z: np.imag(z))(z), -1j)
    close(ad.grad(lambda z: np.real(z**2))(z), 2 * z)  # of a holomorphic function its real part's δ is f′


def test_complex_vjp_and_jvp_are_adjoint():
    z, t, seed = np.array([1 + 2j, -0.5j]), np.array([0.3 - 1j, 2.0 + 0.1j]), np.array([1 - 1j, 0.2j])
    _, pullback = ad.vjp(lambda z: np.exp(z) * z, z)
    _, tangent = ad.jvp(lambda z: np.exp(z) * z, (z,), (t,))
    close(np.real(np.sum(seed * tangent)), np.real(np.sum(pullback(seed)[0] * t)))


def test_complex_and_real_arguments_keep_their_kind():
    at_x, at_z = ad.grad(lambda x, z: np.real(np.sum(x * z)), argnums=(0, 1))(X, X * 1j)
    assert at_x.dtype == np.float64
    assert at_z.dtype == np.complex128
    close(at_x, 0 * X)
    close(at_z, X)


# -- transforms of transforms --------------------------------------------------------------------------------------


def test_grad_of_grad():
    f = lambda x: np.sin(x) * x**2
    order = f
    x = 0.7
    expected = [
        x * (2 * np.sin(x) + x * np.cos(x)),
        (2 - x**2) * np.sin(x) + 4 * x * np.cos(x),
        (6 - x**2) * np.cos(x) - 6 * x * np.sin(x),
        (x**2 - 12) * np.sin(x) - 8 * x * np.cos(x),
    ]
    for slope in expected:
        order = ad.grad(order)
        close(order(x), slope, rtol=1e-12)


SECOND = {
    "reverse over reverse": lambda f: ad.grad(ad.grad(f)),
    "forward over reverse": lambda f: lambda x: ad.jvp(ad.grad(f), (x,), (1.0,))[1],
    "reverse over forward": lambda f: ad.grad(lambda x: ad.jvp(f, (x,), (1.0,))[1]),
    "forward over forward": lambda f: lambda x: ad.jvp(lambda x: ad.jvp(f, (x,), (1.0,))[1], (x,), (1.0,))[1],
    "jacobian of jacobian": lambda f: ad.jacobian(ad.jacobian(f)),
    "forward jacobians": lambda f: ad.jacobian(ad.jacobian(f, mode="forward"), mode="forward"),
    "mixed jacobians": lambda f: ad.jacobian(ad.jacobian(f, mode="forward"), mode="reverse"),
    "hessian": lambda f: ad.hessian(f),
    "elementwise": lambda f: ad.elementwise_grad(ad.elementwise_grad(f)),
    "vjp of vjp": lambda f: lambda x: ad.vjp(lambda x: ad.vjp(f, x)[1](1.0)[0], x)[1](1.0)[0],
}


@pytest.mark.parametrize("name", SECOND)
def test_every_pair_of_modes_gives_the_same_second_derivative(name):
    f = lambda x: np.exp(np.sin(x)) * x / (1 + x * x)
    x = 0.6
    h = 1e-3
    first = ad.grad(f)
    near, far = ((first(x + k * h) - first(x - k * h)) / (2 * k * h) for k in (1, 2))
    close(SECOND[name](f)(x), (4 * near - far) / 3, rtol=1e-9)
    close(SECOND[name](f)(x), SECOND["reverse over reverse"](f)(x), rtol=1e-12)


def test_jacobian_of_jacobian_of_a_vector_function():
    found = ad.jacobian(ad.jacobian(lambda x: x[0] * x * x))(X)
    expected = np.zeros((3, 3, 3))
    for i in range(3):
        expected[i, i, i] += 2 * X[0]
        expected[i, 0, i] += 2 * X[i]
        expected[i, i, 0] += 2 * X[i]
    close(found, expected)


def test_a_gradient_inside_a_gradient_does_not_confuse_the_two():
    """The classical trap: d/dx (x · d/dy (x + y)) is 1, not 2."""
    assert ad.grad(lambda x: x * ad.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert ad.jvp(lambda x: x * ad.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert ad.grad(lambda x: x * ad.jvp(lambda y: x + y, (1.0,), (1.0,))[1])(1.0) == 1.0
    assert ad.jvp(lambda x: x * ad.grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1] == 1.0


def test_the_inner_function_is_differentiated_at_the_outer_variable():
    assert ad.grad(lambda x: ad.grad(lambda y: x * y**2)(x))(3.0) == 12.0  # 2x² → 4x
    assert ad.grad(lambda x: x * ad.grad(lambda y: x * y * y)(2.0))(3.0) == 24.0  # 4x² → 8x
    assert ad.grad(lambda x: ad.grad(lambda y: y**3)(x) * ad.grad(lambda y: x * y)(x))(2.0) == 36.0  # 3x³ → 9x²


def test_three_levels_share_the_variables_of_all():
    def f(x):
        def g(y):
            return ad.grad(lambda z: x * y**2 * z**3)(y) * x

        return ad.grad(g)(x)

    assert ad.grad(f)(1.0) == 12 * 5  # 3x²y⁴ at y: 12x²y³ at y = x: 12x⁵


def test_a_captured_tensor_keeps_its_own_trace():
    def f(x):
        def inner(y):
            captured = x * y
            return captured * ad.stop_gradient(captured)

        return ad.grad(inner)(2.0)

    # inner′(y) = x · (xy) with the second factor a constant of y, and of x as well: x·stop(x·2)
    assert ad.grad(f)(3.0) == 6.0


def test_a_closure_over_a_gradient_inside_a_loop():
    def f(x):
        total = 0.0
        for k in range(3):
            total = total + ad.grad(lambda y, k=k: x ** (k + 1) * y**2)(1.0)
        return total

    assert ad.grad(f)(2.0) == 2 * (1 + 2 * 2 + 3 * 4)


def test_newton_inside_a_gradient():
    def root(a):
        y = 1.0
        for _ in range(8):
            h = lambda y: y * y - a
            y = y - h(y) / ad.grad(h)(y)
        return y

    close(ad.grad(root)(2.0), 0.5 / np.sqrt(2.0), rtol=1e-12)


def test_a_constant_inner_result_and_an_unused_variable():
    assert ad.grad(lambda x: ad.grad(lambda y: 3.0 * y)(x))(2.0) == 0.0
    assert ad.grad(lambda x: ad.grad(lambda y: x)(2.0) + x)(2.0) == 1.0


# -- results that do not depend on the argument --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
@pytest.mark.parametrize("f", [
    lambda x: 1.0, lambda x: np.float64(2.0), lambda x: 3, lambda x: np.array(1.0),
    lambda x: np.sum(ad.stop_gradient(np.real(x))) * 0 + 1.0, lambda x: np.sum(x != 0),
])  # fmt: skip
def test_an_independent_result_gives_zeros_of_the_right_shape_and_dtype(f, dtype):
    for shape in ((), (3,), (2, 0), (2, 3)):
        x = np.ones(shape, dtype)[()]
        found = ad.grad(f)(x)
        assert found.dtype == dtype
        assert found.shape == shape
        assert not np.any(found)
        (pulled,) = ad.vjp(f, x)[1](1.0)
        assert (pulled.dtype, pulled.shape) == (dtype, shape)
        assert ad.jvp(f, (x,), (x,))[1] == 0.0
    assert np.shape(ad.jacobian(f)(np.ones(3, dtype))) == (3,)


def test_only_flat_operations_between_argument_and_result():
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.floor(x)))(X), np.zeros(3))
    assert ad.jvp(lambda x: np.sum(np.floor(x)), (X,), (X,)) == (np.sum(np.floor(X)), 0.0)
    np.testing.assert_array_equal(ad.hessian(lambda x: np.sum(x))(X), np.zeros((3, 3)))


def test_an_unused_argument_gets_zeros():
    left, right = ad.grad(lambda a, b: np.sum(a), argnums=(0, 1))(X, np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(left, np.ones(3))
    assert right.dtype == np.float32
    np.testing.assert_array_equal(right, np.zeros((2, 2)))


def test_flow_says_no_path():
    flow = ad.flow(lambda a, b: a * 2.0)(1.0, 3.0)
    assert flow["b"] == 0.0
    assert flow.delta[flow.graph.node("b").index] is None
    assert "no path" in str(flow)


# -- dtypes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128,
                                   np.clongdouble])  # fmt: skip
def test_the_dtype_of_the_argument_is_kept(dtype):
    x = np.array([0.5, -0.25, 1.5], dtype)

    def f(x):
        y = np.sin(x) * 2.5 + x @ x / 3 - x[1:].sum() * x**2
        return np.sum(np.where(np.real(x) > 0, y, -y))

    scalar = (lambda x: np.real(f(x))) if np.iscomplexobj(x) else f
    found = ad.grad(scalar)(x)
    assert found.dtype == dtype
    assert ad.jvp(f, (x,), (x,))[1].dtype == f(x).dtype
    assert ad.vjp(f, x)[1](f(x))[0].dtype == dtype
    assert ad.jacobian(lambda x: x * x)(x).dtype == dtype
    assert ad.hvp(scalar, (x,), (x,))[1].dtype == dtype
    exact = ad.grad(scalar)(x.astype(np.clongdouble if np.iscomplexobj(x) else np.longdouble))
    close(found, exact, rtol=200 * np.finfo(dtype).eps)


def test_mixed_precision_gives_each_argument_its_own():
    dtypes = (np.float16, np.float32, np.float64, np.complex64)
    args = [np.ones(3, dtype) for dtype in dtypes]
    found = ad.grad(lambda a, b, c, d: np.real(np.sum(a * b * c * d)), argnums=range(4))(*args)
    assert [d.dtype for d in found] == list(map(np.dtype, dtypes))


def test_layouts_and_byte_orders():
    x = np.arange(12.0).reshape(3, 4)
    expected = 3 * x**2
    for version in (x, np.asfortranarray(x), x[::-1, ::-1][::-1, ::-1], np.broadcast_to(x, (3, 4)), x.astype(">f8")):
        found = ad.grad(cube)(version)
        np.testing.assert_array_equal(found, expected)
        assert found.flags.writeable


# -- failures leave nothing behind ---------------------------------------------------------------------------------


class Stop(Exception):
    pass


def program(x):
    y = np.sin(x) * x
    z = ad.grad(lambda t: np.sum(t**2 * x))(y)
    return np.sum(z * x)


def bits():
    """What a fresh call gives, through several transforms, as bytes."""
    parts = [
        ad.grad(program)(X), ad.jvp(program, (X,), (X,))[1], ad.hessian(cube)(X), ad.jacobian(lambda x: x * x[0])(X),
        ad.vjp(lambda x: x * x, X)[1](X)[0],
    ]  # fmt: skip
    return [np.asarray(part).tobytes() for part in parts]


def failing_function(x):
    with ad.scope("open"):
        y = np.sin(x)
        y[0] = 3.0
        raise Stop


def failing_inner(x):
    return np.sum(ad.grad(lambda y: failing_function(y * x))(x))


@ad.primitive
def bad(x):
    return x * 2


@bad.defvjp
def _bad_rule(d, y, x):
    raise Stop


@ad.primitive
def bad_forward(x):
    raise Stop


bad_forward.defvjp(lambda d, y, x: d)


@pytest.mark.parametrize("transform", [
    lambda f: ad.grad(f)(X), lambda f: ad.vjp(f, X)[1](np.float64(1.0)), lambda f: ad.jvp(f, (X,), (X,)),
    lambda f: ad.jacobian(f)(X), lambda f: ad.hessian(f)(X), lambda f: ad.hvp(f, (X,), (X,)), lambda f: ad.flow(f)(X),
    lambda f: ad.grad(ad.checkpoint(f))(X), lambda f: ad.trace(f)(X).backward(),
])  # fmt: skip
@pytest.mark.parametrize("f", [
    failing_function, failing_inner, lambda x: np.sum(bad(x) * x), lambda x: np.sum(bad_forward(x)),
])  # fmt: skip
def test_an_exception_leaves_nothing_behind(transform, f):
    before = bits()
    for _ in range(3):
        with pytest.raises(Stop):
            transform(f)
    assert bits() == before
    assert ad.trace(lambda x: x * x)(2.0).nodes[1].scope == ()


def test_an_exception_caught_inside_the_function_leaves_its_trace_working():
    def f(x):
        y = x * x
        with pytest.raises(Stop):
            ad.grad(failing_function)(X)
        with pytest.raises(ValueError, match="shapes"):
            y + np.ones(7)
        return np.sum(y)

    np.testing.assert_array_equal(ad.grad(f)(X), 2 * X)


def test_a_failing_pullback_may_be_called_again():
    fail = [True]

    @ad.primitive
    def moody(x):
        return x * 1.0

    @moody.defvjp
    def rule(d, y, x):
        if fail[0]:
            raise Stop
        return d * 5

    _, pullback = ad.vjp(lambda x: moody(x) * x, X)
    with pytest.raises(Stop):
        pullback(np.ones(3))
    fail[0] = False
    close(pullback(np.ones(3))[0], 6 * X)


def test_keyboard_interrupts_as_well():
    before = bits()

    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ad.grad(lambda x: ad.grad(f)(x) * x)(3.0)
    assert bits() == before


# -- users' own operations -----------------------------------------------------------------------------------------


@ad.primitive
def softplus(x):
    return np.logaddexp(x, 0)


softplus.defvjp(lambda d, y, x: d * (1 - np.exp(-y)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_primitive_is_one_node():
    graph = ad.trace(lambda x: np.sum(softplus(x)))(X)
    assert [node.op.name for node in graph.nodes] == ["input", "softplus", "sum"]
    assert softplus(X).tolist() == np.logaddexp(X, 0).tolist()
    assert repr(softplus) == "<primitive softplus>"


def test_a_primitive_in_every_mode():
    s = sigmoid(X)
    close(ad.grad(lambda x: np.sum(softplus(x)))(X), s)
    close(ad.jvp(softplus, (X,), (X,))[1], s * X)  # transposed from the reverse rule
    close(ad.hessian(lambda x: np.sum(softplus(x)))(X), np.diag(s * (1 - s)))
    close(ad.jvp(lambda x: ad.jvp(softplus, (x,), (np.ones(3),))[1], (X,), (np.ones(3),))[1], s * (1 - s))
    close(ad.grad(lambda x: np.sum(ad.jvp(softplus, (x,), (np.ones(3),))[1]))(X), s * (1 - s))


def test_defvjp_as_a_decorator_gives_the_primitive_back():
    assert ad.primitive(lambda x: x).defvjp(lambda d, y, x: d).__class__ is type(softplus)


def test_a_declared_jvp_is_used_in_forward_mode_alone():
    used = []

    @ad.primitive
    def double(x):
        return x * 2

    double.defvjp(lambda d, y, x: used.append("vjp") or d * 2)
    double.defjvp(lambda t, y, x: used.append("jvp") or t * 2)
    assert ad.jvp(double, (3.0,), (1.0,)) == (6.0, 2.0)
    assert used == ["jvp"]
    assert ad.grad(double)(3.0) == 2.0
    assert used == ["jvp", "vjp"]


def test_several_arguments_and_settings():
    @ad.primitive
    def mix(a, b, *, weight=0.5):
        return weight * a * b

    mix.defvjp(lambda d, y, a, b, *, weight=0.5: d * weight * b, lambda d, y, a, b, *, weight=0.5: d * weight * a)
    assert ad.grad(mix, (0, 1))(2.0, 3.0) == (1.5, 1.0)
    assert ad.grad(lambda a: mix(a, 3.0, weight=2.0))(2.0) == 6.0
    assert ad.grad(lambda b: mix(2.0, b=b))(3.0) == 1.0
    assert ad.grad(lambda a: mix(a, a))(2.0) == 2.0
    with pytest.raises((KeywordError, TypeError), match="nonsense"):
        ad.grad(lambda a: mix(a, 3.0, nonsense=1))(2.0)


def test_an_argument_without_a_derivative():
    @ad.primitive
    def pick(x, i):
        return x[int(i)]

    pick.defvjp(lambda d, y, x, i: np.zeros(x.shape) + d * (np.arange(len(x)) == i), None)
    np.testing.assert_array_equal(ad.grad(lambda x: pick(x, 1))(X), [0, 1, 0])
    with pytest.raises(NoRuleError, match=r"pick has no derivative rule for its argument 1"):
        ad.grad(lambda x, i: pick(x, i), argnums=1)(X, 1.0)


def test_a_primitive_without_rules_is_refused_at_the_call():
    reached = []

    @ad.primitive
    def bare(x):
        return x

    def f(x):
        y = bare(x)
        reached.append(1)
        return y

    with pytest.raises(NoRuleError, match=r"bare has no derivative rule for its argument 0(.|\n)*bare.defvjp"):
        ad.grad(f)(2.0)
    assert not reached
    assert bare(2.0) == 2.0


def test_several_results():
    @ad.primitive(results=True)
    def polar(x, y):
        return np.hypot(x, y), np.arctan2(y, x)

    def at_x(d, out, x, y):
        r = out[0]
        return (0 if d[0] is None else d[0] * x / r) - (0 if d[1] is None else d[1] * y / r**2)

    def at_y(d, out, x, y):
        r = out[0]
        return (0 if d[0] is None else d[0] * y / r) + (0 if d[1] is None else d[1] * x / r**2)

    polar.defvjp(at_x, at_y)
    close(ad.grad(lambda x, y: polar(x, y)[0], (0, 1))(3.0, 4.0), (0.6, 0.8))
    close(ad.grad(lambda x, y: polar(x, y)[1], (0, 1))(3.0, 4.0), (-4 / 25, 3 / 25))
    close(ad.grad(lambda x, y: np.multiply(*polar(x, y)), (0, 1))(3.0, 4.0),
          (0.6 * np.arctan2(4, 3) - 0.8, 0.8 * np.arctan2(4, 3) + 0.6))  # fmt: skip
    close(ad.jvp(lambda x, y: polar(x, y)[0], (3.0, 4.0), (1.0, 0.0))[1], 0.6)
    close(ad.jvp(lambda x, y: polar(x, y)[1], (3.0, 4.0), (0.0, 1.0))[1], 3 / 25)


WRONG = {
    "shape": lambda d, y, x: np.ones(7),
    "more axes": lambda d, y, x: np.ones((2, 3)),
    "scalar": lambda d, y, x: np.float64(1.0),
    "float": lambda d, y, x: 1.0,
    "integers": lambda d, y, x: np.ones(3, int),
    "booleans": lambda d, y, x: x > 0,
    "strings": lambda d, y, x: np.array(["a", "b", "c"]),
    "objects": lambda d, y, x: np.array([1.0, 2.0, 3.0], object),
    "list": lambda d, y, x: [1.0, 2.0, 3.0],
    "tuple": lambda d, y, x: (d, d),
    "None": lambda d, y, x: None,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_rule_that_returns_something_else_is_named_with_its_argument(wrong):
    @ad.primitive
    def crooked(scale, x):
        return x * scale

    crooked.defvjp(lambda d, y, scale, x: np.sum(d * x), lambda d, y, scale, x: WRONG[wrong](d, y, x))
    with pytest.raises(RuleError, match=r"crooked: its vjp for argument 1 returned(.|\n)*instead:"):
        ad.grad(lambda x: np.sum(crooked(2.0, x)))(X)
    assert ad.grad(lambda s: np.sum(crooked(s, X)))(2.0) == pytest.approx(np.sum(X))


def test_the_message_says_what_was_expected():
    @ad.primitive
    def crooked(x):
        return x * 2

    crooked.defvjp(lambda d, y, x: np.ones(7))
    with pytest.raises(RuleError, match=r"shape \(7,\)(.|\n)*float64\[3\]"):
        ad.grad(lambda x: np.sum(crooked(x)))(X)


def test_a_wrong_count_of_rules():
    @ad.primitive
    def two(a, b):
        return a * b

    for rules in ((), (lambda d, y, a, b: d,), (lambda d, y, a, b: d,) * 3):
        with pytest.raises(RuleError, match=rf"two.defvjp was given {len(rules)} rules(.|\n)*2 array arguments"):
            two.defvjp(*rules)
    with pytest.raises(RuleError, match=r"two.defjvp was given 1 rules"):
        two.defjvp(lambda t, y, a, b: t)


def test_rules_must_declare_the_settings():
    @ad.primitive
    def scaled(x, *, by=1.0):
        return x * by

    with pytest.raises(RuleError, match=r"declares the settings \[\](.|\n)*\['by'\]"):
        scaled.defvjp(lambda d, y, x: d)
    scaled.defvjp(lambda d, y, x, **settings: d * settings["by"])
    assert ad.grad(lambda x: scaled(x, by=3.0))(1.0) == 3.0


def test_a_primitive_with_star_arguments_is_refused():
    with pytest.raises(TypeError, match=r"\*args or \*\*kwargs"):
        ad.primitive(lambda *xs: xs[0])


def test_a_float32_rule_in_float64_is_brought_back():
    @ad.primitive
    def half(x):
        return x * np.float32(0.5)

    half.defvjp(lambda d, y, x: np.asarray(d, np.float64) * 0.5)
    assert ad.grad(lambda x: np.sum(half(x)))(X.astype(np.float32)).dtype == np.float32


def test_a_primitive_sees_plain_arrays_in_nested_traces():
    seen = set()

    @ad.primitive
    def spy(x):
        seen.add(type(x))
        return x * x

    spy.defvjp(lambda d, y, x: 2 * d * x)
    assert ad.grad(ad.grad(spy))(3.0) == 2.0
    assert seen == {np.float64}


# -- seeds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [
    1.0, np.ones(2), np.ones((3, 1)), np.ones((1, 3)), np.ones(()), None, np.ones(3) * 1j, np.ones(3, np.longdouble),
    [1.0, 2.0], "abc", np.array(["a", "b", "c"]), (np.ones(3),), {"y": np.ones(3)},
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_a_seed_that_does_not_fit_is_refused(seed):
    _, pullback = ad.vjp(lambda x: x * 2, X)
    with pytest.raises(SeedError):
        pullback(seed)
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [2, 2, 2])


@pytest.mark.parametrize("seed", [np.ones(3), np.ones(3, np.float32), np.ones(3, int), [1.0, 1.0, 1.0], [1, 1, 1],
                                  np.ones(3, bool)], ids=lambda v: type(v).__name__)  # fmt: skip
def test_a_seed_that_fits_without_loss_is_taken(seed):
    np.testing.assert_array_equal(ad.vjp(lambda x: x * 2, X)[1](seed)[0], [2, 2, 2])


def test_a_tangent_that_does_not_fit_is_refused():
    for tangent in (1.0, np.ones(2), np.ones(3) * 1j, None):
        with pytest.raises(SeedError):
            ad.jvp(lambda x: x * 2, (X,), (tangent,))
    with pytest.raises(SeedError, match="containers"):
        ad.jvp(lambda x: x * 2, (X,), (X, X))
    with pytest.raises(SeedError, match=r"argument 0 \(x\)"):
        ad.jvp(lambda x: x * 2, (X,), (np.ones(2),))


def test_not_scalar():
    functions = (lambda x: x, lambda x: (x[0], 1.0), lambda x: {"a": x[0]}, lambda x: None, lambda x: np.sum(x) * 1j)
    for f in functions:
        for transform in (ad.grad, ad.value_and_grad):
            with pytest.raises(NotScalarError):
                transform(f)(X)


def test_checkpoint_keeps_its_plain_arrays():
    weights = np.ones(2)

    def f(x):
        y = ad.checkpoint(lambda x, w: np.sum(x * w["w"]))(x, {"w": weights})
        weights[:] = 50.0
        return y

    np.testing.assert_array_equal(ad.grad(f)(np.ones(2)), [1.0, 1.0])


@pytest.mark.parametrize("changing", ["random", "closure"])
def test_checkpoint_of_a_function_that_changes_is_refused(changing):
    rng, weights = np.random.default_rng(0), np.ones(2)

    def f(x):
        y = ad.checkpoint(lambda t: np.sum(t * (rng.random(2) if changing == "random" else weights)))(x)
        weights[:] = 50.0
        return y

    with pytest.raises(RuleError, match=r"checkpoint: .*something else the second time"):
        ad.grad(f)(np.ones(2))


def test_jacobian_of_complex_results_of_real_arguments():
    x = np.array([0.5, 1.0])
    for f in (lambda x: np.exp(1j * x), lambda x: x[:1] * 1j, lambda x: np.array([[1.0, 2j], [3.0, 1j], [0, 1]]) @ x):
        columns = [ad.jvp(f, (x,), (unit,))[1] for unit in np.eye(2)]
        np.testing.assert_array_equal(ad.jacobian(f)(x), np.stack(columns, axis=-1))
        with pytest.raises(DtypeError, match="imaginary part"):
            ad.jacobian(f, mode="reverse")(x)
        with pytest.raises(DtypeError, match="imaginary part"):
            ad.elementwise_grad(f)(x)


def test_jacobian_of_real_results_of_complex_arguments():
    z = np.array([1 + 2j, 0.5 - 1j])
    np.testing.assert_allclose(ad.jacobian(lambda z: np.abs(z) ** 2)(z), np.diag(2 * np.conj(z)), rtol=1e-14)
    with pytest.raises(DtypeError, match="not holomorphic"):
        ad.jacobian(lambda z: np.abs(z) ** 2, mode="forward")(z)
