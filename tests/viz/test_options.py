"""Options of a picture: edges that carry most of the gradient, which way arrows point, colours of one's own."""

import json
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import autodiff as ad
from autodiff.__main__ import DONE, REFUSED, main
from autodiff.errors import PictureError
from autodiff.viz import Theme, document, draw, picture
from autodiff.viz.arrows import backwards
from autodiff.viz.layout import HEAD
from autodiff.viz.options import read_options
from autodiff.viz.picture import prune
from autodiff.viz.theme import CIVIDIS, DARK, LIGHT, Scale, as_theme, cividis
from autodiff.viz.view import select
from tests.viz import nets

SVG = "{http://www.w3.org/2000/svg}"


def view(flow, **options):
    found = document(flow, joins=True)
    if "prune" in options:
        found = prune(found, flow, options["prune"])
    return select(found, read_options(options), lambda keep: prune(found, flow, keep))


def groups(svg, kind):
    return [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("data-kind") == kind]


# -- what cannot be asked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"collapse": 1.5}, r"collapse=1\.5[\s\S]*a depth, the name of a scope"),
        ({"hops": 1.5}, r"hops=1\.5[\s\S]*a whole number, 0 or more"),
        ({"hops": -1}, "hops=-1"),
        ({"hops": math.inf}, "hops=inf"),
        ({"split": 2.5}, r"split=2\.5"),
        ({"dpi": 72.5}, r"dpi=72\.5"),
        ({"focus": 1.5}, r"focus=1\.5[\s\S]*a node, its name or its number"),
        ({"focus": object()}, "focus=<object"),
        ({"focus": [None]}, "focus=None"),
        ({"direction": "diagonal"}, r"direction='diagonal'[\s\S]*direction='TB'"),
        ({"arrows": "backward"}, r"arrows='backward'[\s\S]*forward, reverse, both"),
        ({"title": 3}, r"title=3[\s\S]*title='3'"),
        ({"prune": 0}, r"prune=0[\s\S]*0 < prune <= 1"),
        ({"prune": 1.01}, "prune"),
        ({"prune": True}, "prune=True"),
        ({"prune": "most"}, "prune='most'"),
        ({"prune": math.nan}, "prune=nan"),
        ({"colour": "red"}, r"no option 'colour'[\s\S]*one of these"),
        ({"theme": 3}, r"theme=3[\s\S]*Theme\("),
        ({"theme": {"papr": "#fff"}}, r"no 'papr'[\s\S]*perhaps paper"),
        ({"theme": {"paper": "red"}}, r"paper is 'red'[\s\S]*#rrggbb"),
        ({"theme": {"ink": "#12345"}}, "ink is '#12345'"),
        ({"theme": {"ink": "#fff\n"}}, "ink is"),
        ({"theme": {"ground": "grey"}}, "ground='grey'"),
        ({"theme": {"delta": "#fff"}}, "delta is '#fff'"),
        ({"theme": {"delta": ["#fff"]}}, "two colours or more"),
        ({"theme": {"delta": ["#fff", 3]}}, "delta is 3"),
        ({"theme": {"delta": lambda t: t}}, "gives no colours"),
    ],
)
def test_what_cannot_be_asked_for(rng, options, told):
    with pytest.raises(PictureError, match=told) as caught:
        picture(nets.residual_flow(rng), "dot", **options)
    assert "<string>" not in str(caught.value)


def test_whole_numbers_of_numpy_are_whole_numbers(rng):
    flow = nets.residual_flow(rng)
    assert view(flow, collapse=np.int64(1)).boxes == view(flow, collapse=1).boxes
    assert len(view(flow, focus=np.int32(0), hops=np.int64(1)).boxes) == len(view(flow, focus=0, hops=1).boxes)


@pytest.mark.parametrize("path", ["", "flow", None, 3])
def test_paths_that_name_no_format(path, rng):
    with pytest.raises(PictureError, match=r"suffix ''|the path is a"):
        draw(nets.residual_flow(rng), path)


