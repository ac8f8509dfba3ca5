"""docs/benchmarks.md, and the lines that the command prints."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import reasons
from .debugging import GOAL
from .engines import ENGINES, OURS, UNWRITTEN
from .timing import Row

LEVEL = 1.03
"""Two engines within this factor share their place: repeated runs of one table differ by as much."""
IDLE = 0.5
"""Load up to which a machine counts as idle."""
MIB = 2**20
FLOOR = 0.1
"""MiB below which memory is not told apart: a page of the system here and there."""


class Findings(NamedTuple):
    """All that a run of the command found; what it was not asked for is empty."""

    engines: Sequence[str]
    rows: Sequence[Row] = ()
    probes: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
    exponents: Sequence[Sequence[str]] = ()
    figures: Sequence[tuple[str, str]] = ()
    growth: Sequence[Sequence[str]] = ()
    pictures: Sequence[Sequence[str]] = ()
    load: float = 0.0
    debug: Sequence[Sequence[str]] = ()


def markdown(body: Sequence[Sequence[str]]) -> str:
    """A table, its first row the head."""
    head, *rest = body
    return "\n".join("| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rest))


def milliseconds(seconds: float) -> str:
    """Three figures, and never a power of ten."""
    return f"{seconds * 1e3:.0f} ms" if seconds > 0.0999 else f"{seconds * 1e3:.3g} ms"


def first_call(found: Findings, row: Row, engine: str) -> float:
    """Seconds of the first call: in a fresh process where that was measured, else in this one."""
    seconds = found.probes.get(engine, {}).get(row.name, {}).get("first", row.first[engine])
    return float(seconds)


def time_cells(found: Findings, row: Row) -> list[str]:
    """One row of the table of times: milliseconds of the first engine that ran, multiples of it for the rest."""
    cells, base = [row.name], next(engine for engine in found.engines if engine in row.times)
    for engine in found.engines:
        if engine not in row.times:
            cells.append("–")
            continue
        seconds = row.seconds(engine)
        text = milliseconds(seconds) if engine == base else f"{seconds / row.seconds(base):.2f} ×"
        cells.append(text + (f" ({first_call(found, row, engine):.1f} s)" if ENGINES[engine].compiles else ""))
    return cells


def peaks(found: Findings, name: str) -> dict[str, float]:
    """MiB at the peak of each engine that ran a row."""
    told = {engine: found.probes.get(engine, {}).get(name, {}).get("peak") for engine in found.engines}
    return {engine: peak / MIB for engine, peak in told.items() if peak is not None}


def memory_cells(found: Findings, name: str) -> list[str]:
    """One row of the table of memory."""
    here = peaks(found, name)
    return [name, *(_mib(here[engine]) if engine in here else "–" for engine in found.engines)]


def _mib(amount: float) -> str:
    return f"< {FLOOR}" if amount < FLOOR else f"{amount:.1f}"


def overtaken(here: Mapping[str, float], floor: float = 0.0) -> tuple[str, float] | None:
    """The engine that is ahead of the better of ours, and how far: (engine, ours / theirs); None in first place."""
    ours = [value for engine, value in here.items() if engine in OURS]
    theirs = {value: engine for engine, value in here.items() if engine not in OURS}
    if not ours or not theirs:
        return None
    best, least = min(ours), min(theirs)
    if best <= LEVEL * least or best <= floor:
        return None
    return theirs[least], best / max(least, floor, 1e-12)


def limits(found: Findings) -> tuple[list[str], list[str]]:
    """A line for each row without first place, in time and in memory, with what limits it."""
    slower, larger = [], []
    for row in found.rows:
        ahead = overtaken({engine: row.seconds(engine) for engine in row.times})
        if ahead:
            slower.append(_limit(row.name, ahead, "the time", reasons.TIME))
        ahead = overtaken(peaks(found, row.name), FLOOR)
        if ahead:
            larger.append(_limit(row.name, ahead, "the memory", reasons.MEMORY))
    return slower, larger


def _limit(name: str, ahead: tuple[str, float], what: str, why: Mapping[str, str]) -> str:
    engine, ratio = ahead
    return f"- **{name}**: {ratio:.2f} × {what} of {engine}. {why.get(name, 'Not explained yet.')}"


def absences(found: Findings) -> list[str]:
    """Why engines do not run rows, one line an engine and reason; what is not written for them needs no line."""
    lines = []
    for engine in found.engines:
        by_reason: dict[str, list[str]] = {}
        for row in found.rows:
            reason = row.missing.get(engine)
            if reason and reason != UNWRITTEN:
                by_reason.setdefault(reason, []).append(row.name)
        lines += [f"- {engine}: {reason} ({'; '.join(names)})." for reason, names in by_reason.items()]
    return lines


def score(found: Findings) -> str:
    """On how many rows ours is first."""
    missed = len(limits(found)[0])
    return f"First place in time on {len(found.rows) - missed} of {len(found.rows)} rows (within {LEVEL - 1:.0%})."


def _head(found: Findings) -> list[str]:
    busy = (
        f" The machine was not idle (load {found.load:.1f} at the start): engines whose threads wait for one another "
        "look slower than they are."
        if found.load > IDLE
        else ""
    )
    absent = [e for e in ENGINES if e not in found.engines]
    parts = [
        "# Benchmarks",
        "Value and all gradients. Made by `python -m tests.benchmarks --markdown docs/benchmarks.md` with Python "
        f"{platform.python_version()} and NumPy {np.__version__} on {os.cpu_count()} cores: every engine on the same "
        "text, in one process, in turn, results compared before timing; the median over rounds of the best call in a "
        "round. The first engine that runs a row gives milliseconds, the others multiples of it; in parentheses the "
        f"first call, which compiles.{busy}",
    ]
    return [*parts, f"Not measured here: {', '.join(absent)}."] if absent else parts


def page(found: Findings) -> str:
    """docs/benchmarks.md."""
    parts = _head(found)
    if found.rows:
        parts.append(markdown([["workload", *found.engines], *(time_cells(found, row) for row in found.rows)]))
        parts += ["–: the row is not written for the engine, or:", "\n".join(absences(found))]
        slower, larger = limits(found)
        parts += ["## What limits the rows without first place", score(found), "\n".join(slower)]
    if any(OURS[0] in peaks(found, row.name) for row in found.rows):
        parts += [
            "## Peak memory",
            "MiB by which one call raises the resident memory of its process at the peak: values, δ, results, the "
            "recording, in whole pages, of 2 MiB where NumPy asks for large ones. Every engine in its own process, "
            "after its first call; what a compiled program of ours keeps from call to call (its arena) is added.",
            markdown([["workload", *found.engines], *(memory_cells(found, row.name) for row in found.rows)]),
            "\n".join(larger) or "First place on every row.",
        ]
    if found.exponents or found.growth:
        parts.append("## Growth")
    if found.exponents:
        parts += [
            "The exponent p of n^p at the large end of each curve (its last three points); in parentheses its largest "
            "size and what that took. A peer's curve ends where its next point would take longer than a few seconds.",
            markdown(found.exponents),
        ]
    parts += [f"![{title}]({path})" for title, path in found.figures]
    if found.figures:
        parts.append("Dashed: compiled. Dotted: in proportion to n.")
    if found.growth:
        parts.append(markdown([["what", "measured"], *found.growth]))
    if found.pictures:
        parts += ["## Pictures", "Of a residual net, eight nodes a block; medians.", markdown(found.pictures)]
    if found.debug:
        parts += [
            "## Debugging",
            "Value and all gradients inside of [`ad.debug()`](howto/nan.md), where everything is recorded and every "
            f"rule is watched; the goal is at most {GOAL:.0f} ×.",
            markdown(found.debug),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"
