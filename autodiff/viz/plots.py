"""Plots of a flow with matplotlib: δ over depth, shares at the joins, the spectrum of paths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..flows import GradientFlow
from .theme import cividis

SKIP, RESIDUAL, OPPOSED = cividis(0.15), cividis(0.85), cividis(0.5)


def plot_depth(flow: GradientFlow, ax: Any, depth: int | None = 1) -> Any:
    """RMS of δ by block, in order of computation, on a logarithmic axis, with the fitted exponential.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw: ``plt.gca()``, or anything that draws as matplotlib's axes do.
    depth : int, optional
        See :meth:`~autodiff.GradientFlow.trend`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = flow.trend(depth)
    names = [row["block"] for row in reversed(rows)]
    sizes = np.array([row["delta"] for row in reversed(rows)], float)
    places = np.arange(len(names))
    ax.semilogy(places, np.where(sizes > 0, sizes, np.nan), "o-", color=SKIP, label="RMS of δ")
    factor = rows.summary["factor"]
    if factor is not None:
        good = sizes > 0
        middle = np.exp(np.mean(np.log(sizes[good])))
        line = middle * factor ** (np.mean(places[good]) - places)
        ax.semilogy(places, line, "--", color=RESIDUAL, label=f"×{factor:.3g} a block, R² = {rows.summary['r2']:.2f}")
    ax.set_xticks(places, names, rotation=90 if len(names) > 8 else 0)
    ax.set_ylabel("RMS of δ")
    ax.set_title("δ by block")
    ax.legend()
    return ax


def plot_shares(flow: GradientFlow, ax: Any) -> Any:
    """At each join what part of δ comes back through the skip and what part through the residual branch.

    The parts are projections: they sum to one where the fork feeds nothing else, and one below zero opposes the other.
    """
    rows = [row for row in flow.joins() if row["skip_share"] is not None]
    places = np.arange(len(rows))
    ax.bar(places - 0.2, [row["skip_share"] for row in rows], 0.4, color=SKIP, label="skip")
    ax.bar(places + 0.2, [row["residual_share"] for row in rows], 0.4, color=RESIDUAL, label="residual branch")
    ax.axhline(0, color="black", linewidth=0.8)
    homes = [flow.graph.scopes[row["join"]] for row in rows]
    names = ["/".join(home) or str(row["join"]) for home, row in zip(homes, rows, strict=True)]
    ax.set_xticks(places, names, rotation=90 if len(names) > 8 else 0)
    ax.set_ylabel("share of δ (projection)")
    ax.set_title("δ at the joins")
    ax.margins(y=0.25)  # the legend stands above the bars
    ax.legend(loc="upper right", ncols=2)
    return ax


def plot_path_spectrum(flow: GradientFlow, key: Any, ax: Any) -> Any:
    """How much of the δ of a node came through 0, 1, 2, … residual branches: shares of length, and projections."""
    rows = flow.spectrum(key)
    branches = [row["branches"] for row in rows]
    ax.bar(branches, [row["norm_share"] for row in rows], color=SKIP, label="share of length")
    ax.plot(branches, [row["projection"] for row in rows], "o", color=RESIDUAL, label="projection")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xlabel("residual branches on the way")
    ax.set_ylabel("share of δ")
    ax.set_title(f"δ of {key} by path")
    ax.legend()
    return ax


PLOTS: dict[str, Any] = {"depth": plot_depth, "shares": plot_shares, "path_spectrum": plot_path_spectrum}
GradientFlow.plot_hook = staticmethod(lambda flow, what, *args, **options: PLOTS[what](flow, *args, **options))
