"""Reading from positions, writing to positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, linear
from ..op import apply
from ..rules import Update, is_basic, unbroadcast


def _read(x: Any, *, index: Any) -> Any:
    return x[index]


def _scatter(v: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    buffer = np.zeros(shape, v.dtype)
    if is_basic(index):
        buffer[index] = v
    else:
        np.add.at(buffer, index, v)
    return buffer


def _write(x: Any, v: Any, *, index: Any) -> Any:
    y = np.array(x)
    y[index] = v
    return y


getitem = linear(
    _read,
    lambda d, y, x, *, index: Update(index, d),
    name="getitem",
    view=True,
    masks=True,
    reading="nothing",
    examples=(at((4, 3), index=1), at((4, 3), index=(slice(None, None, -2), 1)), at((4,), index=(np.array([0, 2, 2]),))),
    formulas=("δx[index] += δy",),
)

scatter = linear(
    _scatter,
    lambda d, y, v, *, index, shape: getitem(d, index=index),
    name="scatter",
    reading="nothing",
    examples=(at((3,), index=1, shape=(4, 3)), at((3,), index=(np.array([0, 2, 2]),), shape=(4,))),
    formulas=("δv = δy[index]",),
)


update = linear(
    _write,
    lambda d, y, x, v, *, index: (
        apply(update, (d, np.zeros((), d.dtype)), {"index": index}),
        unbroadcast(getitem(d, index=index), v.shape if hasattr(v, "shape") else ()),
    ),
    name="update",
    arity=2,
    masks=True,
    examples=(at((4, 3), (3,), index=1), at((4,), (), index=slice(1, 3)), at((4,), (2,), index=(np.array([0, 2]),))),
    formulas=("δx = δy with zeros at [index]", "δv = δy[index]"),
)
