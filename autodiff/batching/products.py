"""Products that sum over shared axes, on all examples at once: few large products of matrices, not many small ones."""

from __future__ import annotations

import functools
import math
import string
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import OPERATIONS
from ..op import Op
from ..ops.contract import conjugated
from ..ops.einsum import labels_of
from ..traced import is_compiled, surely
from .examples import Batched, aligned, everywhere, lifted, whole


def _array(x: Any) -> Any:
    return x if hasattr(x, "shape") else np.asarray(x)


def _needs(op: Op | None, *pairs: tuple[Any, int]) -> None:
    """NumPy's error where an example has fewer axes than a product takes: that of the batch would stand in for one."""
    if op is not None and any(x.ndim < least for x, least in pairs):
        op.forward(*(np.zeros(x.shape) for x, _ in pairs))


def _stacked(a: Any, b: Any, own_a: int, own_b: int) -> list[Any]:
    """Both arrays with as many axes in front of their own last ones."""
    stack = max(a.ndim - own_a, b.ndim - own_b)
    return [lifted(x, stack + own) if type(x) is Batched else x for x, own in ((a, own_a), (b, own_b))]


def matmul(op: Op, args: Any, params: Any, count: int) -> Any:
    """A batch on one side of one matrix makes one tall matrix of its rows (or columns)."""
    a, b = map(_array, args)
    _needs(op, (a, 1), (b, 1))
    if type(b) is not Batched and b.ndim <= 2:
        if a.ndim == 1 or b.ndim == 1:
            return np.matmul(a.array, b)
        *rows, n = a.array.shape
        return np.reshape(np.matmul(np.reshape(a.array, (math.prod(rows), n)), b), (*rows, b.shape[-1]))
    if type(a) is not Batched and a.ndim <= 2 and b.ndim == 1:
        return np.matmul(b.array, a.T)
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = Batched(a.array[:, None, :]) if type(a) is Batched else a[None, :]
    if column:
        b = Batched(b.array[:, :, None]) if type(b) is Batched else b[:, None]
    y = np.matmul(*_stacked(a, b, 2, 2))
    y = y[..., 0, :] if row else y
    return y[..., 0] if column else y


def contracted(a: Any, b: Any, of_a: list[int], of_b: list[int], count: int) -> Any:
    """The free axes of a, then those of b; the sum over these axes of both: one product of matrices."""
    free_a = [k for k in range(a.ndim) if k not in of_a]
    free_b = [k for k in range(b.ndim) if k not in of_b]
    shape = tuple(a.shape[k] for k in free_a) + tuple(b.shape[k] for k in free_b)
    summed = math.prod(a.shape[k] for k in of_a)
    left = _matrix(a, [*free_a, *of_a], (math.prod(a.shape[k] for k in free_a), summed))
    right = _matrix(b, [*of_b, *free_b], (summed, math.prod(b.shape[k] for k in free_b)))
    return np.reshape(matmul(None, (left, right), {}, count), (count, *shape))  # type: ignore[arg-type]


def _matrix(x: Any, order: list[int], shape: tuple[int, int]) -> Any:
    if type(x) is Batched:
        moved = np.transpose(x.array, (0, *(k + 1 for k in order)))
        return Batched(np.reshape(moved, (moved.shape[0], *shape)))
    return np.reshape(np.transpose(x, order), shape)


def tensordot(op: Op, args: Any, params: Any, count: int) -> Any:
    """Over the last axes of a and the first of b, or over those that are named."""
    a, b = map(_array, args)
    axes = params.get("axes", 2)
    if np.ndim(axes) == 0 and not isinstance(axes, (tuple, list)):
        n = int(axes)
        of_a, of_b = list(range(a.ndim - n, a.ndim)), list(range(n))
    else:
        of_a, of_b = (
            [normalize_axis_index(k, x.ndim) for k in (part if np.iterable(part) else (part,))]
            for part, x in zip(axes, (a, b), strict=True)
        )
    return contracted(a, b, of_a, of_b, count)


def dot(op: Op, args: Any, params: Any, count: int) -> Any:
    """The last axis of a with the last but one of b; of a number the product with it."""
    a, b = map(_array, args)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(*aligned((a, b)))
    return contracted(a, b, [a.ndim - 1], [max(b.ndim - 2, 0)], count)


def inner(op: Op, args: Any, params: Any, count: int) -> Any:
    """The last axis of both; of a number the product with it."""
    a, b = map(_array, args)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(*aligned((a, b)))
    return contracted(a, b, [a.ndim - 1], [b.ndim - 1], count)


