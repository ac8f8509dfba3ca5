"""What became of a function for one signature: the record, the passes, the program, and what a run of it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..graph import LITERAL, Graph
from .arena import Memory
from .draft import Draft, nbytes
from .passes import ASKED_FOR, ENDS, PASSES
from .program import Program
from .texts import VIEWS

KNOWN = {**PASSES, **ASKED_FOR}
"""All passes by their names."""


class Cost(NamedTuple):
    """What one run of a program does: calls of NumPy, elements computed, bytes read and written, peak of memory."""

    operations: int
    elements: int
    bytes: int
    peak: int


class _Result:
    """Stands in the results of a function for an array that the program computes."""


RESULT = _Result()


class Compiled:
    """What became of a function for one signature: its graph, the passes that shortened it, the program."""

    def __init__(self, recorded: Draft, tree: Any, fixed: list[Any], passes: tuple[str, ...]) -> None:
        self._recorded, self._tree, self._fixed, self.passes = recorded, tree, fixed, passes
        self._whole = all(x is RESULT for x in fixed)
        self._draft = recorded
        for name in passes:
            self._draft = KNOWN[name](self._draft)
        recorded.seal()  # the program reads the same literals
        self._draft.seal()
        self._program = Program(self._draft)
        self._proofs = self._draft.proofs
        self._careful: Compiled | None = None

    @property
    def graph(self) -> Graph:
        """The graph that the program computes, after all passes."""
        return self._draft

    @property
    def history(self) -> list[tuple[str, Graph]]:
        """The graph as it was recorded and after each pass, as (name, graph) pairs to be printed, counted and drawn."""
        draft = self._recorded
        found: list[tuple[str, Graph]] = [("record", draft)]
        for name in self.passes:
            draft = KNOWN[name](draft)
            found.append((name, draft))
        return found

    @property
    def source(self) -> str:
        """The program, as Python."""
        return self._program.source

    @property
    def memory_plan(self) -> Memory:
        """Where the values of one run lie, in bytes."""
        return self._program.memory

    def cost(self) -> Cost:
        """What one run does, counted from the graph.

        Returns
        -------
        Cost
            A named tuple: ``operations``, ``elements``, ``bytes`` and ``peak``, in bytes too.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> square = ad.jit(lambda x: np.sum(x * x))
        >>> square.lower(np.ones(3)).cost().operations
        2
        """
        draft = self._draft
        operations = elements = moved = 0
        for i, op in enumerate(draft.ops):
            if op in ENDS or op.name in VIEWS:
                continue
            size = nbytes(draft, i)
            operations += 1
            elements += size // max(1, draft.dtypes[i].itemsize) if not isinstance(draft.dtypes[i], tuple) else 0
            moved += size + sum(nbytes(draft, v) for v in draft.inputs[i] if v != LITERAL)
        memory = self._program.memory
        return Cost(operations, elements, moved, memory.arena + memory.results)

    def run(self, arrays: Sequence[Any]) -> Any:
        """The function's result for these arguments, in its own containers.

        Parameters
        ----------
        arrays : sequence of arrays
            The leaves of the arguments, in order, of the shapes and dtypes that were compiled for.

        Returns
        -------
        array, or container of arrays

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> square = ad.jit(lambda x: np.sum(x * x))
        >>> square.lower(np.ones(3)).run([np.array([1.0, 2.0, 3.0])])
        np.float64(14.0)
        """
        results = self._program(arrays)
        if self._proofs:
            if not all(results[-self._proofs :]):
                return self._with_guards().run(arrays)
            del results[-self._proofs :]
        if self._tree is None:
            return results[0]
        if not self._whole:
            given = iter(results)
            results = [next(given) if x is RESULT else x for x in self._fixed]
        return self._tree.unflatten(results)

    def _with_guards(self) -> Compiled:
        """The same without the pass that leaves out guards: for arguments at which something is not finite."""
        if self._careful is None:
            passes = tuple(name for name in self.passes if name != "trust")
            self._careful = Compiled(self._recorded, self._tree, self._fixed, passes)
        return self._careful

    def __repr__(self) -> str:
        cost = self.cost()
        return f"<program {self._draft.title}: {cost.operations} operations, {cost.peak} bytes at its peak>"
