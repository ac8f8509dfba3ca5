"""The flow over training: a few numbers a block, every so many steps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .archive import UNREADABLE, bytes_of
from .call import Call, scalar_seed
from .debugging import DebugTrace, full
from .errors import WatchError, callable_or_refused, message
from .flows import Rows
from .flows.blocks import Outline, Swept, join_rows, scope_rows
from .sweep import deltas
from .transforms import value_and_grad
from .viz.files import replaced
from .viz.picture import finite
from .viz.plots import axes, is_dark, written
from .viz.theme import cividis

COLUMNS = ("delta", "parameters", "skip", "residual", "nonfinite")
"""What is kept of each block; see :meth:`autodiff.GradientFlow.by_scope`."""

NAMED = 12
"""So many blocks are named beside a plot at most."""
FEW = 30
"""So few steps are marked one by one."""
WORDS = {
    "delta": "RMS of δ", "parameters": "RMS of δ of parameters", "skip": "share of δ through the skip",
    "residual": "share of δ through the residual branch", "nonfinite": "elements of δ that are nan or infinite",
}  # fmt: skip


class Watch:
    """A function with its gradient, of which every n-th call leaves a record. Made by :func:`autodiff.watch`.

    Attributes
    ----------
    history : list of dict
        A row a block and recorded step: ``step``, ``value``, ``block``, ``delta`` and ``parameters`` (RMS of δ of its
        operations and of its leaves), ``skip`` and ``residual`` (shares at its join), ``nonfinite``.
    step : int
        The number of the next call. It may be set, where a training goes on from elsewhere.
    """

    def __init__(
        self, f: Callable[..., Any], every: int, argnums: int | Sequence[int], path: Any, depth: int | None
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise WatchError(message(f"watch(every={every!r})", "it is a count of steps", "every=10"))
        if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int)):
            raise WatchError(message(f"watch(depth={depth!r})", "it is a number of scopes, one in another", "depth=1"))
        callable_or_refused("ad.watch", f)
        self.every, self.depth, self.step = every, depth, 0
        self.path = None if path is None else Path(path)
        self.history = Rows()
        self._f, self._argnums = f, argnums
        self._plain = value_and_grad(f, argnums)
        self._outline: Outline | None = None
        if self.path is not None:
            self._go_on(self.path)

    def _go_on(self, path: Path) -> None:
        """Take up the history of a training that was interrupted, and make sure that the file can be written."""
        try:
            if path.exists() and not path.is_dir():
                self.history = load(path)
                text = path.read_bytes()
                whole = b"".join(line + b"\n" for line in _lines(text))
                if len(whole) < len(text):
                    os.truncate(path, len(whole))  # the beginning of a row; what is before it is not touched
                elif whole != text:
                    with path.open("ab") as file:
                        file.write(b"\n")
            path.open("ab").close()
        except OSError as error:
            raise WatchError(
                message(f"watch(path={str(path)!r}): {error.strerror}", "each record is appended to it as it comes",
                        "a file in a folder that can be written")
            ) from None  # fmt: skip
        if self.history:
            self.step = (max(row["step"] for row in self.history) // self.every + 1) * self.every

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The value and the gradient, as :func:`autodiff.value_and_grad` gives them."""
        if not self.step % self.every:
            return self._recorded(*args, **kwargs)
        found = self._plain(*args, **kwargs)
        self.step += 1
        return found

    def _recorded(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The same by a run that keeps all values and a sweep that keeps what joins are told by: the same bits."""
        call = Call(self._f, self._argnums, args).run(full(lines=False), args, kwargs)
        graph, values, seeds = call.trace.graph, call.trace.values, scalar_seed(call)
        if self._outline is None or not self._outline.fits(graph):
            self._outline = Outline(graph)
        sent: dict[tuple[int, int], Any] = {}
        delta = deltas(graph, values, call.start(seeds), contributions=sent, only=self._outline.edges)
        swept = Swept(graph, values, delta, sent, {})
        blocks = scope_rows(swept, self._outline, join_rows(swept, self._outline), self.depth)
        if isinstance(call.trace, DebugTrace):
            call.trace.judge_deltas(call.start(seeds), delta, masked=False)
        gradients = call.gradients(delta, seeds)
        self._record(float(call.out[0]), blocks)
        return call.out[0], gradients[0] if isinstance(self._argnums, int) else gradients

    def _record(self, value: float, blocks: Rows) -> None:
        """Keep a step and go on to the next: the history, its file and the count agree, whatever comes in between."""
        rows = [
            {"step": self.step, "value": value, "block": row["scope"], **{key: row[key] for key in COLUMNS}}
            for row in blocks
        ]
        before = None
        try:
            if self.path is not None:
                with self.path.open("ab") as file:
                    before = file.tell()
                    file.write("".join(map(_line, rows)).encode())
            self.history += rows  # from here on nothing is called: no key that is pressed comes in between
            self.step += 1
        except BaseException:  # the next call is this step again: of its rows nothing may stand there
            if self.path is not None and before is not None:
                os.truncate(self.path, before)
            raise

    def save(self, path: Any) -> Path:
        """Write the history as JSON lines: one object a row; what JSON has no number for is a text.

        Parameters
        ----------
        path : path

        Returns
        -------
        pathlib.Path
            The file.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> step = ad.watch(lambda w: w * w, every=1)
        >>> _ = step(3.0)
        >>> step.save(os.path.join(tempfile.mkdtemp(), "history.jsonl")).name
        'history.jsonl'
        """
        target = Path(path)
        replaced(target, "".join(map(_line, self.history)).encode())
        return target

    def plot(self, ax: Any = None, what: str = "delta") -> Any:
        """Draw one column of the history over the steps, a line a block, from the first (dark) to the last (light).

        The legend stands beside the axes and names twelve blocks at most, at even distances.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw: ``plt.gca()`` by default.
        what : {"delta", "parameters", "skip", "residual", "nonfinite"}

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        WatchError
            For another column.

        Examples
        --------
        >>> import autodiff as ad
        >>> step = ad.watch(lambda w: w * w, every=1)
        >>> _ = step(3.0)
        >>> step.plot().get_xlabel()
        'step'
        """
        if what not in COLUMNS:
            raise WatchError(message(f"plot({what!r})", f"the history has {', '.join(COLUMNS)}", "one of these"))
        ax = axes(ax)
        start = 0.25 if is_dark(ax) else 0.0  # the ends of cividis are hardly seen on black and on white
        lines: dict[str, tuple[list[int], list[float]]] = {}
        for row in self.history:
            if row[what] is not None:
                steps, sizes = lines.setdefault(row["block"], ([], []))
                steps.append(row["step"])
                sizes.append(row[what])
        shown = np.linspace(0, len(lines) - 1, min(len(lines), NAMED)).round()
        for number, (block, (steps, sizes)) in enumerate(lines.items()):
            colour = cividis(start + number / max(1, len(lines) - 1) * 0.75)
            label = "_"  # matplotlib's way to leave a name out
            if number in shown:
                label = written(" " * block.startswith("_") + block) or "(outside)"
            ax.plot(steps, sizes, color=colour, label=label, marker="." if len(steps) < FEW else "")
        if what in ("delta", "parameters") and any(size > 0 for _, sizes in lines.values() for size in sizes):
            ax.set_yscale("log")
        if what == "nonfinite":  # a count begins at zero
            ax.set_ylim(0, 1.05 * max([1, *(size for _, sizes in lines.values() for size in sizes)]))
        ax.set_xlabel("step")
        ax.set_ylabel(WORDS.get(what, what))
        ax.set_title("Over training, by block")
        if lines:
            ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        else:
            ax.text(0.5, 0.5, "Nothing was recorded.", transform=ax.transAxes, ha="center")
        return ax

    def __repr__(self) -> str:
        return f"<watch: {self.step} steps, every {self.every} of them recorded>"


def _line(row: dict[str, Any]) -> str:
    return json.dumps(finite(row), allow_nan=False) + "\n"


def load(path: Any) -> Rows:
    """The history that :meth:`Watch.save` wrote, or that a watch with a path wrote as it went.

    A last line that was cut short, as by the end of a process, is left out.

    Parameters
    ----------
    path : path
        A file of JSON lines.

    Returns
    -------
    list of dict
        As a watch's ``history``.

    Raises
    ------
    WatchError
        Where a line is not a row of a history.

    Examples
    --------
    >>> import os, tempfile
    >>> import autodiff as ad
    >>> from autodiff.training import load
    >>> path = os.path.join(tempfile.mkdtemp(), "history.jsonl")
    >>> step = ad.watch(lambda w: w * w, every=1, path=path)
    >>> _ = step(3.0)
    >>> load(path)[0]["value"]
    9.0
    """
    rows = Rows()
    try:
        text = bytes_of(path)
    except ValueError as error:
        raise WatchError(
            message(f"{path} cannot be read as a history", str(error), "a file that watch(..., path=) or save wrote")
        ) from None
    for number, line in enumerate(_lines(text), 1):
        try:
            row = json.loads(line)
            step, block = row["step"], row["block"]
            if type(step) is not int or type(block) is not str:
                raise TypeError("a step is a whole number, a block a text")
            numbers = {key: _number(row[key]) for key in ("value", *COLUMNS)}
            rows.append({"step": step, "value": numbers.pop("value"), "block": block, **numbers})
        except UNREADABLE as error:
            raise WatchError(
                message(f"{path}, line {number}, is no row of a history ({str(error)[:200]})",
                        "each line is one JSON object", "a file that watch(..., path=) or save wrote")
            ) from None  # fmt: skip
    return rows


def _lines(text: bytes) -> list[bytes]:
    """The lines of a history, without a last one that is the beginning of a row."""
    *lines, last = text.split(b"\n")
    start = _line({"step": 0}).encode()[:-3]
    cut = (last.startswith(start) and not last.endswith(b"}")) or start.startswith(last)
    return lines if cut else [*lines, last]


def _number(x: Any) -> Any:
    if x is not None and type(x) not in (int, float) and x not in ("nan", "inf", "-inf"):
        raise TypeError("what is no number stands where a number should")
    if type(x) is int:
        float(x)  # one that is too large is none that was written
        return x
    return None if x is None else float(x)


def watch(
    f: Callable[..., Any],
    *,
    every: int = 10,
    argnums: int | Sequence[int] = 0,
    path: Any = None,
    depth: int | None = 1,
) -> Watch:
    """Differentiate f as :func:`value_and_grad` does, and keep a few numbers of its flow every so many steps.

    A recorded step runs f once and sweeps once, as any other does, and gives the same bits. It keeps all values and δ
    until it is over, and takes two to three times as long; the others cost nothing more.

    Parameters
    ----------
    f : callable
        A loss: a function of arrays or containers of arrays that returns one real number. Its scopes are the blocks.
    every : int
        Calls 0, n, 2n, … are recorded.
    argnums : int or sequence of int
        As for :func:`value_and_grad`.
    path : path, optional
        A file to append each record to as it comes, as JSON lines. The history in a file that is there is taken up, and
        the next call is taken for the next step to be recorded; ``step`` says and sets which that is.
    depth : int, optional
        Scopes below this depth count to the one above.

    Returns
    -------
    Watch
        Called as f; returns ``(value, gradient)``. Its ``history`` holds the rows, ``plot(ax)`` draws them,
        ``save(path)`` writes them.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> def loss(w):
    ...     with ad.scope("layer0"):
    ...         return np.sum((w - 1.0) ** 2)
    >>> step, w = ad.watch(loss, every=2), np.zeros(3)
    >>> for _ in range(4):
    ...     value, slope = step(w)
    ...     w = w - 0.25 * slope
    >>> [(row["step"], row["block"], row["value"]) for row in step.history]
    [(0, 'layer0', 3.0), (2, 'layer0', 0.1875)]
    """
    return Watch(f, every, argnums, path, depth)
