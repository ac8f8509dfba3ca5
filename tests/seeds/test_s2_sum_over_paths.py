"""S2: two inputs, two paths from each of them; and a net of 2-4-4-3 neurons trained by plain gradient descent."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.graph import LITERAL
from autodiff.sweep import deltas, tangents

# -- figure 1: c = a + b, d = ab, o = ½cd ----------------------------------------------------------------------------


def figure_1(a, b):
    c = ad.name(a + b, "c")
    d = ad.name(a * b, "d")
    return ad.name(0.5 * c * d, "o")


def test_figure_1_values():
    graph = ad.trace(figure_1)(2.0, 3.0)
    assert [graph.node(name).value for name in ("c", "d", "o")] == [5, 6, 15]


def test_figure_1_deltas():
    flow = ad.flow(figure_1)(2.0, 3.0)
    assert {name: flow[name] for name in "ocdab"} == {"o": 1, "c": 3, "d": 2.5, "a": 10.5, "b": 8}


def test_figure_1_path_by_path():
    flow = ad.flow(figure_1)(2.0, 3.0)
    assert flow.edge("a", "c") == [3]
    assert flow.edge("a", "d") == [7.5]
    assert flow.edge("b", "c") == [3]
    assert flow.edge("b", "d") == [5]
    for leaf in "ab":
        assert sum(flow.edge(leaf, "c") + flow.edge(leaf, "d")) == flow[leaf]


def wide(*xs):
    """Figure 1 with any number of inputs: half of their sum times their product."""
    c, d = xs[0], xs[0]
    for x in xs[1:]:
        c, d = c + x, d * x
    c, d = ad.name(c, "c"), ad.name(d, "d")
    return 0.5 * c * d


@pytest.fixture
def rule_calls(monkeypatch):
    """A list that grows by (operation, argument) with every rule that a sweep of this graph calls."""
    calls = []

    def watch(graph, rules):
        for op in {op.name: op for op in graph.ops if op.kind == "elementwise"}.values():
            counted = tuple(
                lambda *args, rule=rule, op=op, k=k, **params: calls.append((op.name, k)) or rule(*args, **params)
                for k, rule in enumerate(getattr(op, rules))
            )
            monkeypatch.setattr(op, rules, counted)
        return calls

    return watch


@pytest.mark.parametrize("count", [2, 3, 6])
def test_forward_mode_sweeps_once_an_input_and_recomputes_what_is_shared(count, rule_calls):
    values = [1.0 + 0.1 * i for i in range(count)]
    graph = ad.trace(wide)(*values)
    expected = ad.grad(wide, argnums=range(count))(*values)
    calls = rule_calls(graph, "jvps")
    per_sweep = []
    for v, slope in zip(graph.arguments, expected, strict=True):
        before = len(calls)
        tangent = tangents(graph, graph.values, {v: np.float64(1.0)})
        per_sweep.append(len(calls) - before)
        assert tangent[graph.outputs[0]] == pytest.approx(slope, rel=1e-14)
    c, d = graph.node("c").index, graph.node("d").index
    shared = sum(1 for w in range(max(c, d) + 1, len(graph)) for i in graph.inputs[w] if i != LITERAL)
    assert shared == 3  # c → ½c → o and d → o: no input has an edge of its own there
    assert all(n >= shared for n in per_sweep)
    assert sum(per_sweep) >= count * shared + count


@pytest.mark.parametrize("count", [2, 3, 6])
def test_reverse_mode_does_it_in_one_sweep_with_one_call_an_edge(count, rule_calls):
    values = [1.0 + 0.1 * i for i in range(count)]
    graph = ad.trace(wide)(*values)
    calls = rule_calls(graph, "vjps")
    delta = deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)})
    assert len(calls) == len(list(graph.edges))
    total, product = sum(values), np.prod(values)
    for v, x in zip(graph.arguments, values, strict=True):
        assert delta[v] == pytest.approx(0.5 * (product + total * product / x), rel=1e-14)


def test_figure_1_counts_of_both_modes(rule_calls):
    graph = ad.trace(figure_1)(2.0, 3.0)
    calls = rule_calls(graph, "jvps")
    for v in graph.arguments:
        tangents(graph, graph.values, {v: np.float64(1.0)})
    forward = len(calls)
    calls = rule_calls(graph, "vjps")
    before = len(calls)
    deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)})
    reverse = len(calls) - before
    assert (forward, reverse) == (10, 7)  # five edges lie above each input; seven edges lie above both


def test_both_sweeps_tell_each_edge_that_they_pass():
    graph = ad.trace(wide)(1.0, 1.1, 1.2)
    up = []
    for v in graph.arguments:
        tangents(graph, graph.values, {v: np.float64(1.0)}, visit=lambda *edge: up.append(edge))
    down = []
    deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, visit=lambda *edge: down.append(edge))
    assert sorted(down) == sorted(graph.edges)
    assert set(up) == set(graph.edges)
    shared = [(i, w, k) for i, w, k in graph.edges if i in (graph.node("c").index, graph.node("d").index)]
    assert [up.count(edge) for edge in shared] == [3, 3]  # once a sweep


def test_a_sweep_of_tangents_tells_no_edge_that_has_no_derivative():
    graph = ad.trace(lambda x: np.where(x > 0, x, 0.0) * np.sign(x))(2.0)
    passed = []
    tangents(graph, graph.values, {graph.arguments[0]: np.float64(1.0)}, visit=lambda *edge: passed.append(edge))
    assert [graph.ops[w].name for _, w, _ in passed] == ["where", "multiply"]


# -- figure 2: a fully connected net of 2-4-4-3 ----------------------------------------------------------------------

SIZES = (2, 4, 4, 3)
LAYERS = range(2, 5)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "sin": (np.sin, np.cos),
}
COSTS = {
    "squares": (lambda a, y: 0.5 * np.sum((a - y) ** 2), lambda a, y: a - y),
    "cross entropy": (
        lambda a, y: -np.sum(y * np.log(a**2 + 0.1)),
        lambda a, y: -2 * y * a / (a**2 + 0.1),
    ),
}


def parameters(rng):
    shapes = {layer: (SIZES[layer - 1], SIZES[layer - 2]) for layer in LAYERS}
    return {
        layer: {"w": rng.standard_normal(shape), "b": rng.standard_normal(shape[:1])} for layer, shape in shapes.items()
    }


def output(theta, x, activation):
    a = ad.name(x, "a1")
    for layer in LAYERS:
        z = ad.name(theta[layer]["w"] @ a + theta[layer]["b"], f"z{layer}")
        a = ad.name(activation(z), f"a{layer}")
    return a


@pytest.fixture(params=[(f, c) for f in ACTIVATIONS for c in COSTS], ids=" and ".join)
def example(request, rng):
    """One example's flow, its parameters, and the slopes of activation and cost in closed form."""
    (activation, slope), (cost, cost_slope) = ACTIVATIONS[request.param[0]], COSTS[request.param[1]]
    theta, x, y = parameters(rng), rng.standard_normal(2), np.array([0.0, 1.0, 0.0])
    flow = ad.flow(lambda theta, x: cost(output(theta, x, activation), y))(theta, x)
    return flow, theta, slope, cost_slope(flow.graph.node("a4").value, y)


