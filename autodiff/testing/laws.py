"""The laws that every operation is doubted by, by name. Each is a function of one case and counts its checks.

Here are the laws on the numbers themselves; what an array may be is in :mod:`~autodiff.testing.forms`, how a rule
behaves in :mod:`~autodiff.testing.conduct`, running a graph again in :mod:`~autodiff.testing.replay`, many examples at
once in :mod:`~autodiff.testing.batches`.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import CheckError, DegenerateWarning, message
from ..traced import plain
from .batches import batched
from .cases import BOTH, COMPLEXES, FLOATS, REFUSALS, Case, Counts, cases, differentiable, floating
from .conduct import linearity, once, purity
from .differences import scale_of
from .forms import dtypes, layouts, sizes, stretching
from .probe import (
    UNDERFLOW,
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
from .replay import compiled, replay

__all__ = ["LAWS", "Case", "Counts", "cases", "differentiable", "floating", "judge"]

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


SPECIAL: dict[str, Callable[[int], Any]] = {
    "zeros": lambda n: np.zeros(n),
    "negative zeros": lambda n: -np.zeros(n),
    "ones": lambda n: np.ones(n),
    "ones and halves of both signs": lambda n: np.resize([0.5, -1.0, 0.0, 1.0, -0.5], n),
    "pairs that tie": lambda n: np.resize([1.0, 2.0, 2.0, 1.0, 3.0], n),
    "huge": lambda n: np.resize([1e150, -2e150, 3e150], n),
    "tiny": lambda n: np.resize([1e-150, -2e-150, 3e-150], n),
    "saturating": lambda n: np.resize([400.0, -400.0, 20.0], n),
}
"""Where a random draw never goes: zeros of both signs, ties, saturation, both ends of the exponents."""


UNDEFINED = frozenset(("singular_slope",))
"""The derivative of a norm by singular values: these matrices have equal ones, where it has no derivative itself."""


def special(case: Case) -> Counts:
    """3. At special points the two modes agree to rounding, and so do their four orders, wherever they are finite.

    Nothing is said here of what is true at a corner, only that every way to compute it says the same. Pointwise
    operations have more such points, and an exact oracle, in tests of their own.
    """
    counts, rng = Counts(), case.rng("special")
    if case.op.kind == "elementwise" or case.op.name in UNDEFINED:
        return counts
    for name, fill in SPECIAL.items():
        xs = tuple(fill(np.size(x)).reshape(np.shape(x)) for x in case.xs)
        there = case._replace(
            args=tuple(xs[case.active.index(k)] if k in case.active else x for k, x in enumerate(case.args))
        )
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's own, about degrees of freedom
            warnings.simplefilter("ignore", DegenerateWarning)  # where δ is nan
            ys = there.plain()
            if ys is not None and _calm(ys):
                counts += _at_special(there, f"{case.label}, at {name}", ys, rng)
    return counts


def _calm(xs: Arrays) -> bool:
    return all(np.all(np.abs(x) < 1e300) for x in xs)


def _singular(xs: Arrays, ys: Arrays, slopes: Arrays, along: Arrays) -> bool:
    """Whether a derivative is out of all proportion: at equal singular values, say, it is rounding over rounding."""
    return norm(slopes) * norm(xs) > 1e8 * norm(ys) * norm(along)


def _at_special(case: Case, what: str, ys: Arrays, rng: np.random.Generator) -> Counts:
    """One special point: order 1 where it is finite, then order 2 where that is."""
    counts, xs = Counts(), case.xs
    ws = tuple(draw_like(rng, y) for y in ys)
    us, vs = (tuple(draw_like(rng, x) for x in xs) for _ in range(2))
    back, ahead = pull(case.f, xs, ws), push(case.f, xs, vs)
    if not _calm((*back, *ahead)) or _singular(xs, ys, back, ws):
        return counts
    one, two = float(pairing(ws, ahead)), float(pairing(back, vs))
    steepness = norm(ys) / (norm(xs) or 1.0)  # what a derivative that cancels is rounded against
    allowed = 1e-13 * (norm(ws) * (norm(ahead) + steepness * norm(vs)) + norm(back) * norm(vs)) + UNDERFLOW
    if not abs(one - two) <= allowed:
        fail(what, "special", two, one, allowed, "⟨δx, v⟩ in reverse is not ⟨w, ẏ⟩ in forward mode")
    counts.update((k, 1, mode) for k in case.active for mode in BOTH)
    four = four_ways(case, xs, us, vs, ws)
    gradient = derived(case.f, "reverse", ws)
    along, across = push(gradient, xs, vs), push(gradient, xs, us)
    if not _calm((*along, *across)) or _singular(xs, back, along, vs):
        return counts
    slopes = norm(us) * norm(vs) * (norm(back) + norm(ws) * steepness) / (norm(xs) or 1.0)
    allowed = 1e-12 * (norm(us) * norm(along) + norm(vs) * norm(across) + slopes) + UNDERFLOW
    want = four["forward over reverse"]
    for name, number in four.items():
        overflow = not np.isfinite(number) and not 1e-100 < scale_of(*xs) < 1e100  # of a product on the way
        if not abs(number - want) <= allowed and not overflow:
            fail(f"{what}, order 2, {name}", "special", number, want, allowed, f"the four ways give {four}")
    counts.update((k, 2, mode) for k in case.active for mode in BOTH)
    return counts


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
    """A flat operation computes NumPy's own result on tensors, in every dtype, and its δ is zero."""
    counts = Counts()
    for kind in (*FLOATS, *COMPLEXES):
        xs = tuple(np.asarray(x).astype(kind) for x in case.args)
        there = case._replace(args=xs)
        try:
            want = case.op(*xs, **case.example.params)
        except (TypeError, ValueError):  # it takes no numbers of this kind, or no array of this shape
            continue
        _check_flat(there, xs, want)
        counts.update((k, 1, "reverse") for k in range(len(xs)))
    return counts


