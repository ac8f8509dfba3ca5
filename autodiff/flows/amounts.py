"""Arithmetic on δ: lengths, shares and states of arrays that may hold anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import printable
from ..graph import columns

CANCELS = 0.01
"""Contributions cancel where ‖Σ δᵢ‖ is below this part of Σ ‖δᵢ‖."""
FAINT = 1e-280
"""A sum of squares above this holds nothing that was lost to underflow."""
DOUBLE = np.dtype(np.float64)


class Rows(list[dict[str, Any]]):
    """A list of dicts with the same keys that prints as a table.

    Attributes
    ----------
    told : str
        What the rows say, as a sentence to be read aloud.
    summary : dict
        Numbers about all rows together.
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), told: str = "") -> None:
        super().__init__(rows)
        self.told = told
        self.summary: dict[str, Any] = {}

    def __str__(self) -> str:
        if not self:
            return "(no rows)"
        head = tuple(self[0])
        return columns([head, *(tuple(_cell(row[key]) for key in head) for row in self)])


class Told(dict[str, Any]):
    """A dict with a sentence.

    Attributes
    ----------
    told : str
        What it says, to be read aloud.
    """

    told: str = ""

    @property
    def summary(self) -> dict[str, Any]:
        """Its numbers without its lists."""
        return {key: value for key, value in self.items() if not isinstance(value, list)}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value), 10_000)  # names among them


def flat(x: Any) -> Any:
    """The elements of a value or δ as one vector; of several results one after another, unused ones left out."""
    if isinstance(x, tuple):
        parts = [np.ravel(part) for part in x if part is not None]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.ravel(x)


def _wide(x: Any) -> Any:
    """In at least double precision, so that squares of half-precision numbers neither vanish nor overflow."""
    if type(x) is np.ndarray and x.dtype is DOUBLE:  # nearly always: nothing to do
        return x.ravel()
    x = flat(x)
    return x.astype(np.result_type(x.dtype, np.float64), copy=False)


def _along(x: Any, y: Any) -> float:
    """Re⟨x, y⟩ of two vectors."""
    return float(np.vdot(x, y)) if x.dtype is DOUBLE and y.dtype is DOUBLE else float(np.vdot(x, y).real)


def _scale(x: Any) -> float:
    largest = float(np.max(np.abs(x), initial=0.0))
    return largest if math.isfinite(largest) and largest > 0 else 1.0


def norm(x: Any) -> float:
    """‖x‖ over all elements, without overflow or underflow on the way."""
    x = _wide(x)
    square = float(np.vdot(x, x).real)
    if FAINT < square < math.inf:  # nearly always: nothing was lost on the way
        return math.sqrt(square)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = _scale(x)
        return float(np.linalg.norm(x / scale)) * scale


def _filled(term: Any, total: Any) -> Any:
    """A term about some of several results, with zeros for the others of which there is a δ."""
    if not isinstance(term, tuple):
        return term
    pairs = zip(term, total, strict=True)
    return tuple(np.zeros_like(whole) if part is None and whole is not None else part for part, whole in pairs)


def divide(terms: Sequence[Any], total: Any) -> dict[str, Any]:
    """How `total` divides over the terms; see :meth:`GradientFlow.shares`."""
    if total is None:
        total = np.zeros(0)
    terms = [_filled(term, total) for term in terms]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        vectors, g = [_wide(term) for term in terms], _wide(total)
        squares = [float(np.vdot(x, x).real) for x in (*vectors, g)]
        scale = unit = 1.0
        if not all(FAINT < square < math.inf for square in squares):  # some were lost on the way
            scale = max([_scale(x) for x in vectors], default=1.0)
            vectors = [x / scale for x in vectors]
            g = g / scale
            unit = _scale(g)  # g may be far smaller than its terms, and its square may not exist
            g = g / unit
            norms, gg = [norm(x) for x in vectors], float(np.vdot(g, g).real)
        else:
            norms, gg = [math.sqrt(square) for square in squares[:-1]], squares[-1]
        whole, size = sum(norms), math.sqrt(gg) * unit
        found = []
        for x, length in zip(vectors, norms, strict=True):
            along = float(np.vdot(g, x).real) if x.size == g.size else math.nan
            found.append({
                "projection": along / unit / gg if gg else math.nan,
                "norm_share": length / whole if whole else math.nan,
                "cosine": min(max(along / math.sqrt(gg) / length, -1.0), 1.0) if gg and length else math.nan,
            })  # fmt: skip
    return {
        "norm": size * scale, "sum_of_norms": whole * scale, "cancels": len(terms) > 1 and size < CANCELS * whole,
        "terms": found,
    }  # fmt: skip


