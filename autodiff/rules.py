"""What a rule reads, and what it may return.

What it reads is found in the rule itself, so that a lean trace can free the rest. What it returns is an array, or one
of two deferred forms that the gather puts in their place: :class:`Update` and :class:`Slot`.
"""

from __future__ import annotations

import dis
import inspect
import math
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import numpy as np

from .graph import OPERATIONS

Rule = Callable[..., Any]


NOTHING, SHAPE, VALUE = 0, 1, 2
_SHAPE_ATTRIBUTES = frozenset(("shape", "dtype", "ndim", "size"))
_WRITES = frozenset(("STORE_FAST", "STORE_FAST_STORE_FAST", "STORE_FAST_MAYBE_NULL", "DELETE_FAST"))
_LOOKS_AROUND = frozenset(("locals", "vars", "dir", "eval", "exec"))
"""What reads parameters without naming them."""


def reads(rule: Rule) -> dict[str, int]:
    """What a rule reads of each of its positional parameters: NOTHING, its SHAPE, or its VALUE.

    Read off the rule's own bytecode, so that a declaration cannot disagree with its rule: a parameter that is never
    loaded is not read; one that is only loaded to take ``.shape``, ``.dtype``, ``.ndim`` or ``.size`` is read for its
    shape; everything else, and everything that cannot be looked into, is read for its value.
    """
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return {}
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    code = getattr(rule, "__code__", None)
    if code is None or hasattr(rule, "__wrapped__") or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return dict.fromkeys(names, VALUE)
    return loads(code, names)


def loads(code: CodeType, names: Sequence[str]) -> dict[str, int]:
    """What bytecode loads of these parameters.

    Python's versions join instructions in pairs of their own: 3.13 loads and stores two variables with one. So every
    instruction about a variable counts as a read of its value, but for those that are known to do less.
    """
    if not _LOOKS_AROUND.isdisjoint(code.co_names):
        return dict.fromkeys(names, VALUE)
    found = dict.fromkeys(names, NOTHING)
    found.update((name, VALUE) for name in code.co_cellvars if name in found)
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for step, after in zip(steps, [*steps[1:], steps[-1]], strict=True):
        if step.opcode not in dis.haslocal or step.opname in _WRITES:
            continue
        named = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        loaded = named[1:] if step.opname == "STORE_FAST_LOAD_FAST" else named
        for place, name in enumerate(loaded):
            if name in found:
                last = place == len(loaded) - 1 and "LOAD_FAST" in step.opname
                shape = last and after.opname == "LOAD_ATTR" and after.argval in _SHAPE_ATTRIBUTES
                found[name] = max(found[name], SHAPE if shape else VALUE)
    return found


def keywords(rule: Rule) -> frozenset[str] | None:
    """The keyword settings that a rule declares; None where it takes any (``**params``)."""
    parameters = inspect.signature(rule).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


