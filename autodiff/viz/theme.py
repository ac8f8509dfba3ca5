"""Colours: the scale of δ, and the roles of everything else in a light and in a dark picture."""

from __future__ import annotations

import math

CIVIDIS = (
    "#00224e", "#003170", "#2a3f6d", "#434e6c", "#575d6d", "#6a6c71", "#7d7c78", "#918b78", "#a59c74", "#bbad6d",
    "#d1bf61", "#e9d34e", "#fee838",
)  # fmt: skip
"""Thirteen colours at equal steps of cividis, which rises evenly in lightness for every kind of colour vision."""

LIGHT = {
    "paper": "#ffffff", "ink": "#1b1f24", "muted": "#59636e", "line": "#8c959f", "surface": "#ffffff",
    "cluster": "#f6f8fa", "rim": "#d1d9e0", "nan": "#b3003c", "inf": "#a33f00", "zero": "#e7ebef", "casing": "#3d444d",
    "ontint": "#ffffff",
}  # fmt: skip
DARK = {
    "paper": "#0d1117", "ink": "#f0f6fc", "muted": "#9ea7b3", "line": "#6e7781", "surface": "#161b22",
    "cluster": "#12171e", "rim": "#3d444d", "nan": "#ff6b8b", "inf": "#ff9b52", "zero": "#2d333b", "casing": "#b7bdc8",
    "ontint": "#0d1117",
}  # fmt: skip
"""What a colour is for, by theme: a scene names roles, a writer looks them up. ``ontint`` is text on nan and inf."""


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance as the contrast rule for the web defines it."""
    parts = [c / 255 for c in _channels(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def on(colour: str) -> str:
    """Black or white, whichever is read better on this colour."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, colour))


def cividis(t: float) -> str:
    """The colour at t between 0 and 1."""
    place = min(max(t, 0.0), 1.0) * (len(CIVIDIS) - 1)
    i = min(int(place), len(CIVIDIS) - 2)
    a, b = _channels(CIVIDIS[i]), _channels(CIVIDIS[i + 1])
    return "#" + "".join(f"{round(x + (y - x) * (place - i)):02x}" for x, y in zip(a, b, strict=True))


class Scale:
    """log₁₀ of an RMS on cividis, between half decades, over one decade at least."""

    def __init__(self, sizes: list[float]) -> None:
        logs = [math.log10(size) for size in sizes if size > 0]
        self.low = math.floor(2 * min(logs, default=-0.5) + 1e-9) / 2
        self.high = max(math.ceil(2 * max(logs, default=0.5) - 1e-9) / 2, self.low + 1)

    def colour(self, size: float) -> str:
        """The colour of an RMS that is not zero."""
        return cividis((math.log10(size) - self.low) / (self.high - self.low))

    def ticks(self) -> list[int]:
        """Whole decades to name beside the scale: at most about seven."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        return list(range(math.ceil(self.low), math.floor(self.high) + 1, step))
