"""Normalisation by mean and variance: of layers, batches and groups, and by the root mean square.

With m the mean, s² the variance plus eps and z = (x − m)/s, each is y = z·weight + bias, one operation whose reverse
rule takes two means. Large arrays are taken in blocks that stay in the cache from one step to the next.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..apply import as_array
from ..errors import SettingError, ShapeError, message
from ..makers import at, guard_whole, is_finite, op
from ..rules import unbroadcast
from ..traced import Traced, every, is_batched, plain
from .blocks import beside, each_block, merged
from .elementwise import away_from_zero
from .flat import stop_gradient
from .nn import refuse_complex
from .precision import floating, number, wide, widened

# -- the mathematics ---------------------------------------------------------------------------------------------------


def _mean(x: Any, axis: tuple[int, ...]) -> Any:
    if not _behind(x, axis):
        return np.mean(x, axis=axis, keepdims=True)
    rows = _joined(x, axis)
    if type(rows) is np.ndarray:
        mean = rows @ np.ones(rows.shape[-1], rows.dtype) / rows.shape[-1]  # BLAS sums faster than NumPy
    else:
        mean = np.mean(rows, axis=-1)
    return np.reshape(mean, (*x.shape[: -len(axis)], *(1,) * len(axis)))


def _mean_product(a: Any, b: Any, axis: tuple[int, ...]) -> Any:
    """The mean of a·b; along the last axes without the array of products."""
    if not _behind(a, axis):
        return np.mean(a * b, axis=axis, keepdims=True)
    a, b = _joined(a, axis), _joined(b, axis)
    return np.reshape(np.vecdot(a, b) / a.shape[-1], (*a.shape[:-1], *(1,) * len(axis)))


def _behind(x: Any, axis: tuple[int, ...]) -> int:
    """How many axes these are where they are the last ones, else 0."""
    return len(axis) if axis == tuple(range(x.ndim - len(axis), x.ndim)) else 0


def _joined(x: Any, axis: tuple[int, ...]) -> Any:
    """The last axes made one, along which NumPy sums faster."""
    lead = x.ndim - len(axis)
    return x if len(axis) == 1 else np.reshape(x, (*x.shape[:lead], math.prod(x.shape[lead:])))


def _standard(x: Any, axis: tuple[int, ...], eps: float, centred: bool) -> tuple[Any, Any, Any]:
    """The factors of z = u·a, u as large as x and a number for each group, and 1/s; z is 0 where s is 0."""
    u = x - _mean(x, axis) if centred else x
    held = u if is_batched(u) else plain(u)
    with np.errstate(over="ignore", under="ignore"):
        square = _mean_product(held, held, axis) + eps
    lost = (square == 0) | np.isinf(square)
    if np.any(every(lost)):
        return _standard_of_extremes(u, axis, eps, lost)
    r = 1 / np.sqrt(square if u is held else _mean_product(u, u, axis) + eps)
    return u, r, r


def _standard_of_extremes(u: Any, axis: tuple[int, ...], eps: float, lost: Any) -> tuple[Any, Any, Any]:
    """The same where squares overflow or vanish: of u divided by its largest element, which leaves u/s as it is."""
    size = np.max(np.abs(stop_gradient(u) if is_batched(u) else plain(u)), axis=axis, keepdims=True, initial=0)
    size = np.where(lost & (size > 0) & np.isfinite(size), size, 1)
    u = u / size
    with np.errstate(over="ignore", under="ignore"):
        a = 1 / away_from_zero(np.sqrt(_mean_product(u, u, axis) + (math.sqrt(eps) / size) ** 2))
    return u, a, a / size


def _projected(g: Any, u: Any, a: Any, r: Any, axis: tuple[int, ...], centred: bool) -> Any:
    """(g − mean g − z·mean(g·z))/s, the symmetric map from ẋ to ż and from δz to δx, in one array."""
    found = u * (-a * (a * _mean_product(u, g, axis)))  # a·a may be too small for a number
    found += g
    if centred:
        found -= _mean(g, axis)
    found *= r
    return found


def _scaled(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


def _reverse(
    d: Any, x: Any, weight: Any, bias: Any, axis: tuple[int, ...], eps: float, centred: bool, wanted: Any
) -> list[Any]:
    """The textbook's δx, δw and δb, those of them that are wanted."""
    d = widened(d)
    u, a, r = _standard(widened(x), axis, eps, centred)
    dx = _projected(_scaled(d, weight), u, a, r, axis, centred) if wanted[0] else None
    dw = unbroadcast(d * u * a, np.shape(weight)) if wanted[1:] and wanted[1] else None
    db = unbroadcast(d, np.shape(bias)) if wanted[2:] and wanted[2] else None
    return [dx, dw, db][: len(wanted)]


