"""The door: one traced call of a user's function.

Here containers are flattened, arguments are refused by name, results are stripped of their tensors and seeds are
checked. Inside there are only nodes and arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

import numpy as np
import optree

from .apply import is_bare, still
from .debugging import DebugTrace
from .errors import ArgumentError, DtypeError, NotScalarError, SeedError, message, registered, too_deep, unhidden
from .faults import settle
from .graph import LITERAL
from .op import CONSTANT
from .recorders import CONSTANTS, LARGE, SCOPE, TRACING, Trace
from .sweep import deltas, tangents
from .tensor import Tensor
from .traced import Traced


def _has_derivative(x: Any) -> bool:
    if type(x) is np.ndarray:
        return x.dtype.kind in "fc"
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype.kind in "fc" and is_bare(x)
    return isinstance(x, (float, complex)) or (isinstance(x, Traced) and x.value.dtype.kind in "fc")


def _differentiable(x: Any, call: Call, i: int) -> Any:
    """A differentiable argument as an array or a NumPy scalar; refused by name where it has no derivative."""
    if _has_derivative(x):
        if isinstance(x, Traced):
            return x.value if x.recorder is CONSTANTS else x
        return x if type(x) is np.ndarray or isinstance(x, np.generic) else np.asarray(x)[()]
    what, instead = _describe(x)
    raise DtypeError(
        message(f"{call.where(i)} is {what}", "derivatives are defined on real and complex numbers", instead)
    )


def _describe(x: Any) -> tuple[str, str]:
    if isinstance(x, np.ma.MaskedArray):
        return "a masked array", "pass x.filled(0.0), and np.where(mask, …) inside the function"
    if isinstance(x, (bool, int)):
        return f"the {type(x).__name__} {x!r}", f"pass {float(x)!r}"
    if isinstance(x, np.ndarray) and not is_bare(x):
        return f"a {type(x).__name__}", "pass np.asarray(x): what a subclass adds to an array would be lost on the way"
    dtype = None if isinstance(x, type) else getattr(x, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return f"a {type(x).__name__}", (
            "pass a float, an array of floats, or a dict, list or tuple of those"
            + (f"; or {registered(type(x).__name__)}" if isinstance(getattr(x, "__dict__", None), dict) else "")
        )
    if dtype.kind in "iub":
        if np.ndim(x) == 0:
            return f"the {dtype} {x}", f"pass {float(x)!r}"
        return f"an array of {dtype}", "pass x.astype(float), or make it with dtype=float"
    return f"an array of dtype {dtype}", "pass an array of floats"


def name_of(f: Callable[..., Any]) -> str:
    """What to call a user's function in a message."""
    return getattr(f, "__name__", type(f).__name__)


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of f's positional parameters, as far as they can be known."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return [f"argument{i}" for i in range(count)]
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "argument")
    return [named[i] if i < len(named) else f"{rest}[{i - len(named)}]" for i in range(count)]


def _two(out: Any, f: Callable[..., Any]) -> tuple[Any, Any]:
    if isinstance(out, tuple) and len(out) == 2:
        return out
    raise ArgumentError(
        message(
            f"has_aux=True, but {name_of(f)} returned a {type(out).__name__}",
            "with has_aux the function returns (output, whatever else)",
            "return a pair, or leave has_aux out",
        )
    )


def _constant(y: Any, f: Callable[..., Any]) -> Any:
    """A result that does not depend on the arguments, as the array that its node holds."""
    y = y.value if isinstance(y, Traced) and y.recorder is CONSTANTS else y
    array: Any = y if isinstance(y, Traced) else np.asarray(y)[()]
    numbers = isinstance(array, (np.ndarray, np.generic)) or isinstance(y, Traced)
    if not numbers or array.dtype.kind not in "biufc":
        raise DtypeError(
            message(
                f"{name_of(f)} returned a {type(y).__name__}",
                "a graph computes numbers and arrays",
                "return numbers, arrays, or containers of them",
            )
        )
    return array


def strip_one(x: Any, trace: Trace) -> Any:
    """What a tensor of this trace holds; anything else as it is."""
    return x.value if isinstance(x, Traced) and (x.recorder is trace or x.recorder is CONSTANTS) else x


def owned(x: Any) -> Any:
    """An array that no one else can write into, or a tensor object that no one else can let stand for another node."""
    if isinstance(x, Traced):
        return still(x)
    return x.copy("K") if isinstance(x, np.ndarray) else x


