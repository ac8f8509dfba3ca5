"""The table of benchmarks: every engine on the same text, in one process, in turn, round by round.

    python -m tests.benchmarks                      # everything, as docs/benchmarks.md has it (--markdown FILE)
    python -m tests.benchmarks --rows chain,MLP --engines torch,jax
    python -m tests.benchmarks --only memory,curves
    python -m tests.benchmarks --quick [--save]     # a minute: ours and by hand, against the saved baseline
    python -m tests.benchmarks --compare main .     # two commits in pairs; `.` is what lies here

A figure is the median over rounds of the best time in a round, as a multiple of the first engine's. Results are
compared before anything is timed. Memory and growth are measured in processes of their own, in which a first call that
takes too long is ended. Pictures have no peers, but goals: their table has both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import compare, curves, debugging, pictures, plots
from .engines import ENGINES, OURS, installed
from .figures import figures
from .memory import ROWS, Probes, probe_all
from .page import IDLE, Findings, markdown, memory_cells, page, score, time_cells
from .timing import Row, measure
from .workloads import Workload

PARTS = ("rows", "memory", "curves", "growth", "pictures", "debug")
IMAGES = Path("images")
"""Beside the page."""


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="5 by default, 3 of a quick look, 10 of a comparison")
    parser.add_argument("--rows", default="", help="comma-separated parts of row names")
    parser.add_argument("--engines", default="", help="comma-separated; all installed by default")
    parser.add_argument("--only", default="", help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds that the first call of a row may take")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page, its plots into images/ there")
    parser.add_argument("--quick", action="store_true", help="ours and by hand only, against the baseline")
    parser.add_argument("--baseline", type=Path, metavar="FILE", default=compare.BASELINE, help="that of a quick look")
    parser.add_argument("--save", action="store_true", help="make a quick look the baseline")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two commits in pairs")
    return parser.parse_args()


def chosen(parts: str) -> list[Workload]:
    """The rows whose names have one of these parts."""
    rows = [w for w in ROWS if not parts or any(part in w.name for part in parts.split(","))]
    if not rows:
        raise SystemExit(f"no row is called {parts}")
    return rows


def quick(rows: Sequence[Workload], rounds: int, baseline: Path, save: bool) -> None:
    """Ours and by hand, and what changed since the baseline."""
    engines = ["numpy by hand", *OURS]
    found: list[Row] = []
    if load() > IDLE:
        print(f"the machine is not idle: its load is {load():.1f}, and differences may be others' work")
    print(" | ".join(("workload", *engines)))
    for work in rows:
        found.append(measure(work, engines, rounds))
        print(" | ".join(time_cells(Findings(engines), found[-1])), flush=True)
    if baseline.exists():
        commit, before = compare.load(baseline)
        print("\n".join(compare.told(compare.changes(found, before), commit)))
    elif not save:
        print(f"no baseline at {baseline}: --save makes this one")
    if save:
        compare.save(found, baseline)


def load() -> float:
    """How many processes wanted a processor in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def everything(given: argparse.Namespace, rows: Sequence[Workload], only: Sequence[str]) -> Findings:
    """All parts that were asked for, printed as they come."""
    names = given.engines.split(",") if given.engines else installed()
    engines = [e for e in installed() if e in ("numpy by hand", *OURS, *names)]
    found = Findings(engines, load=load())
    rounds = given.rounds or 5
    with tempfile.TemporaryDirectory(prefix="autodiff-benchmarks-") as cache:
        env = {"TORCHINDUCTOR_CACHE_DIR": cache}  # begun empty, so that first calls compile; the rows find it filled
        os.environ.update(env)
        if "memory" in only:
            found = found._replace(probes=probed(engines, rows, given.patience, env))
        elif "rows" in only:  # what a peer cannot compile in time and memory must not be tried in this process
            compiling = [e for e in engines if ENGINES[e].compiles and e not in OURS]
            found = found._replace(probes=probed(compiling, rows, given.patience, env))
        if "rows" in only:
            found = found._replace(rows=timed(found, rows, rounds))
        if "curves" in only:
            points = curves.all_points(engines, env)
            found = found._replace(exponents=curves.table(points))
            print(markdown(found.exponents), flush=True)
            if given.markdown and plots.available():
                drawn = plots.draw(points, given.markdown.parent / IMAGES)
                found = found._replace(figures=[(curve.title, str(IMAGES / path.name)) for curve, path in drawn])
    if "growth" in only:
        found = found._replace(growth=figures())
    if "pictures" in only:
        found = found._replace(pictures=pictures.rows(rounds))
        print(markdown(found.pictures))
    if "debug" in only:
        found = found._replace(debug=debugging.rows(rounds))
        print(markdown(found.debug))
    return found


def probed(engines: Sequence[str], rows: Sequence[Workload], patience: float, env: dict[str, str]) -> Probes:
    """First calls and memory of every row, an engine after the other."""
    probes: Probes = {}

    def look(engine: str) -> None:
        print(f"first calls and memory: {engine}", flush=True)
        probes[engine] = probe_all(engine, rows, patience, env)

    with ThreadPoolExecutor(2) as two:  # of these no time is told
        list(two.map(look, [e for e in engines if not ENGINES[e].compiles]))
    for engine in engines:
        if ENGINES[engine].compiles:
            look(engine)
    found = Findings(engines, probes=probes)
    print(" | ".join(("MiB", *engines)))
    for work in rows if engines else ():
        print(" | ".join(memory_cells(found, work.name)), flush=True)
    return probes


def timed(found: Findings, rows: Sequence[Workload], rounds: int) -> list[Row]:
    """Every row; an engine that was not able to run one in its own process is not asked again."""
    done = []
    print(" | ".join(("workload", *found.engines)))
    for work in rows:
        told = {engine: found.probes.get(engine, {}).get(work.name, {}) for engine in found.engines}
        missing = {engine: str(probe["missing"]) for engine, probe in told.items() if "missing" in probe}
        done.append(measure(work, found.engines, rounds, missing))
        print(" | ".join(time_cells(found, done[-1])), flush=True)
    return done


def main() -> None:
    given = options()
    rows = chosen(given.rows)
    only = given.only.split(",") if given.only else ("rows", "memory") if given.rows else PARTS
    if wrong := set(only) - set(PARTS):
        raise SystemExit(f"--only takes {', '.join(PARTS)}; not {', '.join(wrong)}")
    if given.compare:
        print(markdown(compare.compare(given.compare, rows, ROWS, given.rounds or 10)))
    elif given.quick:
        quick(rows, given.rounds or 3, given.baseline, given.save)
    else:
        found = everything(given, rows, only)
        if found.rows:
            print(score(found))
        if given.markdown:
            given.markdown.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
