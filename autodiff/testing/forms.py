"""Laws 7 and 8: what an array may be. Every dtype, every layout, every broadcast, every size."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..call import Call
from ..errors import DegenerateWarning
from ..op import Op
from ..recorders import Trace
from .cases import BOTH, COMPLEXES, FLOATS, REFUSALS, Case, Counts, draw
from .differences import scale_of
from .probe import Arrays, check_adjoint, draw_like, fail, pull, push

# -- 7: shape, dtype, purity -------------------------------------------------------------------------------------------


def dtypes(case: Case) -> Counts:
    """7. δ and tangents have their node's shape and dtype, and in low precision the same value as far as it goes."""
    rng, counts = case.rng("dtypes"), Counts()
    rows = [(dtype,) * len(case.active) for dtype in (*FLOATS, *COMPLEXES)]
    if len(case.active) > 1:
        rows.append(tuple((np.float32, np.float64)[i % 2] for i in range(len(case.active))))
    for row in rows:
        there = case.cast(row)
        ys = there.plain()
        if ys is None or not all(np.all(np.isfinite(y)) for y in ys):
            continue
        complex_among = any(np.dtype(dtype).kind == "c" for dtype in row)
        with contextlib.suppress(*REFUSALS) if complex_among else contextlib.nullcontext():
            double = case.cast([np.complex128 if np.dtype(dtype).kind == "c" else np.float64 for dtype in row])
            _dtype_row(there, ys, double, rng)
            counts.update((k, 1, mode) for k in case.active for mode in BOTH)
    return counts


def _dtype_row(case: Case, ys: Arrays, double: Case, rng: np.random.Generator) -> None:
    """One row of dtypes against the same case in double precision."""
    xs, ws = case.xs, double.seeds(rng)
    exact = pull(double.f, double.xs, ws)
    what = f"{case.label}, dtypes {[str(x.dtype) for x in xs]}"
    back = pull(case.f, xs, tuple(np.asarray(w).astype(np.asarray(y).dtype)[()] for w, y in zip(ws, ys, strict=True)))
    ahead = push(case.f, xs, tuple(draw_like(rng, x) for x in xs))
    for name, found, like in (("δ", back, xs), ("the tangent", ahead, ys)):
        for i, (d, x) in enumerate(zip(found, like, strict=True)):
            if np.shape(d) != np.shape(x) or np.asarray(d).dtype != np.asarray(x).dtype:
                got, want = (f"{np.asarray(a).dtype}{list(np.shape(a))}" for a in (d, x))
                fail(f"{what}, {name} {i}", "dtypes", got, want, 0.0, "δ has the shape and dtype of its node")
    eps = max(float(np.finfo(x.dtype).eps) for x in xs)
    for i, (d, true) in enumerate(zip(back, exact, strict=True)):
        # the root of eps: an example may be badly conditioned, and its arguments are rounded before it starts
        allowed = 4 * eps**0.5 * scale_of(true) + eps**0.5
        if scale_of(np.subtract(d, true)) > allowed:
            fail(f"{what}, δ {i}", "dtypes", d, true, allowed, "it differs from the δ in float64 by more than rounding")


# -- 8: shapes and layouts ---------------------------------------------------------------------------------------------


def _swapped(x: Any) -> Any:
    return x.astype(x.dtype.newbyteorder())


