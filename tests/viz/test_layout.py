"""The built-in layout: layers, no overlaps, long chains, cycles; and Graphviz's layout read back."""

import networkx
import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import document, picture
from autodiff.viz.engine import Engine, EngineError, arrange_with, engines, skeleton
from autodiff.viz.layout import BUILT_IN, Sketch, arrange
from autodiff.viz.options import Options
from tests.viz import nets


def sketch_of(edges, count, direction="TB", label=(20.0, 10.0), **more):
    boxes = {f"n{i}": (60.0 + 7 * (i % 5), 40.0) for i in range(count)}
    arrows = [(f"e{k}", f"n{u}", f"n{v}", label) for k, (u, v) in enumerate(edges)]
    clusters = more.pop("clusters", {(): list(boxes)})
    return Sketch(boxes, arrows, clusters, {path[:d]: 30.0 for path in clusters for d in range(1, len(path) + 1)},
                  direction, **more)  # fmt: skip


def random_edges(rng, count):
    return [(int(rng.integers(v)), v) for v in range(1, count) for _ in range(int(rng.integers(1, 3)))]


def rectangles(layout, sketch):
    for key, (x, y) in layout.centres.items():
        w, h = sketch.boxes[key]
        yield x - w / 2, y - h / 2, x + w / 2, y + h / 2
    for key, _, _, (w, h) in sketch.arrows:
        x, y = layout.labels[key]
        yield x - w / 2, y - h / 2, x + w / 2, y + h / 2


