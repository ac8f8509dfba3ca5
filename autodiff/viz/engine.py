"""Graphviz as this package uses it: found without being imported, run in a child with limits, its answer checked."""

from __future__ import annotations

import _thread
import dataclasses
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import graphviz

from .layout import HEAD, LABEL, PADDING, Layout, Sketch, shift
from .lettering import clean
from .options import Options

BESIDE = 7.0  # points between an arrow and its label
PATIENT = 800  # boxes; a larger picture is put straight with less care, in half the time

TABLE = '<<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")


LARGEST_ANSWER = 2**28
"""Bytes that Graphviz may write. What is longer is no picture."""
LONGEST = 1e6  # seconds; what is longer is no limit, and not every system can count it


class EngineError(Exception):
    """Graphviz gave no usable answer; the text says why, and ``instead`` what may help."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.instead = instead


class SlowError(EngineError):
    """Graphviz took longer than it may. Another way to the same Graphviz would not be quicker."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """One way to reach Graphviz: ``pygraphviz`` by the folder that it is in, or ``dot`` by its path."""

    kind: str
    place: str


def engines(options: Options) -> list[Engine]:
    """The ways to reach Graphviz that are there and that the options allow, best first."""
    found = []
    if options.engine in ("auto", "pygraphviz"):
        try:
            spec = importlib.util.find_spec("pygraphviz")
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.origin:
            found.append(Engine("pygraphviz", os.path.dirname(os.path.dirname(spec.origin))))
    if options.engine in ("auto", "dot"):
        path = shutil.which("dot")
        if path:
            found.append(Engine("dot", os.path.abspath(path)))
    return found


def absent(options: Options) -> str:
    """Why there is no way to reach Graphviz where there is none."""
    why = {"pygraphviz": "pygraphviz is not installed", "dot": "there is no dot on the PATH"}
    return why.get(options.engine, "Graphviz is not installed: neither pygraphviz nor a dot on the PATH was found")


def run(engine: Engine, source: str, program: str, form: str, options: Options) -> bytes:
    """DOT to a layout or a picture, in a child process.

    It reads and writes files without a name, not pipes: nothing that it leaves running can hold up its answer, and
    junk without end fills no memory here.

    Raises
    ------
    EngineError
        Where it takes too long, crashes, or says nothing; with what it wrote to its standard error.
    """
    memory, seconds = min(options.memory * 2**30, sys.maxsize // 2), min(float(options.timeout), LONGEST)
    limits = [str(int(memory)), str(LARGEST_ANSWER), str(math.ceil(seconds) + 1)]
    command = [sys.executable or "python3", "-I", CHILD, engine.kind, engine.place, program, form, *limits]
    try:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(source.encode("utf-8"))
            given.seek(0)

            def start() -> subprocess.Popen[bytes]:
                return subprocess.Popen(command, stdin=given, stdout=out, stderr=err, start_new_session=True)

            code = _waited(start, seconds)
            out.seek(0)
            err.seek(0)
            answer, said = b"" if code else out.read(), err.read(65_536).decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        longer = f"timeout={max(60, 3 * math.ceil(seconds))} gives it longer (seconds)"
        raise SlowError(f"{engine.kind} took more than {options.timeout:g} s", longer) from None
    except OSError as error:
        raise EngineError(f"{engine.kind} could not be started: {error}") from None
    if not answer:
        raise _failure(engine, code, said, options)
    return answer


def _waited(start: Callable[[], subprocess.Popen[bytes]], seconds: float) -> int:
    """Start a child and wait for its end: the code that it ends with. However this is left, it has ended by then.

    All that is done with it is done in a thread. A key that is pressed is told to the main thread alone: it could come
    after the child has begun and before anybody knows its number, or while a lock of the child's is held.
    """
    found: list[Any] = []  # the child, then its code, or what was raised
    left: list[bool] = []  # whether nobody waits for it any more
    over = threading.Lock()
    over.acquire()

    def serve() -> None:
        try:
            found.append(start())
            try:
                code = found[0].wait(0 if left else seconds)
            finally:
                _end(found[0])
            found.append(code)
        except BaseException as error:
            found.append(error)
        finally:
            over.release()

    try:
        try:
            _thread.start_new_thread(serve, ())
        except RuntimeError:  # no further thread is to be had
            serve()
        over.acquire()
    except BaseException:
        left.append(True)
        if not found:
            over.acquire(timeout=1)  # it may not even have begun
        elif len(found) == 1 and not isinstance(found[0], BaseException):
            _kill(found[0])
            over.acquire(timeout=10)
        raise
    try:
        if isinstance(found[-1], BaseException):
            raise found[-1]
        return int(found[-1])
    finally:
        found.clear()  # this frame is in the traceback of what stands there: a cycle otherwise


def _failure(engine: Engine, code: int, text: str, options: Options) -> EngineError:
    """What a child that ended without an answer died of, as far as it said so."""
    lines = text.strip().splitlines()
    said = [line for line in lines if line.startswith("Error")] or lines[-1:]
    how = f"ended with {code}" if code else "said nothing"
    if code < 0:
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
    room = re.search(r"memory|MemoryError|failed to map|bad_alloc|Resource temporarily unavailable", text)
    more = f"memory={max(1, 2 * math.ceil(options.memory))} gives it more (GiB)" if room else ""
    return EngineError(f"{engine.kind} {how}" + (f": {clean(said[0], 200)}" if said else ""), more)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it started: it leads a process group of its own, which may outlive it."""
    _kill(child)
    child.wait()


