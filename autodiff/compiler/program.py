"""From draft to program: where each value lies, and the Python text that computes it.

The program is straight-line Python that calls NumPy. What lives only inside it lies in an *arena*: blocks of memory
that are laid out once and used again from run to run, each block by one value after another as they die. Views of
arena blocks (transposes, slices, reshapes) are made with the arena, so they cost nothing in a run. Results are arrays
of their own, which no later run touches; arguments and constants are only read.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
import math
import re
import weakref
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any

import numpy as np

from ..faults import settle
from ..graph import LITERAL
from ..op import CONSTANT, INPUT, ITEM
from ..rules import add_at, gives_number, is_basic
from ..sweep import GUARD, RULE
from ..threads import threads
from .arena import Blocks, Memory, Part, arrays, inverse, laid_out, own, own_unless_new
from .draft import ARITHMETIC, Draft, key_of, nbytes, weak_nodes
from .facts import uniform
from .loops import Loop, rolled, written
from .texts import RESHAPES, VIEWS, WRITERS, index_text, into, is_view, view
from .tiles import REDUCTIONS, Tile, run_tiles, units

_PART = re.compile(r"\bb(\d+)\b")
_serial = itertools.count(1)


class Program:
    """A draft as Python text, compiled, with what a run of it needs."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.blocks = Blocks()
        self.parts: list[Part] = []
        self._part_numbers: dict[Any, int] = {}
        self.constants: dict[str, Any] = {
            "errstate": np.errstate, "copyto": np.copyto, "empty": np.empty, "add_at": add_at, "run_tiles": run_tiles,
            "own": own, "own_unless_new": own_unless_new,
        }  # fmt: skip
        self._keys: dict[Any, str] = {}
        self._functions: dict[Any, str] = {}
        self.lines: list[tuple[str, bool, Any]] = []  # text, quiet, the user's line
        n = len(draft.ops)
        self.name: list[str] = [""] * n
        self.root = list(range(n))  # the node that owns the memory that a node looks at
        self.part: list[int] = [-1] * n  # its number in the arena, -1 where it lies elsewhere
        self.weak = weak_nodes(draft)
        self.orders = [_order(draft, i) for i in range(n)]  # in which the axes lie in memory, None for C order
        self.results = set(draft.outputs)
        self.units = units(draft)
        self.at = [0] * n  # the unit that a node stands in
        for number, (unit, _) in enumerate(self.units):
            for i in unit:
                self.at[i] = number
        self.read = list(self.at)  # for each node the last unit whose text names it
        self.last = self._last_uses()  # for each node that owns memory the last unit that reads it
        self.fresh = bytearray(n)
        self.owned: set[int] = set()  # results whose memory was made for them
        self.behind: dict[int, set[int]] = {}  # whose memory a result may be a view of
        self.heads = [f"x{k}" for k in range(len(draft.arguments))]
        for i in draft.outputs:
            self.fresh[self.root[i]] = 1
        self.slots: list[str] = []
        self.slot_count = 0
        self.pools: list[list[Any]] = []
        self._numbers = {v: k for k, v in enumerate(draft.arguments)}
        self.tiles: list[Tile] = []
        self._dying: list[list[int]] = [[] for _ in range(len(self.units) + 1)]
        for v, number in enumerate(self.last):
            self._dying[number if self.root[v] == v else self.read[v]].append(v)
        for number, (unit, grouped) in enumerate(self.units):
            if grouped:
                self._group(unit)
            else:
                self._emit(unit[0])
            self._bury(number, unit[-1])
        self._finish()

    # -- liveness --------------------------------------------------------------------------------------------------

    def _last_uses(self) -> list[int]:
        draft = self.draft
        last = list(self.at)
        for unit, grouped in self.units:
            for i in unit:
                op, inputs = draft.ops[i], draft.inputs[i]
                for v in inputs:
                    if v != LITERAL:
                        last[self.root[v]] = max(last[self.root[v]], self.at[i])
                        self.read[v] = max(self.read[v], self.at[i])
                if (
                    op.name in VIEWS and inputs and inputs[0] != LITERAL and not grouped
                    and is_view(op.name, draft.params[i])
                    and not (op.name in RESHAPES and not self.lies_in_order(inputs[0]))
                    and not _is_number(draft, i)  # which is read anew in each run
                ):  # fmt: skip
                    self.root[i] = self.root[inputs[0]]
        for i in draft.outputs:
            last[self.root[i]] = self.read[i] = len(self.units)
        return last

    def _bury(self, number: int, i: int) -> None:
        """What nothing reads after this unit gives its memory back."""
        for v in self._dying[number]:
            if self.root[v] != v:  # a view: the name alone
                if self.part[v] < 0 and self.name[v][:1] == "v":
                    self.slots.append(self.name[v])
            elif self.part[v] >= 0:
                if self.parts[self.part[v]].block >= 0:
                    self.blocks.give(self.parts[self.part[v]].block)
            elif self.name[v][:1] == "v":
                self.slots.append(self.name[v])
                if nbytes(self.draft, v) >= 1 << 16:
                    self.line(f"{self.name[v]} = None", i)

    def _group(self, unit: list[int]) -> None:
        """A group: its function, the call of it, and what is left to do of its reductions."""
        tile = Tile(self, unit, len(self.tiles))
        number = len(self.tiles)
        self.tiles.append(tile)
        partial = {name: expression for (expression, _), name in tile.given.items()}
        for i, name in tile.after:
            self.line(f"{name}_{number} = {partial[name].partition(' #')[0]}", i)
        given = [
            f"{name}_{number}" if any(name == part for _, part in tile.after) else expression
            for (expression, _), name in tile.given.items()
        ]
        call = f"run_tiles({tile.name}, {tile.rows}, {tile.step}, {tile.work}, w{number}, ({', '.join(given)},))"
        self.line(call, unit[-1], quiet=False)  # its lines say so themselves
        for i, name in tile.after:
            params = self.draft.params[i] or {}
            ufunc = REDUCTIONS[self.draft.ops[i].name]
            reduce = self.function(ufunc.reduce, f"{ufunc.__name__}_reduce")
            keep = f".reshape({self.draft.shapes[i]})" if params.get("keepdims") and self.draft.shapes[i] else ""
            self.name[i] = self._variable()
            self.owned.add(i)
            self.line(f"{self.name[i]} = {reduce}({name}_{number}, 0){keep}", i)

    # -- names -----------------------------------------------------------------------------------------------------

    def line(self, text: str, i: int, quiet: bool | None = None) -> None:
        """Append one line of text that node i is the reason of, and as quiet as it is unless that is said."""
        self.lines.append((text, self.draft.quiet[i] if quiet is None else quiet, self.draft.lines[i]))

    def constant(self, value: Any) -> str:
        """The name of a constant; equal ones share it."""
        if value is None or value is True or value is False or type(value) is int:
            return repr(value)
        key = key_of(value)
        name = self._keys.get(key)
        if name is None:
            name = self._keys[key] = f"c{len(self._keys)}"
            self.constants[name] = value
        return name

    def function(self, f: Any, name: str) -> str:
        """The name of a function that the program calls."""
        found = self._functions.get(f)
        if found is None:
            plain = name.isascii() and name.isidentifier()  # Python reads other letters as those that they look like
            found = name if plain and not keyword.iskeyword(name) else "f"
            if name[-1:].isdigit():  # like the name of a variable
                found += "_"
            while found in self.constants:
                found += "_"
            self._functions[f] = found
            self.constants[found] = f
        return found

    def _variable(self) -> str:
        if self.slots:
            return self.slots.pop()
        self.slot_count += 1
        return f"v{self.slot_count}"

    def _buffer(self, i: int, reuse: int = LITERAL) -> str:
        """A part of the arena for node i; the block of node `reuse`, which dies here, where one is given."""
        shape, dtype = self.draft.shapes[i], self.draft.dtypes[i]
        if reuse != LITERAL:
            block = self.parts[self.part[reuse]].block
            self._dying[self.at[i]].remove(reuse)
        else:
            block = self.blocks.take(math.prod(shape) * dtype.itemsize)
        return self.part_of(i, Part(block, shape, dtype, self.orders[i]))

    def part_of(self, i: int, part: Part) -> str:
        """Let node i lie in this part of the arena; its name."""
        key = part[:-1]  # all but the function, which the text stands for
        number = self._part_numbers.get(key)
        if number is None:
            number = self._part_numbers[key] = len(self.parts)
            self.parts.append(part)
        self.part[i] = number
        return f"b{number}"

    # -- one node --------------------------------------------------------------------------------------------------

    def _emit(self, i: int) -> None:
        draft = self.draft
        op, params = draft.ops[i], draft.params[i] or {}
        if op is INPUT:
            self.name[i] = f"x{self._numbers[i]}"
        elif op is CONSTANT:
            self.name[i] = self.constant(draft.literals[i][0])
        elif self.root[i] != i:
            self._view(i, op.name, params)
        elif isinstance(op.forward, np.ufunc) and not params and not op.results:
            self._ufunc(i, op)
        elif _is_number(draft, i) and is_basic(params["index"]):
            text = f"{self.argument(i, 0)}[{index_text(params['index'], self)}]"
            self.name[i] = self._variable()
            self.line(f"{self.name[i]} = {text}", i)
        elif op.name in REDUCTIONS and params.keys() <= {"axis", "keepdims"}:
            self._reduce(i, op, params)
        elif (
            op.name in WRITERS and draft.shapes[i] and draft.inputs[i][0] != LITERAL and params.get("order", "C") == "C"
        ):  # fmt: skip
            WRITERS[op.name](self, i, params)
        else:
            self._call(i, op, params)

    def argument(self, i: int, k: int) -> str:
        """The text of argument k of node i."""
        v = self.draft.inputs[i][k]
        return self.name[v] if v != LITERAL else self.constant(self.draft.literals[i][k])

    def arguments(self, i: int) -> list[str]:
        """The texts of all arguments of node i."""
        return [self.argument(i, k) for k in range(len(self.draft.inputs[i]))]

    def _view(self, i: int, name: str, params: dict[str, Any]) -> None:
        v = self.draft.inputs[i][0]
        text, function = view(name, params, self.draft.shapes[i], self)
        if self.part[v] < 0:
            self.name[i] = variable = self._variable()
            self.line(f"{variable} = {text.format(self.name[v])}", i)
            return
        self.name[i] = self.part_of(i, Part(-1, self.draft.shapes[i], None, None, self.part[v], text, function))

    def lies_in_order(self, v: int, order: tuple[int, ...] | None = None) -> bool:
        """Whether a node's elements lie in C order, or in this one, without gaps: it may be looked at as one row."""
        while self.root[v] != v:
            if self.draft.ops[v].name not in RESHAPES or order is not None:
                return False
            v = self.draft.inputs[v][0]
        return self.draft.ops[v] is not INPUT and self.orders[v] == order

    def memory_for(self, i: int, reuse: int = LITERAL) -> str:
        """The name of memory for node i that is written into: an array of its own for results, else a buffer."""
        if not self.fresh[i]:
            self.name[i] = self._buffer(i, reuse)
        else:
            self.name[i] = self._variable()
            self.owned.add(i)
            shape, dtype, order = self.draft.shapes[i], self.constant(self.draft.dtypes[i]), self.orders[i]
            if order is None:
                self.line(f"{self.name[i]} = empty({shape}, {dtype})", i)
            else:
                turned = f"empty({tuple(shape[k] for k in order)}, {dtype}).transpose{inverse(order)}"
                self.line(f"{self.name[i]} = {turned}", i)
        return self.name[i]

    def _ufunc(self, i: int, op: Any) -> None:
        draft = self.draft
        shape, inputs = draft.shapes[i], draft.inputs[i]
        if not shape:
            args = self.arguments(i)
            self.name[i] = variable = self._variable()
            sign = ARITHMETIC.get(op.name)
            if sign is not None and all(v == LITERAL or draft.shapes[v] == () for v in inputs):
                text = f"{sign}({args[0]})" if len(args) == 1 else f"{args[0]} {sign} {args[1]}"
            else:
                text = f"{self.function(op.forward, op.forward.__name__)}({', '.join(args)})"
            self.line(f"{variable} = {text}", i)
            return
        args = [
            self.name[v] if v != LITERAL else self.constant(self.typed(op.forward, i, k))
            for k, v in enumerate(inputs)
        ]
        function = self.function(op.forward, op.forward.__name__)
        whole = any(v != LITERAL and draft.shapes[v] == shape for v in inputs)
        if self.fresh[i] and (whole or op.forward.signature is not None):
            self.name[i] = variable = self._variable()
            self.owned.add(i)
            self.line(f"{variable} = {function}({', '.join(args)})", i)
            return
        reuse = self.reusable(i) if op.forward.signature is None else LITERAL
        target = self.memory_for(i, reuse)
        self.line(f"{function}({', '.join(args)}, {into(op.forward)}{target})", i)

    def reusable(self, i: int) -> int:
        """An argument that dies at node i and whose block can take its result, element by element."""
        draft = self.draft
        if self.fresh[i]:
            return LITERAL
        for v in draft.inputs[i]:
            if (
                v != LITERAL and self.root[v] == v and self.part[v] >= 0 and self.last[v] == self.at[i]
                and draft.shapes[v] == draft.shapes[i] and draft.dtypes[v] == draft.dtypes[i]
                and self.orders[v] == self.orders[i]
                and all(w in (v, LITERAL) or self.root[w] != v for w in draft.inputs[i])
            ):  # fmt: skip
                return v
        return LITERAL

    def typed(self, ufunc: np.ufunc, i: int, k: int) -> Any:
        """A literal argument of a ufunc as an array without axes, of the dtype in which the ufunc computes.

        NumPy takes twice as long over a number of Python's, which it has to convert in every call.
        """
        x = self.draft.literals[i][k]
        number = uniform(x) if ufunc.signature is None else None
        if number is None:
            return x
        kinds: list[Any] = []
        for v, y in zip(self.draft.inputs[i], self.draft.literals[i], strict=True):
            weak = v == LITERAL and type(y) in (int, float, complex)
            kinds.append(self.draft.dtypes[v] if v != LITERAL else type(y) if weak else np.asarray(y).dtype)
        if any(v != LITERAL and self.weak[v] for v in self.draft.inputs[i]):
            return number
        dtype = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))[k]
        return np.array(number, dtype)

    def _reduce(self, i: int, op: Any, params: dict[str, Any]) -> None:
        ufunc = REDUCTIONS[op.name]
        reduce = self.function(ufunc.reduce, f"{ufunc.__name__}_reduce")
        x, axis = self.argument(i, 0), params.get("axis")
        axis_text = repr(axis) if not isinstance(axis, np.integer) else str(int(axis))
        keep = bool(params.get("keepdims", False))
        if self.fresh[i] or not self.draft.shapes[i]:
            self.name[i] = variable = self._variable()
            self.owned.add(i)
            rest = ", None, None, True" if keep else ""
            self.line(f"{variable} = {reduce}({x}, {axis_text}{rest})", i)
        else:
            target = self.memory_for(i)
            self.line(f"{reduce}({x}, {axis_text}, None, {target}{', True' if keep else ''})", i)

    def _call(self, i: int, op: Any, params: dict[str, Any]) -> None:
        args = self.arguments(i)
        if op.view or op in (ITEM, RULE, GUARD):  # the result may be a view of an argument, which must live as long
            found: set[int] = set()
            for v in self.draft.inputs[i]:
                if v != LITERAL:
                    found |= self._memory_of(v)
            self.behind[i] = found
            for root in found:
                self._outlive(root, i)
        self.name[i] = variable = self._variable()
        if op is ITEM:
            self.line(f"{variable} = {args[0]}[{params['index']}]", i)
            return
        if op.user:
            function = self.function(op, f"run_{op.name}")
            self.constants[function] = op.run
            given = ", ".join(args) + ("," if args else "")
            self.line(f"{variable} = {function}(({given}), {self.constant(params)})", i)
            return
        function = self.function(op.forward, op.name)
        settings = [f"{key}={self.constant(value)}" for key, value in params.items()]
        self.line(f"{variable} = {function}({', '.join(args + settings)})", i)

    def _outlive(self, root: int, i: int) -> None:
        """Let the memory of a node live until node i dies."""
        until = self.last[i]
        if until > self.last[root]:
            self._dying[self.last[root]].remove(root)
            self._dying[until].append(root)
            self.last[root] = until

    # -- the whole -------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        draft = self.draft
        items = rolled(self.lines)
        self.loops = [item for item in items if isinstance(item, Loop)]
        plain = [line for item in items for line in (item.lines if isinstance(item, Loop) else (item,))]
        used = {int(number) for line, _, _ in plain for number in _PART.findall(line)}
        self.needed = sorted(used | {self.part[i] for i in draft.outputs if self.part[i] >= 0})
        heads = self.heads + [f"b{k}" for k in self.needed]
        heads += [f"w{k}" for k in range(len(self.tiles))]
        heads += [f"rounds{k}" for k, loop in enumerate(self.loops) if loop.names]
        before = [line for tile in self.tiles for line in tile.text()]
        text = [*(line for line, _ in before), f"def program({', '.join(heads)}):"]
        places: list[Any] = [*(place for _, place in before), None]
        for line, place in written(items):
            text.append(line)
            places.append(place)
        text.append(f"    return [{', '.join(self._results())}]")
        self.source = "\n".join(text) + "\n"
        self.places = places
        self.filename = f"<autodiff jit {draft.title or 'program'} {next(_serial)}>"
        namespace = dict(self.constants)
        exec(compile(self.source, self.filename, "exec"), namespace)
        linecache.cache[self.filename] = (len(self.source), None, self.source.splitlines(True), self.filename)
        self.run = namespace.pop("program")  # which holds its namespace, and would be held by it
        weakref.finalize(self.run, linecache.cache.pop, self.filename, None).atexit = False

    def _results(self) -> list[str]:
        """The results, each in memory that nothing else has: a copy where it is, or may be, somebody else's."""
        draft, taken, texts = self.draft, set(), []
        for i in draft.outputs:
            root = self.root[i]
            op, text = draft.ops[root], self.name[i]
            weak = op is INPUT and draft.params[root] and root == i
            if not weak and (op in (INPUT, CONSTANT) or root in taken):
                text = f"own({text})"
            elif (draft.shapes[i] or root in self.behind) and root not in self.owned:
                behind = self.behind.get(root, set())
                others = [self.name[j] for j in draft.outputs if j != i and self._memory_of(j) & behind]
                text = f"own_unless_new({', '.join([text, *self.heads, *others])})"
            taken.add(root)
            texts.append(text)
        return texts

    def _memory_of(self, i: int) -> set[int]:
        """The nodes whose memory a node may look at."""
        return {self.root[i]} | self.behind.get(self.root[i], set())

    def arena(self) -> list[Any]:
        """Memory for one run at a time: what the program takes after its arguments."""
        made = arrays(self.blocks.sizes, self.parts)
        scratch = [
            [
                tuple(
                    laid_out(np.empty(tile.step * math.prod(row), dtype), (tile.step, *row), order)
                    for row, dtype, order in tile.scratch
                )
                for _ in range(threads())
            ]
            for tile in self.tiles
        ]
        rounds = [
            list(zip(*([self._named(name, made) for name in names] for names in loop.names), strict=True))
            for loop in self.loops if loop.names
        ]  # fmt: skip
        return [made[k] for k in self.needed] + scratch + rounds

    def _named(self, name: str, made: list[Any]) -> Any:
        """What a variable of a loop stands for in one round: a part of the arena, a constant, a position."""
        if name.isdigit():
            return int(name)
        return made[int(name[1:])] if name[0] == "b" else self.constants[name]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Run once; several threads may, each in an arena of its own."""
        around = copy_context()
        try:
            arena = self.pools.pop()
        except IndexError:
            arena = self.arena()
        try:
            return self.run(*arguments, *arena)  # type: ignore[no-any-return]
        except BaseException as error:
            settle(error, around)
            if isinstance(error, Exception):
                self._explain(error)
            raise
        finally:
            self.pools.append(arena)

    def _explain(self, error: Exception) -> None:
        """Say which line of the user's was being carried out."""
        at = None
        frame = error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == self.filename and frame.tb_lineno <= len(self.places):
                at = self.places[frame.tb_lineno - 1] or at
            frame = frame.tb_next
        if at is not None:
            error.add_note(f"in the compiled {self.draft.title}, at what {at[0]}:{at[1]} computes")

    @property
    def memory(self) -> Memory:
        """What one run takes."""
        results = sum(nbytes(self.draft, i) for i in set(self.draft.outputs))
        return Memory(sum(self.blocks.sizes), self.blocks.asked, results, len(self.blocks.sizes), len(self.parts))


def _is_number(draft: Draft, i: int) -> bool:
    """Whether a node is one element of an array, read as a number."""
    return draft.ops[i].name == "getitem" and not draft.shapes[i] and gives_number((draft.params[i] or {})["index"])


def _order(draft: Draft, i: int) -> tuple[int, ...] | None:
    """The order in which the axes of a node lie in memory: as they lay eagerly, where its operation can write so."""
    op = draft.ops[i]
    free = op.name not in WRITERS and getattr(op.forward, "signature", None) is None
    return draft.orders[i] if free else None
