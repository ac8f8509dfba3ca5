"""`jit`: a function, traced once for each signature and run as a compiled program.

The signature of a call is what the program depends on: the containers, the shape and dtype of every array, the type of
every number, and the value of everything else.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from ..errors import CompileWarning, LeakError, SettingError, message, nearest, warn
from ..graph import LITERAL, Graph
from ..op import CONSTANT, TRACING, Traced
from .arena import Memory
from .draft import Draft, Recorder, nbytes
from .passes import ENDS, PASSES
from .program import Program
from .texts import VIEWS

KEPT = 64
"""How many programs a function keeps; the one that was used longest ago goes first."""

MANY = 16
"""After how many programs a function says that it is being compiled over and over."""


DRAWING = frozenset(("logm",))
"""Operations in which SciPy draws random numbers for an estimate of its own: they do so again in every run."""


class Cost(NamedTuple):
    """What one run of a program does: calls of NumPy, elements computed, bytes read and written, peak of memory."""

    operations: int
    elements: int
    bytes: int
    peak: int


class _Result:
    """Stands in the results of a function for an array that the program computes."""


_RESULT = _Result()


class Compiled:
    """What became of a function for one signature: its graph, the passes that shortened it, the program."""

    def __init__(self, recorded: Draft, tree: Any, fixed: list[Any], passes: tuple[str, ...]) -> None:
        self._recorded, self._tree, self._fixed, self.passes = recorded, tree, fixed, passes
        self._draft = recorded
        for name in passes:
            self._draft = PASSES[name](self._draft)
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
            draft = PASSES[name](draft)
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

    def run(self, arrays: list[Any]) -> Any:
        """The function's result for these arguments, in its own containers.

        Parameters
        ----------
        arrays : list of arrays
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
        given = iter(results)
        return optree.tree_unflatten(self._tree, [next(given) if x is _RESULT else x for x in self._fixed])

    def _with_guards(self) -> Compiled:
        """The same without the pass that leaves out guards: for arguments at which something is not finite."""
        if self._careful is None:
            passes = tuple(name for name in self.passes if name != "trust")
            self._careful = Compiled(self._recorded, self._tree, self._fixed, passes)
        return self._careful

    def __repr__(self) -> str:
        cost = self.cost()
        return f"<program {self._draft.title}: {cost.operations} operations, {cost.peak} bytes at its peak>"


