"""Which way a gradient came: further sweeps of a graph along some of its edges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import GraphError, message
from ..graph import LITERAL, Graph, Node, Values
from ..op import ITEM
from ..sweep import contribution, deltas, reaching
from .amounts import norm
from .structure import Join, window
from .walks import Edge


def without(graph: Graph, edges: Any) -> Graph:
    """The same graph in which no derivative passes along these edges."""
    cut = window(graph, 0, len(graph))
    for w, k in edges:
        cut.inputs[w] = tuple(LITERAL if i == k else u for i, u in enumerate(cut.inputs[w]))
    return cut


def edges_named(graph: Graph, edge: Any, known: Collection[Edge]) -> list[Edge]:
    """The edge or edges that a user names, keyed (consumer, position), of those that are known.

    Raises
    ------
    GraphError
        Where it names none of them.
    """
    nodes = edge[:2] if isinstance(edge, tuple) and len(edge) in (2, 3) else ()
    if not nodes or not all(isinstance(v, (str, int, np.integer, Node)) for v in nodes):
        raise GraphError(
            message(f"an edge was given as {edge!r}", "it leads from a node to one that reads it",
                    "(source, consumer), or (source, consumer, position)")
        )  # fmt: skip
    u = graph.node(edge[0]).index
    uses = [(w, k) for w, k in graph.consumers[u] if _is(graph, w, edge[1])]
    if len(edge) == 3:
        uses = [(w, k) for w, k in uses if k == edge[2]]
    found = [use for use in uses if use in known]
    if not found:
        there = ", ".join(f"({u}, {w}, {k})" for w, k in graph.consumers[u][:6]) or "none"
        raise GraphError(
            message(f"no δ goes along an edge {edge!r}", f"the edges from node {u} are {there}", "one of them")
        )
    return found


def _is(graph: Graph, w: int, key: Any) -> bool:
    """Whether node w is the one meant: its number, its name, itself, or its operation."""
    if isinstance(key, str) and key == graph.ops[w].name:
        return True
    return graph.names.get(w) == key if isinstance(key, str) else graph.node(key).index == w


def has_zeros(seeds: Mapping[int, Any]) -> bool:
    """Whether there is a zero among the seeds: it may be one that must stay a zero."""
    return not all(np.all(seed) for seed in seeds.values())


def swept(
    graph: Graph, values: Values, seeds: Mapping[int, Any], scales: Mapping[Edge, float],
    contributions: dict[Edge, Any] | None = None, targets: list[int] | None = None,
) -> list[Any]:
    """δ of every node where terms of some edges are multiplied by factors; from a factor of 0 nothing is computed."""
    masked = has_zeros(seeds)
    stopped = [edge for edge, factor in scales.items() if factor == 0]
    if contributions is None and scales:
        contributions = {}  # scaling is done where terms are kept
    if stopped and targets is None:  # what leads to an input through what is stopped alone keeps its δ
        targets = [v for v, leads in enumerate(reaching(graph)) if leads]
    return deltas(
        without(graph, stopped) if stopped else graph, values, seeds,
        contributions=contributions, scales=scales, targets=targets, masked=masked,
    )  # fmt: skip


def without_edge(
    graph: Graph, values: Values, seeds: Mapping[int, Any], scales: Mapping[Edge, float], sent: Mapping[Edge, Any],
    edge: Edge, targets: list[int],
) -> list[Any]:
    """δ of the nodes before the consumer of an edge along which nothing goes back; after it nothing changes.

    The sweep starts from what the nodes from that consumer on have sent to those before it.
    """
    top = edge[0]
    later = range(len(graph) - 1, top - 1, -1)  # in the order of a sweep
    crossing = [(w, k) for w in later for k, u in enumerate(graph.inputs[w]) if u != LITERAL and u < top]
    if any(graph.ops[w] is ITEM for w, _ in crossing):  # a part of a tuple's δ, which is kept nowhere by itself
        return swept(graph, values, seeds, {**scales, edge: 0.0}, targets=targets)
    start = {v: seed for v, seed in seeds.items() if v < top}
    for w, k in crossing:
        if (w, k) in sent and (w, k) != edge:
            u = graph.inputs[w][k]
            start[u] = start[u] + sent[w, k] if u in start else sent[w, k]
    before = {other: factor for other, factor in scales.items() if other[0] < top}
    return swept(window(graph, 0, top), values, start, before, targets=[v for v in targets if v < top])


def through(
    graph: Graph, values: Values, scales: Mapping[Edge, float], join: int, position: int, fork: int, term: Any
) -> Any:
    """The part of the δ of a fork that comes back through one argument of a join: a sweep of that way alone."""
    top = graph.inputs[join][position]
    if term is None or top == fork:
        return term
    way = window(graph, fork, top + 1)
    part = Values()
    part.results, part.arguments = values.results[fork : top + 1], values.arguments[fork : top + 1]
    within = {(w - fork, k): factor for (w, k), factor in scales.items() if fork < w <= top}
    return swept(way, part, {top - fork: term}, within, targets=[0])[0]


PARTS = 100_000_000
"""So many nodes may be swept, all parts of a δ together: some minutes."""


def _check_parts(graph: Graph, crossings: list[Edge]) -> None:
    """Refuse to split a δ by branches where it would take a sweep of a large graph for each of very many parts."""
    if (len(crossings) + 1) * len(graph) <= PARTS:
        return
    crossed, most = set(crossings), [0] * len(graph)
    for w in range(len(graph) - 1, -1, -1):
        for k, u in enumerate(graph.inputs[w]):
            if u != LITERAL:
                most[u] = max(most[u], most[w] + ((w, k) in crossed))
    parts = max(most) + 1
    if parts * len(graph) > PARTS:
        raise GraphError(
            message(
                f"δ in {parts:,} parts of a graph of {len(graph):,} nodes would take hours",
                "there is a part for each number of residual branches that a path can take, and a sweep for each part",
                "flow.joins() and flow.shares(node) tell in one sweep what skips and branches bring back",
            )
        )


def by_branches(
    graph: Graph, values: Values, seeds: Mapping[int, Any], joins: list[Join], sent: Mapping[Edge, Any],
    scales: Mapping[Edge, float],
) -> Iterator[list[Any]]:
    """δ of every node by the number of residual branches that the gradient came through; see GradientFlow.by_path.

    Rules are linear in δ, so sweep k starts from what sweep k − 1 would have sent into the residual branches, and goes
    along all other edges. Table k holds None where no path takes k branches.
    """
    crossings = [(join.join, join.residual) for join in joins if join.residual is not None]
    _check_parts(graph, crossings)
    rest = without(graph, crossings)
    # a join whose skip is cut leads nowhere in what is left of the graph, but its δ is still needed
    targets = [*graph.arguments, *(w for w, _ in crossings)] if scales else None
    start: dict[int, Any] = dict(seeds)
    while start:
        found = swept(rest, values, start, scales, targets=targets)
        yield found
        start = {}
        for w, k in crossings:
            if found[w] is not None and (w, k) in sent:
                u = graph.inputs[w][k]
                term = contribution(graph, values, w, k, found[w])
                if (w, k) in scales:
                    term = term * graph.dtypes[u].type(scales[w, k])
                start[u] = start[u] + term if u in start else term


def amounts(graph: Graph, delta: list[Any], sent: Mapping[Edge, Any], targets: list[int]) -> dict[Edge, float]:
    """How much of the gradient of the targets goes along each edge, from the targets up to the output.

    Each target starts with ‖δ‖; a node passes what it has on to its consumers in proportion to the norms of what they
    sent. What arrives at the outputs is what left the targets.
    """
    arrived = [0.0] * len(graph)
    for v in targets:
        if delta[v] is not None:
            arrived[v] += norm(delta[v])
    found: dict[Edge, float] = {}
    for v, amount in enumerate(arrived):
        if not amount:
            continue
        uses = [(edge, norm(sent[edge])) for edge in graph.consumers[v] if edge in sent]
        whole = sum(length for _, length in uses)
        for edge, length in uses:
            found[edge] = amount * length / whole if whole else 0.0
            arrived[edge[0]] += found[edge]
    return found


TRIED = 200_000
"""How many nodes the sweeps that try to leave out edges may visit together, about."""


def fewest(graph: Graph, order: list[Edge], enough: Callable[[list[Edge]], bool]) -> list[Edge]:
    """As few edges as are found that are enough, of some in the order of their importance; all, if not even they are.

    The shortest beginning of the order that is enough is found by halving; of it every group that can be spared is left
    out.
    """
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(order[:middle]) else (middle + 1, high)
    if high == len(order) and not enough(order):
        return order
    return _spare(graph, order[:high], enough)


def _spare(graph: Graph, edges: list[Edge], enough: Callable[[list[Edge]], bool]) -> list[Edge]:
    """What is left of enough edges, the most important first, where every group that can be spared is left out.

    Groups are halved until they are single edges, and single edges are tried until none can be spared, as long as the
    number of sweeps allows it.
    """
    size, sweeps = max(len(edges) // 2, 1), TRIED // len(graph)
    while edges:
        before = len(edges)
        for start in range((len(edges) - 1) // size * size, -1, -size):
            if sweeps <= 0:
                return edges
            rest = edges[:start] + edges[start + size :]
            sweeps -= 1
            if enough(rest):
                edges = rest
        if size == 1 and len(edges) == before:
            return edges
        size = max(size // 2, 1)
    return edges
