"""Losses, each in the form that stays accurate where its argument is extreme.

First the rules, then the functions as they are called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..apply import as_array
from ..errors import LabelError, SettingError, ShapeError, message
from ..makers import at, elementwise, op
from ..traced import is_unknown, plain
from .blocks import each_block, in_blocks
from .elementwise import sigmoid as _sigmoid
from .layers import positions
from .nn import refuse_complex, relu
from .precision import alike, floating, number, wide
from .reduce import guard_groups
from .softmax import log_softmax, softmax

# -- cross entropy with numbers of classes: log Σ exp(x) − x[label] ----------------------------------------------------


def _each_rows(part: Any, x: Any, labels: Any, axis: int) -> None:
    """Call ``part(rows, scores, labels)`` for rows of scores in blocks, of which large ones share the threads."""
    table = np.reshape(np.moveaxis(x, axis, -1), (labels.size, x.shape[axis]))
    given = np.ravel(labels)
    each_block(lambda cut: part(cut[0], table[cut], given[cut[0]]), table.shape, (1,))


def _exponentials(x: Any, labels: Any, e: Any) -> tuple[Any, Any, Any]:
    """Into e exp(x − max x) with a zero at the label; the sum of it, what stood at the label, and max x − x[label].

    The sum without the label keeps its digits where the label is nearly certain; 1 − p would lose them.
    """
    here = np.arange(len(x)), labels
    top = np.max(x, axis=1)
    np.subtract(x, np.where(np.isfinite(top), top, 0)[:, None], out=e, dtype=e.dtype)
    np.exp(e, out=e)
    hit = e[here]
    e[here] = 0
    return e @ np.ones(e.shape[1], e.dtype), hit, top - x[here]  # BLAS sums faster than NumPy


def _from_exponentials(x: Any, w: Any, labels: Any, axis: int, wanted: tuple[bool, bool]) -> tuple[Any, Any]:
    """The losses, and their gradient (softmax(x) − onehot(label))·w; those of them that are wanted."""
    refuse_complex("cross_entropy", x)
    moved = np.moveaxis(x, axis, -1)
    dtype = wide(x.dtype) if w is None else np.result_type(wide(x.dtype), w)
    y = np.zeros(labels.size, dtype) if wanted[0] else None
    dx = np.empty(moved.shape, dtype) if wanted[1] else None
    table, w = (None, None) if dx is None else (np.reshape(dx, (labels.size, x.shape[axis])), np.ravel(w))

    def part(rows: Any, scores: Any, given: Any) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):  # a row of nothing but −inf has no softmax
            e = np.empty(scores.shape, dtype) if table is None else table[rows]
            rest, hit, gap = _exponentials(scores, given, e)
            if y is not None:
                y[rows] = np.where(gap == 0, np.log1p(rest / hit), np.log(rest + hit) + gap)
            if table is not None:
                scale = w[rows] / (rest + hit)
                e *= scale[:, None]
                e[np.arange(len(given)), given] = -rest * scale

    _each_rows(part, x, labels, axis)
    losses = None if y is None else np.reshape(y, labels.shape).astype(np.result_type(x, np.float16), copy=False)[()]
    if dx is not None:
        dx = (dx if axis == -1 else np.moveaxis(dx, -1, axis)).astype(np.result_type(x, w, np.float16), copy=False)
    return losses, dx


def _cross_entropy_of(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return _from_exponentials(x, None, labels, axis, (True, False))[0]


def _delta_of(x: Any, w: Any, labels: Any, *, axis: int = -1) -> Any:
    return _from_exponentials(x, w, labels, axis, (False, True))[1]


def cross_entropy_with_delta(x: Any, w: Any, labels: Any, *, axis: int = -1) -> tuple[Any, Any]:
    """What `cross_entropy` and `cross_entropy_delta` are, of the same exponentials."""
    return _from_exponentials(x, w, labels, axis, (True, True))


def _slope(x: Any, labels: Any, axis: int) -> Any:
    return _cross_entropy_delta(x, np.ones(np.shape(labels), x.dtype), labels, axis=axis)


def _curved(d: Any, y: Any, x: Any, w: Any, labels: Any, *, axis: int = -1) -> Any:
    """The sum Σ δy·p is taken as δy[label] + Σ δy·slope, which does not cancel where the label is nearly certain."""
    own = np.take_along_axis(d, np.expand_dims(labels, axis), axis)
    inner = d - own - np.sum(d * _slope(x, labels, axis), axis=axis, keepdims=True)
    return softmax(x, axis) * inner * np.expand_dims(w, axis)


def _labelled(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(0, 3, shape)


_cross_entropy_delta = op(
    _delta_of,
    _curved,
    lambda d, y, x, w, labels, *, axis=-1: np.sum(d * _slope(x, labels, axis), axis=axis),
    None,
    jvps=(_curved, lambda t, y, x, w, labels, *, axis=-1: _slope(x, labels, axis) * np.expand_dims(t, axis), None),
    name="cross_entropy_delta",
    examples=(
        at((3,), (), (), draw=(None, None, _labelled)), at((4, 3), (4,), (4,), draw=(None, None, _labelled)),
        at((2, 3, 4), (2, 4), (2, 4), axis=1, draw=(None, None, _labelled)),
    ),
    formulas=("δx = w·p·(δy − Σ δy·p), p = softmax(x)", "δw = Σ δy·(p − onehot(label))", "0 (labels)"),
    note="the δ of cross_entropy: (softmax(x) − onehot(label))·w",
)  # fmt: skip
_cross_entropy = op(
    _cross_entropy_of,
    lambda d, y, x, labels, *, axis=-1: _cross_entropy_delta(x, d, labels, axis=axis),
    None,
    jvps=(lambda t, y, x, labels, *, axis=-1: np.sum(_slope(x, labels, axis) * t, axis=axis), None),
    name="cross_entropy", guard=guard_groups,
    examples=(
        at((3,), (), draw=(None, _labelled)), at((4, 3), (4,), axis=-1, draw=(None, _labelled)),
        at((2, 3, 4), (2, 4), axis=1, draw=(None, _labelled)),
    ),
    formulas=("δx = (softmax(x) − onehot(label))·δy", "0 (labels)"), note="a row of nothing but −inf is nan",
)  # fmt: skip

# -- pointwise ---------------------------------------------------------------------------------------------------------


def _bce_of(x: Any, t: Any) -> Any:
    """Where x is infinite and t says the same, 0·inf is 0."""
    refuse_complex("binary_cross_entropy", np.asarray(x), np.asarray(t))
    with np.errstate(invalid="ignore"):
        rest = np.log1p(np.exp(np.minimum(x, -x)))
        y = np.maximum(x, 0) - x * t + rest
        if np.isfinite(y).all():
            return y
        return np.where(t == 1, 0, (1 - t) * np.maximum(x, 0)) + np.where(t == 0, 0, t * np.maximum(-x, 0)) + rest


def _bce_slope(x: Any, t: Any) -> Any:
    """σ(x) − t, which for t near 1 is taken as (1 − t) − σ(−x): nothing cancels where the loss is nearly zero."""
    near_one = (t > 0.5).astype(x.dtype)
    sign = 1 - 2 * near_one
    return sign * _sigmoid(sign * x) + (near_one - t)


_bce_reverse = in_blocks(lambda d, x, t: d * _bce_slope(x, t))

_bce = elementwise(
    in_blocks(_bce_of),
    lambda d, y, x, t: _bce_reverse(d, x, t),
    lambda d, y, x, t: -d * x,
    name="binary_cross_entropy", smooth=((-3.0, 3.0), (0.1, 0.9)),
    formulas=("δx = δy·(σ(x) − t)", "δt = −δy·x"),
    edges=(((np.inf, 1.0), (0.0, None)), ((-np.inf, 1.0), (-1.0, None)), ((0.0, 0.0), (0.5, 0.0))),
    note="the limits: it is linear in z far out; a label is data where it is None",
)  # fmt: skip


def _huber_of(x: Any, *, delta: float = 1.0) -> Any:
    refuse_complex("huber", np.asarray(x))
    if delta == np.inf:
        return np.square(x) / 2
    size = np.abs(x)
    quadratic = np.minimum(size, delta)
    return quadratic * (size - quadratic / 2)


_huber = elementwise(
    _huber_of, lambda d, y, x, *, delta=1.0: d * np.clip(x, -delta, delta),
    name="huber", smooth=((-0.9, 0.9),), edges=((0.0, 0.0), (1.0, 1.0), (-np.inf, -1.0)),
    examples=(at((3, 4)), at((2, 3), delta=4.0), at((2, 3), draw=lambda rng, shape: rng.uniform(1.1, 3, shape))),
    formulas=("δx = δy·clip(x, −δ, δ)",), note="the second derivative is ½ on the bounds",
)  # fmt: skip

# -- as they are called ------------------------------------------------------------------------------------------------


def _reduced(losses: Any, reduction: str) -> Any:
    reduction = reduction if isinstance(reduction, str) else repr(reduction)
    if reduction == "mean":
        return np.mean(losses)
    if reduction == "sum":
        return np.sum(losses)
    if reduction == "none":
        return losses
    raise SettingError(
        message(f"reduction={reduction!r}", "there are three ways", 'reduction="mean", "sum" or "none"')
    )


def _difference(prediction: Any, target: Any) -> Any:
    """Prediction − target, of one shape: stretching one of them is nearly always a mistake."""
    prediction, target = alike(prediction, target)
    if np.shape(prediction) != np.shape(target):
        raise ShapeError(
            message(
                f"a prediction of shape {np.shape(prediction)} and a target of shape {np.shape(target)}",
                "stretched against each other every prediction would be compared with every target",
                "give them the same shape: np.reshape, or np.broadcast_to where it is meant",
            )
        )
    return prediction - target


def mse(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error (prediction − target)².

    Parameters
    ----------
    prediction, target : array_like
        Real numbers, of one shape.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array with the shape of the prediction

    Raises
    ------
    DtypeError
        For complex numbers.
    ShapeError
        Where the shapes differ.
    SettingError
        For another `reduction`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.mse(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    """
    error = _difference(prediction, target)
    refuse_complex("mse", error)
    return _reduced(np.square(error), reduction)


