"""The numbers of a flow: contributions, shares, paths, joins, tables, and the split by path depth."""

import math

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError, SeedError, UnknownNameError
from autodiff.flows import GradientFlow, divide, find_joins, norm, pooled, scopes, statistics


def s2(a, b):
    c = ad.name(a + b, "c")
    d = ad.name(a * b, "d")
    return c * d * 0.5


def block(x, weights):
    w1, b1, w2 = weights
    return x + np.tanh(x @ w1 + b1) @ w2


def residual_net(x, layers, head):
    for i, weights in enumerate(layers):
        with ad.scope(f"block{i}"):
            x = block(x, weights)
    with ad.scope("head"):
        return np.sum((x @ head) ** 2) * 0.5


def weights(rng, count, width=6):
    return [
        (rng.normal(size=(width, width)) * 0.4, rng.normal(size=width), rng.normal(size=(width, width)) * 0.4)
        for _ in range(count)
    ]


@pytest.fixture
def net(rng):
    return ad.flow(residual_net)(rng.normal(size=(3, 6)), weights(rng, 4), rng.normal(size=(6, 2)))


def test_the_two_routes_of_s2():
    flow = ad.flow(s2)(2.0, 3.0)
    assert (flow["a"], flow["b"], flow["c"], flow["d"]) == (10.5, 8.0, 3.0, 2.5)
    assert flow.edge("a", "c") == [3.0]
    assert flow.edge("a", "d") == [7.5]
    assert flow.edge("b", "a") == []


def test_every_slot_is_an_edge_of_its_own():
    flow = ad.flow(lambda x: x * x)(3.0)
    assert flow.edge("x", 1) == [3.0, 3.0]
    assert flow["x"] == 6.0


def test_contributions_sum_to_delta_and_shares_to_one(net):
    for v in range(len(net.graph)):
        shares = net.shares(v)
        total = sum(term["contribution"] for term in shares["terms"])
        np.testing.assert_allclose(total, net[v], rtol=1e-12, atol=1e-12)
        assert sum(term["projection"] for term in shares["terms"]) == pytest.approx(1, abs=1e-12)
        assert sum(term["norm_share"] for term in shares["terms"]) == pytest.approx(1, abs=1e-12)


def test_shares_say_what_they_say():
    flow = ad.flow(lambda x: np.sum(3.0 * x) - np.sum(x * np.array([1.0, 0.0])))(np.ones(2))
    g, first, second = np.array([2.0, 3.0]), np.array([3.0, 3.0]), np.array([-1.0, 0.0])
    shares = flow.shares("x")
    np.testing.assert_array_equal(flow["x"], g)
    for term, expected in zip(shares["terms"], (first, second), strict=True):
        np.testing.assert_array_equal(term["contribution"], expected)
        assert term["projection"] == pytest.approx(expected @ g / (g @ g))
        assert term["norm_share"] == pytest.approx(np.linalg.norm(expected) / (math.sqrt(18) + 1))
        assert term["cosine"] == pytest.approx(expected @ g / np.linalg.norm(g) / np.linalg.norm(expected))
    assert shares["norm"] == pytest.approx(math.sqrt(13))
    assert shares["sum_of_norms"] == pytest.approx(math.sqrt(18) + 1)
    assert not shares["cancels"]


@pytest.mark.parametrize(("factor", "cancels"), [(2.5, False), (2.93, False), (2.95, True), (3.0, True)])
def test_contributions_that_cancel(factor, cancels):
    shares = ad.flow(lambda t: t * 3.0 - t * factor)(2.0).shares("t")
    assert (abs(3 - factor) < 0.01 * (3 + factor)) == cancels  # where the line is drawn
    assert shares["cancels"] is cancels


def test_shares_that_do_not_exist_are_nan():
    shares = ad.flow(lambda t: t - t)(2.0).shares("t")
    assert math.isnan(shares["terms"][0]["projection"])
    assert shares["terms"][0]["norm_share"] == 0.5


