"""The chokepoint through which every recorded call goes.

:func:`apply`: the innermost trace among the arguments wins; compute on what its tensors hold, which may be tensors of
an outer trace; record one node. The operations that are called most have call paths of their own (:func:`unary_path`,
:func:`binary_path`, :func:`reading_path`), which do the same with fewer steps.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from . import recorders
from .errors import DtypeError, LostHistoryError, NoRuleError, message, nearest
from .faults import tell_more
from .graph import LITERAL, OPERATIONS
from .op import NUMBERS, REFUSED, Op
from .recorders import CONSTANTS, LARGE, Trace
from .rules import NOTHING, VALUE, Stand, gives_number
from .traced import Kin, Traced, held, is_unknown, leak, memory, plain

Tensor: type[Traced] = Traced
"""The class of the tensors: as in :mod:`autodiff.recorders`."""


def adopt(tensor: type[Traced]) -> None:
    """Let traces make tensors of this class, and the call paths know them."""
    global Tensor
    Tensor = tensor
    recorders.adopt(tensor)


def literal(op: Op, position: int, x: Any, trace: Trace | None = None) -> Any:
    """A plain argument as it may stay inside a node: numbers as they are, arrays as a copy of their own.

    The copy is what makes a later write into the user's array harmless to the reverse sweep. A trace that guards what
    it keeps is given a large array as it is.
    """
    kind = type(x)
    if kind is float or kind is int or kind is bool or kind is complex or x is None:
        return np.asarray(x)[()] if op.kind == "bilinear" else x  # products make arrays of numbers, as NumPy's do
    if kind is np.ndarray and x.dtype.kind in NUMBERS:  # a read-only one may be a view of one that is not
        if x.ndim and x.size > 1 and not any(x.strides):
            return np.broadcast_to(x[(0,) * x.ndim], x.shape)  # one number, however often it is read
        if x.nbytes >= LARGE and trace is not None and trace.guarded is not None and trace.guard(x, op):
            return x
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
    return literal(op, position, np.asarray(x), trace) if isinstance(x, np.ndarray) else x


def still(x: Traced) -> Traced:
    """Another object for the same node: a later write lets x stand for another one, and leaves this as it is."""
    tensor = Tensor.__new__(Tensor)
    tensor.value, tensor.recorder, tensor.index, tensor.family = x.value, x.recorder, x.index, None
    return tensor


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
        for setting in params.values():
            if isinstance(setting, Traced):
                return op.forward(*args, **{key: _settled(op, key, x) for key, x in params.items()})
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
            x = literal(op, len(inputs), x, trace)
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
        elif isinstance(setting, Traced):
            params = {**params, key: _settled(op, key, setting)}
    try:
        y = apply(op, given, params) if nested else op.run(given, params)
    except Exception as error:
        if op.user:
            tell_more(error, f"it would have been node {len(trace.inputs)}")
        raise
    if trace is CONSTANTS:
        if op.results:
            return related(op, trace.record_many(op, where, (), None, y, None), args[0])
        return viewed(op, trace.record(op, where, (), None, y), args[0], params)
    if op.flat and (not trace.full or trace.leaves_plain(y)):
        return y
    kept = None if plan.result == NOTHING else y if plan.result == VALUE or op.results else Stand(y)
    saved = plan.keep(given) if not trace.full else given
    if op.results:
        return related(op, trace.record_many(op, where, saved, kept, y, params or None), args[0])
    if not hasattr(y, "dtype"):
        y = np.asarray(y)[()]
    return viewed(op, trace.record(op, where, saved, kept, y, params or None), args[0], params)


def has_history(x: Any) -> bool:
    """Whether a derivative could pass through x in any of the traces that it belongs to."""
    while isinstance(x, Traced):
        if x.recorder is not CONSTANTS and held(x).dtype.kind in "fc" and x.recorder.is_active(x):
            return True
        x = x.value
    return False


def _settled(op: Op, key: str, setting: Any) -> Any:
    """A setting as the operation itself can read it. One with a history is refused: the operation would call itself."""
    if not isinstance(setting, Traced):
        return setting
    if key not in op.accepts:
        op.admit((), {key: setting})
    if is_unknown(setting):
        raise leak(f"{op.name}: {key}, an index or a setting, is the value of a tensor", setting)
    if not op.flat and has_history(setting):
        raise LostHistoryError(
            message(
                f"{op.name}: {key} is a tensor of {setting.value.dtype}{list(setting.value.shape)}",
                "it is a setting here, which has no derivative",
                f"pass a plain number or array; where no derivative is wanted, {key}=ad.stop_gradient(x)",
            )
        )
    return plain(setting)


def viewed(op: Op, tensor: Any, base: Any, params: dict[str, Any]) -> Any:
    """The result of one call, related to the first argument where it may be a view of it."""
    if op.view and isinstance(base, Traced) and op.name != "gather":  # which has its index from its caller
        relate(tensor, base, params.get("index"))
    return tensor


def related(op: Op, results: Any, base: Any) -> Any:
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
                    b = literal(op, 1, b, trace) if left_b or trace.full else None
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
                    a = literal(op, 0, a, trace) if right_a or trace.full else None
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


Op.apply_hook = apply