def _strided(x: Any) -> Any:
    if not x.ndim:
        return x
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = wide[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def _reversed(x: Any) -> Any:
    return np.flip(np.flip(x).copy()) if x.ndim else x


def _frozen(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran": lambda x: np.array(x, order="F"),
    "reversed": _reversed,
    "strided": _strided,
    "read-only": _frozen,
    "byte-swapped": _swapped,
}
"""What else an array may look like that holds the same numbers; stride-0, where all are equal, is made below."""


def layouts(case: Case) -> Counts:
    """8. The same δ for every layout of the arguments; bit for bit where the operation is pointwise."""
    rng, counts = case.rng("layouts"), Counts()
    ws = case.seeds(rng)
    straight = tuple(np.array(x, order="C") for x in case.xs)
    even = tuple(np.full(np.shape(x), np.ravel(x)[0]) if np.size(x) else np.array(x) for x in straight)
    pairs = [(name, straight, tuple(map(layout, straight))) for name, layout in LAYOUTS.items()]
    if case.op.kind == "elementwise":  # elsewhere equal numbers are ties, or singular
        pairs.append(("stride-0", even, tuple(np.broadcast_to(x.ravel()[0], x.shape) if x.size else x for x in even)))
    for name, plain, laid in pairs:
        wanted, found = _sweep_once(case, plain, ws), _sweep_once(case, laid, ws)
        for i, (d, want) in enumerate(zip(found, wanted, strict=True)):
            what = f"{case.label}, argument {case.active[i]}, layout {name}"
            if np.shape(d) != laid[i].shape or (laid[i].ndim and d.dtype != laid[i].dtype):  # numbers are always native
                fail(what, "layouts", f"{np.asarray(d).dtype}", f"{laid[i].dtype}", 0.0, "δ has its node's dtype")
            native = np.asarray(d).astype(want.dtype)
            if case.op.kind == "elementwise":
                ulps = 0 if _exact(case.op) else 4  # NumPy's vector loops and its others differ in the last bit
                if not np.all(np.abs(native - want) <= ulps * np.spacing(np.abs(want))):
                    fail(what, "layouts", d, want, 0.0, "a pointwise operation gives the same bits for every layout")
            # products are summed in another order for another layout
            elif not scale_of(np.subtract(native, want)) <= (allowed := 256 * np.finfo(float).eps * scale_of(want)):
                fail(what, "layouts", d, want, allowed, "the layout of an argument changed its δ")
        counts.update((k, 1, "reverse") for k in case.active)
    return counts


EXACT = frozenset((
    "absolute", "add", "subtract", "multiply", "divide", "negative", "positive", "sqrt", "where", "maximum", "minimum",
    "fmax", "fmin", "sign", "copysign", "square", "floor", "zeros", "zeros_like", "ones_like", "broadcast_to",
))  # fmt: skip
"""Functions whose result IEEE arithmetic fixes to the last bit, whatever loop computes them."""


def _exact(op: Op) -> bool:
    """Whether the operation and its rules call nothing whose last bit is left to the library."""
    codes = [getattr(rule, "__code__", None) for rule in op.vjps if rule is not None]
    called = {op.name, *(name for code in codes if code for name in code.co_names)}
    return None not in codes and all(name in EXACT for name in called if hasattr(np, name))


def _sweep_once(case: Case, xs: Arrays, ws: Arrays) -> Any:
    """One sweep over the very arrays that were given, not over copies."""
    return Call(case.f, None, tuple(xs)).run(Trace(), tuple(xs), {}).sweep([np.asarray(w)[()] for w in ws])


STRETCHES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 4), (3, 4)), ((), (3, 4)), ((4,), (3, 4)), ((3, 1), (3, 4)), ((3, 1), (1, 4)), ((1,), (1,)), ((), ()),
    ((0,), (1,)), ((3, 0), (3, 1)), ((2, 1, 3), (4, 1)),
)  # fmt: skip


