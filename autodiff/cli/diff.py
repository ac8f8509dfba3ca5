"""``diff``: two flows of the same code side by side."""

from __future__ import annotations

import argparse
import math
from typing import Any

from ..errors import CommandError, message
from ..flows import Rows
from .flow import Table, as_csv, as_json, as_text, deliver, form_of, printing
from .source import find

SHOWN = ("node", "scope", "what", "shape", "before", "after", "factor", "cosine")


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the two flows."""
    about = "print the N nodes that changed most, 0 for all; json and csv have all [%(default)s]"
    p.add_argument("--most", type=int, default=40, metavar="N", help=about)
    printing(p)


def run(given: argparse.Namespace) -> None:
    """Match the nodes, and print how their δ differ."""
    form = form_of(given)
    if given.most < 0:
        what = f"--most {given.most} is negative"
        raise CommandError(message(what, "it is a number of nodes", "--most 20, or --most 0 for all of them"))
    first, second = (find(spec, given) for spec in (given.first, given.second))
    rows = first.flow.compare(second.flow)
    if form == "csv":
        deliver(as_csv(Table("nodes", rows, SHOWN)), given.out)
    elif form == "json":
        ends = {"first": given.first, "second": given.second}
        deliver(as_json(ends, [Table("nodes", rows, SHOWN)]), given.out)
    else:
        shown = _most(rows, given.most)
        about = "nodes" if len(shown) == len(rows) else f"the {len(shown):,} of {len(rows):,} nodes that changed most"
        head = f"δ before ({given.first}) and after ({given.second})"
        deliver(as_text(head, [Table(about, shown, SHOWN)]), given.out)


def _most(rows: Rows, count: int) -> Rows:
    """The rows whose δ changed most, in order of computation."""
    if not 0 < count < len(rows):
        return rows
    order = sorted(range(len(rows)), key=lambda n: (-_change(rows[n]), n))[:count]
    return Rows((rows[n] for n in sorted(order)), rows.told)


def _change(row: dict[str, Any]) -> float:
    """By how many powers of e a δ grew or shrank; infinitely many where it came or went."""
    before, after = row["before"], row["after"]
    if not before or not after:
        return 0.0 if bool(before) == bool(after) else math.inf
    return abs(math.log(after / before)) if math.isfinite(after / before) and after / before > 0 else math.inf
