"""Rules that are watched: what they are given stays as it is, and what they return is theirs to return.

A watched rule is the rule itself with a look before and after. The sweep is told nothing of it: it gets the same graph
with other operations in its column.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import NonFiniteError, RuleError, message
from ..graph import Graph, Values
from ..op import Op, locked, locked_in
from ..recorders import is_closed
from ..rules import Rule, Slot, Update
from ..traced import Traced
from .places import at_line

SERVING: ContextVar[tuple[Graph, int, int, bool] | None] = ContextVar("autodiff_serving", default=None)
"""The graph, the node and the argument whose rule a sweep is running, and whether that is a forward sweep: what an
outer trace records then is its doing."""


# -- what is watched ---------------------------------------------------------------------------------------------------


def watched_ops(session: Any, graph: Graph, forward: bool) -> list[Any]:
    """The operations of a graph as a sweep is given them: with rules that are watched.

    A forward sweep calls linear and bilinear operations themselves, and those are registered ones: only a user's own
    are watched in it.
    """
    found = []
    known = session.ops
    for op in graph.ops:
        if forward and not op.user:
            found.append(op)
            continue
        rules = (op.vjps, op.jvps)
        entry = known.get(op)
        if entry is None or entry[0] != rules:  # the rules of a primitive may be declared anew
            entry = known[op] = (rules, _watched(session, op))
        found.append(entry[1])
    return found


def _watched(session: Any, op: Op) -> Op:
    """The same operation with rules that are watched."""
    if op.kind in ("input", "constant", "flat") or (op.joint is None and not any(op.vjps)):
        return op
    found = Op.__new__(Op)
    for slot in Op.__slots__:
        setattr(found, slot, getattr(op, slot))
    if op.joint is not None:
        found.joint = _joint(session, op, op.joint)
    found.vjps = tuple(None if rule is None else _vjp(session, op, k, rule) for k, rule in enumerate(op.vjps))
    if op.user and op.jvps is not None:
        found.jvps = tuple(None if rule is None else _jvp(session, op, k, rule) for k, rule in enumerate(op.jvps))
    return found


def _vjp(session: Any, op: Op, k: int, rule: Rule) -> Rule:
    """One argument's reverse rule, watched."""

    def plain(d: Any, y: Any, *args: Any, **params: Any) -> Any:
        session.checked += 1
        if type(d) is np.ndarray:
            d.setflags(write=False)
        try:
            term = rule(d, y, *args, **params)
        except ValueError as error:
            refuse_written(error, op, f"its vjp for argument {k}", rule)
            raise
        if type(term) is np.ndarray and term.base is None and term.dtype is args[k].dtype:  # nearly always
            if term is y or [x for x in args if x is term]:
                _shares(op, k, rule)
        else:
            _check(op, k, term, d, y, args, rule)
        return term

    def careful(d: Any, y: Any, *args: Any, **params: Any) -> Any:
        before = Written(("d", d), ("y", y), *((f"argument {i}", x) for i, x in enumerate(args)))
        term = plain(d, y, *args, **params)
        before.compare(op, f"its vjp for argument {k}", rule)
        return term

    return careful if op.user else plain


def _joint(session: Any, op: Op, rule: Rule) -> Rule:
    """A joint reverse rule, watched."""

    def joint(d: Any, y: Any, *args: Any, **params: Any) -> Any:
        session.checked += 1
        for part in d if isinstance(d, tuple) else (d,):
            if type(part) is np.ndarray:
                part.setflags(write=False)
        try:
            terms = rule(d, y, *args, **params)
        except ValueError as error:
            refuse_written(error, op, "its joint vjp", rule)
            raise
        if isinstance(terms, (tuple, list)) and len(terms) == len(args):
            for k, term in enumerate(terms):
                if term is not None:
                    _check(op, k, term, d, y, args, rule)
        return terms

    return joint


