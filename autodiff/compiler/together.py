"""What two operations would compute twice, computed once: a pass.

Eagerly a rule sees the result of its operation and the arguments, nothing that was found on the way. In a program both
stand side by side, so one node can do the work of two. The bits are the same.
"""

from __future__ import annotations

from typing import Any

from ..graph import LITERAL, OPERATIONS
from ..op import ITEM, Op
from ..ops.losses import cross_entropy_with_delta
from .draft import Draft, key_of, rewritten

CROSS_ENTROPY = Op(
    "cross_entropy_with_delta", "op", cross_entropy_with_delta, arity=3, accepts=frozenset(("axis",)), results=True
)
"""Not registered: no trace records it, and nothing differentiates a program."""


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