@pytest.mark.parametrize("name", ["plain", "flow.svg"])
def test_a_folder_is_no_file(rng, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(PictureError, match=r"is a folder[\s\S]*flow\.svg'$"):
        draw(nets.residual_flow(rng), tmp_path / name)


# -- prune -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.98, 1.0])
def test_what_is_kept_is_drawn_and_nothing_else(rng, keep):
    flow = nets.residual_flow(rng, 6)
    kept = {tuple(edge) for edge in flow.prune(keep)["edges"]}
    drawn = view(flow, prune=keep)
    assert {(edge["to"], edge["slot"]) for arrow in drawn.arrows for edge in arrow.edges} == kept
    ends = {flow.graph.inputs[w][k] for w, k in kept} | {w for w, _ in kept} | set(flow.graph.outputs)
    assert {box.node["id"] for box in drawn.boxes} == ends
    assert f"{len(kept)} of {len(flow.contributions)} edges carry" in drawn.notes[0]


def test_every_format_counts_what_is_kept(rng):
    flow = nets.residual_flow(rng, 4)
    pruned = flow.prune(0.9)
    told = pruned.told.rstrip(".")
    for form in ("svg", "dot", "txt", "json", "html"):
        assert told in re.sub(r"</text>\s*<text[^>]*>", " ", picture(flow, form, prune=0.9, title=""))
    held = json.loads(picture(flow, "json", prune=0.9))
    assert held["prune"]["edges"] == sum(edge["kept"] for edge in held["edges"]) == len(pruned["edges"])
    assert held["prune"]["of"] == len(flow.contributions)
    assert held["prune"]["carried"] == pruned["carried"] >= 0.9
    assert "kept" not in json.loads(picture(flow, "json"))["edges"][0]
    rows = [line.split()[-1] for line in picture(flow, "txt", prune=0.9).splitlines() if re.match(r"%\d+ +%\d+ ", line)]
    assert rows.count("yes") == len(pruned["edges"])
    assert rows.count("no") == pruned["dropped"]


# -- until -------------------------------------------------------------------------------------------------------------


def test_a_sweep_is_drawn_as_it_stands_at_every_node():
    flow = ad.flow(nets.s2)(2.0, 3.0)
    for v in range(len(flow.graph)):
        held = json.loads(picture(flow, "json", until=v))
        assert [node["delta"] is not None for node in held["nodes"]] == [i >= v for i in range(len(flow.graph))]
        assert {edge["kind"] for edge in held["edges"] if edge["from"] >= v} <= {"δ"}
        assert {edge["kind"] for edge in held["edges"] if edge["from"] < v} <= {"not yet"}
        svg = picture(flow, "svg", until=v, arrows="reverse")
        text = " ".join("".join(ET.fromstring(svg).itertext()).split())
        assert f"at node {v}: {len(flow.graph) - v} δ gathered so far" in text
        assert ("Thin arrow: the sweep has not come here yet" in text) == (v > 0)
        assert "no path" not in text
        assert "no δ comes back" not in text
    whole, last = json.loads(picture(flow, "json")), json.loads(picture(flow, "json", until=0))
    assert (whole["nodes"], whole["edges"]) == (last["nodes"], last["edges"])
    for form in ("dot", "txt"):
        assert picture(flow, form, until="c")


def test_a_sweep_that_stands_has_the_colours_of_the_whole():
    flow = ad.flow(nets.s2)(2.0, 3.0)
    colour = re.compile(r'fill="(#[0-9a-f]{6})"')
    bands = [
        {group.get("id").rsplit("-", 1)[-1]: colour.findall(ET.tostring(group, "unicode"))
         for group in groups(picture(flow, "svg", until=v, theme="light"), "node")}
        for v in (0, 3)
    ]  # fmt: skip
    served = [key for key, found in bands[1].items() if found == bands[0][key]]
    assert len(served) >= len(flow.graph) - 3


def test_what_leads_nowhere_and_what_is_not_served_look_different():
    flow = ad.flow(lambda x, z: np.sum(x * x) + 0.0 * np.sum(np.floor(z)))(np.ones(2), np.ones(2))
    lost = [v for v, d in enumerate(flow.delta) if d is None]
    held = json.loads(picture(flow, "json", until=min(lost)))
    assert [node["id"] for node in held["nodes"] if node["path"] is False] == lost


def test_a_collapsed_scope_that_is_not_served_says_nothing_of_paths(rng):
    flow = nets.residual_flow(rng, 3)
    svg = picture(flow, "svg", collapse=1, until=len(flow.graph) - 1)
    assert "no path" not in svg
    assert "skip" not in svg
    assert "skip" in picture(flow, "svg", collapse=1)


@pytest.mark.parametrize(("form", "told"), [("svg", "of a graph"), ("html", "of a page")])
def test_until_is_refused_where_there_is_no_sweep_or_a_slider(form, told):
    flow = ad.flow(nets.s2)(2.0, 3.0)
    with pytest.raises(PictureError, match=f"until='c' {told}"):
        picture(flow.graph if form == "svg" else flow, form, until="c")
    with pytest.raises(ad.errors.UnknownNameError, match="'cc'"):
        picture(flow, "svg", until="cc")


def test_pruning_with_collapsed_scopes_and_a_focus(rng):
    flow = nets.residual_flow(rng, 4)
    collapsed = view(flow, prune=0.9, collapse=1)
    assert {box.group for box in collapsed.boxes if box.group} == {(f"block{n}",) for n in range(1, 5)} | {("head",)}
    assert all(edge["kept"] for arrow in collapsed.arrows for edge in arrow.edges)
    dropped = [v for v in range(len(flow.graph)) if v not in {box.node["id"] for box in view(flow, prune=0.5).boxes}]
    alone = view(flow, prune=0.5, focus=dropped[0], hops=3)
    assert [box.node["id"] for box in alone.boxes] == [dropped[0]]


def test_a_leaf_drawn_once_a_use_stays_where_it_is_used(rng):
    flow = ad.flow(nets.recurrent)(rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=(4, 3)))
    drawn = view(flow, prune=0.5)
    ends = {end for arrow in drawn.arrows for end in (arrow.tail, arrow.head)}
    assert {box.id for box in drawn.boxes} == ends
    assert any("u" in box.id for box in drawn.boxes)


