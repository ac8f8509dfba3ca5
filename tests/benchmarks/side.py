"""One side of a comparison: times rows by number, as they come in on standard input, and answers in lines of JSON."""

from __future__ import annotations

import sys

import numpy as np

import autodiff
from autodiff.errors import AutodiffError

from .engines import OURS, UnableError, agree, plain, runner
from .rules import RULES
from .timing import ROUND, best_of
from .workers import tell
from .workloads import WORKLOADS, Workload


def answer(work: Workload) -> dict[str, object]:
    """Seconds by engine; what this commit cannot run, or gets wrong, is left out."""
    args = work.arguments(np.random.default_rng(0))
    found: dict[str, object] = {"row": work.name}
    reference = None
    for engine in OURS:
        try:
            run = runner(engine, work, args)
            result = plain(run())
        except (UnableError, AttributeError, AutodiffError) as error:
            print(f"{work.name}, {engine}: {error}", file=sys.stderr)
            continue
        reference = reference or result
        if not agree(result, reference, work.tolerance):
            raise SystemExit(f"{work.name}: {engine} disagrees; nothing was timed")
        found[engine] = best_of(run, max(2, min(work.repeats, int(ROUND / best_of(run, 1)))))
    return found


def main() -> None:
    tell(str(autodiff.__file__))
    for line in sys.stdin:
        tell(answer((*WORKLOADS, *RULES)[int(line)]))


if __name__ == "__main__":
    main()
