"""The table of operations, made from the registry."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..graph import OPERATIONS, columns
from ..op import FUNCTIONS, Op

FAMILIES = tuple(ops.__all__)
"""The files of the rule book, as they are named."""


class Row(NamedTuple):
    """One operation as the table shows it."""

    name: str
    kind: str
    family: str
    arguments: tuple[str, ...]
    keywords: tuple[str, ...]
    formula: tuple[str, ...]
    edges: tuple[str, ...]
    numpy: tuple[str, ...]
    note: str


def rows() -> list[Row]:
    """Every registered operation, family by family in the order of the rule book, by name within one."""
    family_of = {id(x): family for family in FAMILIES for x in vars(getattr(ops, family)).values()}
    found = []
    for op in OPERATIONS.values():
        if op.kind in ("input", "constant") or op.user or id(op) not in family_of:
            continue  # the ends of a graph, and what only the machinery records
        arguments = argument_names(op)
        found.append(
            Row(
                op.name, op.kind, family_of[id(op)], arguments, tuple(sorted(op.accepts)),
                tuple(op.formula(k) for k in range(max(len(arguments), 1)) if op.formula(k)) if not op.flat else (),
                tuple(_edge(arguments, at, slopes) for at, slopes in op.edges),
                tuple(spelled(function) for function in op.numpy), op.note,
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: (FAMILIES.index(row.family), row.name))


def argument_names(op: Op) -> tuple[str, ...]:
    """The names of an operation's array arguments, as its rules spell them."""
    for rule in (*op.vjps, op.joint):
        if rule is None:
            continue
        names = [p for p in inspect.signature(rule).parameters.values() if p.kind is not p.KEYWORD_ONLY][2:]
        if any(p.kind is p.VAR_POSITIONAL for p in names):
            return tuple(f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name for p in names)
        return tuple(p.name for p in names)
    if op.signature and op.arity is not None:
        return op.signature[: op.arity]
    return ("x",) if op.arity == 1 else tuple("abcdefgh"[: op.arity or 0])


def _edge(arguments: tuple[str, ...], at: Any, slopes: Any) -> str:
    """One convention at a corner: where, and what the derivative is there. For one argument they are plain numbers."""
    points, partials = (x if isinstance(x, tuple) else (x,) for x in (at, slopes))
    where = ", ".join(f"{name} = {_number(x)}" for name, x in zip(arguments, points, strict=True))
    parts = [f"∂{name} = {_number(x)}" for name, x in zip(arguments, partials, strict=True) if x is not None]
    return f"{', '.join(parts)} at {where}"


def _number(x: Any) -> str:
    return f"{x:g}" if isinstance(x, (int, float)) else str(x)


def spelled(function: Callable[..., Any]) -> str:
    """A NumPy function as people write it."""
    if isinstance(function, np.ufunc):
        return f"np.{function.__name__}"
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
    return f"{module}.{function.__name__}"


def compositions() -> list[str]:
    """The NumPy functions that are not one operation but written in several."""
    direct = {function for op in OPERATIONS.values() for function in op.numpy}
    return sorted({spelled(function) for function in FUNCTIONS if function not in direct})


def as_text() -> str:
    """Aligned columns for a terminal."""
    head = ("name", "kind", "arguments", "keywords", "formula", "at corners")
    lines = [head]
    for row in rows():
        lines.append(
            (row.name, row.kind, ", ".join(row.arguments), ", ".join(row.keywords), ";  ".join(_distinct(row.formula)),
             ";  ".join(row.edges))
        )  # fmt: skip
    return f"{columns(lines)}\n\nwritten in these: {', '.join(compositions())}"


def as_json() -> str:
    """The same table for programs."""
    table = {"operations": [row._asdict() for row in rows()], "compositions": compositions()}
    return json.dumps(table, indent=1, ensure_ascii=False)


def as_markdown() -> str:
    """docs/operations.md, whole."""
    table = rows()
    parts = [
        "# Operations",
        "",
        "Made by `make ops` from the registry; do not edit. Each operation is one declaration in one file of",
        "`autodiff/ops/`, and every one is held to the same laws (`autodiff.testing`).",
        "",
        "In a formula δy is the incoming δ, y the result; what a letter stands for is in the column of arguments. An",
        "argument without a formula in its operation's row has no derivative. A keyword that is not listed is refused",
        "when the call is recorded. *At corners*: what the derivative is where the function has a kink or a tie.",
        "",
        f"{len(table)} operations, and {len(compositions())} functions written in them (at the end).",
    ]
    for family in FAMILIES:
        members = [row for row in table if row.family == family]
        if not members:
            continue
        summary = (getattr(ops, family).__doc__ or "").strip().partition("\n")[0].replace("``", "`")
        parts += ["", f"## {family}", "", f"{summary} File: `autodiff/ops/{family}.py`.".strip(), ""]
        head = ("name", "kind", "called by", "arguments", "keywords", "formula", "at corners, and notes")
        parts += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for row in members:
            notes = [*row.edges, *([row.note] if row.note else [])]
            parts.append(
                "| " + " | ".join((
                    _code(row.name), row.kind, ", ".join(map(_code, row.numpy)), ", ".join(map(_code, row.arguments)),
                    ", ".join(map(_code, row.keywords)), _cell("<br>".join(_distinct(row.formula))),
                    _cell("<br>".join(notes)),
                )) + " |"
            )  # fmt: skip
    parts += ["", "## Written in other operations", "", ", ".join(map(_code, compositions())) + "."]
    return "\n".join(parts)


def _distinct(texts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(texts))


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    """Text that may hold | and *, as one cell of a table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
