"""Tensor: Python's syntax and NumPy's protocols over recorded operations.

A tensor holds a value, the trace that records it, and its node. The value is a NumPy array, a NumPy scalar, or a tensor
of an outer trace. Everything that a tensor can do is an operation of :mod:`autodiff.ops`; this file only says by which
spelling it is reached.
"""

from __future__ import annotations

import dis
import importlib
import math
import operator
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn

import numpy as np

from . import ops
from .apply import adopt, apply, as_array, binary_path, has_history, no_rule, reading_path
from .errors import (
    AutodiffError,
    KeywordError,
    LostHistoryError,
    NoRuleError,
    ViewWriteError,
    is_inside,
    message,
    said,
    unwarned,
    user_frame,
)  # fmt: skip
from .graph import OPERATIONS
from .op import FUNCTIONS, NUMBERS, REFUSED, UFUNCS
from .recorders import CONSTANTS
from .rules import is_basic
from .traced import Kin, Traced, held, is_batched, is_unknown, leak, memory, plain

LIBRARIES = {"scipy.special._ufuncs": ".scipy.special"}
"""Other libraries with ufuncs, and the room of ours that has rules for them: loaded when a tensor first meets one."""


def _lost(x: Traced, what: str, instead: str) -> LostHistoryError:
    words = message(
        f"{what} would turn a tensor of {x.value.dtype}{list(x.value.shape)} into plain numbers",
        "its derivative would be lost without a word",
        f"{instead}; or, where no derivative is wanted, ad.stop_gradient(x)",
    )
    return said(LostHistoryError(words))


def _asking() -> Any:
    """The function that was refused on purpose and asks a tensor for its array from inside of NumPy, if one does."""
    codes = {getattr(function, "__code__", None): function for function in REFUSED}
    frame = sys._getframe(2)
    while is_inside(frame.f_code.co_filename) and frame.f_back is not None:
        if frame.f_code in codes:
            return codes[frame.f_code]
        frame = frame.f_back
    return None


def _compared() -> bool:
    """Whether np.array_equal, or its kin, asks a tensor in a list for its array: what comes of it is no derivative."""
    frame = sys._getframe(2)
    while is_inside(frame.f_code.co_filename) and frame.f_back is not None:
        if frame.f_code in _COMPARING:
            return True
        frame = frame.f_back
    return False


_COMPARING = tuple(
    getattr(function, "_implementation", function).__code__ for function in (np.array_equal, np.array_equiv)
)


def _convert(x: Traced, what: str, instead: str) -> Any:
    if is_unknown(x):
        raise _stored(x) if _is_stored() else leak(f"{what.strip(',')}: the value of a tensor", x)
    if has_history(x):
        raise _lost(x, what, instead)
    return plain(x)


def _is_stored() -> bool:
    """Whether ``a[i] = x`` for a plain array is what asks for the value."""
    frame = user_frame()
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == _STORE


_STORE = dis.opmap["STORE_SUBSCR"]


def _stored(x: Any) -> LostHistoryError:
    """The error for it."""
    why = "one of each example" if is_batched(x) else "while the function is being compiled none"
    words = message(
        f"a[i] = x would write a tensor of {x.dtype}{list(x.shape)} into a plain array",
        f"a plain array holds numbers; a tensor has {why}, and its derivative would be lost",
        "make that array with autodiff.numpy.zeros(…), or autodiff.numpy.array(a)",
    )
    return said(LostHistoryError(words))


def _no_memory(what: str, instead: str) -> NoRuleError:
    return NoRuleError(
        message(f"{what} is about the memory of an array", "tensors are nodes, and nodes never change", instead)
    )


def _viewed_elsewhere(what: str) -> ViewWriteError:
    return ViewWriteError(
        message(
            f"{what}, where another live tensor is a view of x (or its base)",
            "in NumPy the write would show through the other one, and here it would not",
            "copy first (y = x[i].copy()), write before you take the view, or use x = x.at[i].set(v)",
        )
    )


def _index(index: Any) -> Any:
    """An index as a node may keep it: tensors of integers as plain arrays, lists as arrays, arrays as copies."""
    if type(index) is tuple:
        return tuple(_index(i) for i in index)
    if isinstance(index, Traced):
        return np.array(_convert(index, "indexing with it", "round it to integers first"))
    if isinstance(index, (list, np.ndarray)):
        if isinstance(index, list) and not np.size(index):
            return np.array(index, np.intp)  # [] selects nothing; as an array of its own it would be one of floats
        return np.array(index)
    return int(index) if isinstance(index, np.integer) else index


