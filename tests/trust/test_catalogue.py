"""The catalogue of errors: for each class a program that raises it, one that does not, a message of four parts."""

import ast
import contextlib
import doctest
import io
import re
import warnings
from pathlib import Path

import pytest

import autodiff as ad
from autodiff import errors
from autodiff.cli import catalogue
from autodiff.graph import OPERATIONS

HOUSE = Path(ad.__file__).parent
ENTRIES = {entry.name: entry for entry in catalogue.entries()}
GROUPS = {"AutodiffError"}
"""What is raised only through what is made from it."""
INSIDE = {"EngineError", "SlowError", "UntoldError"}
"""What is caught where it is raised for: the next way of laying out a picture is taken, NumPy is not asked."""
CASES = [entry for entry in ENTRIES.values() if entry.name not in GROUPS]
PARTS = ["where", "why", "instead"]


def names_of(classes):
    return {cls.__name__ for cls in classes}


def subclasses(cls):
    return {cls, *(deep for sub in cls.__subclasses__() for deep in subclasses(sub))}


@pytest.fixture(autouse=True)
def registry():
    """Programs declare operations of their own; they are gone afterwards."""
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


def test_every_error_and_warning_of_the_package_is_in_the_catalogue(tried):
    ours = {cls for base in (Exception, Warning) for cls in subclasses(base) if cls.__module__.startswith("autodiff")}
    assert names_of(ours) - INSIDE == set(ENTRIES)
    assert names_of(errors.AutodiffError.__subclasses__()) <= set(ENTRIES)
    tried("classes of the catalogue", len(ENTRIES))


def test_no_name_of_the_module_is_left_out():
    public = {name for name, thing in vars(errors).items()
              if isinstance(thing, type) and issubclass(thing, BaseException) and not name.startswith("_")}  # fmt: skip
    assert public == set(ENTRIES)


@pytest.mark.parametrize("entry", CASES, ids=lambda entry: entry.name)
def test_the_wrong_program_raises_exactly_this_with_four_parts(entry, tmp_path, monkeypatch, tried):
    monkeypatch.chdir(tmp_path)
    code = catalogue.source(entry.wrong)
    said = catalogue.said(entry)
    assert type(said) is entry.cls
    assert catalogue.shown(said)[-3:] == PARTS
    last = max(statement.lineno for statement in ast.walk(ast.parse(code).body[-1]) if hasattr(statement, "lineno"))
    first = ast.parse(code).body[-1].lineno
    place = re.search(r"^  where:   (.*):(\d+)$", str(said), re.MULTILINE)
    assert place[1] == catalogue.FILE
    assert 1 <= int(place[2]) <= last
    head = str(said).partition("\n")[0]
    expected = doctest.DocTestParser().get_examples(entry.wrong)[-1].exc_msg
    assert expected.startswith(f"autodiff.errors.{entry.name}: ")
    shown = expected.removeprefix(f"autodiff.errors.{entry.name}: ").partition("\n")[0]
    assert doctest.OutputChecker().check_output(shown + "\n", head + "\n", doctest.ELLIPSIS)
    assert len(shown) > 8, "the docstring shows what is said"
    assert first <= last
    assert list(tmp_path.iterdir()) == []
    tried("wrong programs that raise exactly their error", 1)


@pytest.mark.parametrize("entry", CASES, ids=lambda entry: entry.name)
def test_the_right_program_runs_and_gives_what_it_shows(entry, tmp_path, monkeypatch, tried):
    """Its names may come from the wrong one, of which only the last statement fails."""
    monkeypatch.chdir(tmp_path)
    assert entry.right
    *before, _ = doctest.DocTestParser().get_examples(entry.wrong)
    examples = doctest.DocTestParser().get_examples(entry.right)
    assert any(example.want for example in examples), "it shows no result"
    assert not any(example.exc_msg for example in examples)
    namespace = {"__name__": "reader"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        for example in before:
            exec(compile(example.source, entry.name, "single"), namespace)
    test = doctest.DocTest(examples, namespace, entry.name, entry.name, 0, None)
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.run(test, out=told.write)
    assert not runner.failures, told.getvalue()
    assert list(tmp_path.iterdir()) == []
    tried("right programs that run", 1)


def test_a_program_that_does_not_raise_is_seen():
    assert catalogue.said(ENTRIES["SeedError"]._replace(wrong=">>> 1 + 1\n2")) is None
    other = catalogue.said(ENTRIES["SeedError"]._replace(wrong=ENTRIES["DtypeError"].wrong))
    assert type(other) is errors.DtypeError