def flattened(x: Any) -> Any:
    """Every example as a vector."""
    x = _array(x)
    if type(x) is Batched:
        return x if x.ndim == 1 else Batched(np.reshape(x.array, (x.array.shape[0], x.size)))
    return np.reshape(x, (-1,))


def outer(op: Op, args: Any, params: Any, count: int) -> Any:
    """Vectors as columns and rows."""
    a, b = map(flattened, args)
    left = a.array[:, :, None] if type(a) is Batched else a[:, None]
    right = b.array[:, None, :] if type(b) is Batched else b
    return np.multiply(left, right)


def vdot(op: Op, args: Any, params: Any, count: int) -> Any:
    """Of both as vectors, the first conjugated."""
    a, b = map(flattened, args)
    a = Batched(conjugated(a.array)) if type(a) is Batched else conjugated(a)
    return contracted(a, b, [0], [0], count)


def vecdot(op: Op, args: Any, params: Any, count: int) -> Any:
    """One axis of both, which is put last."""
    axis, args = params.get("axis", -1), tuple(map(_array, args))
    _needs(op, *((x, 1) for x in args))
    return op(*aligned(tuple(_last(x, axis) for x in args)))


def _last(x: Any, axis: int) -> Any:
    """That axis last."""
    k = normalize_axis_index(axis, x.ndim)
    if k == x.ndim - 1:
        return x
    return Batched(np.moveaxis(x.array, k + 1, -1)) if type(x) is Batched else np.moveaxis(x, k, -1)


def matvec(op: Op, args: Any, params: Any, count: int) -> Any:
    """Stacks of matrices beside stacks of vectors."""
    args = tuple(map(_array, args))
    _needs(op, (args[0], 2), (args[1], 1))
    return op(*_stacked(args[0], args[1], 2, 1))


def vecmat(op: Op, args: Any, params: Any, count: int) -> Any:
    """Stacks of vectors beside stacks of matrices."""
    args = tuple(map(_array, args))
    _needs(op, (args[0], 1), (args[1], 2))
    return op(*_stacked(args[0], args[1], 1, 2))


def kron(op: Op, args: Any, params: Any, count: int) -> Any:
    """Each axis of the result is a pair: one of a, one of b."""
    a, b = map(_array, args)
    n = max(a.ndim, b.ndim)
    shapes = [(1,) * (n - x.ndim) + x.shape for x in (a, b)]
    parts = []
    for number, (x, shape) in enumerate(zip((a, b), shapes, strict=True)):
        spread = tuple(m for length in shape for m in ((length, 1) if number == 0 else (1, length)))
        parts.append(np.reshape(x.array, (count, *spread)) if type(x) is Batched else np.reshape(x, spread))
    shape = tuple(p * q for p, q in zip(*shapes, strict=True))
    return np.reshape(np.multiply(*parts), (count, *shape))


def einsum(op: Op, args: Any, params: Any, count: int) -> Any:
    """One more letter, for the examples."""
    labels, result = labels_of(params["subscripts"], tuple(np.ndim(x) for x in args))
    used = set(result).union(*labels)
    letter = next(c for c in string.ascii_letters if c not in used)
    terms = [letter + own if type(x) is Batched else own for own, x in zip(labels, args, strict=True)]
    arrays = [x.array if type(x) is Batched else x for x in args]
    how = params.get("optimize", False)
    settings = {} if how is False else {"optimize": how if isinstance(how, (bool, str)) else True}
    return op(*arrays, subscripts=f"{','.join(terms)}->{letter}{result}", **settings)


def solve(op: Op, args: Any, params: Any, count: int) -> Any:
    """One matrix is factorised once: the right sides of all examples are columns beside each other."""
    a, b = map(_array, args)
    column = b.ndim == 1
    if column:
        b = Batched(b.array[:, :, None]) if type(b) is Batched else b[:, None]
    if type(a) is not Batched and a.ndim == 2 and b.ndim == 2:
        n, k = b.shape
        beside = np.reshape(np.moveaxis(b.array, 0, 1), (n, count * k))
        y = np.moveaxis(np.reshape(op(a, beside), (a.shape[1], count, k)), 1, 0)
    else:
        y = op(*_stacked(a, b, 2, 2))
    return y[..., 0] if column else y


# -- convolutions ------------------------------------------------------------------------------------------------------


