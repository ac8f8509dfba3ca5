"""The shape of a graph as a reader sees it: where a node belongs, where ways part and where they meet again."""

from __future__ import annotations

import functools
import heapq
from typing import NamedTuple

import numpy as np

from ..errors import GraphError, message
from ..graph import LITERAL, Graph, Node

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


# -- where ways part and meet again ------------------------------------------------------------------------------------

ADDING = ("add", "subtract")
MEETING = (*ADDING, "concatenate", "where")
"""The operations at which a skip connection and a residual branch meet."""

SKIP_NAMES = frozenset(("skip", "shortcut", "identity", "carry"))
RESIDUAL_NAMES = frozenset(("residual", "branch", "transform"))
"""What a scope or a tensor is called where its author says which branch it is."""

NORMALISING = ("layer_norm", "rms_norm", "batch_norm", "group_norm")
MOMENTS = ("mean", "var", "std")
POWERS = ("power", "square", "multiply")
FACTORS = ("multiply", "divide", "negative")


class Join(NamedTuple):
    """A node at which two ways from a fork meet again.

    Attributes
    ----------
    join, fork : int
        The nodes.
    skip, residual : int or None
        Argument positions of the join; None where it is ambiguous which is which.
    positions : tuple of int
        The two argument positions, that of the skip or of the way with fewer operations first.
    operations : tuple of int
        How many operations lie on each of them.
    kind : str
        Of the skip: identity, scaled, projected, gated, transformed; concatenated where nothing is added; parallel
        where it is ambiguous.
    norm : str or None
        "pre" where the residual branch begins with a normalisation, "post" where one follows the join.
    """

    join: int
    fork: int
    skip: int | None
    residual: int | None
    positions: tuple[int, int]
    operations: tuple[int, int]
    kind: str
    norm: str | None


class Meeting(NamedTuple):
    """A node whose operands come from one fork: for each position the ways that end there, several where it is a sum.

    The terms of x + f(x) + g(x) are three ways that meet at two nodes; the meeting at the first is a part of the other.
    """

    node: int
    fork: int
    several: bool
    sides: dict[int, list[Way]]
    parts: list[Meeting]


def find_joins(graph: Graph) -> list[Join]:
    """Every place where a skip connection and a residual branch meet, in order of computation.

    A join adds, concatenates or chooses between operands that come from a common fork. The operand with fewer
    operations on its way is the skip, and of a sum of several terms the one with the fewest; where two have as many,
    the one without parameters of its own, or the one that is not in a scope of its own. Scopes below that of the join,
    and tensors, named skip, shortcut, identity or carry, residual, branch or transform decide before that.

    No join is: what is only added in several places, as the bias of a recurrent net; a difference from which the
    fork itself is taken off, as an error; a sum of losses; a polynomial of the fork; a choice between elementwise
    functions, as an activation; different slices of one array.
    """
    meetings: dict[int, Meeting] = {}
    for w, op in enumerate(graph.ops):
        operands = _operands(graph, w) if op.name in MEETING else {}
        if len(operands) > 1:
            parts = {u: meetings[u] for u in operands if u in meetings and _is_term(graph, w, u)}
            fork, several = _fork(graph, w, operands)
            for part in parts.values():
                if fork is not None and part.fork < fork and _comes_from(graph, fork, part.fork):
                    fork, several = part.fork, part.several  # x + f(h) + g(h), where h comes from x
            if fork is not None:
                meetings[w] = Meeting(w, fork, several, {}, [])
                for u, k in operands.items():
                    if u in parts and parts[u].fork == fork:
                        meetings[w].parts.append(meetings.pop(u))
                        ways = [way for side in parts[u].sides.values() for way in side]
                        meetings[w].sides[k] = [way.negated() for way in ways] if op.name == "subtract" and k else ways
                    else:
                        meetings[w].sides[k] = [Way(graph, w, fork, u, k)]
    found = [join for meeting in meetings.values() for join in _joins_of(graph, meeting)]
    return sorted(found, key=lambda join: (join.join, join.positions[1]))


