"""Graphviz, in a process of its own: it holds the interpreter lock, cannot be stopped, and can crash on deep graphs.

Run by path as ``python -I child.py KIND PLACE ENGINE FORMAT BYTES``, with DOT on standard input and the result on
standard output. It imports nothing of the package that it belongs to. KIND is ``pygraphviz`` (PLACE is the folder to
import it from) or ``dot`` (PLACE is the executable); BYTES limits its address space.
"""

import os
import sys


def main(kind: str, place: str, engine: str, form: str, limit: str) -> int:
    """Lay out and render what stands on standard input."""
    _restrict(int(limit))
    if kind == "dot":
        os.execv(place, [place, f"-K{engine}", f"-T{form}"])
    result = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no part of the result
    sys.path.insert(0, place)
    import pygraphviz  # noqa: PLC0415 -- only this process may load it
    from pygraphviz import graphviz as library  # noqa: PLC0415

    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode("utf-8"))
    context = library.gvContextWithBuiltins()
    library.gvLayout(context, graph.handle, engine.encode())
    data = library.gvRenderData(context, graph.handle, form.encode())
    data = data[1] if isinstance(data, (list, tuple)) else data
    with os.fdopen(result, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode("utf-8"))
        out.flush()
    sys.stderr.flush()
    os._exit(0)  # a large graph takes longer to free than to draw


def _restrict(limit: int) -> None:
    try:
        import resource  # noqa: PLC0415 -- not on every system
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
