"""The three sweeps: each is one loop over the list of nodes, in one direction, that fills one table.

=====================  ==========  ===================================================================================
evaluate               values ↑    value_v = op_v(values of v's inputs)
tangents               tangents ↑  ẋ_v = Σ over k of jvp_{op_v, k}(ẋ of argument k)
deltas                 δ ↓         δ_v = Σ over (w, k) in out(v) of vjp_{op_w, k}(δ_w)
=====================  ==========  ===================================================================================

Here, and nowhere else, broadcasting is undone (:func:`conform`) and contributions are summed (:func:`gather`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Container, Mapping, Sequence
from contextvars import copy_context
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from .apply import apply, still
from .errors import LeakError, RuleError, message
from .faults import frames, settle, so_far, tell, written_at
from .graph import LITERAL, OPERATIONS, Graph, Values, seal
from .makers import is_finite, where_reached
from .op import ITEM, Op
from .recorders import CONSTANTS, Trace
from .rules import Slot, Update, stretches, unbroadcast
from .traced import Traced

# -- what is raised in a sweep -----------------------------------------------------------------------------------------

_Sweep = TypeVar("_Sweep", bound=Callable[..., Any])


def _telling(sweep: _Sweep) -> _Sweep:
    """A sweep of which an exception tells at what node it was raised. Nothing is done before there is one.

    The sweep's own variables say where it stood: w (or v) for the node, k for the argument, and term.
    """

    @functools.wraps(sweep)
    def telling(graph: Graph, *args: Any, **kwargs: Any) -> Any:
        around, since = copy_context(), so_far()
        try:
            return sweep(graph, *args, **kwargs)
        except BaseException as error:
            settle(error, around)
            wrong = _told(error, graph, sweep, since)  # which lets go of the frames that it looked at
            if wrong is None:
                raise
        raise wrong

    return telling  # type: ignore[return-value]


def _told(error: BaseException, graph: Graph, sweep: Callable[..., Any], since: int) -> RuleError | None:
    """Tell at what node something was raised; the error that is to be raised in its place, where a rule is wrong."""
    frame, inner = [*frames(error), None, None][1:3]
    if not isinstance(error, Exception) or frame is None or frame.f_code is not sweep.__code__:
        return None
    with contextlib.suppress(Exception):  # an object that raises where it is looked at, say
        return _told_at(error, graph, frame.f_locals, inner, since)
    return None


def _told_at(
    error: Exception, graph: Graph, at: Mapping[str, Any], inner: FrameType | None, since: int
) -> RuleError | None:
    asked = isinstance(error, AttributeError) and error.name in ("shape", "dtype") and error.obj is at.get("term")
    asked = asked or (inner is not None and inner.f_code is is_finite.__code__)
    wrong = _no_array(graph, at) if asked else None
    visit = getattr(at.get("visit"), "__code__", None)
    if wrong is None and "op" in at and (inner is None or inner.f_code is not visit):
        tell(error, _place(graph, at), since)
    return wrong


def _place(graph: Graph, at: Mapping[str, Any]) -> str:
    """Where a sweep stood, in words."""
    w, k = at["w"] if "w" in at else at["v"], at.get("k", 0)
    op = graph.ops[w]
    rule: Any = op.forward
    what = f"while {op.name} was computed"
    if "w" in at:
        rule = op.joint or dict(enumerate(op.vjps)).get(k)
        what = f"in the {'joint vjp' if op.joint else 'vjp'} of {op.name} for argument {k}"
    elif "tangent" in at:
        rule = next(filter(None, op.jvps or op.vjps), op.joint)
        what = "in the jvp of " + op.name + ("" if op.jvps else ", which is its vjp transposed")
    name = f" ({graph.names[w]})" if w in graph.names else ""
    line = graph.lines[w] if w < len(graph.lines) else None
    called = f"recorded at {line[0]}:{line[1]}" if line else "whose line ad.trace(f)(…).backward() tells"
    return f"{what}{written_at(rule)}, at node {w}{name}, {called}"


def _no_array(graph: Graph, at: Mapping[str, Any]) -> RuleError | None:
    """The error for a rule that returned what is no array of numbers at all, where that is what went wrong."""
    if not {"w", "k", "term"} <= at.keys() or isinstance(at["term"], (Slot, Update, Traced)):
        return None
    if hasattr(at["term"], "shape") and getattr(getattr(at["term"], "dtype", None), "kind", "") in ("f", "c"):
        return None
    return _wrong(graph.ops[at["w"]], at["k"], _described(at["term"]), at["shape"], at["dtype"])


# -- reverse -----------------------------------------------------------------------------------------------------------


@_telling
def deltas(
    graph: Graph,
    values: Values,
    seeds: Mapping[int, Any],
    *,
    release: bool = False,
    masked: bool = False,
    contributions: dict[tuple[int, int], Any] | None = None,
    only: Container[tuple[int, int]] | None = None,
    scales: Mapping[tuple[int, int], float] | None = None,
    targets: Sequence[int] | None = None,
    visit: Callable[[int, int, int], None] | None = None,
) -> list[Any]:
    """δ of every node between the seeds and the inputs; None where no path leads.

    Parameters
    ----------
    graph : Graph
    values : Values
        What the rules of the graph read, as a trace leaves it.
    seeds : mapping of int to array
        The δ that each output starts with, in the output's own shape and dtype.
    release : bool
        Let go of each saved value and each δ as soon as nothing will read it. The values cannot be swept again.
    masked : bool
        The seeds may hold exact zeros that must stay zeros, whatever was saved.
    contributions : dict, optional
        Filled with the term of every edge, keyed (consumer, position); a node with several results is sent a tuple,
        with None for those that the term is not about. No bit of a δ depends on what is kept.
    only : container, optional
        The edges whose contributions are kept; all of them by default.
    scales : mapping, optional
        Factors on the terms of some edges, keyed like `contributions`, which must be kept as well.
    targets : sequence of int, optional
        Visit only nodes that lead to these; all the inputs of the graph by default.
    visit : callable, optional
        Called with (v, w, k) before the rule of each edge, in the order of the sweep.

    Returns
    -------
    list
        One row a node.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.sweep import deltas
    >>> graph = ad.trace(lambda a, b: a * b)(2.0, 3.0)
    >>> deltas(graph, graph.values, {2: np.float64(1.0)})
    [np.float64(3.0), np.float64(2.0), np.float64(1.0)]
    """
    ops, inputs, params, shapes, dtypes = graph.ops, graph.inputs, graph.params, graph.shapes, graph.dtypes
    results, arguments = values.results, values.arguments
    count = len(inputs)
    delta: list[Any] = [None] * count
    out: list[list[tuple[int, int, bool]] | None] = [None] * count  # the output sets, filled from the top down
    zeros = bytearray(count)  # where δ may hold exact zeros that a mask made
    shared: dict[int, Any] = {}  # what a joint rule returned, until its last argument is served
    active = reaching(graph, targets) if targets is not None or graph.literals else None
    for v, seed in seeds.items():
        delta[v] = seed
        zeros[v] = masked

    with np.errstate(divide="ignore", invalid="ignore"):  # inf and nan in a δ are told by their values
        for v in range(max(seeds, default=-1), -1, -1):
            uses = out[v]
            total, own = delta[v], False
            if uses is None and total is None:
                continue
            shape, dtype = shapes[v], dtypes[v]

            # δ_v = Σ over (w, k) in out(v) of vjp_{op_w, k}(δ_w; value of w, values of w's arguments)
            for w, k, last in uses or ():
                if visit is not None:
                    visit(v, w, k)
                op, settings = ops[w], params[w]
                try:
                    if op.joint is not None:
                        term = _joint_term(op, shared, w, k, delta[w], results[w], arguments[w], settings, inputs[w])
                    elif settings is None:
                        term = op.vjps[k](delta[w], results[w], *arguments[w])
                    else:
                        term = op.vjps[k](delta[w], results[w], *arguments[w], **settings)
                except LeakError:  # the rule takes decisions on values: the compiled program will call it as it is
                    term = _later(op, k, delta[w], results[w], arguments[w], settings, shape, dtype)
                if zeros[w] and op.guard is not None and type(term) is not Update and not is_finite(term):
                    term = _guarded(op, term, w, k, delta[w], results[w], arguments[w], settings)
                if last and release:
                    delta[w] = results[w] = arguments[w] = None
                kept = contributions if only is None or (w, k) in only else None
                if kept is not None and type(term) in (Slot, Update):
                    term = _kept(op, k, term, kept, (w, k), scales, shape, dtype)
                if term.shape != shape or term.dtype is not dtype:
                    total, own, term = _fit(op, k, term, total, own, shape, dtype)
                    if term is None:
                        continue
                if kept is not None:
                    if scales and (w, k) in scales:
                        term = term * dtype.type(scales[w, k])
                    kept[w, k] = term
                if total is None:
                    total = term
                elif own and type(term) is np.ndarray:
                    total += term  # into the gather's own buffer
                else:
                    total = total + term
                    own = type(total) is np.ndarray

            delta[v] = total
            out[v] = None
            op = ops[v]
            if total is None or op.flat:
                continue

            # now that δ_v is known, v enters the output set of each of its arguments
            marked = zeros[v] or op.masks
            given = inputs[v]
            if active is None and len(given) == 1 + (LITERAL in given):  # nearly all nodes: one edge, and no search
                k = 1 if given[0] == LITERAL else 0
                edges: Sequence[tuple[int, tuple[int, int, bool]]] = ((given[k], (v, k, True)),)
            else:
                edges = _edges(v, given, active)
            for i, edge in edges:
                entered = out[i]
                if entered is None:
                    out[i] = [edge]
                else:
                    entered.append(edge)
                if marked:
                    zeros[i] = 1
    return delta


@_telling
def contribution(graph: Graph, values: Values, w: int, k: int, d: Any) -> Any:
    """The term of one edge alone: what argument k of node w is sent where the δ of w is d."""
    op, settings, v = graph.ops[w], graph.params[w], graph.inputs[w][k]
    y, args = values.results[w], values.arguments[w]
    with np.errstate(divide="ignore", invalid="ignore"):
        if op.joint is not None:
            term = _joint_term(op, {}, w, k, d, y, args, settings, graph.inputs[w])
        else:
            term = op.vjps[k](d, y, *args, **(settings or {}))
        if isinstance(term, Update):
            term = term.dense(graph.shapes[v], graph.dtypes[v])
        return conform(op, k, term, graph.shapes[v], graph.dtypes[v])


def _edges(v: int, inputs: tuple[int, ...], active: bytearray | None) -> Sequence[tuple[int, tuple[int, int, bool]]]:
    """The active edges into node v: (argument, (v, k, last)); `last` marks the one that the sweep serves last.

    The sweep goes down, so the lowest argument is served last, and among its positions the highest.
    """
    if not inputs:
        return ()
    if len(inputs) == 2 and active is None:
        i, j = inputs
        return ((i, (v, 0, i < j)), (j, (v, 1, j <= i)))
    found = [(i, k) for k, i in enumerate(inputs) if i != LITERAL and (active is None or active[i])]
    final = max(((-i, k) for i, k in found), default=(0, 0))
    return [(i, (v, k, (-i, k) == final)) for i, k in found]


def _joint_term(
    op: Op,
    shared: dict[int, Any],
    w: int,
    k: int,
    d: Any,
    y: Any,
    args: tuple[Any, ...],
    settings: dict[str, Any] | None,
    inputs: tuple[int, ...],
) -> Any:
    """One argument's share of a joint rule, which is evaluated once a node and sweep."""
    terms = shared.get(w)
    if terms is None:
        assert op.joint is not None
        settings = settings or {}
        if op.joint_wanted:
            settings = {**settings, "wanted": tuple(i != LITERAL for i in inputs)}
        try:
            terms = op.joint(d, y, *args, **settings)
        except LeakError:  # as in the sweep
            terms = _joint_later(op, d, y, args, settings, [k for k, i in enumerate(inputs) if i != LITERAL])
        if not isinstance(terms, (tuple, list)) or len(terms) != len(inputs):
            count = len(terms) if isinstance(terms, (tuple, list)) else f"a {type(terms).__name__}"
            raise RuleError(
                message(
                    f"{op.name}: its joint vjp returned {count} for {len(inputs)} arguments",
                    "a joint rule returns a tuple with one δ for each argument",
                    "return a tuple, with None for an argument that has no derivative",
                )
            )
        shared[w] = terms = [*terms, sum(i != LITERAL for i in inputs)]
    term = terms[k]
    terms[k] = None
    terms[-1] -= 1
    if terms[-1] == 0:
        del shared[w]
    if term is None:
        raise RuleError(
            message(
                f"{op.name}: its joint vjp returned None for argument {k}, which is being differentiated",
                "None says that there is no derivative",
                f"pass a plain array for argument {k}, or mend the rule",
            )
        )
    return term


