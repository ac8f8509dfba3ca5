"""Functions of neural networks against PyTorch's: values, gradients and second derivatives along a direction.

Not here, because PyTorch says something else on purpose: derivatives at corners (one-sided there, the mean here), gelu
far out on the left (1 + erf cancels there), a batch of ignored labels (nan there, 0 here).
"""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn

torch = pytest.importorskip("torch")
F = torch.nn.functional

R = np.random.default_rng(7)
X, W, B = R.standard_normal((5, 6)), R.standard_normal(6), R.standard_normal(6)
IMAGES, SCALE = R.standard_normal((4, 6, 3, 2)), R.standard_normal(6)
Q, K, V = R.standard_normal((2, 3, 5, 4)), R.standard_normal((2, 3, 6, 4)), R.standard_normal((2, 3, 6, 3))
BIAS, SEEN = R.standard_normal((5, 6)), R.random((5, 6)) < 0.6
SEEN[:, 0] = True
LABELS, TARGETS = np.array([0, 5, 2, 2, 1]), R.random((5, 6))
SOFT = TARGETS / TARGETS.sum(axis=1, keepdims=True)
MAPS, PIXELS = R.standard_normal((2, 4, 3)), np.array([[0, 3, 1], [2, 2, 0]])
STATE = [R.standard_normal(s) for s in ((5, 6), (5, 3), (5, 3))]
LSTM = [*STATE, *(R.standard_normal(s) for s in ((6, 12), (3, 12), (12,), (12,)))]
GRU = [*STATE[:2], *(R.standard_normal(s) for s in ((6, 9), (3, 9), (9,), (9,)))]
RNN = [*STATE[:2], *(R.standard_normal(s) for s in ((6, 3), (3, 3), (3,), (3,)))]
TABLE, INDICES = R.standard_normal((7, 3)), np.array([[1, 1], [6, 0]])
t = torch.tensor


def joined(parts):
    return sum((part**2).sum() * (k + 1) for k, part in enumerate(parts))


PAIRS = {
    "relu": (nn.relu, F.relu, [X]),
    "relu6": (lambda x: nn.relu6(4 * x), lambda x: F.relu6(4 * x), [X]),
    "hardtanh": (lambda x: nn.hardtanh(x, -0.5, 1.5), lambda x: F.hardtanh(x, -0.5, 1.5), [X]),
    "leaky_relu": (lambda x: nn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), [X]),
    "elu": (lambda x: nn.elu(x, 0.7), lambda x: F.elu(x, 0.7), [X]),
    "selu": (nn.selu, F.selu, [X]),
    "gelu": (nn.gelu, F.gelu, [X]),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh"), [X]),
    "silu": (nn.silu, F.silu, [X]),
    "mish": (nn.mish, F.mish, [X]),
    "softplus": (nn.softplus, F.softplus, [X]),
    "sigmoid": (nn.sigmoid, torch.sigmoid, [X]),
    "log_sigmoid": (nn.log_sigmoid, F.logsigmoid, [X]),
    "tanh": (nn.tanh, torch.tanh, [X]),
    "softmax": (nn.softmax, lambda x: F.softmax(x, -1), [X]),
    "log_softmax": (lambda x: nn.log_softmax(x, 0), lambda x: F.log_softmax(x, 0), [X]),
    "logsumexp": (lambda x: nn.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), [X]),
    "dense": (nn.dense, lambda x, w, b: F.linear(x, w.T, b), [X, R.standard_normal((6, 3)), B[:3]]),
    "embedding": (lambda w: nn.embedding(INDICES, w), lambda w: F.embedding(t(INDICES), w), [TABLE]),
    "layer_norm": (nn.layer_norm, lambda x, w, b: F.layer_norm(x, (6,), w, b), [X, W, B]),
    "layer_norm, two axes": (
        lambda x: nn.layer_norm(x, axis=(-2, -1), eps=0.1), lambda x: F.layer_norm(x, (5, 6), eps=0.1), [X],
    ),
    "rms_norm": (nn.rms_norm, lambda x, w: F.rms_norm(x, (6,), w, 1e-6), [X, W]),
    "group_norm": (lambda x, w, b: nn.group_norm(x, 3, w, b), lambda x, w, b: F.group_norm(x, 3, w, b),
                   [IMAGES, SCALE, B]),
    "batch_norm, training": (
        lambda x, w, b: nn.batch_norm(x, None, w, b, training=True)[0],
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [IMAGES, SCALE, B],
    ),
    "batch_norm, inference": (
        lambda x, w, b: nn.batch_norm(x, (B, SCALE**2), w, b, training=False)[0],
        lambda x, w, b: F.batch_norm(x, t(B), t(SCALE**2), w, b, False), [IMAGES, SCALE, B],
    ),
    "attention": (nn.attention, F.scaled_dot_product_attention, [Q, K, V]),
    "attention, causal": (
        lambda q, k, v: nn.attention(q, k, v, causal=True, scale=0.3),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3), [Q, K, V],
    ),
    "attention, seen": (
        lambda q, k, v: nn.attention(q, k, v, SEEN),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, t(SEEN)), [Q, K, V],
    ),
    "attention, added": (nn.attention, F.scaled_dot_product_attention, [Q, K, V, BIAS]),
    "lstm_cell": (
        lambda *a: joined(nn.lstm_cell(*a)),
        lambda x, h, c, w, u, b, d: joined(torch.lstm_cell(x, (h, c), w.T, u.T, b, d)), LSTM,
    ),
    "gru_cell": (nn.gru_cell, lambda x, h, w, u, b, d: torch.gru_cell(x, h, w.T, u.T, b, d), GRU),
    "rnn_cell": (nn.rnn_cell, lambda x, h, w, u, b, d: torch.rnn_tanh_cell(x, h, w.T, u.T, b, d), RNN),
    "mse": (nn.mse, F.mse_loss, [X, TARGETS]),
    "mae": (nn.mae, F.l1_loss, [X, TARGETS]),
    "huber": (lambda x, y: nn.huber(x, y, 0.7, "sum"), lambda x, y: F.huber_loss(x, y, "sum", 0.7), [X, TARGETS]),
    "cross_entropy": (lambda x: nn.cross_entropy(x, LABELS), lambda x: F.cross_entropy(x, t(LABELS)), [X]),
    "cross_entropy, maps": (
        lambda x: nn.cross_entropy(x, PIXELS, axis=1, reduction="none", label_smoothing=0.2),
        lambda x: F.cross_entropy(x, t(PIXELS), reduction="none", label_smoothing=0.2), [MAPS],
    ),
    "cross_entropy, ignored": (
        lambda x: nn.cross_entropy(x, LABELS, ignore_index=2), lambda x: F.cross_entropy(x, t(LABELS), ignore_index=2),
        [X],
    ),
    "cross_entropy, soft": (
        lambda x, p: nn.cross_entropy(x, p, label_smoothing=0.1),
        lambda x, p: F.cross_entropy(x, p, label_smoothing=0.1), [X, SOFT],
    ),
    "nll": (
        lambda x: nn.nll(x, LABELS, ignore_index=2), lambda x: F.nll_loss(x, t(LABELS), ignore_index=2), [X],
    ),
    "binary_cross_entropy_with_logits": (
        nn.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, [X, TARGETS],
    ),
    "kl_divergence": (
        nn.kl_divergence, lambda x, p: F.kl_div(x, p, reduction="batchmean"), [np.log(SOFT[::-1].copy()), SOFT],
    ),
    "kl_divergence, logs": (
        lambda x, p: nn.kl_divergence(x, p, log_targets=True),
        lambda x, p: F.kl_div(x, p, reduction="batchmean", log_target=True), [np.log(SOFT[::-1].copy()), np.log(SOFT)],
    ),
}


