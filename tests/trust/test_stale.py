"""What the reverse sweep reads is what was used: whatever is overwritten later, and by whatever way.

The judge is the same program on arrays that nobody else has, and closed forms where there is one.
"""

import array
import copy
import ctypes
import inspect
import itertools
import mmap
import operator
import threading
import zlib
from multiprocessing import shared_memory

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import OverwrittenError, RuleError
from autodiff.sweep import evaluate
from tests.laws.calls import KNOWN, Instead, Together, keywords_of, name_of, sample, values_of
from tests.laws.registry import SHARP
from tests.trust.scale import times

VECTOR = np.array([0.5, 1.5, -2.0, 0.25, 1.25])
START = np.array([0.75, -1.25, 2.5, 1.5, 0.5])
"""What stands in an array before it is overwritten."""

# -- by whatever way ---------------------------------------------------------------------------------------------------

# A way gives an array with START in it, and a function that overwrites it.


def own(write):
    """A way to overwrite an array that owns its memory."""

    def way(room):
        a = START.copy()
        return a, lambda: write(a)

    return way


def viewed(base, view, write=lambda base: base.__setitem__(Ellipsis, -3.0)):
    """A view is used, and what it is a view of is overwritten."""

    def way(room):
        b = base()
        a = view(b)
        if a.flags.writeable:
            a[...] = START
        return a, lambda: write(b)

    return way


def read_only_view(b):
    b[...] = START
    a = b[:]
    a.flags.writeable = False
    return a


def unlocked(room):
    a = START.copy()
    a.flags.writeable = False

    def write():
        a.flags.writeable = True
        a[:] = -3.0

    return a, write


def by_bytes(a):
    ctypes.memmove(a.ctypes.data, (ctypes.c_double * 5)(*[-3.0] * 5), 40)


def by_pointer(a):
    pointer = a.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    for i in range(5):
        pointer[i] = -3.0


def by_memoryview(a):
    view = memoryview(a)
    for i in range(5):
        view[i] = -3.0


def by_iterator(a):
    with np.nditer(a, op_flags=["readwrite"]) as steps:
        for x in steps:
            x[...] = -3.0


def by_thread(a):
    """Another thread writes, when it is told to, and says when it has."""
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait(60)
        a[:] = -3.0
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    go.set()
    assert done.wait(60)
    thread.join()


def by_interface(a):
    class Other:
        __array_interface__ = a.__array_interface__

    np.asarray(Other())[:] = -3.0


def from_bytearray(room):
    memory = bytearray(START.tobytes())
    return np.frombuffer(memory), lambda: memory.__setitem__(slice(None), np.full(5, -3.0).tobytes())


def from_array(room):
    numbers = array.array("d", START)
    return np.asarray(numbers), lambda: [operator.setitem(numbers, i, -3.0) for i in range(5)]


def from_file(room):
    path = room / "numbers"
    path.write_bytes(START.tobytes())
    a = np.memmap(path, float, "r+")
    return a, lambda: np.memmap(path, float, "r+").__setitem__(slice(None), -3.0)


def from_saved(room):
    np.save(room / "numbers.npy", START)
    a = np.load(room / "numbers.npy", mmap_mode="r")
    return a, lambda: np.load(room / "numbers.npy", mmap_mode="r+").__setitem__(slice(None), -3.0)


def from_mmap(room):
    block = mmap.mmap(-1, 40)
    block[:] = START.tobytes()
    return np.frombuffer(block), lambda: block.__setitem__(slice(None), np.full(5, -3.0).tobytes())


def from_shared(room):
    block = shared_memory.SharedMemory(create=True, size=40)
    block.unlink()
    a = np.ndarray(5, float, block.buf)
    a[:] = START
    other = np.ndarray(5, float, block.buf)
    a.setflags(write=True)
    held.append(block)  # its arrays must not outlive it

    return a, lambda: other.__setitem__(slice(None), -3.0)


held = []

WRITES = {
    "a[:] =": lambda a: a.__setitem__(slice(None), -3.0),
    "one element": lambda a: a.__setitem__(2, -3.0),
    "a += b": lambda a: operator.iadd(a, 1.0),
    "a *= -1": lambda a: operator.imul(a, -1.0),
    "an older view": lambda a: a[1:4].__setitem__(Ellipsis, -3.0),
    "a reversed view": lambda a: a[::-1].__setitem__(Ellipsis, a.copy()),
    "a.flat": lambda a: a.flat.__setitem__(slice(None), -3.0),
    "a.fill": lambda a: a.fill(-3.0),
    "a.sort": lambda a: a.sort(),
    "a.partition": lambda a: a.partition(1),
    "a.put": lambda a: a.put([0, 3], -3.0),
    "out=": lambda a: np.add(a, 1.0, out=a),
    "out= of a reduction": lambda a: np.cumsum(a, out=a),
    "np.copyto": lambda a: np.copyto(a, -3.0),
    "np.put": lambda a: np.put(a, [0, 3], -3.0),
    "np.place": lambda a: np.place(a, a > 0, [-3.0]),
    "np.putmask": lambda a: np.putmask(a, a > 0, -3.0),
    "np.fill_diagonal": lambda a: np.fill_diagonal(a[:4].reshape(2, 2), -3.0),
    "np.add.at": lambda a: np.add.at(a, [0, 0, 3], 1.0),
    "a generator's shuffle": lambda a: np.random.default_rng(1).shuffle(a),
    "a generator's out=": lambda a: np.random.default_rng(0).random(out=a),
    "a mask": lambda a: a.__setitem__(a > 0, -3.0),
    "as other numbers": lambda a: a.view(np.int64).__setitem__(slice(None), 7),
    "np.nditer": by_iterator,
    "memoryview": by_memoryview,
    "ctypes pointer": by_pointer,
    "ctypes.memmove": by_bytes,
    "__array_interface__": by_interface,
    "DLPack": lambda a: np.from_dlpack(a).__setitem__(slice(None), -3.0),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (5,), (8,)).__setitem__(slice(None), -3.0),
    "another thread": by_thread,
}
"""What overwrites an array, some of it or all."""

