"""From draft to program: where each value lies, and the Python text that computes it.

The program is straight-line Python that calls NumPy. What lives only inside it lies in an *arena*: blocks of memory
that are laid out once and used again from run to run, each block by one value after another as they die. Views of
arena blocks (transposes, slices, reshapes) are made with the arena, so they cost nothing in a run. Results are arrays
of their own, which no later run touches; arguments and constants are only read.
"""

from __future__ import annotations

import bisect
import itertools
import keyword
import linecache
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..graph import LITERAL
from ..op import CONSTANT, INPUT, ITEM
from ..rules import add_at, is_basic, names_once
from ..sweep import GUARD, RULE
from .draft import ARITHMETIC, Draft, nbytes
from .passes import key_of, uniform
from .tiles import REDUCTIONS, Tile, run_tiles, threads, units

VIEWS = frozenset(("reshape", "transpose", "swapaxes", "moveaxis", "broadcast_to", "getitem", "expand_dims", "squeeze",
                   "flip", "diagonal"))  # fmt: skip
"""Operations that NumPy carries out by looking at the same memory in another way, where it can."""

RESHAPES = frozenset(("reshape", "expand_dims", "squeeze"))
"""Those of them that leave the elements in their order."""

_serial = itertools.count(1)


class Memory(NamedTuple):
    """What one run of a program takes, in bytes."""

    arena: int
    without_reuse: int
    results: int
    blocks: int
    arrays: int


def own(x: Any) -> Any:
    """A copy of an array; a number as it is."""
    return np.array(x)[()]


def own_unless_new(x: Any, *arguments: Any) -> Any:
    """A result of a function that may hand out what it was given: a copy unless the array is its own."""
    return x if x.base is None and not any(x is given for given in arguments) else np.array(x)


