"""Discrete Fourier transforms, and the shifts that centre a spectrum.

The six transforms along one axis are the table; one sentence holds for them all: **the transpose of a transform is a
transform of the same norm.** The matrix of ``fft`` is symmetric, so ``fft`` and ``ifft`` are their own transposes.
``rfft`` keeps the first half of a spectrum of which ``hfft`` makes the whole again, so they are each other's, and so
are ``irfft`` and ``ihfft``: but for the frequencies strictly inside that half, which count twice in the whole, once
for themselves and once for their mirror images.

All else is composition: a length crops or pads the argument before it is transformed, and a transform along many axes
is one along each.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..apply import apply
from ..makers import at, composite, linear, refuse
from ..op import Op
from .index import along


def _weighted(half: Any, n: int, axis: int, weight: float) -> Any:
    """Half a spectrum of n points with this weight on the frequencies that have a mirror image: not 0, and not n/2."""
    k = np.arange(n // 2 + 1)
    weights = np.where((k == 0) | (2 * k == n), 1, weight).astype(np.finfo(half.dtype).dtype)
    return half * np.reshape(weights, (-1, *(1,) * (half.ndim - 1 - axis % half.ndim)))


# -- along one axis ----------------------------------------------------------------------------------------------------

_WHOLE = (
    at((5,)), at((4,)), at((1,)), at((3, 4), axis=0), at((2, 3), norm="ortho"), at((4, 2, 2), axis=-3, norm="forward"),
)  # fmt: skip

_HALF = (
    at((3,), n=4), at((3,), n=5), at((1,), n=1), at((2,), n=2), at((3, 2), n=5, axis=0),
    at((2, 4), n=6, norm="ortho"), at((3, 2, 2), n=4, axis=-3, norm="forward"),
)  # fmt: skip


def _own_transpose(f: Any) -> Op:
    return linear(
        f, lambda d, y, x, *, axis=-1, norm=None: f(d, axis=axis, norm=norm),
        numpy=(f,), examples=_WHOLE, formulas=(f"δx = {f.__name__}(δy)",),
    )  # fmt: skip


def _halving(f: Any, whole: Any) -> Op:
    """A transform that keeps half a spectrum, and the one that makes the whole of it."""
    return linear(
        f,
        lambda d, y, x, *, axis=-1, norm=None: whole(_weighted(d, x.shape[axis], axis, 0.5), x.shape[axis], axis, norm),
        numpy=(f,), examples=_WHOLE, formulas=(f"δx = {whole.__name__}(δy, inner frequencies halved)",),
    )  # fmt: skip


def _completing(f: Any, half: Any) -> Op:
    """A transform of half a spectrum of n points, and the one that keeps half."""
    return linear(
        f, lambda d, y, x, *, n, axis=-1, norm=None: _weighted(half(d, axis=axis, norm=norm), n, axis, 2),
        numpy=(f,), examples=_HALF, formulas=(f"δx = {half.__name__}(δy), inner frequencies doubled",),
    )  # fmt: skip


fft = _own_transpose(np.fft.fft)
ifft = _own_transpose(np.fft.ifft)
rfft = _halving(np.fft.rfft, np.fft.hfft)
hfft = _completing(np.fft.hfft, np.fft.rfft)
irfft = _completing(np.fft.irfft, np.fft.ihfft)
ihfft = _halving(np.fft.ihfft, np.fft.irfft)

# -- of another length -------------------------------------------------------------------------------------------------


def _fitted(a: Any, n: int, axis: int) -> Any:
    """The array cropped, or padded with zeros, to n along an axis."""
    missing = n - a.shape[axis]
    if missing < 0:
        return a[along(axis, a.ndim, slice(n))]
    return np.pad(a, [(0, missing if i == axis else 0) for i in range(a.ndim)]) if missing else a


def _of_length(op: Op) -> Any:
    """NumPy's transform along one axis; n is the length of the whole, of which some take only half."""
    half = "n" in op.accepts

    def composition(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Any:
        refuse(op.name, out=out)
        axis = normalize_axis_index(axis, a.ndim)
        n = operator.index(n if n is not None else 2 * (a.shape[axis] - 1) if half else a.shape[axis])
        if n < 1:
            raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
        settings = ({"n": n} if half else {}) | ({"axis": axis} if axis < a.ndim - 1 else {})
        settings |= {"norm": norm} if norm not in (None, "backward") else {}
        return apply(op, (_fitted(a, n // 2 + 1 if half else n, axis),), settings)

    return composite(*op.numpy)(composition)


for _op in (fft, ifft, rfft, hfft, irfft, ihfft):
    _of_length(_op)

# -- along many axes ---------------------------------------------------------------------------------------------------


def _lengths(shape: tuple[int, ...], s: Any, axes: Any, halved: bool) -> list[tuple[Any, int]]:
    """For each axis its length; by default, or for −1, that of the argument, of which the last one may be halved."""
    if axes is None:
        axes = range(len(shape)) if s is None else range(-len(s), 0)
    axes = list(axes)
    lengths = [shape[axis] for axis in axes] if s is None else list(s)
    if halved and s is None and axes:
        lengths[-1] = 2 * (lengths[-1] - 1)
    if len(lengths) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return [(shape[axis] if n == -1 else n, axis) for n, axis in zip(lengths, axes, strict=True)]


def _along_many(plain: Any, each: Any, last: Any, over: Any = None) -> Any:
    """NumPy's transform along many axes: `last` along the last of them, `each` along the others.

    The last comes first, so that the others transform the half that it keeps; where it makes the whole, it comes last.
    """

    def composition(a: Any, s: Any = None, axes: Any = over, norm: Any = None, out: Any = None) -> Any:
        refuse(plain.__name__, out=out)
        if s is not None and (axes is None or None in tuple(s)):
            plain(np.ones((1,) * a.ndim), s, axes)  # NumPy's own word on this: a warning
        steps = _lengths(a.shape, s, axes, last is np.fft.irfft)
        if not steps and last is not each:
            raise IndexError(f"{plain.__name__} transforms at least one axis")
        order = list(zip([each] * (len(steps) - 1) + [last], steps, strict=False))
        for transform, (n, axis) in order if last is np.fft.irfft else reversed(order):
            a = transform(a, n, axis, norm)
        return a

    return composite(plain)(composition)


for _n, _two, _each, _last in (
    (np.fft.fftn, np.fft.fft2, np.fft.fft, np.fft.fft),
    (np.fft.ifftn, np.fft.ifft2, np.fft.ifft, np.fft.ifft),
    (np.fft.rfftn, np.fft.rfft2, np.fft.fft, np.fft.rfft),
    (np.fft.irfftn, np.fft.irfft2, np.fft.ifft, np.fft.irfft),
):
    _along_many(_n, _each, _last)
    _along_many(_two, _each, _last, (-2, -1))

# -- shifts ------------------------------------------------------------------------------------------------------------


def _shift(plain: Any, sign: int) -> Any:
    """Frequency 0 to the middle of each axis, or back."""

    def composition(x: Any, axes: Any = None) -> Any:
        axes = tuple(range(x.ndim)) if axes is None else tuple(axes) if np.ndim(axes) else (axes,)
        return np.roll(x, tuple(sign * (x.shape[axis] // 2) for axis in axes), axes)

    return composite(plain)(composition)


_fftshift_of, _ifftshift_of = _shift(np.fft.fftshift, 1), _shift(np.fft.ifftshift, -1)