WAYS = {
    **{name: own(write) for name, write in WRITES.items()},
    "the base of a slice": viewed(lambda: np.zeros(9), lambda b: b[2:7]),
    "the base of a strided view": viewed(lambda: np.zeros(10), lambda b: b[::2]),
    "the base of a transposed view": viewed(lambda: np.zeros((5, 2)), lambda b: b.T[1]),
    "the base of a reversed view": viewed(lambda: np.zeros(5), lambda b: b[::-1]),
    "the base of a read-only view": viewed(lambda: np.zeros(5), read_only_view),
    "the base of a broadcast view": viewed(lambda: np.full(1, 0.75), lambda b: np.broadcast_to(b, 5)),
    "the base of a real part": viewed(lambda: np.zeros(5, complex), lambda b: b.real),
    "the base of a field": viewed(lambda: np.zeros(5, [("x", "<f8"), ("n", "<i4")]), lambda b: b["x"],
                                  lambda b: b.__setitem__(Ellipsis, (-3.0, 0))),
    "locked and unlocked": unlocked,
    "frombuffer of a bytearray": from_bytearray,
    "array.array": from_array,
    "np.memmap": from_file,
    "np.load(mmap_mode=)": from_saved,
    "mmap": from_mmap,
    "shared_memory": from_shared,
}  # fmt: skip

# -- wherever it stands ------------------------------------------------------------------------------------------------

# A place is a program that uses the array, has it overwritten, and then sweeps.


def argument(a, write):
    y, pullback = ad.vjp(lambda x: np.exp(x) * x, a)
    write()
    return y, pullback(np.ones(5))


def argument_while_the_function_runs(a, write):
    def f(x):
        y = np.sum(x * x)
        write()
        return y * np.sum(x)

    return ad.value_and_grad(f)(a)


def leaf_of_a_container(a, write):
    y, pullback = ad.vjp(lambda p: p["layers"][0][0] * p["b"], {"layers": [(a,)], "b": np.ones(5)})
    write()
    return y, pullback(np.ones(5))


def between_two_sweeps(a, write):
    graph = ad.trace(lambda x: np.sum(x * x * a))(a)
    before = graph.backward()["x"]
    write()
    return before, graph.backward()["x"], graph.backward().by_path("x")


def left_factor(a, write):
    y, pullback = ad.vjp(lambda x: a * x, VECTOR)
    write()
    return y, pullback(np.ones(5))


def right_factor(a, write):
    y, pullback = ad.vjp(lambda x: x * a, VECTOR)
    write()
    return y, pullback(np.ones(5))


def exponent(a, write):
    y, pullback = ad.vjp(lambda x: x**a, np.abs(VECTOR))
    write()
    return y, pullback(np.ones(5))


def kernel(a, write):
    y, pullback = ad.vjp(lambda x: np.convolve(x, a), VECTOR)
    write()
    return y, pullback(np.ones(9))


def matrix(a, write):
    y, pullback = ad.vjp(lambda x: np.outer(a, a) @ x, VECTOR)
    write()
    return y, pullback(np.ones(5))


def list_of_arrays(a, write):
    parts = [a, a]
    y, pullback = ad.vjp(lambda x: np.sum(np.stack([x, *parts]) ** 2 * np.array(parts)[:1]), VECTOR)
    write()
    return y, pullback(1.0)


def condition(a, write):
    y, pullback = ad.vjp(lambda x: np.where(a, x, 0.0) + np.sum(x, where=np.asarray(a) > 0), VECTOR)
    write()
    return y, pullback(np.ones(5))


def einsum_operand(a, write):
    y, pullback = ad.vjp(lambda x: np.einsum("i,i,j->j", x, a, x), VECTOR)
    write()
    return y, pullback(np.ones(5))


def forward_mode(a, write):
    def f(x):
        y = x * a * x
        write()
        return y

    return ad.jvp(f, (VECTOR,), (VECTOR + 1.0,))


def tangent(a, write):
    def f(x):
        y = x * x
        write()
        return np.sum(y * x)

    return ad.hvp(f, (VECTOR,), (a,))


def seed(a, write):
    first = ad.vjp(lambda x: x * x, VECTOR)[1](a)
    graph = ad.trace(lambda x: x * x)(VECTOR)
    flow = graph.backward(a)
    write()
    return first, flow["x"], flow.by_path("x"), flow.cut_to(list(flow.contributions))["x"]


def matrix_of_derivatives(a, write):
    def f(x):
        y = x * a * np.sum(x)
        write()
        return y

    return ad.jacobian(f)(VECTOR)


def hessian(a, write):
    def f(x):
        y = np.sum(x**3 * a)
        write()
        return y

    return ad.hessian(f)(VECTOR)


def inner_gradient(a, write):
    def f(x):
        slope = ad.grad(lambda t: np.sum(t**3 * a))(x)
        write()
        return np.sum(slope * x)

    return ad.value_and_grad(f)(VECTOR)


def inner_pullback(a, write):
    def f(x):
        _, pullback = ad.vjp(lambda t: t**2 * a, x)
        write()
        return np.sum(pullback(x)[0])

    return ad.value_and_grad(f)(VECTOR)


def mapped(a, write):
    def f(x, c):
        y = np.sum(x * x * c)
        write()
        return y

    rows = np.lib.stride_tricks.as_strided(a, (1, 5), (0, *a.strides))
    return ad.vmap(ad.value_and_grad(f, (0, 1)))(rows, rows)