class Jit:
    """A function that is compiled when it is first called with arguments of a new signature.

    Made by :func:`autodiff.jit`.
    """

    def __init__(
        self, f: Callable[..., Any], argnums: tuple[int, ...], argnames: frozenset[str], passes: tuple[str, ...]
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self._f, self._argnums, self._argnames, self._passes = f, argnums, argnames, passes
        self._programs: OrderedDict[Any, Compiled] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()
        self._surroundings: list[tuple[Any, str, Any]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""
        key, arrays = self._signature(args, kwargs)
        if arrays is None:
            return self._f(*args, **kwargs)
        if self._surroundings and self._moved():
            self.clear()
        program = self._programs.get(key)
        if program is None:
            with self._lock:
                program = self._programs.get(key) or self._compile(key, args, kwargs)
            if program is None:
                return self._f(*args, **kwargs)
        return program.run(arrays)

    def lower(self, *args: Any, **kwargs: Any) -> Compiled:
        """Compile for these arguments and return what became of the function, without running it.

        Parameters
        ----------
        *args, **kwargs
            As for a call; arrays count by shape and dtype.

        Returns
        -------
        Compiled

        Raises
        ------
        LeakError
            Where the function cannot be compiled, or an argument belongs to a function that is being traced.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> square = ad.jit(lambda x: np.sum(x * x))
        >>> print(square.lower(np.ones(3)).source.strip())
        def program(x0, b0):
            multiply(x0, x0, b0)
            v1 = add_reduce(b0, None)
            return [v1]
        """
        key, arrays = self._signature(args, kwargs)
        with self._lock:
            program = None if arrays is None else self._programs.get(key) or self._compile(key, args, kwargs)
        if program is None:
            raise LeakError(
                message(
                    f"{self.__name__}.lower: an argument, or something that the function closes over, is being traced",
                    "a program is made of plain arrays; inside another trace the function runs as it is",
                    "call lower outside, with arrays",
                )
            )
        return program

    def clear(self) -> None:
        """Forget all programs, and the memory that they keep between runs.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> square = ad.jit(lambda x: np.sum(x * x))
        >>> square(np.ones(3))
        np.float64(3.0)
        >>> square
        <jit <lambda>: 1 programs>
        >>> square.clear()
        >>> square
        <jit <lambda>: 0 programs>
        """
        self._programs.clear()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        return jit, (self._f, self._argnums, tuple(self._argnames), self._passes)

    def __repr__(self) -> str:
        return f"<jit {self.__name__}: {len(self._programs)} programs>"

    # -- signatures ------------------------------------------------------------------------------------------------

    def _signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any] | None]:
        """What the program depends on, and the arrays that it is run on; no arrays inside of another trace."""
        given_args, given_kwargs = args, kwargs
        if self._argnums or self._argnames:
            args, kwargs, fixed = self._split(args, kwargs)
            key: list[Any] = [fixed]
        else:
            key = []
        arrays: list[Any] = []
        if not kwargs and all(type(x) is np.ndarray for x in args):
            leaves: Iterable[Any] = args  # the common case, at a fraction of the cost
        else:
            given: Any = (args, kwargs)
            leaves, tree = optree.tree_flatten(given, namespace="autodiff")
            key.append(tree)
        for x in leaves:
            kind = type(x)
            if kind is np.ndarray and x.dtype.kind in "biufc":
                key.append((x.shape, x.dtype))
                arrays.append(x)
            elif isinstance(x, np.generic) and x.dtype.kind in "biufc":
                key.append(x.dtype)
                arrays.append(x)
            elif kind is float or kind is int or kind is complex:
                key.append(kind)
                arrays.append(x)
            elif isinstance(x, Traced):
                return None, None
            elif isinstance(x, np.memmap):
                key.append((x.shape, x.dtype))
                arrays.append(np.asarray(x))
            elif isinstance(x, (np.ndarray, np.generic)):
                return None, None  # what the function itself says of it
            else:
                key.append((kind, x))
        found = tuple(key)
        try:
            hash(found)
        except TypeError:
            raise self._unhashable(given_args, given_kwargs) from None
        return found, arrays

    def _static(self, count: int) -> set[int]:
        """The places of the static ones among so many positional arguments."""
        return {n if n >= 0 else count + n for n in self._argnums}

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """The arguments without the static ones, and those as a part of the signature."""
        static = self._static(len(args))
        fixed = tuple((type(x), x) for n, x in enumerate(args) if n in static)
        named = tuple((name, type(x), x) for name, x in sorted(kwargs.items()) if name in self._argnames)
        return (
            tuple(x for n, x in enumerate(args) if n not in static),
            {name: x for name, x in kwargs.items() if name not in self._argnames},
            (fixed, named),
        )

    def _unhashable(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SettingError:
        def bad(x: Any) -> bool:
            try:
                hash(x)
            except TypeError:
                return not isinstance(x, (np.ndarray, dict, list, tuple))
            return False

        given = [*((f"argument {n}", x) for n, x in enumerate(args)), *kwargs.items()]
        found = [(name, type(x).__name__) for name, x in given if bad(x)]
        what = ", ".join(f"{name} (a {kind})" for name, kind in found) or "a static argument, or part of a container,"
        return SettingError(
            message(
                f"jit: {what} cannot be hashed",
                "what is neither an array nor a number is part of the signature by which programs are found",
                "pass a tuple in place of a list, arrays outside of static arguments, or close over the object",
            )
        )

    # -- compiling -------------------------------------------------------------------------------------------------

    def _compile(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compiled | None:
        trace = Recorder()
        static = self._static(len(args))
        named = {name: x for name, x in kwargs.items() if name not in self._argnames}
        free: Any = (tuple(x for n, x in enumerate(args) if n not in static), named)
        given, settings = optree.tree_map(lambda x: _leaf(trace, x), free, namespace="autodiff")
        places = iter(given)
        given = tuple(x if n in static else next(places) for n, x in enumerate(args))
        settings = {**{name: x for name, x in kwargs.items() if name in self._argnames}, **settings}
        draft = trace.graph
        assert isinstance(draft, Draft)
        drawn = _random_state(self._f)
        depth = TRACING.set(TRACING.get() + 1)
        try:
            out = self._f(*given, **settings)
            flat, tree = optree.tree_flatten(out, namespace="autodiff")
            fixed = [_result(trace, draft, y) for y in flat]
        finally:
            TRACING.reset(depth)
            trace.close()
        if trace.foreign:
            return None
        if _random_state(self._f) != drawn and not any(op.name in DRAWING for op in draft.ops):
            warn(
                CompileWarning,
                f"jit: {self.__name__} draws random numbers",
                "they were drawn once, while it was compiled, and are the same in every run",
                "draw outside and pass them in as an argument",
            )
        self._surroundings = _surroundings(self._f)
        draft.title = self.__name__
        self._name_arguments(draft, args, kwargs, static)
        single = len(fixed) == 1 and fixed[0] is _RESULT and optree.treespec_is_leaf(tree)
        program = Compiled(draft, None if single else tree, fixed, self._passes)
        self._programs[key] = program
        while len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        self._count += 1
        if self._count == MANY:
            warn(
                CompileWarning,
                f"jit: {self.__name__} has been compiled {MANY} times",
                "each new shape, dtype or value of a static argument takes a program of its own",
                "pass what changes from call to call as an array or a number, and pad arrays to a few shapes",
            )
        return program

    def _name_arguments(self, draft: Draft, args: Any, kwargs: Any, static: set[int]) -> None:
        """Every argument's name and its path in it, for the picture: params['w']."""
        try:
            names = list(inspect.signature(self._f).parameters)
        except (TypeError, ValueError):
            names = []
        called: list[str] = []
        for n, x in enumerate(args):
            if n not in static:
                name = names[n] if n < len(names) else f"argument{n}"
                called += [name + path.codify("") for path, leaf in _paths(x) if _is_given(leaf)]
        for key in sorted(set(kwargs) - self._argnames):
            called += [key + path.codify("") for path, leaf in _paths(kwargs[key]) if _is_given(leaf)]
        for i, name in zip(draft.arguments, called, strict=False):
            draft.names.setdefault(i, name)

    def _moved(self) -> bool:
        """Whether an array or a number that the function closes over is another one now: it was built in."""
        for where, name, was in self._surroundings:
            now = where.get(name) if isinstance(where, dict) else _cell(where)
            if now is not was:
                return True
        return False


def _leaf(trace: Recorder, x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc":
        return trace.start(np.array(x) if isinstance(x, np.ndarray) else x)
    if type(x) in (float, int, complex):
        return trace.start(x, type(x).__name__)
    return x


def _is_given(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) or type(x) in (float, int, complex)


def _paths(x: Any) -> list[tuple[Any, Any]]:
    leaves, tree = optree.tree_flatten(x, namespace="autodiff")
    return list(zip(optree.treespec_accessors(tree), leaves, strict=True))


def _result(trace: Recorder, draft: Draft, y: Any) -> Any:
    """One result of the function: an output of the draft, or what it is whenever the program runs."""
    if isinstance(y, Traced) and y.recorder is trace:
        draft.outputs.append(y.index if y.index >= 0 else trace.place(y))
        return _RESULT
    value = y.value if isinstance(y, Traced) else y
    if isinstance(value, Traced):
        trace.foreign = True
        return None
    if not isinstance(value, (np.ndarray, np.generic)):
        return y
    value = np.array(value)[()]
    i = draft.add(CONSTANT, (LITERAL,), (value,), None, value.shape, value.dtype, ((), None, True))
    draft.outputs.append(i)
    return _RESULT


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _surroundings(f: Any) -> list[tuple[Any, str, Any]]:
    """The arrays and numbers that a function reads from outside, as far as its own code names them."""
    f = inspect.unwrap(f)
    code = getattr(f, "__code__", None)
    if code is None:
        return []
    found: list[tuple[Any, str, Any]] = []
    for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=False):
        if isinstance(_cell(cell), (np.ndarray, np.generic, float, int)):
            found.append((cell, name, _cell(cell)))
    for name in code.co_names:
        value = f.__globals__.get(name)
        if isinstance(value, (np.ndarray, np.generic, float, int)):
            found.append((f.__globals__, name, value))
    return found


def _random_state(f: Any) -> Any:
    """The state of every generator that a function may draw from, as far as its own code names them."""
    f = inspect.unwrap(f)
    code = getattr(f, "__code__", None)
    found = [str(np.random.get_state()[1:3])]  # type: ignore[index]  # noqa: NPY002 - it is only looked at
    if code is not None:
        near = [_cell(cell) for cell in f.__closure__ or ()] + [f.__globals__.get(name) for name in code.co_names]
        found += [str(x.bit_generator.state) for x in near if isinstance(x, np.random.Generator)]
    return found


def jit(
    f: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
) -> Jit:
    """The same function, compiled: traced once for each signature, shortened, and run as straight-line NumPy.

    Nothing but NumPy is needed. ``jit(grad(f))`` compiles value, gradient and all; inside of another trace, as in
    ``grad(jit(f))``, the function runs as it is, so put `jit` outside.

    Parameters
    ----------
    f : callable
        A function of arrays, numbers, and containers of them; also one made by `grad`, `value_and_grad`, `hvp` …
        It must compute with NumPy's functions, and must not have side effects: its code runs once a signature.
    static_argnums, static_argnames : int or str, or sequences of them
        Arguments whose value is part of the signature: what decides about shapes, loops and branches. Strings, bools,
        None and everything else that is neither an array nor a number are static by themselves; they must be hashable.
    passes : sequence of str
        The passes to run, in order; all of them by default: see :data:`autodiff.compiler.PASSES`.

    Returns
    -------
    Jit
        With f's own signature. ``jit(f).lower(*args)`` returns the program to look at: ``.graph``, ``.source``,
        ``.history``, ``.cost()``, ``.memory_plan``.

    Raises
    ------
    LeakError
        When it is called, where f decides something by the value of a tensor (``if x > 0``).
    SettingError
        Where a pass is not known, or a static argument cannot be hashed.

    Notes
    -----
    Results equal those of f to rounding; pointwise work keeps every bit. Arrays that f closes over are built in; when
    another array stands there in a later call, the function is compiled again. Large pointwise work is cut into tiles
    that stay in the cache and are spread over threads (:func:`set_threads`); no number of threads changes a bit.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> slope = ad.jit(ad.grad(lambda x: np.sum(np.tanh(x) ** 2)))
    >>> slope(np.array([0.0, 0.5]))
    array([0.        , 0.72686198])
    >>> print(ad.jit(lambda x: np.tanh(x) + 1.0).lower(np.ones(3)).source)
    def program(x0, b0):
        tanh(x0, b0)
        v1 = add(c0, b0)
        return [v1]
    <BLANKLINE>
    """
    for name in passes:
        if name not in PASSES:
            near = ", ".join(nearest(str(name), PASSES)) or "none"
            raise SettingError(
                message(f"jit: there is no pass {name!r}", f"the nearest: {near}", f"leave it out, or {tuple(PASSES)}")
            )
    argnums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    argnames = frozenset((static_argnames,) if isinstance(static_argnames, str) else static_argnames)
    return Jit(f, argnums, argnames, tuple(passes))
