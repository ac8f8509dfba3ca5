"""Aliasing: in place and through views a tensor does what NumPy does, statement by statement, or says that it cannot.

A state machine writes programs of assignments, views and writes, and runs each statement on NumPy's arrays as it is
written. The program then runs on tensors: after every statement every name has NumPy's value, shape and dtype, bit for
bit. At the end the gradient by x is that of the NumPy program, by the complex step or by differences. A statement that
tensors refuse must leave everything as it was; the program then runs without it, on both sides.
"""

import ast
import collections
import functools
import gc
import re

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import LeakError, ViewWriteError

from .scale import times

START = np.array([[0.7137, -1.2071, 0.4393], [1.1119, 0.3361, -0.8053], [-0.5323, 1.4177, 0.9241]])
OTHER = START[::-1] * 1.25 + 0.01
ERRORS = (ValueError, TypeError, IndexError, AttributeError, StopIteration)  # of NumPy, where a statement does not fit
NAMES = "pqrs"

READS = [
    "{}[1:]", "{}[:2]", "{}[::-1]", "{}[::2]", "{}[...]", "{}[None]", "{}[:, None]", "{}[0]", "{}[-1]",
    "{}[..., 0]", "{}[..., ::-1]", "{}[:, 1:]", "{}[1:, ::-2]", "{}[:, 1]", "{}[()]", "{}.T", "{}.mT",
    "{}.reshape(-1)", "{}.reshape({}.shape[::-1])", "np.reshape({}, (-1, 1))", "{}.ravel()", "np.ravel({})",
    "{}.squeeze()", "{}.swapaxes(0, -1)", "np.moveaxis({}, 0, -1)", "np.expand_dims({}, 0)", "np.atleast_2d({})",
    "np.atleast_3d({})", "np.atleast_1d({})", "np.flip({})", "np.flip({}, 0)", "np.flipud({})", "np.fliplr({})",
    "np.rot90({})", "np.rot90({}, 2)", "np.transpose({})", "np.diagonal({})", "np.diag({})",
    "np.broadcast_to({}, (2, *{}.shape))", "np.split({}, 1)[0]", "np.array_split({}, 2)[0]", "np.unstack({})[0]",
    "list({})[-1]", "np.real({})", "{}.real", "{}.imag", "{}.view()", "np.matrix_transpose({})",
    "{}.astype({}.dtype, copy=False)", "np.rollaxis({}, -1)", "np.hsplit({}, [1])[-1]", "np.vsplit({}, [1])[0]",
    "np.squeeze({}[None])", "{}.reshape(-1, order='F')", "np.permute_dims({})", "{}.diagonal()",
    "np.broadcast_arrays({}, 0.0)[0]", "np.einsum('ij->ji', {})", "np.einsum('ii->i', {})",
    "np.lib.stride_tricks.sliding_window_view({}, 2, axis=0)", "{}.conj()", "({}, 1)[0]", "[{}][0]",
    "dict(k={})['k']", "(lambda v: v[1:])({})", "(lambda v: v)({})", "next(iter({}))",
]  # fmt: skip
"""What is read of a name and may be a view of it."""
COPIES = [
    "{}[[1, 0]]", "{}[[0, 0, 1]]", "{}[new.above({}, 0)]", "{}.copy()", "np.copy({})", "{}.flatten()", "{} * 1",
    "{} + 0.5", "-{}", "np.sin({})", "np.zeros_like({})", "new.zeros({}.shape, {}.dtype)",
    "new.ones({}.shape, {}.dtype)", "new.full({}.shape, 0.25, {}.dtype)", "{}.flat[1:]", "np.concatenate([{}, {}])",
    "np.stack([{}, {}])", "np.tile({}, 2)", "np.take({}, [0], axis=0)", "np.sort({}, axis=0)",
    "np.where(new.above({}, 0), {}, 0.0)", "np.roll({}, 1)", "np.repeat({}, 2, axis=0)", "{}.sum(axis=0)",
    "{}.mean()", "np.conjugate({})", "np.tril({})", "+{}", "{} + 1j * {}", "{}.cumsum(axis=0)",
    "np.array_split({}, 2)[0] * 2",
]  # fmt: skip
"""What is made of a name and has memory of its own."""
PLACES = [
    "[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[...]", "[:]", "[()]", "[:, 0]", "[..., 1:]", "[[0, 1]]", "[[0, 0]]",
    "[0, 1]", "[..., None]", "[:, ::-1]",
]  # fmt: skip
"""Where is written to."""
VALUES = [
    "2.0", "-0.5", "{}", "{}[0]", "{}[-1]", "{}[1:]", "{}[:-1]", "{}[::-1]", "{}.T", "{}.sum()", "{}[..., :1]",
    "[1.0, 2.0, 3.0]", "{} * 0.5", "{}.reshape(-1)",
]  # fmt: skip
"""What is written."""
SIGNS = ["+=", "-=", "*=", "/="]
WRITERS = [
    "{}.fill({v})", "{}.sort()", "{}.sort(axis=0)", "np.copyto({}, {v})",
    "np.copyto({}, {v}, where=new.above({}, 0))", "np.put({}, [0, 1], {v} * 1.0)",
    "np.place({}, new.above({}, 0.5), {v} * 1.0)", "np.putmask({}, new.above({}, 0), {v} * 1.0)",
    "np.fill_diagonal({}, {v} * 1.0)", "np.add.at({}, [0, 0], {v})",
    "np.put_along_axis({}, np.argmax({}, axis=0, keepdims=True), {v}, 0)", "{}.put([0], {v} * 1.0)",
    "{}.flat = {v} * 1.0", "{}.flat[1] = {v}", "{}.flat[::2] = {v} * 1.0", "{}.real = {v}", "{}.imag = {v}",
    "{}.real[...] = {v}", "{}.imag += {v}", "{}[new.above({}, 0)] = {v}", "{}[new.above({}, 0)] *= 2.0",
    "{}.partition(1)", "{} @= 0.5 * new.ones(({}.shape[-1], {}.shape[-1]), {}.dtype)", "{}.shape = (-1,)",
    "{}.T[0] = {v}", "{}[1:][0] = {v}", "{}.reshape(-1)[0] = {v}", "{}[0][0] = {v}", "{}[1:] += {v}",
    "{}.T[...] += {v}", "np.subtract.at({}, ([0], [0]), {v})",
]  # fmt: skip
"""Functions and methods that write."""
MOVES = [
    "{}, {} = {}, {}", "{}[0], {}[1] = {}[1], {}[0]", "{}[1:] = {}[:-1]", "{}[::-1] = {}", "{}[:] = {}.T",
    "{}[:-1] += {}[1:]", "{}[...] = {}[::-1]", "{}[0], {}[-1] = {}[-1], {}[0].copy()", "for row in {}: row += 1",
    "for row in {}: row[...] = row[::-1]", "keep.append({}[1:])", "{} = keep[-1]", "keep[-1][...] = 0.5",
    "keep.clear()", "{} = (lambda v: v.__setitem__(0, 1.5) or v)({})",
]  # fmt: skip
"""Statements that read and write at once."""

