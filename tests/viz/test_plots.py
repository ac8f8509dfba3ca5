"""Plots show the numbers of the flow: what stands in the axes is compared with what the flow says."""

import itertools
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import MissingExtraError, PictureError
from autodiff.viz.theme import contrast

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
    flow.plot_path_spectrum(ax, "x")
    rows = flow.spectrum("x")
    assert heights(ax, "share of length") == [row["norm_share"] for row in rows]
    (dots,) = (line for line in ax.lines if line.get_label() == "projection")
    np.testing.assert_array_equal(dots.get_ydata(), [row["projection"] for row in rows])


def net(blocks, factor=1.0, x=1.0):
    def f(x):
        for i in range(blocks):
            with ad.scope(f"block{i}"):
                x = x + np.negative(np.negative(factor * x))
        return np.sum(x)

    with np.errstate(invalid="ignore"):
        return ad.flow(f)(x)


def drawn(flow):
    """The three plots, drawn to the end: what stands outside a figure, or is nan, would warn."""
    fig = figure.Figure(figsize=(15, 4), layout="constrained")
    for ax, plot in zip(fig.subplots(1, 3), (flow.plot_depth, flow.plot_shares, flow.plot_path_spectrum), strict=True):
        assert plot(ax) is ax
    fig.draw_without_rendering()
    return fig


def texts(ax):
    return [text.get_text().replace("\n", " ") for text in ax.texts]


def boxes(labels):
    return [label.get_window_extent() for label in labels if label.get_text()]


@pytest.mark.parametrize("blocks", [1, 2, 20, 41, 100])
def test_names_do_not_touch_and_branches_are_whole_numbers(blocks):
    fig = drawn(net(blocks, 0.3))
    for ax in fig.axes:
        found = boxes(ax.get_xticklabels())
        assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(found))
        assert all(text.get_text().lstrip("block−").isdigit() for text in ax.get_xticklabels())
    for ax in fig.axes[1:]:
        top = max(max(line.get_ydata()) for line in ax.lines)
        top = max(top, *(bar.get_height() for bar in ax.patches)) if ax.patches else top
        legend = ax.transData.inverted().transform(ax.get_legend().get_window_extent().get_points())
        assert legend[0, 1] > top  # it stands above what is drawn


def test_beyond_the_last_part_of_any_size_the_axis_ends():
    ax = drawn(net(100, 0.01)).axes[2]
    assert 3 < ax.get_xlim()[1] < 12
    assert ax.get_xlabel().endswith("(of 100)")
    assert len(ax.containers[0]) == 101


def test_what_is_zero_or_not_finite_is_marked_on_the_axis():
    def f(x):
        for i, factor in enumerate((1.0, np.inf, 1.0, 0.0, 1.0)):
            with ad.scope(f"block{i}"):
                x = x * factor
        return np.sum(x)

    with np.errstate(invalid="ignore"):
        flow = ad.flow(f)(np.ones(2))
    fig = figure.Figure()
    ax = flow.plot_depth(fig.subplots())
    fig.draw_without_rendering()
    marked = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    sizes = {row["block"]: row["delta"] for row in flow.trend()}
    assert marked["zero"] == [i for i in range(5) if sizes[f"block{i}"] == 0] == [1, 2]
    assert marked["not finite"] == [i for i in range(5) if not np.isfinite(sizes[f"block{i}"])] == [0]


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (net(4, x=np.nan), None),
        (net(4, np.nan), "not finite"),
        (ad.flow(lambda x: 0.0 * (x + np.negative(np.negative(3.0 * x))))(1.0), "zero"),
        (net(1, -1.0), "cancel"),
    ],
    ids=["a value is nan", "nan", "zero", "cancelling"],
)
def test_where_there_is_nothing_to_see_it_says_why(flow, said):
    fig = drawn(flow)
    assert said is None or any(said in text for text in texts(fig.axes[2]))
    for ax in fig.axes:
        assert bool(texts(ax)) or any(np.isfinite(line.get_ydata()).any() for line in ax.lines)


@pytest.mark.parametrize(("ground", "text"), [("white", "black"), ("black", "white"), ("none", "white")])
def test_colours_are_seen_on_a_light_and_on_a_dark_ground(ground, text):
    flow = net(3, 0.5)
    for plot in (flow.plot_depth, flow.plot_shares, flow.plot_path_spectrum):
        ax = figure.Figure().subplots()
        ax.set_facecolor(ground)
        ax.xaxis.label.set_color(text)
        plot(ax)
        paper = "#ffffff" if text == "black" else "#000000"
        used = [line.get_color() for line in ax.lines] + [bar.get_facecolor() for bar in ax.patches]
        to_hex = pytest.importorskip("matplotlib.colors").to_hex
        assert all(contrast(to_hex(colour), paper) >= 3 for colour in used)


def test_on_the_current_axes_and_on_none(flow, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "gca", figure.Figure().subplots)
    summary = flow.trend().summary
    title = f"δ by block: ×{summary['factor']:.3g} a block on the way back, R² = {summary['r2']:.2f}"
    assert flow.plot_depth().get_title() == title
    assert flow.plot_path_spectrum().get_title() == "δ of x by path"
    with pytest.raises(PictureError, match="a plot was asked for on a Figure"):
        flow.plot_shares(figure.Figure())


def test_without_matplotlib_the_extra_is_named(flow, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"pip install -e .\.\[plots\]"):
        flow.plot_depth()


def test_plots_of_a_flow_without_blocks_or_joins(ax):
    flow = ad.flow(lambda x: x * x)(2.0)
    flow.plot_depth(ax)
    flow.plot_shares(ax)
    flow.plot_path_spectrum(ax, "x")
    assert heights(ax, "share of length") == [1.0]