def _later(op: Op, k: int, d: Any, y: Any, args: tuple[Any, ...], settings: Any, shape: Any, dtype: Any) -> Any:
    """One term as one node, for a program that is being compiled: the rule is called on plain arrays when it runs."""

    def term(d: Any, y: Any, *args: Any) -> Any:
        rule = op.vjps[k]
        assert rule is not None
        try:
            found = rule(d, y, *args, **(settings or {}))
        except Exception as error:
            tell(error, f"in the vjp of {op.name} for argument {k}{written_at(rule)}, which a program called as it is")
            raise
        return (conform(op, k, found.dense(shape, dtype) if type(found) is Update else found, shape, dtype),)

    return run_later(term, (d, y, *args))[0]


def _joint_later(op: Op, d: Any, y: Any, args: tuple[Any, ...], settings: dict[str, Any], wanted: Sequence[int]) -> Any:
    """The same for a joint rule: one node whose results are the terms of the wanted arguments."""

    def terms(d: Any, y: Any, *args: Any) -> Any:
        assert op.joint is not None
        try:
            found = op.joint(d, y, *args, **settings)
        except Exception as error:
            tell(error, f"in the joint vjp of {op.name}{written_at(op.joint)}, which a program called as it is")
            raise
        return tuple(
            found[k].dense(args[k].shape, args[k].dtype) if type(found[k]) is Update else found[k] for k in wanted
        )

    found = dict(zip(wanted, run_later(terms, (d, y, *args)), strict=True))
    return [found.get(k) for k in range(len(args))]