def divide_in_two(a: Any, b: Any, total: Any) -> tuple[float, float, float, float, float]:
    """The projection shares of two terms of a total, their lengths, and the cosine of the angle between them."""
    x, y, g = _wide(a), _wide(b), _wide(total)
    xx, yy, gg = _along(x, x), _along(y, y), _along(g, g)
    if FAINT < xx < math.inf and FAINT < yy < math.inf and FAINT < gg < math.inf and x.size == y.size == g.size:
        along, across, between = _along(g, x), _along(g, y), _along(y, x)
        lengths = math.sqrt(xx), math.sqrt(yy)
        return along / gg, across / gg, *lengths, min(max(between / lengths[1] / lengths[0], -1.0), 1.0)
    first, second = (term["projection"] for term in divide([a, b], total)["terms"])
    return first, second, norm(a), norm(b), divide([a], b)["terms"][0]["cosine"]


def extent(x: Any) -> dict[str, Any]:
    """What :func:`pooled` reads of :func:`statistics`, in a fraction of the time where all elements are finite."""
    wide = _wide(x)
    square = float(np.vdot(wide, wide).real) if wide.dtype.kind in "fc" else 0.0
    if FAINT < square < math.inf:
        return {"size": wide.size, "rms": math.sqrt(square / wide.size), "nan": 0, "+inf": 0, "-inf": 0}
    return statistics(x)


def statistics(x: Any) -> dict[str, Any]:
    """RMS and range of the finite elements, and how many elements are zero, subnormal, nan or infinite.

    Of complex numbers the moduli count. RMS and range are None where no element is finite.
    """
    x = flat(x)
    kind = x.dtype.kind
    size = int(x.size)
    if kind not in "fc":
        x = x.astype(np.float64)
    found: dict[str, Any] = {"size": size, "rms": None, "min": None, "max": None, "zero": 0, "subnormal": 0,
                             "nan": 0, "+inf": 0, "-inf": 0}  # fmt: skip
    if size == 1:
        return _one(x[0], found)
    if size == 0:
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        modulus = np.abs(x)
    found["zero"] = size - int(np.count_nonzero(modulus))
    largest, smallest = float(modulus.max()), float(modulus.min())
    if not math.isfinite(largest):
        found["nan"] = int(np.count_nonzero(np.isnan(modulus)))
        if kind == "c":
            found["+inf"] = int(np.count_nonzero(np.isinf(modulus)))
        else:
            found["+inf"], found["-inf"] = int(np.count_nonzero(x == np.inf)), int(np.count_nonzero(x == -np.inf))
        keep = np.isfinite(modulus)
        x, modulus = x[keep], modulus[keep]
        if not x.size:
            return found
        smallest = float(modulus.min())
    tiny = float(np.finfo(x.dtype).smallest_normal)
    if smallest < tiny:
        found["subnormal"] = int(np.count_nonzero((modulus > 0) & (modulus < tiny)))
    found["rms"] = norm(x) / math.sqrt(x.size)
    if math.isinf(found["rms"]):  # the norm is above all floats, the RMS is never above the largest element
        top = float(modulus.max())
        found["rms"] = top * min(1.0, norm(x / x.dtype.type(top)) / math.sqrt(x.size))
    shown = modulus if kind == "c" else x
    found["min"], found["max"] = float(shown.min()), float(shown.max())
    return found


def _one(x: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The same of a single number, without NumPy's overhead: graphs of scalars have many."""
    modulus = float(abs(x))
    if math.isnan(modulus):
        found["nan"] = 1
    elif math.isinf(modulus):
        found["-inf" if x.dtype.kind != "c" and x < 0 else "+inf"] = 1
    else:
        found["zero"] = int(modulus == 0)
        found["subnormal"] = int(0 < modulus < float(np.finfo(x.dtype).smallest_normal))
        found["rms"] = modulus
        found["min"] = found["max"] = modulus if x.dtype.kind == "c" else float(x)
    return found


def pooled(found: Sequence[dict[str, Any]]) -> float | None:
    """The RMS over all finite elements of several arrays, from the statistics of each; None where there are none."""
    sized = [(s["rms"], s["size"] - s["nan"] - s["+inf"] - s["-inf"]) for s in found if s["rms"] is not None]
    if not sized:
        return None
    scale = max(rms for rms, _ in sized) or 1.0
    return scale * math.sqrt(sum((rms / scale) ** 2 * n for rms, n in sized) / sum(n for _, n in sized))