KNOWN = re.compile(r"read-only|sequence by non-int")
"""Mistakes to NumPy that tensors may allow: to write where it locks, to multiply a list by a number."""


class Created:
    """Creation functions: NumPy's own, or ours where tensors are written into what they make."""

    def __init__(self, module):
        self.zeros, self.ones, self.full = module.zeros, module.ones, module.full

    @staticmethod
    def above(x, bound):
        """x > bound; of what takes a complex step its real part, as NumPy would go on to the imaginary one."""
        return (x if hasattr(x, "recorder") else np.real(x)) > bound


def beginning(x, module):
    """The names as a program finds them: p is x itself, q an array of its own; keep is a container."""
    return {"np": np, "new": Created(module), "keep": [], "p": x, "q": x * 1.0, "r": x[1:], "s": x * 0.5}


@functools.cache
def code(statement):
    return compile(statement, statement, "exec")


def arrays(scope):
    """Every live array by its name, those in the container too."""
    kept = {f"keep[{i}]": value for i, value in enumerate(scope["keep"])}
    return {name: scope[name] for name in NAMES if hasattr(scope.get(name), "dtype")} | kept


def held(value):
    """The numbers that a tensor holds, to be compared with NumPy's."""
    while not isinstance(value, (np.ndarray, np.generic)):
        value = value.value
    return value


def snapshot(scope):
    """What every name is, as bytes that no write reaches."""
    return {name: (value.shape, value.dtype.str, held(value).tobytes()) for name, value in arrays(scope).items()}


def total(scope):
    """One number that depends on every element of every name."""
    result = 0.0
    for k, value in enumerate(arrays(scope).values()):
        weights = np.cos(0.9 * np.arange(value.size) + k).reshape(value.shape)
        result = result + np.sum(weights * value)
    return result


def run(program, x):
    """The scope that a program leaves on plain arrays."""
    scope = beginning(x, np)
    for statement in program:
        exec(code(statement), scope)
    return scope


def states(program):
    """What NumPy makes of a program, after each statement."""
    scope = beginning(START.copy(), np)
    found = [snapshot(scope)]
    for statement in program:
        exec(code(statement), scope)
        found.append(snapshot(scope))
    return found


def fails(statement, scope):
    """Whether a statement raises, whatever it be."""
    try:
        exec(code(statement), scope)
    except Exception:
        return True
    return False


class Refusal(Exception):
    """A statement that tensors refuse, by its number; everything was as before."""


