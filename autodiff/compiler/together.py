"""What two operations would compute twice, computed once: two passes.

Eagerly a rule sees the result of its operation and the arguments, nothing that was found on the way. In a program both
stand side by side, so one node can do the work of two.
"""

from __future__ import annotations

from typing import Any

from ..graph import LITERAL, OPERATIONS
from ..op import ITEM, Op
from ..ops.linalg import solve_by_factor
from ..ops.losses import cross_entropy_with_delta
from .draft import Draft, key_of, rewritten

CROSS_ENTROPY = Op(
    "cross_entropy_with_delta", "op", cross_entropy_with_delta, arity=3, accepts=frozenset(("axis",)), results=True
)
SOLVE = Op("solve_by_factor", "op", solve_by_factor, arity=3)
"""Not registered: no trace records them, and nothing differentiates a program."""


def together(draft: Draft) -> Draft:
    """The losses of a cross-entropy and their δ, whose weights are known beforehand, from the same exponentials."""
    loss, delta = OPERATIONS["cross_entropy"], OPERATIONS["cross_entropy_delta"]
    if loss not in draft.ops or delta not in draft.ops:
        return draft

    def key(i: int) -> Any:
        first, labels = draft.inputs[i][0], draft.inputs[i][-1]
        literal = key_of(draft.literals[i][-1]) if labels == LITERAL else None
        return first, labels, literal, key_of(draft.params[i])

    partner: dict[Any, int] = {}
    for i, op in enumerate(draft.ops):
        known = op is delta and draft.inputs[i][0] != LITERAL and draft.inputs[i][1] == LITERAL
        if known and draft.literals[i][1].dtype == draft.dtypes[draft.inputs[i][0]]:
            partner.setdefault(key(i), i)
    made: dict[int, int] = {}  # for each δ its node in the new draft

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if op is delta:
            return made.get(i)
        j = partner.pop(key(i), None) if op is loss else None
        if j is None:
            return None
        both = new.add(
            CROSS_ENTROPY, (inputs[0], LITERAL, inputs[1]), (None, old.literals[j][1], literals[1]), params,
            (old.shapes[i], old.shapes[j]), (old.dtypes[i], old.dtypes[j]), old.origin(i),
        )  # fmt: skip
        losses, made[j] = (
            new.add(ITEM, (both,), (None,), {"index": k}, old.shapes[n], old.dtypes[n], old.origin(n))
            for k, n in enumerate((i, j))
        )
        return losses

    return rewritten(draft, change)


def factor(draft: Draft) -> Draft:
    """Solve with a matrix by the inverse of its Cholesky factor, where that is in the program already.

    The rule of cholesky has it; a Gaussian likelihood, which asks for a determinant and a solution, needs no other
    factorisation then.
    """
    solve, cholesky, inverse = (OPERATIONS[name] for name in ("solve", "cholesky", "inverse_of_lower"))
    wanted = {draft.inputs[i][0] for i, op in enumerate(draft.ops) if op is inverse}  # the factors that are inverted
    factors = {
        draft.inputs[c][0]: c for c in wanted
        if c != LITERAL and draft.ops[c] is cholesky and not draft.params[c] and len(draft.shapes[c]) == 2
        and draft.dtypes[c].kind == "f"
    }  # fmt: skip
    if solve not in draft.ops or not factors:
        return draft
    place: dict[int, int] = {}  # of each such factor in the new draft
    inverted: dict[int, int] = {}  # the new node of a factor: that of its inverse

    def change(
        new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> Any:
        if op is cholesky and factors.get(old.inputs[i][0]) == i:
            place[i] = new.again(old, i, op, inputs, literals, params)
            return place[i]
        if op is inverse and inputs[0] in place.values():
            return _inverse(new, inputs[0], old.origin(i))
        if op is not solve or inputs[0] == LITERAL:
            return None
        a = old.inputs[i][0]
        if old.ops[a].name in ("transpose", "swapaxes"):
            a = old.inputs[a][0]
        c = place.get(factors.get(a, LITERAL))
        columns = old.shapes[i][1:]
        if c is None or len(old.shapes[i]) > 2 or (columns and 4 * columns[0] > old.shapes[i][0]):
            return None
        arguments = inputs[0], inputs[1], _inverse(new, c, old.origin(i))
        return new.again(old, i, SOLVE, arguments, (*literals, None), None)

    def _inverse(new: Draft, c: int, like: Any) -> int:
        if c not in inverted:
            inverted[c] = new.add(inverse, (c,), (None,), None, new.shapes[c], new.dtypes[c], like)
        return inverted[c]

    return rewritten(draft, change)