def _guarded(
    op: Op, term: Any, w: int, k: int, d: Any, y: Any, args: tuple[Any, ...], settings: dict[str, Any] | None
) -> Any:
    """The term with true zeros where d is zero; see `Op.guard`."""
    assert op.guard is not None

    def later(term: Any, d: Any, y: Any, *args: Any) -> Any:
        return (_guarded(op, term, w, k, d, y, args, settings),)

    if isinstance(term, Traced) and term.recorder.compiling:
        return run_later(later, (term, d, y, *args), GUARD)[0]
    rule = op.vjps[k] if op.joint is None else op.joint
    if isinstance(d, tuple):
        return where_reached(term, lambda: sum(np.any(part != 0) for part in d if part is not None) > 0)
    try:
        return op.guard(term, rule, k, d, y, args, settings or {})
    except LeakError:  # as in the sweep
        return run_later(later, (term, d, y, *args))[0]


def _kept(
    op: Op, k: int, term: Any, kept: Any, edge: tuple[int, int], scales: Any, shape: Any, dtype: Any
) -> Any:
    """The same term, of which an array is kept. A deferred one stays so, unless it is scaled: no bit of δ changes."""
    scaled = bool(scales) and edge in scales
    if type(term) is Slot:
        if scaled:
            term.value = term.value * term.value.dtype.type(scales[edge])
        kept[edge] = tuple(term.value if i == term.index else None for i in range(len(shape)))
        return term
    kept[edge] = whole = conform(op, k, term.dense(shape, dtype), shape, dtype)
    return whole if scaled else term