def mae(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The absolute error abs(prediction − target); its derivative is 0 where both are equal.

    Parameters
    ----------
    prediction, target : array_like
        Of one shape.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array with the shape of the prediction

    Raises
    ------
    ShapeError
        Where the shapes differ.
    SettingError
        For another `reduction`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.mae)(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array([ 0. , -0.5])
    """
    return _reduced(np.abs(_difference(prediction, target)), reduction)


def huber(prediction: Any, target: Any, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Half the squared error e²/2 where abs(e) ≤ delta, and delta·(abs(e) − delta/2) beyond.

    Parameters
    ----------
    prediction, target : array_like
        Real numbers, of one shape.
    delta : float
        Positive; with inf it is half the squared error everywhere.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array with the shape of the prediction

    Raises
    ------
    ShapeError
        Where the shapes differ.
    SettingError
        For another `reduction`, and for a delta that is not positive.

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.huber(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    delta = number("huber", "delta", delta)
    if not delta > 0:
        raise SettingError(message(f"huber: delta={delta!r}", "it is a distance", "a positive number"))
    return _reduced(_huber(_difference(prediction, target), delta=delta), reduction)


def hinge(scores: Any, labels: Any, reduction: str = "mean") -> Any:
    """max(0, 1 − label·score) for labels −1 and 1; where label·score is 1 the derivative is half of that below.

    Parameters
    ----------
    scores : array_like
        Real numbers.
    labels : array_like
        −1 or 1, in the shape of the scores.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array with the shape of the scores

    Raises
    ------
    LabelError
        For another label.
    SettingError
        For another `reduction`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.hinge(np.array([0.5, 2.0]), np.array([1, 1]))
    np.float64(0.25)
    """
    scores = floating(scores)
    refuse_complex("hinge", scores)
    return _reduced(relu(1 - _signs(labels, scores.shape).astype(scores.dtype) * scores), reduction)


def cross_entropy(
    logits: Any, labels: Any, axis: int = -1, *,
    label_smoothing: float = 0.0, ignore_index: int | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """−log softmax(logits) at the label, or averaged over soft labels.

    Parameters
    ----------
    logits : array_like
        Real numbers; the classes stand along `axis`.
    labels : array_like
        Of integers: the number of the right class, in the shape of the logits without `axis`. Of floats: the
        probability of each class, in the shape of the logits.
    axis : int
    label_smoothing : float
        From 0 to 1: how much of each label is spread evenly over all classes.
    ignore_index : int, optional
        Rows with this label cost nothing, and the mean is taken over the others; over none at all it is 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array in the shape of the logits without `axis`

    Raises
    ------
    DtypeError
        Where labels are neither integers nor floats.
    LabelError
        Where a label is no number of a class.
    SettingError
        For a smoothing outside [0, 1], soft labels with `ignore_index`, another `reduction`.
    ShapeError
        Where the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> logits = np.array([[0.0, 0.0], [1000.0, 0.0]])
    >>> ad.nn.cross_entropy(logits, np.array([0, 1]), reduction="none")
    array([6.93147181e-01, 1.00000000e+03])
    >>> ad.grad(ad.nn.cross_entropy)(logits, np.array([0, 1]))
    array([[-0.25,  0.25],
           [ 0.5 , -0.5 ]])
    """
    logits, labels = as_array(logits), as_array(labels)
    _refuse_swapped("cross_entropy", logits, labels)
    logits, axis = floating(logits), _place("cross_entropy", axis, logits.ndim)
    label_smoothing = number("cross_entropy", "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise SettingError(message(f"label_smoothing={label_smoothing!r}", "it is a share", "a number from 0 to 1"))
    if labels.dtype.kind == "f":
        if ignore_index is not None:
            raise SettingError(
                message("ignore_index with soft labels", "they name no class", "give rows to ignore labels of zeros")
            )
        _same_shape("cross_entropy", labels.shape, logits.shape)
        refuse_complex("cross_entropy", logits)
        losses = _soft_cross_entropy(logits, labels, axis, label_smoothing)
        return _reduced(losses, reduction)
    losses, kept = _at_labels("cross_entropy", _cross_entropy, logits, labels, axis, ignore_index)
    if label_smoothing:
        spread = -np.mean(log_softmax(logits, axis), axis=axis)
        losses = spread if label_smoothing == 1 else (1 - label_smoothing) * losses + label_smoothing * spread
    return _reduced_over(losses, kept, reduction)


def nll(
    log_probabilities: Any, labels: Any, axis: int = -1, *, ignore_index: int | None = None, reduction: str = "mean"
) -> Any:
    """The negative log likelihood: minus the log probability at the label.

    Parameters
    ----------
    log_probabilities : array_like
        As :func:`log_softmax` gives them; the classes stand along `axis`.
    labels : array_like of int
        The number of the right class, in the shape of the log probabilities without `axis`.
    axis : int
    ignore_index : int, optional
        Rows with this label cost nothing, and the mean is taken over the others; over none at all it is 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array in the shape of the log probabilities without `axis`

    Raises
    ------
    DtypeError, LabelError
        Where a label is no integer, or no number of a class.
    SettingError
        For another `reduction`.
    ShapeError
        Where the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.nll(np.log(np.array([[0.25, 0.75]])), np.array([0]))
    np.float64(1.3862943611198906)
    """
    log_p, labels = as_array(log_probabilities), as_array(labels)
    _refuse_swapped("nll", log_p, labels)
    losses, kept = _at_labels("nll", _minus_at, floating(log_p), labels, _place("nll", axis, log_p.ndim), ignore_index)
    return _reduced_over(losses, kept, reduction)


def binary_cross_entropy_with_logits(logits: Any, targets: Any, reduction: str = "mean") -> Any:
    """−t·log σ(x) − (1 − t)·log(1 − σ(x)), accurate for logits of any size.

    Parameters
    ----------
    logits : array_like
        Real numbers.
    targets : array_like
        From 0 to 1, in the shape of the logits.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    number, or with "none" an array with the shape of the logits

    Raises
    ------
    SettingError
        For another `reduction`.
    ShapeError
        Where the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.binary_cross_entropy_with_logits(np.array([-1000.0, 0.0]), np.array([0.0, 1.0]), reduction="none")
    array([0.        , 0.69314718])
    """
    logits, targets = alike(logits, targets)
    _same_targets("binary_cross_entropy_with_logits", targets.shape, logits.shape)
    return _reduced(_bce(logits, targets), reduction)


def kl_divergence(
    log_predictions: Any, targets: Any, axis: int = -1, *, log_targets: bool = False, reduction: str = "mean"
) -> Any:
    """Σ p·(log p − log q) along an axis, the divergence of the targets p from the predictions q.

    Parameters
    ----------
    log_predictions : array_like
        log q, as :func:`log_softmax` gives it.
    targets : array_like
        p, or log p where `log_targets` says so; in the shape of the predictions. Where p is zero the term is zero, and
        so are its derivatives.
    axis : int
        Along which the probabilities stand.
    reduction : {"mean", "sum", "none"}
        Over what is left.
    log_targets : bool
        Whether the targets are log p.

    Returns
    -------
    number, or with "none" an array in the shape of the predictions without `axis`

    Raises
    ------
    SettingError
        For another `reduction`.
    ShapeError
        Where the shapes differ.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", 1951.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.kl_divergence(np.log(np.array([0.5, 0.5])), np.array([1.0, 0.0]))
    np.float64(0.6931471805599453)
    """
    log_q, targets = alike(log_predictions, targets)
    _same_targets("kl_divergence", targets.shape, log_q.shape)
    _refuse_names("kl_divergence", axis)
    p = np.exp(targets) if log_targets else targets
    there = p != 0
    log_p = np.where(there, targets, 0) if log_targets else np.log(np.where(there, targets, 1))
    terms = np.where(there, p, 0) * (log_p - np.where(there, log_q, 0))
    return _reduced(np.sum(terms, axis=axis), reduction)


# -- what they share ---------------------------------------------------------------------------------------------------


def _same_shape(name: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if given != wanted:
        raise ShapeError(
            message(
                f"{name}: labels of shape {given} where {wanted} is needed",
                "each number of a class belongs to one row of scores, each probability to one score",
                f"labels of shape {wanted}; one-hot rows of integers as floats: labels.astype(float)",
            )
        )


def _same_targets(name: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if given != wanted:
        why = "each target belongs to one prediction; stretched, every one would be compared with many"
        instead = f"targets of shape {wanted}: np.reshape, or np.broadcast_to where it is meant"
        raise ShapeError(message(f"{name}: targets of shape {given} for predictions of shape {wanted}", why, instead))


def _refuse_swapped(name: str, scores: Any, labels: Any) -> None:
    """Labels in the place of the scores would be told of their shape alone."""
    if scores.dtype.kind in "iu" and labels.dtype.kind == "f" and labels.ndim == scores.ndim + 1:
        what = f"{name}: first integers of shape {scores.shape}, then floats of shape {labels.shape}"
        why = "the scores stand before the labels: the two are swapped"
        raise ShapeError(message(what, why, f"{name}(scores, labels)"))


def _place(name: str, axis: Any, ndim: int) -> int:
    """The axis along which the classes stand, counted from the front."""
    _refuse_names(name, axis)
    if not hasattr(axis, "__index__"):
        raise SettingError(message(f"{name}: axis={axis!r}", "the classes stand along one axis", "its number: axis=-1"))
    return normalize_axis_index(axis, ndim)


def _refuse_names(name: str, axis: Any) -> None:
    """A reduction given by its place stands where the axis does."""
    if isinstance(axis, str):
        why = "the third argument is the axis along which the classes stand"
        raise SettingError(message(f"{name}: axis={axis!r}", why, f"reduction={axis!r}, by its name"))


def _at_labels(
    name: str, operation: Any, x: Any, labels: Any, place: int, ignore_index: int | None
) -> tuple[Any, Any]:
    """The loss of each row by its label, and which rows are not to be ignored (None for all)."""
    _same_shape(name, labels.shape, (*x.shape[:place], *x.shape[place + 1 :]))
    if ignore_index is None:
        return operation(x, positions(labels, x.shape[place], name), axis=place - x.ndim), None
    given = labels if is_unknown(labels) else plain(labels)
    kept = given != ignore_index
    found = positions(np.where(kept, given, 0), x.shape[place], name)
    return operation(x, found, axis=place - x.ndim), kept


def _minus_at(x: Any, labels: Any, *, axis: int) -> Any:
    return -np.squeeze(np.take_along_axis(x, np.expand_dims(labels, axis), axis), axis)


def _reduced_over(losses: Any, kept: Any, reduction: str) -> Any:
    if kept is None:
        return _reduced(losses, reduction)
    losses = np.where(kept, losses, 0)
    if reduction == "mean":
        if is_unknown(kept):
            return np.sum(losses) / np.maximum(np.count_nonzero(kept), 1).astype(losses.dtype)
        return np.sum(losses) * (1 / max(int(np.count_nonzero(kept)), 1))
    return _reduced(losses, reduction)


def _soft_cross_entropy(logits: Any, labels: Any, axis: int, label_smoothing: float) -> Any:
    if label_smoothing:
        labels = labels * (1 - label_smoothing) + label_smoothing / max(1, logits.shape[axis])
    log_p = log_softmax(logits, axis)
    impossible = np.isneginf(log_p) & (labels == 0)  # 0·log 0 is 0
    return -np.sum(labels * np.where(impossible, 0, log_p), axis=axis)


def _signs(labels: Any, shape: tuple[int, ...]) -> Any:
    """Labels −1 and 1 as numbers."""
    found = np.asarray(plain(as_array(labels)))
    if found.shape != shape:
        what = f"hinge: labels of shape {found.shape} for scores of shape {shape}"
        raise ShapeError(message(what, "each score has a label of its own", f"labels of shape {shape}, of −1 and 1"))
    wrong = found[np.abs(found) != 1]
    if wrong.size:
        raise LabelError(
            message(f"hinge: the label {wrong[0]}", "its labels are −1 and 1", "2 * labels − 1 for labels 0 and 1")
        )
    return found
