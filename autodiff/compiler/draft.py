"""A graph on its way to a program, and the trace that records it.

A draft is a graph with one more column: whether a node was computed where NumPy's warnings are off, as in a sweep. A
pass is a function from draft to draft; :func:`rewritten` is the loop that all of them share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import user_place
from ..graph import LITERAL, Graph
from ..op import CONSTANT, INPUT
from ..recorders import SCOPE, Trace, _Many, in_turn
from ..traced import Traced


class Origin(NamedTuple):
    """What a node has from where it was recorded: the scope, the user's line, whether NumPy's warnings were off there.

    And the order in which its axes lay in memory, from the one with the longest strides on; None for C order.
    """

    scope: tuple[str, ...]
    line: tuple[str, int] | None
    quiet: bool
    order: tuple[int, ...] | None = None


def order_of(x: Any) -> tuple[int, ...] | None:
    """The order of an array's axes in memory, from the one with the longest strides on; None for C order."""
    if type(x) is not np.ndarray or x.ndim < 2 or x.flags.c_contiguous:
        return None
    order = tuple(sorted(range(x.ndim), key=lambda k: -abs(x.strides[k])))
    return order if order != tuple(range(x.ndim)) else None


class Draft(Graph):
    """A graph without values, in which each node knows whether it may warn.

    Its last `proofs` outputs are no results of the function, but truths that must hold for the others to be right.
    """

    __slots__ = ("orders", "proofs", "quiet")

    def __init__(self) -> None:
        super().__init__()
        self.quiet: list[bool] = []
        self.orders: list[tuple[int, ...] | None] = []
        self.proofs = 0

    def add(
        self,
        op: Any,
        inputs: tuple[int, ...],
        literals: tuple[Any, ...],
        params: dict[str, Any] | None,
        shape: Any,
        dtype: Any,
        like: Origin,
    ) -> int:
        """Append one node; `like` is what it has from the one that it comes from."""
        self.ops.append(op)
        self.inputs.append(inputs)
        self.literals.append(literals)
        self.params.append(params)
        self.shapes.append(shape)
        self.dtypes.append(dtype)
        self.scopes.append(like.scope)
        self.lines.append(like.line)
        self.quiet.append(like.quiet)
        fits = like.order is not None and len(like.order) == len(shape) and type(shape[0]) is int
        self.orders.append(like.order if fits else None)
        return len(self.ops) - 1

    def again(
        self, old: Draft, i: int, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...],
        params: dict[str, Any] | None,
    ) -> int:  # fmt: skip
        """Append what stands in the place of node i of another draft: of its shape and dtype, from where it comes."""
        return self.add(op, inputs, literals, params, old.shapes[i], old.dtypes[i], old.origin(i))

    def origin(self, i: int) -> Origin:
        """Where node i comes from: what :meth:`add` takes as `like`."""
        return Origin(self.scopes[i], self.lines[i], self.quiet[i], self.orders[i])


class Known:
    """Stands in a pass for a node whose value is known before the program runs."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Change = Callable[[Draft, Any, tuple[int, ...], tuple[Any, ...], "dict[str, Any] | None", Draft, int], Any]


def rewritten(old: Draft, change: Change, keep: bytearray | None = None) -> Draft:
    """A draft in which each node was offered to `change`, in order.

    ``change(new, op, inputs, literals, params, old, i)`` sees node i with its inputs already rewritten. It returns the
    number of the node of `new` that stands for it from now on, a :class:`Known`, or None to copy it as it is. Nodes
    that `keep` marks with 0 are left out.
    """
    new = Draft()
    new.title, new.tree, new.proofs = old.title, old.tree, old.proofs
    at: list[Any] = [None] * len(old.ops)
    known = False  # whether any node is
    for i, op in enumerate(old.ops):
        if keep is not None and not keep[i]:
            continue
        inputs, literals, params = old.inputs[i], old.literals[i], old.params[i]
        if inputs:
            places = [v if v == LITERAL else at[v] for v in inputs]
            if known and any(type(place) is Known for place in places):
                literals = tuple(
                    place.value if type(place) is Known else x for place, x in zip(places, literals, strict=True)
                )
                places = [LITERAL if type(place) is Known else place for place in places]
            inputs = tuple(places)
        place = change(new, op, inputs, literals, params, old, i)
        if place is None:
            place = new.again(old, i, op, inputs, literals, params)
        known = known or type(place) is Known
        at[i] = place
        if i in old.names and type(place) is int:
            new.names.setdefault(place, old.names[i])
    new.arguments = [at[i] for i in old.arguments]
    for i in old.outputs:
        place = at[i]
        if type(place) is Known:
            value = np.asarray(place.value)[()]
            place = at[i] = new.add(CONSTANT, (LITERAL,), (value,), None, value.shape, value.dtype, old.origin(i))
        new.outputs.append(place)
    return new


def reordered(old: Draft, order: list[int]) -> Draft:
    """The same draft with its nodes in another order, in which inputs still come before their users."""
    new = Draft()
    new.title, new.tree, new.proofs = old.title, old.tree, old.proofs
    at = [LITERAL] * len(order)
    for i in order:
        inputs = tuple(v if v == LITERAL else at[v] for v in old.inputs[i])
        at[i] = new.again(old, i, old.ops[i], inputs, old.literals[i], old.params[i])
    new.arguments, new.outputs = [at[i] for i in old.arguments], [at[i] for i in old.outputs]
    new.names = {at[i]: name for i, name in old.names.items()}
    return new


def nbytes(draft: Graph, i: int) -> int:
    """The size of a node's value."""
    shape, dtype = draft.shapes[i], draft.dtypes[i]
    if isinstance(dtype, tuple):
        return sum(math.prod(s) * d.itemsize for s, d in zip(shape, dtype, strict=True))
    return int(math.prod(shape) * dtype.itemsize)


