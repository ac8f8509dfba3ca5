"""Two flows of the same code side by side: initialisations, steps of training, with and without a skip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Graph
from .amounts import Rows, divide, flat, statistics

Key = tuple[tuple[str, ...], str, int]


def keys(graph: Graph, homes: list[tuple[str, ...]]) -> dict[Key, int]:
    """Each node by its scope, its name or operation, and how many of these came before: the same in both runs."""
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    found = {}
    for v, op in enumerate(graph.ops):
        what = (homes[v], graph.names.get(v) or op.name)
        found[(*what, seen[what])] = v
        seen[what] += 1
    return found


def compare(
    first: dict[Key, int], second: dict[Key, int], delta: list[Any], other: list[Any], shape_of: Callable[[int], Any]
) -> Rows:
    """A row a node that both flows have; see GradientFlow.compare."""
    rows = Rows()
    for key, v in first.items():
        if key not in second:
            continue
        w = second[key]
        a, b = delta[v], other[w]
        before, after = (None if d is None else statistics(d)["rms"] for d in (a, b))
        alike = a is not None and _alike(a, b)
        scope, what, occurrence = key
        rows.append({
            "scope": "/".join(scope), "what": what, "occurrence": occurrence, "node": v, "other": w,
            "shape": shape_of(v), "before": before, "after": after,
            "factor": after / before if before and after is not None else None,
            "cosine": divide([b], a)["terms"][0]["cosine"] if alike else None,
        })  # fmt: skip
    pairs = [(delta[row["node"]], other[row["other"]]) for row in rows]
    rows.summary = {
        "matched": len(rows), "only_here": len(first) - len(rows), "only_there": len(second) - len(rows),
        "vanished": sum(_is_some(a) and not _is_some(b) for a, b in pairs),
        "appeared": sum(_is_some(b) and not _is_some(a) for a, b in pairs),
        "nonfinite": sum(not (_is_finite(a) and _is_finite(b)) for a, b in pairs),
    }  # fmt: skip
    rows.told = _told(rows)
    return rows


def _is_some(d: Any) -> bool:
    """Whether there is a path, and not all of what comes along it is zero."""
    return d is not None and bool(np.any(flat(d)))


def _is_finite(d: Any) -> bool:
    return d is None or bool(np.all(np.isfinite(flat(d))))


def _alike(a: Any, b: Any) -> bool:
    """Whether two δ have the same shape; of several results each, and the same ones unused."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    if a is None or b is None:
        return a is b
    return bool(np.shape(a) == np.shape(b))


def _told(rows: Rows) -> str:
    matched, here, there, vanished, appeared, lost = rows.summary.values()
    told = f"{_nodes(matched) if matched else 'No node'} {'is' if matched < 2 else 'are'} in both flows"
    told += f", {here} in the first alone and {there} in the second." if here or there else "."
    changed = [row for row in rows if row["factor"] is not None and row["factor"] > 0]
    most = max(changed, key=lambda row: abs(np.log(row["factor"])), default={"factor": 1.0})
    if abs(np.log(most["factor"])) > 1e-12:
        where = f"{most['scope']}: " if most["scope"] else ""
        told += f" δ changed most at {where}{most['what']} (node {most['node']}), by ×{most['factor']:.3g}."
    elif matched and not (vanished or appeared or lost):
        told += " δ is of the same size everywhere."
    told += f" At {_nodes(vanished)} δ vanished." if vanished else ""
    told += f" At {_nodes(appeared)} δ appeared." if appeared else ""
    return told + (f" At {_nodes(lost)} δ is not finite." if lost else "")


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count != 1)}"
