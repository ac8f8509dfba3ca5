"""NumPy's functions that write into their first argument: put, place, fill_diagonal and their kin.

Each says which positions it means, and with which elements; the write itself is ``a[index] = values``, which lets the
tensor stand for another node. A plain array cannot take a tensor up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import LostHistoryError, message
from ..makers import composite
from ..traced import Kin, Traced, held, plain
from .index import in_each_row, read, written


def _writer(function: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call the decorated function where the first argument is a tensor, and NumPy's own where nothing is lost by it."""

    def enter(write: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(write)

        def composition(*args: Any, **settings: Any) -> None:
            call = signature.bind(*args, **settings)
            if isinstance(next(iter(call.arguments.values())), Traced):
                write(*args, **settings)
                return
            try:
                for key, x in call.arguments.items():
                    call.arguments[key] = np.asarray(x) if isinstance(x, Traced) else x
            except LostHistoryError:
                raise LostHistoryError(
                    message(
                        f"np.{function.__name__} would write a tensor into a plain array",
                        "a plain array keeps no history: the derivative would be lost without a word",
                        "make that array with autodiff.numpy.zeros(…), or autodiff.numpy.array(a)",
                    )
                ) from None
            function(*call.args, **call.kwargs)

        return composite(function)(composition)

    return enter


def _repeated(values: Any, places: Any) -> Any:
    """The elements that NumPy writes: number k of them, from the start again where they are used up."""
    values = np.ravel(as_array(values))
    return values if values.size <= 1 else np.take(values, places % values.size)


def _fits(a: Any, values: Any) -> None:
    """NumPy's error where an array holds numbers that another cannot."""
    kind: Any = held(values).dtype if isinstance(values, (np.ndarray, Traced)) else a.dtype
    if not np.can_cast(kind, a.dtype, "safe"):
        raise TypeError(f"Cannot cast array data from {kind!r} to {a.dtype!r} according to the rule 'safe'")


def _write_flat(a: Any, positions: Any, values: Any) -> None:
    """Write one element to each position, counted in C order."""
    if not positions.size or not values.size:
        return
    a[np.unravel_index(positions, a.shape)] = values if values.size > 1 else np.reshape(values, ())


def _where(mask: Any, a: Any, name: str) -> Any:
    """The positions at which a mask holds, counted in C order."""
    found = np.asarray(plain(as_array(mask)))
    if found.size != a.size:
        raise ValueError(f"{name}: mask and data must be the same size")
    return np.flatnonzero(found)


@_writer(np.put)
def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    is_array, ind = isinstance(ind, np.ndarray), np.asarray(ind)
    if is_array and ind.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {ind.dtype!r} to dtype('int64') according to the rule 'safe'")
    positions = np.ravel(np.take(np.arange(a.size), ind.astype(np.intp), mode=mode))
    _write_flat(a, positions, _repeated(v, np.arange(positions.size)))


@_writer(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    indices = np.asarray(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        arr[np.unravel_index(indices % arr.size, arr.shape)] = values
        return
    arr[in_each_row(indices, arr.shape, axis)] = values


@_writer(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    _fits(arr, vals)
    positions = _where(mask, arr, "place")
    if positions.size and not np.size(plain(as_array(vals))):
        raise ValueError("Cannot insert from an empty array!")
    _write_flat(arr, positions, _repeated(vals, np.arange(positions.size)))


@_writer(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    _fits(a, values)
    positions = _where(mask, a, "putmask")
    _write_flat(a, positions, _repeated(values, positions))


@_writer(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    number = type(src) in (bool, int, float, complex)
    src = src if number else as_array(src)
    stand = src if number else np.broadcast_to(np.zeros((), src.dtype), src.shape)
    np.copyto(np.empty(dst.shape, dst.dtype), stand, casting=casting)  # NumPy's errors, where it has any
    if where is True:
        dst[...] = src
    else:
        mask = np.broadcast_to(np.asarray(where).astype(bool), dst.shape)
        shape = np.shape(src)[max(0, np.ndim(src) - dst.ndim) :]  # more axes in front are of length one
        dst[mask] = np.broadcast_to(np.reshape(src, shape), dst.shape)[mask]


@_writer(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    columns = a.shape[-1]
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    step = sum(columns**i for i in range(a.ndim))
    end = columns * columns if a.ndim == 2 and not wrap else a.size
    positions = np.arange(a.size)[:end:step]
    _write_flat(a, positions, _repeated(val, np.arange(positions.size)))


# -- through views -----------------------------------------------------------------------------------------------------

LOCKED = frozenset(("broadcast_to", "diag", "diagonal", "sliding_window_view"))
"""Operations whose views cannot be written into."""


def seen(base: Any, kin: Kin) -> Any:
    """A view, read anew from the tensor that it is a view of."""
    if kin.op.name == "getitem":
        return read(base, kin.params["index"])
    y = apply(kin.op, (base,), kin.params)
    return y if kin.place is None else y[kin.place]


def shown(base: Any, fresh: Any, kin: Kin) -> Any:
    """The tensor that a view is one of, after what has been written into the view."""
    name = kin.op.name
    if name == "getitem":
        return written(base, fresh, kin.params["index"])
    if name in ("real", "imag") and base.dtype.kind == "c":
        real, imag = (fresh, np.imag(base)) if name == "real" else (np.real(base), fresh)
        return (real + 1j * imag).astype(base.dtype, copy=False)
    places = kin.op.forward(np.arange(base.size).reshape(base.shape), **kin.params)
    places = places if kin.place is None else places[kin.place]
    if places.size < base.size:
        return written(base, fresh, np.unravel_index(places, base.shape))
    where = np.empty(base.size, np.intp)
    where[places.ravel()] = np.arange(base.size)
    return np.reshape(np.take(np.reshape(fresh, (-1,)), where), base.shape)  # each element once: another order of them


class Flat:
    """``x.flat``: the elements of a tensor in C order, to be read, written and gone through."""

    __slots__ = ("base", "index")

    def __init__(self, base: Any) -> None:
        self.base = base
        self.index = 0

    @property
    def coords(self) -> tuple[int, ...]:
        """Where the next element stands."""
        return tuple(int(i) for i in np.unravel_index(self.index, self.base.shape))

    def __len__(self) -> int:
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.index >= len(self):
            raise StopIteration
        element = self.base[self.coords]
        self.index += 1
        return element

    def __getitem__(self, index: Any) -> Any:
        y = np.reshape(self.base, (-1,))[index]
        return np.copy(y) if y.ndim else y  # not a view: a write into it shows nowhere

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.copy(), dtype)

    def __setitem__(self, index: Any, values: Any) -> None:
        if np.ndim(values) and np.ndim(index) == 0 and not isinstance(index, (slice, tuple, type(Ellipsis))):
            np.empty(self.base.shape, self.base.dtype).flat[index] = np.empty(np.shape(values))  # NumPy's error
        positions = np.ravel(np.arange(self.base.size)[index])
        _write_flat(self.base, positions, _repeated(values, np.arange(positions.size)))

    def copy(self) -> Any:
        """The elements as a vector of their own."""
        return np.copy(np.reshape(self.base, (-1,)))
