"""What a page says beyond the picture, computed before it is written: path depth, cuts, sentences to be read first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..flows import GradientFlow, Rows, divide, find_joins, norm, scopes, statistics
from ..flows.routes import by_branches
from ..flows.told import percent, tell_spectrum
from ..graph import Graph

JOINS = 64
"""So many joins are cut at most; each takes two sweeps."""
SWEPT = 300_000
"""How many nodes the sweeps for all cuts may visit together; as many those for the path depth."""
TARGETS = 40
"""Inputs whose gradient is followed through every cut. Forks come on top of them."""
PARTS = 8
"""Parts of spectra that are kept, for each node of the graph."""
NO_PATH = -1.0
"""Stands for an RMS where no path is left."""


def label(graph: Graph, v: int) -> str:
    """How a sentence calls a node."""
    return graph.names.get(v) or f"{graph.ops[v].name} {v}"


def insight(flow: GradientFlow) -> dict[str, Any]:
    """Everything of a page that takes sweeps of its own.

    Returns
    -------
    dict
        ``joins``: as :meth:`~autodiff.GradientFlow.joins`, each with its scope's name as ``block`` and the RMS of δ of
        its fork; ``spectra``: for forks and inputs their number, sentence and parts; ``cuts``: RMS of δ of the targets
        before and after the skip or the residual branch of a join is cut; ``trend``: by block, from the output back;
        ``told``: the sentences; ``start``: the node that the first sentence is about, None where there is no join.
    """
    joins = flow.joins()
    homes = scopes(flow.graph)
    for row in joins:
        row["block"] = "/".join(homes[row["join"]]) or label(flow.graph, row["join"])
        row["rms"] = _rms(flow, row["fork"])
    forks = [v for v in dict.fromkeys(row["fork"] for row in joins) if flow.delta[v] is not None]
    inputs = [v for v in flow.graph.arguments if flow.delta[v] is not None and v not in forks]
    targets = _even(forks, JOINS) + inputs[:TARGETS]
    start = forks[0] if forks else None
    room = max(2, PARTS * len(flow.graph) // (len(joins) + 1))
    split = _even(forks, max(room - min(len(inputs), room // 2), 1)) + inputs[: room // 2]
    spectra = _spectra(flow, split) if forks else []
    cuts = _cuts(flow, joins, targets)
    trend = flow.trend()
    told = []
    if start is not None:
        name = _introduced(flow.graph, homes, joins, start)
        told += [_tell_spectrum(spectra[0], name), *_tell_paths(spectra[0])]
        told += _tell_cuts(cuts, joins, start, name)
    if len(trend) > 1:
        told.append(trend.told)
    told += [joins.told] if joins else [*_tell_inputs(flow), joins.told]
    return {"joins": joins, "spectra": spectra, "cuts": cuts, "trend": trend, "told": told, "start": start}


def _introduced(graph: Graph, homes: list[tuple[str, ...]], joins: Rows, v: int) -> str:
    """A fork with the block that it goes into, where the two are not called the same."""
    name = label(graph, v)
    block = next(row["block"] for row in joins if row["fork"] == v)
    return f"{name} (into {block})" if homes[v] != tuple(block.split("/")) and not block.startswith(name) else name


def _even(found: list[int], count: int) -> list[int]:
    """At most so many of these, the first among them, at even distances."""
    return found if len(found) <= count else [found[i * len(found) // count] for i in range(count)]


def _rms(flow: GradientFlow, v: int) -> float | None:
    d = flow.delta[v]
    return NO_PATH if d is None else statistics(d)["rms"]


def _spectra(flow: GradientFlow, targets: list[int]) -> list[dict[str, Any]]:
    """The spectrum of every target from one set of sweeps; the same numbers as :meth:`GradientFlow.spectrum` gives.

    A very deep net is not swept to its end: what is left of δ is then its last part, marked by ``more``.
    """
    rows: dict[int, list[dict[str, Any]]] = {v: [] for v in targets}
    rest = {v: flow.delta[v] for v in targets}
    room = max(8, SWEPT // len(flow.graph))
    tables = by_branches(flow.graph, flow.values, flow.seeds, find_joins(flow.graph), flow.contributions, flow.scales)
    more = False
    for k, table in enumerate(tables):
        more = k == room
        for v in targets:
            part = rest[v] if more else table[v]
            if part is None:
                rows[v].append({"branches": k, "norm": 0.0, "projection": 0.0, "norm_share": 0.0, "cosine": math.nan})
                continue
            (share,) = divide([part], flow.delta[v])["terms"]
            rows[v].append({"branches": k, "norm": norm(part), **share})
            with np.errstate(invalid="ignore", over="ignore"):  # inf − inf is told by its value
                rest[v] = rest[v] - part
        if more:
            break
    found = []
    for v in targets:
        while len(rows[v]) > 1 and rows[v][-1]["norm"] == 0:
            rows[v].pop()  # no path takes so many branches
        whole = sum(row["norm"] for row in rows[v])
        for row in rows[v]:
            row["norm_share"] = row["norm"] / whole if whole else math.nan
        unswept = more and len(rows[v]) == room + 1
        found.append({"node": v, "rows": Rows(rows[v]), "more": unswept})
        found[-1]["told"] = _tell_spectrum(found[-1], label(flow.graph, v))
    return found


def _tell_spectrum(spectrum: dict[str, Any], name: str) -> str:
    """A spectrum in a sentence, whether it was swept to its end or not."""
    rows = spectrum["rows"]
    if not spectrum["more"]:
        return tell_spectrum(rows, name)
    told = f"Of the δ of {name} {percent(rows[0]['projection'])} came through skips alone, "
    return told + f"and {percent(rows[-1]['projection'])} through {len(rows) - 1} residual branches or more."


def _cuts(flow: GradientFlow, joins: Rows, targets: list[int]) -> dict[str, Any]:
    """The RMS of δ of the targets in the flow as it is, and in each in which one way into a join is cut."""
    rows = [n for n, row in enumerate(joins) if row["skip"] is not None and flow.delta[row["join"]] is not None]
    room = max(1, min(JOINS, SWEPT // (2 * len(flow.graph) + 1)))
    chosen = _even(rows, room)
    found = []
    for n in chosen:
        w = joins[n]["join"]
        entry: dict[str, Any] = {"row": n}
        for way in ("skip", "residual"):
            k = joins[n][way]
            if (w, k) in flow.contributions:
                cut = flow.cut((flow.graph.inputs[w][k], w, k))
                entry[way] = [_rms(cut, v) for v in targets]
        found.append(entry)
    before = [_rms(flow, v) for v in targets]
    return {"targets": targets, "before": before, "of": found, "left_out": len(rows) - len(chosen)}


def _tell_paths(spectrum: dict[str, Any]) -> list[str]:
    """Which paths carry a δ: its three longest parts."""
    rows = spectrum["rows"][:-1] if spectrum["more"] else spectrum["rows"]
    known = (row for row in rows if row["norm"] > 0 and math.isfinite(row["projection"]))
    longest = sorted(known, key=lambda row: -row["norm"])[:3]
    if len(longest) < 2:
        return []
    parts = [
        f"{percent(row['projection'])}{' (opposing)' * (row['projection'] < 0)} through {row['branches'] or 'no'} "
        f"residual branch{'es' * (row['branches'] != 1)}"
        for row in longest
    ]  # fmt: skip
    return [f"The paths that carry most of it: {', '.join(parts)}."]


def _tell_cuts(cuts: dict[str, Any], joins: Rows, start: int, name: str) -> list[str]:
    """What is left of the δ of one node where a skip is cut, at the least and at the most."""
    at = cuts["targets"].index(start)
    before = cuts["before"][at]
    sizes = [(entry["skip"][at], joins[entry["row"]]["block"]) for entry in cuts["of"] if entry.get("skip")]
    left = sorted((max(size, 0.0), block) for size, block in sizes if size is not None)
    if not left or not before:
        return []
    (least, where), (most, there) = left[0], left[-1]
    told = f"If the skip of one join is cut, the δ of {name} goes to ×{least / before:.3g} of its size ({where})"
    return [told + (f" … ×{most / before:.3g} ({there})." if len(left) > 1 else ".")]


def _tell_inputs(flow: GradientFlow) -> list[str]:
    """Which input has the largest δ and which the smallest."""
    sizes = [(_rms(flow, v), label(flow.graph, v)) for v in flow.graph.arguments if flow.delta[v] is not None]
    known = sorted((size, name) for size, name in sizes if size is not None)
    if len(known) < 2:
        return []
    (least, small), (most, large) = known[0], known[-1]
    return [f"Of the inputs {large} has the largest δ (RMS {most:.3g}), {small} the smallest (RMS {least:.3g})."]
