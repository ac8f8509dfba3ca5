"""Every law on every registered operation at every example; no operation is named here."""

import pytest

from autodiff.testing.laws import LAWS
from tests.laws.registry import CASES, judged, name

NUMBERED = [pytest.param(i, id=name(case)) for i, case in enumerate(CASES)]
SMOOTH = [param for param in NUMBERED if CASES[param.values[0]].active]
FLAT = [param for param in NUMBERED if CASES[param.values[0]].op.flat]

FIRST_EXAMPLE_ONLY = {"stretching": "elementwise", "corners": "elementwise"}


@pytest.mark.parametrize("index", SMOOTH)
@pytest.mark.parametrize("law", [law for law in LAWS if law not in FIRST_EXAMPLE_ONLY])
def test_law(law, index):
    judged(law, index)


@pytest.mark.parametrize(
    "index", [p for p in SMOOTH if CASES[p.values[0]].op.kind == "elementwise" and not CASES[p.values[0]].number]
)
@pytest.mark.parametrize("law", FIRST_EXAMPLE_ONLY)
def test_law_of_pointwise_operations(law, index):
    counts = judged(law, index)
    assert counts or not CASES[index].op.edges or law != "corners"


@pytest.mark.parametrize("index", FLAT)
def test_flat(index):
    judged("flatness", index)
