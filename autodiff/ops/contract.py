"""Products that sum over shared axes.

Each is linear in each of its arguments, so the δ of one argument is again such a product: of δY with the others, over
the axes that this argument does not have. Adjoints are plain transposes; only the products that NumPy itself conjugates
(vdot, vecdot, vecmat) conjugate in their rules.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..apply import apply, as_array
from ..makers import at, bilinear, composite, refuse
from ..rules import unbroadcast
from ..traced import plain


def transposed(x: Any) -> Any:
    """The last two axes swapped: a view."""
    return np.swapaxes(x, -1, -2)


def conjugated(x: Any) -> Any:
    """The complex conjugate; a real array as it is, without a copy."""
    return np.conj(x) if x.dtype.kind == "c" else x


# -- matrices and stacks of them: the shapes of two matrices come first, they are what is multiplied most --------------


def _matmul_left(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δA = δY·Bᵀ, with a vector standing for a row on the left and a column on the right."""
    if b.ndim == 2:
        return d @ b.T if a.ndim > 1 else b @ d
    if b.ndim == 1:
        return d[..., None] * b if a.ndim > 1 else d * b
    if a.ndim == 1:
        return unbroadcast(np.matmul(b, d[..., None])[..., 0], a.shape)
    return unbroadcast(np.matmul(d, transposed(b)), a.shape)


