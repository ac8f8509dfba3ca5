"""Convolution as an operation: one trilinear form, of which three operations are the derivatives.

    T(x, w, e) = Σ over n, o, i, p, k of  e[n, o, p] · w[o, i, k] · x[n, i, p·stride + k·dilation − padding]

with o and i in the same group. conv is ∂T/∂e, conv_transpose ∂T/∂x, conv_weight ∂T/∂w: each is bilinear in the two that
it takes, and its two rules are the two others, so that derivatives of every order are these three operations again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import SettingError, ShapeError, message
from ..makers import at, bilinear
from ..op import Op
from . import convolution as arrays
from .precision import floating
from .window import around, each, lengths

# -- the three operations ----------------------------------------------------------------------------------------------


def _settings(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def _examples(form: Any) -> tuple[Any, ...]:
    """The same cases for each of the three, written as `form` takes its shapes."""
    found = []
    for size, kernel, stride, padding, dilation, groups, channels in (
        ((6,), (3,), (1,), ((0, 0),), (1,), 1, (2, 3)),
        ((7,), (3,), (2,), ((1, 2),), (2,), 2, (4, 4)),
        ((4, 5), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1), 1, (2, 3)),
        ((6, 5), (3, 3), (2, 3), ((1, 1), (2, 0)), (1, 2), 1, (3, 2)),
        ((5, 4), (2, 3), (2, 1), ((3, 0), (1, 1)), (3, 1), 2, (2, 4)),
        ((4, 4), (2, 2), (1, 1), ((2, 2), (3, 3)), (1, 1), 1, (1, 1)),
        ((3, 4, 3), (2, 2, 3), (2, 1, 1), ((0, 1), (1, 0), (1, 1)), (1, 2, 1), 2, (4, 2)),
        ((3, 3, 4), (1, 2, 2), (1, 1, 2), ((0, 0), (1, 0), (0, 1)), (1, 1, 1), 3, (3, 3)),
    ):
        out = lengths(size, kernel, stride, padding, dilation)
        x, w, e = (2, channels[0], *size), (channels[1], channels[0] // groups, *kernel), (2, channels[1], *out)
        found.append(form(x, w, e, _settings(stride, padding, dilation, groups)))
    return tuple(found)


_conv: Op = bilinear(
    arrays.conv,
    lambda e, y, x, w, *, stride, padding, dilation, groups: apply(
        _conv_transpose, (e, w), {"size": x.shape[2:], **_settings(stride, padding, dilation, groups)}
    ),
    lambda e, y, x, w, *, stride, padding, dilation, groups: apply(
        _conv_weight, (x, e), {"kernel": w.shape[2:], **_settings(stride, padding, dilation, groups)}
    ),
    name="conv",
    examples=_examples(lambda x, w, e, settings: at(x, w, **settings)),
    formulas=("δx = conv_transpose(δy, w)", "δw = conv_weight(x, δy)"),
    note="y[p] = Σ over k of w[k]·x[p·stride + k·dilation − padding], summed over the channels of a group",
)

_conv_transpose: Op = bilinear(
    arrays.conv_transpose,
    lambda d, y, e, w, *, size, stride, padding, dilation, groups: apply(
        _conv, (d, w), _settings(stride, padding, dilation, groups)
    ),
    lambda d, y, e, w, *, size, stride, padding, dilation, groups: apply(
        _conv_weight, (d, e), {"kernel": w.shape[2:], **_settings(stride, padding, dilation, groups)}
    ),
    name="conv_transpose",
    examples=_examples(lambda x, w, e, settings: at(e, w, size=x[2:], **settings)),
    formulas=("δe = conv(δy, w)", "δw = conv_weight(δy, e)"),
    note="the transpose of conv with respect to x",
)

_conv_weight: Op = bilinear(
    arrays.conv_weight,
    lambda d, y, x, e, *, kernel, stride, padding, dilation, groups: apply(
        _conv_transpose, (e, d), {"size": x.shape[2:], **_settings(stride, padding, dilation, groups)}
    ),
    lambda d, y, x, e, *, kernel, stride, padding, dilation, groups: apply(
        _conv, (x, d), _settings(stride, padding, dilation, groups)
    ),
    name="conv_weight",
    examples=_examples(lambda x, w, e, settings: at(x, e, kernel=w[2:], **settings)),
    formulas=("δx = conv_transpose(e, δy)", "δe = conv(x, δy)"),
    note="the transpose of conv with respect to w",
)

# -- as they are called ------------------------------------------------------------------------------------------------


def _batched(name: str, x: Any, w: Any) -> tuple[Any, Any, bool]:
    """Both as arrays, x with a batch axis, and whether it had none."""
    x, w = floating(x), floating(w)
    if not 3 <= w.ndim <= 5 or x.ndim not in (w.ndim, w.ndim - 1):
        what = f"{name}: x of shape {x.shape} and w of shape {w.shape}"
        why = "x is (n, channels, …) or (channels, …), w (results, channels, …), both with the same 1 to 3 axes behind"
        raise ShapeError(message(what, why, "x[:, None] or w[:, None] for a single channel"))
    return (x, w, False) if x.ndim == w.ndim else (np.expand_dims(x, 0), w, True)


def _facing(x: Any, w: Any, groups: int) -> None:
    """Refuse a w whose first axis is not the channels of x, in the words of the transpose."""
    channels = x.shape[1]
    if w.shape[0] == channels and channels % groups == 0:
        return
    what = f"conv_transpose: {channels} channels and w of shape {w.shape} in {groups} groups"
    why = "w is (channels, results / groups, …), as conv takes it for the way back, and each group has as many channels"
    instead = f"w of shape ({channels}, {'results' if groups == 1 else f'results / {groups}'}, …)"
    if channels % groups:
        instead = f"a number of groups that divides {channels}"
    elif groups == 1 and w.shape[1] == channels:
        instead += ": this one is np.swapaxes(w, 0, 1)"
    raise ShapeError(message(what, why, instead))


def _biased(name: str, y: Any, bias: Any, rank: int) -> Any:
    if bias is None:
        return y
    bias = as_array(bias)
    if bias.shape != (y.shape[1],):
        what = f"{name}: a bias of shape {bias.shape} for {y.shape[1]} results"
        raise ShapeError(message(what, "the bias has one number for each result", f"shape ({y.shape[1]},)"))
    return y + np.reshape(bias, (-1, *(1,) * rank))


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Slide kernels over one, two or three axes and sum the products: the convolution of neural networks.

    ``y[n, o, p] = bias[o] + Σ over i, k of w[o, i, k]·x[n, i, p·stride + k·dilation − padding]``

    Parameters
    ----------
    x : array_like, shape (n, channels, …) or (channels, …)
        One to three axes at the end are slid along.
    w : array_like, shape (results, channels / groups, …)
        A kernel for each result; it is not reversed.
    bias : array_like, shape (results,), optional
    stride, dilation : int or tuple of int
        How far the kernel moves, and how far apart its elements stand, along each axis.
    padding : int, tuple of int, tuple of pairs, "valid" or "same"
        Zeros around x: on both edges, or before and behind. "valid" is none; "same" gives ⌈n / stride⌉ results, and
        where the number of zeros is odd one more stands behind.
    groups : int
        Channels and results are divided into so many groups that do not see each other.

    Returns
    -------
    array of shape (n, results, …) or (results, …)
        Along a slid axis of length n there are ⌊(n + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1 elements, where
        padding is that of both edges together.

    Raises
    ------
    ShapeError
        Where channels, groups, kernel and bias do not fit, or the kernel is longer than the padded axis.
    SettingError
        For a stride, dilation or padding that means nothing.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> x, w = np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[1.0, -1.0]]])
    >>> ad.nn.conv(x, w)
    array([[-1., -2., -4.]])
    >>> ad.nn.conv(x, w, stride=2, padding="same").shape
    (1, 2)
    """
    x, w, alone = _batched("conv", x, w)
    rank, groups = w.ndim - 2, each("conv", "groups", groups, 1, 1)[0]
    steps, spread = each("conv", "stride", stride, rank, 1), each("conv", "dilation", dilation, rank, 1)
    edges = around("conv", padding, x.shape[2:], w.shape[2:], steps, spread)
    y = apply(_conv, (x, w), {"stride": steps, "padding": edges, "dilation": spread, "groups": groups})
    y = _biased("conv", y, bias, rank)
    return y[0] if alone else y


