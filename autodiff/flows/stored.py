"""A flow on disk: the file of its graph, and beside the nodes what its sweep started from and was scaled by.

δ and contributions are not written: one sweep gives them again, to the last bit. A program that reads graphs reads the
file as that of a graph.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..archive import UNREADABLE, decode, encode, read, unreadable, write
from ..graph import FORMAT, VERSION, Graph
from .walks import Edge


def store(
    path: str | os.PathLike[str], graph: Graph, seeds: Mapping[int, Any], scales: Mapping[Edge, float]
) -> None:
    """Write a flow as JSON, with its arrays as npz beside it."""
    document, arrays = graph.stored()
    document["flow"] = {
        "seeds": [[v, encode(np.asarray(seed), arrays)] for v, seed in seeds.items()],
        "scales": [[w, k, encode(factor, arrays)] for (w, k), factor in scales.items()],
    }
    write(path, document, arrays)


def restore(path: str | os.PathLike[str]) -> tuple[Graph, dict[int, Any] | None, dict[Edge, float]]:
    """The graph, the seeds and the scales of a file; None for the seeds where it is the file of a graph alone.

    Raises
    ------
    LoadError
        Where the files are neither.
    FileNotFoundError
        Where one of the two files is not there.
    """
    document, arrays = read(path, FORMAT, VERSION)
    graph = Graph.restored(path, document, arrays)
    if "flow" not in document:
        return graph, None, {}
    try:
        seeds = {int(v): decode(seed, arrays) for v, seed in document["flow"]["seeds"]}
        scales = {(int(w), int(k)): float(decode(factor, arrays)) for w, k, factor in document["flow"]["scales"]}
    except UNREADABLE as error:
        raise unreadable(path, f"{type(error).__name__}: {str(error)[:200]}") from None
    for v, seed in seeds.items():
        if v not in graph.outputs or np.shape(seed) != graph.shapes[v] or np.asarray(seed).dtype != graph.dtypes[v]:
            raise unreadable(path, f"the seed of node {v} is not a δ of an output")
    if not scales.keys() <= {(w, k) for _, w, k in graph.edges}:
        raise unreadable(path, "it scales an edge that its graph does not have")
    return graph, {v: np.asarray(seed)[()] for v, seed in seeds.items()}, scales