def _strip(tree: Any, trace: Trace) -> Any:
    """What a trace's tensors hold, in the same containers; its arrays are the caller's own."""

    def strip(x: Any) -> Any:
        return owned(strip_one(x, trace)) if isinstance(x, Traced) else x

    return optree.tree_map(strip, tree, namespace="autodiff")


class Call:
    """One traced call of a function: its arguments' leaves, its trace, and the nodes of its results.

    Leaves are read back through ``graph.arguments``, never through the tensor objects: a function that writes
    ``x[0] = 1`` lets its argument's object stand for another node.
    """

    __slots__ = ("argnums", "aux", "f", "nodes", "out", "out_tree", "trace", "tree", "values")

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int] | None, args: tuple[Any, ...]) -> None:
        self.f = f
        if argnums is None:
            self.argnums = tuple(range(len(args)))
        else:
            given = tuple(argnums) if isinstance(argnums, (list, tuple, range)) else (argnums,)
            for n in given:
                if not isinstance(n, int) or isinstance(n, bool) or not -len(args) <= n < len(args):
                    raise ArgumentError(
                        message(
                            f"argnums={argnums!r}, but {name_of(f)} was called with {len(args)} positional arguments",
                            "it is the place of an argument passed by position, a whole number, or a tuple of them",
                            "pass that argument by position, or change argnums",
                        )
                    )
            self.argnums = tuple(n % len(args) for n in given)
            if len(set(self.argnums)) < len(self.argnums):
                raise ArgumentError(
                    message(
                        f"argnums={argnums!r} names an argument of {name_of(f)} twice",
                        "each argument has one gradient",
                        "name each argument once",
                    )
                )

    def run(
        self,
        trace: Trace,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        has_aux: bool = False,
        own: bool = True,
        lenient: bool = False,
    ) -> Call:
        """Call the function with its chosen arguments traced.

        With `own` the arrays are copied, or guarded where the trace does that, because they may be written into, now or
        later; with `lenient` what has no derivative stays as it is instead of being refused.
        """
        self.trace = trace
        chosen: Any = tuple(args[n] for n in self.argnums)
        try:
            flat, self.tree = optree.tree_flatten(chosen, namespace="autodiff")
        except RecursionError:
            raise too_deep(f"an argument of {name_of(self.f)}") from None
        self.values: list[Any] = []
        leaves = []
        for i, x in enumerate(flat):
            if lenient and not _has_derivative(x):
                leaves.append(x)
                continue
            value = _differentiable(x, self, i)
            if own and not (
                trace.guarded is not None and type(value) is np.ndarray and value.nbytes >= LARGE
                and trace.guard(value, i)
            ):  # fmt: skip
                value = owned(value)
            self.values.append(value)
            leaves.append(trace.leaf(value))
        given = list(args)
        for n, x in zip(self.argnums, optree.tree_unflatten(self.tree, leaves), strict=True):
            given[n] = x
        outside, scope, around = TRACING.get(), SCOPE.get(), copy_context()
        try:
            TRACING.set(outside + 1)  # in here: a key may be pressed as it returns
            out = unhidden(self.f, given, kwargs)
            if has_aux:
                out, aux = _two(out, self.f)
                self.aux = _strip(aux, trace)
            if type(out) is Tensor:
                self.out, self.out_tree = [out], None
            else:
                try:
                    self.out, self.out_tree = optree.tree_flatten(out, namespace="autodiff")
                except RecursionError:
                    raise too_deep(f"what {name_of(self.f)} returned") from None
            if trace.full:
                self._finish(leaves)
            self.nodes = [
                None if not isinstance(y, Traced) or y.recorder is not trace
                else y.index if y.index >= 0 else trace.place(y)
                for y in self.out
            ]  # fmt: skip
        except BaseException as error:
            settle(error, around)
            if isinstance(trace, DebugTrace) and isinstance(error, Exception):
                trace.told(error)
            raise
        finally:
            try:
                TRACING.set(outside)
            finally:
                try:
                    if SCOPE.get() is not scope:
                        SCOPE.set(scope)
                finally:
                    trace.close()
        trace.check_columns()
        self.out = [strip_one(y, trace) for y in self.out]
        if isinstance(trace, DebugTrace):
            trace.judge_values(self.nodes)
        return self

    def _finish(self, leaves: list[Any]) -> None:
        """In a full trace every argument gets a node and a name, and every result a node."""
        graph = self.trace.graph
        for leaf in leaves:
            if isinstance(leaf, Traced) and leaf.recorder is self.trace and leaf.index < 0:
                self.trace.place(leaf)
        names = iter(self._leaf_names(leaves))
        for index in graph.arguments:
            graph.names.setdefault(index, next(names))  # a name given with ad.name comes first
        graph.title = name_of(self.f)
        if isinstance(self.trace, DebugTrace) and not self.trace.complete:
            return
        self.out = [
            y if isinstance(y, Traced) and y.recorder is self.trace
            else self.trace.record(CONSTANT, (LITERAL,), (_constant(y, self.f),), None, _constant(y, self.f))
            for y in self.out
        ]  # fmt: skip
        graph.tree = self.out_tree

    def _leaf_names(self, leaves: list[Any]) -> list[str]:
        """For each traced leaf the name of its argument and its path in it: w, params['w'], layers[0].bias."""
        paths = optree.treespec_accessors(self.tree)
        names = argument_names(self.f, max(self.argnums, default=-1) + 1)
        return [
            names[self.argnums[path[0].entry]] + path[1:].codify("")
            for path, leaf in zip(paths, leaves, strict=True)
            if isinstance(leaf, Traced) and leaf.recorder is self.trace
        ]

    def where(self, i: int) -> str:
        """Leaf number i in words, for an error message."""
        path = optree.treespec_accessors(self.tree)[i]
        n = self.argnums[path[0].entry]
        return f"argument {n} ({argument_names(self.f, n + 1)[n]}{path[1:].codify('')}) of {name_of(self.f)}"

    def sweep(self, seeds: Sequence[Any], *, release: bool = False, masked: bool = True) -> Any:
        """One reverse sweep; the δ of each argument, in the containers of the arguments. A result may have no seed."""
        start, trace = self.start(seeds), self.trace
        if isinstance(trace, DebugTrace):
            delta = trace.sweep(start, masked)
        else:
            delta = deltas(trace.graph, trace.values, start, release=release, masked=masked)
        return self.gradients(delta, seeds)

    def start(self, seeds: Sequence[Any]) -> dict[int, Any]:
        """What a sweep starts from: the seeds by their nodes."""
        start: dict[int, Any] = {}
        for node, seed in zip(self.nodes, seeds, strict=True):
            if node is not None and seed is not None:
                start[node] = start[node] + seed if node in start else seed
        return start

    def gradients(self, delta: list[Any], seeds: Sequence[Any]) -> Any:
        """The δ of each argument after a sweep, in the containers of the arguments; they share memory with nothing."""
        found: list[Any] = []
        taken = {id(seed) for seed in seeds}
        if self.trace.guarded:  # which are the caller's
            taken.update(self.trace.guarded)
        for index, value in zip(self.trace.graph.arguments, self.values, strict=True):
            d = delta[index] if 0 <= index < len(delta) else None
            if d is None:
                d = np.zeros(value.shape, value.dtype)
            elif isinstance(d, Traced):
                d = still(d)
            elif type(d) is np.ndarray and (d.base is not None or not d.flags.writeable or id(d) in taken):
                d = d.copy()
            taken.add(id(d))
            found.append(d if not isinstance(d, np.ndarray) or d.ndim else d[()])
        return optree.tree_unflatten(self.tree, found)


