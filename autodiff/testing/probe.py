"""Two doubts about any function of arrays: whether reverse fits forward, and whether they fit the function itself.

Both serve derivatives of every order, because the derivative of a function is made here as a function again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import CheckError, message
from ..transforms import jvp, vjp
from .differences import Estimate, Function, derivative, scale_of

Arrays = Sequence[Any]


def pairing(ds: Arrays, ts: Arrays) -> Any:
    """Re Σ δ·ẋ over all the arrays: what a δ and a tangent have to say to one another."""
    return sum((np.real(np.sum(d * t)) for d, t in zip(ds, ts, strict=True)), 0.0)


def norm(xs: Arrays) -> float:
    """The Euclidean norm of all the arrays together; scaled first, so that no square is lost or overflows."""
    top = scale_of(*xs)
    if not 0 < top < np.inf:
        return top
    return float(top * sum(float(np.sum((np.abs(x) / top) ** 2)) for x in xs) ** 0.5)


def draw_like(rng: np.random.Generator, x: Any) -> Any:
    """A direction with the shape and dtype of x; along each axis of the complex plane where x is complex."""
    shape, dtype = np.shape(x), np.asarray(x).dtype
    v = rng.standard_normal(shape)
    if dtype.kind == "c":
        v = v + 1j * rng.standard_normal(shape)
    return np.asarray(v).astype(dtype)[()]


def only(k: int, v: Any, xs: Arrays) -> tuple[Any, ...]:
    """Directions that are zero but for argument k."""
    return tuple(v if i == k else np.zeros_like(x)[()] for i, x in enumerate(xs))


def pull(f: Function, xs: Arrays, ws: Any) -> tuple[Any, ...]:
    """Our reverse mode: δ of every argument for the δ of every result."""
    found: tuple[Any, ...] = vjp(f, *xs)[1](tuple(ws))
    return found


def push(f: Function, xs: Arrays, vs: Any) -> tuple[Any, ...]:
    """Our forward mode: the tangent of every result."""
    found: tuple[Any, ...] = jvp(f, tuple(xs), tuple(vs))[1]
    return found


def derived(f: Function, mode: str, along: Arrays) -> Function:
    """The derivative of f as a function again: xs → δ of each for fixed seeds, or xs → ẏ along fixed directions."""
    if mode == "reverse":
        return lambda *xs: pull(f, xs, along)
    return lambda *xs: push(f, xs, along)


def fail(what: str, law: str, got: Any, want: Any, allowed: float, why: str) -> NoReturn:
    """Raise the error that names what failed, which law, and both numbers."""
    raise CheckError(
        message(
            f"{what}: law '{law}' is broken\n  got:     {got!r}\n  wanted:  {want!r}\n  allowed: {allowed:.3g}",
            why,
            "mend the derivative rule, or draw the example where the function is smooth",
        )
    )


UNDERFLOW = 1e-290
"""What is smaller than this has lost digits, in doubles, on its way."""


def check_adjoint(what: str, f: Function, xs: Arrays, vs: Arrays, ws: Arrays, ulps: float = 64.0) -> None:
    """⟨w, J·v⟩ = ⟨Jᵀ·w, v⟩ between our own two modes, to rounding."""
    js, ts = push(f, xs, vs), pull(f, xs, ws)
    one, two = pairing(ws, js), pairing(ts, vs)
    eps = max((float(np.finfo(np.asarray(a).dtype).eps) for a in (*xs, *ws)), default=0.0)
    allowed = ulps * eps * (norm(ws) * norm(js) + norm(ts) * norm(vs)) + UNDERFLOW
    if not abs(one - two) <= allowed:
        fail(what, "adjoint", float(two), float(one), allowed, "⟨δx, v⟩ in reverse is not ⟨w, ẏ⟩ in forward mode")


def check_oracle(
    what: str, f: Function, xs: Arrays, vs: Arrays, found: Arrays, rtol: float | None = None, atol: float = 0.0
) -> Estimate:
    """A derivative along vs against one that was found by evaluating f alone."""
    truth = derivative(f, xs, vs)
    atol += truth.rtol * 1e-6 * norm(vs)  # differences of a derivative that is zero leave their rounding
    for n, (got, want, error) in enumerate(zip(found, truth.values, truth.errors, strict=True)):
        allowed = np.maximum(rtol or 0.0, truth.rtol) * scale_of(want) + atol + np.finfo(float).tiny
        off = np.abs(got - want)
        if np.size(off) and not np.all(off <= allowed):
            place = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), np.shape(off))
            fail(
                f"{what}, result {n}{_where(place)}", "oracle", np.asarray(got)[place][()],
                np.asarray(want)[place][()], float(np.max(allowed)),
                f"by {truth.method}, which may be off by {np.asarray(error)[place]:.1e}",
            )  # fmt: skip
    return truth


def _where(place: tuple[Any, ...]) -> str:
    return f" at {[int(i) for i in place]}" if place else ""
