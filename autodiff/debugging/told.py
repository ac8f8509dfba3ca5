"""A finding in words, in numbers and as a picture."""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any

import numpy as np

from ..errors import NonFiniteError, PictureError, message, printable, user_line
from ..graph import LITERAL, Graph, Node, Values
from ..op import DEBUG
from ..traced import Traced
from .causes import REVERSE, cause, kind_of
from .places import at_line
from .search import Finding, Origin, axes_of, number

NEAR = 3
"""So many consumers of a node stand in the small table of a message."""

READABLE = 40
"""So many boxes of a neighbourhood are drawn."""


def error_of(finding: Finding) -> NonFiniteError:
    """The error that names what was found."""
    told = Told(finding)
    return NonFiniteError(told.text(), told)


def note_of(finding: Finding) -> str:
    """The same in a line, for an exception that came before the end."""
    told = Told(finding)
    return f"debug: before this, {told.what()}, in {told.where()}"


class Told:
    """What a NonFiniteError knows: see there."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        record, v = finding.record, finding.node
        self.phase = finding.phase
        origin = finding.origin
        self.step: str = record.graph.ops[v].name
        self.operation: str = self.step
        if origin is not None:
            self.operation = origin.op.name
            if self.phase == "forward":
                self.phase = "tangent" if origin.forward else "reverse"
        self.kind = kind_of(finding.value)
        self.index, self.example = finding.index, finding.example
        self.line: tuple[str, int] | None = record.graph.lines[v]
        self.values = self._values()
        self.delta = self._delta_at()
        self._graph: Graph | None = None
        self._flow: Any = None

    # -- what is told ----------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The whole message."""
        found, op = self.finding, self.finding.record.graph.ops[self.finding.node]
        why, instead = self._cause(op)
        lines = [*self._value_lines()]
        if found.through is not None:
            lines.append(f"\n  reached: the gradient, through {_rule(found.through)}")
        lines.append(f"\n  near:    {self.picture}")
        return message(self.what(), why, instead, where=self.where(), more="".join(lines))

    def what(self) -> str:
        """The operation, the direction and the place, in a sentence."""
        found, graph = self.finding, self.finding.record.graph
        v = found.node
        name = graph.names.get(v)
        scope = "/".join(graph.scopes[v])
        node = f"node {v}{f' {name!r}' if name else ''}{f' in scope {scope!r}' if scope else ''}"
        at = self._at()
        if found.phase == "argument":
            return f"argument {name or v} of {graph.title or 'the function'} is {self.kind} already{at}"
        if found.phase == "seed" and found.delta is None:
            return f"the tangent of argument {name or v} of {graph.title or 'the function'} is {self.kind} already{at}"
        if found.phase == "seed":
            return f"the seed of {node} ({self.step}) is {self.kind} already{at}"
        if found.phase == "constant":
            return f"{self.step} ({node}) was given {self.kind} by its argument {found.argument}, a constant{at}"
        if found.phase == "sum":
            return f"the terms of δ that reach {node} ({self.step}) are finite, and their sum is {self.kind}{at}"
        if found.phase == "forward":
            if found.origin is not None:
                return f"{_named(found.origin)} made {self.kind}, by {self.step}: {node}{at}"
            return f"{self.step} made {self.kind} in the forward run: {node}{at}"
        inner = f", which ran in {_named(found.origin)}" if found.origin is not None else ""
        return f"{_rule(found)} made {self.kind}: {node}{inner}{at}"

    def where(self) -> str:
        """The user's own line of that operation."""
        return at_line(self.line) or user_line() or "a line that is not known"

    def _at(self) -> str:
        found = self.finding
        parts = []
        if found.result is not None:
            parts.append(f"in result {found.result}")
        if found.index:
            parts.append(f"at index {_index(found.index)}")
        y = found.record.values.results[found.node]
        examples = len(axes_of(y[0] if isinstance(y, tuple) and y else y))
        if found.example[:examples]:
            parts.append(f"of example {', '.join(map(str, found.example[:examples]))}")
        if found.example[examples:]:
            parts.append(f"for unit vector {', '.join(map(str, found.example[examples:]))}")
        if found.size > 1:
            parts.append(f"{found.count} of {found.size} elements")
        return f", {', '.join(parts)}" if parts else ""

    def _cause(self, op: Any) -> tuple[str, str]:
        found = self.finding
        if found.phase == "argument":
            return "an operation that is given nan or inf passes it on", "np.isfinite(x).all() before the call says so"
        if found.phase == "seed":
            what = "δ" if found.delta is not None else "tangent"
            return f"every {what} is a multiple of the first", "give one of finite numbers"
        if found.phase == "constant":
            return ("a plain array or number that the function reads has it",
                    "see where that constant comes from; np.nan_to_num, or np.where(np.isnan(c), 0.0, c)")  # fmt: skip
        if found.phase == "sum":
            return ("they are too large for the dtype, or cancel from inf",
                    "scale the loss, or compute in a wider dtype")  # fmt: skip
        if found.phase == "forward" and found.origin is not None:
            outer = found.origin.op
            if outer.name in REVERSE or outer.user:
                return cause("reverse", outer, self.kind, np.asarray(found.value).dtype)
        return cause(found.phase, op, self.kind, np.asarray(found.value).dtype)

    # -- values ----------------------------------------------------------------------------------------------------

    def _values(self) -> dict[str, Any]:
        """What each argument, and the result, have at that place; a whole array where elements mix."""
        found, record = self.finding, self.finding.record
        graph, v = record.graph, found.node
        op = graph.ops[v]
        values: dict[str, Any] = {}
        if found.phase in ("argument", "seed", "sum"):
            return values
        for k, (i, x) in enumerate(zip(graph.inputs[v], record.values.arguments[v], strict=True)):
            values[self._name(k, i)] = self._element(op, x, self._of_result(op))
        y = record.values.results[v]
        y = y[found.result] if isinstance(y, tuple) and found.result is not None else y
        if not isinstance(y, tuple):
            values["result"] = self._element(op, y, self._of_result(op), result=True)
        return values

    def _of_result(self, op: Any) -> tuple[int, ...] | None:
        """The index of the element as an index of the result; of a reverse rule that is known where shapes are one."""
        found, graph = self.finding, self.finding.record.graph
        if found.phase != "reverse" or found.argument is None:
            return found.index
        i = graph.inputs[found.node][found.argument]
        return found.index if graph.shapes[i] == graph.shapes[found.node] else None

    def _element(self, op: Any, x: Any, index: tuple[int, ...] | None, result: bool = False) -> Any:
        """The element of an argument that meets that of the result, with broadcasting undone."""
        if isinstance(x, tuple):
            return x
        array = one_example(x, self.finding)
        if array.ndim == 0:
            return array[()]
        if index is None or (op.kind != "elementwise" and not (result and self.phase == "forward")):
            return array
        if result:
            return array[index] if len(index) == array.ndim else array
        own = index[len(index) - array.ndim :]
        if len(own) != array.ndim:
            return array
        return array[tuple(0 if n == 1 else i for i, n in zip(own, array.shape, strict=True))]

    def _name(self, k: int, i: int) -> str:
        graph, op = self.finding.record.graph, self.finding.record.graph.ops[self.finding.node]
        label = f"argument {k}" if op.arity != 1 or i == LITERAL else "argument"
        name = graph.names.get(i) if i != LITERAL else None
        return f"{label} ({name})" if name else label

    def _delta_at(self) -> Any:
        """The δ that came to the operation, at that place where shapes are one."""
        found = self.finding.through or self.finding
        if found.delta is None or found.phase not in ("reverse", "sum"):
            return None
        d = found.delta[found.node]
        if d is None or isinstance(d, tuple):
            return d
        array = one_example(d, found)
        return array[found.index] if array.ndim and np.shape(array) != () and _fits(found.index, array.shape) else (
            array[()] if array.ndim == 0 else array
        )

    def _value_lines(self) -> list[str]:
        rows = [(name, told(x)) for name, x in self.values.items()]
        if self.delta is not None:
            rows.append(("δ", told(self.delta)))
        if self.finding.phase == "reverse":
            rows.append(("δ sent back", told(self.finding.value)))
        wide = max((len(name) for name, _ in rows), default=0)
        start = ("values:  ", "         ")
        return [f"\n  {start[n > 0]}{name:<{wide}} = {text}" for n, (name, text) in enumerate(rows)]

    # -- the neighbourhood -----------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The node of the graph."""
        return Node(self.graph, self.finding.node)

    @property
    def graph(self) -> Graph:
        """The recorded graph with plain values; inside of `vmap` those of the example."""
        if self._graph is None:
            self._graph = plain_graph(self.finding)
        return self._graph

    @property
    def flow(self) -> Any:
        """The graph with every δ, where the sweep was the reverse one; None elsewhere."""
        seeds = self.finding.seeds
        if self._flow is None and self.finding.delta is not None and seeds:
            graph = copy.copy(self.graph)
            graph.outputs = list(seeds)
            graph.tree = None
            given = [np.asarray(one_example(x, self.finding))[()] for x in seeds.values()]
            token = DEBUG.set(None)  # which would raise again
            try:
                with np.errstate(all="ignore"):
                    self._flow = graph.backward(given[0] if len(given) == 1 else given)
            finally:
                DEBUG.reset(token)
        return self._flow

    def shown(self) -> dict[str, Any]:
        """The options of a picture of the neighbourhood."""
        near = self._near(2)
        if len(near) <= READABLE:
            return {"focus": self.finding.node, "hops": 2, "title": self._title()}
        return {"focus": [*near][:READABLE], "hops": 0, "title": self._title()}

    def _near(self, hops: int) -> list[int]:
        """The nodes within so many arrows, the nearest first."""
        graph = self.finding.record.graph
        found = {self.finding.node: None}
        edge = [self.finding.node]
        for _ in range(hops):
            after = [i for v in edge for i in graph.inputs[v] if i != LITERAL]
            after += [w for v in edge for w, _ in graph.consumers[v]]
            edge = [v for v in dict.fromkeys(after) if v not in found]
            found.update(dict.fromkeys(edge))
        return list(found)

    def _title(self) -> str:
        found, graph = self.finding, self.finding.record.graph
        at = f", at index {_index(found.index)}" if found.index else ""
        name = graph.names.get(found.node)
        label = f"{printable(name, 30)}: " if name and found.phase != "argument" else ""
        if found.phase in ("forward", "reverse", "tangent"):
            who = self.step if found.phase == "forward" else _rule(found)
            return f"{label}{who} made {self.kind}{at}"
        return f"{label}{self.what().partition(', ')[0]}{at}"

    def svg(self) -> str | None:
        """The picture for notebooks; None where it cannot be drawn."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "near.svg")
            try:
                (self.flow or self.graph).draw(path, **self.shown(), theme="light", timeout=10.0)
            except PictureError:
                return None
            with open(path, encoding="utf-8") as file:
                return file.read()

    @property
    def picture(self) -> str:
        """The neighbourhood in a few lines: what comes in, the node, and what reads it."""
        found, record = self.finding, self.finding.record
        graph, v = record.graph, found.node
        inputs = list(dict.fromkeys(i for i in graph.inputs[v] if i != LITERAL))
        users = list(dict.fromkeys(w for w, _ in graph.consumers[v]))
        rows = [self._row(i, " ") for i in inputs[:NEAR]]
        if len(inputs) > NEAR:
            rows.append((" ", f"… {len(inputs) - NEAR} more", "", ""))
        rows.append(self._row(v, "▶"))
        rows += [self._row(w, " ") for w in users[:NEAR]]
        if len(users) > NEAR:
            rows.append((" ", f"… {len(users) - NEAR} more", "", ""))
        widths = [max(len(row[n]) for row in rows) for n in range(4)]
        return "\n           ".join(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def _row(self, v: int, mark: str) -> tuple[str, str, str, str]:
        found, record = self.finding, self.finding.record
        graph = record.graph
        name = graph.names.get(v)
        label = f"{mark} {v} {graph.ops[v].name}{f' {printable(name, 30)!r}' if name else ''}"
        kind = str(graph.dtypes[v]) + "".join(f"[{', '.join(map(str, graph.shapes[v]))}]" if graph.shapes[v] else "")
        if isinstance(graph.dtypes[v], tuple):
            kind = f"{len(graph.dtypes[v])} results"
        value = _several(record.values.results[v], found)
        delta = ""
        if found.delta is not None and v < len(found.delta) and found.delta[v] is not None:
            delta = f"δ {_several(found.delta[v], found)}"
        return label, kind, value, delta


# -- numbers in words --------------------------------------------------------------------------------------------------


def _rule(finding: Finding) -> str:
    """The rule of a reverse or forward sweep, in words."""
    name = finding.record.graph.ops[finding.node].name
    if finding.phase == "tangent":
        return f"the forward-mode rule of {name}"
    place = f" for argument {finding.argument}" if finding.record.graph.ops[finding.node].arity != 1 else ""
    return f"the reverse rule of {name}{place}"


def _named(origin: Origin | None) -> str:
    assert origin is not None
    op = origin.op
    place = f" for argument {origin.argument}" if op.arity != 1 else ""
    way = "forward-mode" if origin.forward else "reverse"
    return f"the {way} rule of {op.name}{place} (node {origin.node} of an inner derivative)"


def _index(index: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, index))}{',' if len(index) == 1 else ''})"


def _fits(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(index) == len(shape) and all(i < n for i, n in zip(index, shape, strict=True))


def _several(x: Any, finding: Finding) -> str:
    if isinstance(x, tuple):
        return ", ".join("none" if part is None else _several(part, finding) for part in x[:3])
    return told(one_example(x, finding), dtype=False)


def told(x: Any, dtype: bool = True) -> str:
    """A number, a short array or the range of a long one; how many elements are not finite."""
    if isinstance(x, tuple):
        return f"{len(x)} results"
    x = np.asarray(x)
    if x.size == 0:
        return f"empty {x.dtype}{list(x.shape)}"
    if x.ndim == 0:
        return f"{x[()]!s}"
    kind = f"{x.dtype}{list(x.shape)} " if dtype else ""
    if x.size <= 4 and x.ndim == 1:
        return kind + np.array2string(x, precision=4, separator=" ")
    if x.dtype.kind not in "fc":
        return kind + (f"{x.min()} … {x.max()}" if x.dtype.kind in "iub" else "")
    good = x[np.isfinite(x)]
    size = np.abs(good) if x.dtype.kind == "c" else good
    words = [f"{size.min():.4g} … {size.max():.4g}"] if good.size else []
    nans, infs = int(np.isnan(x).sum()), int(np.isinf(x).sum())
    words += [f"nan ×{nans}"] * (nans > 0) + [f"inf ×{infs}"] * (infs > 0)
    return kind + ", ".join(words)


# -- plain arrays ------------------------------------------------------------------------------------------------------


def one_example(x: Any, finding: Finding) -> Any:
    """The array behind a tensor; of a batch that of the example that was found."""
    return np.asarray(number(x)[finding.of(x)])


def _plain(x: Any, finding: Finding) -> Any:
    if isinstance(x, tuple):
        return tuple(_plain(part, finding) for part in x)
    return one_example(x, finding)[()] if isinstance(x, Traced) else x


def plain_graph(finding: Finding) -> Graph:
    """The graph with values that are plain arrays."""
    record = finding.record
    graph = copy.copy(record.graph)
    values = Values()
    values.results = [_plain(x, finding) for x in record.values.results]
    values.arguments = [tuple(_plain(x, finding) for x in row) for row in record.values.arguments]
    graph.literals = [tuple(_plain(x, finding) for x in row) for row in record.graph.literals]
    graph.params = [
        {key: _plain(x, finding) for key, x in row.items()} if row else row for row in record.graph.params
    ]
    graph.values = values
    return graph
