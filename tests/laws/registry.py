"""What the laws are run on: every registered operation at each of its examples."""

import contextlib
import functools

from autodiff.errors import CheckError, MissingExtraError
from autodiff.graph import OPERATIONS
from autodiff.testing.laws import LAWS, cases, judge

with contextlib.suppress(MissingExtraError):
    import autodiff.scipy.linalg
    import autodiff.scipy.sparse
    import autodiff.scipy.special  # noqa: F401 its rules are held to the same laws where SciPy is installed

OPS = [
    op
    for op in OPERATIONS.values()
    if op.kind not in ("input", "constant") and op.name != "item" and not op.user  # the ends of a graph, and tests' own
]
CASES = [case for op in OPS for case in cases(op)]
SHARP = [case for case in CASES if case.active]


def name(case):
    return f"{case.op.name}-{case.number}"


@functools.cache
def _judged(law, index):
    try:
        return judge(law, CASES[index]), None
    except CheckError as error:
        return None, error


def judged(law, case):
    """The counts of one law on one case; run once a process, because the ledger asks again for what a test has run."""
    counts, error = _judged(law, CASES.index(case) if not isinstance(case, int) else case)
    if error is not None:
        raise error
    return counts


__all__ = ["CASES", "LAWS", "OPS", "SHARP", "judged", "name"]
