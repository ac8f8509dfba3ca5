"""Where skip connections and residual branches are found, and where none is: the nets that people build."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.flows.structure import find_joins

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


# -- weights that are computed, data that comes from beside, sums of several terms -------------------------------------


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def in_place(x, layers):
    x = x * 1.0
    for w1, w2 in layers:
        x += block(x, w1, w2)
    return x


def added_by_sum(x, layers):
    for w1, w2 in layers:
        x = sum([x, block(x, w1, w2)])
    return x


def transposed_weights(x, layers):
    for w1, w2 in layers:
        x = x + np.tanh(x @ w1.T) @ w2.T
    return x


def stacked_weights(x, layers):
    w = np.stack([np.stack(pair) for pair in layers])
    for i in range(len(layers)):
        x = x + np.tanh(x @ w[i, 0]) @ w[i, 1]
    return x


def normalised_weights(x, layers):
    for w1, w2 in layers:
        x = x + np.tanh(x @ (w1 / np.linalg.norm(w1))) @ w2
    return x


def one_weight_for_all(x, layers):
    for _ in layers:
        x = x + block(x, *layers[0])
    return x


def told_of_time(x, layers):
    time = np.tanh(layers[0][0][:1] @ layers[0][1])
    for w1, w2 in layers:
        x = x + np.tanh(x @ w1 + time) @ w2
    return x


def attending_to_memory(x, layers):
    memory = np.tanh(np.sin(x) @ layers[0][0])
    x = np.cos(x)
    for w1, w2 in layers:
        x = x + ad.nn.softmax(x @ w1 @ memory.T) @ memory @ w2
    return x


def towards_a_proposal(x, layers):
    for w1, w2 in layers:
        x = x + sigmoid(x @ w1) * (np.tanh(x @ w2) - x)
    return x


def with_gelu(x, layers):
    for w1, w2 in layers:
        x = x + gelu(x @ w1) @ w2
    return x


def with_leaky_relu(x, layers):
    for w1, w2 in layers:
        z = x @ w1
        x = x + np.where(z > 0, z, 0.1 * z) @ w2
    return x


def weighed(x, layers):
    for w1, w2 in layers:
        x = x + 0.1 * block(x, w1, w2)
    return x


def all_in_a_scope_named_skip(x, layers):
    with ad.scope("skip"):
        return identity(x, layers)


def forks_named_residual(x, layers):
    for w1, w2 in layers:
        saved = ad.name(x * 1.0, "residual")
        x = saved + block(saved, w1, w2)
    return x


@pytest.mark.parametrize("batch", [2, WIDTH])
@pytest.mark.parametrize(
    "net",
    [
        in_place, added_by_sum, transposed_weights, stacked_weights, normalised_weights, one_weight_for_all,
        told_of_time, attending_to_memory, towards_a_proposal, with_gelu, with_leaky_relu, weighed,
        all_in_a_scope_named_skip, forks_named_residual,
    ],
    ids=lambda net: net.__name__,
)  # fmt: skip
def test_an_identity_a_block(net, batch, layers, rng):
    flow = ad.flow(lambda x, layers: np.sum(net(x, layers) ** 2))(rng.normal(size=(batch, WIDTH)), layers)
    rows = flow.joins()
    assert [(row["kind"], row["skip"], row["residual"], row["ambiguous"]) for row in rows] == [
        ("identity", 0, 1, False)
    ] * 3
    assert [row["skip_operations"] for row in rows] == [0] * 3
    if net is not attending_to_memory:  # x goes to the memory as well
        assert len(flow.by_path("x")) == 4
    parts = flow.by_path(rows[0]["fork"])
    np.testing.assert_allclose(sum(parts), flow[rows[0]["fork"]], rtol=1e-12, atol=1e-12)


def test_a_convolution_net_with_a_projection(rng):
    def net(x, first, second, across, k1, k2):
        y = np.maximum(ad.nn.conv(x, first, stride=2, padding=1), 0)
        x = np.maximum(ad.nn.conv(x, across, stride=2) + ad.nn.conv(y, second, padding=1), 0)
        return np.sum((x + ad.nn.conv(np.maximum(ad.nn.conv(x, k1, padding=1), 0), k2, padding=1)) ** 2)

    kernels = [rng.normal(size=(5, n, k, k)) for n, k in ((3, 3), (5, 3), (3, 1), (5, 3), (5, 3))]
    rows = ad.flow(net)(rng.normal(size=(2, 3, 6, 6)), *kernels).joins()
    assert [(row["kind"], row["skip"], row["skip_operations"], row["residual_operations"]) for row in rows] == [
        ("projected", 0, 1, 3), ("identity", 0, 0, 3)
    ]  # fmt: skip


def flat(x, f, g, h):
    return x + f + g - h


def to_the_right(x, f, g, h):
    return x + (f + (g - h))


def last(x, f, g, h):
    return f + g - h + x


def in_pairs(x, f, g, h):
    return (f + g) + (x - h)


@pytest.mark.parametrize(
    ("order", "rows"), [(flat, 3), (to_the_right, 1), (last, 1), (in_pairs, 2)], ids=["flat", "right", "last", "pairs"]
)
@pytest.mark.parametrize("inner", [False, True], ids=["from the input", "from inside"])
def test_of_a_sum_every_term_but_one_is_a_residual_branch(order, rows, inner, x, layers):
    """Told by a second computation: what comes back through the identity alone, and through one of three branches."""

    def net(x, layers):
        x = x * 1.0 if inner else x
        for _ in range(2):
            x = order(x, *branches(x, layers))
        return np.sum(x**2)

    flow = ad.flow(net)(x, layers)
    found = flow.joins()
    assert [(row["kind"], row["ambiguous"]) for row in found] == [("identity", False)] * rows * 2
    parts = flow.by_path("x")
    assert len(parts) == 3
    np.testing.assert_allclose(sum(parts), flow["x"], rtol=1e-12)
    last_join = found[-1]["join"]
    np.testing.assert_allclose(parts[0], flow[last_join], rtol=1e-14)  # along two identities nothing changes
    with_one = ad.grad(lambda x: np.sum(flow[last_join] * (order(x, *branches(x, layers)) - x)))
    after = flow.graph.nodes[found[rows - 1]["join"]].value
    np.testing.assert_allclose(parts[1], with_one(x) + with_one(after), rtol=1e-12)


def branches(x, layers):
    return block(x, *layers[0]), np.sin(x) @ layers[1][0], np.cos(np.tanh(x @ layers[2][0]))


def test_attention_and_a_layer_side_by_side(x, rng):
    """Both branches begin at the normalised x, and the skip at x itself."""
    wq, wk, w1, w2 = (weights(rng, WIDTH, WIDTH) for _ in range(4))

    def parallel(x, wq, wk, w1, w2):
        for _ in range(2):
            h = normalised(x)
            x = x + ad.nn.softmax((h @ wq) @ (h @ wk).T) @ h + block(h, w1, w2)
        return np.sum(x**2)

    flow = ad.flow(parallel)(x, wq, wk, w1, w2)
    rows = flow.joins()
    assert [(row["kind"], row["norm"], row["skip"]) for row in rows] == [("identity", "pre", 0)] * 4
    assert rows[0]["fork"] == rows[1]["fork"] == flow.graph.node("x").index
    assert len(flow.by_path("x")) == 3


def test_a_gate_that_chooses(x, layers):
    def net(x, layers):
        for w1, w2 in layers:
            x = np.where(x > 0, x, block(x, w1, w2))
        return np.sum(x**2)

    rows = ad.flow(net)(x, layers).joins()
    assert [(row["kind"], row["skip"], row["residual"]) for row in rows] == [("gated", 1, 2)] * 3


def test_a_gated_recurrent_cell(x, rng):
    """h ← (1 − z) n + z h, with data of its own at every step."""
    p = [weights(rng, WIDTH, WIDTH) for _ in range(4)]

    def net(p, xs, h):
        for x in xs:
            z, r = sigmoid(x @ p[0] + h @ p[1]), sigmoid(x @ p[1] + h @ p[0])
            h = (1 - z) * np.tanh(x @ p[2] + (r * h) @ p[3]) + z * h
        return np.sum(h**2)

    rows = ad.flow(net, argnums=(0, 2))(p, [x, 2 * x, 3 * x], x[::-1].copy()).joins()
    assert [(row["kind"], row["skip"], row["ambiguous"]) for row in rows] == [("gated", 1, False)] * 3
    assert [row["fork"] for row in rows[1:]] == [row["join"] for row in rows[:-1]]


def test_rms_normalisation_that_is_written_out(x, layers):
    def rms(x):
        return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)

    def pre(x, layers):
        for w1, w2 in layers:
            x = x + block(rms(x), w1, w2)
        return np.mean(x)

    def post(x, layers):
        for w1, w2 in layers:
            x = rms(x + block(x, w1, w2))
        return np.mean(x)

    for net, norm in ((pre, "pre"), (post, "post"), (lambda x, layers: np.mean(identity(x, layers)), None)):
        assert [row["norm"] for row in ad.flow(net)(x, layers).joins()] == [norm] * 3


# -- what looks like a skip connection and is none ---------------------------------------------------------------------


def recurrent(params, xs):
    w, u, b = params
    h = np.zeros((2, WIDTH))
    for t in range(3):
        h = np.tanh(xs[t] @ w + h @ u + b)
    return np.sum(h**2)


def recurrent_by_batch(params, xs):
    return recurrent(params, [xs[:, t] for t in range(3)])


def autoencoder(params, xs):
    x = xs[0]
    return np.mean((block(x, *params[:2]) - x) ** 2)


def regularised(params, xs):
    w, u, b = params
    y = plain(xs[0], [(w, u)]) + b
    return np.mean(y**2) + 0.1 * np.mean(np.abs(y)) + 0.01 * (np.sum(w**2) + np.sum(u**2))


def activated(params, xs):
    w, u, _ = params
    z = gelu(xs[0] @ w) @ u
    z = np.where(z > 0, z, np.exp(z) - 1) @ w
    return np.sum(np.where(z > 0, z, 0.1 * z) ** 3 + 2.0)


def heads(params, xs):
    q = np.tanh(xs[0] @ params[0])
    half = [q[:, :2], q[:, 2:]]
    return np.sum(np.concatenate([ad.nn.softmax(part @ part.T) @ part for part in half], axis=-1) ** 2)


def decayed_bias(params, xs):
    _, u, b = params
    h = xs[0][0]
    for _ in range(3):
        h = np.tanh(u @ h + b)
    return np.sum(h) + np.sum(b**2)


@pytest.mark.parametrize("argnums", [0, (0, 1)], ids=["parameters", "parameters and data"])
@pytest.mark.parametrize(
    "net", [recurrent, recurrent_by_batch, autoencoder, regularised, activated, heads, decayed_bias],
    ids=lambda net: net.__name__,
)  # fmt: skip
def test_what_is_no_join(net, argnums, rng):
    params = [weights(rng, WIDTH, WIDTH), weights(rng, WIDTH, WIDTH), rng.normal(size=WIDTH)]
    xs = rng.normal(size=(2, 3, WIDTH) if net is recurrent_by_batch else (3, 2, WIDTH))
    flow = ad.flow(net, argnums=argnums)(params, xs)
    assert flow.joins() == []
    assert len(flow.by_path(flow.graph.arguments[0])) == 1


def test_a_name_that_contradicts_the_count_decides(x, layers):
    def net(x, layers):
        for w1, w2 in layers:
            with ad.scope("skip"), ad.scope("inner"):
                long = block(x, w1, w2)
            with ad.scope("residual"):
                short = np.sin(x)
            x = long + short
        return np.sum(x**2)

    assert [(row["skip"], row["skip_operations"]) for row in ad.flow(net)(x, layers).joins()] == [(0, 3)] * 3


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
