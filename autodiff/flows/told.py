"""Tables of a flow as sentences that a person can read aloud."""

from __future__ import annotations

import math
from typing import Any

from .amounts import Rows


def percent(share: float) -> str:
    """A share as people say it."""
    return "an unknown part" if math.isnan(share) else f"{100 * share:.3g} %"


def tell_joins(rows: Rows) -> str:
    """What the joins of a flow say together."""
    if not rows:
        return "No skip connection was found."
    clear = [row for row in rows if row["skip_share"] is not None]
    unclear = sum(row["ambiguous"] for row in rows)
    told = f"{len(rows)} join{'s' * (len(rows) > 1)}"
    if unclear:
        told += f", of which {unclear} {'are' if unclear > 1 else 'is'} ambiguous"
        told += " (a scope named skip or residual would decide)"
    if not clear:
        return told + "."
    shares = [row["skip_share"] for row in clear if not math.isnan(row["skip_share"])]
    if not shares:
        return told + "; no δ comes back through them."
    told += f". Back through the skips comes {percent(sum(shares) / len(shares))} of δ on average"
    weakest, strongest = _extreme(clear, min), _extreme(clear, max)
    if len(shares) > 1:
        told += (
            f", from {percent(weakest['skip_share'])} at node {weakest['join']} "
            f"to {percent(strongest['skip_share'])} at node {strongest['join']}"
        )
    opposed = sum(row["cosine"] < 0 for row in clear)
    if opposed:
        told += f"; at {opposed} of them skip and residual branch oppose each other"
    return told + "."


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
    direct, largest = rows[0]["projection"], max(rows, key=lambda row: row["norm"])
    told = f"Of the δ of {name} {percent(direct)} came through skips alone"
    if largest["branches"]:
        told += (
            f", and most, {percent(largest['projection'])}, through {largest['branches']} "
            f"residual branch{'es' * (largest['branches'] > 1)}"
        )
    weights = [row["norm"] for row in rows]
    if sum(weights):
        mean = sum(k * weight for k, weight in enumerate(weights)) / sum(weights)
        told += f"; weighted by length it took {mean:.3g} of {len(rows) - 1} branches on average"
    return told + "."
