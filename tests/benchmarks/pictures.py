"""What pictures cost, beside what they may cost: documents, layouts, pages, and the recording of contributions.

The net is a residual one with eight nodes a block, its scopes named. Ratios are medians over paired rounds.
"""

from __future__ import annotations

import functools
import statistics
import time
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.flows import GradientFlow
from autodiff.flows.blocks import Outline, Swept, join_rows
from autodiff.sweep import deltas
from autodiff.viz import document, picture
from autodiff.viz.engine import engines
from autodiff.viz.layout import arrange
from autodiff.viz.options import Options
from autodiff.viz.scene import measure
from autodiff.viz.view import select

PAGE, NODE = 60_000, 600
"""Bytes that a page may take, and those a node on top."""
BLOCK = 8
"""Nodes a block: two products, two sums, tanh, three weights."""


def residual(x: Any, blocks: Any) -> Any:
    for i, (a, b, c) in enumerate(blocks):
        with ad.scope(f"block{i}"):
            x = x + np.tanh(x @ a + b) @ c
    return np.sum(x * x)


def arguments(nodes: int, width: int, batch: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    shapes = ((width, width), (width,), (width, width))
    blocks = [[rng.standard_normal(shape) * 0.5 / np.sqrt(width) for shape in shapes] for _ in range(nodes // BLOCK)]
    return rng.standard_normal((batch, width)), blocks


def flow_of(nodes: int) -> GradientFlow:
    return ad.flow(residual)(*arguments(nodes, 8, 4))


def seconds(run: Callable[[], Any], rounds: int) -> float:
    """The median over rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def page_size(nodes: int) -> tuple[int, int]:
    """Bytes of a page, and how many nodes it holds."""
    flow = flow_of(nodes)
    return len(str(picture(flow, "html", engine="builtin")).encode()), len(flow.graph)


def recording(rounds: int) -> dict[str, float]:
    """What it costs to keep contributions, as a part of a plain sweep of twenty blocks of width 64, batch 32.

    As arrays, all of them; as the scalars that a watch keeps of each join; and what the question costs a sweep that
    keeps nothing.
    """
    graph = ad.trace(residual)(*arguments(20 * BLOCK, 64, 32))
    assert graph.values is not None
    values, seeds, outline = graph.values, {graph.outputs[0]: np.float64(1.0)}, Outline(graph)
    kept: dict[tuple[int, int], Any] = {}

    def scalars() -> None:
        sent: dict[tuple[int, int], Any] = {}
        delta = deltas(graph, values, seeds, contributions=sent, only=outline.edges)
        join_rows(Swept(graph, values, delta, sent, {}), outline)

    ways: dict[str, Callable[[], Any]] = {
        "plain": lambda: deltas(graph, values, seeds),
        "arrays": lambda: deltas(graph, values, seeds, contributions={}),
        "scalars": scalars,
    }
    deltas(graph, values, seeds, contributions=kept)
    ratios: dict[str, list[float]] = {"arrays": [], "scalars": [], "off": []}
    for _ in range(max(9, 5 * rounds)):
        best = {name: min(timeit.repeat(run, number=1, repeat=7)) for name, run in ways.items()}
        for name in ("arrays", "scalars"):
            ratios[name].append(best[name] / best["plain"] - 1)
        asked = timeit.repeat("terms is not None", globals={"terms": None}, number=3 * len(kept), repeat=7)
        ratios["off"].append(min(asked) / best["plain"])  # thrice an edge: all that a sweep that keeps nothing does
    return {name: statistics.median(found) for name, found in ratios.items()}


def watching(rounds: int) -> dict[int, float]:
    """What a watch adds to ten steps of the same net, where every step is recorded and where one of them is."""
    x, blocks = arguments(20 * BLOCK, 64, 32)

    def loss(blocks: Any, x: Any) -> Any:
        return residual(x, blocks)

    plain, watched = ad.value_and_grad(loss), {every: ad.watch(loss, every=every) for every in (1, 10)}

    def ten(step: Callable[..., Any]) -> float:
        """Once, not the best of several: that a recorded step leaves the caches cold for the next is a part of it."""
        return timeit.timeit(lambda: [step(blocks, x) for _ in range(10)], number=1)

    ratios: dict[int, list[float]] = {every: [] for every in watched}
    for _ in range(max(25, 15 * rounds)):
        alone = ten(plain)
        for every, step in watched.items():
            ratios[every].append(ten(step) / alone - 1)
    return {every: statistics.median(found) for every, found in ratios.items()}


def rows(rounds: int) -> list[list[str]]:
    """The table: what, measured, goal."""
    found: list[list[str]] = [["what", "measured", "goal"]]

    def timed(what: str, run: Callable[[], Any], goal: float) -> None:
        found.append([what, f"{seconds(run, rounds):.2f} s", f"< {goal:g} s"])

    small, large, largest = flow_of(1_000), flow_of(10_000), flow_of(20_000)
    timed("document of 10⁴ nodes", lambda: document(large), 1)
    wide = Options(max_nodes=10**6)
    sketch, *_ = measure(select(document(largest), wide), wide)
    timed("built-in layout of 2·10⁴ nodes", lambda: arrange(sketch), 2)
    for engine in engines(Options())[:1]:
        laid_out = functools.partial(picture, small, engine=engine.kind, timeout=60.0)
        assert f"Layout: {engine.kind}" in str(laid_out()), "Graphviz gave up"
        timed(f"svg of 10³ nodes, laid out by {engine.kind}", laid_out, 5)
    timed("svg of 10³ nodes, built-in layout", lambda: picture(small, engine="builtin"), 5)
    for name, flow, goal in (("10³", small, 3), ("10⁴", large, 3)):
        timed(f"page of {name} nodes", lambda flow=flow: picture(copied(flow), "html"), goal)  # type: ignore[misc]
    for name, nodes in (("10³", 1_000), ("10⁴", 10_000)):
        size, count = page_size(nodes)
        found.append([f"bytes of a page of {name} nodes", f"{size:,}", f"≤ {PAGE + NODE * count:,}"])
    cost = recording(rounds)
    found.append(["contributions kept as arrays, width 64", f"{cost['arrays']:+.1%} of a sweep", "–"])
    found.append(["contributions kept as scalars of joins, width 64", f"{cost['scalars']:+.1%} of a sweep", "≤ +30 %"])
    found.append(["contributions not kept, width 64", f"{cost['off']:+.2%} of a sweep", "nothing"])
    watched = watching(rounds)
    found.append(["training watched every 10th step, width 64", f"{watched[10]:+.1%} of the training", "< +20 %"])
    found.append(["training watched every step, width 64", f"{watched[1]:+.1%} of the training", "–"])
    return [[cell.replace("%", " %").replace("  %", " %") for cell in row] for row in found]


def copied(flow: GradientFlow) -> GradientFlow:
    """The same flow, of which nothing has been asked yet."""
    return GradientFlow(flow.graph, flow.values, flow.delta, flow.contributions, flow.seeds)
