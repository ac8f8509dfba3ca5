"""The picture as plain data: one document of dicts and lists that feeds every rendering.

``nodes`` and ``edges`` are one dict each; ids are the numbers of nodes in the graph and of argument slots, so equal
graphs give equal documents. Nothing in it is an array, and nothing is an object of this package: it is what the
``.json`` format writes.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..errors import ArgumentError, message
from ..flows import ENDS, GradientFlow, divide, scopes, statistics
from ..graph import LITERAL, Graph, cell, setting

FORMAT = "autodiff picture"
VERSION = 1


def document(source: Graph | GradientFlow, title: str | None = None, joins: bool = False) -> dict[str, Any]:
    """The document of a graph, with δ where a flow is given.

    Parameters
    ----------
    source : GradientFlow or Graph
    title : str, optional
        The name of the traced function by default.
    joins : bool
        Whether to look for joins as well.

    Returns
    -------
    dict
        ``nodes``: id, kind, op, name, scope, shape, dtype, line, call, formulas, value and delta (see
        :meth:`~autodiff.GradientFlow.statistics`; ``number`` as well where there is one element), path (None without
        a flow), output, uses, badges. ``edges``: id, from, to, slot, kind ("δ", "no δ"; "not yet" with ``until``),
        delta (its statistics), projection, norm_share, cosine. ``joins``: as
        :meth:`~autodiff.GradientFlow.joins`, where asked for.

    Examples
    --------
    >>> import autodiff as ad
    >>> found = ad.viz.document(ad.flow(lambda x: x * x)(3.0))
    >>> [node["op"] for node in found["nodes"]], [edge["delta"]["rms"] for edge in found["edges"]]
    (['input', 'multiply'], [3.0, 3.0])
    """
    flow = source if isinstance(source, GradientFlow) else None
    graph = source.graph if isinstance(source, GradientFlow) else source
    if not isinstance(graph, Graph):
        raise ArgumentError(
            message(f"viz: a {type(source).__name__} has no picture", "a graph is drawn, or a flow with its δ",
                    "ad.flow(f)(x).draw('flow.svg')")
        )  # fmt: skip
    values = graph.values.results if graph.values is not None else [None] * len(graph)
    homes = scopes(graph)
    outputs = set(graph.outputs)
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for v, op in enumerate(graph.ops):
        line = graph.lines[v]
        delta = None if flow is None else flow.delta[v]
        node = {
            "id": v, "kind": op.kind, "op": op.name, "name": graph.names.get(v), "scope": list(homes[v]),
            "shape": _plain(graph.shapes[v]), "dtype": _dtype(graph.dtypes[v]),
            "line": None if line is None else {"file": line[0], "line": line[1]},
            "call": _call(graph, v), "formulas": [op.formula(k) for k in range(len(graph.inputs[v]))],
            "value": None if values[v] is None else _numbers(values[v]),
            "delta": None if delta is None else _numbers(delta),
            "path": None if flow is None else delta is not None,
            "output": v in outputs, "uses": len({w for w, _ in graph.consumers[v]}), "badges": [],
        }  # fmt: skip
        nodes.append(node)
        edges.extend(_edges(graph, flow, node))
        node["badges"] = _badges(node)
    found = {
        "format": FORMAT, "version": VERSION, "title": title if title is not None else _title(graph, flow is not None),
        "flow": flow is not None, "nodes": nodes, "edges": edges,
    }  # fmt: skip
    if joins and flow is not None:
        found["joins"] = list(flow.joins())
    return found


def outline(source: Graph | GradientFlow) -> dict[str, Any]:
    """The document without numbers and texts: enough to know which boxes there would be, in a tenth of the time."""
    flow = source if isinstance(source, GradientFlow) else None
    graph = source.graph if isinstance(source, GradientFlow) else source
    outputs = set(graph.outputs)
    nodes = [
        {"id": v, "kind": op.kind, "name": graph.names.get(v), "scope": home, "output": v in outputs, "delta": None}
        for v, (op, home) in enumerate(zip(graph.ops, scopes(graph), strict=True))
    ]
    edges = [
        {"id": f"{w}:{k}", "from": v, "to": w, "slot": k,
         "kind": "δ" if flow is not None and (w, k) in flow.contributions else "no δ"}
        for v in range(len(graph)) for w, k in graph.consumers[v]
    ]  # fmt: skip
    return {"flow": flow is not None, "nodes": nodes, "edges": edges}


def prune(found: dict[str, Any], flow: GradientFlow, keep: float) -> dict[str, Any]:
    """The document in which every edge has ``kept``: whether it is among the fewest that carry a part of the gradient.

    ``prune`` counts them: ``keep`` and what is ``carried`` by so many ``edges`` ``of`` all, ``told`` as a sentence.
    """
    pruned = flow.prune(keep)
    kept = set(pruned["edges"])
    edges = [{**edge, "kept": (edge["to"], edge["slot"]) in kept} for edge in found["edges"]]
    counts = {"keep": keep, "carried": pruned["carried"], "edges": len(kept), "of": len(kept) + pruned["dropped"]}
    return {**found, "prune": {**counts, "told": pruned.told.rstrip(".")}, "edges": edges}


def until(found: dict[str, Any], flow: GradientFlow, key: Any) -> dict[str, Any]:
    """The document of the reverse sweep as it stands when the δ of a node has just been gathered.

    ``until`` is that node's number, ``sizes`` the RMS of every δ and contribution of the whole sweep.
    """
    at = flow.graph.node(key).index
    numbers = [row["delta"] for row in (*found["nodes"], *found["edges"]) if row["delta"] is not None]
    nodes = [
        node if node["id"] >= at else
        {**node, "delta": None, "path": None,
         "badges": [badge for badge in node["badges"] if badge.startswith("value")]}
        for node in found["nodes"]
    ]  # fmt: skip
    unsent = {"kind": "not yet", "delta": None, "projection": None, "norm_share": None, "cosine": None}
    edges = [edge if edge["from"] >= at else {**edge, **unsent} for edge in found["edges"]]
    changed = {"nodes": nodes, "edges": edges, "until": at, "sizes": numbers}
    if "joins" in found:
        changed["joins"] = [row for row in found["joins"] if row["fork"] >= at]
    return {**found, **changed}


def _title(graph: Graph, flow: bool) -> str:
    return f"{'Gradient flow' if flow else 'Graph'}{f' of {graph.title}' if graph.title else ''}"


def _edges(graph: Graph, flow: GradientFlow | None, node: dict[str, Any]) -> list[dict[str, Any]]:
    """The edges that leave a node, each with its contribution; the node learns whether they cancel."""
    v = node["id"]
    uses = graph.consumers[v]
    edges = [
        {"id": f"{w}:{k}", "from": v, "to": w, "slot": k, "kind": "no δ", "delta": None, "projection": None,
         "norm_share": None, "cosine": None}
        for w, k in uses
    ]  # fmt: skip
    if flow is None or flow.delta[v] is None:
        return edges
    sent = [(edge, flow.contributions[w, k]) for edge, (w, k) in zip(edges, uses, strict=True)
            if (w, k) in flow.contributions]  # fmt: skip
    terms = [term for _, term in sent] + ([flow.seeds[v]] if v in flow.seeds else [])
    if len(terms) == 1 and terms[0] is flow.delta[v] and node["delta"]["rms"]:
        whole: dict[str, Any] = {"cancels": False, "terms": [{"projection": 1.0, "norm_share": 1.0, "cosine": 1.0}]}
        numbers = [node["delta"]]  # one consumer: its contribution is the node's δ itself
    else:
        whole = divide(terms, flow.delta[v])
        numbers = [_numbers(term) for _, term in sent]
    node["cancels"] = whole["cancels"]
    for (edge, _), number, share in zip(sent, numbers, whole["terms"], strict=False):
        edge.update(kind="δ", delta=number, **share)
    return edges


def _badges(node: dict[str, Any]) -> list[str]:
    """The states of a node that a picture must tell in words."""
    found = ["no path"] if node["path"] is False else []
    if node.pop("cancels", False):
        found.append("cancels")
    for key, what in (("delta", "δ"), ("value", "value")):
        numbers = node[key]
        if numbers is None:
            continue
        if what == "δ" and numbers["size"] and numbers["zero"] == numbers["size"]:
            found.append("δ exactly zero")
        for state, word in (("subnormal", "subnormal"), ("nan", "NaN"), ("+inf", "+Inf"), ("-inf", "−Inf")):
            if numbers[state]:
                found.append(f"{what} {word} ×{numbers[state]}")
    return found


def _numbers(x: Any) -> dict[str, Any]:
    """Statistics of a value or δ; of a single element the number itself as well."""
    found = statistics(x)
    if found["size"] == 1 and not isinstance(x, tuple):
        only = np.asarray(x).reshape(())[()]
        found["number"] = [float(only.real), float(only.imag)] if only.dtype.kind == "c" else float(only)
    return found


def _call(graph: Graph, v: int) -> str:
    """An operation as it was called: nodes as ·, literals and settings as they are."""
    op = graph.ops[v]
    if op.kind == "input":
        return op.name  # type: ignore[no-any-return]
    shown = ["·" if u != LITERAL else _literal(x) for u, x in zip(graph.inputs[v], graph.literals[v], strict=True)]
    if op.kind == "constant":
        return f"constant {shown[0]}"
    settings = [f"{key}={_literal(value)}" for key, value in (graph.params[v] or {}).items()]
    if settings or any(text != "·" for text in shown):
        return f"{op.name}({', '.join(shown + settings)})"
    return op.name  # type: ignore[no-any-return]


def _literal(x: Any) -> str:
    if isinstance(x, np.ndarray) and x.size > 4:
        return f"{x.dtype}[{'×'.join(map(str, x.shape))}]"
    if isinstance(x, (np.ndarray, np.generic)):
        return cell(x, 24)
    if isinstance(x, slice):
        parts = ["" if part is None else str(part) for part in (x.start, x.stop, x.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(x, (tuple, list)):
        return "(" + ", ".join(map(_literal, x)) + ")"
    if callable(x) and not isinstance(x, type):
        return setting(x)
    return "…" if x is Ellipsis else str(x)


def _plain(shape: Any) -> list[Any]:
    return [_plain(part) if isinstance(part, tuple) else int(part) for part in shape]


def _dtype(dtype: Any) -> Any:
    return [str(part) for part in dtype] if isinstance(dtype, tuple) else str(dtype)


def to_json(found: dict[str, Any]) -> str:
    """The document as JSON, ASCII only; numbers that JSON does not have are the strings "nan", "inf" and "-inf".

    ``<``, ``>`` and ``&`` are escaped as well, so that the text can stand inside a page whatever the names are.
    """
    text = json.dumps(finite(found), ensure_ascii=True, allow_nan=False, indent=1)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text + "\n"


def finite(x: Any) -> Any:
    """The same data without the numbers that JSON does not have. A document is never more than a few levels deep."""
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    if isinstance(x, dict):
        return {key: finite(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [finite(value) for value in x]
    return x


def leaf(node: dict[str, Any]) -> bool:
    """Whether a node of the document computes nothing."""
    return node["kind"] in ENDS