def rebuild(call: Call) -> Any:
    """The function's result without this call's tensors, in its own containers; its arrays are the caller's own."""
    out = [owned(y) for y in call.out]
    return out[0] if call.out_tree is None else optree.tree_unflatten(call.out_tree, out)


def scalar_seed(call: Call) -> list[Any]:
    """The seed 1 of a real scalar output; anything else is refused with the three ways on."""
    f = name_of(call.f)
    if len(call.out) != 1 or (call.out_tree is not None and not optree.treespec_is_leaf(call.out_tree)):
        raise NotScalarError(
            message(
                f"grad: {f} returned a container with {len(call.out)} results",
                "a gradient belongs to one real number",
                "return one number (others with has_aux=True), or use ad.vjp(f, x), which takes a seed for each",
            )
        )
    y = call.out[0]
    shape = y.shape if hasattr(y, "shape") else np.shape(y)
    if shape != ():
        raise NotScalarError(
            message(
                f"grad: {f} returned an array of shape {shape}",
                "a gradient belongs to one real number",
                "sum it (np.sum(y)), ask for the whole ad.jacobian(f), or give a seed: y, pullback = ad.vjp(f, x); "
                "pullback(np.ones_like(y))",
            )
        )
    if not isinstance(y, (Traced, np.generic, np.ndarray, int, float, complex)):
        raise NotScalarError(
            message(f"grad: {f} returned a {type(y).__name__}", "a gradient belongs to one real number", "return one")
        )
    dtype = y.dtype if hasattr(y, "dtype") else np.asarray(y).dtype
    if dtype.kind == "c":
        raise NotScalarError(
            message(
                f"grad: {f} returned a complex number",
                "a gradient belongs to one real number",
                "take its real part: for a holomorphic f, grad(lambda z: np.real(f(z))) is f′(z)",
            )
        )
    return [dtype.type(1) if hasattr(y, "dtype") else 1.0]