def theirs(f, xs, seed, vs):
    """Value, gradient of ⟨seed, f⟩, and the gradient of that one's product with vs."""
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    y = f(*leaves)
    first = torch.autograd.grad((y * torch.tensor(seed)).sum(), leaves, create_graph=True)
    along = sum((d * torch.tensor(v)).sum() for d, v in zip(first, vs, strict=True))
    second = [None] * len(leaves)
    if along.requires_grad:
        second = torch.autograd.grad(along, leaves, allow_unused=True)
    plain = [torch.zeros_like(x) if d is None else d for x, d in zip(leaves, second, strict=True)]
    return [y.detach().numpy()], [d.detach().numpy() for d in first], [d.numpy(force=True) for d in plain]


@pytest.mark.parametrize("name", PAIRS)
def test_pytorch_agrees_to_second_order(name):
    ours, other, xs = PAIRS[name]
    rng = np.random.default_rng(1)
    y = np.asarray(ours(*xs))
    seed, vs = rng.standard_normal(y.shape), [rng.standard_normal(x.shape) for x in xs]
    positions = tuple(range(len(xs)))

    def gradient(*xs):
        return ad.grad(lambda *xs: np.sum(ours(*xs) * seed), argnums=positions)(*xs)

    def along(*xs):
        return sum(np.sum(d * v) for d, v in zip(gradient(*xs), vs, strict=True))

    found = [y], gradient(*xs), ad.grad(along, argnums=positions)(*xs)
    for got, want in zip(found, theirs(other, xs, seed, vs), strict=True):
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-10 * max(1.0, np.max(np.abs(w), initial=0.0)))


def test_running_statistics_are_pytorchs():
    mean, variance = torch.tensor(B.copy()), torch.tensor(SCALE**2)
    F.batch_norm(torch.tensor(IMAGES), mean, variance, training=True, momentum=0.3)
    _, running = nn.batch_norm(IMAGES, (B, SCALE**2), training=True, momentum=0.3)
    np.testing.assert_allclose(running[0], mean, rtol=1e-12)
    np.testing.assert_allclose(running[1], variance, rtol=1e-12)