def _fit(op: Op, k: int, term: Any, total: Any, own: bool, shape: Any, dtype: Any) -> tuple[Any, bool, Any]:
    """What to do with a term that is not yet an array of its node's shape and dtype.

    Returns the sum so far, whether the gather owns it, and what is left to be added: None where it was added here.
    """
    kind = type(term)
    if kind is Slot:
        parts = list(total) if total is not None else [None] * len(shape)
        part = conform(op, k, term.value, shape[term.index], dtype[term.index])
        parts[term.index] = part if parts[term.index] is None else parts[term.index] + part
        return tuple(parts), False, None
    if kind is Update:
        if isinstance(term.value, Traced) or isinstance(total, Traced):
            if total is not None:
                return OPERATIONS["scatter_add"](total, term.value, index=term.index), False, None
            return total, own, conform(op, k, term.dense(shape, dtype), shape, dtype)
        if total is None:
            total = np.zeros(shape, dtype)
        elif not own:
            total = np.array(total, dtype)
        term.add_into(total)
        return total, True, None
    return total, own, conform(op, k, term, shape, dtype)


def conform(op: Op, k: int, term: Any, shape: Any, dtype: Any) -> Any:
    """A term as a δ of its argument: broadcasting undone, precision and realness of the argument restored.

    Summing over the axes along which an argument was stretched is the transpose of stretching it; taking the real part
    is the transpose of using a real number as a complex one.

    Raises
    ------
    RuleError
        Where the term cannot be a δ of the argument at all: names the operation and the argument.
    """
    if getattr(term, "dtype", None) is None or term.dtype.kind not in "fc":
        raise _wrong(op, k, _described(term), shape, dtype)
    if term.shape != shape:
        given = term.shape
        if op.kind == "elementwise" and stretches(shape, given):
            term = unbroadcast(term, shape)
        if term.shape != shape:
            raise _wrong(op, k, f"shape {given}", shape, dtype)
    if term.dtype != dtype:
        if term.dtype.kind == "c" and dtype.kind == "f":
            term = np.real(term)
        if term.dtype != dtype:
            term = term.astype(dtype)
    return term


