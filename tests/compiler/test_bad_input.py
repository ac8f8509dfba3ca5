"""What people hand to jit: every kind of function, argument, result and accident is right or is told."""

import functools
import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import ArgumentError, ClosedTraceError, CompileWarning, LeakError, SettingError

X = np.array([0.5, -1.25, 2.0])


def same(got, want):
    assert type(got) is type(want)
    np.testing.assert_array_equal(got, want)
    assert np.asarray(got).dtype.newbyteorder("=") == np.asarray(want).dtype.newbyteorder("=")


# -- arrays ------------------------------------------------------------------------------------------------------------

GRID = np.arange(24.0).reshape(2, 3, 4) / 7 - 1

ARRAYS = {
    "empty": np.zeros((0, 3)), "one": np.ones(1), "no axes": np.array(2.5), "number": np.float64(2.5),
    "reversed": GRID[::-1, :, ::-2], "Fortran": np.asfortranarray(GRID), "transposed": GRID.T,
    "stretched": np.broadcast_to(X, (4, 3)), "every other": GRID[:, ::2], "other byte order": GRID.astype(">f8"),
    "small": GRID.astype(np.float32), "half": GRID.astype(np.float16), "complex": GRID + 1j,
    "not aligned": np.frombuffer(b"\0" + GRID.tobytes(), np.uint8)[1:].view(float),
    "read-only": np.frombuffer(GRID.tobytes()),
}  # fmt: skip


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_every_make(x):
    for f in (
        lambda x: x * 2 + 1, lambda x: np.reshape(x, -1)[::-1], lambda x: np.sum(np.abs(x) * x), lambda x: x,
        lambda x: np.concatenate([np.ravel(x), np.ravel(x.T)]), lambda x: x.T * x.T,
    ):  # fmt: skip
        program, kept = ad.jit(f), x.copy()
        for given in (x, x * 0.5 if x.ndim else x, x):
            want = f(given)
            np.testing.assert_allclose(program(given), want, rtol=1e-13 if x.dtype.itemsize > 4 else 2e-3)
        np.testing.assert_array_equal(x, kept)
    if x.dtype.kind == "f" and x.dtype.itemsize == 8 and x.dtype.isnative:
        g = ad.value_and_grad(lambda x: np.sum(np.tanh(x) * x))
        for got, want in zip(ad.jit(g)(x), g(x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("x", [
    np.array([1, 2.5], object), np.array(["a", "b"]), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, [("a", float)]),
    np.ma.masked_array([1.0, 2.0], [False, True]),
], ids=["objects", "strings", "dates", "records", "masked"])  # fmt: skip
def test_what_is_no_array_of_numbers_is_the_functions_own_affair(x):
    got = ad.jit(lambda x: x[::-1])(x)
    assert type(got) is type(x[::-1])
    np.testing.assert_array_equal(got, x[::-1])


def test_one_array_twice_and_arrays_that_overlap():
    x = np.arange(6.0)

    def f(a, b):
        c = a * 2.0
        return np.cumsum(c) - b, b[::-1] + c, a, b

    program = ad.jit(f)
    for a, b in ((x, x), (x[:5], x[1:]), (x[::-1], x), (x[::2], x[1::2]), (x, x.copy())):
        for got, want in zip(program(a, b), f(a, b), strict=True):
            same(got, want)
    np.testing.assert_array_equal(x, np.arange(6.0))
    shared = {"a": x, "b": [x, x[::-1]]}
    same(ad.jit(lambda p: p["a"] * p["b"][0] - p["b"][1])(shared), x * x - x[::-1])


def test_an_argument_that_is_written_to_after_the_call():
    x = X.copy()
    program = ad.jit(lambda x: (x, x[1:], np.reshape(x, (3, 1)), x * 1.0))
    results = program(x)
    x[:] = 9.0
    for y in results:
        assert not (np.asarray(y) == 9.0).any()
    assert (program(x)[0] == 9.0).all()  # the new values, though the array is the same one


def test_a_result_that_is_written_to_does_not_come_back():
    program = ad.jit(lambda x: (np.arange(3.0), x, x * 2.0))
    for _ in range(2):
        for y, want in zip(program(X), (np.arange(3.0), X, X * 2), strict=True):
            np.testing.assert_array_equal(y, want)
            y[:] = 7.0


# -- functions ---------------------------------------------------------------------------------------------------------


class Model:
    k = 2.0

    def __call__(self, x):
        return x * self.k

    def scaled(self, x):
        return self.helper(x) * self.k

    def helper(self, x):
        return x + self.k

    @property
    def square(self):
        return self.k**2

    compiled = ad.jit(scaled)
    of_class = classmethod(ad.jit(lambda cls, x: x * cls.k))
    static = staticmethod(ad.jit(lambda x: x * 9.0))
    by_property = ad.jit(lambda self, x: x * self.square)


def test_methods_and_everything_that_can_be_called():
    model = Model()
    for k in (2.0, 3.0):
        Model.k = k
        for _ in range(2):
            same(model.compiled(X), (X + k) * k)
            same(Model.compiled(model, X), (X + k) * k)
            same(model.of_class(X), X * k)
            same(model.static(X), X * 9)
            same(model.by_property(X), X * k**2)
    programs = ad.jit(model), ad.jit(model.scaled), ad.jit(functools.partial(np.multiply, X)), ad.jit(np.sin)
    for k in (3.0, 5.0):
        model.k = k
        for program, want in zip(programs, (X * k, (X + k) * k, X * X, np.sin(X)), strict=True):
            same(program(X), want)
    with pytest.raises(ArgumentError, match="jit: a int is not a function"):
        ad.jit(3)


def test_functions_with_every_kind_of_parameter():
    same(ad.jit(lambda *xs, **named: sum(xs) + named["z"])(X, X, z=1.0), X + X + 1)
    same(ad.jit(lambda *, x: x * 2)(x=X), X * 2)
    same(ad.jit(lambda x, /, y=2.0: x * y)(X), X * 2)
    same(ad.jit(lambda f, x: f(x))(np.sin, X), np.sin(X))
    with pytest.raises(TypeError, match="positional argument"):
        ad.jit(lambda x: x)(X, X)


def test_recursion():
    def power(x, n):
        return x if n == 1 else x * compiled(x, n - 1)

    compiled = ad.jit(power, static_argnums=1)
    same(compiled(X, 4), X * (X * (X * X)))

    def fibonacci(n):  # each call in it is one of plain arguments, while the outer one is being compiled
        return np.ones(2) if n < 2 else again(n - 1) + again(n - 2)

    again = ad.jit(fibonacci, static_argnums=0)
    same(again(6), np.full(2, 13.0))
    same(ad.jit(ad.jit(ad.jit(np.tanh)))(X), np.tanh(X))

    def endless(x):
        return forever(x) + 1.0

    forever = ad.jit(endless)
    with pytest.raises(RecursionError):
        forever(X)
    same(compiled(X, 2), X * X)


@pytest.mark.parametrize("how", [{"static_argnums": 3}, {"static_argnums": -3}, {"static_argnames": "power"},
                                 {"static_argnums": 1.5}, {"static_argnums": "x"}])  # fmt: skip
def test_static_arguments_that_are_not_there(how):
    with pytest.raises(SettingError, match=r"has no argument .* that could be static\n.*where.*\n.*arguments: x, n"):
        ad.jit(lambda x, n: x, **how)


def test_one_pass_by_its_name():
    assert [name for name, _ in ad.jit(np.sin, passes="fold").lower(X).history] == ["record", "fold"]


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_of_every_kind():
    def f(x, none):
        return [x, [x * 2, (None, 3, "a", none)], {}, {"t": np.float32(1.5), "b": True}, 2.5, x.shape]

    got, want = ad.jit(f)(X, None), f(X, None)
    same(got[0], X)
    same(got[1][0], X * 2)
    assert got[1][1] == want[1][1]
    assert got[2:] == want[2:]
    assert ad.jit(lambda x: None)(X) is None
    assert ad.jit(lambda: 3)() == 3
    same(ad.jit(lambda: np.arange(3))(), np.arange(3))


def numbers(x):
    yield x
    yield x * 2


async def later(x):
    return x


@pytest.mark.parametrize("f", [numbers, later, lambda x: (x * k for k in range(3)), lambda x: [x, iter([x])],
                               lambda x: map(np.sin, [x])])  # fmt: skip
@pytest.mark.filterwarnings("ignore:coroutine")
def test_results_that_are_not_there_yet(f):
    with pytest.raises(SettingError, match=r"returned a .*\n.*where.*\n.*nothing of it has been computed.*\n.*a list"):
        ad.jit(f)(X)


@pytest.mark.parametrize("xs", [(x for x in (X, X)), iter([X, X]), map(np.sin, [X])])
def test_arguments_that_are_used_up(xs):
    with pytest.raises(SettingError, match=r"an argument of <lambda> is a .*\n.*where.*\n.*once.*\n.*a list"):
        ad.jit(lambda xs: sum(xs))(xs)


class Pair:
    def __init__(self, x):
        self.x = x


def test_an_object_that_holds_a_result():
    with pytest.raises(SettingError, match=r"returned a Pair whose x is a tensor\n.*where.*\n.*why.*\n.*register"):
        ad.jit(Pair)(X)
    assert ad.jit(lambda x: Pair(3))(X).x == 3


# -- side effects ------------------------------------------------------------------------------------------------------

LOG = []
TABLE = {}


def appends(x):
    LOG.append(x * 2.0)
    return x


def enters(x):
    TABLE["hidden"] = np.tanh(x)
    return x


@pytest.mark.parametrize(("f", "place"), [(appends, "0"), (enters, "'hidden'")])
def test_a_tensor_that_is_stored_outside_is_told(f, place):
    with pytest.warns(CompileWarning, match=f"stores a tensor outside of itself, in {place}"):
        same(ad.jit(f)(X), X)
    (stored,) = LOG or TABLE.values()
    LOG.clear()
    TABLE.clear()
    with pytest.raises(LeakError, match="being compiled"):
        np.asarray(stored)
    with pytest.raises(ClosedTraceError):
        stored + 1.0


def test_what_is_printed_is_printed_once(capsys):
    program = ad.jit(lambda x: (print("here"), x * 2)[1])
    for _ in range(3):
        program(X)
    assert capsys.readouterr().out == "here\n"


# -- accidents ---------------------------------------------------------------------------------------------------------


def test_an_error_while_compiling_leaves_nothing_behind():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("the first time")
        return x * 2

    program = ad.jit(f)
    with pytest.raises(ValueError, match="the first time"):
        program(X)
    assert not program._programs
    assert ad.recorders.TRACING.get() == 0
    same(program(X), X * 2)
    same(program(X), X * 2)
    assert len(calls) == 2


def test_an_error_while_it_runs_leaves_nothing_behind():
    program = ad.jit(lambda a: np.linalg.inv(a * 1.0) + 0.0)
    program(np.eye(2))
    for _ in range(3):
        with pytest.raises(np.linalg.LinAlgError):
            program(np.zeros((2, 2)))
        same(program(np.eye(2)), np.eye(2))
    (compiled,) = program._programs.values()
    assert len(compiled._program.pools) <= 1


def together(count, work):
    errors = []

    def guarded(k):
        try:
            work(k)
        except BaseException as error:  # told by the thread that waits
            errors.append(error)

    workers = [threading.Thread(target=guarded, args=(k,)) for k in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


def test_threads_that_compile_one_function_at_once():
    calls = []
    barrier = threading.Barrier(6)

    def f(x):
        calls.append(1)
        return np.tanh(x) * 2.0 + x

    program = ad.jit(f)

    def work(k):
        barrier.wait()
        for n in range(20):
            same(program(X * k + n), np.tanh(X * k + n) * 2.0 + (X * k + n))

    together(6, work)
    assert len(calls) == 1


def test_jit_inside_of_threads():
    def work(k):
        for n in range(5):
            f = ad.jit(ad.grad(lambda x: np.sum(np.sin(x) * k)))
            np.testing.assert_allclose(f(X + n), np.cos(X + n) * k, rtol=1e-15)

    together(4, work)


def test_threads_that_differentiate_and_run():
    f = ad.jit(lambda x: np.sum(np.sin(x) ** 2))

    def work(k):
        for n in range(20):
            x = X + k + n
            np.testing.assert_allclose(ad.grad(f)(x), np.sin(2 * x), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(f(x), np.sum(np.sin(x) ** 2), rtol=1e-14)

    together(4, work)
    assert len(f._programs) == 2
