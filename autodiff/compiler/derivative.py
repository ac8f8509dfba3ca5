"""A compiled function as one operation of a trace around it: `grad(jit(f))`.

The function is recorded together with its sweep, and the record is cut in two. What the results need is one program;
the rest is another one, which is given the δ of the results. Its other arguments are the values at the cut: what the
sweep reads of the forward run. What costs nothing, a view or a constant, is made again on the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from ..apply import apply
from ..errors import RuleError, message
from ..graph import LITERAL
from ..op import CONSTANT, INPUT, ITEM, Op
from ..recorders import CONSTANTS, Trace, watched
from ..sweep import deltas
from ..traced import Traced, held, recorders
from .draft import Draft, Recorder, weak_nodes
from .texts import VIEWS, is_view


def is_swept(x: Any) -> bool:
    """Whether all traces that a tensor belongs to are plain ones, of which nothing but a reverse sweep is wanted.

    A picture shows what is inside of a function, a tangent goes through it, a batch or a program takes it in.
    """
    return all(
        trace is CONSTANTS or not (trace.full or trace.compiling or trace.batching) for trace in recorders(x)
    )


class Swept(NamedTuple):
    """A function's results, with what is needed to sweep back from them."""

    trace: Trace
    nodes: list[int | None]
    flat: list[Any]
    tree: Any


def called(call: Callable[[Sequence[Any]], Any], given: Sequence[Any], wanted: Collection[int]) -> Swept:
    """Call a function with these of its arguments traced."""
    trace = watched()
    tensors = [trace.leaf(x) if k in wanted else x for k, x in enumerate(given)]
    try:
        flat, tree = optree.tree_flatten(call(tensors), namespace="autodiff")
        nodes = [
            None if not isinstance(y, Traced) or y.recorder is not trace
            else y.index if y.index >= 0 else trace.place(y)
            for y in flat
        ]  # fmt: skip
    finally:
        trace.close()
    trace.check_columns()
    values = [y if node is None else y.value for y, node in zip(flat, nodes, strict=True)]
    return Swept(trace, nodes, values, tree)


def pulled(
    swept: Swept, given: Sequence[Any], wanted: Sequence[int], seeds: Sequence[Any], masked: bool = True
) -> list[Any]:
    """The δ of the wanted arguments for these δ of the results that depend on them, which may hold exact zeros."""
    start: dict[int, Any] = {}
    places = (node for node in swept.nodes if node is not None)
    for node, seed in zip(places, seeds, strict=True):
        start[node] = start[node] + seed if node in start else seed
    graph = swept.trace.graph
    found = deltas(graph, swept.trace.values, start, release=True, masked=masked)
    terms = [found[node] if 0 <= node < len(found) else None for node in graph.arguments]
    return [
        np.zeros(given[k].shape, given[k].dtype)[()] if term is None else term
        for k, term in zip(wanted, terms, strict=True)
    ]


class Halves(NamedTuple):
    """A draft, cut: the forward half, the reverse half, and where the arguments of that one come from.

    `reads` says of each: ("y", k) the result k of the forward half, ("x", k) argument k, ("d", k) the seed k.
    """

    forward: Draft
    reverse: Draft
    reads: list[tuple[str, int]]


def cut(draft: Draft, results: int, seeds: int) -> Halves:
    """Cut what was recorded: the first outputs are the function's results, the last arguments the seeds."""
    n = len(draft.ops)
    forward, reverse = bytearray(n), bytearray(n)
    for i in draft.outputs[:results]:
        forward[i] = 1
    for i in range(n - 1, -1, -1):
        if forward[i]:
            for v in draft.inputs[i]:
                if v != LITERAL:
                    forward[v] = 1
    for i, op in enumerate(draft.ops):  # a tuple stays on its side
        if op is ITEM and forward[draft.inputs[i][0]]:
            forward[i] = 1
    weak = weak_nodes(draft)
    for i in draft.outputs[results:]:
        reverse[i] = 1
    read: list[int] = []
    for i in range(n - 1, -1, -1):
        if not reverse[i]:
            continue
        op = draft.ops[i]
        again = op is CONSTANT or weak[i] or (op.name in VIEWS and is_view(op.name, draft.params[i]))
        if op is INPUT or (forward[i] and not again):
            read.append(i)
        else:
            for v in draft.inputs[i]:
                if v != LITERAL:
                    reverse[v] = 1
    read.reverse()
    given = {i: ("x", k) for k, i in enumerate(draft.arguments[: len(draft.arguments) - seeds])}
    given |= {i: ("d", k) for k, i in enumerate(draft.arguments[len(draft.arguments) - seeds :])}
    outputs = draft.outputs[:results]
    saved = [i for i in read if i not in given and i not in outputs]
    place = {i: ("y", k) for k, i in reversed(list(enumerate(outputs + saved)))}
    return Halves(
        _part(draft, forward, draft.arguments[: len(draft.arguments) - seeds], outputs + saved),
        _part(draft, reverse, read, draft.outputs[results:]),
        [given.get(i) or place[i] for i in read],
    )


