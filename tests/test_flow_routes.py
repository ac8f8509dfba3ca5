"""Which way a gradient came: cuts, pruning, the split by branches; the trend over depth; two flows side by side."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import GraphError, UnknownNameError
from autodiff.flows.routes import without_edge
from autodiff.flows.trend import fit, numbered
from autodiff.sweep import contribution


def weights(rng, *shape):
    return rng.normal(size=shape) / np.sqrt(shape[-1])


def net(x, layers):
    for i, (w1, w2) in enumerate(layers):
        with ad.scope(f"block{i}"):
            x = x + np.tanh(x @ w1) @ w2
    return np.sum(x**2)


@pytest.fixture
def layers(rng):
    return [(weights(rng, 5, 5), weights(rng, 5, 5)) for _ in range(4)]


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, 5))


@pytest.fixture
def flow(x, layers):
    return ad.flow(net)(x, layers)


# -- one edge ----------------------------------------------------------------------------------------------------------


def test_the_contribution_of_an_edge_is_that_of_the_sweep(flow):
    for (w, k), term in flow.contributions.items():
        np.testing.assert_array_equal(contribution(flow.graph, flow.values, w, k, flow.delta[w]), term)


def test_contributions_of_joint_rules_and_deferred_updates(rng):
    def f(x):
        return np.sum(np.concatenate([x[1:], np.linalg.solve(np.eye(3) * 2, x)]) ** 2)

    flow = ad.flow(f)(rng.normal(size=3))
    for (w, k), term in flow.contributions.items():
        np.testing.assert_array_equal(contribution(flow.graph, flow.values, w, k, flow.delta[w]), term)


# -- what if -----------------------------------------------------------------------------------------------------------


def test_a_cut_skip_is_the_net_without_it(x, layers, flow):
    """The value stays that of the net; δ is that of the function in which the skip of block 2 has no derivative."""

    def severed(x, layers):
        for i, (w1, w2) in enumerate(layers):
            x = (ad.stop_gradient(x) if i == 2 else x) + np.tanh(x @ w1) @ w2
        return np.sum(x**2)

    join = flow.joins()[2]
    cut = flow.cut((join["fork"], join["join"], join["skip"]))
    np.testing.assert_allclose(cut["x"], ad.grad(severed)(x, layers), rtol=1e-13)
    assert (join["join"], join["skip"]) not in cut.contributions
    assert flow.scales == {}
    np.testing.assert_array_equal(flow["x"], ad.grad(net)(x, layers))


def test_a_scaled_residual_branch(x, layers, flow):
    def weakened(x, layers):
        for i, (w1, w2) in enumerate(layers):
            branch = np.tanh(x @ w1) @ w2
            x = x + (0.3 * branch + ad.stop_gradient(0.7 * branch) if i == 1 else branch)
        return np.sum(x**2)

    join = flow.joins()[1]
    source = flow.graph.inputs[join["join"]][join["residual"]]
    scaled = flow.scale((source, join["join"]), 0.3)
    np.testing.assert_allclose(scaled["x"], ad.grad(weakened)(x, layers), rtol=1e-13)
    np.testing.assert_allclose(scaled.scale((source, join["join"]), 1.0)["x"], flow["x"], rtol=1e-14)


def test_cuts_add_up_and_can_be_undone(flow):
    joins = flow.joins()
    edges = [(row["fork"], row["join"], row["skip"]) for row in joins]
    together = flow.cut(*edges)
    one_by_one = flow
    for edge in edges:
        one_by_one = one_by_one.cut(edge)
    np.testing.assert_array_equal(together["x"], one_by_one["x"])
    np.testing.assert_allclose(together["x"], flow.by_path("x")[-1], rtol=1e-12)
    for edge in edges:
        together = together.scale(edge, 1.0)
    np.testing.assert_array_equal(together["x"], flow["x"])


@pytest.mark.parametrize("factor", [0.0, 0.3, 2.0])
def test_parts_and_joins_of_a_scaled_flow_are_its_own(flow, factor):
    """By path the parts sum to δ, and at a join that is scaled, or stands before one, both ways to that of the fork."""
    second = flow.joins()[1]
    inside = flow.graph.inputs[second["join"]][second["residual"]]
    for edge in ((second["fork"], second["join"], second["skip"]), (flow.graph.inputs[inside][0], inside)):
        scaled = flow.scale(edge, factor)
        np.testing.assert_allclose(sum(scaled.by_path("x")), scaled["x"], rtol=1e-12, atol=1e-12)
        assert sum(row["projection"] for row in scaled.spectrum("x")) == pytest.approx(1)
        for row in scaled.joins():
            if row["skip_share"] is not None:
                assert row["skip_share"] + row["residual_share"] == pytest.approx(1)


def routed(x, w):
    """Operations with several results, masks and scaled joins between the blocks."""
    for _ in range(3):
        low, high = np.split(x, 2, axis=-1)
        x = x + np.where(x > 0, x, 0.0) @ w + 0.0 * np.sum(low * high)
    return np.sum(x * x)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_sweep_from_below_a_cut_gives_the_same_to_the_last_bit(rng, flow, scaled):
    other = ad.flow(routed, argnums=(0, 1))(rng.normal(size=(3, 4)), rng.normal(size=(4, 4)) * 0.3)
    for whole in (flow, other):
        if scaled:
            join = whole.joins()[1]
            whole = whole.scale((whole.graph.inputs[join["join"]][0], join["join"], 0), 0.25)
        targets = whole.graph.arguments
        for w, k in whole.contributions:
            cut = whole.cut((whole.graph.inputs[w][k], w, k)).delta
            below = without_edge(
                whole.graph, whole.values, whole.seeds, whole.scales, whole.contributions, (w, k), targets
            )
            for v in range(w):
                parts = zip(*(d if isinstance(d, tuple) else (d,) for d in (below[v], cut[v])), strict=True)
                assert all(a is b is None or np.array_equal(a, b) for a, b in parts)


def test_nothing_is_computed_from_what_is_cut():
    with np.errstate(divide="ignore"):
        flow = ad.flow(lambda x: np.sqrt(x) + x)(0.0)
    assert flow["x"] == np.inf
    assert flow.cut(("x", "sqrt"))["x"] == 1.0
    assert flow.cut(("x", "add"), ("x", "sqrt")).delta[0] is None


def test_a_factor_of_one_changes_no_bit_and_of_zero_is_a_cut(rng, flow):
    """Also where a rule is evaluated jointly, where a δ is deferred, where there are several results, and at 0·inf."""

    def several(x, scale, shift):
        u, s, v = np.linalg.svd(np.linalg.solve(np.eye(3) * 2 + 0.1, ad.nn.layer_norm(x, scale, shift)))
        return np.sum(s) + np.sum(u @ v) + np.sum(x[1:] ** 2)

    flows = [
        flow, ad.flow(several)(rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)),
        ad.flow(lambda x: np.sum(0.0 * np.sqrt(x) + x))(np.array([0.0, 1.0])),
    ]  # fmt: skip
    assert np.isnan(flows[2]["x"][0])
    for whole in flows:
        edges = [edge for edge in whole.graph.edges if (edge.consumer, edge.position) in whole.contributions]
        assert len(edges) >= len(whole.graph) - 1 - (whole is flow)
        for edge in edges:
            for v in range(len(whole.graph)):
                np.testing.assert_array_equal(_flat(whole.scale(tuple(edge), 1.0)[v]), _flat(whole[v]))
                cut = _flat(whole.cut(tuple(edge))[v])
                np.testing.assert_array_equal(_flat(whole.scale(tuple(edge), 0.0)[v]), cut)
                with np.errstate(invalid="ignore"):
                    halfway = (cut + _flat(whole[v])) / 2
                np.testing.assert_allclose(_flat(whole.scale(tuple(edge), 0.5)[v]), halfway, rtol=1e-9, atol=1e-12)


def _flat(d):
    return np.concatenate([np.ravel(part) for part in d]) if isinstance(d, tuple) else d


def test_a_seed_of_one_is_no_seed():
    graph = ad.trace(lambda x: np.sum(0.0 * np.sqrt(x) + x))(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(graph.backward()["x"], graph.backward(1.0)["x"])


def test_several_results_have_their_edges(rng):
    def f(x):
        u, s, v = np.linalg.svd(x)
        return np.sum(s) + np.sum(u @ v)

    flow = ad.flow(f)(rng.normal(size=(3, 3)))
    (v,) = (v for v, op in enumerate(flow.graph.ops) if op.results)
    assert flow.paths("x") == 3
    terms = flow.shares(v)["terms"]
    assert [sum(part is not None for part in term["contribution"]) for term in terms] == [1, 1, 1]
    assert sum(term["projection"] for term in terms) == pytest.approx(1)
    assert sum(term["norm_share"] for term in terms) == pytest.approx(1)
    assert flow.prune(0.98)["carried"] >= 0.98


@pytest.mark.parametrize(
    ("edge", "error", "said"),
    [
        (("x", "nope"), GraphError, "no δ goes along an edge"),
        (("nope", "add"), UnknownNameError, "no node is named 'nope'"),
        ((0, 99), UnknownNameError, "there is no node 99"),
        ((None, 1), GraphError, "an edge was given as"),
        ((0, 1.5), GraphError, "an edge was given as"),
        (((), "add"), GraphError, "an edge was given as"),
    ],
)
def test_an_edge_of_what_is_no_node(edge, error, said):
    with pytest.raises(error, match=said):
        ad.flow(lambda x: x + 1.0)(1.0).cut(edge)


@pytest.mark.parametrize("factor", ["half", None, 1j, [1.0, 2.0], np.ones(2)])
def test_a_factor_that_is_none(factor):
    with pytest.raises(GraphError, match="a real number"):
        ad.flow(lambda x: x + 1.0)(1.0).scale(("x", "add"), factor)


def test_an_edge_by_name_means_every_position_and_one_by_position():
    flow = ad.flow(lambda x: x * x)(3.0)
    assert flow.cut(("x", "multiply")).delta[0] is None
    assert flow.cut(("x", "multiply", 1))["x"] == 3.0
    assert flow.scale(("x", "multiply", 0), 2.0)["x"] == 9.0


@pytest.mark.parametrize("edge", [("x", "sin"), ("x", 0), ("x", "add", 7)])
def test_an_edge_that_is_not_there(edge):
    with pytest.raises(GraphError, match=r"no δ goes along an edge.*\n(?s:.*)the edges from node 0 are \(0, 1, 0\)"):
        ad.flow(lambda x: x + 1.0)(1.0).cut(edge)


@pytest.mark.parametrize("edge", ["x", ("x",), 3])
def test_what_is_no_edge(edge):
    with pytest.raises(GraphError, match=r"\(source, consumer\), or \(source, consumer, position\)"):
        ad.flow(lambda x: x + 1.0)(1.0).cut(edge)


# -- pruning -----------------------------------------------------------------------------------------------------------


def test_what_is_kept_carries_what_was_asked_for(rng):
    def f(x, strong, weak):
        for i in range(6):
            x = x + np.tanh(x @ strong[i]) + 1e-3 * np.tanh(x @ weak[i])
        return np.sum(x**2)

    args = rng.normal(size=(2, 4)), weights(rng, 6, 4, 4), weights(rng, 6, 4, 4)
    flow = ad.flow(lambda x, strong, weak: f(x, list(strong), list(weak)))(*args)
    found = flow.prune(0.98, "x")
    assert 0.98 <= found["carried"] <= 1
    kept = found["flow"]
    np.testing.assert_allclose(
        found["carried"], 1 - np.linalg.norm(kept["x"] - flow["x"]) / np.linalg.norm(flow["x"]), rtol=1e-12
    )
    assert set(kept.contributions) <= set(found["edges"])
    tanhs = [v for v, op in enumerate(flow.graph.ops) if op.name == "tanh"]
    assert [kept.delta[v] is not None for v in tanhs] == [True, False] * 6
    fewer = flow.cut_to(found["edges"][:-1])
    assert 1 - np.linalg.norm(fewer["x"] - flow["x"]) / np.linalg.norm(flow["x"]) < 0.98


def test_keeping_all_of_it_keeps_every_edge_that_counts(flow):
    found = flow.prune(1.0)
    assert found["carried"] == 1.0
    np.testing.assert_array_equal(found["flow"]["x"], flow["x"])


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("seed", range(12))
def test_no_edge_that_is_kept_can_be_spared(seed, keep):
    """Random graphs of scalars, judged by trying: without any one edge too little is left."""
    rng = np.random.default_rng(seed)

    def f(a, b):
        made = [a, b]
        for kind in rng.integers(0, 3, 6):
            u, v = (made[i] for i in rng.integers(0, len(made), 2))
            made.append((u + 0.3 * v, u * v, np.sin(u))[kind])
        return sum(made[2:])

    flow = ad.flow(f)(0.7, -1.3)
    whole = np.array([flow["a"], flow["b"]])

    def left(edges):
        pruned = flow.cut_to(edges)
        return 1 - np.linalg.norm(np.array([pruned["a"], pruned["b"]]) - whole) / np.linalg.norm(whole)

    edges = flow.prune(keep)["edges"]
    assert left(edges) >= keep
    assert all(left([other for other in edges if other != edge]) < keep for edge in edges)


def test_a_gradient_that_is_nan_keeps_its_edges():
    with np.errstate(invalid="ignore"):
        found = ad.flow(lambda x: np.sum(np.sin(x)))(np.array([np.inf, 1.0])).prune()
    assert found["dropped"] == 0
    assert np.isnan(found["carried"])
    assert found.told.startswith("The gradient is not finite")


def test_pruning_for_a_node_without_a_path():
    found = ad.flow(lambda a, b: 2.0 * b)(1.0, 1.0).prune(0.9, "a")
    assert (found["edges"], found["dropped"], found["carried"]) == ([], 1, 1.0)


@pytest.mark.parametrize("keep", [0, -1, 1.5, float("nan")])
def test_a_part_that_is_none(flow, keep):
    with pytest.raises(GraphError, match="0 < keep <= 1"):
        flow.prune(keep)


# -- by branches -------------------------------------------------------------------------------------------------------


def test_branches_of_concatenated_and_gated_joins_sum_to_the_gradient(rng):
    def f(x, w, g):
        x = np.sin(x)
        x = np.concatenate([x, np.tanh(x @ w)], axis=-1)
        gate = 1 / (1 + np.exp(-x @ g))
        return np.sum((gate * np.tanh(np.cos(x)) + (1 - gate) * x) ** 2)

    flow = ad.flow(f)(rng.normal(size=(2, 3)), weights(rng, 3, 3), weights(rng, 6, 6))
    assert [row["kind"] for row in flow.joins()] == ["concatenated", "gated"]
    parts = flow.by_path("x")
    assert len(parts) == 3
    np.testing.assert_allclose(sum(parts), flow["x"], rtol=1e-12)
    rows = flow.spectrum("x")
    assert [row["branches"] for row in rows] == [0, 1, 2]
    assert sum(row["projection"] for row in rows) == pytest.approx(1)
    assert sum(row["norm_share"] for row in rows) == pytest.approx(1)


def test_what_a_spectrum_says():
    rows = ad.flow(lambda x: x + np.negative(np.negative(3.0 * x)))(1.0).spectrum("x")
    assert rows.told == (
        "Of the δ of x 25 % came through skips alone, and most, 75 %, through 1 residual branch; "
        "weighted by length it took 0.75 of 1 residual branch on average."
    )
    assert ad.flow(lambda x: x * x)(1.0).spectrum("x").told == (
        "No residual branch lies between the output and x."
    )


def test_what_joins_say(flow):
    rows = flow.joins()
    assert rows.told.startswith("4 joins. Back through the skips comes ")
    assert ad.flow(lambda x: x * x)(1.0).joins().told == "No skip connection was found."
    unclear = ad.flow(lambda x: np.sin(x) + np.cos(x))(1.0).joins()
    assert unclear.told == "1 join, of which 1 is ambiguous (a scope named skip or residual would decide)."


# -- the trend ---------------------------------------------------------------------------------------------------------


def chain(factor, blocks):
    def f(x):
        for i in range(blocks):
            with ad.scope(f"layer{i}"):
                x = x * factor
        return np.sum(x)

    return f


def test_the_factor_of_a_chain_is_what_it_multiplies_by():
    rows = ad.flow(chain(0.5, 20))(np.ones(3)).trend()
    assert [row["block"] for row in rows] == [f"layer{i}" for i in reversed(range(20))]
    assert rows.summary["factor"] == pytest.approx(0.5)
    assert rows.summary["r2"] == pytest.approx(1)
    assert [row["factor"] for row in rows[1:]] == pytest.approx([0.5] * 19)
    assert rows.told == (
        "On its way back through 20 blocks δ shrinks by ×0.5 a block, from 1 to 1.91e-06 (R² = 1.00)."
    )
    assert rows.summary["blocks_to_floor"] == pytest.approx(1022 - 19)


def test_the_floor_of_short_floats():
    rows = ad.flow(chain(np.float16(0.25), 12))(np.ones(3, np.float16)).trend()
    assert [row["below_floor"] for row in rows] == [False] * 8 + [True] * 4
    assert rows.told.endswith("In 4 of them it is below the smallest normal number of float16, 6.1e-05.")


def test_blocks_without_scopes_are_those_of_the_joins(rng):
    def f(x):
        x = np.sin(x)
        for _ in range(5):
            x = x + np.negative(np.negative(x))
        return x

    rows = ad.flow(f)(0.3).trend()
    assert rows.summary["factor"] == pytest.approx(2)
    assert len(rows) == 5


def test_no_trend_where_there_are_no_blocks():
    rows = ad.flow(lambda x: x * x)(1.0).trend()
    assert rows == []
    assert rows.summary["factor"] is None
    assert rows.told.startswith("There is no trend")


def test_a_block_is_no_trend_and_two_have_no_quality():
    assert ad.flow(chain(0.5, 1))(np.ones(3)).trend().told == "There is no trend over 1 block."
    assert ad.flow(chain(0.5, 2))(np.ones(3)).trend().told == (
        "On its way back through 2 blocks δ shrinks by ×0.5 a block, from 1 to 0.5."
    )


def scaled(*factors):
    def f(x):
        for i, factor in enumerate(factors):
            with ad.scope(f"layer{i}"):
                x = x * factor
        return np.sum(x)

    with np.errstate(invalid="ignore"):
        return ad.flow(f)(np.ones(3)).trend()


def test_what_a_trend_says_of_zeros_of_nan_and_of_zigzags():
    assert scaled(1.0, 1.0, 0.0, 1.0).told == (
        "On its way back through 4 blocks δ keeps its size, from 1 to 1. In 2 of them it is zero."
    )
    rows = scaled(0.5, 0.5, np.array([np.nan, 1.0, 1.0]), 0.5)
    assert [row["nonfinite"] > 0 for row in rows] == [False, False, True, True]
    assert rows.told.endswith("In 2 of them not all of it is finite.")
    rows = scaled(0.5, np.nan, 0.5, 0.5)
    assert [row["block"] for row in rows] == [f"layer{i}" for i in (3, 2, 1, 0)]  # a block of nan is still a block
    assert np.isnan(rows[-1]["delta"])
    assert rows.summary["factor"] == pytest.approx(0.5)
    rows = scaled(*[2.0, 0.5] * 10)
    assert "keeps its size, unevenly, from 1 to 0.5 (R² = 0.0" in rows.told
    assert scaled(*[0.0] * 4).told.startswith("There is no trend over 4 blocks: in fewer than two of them")
    assert "grows by ×3 a block, from 1 to 5.9e+04 (R² = 1.00)" in scaled(*[3.0] * 11).told


def test_blocks_in_stages_and_the_floor_of_the_coarsest():
    def f(x):
        for stage in range(3):
            for i in range(4):
                with ad.scope(f"stage{stage}"), ad.scope(f"block{i}"):
                    x = x * np.float16(0.25)
        return np.sum(x.astype(np.float32))

    rows = ad.flow(f)(np.ones(3, np.float16)).trend(depth=2)
    assert [row["block"] for row in rows] == [f"stage{s}/block{i}" for s in (2, 1, 0) for i in (3, 2, 1, 0)]
    assert rows.summary["factor"] == pytest.approx(0.25)
    assert rows.summary["floor"] == np.finfo(np.float16).smallest_normal


def test_the_forks_of_a_u_shaped_net_stand_in_order():
    def f(x):
        levels = []
        for _ in range(4):
            levels.append(x := np.tanh(0.5 * x))
        for level in reversed(levels):
            x = np.tanh(np.tanh(x)) + level
        return x

    flow = ad.flow(f)(0.5)
    assert [row["delta"] for row in flow.trend()] == [abs(flow[v]) for v in sorted(
        {row["fork"] for row in flow.joins()}, reverse=True)]  # fmt: skip


def test_names_that_differ_in_one_number():
    names = ["stem", "block10/a", "block2/a", "block2/b", "head", "block1/a"]
    assert [names[i] for i in numbered(names)] == ["block1/a", "block2/a", "block10/a"]
    assert numbered(["a", "b"]) == []
    stages = ["stage0/block0", "stage0/block1", "stage1/block0", "stage10/block0", "stage2/block0"]
    assert [stages[i] for i in numbered(stages)] == [*stages[:3], stages[4], stages[3]]


def test_a_fit_passes_over_zeros_and_says_how_good_it_is(rng):
    assert fit([1.0, 0.0, 0.25]) == {"factor": pytest.approx(0.5), "r2": pytest.approx(1)}
    assert fit([1.0, 1.0, 1.0]) == {"factor": pytest.approx(1), "r2": 1.0}
    assert fit([0.0, 1.0, float("inf")]) == {"factor": None, "r2": None}
    sizes = list(np.exp(rng.normal(size=50)))
    slope, _ = np.polyfit(range(50), np.log(sizes), 1)
    assert fit(sizes)["factor"] == pytest.approx(np.exp(slope))
    assert fit(sizes)["r2"] == pytest.approx(np.corrcoef(range(50), np.log(sizes))[0, 1] ** 2)


# -- two flows ---------------------------------------------------------------------------------------------------------


def test_two_steps_of_training_side_by_side(x, layers, flow):
    later = ad.flow(net)(x, [(w1, 2 * w2) for w1, w2 in layers])
    rows = flow.compare(later)
    assert rows.summary == {
        "matched": len(flow.graph), "only_here": 0, "only_there": 0, "vanished": 0, "appeared": 0, "nonfinite": 0
    }  # fmt: skip
    for row in rows:
        v = row["node"]
        assert row["other"] == v
        assert row["before"] == pytest.approx(np.sqrt(np.mean(flow[v] ** 2)))
        assert row["after"] == pytest.approx(np.sqrt(np.mean(later[v] ** 2)))
        assert row["factor"] == pytest.approx(row["after"] / row["before"])
        expected = np.sum(flow[v] * later[v]) / np.linalg.norm(flow[v]) / np.linalg.norm(later[v])
        assert row["cosine"] == pytest.approx(expected)
    assert {row["scope"] for row in rows} == {"", "block0", "block1", "block2", "block3"}


def test_what_is_in_one_of_two_flows_alone(x, layers, flow):
    deeper = ad.flow(net)(x, [*layers, layers[0]])
    rows = flow.compare(deeper)
    assert rows.summary["only_here"] == 0
    assert rows.summary["only_there"] == len(deeper.graph) - len(flow.graph)
    assert "0 in the first alone" in rows.told
    assert flow.compare(flow).told.endswith("δ is of the same size everywhere.")


def test_a_cut_beside_the_whole(flow):
    join = flow.joins()[0]
    cut = flow.cut((join["fork"], join["join"], join["skip"]))
    changed = {row["node"] for row in flow.compare(cut) if row["factor"] != 1.0}
    assert changed == {flow.graph.node("x").index}
    assert flow.compare(cut).summary["vanished"] == 0
    assert "vanished" not in flow.compare(cut).told


def test_what_two_flows_say_where_delta_vanishes_appears_or_is_nan():
    def f(x, factor):
        with ad.scope("first"):
            y = np.sin(x * factor)
        with ad.scope("second"):
            return np.sum(y * y)

    x = np.ones(3)
    with np.errstate(invalid="ignore"):
        some, none, lost = (ad.flow(lambda x, c=c: f(x, c))(x) for c in (3.0, 0.0, np.inf))
    assert some.compare(none).told == "5 nodes are in both flows. At 3 nodes δ vanished."
    assert none.compare(some).told == "5 nodes are in both flows. At 3 nodes δ appeared."
    assert some.compare(some.cut(("x", "multiply"))).told == "5 nodes are in both flows. At 1 node δ vanished."
    assert some.compare(lost).told == "5 nodes are in both flows. At 3 nodes δ is not finite."
    one = ad.flow(lambda x: x)(1.0)
    assert one.compare(one).told == "1 node is in both flows. δ is of the same size everywhere."
    assert one.compare(ad.flow(lambda y: np.sin(y))(1.0)).told == (
        "No node is in both flows, 1 in the first alone and 2 in the second."
    )
