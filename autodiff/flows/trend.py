"""How δ changes from block to block: a factor a block, and how well one factor says it."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from .amounts import Rows

NUMBER = re.compile(r"\d+")


EVEN = 0.5
"""A line that explains less of the variance than this is said to be uneven."""


def numbered(names: list[str]) -> list[int]:
    """The indices of the most names that differ in their numbers alone, in the order of these numbers."""
    stems: dict[str, list[tuple[list[int], int]]] = {}
    for i, name in enumerate(names):
        numbers = NUMBER.findall(name)
        if numbers:
            stems.setdefault(NUMBER.sub("0", name), []).append((list(map(int, numbers)), i))
    most = max(stems.values(), key=len, default=[])
    return [i for _, i in sorted(most)]


def fit(sizes: list[float]) -> dict[str, Any]:
    """A line through log₁₀ of sizes that follow one another on the way back, and its quality.

    Returns
    -------
    dict
        ``factor``: what one step multiplies by; ``r2``: the part of the variance of the logarithms that the line
        explains, 1 where there is none to explain; None for both where fewer than two sizes are positive and finite.
    """
    steps = [i for i, size in enumerate(sizes) if size > 0 and math.isfinite(size)]
    if len(steps) < 2:
        return {"factor": None, "r2": None}
    logs = np.log10([sizes[i] for i in steps])
    slope, offset = np.polyfit(steps, logs, 1)
    spread = float(np.sum((logs - np.mean(logs)) ** 2))
    rest = float(np.sum((logs - (slope * np.array(steps) + offset)) ** 2))
    return {"factor": float(10.0**slope), "r2": 1.0 - rest / spread if spread > 1e-24 * len(steps) else 1.0}


def trend(names: list[str], sizes: list[float], nonfinite: list[int], dtype: Any) -> Rows:
    """A row a block, from the output back to the input, and the trend in a sentence; see GradientFlow.trend."""
    found = fit(sizes)
    floor = float(np.finfo(dtype).smallest_normal)
    rows = Rows()
    before = None
    for name, size, lost in zip(names, sizes, nonfinite, strict=True):
        ratio = size / before if before else None
        rows.append({"block": name, "delta": size, "factor": ratio, "below_floor": size < floor, "nonfinite": lost})
        before = size
    rows.summary = {**found, "blocks": len(sizes), "floor": floor, "blocks_to_floor": None}
    factor = found["factor"]
    if factor is not None and factor < 1 and sizes[-1] > floor:
        rows.summary["blocks_to_floor"] = math.log(floor / sizes[-1]) / math.log(factor)
    rows.told = f"{_tell_factor(rows)}{_tell_states(rows, np.dtype(dtype))}"
    return rows


def _tell_factor(rows: Rows) -> str:
    factor, r2, count = rows.summary["factor"], rows.summary["r2"], rows.summary["blocks"]
    blocks = f"{count} block{'s' * (count != 1)}"
    if count < 2:
        return f"There is no trend over {blocks}." if count else "There is no trend: no blocks and no joins were found."
    if factor is None:
        return f"There is no trend over {blocks}: in fewer than two of them δ is positive and finite."
    sizes = [row["delta"] for row in rows if row["delta"] > 0 and math.isfinite(row["delta"])]
    what = "keeps its size" if 0.99 <= factor <= 1.01 else "shrinks" if factor < 1 else "grows"
    if what != "keeps its size":
        what += f" by ×{factor:.3g} a block"
    even = "" if r2 >= EVEN or max(sizes) < 1.1 * min(sizes) else ", unevenly"
    quality = f" (R² = {r2:.2f})" * (len(sizes) > 2)  # a line through two points says nothing of itself
    return f"On its way back through {blocks} δ {what}{even}, from {sizes[0]:.3g} to {sizes[-1]:.3g}{quality}."


def _tell_states(rows: Rows, dtype: np.dtype[Any]) -> str:
    """In how many blocks δ is zero, below the floor of its dtype, or not finite."""
    zero = sum(row["delta"] == 0 for row in rows)
    under = sum(row["below_floor"] for row in rows) - zero
    lost = sum(row["nonfinite"] > 0 for row in rows)
    count = len(rows)
    told = f" In {_of(zero, count)} δ is zero." if zero else ""
    if under:
        floor = f"{rows.summary['floor']:.3g}"
        told += f" In {_of(under, count)} δ is below the smallest normal number of {dtype}, {floor}."
    return told + (f" In {_of(lost, count)} some of δ is not finite." if lost else "")


def _of(number: int, count: int) -> str:
    """So many of some blocks that were counted before."""
    return "it" if count == 1 else "all of them" if number == count else f"{number} of them"