def slopes(program, x):
    """The gradient of the total of a program: by the complex step, or by differences where it takes numbers apart."""
    found = np.zeros_like(x)
    analytic = not any(word in statement for statement in program for word in ("real", "imag", "conj", "1j", "astype"))
    for i in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[i] = 1.0
        if analytic:
            found[i] = total(run(program, x + 1e-30j * unit)).imag / 1e-30
        else:
            step = 1e-3
            near, far, wide = (
                np.real(total(run(program, x + k * step * unit)) - total(run(program, x - k * step * unit)))
                / (2 * k * step)
                for k in (1, 2, 4)
            )
            found[i] = (16 * (4 * near - far) / 3 - (4 * far - wide) / 3) / 15
    return found, 1e-9 if analytic else 1e-5


def on_tensors(program, wanted, mistakes):
    """The program as a function of a tensor, that compares after each statement; `wanted` None compares nothing."""

    def f(x):
        scope = beginning(x, anp)
        for k, statement in enumerate([*program, None]):
            for mistake in mistakes.get(k, ()) if wanted else ():
                assert fails(mistake, scope), f"{mistake!r} is a mistake to NumPy, and passed"
                assert snapshot(scope) == wanted[k], f"{mistake!r} was refused by NumPy, and changed tensors"
            if statement is None:
                break
            try:
                exec(code(statement), scope)
            except ViewWriteError:
                if wanted and statement.count("=") == 1 and "," not in statement.partition("=")[0]:
                    assert snapshot(scope) == wanted[k], f"{statement!r} was refused, and changed something"
                raise Refusal(k) from None
            if wanted:
                now = snapshot(scope)
                for name, value in wanted[k + 1].items():
                    assert now[name] == value, f"after {statement!r}: {name}"
                assert now.keys() == wanted[k + 1].keys()
        return np.real(total(scope))

    return f


MODES = {
    "grad": lambda f: ad.grad(f)(START),
    "trace": lambda f: ad.flow(f)(START)["x"],
    "jvp": lambda f: np.stack([ad.jvp(f, (START,), (unit.reshape(3, 3),))[1] for unit in np.eye(9)]).reshape(3, 3),
    "checkpoint": lambda f: ad.grad(ad.checkpoint(f))(START),
    "inner": lambda f: ad.grad(lambda y: np.sum(ad.grad(f)(y)) * 0.0 + ad.value_and_grad(f)(y)[0])(START),
}
LATER = {
    "vmap": lambda f: ad.vmap(ad.grad(f))(np.stack([START, OTHER])),
    "jit": lambda f: (lambda g: np.stack([g(START), g(OTHER)]))(ad.jit(ad.grad(f))),
}
TALLY = collections.Counter()


