"""The recorder of a call that is being debugged."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import AutodiffError
from ..graph import LITERAL, Graph, Values
from ..op import INPUT
from ..recorders import SCOPE, FullTrace, _Many, turn
from ..sweep import deltas, tangents
from ..traced import Traced, is_compiled, recorders
from .places import place
from .rules import SERVING, read_only, served, watched_ops
from .search import Origin, Record, in_forward, in_reverse, in_tangents
from .told import error_of, note_of


class DebugTrace(FullTrace):
    """A full trace whose results are asked whether they are finite, and whose sweeps run rules that are watched.

    Attributes
    ----------
    origins : dict
        For each node that was recorded while an inner sweep ran a rule: which one.
    named : list of str
        What to call the arguments, where their function is not the user's own.
    complete : bool
        Whether every result gets a node, as in a full trace, or is left as what it is, as in a lean one.
    judges : bool
        Whether results of inner calls are left to this one: where a derivative is wanted of them.
    """

    __slots__ = ("complete", "judges", "named", "origins", "session", "views")

    debugging = True

    def __init__(
        self, session: Any, judges: bool = True, named: Sequence[str] = (), complete: bool = False
    ) -> None:
        super().__init__()
        self.complete = complete
        self.session, self.judges, self.named = session, judges, named
        self.origins: dict[int, Origin] = {}
        self.views: dict[bool, Graph] = {}

    def record(
        self,
        op: Any,
        inputs: tuple[int, ...],
        args: tuple[Any, ...],
        kept: Any,
        y: Any,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Append one node with all that is known of it: as a full trace does, in fewer steps."""
        active, results, graph = self.active, self.results, self.graph
        if len(inputs) == 1 and inputs[0] >= 0:
            (i,) = inputs
            held: tuple[Any, ...] = (results[i],)
            literals: tuple[Any, ...] = (None,)
            on = active[i]
        else:
            on = False
            row, rest = [], []
            for i, x in zip(inputs, args, strict=True):
                if i == LITERAL:
                    row.append(x)
                    rest.append(x)
                else:
                    row.append(results[i])
                    rest.append(None)
                    on = on or active[i]
            held, literals = tuple(row), tuple(rest)
        whole, shape, dtype, scope = y.results if type(y) is _Many else y, y.shape, y.dtype, SCOPE.get()
        serving = SERVING.get()
        line = place() if serving is None else serving[0].lines[serving[1]]
        with turn():
            ops = self.ops
            index = len(ops)
            ops.append(op)
            self.inputs.append(inputs)
            self.arguments.append(held)
            results.append(whole)
            self.params.append(params)
            self.shapes.append(shape)
            self.dtypes.append(dtype)
            graph.literals.append(literals)
            graph.scopes.append(scope)
            graph.lines.append(line)
            active.append(op is INPUT or (on and not op.flat))
        if serving is not None:
            inner, w, k, forward = serving
            self.origins[index] = Origin(inner.ops[w], w, k, forward)
        return self._tensor(y, index)

    def leaves_plain(self, y: Any) -> bool:
        """What can be neither nan nor infinite is left plain, as in a lean trace."""
        return not self.complete and getattr(y, "dtype", np.dtype(bool)).kind not in "fc"

    def is_active(self, tensor: Traced) -> bool:
        """Whether a derivative can pass through this tensor at all; through none where none is wanted."""
        return self.judges and super().is_active(tensor)

    def active_among(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The same inputs with LITERAL in place of those through which no derivative can pass."""
        return super().active_among(inputs) if self.judges else (LITERAL,) * len(inputs)

    # -- sweeps ----------------------------------------------------------------------------------------------------

    def sweep(self, seeds: Mapping[int, Any], masked: bool) -> list[Any]:
        """The table of δ, from rules that were watched; its ends are finite, or the error names the first maker."""
        graph, values, session = self.graph, self.values, self.session
        try:
            delta = swept(session, self._view(False), graph, values, seeds, masked=masked)
        except Exception as error:
            self.told(error)
            raise
        self.judge_deltas(seeds, delta, masked)
        return delta

    def judge_deltas(self, seeds: Mapping[int, Any], delta: list[Any], masked: bool) -> None:
        """Raise where the δ of an argument is not finite."""
        judge_deltas(self.session, self.looked_at(), seeds, delta, masked)

    def push(self, seeds: Mapping[int, Any], ends: Sequence[int | None]) -> list[Any]:
        """The table of tangents, likewise."""
        graph, values, session = self.graph, self.values, self.session
        session.sweeps += 1
        try:
            with read_only(values, graph.literals), served(graph, forward=True) as visit:
                found = tangents(self._view(True), values, seeds, visit=visit)
        except Exception as error:
            self.told(error)
            raise
        bad = [v for v in ends if v is not None and found[v] is not None and self._is_bad(found[v])]
        if bad:
            finding = in_tangents(self.looked_at(), found, seeds, bad)
            if finding is not None:
                raise error_of(finding)
        return found

    def _view(self, forward: bool) -> Graph:
        """The graph as a sweep is given it, with operations whose rules are watched."""
        found = self.views.get(forward)
        if found is None:
            found = self.views[forward] = view(self.session, self.graph, forward)
            if all(self.active):  # a sweep need not look where a derivative can pass
                found.literals = []
        return found

    # -- judging ---------------------------------------------------------------------------------------------------

    def looked_at(self) -> Record:
        """What a search for the first maker looks at."""
        return Record(self.session, self.graph, self.values, self.origins)

    def _is_bad(self, x: Any) -> bool:
        return is_judged(self.session, x)

    def judge_values(self, nodes: Sequence[int | None]) -> None:
        """Raise where a result is not finite because an operation made it so."""
        self.session.nodes += len(self.inputs)
        graph, results = self.graph, self.values.results
        graph.outputs = [v for v in nodes if v is not None]
        graph.names.update(zip(graph.arguments, self.named, strict=False))
        bad = [v for v in graph.outputs if self._is_bad(results[v])]
        if bad:
            finding = in_forward(self.looked_at(), bad)
            if finding is not None:
                raise error_of(finding)

    def told(self, error: Exception) -> None:
        """Note at an exception of the user's, or of NumPy's, what had become of the numbers before it."""
        if isinstance(error, AutodiffError) or not isinstance(error, (ArithmeticError, ValueError, AssertionError)):
            return
        if any(note.startswith("debug: ") for note in getattr(error, "__notes__", ())):
            return
        results = self.values.results
        bad = [v for v, x in enumerate(results) if self._has_bad(x)]
        finding = in_forward(self.looked_at(), bad) if bad else None
        if finding is not None:
            error.add_note(note_of(finding))

    def _has_bad(self, x: Any) -> bool:
        return not is_compiled(x) and any(
            bool(self.session.bad(part).any()) for part in (x if isinstance(x, tuple) else (x,))
        )


def is_judged(session: Any, x: Any) -> bool:
    """Whether a result has what the session looks for, and no outer call is there to say whether it matters."""
    if isinstance(x, Traced) and (is_compiled(x) or any(r.debugging and r.judges for r in recorders(x))):
        return False
    return bool(session.bad(x).any())


def view(session: Any, graph: Graph, forward: bool) -> Graph:
    """The same graph, column for column, with operations whose rules are watched."""
    found = copy.copy(graph)
    found.ops = watched_ops(session, graph, forward) if session.rules else graph.ops
    return found


def swept(
    session: Any, shown: Graph, graph: Graph, values: Values, seeds: Mapping[int, Any], **settings: Any
) -> list[Any]:
    """One reverse sweep with rules that are watched."""
    session.sweeps += 1
    with read_only(values, graph.literals), served(graph) as visit:
        return deltas(shown, values, seeds, visit=visit, **settings)


def judge_deltas(
    session: Any, record: Record, seeds: Mapping[int, Any], delta: list[Any], masked: bool
) -> None:
    """Raise where the δ of an argument of the graph is not finite."""
    ends = [v for v in record.graph.arguments if 0 <= v < len(delta) and delta[v] is not None]
    bad = [v for v in ends if is_judged(session, delta[v])]
    if bad:
        finding = in_reverse(record, seeds, delta, bad, masked)
        if finding is not None:
            raise error_of(finding)