def _described(term: Any) -> str:
    """What a rule returned, where it is no array of real or complex numbers."""
    dtype = getattr(term, "dtype", None)
    return f"a {type(term).__name__}" + ("" if dtype is None else f" of {dtype}")


def _wrong(op: Op, k: int, what: str, shape: Any, dtype: Any) -> RuleError:
    return RuleError(
        message(
            f"{op.name}: its vjp for argument {k} returned {what}",
            f"that argument is {dtype}{list(shape) if isinstance(shape, tuple) else shape}, and so must its δ be",
            "mend the rule; autodiff.testing.check_op shows which example it fails on",
        )
    )


def reaching(graph: Graph, targets: Sequence[int] | None = None) -> bytearray:
    """For each node whether a derivative with respect to one of the targets can pass through it."""
    wanted = set(graph.arguments if targets is None else targets)
    found = bytearray(len(graph.inputs))
    for v, (op, inputs) in enumerate(zip(graph.ops, graph.inputs, strict=False)):
        if v in wanted:
            found[v] = 1
        elif not op.flat:
            for k, i in enumerate(inputs):
                if i != LITERAL and found[i] and (op.joint is not None or op.vjps[k] is not None):
                    found[v] = 1
                    break
    return found


# -- what a program calls as it is -------------------------------------------------------------------------------------


