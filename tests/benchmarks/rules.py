"""Workloads that are one large rule each: what they cost is the rule, not the recording around it.

Where NumPy has no such function this package's own stands beside PyTorch's; the other engines are left out of those
rows, and of those whose function they lack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff import nn

from .workloads import Workload

OURS_AND_TORCH = ("autodiff", "torch")
FACTORING = ("autodiff", "autograd", "torch", "jax")


def _torch(xp: Any) -> Any:
    """PyTorch's functions of layers where xp is PyTorch, else None."""
    return xp.nn.functional if xp.__name__ == "torch" else None


# Σ y² of each, so that δ is an array that no library knows beforehand


def conv2d(stride: int = 1, padding: int = 1, groups: int = 1) -> Callable[..., Any]:
    settings = {"stride": stride, "padding": padding, "groups": groups}

    def f(xp: Any, x: Any, w: Any, b: Any) -> Any:
        theirs = _torch(xp)
        y = theirs.conv2d(x, w, b, **settings) if theirs else nn.conv(x, w, b, **settings)
        return xp.sum(y * y)

    return f


def conv_arguments(
    x: tuple[int, ...], w: tuple[int, ...], dtype: Any = np.float32
) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: tuple(
        (rng.standard_normal(shape) * scale).astype(dtype) for shape, scale in ((x, 1), (w, 0.1), (w[:1], 1))
    )


def max_pool(xp: Any, x: Any) -> Any:
    theirs = _torch(xp)
    y = theirs.max_pool2d(x, 3, 2, 1) if theirs else nn.max_pool(x, 3, 2, 1)
    return xp.sum(y * y)


