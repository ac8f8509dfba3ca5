"""The versions that a machine can be given: `python -m tests.trust.versions` tries each NumPy, and the oldest of all.

For each minor version of NumPy from 2.0 on its newest release, with the newest of everything else, and the set in
.ci/oldest.txt, it makes a virtual environment, installs the package with its extra `test`, and runs the chosen tests.
It prints a table in Markdown for docs/reliability.md. It needs the package index, and takes an hour of one core.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
OLDEST = ROOT / ".ci" / "oldest.txt"

CHOSEN = (
    "tests/ops", "tests/test_tensor.py", "tests/test_methods.py", "tests/test_numpy_namespace.py",
    "tests/test_array_api.py", "tests/test_transforms.py", "tests/test_graph.py", "tests/test_names.py",
    "tests/batching/test_rules.py", "tests/compiler/test_jit.py", "tests/scipy/test_special.py",
    "tests/trust/test_threads.py", "tests/trust/test_versions.py",
)  # fmt: skip
"""The tests that depend most on the versions: what is compared with NumPy bit for bit, and what is pickled."""


def minors(offered):
    """The newest release of each minor version of NumPy 2 among those that pip offers, oldest first."""
    newest = {}
    for text in re.findall(r"\b(2\.\d+\.\d+)(?![\w.])", offered):
        release = tuple(map(int, text.split(".")))
        newest[release[:2]] = max(newest.get(release[:2], release), release)
    return [".".join(map(str, newest[minor])) for minor in sorted(newest)]


def offered():
    said = subprocess.run([sys.executable, "-m", "pip", "index", "versions", "numpy"], capture_output=True, check=True)
    return said.stdout.decode()


def tried(name, constraint, tests, room):
    """One environment: the row of the table."""
    python = Path(room) / name / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[test]", *constraint]
    made = subprocess.run(install, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        return [name, "", "", f"not installed: {made.stderr.strip().splitlines()[-1]}"]
    asked = "import sys, numpy, scipy; print(sys.version.split()[0], numpy.__version__, scipy.__version__)"
    versions = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    start = time.perf_counter()
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--timeout", "600", *tests],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = run.stdout.strip().splitlines()
    print(f"{name}: {time.perf_counter() - start:.0f} s", *(x for x in lines if x.startswith(("FAILED", "ERROR"))),
          sep="\n", file=sys.stderr)  # fmt: skip
    return [name, *versions, re.sub(r" in .*", "", lines[-1]).strip("= ")]


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.trust.versions", description=__doc__)
    parser.add_argument("tests", nargs="*", default=CHOSEN, help="those chosen here by default")
    parser.add_argument("--only", help="one of the environments, by its name: 2.1.3, oldest")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        sets = {"oldest": ["-c", str(OLDEST)]} | {release: [f"numpy=={release}"] for release in minors(offered())}
        names = [given.only] if given.only else list(sets)
        rows = [tried(name, sets[name], given.tests, room) for name in names]
    print("| set | Python | NumPy | SciPy | tests |", "|---|---|---|---|---|", sep="\n")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