class Blocks:
    """Blocks of the arena, handed out and taken back as values die."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.free: dict[int, list[int]] = {}
        self.known: list[int] = []  # the sizes that have free blocks now, in order
        self.asked = 0

    def take(self, nbytes: int) -> int:
        """A free block of this size, or one at most twice as large; a new one otherwise."""
        size = max(64, -(-nbytes // 64) * 64)
        self.asked += size
        at = bisect.bisect_left(self.known, size)
        if at < len(self.known) and self.known[at] <= 2 * size:
            free = self.free[self.known[at]]
            block = free.pop()
            if not free:
                del self.known[at]
            return block
        self.sizes.append(size)
        return len(self.sizes) - 1

    def give(self, block: int) -> None:
        """Take a block back."""
        size = self.sizes[block]
        free = self.free.setdefault(size, [])
        if not free:
            bisect.insort(self.known, size)
        free.append(block)


class Part(NamedTuple):
    """One array of the arena: a block of its own shape, or a view of another part."""

    block: int
    shape: tuple[int, ...]
    dtype: Any
    of: int = -1
    text: str = ""
    view: Callable[[Any], Any] | None = None


class Program:
    """A draft as Python text, compiled, with what a run of it needs."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.blocks = Blocks()
        self.parts: list[Part] = []
        self._part_numbers: dict[Any, int] = {}
        self.constants: dict[str, Any] = {"errstate": np.errstate, "copyto": np.copyto, "empty": np.empty,
                                          "own": own, "own_unless_new": own_unless_new, "add_at": add_at, "run_tiles": run_tiles}  # fmt: skip
        self._keys: dict[Any, str] = {}
        self._functions: dict[Any, str] = {}
        self.lines: list[tuple[str, bool, Any]] = []  # text, quiet, the user's line
        n = len(draft.ops)
        self.name: list[str] = [""] * n
        self.root = list(range(n))  # the node that owns the memory that a node looks at
        self.part: list[int] = [-1] * n  # its number in the arena, -1 where it lies elsewhere
        self.results = set(draft.outputs)
        self.units = units(draft)
        self.at = [0] * n  # the unit that a node stands in
        for number, (unit, _) in enumerate(self.units):
            for i in unit:
                self.at[i] = number
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
            if self.root[v] == v:
                self._dying[number].append(v)
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
                if (
                    op.name in VIEWS and inputs and inputs[0] != LITERAL and not grouped
                    and is_view(op.name, draft.params[i])
                    and not (op.name in RESHAPES and not self._in_order(inputs[0]))
                    and not (op.name == "getitem" and not draft.shapes[i])  # a number, read anew in each run
                ):  # fmt: skip
                    self.root[i] = self.root[inputs[0]]
        for i in draft.outputs:
            last[self.root[i]] = len(self.units)
        return last

    def _bury(self, number: int, i: int) -> None:
        """What nothing reads after this unit gives its memory back."""
        for v in self._dying[number]:
            if self.part[v] >= 0:
                if self.parts[self.part[v]].block >= 0:
                    self.blocks.give(self.parts[self.part[v]].block)
            elif self.name[v][:1] == "v":
                self.slots.append(self.name[v])
                if nbytes(self.draft, v) >= 1 << 16:
                    self._line(f"{self.name[v]} = None", i)

    def _group(self, unit: list[int]) -> None:
        """A group: its function, the call of it, and what is left to do of its reductions."""
        tile = Tile(self, unit, len(self.tiles))
        number = len(self.tiles)
        self.tiles.append(tile)
        partial = {name: expression for expression, name in tile.given.items()}
        for i, name in tile.after:
            self._line(f"{name}_{number} = {partial[name].partition(' #')[0]}", i)
        given = [
            f"{name}_{number}" if any(name == part for _, part in tile.after) else expression
            for expression, name in tile.given.items()
        ]
        self._line(
            f"run_tiles({tile.name}, {tile.rows}, {tile.step}, {tile.work}, w{number}, ({', '.join(given)},))", unit[-1]
        )
        for i, name in tile.after:
            params = self.draft.params[i] or {}
            ufunc = REDUCTIONS[self.draft.ops[i].name]
            reduce = self.function(ufunc.reduce, f"{ufunc.__name__}_reduce")
            keep = f".reshape({self.draft.shapes[i]})" if params.get("keepdims") and self.draft.shapes[i] else ""
            self.name[i] = self._variable(i)
            self.owned.add(i)
            self._line(f"{self.name[i]} = {reduce}({name}_{number}, 0){keep}", i)

    def memory_for(self, i: int) -> str:
        """The name of memory for node i that is written into: an array of its own for results, else a buffer."""
        return self._fresh_or_buffer(i)

    # -- names -----------------------------------------------------------------------------------------------------

    def _line(self, text: str, i: int) -> None:
        self.lines.append((text, self.draft.quiet[i], self.draft.lines[i]))

    def constant(self, value: Any) -> str:
        """The name of a constant; equal ones share it."""
        if value is None or value is True or value is False or type(value) is int:
            return repr(value)
        key = key_of(value)
        name = self._keys.get(key)
        if name is None:
            name = self._keys[key] = f"k{len(self._keys)}"
            self.constants[name] = value
        return name

    def function(self, f: Any, name: str) -> str:
        """The name of a function that the program calls."""
        found = self._functions.get(f)
        if found is None:
            found = name if name.isidentifier() and not keyword.iskeyword(name) else "f"
            if name[-1:].isdigit():  # like the name of a variable
                found += "_"
            while found in self.constants:
                found += "_"
            self._functions[f] = found
            self.constants[found] = f
        return found

    def _variable(self, i: int) -> str:
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
        return self._part(i, Part(block, shape, dtype))

    def _part(self, i: int, part: Part) -> str:
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
        elif op.name == "getitem" and not draft.shapes[i] and is_basic(params["index"]):
            text = f"{self.argument(i, 0)}[{_index_text(params['index'], self)}]"
            self.name[i] = self._variable(i)
            self._line(f"{self.name[i]} = {text}", i)
        elif op.name in REDUCTIONS and params.keys() <= {"axis", "keepdims"}:
            self._reduce(i, op, params)
        elif op.name in _WRITERS and draft.shapes[i] and params.get("order", "C") == "C" and draft.inputs[i][0] != LITERAL:
            _WRITERS[op.name](self, i, params)
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
            self.name[i] = variable = self._variable(i)
            self._line(f"{variable} = {text.format(self.name[v])}", i)
            return
        self.name[i] = self._part(i, Part(-1, self.draft.shapes[i], None, self.part[v], text, function))

    def _in_order(self, v: int) -> bool:
        """Whether a node's elements lie in C order, without gaps: it may be reshaped without a copy."""
        while self.root[v] != v:
            if self.draft.ops[v].name not in RESHAPES:
                return False
            v = self.draft.inputs[v][0]
        return self.draft.ops[v] is not INPUT

    def _fresh_or_buffer(self, i: int, reuse: int = LITERAL) -> str:
        """The name of memory for node i that is written into: an array of its own for results, else a buffer."""
        if not self.fresh[i]:
            self.name[i] = self._buffer(i, reuse)
        else:
            self.name[i] = self._variable(i)
            self.owned.add(i)
            shape, dtype = self.draft.shapes[i], self.constant(self.draft.dtypes[i])
            self._line(f"{self.name[i]} = empty({shape}, {dtype})", i)
        return self.name[i]

    def _ufunc(self, i: int, op: Any) -> None:
        draft = self.draft
        shape, inputs = draft.shapes[i], draft.inputs[i]
        if not shape:
            args = self.arguments(i)
            self.name[i] = variable = self._variable(i)
            sign = ARITHMETIC.get(op.name)
            if sign is not None and all(v == LITERAL or draft.shapes[v] == () for v in inputs):
                text = f"-{args[0]}" if len(args) == 1 else f"{args[0]} {sign} {args[1]}"
            else:
                text = f"{self.function(op.forward, op.forward.__name__)}({', '.join(args)})"
            self._line(f"{variable} = {text}", i)
            return
        args = [
            self.name[v] if v != LITERAL else self.constant(self.typed(op.forward, i, k))
            for k, v in enumerate(inputs)
        ]
        function = self.function(op.forward, op.forward.__name__)
        whole = any(v != LITERAL and draft.shapes[v] == shape for v in inputs) or not self.fresh[i]
        if self.fresh[i] and (whole or op.forward.signature is not None):
            self.name[i] = variable = self._variable(i)
            self.owned.add(i)
            self._line(f"{variable} = {function}({', '.join(args)})", i)
            return
        reuse = self._reusable(i) if op.forward.signature is None else LITERAL
        target = self._fresh_or_buffer(i, reuse)
        self._line(f"{function}({', '.join(args)}, {target})", i)

    def _reusable(self, i: int) -> int:
        """An argument that dies at node i and whose block can take its result, element by element."""
        draft = self.draft
        if self.fresh[i]:
            return LITERAL
        for v in draft.inputs[i]:
            if (
                v != LITERAL and self.root[v] == v and self.part[v] >= 0 and self.last[v] == self.at[i]
                and draft.shapes[v] == draft.shapes[i] and draft.dtypes[v] == draft.dtypes[i]
                and all(w == v or w == LITERAL or self.root[w] != v for w in draft.inputs[i])
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
        kinds = [
            self.draft.dtypes[v] if v != LITERAL else type(y) if type(y) in (int, float, complex) else np.asarray(y).dtype
            for v, y in zip(self.draft.inputs[i], self.draft.literals[i], strict=True)
        ]
        if any(self._is_weak(v) for v in self.draft.inputs[i]):
            return number
        dtype = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))[k]
        return np.array(number, dtype)

    def _is_weak(self, v: int) -> bool:
        return v != LITERAL and self.draft.shapes[v] == () and self.draft.ops[v] is INPUT and bool(self.draft.params[v])

    def _reduce(self, i: int, op: Any, params: dict[str, Any]) -> None:
        ufunc = REDUCTIONS[op.name]
        reduce = self.function(ufunc.reduce, f"{ufunc.__name__}_reduce")
        x, axis = self.argument(i, 0), params.get("axis")
        axis_text = repr(axis) if not isinstance(axis, np.integer) else str(int(axis))
        keep = bool(params.get("keepdims", False))
        if self.fresh[i] or not self.draft.shapes[i]:
            self.name[i] = variable = self._variable(i)
            self.owned.add(i)
            rest = ", None, None, True" if keep else ""
            self._line(f"{variable} = {reduce}({x}, {axis_text}{rest})", i)
        else:
            target = self._fresh_or_buffer(i)
            self._line(f"{reduce}({x}, {axis_text}, None, {target}{', True' if keep else ''})", i)

    def _call(self, i: int, op: Any, params: dict[str, Any]) -> None:
        args = self.arguments(i)
        if op.view or op in (ITEM, RULE, GUARD):  # the result may be a view of an argument, which must live as long
            found: set[int] = set()
            for v in self.draft.inputs[i]:
                if v != LITERAL:
                    found |= {self.root[v]} | self.behind.get(self.root[v], set())
            self.behind[i] = found
            for root in found:
                self._outlive(root, i)
        self.name[i] = variable = self._variable(i)
        if op is ITEM:
            self._line(f"{variable} = {args[0]}[{params['index']}]", i)
            return
        if op.user:
            function = self.function(op, f"run_{op.name}")
            self.constants[function] = op.run
            given = ", ".join(args) + ("," if args else "")
            self._line(f"{variable} = {function}(({given}), {self.constant(params)})", i)
            return
        function = self.function(op.forward, op.name)
        settings = [f"{key}={self.constant(value)}" for key, value in params.items()]
        self._line(f"{variable} = {function}({', '.join(args + settings)})", i)

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
        used = {name for line, _, _ in self.lines for name in _names(line)}
        self.needed = [k for k in range(len(self.parts)) if f"b{k}" in used]
        for i in draft.outputs:
            if self.part[i] >= 0 and self.part[i] not in self.needed:
                self.needed.append(self.part[i])
        heads = self.heads + [f"b{k}" for k in self.needed]
        heads += [f"w{k}" for k in range(len(self.tiles))]
        before = [line for tile in self.tiles for line in (*tile.text(), "")]
        text = [*before, f"def program({', '.join(heads)}):"]
        places: list[Any] = [None] * (len(before) + 1)
        quiet = False
        for line, hushed, place in self.lines:
            if hushed and not quiet and not line.endswith("= None"):
                text.append('    with errstate(divide="ignore", invalid="ignore"):')
                places.append(place)
                quiet = True
            elif not hushed:
                quiet = False
            text.append(("        " if quiet else "    ") + line)
            places.append(place)
        text.append(f"    return [{', '.join(self._results())}]")
        self.source = "\n".join(text) + "\n"
        self.places = places
        self.filename = f"<autodiff jit {draft.title or 'program'} {next(_serial)}>"
        namespace = dict(self.constants)
        exec(compile(self.source, self.filename, "exec"), namespace)
        linecache.cache[self.filename] = (len(self.source), None, self.source.splitlines(True), self.filename)
        self.run = namespace["program"]

    def _results(self) -> list[str]:
        """The results, each in memory that nothing else has: a copy where it is, or may be, somebody else's."""
        draft, taken, texts = self.draft, set(), []
        for i in draft.outputs:
            root = self.root[i]
            op, text = draft.ops[root], self.name[i]
            weak = op is INPUT and draft.params[root] and root == i
            if not weak and (op in (INPUT, CONSTANT) or root in taken) and draft.dtypes[i] is not tuple:
                text = f"own({text})"
            elif draft.shapes[i] and root not in self.owned:
                text = f"own_unless_new({text}{''.join(', ' + name for name in self.heads)})"
            taken.add(root)
            texts.append(text)
        return texts

    def arena(self) -> list[Any]:
        """Memory for one run at a time: the arrays that the program takes after its arguments."""
        blocks = [np.empty(size, np.uint8) for size in self.blocks.sizes]
        made: list[Any] = []
        for part in self.parts:
            if part.view is not None:
                made.append(part.view(made[part.of]))
            else:
                count = math.prod(part.shape) * part.dtype.itemsize
                made.append(blocks[part.block][:count].view(part.dtype).reshape(part.shape))
        scratch = [
            [tuple(np.empty((tile.step, *row), dtype) for row, dtype in tile.scratch) for _ in range(threads())]
            for tile in self.tiles
        ]
        return [made[k] for k in self.needed] + scratch

    def __call__(self, arguments: list[Any]) -> list[Any]:
        """Run once; several threads may, each in an arena of its own."""
        try:
            arena = self.pools.pop()
        except IndexError:
            arena = self.arena()
        try:
            return self.run(*arguments, *arena)  # type: ignore[no-any-return]
        finally:
            self.pools.append(arena)

    @property
    def memory(self) -> Memory:
        """What one run takes."""
        results = sum(nbytes(self.draft, i) for i in set(self.draft.outputs))
        return Memory(sum(self.blocks.sizes), self.blocks.asked, results, len(self.blocks.sizes), len(self.parts))


