"""The search for the first operation that made a nan or an infinity which reached a result.

*Made* is what stands in a result where no argument had any; elsewhere it was *passed on*. An infinity that the user
wrote down as a constant (a mask) was not made, and what a mask or a branch that was not taken keeps from the results is
never looked at: the search goes from the results back, along what is not finite.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph import LITERAL, Graph, Values
from ..op import INPUT, ITEM
from ..sweep import deltas
from ..traced import memory, recorders

Masks = Callable[[Any], Any]


class Origin(NamedTuple):
    """The rule that was running while an operation was recorded: of this node, for this argument, in which sweep.

    Its graph is not held: that has values which belong to the trace that holds this.
    """

    op: Any
    node: int
    argument: int
    forward: bool


class Record(NamedTuple):
    """What a search looks at."""

    session: Any
    graph: Graph
    values: Values
    origins: Mapping[int, Origin]


@dataclasses.dataclass
class Finding:
    """The first operation that made what reached a result.

    Attributes
    ----------
    phase : str
        forward, reverse or tangent, where an operation or its rule made it; sum, where terms of δ that are finite add
        up to what is not; argument, constant or seed, where it was there already.
    node : int
    argument : int or None
        The argument that a reverse rule belongs to, or the constant among the arguments.
    index : tuple of int
        The first such element: of the result, in a reverse sweep of the δ of the argument.
    example : tuple of int
        Inside of `vmap` which example, or which unit vector of a Jacobian.
    axes : tuple
        The batches that these numbers count in, the outermost first.
    result : int or None
        Which result of an operation with several.
    value : object
        What stands there.
    count, size : int
    through : Finding or None
        The reverse or forward-mode rule by which what was made in the forward run came into a derivative.
    """

    record: Record
    phase: str
    node: int
    argument: int | None
    index: tuple[int, ...]
    example: tuple[int, ...]
    axes: tuple[Any, ...]
    result: int | None
    value: Any
    count: int
    size: int
    seeds: Mapping[int, Any] = dataclasses.field(default_factory=dict)
    delta: Sequence[Any] | None = None
    through: Finding | None = None

    def of(self, x: Any) -> tuple[int, ...]:
        """The number of the example in each batch that an array is of; the first of one that the finding is not of."""
        known = dict(zip(map(id, self.axes), self.example, strict=False))
        return tuple(known.get(id(trace), 0) for trace in axes_of(x))

    @property
    def origin(self) -> Origin | None:
        """The rule that was running, where the operation is one of an inner derivative."""
        return self.record.origins.get(self.node)


def number(x: Any) -> Any:
    """The array behind a tensor or a number, with the axes of the batches that it is in."""
    return np.asarray(memory(x))


def axes_of(x: Any) -> tuple[Any, ...]:
    """The traces of the batches that the first axes of that array count examples of, the outermost first."""
    return tuple(trace for trace in recorders(x) if trace.batching)[::-1]


def _parts(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


def _any(x: Any, bad: Masks) -> bool:
    return any(part is not None and bool(bad(part).any()) for part in _parts(x))


def nan_alone(x: Any) -> Any:
    """Where an array has a nan."""
    x = number(x)
    return np.isnan(x) if x.dtype.kind in "fc" else np.zeros(x.shape, bool)


def spread(x: Any, mask: Any, ndim: int) -> Any:
    """A mask of an argument, with axes of length one so that it broadcasts as the argument did, behind the batch."""
    b = mask.ndim - np.ndim(x)
    return mask.reshape(mask.shape[:b] + (1,) * (ndim - mask.ndim + b) + mask.shape[b:])


def _found(
    record: Record, phase: str, node: int, x: Any, mask: Any = None, argument: int | None = None,
    bad: Masks | None = None,
) -> Finding:
    """A finding at the first element of a mask over x; of a tuple in the first result that has one."""
    bad = bad or record.session.bad
    result = None
    if isinstance(x, tuple):
        result = next((k for k, part in enumerate(x) if part is not None and bad(part).any()), 0)
        x, mask = x[result], None
    if mask is None:
        mask = bad(x)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))
    b = mask.ndim - np.ndim(x)
    value = np.broadcast_to(number(x), mask.shape)[place]
    return Finding(
        record, phase, node, argument, place[b:], place[:b], axes_of(x), result, value, int(np.sum(mask)),
        int(mask.size),
    )  # fmt: skip


# -- forward -----------------------------------------------------------------------------------------------------------


def in_forward(record: Record, roots: Sequence[int]) -> Finding | None:
    """The first operation that made what these nodes hold; None where it came from constants that are infinite."""
    session = record.session
    with np.errstate(all="ignore"):
        found = _made_forward(record, roots, session.bad)
        if found is None and session.nan and session.inf:  # infinities of constants, of which a nan was made
            found = _made_forward(record, roots, nan_alone)
    return found


def _made_forward(record: Record, roots: Sequence[int], bad: Masks) -> Finding | None:
    """From the results down: for each node the elements that reached one, and among them those that it made."""
    graph, results = record.graph, record.values.results
    wanted = Wanted(-1)
    for v in roots:
        if _any(results[v], bad):
            wanted.add(v, _whole(results[v], bad))
    found = []
    while wanted:
        v, mask = wanted.take()
        op = graph.ops[v]
        if op is INPUT:
            found.append(_found(record, "argument", v, results[v], mask, bad=bad))
            continue
        if op is ITEM:
            wanted.add(graph.inputs[v][0], results[graph.inputs[v][0]])
            continue
        made, passed = _sources(record, v, mask, bad)
        for k, part in passed:
            i, x = graph.inputs[v][k], record.values.arguments[v][k]
            if i != LITERAL:
                wanted.add(i, part)
            elif made is None and _any(x, nan_alone):
                found.append(_found(record, "constant", v, x, argument=k, bad=nan_alone))
        if made is not None:
            found.append(_found(record, "forward", v, results[v], made, bad=bad))
    return min(found, key=lambda finding: finding.node, default=None)


class Wanted:
    """The nodes that are still to be looked at, each with the elements of it that reached a result.

    Of a node with several results it is all of them, the tuple itself. `step` says in which order they come: downwards
    with -1, so that all that reads a node has been looked at before it, or upwards with 1.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._masks: dict[int, Any] = {}
        self._order: list[int] = []

    def add(self, v: int, mask: Any) -> None:
        """Enter a node, or more elements of it."""
        if v not in self._masks:
            heapq.heappush(self._order, self._step * v)
            self._masks[v] = mask
        elif not isinstance(mask, tuple):
            self._masks[v] = self._masks[v] | mask

    def take(self) -> tuple[int, Any]:
        """The next node."""
        v = self._step * heapq.heappop(self._order)
        return v, self._masks.pop(v)

    def __bool__(self) -> bool:
        return bool(self._order)


