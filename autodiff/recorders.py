"""How a call is recorded: the traces, from the lean one of a gradient to the full one of a picture."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from .contents import checksum
from .errors import ClosedTraceError, GraphError, OverwrittenError, message, user_place
from .graph import LITERAL, Graph, Values
from .op import INPUT, ITEM, Op
from .traced import Traced

SCOPE: ContextVar[tuple[str, ...]] = ContextVar("autodiff_scope", default=())
"""The names of the scopes that the running code stands in, outermost first."""

TRACING: ContextVar[int] = ContextVar("autodiff_tracing", default=0)
"""How many traced functions the running code stands in: where it is not 0, creation functions make writable tensors."""

LARGE = 1 << 19
"""Bytes from which on an array may be guarded instead of copied: two looks at it take less time, and no memory."""

Tensor: type[Traced] = Traced
"""The class of the tensors that `record` makes. Filled by :func:`adopt` when autodiff.tensor is imported."""


def adopt(tensor: type[Traced]) -> None:
    """Let traces make tensors of this class."""
    global Tensor
    Tensor = tensor


_turn = threading.RLock()
"""Of threads that share a trace one records at a time, where that takes several steps that belong together."""


def _renew() -> None:
    """After a fork nobody is left who would release it."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def turn() -> threading.RLock:
    """The lock that a thread holds for as long as it records one node in several steps."""
    return _turn