def test_the_seed_is_a_term_of_an_output_that_is_used_again():
    def f(x):
        y = ad.name(x * 2.0, "y")
        return y, y * 5.0

    flow = ad.trace(f)(1.0).backward([1.0, 10.0])
    terms = flow.shares("y")["terms"]
    assert [(term["consumer"], term["contribution"]) for term in terms] == [(None, 1.0), (2, 50.0)]
    assert sum(term["projection"] for term in terms) == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_shares_survive_extreme_sizes(scale):
    shares = divide([np.array([3.0, 0.0]) * scale, np.array([0.0, 4.0]) * scale], np.array([3.0, 4.0]) * scale)
    assert [term["norm_share"] for term in shares["terms"]] == pytest.approx([3 / 7, 4 / 7])
    assert [term["projection"] for term in shares["terms"]] == pytest.approx([9 / 25, 16 / 25])
    assert [term["cosine"] for term in shares["terms"]] == pytest.approx([0.6, 0.8])
    assert norm(np.array([3.0, 4.0]) * scale) == pytest.approx(5 * scale)


def test_complex_shares_sum_to_one(rng):
    z = rng.normal(size=3) + 1j * rng.normal(size=3)
    flow = ad.trace(lambda z: z * z + z)(z).backward(rng.normal(size=3) + 1j * rng.normal(size=3))
    terms = flow.shares("z")["terms"]
    assert len(terms) == 3
    assert sum(term["projection"] for term in terms) == pytest.approx(1)


def test_paths_are_counted_and_their_absence_is_told():
    def f(x, unused):
        y = x * x  # two
        y = y + np.exp(y)  # times two
        return y + np.floor(x)  # flat: no path

    flow = ad.flow(f)(1.5, 2.0)
    assert flow.paths("x") == 4
    assert flow.has_path("x")
    assert flow.paths("unused") == 0
    assert not flow.has_path("unused")
    assert flow["unused"] == 0.0
    assert flow.has_path(flow.graph.outputs[0])
    rows = str(flow).splitlines()
    assert sum("no path" in row for row in rows) == 2  # unused, and floor


def test_many_paths_are_counted_without_walking_them(rng):
    flow = ad.flow(residual_net)(rng.normal(size=(1, 2)), weights(rng, 60, 2), np.eye(2))
    assert flow.paths("x") == 2**60


def test_unknown_names_tell_the_nearest():
    flow = ad.flow(lambda hidden: ad.name(hidden * 2.0, "output"))(1.0)
    for ask in (flow.shares, flow.has_path, flow.paths, flow.statistics, flow.by_path, flow.__getitem__):
        with pytest.raises(UnknownNameError, match=r"no node is named 'hiden'[\s\S]*'hidden'"):
            ask("hiden")
    with pytest.raises(UnknownNameError, match="there is no node 17"):
        flow.shares(17)


# -- statistics --------------------------------------------------------------------------------------------------------


def test_statistics_count_states_and_measure_the_rest():
    x = np.array([3.0, -4.0, 0.0, -0.0, 1e-310, np.nan, np.nan, np.inf, -np.inf])
    found = statistics(x)
    counts = {"size": 9, "zero": 2, "subnormal": 1, "nan": 2, "+inf": 1, "-inf": 1}
    assert {key: found[key] for key in counts} == counts
    assert found["rms"] == pytest.approx(math.sqrt(25 / 5))
    assert (found["min"], found["max"]) == (-4.0, 3.0)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.float64(-2.0), {"rms": 2.0, "min": -2.0, "max": -2.0, "zero": 0}),
        (np.float64(0.0), {"rms": 0.0, "zero": 1}),
        (np.float32(1e-40), {"subnormal": 1}),
        (np.float64(np.nan), {"rms": None, "nan": 1}),
        (np.float64(-np.inf), {"rms": None, "-inf": 1, "+inf": 0}),
        (np.array([np.nan, np.nan]), {"rms": None, "min": None, "nan": 2}),
        (np.zeros((0, 3)), {"size": 0, "rms": None}),
        (np.array([1e-40, 1.0], np.float32), {"subnormal": 1}),
        (np.array([6e4, 6e4], np.float16), {"rms": pytest.approx(6e4, rel=1e-3)}),
        (np.array([1e200, 1e200]), {"rms": pytest.approx(1e200)}),
        (np.array([3 + 4j, 0]), {"rms": pytest.approx(math.sqrt(12.5)), "min": 0.0, "max": 5.0, "zero": 1}),
        (np.complex128(3 + 4j), {"rms": 5.0}),
        (np.array([True, False]), {"rms": pytest.approx(math.sqrt(0.5)), "zero": 1}),
        ((np.ones(2), None, np.full((2, 2), 3.0)), {"size": 6, "rms": pytest.approx(math.sqrt(38 / 6))}),
    ],
)
def test_statistics(x, expected):
    found = statistics(x)
    assert {key: found[key] for key in expected} == expected


