"""Scaled dot-product attention: softmax(q·kᵀ/√n + mask)·v, one operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import DtypeError, SettingError, ShapeError, message
from ..makers import at, op
from ..rules import unbroadcast
from .nn import refuse_complex
from .precision import floating, number, wide, widened


def _turned(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _probabilities(scores: Any) -> Any:
    """Softmax along the last axis, into the scores themselves; zeros where all of a row is masked."""
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    scores -= np.where(np.isfinite(top), top, 0)
    np.exp(scores, out=scores)
    total = np.sum(scores, axis=-1, keepdims=True)
    scores /= np.where(total == 0, 1, total)
    return scores


def _usual(n: int) -> float:
    """1/√n; with nothing to compare, n = 0, all scores are 0 whatever it is."""
    return 1 / math.sqrt(max(n, 1))


def _attend(q: Any, k: Any, v: Any, mask: Any = None, *, scale: Any = None, causal: bool = False) -> Any:
    """Half precision is computed in single: sums over many keys, and scores of long vectors, overflow."""
    refuse_complex("attention", q, k, *(() if mask is None else (mask,)))
    likely = np.result_type(q, k, *(() if mask is None or mask.dtype == bool else (mask,)))
    q, k = widened(q), widened(k)
    scores = np.matmul(q * (_usual(q.shape[-1]) if scale is None else scale), _turned(k))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    p = _probabilities(scores)
    y = np.matmul(p, v.astype(wide(v.dtype), copy=False))
    return y.astype(np.result_type(likely, v), copy=False), p.astype(likely, copy=False)


def _attended(
    d: Any, y: Any, q: Any, k: Any, v: Any, mask: Any = None, *, scale: Any = None, causal: bool = False, wanted: Any
) -> tuple[Any, ...]:
    """δp = δy·vᵀ beside what the probabilities themselves were used for; the scores get δs = p·(δp − Σ δp·p)."""
    (dy, own), p = d, widened(y[1])
    q, k, v = widened(q), widened(k), widened(v)
    scale = _usual(q.shape[-1]) if scale is None else scale
    dp = 0.0 if dy is None else unbroadcast(np.matmul(dy, _turned(v)), p.shape)
    dp = dp if own is None else dp + own
    ds = p * (dp - np.vecdot(p, dp)[..., None])
    dq = unbroadcast(np.matmul(ds, k) * scale, q.shape) if wanted[0] else None
    dk = unbroadcast(np.matmul(_turned(ds), q) * scale, k.shape) if wanted[1] else None
    dv = None
    if wanted[2]:
        dv = np.zeros(v.shape, v.dtype) if dy is None else unbroadcast(np.matmul(_turned(p), dy), v.shape)
    dmask = unbroadcast(ds, mask.shape) if wanted[3:] and wanted[3] else None
    return (dq, dk, dv, dmask)[: len(wanted)]


_attention = op(
    _attend, joint=_attended, results=True, name="attention",
    examples=(
        at((4, 4), (3, 4), (3, 2)), at((2, 3, 4), (1, 3, 4), (3, 4), causal=True),
        at((2, 2), (3, 2), (3, 2), scale=0.3),
        at((2, 2, 4), (2, 3, 4), (2, 3, 2), (2, 3)), at((2, 1, 2, 4), (3, 4), (2, 3, 2), (2, 1, 1, 3)),
        at((3, 4), (3, 4), (3, 2), (3, 3), draw=(None, None, None, lambda rng, shape: np.eye(*shape) > 0), causal=True),
    ),
    formulas=("δq = δs·k/√n, δs = p·(δp − Σ δp·p), δp = δy·vᵀ", "δk = δsᵀ·q/√n", "δv = pᵀ·δy", "δmask = δs"),
    note="results: y and the probabilities p; a row in which all is masked gives zeros, with derivative 0",
)  # fmt: skip


def attention(
    q: Any, k: Any, v: Any, mask: Any = None, *,
    causal: bool = False, scale: float | None = None, heads: int | None = None, return_weights: bool = False,
) -> Any:  # fmt: skip
    """Scaled dot-product attention: softmax(q·kᵀ/√n + mask)·v over the last two axes.

    Parameters
    ----------
    q : array_like
        Shape (…, length, n).
    k : array_like
        Shape (…, size, n).
    v : array_like
        Shape (…, size, m). Leading axes stretch as NumPy stretches them.
    mask : array_like, optional
        Stretches to (…, length, size). Of booleans: True where a query may look at a key. Of floats: added to the
        scores, −inf to shut out; it has a derivative. A query that may look at nothing gets zeros, with derivative 0.
    causal : bool
        Query i may look at keys up to i only. Together with a mask both must allow it.
    scale : float, optional
        In place of 1/√n.
    heads : int, optional
        Split the last axis of q, k and v into so many heads, attend in each alone, and join the results. A mask then
        stretches to (…, heads, length, size).
    return_weights : bool
        Return the probabilities as well.

    Returns
    -------
    array of shape (…, length, m), and the probabilities (…, length, size) where asked for

    Raises
    ------
    SettingError
        Where the heads do not divide the last axis.
    DtypeError
        For a mask of integers: added to the scores, zeros would shut nothing out.
    ShapeError
        Where q, k or v has less than two axes.

    References
    ----------
    Vaswani et al., "Attention is all you need", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> ad.nn.attention(x, x, x, causal=True)[0]
    array([1., 0.])
    """
    q, k, v = floating(q), floating(k), floating(v)
    if min(q.ndim, k.ndim, v.ndim) < 2:
        what, why = f"attention: shapes {q.shape}, {k.shape} and {v.shape}", "q is (…, length, n), k and v (…, size, n)"
        raise ShapeError(message(what, why, "q[None, :] for a single query, k[:, None] for keys of one number"))
    if heads is not None:
        q, k, v = (_split(x, heads) for x in (q, k, v))
    settings: dict[str, Any] = {"causal": True} if causal else {}
    if scale is not None:
        settings["scale"] = number("attention", "scale", scale)
    y, p = _attention(q, k, v, **settings) if mask is None else _attention(q, k, v, _mask(mask), **settings)
    if heads is not None:
        y = np.swapaxes(y, -2, -3)
        y = np.reshape(y, (*y.shape[:-2], y.shape[-2] * y.shape[-1]))
    return (y, p) if return_weights else y


def _mask(mask: Any) -> Any:
    mask = as_array(mask)
    if mask.dtype.kind in "iu":
        raise DtypeError(
            message(
                f"attention: a mask of dtype {mask.dtype}",
                "zeros and ones would be added to the scores, and shut nothing out",
                "mask.astype(bool), True where a query may look; or floats, −inf to shut out",
            )
        )
    return mask


def _split(x: Any, heads: int) -> Any:
    """(…, length, heads·n) as (…, heads, length, n)."""
    if not hasattr(heads, "__index__") or heads < 1 or x.shape[-1] % heads:
        raise SettingError(
            message(
                f"attention: {heads} heads for a last axis of {x.shape[-1]}",
                "each head takes an equal part of it",
                f"a whole number of heads that divides {x.shape[-1]}",
            )
        )
    return np.swapaxes(np.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads)), -2, -3)
