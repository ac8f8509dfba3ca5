"""The shape of a graph as a reader sees it: where a node belongs, where ways part and where they meet again."""

from __future__ import annotations

import heapq

from ..graph import LITERAL, Graph

ENDS = ("input", "constant")
"""The kinds of node that compute nothing."""


def scopes(graph: Graph) -> list[tuple[str, ...]]:
    """The scope of each node.

    A leaf is recorded where it is first used, and belongs where all its uses stand: a weight that one operation
    reads, to the scope of that operation. What several operations read, one of them directly in that scope, comes in
    from outside.
    """
    found = list(graph.scopes)
    for v, op in enumerate(graph.ops):
        if op.kind in ENDS and graph.consumers[v]:
            paths = [graph.scopes[w] for w, _ in graph.consumers[v]]
            low, high = min(paths), max(paths)
            pairs = zip(low, high, strict=False)
            same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(low), len(high)))
            shared = len({w for w, _ in graph.consumers[v]}) > 1 and low[:same] in paths
            found[v] = low[: same - shared] if same else ()
    return found


def window(graph: Graph, start: int, stop: int) -> Graph:
    """The nodes from `start` up to `stop` as a graph of their own; what comes from before is a literal."""
    part = Graph()
    for column in ("ops", "literals", "params", "shapes", "dtypes", "scopes", "lines"):
        setattr(part, column, getattr(graph, column)[start:stop])
    part.inputs = [
        tuple(u - start if u >= start else LITERAL for u in inputs) if start else inputs
        for inputs in graph.inputs[start:stop]
    ]
    part.arguments = [v - start for v in graph.arguments if start <= v < stop]
    return part


def find_fork(graph: Graph, w: int) -> tuple[int, tuple[int, int], bool] | None:
    """The nearest node that both operands of w lead back to, the operations on either way, and whether it is ambiguous.

    Walks back from both operands, latest node first, until one node was reached from both. A leaf counts only if no
    operation does, and one that is added in several places is taken for a parameter.
    """
    inputs, ops, consumers = graph.inputs, graph.ops, graph.consumers
    p, q = inputs[w]
    if LITERAL in (p, q) or p == q:
        return None
    for v in (p, q):
        if ops[v].kind in ENDS and sum(ops[u].name == "add" for u in {u for u, _ in consumers[v]}) > 1:
            return None
    reached = {p: 1, q: 2}
    heap = [-p, -q]
    heapq.heapify(heap)
    waiting = {1: 1, 2: 1}  # how many nodes are still to be looked at on either side
    counts = {1: 0, 2: 0}
    leaves = []
    while heap and all(waiting.values()):
        v = -heapq.heappop(heap)
        side = reached.pop(v)
        leaf = ops[v].kind in ENDS
        if side == 3:
            if not leaf:
                return v, (counts[1], counts[2]), counts[1] == counts[2]
            leaves.append(v)
            for s in (1, 2):
                waiting[s] -= 1
            continue
        waiting[side] -= 1
        counts[side] += not leaf
        for u in set(inputs[v]) - {LITERAL}:
            known = reached.get(u, 0)
            if not known:
                heapq.heappush(heap, -u)
            if known != 3 and known != side:
                reached[u] = known | side
                waiting[side] += 1
    if not leaves:
        return None
    return leaves[0], (counts[1], counts[2]), len(leaves) > 1 or counts[1] == counts[2]