def _part(old: Draft, kept: bytearray, arguments: list[int], outputs: list[int]) -> Draft:
    """The marked nodes above some that become its arguments."""
    new = Draft()
    new.title = old.title
    at: dict[int, int] = {}
    given = set(arguments)
    for i in range(len(old.ops)):
        op, inputs, literals, params = old.ops[i], old.inputs[i], old.literals[i], old.params[i]
        if i in given:
            op, inputs, literals, params = INPUT, (), (), params if op is INPUT else None
        elif not kept[i]:
            continue
        inputs = tuple(v if v == LITERAL else at[v] for v in inputs)
        at[i] = new.again(old, i, op, inputs, literals, params)
    new.arguments, new.outputs = [at[i] for i in arguments], [at[i] for i in outputs]
    new.names = {at[i]: name for i, name in old.names.items() if i in at}
    return new


def seeded(trace: Recorder, swept: Swept) -> list[Any]:
    """An argument of the program for the δ of each result that depends on what is traced."""
    return [
        trace.start(np.zeros(y.shape, y.dtype)[()])
        for y, node in zip(swept.flat, swept.nodes, strict=True) if node is not None
    ]  # fmt: skip


class Pair:
    """A function of tensors as two programs: its results and what its sweep reads of them, and the sweep.

    Parameters
    ----------
    name : str
        What the operation is called in messages.
    forward, reverse : callable
        The two programs: a list of arrays in, a tuple out.
    again : callable
        ``again(arguments, seeds)``, the sweep as a function of both. It stands for the rule where that is itself
        differentiated, batched or compiled: what the forward program saved has no history of its own.
    reads : sequence
        Where the arguments of the reverse program come from; see :class:`Halves`.
    swept, wanted : sequence of int
        The results that depend on the tensors, and the arguments that are tensors.
    masked : bool
        Whether the reverse program is right for δ with exact zeros, which must stay zeros whatever was saved. It takes
        proofs that cost time, so a function of numbers does without, and a δ of 0 takes the long way.
    moved : callable
        Whether something around the function is another by now than when it ran: then it cannot be swept again.
    rebuilt : callable
        Puts the results into the function's own containers.
    """

    def __init__(
        self,
        name: str,
        arity: int,
        forward: Callable[[list[Any]], tuple[Any, ...]],
        reverse: Callable[[list[Any]], tuple[Any, ...]],
        again: Callable[[list[Any], list[Any]], Sequence[Any]],
        reads: Sequence[tuple[str, int]],
        swept: Sequence[int],
        wanted: Sequence[int],
        masked: bool,
        moved: Callable[[], bool],
        rebuilt: Callable[[Sequence[Any]], Any],
    ) -> None:
        self._swept, self._rebuilt = frozenset(swept), rebuilt

        def run(*args: Any) -> tuple[Any, ...]:
            return tuple(y if hasattr(y, "dtype") else np.asarray(y)[()] for y in forward(list(args)))

        def joint(d: Any, y: Any, *args: Any) -> Any:
            seeds = [np.zeros(y[k].shape, y[k].dtype)[()] if d[k] is None else d[k] for k in swept]
            traced = any(isinstance(x, Traced) for x in (*seeds, *y, *args))
            if traced or not (masked or all(seeds)):
                if moved():
                    raise RuleError(
                        message(
                            f"{name}: something that it reads from around it was overwritten since it ran",
                            "its rule is computed from the function again: the gradient would be that of another one",
                            "pass what changes as an argument, or overwrite it after the last sweep",
                        )
                    )
                terms = again(list(args), seeds)
            else:
                given = {"x": args, "y": y, "d": seeds}
                terms = reverse([given[kind][k] for kind, k in reads])
            found: list[Any] = [None] * len(args)
            for k, term in zip(wanted, terms, strict=True):
                found[k] = term
            return tuple(found)

        self._op = Op(name, "op", run, arity=arity, joint=joint, results=True, formulas=("a program of its own",))

    def run(self, given: Sequence[Any]) -> Any:
        """The function's result, recorded as one node."""
        results = apply(self._op, tuple(given), {})
        return self._rebuilt([y if k in self._swept else held(y) for k, y in enumerate(results)])
