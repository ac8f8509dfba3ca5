"""Graphviz, in a process of its own: it holds the interpreter lock, cannot be stopped, and can crash on deep graphs.

Run by path as ``python -I child.py KIND PLACE ENGINE FORMAT MEMORY ANSWER SECONDS``, with DOT on standard input and the
result on standard output. It imports nothing of the package that it belongs to. KIND is ``pygraphviz`` (PLACE is the
folder to import it from) or ``dot`` (PLACE is the executable). It may take MEMORY bytes of addresses, write ANSWER
bytes, and run for SECONDS, which ends it even where nobody is left to do so.
"""

import os
import signal
import sys


def main(kind: str, place: str, engine: str, form: str, memory: str, answer: str, seconds: str) -> int:
    """Lay out and render what stands on standard input."""
    _restrict(int(memory), int(answer), int(seconds))
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


def _restrict(memory: int, answer: int, seconds: int) -> None:
    try:
        import resource  # noqa: PLC0415 -- not on every system
    except ImportError:
        return
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these, and what it starts would inherit that
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, answer), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