def _is_term(graph: Graph, w: int, u: int) -> bool:
    """Whether a sum goes on with the terms of another, which is used for nothing else."""
    return {graph.ops[w].name, graph.ops[u].name} <= set(ADDING) and len(graph.consumers[u]) == 1


def join_at(graph: Graph, key: int | str | Node) -> Join:
    """The one clear join in a scope of this name, or at this node.

    Raises
    ------
    GraphError
        Where there is none, there are several, or it is ambiguous which way is the skip.
    """
    joins, homes = find_joins(graph), scopes(graph)
    found = [join for join in joins if isinstance(key, str) and "/".join(homes[join.join]) == key]
    if not found:
        known = isinstance(key, str) and key not in graph.names.values()
        v = -1 if known else graph.node(key).index
        found = [join for join in joins if join.join == v]
    clear = [join for join in found if join.skip is not None]
    if len(clear) == 1:
        return clear[0]
    if clear:
        places = ", ".join(str(join.join) for join in clear)
        why, instead = f"there are {len(clear)} joins, at the nodes {places}", "the number of one of these nodes"
    elif found:
        why, instead = "both ways may be the skip", "name a scope skip or residual, or cut((source, join))"
    else:
        places = ", ".join(dict.fromkeys("/".join(homes[join.join]) or str(join.join) for join in joins)) or "none"
        why, instead = f"the joins are {places}", "one of them; flow.joins() lists them"
    raise GraphError(message(f"no one join is meant by {key!r}", why, instead))


def _operands(graph: Graph, w: int) -> dict[int, int]:
    """What meets at a node, with its argument position: not what is broadcast, as a bias or a mean taken off."""
    ops, shapes = graph.ops, graph.shapes
    whole = ops[w].name == "concatenate"
    return {
        u: k for k, u in enumerate(graph.inputs[w])
        if u != LITERAL and not ops[u].flat and (whole or shapes[u] == shapes[w])
    }  # fmt: skip


def _fork(graph: Graph, w: int, operands: dict[int, int]) -> tuple[int | None, bool]:
    """The nearest node that all operands come from, and whether several could be it.

    The ways are walked down from all operands at once, in the order of the graph, and not on from where they have all
    met. Weights and other data that enter on one way alone are passed by; where one way has come to its end, so has
    the walk.
    """
    ops, shape, every = graph.ops, graph.shapes[min(operands)], (1 << len(operands)) - 1
    reached = {u: 1 << n for n, u in enumerate(operands)}
    ends = [1] * len(operands)  # how many nodes each way has yet to go on from
    steps = dict.fromkeys(operands, 0)
    readers: dict[int, list[int]] = {}
    waiting = [-u for u in operands]
    heapq.heapify(waiting)
    met: list[int] = []
    while all(ends):
        v = -heapq.heappop(waiting)
        for n in _bits(reached[v]):
            ends[n] -= 1
        if reached[v] == every:
            if v in operands:
                added = all(ops[r].name in ADDING and v in _operands(graph, r) for r in readers[v])
                return (None if added or _is_loss(graph, w, v) else v), False
            if not _is_loss(graph, w, v) and any(ops[r].name not in ("getitem", "item") for r in readers[v]):
                met.append(v)
            continue
        for u in dict.fromkeys(graph.inputs[v]):
            if u == LITERAL or ops[u].flat:
                continue
            if u not in reached:
                if ops[u].kind in ENDS and _is_weight(graph, u, shape):
                    continue
                reached[u] = 0
                heapq.heappush(waiting, -u)
            for n in _bits(reached[v] & ~reached[u]):
                ends[n] += 1
            reached[u] |= reached[v]
            steps[u] = min(steps.get(u, steps[v] + 1), steps[v] + 1)
            readers.setdefault(u, []).append(v)
    if len(met) > 1:
        met = [v for v in met if not any(u < v and _comes_from(graph, v, u) for u in met)]
        nearest = min(steps[v] for v in met)
        met = [v for v in met if steps[v] == nearest]
    return (met[0] if met else None), len(met) > 1


