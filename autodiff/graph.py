"""The graph: what was computed, in the order in which it was computed.

A node is (operation, inputs, settings) with the shape and dtype of its result; it holds no result. The graph keeps
its nodes as columns, one list for each property, indexed by the node's number. A node is appended when it is
computed, so every input has a smaller number than its user: the order of the list is the topological order, and no
walk over the graph needs a sort, a stack or a set of visited nodes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import networkx
import numpy as np

from .archive import decode, encode, read, unreadable, write
from .errors import ArgumentError, GraphError, UnknownNameError, message, nearest

FORMAT, VERSION = "autodiff-graph", 1

LITERAL = -1
"""Stands in a node's inputs where the argument is a literal rather than another node."""


class Operation(Protocol):
    """What a graph knows of an operation. The whole of it is :class:`autodiff.op.Op`."""

    name: str
    kind: str
    flat: bool
    arity: int | None

    def formula(self, position: int) -> str:
        """The rule of one argument, as mathematics."""


OPERATIONS: dict[str, Any] = {}
"""Every registered operation by its name; filled at import. Saved graphs name their operations by these keys."""


class Edge(NamedTuple):
    """Node `source` is argument number `position` of node `consumer`."""

    source: int
    consumer: int
    position: int


class Values:
    """The table of values: one row a node, filled by the trace or by :func:`autodiff.sweep.evaluate`.

    ``results[i]`` is what node i computed; ``arguments[i]`` is what it was computed from, with literals in place.
    A trace that only serves one gradient leaves out what no rule will read.
    """

    __slots__ = ("arguments", "results")

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.arguments: list[Any] = []

    def __getitem__(self, node: int | Node) -> Any:
        return self.results[node if isinstance(node, int) else node.index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)


class Node:
    """One row of a graph, read through: two nodes are equal when they are the same row of the same graph."""

    __slots__ = ("graph", "index")

    def __init__(self, graph: Graph, index: int) -> None:
        self.graph = graph
        self.index = index

    @property
    def op(self) -> Any:
        """The operation that computed it."""
        return self.graph.ops[self.index]

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes among the arguments, in order of position; literals left out."""
        return tuple(Node(self.graph, i) for i in self.graph.inputs[self.index] if i != LITERAL)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Every argument by position, a Node or the literal itself."""
        return tuple(
            value if i == LITERAL else Node(self.graph, i)
            for i, value in zip(self.graph.inputs[self.index], self.graph.literals[self.index], strict=True)
        )

    @property
    def consumers(self) -> list[tuple[Node, int]]:
        """The output set, (w, k) for each node w that has this one as argument number k."""
        return [(Node(self.graph, w), k) for w, k in self.graph.consumers[self.index]]

    @property
    def params(self) -> dict[str, Any]:
        """The keyword settings of the call."""
        return self.graph.params[self.index] or {}

    @property
    def shape(self) -> Any:
        """The shape of its result; for several results a tuple of shapes."""
        return self.graph.shapes[self.index]

    @property
    def dtype(self) -> Any:
        """The dtype of its result; for several results a tuple of dtypes."""
        return self.graph.dtypes[self.index]

    @property
    def name(self) -> str | None:
        """Its own name, where it has one."""
        return self.graph.names.get(self.index)

    @property
    def scope(self) -> tuple[str, ...]:
        """The scopes that it stands in, outermost first."""
        return self.graph.scopes[self.index]

    @property
    def line(self) -> tuple[str, int] | None:
        """The user's own (file, line) that computed it."""
        return self.graph.lines[self.index]

    @property
    def value(self) -> Any:
        """What it computed, from the graph's table of values."""
        if self.graph.values is None:
            raise GraphError(
                message(
                    f"node {self.index} of this graph has no value",
                    "the graph was loaded or built without values",
                    "autodiff.sweep.evaluate(graph, arguments) fills a table of values",
                )
            )
        return self.graph.values.results[self.index]

    @property
    def label(self) -> str:
        """Its name, or else that of its operation."""
        return self.name or self.op.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and other.graph is self.graph and other.index == self.index

    def __hash__(self) -> int:
        return hash((id(self.graph), self.index))

    def __index__(self) -> int:
        return self.index

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<node {self.index}{name}: {self.op.name} {self.dtype}{list(self.shape)}>"