def test_pooled_is_the_rms_over_all_elements(rng):
    parts = [rng.normal(size=n) for n in (2, 3, 10)]
    whole = np.concatenate(parts)
    assert pooled([statistics(part) for part in parts]) == pytest.approx(math.sqrt(np.mean(whole**2)))
    assert pooled([]) is None


def test_statistics_of_a_node():
    flow = ad.flow(s2)(2.0, 3.0)
    assert flow.statistics("a")["value"]["rms"] == 2.0
    assert flow.statistics("a")["delta"]["rms"] == 10.5
    assert ad.flow(lambda x, y: x * 1.0)(1.0, 2.0).statistics("y")["delta"] is None


# -- joins -------------------------------------------------------------------------------------------------------------


def test_joins_of_a_residual_net(net):
    rows = net.joins()
    assert [row["residual_operations"] for row in rows] == [4, 4, 4, 4]
    assert [row["skip_operations"] for row in rows] == [0, 0, 0, 0]
    joins = [row["join"] for row in rows]
    assert [row["fork"] for row in rows] == [net.graph.node("x").index, *joins[:-1]]
    for row in rows:
        skip = net.contributions[row["join"], row["skip"]]
        residual = net[row["fork"]] - skip  # the fork feeds nothing but these two branches
        assert row["skip_share"] + row["residual_share"] == pytest.approx(1)
        assert row["skip_norm"] == pytest.approx(np.linalg.norm(skip))
        assert row["residual_norm"] == pytest.approx(np.linalg.norm(residual))
        expected = np.vdot(skip, residual) / np.linalg.norm(skip) / np.linalg.norm(residual)
        assert row["cosine"] == pytest.approx(expected)


def test_a_plain_net_has_no_joins(rng):
    def plain(x, layers, head):
        for w1, b1, w2 in layers:
            x = np.tanh(x @ w1 + b1) @ w2
        return np.sum((x @ head) ** 2)

    assert ad.flow(plain)(rng.normal(size=(3, 6)), weights(rng, 5), rng.normal(size=(6, 2))).joins() == []


def test_a_shared_bias_is_not_a_skip(rng):
    def recurrent(h, w, b):
        for _ in range(5):
            h = np.tanh(h @ w + b)
        return np.sum(h)

    assert ad.flow(recurrent)(rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=3)).joins() == []


def test_a_projected_skip_is_the_shorter_branch(rng):
    def f(x, w, v, p):
        y = x * 1.0
        return np.sum(np.tanh(y @ w) @ v + y @ p)

    flow = ad.flow(f)(rng.normal(size=(2, 3)), *(rng.normal(size=(3, 3)) for _ in range(3)))
    (row,) = flow.joins()
    assert (row["skip"], row["residual"]) == (1, 0)
    assert (row["skip_operations"], row["residual_operations"]) == (1, 3)
    skip = np.ones((2, 3)) @ flow.graph.node("p").value.T
    assert row["skip_norm"] == pytest.approx(np.linalg.norm(skip))
    assert row["skip_share"] == pytest.approx(np.vdot(skip, flow[row["fork"]]) / np.sum(flow[row["fork"]] ** 2))


def test_equal_branches_are_ambiguous():
    (row,) = ad.flow(lambda x: np.sin(x) + np.cos(x))(1.0).joins()
    assert row["ambiguous"]
    assert row["skip"] is row["skip_share"] is None


def test_two_leaves_that_could_be_the_fork_are_ambiguous():
    (row,) = ad.flow(lambda a, b: np.exp(np.sin(a * b)) + a / b)(1.0, 2.0).joins()
    assert row["ambiguous"]


def test_an_addend_that_meets_nothing_has_no_fork():
    graph = ad.trace(lambda a, b: np.sin(a) + np.cos(b))(1.0, 2.0)
    assert find_joins(graph) == []


# -- by scope and by path ----------------------------------------------------------------------------------------------


