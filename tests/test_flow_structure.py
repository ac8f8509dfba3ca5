"""Where skip connections and residual branches are found, and where none is: the nets that people build."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff.flows.structure import Ancestry, find_joins, sources
from autodiff.graph import Graph

WIDTH = 4


def weights(rng, *shape):
    return rng.normal(size=shape) / np.sqrt(shape[-1])


def block(x, w1, w2):
    return np.tanh(x @ w1) @ w2


def normalised(x):
    return (x - np.mean(x, axis=-1, keepdims=True)) / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain(x, layers):
    for w1, w2 in layers:
        x = block(x, w1, w2)
    return x


def identity(x, layers):
    for w1, w2 in layers:
        x = x + block(x, w1, w2)
    return x


def projected(x, layers):
    for w1, w2 in layers:
        x = x @ np.eye(WIDTH) + block(x, w1, w2)
    return x


def scaled(x, layers):
    for w1, w2 in layers:
        x = 0.5 * x + block(x, w1, w2)
    return x


def pre_norm(x, layers):
    for w1, w2 in layers:
        x = x + block(normalised(x), w1, w2)
    return x


def post_norm(x, layers):
    for w1, w2 in layers:
        x = normalised(x + block(x, w1, w2))
    return x


def highway(x, layers):
    for w1, w2 in layers:
        gate = sigmoid(x @ w2)
        x = gate * np.tanh(block(x, w1, w1)) + (1 - gate) * x
    return x


def subtracted(x, layers):
    for w1, w2 in layers:
        x = x - block(x, w1, w2)
    return x


NETS = {
    # net: (kind, norm, which argument is the skip)
    identity: ("identity", None, 0),
    projected: ("projected", None, 0),
    scaled: ("scaled", None, 0),
    pre_norm: ("identity", "pre", 0),
    post_norm: ("identity", "post", 0),
    highway: ("gated", None, 1),
    subtracted: ("identity", None, 0),
}


@pytest.fixture
def layers(rng):
    return [(weights(rng, WIDTH, WIDTH), weights(rng, WIDTH, WIDTH)) for _ in range(3)]


@pytest.fixture
def x(rng):
    return rng.normal(size=(2, WIDTH))


@pytest.mark.parametrize("inner", [False, True], ids=["from the input", "from inside"])
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_a_join_a_block(net, inner, x, layers):
    kind, norm, skip = NETS[net]
    flow = ad.flow(lambda x, layers: np.sum(net(np.sin(x) if inner else x, layers) ** 2))(x, layers)
    rows = flow.joins()
    assert [(row["kind"], row["norm"], row["skip"], row["residual"]) for row in rows] == [
        (kind, norm, skip, 1 - skip)
    ] * 3
    assert not any(row["ambiguous"] for row in rows)
    forks = [row["fork"] for row in rows]
    first = flow.graph.node("x").index
    assert forks[0] == (next(v for v, op in enumerate(flow.graph.ops) if op.name == "sin") if inner else first)
    assert all(fork > join for fork, join in zip(forks[1:], (row["join"] for row in rows), strict=False)) is (
        net is post_norm
    )


@pytest.mark.parametrize("inner", [False, True], ids=["from the input", "from inside"])
@pytest.mark.parametrize("net", [plain, lambda x, layers: normalised(plain(normalised(x), layers))])
def test_none_in_a_plain_net(net, inner, x, layers):
    flow = ad.flow(lambda x, layers: np.sum(net(np.sin(x) if inner else x, layers) ** 2))(x, layers)
    assert flow.joins() == []


def test_the_shares_of_a_gated_join_sum_to_one_where_the_fork_feeds_nothing_else(x, layers):
    """The gate belongs to both ways: what comes back through the gate is counted once for each product."""
    for row in ad.flow(lambda x, layers: np.sum(highway(x, layers) ** 2))(x, layers).joins():
        assert row["skip_share"] + row["residual_share"] == pytest.approx(1)


def test_a_dense_block(x, rng):
    """Every layer is put beside all that came before it."""
    w = [weights(rng, n * WIDTH, WIDTH) for n in (1, 2, 3)]

    def dense(x, w):
        for layer in w:
            x = np.concatenate([x, np.tanh(x @ layer)], axis=-1)
        return np.sum(x**2)

    rows = ad.flow(dense)(x, w).joins()
    assert [(row["kind"], row["skip"], row["skip_operations"], row["residual_operations"]) for row in rows] == [
        ("concatenated", 0, 0, 2)
    ] * 3


def test_a_dense_block_that_keeps_a_list(x, rng):
    w = [weights(rng, n * WIDTH, WIDTH) for n in (1, 2, 3)]

    def dense(x, w):
        features = [x * 1.0]
        for layer in w:
            features.append(np.tanh(np.concatenate(features, axis=-1) @ layer))
        return np.sum(np.concatenate(features, axis=-1) ** 2)

    flow = ad.flow(dense)(x, w)
    rows = flow.joins()
    assert {row["fork"] for row in rows} == {next(v for v, op in enumerate(flow.graph.ops) if op.name == "multiply")}
    assert [row["skip"] for row in rows] == [0] * 6
    assert [row["residual"] for row in rows] == [1, 1, 2, 1, 2, 3]


def test_a_u_shaped_net(x, rng):
    """Each level joins what came down with what went across."""
    down, up = [weights(rng, WIDTH, WIDTH) for _ in range(2)], [weights(rng, 2 * WIDTH, WIDTH) for _ in range(2)]

    def u(x, down, up):
        levels = []
        for w in down:
            x = np.tanh(x @ w)
            levels.append(x)
        x = np.tanh(x)
        for w, level in zip(up, reversed(levels), strict=True):
            x = np.tanh(np.concatenate([x, level], axis=-1) @ w)
        return np.sum(x**2)

    flow = ad.flow(u)(x, down, up)
    rows = flow.joins()
    tanhs = [v for v, op in enumerate(flow.graph.ops) if op.name == "tanh"]
    assert [row["fork"] for row in rows] == [tanhs[1], tanhs[0]]
    assert [(row["kind"], row["skip"], row["skip_operations"]) for row in rows] == [("concatenated", 1, 0)] * 2


def test_attention_with_its_residual(x, rng):
    """Queries, keys and values part and meet in products: only the sum with what came in is a join."""
    wq, wk, wv = (weights(rng, WIDTH, WIDTH) for _ in range(3))

    def attention(x, wq, wk, wv):
        for _ in range(2):
            x = x + ad.nn.softmax((x @ wq) @ (x @ wk).T) @ (x @ wv)
        return np.sum(x**2)

    rows = ad.flow(attention)(x, wq, wk, wv).joins()
    assert [(row["kind"], row["skip"], row["residual_operations"]) for row in rows] == [("identity", 0, 7)] * 2


def test_heads_side_by_side_are_parallel(x, rng):
    heads = [weights(rng, WIDTH, WIDTH) for _ in range(3)]
    flow = ad.flow(lambda x, heads: np.sum(np.concatenate([np.tanh(np.sin(x) @ w) for w in heads]) ** 2))(x, heads)
    assert [(row["kind"], row["ambiguous"], row["skip"]) for row in flow.joins()] == [
        ("parallel", True, None), ("parallel", True, None)
    ]  # fmt: skip


def test_a_scope_tells_the_residual_branch_of_two_alike():
    def f(x):
        x = x * 1.0
        with ad.scope("inner"):
            branch = np.sin(x)
        return np.cos(x) + branch

    (row,) = ad.flow(f)(1.0).joins()
    assert (row["skip"], row["residual"], row["ambiguous"]) == (0, 1, False)


@pytest.mark.parametrize("word", ["skip", "shortcut", "identity", "carry"])
def test_a_name_says_which_is_the_skip(word):
    def f(x):
        x = x * 1.0
        with ad.scope(word):
            long = np.exp(np.sin(np.cos(x)))
        return long + np.tanh(x)

    (row,) = ad.flow(f)(1.0).joins()
    assert (row["skip"], row["skip_operations"], row["residual_operations"]) == (0, 3, 1)


def test_a_tensor_that_is_named_residual():
    (row,) = ad.flow(lambda x: np.cos(x * 1.0) + ad.name(np.sin(x * 1.0), "residual"))(1.0).joins()
    assert not row["ambiguous"]
    assert row["residual"] == 1


def test_a_branch_with_parameters_is_the_residual_one_of_two_as_long(x, rng):
    (row,) = ad.flow(lambda x, w: np.sum(np.sin(x) @ w + np.tanh(np.cos(x))))(x, weights(rng, WIDTH, WIDTH)).joins()
    assert (row["skip"], row["residual"]) == (1, 0)


# -- the tree of dominators --------------------------------------------------------------------------------------------


def dominators(graph):
    """By the definition: the nodes on every way from a node down to where it has no further sources."""
    through = []
    for v, op in enumerate(graph.ops):
        inputs = [] if op.flat else sources(graph, v)
        through.append({v} | (set.intersection(*(through[u] for u in inputs)) if inputs else set()))
    return through


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=40), st.data())
def test_common_ancestors_against_their_definition(pairs, data):
    def f(x):
        made = [np.sin(x)]
        for a, b in pairs:
            made.append(made[a % len(made)] * made[b % len(made)])
        return sum(made)

    graph = ad.trace(f)(0.5)
    assert isinstance(graph, Graph)
    ancestry, through = Ancestry(graph), dominators(graph)
    for v in range(len(graph)):
        above = through[v] - {v}
        assert ancestry.above[v] == max(above, default=-1)
    a, b = (data.draw(st.integers(0, len(graph) - 1)) for _ in range(2))
    assert ancestry.common(a, b) == max(through[a] & through[b], default=-1)


def test_joins_of_a_deep_net_take_a_step_each():
    """10⁴ blocks, and one long way around all of them."""

    def deep(x):
        first = x = np.sin(x)
        for _ in range(10_000):
            x = x + np.cos(x * 0.5)
        return x + np.tanh(first)

    rows = find_joins(ad.trace(deep)(0.5))
    assert len(rows) == 10_001
    assert rows[-1].operations == (1, 30_000)
