"""Signatures: what a program depends on besides the numbers in its arguments.

The containers and the order of their keys, the shape and dtype of every array, the type of every number, and the value
of everything else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import optree

from ..errors import SettingError, message, registered, too_deep
from ..traced import Traced

_LEAVES = frozenset((np.ndarray, float, int, complex, bool, str, type(None)))


class Signatures(NamedTuple):
    """Makes the signatures of calls of a function, of which some arguments are static."""

    argnums: tuple[int, ...]
    argnames: frozenset[str]

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any] | None]:
        """What the program depends on, and the arrays that it is run on; no arrays inside of another trace."""
        given_args, given_kwargs = args, kwargs
        args, kwargs, fixed = self.split(args, kwargs)
        key: list[Any] = [fixed]
        arrays: list[Any] = []
        if not kwargs and all(type(x) is np.ndarray for x in args):
            leaves: Iterable[Any] = args  # the common case, at a fraction of the cost
        else:
            given: Any = (args, kwargs)
            try:
                leaves, tree = optree.tree_flatten(given, namespace="autodiff")
                key += (tree, *orders(given))
            except RecursionError:
                raise too_deep("jit: an argument") from None
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
        if not is_hashable(found):
            everything: Any = (given_args, given_kwargs)
            if any(isinstance(x, Traced) for x in optree.tree_leaves(everything, namespace="autodiff")):
                return None, None
            raise self._unhashable(given_args, given_kwargs)
        return found, arrays

    def static(self, count: int) -> set[int]:
        """The places of the static ones among so many positional arguments."""
        return {n if n >= 0 else count + n for n in self.argnums}

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """The arguments without the static ones, and those as a part of the signature."""
        if not self.argnums and not self.argnames:
            return args, kwargs, ()
        static = self.static(len(args))
        fixed = tuple((type(x), x) for n, x in enumerate(args) if n in static)
        named = tuple((name, type(x), x) for name, x in sorted(kwargs.items()) if name in self.argnames)
        return (
            tuple(x for n, x in enumerate(args) if n not in static),
            {name: x for name, x in kwargs.items() if name not in self.argnames},
            (fixed, named),
        )

    def _unhashable(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SettingError:
        def bad(x: Any, fixed: bool) -> bool:
            return not is_hashable(x) and (fixed or not isinstance(x, (np.ndarray, dict, list, tuple)))

        static = self.static(len(args))
        given = [(f"argument {n}", x, n in static) for n, x in enumerate(args)]
        given += [(name, x, name in self.argnames) for name, x in kwargs.items()]
        found = [(name, type(x).__name__) for name, x, fixed in given if bad(x, fixed)]
        what = ", ".join(f"{name} (a {kind})" for name, kind in found) or "a part of a container"
        objects = [type(x).__name__ for _, x, _ in given if isinstance(getattr(x, "__dict__", None), dict)]
        return SettingError(
            message(
                f"jit: {what} cannot be hashed",
                "what is neither an array nor a number is part of the signature by which programs are found",
                "pass a tuple in place of a list, arrays outside of static arguments, or close over the object"
                + (f"; or {registered(objects[0])}" if objects else ""),
            )
        )


def orders(x: Any, found: list[Any] | None = None) -> list[Any]:
    """The keys of every dict in a container as they stand there, which is how a loop over them meets them."""
    found = [] if found is None else found
    kind = type(x)
    inside: Iterable[Any] = ()
    if kind is tuple or kind is list:
        inside = x
    elif isinstance(x, dict):
        found.append(tuple(x))
        inside = x.values()
    elif not isinstance(x, (np.generic, Traced)) and not optree.tree_is_leaf(x, namespace="autodiff"):
        inside = optree.tree_flatten_one_level(x, namespace="autodiff")[0]
    for part in inside:
        if type(part) not in _LEAVES:
            orders(part, found)
    return found


def is_hashable(x: Any) -> bool:
    """Whether x may be a key."""
    try:
        hash(x)
    except TypeError:
        return False
    return True


def check_static(f: Callable[..., Any], argnums: tuple[Any, ...], argnames: frozenset[str]) -> None:
    """Refuse static arguments that the function does not have."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some builtins do not tell
        parameters = ()  # type: ignore[assignment]
    kinds = {p.kind for p in parameters}
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    bad: list[Any] = [n for n in argnums if type(n) is not int]
    if parameters and inspect.Parameter.VAR_POSITIONAL not in kinds:
        bad += [n for n in argnums if type(n) is int and not -count <= n < count]
    if parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
        bad += sorted(argnames - {p.name for p in parameters})
    if bad:
        raise SettingError(
            message(
                f"jit: {getattr(f, '__name__', type(f).__name__)} has no argument {bad[0]!r} that could be static",
                "its arguments: " + (", ".join(p.name for p in parameters) or "not known"),
                "static_argnums takes whole numbers, static_argnames names",
            )
        )
