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

from .archive import UNREADABLE, decode, encode, read, unreadable, write
from .errors import ArgumentError, GraphError, UnknownNameError, message, nearest, printable

FORMAT, VERSION = "autodiff-graph", 1

LARGE = 2**22
"""So many numbers settings of a file may ask for, whatever it holds."""
HARMLESS = ("index", "indices", "shift")
"""Settings that may be large numbers though nothing is."""

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
        name = f" {printable(repr(self.name))}" if self.name else ""
        return f"<node {self.index}{name}: {printable(self.op.name)} {self.dtype}{list(self.shape)}>"


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
        The table of values that the trace left behind. Its arrays are read-only, as literals and settings are: every
        later sweep reads them.
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

    def seal(self) -> None:
        """Make the arrays of the graph read-only: values, literals and settings, which every later sweep reads.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> graph = ad.trace(lambda x: np.sum(x * x))(np.ones(2))  # which seals it
        >>> graph.nodes[0].value[0] = 5.0
        Traceback (most recent call last):
        ValueError: assignment destination is read-only
        """
        seal(self.literals)
        seal(self.params)
        if self.values is not None:
            seal(self.values.results)

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
            graph.title = _of(str, document["title"])
            graph.arguments = [_of(int, i) for i in _of(list, document["arguments"])]
            graph.outputs = [_of(int, i) for i in _of(list, document["outputs"])]
            graph.names = {_of(int, i): _of(str, name) for i, name in _of(list, document["names"])}
            graph.values = Values() if document["values"] else None
            for row in _of(list, document["nodes"]):
                graph._load_node(row, arrays)
            if not graph.names.keys() <= set(range(len(graph.ops))):
                raise ValueError("it names a node that it does not have")
            graph.seal()
            check(graph)
            graph._check_settings()
            return graph
        except GraphError as error:
            raise unreadable(path, str(error)) from None
        except UNREADABLE as error:
            raise unreadable(path, f"{type(error).__name__}: {str(error)[:200]}") from None

    def _load_node(self, row: dict[str, Any], arrays: dict[str, Any]) -> None:
        op = OPERATIONS.get(row["op"])
        if op is None:
            near = ", ".join(nearest(str(row["op"]), OPERATIONS)) or "none"
            raise GraphError(
                f"it uses the operation {row['op']!r}, which is not registered here (nearest: {near}); "
                "import the module that declares it first"
            )
        self.ops.append(op)
        self.inputs.append(tuple(_of(int, i) for i in _of(list, row["inputs"])))
        self.literals.append(_of(tuple, decode(row["literals"], arrays)))
        self.params.append(decode(row["params"], arrays))
        self.shapes.append(decode(row["shape"], arrays))
        self.dtypes.append(decode(row["dtype"], arrays))
        self.scopes.append(tuple(_of(str, name) for name in _of(list, row["scope"])))
        self.lines.append(None)
        if row["line"] is not None:
            file, line = row["line"]
            self.lines[-1] = (_of(str, file), _of(int, line))
        if self.values is not None:
            self.values.results.append(decode(row["value"], arrays))
        self._check_loaded()
        if self.values is not None:
            results = self.values.results
            self.values.arguments.append(
                tuple(
                    literal if i == LITERAL else results[i]
                    for i, literal in zip(self.inputs[-1], self.literals[-1], strict=True)
                )
            )

    def _check_loaded(self) -> None:
        """Of the last node what a trace would never record, and what others would trip over later."""
        i, op, params = len(self.ops) - 1, self.ops[-1], self.params[-1]

        def fail(what: str) -> None:
            raise ValueError(f"node {i} ({op.name}) {what}")

        for v, x in zip(self.inputs[-1], self.literals[-1], strict=True):
            left_out = x is None and (v != LITERAL or op.kind == "elementwise")  # np.clip(x, None, 1.0)
            if not (left_out or isinstance(x, (int, float, complex, np.ndarray, np.generic))):
                fail("has a literal that is no number and no array")
        if params is not None and not (isinstance(params, dict) and params.keys() <= op.accepts):
            fail(f"has settings that are none of {', '.join(sorted(op.accepts)) or 'no settings'}")
        if any(key == "subscripts" and type(x) is not str for key, x in (params or {}).items()):
            fail("has subscripts that are no text")
        shape, dtype = self.shapes[-1], self.dtypes[-1]
        several = isinstance(dtype, tuple)
        if several != bool(op.results):
            fail("has several results, or only one")
        if several and not (isinstance(shape, tuple) and len(shape) == len(dtype)):
            fail("has another number of shapes than of dtypes")
        pairs: Any = zip(shape, dtype, strict=True) if several else ((shape, dtype),)
        for one, kind in pairs:
            if not (isinstance(one, tuple) and all(isinstance(n, int) and 0 <= n < 2**63 for n in one)):
                fail(f"has a shape that is none: {str(one)[:60]}")
            if not isinstance(kind, np.dtype):
                fail(f"has a dtype that is none: {str(kind)[:60]}")
        if not all(-1 <= v < i for v in self.inputs[-1]):
            return  # check names it
        if op.name == "item" and not (
            len(self.inputs[-1]) == 1 and self.inputs[-1][0] != LITERAL
            and isinstance(self.dtypes[self.inputs[-1][0]], tuple)
            and type((params or {}).get("index")) is int
            and 0 <= (params or {})["index"] < len(self.dtypes[self.inputs[-1][0]])
        ):  # fmt: skip
            fail("picks a result that is not there")
        if op.name != "item" and any(v != LITERAL and isinstance(self.dtypes[v], tuple) for v in self.inputs[-1]):
            fail("reads an operation with several results, not one of them")
        if op.kind == "elementwise" and not several:
            given = [np.shape(x) if v == LITERAL else self.shapes[v]
                     for v, x in zip(self.inputs[-1], self.literals[-1], strict=True)]  # fmt: skip
            if np.broadcast_shapes(*given) != shape:
                fail(f"has the shape {shape}, its arguments have {given}")
        value = None if self.values is None else self.values.results[-1]
        parts = value if isinstance(value, tuple) else (value,)
        if self.values is not None and not all(isinstance(x, (np.ndarray, np.generic)) for x in parts):
            fail("has a value that is no array of numbers")

    def _check_settings(self) -> None:
        """Settings from which a rule would make arrays far larger than all that the values of the graph hold."""
        if self.values is None:
            return
        numbers = sum(np.size(x) for x in self.values.results if not isinstance(x, tuple))
        numbers += sum(np.size(x) for literals in self.literals for x in literals)
        for i, params in enumerate(self.params):
            extent = 1
            for key, x in (params or {}).items():
                if key not in HARMLESS:
                    extent *= _extent(x, 64 if key in ("axis", "axes") else 8)
            if extent > LARGE + 64 * numbers:
                raise ValueError(f"node {i} ({self.ops[i].name}) has settings for arrays much larger than its values")

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


