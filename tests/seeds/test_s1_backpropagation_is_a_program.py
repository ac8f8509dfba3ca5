"""S1: a net with two neurons a layer, seen three layers back from its loss, neuron by neuron and as matrices.

o(n−3) → o(n−2) → o(n−1) → o(n) → loss. The derivatives of one layer are what the layer before it needs, and a neuron
that feeds two others sums what comes back from both.
"""

import numpy as np
import pytest

import autodiff as ad
from autodiff.sweep import deltas

TARGET = 0.3
INPUT = np.array([0.7, -0.4])
WEIGHTS = {
    3: np.array([[0.5, -1.1], [0.8, 0.3]]),  # w[l][i, j] leads from neuron i of layer n−l to neuron j of the next one
    2: np.array([[-0.6, 0.9], [1.2, 0.4]]),
    1: np.array([[0.7], [-1.3]]),
}
ACTIVATIONS = {3: np.tanh, 2: np.sin, 1: np.tanh}  # a layer may have its own
SLOPES = {np.tanh: lambda f: 1 - np.tanh(f) ** 2, np.sin: np.cos}


def scalar_net(o, w):
    """One node for each weighted sum and each neuron."""
    for back in (3, 2, 1):
        rows, columns = WEIGHTS[back].shape
        fresh = []
        for j in range(columns):
            f = w[back][0][j] * o[0]
            for i in range(1, rows):
                f = f + w[back][i][j] * o[i]
            ad.name(f, f"f[{back - 1},{j}]")
            fresh.append(ad.name(ACTIVATIONS[back](f), f"o[{back - 1},{j}]"))
        o = fresh
    return (o[0] - TARGET) ** 2


def matrix_net(o, w):
    """One node for each layer."""
    for back in (3, 2, 1):
        f = ad.name(o @ w[back], f"f[{back - 1}]")
        o = ad.name(ACTIVATIONS[back](f), f"o[{back - 1}]")
    return np.sum((o - TARGET) ** 2)


def by_hand():
    """The layer-by-layer formulas: first the values, then from the loss back, each layer from the one after it."""
    f, o = {}, {3: INPUT}
    for back in (3, 2, 1):
        f[back - 1] = [
            sum(WEIGHTS[back][i, j] * x for i, x in enumerate(o[back])) for j in range(WEIGHTS[back].shape[1])
        ]
        o[back - 1] = [ACTIVATIONS[back](x) for x in f[back - 1]]
    at_o, at_f, at_w = {0: [2 * (o[0][0] - TARGET)]}, {}, {}
    for back in (1, 2, 3):
        slope = SLOPES[ACTIVATIONS[back]]
        at_f[back - 1] = [d * slope(x) for d, x in zip(at_o[back - 1], f[back - 1], strict=True)]
        at_w[back] = np.array([[d * x for d in at_f[back - 1]] for x in o[back]])
        at_o[back] = [
            sum(d * w for d, w in zip(at_f[back - 1], row, strict=True)) for row in WEIGHTS[back]
        ]  # fmt: skip
    return at_o, at_f, at_w


def scalar_flow():
    weights = {back: [[float(x) for x in row] for row in w] for back, w in WEIGHTS.items()}
    return ad.flow(scalar_net)([float(x) for x in INPUT], weights)


def test_scalar_by_scalar_every_delta_is_the_formula_by_hand():
    flow, (at_o, at_f, at_w) = scalar_flow(), by_hand()
    for back in (0, 1, 2):
        for j, (d_o, d_f) in enumerate(zip(at_o[back], at_f[back], strict=True)):
            assert flow[f"o[{back},{j}]"] == pytest.approx(d_o, rel=1e-14)
            assert flow[f"f[{back},{j}]"] == pytest.approx(d_f, rel=1e-14)
    for back, expected in at_w.items():
        for (i, j), d in np.ndenumerate(expected):
            assert flow[f"w[{back}][{i}][{j}]"] == pytest.approx(d, rel=1e-14)
    for i, d in enumerate(at_o[3]):
        assert flow[f"o[{i}]"] == pytest.approx(d, rel=1e-14)


