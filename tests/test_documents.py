"""What the documents say is run as it stands: every ```python block, every link, the pictures and the table."""

import contextlib
import doctest
import io
import re
import textwrap
from pathlib import Path

import pytest

from autodiff.cli import catalogue, operations
from autodiff.graph import OPERATIONS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^print\(.*\)  +# (.*)$", re.MULTILINE)
IMAGES = ROOT / "docs/images"
PICTURE = re.compile(r"""[("/]images/([\w.-]+)[)"]""")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def run_block(code, where, namespace):
    """Run one block. A session's results, and what a line says behind `print(…)  #`, must be what comes out."""
    if code.startswith(">>> "):
        test = doctest.DocTestParser().get_doctest(code, namespace, where, where, 0)
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
        told = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=options)
        runner.run(test, out=told.write, clear_globs=False)
        namespace.update(test.globs)
        assert not runner.failures, told.getvalue()
        return
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, where, "exec"), namespace)
    expected = EXPECTED.findall(code)
    if expected:
        assert said.getvalue().splitlines() == expected, where


@pytest.fixture
def registry():
    """Documents declare operations of their own; they are gone afterwards."""
    operations.load()  # a document that first met SciPy's rules would take them along when it is gone
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


def blocks(document):
    """The code blocks of a document, each with the line that it starts on."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = BLOCK.finditer(text)
    return [(textwrap.dedent(match.group(2)), text[: match.start(2)].count("\n") + 1) for match in found]


def pictures(document):
    """The names of the pictures that a document shows."""
    return list(dict.fromkeys(PICTURE.findall((ROOT / document).read_text(encoding="utf-8"))))


def words(svg):
    """What a picture says, without the layout: fonts and Graphviz versions may place and break it elsewhere."""
    texts = re.findall(r"<text[^>]*>([^<]*)", svg)
    return sorted(word for text in texts if not text.startswith("Layout: ") for word in text.split())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_runs_and_draws_what_is_shown(document, tmp_path, monkeypatch, registry):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "document"}
    for code, line in blocks(document):
        run_block(code, f"{document}:{line}", namespace)
    for name in pictures(document) if blocks(document) else ():  # a page without code shows what another one draws
        drawn, kept = ((folder / name).read_text(encoding="utf-8") for folder in (tmp_path, IMAGES))
        assert words(drawn) == words(kept), "`make pictures` draws it anew"


def test_blocks_are_found_and_wrong_ones_fail():
    assert len(blocks("README.md")) >= 4
    with pytest.raises(AssertionError):
        run_block("print(1 + 1)  # 3\n", "here", {})
    with pytest.raises(AssertionError):
        run_block(">>> 1 + 1\n3\n", "here", {})


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(document):
    page = ROOT / document
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{document} links to {target}"


def test_each_picture_is_shown_by_the_document_that_draws_it():
    shown = {name for document in DOCUMENTS for name in pictures(document)}
    assert shown == {path.name for path in IMAGES.iterdir()}


def test_the_table_of_operations_is_fresh():
    kept = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert kept.rstrip("\n") == operations.as_markdown(), "`make ops` writes it anew"


def test_the_catalogue_of_errors_is_fresh():
    kept = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert kept.rstrip("\n") == catalogue.as_markdown(), "`make errors` writes it anew"
