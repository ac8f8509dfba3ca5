"""What a compiled function reads from around it: arrays and numbers that are built into its program.

They are looked for where the function's own code can name them: in its closure, in globals, in the containers and
objects that stand there, and in the same way around the functions that it calls. When another one stands in such a
place, or an array there holds other numbers, the program is another one too.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..contents import Held, held_by, written
from ..errors import is_inside
from ..randomness import codes_of
from ..traced import Traced

MOST = 256
"""How many places are watched: each is looked at in every call."""


class Place(NamedTuple):
    """A place that may hold another value one day: a key of a dict or class, an index of a list, a cell, a slot."""

    where: Any
    key: Any
    value: Any


_INSTALLED = tuple({
    os.path.join(sysconfig.get_path(kind), "") for kind in ("stdlib", "platstdlib", "purelib", "platlib")
})  # fmt: skip
"""Where the code of Python and of installed packages lies: its state is its own affair."""


def _is_users(filename: str | None) -> bool:
    return filename is not None and not is_inside(filename) and not filename.startswith(_INSTALLED)


class Surroundings:
    """The places around a function that its programs depend on, and the arrays there with what they held."""

    __slots__ = ("contents", "places")

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.contents: list[Held] = []

    def moved(self) -> bool:
        """Whether another object stands in one of these places now, or an array was written into."""
        return _moved(self.places) or written(self.contents)

    def watch(self, places: Sequence[Place], arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        """Watch these too."""
        watched = {(id(where), key) for where, key, _ in self.places}
        self.places += [x for x in places if (id(x.where), x.key) not in watched]
        known = {id(held.array) for held in self.contents}
        new = [x for x in arrays if id(x) not in known]
        self.contents += held_by(new[: max(0, MOST - len(known))])


def _moved(places: Sequence[Place]) -> bool:
    for where, key, value in places:
        if isinstance(where, dict):
            if where.get(key) is not value:
                return True
        elif isinstance(where, (list, deque)):
            if len(where) <= key or where[key] is not value:
                return True
        elif isinstance(where, type):
            if vars(where).get(key) is not value:
                return True
        elif (_cell(where) if type(where) is types.CellType else getattr(where, key, None)) is not value:
            return True
    return False


def surroundings(f: Any, given: Sequence[Any] = ()) -> tuple[list[Place], list[np.ndarray[Any, Any]]]:
    """The arrays and numbers around a function, and in the objects that it is given as arguments: places, and arrays.

    An array that stands in no place where another one could stand, such as the default of an argument, is among the
    arrays alone.
    """
    names: set[Any] = set()
    known = -1
    while len(names) > known:  # to know all names before objects are looked into
        known = len(names)
        found = _walk(f, given, names)
    return found


def _walk(f: Any, given: Sequence[Any], names: set[Any]) -> tuple[list[Place], list[np.ndarray[Any, Any]]]:
    """The places and the arrays; `names` gets what the code names: variables, attributes, keys."""
    found: dict[tuple[int, Any], Place] = {}
    arrays: dict[int, np.ndarray[Any, Any]] = {}
    waiting: list[Any] = [*reversed(given), f]
    seen: set[int] = set()
    while waiting and len(found) < MOST:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        gone_through = not isinstance(x, dict) or (names.isdisjoint(("values", "items")) and not names.isdisjoint(x))
        for where, key, value in itertools.islice(_around(x, names), MOST):
            if isinstance(value, _IDLE):
                continue
            module = isinstance(value, types.ModuleType)
            plain = type(value) in _PLAIN
            told = key in names or isinstance(where, (list, deque)) or (x is where and not gone_through)
            if where is not None and not module and (not plain or told):
                found.setdefault((id(where), key), Place(where, key, value))
            if isinstance(value, np.ndarray):
                arrays.setdefault(id(value), value)
            elif not plain and not isinstance(value, (np.generic, Traced)):
                waiting.append(value)
    return list(found.values())[:MOST], list(arrays.values())


_PLAIN = frozenset((float, int, complex, bool, str, bytes, type(None)))
"""What leads nowhere, and is watched where the code names its place, or in a list: rate, config["mode"], rates[0]."""

_IDLE = (types.BuiltinFunctionType, np.ufunc)
"""What stays as it is, and leads nowhere."""


def _is_users_class(x: type) -> bool:
    return x.__module__ == "__main__" or _is_users(getattr(sys.modules.get(x.__module__), "__file__", None))


def _around(x: Any, names: set[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """What can be reached from an object in one step: (where it stands, or None where that is for good, key, what)."""
    if isinstance(x, types.FunctionType):
        yield None, None, getattr(x, "__wrapped__", None)  # and what a decorator's own function names
        if _is_users(x.__code__.co_filename):
            yield from _named(x, names)
    elif isinstance(x, types.MethodType):
        yield from ((None, None, part) for part in (x.__func__, x.__self__))
    elif isinstance(x, (staticmethod, classmethod)):
        yield None, None, x.__func__
    elif isinstance(x, property):
        yield None, None, x.fget
    elif isinstance(x, type):
        if _is_users_class(x):
            for one in x.__mro__[:-1]:
                yield from ((one, key, vars(one)[key]) for key in names & vars(one).keys())
    elif isinstance(x, functools.partial):
        yield from ((None, None, part) for part in (*x.args, *x.keywords.values(), x.func))
    elif isinstance(x, dict):
        yield from ((x, key, value) for key, value in x.items())
    elif isinstance(x, (list, deque)):
        yield from ((x, n, value) for n, value in enumerate(x))
    elif isinstance(x, (tuple, set, frozenset)):
        yield from ((None, None, part) for part in x)
    elif isinstance(x, types.ModuleType):
        file = getattr(x, "__file__", None)
        made = file is None and x.__name__ not in sys.builtin_module_names  # by hand, or __main__
        inside = vars(x) if made or _is_users(file) else {}
        yield from ((inside, key, inside[key]) for key in names & inside.keys())
    else:
        attributes = getattr(x, "__dict__", None)
        inside = attributes if isinstance(attributes, dict) else {}
        call = inspect.getattr_static(type(x), "__call__", None)
        yield from ((None, None, part) for part in (inside.get("__wrapped__"), call, type(x)))
        yield from ((inside, key, inside[key]) for key in names & inside.keys())
        if isinstance(attributes, dict) and _is_users_class(type(x)):  # what its class has, it may have itself later
            classes = {key for one in type(x).__mro__[:-1] for key in vars(one)}
            yield from ((inside, key, None) for key in (names & classes) - inside.keys())
        if hasattr(type(x), "tocsr"):  # a sparse matrix of SciPy: its code names what the user's does not
            yield from ((None, None, part) for part in inside.values() if isinstance(part, np.ndarray))
        for one in type(x).__mro__[:-1] if _is_users_class(type(x)) else ():
            slots = names & {key for key, part in vars(one).items() if type(part) is types.MemberDescriptorType}
            yield from ((x, key, getattr(x, key, None)) for key in slots)


def _named(f: types.FunctionType, names: set[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """What a function's code names: free variables, globals, the defaults of its arguments."""
    codes = codes_of(f)
    for code in codes:
        names.update(code.co_names)
        names.update(code.co_freevars)
        names.update(part for part in code.co_consts if isinstance(part, str))
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=False):
        yield cell, name, _cell(cell)
    for name in dict.fromkeys(name for code in codes for name in code.co_names):
        if name in f.__globals__:
            yield f.__globals__, name, f.__globals__[name]
    yield from ((None, None, value) for value in (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()))


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None
