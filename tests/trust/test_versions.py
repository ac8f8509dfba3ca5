"""Which Pythons and which NumPys: what is declared, what is pinned, and what depends on the version."""

import dis
from types import SimpleNamespace

import pytest

from autodiff import rules
from autodiff.rules import NOTHING, SHAPE, VALUE

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
