"""Functions that the tests of pictures draw. Their lines stand in golden files."""

import numpy as np

import autodiff as ad


def s2(a, b):
    c = ad.name(a + b, "c")
    d = ad.name(a * b, "d")
    return ad.name(c * d * 0.5, "o")


def residual(x, layers, head):
    for i, (w1, b1, w2) in enumerate(layers):
        with ad.scope(f"block{i + 1}"):
            x = x + np.tanh(x @ w1 + b1) @ w2
    with ad.scope("head"):
        return np.sum((x @ head) ** 2) * 0.5


def residual_flow(rng, count=3, width=4):
    layers = [
        (rng.normal(size=(width, width)), rng.normal(size=width), rng.normal(size=(width, width)))
        for _ in range(count)
    ]
    return ad.flow(residual)(rng.normal(size=(2, width)), layers, rng.normal(size=(width, 2)))


def small_residual(x, w):
    """Whole numbers and halves all the way, so that its numbers are the same on every machine."""
    for i in range(2):
        with ad.scope(f"block{i + 1}"):
            x = x + np.where(x > 0, x, 0.0) @ w
    return np.sum(x)


def recurrent(h, w, x):
    for step in range(4):
        with ad.scope(f"step{step}"):
            h = np.tanh(h @ w + x[step])
    return np.sum(h)


def states(x, w, z, v, t):
    """A node in every state: NaN, infinite, subnormal, no path, exactly zero, cancelling."""
    with np.errstate(all="ignore"):
        bad = ad.name(np.log(x), "bad")
    tiny = ad.name(w * 1e-320, "tiny")
    steps = ad.name(np.floor(z), "steps")
    masked = ad.name(np.where(v > 0, v * 2.0, 0.0), "masked")
    cancelled = ad.name(t * 3.0 - t * 2.99, "cancelled")
    return np.sum(bad) + np.sum(tiny) + np.sum(steps) + np.sum(masked) + np.sum(cancelled)


def states_flow():
    arguments = (
        np.array([0.0, 1.0, -1.0]), np.array([1.0, 2.0]), np.array([1.5]), np.array([-1.0, -2.0]), np.float64(2.0),
    )  # fmt: skip
    return ad.flow(states)(*arguments)


def chain(x, count):
    for _ in range(count):
        x = x + 1.0
    return x
