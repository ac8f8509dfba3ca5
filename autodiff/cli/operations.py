"""The table of operations, made from the registry."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..batching import FIRST, loops
from ..graph import OPERATIONS, columns
from ..op import FUNCTIONS, ITEM, Op
from ..testing import edges
from .names import DIFFERENTIABLE, FLAT, NOT, names

SCIPY = tuple(f"scipy.{name}" for name in ("special", "derivatives", "matrices", "linalg", "sparse"))
FAMILIES = (*ops.__all__, *SCIPY)
"""The files of the rule book, as they are named; those of SciPy's functions are last."""


def load() -> None:
    """Let the rules for SciPy's functions enter the registry, where SciPy is installed."""
    if importlib.util.find_spec("scipy") is not None:
        for family in SCIPY:
            importlib.import_module(f"autodiff.{family}")


def _family(op: Op) -> str:
    """The file that an operation is declared in, from where its first rule was written; of SciPy's, all else."""
    rules = [rule for rule in (*op.vjps, op.joint) if rule is not None]
    home = getattr(rules[0], "__module__", "") if rules else ""
    return home.removeprefix("autodiff.") if home.removeprefix("autodiff.") in SCIPY else SCIPY[0]


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
    load()
    family_of = {id(x): family for family in ops.__all__ for x in vars(getattr(ops, family)).values()}
    found = []
    for op in OPERATIONS.values():
        if op.kind in ("input", "constant") or op.user or op is ITEM:
            continue  # the ends of a graph, and what only the machinery records
        arguments = argument_names(op)
        found.append(
            Row(
                op.name, op.kind, family_of.get(id(op)) or _family(op), arguments, tuple(sorted(op.accepts)),
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
    """A function of NumPy or SciPy as people write it."""
    if isinstance(function, np.ufunc):
        return f"{'np' if getattr(np, function.__name__, None) is function else 'scipy.special'}.{function.__name__}"
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
    return f"{module}.{function.__name__}"


def compositions() -> list[str]:
    """The NumPy functions that are not one operation but written in several."""
    direct = {function for op in OPERATIONS.values() for function in op.numpy}
    return sorted({spelled(function) for function in FUNCTIONS if function not in direct})


def as_text(word: str = "") -> str:
    """Aligned columns for a terminal: the operations, then how each public name of NumPy stands.

    With a word, only the operations and names that have it in their name.
    """
    lines = [("operation", "kind", "arguments", "keywords", "formula", "at corners")]
    for row in rows():
        if word in row.name or any(word in function for function in row.numpy):
            lines.append(
                (row.name, row.kind, ", ".join(row.arguments), ", ".join(row.keywords),
                 ";  ".join(_distinct(row.formula)), ";  ".join(row.edges))
            )  # fmt: skip
    told = [standing for standing in names() if word in standing.name]
    counts = ", ".join(f"{sum(s.status == status for s in told)} {status}" for status in (DIFFERENTIABLE, FLAT, NOT))
    return "\n\n".join((columns(lines), columns([("name", "is", "through, or why"), *told]), counts))


def as_json(word: str = "") -> str:
    """The same tables for programs."""
    table = {
        "operations": [row._asdict() for row in rows() if word in row.name],
        "names": [standing._asdict() for standing in names() if word in standing.name],
    }
    return json.dumps(table, indent=1, ensure_ascii=False)


def _those_that_loop() -> str:
    """The registered operations without a rule for batches."""
    own = (op for op in OPERATIONS.values() if op.kind not in ("input", "constant") and op is not ITEM and not op.user)
    return ", ".join(_code(op.name) for op in sorted(own, key=lambda op: op.name) if loops(op))


def as_markdown(word: str = "") -> str:
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
        "",
        "On a batch (`vmap`) an operation is computed on all examples at once. One example after the other take "
        f"{_those_that_loop()}; and, where more than their points differs, {', '.join(map(_code, sorted(FIRST)))}.",
    ]
    for family in FAMILIES:
        members = [row for row in table if row.family == family]
        if not members:
            continue
        place = family.replace(".", "/") if family in SCIPY else f"ops/{family}"
        module = sys.modules[f"autodiff.{place.replace('/', '.')}"]
        summary = (module.__doc__ or "").strip().partition("\n")[0].replace("``", "`")
        parts += ["", f"## {family}", "", f"{summary} File: `autodiff/{place}.py`.".strip(), ""]
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
    parts += ["", "## Every public name of NumPy", "", "What is not named here is differentiable."]
    for status in (FLAT, NOT):
        parts += ["", f"### {status.capitalize()}", ""]
        parts += [f"- {reason}: {', '.join(map(_code, alike))}" for reason, alike in _grouped(status)]
    return "\n".join(parts)


def edges_as_markdown(word: str = "") -> str:
    """docs/edges.md, whole."""
    parts = [
        "# Edges",
        "",
        "Made by `make ops` from the declarations; do not edit. Where mathematics leaves a choice, or arithmetic would",
        "go astray: what the value is there, what the derivative, and why. Every row is a test, forward and reverse:",
        "`python -m pytest tests/test_edges.py`. The derivative is that of the sum of the expression with respect to",
        "each name, in order.",
    ]
    load()
    head = "| expression | at | value | derivative | why |"
    for topic, decided in edges.DECIDED.items():
        parts += ["", f"## {topic}", "", head, "|---" * 5 + "|"]
        parts += [_row(edge.expression, edge.at, *_outcome(edge), edge.why) for edge in decided]
    parts += ["", "## Corners that pointwise operations declare", "", head, "|---" * 5 + "|"]
    for op, at, partials, why in edges.declared():
        given, slopes = (x if isinstance(x, tuple) else (x,) for x in (at, partials))
        arguments = argument_names(op)
        with np.errstate(all="ignore"):
            value = edges.numbers(op(*map(np.float64, given)))
        point = "; ".join(f"{name} = {_number(x)}" for name, x in zip(arguments, given, strict=True))
        slope = "; ".join("no rule" if x is None else _number(x) for x in slopes)
        parts.append(_row(f"{op.name}({', '.join(arguments)})", point, value, slope, why))
    return "\n".join(parts)


def _outcome(edge: edges.Edge) -> tuple[str, str]:
    """The value of an edge, computed on plain arrays, and its derivative; or the error."""
    wanted = edges.slopes(edge)
    if isinstance(wanted, type):
        return "", f"raises {wanted.__name__}"
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = edges.numbers(edges.evaluated(edge, *edges.point(edge).values()))
    return value, "; ".join(map(edges.numbers, wanted))


def _row(*cells: str) -> str:
    *codes, why = cells
    return "| " + " | ".join([*(_code(text.replace("|", "\\|")) if text else "" for text in codes), _cell(why)]) + " |"


def _grouped(status: str) -> list[tuple[str, list[str]]]:
    """The names of one status, those with the same reason together."""
    found: dict[str, list[str]] = {}
    for standing in names():
        if standing.status == status:
            found.setdefault(standing.through, []).append(standing.name)
    return list(found.items())


def _distinct(texts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(texts))


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    """Text that may hold | and *, as one cell of a table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