def test_in_matrix_form_every_delta_is_the_formula_by_hand():
    flow, (at_o, at_f, at_w) = ad.flow(matrix_net)(INPUT, WEIGHTS), by_hand()
    for back in (0, 1, 2):
        np.testing.assert_allclose(flow[f"o[{back}]"], at_o[back], rtol=1e-14)
        np.testing.assert_allclose(flow[f"f[{back}]"], at_f[back], rtol=1e-14)
    for back, expected in at_w.items():
        np.testing.assert_allclose(flow[f"w[{back}]"], expected, rtol=1e-14)
    np.testing.assert_allclose(flow["o"], at_o[3], rtol=1e-14)


def test_both_forms_agree_with_each_other():
    scalars, matrices = scalar_flow(), ad.flow(matrix_net)(INPUT, WEIGHTS)
    assert scalars.graph.nodes[-1].value == pytest.approx(matrices.graph.nodes[-1].value, rel=1e-15)
    for back in (0, 1, 2):
        for j, d in enumerate(matrices[f"o[{back}]"]):
            assert scalars[f"o[{back},{j}]"] == pytest.approx(d, rel=1e-14)


@pytest.mark.parametrize("neuron", ["o[2,0]", "o[2,1]"])
def test_a_neuron_that_feeds_two_others_sums_over_both(neuron):
    flow = scalar_flow()
    node = flow.graph.node(neuron)
    fed = node.consumers
    assert len(fed) == 2
    both = [term for consumer, _ in fed for term in flow.edge(node, consumer)]
    assert both[0] != both[1]
    assert sum(both) == pytest.approx(flow[neuron], rel=1e-15)


def test_the_delta_of_a_weighted_sum_is_reused_by_the_whole_layer_before():
    """Found once, it is handed to the sum's inputs: both weights and both neurons before it."""
    flow = scalar_flow()
    for j in range(2):
        total = flow.graph.node(f"f[1,{j}]")
        products = total.inputs
        assert [node.op.name for node in products] == ["multiply", "multiply"]
        for product in products:
            assert flow[product] == flow[total]
            assert len(product.inputs) == 2


def sweep_counts(graph):
    """How often each edge's rule was called, the edges, and the paths from the loss back to the inputs."""
    calls = {}

    def visit(v, w, k):
        calls[v, w, k] = calls.get((v, w, k), 0) + 1

    deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, visit=visit)
    paths = [0] * len(graph)
    paths[graph.outputs[0]] = 1
    for v in range(len(graph) - 1, -1, -1):
        paths[v] += sum(paths[w] for w, _ in graph.consumers[v])
    return calls, set(graph.edges), sum(paths[v] for v in graph.arguments)


def test_the_sweep_calls_one_rule_an_edge_not_one_a_path():
    calls, edges, paths = sweep_counts(scalar_flow().graph)
    assert set(calls) == edges
    assert set(calls.values()) == {1}
    assert paths != len(edges)


def test_rule_calls_grow_with_depth_by_a_constant_while_paths_double():
    def deep(depth):
        def net(a, b):
            for _ in range(depth):
                a, b = np.tanh(0.3 * a + 0.7 * b), np.tanh(0.9 * a - 0.2 * b)
            return a + b

        calls, _, paths = sweep_counts(ad.trace(net)(0.4, 0.1))
        return sum(calls.values()), paths

    counts = [deep(depth) for depth in (10, 11, 12)]
    rules = [c for c, _ in counts]
    paths = [p for _, p in counts]
    assert rules[1] - rules[0] == rules[2] - rules[1] < rules[0]
    assert paths[1] == 2 * paths[0]
    assert paths[2] == 2 * paths[1]
