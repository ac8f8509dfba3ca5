"""What the laws are run on: every registered operation at each of its examples."""

import contextlib
import functools
import os
import pickle
from pathlib import Path

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


SHARED = os.environ.get("AUTODIFF_SHARED")
"""Where the processes of one run tell each other what they have counted: a folder that tests/conftest.py makes."""


@functools.cache
def _judged(law, index):
    told = Path(SHARED) / f"{law}-{index}" if SHARED else None
    if told is not None and told.exists():
        return pickle.loads(told.read_bytes()), None
    try:
        counts = judge(law, CASES[index])
    except CheckError as error:
        return None, error
    if told is not None:
        aside = told.with_suffix(f".{os.getpid()}")
        aside.write_bytes(pickle.dumps(counts))
        aside.replace(told)
    return counts, None


def judged(law, case):
    """The counts of one law on one case; run once a run of tests, because the ledger asks again for all of them."""
    counts, error = _judged(law, CASES.index(case) if not isinstance(case, int) else case)
    if error is not None:
        raise error
    return counts


__all__ = ["CASES", "LAWS", "OPS", "SHARP", "judged", "name"]