def _names(line: str) -> list[str]:
    found, word = [], ""
    for sign in line + " ":
        if sign.isalnum() or sign == "_":
            word += sign
        else:
            if word[:1] == "b" and word[1:].isdigit():
                found.append(word)
            word = ""
    return found


def is_view(name: str, params: dict[str, Any] | None) -> bool:
    """Whether an operation only looks at its argument's memory in another way."""
    if name == "getitem":
        return is_basic((params or {})["index"])
    return not (name == "reshape" and (params or {}).get("order", "C") != "C")


def view(name: str, params: dict[str, Any], shape: tuple[int, ...], program: Program) -> tuple[str, Callable[[Any], Any]]:
    """A view as text with {} in the place of its argument, and as a function."""
    if name in ("reshape", "expand_dims", "squeeze"):
        return f"{{}}.reshape({shape})", lambda b: b.reshape(shape)
    if name == "transpose":
        axes = params.get("axes")
        if axes is None or tuple(axes) == tuple(range(len(shape)))[::-1]:
            return "{}.T", lambda b: b.T
        return f"{{}}.transpose({tuple(int(k) for k in axes)})", lambda b: b.transpose(axes)
    if name == "swapaxes":
        one, two = int(params["axis1"]), int(params["axis2"])
        return f"{{}}.swapaxes({one}, {two})", lambda b: b.swapaxes(one, two)
    if name == "getitem":
        index = params["index"]
        return f"{{}}[{_index_text(index, program)}]", lambda b: b[index]
    function = {"broadcast_to": np.broadcast_to, "moveaxis": np.moveaxis, "flip": np.flip, "diagonal": np.diagonal}[name]
    settings = ", ".join(f"{key}={program.constant(value)}" for key, value in params.items())
    return f"{program.function(function, name)}({{}}, {settings})", lambda b: function(b, **params)


