"""The shape of a graph as a reader sees it: where a node belongs, where ways part and where they meet again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import GraphError, message
from ..graph import LITERAL, Graph, Node
from .walks import ADDING, ENDS, Edge, Known, TooFar, between, comes_from, fork_of, operands, region


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


class Seen:
    """What the search for joins knows of a graph: once for all of it, and what was walked so far.

    Attributes
    ----------
    until : int or None
        The node at which the search was given up because it had gone as far as it may; None where it came to its end.
    """

    def __init__(self, graph: Graph) -> None:
        self.until: int | None = None
        self.stretches = Known(graph)
        self.bodies: dict[Edge, set[int]] = {}
        self.leaves = {v for v, op in enumerate(graph.ops) if op.kind in ENDS}
        self.idle = {v for v, op in enumerate(graph.ops) if op.name == "add" and adds_nothing(graph, v)}


def find_joins(graph: Graph, seen: Seen | None = None) -> list[Join]:
    """Every place where a skip connection and a residual branch meet, in order of computation.

    A join adds, concatenates or chooses between operands that come from a common fork. The operand with fewer
    operations on its way is the skip, and of a sum of several terms the one with the fewest; where two have as many,
    the one without parameters of its own, or the one that is not in a scope of its own. Scopes below that of the join,
    and tensors, named skip, shortcut, identity or carry, residual, branch or transform decide before that.

    No join is: what is only added in several places, as the bias of a recurrent net; a difference from which the
    fork itself is taken off, as an error; a sum of losses; a polynomial of the fork; a choice between elementwise
    functions, as an activation; different slices of one array.

    Parameters
    ----------
    seen : Seen, optional
        Filled with what is walked.
    """
    seen = Seen(graph) if seen is None else seen
    meetings: dict[int, Meeting] = {}
    found = []
    w = 0
    try:
        for w, op in enumerate(graph.ops):
            if op.name in MEETING:
                _meet(graph, seen, w, meetings)
    except TooFar:
        seen.until = w
    seen.stretches.left = seen.stretches.most
    for meeting in meetings.values():
        try:
            found += _joins_of(graph, meeting, seen)
        except TooFar:
            seen.until = meeting.node if seen.until is None else min(meeting.node, seen.until)
    return sorted(found, key=lambda join: (join.join, join.positions[1]))


def _meet(graph: Graph, seen: Seen, w: int, meetings: dict[int, Meeting]) -> None:
    """Enter the meeting at a node, of which those of its terms are parts from now on."""
    tops = operands(graph, w)
    if len(tops) < 2:
        return
    parts = {u: meetings[u] for u in tops if u in meetings and _is_term(graph, w, u)}
    fork, several = fork_of(graph, w, tops, seen.stretches)
    for part in parts.values():
        if fork is not None and part.fork < fork and comes_from(graph, fork, part.fork, seen.stretches):
            fork, several = part.fork, part.several  # x + f(h) + g(h), where h comes from x
    if fork is None:
        return
    meeting = Meeting(w, fork, several, {}, [])
    for u, k in tops.items():
        if u in parts and parts[u].fork == fork:
            ways = [way for side in parts[u].sides.values() for way in side]
            seen.stretches.spend(len(ways))
            meeting.parts.append(parts[u])
            meeting.sides[k] = [way.negated() for way in ways] if graph.ops[w].name == "subtract" and k else ways
        else:
            meeting.sides[k] = [Way(graph, seen, w, fork, u, k)]
    for part in meeting.parts:
        del meetings[part.node]
    meetings[w] = meeting


def _is_term(graph: Graph, w: int, u: int) -> bool:
    """Whether a sum goes on with the terms of another, which is used for nothing else."""
    return {graph.ops[w].name, graph.ops[u].name} <= set(ADDING) and len(graph.consumers[u]) == 1


def join_at(graph: Graph, key: int | str | Node, joins: list[Join], homes: list[tuple[str, ...]]) -> Join:
    """The one clear join in a scope of this name, or at this node, of the joins and scopes of a graph.

    Raises
    ------
    GraphError
        Where there is none, there are several, or it is ambiguous which way is the skip.
    """
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


class Way:
    """One way from a fork to an argument of a join."""

    def __init__(self, graph: Graph, seen: Seen, w: int, fork: int, top: int, position: int) -> None:
        self.top = top
        self.negative = graph.ops[w].name == "subtract" and position == 1
        self.operations = between(graph, top, fork, seen.stretches, seen.bodies) - seen.idle
        parameters = seen.leaves & set().union(*(graph.inputs[v] for v in self.operations)) - {fork}
        home = graph.scopes[w]
        inner = [_below(path, home) for path in {graph.scopes[v] for v in self.operations}]
        words = {name for path in inner for name in path[:1]}
        if top != fork or graph.names.get(top) in SKIP_NAMES:  # a fork may be named for what stands on its other side
            words |= {graph.names.get(top, ""), *_below(graph.scopes[top], home)}
        said = bool(words & RESIDUAL_NAMES) - bool(words & SKIP_NAMES)
        self.order = (said, len(self.operations), len(parameters), bool(inner) and all(inner))

    def negated(self) -> Way:
        """The way as a term that is taken off in a larger sum."""
        self.negative = not self.negative
        return self


def _below(path: tuple[str, ...], home: tuple[str, ...]) -> tuple[str, ...]:
    """What is left of a scope beyond what it has in common with another."""
    same = next((i for i, (a, b) in enumerate(zip(path, home, strict=False)) if a != b), min(len(path), len(home)))
    return path[same:]


def adds_nothing(graph: Graph, v: int) -> bool:
    """Whether an addition is the 0 + x with which sum() begins."""
    literals = [x for u, x in zip(graph.inputs[v], graph.literals[v], strict=True) if u == LITERAL]
    return len(literals) == 1 and np.ndim(literals[0]) == 0 and literals[0] == 0


# -- which of the ways is the skip -------------------------------------------------------------------------------------


def _joins_of(graph: Graph, whole: Meeting, seen: Seen) -> list[Join]:
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
        seen.stretches.spend(sum(map(len, meeting.sides.values())))
        sides = sorted(meeting.sides.items(), key=lambda side: min(way.order for way in side[1]))
        if clear:
            sides.sort(key=lambda side: skip not in side[1])
        if not clear or skip in sides[0][1]:
            found += [_join(graph, seen, meeting, sides[0], other, skip if clear else None) for other in sides[1:]]
    return found


def _join(
    graph: Graph, seen: Seen, meeting: Meeting, first: tuple[int, list[Way]], other: tuple[int, list[Way]],
    skip: Way | None,
) -> Join:
    """The join of two sides of a meeting: the first has the skip, unless it is ambiguous which way that is."""
    w, fork = meeting.node, meeting.fork
    seen.stretches.spend(sum(len(way.operations) for way in (*first[1], *other[1])))
    branch = set().union(*(way.operations for way in other[1]))
    passed = skip.operations if skip is not None else set().union(*(way.operations for way in first[1]))
    positions, counts = (first[0], other[0]), (len(passed), len(branch) + len(other[1]) - 1)
    if skip is None:
        return Join(w, fork, None, None, positions, counts, "parallel", None)
    return Join(w, fork, *positions, positions, counts, _kind(graph, w, passed, branch),
                _norm(graph, seen.stretches, w, fork, branch))  # fmt: skip


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


def _norm(graph: Graph, known: Known, w: int, fork: int, residual: set[int]) -> str | None:
    """Whether a normalisation stands before the residual branch or behind the join."""
    if any(_normalises(graph, known, v, fork) for v in residual if fork in graph.inputs[v]):
        return "pre"
    return "post" if any(_normalises(graph, known, v, w) for v, _ in graph.consumers[w]) else None


def _normalises(graph: Graph, known: Known, v: int, u: int) -> bool:
    """Whether a node normalises one that it reads: it is such an operation, or takes off or divides by its moments."""
    if graph.ops[v].name in NORMALISING or any("norm" in word for word in graph.scopes[v]):
        return True
    if graph.ops[v].name not in ("subtract", *FACTORS):
        return False
    small = [s for s in graph.inputs[v] if s > u and graph.shapes[s] != graph.shapes[u]]
    return any(graph.ops[m].name in MOMENTS for s in small for m in region(graph, s, u, known))