def _sources(record: Record, v: int, mask: Any, bad: Masks) -> tuple[Any, list[tuple[int, Any]]]:
    """Where node v made what is in that part of its result; the arguments that it got the rest from, with the place."""
    op, y, args = record.graph.ops[v], record.values.results[v], record.values.arguments[v]
    masks = _reaching_masks(op, y, args, bad)
    if masks is None:  # every element of the result may depend on every element of the arguments
        passed = [(k, _whole(x, bad)) for k, x in enumerate(args) if _any(x, bad)]
        places = places_of(record, v)
        if passed and places is not None and not isinstance(mask, tuple):
            (k, _), = passed
            part = np.zeros(np.shape(args[k]), bool)
            part.reshape(-1)[places[mask]] = True
            passed = [(k, part & bad(args[k]))]
        return (None if passed else mask), passed
    whole, passed, made = mask, [], mask
    for k, (x, met) in enumerate(zip(args, masks, strict=True)):
        if (met & whole).any():
            passed.append((k, gathered(met & whole, x, np.ndim(y))))
            made = made & ~met
    return (made if made.any() else None), passed


def places_of(record: Record, v: int) -> Any:
    """Of an operation that only moves elements: for each of the result its place in the argument. None of another."""
    op, inputs, y = record.graph.ops[v], record.graph.inputs[v], record.values.results[v]
    if not (op.view and op.kind == "linear" and len(inputs) == 1) or axes_of(y):
        return None
    shape = record.graph.shapes[inputs[0]]
    places = np.asarray(op.forward(np.arange(math.prod(shape)).reshape(shape), **(record.graph.params[v] or {})))
    return places if places.shape == np.shape(y) and places.dtype.kind == "i" else None


