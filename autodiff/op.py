"""What an operation is, how it is called, and how a call is recorded.

There is one chokepoint, :func:`apply`: the innermost trace among the arguments wins; compute on what its tensors hold,
which may be tensors of an outer trace; record one node. On plain arrays an operation is NumPy's function and nothing
else. The pointwise operations have call paths of their own for one and two arguments (:func:`unary_path`,
:func:`binary_path`), which do the same with fewer steps.
"""

from __future__ import annotations

import inspect
import itertools
import operator
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from .errors import (
    ClosedTraceError,
    DtypeError,
    KeywordError,
    LeakError,
    NoRuleError,
    message,
    nearest,
    user_frame,
)
from .graph import LITERAL, OPERATIONS, Graph, Values
from .rules import NOTHING, SHAPE, VALUE, Plan, Rule, Slot, Stand, gives_number, reads

NUMBERS = "biufc"
"""The kinds of dtype that may stand in a graph: bool, signed, unsigned, float, complex."""

SCOPE: ContextVar[tuple[str, ...]] = ContextVar("autodiff_scope", default=())
"""The names of the scopes that the running code stands in, outermost first."""

TRACING: ContextVar[int] = ContextVar("autodiff_tracing", default=0)
"""How many traced functions the running code stands in: where it is not 0, creation functions make writable tensors."""

PLACED = -2
"""Stands in a trace's list of pending tensors for one whose node is recorded."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""For each NumPy function that is not a ufunc: what to call in its place when a tensor is among its arguments."""

UFUNCS: dict[Any, Callable[..., Any]] = {}
"""The same for ufuncs called with positional arguments only."""

REFUSED: dict[Any, str] = {}
"""For each function of NumPy that no derivative passes through: why not."""


class Kin(NamedTuple):
    """One live tensor of a family that shares memory in NumPy's eyes; a basic index of its base where it is one."""

    tensor: weakref.ref[Traced]
    base: weakref.ref[Traced] | None
    index: Any


class Traced:
    """What `apply` must know of a tensor: what it holds, the trace that records it, the node that it is.

    A negative index says that the node is still pending: an input, or a result of a many-result operation, is recorded
    when it is first used.
    """

    __slots__ = ("__weakref__", "family", "index", "recorder", "value")
    value: Any
    recorder: Trace
    index: int
    family: list[Kin] | None


def held(x: Any) -> Any:
    """The array or number that a tensor holds, through all the traces around it: for its dtype, its memory, its print.

    What is decided on its value is decided for good where the function is being compiled: that is for :func:`plain`.
    """
    while isinstance(x, Traced):
        x = x.value.stand() if x.recorder.batching else x.value
    return x


def memory(x: Any) -> Any:
    """The array that a tensor holds, through all the traces around it, with the axes of the batches that it is in."""
    while isinstance(x, Traced):
        x = x.value.array if x.recorder.batching else x.value
    return x


def plain(x: Any) -> Any:
    """The array or number that a tensor holds, through all the traces around it. Its history is lost.

    Raises
    ------
    LeakError
        While a function is being compiled: its program will run on other values. Inside of `vmap`: there is one value
        for each example.
    """
    while isinstance(x, Traced):
        if x.recorder.compiling or x.recorder.batching:
            raise leak("the value of a tensor", x)
        x = x.value
    return x


def recorders(x: Any) -> Iterator[Trace]:
    """The traces that a tensor belongs to, from the innermost one outwards."""
    while isinstance(x, Traced):
        yield x.recorder
        x = x.value.array if x.recorder.batching else x.value


def is_unknown(x: Any) -> bool:
    """Whether a tensor has no one value: only the running of a compiled program will tell it, or it is many."""
    return any(trace.compiling or trace.batching for trace in recorders(x))


def is_compiled(x: Any) -> bool:
    """Whether a tensor's value is one that only the running of a compiled program will tell."""
    return any(trace.compiling for trace in recorders(x))


def is_batched(x: Any) -> bool:
    """Whether a tensor stands for one array of each example of a batch."""
    return any(trace.batching for trace in recorders(x))


def every(x: Any) -> Any:
    """As :func:`plain`, but of a batch the values in all of its examples, whatever their axes: for checks alone."""
    while isinstance(x, Traced):
        if x.recorder.compiling:
            raise leak("the value of a tensor", x)
        x = x.value.array if x.recorder.batching else x.value
    return x


