"""How each public name of NumPy stands to derivatives, with NumPy's own namespace as the judge."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..graph import OPERATIONS
from ..op import FUNCTIONS, REFUSED, UFUNCS, Op
from ..ops import flat
from ..tensor import Tensor

DIFFERENTIABLE, FLAT, NOT, UNKNOWN = "differentiable", "flat", "not differentiable", "unknown"

NAMESPACES: tuple[tuple[str, Any], ...] = (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft))
"""The namespaces that are judged, as people spell them."""

OBJECTS = {
    "c_": "it asks each element for a plain number; np.column_stack joins tensors",
    "r_": "it asks each element for a plain number; np.concatenate joins tensors",
    "vectorize": "it calls Python for each element and keeps plain numbers; autodiff.numpy.vectorize keeps tensors",
}
"""What is neither a function nor a type that only names a dtype."""

ATTRIBUTES = {
    FLAT: {
        "it says how the elements are stored": "device dtype flags itemsize nbytes ndim shape size strides",
        "what it gives or takes are positions": "argpartition",
    },
    NOT: {
        "plain numbers would leave without their history":
            "ctypes data dump dumps item tobytes tofile tolist",
        "a tensor has no buffer of its own that it could be a part of": "base",
        "it reads or writes the bytes of the numbers": "byteswap getfield setfield view",
        "nodes never change: neither their memory nor their flags": "resize setflags",
    },
    DIFFERENTIABLE: {
        "an operation of the same meaning": "T astype conj fill flat flatten mT to_device __getitem__ __setitem__",
    },
}
"""How those attributes of an array stand that no function of NumPy has the name of."""


class Standing(NamedTuple):
    """One public name: how it stands, and through which operation or for which reason."""

    name: str
    status: str
    through: str


def names() -> list[Standing]:
    """Every public name of NumPy's namespaces and every public attribute of its arrays."""
    return [*_functions(), *_attributes()]


def _functions() -> Iterator[Standing]:
    for spelling, namespace in NAMESPACES:
        for name in sorted(dir(namespace)):
            if not name.startswith("_"):
                yield Standing(f"{spelling}.{name}", *_judged(name, getattr(namespace, name)))


def _judged(name: str, thing: Any) -> tuple[str, str]:
    """Status and reason of one thing in a namespace."""
    if isinstance(thing, types.ModuleType):
        return NOT, "because it is a module"
    if thing is np.poly1d:
        return DIFFERENTIABLE, "its coefficients may be a tensor"
    if name in OBJECTS:
        return NOT, f"because {OBJECTS[name]}"
    if not callable(thing):
        return NOT, "because it is a constant"
    if thing in REFUSED:
        return NOT, f"because {REFUSED[thing]}"
    if isinstance(thing, type):
        return NOT, "because it is a type; x.astype converts a tensor"
    direct = next((op for op in OPERATIONS.values() if thing in op.numpy and not op.user), None)
    call = UFUNCS.get(thing) if isinstance(thing, np.ufunc) else FUNCTIONS.get(thing)
    if isinstance(call, Op):
        direct = call
    if direct is not None and direct.flat:
        return FLAT, "its derivative is zero by nature"
    if direct is not None:
        return DIFFERENTIABLE, f"operation {direct.name}"
    if call is None:
        return UNKNOWN, ""
    if getattr(call, "__code__", None) is not None and call.__code__.co_filename == flat.__file__:
        return FLAT, "what it gives has no slope"
    return DIFFERENTIABLE, "written in other operations"


def _attributes() -> Iterator[Standing]:
    told = {
        name: (status, f"because {why}" if status == NOT else why)
        for status, reasons in ATTRIBUTES.items()
        for why, names in reasons.items()
        for name in names.split()
    }
    for name in sorted(dir(np.ndarray)):
        if name.startswith("_"):
            continue
        spelled = f"ndarray.{name}"
        if name in told:
            yield Standing(spelled, *told[name])
        elif hasattr(np, name) and hasattr(Tensor, name):
            yield Standing(spelled, *_judged(name, getattr(np, name)))
        else:
            yield Standing(spelled, UNKNOWN, "")
