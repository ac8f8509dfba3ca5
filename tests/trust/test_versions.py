"""Which Pythons and which NumPys: what is declared, what is pinned, and what depends on the version."""

import ast
import contextlib
import dis
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from autodiff import rules
from autodiff.rules import NOTHING, SHAPE, VALUE
from tests.older import OLDER, lacking, reason
from tests.trust.versions import OLDEST, minors

# -- bytecode ------------------------------------------------------------------------------------------------------

ROWS = [  # one function a row: what it is in 3.11, and what the compilers of later Pythons make of it
    (
        lambda d, y, x: [x for _ in d],
        {"d": VALUE, "y": NOTHING, "x": VALUE},
        {
            "3.12": [("LOAD_FAST", "d"), ("LOAD_FAST_AND_CLEAR", "_"), ("STORE_FAST", "_"), ("LOAD_FAST", "x"),
                     ("STORE_FAST", "_")],
            "3.13": [("LOAD_FAST", "d"), ("LOAD_FAST_AND_CLEAR", "_"), ("STORE_FAST_LOAD_FAST", ("_", "x")),
                     ("STORE_FAST", "_")],
        },
    ),
    (
        lambda d, y, x: d * x.shape[0] + y.size,
        {"d": VALUE, "y": SHAPE, "x": SHAPE},
        {
            "3.13": [("LOAD_FAST_LOAD_FAST", ("d", "x")), ("LOAD_ATTR", "shape"), ("LOAD_FAST", "y"),
                     ("LOAD_ATTR", "size")],
            "3.14": [("LOAD_FAST_BORROW_LOAD_FAST_BORROW", ("d", "x")), ("LOAD_ATTR", "shape"),
                     ("LOAD_FAST_BORROW", "y"), ("LOAD_ATTR", "size")],
        },
    ),
    (
        lambda d, y, x: max(x, x.size),
        {"d": NOTHING, "y": NOTHING, "x": VALUE},
        {"3.13": [("LOAD_FAST_LOAD_FAST", ("x", "x")), ("LOAD_ATTR", "size")]},
    ),
    (
        lambda d, y, x: (lambda: x.shape)(),
        {"d": NOTHING, "y": NOTHING, "x": VALUE},
        {"3.13": [("MAKE_CELL", "x"), ("LOAD_FAST", "x")]},
    ),
    (
        lambda d, y, x: d * locals()["x"],
        {"d": VALUE, "y": VALUE, "x": VALUE},
        {"3.14": [("LOAD_FAST_BORROW", "d")]},
    ),
    (
        lambda d, y, x: d,
        {"d": VALUE, "y": NOTHING, "x": NOTHING},
        {
            "3.13": [("LOAD_FAST", "d"), ("STORE_FAST_STORE_FAST", ("y", "x")), ("DELETE_FAST", "y")],
        },
    ),
    (
        lambda d, y, x: x,
        {"d": NOTHING, "y": NOTHING, "x": VALUE},
        {"one to come": [("SWAP_FAST_WITH_FAST", ("x", "z")), ("LOAD_ATTR", "shape")]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "read"), [row[:2] for row in ROWS])
def test_what_a_rule_reads_in_the_bytecode_of_this_python(rule, read):
    assert rules.reads(rule) == read


@pytest.mark.parametrize(
    ("rule", "read", "steps"), [(rule, read, steps) for rule, read, told in ROWS for steps in told.values()]
)
def test_what_a_rule_reads_in_the_bytecode_of_other_pythons(rule, read, steps, monkeypatch):
    """Written down from those compilers. Where one says that a variable is not read, its value is gone in the sweep."""
    names = sorted({name for name, _ in steps})
    made = [
        SimpleNamespace(opname=name, opcode=1000 + names.index(name), argval=argval) for name, argval in steps
    ]
    monkeypatch.setattr(dis, "haslocal", [step.opcode for step in made if "FAST" in step.opname])
    monkeypatch.setattr(dis, "get_instructions", lambda code: made)
    assert rules.loads(rule.__code__, list(read)) == read


# -- what is declared ----------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def requirements():
    """Each direct dependency of the package and of its tests: what is required of it."""
    found, waiting = {}, [*DECLARED["dependencies"], "autodiff[test]"]
    while waiting:
        one = Requirement(waiting.pop())
        if one.name == DECLARED["name"]:
            waiting += [text for extra in one.extras for text in DECLARED["optional-dependencies"][extra]]
        else:
            found[one.name] = one
    return found


def pinned():
    lines = (line.partition("#")[0].strip() for line in OLDEST.read_text(encoding="utf-8").splitlines())
    return {one.name: one for one in map(Requirement, filter(None, lines))}


def oldest(one):
    """The version in a bound from below, or None."""
    return next((Version(bound.version) for bound in one.specifier if bound.operator in (">=", "==")), None)


def test_every_direct_dependency_has_its_oldest_version():
    assert pinned().keys() == requirements().keys()
    assert all([bound.operator for bound in one.specifier] == ["=="] for one in pinned().values())
    assert list(pinned()) == sorted(pinned())


def test_bounds_from_below_are_the_oldest_versions_that_are_tested():
    bounds = {name: oldest(one) for name, one in requirements().items()}
    assert {name for name, bound in bounds.items() if bound is not None} >= {
        "numpy", "scipy", "networkx", "graphviz", "optree", "matplotlib", "pytest",
    }  # fmt: skip
    for name, bound in bounds.items():
        assert bound in (None, oldest(pinned()[name])), name


def test_the_pythons_that_are_declared():
    told = [text.rpartition(" ")[2] for text in DECLARED["classifiers"] if re.search(r"Python :: 3\.\d+$", text)]
    assert told == PYTHONS
    assert DECLARED["requires-python"] == f">={PYTHONS[0]}"
    assert ".".join(map(str, sys.version_info[:2])) in PYTHONS


def test_what_runs_here_is_in_the_declared_range():
    for name, one in requirements().items():
        with contextlib.suppress(PackageNotFoundError):
            assert one.specifier.contains(version(name), prereleases=True), name
    assert Version(np.__version__) >= Version("2.0")


FILES = sorted((ROOT / "autodiff").rglob("*.py"))


def test_the_source_is_written_in_the_oldest_grammar(tried):
    """And warns of nothing: a newer Python warns of what a later one refuses."""
    assert len(FILES) > 100
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        ast.parse(text, path.name, feature_version=(3, 11))
        compile(text, path.name, "exec", dont_inherit=True)
    with pytest.raises(SyntaxError):
        ast.parse("type X = int", feature_version=(3, 11))
    tried("files of the package parsed by the grammar of Python 3.11", len(FILES))


def test_the_minor_versions_of_numpy_are_found_in_what_pip_says():
    said = "numpy (2.4.6)\nAvailable versions: 2.4.6, 2.4.0, 2.10.1, 2.0.2, 2.0.0, 2.1.0rc1, 1.26.4, 1.2.0\n"
    assert minors(said) == ["2.0.2", "2.4.6", "2.10.1"]


# -- what is skipped before a version ------------------------------------------------------------------------------


def test_nothing_is_skipped_with_the_newest():
    assert lacking(Version("2.4.0")) == []
    assert len(lacking(Version("2.0.0"))) == len(OLDER)
    assert all(why for _, _, why in OLDER)


def test_a_test_is_skipped_before_its_version_with_the_reason(monkeypatch):
    monkeypatch.setattr("tests.older.installed", lambda: Version("2.1.3"))
    test = "tests/ops/test_contract.py::test_products_in_every_spelling_are_numpys[True-<lambda>9]"
    assert reason(test) == "before NumPy 2.2: there is no np.matvec and np.vecmat"
    assert reason("tests/ops/test_contract.py::test_dot") is None
    monkeypatch.setattr("tests.older.installed", lambda: Version("2.2.0"))
    assert reason(test) is None