def _kill(child: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):  # all of them have ended
        pass


# -- layout ------------------------------------------------------------------------------------------------------------


def arrange_with(engine: Engine, sketch: Sketch, options: Options) -> Layout:
    """Lay a sketch out with Graphviz.

    Graphviz is told sizes and no text: the layout does not depend on the fonts of the machine, and no name of a user's
    reaches it.
    """
    answer = run(engine, skeleton(sketch), "dot", "json0", options)
    try:
        return _read(json.loads(answer), sketch, engine.kind)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise EngineError(f"{engine.kind} gave no layout ({type(error).__name__}: {error})") from None


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _blank(width: float, height: float) -> str:
    """A label of a given size without any text."""
    return f"{TABLE}<tr>{_cell(width, height)}</tr></table>>"


def skeleton(sketch: Sketch) -> str:
    """A sketch in DOT: boxes and labels as blank rectangles."""
    tall = sketch.direction == "TB"
    root = graphviz.Digraph("skeleton")
    airy = len(sketch.boxes) <= 12  # a small picture can afford gentler curves
    between = "0.8" if airy else "0.44" if tall else "0.5"
    care = "4" if len(sketch.boxes) <= PATIENT else "1"
    root.attr("graph", rankdir=sketch.direction, nodesep="0.5" if airy else "0.35", ranksep=between, remincross="true",
              splines="true", nslimit=care, mclimit="1")  # fmt: skip
    root.attr("node", shape="box", fixedsize="true", margin="0", label="")
    root.attr("edge", arrowhead="normal", arrowsize=f"{HEAD / 10:g}", fontsize="10")
    graphs: dict[tuple[str, ...], Any] = {(): root}
    numbered = {path: n for n, path in enumerate(_outer(sketch))}
    for path, n in numbered.items():
        graphs[path] = graphviz.Digraph(f"cluster_{n}")
        graphs[path].attr(label=_blank(sketch.titles[path], LABEL - 4), labeljust="l", margin=f"{PADDING:g}")
    arriving: dict[str, int] = {}
    for _, _, head, _ in sketch.arrows:
        arriving[head] = arriving.get(head, 0) + 1
    for path, members in sketch.clusters.items():
        for key in members:
            w, h = sketch.boxes[key]
            table = _ported(w, h, arriving.get(key, 0), tall)
            graphs[path].node(key, table, width=_inches(w), height=_inches(h))
    for path in sorted(numbered, key=len, reverse=True):
        graphs[path[:-1]].subgraph(graphs[path])
    for tail, head in sketch.below:
        root.edge(tail, head, id="below", style="invis", weight="2")
    used: dict[str, int] = {}
    for key, tail, head, (w, h) in sketch.arrows:
        label = {"label": _blank(w + 2 * BESIDE, h + 2) if tall else _blank(w + 4, h + 2 * BESIDE)} if w else {}
        used[head] = used.get(head, 0) + 1
        port = f":i{used[head]}:{'n' if tall else 'w'}" if arriving[head] > 1 else ""
        root.edge(tail, head + port, id=key, **label)
    return str(root.source)