def test_by_scope(net):
    rows = net.by_scope()
    assert [row["scope"] for row in rows] == ["", "block0", "block1", "block2", "block3", "head"]
    assert sum(row["nodes"] for row in rows) == len(net.graph)
    block1 = [v for v in range(len(net.graph)) if scopes(net.graph)[v] == ("block1",)]
    operations = np.concatenate([net[v].ravel() for v in block1 if net.graph.ops[v].kind != "input"])
    leaves = np.concatenate([net[v].ravel() for v in block1 if net.graph.ops[v].kind == "input"])
    assert rows[2]["delta"] == pytest.approx(math.sqrt(np.mean(operations**2)))
    assert rows[2]["parameters"] == pytest.approx(math.sqrt(np.mean(leaves**2)))
    assert rows[2]["skip"] + rows[2]["residual"] == pytest.approx(1)
    assert rows[5]["skip"] is None
    text = str(rows)
    assert text.splitlines()[0].split() == list(rows[0])
    assert len(text.splitlines()) == 1 + len(rows)


def test_by_scope_to_a_depth():
    def f(x):
        with ad.scope("outer"):
            with ad.scope("inner"):
                x = x * 2.0
            return np.sin(x)

    flow = ad.flow(f)(1.0)
    assert [row["scope"] for row in flow.by_scope()] == ["outer/inner", "outer"]
    assert [row["scope"] for row in flow.by_scope(1)] == ["outer"]


def test_what_enters_a_scope_stands_outside_it_and_its_own_weights_inside(net):
    homes = scopes(net.graph)
    assert homes[net.graph.node("x").index] == ()
    assert homes[net.graph.node("layers[0][0]").index] == ("block0",)
    assert homes[net.graph.node("head").index] == ("head",)


def test_the_gradient_by_path_sums_to_the_gradient(net):
    parts = net.by_path("x")
    assert len(parts) == 5
    np.testing.assert_allclose(sum(parts), net["x"], rtol=1e-12, atol=1e-12)


def test_the_gradient_by_path_against_the_product_of_jacobians():
    """y = Π (1 + cᵢ) x: the part of k branches is the elementary symmetric polynomial e_k of the cᵢ."""
    scales = [0.5, -2.0, 3.0]

    def f(x):
        for c in scales:
            x = x + np.negative(np.negative(x * c))
        return x

    parts = ad.flow(f)(1.0).by_path("x")
    coefficients = np.polynomial.Polynomial([1.0])
    for c in scales:
        coefficients = coefficients * np.polynomial.Polynomial([1.0, c])
    np.testing.assert_allclose(parts, coefficients.coef, rtol=1e-14)


def test_by_path_through_a_node_inside_and_without_joins(net):
    inside = net.graph.node("layers[1][0]")
    parts = net.by_path(inside)
    np.testing.assert_allclose(sum(parts), net[inside], rtol=1e-12, atol=1e-12)
    assert not np.any(parts[0])  # the weight of a branch is reached by no path of skips alone
    assert len(ad.flow(s2)(2.0, 3.0).by_path("a")) == 1


def test_a_flow_of_several_results():
    @ad.primitive(results=True)
    def halves(x):
        return x[:2].copy(), x[2:].copy()

    halves.defvjp(lambda d, y, x: np.concatenate([np.zeros(2) if part is None else part for part in d]))
    flow = ad.flow(lambda x: np.sum(halves(x)[0] ** 2))(np.arange(4.0))
    np.testing.assert_array_equal(flow["x"], [0, 2, 0, 0])
    (v,) = (v for v, op in enumerate(flow.graph.ops) if op.results)
    np.testing.assert_array_equal(flow[v][0], [0, 2])
    np.testing.assert_array_equal(flow[v][1], [0, 0])  # no one used it
    assert flow.statistics(v)["value"]["size"] == 4
    assert flow.statistics(v)["delta"]["size"] == 2


def test_a_long_chain_is_no_depth():
    def f(x):
        for _ in range(20_000):
            x = x + 1e-9
        return x

    flow = ad.flow(f)(1.0)
    assert flow.paths("x") == 1
    assert flow.joins() == []
    assert len(flow.by_path("x")) == 1


def test_drawing_without_the_drawing_room(monkeypatch):
    flow = ad.flow(s2)(2.0, 3.0)
    monkeypatch.setattr(GradientFlow, "draw_hook", None)
    monkeypatch.setattr(GradientFlow, "svg_hook", None)
    with pytest.raises(PictureError, match=r"import autodiff\.viz"):
        flow.draw("x.svg")
    assert set(flow._repr_mimebundle_()) == {"text/plain"}


