"""What `ad.debug()` costs: value and gradients outside and inside of it, in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

import autodiff as ad

from .engines import Run, agree, plain
from .timing import ROUND, best_of
from .workloads import WORKLOADS, Workload

GOAL = 3.0
"""So many times the time it may take."""

PARTS = ("300 ×", "MLP 64", "MLP 784", "LSTM", "attention", "4000 scalar")
"""What the names of the rows begin with: overhead, BLAS, and reads by index, whose operations do the least."""


def chosen() -> list[Workload]:
    """The workloads that are measured."""
    return [next(w for w in WORKLOADS if w.name.startswith(part)) for part in PARTS]


def both(work: Workload) -> tuple[Run, Run]:
    """The same gradient outside and inside, with results that were compared bit for bit."""
    args = work.arguments(np.random.default_rng(0))
    run = ad.value_and_grad(lambda *args: work.f(np, *args), work.wanted)

    def outside() -> object:
        return run(*args)

    @ad.debug()
    def inside() -> object:
        return run(*args)

    if not agree(plain(inside()), plain(outside()), 0.0):
        raise SystemExit(f"{work.name}: inside of ad.debug() the result is another one; nothing was timed")
    return outside, inside


def rows(rounds: int, works: Sequence[Workload] | None = None) -> list[list[str]]:
    """The table: milliseconds outside, and the multiple of them inside."""
    body = [["workload", "plain", "inside of `ad.debug()`"]]
    for work in works or chosen():
        runs = both(work)
        repeats = max(1, min(work.repeats, int(ROUND / best_of(runs[0], 2))))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for run, found in zip(runs, times, strict=True):
                found.append(best_of(run, repeats))
        before, after = map(statistics.median, times)
        body.append([work.name, f"{before * 1e3:.3g} ms", f"{after / before:.2f} ×"])
    return body
