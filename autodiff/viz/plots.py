"""Plots of a flow with matplotlib: δ over depth, shares at the joins, the spectrum of paths."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from ..errors import MissingExtraError, PictureError, message
from ..flows import GradientFlow, find_joins
from .lettering import clean
from .theme import luminance

LIGHT = ("#0072b2", "#b35900")
DARK = ("#56b4e9", "#e69f00")
"""Skip and residual branch on a light and on a dark ground: blue and orange, told apart by every kind of vision."""
LABELS = 25
"""So many names stand under an axis at most."""
BARS = 40
"""More joins than this are drawn as lines: bars would be thinner than a pixel."""
SMALL = 0.001
"""Parts of a spectrum below this share, beyond all that are above it, are left off the axis."""


def axes(ax: Any) -> Any:
    """The axes to draw on: those given, or the current ones of pyplot.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    PictureError
        For what is no axes.
    """
    if ax is None:
        return _pyplot().gca()
    if not hasattr(ax, "set_xticks"):
        raise PictureError(
            message(f"a plot was asked for on a {type(ax).__name__}", "it is drawn on matplotlib's axes",
                    "plt.gca(), one of plt.subplots(), or nothing for the current axes")
        )  # fmt: skip
    return ax


def is_dark(ax: Any) -> bool:
    """Whether the ground is dark, which the colour of the text says even where the ground is transparent."""
    import matplotlib.colors  # noqa: PLC0415 -- an extra, which is there where axes are

    return luminance(matplotlib.colors.to_hex(ax.xaxis.label.get_color())) > 0.5


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot  # noqa: PLC0415 -- an extra, and slow to import
    except ImportError as error:
        raise MissingExtraError(
            message(
                f"matplotlib is not at hand ({error})",
                "plots are drawn with it",
                'in a checkout: pip install -e ".[plots]"',
            )
        ) from None
    return matplotlib.pyplot


def plot_depth(flow: GradientFlow, ax: Any = None, depth: int | None = 1) -> Any:
    """RMS of δ by block, in order of computation, on a logarithmic axis, with the fitted exponential.

    Blocks whose δ is zero, or nowhere finite, are marked on the axis.

    Parameters
    ----------
    flow : GradientFlow
    ax : matplotlib.axes.Axes, optional
        Where to draw: ``plt.gca()`` by default.
    depth : int, optional
        See :meth:`~autodiff.GradientFlow.trend`.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import autodiff as ad
    >>> def f(x):
    ...     for number in range(3):
    ...         with ad.scope(f"block{number}"):
    ...             x = x + x * x
    ...     return x
    >>> ad.viz.plots.plot_depth(ad.flow(f)(0.1)).get_title()
    'δ by block: ×1.23 a block on the way back, R² = 1.00'
    """
    ax = axes(ax)
    blue, orange = DARK if is_dark(ax) else LIGHT
    rows = flow.trend(depth)
    sizes = np.array([row["delta"] for row in reversed(rows)], float)
    places = np.arange(len(rows))
    good = np.isfinite(sizes) & (sizes > 0)
    if good.any():
        ax.semilogy(places, np.where(good, sizes, np.nan), "o-", color=blue, markersize=_marker(rows))
    factor, title = rows.summary["factor"], "δ by block"
    if factor is not None:
        middle = np.exp(np.mean(np.log(sizes[good])))
        line = middle * factor ** (np.mean(places[good]) - places)
        title = f"δ by block: ×{factor:.3g} a block on the way back"
        title += f", R² = {rows.summary['r2']:.2f}" if np.count_nonzero(good) > 2 else ""
        ax.semilogy(places, line, "--", color=orange)
    on_axis = {"transform": ax.get_xaxis_transform(), "clip_on": False, "linestyle": "", "color": orange}
    for marker, what, which in (("v", "zero", sizes == 0), ("X", "not finite", ~np.isfinite(sizes))):
        if which.any():
            ax.plot(places[which], np.zeros(np.count_nonzero(which)), marker, label=what, **on_axis)
    _names(ax, [written(row["block"]) for row in reversed(rows)])
    ax.set_xlabel("block, in order of computation")
    ax.set_ylabel("RMS of δ")
    ax.set_title(title)
    _finish(ax, "" if good.any() and len(rows) > 1 else rows.told, empty=not good.any())
    return ax


def plot_shares(flow: GradientFlow, ax: Any = None) -> Any:
    """At each join what part of δ comes back through the skip and what part through the residual branch.

    The parts are projections: they sum to one where the fork feeds nothing else, and one below zero opposes the other.

    Parameters
    ----------
    flow : GradientFlow
    ax : matplotlib.axes.Axes, optional
        Where to draw: ``plt.gca()`` by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import autodiff as ad
    >>> def f(x):
    ...     for number in range(3):
    ...         with ad.scope(f"block{number}"):
    ...             x = x + x * x
    ...     return x
    >>> ad.viz.plots.plot_shares(ad.flow(f)(0.1)).get_title()
    'δ at the joins'
    """
    ax = axes(ax)
    found = flow.joins()
    rows = [row for row in found if row["skip_share"] is not None and math.isfinite(row["skip_share"])]
    places = np.arange(len(rows))
    for side, key, colour, label in zip(
        (-0.2, 0.2), ("skip_share", "residual_share"), DARK if is_dark(ax) else LIGHT, ("skip", "residual branch"),
        strict=True,
    ):  # fmt: skip
        shares = [row[key] for row in rows]
        if len(rows) > BARS:
            ax.plot(places, shares, ".-", color=colour, label=label, linewidth=0.8)
        elif rows:
            ax.bar(places + side, shares, 0.4, color=colour, label=label)
    ax.axhline(0, color=ax.xaxis.label.get_color(), linewidth=0.8)
    _names(ax, [written(row["scope"]) or str(row["join"]) for row in rows])
    ax.set_xlabel("join, in order of computation")
    ax.set_ylabel("share of δ (projection)")
    ax.set_title("δ at the joins")
    _finish(ax, "" if rows else found.told, above=True, empty=not rows)
    return ax


def plot_path_spectrum(flow: GradientFlow, ax: Any = None, key: Any = None) -> Any:
    """How much of the δ of a node came through 0, 1, 2, … residual branches: shares of length, and projections.

    Parameters
    ----------
    flow : GradientFlow
    ax : matplotlib.axes.Axes, optional
        Where to draw: ``plt.gca()`` by default.
    key : node, name or number, optional
        Whose δ: by default that of the first fork, or without one of the first input.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import autodiff as ad
    >>> def f(x):
    ...     for number in range(3):
    ...         with ad.scope(f"block{number}"):
    ...             x = x + x * x
    ...     return x
    >>> ad.viz.plots.plot_path_spectrum(ad.flow(f)(0.1), key="x").get_title()
    'δ of x by path'
    """
    ax = axes(ax)
    blue, orange = DARK if is_dark(ax) else LIGHT
    if key is None:
        key = next((join.fork for join in find_joins(flow.graph)), flow.graph.arguments[0])
    node = flow.graph.node(key)
    rows = flow.spectrum(key)
    told = [row for row in rows if math.isfinite(row["norm_share"])]
    if told:
        branches = [row["branches"] for row in told]
        ax.bar(branches, [row["norm_share"] for row in told], 0.8, color=blue, label="share of length")
        last = max(row["branches"] for row in told if row["norm_share"] > SMALL or abs(row["projection"]) > SMALL)
        projections = [row["projection"] for row in told]
        ax.plot(branches, projections, "o", color=orange, label="projection", markersize=_marker(told[:last]),
                markeredgecolor=ax.get_facecolor(), markeredgewidth=0.8)  # fmt: skip
        ax.set_xlim(-0.75, max(last, 1) + 0.75)
        ax.set_xticks(range(0, last + 1, math.ceil((last + 1) / 15)))
    else:
        ax.set_xticks([])
    ax.axhline(0, color=ax.xaxis.label.get_color(), linewidth=0.8)
    ax.set_xlabel(f"residual branches on the way (of {len(rows) - 1})")
    ax.set_ylabel("share of δ")
    ax.set_title(f"δ of {written(node.name or f'{node.op.name} {node.index}')} by path")
    _finish(ax, "" if any(math.isfinite(row["projection"]) for row in told) else rows.told, above=True, empty=not told)
    return ax


def _marker(rows: list[dict[str, Any]]) -> float:
    """The size of a marker, smaller where there are many."""
    return 6.0 if len(rows) <= BARS else 3.0


def written(name: str, limit: int = 48) -> str:
    """A name as matplotlib draws it: cleaned, and never a formula, whatever it looks like."""
    return clean(name, limit).replace("$", r"\$")


def _names(ax: Any, names: list[str]) -> None:
    """Names under the axis, turned where they would touch, and some left out where there are many."""
    step = max(1, math.ceil(len(names) / LABELS))
    shown = names[::step]
    ax.set_xticks(range(0, len(names), step), shown, rotation=90 if sum(len(name) + 2 for name in shown) > 60 else 0)
    if names:
        spare = max(0.75, (3 - len(names)) / 2)  # one block or two do not fill the axis
        ax.set_xlim(-spare, len(names) - 1 + spare)


def _finish(ax: Any, told: str, above: bool = False, empty: bool = False) -> None:
    """The legend, with room above the bars where it would cover them, or why there is nothing to see."""
    if ax.get_legend_handles_labels()[0]:
        if above:
            ax.margins(y=0.25)
        ax.legend(**({"loc": "upper right", "ncols": 2} if above else {}))
    if empty:
        ax.set_yticks([])
    if told:
        ax.text(0.5, 0.6, textwrap.fill(written(told, 400), 36), transform=ax.transAxes, ha="center", va="center")


PLOTS: dict[str, Any] = {"depth": plot_depth, "shares": plot_shares, "path_spectrum": plot_path_spectrum}
GradientFlow.plot_hook = staticmethod(lambda flow, what, *args, **options: PLOTS[what](flow, *args, **options))
