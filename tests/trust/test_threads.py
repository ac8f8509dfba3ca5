"""Threads, tasks and processes: each computes what it computes alone, and leaves nothing with the others."""

import asyncio
import contextlib
import contextvars
import copy
import functools
import io
import itertools
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

import cloudpickle
import numpy as np
import pytest

import autodiff as ad
from autodiff import recorders, threads
from autodiff.compiler import program as program_module
from autodiff.errors import ClosedTraceError, GraphError, LeakError, LostHistoryError
from autodiff.op import FUNCTIONS
from autodiff.ops import ufuncs
from autodiff.recorders import SCOPE, TRACING, Trace
from tests.trust import shipped
from tests.trust.scale import times
from tests.trust.shipped import X

TIMEOUT = 60
jit_module = sys.modules["autodiff.compiler.jit"]  # where the package has the function


@pytest.fixture
def busy():
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def one_thread_a_core_again():
    yield
    ad.set_threads(None)


def in_threads(*functions):
    """Run these at the same time; their results in order, or the first failure."""
    results, failures = [None] * len(functions), []

    def runner(i, f):
        try:
            results[i] = f()
        except BaseException as error:  # a failing thread must fail the test
            failures.append(error)

    workers = [threading.Thread(target=runner, args=(i, f)) for i, f in enumerate(functions)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=TIMEOUT)
        assert not worker.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]
    return results


def bits(found):
    return [np.asarray(part).tobytes() for part in shipped.parts(found)]


# -- every schedule ------------------------------------------------------------------------------------------------


class Turns:
    """Lets two threads run in turns, as a schedule says: which of them goes on at each point."""

    def __init__(self, schedule):
        self.rest = deque(schedule)
        self.doors = [threading.Semaphore(0), threading.Semaphore(0)]

    def pass_on(self):
        if self.rest:
            self.doors[self.rest.popleft()].release()

    def wait(self, me):
        assert self.doors[me].acquire(timeout=TIMEOUT), "nobody passed the turn on"

    def run(self, *programs):
        """Each program is called with a function that is one of its points."""

        def whole(me, program):
            def point():
                self.pass_on()
                self.wait(me)

            self.wait(me)
            try:
                return program(point)
            finally:
                self.pass_on()

        self.pass_on()
        return in_threads(*(lambda me=me, f=f: whole(me, f) for me, f in enumerate(programs)))


def schedules(first, second):
    """Every order of so many parts of one program and so many of another."""
    for places in itertools.combinations(range(first + second), first):
        yield [0 if k in places else 1 for k in range(first + second)]


class Stop(Exception):
    pass


def nested(point):
    """6x² at 3, times 2: other engines with one trace stack for all threads give 0, or half of it."""

    def inner(y, x):
        z = x * y**2
        point()
        return z * 2.0

    def outer(x):
        point()
        slope = ad.grad(inner)(x, x)
        point()
        return slope * x

    return ad.grad(outer)(3.0)


def confusing(point):
    """d/dx x · d/dy (x + y) = 1: two levels that are taken for one another give 2."""

    def inner(y, x):
        point()
        return x + y

    def outer(x):
        slope = ad.grad(inner)(1.0, x)
        point()
        return x * slope

    point()
    return ad.grad(outer)(1.0)


def forward_over_reverse(point):
    def f(x):
        point()
        y = np.sin(x) * x
        point()
        return np.sum(y * y)

    return ad.hvp(f, (X,), (np.ones_like(X),))


def compiled_over_batch(point):
    def f(x):
        point()
        return np.tanh(x) * x

    point()
    return ad.jit(ad.vmap(ad.grad(f)))(X), ad.grad(lambda x: ad.checkpoint(f)(x))(0.5)


def failing(point):
    def inner(y, x):
        point()
        with ad.scope("left by an exception"):
            raise Stop

    def outer(x):
        point()
        try:
            return ad.grad(inner)(x, x)
        except Stop:
            return x * x

    found = ad.grad(outer)(3.0)
    point()
    return found


def scoped(point):
    def f(x):
        with ad.scope("a"):
            y = x * x
            point()
            with ad.scope("b"):
                point()
                y = np.sin(y)
        return y

    graph = ad.trace(f)(2.0)
    point()
    assert [node.scope for node in graph.nodes] == [("a",), ("a",), ("a", "b")]
    return graph.values.results[-1]


PROGRAMS = [nested, confusing, forward_over_reverse, failing, scoped, compiled_over_batch]
PAIRS = list(itertools.combinations_with_replacement(PROGRAMS, 2))
PAIRS = times([(f, g) for f, g in PAIRS if f is nested or (f is g and g is not compiled_over_batch)], PAIRS, PAIRS)