def seeds(call: Call, given: Any) -> list[Any]:
    """Seeds for every result, checked one by one against it."""
    if call.out_tree is None:
        flat = [given]
    else:
        try:
            flat = call.out_tree.flatten_up_to(given)
        except (ValueError, TypeError) as error:
            raise SeedError(
                message(
                    f"the seed does not have the containers that {name_of(call.f)} returned",
                    str(error),
                    "give one seed for each result, in the same containers",
                )
            ) from None
    what = f"the seed for what {name_of(call.f)} returned"
    return [_seed(seed, y, what) for seed, y in zip(flat, call.out, strict=True)]


def _seed(seed: Any, y: Any, what: str) -> Any:
    """A seed (or tangent) with exactly the shape, and safely the dtype, of what it belongs to."""
    shape = np.shape(y)
    dtype = y.dtype if hasattr(y, "dtype") else np.asarray(y).dtype
    numbers = isinstance(seed, (np.ndarray, np.generic, Traced, int, float, complex, list, tuple))
    if not numbers and (isinstance(seed, type) or not hasattr(seed, "__array__")):
        raise SeedError(
            message(f"{what} is a {type(seed).__name__}", "a seed is a δ, and a δ is an array", "give numbers")
        )
    if np.shape(seed) != shape:
        raise SeedError(
            message(
                f"{what} has shape {np.shape(seed)}, not {shape}",
                "a seed is a δ, and a δ has the shape of its node",
                "np.broadcast_to(seed, y.shape) says that stretching is meant",
            )
        )
    weak = type(seed) in (int, float) or (type(seed) is complex and dtype.kind == "c")
    array: Any = seed if hasattr(seed, "dtype") else np.asarray(seed)
    if array.dtype.kind not in "biufc" or not (weak or np.can_cast(array.dtype, dtype, "safe")):
        raise SeedError(
            message(
                f"{what} is {array.dtype}, which does not go into {dtype} without loss",
                "a seed is a δ, and a δ has the dtype of its node",
                f"seed.astype(np.{dtype})" if array.dtype.kind in "biufc" else "give numbers",
            )
        )
    if dtype.kind not in "fc":
        dtype = np.dtype(float)
    if isinstance(seed, Traced):
        return array if array.dtype == dtype else array.astype(dtype)
    return np.array(array, dtype)[()] if not shape else np.array(array, dtype)


def forward_sweep(call: Call, directions: Any) -> Any:
    """One forward sweep of a traced call: the tangent of its result, in the result's containers."""
    try:
        flat: list[Any] = call.tree.flatten_up_to(directions)
    except (ValueError, TypeError) as error:
        raise SeedError(
            message(
                "the tangents do not have the containers of the arguments",
                str(error),
                "give one tangent for each argument, in the same containers",
            )
        ) from None
    graph = call.trace.graph
    start = {
        index: _seed(t, value, "the tangent of " + call.where(i))
        for i, (index, t, value) in enumerate(zip(graph.arguments, flat, call.values, strict=True))
    }
    trace = call.trace
    tangent = trace.push(start, call.nodes) if isinstance(trace, DebugTrace) else tangents(graph, trace.values, start)
    found = []
    for node, y in zip(call.nodes, call.out, strict=True):
        t = None if node is None else tangent[node]
        found.append(np.zeros(np.shape(y), getattr(y, "dtype", float))[()] if t is None else t)
    return found[0] if call.out_tree is None else optree.tree_unflatten(call.out_tree, found)
