"""``flow``: where the gradient of a function goes, as tables and sentences."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CommandError, PictureError, message
from ..flows import GradientFlow, Rows, scopes, statistics
from ..flows.told import called, tell_spectrum
from ..graph import columns
from ..viz.files import write_whole
from ..viz.lettering import clean, number
from ..viz.picture import finite
from .source import Source, find

TABLES = ("joins", "trend", "scopes", "paths")
FORMS = ("txt", "json", "csv")
PERCENT = ("skip_share", "residual_share", "projection", "norm_share", "skip", "residual")
"""Columns that are written as a part of the whole."""
SHOWN = {
    "joins": ("block", "join", "fork", "kind", "norm", "skip_share", "residual_share", "cosine", "rms"),
    "trend": ("block", "delta", "factor", "below_floor"),
    "scopes": ("scope", "nodes", "delta", "parameters", "nonfinite", "no_path", "skip", "residual"),
    "paths": ("node", "branches", "norm", "projection", "norm_share", "cosine"),
}
"""The columns of a table on a terminal; json and csv have all."""


class Table(NamedTuple):
    """One table: its name, its rows, and its columns on a terminal."""

    name: str
    rows: Rows
    shown: tuple[str, ...]


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the function and its arguments."""
    p.add_argument("--table", nargs="+", choices=TABLES, metavar="NAME",
                   help=f"which tables: {', '.join(TABLES)} [joins and trend]")  # fmt: skip
    p.add_argument("--paths", nargs="*", metavar="NODE",
                   help="split the δ of these nodes, by name or number, by how many residual branches it came through "
                   "[the fork of the first join]")  # fmt: skip
    p.add_argument("--save", metavar="RUN.json", type=Path, help="also keep the flow, for `diff` and to be read again")
    printing(p)


def printing(p: argparse.ArgumentParser) -> None:
    """How tables are written, and where."""
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="for programs: every digit")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="one table, for spreadsheets")
    p.add_argument("-o", "--out", metavar="OUT", type=Path,
                   help="file to write instead of printing; .txt, .json or .csv says how")  # fmt: skip


def run(given: argparse.Namespace) -> None:
    """Sweep, and print the tables; or write them and print where they are."""
    form = form_of(given)
    wanted = given.table or (["paths"] if form == "csv" and given.paths is not None else ["joins"] if form == "csv"
                             else ["joins", "trend", *(["paths"] if given.paths is not None else [])])  # fmt: skip
    if form == "csv" and len(wanted) > 1:
        raise CommandError(
            message(f"{len(wanted)} tables were asked for as csv", "a csv file holds one",
                    f"--csv --table {wanted[0]}; --json holds several")
        )  # fmt: skip
    if given.save is not None and given.save.suffix.lower() != ".json":
        raise CommandError(
            message(f"--save {given.save} does not end in .json", "its arrays are kept as .npz beside it",
                    f"--save {given.save.stem}.json")
        )  # fmt: skip
    source = find(given.target, given)
    if given.save is not None:
        try:
            source.flow.save(given.save)
        except OSError as error:
            raise _unwritable(given.save, error) from None
    tables = [Table(name, _rows(source.flow, name, given.paths), SHOWN[name]) for name in dict.fromkeys(wanted)]
    deliver(_written(source, tables, form), given.out)


def form_of(given: argparse.Namespace) -> str:
    """How the tables are to be written: as a flag says, or the suffix of the file."""
    suffix = "" if given.out is None else given.out.suffix.lower().lstrip(".")
    if given.out is not None and suffix not in FORMS:
        raise CommandError(
            message(f"{given.out} has the suffix {given.out.suffix!r}", "it names the form of a table",
                    f"-o {given.out.stem}.txt, .json or .csv; `draw` makes pictures")
        )  # fmt: skip
    if given.form and suffix and suffix != given.form:
        raise CommandError(
            message(f"--{given.form} was given with -o {given.out}", "the two ask for different forms",
                    f"-o {given.out.stem}.{given.form}, or leave --{given.form} out")
        )  # fmt: skip
    return given.form or suffix or "txt"