@functools.lru_cache(1024)
def _bits(mask: int) -> tuple[int, ...]:
    """The places of the ones in a binary number."""
    return tuple(n for n in range(mask.bit_length()) if mask >> n & 1)


def _is_weight(graph: Graph, v: int, shape: tuple[int, ...]) -> bool:
    """Whether a leaf is taken for a weight, at which no ways part.

    It is one where its first axis is not that of the operands, the batch, or where it is only ever the second factor
    of a product.
    """
    here = graph.shapes[v]
    if len(here) < 2 or len(shape) < 2:
        return max(len(here), len(shape)) > 1
    second = all(k == 1 and graph.ops[r].kind == "bilinear" for r, k in graph.consumers[v])
    return second or bool(here[0] != shape[0])


def _is_loss(graph: Graph, w: int, v: int) -> bool:
    """Whether arrays that come from v have been reduced to numbers at w."""
    return bool(graph.shapes[w] == () and graph.shapes[v] != ())


def _comes_from(graph: Graph, v: int, fork: int) -> bool:
    """Whether a derivative passes from a node to another that is computed before it."""
    return any(fork in graph.inputs[u] for u in region(graph, v, fork))


def region(graph: Graph, top: int, fork: int) -> set[int]:
    """The nodes that a node is computed from, itself among them, as far down as a fork, which is not."""
    found, waiting = set(), [top] if top != fork else []
    while waiting:
        v = waiting.pop()
        if v not in found:
            found.add(v)
            if not graph.ops[v].flat:
                waiting.extend(u for u in graph.inputs[v] if u > fork)  # a literal is less than any node
    return found


class Way:
    """One way from a fork to an argument of a join."""

    def __init__(self, graph: Graph, w: int, fork: int, top: int, position: int) -> None:
        ops = graph.ops
        self.top = top
        self.negative = ops[w].name == "subtract" and position == 1
        came = {fork}
        for v in sorted(region(graph, top, fork)):
            if not ops[v].flat and not came.isdisjoint(graph.inputs[v]):
                came.add(v)
        self.operations = {v for v in came if v != fork and not _adds_nothing(graph, v)}
        self.parameters = {
            u for v in self.operations for u in graph.inputs[v] if u != LITERAL and u != fork and ops[u].kind in ENDS
        }
        home = graph.scopes[w]
        inner = [_below(graph.scopes[v], home) for v in self.operations]
        words = {name for path in inner for name in path[:1]}
        if top != fork or graph.names.get(top) in SKIP_NAMES:  # a fork may be named for what stands on its other side
            words |= {graph.names.get(top, ""), *_below(graph.scopes[top], home)}
        said = bool(words & RESIDUAL_NAMES) - bool(words & SKIP_NAMES)
        self.order = (said, len(self.operations), len(self.parameters), bool(inner) and all(inner))

    def negated(self) -> Way:
        """The way as a term that is taken off in a larger sum."""
        self.negative = not self.negative
        return self


def _below(path: tuple[str, ...], home: tuple[str, ...]) -> tuple[str, ...]:
    """What is left of a scope beyond what it has in common with another."""
    same = next((i for i, (a, b) in enumerate(zip(path, home, strict=False)) if a != b), min(len(path), len(home)))
    return path[same:]


def _adds_nothing(graph: Graph, v: int) -> bool:
    """Whether it is the 0 + x with which sum() begins."""
    literals = [x for u, x in zip(graph.inputs[v], graph.literals[v], strict=True) if u == LITERAL]
    return graph.ops[v].name == "add" and len(literals) == 1 and np.ndim(literals[0]) == 0 and literals[0] == 0


# -- which of the ways is the skip -------------------------------------------------------------------------------------


