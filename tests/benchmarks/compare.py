"""Is it faster than before? Against a saved baseline, in a minute; or two commits against each other, in pairs.

A baseline holds the times of an earlier run on this machine, so a change of the machine looks like one of the code: the
rows by hand tell the two apart. The paired comparison has no such doubt. Each round starts a process of either
commit; the two take every row in turn, and who begins alternates. A round gives one ratio a row, and the
interval of the median ratio follows from the signs alone, whatever the noise looks like.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .engines import OURS
from .timing import Row
from .workloads import Workload

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".benchmarks" / "baseline.json"
CONFIDENCE = 0.99
"""Of an interval: dozens of rows are looked at at once, and one in a hundred may be wrong."""

SEEN = 1.1
"""Factor from which on a change against a baseline is told: two runs of one commit differ by as much."""

Times = dict[str, dict[str, list[float]]]
"""Seconds by row, engine, round."""


# -- a saved baseline ------------------------------------------------------------------------------------------------


def save(rows: Sequence[Row], path: Path) -> None:
    """Keep the times of each round."""
    path.parent.mkdir(parents=True, exist_ok=True)
    commit = _git("describe", "--always", "--dirty", check=False)
    kept = {"commit": commit, "times": {row.name: row.times for row in rows}}
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")


def load(path: Path) -> tuple[str, Times]:
    """The commit of a baseline, and its times."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    return kept["commit"], kept["times"]


class Change(NamedTuple):
    """Now over then: the ratio of the medians, and the word for it."""

    row: str
    engine: str
    ratio: float
    word: str


def changes(rows: Sequence[Row], before: Times) -> list[Change]:
    """What both runs have; a word where their rounds do not overlap and the ratio is not near one."""
    found = []
    for row in rows:
        for engine, now in row.times.items():
            then = before.get(row.name, {}).get(engine)
            if then:
                ratio, word = statistics.median(now) / statistics.median(then), ""
                if ratio > SEEN and min(now) > max(then):
                    word = "slower"
                elif ratio < 1 / SEEN and max(now) < min(then):
                    word = "faster"
                found.append(Change(row.name, engine, ratio, word))
    return found


def told(found: Sequence[Change], commit: str) -> list[str]:
    """The lines that say so; first how much the machine itself changed."""
    by_hand = [change.ratio for change in found if change.engine == "numpy by hand"]
    lines = [f"against the baseline of {commit}:"]
    if by_hand:
        machine = statistics.median(by_hand)
        lines.append(f"  NumPy by hand takes {machine:.2f} × its time then: so much is the machine's")
    for change in found:
        if change.word and change.engine in OURS:
            lines.append(f"  {change.row}, {change.engine}: {change.ratio:.2f} × ({change.word})")
    if not any(change.word and change.engine in OURS for change in found):
        lines.append("  no difference seen")
    return lines


# -- two commits in pairs --------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """The median of the ratios B / A, the interval that holds it, and whether that leaves out one."""

    ratio: float
    low: float
    high: float

    @property
    def word(self) -> str:
        """What can be said."""
        if self.low > 1:
            return "B is slower"
        return "B is faster" if self.high < 1 else "no difference seen"


def outermost(count: int, confidence: float = CONFIDENCE) -> int:
    """How many of the ratios at either end may be left out of an interval; -1 where even all of them are too few.

    The median lies outside of the k-th smallest and k-th largest of n with the probability that fewer than k of n
    tosses of a coin are heads, twice.
    """
    missed, k = 0.0, 0
    while True:
        missed += 2 * math.comb(count, k) / 2**count
        if missed > 1 - confidence or k >= count / 2:
            return k - 1
        k += 1


def verdict(ratios: Sequence[float], confidence: float = CONFIDENCE) -> Verdict:
    """What paired ratios say; with too few of them nothing is left out: the interval is everything."""
    ordered, k = sorted(ratios), outermost(len(ratios), confidence)
    low, high = (0.0, math.inf) if k < 0 else (ordered[k], ordered[-1 - k])
    return Verdict(statistics.median(ordered), low, high)


def rounds_needed(confidence: float = CONFIDENCE) -> int:
    """The fewest rounds that can say anything."""
    return next(n for n in range(1, 100) if outermost(n, confidence) >= 0)


def _git(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def checkouts(commits: Sequence[str]) -> Iterator[list[Path]]:
    """Each commit in a folder of its own; ``.`` is what lies here, committed or not."""
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as folder, ExitStack() as stack:
        found = []
        for side, commit in zip("AB", commits, strict=True):
            place = Path(folder) / side
            if commit == ".":
                place.mkdir()
                shutil.copytree(ROOT / "autodiff", place / "autodiff", ignore=shutil.ignore_patterns("__pycache__"))
            else:
                _git("worktree", "add", "--detach", str(place), _git("rev-parse", "--verify", commit + "^{commit}"))
                stack.callback(_git, "worktree", "remove", "--force", str(place))
            found.append(place)
        texts = Path(folder) / "texts"
        shutil.copytree(ROOT / "tests" / "benchmarks", texts / "tests" / "benchmarks")
        yield [*found, texts]


class Side:
    """A process with one commit's package and this checkout's workloads, which times a row when it is asked to."""

    def __init__(self, place: Path, texts: Path, engines: Sequence[str]) -> None:
        paths = os.pathsep.join((str(place), str(texts)))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.side", *engines],
            cwd=texts, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        imported = self.answer()
        if not Path(imported).is_relative_to(place.resolve()):
            self.end()
            raise SystemExit(f"{imported} was imported in place of {place}")

    def answer(self) -> Any:
        """One line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process of the comparison ended; its error stands above")
        return json.loads(line)

    def ask(self, number: int) -> Any:
        """Time a row: seconds by engine, or the reason why not."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        """Let it end, by the end of its input."""
        self.process.communicate()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


def pairs(
    places: Sequence[Path], texts: Path, numbers: Sequence[int], rounds: int, say: Callable[[str], None] = print
) -> Times:
    """The ratios B / A by row and engine, one a round."""
    ratios: Times = {}
    for n in range(rounds):
        with Side(places[0], texts, OURS) as a, Side(places[1], texts, OURS) as b:
            for k, number in enumerate(numbers):
                sides = (a, b) if (n + k) % 2 == 0 else (b, a)
                found = {side: side.ask(number) for side in sides}
                for engine in OURS:
                    if engine in found[a] and engine in found[b]:
                        row = ratios.setdefault(found[a]["row"], {})
                        row.setdefault(engine, []).append(found[b][engine] / found[a][engine])
        say(f"round {n + 1} of {rounds}")
    return ratios


def lines(ratios: Mapping[str, Mapping[str, Sequence[float]]]) -> list[list[str]]:
    """The table of a comparison."""
    table = [["workload", "engine", "B / A", f"{CONFIDENCE:.0%} interval", ""]]
    for row, engines in ratios.items():
        for engine, found in engines.items():
            v = verdict(found)
            between = f"{v.low:.3f} … {v.high:.3f}" if v.low > 0 else f"none from {len(found)} rounds"
            table.append([row, engine, f"{v.ratio:.3f} ×", between, v.word])
    return table


def compare(
    commits: Sequence[str], rows: Sequence[Workload], every: Sequence[Workload], rounds: int
) -> list[list[str]]:
    """Two commits on these rows."""
    if rounds < rounds_needed():
        raise SystemExit(f"{rounds} rounds can say nothing at {CONFIDENCE:.0%}: take at least {rounds_needed()}")
    numbers = [every.index(work) for work in rows]
    with checkouts(commits) as (a, b, texts):
        return lines(pairs((a, b), texts, numbers, rounds))
