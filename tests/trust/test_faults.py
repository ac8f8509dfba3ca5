"""An exception in any rule, operation or instruction comes out as it is, leaves nothing, and a retry gives the same.

What is raised at the k-th place is tried for every k, with errors, with what is no Exception, and with the key that is
pressed at each place where Python looks for it. Then the real things: signals and memory that runs out.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import autodiff as ad
from autodiff import threads
from autodiff.compiler.compiled import Compiled
from autodiff.compiler.tiles import run_tiles
from autodiff.sweep import deltas
from autodiff.threads import WORTH
from tests.laws.graphs import programs
from tests.trust.faults import Calls, Surroundings, bits, raised
from tests.trust.interrupts import Interrupts
from tests.trust.keys import children, laid_out
from tests.trust.scale import times

A = np.linspace(0.1, 0.9, 3)
W = np.arange(6.0).reshape(2, 3) / 5
S = np.eye(2) + 0.1
ARRAYS = (A, W, S)

KINDS = (
    KeyboardInterrupt("pressed"), ValueError("mine"), MemoryError("mine"), RecursionError("mine"), SystemExit(3),
    GeneratorExit("mine"), asyncio.CancelledError("mine"), StopIteration("mine"), AttributeError("mine"),
    TypeError("mine"), IndexError("mine"), KeyError("mine"), OSError("mine"), ZeroDivisionError("mine"),
    AssertionError("mine"), ad.errors.LostHistoryError("mine"), ad.errors.RuleError("mine"),
)  # fmt: skip
"""One object each: that very object is to come out."""


@ad.primitive
def softplus(x):
    return np.logaddexp(x, 0)


softplus.defvjp(lambda d, y, x: d * (1 - np.exp(-y)))
softplus.defjvp(lambda t, y, x: t * (1 - np.exp(-y)))


@ad.primitive(results=True)
def both(x, y):
    return x * y, x + y


def _given(d, like):
    return np.zeros_like(like) if d is None else d


both.defvjp(
    lambda d, z, x, y: _given(d[0], z[0]) * y + _given(d[1], z[1]),
    lambda d, z, x, y: _given(d[0], z[0]) * x + _given(d[1], z[1]),
)


def mixed(x):
    """Writes, views, several results, joint rules, a checkpoint, scopes and operations of one's own."""
    with ad.scope("written"):
        y = np.tanh(x)
        y[0] = 2.0 * x[1]
        part = y[1:]
        part *= 3.0
    with ad.scope("spectrum"):
        w, _ = np.linalg.eigh(S * x[0] + np.diag(x[:2]))
        one, two = both(y, x)
    z = softplus(y) + np.where(x > 0.3, two, one**2)
    z = z + ad.nn.softmax(W @ x).sum() + np.linalg.det(S * x[1]) + np.max(np.sort(x[::-1]))
    return np.sum(z * np.sin(W @ x).sum()) + np.sum(w) + ad.checkpoint(lambda t: np.sum(np.cos(t) * t))(x)


def smooth(x):
    return np.sum(np.tanh(x) * softplus(x) + x[::-1] ** 3)


def twice(x):
    return np.sum(ad.grad(smooth)(x) ** 2)


def eager():
    """Each as a call that is made again and again; what lives between the calls lives in it."""
    graph, (_, pullback) = ad.trace(mixed)(A), ad.vjp(mixed, A)
    flow = graph.backward()
    w, k = max(flow.contributions)
    last = (graph.inputs[w][k], w)
    pairs = np.stack([A, A[::-1]])
    return {
        "grad": lambda: ad.grad(mixed)(A),
        "grad of grad": lambda: ad.grad(twice)(A),
        "jvp": lambda: ad.jvp(mixed, (A,), (W[1],)),
        "jvp of grad": lambda: ad.jvp(ad.grad(smooth), (A,), (W[1],)),
        "hessian": lambda: ad.hessian(smooth)(A),
        "jacobian": lambda: ad.jacobian(lambda x: np.tanh(x) * softplus(x))(A),
        "vmap of grad": lambda: ad.vmap(ad.grad(mixed))(pairs),
        "grad of vmap": lambda: ad.grad(lambda x: np.sum(ad.vmap(smooth)(np.stack([x, x * x]))))(A),
        "grad of checkpoint": lambda: ad.grad(ad.checkpoint(mixed))(A),
        "trace": lambda: ad.trace(mixed)(A).values.results[-1],
        "a pullback again": lambda: pullback(1.0),
        "graph.backward again": lambda: graph.backward()["x"],
        "flow": lambda: [flow.cut(last)["x"], flow.by_path("x"), flow.shares("x")["norm"], flow.by_scope()[0]["delta"]],
        "debug": lambda: debugged(mixed),
        "compiling": lambda: ad.jit(mixed)(A),
        "compiling a gradient": lambda: ad.jit(ad.grad(smooth))(A),
        "grad of compiling": lambda: ad.grad(ad.jit(smooth))(A),
    }


