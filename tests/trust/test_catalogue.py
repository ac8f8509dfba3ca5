"""The catalogue of errors: for each class a program that raises it, one that does not, a message of four parts."""

import ast
import contextlib
import doctest
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.cli import catalogue, operations
from autodiff.graph import OPERATIONS
from tests.trust import raises

HOUSE = Path(ad.__file__).parent
ENTRIES = {entry.name: entry for entry in catalogue.entries()}
GROUPS = {"AutodiffError"}
"""What is raised only through what is made from it."""
INSIDE = {"EngineError", "SlowError", "TooFar", "UntoldError"}
"""What is caught where it is raised for: another way of laying out is taken, NumPy is not asked, a search gives up."""
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


# -- every place that raises -------------------------------------------------------------------------------------------

WORDS_OF_NUMPY = ("ops/", "batching/", "numpy/", "tensor.py", "compiler/tiles.py")
"""Where NumPy's functions are written out: they refuse in its words; test_misuse compares the types."""

WORDS_OF_SCIPY = ("scipy/",)
"""The same of SciPy's."""

OTHERS = {
    ("archive.py", "_array"): "caught where a file is read, and told as a LoadError",
    ("archive.py", "_arrays"): "caught where a file is read, and told as a LoadError",
    ("archive.py", "_ordinary"): "caught where a file is read, and told as a LoadError",
    ("archive.py", "decode"): "caught where a file is read, and told as a LoadError",
    ("viz/engine.py", "_read"): "caught where a layout is read; the next way of laying out is taken",
    ("tensor.py", "_like"): "caught where NumPy would be asked",
    ("graph.py", "Graph.restored"): "caught where a graph is read, and told as a LoadError",
    ("graph.py", "Graph._check_loaded.fail"): "caught where a graph is read, and told as a LoadError",
    ("graph.py", "Graph._check_settings"): "caught where a graph is read, and told as a LoadError",
    ("graph.py", "_of"): "caught where a graph is read, and told as a LoadError",
    ("training.py", "load"): "caught where a history is read, and told as a WatchError",
    ("training.py", "_number"): "caught where a history is read, and told as a WatchError",
    ("graph.py", "Graph._load_node"): "caught where a graph is read, and told as a LoadError",
    ("op.py", "Op.bind"): "Python's own word for too many arguments",
    ("op.py", "register"): "who adds an operation to the package sees it when it is imported",
    ("makers.py", "_accepted"): "who declares an operation of the package sees it when it is imported",
    ("op.py", "_unreachable"): "an end of a graph: no program comes here",
    ("recorders.py", "Trace.compute"): "what only the trace of a batch does",
    ("__main__.py", "_count"): "argparse tells it, with the usage",
    ("__main__.py", "_natural"): "argparse tells it, with the usage",
    ("viz/engine.py", "run"): "caught where the next way of laying out is taken",
    ("viz/engine.py", "arrange_with"): "caught where the next way of laying out is taken",
    ("viz/raster.py", "check_letters"): "caught where the next way of laying out is taken",
}
"""Raised without the four parts, and why."""


def test_every_place_that_raises_gives_the_four_parts_or_has_its_reason(tried):
    places, used = list(raises.sites()), set()
    assert len(places) > 200
    for site in places:
        key = (site.file, site.function)
        ours = site.raises.rpartition(".")[2] in ENTRIES
        made_elsewhere = not site.raises.endswith(("Error", "Iteration"))  # a helper makes it: `raise _refused(…)`
        if site.has_parts or made_elsewhere:
            continue
        if key in OTHERS:
            used.add(key)
            continue
        assert not ours, f"{site.file}:{site.line} {site.raises} without its four parts"
        assert site.of_python, f"{site.file}:{site.line} {site.raises}"
        assert site.file.startswith((*WORDS_OF_NUMPY, *WORDS_OF_SCIPY)), f"{site.file}:{site.line} {site.raises}"
    assert used == set(OTHERS)
    tried("places in the package that raise", len(places))


# -- what is advised exists --------------------------------------------------------------------------------------------

NAME = re.compile(r"\b(ad|np|autodiff|graph|flow)((?:\.[A-Za-z_]\w*)+)")
OBJECTS = {"graph": ad.Graph, "flow": ad.GradientFlow}


def stands(root, dotted):
    """Whether a name that a message advises leads to something public."""
    thing = {"ad": ad, "autodiff": ad, "np": np, **OBJECTS}[root]
    for part in dotted.strip(".").split("."):
        if part in FILES:
            return True
        if isinstance(thing, type) and part in getattr(thing, "__annotations__", {}):
            return True
        if not hasattr(thing, part):
            return False
        thing = getattr(thing, part)
    return True


FILES = {"json", "svg", "npz", "html", "py", "dtype"}
"""Suffixes of files, and an attribute of what is meant by np.array."""


def test_what_messages_advise_exists(tried):
    operations.load()
    found = [(file, line, *name) for file, line, text in raises.advice() for name in NAME.findall(text)]
    assert len(found) > 80
    missing = [f"{file}:{line} {root}{dotted}" for file, line, root, dotted in found if not stands(root, dotted)]
    assert missing == []
    tried("names that messages advise", len(found))


def test_a_name_that_is_not_there_is_seen():
    assert stands("ad", ".grad")
    assert stands("np", ".linalg.norm")
    assert not stands("ad", ".gradient")
    assert not stands("flow", ".nonsense")
