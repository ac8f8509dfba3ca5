"""Reading from and writing to an index of every example: the same for all of them, or one for each.

An index that is the same for all takes the examples whole in front of its own parts. NumPy puts the axes of index
arrays that do not stand beside each other in front of everything, the examples included; they are moved behind them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import Op
from ..ops.index import gather, getitem, scatter, scatter_at, update, update_at
from ..traced import Traced
from .examples import Batched, everywhere, lifted, whole


def _parts(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _is_basic(part: Any) -> bool:
    return part is None or part is Ellipsis or isinstance(part, slice)


def _in_front(parts: tuple[Any, ...]) -> int:
    """How many axes of index arrays NumPy puts in front, because they do not stand beside each other."""
    numbers = [k for k, part in enumerate(parts) if not _is_basic(part)]
    arrays = [parts[k] for k in numbers if isinstance(parts[k], (np.ndarray, bool, np.bool_))]
    if not arrays or numbers[-1] - numbers[0] + 1 == len(numbers):
        return 0
    masks = [np.asarray(a) for a in arrays]
    return max(1 if a.dtype == bool else a.ndim for a in masks)


def read(op: Op, args: Any, params: Any, count: int) -> Any:
    """The index of one example behind the whole axis of the batch."""
    parts = _parts(params["index"])
    y = getitem(args[0].array, index=(slice(None), *parts))
    lead = _in_front(parts)
    return np.moveaxis(y, lead, 0) if lead else y


def _fitted(v: Any, ndim: int, count: int) -> Any:
    """What is to be written, with as many axes behind that of the batch: those of length one in front are left out."""
    v = whole(v, count)
    if v.ndim > ndim:
        v = Batched(np.reshape(v.array, (count, *v.shape[v.ndim - ndim :])))
    return lifted(v, ndim)


def _to_write(v: Any, parts: tuple[Any, ...], shape: Any, count: int) -> Any:
    """What is to be written, in the axes that the index of all examples has."""
    ndim = np.broadcast_to(False, shape)[parts].ndim
    array = _fitted(v, ndim, count)
    lead = _in_front(parts)
    return np.moveaxis(array, 0, lead) if lead else array


def spread(op: Op, args: Any, params: Any, count: int) -> Any:
    """`scatter`: the transpose of it."""
    parts, shape = _parts(params["index"]), params["shape"]
    shape = shape if isinstance(shape, tuple) else (shape,)
    v = _to_write(args[0], parts, shape, count)
    return scatter(v, index=(slice(None), *parts), shape=(count, *shape))


def write(op: Op, args: Any, params: Any, count: int) -> Any:
    """`update` and `scatter_add`."""
    x, v = args
    parts = _parts(params["index"])
    v = _to_write(v, parts, np.shape(x), count)
    return op(everywhere(x, count), v, index=(slice(None), *parts))


# -- places of its own for each example --------------------------------------------------------------------------------


class _Layout:
    """An index with arrays of places, taken apart: what is basic in it, then the axes with places in front.

    Attributes
    ----------
    basic : tuple
        The index without its places: slices, and new axes.
    axes : tuple of int
        The axes of ``x[basic]`` that the places are about.
    behind : int
        Before which of the axes that are left the axes of the places stand in the result.
    """

    def __init__(self, index: tuple[Any, ...], places: tuple[Any, ...], shape: tuple[int, ...]) -> None:
        given, arrays, basic, axes = iter(places), [], [], []
        parts: list[Any] = []
        for part in index:
            if isinstance(part, np.ndarray) and part.dtype == bool:
                parts += np.nonzero(part)
            else:
                parts.append(next(given) if type(part) is str else part)
        taken = sum(part is not None and part is not Ellipsis for part in parts)
        rest = [slice(None)] * (len(shape) - taken)
        at = next((k for k, part in enumerate(parts) if part is Ellipsis), len(parts))
        parts = [*parts[:at], *rest, *parts[at + 1 :]]
        for k, part in enumerate(parts):
            if _is_basic(part):
                basic.append(part)
            else:
                axes.append(k)
                arrays.append(part)
                basic.append(slice(None))
        self.basic, self.axes, self.arrays = tuple(basic), tuple(axes), arrays
        dotted = [k for k, part in enumerate(index) if not _is_basic(part)]
        beside = dotted[-1] - dotted[0] + 1 == len(dotted)
        self.behind = axes[0] if beside else 0
        self.ndim = max(np.ndim(a) for a in arrays)

    def of_each(self, count: int) -> list[Any]:
        """The places with the axis of the batch, in the same number of axes."""
        return [lifted(a, self.ndim) if type(a) is Batched else a for a in self.arrays]

    def first(self, count: int) -> Any:
        """The number of each example, beside its places."""
        return np.reshape(np.arange(count), (count,) + (1,) * self.ndim)


def _apart(index: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The tensors among the parts of an index, and the index with the word ``"place"`` where they stood."""
    tensors = tuple(part for part in index if isinstance(part, Traced))
    return tensors, tuple("place" if isinstance(part, Traced) else part for part in index)


