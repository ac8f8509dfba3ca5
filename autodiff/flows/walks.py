"""Walks down a graph, against the order of computation: where ways meet, and what lies between two nodes.

What lies between a node and the few others that it is computed from is walked once where nothing else reads of it: a
:class:`Stretch`. Sums of many terms and nets in nets are walked in time that grows with their size alone.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterable
from typing import NamedTuple

from ..graph import LITERAL, Graph

ENDS = ("input", "constant")
"""The kinds of node that compute nothing."""

ADDING = ("add", "subtract")
PICKING = ("getitem", "item")
FEW = 4
"""A stretch has so many exits at most."""
STEPS, STEPS_A_NODE = 2_000_000, 20
"""So many nodes may be walked through to find the joins of a graph; nearly all nets need about ten for each node."""


class Exit(NamedTuple):
    """A node that a stretch is computed from."""

    node: int
    steps: int
    """How many edges the shortest way to it has."""
    edges: int
    """How many edges lead to it."""
    used: bool
    """Whether something else reads it than what picks a part of it."""
    added: bool
    """Whether it is read by sums alone, as one of their terms."""


class TooFar(Exception):
    """A search has walked as far as it may."""


class Known(dict[int, "Stretch"]):
    """What is known of a graph: the stretches that were walked, by the node at which they end, and how far one may go.

    Ways that lie inside of one another, as where each step reads what the first one read, would be walked again and
    again; so many steps in all are taken at most, a number that grows with the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.most = self.left = STEPS + STEPS_A_NODE * len(graph)
        self.walked = 0
        self.uses: dict[int, int] = {}
        self.second: dict[int, bool] = {}

    def spend(self, steps: int) -> None:
        """Take so many steps off what is left.

        Raises
        ------
        TooFar
            Where there are not so many.
        """
        if steps > self.left:
            raise TooFar
        self.left -= steps
        self.walked += steps


class Stretch(NamedTuple):
    """What lies between a node and its exits, of which nothing but the node is used anywhere else."""

    exits: tuple[Exit, ...]
    shape: tuple[int, ...]
    """Of the operands that met there: it tells weights from data."""


def operands(graph: Graph, w: int) -> dict[int, int]:
    """What meets at a node, with its argument position: not what is broadcast, as a bias or a mean taken off."""
    ops, shapes = graph.ops, graph.shapes
    whole = ops[w].name == "concatenate"
    return {
        u: k for k, u in enumerate(graph.inputs[w])
        if u != LITERAL and not ops[u].flat and (whole or shapes[u] == shapes[w])
    }  # fmt: skip


def fork_of(graph: Graph, w: int, tops: dict[int, int], known: Known) -> tuple[int | None, bool]:
    """The nearest node that all operands come from, and whether several could be it.

    The ways are walked down from all operands at once, in the order of the graph, and not on from where they have all
    met. Weights and other data that enter on one way alone are passed by; where one way has come to its end, so has
    the walk. Where what was walked is a stretch, it joins those that are `known`.
    """
    walk = _Walk(graph, tops, known)
    met: list[int] = []
    while all(walk.ends):
        v = walk.step()
        if walk.reached[v] != walk.every:
            continue
        if v in tops:
            walk.note(w)
            return (None if walk.added[v] or _is_loss(graph, w, v) else v), False
        if not _is_loss(graph, w, v) and walk.used[v]:
            met.append(v)
    walk.note(w)
    if len(met) > 1:
        met = [v for v in met if not any(u < v and comes_from(graph, v, u, known) for u in met)]
        nearest = min(walk.steps[v] for v in met)
        met = [v for v in met if walk.steps[v] == nearest]
    return (met[0] if met else None), len(met) > 1