def deliver(text: str, out: Path | None) -> None:
    """Print a text, or write it into a file and print where that is."""
    if out is None:
        print(text, end="")
        return
    try:
        write_whole(out, text.encode())
    except PictureError as error:
        raise _unwritable(out, error.__context__) from None
    print(out)


def _unwritable(path: Path, error: BaseException | None) -> CommandError:
    why = getattr(error, "strerror", None) or str(error)
    return CommandError(message(f"{path} cannot be written", why, "write into a folder that you may write to"))


# -- tables ------------------------------------------------------------------------------------------------------------


def _rows(flow: GradientFlow, name: str, nodes: Sequence[str] | None) -> Rows:
    if name == "trend":
        return flow.trend()
    if name == "scopes":
        return flow.by_scope()
    return _joins(flow) if name == "joins" else _paths(flow, nodes)


def _joins(flow: GradientFlow) -> Rows:
    """The joins with the block that each ends and the size of δ at its fork."""
    found = flow.joins()
    homes = scopes(flow.graph)
    rows = Rows(told=found.told)
    for row in found:
        delta = flow.delta[row["fork"]]
        block = "/".join(homes[row["join"]]) or called(flow.graph, row["join"])
        rms = None if delta is None else statistics(delta)["rms"]
        rows.append({"block": block, **row, "rms": rms})
    return rows


def _paths(flow: GradientFlow, nodes: Sequence[str] | None) -> Rows:
    """The spectra of several nodes one below the other."""
    graph = flow.graph
    keys: list[Any] = [int(text) if text.isdecimal() else text for text in nodes or ()]
    if not keys:
        joins = [row["fork"] for row in flow.joins() if flow.delta[row["fork"]] is not None]
        keys = joins[:1] or [v for v in graph.arguments if flow.delta[v] is not None][:1]
    rows, told = Rows(), []
    for key in keys:
        spectrum = flow.spectrum(graph.node(key).index)
        name = called(graph, graph.node(key).index)
        rows += [{"node": name, **row} for row in spectrum]
        told.append(tell_spectrum(spectrum, name))
    rows.told = " ".join(told) or "No δ to split."
    return rows


# -- as text -----------------------------------------------------------------------------------------------------------


def _written(source: Source, tables: list[Table], form: str) -> str:
    flow, graph = source.flow, source.flow.graph
    if form == "csv":
        return as_csv(tables[0])
    title = graph.title or source.name
    if form == "json":
        edges = sum(1 for _ in graph.edges)
        head = {"title": title, "nodes": len(graph), "edges": edges, "edges_with_delta": len(flow.contributions)}
        return as_json(head, tables)
    counted = f"{len(graph):,} nodes, {len(flow.contributions):,} edges with δ"
    return as_text(f"Gradient flow of {clean(title)}: {counted}", tables)


def as_csv(table: Table) -> str:
    """One table with a line of headings; what is not there is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.rows[0] if table.rows else table.shown)
    writer.writerows(row.values() for row in table.rows)
    return stream.getvalue()


def as_json(head: dict[str, Any], tables: list[Table]) -> str:
    """Tables with their sentences; numbers that JSON does not have are the strings "nan", "inf" and "-inf"."""
    told = {t.name: {"told": t.rows.told, "summary": t.rows.summary, "rows": list(t.rows)} for t in tables}
    return json.dumps(finite({**head, **told}), ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def as_text(head: str, tables: list[Table]) -> str:
    """Tables one below the other, each with its sentence."""
    parts = [head]
    for table in tables:
        said = [clean(table.rows.told, 4000)] if table.rows.told else []
        if table.rows:
            heading = tuple(key.replace("_", " ") for key in table.shown)
            rows = [tuple(_cell(key, row[key]) for key in table.shown) for row in table.rows]
            said.insert(0, columns([heading, *rows]))
        parts.append("\n".join([table.name.capitalize(), *said]))
    return "\n\n".join(parts) + "\n"


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if math.isnan(value):
            return "–" if key in (*PERCENT, "cosine") else "NaN"
        return f"{number(100 * value)} %" if key in PERCENT else number(value)
    return clean(value) if isinstance(value, str) else f"{value}"
