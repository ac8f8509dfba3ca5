"""Passes: each says the same program in a shorter way.

=========  ============================================================================================  ============
pass       what it does                                                                                  result
=========  ============================================================================================  ============
trust      leaves out the guards that make true zeros; the program proves afterwards that none was needed  same bits
fold       computes what depends on no argument                                                          same bits
simplify   identities, inverse pairs, steps that change nothing                                           same bits
sums       a product in place of a sum of equal numbers                                                   to rounding
gemm       one product in place of a stack of products with one and the same matrix                       to rounding
share      one node for all that compute the same (common subexpressions, by structure)                   same bits
dead       leaves out what leads to no result                                                            same bits
together   one node for two operations that share most of their work                                     same bits
factor     solves by the inverse of a Cholesky factor that is there                                      to rounding
schedule   computes early what frees memory                                                              same bits
=========  ============================================================================================  ============

Each is one walk over the list of nodes, so its time is linear in their number. One more, `reassociate`, runs only where
it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import LITERAL, OPERATIONS
from ..op import CONSTANT, INPUT, ITEM
from ..sweep import GUARD, RULE
from .draft import Draft, Known, key_of, nbytes, reordered, rewritten
from .facts import FACTS, SETTINGS, Site, axes_of, reshaped_to, stretched_axes, stretched_to
from .reassociate import reassociate
from .together import factor, together

ENDS = (INPUT, CONSTANT)


def dead(draft: Draft) -> Draft:
    """Leave out what leads to no result. Arguments stay: they are the program's parameters."""
    live = bytearray(len(draft.ops))
    for i in (*draft.outputs, *draft.arguments):
        live[i] = 1
    for i in range(len(draft.ops) - 1, -1, -1):
        if live[i]:
            for v in draft.inputs[i]:
                if v != LITERAL:
                    live[v] = 1
    return draft if all(live) else rewritten(draft, lambda *_: None, live)


def trust(draft: Draft) -> Draft:
    """Leave out the guards, and add the proofs that none was needed.

    A guard puts a true zero where a term is not finite although its δ is zero, and changes nothing else. So a run in
    which everything stays finite is the same with and without. The proofs are results that come after the function's
    own: one truth for each node that :func:`_must_be_finite` names.
    """
    if GUARD not in draft.ops:
        return draft
    finite = OPERATIONS["isfinite"], OPERATIONS["all"]
    place: dict[int, int] = {}
    guards: dict[int, int] = {}

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> int:
        if op is ITEM and inputs[0] in guards:
            place[i] = guards[inputs[0]]  # the one result of a guard is its first argument
            return place[i]
        if op is GUARD:
            guards[-2 - i] = inputs[0]
            place[i] = -2 - i  # no node of the new draft: only its item reads it
            return place[i]
        place[i] = new.again(old, i, op, inputs, literals, params)
        return place[i]

    new = rewritten(draft, change)
    for i in _must_be_finite(draft):
        v, truth = place[i], np.dtype(bool)
        like = draft.origin(i)._replace(quiet=True, order=None)
        tests = new.add(finite[0], (v,), (None,), None, new.shapes[v], truth, like)
        new.outputs.append(new.add(finite[1], (tests, LITERAL), (None, True), None, (), truth, like))
        new.proofs += 1
    return new


TRANSPARENT = frozenset(("multiply", "add", "subtract", "negative", "item"))
"""Beside the linear and the bilinear ones: what is not finite in an argument is not finite in the result."""


def _must_be_finite(draft: Draft) -> list[int]:
    """The nodes that must be finite for a run without guards to be right.

    Sums and products carry an inf or nan on, so it shows in the results that it reaches; where another operation could
    swallow it (1/inf, a comparison, a clip) its argument is looked at.
    """
    marked = bytearray(len(draft.ops))
    found: dict[int, None] = {}
    for i, (op, inputs) in enumerate(zip(draft.ops, draft.inputs, strict=True)):
        touched = [v for v in inputs if v != LITERAL and marked[v]]
        if op is GUARD:
            marked[i] = 1
        elif not touched:
            continue
        elif (
            op.kind in ("linear", "bilinear") or op.name in TRANSPARENT
            or (op is OPERATIONS["divide"] and inputs[1] not in touched)
        ):  # fmt: skip
            marked[i] = 1
        else:
            found.update(dict.fromkeys(touched))
    found.update((i, None) for i in draft.outputs if marked[i])
    return list(found)


