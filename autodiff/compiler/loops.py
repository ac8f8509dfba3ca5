"""Loops in the text of a program: what repeats line for line is written, and compiled by Python, once.

An unrolled loop of ten thousand steps is ten thousand times the same few lines with other memory in them. They are put
back into a ``for`` whose variables run over that memory, over constants and positions; where a variable names the same
thing in every round it is left as it is. Each round is letter for letter what stood there, so nothing has to be proved
about how the rounds hang together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

LONG = 1 << 12
"""The lines from which a program is searched for loops. A shorter one is compiled in a few hundredths of a second, and
a round costs a run the hundredth part of what stands in it: its variables have to be set."""

ROUNDS = 4
"""The fewest rounds that make a loop."""

SAVED = 16
"""The fewest lines that a loop saves."""

WINDOW = 4
"""So many lines in a row, found again, suggest how long a round is."""

_NAME = re.compile(r"\b[bc]\d+\b|(?<=\[)\d+(?=[\],])")
"""What may change from round to round: memory, a constant, the first position of an index."""

Line = tuple[str, bool, Any]
"""Text, whether NumPy's warnings are off, and the user's line."""


class Loop(NamedTuple):
    """Lines that are carried out in rounds: `names` has for each variable what it stands for, round by round.

    That is the name of memory or of a constant, or the digits of a position in an index.
    """

    lines: list[Line]
    rounds: int
    names: list[tuple[str, ...]]

    def head(self, number: int) -> str:
        """The line that starts it."""
        variables = ", ".join(f"a{k}" for k in range(len(self.names)))
        if not variables:
            return f"for _ in range({self.rounds}):"
        return f"for {variables}{',' if len(self.names) == 1 else ''} in rounds{number}:"


def rolled(lines: Sequence[Line]) -> list[Line | Loop]:
    """The same lines with loops in the place of those that repeat. Its time is linear in their number."""
    if len(lines) < LONG:
        return list(lines)
    numbers: dict[Any, int] = {}
    patterns = np.array([
        numbers.setdefault((_NAME.sub("_", text), quiet, place), len(numbers)) for text, quiet, place in lines
    ])  # fmt: skip
    found: list[Line | Loop] = []
    done = 0
    for start, length, rounds in _repeats(patterns):
        found += lines[done:start]
        done = start + length * rounds
        found.append(_loop(lines[start:done], length, rounds))
    return found + list(lines[done:])


def _repeats(patterns: Any) -> list[tuple[int, int, int]]:
    """Where one stretch of patterns is repeated: (start, length of a round, number of rounds), from the first on.

    What saves most lines comes first, and others take what it leaves.
    """
    free = np.ones(len(patterns), bool)
    found: list[tuple[int, int, int]] = []
    lengths = _lengths(patterns)
    for _ in range(ROUNDS):  # each time between what was found before
        runs = [(-count, length, start) for length in lengths for start, count in _runs(patterns, length, free)]
        for count, length, start in sorted(runs):
            rounds = -count // length + 1
            if free[start : start + rounds * length].all():
                free[start : start + rounds * length] = False
                found.append((start, length, rounds))
        if not runs:
            break
    return sorted(found)


def _runs(patterns: Any, length: int, free: Any) -> list[tuple[int, int]]:
    """Stretches of lines each of which stands again `length` lines further on: (start, number of such lines)."""
    again = np.zeros(len(patterns) + 2, np.int8)  # framed by zeros, so that every stretch has two ends
    again[1 : 1 + len(patterns) - length] = (patterns[length:] == patterns[:-length]) & free[length:] & free[:-length]
    starts, ends = (np.flatnonzero(np.diff(again) == step) for step in (1, -1))
    counts = ends - starts
    long = (counts >= (ROUNDS - 1) * length) & (counts >= SAVED)
    return [(int(start), int(count)) for start, count in zip(starts[long], counts[long], strict=True)]


def _lengths(patterns: Any) -> list[int]:
    """The lengths that a round may have: how far windows of lines are, most often, from the next few like them."""
    count = len(patterns) - WINDOW + 1
    hashed = np.zeros(count, np.uint64)
    for k in range(WINDOW):
        hashed = hashed * np.uint64(0x9E3779B97F4A7C15) + patterns[k : k + count].astype(np.uint64)
    order = np.argsort(hashed, kind="stable")
    alike = hashed[order]
    apart = [(order[hop:] - order[:-hop])[alike[hop:] == alike[:-hop]] for hop in range(1, 5)]
    lengths, often = np.unique(np.concatenate(apart), return_counts=True)
    fit = lengths * ROUNDS <= len(patterns)
    lengths, often = lengths[fit], often[fit]
    return [int(length) for length in lengths[np.argsort(-often, kind="stable")[:24]]]


def _loop(lines: Sequence[Line], length: int, rounds: int) -> Loop:
    """The loop that says these lines: one variable for each column of names that changes from round to round."""
    variables: dict[tuple[str, ...], int] = {}
    body: list[Line] = []
    for k in range(length):
        text, quiet, place = lines[k]
        columns = zip(*(_NAME.findall(lines[k + t * length][0]) for t in range(rounds)), strict=True)
        texts = iter([
            column[0] if len(set(column)) == 1 else f"a{variables.setdefault(column, len(variables))}"
            for column in columns
        ])  # fmt: skip
        body.append((_NAME.sub(lambda _, texts=texts: next(texts), text), quiet, place))  # type: ignore[misc]
    return Loop(body, rounds, list(variables))


def written(items: Sequence[Line | Loop], indent: str = "    ") -> Iterator[tuple[str, Any]]:
    """The text, line by line, each with the user's line: what is quiet stands where NumPy's warnings are off."""
    quiet, number = False, 0
    for item in items:
        if isinstance(item, Loop):
            hushed, place = all(line[1] for line in item.lines), item.lines[0][2]
        else:
            hushed, place = item[1], item[2]
        if hushed and not quiet and not (isinstance(item, tuple) and str(item[0]).endswith("= None")):
            yield indent + 'with errstate(divide="ignore", invalid="ignore"):', place
            quiet = True
        quiet = quiet and hushed
        inner = indent + "    " if quiet else indent
        if isinstance(item, Loop):
            yield inner + item.head(number), place
            lines = [(text, not quiet and line_quiet, place) for text, line_quiet, place in item.lines]
            yield from written(lines, inner + "    ")
            number += 1
        else:
            yield inner + item[0], place
