"""A document as a table of plain text: every node a row, every number that the picture shows."""

from __future__ import annotations

from typing import Any

from ..graph import columns
from .face import spread, states
from .lettering import clean


def to_text(found: dict[str, Any]) -> str:
    """The text of a .txt file."""
    head = clean(found["title"], 100)
    rows: list[tuple[str, ...]] = [
        ("#", "scope", "name", "operation", "inputs", "shape", "dtype", "value", "δ", "notes")
    ]
    inputs: dict[int, list[tuple[int, int]]] = {}
    for edge in found["edges"]:
        inputs.setdefault(edge["to"], []).append((edge["slot"], edge["from"]))
    for node in found["nodes"]:
        dtype = node["dtype"] if isinstance(node["dtype"], str) else f"{len(node['dtype'])} results"
        rows.append((
            str(node["id"]), clean("/".join(node["scope"])), clean(node["name"] or ""), clean(node["call"]),
            " ".join(f"%{source}" for _, source in sorted(inputs.get(node["id"], ()))),
            "×".join(map(str, node["shape"])) or "scalar", dtype, _cell(node["value"]),
            "no path" if node["path"] is False else _cell(node["delta"]),
            "; ".join(badge for badge in node["badges"] if badge != "no path"),
        ))  # fmt: skip
    kept = "prune" in found
    arrows: list[tuple[str, ...]] = [
        ("from", "to", "argument", "contribution", "projection", "norm share", "cosine", *(["kept"] * kept))
    ]
    for edge in found["edges"]:
        if edge["kind"] == "δ":
            shares = [f"{edge[key]:.4f}" for key in ("projection", "norm_share", "cosine")]
            if kept:
                shares.append("yes" if edge["kept"] else "no")
            arrows.append((f"%{edge['from']}", f"%{edge['to']}", str(edge["slot"]), _cell(edge["delta"]), *shares))
    head += f"\n{len(found['nodes'])} nodes, {len(found['edges'])} edges"
    parts = [f"{head}\n{found['prune']['told']}" if kept else head, columns(rows)]
    if len(arrows) > 1:
        parts.append("What came back along each edge\n" + columns(arrows))
    return "\n\n".join(parts) + "\n"


def _cell(numbers: dict[str, Any] | None) -> str:
    if numbers is None:
        return ""
    told = () if "number" in numbers else (states(numbers),)  # a number that is not finite tells that itself
    return "  ".join(filter(None, (*spread(numbers), *told))) or "empty"
