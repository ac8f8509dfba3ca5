"""The laws that every operation is doubted by. Each is a function of one case and counts the checks that it made.

A case is one operation at one drawn example. A count is kept for each (argument, order, mode), so that a ledger over
all the laws shows what was never checked.
"""

from __future__ import annotations

import contextlib
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..call import Call
from ..errors import CheckError, DtypeError, NoRuleError
from ..makers import REAL, Example, at
from ..op import FullTrace, Op, Trace
from ..sweep import deltas
from .differences import scale_of
from .probe import (
    Arrays,
    check_adjoint,
    check_oracle,
    derived,
    draw_like,
    fail,
    norm,
    only,
    pairing,
    pull,
    push,
)

Counts = Counter[tuple[int, int, str]]
"""How many checks were made for each (argument, order, mode)."""

BOTH = ("forward", "reverse")
FLOATS = (np.float16, np.float32, np.float64, np.longdouble)
COMPLEXES = (np.complex64, np.complex128, np.clongdouble)
REFUSALS = (NoRuleError, DtypeError)
"""An operation may say that it has no derivative for complex numbers; it may not give a wrong one."""


class Case(NamedTuple):
    """One operation at one example, with its arguments drawn."""

    op: Op
    number: int
    example: Example
    args: tuple[Any, ...]
    active: tuple[int, ...]

    @property
    def label(self) -> str:
        """The operation and the example in words, for a message."""
        settings = ", ".join(f"{k}={v!r}" for k, v in self.example.params.items())
        return f"{self.op.name}, example {self.number}: shapes {self.example.shapes}" + f", {settings}" * bool(settings)

    @property
    def xs(self) -> tuple[Any, ...]:
        """The arguments that have a derivative."""
        return tuple(self.args[k] for k in self.active)

    def rng(self, law: str) -> np.random.Generator:
        """Seeded by the names of the operation, the example and the law, and by nothing else."""
        return np.random.default_rng(zlib.crc32(f"{self.op.name} {self.number} {law}".encode()))

    def f(self, *xs: Any) -> tuple[Any, ...]:
        """The operation as a function of its differentiable arguments, with the results that have a derivative."""
        args = list(self.args)
        for k, x in zip(self.active, xs, strict=True):
            args[k] = x
        return floating(self.op(*args, **self.example.params))

    def alone(self, k: int) -> tuple[Case, int]:
        """The same case with only argument number k differentiable."""
        return self._replace(active=(self.active[k],)), self.active[k]

    def cast(self, dtypes: Sequence[Any], imaginary: float = 0.0) -> Case:
        """The same case with its differentiable arguments in other dtypes."""
        rng = self.rng("cast")
        args = list(self.args)
        for k, dtype in zip(self.active, dtypes, strict=True):
            x = args[k]
            if np.dtype(dtype).kind == "c":
                x = x + 1j * imaginary * rng.uniform(0.2, 1.0, np.shape(x))
            args[k] = np.asarray(x).astype(dtype)
        return self._replace(args=tuple(args))

    def plain(self) -> tuple[Any, ...] | None:
        """What NumPy itself computes; None where it refuses these dtypes."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                return self.f(*self.xs)
            except (TypeError, ValueError, np.linalg.LinAlgError, np.exceptions.ComplexWarning):
                return None

    def seeds(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """A random δ for each result."""
        return tuple(draw_like(rng, y) for y in self.f(*self.xs))


def floating(y: Any) -> tuple[Any, ...]:
    """The results that have a derivative, as a tuple."""
    results = y if isinstance(y, (tuple, list)) else (y,)
    return tuple(r for r in results if getattr(r, "dtype", np.dtype(object)).kind in "fc")


def cases(op: Op, examples: Sequence[Example] | None = None) -> list[Case]:
    """Every example of an operation, drawn; pointwise operations need none of their own."""
    given = tuple(examples) if examples is not None else op.examples or _pointwise_examples(op)
    return [_drawn(op, number, example) for number, example in enumerate(given)]


def _pointwise_examples(op: Op) -> tuple[Example, ...]:
    if op.kind not in ("elementwise", "flat") or not op.arity:
        return ()
    same = at(*[(3, 4)] * op.arity)
    if op.kind == "flat":
        return (same, at(*[(5,)] * op.arity))
    if op.arity == 1:
        return (same, at(()))
    stretched = [(3, 1) if k % 2 == 0 else (4,) for k in range(op.arity)]
    return (same, at(*stretched), at((), *[(5,)] * (op.arity - 1)))


def _drawn(op: Op, number: int, example: Example) -> Case:
    rng = np.random.default_rng(zlib.crc32(f"{op.name} {number}".encode()))
    args = tuple(draw(op, k, example, rng, shape) for k, shape in enumerate(example.shapes))
    active = tuple(k for k, x in enumerate(args) if differentiable(op, k) and np.asarray(x).dtype.kind in "fc")
    return Case(op, number, example, args, active)


def draw(op: Op, k: int, example: Example, rng: np.random.Generator, shape: Any) -> Any:
    """Argument k of an example: as its `draw` says, from its smooth interval, or from the normal distribution."""
    how = example.draw[k] if isinstance(example.draw, tuple) else example.draw
    if how is not None:
        return np.asarray(how(rng, shape))
    if op.kind != "elementwise":
        return np.asarray(rng.standard_normal(shape))
    interval = op.smooth[min(k, len(op.smooth) - 1)] if op.smooth else REAL
    if interval is None:
        return rng.integers(0, 2, shape).astype(bool) if shape else np.asarray(True)
    return np.asarray(rng.uniform(interval[0], interval[1], shape))


def differentiable(op: Op, k: int) -> bool:
    """Whether a rule is declared for argument number k."""
    if op.joint is not None:
        return True
    return not op.flat and k < len(op.vjps) and op.vjps[k] is not None


# -- 1 and 2: the two modes against each other, and against evaluation alone -------------------------------------------


def adjoint(case: Case) -> Counts:
    """1. ⟨w, J·v⟩ = ⟨Jᵀ·w, v⟩ for each argument, for all of them, and for each as the only one that is traced."""
    rng, counts, xs = case.rng("adjoint"), Counts(), case.xs
    ws = case.seeds(rng)
    vs = tuple(draw_like(rng, x) for x in xs)
    check_adjoint(case.label, case.f, xs, vs, ws)
    together = pull(case.f, xs, ws)
    for i, k in enumerate(case.active):
        what = f"{case.label}, argument {k}"
        check_adjoint(what, case.f, xs, only(i, vs[i], xs), ws)
        single, _ = case.alone(i)
        (one,) = pull(single.f, single.xs, ws)
        allowed = 64 * np.finfo(np.asarray(one).dtype).eps * scale_of(one, together[i])
        if np.shape(one) != np.shape(xs[i]) or scale_of(np.subtract(one, together[i])) > allowed:
            fail(what, "adjoint", one, together[i], allowed, "traced alone it gets another δ than among the others")
        counts.update((k, 1, mode) for mode in BOTH)
    return counts


def oracle(case: Case) -> Counts:
    """2. Both modes against the complex step or extrapolated differences."""
    rng, counts, xs = case.rng("oracle"), Counts(), case.xs
    ws = case.seeds(rng)
    back = pull(case.f, xs, ws)
    for i, k in enumerate(case.active):
        what = f"{case.label}, argument {k}"
        v = draw_like(rng, xs[i])
        vs = only(i, v, xs)
        js = push(case.f, xs, vs)
        truth = check_oracle(f"{what}, forward", case.f, xs, vs, js)
        one, two = pairing([back[i]], [v]), pairing(ws, truth.values)
        scale = norm(ws) * norm(truth.values) + norm([back[i]]) * norm([v]) + 1e-6 * norm(ws) * norm([v])
        allowed = truth.rtol * scale
        if not abs(one - two) <= allowed:
            fail(f"{what}, reverse", "oracle", float(one), float(two), allowed, f"⟨δx, v⟩ by {truth.method}")
        counts.update((k, 1, mode) for mode in BOTH)
    return counts


def on_complex(case: Case) -> Counts:
    """1 and 2 at complex arguments, all together and each alone among real ones, where NumPy and the rule take them."""
    counts = Counts()
    n = len(case.active)
    patterns = {(True,) * n} | {tuple(i == j for j in range(n)) for i in range(n)}
    for pattern in sorted(patterns):
        there = case.cast([np.complex128 if on else np.float64 for on in pattern], imaginary=0.2)
        if there.plain() is None:
            continue
        with contextlib.suppress(*REFUSALS):
            counts += adjoint(there)
            counts += oracle(there)
    return counts


# -- 3: second order ---------------------------------------------------------------------------------------------------


def second(case: Case) -> Counts:
    """3. The first two laws on the gradient; the four orders of the two modes agree; the Hessian is symmetric."""
    rng, counts, xs = case.rng("second"), Counts(), case.xs
    ws = case.seeds(rng)
    us, vs = (tuple(draw_like(rng, x) for x in xs) for _ in range(2))
    gradient = derived(case.f, "reverse", ws)
    bound = norm(ws) * norm(us) * norm(vs)
    for i, k in enumerate(case.active):
        what = f"{case.label}, argument {k}, order 2"
        direction = only(i, vs[i], xs)
        check_adjoint(what, gradient, xs, direction, us)
        found = push(gradient, xs, direction)
        check_oracle(f"{what}, forward over reverse", gradient, xs, direction, found, atol=1e-13 * bound)
        counts.update((k, 2, mode) for mode in BOTH)
    four = four_ways(case, xs, us, vs, ws)
    mirrored = float(pairing(push(gradient, xs, us), vs))
    allowed = 1e-12 * (max(map(abs, four.values())) + bound)
    for name, number in {**four, "the transposed Hessian": mirrored}.items():
        if not abs(number - mirrored) <= allowed:
            fail(f"{case.label}, order 2, {name}", "second", number, mirrored, allowed, f"the four ways give {four}")
    return counts


def four_ways(case: Case, xs: Arrays, us: Arrays, vs: Arrays, ws: Arrays) -> dict[str, float]:
    """UᵀHv of ⟨w, f⟩ by each order of the two modes."""
    f = case.f
    gradient, tangent = derived(f, "reverse", ws), derived(f, "forward", us)
    return {
        "forward over reverse": float(pairing(push(gradient, xs, vs), us)),
        "reverse over reverse": float(pairing(pull(gradient, xs, us), vs)),
        "reverse over forward": float(pairing(pull(tangent, xs, ws), vs)),
        "forward over forward": float(pairing(ws, push(tangent, xs, vs))),
    }


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
        with contextlib.suppress(*REFUSALS):
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


def purity(case: Case) -> Counts:
    """7. Rules run on read-only arrays, change nothing, and return memory of their own."""
    rng, counts = case.rng("purity"), Counts()
    xs = tuple(np.array(x) for x in case.xs)
    ws = tuple(np.array(w) for w in case.seeds(rng))
    first = pull(case.f, xs, ws)
    _check_read_only(case, xs, ws, first)
    for d, other in ((d, o) for i, d in enumerate(first) for o in (*first[:i], *xs, *ws)):
        if np.shares_memory(d, other):
            fail(case.label, "purity", "shared memory", "memory of its own", 0.0, "a later write would show in it")
    _check_stale(case, ws, first)
    counts.update((k, 1, "reverse") for k in case.active)
    return counts


def _check_read_only(case: Case, xs: Arrays, ws: Arrays, first: Arrays) -> None:
    """Sweep with every saved value and every seed read-only: a rule that writes raises; nothing may have changed."""
    call = Call(case.f, None, tuple(xs)).run(FullTrace(lines=False), tuple(xs), {})
    values = call.trace.values
    rows = (*values.arguments, *(y if isinstance(y, tuple) else (y,) for y in values.results), ws)
    arrays = [x for row in rows for x in row if isinstance(x, np.ndarray)]
    before = [x.tobytes() for x in arrays]
    for x in arrays:
        x.flags.writeable = False
    try:
        again = call.sweep(ws)
    except ValueError as error:
        raise CheckError(f"{case.label}: law 'purity' is broken: a rule writes into its arguments: {error}") from error
    finally:
        for x in arrays:
            if x.base is None:
                x.flags.writeable = True
    if [x.tobytes() for x in arrays] != before:
        fail(case.label, "purity", "a changed array", "the same bytes", 0.0, "a rule wrote into what it was given")
    for d, e in zip(first, again, strict=True):
        if np.asarray(d).tobytes() != np.asarray(e).tobytes():
            fail(case.label, "purity", e, d, 0.0, "two sweeps over the same values differ")


def _check_stale(case: Case, ws: Arrays, first: Arrays) -> None:
    """Arrays that the caller overwrites after the call do not change δ; nor does a call elsewhere before it."""
    args = tuple(np.array(x) for x in case.args)
    there = case._replace(args=args)
    for i in range(len(case.active)):
        single, k = there.alone(i)
        pullback = vjp_of(single)
        elsewhere = tuple(x * 0.5 for x in single.xs)
        with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
            vjp_of(single, elsewhere)(ws)
        kept = [x.copy() for x in args]
        for x in args:
            x[...] = np.zeros((), x.dtype)
        (d,) = pullback(ws)
        for x, old in zip(args, kept, strict=True):
            x[...] = old
        allowed = 64 * np.finfo(np.asarray(d).dtype).eps * scale_of(first[i])
        if not scale_of(np.subtract(d, first[i])) <= allowed:
            fail(f"{case.label}, argument {k}", "purity", d, first[i], allowed, "a value saved for the rule was stale")


def vjp_of(case: Case, xs: Arrays | None = None) -> Callable[[Any], Any]:
    """The pullback of a case, taken and not yet used."""
    xs = tuple(case.xs if xs is None else xs)
    call = Call(case.f, None, xs).run(Trace(), xs, {}, own=True)
    return lambda ws: call.sweep(list(ws))


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


# -- 9 and 10: once, and linearly --------------------------------------------------------------------------------------


def once(case: Case) -> Counts:
    """9. A sweep calls one rule an active edge, and a joint rule once."""
    rng, counts, op = case.rng("once"), Counts(), case.op
    ws = case.seeds(rng)
    xs = case.xs
    call = Call(case.f, None, xs).run(FullTrace(lines=False), xs, {})
    graph = call.trace.graph
    seen: Counter[tuple[int, int, int]] = Counter()
    start = {node: w for node, w in zip(call.nodes, ws, strict=True) if node is not None}
    with _counted_joint(op) as joint:
        deltas(graph, call.trace.values, start, visit=lambda v, w, k: seen.update([(v, w, k)]))
    want = Counter((e.source, e.consumer, e.position) for e in graph.edges if any(n >= e.consumer for n in start))
    if seen != want:
        fail(case.label, "once", dict(seen), dict(want), 0.0, "one rule an active edge (node, consumer, position)")
    if op.joint is not None and joint[0] != 1:
        fail(case.label, "once", joint[0], 1, 0.0, "a joint rule is evaluated once a node and sweep")
    counts.update((k, 1, "reverse") for k in case.active)
    return counts


@contextlib.contextmanager
def _counted_joint(op: Op) -> Iterator[list[int]]:
    """Count the calls of a joint rule while this block runs."""
    calls, joint = [0], op.joint
    if joint is None:
        yield calls
        return

    def counting(*args: Any, **settings: Any) -> Any:
        calls[0] += 1
        return joint(*args, **settings)

    op.joint = counting
    try:
        yield calls
    finally:
        op.joint = joint


def linearity(case: Case) -> Counts:
    """10. vjp(a·u + b·v) = a·vjp(u) + b·vjp(v), and vjp(0) = 0."""
    rng, counts, xs = case.rng("linearity"), Counts(), case.xs
    us, vs = case.seeds(rng), case.seeds(rng)
    a, b = 0.75, -1.5
    mixed = pull(case.f, xs, tuple(a * u + b * v for u, v in zip(us, vs, strict=True)))
    for k, d, e, m in zip(case.active, pull(case.f, xs, us), pull(case.f, xs, vs), mixed, strict=True):
        allowed = 256 * np.finfo(float).eps * (scale_of(d) + scale_of(e))
        if not scale_of(a * d + b * e - m) <= allowed:
            fail(f"{case.label}, argument {k}", "linearity", m, a * d + b * e, allowed, "a rule must be linear in d")
        counts[k, 1, "reverse"] += 1
    with np.errstate(all="ignore"):
        return counts + _zeros(case, rng)


def _zeros(case: Case, rng: np.random.Generator) -> Counts:
    """vjp(0) = 0 exactly, also where inf or nan was saved."""
    counts = Counts()
    for poison in (0.0, np.inf, -np.inf, np.nan):
        xs = tuple(np.array(x) for x in case.xs)
        for x in xs:
            if x.size:
                x[tuple(n // 2 for n in x.shape)] = poison
        there = case._replace(args=tuple(
            xs[case.active.index(k)] if k in case.active else x for k, x in enumerate(case.args)
        ))  # fmt: skip
        if there.plain() is None:
            continue
        call = Call(there.f, None, xs).run(Trace(), xs, {}, own=True)
        found = call.sweep([np.zeros_like(y)[()] for y in call.out])
        for k, d in zip(case.active, found, strict=True):
            if not np.all(d == 0):
                fail(f"{case.label}, argument {k} with {poison} in it", "linearity", d, 0.0, 0.0, "vjp(0) is exactly 0")
            counts[k, 1, "reverse"] += 1
        if case.op.kind in ("elementwise", "bilinear"):
            _check_guard(there, rng, poison)
    return counts


def _check_guard(case: Case, rng: np.random.Generator, poison: float) -> None:
    """No product of a zero d with the poison counts: those elements of δ are what they are without the poison.

    Pointwise, they are where d is zero. In a product of matrices they are found by evaluation: with two different
    finite numbers in the place of the poison, they do not change.
    """
    if np.isfinite(poison):
        return
    ws = [np.array(w) for w in case.seeds(rng)]
    for w in ws:
        w[rng.random(w.shape) < 0.6] = 0.0

    def swept(number: float) -> Any:
        xs = tuple(np.where(np.isfinite(x), x, number) for x in case.xs)
        return Call(case.f, None, xs).run(Trace(), xs, {}, own=True).sweep([w[()] for w in ws])

    for k, d, one, two in zip(case.active, swept(poison), swept(0.71), swept(0.83), strict=True):
        if case.op.kind == "bilinear":
            same = np.isfinite(one) & (one == two)
        elif np.shape(d) == ws[0].shape:
            same, one = ws[0] == 0, np.zeros_like(one)
        else:  # stretched: each of its elements is a sum
            continue
        off = np.abs(np.where(same, d, 0) - np.where(same, one, 0))
        if not np.all(off <= 64 * np.finfo(float).eps * scale_of(one)):
            fail(f"{case.label}, argument {k}", "linearity", d, one, 0.0, f"0·{poison} was formed where d is zero")


def corners(case: Case) -> Counts:
    """The derivatives at corners and ties are those that the declaration says, in both modes."""
    counts, op = Counts(), case.op
    if case.number:
        return counts
    for point, partials in op.edges:
        given = point if isinstance(point, tuple) else (point,)
        args = tuple(np.asarray(x, float)[()] for x in given)
        there = case._replace(args=args, active=tuple(k for k in range(len(args)) if differentiable(op, k)))
        back = pull(there.f, there.xs, (1.0,))
        for i, k in enumerate(there.active):
            want = partials[k] if isinstance(partials, tuple) else partials
            if want is None:
                continue
            (ahead,) = push(there.f, there.xs, only(i, np.float64(1.0), there.xs))
            for mode, got in (("reverse", back[i]), ("forward", ahead)):
                if not np.isclose(got, want, rtol=1e-14, atol=0, equal_nan=True):
                    fail(f"{op.name} at {given}, argument {k}, {mode}", "corners", got, want, 0.0, "said in `edges`")
                counts[k, 1, mode] += 1
    return counts


def flatness(case: Case) -> Counts:
    """A flat operation computes NumPy's own result on tensors, and its δ is zero."""
    for kind in (float, bool):
        xs = tuple(np.asarray(x).astype(kind) for x in case.args)
        there = case._replace(args=xs)
        try:
            want = case.op(*xs, **case.example.params)
        except (TypeError, ValueError):  # it takes no floats, or no array of this shape
            continue
        if kind is bool:
            return Counts()  # nothing to differentiate: it takes no floats
        found: list[Any] = []

        def f(*tensors: Any, there: Case = there, found: list[Any] = found) -> Any:
            y = there.op(*tensors, **there.example.params)
            found[:] = [y.value if hasattr(y, "recorder") else y]
            return sum((np.sum(x * 0.0) for x in tensors), 0.0) + (np.sum(y) if floating(y) else 0.0)

        with np.errstate(all="ignore"):
            back = pull(lambda *tensors: (f(*tensors),), xs, (1.0,))
        if not np.array_equal(np.asarray(found[0]), np.asarray(want), equal_nan=np.asarray(want).dtype.kind in "fc"):
            fail(case.label, "flatness", found[0], want, 0.0, "on tensors it computes something else than on arrays")
        for k, d in enumerate(back):
            if np.any(d != 0):
                fail(f"{case.label}, argument {k}", "flatness", d, 0.0, 0.0, "its derivative is zero by nature")
        return Counts({(k, 1, "reverse"): 1 for k in range(len(xs))})
    return Counts()


LAWS: dict[str, Callable[[Case], Counts]] = {
    "adjoint": adjoint,
    "oracle": oracle,
    "complex": on_complex,
    "second": second,
    "dtypes": dtypes,
    "purity": purity,
    "layouts": layouts,
    "stretching": stretching,
    "once": once,
    "linearity": linearity,
    "corners": corners,
}
"""Every law on one operation, by name."""


def judge(law: str, case: Case) -> Counts:
    """One law on one case. Whatever goes wrong in it is a CheckError that names the law and the example."""
    if case.op.flat:
        return flatness(case)
    if not case.active:
        return Counts()
    try:
        return LAWS[law](case)
    except CheckError:
        raise
    except Exception as error:
        raise CheckError(f"{case.label}: law {law!r} could not run: {type(error).__name__}: {error}") from error
