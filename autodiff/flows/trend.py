"""How δ changes from block to block: a factor a block, and how well one factor says it."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from .amounts import Rows

NUMBERED = re.compile(r"^(.*?)(\d+)([^\d]*)$")


def numbered(names: list[str]) -> list[int]:
    """The indices of the longest run of names that differ in one number alone, in the order of that number."""
    stems: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for i, name in enumerate(names):
        found = NUMBERED.match(name)
        if found:
            stems.setdefault((found[1], found[3]), []).append((int(found[2]), i))
    longest = max(stems.values(), key=len, default=[])
    return [i for _, i in sorted(longest)]


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


def trend(names: list[str], sizes: list[float], dtype: Any) -> Rows:
    """A row a block, from the output back to the input, and the trend in a sentence; see GradientFlow.trend."""
    found = fit(sizes)
    floor = float(np.finfo(dtype).smallest_normal)
    rows = Rows()
    before = None
    for name, size in zip(names, sizes, strict=True):
        ratio = size / before if before else None
        rows.append({"block": name, "delta": size, "factor": ratio, "below_floor": size < floor})
        before = size
    rows.summary = {**found, "blocks": len(sizes), "floor": floor, "blocks_to_floor": None}
    factor = found["factor"]
    if factor is not None and factor < 1 and sizes[-1] > floor:
        rows.summary["blocks_to_floor"] = math.log(floor / sizes[-1]) / math.log(factor)
    rows.told = _told(rows, sizes, np.dtype(dtype))
    return rows


def _told(rows: Rows, sizes: list[float], dtype: np.dtype[Any]) -> str:
    factor, r2, count = rows.summary["factor"], rows.summary["r2"], rows.summary["blocks"]
    if factor is None:
        return f"There is no trend: {count} blocks, of which fewer than two have a δ that is positive and finite."
    what = "keeps its size" if 0.99 <= factor <= 1.01 else "shrinks" if factor < 1 else "grows"
    by = "" if what == "keeps its size" else f" by ×{factor:.3g} a block"
    told = f"On its way back through {count} blocks δ {what}{by}, "
    told += f"from {sizes[0]:.3g} to {sizes[-1]:.3g} (R² = {r2:.2f})."
    under = sum(row["below_floor"] for row in rows)
    if under:
        told += f" In {under} of them it is below the smallest normal number of {dtype}, {rows.summary['floor']:.3g}."
    return told
