"""Laws 4, 5, 6 and 9, and the first three once more, on random graphs."""

from collections import Counter

import networkx
import numpy as np
from hypothesis import assume, given, settings

import autodiff as ad
from autodiff.call import Call
from autodiff.recorders import Trace
from autodiff.sweep import deltas, evaluate
from autodiff.testing.probe import check_adjoint, check_oracle, derived, draw_like, norm, pairing, pull, push
from tests import naive
from tests.laws.graphs import programs

many = settings(max_examples=5 * settings().max_examples)  # a graph is small and quick


def check_delta(flow, rng):
    """4. Push the value of any node and compute again from there: the output moves by ⟨δ, push⟩."""
    graph, values = flow.graph, flow.values
    output = graph.outputs[0]
    for v in range(output + 1):
        if graph.dtypes[v].kind != "f":
            continue
        direction = draw_like(rng, values[v])
        want = float(naive.moved(graph, values, v, direction, output))
        got = float(np.sum(flow[v] * direction))
        # the products on the way cancel, so rounding is seen against the sizes of what is multiplied; the complex step
        # itself errs by H²
        allowed = 1e-11 * (abs(want) + norm([flow[v]]) * norm([direction])) + naive.H
        assert abs(got - want) <= allowed, (v, got, want)


def check_paths(flow):
    """5 and 6. δ is the sum over paths; the contribution of an edge is the part of it whose paths begin there."""
    graph, values = flow.graph, flow.values
    output = graph.outputs[0]
    for v in range(output + 1):
        if graph.dtypes[v].kind != "f" or v not in active(graph):
            continue
        parts = naive.by_edge(graph, values, v, output, 1.0)
        scale = sum(np.max(np.abs(part), initial=0.0) for part in parts.values())
        close = {"rtol": 0, "atol": 1e-11 * scale}
        np.testing.assert_allclose(flow[v], sum(parts.values()), **close, err_msg=f"node {v}")
        assert {key for key in flow.contributions if graph.inputs[key[0]][key[1]] == v} == parts.keys() - {None}
        for key in parts.keys() - {None}:
            np.testing.assert_allclose(flow.contributions[key], parts[key], **close, err_msg=f"edge {v} to {key}")


def check_edges(flow):
    """6. What the edges out of a node carry sums to its δ."""
    graph = flow.graph
    for v in range(len(graph.ops)):
        if v in graph.outputs or flow.delta[v] is None:
            continue
        terms = [flow.contributions[w, k] for w, k in graph.consumers[v] if (w, k) in flow.contributions]
        assert terms, f"node {v} has a δ and no edge that carries it"
        scale = max(np.max(np.abs(term), initial=0.0) for term in terms)
        np.testing.assert_allclose(sum(terms[1:], terms[0]), flow.delta[v], rtol=0, atol=1e-14 * len(terms) * scale)


def active(graph):
    """The nodes on a path from an argument to the output through derivatives; found by networkx, not by the sweep."""
    drawn = networkx.DiGraph()
    drawn.add_nodes_from(range(len(graph.ops)))
    drawn.add_edges_from((v, w) for w, k, v in active_edges_by_rule(graph))
    output = graph.outputs[0]
    below = set.union(*(networkx.descendants(drawn, v) | {v} for v in graph.arguments))
    return below & (networkx.ancestors(drawn, output) | {output})


def active_edges_by_rule(graph):
    """Every edge (w, k, source) that a derivative can pass."""
    for w, inputs in enumerate(graph.inputs):
        op = graph.ops[w]
        for k, v in enumerate(inputs):
            if v != naive.LITERAL and not op.flat and (op.joint is not None or op.vjps[k] is not None):
                yield w, k, v


def check_once(graph):
    """9. One rule for each edge on a path from an argument to the output, and no other."""
    seen = Counter()
    output = graph.outputs[0]
    deltas(graph, graph.values, {output: np.float64(1.0)}, visit=lambda v, w, k: seen.update([(w, k, v)]))
    living = active(graph)
    want = Counter(edge for edge in active_edges_by_rule(graph) if edge[0] in living and edge[2] in living)
    assert seen == want