def points_of(program):
    count = itertools.count()
    found = bits(program(lambda: next(count)))
    return next(count), found


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda f: f.__name__)
def test_every_schedule_of_two_threads(first, second, tried):
    """All orders of the steps of two programs, each to the bit what it gives alone."""
    (a, alone), (b, other) = points_of(first), points_of(second)
    assert alone == bits(first(lambda: None))
    count = 0
    for schedule in schedules(a + 1, b + 1):
        found = Turns(schedule).run(first, second)
        assert [bits(part) for part in found] == [alone, other], schedule
        count += 1
    assert count == len(list(schedules(a + 1, b + 1))) >= 20
    assert TRACING.get() == 0
    assert SCOPE.get() == ()
    tried("schedules of two threads with nested gradients, each in full", count)


def test_what_those_programs_give():
    assert nested(lambda: None) == 6.0 * 2 * 9
    assert confusing(lambda: None) == 1.0
    assert failing(lambda: None) == 6.0


def test_one_thread_opens_and_closes_while_the_other_is_inside():
    inside, done = threading.Event(), threading.Event()

    def long_one(x):
        y = x * x
        inside.set()
        assert done.wait(30)
        return y * x

    def short_one():
        assert inside.wait(30)
        found = [ad.grad(lambda x: ad.grad(lambda y: x * y**3)(x))(2.0) for _ in range(5)]
        done.set()
        return found

    assert in_threads(lambda: ad.grad(long_one)(2.0), short_one) == [12.0, [36.0] * 5]


# -- many at once --------------------------------------------------------------------------------------------------

SHARED = np.linspace(-1.0, 1.0, 24).reshape(4, 6)


def network(w, x):
    with ad.scope("layer"):
        h = np.tanh(x @ w.T)
    return np.sum(h[..., 1:] * h[..., :-1]) + np.mean(np.sqrt(h * h + 1.0))


def written(x):
    y = x * 1.0
    y[1:] *= 2.0
    y += np.sin(x)
    return np.sum(y * np.sort(x))


def factored(x):
    a = np.outer(x, x) + np.eye(len(x)) * 3.0
    return np.sum(np.linalg.eigh(a)[0] ** 2) + np.linalg.slogdet(a)[1]


def _kinds():
    compiled, swept = ad.jit(network), ad.jit(ad.grad(network))
    batched = ad.vmap(ad.grad(network), in_axes=(None, 0))
    compiled_batch = ad.jit(ad.vmap(lambda x: np.cumsum(np.tanh(x) + np.sin(x) * x)))
    checkpointed = ad.grad(lambda w, x: ad.checkpoint(network)(w, x))
    _, pullback = ad.vjp(lambda w: np.tanh(w @ X), SHARED)
    graph = ad.trace(network)(SHARED, X)
    second = ad.jit(lambda x: ad.grad(lambda y: np.sum(np.sin(y) * y))(x) * 2.0)
    return {
        "a network": lambda k: ad.grad(network)(SHARED, X * k),
        "writes": lambda k: ad.grad(written)(X * k),
        "factorisations": lambda k: ad.grad(factored)(X * k),
        "value_and_grad of grad": lambda k: ad.value_and_grad(lambda x: np.sum(ad.grad(written)(x) ** 2))(X * k),
        "jvp": lambda k: ad.jvp(network, (SHARED, X * k), (SHARED, X)),
        "one compiled function": lambda k: compiled(SHARED * k, X),
        "the gradient of one compiled function": lambda k: ad.grad(compiled)(SHARED, X * k),
        "one compiled gradient": lambda k: swept(SHARED, X * k),
        "one compiled gradient inside of another": lambda k: second(X * k),
        "vmap": lambda k: batched(SHARED, np.stack([X, X * k, X + k])),
        "one compiled vmap": lambda k: compiled_batch(SHARED * k),
        "checkpoint": lambda k: checkpointed(SHARED, X * k),
        "flow": lambda k: ad.flow(network)(SHARED, X * k)["x"],
        "one pullback": lambda k: pullback(np.full(4, float(k))),
        "backward of one graph": lambda k: graph.backward(float(k)).delta[0],
    }


KINDS = _kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_eight_threads(kind, busy, tried):
    """Each on arguments of its own, by one function or pullback or graph: to the bit what it is alone."""
    work, each = KINDS[kind], times(12, 60, 2000)
    alone = [bits(work(1.0 + 0.25 * k)) for k in range(8)]

    def some(k):
        for n in range(each):
            which = (k + n) % 8
            assert bits(work(1.0 + 0.25 * which)) == alone[which]

    in_threads(*(functools.partial(some, k) for k in range(8)))
    tried("gradients in eight threads at once", 8 * each)


@pytest.mark.parametrize("made", [ad.jit, lambda f: ad.grad(ad.jit(f)), lambda f: ad.jit(ad.grad(f))])
def test_threads_that_compile_one_function_at_the_same_moment(made, busy, tried):
    rounds, barrier = times(3, 20, 300), threading.Barrier(8)
    for n in range(rounds):
        calls = []

        def f(x, calls=calls, n=n):
            calls.append(1)
            return np.sum(np.tanh(x * n) * x)

        run = made(f)

        def at_once(run=run):
            barrier.wait(TIMEOUT)
            return bits(run(X))

        found = in_threads(*[at_once] * 8)
        assert all(part == bits(made(f)(X)) for part in found)
    tried("functions compiled by eight threads at the same moment", rounds)


