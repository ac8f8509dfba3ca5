"""S5: two units, each with an input of its own, feed a third; its eight partial derivatives share their first factors.

z₁₀ = w₁₀x₀₀ + b₁₀, z₁₁ = w₁₁x₀₁ + b₁₁, z₂₀ = (w₂₀⁰α(z₁₀) + b₂₀⁰) + (w₂₀¹α(z₁₁) + b₂₀¹), y = α(z₂₀).
"""

import math

import numpy as np
import pytest

import autodiff as ad
from autodiff.sweep import deltas

X00, X01 = 0.8, -1.7
POINT = {"w10": 0.3, "b10": -0.2, "w11": 0.9, "b11": 0.5, "w20_0": -1.4, "b20_0": 0.1, "w20_1": 0.6, "b20_1": 0.25}


def net(w10, b10, w11, b11, w20_0, b20_0, w20_1, b20_1):
    x10 = ad.name(np.tanh(ad.name(w10 * X00 + b10, "z10")), "x10")
    x11 = ad.name(np.tanh(ad.name(w11 * X01 + b11, "z11")), "x11")
    z20 = ad.name((w20_0 * x10 + b20_0) + (w20_1 * x11 + b20_1), "z20")
    return ad.name(np.tanh(z20), "y")


def slope(z):
    return 1 - np.tanh(z) ** 2


def closed_forms(w10, b10, w11, b11, w20_0, b20_0, w20_1, b20_1):
    """The eight partial derivatives, each written out in full, nothing shared."""
    z10, z11 = w10 * X00 + b10, w11 * X01 + b11
    z20 = (w20_0 * np.tanh(z10) + b20_0) + (w20_1 * np.tanh(z11) + b20_1)
    return (
        slope(z20) * w20_0 * slope(z10) * X00,
        slope(z20) * w20_0 * slope(z10),
        slope(z20) * w20_1 * slope(z11) * X01,
        slope(z20) * w20_1 * slope(z11),
        slope(z20) * np.tanh(z10),
        slope(z20),
        slope(z20) * np.tanh(z11),
        slope(z20),
    )


gradient = ad.grad(net, argnums=range(8))


def factors():
    z10, z11 = POINT["w10"] * X00 + POINT["b10"], POINT["w11"] * X01 + POINT["b11"]
    z20 = POINT["w20_0"] * math.tanh(z10) + POINT["b20_0"] + POINT["w20_1"] * math.tanh(z11) + POINT["b20_1"]
    first = 1 - math.tanh(z20) ** 2
    return first, first * POINT["w20_0"], first * POINT["w20_1"]


def test_all_eight_partial_derivatives_are_the_closed_forms():
    np.testing.assert_allclose(gradient(*POINT.values()), closed_forms(*POINT.values()), rtol=1e-14)


def test_the_flow_carries_the_factors_at_its_nodes():
    flow = ad.flow(net)(*POINT.values())
    first, left, right = factors()
    assert flow["z20"] == pytest.approx(first, rel=1e-14)
    assert flow["x10"] == pytest.approx(left, rel=1e-14)
    assert flow["x11"] == pytest.approx(right, rel=1e-14)


def test_the_sweep_forms_each_shared_factor_once():
    graph = ad.trace(net)(*POINT.values())
    terms, visits = {}, []
    deltas(
        graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, contributions=terms,
        visit=lambda v, w, k: visits.append((v, w, k)),
    )  # fmt: skip
    assert len(visits) == len(set(visits))
    where = [(graph.node("z20"), graph.node("y")), (graph.node("x10"), None), (graph.node("x11"), None)]
    for (node, _), factor in zip(where, factors(), strict=True):
        arriving = [terms[use] for use in graph.consumers[node.index]]
        assert arriving == [pytest.approx(factor, rel=1e-14)]


@pytest.fixture
def graph():
    """The graph of the gradient: the sweep itself, traced."""
    return ad.trace(gradient)(*POINT.values())


def computing(graph, op, number):
    """The nodes of this operation that hold this number, identities (a product with a literal 1) left out."""
    return [
        node for node in graph.nodes
        if node.op.name == op and np.isclose(node.value, number, rtol=1e-13)
        and 1.0 not in graph.literals[node.index]
    ]  # fmt: skip


def test_the_graph_of_the_gradient_gives_the_gradient(graph):
    values = [graph.nodes[v].value for v in graph.outputs]
    np.testing.assert_array_equal(values, gradient(*POINT.values()))


def test_in_the_graph_of_the_gradient_each_shared_factor_is_one_node(graph):
    _, left, right = factors()
    assert len(computing(graph, "multiply", left)) == 1
    assert len(computing(graph, "multiply", right)) == 1
    assert [op.name for op in graph.ops].count("tanh") == 3  # α is evaluated once a unit, and α′ read off its result


def test_the_shared_factors_have_several_consumers(graph):
    """α′(z₂₀) is what both b₂₀ receive, and goes on to both weights and both units."""
    first, *_ = factors()
    (shared,) = {v for v in graph.outputs if np.isclose(graph.nodes[v].value, first, rtol=1e-13)}
    assert [list(POINT)[i] for i, v in enumerate(graph.outputs) if v == shared] == ["b20_0", "b20_1"]
    users = [node for node, _ in graph.nodes[shared].consumers]
    partners = sorted(float(other.value) for node in users for other in node.inputs if other.index != shared)
    x10, x11 = np.tanh(POINT["w10"] * X00 + POINT["b10"]), np.tanh(POINT["w11"] * X01 + POINT["b11"])
    np.testing.assert_allclose(partners, sorted([POINT["w20_0"], POINT["w20_1"], x10, x11]), rtol=1e-14)


def test_sharing_saves_multiplications(graph):
    apart = ad.trace(closed_forms)(*POINT.values())
    names = [[op.name for op in g.ops] for g in (apart, graph)]
    products = [ops.count("multiply") + ops.count("power") for ops in names]
    assert products[1] < products[0]
    assert names[1].count("tanh") < names[0].count("tanh")
