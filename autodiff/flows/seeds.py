"""What a reverse sweep of a whole graph starts from: a δ for each output, as a user gives them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import NotScalarError, SeedError, message
from ..graph import Graph
from ..traced import Traced


def seeds_of(graph: Graph, seed: Any = None) -> dict[int, Any]:
    """The seed of each output by its node; 1 for one real number where none is given.

    Raises
    ------
    NotScalarError
        Where a seed is needed.
    SeedError
        Where one has another structure, shape or dtype than its output.
    """
    outputs, given = graph.outputs, _given(graph, seed)
    seeds: dict[int, Any] = {}
    for v, s in zip(outputs, given, strict=True):
        shape, dtype = graph.shapes[v], graph.dtypes[v]
        if s is not None and not isinstance(s, (np.ndarray, np.generic, Traced, int, float, complex, list, tuple)):
            s = np.array(s, object)  # of no dtype that an output has: told below
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
    return seeds


def _given(graph: Graph, seed: Any) -> list[Any]:
    """The seed of each output in order, from the container that the function returned or from a plain list."""
    count, name = len(graph.outputs), graph.title or "this function"
    if seed is None and count != 1:
        raise NotScalarError(
            message(
                f"backward: the graph of {name} has {count} outputs",
                "each output needs a seed of its own",
                "graph.backward([seed, seed, …]), one for each output in order, or in the function's own container",
            )
        )
    flat: list[Any] = [seed] if count == 1 else list(seed) if isinstance(seed, (list, tuple)) else []
    if graph.tree is not None and seed is not None:
        with contextlib.suppress(ValueError, TypeError):  # of another container
            flat = graph.tree.flatten_up_to(seed)
    if len(flat) != count or any(isinstance(s, Mapping) for s in flat):
        returned = f"a {graph.tree.type.__name__}" if graph.tree is not None and graph.tree.type else "its outputs"
        raise SeedError(
            message(
                f"backward: the seed is a {type(seed).__name__} of another structure than what {name} returned",
                f"it returned {returned} with {count} output{'s' * (count != 1)}, and each has a seed of its own",
                "a container of the same structure, or a list with one seed for each output in order",
            )
        )
    return flat
