"""Groups of pointwise work, carried out tile by tile.

Large arrays do not fit into the cache: a chain of pointwise operations on them waits for memory at each step. Carried
out on a tile at a time, what passes from one operation to the next stays in the cache. Tiles are rows: slices of the
first axis. Whatever treats each row for itself may stand in a group, reductions along the other axes too; a reduction
along the first axis ends it, as one partial result a tile, summed in the order of the tiles.

How the work is cut depends on shapes alone, never on the number of threads; so the bits do not depend on it either.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import LITERAL
from ..op import CONSTANT, INPUT
from ..threads import WORTH, spread
from .draft import Draft
from .texts import into

SMALLEST = 1 << 15
"""Elements from which an array is worth cutting up: below it fits into the cache as it is."""

TILE = 1 << 13
"""Elements in a tile. Half and twice as many were measured too: the slope there is flat."""

REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum}
"""Reductions that are one ufunc's, and that may be taken of parts first."""

POINTWISE = ("elementwise", "flat")
"""The kinds of operation that a group is made for; the others only join one."""


def run_tiles(
    tile: Callable[..., None],
    rows: int,
    step: int,
    work: int,
    scratch: Sequence[tuple[Any, ...]],
    arrays: tuple[Any, ...],
) -> None:
    """Call ``tile(number, start, stop, *arrays, *scratch)`` for every tile, on as many threads as are worth it."""

    def part(t: int, thread: int) -> None:
        start = t * step
        stop = min(start + step, rows)
        mine = scratch[thread]
        tile(t, start, stop, *arrays, *(mine if stop - start == step else [s[: stop - start] for s in mine]))

    spread(part, -(-rows // step), work, len(scratch))


def within(places: Any, n: int) -> Any:
    """The places of rows, if all of them are places in a table of n rows."""
    if places.size:
        first, last = int(places.min()), int(places.max())
        if first < -n or last >= n:
            raise IndexError(f"index {last if last >= n else first} is out of bounds for axis 0 with size {n}")
    return places


# -- groups ------------------------------------------------------------------------------------------------------------


def units(draft: Draft) -> list[tuple[list[int], bool]]:
    """The nodes in the order in which they will run, alone or in groups, and whether it is a group.

    Every node has a stage, which no edge leads down. An edge between two nodes of one group keeps the stage, an edge
    out of a group raises it: so two nodes of one stage with as many rows can always be carried out together.
    """
    n = len(draft.ops)
    if not any(_plain(shape) and math.prod(shape) >= SMALLEST for shape in draft.shapes):
        return [([i], False) for i in range(n)]
    stage, rows, ended = [0] * n, [0] * n, bytearray(n)
    groups: dict[tuple[int, int], list[int]] = {}
    for i in range(n):
        count, across = _rows(draft, i)
        level = 0
        for k, v in enumerate(draft.inputs[i]):
            if v != LITERAL:
                inside = count and rows[v] == count and not ended[v] and _by_row(draft, i, k, count)
                level = max(level, stage[v] + (1 if rows[v] and not inside else 0))
        stage[i], rows[i], ended[i] = level, count, across
    _delay(draft, stage, rows, ended)
    for i in range(n):
        if rows[i]:
            groups.setdefault((rows[i], stage[i]), []).append(i)
    unit = list(range(n))
    members: dict[int, list[int]] = {}
    for found in groups.values():
        largest = max(math.prod(draft.shapes[i]) for i in found)
        alone = len(found) == 1 and (draft.ops[found[0]].kind != "elementwise" or largest < WORTH)
        if largest >= SMALLEST and not alone and any(draft.ops[i].kind == "elementwise" for i in found):
            for i in found:
                unit[i] = found[0]
            members[found[0]] = found
    return _ordered(draft, unit, members)


def _delay(draft: Draft, stage: list[int], rows: list[int], ended: bytearray) -> None:
    """Let a node wait for the stage of its first reader where what it reads is kept until then anyway.

    The slope 1 − t² of t = tanh(x) is computed in the sweep, where it is read, rather than kept from the forward run.
    """
    outputs = set(draft.outputs)
    until = list(stage)  # the last stage in which the memory of a node is read
    for i in range(len(stage) - 1, -1, -1):
        op, inputs = draft.ops[i], draft.inputs[i]
        if i in outputs:
            until[i] = 1 << 60
        readers = draft.consumers[i]
        if rows[i] and not ended[i] and readers and i not in outputs:
            target = min(
                stage[w] - (0 if rows[w] == rows[i] and _by_row(draft, w, k, rows[i]) else 1) for w, k in readers
            )
            others = (
                max((until[w] for w, _ in draft.consumers[v] if w != i), default=-1)
                for v in inputs if v != LITERAL and draft.ops[v] is not INPUT
            )  # fmt: skip
            if target > stage[i] and all(other >= target for other in others):
                stage[i] = until[i] = target
        if op.kind == "linear" and op.view and readers:
            until[i] = max(until[i], *(until[w] for w, _ in readers))


def _plain(shape: Any) -> bool:
    return all(type(k) is int for k in shape)


def _ordered(draft: Draft, unit: list[int], members: dict[int, list[int]]) -> list[tuple[list[int], bool]]:
    """Groups and single nodes, each after what it reads, otherwise in the order of the draft."""
    if not members:
        return [([i], False) for i in range(len(unit))]
    needs: dict[int, set[int]] = {u: set() for u in unit}
    for i, inputs in enumerate(draft.inputs):
        needs[unit[i]].update(unit[v] for v in inputs if v != LITERAL and unit[v] != unit[i])
    users: dict[int, list[int]] = {u: [] for u in needs}
    missing = {u: len(found) for u, found in needs.items()}
    for u, found in needs.items():
        for w in found:
            users[w].append(u)
    ready = [u for u, count in missing.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        u = heapq.heappop(ready)
        order.append((members[u], True) if u in members else ([u], False))
        for w in users[u]:
            missing[w] -= 1
            if not missing[w]:
                heapq.heappush(ready, w)
    return order


def _rows(draft: Draft, i: int) -> tuple[int, bool]:
    """How many rows a node treats one by one, 0 where it does not; and whether it is a reduction along them."""
    op, shape, inputs, params = draft.ops[i], draft.shapes[i], draft.inputs[i], draft.params[i] or {}
    if op is INPUT or op is CONSTANT or op.results or op.user or not inputs:
        return 0, False
    if op.kind == "elementwise" or (op.kind == "flat" and isinstance(op.forward, np.ufunc)):
        if isinstance(op.forward, np.ufunc) and params:
            return 0, False
        return (shape[0], False) if _many(shape) else (0, False)
    if op.name == "gather":
        return (shape[0], False) if _of_whole_rows(draft, i) and _many(shape) else (0, False)
    if inputs[0] == LITERAL:
        return 0, False
    given = draft.shapes[inputs[0]]
    if op.name in REDUCTIONS and params.keys() <= {"axis", "keepdims"} and draft.dtypes[i].itemsize >= 4:
        return (given[0], 0 in axes_of(params.get("axis"), len(given))) if _many(given) else (0, False)
    if op.name == "reshape" and params.get("order", "C") == "C" and _many(shape) and given and shape[0] == given[0]:
        return shape[0], False
    return 0, False


def _of_whole_rows(draft: Draft, i: int) -> bool:
    """Whether a gather reads whole rows of a table: row r of it needs one place, and all of the table."""
    places = draft.inputs[i][1]
    return bool(
        (draft.params[i] or {})["index"] == ("place",) and places != LITERAL and len(draft.shapes[places]) == 1
        and np.can_cast(draft.dtypes[places], np.intp)
    )  # fmt: skip


def _many(shape: Any) -> bool:
    """Whether there are rows enough, and short enough, to be cut between them."""
    return bool(shape) and type(shape[0]) is int and shape[0] >= 4 and math.prod(shape[1:]) <= 1 << 16


def axes_of(axis: Any, n: int) -> tuple[int, ...]:
    """The axes of a reduction of an array with n axes, in order."""
    if axis is None:
        return tuple(range(n))
    return tuple(sorted(int(k) % n for k in (axis if isinstance(axis, tuple) else (axis,))))


def _by_row(draft: Draft, i: int, k: int, count: int) -> bool:
    """Whether row r of node i needs no more of its argument k than row r."""
    given, shape = draft.shapes[draft.inputs[i][k]], draft.shapes[i]
    if draft.ops[i].name == "gather":
        return k == 1
    if draft.ops[i].kind not in POINTWISE:
        return True
    return len(given) == len(shape) and given[0] == count


def is_flat(draft: Draft, found: list[int]) -> bool:
    """Whether a group may be cut anywhere: all its arrays have one shape, or are single numbers."""
    shape = draft.shapes[next(i for i in found if draft.ops[i].kind in POINTWISE)]
    for i in found:
        op = draft.ops[i]
        if op.name in REDUCTIONS:
            if len(axes_of((draft.params[i] or {}).get("axis"), len(shape))) < len(shape):
                return False
        elif op.name in ("reshape", "gather") or draft.shapes[i] != shape:
            return False
        for v, x in zip(draft.inputs[i], draft.literals[i], strict=True):
            if (draft.shapes[v] if v != LITERAL else np.shape(x)) not in (shape, ()):
                return False
    return True


# -- the text of a group -----------------------------------------------------------------------------------------------


class Tile:
    """One group as a function of one tile."""

    def __init__(self, program: Any, found: list[int], number: int) -> None:
        self.program, self.draft = program, program.draft
        self.found, self.members = found, set(found)
        orders = {program.orders[i] for i in found if self.draft.shapes[i]}
        self.order = orders.pop() if len(orders) == 1 else None  # of all its arrays, where they are looked at as rows
        self.flat = not orders and is_flat(self.draft, found) and all(map(self._lies_flat, found))
        if not self.flat:  # rows are cut along the first axis
            for i in found:
                if program.orders[i] is not None and program.orders[i][0] != 0:
                    program.orders[i] = None
        first = next(i for i in found if self.draft.ops[i].kind in POINTWISE)
        self.rows = math.prod(self.draft.shapes[first]) if self.flat else self.draft.shapes[first][0]
        shapes = [self.draft.shapes[i] for i in found if self.draft.ops[i].kind in POINTWISE]
        self.row = 1 if self.flat else max(math.prod(shape[1:]) for shape in shapes)
        self.step = max(1, TILE // self.row)
        self.work = self.rows * self.row * len(found)
        self.name = f"tile{number}"
        self.lines: list[tuple[str, int]] = []  # the text, the node
        self.given: dict[tuple[str, bool], str] = {}  # expression outside, whether it is cut: name inside
        self.cut: list[str] = []  # the names inside that are cut into rows
        self.scratch: list[tuple[tuple[int, ...], Any, tuple[int, ...] | None]] = []
        self.free: dict[Any, list[int]] = {}
        self.at: dict[int, str] = {}
        self.slot: dict[int, int] = {}
        self.root = {i: i for i in found}
        self.after: list[tuple[int, str]] = []  # reductions along the rows, to be finished
        last: dict[int, int] = {}
        for i in found:
            if self.draft.ops[i].name == "reshape" and self.draft.inputs[i][0] in self.members:
                self.root[i] = self.root[self.draft.inputs[i][0]]
            for v in self.draft.inputs[i]:
                if v in self.members:
                    last[self.root[v]] = i
        self.dying: dict[int, list[int]] = {}
        for v, i in last.items():
            self.dying.setdefault(i, []).append(v)
        for i in found:
            self._emit(i)

    def _lies_flat(self, i: int) -> bool:
        """Whether what node i reads from outside may be looked at as one row, without a copy; arguments mostly may."""
        return all(
            v == LITERAL or v in self.members or not self.draft.shapes[v] or self.draft.ops[v] is INPUT
            or self.program.lies_in_order(v, self.order)
            for v in self.draft.inputs[i]
        )  # fmt: skip

    def outside(self, i: int) -> bool:
        """Whether anything outside of the group reads node i."""
        return i in self.program.results or any(w not in self.members for w, _ in self.draft.consumers[i])

    def _name(self, expression: str, cut: bool) -> str:
        name = self.given.get((expression, cut))
        if name is None:  # a vector beside a square may be read by row and whole
            name = self.given[expression, cut] = f"a{len(self.given)}"
            if cut:
                self.cut.append(name)
        return name

    def _as_row(self, array: str) -> str:
        """The text for an array of a flat group as one row, in the order in which it lies."""
        return f"{array}.reshape(-1)" if self.order is None else f"{array}.transpose{self.order}.reshape(-1)"

    def _argument(self, i: int, k: int) -> str:
        v = self.draft.inputs[i][k]
        op, x = self.draft.ops[i], self.draft.literals[i][k]
        if v == LITERAL:
            value = self.program.typed(op.forward, i, k) if isinstance(op.forward, np.ufunc) else x
            text = self.program.constant(value)
            if not np.ndim(value):
                return str(text)
        else:
            text = self.program.name[v]
        if v in self.members:
            return self.at[v]
        given = self.draft.shapes[v] if v != LITERAL else np.shape(x)
        if self.flat:
            return self._name(self._as_row(text), True) if given else self._name(text, False)
        pointwise = op.kind in POINTWISE
        rows = bool(given) and given[0] == self.rows and (not pointwise or len(given) == len(self.draft.shapes[i]))
        if op.name == "gather":
            if k == 0:
                return self._name(text, False)  # the whole table
            text = f"{self.program.function(within, 'within')}({text}, {self.draft.shapes[self.draft.inputs[i][0]][0]})"
        return self._name(text, rows)

    def _emit(self, i: int) -> None:
        draft, op, params = self.draft, self.draft.ops[i], self.draft.params[i] or {}
        args = [self._argument(i, k) for k in range(len(draft.inputs[i]))]
        if op.name in REDUCTIONS:
            self._reduce(i, op, args[0], params)
        elif op.name == "reshape":
            shaped = self.at[i] = f"{args[0]}.reshape((stop - start, *{draft.shapes[i][1:]}))"
            if self.outside(i):
                self.lines.append((f"{self._target(i)}[...] = {shaped}", i))
        elif isinstance(op.forward, np.ufunc):
            self._bury(i)  # element by element: the result may lie where an argument lay
            function = self.program.function(op.forward, op.forward.__name__)
            target = self._target(i)
            self.lines.append((f"{function}({', '.join(args)}, {into(op.forward)}{target})", i))
            return
        elif op.name == "gather":
            mode = "raise" if draft.inputs[i][1] in self.members else "wrap"  # which is faster: `within` has looked
            self.lines.append((f'{args[0]}.take({args[1]}, 0, {self._target(i)}, "{mode}")', i))
        elif op.name == "where":
            target = self._target(i)
            self.lines.append((f"copyto({target}, {args[2]})", i))  # not where an argument lay: see _bury
            self.lines.append((f"copyto({target}, {args[1]}, where={args[0]})", i))
        else:
            function = self.program.function(op.forward, op.name)
            settings = [f"{key}={self.program.constant(value)}" for key, value in params.items()]
            call = f"{function}({', '.join(args + settings)})"
            if self.outside(i) or op.view:  # a view would change when the memory of the argument is used again
                self.lines.append((f"{self._target(i)}[...] = {call}", i))
            else:
                self.at[i] = f"r{i}"
                self.lines.append((f"r{i} = {call}", i))
        self._bury(i)

    def _target(self, i: int) -> str:
        """Where the rows of node i go: into its array where it is read outside, else into a scratch array."""
        if self.outside(i):
            array = self.program.memory_for(i)
            self.at[i] = self._name(self._as_row(array) if self.flat else array, True)
            return self.at[i]
        order = None if self.flat else self.program.orders[i]
        key = (() if self.flat else self.draft.shapes[i][1:], self.draft.dtypes[i], order)
        free = self.free.get(key)
        if free:
            number = free.pop()
        else:
            number = len(self.scratch)
            self.scratch.append(key)
        self.slot[i] = number
        self.at[i] = f"s{number}"
        return self.at[i]

    def _bury(self, i: int) -> None:
        for v in self.dying.get(i, ()):
            number = self.slot.pop(v, None)
            if number is not None:
                self.free.setdefault(self.scratch[number], []).append(number)

    def _reduce(self, i: int, op: Any, x: str, params: dict[str, Any]) -> None:
        ufunc = REDUCTIONS[op.name]
        reduce = self.program.function(ufunc.reduce, f"{ufunc.__name__}_reduce")
        given = self.draft.shapes[self.draft.inputs[i][0]]
        axes = axes_of(params.get("axis"), len(given))
        if 0 not in axes:
            keep = ", True" if params.get("keepdims") else ""
            self.lines.append((f"{reduce}({x}, {axes}, None, {self._target(i)}{keep})", i))
            return
        rest = () if self.flat else tuple(n for k, n in enumerate(given) if k not in axes)
        count = -(-self.rows // self.step)
        part = f"p{len(self.after)}"
        self.given[f"empty({(count, *rest)}, {self.program.constant(self.draft.dtypes[i])}) # {part}", False] = part
        self.lines.append((f"{part}[number] = {reduce}({x}, {0 if self.flat else axes})", i))
        self.after.append((i, part))

    def text(self) -> list[tuple[str, Any]]:
        """The function, as Python: each line with the user's own line that it comes from."""
        scratch = [f"s{k}" for k in range(len(self.scratch))]
        heads = ["number", "start", "stop", *self.given.values(), *scratch]
        text: list[tuple[str, Any]] = [(f"def {self.name}({', '.join(heads)}):", None)]
        text += [(f"    {name} = {name}[start:stop]", None) for name in self.cut]
        hushed = False
        for line, i in self.lines:
            quiet = self.draft.quiet[i]
            if quiet and not hushed:
                text.append(('    with errstate(divide="ignore", invalid="ignore"):', None))
            hushed = quiet
            text.append((("        " if hushed else "    ") + line, self.draft.lines[i]))
        return [*text, ("", None)]
