"""What every test shares: how hard Hypothesis looks, seeds, golden files, and which files are tests."""

import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.older import reason

GOLDEN = Path(__file__).parent / "golden"
_profile = pytest.StashKey[str]()

# Examples, and steps of a state machine.
PROFILES = {
    "quick": (20, 20),  # every commit
    "full": (100, 50),  # CI
    "deep": (10_000, 100),  # by hand, hours
}


def _load_profile():
    for name, (examples, steps) in PROFILES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,  # seeded by the test itself: the same examples on every machine and in any order
            deadline=None,  # no test asserts a time
            suppress_health_check=[HealthCheck.too_slow],  # it reads the clock, so a busy machine would fail
        )
    name = os.environ.get("AUTODIFF_PROFILE") or "quick"
    if name not in PROFILES:
        raise pytest.UsageError(f"AUTODIFF_PROFILE={name!r} is not a profile; choose {', '.join(PROFILES)}")
    settings.load_profile(name)
    return name


def pytest_addoption(parser):
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them; review the diff",
    )


def pytest_configure(config):
    config.stash[_profile] = _load_profile()
    if not hasattr(config, "workerinput"):  # not in the processes that this one starts: they find the same room
        room = tempfile.TemporaryDirectory(prefix="autodiff-tests-")
        os.environ["AUTODIFF_SHARED"] = room.name
        config.add_cleanup(room.cleanup)


def pytest_report_header(config):
    return f"autodiff: profile {config.stash[_profile]}"


def pytest_collection_modifyitems(items):
    """Skip what an older NumPy than the newest cannot do, each with its reason: tests/older.py."""
    for item in items:
        why = reason(item.nodeid)
        if why is not None:
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_ignore_collect(collection_path):
    """Leave modules that tests import to the tests: --doctest-modules would import each of them on its own."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name, so that no other test, order or process changes its numbers."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def golden(request):
    """A function that compares a text with tests/golden/NAME, or writes it there under --rewrite-golden."""

    def check(name, text):
        path = GOLDEN / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        assert path.exists(), f"no golden file {path}; `make pictures` writes it"
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}; `make pictures` rewrites it"

    return check
