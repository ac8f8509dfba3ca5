"""`jit`: a function, traced once for each signature and run as a compiled program.

The signature of a call is what the program depends on: the containers, the shape and dtype of every array, the type of
every number, and the value of everything else.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from typing import Any, NamedTuple, overload

import numpy as np
import optree

from ..errors import (
    CompileWarning,
    LeakError,
    SettingError,
    callable_or_refused,
    message,
    nearest,
    printable,
    registered,
    unhidden,
    warn,
)  # fmt: skip
from ..faults import settle
from ..graph import LITERAL
from ..made import stored
from ..op import CONSTANT, DEBUG, NUMBERS
from ..randomness import DRAWING, random_state
from ..recorders import CONSTANTS, SCOPE, TRACING
from ..traced import Traced, held
from .compiled import KNOWN, RESULT, Compiled
from .derivative import Pair, Swept, called, cut, is_swept, pulled, seeded
from .draft import Draft, Origin, Recorder
from .passes import PASSES
from .signatures import Signatures, check_static, is_hashable, orders
from .surroundings import Surroundings, surroundings

KEPT = 64
"""How many programs a function keeps; the one that was compiled first goes first."""

_SEVERAL = (tuple, list, set, frozenset, range, dict)

MANY = 16
"""After how many programs a function says that it is being compiled over and over."""


_SWEPT = "swept"
"""Begins the signature of a function that is being differentiated: another one than where it is run."""


class _Recent(NamedTuple):
    """The program of the last call whose arguments were all arrays, and what it was called with."""

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    program: Compiled


class _Known:
    """What one function knows of its programs, until something around it changes: then it starts a new one of these.

    A thread that began before goes on with the old one, so that no program of before comes into the new one.
    """

    __slots__ = ("around", "programs", "recent")

    def __init__(self) -> None:
        self.programs: OrderedDict[Any, Any] = OrderedDict()
        self.around = Surroundings()
        self.recent: _Recent | None = None


_here = threading.local()  # .compiling: how many functions this thread is compiling


class Jit:
    """A function that is compiled when it is first called with arguments of a new signature.

    Made by :func:`autodiff.jit`.
    """

    def __init__(
        self, f: Callable[..., Any], argnums: tuple[int, ...], argnames: frozenset[str], passes: tuple[str, ...]
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self._f, self._passes = f, passes
        self._signatures = Signatures(argnums, argnames)
        self._known = _Known()
        self._count = 0
        self._lock, self._process = threading.RLock(), os.getpid()  # a function may call itself

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""
        session = DEBUG.get()
        if session is not None:
            return self._debugged(session, args, kwargs)
        known = self._known
        if known.around.moved():
            self.clear()
            known = self._known
        recent = known.recent  # no signature is made where the arguments are arrays like those of the last call
        if recent is not None and len(args) == len(recent.shapes) and not kwargs:
            for x, shape, dtype in zip(args, recent.shapes, recent.dtypes, strict=True):
                if type(x) is not np.ndarray or x.shape != shape or x.dtype is not dtype:
                    break
            else:
                return recent.program.run(args)
        key, arrays = self._signatures.of(args, kwargs)
        if arrays is None:
            return self._inside(args, kwargs)
        program = known.programs.get(key)
        if program is None:
            program = self._made(known, key, args, kwargs)
            if program is None:
                return self._f(*args, **kwargs)
        if not kwargs and not self._signatures.argnums and all(type(x) is np.ndarray for x in args):
            known.recent = _Recent(tuple(x.shape for x in args), tuple(x.dtype for x in args), program)
        return program.run(arrays)

    def _debugged(self, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of the function as it is, node by node: inside of another trace, or judged by itself."""
        outside: Any = (args, kwargs)
        if session.watches(optree.tree_leaves(outside, namespace="autodiff")):
            return session.watch(self._f, args, kwargs)
        return self._f(*args, **kwargs)

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
        key, arrays = self._signatures.of(args, kwargs)
        if self._known.around.moved():
            self.clear()
        known = self._known
        program = None if arrays is None else self._made(known, key, args, kwargs)
        if program is None:
            raise LeakError(
                message(
                    f"{self.__name__}.lower: an argument, or something that the function closes over, is being traced",
                    "a program is made of plain arrays; inside another trace the function runs as it is",
                    "call lower outside, with arrays",
                )
            )
        assert isinstance(program, Compiled)
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
        self._known = _Known()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce_ex__(self, protocol: Any) -> Any:
        names = tuple(sorted(self._signatures.argnames))
        return stored(self, jit, (self._f, self._signatures.argnums, names, self._passes))

    def __repr__(self) -> str:
        return f"<jit {printable(self.__name__)}: {len(self._programs)} programs>"

    @property
    def _programs(self) -> OrderedDict[Any, Any]:
        return self._known.programs

    # -- compiling -------------------------------------------------------------------------------------------------

    def _made(
        self, known: _Known, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Sequence[int] = ()
    ) -> Any:
        """The program of this signature. Of several threads that want it one compiles it, and the others wait for that.

        A thread that is compiling something itself does not wait but compiles: two that compile functions which call
        one another would wait for ever. After a fork nobody is left who would end what another thread had begun.
        """
        if self._process != os.getpid():
            self._lock, self._process = threading.RLock(), os.getpid()
        compiling = getattr(_here, "compiling", 0)
        with nullcontext() if compiling else self._lock:  # the lock itself: no key can be pressed between it and here
            try:
                _here.compiling = compiling + 1
                return known.programs.get(key) or self._compile(known, key, args, kwargs, wanted)
            finally:
                _here.compiling = compiling

    def _compile(
        self, known: _Known, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Sequence[int] = ()
    ) -> Any:
        """The program for arguments like these; with `wanted`, those of a function that is being differentiated.

        None where a tensor of another trace comes in through a closure.
        """
        trace = Recorder()
        call, given, opaque = self._caller(args, kwargs)
        for x in opaque:
            if isinstance(x, Iterator):
                raise _used_up(f"an argument of {self.__name__} is a {type(x).__name__}")
        tensors = [_leaf(trace, x) for x in given]
        draft = trace.graph
        assert isinstance(draft, Draft)
        draft.title = printable(self.__name__)
        trace.called = self._names_of_arguments(args, kwargs, self._signatures.static(len(args)))
        swept, masked, seeds = None, True, list[Any]()
        drawn = random_state(self._f)
        outside, scope, session, context = TRACING.get(), SCOPE.get(), DEBUG.get(), copy_context()
        try:
            TRACING.set(outside + 1)
            DEBUG.set(None)  # nothing has a value yet
            if wanted:
                swept = called(call, tensors, wanted)
                flat, tree = swept.flat, swept.tree
            else:
                flat, tree = optree.tree_flatten(call(tensors), namespace="autodiff")
            fixed = [_result(trace, draft, y) for y in flat]
            if swept is not None:
                seeds = seeded(trace, swept)
                masked = any(y.shape for y in seeds)
                for term in pulled(swept, tensors, wanted, seeds, masked):
                    _result(trace, draft, term)
        except BaseException as error:
            settle(error, context)
            raise
        finally:
            try:
                TRACING.set(outside)
            finally:
                try:
                    SCOPE.set(scope)
                finally:
                    try:
                        DEBUG.set(session)
                    finally:
                        trace.close()
        trace.check_columns()
        if trace.foreign:
            return None
        if random_state(self._f) != drawn and not any(op.name in DRAWING for op in draft.ops):
            warn(
                CompileWarning,
                f"jit: {self.__name__} draws random numbers",
                "they were drawn once, while it was compiled, and are the same in every run",
                "draw outside and pass them in as an argument",
            )
        around, arrays = surroundings(self._f, opaque)
        stored = {repr(place.key) for place in around if _is_of(place.value, trace)}
        if stored:
            warn(
                CompileWarning,
                f"jit: {self.__name__} stores a tensor outside of itself, in {', '.join(sorted(stored))}",
                "its code runs once, while it is compiled: no later run stores anything, and that tensor has no value",
                "return what is to be kept",
            )
        known.around.watch([x for x in around if not _is_of(x.value, trace)], arrays)
        for i, name in zip(draft.arguments, trace.called, strict=False):
            draft.names.setdefault(i, name)
        program: Any
        if swept is not None:
            program = self._pair(draft, swept, fixed, wanted, call, len(seeds), masked, known.around.moved)
        else:
            single = len(fixed) == 1 and fixed[0] is RESULT and optree.treespec_is_leaf(tree)
            program = Compiled(draft, None if single else tree, fixed, self._passes)
        known.programs[key] = program
        while len(known.programs) > KEPT:
            known.programs.popitem(last=False)
        self._count += 1
        if self._count == MANY:
            warn(
                CompileWarning,
                f"jit: {self.__name__} has been compiled {MANY} times",
                "each new shape, dtype or value of a static argument takes a program of its own",
                "pass what changes from call to call as an array or a number, and pad arrays to a few shapes",
            )
        return program

    def _caller(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Callable[[Sequence[Any]], Any], list[Any], list[Any]]:
        """The function as one of a list of arrays and numbers, that list, and what else is among the arguments."""
        static = self._signatures.static(len(args))
        held_args = {n: x for n, x in enumerate(args) if n in static}
        held_settings = {name: x for name, x in kwargs.items() if name in self._signatures.argnames}
        free: Any = self._signatures.split(args, kwargs)[:2]
        leaves, tree = optree.tree_flatten(free, namespace="autodiff")
        template = [RESULT if _is_given(x) else x for x in leaves]
        f, count = self._f, len(args)  # a program keeps the call: not this object, which has the program, nor arrays

        def call(given: Sequence[Any]) -> Any:
            rest = iter(given)
            filled = [next(rest) if x is RESULT else x for x in template]
            unflattened: Any = optree.tree_unflatten(tree, filled)
            positional, settings = unflattened
            places = iter(positional)
            every = [held_args[n] if n in held_args else next(places) for n in range(count)]
            return unhidden(f, every, {**held_settings, **settings})

        return call, [x for x in leaves if _is_given(x)], [x for x in leaves if not _is_given(x)]

    # -- inside of another trace -----------------------------------------------------------------------------------

    def _inside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result where tensors are among the arguments.

        Where nothing but a reverse sweep is wanted of them it is one node, computed and swept by programs. Elsewhere
        the function runs as it is, so that a picture shows what is inside, and a program takes it in.
        """
        free, settings, fixed = self._signatures.split(args, kwargs)
        given: Any = (free, settings)
        leaves, tree = optree.tree_flatten(given, namespace="autodiff")
        entries: list[Any] = [_SWEPT, tree, *orders(given), fixed]
        arrays: list[Any] = []
        wanted: list[int] = []
        for x in leaves:
            if isinstance(x, Traced) and x.recorder is CONSTANTS:
                x = x.value
            value = held(x)
            if value is not x:
                wanted.append(len(arrays))
            if type(value) is np.ndarray or isinstance(value, np.generic):
                kinds = NUMBERS if value is x else "fc"
                if value.dtype.kind not in kinds or not is_swept(x):
                    return self._f(*args, **kwargs)
                entries.append((value is x, value.shape, value.dtype))
                arrays.append(x)
            elif isinstance(value, np.ndarray):
                return self._f(*args, **kwargs)  # what the function itself says of it
            elif type(value) in (float, int, complex):
                entries.append(type(value))
                arrays.append(x)
            else:
                entries.append((type(value), value))
        key = tuple(entries)
        if not wanted or not is_hashable(key):
            return self._f(*args, **kwargs)
        known = self._known
        if known.around.moved():
            self.clear()
            known = self._known
        pair = known.programs.get(key)
        if pair is None:
            outside: Any = (args, kwargs)
            plain: Any = optree.tree_map(held, outside, namespace="autodiff")
            pair = self._made(known, key, plain[0], plain[1], wanted)
        return self._f(*args, **kwargs) if pair is None else pair.run(arrays)

    def _pair(
        self, draft: Draft, swept: Swept, fixed: list[Any], wanted: Sequence[int], call: Any, seeds: int, masked: bool,
        moved: Callable[[], bool],
    ) -> Pair:  # fmt: skip
        """The two programs of a function that is being differentiated, from its record with its sweep."""
        arity = len(draft.arguments) - seeds
        results = [k for k, x in enumerate(fixed) if x is RESULT]
        dependent = [n for n, k in enumerate(results) if swept.nodes[k] is not None]
        halves = cut(draft, len(results), seeds)

        def program(half: Draft) -> Any:
            tree = optree.tree_structure((0,) * len(half.outputs), namespace="autodiff")  # type: ignore[arg-type]
            return Compiled(half, tree, [RESULT] * len(half.outputs), self._passes).run

        @functools.wraps(self._f, updated=())  # so that what surrounds the function is found
        def sweep(given: list[Any], seeds: list[Any]) -> Any:
            return tuple(pulled(called(call, given, wanted), given, wanted, seeds))

        def rebuilt(found: Sequence[Any]) -> Any:
            rest = iter(found)
            return optree.tree_unflatten(swept_tree, [next(rest) if x is RESULT else x for x in fixed])

        swept_tree = swept.tree
        return Pair(
            f"jit({self.__name__})", arity, program(halves.forward), program(halves.reverse),
            Jit(sweep, (), frozenset(), self._passes), halves.reads, dependent, wanted, masked, moved,
            rebuilt,
        )  # fmt: skip

    def _names_of_arguments(self, args: Any, kwargs: Any, static: set[int]) -> list[str]:
        """Every argument's name and its path in it, for pictures and errors: params['w']."""
        try:
            names = list(inspect.signature(self._f).parameters)
        except (TypeError, ValueError):
            names = []
        called: list[str] = []
        for n, x in enumerate(args):
            if n not in static:
                name = names[n] if n < len(names) else f"argument{n}"
                called += [name + path.codify("") for path, leaf in _paths(x) if _is_given(leaf)]
        for key in sorted(set(kwargs) - self._signatures.argnames):
            called += [key + path.codify("") for path, leaf in _paths(kwargs[key]) if _is_given(leaf)]
        return called