# -- rows, each normalised by itself, with a weight for each element of a row: in fewer steps over memory --------------


def _outer(a: Any, w: Any, out: Any) -> Any:
    """The products a·w of a column and a row, by BLAS: full arrays are multiplied faster than stretched ones."""
    column, row = np.zeros((len(a), 2), a.dtype), np.zeros((2, len(w)), w.dtype)  # with a zero: BLAS wants matrices
    column[:, :1], row[0] = a, w
    return np.matmul(column, row, out=out)


def _forward_of_rows(x: Any, w: Any, b: Any, eps: float, centred: bool, y: Any) -> None:
    """Into y the rows z·w + b."""
    u, a, _ = _standard(x, (1,), eps, centred)
    if w is None:
        np.multiply(u, a, out=y)
    else:
        y = _outer(a, w, y)
        y *= u
    if b is not None:
        y += b


def _reverse_of_rows(d: Any, x: Any, w: Any, eps: float, centred: bool, dx: Any) -> Any:
    """Into dx, if it is given, and as δw and δb, the same as :func:`_reverse`; sums are products with a vector."""
    u, a, r = _standard(x, (1,), eps, centred)
    product = d * u
    if dx is not None:
        w = np.ones(x.shape[1], x.dtype) if w is None else w
        shares = a * (product @ w / x.shape[1])[:, None] * a * r
        dx = _outer(r, w, dx)
        dx *= d
        dx -= np.multiply(u, shares, out=u if centred else None)
        if centred:
            dx -= r * (d @ w / x.shape[1])[:, None]
    return a[:, 0] @ product, np.ones(len(d), d.dtype) @ d


# -- plain arrays, in blocks -------------------------------------------------------------------------------------------