def test_the_caches_of_an_operation_are_filled_by_two_threads_at_once(busy, tried):
    """A plan, a reading, a path of einsum: what two threads make at the same time is the same thing."""
    rounds, barrier = times(20, 100, 2000), threading.Barrier(2)
    ops = [np.add, np.where, np.dot]
    names = ["add", "where", "dot"]

    def f(x):
        y = np.where(x > 1.0, x * 2.0, np.add(x, 1.0))
        return np.dot(y, x) + np.einsum("i,j->", y, x)

    alone = bits(ad.grad(f)(X))
    assert len(ops) == len(names)
    for _ in range(rounds):
        for op in ad.graph.OPERATIONS.values():
            op.plans.clear()
        assert in_threads(*[lambda: (barrier.wait(TIMEOUT), bits(ad.grad(f)(X)))[1]] * 2) == [alone] * 2
    tried("first uses of operations by two threads at once", rounds)


def python(text, *arguments, **settings):
    """Run a program in a process of its own; what it printed."""
    run = subprocess.run(
        [sys.executable, "-W", "error", *settings.pop("options", ()), "-c", textwrap.dedent(text), *arguments],
        capture_output=True, text=True, timeout=120, check=False, **settings,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_rules_for_scipy_are_loaded_by_two_threads_at_once(tried):
    """Nothing of them is there before a tensor meets one of SciPy's ufuncs: both meet it first."""
    rounds = times(1, 2, 20)
    for _ in range(rounds):
        said = python("""
            import sys, threading
            import numpy as np
            import autodiff as ad
            from scipy.special import gammaln, erf
            assert "autodiff.scipy.special" not in sys.modules
            sys.setswitchinterval(1e-6)
            barrier, found = threading.Barrier(4), []
            def work(f):
                barrier.wait(60)
                found.append(float(ad.grad(f)(2.0)))
            workers = [threading.Thread(target=work, args=(f,)) for f in (gammaln, erf, gammaln, erf)]
            [worker.start() for worker in workers], [worker.join() for worker in workers]
            print(sorted(round(x, 9) for x in found))
        """)
        assert said == "[0.020666985, 0.020666985, 0.422784335, 0.422784335]"
    tried("processes whose threads load the rules for SciPy at once", rounds)


def test_a_thread_of_before_brings_no_program_of_before_back(monkeypatch):
    """It is in its call while the array around the function is replaced by another thread's."""
    around = {"scale": np.ones(2)}
    f = ad.jit(lambda x: x * around["scale"])
    paused, go_on = threading.Event(), threading.Event()
    made = jit_module._Recent

    def slow(*parts):
        if threading.current_thread() is not threading.main_thread():
            paused.set()
            assert go_on.wait(TIMEOUT)
        return made(*parts)

    monkeypatch.setattr(jit_module, "_Recent", slow)
    worker = threading.Thread(target=f, args=(np.ones(2),))
    worker.start()
    assert paused.wait(TIMEOUT)
    around["scale"] = np.full(2, 5.0)
    assert list(f(np.ones(2))) == [5.0, 5.0]
    go_on.set()
    worker.join(TIMEOUT)
    assert list(f(np.ones(2))) == [5.0, 5.0]


def test_two_threads_compile_functions_that_call_one_another():
    """Each holds what the other one would wait for."""
    barrier = threading.Barrier(2)

    def f(x, first):
        if first:
            barrier.wait(TIMEOUT)
            return x + g(np.ones(2), False)
        return x * 2.0

    def g(x, first):
        if first:
            barrier.wait(TIMEOUT)
            return x + f(np.ones(2), False)
        return x * 3.0

    f, g = ad.jit(f), ad.jit(g)
    one, two = in_threads(lambda: f(np.ones(2), True), lambda: g(np.ones(2), True))
    assert list(one) == [4.0, 4.0]
    assert list(two) == [3.0, 3.0]


# -- a tensor in another thread ------------------------------------------------------------------------------------


def spread_out(x, parts=4):
    """A function that computes its parts in a pool of threads."""
    with ThreadPoolExecutor(parts) as pool:
        ys = list(pool.map(lambda k: branch(x, k), range(parts)))
    return np.sum(sum(ys))


def branch(x, k):
    for n in range(12):
        x = np.sin(x) * (0.3 + k / 7) + x / (n + 1)
        if n == 6:
            x = np.linalg.eigh(np.outer(x, x) + np.diag(np.arange(6.0) + k))[0]
    return x


def one_after_the_other(x, parts=4):
    return np.sum(sum(branch(x, k) for k in range(parts)))


IN_POOLS = {
    "grad": lambda f: ad.grad(f)(X),
    "grad of grad": lambda f: ad.grad(lambda x: np.sum(ad.grad(f)(x) ** 2))(X),
    "flow": lambda f: ad.flow(f)(X)["x"],
    "jvp": lambda f: ad.jvp(f, (X,), (np.ones(6),))[1],
    "jacobian": lambda f: ad.jacobian(f)(X),
    "hvp": lambda f: ad.hvp(f, (X,), (np.ones(6),))[1],
    "jit": lambda f: ad.jit(f)(X),
    "jit of grad": lambda f: ad.jit(ad.grad(f))(X),
    "vmap": lambda f: ad.vmap(f)(np.stack([X, X + 0.1])),
    "vmap of grad": lambda f: ad.vmap(ad.grad(f))(np.stack([X, X + 0.1])),
    "checkpoint": lambda f: ad.grad(ad.checkpoint(f))(X),
}


@pytest.mark.parametrize("kind", IN_POOLS)
def test_a_function_that_computes_its_parts_in_threads(kind, busy, tried):
    """The nodes come in another order each time, and with them the terms of the sums of δ: so not to the bit."""
    each = times(3, 10, 300)
    wanted = IN_POOLS[kind](one_after_the_other)
    for _ in range(each):
        np.testing.assert_allclose(IN_POOLS[kind](spread_out), wanted, rtol=1e-9, atol=1e-11)
    tried("traced functions that compute in four threads", each)


@pytest.mark.parametrize("make", [ad.grad, ad.trace])
def test_two_threads_that_are_the_first_to_use_an_argument(make, monkeypatch):
    """It has one node, whoever comes first: of two its gradient would be that of one thread's part."""
    for kind in (Trace, recorders.FullTrace):
        record = vars(kind)["record"]

        def slow(self, op, *rest, record=record):
            if op is recorders.INPUT:
                time.sleep(0.05)  # the other thread has all the time that it needs
            return record(self, op, *rest)

        monkeypatch.setattr(kind, "record", slow)

    def f(x):
        one, two = in_threads(lambda: x * 2.0, lambda: x * 5.0)
        return one + two

    if make is ad.grad:
        assert ad.grad(f)(1.0) == 7.0
    else:
        assert [node.op.name for node in ad.trace(f)(1.0).nodes].count("input") == 1


def test_results_of_one_operation_that_two_threads_use(monkeypatch):
    """As an argument has one node, so has each of the results of a factorisation."""
    item = recorders.ITEM
    record = Trace.record

    def slow(self, op, *rest):
        if op is item:
            time.sleep(0.05)
        return record(self, op, *rest)

    monkeypatch.setattr(Trace, "record", slow)

    def f(x):
        w = np.linalg.eigh(np.outer(x, x) + np.diag(np.arange(6.0)))[0]
        one, two = in_threads(lambda: np.sum(w * 2.0), lambda: np.sum(w * 5.0))
        return one + two

    np.testing.assert_allclose(
        ad.grad(f)(X), 7 * ad.grad(lambda x: np.sum(np.linalg.eigh(np.outer(x, x) + np.diag(np.arange(6.0)))[0]))(X),
        rtol=1e-12,
    )  # fmt: skip


def test_recording_in_turns_as_python_without_its_lock_does(monkeypatch, busy):
    monkeypatch.setattr(Trace, "record", recorders.in_turn(Trace.record))
    np.testing.assert_allclose(ad.grad(spread_out)(X), ad.grad(one_after_the_other)(X), rtol=1e-9)


def test_a_thread_that_goes_on_after_the_function_has_returned():
    """What it computes then belongs to no gradient, and is refused."""
    may, failed = threading.Event(), []

    def late(x):
        assert may.wait(TIMEOUT)
        try:
            np.sin(x)
        except ClosedTraceError as error:
            failed.append(error)

    workers = []

    def f(x):
        workers.append(threading.Thread(target=late, args=(x * 2.0,)))
        workers[0].start()
        return x * x

    assert ad.grad(f)(3.0) == 6.0
    may.set()
    workers[0].join(TIMEOUT)
    assert len(failed) == 1
    assert "already returned" in str(failed[0])


# -- work that is spread over threads ------------------------------------------------------------------------------


def test_nothing_is_written_after_a_part_has_failed():
    """What the parts write into has another user right after: the arena of a program."""
    ad.set_threads(4)
    inside, left = threading.Barrier(4), []

    def part(number, thread):
        inside.wait(TIMEOUT)
        if thread == 1:  # the first that is waited for
            raise ZeroDivisionError
        time.sleep(0.1)
        left.append(thread)

    with pytest.raises(ZeroDivisionError):
        threads.spread(part, 4, 1 << 40)
    assert sorted(left) == [0, 2, 3]


def test_an_interrupt_while_others_are_at_work_waits_for_them(monkeypatch):
    ad.set_threads(2)
    started, left, asked = threading.Event(), [], []

    def part(number, thread):
        if thread == 1:
            started.set()
            time.sleep(0.2)
            left.append(number)
        else:
            assert started.wait(TIMEOUT)

    def interrupted(futures):
        asked.append(1)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return wait(futures)

    monkeypatch.setattr(threads, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.spread(part, 2, 1 << 40)
    assert len(left) == 1


def test_where_no_thread_can_be_started_the_caller_does_the_work(monkeypatch):
    ad.set_threads(4)

    def refused(self, *work):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refused)
    done = []
    threads.spread(lambda number, thread: done.append(number), 9, 1 << 40)
    assert done == [*range(9)]


def test_large_work_at_the_end_of_a_process():
    """When no thread can be started any more. And a graph with an operation of SciPy's brings its rules along."""
    pytest.importorskip("scipy")
    from scipy.special import gammaln

    text = pickle.dumps(ad.trace(gammaln)(2.5)).hex()
    said = python("""
        import atexit, pickle, sys
        import autodiff as ad
        from tests.trust.shipped import LARGE, compiled_large
        graph = pickle.loads(bytes.fromhex(sys.argv[1]))
        print(round(float(graph.backward(1.0).delta[0]), 9))
        ad.set_threads(4)
        before = compiled_large(LARGE)
        atexit.register(lambda: print(compiled_large(LARGE) == before))
    """, text)  # fmt: skip
    assert said.split() == ["0.703156641", "True"]


def test_large_work_of_many_threads_by_one_program(tried):
    """Its arena, and the memory of its tiles, is another one in each call that runs."""
    each = times(3, 10, 200)
    ad.set_threads(3)
    (alone,) = shipped.of_large()
    found = in_threads(*[functools.partial(shipped.of_large, each)] * 4)
    assert all(part == alone for many in found for part in many)
    tried("large compiled functions and their sweeps in four threads, each on three", 8 * each)
    assert program_module.threads() == 3


# -- settings stay where they are ----------------------------------------------------------------------------------


def settled():
    """What one thread or task sets and another one must not see."""
    return SCOPE.get(), TRACING.get(), np.geterr(), list(warnings.filters), ad.trace(np.sin)(1.0).nodes[1].scope


def test_nothing_is_left_in_a_thread_or_by_it(busy):
    before = settled()

    def work(k):
        def f(x):
            with ad.scope(f"thread {k}"), np.errstate(all="raise"):
                return np.sum(np.sin(x) * k)

        for _ in range(20):
            assert ad.trace(f)(X).nodes[-1].scope == (f"thread {k}",)
            with pytest.raises(Stop):
                ad.grad(raising)(X)
        return settled()[:3]

    found = in_threads(*(functools.partial(work, k) for k in range(4)))
    assert all(part == ((), 0, np.geterr()) for part in found)
    assert settled() == before


def raising(x):
    with ad.scope("open"), np.errstate(divide="call"):
        ad.grad(lambda y: np.sum(y * x))(x)
        raise Stop


def test_the_filters_of_warnings_stay_as_they_are(busy, monkeypatch, tried):
    """Python has one list of them for all threads; two that change it in turns leave one's for good."""
    pytest.importorskip("scipy")
    from autodiff.scipy import linalg

    each, before = times(30, 200, 3000), list(warnings.filters)

    def work():
        for _ in range(each):
            ad.grad(lambda x: np.fmax.reduce(x))(X)
            ad.grad(lambda x: np.sum(linalg.sqrtm(np.outer(x, x) + 3 * np.eye(6))))(X)

    in_threads(*[work] * 4)
    assert list(warnings.filters) == before

    def slowly(x, **settings):
        time.sleep(0.1)
        return quick(x, **settings)

    quick = FUNCTIONS[ufuncs.SAME[np.fmax]]

    def later():
        time.sleep(0.04)  # inside while the first one is, and there still when that one leaves
        return ad.grad(lambda x: np.fmax.reduce(x))(X)

    monkeypatch.setitem(FUNCTIONS, ufuncs.SAME[np.fmax], slowly)
    in_threads(lambda: ad.grad(lambda x: np.fmax.reduce(x))(X), later)
    assert list(warnings.filters) == before
    tried("operations that keep a warning of NumPy's or SciPy's quiet, in four threads", 8 * each)


def test_tasks_do_not_see_one_anothers_scopes():
    async def task(name, other):
        with ad.scope(name):
            await asyncio.sleep(0)
            graph = ad.trace(lambda x: ad.grad(lambda y: y * x)(x) * x)(2.0)
            await asyncio.sleep(0)
            assert {node.scope for node in graph.nodes[1:]} == {(name,)}
            inside = await asyncio.to_thread(lambda: ad.trace(np.sin)(1.0).nodes[1].scope)
            assert inside == (name,)  # to_thread takes the context along
            if other:
                raise Stop
        await asyncio.sleep(0)
        return SCOPE.get()

    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(task(f"task {k}", False)) for k in range(20)]
        found = await asyncio.gather(task("a", False), task("b", True), return_exceptions=True)
        return [t.result() for t in tasks], found

    plain, found = asyncio.run(main())
    assert plain == [()] * 20
    assert found[0] == ()
    assert isinstance(found[1], Stop)
    assert SCOPE.get() == ()