def gathered(mask: Any, x: Any, ndim: int) -> Any:
    """A mask of a result as one of an argument that was stretched: where any of the elements is that it met."""
    shape = number(x).shape
    beside = spread(x, np.zeros(shape, bool), ndim).shape
    beside = (1,) * (mask.ndim - len(beside)) + beside
    axes = tuple(i for i, (n, m) in enumerate(zip(mask.shape, beside, strict=True)) if m == 1 and n != 1)
    return mask.any(axis=axes, keepdims=True).reshape(shape) if axes else mask.reshape(shape)


def _whole(y: Any, bad: Masks) -> Any:
    return y if isinstance(y, tuple) else bad(y)


def _reaching_masks(op: Any, y: Any, args: Sequence[Any], bad: Masks) -> list[Any] | None:
    """For each argument of a pointwise operation where it is bad, as it meets the result; None where elements mix."""
    if op.kind != "elementwise":
        return None
    ndim, shape, axes = np.ndim(y), bad(y).shape, axes_of(y)
    if any(axes_of(x) not in ((), axes) for x in args):  # examples of several batches
        return None
    try:
        masks = [np.broadcast_to(spread(x, bad(x), ndim), shape) for x in args]
        if op.name == "where":  # the branch that was not taken passes nothing on
            taken = np.broadcast_to(spread(args[0], number(args[0]).astype(bool), ndim), shape)
            masks[1], masks[2] = masks[1] & taken, masks[2] & ~taken
    except (ValueError, IndexError):  # tangents of a few of the arguments
        return None
    return masks


# -- reverse -----------------------------------------------------------------------------------------------------------


def in_reverse(
    record: Record, seeds: Mapping[int, Any], delta: Sequence[Any], ends: Sequence[int], masked: bool
) -> Finding:
    """The first rule that made what the δ of these nodes has, or the operation whose result that rule read it from."""
    bad, graph = record.session.bad, record.graph
    with np.errstate(all="ignore"):
        lost = {v for v, d in enumerate(delta) if d is not None and _any(d, bad)}
        edges = {(w, k) for w, row in enumerate(graph.inputs) for k, v in enumerate(row) if v in lost}
        terms: dict[tuple[int, int], Any] = {}
        deltas(graph, record.values, seeds, masked=masked, contributions=terms, only=edges)
        finding = _made_reverse(record, seeds, delta, ends, terms)
        finding.seeds, finding.delta = seeds, delta
        return _or_in_forward(finding)


def _made_reverse(
    record: Record, seeds: Mapping[int, Any], delta: Sequence[Any], ends: Sequence[int], terms: Mapping[Any, Any]
) -> Finding:
    """From the arguments up: for each node the elements of its δ that reached one, and the rules that made them."""
    bad, graph = record.session.bad, record.graph
    wanted, found = Wanted(1), list[tuple[int, int, Finding]]()
    for v in ends:
        wanted.add(v, _whole(delta[v], bad))
    while wanted:
        v, mask = wanted.take()
        if v in seeds and _any(seeds[v], bad):
            found.append((v, 1, _found(record, "seed", v, seeds[v])))
        carried = 0
        for w, k in graph.consumers[v]:
            term = terms.get((w, k))
            if term is None or not _any(term, bad):
                continue
            part = _whole(term, bad)
            if not isinstance(part, tuple) and not isinstance(mask, tuple) and part.shape == mask.shape:
                part = part & mask
                if not part.any():
                    continue
            carried += 1
            made, passed = _in_term(record, w, k, part, delta[w], bad)
            if passed is not None:
                wanted.add(w, passed)
            if made is not None:
                found.append((w, -k, _found(record, "reverse", w, term, made, k)))
        if not carried and v not in seeds:
            found.append((v, 0, _found(record, "sum", v, delta[v], mask)))
    if not found:  # a rule that did something else this time
        return _found(record, "reverse", ends[0], delta[ends[0]])
    return max(found, key=lambda row: row[:2])[2]