class _Walk:
    """The ways down from several operands, one bit a way."""

    def __init__(self, graph: Graph, tops: dict[int, int], known: Known) -> None:
        self.graph, self.tops, self.known = graph, tops, known
        self.shape = graph.shapes[min(tops)]
        self.every = (1 << len(tops)) - 1
        self.reached = {u: 1 << n for n, u in enumerate(tops)}
        self.ends = [1] * len(tops)  # how many nodes each way has yet to go on from
        self.steps = dict.fromkeys(tops, 0)
        self.edges = dict.fromkeys(tops, 0)
        self.used: dict[int, bool] = {}
        self.added: dict[int, bool] = {}
        self.waiting = [-u for u in tops]
        heapq.heapify(self.waiting)
        self.passed: list[int] = []  # what was walked through
        self.weights: set[int] = set()  # what was passed by

    def step(self) -> int:
        """Go on from the highest node, unless all ways have met there."""
        graph, v = self.graph, -heapq.heappop(self.waiting)
        self.known.spend(1 + len(graph.inputs[v]))
        for n in _bits(self.reached[v]):
            self.ends[n] -= 1
        if self.reached[v] == self.every:
            return v
        stretch = self.known.get(v)
        if stretch is not None and stretch.shape == self.shape:
            for end in stretch.exits:
                self._reach(v, end)
        else:
            used, adding = graph.ops[v].name not in PICKING, graph.ops[v].name in ADDING
            terms = operands(graph, v) if adding else ()
            for u in dict.fromkeys(graph.inputs[v]):
                if u != LITERAL and not graph.ops[u].flat:
                    self._reach(v, Exit(u, 1, graph.inputs[v].count(u), used, u in terms))
        self.passed.append(v)
        return v

    def _reach(self, v: int, end: Exit) -> None:
        graph, u = self.graph, end.node
        if u not in self.reached and graph.ops[u].kind in ENDS and _is_weight(graph, u, self.shape, self.known):
            self.weights.add(u)
        else:
            if u not in self.reached:
                self.reached[u] = 0
                heapq.heappush(self.waiting, -u)
            for n in _bits(self.reached[v] & ~self.reached[u]):
                self.ends[n] += 1
            self.reached[u] |= self.reached[v]
        steps = self.steps[v] + end.steps
        self.steps[u] = min(self.steps.get(u, steps), steps)
        self.edges[u] = self.edges.get(u, 0) + end.edges
        self.used[u] = self.used.get(u, False) or end.used
        self.added[u] = self.added.get(u, True) and end.added

    def note(self, w: int) -> None:
        """Keep what was walked, with the node at which it ends, as a stretch if it is one."""
        graph = self.graph
        inner = {v for v in self.passed if graph.ops[v].kind not in ENDS}
        whole = {u for u in graph.inputs[w] if u != LITERAL and not graph.ops[u].flat} == self.tops.keys()
        for u in self.tops:
            self.edges[u] += graph.inputs[w].count(u)
        shared = {u for u in self.weights if not _is_private(graph, u, self.edges[u], self.known)}
        exits = (self.reached.keys() - inner) | shared
        if not whole or len(exits) > FEW or not all(_is_private(graph, v, self.edges[v], self.known) for v in inner):
            return
        if any(graph.ops[u].kind in ENDS and _is_weight(graph, u, self.shape, self.known) for u in self.tops):
            return
        adding = graph.ops[w].name in ADDING
        ends = [
            Exit(u, self.steps[u] + 1, self.edges[u], u in self.tops or self.used[u],
                 self.added.get(u, True) and (adding or u not in self.tops))
            for u in sorted(exits)
        ]  # fmt: skip
        self.known[w] = Stretch(tuple(ends), self.shape)


def _is_private(graph: Graph, v: int, edges: int, known: Known) -> bool:
    """Whether a node is read along so many edges alone, as far as derivatives go."""
    if v not in known.uses:
        known.uses[v] = -1 if v in graph.outputs else sum(not graph.ops[r].flat for r, _ in graph.consumers[v])
    return edges == known.uses[v]


@functools.lru_cache(1024)
def _bits(mask: int) -> tuple[int, ...]:
    """The places of the ones in a binary number."""
    return tuple(n for n in range(mask.bit_length()) if mask >> n & 1)


def _is_weight(graph: Graph, v: int, shape: tuple[int, ...], known: Known) -> bool:
    """Whether a leaf is taken for a weight, at which no ways part.

    It is one where its first axis is not that of the operands, the batch, or where it is only ever the second factor
    of a product.
    """
    here = graph.shapes[v]
    if len(here) < 2 or len(shape) < 2:
        return max(len(here), len(shape)) > 1
    if v not in known.second:
        known.second[v] = all(k == 1 and graph.ops[r].kind == "bilinear" for r, k in graph.consumers[v])
    return known.second[v] or bool(here[0] != shape[0])


def _is_loss(graph: Graph, w: int, v: int) -> bool:
    """Whether arrays that come from v have been reduced to numbers at w."""
    return bool(graph.shapes[w] == () and graph.shapes[v] != ())


def comes_from(graph: Graph, v: int, fork: int, known: Known) -> bool:
    """Whether a derivative passes from a node to another that is computed before it."""
    seen, waiting = set(), [v] if v != fork else []
    while waiting:
        v = waiting.pop()
        known.spend(1)
        if v not in seen and not graph.ops[v].flat:
            if fork in graph.inputs[v]:
                return True
            seen.add(v)
            waiting.extend(u for u in graph.inputs[v] if u > fork)  # a literal is less than any node
    return False