def key_of(x: Any) -> Any:
    """A literal or a setting as something that can be looked up; equal keys mean equal in every bit."""
    kind = type(x)
    if kind is float or kind is complex or isinstance(x, np.generic):
        return kind, getattr(x, "dtype", None), repr(x)  # -0.0 is not 0.0, nan is nan
    if kind is np.ndarray:
        if x.size and not any(x.strides) and x.ndim:
            return "splat", x.shape, key_of(x[(0,) * x.ndim])
        return "array", x.shape, x.dtype.str, hashlib.blake2b(np.ascontiguousarray(x).tobytes()).digest()
    if kind is tuple or kind is list:
        return kind, tuple(map(key_of, x))
    if kind is slice:
        return "slice", key_of(x.start), key_of(x.stop), key_of(x.step)
    if kind is dict:
        return "dict", tuple((key, key_of(value)) for key, value in sorted(x.items()))
    try:
        hash(x)
    except TypeError:
        return "object", id(x)
    return kind, x


ARITHMETIC = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "floor_divide": "//", "remainder": "%",
    "negative": "-", "positive": "+", "absolute": "abs",
}  # fmt: skip
"""What Python does to numbers of its own, which stay weak: 0.5 * rate times a float32 array is float32."""


NUMBERS = frozenset((float, int, complex))


def weak_nodes(draft: Draft) -> bytearray:
    """Which nodes are numbers of Python's, which widen no dtype."""
    found = bytearray(len(draft.ops))
    for i, (op, inputs) in enumerate(zip(draft.ops, draft.inputs, strict=True)):
        if op is INPUT:
            found[i] = bool(draft.params[i])
        elif op.name in ARITHMETIC and not draft.shapes[i]:
            found[i] = all(
                type(x) in NUMBERS if v == LITERAL else found[v]
                for v, x in zip(inputs, draft.literals[i], strict=True)
            )
    return found


class Weak:
    """A number of Python's as the value of a tensor: it does not widen the dtype of what it meets."""

    __slots__ = ("dtype", "number")
    shape: tuple[int, ...] = ()
    ndim, size = 0, 1

    def __init__(self, number: Any) -> None:
        self.number = number
        self.dtype = np.dtype(type(number))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.number, dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*_numbers(args), **_numbers(kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_numbers(args), **_numbers(kwargs))

    def __getattr__(self, name: str) -> Any:  # what else an array can do
        return getattr(np.asarray(self.number)[()], name)


def _numbers(x: Any) -> Any:
    if isinstance(x, Weak):
        return x.number
    if isinstance(x, (tuple, list)):
        return type(x)(map(_numbers, x))
    return {key: _numbers(value) for key, value in x.items()} if isinstance(x, dict) else x


class Recorder(Trace):
    """The trace of a function that is being compiled: it keeps no value, and refuses to tell one."""

    __slots__ = ("called", "foreign", "weak")

    full = True
    compiling = True

    def __init__(self) -> None:
        super().__init__()
        draft = self.graph = Draft()
        self.ops, self.inputs, self.params = draft.ops, draft.inputs, draft.params
        self.shapes, self.dtypes = draft.shapes, draft.dtypes
        self.called: list[str] = []  # the names of the arguments
        self.weak: set[int] = set()  # the nodes that stand for a number of Python's
        self.foreign = False  # whether a tensor of another trace came in through a closure

    @in_turn
    def record(
        self,
        op: Any,
        inputs: tuple[int, ...],
        args: tuple[Any, ...],
        kept: Any,
        y: Any,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Append one node, without its value."""
        draft = self.graph
        assert isinstance(draft, Draft)
        if self.ops is not draft.ops:  # closed: this says so
            self.ops.append(op)
        literals = tuple(x if i == LITERAL else None for i, x in zip(inputs, args, strict=True))
        self.foreign = self.foreign or any(isinstance(x, Traced) for x in literals)
        quiet = np.geterr()["invalid"] == "ignore"
        if type(y) is not _Many and not hasattr(y, "dtype"):
            y = np.asarray(y)[()]
        still_weak = op.name in ARITHMETIC and all(
            type(x) in NUMBERS if i == LITERAL else i in self.weak for i, x in zip(inputs, args, strict=True)
        )
        if still_weak:
            y = Weak(y.item())
        like = Origin(SCOPE.get(), user_place(), quiet, order_of(y))
        index = draft.add(op, inputs, literals, params, y.shape, y.dtype, like)
        if type(y) is Weak:
            self.weak.add(index)
        return self._tensor(y, index)

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """None of them: no derivative is asked for here, so none can be missing."""
        return (LITERAL,) * len(inputs)

    def last_column(self) -> list[Any]:
        """The order of each node's axes in memory."""
        draft = self.graph
        assert isinstance(draft, Draft)
        return draft.orders

    def start(self, value: Any, weak: str | None = None) -> Traced:
        """A tensor for one argument, recorded at once: arguments keep their order."""
        value = Weak(value) if weak else value
        tensor: Traced = self.record(INPUT, (), (), None, value, {"weak": weak} if weak else None)
        self.graph.arguments.append(tensor.index)
        return tensor
