"""Whether a function that runs once in the place of many runs draws random numbers."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

_DRAWS = {name for x in (np.random, np.random.Generator) for name in dir(x) if not name.startswith("_")}

DRAWING = frozenset(("logm",))
"""Operations in which SciPy draws random numbers for an estimate of its own: they do so again in every run."""

_CALM: weakref.WeakSet[types.CodeType] = weakref.WeakSet()
"""Code that drew nothing when it was looked at, and names nothing that draws: it is not looked at again."""


def codes_of(f: types.FunctionType) -> list[types.CodeType]:
    """The code of a function, and that of the functions that are made inside of it."""
    codes = [f.__code__]
    for code in codes:
        codes += [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return codes


def _written(f: Any) -> types.FunctionType | None:
    """The Python function that stands behind a callable, if one does."""
    for _ in range(8):
        f = inspect.unwrap(f)
        if isinstance(f, types.FunctionType):
            return f
        if isinstance(f, functools.partial):
            f = f.func
        elif isinstance(f, types.MethodType):
            f = f.__func__
        else:
            f = inspect.getattr_static(type(f), "__call__", None)
    return None


def _near(f: types.FunctionType) -> Iterator[Any]:
    """What stands in the free variables and globals that a function's code names."""
    for cell in f.__closure__ or ():
        with contextlib.suppress(ValueError):  # empty
            yield cell.cell_contents
    yield from (f.__globals__[name] for code in codes_of(f) for name in code.co_names if name in f.__globals__)


def random_state(f: Any) -> list[Any]:
    """The state of every generator that a function may draw from, as far as its own code names them."""
    written = _written(f)
    _, keys, *rest = np.random.get_state()  # noqa: NPY002 - it is only looked at
    found: list[Any] = [keys.tobytes(), rest]  # type: ignore[attr-defined]
    if written is not None:
        found += [repr(x.bit_generator.state) for x in _near(written) if isinstance(x, np.random.Generator)]
    return found


class Draws:
    """Looks whether a function draws while it runs: ``draws = Draws(f)``, run it, ``draws.seen()``.

    To look takes as long as a small function runs. So code that drew nothing the first time is taken for calm, if
    nothing in it has the name of something that draws.
    """

    def __init__(self, f: Any) -> None:
        self._f = _written(f)
        calm = self._f is None or self._f.__code__ in _CALM
        self._before = None if calm else random_state(self._f)

    def seen(self) -> bool:
        """Whether the function has drawn since."""
        if self._before is None or self._f is None:
            return False
        if random_state(self._f) != self._before:
            return True
        if _DRAWS.isdisjoint(name for code in codes_of(self._f) for name in code.co_names):
            _CALM.add(self._f.__code__)
        return False