def unmapped(a, write):
    def f(x, c):
        y = np.sum(x * x * c)
        write()
        return y

    return ad.vmap(ad.value_and_grad(f, (0, 1)), in_axes=(0, None))(VECTOR[None], a)


def around_a_batch(a, write):
    def f(x):
        y = np.sum(x * x * a)
        write()
        return y

    return ad.vmap(ad.grad(f))(VECTOR[None])


def argument_of_a_program(a, write):
    program = ad.jit(lambda x, c: np.exp(x * c))
    y, pullback = ad.vjp(lambda x: program(x, a), VECTOR)
    write()
    return y, pullback(np.ones(5))


def constant_of_a_swept_program(a, write):
    program = ad.jit(lambda x: np.exp(x * a))
    y, pullback = ad.vjp(program, VECTOR)
    write()
    return y, pullback(np.ones(5))


def argument_of_a_checkpoint(a, write):
    block = ad.checkpoint(lambda x, c, *, k: np.tanh(x * c) * k)
    y, pullback = ad.vjp(lambda x: block(x, a, k=2.0), VECTOR)
    write()
    return y, pullback(np.ones(5))


def default_of_an_argument(a, write):
    def f(x, c=a):
        return x * x * c

    y, pullback = ad.vjp(f, VECTOR)
    write()
    return y, pullback(np.ones(5))


def setting_of_a_users_operation(a, write):
    @ad.primitive
    def scaled(x, *, by):
        return x * by

    scaled.defvjp(lambda d, y, x, *, by: d * by)
    y, pullback = ad.vjp(lambda x: scaled(x, by=np.asarray(a)), VECTOR)
    write()
    return y, pullback(np.ones(5))


def argument_of_a_users_operation(a, write):
    @ad.primitive
    def product(x, c):
        return x * c

    product.defvjp(lambda d, y, x, c: d * c, lambda d, y, x, c: d * x)
    y, pullback = ad.vjp(lambda x: product(x, a), VECTOR)
    write()
    return y, pullback(np.ones(5))


def writable_constant(a, write):
    c = anp.asarray(a)
    y, pullback = ad.vjp(lambda x: x * c, VECTOR)
    write()
    return y, pullback(np.ones(5))


def evaluated_again(a, write):
    graph = ad.trace(lambda x: np.sum(x * x * a))(VECTOR)
    graph.values = evaluate(graph, [a])
    write()
    return graph.backward()["x"]


def watched(a, write):
    def f(x):
        y = np.sum(x * x)
        write()
        return y

    return ad.watch(f, every=1)(a)


def stopped(a, write):
    kept = ad.stop_gradient({"a": a})
    write()
    return ad.grad(lambda x: np.sum(x * kept["a"]))(VECTOR)


PLACES = [
    argument, argument_while_the_function_runs, leaf_of_a_container, between_two_sweeps, left_factor, right_factor,
    exponent, kernel, matrix, list_of_arrays, condition, einsum_operand, forward_mode, tangent, seed,
    matrix_of_derivatives, hessian, inner_gradient, inner_pullback, mapped, unmapped, around_a_batch,
    argument_of_a_program, constant_of_a_swept_program, argument_of_a_checkpoint, default_of_an_argument,
    setting_of_a_users_operation, argument_of_a_users_operation, writable_constant, evaluated_again, watched, stopped,
]  # fmt: skip


def bits(x):
    """Containers of arrays as something that is equal where every bit is."""
    if isinstance(x, dict):
        return {key: bits(part) for key, part in x.items()}
    if isinstance(x, (tuple, list)):
        return tuple(map(bits, x))
    x = np.asarray(x)
    return x.shape, x.dtype.str, x.tobytes()


@pytest.mark.filterwarnings("ignore:jit. .lambda.")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_overwritten_by_any_way_at_any_place(place, tmp_path, tried):
    for name, way in WAYS.items():
        with np.errstate(all="ignore"):
            a, write = way(tmp_path)
            before, changed = np.array(a), []

            def once(a=a, write=write, before=before, changed=changed):
                if not changed:
                    write()
                    changed.append(not np.array_equal(a, before))

            want = bits(place(before.copy(), lambda: None))
            got = bits(place(a, once))
        assert got == want, f"{place.__name__}: overwritten by {name}"
        assert changed == [True], f"{name} overwrites nothing"
    tried("arrays overwritten, by each way at each place", len(WAYS))


# -- large arrays ------------------------------------------------------------------------------------------------------

# A gradient does not copy them: it sees that they were overwritten, and says so.

COUNT = 14_000


def large():
    return np.tile(START, COUNT)


@pytest.mark.parametrize("name", WRITES)
def test_a_large_array_that_was_overwritten_is_named(name, tried):
    used = lambda x, c: np.sum(x * c) + x @ c

    def after(c):
        def f(*xs):
            y = used(*xs)
            WRITES[name](c)
            return y

        return f

    x = np.abs(large())
    want = bits(ad.grad(used, (0, 1))(x, large()))
    with np.errstate(all="ignore"):
        c = large()
        with pytest.raises(OverwrittenError, match=r"argument 1 .* .float64.70000"):
            ad.grad(after(c), (0, 1))(x, c)
        c = large()
        with pytest.raises(OverwrittenError, match=r"a constant of multiply .float64.70000"):
            ad.value_and_grad(lambda x: after(c)(x, c))(x)
        c = large()
        assert bits(ad.vjp(after(c), x, c)[1](1.0)) == want  # which copies everything
    tried("large arrays overwritten while a gradient was computed", 3)


