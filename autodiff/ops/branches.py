"""Pointwise choices: where, maximum, clip. A branch that was not taken gets a true zero; ties share δ equally."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import as_array
from ..makers import REAL, at, composite, elementwise, is_finite, refuse
from ..traced import Traced, held
from .elementwise import POSITIVE, nothing


def masked(d: Any, mask: Any) -> Any:
    """What the mask leaves of d: a true zero where it does not hold, also where d is infinite.

    Multiplying is five times as fast as choosing, so d is chosen only where multiplying made a nan; a tensor always
    chooses, because a graph must not depend on the values of one δ.
    """
    term = d * mask
    return term if not isinstance(term, Traced) and is_finite(term) else np.where(mask, d, 0)


def shared(d: Any, twice: Any) -> Any:
    """The share of d that ``twice`` halves are: all, half, or a true zero."""
    term = (0.5 * d) * twice
    return term if not isinstance(term, Traced) and is_finite(term) else np.where(twice == 0, 0, term)


def above(a: Any, b: Any) -> Any:
    """How many halves of δ are a's where the larger of a and b is taken: 2, at a tie 1, else 0."""
    return (a > b).astype(np.int8) + (a >= b)


def taken(a: Any, b: Any, y: Any) -> Any:
    """The same where y has been taken from a and b by a rule that passes over nan."""
    return (a == y).astype(np.int8) + ((a == y) & (b != y))


where = elementwise(
    np.where,
    lambda d, y, c, a, b: nothing(d),
    lambda d, y, c, a, b: masked(d, c != 0),
    lambda d, y, c, a, b: masked(d, c == 0),
    masks=True, bounded=True, smooth=(None, REAL, REAL), numpy=(),
    formulas=("0 (a condition)", "δa = δy where the condition holds, else 0", "δb = 0 where it holds, else δy"),
    note="where(x > 0, x, 0) has derivative 0 at 0, by the branch that it takes there; maximum(x, 0) has ½",
)  # fmt: skip


@composite(np.where)
def _where(condition: Any, *branches: Any) -> Any:
    if not branches:
        return np.nonzero(condition)
    of_numbers = isinstance(condition, Traced) and held(condition).dtype.kind in "fc"
    if of_numbers:
        condition = condition != 0  # which no derivative passes, whatever the branches are
    if branches[0] is None or branches[-1] is None:
        branches = tuple(map(as_array, branches))  # which is refused: None is no number, and no choice either
    return where(condition, *branches)


_TIES = (((1.0, 1.0), (0.5, 0.5)), ((0.0, -0.0), (0.5, 0.5)), ((np.inf, np.inf), (0.5, 0.5)))

maximum = elementwise(
    np.maximum, lambda d, y, a, b: shared(d, above(a, b)), lambda d, y, a, b: shared(d, above(b, a)),
    masks=True, bounded=True, smooth=(POSITIVE, REAL), edges=(*_TIES, ((2.0, 1.0), (1.0, 0.0))),
    note="ties share δ equally; the larger one has all of it",
    formulas=("δa = δy where a > b, δy / 2 where a = b", "δb = δy where b > a, δy / 2 where a = b"),
)  # fmt: skip
minimum = elementwise(
    np.minimum, lambda d, y, a, b: shared(d, above(b, a)), lambda d, y, a, b: shared(d, above(a, b)),
    masks=True, bounded=True, smooth=(POSITIVE, REAL), edges=(*_TIES, ((2.0, 1.0), (0.0, 1.0))),
    note="ties share δ equally; the smaller one has all of it",
    formulas=("δa = δy where a < b, δy / 2 where a = b", "δb = δy where b < a, δy / 2 where a = b"),
)  # fmt: skip
fmax = elementwise(
    np.fmax, lambda d, y, a, b: shared(d, taken(a, b, y)), lambda d, y, a, b: shared(d, taken(b, a, y)),
    masks=True, bounded=True, smooth=(POSITIVE, REAL), edges=(*_TIES, ((np.nan, 1.0), (0.0, 1.0))),
    note="ties share δ equally; a nan that is passed over gets a true zero",
    formulas=("δa = δy where y is a, δy / 2 at a tie", "δb = δy where y is b, δy / 2 at a tie"),
)  # fmt: skip
fmin = elementwise(
    np.fmin, lambda d, y, a, b: shared(d, taken(a, b, y)), lambda d, y, a, b: shared(d, taken(b, a, y)),
    masks=True, bounded=True, smooth=(POSITIVE, REAL), edges=(*_TIES, ((1.0, np.nan), (1.0, 0.0))),
    note="ties share δ equally; a nan that is passed over gets a true zero",
    formulas=("δa = δy where y is a, δy / 2 at a tie", "δb = δy where y is b, δy / 2 at a tie"),
)  # fmt: skip
heaviside = elementwise(
    np.heaviside, lambda d, y, x, h: nothing(d), lambda d, y, x, h: masked(d, x == 0),
    masks=True, bounded=True, smooth=(POSITIVE, REAL), edges=(((0.0, 3.0), (0.0, 1.0)), ((1.0, 3.0), (0.0, 0.0))),
    note="flat on both sides of the jump; at 0 the value is h",
    formulas=("0 (a step)", "δh = δy where x = 0"),
)  # fmt: skip

