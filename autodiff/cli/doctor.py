"""What is installed, what is missing, and the command that installs it."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata

from ..graph import columns
from ..viz.engine import EngineError, engines, run
from ..viz.options import Options
from ..viz.raster import check_letters

_TOOLS = ("test", "lint", "notebooks", "docs", "bench", "browser")
"""Extras that only those who change this package need; listed by name, not part by part, when they are incomplete."""


def report() -> str:
    """Versions, ways to Graphviz, and optional packages, as one text."""
    lines = [
        ("autodiff", metadata.version("autodiff")),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", platform.platform()),
    ]
    lines += [(package, installed(package) or "missing") for package, extra in requirements() if extra is None]
    parts = (
        columns(lines),
        "Graphviz (layout, PNG and PDF)\n" + graphviz(),
        "optional packages, and the extras that bring them\n" + optional(),
    )
    return "\n\n".join(parts)


def requirements() -> list[tuple[str, str | None]]:
    """What this package asks for, as (package, extra), read from its own metadata."""
    found = []
    for line in metadata.requires("autodiff") or ():
        package = re.split(r"[\s\[;<>=!~]", line, maxsplit=1)[0]
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)""", line)
        if package != "autodiff":
            found.append((package, extra.group(1) if extra else None))
    return found


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def graphviz() -> str:
    """Each way to Graphviz that is there, tried as a picture would use it."""
    options = Options()
    lines, works = [], False
    for engine in engines(options):
        lays = False
        try:
            run(engine, "digraph { a -> b }", "dot", "svg", options)
            lays = works = True
            check_letters(engine, options)
            said = "works"
        except EngineError as error:
            said = f"lays out, but no PNG or PDF: {error}" if lays else f"does not work: {error}"
        lines.append((f"  {engine.kind}", said, engine.place))
    for kind in {"pygraphviz", "dot"} - {engine.kind for engine in engines(options)}:
        lines.append((f"  {kind}", "not there", ""))
    text = columns(sorted(lines))
    if not works:
        text += "\n  Pictures are SVG in the built-in layout; for PNG, PDF and the better layout:"
        text += f"\n  {install('images')}"
    return text


def optional() -> str:
    """A line for each package of each extra, and for what is missing the command that installs it."""
    extras: dict[str, list[str]] = {}
    for package, extra in requirements():
        if extra is not None and extra != "all" and extra not in _TOOLS:
            extras.setdefault(package, []).append(extra)
    lines = [(f"  {package}", installed(package) or "missing", ", ".join(of)) for package, of in extras.items()]
    missing = sorted({extra for package, of in extras.items() if installed(package) is None for extra in of})
    incomplete = [
        extra for extra in _TOOLS if any(installed(p) is None for p, belongs in requirements() if belongs == extra)
    ]
    text = columns(lines)
    if missing:
        text += f"\n  {install(*missing)}"
    if incomplete:
        text += f"\n  to work on autodiff itself, not complete: {', '.join(incomplete)}.  {install(*incomplete)}"
    return text


def install(*extras: str) -> str:
    """The command that installs these extras."""
    return f'pip install -e ".[{",".join(extras)}]"'
