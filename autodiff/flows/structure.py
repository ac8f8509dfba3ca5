"""The shape of a graph as a reader sees it: where a node belongs, where ways part and where they meet again."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

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

MEETING = ("add", "subtract", "concatenate")
"""The operations at which a skip connection and a residual branch meet."""

SKIP_NAMES = frozenset(("skip", "shortcut", "identity", "carry"))
RESIDUAL_NAMES = frozenset(("residual", "branch", "transform"))
"""What a scope or a tensor is called where its author says which branch it is."""

NORMALISING = ("layer_norm", "rms_norm", "batch_norm", "group_norm")


class Join(NamedTuple):
    """A node at which two ways from a fork meet again.

    Attributes
    ----------
    join, fork : int
        The nodes.
    skip, residual : int or None
        Argument positions of the join; None where it is ambiguous which is which.
    positions : tuple of int
        The two argument positions, the one with fewer operations first.
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


class Ancestry:
    """For each node the nearest node through which all of it has passed: the tree of dominators.

    Leaves are left out where an operation is among the inputs: a weight that enters on the way does not hide the way.
    With jump pointers the nearest common ancestor of two nodes takes O(log n) steps (Myers 1983, an applicative
    random-access stack).
    """

    def __init__(self, graph: Graph) -> None:
        self.above: list[int] = []
        self.depth: list[int] = []
        self.jump: list[int] = []
        for v, op in enumerate(graph.ops):
            inputs = () if op.flat else sources(graph, v)
            top = -1
            for n, u in enumerate(inputs):
                top = u if n == 0 else self.common(top, u)
            self._enter(v, top)

    def _enter(self, v: int, top: int) -> None:
        self.above.append(top)
        if top < 0:
            self.depth.append(1)
            self.jump.append(-1)
            return
        self.depth.append(self.depth[top] + 1)
        far = self.jump[top]
        same = far >= 0 and self.depth[top] - self.depth[far] == self.depth[far] - self._depth(self.jump[far])
        self.jump.append(self.jump[far] if same else top)

    def _depth(self, v: int) -> int:
        return self.depth[v] if v >= 0 else 0

    def common(self, a: int, b: int) -> int:
        """The nearest node through which both have passed; −1 where there is none."""
        while a != b:
            if self._depth(a) < self._depth(b):
                a, b = b, a
            level = self._depth(b)
            if self._depth(a) > level:
                a = self.jump[a] if self._depth(self.jump[a]) >= level else self.above[a]
            elif self.jump[a] != self.jump[b]:
                a, b = self.jump[a], self.jump[b]
            else:
                a, b = self.above[a], self.above[b]
        return a


def sources(graph: Graph, v: int) -> list[int]:
    """The inputs of a node that a derivative passes to; leaves only where no operation is among them."""
    ops = graph.ops
    found = [u for u in dict.fromkeys(graph.inputs[v]) if u != LITERAL and not ops[u].flat]
    return [u for u in found if ops[u].kind not in ENDS] or found


def find_joins(graph: Graph) -> list[Join]:
    """Every place where a skip connection and a residual branch meet, in order of computation.

    A join adds or concatenates operands that come from a common fork. The operand with fewer operations on its way is
    the skip; where both have as many, the one without parameters of its own, or the one that is not in a scope of its
    own. Scopes and tensors named skip, shortcut, identity or carry, residual, branch or transform decide before that.
    """
    pairs = ((w, _operands(graph, w)) for w, op in enumerate(graph.ops) if op.name in MEETING)
    meetings = {w: operands for w, operands in pairs if len(operands) > 1}
    read = Counter(u for operands in meetings.values() for u in operands)
    ancestry = Ancestry(graph)
    found: list[Join] = []
    for w, operands in meetings.items():
        # a leaf that is added in several places is taken for a parameter
        if not any(graph.ops[u].kind in ENDS and read[u] > 1 for u in operands):
            found.extend(_joins_at(graph, ancestry, w, operands))
    return found


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


def _joins_at(graph: Graph, ancestry: Ancestry, w: int, operands: dict[int, int]) -> list[Join]:
    """The joins at one node: one, or for n operands that are concatenated one for each that is not the skip."""
    fork, several = _fork(graph, ancestry, list(operands))
    if fork is None:
        return []
    ways = [Way(graph, fork, u, k) for u, k in operands.items()]
    ways.sort(key=lambda way: (way.said, len(way.operations)))
    first = ways[0]
    found = []
    for other in ways[1:]:
        order = None if several else _told_apart(graph, w, first, other)
        skip, residual = (other, first) if order else (first, other)
        join = Join(
            w, fork, None, None, (skip.position, residual.position), (len(skip.operations), len(residual.operations)),
            "parallel", None,
        )  # fmt: skip
        if order is not None:
            kind, norm = _kind(graph, w, skip, residual), _normalised(graph, w, fork, residual)
            join = join._replace(skip=skip.position, residual=residual.position, kind=kind, norm=norm)
        found.append(join)
    return found


