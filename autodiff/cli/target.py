"""``FILE.py:FUNCTION`` or ``MODULE:FUNCTION``, and the arguments to call it with."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import optree

from ..errors import CommandError, message, nearest

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_SHAPE = re.compile(r"\s*([a-z]+\d*)\s*\[\s*((?:\d+\s*,\s*)*(?:\d+\s*,?)?)\s*\]\s*")
_DTYPES = ("f2", "f4", "f8", "c8", "c16", "float16", "float32", "float64", "longdouble", "complex64", "complex128")


class Target(NamedTuple):
    """A function in a user's file."""

    file: Path
    module: ModuleType
    function: Callable[..., Any]
    name: str


def load(spec: str) -> Target:
    """Run FILE.py, or import MODULE, and find FUNCTION in it.

    Raises
    ------
    CommandError
        Where there is no such file, or no such function in it; the message lists the nearest names.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise _refused(f"{spec!r} is not FILE.py:FUNCTION",
                       "a function is named by its file or module, a colon and its name; a saved flow by its file",
                       f"{spec.rstrip(':') or 'FILE.py'}:FUNCTION")  # fmt: skip
    file = Path(path)
    if is_module(path):
        return _found(Path(source_file(spec)), _imported(path), path, name)
    if not file.is_file():
        beside = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        near = nearest(file.name, beside)
        raise _refused(f"there is no file {path}", "FILE.py is read from the folder that you are in",
                       f"one of {', '.join(near)}" if near else "give the path of an existing Python file")  # fmt: skip
    return _found(file, _run(file), path, name)


def is_module(path: str) -> bool:
    """Whether this is the dotted name of a module rather than the path of a file."""
    return bool(_MODULE.fullmatch(path)) and not path.endswith(".py") and not Path(path).is_file()


def source_file(spec: str) -> str:
    """The file in which the function of a command stands; what is no such thing as it is."""
    path = spec.rpartition(":")[0]
    module = sys.modules.get(path) if is_module(path) else None
    if module is None and path and is_module(path):
        try:
            found = importlib.util.find_spec(path)
        except (ImportError, ValueError):
            return path
        return found.origin or path if found is not None else path
    return getattr(module, "__file__", None) or path


def _imported(name: str) -> ModuleType:
    """Import a module by its dotted name, from the folder that we are in before others."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # it was found, and imports another one that is not there
        raise _refused(f"there is no module {name}",
                       "MODULE:FUNCTION is imported, from the folder that you are in before others",
                       f"install it, or give its file: {name.replace('.', '/')}.py:FUNCTION") from None  # fmt: skip


def _found(file: Path, module: ModuleType, path: str, name: str) -> Target:
    """The function of this name in a module."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        own = [n for n, x in vars(module).items()
               if callable(x) and n[0] != "_" and getattr(x, "__module__", None) == module.__name__]  # fmt: skip
        what = f"{name} in {path} is a {type(found).__name__}" if found is not None else f"{path} has no {name}"
        raise _refused(what, "FUNCTION is the name of a function that is defined there",
                       f"one of {', '.join(nearest(name, own) or sorted(own)[:8]) or '(it defines none)'}")  # fmt: skip
    return Target(file, module, found, name)


def _run(file: Path) -> ModuleType:
    """Import a file by its path, with its own folder importable, as if it were run as a script."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise _refused(f"{file} is not a Python file", "it is imported to find the function", "give a file named *.py")
    sys.path.insert(0, str(file.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)  # dataclasses and pickle look their module up; numpy.py hides no numpy
    spec.loader.exec_module(module)
    return module


def arguments(target: Target, texts: Sequence[str] | None, random_seed: int) -> tuple[Any, ...]:
    """The arguments from the command line, or the module's own ``example_args()``.

    Raises
    ------
    CommandError
        Where a text is neither a literal nor a shape, there is nothing to call the function with, or the function
        does not take that many arguments.
    """
    if texts is None:
        given = _examples(target)
    else:
        rng = np.random.default_rng(random_seed)
        given = tuple(read(text, rng) for text in texts)
    try:
        inspect.signature(target.function).bind(*given)
    except TypeError as error:
        raise _refused(f"{target.name} cannot be called with {len(given)} arguments: {error}",
                       f"they are passed by position to {target.name}{inspect.signature(target.function)}",
                       "give --args one text for each of its parameters") from None  # fmt: skip
    except ValueError:  # a function that does not say what it takes
        pass
    return given


def _examples(target: Target) -> tuple[Any, ...]:
    """What the module's own ``example_args()`` returns."""
    example = getattr(target.module, "example_args", None)
    if not callable(example):
        raise _refused(f"{target.name} needs arguments to be called with",
                       f"{target.file} defines no example_args(), and --args was not given",
                       "--args 2.0 3.0, or --args 'f8[3,4]' for random numbers of that shape")  # fmt: skip
    given = example()
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)


def read(text: str, rng: np.random.Generator) -> Any:
    """One argument: a Python literal, or a dtype with a shape such as ``f8[3,4]``.

    Lists of numbers become arrays; dicts and tuples stay containers, and a quoted shape inside of them counts as one.
    """
    if _SHAPE.fullmatch(text):
        return _drawn(text, rng)
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _refused(f"{text!r} is neither a Python literal nor a shape", "expressions are not evaluated",
                       "2.0, '[1.0, 2.0]' or 'f8[3,4]', quoted from the shell") from None  # fmt: skip
    return optree.tree_map(
        lambda leaf: _leaf(leaf, rng), value, is_leaf=lambda x: isinstance(x, list), none_is_leaf=True
    )


def _leaf(leaf: Any, rng: np.random.Generator) -> Any:
    if isinstance(leaf, str) and _SHAPE.fullmatch(leaf):
        return _drawn(leaf, rng)
    if isinstance(leaf, list):
        try:
            array = np.array(leaf)
        except ValueError:
            array = None
        if array is None or array.dtype.kind not in "biufc":
            return [read(repr(part), rng) for part in leaf]  # a list of containers stays a list
        return array
    return leaf


def _drawn(text: str, rng: np.random.Generator) -> Any:
    """Normal random numbers of this dtype and shape."""
    match = _SHAPE.fullmatch(text)
    assert match is not None
    name, lengths = match.groups()
    if name not in _DTYPES:
        raise _refused(f"{text!r}: {name} is not a dtype that has derivatives", "random arguments are real or complex",
                       f"one of {', '.join(_DTYPES)}")  # fmt: skip
    shape = tuple(int(n) for n in lengths.split(",") if n.strip())
    array = rng.standard_normal(shape)
    dtype = np.dtype(name)
    if dtype.kind == "c":
        array = array + 1j * rng.standard_normal(shape)
    return np.asarray(array, dtype)[()]


def _refused(what: str, why: str, instead: str) -> CommandError:
    return CommandError(message(what, why, instead))