# clip is min(max(x, low), high); either bound may be None


def _clip_x(d: Any, y: Any, x: Any, low: Any, high: Any) -> Any:
    d = _clip_raised(d, x, low, high)
    return d if low is None else shared(d, above(x, low))


def _clip_raised(d: Any, x: Any, low: Any, high: Any) -> Any:
    """δ of max(x, low)."""
    return d if high is None else shared(d, above(high, x if low is None else np.maximum(x, low)))


clip = elementwise(
    lambda x, low, high: np.clip(x, low, high),
    _clip_x,
    lambda d, y, x, low, high: shared(_clip_raised(d, x, low, high), above(low, x)),
    lambda d, y, x, low, high: shared(d, above(x if low is None else np.maximum(x, low), high)),
    name="clip", masks=True, bounded=True, smooth=((-3.0, 3.0), (-2.0, -1.0), (1.0, 2.0)), numpy=(),
    formulas=("δx = δy within the bounds, δy / 2 on one", "δlow = δy below it, δy / 2 on it",
              "δhigh = δy above it, δy / 2 on it"),
    edges=(((1.0, 1.0, 2.0), (0.5, 0.5, 0.0)), ((2.0, 1.0, 2.0), (0.5, 0.0, 0.5)), ((1.5, 1.0, 2.0), (1.0, 0.0, 0.0)),
           ((0.0, 3.0, 2.0), (0.0, 0.0, 1.0))),
    note="as minimum(maximum(x, low), high)",
)  # fmt: skip

_NOT_GIVEN: Any = object()


@composite(np.clip)
def _clip(
    a: Any, a_min: Any = _NOT_GIVEN, a_max: Any = _NOT_GIVEN, out: Any = None, *,
    min: Any = _NOT_GIVEN, max: Any = _NOT_GIVEN, **settings: Any,
) -> Any:  # fmt: skip
    """Every spelling of NumPy's: two bounds by position, as a_min and a_max, or as min and max."""
    refuse("clip", out=out, **settings)
    if a_min is _NOT_GIVEN and a_max is _NOT_GIVEN:
        a_min, a_max = (None if bound is _NOT_GIVEN else bound for bound in (min, max))
    elif a_min is _NOT_GIVEN or a_max is _NOT_GIVEN:
        missing = "a_min" if a_min is _NOT_GIVEN else "a_max"
        raise TypeError(f"clip() missing 1 required positional argument: {missing!r}")
    elif min is not _NOT_GIVEN or max is not _NOT_GIVEN:
        raise ValueError("clip() was given two pairs of bounds: a_min and a_max, and min or max as well")
    return clip(a, a_min, a_max)


def _finite_parts(d: Any, y: Any, x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if x.dtype.kind != "c":
        return masked(d, np.isfinite(x))
    return masked(np.real(d), np.isfinite(np.real(x))) + masked(np.imag(d), np.isfinite(np.imag(x))) * 1j


nan_to_num = elementwise(
    np.nan_to_num, _finite_parts, numpy=(np.nan_to_num,), masks=True, bounded=True,
    formulas=("δx = δy where x is finite, else 0",), edges=((np.nan, 0.0), (np.inf, 0.0), (1.0, 1.0)),
    note="what is replaced is a constant",
    examples=(at((3, 4)), at(()), at((3, 4), nan=1.0, posinf=2.0, neginf=-2.0)),
)  # fmt: skip