def test_gradients_of_functions_that_run_tasks_and_wait_for_threads():
    async def part(x, k):
        await asyncio.sleep(0)
        return np.sin(x) * k

    async def parts(x):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part(x, k)) for k in (1.0, 2.0, 3.0)]
        rest = await asyncio.to_thread(lambda: x * x)
        return sum(task.result() for task in tasks) + rest

    np.testing.assert_allclose(ad.grad(lambda x: np.sum(asyncio.run(parts(x))))(X), 6 * np.cos(X) + 2 * X, rtol=1e-15)


def test_a_coroutine_and_a_generator_are_no_results():
    async def later(x):
        return x * x

    def numbers(x):
        yield x * x

    found = []
    with pytest.raises(ad.errors.NotScalarError, match="coroutine"):
        ad.grad(lambda x: found.append(later(x)) or found[0])(1.0)
    found[0].close()
    with pytest.raises(ad.errors.NotScalarError, match="generator"):
        ad.grad(numbers)(1.0)


def test_a_tensor_that_a_generator_carries_out_of_its_function():
    made = []

    def numbers(x):
        while True:
            x = x * 2.0
            yield x

    def f(x):
        made.append(numbers(x))
        return next(made[0]) * x

    assert ad.grad(f)(3.0) == 12.0
    with pytest.raises(ClosedTraceError):
        next(made[0])
    assert settled()[:2] == ((), 0)