def _joins_of(graph: Graph, whole: Meeting) -> list[Join]:
    """The joins of a meeting and of the sums that are parts of it."""
    ways = sorted((way for side in whole.sides.values() for way in side), key=lambda way: way.order)
    skip, name = ways[0], graph.ops[whole.node].name
    if name == "where" and all(graph.ops[v].kind == "elementwise" for way in ways for v in way.operations):
        return []
    if name in ADDING and ((skip.negative and skip.order[0] >= 0) or _is_polynomial(graph, whole.fork, ways)):
        return []
    clear = not whole.several and skip.order < ways[1].order
    found, waiting = [], [whole]
    while waiting:
        meeting = waiting.pop()
        waiting.extend(meeting.parts)
        sides = sorted(meeting.sides.items(), key=lambda side: min(way.order for way in side[1]))
        if clear:
            sides.sort(key=lambda side: skip not in side[1])
        if not clear or skip in sides[0][1]:
            found += [_join(graph, meeting, sides[0], other, skip if clear else None) for other in sides[1:]]
    return found


def _join(
    graph: Graph, meeting: Meeting, first: tuple[int, list[Way]], other: tuple[int, list[Way]], skip: Way | None
) -> Join:
    """The join of two sides of a meeting: the first has the skip, unless it is ambiguous which way that is."""
    w, fork = meeting.node, meeting.fork
    branch = set().union(*(way.operations for way in other[1]))
    passed = skip.operations if skip is not None else set().union(*(way.operations for way in first[1]))
    positions, counts = (first[0], other[0]), (len(passed), len(branch) + len(other[1]) - 1)
    if skip is None:
        return Join(w, fork, None, None, positions, counts, "parallel", None)
    return Join(w, fork, *positions, positions, counts, _kind(graph, w, passed, branch), _norm(graph, w, fork, branch))


def _is_polynomial(graph: Graph, fork: int, ways: list[Way]) -> bool:
    """Whether a sum is one of powers of the fork, as within an activation that is written out."""
    nodes = set().union(*(way.operations for way in ways))
    inside = nodes | {fork}
    plain = all(
        graph.ops[v].name in (*POWERS, *FACTORS) and inside.issuperset(u for u in graph.inputs[v] if u != LITERAL)
        for v in nodes
    )
    return plain and any(
        graph.ops[v].name in POWERS and (graph.ops[v].name != "multiply" or LITERAL not in graph.inputs[v])
        for v in nodes
    )


def _kind(graph: Graph, w: int, skip: set[int], residual: set[int]) -> str:
    """What kind of skip it is."""
    ops = [graph.ops[v] for v in skip]
    if graph.ops[w].name == "concatenate":
        return "concatenated"
    if graph.ops[w].name == "where" or skip & residual:
        return "gated"
    if not ops:
        return "identity"
    if any(op.kind == "bilinear" or op.name.startswith(("conv", "einsum")) for op in ops):
        return "projected"
    return "scaled" if all(op.name in FACTORS for op in ops) else "transformed"


def _norm(graph: Graph, w: int, fork: int, residual: set[int]) -> str | None:
    """Whether a normalisation stands before the residual branch or behind the join."""
    if any(_normalises(graph, v, fork) for v in residual if fork in graph.inputs[v]):
        return "pre"
    return "post" if any(_normalises(graph, v, w) for v, _ in graph.consumers[w]) else None


def _normalises(graph: Graph, v: int, u: int) -> bool:
    """Whether a node normalises one that it reads: it is such an operation, or takes off or divides by its moments."""
    if graph.ops[v].name in NORMALISING or any("norm" in word for word in graph.scopes[v]):
        return True
    if graph.ops[v].name not in ("subtract", *FACTORS):
        return False
    small = [s for s in graph.inputs[v] if s > u and graph.shapes[s] != graph.shapes[u]]
    return any(graph.ops[m].name in MOMENTS for s in small for m in region(graph, s, u))