def _matmul_right(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δB = Aᵀ·δY. A stack of matrices on the left of one matrix is one tall matrix."""
    if a.ndim == 2 and b.ndim <= 2:
        return a.T @ d if b.ndim == 2 else d @ a
    if a.ndim == 1:
        return a * d if b.ndim == 1 else unbroadcast(a[:, None] * d[..., None, :], b.shape)
    if b.ndim <= 2:
        rows = math.prod(a.shape[:-1])
        tall = np.reshape(a, (rows, a.shape[-1]))
        return tall.T @ np.reshape(d, (rows, *b.shape[1:]))
    return unbroadcast(np.matmul(transposed(a), d), b.shape)


matmul = bilinear(
    np.matmul,
    _matmul_left,
    _matmul_right,
    numpy=(np.matmul, np.linalg.matmul),
    examples=(
        at((3, 4), (4, 2)), at((4,), (4, 2)), at((3, 4), (4,)), at((4,), (4,)), at((2, 3, 4), (4, 2)),
        at((2, 3, 4), (4,)), at((4,), (2, 4, 3)), at((2, 1, 3, 4), (5, 4, 2)), at((3, 4), (2, 4, 2)),
        at((3, 0), (0, 2)), at((1, 1), (1, 1)),
    ),
    formulas=("δA = δY·Bᵀ", "δB = Aᵀ·δY"),
)  # fmt: skip


# -- one axis of each: y = Σ conj(a)·b, y = A·b, y = conj(a)·B ---------------------------------------------------------


def _along(x: Any, axis: int) -> Any:
    """That axis last."""
    return x if axis == -1 else np.moveaxis(x, axis, -1)


def _back(x: Any, shape: tuple[int, ...], axis: int) -> Any:
    """From a broadcast array whose last axis is the summed one to the argument of this shape."""
    if axis == -1:
        return unbroadcast(x, shape)
    rest = list(shape)
    rest.append(rest.pop(axis))
    return np.moveaxis(unbroadcast(x, tuple(rest)), -1, axis)


vecdot = bilinear(
    np.vecdot,
    lambda d, y, a, b, *, axis=-1: _back(conjugated(d[..., None] * _along(b, axis)), a.shape, axis),
    lambda d, y, a, b, *, axis=-1: _back(d[..., None] * conjugated(_along(a, axis)), b.shape, axis),
    numpy=(np.vecdot, np.linalg.vecdot),
    examples=(
        at((4,), (4,)), at((3, 4), (4,)), at((3, 1, 4), (2, 4)), at((4, 3), (4, 3), axis=0), at((4,), (4, 3), axis=0),
    ),
    formulas=("δa = conj(δy·b)", "δb = δy·conj(a)"),
)  # fmt: skip

if hasattr(np, "matvec"):  # NumPy 2.2 and later
    matvec = bilinear(
        np.matvec,
        lambda d, y, a, b: unbroadcast(d[..., :, None] * b[..., None, :], a.shape),
        lambda d, y, a, b: unbroadcast(np.matmul(transposed(a), d[..., None])[..., 0], b.shape),
        numpy=(np.matvec,),
        examples=(at((3, 4), (4,)), at((2, 3, 4), (4,)), at((3, 4), (2, 4)), at((2, 1, 3, 4), (5, 4))),
        formulas=("δA = δy·bᵀ", "δb = Aᵀ·δy"),
    )
    vecmat = bilinear(
        np.vecmat,
        lambda d, y, a, b: unbroadcast(conjugated(np.matmul(b, d[..., None])[..., 0]), a.shape),
        lambda d, y, a, b: unbroadcast(conjugated(a)[..., :, None] * d[..., None, :], b.shape),
        numpy=(np.vecmat,),
        examples=(at((3,), (3, 4)), at((2, 3), (3, 4)), at((3,), (2, 3, 4)), at((5, 3), (2, 1, 3, 4))),
        formulas=("δa = conj(B·δy)", "δB = conj(a)·δyᵀ"),
    )


# -- the same along other axes: NumPy's generalised ufuncs take axes=[of a, of b, of y] --------------------------------


def _with_axes(product: Any) -> Any:
    """The product called as NumPy's ufunc is."""

    def last(x: Any, axes: Any) -> Any:
        places = (axes,) if isinstance(axes, int) else tuple(axes)
        return np.moveaxis(x, places, tuple(range(-len(places), 0))) if places else x

    def call(a: Any, b: Any, /, *, axes: Any = None, **settings: Any) -> Any:
        if axes is None:
            return apply(product, (a, b), settings)
        a, b = (last(as_array(x), place) for x, place in zip((a, b), axes[:2], strict=True))
        y = apply(product, (a, b), settings)
        places = () if len(axes) == 2 else (axes[2],) if isinstance(axes[2], int) else tuple(axes[2])
        return np.moveaxis(y, tuple(range(-len(places), 0)), places) if places else y

    return composite(*product.numpy)(call)


_with_axes(matmul)
_with_axes(vecdot)
if hasattr(np, "matvec"):
    _with_axes(matvec)
    _with_axes(vecmat)


# -- any axes of any two arrays ----------------------------------------------------------------------------------------


def _paired(axes: Any, dims: int, other: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """For tensordot's `axes`: the summed axes of each argument, pair by pair, then the free axes of each."""
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(dims - int(axes), dims)), list(range(int(axes)))
    else:
        left, right = ([int(i) for i in np.atleast_1d(part)] for part in axes)
        left, right = [i % dims for i in left], [i % other for i in right]
    return left, right, [i for i in range(dims) if i not in left], [i for i in range(other) if i not in right]


def _arranged(x: Any, order: list[int]) -> Any:
    """An array whose axis k is to become axis ``order[k]``."""
    if order == sorted(order):
        return x
    return np.transpose(x, tuple(order.index(i) for i in range(len(order))))


def _tensordot_left(d: Any, y: Any, a: Any, b: Any, *, axes: Any = 2) -> Any:
    """δA: δY and B summed over B's free axes, which stand last in δY."""
    left, right, free, others = _paired(axes, a.ndim, b.ndim)
    da = np.tensordot(d, b, (list(range(len(free), d.ndim)), others))
    return _arranged(da, free + [left[right.index(i)] for i in sorted(right)])


def _tensordot_right(d: Any, y: Any, a: Any, b: Any, *, axes: Any = 2) -> Any:
    """δB: A and δY summed over A's free axes, which stand first in δY."""
    left, right, others, free = _paired(axes, a.ndim, b.ndim)
    db = np.tensordot(a, d, (others, list(range(len(others)))))
    return _arranged(db, [right[left.index(i)] for i in sorted(left)] + free)


tensordot = bilinear(
    np.tensordot,
    _tensordot_left,
    _tensordot_right,
    numpy=(np.tensordot, np.linalg.tensordot),
    examples=(
        at((2, 3, 4), (3, 4, 5)), at((3, 4), (4, 2), axes=1), at((3,), (2, 2), axes=0), at((3, 4), (2, 4), axes=(1, 1)),
        at((2, 3, 4), (4, 5, 2), axes=((0, 2), (2, 0))), at((2, 3, 4), (4, 3, 2), axes=([-1, 0], [0, -1])),
        at((3, 4), (3, 4), axes=((0, 1), (0, 1))),
    ),
    formulas=("δA = Σ over B's free axes of δY·B", "δB = Σ over A's free axes of A·δY"),
)  # fmt: skip


def _dot_left(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δA: δY and B summed over B's axes but the last but one, which A's last axis meets."""
    if a.ndim == 0 or b.ndim == 0:
        return unbroadcast(d * b, a.shape)
    if b.ndim == 1:
        return d[..., None] * b
    if b.ndim == 2:
        return np.dot(d, b.T)
    return np.tensordot(d, b, (list(range(a.ndim - 1, d.ndim)), [*range(b.ndim - 2), b.ndim - 1]))


def _dot_right(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δB: A and δY summed over A's axes but the last."""
    if a.ndim == 0 or b.ndim == 0:
        return unbroadcast(a * d, b.shape)
    if a.ndim == 2 and b.ndim == 2:
        return a.T @ d
    rows = list(range(a.ndim - 1))
    db = np.tensordot(a, d, (rows, rows))
    return np.moveaxis(db, 0, -2) if b.ndim > 2 else db


dot = bilinear(
    np.dot,
    _dot_left,
    _dot_right,
    numpy=(np.dot,),
    signature=("a", "b", "out"),
    examples=(
        at((3, 4), (4, 2)), at((4,), (4,)), at((3, 4), (4,)), at((4,), (4, 2)), at((), (3, 2)), at((3, 2), ()),
        at((), ()), at((2, 3, 4), (4,)), at((2, 3, 4), (4, 2)), at((4,), (2, 4, 3)), at((2, 3, 4), (5, 4, 2)),
    ),
    formulas=("δA = δY·Bᵀ", "δB = Aᵀ·δY"),
)  # fmt: skip


def _inner_left(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δA: δY and B summed over B's axes but the last."""
    if a.ndim == 0 or b.ndim == 0:
        return unbroadcast(d * b, a.shape)
    return np.tensordot(d, b, b.ndim - 1)


def _inner_right(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δB: δY and A summed over A's axes but the last."""
    if a.ndim == 0 or b.ndim == 0:
        return unbroadcast(a * d, b.shape)
    rows = list(range(a.ndim - 1))
    return np.tensordot(d, a, (rows, rows))


inner = bilinear(
    np.inner,
    _inner_left,
    _inner_right,
    numpy=(np.inner,),
    signature=("a", "b"),
    examples=(
        at((4,), (4,)), at((3, 4), (2, 4)), at((3, 4), (4,)), at((2, 3, 4), (5, 1, 4)), at((), (3,)), at((3, 2), ()),
    ),
    formulas=("δA = δY·B", "δB = δYᵀ·A"),
)  # fmt: skip

vdot = bilinear(
    np.vdot,
    lambda d, y, a, b: np.reshape(conjugated(d * b), a.shape),
    lambda d, y, a, b: np.reshape(d * conjugated(a), b.shape),
    numpy=(np.vdot,),
    signature=("a", "b"),
    examples=(at((4,), (4,)), at((2, 3), (2, 3)), at((2, 3), (6,)), at((), ())),
    formulas=("δa = conj(δy·b)", "δb = δy·conj(a)"),
)

outer = bilinear(
    np.outer,
    lambda d, y, a, b: np.reshape(d @ np.reshape(b, (-1,)), a.shape),
    lambda d, y, a, b: np.reshape(np.reshape(a, (-1,)) @ d, b.shape),
    numpy=(np.outer,),
    signature=("a", "b", "out"),
    examples=(at((3,), (4,)), at((2, 2), (3,)), at((), (3,)), at((3,), (1, 2))),
    formulas=("δa = δY·b", "δb = a·δY"),
)


@composite(np.linalg.outer)
def _outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they are x1.ndim={np.ndim(x1)} and x2.ndim={np.ndim(x2)}."
        )
    return outer(x1, x2)


def _blocks(d: Any, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Any, int, tuple[int, ...], tuple[int, ...]]:
    """A δ of kron(a, b) with a's axes first and b's last, the number of each, and both shapes filled up with ones."""
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    pairs = np.reshape(d, tuple(length for pair in zip(a, b, strict=True) for length in pair))
    return np.transpose(pairs, (*range(0, 2 * n, 2), *range(1, 2 * n, 2))), n, a, b


def _kron_left(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δA: each block of δY against B."""
    d, n, _, filled = _blocks(d, a.shape, b.shape)
    return np.reshape(np.tensordot(d, np.reshape(b, filled), n), a.shape)


def _kron_right(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δB: the blocks of δY, each times its element of A."""
    d, n, filled, _ = _blocks(d, a.shape, b.shape)
    return np.reshape(np.tensordot(np.reshape(a, filled), d, n), b.shape)


kron = bilinear(
    np.kron,
    _kron_left,
    _kron_right,
    numpy=(np.kron,),
    examples=(at((2, 3), (2, 2)), at((3,), (2,)), at((2,), (2, 3)), at((2, 1, 2), (3, 2)), at((), (2, 2))),
    formulas=("δA = Σ over B's axes of δY·B", "δB = Σ over A's axes of A·δY"),
)

cross = bilinear(
    np.cross,
    lambda d, y, a, b: unbroadcast(np.cross(b, d), a.shape),
    lambda d, y, a, b: unbroadcast(np.cross(d, a), b.shape),
    examples=(at((3,), (3,)), at((4, 3), (4, 3)), at((4, 3), (3,)), at((1, 3), (2, 4, 3))),
    formulas=("δa = b × δy", "δb = δy × a"),
    note="vectors of three components along the last axis; np.cross with other axes moves them there",
)


@composite(np.cross)
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vectors last. One of two components lies in the plane; of two such NumPy keeps the third component alone."""
    if axis is not None:
        axisa = axisb = axisc = axis
    axisa = normalize_axis_index(axisa, np.ndim(a), msg_prefix="axisa")
    axisb = normalize_axis_index(axisb, np.ndim(b), msg_prefix="axisb")
    planar = [np.shape(x)[k] == 2 for x, k in ((a, axisa), (b, axisb))]
    if any(planar) or np.shape(a)[axisa] != 3 or np.shape(b)[axisb] != 3:
        np.cross(plain(a), plain(b), axisa, axisb, axisc)  # NumPy's own word on these lengths, a warning or an error
    a, b = _along(as_array(a), axisa), _along(as_array(b), axisb)
    if all(planar):
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (_in_space(x) if flat else x for x, flat in zip((a, b), planar, strict=True))
    y = cross(a, b)
    return y if axisc == -1 else np.moveaxis(y, -1, axisc)


def _in_space(x: Any) -> Any:
    """Vectors of two components with a third one that is zero."""
    return np.concatenate([x, np.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)


@composite(np.linalg.cross)
def _cross_along(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    if np.shape(x1)[axis] != 3 or np.shape(x2)[axis] != 3:
        return np.linalg.cross(plain(x1), plain(x2), axis=axis)  # which raises
    return _cross(x1, x2, axis=axis)


@composite(np.linalg.multi_dot)
def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """A chain of products in the cheapest order, by the lengths alone; the ends may be vectors."""
    refuse("linalg.multi_dot", out=out)
    arrays = list(arrays)
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(arrays) == 2:
        return dot(*arrays)
    first, last = arrays[0].ndim == 1, arrays[-1].ndim == 1
    for position, x in enumerate(arrays):
        if x.ndim != 2 and not (x.ndim == 1 and position in (0, len(arrays) - 1)):
            raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given. Array must be two-dimensional")
    ends = (1 if first else arrays[0].shape[0], 1 if last else arrays[-1].shape[1])
    lengths = [ends[0], *(x.shape[0] for x in arrays[1:]), ends[1]]
    count = len(arrays)
    # best[i, j] = (multiplications, where it is split) of the cheapest product of matrices i … j
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(count)}
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + lengths[i] * lengths[k + 1] * lengths[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        split = best[i, j][1]
        return arrays[i] if i == j else dot(product(i, split), product(split + 1, j))

    return product(0, count - 1)
