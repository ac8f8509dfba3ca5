"""Growth: how time and memory grow with nodes, width, fan-out and reads, and what it takes to compile.

    python -m tests.benchmarks.curves ENGINE [--memory]     # prints one line of JSON for each point

An engine's curve ends at its last size, or where the next point would take longer than it may.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .engines import OURS, UnableError, first_result, runner
from .memory import HONEST, measurable, peak, warm
from .timing import best_of
from .workers import environment, limit_data, points, tell
from .workloads import Workload, chain, fan_out, reads, waves, waves_by_hand

BEARABLE = 4.0
"""Seconds that a point may take, as foretold by the points before it, where a curve is not measured to the end."""
GIVEN_UP = 20.0
"""Seconds after which a point that was foretold to take less is ended with its process."""


class Curve(NamedTuple):
    """A workload of growing size, and what is measured of it: the time of a call, its memory, or the first call."""

    key: str
    title: str
    x: str
    make: Callable[[int], Workload]
    sizes: tuple[int, ...]
    engines: tuple[str, ...]
    what: str = "time"


def _decades(first: int, last: int) -> tuple[int, ...]:
    return tuple(10**n for n in range(first, last + 1))


def nodes(n: int) -> Workload:
    """A chain of n operations on one number."""
    steps = max(1, n // 4)
    pair = np.array(0.5), np.array(0.9)
    return Workload("nodes", lambda rng: pair, lambda xp, x, w: chain(xp, x, w, steps), (0, 1))


def width(n: int) -> Workload:
    """Ten pointwise operations on n numbers."""
    return Workload("width", lambda rng: tuple(rng.standard_normal((2, n))), waves, (0, 1), waves_by_hand)


def fan(n: int) -> Workload:
    """One vector of a hundred numbers that n operations read."""
    return Workload("fan-out", lambda rng: (rng.standard_normal(100),), lambda xp, x: fan_out(xp, x, n), (0,))


def elements(n: int) -> Workload:
    """A sum of n numbers, each read by its index."""
    return Workload("reads", lambda rng: (rng.standard_normal(n),), reads, (0,))


EAGER = ("autodiff", "torch", "autograd", "mygrad")

CURVES = (
    Curve("nodes", "a chain: time of value and gradient", "operations", nodes, _decades(2, 6), EAGER),
    Curve("nodes-memory", "the same chain: peak memory", "operations", nodes, _decades(3, 6), EAGER, "memory"),
    Curve("width", "tanh(xy) + exp(−x²) sin y: time against width", "numbers", width, _decades(2, 6),
          ("numpy by hand", "autodiff", "autodiff jit", "torch", "jax")),
    Curve("fan-out", "one vector read by many operations: time", "operations that read it", fan, _decades(1, 5),
          ("autodiff", "autodiff jit", "torch", "autograd", "mygrad")),
    Curve("reads", "scalar reads x[i] of all numbers: time", "numbers read", elements, _decades(1, 5),
          ("autodiff", "autodiff jit", "torch", "autograd", "mygrad")),
    Curve("compile", "a chain: first call, which compiles", "operations", nodes, _decades(1, 5),
          ("autodiff jit", "jax", "torch compiled"), "first call"),
)  # fmt: skip


class Point(NamedTuple):
    """One measured size of a curve: seconds, or bytes."""

    curve: str
    engine: str
    size: int
    value: float


def slope(found: Sequence[Point]) -> float:
    """The exponent of growth at the large end: least squares through the last three points, log over log."""
    last = found[-3:]
    x, y = (np.log([p.size for p in last]), np.log([max(p.value, 1e-9) for p in last]))
    return float(np.polyfit(x, y, 1)[0])


def foretold(found: Sequence[tuple[int, float]], size: int) -> float:
    """Seconds that the next size will take: in proportion, or as the last two points grew if that is faster."""
    if not found:
        return 0.0
    (n, t), power = found[-1], 1.0
    if len(found) > 1:
        power = max(1.0, math.log(t / found[-2][1]) / math.log(n / found[-2][0]))
    return float(t * (size / n) ** power)


def to_the_end(curve: Curve, engine: str) -> bool:
    """Whether every size is measured: of our eager engine, and once what it takes us to compile."""
    return engine == "autodiff" or (engine in OURS and curve.what == "first call")


def measure(curve: Curve, engine: str) -> Iterable[Point]:
    """The points of one engine, smallest first, as far as they are bearable."""
    taken: list[tuple[int, float]] = []
    for size in curve.sizes:
        if not to_the_end(curve, engine) and foretold(taken, size) > BEARABLE:
            return
        work = curve.make(size)
        try:
            run = runner(engine, work, work.arguments(np.random.default_rng(0)))
            start = time.perf_counter()
            first_result(engine, run)
            first = time.perf_counter() - start
        except UnableError:
            return
        once = first
        if curve.what == "first call":
            value = first
        elif curve.what == "memory":
            value = float(peak(run, 1))
        else:
            once = best_of(run, 1) if first > 0.01 else best_of(run, 5)
            value = min(once, best_of(run, max(1, min(20, int(0.1 / once))))) if once < 1 else once
        taken.append((size, max(once, first)))
        yield Point(curve.key, engine, size, value)


def all_points(engines: Sequence[str], env: dict[str, str]) -> list[Point]:
    """Every curve of these engines, each engine in processes of its own: one for time, one for memory."""
    found = []
    for engine in engines:
        kinds = {curve.what == "memory" for curve in CURVES if engine in curve.engines}
        for memory in sorted(kinds):
            if memory and not measurable():
                continue
            here = environment(**(HONEST if memory else {}), **env)
            options = ["--memory"] if memory else []
            patience = 3 * GIVEN_UP if engine in OURS else GIVEN_UP
            found += [Point(*point) for point in points("curves", [engine, *options], patience, here)]
    return found


def table(found: Sequence[Point]) -> list[list[str]]:
    """The exponents: a row a curve, a column an engine; behind each the largest size and what it took."""
    engines = list(dict.fromkeys(p.engine for p in found))
    rows = [["growth", *engines]]
    for curve in CURVES:
        cells = [curve.title]
        for engine in engines:
            mine = [p for p in found if p.curve == curve.key and p.engine == engine]
            end = f" ({power_of_ten(mine[-1].size)}: {amount(curve, mine[-1].value)})" if mine else ""
            cells.append(f"{slope(mine):.2f}{end}" if len(mine) > 1 else f"–{end}")
        rows.append(cells)
    return rows


def power_of_ten(n: int) -> str:
    """A power of ten as one writes it."""
    return "10" + str(round(math.log10(n))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def amount(curve: Curve, value: float) -> str:
    """Seconds or MiB, to two figures."""
    if curve.what == "memory":
        return f"{value / 2**20:.3g} MiB"
    if value >= 1:
        return f"{value:.1f} s"
    return f"{value * 1e3:.0f} ms" if value > 9.9e-3 else f"{value * 1e3:.2g} ms"


def main() -> None:
    engine, *options = sys.argv[1:]
    limit_data()
    if engine != "numpy by hand":
        warm(engine)
    tell("here")
    for curve in CURVES:
        if engine in curve.engines and (curve.what == "memory") == ("--memory" in options):
            for point in measure(curve, engine):
                tell(point)


if __name__ == "__main__":
    main()
