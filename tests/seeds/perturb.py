"""The judge of every δ in this folder: change what one node (or one edge) carries, run the rest again, see what moves.

It uses the forward functions alone, never a derivative rule. The change is imaginary and far below rounding: for
analytic functions the imaginary part of the output is then the derivative itself, exact to the last digits.
"""

import numpy as np

from autodiff.graph import LITERAL

STEP = 1e-30


def rerun(graph, start, given):
    """Every value after node `start` computed again, with the rows of `given` in place of what was there."""
    results = list(graph.values.results)
    changed = set(given)
    for node, value in given.items():
        results[node] = value
    for v in range(start, len(graph)):
        sources = graph.inputs[v]
        if v in given or not any(i in changed for i in sources):
            continue
        results[v] = call(graph, v, [results[i] if i != LITERAL else x for i, x in arguments(graph, v)])
        changed.add(v)
    return results


def arguments(graph, v):
    return zip(graph.inputs[v], graph.literals[v], strict=True)


def call(graph, v, args):
    return graph.ops[v].forward(*args, **(graph.params[v] or {}))


def slope_at_node(graph, v, direction):
    """How fast the (only) output moves when the value of node v moves along `direction`."""
    results = rerun(graph, v, {v: graph.values.results[v] + 1j * STEP * direction})
    return np.imag(results[graph.outputs[0]]) / STEP


def slope_along_edge(graph, edge, direction):
    """The same, when only the consumer of this edge, at this position, sees the change."""
    v, w, k = edge
    args = [graph.values.results[i] if i != LITERAL else x for i, x in arguments(graph, w)]
    args[k] = graph.values.results[v] + 1j * STEP * direction
    results = rerun(graph, w, {w: call(graph, w, args)})
    return np.imag(results[graph.outputs[0]]) / STEP


def assert_flow_is_right(flow, rng):
    """δ of every node, and the term of every edge, against the judge; and the edges of a node sum to its δ."""
    graph = flow.graph
    for v in range(len(graph)):
        direction = rng.standard_normal(graph.shapes[v])
        expected = slope_at_node(graph, v, direction)
        found = np.sum(flow[v] * direction)
        scale = np.sum(np.abs(flow[v] * direction))
        assert abs(found - expected) <= 1e-12 * max(scale, abs(expected)), graph.nodes[v]
    for edge in graph.edges:
        if edge[1:] not in flow.contributions:
            continue
        direction = rng.standard_normal(graph.shapes[edge.source])
        term = flow.contributions[edge.consumer, edge.position]
        expected = slope_along_edge(graph, edge, direction)
        scale = np.sum(np.abs(term * direction))
        assert abs(np.sum(term * direction) - expected) <= 1e-12 * max(scale, abs(expected)), edge
    for v in range(len(graph)):
        terms = [flow.contributions[use] for use in graph.consumers[v] if use in flow.contributions]
        if terms and v not in graph.outputs:
            np.testing.assert_allclose(sum(terms), flow[v], rtol=1e-14, atol=1e-15)
