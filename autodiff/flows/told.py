"""Tables of a flow as sentences that a person can read aloud."""

from __future__ import annotations

import math
from typing import Any

from ..errors import printable
from ..graph import Graph
from .amounts import CANCELS, Rows, Told


def percent(share: float) -> str:
    """A share as people say it."""
    return f"{100 * share:.3g} %".replace("-", "−") if math.isfinite(share) else "an unknown part"


def called(graph: Graph, v: int) -> str:
    """How a sentence calls a node."""
    return printable(graph.names.get(v) or f"{graph.ops[v].name} {v}")


def tell_shares(shares: Told, graph: Graph) -> str:
    """Along which edges the δ of a node came back."""
    name, terms = called(graph, shares["node"]), shares["terms"]
    if not terms:
        return f"No δ comes back to {name}: no path leads from it to the output."
    edges = f"each of {len(terms)} edges" if len(terms) > 1 else "one edge"
    if shares["sum_of_norms"] == 0:
        return f"The δ of {name} is zero along {edges}."
    if shares["norm"] == 0:
        return f"The δ of {name} is zero: what comes back along {len(terms)} edges cancels."
    if not any(math.isfinite(term["projection"]) for term in terms):
        return f"The δ of {name} is not finite: no share of it can be told."
    told = f"The δ of {name} has the length {shares['norm']:.3g} and comes back along "
    if len(terms) == 1:
        return told + f"one edge, from {_sender(graph, terms[0])}."
    longest = sorted(terms, key=lambda term: -_known(term["norm_share"]))[:3]
    parts = [
        f"{percent(term['projection'])} from {_sender(graph, term)}{' (opposing)' * (term['projection'] < 0)}"
        for term in longest
    ]
    told += f"{len(terms)} edges: {', '.join(parts)}"
    told += f" and the rest from {len(terms) - 3} more." if len(terms) > 3 else "."
    if shares["cancels"]:
        told += f" They cancel: their sum is shorter than {percent(CANCELS)} of their lengths together."
    return told


def _sender(graph: Graph, term: dict[str, Any]) -> str:
    """Who sent a contribution."""
    return "the seed" if term["consumer"] is None else called(graph, term["consumer"])


def _known(share: float) -> float:
    return -1.0 if math.isnan(share) else share


def tell_scopes(rows: Rows) -> str:
    """Where δ is large, where it is small, and where it is no number."""
    known = [row for row in rows if row["delta"] is not None]
    if not known:
        return "No operation has a δ."
    if len(known) == 1:
        told = f"{_scope(known[0])} has a δ of RMS {known[0]['delta']:.3g}."
        told = told[0].upper() + told[1:]
    else:
        largest, smallest = (choose(known, key=_rms) for choose in (max, min))
        sizes = [f"{row['delta']:.3g}" for row in (largest, smallest)]
        told = (
            f"Of {len(known)} scopes with a δ {_scope(largest)} has the largest (RMS {sizes[0]}), "
            f"{_scope(smallest)} the smallest (RMS {sizes[1]})."
        )
        if sizes[0] == sizes[1]:
            told = f"In {'both' if len(known) == 2 else f'all {len(known)}'} scopes with a δ its RMS is {sizes[0]}."
    bad = rows.summary["nonfinite"]
    if bad:
        where = next(_scope(row) for row in rows if row["nonfinite"])
        told += f" {bad} element{'s are' if bad > 1 else ' is'} nan or infinite, the first in {where}."
    lost = rows.summary["no_path"]
    if lost:
        told += f" From {lost} node{'s' * (lost > 1)} no path leads to the output."
    return told


def _rms(row: dict[str, Any]) -> float:
    size: float = row["delta"]
    return size


def _scope(row: dict[str, Any]) -> str:
    return printable(row["scope"]) or "what stands in no scope"


def tell_pruned(kept: int, count: int, carried: float) -> str:
    """How many edges carry how much; the part is rounded down, so that 99.97 % is not called all."""
    if math.isnan(carried):
        return "The gradient is not finite: no part of it can be told from the rest, and every edge is kept."
    if not kept:
        return "The gradient is zero: no edge carries any of it."
    shown = "100" if carried == 1 else f"{math.floor(1000 * carried) / 10:.1f}"
    return f"{kept:,} of {count:,} edges carr{'ies' if kept == 1 else 'y'} {shown} % of the gradient."


def tell_joins(rows: Rows, until: int | None = None, unshared: bool = False) -> str:
    """What the joins of a flow say together; `until` and `unshared` where finding all of it would take too long."""
    told = _told_joins(rows)
    if until is not None:
        told += f" Ways lie in one another so often that the search was given up at node {until}."
    if unshared:
        told += " Shares that take a sweep of their own were not computed for all of them."
    return told


