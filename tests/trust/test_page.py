"""docs/reliability.md has a place for the figures of each file of tests, and figures in it."""

from pathlib import Path

from tests.trust.__main__ import MARKS, PAGE, figures, filled

APART = {"test_page", "test_adversary"}  # the one asks about the page, the other has a table of its own there
FILES = {path.stem for path in Path(__file__).parent.glob("test_*.py")} - APART


def test_every_file_has_its_place_on_the_page():
    assert {mark[2] for mark in MARKS.finditer(PAGE.read_text(encoding="utf-8"))} == FILES


def test_cases_of_one_kind_are_added_up_and_put_between_the_marks():
    notes = [{"file": "test_a", "what": "graphs", "count": 2}, {"file": "test_a", "what": "graphs", "count": 1998}]
    page = "words\n<!-- tried: test_a -->\nold\n<!-- end -->\n<!-- tried: test_b -->\nkept\n<!-- end -->\n"
    done = filled(page, figures(notes))
    assert "| graphs | 2,000 |" in done
    assert "old" not in done
    assert "kept" in done
    assert filled(done, figures(notes)) == done
    more = filled(done, {"test_a": {"other graphs": 1500}}, keep=True)
    assert "| graphs | 2,000 |" in more
    assert "| other graphs | 1,500 |" in more
    assert "| graphs" not in filled(done, {"test_a": {"other graphs": 1500}})
