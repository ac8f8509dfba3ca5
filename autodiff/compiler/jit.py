"""`jit`: a function, traced once for each signature and run as a compiled program."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from ..errors import SettingError, message
from ..graph import Graph
from ..op import CONSTANT, CONSTANTS, TRACING, Traced, as_array, is_bare
from .draft import Draft, Recorder, weak
from .emit import Memory, Program
from .passes import PASSES

_LIMIT = 64
"""How many signatures of one function are kept; the one that was used longest ago goes first."""


class Lowered:
    """What became of a function for one signature: its graph, the passes, and the program's text."""

    def __init__(self, recorded: Draft, tree: Any, fixed: list[Any], passes: Sequence[str]) -> None:
        self.tree, self.fixed = tree, fixed
        self.history: list[tuple[str, Graph]] = [("record", recorded)]
        draft = recorded
        for name in passes:
            draft = PASSES[name](draft)
            self.history.append((name, draft))
        self.draft = draft
        self.passes = tuple(passes)
        self.program = Program(draft)
        self.careful: Lowered | None = None

    @property
    def graph(self) -> Graph:
        """The graph that the program computes, after all passes."""
        return self.draft

    @property
    def source(self) -> str:
        """The program, as Python."""
        return self.program.source

    @property
    def memory_plan(self) -> Memory:
        """What one run takes, in bytes."""
        return self.program.memory

    def run(self, arrays: list[Any]) -> Any:
        """The function's result for these arguments."""
        results = self.program(arrays)
        if self.draft.proofs:
            proofs = self.draft.proofs
            if not all(results[-proofs:]):
                if self.careful is None:
                    self.careful = Lowered(
                        self.history[0][1], self.tree, self.fixed, [p for p in self.passes if p != "trust"]
                    )
                return self.careful.run(arrays)
            del results[-proofs:]
        if self.tree is None:
            return results[0]
        given = iter(results)
        return optree.tree_unflatten(self.tree, [next(given) if kind is _RESULT else kind for kind in self.fixed])


class _Result:
    pass


_RESULT = _Result()


class Jit:
    """A function that is compiled when it is first called with arguments of a new signature."""

    def __init__(self, f: Callable[..., Any], static_argnums: Any, static_argnames: Any, passes: Sequence[str]) -> None:
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.static = frozenset((static_argnums,) if isinstance(static_argnums, int) else static_argnums)
        self.static_names = frozenset((static_argnames,) if isinstance(static_argnames, str) else static_argnames)
        self.passes = tuple(passes)
        self.programs: OrderedDict[Any, Lowered] = OrderedDict()
        self.lock = threading.Lock()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, tree = optree.tree_flatten((args, kwargs), none_is_leaf=False, namespace="autodiff")
        key, arrays = self._signature(leaves, tree, args, kwargs)
        if arrays is None:
            return self.f(*args, **kwargs)
        lowered = self.programs.get(key)
        if lowered is None:
            lowered = self._compile(key, args, kwargs)
            if lowered is None:
                return self.f(*args, **kwargs)
        return lowered.run(arrays)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Compile for these arguments, and return what became of the function."""
        leaves, tree = optree.tree_flatten((args, kwargs), none_is_leaf=False, namespace="autodiff")
        key, _ = self._signature(leaves, tree, args, kwargs)
        lowered = self.programs.get(key) or self._compile(key, args, kwargs)
        assert lowered is not None
        return lowered

    def _signature(self, leaves: list[Any], tree: Any, args: Any, kwargs: Any) -> tuple[Any, list[Any] | None]:
        """What the program depends on, and the arrays that it will be run on; None for those inside another trace."""
        what: list[Any] = [tree]
        arrays: list[Any] = []
        for x in leaves:
            if type(x) is np.ndarray:
                if x.dtype.kind not in "biufc":
                    what.append((x.dtype, id(x)))
                else:
                    what.append((x.shape, x.dtype))
                    arrays.append(x)
            elif isinstance(x, Traced):
                return None, None
            elif isinstance(x, np.generic):
                what.append(x.dtype)
                arrays.append(x)
            elif type(x) is float or type(x) is int or type(x) is complex:
                what.append(type(x))
                arrays.append(x)
            else:
                what.append((type(x), x))
        return tuple(what), arrays

    def _compile(self, key: Any, args: Any, kwargs: Any) -> Lowered | None:
        trace = Recorder()

        def leaf(x: Any) -> Any:
            if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc":
                return trace.start(x.copy() if isinstance(x, np.ndarray) else x)
            if type(x) in (float, int, complex):
                return trace.start(weak(x), type(x).__name__)
            return x

        given, settings = optree.tree_map(leaf, (args, kwargs), namespace="autodiff")
        depth = TRACING.set(TRACING.get() + 1)
        try:
            out = self.f(*given, **settings)
            flat, tree = optree.tree_flatten(out, namespace="autodiff")
            fixed: list[Any] = []
            draft = trace.graph
            assert isinstance(draft, Draft)
            for y in flat:
                if isinstance(y, Traced) and y.recorder is trace:
                    draft.outputs.append(y.index if y.index >= 0 else trace.place(y))
                    fixed.append(_RESULT)
                elif isinstance(y, (np.ndarray, np.generic, Traced)):
                    value = y.value if isinstance(y, Traced) else y
                    value = np.array(value)[()]
                    draft.outputs.append(draft.add(CONSTANT, (-1,), (value,), None, value.shape, value.dtype, ((), None, True)))
                    fixed.append(_RESULT)
                else:
                    fixed.append(y)
        finally:
            TRACING.reset(depth)
            trace.close()
        if trace.foreign:
            return None
        draft.title = getattr(self.f, "__name__", "")
        single = fixed == [_RESULT] and optree.treespec_is_leaf(tree)
        lowered = Lowered(draft, None if single else tree, fixed, self.passes)
        self.programs[key] = lowered
        return lowered


def jit(f: Callable[..., Any], static_argnums: Any = (), static_argnames: Any = (), passes: Sequence[str] = tuple(PASSES)) -> Jit:
    """Compile."""
    return Jit(f, static_argnums, static_argnames, passes)
