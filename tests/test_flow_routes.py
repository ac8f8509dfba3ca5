"""Which way a gradient came: cuts, pruning, the split by branches; two flows side by side."""

import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import GraphError, UnknownNameError
from autodiff.flows import routes
from autodiff.flows.routes import without_edge
from autodiff.sweep import contribution, deltas


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


def by_enumeration(x, layers):
    """Parts of the gradient of :func:`net` by every choice of skip or branch: plain NumPy, 2^L sweeps."""
    values = [x]
    for w1, w2 in layers:
        values.append(values[-1] + np.tanh(values[-1] @ w1) @ w2)
    parts = [np.zeros_like(x) for _ in range(len(layers) + 1)]
    for branches in itertools.product([0, 1], repeat=len(layers)):
        d = 2 * values[-1]
        for taken, before, (w1, w2) in reversed(list(zip(branches, values, layers, strict=False))):
            if taken:
                d = ((d @ w2.T) * (1 - np.tanh(before @ w1) ** 2)) @ w1.T
        parts[sum(branches)] += d
    return parts


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("blocks", [1, 2, 4, 6])
def test_parts_against_every_path_by_itself(blocks, dtype, rng, monkeypatch):
    layers = [(weights(rng, 5, 5).astype(dtype), weights(rng, 5, 5).astype(dtype)) for _ in range(blocks)]
    x = rng.normal(size=(3, 5)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        x += 1j * x[::-1]
    flow = ad.trace(net)(x, layers).backward(np.ones((), dtype))
    sweeps = []
    monkeypatch.setattr(routes, "deltas", lambda *a, **k: sweeps.append(1) or deltas(*a, **k))
    parts = flow.by_path("x")
    assert len(sweeps) <= blocks + 1
    expected = by_enumeration(x, layers)
    size, close = np.max(np.abs(flow["x"])), 50 * np.finfo(dtype).eps
    assert [part.dtype for part in parts] == [np.dtype(dtype)] * (blocks + 1)
    for part, whole in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=0, atol=close * size)
    np.testing.assert_allclose(sum(parts), flow["x"], rtol=0, atol=close * size)


def test_a_hundred_blocks_take_a_hundred_and_one_sweeps(rng, monkeypatch):
    layers = [(weights(rng, 64, 64), weights(rng, 64, 64)) for _ in range(100)]
    flow = ad.flow(net)(rng.normal(size=(4, 64)), layers)
    sweeps = []
    monkeypatch.setattr(routes, "deltas", lambda *a, **k: sweeps.append(1) or deltas(*a, **k))
    parts = flow.by_path("x")
    assert (len(parts), len(sweeps)) == (101, 101)
    np.testing.assert_allclose(sum(parts), flow["x"], rtol=0, atol=1e-13 * np.max(np.abs(flow["x"])))


def test_parts_of_a_delta_that_is_zero_or_nan(x, layers):
    still = ad.flow(lambda x, layers: 0.0 * net(x, layers))(x, layers)
    assert not any(np.any(part) for part in still.by_path("x"))
    x[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        flow = ad.flow(net)(x, layers)
    np.testing.assert_array_equal(np.isnan(sum(flow.by_path("x"))), np.isnan(flow["x"]))
    assert all(np.isnan(row["cosine"]) for row in flow.spectrum("x"))  # not −1, as a clipped nan would be


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
    assert unclear.told == "1 join, which is ambiguous (a scope named skip or residual would decide)."


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
