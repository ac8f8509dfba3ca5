"""What is known of a tensor wherever it stands: what it holds, which traces it belongs to, what may be asked of it."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .errors import LeakError, message, said, user_frame
from .graph import LITERAL


class Kin(NamedTuple):
    """One tensor of a family that shares memory in NumPy's eyes, and how it is read from what it is a view of."""

    tensor: weakref.ref[Any]
    up: Kin | None = None  # None: it is the root
    op: Any = None  # None: the way is not known
    params: Any = None
    place: int | None = None  # of an operation with several results


class Family:
    """All tensors that share memory in NumPy's eyes, and the node of the one that is the base of all, live or not."""

    __slots__ = ("members", "root")

    def __init__(self, root: Traced, kin: Kin) -> None:
        self.root = root  # an object that nobody else holds
        self.members = [kin]


class Traced:
    """What `apply` must know of a tensor: what it holds, the trace that records it, the node that it is.

    A negative index says that the node is still pending: an input, or a result of a many-result operation, is recorded
    when it is first used.
    """

    __slots__ = ("__weakref__", "family", "index", "recorder", "value")
    value: Any
    recorder: Any  # the trace, which stands a storey above
    index: int
    family: tuple[Family, Kin] | None


def held(x: Any) -> Any:
    """The array or number that a tensor holds, through all the traces around it: for its dtype, its memory, its print.

    What is decided on its value is decided for good where the function is being compiled: that is for :func:`plain`.
    """
    while isinstance(x, Traced):
        x = x.value.stand() if x.recorder.batching else x.value
    return x


def memory(x: Any) -> Any:
    """The array that a tensor holds, through all the traces around it, with the axes of the batches that it is in."""
    while isinstance(x, Traced):
        x = x.value.array if x.recorder.batching else x.value
    return x


def plain(x: Any) -> Any:
    """The array or number that a tensor holds, through all the traces around it. Its history is lost.

    Raises
    ------
    LeakError
        While a function is being compiled: its program will run on other values. Inside of `vmap`: there is one value
        for each example.
    """
    while isinstance(x, Traced):
        if x.recorder.compiling or x.recorder.batching:
            raise leak("the value of a tensor", x)
        x = x.value
    return x


def recorders(x: Any) -> Iterator[Any]:
    """The traces that a tensor belongs to, from the innermost one outwards."""
    while isinstance(x, Traced):
        yield x.recorder
        x = x.value.array if x.recorder.batching else x.value


def is_unknown(x: Any) -> bool:
    """Whether a tensor has no one value: only the running of a compiled program will tell it, or it is many."""
    return any(trace.compiling or trace.batching for trace in recorders(x))


def is_compiled(x: Any) -> bool:
    """Whether a tensor's value is one that only the running of a compiled program will tell."""
    return any(trace.compiling for trace in recorders(x))


def is_batched(x: Any) -> bool:
    """Whether a tensor stands for one array of each example of a batch."""
    return any(trace.batching for trace in recorders(x))


def every(x: Any) -> Any:
    """As :func:`plain`, but of a batch the values in all of its examples, whatever their axes: for checks alone."""
    while isinstance(x, Traced):
        if x.recorder.compiling:
            raise leak("the value of a tensor", x)
        x = x.value.array if x.recorder.batching else x.value
    return x


def surely(x: Any) -> bool:
    """Whether a condition holds, in every example of a batch: no, where the function is being compiled."""
    while isinstance(x, Traced):
        if x.recorder.compiling:
            return False
        x = np.all(x.value.array) if x.recorder.batching else x.value
    return bool(x)


def leak(what: str, x: Any) -> LeakError:
    """The error for a decision that depends on a value which is not known, or not one."""
    called = _numpy_function()
    what = f"{called}: {what.removeprefix('if, while, and, or, not: ')}" if called else what
    if is_batched(x):
        words = message(
            f"{what} ({x.dtype}{list(x.shape)}) was asked for inside of vmap",
            "it stands for one array of each example, and what is decided on a value is decided for all of them",
            "choose with np.where(condition, a, b), index with autodiff.numpy.asarray(a)[i]; leave what "
            "is the same for all examples out of the batch (in_axes=None); or loop over the examples",
        )
    else:
        names = _depends_on(x)
        on = f"; it depends on {', '.join(names)}" if names else ""
        which = ", ".join(dict.fromkeys(name.partition("[")[0] for name in names)) or "the argument that it depends on"
        words = message(
            f"{what} ({x.dtype}{list(x.shape)}) was asked for while the function was being compiled",
            f"a compiled program runs on other values; what is decided on this one would be built into it{on}",
            f"choose with np.where(condition, a, b); make {which} static, where that is a number: "
            "ad.jit(f, static_argnums=…); or leave this function eager",
        )
    return said(LeakError(words))


def _numpy_function() -> str | None:
    """The function of NumPy that the user called, where one is running."""
    frame, outermost = user_frame(), None
    inner = sys._getframe(1)
    while inner is not None and inner is not frame:
        if inner.f_code.co_name == "__array_function__":
            outermost = inner.f_locals.get("function", outermost)
        inner = inner.f_back  # type: ignore[assignment]
    module = getattr(outermost, "__module__", None) or "numpy"
    return None if outermost is None else f"{module.replace('numpy', 'np', 1)}.{outermost.__name__}"


def _depends_on(x: Any) -> list[str]:
    """The arguments of the function that is being compiled on which a tensor depends, as far as they have names."""
    while isinstance(x, Traced) and not x.recorder.compiling:
        x = x.value.array if x.recorder.batching else x.value
    names = getattr(x.recorder, "called", ()) if isinstance(x, Traced) else ()
    if not names or x.index < 0:
        return []
    graph = x.recorder.graph
    seen, waiting = {x.index}, [x.index]
    while waiting:
        new = {v for v in graph.inputs[waiting.pop()] if v != LITERAL} - seen
        seen |= new
        waiting += new
    return [name for i, name in zip(graph.arguments, names, strict=False) if i in seen]