def surely(x: Any) -> bool:
    """Whether a condition holds, in every example of a batch: no, where the function is being compiled."""
    while isinstance(x, Traced):
        if x.recorder.compiling:
            return False
        x = np.all(x.value.array) if x.recorder.batching else x.value
    return bool(x)


def leak(what: str, x: Any) -> LeakError:
    """The error for a decision that depends on a value which is not known, or not one."""
    called = _numpy_function()
    what = f"{called}: {what.removeprefix('if, while, and, or, not: ')}" if called else what
    if is_batched(x):
        return LeakError(
            message(
                f"{what} ({x.dtype}{list(x.shape)}) was asked for inside of vmap",
                "it stands for one array of each example, and what is decided on a value is decided for all of them",
                "choose with np.where(condition, a, b), index with autodiff.numpy.asarray(a)[i]; leave what "
                "is the same for all examples out of the batch (in_axes=None); or loop over the examples",
            )
        )
    names = _depends_on(x)
    on = f"; it depends on {', '.join(names)}" if names else ""
    which = ", ".join(dict.fromkeys(name.partition("[")[0] for name in names)) or "the argument that it depends on"
    return LeakError(
        message(
            f"{what} ({x.dtype}{list(x.shape)}) was asked for while the function was being compiled",
            f"a compiled program runs on other values; what is decided on this one would be built into it{on}",
            f"choose with np.where(condition, a, b); make {which} static, where that is a number: "
            "ad.jit(f, static_argnums=…); or leave this function eager",
        )
    )


def _numpy_function() -> str | None:
    """The function of NumPy that the user called, where one is running."""
    frame, outermost = user_frame(), None
    inner = sys._getframe(1)
    while inner is not None and inner is not frame:
        if inner.f_code.co_name == "__array_function__":
            outermost = inner.f_locals.get("function", outermost)
        inner = inner.f_back  # type: ignore[assignment]
    module = getattr(outermost, "__module__", None) or "numpy"
    return None if outermost is None else f"{module.replace('numpy', 'np', 1)}.{outermost.__name__}"


def _depends_on(x: Any) -> list[str]:
    """The arguments of the function that is being compiled on which a tensor depends, as far as they have names."""
    while isinstance(x, Traced) and not x.recorder.compiling:
        x = x.value.array if x.recorder.batching else x.value
    names = getattr(x.recorder, "called", ()) if isinstance(x, Traced) else ()
    if not names or x.index < 0:
        return []
    graph = x.recorder.graph
    seen, waiting = {x.index}, [x.index]
    while waiting:
        new = {v for v in graph.inputs[waiting.pop()] if v != LITERAL} - seen
        seen |= new
        waiting += new
    return [name for i, name in zip(graph.arguments, names, strict=False) if i in seen]


Tensor: type[Traced] = Traced
"""The class of the tensors that `record` makes. Filled by :func:`adopt` when autodiff.tensor is imported."""


def adopt(tensor: type[Traced]) -> None:
    """Let traces make tensors of this class."""
    global Tensor
    Tensor = tensor


# -- operations --------------------------------------------------------------------------------------------------------