class _Nodes(Sequence[Node]):
    """The nodes of a graph as a sequence; each Node is made when it is asked for."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __len__(self) -> int:
        return len(self.graph.ops)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [Node(self.graph, i) for i in range(*index.indices(len(self)))]
        return Node(self.graph, range(len(self))[index])


class Graph:
    """Nodes in the order in which they were computed, in columns.

    Attributes
    ----------
    ops, inputs, literals, params, shapes, dtypes, scopes, lines : list
        One row a node. ``inputs[i]`` is a tuple with the number of a node, or ``LITERAL``, for each argument;
        ``literals[i]`` has the literals at the same positions, None elsewhere.
    names : dict of int to str
        Names given by the user, and those of the function's own arguments.
    arguments : list of int
        The nodes of the function's differentiable arguments, in order.
    outputs : list of int
        The nodes of its results, in order.
    tree : object
        How to put the outputs back into the container that the function returned; None for a single output.
    values : Values or None
        The table of values that the trace left behind.
    """

    __slots__ = (
        "__weakref__",
        "_consumers",
        "arguments",
        "dtypes",
        "inputs",
        "lines",
        "literals",
        "names",
        "ops",
        "outputs",
        "params",
        "scopes",
        "shapes",
        "title",
        "tree",
        "values",
    )

    backward_hook: ClassVar[Callable[..., Any] | None] = None
    """Filled by autodiff.flows when it is imported: rooms above a graph are reached through hooks, not imports."""

    draw_hook: ClassVar[Callable[..., Any] | None] = None
    """Filled by autodiff.viz when it is imported."""

    def __init__(self) -> None:
        self.ops: list[Any] = []
        self.inputs: list[tuple[int, ...]] = []
        self.literals: list[tuple[Any, ...]] = []
        self.params: list[dict[str, Any] | None] = []
        self.shapes: list[Any] = []
        self.dtypes: list[Any] = []
        self.scopes: list[tuple[str, ...]] = []
        self.lines: list[tuple[str, int] | None] = []
        self.names: dict[int, str] = {}
        self.arguments: list[int] = []
        self.outputs: list[int] = []
        self.tree: Any = None
        self.title: str = ""
        self.values: Values | None = None
        self._consumers: list[list[tuple[int, int]]] | None = None

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> Sequence[Node]:
        """All nodes, in order of computation."""
        return _Nodes(self)

    @property
    def consumers(self) -> list[list[tuple[int, int]]]:
        """For every node v its output set out(v), as (w, k) pairs in order of computation. Built when asked for."""
        if self._consumers is None or len(self._consumers) != len(self.ops):
            table: list[list[tuple[int, int]]] = [[] for _ in self.ops]
            for w, inputs in enumerate(self.inputs):
                for k, v in enumerate(inputs):
                    if v != LITERAL:
                        table[v].append((w, k))
            self._consumers = table
        return self._consumers

    @property
    def edges(self) -> Iterator[Edge]:
        """Every edge, in order of consumer and position."""
        for w, inputs in enumerate(self.inputs):
            for k, v in enumerate(inputs):
                if v != LITERAL:
                    yield Edge(v, w, k)

    def node(self, key: int | str | Node) -> Node:
        """The node with this number or name.

        Parameters
        ----------
        key : int, str or Node
            A negative number counts from the end.

        Returns
        -------
        Node

        Raises
        ------
        UnknownNameError
            Where nothing bears the name, and the message lists the nearest ones, or where several nodes do.

        Examples
        --------
        >>> import autodiff as ad
        >>> graph = ad.trace(lambda x: ad.name(x * x, "square"))(3.0)
        >>> graph.node("square").value, graph.node(0).label
        (np.float64(9.0), 'x')
        """
        if isinstance(key, Node):
            key = key.index
        if isinstance(key, str):
            bearers = sorted(index for index, name in self.names.items() if name == key)
            if len(bearers) == 1:
                return Node(self, bearers[0])
            if bearers:
                raise UnknownNameError(
                    message(
                        f"{len(bearers)} nodes are named {key!r}",
                        f"they are the nodes {', '.join(map(str, bearers))}, and one of them is asked for",
                        f"ask by number, flow[{bearers[0]}], or give each a name of its own",
                    )
                )
            known = list(self.names.values())
            near = nearest(key, known) or known[:8]
            raise UnknownNameError(
                message(
                    f"no node is named {key!r}",
                    f"this graph has {len(known)} named nodes; the nearest: {', '.join(map(repr, near)) or 'none'}",
                    "give a node its name with ad.name(x, 'hidden'), or ask by number: graph.nodes[3]",
                )
            )
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise UnknownNameError(
                message(
                    f"a node was asked for by a {type(key).__name__}",
                    "a node has a number, and a name where it was given one",
                    "graph.node(3), graph.node('hidden'), or one of graph.nodes",
                )
            )
        if not -len(self.ops) <= key < len(self.ops):
            raise UnknownNameError(
                message(
                    f"there is no node {key}", f"this graph has {len(self.ops)} nodes", "graph.nodes lists them"
                )
            )
        return Node(self, key % len(self.ops))

    def __len__(self) -> int:
        return len(self.ops)

    def __eq__(self, other: object) -> bool:
        """The same program: operations, inputs, settings, literals, shapes, dtypes and ends. Values do not count."""
        if not isinstance(other, Graph):
            return NotImplemented
        return (
            [op.name for op in self.ops] == [op.name for op in other.ops]
            and self.inputs == other.inputs
            and self.shapes == other.shapes
            and self.dtypes == other.dtypes
            and self.arguments == other.arguments
            and self.outputs == other.outputs
            and all(map(_same, self.literals, other.literals))
            and all(map(_same, (p or {} for p in self.params), (p or {} for p in other.params)))
        )

    __hash__ = None  # type: ignore[assignment]  # equal graphs may still grow apart

    def backward(self, seed: Any = None) -> Any:
        """One reverse sweep that keeps everything: the δ of each node, the contribution of each edge.

        Parameters
        ----------
        seed : array_like, optional
            The δ of the output, with the output's shape; 1 for a scalar output. For several outputs the container that
            the function returned, or a list, with one seed for each.

        Returns
        -------
        autodiff.GradientFlow

        Raises
        ------
        SeedError
            Where a seed's shape or dtype is not that of its output, or is missing for an array.
        GraphError
            Where the graph has no values.

        Examples
        --------
        >>> import autodiff as ad
        >>> graph = ad.trace(lambda x: x * x)(3.0)
        >>> graph.backward()["x"], graph.backward(seed=10.0)["x"]
        (np.float64(6.0), np.float64(60.0))
        """
        assert Graph.backward_hook is not None, "autodiff.flows fills this hook when it is imported"
        return Graph.backward_hook(self, seed)

    def save(self, path: str | os.PathLike[str], *, values: bool = True) -> None:
        """Write the graph as JSON, with its arrays as npz beside it: ``g.json`` and ``g.npz``.

        Parameters
        ----------
        path : path
            The JSON file.
        values : bool
            Whether to write the table of values too.

        Raises
        ------
        GraphError
            Where the graph holds what a file cannot: a checkpointed part, or a setting that is not plain data.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> path = os.path.join(tempfile.mkdtemp(), "g.json")
        >>> graph = ad.trace(lambda x: x * x)(3.0)
        >>> graph.save(path)
        >>> ad.Graph.load(path) == graph
        True
        """
        write(path, *self.stored(values=values))

    def stored(self, *, values: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """What :meth:`save` writes: a document of plain data, and its arrays by the keys that stand in it.

        Parameters
        ----------
        values : bool
            Whether the table of values is part of it.

        Returns
        -------
        document, arrays

        Raises
        ------
        GraphError
            As :meth:`save`.

        Examples
        --------
        >>> import autodiff as ad
        >>> document, arrays = ad.trace(lambda x: x * x)(3.0).stored(values=False)
        >>> [node["op"] for node in document["nodes"]]
        ['input', 'multiply']
        """
        names = {id(op): name for name, op in OPERATIONS.items()}
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for op in self.ops:
            if id(op) not in names:
                raise GraphError(
                    message(
                        f"the operation {op.name} of this graph is not registered and cannot be saved by name",
                        "a graph file names its operations; it holds no code",
                        "save the graph of the function without ad.checkpoint",
                    )
                )
        kept = self.values.results if values and self.values is not None else None
        nodes = [
            {
                "op": names[id(self.ops[i])],
                "inputs": list(self.inputs[i]),
                "literals": encode(self.literals[i], arrays),
                "params": encode(self.params[i], arrays),
                "shape": encode(self.shapes[i], arrays),
                "dtype": encode(self.dtypes[i], arrays),
                "scope": list(self.scopes[i]),
                "line": None if (line := self.lines[i]) is None else list(line),
                **({} if kept is None else {"value": encode(kept[i], arrays)}),
            }
            for i in range(len(self.ops))
        ]
        document = {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "arguments": self.arguments,
            "outputs": self.outputs,
            "names": [[i, name] for i, name in self.names.items()],
            "values": kept is not None,
            "nodes": nodes,
        }
        return document, arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """Read what :meth:`save` wrote. The graph is checked; nothing in the file is executed.

        Parameters
        ----------
        path : path
            The JSON file; its arrays lie beside it.

        Returns
        -------
        Graph

        Raises
        ------
        LoadError
            Where the files are not a graph, name an operation that is not registered here, or break a graph's rules.
        FileNotFoundError
            Where one of the two files is not there.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> path = os.path.join(tempfile.mkdtemp(), "g.json")
        >>> graph = ad.trace(lambda x: x * x)(3.0)
        >>> graph.save(path)
        >>> ad.Graph.load(path) == graph
        True
        """
        return cls.restored(path, *read(path, FORMAT, VERSION))

    @classmethod
    def restored(cls, path: str | os.PathLike[str], document: dict[str, Any], arrays: dict[str, Any]) -> Graph:
        """The graph of what :meth:`stored` returned, read from `path`.

        Parameters
        ----------
        path : path
            What errors name; nothing is read.
        document, arrays : dict
            The two that :meth:`stored` returned.

        Returns
        -------
        Graph

        Raises
        ------
        LoadError
            As :meth:`load`.

        Examples
        --------
        >>> import autodiff as ad
        >>> graph = ad.trace(lambda x: x * x)(3.0)
        >>> ad.Graph.restored("memory", *graph.stored()) == graph
        True
        """
        graph = cls()
        try:
            graph.title = str(document["title"])
            graph.arguments = [int(i) for i in document["arguments"]]
            graph.outputs = [int(i) for i in document["outputs"]]
            graph.names = {int(i): str(name) for i, name in document["names"]}
            graph.values = Values() if document["values"] else None
            for row in document["nodes"]:
                graph._load_node(row, arrays)
            return check(graph)
        except GraphError as error:
            raise unreadable(path, str(error)) from None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise unreadable(path, f"{type(error).__name__}: {error}") from None

    def _load_node(self, row: dict[str, Any], arrays: dict[str, Any]) -> None:
        op = OPERATIONS.get(row["op"])
        if op is None:
            near = ", ".join(nearest(str(row["op"]), OPERATIONS)) or "none"
            raise GraphError(
                f"it uses the operation {row['op']!r}, which is not registered here (nearest: {near}); "
                "import the module that declares it first"
            )
        self.ops.append(op)
        self.inputs.append(tuple(int(i) for i in row["inputs"]))
        self.literals.append(decode(row["literals"], arrays))
        self.params.append(decode(row["params"], arrays))
        self.shapes.append(decode(row["shape"], arrays))
        self.dtypes.append(decode(row["dtype"], arrays))
        self.scopes.append(tuple(str(name) for name in row["scope"]))
        self.lines.append(None if row["line"] is None else (str(row["line"][0]), int(row["line"][1])))
        if self.values is not None:
            value = decode(row["value"], arrays)
            self.values.results.append(value)
            self.values.arguments.append(
                tuple(
                    literal if i == LITERAL else self.values.results[i]
                    for i, literal in zip(self.inputs[-1], self.literals[-1], strict=True)
                )
            )

    def draw(self, path: Any, **options: Any) -> Any:
        """Write a picture of the graph with its values; see :func:`autodiff.viz.draw` for the errors.

        Parameters
        ----------
        path : path
            Its suffix names the format: svg, png, pdf, html, dot, json, txt.
        **options
            See :class:`~autodiff.viz.options.Options`.

        Returns
        -------
        pathlib.Path
            The file.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> ad.trace(lambda x: x * x)(3.0).draw(os.path.join(tempfile.mkdtemp(), "square.svg")).name
        'square.svg'
        """
        assert Graph.draw_hook is not None, "autodiff.viz fills this hook when it is imported"
        return Graph.draw_hook(self, path, **options)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """A MultiDiGraph: nodes by number, edges keyed by argument position, everything known as attributes.

        Returns
        -------
        networkx.MultiDiGraph

        Examples
        --------
        >>> import autodiff as ad
        >>> found = ad.trace(lambda x: x * x)(3.0).to_networkx()
        >>> list(found.edges(keys=True)), found.nodes[1]["op"]
        ([(0, 1, 0), (0, 1, 1)], 'multiply')
        """
        drawn = networkx.MultiDiGraph(title=self.title, arguments=list(self.arguments), outputs=list(self.outputs))
        for node in self.nodes:
            drawn.add_node(
                node.index,
                op=node.op.name,
                kind=node.op.kind,
                name=node.name,
                scope=node.scope,
                shape=node.shape,
                dtype=str(node.dtype),
                params=node.params,
                literals=self.literals[node.index],
                line=node.line,
                value=None if self.values is None else self.values.results[node.index],
            )
        drawn.add_edges_from((v, w, k, {"position": k}) for v, w, k in self.edges)
        return drawn

    def __repr__(self) -> str:
        title = f" of {printable(self.title)}" if self.title else ""
        edges = sum(1 for _ in self.edges)
        return f"<graph{title}: {len(self.ops)} nodes, {edges} edges, {len(self.outputs)} outputs>"

    def __str__(self) -> str:
        return table(self)


def _same(a: Any, b: Any) -> bool:
    """Equality of literals and settings, in which arrays, dicts, tuples and slices may stand."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        )
    if isinstance(a, (type, np.dtype)) and isinstance(b, (type, np.dtype)):
        return np.dtype(a) == np.dtype(b)  # np.float64 and np.dtype("float64") are one setting
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    return bool(a == b or (a != a and b != b))