def _jvp(session: Any, op: Op, k: int, rule: Rule) -> Rule:
    """One argument's forward rule of a user's own operation, watched."""

    def pushed(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        session.checked += 1
        before = Written(("t", t), ("y", y), *((f"argument {i}", x) for i, x in enumerate(args)))
        try:
            term = rule(locked(t), locked(y), *map(locked, args), **params)
        except ValueError as error:
            refuse_written(error, op, f"its jvp for argument {k}", rule)
            raise
        before.compare(op, f"its jvp for argument {k}", rule)
        for part, whole in zip(term, y, strict=False) if isinstance(y, tuple) else ((term, y),):
            if not hasattr(part, "dtype") or part.shape != whole.shape:
                got = f"shape {part.shape}" if hasattr(part, "shape") else f"a {type(part).__name__}"
                _refuse(op, f"its jvp for argument {k} returned {got}",
                        f"a tangent of the result has its shape, {whole.shape}, and so has each part of it", rule)
            _check_digits(op, f"its jvp for argument {k}", part, (whole, t), rule)
        return term

    return pushed


# -- what is checked ---------------------------------------------------------------------------------------------------


def _check(op: Op, k: int, term: Any, d: Any, y: Any, args: tuple[Any, ...], rule: Rule) -> None:
    """One term of a reverse rule: of a live trace, of enough digits, and with memory that is not that of a value."""
    kind = type(term)
    if kind is Update or kind is Slot:
        return
    if isinstance(term, Traced):
        if is_closed(term.recorder):
            _refuse(op, f"its vjp for argument {k} returned a tensor of a function that has already returned",
                    "it holds the numbers of that call and no history", rule)
        return
    x = args[k]
    if type(x) is tuple or not hasattr(x, "dtype"):
        return
    if kind is np.ndarray:
        base = term.base
        if base is None:
            if term is y or any([term is x for x in args]):
                _shares(op, k, rule)
        elif base is not d and base is not getattr(d, "base", base):
            for x in (y, *args):
                if type(x) is np.ndarray and np.may_share_memory(x, term):
                    _shares(op, k, rule)
    if term.dtype is not x.dtype:
        _check_digits(op, f"its vjp for argument {k}", term, (x, d, y), rule)


def _shares(op: Op, k: int, rule: Rule) -> None:
    _refuse(op, f"its vjp for argument {k} returned memory of the result or of an argument",
            "whoever writes into that gradient would change what was saved", rule, "return a copy")  # fmt: skip


def _digits(x: Any) -> float:
    """The coarsest spacing of the dtypes in a δ, a value or a tuple of them."""
    if isinstance(x, tuple):
        return max(map(_digits, x), default=0.0)
    dtype = getattr(x, "dtype", None)
    return float(np.finfo(dtype).eps) if dtype is not None and dtype.kind in "fc" else 0.0


def _check_digits(op: Op, what: str, term: Any, beside: tuple[Any, ...], rule: Rule) -> None:
    """A term may be widened again where δ itself is narrow; elsewhere digits are lost that nothing brings back."""
    if term.dtype.kind in "fc" and _digits(term) > max(map(_digits, beside)):
        widest = beside[0].dtype
        _refuse(op, f"{what} returned {term.dtype}", f"that is fewer digits than {widest}, the dtype that it belongs "
                "to: it would be widened again, and its last digits would be wrong", rule,
                f"compute in the dtype of what comes in, or end with .astype(np.{widest})")  # fmt: skip


class Written:
    """Arrays as they were: what a rule, or a user's function, is given must stay so."""

    def __init__(self, *given: tuple[str, Any]) -> None:
        self._given = [(name, x, x.copy("K")) for name, x in given if type(x) is np.ndarray]

    def compare(self, op: Op, what: str, function: Any) -> None:
        """Refuse where one of them was written into; it is put back, so that nothing stays changed."""
        for name, x, before in self._given:
            if x.tobytes() != before.tobytes():
                writeable = x.flags.writeable
                try:
                    x.setflags(write=True)
                    x[...] = before
                    x.setflags(write=writeable)
                except ValueError:  # a view of what may not be written into: it was written through another door
                    pass
                _refuse(op, f"{what} wrote into {name}", "other rules read the same array, then and later", function,
                        "compute into a new array; x.copy() is one")  # fmt: skip


def refuse_written(error: ValueError, op: Op, what: str, function: Any) -> None:
    """Raise the error for a write into an array that is read-only while rules run; of another ValueError nothing."""
    if "read-only" in str(error):
        raise RuleError(
            message(
                f"{op.name}: {what} wrote into an array that it was given{_of(function)}",
                f"other rules read the same array, then and later ({error})",
                "compute into a new array; x.copy() is one",
                where=_call(),
            )
        ) from error


def _refuse(op: Op, what: str, why: str, function: Any, instead: str = "mend the rule") -> None:
    raise RuleError(message(f"{op.name}: {what}{_of(function)}", why, instead, where=_call()))


def _call() -> str | None:
    """Where the operation was called whose rule is running."""
    serving = SERVING.get()
    if serving is None:
        return None
    graph, w, *_ = serving
    return at_line(graph.lines[w]) if w < len(graph.lines) else None


def _of(function: Any) -> str:
    """Where a rule is written, in words; nothing for what has no source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f" (written in {code.co_filename}:{code.co_firstlineno})" if code is not None else ""


# -- a user's own forward ----------------------------------------------------------------------------------------------


def run_forward(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """What a user's own operation computes, watched for writes into its arguments."""
    before = Written(*((f"argument {i}", x) for i, x in enumerate(args)))
    try:
        y = op.forward(*map(locked, args), **locked_in(params))
    except ValueError as error:
        refuse_written(error, op, "the function itself", op.forward)
        raise
    before.compare(op, "the function itself", op.forward)
    return y


# -- while a sweep runs ------------------------------------------------------------------------------------------------


@contextmanager
def read_only(values: Values, literals: Sequence[tuple[Any, ...]]) -> Iterator[None]:
    """Values and literals that nobody can write into, as long as rules run on them."""
    shut = [x for x in values.results if type(x) is np.ndarray and x.flags.writeable]
    shut += [x for row in literals for x in row if type(x) is np.ndarray and x.flags.writeable]
    for x in shut:
        x.setflags(write=False)
    try:
        yield
    finally:
        for x in shut:  # in the order in which they were made: an array before its views
            with suppress(ValueError):  # a view of what another sweep, in another thread, has shut as well
                x.setflags(write=True)


@contextmanager
def served(graph: Graph, forward: bool = False) -> Iterator[Callable[[int, int, int], None]]:
    """Gives the function that a sweep calls before each rule: it notes whose rule is running."""
    token, note = SERVING.set(None), SERVING.set

    def visit(v: int, w: int, k: int) -> None:
        note((graph, w, k, forward))

    try:
        yield visit
    except Exception as error:
        _note(error)
        raise
    finally:
        SERVING.reset(token)


def _note(error: Exception) -> None:
    """Note at an exception from a rule whose it was, unless it says so."""
    serving, place = SERVING.get(), _call()
    if serving is None or isinstance(error, NonFiniteError):
        return
    graph, w, k, _ = serving
    said = "\n".join((str(error), *getattr(error, "__notes__", ())))
    if place is not None and place.partition("   ")[0] not in said:
        error.add_note(f"in the rule of {graph.ops[w].name} for argument {k} (node {w}), which was called in {place}")