def _in_term(record: Record, w: int, k: int, part: Any, d: Any, bad: Masks) -> tuple[Any, Any]:
    """Of what a term has: the part that the rule of that edge made, and the part of δ from which it has the rest."""
    graph = record.graph
    if not _any(d, bad):
        return part, None
    whole = _whole(d, bad)
    if isinstance(whole, tuple) or isinstance(part, tuple):
        return None, whole
    if graph.ops[w].kind == "elementwise" and part.shape == whole.shape:
        made, passed = part & ~whole, part & whole
        return (made if made.any() else None), (passed if passed.any() else None)
    places = places_of(record, w)
    if places is not None and whole.shape == places.shape and part.ndim == np.ndim(record.values.arguments[w][k]):
        whole = whole & part.reshape(-1)[places]
    return None, whole


def _or_in_forward(finding: Finding) -> Finding:
    """The operation whose result a rule read it from, if the values at that place were not finite before."""
    if finding.phase not in ("reverse", "tangent"):
        return finding
    record, w = finding.record, finding.node
    bad, y, args = record.session.bad, record.values.results[w], record.values.arguments[w]
    roots = [i for i, x in zip(record.graph.inputs[w], args, strict=True)
             if i != LITERAL and _any(x, bad) and _there(finding, x, bad)]  # fmt: skip
    if _any(y, bad) and _there(finding, y, bad):
        roots.append(w)
    source = in_forward(record, roots) if roots else None
    if source is None:
        return finding
    source.through, source.seeds, source.delta = finding, finding.seeds, finding.delta
    return source


def _there(finding: Finding, x: Any, bad: Masks) -> bool:
    """Whether what is bad in a value is what a pointwise rule met; where elements mix, it may be."""
    if finding.record.graph.ops[finding.node].kind != "elementwise" or isinstance(x, tuple):
        return True
    mask = bad(x)
    place = (*finding.of(x), *finding.index)
    if len(place) != mask.ndim or any(i >= n for i, n in zip(place, mask.shape, strict=True)):
        return bool(mask.any())  # it was stretched
    return bool(mask[place])


# -- tangents ----------------------------------------------------------------------------------------------------------


def in_tangents(
    record: Record, tangent: Sequence[Any], seeds: Mapping[int, Any], ends: Sequence[int]
) -> Finding:
    """The first rule of a forward sweep that made what the tangents of these nodes have, likewise."""
    bad, graph = record.session.bad, record.graph
    waiting, seen, found = list(ends), set[int](), list[Finding]()
    with np.errstate(all="ignore"):
        while waiting:
            v = waiting.pop()
            if v in seen:
                continue
            seen.add(v)
            if v in seeds:
                found.append(_found(record, "seed", v, seeds[v]))
                continue
            t = tangent[v]
            given = [(i, tangent[i]) for i in graph.inputs[v] if i != LITERAL and tangent[i] is not None]
            had = [i for i, x in given if _any(x, bad)]
            made = None if had else _whole(t, bad)
            masks = None if isinstance(t, tuple) else _reaching_masks(graph.ops[v], t, [x for _, x in given], bad)
            if had and masks is not None:
                whole = bad(t)
                for mask in masks:
                    whole = whole & ~mask
                made = whole if whole.any() else None
            if made is not None:
                found.append(_found(record, "tangent", v, t, made))
            waiting += had
        finding = min(found, key=lambda one: one.node)
        finding.seeds = seeds
        return _or_in_forward(finding)
