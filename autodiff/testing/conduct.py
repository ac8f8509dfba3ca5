"""Laws 7, 9 and 10: how a rule behaves. It changes nothing, is called once an edge, and is linear in δ."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..call import Call
from ..errors import CheckError, DegenerateWarning, message
from ..op import Op
from ..recorders import FullTrace, Trace
from ..sweep import deltas, tangents
from .cases import Case, Counts
from .differences import scale_of
from .probe import Arrays, fail, pull

# -- 7: purity ---------------------------------------------------------------------------------------------------------


def purity(case: Case) -> Counts:
    """7. Rules run on read-only arrays, change nothing, and return memory of their own."""
    rng, counts = case.rng("purity"), Counts()
    xs = tuple(np.array(x) for x in case.xs)
    ws = tuple(np.array(w) for w in case.seeds(rng))
    first = pull(case.f, xs, ws)
    _check_read_only(case, xs, ws, first)
    for d, other in ((d, o) for i, d in enumerate(first) for o in (*first[:i], *xs, *ws)):
        if np.shares_memory(d, other):
            fail(case.label, "purity", "shared memory", "memory of its own", 0.0, "a later write would show in it")
    _check_stale(case, ws, first)
    counts.update((k, 1, "reverse") for k in case.active)
    return counts


def _check_read_only(case: Case, xs: Arrays, ws: Arrays, first: Arrays) -> None:
    """Sweep both ways with every value and every seed read-only: a rule that writes raises; nothing has changed."""
    call = Call(case.f, None, tuple(xs)).run(FullTrace(lines=False), tuple(xs), {})
    values = call.trace.values
    graph = call.trace.graph
    along = {i: np.ones_like(x) for i, x in zip(graph.arguments, call.values, strict=True)}
    rows = (*values.arguments, *(y if isinstance(y, tuple) else (y,) for y in values.results), ws, along.values())
    arrays = [x for row in rows for x in row if isinstance(x, np.ndarray)]
    before = [x.tobytes() for x in arrays]
    for x in arrays:
        x.flags.writeable = False
    try:
        again = call.sweep(ws)
        tangents(graph, values, along)
    except ValueError as error:
        raise CheckError(
            message(
                f"{case.label}: law 'purity' is broken: a rule writes into its arguments",
                str(error),
                "compute a new array: y = 2 * d, not d *= 2",
            )
        ) from error
    finally:
        for x in arrays:
            if x.base is None:
                x.flags.writeable = True
    if [x.tobytes() for x in arrays] != before:
        fail(case.label, "purity", "a changed array", "the same bytes", 0.0, "a rule wrote into what it was given")
    for d, e in zip(first, again, strict=True):
        if np.asarray(d).tobytes() != np.asarray(e).tobytes():
            fail(case.label, "purity", e, d, 0.0, "two sweeps over the same values differ")


def _check_stale(case: Case, ws: Arrays, first: Arrays) -> None:
    """Arrays that the caller overwrites after the call do not change δ; nor does a call elsewhere before it."""
    args = tuple(np.array(x) for x in case.args)
    there = case._replace(args=args)
    for i in range(len(case.active)):
        single, k = there.alone(i)
        pullback = vjp_of(single)
        elsewhere = tuple(x * 0.5 for x in single.xs)
        with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
            vjp_of(single, elsewhere)(ws)
        kept = [x.copy() for x in args]
        for x in args:
            x[...] = np.zeros((), x.dtype)
        (d,) = pullback(ws)
        for x, old in zip(args, kept, strict=True):
            x[...] = old
        allowed = 64 * np.finfo(np.asarray(d).dtype).eps * scale_of(first[i])
        if not scale_of(np.subtract(d, first[i])) <= allowed:
            fail(f"{case.label}, argument {k}", "purity", d, first[i], allowed, "a value saved for the rule was stale")


def vjp_of(case: Case, xs: Arrays | None = None) -> Callable[[Any], Any]:
    """The pullback of a case, taken and not yet used."""
    xs = tuple(case.xs if xs is None else xs)
    call = Call(case.f, None, xs).run(Trace(), xs, {}, own=True)
    return lambda ws: call.sweep(list(ws))


# -- 9 and 10: once, and linearly --------------------------------------------------------------------------------------


def once(case: Case) -> Counts:
    """9. A sweep calls one rule an active edge, and a joint rule once."""
    rng, counts, op = case.rng("once"), Counts(), case.op
    ws = case.seeds(rng)
    xs = case.xs
    call = Call(case.f, None, xs).run(FullTrace(lines=False), xs, {})
    graph = call.trace.graph
    seen: Counter[tuple[int, int, int]] = Counter()
    start = {node: w for node, w in zip(call.nodes, ws, strict=True) if node is not None}
    with _counted_joint(op) as joint:
        deltas(graph, call.trace.values, start, visit=lambda v, w, k: seen.update([(v, w, k)]))
    want = Counter((e.source, e.consumer, e.position) for e in graph.edges if any(n >= e.consumer for n in start))
    if seen != want:
        fail(case.label, "once", dict(seen), dict(want), 0.0, "one rule an active edge (node, consumer, position)")
    if op.joint is not None and joint[0] != 1:
        fail(case.label, "once", joint[0], 1, 0.0, "a joint rule is evaluated once a node and sweep")
    counts.update((k, 1, "reverse") for k in case.active)
    return counts


@contextlib.contextmanager
def _counted_joint(op: Op) -> Iterator[list[int]]:
    """Count the calls of a joint rule while this block runs."""
    calls, joint = [0], op.joint
    if joint is None:
        yield calls
        return

    def counting(*args: Any, **settings: Any) -> Any:
        calls[0] += 1
        return joint(*args, **settings)

    op.joint = counting
    try:
        yield calls
    finally:
        op.joint = joint


def linearity(case: Case) -> Counts:
    """10. vjp(a·u + b·v) = a·vjp(u) + b·vjp(v), and vjp(0) = 0."""
    rng, counts, xs = case.rng("linearity"), Counts(), case.xs
    us, vs = case.seeds(rng), case.seeds(rng)
    a, b = 0.75, -1.5
    mixed = pull(case.f, xs, tuple(a * u + b * v for u, v in zip(us, vs, strict=True)))
    for k, d, e, m in zip(case.active, pull(case.f, xs, us), pull(case.f, xs, vs), mixed, strict=True):
        allowed = 256 * np.finfo(float).eps * (scale_of(d) + scale_of(e))
        if not scale_of(a * d + b * e - m) <= allowed:
            fail(f"{case.label}, argument {k}", "linearity", m, a * d + b * e, allowed, "a rule must be linear in d")
        counts[k, 1, "reverse"] += 1
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateWarning)  # it is said of matrices that the poison made singular
        return counts + _zeros(case, rng)


def _zeros(case: Case, rng: np.random.Generator) -> Counts:
    """vjp(0) = 0 exactly, also where inf or nan was saved."""
    counts = Counts()
    for poison in (0.0, np.inf, -np.inf, np.nan):
        xs = tuple(np.array(x) for x in case.xs)
        for x in xs:
            if x.size:
                x[tuple(n // 2 for n in x.shape)] = poison
        there = case._replace(args=tuple(
            xs[case.active.index(k)] if k in case.active else x for k, x in enumerate(case.args)
        ))  # fmt: skip
        if there.plain() is None:
            continue
        call = Call(there.f, None, xs).run(Trace(), xs, {}, own=True)
        found = call.sweep([np.zeros_like(y)[()] for y in call.out])
        for k, d in zip(case.active, found, strict=True):
            if not np.all(d == 0):
                fail(f"{case.label}, argument {k} with {poison} in it", "linearity", d, 0.0, 0.0, "vjp(0) is exactly 0")
            counts[k, 1, "reverse"] += 1
        if case.op.kind in ("elementwise", "bilinear"):
            _check_guard(there, rng, poison)
    return counts


def _check_guard(case: Case, rng: np.random.Generator, poison: float) -> None:
    """No product of a zero d with the poison counts: those elements of δ are what they are without the poison.

    Pointwise, they are where d is zero. In a product of matrices they are found by evaluation: with two different
    finite numbers in the place of the poison, they do not change.
    """
    if np.isfinite(poison):
        return
    ws = [np.array(w) for w in case.seeds(rng)]
    for w in ws:
        w[rng.random(w.shape) < 0.6] = 0.0

    def swept(number: float) -> Any:
        xs = tuple(np.where(np.isfinite(x), x, number) for x in case.xs)
        return Call(case.f, None, xs).run(Trace(), xs, {}, own=True).sweep([w[()] for w in ws])

    for k, d, one, two in zip(case.active, swept(poison), swept(0.71), swept(0.83), strict=True):
        if case.op.kind == "bilinear":
            same = np.isfinite(one) & (one == two)
        elif np.shape(d) == ws[0].shape:
            same, one = ws[0] == 0, np.zeros_like(one)
        else:  # stretched: each of its elements is a sum
            continue
        off = np.abs(np.where(same, d, 0) - np.where(same, one, 0))
        if not np.all(off <= 64 * np.finfo(float).eps * scale_of(one)):
            fail(f"{case.label}, argument {k}", "linearity", d, one, 0.0, f"0·{poison} was formed where d is zero")