def _told_joins(rows: Rows) -> str:
    if not rows:
        return "No skip connection was found."
    clear = [row for row in rows if row["skip_share"] is not None]
    unclear = sum(row["ambiguous"] for row in rows)
    told = f"{len(rows)} join{'s' * (len(rows) > 1)}"
    if unclear:
        many = f", of which {unclear} {'are' if unclear > 1 else 'is'} ambiguous"
        told += many if len(rows) > 1 else ", which is ambiguous"
        told += " (a scope named skip or residual would decide)"
    if not clear:
        return told + "."
    shares = [row["skip_share"] for row in clear if not math.isnan(row["skip_share"])]
    unknown = _unknown([row for row in clear if math.isnan(row["skip_share"])], len(clear))
    if not shares:
        return f"{told}{unknown}."
    mean = sum(shares) / len(shares)
    several = len(shares) > 1
    told += f". Back through the skip{'s' * several} comes {percent(mean)}{opposing(mean)} of δ"
    told += " on average" * several
    weakest, strongest = _extreme(clear, min), _extreme(clear, max)
    if several:
        told += f", from {_skip(weakest)} to {_skip(strongest)}"
    opposed = sum(row["cosine"] < 0 for row in clear)
    if opposed:
        told += "; skip and residual branch oppose each other" if len(clear) == 1 else (
            f"; at {opposed} of them skip and residual branch oppose each other"
        )  # fmt: skip
    return f"{told}{unknown}."


def _unknown(rows: list[dict[str, Any]], count: int) -> str:
    """At how many forks no share can be told, and why."""
    told, where = "", "at its fork" if count == 1 else "at {} of their forks"
    lengths = [(row["skip_norm"], row["residual_norm"]) for row in rows]
    lost = sum(not all(map(math.isfinite, pair)) for pair in lengths)
    zero = len(lengths) - lost
    for number, what in ((zero, "zero"), (lost, "not finite")):
        if number:
            place = where.format("all" if number == count else number)
            told += f"; {place} δ is {what}"
    return f"{told}, and no share of it can be told" if told else ""


def _skip(row: dict[str, Any]) -> str:
    """The share of a skip, and where it is."""
    share: float = row["skip_share"]
    place = printable(row["scope"]) or f"node {row['join']}"
    return f"{percent(share)}{opposing(share)} at {place}"


def _extreme(rows: list[dict[str, Any]], choose: Any) -> dict[str, Any]:
    found: dict[str, Any] = choose((row for row in rows if not math.isnan(row["skip_share"])), key=_skip_share)
    return found


def _skip_share(row: dict[str, Any]) -> float:
    share: float = row["skip_share"]
    return share


def tell_spectrum(rows: Rows, name: str) -> str:
    """What the split by residual branches says about one δ."""
    if len(rows) == 1:
        return f"No residual branch lies between the output and {name}."
    unknown = untold(rows, name)
    if unknown:
        return unknown
    direct, largest = rows[0]["projection"], max(rows, key=_length)
    told = f"Of the δ of {name} {percent(direct)}{opposing(direct)} came through skips alone"
    if largest["branches"]:
        share, ways = largest["projection"], branches(largest["branches"])
        told += f", and most, {percent(share)}, through {ways}" if _most(rows, largest) else (
            f", and the longest part, {percent(share)}{opposing(share)}, through {ways}"
        )  # fmt: skip
    weights = [row["norm"] for row in rows]
    mean = sum(k * weight for k, weight in enumerate(weights)) / sum(weights)
    return f"{told}; weighted by length it took {mean:.3g} of {branches(len(rows) - 1)} on average."


def untold(rows: Rows, name: str) -> str:
    """Why a δ has no shares by residual branches, in a sentence; empty where it has them."""
    lengths = [row["norm"] for row in rows]
    if not all(map(math.isfinite, lengths)):
        return f"The δ of {name}, or a part of it, is not finite: no share of it can be told."
    if not any(lengths):
        return f"The δ of {name} is zero along every path."
    if not any(math.isfinite(row["projection"]) for row in rows):
        return f"The parts of the δ of {name} by residual branches cancel: no share of it can be told."
    return ""


def branches(count: int) -> str:
    """So many residual branches."""
    return f"{count or 'no'} residual branch{'es' * (count != 1)}"


def _most(rows: Rows, largest: dict[str, Any]) -> bool:
    """Whether the longest part is also the one that brings most: where parts oppose each other it may not be."""
    share: float = largest["projection"]
    return share > 0 and all(row["projection"] <= share for row in rows if math.isfinite(row["projection"]))


def opposing(share: float) -> str:
    """What a sentence adds to a share below zero."""
    return " (opposing the rest)" * (share < 0)


def _length(row: dict[str, Any]) -> float:
    length: float = row["norm"]
    return length
