"""The svg: its structure, its colours, its golden files; the dot for people."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import document, picture
from autodiff.viz.lettering import number, power, width
from autodiff.viz.theme import CIVIDIS, DARK, LIGHT, Scale, contrast, luminance, on
from tests.viz import nets

SVG = "{http://www.w3.org/2000/svg}"


def s2_flow():
    return ad.flow(nets.s2)(2.0, 3.0)


def small_flow():
    return ad.flow(nets.small_residual)(np.array([[1.0, -2.0]]), np.array([[0.5, 1.0], [-1.5, 2.0]]))


def groups(text, kind):
    return [g for g in ET.fromstring(text).iter(f"{SVG}g") if g.get("data-kind") == kind]


def words(element):
    return [text.text for text in element.iter(f"{SVG}text")]


@pytest.mark.parametrize("engine", ["auto", "builtin"])
def test_the_numbers_of_s2_are_in_the_picture(engine):
    text = picture(s2_flow(), "svg", engine=engine)
    shown = {words(g)[0]: words(g) for g in groups(text, "node")}
    assert shown["a"] == ["a", "float64", "value", "2", "δ", "10.5"]
    assert shown["b"][-1] == "8"
    assert shown["o = multiply(·, 0.5)"][3] == "15"
    labels = set(words(ET.fromstring(text)))
    assert {"3 (29 %)", "7.5 (71 %)", "3 (38 %)", "5 (62 %)", "2.5", "0.5", "Gradient flow of s2"} <= labels


@pytest.mark.parametrize("engine", ["auto", "builtin"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_box_and_arrow_is_drawn(rng, engine, direction):
    flow = nets.residual_flow(rng)
    text = picture(flow, "svg", engine=engine, direction=direction)
    assert len(groups(text, "node")) == len(flow.graph)
    assert len(groups(text, "edge")) == sum(1 for _ in flow.graph.edges)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"g[0-9a-f]{8}-[a-z0-9]+", name) for name in ids)


@pytest.mark.parametrize("engine", ["auto", "builtin"])
def test_nothing_leaves_the_picture_and_no_boxes_overlap(rng, engine):
    root = ET.fromstring(picture(nets.residual_flow(rng), "svg", engine=engine))
    across, down = float(root.get("width")), float(root.get("height"))
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
        assert x >= 0 <= y
        assert x + w <= across
        assert y + h <= down
    outlines = []
    for g in root.iter(f"{SVG}g"):
        if g.get("data-kind") == "node":
            rect = g.find(f"{SVG}rect")
            outlines.append([float(rect.get(key)) for key in ("x", "y", "width", "height")])
    for i, (x, y, w, h) in enumerate(outlines):
        for u, v, s, t in outlines[:i]:
            assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


def test_states_are_told_in_words_and_outlines_not_by_colour_alone():
    text = picture(nets.states_flow(), "svg", engine="builtin")
    shown = {words(g)[0].split(" ")[0]: g for g in groups(text, "node")}
    assert "no path to the output" in words(shown["z"])
    assert "no path to the output" in words(shown["steps"])
    assert "exactly 0" in words(shown["v"])
    assert any("subnormal" in word for word in words(shown["w"]))
    assert any("+Inf ×1 of 3" in word for word in words(shown["x"]))
    assert "NaN ×1, −Inf ×1 of 3" in words(shown["bad"])
    assert "contributions cancel" in words(shown["t"])
    dashed = {name for name, g in shown.items() if g.find(f"{SVG}rect").get("stroke-dasharray")}
    assert dashed == {"z", "steps", "greater(·,"}
    legend = words(ET.fromstring(text))
    assert "Dashed box: no path leads from it to the output." in legend


def test_notebooks_get_a_picture_without_style_sheets():
    bundle = s2_flow()._repr_mimebundle_()
    text = bundle["image/svg+xml"]
    assert "<style" not in text
    assert "class=" not in text
    assert not re.search(r"<(script|foreignObject|image|a|use)\b|\bon\w+=|href", text)
    assert "10.5" in bundle["text/plain"]


def test_a_line_of_a_cell_is_not_told_by_the_number_that_names_its_file():
    namespace = {}
    exec(compile("def f(x):\n    return x * x", "/tmp/ipykernel_17/2927061543.py", "exec"), namespace)
    for form in ("svg", "html"):
        drawn = picture(ad.flow(namespace["f"])(2.0), form)
        assert "2927061543" not in drawn
    assert "\ncell:2\n" in picture(ad.flow(namespace["f"])(2.0))


def test_a_graph_that_is_too_large_for_a_notebook_is_a_table():
    assert set(ad.flow(nets.chain)(1.0, 3000)._repr_mimebundle_()) == {"text/plain"}


def test_themes():
    drawn = [picture(s2_flow(), "svg", theme=theme, engine="builtin") for theme in ("light", "dark", "auto")]
    light, dark, auto = drawn
    assert LIGHT["ink"] in light
    assert DARK["ink"] not in light
    assert DARK["ink"] in dark
    assert "@media (prefers-color-scheme:dark)" in auto
    assert "<style" not in light + dark
    used = set(re.findall(r"[\w-]+-[a-z]+(?=[ \"])", " ".join(re.findall(r'class="([^"]+)"', auto))))
    styled = set(re.findall(r"\.([\w-]+)\{", auto))
    assert used <= styled


def test_text_can_be_read_on_its_ground():
    for theme in (LIGHT, DARK):
        for ground in ("paper", "surface", "cluster"):
            for role in ("ink", "muted", "nan", "inf"):
                assert contrast(theme[role], theme[ground]) >= 4.5, (role, ground)
        assert contrast(theme["ink"], theme["zero"]) >= 4.5
        assert contrast(theme["ontint"], theme["nan"]) >= 4.5
        assert contrast(theme["ontint"], theme["inf"]) >= 4.5
    assert all(contrast(on(colour), colour) >= 4.5 for colour in CIVIDIS)


def test_the_colour_scale_rises_in_lightness():
    scale = Scale([0.002, 30.0])
    assert (scale.low, scale.high) == (-3.0, 1.5)
    assert scale.ticks() == [-3, -2, -1, 0, 1]
    lights = [luminance(scale.colour(10**x)) for x in np.linspace(-3, 1.5, 40)]
    assert lights == sorted(lights)
    assert len(set(lights)) == 40
    assert len(Scale([1e-300, 1e300]).ticks()) <= 7
    assert Scale([5.0, 5.0]).high - Scale([5.0, 5.0]).low >= 1


@pytest.mark.parametrize(
    ("x", "text"),
    [(10.5, "10.5"), (-1.2e-5, "−1.2e−5"), (0.0, "0"), (-0.0, "0"), (1e21, "1e21"), (1 / 3, "0.333"),
     (float("nan"), "NaN"), (float("-inf"), "−∞")],
)  # fmt: skip
def test_numbers(x, text):
    assert number(x) == text


def test_letters():
    assert power(-12) == "10⁻¹²"
    assert width("mm", 10) > width("ii", 10) > 0
    assert width("中", 10) > width("a", 10)
    assert width("é", 10) == width("é"[:1], 10)


@pytest.mark.parametrize(
    ("name", "make", "options"),
    [
        ("s2.svg", s2_flow, {}),
        ("s2-dark-lr.svg", s2_flow, {"theme": "dark", "direction": "LR"}),
        ("residual.svg", small_flow, {"theme": "light"}),
        ("residual-collapsed.svg", small_flow, {"collapse": 1}),
        ("states.svg", nets.states_flow, {}),
    ],
)
def test_golden(golden, name, make, options):
    golden(name, picture(make(), "svg", engine="builtin", **options))


@pytest.mark.parametrize("form", ["svg", "dot", "json", "txt"])
def test_a_title_is_taken_as_it_is(form):
    text = picture(s2_flow(), form, title="Two routes", engine="builtin")
    assert "Two routes" in text
    assert "Gradient flow" not in text


@pytest.mark.parametrize("form", ["svg", "dot", "json", "txt"])
def test_same_graph_same_bytes(rng, form):
    flow = nets.residual_flow(rng)
    assert picture(flow, form) == picture(flow, form)


# -- dot ---------------------------------------------------------------------------------------------------------------


def test_dot_golden(golden):
    golden("s2.dot", picture(s2_flow(), "dot"))


def test_dot_is_read_by_graphviz_with_every_node_and_edge(rng):
    pygraphviz = pytest.importorskip("pygraphviz")
    flow = nets.residual_flow(rng)
    graph = pygraphviz.AGraph(string=picture(flow, "dot"))
    assert sorted(graph.nodes()) == sorted(f"n{v}" for v in range(len(flow.graph)))
    assert len(graph.edges()) == sum(1 for _ in flow.graph.edges)
    assert "block1" in {cluster.graph_attr["label"] for cluster in graph.subgraphs()}


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs a dot on the PATH")
def test_dot_is_drawn_by_dot(rng):
    done = subprocess.run(
        ["dot", "-Tplain"], input=picture(nets.residual_flow(rng), "dot"), capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\nnode ") == len(document(nets.residual_flow(rng))["nodes"])
