"""What a page says beyond the picture, computed before it is written: path depth, cuts, sentences to be read first."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from ..flows import GradientFlow, Rows, divide, find_joins, norm, statistics
from ..flows.routes import by_branches, without_edge
from ..flows.told import called, opposing, percent, tell_spectrum, untold

JOINS = 64
"""So many joins are cut at most; each takes two sweeps."""
SWEPT = 100_000
"""How many nodes the sweeps for all cuts may visit together; as many those for the path depth."""
TARGETS = 40
"""Inputs whose gradient is followed through every cut. Forks come on top of them."""
PARTS = 8
"""Parts of spectra that are kept, for each node of the graph."""
NO_PATH = -1.0
"""Stands for an RMS where no path is left."""


def insight(flow: GradientFlow) -> dict[str, Any]:
    """Everything of a page that takes sweeps of its own.

    Returns
    -------
    dict
        ``joins``: as :meth:`~autodiff.GradientFlow.joins`, each with its scope or name as ``block`` and the RMS of δ of
        its fork; ``spectra``: for forks and inputs their number, sentence and parts; ``cuts``: RMS of δ of the targets
        before and after the skip or the residual branch of a join is cut; ``trend``: by block, from the output back;
        ``told``: sentences; ``start``: the node that the answers are about, None where there is no join; ``answers``:
        to the first two questions that a residual net raises, each as a question, a number and a sentence (the third,
        what a cut does, the page answers from ``cuts``); ``least``: which cuts leave least and most of it;
        ``followed``: how many forks and inputs have a δ.
    """
    joins = flow.joins()
    crowd = Counter(row["scope"] for row in joins)
    for row in joins:
        name = called(flow.graph, row["join"])
        one = crowd[row["scope"]] == 1
        row["block"] = name if not row["scope"] else row["scope"] if one else f"{row['scope']}, {name}"
        row["rms"] = _rms(flow.delta[row["fork"]])
    clear = [row for row in joins if row["skip"] is not None and flow.delta[row["fork"]] is not None]
    forks = [v for v in dict.fromkeys(row["fork"] for row in [*clear, *joins]) if flow.delta[v] is not None]
    inputs = [v for v in flow.graph.arguments if flow.delta[v] is not None and v not in forks]
    targets = _even(forks, JOINS) + inputs[:TARGETS]
    start = forks[0] if forks else None
    room = max(2, PARTS * len(flow.graph) // (len(joins) + 1))
    split = _even(forks, max(room - min(len(inputs), room // 2), 1)) + inputs[: room // 2]
    spectra = _spectra(flow, split) if forks else []
    cuts = _cuts(flow, joins, targets)
    trend = flow.trend()
    told = [trend.told] if len(trend) > 1 else []
    told += [joins.told] if joins else [*_tell_inputs(flow), joins.told]
    return {
        "joins": joins, "spectra": spectra, "cuts": cuts, "trend": trend, "told": told, "start": start,
        "answers": _answers(flow, start, clear[0]["scope"], spectra[0]) if clear and start is not None else [],
        "least": _tell_cuts(cuts, joins, start) if start is not None else "", "followed": len(forks) + len(inputs),
    }  # fmt: skip


def _answers(flow: GradientFlow, start: int, scope: str, spectrum: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What share of a δ came through skips alone, and which paths carry it: a question, a number, a sentence."""
    name = called(flow.graph, start)
    block = scope or name
    asked = (f"What share of the gradient reaches {block} through skips alone?", "Which paths carry it?")
    place = name if block == name else f"{name}, which goes into {block},"
    rows = spectrum["rows"]
    why = untold(rows, name)
    if why or len(rows) == 1:
        return [(asked[0], "", why or tell_spectrum(rows, name))]
    direct = rows[0]["projection"]
    first = f"of the gradient at {place} came back through skips alone{opposing(direct)}, past every residual branch."
    return [(asked[0], percent(direct), first), (asked[1], *_tell_paths(rows, spectrum["more"], flow.paths(start)))]


def _even(found: list[int], count: int) -> list[int]:
    """At most so many of these, the first among them, at even distances."""
    return found if len(found) <= count else [found[i * len(found) // count] for i in range(count)]


def _rms(d: Any) -> float | None:
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
        found[-1]["told"] = _tell_spectrum(found[-1], called(flow.graph, v))
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
    room = max(1, min(JOINS, SWEPT // (len(flow.graph) + 1)))  # two sweeps each, of half the graph
    chosen = _even(rows, room)
    before = [_rms(flow.delta[v]) for v in targets]
    found = []
    for n in chosen:
        w = joins[n]["join"]
        entry: dict[str, Any] = {"row": n}
        for way in ("skip", "residual"):
            k = joins[n][way]
            if (w, k) in flow.contributions:
                cut = without_edge(
                    flow.graph, flow.values, flow.seeds, flow.scales, flow.contributions, (w, k), targets
                )
                entry[way] = [rms if v >= w else _rms(cut[v]) for v, rms in zip(targets, before, strict=True)]
        found.append(entry)
    return {"targets": targets, "before": before, "of": found, "left_out": len(rows) - len(chosen)}


def _tell_paths(rows: Rows, more: bool, count: int) -> tuple[str, str]:
    """Which paths carry a δ: the number and the sentence for its three longest parts."""
    known = [row for row in (rows[:-1] if more else rows) if row["norm"] > 0 and math.isfinite(row["projection"])]
    longest = sorted(known, key=lambda row: -row["norm"])[:3]
    ways = sorted((row["branches"], row["projection"]) for row in longest)
    parts = [f"{percent(share)}{opposing(share)} through {k or 'none'}" for k, share in ways]
    *most, last = [str(k) for k, _ in ways]
    through = f"{', '.join(most)} or {last}" if most else last
    told = f"of it came along paths through {through} residual branches" + f": {', '.join(parts)}" * bool(most)
    return percent(sum(share for _, share in ways)), f"{told}. In all there are {_many(count)} paths."


def _many(count: int) -> str:
    """A number of paths: it may have more digits than a float can hold."""
    text = str(count)
    return f"{count:,}".replace(",", "\u202f") if len(text) < 10 else f"about {text[0]}.{text[1]}·10^{len(text) - 1}"


def _tell_cuts(cuts: dict[str, Any], joins: Rows, start: int) -> str:
    """What is left of the δ of one node where a skip is cut, at the least and at the most."""
    at = cuts["targets"].index(start)
    before = cuts["before"][at]
    sizes = [(entry["skip"][at], joins[entry["row"]]["block"]) for entry in cuts["of"] if entry.get("skip")]
    left = sorted((max(size, 0.0), block) for size, block in sizes if size is not None)
    if len(left) < 2 or not before:
        return ""
    (least, where), (most, there) = left[0], left[-1]
    return f"The cut at {where} leaves least, ×{least / before:.3g}, that at {there} most, ×{most / before:.3g}."


def _tell_inputs(flow: GradientFlow) -> list[str]:
    """Which input has the largest δ and which the smallest."""
    sizes = [(_rms(flow.delta[v]), called(flow.graph, v)) for v in flow.graph.arguments if flow.delta[v] is not None]
    known = sorted((size, name) for size, name in sizes if size is not None)
    if len(known) < 2:
        return []
    (least, small), (most, large) = known[0], known[-1]
    return [f"Of the inputs {large} has the largest δ (RMS {most:.3g}), {small} the smallest (RMS {least:.3g})."]
