"""What is drawn of a document: options, collapsing, focus, leaves once a use, and what is too large."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError, UnknownNameError
from autodiff.viz import document, picture
from autodiff.viz.face import face, line
from autodiff.viz.options import format_of, read_options
from autodiff.viz.theme import Scale
from autodiff.viz.view import beneath, select
from tests.viz import nets


def view(flow, **options):
    return select(document(flow, joins=True), read_options(options))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"them": "dark"}, r"no option 'them'[\s\S]*theme"),
        ({"theme": "drak"}, r"theme='drak'[\s\S]*theme='dark'"),
        ({"direction": "up"}, r"direction='up'[\s\S]*TB, LR"),
        ({"engine": "grahpviz"}, r"engine='grahpviz'[\s\S]*engine='pygraphviz'"),
        ({"max_nodes": 0}, "max_nodes=0"),
        ({"timeout": "soon"}, "timeout='soon'"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"dpi": True}, "dpi=True"),
        ({"collapse": 0}, "outermost scope"),
        ({"collapse": "blok1"}, r"no scope is named 'blok1'[\s\S]*'block1'"),
        ({"focus": 10_000}, "the graph has"),
    ],
)
def test_what_cannot_be_asked_for(rng, options, told):
    with pytest.raises(PictureError, match=told):
        picture(nets.residual_flow(rng), "svg", **options)


def test_focus_on_an_unknown_name(rng):
    with pytest.raises(UnknownNameError, match=r"no node is named 'heat'[\s\S]*'head'"):
        picture(nets.residual_flow(rng), "svg", focus="heat")


@pytest.mark.parametrize(
    ("path", "told"),
    [("flow.svgg", r"'svgg'[\s\S]*flow\.svg$"), ("flow", r"suffix ''"), ("a.b/flow.jpeg", r"'jpeg'")],
)
def test_unknown_suffixes(path, told):
    with pytest.raises(PictureError, match=told):
        format_of(path)


def test_every_node_and_edge_is_drawn_once(rng):
    flow = nets.residual_flow(rng)
    drawn = view(flow)
    assert [box.node["id"] for box in drawn.boxes] == list(range(len(flow.graph)))
    assert len(drawn.arrows) == sum(1 for _ in flow.graph.edges)


def test_two_slots_are_two_arrows():
    drawn = view(ad.flow(lambda x: x * x)(3.0))
    assert [(arrow.tail, arrow.head, line(arrow).text) for arrow in drawn.arrows] == [
        ("n0", "n1", "3 (50 %)"), ("n0", "n1", "3 (50 %)"),
    ]  # fmt: skip


def test_collapsed_scopes_tell_what_they_hold(rng):
    flow = nets.residual_flow(rng)
    drawn = view(flow, collapse=1)
    names = [box.group or box.node["name"] for box in drawn.boxes]
    assert names == ["x", ("block1",), ("block2",), ("block3",), ("head",)]
    assert sum(len(box.members) for box in drawn.boxes) == len(flow.graph)
    scale = Scale([1.0])
    rows = [row.text for row in face(drawn.boxes[1], scale).rows]
    assert rows[0] == "5 operations · 3 leaves"
    join = flow.joins()[0]
    told = f"skip {join['skip_share']:.0%} · residual {join['residual_share']:.0%}"
    assert rows[-1] == told.replace("%", " %").replace("-", "−")


def test_the_arrow_between_collapsed_scopes_carries_the_whole_delta(rng):
    flow = nets.residual_flow(rng)
    arrows = view(flow, collapse=1).arrows
    between = next(arrow for arrow in arrows if (arrow.tail, arrow.head) == ("s0", "s1"))
    stream = flow.joins()[0]["join"]
    assert len(between.edges) == 2
    assert line(between).size == pytest.approx(np.sqrt(np.mean(flow[stream] ** 2)))
    assert line(between).share == pytest.approx(1)


def test_collapse_by_name_and_by_path():
    def f(x):
        for outer in ("one", "two"):
            with ad.scope(outer):
                x = np.sin(x)
                with ad.scope("inner"):
                    x = np.exp(np.cos(x))
        return x

    flow = ad.flow(f)(1.0)
    groups = lambda **options: [box.group for box in view(flow, **options).boxes if box.group]
    assert groups(collapse="inner") == [("one", "inner"), ("two", "inner")]
    assert groups(collapse="two/inner") == [("two", "inner")]
    assert groups(collapse=["one", "two/inner"]) == [("one",), ("two", "inner")]
    assert groups(collapse=2) == [("one", "inner"), ("two", "inner")]


def test_collapsing_may_make_a_cycle():
    def f(x):
        with ad.scope("a"):
            y = np.sin(x)
        z = np.cos(y)
        with ad.scope("a"):
            return y + np.exp(z)

    for engine in ("auto", "builtin"):
        assert "exp" not in picture(ad.flow(f)(1.0), "svg", collapse="a", engine=engine)


def test_focus_and_hops(rng):
    flow = nets.residual_flow(rng)
    drawn = view(flow, focus="head", hops=1)
    head = flow.graph.node("head").index
    assert {box.node["id"] for box in drawn.boxes} == {head, *(w for w, _ in flow.graph.consumers[head])}
    assert f"2 of {len(flow.graph)} boxes" in drawn.notes[0]
    assert len(view(flow, focus=["x", 3], hops=0).boxes) == 2


def test_a_leaf_of_many_uses_is_drawn_once_a_use(rng):
    flow = ad.flow(nets.recurrent)(np.zeros(2), rng.normal(size=(2, 2)), rng.normal(size=(4, 2)))
    drawn = view(flow)
    copies = [box for box in drawn.boxes if box.node["name"] == "w"]
    assert [box.uses for box in copies] == [4, 4, 4, 4]
    assert [box.scope for box in copies] == [(f"step{n}",) for n in range(4)]
    shown = face(copies[0], Scale([1.0]))
    assert shown.title == "w ⟲4"
    assert "in total" in shown.rows[-1].rest
    assert len([box for box in view(flow, split=0).boxes if box.node["name"] == "w"]) == 1
    assert len([box for box in view(flow, split=5).boxes if box.node["name"] == "w"]) == 1
    assert len([box for box in view(flow, collapse=1).boxes if box.node["name"] == "w"]) == 4


def test_uses_that_send_no_delta_do_not_split_a_leaf():
    drawn = view(ad.flow(lambda x: x + np.where(x > 0, x, 0.0))(1.0))
    assert [box.uses for box in drawn.boxes if box.node["name"] == "x"] == [0]


def test_a_collapsed_scope_takes_one_copy_of_a_leaf():
    def f(x, w):
        with ad.scope("a"):
            x = x * w * w * w * w
        return np.sin(x) * w

    drawn = view(ad.flow(f)(1.0, 2.0), collapse="a")
    assert [box.id for box in drawn.boxes if box.node["name"] == "w" and not box.group] == ["n1"]


def test_too_large_gives_the_counts_that_the_advice_would_give(rng):
    flow = nets.residual_flow(rng, 20, 2)
    with pytest.raises(PictureError) as caught:
        view(flow, max_nodes=50)
    told = str(caught.value)
    assert f"{len(flow.graph)} boxes are more than max_nodes=50" in told
    assert "'block1' (8 nodes)" in told
    last = flow.graph.outputs[0]
    for text, options in (
        ("collapse=1", {"collapse": 1}),
        (f"focus={last}, hops=2", {"focus": last, "hops": 2}),
        (f"focus={last}, hops=5", {"focus": last, "hops": 5}),
    ):
        assert f"{text} gives {len(view(flow, **options).boxes)}" in told


def test_too_large_without_scopes():
    with pytest.raises(PictureError, match=r"it has no scopes[\s\S]*hops=2 gives 3"):
        view(ad.flow(nets.chain)(1.0, 3000))


def test_leaves_stand_below_what_they_cannot_feed(rng):
    flow = nets.residual_flow(rng)
    drawn = view(flow)
    wishes = beneath(drawn)
    assert wishes
    reach = {v: {v} for v in range(len(flow.graph))}
    for v, w, _ in flow.graph.edges:
        reach[w] |= reach[v]
    for above, under in wishes:
        assert int(under[1:]) not in reach[int(above[1:])]


def test_an_arrow_that_opposes_says_so():
    drawn = view(ad.flow(lambda t: t * 3.0 - t)(1.0))
    assert [line(arrow).text for arrow in drawn.arrows][:2] == ["3 (75 %)", "−1 (25 %, opposes)"]


def test_shares_of_merged_arrows_are_weighed(rng):
    """Two nodes of one scope feed another: the share of the arrow is Σ norms sent over Σ norms received there."""

    def f(x):
        with ad.scope("a"):
            p, q = x * 2.0, x * 30.0
        with ad.scope("b"):
            inside = p + q
        return inside + np.sin(q)

    drawn = view(ad.flow(f)(0.1), collapse=1)
    merged = next(arrow for arrow in drawn.arrows if (arrow.tail, arrow.head) == ("s0", "s1"))
    assert line(merged).text.endswith("×2")
    assert line(merged).share == pytest.approx(2 / (2 + abs(np.cos(3.0))))
