"""What is kept, for how long, and that nothing is left: counted in bytes, objects and calls, never in seconds."""

import gc
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff import rules

BIG = 20_000  # numbers in the arrays below: large beside everything that surrounds them


def peak(call, *args):
    """The most bytes that were held at once while `call` ran, over what was there before, and its result."""
    call(*args)  # what is made once and kept (plans, caches) is not counted
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call(*args)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before, result


def in_arrays(size):
    return size / (8 * BIG)


# -- nothing is left ---------------------------------------------------------------------------------------------------


def loss(params, x):
    hidden = np.tanh(x @ params["w"] + params["b"])
    hidden = hidden.at[0].set(1.0)
    hidden[1:] *= 2.0
    return np.sum(hidden[::2] ** 2)


PARAMS = {"w": np.ones((3, 4)) / 3, "b": np.zeros(4)}
INPUT = np.arange(6.0).reshape(2, 3)

USES = {
    "grad": lambda: ad.grad(loss)(PARAMS, INPUT),
    "value_and_grad": lambda: ad.value_and_grad(loss, (0, 1))(PARAMS, INPUT),
    "vjp": lambda: ad.vjp(loss, PARAMS, INPUT)[1](1.0),
    "a vjp that is never pulled": lambda: ad.vjp(loss, PARAMS, INPUT),
    "jvp": lambda: ad.jvp(loss, (PARAMS, INPUT), (PARAMS, INPUT)),
    "hvp": lambda: ad.hvp(lambda x: loss(PARAMS, x), (INPUT,), (INPUT,)),
    "hessian": lambda: ad.hessian(lambda x: loss(PARAMS, x))(INPUT),
    "jacobian": lambda: ad.jacobian(lambda x: x @ PARAMS["w"])(INPUT),
    "grad of grad": lambda: ad.grad(lambda x: np.sum(ad.grad(lambda y: np.sum(y**3))(x) ** 2))(INPUT),
    "trace": lambda: ad.trace(loss)(PARAMS, INPUT),
    "flow": lambda: str(ad.flow(loss)(PARAMS, INPUT)),
    "checkpoint": lambda: ad.grad(ad.checkpoint(loss))(PARAMS, INPUT),
    "networkx": lambda: ad.trace(loss)(PARAMS, INPUT).to_networkx() and None,
    "elementwise_grad": lambda: ad.elementwise_grad(np.tanh)(INPUT),
    "views": lambda: ad.grad(lambda x: sum(np.sum(row) for row in x.T))(INPUT),
    "an escaped tensor": lambda: ad.grad(lambda x: [x * 2][0].sum())(INPUT),
}


def left_behind(use):
    """How many objects only the garbage collector could free after this."""
    use()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            use()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("name", USES)
def test_no_reference_cycle_is_left(name):
    assert left_behind(USES[name]) == 0


class Stop(Exception):
    pass


@ad.primitive
def failing(x):
    return x * 2


@failing.defvjp
def _failing(d, y, x):
    raise Stop


def stops(x):
    y = np.tanh(x)
    y[0] = 1.0
    raise Stop


def stops_in_a_pullback():
    _, pullback = ad.vjp(lambda x: np.sum(failing(x)), INPUT)
    pullback(1.0)