def fold(draft: Draft) -> Draft:
    """Compute what depends on no argument."""

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if op is CONSTANT:
            return Known(literals[0])
        if op is INPUT or op is RULE or op.user or op.results or any(v != LITERAL for v in inputs):
            return None
        with np.errstate(all="ignore"):
            value = op.forward(*literals, **(params or {}))
        return Known(value)

    return rewritten(draft, change)


# -- share -------------------------------------------------------------------------------------------------------------


def share(draft: Draft) -> Draft:
    """One node for all that compute the same thing from the same things.

    Sums, and products of real numbers, have the same bits in either order. Not so products of complex ones, of which
    one of two products is rounded; nor maximum, which of 0.0 and -0.0 gives back the one or the other.
    """
    seen: dict[Any, int] = {}

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if op in ENDS or op is RULE or op is GUARD or op.user:
            return None
        commutes = op.name == "add" or (op.name == "multiply" and old.dtypes[i].kind != "c")
        if commutes and inputs[0] > inputs[1] and params is None:
            inputs, literals = inputs[::-1], literals[::-1]
        key = (
            op, inputs, old.dtypes[i], tuple(map(key_of, literals)) if LITERAL in inputs else None,
            key_of(params) if params else None,
        )  # fmt: skip
        if (found := seen.get(key)) is not None:
            new.quiet[found] = new.quiet[found] and old.quiet[i]
            return found
        place = seen[key] = new.again(old, i, op, inputs, literals, params)
        return place

    return rewritten(draft, change)


# -- simplify ----------------------------------------------------------------------------------------------------------


def simplify(draft: Draft) -> Draft:
    """Identities, inverse pairs, and steps that change nothing: what the table of facts says, which keeps every bit."""

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        facts = FACTS.get(op.name)
        if facts is None or (params and op.name not in SETTINGS) or inputs == (LITERAL,):
            return None
        site = Site(new, op, inputs, literals, params, old, i)
        for fact in facts:
            if (place := fact(site)) is not None:
                return place
        return None

    return rewritten(draft, change)


def sums(draft: Draft) -> Draft:
    """A product in place of the sum, or the mean, of a number that broadcasting repeats: rounded once, not n times."""
    if OPERATIONS["broadcast_to"] not in draft.ops:
        return draft

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if op.name not in ("sum", "mean") or inputs[0] == LITERAL or set(params or ()) - {"axis", "keepdims"}:
            return None
        site = Site(new, op, inputs, literals, params, old, i)
        x, shape = site.inside(inputs[0], "broadcast_to"), new.shapes[inputs[0]]
        if x == LITERAL or not all(shape) or new.dtypes[x] != old.dtypes[i] or new.dtypes[x].kind not in "fc":
            return None
        axes = axes_of(site.params.get("axis"), len(shape))
        repeated = axes & stretched_axes(new.shapes[x], shape)
        if not repeated:
            return None
        one = (1,) * (len(shape) - len(new.shapes[x])) + new.shapes[x]
        y = reshaped_to(site, x, one)
        if rest := axes - repeated:
            kept = tuple(1 if k in rest else size for k, size in enumerate(one))
            y = site.made(op.name, (y,), None, {"axis": tuple(sorted(rest)), "keepdims": True}, kept)
        if op.name == "sum":
            count = float(math.prod(shape[k] for k in repeated))
            y = site.made("multiply", (LITERAL, y), (count, None), None, new.shapes[y])
        y = stretched_to(site, y, tuple(1 if k in axes else size for k, size in enumerate(shape)))
        return reshaped_to(site, y, old.shapes[i])

    return rewritten(draft, change)


# -- products ----------------------------------------------------------------------------------------------------------


