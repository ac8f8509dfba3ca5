"""What ways send, read off contributions, and walks that pass over stretches: each against the long way round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff.flows.amounts import divide, divide_in_two, norm
from autodiff.flows.blocks import Outline, Swept, join_rows, scope_rows
from autodiff.flows.routes import through
from autodiff.flows.structure import Seen, find_joins
from autodiff.flows.walks import Known
from autodiff.sweep import deltas

STEPS = (
    lambda u, v, w: u + v,
    lambda u, v, w: u + v,
    lambda u, v, w: v - np.tanh(u),
    lambda u, v, w: np.tanh(u),
    lambda u, v, w: u @ w,
    lambda u, v, w: u * v,
    lambda u, v, w: np.concatenate([u[:1], v[1:]]),
    lambda u, v, w: np.where(u > 0, u, v),
    lambda u, v, w: u - np.mean(u, axis=-1, keepdims=True),
    lambda u, v, w: sum([u, v, np.sin(u)]),
    lambda u, v, w: u * np.floor(v),
    lambda u, v, w: u + w[0],
)


@st.composite
def nets(draw):
    """Nets of up to twenty steps, most of which go on from what came just before."""
    step = st.tuples(st.integers(0, 99), st.integers(0, 5), st.integers(0, 19))
    picks = draw(st.lists(step, min_size=3, max_size=20))
    data, ends = draw(st.booleans()), draw(st.booleans())

    def net(x, z, *weights):
        made = [x, z] if data else [x]
        for kind, near, far in picks:
            u, v = made[-1 - near % len(made)], made[-1 - far % len(made)]
            made.append(STEPS[kind % len(STEPS)](u, v, weights[kind % 2]))
        return (np.sum(made[-1]), made[len(made) // 2]) if ends else np.sum(made[-1])

    return net


def traced(net):
    rng = np.random.default_rng(0)
    return ad.trace(net)(*(rng.normal(size=(3, 3)) for _ in range(4)))


def swept(graph, **kept):
    seeds = {v: np.ones(graph.shapes[v])[()] for v in graph.outputs}
    sent = {}
    return Swept(graph, graph.values, deltas(graph, graph.values, seeds, contributions=sent, **kept), sent, {})


class Forgetful(Known):
    """Keeps nothing: every walk goes the whole way."""

    def __setitem__(self, key, value):
        pass


@given(net=nets())
def test_passing_over_what_was_walked_changes_no_join(net):
    graph = traced(net)
    seen = Seen(graph)
    seen.stretches = Forgetful(graph)
    assert find_joins(graph) == find_joins(graph, seen)


@given(net=nets())
def test_what_a_way_sends_is_what_a_sweep_of_it_gives(net):
    graph = traced(net)
    outline, flow = Outline(graph), swept(graph)
    for row, join in zip(join_rows(flow, outline), outline.joins, strict=True):
        if join.skip is None or flow.delta[join.fork] is None:
            continue
        for k, key in zip(join.positions, ("skip_norm", "residual_norm"), strict=True):
            term = flow.contributions.get((join.join, k))
            sent = through(graph, graph.values, {}, join.join, k, join.fork, term)
            if row[key] is not None and sent is not None:
                assert row[key] == pytest.approx(np.linalg.norm(sent), rel=1e-9, abs=1e-12)


@given(net=nets())
def test_tables_need_the_contributions_that_their_outline_names_and_no_others(net):
    graph = traced(net)
    outline, whole = Outline(graph), swept(graph)
    part = swept(graph, only=outline.edges)
    assert part.contributions.keys() == whole.contributions.keys() & outline.edges
    rows = [join_rows(one, outline) for one in (part, whole)]
    assert repr(rows[0]) == repr(rows[1])  # nan is not equal to itself
    tables = [scope_rows(one, outline, joins, 1) for one, joins in zip((part, whole), rows, strict=True)]
    assert repr(tables[0]) == repr(tables[1])


def test_most_ways_need_no_sweep(rng):
    """Residual blocks, sums and U-shaped nets are read off; a gate is not, whose ways have a node in common."""

    def block(x):
        return x + np.tanh(np.sin(x)) + np.cos(x)

    def gated(x):
        gate = 1 / (1 + np.exp(-x @ np.eye(3)))
        return gate * np.tanh(x @ np.eye(3)) + (1 - gate) * x

    for net, read in ((block, True), (lambda x: across(x, 5), True), (gated, False)):
        ways = [way for ways in Outline(ad.trace(net)(rng.normal(size=(2, 3)))).ways for way in ways]
        assert ways
        assert all(way is not None for way in ways) is read


def test_a_result_of_its_own_on_the_way_is_not_taken_for_the_branch(rng):
    """The δ of a node that is also a result does not all come from the join."""

    def net(x):
        h = np.tanh(x)
        return np.sum(x + np.sin(h)), h

    x = rng.normal(size=3)
    (row,) = ad.flow(net, seed=(1.0, np.ones(3)))(x).joins()
    wanted = np.cos(np.tanh(x)) * (1 - np.tanh(x) ** 2)
    assert row["residual_norm"] == pytest.approx(np.linalg.norm(wanted))


def across(x, levels):
    kept = []
    for _ in range(levels):
        kept.append(x)
        x = np.tanh(x)
    for skip in reversed(kept):
        x = np.tanh(x) + skip
    return x


def terms(x, count):
    y = x
    for _ in range(count):
        y = y + np.tanh(x)
    return y


def blocks(x, count):
    for _ in range(count):
        x = x + np.tanh(np.sin(x))
    return x


def walked(net, count):
    """The joins that are found, and the steps that it takes to find them."""
    graph = ad.trace(lambda x: np.sum(net(x, count)))(np.full(3, 0.1))
    seen = Seen(graph)
    return len(find_joins(graph, seen)), seen.stretches.walked


def test_joins_of_blocks_in_steps_that_grow_with_their_number():
    (few, short), (many, long) = walked(blocks, 120), walked(blocks, 480)
    assert (few, many) == (120, 480)
    assert long < 4.1 * short


@pytest.mark.parametrize("net", [across, terms, lambda x, n: sum(np.tanh(x * float(i)) for i in range(n))])
def test_joins_of_ways_in_ways_are_all_found_as_long_as_they_are_hundreds(net):
    """The operations on the ways of each join are counted; where ways lie in ways they are walked again and again."""
    found, steps = walked(net, 480)
    assert found >= 479
    assert steps < 480**2 * 5


@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200, 0.0, np.nan, np.inf])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_two_terms_are_divided_as_any_number_of_them(size, shape, dtype, rng):
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        a, b = ((rng.normal(size=shape) * factor).astype(dtype) for factor in (size, 1.0))
        whole = a + b
    terms, found = divide([a, b], whole)["terms"], divide_in_two(a, b, whole)
    wanted = [*(term["projection"] for term in terms), norm(a), norm(b), divide([a], b)["terms"][0]["cosine"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
