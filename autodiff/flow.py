"""The gradient's way through a graph: the δ of each node, the contribution of each edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .errors import NotScalarError, SeedError, message
from .graph import Graph, Node, Values, table
from .sweep import deltas


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
    """

    draw_hook: ClassVar[Callable[..., Any] | None] = None
    """Filled by autodiff.viz when it is imported."""

    def __init__(self, graph: Graph, values: Values, delta: list[Any], contributions: dict[tuple[int, int], Any]) -> None:
        self.graph = graph
        self.values = values
        self.delta = delta
        self.contributions = contributions

    def __getitem__(self, key: int | str | Node) -> Any:
        """δ of a node, by its number, its name or itself; zeros where no path leads to it."""
        node = self.graph.node(key)
        d = self.delta[node.index]
        return np.zeros(node.shape, node.dtype)[()] if d is None else d

    def edge(self, source: int | str | Node, consumer: int | str | Node) -> list[Any]:
        """What `consumer` sends to `source`: one contribution for each argument position at which it stands."""
        u, v = self.graph.node(source).index, self.graph.node(consumer).index
        return [self.contributions[v, k] for w, k in self.graph.consumers[u] if w == v and (v, k) in self.contributions]

    def __str__(self) -> str:
        return table(self.graph, self.delta)


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
    assert graph.values is not None
    delta = deltas(graph, graph.values, seeds, contributions=contributions, masked=seed is not None)
    return GradientFlow(graph, graph.values, delta, contributions)


Graph.backward_hook = staticmethod(_backward)