def layers(name):
    """A generator that is suspended inside of a scope."""
    with ad.scope(name):
        yield SCOPE.get()
        yield SCOPE.get()


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_generators_that_end_in_another_order_than_they_began(order):
    """Each leaves the scope that it came into, and no other one."""
    with ad.scope("outside"):
        made = {name: layers(name) for name in "abc"}
        assert [next(one) for one in made.values()][-1] == ("outside", "a", "b", "c")
        left = dict.fromkeys("abc")
        for name in order:
            made[name].close()
            del left[name]
            assert SCOPE.get() == ("outside", *left)
    assert SCOPE.get() == ()


def test_a_generator_that_outlives_its_scope_and_one_that_ends_elsewhere():
    with ad.scope("outside"):
        one = layers("inside")
        next(one)
    assert SCOPE.get() == ("inside",)
    one.close()
    assert SCOPE.get() == ()
    two = layers("two")
    next(two)
    in_threads(two.close)  # in another context: nothing to leave there, and no error
    contextvars.copy_context().run(lambda: None)
    assert SCOPE.get() == ("two",)
    SCOPE.set(())


@pytest.mark.parametrize("transform", [ad.grad, ad.trace, ad.vmap, ad.jit, ad.jacobian])
def test_a_generator_that_a_function_leaves_behind(transform):
    """The scope that it stands in ends with the function that is traced."""
    kept = []

    def f(x):
        kept.append(layers("left behind"))
        next(kept[-1])
        return x * 2.0

    transform(f)(X if transform is ad.vmap else 1.0)
    assert SCOPE.get() == ()
    assert ad.trace(np.sin)(1.0).nodes[1].scope == ()
    kept[-1].close()
    assert SCOPE.get() == ()