# -- sentences, and seeds in containers --------------------------------------------------------------------------------


def test_shares_say_who_sent_how_much():
    shares = ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0).shares("a")
    assert shares.told == (
        "The δ of a has the length 10.5 and comes back along 2 edges: 71.4 % from multiply 3, 28.6 % from add 2."
    )
    assert shares.summary == {"node": 0, "norm": 10.5, "sum_of_norms": 10.5, "cancels": False}
    opposed = ad.flow(lambda t: t * 3.0 - t)(1.0).shares("t").told
    assert "150 % from multiply 1, −50 % from subtract 2 (opposing)" in opposed
    one = ad.flow(lambda t: t * 3.0)(1.0)
    assert one.shares("t").told.endswith("comes back along one edge, from multiply 1.")
    assert one.shares(1).told.endswith("from the seed.")
    assert ad.flow(lambda t: np.floor(t) * 2.0 + t * 0.0)(1.5).shares(1).told.startswith("No δ comes back to floor 1")


def test_shares_of_many_name_three_and_count_the_rest():
    told = ad.flow(lambda x: x + 2 * x + 3 * x + 4 * x + 5 * x)(1.0).shares("x").told
    assert "along 5 edges: 33.3 %" in told
    assert told.endswith("and the rest from 2 more.")
    assert "They cancel" in ad.flow(lambda x: x * 3.0 - x * 2.999)(1.0).shares("x").told


def test_scopes_say_where_delta_is_large(net):
    rows = net.by_scope()
    sized = [row for row in rows if row["delta"] is not None]
    largest = max(sized, key=lambda row: row["delta"])
    assert f"Of {len(sized)} scopes with a δ {largest['scope']} has the largest" in rows.told
    assert rows.summary == {"scopes": len(rows), "nonfinite": 0, "no_path": sum(row["no_path"] for row in rows)}
    with np.errstate(all="ignore"):
        bad = ad.flow(lambda x: np.sum(np.log(x)) + np.sum(np.floor(x)))(np.array([0.0, 1.0])).by_scope()
    assert bad.told.startswith("What stands in no scope has a δ")
    assert "nan or infinite, the first in what stands in no scope. From 2 nodes no path" in bad.told
    assert ad.flow(lambda x: x)(1.0).by_scope().told == "No operation has a δ."


def test_what_is_kept_is_counted_in_a_sentence(net):
    kept = net.prune(0.9)
    assert kept.told.startswith(f"{len(kept['edges'])} of {len(net.contributions)} edges carry ")
    assert float(kept.told.split()[5]) / 100 <= kept["carried"] < float(kept.told.split()[5]) / 100 + 0.001


@pytest.mark.parametrize("seed", [
    {"a": [1.0, 2.0], "b": (np.array([3.0, 4.0]), 5.0)},
    {"b": (np.array([3.0, 4.0]), 5.0), "a": [1.0, 2.0]},
    [[1.0, 2.0], np.array([3.0, 4.0]), 5.0],
])  # fmt: skip
def test_a_seed_in_the_container_of_the_outputs(seed):
    graph = ad.trace(lambda x: {"a": np.sin(x), "b": (x * 2, np.sum(x))})(np.zeros(2))
    assert graph.backward(seed)["x"].tolist() == [1.0 + 6.0 + 5.0, 2.0 + 8.0 + 5.0]


def test_one_output_in_a_container_takes_a_seed_with_or_without_it():
    graph = ad.trace(lambda x: {"loss": 3.0 * x})(1.0)
    for seed, delta in (({"loss": 2.0}, 6.0), (2.0, 6.0), (None, 3.0), ({"loss": None}, 3.0)):
        assert graph.backward(seed)["x"] == delta


@pytest.mark.parametrize("seed", [{"a": 1.0}, {"a": 1.0, "c": 1.0}, [1.0], 3.0, {"a": 1.0, "b": {"c": 1.0}}, "ab"])
def test_a_seed_of_another_structure_is_refused_by_name(seed):
    graph = ad.trace(lambda x: {"a": x, "b": 2 * x})(1.0)
    with pytest.raises(SeedError, match=r"^backward: the seed is"):
        graph.backward(seed)
