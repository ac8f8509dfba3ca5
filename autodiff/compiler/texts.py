"""Single operations as Python text: views, and what writes into memory that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import LITERAL
from ..rules import is_basic, names_once
from .arena import Part

VIEWS = frozenset(("reshape", "transpose", "swapaxes", "moveaxis", "broadcast_to", "getitem", "expand_dims", "squeeze",
                   "flip", "diagonal"))  # fmt: skip
"""Operations that NumPy carries out by looking at the same memory in another way, where it can."""

RESHAPES = frozenset(("reshape", "expand_dims", "squeeze"))
"""Those of them that leave the elements in their order."""


def into(ufunc: Any) -> str:
    """What stands before the array that a ufunc writes into: nothing, which is the fastest, where NumPy takes that."""
    return "out=" if ufunc in (np.maximum, np.minimum) else ""


def is_view(name: str, params: dict[str, Any] | None) -> bool:
    """Whether an operation only looks at its argument's memory in another way."""
    if name == "getitem":
        return is_basic((params or {})["index"])
    return not (name == "reshape" and (params or {}).get("order", "C") != "C")


def view(
    name: str, params: dict[str, Any], shape: tuple[int, ...], program: Any
) -> tuple[str, Callable[[Any], Any]]:
    """A view as text with {} in the place of its argument, and as a function."""
    if name in ("reshape", "expand_dims", "squeeze"):
        return f"{{}}.reshape({shape})", lambda b: b.reshape(shape)
    if name == "transpose":
        axes = params.get("axes")
        if axes is None or tuple(axes) == tuple(range(len(shape)))[::-1]:
            return "{}.T", lambda b: b.T
        return f"{{}}.transpose({tuple(int(k) for k in axes)})", lambda b: b.transpose(axes)
    if name == "swapaxes":
        one, two = int(params["axis1"]), int(params["axis2"])
        return f"{{}}.swapaxes({one}, {two})", lambda b: b.swapaxes(one, two)
    if name == "getitem":
        index = params["index"]
        return f"{{}}[{index_text(index, program)}]", lambda b: b[index]
    functions: dict[str, Callable[..., Any]] = {
        "broadcast_to": np.broadcast_to, "moveaxis": np.moveaxis, "flip": np.flip, "diagonal": np.diagonal,
    }  # fmt: skip
    function = functions[name]
    settings = ", ".join(f"{key}={program.constant(value)}" for key, value in params.items())
    return f"{program.function(function, name)}({{}}, {settings})", lambda b: function(b, **params)


def index_text(index: Any, program: Any) -> str:
    """An index as Python text: basic ones in full, arrays as constants."""
    if type(index) is int:
        return repr(index)
    bounds = (index.start, index.stop, index.step) if type(index) is slice else ()
    if bounds and all(type(part) is int or part is None for part in bounds):
        parts = ["" if part is None else repr(part) for part in (index.start, index.stop)]
        return ":".join(parts) + ("" if index.step is None else f":{index.step}")
    if type(index) is tuple and index and is_basic(index):
        return ", ".join("..." if part is Ellipsis else index_text(part, program) if part is not None else "None"
                         for part in index) + ("," if len(index) == 1 else "")  # fmt: skip
    return str(program.constant(index))


# -- operations that write into memory of their own --------------------------------------------------------------------


def _scatter(program: Any, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 0)
    target = program.memory_for(i)
    program.line(f"{target}.fill(0)", i)
    _write(program, i, target, params["index"], value)


def _write(program: Any, i: int, target: str, index: Any, value: str, sign: str = "=") -> None:
    """Put a value into zeros, or with ``+=`` add it to what is there; positions that are named twice count twice."""
    text = index_text(index, program)
    if names_once(index):
        program.line(f"{target}[{text}] {sign} {value}", i)
    else:
        program.line(f"add_at({target}, {text}, {value})", i)


def _onto(program: Any, i: int) -> str:
    """Memory for node i that holds the values of its first argument."""
    source = program.argument(i, 0)
    v = program.draft.inputs[i][0]
    reuse = v if program.reusable(i) == v != LITERAL else LITERAL
    target = program.memory_for(i, reuse)
    if reuse == LITERAL:
        program.line(f"copyto({target}, {source})", i)
    return str(target)


def _scatter_add(program: Any, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 1)
    _write(program, i, _onto(program, i), params["index"], value, "+=")


def _update(program: Any, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 1)
    target = _onto(program, i)
    program.line(f"{target}[{index_text(params['index'], program)}] = {value}", i)


def _concatenate(program: Any, i: int, params: dict[str, Any]) -> None:
    args = ", ".join(program.arguments(i))
    target = program.memory_for(i)
    join = program.function(np.concatenate, "concatenate")
    program.line(f"{join}(({args},), {params.get('axis', 0)}, {target})", i)


def _convert(program: Any, i: int, params: dict[str, Any]) -> None:
    source = program.argument(i, 0)
    target = program.memory_for(i)
    program.line(f'copyto({target}, {source}, "unsafe")', i)


def _reshape(program: Any, i: int, params: dict[str, Any]) -> None:
    """The elements have to move: into C order, in the shape of the argument."""
    source, shape = program.argument(i, 0), program.draft.shapes[program.draft.inputs[i][0]]
    target = program.memory_for(i)
    if program.part[i] >= 0:
        own = program.part[i]
        target = program.part_of(i, Part(-1, shape, None, None, own, f".reshape({shape})", lambda b: b.reshape(shape)))
        program.part[i] = own
        program.line(f"copyto({target}, {source})", i)
    else:
        program.line(f"copyto({target}.reshape({shape}), {source})", i)


WRITERS: dict[str, Callable[[Any, int, dict[str, Any]], None]] = {
    "scatter": _scatter, "scatter_add": _scatter_add, "update": _update, "concatenate": _concatenate,
    "astype": _convert, "copy": _convert, "reshape": _reshape,
}  # fmt: skip