def _leaf(trace: Recorder, x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc":
        return trace.start(np.array(x) if isinstance(x, np.ndarray) else x)
    if type(x) in (float, int, complex):
        return trace.start(x, type(x).__name__)
    return x


def _is_of(x: Any, trace: Recorder) -> bool:
    return isinstance(x, Traced) and x.recorder is trace


def _used_up(what: str) -> SettingError:
    return SettingError(
        message(
            f"jit: {what}",
            "it gives what it has once, and the program runs many times; or nothing of it has been computed yet",
            "pass, or return, a list",
        )
    )


def _is_given(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) or type(x) in (float, int, complex)


def _paths(x: Any) -> list[tuple[Any, Any]]:
    leaves, tree = optree.tree_flatten(x, namespace="autodiff")
    return list(zip(optree.treespec_accessors(tree), leaves, strict=True))


def _result(trace: Recorder, draft: Draft, y: Any) -> Any:
    """One result of the function: an output of the draft, or what it is whenever the program runs."""
    if isinstance(y, Traced) and y.recorder is trace:
        draft.outputs.append(y.index if y.index >= 0 else trace.place(y))
        return RESULT
    value = y.value if isinstance(y, Traced) and y.recorder is CONSTANTS else y
    if isinstance(value, Traced):  # of a trace around this one: what it holds is not all that it says
        trace.foreign = True
        return None
    if isinstance(y, (Iterator, Awaitable, AsyncIterator)):
        raise _used_up(f"{draft.title} returned a {type(y).__name__}")
    if not isinstance(value, (np.ndarray, np.generic)):
        inside = getattr(y, "__dict__", {})
        for name in inside if isinstance(inside, dict) else ():
            if _is_of(inside[name], trace):
                raise SettingError(
                    message(
                        f"jit: {draft.title} returned a {type(y).__name__} whose {name} is a tensor",
                        "the program's results are the leaves of containers that are known; this one it cannot fill",
                        f"return a tuple or a dict, or {registered(type(y).__name__)}",
                    )
                )
        return y
    value = np.array(value)[()]
    if not hasattr(value, "shape"):  # what NumPy holds as it is
        return y
    i = draft.add(CONSTANT, (LITERAL,), (value,), None, value.shape, value.dtype, Origin((), None, True))
    draft.outputs.append(i)
    return RESULT


@overload
def jit(
    f: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
) -> Jit: ...
@overload
def jit(
    f: None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
) -> Callable[[Callable[..., Any]], Jit]: ...


def jit(
    f: Callable[..., Any] | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
) -> Any:
    """The same function, compiled: traced once for each signature, shortened, and run as straight-line NumPy.

    Nothing but NumPy is needed. ``jit(grad(f))`` compiles value, gradient and all, and is the fastest; ``grad(jit(f))``
    runs two programs, one forward and one for the sweep. In a picture, a forward sweep, a batch or another compiled
    function f runs as it is, node by node.

    Parameters
    ----------
    f : callable
        A function of arrays, numbers, and containers of them; also one made by `grad`, `value_and_grad`, `hvp` …
        It must compute with NumPy's functions, and must not have side effects: its code runs once a signature.
        Without it ``@jit(static_argnums=1)`` decorates one.
    static_argnums, static_argnames : int or str, or sequences of them
        Arguments whose value is part of the signature: what decides about shapes, loops and branches. Strings, bools,
        None and everything else that is neither an array nor a number are static by themselves; they must be hashable.
    passes : sequence of str
        The passes to run, in order; by default all that keep results to rounding: see :data:`autodiff.compiler.PASSES`.
        With ``("reassociate", *ad.compiler.PASSES)`` products are put into a cheaper order too, where more digits may
        be lost.

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
    Results equal those of f to rounding; pointwise work keeps every bit. Large pointwise work is cut into tiles that
    stay in the cache and are spread over threads (:func:`set_threads`); no number of threads changes a bit.

    What f reads from around it is built in. The places that its code names are watched: variables, attributes (of
    objects among the arguments too), what stands in dicts and lists, and the same in the functions that it calls. When
    another object or number stands in one of them in a later call, or an array there was written into, f is compiled
    again: the arrays are compared with copies in every call, which takes half of the time of one multiplication of
    them; not those that are read-only (``x.setflags(write=False)``, and no writable array below). Not seen are what is
    added to a list, dict or object later, attributes whose names are computed, and what comes after the first 256
    places: pass such things as arguments, in dicts, lists, tuples, named tuples or
    classes that are
    registered as containers: ``optree.register_pytree_node(C, flatten, unflatten, namespace="autodiff")``.

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

    A number of steps is no array; it is part of the signature:

    >>> @ad.jit(static_argnums=1)
    ... def after(x, steps):
    ...     for _ in range(steps):
    ...         x = x - 0.1 * x
    ...     return x
    >>> after(np.ones(2), 2)
    array([0.81, 0.81])
    """
    if f is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, passes=passes
        )
    callable_or_refused("ad.jit", f)
    names: tuple[Any, ...] = tuple(passes) if isinstance(passes, _SEVERAL) else (passes,)
    for name in names:
        if not isinstance(name, str) or name not in KNOWN:
            near = ", ".join(nearest(str(name), KNOWN)) or "none"
            raise SettingError(
                message(f"jit: there is no pass {name!r}", f"the nearest: {near}", f"leave it out, or {tuple(KNOWN)}")
            )
    argnums = tuple(static_argnums) if isinstance(static_argnums, _SEVERAL) else (static_argnums,)
    argnames = frozenset(map(str, static_argnames if isinstance(static_argnames, _SEVERAL) else (static_argnames,)))
    check_static(f, argnums, argnames)
    return Jit(f, argnums, argnames, names)
