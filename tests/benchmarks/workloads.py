"""The workloads, each written once, for any library that spells things as NumPy does.

A workload is a scalar function ``f(xp, *args)`` of a namespace and its arguments, the positions of the arguments that
are differentiated, and, where somebody would write it, value and gradient by hand in NumPy: the limit that an eager
engine can only come near to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Workload(NamedTuple):
    """One row of the table."""

    name: str
    arguments: Callable[[np.random.Generator], tuple[Any, ...]]
    f: Callable[..., Any]
    wanted: tuple[int, ...]
    by_hand: Callable[..., tuple[Any, tuple[Any, ...]]] | None = None
    bound_by: str = "overhead"
    tolerance: float = 1e-9
    repeats: int = 10
    engines: tuple[str, ...] | None = None  # those that have its functions; None for all
    unrolled: bool = False  # thousands of operations one by one: peers compile them in minutes and tens of gigabytes
    mapped: tuple[int, ...] = ()  # arguments whose rows are examples: value and gradients are wanted for each


# 300 × (tanh, mul, mul, add) on 32 numbers


def chain(xp: Any, x: Any, w: Any, steps: int = 300) -> Any:
    for _ in range(steps):
        x = xp.tanh(x) * w * 1.1 + 0.01
    return xp.sum(x)


def chain_by_hand(x: Any, w: Any) -> Any:
    saved = []
    for _ in range(300):
        t = np.tanh(x)
        saved.append(t)
        x = t * w * 1.1 + 0.01
    d, dw = np.ones(x.shape), np.zeros(w.shape)
    for t in reversed(saved):
        d = d * 1.1
        dw += d * t
        d = d * w
        d = d * (1 - t * t)
    return x.sum(), (d, dw)


# multilayer perceptrons with a softmax cross-entropy


def log_softmax(xp: Any, z: Any) -> Any:
    return z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))


def mlp(xp: Any, x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    h = xp.tanh(x @ w1 + b1)
    h = xp.tanh(h @ w2 + b2)
    return -xp.sum(log_softmax(xp, h @ w3 + b3) * y) / x.shape[0]


def mlp_by_hand(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    z = h2 @ w3 + b3
    e = np.exp(z)
    s = e.sum(axis=1, keepdims=True)
    value = -((z - np.log(s)) * y).sum() / x.shape[0]
    dz = (e / s * y.sum(axis=1, keepdims=True) - y) * (1 / x.shape[0])
    d2 = (dz @ w3.T) * (1 - h2 * h2)
    d1 = (d2 @ w2.T) * (1 - h1 * h1)
    return value, (x.T @ d1, d1.sum(axis=0), h1.T @ d2, d2.sum(axis=0), h2.T @ dz, dz.sum(axis=0))


def mlp_arguments(sizes: tuple[int, ...], batch: int, dtype: Any) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        layers = []
        for m, n in itertools.pairwise(sizes):
            layers += [(rng.standard_normal((m, n)) / np.sqrt(m)).astype(dtype), np.zeros(n, dtype)]
        labels = np.eye(sizes[-1], dtype=dtype)[rng.integers(0, sizes[-1], batch)]
        return (rng.standard_normal((batch, sizes[0])).astype(dtype), labels, *layers)

    return make


# 100 residual blocks


def residual(xp: Any, x: Any, *weights: Any) -> Any:
    for w in weights:
        x = x + xp.tanh(x @ w)
    return xp.sum(x * x)


def residual_by_hand(x: Any, *weights: Any) -> Any:
    saved = []
    for w in weights:
        t = np.tanh(x @ w)
        saved.append((x, t))
        x = x + t
    value, d, found = (x * x).sum(), 2 * x, []
    for w, (x, t) in zip(reversed(weights), reversed(saved), strict=True):
        g = d * (1 - t * t)
        found.append(x.T @ g)
        d = d + g @ w.T
    return value, tuple(reversed(found))


# large elementwise work


def waves(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.tanh(x * y) + xp.exp(-x * x) * xp.sin(y))


def waves_by_hand(x: Any, y: Any) -> Any:
    t, e, s = np.tanh(x * y), np.exp(-x * x), np.sin(y)
    u = 1 - t * t
    return (t + e * s).sum(), (u * y - 2 * x * e * s, u * x + e * np.cos(y))


def normal_cdf(xp: Any, x: Any) -> Any:
    """The logistic-cubic approximation: the same few operations for every library, none of which NumPy lacks."""
    return 0.5 * (1 + xp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def black_scholes(xp: Any, spot: Any, strike: Any, time: Any, rate: Any, volatility: Any) -> Any:
    spread = volatility * xp.sqrt(time)
    d1 = (xp.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time) / spread
    d2 = d1 - spread
    return xp.sum(spot * normal_cdf(xp, d1) - strike * xp.exp(-rate * time) * normal_cdf(xp, d2))


# recurrence and attention


def lstm(xp: Any, inputs: Any, wx: Any, wh: Any, b: Any) -> Any:
    def sigmoid(z: Any) -> Any:
        return 0.5 * (xp.tanh(0.5 * z) + 1)

    n = wh.shape[0]
    h = c = inputs[0][:, :n] * 0.0
    for x in inputs:
        z = x @ wx + h @ wh + b
        i, f, g, o = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
        c = sigmoid(f) * c + sigmoid(i) * xp.tanh(g)
        h = sigmoid(o) * xp.tanh(c)
    return xp.sum(h * h)


def attention(xp: Any, x: Any, *weights: Any) -> Any:
    for n in range(0, len(weights), 4):
        wq, wk, wv, wo = weights[n : n + 4]
        q, k, v = x @ wq, x @ wk, x @ wv
        e = xp.exp((q @ xp.swapaxes(k, 1, 2)) * 0.125)
        x = x + ((e / xp.sum(e, axis=2, keepdims=True)) @ v) @ wo
    return xp.sum(x * x)


# gradients of single examples: f is the cost of one


def one_example(xp: Any, x: Any, y: Any, *layers: Any) -> Any:
    for w, b in zip(layers[::2], layers[1::2], strict=True):
        x = 1 / (1 + xp.exp(-(w @ x + b)))
    return 0.5 * xp.sum((x - y) ** 2)


def examples_by_hand(x: Any, y: Any, *layers: Any) -> Any:
    saved = [x]
    for w, b in zip(layers[::2], layers[1::2], strict=True):
        saved.append(1 / (1 + np.exp(-(saved[-1] @ w.T + b))))
    d, found = saved[-1] - y, []
    value = 0.5 * (d * d).sum(axis=1)
    for w, a, before in zip(layers[-2::-2], saved[:0:-1], saved[-2::-1], strict=True):
        d = d * a * (1 - a)
        found += [d, d[:, :, None] * before[:, None, :]]
        d = d @ w
    return value, tuple(reversed(found))


def examples_arguments(rng: np.random.Generator) -> tuple[Any, ...]:
    sizes = (2, 4, 4, 3)
    layers = [rng.standard_normal(s) for m, n in itertools.pairwise(sizes) for s in ((n, m), (n,))]
    return (rng.standard_normal((256, 2)), np.eye(3)[rng.integers(0, 3, 256)], *layers)


# growth: reads and fan-out


def fan_out(xp: Any, x: Any, count: int = 3000) -> Any:
    total = x * 0.0
    for i in range(count):
        total = total + x * (0.001 * i)
    return xp.sum(total)


def reads(xp: Any, x: Any) -> Any:
    total = x[0] * 0.0
    for i in range(x.shape[0]):
        total = total + x[i]
    return total


def gaussian_process(xp: Any, scale: Any, amplitude: Any, distances: Any, noise: Any, y: Any) -> Any:
    covariance = amplitude * xp.exp(-distances / (2 * scale * scale)) + noise
    factor = xp.linalg.cholesky(covariance)
    return 0.5 * xp.sum(y * xp.linalg.solve(covariance, y)) + xp.sum(xp.log(xp.diagonal(factor, 0, -1, -2)))


def gaussian_process_arguments(rng: np.random.Generator) -> tuple[Any, ...]:
    points = rng.standard_normal((300, 3))
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    return np.array(1.3), np.array(0.8), distances, 0.1 * np.eye(300), rng.standard_normal((300, 1))


WORKLOADS = (
    Workload(
        "300 × (tanh, mul, mul, add) on 32 numbers",
        lambda rng: (np.linspace(-1, 1, 32), np.linspace(0.5, 1.5, 32)),
        chain, (0, 1), chain_by_hand,
    ),
    Workload(
        "MLP 64-64-64-10, batch 32, float64", mlp_arguments((64, 64, 64, 10), 32, np.float64),
        mlp, (2, 3, 4, 5, 6, 7), mlp_by_hand, repeats=50,
    ),
    Workload(
        "MLP 784-1024-1024-10, batch 256, float32", mlp_arguments((784, 1024, 1024, 10), 256, np.float32),
        mlp, (2, 3, 4, 5, 6, 7), mlp_by_hand, "BLAS", tolerance=1e-3, repeats=3,
    ),
    Workload(
        "100 residual blocks, width 64, batch 32",
        lambda rng: (rng.standard_normal((32, 64)), *(rng.standard_normal((100, 64, 64)) * 0.02)),
        residual, tuple(range(1, 101)), residual_by_hand, repeats=5,
    ),
    Workload(
        "Σ tanh(xy) + exp(−x²) sin y, 2·10⁶ numbers",
        lambda rng: tuple(rng.standard_normal((2, 2_000_000))), waves, (0, 1), waves_by_hand, "memory", repeats=2,
    ),
    Workload(
        "Black–Scholes, 10⁶ options",
        lambda rng: tuple(
            rng.uniform(low, high, 1_000_000)
            for low, high in ((80, 120), (80, 120), (0.2, 2), (0.01, 0.05), (0.1, 0.5))
        ),
        black_scholes, (0, 1, 2, 3, 4), None, "memory", repeats=2,
    ),
    Workload(
        "LSTM, 40 steps, 16 × 64",
        lambda rng: (
            rng.standard_normal((40, 16, 64)), rng.standard_normal((64, 256)) * 0.1,
            rng.standard_normal((64, 256)) * 0.1, np.zeros(256),
        ),
        lstm, (1, 2, 3), repeats=3,
    ),
    Workload(
        "attention, 2 layers, 8 × 64 × 64",
        lambda rng: (rng.standard_normal((8, 64, 64)), *(rng.standard_normal((8, 64, 64)) * 0.1)),
        attention, tuple(range(1, 9)), repeats=5,
    ),
    Workload(
        "one vector read by 3000 operations", lambda rng: (rng.standard_normal(1000),), fan_out, (0,),
        repeats=2, unrolled=True,
    ),
    Workload(
        "4000 scalar reads x[i] of 4000 numbers", lambda rng: (rng.standard_normal(4000),), reads, (0,),
        repeats=2, unrolled=True,
    ),
    Workload(
        "Gaussian-process likelihood, n = 300", gaussian_process_arguments, gaussian_process, (0, 1),
        None, "BLAS", tolerance=1e-6, repeats=5,
    ),
    Workload(
        "gradients of each of 256 examples, net 2-4-4-3", examples_arguments,
        one_example, (2, 3, 4, 5, 6, 7), examples_by_hand, repeats=20, mapped=(0, 1),
    ),
)  # fmt: skip
