"""Quantiles and percentiles: one of the sorted elements, or a point between two neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NoRuleError, message
from ..makers import composite, refuse
from ..op import Traced
from .order import sort
from .reduce import grouped, restored


def _quantile(name: str, plain_function: Any) -> Any:
    """np.quantile or np.percentile, by any of NumPy's methods.

    Where the result lies among the sorted elements depends on q, the method and the number of elements alone. So NumPy
    itself says it, by the quantile of 0, 1, 2 …: the whole part is the place of the lower neighbour, the rest the share
    of the upper one.
    """

    def composition(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        refuse(name, out=out, weights=weights)
        if isinstance(q, Traced):
            raise NoRuleError(
                message(
                    f"np.{name}: q is a tensor",
                    "which elements are read depends on q, so the graph keeps it as a plain number",
                    "pass q as a float or a plain array",
                )
            )
        if a.dtype.kind == "c":
            raise TypeError("a must be an array of real numbers")
        rows = sort(grouped(a, axis))
        n = rows.shape[-1]
        place = plain_function(np.arange(n, dtype=float), q, method=method)
        dtype = plain_function(np.zeros(n, a.dtype), q, method=method).dtype
        low = np.floor(place).astype(np.intp)
        share = place - low
        share = float(share) if type(q) in (int, float) else share.astype(dtype)  # Python's numbers stay weak
        y = np.take(rows, low, axis=-1)
        if np.any(share):
            above = np.take(rows, np.minimum(low + 1, n - 1), axis=-1)
            gap = np.where(np.equal(share, 0), 0, above - y)  # an infinite neighbour of an element itself
            y = np.where(np.less(share, 0.5), y + gap * share, above - gap * (1 - share))
        last = rows[..., -1]
        y = np.moveaxis(y, range(last.ndim, y.ndim), range(np.ndim(q)))
        y = np.where(last != last, last, y)
        if y.dtype != dtype:
            y = y.astype(dtype)
        return np.reshape(y, np.shape(q) + restored(last, a.shape, axis, False).shape) if keepdims else y

    return composite(plain_function)(composition)


quantile = _quantile("quantile", np.quantile)
percentile = _quantile("percentile", np.percentile)
