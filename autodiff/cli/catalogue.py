"""The catalogue of errors, made from their docstrings: when each is raised, a wrong program and the right one."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
import warnings
from typing import Any, NamedTuple

from .. import errors
from ..graph import OPERATIONS

FILE = "program.py"
"""What the file of a program is called in its message."""

_SECTION = re.compile(r"^(Wrong|Right)\n-{5}\n", re.MULTILINE)
_LINK = re.compile(r":\w+:`~?([\w.]+)`")


class Entry(NamedTuple):
    """One class of the catalogue."""

    cls: type[Exception]
    about: str
    wrong: str
    right: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.cls.__name__

    @property
    def kind(self) -> str:
        """What it also is, among the errors and warnings that Python has."""
        also = [base.__name__ for base in self.cls.__bases__ if base.__module__ == "builtins" and base is not Exception]
        return ", ".join(also)


def entries() -> list[Entry]:
    """Every class of :mod:`autodiff.errors`, the errors by name and then the warnings."""
    found = [
        thing for thing in vars(errors).values()
        if inspect.isclass(thing) and issubclass(thing, Exception) and thing.__module__ == errors.__name__
    ]  # fmt: skip
    return [_entry(cls) for cls in sorted(found, key=lambda cls: (issubclass(cls, Warning), cls.__name__))]


def _entry(cls: type[Exception]) -> Entry:
    about, *parts = _SECTION.split(inspect.cleandoc(cls.__doc__ or ""))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return Entry(cls, about.strip(), sections.get("Wrong", "").strip(), sections.get("Right", "").strip())


def source(session: str) -> str:
    """The lines that a session has behind its prompts: the program as it would stand in a file."""
    return "".join(example.source for example in doctest.DocTestParser().get_examples(session))


def said(entry: Entry) -> BaseException | None:
    """What the wrong program raises, or warns of; None where it does neither. Nothing that it declares is kept."""
    known = dict(OPERATIONS)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            exec(compile(source(entry.wrong), FILE, "exec"), {"__name__": "program"})
    except Exception as error:
        return error
    finally:
        OPERATIONS.clear()
        OPERATIONS.update(known)
    return None


def as_text(word: str = "") -> str:
    """A line a class; the whole entry where a word of its name is given and one has it."""
    found = [entry for entry in entries() if word.lower() in entry.name.lower()]
    if word and len(found) == 1:
        return inspect.cleandoc(found[0].cls.__doc__ or "")
    return "\n".join(f"{entry.name:<18} {entry.about.partition(chr(10))[0].replace('`', '')}" for entry in found)


def as_markdown() -> str:
    """docs/errors.md, whole."""
    found = entries()
    parts = [
        "# Errors and warnings",
        "",
        "Made by `make errors` from `autodiff/errors.py`; do not edit. What the package raises on purpose, each with a",
        "program that raises it, the message, and the program that was meant. The tests run all of these programs.",
        "",
        "A message has four parts: what happened, the line of your own code that was running, why, and what to type",
        "instead.",
        "Where NumPy itself refuses a call, its own exception is raised, in its own words.",
    ]
    for title, warns in (("Errors", False), ("Warnings", True)):
        parts += ["", f"## {title}"]
        if warns:
            parts += ["", "Shown as the traceback that they give where warnings are errors (`python -W error`)."]
        for entry in found:
            if issubclass(entry.cls, Warning) is warns:
                parts += _page(entry)
    return "\n".join(parts)


def _page(entry: Entry) -> list[str]:
    also = f" To Python it is a kind of `{entry.kind}`." if entry.kind else ""
    parts = ["", f"### {entry.name}", "", _markdown(entry.about) + also]
    if entry.wrong:
        wrong = entry.wrong.partition("\nTraceback")[0]
        head = f"autodiff.errors.{entry.name}"
        parts += ["", "Wrong:", "", "```python", wrong, "Traceback (most recent call last):", f"{head}: ...", "```"]
        parts += ["", "```text", f"{head}: {said(entry)}", "```"]
        parts += ["", "Right:", "", "```python", entry.right, "```"]
    return parts


def _markdown(text: str) -> str:
    return _LINK.sub(r"`\1`", text).replace("``", "`")


def shown(told: Any) -> list[str]:
    """The titles of the parts of a message, in order."""
    return re.findall(r"^  (\w+): ", str(told), re.MULTILINE)