def _handler(function: Any) -> Callable[..., Any]:
    """What NumPy's protocols would lead to, called without the way through NumPy."""
    return UFUNCS.get(function) or FUNCTIONS.get(function) or function


def _method(function: Any, doc: str = "") -> Callable[..., Any]:
    handler = _handler(function)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return handler(self, *args, **kwargs)
        except AutodiffError:
            raise
        except Exception as error:
            own = _numpys_own(method.__name__, (self, *args), kwargs, error)
            if own is None:
                raise
        try:
            raise own
        finally:
            del own  # this frame is in its traceback: a cycle otherwise

    method.__name__ = getattr(function, "__name__", "method")
    method.__doc__ = doc or f"See ``numpy.{method.__name__}``."
    return method


_read = reading_path(OPERATIONS["getitem"], "index")
_reshape, _transpose = _handler(np.reshape), _handler(np.transpose)


def _bytes(name: str, instead: str) -> Callable[..., Any]:
    """A method of ndarray that gives away plain numbers or bytes: allowed where they have no history."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(_convert(self, f"x.{name}()", instead), name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"See ``numpy.ndarray.{name}``; refused where a derivative would be lost."
    return method


def _beside_sparse(op: Any, args: tuple[Any, Any], params: dict[str, Any]) -> Any:
    """`apply` for an operator of which one operand may be a constant sparse matrix, or a list to be repeated."""
    if ops.sparse.is_sparse(args[0]) or ops.sparse.is_sparse(args[1]):
        return ops.sparse.OPERATORS[op.name](*args)
    if op.name == "multiply":
        for a, b in (args, args[::-1]):
            if type(a) in _REPEATED and b.dtype.kind in "iu" and _is_number(b):
                return a * operator.index(b)  # NumPy's whole numbers repeat what Python's repeat
    return apply(op, args, params)


_REPEATED = (list, tuple, str, bytes)


def _asked_by_sparse() -> str | None:
    """The method of a sparse matrix of ``scipy.sparse`` that is asking for an array, if that is who asks."""
    frame = sys._getframe(2)
    name, inside = frame.f_code.co_name, os.path.join("scipy", "sparse") in frame.f_code.co_filename
    return name if inside and name != "__init__" and ops.sparse.is_sparse(frame.f_locals.get("self")) else None


def _operator(name: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """An operator and its reflection, over the operation of this name."""
    op = OPERATIONS[name]
    through = _beside_sparse if name in ops.sparse.OPERATORS else apply
    if isinstance(op.forward, np.ufunc) and not op.flat:
        return binary_path(op, through)

    def call(a: Any, b: Any) -> Any:
        return through(op, (a, b), {})

    def reflected(b: Any, a: Any) -> Any:
        return through(op, (a, b), {})

    return call, reflected


def _is_number(x: Traced) -> bool:
    """Whether x stands for a number of NumPy's; of an example of a batch only a view can be more: x[..., 0]."""
    return isinstance(held(x), np.generic) and x.family is None


