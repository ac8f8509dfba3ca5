"""Law 14: agreement with other engines to 1e-10, at order 1 and 2, or a line in docs/disagreements.md that says why."""

import numpy as np
import pytest

from tests.peers import coverage, page
from tests.peers.engines import installed
from tests.peers.reasons import CHOICE

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # what engines warn of is theirs

WRONG = {("np.cbrt(x)", "xx")}
"""A second derivative that is infinite, and nan here: of another sign on each side."""

BEYOND = {("np.where(x == 0, 1.0, np.sin(x) / x)", "xx"), ("np.linalg.norm(x) ** 2", "xx")}
"""Where the expression as it is written loses what it would need, in any engine: digits, or the slope at a corner."""


@pytest.fixture(scope="module")
def table():
    peers = installed(*page.PEERS)
    missing = set(page.PEERS) - {peer.name.replace("PyTorch", "torch").lower() for peer in peers}
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")
    return page.compared(peers)


def test_we_refuse_no_expression(table):
    refused = {point.text: ours for point, ours, _ in table if not isinstance(ours, dict)}
    assert not refused


def test_enough_is_compared(table):
    agreeing = sum(
        np.sum(page.agree(ours[by], answers[by]))
        for _, ours, theirs in table
        for answers in theirs.values()
        if isinstance(answers, dict)
        for by in ours
    )
    assert agreeing > 5000


def test_every_disagreement_has_its_reason(table):
    silent = {(row.text, row.by, row.at) for row in page.disagreements(table) if not page.verdict(row)[0]}
    assert not silent, "say why in tests/peers/reasons.py"


def test_where_there_is_a_truth_we_have_it(table):
    rows = page.disagreements(table)
    wrong = {
        (row.text, row.by)
        for row in rows
        if row.right is not None and "autodiff" not in row.right and page.verdict(row)[1] != CHOICE
    }
    assert wrong - BEYOND <= WRONG


def test_the_page_is_fresh(table):
    names = [peer.name for peer in installed(*page.PEERS)]
    assert page.PAGE.read_text(encoding="utf-8") == page.render(table, names), "run python -m tests.peers"


def test_nothing_is_silently_wrong_and_little_is_refused():
    patterns = coverage.patterns()
    assert len(patterns) >= 500
    (ours,) = coverage.judged([]).values()
    short = {text.split("(")[0] for text, verdict in ours.items() if verdict != "right"}
    assert short == set(coverage.ON_PURPOSE)