LAID_OUT = {
    "as it is": lambda: (large(), lambda a: a),
    "a transposed view": lambda: (np.zeros((700, 100)), lambda b: b.T),
    "a read-only view": lambda: (np.zeros(70_000), lambda b: np.broadcast_to(b, b.shape)),
    "half of it": lambda: (np.zeros(140_000), lambda b: b[70_000:]),
    "single precision": lambda: (np.zeros(140_000, np.float32), lambda b: b),
    "complex": lambda: (np.zeros(70_000, complex), lambda b: b),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_a_large_array_is_seen_through_its_base(name):
    base, view = LAID_OUT[name]()
    a = view(base)

    def f(x, last):
        y = np.sum(np.real(x * a))
        base[-1] = last
        return y

    ones = np.ones(a.shape, a.dtype)
    np.testing.assert_array_equal(ad.grad(f)(ones, base[-1].copy()), np.conj(a) if name == "complex" else a)
    with pytest.raises(OverwrittenError):
        ad.grad(f)(ones, base[-1] + 1.0)


def test_a_large_array_in_pieces_is_copied():
    base = np.tile(START, 2 * COUNT)

    def f(x):
        y = np.sum(x * base[::2])
        base[:] = -3.0
        return y

    np.testing.assert_array_equal(ad.grad(f)(large()), np.tile(START, 2 * COUNT)[::2])


def test_a_large_array_that_is_overwritten_during_the_sweep():
    """By a rule of the user's; another thread would do it as well."""
    a = large()

    @ad.primitive
    def same(x):
        return x

    same.defvjp(lambda d, y, x: (a.fill(-3.0), d)[1])
    with pytest.raises(OverwrittenError):
        ad.grad(lambda x: np.sum(same(x * a) * 2.0))(np.ones(5 * COUNT))


def test_the_gradient_with_respect_to_large_arrays_is_the_callers_own():
    a, b = large(), large() + 1.0
    for f in (lambda x, y: np.sum(x * y), lambda x, y: x @ y, lambda x, y: np.sum(x) + np.sum(y[::-1])):
        found = ad.grad(f, (0, 1))(a, b)
        for x, y in itertools.combinations((a, b, *found), 2):
            assert not np.shares_memory(x, y)
        for x in found:
            x[...] = 0.0
    _, aux = ad.grad(lambda x: (np.sum(x * b), x), has_aux=True)(a)
    assert not np.shares_memory(aux, a)
    np.testing.assert_array_equal(a, large())
    np.testing.assert_array_equal(b, large() + 1.0)


def test_a_large_constant_that_is_made_inside_may_be_overwritten():
    def f(x):
        c = anp.ones(5 * COUNT)
        y = x * c
        c[:] = 7.0
        return np.sum(y * c)

    np.testing.assert_array_equal(ad.grad(f)(large()), np.full(5 * COUNT, 7.0))


# -- compiled programs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_a_program_sees_what_was_written_into_an_array_around_it(name, tmp_path, tried):
    a, write = WAYS[name](tmp_path)
    program = ad.jit(lambda x: np.exp(x) * a)
    np.testing.assert_array_equal(program(VECTOR), np.exp(VECTOR) * a)
    before = np.array(a)
    write()
    assert not np.array_equal(a, before)
    np.testing.assert_array_equal(program(VECTOR), np.exp(VECTOR) * a)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(program(x)))(VECTOR), np.exp(VECTOR) * a)
    tried("arrays around a compiled program, overwritten by each way", 1)


def captured_by_a_default():
    scale = np.ones(5)

    def f(x, c=scale):
        return x * c

    return f, scale


def captured_by_an_attribute():
    class Model:
        def __init__(self):
            self.scale = np.ones(5)

        def __call__(self, x):
            return x * self.scale

    model = Model()
    return model, model.scale


def captured_in_a_container():
    held = {"layers": [(np.ones(5), 2.0)]}
    return lambda x: x * held["layers"][0][0], held["layers"][0][0]


def captured_by_another_function():
    scale = np.ones(5)
    inner = lambda x: x * scale
    return lambda x: inner(x) + 1.0, scale


def captured_large():
    table = np.ones((300, 300))
    return lambda x: x * np.sum(table), table


def captured_behind_many():
    tables = [np.ones(40_000) for _ in range(20)]
    return lambda x: sum((x * np.sum(t) for t in tables), 0.0), tables[13]


def captured_sparse():
    sparse = pytest.importorskip("scipy.sparse", reason="sparse matrices are SciPy's")
    a = sparse.csr_array(np.eye(5))
    return lambda x: a @ x, a.data


@pytest.mark.parametrize("capture", [
    captured_by_a_default, captured_by_an_attribute, captured_in_a_container, captured_by_another_function,
    captured_large, captured_behind_many, captured_sparse,
])  # fmt: skip
def test_arrays_around_a_program_are_found_where_they_stand(capture):
    f, a = capture()
    program = ad.jit(f)
    for factor in (2.0, -1.0, 0.5):
        np.testing.assert_array_equal(program(VECTOR), f(VECTOR))
        a *= factor
    np.testing.assert_array_equal(program(VECTOR), f(VECTOR))


def test_a_program_is_compiled_once_while_nothing_is_written():
    scale, calls = np.full(5, np.nan), []

    def f(x):
        calls.append(1)
        return x * scale

    program = ad.jit(f)
    for _ in range(5):
        program(VECTOR)
    assert len(calls) == 1


def test_a_swept_program_that_must_run_again_refuses_what_was_overwritten():
    scale = np.full(5, 3.0)
    program = ad.jit(lambda x: np.sum(x * x * scale))

    def f(x):
        _, pullback = ad.vjp(program, x)
        scale[:] = 7.0
        return np.sum(pullback(np.float64(1.0))[0])

    with pytest.raises(RuleError, match="overwritten since it ran"):
        ad.grad(f)(VECTOR)


# -- checkpoints -------------------------------------------------------------------------------------------------------

# The results are zero before and after, and only what the rules read tells the two runs apart.

NOUGHT = np.zeros(5)