def _run(*tensors: Any, run: Callable[..., tuple[Any, ...]]) -> tuple[Any, ...]:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (y.value if isinstance(y, Traced) and y.recorder is CONSTANTS else y for y in run(*tensors))
        return tuple(y if hasattr(y, "dtype") else np.asarray(y)[()] for y in found)


def _pulled(d: Any, y: Any, *args: Any, run: Callable[..., tuple[Any, ...]], wanted: tuple[bool, ...]) -> Any:
    """The rule of what is called later is called later itself: a sweep over the trace of that call."""
    places = [k for k, on in enumerate(wanted) if on]
    used = [i for i, part in enumerate(d) if part is not None]

    def pull(*given: Any) -> tuple[Any, ...]:
        seeds, values = given[: len(used)], list(given[len(used) :])
        trace = Trace()
        leaves = {k: trace.leaf(values[k]) for k in places}
        ys = run(*(leaves.get(k, x) for k, x in enumerate(values)))
        start: dict[int, Any] = {}
        for i, seed in zip(used, seeds, strict=True):
            part = ys[i]
            if isinstance(part, Traced) and part.recorder is trace:
                node = part.index if part.index >= 0 else trace.place(part)
                start[node] = start[node] + seed if node in start else seed
        found = deltas(trace.graph, trace.values, start, masked=True) if start else []
        terms = []
        for k, node in zip(places, trace.graph.arguments, strict=True):
            term = found[node] if 0 <= node < len(found) else None
            terms.append(np.zeros(values[k].shape, values[k].dtype) if term is None else term)
        return tuple(terms)

    terms = dict(zip(places, run_later(pull, (*(d[i] for i in used), *args)), strict=True))
    return tuple(terms.get(k) for k in range(len(args)))


RULE, GUARD = (
    Op(name, "op", _run, arity=None, joint=_pulled, accepts=frozenset(("run",)), results=True)
    for name in ("rule", "guard")
)
"""What a program that is being compiled cannot look into: called on plain arrays when it runs. They are not registered:
a graph with one of them holds code, and cannot be saved."""


def run_later(function: Callable[..., tuple[Any, ...]], parts: tuple[Any, ...], op: Op = RULE) -> tuple[Any, ...]:
    """``function(*parts)`` as one node: called on plain arrays when the compiled program runs.

    Among the parts, and in tuples among them, stand tensors; the first of them is argument 0 of the node.
    """
    tensors: list[Any] = []

    def taken(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(taken, x))
        if not isinstance(x, Traced) or x.recorder is CONSTANTS:
            return x
        tensors.append(x)
        return _Place(len(tensors) - 1)

    template = tuple(map(taken, parts))

    def run(*values: Any) -> tuple[Any, ...]:
        def filled(x: Any) -> Any:
            if isinstance(x, tuple):
                return tuple(map(filled, x))
            return values[x.number] if type(x) is _Place else x

        return function(*map(filled, template))

    if not tensors:
        return _run(run=run)
    found: tuple[Any, ...] = apply(op, tuple(tensors), {"run": run})
    return found


