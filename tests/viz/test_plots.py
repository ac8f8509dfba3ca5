"""Plots show the numbers of the flow: what stands in the axes is compared with what the flow says."""

import numpy as np
import pytest

import autodiff as ad

figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


@pytest.fixture
def flow(rng):
    def net(x, layers):
        for i, (w1, w2) in enumerate(layers):
            with ad.scope(f"block{i}"):
                x = x + np.tanh(x @ w1) @ w2
        return np.sum(x**2)

    return ad.flow(net)(rng.normal(size=(2, 4)), [(rng.normal(size=(4, 4)), rng.normal(size=(4, 4))) for _ in range(3)])


@pytest.fixture
def ax():
    return figure.Figure().subplots()


def heights(ax, label):
    (bars,) = (bars for bars in ax.containers if bars.get_label() == label)
    return [bar.get_height() for bar in bars]


def test_depth(flow, ax):
    assert flow.plot_depth(ax) is ax
    rows = flow.trend()
    points, fitted = ax.lines
    np.testing.assert_array_equal(points.get_ydata(), [row["delta"] for row in reversed(rows)])
    assert ax.get_yscale() == "log"
    steps = fitted.get_ydata()
    np.testing.assert_allclose(steps[:-1] / steps[1:], rows.summary["factor"])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["block0", "block1", "block2"]


def test_shares(flow, ax):
    flow.plot_shares(ax)
    rows = flow.joins()
    assert heights(ax, "skip") == [row["skip_share"] for row in rows]
    assert heights(ax, "residual branch") == [row["residual_share"] for row in rows]


def test_path_spectrum(flow, ax):
    flow.plot_path_spectrum("x", ax)
    rows = flow.spectrum("x")
    assert heights(ax, "share of length") == [row["norm_share"] for row in rows]
    (dots,) = (line for line in ax.lines if line.get_label() == "projection")
    np.testing.assert_array_equal(dots.get_ydata(), [row["projection"] for row in rows])


def test_plots_of_a_flow_without_blocks_or_joins(ax):
    flow = ad.flow(lambda x: x * x)(2.0)
    flow.plot_depth(ax)
    flow.plot_shares(ax)
    flow.plot_path_spectrum("x", ax)
    assert heights(ax, "share of length") == [1.0]