def _laid_out(x: Any, axis: tuple[int, ...], *parameters: Any) -> tuple[Any, tuple[int, ...], bool, list[Any]]:
    """The shape in which x is taken, the axes in that, whether it is rows, and weight and bias as they meet it.

    Rows are of one dtype with their weight and bias, so that each step can be taken in memory that is there.
    """
    tail = x.shape[x.ndim - len(axis) :]
    alike = all(p is None or (np.shape(p) in (tail, ()) and np.result_type(p, x) == x.dtype) for p in parameters)
    if alike and _behind(x, axis) and x.size and x.dtype == wide(x.dtype):
        n = math.prod(tail)
        rows = [None if p is None else np.array(np.broadcast_to(p, tail), x.dtype).ravel() for p in parameters]
        return (x.size // n, n), (1,), True, rows
    return *merged(x.shape, axis, parameters), False, list(parameters)


def _forward_in_blocks(x: Any, weight: Any, bias: Any, axis: tuple[int, ...], eps: float, centred: bool) -> Any:
    y = np.empty(x.shape, np.result_type(*(a for a in (x, weight, bias) if a is not None), np.float16))
    shape, axes, rows, (weight, bias) = _laid_out(x, axis, weight, bias)
    flat, target = np.reshape(x, shape), np.reshape(y, shape)

    def part(cut: Any) -> None:
        if rows:
            _forward_of_rows(flat[cut], weight, bias, eps, centred, target[cut])
            return
        w, b = (beside(p, cut, flat.ndim) for p in (weight, bias))
        u, a, _ = _standard(widened(flat[cut]), axes, eps, centred)
        z = _scaled(u * a, w)
        target[cut] = z if b is None else z + b

    each_block(part, shape, axes)
    return y


def _reverse_in_blocks(
    d: Any, x: Any, weight: Any, bias: Any, axis: tuple[int, ...], eps: float, centred: bool, wanted: Any
) -> list[Any]:
    """As :func:`_reverse`."""
    shapes, dtype = [np.shape(p) for p in (weight, bias)], np.result_type(d.dtype, np.float32)
    dx = np.empty(x.shape, dtype) if wanted[0] else None
    shape, axes, rows, (weight, bias) = _laid_out(x, axis, weight, bias)
    d, flat, target = np.reshape(d, shape), np.reshape(x, shape), None if dx is None else np.reshape(dx, shape)

    def part(cut: Any) -> Any:
        here = None if target is None else target[cut]
        if rows:
            return _reverse_of_rows(d[cut], flat[cut], weight, eps, centred, here)
        w, b = (beside(p, cut, flat.ndim) for p in (weight, bias))
        found = _reverse(d[cut], flat[cut], w, b, axes, eps, centred, wanted)
        if here is not None:
            here[...] = found[0]
        return found[1:]

    sums = [np.zeros(np.shape(p), dtype) if on else None for p, on in zip((weight, bias), wanted[1:], strict=False)]
    for cut, terms in each_block(part, shape, axes):
        for total, term in zip(sums, terms, strict=False):
            if total is not None:
                place = beside(total, cut, flat.ndim)
                place += term
    return [dx, *(s if s is None or s.shape == n else _fitted(s, n) for s, n in zip(sums, shapes, strict=False))]


def _fitted(s: Any, shape: tuple[int, ...]) -> Any:
    """The δ of a parameter that was laid along the axes, or that was one number, in its shape."""
    return np.reshape(s if shape else np.sum(s), shape)


# -- the operations ----------------------------------------------------------------------------------------------------


def _guard(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """The same without what is inf or nan in a group whose δ is zero throughout."""
    if is_finite(term):
        return term
    x, axis = args[0], params["axis"]
    reached = np.any(d != 0, axis=axis, keepdims=True) | np.all(np.isfinite(x), axis=axis, keepdims=True)
    clean = np.where(reached, x, np.zeros((), x.dtype))
    found = rule(d, y, clean, *args[1:], **params, wanted=tuple(i == k for i in range(len(args))))[k]
    return guard_whole(found, rule, k, d, y, args, params)  # a weight may be inf as well


def _normalisation(name: str, *, centred: bool, examples: Any, note: str = "") -> Any:
    """One operation of x, an optional weight and an optional bias, which stretch as NumPy stretches them."""

    def forward(x: Any, weight: Any = None, bias: Any = None, *, axis: Any, eps: float) -> Any:
        refuse_complex(name, x)
        return _forward_in_blocks(x, weight, bias, axis, eps, centred)

    def joint(
        d: Any, y: Any, x: Any, weight: Any = None, bias: Any = None, *, axis: Any, eps: float, wanted: Any
    ) -> tuple[Any, ...]:
        traced = any(isinstance(a, Traced) for a in (d, x, weight, bias))
        return tuple((_reverse if traced else _reverse_in_blocks)(d, x, weight, bias, axis, eps, centred, wanted))

    def of_x(t: Any, y: Any, x: Any, weight: Any = None, bias: Any = None, *, axis: Any, eps: float) -> Any:
        return _scaled(_projected(t, *_standard(widened(x), axis, eps, centred), axis, centred), weight)

    def of_weight(t: Any, y: Any, x: Any, weight: Any = None, bias: Any = None, *, axis: Any, eps: float) -> Any:
        u, a, _ = _standard(widened(x), axis, eps, centred)
        return u * a * t

    def of_bias(t: Any, y: Any, x: Any, weight: Any = None, bias: Any = None, *, axis: Any, eps: float) -> Any:
        return t

    return op(
        forward, joint=joint, jvps=(of_x, of_weight, of_bias), name=name, guard=_guard, examples=examples, note=note,
        formulas=(
            "δx = (δz − mean δz − z·mean(δz·z))/s, δz = δy·w" if centred else "δx = (δz − z·mean(δz·z))/s, δz = δy·w",
            "δw = δy·z, summed over where w was stretched",
            "δb = δy, summed over where b was stretched",
        ),
    )  # fmt: skip


_layer_norm = _normalisation(
    "layer_norm", centred=True, note="rows of equal elements give the bias; with eps = 0 their derivative is 0",
    examples=(
        at((3, 4), axis=(1,), eps=1e-5), at((2, 3, 4), (4,), axis=(2,), eps=0.1),
        at((2, 3, 4), (3, 4), (3, 4), axis=(1, 2), eps=0.0), at((4, 3), (4, 1), (4, 1), axis=(0,), eps=1e-3),
    ),
)  # fmt: skip
_rms_norm = _normalisation(
    "rms_norm", centred=False, note="with eps = 0 rows of zeros give zeros, with derivative 0",
    examples=(
        at((3, 4), axis=(1,), eps=1e-5), at((2, 3, 4), (4,), axis=(2,), eps=0.1),
        at((2, 3, 4), (3, 4), axis=(1, 2), eps=0.0),
    ),
)  # fmt: skip
_batch_norm = _normalisation(
    "batch_norm", centred=True,
    examples=(at((5, 3), axis=(0,), eps=1e-5), at((3, 2, 4), (2, 1), (2, 1), axis=(0, 2), eps=0.1)),
)  # fmt: skip
_group_norm = _normalisation(
    "group_norm", centred=True,
    examples=(
        at((2, 2, 3), axis=(2,), eps=1e-5), at((2, 2, 2, 3), (2, 2, 1), (2, 2, 1), axis=(2, 3), eps=0.1),
    ),
)  # fmt: skip

# -- as they are called ------------------------------------------------------------------------------------------------


def _epsilon(name: str, eps: Any) -> float:
    found = number(name, "eps", eps)
    if not found >= 0:
        raise SettingError(message(f"{name}: eps={eps!r}", "it is added to a variance", "eps=1e-5, or 0"))
    return found


def _axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in order."""
    if axis is None:
        what, instead = f"{name}: axis=None", "axis=tuple(range(x.ndim)) for all, axis=-1 for the last"
        raise SettingError(message(what, "the shape of the weight goes by the axes, so they are named", instead))
    return tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _laid(name: str, what: str, parameter: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """A parameter with one axis for each of these of x, laid along them."""
    if parameter is None:
        return None
    parameter, shape = as_array(parameter), tuple(x.shape[a] for a in axes)
    if parameter.shape != shape:
        raise ShapeError(
            message(
                f"{name}: a {what} of shape {parameter.shape} for x of shape {x.shape}",
                "it has one axis for each of the axes that it belongs to, as long as that of x",
                f"shape {shape}",
            )
        )
    if axes == tuple(range(x.ndim - len(axes), x.ndim)):
        return parameter
    return np.reshape(parameter, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))


def _parameters(name: str, weight: Any, bias: Any, x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    return _laid(name, "weight", weight, x, axes), _laid(name, "bias", bias, x, axes)


def _normalised(operation: Any, x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float) -> Any:
    if bias is not None:
        return operation(x, 1.0 if weight is None else weight, bias, axis=axes, eps=eps)
    return operation(x, axis=axes, eps=eps) if weight is None else operation(x, weight, axis=axes, eps=eps)


def layer_norm(x: Any, weight: Any = None, bias: Any = None, axis: Any = -1, eps: float = 1e-5) -> Any:
    """(x − mean)/√(variance + eps) along one or several axes, then ``· weight + bias``.

    Parameters
    ----------
    x : array_like
        Real numbers; half precision is computed in single.
    weight, bias : array_like, optional
        With one axis for each normalised axis of x.
    axis : int or tuple of int
        Over which mean and variance are taken.
    eps : float
        Keeps rows of equal elements finite; with 0 they give the bias, with derivative 0.

    Returns
    -------
    array with the shape of x

    Raises
    ------
    ShapeError
        Where a weight or bias does not have the lengths of these axes of x.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), eps=0.0)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    x, eps = floating(x), _epsilon("layer_norm", eps)
    axes = _axes("layer_norm", axis, x.ndim)
    return _normalised(_layer_norm, x, *_parameters("layer_norm", weight, bias, x, axes), axes, eps)