class _Place:
    """Stands in the parts of a later call for its tensor number `number`."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


# -- forward -----------------------------------------------------------------------------------------------------------


@_telling
def evaluate(graph: Graph, arguments: Sequence[Any]) -> Values:
    """Run the graph again on other arguments: the table of values.

    Parameters
    ----------
    graph : Graph
    arguments : sequence of arrays
        One for each of ``graph.arguments``, in order; tensors are welcome.

    Returns
    -------
    Values
        Of arrays that are read-only, and share memory with none of the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.sweep import evaluate
    >>> graph = ad.trace(lambda a, b: a * b)(2.0, 3.0)
    >>> evaluate(graph, [np.float64(4.0), np.float64(5.0)])[graph.outputs[0]]
    np.float64(20.0)
    """
    values = Values()
    results = values.results
    own = (x.copy("K") if isinstance(x, np.ndarray) else still(x) if isinstance(x, Traced) else x for x in arguments)
    given = dict(zip(graph.arguments, own, strict=True))
    for v, (op, inputs, literals, params) in enumerate(
        zip(graph.ops, graph.inputs, graph.literals, graph.params, strict=True)
    ):
        args = tuple(results[i] if i != LITERAL else x for i, x in zip(inputs, literals, strict=True))
        if v in given:
            result = given[v]
        elif op.kind == "constant":
            result = args[0]
        elif op is ITEM:
            result = args[0][(params or {})["index"]]  # of a tuple, which as an argument would be taken for an array
        else:
            result = op(*args, **(params or {}))
        values.arguments.append(args)
        results.append(result if hasattr(result, "dtype") or isinstance(result, tuple) else np.asarray(result)[()])
    seal(results)
    return values


@_telling
def tangents(
    graph: Graph,
    values: Values,
    seeds: Mapping[int, Any],
    *,
    visit: Callable[[int, int, int], None] | None = None,
) -> list[Any]:
    """The tangent of every node, given those of some; None where nothing arrives.

    Parameters
    ----------
    graph : Graph
    values : Values
        Complete, as a full trace or :func:`evaluate` leaves them.
    seeds : mapping of int to array
        The tangent that each of these nodes starts with, in the node's own shape and dtype.
    visit : callable, optional
        Called with (v, w, k) for each edge along which a tangent passes, in the order of the sweep.

    Returns
    -------
    list
        One row a node.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.sweep import tangents
    >>> graph = ad.trace(lambda a, b: a * b)(2.0, 3.0)
    >>> tangents(graph, graph.values, {0: np.float64(1.0)})
    [np.float64(1.0), None, np.float64(3.0)]
    """
    tangent: list[Any] = [None] * len(graph.inputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        for v, (op, inputs) in enumerate(zip(graph.ops, graph.inputs, strict=False)):
            if v in seeds:
                tangent[v] = seeds[v]
                continue
            incoming = [None if i == LITERAL else tangent[i] for i in inputs]
            if op.flat or all(t is None for t in incoming):
                continue
            if visit is not None:
                for k, i in enumerate(inputs):
                    if incoming[k] is not None and (op.jvps is None or op.jvps[k] is not None):
                        visit(i, v, k)
            y, args, params = values.results[v], values.arguments[v], graph.params[v] or {}
            try:
                tangent[v] = _push(op, incoming, y, args, params)
            except LeakError:  # as in the reverse sweep
                tangent[v] = _push_later(op, incoming, y, args, params)
    return tangent


def _push_later(op: Op, incoming: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """One node's tangent as one node of a program that is being compiled."""
    many = isinstance(y, tuple)

    def push(incoming: Any, y: Any, args: Any) -> Any:
        found = _push(op, list(incoming), y, args, params)
        return found if many else (found,)

    found = run_later(push, (tuple(incoming), y, args))
    return found if many else found[0]


