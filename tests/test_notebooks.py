"""Every notebook is what a run of it gives, and can be opened by whoever has less installed than it needs.

A notebook is run once, where neither Graphviz nor anything that it does not ask for in its first cell can be found:
the texts of the outputs that are kept in the file must come out again, and every picture must be there.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

BROUGHT_BY = {
    "autograd": "autograd", "jax": "jax", "matplotlib": "matplotlib", "mygrad": "mygrad", "scipy": "scipy",
    "sklearn": "scikit-learn", "torch": "torch", "tqdm": "tqdm",
}  # fmt: skip
"""Modules that may be missing, by the distribution that has them."""
MISSING = {*BROUGHT_BY, "pygraphviz"}
NEEDS = {"sklearn": {"scipy"}, "autograd": {"scipy"}, "jax": {"scipy"}}

LARGEST = 1_000_000  # bytes of a file
LONGEST = 240  # seconds of a run: a machine of CI, busy with other tests, may take much longer than two quiet cores
SHORT = 12  # lines of what is said where something is missing

MACHINE = re.compile(
    r"(?<![\w:/.>])/(?:home|root|tmp|usr|opt|var|work|mnt|private|Users)/|\b[A-Za-z]:\\\\?\w|ipykernel_\d|\b0x[0-9a-f]{6,}"
)
"""Paths of the machine that a notebook was run on, and addresses in its memory."""

BEFORE_ALL = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in HIDDEN else find(name, path, target)

PathFinder.find_spec = find_spec
"""
"""What Python runs as it starts: the modules named in HIDDEN are nowhere to be found."""

RUN = """
import sys, nbclient, nbformat
source, target, seconds, beyond = sys.argv[1:]
book = nbformat.read(source, 4)
client = nbclient.NotebookClient(
    book, timeout=int(seconds), kernel_name="python3", allow_errors=beyond == "True", coalesce_streams=True,
    record_timing=False,
)
client.execute()
book.metadata.language_info = {"name": "python"}
nbformat.write(book, target)
"""

notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def joined(text):
    return "".join(text)


def code_cells(book):
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def modules(cell):
    """The modules that a cell imports, by their first names; what a notebook says to IPython is left aside."""
    lines = [line for line in joined(cell["source"]).splitlines() if not line.lstrip().startswith(("%", "!"))]
    found = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def brought(extras):
    """The distributions that these extras of the package bring."""
    found, waiting = set(), list(extras)
    while waiting:
        for requirement in EXTRAS[waiting.pop()]:
            name, ours = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", requirement).groups()
            if name == "autodiff":
                waiting += ours.split(",")
            found.add(name)
    return found


