"""The gradient's way through a graph: the δ of each node, the contribution of each edge, and what follows from them.

Everything here is numbers; :mod:`autodiff.viz` draws them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .errors import GraphError, NotScalarError, PictureError, SeedError, message
from .graph import LITERAL, Graph, Node, Values, columns, table
from .sweep import conform, deltas

CANCELS = 0.01
"""Contributions cancel where ‖Σ δᵢ‖ is below this part of Σ ‖δᵢ‖."""

ENDS = ("input", "constant")
"""The kinds of node that compute nothing."""


class Rows(list[dict[str, Any]]):
    """A list of dicts with the same keys that prints as a table."""

    def __str__(self) -> str:
        if not self:
            return "(no rows)"
        head = tuple(self[0])
        return columns([head, *(tuple(_cell(row[key]) for key in head) for row in self)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
        rows = Rows()
        for w, op in enumerate(self.graph.ops):
            if op.name == "add":
                row = self._join(w)
                if row is not None:
                    rows.append(row)
        return rows

    def _join(self, w: int) -> dict[str, Any] | None:
        found = find_fork(self.graph, w)
        if found is None:
            return None
        fork, counts, ambiguous = found
        skip = 0 if counts[0] < counts[1] else 1
        parts = [self._through(w, k, fork) for k in (0, 1)]
        g = self.delta[fork]
        row: dict[str, Any] = {
            "join": w, "fork": fork, "skip": None if ambiguous else skip, "residual": None if ambiguous else 1 - skip,
            "skip_operations": counts[skip], "residual_operations": counts[1 - skip], "ambiguous": ambiguous,
            "skip_share": None, "residual_share": None, "skip_norm": None, "residual_norm": None, "cosine": None,
        }  # fmt: skip
        if g is not None and all(part is not None for part in parts) and not ambiguous:
            shares = divide(parts, g)["terms"]
            row["skip_share"], row["residual_share"] = shares[skip]["projection"], shares[1 - skip]["projection"]
            row["skip_norm"], row["residual_norm"] = norm(parts[skip]), norm(parts[1 - skip])
            row["cosine"] = divide([parts[0]], parts[1])["terms"][0]["cosine"]
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


# -- arithmetic on δ ---------------------------------------------------------------------------------------------------


def flat(x: Any) -> Any:
    """The elements of a value or δ as one vector; of several results one after another, unused ones left out."""
    if isinstance(x, tuple):
        parts = [np.ravel(part) for part in x if part is not None]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.ravel(x)


def _wide(x: Any) -> Any:
    """In at least double precision, so that squares of half-precision numbers neither vanish nor overflow."""
    x = flat(x)
    return x.astype(np.result_type(x.dtype, np.float64), copy=False)


def _scale(x: Any) -> float:
    largest = float(np.max(np.abs(x), initial=0.0))
    return largest if math.isfinite(largest) and largest > 0 else 1.0


def norm(x: Any) -> float:
    """‖x‖ over all elements, without overflow or underflow on the way."""
    x = _wide(x)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = _scale(x)
        return float(np.linalg.norm(x / scale)) * scale


def divide(terms: Sequence[Any], total: Any) -> dict[str, Any]:
    """How `total` divides over the terms; see :meth:`GradientFlow.shares`."""
    if total is None:
        total = np.zeros(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        vectors = [_wide(term) for term in terms]
        scale = max([_scale(x) for x in vectors], default=1.0)
        vectors = [x / scale for x in vectors]
        g = _wide(total) / scale
        unit = _scale(g)  # g may be far smaller than its terms, and its square may not exist
        gg = float(np.real(np.vdot(g / unit, g / unit)))
        norms = [norm(x) for x in vectors]
        whole, size = sum(norms), math.sqrt(gg) * unit
        found = []
        for x, length in zip(vectors, norms, strict=True):
            along = float(np.real(np.vdot(g / unit, x))) if x.size == g.size else math.nan
            found.append({
                "projection": along / unit / gg if gg else math.nan,
                "norm_share": length / whole if whole else math.nan,
                "cosine": min(1.0, max(-1.0, along / math.sqrt(gg) / length)) if gg and length else math.nan,
            })  # fmt: skip
    return {
        "norm": size * scale, "sum_of_norms": whole * scale, "cancels": len(terms) > 1 and size < CANCELS * whole,
        "terms": found,
    }  # fmt: skip


def statistics(x: Any) -> dict[str, Any]:
    """RMS and range of the finite elements, and how many elements are zero, subnormal, nan or infinite.

    Of complex numbers the moduli count. RMS and range are None where no element is finite.
    """
    x = flat(x)
    kind = x.dtype.kind
    size = int(x.size)
    if kind not in "fc":
        x = x.astype(np.float64)
    found: dict[str, Any] = {"size": size, "rms": None, "min": None, "max": None, "zero": 0, "subnormal": 0,
                             "nan": 0, "+inf": 0, "-inf": 0}  # fmt: skip
    if size == 1:
        return _one(x[0], found)
    if size == 0:
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        modulus = np.abs(x)
    found["zero"] = size - int(np.count_nonzero(modulus))
    largest, smallest = float(np.max(modulus)), float(np.min(modulus))
    if not math.isfinite(largest):
        found["nan"] = int(np.count_nonzero(np.isnan(modulus)))
        if kind == "c":
            found["+inf"] = int(np.count_nonzero(np.isinf(modulus)))
        else:
            found["+inf"], found["-inf"] = int(np.count_nonzero(x == np.inf)), int(np.count_nonzero(x == -np.inf))
        keep = np.isfinite(modulus)
        x, modulus = x[keep], modulus[keep]
        if not x.size:
            return found
        largest, smallest = float(np.max(modulus)), float(np.min(modulus))
    tiny = float(np.finfo(x.dtype).smallest_normal)
    if smallest < tiny:
        found["subnormal"] = int(np.count_nonzero((modulus > 0) & (modulus < tiny)))
    found["rms"] = norm(modulus) / math.sqrt(modulus.size)
    shown = modulus if kind == "c" else x
    found["min"], found["max"] = float(np.min(shown)), float(np.max(shown))
    return found


def _one(x: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The same of a single number, without NumPy's overhead: graphs of scalars have many."""
    modulus = float(abs(x))
    if math.isnan(modulus):
        found["nan"] = 1
    elif math.isinf(modulus):
        found["-inf" if x.dtype.kind != "c" and x < 0 else "+inf"] = 1
    else:
        found["zero"] = int(modulus == 0)
        found["subnormal"] = int(0 < modulus < float(np.finfo(x.dtype).smallest_normal))
        found["rms"] = modulus
        found["min"] = found["max"] = modulus if x.dtype.kind == "c" else float(x)
    return found