def _read(x: Any, index: tuple[Any, ...]) -> Any:
    """``x[index]``, where places may be tensors."""
    tensors, template = _apart(index)
    return gather(x, *tensors, index=template) if tensors else getitem(x, index=index)


def _scatter(v: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The transpose of it."""
    tensors, template = _apart(index)
    if not tensors:
        return scatter(v, index=index, shape=shape)
    return scatter_at(v, *tensors, index=template, shape=shape)


def read_own(op: Op, args: Any, params: Any, count: int) -> Any:
    """`gather`: basic parts first, the axes with places in front, then one index for the examples and their places."""
    x, *places = args
    layout = _Layout(params["index"], tuple(places), np.shape(x))
    n = len(layout.axes)
    front = range(n)
    if type(x) is Batched:
        x = getitem(x.array, index=(slice(None), *layout.basic))
        x = np.moveaxis(x, [k + 1 for k in layout.axes], [k + 1 for k in front])
        y = _read(x, (layout.first(count), *layout.of_each(count)))
    else:
        x = np.moveaxis(getitem(x, index=layout.basic), layout.axes, tuple(front))
        y = _read(x, tuple(layout.of_each(count)))
    source = range(1, layout.ndim + 1)
    return np.moveaxis(y, tuple(source), tuple(k + layout.behind for k in source))


def spread_own(op: Op, args: Any, params: Any, count: int) -> Any:
    """`scatter_at`: the same steps backwards."""
    v, *places = args
    shape = params["shape"]
    layout = _Layout(params["index"], tuple(places), shape)
    source = range(1, layout.ndim + 1)
    v = np.moveaxis(everywhere(v, count), tuple(k + layout.behind for k in source), tuple(source))
    between = np.broadcast_to(False, shape)[layout.basic].shape
    n = len(layout.axes)
    free = [length for k, length in enumerate(between) if k not in layout.axes]
    table = (count, *(between[k] for k in layout.axes), *free)
    y = _scatter(v, (layout.first(count), *layout.of_each(count)), table)
    y = np.moveaxis(y, range(1, n + 1), [k + 1 for k in layout.axes])
    return scatter(y, index=(slice(None), *layout.basic), shape=(count, *shape))


def write_own(op: Op, args: Any, params: Any, count: int) -> Any:
    """`update_at`: what the basic parts of the index select is read, written to at its places, and written back."""
    x, v, *places = args
    layout = _Layout(params["index"], tuple(places), np.shape(x))
    whole_x = everywhere(x, count)
    part = getitem(whole_x, index=(slice(None), *layout.basic))
    front, back = range(1, 1 + len(layout.axes)), [k + 1 for k in layout.axes]
    moved = np.moveaxis(part, back, tuple(front))
    ndim = layout.ndim + moved.ndim - 1 - len(layout.axes)
    source = range(1, layout.ndim + 1)
    values = np.moveaxis(_fitted(v, ndim, count), tuple(k + layout.behind for k in source), tuple(source))
    written = np.moveaxis(_write(moved, values, (layout.first(count), *layout.of_each(count))), tuple(front), back)
    return update(whole_x, written, index=(slice(None), *layout.basic))


def _write(x: Any, v: Any, index: tuple[Any, ...]) -> Any:
    tensors, template = _apart(index)
    return update_at(x, v, *tensors, index=template) if tensors else update(x, v, index=index)
