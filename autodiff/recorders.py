"""How a call is recorded: the traces, from the lean one of a gradient to the full one of a picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from .contents import checksum
from .errors import ClosedTraceError, OverwrittenError, message, user_place
from .graph import LITERAL, Graph, Values
from .op import INPUT, ITEM, Op
from .traced import Traced

SCOPE: ContextVar[tuple[str, ...]] = ContextVar("autodiff_scope", default=())
"""The names of the scopes that the running code stands in, outermost first."""

TRACING: ContextVar[int] = ContextVar("autodiff_tracing", default=0)
"""How many traced functions the running code stands in: where it is not 0, creation functions make writable tensors."""

PLACED = -2
"""Stands in a trace's list of pending tensors for one whose node is recorded."""

LARGE = 1 << 19
"""Bytes from which on an array may be guarded instead of copied: two looks at it take less time, and no memory."""

Tensor: type[Traced] = Traced
"""The class of the tensors that `record` makes. Filled by :func:`adopt` when autodiff.tensor is imported."""


def adopt(tensor: type[Traced]) -> None:
    """Let traces make tensors of this class."""
    global Tensor
    Tensor = tensor


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


class Trace:
    """The recorder of one differentiated call. This lean one keeps only what some rule will read.

    Where it is swept before anyone gets hold of it, it need not copy large arrays: it guards them.
    """

    __slots__ = ("arguments", "dtypes", "graph", "guarded", "inputs", "level", "ops", "params", "pending", "results",
                 "shapes", "values")  # fmt: skip

    full = False
    compiling = False  # whether values are unknown, because what is recorded will run on others
    batching = False  # whether its tensors hold one array of each example of a batch

    def __init__(self, guarding: bool = False) -> None:
        self.level = next(_levels)
        self.guarded: dict[int, tuple[Any, int, Any]] | None = {} if guarding else None
        graph = self.graph = Graph()
        values = self.values = Values()
        self.ops, self.inputs, self.params = graph.ops, graph.inputs, graph.params
        self.shapes, self.dtypes = graph.shapes, graph.dtypes
        self.arguments, self.results = values.arguments, values.results
        self.pending: list[tuple[int, int]] = []

    def guard(self, x: Any, reader: Any) -> bool:
        """Take note of what a large array holds, and who reads it: an operation, or the number of an argument.

        False where it must be copied instead.
        """
        assert self.guarded is not None
        if id(x) not in self.guarded:
            if not x.flags.forc:  # to look at it would take a copy
                return False
            self.guarded[id(x)] = (x, checksum(x), reader)
        return True

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
                        f"{what} ({x.dtype}{list(x.shape)}) was overwritten while the gradient was computed",
                        "arrays of this size are not copied, and the reverse sweep reads what it finds",
                        "give the function a copy of what it overwrites: x.copy(); ad.vjp copies everything",
                    )
                )

    def leaf(self, value: Any) -> Traced:
        """A tensor for one argument of the traced function; its node is recorded when it is first used."""
        self.pending.append((LITERAL, len(self.graph.arguments)))
        self.graph.arguments.append(LITERAL)
        return self._tensor(value, -len(self.pending))

    def _tensor(self, value: Any, index: int) -> Traced:
        tensor = Tensor.__new__(Tensor)
        tensor.value, tensor.recorder, tensor.index, tensor.family = value, self, index, None
        return tensor

    def place(self, tensor: Traced) -> int:
        """Record the node of a pending tensor, now that it is used."""
        number = -1 - tensor.index
        source, place = self.pending[number]
        if source == PLACED:  # another object for the same node came first
            index = place
        elif source == LITERAL:
            index = self.record(INPUT, (), (), tensor.value, tensor.value).index
            self.graph.arguments[place] = index
        else:
            index = self.record(ITEM, (source,), (None,), None, tensor.value, {"index": place}).index
        self.pending[number] = (PLACED, index)
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
        """Append one node and return the tensor of its result. `args` and `kept` are what its rules will read."""
        ops = self.ops
        index = len(ops)
        ops.append(op)
        self.inputs.append(inputs)
        self.arguments.append(args)
        self.results.append(kept)
        self.params.append(params)
        self.shapes.append(y.shape)
        self.dtypes.append(y.dtype)
        tensor = Tensor.__new__(Tensor)
        tensor.value = y
        tensor.recorder = self
        tensor.index = index
        tensor.family = None
        return tensor

    def record_many(self, op: Op, inputs: tuple[int, ...], args: Any, kept: Any, ys: Any, params: Any) -> Any:
        """Append one node whose value is a tuple; return a pending tensor for each of its results."""
        index = len(self.ops)
        self.record(op, inputs, args, kept, _Many(ys), params)
        tensors = []
        for k, y in enumerate(ys):
            if y.dtype.kind in "fc" or self.compiling:
                self.pending.append((index, k))
                tensors.append(self._tensor(y, -len(self.pending)))
            else:
                tensors.append(y.copy())  # the caller may write into it, and a rule reads it
        return type(ys)(*tensors) if hasattr(ys, "_fields") else tuple(tensors)

    def compute(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What a trace that is batching does with a call: the operation on all examples at once."""
        raise NotImplementedError

    def is_active(self, tensor: Traced) -> bool:
        """Whether a derivative can pass through this tensor: a lean trace records nothing else."""
        return True

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The same inputs with LITERAL in place of those through which no derivative can pass."""
        return inputs

    def close(self) -> None:
        """Let nothing more be recorded."""
        self.ops = _Closed()


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
        tensor = super().record(op, inputs, held, whole, y, params)
        graph = self.graph
        graph.literals.append(tuple(x if i == LITERAL else None for i, x in zip(inputs, args, strict=True)))
        graph.scopes.append(SCOPE.get())
        graph.lines.append(user_place() if self.lines else None)
        self.active.append(
            op is INPUT or (not op.flat and any(self.active[i] for i in inputs if i != LITERAL))
        )
        return tensor

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