def pooled(found: Sequence[dict[str, Any]]) -> float | None:
    """The RMS over all finite elements of several arrays, from the statistics of each; None where there are none."""
    sized = [(s["rms"], s["size"] - s["nan"] - s["+inf"] - s["-inf"]) for s in found if s["rms"] is not None]
    if not sized:
        return None
    scale = max(rms for rms, _ in sized) or 1.0
    return scale * math.sqrt(sum((rms / scale) ** 2 * n for rms, n in sized) / sum(n for _, n in sized))


# -- structure ---------------------------------------------------------------------------------------------------------


def scopes(graph: Graph) -> list[tuple[str, ...]]:
    """The scope of each node.

    A leaf is recorded where it is first used, and belongs where all its uses stand: a weight that one operation
    reads, to the scope of that operation. What several operations read, one of them directly in that scope, comes in
    from outside.
    """
    found = list(graph.scopes)
    for v, op in enumerate(graph.ops):
        if op.kind in ENDS and graph.consumers[v]:
            paths = [graph.scopes[w] for w, _ in graph.consumers[v]]
            low, high = min(paths), max(paths)
            pairs = zip(low, high, strict=False)
            same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(low), len(high)))
            shared = len({w for w, _ in graph.consumers[v]}) > 1 and low[:same] in paths
            found[v] = low[: same - shared] if same else ()
    return found


def window(graph: Graph, start: int, stop: int) -> Graph:
    """The nodes from `start` up to `stop` as a graph of their own; what comes from before is a literal."""
    part = Graph()
    for column in ("ops", "literals", "params", "shapes", "dtypes", "scopes", "lines"):
        setattr(part, column, getattr(graph, column)[start:stop])
    part.inputs = [
        tuple(u - start if u >= start else LITERAL for u in inputs) if start else inputs
        for inputs in graph.inputs[start:stop]
    ]
    part.arguments = [v - start for v in graph.arguments if start <= v < stop]
    return part


def find_fork(graph: Graph, w: int) -> tuple[int, tuple[int, int], bool] | None:
    """The nearest node that both operands of w lead back to, the operations on either way, and whether it is ambiguous.

    Walks back from both operands, latest node first, until one node was reached from both. A leaf counts only if no
    operation does, and one that is added in several places is taken for a parameter.
    """
    inputs, ops, consumers = graph.inputs, graph.ops, graph.consumers
    p, q = inputs[w]
    if LITERAL in (p, q) or p == q:
        return None
    for v in (p, q):
        if ops[v].kind in ENDS and sum(ops[u].name == "add" for u in {u for u, _ in consumers[v]}) > 1:
            return None
    reached = {p: 1, q: 2}
    heap = [-p, -q]
    heapq.heapify(heap)
    waiting = {1: 1, 2: 1}  # how many nodes are still to be looked at on either side
    counts = {1: 0, 2: 0}
    leaves = []
    while heap and all(waiting.values()):
        v = -heapq.heappop(heap)
        side = reached.pop(v)
        leaf = ops[v].kind in ENDS
        if side == 3:
            if not leaf:
                return v, (counts[1], counts[2]), counts[1] == counts[2]
            leaves.append(v)
            for s in (1, 2):
                waiting[s] -= 1
            continue
        waiting[side] -= 1
        counts[side] += not leaf
        for u in set(inputs[v]) - {LITERAL}:
            known = reached.get(u, 0)
            if not known:
                heapq.heappush(heap, -u)
            if known != 3 and known != side:
                reached[u] = known | side
                waiting[side] += 1
    if not leaves:
        return None
    return leaves[0], (counts[1], counts[2]), len(leaves) > 1 or counts[1] == counts[2]


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