def conv(op: Op, args: Any, params: Any, count: int) -> Any:
    """Images of all examples behind each other; kernels of their own make a group of channels of each example."""
    x, w = args
    if type(w) is not Batched:
        y = op(np.reshape(x.array, (count * x.shape[0], *x.shape[1:])), w, **params)
        return np.reshape(y, (count, x.shape[0], *y.shape[1:]))
    w = np.reshape(w.array, (count * w.shape[0], *w.shape[1:]))
    y = op(_as_channels(x, count), w, **{**params, "groups": params["groups"] * count})
    return np.moveaxis(np.reshape(y, (y.shape[0], count, -1, *y.shape[2:])), 1, 0)


def conv_weight(op: Op, args: Any, params: Any, count: int) -> Any:
    """Channels of all examples in groups of their own."""
    y = op(*(_as_channels(x, count) for x in args), **{**params, "groups": params["groups"] * count})
    return np.reshape(y, (count, -1, *y.shape[1:]))


def convolve(op: Op, args: Any, params: Any, count: int) -> Any:
    """Signals are images of one row; kernels of their own make a group of one channel of each example.

    The zeros that stand beside the signal there would make nan of an element of the kernel that is not finite. Where
    there may be one, the ends of the result, which the kernel hangs over, are summed by themselves.
    """
    a, v = args if args[0].shape[0] >= args[1].shape[0] else args[::-1]
    n, k, mode = a.shape[0], v.shape[0], params.get("mode", "full")
    cut = {"full": 0, "same": (k - 1) // 2, "valid": k - 1}[mode]
    kept = slice(cut, cut + {"full": n + k - 1, "same": n, "valid": n - k + 1}[mode])
    signal, kernel = (x.array if type(x) is Batched else x[None] for x in (a, v))
    if not count:
        return np.broadcast_to(signal[:, :1] * kernel[:, :1], (0, kept.stop - kept.start))
    over = 0 if _hangs_freely(kernel) else k - 1
    settings = {"stride": (1,), "padding": ((k - 1 - over,) * 2,), "dilation": (1,)}
    if type(v) is Batched:
        y = OPERATIONS["conv"](everywhere(a, count)[None], np.flip(kernel, 1)[:, None], **settings, groups=count)[0]
    else:
        y = OPERATIONS["conv"](signal[:, None, :], np.flip(kernel)[None], **settings, groups=1)[:, 0]
    if over:
        first = _beginning(signal[:, :over], kernel)
        last = np.flip(_beginning(np.flip(signal[:, -over:], 1), np.flip(kernel, 1)), 1)
        y = np.concatenate([first, y, last], axis=1)
    return y[:, kept]


LONG = 64
"""Elements of a kernel from which a program takes it for finite, which it cannot know: its ends would be many terms."""


def _hangs_freely(kernel: Any) -> bool:
    """Whether zeros beside the signal change nothing: an element of the kernel times 0 is 0."""
    k = kernel.shape[1]
    return bool(
        k == 1 or kernel.dtype.kind not in "fc" or (k > LONG and is_compiled(kernel))
        or surely(np.all(np.isfinite(kernel)))
    )  # fmt: skip


def _beginning(signal: Any, kernel: Any) -> Any:
    """The first results of a convolution, as many as these first elements of the signal: Σ over i ≤ j of sᵢ·vⱼ₋ᵢ."""
    n = signal.shape[1]
    terms = (np.pad(signal[:, i : i + 1] * kernel[:, : n - i], ((0, 0), (i, 0))) for i in range(n))
    return functools.reduce(np.add, terms)


def _as_channels(x: Any, count: int) -> Any:
    """The channels of all examples beside each other."""
    moved = np.moveaxis(everywhere(x, count), 0, 1)
    return np.reshape(moved, (moved.shape[0], -1, *moved.shape[3:]))


# -- tables ------------------------------------------------------------------------------------------------------------


def pick(op: Op, args: Any, params: Any, count: int) -> Any:
    """The tables of all examples behind each other."""
    t, j = args
    if type(t) is not Batched:
        return op(t, j.array)
    n = t.shape[0]
    return op(np.reshape(t.array, (count * n, *t.shape[1:])), _further(j, n, count))


def drop(op: Op, args: Any, params: Any, count: int) -> Any:
    """The transpose of it."""
    v, j, size = whole(args[0], count), args[1], params["size"]
    y = op(v.array, _further(j, size, count), size=size * count)
    return np.reshape(y, (count, size))


def _further(j: Any, n: int, count: int) -> Any:
    """Places in the table of each example, as places in all of them; negative ones count from the end of its own."""
    j = whole(j, count)
    first = np.reshape(np.arange(count) * n, (count,) + (1,) * j.ndim)
    return np.remainder(j.array, n) + first
