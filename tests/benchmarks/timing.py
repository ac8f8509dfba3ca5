"""Rows of the table: every engine on the same text, in one process, in turn, round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .engines import Run, UnableError, agree, first_result, runner
from .workloads import Workload

ROUND = 0.1
"""Seconds that an engine may take for the calls of one round, unless a single call takes longer."""


class Row(NamedTuple):
    """What was found for one workload: seconds of the best call in each round, of the first call, what is missing."""

    name: str
    times: dict[str, list[float]]
    first: dict[str, float]
    missing: dict[str, str]

    def seconds(self, engine: str) -> float:
        """The median over rounds."""
        return statistics.median(self.times[engine])


def best_of(run: Run, repeats: int) -> float:
    """The best time of one call, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def prepare(work: Workload, engines: Sequence[str], missing: Mapping[str, str]) -> tuple[dict[str, Run], Row]:
    """The engines that run a workload, each called once, their results compared with one another.

    An engine that gives another result stops everything: a time of a wrong result means nothing.
    """
    args = work.arguments(np.random.default_rng(0))
    row = Row(work.name, {}, {}, {engine: missing[engine] for engine in engines if engine in missing})
    runs: dict[str, Run] = {}
    reference: list[Any] = []
    for engine in engines:
        if engine in missing:
            continue
        try:
            run = runner(engine, work, args)
            start = time.perf_counter()
            result = first_result(engine, run)
        except UnableError as error:
            row.missing[engine] = str(error)
            continue
        row.first[engine] = time.perf_counter() - start
        reference = reference or result
        if not agree(result, reference, work.tolerance):
            raise SystemExit(f"{work.name}: {engine} disagrees with {next(iter(runs))}; nothing was timed")
        runs[engine] = run
    return runs, row


def measure(work: Workload, engines: Sequence[str], rounds: int, missing: Mapping[str, str] | None = None) -> Row:
    """Compare the results of the engines, then time them in turn; ``missing`` are known not to run it, and why."""
    runs, row = prepare(work, engines, missing or {})
    repeats = {engine: max(1, min(work.repeats, int(ROUND / best_of(run, 2)))) for engine, run in runs.items()}
    for _ in range(rounds):
        for engine, run in runs.items():
            row.times.setdefault(engine, []).append(best_of(run, repeats[engine]))
    return row