def test_a_graph_has_nothing_to_prune_by(rng):
    graph = nets.residual_flow(rng).graph
    for form in ("svg", "html", "json"):
        with pytest.raises(PictureError, match="of a graph"):
            picture(graph, form, prune=0.9)


# -- too large ---------------------------------------------------------------------------------------------------------


def advised(told):
    """The options that an error advises, each with the count that it promises."""
    found = re.findall(r"((?:\w+=[\d.]+, )*\w+=[\d.]+) gives ([\d,]+)", told.partition("instead:")[2])
    for text, count in found:
        pairs = (part.split("=") for part in text.split(", "))
        yield {key: float(x) if "." in x else int(x) for key, x in pairs}, int(count.replace(",", ""))


@pytest.mark.parametrize(
    ("given", "least"),
    [({"max_nodes": 130}, 5), ({"max_nodes": 130, "split": 0}, 5), ({"max_nodes": 15, "collapse": 1}, 2),
     ({"max_nodes": 60, "focus": 0, "hops": 500}, 3), ({"max_nodes": 60, "prune": 0.98}, 3)],
)  # fmt: skip
def test_what_an_error_advises_gives_what_it_promises_and_is_drawn(rng, given, least):
    flow = nets.residual_flow(rng, 20, 2)
    with pytest.raises(PictureError) as caught:
        picture(flow, "svg", **given, engine="builtin")
    found = list(advised(str(caught.value)))
    assert len(found) >= least
    for options, count in found:
        assert len(view(flow, **{**given, **options}).boxes) == count <= given["max_nodes"]
        svg = picture(flow, "svg", **{**given, **options}, engine="builtin")
        assert len(groups(svg, "node")) == count


def test_advice_names_collapse_focus_and_prune_and_what_would_not_help(rng):
    flow = nets.residual_flow(rng, 20, 2)
    with pytest.raises(PictureError) as caught:
        picture(flow, "svg", max_nodes=30)
    told = str(caught.value)
    keys = [frozenset(options) for options, _ in advised(told)]
    assert {frozenset({"collapse"}), frozenset({"focus", "hops"})} <= set(keys)
    assert re.search(r"still too many: .*prune=0\.98 gives", told)
    assert ".json and .txt hold any number of nodes" in told


def test_advice_that_would_take_too_long_is_not_worked_out(rng, monkeypatch):
    monkeypatch.setattr("autodiff.viz.SWEPT", 100)
    with pytest.raises(PictureError) as caught:
        picture(nets.residual_flow(rng, 20, 2), "svg", max_nodes=50)
    assert "prune" not in str(caught.value)


# -- arrows ------------------------------------------------------------------------------------------------------------


def inside(point, box, margin=0.0):
    (x, y), (w, h) = box
    return abs(point[0] - x) <= w / 2 + margin and abs(point[1] - y) <= h / 2 + margin