@pytest.mark.parametrize("step", [
    lambda x, c: np.tanh(x * c), lambda x, c: x * c * c, lambda x, c: x[(c < 5).astype(int)] * 2.0,
    lambda x, c: np.maximum(x, c - 3.0) * 0.0 + np.maximum(c - 3.0, x) * (c < 5), lambda x, c: np.where(c < 5, x, 0.0),
    lambda x, c: x @ np.outer(c, c), lambda x, c: np.einsum("i,i->i", x, c), lambda x, c: x * float(c[0]),
    lambda x, c: x / c, lambda x, c: np.convolve(x, c, "same"),
])  # fmt: skip
@pytest.mark.parametrize("wrap", [
    lambda f: ad.checkpoint(f), lambda f: ad.checkpoint(ad.checkpoint(f)), lambda f: ad.checkpoint(ad.jit(f)),
], ids=["one", "nested", "of a program"])  # fmt: skip
def test_a_checkpoint_does_not_mix_two_runs(step, wrap):
    c = np.full(5, 3.0)
    block = wrap(lambda x: step(x, c))
    y, pullback = ad.vjp(lambda x: np.sum(block(x)), NOUGHT)
    again = pullback(1.0)
    np.testing.assert_array_equal(pullback(1.0), again)  # nothing changed, nothing to say
    c[:] = 7.0
    assert y == 0.0
    with pytest.raises(RuleError, match="something else the second time"):
        pullback(1.0)


def test_a_checkpoint_in_a_graph_that_was_evaluated_elsewhere():
    graph = ad.trace(lambda x: np.sum(ad.checkpoint(np.tanh)(x)))(VECTOR)
    before = graph.backward()["x"]
    evaluate(graph, [VECTOR + 1.0])
    np.testing.assert_array_equal(graph.backward()["x"], before)


# -- what is handed out ------------------------------------------------------------------------------------------------

# Each gives arrays that the package handed out, and a function that computes with what is inside again.


def from_vjp():
    y, pullback, aux = ad.vjp(lambda x: (lambda e: ((e, [e, e[1:]]), {"e": e, "i": np.argsort(e)}))(np.exp(x)), VECTOR,
                              has_aux=True)  # fmt: skip
    ones = np.ones(5)
    again = lambda: pullback((ones, [ones, ones[1:]]))
    return [y[0], *y[1], aux["e"], aux["i"], *again()], again


def from_many_results():
    kept = []

    def f(x):
        mantissa, exponent = np.frexp(x)
        kept.append(exponent)
        return np.ldexp(mantissa, exponent)

    pullback = ad.vjp(f, VECTOR)[1]
    return kept, lambda: pullback(np.ones(5))


def from_factors():
    linalg = pytest.importorskip("autodiff.scipy.linalg", reason="its rules are for SciPy's functions")
    kept = []

    def f(x):
        factors, places = linalg.lu_factor(x)
        kept.append(places)
        return linalg.lu_solve((factors, places.copy()), np.ones(3))

    pullback = ad.vjp(f, np.eye(3)[::-1] + 0.1)[1]
    return kept, lambda: pullback(np.ones(3))


def from_flat_functions():
    kept = []

    def f(x):
        y = np.exp(x)
        kept.extend([ad.stop_gradient(y), np.round(y), np.argsort(y), y.astype(int), y > 1, np.nonzero(y)[0]])
        return y * y

    pullback = ad.vjp(f, VECTOR)[1]
    return [x for x in kept if isinstance(x, np.ndarray)], lambda: pullback(np.ones(5))


def from_a_graph():
    graph = ad.trace(lambda x: np.sum((x * np.arange(5.0))[np.array([0, 2])] * np.exp(x)[:2]))(VECTOR)
    handed = [y for y in graph.values if isinstance(y, np.ndarray)]
    handed += [x for row in graph.literals for x in row if isinstance(x, np.ndarray)]
    handed += [x for node in graph.nodes for x in node.params.values() if isinstance(x, np.ndarray)]
    handed += [node.value for node in graph.nodes if isinstance(node.value, np.ndarray)]
    assert len(handed) > 8
    return handed, lambda: graph.backward()["x"]


def from_a_loaded_graph(room):
    ad.trace(lambda x: np.sum(x * np.arange(5.0) * x))(VECTOR).save(room / "g.json")
    graph = ad.Graph.load(room / "g.json")
    handed = [y for y in graph.values if isinstance(y, np.ndarray)]
    handed += [x for row in graph.literals for x in row if isinstance(x, np.ndarray)]
    return handed, lambda: graph.backward()["x"]


def from_a_flow():
    flow = ad.flow(lambda x: np.sum(ad.name(np.exp(x), "e") * x + x[::-1]))(VECTOR)
    handed = [flow["x"], flow["e"], *flow.edge("x", "e"), *flow.by_path("x"), *flow.contributions.values()]
    handed += [term["contribution"] for term in flow.shares("x")["terms"]]
    handed += [d for d in (*flow.delta, *flow.seeds.values()) if isinstance(d, np.ndarray)]
    return [x for x in handed if isinstance(x, np.ndarray)], lambda: (
        flow["x"], flow.edge("x", "e"), flow.by_path("x"), flow.graph.backward()["x"],
        [term["projection"] for term in flow.shares("x")["terms"]],
    )  # fmt: skip


def from_evaluate():
    graph = ad.trace(lambda x: np.sum(x * np.arange(5.0) * np.exp(x)))(VECTOR)
    graph.values = values = evaluate(graph, [VECTOR + 1.0])
    return [y for y in values if isinstance(y, np.ndarray)], lambda: graph.backward()["x"]