def _extent(x: Any, small: int) -> int:
    """How large an array a setting could ask for: the product of its whole numbers; of pairs the larger ones."""
    if isinstance(x, (int, np.integer)) and not isinstance(x, bool):
        size = abs(int(x))
        return size if size > small else 1
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu" and x.size:
        return max(abs(int(x.max())), abs(int(x.min())), 1)
    extent = 1
    if isinstance(x, (tuple, list)):
        for part in x:
            inner = [_extent(n, small) for n in part] if isinstance(part, (tuple, list)) else [_extent(part, small)]
            extent *= max(inner, default=1)
            if extent > 2**62:
                break
    return extent


def _of(kind: type, x: Any) -> Any:
    """The same, which must be of this very type; True is no whole number."""
    if type(x) is not kind:
        raise TypeError(f"{str(x)[:60]!r} is no {kind.__name__}")
    return x


def seal(x: Any) -> None:
    """Make the arrays of a table read-only: what was written into one would be read by every later sweep.

    Parameters
    ----------
    x : array, or tuple, list or dict of them
        Anything else in it is left as it is.
    """
    waiting = [x]
    for part in waiting:  # which grows
        if part is None or type(part) is float:
            continue
        if isinstance(part, np.ndarray):
            part.setflags(write=False)
        elif isinstance(part, (tuple, list)):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()


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


WIDEST = 100
"""A column is not made wider for one long cell; padding of all others to it would take more than the table itself."""


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text as aligned columns."""
    widths = [min(WIDEST, max(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
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
                printable(graph.ops[i].name + (f"[{settings}]" if settings else ""), 200),
                _told_inputs(graph, i),
                str(graph.dtypes[i]),
                str(graph.shapes[i]),
                cell(graph.values.results[i]) if graph.values is not None else "",
            )
            + ((cell(deltas[i]) or "no path",) if deltas is not None else ())
        )
    return columns(rows)


def _told_inputs(graph: Graph, i: int, limit: int = 16) -> str:
    """The arguments of a node in one cell: nodes by number, literals as they are, of very many the first."""
    found = [
        f"%{v}" if v != LITERAL else cell(literal, 12)
        for v, literal in zip(graph.inputs[i][:limit], graph.literals[i][:limit], strict=True)
    ]
    more = len(graph.inputs[i]) - limit
    return " ".join(found) + (f" … {more} more" if more > 0 else "")


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
            if isinstance(value, tuple):
                shape, dtype = tuple(part.shape for part in value), tuple(part.dtype for part in value)
            else:
                shape, dtype = value.shape, value.dtype
            if (shape, dtype) != (graph.shapes[i], graph.dtypes[i]):
                fail(
                    f"node {i} ({graph.ops[i].name}) says {graph.dtypes[i]}{graph.shapes[i]}, "
                    f"its value is {dtype}{shape}"
                )
    return graph


def scope_tree(graph: Graph) -> Mapping[tuple[str, ...], list[int]]:
    """The nodes of each scope, outermost names first; the key () holds what stands in no scope."""
    found: dict[tuple[str, ...], list[int]] = {}
    for i, path in enumerate(graph.scopes):
        found.setdefault(path, []).append(i)
    return found
