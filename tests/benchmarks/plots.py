"""The growth curves as pictures: one SVG each, log over log, the same bytes for the same points."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .curves import CURVES, Curve, Point, slope
from .engines import OURS

COLOURS = {
    "numpy by hand": "#6b6b6b",
    "autodiff": "#0a5fa8",
    "autodiff jit": "#0a5fa8",
    "autograd": "#b07c00",
    "torch": "#c8452d",
    "torch compiled": "#c8452d",
    "mygrad": "#3d8f5a",
    "jax": "#7d4fa3",
}
"""One hue a library; what is compiled is dashed."""
MARKERS = {
    "numpy by hand": "_", "autodiff": "o", "autodiff jit": "o", "autograd": "^", "torch": "s", "torch compiled": "s",
    "mygrad": "v", "jax": "D",
}  # fmt: skip
HOLLOW = ("autodiff jit", "torch compiled", "jax")
UNITS = {"time": "seconds", "first call": "seconds", "memory": "MiB"}


def available() -> bool:
    """Whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(found: Sequence[Point], folder: Path) -> list[tuple[Curve, Path]]:
    """Write a picture of each curve that has points."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for curve in CURVES:
        mine = [p for p in found if p.curve == curve.key]
        if mine:
            path = folder / f"growth-{curve.key}.svg"
            _picture(curve, mine, path)
            drawn.append((curve, path))
    return drawn


def _picture(curve: Curve, found: Sequence[Point], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": curve.key, "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        ax = figure.subplots()
        ends = []
        for engine in COLOURS:
            points = [p for p in found if p.engine == engine]
            if points:
                ends.append(_line(ax, curve, engine, points))
        _proportional(ax, found, curve)
        ax.set(xscale="log", yscale="log", xlabel=curve.x, ylabel=UNITS[curve.what])
        ax.set_title(curve.title, loc="left")
        ax.grid(True, which="major", color="#e2e2e2", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        _names(ax, ends)
        # white behind it: a page may be dark
        figure.savefig(path, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


def _scaled(curve: Curve, value: float) -> float:
    return value / 2**20 if curve.what == "memory" else value


def _raised(power: float) -> str:
    return f"{power:.2f}".translate(str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻"))


def _line(ax: Any, curve: Curve, engine: str, points: Sequence[Point]) -> tuple[str, str, float, float]:
    """One engine's curve; its label, colour and last point."""
    x, y = [p.size for p in points], [_scaled(curve, p.value) for p in points]
    colour, compiled = COLOURS[engine], engine in HOLLOW
    ax.plot(
        x, y, marker=MARKERS[engine], color=colour, linestyle="--" if compiled else "-", markersize=5,
        markerfacecolor="white" if compiled else colour, linewidth=2.2 if engine in OURS else 1.3, zorder=3,
    )  # fmt: skip
    label = f"{engine}, n{_raised(slope(points))}" if len(points) > 1 else engine
    return label, colour, x[-1], y[-1]


def _proportional(ax: Any, found: Sequence[Point], curve: Curve) -> None:
    """A dotted line of slope one through the last point of ours, to compare slopes with."""
    ours = [p for p in found if p.engine in OURS]
    if not ours:
        return
    end = max(ours, key=lambda p: p.size)
    low, high = min(p.size for p in found), max(p.size for p in found)
    y = _scaled(curve, end.value)
    ax.plot([low, high], [y * low / end.size, y * high / end.size], ":", color="#9a9a9a", linewidth=1, zorder=1)


def _names(ax: Any, ends: list[tuple[str, str, float, float]]) -> None:
    """Each curve's name at the right of the axes, at the height of its end, pushed apart where they would meet."""
    low, high = (math.log10(v) for v in ax.get_ylim())
    places = sorted(((math.log10(y) - low) / (high - low), label, colour) for label, colour, _, y in ends)
    heights: list[float] = []
    for place, _, _ in places:
        heights.append(max(place, heights[-1] + 0.065) if heights else place)
    over = max(0.0, heights[-1] - 1.0) if heights else 0.0
    for i in range(len(heights) - 1, -1, -1):
        ceiling = heights[i + 1] - 0.065 if i + 1 < len(heights) else heights[i] - over
        heights[i] = min(heights[i], ceiling)
    for height, (_, label, colour) in zip(heights, places, strict=True):
        ax.annotate(label, (1.02, height), xycoords="axes fraction", color=colour, va="center", fontsize=9)