# -- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_while_the_pool_is_there(recwarn):
    """Its threads are not in the child, which starts its own."""
    ad.set_threads(3)
    wanted = shipped.of_large()
    assert threads._pool is not None
    assert forked(lambda: shipped.of_large() == wanted)
    assert shipped.of_large() == wanted
    assert all("fork" in str(warning.message) for warning in recwarn)  # Python 3.12 and later warn of every such fork


def forked(ask):
    """Whether this holds in a child of this process."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if ask() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_while_another_thread_compiles_and_records(recwarn):
    """In the child that thread is gone, with what it held."""
    inside, go_on = threading.Event(), threading.Event()

    def f(x):
        if not inside.is_set():
            inside.set()
            assert go_on.wait(TIMEOUT)
        return np.sum(x * 2.0)

    compiled = ad.jit(f)
    worker = threading.Thread(target=compiled, args=(X,))
    worker.start()
    assert inside.wait(TIMEOUT)
    recorders._turn.acquire()  # as if a thread were within a step that belongs together
    try:
        held = in_threads(lambda: forked(lambda: bits(compiled(X)) == bits(f(X)) and ad.grad(f)(X)[0] == 2.0))
    finally:
        recorders._turn.release()
        go_on.set()
        worker.join(TIMEOUT)
    assert held == [True]
    assert all("fork" in str(warning.message) for warning in recwarn)


@pytest.mark.parametrize("start", [pytest.param(name, marks=pytest.mark.slow) if name != "fork" else name
                                   for name in multiprocessing.get_all_start_methods()])  # fmt: skip
def test_functions_in_processes(start, recwarn, tried):
    """Sent by name or by the call that made them; compiled anew there, to the same bits."""
    ad.set_threads(2)
    wanted = {name: shipped.computed(name) for name in shipped.MADE}
    large = shipped.of_large()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
        jobs = {name: pool.submit(shipped.bits, make()) for name, make in shipped.MADE.items()}
        there = pool.submit(shipped.of_large)
        assert {name: job.result(TIMEOUT) for name, job in jobs.items()} == wanted
        assert there.result(TIMEOUT) == large
    assert all("fork" in str(warning.message) for warning in recwarn)
    tried("functions that transforms made, sent to other processes", len(wanted))


# -- pickles -------------------------------------------------------------------------------------------------------

PICKLERS = {
    **{f"pickle, protocol {n}": lambda x, n=n: pickle.dumps(x, n) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "pickle in Python": lambda x: in_python(x),
    "cloudpickle": cloudpickle.dumps,
}


def in_python(x):
    stream = io.BytesIO()
    pickle._Pickler(stream).dump(x)
    return stream.getvalue()


@pytest.mark.parametrize("name", shipped.MADE)
def test_what_transforms_make_is_pickled(name, tried):
    """Before it ran and after, by every protocol, and copied: the same bits."""
    f = shipped.MADE[name]()
    dumped = [dump(f) for dump in PICKLERS.values()]
    wanted = shipped.bits(f)
    dumped += [dump(f) for dump in PICKLERS.values()]
    for text in dumped:
        assert shipped.bits(pickle.loads(text)) == wanted
    for again in (copy.copy(f), copy.deepcopy(f)):
        assert shipped.bits(again) == wanted
    assert shipped.bits(f) == wanted
    tried("functions that transforms made, pickled or copied", len(dumped) + 2)


def test_a_compiled_function_is_compiled_anew():
    f = ad.jit(shipped.loss)
    f(X)
    again = pickle.loads(pickle.dumps(f))
    assert repr(again) == "<jit loss: 0 programs>"
    assert again(X).tobytes() == f(X).tobytes()
    assert repr(again) == "<jit loss: 1 programs>"


def test_what_is_decorated_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(shipped.decorated)) is shipped.decorated
    assert pickle.loads(pickle.dumps(shipped.twice_decorated)) is shipped.twice_decorated
    assert pickle.loads(pickle.dumps(shipped.Model.slope)) is shipped.Model.slope
    assert pickle.loads(pickle.dumps(shipped.tanh)) is shipped.tanh
    assert pickle.loads(pickle.dumps(shipped.tanh.op)) is shipped.tanh.op
    assert cloudpickle.loads(cloudpickle.dumps(shipped.decorated)) is shipped.decorated


def test_where_the_function_cannot_be_pickled_neither_can_what_is_made_of_it():
    for transform in (ad.grad, ad.jit, ad.vmap, ad.checkpoint, ad.flow):
        with pytest.raises((pickle.PicklingError, AttributeError), match="<lambda>"):
            pickle.dumps(transform(lambda x: x * x))


def test_a_function_that_is_made_is_a_function_still():
    class Owner:
        rate = 0.5
        slope = ad.grad(lambda self, x: np.sum(x * x) * self.rate, argnums=1)

    assert Owner().slope(np.ones(2)).tolist() == [1.0, 1.0]
    assert Owner.slope(Owner(), np.ones(2)).tolist() == [1.0, 1.0]
    assert pickle.loads(pickle.dumps(shipped.Model(X).step))(X).tolist() == shipped.Model(X).step(X).tolist()
    assert repr(ad.grad(shipped.loss)) == "<grad of loss>"
    assert ad.grad(shipped.loss).__module__ == shipped.loss.__module__
    assert ad.grad(lambda self, x: self * x)(2.0, x=3.0) == 3.0  # no name is taken


def test_an_operation_that_is_taken_by_its_code_is_the_one_that_is_known():
    """Where it is the same: so that graphs that come back can be saved. Another one stays apart from it."""
    spaces = []
    for factor in (3.0, 3.0, 5.0):
        space = {"__name__": "__main__", "ad": ad}
        exec(textwrap.dedent(f"""
            @ad.primitive
            def scaled_in_main(x):
                return x * {factor}

            scaled_in_main.defvjp(lambda d, y, x: d * {factor})
        """), space)  # fmt: skip
        spaces.append(space["scaled_in_main"])
    one, again, other = spaces
    sent = cloudpickle.dumps([one, again, other])
    known = ad.graph.OPERATIONS.pop("__main__.scaled_in_main")
    assert known is other.op
    try:
        ad.graph.OPERATIONS["__main__.scaled_in_main"] = one.op
        first, second, third = pickle.loads(sent)
        assert first is second is one
        assert third not in (one, again)
        assert [float(ad.grad(f)(1.0)) for f in (first, second, third)] == [3.0, 3.0, 5.0]
        assert ad.graph.OPERATIONS["__main__.scaled_in_main"] is one.op
    finally:
        del ad.graph.OPERATIONS["__main__.scaled_in_main"]


SCRIPT = """
import sys
import cloudpickle
import numpy as np
import autodiff as ad

