"""A second engine, for small graphs only: slow, plain, and without a rule or a sweep of the package.

It knows a graph by its columns (operations, inputs, literals, settings) and operations by evaluating them. Derivatives
of one operation are taken by the complex step, so every operation in the graph must be analytic. δ is taken from its
meaning: the sum over all paths to the output of the products of the Jacobians along the way.
"""

import numpy as np

LITERAL = -1
H = 1e-30


def arguments(graph, values, w):
    """What node w was computed from: values of nodes, and literals."""
    return [values[v] if v != LITERAL else x for v, x in zip(graph.inputs[w], graph.literals[w], strict=True)]


def as_complex(x):
    """Floats as complex numbers, so that an operation computes in complex numbers throughout; the rest as it is."""
    return np.asarray(x).astype(complex)[()] if getattr(x, "dtype", np.dtype(object)).kind == "f" else x


def forward(graph, w, args):
    return np.asarray(graph.ops[w].forward(*map(as_complex, args), **(graph.params[w] or {})))


def jacobian(graph, values, w, k):
    """The derivative of every element of node w by every element of its argument k, as a matrix."""
    args = arguments(graph, values, w)
    x = np.asarray(args[k])
    columns = []
    for i in range(x.size):
        moved = x.astype(complex, order="C")
        moved.reshape(-1)[i] += 1j * H
        columns.append(forward(graph, w, [*args[:k], moved[()], *args[k + 1 :]]).imag.ravel() / H)
    return np.stack(columns, axis=1) if columns else np.zeros((np.size(values[w]), 0))


def users(graph, v):
    """Every place (w, k) at which node v is argument k of node w, through operations that have a derivative."""
    return [
        (w, k)
        for w, inputs in enumerate(graph.inputs)
        for k, source in enumerate(inputs)
        if source == v and not graph.ops[w].flat and np.asarray(graph.values[w]).dtype.kind == "f"
    ]


def paths(graph, v, output):
    """Every path from node v to the output, as the list of its steps (w, k)."""
    if v == output:
        yield []
    for w, k in users(graph, v):
        if w <= output:
            for rest in paths(graph, w, output):
                yield [(w, k), *rest]


def count_paths(graph, v, output):
    """How many there are, without walking them."""
    counts = {output: 1}
    for node in range(output - 1, v - 1, -1):
        counts[node] = sum(counts.get(w, 0) for w, _ in users(graph, node) if w <= output)
    return counts.get(v, 0)


def along(graph, values, path, seed):
    """What arrives by one path: the seed times the Jacobians from the output backwards."""
    row = np.ravel(seed)
    for w, k in reversed(path):
        row = row @ jacobian(graph, values, w, k)
    return row


def by_edge(graph, values, v, output, seed):
    """The δ of node v, split by the first step of the paths: one part for each edge that leaves it."""
    parts = {}
    for path in paths(graph, v, output):
        key = path[0] if path else None
        parts[key] = parts.get(key, 0.0) + along(graph, values, path, seed)
    return {key: part.reshape(np.shape(values[v])) for key, part in parts.items()}


def delta(graph, values, v, output, seed):
    """The δ of node v: the sum over all its paths; None where there is none."""
    parts = by_edge(graph, values, v, output, seed)
    return sum(parts.values()) if parts else None


def moved(graph, values, v, direction, output):
    """How fast the output moves when the value of node v is pushed: everything after v is computed again."""
    fresh = {v: values[v] + 1j * H * direction}
    for w in range(v + 1, output + 1):
        if any(source in fresh for source in graph.inputs[w]) and not graph.ops[w].flat:
            args = arguments(graph, {**dict(enumerate(values)), **fresh}, w)
            fresh[w] = forward(graph, w, args)
    return np.asarray(fresh[output]).imag / H if output in fresh else np.zeros(np.shape(values[output]))
