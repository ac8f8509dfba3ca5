"""Each pass alone and all of them together, on random programs and on the fifth document's network."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given

import autodiff as ad
from autodiff.compiler import ASKED_FOR, PASSES
from autodiff.errors import LeakError
from autodiff.sweep import evaluate
from tests.laws.graphs import programs
from tests.laws.test_random_graphs import many

EXACT = [name for name in PASSES if name not in ("sums", "gemm", "factor")]


def lowered(f, args, passes=tuple(PASSES)):
    return ad.jit(f, passes=passes).lower(*args)


def compilable(program, xs):
    try:
        return lowered(program, xs, ())
    except LeakError:  # one of the steps decides by values
        return None


@many
@given(programs())
def test_programs_are_what_the_functions_are(program):
    xs = program.leaves()
    if compilable(program, xs) is None:
        return

    def value_and_gradients(*xs):
        return ad.value_and_grad(program, argnums=tuple(range(len(xs))))(*xs)

    want = value_and_gradients(*xs)
    every = (*ASKED_FOR, *PASSES)
    for passes in ((), *((name,) for name in every), tuple(PASSES), every):
        got = ad.jit(value_and_gradients, passes=passes)(*xs)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-12, atol=1e-13)
        for a, b in zip(got[1], want[1], strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12 * (1 + np.abs(b).max(initial=0)))


@many
@given(programs())
def test_passes_keep_the_rules_of_a_graph_and_change_nothing_the_second_time(program):
    xs = program.leaves()
    if compilable(program, xs) is None:
        return
    graph = lowered(ad.grad(program), xs, ()).graph
    for name in EXACT:
        once = ad.check(PASSES[name](graph))
        again = PASSES[name](once)
        if name != "schedule":
            assert len(again) == len(once), name
        graph = once


def multiplications(graph):
    return sum(op.name in ("multiply", "matmul") for op in graph.ops)


def test_common_subexpressions_of_the_fifth_document(capsys):
    """z = wx + b, x = α(z): two units that see one input each, and a second layer that mixes both."""

    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    def f(w1, b1, w2, b2, x):
        first = [sigmoid(w1[k] * x[k] + b1[k]) for k in range(2)]
        return sigmoid(w2[0] * first[0] + w2[1] * first[1] + b2)

    def partials(*args):  # one derivative at a time, as a person would write them down
        return [ad.grad(f, argnums=n)(*args) for n in range(4)]

    rng = np.random.default_rng(0)
    args = (*rng.standard_normal((3, 2)), np.array(0.3), rng.standard_normal(2))
    history = dict(lowered(partials, args).history)
    names = list(PASSES)
    before = history[names[names.index("share") - 1]]
    after = history["share"]
    print(f"multiplications: {multiplications(before)} before, {multiplications(after)} after")
    assert multiplications(after) * 2 < multiplications(before)

    # α′(z₂₀) has several readers; α′(z₂₀)·w₂₀ of each unit is computed once, for the partials of its w and of its b
    w1, b1, w2, b2, x = args
    a = [sigmoid(w1[k] * x[k] + b1[k]) for k in range(2)]
    y = sigmoid(w2 @ a + b2)
    slope = y * (1 - y)
    values = evaluate(after, args).results

    def bearers(number):
        return [
            i for i, (op, value) in enumerate(zip(after.ops, values, strict=True))
            if op.name != "negative" and np.shape(value) == () and np.isclose(abs(value), abs(number), rtol=1e-12)
        ]  # fmt: skip

    assert len(after.consumers[after.outputs[3]]) == 4  # the partial of b₂ is α′(z₂₀) itself
    assert np.isclose(values[after.outputs[3]], slope, rtol=1e-12)
    for k in range(2):
        assert len(bearers(slope * w2[k])) == 1
        (inside,) = bearers(slope * w2[k] * a[k] * (1 - a[k])) or [None]
        assert inside is not None

    got = ad.jit(partials)(*args)
    inner = [a[k] * (1 - a[k]) * slope * w2[k] for k in range(2)]
    closed_forms = ([inner[k] * x[k] for k in range(2)], inner, [slope * a[k] for k in range(2)], slope)
    for mine, closed in zip(got, closed_forms, strict=True):
        np.testing.assert_allclose(mine, closed, rtol=1e-12)
    assert "before" in capsys.readouterr().out


@pytest.mark.parametrize(("f", "most"), [
    (lambda x: x * 1.0, 1), (lambda x: x / 1.0, 1), (lambda x: x - 0.0, 1), (lambda x: np.negative(-x), 1),
    (lambda x: x.T.T, 1), (lambda x: np.reshape(np.reshape(x, (3, 2)), (2, 3)), 1),
    (lambda x: np.swapaxes(x.T, 0, 1), 1),
    (lambda x: np.broadcast_to(x, (2, 3)), 1), (lambda x: x.astype(float), 1),
    (lambda x: x * np.ones((2, 3)), 1),
    (lambda x: np.flip(np.flip(x, 1), 1), 1), (lambda x: np.flip(np.flip(x, 0), 1), 2),
    (lambda x: np.flip(np.flip(x)), 1),
    (lambda x: x.astype(np.longdouble).astype(float), 1), (lambda x: np.abs(np.abs(-x)), 2),
    (lambda x: np.square(-x), 2), (lambda x: (-x) * (-x), 2), (lambda x: (-x) / -(x + 5.0), 3),
    (lambda x: np.maximum(x, x), 1), (lambda x: np.where(x > 0, x, x), 1), (lambda x: 3.0 * (2.0 * x), 2),
    (lambda x: 2 * (2 * (2 * x)), 2), (lambda x: np.max(np.broadcast_to(x[:, :, None], (2, 3, 4)), axis=2), 3),
    (lambda x: np.min(np.broadcast_to(x, (4, 2, 3)), axis=0, keepdims=True), 2), (lambda x: x**2, 2),
    (lambda x: np.broadcast_to(np.broadcast_to(x, (4, 2, 3)), (5, 4, 2, 3)), 2), (lambda x: np.conj(np.conj(x)), 1),
    (lambda x: x + (-x), 2), (lambda x: (x * x) + (x * x), 3), (lambda x: np.sin(x) * np.sin(x) - np.cos(np.sin(x)), 5),
])  # fmt: skip
def test_what_is_left_out(f, most):
    x = np.arange(6.0).reshape(2, 3) - 2
    program = lowered(f, (x,))
    assert len(program.graph) <= most, program.graph
    np.testing.assert_array_equal(ad.jit(f)(x), f(x))


@pytest.mark.parametrize("x", [np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1.5])])
@pytest.mark.parametrize("f", [
    lambda x: x + 0.0, lambda x: x - 0.0, lambda x: x - (-0.0), lambda x: 0.0 - x, lambda x: x * 1.0,
    lambda x: x * 0.0, lambda x: np.negative(-x), lambda x: x + (-x), lambda x: (-x) + x, lambda x: x - (-x),
    lambda x: x**1, lambda x: x / 1.0, lambda x: -(x * 2.0), lambda x: -(-1.0 * x), lambda x: -(0.0 * x),
    lambda x: np.maximum(x, 0.0) + np.maximum(0.0, x), lambda x: x * np.array(-1.0) * -1.0,
    lambda x: (-x) * (-x[::-1]), lambda x: (-x) / (-x[::-1]), lambda x: 3.0 * (2.0 * x), lambda x: 0.3 * (2.0 * x),
    lambda x: 1.7 * (0.5 * x), lambda x: 2.0 * (1e308 * x), lambda x: 1e-320 * (4.0 * x),
    lambda x: -3.0 * (8 * (4.0 * x)),
    lambda x: x.astype(np.float32).astype(float), lambda x: x.astype(np.longdouble).astype(float), lambda x: x**2,
    lambda x: np.square(-x), lambda x: np.abs(-np.abs(x)), lambda x: np.maximum(x, x), lambda x: np.where(x > 0, x, x),
    lambda x: np.max(np.broadcast_to(x, (3, 7)), axis=0), lambda x: np.flip(np.flip(x)),
    lambda x: 2.0 * (2 * (2.0 * x)),
])  # fmt: skip
def test_no_bit_is_lost_at_the_edges(f, x):
    with np.errstate(all="ignore"):
        want, got = f(x), ad.jit(f)(x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[~np.isnan(want)]), np.signbit(want[~np.isnan(want)]))


@pytest.mark.parametrize("f", [
    lambda z: z * 1.0, lambda z: (1 + 0j) * z, lambda z: z / 1, lambda z: z**1, lambda z: z - 0, lambda z: z - 0j,
    lambda z: z - complex(0.0, -0.0), lambda z: z - np.complex128(-0.0), lambda z: z - np.zeros_like(z),
    lambda z: np.negative(-z), lambda z: (-z) * (-z[::-1]), lambda z: (-z) / (-z[::-1]), lambda z: z - (-z),
    lambda z: -(2.5 * z), lambda z: 2.0 * (4.0 * z), lambda z: np.conj(np.conj(z)), lambda z: z.real * 1.0,
    lambda z: z.real - 0j, lambda z: (z * z + 1) * z, lambda z: z * (z + 1), lambda z: np.polyval([1.0, 2.0, 3.0], z),
    lambda z: np.vander(z, 4), lambda z: z[0] * (z + 1) + (z + 1) * z[0],
])  # fmt: skip
def test_no_bit_is_lost_at_the_edges_of_complex_numbers(f):
    parts = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e308, 5e-324])
    z = np.repeat(parts, len(parts)).astype(complex)
    z.imag = np.tile(parts, len(parts))
    z = np.append(z, np.random.default_rng(0).standard_normal((90, 2)) @ [1, 1j])
    with np.errstate(all="ignore"):
        want, got = f(z), ad.jit(f)(z)
    for a, b in ((got.real, want.real), (got.imag, want.imag)):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a[~np.isnan(b)]), np.signbit(b[~np.isnan(b)]))


def test_products_of_a_stack_with_one_matrix_are_one_product():
    def f(x, w):
        return np.sum((x @ w) ** 2)

    x, w = np.random.default_rng(0).standard_normal((8, 5, 4)), np.random.default_rng(1).standard_normal((4, 3))
    g = ad.grad(f, (0, 1))
    graph = lowered(g, (x, w)).graph
    shapes = [shape for op, shape in zip(graph.ops, graph.shapes, strict=True) if op.name == "matmul"]
    assert sorted(shapes) == [(4, 3), (40, 3), (40, 4)]
    for a, b in zip(ad.jit(g)(x, w), g(x, w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_each_term_is_added_when_it_is_there():
    """A weight that every step reads: its δ is one running sum, not a table of all terms."""

    def f(w, x):
        for _ in range(50):
            x = np.tanh(x * w)
        return np.sum(x)

    args = (np.ones(1000), np.linspace(-1, 1, 1000))
    with_it, without = (
        ad.jit(ad.grad(f), passes=passes).lower(*args).memory_plan.arena
        for passes in (tuple(PASSES), tuple(name for name in PASSES if name != "schedule"))
    )
    assert with_it < 55 * 8000  # the results of tanh, and a few more
    assert without > 1.5 * with_it


def test_time_is_linear_in_the_number_of_nodes():
    """Counted, not timed: how often the passes look at an edge."""
    counts = {}
    for n in (100, 200):
        def f(x, n=n):
            for _ in range(n):
                x = np.sin(x) * x
            return np.sum(x)

        counts[n] = [len(graph) for _, graph in lowered(ad.grad(f), (np.ones(3),)).history]
    for small, large in zip(counts[100], counts[200], strict=True):
        assert large <= 2 * small + 5


def test_every_subset_of_passes():
    def f(x, w):
        y = np.maximum(x @ w, 0.0)
        return np.sum(y * y) + np.sum(np.where(x > 0, np.sqrt(np.abs(x)), 0.0))

    x, w = np.random.default_rng(0).standard_normal((2, 5, 4)), np.random.default_rng(1).standard_normal((4, 3))
    want = ad.grad(f, (0, 1))(x, w)
    for n in range(len(PASSES) + 1):
        for passes in itertools.combinations(PASSES, n):
            for a, b in zip(ad.jit(ad.grad(f, (0, 1)), passes=passes)(x, w), want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


# -- sums and products -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [
    lambda x: np.sum(np.broadcast_to(x, (5, 2, 3)), axis=0), lambda x: np.sum(np.broadcast_to(x[:, None], (2, 7, 3))),
    lambda x: np.sum(np.broadcast_to(x[:, None], (2, 7, 3)), axis=(0, 1), keepdims=True),
    lambda x: np.sum(np.broadcast_to(x[:, None], (2, 7, 3)), axis=(1, -1)),
    lambda x: np.mean(np.broadcast_to(x[:, None], (2, 7, 3)), axis=1),
    lambda x: np.mean(np.broadcast_to(x[:, None], (2, 7, 3)), axis=(0, 1), keepdims=True),
])
def test_the_sum_of_what_is_repeated_is_a_product(f):
    x = np.arange(6.0).reshape(2, 3) + 0.1
    program = lowered(f, (x,))
    assert max(np.prod(shape) for shape in program.graph.shapes) <= x.size
    got, want = program.run([x]), f(x)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=1e-15)


def test_a_sum_along_an_axis_that_is_not_repeated_stays():
    x = np.arange(6.0).reshape(2, 3)
    program = lowered(lambda x: np.sum(np.broadcast_to(x, (4, 2, 3)), axis=1), (x,))
    assert [op.name for op in program.graph.ops] == ["input", "broadcast_to", "sum"]
    empty = ad.jit(lambda x: np.sum(np.broadcast_to(x, (0, 2, 3)), axis=0))(x + np.inf)
    np.testing.assert_array_equal(empty, np.zeros((2, 3)))


def test_products_of_transposed_matrices_are_not_copied():
    """A transpose is a view, which BLAS reads by its strides: nothing is allocated but the results, nothing moved."""
    n = 200
    a, b, c = np.random.default_rng(0).standard_normal((3, n, n))
    program = lowered(ad.grad(lambda a, b, c: np.sum(np.tanh(a @ b.T) @ (c.T @ a)), (0, 1, 2)), (a, b, c))
    assert "copyto" not in program.source
    assert ".T" in program.source
    program.run([a, b, c])
    tracemalloc.start()
    try:
        program.run([a, b, c])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * a.nbytes + a.nbytes // 2  # the three results


# -- only where it is asked for ----------------------------------------------------------------------------------------


def work(graph):
    """The multiplications of all matrix products in a graph."""
    return sum(
        np.prod(graph.shapes[i], dtype=int) * graph.shapes[graph.inputs[i][0]][-1]
        for i, op in enumerate(graph.ops) if op.name == "matmul"
    )  # fmt: skip


@pytest.mark.parametrize("f", [
    lambda a, b, c, v: a @ b @ c @ v, lambda a, b, c, v: v @ (a @ b @ c),
    lambda a, b, c, v: (a @ b) @ (c @ np.outer(v, v)),
    lambda a, b, c, v: v @ a @ b @ c @ v,
])  # fmt: skip
def test_chains_of_matrices_take_the_cheapest_order(f, tmp_path):
    a, b, c = np.random.default_rng(0).standard_normal((3, 20, 20))
    v = np.linspace(-1, 1, 20)
    plain, asked = lowered(f, (a, b, c, v)), lowered(f, (a, b, c, v), ("reassociate", *PASSES))
    assert work(asked.graph) <= work(plain.graph)
    if np.ndim(f(a, b, c, v)) < 2:
        assert work(asked.graph) <= 4 * 20 * 20
    np.testing.assert_allclose(asked.run([a, b, c, v]), f(a, b, c, v), rtol=1e-12)
    history = dict(asked.history)
    for name in ("record", "reassociate"):
        history[name].draw(tmp_path / f"{name}.svg")
    g = ad.grad(lambda *args: np.sum(f(*args) ** 2), (0, 1, 2, 3))
    for got, want in zip(ad.jit(g, passes=("reassociate", *PASSES))(a, b, c, v), g(a, b, c, v), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * np.abs(want).max())


def test_a_product_that_something_else_reads_stays():
    a, b = np.random.default_rng(0).standard_normal((2, 6, 6))

    def f(a, b):
        p = a @ b
        return p @ a[0], p

    asked = lowered(f, (a, b), ("reassociate", *PASSES))
    assert sum(op.name == "matmul" for op in asked.graph.ops) == 2


@pytest.mark.parametrize(("f", "products"), [
    (lambda x, y: 0.3 * (0.7 * x), 1), (lambda x, y: -(0.3 * (x * 0.7)), 1), (lambda x, y: (0.3 * x) / 0.7, 1),
    (lambda x, y: (0.3 * x) * (0.7 * y), 2), (lambda x, y: 0.1 * ((0.3 * x) * y), 2),
    (lambda x, y: 4.0 * (0.25 * x), 0),
])  # fmt: skip
def test_numbers_are_collected(f, products):
    x, y = np.linspace(-1, 1, 7), np.linspace(0.5, 2, 7)
    asked, plain = lowered(f, (x, y), ("reassociate", *PASSES)), lowered(f, (x, y))
    assert sum(op.name in ("multiply", "divide") for op in asked.graph.ops) == products
    assert sum(op.name in ("multiply", "divide", "negative") for op in plain.graph.ops) > products  # not by itself
    np.testing.assert_allclose(asked.run([x, y]), f(x, y), rtol=1e-15)
    np.testing.assert_array_equal(plain.run([x, y]), f(x, y))


def test_numbers_stay_where_moving_them_would_cost_more():
    x, y = np.linspace(-1, 1, 7), np.ones((5, 7))
    asked = lowered(lambda x, y: (0.3 * x) * y, (x, y), ("reassociate", *PASSES))
    assert [asked.graph.shapes[i] for i, op in enumerate(asked.graph.ops) if op.name == "multiply"] == [(7,), (5, 7)]


def test_a_name_that_is_nearly_right_is_told_of_every_pass():
    with pytest.raises(ad.errors.SettingError, match="nearest: reassociate"):
        ad.jit(np.sin, passes=("reassociat",))


def test_losses_and_their_gradient_come_from_the_same_exponentials(monkeypatch):
    """Counted: how often exponentials are taken of the scores."""
    from autodiff.ops import losses

    x = np.random.default_rng(0).standard_normal((30, 7))
    labels = np.arange(30) % 7
    taken = []
    exponentials = losses._exponentials
    monkeypatch.setattr(losses, "_exponentials", lambda *args: taken.append(1) or exponentials(*args))

    def mean(x, labels):
        return ad.nn.cross_entropy(x, labels)

    def of_a_function(x, labels):
        return np.sum(np.tanh(ad.nn.cross_entropy(x, labels, reduction="none")))

    for f, count in ((mean, 1), (of_a_function, 2)):
        want = ad.value_and_grad(f)(x, labels)
        run = ad.jit(ad.value_and_grad(f))
        run(x, labels)
        taken.clear()
        got = run(x, labels)
        assert len(taken) == count
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
    assert "cross_entropy_with_delta" in ad.jit(ad.value_and_grad(mean)).lower(x, labels).source
    for k in (0, 1):  # one of the two alone is computed alone
        assert "with_delta" not in ad.jit(lambda x, k=k: ad.value_and_grad(mean)(x, labels)[k]).lower(x).source


def gaussian(a, y):
    return np.sum(y * np.linalg.solve(a, y)) + np.sum(np.log(np.diagonal(np.linalg.cholesky(a))))


def gaussian_with_the_factor_first(a, y):
    factor = np.linalg.cholesky(a)
    return np.sum(y * np.linalg.solve(a, y)) + np.sum(np.log(np.diagonal(factor)))


@pytest.mark.parametrize("n", [3, 150])
@pytest.mark.parametrize("columns", [(), (1,), (40,)])
@pytest.mark.parametrize("f", [gaussian, gaussian_with_the_factor_first])
def test_one_factorisation_of_a_matrix(f, columns, n):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((n, n))
    a, y = a @ a.T + n * np.eye(n), rng.standard_normal((n, *columns))
    run = ad.jit(ad.value_and_grad(f, (0, 1)))
    if n == 150:
        source = run.lower(a, y).source
        few = columns != (40,)
        assert source.count("solve_by_factor(") == (2 if f is not gaussian else 1) * few
        assert source.count("inverse_of_lower(") == 1
    skew = a + np.triu(rng.standard_normal((n, n)), 1)  # cholesky does not see it, solve does
    for matrix in (a, skew):
        (value, got), (wanted, want) = run(matrix, y), ad.value_and_grad(f, (0, 1))(matrix, y)
        np.testing.assert_allclose(value, wanted, rtol=1e-10)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-9)


# -- order -------------------------------------------------------------------------------------------------------------


def steps_of_a_chain(x, w):
    for _ in range(20):
        x = np.tanh(x) * w * 1.01 + 0.01
    return np.sum(x)


def steps_over_a_sequence(x, w):
    h = np.zeros(3)
    for k in range(20):
        h = np.tanh(h * w + np.outer(x[k % 3], w) @ h)
    return np.sum(h)


@pytest.mark.parametrize("f", [steps_of_a_chain, steps_over_a_sequence])
def test_warnings_are_turned_off_once_and_not_in_every_step(f):
    """A slope in the place of the value that it is made of frees nothing, and would turn warnings off and on again."""
    program = lowered(ad.value_and_grad(f), (np.linspace(-1, 1, 3), np.ones(3)))
    assert program.source.count("with errstate") == 1


@pytest.mark.parametrize("steps", [3, 30])
def test_the_proofs_of_a_long_program_are_few(steps):
    """Slices mark every δ above them as one that may hold true zeros; no step asks for a proof of its own."""
    def f(x, w):
        h = x
        for _ in range(steps):
            z = h @ w
            h = np.tanh(z[:, :2]) * z[:, 2:]
        return np.sum(h)

    program = lowered(ad.grad(f, (0, 1)), (np.ones((3, 2)), np.full((2, 4), 0.3)))
    assert program._proofs <= 3
    assert sum(op.name == "isfinite" for op in program.graph.ops) <= 3
