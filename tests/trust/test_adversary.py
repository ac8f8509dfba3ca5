"""Small programs that make other engines give a wrong number: ours gives the right one, or refuses by name."""

import re

import numpy as np
import pytest

from autodiff.errors import AutodiffError
from tests.trust.adversary import CASES, MARKS, OURS, PAGE, Case, outcome

BY_PYTHON = {"`statistics.mean([x, x * x])` at 3", "`sum(x * np.frombuffer(x))`"}
"""Python asks for a type there, and no protocol lets another one answer: it raises by itself."""


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.text)
def test_right_or_refused_by_name(given):
    said, found = outcome(OURS, given)
    assert said != "wrong", found
    if isinstance(found, BaseException):
        assert isinstance(found, TypeError if given.text in BY_PYTHON else AutodiffError), found


def test_an_outcome_is_what_it_says():
    def breaks(E):
        raise ArithmeticError

    assert outcome(OURS, Case("", "", 1.0, lambda E: 1.0))[0] == "right"
    assert outcome(OURS, Case("", "", 1.0, lambda E: 1.0 + 1e-7))[0] == "wrong"
    assert outcome(OURS, Case("", "", np.ones(2), lambda E: 1.0))[0] == "wrong"
    assert outcome(OURS, Case("", "", 0.0, lambda E: np.nan))[0] == "wrong"
    assert outcome(OURS, Case("", "", 1.0, breaks))[0] == "refused"
    assert outcome(OURS, Case("", "", 1.0, lambda E: None))[0] == "refused"
    assert outcome(OURS, Case("", "", "refused", lambda E: 1.0))[0] == "wrong"
    assert outcome(OURS, Case("", "", "refused", breaks))[0] == "right"


def test_the_page_shows_every_case_and_what_ours_does():
    rows = MARKS.search(PAGE.read_text(encoding="utf-8"))[0]
    shown = dict(re.findall(r"^\| (.*?) \| (\**\w+\**) \|", rows, re.MULTILINE))
    for given in CASES:
        assert shown[given.text] == outcome(OURS, given)[0], given.text


def test_what_readme_says_of_the_peers_is_on_the_page():
    page = MARKS.search(PAGE.read_text(encoding="utf-8"))[0]
    names = re.search(r"^\| program \|(.*)\|$", page, re.MULTILINE)[1].split("|")
    wrong = re.search(r"^\| \*\*wrong without a word\*\* \|(.*)\|$", page, re.MULTILINE)[1].split("|")
    found = dict(zip((name.strip() for name in names), map(int, wrong), strict=True))
    said = re.sub(r"\s+", " ", (PAGE.parents[1] / "README.md").read_text(encoding="utf-8"))
    assert f"of {len(CASES)} small programs" in said
    assert f"PyTorch gives {found['PyTorch']}, JAX {found['JAX']}" in said
    assert found["autodiff"] == 0