def region(graph: Graph, top: int, fork: int, known: Known) -> set[int]:
    """The nodes that a node is computed from, itself among them, as far down as a fork, which is not."""
    found, waiting = set(), [top] if top != fork else []
    while waiting:
        v = waiting.pop()
        known.spend(1)
        if v not in found:
            found.add(v)
            if not graph.ops[v].flat:
                waiting.extend(u for u in graph.inputs[v] if u > fork)  # a literal is less than any node
    return found


# -- between a fork and a node -----------------------------------------------------------------------------------------

Edge = tuple[int, int]
"""One edge: the consumer and the argument position at which it reads."""


def _from_fork(graph: Graph, tops: Iterable[int], fork: int, known: Known) -> dict[int, list[int]]:
    """The nodes below some that come from a fork, in the order of the graph, and what each reads of them and of it.

    Stretches are passed over.
    """
    below: dict[int, list[int]] = {}
    waiting = [v for v in tops if v != fork]
    while waiting:
        v = waiting.pop()
        known.spend(1)
        if v in below or graph.ops[v].flat:
            continue
        below[v] = [u for u, _ in _reads(graph, v, known)]
        waiting.extend(u for u in below[v] if u > fork)
    came: dict[int, list[int]] = {}
    for v in sorted(below):
        reads = [u for u in below[v] if u == fork or u in came]
        if reads:
            came[v] = reads
    return came


def _reads(graph: Graph, v: int, known: Known) -> list[tuple[int, int]]:
    """What a node, or the stretch that ends there, is computed from, and along how many edges."""
    stretch = known.get(v)
    return [(u, 1) for u in graph.inputs[v]] if stretch is None else [(e.node, e.edges) for e in stretch.exits]


def between(
    graph: Graph, top: int, fork: int, known: Known, bodies: dict[Edge, set[int]]
) -> set[int]:
    """The nodes on all ways from a fork to a node, which is one of them.

    `bodies` keeps those of stretches, keyed (node, fork).
    """
    found = _from_fork(graph, [top], fork, known)
    waiting = [(v, u) for v, reads in found.items() if v in known for u in reads]
    while waiting:
        v, end = waiting[-1]
        within = _from_fork(graph, graph.inputs[v], end, known)
        parts = [(w, u) for w, reads in within.items() if w in known for u in reads]
        missing = [part for part in parts if part not in bodies]
        if missing:
            waiting += missing
            continue
        known.spend(sum(len(bodies[part]) for part in parts))
        bodies[v, end] = {v}.union(within, *(bodies[part] for part in parts))
        waiting.pop()
    inner = [bodies[v, u] for v, reads in found.items() if v in known for u in reads]
    known.spend(sum(map(len, inner)))
    return set(found).union(*inner)


class Senders(NamedTuple):
    """Who sends a fork what comes back along one way: edges, and stretches as (node, fork)."""

    edges: tuple[Edge, ...]
    stretches: tuple[Edge, ...]


def senders(graph: Graph, w: int, k: int, fork: int, known: Known) -> Senders | None:
    """What sends a fork all that comes back along argument k of a node, and nothing else.

    None where it cannot be told from the contributions: something else reads of a node on the way, too.
    """
    top = graph.inputs[w][k]
    if isinstance(graph.dtypes[fork], tuple):
        return None
    if top == fork:
        return Senders(((w, k),), ())
    edges, waiting = {top: 1}, [-top]
    while waiting:
        v = -heapq.heappop(waiting)
        known.spend(1)
        if not _is_private(graph, v, edges[v], known):
            if comes_from(graph, v, fork, known):
                return None
            continue
        for u, count in _reads(graph, v, known):
            if u > fork and not graph.ops[u].flat:
                if u not in edges:
                    heapq.heappush(waiting, -u)
                edges[u] = edges.get(u, 0) + count
    return _senders(graph, _from_fork(graph, [top], fork, known), fork, known)


def senders_within(graph: Graph, v: int, fork: int, known: Known) -> Senders:
    """The same of a whole stretch."""
    found = _from_fork(graph, graph.inputs[v], fork, known)
    own = tuple((v, k) for k, u in enumerate(graph.inputs[v]) if u == fork)
    rest = _senders(graph, found, fork, known)
    return Senders(own + rest.edges, rest.stretches)


def _senders(graph: Graph, found: dict[int, list[int]], fork: int, known: Known) -> Senders:
    ends = [v for v in reversed(found) if fork in found[v]]
    direct = tuple((v, k) for v in ends if v not in known for k, u in enumerate(graph.inputs[v]) if u == fork)
    return Senders(direct, tuple((v, fork) for v in ends if v in known))
