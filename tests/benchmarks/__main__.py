"""The table of benchmarks: every engine on the same text, in one process, in turn, round by round.

``python -m tests.benchmarks [--rounds 5] [--rows chain,MLP] [--engines torch,jax] [--growth] [--pictures]
[--markdown FILE]``

A figure is the median over rounds of the best time in a round, as a multiple of the first engine's. Results are
compared before anything is timed. Growth figures are measured in processes of their own. Pictures have no peers, but
goals: their table has both.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import pictures
from .engines import ENGINES, Run, agree, installed, plain, runner
from .rules import RULES
from .workloads import WORKLOADS, Workload

GROWTH = {
    "10⁶-operation chain: forward, backward, release": """
import numpy as np, autodiff as ad, time
def f(x):
    for _ in range(250_000):
        x = np.tanh(x) * 1.0000001 * 0.9999 + 0.0001
    return x
start = time.perf_counter()
ad.value_and_grad(f)(1.0)
status = open("/proc/self/status").read()  # getrusage would count the process that started this one
peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
print(f"{time.perf_counter() - start:.2f} s, peak {peak:.2f} GiB")
""",
    "10⁴ reads of 10⁴ numbers against 10³ of 10³": """
import numpy as np, autodiff as ad, time
def f(x):
    total = 0.0
    for i in range(x.shape[0]):
        total = total + x[i]
    return total
def best(n):
    x, run = np.ones(n), ad.grad(f)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - start)
    return min(times)
print(f"{best(10_000) / best(1_000):.1f} ×")
""",
    "10⁵ steps without the garbage collector": """
import gc, numpy as np, autodiff as ad
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
def f(w, x):
    return np.sum(np.tanh(x @ w) ** 2)
w, x, step = np.ones((3, 2)), np.ones((4, 3)), ad.value_and_grad(f)
for _ in range(1000):
    step(w, x)
gc.collect()
gc.disable()
before = resident()
for _ in range(100_000):
    step(w, x)
print(f"grew by {resident() - before:.2f} MiB; gc.collect() found {gc.collect()} objects")
""",
}


def best_of(run: Run, repeats: int) -> float:
    """The best time of one call in a round, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(work: Workload, engines: list[str], rounds: int) -> dict[str, Any]:
    """Seconds a call of each engine: (median over rounds, first call); None where it cannot run the workload."""
    args = work.arguments(np.random.default_rng(0))
    runs: dict[str, Run] = {}
    first: dict[str, float] = {}
    reference = None
    for engine in engines:
        run = runner(engine, work, args)
        if run is None:
            continue
        start = time.perf_counter()
        result = plain(run())
        first[engine] = time.perf_counter() - start
        if reference is None:
            reference = result
        elif not agree(result, reference, work.tolerance):
            raise SystemExit(f"{work.name}: {engine} disagrees with {next(iter(runs))}; nothing was timed")
        runs[engine] = run
    times: dict[str, list[float]] = {engine: [] for engine in runs}
    for _ in range(rounds):
        for engine, run in runs.items():
            times[engine].append(best_of(run, work.repeats))
    return {engine: (statistics.median(found), first[engine]) for engine, found in times.items()}


def line(work: Workload, engines: list[str], found: dict[str, Any]) -> list[str]:
    """One row of the table: milliseconds of the first engine that ran, multiples of it for the rest."""
    base = next(engine for engine in engines if engine in found)
    cells = [work.name]
    for engine in engines:
        if engine not in found:
            cells.append("–")
            continue
        seconds, first = found[engine]
        text = f"{seconds * 1e3:.3g} ms" if engine == base else f"{seconds / found[base][0]:.2f} ×"
        cells.append(text + (f" ({first:.1f} s)" if engine == "jax" else ""))
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="", help="comma-separated parts of row names")
    parser.add_argument("--engines", default="", help="comma-separated; all installed by default")
    parser.add_argument("--growth", action="store_true", help="only the growth figures")
    parser.add_argument("--pictures", action="store_true", help="only the pictures")
    parser.add_argument("--markdown", type=Path, help="write the page here as well")
    options = parser.parse_args()
    chosen = ("numpy by hand", "autodiff", *options.engines.split(",")) if options.engines else installed()
    engines = [e for e in installed() if e in chosen]
    parts = options.rows.split(",")
    rows = [w for w in (*WORKLOADS, *RULES) if not options.rows or any(part in w.name for part in parts)]
    table = [["workload", *engines]]
    everything = not (options.rows or options.growth or options.pictures)
    if options.rows or everything:
        for work in rows:
            table.append(line(work, engines, measure(work, engines, options.rounds)))
            print(" | ".join(table[-1]), flush=True)
    growth = []
    for name, script in GROWTH.items() if options.growth or everything else ():
        out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
        growth.append([name, out])
        print(" | ".join(growth[-1]), flush=True)
    drawn = pictures.rows(options.rounds) if options.pictures or everything else []
    for row in drawn:
        print(" | ".join(row), flush=True)
    if options.markdown:
        options.markdown.write_text(page(table, growth, drawn), encoding="utf-8")


def page(table: list[list[str]], growth: list[list[str]], drawn: list[list[str]]) -> str:
    """docs/benchmarks.md."""

    def rows(body: list[list[str]]) -> str:
        head, *rest = body
        return "\n".join("| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rest))

    absent = [e for e in ENGINES if e not in table[0]]
    head = (
        "# Benchmarks\n\n"
        "Value and all gradients. Made by `python -m tests.benchmarks --markdown docs/benchmarks.md` with Python "
        f"{platform.python_version()} and NumPy {np.__version__}: every engine on the same text, in one process, in "
        "turn, results compared before timing; the median over rounds of the best call in a round. The first engine "
        "that runs a row gives milliseconds, the others multiples of it; in parentheses the first call, which compiles."
        "\n\n"
    )
    missing = f"Not installed here: {', '.join(absent)}.\n\n" if absent else ""
    parts = [head + missing + rows(table)]
    if growth:
        parts += ["## Growth", rows([["what", "measured"], *growth])]
    if drawn:
        parts += ["## Pictures", "Of a residual net, eight nodes a block; medians.", rows(drawn)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
