"""What of a document is drawn: collapsed scopes, the neighbourhood of a focus, leaves drawn once a use.

The result is boxes and arrows, still without sizes or places.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from ..errors import UnknownNameError, message, nearest
from ..flows import pooled
from .options import Options, refuse
from .picture import leaf

Path = tuple[str, ...]


@dataclasses.dataclass
class Box:
    """One box: a node, one use of a leaf, or a collapsed scope.

    ``id`` is ``n3``, ``n3u7`` (node 3 as node 7 uses it) or ``s0`` (the first scope).
    """

    id: str
    members: list[dict[str, Any]]
    scope: Path  # of the cluster that it stands in
    group: Path | None = None  # the scope that it stands for
    uses: int = 0  # how many boxes the leaf is drawn as, where it is more than one
    join: dict[str, Any] | None = None

    @property
    def node(self) -> dict[str, Any]:
        """The first node, which is the only one outside a collapsed scope."""
        return self.members[0]


@dataclasses.dataclass
class Arrow:
    """All edges from one box to another that are drawn as one; two argument slots of one operation stay two arrows."""

    id: str
    tail: str
    head: str
    edges: list[dict[str, Any]]
    whole: dict[str, Any] | None = None  # δ of the node that it leaves, where all of that δ came back along it
    carries: dict[str, Any] | None = None  # statistics of the value, on an arrow that stands beside that of δ


@dataclasses.dataclass
class View:
    """What is drawn."""

    boxes: list[Box]
    arrows: list[Arrow]
    notes: list[str]  # what the reader must be told: what was left out, and why
    total: int  # nodes of the whole document
    sizes: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # every δ that the colours must span


Pruner = Callable[[float], dict[str, Any]]
"""The document in which every edge says whether it is kept, for a part of the gradient; see picture.prune."""


def select(found: dict[str, Any], options: Options, pruner: Pruner | None = None) -> View:
    """The boxes and arrows that these options ask for; where `pruner` is given, an error can advise pruning too.

    Raises
    ------
    PictureError
        Where more than ``max_nodes`` boxes would be drawn; names the largest scopes, and what each option would give.
    """
    view, count = _selected(found, options)
    return view if view is not None else _too_large(found, count, options, pruner)


def select_readable(found: dict[str, Any], options: Options) -> View | None:
    """The same, None where there are too many boxes."""
    return _selected(found, options)[0]


def _selected(found: dict[str, Any], options: Options) -> tuple[View | None, int]:
    """What is drawn, where it is not too much, and how many boxes that are."""
    groups = _groups(found, options.collapse)
    owner, boxes = _boxes(found, groups, options.split)
    if options.focus is None and "prune" not in found and len(boxes) > options.max_nodes:
        return None, len(boxes)
    arrows = _arrows(found, owner, boxes)
    notes = []
    wanted = [] if options.focus is None else _focused(found, options.focus)
    centre = [key for v in wanted for key in _drawn(v, owner, boxes)]
    if "prune" in found:
        boxes, arrows = _pruned(found, owner, boxes, arrows, centre)
        notes.append(f"{found['prune']['told']}; the others are not drawn")
    if options.focus is not None:
        before = len(boxes)
        near = _within(centre, arrows, options.hops)
        boxes = {key: box for key, box in boxes.items() if key in near}
        arrows = [arrow for arrow in arrows if arrow.tail in near and arrow.head in near]
        notes.append(
            f"{len(boxes):,} of {before:,} boxes: those within "
            f"{options.hops} arrow{'s' if options.hops != 1 else ''} of the focus"
        )
    if len(boxes) > options.max_nodes:
        return None, len(boxes)
    if options.collapse is not None:
        _tell_joins(found, owner, boxes)
    if "until" in found:
        served = sum(node["delta"] is not None for node in found["nodes"])
        notes.append(f"the reverse sweep at node {found['until']}: {served} δ gathered so far")
    return View(list(boxes.values()), arrows, notes, len(found["nodes"]), found.get("sizes", [])), len(boxes)


def _pruned(
    found: dict[str, Any], owner: list[str], boxes: dict[str, Box], arrows: list[Arrow], always: list[str]
) -> tuple[dict[str, Box], list[Arrow]]:
    """The arrows along which kept edges lead, with those edges alone, and the boxes that kept edges touch."""
    left = []
    for arrow in arrows:
        edges = [edge for edge in arrow.edges if edge["kept"]]
        if edges:
            whole = arrow.whole if len(edges) == len(arrow.edges) else None
            left.append(dataclasses.replace(arrow, edges=edges, whole=whole))
    touched = {*always, *(owner[node["id"]] for node in found["nodes"] if node["output"])}
    touched.update(owner[edge[end]] for edge in found["edges"] if edge["kept"] for end in ("from", "to"))
    touched.update(end for arrow in left for end in (arrow.tail, arrow.head))
    return {key: box for key, box in boxes.items() if key in touched}, left


def _known_scopes(found: dict[str, Any]) -> dict[Path, int]:
    """Every scope and how many nodes stand in it or below it, in order of computation."""
    counts: dict[Path, int] = {}
    for node in found["nodes"]:
        path = tuple(node["scope"])
        for depth in range(1, len(path) + 1):
            counts[path[:depth]] = counts.get(path[:depth], 0) + 1
    return counts


def _groups(found: dict[str, Any], collapse: Any) -> set[Path]:
    """The scopes to be drawn as one box."""
    if collapse is None or collapse is False:
        return set()
    known = _known_scopes(found)
    if isinstance(collapse, (int, np.integer)):
        depth = int(collapse)
        if depth < 1:
            refuse(f"draw: collapse={collapse!r}", "depth 1 is the outermost scope", "collapse=1")
        return {path for path in known if len(path) == depth}
    if not isinstance(collapse, (str, list, tuple, set, frozenset)):
        refuse(f"draw: collapse={collapse!r}", "it is a depth, the name of a scope, or a list of names",
               "collapse=1, or collapse=['block1', 'block2']")  # fmt: skip
    chosen = set()
    for name in [collapse] if isinstance(collapse, str) else collapse:
        matching = {path for path in known if name == "/".join(path)} or {path for path in known if name == path[-1]}
        if not matching:
            names = ["/".join(path) for path in known]
            near = nearest(str(name), names) or names[:8]
            refuse(f"draw: no scope is named {name!r}",
                   f"this graph has {len(names)} scopes; the nearest: {', '.join(map(repr, near)) or 'none'}",
                   "name a scope with `with ad.scope('block1'):`, or collapse by depth: collapse=1")  # fmt: skip
        chosen |= matching
    return chosen


def _boxes(found: dict[str, Any], groups: set[Path], split: int) -> tuple[list[str], dict[str, Box]]:
    """The box of each node (of a leaf drawn once a use: the start of its boxes' ids), and the boxes by id."""
    owner: list[str] = []
    boxes: dict[str, Box] = {}
    ids: dict[Path, str] = {}
    users: dict[int, list[int]] = {}
    for edge in found["edges"]:
        users.setdefault(edge["from"], []).append(edge["to"])
    sent = {(edge["from"], edge["to"]) for edge in found["edges"] if edge["kind"] == "δ" or not found["flow"]}
    counted = Counter(source for source, _ in sent)
    for node in found["nodes"]:
        path: Path = tuple(node["scope"])
        group = next((path[:depth] for depth in range(1, len(path) + 1) if path[:depth] in groups), None)
        if group is not None:
            key = ids.setdefault(group, f"s{len(ids)}")
            owner.append(key)
            if key in boxes:
                boxes[key].members.append(node)
            else:
                boxes[key] = Box(key, [node], group[:-1], group)
            continue
        key = f"n{node['id']}"
        owner.append(key)
        places: dict[Path | int, int] = {}
        if leaf(node) and split and counted[node["id"]] >= split:
            for w in users[node["id"]]:
                inside: Path = tuple(found["nodes"][w]["scope"])
                hidden = next((inside[:d] for d in range(1, len(inside) + 1) if inside[:d] in groups), None)
                places.setdefault(hidden if hidden is not None else w, w)
        if len(places) >= split > 0:
            owner[-1] = key + "u"
            for place, w in places.items():
                scope: Path = place[:-1] if isinstance(place, tuple) else tuple(found["nodes"][w]["scope"])
                boxes[f"{key}u{w}"] = Box(f"{key}u{w}", [node], scope, uses=len(places))
        else:
            boxes[key] = Box(key, [node], path)
    return owner, boxes


def _drawn(v: int, owner: list[str], boxes: dict[str, Box]) -> list[str]:
    key = owner[v]
    return [key] if key in boxes else [name for name in boxes if name.startswith(key)]


def _arrows(found: dict[str, Any], owner: list[str], boxes: dict[str, Box]) -> list[Arrow]:
    """Arrows between boxes. Those between the same two boxes are one where a collapsed scope is at either end."""
    arrows: dict[Any, Arrow] = {}
    first: dict[tuple[str, str], str] = {}  # the box that stands for a leaf in front of a box
    for edge in found["edges"]:
        tail, head = owner[edge["from"]], owner[edge["to"]]
        if tail not in boxes:  # drawn once a use, or once a collapsed scope that uses it
            tail = first.setdefault((tail, head), f"{tail}{edge['to']}")
        if tail == head:
            continue
        merged = boxes[tail].group is not None or boxes[head].group is not None
        key = (tail, head) if merged else edge["id"]
        if key in arrows:
            arrows[key].edges.append(edge)
        else:
            arrows[key] = Arrow(f"e{edge['to']}x{edge['slot']}", tail, head, [edge])
    sent = Counter(edge["from"] for edge in found["edges"] if edge["kind"] == "δ")
    for arrow in arrows.values():
        source = found["nodes"][arrow.edges[0]["from"]]
        active = [edge["from"] for edge in arrow.edges if edge["kind"] == "δ"]
        if len(active) > 1 and not source["output"] and active == [source["id"]] * sent[source["id"]]:
            arrow.whole = source["delta"]
    return list(arrows.values())


def _focused(found: dict[str, Any], focus: Any) -> list[int]:
    """The numbers of the nodes that stand for a focus: names, numbers or nodes."""
    wanted: Iterable[Any] = focus if isinstance(focus, (list, tuple, set)) else [focus]
    numbers = []
    names = {node["name"]: node["id"] for node in reversed(found["nodes"]) if node["name"]}
    for key in wanted:
        if isinstance(key, str):
            if key not in names:
                near = nearest(key, names) or list(names)[:8]
                why = f"the nearest names: {', '.join(map(repr, near)) or 'none'}"
                instead = "give a node its name with ad.name(x, 'hidden'), or focus by number"
                raise UnknownNameError(message(f"draw: no node is named {key!r}", why, instead))
            numbers.append(names[key])
            continue
        if not hasattr(type(key), "__index__") or isinstance(key, (bool, np.ndarray)):
            refuse(f"draw: focus={key!r}", "a focus is a node, its name or its number, or a list of those", "focus=0")
        index = key.__index__()
        if not 0 <= index < len(found["nodes"]):
            refuse(f"draw: focus={key!r}", f"the graph has {len(found['nodes'])} nodes", "focus=0, or a name")
        numbers.append(index)
    return numbers


def beneath(view: View) -> list[tuple[str, str]]:
    """Which boxes are to stand below which others, so that scopes that follow one another stand one below the other.

    A leaf of a scope stands below the last box outside the scope that feeds it and was computed before the leaf is
    used: that box cannot depend on the leaf, so the wish can always be granted.
    """
    place = {box.id: box for box in view.boxes}
    feeding: dict[Path, list[tuple[int, str]]] = {}
    first: dict[str, int] = {}
    for arrow in view.arrows:
        tail, head = place[arrow.tail], place[arrow.head]
        first[tail.id] = min(first.get(tail.id, head.node["id"]), *(edge["to"] for edge in arrow.edges))
        last = tail.members[-1]["id"]
        for depth in range(1, len(head.scope) + 1):
            path = head.scope[:depth]
            if tail.scope[:depth] != path and not (leaf(tail.node) and tail.group is None):
                feeding.setdefault(path, []).append((last, tail.id))
    found = []
    for feeders in feeding.values():
        feeders.sort()
    for box in view.boxes:
        if box.group is None and leaf(box.node) and box.id in first:
            feeders = feeding.get(box.scope, [])
            at = bisect.bisect_left(feeders, (first[box.id], ""))
            if at:
                found.append((feeders[at - 1][1], box.id))
    return found


def _within(centre: list[str], arrows: list[Arrow], hops: int) -> set[str]:
    """The boxes within so many arrows, in either direction."""
    beside: dict[str, list[str]] = {}
    for arrow in arrows:
        beside.setdefault(arrow.tail, []).append(arrow.head)
        beside.setdefault(arrow.head, []).append(arrow.tail)
    near, rim = set(centre), set(centre)
    for _ in range(hops):
        rim = {other for key in rim for other in beside.get(key, ())} - near
        near |= rim
        if not rim:
            break
    return near


def _tell_joins(found: dict[str, Any], owner: list[str], boxes: dict[str, Box]) -> None:
    """Note the skip and residual shares on the collapsed scopes that have one clear join."""
    inside: dict[str, list[dict[str, Any]]] = {}
    for row in found.get("joins", ()):
        inside.setdefault(owner[row["join"]], []).append(row)
    for key, rows in inside.items():
        if key in boxes and boxes[key].group is not None and len(rows) == 1 and rows[0]["skip_share"] is not None:
            boxes[key].join = rows[0]


def _count(found: dict[str, Any], options: Options) -> int:
    """How many boxes other options would give."""
    return _selected(found, dataclasses.replace(options, max_nodes=0))[1]


def _too_large(found: dict[str, Any], count: int, options: Options, pruner: Pruner | None) -> NoReturn:
    """Refuse, with the options that would help and how many boxes each would give, and those that would not."""
    known = _known_scopes(found)
    largest = sorted(known, key=lambda path: -known[path])[:5]
    last = next((node["id"] for node in found["nodes"] if node["output"]), len(found["nodes"]) - 1)
    tries: list[dict[str, Any]] = [{"collapse": depth} for depth in sorted({len(path) for path in known})[:3]]
    tries += [{"focus": last, "hops": hops} for hops in (2, 5)]
    counts = [(wanted, _count(found, dataclasses.replace(options, **wanted))) for wanted in tries]
    if pruner is not None and "prune" not in found:
        counts += [({"prune": keep}, _count(pruner(keep), options)) for keep in (0.98, 0.5)]
    told = [
        (", ".join(f"{key}={value!r}" for key, value in wanted.items()) + f" gives {boxes:,}", boxes)
        for wanted, boxes in counts
    ]
    helps = [text for text, boxes in told if 1 < boxes <= options.max_nodes]
    rest = [text for text, boxes in told if boxes > options.max_nodes]
    scopes = ", ".join(f"{'/'.join(path)!r} ({known[path]:,} nodes)" for path in largest)
    why = f"no one could read it; the largest scopes: {scopes}" if largest else "no one could read it; it has no scopes"
    refuse(
        f"draw: {count:,} boxes are more than max_nodes={options.max_nodes}",
        why + (f"; still too many: {', '.join(rest)}" if rest else ""),
        "; ".join([*helps, ".json and .txt hold any number of nodes, .html opens near the output"]),
    )


def size(box: Box) -> dict[str, Any] | None:
    """The δ of a box: a node's own; of a collapsed scope all elements of δ of its operations taken together."""
    if box.group is None:
        return box.node["delta"]  # type: ignore[no-any-return]
    operations = [node["delta"] for node in box.members if node["delta"] is not None and not leaf(node)]
    found = operations or [node["delta"] for node in box.members if node["delta"] is not None]
    if not found:
        return None
    sizes = [s["rms"] for s in found if s["rms"] is not None]
    whole: dict[str, Any] = {"rms": pooled(found), "min": min(sizes, default=None), "max": max(sizes, default=None)}
    for key in ("size", "zero", "subnormal", "nan", "+inf", "-inf"):
        whole[key] = sum(s[key] for s in found)
    return whole
