"""Peak memory of one call: what the process holds at most while it runs, above what it held before.

Every engine runs in a process of its own, one row after another. A row is called once, so that what is compiled is
compiled and what a library keeps for itself is there; free memory is handed back to the system; the high-water mark of
resident memory is set to what is resident now (Linux knows how), and the row is called again. What the mark rose by are
values, δ, results and the recording. To it is added what a compiled program of ours keeps from call to call: its arena.
Python runs without its own allocator here, and the system's with one arena for all threads: otherwise what was freed
would be kept and used again, and what objects and other threads take would not be seen.

    python -m tests.benchmarks.memory ENGINE ROW...     # numbers of rows; prints one line of JSON for each
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .engines import ENGINES, Program, UnableError, first_result, runner
from .rules import RULES
from .timing import best_of
from .workers import Worker, environment, limit_data, tell
from .workloads import WORKLOADS, Workload

ROWS: tuple[Workload, ...] = (*WORKLOADS, *RULES)
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HONEST = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Surroundings in which nothing that was freed is kept; and threads that wait leave the processor to others."""

Probe = dict[str, Any]
"""Of a row: seconds of the ``first`` call and bytes at the ``peak`` of a later one, or why they are ``missing``."""
Probes = dict[str, dict[str, Probe]]
"""By engine and row."""


def resident(mark: str) -> int:
    """Bytes that this process holds: ``VmRSS`` now, ``VmHWM`` at most since the mark was set."""
    return int(STATUS.read_text().split(mark + ":")[1].split()[0]) * 1024


def measurable() -> bool:
    """Whether the system can set the mark back."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def hand_back() -> None:
    """Give all free pages back to the system, so that the next call must ask for them again."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def rise(run: Callable[[], Any]) -> int:
    """Bytes by which one call raises the mark."""
    hand_back()
    CLEAR.write_text("5")
    before = resident("VmRSS")
    result = run()
    after = resident("VmHWM")
    del result
    return max(0, after - before)


def peak(run: Callable[[], Any], times: int = 3) -> int:
    """Bytes at the peak of a call that has run before, the program's arena among them; the median of several."""
    return round(statistics.median(rise(run) for _ in range(times))) + (run.kept() if isinstance(run, Program) else 0)


def probe(engine: str, number: int) -> Probe:
    """First call and peak of one row, or why the engine does not run it."""
    work = ROWS[number]
    args = work.arguments(np.random.default_rng(0))
    try:
        run = runner(engine, work, args)
        start = time.perf_counter()
        first_result(engine, run)
        first = time.perf_counter() - start
    except UnableError as error:
        return {"row": work.name, "missing": str(error)}
    best_of(run, 1)
    return {"row": work.name, "first": first, "peak": peak(run) if measurable() else None}


def warm(engine: str) -> None:
    """Whatever an engine does once in a process, so that no row is charged with it."""
    work = Workload("", lambda rng: (rng.standard_normal(8),), lambda xp, x: xp.sum(xp.tanh(x)), (0,))
    first_result(engine, runner(engine, work, work.arguments(np.random.default_rng(0))))


def probe_all(engine: str, rows: Sequence[Workload], patience: float, env: Mapping[str, str]) -> dict[str, Probe]:
    """Each row of an engine in its own process, which is begun anew behind a row that takes too long."""
    found: dict[str, Probe] = {}
    left = [ROWS.index(work) for work in rows]
    while left:
        with Worker("memory", engine, *map(str, left), env=environment(**HONEST, **env)) as worker:
            worker.wait(60.0)
            while left:
                row = ROWS[left.pop(0)].name
                try:
                    told = worker.line(patience)
                except TimeoutError as error:
                    found[row] = {"missing": f"the first call {error}"}
                    break
                found[row] = told or {"missing": "its process ended, of memory most likely"}
                if told is None:
                    break
    return found


def main() -> None:
    engine, *numbers = sys.argv[1:]
    limit_data()
    assert engine in ENGINES, engine
    if engine != "numpy by hand":
        warm(engine)
    tell("here")
    for number in numbers:
        tell(probe(engine, int(number)))


if __name__ == "__main__":
    main()