def from_a_users_operation():
    kept = []

    @ad.primitive
    def scaled(x, *, by):
        kept.extend([x, by, x * by])
        return kept[-1]

    def pulled(d, y, x, *, by):
        kept.extend([d, y, x, by, d * by])
        return kept[-1]

    def pushed(t, y, x, *, by):
        kept.extend([t, y, x, by, t * by])
        return kept[-1]

    scaled.defvjp(pulled)
    scaled.defjvp(pushed)
    by = np.arange(5.0)
    f = lambda x: scaled(np.exp(x), by=by) * x
    pullback = ad.vjp(f, VECTOR)[1]
    pullback(np.ones(5))
    ad.jvp(f, (VECTOR,), (VECTOR,))
    return kept[:], lambda: (pullback(np.ones(5)), ad.jvp(f, (VECTOR,), (VECTOR,)))


def from_a_rule_that_hands_back_what_it_was_given():
    kept = []

    @ad.primitive
    def same(x):
        return x

    same.defvjp(lambda d, y, x: kept.append(d) or d)
    pullback = ad.vjp(lambda x: same(x) * 2.0 + same(x) * x + x, VECTOR)[1]
    handed = pullback(np.ones(5))
    return [*kept, *handed], lambda: pullback(np.ones(5))


def from_a_program():
    program = ad.jit(lambda x: (x, x[::2], x * np.arange(5.0), np.arange(5.0)))
    lowered = program.lower(VECTOR)
    handed = list(program(VECTOR))
    for graph in (lowered.graph, *(graph for _, graph in lowered.history)):
        handed += [x for row in graph.literals for x in row if isinstance(x, np.ndarray)]
    return handed, lambda: program(VECTOR)


def from_a_swept_program():
    program = ad.jit(lambda x: (np.exp(x), np.exp(x) * x))
    y, pullback = ad.vjp(program, VECTOR)
    return [*y, *pullback((np.ones(5), np.ones(5)))], lambda: pullback((np.ones(5), np.ones(5)))


def from_a_batch():
    rows = np.stack([VECTOR, VECTOR])
    f = ad.vmap(lambda x: (x, x[1:], np.exp(x), np.ones(2)))
    return list(f(rows)), lambda: (f(rows), rows)


@pytest.mark.parametrize("source", [
    from_vjp, from_many_results, from_factors, from_flat_functions, from_a_graph, from_a_loaded_graph, from_a_flow,
    from_evaluate, from_a_users_operation, from_a_rule_that_hands_back_what_it_was_given, from_a_program,
    from_a_swept_program, from_a_batch,
], ids=lambda source: source.__name__)  # fmt: skip
def test_what_is_handed_out_is_read_only_or_the_callers_own(source, tmp_path, tried):
    handed, again = source(tmp_path) if inspect.signature(source).parameters else source()
    want = bits(again())
    for x in handed:
        with np.errstate(all="ignore"):  # of numbers that make no sense any more
            if x.flags.writeable:
                x[...] = -3
            assert bits(again()) == want
    tried("arrays that were handed out, overwritten", len(handed))


SHARING = {
    "vjp": lambda f: ad.vjp(f, VECTOR)[0],
    "gradients": lambda f: ad.vjp(lambda a, b: a + b, VECTOR, VECTOR + 1)[1](VECTOR),
    "gradient and seed": lambda f: (lambda seed: (seed, *ad.vjp(lambda x: x, VECTOR)[1](seed)))(VECTOR.copy()),
    "jvp": lambda f: (*ad.jvp(f, (VECTOR,), (VECTOR,))[0], *ad.jvp(f, (VECTOR,), (VECTOR,))[1]),
    "jacobian": lambda f: ad.jacobian(f)(VECTOR),
    "forward jacobian": lambda f: ad.jacobian(f, mode="forward")(VECTOR),
    "hvp": lambda f: ad.hvp(lambda x, y: np.sum(x + y), (VECTOR, VECTOR), (VECTOR, VECTOR))[0],
    "jit": lambda f: ad.jit(f)(VECTOR),
    "vmap": lambda f: ad.vmap(f)(np.stack([VECTOR, VECTOR])),
    "swept program": lambda f: (*ad.vjp(ad.jit(f), VECTOR)[0],),
}


@pytest.mark.parametrize("name", SHARING)
def test_what_is_returned_shares_memory_with_nothing(name):
    found = SHARING[name](lambda x: (x, x, x[1:], np.broadcast_to(x, (2, *x.shape)), np.asarray(x).T if 0 else x.T))
    assert len(found) > 1
    for a, b in itertools.combinations(found, 2):
        assert not np.shares_memory(a, b)
    for x in found:
        assert not np.shares_memory(x, VECTOR)
        x[...] = 0.0  # which can be written


def test_a_write_into_what_is_the_same_for_all_examples_stays_inside():
    w, rows = np.ones(2), np.ones((3, 2))

    def f(w, x):
        w[0] = 5.0
        x[1] = 7.0
        return np.sum(w * x)

    for _ in range(2):
        np.testing.assert_array_equal(ad.vmap(f, in_axes=(None, 0))(w, rows), 3 * [12.0])
        np.testing.assert_array_equal(ad.vmap(ad.grad(f), in_axes=(None, 0))(w, rows), 3 * [[0.0, 7.0]])
    assert w.tolist() == [1.0, 1.0]
    assert rows.tolist() == 3 * [[1.0, 1.0]]