def flow_of(program):
    flow = ad.flow(program)(*program.leaves())
    assert len(flow.graph) <= 45
    return flow


@many
@given(programs())
def test_delta_is_how_the_output_moves(program):
    check_delta(flow_of(program), np.random.default_rng(program.seed))


@many
@given(programs(limit=14))
def test_delta_is_the_sum_over_paths(program):
    flow = flow_of(program)
    output = flow.graph.outputs[0]
    assume(sum(naive.count_paths(flow.graph, v, output) for v in range(output + 1)) <= 600)
    check_paths(flow)


@many
@given(programs())
def test_edges_close(program):
    check_edges(flow_of(program))


@many
@given(programs())
def test_parts_by_path_close(program):
    """6. Split by the number of residual branches on the way, the parts sum to δ; and the paths are counted right."""
    flow = flow_of(program)
    output = flow.graph.outputs[0]
    for v in flow.graph.arguments:
        parts = flow.by_path(v)
        scale = sum(np.max(np.abs(part), initial=0.0) for part in parts)
        np.testing.assert_allclose(sum(parts[1:], parts[0]), flow[v], rtol=0, atol=1e-14 * scale)
        assert flow.paths(v) == naive.count_paths(flow.graph, v, output)


@many
@given(programs())
def test_once(program):
    check_once(flow_of(program).graph)


@many
@given(programs())
def test_lean_and_full_traces_agree(program):
    xs = program.leaves()
    flow = ad.flow(program)(*xs)
    call = Call(program, None, xs).run(Trace(), xs, {})
    for d, v, x in zip(call.sweep([np.float64(1.0)], release=True), flow.graph.arguments, xs, strict=True):
        np.testing.assert_array_equal(d, flow[v])
        assert np.shape(d) == np.shape(x)


@many
@given(programs())
def test_evaluating_the_graph_again_gives_the_same_bits(program):
    graph = ad.check(ad.trace(program)(*program.leaves()))
    again = evaluate(graph, [graph.values[v] for v in graph.arguments])
    for v in range(len(graph)):
        np.testing.assert_array_equal(again[v], graph.values[v])
    if not any(op.name == "update" for op in graph.ops):  # plain arrays have no .at, so there the program does without
        # to a tolerance: ** between NumPy's scalars is the C library's, between arrays NumPy's own
        np.testing.assert_allclose(program(*program.leaves()), graph.values[graph.outputs[0]], rtol=1e-12, atol=1e-12)


@many
@given(programs())
def test_both_modes_and_both_orders(program):
    rng = np.random.default_rng(program.seed)
    xs = program.leaves()
    us, vs = (tuple(draw_like(rng, x) for x in xs) for _ in range(2))

    def f(*leaves):
        return (program(*leaves),)

    check_adjoint("a random program", f, xs, vs, (1.0,))
    gradient, tangent = derived(f, "reverse", (1.0,)), derived(f, "forward", us)
    ways = [
        pairing(push(gradient, xs, vs), us),
        pairing(pull(gradient, xs, us), vs),
        pairing(pull(tangent, xs, (1.0,)), vs),
        pairing(push(tangent, xs, vs), (1.0,)),
        pairing(push(gradient, xs, us), vs),
    ]
    scale = max(map(abs, ways)) + norm(pull(gradient, xs, us)) * norm(vs)
    assert max(ways) - min(ways) <= 1e-11 * scale  # four sums of up to 40 nodes' products in four orders


@many
@given(programs(limit=24))
def test_the_gradient_of_the_graph_is_that_of_the_function(program):
    xs = program.leaves()
    rng = np.random.default_rng(program.seed)
    vs = tuple(draw_like(rng, x) for x in xs)
    graph = ad.trace(program)(*xs)

    def replayed(*leaves):
        return (evaluate(graph, leaves)[graph.outputs[0]],)

    # the branches were fixed when the graph was recorded, so this is smooth
    check_oracle("a random program", replayed, xs, vs, push(replayed, xs, vs), rtol=1e-9, atol=1e-9)