def _ported(width: float, height: float, count: int, tall: bool) -> str:
    """A box with a place for each arrow that arrives, in order of arguments, on its upper side (LR: on its left)."""
    if count < 2:
        return _blank(width, height)
    if tall:
        cells = "".join(_cell(width / count, 1, f'port="i{n + 1}"') for n in range(count))
        body = _cell(width, height - 1, f'colspan="{count}"')
        return f"{TABLE}<tr>{cells}</tr><tr>{body}</tr></table>>"
    body = _cell(width - 1, height, f'rowspan="{count}"')
    rows = [_cell(1, height / count, f'port="i{n + 1}"') for n in range(count)]
    return f"{TABLE}<tr>{rows[0]}{body}</tr>{''.join(f'<tr>{row}</tr>' for row in rows[1:])}</table>>"


def _cell(width: float, height: float, more: str = "") -> str:
    size = f'width="{max(1, round(width))}" height="{max(1, round(height))}"'
    return f'<td fixedsize="true" {size} {more}></td>'


def _outer(sketch: Sketch) -> list[tuple[str, ...]]:
    """Every scope that holds a box, directly or further in; the outermost first."""
    found = {path[:depth] for path in sketch.clusters for depth in range(1, len(path) + 1)}
    return sorted(found, key=lambda path: (len(path), path))


def _read(answer: dict[str, Any], sketch: Sketch, name: str) -> Layout:
    """A layout from Graphviz's own description; y is turned round."""
    _, _, _, height = (float(x) for x in answer["bb"].split(","))
    paths = _outer(sketch)
    centres, clusters = {}, {}
    for thing in answer["objects"]:
        if thing["name"].startswith("cluster_"):
            left, low, right, high = (float(x) for x in thing["bb"].split(","))
            clusters[paths[int(thing["name"][8:])]] = (left, height - high, right, height - low)
        else:
            x, y = thing["pos"].split(",")
            centres[thing["name"]] = (float(x), height - float(y))
    routes, labels = {}, {}
    for edge in answer.get("edges", ()):
        if edge["id"] == "below":
            continue
        routes[edge["id"]] = _route(edge["pos"], height)
        if "lp" in edge:
            x, y = edge["lp"].split(",")
            labels[edge["id"]] = (float(x), height - float(y))
    if centres.keys() != sketch.boxes.keys() or routes.keys() != {key for key, *_ in sketch.arrows}:
        raise ValueError("it does not hold every box and arrow")
    clusters = dict(sorted(clusters.items(), key=lambda item: len(item[0])))
    return shift(Layout(centres, routes, labels, clusters, 0.0, 0.0, name), sketch)


def _route(text: str, height: float) -> list[tuple[float, float]]:
    """The curve of ``e,x,y x,y x,y …`` with its tip last."""
    tip = None
    points = []
    for part in text.split(" "):
        if not part:
            continue
        if part[0] in "es":
            x, y = part[2:].split(",")
            if part[0] == "e":
                tip = (float(x), height - float(y))
            continue
        x, y = part.split(",")
        points.append((float(x), height - float(y)))
    return [*points, tip if tip is not None else points[-1]]