def stretching(case: Case) -> Counts:
    """8. Every broadcast and every size: δ of a stretched argument is the sum of the δ of what it was stretched to."""
    rng, counts, op = case.rng("stretching"), Counts(), case.op
    if op.kind != "elementwise" or case.number:
        return counts
    for left, right in STRETCHES:
        shapes = [(left, right)[k % 2] for k in range(op.arity or 0)]
        for turned in (shapes, shapes[::-1]):
            args = tuple(draw(op, k, case.example, rng, shape) for k, shape in enumerate(turned))
            there = case._replace(example=case.example._replace(shapes=tuple(turned)), args=args)
            whole = np.broadcast_shapes(*turned)
            full = there._replace(args=tuple(np.broadcast_to(x, whole).copy() for x in args))
            ws = there.seeds(rng)
            for k, d, wide in zip(case.active, pull(there.f, there.xs, ws), pull(full.f, full.xs, ws), strict=True):
                want = _gathered(wide, turned[k])
                allowed = 64 * np.finfo(float).eps * scale_of(_gathered(np.abs(wide), turned[k]))
                if np.shape(d) != turned[k] or not scale_of(np.subtract(d, want)) <= allowed:
                    fail(f"{there.label}, argument {k}", "stretching", d, want, allowed, "broadcasting was not undone")
                counts[k, 1, "reverse"] += 1
    return counts


def _gathered(wide: Any, shape: tuple[int, ...]) -> Any:
    """Σ over the copies of each element, one at a time: slow, and without the sweep's own function for it."""
    found = np.zeros(shape)
    padded = (1,) * (np.ndim(wide) - len(shape)) + shape
    for place in np.ndindex(*np.shape(wide)):
        source = tuple(0 if n == 1 else i for i, n in zip(place, padded, strict=True))
        found[source[len(padded) - len(shape) :]] += wide[place]
    return found


# -- 8: sizes ----------------------------------------------------------------------------------------------------------


TOLD = frozenset(("scatter", "irfft", "hfft", "convolve"))
"""Operations that only compositions call, which give their arguments the shape that the settings tell."""


def sizes(case: Case) -> Counts:
    """8. None, one, no axes: each length of an axis set to 0 and to 1 wherever it stands, and all arguments 0-d."""
    counts, rng = Counts(), case.rng("sizes")
    for shapes in _resized(case.example.shapes) if case.op.name not in TOLD else ():
        there = _redrawn(case, shapes, rng)
        ys = None if there is None else _quietly(there)
        if there is None or not ys:
            continue
        ws = tuple(draw_like(rng, y) for y in ys)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy, about means of nothing
            warnings.simplefilter("ignore", DegenerateWarning)  # where δ is nan
            back = pull(there.f, there.xs, ws)
            vs = tuple(draw_like(rng, x) for x in there.xs)
            ahead = push(there.f, there.xs, vs)
            for name, found, like in (("δ", back, there.xs), ("the tangent", ahead, ys)):
                for i, (d, x) in enumerate(zip(found, like, strict=True)):
                    if (got := np.shape(d)) != (want := np.shape(x)):
                        fail(f"{there.label}, {name} {i}", "sizes", got, want, 0.0, "it has the shape of its node")
            if all(np.all(np.isfinite(a)) for a in (*ys, *back, *ahead)):
                check_adjoint(there.label, there.f, there.xs, vs, ws)
        counts.update((k, 1, mode) for k in case.active for mode in BOTH)
    return counts


def _resized(shapes: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The shapes of an example with every length of an axis replaced by 0 and by 1, and with no axes."""
    lengths = sorted({n for shape in shapes for n in shape})
    found = [
        tuple(tuple(new if m == n else m for m in shape) for shape in shapes) for n in lengths for new in (0, 1)
    ]
    found.append(tuple(() for _ in shapes))
    return [resized for resized in dict.fromkeys(found) if resized != shapes]


def _redrawn(case: Case, shapes: tuple[Any, ...], rng: np.random.Generator) -> Case | None:
    """The same call on arrays of other shapes; None where its example cannot draw them."""
    try:
        args = tuple(draw(case.op, k, case.example, rng, shape) for k, shape in enumerate(shapes))
    except (ValueError, IndexError, TypeError, ZeroDivisionError, np.linalg.LinAlgError):
        return None
    return case._replace(args=args, example=case.example._replace(shapes=shapes))


def _quietly(case: Case) -> tuple[Any, ...] | None:
    """What NumPy computes; None where it refuses arguments of these shapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return case.plain()
        except (IndexError, ZeroDivisionError):
            return None