def layer_norm(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    theirs = _torch(xp)
    y = theirs.layer_norm(x, x.shape[-1:], weight, bias) if theirs else nn.layer_norm(x, weight, bias)
    return xp.sum(y * y)


def cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    theirs = _torch(xp)
    return theirs.cross_entropy(logits, labels) if theirs else xp.mean(nn.cross_entropy(logits, labels))


def attention(xp: Any, q: Any, k: Any, v: Any) -> Any:
    theirs = _torch(xp)
    causal = {"is_causal": True} if theirs else {"causal": True}
    y = (theirs.scaled_dot_product_attention if theirs else nn.attention)(q, k, v, **causal)
    return xp.sum(y * y)


# factorizations: of vectors only what no choice of their signs changes


def svd(xp: Any, a: Any, c: Any) -> Any:
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    return xp.sum(c * s) + xp.sum(c * u * u) + xp.sum(c * vh * vh)


def eigh(xp: Any, a: Any, c: Any) -> Any:
    w, v = xp.linalg.eigh((a + a.T) * 0.5)
    return xp.sum(c * w) + xp.sum(c * v * v)


def cholesky(xp: Any, a: Any, c: Any) -> Any:
    return xp.sum(c * xp.linalg.cholesky((a + a.T) * 0.5))  # one triangle of δ, or half of it in both: not here


def positive(rng: np.random.Generator) -> tuple[Any, ...]:
    a = rng.standard_normal((300, 300))
    return a @ a.T + 300 * np.eye(300), rng.standard_normal((300, 300))


# order, products, positions


def sort(xp: Any, x: Any, c: Any) -> Any:
    y = xp.sort(x)
    return xp.sum(c * (y[0] if isinstance(y, tuple) else y))


def cumprod(xp: Any, x: Any, c: Any) -> Any:
    return xp.sum(c * xp.cumprod(x, 1))


def gather(xp: Any, table: Any, rows: Any, c: Any) -> Any:
    return xp.sum(c * table[rows])


RULES = (
    Workload(
        "conv2d, 8×16×32×32 by 32 of 3×3, float32", conv_arguments((8, 16, 32, 32), (32, 16, 3, 3)),
        conv2d(), (0, 1, 2), None, "BLAS", tolerance=1e-4, engines=OURS_AND_TORCH,
    ),
    Workload(
        "conv2d, 32×64×14×14 by 64 of 3×3, float32", conv_arguments((32, 64, 14, 14), (64, 64, 3, 3)),
        conv2d(), (0, 1, 2), None, "BLAS", tolerance=1e-4, repeats=5, engines=OURS_AND_TORCH,
    ),
    Workload(
        "conv2d, 32×64×14×14 by 64 of 3×3, float64", conv_arguments((32, 64, 14, 14), (64, 64, 3, 3), np.float64),
        conv2d(), (0, 1, 2), None, "BLAS", repeats=5, engines=OURS_AND_TORCH,
    ),
    Workload(
        "conv2d, 1×3×224×224 by 64 of 7×7, stride 2, float32", conv_arguments((1, 3, 224, 224), (64, 3, 7, 7)),
        conv2d(2, 3), (1, 2), None, "BLAS", tolerance=1e-4, repeats=3, engines=OURS_AND_TORCH,
    ),
    Workload(
        "conv2d, 8×32×32×32, 3×3 a channel, float32", conv_arguments((8, 32, 32, 32), (32, 1, 3, 3)),
        conv2d(groups=32), (0, 1, 2), None, "memory", tolerance=1e-4, engines=OURS_AND_TORCH,
    ),
    Workload(
        "max pooling, 8×64×56×56, 3×3, stride 2, float32",
        lambda rng: (rng.standard_normal((8, 64, 56, 56)).astype(np.float32),),
        max_pool, (0,), None, "memory", tolerance=1e-4, repeats=3, engines=OURS_AND_TORCH,
    ),
    Workload(
        "softmax cross-entropy, 256 × 10⁴ classes, float32",
        lambda rng: (rng.standard_normal((256, 10_000)).astype(np.float32), rng.integers(0, 10_000, 256)),
        cross_entropy, (0,), None, "memory", tolerance=1e-4, repeats=3, engines=OURS_AND_TORCH,
    ),
    Workload(
        "layer norm, 2048 × 768, float32",
        lambda rng: tuple(rng.standard_normal(n).astype(np.float32) for n in ((2048, 768), 768, 768)),
        layer_norm, (0, 1, 2), None, "memory", tolerance=1e-3, repeats=3, engines=OURS_AND_TORCH,
    ),
    Workload(
        "causal attention, 4 × 8 heads × 128 × 64, float32",
        lambda rng: tuple(rng.standard_normal((3, 4, 8, 128, 64)).astype(np.float32)),
        attention, (0, 1, 2), None, "BLAS", tolerance=1e-4, repeats=3, engines=OURS_AND_TORCH,
    ),
    Workload(
        "svd, 120 × 120",
        lambda rng: (rng.standard_normal((120, 120)), rng.standard_normal((120, 120))),
        svd, (0,), None, "BLAS", tolerance=1e-6, repeats=3, engines=FACTORING,
    ),
    Workload(
        "eigh, 150 × 150",
        lambda rng: (rng.standard_normal((150, 150)), rng.standard_normal((150, 150))),
        eigh, (0,), None, "BLAS", tolerance=1e-6, repeats=3, engines=FACTORING,
    ),
    Workload("cholesky, 300 × 300", positive, cholesky, (0,), None, "BLAS", repeats=5, engines=FACTORING),
    Workload(
        "sort, 10⁶ numbers", lambda rng: tuple(rng.standard_normal((2, 1_000_000))),
        sort, (0,), None, "memory", repeats=2, engines=FACTORING,
    ),
    Workload(
        "cumprod, 500 × 2000",
        lambda rng: (rng.uniform(0.99, 1.01, (500, 2000)), rng.standard_normal((500, 2000))),
        cumprod, (0,), None, "memory", repeats=2, engines=(*OURS_AND_TORCH, "jax"),
    ),
    Workload(
        "10⁵ rows gathered from 10⁴ × 64",
        lambda rng: (
            rng.standard_normal((10_000, 64)), rng.integers(0, 10_000, 100_000), rng.standard_normal((100_000, 64)),
        ),
        gather, (0,), None, "memory", repeats=2, engines=FACTORING,
    ),
)  # fmt: skip
"""Rows of the table, after :data:`.workloads.WORKLOADS`."""
