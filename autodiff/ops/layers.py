"""Layers of neural networks that are made of other operations: affine maps, tables of rows, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import DtypeError, LabelError, SettingError, ShapeError, message
from ..makers import flat
from ..traced import every, is_batched, is_compiled, is_unknown
from .index import read_at
from .precision import number


def dense(x: Any, w: Any, b: Any = None) -> Any:
    """The affine map ``x @ w + b``.

    Parameters
    ----------
    x : array_like
        Shape (…, n).
    w : array_like
        Shape (n, m): inputs by outputs.
    b : array_like, optional
        Shape (m,).

    Returns
    -------
    array of shape (…, m)

    Raises
    ------
    ShapeError
        Where the bias has another shape: stretched, it would change the shape of the result, or add one number to all.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.dense(np.array([1.0, 2.0]), np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 1.0]]), np.ones(3))
    array([2., 3., 6.])
    """
    w = as_array(w)
    y = np.matmul(as_array(x), w)
    if b is None:
        return y
    b, beside = as_array(b), w.shape[1:] if w.ndim < 2 else w.shape[-1:]
    if b.shape != beside:
        what = f"dense: a bias of shape {b.shape} for w of shape {w.shape}"
        instead = f"shape {beside}; to add something of another shape, dense(x, w) + it"
        raise ShapeError(message(what, "the bias has one number for each output", instead))
    return y + b


def positions(labels: Any, count: int, what: str) -> Any:
    """Labels as an array of numbers from 0 to count − 1; anything else is refused.

    Raises
    ------
    DtypeError
        Where they are no integers.
    LabelError
        Where one of them is out of range; a negative one too, which as an index would count from the end.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise SettingError(message(f"{what}: {count!r} classes", "it is how many there are", "a whole number"))
    given = as_array(labels)
    if is_compiled(given):  # the program looks at them when it runs
        return checked_positions(given, count=count, what=what)
    found = np.asarray(every(given))
    if not found.size and isinstance(labels, (list, tuple)):  # nothing in it says float but NumPy's default
        found = found.astype(np.intp)
    if found.dtype.kind not in "iu":
        raise DtypeError(
            message(f"{what}: labels of dtype {found.dtype}", "a label is the number of a class", "pass integers")
        )
    if found.size and (found.min() < 0 or found.max() >= count):
        worst = found.min() if found.min() < 0 else found.max()
        raise LabelError(
            message(
                f"{what}: the label {worst} among {count} classes",
                f"labels count from 0 to {count - 1}",
                "mend the labels, or np.where(valid, labels, 0) and drop those rows afterwards",
            )
        )
    return given.astype(np.intp) if is_batched(given) else found.astype(np.intp)


checked_positions = flat(positions, name="checked_positions", accepts=("count", "what"))


def one_hot(labels: Any, num_classes: int, dtype: Any = np.float64) -> Any:
    """For each label a row of zeros with a one at the label. A constant: labels have no derivative.

    Parameters
    ----------
    labels : array_like of int
        From 0 to num_classes − 1, of any shape.
    num_classes : int
        The length of a row.
    dtype : dtype
        Of the result.

    Returns
    -------
    array of shape (*labels.shape, num_classes)

    Raises
    ------
    DtypeError, LabelError
        Where a label is no integer, or out of range.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.nn.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return (positions(labels, num_classes, "one_hot")[..., None] == np.arange(num_classes)).astype(dtype)


def embedding(indices: Any, table: Any) -> Any:
    """The rows of a table at the given indices. Backward, only those rows are written.

    Parameters
    ----------
    indices : array_like of int
        From 0 to len(table) − 1, of any shape.
    table : array_like
        Shape (rows, …).

    Returns
    -------
    array of shape (*indices.shape, …)

    Raises
    ------
    DtypeError, LabelError
        Where an index is no integer, or out of range: a negative one does not count from the end.
    ShapeError
        Where the table has no rows to count: a single number.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda table: np.sum(ad.nn.embedding([1, 1], table)))(np.zeros((3, 2)))
    array([[0., 0.],
           [2., 2.],
           [0., 0.]])
    """
    table = as_array(table)
    if not table.ndim:
        raise ShapeError(message("embedding: a table of shape ()", "its first axis counts the rows", "shape (rows, …)"))
    places = positions(indices, table.shape[0], "embedding")
    return read_at(table, places) if is_unknown(places) else table[places]


def dropout(x: Any, rate: float, rng: np.random.Generator | None) -> Any:
    """Each element zero with probability `rate`, the others divided by 1 − rate, so that the mean stays.

    Nothing is hidden: the numbers come from the generator that is given, and without one only a rate of 0, which
    changes nothing, is accepted. A dropped element gets a true zero, whatever it was. The choice is part of the graph:
    a graph that is evaluated again drops the same elements.

    Parameters
    ----------
    x : array_like
    rate : float
        From 0 to 1.
    rng : numpy.random.Generator or None
        Advanced by one number an element, unless the rate is 0.

    Returns
    -------
    array with the shape of x

    Raises
    ------
    SettingError
        For a rate outside [0, 1], and for no generator.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> y = ad.nn.dropout(np.ones(1000), 0.2, np.random.default_rng(0))
    >>> np.unique(y)
    array([0.  , 1.25])
    """
    if isinstance(rate, np.random.Generator):
        what, why = "dropout: the rate is a generator of random numbers", "the rate stands before the generator"
        raise SettingError(message(what, why, "dropout(x, rate, rng)"))
    rate = number("dropout", "rate", rate)
    if not 0 <= rate <= 1:
        raise SettingError(message(f"dropout: a rate of {rate!r}", "it is a probability", "a number from 0 to 1"))
    x = as_array(x)
    if rate == 0:
        return x
    if not isinstance(rng, np.random.Generator):
        raise SettingError(
            message(
                f"dropout: rng={rng!r} is no generator of random numbers",
                "a hidden one would make results that no one can repeat",
                "rng=np.random.default_rng(seed), made once and passed on; to drop nothing, rate=0",
            )
        )
    kept = rng.random(x.shape) >= rate
    return np.where(kept, x * (1 / (1 - rate) if rate < 1 else 1.0), 0)