def debugged(f):
    with ad.debug():
        return ad.grad(f)(A)


def check_every_call(call, kinds_at_once, arrays, prepare=lambda calls: None):
    """Fail in each call of an operation or a rule; the number of failures that were tried."""
    tried = 0
    with Calls() as calls:
        calls.operation(softplus.op)
        calls.operation(both.op)
        prepare(calls)
        call()
        want = bits(call())
        calls.arm(None, None)
        call()
        count = calls.count
        kinds = itertools.cycle(KINDS)
        gc.collect()
        call()
        cycles = gc.collect()  # what a compiled function, or a session, leaves that is dropped
        gc.freeze()
        try:
            around = Surroundings(arrays, bool(cycles))
            around.again()
            step = max(1, count // times(5, 60, count))
            for k in range(1 + count % step, count + 1, step):
                for error in itertools.islice(kinds, kinds_at_once):
                    calls.arm(k, error)
                    found = raised(call, error)
                    where = f"{type(error).__name__} in call {k}, {calls.where}"
                    if calls.where is None:  # it ends with fewer calls than the first time: it knows something now
                        continue
                    own = isinstance(error, StopIteration) and found.__cause__ is error  # out of a generator: PEP 479
                    assert found is error or own, f"{where}: {found!r} came out"
                    around.check(where, cycles)
                    tried += 1
                calls.arm(None, None)
                assert bits(call()) == want, f"after {where} a retry gives something else"
                gc.collect()
        finally:
            gc.unfreeze()
    assert tried >= count // step
    return tried


@pytest.mark.parametrize("name", eager())
def test_what_any_operation_or_rule_raises_comes_out_as_it_is_and_a_retry_gives_the_same_bits(name, tried):
    at_once = times(1, 1, len(KINDS))
    tried("exceptions in the k-th call, hand-made programs", check_every_call(eager()[name], at_once, ARRAYS))


@settings(max_examples=times(2, 6, 300))
@given(programs(limit=60))
def test_random_graphs_whose_every_call_fails(program):
    leaves = program.leaves()
    arrays = tuple(x for x in leaves if isinstance(x, np.ndarray))
    every = tuple(range(len(leaves)))
    check_every_call(lambda: ad.grad(program, every)(*leaves), 1, arrays)
    graph = ad.trace(program)(*leaves)
    if graph.outputs:
        check_every_call(lambda: graph.backward().delta[: len(leaves)], 1, arrays)


# -- what was compiled -------------------------------------------------------------------------------------------------


def check_a_program(compiled):
    run = compiled.lower(A)._program.run
    return check_every_call(lambda: compiled(A), times(1, 2, len(KINDS)), ARRAYS, lambda calls: calls.program(run))


def test_every_call_of_a_compiled_program_fails_and_the_next_run_gives_the_same_bits(tried):
    count = 0
    for f in (mixed, ad.grad(mixed), lambda x: ad.vmap(smooth)(np.stack([x, x * 2.0])), lambda x: np.sort(x @ W.T)):
        count += check_a_program(ad.jit(f))
    tried("exceptions in the k-th call, compiled programs", count)


def test_every_call_of_a_gradient_of_a_compiled_function_fails(tried):
    compiled = ad.jit(smooth)
    slope = ad.grad(compiled)
    slope(A)
    pair = next(iter(compiled._known.programs.values()))
    halves = [cell.cell_contents for run in (pair._op.forward, pair._op.joint) for cell in run.__closure__]
    halves = [half.__self__ for half in halves if isinstance(getattr(half, "__self__", None), Compiled)]
    runs = [half._program.run for half in halves]
    assert len(runs) == 2

    def prepare(calls):
        calls.operation(pair._op)
        for run in runs:
            calls.program(run)

    tried("exceptions in the k-th call, compiled programs", check_every_call(lambda: slope(A), 5, ARRAYS, prepare))


LARGE = np.linspace(0.1, 0.9, 4 * WORTH)


@pytest.mark.parametrize("part", [0, 1, -1])
def test_a_part_that_fails_in_any_thread_is_over_before_it_is_told_and_the_pool_works_on(part, tried):
    def f(x):
        return np.sum(np.tanh(x) * np.sin(x) + np.sqrt(x)) + np.exp(x[:3])

    ad.set_threads(2)
    try:
        compiled = ad.jit(f)
        want = bits(compiled(LARGE))
        program = compiled.lower(LARGE)._program
        assert program.tiles, "nothing is shared among threads here"
        running = []

        def spread(part_of, count, work, most=1 << 30):
            def failing(number, thread):
                running.append(number)
                try:
                    if number == part % count:
                        raise error
                    part_of(number, thread)
                finally:
                    running.remove(number)

            threads.spread(failing, count, work, most)

        names = run_tiles.__globals__
        count = 0
        for error in KINDS:
            names["spread"] = spread
            try:
                assert raised(lambda: compiled(LARGE), error) is error
            finally:
                names["spread"] = threads.spread
            assert not running, "a thread still works on its part"
            assert bits(compiled(LARGE)) == want
            count += 1
        gc.collect()
        names["spread"] = spread
        try:
            raised(lambda: compiled(LARGE), error)
        finally:
            names["spread"] = threads.spread
        assert gc.collect() == 0
        tried("exceptions in a part that a thread works on", count)
    finally:
        ad.set_threads(None)


# -- a key that is pressed ---------------------------------------------------------------------------------------------


def looks(call, wanted):
    """Press a key at about so many of all the places where Python looks for one; yields where that was."""
    call()
    call()
    counting = Interrupts()
    counting.run(call)
    gc.collect()
    step = max(1, counting.count // wanted)
    for at in range(1 + counting.count % step, counting.count + 1, step):
        error = KeyboardInterrupt("pressed")
        interrupts = Interrupts(at, error)
        found = raised(lambda pressed=interrupts: pressed.run(call), error)
        assert found is error or interrupts.where is None, f"{found!r} at {interrupts.where}"
        yield interrupts.where


@pytest.mark.parametrize("name", eager())
def test_a_key_may_be_pressed_at_every_place_where_python_looks(name, tried):
    call = eager()[name]
    want = bits(call())
    gc.collect()
    call()
    cycles = gc.collect()
    heavy = "compiling" in name
    wanted = times(2, 4, 400) if heavy else times(5, 16, 100_000)
    gc.freeze()
    count = 0
    try:
        around = Surroundings(ARRAYS, bool(cycles))
        around.again()
        for where in looks(call, wanted):
            around.check(where, cycles)
            assert bits(call()) == want, f"after a key at {where} a retry gives something else"
            gc.collect()
            count += 1
    finally:
        gc.unfreeze()
    tried("keys pressed at a chosen instruction", count)


def test_where_an_interrupt_is_caught_inside_of_the_function_its_result_is_right_or_refused(tried):
    """A function that goes on after a key is pressed: what was half recorded is told, and nothing is silently wrong."""

    def go_on(x, interrupts):
        y = x * 2.0
        part = y[1:]
        with contextlib.suppress(KeyboardInterrupt):
            interrupts.run(lambda: step(y, part, x))
        return np.sum(y * np.sin(x)) + np.sum(part * x[1:])

    def step(y, part, x):
        part *= x[1:]
        y[0] = np.tanh(x[0])

    def states(x):  # what a writer may have done when it stops: nothing, one statement, both
        yield lambda x: np.sum(x * 2.0 * np.sin(x)) + np.sum(x[1:] * 2.0 * x[1:])
        scaled = lambda x: np.concatenate([x[:1], x[1:] * x[1:]]) * 2.0
        yield lambda x: np.sum(scaled(x) * np.sin(x)) + np.sum(scaled(x)[1:] * x[1:])
        both = lambda x: np.concatenate([np.tanh(x[:1]), (x[1:] * x[1:]) * 2.0])
        yield lambda x: np.sum(both(x) * np.sin(x)) + np.sum(both(x)[1:] * x[1:])

    right = [ad.value_and_grad(state)(A) for state in states(A)]
    counting = Interrupts()
    ad.grad(lambda x: go_on(x, counting))(A)
    refused, count = [], 0
    for at in range(1, counting.count + 1, times(9, 2, 1)):
        pressed = Interrupts(at, KeyboardInterrupt("pressed"))
        try:
            y, d = ad.value_and_grad(lambda x, pressed=pressed: go_on(x, pressed))(A)
        except ad.errors.GraphError as error:
            refused.append(str(error))
        else:
            found = any(np.isclose(y, v) and np.allclose(d, g) for v, g in right)
            assert found, f"a key at {pressed.where} gave {y} {d}"
        count += 1
    assert refused
    assert all("recorded only in part" in said for said in refused)
    tried("keys pressed and caught inside of the function", count)


def test_a_write_whose_views_cannot_be_read_anew_changes_nothing(monkeypatch):
    seen = ad.ops.writes.seen

    def f(x):
        y = x * 1.0
        whole = y[...]
        one, two = whole[1:], whole[:2]
        monkeypatch.setattr(ad.ops.writes, "seen", fails)
        with pytest.raises(MemoryError):
            one *= 3.0
        monkeypatch.setattr(ad.ops.writes, "seen", seen)
        return np.sum(y * x) + np.sum(two * x[:2]) + np.sum(one)

    def fails(base, kin):
        raise MemoryError

    def same(x):
        return np.sum(x * x) + np.sum(x[:2] * x[:2]) + np.sum(x[1:])

    assert bits(ad.value_and_grad(f)(A)) == bits(ad.value_and_grad(same)(A))


# -- real signals, and memory that runs out ----------------------------------------------------------------------------


def process(module, *args, **settings):
    """What a process of its own printed last, as JSON."""
    home = Path(ad.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-m", module, *map(str, args)], capture_output=True, text=True, check=False, cwd=home,
        env=os.environ | {"PYTHONPATH": str(home), "OPENBLAS_NUM_THREADS": "1"} | settings,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timer that sends signals")
def test_real_signals_at_random_times(tmp_path, tried):
    found = process("tests.trust.keys", times(15, 50, 1000), 1, tmp_path)
    assert not found["wrong"], "\n".join(found["wrong"][:20])
    assert sum(found["came"].values()) >= times(10, 40, 1000)
    tried("real signals at random times", sum(found["came"].values()))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's, and so is its count")
def test_memory_that_runs_out(tried):
    found = process("tests.trust.memory", times(1, 1, 40), MALLOC_MMAP_THRESHOLD_="100000")
    assert not found["wrong"], "\n".join(found["wrong"][:20])
    assert all(found["came"].values()), f"memory never ran out in some of these: {found['came']}"
    tried("limits of memory that were hit", sum(found["came"].values()))


# -- rules that return what they should not ----------------------------------------------------------------------------

outside = []
ad.grad(lambda x: (outside.append(x * 2.0), np.sum(x))[1])(A)


class Raising:
    """An object that raises where it is looked at."""

    shape = (3,)

    @property
    def dtype(self):
        raise OSError("mine")


class Likeness:
    """It has the attributes of an array, and is none."""

    shape, dtype, ndim = (3,), np.dtype(float), 1


BARE = {
    "None": lambda d: None, "a text": lambda d: "no", "a list": lambda d: [1.0, 2.0, 3.0], "a dict": lambda d: {"d": d},
    "a tuple": lambda d: (d,), "a generator": lambda d: (x for x in d), "NotImplemented": lambda d: NotImplemented,
    "a type": lambda d: float, "a function": lambda d: np.sin, "an ellipsis": lambda d: ..., "a set": lambda d: {1.0},
    "an object that raises": lambda d: Raising(), "the likeness of an array": lambda d: Likeness(),
    "an array of objects": lambda d: np.array([None, 1, 2]), "floats as objects": lambda d: np.ones(3, object),
    "whole numbers": lambda d: np.ones(3, int), "truths": lambda d: np.ones(3, bool),
    "texts": lambda d: np.array(["a"] * 3),
    "dates": lambda d: np.zeros(3, "M8[s]"), "records": lambda d: np.zeros(3, [("a", float)]),
    "a whole number": lambda d: 1, "a truth": lambda d: True, "a larger array": lambda d: np.ones((1000, 3)),
    "another shape": lambda d: np.ones(5), "one more axis": lambda d: np.ones((3, 1)), "nothing": lambda d: np.ones(0),
    "a masked array": lambda d: np.ma.masked_array(np.ones(3), [0, 1, 0]),
    "a subclass": lambda d: np.ones(3).view(np.recarray), "complex for real": lambda d: d * 1j,
    "a tensor of a function that has returned": lambda d: outside[0],
}  # fmt: skip
"""What a rule may not return, by what it is."""


def with_rules(vjp, jvp=None):
    @ad.primitive
    def doubled(x):
        return x * 2

    doubled.defvjp(lambda d, y, x: vjp(d))
    return doubled.defjvp(lambda t, y, x: jvp(t)) if jvp else doubled


def ways(op):
    """Every way on which a rule of an operation is called."""
    f, g = lambda x: np.sum(op(x) * x), lambda x: op(x) * x
    pairs = np.stack([A, A])
    return {
        "grad": lambda: ad.grad(f)(A), "pullback": lambda: ad.vjp(g, A)[1](A), "flow": lambda: ad.flow(f)(A),
        "jvp": lambda: ad.jvp(g, (A,), (A,)), "hessian": lambda: ad.hessian(f)(A), "jit": lambda: ad.jit(ad.grad(f))(A),
        "grad of jit": lambda: ad.grad(ad.jit(f))(A), "vmap": lambda: ad.vmap(ad.grad(f))(pairs),
        "checkpoint": lambda: ad.grad(ad.checkpoint(f))(A), "jacobian": lambda: ad.jacobian(g)(A),
        "jvp of grad": lambda: ad.jvp(ad.grad(f), (A,), (A,)),
    }  # fmt: skip


@pytest.mark.parametrize("what", BARE)
def test_a_rule_that_returns_what_it_should_not_is_named(what, tried):
    returned, count = BARE[what], 0
    for op in (with_rules(returned), with_rules(returned, returned)):
        for way, call in ways(op).items():
            with pytest.raises(ad.errors.RuleError) as caught:
                call()
            said = str(caught.value)
            assert "doubled: its " in said, (way, said)
            assert "returned" in said, (way, said)
            assert "why:" in said, (way, said)
            assert "jvp" in said or "vjp for argument 0" in said, (way, said)
            assert f"where:   {__file__}:" in said, (way, said)
            count += 1
    tried("wrong results of a rule", count)


@pytest.mark.parametrize("returned", [
    lambda d: d, lambda d: d * np.nan, lambda d: np.copy(d), lambda d: d.astype(np.float32),
    lambda d: d.astype(np.longdouble), lambda d: d[::-1][::-1],
])  # fmt: skip
def test_what_a_rule_may_return(returned):
    want = np.asarray(returned(np.ones(3)), float) * A + 2 * A
    for op in (with_rules(returned), with_rules(returned, returned)):
        found = ad.grad(lambda x, op=op: np.sum(op(x) * x))(A)
        np.testing.assert_allclose(found, want, rtol=1.2e-7)  # one of them rounds to float32
        kept = A.copy()
        y, t = ad.jvp(lambda x, op=op: op(x) * x, (A,), (kept,))
        t[:], y[:] = 5.0, 5.0
        np.testing.assert_array_equal(kept, A)


def test_a_rule_that_keeps_what_it_returned_and_writes_into_it_later_changes_nothing():
    buffer = np.empty(3)

    def reused(d):
        buffer[:] = d * 2
        return buffer

    op = with_rules(reused, reused)
    first = ad.grad(lambda x: np.sum(op(x) + np.sin(op(x * x))))(A)
    assert bits(first) == bits(ad.grad(lambda x: np.sum(x * 2 + np.sin(x * x * 2)))(A))
    two = ad.jvp(lambda x: op(x) * op(x * x), (A,), (W[1],))
    want = ad.jvp(lambda x: (x * 2) * (x * x * 2), (A,), (W[1],))
    np.testing.assert_allclose(two, want, rtol=1e-15)


def test_a_rule_that_writes_into_what_it_is_given_is_refused_in_both_modes():
    def writes(d):
        d[0] = 0.0
        return d

    every = ways(with_rules(writes, writes))
    for way in ("grad", "pullback", "flow", "checkpoint", "jvp"):  # elsewhere it is given tensors, which share nothing
        with pytest.raises(ValueError, match="read-only"):
            every[way]()


FORWARD = {
    "None": lambda x: None, "a text": lambda x: "no", "a list": lambda x: [1.0, 2.0], "rows": lambda x: [1.0, [2.0]],
    "a tuple": lambda x: (x, x), "a dict": lambda x: {"y": x}, "a generator": lambda x: (i for i in x),
    "objects": lambda x: np.array([None, 1]), "texts": lambda x: np.array(["a"]),
    "dates": lambda x: np.zeros(3, "M8[s]"),
    "a masked array": lambda x: np.ma.masked_array(x, [0, 1, 0]), "NotImplemented": lambda x: NotImplemented,
}  # fmt: skip


@pytest.mark.parametrize("what", FORWARD)
def test_an_operation_that_returns_what_is_no_array_is_named(what):
    returned = FORWARD[what]

    @ad.primitive
    def mine(x):
        return returned(x)

    @ad.primitive(results=True)
    def several(x):
        return returned(x) if what != "a tuple" else (x, returned(x))

    mine.defvjp(lambda d, y, x: x)
    several.defvjp(lambda d, y, x: x)
    for op, f in ((mine, lambda x: np.sum(mine(x))), (several, lambda x: np.sum(several(x)[0]))):
        if op is several and what in ("a list", "rows"):
            continue  # of two results
        for call in (lambda f=f: ad.grad(f)(A), lambda f=f: ad.trace(f)(A), lambda f=f: ad.jit(f)(A),
                     lambda f=f: ad.vmap(f)(np.stack([A, A]))):  # fmt: skip
            with pytest.raises(ad.errors.RuleError, match=r"(mine|several): its function returned"):
                call()


def test_a_rule_that_is_not_linear_is_refused_where_it_is_transposed():
    op = with_rules(lambda d: np.ones(3))
    with pytest.raises(ad.errors.RuleError, match=r"doubled: .* does not depend on δ"):
        ad.jvp(op, (A,), (A,))


# -- rules that raise --------------------------------------------------------------------------------------------------


class Mine(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def notes(call):
    with pytest.raises(Mine) as caught:
        call()
    assert caught.value.args == ("one", 2)
    return [note for note in getattr(caught.value, "__notes__", []) if note.startswith("autodiff: ")]


def fails(*args):
    raise Mine("one", 2)


def test_a_rule_that_raises_is_told_by_operation_argument_and_node_once():
    for op in (with_rules(fails), with_rules(fails, fails)):
        for way, call in ways(op).items():
            (note,) = notes(call)
            assert "doubled" in note, way
            assert "jvp" in note or "vjp of doubled for argument 0" in note, way
            assert __file__ in note, way  # where the rule is written
            assert "at node 1" in note or way in ("jacobian", "hessian", "grad of jit", "checkpoint"), (way, note)


def test_the_line_that_called_the_operation_is_told_where_lines_are_kept():
    op = with_rules(fails, fails)
    line = f"test_faults.py:{sys._getframe().f_lineno + 1}"
    graph = ad.trace(lambda x: np.sum(op(x * 2.0)))(A)
    (note,) = notes(graph.backward)
    assert note.endswith(line), note
    assert "at node 2," in note
    (note,) = notes(lambda: ad.grad(lambda x: np.sum(op(x)))(A))
    assert "ad.trace(f)(…).backward() tells" in note


def test_a_function_that_raises_is_told_by_operation_node_and_line():
    @ad.primitive
    def failing(x):
        return fails()

    failing.defvjp(lambda d, y, x: d)
    line = f"test_faults.py:{sys._getframe().f_lineno + 1}"
    f = lambda x: np.sum(failing(x * 2.0))
    for call in (lambda: ad.grad(f)(A), lambda: ad.trace(f)(A), lambda: ad.jit(f)(A), lambda: ad.hessian(f)(A)):
        (note,) = notes(call)
        assert "in the function of failing" in note
        assert line in note
        assert note.endswith("(it would have been node 2)")
    (note,) = notes(lambda: ad.vmap(f)(np.stack([A, A])))
    assert line in note
    with pytest.raises(Mine) as caught:
        f(A)
    assert not hasattr(caught.value, "__notes__")  # where nothing is recorded it is a function like any other


def test_one_object_that_is_raised_again_and_again_tells_the_last_place_alone():
    error = Mine("one", 2)

    def again(*args):
        raise error

    op = with_rules(again, again)
    for f, node in ((lambda x: np.sum(op(x)), 1), (lambda x: np.sum(op(np.sin(np.cos(x)))), 3)):
        (note,) = notes(lambda f=f: ad.grad(f)(A))
        assert f"at node {node}," in note


def test_an_exception_that_takes_no_notes_is_itself_all_the_same():
    class Closed(Exception):
        def add_note(self, note):
            raise TypeError("no notes")

    def closed(*args):
        raise Closed("mine")

    op = with_rules(closed, closed)
    for call in ways(op).values():
        with pytest.raises(Closed, match="mine"):
            call()


def test_what_is_raised_in_a_visit_is_told_of_no_rule():
    graph = ad.trace(smooth)(A)
    with pytest.raises(Mine) as caught:
        deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, visit=fails)
    assert not hasattr(caught.value, "__notes__")


def test_what_numpy_raises_in_a_rule_of_the_package_is_told_too():
    def factor(a):
        return np.sum(np.linalg.cholesky(a))

    graph = ad.trace(factor)(np.eye(2))
    values = graph.values
    values.results[1] = np.zeros((2, 2))  # as if it had been no factor: its rule solves with it
    with pytest.raises(np.linalg.LinAlgError) as caught:
        deltas(graph, values, {graph.outputs[0]: np.float64(1.0)})
    (note,) = caught.value.__notes__
    assert "in the vjp of cholesky for argument 0, at node 1" in note


def test_an_error_of_the_users_own_with_a_refusal_as_its_cause_stays_the_users_own():
    def f(x):
        try:
            return float(x[0])
        except ad.errors.LostHistoryError as error:
            raise ValueError("mine") from error

    with pytest.raises(ValueError, match=r"^mine$"):
        ad.grad(f)(A)


# -- files, and the child that lays pictures out -----------------------------------------------------------------------


def contents(room):
    return {path.name: path.read_bytes() for path in room.iterdir()}


def flow_of(by):
    return ad.flow(lambda x: np.sum(np.tanh(x * by)) + np.sum(W @ x))(A)


WRITERS = {
    "a flow": (flow_of, lambda flow, room: flow.save(room / "flow.json"), ("flow.json", "flow.npz")),
    "a graph": (flow_of, lambda flow, room: flow.graph.save(room / "graph.json"), ("graph.json", "graph.npz")),
    "a picture": (lambda by: by, lambda by, room: FLOW.draw(room / "flow.dot", title=str(by)), ("flow.dot",)),
    "a table": (lambda by: by, lambda by, room: FLOW.draw(room / "flow.txt", title=str(by)), ("flow.txt",)),
    "a history": (lambda by: history(by), lambda step, room: step.save(room / "history.jsonl"), ("history.jsonl",)),
}
"""What makes it, what writes it, and the files that it is."""

FLOW = flow_of(1.0)


def history(by):
    step = ad.watch(lambda x: np.sum(np.tanh(x * by)), every=1)
    step(A)
    return step


# a file that is opened as a key is pressed is closed by nobody
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", WRITERS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError, MemoryError])
def test_a_file_whose_writing_fails_anywhere_is_the_old_one_and_no_rubbish_is_left(what, kind, tmp_path, tried):
    make, write, names = WRITERS[what]
    first, second = make(1.0), make(2.0)
    old, fresh, room = (tmp_path / name for name in ("old", "fresh", "room"))
    for folder, one in ((old, first), (fresh, second), (room, first)):
        folder.mkdir()
        write(one, folder)
    before, after = contents(old), contents(fresh)
    assert before.keys() == after.keys() == set(names)
    assert all(before[name] != after[name] for name in names)
    ours = ("archive.py", "files.py", "stored.py", "pathlib.py", "shutil.py", "training.py")
    counting = Interrupts(only=(*ours, "zipfile.py", "_npyio_impl.py"))
    counting.run(lambda: write(second, room))
    count = 0
    for at in range(1, counting.count + 1, max(1, counting.count // times(5, 12, 10_000))):
        write(first, room)
        error = kind("mine")
        failing = Interrupts(at, error, counting.only)
        found = raised(lambda failing=failing: failing.run(lambda: write(second, room)), error)
        if "__del__" in failing.where and found is None:
            continue  # Python prints what is raised there, and goes on
        if isinstance(error, OSError) and "pathlib" in failing.where:
            continue  # a file that is not there is an answer to pathlib
        if isinstance(error, OSError) and ("_double" in failing.where or not found):
            continue  # and to who asks whether there are links; and to who takes away what may not be there
        assert found is error or isinstance(found, ad.errors.PictureError), f"{found!r} at {failing.where}"
        left = contents(room)
        assert left in (before, after), f"{sorted(left)} is left after {failing.where}"
        count += 1
    assert count
    tried("files whose writing failed", count)


def test_a_pair_of_files_that_do_not_belong_together_is_refused(tmp_path):
    for name, by in (("old", 1.0), ("new", 2.0)):
        flow_of(by).save(tmp_path / f"{name}.json")
    os.replace(tmp_path / "new.npz", tmp_path / "old.npz")  # as where the process ended between the two
    with pytest.raises(ad.errors.LoadError, match=r"the arrays in old\.npz are of another file"):
        ad.GradientFlow.load(tmp_path / "old.json")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_watch_that_is_interrupted_anywhere_keeps_its_history_its_file_and_its_count_together(tmp_path, tried):
    def loss(x):
        with ad.scope("block"):
            return np.sum(np.tanh(x) ** 2)

    path = tmp_path / "history.jsonl"
    step = ad.watch(loss, every=1, path=path)
    want = bits(step(A))
    counting = Interrupts()
    counting.run(lambda: step(A))
    count = 0
    for at in range(1, counting.count + 1, times(97, 29, 1)):
        error = KeyboardInterrupt("pressed")
        pressed = Interrupts(at, error)
        found = raised(lambda pressed=pressed: pressed.run(lambda: step(A)), error)
        assert found is error or pressed.where is None
        rows = ad.training.load(path)
        assert rows == step.history, pressed.where
        steps = [row["step"] for row in rows if row["block"] == "block"]
        assert steps == list(range(step.step)), f"{pressed.where}: {steps} at step {step.step}"
        count += 1
    assert bits(step(A)) == want
    tried("watches interrupted", count)


def test_a_history_whose_last_row_was_cut_off_goes_on_and_what_is_before_it_is_not_written_anew(tmp_path):
    path = tmp_path / "history.jsonl"
    ad.watch(np.sum, every=1, path=path)(A)
    whole = path.read_bytes()
    number = path.stat().st_ino
    for cut in (whole + whole[:20], whole[:-1]):
        path.write_bytes(cut)
        ad.watch(np.sum, every=1, path=path)
        assert path.read_bytes() == whole
        assert path.stat().st_ino == number


@pytest.mark.skipif(sys.platform != "linux", reason="who has started whom is read from /proc")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_key_that_is_pressed_while_a_picture_is_laid_out_leaves_no_child(tmp_path, tried):
    flow = flow_of(1.0)
    if not laid_out(flow, tmp_path / "flow.svg"):
        pytest.skip("Graphviz is not installed")
    want = (tmp_path / "flow.svg").read_bytes()
    draw = lambda: flow.draw(tmp_path / "flow.svg", engine="dot")
    draw()
    counting = Interrupts(only=("engine.py", "tempfile.py", "raster.py", "scene.py"))
    counting.run(draw)
    count = 0
    for at in range(1, counting.count + 1, max(1, counting.count // times(3, 6, 10_000))):
        error = KeyboardInterrupt("pressed")
        pressed = Interrupts(at, error, counting.only)
        found = raised(lambda pressed=pressed: pressed.run(draw), error)
        assert found is error or pressed.where is None, f"{found!r} at {pressed.where}"
        gc.collect()
        assert not children(), f"a child is left after {pressed.where}"
        assert (tmp_path / "flow.svg").read_bytes() == want
        count += 1
    tried("keys pressed while a child lays a picture out", count)