def _power() -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Powers; of a bool its square is np.square to NumPy too, which is a smaller number than np.power makes."""
    call, reflected = _operator("power")

    def power(a: Any, b: Any) -> Any:
        if type(b) is int and b == 2 and a.dtype.kind == "b" and isinstance(held(a), np.ndarray):
            return np.square(a)
        return call(a, b)

    return power, reflected


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """``x += y`` and its kind: the tensor stands for the sum from now on, of the shape and dtype that it had."""

    def write(self: Any, other: Any) -> Any:
        fresh = ufunc(self, other)
        if _is_number(self):  # NumPy's scalars cannot be written into: += makes a new one
            return fresh
        if fresh.shape != self.shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {self.shape} doesn't match "
                f"the broadcast shape {fresh.shape}"
            )
        if fresh.dtype != self.dtype:
            if not np.can_cast(fresh.dtype, self.dtype, "same_kind"):
                raise TypeError(
                    f"Cannot cast ufunc '{ufunc.__name__}' output from {fresh.dtype!r} to {self.dtype!r} "
                    "with casting rule 'same_kind'"
                )
            fresh = fresh.astype(self.dtype)
        if not isinstance(fresh, Traced):  # x //= 2 is flat: what is left is a constant
            fresh = CONSTANTS.record(None, (), (), None, fresh)
        self._rebind(fresh)
        return self

    return write


def _lies_otherwise(x: Traced, fresh: Any) -> bool:
    """Whether what is written into a view lies in memory in another order: a view of it may be a copy."""
    mine, other = memory(x), memory(fresh)
    return isinstance(mine, np.ndarray) and isinstance(other, np.ndarray) and mine.strides != other.strides


def _lay(fresh: Any, x: Traced) -> None:
    """Let what was written lie in memory in the order of x, as in NumPy: that decides what is a view of it."""
    new, old = memory(fresh), memory(x)
    if not isinstance(new, np.ndarray) or not isinstance(old, np.ndarray) or new.ndim < 2 or new.shape != old.shape:
        return
    if new.strides == old.strides:
        return
    laid = np.empty_like(old, new.dtype, subok=False)
    if laid.strides == new.strides:
        return
    laid[...] = new
    holder = fresh
    while True:
        held_by = holder.value if holder.recorder.batching else holder
        inner = held_by.array if held_by is not holder else holder.value
        if not isinstance(inner, Traced):
            break
        holder = inner
    if holder.recorder.batching:
        holder.value = type(holder.value)(laid)
    else:
        holder.value = laid


def _taken_anew(kin: Kin, new: dict[int, Any]) -> Any:
    """What a relative stands for after a write: what `new` says, or read from the one that it is a view of."""
    steps: list[Kin] = []
    while id(kin) not in new and kin.up is not None:
        steps.append(kin)
        kin = kin.up
    for step in reversed(steps):
        new[id(step)] = ops.writes.seen(new[id(step.up)], step)
    return new[id(steps[0] if steps else kin)]


class Tensor(Traced):
    """An array whose history is being recorded. Made by the transforms, never by hand.

    It behaves as a NumPy array does. What would turn it into a plain number or array, and so lose its derivative,
    raises :class:`~autodiff.errors.LostHistoryError` with the way out.
    """

    __slots__ = ()

    namespace_hook: ClassVar[Any] = None
    """Filled by autodiff.numpy when it is imported."""

    # -- NumPy's protocols -----------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        call = UFUNCS.get(ufunc)
        if call is None:
            _load_rules(ufunc)
            call = UFUNCS.get(ufunc)
        if method == "__call__" and call is not None:
            return _ufunc_with_settings(ufunc, call, args, kwargs) if kwargs else call(*args)
        return _ufunc_method(ufunc, method, args, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = FUNCTIONS.get(function)
        if handler is not None:
            try:
                return handler(*args, **kwargs)
            except AutodiffError:
                raise
            except Exception as error:
                own = _numpys_own(function, args, kwargs, error)
                if own is None:
                    raise
            try:
                raise own
            finally:
                del own  # this frame is in its traceback: a cycle otherwise
        found: list[Any] = []
        bare = _bare((args, kwargs), found)
        if any(map(has_history, found)):
            raise no_rule(function)
        return function(*bare[0], **bare[1])

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if has_history(self) and (method := _asked_by_sparse()) is not None:
            if method == "_matmul_dispatch":  # to what NumPy knows nothing of it answers NotImplemented: our turn
                return np.array(None, object)
            raise ops.sparse.refused(f"scipy.sparse: {method.strip('_')} of a matrix and a tensor")
        if _compared():  # NumPy would take any exception of ours for the answer no
            elements = np.empty(self.shape, object)
            for index in np.ndindex(self.shape):
                elements[index] = self[index]
            return elements
        if has_history(self) and (asking := _asking()) is not None:
            name = f"{asking.__module__}.{asking.__name__}".replace("numpy", "np", 1)
            raise _lost(self, f"{name}(x)", REFUSED[asking])
        value = _convert(self, "np.asarray(x), or storing it in a plain array,", "leave it a tensor: NumPy's functions "
                         "take it as it is; build arrays with np.stack or np.concatenate, or write into "
                         "autodiff.numpy.zeros(...); autodiff.numpy has a vectorize and an apply_along_axis of its own"
                         )  # fmt: skip
        return np.array(value, dtype=dtype)

    def __array_namespace__(self, *, api_version: Any = None) -> Any:
        np.zeros(0).__array_namespace__(api_version=api_version)  # NumPy's error, where it is not a version
        return type(self).namespace_hook

    # -- attributes ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        fresh: Any = np.reshape(self, shape)
        if fresh.family is None:  # what is read from it would not be a view
            raise AttributeError("Incompatible shape for in-place modification. Use `.reshape()` to make a copy")
        family, kin = fresh.family
        family.members[:] = [other for other in family.members if other.tensor() is not self]
        self._become(fresh)
        self.family = (family, kin._replace(tensor=weakref.ref(self)))
        family.members.append(self.family[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its elements."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> NoReturn:
        raise _no_memory("x.dtype = …", "x = x.astype(dtype), which converts the numbers")

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """The number of its elements."""
        size: int = self.value.size
        return size

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all its elements."""
        return self.size * self.dtype.itemsize

    @property
    def T(self) -> Any:
        """All axes reversed."""
        return _transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The real part; a real tensor is its own, itself, as in NumPy."""
        return np.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        self[...] = np.real(as_array(value)) + 1j * np.imag(self) if self.dtype.kind == "c" else value

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return np.imag(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self[...] = np.real(self) + 1j * np.real(as_array(value))

    @property
    def flat(self) -> Any:
        """Its elements, in C order."""
        return ops.writes.Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        ops.writes.Flat(self)[...] = values

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one element to the next along each axis, of the array that it holds."""
        strides: tuple[int, ...] = held(self).strides
        return strides

    @strides.setter
    def strides(self, strides: Any) -> NoReturn:
        raise _no_memory("x.strides = …", "x[::2], np.broadcast_to, or sliding_window_view of np.lib.stride_tricks")

    @property
    def flags(self) -> Any:
        """How the array that it holds lies in memory."""
        value = held(self)
        return value.view().flags if isinstance(value, np.ndarray) else value.flags

    @property
    def base(self) -> NoReturn:
        """Refused: nodes own their values, whatever memory they share."""
        raise _no_memory("x.base", "np.may_share_memory(x, y) tells whether one is a view of the other")

    @property
    def data(self) -> Any:
        """The memory of the elements, where they have no history."""
        return _convert(self, "x.data", "leave it a tensor").data

    @property
    def ctypes(self) -> Any:
        """The memory of the elements for foreign functions, where they have no history."""
        return np.asarray(_convert(self, "x.ctypes", "wrap the foreign function with @ad.primitive")).ctypes

    @property
    def device(self) -> str:
        """Where it lives: the array API's name for ordinary memory."""
        return "cpu"

    @property
    def at(self) -> At:
        """The functional spelling of a write, ``x.at[index].set(v)``."""
        return At(self)

    # -- Python's syntax -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.value.shape:
            raise TypeError("len() of unsized object: this tensor has no axes")
        return int(self.value.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(plain(self) == plain(item)))

    def __bool__(self) -> bool:
        if is_unknown(self):
            raise _stored(self) if _is_stored() else leak("if, while, and, or, not: the truth of a tensor", self)
        return bool(plain(self))

    def __float__(self) -> float:
        return float(
            _convert(
                self,
                "float(x), a function of the math module, or a[0] = x for a plain array a",
                "use NumPy's function: np.sin(x); build arrays with np.stack, or write into autodiff.numpy.zeros(...)",
            )
        )

    def __int__(self) -> int:
        return int(_convert(self, "int(x)", "np.floor(x) and np.round(x) are flat on purpose"))

    def __trunc__(self) -> int:
        whole: int = math.trunc(_convert(self, "math.trunc(x)", "np.trunc(x) is flat on purpose"))
        return whole

    def as_integer_ratio(self) -> tuple[int, int]:
        """As that of NumPy's numbers: how the statistics module and fractions ask for one."""
        what = "x.as_integer_ratio(), a function of the statistics module, or a fraction,"
        ratio: tuple[int, int] = _convert(self, what, "np.mean, np.var and np.median stay tensors").as_integer_ratio()
        return ratio

    def __complex__(self) -> complex:
        return complex(_convert(self, "complex(x)", "write x + 0j"))

    def __index__(self) -> int:
        value = _convert(
            self, "range(x), a slice, a length or an index of a list", "take the integer from ad.stop_gradient(x)"
        )
        return operator.index(value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise _lost(self, "pickling it", "pickle what the function returns, or a Graph with graph.save(path)")

    def __format__(self, spec: str) -> str:
        return repr(self) if is_unknown(self) else format(plain(self), spec)

    def __str__(self) -> str:
        return repr(self) if is_unknown(self) else str(plain(self))

    def __repr__(self) -> str:
        if is_unknown(self):
            why = "one of each example" if is_batched(self) else "being compiled"
            return f"Tensor({self.dtype}{list(self.shape)}, {why})"
        value = plain(self)
        text = np.array2string(value, separator=", ", prefix="Tensor(") if isinstance(value, np.ndarray) else str(value)
        return f"Tensor({text}, dtype={self.dtype})"

    def __hash__(self) -> int:
        return hash(
            _convert(
                self,
                "hash(x), x as a key of a dict, in a set, or as an argument of a function with lru_cache",
                "take for a key what does not depend on the argument: a name, an index",
            )
        )

    def __copy__(self) -> Any:
        return np.copy(self)

    def __deepcopy__(self, memo: Any) -> Any:
        return np.copy(self)

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __mul__, __rmul__ = _operator("multiply")
    __truediv__, __rtruediv__ = _operator("divide")
    __pow__, __rpow__ = _power()
    __mod__, __rmod__ = _operator("remainder")
    __floordiv__, __rfloordiv__ = _operator("floor_divide")
    __matmul__, __rmatmul__ = _operator("matmul")
    __lt__, __gt__ = _operator("less")[0], _operator("greater")[0]
    __le__, __ge__ = _operator("less_equal")[0], _operator("greater_equal")[0]
    __eq__, __ne__ = _operator("equal")[0], _operator("not_equal")[0]
    __and__, __rand__ = _operator("bitwise_and")
    __or__, __ror__ = _operator("bitwise_or")
    __xor__, __rxor__ = _operator("bitwise_xor")
    __lshift__, __rlshift__ = _operator("left_shift")
    __rshift__, __rrshift__ = _operator("right_shift")
    __invert__ = _method(np.invert)
    __neg__ = _method(np.negative)
    __pos__ = _method(np.positive)
    __abs__ = _method(np.absolute)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __round__(self, ndigits: int | None = None) -> Any:
        if self.value.shape:
            raise TypeError("type numpy.ndarray doesn't define __round__ method")
        if ndigits is None and not is_unknown(self):  # a whole number of Python's, as of a number of NumPy's
            return round(plain(self)[()])
        return np.round(self, 0 if ndigits is None else ndigits)

    # -- reading and writing ---------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        if is_basic(index):
            return _read(self, index)
        if ops.index.is_own(index):
            return ops.index.read_at(self, index)
        index = _index(index)
        return apply(ops.index.getitem, (self,), {"index": index})

    def __setitem__(self, index: Any, value: Any) -> None:
        own = ops.index.is_own(index)
        index = index if own else _index(index)
        if isinstance(value, Tensor) and value.family is not None and self.family is not None:
            kin = value.family[1]  # the write of x[i] += v was carried out when the view x[i] was written
            if kin.up is self.family[1] and kin.op is ops.index.getitem and _same(kin.params["index"], index):
                return
        if _is_number(self) and not (isinstance(index, (np.ndarray, np.generic, Tensor)) and index.dtype.kind == "b"):
            # by a mask they can be written: the array API has arrays without axes where NumPy has numbers
            raise TypeError(f"'{type(held(self)).__name__}' object does not support item assignment")
        value = as_array(value) if type(value) is list or type(value) is tuple else value
        alone = self.recorder is CONSTANTS and self.family is None and isinstance(self.value, np.ndarray)
        if alone and not own and not isinstance(value, Traced):
            if not self.value.flags.writeable:  # the caller's own, as vmap passes on what is the same for all
                self.value = self.value.copy("K")
            self.value[index] = value
            return
        self._rebind(ops.index.written(self, value, index))

    def _rebind(self, fresh: Any) -> None:
        """Let this object stand for another node: what a write is, where nodes never change.

        As in NumPy the write shows through every live relative: it goes up from a view to the base of all, and from
        there every other view is taken anew. Where that way is not known it is refused before anything has changed.
        """
        if self.family is None:
            _lay(fresh, self)
            self._become(fresh)
            return
        family, mine = self.family
        chain: list[Kin] = []  # from this one up to the root, which is not in it
        kin = mine
        while kin.up is not None:
            if kin.op is not None and kin.op.name in ops.writes.LOCKED:
                raise ValueError("assignment destination is read-only")  # NumPy's words
            chain.append(kin)
            kin = kin.up
        live = [(kin, tensor) for kin in family.members if (tensor := kin.tensor()) is not None]
        if len(live) == 1 and not (chain and _lies_otherwise(self, fresh)):
            self.family = None
            _lay(fresh, self)
            self._become(fresh)
            return
        if any(step.op is None for step in chain) or any(kin.op is None and kin.up is not None for kin, _ in live):
            raise _viewed_elsewhere("x[i] = v")
        bases = [family.root]
        for step in chain[:0:-1]:
            bases.append(ops.writes.seen(bases[-1], step))
        new = {id(mine): fresh}
        for step in chain:
            fresh = ops.writes.shown(bases.pop(), fresh, step)
            new[id(step.up)] = fresh
        _lay(fresh, family.root)
        for step in reversed(chain):  # anew as well: as a view it lies in memory as NumPy's does
            new[id(step)] = ops.writes.seen(new[id(step.up)], step)
        taken: list[tuple[Any, Any]] = [(tensor, _taken_anew(kin, new)) for kin, tensor in live]
        taken.append((family.root, fresh))
        # all at once, where nothing can fail any more and no key that is pressed comes in between
        owners, values = zip(*((tensor, (one.value, one.recorder, one.index)) for tensor, one in taken), strict=True)
        names = ("value", "recorder", "index") * len(owners)
        list(map(setattr, [x for x in owners for _ in range(3)], names, [part for one in values for part in one]))
        family.members[:] = [kin for kin, _ in live]

    def _become(self, fresh: Any) -> None:
        self.value, self.recorder, self.index = fresh.value, fresh.recorder, fresh.index

    __iadd__, __isub__, __imul__ = _in_place(np.add), _in_place(np.subtract), _in_place(np.multiply)
    __itruediv__, __ifloordiv__ = _in_place(np.divide), _in_place(np.floor_divide)
    __ipow__, __imod__, __imatmul__ = _in_place(np.power), _in_place(np.remainder), _in_place(np.matmul)
    __iand__, __ior__, __ixor__ = _in_place(np.bitwise_and), _in_place(np.bitwise_or), _in_place(np.bitwise_xor)
    __ilshift__, __irshift__ = _in_place(np.left_shift), _in_place(np.right_shift)

    def fill(self, value: Any) -> None:
        """Write one value everywhere."""
        if np.ndim(value):
            np.empty(self.shape, self.dtype).fill(held(value))  # NumPy's error, where it is more than one
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """Put its elements in order, where they stand."""
        self[...] = np.sort(self, operator.index(axis), kind, order, stable=stable)

    def partition(self, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None) -> None:
        """Put the elements at `kth` where sorting would put them, the smaller ones before and the larger behind."""
        self[...] = np.partition(self, kth, operator.index(axis), kind, order)

    def resize(self, *shape: Any, refcheck: bool = True) -> NoReturn:
        """Refused: another size is another array."""
        raise _no_memory("x.resize(…)", "x = np.resize(x, shape), which repeats the elements, or np.pad(x, …)")

    def setfield(self, value: Any, dtype: Any, offset: int = 0) -> NoReturn:
        """Refused: bytes read as another type have no derivative."""
        raise _no_memory("x.setfield(…)", "x[...] = value, x.real = value, x.imag = value")

    def setflags(self, write: Any = None, align: Any = None, uic: Any = None) -> NoReturn:
        """Refused: what stands in a node is never written into, and a tensor always can be."""
        raise _no_memory("x.setflags(…)", "leave it out")

    # -- methods of ndarray ----------------------------------------------------------------------------------------

    all, any, argmax, argmin = _method(np.all), _method(np.any), _method(np.argmax), _method(np.argmin)
    argsort, argpartition, put = map(_method, (np.argsort, np.argpartition, np.put))
    cumprod, cumsum, diagonal, dot = _method(np.cumprod), _method(np.cumsum), _method(np.diagonal), _method(np.dot)
    max, mean, min, nonzero = _method(np.max), _method(np.mean), _method(np.min), _method(np.nonzero)
    prod, ravel, repeat, round = _method(np.prod), _method(np.ravel), _method(np.repeat), _method(np.round)
    searchsorted, squeeze, std, sum = _method(np.searchsorted), _method(np.squeeze), _method(np.std), _method(np.sum)
    swapaxes, take, trace, var = _method(np.swapaxes), _method(np.take), _method(np.trace), _method(np.var)

    def conjugate(self) -> Any:
        """The complex conjugate; a real tensor is its own, itself, as in NumPy."""
        return np.conjugate(self) if self.dtype.kind == "c" else self

    conj = conjugate

    def clip(self, min: Any = None, max: Any = None, out: None = None, **kwargs: Any) -> Any:  # noqa: A002 NumPy's names
        """Its elements within two bounds, either of which may be absent."""
        return np.clip(self, min, max, out, **kwargs)

    def copy(self, order: Any = "C") -> Any:
        """A tensor of its own: writing into it shows nowhere else."""
        return np.copy(self, order=order)

    def choose(self, *choices: Any, out: Any = None, mode: Any = "raise") -> Any:
        """The elements of several arrays that its whole numbers name: ``i.choose([a, b])`` or ``i.choose(a, b)``."""
        if not choices:
            raise TypeError("choose() takes at least 1 argument (0 given)")
        return np.choose(self, choices[0] if len(choices) == 1 else choices, out=out, mode=mode)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """The elements, or the slices along an axis, at which the condition holds."""
        return np.compress(condition, self, axis=axis, out=out)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """The same elements in another dtype; to integers or booleans, without a derivative."""
        if order != "K":
            checked: Any = {"order": order}
            np.empty(0).astype(float, **checked)  # NumPy's error, where it is none
        dtype = np.dtype(dtype)
        if dtype.kind not in NUMBERS:
            return _convert(self, f"x.astype({dtype})", "only arrays of numbers have derivatives").astype(dtype)
        if dtype == self.dtype and not copy:
            return self
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {self.dtype!r} to {dtype!r} by the rule '{casting}'")
        if dtype.kind not in "fc":
            return ops.flat.to_integers(self, dtype=dtype)
        return apply(OPERATIONS["astype"], (self,), {"dtype": dtype})

    def flatten(self, order: Any = "C") -> Any:
        """A copy with one axis."""
        return np.copy(np.ravel(self, order))

    def reshape(self, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
        """The same elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
        if not shape:
            raise TypeError("reshape() takes exactly 1 argument (0 given)")
        wanted = shape[0] if len(shape) == 1 else shape
        if order == "C" and copy is None:
            return _reshape(self, wanted)
        return _reshape(self, wanted, order=order, copy=copy)  # NumPy 2.0 has no copy=, and here it is None

    def transpose(self, *axes: Any) -> Any:
        """The axes permuted: ``x.transpose(1, 0)`` or ``x.transpose((1, 0))``."""
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def view(self, dtype: Any = np.ndarray, type: Any = np.ndarray) -> Any:  # noqa: A002 NumPy's names
        """Another tensor of the same elements; as another dtype refused, because bytes have no derivative."""
        if (dtype is np.ndarray or np.dtype(dtype) == self.dtype) and type is np.ndarray:
            return self[...]
        return _convert(self, "x.view(dtype)", "x.astype(dtype) converts the numbers").view(dtype)

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """Itself: there is one device, ``"cpu"``."""
        np.zeros(0).to_device(device, stream=stream)  # NumPy's errors
        return self

    getfield = _bytes("getfield", "x.real, x.imag and x.astype(dtype) have derivatives")
    byteswap = _bytes("byteswap", "x.astype(dtype) converts the numbers")
    tofile, dump = _bytes("tofile", "save what the function returns"), _bytes("dump", "save what the function returns")
    dumps = _bytes("dumps", "save what the function returns")
    tobytes, tolist = _bytes("tobytes", "save what the function returns"), _bytes("tolist", "list(x) keeps the tensors")
    item = _bytes("item", "x[i] or x.sum() stay tensors")
    __dlpack__ = _bytes("__dlpack__", "leave it a tensor: other libraries would not know its history")
    __dlpack_device__ = _bytes("__dlpack_device__", "leave it a tensor")


def _load_rules(ufunc: np.ufunc) -> None:
    """Load the rules for the library that a ufunc is from: nothing of it is loaded before one of its ufuncs is met."""
    for library, room in LIBRARIES.items():
        if getattr(sys.modules.get(library), ufunc.__name__, None) is ufunc:
            importlib.import_module(room, __package__)


class UntoldError(Exception):
    """NumPy cannot be asked: there is a function of the user's in the call, or what can be read only once."""


def _like(x: Any) -> Any:
    """An argument as NumPy alone would get it; tensors as arrays of their own, into which may be written."""
    if isinstance(x, Traced):
        return np.array(held(x))[()]
    if isinstance(x, np.ndarray):
        return x.copy()
    if isinstance(x, (list, tuple)):
        parts = map(_like, x)
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, dict):
        return {key: _like(part) for key, part in x.items()}
    if (callable(x) and not isinstance(x, (type, np.ufunc))) or hasattr(x, "__next__"):
        raise UntoldError
    return x


def _numpys_own(function: Any, args: Any, kwargs: Any, error: Exception) -> Exception | None:
    """What NumPy itself says of a call, or of a method's, that failed here; None where it says the same, or nothing.

    A composition checks what it needs, in its own order, and may fall over what NumPy would have refused by name. It is
    not asked where there was no memory.
    """
    if isinstance(error, MemoryError):
        return None
    if isinstance(function, str) and not hasattr(np.ndarray, function):  # an operator, by the name of its ufunc
        function = getattr(np, function, None)
        if function is None:
            return None
    try:
        given, settings = _like(tuple(args)), _like(kwargs)
    except UntoldError:
        return None
    with np.errstate(all="ignore"), unwarned():
        try:
            if isinstance(function, str):
                function, given = getattr(given[0], function), given[1:]
            function(*given, **settings)
        except Exception as own:
            return None if type(own) is type(error) else own.with_traceback(None)
    return None


def _same(a: Any, b: Any) -> bool:
    """Whether two indices are the same, as far as it can be known."""
    return a is b or (type(a) is type(b) and is_basic(a) and repr(a) == repr(b))


def _bare(x: Any, found: list[Any]) -> Any:
    """Arguments with each tensor replaced by what it holds; the tensors are added to `found`."""
    if isinstance(x, Traced):
        found.append(x)
        return plain(x)
    if isinstance(x, (list, tuple)):
        return type(x)(_bare(part, found) for part in x)
    if isinstance(x, dict):
        return {key: _bare(part, found) for key, part in x.items()}
    return x


def _ufunc_with_settings(ufunc: np.ufunc, call: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """A ufunc called with keywords: what says where to write is refused, what says how to compute is done."""
    out = kwargs.pop("out", None)
    if out is not None and any(part is not None for part in out):
        target = out[0]
        raise LostHistoryError(
            message(
                f"np.{ufunc.__name__}(…, out=a) would write a tensor into "
                + ("another tensor" if isinstance(target, Traced) else "a plain array (a += x does the same)"),
                "a plain array keeps no history, and nodes never change",
                f"take the result: a = np.{ufunc.__name__}(…); for += write a = a + x, or make a with "
                "autodiff.numpy.zeros(...)",
            )
        )
    if kwargs.pop("where", True) is not True:
        raise KeywordError(
            message(
                f"np.{ufunc.__name__}(…, where=…)",
                "without out=, NumPy leaves there whatever was in memory",
                f"np.where(condition, np.{ufunc.__name__}(…), other) says what stands elsewhere",
            )
        )
    said = {k: v for k, v in kwargs.items() if v is not None and k != "subok"}
    kwargs = {k: v for k, v in said.items() if k != "order" or not isinstance(v, str) or v != "K"}
    if not kwargs.keys().isdisjoint(("dtype", "casting")):
        dtype, casting = kwargs.pop("dtype", None), kwargs.pop("casting", "same_kind")
        args = ops.ufuncs.converted(ufunc, args, dtype, casting)
    return call(*args, **kwargs)  # what is left is refused there, by name


def _ufunc_method(ufunc: np.ufunc, method: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """add.reduce, multiply.accumulate, subtract.outer …, by the operation that each of them is."""
    written = ops.ufuncs.method(ufunc, method)
    if written is not None:
        return written(ufunc, *args, **kwargs)
    found: list[Any] = []
    bare = _bare((args, kwargs), found)
    if any(map(has_history, found)):
        raise no_rule(ufunc, "" if method == "__call__" else method)
    return getattr(ufunc, method)(*bare[0], **bare[1])


class At:
    """The positions of a tensor that ``x.at[index]`` selects; each method returns a new tensor, x stays as it is."""

    __slots__ = ("index", "tensor")

    def __init__(self, tensor: Any, index: Any = None) -> None:
        self.tensor = tensor
        self.index = index

    def __getitem__(self, index: Any) -> At:
        return At(self.tensor, index if ops.index.is_own(index) else _index(index))

    def get(self) -> Any:
        """``x[index]``."""
        return self.tensor[self.index]

    def set(self, value: Any) -> Any:
        """X with ``value`` at the index; where a position is named twice the last one counts, as in NumPy."""
        if ops.index.is_own(self.index):
            return ops.index.write_at(self.tensor, value, self.index)
        return apply(ops.index.update, (self.tensor, value), {"index": self.index})

    def add(self, value: Any) -> Any:
        """X with ``value`` added at the index; where a position is named twice both count."""
        value, dtype = as_array(value), self.tensor.dtype
        if not np.can_cast(value.dtype, dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc 'add' input 1 from {value.dtype!r} to {dtype!r} with casting rule 'same_kind'"
            )
        spread = np.broadcast_to(value, self.tensor[self.index].shape)
        if not hasattr(spread, "dtype") or spread.dtype != dtype:
            spread = spread.astype(dtype)
        if ops.index.is_own(self.index):
            return self.tensor + ops.index.spread_at(spread, self.index, self.tensor.shape)
        return apply(ops.index.scatter_add, (self.tensor, spread), {"index": self.index})

    def subtract(self, value: Any) -> Any:
        """X with ``value`` subtracted at the index."""
        return self.add(np.negative(value))

    def multiply(self, value: Any) -> Any:
        """X multiplied by ``value`` at the index."""
        return self.set(self.tensor[self.index] * value)

    def divide(self, value: Any) -> Any:
        """X divided by ``value`` at the index."""
        return self.set(self.tensor[self.index] / value)

    def power(self, value: Any) -> Any:
        """X raised to ``value`` at the index."""
        return self.set(self.tensor[self.index] ** value)

    def min(self, value: Any) -> Any:
        """The smaller of x and ``value`` at the index."""
        return self.set(np.minimum(self.tensor[self.index], value))

    def max(self, value: Any) -> Any:
        """The larger of x and ``value`` at the index."""
        return self.set(np.maximum(self.tensor[self.index], value))

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """X with ``function`` of what stands there at the index."""
        return self.set(function(self.tensor[self.index]))


adopt(Tensor)