class Op:
    """One operation: how to compute it, and how a δ or a tangent passes through it.

    Made by the makers in :mod:`autodiff.makers`, never by hand. In every rule the parameters stand in the order
    ``d`` (the incoming δ, or ``t``, the incoming tangent), ``y`` (the result), the arguments, then keyword settings.

    Attributes
    ----------
    name : str
        As NumPy spells it.
    kind : str
        elementwise, linear, bilinear, op, flat; input and constant for the ends of a graph.
    forward : callable
        Arrays positional, settings keyword.
    vjps : tuple
        One rule an argument; None where there is no derivative with respect to it.
    joint : callable or None
        One rule for all arguments, returning a tuple, where they share costly work.
    jvps : tuple or None
        One forward rule an argument; where it is None forward mode transposes the vjp.
    accepts : frozenset of str
        Keyword settings that the rules understand; any other is refused when the call is recorded.
    results : bool
        Whether the result is a tuple.
    view : bool
        Whether the result may share memory with the first argument, as NumPy's does.
    masks : bool
        Whether its vjp makes exact zeros where a branch was not taken; upstream rules then never form 0·inf.
    inlined : bool
        Whether a function that is being compiled takes in what it computes, node by node, instead of the operation.
    guard : callable or None
        ``guard(term, rule, k, d, y, args, params)``: the same term with a true zero where d is zero.
    """

    __slots__ = (
        "accepts", "arity", "call", "defaults", "edges", "examples", "flat", "formulas", "forward", "guard",
        "inlined", "joint", "joint_wanted", "jvps", "kind", "masks", "name", "note", "numpy", "plans", "readings",
        "results", "signature", "smooth", "user", "view", "vjps",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: str,
        forward: Callable[..., Any],
        *,
        arity: int | None,
        vjps: tuple[Rule | None, ...] = (),
        joint: Rule | None = None,
        jvps: tuple[Rule | None, ...] | None = None,
        accepts: frozenset[str] = frozenset(),
        signature: tuple[str, ...] = (),
        defaults: dict[str, Any] | None = None,
        results: bool = False,
        view: bool = False,
        masks: bool = False,
        guard: Callable[..., Any] | None = None,
        reading: str | None = None,
        formulas: tuple[str, ...] = (),
        examples: tuple[Any, ...] = (),
        smooth: tuple[Any, ...] = (),
        edges: tuple[Any, ...] = (),
        numpy: tuple[Any, ...] = (),
        note: str = "",
        user: bool = False,
        inlined: bool = False,
    ) -> None:
        self.name, self.kind, self.forward, self.arity = name, kind, forward, arity
        self.vjps, self.joint, self.jvps = vjps, joint, jvps
        self.accepts, self.signature, self.defaults = accepts, signature, defaults or {}
        self.results, self.view, self.masks, self.guard = results, view, masks, guard
        self.formulas, self.examples, self.smooth, self.edges = formulas, examples, smooth, edges
        self.numpy, self.note, self.user, self.inlined = numpy, note, user, inlined
        self.flat = kind == "flat"
        self.joint_wanted = joint is not None and "wanted" in inspect.signature(joint).parameters
        self.readings = self._readings(reading)
        self.plans: dict[Any, Plan] = {}
        self.call: Callable[..., Any] | None = None  # a shorter path than apply, where there is one

    def _readings(self, reading: str | None) -> list[list[int]]:
        """For each rule: what it reads of the result, then of each argument."""
        rules: Iterable[Rule | None] = self.vjps if self.joint is None else (self.joint,)
        if reading is not None:
            what = {"nothing": NOTHING, "shapes": SHAPE, "values": VALUE}[reading]
            return [[NOTHING, *[what] * (self.arity or 1)] for _ in rules]
        found = []
        for rule in rules:
            read = list(reads(rule).values())[1:] if rule is not None else []
            fill = VALUE if rule is not None else NOTHING
            found.append(read + [fill] * ((self.arity or 1) + 1 - len(read)))
        return found

    def plan(self, inputs: tuple[int, ...]) -> Plan:
        """What to keep of a call in which these arguments are nodes and the others literals."""
        pattern = 1
        for i in inputs:
            pattern += pattern + (i != LITERAL)
        plan = self.plans.get(pattern)
        if plan is None:
            active = [i != LITERAL for i in inputs]
            if self.joint is not None:
                rows = self.readings
            else:
                rows = [row for row, on in zip(self.readings, active, strict=False) if on]
            width = len(active) + 1
            spread = [row[:width] + [row[-1]] * (width - len(row)) for row in rows]
            needs = [max(column) for column in zip(*spread, strict=True)] or [NOTHING] * width
            plan = self.plans[pattern] = Plan(needs[0], tuple(needs[1:]), self._ruled(inputs))
        return plan

    def _ruled(self, inputs: tuple[int, ...]) -> bool:
        """Whether there is a rule for every argument that is a node."""
        if self.flat or self.joint is not None:
            return True
        return all(i == LITERAL or (k < len(self.vjps) and self.vjps[k] is not None) for k, i in enumerate(inputs))

    def __call__(self, *args: Any, **params: Any) -> Any:
        """On plain arrays the function itself; on tensors the same, recorded."""
        return apply(self, args, params) if self.call is None else self.call(*args, **params)

    def run(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute on plain arrays, for a recorded call.

        A user's function may neither write into what is saved nor keep a hold on what it returned.
        """
        if not self.user:
            return self.forward(*args, **params)
        y = self.forward(*map(_told, args), **params)
        if self.results:
            return tuple(np.array(part)[()] for part in y)
        return np.array(y)[()]

    def admit(self, inputs: tuple[int, ...], params: dict[str, Any]) -> None:
        """Refuse, when the call is recorded, what no rule covers."""
        for key in params:
            if key not in self.accepts:
                raise KeywordError(
                    message(
                        f"{self.name}: the keyword {key!r} is not understood by its derivative rule",
                        "a keyword that the rule ignored would give a wrong gradient without a word",
                        f"leave it out; {self.name} understands: {', '.join(sorted(self.accepts)) or 'no keywords'}",
                    )
                )
        if self._ruled(inputs):
            return
        k = next(k for k in range(len(inputs)) if not self._ruled(inputs[: k + 1]))
        raise NoRuleError(
            message(
                f"{self.name} has no derivative rule for its argument {k}",
                "none was declared",
                f"pass a plain array there (ad.stop_gradient(x)), or declare one: {self.name}.defvjp(...)",
            )
        )

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """NumPy's call, as written, to (arrays, settings): positional settings get their names, defaults go."""
        names = self.signature
        count = self.arity if self.arity is not None else len(args)
        params = dict(zip(names[count:], args[count:], strict=False))
        if len(args) > max(len(names), count):
            raise TypeError(f"{self.name}() takes at most {len(names)} arguments, {len(args)} were given")
        arrays = list(args[:count])
        if kwargs:
            kwargs = dict(kwargs)
            for name in names[len(arrays) : count]:
                if name in kwargs:
                    arrays.append(kwargs.pop(name))
            params.update(kwargs)
        if params and self.defaults:
            for key in list(params):
                if key in self.defaults and _is_default(params[key], self.defaults[key]):
                    del params[key]
        return tuple(arrays), params

    def from_numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Called as NumPy's function of the same name is called."""
        if len(args) != self.arity or kwargs:
            args, kwargs = self.bind(args, kwargs)
        return apply(self, args, kwargs)

    def formula(self, position: int) -> str:
        """The rule of one argument, as mathematics.

        Parameters
        ----------
        position : int
            Of the argument.

        Returns
        -------
        str

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.trace(lambda x: x * x)(3.0).nodes[1].op.formula(0)
        'δa = δy·b'
        """
        if self.flat:
            return "δ = 0 (flat)"
        if position < len(self.formulas):
            return self.formulas[position]
        return self.formulas[-1] if self.formulas else ""

    def __repr__(self) -> str:
        return f"<op {self.name} ({self.kind})>"

    def __reduce__(self) -> Any:
        return (_registered, (self.name,))


def _registered(name: str) -> Op:
    op: Op = OPERATIONS[name]
    return op


def _is_default(given: Any, default: Any) -> bool:
    if given is default:
        return True
    return isinstance(default, (bool, int, float, str)) and type(given) is type(default) and given == default


def register(op: Op) -> Op:
    """Enter an operation under its name; a second one of the same name is an error."""
    if op.name in OPERATIONS:
        raise ValueError(f"an operation named {op.name!r} is already registered")
    OPERATIONS[op.name] = op
    return op


def _unreachable(*args: Any, **params: Any) -> Any:
    raise AssertionError("an end of a graph is not computed")


INPUT = register(Op("input", "input", _unreachable, arity=0))
CONSTANT = register(Op("constant", "constant", _unreachable, arity=1, vjps=(None,)))
ITEM = register(
    Op(
        "item",
        "linear",
        lambda x, *, index: x[index],
        arity=1,
        vjps=(lambda d, y, x, *, index: Slot(index, d),),
        accepts=frozenset(("index",)),
        formulas=("δx[index] = δy",),
    )
)


# -- traces ------------------------------------------------------------------------------------------------------------

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
    """The recorder of one differentiated call. This lean one keeps only what some rule will read."""

    __slots__ = ("arguments", "dtypes", "graph", "inputs", "level", "ops", "params", "pending", "results", "shapes",
                 "values")  # fmt: skip

    full = False
    compiling = False  # whether values are unknown, because what is recorded will run on others
    batching = False  # whether its tensors hold one array of each example of a batch

    def __init__(self) -> None:
        self.level = next(_levels)
        graph = self.graph = Graph()
        values = self.values = Values()
        self.ops, self.inputs, self.params = graph.ops, graph.inputs, graph.params
        self.shapes, self.dtypes = graph.shapes, graph.dtypes
        self.arguments, self.results = values.arguments, values.results
        self.pending: list[tuple[int, int]] = []

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
                tensors.append(y)
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
        frame = user_frame() if self.lines else None
        graph.lines.append(None if frame is None else (frame.f_code.co_filename, frame.f_lineno))
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


# -- the chokepoint ----------------------------------------------------------------------------------------------------


def literal(op: Op, position: int, x: Any) -> Any:
    """A plain argument as it may stay inside a node: numbers as they are, arrays as a copy of their own.

    The copy is what makes a later write into the user's array harmless to the reverse sweep.
    """
    kind = type(x)
    if kind is float or kind is int or kind is bool or kind is complex or x is None:
        return np.asarray(x)[()] if op.kind == "bilinear" else x  # products make arrays of numbers, as NumPy's do
    if kind is np.ndarray and x.dtype.kind in NUMBERS:  # a read-only one may be a view of one that is not
        if x.ndim and x.size > 1 and not any(x.strides):
            return np.broadcast_to(x[(0,) * x.ndim], x.shape)  # one number, however often it is read
        return x.copy("K")
    if isinstance(x, Traced):
        if x.recorder is not CONSTANTS:
            return still(x)
        return literal(op, position, x.value)
    if isinstance(x, np.ma.MaskedArray):
        raise _refuse(op, position, "a masked array", "np.where(mask, fill, x.data), or x.filled(fill)")
    if not is_bare(x) and isinstance(x, np.ndarray):
        raise _refuse(op, position, f"a {type(x).__name__}", "np.asarray(x): what a subclass adds would be lost")
    if not isinstance(x, (np.ndarray, np.generic)):
        x = as_array(x)
    if x.dtype.kind not in NUMBERS:
        if hasattr(x.item() if x.ndim == 0 else None, "tocsr"):
            raise _refuse(op, position, "a sparse matrix of SciPy", "it as an operand, A @ x, or as A.toarray()")
        raise _refuse(op, position, f"an array of dtype {x.dtype}", "an array of numbers: x.astype(float)")
    return literal(op, position, np.asarray(x)) if isinstance(x, np.ndarray) else x


def still(x: Traced) -> Traced:
    """Another object for the same node: a later write lets x stand for another one, and leaves this as it is."""
    tensor = Tensor.__new__(Tensor)
    tensor.value, tensor.recorder, tensor.index, tensor.family = x.value, x.recorder, x.index, None
    return tensor


def locked(x: Any) -> Any:
    """The same array, read-only: a rule that wrote into what is saved would spoil every later reading of it."""
    if isinstance(x, tuple):
        return tuple(map(locked, x))
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
    return x


def _told(x: Any) -> Any:
    """An argument as a user's function gets it: read-only; a number of a program that is being compiled as that."""
    return locked(getattr(x, "number", x))


def is_bare(x: Any) -> bool:
    """Whether x is NumPy's own array or scalar; subclasses (matrices, quantities) compute by rules of their own."""
    return type(x) is np.ndarray or isinstance(x, (np.generic, np.memmap))


def as_array(x: Any) -> Any:
    """A list or another container as an array; with tensors in it, as a stack of tensors; a tensor as it is."""
    if isinstance(x, Traced):
        return x
    if isinstance(x, (list, tuple)):
        parts = [as_array(part) if isinstance(part, (list, tuple)) else part for part in x]
        if any(isinstance(part, Traced) for part in parts):
            return OPERATIONS["stack"](*parts)
    return np.asarray(x)


def _refuse(op: Op, position: int, what: str, instead: str) -> DtypeError:
    return DtypeError(
        message(f"{op.name}: argument {position} is {what}", "derivatives are defined on numbers", f"pass {instead}")
    )


def apply(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Call an operation: the innermost trace among the arguments wins, computes on what its tensors hold, and records.

    Raises
    ------
    KeywordError, NoRuleError
        At the call, where a setting or an argument is one that no rule covers.
    ClosedTraceError
        Where an argument belongs to a traced function that has returned.
    """
    trace: Trace | None = None
    for x in args:
        if isinstance(x, Traced):
            if trace is None or x.recorder.level > trace.level:
                trace = x.recorder
        elif type(x) is list or type(x) is tuple:
            return apply(op, tuple(as_array(x) if type(x) is list or type(x) is tuple else x for x in args), params)
    if trace is None:
        return op.forward(*args, **params)
    if trace.batching:
        return trace.compute(op, args, params)
    if op.inlined and trace.compiling:
        return op.forward(*args, **params)
    inputs: list[int] = []
    values: list[Any] = []
    nested, pattern = False, 1
    for x in args:
        if isinstance(x, Traced) and x.recorder is trace:
            inputs.append(x.index if x.index >= 0 else trace.place(x))
            x = x.value
            pattern += pattern + 1
        else:
            x = literal(op, len(inputs), x)
            inputs.append(LITERAL)
            pattern += pattern
        nested = nested or isinstance(x, Traced)
        values.append(x)
    where, given = tuple(inputs), tuple(values)
    plan = op.plans.get(pattern) or op.plan(where)
    if trace.full or trace is CONSTANTS:
        op.admit(trace.active_among(where), params)
    elif not plan.ruled or not params.keys() <= op.accepts:
        op.admit(where, params)
    for key, setting in params.items():
        if type(setting) is np.ndarray or isinstance(setting, list):  # its owner may write into it before the sweep
            params = {**params, key: setting.copy()}
    y = apply(op, given, params) if nested else op.run(given, params)
    if trace is CONSTANTS:
        if op.results:
            return _related(op, trace.record_many(op, where, (), None, y, None), args[0])
        return _viewed(op, trace.record(op, where, (), None, y), args[0], params)
    if op.flat and not trace.full:
        return y
    kept = None if plan.result == NOTHING else y if plan.result == VALUE or op.results else Stand(y)
    saved = plan.keep(given) if not trace.full else given
    if op.results:
        return _related(op, trace.record_many(op, where, saved, kept, y, params or None), args[0])
    if not hasattr(y, "dtype"):
        y = np.asarray(y)[()]
    return _viewed(op, trace.record(op, where, saved, kept, y, params or None), args[0], params)


def _viewed(op: Op, tensor: Any, base: Any, params: dict[str, Any]) -> Any:
    """The result of one call, related to the first argument where it may be a view of it."""
    if op.view and isinstance(base, Traced) and op.name != "gather":  # which has its index from its caller
        relate(tensor, base, params.get("index"))
    return tensor


def _related(op: Op, results: Any, base: Any) -> Any:
    """The results of one call, each related to the first argument where they may be views of it."""
    if op.view:
        for part in results:
            if isinstance(part, Traced):
                relate(part, base)
    return results


def relate(tensor: Traced, base: Traced, index: Any = None, surely: bool = False) -> None:
    """Note that two live tensors share memory in NumPy's eyes, for the writes that would show through.

    They do where their arrays do, and where that is said to be sure: a program that is not yet running cannot show it.
    """
    mine, others = tensor.value, base.value
    if index is not None and not mine.shape and gives_number(index):
        return  # though those of all examples of a batch are an array
    if type(mine) is not np.ndarray:
        mine, others = memory(tensor), memory(base)
    if not surely:
        if type(mine) is not np.ndarray or type(others) is not np.ndarray or (mine.base is None and mine is not others):
            return  # a number, or an array of its own
        surely = mine.base is others or np.may_share_memory(mine, others)
    if surely:
        if base.family is None:
            base.family = [Kin(weakref.ref(base), None, None)]
        base.family.append(Kin(weakref.ref(tensor), weakref.ref(base), index))
        tensor.family = base.family


_NUMBER_TYPES = frozenset((float, int, np.float64, np.float32))

_SCALAR = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv}
"""What computes on two numbers of NumPy's in a tenth of the time that its ufunc takes, to the same bits."""


def unary_path(op: Op) -> Callable[[Any], Any]:
    """`apply` for a pointwise operation on one argument."""
    ufunc = op.forward
    plan = op.plan((0,))
    keep_x, keep_y = plan.arguments[0] != NOTHING, plan.result != NOTHING
    nothing = (None,)

    def call(x: Any, **params: Any) -> Any:
        if type(x) is not Tensor or params:
            return apply(op, (x,), params)
        trace = x.recorder
        if trace is CONSTANTS:
            return apply(op, (x,), params)
        value = x.value
        index = x.index
        if index < 0:
            index = trace.place(x)
        y = ufunc(value)
        return trace.record(op, (index,), (value,) if keep_x else nothing, y if keep_y else None, y)

    return call


def binary_path(
    op: Op, apply: Callable[..., Any] = apply
) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """`apply` for a ufunc of two arguments, and the same with its arguments swapped."""
    ufunc = op.forward
    scalar, double, array = _SCALAR.get(op.name, ufunc), np.float64, np.ndarray
    both, left, right = op.plan((0, 0)), op.plan((0, LITERAL)), op.plan((LITERAL, 0))
    both_a, both_b, both_y = both.arguments[0] != NOTHING, both.arguments[1] != NOTHING, both.result != NOTHING
    left_a, left_b, left_y = left.arguments[0] != NOTHING, left.arguments[1] != NOTHING, left.result != NOTHING
    right_a, right_b, right_y = right.arguments[0] != NOTHING, right.arguments[1] != NOTHING, right.result != NOTHING
    mixes = op.kind != "elementwise"  # the examples of a batch are not computed one by one by themselves

    def call(a: Any, b: Any, **params: Any) -> Any:
        if params:
            return apply(op, (a, b), params)
        if type(a) is Tensor:
            trace = a.recorder
            if trace is CONSTANTS or (mixes and trace.batching):
                return apply(op, (a, b), params)
            i = a.index
            if type(b) is Tensor:
                if b.recorder is not trace:
                    return apply(op, (a, b), params)
                if i < 0:
                    i = trace.place(a)
                j = b.index
                if j < 0:
                    j = trace.place(b)
                va, vb = a.value, b.value
                y = ufunc(va, vb) if type(va) is not double else scalar(va, vb)
                return trace.record(
                    op, (i, j), (va if both_a else None, vb if both_b else None), y if both_y else None, y
                )
            kind = type(b)
            if kind in _NUMBER_TYPES or (kind is array and b.dtype.kind in NUMBERS):
                if i < 0:
                    i = trace.place(a)
                va = a.value
                y = ufunc(va, b) if type(va) is not double else scalar(va, b)
                if kind is array:
                    b = literal(op, 1, b) if left_b or trace.full else None
                return trace.record(op, (i, LITERAL), (va if left_a else None, b), y if left_y else None, y)
        elif type(b) is Tensor:
            trace, kind = b.recorder, type(a)
            known = kind in _NUMBER_TYPES or (kind is array and a.dtype.kind in NUMBERS)
            if known and trace is not CONSTANTS and not (mixes and trace.batching):
                j = b.index
                if j < 0:
                    j = trace.place(b)
                vb = b.value
                y = ufunc(a, vb) if type(vb) is not double else scalar(a, vb)
                if kind is array:
                    a = literal(op, 0, a) if right_a or trace.full else None
                return trace.record(op, (LITERAL, j), (a, vb if right_b else None), y if right_y else None, y)
        return apply(op, (a, b), params)

    def swapped(b: Any, a: Any) -> Any:
        return call(a, b)

    return call, swapped


def reading_path(op: Op, setting: str) -> Callable[[Any, Any], Any]:
    """`apply` for an operation that reads nothing again and has one setting, which nobody can write into: x[2:4]."""

    def call(x: Any, given: Any) -> Any:
        trace = x.recorder
        if trace is CONSTANTS or trace.batching:
            return apply(op, (x,), {setting: given})
        index = x.index
        if index < 0:
            index = trace.place(x)
        y = op.forward(x.value, **{setting: given})
        tensor = trace.record(op, (index,), (None,), None, y, {setting: given})
        if op.view and not isinstance(y, np.generic):
            relate(tensor, x, given)
        return tensor

    return call


def no_rule(function: Any, method: str = "") -> NoRuleError:
    """The error for a NumPy function, or a method of a ufunc, that nothing is registered for."""
    name = getattr(function, "__name__", repr(function))
    module = getattr(function, "__module__", None) or ("numpy" if hasattr(np, name) else "")
    spelled = ".".join(part for part in (module.replace("numpy", "np", 1), name, method) if part)
    because = None if method else REFUSED.get(function)
    if isinstance(function, np.ufunc) and set("".join(function.types)) <= set("O->"):
        because = "np.frompyfunc makes arrays of objects; autodiff.numpy.vectorize(f) calls f on tensors and joins them"
    # no misspelling, but a name of its own: a cousin shares most of it, stdtrit with stdtr
    near = [] if method or because else [other for other in nearest(name, OPERATIONS, cutoff=0.8) if other != name]
    return NoRuleError(
        message(
            f"{spelled} has no derivative rule",
            because or "a value without a rule would silently lose its history",
            (f"the nearest with a rule: {', '.join(near)}; or " if near else "")
            + f"wrap your own with @ad.primitive, or, if no derivative is wanted, {spelled}(ad.stop_gradient(x))",
        )
    )