def boxes_of(svg):
    """The middle and the size of every box, by the end of its id."""
    found = {}
    for group in groups(svg, "node"):
        rects = [{key: float(r.get(key, 0)) for key in ("x", "y", "width", "height")} for r in group.iter(f"{SVG}rect")]
        outline = max(rects, key=lambda r: r["width"] * r["height"])
        middle = (outline["x"] + outline["width"] / 2, outline["y"] + outline["height"] / 2)
        found[group.get("id").rpartition("-")[2]] = (middle, (outline["width"], outline["height"]))
    return found


def tips_of(svg, kind="edge"):
    """The tip of every arrow that has a head, by the end of its id."""
    found = {}
    for group in groups(svg, kind):
        heads = [p.get("points").split() for p in group.iter(f"{SVG}polygon")]
        if heads:
            found[group.get("id").rpartition("-")[2]] = tuple(map(float, heads[0][1].split(",")))
    return found


@pytest.mark.parametrize("engine", ["auto", "builtin"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("make", ["s2", "residual"])
def test_arrows_end_where_they_point(rng, engine, direction, make):
    flow = ad.flow(nets.s2)(2.0, 3.0) if make == "s2" else nets.residual_flow(rng)
    ends = {arrow.id: (arrow.tail, arrow.head) for arrow in view(flow).arrows}
    for arrows in ("forward", "reverse", "both"):
        svg = picture(flow, "svg", arrows=arrows, direction=direction, engine=engine)
        boxes, tips = boxes_of(svg), tips_of(svg)
        assert tips.keys() == ends.keys()
        for id, tip in tips.items():
            tail, head = ends[id]
            assert inside(tip, boxes[head if arrows == "forward" else tail], 3.0), (arrows, id)
        values = tips_of(svg, "value")
        assert values.keys() == ({f"{id}v" for id in ends} if arrows == "both" else set())
        assert all(inside(tip, boxes[ends[id[:-1]][1]], 3.0) for id, tip in values.items())


def test_the_legend_says_which_way_arrows_point(rng):
    flow = nets.residual_flow(rng)
    said = {
        a: " ".join(ET.fromstring(picture(flow, "svg", arrows=a)).itertext()) for a in ("forward", "reverse", "both")
    }
    assert "Arrows follow the computation." in said["forward"]
    assert "Arrows follow δ, from the output back." in said["reverse"]
    assert "Thin arrows follow the computation and carry values" in said["both"]
    assert "The others" in said["both"]


def test_values_stand_on_the_arrows_that_carry_them():
    svg = picture(ad.flow(nets.s2)(2.0, 3.0), "svg", arrows="both")
    told = [g.find(f"{SVG}title").text for g in groups(svg, "value")]
    assert sorted(told) == sorted(f"value {x}" for x in (2, 2, 3, 3, 5, 6, 30))


def test_where_no_delta_comes_back_no_arrow_goes_back():
    flow = nets.states_flow()
    silent = {arrow.id for arrow in view(flow).arrows if arrow.edges[0]["kind"] != "δ"}
    assert silent
    reverse = picture(flow, "svg", arrows="reverse")
    assert silent & tips_of(reverse).keys() == set()
    assert "Dashed line: no δ comes back." in reverse
    both = picture(flow, "svg", arrows="both")
    assert silent & {g.get("id").rpartition("-")[2] for g in groups(both, "edge")} == set()
    assert {f"{id}v" for id in silent} <= tips_of(both, "value").keys()


def test_arrows_in_dot():
    flow = nets.states_flow()
    forward, reverse, both = (picture(flow, "dot", arrows=a) for a in ("forward", "reverse", "both"))
    count = sum(1 for _ in flow.graph.edges)
    assert " dir=" not in forward
    assert reverse.count("dir=back") == len(flow.contributions)
    assert reverse.count("dir=none") == count - len(flow.contributions)
    assert both.count(" -> ") == count + len(flow.contributions)
    assert both.count("dir=back") == len(flow.contributions)
    assert "point the way δ goes" in reverse


def test_arrows_back_need_delta_and_a_static_picture(rng):
    flow = nets.residual_flow(rng)
    for arrows in ("reverse", "both"):
        with pytest.raises(PictureError, match="of a graph"):
            picture(flow.graph, "svg", arrows=arrows)
        with pytest.raises(PictureError, match="of a page"):
            picture(flow, "html", arrows=arrows)
    assert picture(flow, "json", arrows="both") == picture(flow, "json")


def test_a_route_back_ends_at_the_frame_with_room_for_its_head():
    frame = (0.0, 0.0, 10.0, 10.0)
    route = [(5.0, 8.0), (5.0, 40.0), (60.0, 60.0), (60.0, 92.0), (60.0, 100.0)]
    back = backwards(route, frame)
    assert back[0] == (60.0, 100.0)
    assert back[-1][1] == pytest.approx(10.0, abs=0.05)
    assert math.dist(back[-1], back[-2]) == pytest.approx(HEAD, abs=0.1)
    assert (len(back) - 2) % 3 == 0
    short = backwards([(5.0, 10.0), (5.0, 11.0), (5.0, 12.0), (5.0, 13.0), (5.0, 14.0)], frame)
    assert short[-1] == (5.0, 10.0)


# -- colours -----------------------------------------------------------------------------------------------------------


def test_colours_of_ones_own_are_in_every_format(rng):
    flow = nets.residual_flow(rng)
    theme = Theme(paper="#FFFAF0", ink="#003", delta=("#fee0d2", "#de2d26", "#67000d"))
    assert (theme.paper, theme.ink) == ("#fffaf0", "#000033")
    for form in ("svg", "dot", "html"):
        text = picture(flow, form, theme=theme)
        assert "#fffaf0" in text
        assert "#000033" in text
        assert LIGHT["ink"] not in text or form == "html"
        assert text == picture(flow, form, theme={"paper": "#fffaf0", "ink": "#000033", "delta": list(theme.delta)})
    svg = picture(flow, "svg", theme=theme)
    assert "<style>" not in svg
    assert not any(colour in svg for colour in CIVIDIS)


def test_named_themes_are_what_they_were():
    for name, colours in (("light", LIGHT), ("dark", DARK), ("auto", LIGHT)):
        assert as_theme(name).plain == colours
        assert as_theme(name).delta == CIVIDIS
    assert all(Scale([1.0, 10.0]).colour(10**x) == cividis(math.log10(10**x)) for x in (0.0, 0.2, 0.7, 1.0))


def test_a_theme_may_follow_the_reader():
    svg = picture(ad.flow(nets.s2)(2.0, 3.0), "svg", theme={"ground": "auto", "line": "#808080"})
    style = re.search(r"<style>(.*)</style>", svg)[1]
    assert "line{fill:#808080}" in style
    assert f"ink{{fill:{DARK['ink']}}}" in style


def test_a_colour_map_is_a_function():
    theme = Theme(delta=lambda t: (t, 0.0, 1.0 - t, 1.0))
    assert theme.delta[0] == "#0000ff"
    assert theme.delta[-1] == "#ff0000"
    scale = Scale([0.1, 10.0], theme.delta)
    assert (scale.colour(0.1), scale.colour(10.0)) == ("#0000ff", "#ff0000")


# -- from a terminal ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = nets.residual_flow(rng, 4)
    flow.save("run.json")
    return flow


def test_draw_takes_these_options(saved, tmp_path, capsys):
    (tmp_path / "colours.json").write_text('{"paper": "#fffaf0"}')
    argv = ["draw", "run.json", "--prune", "0.9", "--arrows", "reverse", "--theme", "colours.json"]
    assert main([*argv, "-o", "a.dot"]) == DONE
    text = (tmp_path / "a.dot").read_text(encoding="utf-8")
    assert text == picture(saved, "dot", prune=0.9, arrows="reverse", theme={"paper": "#fffaf0"})
    assert main(["explore", "run.json", "--prune", "0.9", "--theme", "dark"]) == DONE
    assert saved.prune(0.9).told.rstrip(".") in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert capsys.readouterr().out == "a.dot\nrun.html\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [(("--prune", "2"), "prune=2.0"), (("--theme", "drak"), "theme='drak'"), (("--theme", "no.json"), "cannot be read"),
     (("--theme", "run.json"), "a theme has no"), (("--theme", "list.json"), "is a list"),
     (("--hops", "-1"), "hops=-1"), (("--collapse", "blok"), "no scope"), (("--focus", "y"), "no node is named 'y'"),
     (("-o", "x.jpeg"), "suffix 'jpeg'"), (("-o", "."), "is a folder")],
)  # fmt: skip
def test_draw_refuses_in_one_paragraph(saved, tmp_path, capsys, argv, told):
    (tmp_path / "list.json").write_text("[]")
    assert main(["draw", "run.json", *argv]) == REFUSED
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err.splitlines()[0]
    assert not list(tmp_path.glob("*.svg"))