def _check_flat(case: Case, xs: Arrays, want: Any) -> None:
    found: list[Any] = []

    def f(*tensors: Any) -> tuple[Any, ...]:
        y = case.op(*tensors, **case.example.params)
        found[:] = [plain(part) for part in (y if isinstance(y, (tuple, list)) else (y,))]
        return tuple(np.real(np.sum(part)) for part in (*(x * 0 for x in tensors), *floating(y)))

    with np.errstate(all="ignore"):
        back = pull(f, xs, tuple(np.ones((), y.dtype)[()] for y in f(*xs)))
    for got, wanted in zip(found, want if isinstance(want, (tuple, list)) else (want,), strict=True):
        numbers = np.asarray(wanted).dtype.kind in "fc"
        if not np.array_equal(np.asarray(got), np.asarray(wanted), equal_nan=numbers):
            fail(case.label, "flatness", got, wanted, 0.0, "on tensors it computes something else than on arrays")
    for k, d in enumerate(back):
        if np.any(d != 0):
            fail(f"{case.label}, argument {k}", "flatness", d, 0.0, 0.0, "its derivative is zero by nature")


LAWS: dict[str, Callable[[Case], Counts]] = {
    "adjoint": adjoint,
    "oracle": oracle,
    "complex": on_complex,
    "second": second,
    "special": special,
    "dtypes": dtypes,
    "purity": purity,
    "layouts": layouts,
    "sizes": sizes,
    "stretching": stretching,
    "once": once,
    "linearity": linearity,
    "replay": replay,
    "compiled": compiled,
    "batched": batched,
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
        raise CheckError(
            message(
                f"{case.label}: law {law!r} could not run: {type(error).__name__}: {error}",
                "the operation or one of its rules raised it",
                "the traceback above says where; mend the rule, or give examples at which it is defined",
            )
        ) from error
