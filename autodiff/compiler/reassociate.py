"""The pass that runs only where it is asked for: products in an order that costs less.

What it does is true of numbers, not of floats: (x·c)·d is rounded twice, x·(c·d) once, and one of them may overflow
where the other does not. So the results may differ in more than the last bit, and nobody gets it without asking::

    ad.jit(f, passes=("reassociate", *ad.compiler.PASSES))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph import LITERAL, OPERATIONS
from .draft import Draft, rewritten
from .facts import Site, uniform

LONGEST = 24
"""The most factors of a chain of matrices that are put into the best order: its cost is the cube of their number."""


def reassociate(draft: Draft) -> Draft:
    """Numbers that factors are multiplied with, collected into one; chains of matrix products in the cheapest order."""
    return _chains(_numbers(draft))


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(draft: Draft) -> Draft:
    """c·(d·x), (c·x)·y, (c·x)/d, −(c·x): the number outside, and one of it."""

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if params or op.name not in ("multiply", "divide", "negative") or old.dtypes[i].kind not in "fc":
            return None
        site = Site(new, op, inputs, literals, params, old, i)
        number: Any = -1.0 if op.name == "negative" else 1.0
        factors: list[int] = []
        collected = 0
        for k, v in enumerate(inputs):
            c, x = (uniform(literals[k]), LITERAL) if v == LITERAL else site.number(v)
            if type(c) not in _NUMBERS or (v != LITERAL and new.dtypes[x] != new.dtypes[v]):
                if v == LITERAL:
                    return None
                factors.append(v)
                continue
            if op.name == "divide" and k == 1:
                if c == 0:
                    return None
                c = 1.0 / c
            number, collected = number * c, collected + 1
            if x != LITERAL:
                factors.append(x)
            elif op.name == "divide" and k == 0:
                return None  # a number over a node stays a quotient
        if collected + (op.name == "negative") < 2 and not (collected and len(factors) == 2):
            return None
        if not factors or not math.isfinite(abs(number)):
            return None
        if len(factors) == 2 and not all(x in inputs or _only_here(old, i, k) for k, x in enumerate(factors)):
            return None
        shapes = [new.shapes[v] for v in factors]
        if np.broadcast_shapes(*shapes) != old.shapes[i] or any(new.dtypes[v] != old.dtypes[i] for v in factors):
            return None
        inner = factors[0]
        if len(factors) == 2:
            inner = site.made(op.name, (factors[0], factors[1]))
        return inner if number == 1 else site.made("multiply", (LITERAL, inner), (number, None))

    return rewritten(draft, change)


def _only_here(draft: Draft, i: int, k: int) -> bool:
    """Whether argument k of node i, a number times a node, is as large as its result and read by nothing else."""
    v = draft.inputs[i][k]
    return v != LITERAL and len(draft.consumers[v]) == 1 and bool(draft.shapes[v] == draft.shapes[i])


_NUMBERS = frozenset((float, int))
"""Python's own, which widen no dtype."""

# -- chains of matrices ------------------------------------------------------------------------------------------------


def _chains(draft: Draft) -> Draft:
    """A·B·C·v by way of the smallest matrices: for a vector at the end from the right."""
    matmul = OPERATIONS["matmul"]
    readers = draft.consumers
    outputs = set(draft.outputs)

    def links(v: int) -> bool:
        """Whether a node is a product of two nodes with at most two axes."""
        inputs = draft.inputs[v]
        return (
            draft.ops[v] is matmul and LITERAL not in inputs and not draft.params[v]
            and all(1 <= len(draft.shapes[w]) <= 2 and draft.dtypes[w] == draft.dtypes[v] for w in inputs)
        )  # fmt: skip

    def inner(v: int) -> bool:
        """Whether a product is only a factor of another one."""
        return links(v) and len(readers[v]) == 1 and v not in outputs and links(readers[v][0][0])

    def factors(v: int) -> list[int]:
        found, waiting = [], [v]
        while waiting:
            w = waiting.pop()
            if w == v or inner(w):
                waiting += reversed(draft.inputs[w])
            else:
                found.append(w)
        return found

    place: dict[int, int] = {}

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> int:
        if links(i) and not inner(i):
            chain = factors(i)
            shapes = [old.shapes[v] for v in chain]
            ends_only = all(len(shape) == 2 for shape in shapes[1:-1])  # a vector inside is a number of its own
            if 2 < len(chain) <= LONGEST and ends_only:
                place[i] = _ordered(new, [place[v] for v in chain], old, i)
                return place[i]
        place[i] = new.again(old, i, op, inputs, literals, params)
        return place[i]

    return rewritten(draft, change)


def _ordered(new: Draft, chain: list[int], old: Draft, i: int) -> int:
    """The product of a chain of matrices with the fewest multiplications, by the cost of every stretch of it."""
    n = len(chain)
    shapes = [new.shapes[v] for v in chain]
    sizes = [shapes[0][0] if len(shapes[0]) == 2 else 1, *(shape[-1] for shape in shapes)]
    if len(shapes[-1]) == 1:
        sizes[-2:] = [shapes[-1][0], 1]
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(2, n + 1):
        for a in range(n - length + 1):
            b = a + length - 1
            cost[a][b], split[a][b] = min(
                (cost[a][k] + cost[k + 1][b] + sizes[a] * sizes[k + 1] * sizes[b + 1], k) for k in range(a, b)
            )

    def product(a: int, b: int) -> int:
        if a == b:
            return chain[a]
        left, right = product(a, split[a][b]), product(split[a][b] + 1, b)
        shape = (*new.shapes[left][:-1], *new.shapes[right][1:])
        return new.add(
            OPERATIONS["matmul"], (left, right), (None, None), None, shape, old.dtypes[i], old.origin(i)
        )

    return product(0, n - 1)
