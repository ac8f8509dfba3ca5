"""What one `with ad.debug():` asked for, and which recorder a call gets inside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..apply import is_bare
from ..graph import Graph, Values
from ..op import DEBUG, Op, locked, locked_in
from ..recorders import FullTrace, Trace, watched
from ..traced import Traced, memory
from .recorder import DebugTrace, judge_deltas, swept, view
from .rules import run_forward
from .search import Record


class Session:
    """What one ``with ad.debug():`` asked for, and how much was looked at in it.

    Attributes
    ----------
    nan, inf : bool
        Whether a result with a NaN, or with an infinity, is an error.
    rules : bool
        Whether the rules themselves are watched.
    nodes, sweeps, checked : int
        How many nodes were recorded, how many sweeps were run and how many calls of rules were watched so far.
    """

    def __init__(self, nan: bool, inf: bool, rules: bool, watch: Callable[..., Any]) -> None:
        self.nan, self.inf, self.rules, self._watch = nan, inf, rules, watch
        self.nodes = self.sweeps = self.checked = 0
        self.ops: dict[Op, Any] = {}
        self.outside: Session | None = None
        self.over = False

    def bad(self, x: Any) -> Any:
        """Where an array has what this session looks for, as an array of booleans."""
        x = np.asarray(memory(x))
        if x.dtype.kind not in "fc" or not (self.nan or self.inf):
            return np.zeros(x.shape, bool)
        if self.nan and self.inf:
            return ~np.isfinite(x)
        return np.isnan(x) if self.nan else np.isinf(x)

    def watches(self, leaves: Iterable[Any]) -> bool:
        """Whether a call of `jit` or `vmap` is recorded: of arrays, where nothing around it is traced."""
        arrays = False
        for x in leaves:
            if isinstance(x, Traced):
                return False
            arrays = arrays or is_floating(x)
        return arrays

    def watch(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``f(*args, **kwargs)``, recorded so that its values can be judged: for `jit` and `vmap`."""
        return self._watch(self, f, args, kwargs)

    def backward(
        self, graph: Graph, values: Values, seeds: Mapping[int, Any], masked: bool, contributions: dict[Any, Any]
    ) -> list[Any]:
        """The table of δ of a graph that has its values, as :meth:`DebugTrace.sweep` gives that of a call."""
        delta = swept(self, view(self, graph, False), graph, values, seeds, masked=masked, contributions=contributions)
        judge_deltas(self, Record(self, graph, values, {}), seeds, delta, masked)
        return delta

    def forward(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What a user's own operation computes from plain arrays, watched for writes into them."""
        if not self.rules:
            return op.forward(*map(locked, args), **locked_in(params))
        return run_forward(op, args, params)

    def __repr__(self) -> str:
        return f"<debug: {self.nodes} nodes recorded, {self.sweeps} sweeps, {self.checked} calls of rules watched>"


def is_floating(x: Any) -> bool:
    """Whether an array, or a number of NumPy's, may be nan or infinite."""
    return isinstance(x, (np.ndarray, np.generic)) and is_bare(x) and x.dtype.kind in "fc"


def lean(guarding: bool = False) -> Trace:
    """The recorder of a call from which a gradient is wanted; it may guard large arrays where that follows at once."""
    session = DEBUG.get()
    return watched(guarding) if session is None else DebugTrace(session)


def full(lines: bool = True) -> Trace:
    """The recorder of a call of which every value is wanted."""
    session = DEBUG.get()
    return FullTrace(lines) if session is None else DebugTrace(session, complete=True)
