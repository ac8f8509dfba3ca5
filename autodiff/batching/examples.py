"""One array of each example of a batch, and how such arrays are laid beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np


class Batched:
    """The arrays of all examples along a leading axis; its shape is that of one example.

    The array may be a tensor of an outer trace. Called with a ufunc it computes on all examples, which is how the short
    call paths of pointwise operations take it.
    """

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes of one example."""
        shape: tuple[int, ...] = self.array.shape[1:]
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes of one example."""
        return len(self.array.shape) - 1

    @property
    def size(self) -> int:
        """The number of elements of one example."""
        size = 1
        for n in self.array.shape[1:]:
            size *= n
        return size

    @property
    def dtype(self) -> Any:
        """The dtype of the elements."""
        return self.array.dtype

    def stand(self) -> Any:
        """An array of zeros like one example, for what asks about shape and dtype; it takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)[()]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        return Batched(ufunc(*aligned(args)))


def aligned(args: tuple[Any, ...]) -> list[Any]:
    """Arrays that broadcast against each other as those of one example do: axes of length one behind the batch."""
    ndim = max(np.ndim(x) for x in args)
    return [lifted(x, ndim) if type(x) is Batched else x for x in args]


def lifted(x: Batched, ndim: int) -> Any:
    """The array with axes of length one behind that of the batch, so that an example has so many."""
    missing = ndim - x.ndim
    if missing <= 0:
        return x.array
    shape = x.array.shape
    return np.reshape(x.array, (shape[0], *(1,) * missing, *shape[1:]))


def everywhere(x: Any, count: int) -> Any:
    """The array with the axis of the batch: what is the same for all examples is stretched along it, without a copy."""
    if type(x) is Batched:
        return x.array
    return np.broadcast_to(x, (count, *np.shape(x)))


def whole(x: Any, count: int) -> Batched:
    """The same as a Batched."""
    return x if type(x) is Batched else Batched(everywhere(x, count))
