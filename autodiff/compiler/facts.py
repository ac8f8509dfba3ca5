"""The facts that `simplify` knows: a table from operations to what may stand in their place, bit for bit.

A fact sees one node whose inputs are already simplified. It returns the node that stands for it, or None where it does
not apply. Nothing here is true only to rounding, nor only where nothing overflows: exp(log(x)) is not x, and
(2·x)·0.25 is not 0.5·x where 2·x is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import LITERAL, OPERATIONS
from .draft import Draft
from .texts import RESHAPES

# -- literals ----------------------------------------------------------------------------------------------------------


def uniform(x: Any) -> Any:
    """The one number that fills a literal, None where there is none."""
    if isinstance(x, (bool, int, float, complex, np.generic)):
        return x
    if isinstance(x, np.ndarray) and x.size:
        first = x[(0,) * x.ndim]
        alike = not any(x.strides) or (x[(-1,) * x.ndim] == first and bool(np.all(x == first)))
        if alike and (not any(x.strides) or not _mixes_zeros(x, first)):
            return first
    return None


def _mixes_zeros(x: Any, first: Any) -> bool:
    """Whether 0.0 and -0.0, which are equal, both stand in an array."""
    if first != 0 or x.dtype.kind not in "fc":
        return False
    signs = np.signbit(np.stack([x.real, x.imag]) if x.dtype.kind == "c" else x)
    return x.dtype.kind == "c" or bool(signs.any() != signs.all())


# -- one node ----------------------------------------------------------------------------------------------------------


class Site:
    """One node on its way into a new draft, and what stands before it there."""

    __slots__ = ("i", "inputs", "literals", "name", "new", "old", "op", "params")

    def __init__(
        self, new: Draft, op: Any, inputs: tuple[int, ...], literals: tuple[Any, ...], params: Any, old: Draft, i: int
    ) -> None:
        self.new, self.op, self.inputs, self.literals = new, op, inputs, literals
        self.params, self.old, self.i = params or {}, old, i
        self.name: str = op.name

    def made(
        self, op: str, inputs: tuple[int, ...], literals: Any = None, params: Any = None, shape: Any = None
    ) -> int:
        """A new node in the place of this one; in another shape, one on the way there."""
        old, i = self.old, self.i
        shape = old.shapes[i] if shape is None else shape
        nothing = (None,) * len(inputs)
        return self.new.add(
            OPERATIONS[op], inputs, literals or nothing, params, shape, old.dtypes[i], old.origin(i)
        )

    def fits(self, v: int) -> bool:
        """Whether node v has the shape and dtype of this one, and so may stand for it."""
        old, new, i = self.old, self.new, self.i
        return v != LITERAL and bool(new.shapes[v] == old.shapes[i] and new.dtypes[v] == old.dtypes[i])

    def inside(self, v: int, name: str) -> int:
        """The first input of node v where v is this operation, with settings only where its facts know them."""
        new = self.new
        if v == LITERAL or new.ops[v].name != name or (new.params[v] and name not in SETTINGS):
            return LITERAL
        return new.inputs[v][0]

    def number(self, v: int) -> tuple[Any, int]:
        """For a product of a number and a node which they are: (number, node); (None, LITERAL) for anything else."""
        new = self.new
        if v != LITERAL and new.ops[v].name == "multiply" and new.params[v] is None:
            for k in (0, 1):
                if new.inputs[v][k] == LITERAL != new.inputs[v][1 - k]:
                    return uniform(new.literals[v][k]), new.inputs[v][1 - k]
        return None, LITERAL


Fact = Callable[[Site], "int | None"]

# -- numbers -----------------------------------------------------------------------------------------------------------

NEUTRAL: dict[str, tuple[tuple[int, ...], float]] = {
    "multiply": ((0, 1), 1), "divide": ((1,), 1), "subtract": ((1,), 0), "power": ((1,), 1),
}  # fmt: skip
"""For each operation at which of its arguments which number changes no bit of the other one. Not 0 in a sum: −0 + 0."""


def _neutral(site: Site) -> int | None:
    """1·x, x/1, x − 0, x¹ are x; of complex numbers only x − 0, for (inf + i)·(1 + 0i) has 0·inf in it."""
    places, number = NEUTRAL[site.name]
    difference = site.name == "subtract"
    if site.old.dtypes[site.i].kind == "c" and not difference:
        return None
    for k in places:
        v, x = site.inputs[1 - k], site.literals[k]
        if site.inputs[k] == LITERAL and site.fits(v):
            value = uniform(x)
            if value is not None and value == number and not (difference and _has_sign(value)):
                return v
    return None


def _has_sign(x: Any) -> bool:
    """Whether a number, or a part of a complex one, is negative or −0."""
    return bool(np.signbit(np.real(x)) or np.signbit(np.imag(x)))


def _square(site: Site) -> int | None:
    """x² is x·x, which is how NumPy computes it for arrays."""
    v, dtype = site.inputs[0], site.old.dtypes[site.i]
    if v == LITERAL or site.inputs[1] != LITERAL or not site.fits(v) or not site.old.shapes[site.i]:
        return None
    number = uniform(site.literals[1])
    square = number is not None and number == 2 and dtype in (np.float64, np.float32)
    return site.made("square", (v,)) if square else None


def _signed_term(site: Site) -> int | None:
    """A + (−b) = a − b; a − (−b) = a + b."""
    a, b = site.inputs
    inner = site.inside(b, "negative")
    if LITERAL in (a, inner) or site.new.shapes[b] != site.new.shapes[inner]:
        return None
    return site.made("subtract" if site.name == "add" else "add", (a, inner))


def _signed_factors(site: Site) -> int | None:
    """(−a)·(−b) = a·b, and the same for quotients of real numbers."""
    if site.name == "divide" and site.old.dtypes[site.i].kind == "c":
        return None
    a, b = (site.inside(v, "negative") for v in site.inputs)
    return None if LITERAL in (a, b) else site.made(site.name, (a, b))


def _twofold(site: Site) -> int | None:
    """c·(2ᵏ·x) = (c·2ᵏ)·x for k ≥ 0 and |c| ≥ 1: 2ᵏ·x is not rounded, and where it overflows, so do both."""
    dtype = site.old.dtypes[site.i]
    for k in (0, 1):
        c, inner = uniform(site.literals[k]), site.inputs[1 - k]
        power, x = site.number(inner)
        if type(c) not in _REALS or type(power) not in _REALS or dtype.kind != "f" or not site.fits(x):
            continue
        if abs(c) >= 1 and power >= 1 and np.frexp(power)[0] == 0.5 and abs(c * power) <= np.finfo(dtype).max:
            return site.made("multiply", (LITERAL, x), (c * power, None))
    return None


_FLOATS = frozenset((float, np.float64))
_REALS = _FLOATS | {int}


def _sign_of_product(site: Site) -> int | None:
    """−(c·x) = (−c)·x: a sign does not change how a product is rounded."""
    c, x = site.number(site.inputs[0])
    if type(c) not in _FLOATS or site.old.dtypes[site.i].kind == "c":
        return None
    if c == -1 and site.fits(x):
        return x
    v = site.inputs[0]
    known = tuple(
        None if w != LITERAL else -y for w, y in zip(site.new.inputs[v], site.new.literals[v], strict=True)
    )
    return site.made("multiply", site.new.inputs[v], known)


def _pair(site: Site) -> int | None:
    """f(f(x)) = x."""
    x = site.inside(site.inputs[0], site.name)
    return x if site.fits(x) else None


def _again(site: Site) -> int | None:
    """f(f(x)) = f(x)."""
    v = site.inputs[0]
    return v if site.inside(v, site.name) != LITERAL and site.fits(v) else None


def _even(site: Site) -> int | None:
    """f(−x) = f(x)."""
    x = site.inside(site.inputs[0], "negative")
    return site.made(site.name, (x,)) if x != LITERAL else None


def _alike(site: Site) -> int | None:
    """max(x, x), min(x, x), where(c, x, x) are x."""
    a, b = site.inputs[-2:]
    return a if a == b and site.fits(a) else None


# -- shapes ------------------------------------------------------------------------------------------------------------


def _nothing_done(site: Site) -> int | None:
    """A copy, or a change to the shape or dtype that it has."""
    return site.inputs[0] if site.fits(site.inputs[0]) else None


def _reshaped(site: Site) -> int | None:
    """One reshape in the place of two."""
    v, new = site.inputs[0], site.new
    if site.params.get("order", "C") != "C":
        return None
    if new.ops[v].name == "reshape" and (new.params[v] or {}).get("order", "C") == "C" and new.inputs[v][0] != LITERAL:
        v = new.inputs[v][0]
    if site.fits(v):
        return v
    return site.made("reshape", (v,), None, {"shape": site.old.shapes[site.i]})


def _permuted(site: Site) -> int | None:
    """One transpose in the place of two, none where the axes are back in their places."""
    v, new = site.inputs[0], site.new
    order = PERMUTATIONS[site.name](len(new.shapes[v]), **site.params)
    if new.ops[v].name == "transpose" and new.inputs[v][0] != LITERAL:
        inner = new.params[v]["axes"]  # type: ignore[index]
        order, v = tuple(inner[k] for k in order), new.inputs[v][0]
    return v if order == tuple(range(len(order))) else site.made("transpose", (v,), None, {"axes": order})


def _transpose(n: int, axes: Any = None) -> tuple[int, ...]:
    return tuple(range(n))[::-1] if axes is None else tuple(int(k) % n for k in axes)


def _swapaxes(n: int, axis1: int, axis2: int) -> tuple[int, ...]:
    order = list(range(n))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return tuple(order)


def _moved(n: int, source: Any, destination: Any) -> tuple[int, ...]:
    shape = np.moveaxis(np.broadcast_to(0, tuple(range(1, n + 1))), source, destination).shape
    return tuple(k - 1 for k in shape)


PERMUTATIONS: dict[str, Callable[..., tuple[int, ...]]] = {
    "transpose": _transpose, "swapaxes": _swapaxes, "moveaxis": _moved,
}  # fmt: skip


def _stretched(site: Site) -> int | None:
    """One broadcast in the place of two."""
    x = site.inside(site.inputs[0], "broadcast_to")
    return site.made("broadcast_to", (x,), None, {"shape": site.old.shapes[site.i]}) if x != LITERAL else None


def _flipped(site: Site) -> int | None:
    """Two flips of the same axes are none; of different ones they are one flip."""
    v, new = site.inputs[0], site.new
    x = site.inside(v, "flip")
    if x == LITERAL:
        return None
    n = len(new.shapes[x])
    axes = sorted(axes_of(site.params.get("axis"), n) ^ axes_of((new.params[v] or {}).get("axis"), n))
    return site.made("flip", (x,), None, {"axis": tuple(axes)}) if axes else x


def axes_of(axis: Any, n: int) -> set[int]:
    """The axes that a setting names, counted from the first."""
    return set(range(n)) if axis is None else {int(k) % n for k in (axis if isinstance(axis, tuple) else (axis,))}


def _to_wider_and_back(site: Site) -> int | None:
    """A change of dtype that the next one takes back, where the one between holds every value of the first."""
    v, new = site.inputs[0], site.new
    x = site.inside(v, "astype")
    if x == LITERAL or not site.fits(x):
        return None
    narrow, wide = new.dtypes[x], new.dtypes[v]
    return x if narrow.kind in "fciub" and narrow.kind == wide.kind and np.can_cast(narrow, wide, "safe") else None


def _largest_of_equals(site: Site) -> int | None:
    """The maximum along axes along which all is equal is any one of them."""
    v, new = site.inputs[0], site.new
    x = site.inside(v, "broadcast_to")
    if x == LITERAL or set(site.params) - {"axis", "keepdims"}:
        return None
    axes = axes_of(site.params.get("axis"), len(new.shapes[v]))
    rest = axes - stretched_axes(new.shapes[x], new.shapes[v])
    if rest or not all(new.shapes[v]):
        return None
    kept = tuple(1 if k in axes else size for k, size in enumerate(new.shapes[v]))
    ones = tuple(1 if k in axes else size for k, size in enumerate(_padded(new.shapes[x], len(kept))))
    return reshaped_to(site, stretched_to(site, reshaped_to(site, x, ones), kept), site.old.shapes[site.i])


def _padded(shape: tuple[int, ...], n: int) -> tuple[int, ...]:
    return (1,) * (n - len(shape)) + tuple(shape)


def stretched_axes(shape: tuple[int, ...], to: tuple[int, ...]) -> set[int]:
    """The axes along which broadcasting repeats."""
    return {k for k, (one, size) in enumerate(zip(_padded(shape, len(to)), to, strict=True)) if one == 1 and size != 1}


def reshaped_to(site: Site, v: int, shape: tuple[int, ...]) -> int:
    """Node v in another shape."""
    if site.new.shapes[v] == shape:
        return v
    return site.made("reshape", (v,), None, {"shape": shape}, shape)


def stretched_to(site: Site, v: int, shape: tuple[int, ...]) -> int:
    """Node v, broadcast to a shape."""
    if site.new.shapes[v] == shape:
        return v
    return site.made("broadcast_to", (v,), None, {"shape": shape}, shape)


FACTS: dict[str, tuple[Fact, ...]] = {
    "multiply": (_neutral, _signed_factors, _twofold),
    "divide": (_neutral, _signed_factors),
    "add": (_signed_term,),
    "subtract": (_neutral, _signed_term),
    "power": (_neutral, _square),
    "negative": (_pair, _sign_of_product),
    "conjugate": (_pair,),
    "logical_not": (_pair,),
    "invert": (_pair,),
    "absolute": (_again, _even),
    "square": (_even,),
    "maximum": (_alike,),
    "minimum": (_alike,),
    "where": (_alike,),
    "copy": (_nothing_done,),
    "astype": (_nothing_done, _to_wider_and_back),
    "broadcast_to": (_nothing_done, _stretched),
    "flip": (_flipped,),
    "max": (_largest_of_equals,),
    "min": (_largest_of_equals,),
    **dict.fromkeys(RESHAPES, (_reshaped,)),
    **dict.fromkeys(PERMUTATIONS, (_permuted,)),
}
"""For each operation what may stand in its place, in the order in which it is tried."""

SETTINGS = frozenset(("copy", "astype", "broadcast_to", "flip", "max", "min", *RESHAPES, *PERMUTATIONS))
"""Operations whose facts understand settings; the others are left as they are where one is given."""
