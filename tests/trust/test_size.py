"""Nothing about a graph is recursive, quadratic or without a bound: deep, wide, nested, in small stacks, for long.

Growth is judged by what is counted: bytes, calls, steps. Time is asserted nowhere.
"""

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import GraphError, NestingError, PictureError
from autodiff.flows import blocks, routes, walks
from autodiff.flows.structure import Seen, find_joins
from autodiff.sweep import evaluate
from tests.trust.scale import times

MANY = times(3_000, 20_000, 1_000_000)
FEW = times(500, 3_000, 300_000)  # where a node costs more than a few microseconds
NODES = 2.5  # bytes of a graph may grow so much more than its nodes: lists grow in steps


def deep(count):
    def chain(x):
        for _ in range(count):
            x = x * 1.0000001
        return x

    return chain


def wide(count):
    def fan(x):
        return sum([x * 1.0 for _ in range(count)], 0.0)

    return fan


def stacked(count):
    def stack(x):
        return np.sum(np.stack([x * 1.0 for _ in range(count)]))

    return stack


SHAPES = {"deep": deep, "wide": wide, "stacked": stacked}
each_shape = pytest.mark.parametrize("shape", SHAPES)


@each_shape
def test_traced_swept_twice_told_compared_and_copied(shape, tried):
    graph = ad.trace(SHAPES[shape](MANY))(1.0)
    assert len(graph) > MANY
    flow, again = graph.backward(), graph.backward()
    slope = 1.0000001**MANY if shape == "deep" else float(MANY)
    assert flow["x"] == pytest.approx(slope, rel=1e-9)
    assert again["x"] == flow["x"]
    assert len(again.contributions) == sum(1 for _ in graph.edges)
    del again
    assert len(repr(graph)) < 200
    assert len(str(flow)) < 100_000
    assert len(graph.consumers) == len(graph)
    assert ad.check(graph) == graph
    values = evaluate(graph, [np.float64(1.0)])
    assert values[graph.outputs[0]] == graph.values[graph.outputs[0]]
    for other in (pickle.loads(pickle.dumps(graph)), copy.deepcopy(graph)):
        assert other == graph
    tried("nodes traced, swept twice, told, checked, replayed, compared, pickled and copied", len(graph))


@each_shape
def test_written_and_read_back(shape, tried, tmp_path):
    flow = ad.flow(SHAPES[shape](FEW))(1.0)
    flow.save(tmp_path / "f.json")
    again = ad.GradientFlow.load(tmp_path / "f.json")
    assert again.graph == flow.graph
    assert again["x"] == flow["x"]
    found = flow.graph.to_networkx()
    assert (len(found), found.number_of_edges()) == (len(flow.graph), len(flow.contributions))
    tried("nodes written, read back and handed to networkx", len(flow.graph))


@each_shape
def test_bytes_a_node_do_not_grow(shape, tried):
    def bytes_of(count):
        gc.collect()
        tracemalloc.start()
        graph = ad.trace(SHAPES[shape](count))(1.0)
        held, _ = tracemalloc.get_traced_memory()
        size = len(graph)
        del graph
        assert gc.collect() == 0
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert left < 50_000, "what was traced is let go of"
        return held / size

    bytes_of(10)
    few, many = bytes_of(1000), bytes_of(10_000)
    assert many < few * NODES
    assert many < 2000
    tried(f"bytes held by a node of a {shape} graph, with its value", round(many))


@pytest.mark.parametrize("form", ["svg", "png", "pdf", "dot", "notebook"])
@each_shape
def test_a_picture_is_refused_before_the_work(shape, form, tried, monkeypatch):
    """What would gather the numbers of the nodes, or look for joins, is never reached."""
    flow = ad.flow(SHAPES[shape](MANY))(1.0)
    monkeypatch.setattr(ad.viz, "document", lambda *args, **named: pytest.fail("numbers were gathered"))
    monkeypatch.setattr(ad.viz, "outline", lambda *args: pytest.fail("boxes were counted"))
    monkeypatch.setattr(ad.viz, "VAST", min(ad.viz.VAST, MANY - 1))
    if form == "notebook":
        assert list(flow._repr_mimebundle_()) == ["text/plain"]
    else:
        with pytest.raises(PictureError, match=r"boxes are more than max_nodes=2000[\s\S]*instead: +focus=\d+, hops=2"):
            ad.viz.picture(flow, form)
    tried("pictures refused with advice", 1)


def test_a_vast_picture_with_scopes_is_advised_to_collapse():
    def scoped(x):
        for name in "abc":
            with ad.scope(name):
                x = deep(1000)(x)
        return x

    flow = ad.flow(scoped)(1.0)
    with pytest.raises(PictureError, match="collapse=1 gives 3"):
        ad.viz.picture(flow, "svg")
    before, ad.viz.VAST = ad.viz.VAST, 2500
    try:
        with pytest.raises(PictureError, match=r"3 outermost scopes\n  instead: collapse=1; focus=3000, hops=2"):
            ad.viz.picture(flow, "svg")
    finally:
        ad.viz.VAST = before


