"""Joins and scopes of a flow as tables: what one walk of the graph finds, and the numbers of one sweep along it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, message
from ..graph import LITERAL, Graph, Values
from .amounts import Rows, divide_in_two, extent, pooled
from .routes import through
from .structure import Join, Seen, adds_nothing, find_joins, scopes
from .told import tell_joins, tell_scopes
from .walks import ENDS, Edge, Known, Senders, TooFar, senders, senders_within

SWEPT, SWEPT_A_NODE = 1_000_000, 20
"""So many nodes may be swept for the shares of joins that no contribution tells; they are unknown after that."""

SHARES = ("skip_share", "residual_share", "skip_norm", "residual_norm", "cosine")
"""What the row of a join says of the two ways."""


class Swept(NamedTuple):
    """One sweep: what a :class:`GradientFlow` has, of which only the contributions that an outline names are read."""

    graph: Graph
    values: Values
    delta: list[Any]
    contributions: Mapping[Edge, Any]
    scales: Mapping[Edge, float]


class Outline:
    """Where the joins of a graph are and who sends what along their ways: one for all graphs of the same shape.

    Attributes
    ----------
    homes : list of tuple
        The scope of each node.
    joins : list of Join
    ways : list
        For each join the senders along its two ways, None where another sweep must tell.
    edges : set
        Whose contributions must be kept for the tables.
    until : int or None
        The node at which the search for joins was given up, because all would take too long.
    """

    def __init__(self, graph: Graph) -> None:
        self.key = _shape(graph)
        seen = Seen(graph)
        self.homes, self.joins = scopes(graph), find_joins(graph, seen)
        known = seen.stretches
        known.left = known.most
        self.ways: list[tuple[Senders | None, ...]] = [
            () if join.skip is None else tuple(_senders(graph, join, k, known) for k in join.positions)
            for join in self.joins
        ]
        self.until = seen.until
        waiting = [pair for ways in self.ways for way in ways if way is not None for pair in way.stretches]
        found: dict[Edge, Senders] = {}
        known.left = sys.maxsize  # stretches are walked once each
        while waiting:
            pair = waiting.pop()
            if pair not in found:
                found[pair] = senders_within(graph, *pair, known)
                waiting += found[pair].stretches
        self.stretches = dict(sorted(found.items()))
        every = [*(way for ways in self.ways for way in ways if way is not None), *found.values()]
        self.edges = {edge for way in every for edge in way.edges}
        self.edges |= {(join.join, k) for join in self.joins for k in join.positions}

    def fits(self, graph: Graph) -> bool:
        """Whether it is the outline of this graph too."""
        return self.key == _shape(graph)


def _senders(graph: Graph, join: Join, k: int, known: Known) -> Senders | None:
    try:
        return senders(graph, join.join, k, join.fork, known)
    except TooFar:
        return None


def _shape(graph: Graph) -> tuple[Any, ...]:
    """All of a graph that joins and scopes depend on."""
    idle = [v for v, op in enumerate(graph.ops) if op.name == "add" and LITERAL in graph.inputs[v]
            and adds_nothing(graph, v)]  # fmt: skip
    return graph.ops, graph.inputs, graph.shapes, graph.scopes, graph.names, graph.outputs, idle


def join_rows(swept: Swept, outline: Outline) -> Rows:
    """A row a join, with what comes back through each of its two ways; see :meth:`GradientFlow.joins`."""
    arrived: dict[Edge, Any] = {}
    for pair, way in outline.stretches.items():  # in the order of the graph: the inner ones first
        arrived[pair] = _sum(way, swept.contributions, arrived)
    rows, left = Rows(), SWEPT + SWEPT_A_NODE * len(swept.graph)
    for join, ways in zip(outline.joins, outline.ways, strict=True):
        left -= ways.count(None) * (join.join - join.fork)
        found = _row(swept, join, ways if left >= 0 or None not in ways else None, arrived)
        rows.append({**found, "scope": "/".join(outline.homes[join.join])})
    rows.told = tell_joins(rows, outline.until, left < 0)
    return rows


def _sum(way: Senders, sent: Mapping[Edge, Any], arrived: Mapping[Edge, Any]) -> Any:
    """What comes along a way, in the order of a sweep; None where nothing does."""
    if len(way.edges) == 1 and not way.stretches:  # nearly always
        return sent.get(way.edges[0])
    pairs = [(edge, sent) for edge in way.edges] + [(pair, arrived) for pair in way.stretches]
    total = None
    for pair, table in sorted(pairs, key=lambda one: (-one[0][0], one[0][1])):
        term = table.get(pair)
        if term is not None:
            total = term if total is None else total + term
    return total


def _row(
    swept: Swept, join: Join, ways: tuple[Senders | None, ...] | None, arrived: Mapping[Edge, Any]
) -> dict[str, Any]:
    """The row of a join; without `ways` nothing of its shares."""
    row: dict[str, Any] = {
        "join": join.join, "fork": join.fork, "skip": join.skip, "residual": join.residual, "kind": join.kind,
        "norm": join.norm, "skip_operations": join.operations[0], "residual_operations": join.operations[1],
        "ambiguous": join.skip is None, **dict.fromkeys(SHARES),
    }  # fmt: skip
    graph, values, delta, sent, scales = swept
    g = delta[join.fork]
    if g is None or join.skip is None or ways is None:
        return row
    skip, residual = (
        None if sent.get((join.join, k)) is None
        else through(graph, values, scales, join.join, k, join.fork, sent[join.join, k]) if way is None
        else _sum(way, sent, arrived)
        for k, way in zip(join.positions, ways, strict=True)
    )  # fmt: skip
    if skip is not None and residual is not None:
        row.update(zip(SHARES, divide_in_two(skip, residual, g), strict=True))
    return row


def scope_rows(swept: Swept, outline: Outline, joins: Rows, depth: int | None) -> Rows:
    """A row a scope; see :meth:`GradientFlow.by_scope`."""
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, (int, np.integer))):
        raise SettingError(message(f"depth={depth!r}", "it is a number of scopes, one in another", "depth=1, or None"))
    graph, delta, homes = swept.graph, swept.delta, outline.homes
    groups: dict[tuple[str, ...], list[int]] = {}
    for v, path in enumerate(homes):
        groups.setdefault(path[:depth], []).append(v)
    inside: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in joins:
        inside.setdefault(homes[row["join"]][:depth], []).append(row)
    rows = Rows()
    for path, members in groups.items():
        ops: list[dict[str, Any]] = []
        leaves: list[dict[str, Any]] = []
        for v in members:
            if delta[v] is not None:
                (leaves if graph.ops[v].kind in ENDS else ops).append(extent(delta[v]))
        here = inside.get(path, [])
        clear = here[0] if len(here) == 1 else {}
        rows.append({
            "scope": "/".join(path), "nodes": len(members), "delta": pooled(ops), "parameters": pooled(leaves),
            "nonfinite": sum(s["nan"] + s["+inf"] + s["-inf"] for s in ops + leaves),
            "no_path": len(members) - len(ops) - len(leaves),
            "joins": len(here), "skip": clear.get("skip_share"), "residual": clear.get("residual_share"),
        })  # fmt: skip
    rows.summary = {"scopes": len(rows), **{key: sum(row[key] for row in rows) for key in ("nonfinite", "no_path")}}
    rows.told = tell_scopes(rows)
    return rows