def _index_text(index: Any, program: Program) -> str:
    if type(index) is int:
        return repr(index)
    if type(index) is slice and all(type(part) is int or part is None for part in (index.start, index.stop, index.step)):
        parts = ["" if part is None else repr(part) for part in (index.start, index.stop)]
        return ":".join(parts) + ("" if index.step is None else f":{index.step}")
    if type(index) is tuple and index and is_basic(index):
        return ", ".join("..." if part is Ellipsis else _index_text(part, program) if part is not None else "None"
                         for part in index) + ("," if len(index) == 1 else "")  # fmt: skip
    return program.constant(index)


# -- operations that write into memory of their own --------------------------------------------------------------------


def _scatter(program: Program, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 0)
    target = program._fresh_or_buffer(i)
    program._line(f"{target}.fill(0)", i)
    _write(program, i, target, params["index"], value)


def _write(program: Program, i: int, target: str, index: Any, value: str) -> None:
    text = _index_text(index, program)
    if names_once(index):
        program._line(f"{target}[{text}] = {value}", i)
    else:
        program._line(f"add_at({target}, {text}, {value})", i)


def _onto(program: Program, i: int) -> str:
    """Memory for node i that holds the values of its first argument."""
    source = program.argument(i, 0)
    v = program.draft.inputs[i][0]
    reuse = v if program._reusable(i) == v != LITERAL else LITERAL
    target = program._fresh_or_buffer(i, reuse)
    if reuse == LITERAL:
        program._line(f"copyto({target}, {source})", i)
    return target


