"""An exception in any rule, operation or instruction: it comes out as it is, leaves nothing, and a retry gives the same.

What is raised at the k-th place is tried for every k, with errors, with what is no Exception, and with the key that is
pressed at each place where Python looks for it. Then the real things: signals and memory that runs out.
"""

import asyncio
import gc
import itertools

import numpy as np
import pytest
from hypothesis import given, settings

import autodiff as ad
from autodiff import threads
from autodiff.compiler.compiled import Compiled
from autodiff.compiler.tiles import run_tiles
from autodiff.threads import WORTH
from tests.laws.graphs import programs
from tests.trust.faults import Calls, Surroundings, bits, raised
from tests.trust.interrupts import Interrupts
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
        w, v = np.linalg.eigh(S * x[0] + np.diag(x[:2]))
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
            step = max(1, count // times(10, count, count))
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


@settings(max_examples=times(2, 12, 300))
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


def test_every_call_of_a_compiled_program_fails_and_the_next_run_gives_the_same_bits(tried):
    count = 0
    for f in (mixed, ad.grad(mixed), lambda x: ad.vmap(smooth)(np.stack([x, x * 2.0])), lambda x: np.sort(x @ W.T)):
        compiled = ad.jit(f)
        run = compiled.lower(A)._program.run
        count += check_every_call(lambda: compiled(A), times(1, 2, len(KINDS)), ARRAYS, lambda calls: calls.program(run))
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


def looks(call, wanted, cycle=lambda: None):
    """At about so many places, evenly among all where Python looks for a signal: (place, error, where it was raised)."""
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
    wanted = times(3, 12, 400) if heavy else times(10, 60, 100_000)
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
        try:
            interrupts.run(lambda: step(y, part, x))
        except KeyboardInterrupt:
            pass
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
    refused = count = 0
    for at in range(1, counting.count + 1, times(5, 1, 1)):
        pressed = Interrupts(at, KeyboardInterrupt("pressed"))
        try:
            y, d = ad.value_and_grad(lambda x, pressed=pressed: go_on(x, pressed))(A)
        except ad.errors.GraphError as error:
            assert "recorded only in part" in str(error)
            refused += 1
        else:
            found = any(np.isclose(y, v) and np.allclose(d, g) for v, g in right)
            assert found, f"a key at {pressed.where} gave {y} {d}"
        count += 1
    assert refused
    tried("keys pressed and caught inside of the function", count)


def test_a_write_whose_views_cannot_be_read_anew_changes_nothing(monkeypatch):
    read = ad.ops.index.read

    def f(x):
        y = x * 1.0
        whole = y[...]
        one, two = whole[1:], whole[:2]
        monkeypatch.setattr(ad.ops.index, "read", fails)
        with pytest.raises(MemoryError):
            one *= 3.0
        monkeypatch.setattr(ad.ops.index, "read", read)
        return np.sum(y * x) + np.sum(two * x[:2]) + np.sum(one)

    def fails(x, index):
        raise MemoryError

    def same(x):
        return np.sum(x * x) + np.sum(x[:2] * x[:2]) + np.sum(x[1:])

    assert bits(ad.value_and_grad(f)(A)) == bits(ad.value_and_grad(same)(A))