@ad.jit
def compiled(x):
    return np.sum(np.sin(x) * shift)

@ad.grad
def slope(x):
    return np.sum(np.tanh(triple(x)))

@ad.primitive
def triple(x):
    return 3.0 * x

triple.defvjp(lambda d, y, x: 3.0 * d)
shift = np.arange(3.0)
made = [compiled, slope, ad.vmap(lambda x: x * shift), ad.jit(ad.hessian(lambda x: np.sum(x**3))), triple,
        ad.grad(ad.jit(ad.checkpoint(lambda x: np.sum(np.cos(x))))), ad.vjp(lambda x: triple(x) * x, np.arange(3.0))[1]]
sys.stdout.buffer.write(cloudpickle.dumps((made, [f(np.ones(3)) for f in made])))
"""


def test_functions_of_a_script_reach_a_process_that_does_not_know_it(tmp_path):
    """By their code, as cloudpickle sends functions: the decorated ones too, whose name is another one's there."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, path], capture_output=True, check=True, timeout=120, env=environment)
    known = dict(ad.graph.OPERATIONS)
    made, wanted = pickle.loads(run.stdout)
    try:
        for f, value in zip(made, wanted, strict=True):
            assert bits(f(np.ones(3))) == bits(value)
    finally:
        for name in ad.graph.OPERATIONS.keys() - known.keys():
            del ad.graph.OPERATIONS[name]