def _scatter_add(program: Program, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 1)
    target, index = _onto(program, i), params["index"]
    text = _index_text(index, program)
    if names_once(index):
        program._line(f"{target}[{text}] += {value}", i)
    else:
        program._line(f"add_at({target}, {text}, {value})", i)


def _update(program: Program, i: int, params: dict[str, Any]) -> None:
    value = program.argument(i, 1)
    target = _onto(program, i)
    program._line(f"{target}[{_index_text(params['index'], program)}] = {value}", i)


def _concatenate(program: Program, i: int, params: dict[str, Any]) -> None:
    args = ", ".join(program.arguments(i))
    target = program._fresh_or_buffer(i)
    join = program.function(np.concatenate, "concatenate")
    program._line(f"{join}(({args},), {params.get('axis', 0)}, {target})", i)


def _convert(program: Program, i: int, params: dict[str, Any]) -> None:
    source = program.argument(i, 0)
    target = program._fresh_or_buffer(i)
    program._line(f'copyto({target}, {source}, "unsafe")', i)


def _reshape(program: Program, i: int, params: dict[str, Any]) -> None:
    """The elements have to move: into C order, in the shape of the argument."""
    source, shape = program.argument(i, 0), program.draft.shapes[program.draft.inputs[i][0]]
    target = program._fresh_or_buffer(i)
    if program.part[i] >= 0:
        own = program.part[i]
        target = program._part(i, Part(-1, shape, None, own, f".reshape({shape})", lambda b: b.reshape(shape)))
        program.part[i] = own
        program._line(f"copyto({target}, {source})", i)
    else:
        program._line(f"copyto({target}.reshape({shape}), {source})", i)


_WRITERS: dict[str, Callable[[Program, int, dict[str, Any]], None]] = {
    "scatter": _scatter, "scatter_add": _scatter_add, "update": _update, "concatenate": _concatenate,
    "astype": _convert, "copy": _convert, "reshape": _reshape,
}  # fmt: skip
