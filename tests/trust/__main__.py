"""The long look: `python -m tests.trust` runs these tests deeply and writes what they tried into docs/reliability.md.

The words of that page are written by hand; between the two marks of a file of tests stands the table of its figures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
MARKS = re.compile(r"(<!-- tried: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ROW = re.compile(r"^\| (.*?) \| ([\d,]+) \|$", re.MULTILINE)


def figures(notes):
    """The notes as rows {file: {what: count}}, in the order of the page; cases of one kind are added up."""
    found = {}
    for row in notes:
        rows = found.setdefault(row["file"], {})
        rows[row["what"]] = rows.get(row["what"], 0) + row["count"]
    return found


def table(rows):
    """One file's figures in Markdown."""
    lines = ["| tried | how often |", "|---|---:|"]
    lines += [f"| {what} | {count:,} |" for what, count in sorted(rows.items())]
    return "\n".join(lines) + "\n"


def filled(text, found, keep=False):
    """The page with the tables of the files that ran; what did not stays, with `keep` other rows of a table too."""

    def place(mark):
        rows = found.get(mark[2])
        if rows is None:
            return mark[0]
        kept = {what: int(count.replace(",", "")) for what, count in ROW.findall(mark[0])} if keep else {}
        return mark[1] + table(kept | rows) + mark[3]

    return MARKS.sub(place, text)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("files", nargs="*", help="test_history.py …; all of them by default")
    parser.add_argument("--profile", default="deep", choices=["quick", "full", "deep"])
    parser.add_argument("-k", help="some of the tests, as pytest's -k has it; the other rows of the page stay")
    parser.add_argument("--workers", default="2", help="how many processes")
    parser.add_argument("--dry", action="store_true", help="print the figures, leave the page as it is")
    given = parser.parse_args()

    files = [str(HERE / name) for name in given.files] or [str(HERE)]
    with tempfile.TemporaryDirectory() as room:
        notes = Path(room) / "tried.jsonl"
        notes.touch()
        settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        settings |= {"AUTODIFF_TRIED": str(notes), "AUTODIFF_PROFILE": given.profile, "PYTEST_TIMEOUT": "0"}
        start = time.perf_counter()
        run = [sys.executable, "-m", "pytest", "-q", "-n", given.workers, "--dist", "worksteal", *files]
        run += ["-k", given.k] if given.k else []
        code = subprocess.run(run, env=os.environ | settings, check=False).returncode
        rows = figures(json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines())
    for file, counts in sorted(rows.items()):
        print(f"\n{file}\n{table(counts)}", end="")
    print(f"\n{time.perf_counter() - start:.0f} s")
    if code == 0 and not given.dry:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), rows, bool(given.k)), encoding="utf-8", newline="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