def conv_transpose(
    x: Any, w: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Put a kernel down for each element of x and sum where they overlap: the transpose of :func:`conv`.

    Along an axis of length n the result has (n − 1)·stride + dilation·(kernel − 1) + 1 + output_padding elements, less
    the padding.

    Parameters
    ----------
    x : array_like, shape (n, channels, …) or (channels, …)
    w : array_like, shape (channels, results / groups, …)
        As :func:`conv` takes it for the way back.
    bias : array_like, shape (results,), optional
    stride, dilation, groups
        As in :func:`conv`.
    padding : int, tuple of int, tuple of pairs, "valid" or "same"
        What is cut off the result; "same" leaves n·stride elements.
    output_padding : int or tuple of int
        By how much the result is longer behind: several lengths have a convolution of length n.

    Returns
    -------
    array of shape (n, results, …) or (results, …)

    Raises
    ------
    ShapeError, SettingError
        As :func:`conv`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.conv_transpose(np.array([[1.0, 2.0]]), np.array([[[1.0, 1.0, 1.0]]]), stride=2)
    array([[1., 1., 3., 2., 2.]])
    """
    x, w, alone = _batched("conv_transpose", x, w)
    name, rank = "conv_transpose", w.ndim - 2
    groups = each(name, "groups", groups, 1, 1)[0]
    steps, spread = each(name, "stride", stride, rank, 1), each(name, "dilation", dilation, rank, 1)
    more = each(name, "output_padding", output_padding, rank, 0)
    same = isinstance(padding, str) and padding == "same"
    if any(m >= (1 if same else s) for m, s in zip(more, steps, strict=True)):
        what = f"{name}: output_padding={output_padding!r} with padding={padding!r} and stride {steps}"
        raise SettingError(message(what, "no convolution leads from there to x", "less than the stride, 0 with same"))
    _facing(x, w, groups)
    whole = tuple(n * s for n, s in zip(x.shape[2:], steps, strict=True))
    edges = around(name, padding, whole, w.shape[2:], steps, spread)
    axes = zip(x.shape[2:], w.shape[2:], steps, spread, edges, more, strict=True)
    size = whole if same else tuple((n - 1) * s + d * (k - 1) + 1 - a - b + m for n, k, s, d, (a, b), m in axes)
    if min(size) < 1:
        what = f"{name}: padding={padding!r} leaves a result of {size}"
        raise ShapeError(message(what, "so much is cut off that nothing is left", "a smaller padding"))
    settings = {"size": size, "stride": steps, "padding": edges, "dilation": spread, "groups": groups}
    y = _biased(name, apply(_conv_transpose, (x, w), settings), bias, rank)
    return y[0] if alone else y