def test_a_users_rule_cannot_write_into_what_is_saved():
    @ad.primitive
    def squared(x, *, by):
        return x * x * by

    by = np.ones(5)
    for harm in (
        lambda d, y, x, by: operator.setitem(x, 0, 5.0), lambda d, y, x, by: operator.imul(d, 2),
        lambda d, y, x, by: operator.imul(by, 2), lambda d, y, x, by: operator.imul(y, 2),
    ):  # fmt: skip
        def rule(d, y, x, *, by):
            harm(d, y, x, by)  # noqa: B023 it is called before the next one comes
            return 2 * d * x * by

        squared.defvjp(rule).defjvp(rule)
        with pytest.raises(ValueError, match="read-only"):
            ad.grad(lambda x: np.sum(squared(x, by=by) * x))(VECTOR)
        with pytest.raises(ValueError, match="read-only"):
            ad.jvp(lambda x: squared(x * 1.0, by=by) * x, (VECTOR,), (VECTOR,))
    assert by.tolist() == [1.0] * 5


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_sparse_matrices(kind):
    sparse = pytest.importorskip("scipy.sparse", reason="sparse matrices are SciPy's")
    dense = np.where(np.arange(25).reshape(5, 5) % 3 == 1, 2.0, 0.0)
    for make, left in itertools.product((sparse.csr_array, sparse.csr_matrix), (True, False)):
        a = make(dense).asformat(kind)
        _, pullback = ad.vjp(lambda x, a=a, left=left: a @ x if left else x @ a, VECTOR)
        if isinstance(getattr(a, "data", None), np.ndarray) and a.data.dtype == float:
            a.data[:] = -3.0
        else:
            a[0, 1] = a[4, 4] = -3.0
        np.testing.assert_array_equal(pullback(VECTOR)[0], (dense.T if left else dense) @ VECTOR)


# -- tensors and settings that are overwritten -------------------------------------------------------------------------

def constant_written_later(make):
    def f(x):
        c = make(x)
        y = x * c
        c[:] = 7.0
        return np.sum(y)

    return f


def setting_written_later(x):
    places = [0, 1]
    y = np.take(x, places)
    places[:] = [2, 2]
    return np.sum(y * y)


def index_list_written_later(x):
    places = [0, 1]
    y = x[places]
    places[:] = [2, 2]
    return np.sum(y * y)


def condition_written_later(x):
    condition = VECTOR > 0
    y = np.where(condition, x, 0.0)
    condition[:] = False
    return np.sum(y * y)


def list_operand_written_later(x):
    factors = [1.0] * 5
    y = x * factors
    factors[:] = [9.0] * 5
    return np.sum(y)


def tensor_written_later(x):
    y = x * 1
    z = y * y
    y *= 10.0
    return np.sum(z)


def factor_written_later(x):
    y = x * 1
    z = x * y
    y[:] = 0.0
    return np.sum(z)


def result_written_later(x):
    y = np.exp(x)
    z = y * 1
    y[:] = 0.0
    return np.sum(z)


def outer_argument_written_after_an_inner_vjp(x):
    y = x * 1
    _, pullback = ad.vjp(lambda t: np.sum(t * t), y)
    y += 10.0
    return np.sum(pullback(np.float64(1.0))[0]) / 2


def captured_tensor_written_after_an_inner_vjp(x):
    y = x * 1
    _, pullback = ad.vjp(lambda t: t * y, np.ones(5))
    y *= 10.0
    return np.sum(pullback(np.ones(5))[0] ** 2)


def inner_result_written(x):
    y, pullback = ad.vjp(np.exp, x)
    y[:] = 0.0
    return np.sum(pullback(np.ones(5))[0])


def inner_gradients_written(x):
    left, right = ad.vjp(np.add, x, x)[1](x)
    left *= 0.0
    return np.sum(right * right)


def inner_seed_written(x):
    seed = x * 1
    (d,) = ad.vjp(lambda t: t * 1, np.ones(5))[1](seed)
    d *= 0.0
    return np.sum(seed * seed)


TWICE = 2 * VECTOR
LATER = {
    "a plain array": (constant_written_later(lambda x: np.ones(5)), np.ones(5)),
    "a strided array": (constant_written_later(lambda x: np.ones(10)[::2]), np.ones(5)),
    "ones_like": (constant_written_later(lambda x: np.ones_like(x)), np.ones(5)),
    "a view of ones_like": (constant_written_later(lambda x: np.ones_like(np.stack([x, x]))[0]), np.ones(5)),
    "a setting": (setting_written_later, TWICE * [1, 1, 0, 0, 0]),
    "an index": (index_list_written_later, TWICE * [1, 1, 0, 0, 0]),
    "a condition": (condition_written_later, TWICE * (VECTOR > 0)),
    "a list": (list_operand_written_later, np.ones(5)),
    "a tensor": (tensor_written_later, TWICE),
    "a factor": (factor_written_later, TWICE),
    "a result": (result_written_later, np.exp(VECTOR)),
    "an outer argument": (outer_argument_written_after_an_inner_vjp, np.ones(5)),
    "a captured tensor": (captured_tensor_written_after_an_inner_vjp, TWICE),
    "an inner result": (inner_result_written, np.exp(VECTOR)),
    "inner gradients": (inner_gradients_written, TWICE),
    "an inner seed": (inner_seed_written, TWICE),
}


@pytest.mark.parametrize("name", LATER)
def test_what_is_overwritten_later_does_not_matter(name):
    f, gradient = LATER[name]
    np.testing.assert_allclose(ad.grad(f)(VECTOR), gradient, rtol=1e-14)
    np.testing.assert_allclose(ad.jvp(f, (VECTOR,), (VECTOR,))[1], np.dot(gradient, VECTOR), rtol=1e-13)
    np.testing.assert_allclose(ad.flow(f)(VECTOR)["x"], gradient, rtol=1e-14)


@pytest.mark.parametrize("transform", [
    lambda f, x: ad.grad(lambda x: np.sum(f(x)))(x), lambda f, x: ad.vjp(f, x)[1](np.ones(5))[0],
    lambda f, x: ad.jvp(f, (x,), (np.ones(5),))[1], lambda f, x: np.diag(ad.jacobian(f)(x)),
    lambda f, x: ad.elementwise_grad(f)(x), lambda f, x: ad.flow(f, seed=np.ones(5))(x)["x"],
    lambda f, x: ad.grad(lambda x: np.sum(ad.checkpoint(f)(x)))(x),
])  # fmt: skip
def test_the_callers_array_may_be_overwritten_while_the_function_runs(transform):
    array = VECTOR.copy()

    def f(x):
        y = x * x
        array[:] = 100.0
        return y

    np.testing.assert_array_equal(transform(f, array), TWICE)


