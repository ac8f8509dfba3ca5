"""GradientFlow: a graph together with one reverse sweep of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import GraphError, NotScalarError, PictureError, SeedError, message
from ..graph import LITERAL, Graph, Node, Values, table
from ..sweep import conform, deltas
from .amounts import Rows, divide, norm, pooled, statistics
from .structure import ENDS, Join, find_joins, scopes, window


class GradientFlow:
    """A graph together with one reverse sweep of it.

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
    """Filled by autodiff.viz when it is imported, as are the two below."""
    svg_hook: ClassVar[Callable[..., str | None] | None] = None

    def __init__(
        self,
        graph: Graph,
        values: Values,
        delta: list[Any],
        contributions: dict[tuple[int, int], Any],
        seeds: Mapping[int, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.values = values
        self.delta = delta
        self.contributions = contributions
        self.seeds = dict(seeds or {})

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
        """Whether a path along which a derivative passes leads from the node to an output."""
        return self.delta[self.graph.node(key).index] is not None

    def paths(self, key: int | str | Node) -> int:
        """How many such paths there are, counted without walking them; δ of the node is the sum over all of them."""
        start = self.graph.node(key).index
        count = dict.fromkeys(self.seeds, 1)
        for v in range(len(self.graph) - 1, start - 1, -1):
            through = sum(count.get(w, 0) for w, k in self.graph.consumers[v] if (w, k) in self.contributions)
            if through:
                count[v] = count.get(v, 0) + through
        return count.get(start, 0)

    def edge(self, source: int | str | Node, consumer: int | str | Node) -> list[Any]:
        """What `consumer` sends to `source`: one contribution for each argument position at which it stands."""
        u, v = self.graph.node(source).index, self.graph.node(consumer).index
        return [self.contributions[v, k] for w, k in self.graph.consumers[u] if w == v and (v, k) in self.contributions]

    def shares(self, key: int | str | Node) -> dict[str, Any]:
        """How the δ of a node divides over its output set.

        Returns
        -------
        dict
            ``node``, ``norm`` (‖g‖ of its δ g), ``sum_of_norms`` (Σ ‖δᵢ‖), ``cancels``, and ``terms``: for each
            (consumer, position) that sent something, and for the seed where the node is an output (consumer None),

            - ``contribution`` δᵢ
            - ``projection`` ⟨δᵢ, g⟩ / ⟨g, g⟩: sums to one over the terms; negative where the term opposes the rest
            - ``norm_share`` ‖δᵢ‖ / Σ ‖δⱼ‖: sums to one
            - ``cosine`` of the angle between δᵢ and g

            A share that does not exist (0/0) is nan.
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
        return {"node": v, **{key: divided[key] for key in ("norm", "sum_of_norms", "cancels")}, "terms": terms}

    # -- numbers about them ----------------------------------------------------------------------------------------

    def statistics(self, key: int | str | Node) -> dict[str, dict[str, Any] | None]:
        """RMS, range and states of a node's value and of its δ; δ is None where there is no path."""
        v = self.graph.node(key).index
        d = self.delta[v]
        return {"value": statistics(self.values.results[v]), "delta": None if d is None else statistics(d)}

    def joins(self) -> Rows:
        """Where a skip connection and a residual branch meet again, and what each brings to the fork that they left.

        A join is an ``add`` whose two operands lead back to a common fork. The operand with fewer operations between
        fork and join is the skip. Where both have as many, or two leaves could be the fork, ``ambiguous`` says so.

        Returns
        -------
        list of dict
            ``join`` and ``fork`` (nodes), ``skip`` and ``residual`` (argument positions of the join, None where it is
            ambiguous), the operations on each, and the shares of the fork's δ (see :meth:`shares`) that come back
            through each: ``skip_share``, ``residual_share`` are projections, ``skip_norm``, ``residual_norm`` norms,
            ``cosine`` the angle between the two.
        """
        return Rows(self._row(join) for join in find_joins(self.graph))

    def _row(self, join: Join) -> dict[str, Any]:
        """A join with what comes back through each of its two ways."""
        ambiguous = join.skip is None
        row: dict[str, Any] = {
            "join": join.join, "fork": join.fork, "skip": join.skip, "residual": join.residual, "kind": join.kind,
            "norm": join.norm, "skip_operations": join.operations[0], "residual_operations": join.operations[1],
            "ambiguous": ambiguous, "skip_share": None, "residual_share": None, "skip_norm": None,
            "residual_norm": None, "cosine": None,
        }  # fmt: skip
        g = self.delta[join.fork]
        if g is None or ambiguous:
            return row
        skip, residual = (self._through(join.join, k, join.fork) for k in join.positions)
        if skip is not None and residual is not None:
            shares = divide([skip, residual], g)["terms"]
            row["skip_share"], row["residual_share"] = (share["projection"] for share in shares)
            row["skip_norm"], row["residual_norm"] = norm(skip), norm(residual)
            row["cosine"] = divide([skip], residual)["terms"][0]["cosine"]
        return row

    def _through(self, w: int, k: int, fork: int) -> Any:
        """The part of the fork's δ that comes back through argument k of the join: a sweep of that branch alone."""
        term = self.contributions.get((w, k))
        top = self.graph.inputs[w][k]
        if term is None or top == fork:
            return term
        branch = window(self.graph, fork, top + 1)
        values = Values()
        values.results, values.arguments = self.values.results[fork : top + 1], self.values.arguments[fork : top + 1]
        return deltas(branch, values, {top - fork: term}, targets=[0], masked=True)[0]

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
            nodes), ``skip`` and ``residual``: projection shares at its join, where it has one clear join.
        """
        homes = scopes(self.graph)
        groups: dict[tuple[str, ...], list[int]] = {}
        for v, path in enumerate(homes):
            groups.setdefault(path[:depth], []).append(v)
        joins: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in self.joins():
            joins.setdefault(homes[row["join"]][:depth], []).append(row)
        rows = Rows()
        for path, members in groups.items():
            ops = [statistics(self.delta[v]) for v in members if self._counts(v, False)]
            leaves = [statistics(self.delta[v]) for v in members if self._counts(v, True)]
            here = joins.get(path, [])
            clear = here[0] if len(here) == 1 else {}
            rows.append({
                "scope": "/".join(path), "nodes": len(members), "delta": pooled(ops), "parameters": pooled(leaves),
                "nonfinite": sum(s["nan"] + s["+inf"] + s["-inf"] for s in ops + leaves),
                "no_path": sum(self.delta[v] is None for v in members),
                "joins": len(here), "skip": clear.get("skip_share"), "residual": clear.get("residual_share"),
            })  # fmt: skip
        return rows

    def _counts(self, v: int, leaf: bool) -> bool:
        return self.delta[v] is not None and (self.graph.ops[v].kind in ENDS) is leaf

    def by_path(self, key: int | str | Node) -> list[Any]:
        """δ of a node, split exactly by the number of residual branches that the gradient came through.

        Part k is the sum over all paths from the output to the node that take k residual branches; the parts sum to δ.
        Rules are linear in δ, so sweep k starts from what sweep k − 1 would have sent into the residual branches, and
        goes along skips alone: one sweep a part instead of one a path. Joins that are ambiguous are not counted.

        Returns
        -------
        list of arrays
            Parts 0, 1, 2, … up to the largest number of branches on any path.
        """
        v = self.graph.node(key).index
        graph = self.graph
        crossings = [(row["join"], row["residual"]) for row in self.joins() if not row["ambiguous"]]
        cut = window(graph, 0, len(graph))
        for w, k in crossings:
            cut.inputs[w] = tuple(LITERAL if i == k else u for i, u in enumerate(cut.inputs[w]))
        parts = []
        seeds: dict[int, Any] = self.seeds
        while seeds:
            found = deltas(cut, self.values, seeds, masked=True)
            part = found[v]
            parts.append(np.zeros(graph.shapes[v], graph.dtypes[v])[()] if part is None else part)
            seeds = {}
            for w, k in crossings:
                if found[w] is None or (w, k) not in self.contributions:
                    continue
                op, r, settings = graph.ops[w], graph.inputs[w][k], graph.params[w] or {}
                term = op.vjps[k](found[w], self.values.results[w], *self.values.arguments[w], **settings)
                term = conform(op, k, term, graph.shapes[r], graph.dtypes[r])
                seeds[r] = seeds[r] + term if r in seeds else term
        return parts

    # -- as text and as pictures -----------------------------------------------------------------------------------

    def draw(self, path: Any, **options: Any) -> Any:
        """Write a picture of the graph with its δ; see :func:`autodiff.viz.draw` for formats and options."""
        if GradientFlow.draw_hook is None:
            raise _without_viz()
        return GradientFlow.draw_hook(self, path, **options)

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
    outputs = graph.outputs
    if len(outputs) != 1 and not isinstance(seed, (list, tuple)):
        raise NotScalarError(
            message(
                f"backward: the graph of {graph.title or 'this function'} has {len(outputs)} outputs",
                "each output needs a seed of its own",
                "graph.backward([seed, seed, …]), one for each output in order",
            )
        )
    given = [seed] if len(outputs) == 1 else list(seed)
    seeds: dict[int, Any] = {}
    for v, s in zip(outputs, given, strict=True):
        shape, dtype = graph.shapes[v], graph.dtypes[v]
        if s is None:
            if shape != ():
                raise NotScalarError(
                    message(
                        f"backward: the output has shape {shape}",
                        "without a seed a gradient belongs to one real number",
                        "sum it, or pass a seed of that shape: graph.backward(np.ones(...)); ad.jacobian gives it all",
                    )
                )
            s = np.ones((), dtype)
        if np.shape(s) != shape or not np.can_cast(np.asarray(s).dtype, dtype, "same_kind"):
            raise SeedError(
                message(
                    f"backward: the seed is {np.asarray(s).dtype}{list(np.shape(s))}, the output {dtype}{list(shape)}",
                    "a seed is a δ, and a δ has the shape and dtype of its node",
                    "give a seed with the shape of the output",
                )
            )
        s = np.array(s, dtype)
        seeds[v] = seeds[v] + s if v in seeds else s if shape else s[()]
    contributions: dict[tuple[int, int], Any] = {}
    if graph.values is None:
        raise GraphError(
            message(
                "backward: this graph has no values",
                "it was saved or built without them, and most rules read values",
                "save it with its values, or fill them: graph.values = autodiff.sweep.evaluate(graph, arguments)",
            )
        )
    delta = deltas(graph, graph.values, seeds, contributions=contributions, masked=seed is not None)
    return GradientFlow(graph, graph.values, delta, contributions, seeds)


Graph.backward_hook = staticmethod(_backward)
