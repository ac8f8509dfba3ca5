"""The same bits in every run: values, gradients, programs, tables, pictures and files, whatever surrounds the process.

`determined.py` prints a digest of each result; here it is run under one circumstance after another, and compared with a
run under none.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trust import determined
from tests.trust.scale import times

ROOT = Path(__file__).parents[2]

TRACED = """
import runpy, sys

def trace(frame, event, arg):  # line by line, and before anything is imported: rules are read off their bytecode
    return trace if frame.f_code.co_filename.endswith(("rules.py", "makers.py", "elementwise.py")) else None

sys.settrace(trace)
runpy.run_module("tests.trust.determined", run_name="__main__", alter_sys=True)
"""

# Each is (what the program is told, options of the interpreter, variables of the environment). The first ones are
# several at a time: what differs under none of them differs under none of what they are made of.
CIRCUMSTANCES = {
    "hash seed 4711, -OO, 8 threads, after failures, in two threads, collected at once, elsewhere": (
        ("threads_8", "after_failures", "reordered", "in_thread", "gc_always"), ("-OO",),
        {"PYTHONHASHSEED": "4711", "LC_ALL": "C", "TZ": "Pacific/Kiritimati", "elsewhere": "1"},
    ),
    "under a profiler, no collector, after others, 3 threads": (
        ("setprofile", "gc_off", "after_others", "threads_3"), (), {"PYTHONHASHSEED": "1"}
    ),
    "traced from the start": (("settrace",), ("-c", TRACED), {}),
    "development mode, another language, 1 thread": (
        ("threads_1",), ("-X", "dev"), {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0"}
    ),
    "every operation, another memory": (
        ("operations", "threads_2"), ("-B",), {"PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "165"}
    ),
    "hash seed 1": ((), (), {"PYTHONHASHSEED": "1"}),
    "under -O": ((), ("-O",), {}),
    "under -OO": ((), ("-OO",), {}),
    "in two threads": (("in_thread",), (), {}),
    "dicts in another order": (("reordered",), (), {}),
    "no collector": (("gc_off",), (), {}),
    "a collector at every allocation": (("gc_always",), (), {}),
    "a frozen collector": (("gc_frozen",), (), {}),
    "after failures": (("after_failures",), (), {}),
    "after others": (("after_others",), (), {}),
    "traced": (("settrace",), (), {}),
    "elsewhere": ((), (), {"TZ": "Pacific/Kiritimati", "elsewhere": "1"}),
    "no utf-8": ((), (), {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}),
    **{f"{n} threads": ((f"threads_{n}",), (), {}) for n in (1, 2, 3, 4, 8)},
    **{f"every operation, hash seed {n}": (("operations",), (), {"PYTHONHASHSEED": str(n)}) for n in range(5, 15)},
}  # fmt: skip


def digests(told, options, variables, room):
    """What the program prints."""
    variables = dict(variables)
    folder = ROOT
    if variables.pop("elsewhere", None):
        folder = room
    env = {key: x for key, x in os.environ.items() if key not in ("PYTHONHASHSEED", "COVERAGE_PROCESS_START")}
    env |= {"PYTHONPATH": str(ROOT), **variables}
    umask = 0o077 if folder is room else -1
    module = () if "-c" in options else ("-m", "tests.trust.determined")
    done = subprocess.run(
        [sys.executable, *options, *module, *told], cwd=folder, env=env, capture_output=True, text=True,
        encoding="utf-8", check=False, umask=umask,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


@functools.cache
def alone(operations=False):
    """A run under no circumstances, but for a fixed seed of hashes."""
    return digests(("operations",) if operations else (), (), {"PYTHONHASHSEED": "0"}, None)


@pytest.mark.parametrize("name", list(CIRCUMSTANCES)[: times(1, 4, len(CIRCUMSTANCES))])
def test_the_same_bits_under_other_circumstances(name, tmp_path, tried):
    circumstance = CIRCUMSTANCES[name]
    found, want = digests(*circumstance, tmp_path), alone("operations" in circumstance[0])
    assert len(want) > 100
    assert found.keys() == want.keys()
    assert [key for key in want if found[key] != want[key]] == []
    tried("results compared bit for bit with another process", len(want))
    tried("processes under other circumstances", 1)


def test_the_same_bits_in_a_process_that_has_done_much_else(tried):
    """This one: whatever tests ran before, and twice."""
    want = alone()
    for _ in range(times(1, 1, 5)):
        found = determined.run()
        assert [key for key in want if found[key] != want[key]] == []
        tried("results compared bit for bit with another process", len(want))