def in_turn(record: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, for one thread at a time."""

    @functools.wraps(record)
    def recorded(*args: Any) -> Any:
        with _turn:
            return record(*args)

    return recorded


_levels = itertools.count(1)  # a serial number, not a state: of two traces in one nest the later one is the inner one


class _Closed(list[Any]):
    """What stands in the place of a trace's list of operations once its function has returned."""

    def append(self, op: Any) -> None:
        raise ClosedTraceError(
            message(
                f"{op.name}: one of its arguments is a tensor of a function that has already returned",
                "tensors live while the function that is being differentiated runs; nothing can be recorded after it",
                "return the value (has_aux=True), or store ad.stop_gradient(x) instead of x",
            )
        )


def is_closed(trace: Trace) -> bool:
    """Whether the function of a trace has returned."""
    return type(trace.ops) is _Closed


class Trace:
    """The recorder of one differentiated call. This lean one keeps only what some rule will read.

    Where it is swept before anyone gets hold of it, it need not copy large arrays: it guards them.
    """

    __slots__ = ("arguments", "dtypes", "graph", "guarded", "inputs", "level", "made", "ops", "params", "pending",
                 "results", "shapes", "values")  # fmt: skip

    full = False
    compiling = False  # whether values are unknown, because what is recorded will run on others
    batching = False  # whether its tensors hold one array of each example of a batch
    debugging = False  # whether its results are asked whether they are finite, and its rules watched

    def __init__(self, guarding: bool = False) -> None:
        self.level = next(_levels)
        self.guarded: dict[int, tuple[Any, int, Any]] | None = {} if guarding else None
        graph = self.graph = Graph()
        values = self.values = Values()
        self.ops, self.inputs, self.params = graph.ops, graph.inputs, graph.params
        self.shapes, self.dtypes = graph.shapes, graph.dtypes
        self.arguments, self.results = values.arguments, values.results
        self.made = 0  # how many tensors were pending at first
        self.pending: dict[int, Any] = {}  # by their negative index: where its node is from, then its number

    def guard(self, x: Any, reader: Any) -> bool:
        """Take note of what a large array holds, and who reads it: an operation, or the number of an argument.

        False where it must be copied instead.
        """
        assert self.guarded is not None
        known = self.guarded.get(id(x))
        if known is None:
            if not x.flags.forc:  # to look at it would take a copy
                return False
            self.guarded[id(x)] = (x, checksum(x), reader)
        return known is None or checksum(x) == known[1]  # another one by now: a copy of its own

    def check_guarded(self, where: Callable[[int], str]) -> None:
        """See that all that was guarded still holds what it held; `where` says an argument's number in words.

        Raises
        ------
        OverwrittenError
            Where it does not: what was computed from it may belong to the one or to the other.
        """
        for x, before, reader in (self.guarded or {}).values():
            if checksum(x) != before:
                what = where(reader) if isinstance(reader, int) else f"a constant of {reader.name}"
                raise OverwrittenError(
                    message(
                        f"{what} ({x.dtype}{list(x.shape)}) was overwritten while the gradient ran",
                        "arrays of this size are not copied, and the reverse sweep reads what it finds",
                        "give the function a copy of what it overwrites: x.copy(); ad.vjp copies everything",
                    )
                )

    def leaf(self, value: Any) -> Traced:
        """A tensor for one argument of the traced function; its node is recorded when it is first used."""
        self.made += 1
        self.pending[-self.made] = LITERAL, len(self.graph.arguments)
        self.graph.arguments.append(LITERAL)
        return self._tensor(value, -self.made)

    def _tensor(self, value: Any, index: int) -> Traced:
        tensor = Tensor.__new__(Tensor)
        tensor.value, tensor.recorder, tensor.index, tensor.family = value, self, index, None
        return tensor

    def place(self, tensor: Traced) -> int:
        """Record the node of a pending tensor, now that it is used; once, however many objects and threads use it."""
        key = tensor.index
        if key >= 0:  # another thread has done it since it was asked
            return key
        pending = self.pending
        known = pending.get(key)
        try:
            entry = pending.pop(key, None)
            while entry is None:  # another thread is recording it
                time.sleep(0)
                entry = pending.pop(key, None)
            if type(entry) is tuple:  # else another object for the same node came first
                source, place = entry
                if source == LITERAL:
                    entry = self.record(INPUT, (), (), tensor.value, tensor.value).index
                    self.graph.arguments[place] = entry
                else:
                    entry = self.record(ITEM, (source,), (None,), None, tensor.value, {"index": place}).index
            pending[key] = entry
        except BaseException:  # it is pending as before: whoever waited for it would wait for ever
            if known is not None:
                pending.setdefault(key, known)
            raise
        index: int = entry
        tensor.index = index
        return index

    def record(
        self,
        op: Any,
        inputs: tuple[int, ...],
        args: tuple[Any, ...],
        kept: Any,
        y: Any,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Append one node and return the tensor of its result. `args` and `kept` are what its rules will read.

        From `index` on nothing but lists is touched: the interpreter changes to no other thread in between, as long as
        nobody traces or profiles it. See :func:`watched`.
        """
        shape, dtype = y.shape, y.dtype
        ops = self.ops
        index = len(ops)
        ops.append(op)
        self.inputs.append(inputs)
        self.arguments.append(args)
        self.results.append(kept)
        self.params.append(params)
        self.shapes.append(shape)
        self.dtypes.append(dtype)
        tensor = Tensor.__new__(Tensor)
        tensor.value = y
        tensor.recorder = self
        tensor.index = index
        tensor.family = None
        return tensor

    def record_many(self, op: Op, inputs: tuple[int, ...], args: Any, kept: Any, ys: Any, params: Any) -> Any:
        """Append one node whose value is a tuple; return a pending tensor for each of its results."""
        index = self.record(op, inputs, args, kept, _Many(ys), params).index
        tensors = []
        for k, y in enumerate(ys):
            if y.dtype.kind in "fc" or self.compiling:
                with _turn:
                    self.made += 1
                    key = -self.made
                self.pending[key] = index, k
                tensors.append(self._tensor(y, key))
            else:
                tensors.append(y.copy())  # the caller may write into it, and a rule reads it
        return type(ys)(*tensors) if hasattr(ys, "_fields") else tuple(tensors)

    def compute(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What a trace that is batching does with a call: the operation on all examples at once."""
        raise NotImplementedError

    def leaves_plain(self, y: Any) -> bool:
        """Whether the result of a flat operation stays what it is, with no node."""
        return not self.full

    def is_active(self, tensor: Traced) -> bool:
        """Whether a derivative can pass through this tensor: a lean trace records nothing else."""
        return True

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The same inputs with LITERAL in place of those through which no derivative can pass."""
        return inputs

    def close(self) -> None:
        """Let nothing more be recorded."""
        self.ops = _Closed()

    def last_column(self) -> list[Any]:
        """The one of a node's properties that is noted last."""
        return self.dtypes

    def check_columns(self) -> None:
        """See that all of every node was recorded. Where it was not, later nodes would be taken for one another.

        Raises
        ------
        GraphError
            Where the function caught what was raised as a node was recorded, and went on: a key that was pressed, a
            list for which there was no memory.
        """
        if len(self.graph.ops) != len(self.last_column()):
            raise GraphError(
                message(
                    "an operation was recorded only in part, and the function went on",
                    "it caught what was raised there, such as KeyboardInterrupt or MemoryError; what it computed after "
                    "that would have a wrong derivative",
                    "call the function again, and let such exceptions out of it",
                )
            )


class _Many:
    """The result of a many-result operation, with shape and dtype columns that are tuples."""

    __slots__ = ("dtype", "results", "shape")

    def __init__(self, results: tuple[Any, ...]) -> None:
        self.results = tuple(results)
        self.shape = tuple(y.shape for y in results)
        self.dtype = tuple(y.dtype for y in results)


class FullTrace(Trace):
    """The recorder for pictures and replay: keeps every value, literal, scope and the user's own line."""

    __slots__ = ("active", "lines")

    full = True

    def __init__(self, lines: bool = True) -> None:
        super().__init__()
        self.active: list[bool] = []
        self.lines = lines
        self.graph.values = self.values

    def record(
        self,
        op: Any,
        inputs: tuple[int, ...],
        args: tuple[Any, ...],
        kept: Any,
        y: Any,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Append one node with all that is known of it."""
        whole = y.results if type(y) is _Many else y
        results = self.results
        held = tuple(results[i] if i != LITERAL else x for i, x in zip(inputs, args, strict=True))
        literals = tuple(x if i == LITERAL else None for i, x in zip(inputs, args, strict=True))
        scope, line = SCOPE.get(), user_place() if self.lines else None
        active = op is INPUT or (not op.flat and any(self.active[i] for i in inputs if i != LITERAL))
        graph = self.graph
        with _turn:
            tensor = super().record(op, inputs, held, whole, y, params)
            graph.literals.append(literals)
            graph.scopes.append(scope)
            graph.lines.append(line)
            self.active.append(active)
        return tensor

    def last_column(self) -> list[Any]:
        """Whether a derivative can pass through each node."""
        return self.active

    def is_active(self, tensor: Traced) -> bool:
        """Whether a derivative can pass through this tensor at all: if not, it has no history to lose."""
        return tensor.index < 0 or self.active[tensor.index]

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The same inputs with LITERAL in place of those through which no derivative can pass."""
        return tuple(i if i != LITERAL and self.active[i] else LITERAL for i in inputs)


class _Constants(Trace):
    """The trace of no one: its tensors are plain arrays that can be written into while another trace runs."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.level = -1

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """None of them: a derivative never passes through a constant."""
        return (LITERAL,) * len(inputs)

    def record(
        self, op: Any, inputs: tuple[int, ...], args: Any, kept: Any, y: Any, params: dict[str, Any] | None = None
    ) -> Any:
        return self._tensor(y, 0)

    def record_many(self, op: Op, inputs: tuple[int, ...], args: Any, kept: Any, ys: Any, params: Any) -> Any:
        return tuple(self._tensor(y, 0) for y in ys)


CONSTANTS = _Constants()

if not getattr(sys, "_is_gil_enabled", lambda: True)():  # Python without its lock changes threads anywhere
    Trace.record = in_turn(Trace.record)  # type: ignore[method-assign]


class _InTurn(Trace):
    """The lean recorder where the interpreter may change to another thread in the midst of a node."""

    __slots__ = ()

    record = in_turn(Trace.record)


def watched(guarding: bool = False) -> Trace:
    """A lean recorder; one whose nodes are recorded in turns where a tracer or a profiler is set when it begins."""
    seen = sys.gettrace() or sys.getprofile() or threading.gettrace() or threading.getprofile()
    return (_InTurn if seen else Trace)(guarding)