def apart(a, b):
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_nothing_overlaps(rng, direction, count):
    sketch = sketch_of(random_edges(rng, count), count, direction)
    layout = arrange(sketch)
    drawn = list(rectangles(layout, sketch))
    assert all(apart(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert layout.engine == BUILT_IN
    assert min(rect[0] for rect in drawn) >= -1e-9
    assert max(rect[3] for rect in drawn) <= layout.height + 1e-9


def test_layers_are_those_of_networkx_but_for_leaves(rng):
    edges = random_edges(rng, 30)
    sketch = sketch_of(edges, 30)
    layout = arrange(sketch)
    graph = networkx.DiGraph(edges)
    for row, generation in enumerate(networkx.topological_generations(graph)):
        heights = {round(layout.centres[f"n{v}"][1], 3) for v in generation if graph.in_degree(v)}
        assert len(heights) == (row > 0)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_arrows_go_from_box_to_box_in_the_direction_asked_for(rng, direction):
    sketch = sketch_of(random_edges(rng, 20), 20, direction)
    layout = arrange(sketch)
    axis = 0 if direction == "LR" else 1
    for key, tail, head, _ in sketch.arrows:
        route = layout.routes[key]
        assert (len(route) - 2) % 3 == 0  # cubic curves, and the tip
        size = sketch.boxes[tail][axis], sketch.boxes[head][axis]
        assert route[0][axis] == pytest.approx(layout.centres[tail][axis] + size[0] / 2)
        assert route[-1][axis] == pytest.approx(layout.centres[head][axis] - size[1] / 2)


def test_several_arrows_between_two_boxes_are_apart():
    layout = arrange(sketch_of([(0, 1), (0, 1), (0, 1)], 2))
    assert len({tuple(route[-1]) for route in layout.routes.values()}) == 3
    assert len(set(layout.labels.values())) == 3


def test_a_long_arrow_is_straight():
    edges = [(i, i + 1) for i in range(12)] + [(0, 12)]
    sketch = sketch_of(edges, 13)
    route = arrange(sketch).routes["e12"]
    inner = [x for x, _ in route[4:-5]]
    assert max(inner) - min(inner) < 1.0


def test_a_cycle_is_drawn():
    layout = arrange(sketch_of([(0, 1), (1, 2), (2, 0), (2, 2)], 3))
    assert set(layout.routes) == {"e0", "e1", "e2", "e3"}


def test_what_is_to_stand_below_does():
    edges = [(0, 1), (2, 3), (1, 3)]
    plain = arrange(sketch_of(edges, 4)).centres
    lower = arrange(sketch_of(edges, 4, below=[("n1", "n2")])).centres
    assert plain["n2"][1] == plain["n1"][1]
    assert lower["n2"][1] > lower["n1"][1]


def test_scopes_are_outlined_where_nothing_else_stands_in_them():
    edges = [(0, 1), (1, 2), (2, 3)]
    nested = {(): ["n0", "n3"], ("a",): ["n1"], ("a", "b"): ["n2"]}
    layout = arrange(sketch_of(edges, 4, clusters=nested))
    outer, inner = layout.clusters["a",], layout.clusters["a", "b"]
    assert outer[0] < inner[0] < inner[2] < outer[2]
    assert outer[1] < layout.centres["n1"][1] < inner[1]
    split = {(): ["n1"], ("a",): ["n0", "n2", "n3"]}
    layout = arrange(sketch_of(edges, 4, clusters=split))
    assert not layout.clusters
    assert "not outlined" in layout.note


def test_a_scope_of_a_large_picture_is_outlined_only_where_nothing_else_stands_in_it():
    scopes = {(f"s{i}",): [f"n{3 * i}", f"n{3 * i + 1}", f"n{3 * i + 2}"] for i in range(1000)}
    scopes["s7",].remove("n22")
    scopes["s500",].append("n22")  # between two boxes of s7, and far from its own scope
    for direction in ("TB", "LR"):
        chain = sketch_of([(i, i + 1) for i in range(2999)], 3000, direction, clusters=dict(scopes))
        layout = arrange(chain)
        assert set(layout.clusters) == scopes.keys() - {("s7",), ("s500",)}
        assert "not outlined" in layout.note


def test_a_chain_of_twenty_thousand_is_no_depth():
    layout = arrange(sketch_of([(i, i + 1) for i in range(19_999)], 20_000, label=(0.0, 0.0)))
    assert len(layout.centres) == 20_000


def test_a_fan_of_ten_thousand():
    layout = arrange(sketch_of([(0, i) for i in range(1, 10_001)], 10_001, label=(0.0, 0.0)))
    assert layout.width > 10_000 * 60


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_graphviz_lays_out_the_same_sketch(rng, direction):
    found = engines(Options())
    if not found:
        pytest.skip("needs Graphviz")
    nested = {(): ["n0"], ("a",): ["n1", "n2"], ("a", "b"): ["n3"], ("c",): [f"n{i}" for i in range(4, 12)]}
    sketch = sketch_of(random_edges(rng, 12), 12, direction, clusters=nested)
    layout = arrange_with(found[0], sketch, Options())
    boxes = list(rectangles(layout, sketch))[:12]
    assert all(apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert set(layout.clusters) == {("a",), ("a", "b"), ("c",)}
    for path, (left, top, right, bottom) in layout.clusters.items():
        for other, members in nested.items():
            for key in members:
                x, y = layout.centres[key]
                assert (left < x < right and top < y < bottom) == (other[: len(path)] == path)
    for key, tail, head, _ in sketch.arrows:
        assert layout.routes[key][-1] != layout.routes[key][0]
        (x, y), (w, h) = layout.centres[head], sketch.boxes[head]
        tip = layout.routes[key][-1]
        assert abs(tip[0] - x) <= w / 2 + 2
        assert abs(tip[1] - y) <= h / 2 + 2
        assert tail in layout.centres


def test_the_skeleton_has_sizes_and_no_text():
    text = skeleton(sketch_of([(0, 1), (0, 1)], 2))
    assert text.count("->") == 2
    assert ":i1:n" in text
    assert ":i2:n" in text


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null", b"not json", b'{"bb": "0,0,1,1", "objects": []}',
                                    b'{"bb": "0,0,1,1", "objects": [{"name": "n0", "pos": "x"}]}'])  # fmt: skip
def test_answers_that_are_no_layout(monkeypatch, answer):
    import autodiff.viz.engine as engine

    monkeypatch.setattr(engine, "run", lambda *given: answer)
    with pytest.raises(EngineError, match="gave no layout"):
        arrange_with(Engine("dot", "dot"), sketch_of([(0, 1)], 2), Options())


def test_pictures_of_one_node_of_empty_arrays_and_of_constants():
    assert "10" in picture(ad.flow(lambda x: x)(10.0), "svg")
    empty = picture(ad.flow(lambda x: np.sum(x))(np.zeros((0, 3))), "svg")
    assert ">empty<" in empty
    constant = ad.flow(lambda x: 3.0)(1.0)
    assert "no path to the output" in picture(constant, "svg")
    assert document(constant)["nodes"][0]["path"] is False


def test_a_wide_random_graph_is_drawn_by_both(rng):
    def f(x, w):
        layers = [x]
        for _ in range(25):
            i, j = rng.integers(len(layers), size=2)
            layers.append(np.tanh(layers[i] @ w) + layers[j])
        return np.sum(layers[-1])

    flow = ad.flow(f)(rng.normal(size=(1, 3)), rng.normal(size=(3, 3)))
    for engine in ("auto", "builtin"):
        assert nets.s2.__name__ not in picture(flow, "svg", engine=engine)
