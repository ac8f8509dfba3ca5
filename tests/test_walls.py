"""The walls of the house: which room may import which, and how files are named."""

import ast
from pathlib import Path

import pytest

import autodiff

HOUSE = Path(autodiff.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))

STOREYS = [
    {"errors"},
    {"archive", "contents", "faults", "made", "randomness", "threads"},
    {"graph"},
    {"rules"},
    {"traced"},
    {"op"},
    {"recorders"},
    {"apply"},
    {"makers"},
    {"ops", "sweep", "primitives"},
    {"debugging"},
    {"tensor", "flows", "compiler", "batching"},
    {"call"},
    {"transforms", "numpy", "nn", "scipy", "viz"},
    {"testing", "training", "demo"},
    {"cli"},
    {"__init__"},
    {"__main__"},
]
"""From the ground up. A room imports from storeys below its own, and from itself."""

STOREY = {room: height for height, rooms in enumerate(STOREYS) for room in rooms}
OUTSIDE = {"numpy", "networkx", "graphviz", "optree"}
OPTIONAL = {"matplotlib", "pygraphviz", "scipy", "sklearn", "tqdm"}
"""Of the extras: imported by rooms at the top, never needed to import the package."""


def module(path):
    """A file as its dotted name inside the package: ops.reduce, viz, graph; __init__ for the front door."""
    parts = list(path.relative_to(HOUSE).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


MODULES = {module(path): path for path in FILES}


def room(name):
    return name.partition(".")[0]


def package(path):
    """The dotted package that relative imports of this file start from, '' for the house itself."""
    return ".".join(path.relative_to(HOUSE).parts[:-1])


def imported(path, tree):
    """Each import in a file: (statement, module of this package or None, module of another package or None)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, *_split(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield node, *_split(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.ImportFrom):
            start = package(path).split(".") if package(path) else []
            start = start[: len(start) - node.level + 1]
            for alias in node.names:
                yield node, _ours([*start, *(node.module or "").split("."), alias.name]), None


def _split(name):
    first, _, rest = name.partition(".")
    return (_ours(rest.split(".")), None) if first == "autodiff" else (None, first)


def _ours(parts):
    """The longest beginning of this path that is a module: the rest are names inside it."""
    parts = [part for part in parts if part]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or "__init__"


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
each_module = pytest.mark.parametrize("name", MODULES)


@each_module
def test_every_room_stands_on_a_storey(name):
    assert room(name) in STOREY, f"{name}: say in STOREYS where this room stands"


@each_module
def test_imports_point_downwards(name):
    for node, ours, _ in imported(MODULES[name], TREES[name]):
        if ours is not None and room(ours) != room(name):
            assert STOREY[room(ours)] < STOREY[room(name)], f"{name}:{node.lineno} imports {ours}"


def test_no_cycle_of_imports():
    below = {
        name: {ours for _, ours, _ in imported(MODULES[name], tree) if ours not in (None, name)}
        for name, tree in TREES.items()
    }
    for name in below:  # a package's __init__ gathers its modules; they may take from each other, not from it
        below[name].discard(name.rpartition(".")[0])
    placed = set()
    while len(placed) < len(below):
        free = [name for name in below if name not in placed and below[name] <= placed]
        assert free, f"among these there is a cycle: {sorted(set(below) - placed)}"
        placed.update(free)


@each_module
def test_imports_of_our_own_stand_at_the_top(name):
    for function in ast.walk(TREES[name]):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for node, ours, _ in imported(MODULES[name], function):
                assert ours is None, f"{name}:{node.lineno} imports {ours} inside a function"


@each_module
def test_nothing_is_imported_behind_the_walls(name):
    """importlib and __import__ would go around all of the above."""
    if room(name) in ("cli", "demo"):  # the one loads users' files, the other the extras that it needs
        return
    if name == "op":  # one that comes out of a pickle brings the module that declares it
        return
    if name == "tensor":  # the rules for another library's ufuncs, when a tensor first meets one of them
        assert set(autodiff.tensor.LIBRARIES.values()) == {".scipy.special"}
        return
    for node in ast.walk(TREES[name]):
        called = getattr(node, "id", None) or getattr(node, "attr", None)
        assert called not in ("__import__", "import_module"), f"{name}:{node.lineno}"


@each_module
def test_only_declared_packages_are_imported(name):
    import sys

    for node, _, other in imported(MODULES[name], TREES[name]):
        if other is not None and other not in sys.stdlib_module_names:
            allowed = OUTSIDE | (OPTIONAL if STOREY[room(name)] >= STOREY["viz"] else set())
            assert other in allowed, f"{name}:{node.lineno} imports {other}"


@each_module
def test_files_are_named_for_what_they_hold(name):
    for part in name.split("."):
        assert part not in ("base", "core", "util", "utils", "misc", "common", "helper", "helpers"), name


@each_module
def test_the_fields_words_are_used(name):
    """A node has inputs and consumers, a graph is not a tape, a result is called y."""
    for node in ast.walk(TREES[name]):
        words = [getattr(node, field, None) for field in ("id", "arg", "name")]
        for word in ("parent", "prev", "ctx", "ans", "tape"):
            assert word not in words, f"{name}:{node.lineno} says {word}"


def test_the_walls_are_really_looked_at():
    """The readings above see what is there: relative and absolute imports, from files and from packages."""
    assert {"errors", "graph", "op", "ops", "ops.elementwise", "sweep", "tensor", "__init__"} <= set(MODULES)
    seen = {name: {ours for _, ours, _ in imported(MODULES[name], tree)} for name, tree in TREES.items()}
    assert {"graph", "op", "rules", "errors"} <= seen["sweep"]
    assert "makers" in seen["ops.elementwise"]
    assert "ops" in seen["tensor"]
    assert "ops.flat" in seen["transforms"]


UPWARDS = {
    "from .transforms import grad": "transforms",
    "from . import tensor": "tensor",
    "import autodiff.sweep": "sweep",
    "from autodiff import grad": "__init__",
    "from autodiff.tensor import Tensor": "tensor",
    "def f():\n    from .makers import op": "makers",
}


@pytest.mark.parametrize("code", UPWARDS)
def test_an_import_upwards_would_be_seen(code):
    found = [ours for _, ours, _ in imported(HOUSE / "errors.py", ast.parse(code))]
    assert found == [UPWARDS[code]]
    assert STOREY[room(found[0])] > STOREY["errors"]


@pytest.mark.parametrize("name", ["errors", "graph", "op", "sweep"])
def test_the_ground_floor_does_not_know_of_pictures(name):
    """Nothing that computes needs anything that draws."""
    reached, todo = set(), [name]
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo += [ours for _, ours, _ in imported(MODULES[here], TREES[here]) if ours]
    above = ("viz", "flows", "cli", "demo", "testing", "transforms")
    assert not {module for module in reached if room(module) in above}