def printable(text: str, width: int = 80) -> str:
    """A name that can be printed anywhere: on one line, what a terminal would obey or no encoding has as its escape."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: width + 1])
    return text if len(text) <= width else text[: width - 1] + "…"


def setting(value: Any) -> str:
    """A setting of a call as text; a function by its name, because its address differs from run to run."""
    if callable(value) and not isinstance(value, type):
        return str(getattr(value, "__name__", type(value).__name__))
    return repr(value)


def cell(value: Any, width: int = 34) -> str:
    """One value in one cell of a table: short arrays in full, long ones by shape and range."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        text = "(" + ", ".join(cell(v, width) for v in value) + ")"
    elif np.size(value) <= 6:
        text = np.array2string(np.asarray(value), precision=4, separator=" ").replace("\n", "")
    else:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            text = f"|·| {abs(array).min():.3g} … {abs(array).max():.3g}"
        else:
            text = f"{array.min():.3g} … {array.max():.3g}"
    return text if len(text) <= width else text[: width - 1] + "…"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text as aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def table(graph: Graph, deltas: Sequence[Any] | None = None, limit: int = 200) -> str:
    """The graph as a table like a debugger's: index, name, operation, inputs, shape, value and, if given, δ."""
    head = ("#", "name", "operation", "inputs", "dtype", "shape", "value") + (("δ",) if deltas is not None else ())
    rows: list[tuple[str, ...]] = [head]
    count = len(graph.ops)
    shown = range(count) if count <= limit else [*range(limit // 2), *range(count - limit // 2, count)]
    for i in shown:
        if count > limit and i == count - limit // 2:
            rows.append(("…", f"{count - len(shown)} more") + ("",) * (len(head) - 2))
        settings = ", ".join(f"{k}={setting(v)}" for k, v in (graph.params[i] or {}).items())
        rows.append(
            (
                str(i),
                printable("/".join((*graph.scopes[i], graph.names.get(i, "")))),
                graph.ops[i].name + (f"[{settings}]" if settings else ""),
                " ".join(
                    f"%{v}" if v != LITERAL else cell(literal, 12)
                    for v, literal in zip(graph.inputs[i], graph.literals[i], strict=True)
                ),
                str(graph.dtypes[i]),
                str(graph.shapes[i]),
                cell(graph.values.results[i]) if graph.values is not None else "",
            )
            + ((cell(deltas[i]) or "no path",) if deltas is not None else ())
        )
    return columns(rows)


def check(graph: Graph) -> Graph:
    """Hold a graph against its own rules, and return it.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Graph
        The same.

    Raises
    ------
    GraphError
        Naming the node and the rule: columns of one length, inputs computed before their users, an argument for every
        position the operation takes, shapes and dtypes that match the values, ends that exist.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> graph = ad.trace(lambda x: 2.0 * x)(1.0)
    >>> ad.check(graph)
    <graph of <lambda>: 2 nodes, 1 edges, 1 outputs>
    >>> graph.outputs = [2]
    >>> ad.check(graph)
    Traceback (most recent call last):
    ...
    autodiff.errors.GraphError: output 2 is not a node of the graph
    ...
    """
    if not isinstance(graph, Graph):
        raise ArgumentError(
            message(f"check: a {type(graph).__name__} is not a graph", "its nodes are looked at",
                    "ad.check(ad.trace(f)(x)); the derivatives of a function: ad.testing.check_grads(f, (x,))")
        )  # fmt: skip
    count = len(graph.ops)

    def fail(what: str) -> None:
        raise GraphError(message(what, "a graph that breaks this cannot be swept", "build graphs with ad.trace"))

    for column in ("inputs", "literals", "params", "shapes", "dtypes", "scopes", "lines"):
        if len(getattr(graph, column)) != count:
            fail(f"column {column!r} has {len(getattr(graph, column))} rows for {count} nodes")
    for i, (op, inputs, literals) in enumerate(zip(graph.ops, graph.inputs, graph.literals, strict=True)):
        if len(inputs) != len(literals):
            fail(f"node {i} ({op.name}) has {len(inputs)} inputs and {len(literals)} literals")
        if op.arity is not None and len(inputs) != op.arity:
            fail(f"node {i} ({op.name}) has {len(inputs)} arguments, the operation takes {op.arity}")
        for k, v in enumerate(inputs):
            if not (LITERAL <= v < i):
                fail(f"argument {k} of node {i} ({op.name}) is node {v}, which is not computed before it")
        if op.kind == "input" and i not in graph.arguments:
            fail(f"node {i} is an input but not among the graph's arguments")
    for what, ends in (("argument", graph.arguments), ("output", graph.outputs)):
        for v in ends:
            if not 0 <= v < count:
                fail(f"{what} {v} is not a node of the graph")
    if len(set(graph.arguments)) != len(graph.arguments):
        fail("the same node stands twice among the arguments")
    if graph.values is not None:
        if len(graph.values.results) != count:
            fail(f"the table of values has {len(graph.values.results)} rows for {count} nodes")
        for i, value in enumerate(graph.values.results):
            if not isinstance(value, tuple) and (value.shape, value.dtype) != (graph.shapes[i], graph.dtypes[i]):
                fail(
                    f"node {i} ({graph.ops[i].name}) says {graph.dtypes[i]}{graph.shapes[i]}, "
                    f"its value is {value.dtype}{value.shape}"
                )
    return graph


def scope_tree(graph: Graph) -> Mapping[tuple[str, ...], list[int]]:
    """The nodes of each scope, outermost names first; the key () holds what stands in no scope."""
    found: dict[tuple[str, ...], list[int]] = {}
    for i, path in enumerate(graph.scopes):
        found.setdefault(path, []).append(i)
    return found