def gemm(draft: Draft) -> Draft:
    """One matrix product in place of a stack of products with one matrix, and of the sum of a stack of products."""
    matmul, reshape, transpose, total = (OPERATIONS[name] for name in ("matmul", "reshape", "transpose", "sum"))
    if matmul not in draft.ops:
        return draft

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        like, dtype = old.origin(i), old.dtypes[i]

        def reshaped(v: int, shape: tuple[int, ...]) -> int:
            if new.shapes[v] == shape:
                return v
            return new.add(reshape, (v,), (None,), {"shape": shape}, shape, new.dtypes[v], like)

        if op is matmul and LITERAL not in inputs and params is None:
            a, b = inputs
            sa, sb = new.shapes[a], new.shapes[b]
            if len(sa) > 2 and len(sb) == 2 and math.prod(sa) and not _is_transposed(new, a):
                rows = math.prod(sa[:-1])
                flat = new.add(matmul, (reshaped(a, (rows, sa[-1])), b), (None, None), None, (rows, sb[1]), dtype, like)
                return reshaped(flat, old.shapes[i])
        if op is total and params is not None and inputs[0] != LITERAL and not params.get("keepdims"):
            v = inputs[0]
            shape, axis = new.shapes[v], params.get("axis")
            lead = len(shape) - 2
            axes = (axis,) if isinstance(axis, int) else axis
            if (
                new.ops[v] is matmul and LITERAL not in new.inputs[v] and lead > 0
                and axes is not None and sorted(k % len(shape) for k in axes) == list(range(lead))
            ):
                a, b = new.inputs[v]
                if new.ops[a] is transpose and new.shapes[a][:-2] == new.shapes[b][:-2] == shape[:-2]:
                    n = len(shape)
                    x = new.inputs[a][0]
                    if new.params[a] == {"axes": (*range(lead), n - 1, n - 2)} and math.prod(new.shapes[x]):
                        rows = math.prod(new.shapes[x][:-1])
                        left = reshaped(x, (rows, new.shapes[x][-1]))
                        right = reshaped(b, (rows, new.shapes[b][-1]))
                        turned = new.add(
                            transpose, (left,), (None,), {"axes": (1, 0)}, new.shapes[left][::-1], new.dtypes[left],
                            like,
                        )  # fmt: skip
                        return new.add(matmul, (turned, right), (None, None), None, old.shapes[i], dtype, like)
        return None

    return rewritten(draft, change)


def _is_transposed(draft: Draft, v: int) -> bool:
    return draft.ops[v] is OPERATIONS["transpose"]


# -- order -------------------------------------------------------------------------------------------------------------


def schedule(draft: Draft) -> Draft:
    """Compute as soon as it can be what frees at least as much memory as it takes.

    In the order of the trace the terms of a shared weight's δ all wait for the sweep to come down to the weight; here
    each is added to the sum when it is there. Each node is looked at once for each of its edges.
    """
    n = len(draft.ops)
    size = [nbytes(draft, i) for i in range(n)]
    waiting = [0] * n  # how many inputs of a node have not been computed
    readers, remaining = [0] * n, [0] * n  # how many consumers of a node are left, and the sum of their numbers
    distinct = [tuple({v for v in inputs if v != LITERAL}) for inputs in draft.inputs]
    for i, inputs in enumerate(distinct):
        waiting[i] = len(inputs)
        for v in inputs:
            readers[v] += 1
            remaining[v] += i
    for i in draft.outputs:
        readers[i] += 1  # the caller reads it last
        remaining[i] += n
    consumers = draft.consumers
    done = bytearray(n)
    order: list[int] = []

    def pays(w: int, after: int) -> bool:
        """Whether node w frees as much as it takes; more where NumPy's warnings would have to be turned off for it."""
        freed = sum(size[v] for v in distinct[w] if readers[v] == 1 and draft.ops[v] is not INPUT)
        return freed > size[w] or (freed == size[w] and (draft.quiet[after] or not draft.quiet[w]))

    for first in range(n):
        ready = [first]
        while ready:
            i = ready.pop()
            if done[i]:
                continue
            done[i] = 1
            order.append(i)
            candidates = []
            for v in distinct[i]:
                readers[v] -= 1
                remaining[v] -= i
                if readers[v] == 1:
                    candidates.append(remaining[v])  # the one reader that is left
            previous = -1
            for w, _ in consumers[i]:
                if w != previous:
                    waiting[w] -= 1
                    previous = w
                    candidates.append(w)
            ready.extend(
                w for w in reversed(candidates)
                if w < n and not done[w] and not waiting[w] and draft.ops[w] not in ENDS and pays(w, i)
            )
    return reordered(draft, order)


PASSES: dict[str, Callable[[Draft], Draft]] = {
    "trust": trust, "fold": fold, "simplify": simplify, "sums": sums, "gemm": gemm, "share": share, "dead": dead,
    "together": together, "factor": factor, "schedule": schedule,
}  # fmt: skip
"""In the order in which they run."""

ASKED_FOR: dict[str, Callable[[Draft], Draft]] = {"reassociate": reassociate}
"""Passes that may change more than the last bit: they run only where `jit` is given their names."""