@pytest.mark.parametrize("dump", PICKLERS)
def test_graphs_and_flows_are_pickled(dump, tried):
    """With a user's operation that is named like one of ours, and is not that one."""
    from autodiff.sweep import evaluate

    for f in (shipped.with_tanh, shipped.loss):
        graph, flow = ad.trace(f)(X), ad.flow(f)(X)
        for again in (pickle.loads(PICKLERS[dump](graph)), copy.deepcopy(graph), copy.copy(graph)):
            assert again == graph
            assert again.ops == graph.ops
            assert bits(evaluate(again, [X * 2]).results[-1]) == bits(f(X * 2))
            assert bits(again.backward(1.0).delta[0]) == bits(graph.backward(1.0).delta[0])
        for again in (pickle.loads(PICKLERS[dump](flow)), copy.deepcopy(flow)):
            assert bits(again["x"]) == bits(flow["x"]) == bits(ad.grad(f)(X))
            assert str(again) == str(flow)
    tried("graphs and flows, pickled or copied", 10)


def test_a_graph_that_holds_code_is_refused_when_it_is_pickled():
    graph = ad.trace(ad.checkpoint(np.sin))(X)
    for dump in PICKLERS.values():
        with pytest.raises(GraphError, match=r"checkpoint is not registered(.|\n)*why(.|\n)*without ad.checkpoint"):
            dump(graph)
    assert copy.deepcopy(graph) == graph  # in one process it is as good as it was


CONTAINERS = {
    "alone": lambda x: x,
    "in a list in a dict": lambda x: {"a": [1, (x, 2)]},
    "in a partial": lambda x: functools.partial(max, x),
    "in an object": lambda x: shipped.Model(x),
    "among the parts of a gradient": lambda x: ad.grad(functools.partial(shipped.loss, scale=x)),
    "in an exception": lambda x: ValueError(x),
}
OPEN = {
    "grad": lambda f: ad.grad(f)(X),
    "grad of grad": lambda f: ad.grad(lambda x: np.sum(ad.grad(f)(x)))(X),
    "trace": lambda f: ad.trace(f)(X),
    "jvp": lambda f: ad.jvp(f, (X,), (X,)),
    "jit": lambda f: ad.jit(f)(X),
    "vmap": lambda f: ad.vmap(lambda x: f(x * np.ones(2)))(X),
    "checkpoint": lambda f: ad.grad(ad.checkpoint(f))(X),
}


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.parametrize("where", CONTAINERS)
def test_a_tensor_is_not_pickled(kind, where, tried):
    """Neither while its function runs nor after: where it arrives it would be plain numbers."""
    kept, count = [], 0

    def refused(x):
        held = CONTAINERS[where](x)
        for dump in PICKLERS.values():
            with pytest.raises(LostHistoryError, match=r"pickling it(.|\n)*where(.|\n)*what the function returns"):
                dump(held)
        queue = contextlib.closing(multiprocessing.SimpleQueue())
        with queue as here, pytest.raises(LostHistoryError, match="pickling it"):
            here.put(held)

    def f(x):
        nonlocal count
        refused(x)
        refused(x * 2.0)
        kept.append(x)
        count += 2 * (len(PICKLERS) + 1)
        return np.sum(x * x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.errors.CompileWarning)  # of what jit is told here: f stores its tensor
        OPEN[kind](f)
    refused(kept[0])
    tried("tensors that refuse to be pickled", count)


def test_a_tensor_that_is_copied_stays_a_tensor():
    def f(x):
        y = copy.deepcopy({"a": [x]})["a"][0] * copy.copy(x)
        return np.sum(y)

    np.testing.assert_array_equal(ad.grad(f)(X), 2 * X)


def test_a_tensor_sent_to_a_process_is_refused_by_name():
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(LostHistoryError, match="pickling it"):
        shipped.sends_a_tensor(lambda x: pool.apply(np.sum, (x,)))
    with pytest.raises((LeakError, LostHistoryError)):
        ad.jit(lambda x: pickle.dumps(np.array([x, None], object)) and x)(X)
