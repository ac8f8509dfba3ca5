"""What it costs that arrays are copied when they come in, against a guard and against nothing.

Three ways to deal with an array that its owner may overwrite before the reverse sweep:

copies    every array is copied: the derivative is right whatever is written.
guard     large arrays are not copied; a checksum of each is taken when it comes in and again after the sweep, and where
          they differ an error is raised. This is what a gradient does.
nothing   large arrays are neither copied nor guarded: the floor, and wrong numbers without a word.

    python -m tests.benchmarks.copies [--rounds 5]      # prints a table in Markdown
The ways take turns, each time in a process of its own; a figure is the median over rounds of the best call, in
seconds of processor time, so that what else runs on the machine matters little. Peak memory is measured as in
`memory.py`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autodiff as ad
from autodiff import apply as recording
from autodiff import call as door
from autodiff.recorders import Trace

from .memory import HONEST, measurable, peak
from .timing import best_of
from .workers import Worker, environment, tell
from .workloads import WORKLOADS, Workload


def product(n: int) -> Workload:
    """The least work that an array of constants can be read by: one product."""
    draw = lambda rng: (rng.standard_normal(n), rng.standard_normal(n))
    return Workload(f"Σ x·c, {n:,} numbers", draw, lambda xp, x, c: xp.sum(x * c), (0,))


def wave(n: int) -> Workload:
    """The elementwise row with so many numbers."""
    of = next(work for work in WORKLOADS if work.name.startswith("Σ tanh"))
    return of._replace(name=f"Σ tanh(xy) + exp(−x²) sin y, {n:,} numbers",
                       arguments=lambda rng: (rng.standard_normal(n), rng.standard_normal(n)))  # fmt: skip


ROWS = (
    next(work for work in WORKLOADS if work.name.startswith("MLP 784")),
    *map(wave, (100_000, 2_000_000, 20_000_000)),
    *map(product, (100_000, 2_000_000, 20_000_000)),
)


def copies() -> None:
    """Copy large arrays too."""
    recording.LARGE = door.LARGE = sys.maxsize  # type: ignore[attr-defined]


def nothing() -> None:
    """Let large arrays in as they are."""
    Trace.guard = lambda self, x, reader: True  # type: ignore[method-assign]


WAYS: dict[str, Callable[[], None]] = {"copies": copies, "guard": lambda: None, "nothing": nothing}


def run_of(work: Workload) -> Callable[[], Any]:
    """Value and gradients of a row."""
    args = work.arguments(np.random.default_rng(0))
    both = ad.value_and_grad(lambda *xs: work.f(np, *xs), work.wanted)
    return lambda: both(*args)


def probe(way: str, number: int, memory: bool) -> float | None:
    """Seconds, or bytes at the peak, of one row."""
    WAYS[way]()
    run = run_of(ROWS[number])
    best_of(run, 2)
    if memory:
        return peak(run) if measurable() else None
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def measured(way: str, number: int, memory: bool) -> float | None:
    """The same, in a process of its own."""
    extra = HONEST if memory else {}
    with Worker("copies", "--probe", way, str(number), str(int(memory)), env=environment(**extra)) as worker:
        worker.wait(60.0)
        found: float | None = worker.line(300.0)
        return found


def table(rounds: int) -> Iterator[str]:
    """Time and peak of every row, each way: lines of a table in Markdown."""
    yield "| value and gradient | " + " | ".join(f"{way}: ms, peak MB" for way in WAYS) + " |"
    yield "|---|" + "---:|" * len(WAYS)
    for number, work in enumerate(ROWS):
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                times[way].append(measured(way, number, False) or 0.0)
        cells = []
        for way in WAYS:
            held = measured(way, number, True)
            cells.append(f"{1e3 * statistics.median(times[way]):.2f}, {'–' if held is None else f'{held / 1e6:.1f}'}")
        yield f"| {work.name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.copies", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--probe", nargs=3, metavar=("WAY", "ROW", "MEMORY"), help="what a worker does")
    given = parser.parse_args()
    if given.probe is None:
        for line in table(given.rounds):
            print(line, flush=True)
        return
    way, number, memory = given.probe
    tell("here")
    tell(probe(way, int(number), memory == "1"))


if __name__ == "__main__":
    main()
