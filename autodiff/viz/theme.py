"""Colours: the scale of δ, and the roles of everything else in a light and in a dark picture."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import PictureError, message, nearest

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
    """The colour of cividis at t between 0 and 1."""
    return between(CIVIDIS, t)


def between(colours: tuple[str, ...], t: float) -> str:
    """The colour at t between 0 and 1 of colours that stand at equal steps."""
    place = min(max(t, 0.0), 1.0) * (len(colours) - 1)
    i = min(int(place), len(colours) - 2)
    a, b = _channels(colours[i]), _channels(colours[i + 1])
    return "#" + "".join(f"{round(x + (y - x) * (place - i)):02x}" for x, y in zip(a, b, strict=True))


GROUNDS = ("light", "dark", "auto")


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of one's own: what is not given is that of the ground.

    Colours are written ``"#rgb"`` or ``"#rrggbb"``.

    Attributes
    ----------
    ground : {"light", "dark", "auto"}
        Which theme the other colours come from; "auto" follows the reader's setting.
    delta : sequence of str, or callable
        The colours of δ at equal steps, from the smallest to the largest, two at least; or a function from 0 … 1 to
        (red, green, blue, …) in 0 … 1, as matplotlib's colour maps are. Cividis by default.
    paper, surface, cluster : str, optional
        The ground of the picture, of boxes and of scopes.
    ink, muted : str, optional
        Text, and text that stands back.
    line, rim, casing : str, optional
        Lines without δ, the outlines of scopes, and the edge of arrows with δ.
    nan, inf, zero, ontint : str, optional
        What is not a number, infinite, and zero; the text on the first two.

    Raises
    ------
    PictureError
        Where something is not a colour.

    Examples
    --------
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0)
    >>> theme = ad.viz.Theme(paper="#fffaf0", delta=("#fee0d2", "#de2d26", "#67000d"))
    >>> "#fffaf0" in ad.viz.picture(flow, "dot", theme=theme)
    True
    """

    ground: str = "light"
    delta: Any = CIVIDIS
    paper: str | None = None
    ink: str | None = None
    muted: str | None = None
    line: str | None = None
    surface: str | None = None
    cluster: str | None = None
    rim: str | None = None
    nan: str | None = None
    inf: str | None = None
    zero: str | None = None
    casing: str | None = None
    ontint: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.ground, str) or self.ground not in GROUNDS:
            raise _wrong(f"ground={self.ground!r}", f"the ground is one of {', '.join(GROUNDS)}", "ground='light'")
        for role in LIGHT:
            if getattr(self, role) is not None:
                object.__setattr__(self, role, _colour(role, getattr(self, role)))
        object.__setattr__(self, "delta", _ramp(self.delta))

    def colours(self, dark: bool) -> dict[str, str]:
        """The colour of every role on a light or on a dark ground.

        Parameters
        ----------
        dark : bool
            On a dark ground.

        Returns
        -------
        dict of str to str

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.viz.Theme(ink="#102030").colours(dark=False)["ink"]
        '#102030'
        """
        return {role: getattr(self, role) or colour for role, colour in (DARK if dark else LIGHT).items()}

    @property
    def plain(self) -> dict[str, str]:
        """The colours where a picture cannot follow a reader's setting."""
        return self.colours(self.ground == "dark")


ROLES = tuple(field.name for field in dataclasses.fields(Theme))


def as_theme(given: Any) -> Theme:
    """A theme from its name, from a mapping of colours, or itself.

    Raises
    ------
    PictureError
        Naming the nearest theme or role.
    """
    if isinstance(given, Theme):
        return given
    if isinstance(given, Mapping):
        for key in given:
            if key not in ROLES:
                perhaps = " or ".join(nearest(str(key), ROLES))
                raise _wrong(f"a theme has no {key!r}", f"its colours are {', '.join(ROLES)}",
                             f"perhaps {perhaps}" if perhaps else "one of these")  # fmt: skip
        return Theme(**given)
    if given not in GROUNDS:
        near = nearest(str(given), GROUNDS) or ["light"]
        raise _wrong(f"draw: theme={given!r}", f"theme is one of {', '.join(GROUNDS)}, or colours of your own",
                     f"theme={near[0]!r}, or theme=ad.viz.Theme(paper='#fffaf0')")  # fmt: skip
    return Theme(ground=given)


def _wrong(what: str, why: str, instead: str) -> PictureError:
    return PictureError(message(what, why, instead))


def _colour(role: str, given: Any) -> str:
    """A colour as #rrggbb."""
    if not isinstance(given, str) or not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", given):
        raise _wrong(f"a theme's {role} is {given!r}", "a colour is written #rgb or #rrggbb", f"{role}='#1b1f24'")
    digits = given[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))


def _ramp(given: Any) -> tuple[str, ...]:
    """Colours at equal steps."""
    if callable(given):
        try:
            found = [tuple(given(n / 12))[:3] for n in range(13)]
            given = ["#" + "".join(f"{round(255 * float(part)):02x}" for part in colour) for colour in found]
        except (TypeError, ValueError) as error:
            raise _wrong("a theme's delta is a function that gives no colours", str(error),
                         "matplotlib.colormaps['viridis'], or a list of colours") from None  # fmt: skip
    if isinstance(given, str) or not isinstance(given, (list, tuple)) or len(given) < 2:
        raise _wrong(f"a theme's delta is {given!r}", "it is two colours or more, from the smallest δ to the largest",
                     "delta=('#00224e', '#fee838')")  # fmt: skip
    return tuple(_colour("delta", colour) for colour in given)


class Scale:
    """log₁₀ of an RMS on the colours of δ, between half decades, over one decade at least."""

    def __init__(self, sizes: list[float], colours: tuple[str, ...] = CIVIDIS) -> None:
        self.colours = colours
        logs = [math.log10(size) for size in sizes if size > 0]
        self.low = min(math.floor(2 * min(logs, default=-0.5) + 1e-9) / 2, 307.0)
        self.high = min(max(math.ceil(2 * max(logs, default=0.5) - 1e-9) / 2, self.low + 1), 308.0)  # 10³⁰⁹ is no float

    def colour(self, size: float) -> str:
        """The colour of an RMS that is not zero."""
        return between(self.colours, (math.log10(size) - self.low) / (self.high - self.low))

    def ticks(self) -> list[int]:
        """Whole decades to name beside the scale: at most about seven."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        return list(range(math.ceil(self.low), math.floor(self.high) + 1, step))
