"""The trace of `vmap`: each of its tensors stands for one array of an example, and holds those of all examples.

It records nothing: a call is carried out at once, on all examples, by the rule for its operation. The arrays that it
computes on may be tensors of an outer trace, and tensors of an inner trace may hold its own, so that transforms nest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import literal, related, viewed
from ..graph import LITERAL
from ..op import Op
from ..randomness import DRAWING
from ..recorders import CONSTANTS, Trace
from ..traced import Traced
from .examples import Batched
from .rules import carried_out


class BatchTrace(Trace):
    """The trace of one call of a function on all examples of a batch at once.

    Attributes
    ----------
    count : int
        How many examples there are.
    """

    __slots__ = ("closed", "count", "draws")

    batching = True

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.closed = False
        self.draws = False  # whether an operation draws random numbers for itself

    def tensor(self, array: Any) -> Any:
        """A tensor that stands for one element of this array along its first axis."""
        return self._tensor(Batched(array), 0)

    def record(
        self, op: Any, inputs: tuple[int, ...], args: Any, kept: Any, y: Any, params: dict[str, Any] | None = None
    ) -> Any:
        """The tensor of a result that a short call path has computed."""
        if self.closed:
            self.ops.append(op)  # raises
        return self._tensor(y, 0)

    def compute(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The operation on all examples at once, by its rule."""
        if self.closed:
            self.ops.append(op)  # raises
        if op.inlined:  # it traces a function of the user's, which is given tensors of the batch
            return op.forward(*args, **params)
        op.admit((LITERAL,) * len(args), params)
        self.draws = self.draws or op.name in DRAWING
        given = tuple(self._given(op, k, x) for k, x in enumerate(args))
        y = carried_out(op, given, params, self.count)
        if op.results:
            parts = related(op, tuple(map(self.tensor, y)), args[0], params)
            return type(y)(*parts) if hasattr(y, "_fields") else parts
        return viewed(op, self.tensor(y), args[0], params)

    def _given(self, op: Op, k: int, x: Any) -> Any:
        """An argument as a rule takes it: a Batched, or what is the same for all examples."""
        if isinstance(x, Traced) and (x.recorder is self or x.recorder is CONSTANTS):
            return x.value
        if type(x) in (float, int, bool, complex) or (type(x) is np.ndarray and x.dtype.kind in "biufc"):
            return x  # it is used at once: no copy, as a node that keeps it would need
        return literal(op, k, x)

    def close(self) -> None:
        """Let nothing more be computed."""
        super().close()
        self.closed = True