FAILURES = {
    "in the function": lambda: ad.grad(stops)(INPUT),
    "in an inner gradient": lambda: ad.grad(lambda x: ad.grad(lambda y: stops(x * y))(x))(INPUT),
    "in a rule": lambda: ad.grad(lambda x: np.sum(failing(x)))(INPUT),
    "in a pullback": stops_in_a_pullback,
    "in a checkpoint": lambda: ad.grad(ad.checkpoint(stops))(INPUT),
    "not a scalar": lambda: ad.grad(np.tanh)(INPUT),
    "lost history": lambda: ad.grad(lambda x: float(x[0, 0]))(INPUT),
    "a write into a plain array": lambda: ad.grad(lambda x: INPUT.copy().__setitem__((0, 0), x[0, 0]))(INPUT),
    "a write beside a view": lambda: ad.grad(lambda x: (x.T, x.__setitem__(0, 1.0)))(INPUT),
    "an unknown setting": lambda: ad.grad(lambda x: np.tanh(x, where=False))(INPUT),
    "no rule": lambda: ad.grad(lambda x: np.packbits(x))(INPUT),
    "an integer": lambda: ad.grad(np.sum)(3),
    "a seed": lambda: ad.vjp(np.tanh, INPUT)[1](1.0),
    "NumPy's own": lambda: ad.grad(lambda x: x @ x)(INPUT),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_reference_cycle_is_left_by_a_failure(name):
    def use():
        try:
            FAILURES[name]()
        except Exception:
            return
        raise AssertionError("it did not fail")

    assert left_behind(use) == 0


def test_a_dropped_pullback_frees_what_it_held():
    def use():
        return ad.vjp(lambda x: np.sum(np.tanh(np.tanh(x))), np.ones(BIG))[1]

    use()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        pullback = use()
        held, _ = tracemalloc.get_traced_memory()
        del pullback
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert in_arrays(held - before) > 1.9
    assert in_arrays(after - before) < 0.1


# -- what a lean trace keeps -------------------------------------------------------------------------------------------


def chain(step, depth):
    def f(x):
        for _ in range(depth):
            x = step(x)
        return np.sum(x)

    return f


def test_sums_keep_nothing():
    size, _ = peak(ad.grad(chain(lambda x: x + 1.5, 50)), np.ones(BIG))
    assert in_arrays(size) < 6


def test_products_with_a_constant_keep_nothing():
    size, _ = peak(ad.grad(chain(lambda x: x * 1.5, 50)), np.ones(BIG))
    assert in_arrays(size) < 6


def test_what_is_read_for_its_shape_alone_is_not_kept():
    size, _ = peak(ad.grad(chain(lambda x: np.reshape(x * 2.0, (2, -1)).reshape(-1) - 1.0, 50)), np.ones(BIG))
    assert in_arrays(size) < 6


def test_a_chain_keeps_one_array_a_step_and_the_sweep_adds_a_few():
    size, _ = peak(ad.grad(chain(np.tanh, 50)), np.ones(BIG))
    assert 49 < in_arrays(size) < 56


def test_the_sweep_lets_go_as_it_goes():
    """A second gradient inside the first would need twice as much if values outlived their last use."""
    shallow, _ = peak(ad.grad(chain(np.tanh, 40)), np.ones(BIG))
    two = chain(np.tanh, 40)
    both, _ = peak(lambda x: (ad.grad(two)(x), ad.grad(two)(x))[1], np.ones(BIG))
    assert both < shallow * 1.1


def test_checkpoints_trade_memory_for_a_second_run():
    block = lambda x: np.tanh(np.tanh(np.tanh(np.tanh(np.tanh(x)))))
    plain, kept = peak(ad.grad(chain(block, 8)), np.ones(BIG))
    saved, again = peak(ad.grad(chain(ad.checkpoint(block), 8)), np.ones(BIG))
    np.testing.assert_array_equal(kept, again)
    assert saved < plain / 2


# -- fan-out and reads -------------------------------------------------------------------------------------------------


def test_fan_out_sums_into_one_buffer():
    def f(x):
        total = 0.0
        for k in range(200):
            total = total + x * (k * 0.5)
        return np.sum(total)

    size, found = peak(ad.grad(f), np.ones(BIG))
    assert np.all(found == sum(k * 0.5 for k in range(200)))
    assert in_arrays(size) < 10


def reads(x):
    total = 0.0
    for i in range(len(x)):
        total = total + x[i] * x[i]
    return total


def calls_of(f, *args):
    """The number of Python and C calls while f runs: a measure of work that no clock disturbs."""
    count = [0]

    def tally(frame, event, arg):
        if event in ("call", "c_call"):
            count[0] += 1

    f(*args)
    sys.setprofile(tally)
    try:
        f(*args)
    finally:
        sys.setprofile(None)
    return count[0]


@pytest.mark.parametrize("f", [
    reads, lambda x: sum(e * e for e in x), lambda x: sum(np.sum(x[i : i + 2]) for i in range(len(x))),
    lambda x: sum(np.sum(x[np.array([i, i])]) for i in range(len(x))),
], ids=["scalars", "iteration", "slices", "repeated positions"])  # fmt: skip
def test_reading_every_element_is_linear(f, monkeypatch):
    """Ten times the reads of ten times the numbers: at most twelve times the calls, and as many numbers written."""
    written = []
    zeros = np.zeros
    counted = lambda shape, *rest, **kw: written.append(np.prod(shape)) or zeros(shape, *rest, **kw)
    monkeypatch.setattr(np, "zeros", counted)
    monkeypatch.setattr(rules.Update, "dense", lambda *args: pytest.fail("a dense δ for every read"))
    gradient = ad.grad(f)
    counts, filled = [], []
    for n in (100, 1000):
        counts.append(calls_of(gradient, np.ones(n)))
        written.clear()
        gradient(np.ones(n))
        filled.append(sum(written))
    assert counts[1] <= 12 * counts[0]
    assert filled[1] <= 12 * filled[0]


def test_reading_every_element_holds_one_dense_delta():
    x = np.ones(3000)
    size, found = peak(ad.grad(reads), x)
    assert np.all(found == 2.0)
    assert size < 3000 * 3000  # a dense δ for every read would hold eight times as much


def test_one_call_an_operation_in_depth():
    """The calls of a gradient grow with the length of a chain, and with nothing else."""
    counts = [calls_of(ad.grad(chain(lambda x: x * 1.0001, n)), 1.0) for n in (100, 1000, 2000)]
    assert counts[2] - counts[1] <= 1.2 * (counts[1] - counts[0]) * 1000 / 900


# -- long runs, in a process of their own ------------------------------------------------------------------------------

MIB = 1024 * 1024

STEPS = """
    import gc, sys
    import numpy as np
    import autodiff as ad

    def resident():
        with open("/proc/self/statm") as stream:
            return int(stream.read().split()[1]) * 4096

    def loss(params, x):
        hidden = np.tanh(x @ params["w"] + params["b"])
        return np.sum(hidden[0] ** 2)

    params, x = {"w": np.ones((3, 4)) / 3, "b": np.zeros(4)}, np.ones((2, 3))
    step = ad.value_and_grad(loss)
    gc.disable()
    for _ in range(1000):
        step(params, x)
    gc.collect()
    before = resident()
    for _ in range(int(sys.argv[1])):
        _, g = step(params, x)
        params = {key: params[key] - 1e-6 * g[key] for key in params}
    print(resident() - before, gc.collect())
"""

CHAIN = """
    import sys
    import autodiff as ad

    assert sys.getrecursionlimit() == 1000
    n = int(sys.argv[1])

    def f(x):
        for _ in range(n):
            x = x * 1.0000001
        return x

    slope = ad.grad(f)(1.0)
    assert abs(slope / 1.0000001**n - 1) < 1e-9, slope
    with open("/proc/self/status") as stream:  # getrusage would count the process that this one was forked from
        print(next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmHWM")))
"""

FULL_CHAIN = """
    import sys
    import autodiff as ad

    assert sys.getrecursionlimit() == 1000
    n = int(sys.argv[1])

    def f(x):
        for _ in range(n):
            x = x + 1.0
        return x

    flow = ad.flow(f)(1.0)
    assert flow["x"] == 1.0
    assert len(flow.graph.consumers) == n + 1
    assert len(str(flow)) and len(repr(flow.graph))
    ad.check(flow.graph)
    assert ad.jvp(f, (1.0,), (2.0,))[1] == 2.0
    y, pullback = ad.vjp(f, 1.0)
    del flow, y, pullback
    with open("/proc/self/status") as stream:  # getrusage would count the process that this one was forked from
        print(next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmHWM")))
"""

FAN = """
    import sys
    import autodiff as ad

    n = int(sys.argv[1])

    def f(x):
        return sum((x * 1.0 for _ in range(n)), 0.0)

    assert ad.grad(f)(1.0) == n
    with open("/proc/self/status") as stream:  # getrusage would count the process that this one was forked from
        print(next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmHWM")))
"""


def run(script, count):
    """The numbers that a script prints, in an interpreter of its own with its default recursion limit."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(count)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_steps_with_the_collector_off_do_not_grow(count):
    grown, found = run(STEPS, count)
    assert grown < 5 * MIB
    assert found == 0


@needs_proc
@pytest.mark.parametrize(("script", "count", "limit"), [
    (CHAIN, 50_000, 150), (FULL_CHAIN, 20_000, 150), (FAN, 20_000, 150),
    pytest.param(CHAIN, 1_000_000, 1024, marks=pytest.mark.slow),
    pytest.param(FULL_CHAIN, 300_000, 1024, marks=pytest.mark.slow),
    pytest.param(FAN, 1_000_000, 1800, marks=pytest.mark.slow),  # two million nodes: a product and a sum each
], ids=lambda v: str(v) if isinstance(v, int) else {CHAIN: "chain", FULL_CHAIN: "full", FAN: "fan"}[v])  # fmt: skip
def test_long_chains_and_wide_fans_fit(script, count, limit):
    """Forward, reverse and release, without a recursion anywhere."""
    (most,) = run(script, count)
    assert most < limit * MIB
