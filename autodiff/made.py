"""What a transform makes of a function: it is called like it, is a method in a class, and is pickled where it is."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import printable

R = TypeVar("R")


class Made:
    """A function that a transform made of another one.

    Where that one can be pickled it can be: what is stored is the call that made it, `maker(f, *settings)`. One that
    stands under its own name in its module, as by a decorator, is stored by that name.
    """

    def __init__(
        self, call: Callable[..., Any], maker: Callable[..., Any], f: Callable[..., Any], settings: tuple[Any, ...]
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self._call = call
        self._made = (maker, (f, *settings))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """What the transform computes, for the arguments of the function that it was given."""
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return stored(self, *self._made)

    def __repr__(self) -> str:
        return f"<{self._made[0].__name__} of {printable(self.__name__)}>"


def made(
    maker: Callable[..., Any], f: Callable[..., Any], *settings: Any
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorate what is called: ``maker(f, *settings)`` returns it, with the name and the signature of f."""
    return lambda call: Made(call, maker, f, settings)


def stored(x: Any, maker: Callable[..., Any], parts: tuple[Any, ...]) -> Any:
    """What pickle keeps of something with a module and a qualified name: that name, or the call that makes it.

    To be called by ``__reduce_ex__`` itself, as who pickles is found above it. What was defined in a script or a
    notebook goes by its name to a process that runs the same one; a pickler that takes functions there by their code,
    as cloudpickle does, sends it where nothing has that name.
    """
    module = getattr(x, "__module__", None)
    name = getattr(x, "__qualname__", None)
    found: Any = sys.modules.get(module or "")
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    if found is x and not (module == "__main__" and _takes_code(sys._getframe(2))):
        return name
    return maker, parts


def _takes_code(frame: types.FrameType) -> bool:
    """Whether a pickler runs in this frame that has a way of its own with functions."""
    return hasattr(type(frame.f_locals.get("self")), "reducer_override")