def run(book, hidden, folder, beyond_errors=False):
    """The notebook as a run leaves it, where these modules are missing; where there are some, so is every program."""
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module, reason='notebooks are run with the extra "notebooks"')
    (folder / "first").mkdir()
    start = f"HIDDEN = {sorted(hidden)!r}\n{BEFORE_ALL}"
    (folder / "first" / "sitecustomize.py").write_text(start, encoding="utf-8")
    source, target = folder / "given.ipynb", folder / "found.ipynb"
    source.write_text(json.dumps(book), encoding="utf-8")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = [str(folder / "first"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    found = subprocess.run(
        [sys.executable, "-c", RUN, str(source), str(target), str(LONGEST), str(beyond_errors)],
        env={
            **kept, **threads, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PATH": str(folder / "first") if hidden else os.environ["PATH"],
            "IPYTHONDIR": str(folder / "ipython"), "MPLCONFIGDIR": str(folder / "matplotlib"),
        },
        cwd=folder, capture_output=True, text=True, timeout=LONGEST + 30, check=False,
    )  # fmt: skip
    assert not found.returncode, found.stderr[-3000:]
    return read(target)


def said(outputs):
    """All texts of some outputs in one."""
    texts = []
    for output in outputs:
        texts += [output.get("text", ""), output.get("data", {}).get("text/plain", ""), output.get("ename", "")]
        texts += [output.get("evalue", ""), "\n".join(output.get("traceback", ()))]
    return "\n".join(filter(None, map(joined, texts)))


def drawn(svg):
    """What a picture of ours tells of its nodes and arrows, wherever a layout puts them; of other pictures nothing."""
    told = re.findall(r'data-kind="(?:node|edge)"><title>([^<]*)', svg)
    return Counter(re.sub(r"\n[^\n:]+:\d+(?=\n|$)", "", text) for text in told)  # not the line of the source


def told(outputs):
    """What outputs tell that is the same on every machine: texts in full, pictures without their layout."""
    streams, shown = {}, []
    for output in outputs:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + joined(output["text"])
            continue
        data = {kind: joined(content) for kind, content in output.get("data", {}).items()}
        pages = {kind for kind in data if kind.startswith("image/") or "<svg" in data[kind] or "<iframe" in data[kind]}
        shown.append({
            kind: drawn(content) if kind == "image/svg+xml" else None if kind in pages else content
            for kind, content in sorted(data.items())
        })  # fmt: skip
    return streams, shown


def optional_in_first_cell(book):
    """The modules that its first cell imports and that may be missing."""
    return modules(code_cells(book)[0]) & set(BROUGHT_BY)


def test_there_are_notebooks():
    assert NOTEBOOKS


@notebook
def test_it_was_run_from_top_to_bottom(path):
    book = read(path)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    cells = code_cells(book)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in cells:
        assert joined(cell["source"]).strip(), f"cell {cell['id']} is empty"
        for output in cell["outputs"]:
            assert output["output_type"] != "error", f"cell {cell['id']} fails"
            assert output.get("name") != "stderr", f"cell {cell['id']} warns"


@notebook
def test_it_is_small(path):
    assert path.stat().st_size < LARGEST


@notebook
def test_it_tells_nothing_of_the_machine_that_it_was_run_on(path):
    for cell in read(path)["cells"]:
        texts = [joined(cell["source"]), said(cell.get("outputs", ()))]
        for output in cell.get("outputs", ()):
            texts += [joined(content) for kind, content in output.get("data", {}).items() if kind != "image/png"]
        for text in texts:
            found = MACHINE.search(text)
            assert not found, f"cell {cell['id']}: {text[max(0, found.start() - 60) : found.end() + 60]}"


def test_paths_of_machines_are_found():
    for text in ("in /home/anna/x.py", '"/tmp/ipykernel_17/1.py"', "C:\\Users\\anna", "<f at 0x7f31c0a1b2c3>"):
        assert MACHINE.search(text), text
    for text in ("http://www.w3.org/tmp/1999", "a / b", "docs/opt/x", "either/or", "#0072b2", "</tmp>"):
        assert not MACHINE.search(text), text


@notebook
def test_it_opens_with_a_title_and_its_imports(path):
    book = read(path)
    first = joined(book["cells"][0]["source"])
    assert book["cells"][0]["cell_type"] == "markdown"
    assert first.startswith("# ")
    assert re.search(r"\b(second|minute)s?\b", first), "how long does it run?"
    assert book["cells"][1]["cell_type"] == "code"
    for cell in code_cells(book)[1:]:
        late = modules(cell) & set(BROUGHT_BY)
        assert not late, f"cell {cell['id']} imports {', '.join(late)}: the first one says what to install"


@pytest.mark.slow
@notebook
def test_it_says_what_to_install(path, tmp_path):
    """With all of its extras missing the first cell says in a few lines which command brings them."""
    book = read(path)
    needed = optional_in_first_cell(book)
    book["cells"] = code_cells(book)[:1]
    text = said(code_cells(run(book, MISSING, tmp_path, beyond_errors=True))[0]["outputs"])
    if not needed:
        assert not text
        return
    assert len(text.splitlines()) <= SHORT, text
    command = re.search(r'pip install -e "\.\[([\w,]+)\]"', text)
    assert command, text
    assert any(module in text for module in needed), text
    assert {BROUGHT_BY[module] for module in needed} <= brought(command[1].split(","))


@notebook
def test_where_everything_is_missing_it_names_an_extra(path):
    """Also those that need nothing but the package say what to install where that is missing."""
    command = re.search(r'pip install -e "\.\[([\w,]+)\]"', joined(code_cells(read(path))[0]["source"]))
    assert command
    assert set(command[1].split(",")) <= set(EXTRAS)


@pytest.mark.slow
@notebook
def test_a_run_gives_the_same_texts_and_shows_pictures_without_graphviz(path, tmp_path, request):
    kept = read(path)
    needed = optional_in_first_cell(kept)
    for module in needed:
        pytest.importorskip(module, reason=f"the notebook needs {module}")
    for module in tuple(needed):
        needed |= NEEDS.get(module, set())
    if request.config.getoption("--rewrite-golden"):
        path.write_text(json.dumps(run(kept, (), tmp_path), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    found = run(kept, MISSING - needed, tmp_path)
    for before, after in zip(code_cells(kept), code_cells(found), strict=True):
        where = f"cell {before['id']}: `make notebooks` runs it and keeps what it gives"
        if "varies" in before["metadata"].get("tags", ()):
            assert [output["output_type"] for output in before["outputs"]] == [
                output["output_type"] for output in after["outputs"]
            ], where
            continue
        (texts, shown), (kept_texts, kept_shown) = told(after["outputs"]), told(before["outputs"])
        assert texts == kept_texts, where
        assert [list(data) for data in shown] == [list(data) for data in kept_shown], where
        for data, kept_data in zip(shown, kept_shown, strict=True):
            for kind, content in data.items():
                assert content == kept_data[kind], where
    for engine in ("pygraphviz", "dot"):
        assert f"Layout: {engine}" not in json.dumps(found), "Graphviz was to be out of reach"


def test_outputs_are_compared_by_their_texts_and_pictures_by_what_they_tell():
    def picture(layout, number):
        told = f"node 0: x\nδ: {number}\ncell:{layout}"
        svg = f'<svg><g data-kind="node"><title>{told}</title><text x="{layout}">{number}</text></g>'
        return {"output_type": "display_data", "data": {"image/svg+xml": [svg], "text/plain": ["f"]}}

    def printed(*texts):
        return [{"output_type": "stream", "name": "stdout", "text": list(texts)}]

    assert told([picture(1, 3)]) == told([picture(2, 3)])
    assert told([picture(1, 3)]) != told([picture(1, 4)])
    assert told(printed("a\n", "b\n")) == told(printed("a\nb\n"))
    assert told(printed("a\n")) != told(printed("b\n"))
    assert told([picture(1, 3)]) != told([])


def test_what_extras_bring_is_followed():
    assert {"scikit-learn", "pygraphviz"} <= brought(["demo"])
    assert "matplotlib" not in brought(["demo"])