def rms_norm(x: Any, weight: Any = None, axis: Any = -1, eps: float = 1e-6) -> Any:
    """x/√(mean of x² + eps) along one or several axes, then ``· weight``.

    Parameters
    ----------
    x : array_like
        Real numbers; half precision is computed in single.
    weight : array_like, optional
        With one axis for each normalised axis of x.
    axis : int or tuple of int
    eps : float
        Keeps rows of zeros finite; with 0 they stay zeros, with derivative 0.

    Returns
    -------
    array with the shape of x

    Raises
    ------
    ShapeError
        Where a weight does not have the lengths of these axes of x.

    References
    ----------
    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.rms_norm(np.array([1.0, -7.0]), eps=0.0)
    array([ 0.2, -1.4])
    """
    x, eps = floating(x), _epsilon("rms_norm", eps)
    axes = _axes("rms_norm", axis, x.ndim)
    return _normalised(_rms_norm, x, *_parameters("rms_norm", weight, None, x, axes), axes, eps)


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, axis: int = 1, eps: float = 1e-5
) -> Any:
    """The channels of each example in groups; each group normalised by its own mean and variance.

    Parameters
    ----------
    x : array_like
        Shape (batch, …), channels along `axis`.
    num_groups : int
        Divides the number of channels. 1 normalises all channels together, their number each alone (instance
        normalisation).
    weight, bias : array_like, optional
        One number a channel.
    axis : int
        Where the channels stand, not 0.
    eps : float

    Returns
    -------
    array with the shape of x

    Raises
    ------
    SettingError
        Where the groups do not divide the channels, and where `axis` is that of the batch.
    ShapeError
        Where a weight or bias does not have one number a channel.

    References
    ----------
    Wu and He, "Group normalization", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    x, eps = floating(x), _epsilon("group_norm", eps)
    place = normalize_axis_index(axis, x.ndim)
    if place == 0:
        what = f"group_norm: axis={axis} of shape {x.shape}"
        raise SettingError(message(what, "axis 0 is the batch, of which each is taken alone", "axis=1, or x[None]"))
    channels = x.shape[place]
    weight, bias = (_laid("group_norm", what, p, x, (place,)) for what, p in (("weight", weight), ("bias", bias)))
    if not hasattr(num_groups, "__index__") or num_groups < 1 or channels % num_groups:
        raise SettingError(
            message(
                f"group_norm: {num_groups} groups of {channels} channels",
                "all groups have the same number of channels",
                f"a whole number of groups that divides {channels}",
            )
        )
    split = (*x.shape[:place], num_groups, channels // num_groups, *x.shape[place + 1 :])
    axes = tuple(i for i in range(1, len(split)) if i != place)
    beside = (num_groups, channels // num_groups, *(1,) * (len(split) - place - 2))
    weight, bias = (None if p is None else np.reshape(p, beside) for p in (weight, bias))
    return np.reshape(_normalised(_group_norm, np.reshape(x, split), weight, bias, axes, eps), x.shape)


def batch_norm(
    x: Any, running: Any = None, weight: Any = None, bias: Any = None, *,
    training: bool, momentum: float = 0.1, axis: int = 1, eps: float = 1e-5,
) -> tuple[Any, Any]:  # fmt: skip
    """Each channel normalised over the batch: by the batch's own statistics, or by running ones.

    A pure function: running statistics come in and go out, and nothing is kept.

    Parameters
    ----------
    x : array_like
        Shape (batch, …), channels along `axis`.
    running : pair of arrays, optional
        Mean and variance of each channel so far. May be left out when training: the batch's own are then returned.
    weight, bias : array_like, optional
        One number a channel.
    training : bool
        Whether to normalise by the batch, and to move the running statistics towards it.
    momentum : float
        How far: ``(1 − momentum) · running + momentum · batch``, the batch's variance being the unbiased one.
    axis : int
        Where the channels stand.
    eps : float

    Returns
    -------
    y : array with the shape of x
    running : pair of arrays
        Constants: no derivative passes through them. In at least single precision; they do not raise the precision of
        y, which is that of x, weight and bias. When not training, those that were given.

    Raises
    ------
    SettingError
        Where running statistics are needed and not given, or are no pair.
    ShapeError
        Where statistics, a weight or a bias do not have one number a channel.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
    2015.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> x = np.array([[1.0], [3.0]])
    >>> y, running = ad.nn.batch_norm(x, (np.zeros(1), np.ones(1)), training=True, eps=0.0)
    >>> y.ravel(), running
    (array([-1.,  1.]), (array([0.2]), array([1.1])))
    >>> ad.nn.batch_norm(x, (np.ones(1), np.ones(1)), training=False, eps=0.0)[0].ravel()
    array([0., 2.])
    """
    x, eps, momentum = floating(x), _epsilon("batch_norm", eps), number("batch_norm", "momentum", momentum)
    place = (normalize_axis_index(axis, x.ndim),)
    weight, bias = _parameters("batch_norm", weight, bias, x, place)
    along = None if running is None else _statistics(running, x, place)
    if training:
        axes = tuple(i for i in range(x.ndim) if i not in place)
        return _normalised(_batch_norm, x, weight, bias, axes, eps), _moved(along, plain(x), axes, momentum)
    if along is None:
        raise SettingError(
            message(
                "batch_norm: no running statistics",
                "without training the batch's own are not used",
                "pass running=(mean, variance) as training returned them, or training=True",
            )
        )
    dtype = np.result_type(*(p.dtype for p in (x, weight, bias) if p is not None))
    mean, variance = along
    mean, scale = (s.astype(wide(dtype), copy=False) for s in (mean, 1 / np.sqrt(variance + eps)))
    y = (widened(x) - mean) * (scale if weight is None else scale * weight)
    return (y if bias is None else y + bias).astype(dtype, copy=False), running


def _statistics(running: Any, x: Any, place: tuple[int, ...]) -> tuple[Any, Any]:
    """Mean and variance of each channel, laid along x, in at least single precision."""
    if not isinstance(running, (tuple, list)) or len(running) != 2:
        what = f"batch_norm: running is {type(running).__name__}{f' of {len(running)}' * hasattr(running, '__len__')}"
        raise SettingError(message(what, "it is a pair", "running=(mean, variance), as training returned them"))
    mean, variance = (
        _laid("batch_norm", what, widened(floating(s)), x, place)
        for what, s in zip(("running mean", "running variance"), running, strict=True)
    )
    return mean, variance


def _moved(running: Any, x: Any, axes: tuple[int, ...], momentum: float) -> tuple[Any, Any]:
    """Running statistics after one more batch."""
    x = widened(x)
    mean = np.mean(x, axis=axes)
    variance = np.var(x, axis=axes, ddof=1 if x.size > mean.size else 0)
    if running is None:
        return mean, variance
    old = (np.reshape(plain(s), mean.shape) for s in running)
    mean, variance = ((1 - momentum) * s + momentum * new for s, new in zip(old, (mean, variance), strict=True))
    return mean, variance