def _fork(graph: Graph, ancestry: Ancestry, operands: list[int]) -> tuple[int | None, bool]:
    """The nearest node that all operands come from, and whether several leaves could be it."""
    if all(graph.ops[u].kind not in ENDS for u in operands):
        top = operands[0]
        for u in operands[1:]:
            top = ancestry.common(top, u)
        if top >= 0 and graph.ops[top].kind not in ENDS:
            return top, False
    regions = [region(graph, u, -1) for u in operands]
    shared = frozenset.intersection(*map(frozenset, regions))
    leaves = []
    for v in sorted(shared):
        if graph.ops[v].kind in ENDS:
            readers = {w for w, _ in graph.consumers[v]}
            if v in operands or all(readers & (reached - shared) for reached in regions):
                leaves.append(v)
    return (leaves[-1] if leaves else None), len(leaves) > 1


def region(graph: Graph, top: int, fork: int) -> set[int]:
    """The nodes on the ways from a fork to a node, itself among them and the fork not; with −1 down to the leaves."""
    found, waiting = set(), [top] if top != fork else []
    while waiting:
        v = waiting.pop()
        if v not in found:
            found.add(v)
            if not graph.ops[v].flat:
                waiting.extend(u for u in graph.inputs[v] if u != LITERAL and u != fork and u > fork)
    return found


class Way:
    """One way from a fork to an argument of a join."""

    def __init__(self, graph: Graph, fork: int, top: int, position: int) -> None:
        ops = graph.ops
        self.top, self.position = top, position
        leaf = ops[fork].kind in ENDS
        nodes = region(graph, top, -1 if leaf else fork) - {fork}
        if leaf:
            nodes = _descending(graph, fork, nodes)
        self.operations = {v for v in nodes if ops[v].kind not in ENDS and not ops[v].flat}
        self.parameters = {
            u for v in self.operations for u in graph.inputs[v] if u != LITERAL and u != fork and ops[u].kind in ENDS
        }
        words = {graph.names.get(top, "")} | {word for v in self.operations for word in graph.scopes[v][-1:]}
        self.said = bool(words & RESIDUAL_NAMES) - bool(words & SKIP_NAMES)


def _descending(graph: Graph, fork: int, nodes: set[int]) -> set[int]:
    """Those of the nodes that come from the fork."""
    found = {fork}
    for v in sorted(nodes):
        if found.intersection(graph.inputs[v]):
            found.add(v)
    return found - {fork}


def _told_apart(graph: Graph, w: int, first: Way, other: Way) -> int | None:
    """Which of two ways is the skip: 0 the first, 1 the other, None where nothing tells."""
    for a, b in (
        (first.said, other.said),
        (len(first.operations), len(other.operations)),
        (len(first.parameters), len(other.parameters)),
        (_within(graph, w, first), _within(graph, w, other)),
    ):
        if a != b:
            return int(b < a)
    return None


def _within(graph: Graph, w: int, way: Way) -> int:
    """Whether a way runs in a scope of its own, below that of the join."""
    home = graph.scopes[w]
    return all(len(graph.scopes[v]) > len(home) and graph.scopes[v][: len(home)] == home for v in way.operations)


def _kind(graph: Graph, w: int, skip: Way, residual: Way) -> str:
    """What kind of skip it is."""
    ops = [graph.ops[v] for v in skip.operations]
    if graph.ops[w].name == "concatenate":
        return "concatenated"
    if not ops:
        return "identity"
    if skip.operations & residual.operations:
        return "gated"
    if any(op.kind == "bilinear" or op.name.startswith(("conv", "einsum")) for op in ops):
        return "projected"
    if all(op.name in ("multiply", "divide", "negative") for op in ops):
        return "scaled"
    return "transformed"


def _normalised(graph: Graph, w: int, fork: int, residual: Way) -> str | None:
    """Whether a normalisation stands before the residual branch or behind the join."""
    if any(_normalises(graph, v) for v in residual.operations if fork in graph.inputs[v]):
        return "pre"
    return "post" if any(_normalises(graph, v) for v, _ in graph.consumers[w]) else None


def _normalises(graph: Graph, v: int) -> bool:
    """Whether an operation is a normalisation or the first step of one that is written out."""
    return graph.ops[v].name in (*NORMALISING, "mean", "var") or any("norm" in word for word in graph.scopes[v])