class Plan:
    """What a lean trace keeps of one call: the result or not; of each argument nothing, its shape, or its value.

    `ruled` says whether there is a rule for each argument that is a node.
    """

    __slots__ = ("arguments", "everything", "nothing", "result", "ruled")

    def __init__(self, result: int, arguments: tuple[int, ...], ruled: bool = True) -> None:
        self.result = result
        self.arguments = arguments
        self.ruled = ruled
        self.nothing = (None,) * len(arguments) if not any(arguments) else None
        self.everything = all(what == VALUE for what in arguments)

    def keep(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with what no rule reads left out."""
        if self.everything:
            return args
        if self.nothing is not None:
            return self.nothing
        return tuple([
            x if what == VALUE or not hasattr(x, "shape") else Stand(x) if what == SHAPE else None
            for what, x in zip(self.arguments, args, strict=True)
        ])  # fmt: skip


class Stand:
    """Stands for an array of which a rule reads only the shape and the dtype, so that the array can be freed."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.shape = array.shape
        self.dtype = array.dtype

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


class Slot:
    """A deferred δ of a node with several results: the part of result number `index`."""

    __slots__ = ("index", "value")
    shape = None  # never equal to the shape of a node, so the gather takes it for what it is

    def __init__(self, index: int, value: Any) -> None:
        self.index = index
        self.value = value


class Update:
    """A deferred δ: zero everywhere but at ``index``, where it is ``value``.

    A rule returns it in place of a dense array, so that n reads of x[i] cost O(n) and not O(n²): the gather adds each
    into one buffer.
    """

    __slots__ = ("index", "value")
    shape = None  # never equal to the shape of a node, so the gather takes it for what it is

    def __init__(self, index: Any, value: Any) -> None:
        self.index = index
        self.value = value

    def add_into(self, buffer: Any) -> None:
        """Add to a buffer that the caller owns; repeated positions of an index array count each time."""
        if names_once(self.index):
            buffer[self.index] += self.value
        else:
            add_at(buffer, self.index, self.value)

    def dense(self, shape: Any, dtype: Any) -> Any:
        """The same δ as an array (or as a tensor, where the value is one)."""
        return OPERATIONS["scatter"](self.value, index=self.index, shape=shape)


_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def is_basic(index: Any) -> bool:
    """Whether an index selects each position at most once, by NumPy's rules for basic indexing."""
    return type(index) in _BASIC if type(index) is not tuple else _BASIC.issuperset(map(type, index))


def gives_number(index: Any) -> bool:
    """Whether an index that selects one element gives NumPy's number, a copy: with an Ellipsis it gives a view."""
    return not any(part is Ellipsis for part in index) if type(index) is tuple else index is not Ellipsis


def names_once(index: Any) -> bool:
    """Whether an index is known to name each position at most once: basic, or one mask of booleans."""
    return is_basic(index) or (type(index) is np.ndarray and index.dtype == bool)


_PAIRS = {np.dtype(np.float32): np.dtype(np.complex64), np.dtype(np.float64): np.dtype(np.complex128)}
"""Two neighbours added as one complex number: the same sums, and half as many positions to look up."""

_BLOCK = 1 << 15
"""How many positions are written out at once: they stay in the cache."""


def add_at(buffer: Any, index: Any, value: Any) -> None:
    """``np.add.at``; of whole rows with one flat position an element, which NumPy adds several times as fast."""
    rows = index[0] if type(index) is tuple and len(index) == 1 else index
    listed = type(rows) is np.ndarray and rows.dtype.kind in "iu" and rows.size > 0
    if not (listed and buffer.ndim > 1 and buffer.size > 0 and buffer.flags.c_contiguous):
        np.add.at(buffer, index, value)
        return
    values, pair = np.reshape(value, (-1, buffer[0].size)), _PAIRS.get(buffer.dtype)
    if pair is not None and values.dtype == buffer.dtype and values.shape[1] % 2 == 0:
        buffer, values = buffer.reshape(-1).view(pair), np.ascontiguousarray(values).view(pair)
    columns = np.arange(values.shape[1])
    first = rows.astype(np.intp).reshape(-1, 1) * len(columns)
    step = max(1, _BLOCK // len(columns))
    for start in range(0, len(first), step):
        part = slice(start, start + step)
        np.add.at(buffer.reshape(-1), (first[part] + columns).ravel(), values[part].ravel())


def stretches(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether NumPy broadcasts an array of one shape to the other."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False))


def unbroadcast(d: Any, shape: tuple[int, ...]) -> Any:
    """Sum d over the axes along which an array of this shape was stretched: the transpose of stretching it."""
    given = d.shape
    extra = len(given) - len(shape)
    axes = tuple([i for i, n in enumerate(given) if i < extra or (shape[i - extra] == 1 and n != 1)])
    if not axes:
        return d
    d = np.add.reduce(d, axes) if type(d) is np.ndarray else np.sum(d, axis=axes)
    return d if d.shape == shape else d.reshape(shape)


_SMALL = 1 << 12
"""Up to so many elements a copy takes less time than the making of a view by NumPy's broadcast_to."""


def stretched(d: Any, shape: tuple[int, ...]) -> Any:
    """A δ broadcast to a shape: the transpose of summing."""
    if d.shape == shape:
        return d
    if isinstance(d, (np.ndarray, np.generic)) and math.prod(shape) <= _SMALL:
        y = np.empty(shape, d.dtype)
        y[...] = d
        return y
    return np.broadcast_to(d, shape)