# -- joins and paths ---------------------------------------------------------------------------------------------------


def injected(count):
    def f(x):
        start = h = np.sin(x)
        for _ in range(count):
            h = np.sin(h) + start
        return h

    return f


def across(count):
    def f(x):
        kept = []
        for _ in range(count):
            kept.append(x)
            x = np.sin(x)
        for skip in reversed(kept):
            x = np.cos(x) + skip
        return x

    return f


def summed(count):
    def f(x):
        total = x
        for _ in range(count):
            x = np.sin(x)
            total = total + x
        return total

    return f


def recurrent(count):
    def f(x, w):
        h = x
        for _ in range(count):
            h = np.tanh(h @ w) + x
        return np.sum(h)

    return f


def residual(count):
    def f(x):
        for _ in range(count):
            x = x + np.sin(x)
        return x

    return f


NETS = {"wide": wide, "injected": injected, "across": across, "summed": summed, "recurrent": recurrent,
        "residual": residual}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_joins_take_steps_that_grow_with_the_graph(name, tried, monkeypatch):
    """Ways that lie in one another are given up after so many steps; that is told, and all else goes on."""
    monkeypatch.setattr(walks, "STEPS", times(50_000, 150_000, 2_000_000))
    monkeypatch.setattr(blocks, "SWEPT", times(50_000, 100_000, 1_000_000))
    count = times(500, 1500, 100_000)
    args = (np.ones((2, 2)), np.eye(2) / 2) if name == "recurrent" else (1.0,)
    flow = ad.flow(NETS[name](count))(*args)
    graph, seen = flow.graph, Seen(flow.graph)
    find_joins(graph, seen)
    assert seen.stretches.walked <= 2 * (walks.STEPS + walks.STEPS_A_NODE * len(graph))
    tracemalloc.start()
    joins = flow.joins()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 300 * 2**20 + 3000 * len(graph)
    assert ("given up at node" in joins.told) == (seen.until is not None)
    assert len(joins) == count if name == "residual" else True
    assert flow.by_scope()[0]["nodes"] == len(graph)
    assert flow.trend().told
    tried("nodes searched for joins", len(graph))


def test_residual_blocks_are_walked_a_few_steps_each():
    counts = []
    for count in (300, 3000):
        graph = ad.trace(residual(count))(1.0)
        seen = Seen(graph)
        assert len(find_joins(graph, seen)) == count
        counts.append(seen.stretches.walked)
    assert counts[1] <= 11 * counts[0]


def test_a_split_that_would_take_hours_is_refused_before_it_begins(monkeypatch):
    flow = ad.flow(residual(3000))(0.5)
    monkeypatch.setattr(routes, "swept", lambda *args, **named: pytest.fail("a sweep began"))
    monkeypatch.setattr(routes, "PARTS", 10_000_000)
    with pytest.raises(GraphError, match=r"3,001 parts of a graph of 6,001 nodes would take hours[\s\S]*flow\.joins"):
        flow.by_path(0)


def test_many_joins_on_short_paths_are_split():
    """What counts is the number of parts, not of joins: here each path takes one branch at most."""

    def f(x):
        return sum([x + np.sin(x * float(k)) for k in range(60)][1:], np.cos(x))

    flow = ad.flow(f)(0.5)
    before, routes.PARTS = routes.PARTS, 8 * len(flow.graph)
    try:
        parts = flow.by_path("x")
    finally:
        routes.PARTS = before
    assert sum(parts) == pytest.approx(flow["x"], rel=1e-9)


# -- transforms --------------------------------------------------------------------------------------------------------


def repeatedly(f, count):
    def run(x):
        for _ in range(count):
            x = f(x)
        return x

    return run


