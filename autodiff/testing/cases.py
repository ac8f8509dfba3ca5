"""Cases: one operation at one example with its arguments drawn. Every law is a function of one case.

A law counts the checks that it made, for each (argument, order, mode), so that a ledger over all the laws shows what
was never checked.
"""

from __future__ import annotations

import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DegenerateWarning, DtypeError, NoRuleError
from ..makers import REAL, Example, at
from ..op import Op
from .probe import draw_like

Counts = Counter[tuple[int, int, str]]
"""How many checks were made for each (argument, order, mode)."""

BOTH = ("forward", "reverse")
FLOATS = (np.float16, np.float32, np.float64, np.longdouble)
COMPLEXES = (np.complex64, np.complex128, np.clongdouble)
REFUSALS = (NoRuleError, DtypeError, DegenerateWarning)
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

    def elsewhere(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """Other values for the differentiable arguments, drawn as the example says."""
        return tuple(
            draw(self.op, k, self.example, rng, np.shape(self.args[k])).astype(self.args[k].dtype) for k in self.active
        )

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
    dtypes = ((r, getattr(r, "dtype", None)) for r in results)
    return tuple(r for r, dtype in dtypes if isinstance(dtype, np.dtype) and dtype.kind in "fc")


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
