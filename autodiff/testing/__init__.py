"""The laws, for users' own functions and operations.

:func:`check_grads` doubts the derivatives of one function at one point. :func:`check_op` runs every law on an
operation: one of the package's own, or a user's primitive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import ArgumentError, CheckError, message
from ..graph import columns
from ..makers import Example, at
from ..op import Op
from ..primitives import Primitive
from .gradients import check_grads
from .laws import LAWS, Case, cases, judge

__all__ = ["Example", "Report", "at", "check_grads", "check_op"]


class Report:
    """How many checks every law made on an operation.

    Attributes
    ----------
    op : Op
    laws : Counter
        The number of checks by law.
    ledger : Counter
        The number of checks by (argument, order, mode).
    """

    def __init__(self, op: Op) -> None:
        self.op = op
        self.laws: Counter[str] = Counter()
        self.ledger: Counter[tuple[int, int, str]] = Counter()

    def enter(self, law: str, case: Case) -> None:
        """Run one law on one case, and count."""
        counts = judge(law, case)
        self.laws[law] += counts.total()
        self.ledger += counts

    @property
    def total(self) -> int:
        """The number of all checks."""
        return self.laws.total()

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("law", "checks"), *((law, str(count)) for law, count in self.laws.items())]
        cells: list[tuple[str, ...]] = [("argument", "order", "mode", "checks")]
        cells += [(str(k), str(n), mode, str(count)) for (k, n, mode), count in sorted(self.ledger.items())]
        return f"{self.op.name}: {self.total} checks\n{columns(rows)}\n\n{columns(cells)}"

    def __repr__(self) -> str:
        return f"<report on {self.op.name}: {self.total} checks by {len(self.laws)} laws>"


def check_op(op: Op | Primitive, examples: Sequence[Example] | None = None) -> Report:
    """Run every law on one operation.

    Parameters
    ----------
    op : Op or Primitive
        An operation of :mod:`autodiff.ops`, or what ``@ad.primitive`` made.
    examples : sequence of Example, optional
        Calls to run the laws on, each made with ``at(*shapes, draw=None, **settings)``. By default the operation's own.
        Arguments are drawn from the standard normal distribution; ``draw=lambda rng, shape: …`` draws them elsewhere (a
        tuple of such, one an argument), for the operation must be smooth where it is checked.

    Returns
    -------
    Report
        How many checks were made, by law and by (argument, order, mode).

    Raises
    ------
    CheckError
        At the first check that fails: names the law, the example, and both numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.testing import at, check_op
    >>> @ad.primitive
    ... def softplus(x):
    ...     return np.logaddexp(x, 0)
    >>> _ = softplus.defvjp(lambda d, y, x: d * (1 - np.exp(-y)))
    >>> report = check_op(softplus, [at((3, 4)), at(())])
    >>> report.laws["adjoint"] > 0 and report.ledger[0, 2, "reverse"] > 0
    True
    """
    judged = op.op if isinstance(op, Primitive) else op
    if not isinstance(judged, Op):
        raise ArgumentError(
            message(f"check_op: a {type(op).__name__} is not an operation", "the rules of an operation are checked",
                    "one that @ad.primitive made; the derivatives of any function: check_grads(f, (x,))")
        )  # fmt: skip
    drawn = cases(judged, examples)
    if not drawn:
        raise CheckError(
            message(
                f"check_op: {judged.name} has no examples to check",
                "the laws need arguments, and only those of pointwise operations can be guessed",
                "pass some: check_op(op, [at((3, 4)), at((2, 3), axis=0)])",
            )
        )
    report = Report(judged)
    for case in drawn:
        for law in LAWS if not judged.flat else ("flatness",):
            report.enter(law, case)
    return report