STEPS = {
    "jvp": lambda f: ad.jvp(f, (1.0,), (1.0,))[1],
    "vjp": lambda f: ad.vjp(f, 1.0)[1](1.0)[0],
    "jacobian": lambda f: ad.jacobian(f)(np.ones(2))[1, 1],
    "vmap": lambda f: ad.grad(lambda x: np.sum(ad.vmap(f)(x)))(np.ones(3))[2],
    "jit": lambda f: ad.grad(ad.jit(f))(1.0),
    "jit of grad": lambda f: ad.jit(ad.grad(f))(1.0),
    "checkpoints": lambda f: ad.grad(repeatedly(ad.checkpoint(deep(10)), f.count // 10))(1.0),
}


@pytest.mark.parametrize("name", STEPS)
def test_transforms_of_a_deep_function(name, tried):
    count = times(2000, 8000, 100_000 if name.startswith(("jit", "check")) else 1_000_000)
    f = deep(count)
    f.count = count
    assert STEPS[name](f) == pytest.approx(1.0000001**count, rel=1e-9)
    tried(f"operations under {name}", count)


@pytest.mark.parametrize("make", [list, tuple, lambda xs: {f"k{n}": x for n, x in enumerate(xs)}],
                         ids=["list", "tuple", "dict"])  # fmt: skip
def test_containers_of_very_many_leaves(make, tried):
    leaves = make([1.0] * MANY)

    def total(p):
        return sum(p.values() if isinstance(p, dict) else p) * 2.0

    slopes = ad.grad(total)(leaves)
    assert type(slopes) is type(leaves)
    assert set(slopes.values() if isinstance(slopes, dict) else slopes) == {2.0}
    graph = ad.trace(total)(leaves)
    assert len(graph.arguments) == MANY
    assert len(str(graph)) < 100_000
    tried("leaves of one argument", MANY)


def nested(levels, kind):
    x = 2.0
    for _ in range(levels):
        x = {"a": x} if kind is dict else kind((x,))
    return x


def innermost(p):
    while isinstance(p, (dict, list, tuple)):
        p = p["a"] if isinstance(p, dict) else p[0]
    return p * 2.0


@pytest.mark.parametrize("use", [
    lambda p: ad.grad(innermost)(p), lambda p: ad.jvp(innermost, (p,), (p,)), lambda p: ad.trace(innermost)(p),
    lambda p: ad.jit(innermost)(p), lambda p: ad.vmap(innermost)(p), lambda p: ad.jacobian(innermost)(p),
    lambda p: ad.grad(lambda x: nested_result(x, p))(1.0), lambda p: ad.hessian(innermost)(p),
], ids=["grad", "jvp", "trace", "jit", "vmap", "jacobian", "result", "hessian"])  # fmt: skip
@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_containers_nested_without_end_are_refused_by_name(kind, use, tried):
    with pytest.raises(NestingError, match="nested too deep"):
        use(nested(10_000, kind))
    tried("uses of containers nested ten thousand deep", 1)


def nested_result(x, p):
    kind = type(p)
    for _ in range(10_000):
        x = {"a": x} if kind is dict else kind((x,))
    return x


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_containers_nested_hundreds_deep_work(kind):
    p = nested(300, kind)
    assert innermost(ad.grad(innermost)(p)) == 4.0
    assert len(str(ad.flow(innermost)(p))) < 2000


def test_reads_writes_and_consumers_without_number(tried):
    x = np.linspace(0.0, 1.0, MANY)
    np.testing.assert_array_equal(ad.grad(lambda x: sum((x[i] for i in range(MANY)), 0.0))(x), np.ones(MANY))

    def written(x):
        y = ad.numpy.zeros(10)
        for i in range(FEW):
            y[i % 10] = x * float(i)
        return np.sum(y)

    assert ad.grad(written)(1.0) == sum(range(FEW - 10, FEW))
    assert ad.grad(lambda x: np.sum(np.concatenate([x] * MANY)))(np.ones(1)) == MANY
    assert ad.grad(lambda x: np.sum(sum(x * 1.0 for _ in range(MANY))))(np.ones(3)).tolist() == [MANY] * 3
    tried("reads of x[i], pieces of one concatenate, and consumers of one node", 3 * MANY)
    tried("writes x[i] = v", FEW)


def test_a_join_of_each_number_of_pieces_leaves_nothing():
    """What is kept of how an operation was called does not grow with the ways in which it was."""
    gradient = ad.grad(lambda x: np.sum(np.concatenate([x] * pieces)))
    op = ad.graph.OPERATIONS["concatenate"]
    for pieces in range(1, 300):
        assert gradient(np.ones(1)) == pieces
    assert max(map(int.bit_length, op.plans)) <= 65
    for number in range(1200):
        kinds = [float if number >> bit & 1 else None for bit in range(11)]
        mixed = lambda x, kinds=kinds: np.sum(np.concatenate([x, *(np.ones(1) if k else x for k in kinds)]))
        ad.grad(mixed)(np.ones(1))
    assert len(op.plans) <= 1024


@pytest.mark.parametrize("order", [8, 9, 10])
def test_gradients_in_gradients(order):
    f = np.sin
    for _ in range(order):
        f = ad.grad(f)
    exact = (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))[order % 4]
    assert f(0.7) == pytest.approx(float(exact(0.7)), rel=1e-13)


# -- small stacks ------------------------------------------------------------------------------------------------------

SMALL = """
    import copy, pickle, sys, tempfile, threading
    import numpy as np
    import autodiff as ad

    kib, limit, count = map(int, sys.argv[1:])
    threading.stack_size(kib * 1024)
    done = []

    def f(x):
        for _ in range(count):
            x = x * 1.0000001
        return x

    def depth():
        frame, found = sys._getframe(), 0
        while frame is not None:
            frame, found = frame.f_back, found + 1
        return found

    def work():
        ad.jit(f)(1.0)  # what NumPy and the compiler import when they are first used takes frames of its own
        sys.setrecursionlimit(depth() + limit)
        assert abs(ad.grad(f)(1.0) - 1.0000001**count) < 1e-6
        flow = ad.flow(f)(1.0)
        assert str(flow) and repr(flow.graph) and flow.joins() == []
        assert ad.check(pickle.loads(pickle.dumps(flow.graph))) == copy.deepcopy(flow.graph)
        flow.save(path)
        assert ad.GradientFlow.load(path)["x"] == flow["x"]
        assert ad.jvp(f, (1.0,), (1.0,))[1] == ad.jit(lambda x: ad.jvp(f, (x,), (1.0,))[1])(1.0)
        ad.viz.picture(ad.flow(lambda x: np.sin(x) * x)(1.0), "html", engine="builtin")
        ad.grad(ad.grad(ad.grad(np.sin)))(1.0)
        done.append(1)

    with tempfile.TemporaryDirectory() as room:
        path = room + "/f.json"
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done
    print(0)
"""


def run(script, *args):
    """The numbers that a script prints, in an interpreter of its own."""
    call = [sys.executable, "-c", textwrap.dedent(script), *map(str, args)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize(("kib", "limit"), [(256, 900), (256, 150), (1024, 150)])
def test_in_a_thread_with_a_small_stack_and_few_frames(kib, limit, tried):
    count = times(1000, 3000, 100_000)
    run(SMALL, kib, limit, count)
    tried("operations in a thread with a small stack", count)


def test_threads_have_their_own_graphs(tried):
    """Eight deep sweeps at once, released by whichever thread is last."""
    found = []
    workers = [threading.Thread(target=lambda: found.append(ad.flow(deep(FEW))(1.0)["x"])) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    tried("operations in eight threads at once", 8 * FEW)


# -- memory over many steps --------------------------------------------------------------------------------------------

ROUNDS = """
    import gc, sys, tempfile, warnings
    import numpy as np
    import autodiff as ad

    warnings.simplefilter("ignore")

    def resident():
        with open("/proc/self/statm") as stream:
            return int(stream.read().split()[1]) * 4096

    def loss(w):
        with ad.scope("layer"):
            return np.sum(np.tanh(w @ w) ** 2)

    def fails(w):
        np.tanh(w @ w)
        raise ValueError

    def failing():
        for f in (fails, lambda x: x, lambda x: float(x[0, 0])):
            try:
                ad.grad(f)(w)
            except (ValueError, TypeError):
                pass

    w, n = np.eye(3) / 2, [0]

    def recompiled():
        n[0] += 1
        compiled(np.ones(n[0] % 50 + 1))

    def closures():
        n[0] += 1
        k = float(n[0])
        ad.jit(lambda x: x * k)(w)

    compiled = ad.jit(lambda x: np.sum(np.tanh(x) * 2.0))
    watched = ad.watch(loss, every=1)

    def watching():
        watched(w)
        watched.history.clear()

    def drawn():
        flow = ad.flow(loss)(w)
        str(flow), flow.joins(), ad.viz.picture(flow, "svg", engine="builtin")  # json.dumps itself leaves cycles

    uses = {
        "exceptions": failing,
        "second order": lambda: (ad.hvp(loss, (w,), (w,)), ad.grad(lambda x: np.sum(ad.grad(loss)(x)))(w)),
        "recompiling": recompiled,
        "closures": closures,
        "vmap": lambda: ad.vmap(ad.grad(loss))(np.stack([w, w])),
        "draw": drawn,
        "watch": watching,
        "pieces": lambda: ad.grad(lambda x: np.sum(np.concatenate([x] * 20)))(w),
    }
    use, count = uses[sys.argv[1]], int(sys.argv[2])
    gc.disable()
    for _ in range(max(count // 4, 20)):
        use()
    gc.collect()
    before = resident()
    for _ in range(count):
        use()
    print(resident() - before, gc.collect())
"""

COSTS = {"exceptions": 1, "second order": 2, "recompiling": 1, "closures": 20, "vmap": 2, "draw": 40, "watch": 4,
         "pieces": 1}  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("use", COSTS)
def test_memory_comes_back_with_the_collector_off(use, tried):
    count = times(400, 1000, 100_000) // COSTS[use]
    grown, found = run(ROUNDS, use, count)
    assert grown < 2**20
    assert found == 0
    tried("steps with the collector off, after which nothing had grown", count)