def judge(program, mistakes, mode):
    """Compare a program on arrays and on tensors; what tensors refuse is left out, and counted."""
    while True:
        TALLY["statements"] += len(program)
        gc.collect(0)
        wanted = states(program) if mode in MODES else None
        f = on_tensors(program, wanted, mistakes)
        try:
            found = (MODES | LATER)[mode](f)
            break
        except Refusal as refusal:
            TALLY["refused"] += 1
            TALLY["refused: " + program[refusal.args[0]]] += 1
            program, mistakes = without(program, refusal.args[0]), {}
        except LeakError:
            assert mode in LATER
            TALLY["decided by values"] += 1
            return
    TALLY[f"programs in {mode}"] += 1
    expected, digits = slopes(program, START)
    if mode in LATER:
        expected = np.stack([expected, slopes(program, OTHER)[0]])
    scale = max(1.0, np.max(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=digits, atol=digits * scale, err_msg="; ".join(program))


def without(program, k):
    """The program without one of its statements, nor those that do not fit any more."""
    kept = program[:k]
    for statement in program[k + 1 :]:
        try:
            run([*kept, statement], START.copy())
        except (*ERRORS, NameError, KeyError):
            continue
        kept.append(statement)
    return kept


def filled(template, draw):
    """A statement with names and values put in: {} a name, {v} a value."""
    template = template.replace("{v}", draw(st.sampled_from(VALUES)))
    first = draw(st.sampled_from(NAMES))
    names = [first if draw(st.booleans()) else draw(st.sampled_from(NAMES)) for _ in range(template.count("{}"))]
    if names:
        names[0] = first
    return template.format(*names)


def reading(template, name):
    """What is read of one name: all the places of a template are that name."""
    return template.format(*[name] * template.count("{}"))


class Programs(RuleBasedStateMachine):
    """Statements on NumPy's arrays, of which each fits when it is written."""

    mode = "grad"

    def __init__(self):
        super().__init__()
        self.program, self.mistakes = [], collections.defaultdict(list)
        self.scope = beginning(START.copy(), np)

    def reads_what_it_wrote(self, statement):
        """Whether NumPy's assignment met overlapping vectors of two strides: it reads there what it has just written.

        It then differs from the same assignment by way of a copy.
        """
        assigned = ast.parse(statement).body[0]
        if not isinstance(assigned, ast.Assign):
            return False
        targets, values = (
            part.elts if isinstance(part, ast.Tuple) else [part] for part in (assigned.targets[0], assigned.value)
        )
        if len(targets) != len(values) or not any(isinstance(target, ast.Subscript) for target in targets):
            return False
        lines = [f"_{k} = {ast.unparse(value)}" for k, value in enumerate(values)]
        lines += [
            f"{ast.unparse(target)} = " + (f"np.array(_{k})" if isinstance(target, ast.Subscript) else f"_{k}")
            for k, target in enumerate(targets)
        ]
        return snapshot(run([*self.program, "\n".join(lines)], START.copy())) != snapshot(self.scope)

    def of_a_number(self, statement):
        """Whether the statement writes into a number, which NumPy loses without a word, or through a locked .real."""
        values = arrays(self.scope).values()
        writes = any(word in statement for word in (".flat", "put(", "above(", "place(", "mask(", "fill("))
        locked = any(word in statement for word in (".real", ".at(", "copyto(")) and not all(
            value.flags.writeable for value in values
        )
        return locked or (writes and any(isinstance(value, np.generic) for value in values))

    def ties(self, statement):
        """Whether the statement would put equal elements in order, where the convention for ties is ours."""
        ordered = any(word in statement for word in ("sort", "partition", "argmax"))
        return ordered and any(len(np.unique(value)) < value.size for value in arrays(self.scope).values())

    def add(self, statement):
        if self.ties(statement) or self.of_a_number(statement):
            return
        before = snapshot(self.scope)
        try:
            with np.errstate(all="raise"):
                exec(code(statement), self.scope)
            now = arrays(self.scope).values()
            fits = sum(value.size for value in now) < 200
            fits = fits and all(value.dtype.kind in "fc" and np.all(np.abs(value) < 1e3) for value in now)
        except (*ERRORS, FloatingPointError, NameError, Warning) as error:  # a warning: it means something else
            fits = False
            if isinstance(error, ERRORS) and not KNOWN.search(str(error)) and snapshot(self.scope) == before:
                self.mistakes[len(self.program)].append(statement)
        if fits and not self.reads_what_it_wrote(statement):
            self.program.append(statement)
        else:
            self.scope = run(self.program, START.copy())

    @rule(to=st.sampled_from(NAMES), name=st.sampled_from(NAMES), template=st.sampled_from(READS))
    def view(self, to, name, template):
        self.add(f"{to} = {reading(template, name)}")

    @rule(to=st.sampled_from(NAMES), name=st.sampled_from(NAMES), template=st.sampled_from(COPIES))
    def copy(self, to, name, template):
        self.add(f"{to} = {reading(template, name)}")

    @rule(data=st.data(), name=st.sampled_from(NAMES), place=st.sampled_from(PLACES))
    def write(self, data, name, place):
        value = filled(data.draw(st.sampled_from(VALUES)), data.draw)
        self.add(f"{name}{place} {data.draw(st.sampled_from(['=', '=', *SIGNS]))} {value}")

    @rule(data=st.data(), name=st.sampled_from(NAMES), sign=st.sampled_from(SIGNS))
    def in_place(self, data, name, sign):
        self.add(f"{name} {sign} {filled(data.draw(st.sampled_from(VALUES)), data.draw)}")

    @rule(data=st.data(), template=st.sampled_from(WRITERS))
    def by_function(self, data, template):
        name = data.draw(st.sampled_from(NAMES))
        value = filled(data.draw(st.sampled_from(VALUES)), data.draw)
        self.add(reading(template.replace("{v}", "\0"), name).replace("\0", value))

    @rule(data=st.data(), template=st.sampled_from(MOVES))
    def move(self, data, template):
        self.add(filled(template, data.draw))

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name):
        self.add(f"{name} = None")

    def teardown(self):
        if self.program:
            judge(self.program, self.mistakes, self.mode)


@pytest.mark.parametrize("mode", [*MODES, *LATER])
def test_programs_do_as_numpy_does_or_are_refused(mode, tried):
    machine = type(Programs.__name__, (Programs,), {"mode": mode})
    TALLY.clear()
    few = settings(
        max_examples=times(12, 60, 3000),
        stateful_step_count=times(10, 14, 20),
        phases=[Phase.generate],  # the message names the program, and `without` makes it shorter by hand
    )
    run_state_machine_as_test(machine, settings=few)
    tried("programs", TALLY[f"programs in {mode}"])
    tried("statements", TALLY["statements"])
    if TALLY["refused"]:
        tried("statements that were refused", TALLY["refused"])
    assert TALLY["refused"] <= 0.05 * TALLY["statements"], TALLY.most_common(20)
