"""Functions of neural networks, as plain functions of arrays and tensors."""

from __future__ import annotations

from typing import Any

from .op import apply
from .ops import elementwise as _pointwise
from .ops import nn as _rules

__all__ = ["log_softmax", "logsumexp", "relu", "sigmoid", "softmax", "softplus"]


def relu(x: Any) -> Any:
    """max(x, 0), element by element; its derivative at 0 is ½, as that of ``np.maximum(x, 0)`` is.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(ad.nn.relu)(np.array([-1.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ])
    """
    return apply(_rules.relu, (x,), {})


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), element by element, accurate to the last digits for large negative x too.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.sigmoid)(0.0)
    np.float64(0.25)
    """
    return apply(_pointwise.sigmoid, (x,), {})


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), element by element, without overflow.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.softplus)(0.0)
    np.float64(0.5)
    """
    return apply(_rules.softplus, (x,), {})


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """Exponentials along an axis divided by their sum: exp(x) / Σ exp(x), without overflow.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int
        Along which the result sums to one.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return apply(_rules.softmax, (x,), {"axis": axis})


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The difference x − log Σ exp(x) along an axis: the logarithm of :func:`softmax`, accurate where that underflows.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return apply(_rules.log_softmax, (x,), {"axis": axis})


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """The logarithm of Σ exp(x), without overflow; over nothing but −inf it is −inf.

    Parameters
    ----------
    x : array_like
    axis : int, tuple of int or None
        What to sum over; None for everything.
    keepdims : bool
        Whether the summed axes stay, with length one.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return apply(_rules.logsumexp, (x,), {"axis": axis, "keepdims": keepdims})
