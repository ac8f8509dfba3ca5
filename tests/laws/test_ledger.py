"""What was never checked: counts for each (operation, argument, order, mode), and a zero is a failure."""

from collections import Counter

import pytest

from autodiff.testing.laws import cases, differentiable
from tests.laws.registry import CASES, OPS, judged

COUNTING = ("adjoint", "oracle", "second")

ALSO = {
    "dtypes": "7 dtypes", "purity": "7 pure", "layouts": "8 layouts", "sizes": "8 sizes", "replay": "12 replay",
    "compiled": "12 compiled", "batched": "16 batched",
}  # fmt: skip
"""Laws that are counted as well, by operation and argument, each in a column of its own."""

NEEDED = ("purity", "layouts", "replay", "compiled", "batched")


@pytest.fixture(scope="module")
def ledger():
    """The counts of the laws that look at derivatives. What other tests of this run have run is not run again."""
    found = Counter()
    for i, case in enumerate(CASES):
        for law in (*COUNTING, *ALSO) if case.active else ():
            try:
                counts = judged(law, i)
            except AssertionError:  # reported by the test of that law; here it counts as not checked
                continue
            for (k, order, mode), count in counts.items():
                if law in COUNTING:
                    found[case.op.name, k, order, mode] += count
                else:
                    found[case.op.name, k, law] += count
    return found


def required(op):
    """The arguments that must have been checked: those that a rule is declared for, but for conditions and counts."""
    drawn = cases(op)
    found = {k for case in drawn for k in case.active}
    discrete = {k for case in drawn for k, x in enumerate(case.args) if x.dtype.kind not in "fc"}
    return found | {k for k in range(len(op.vjps)) if differentiable(op, k)} - discrete


def test_no_derivative_is_unchecked(ledger):
    rows, missing = [], []
    for op in OPS:
        if op.flat:
            continue
        arguments = required(op) or {0}
        for k in sorted(arguments):
            counts = [ledger[op.name, k, order, mode] for order in (1, 2) for mode in ("forward", "reverse")]
            others = [ledger[op.name, k, law] for law in ALSO]
            rows.append(f"{op.name:26}{k:>4}" + "".join(f"{count:>11}" for count in (*counts, *others)))
            if not all(counts) or not all(ledger[op.name, k, law] for law in NEEDED):
                missing.append(rows[-1])
    titles = [f"{mode} {order}" for order in (1, 2) for mode in ("forward", "reverse")]
    head = f"{'operation':26}{'arg':>4}" + "".join(f"{title:>11}" for title in (*titles, *ALSO.values()))
    print("\n".join(["", head, *rows]))  # shown with -s, and where the test fails
    assert not missing, "never checked:\n" + "\n".join([head, *missing])


@pytest.mark.parametrize("op", [op for op in OPS if not op.flat], ids=lambda op: op.name)
def test_every_setting_is_given_in_an_example(op):
    given = {key for case in cases(op) for key in case.example.params}
    assert op.accepts <= given, f"no example of {op.name} gives {sorted(op.accepts - given)}"
