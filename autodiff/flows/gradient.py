"""GradientFlow: a graph together with one reverse sweep of it."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..archive import unreadable
from ..errors import ArgumentError, GraphError, PictureError, message
from ..graph import Graph, Node, Values, seal, table
from ..op import DEBUG
from .amounts import Rows, Told, divide, flat, norm, statistics
from .blocks import Outline, Swept, join_rows, scope_rows
from .compare import compare, keys
from .routes import amounts, by_branches, edges_named, fewest, has_zeros, swept
from .seeds import seeds_of
from .stored import restore, store
from .structure import join_at, scopes
from .told import called, tell_pruned, tell_shares, tell_spectrum
from .trend import numbered, trend
from .walks import ENDS


class GradientFlow:
    """A graph together with one reverse sweep of it.

    Its arrays are read-only, because all that it tells is computed from them: ``flow["w"].copy()`` can be written into.

    Attributes
    ----------
    graph : Graph
    values : Values
        What each node computed.
    delta : list
        The δ of each node by its number; None where no path leads from the output.
    contributions : dict
        The term that each edge adds to the δ of its source, keyed (consumer, position).
    seeds : dict
        The term that each output starts with.
    scales : dict
        What the contributions of some edges were multiplied by, keyed like them; empty in a plain flow.

    Examples
    --------
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0)
    >>> flow["a"]
    np.float64(10.5)
    >>> [term["contribution"] for term in flow.shares("a")["terms"]]
    [np.float64(3.0), np.float64(7.5)]
    """

    draw_hook: ClassVar[Callable[..., Any] | None] = None
    """Filled by autodiff.viz when it is imported, as are the three below."""
    explore_hook: ClassVar[Callable[..., Any] | None] = None
    svg_hook: ClassVar[Callable[..., str | None] | None] = None
    plot_hook: ClassVar[Callable[..., Any] | None] = None

    def __init__(
        self,
        graph: Graph,
        values: Values,
        delta: list[Any],
        contributions: dict[tuple[int, int], Any],
        seeds: Mapping[int, Any] | None = None,
        scales: Mapping[tuple[int, int], float] | None = None,
    ) -> None:
        self.graph = graph
        self.values = values
        self.delta = delta
        self.contributions = contributions
        self.seeds = dict(seeds or {})
        self.scales = dict(scales or {})
        seal([delta, contributions, self.seeds])

    # -- δ and contributions ---------------------------------------------------------------------------------------

    def __getitem__(self, key: int | str | Node) -> Any:
        """δ of a node, by its number, its name or itself; zeros where no path leads to it."""
        node = self.graph.node(key)
        d = self.delta[node.index]
        if isinstance(node.shape, tuple) and isinstance(node.dtype, tuple):  # an operation with several results
            parts = d if d is not None else (None,) * len(node.shape)
            return tuple(
                np.zeros(s, t)[()] if part is None else part
                for part, s, t in zip(parts, node.shape, node.dtype, strict=True)
            )
        return np.zeros(node.shape, node.dtype)[()] if d is None else d

    def has_path(self, key: int | str | Node) -> bool:
        """Whether a path along which a derivative passes leads from the node to an output.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        bool

        Raises
        ------
        UnknownNameError
            Where there is no such node, here as in all that take one.

        Examples
        --------
        >>> import autodiff as ad
        >>> flow = ad.flow(lambda a, b: a * ad.stop_gradient(b))(2.0, 3.0)
        >>> flow.has_path("a"), flow.has_path("b")
        (True, False)
        """
        return self.delta[self.graph.node(key).index] is not None

    def paths(self, key: int | str | Node) -> int:
        """How many such paths there are, counted without walking them; δ of the node is the sum over all of them.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        int

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.flow(lambda x: (x + x) * (x + x))(1.0).paths("x")
        4
        """
        start = self.graph.node(key).index
        count = dict.fromkeys(self.seeds, 1)
        for v in range(len(self.graph) - 1, start - 1, -1):
            through = sum(count.get(w, 0) for w, k in self.graph.consumers[v] if (w, k) in self.contributions)
            if through:
                count[v] = count.get(v, 0) + through
        return count.get(start, 0)

    def edge(self, source: int | str | Node, consumer: int | str | Node) -> list[Any]:
        """What `consumer` sends to `source`: one contribution for each argument position at which it stands.

        Parameters
        ----------
        source, consumer : int, str or Node
            Both ends by number, name or as nodes.

        Returns
        -------
        list of arrays

        Examples
        --------
        >>> import autodiff as ad
        >>> flow = ad.flow(lambda x: ad.name(x * x, "square") + x)(3.0)
        >>> flow.edge("x", "square")
        [np.float64(3.0), np.float64(3.0)]
        """
        u, v = self.graph.node(source).index, self.graph.node(consumer).index
        return [self.contributions[v, k] for w, k in self.graph.consumers[u] if w == v and (v, k) in self.contributions]

    def shares(self, key: int | str | Node) -> Told:
        """How the δ of a node divides over its output set.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        dict
            ``node``, ``norm`` (‖g‖ of its δ g), ``sum_of_norms`` (Σ ‖δᵢ‖), ``cancels``, and ``terms``: for each
            (consumer, position) that sent something, and for the seed where the node is an output (consumer None),

            - ``contribution`` δᵢ
            - ``projection`` ⟨δᵢ, g⟩ / ⟨g, g⟩: sums to one over the terms; negative where the term opposes the rest
            - ``norm_share`` ‖δᵢ‖ / Σ ‖δⱼ‖: sums to one
            - ``cosine`` of the angle between δᵢ and g

            A share that does not exist (0/0) is nan. Its ``told`` says it in a sentence.

        Examples
        --------
        >>> import autodiff as ad
        >>> shares = ad.flow(lambda x: x + 3.0 * x)(1.0).shares("x")
        >>> [(term["consumer"], term["projection"]) for term in shares["terms"]]
        [(1, 0.75), (2, 0.25)]
        >>> print(shares.told)
        The δ of x has the length 4 and comes back along 2 edges: 75 % from multiply 1, 25 % from add 2.
        """
        v = self.graph.node(key).index
        found: list[tuple[int | None, int, Any]] = [(None, 0, self.seeds[v])] if v in self.seeds else []
        for w, k in self.graph.consumers[v]:
            if (w, k) in self.contributions:
                found.append((w, k, self.contributions[w, k]))
        divided = divide([term for _, _, term in found], self.delta[v])
        terms = [
            {"consumer": w, "position": k, "contribution": term, **share}
            for (w, k, term), share in zip(found, divided["terms"], strict=True)
        ]
        shares = Told(node=v, **{key: divided[key] for key in ("norm", "sum_of_norms", "cancels")}, terms=terms)
        shares.told = tell_shares(shares, self.graph)
        return shares

    # -- numbers about them ----------------------------------------------------------------------------------------

    def statistics(self, key: int | str | Node) -> dict[str, dict[str, Any] | None]:
        """RMS, range and states of a node's value and of its δ; δ is None where there is no path.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        dict
            ``value`` and ``delta``, each a dict with ``size``, ``rms``, ``min``, ``max``, and how many elements are
            ``zero``, ``subnormal``, ``nan``, ``+inf`` and ``-inf``.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff as ad
        >>> found = ad.flow(lambda x: np.sum(x**2))(np.array([3.0, -3.0])).statistics("x")
        >>> found["value"]["rms"], found["delta"]["rms"]
        (3.0, 6.0)
        """
        v = self.graph.node(key).index
        d = self.delta[v]
        return {"value": statistics(self.values.results[v]), "delta": None if d is None else statistics(d)}

    def joins(self) -> Rows:
        """Where a skip connection and a residual branch meet again, and what each brings to the fork that they left.

        A join adds, concatenates or chooses between operands that lead back to a common fork. The operand with fewer
        operations between fork and join is the skip; scopes and tensors named skip or residual decide before that.
        Where nothing tells, ``ambiguous`` says so. Of x + f(x) + g(x) both additions are joins, and x is their skip.

        The search takes time that grows with the graph alone. Where ways lie in one another a thousand deep, as where
        each step reads what the first one read, it is given up on the way, and ``told`` says at which node.

        Returns
        -------
        list of dict
            ``join`` and ``fork`` (nodes), ``scope`` of the join, ``skip`` and ``residual`` (argument positions of the
            join, None where it is ambiguous), the operations on each, and the shares of the fork's δ (see
            :meth:`shares`) that come back through each: ``skip_share``, ``residual_share`` are projections,
            ``skip_norm``, ``residual_norm`` norms, ``cosine`` the angle between the two.

        Examples
        --------
        >>> import autodiff as ad
        >>> def block(x):
        ...     with ad.scope("block1"):
        ...         return x + 3.0 * x
        >>> flow = ad.flow(block)(1.0)
        >>> row = flow.joins()[0]
        >>> row["skip_operations"], row["residual_operations"], row["skip_share"], row["residual_share"]
        (0, 1, 0.25, 0.75)
        """
        rows = Rows(dict(row) for row in self._joins)
        rows.told = self._joins.told
        return rows

    @functools.cached_property
    def _outline(self) -> Outline:
        """Where the joins of the graph are, found once."""
        return Outline(self.graph)

    @functools.cached_property
    def _joins(self) -> Rows:
        """The rows of :meth:`joins`, which others ask for as well; a flow does not change."""
        return join_rows(self._swept, self._outline)

    @property
    def _swept(self) -> Swept:
        return Swept(self.graph, self.values, self.delta, self.contributions, self.scales)

    def by_scope(self, depth: int | None = None) -> Rows:
        """A row a scope, in order of computation.

        Parameters
        ----------
        depth : int, optional
            Scopes below this depth count to the one above; all depths by default.

        Returns
        -------
        list of dict
            ``scope``, ``nodes``, ``delta`` (RMS over all elements of δ of its operations), ``parameters`` (RMS over all
            elements of δ of its leaves), ``nonfinite`` (how many elements of δ are nan or inf), ``no_path`` (how many
            nodes), ``skip`` and ``residual``: projection shares at its join, where it has one clear join. Its
            ``summary`` counts ``scopes``, ``nonfinite`` and ``no_path`` over all of them, its ``told`` is a sentence.

        Examples
        --------
        >>> import autodiff as ad
        >>> def block(x):
        ...     with ad.scope("block1"):
        ...         return x + 3.0 * x
        >>> flow = ad.flow(block)(1.0)
        >>> [(row["scope"], row["nodes"], row["skip"]) for row in flow.by_scope()]
        [('', 1, None), ('block1', 2, 0.25)]
        """
        return scope_rows(self._swept, self._outline, self._joins, depth)

    def by_path(self, key: int | str | Node) -> list[Any]:
        """δ of a node, split exactly by the number of residual branches that the gradient came through.

        Part k is the sum over all paths from the output to the node that take k residual branches; the parts sum to δ.
        Rules are linear in δ, so sweep k starts from what sweep k − 1 would have sent into the residual branches, and
        goes along skips alone: one sweep a part instead of one a path. Joins that are ambiguous are not counted.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        list of arrays
            Parts 0, 1, 2, … up to the largest number of branches on any path.

        Raises
        ------
        GraphError
            Where so many parts of so large a graph would take hours.

        References
        ----------
        Veit, Wilber and Belongie, "Residual networks behave like ensembles of relatively shallow networks", 2016, who
        sample paths.

        Examples
        --------
        >>> import autodiff as ad
        >>> def f(x):
        ...     for _ in range(2):
        ...         x = x + 3.0 * x
        ...     return x
        >>> ad.flow(f)(1.0).by_path("x")
        [np.float64(1.0), np.float64(6.0), np.float64(9.0)]
        """
        v = self.graph.node(key).index
        joins = self._outline.joins
        tables = by_branches(self.graph, self.values, self.seeds, joins, self.contributions, self.scales)
        parts = [table[v] for table in tables]
        return [np.zeros(self.graph.shapes[v], self.graph.dtypes[v])[()] if part is None else part for part in parts]

    def spectrum(self, key: int | str | Node) -> Rows:
        """The sizes of :meth:`by_path`: how much of a δ came through how many residual branches.

        Parameters
        ----------
        key : int, str or Node
            A node by its number, its name or itself.

        Returns
        -------
        list of dict
            ``branches`` (0, 1, 2, …), ``norm`` of that part, and its ``projection``, ``norm_share`` and ``cosine`` as
            :meth:`shares` has them.

        Examples
        --------
        >>> import autodiff as ad
        >>> def block(x):
        ...     with ad.scope("block1"):
        ...         return x + 3.0 * x
        >>> flow = ad.flow(block)(1.0)
        >>> [(row["branches"], row["projection"]) for row in flow.spectrum("x")]
        [(0, 0.25), (1, 0.75)]
        """
        parts = self.by_path(key)
        shares = divide(parts, self.delta[self.graph.node(key).index])["terms"]
        pairs = enumerate(zip(parts, shares, strict=True))
        rows = Rows({"branches": k, "norm": norm(part), **share} for k, (part, share) in pairs)
        rows.told = tell_spectrum(rows, called(self.graph, self.graph.node(key).index))
        return rows

    # -- what if ---------------------------------------------------------------------------------------------------

    def scale(self, edge: Any, factor: float) -> GradientFlow:
        """The flow in which what goes back along an edge is multiplied by a factor.

        Parameters
        ----------
        edge : tuple
            ``(source, consumer)``, each a node, a name or a number; ``(source, consumer, position)`` where the consumer
            reads the source several times and only one of them is meant.
        factor : float
            What the contribution is multiplied by; 0 stops it: nothing is computed from it, not even 0·inf.

        Returns
        -------
        GradientFlow
            Of the same graph and values; this one stays as it is. It can be scaled again.

        Raises
        ------
        GraphError
            Where there is no such edge, nothing goes back along it, or the factor is no real number.

        Examples
        --------
        >>> import autodiff as ad
        >>> flow = ad.flow(lambda x: x + 3.0 * x)(1.0)
        >>> flow["x"], flow.cut(("x", "add"))["x"], flow.scale(("x", "add"), 0.5)["x"]
        (np.float64(4.0), np.float64(3.0), np.float64(3.5))
        """
        if np.ndim(factor) or np.asarray(factor).dtype.kind not in "fiub":
            raise GraphError(
                message(f"scale({edge!r}, {factor!r})", "a contribution is multiplied by a real number",
                        "a factor such as 0.5; cut(edge) for 0")
            )  # fmt: skip
        return self._scaled({**self.scales, **dict.fromkeys(self._named(edge), float(factor))})

    def cut(self, *edges: Any, skip: Any = None, residual: Any = None) -> GradientFlow:
        """The flow in which nothing goes back along these edges; see :meth:`scale`.

        Parameters
        ----------
        *edges : tuple
            As for :meth:`scale`.
        skip, residual : str, int, Node or a list of them, optional
            Joins whose skip, or whose residual branch, is cut where it enters: each by its scope or as a node.

        Returns
        -------
        GradientFlow
            Of the same graph and values; this one stays as it is.

        Raises
        ------
        GraphError
            Where there is no such edge or join, or nothing goes back along it.

        Examples
        --------
        >>> import autodiff as ad
        >>> def block(x):
        ...     with ad.scope("block1"):
        ...         return x + 3.0 * x
        >>> flow = ad.flow(block)(1.0)
        >>> flow.cut(skip="block1")["x"], flow.cut(residual="block1")["x"]
        (np.float64(3.0), np.float64(1.0))
        """
        found = [pair for edge in edges for pair in self._named(edge)]
        for given, way in ((skip, "skip"), (residual, "residual")):
            for key in given if isinstance(given, list) else [] if given is None else [given]:
                join = join_at(self.graph, key, self._outline.joins, self._outline.homes)
                k = getattr(join, way)
                found += self._named((self.graph.inputs[join.join][k], join.join, k))
        return self._scaled({**self.scales, **dict.fromkeys(found, 0.0)})

    def _scaled(self, scales: dict[tuple[int, int], float]) -> GradientFlow:
        contributions: dict[tuple[int, int], Any] = {}
        found = swept(self.graph, self.values, self.seeds, scales, contributions)
        return GradientFlow(self.graph, self.values, found, contributions, self.seeds, scales)

    def _named(self, edge: Any) -> list[tuple[int, int]]:
        return edges_named(self.graph, edge, self.contributions.keys() | {e for e, f in self.scales.items() if f == 0})

    def prune(self, keep: float = 0.98, key: Any = None) -> Told:
        """The edges that carry most of the gradient, as few as were found.

        Edges are ordered by how much of the gradient goes along them, and a beginning of that order is taken whose own
        sweep gives the gradient to within (1 − keep) of its length: checked, not estimated. Of these every edge is
        left out without which it still does. In a graph of up to some hundred edges none of those that are kept can be
        spared; a smaller set of other edges may exist. In a larger one edges are tried in groups.

        Parameters
        ----------
        keep : float
            The part of the gradient that must be left, 0 < keep ≤ 1.
        key : node, name or number, or a list of them; optional
            Whose gradient; that of all inputs by default.

        Returns
        -------
        dict
            ``edges``: the edges kept, keyed (consumer, position); ``dropped``: how many were not; ``carried``:
            1 − ‖g′ − g‖ / ‖g‖ of the gradient g′ along them; ``flow``: the flow along them alone. Its ``told`` counts
            them in a sentence.

        Raises
        ------
        GraphError
            For a part outside of (0, 1].

        Examples
        --------
        >>> import autodiff as ad
        >>> found = ad.flow(lambda x: x + 0.001 * x)(1.0).prune(0.99)
        >>> found["dropped"], found["flow"]["x"]
        (2, np.float64(1.0))
        """
        if isinstance(keep, bool) or not isinstance(keep, (int, float, np.integer, np.floating)) or not 0 < keep <= 1:
            raise GraphError(message(f"prune(keep={keep!r})", "it is a part of the gradient", "0 < keep <= 1"))
        keys = [key] if key is not None and not isinstance(key, list) else key
        targets = self.graph.arguments if keys is None else [self.graph.node(k).index for k in keys]
        targets = [v for v in dict.fromkeys(targets) if v >= 0 and self.delta[v] is not None]
        carried = amounts(self.graph, self.delta, self.contributions, targets)
        order = sorted(carried, key=lambda edge: (-carried[edge], edge))

        def enough(edges: list[tuple[int, int]]) -> bool:
            return self._likeness(self.cut_to(edges), targets) >= keep

        kept = fewest(self.graph, order, enough)
        best = self.cut_to(kept)
        found = Told(
            edges=sorted(kept), dropped=len(self.contributions) - len(kept),
            carried=self._likeness(best, targets), flow=best,
        )  # fmt: skip
        found.told = tell_pruned(len(kept), len(self.contributions), found["carried"])
        return found

    def cut_to(self, edges: Any) -> GradientFlow:
        """The flow along these edges alone, keyed (consumer, position).

        Parameters
        ----------
        edges : iterable of (int, int)
            (consumer, position) of each, as in ``contributions``.

        Returns
        -------
        GradientFlow

        Examples
        --------
        >>> import autodiff as ad
        >>> flow = ad.flow(lambda x: x + 3.0 * x)(1.0)
        >>> sorted(flow.contributions), flow.cut_to([(2, 0)])["x"]
        ([(1, 1), (2, 0), (2, 1)], np.float64(1.0))
        """
        try:
            kept = set(edges)
        except TypeError:
            raise GraphError(
                message(f"cut_to({edges!r})", "edges are pairs (consumer, position), as in flow.contributions",
                        "flow.cut_to([(2, 0), (2, 1)])")
            ) from None  # fmt: skip
        return self._scaled({**self.scales, **{edge: 0.0 for edge in self.contributions if edge not in kept}})

    def _likeness(self, other: GradientFlow, targets: list[int]) -> float:
        """1 − ‖g′ − g‖ / ‖g‖ over the δ of the targets."""
        whole = math.hypot(*(norm(self.delta[v]) for v in targets))
        with np.errstate(invalid="ignore"):  # inf − inf is told by its value
            lost = math.hypot(*(norm(flat(other[v]) - flat(self[v])) for v in targets))
        return 1 - lost / whole if whole else 1.0

    # -- over depth, and between flows -----------------------------------------------------------------------------

    def trend(self, depth: int | None = 1) -> Rows:
        """How δ changes from block to block on its way back, as a factor a block.

        Blocks are the scopes whose names differ in their numbers alone (block0, block1, …), as many as there are;
        without such scopes the forks of the joins (see :meth:`joins`) take their place.

        Parameters
        ----------
        depth : int, optional
            How deep the scopes are that are looked at; see :meth:`by_scope`.

        Returns
        -------
        list of dict
            From the output back: ``block``, ``delta`` (RMS of δ of its operations, or at the fork), ``factor`` (against
            the block before it on the way back), ``below_floor`` (below the smallest normal number of the coarsest
            dtype in the blocks), ``nonfinite`` (how many elements are nan or inf). Its ``summary`` holds ``factor`` (of
            the fitted exponential), ``r2``, ``blocks``, ``floor`` and ``blocks_to_floor`` (after how many more blocks δ
            would be below the floor), its ``told`` a sentence. What is zero or not finite is left out of the fit.

        Examples
        --------
        >>> import autodiff as ad
        >>> def f(x):
        ...     for number in range(3):
        ...         with ad.scope(f"block{number}"):
        ...             x = 0.5 * x
        ...     return x
        >>> print(ad.flow(f)(1.0).trend().told)
        On its way back through 3 blocks δ shrinks by ×0.5 a block, from 1 to 0.25 (R² = 1.00).
        """
        rows = [row for row in self.by_scope(depth) if row["delta"] is not None or row["nonfinite"]]
        chosen = [rows[i] for i in sorted(numbered([row["scope"] for row in rows]))]
        forks = sorted({join.fork for join in self._outline.joins if self.delta[join.fork] is not None})
        if len(chosen) > 1 or len(forks) < 2:
            names, sizes, lost = ([row[key] for row in chosen] for key in ("scope", "delta", "nonfinite"))
            scopes_ = set(names)
            nodes = [v for v, path in enumerate(self._outline.homes) if "/".join(path[:depth]) in scopes_]
        else:
            names = [self.graph.names.get(v, f"{self.graph.ops[v].name} {v}") for v in forks]
            found = [statistics(self.delta[v]) for v in forks]
            sizes, lost = [s["rms"] for s in found], [s["nan"] + s["+inf"] + s["-inf"] for s in found]
            nodes = forks
        arrived = [v for v, op in enumerate(self.graph.ops) if self.delta[v] is not None and op.kind not in ENDS]
        dtypes = [self.graph.dtypes[v] for v in {*arrived, *forks}.intersection(nodes)]
        floats = [t for t in dtypes if not isinstance(t, tuple)] or [np.dtype(np.float64)]
        coarsest = max(floats, key=lambda t: float(np.finfo(t).smallest_normal))
        return trend(names[::-1], [math.nan if s is None else s for s in sizes[::-1]], lost[::-1], coarsest)

    def compare(self, other: GradientFlow) -> Rows:
        """Set this flow beside another of the same code, node by node, matched by scope, operation and occurrence.

        Parameters
        ----------
        other : GradientFlow
            After a step of training, with another initialisation, or with an edge cut.

        Returns
        -------
        list of dict
            For each node that both have: ``scope``, ``what`` (its name or operation), ``occurrence``, ``node`` and
            ``other`` (its numbers), ``shape``, ``before`` and ``after`` (RMS of δ), ``factor``, ``cosine`` of the angle
            between the two. Its ``summary`` counts what was ``matched``, ``only_here`` and ``only_there``, and of what
            was matched the nodes whose δ ``vanished`` or ``appeared`` or is ``nonfinite`` in one of the two.

        Examples
        --------
        >>> import autodiff as ad
        >>> flow = ad.flow(lambda x: x + 3.0 * x)(1.0)
        >>> print(flow.compare(flow.cut(("x", "add"))).told)
        3 nodes are in both flows. δ changed most at x (node 0), by ×0.75.
        """
        if not isinstance(other, GradientFlow):
            raise ArgumentError(
                message(f"compare: a {type(other).__name__} is not a flow", "two flows are compared node by node",
                        "flow.compare(ad.flow(f)(x))")
            )  # fmt: skip
        return compare(
            keys(self.graph, scopes(self.graph)), keys(other.graph, scopes(other.graph)), self.delta, other.delta,
            lambda v: self.graph.shapes[v],
        )  # fmt: skip

    # -- on disk ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the flow as JSON, with its arrays as npz beside it: ``f.json`` and ``f.npz``.

        Parameters
        ----------
        path : path
            The JSON file.

        Raises
        ------
        GraphError
            As :meth:`autodiff.Graph.save`.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> folder = tempfile.mkdtemp()
        >>> ad.flow(lambda x: x * x)(1.0).save(os.path.join(folder, "before.json"))
        >>> sorted(os.listdir(folder))
        ['before.json', 'before.npz']
        """
        store(path, self.graph, self.seeds, self.scales)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GradientFlow:
        """Read what :meth:`save` wrote: the same flow to the last bit. Nothing in the file is executed.

        Parameters
        ----------
        path : path
            The JSON file; its arrays lie beside it.

        Returns
        -------
        GradientFlow

        Raises
        ------
        LoadError
            Where the files are not a flow; those of a graph alone are read by :meth:`autodiff.Graph.load`.
        FileNotFoundError
            Where one of the two files is not there.

        Examples
        --------
        >>> import os, tempfile
        >>> import autodiff as ad
        >>> path = os.path.join(tempfile.mkdtemp(), "before.json")
        >>> ad.flow(lambda x: x + 3.0 * x)(1.0).save(path)
        >>> ad.GradientFlow.load(path)["x"]
        np.float64(4.0)
        """
        graph, seeds, scales = restore(path)
        if seeds is None:
            raise unreadable(path, "it is the file of a graph without a flow: Graph.load(path).backward() makes one")
        if graph.values is None:
            raise unreadable(path, "it has no values, which most rules read")
        try:
            return cls(graph, graph.values, [], {}, seeds)._scaled(scales)
        except MemoryError:
            raise
        except Exception as error:  # settings that no operation takes: whatever a rule raises, the file is wrong
            raise unreadable(path, f"its graph cannot be swept: {error}") from None

    # -- as text and as pictures -----------------------------------------------------------------------------------

    def draw(self, path: Any, **options: Any) -> Any:
        """Write a picture of the graph with its δ; see :func:`autodiff.viz.draw` for the errors.

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
        >>> flow = ad.flow(lambda x: x * x)(3.0)
        >>> flow.draw(os.path.join(tempfile.mkdtemp(), "square.svg"), theme="dark").name
        'square.svg'
        """
        if GradientFlow.draw_hook is None:
            raise _without_viz()
        return GradientFlow.draw_hook(self, path, **options)

    def explore(self, **options: Any) -> Any:
        """The interactive page, for a notebook; see :func:`autodiff.viz.explore`.

        Parameters
        ----------
        **options
            See :class:`~autodiff.viz.options.Options`.

        Returns
        -------
        Explorer
            Shows itself as the last line of a notebook's cell.

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.flow(lambda x: x * x)(3.0).explore()
        <page of ... kB: the last line of a notebook's cell shows it>
        """
        if GradientFlow.explore_hook is None:
            raise _without_viz()
        return GradientFlow.explore_hook(self, **options)

    def plot_depth(self, ax: Any = None, depth: int | None = 1) -> Any:
        """Plot RMS of δ by block with matplotlib; see :func:`autodiff.viz.plots.plot_depth`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw: ``plt.gca()`` by default.
        depth : int, optional
            See :meth:`trend`.

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.flow(lambda x: x + 3.0 * x)(1.0).plot_depth().get_ylabel()
        'RMS of δ'
        """
        return self._plot("depth", ax, depth)

    def plot_shares(self, ax: Any = None) -> Any:
        """Plot what comes back through skips and residual branches; see :func:`autodiff.viz.plots.plot_shares`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw: ``plt.gca()`` by default.

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.flow(lambda x: x + 3.0 * x)(1.0).plot_shares().get_ylabel()
        'share of δ (projection)'
        """
        return self._plot("shares", ax)

    def plot_path_spectrum(self, ax: Any = None, key: int | str | Node | None = None) -> Any:
        """Plot δ of a node by residual branches; see :func:`autodiff.viz.plots.plot_path_spectrum`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw: ``plt.gca()`` by default.
        key : int, str or Node, optional
            Whose δ: by default that of the first fork, or without one of the first input.

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.flow(lambda x: x + 3.0 * x)(1.0).plot_path_spectrum().get_title()
        'δ of x by path'
        """
        return self._plot("path_spectrum", ax, key)

    def _plot(self, what: str, *args: Any) -> Any:
        if GradientFlow.plot_hook is None:
            raise _without_viz()
        return GradientFlow.plot_hook(self, what, *args)

    def _repr_svg_(self) -> str | None:
        return GradientFlow.svg_hook(self) if GradientFlow.svg_hook is not None else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the picture, and the table for where no picture can be shown."""
        svg = self._repr_svg_()
        return {"text/plain": str(self), **({"image/svg+xml": svg} if svg else {})}

    def __repr__(self) -> str:
        lost = sum(d is None for d in self.delta)
        return f"<flow through {self.graph!r}: {lost} nodes without a path to the output>"

    def __str__(self) -> str:
        return table(self.graph, self.delta)


def _without_viz() -> PictureError:
    return PictureError(
        message("no pictures are at hand", "autodiff.viz was not imported", "import autodiff.viz, or plain autodiff")
    )


def _backward(graph: Graph, seed: Any = None) -> GradientFlow:
    """One reverse sweep that keeps every δ and every contribution."""
    seeds = seeds_of(graph, seed)
    contributions: dict[tuple[int, int], Any] = {}
    if graph.values is None:
        raise GraphError(
            message(
                "backward: this graph has no values",
                "it was saved or built without them, and most rules read values",
                "save it with its values, or fill them: graph.values = autodiff.sweep.evaluate(graph, arguments)",
            )
        )
    session = DEBUG.get()
    if session is None:
        delta = swept(graph, graph.values, seeds, {}, contributions)
    else:
        delta = session.backward(graph, graph.values, seeds, has_zeros(seeds), contributions)
    return GradientFlow(graph, graph.values, delta, contributions, seeds)


Graph.backward_hook = staticmethod(_backward)
