"""S4: δ of a node is the sum, over the nodes that use it, of what each of them sends back: on any graph.

Nets with skips, with every earlier layer as an input, with gates, with one weight used many times, with attention and
with convolution. Each δ and each edge's term is judged by perturbing it.
"""

from itertools import pairwise

import numpy as np
import pytest

import autodiff as ad
from autodiff.sweep import deltas
from tests.seeds.perturb import assert_flow_is_right


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x)
    return e / np.sum(e, axis=-1, keepdims=True)


def chain(x, ws):
    for w in ws:
        x = np.tanh(w @ x)
    return np.sum(x**2)


def skip(x, ws):
    for w in ws:
        x = x + np.tanh(w @ x)
    return np.sum(x**2)


def dense(x, ws):
    """Every layer sees all the earlier ones, each through a weight."""
    seen = [x]
    for n in range(len(ws)):
        seen.append(np.tanh(sum(ws[n - i] @ earlier for i, earlier in enumerate(seen))))
    return np.sum(seen[-1] * seen[0])


def highway(x, ws):
    """A gate decides how much of a layer passes and how much of its input."""
    for w in ws:
        gate = sigmoid(w.T @ x)
        x = gate * np.tanh(w @ x) + (1 - gate) * x
    return np.sum(x**2)


def shared(x, ws):
    """One weight in every step, as in a recurrent net."""
    for _ in range(4):
        x = np.tanh(ws[0] @ x)
    return np.sum(x**2)


def attention(x, ws):
    """Rows attend to rows; x feeds queries, keys, values and the skip around them."""
    rows = np.sin(x + np.array([[0.0], [1.0], [2.0]]))
    q, k, v = rows @ ws[0], rows @ ws[1], rows @ ws[2]
    mixed = softmax(q @ k.T / 2.0) @ v
    return np.sum((rows + mixed) ** 2)


def convolution(x, ws):
    """Two layers, each a kernel of two taps that slides along the signal."""
    for w in ws[:2]:
        x = np.tanh(w[0, 0] * x[:-1] + w[0, 1] * x[1:])
    return np.sum(x**2)


NETS = [chain, skip, dense, highway, shared, attention, convolution]


@pytest.fixture(params=NETS, ids=lambda net: net.__name__)
def flow(request, rng):
    x, ws = rng.standard_normal(4), [0.6 * rng.standard_normal((4, 4)) for _ in range(3)]
    return ad.flow(request.param)(x, ws)


def test_every_delta_and_every_edge_is_what_a_perturbation_says(flow, rng):
    assert_flow_is_right(flow, rng)


def test_every_active_edge_has_its_own_term(flow):
    graph = flow.graph
    reached = {v for v in range(len(graph)) if flow.delta[v] is not None}
    for edge in graph.edges:
        if edge.consumer in reached and edge.source in reached:
            terms = flow.edge(edge.source, edge.consumer)
            slots = [k for w, k in graph.consumers[edge.source] if w == edge.consumer]
            assert len(terms) == len(slots)
            assert all(term.shape == graph.shapes[edge.source] for term in terms)


def test_an_output_set_is_complete_before_its_node_is_served(flow):
    """An edge is followed only when every use of its consumer has been: any such order is right."""
    graph = flow.graph
    followed = set()

    def visit(v, w, k):
        for use in graph.consumers[w]:
            assert (w, *use) in followed or flow.delta[use[0]] is None
        followed.add((v, w, k))

    deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, visit=visit)
    assert len(followed) == len(flow.contributions)


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_the_gradient_is_the_delta_of_the_leaves(net, rng):
    x, ws = rng.standard_normal(4), [0.6 * rng.standard_normal((4, 4)) for _ in range(3)]
    flow = ad.flow(net)(x, ws)
    at_x, at_ws = ad.grad(net, argnums=(0, 1))(x, ws)
    np.testing.assert_array_equal(at_x, flow["x"])
    for i, d in enumerate(at_ws):
        np.testing.assert_array_equal(d, flow[f"ws[{i}]"])


def test_a_weight_used_in_four_steps_sums_four_terms(rng):
    flow = ad.flow(shared)(rng.standard_normal(4), [rng.standard_normal((4, 4))])
    weight = flow.graph.node("ws[0]")
    terms = [term for consumer, _ in weight.consumers for term in flow.edge(weight, consumer)]
    assert len(terms) == 4
    np.testing.assert_allclose(sum(terms), flow[weight], rtol=1e-14)


def test_on_a_plain_chain_it_is_the_product_of_matrices(rng):
    """δˡ = (fˡ)′ ∘ (Wˡ⁺¹)ᵀ · (fˡ⁺¹)′ ∘ … ∘ (Wᴸ)ᵀ · (fᴸ)′ ∘ ∇C, and ∇C with respect to Wˡ is δˡ(aˡ⁻¹)ᵀ."""
    sizes = (3, 5, 2, 4)
    x = rng.standard_normal(sizes[0])
    ws = [rng.standard_normal((m, n)) for n, m in pairwise(sizes)]

    def net(x, ws):
        for i, w in enumerate(ws):
            x = ad.name(np.tanh(ad.name(w @ x, f"z{i}")), f"a{i}")
        return 0.5 * np.sum(x**2)

    flow = ad.flow(net)(x, ws)
    z = [flow.graph.node(f"z{i}").value for i in range(len(ws))]
    a = [x, *(flow.graph.node(f"a{i}").value for i in range(len(ws)))]
    slopes = [np.diag(1 - np.tanh(part) ** 2) for part in z]
    for i in range(len(ws)):
        product = slopes[i]
        for j in range(i + 1, len(ws)):
            product = product @ ws[j].T @ slopes[j]
        expected = product @ a[-1]  # the slope of ½‖a‖² is a
        np.testing.assert_allclose(flow[f"z{i}"], expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(flow[f"ws[{i}]"], np.outer(expected, a[i]), rtol=1e-12, atol=1e-15)