def value(flow, name):
    return flow.graph.node(name).value


def test_equation_4_the_error_of_the_last_layer(example):
    flow, _, slope, at_output = example
    np.testing.assert_allclose(flow["a4"], at_output, rtol=1e-13)
    np.testing.assert_allclose(flow["z4"], at_output * slope(value(flow, "z4")), rtol=1e-12, atol=1e-15)


def test_equation_3_the_error_of_a_layer_from_the_next(example):
    flow, theta, slope, _ = example
    for layer in (2, 3):
        after, w = flow[f"z{layer + 1}"], theta[layer + 1]["w"]
        carried = np.array([sum(after[q] * w[q, j] for q in range(len(after))) for j in range(SIZES[layer - 1])])
        np.testing.assert_allclose(flow[f"z{layer}"], carried * slope(value(flow, f"z{layer}")), rtol=1e-12, atol=1e-15)


def test_equation_1_the_weights(example):
    flow, _, _, _ = example
    for layer in LAYERS:
        expected = np.outer(flow[f"z{layer}"], value(flow, f"a{layer - 1}"))
        np.testing.assert_allclose(flow[f"theta[{layer}]['w']"], expected, rtol=1e-14)


def test_equation_2_the_biases(example):
    flow, _, _, _ = example
    for layer in LAYERS:
        np.testing.assert_array_equal(flow[f"theta[{layer}]['b']"], flow[f"z{layer}"])


def batch_output(theta, xs):
    a = xs
    for layer in LAYERS:
        a = sigmoid(a @ theta[layer]["w"].T + theta[layer]["b"])
    return a


def batch_cost(theta, xs, ys):
    return 0.5 * np.sum((batch_output(theta, xs) - ys) ** 2) / len(xs)


def test_gradients_of_single_examples_average_to_the_gradient_of_the_batch(rng):
    theta, xs, ys = parameters(rng), rng.standard_normal((7, 2)), rng.standard_normal((7, 3))
    single = ad.grad(lambda theta, x, y: 0.5 * np.sum((output(theta, x, sigmoid) - y) ** 2))
    each = [single(theta, x, y) for x, y in zip(xs, ys, strict=True)]
    batch = ad.grad(batch_cost)(theta, xs, ys)
    for layer in LAYERS:
        for part in "wb":
            mean = sum(g[layer][part] for g in each) / len(xs)
            np.testing.assert_allclose(mean, batch[layer][part], rtol=1e-12, atol=1e-15)


def test_plain_gradient_descent_trains_it_on_real_flowers(rng):
    datasets = pytest.importorskip("sklearn.datasets")
    xs, kinds = datasets.load_iris(return_X_y=True)
    xs = xs[:, 2:]  # length and width of the petal: two inputs
    held = np.arange(len(xs)) % 3 == 0  # the flowers stand in order of their kind: a third of each
    learn = np.flatnonzero(~held)
    xs = (xs - xs[learn].mean(0)) / xs[learn].std(0)
    ys = np.eye(3)[kinds]
    theta, gradient = parameters(rng), ad.grad(batch_cost)
    before = batch_cost(theta, xs[learn], ys[learn])
    for _ in range(120):
        rng.shuffle(learn)
        for some in np.split(learn, 10):
            g = gradient(theta, xs[some], ys[some])
            theta = {layer: {part: theta[layer][part] - g[layer][part] for part in "wb"} for layer in LAYERS}
    assert batch_cost(theta, xs[learn], ys[learn]) < before / 5
    assert np.mean(batch_output(theta, xs[held]).argmax(1) == kinds[held]) >= 0.9