# -- every operation, and every function of NumPy ----------------------------------------------------------------------


def arrays_in(x):
    """The arrays in containers, and the numbers in lists by their list and place."""
    if isinstance(x, np.ndarray):
        yield x, ...
    elif isinstance(x, (list, tuple, dict)):
        parts = list(x.items()) if isinstance(x, dict) else list(enumerate(x))
        for key, part in parts:
            if isinstance(x, list) and isinstance(part, (int, float)):
                yield x, key
            else:
                yield from arrays_in(part)


def spoil(x):
    """Overwrite all the arrays, and the numbers in lists."""
    count = 0
    for where, key in arrays_in(x):
        if isinstance(where, list):
            where[key] = -where[key]
        elif where.size and where.flags.writeable and where.dtype.kind in "biufc":
            where[...] = ~where if where.dtype.kind == "b" else 3 if where.dtype.kind == "u" else -3
        else:
            continue
        count += 1
    return count


def mapped_over(x, change):
    if isinstance(x, np.ndarray):
        return change(x)
    if isinstance(x, (list, tuple)):
        return type(x)(mapped_over(part, change) for part in x)
    return {key: mapped_over(part, change) for key, part in x.items()} if isinstance(x, dict) else x


def floats(y):
    """The results that have a derivative."""
    if isinstance(y, (list, tuple)):
        return [part for x in y for part in floats(x)]
    return [y] if getattr(y, "dtype", np.dtype(object)).kind in "fc" else []


def pulled(call, given, active, spoiling):
    """δ of the active arrays among those given, by a call whose other arrays, and plain results, are overwritten."""
    count = 0
    chosen = [x.copy() for k, x in enumerate(arrays_of(given)) if k in active]

    def f(*xs):
        nonlocal count
        places, tensors, plain = itertools.count(), iter(xs), []

        def put(x):
            if next(places) in active:
                return next(tensors)
            plain.append(x.copy())
            return plain[-1]

        mine = mapped_over(copy.deepcopy(given), put)
        y = call(*mine)
        y = mine[0][0] if y is None else y  # what NumPy writes into
        if spoiling:
            count += spoil([plain, mine, y])
        return floats(y)

    with np.errstate(all="ignore"):
        y, pullback = ad.vjp(f, *chosen)
        if spoiling:
            spoil(chosen)
        rng = np.random.default_rng(0)
        seeds = [np.asarray(rng.standard_normal(np.shape(part))).astype(part.dtype) for part in y]
        return bits(pullback(seeds)), count + spoiling * len(chosen)


def arrays_of(x):
    return [where for where, key in arrays_in(x) if key is ...]


def choices(given, active):
    """All of the differentiable arrays at once, and each of them alone."""
    return [tuple(active), *((k,) for k in active if len(active) > 1)] if active else []


def some(cases, count):
    """So many of the cases, spread over all of them by a number that is made of their names."""
    return sorted(cases, key=lambda case: zlib.crc32(case[0].encode()))[:count]


OPERATIONS = [
    (case.label, case, active) for case in SHARP for active in choices(case.args, case.active)
    if not any(isinstance(x, tuple) for x in case.example.params.values())  # an index, which x[…] takes apart
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::autodiff.errors.DegenerateWarning")
def test_every_operation_keeps_what_it_was_given(tried):
    written, cases = 0, some(OPERATIONS, times(60, 10_000, 10_000))
    for name, case, active in cases:
        def call(args, settings, op=case.op):
            return op(*args, **settings)

        positions = tuple(k for k, x in enumerate(case.args) if isinstance(x, np.ndarray))
        chosen = tuple(positions.index(k) for k in active if k in positions)
        if not chosen:
            continue
        given = (list(case.args), dict(case.example.params))
        want, _ = pulled(call, given, chosen, False)
        got, count = pulled(call, given, chosen, True)
        assert got == want, name
        written += count
    assert written > len(cases)
    tried("arrays among arguments, settings and results of operations, overwritten", written)


def trials():
    """The calls of NumPy's functions that the law on keywords makes, by name."""
    for function in KNOWN:
        base = sample(function)
        if base is None:
            continue
        yield name_of(function), function, base.args, {}
        for keyword in keywords_of(function):
            for value in () if keyword == "out" else values_of(function, keyword) or ():
                if isinstance(value, Instead):
                    yield f"{name_of(function)} {keyword}", function, value.args, value.keywords
                else:
                    settings = dict(value) if isinstance(value, Together) else {keyword: value}
                    yield f"{name_of(function)} {keyword} {str(value)[:20]}", function, base.args, settings


@pytest.mark.filterwarnings("ignore")  # NumPy's, of the values
def test_every_function_of_numpy_keeps_what_it_was_given(tried):
    written, calls = 0, 0
    for name, function, args, settings in some(list(trials()), times(60, 10_000, 10_000)):
        given = (list(args), settings)
        kinds = [x.dtype.kind for x in arrays_of(given)]
        for active in choices(given, [k for k, kind in enumerate(kinds) if kind in "fc"]):
            def call(args, settings, function=function):
                return function(*args, **settings)

            try:
                want, _ = pulled(call, given, active, False)
            except Exception:  # no derivative there, which other tests are about
                continue
            got, count = pulled(call, given, active, True)
            assert got == want, (name, active)
            written += count
            calls += 1
    assert calls > 100
    tried("arrays among arguments, settings and results of NumPy's functions, overwritten", written)