def _push(op: Op, incoming: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """One node's tangent, by the kind of its operation."""
    if op.name == "item":
        return incoming[0][params["index"]]
    if op.kind == "linear":
        filled = [np.zeros_like(x) if t is None else t for t, x in zip(incoming, args, strict=True)]
        return _like(op, apply(op, tuple(filled), params), y)
    if op.kind == "bilinear":
        terms = [
            apply(op, (*args[:k], t, *args[k + 1 :]), params) for k, t in enumerate(incoming) if t is not None
        ]
    elif op.jvps is None:
        return transposed(op, incoming, y, args, params)
    else:
        terms = []
        for k, t in enumerate(incoming):
            rule = op.jvps[k] if t is not None else None
            if rule is None:
                continue
            term = rule(t, y, *args, **params)
            if op.kind == "elementwise":
                term = _like(op, term, y)
            if op.kind == "elementwise" and op.guard is not None:
                term = op.guard(term, rule, k, t, y, args, params)
            terms.append(term)
    if not terms:
        return None
    if isinstance(y, tuple):
        columns = zip(*terms, strict=True)
        return tuple(_like(op, sum(column[1:], column[0]), part) for column, part in zip(columns, y, strict=True))
    return _like(op, sum(terms[1:], terms[0]), y)


def _like(op: Op, t: Any, y: Any) -> Any:
    """A tangent in the shape and dtype of its value.

    Raises
    ------
    RuleError
        Where it cannot be one: it is no array of numbers, is larger, or would lose its imaginary part.
    """
    if getattr(t, "dtype", None) is y.dtype and t.shape == y.shape:
        return t
    kind = getattr(getattr(t, "dtype", None), "kind", "")
    said = _described(t) if kind not in ("f", "c") else ""
    if not said and t.dtype != y.dtype:
        if kind == "c" and y.dtype.kind != "c":
            said = _described(t)
        else:
            t = t.astype(y.dtype)
    if not said and t.shape != y.shape:
        if stretches(t.shape, y.shape):
            t = np.broadcast_to(t, y.shape)
        else:
            said = f"shape {t.shape}"
    if said:
        raise RuleError(
            message(
                f"{op.name}: its jvp returned {said}",
                f"its result is {y.dtype}{list(y.shape)}, and so must the tangent be",
                "mend the rule; autodiff.testing.check_op shows which example it fails on",
            )
        )
    return t


def transposed(op: Op, incoming: list[Any], y: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """J·t from the vjp alone: the vjp is linear in d, so its own reverse sweep is the forward rule.

    The rule is traced as a function of d and swept with the tangents as seeds; what arrives at d is J·t.
    """
    many = isinstance(y, tuple)
    trace = Trace()
    starts = [trace.leaf(np.zeros(part.shape, part.dtype)) for part in (y if many else (y,))]
    d = tuple(starts) if many else starts[0]
    if op.joint is not None:
        extra = {"wanted": tuple(t is not None for t in incoming)} if op.joint_wanted else {}
        terms = list(op.joint(d, y, *args, **params, **extra))
    else:
        terms = [
            None if t is None or rule is None else rule(d, y, *args, **params)
            for t, rule in zip(incoming, op.vjps, strict=True)
        ]
    seeds: dict[int, Any] = {}
    for k, (t, term, x) in enumerate(zip(incoming, terms, args, strict=True)):
        if type(term) is Update:
            term = term.dense(x.shape, x.dtype)
        if t is not None and term is not None and term.shape != x.shape:
            raise _wrong(op, k, f"shape {term.shape}", x.shape, x.dtype)
        if t is None or term is None:
            continue
        if not (isinstance(term, Traced) and term.recorder is trace):
            if not isinstance(term, Traced) and np.any(np.isfinite(term) & (term != 0)):
                raise RuleError(
                    message(
                        f"{op.name}: its vjp for argument {k} returned what does not depend on δ",
                        "the forward rule is its transpose, and there is one only where the vjp is linear in δ",
                        f"mend the rule, or declare {op.name}.defjvp(…)",
                    )
                )
            continue
        index = term.index if term.index >= 0 else trace.place(term)
        seed = _like(op, t, term)
        seeds[index] = seeds[index] + seed if index in seeds else seed
    found = deltas(trace.graph, trace.values, seeds) if seeds else []
    arrived = [
        found[i] if i != LITERAL and i < len(found) and found[i] is not None else np.zeros(s.value.shape, s.value.dtype)
        for i, s in zip(trace.graph.arguments, starts, strict=True)
    ]
    return tuple(arrived) if many else arrived[0]
