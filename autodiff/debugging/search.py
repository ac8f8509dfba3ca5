"""The search for the first operation that made a nan or an infinity which reached a result.

*Made* is what stands in a result where no argument had any; elsewhere it was *passed on*. An infinity that the user
wrote down as a constant (a mask) was not made, and what a mask or a branch that was not taken keeps from the results is
never looked at: the search goes from the results back, along what is not finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph import LITERAL, Graph, Values
from ..op import INPUT, ITEM
from ..sweep import deltas
from ..traced import memory, recorders

Masks = Callable[[Any], Any]


class Origin(NamedTuple):
    """The rule that was running while an operation was recorded: of this node, for this argument."""

    graph: Graph
    node: int
    argument: int


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
    graph, results = record.graph, record.values.results
    waiting, seen, found = [v for v in roots if _any(results[v], bad)], set[int](), list[Finding]()
    while waiting:
        v = waiting.pop()
        if v in seen:
            continue
        seen.add(v)
        if graph.ops[v] is INPUT:
            found.append(_found(record, "argument", v, results[v], bad=bad))
            continue
        made, constant, passed = _sources(record, v, bad)
        waiting += passed
        if made is not None:
            found.append(_found(record, "forward", v, results[v], made, bad=bad))
        elif constant is not None:
            x = record.values.arguments[v][constant]
            found.append(_found(record, "constant", v, x, argument=constant, bad=nan_alone))
    return min(found, key=lambda finding: finding.node, default=None)


def _sources(record: Record, v: int, bad: Masks) -> tuple[Any, int | None, list[int]]:
    """Where node v made what its result has; the constant with a nan that it got it from; the nodes it got it from."""
    graph = record.graph
    op, inputs, y, args = graph.ops[v], graph.inputs[v], record.values.results[v], record.values.arguments[v]
    if op is ITEM:
        return None, None, list(inputs)
    masks = _reaching_masks(op, y, args, bad)
    if masks is None:  # every element of the result may depend on every element of the arguments
        had = [k for k, x in enumerate(args) if _any(x, bad)]
        made = None if had else _whole(y, bad)
    else:
        whole = bad(y)
        had = [k for k, mask in enumerate(masks) if (mask & whole).any()]
        for mask in masks:
            whole = whole & ~mask
        made = whole if whole.any() else None
    constants = [k for k in had if inputs[k] == LITERAL and _any(args[k], nan_alone)]
    return made, (constants[0] if constants else None), [inputs[k] for k in had if inputs[k] != LITERAL]


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
    bad, graph = record.session.bad, record.graph
    waiting, seen, found = list(ends), set[int](), list[tuple[int, int, Finding]]()
    while waiting:
        v = waiting.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in seeds and _any(seeds[v], bad):
            found.append((v, 1, _found(record, "seed", v, seeds[v])))
        carried = [(w, k) for w, k in graph.consumers[v] if (w, k) in terms and _any(terms[w, k], bad)]
        if not carried and v not in seeds:
            found.append((v, 0, _found(record, "sum", v, delta[v])))
        for w, k in carried:
            made = _made_in_term(graph, w, k, terms[w, k], delta[w], bad)
            if made is None:
                waiting.append(w)
            else:
                found.append((w, -k, _found(record, "reverse", w, terms[w, k], made, k)))
    if not found:  # a rule that did something else this time
        return _found(record, "reverse", ends[0], delta[ends[0]])
    return max(found, key=lambda row: row[:2])[2]


def _made_in_term(graph: Graph, w: int, k: int, term: Any, d: Any, bad: Masks) -> Any:
    """Where the rule of one edge made what its term has; None where δ had it already."""
    if not _any(d, bad):
        return _whole(term, bad)
    if graph.ops[w].kind != "elementwise" or graph.shapes[graph.inputs[w][k]] != graph.shapes[w]:
        return None
    try:
        made = bad(term) & ~bad(d)
    except ValueError:
        return None
    return made if made.any() else None


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
