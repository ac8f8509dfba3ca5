"""The door of the compiler: signatures, containers, static arguments, what leaks, what surrounds the function."""

import collections
import dataclasses
import functools
import logging
import math
import operator
import pickle
import random
import sys
import threading
import traceback
import types
import warnings

import numpy as np
import optree
import pytest

import autodiff as ad
from autodiff.errors import CompileWarning, LeakError, LostHistoryError, SettingError

X = np.array([0.5, -1.25, 2.0])


def loss(params, x, power=2):
    return np.sum(np.tanh(x @ params["w"] + params["b"]) ** power)


def counted(f):
    """The function, and a list that grows by one each time its code runs."""
    calls = []

    def run(*args, **kwargs):
        calls.append(1)
        return f(*args, **kwargs)

    return run, calls


def several(y):
    return y if isinstance(y, tuple) else (y,)


# -- what a user types first -------------------------------------------------------------------------------------------


def test_a_function_keeps_its_bits():
    f = ad.jit(lambda x: np.tanh(x) * 2.0 + 1.0)
    for x in (X, X * 3, X[::-1], np.array(0.3)):
        np.testing.assert_array_equal(f(x), np.tanh(x) * 2.0 + 1.0)


@pytest.mark.parametrize("x", [0.3, 2, True, 1 + 2j, np.float32(0.5), np.array(3.0), X.astype(np.float32), [X, 2.0]])
def test_arguments_of_every_kind(x):
    def f(x):
        return x[0] * x[1] if isinstance(x, list) else x * 0.5 + x

    want, got = f(x), ad.jit(f)(x)
    assert type(got) is type(want)
    np.testing.assert_array_equal(got, want)
    assert np.asarray(got).dtype == np.asarray(want).dtype


def test_numbers_of_pythons_stay_weak():
    def step(w, rate):
        return w - (0.5 * rate + 0.25) * w

    w = np.ones(3, np.float32)
    got = ad.jit(step)(w, 0.1)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, step(w, 0.1))


def test_a_users_operation_gets_numbers_as_numbers():
    seen = []

    @ad.primitive
    def power(x, n):
        seen.append((isinstance(n, float), n**2 + math.sqrt(n)))
        return x**n

    power.defvjp(lambda d, y, x, n: d * n * x ** (n - 1), lambda d, y, x, n: np.sum(d * y * np.log(x)))
    slopes = ad.grad(lambda x, n: np.sum(power(x, n)), argnums=(0, 1))
    x = np.array([1.0, 2.0])
    for one, two in zip(ad.jit(slopes)(x, 3.0), slopes(x, 3.0), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(seen) == 3  # recorded, run, and eager
    assert set(seen) == {(True, 9 + math.sqrt(3.0))}


def test_nested_containers_in_and_out():
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((3, 2)), "b": np.zeros(2)}
    x = rng.standard_normal((5, 3))
    want = ad.value_and_grad(loss)(params, x)
    got = ad.jit(ad.value_and_grad(loss))(params, x)
    assert got[0] == pytest.approx(want[0], rel=1e-15)
    assert got[1].keys() == want[1].keys()
    for key in want[1]:
        np.testing.assert_allclose(got[1][key], want[1][key], rtol=1e-13)


def test_settings_by_keyword():
    params = {"w": np.eye(3), "b": np.zeros(3)}
    run, calls = counted(loss)
    f = ad.jit(run, static_argnames="power")
    for power in (2, 3, 2, 3):
        np.testing.assert_allclose(f(params, X, power=power), loss(params, X, power))
    assert len(calls) == 2
    np.testing.assert_allclose(ad.jit(loss)(params, X, power=3), loss(params, X, 3))  # as an argument of the program


def test_what_is_no_array_comes_back_as_it_is():
    def f(x, kind):
        return {"kind": kind, "none": None, "y": x * 2.0, "shape": x.shape, "constant": np.arange(3)}

    got = ad.jit(f)(X, "plain")
    assert (got["kind"], got["none"], got["shape"]) == ("plain", None, (3,))
    np.testing.assert_array_equal(got["constant"], [0, 1, 2])


@pytest.mark.parametrize("f", [
    lambda w: ad.grad(lambda w: np.sum(np.sin(w) ** 2))(w),
    lambda w: ad.hvp(lambda w: np.sum(np.sin(w) ** 2), (w,), (np.ones(3),)),
    lambda w: ad.jvp(np.sin, (w,), (w,)),
    lambda w: ad.jacobian(lambda w: np.cumsum(w * w))(w),
    lambda w: ad.hessian(lambda w: np.prod(w))(w),
    lambda w: ad.elementwise_grad(np.tanh)(w),
    lambda w: ad.grad(lambda w: np.sum(ad.checkpoint(np.tanh)(w) ** 2))(w),
], ids=["grad", "hvp", "jvp", "jacobian", "hessian", "elementwise_grad", "checkpoint"])  # fmt: skip
def test_transforms_inside(f):
    program = ad.jit(f)
    for w in (X, X + 0.5):
        for want, got in zip(several(f(w)), several(program(w)), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


def test_inside_of_another_trace_the_function_runs_as_it_is():
    f = ad.jit(lambda x: np.sum(np.tanh(x) ** 2))
    np.testing.assert_array_equal(ad.grad(f)(X), ad.grad(lambda x: np.sum(np.tanh(x) ** 2))(X))
    inner = ad.jit(lambda x, y: np.sum(x * y))
    np.testing.assert_array_equal(ad.grad(lambda w: ad.jit(lambda x: np.sum(x * w))(X))(X), X)  # through the closure
    np.testing.assert_array_equal(ad.jit(lambda x: inner(x, x))(X), X @ X)


def test_methods():
    class Model:
        scale = 3.0

        @ad.jit
        def double(self, x):
            return x * 2.0

    np.testing.assert_array_equal(Model().double(X), X * 2)


# -- signatures --------------------------------------------------------------------------------------------------------


def test_traced_once_for_each_signature():
    run, calls = counted(lambda x: x * 2.0)
    f = ad.jit(run)
    for x in (X, X + 1, X.astype(np.float32), np.ones((2, 3)), X, np.ones((2, 3)), np.asfortranarray(np.ones((2, 3)))):
        f(x)
    assert len(calls) == 3


def test_the_number_of_programs_is_bounded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)
        f = ad.jit(lambda x: x + 1.0)
        for n in range(100):
            f(np.ones(n))
    assert len(f._programs) == 64
    np.testing.assert_array_equal(f(np.ones(1)), [2.0])


def test_a_function_that_is_compiled_over_and_over_says_so():
    f = ad.jit(lambda x, n: x * n, static_argnums=1)
    for n in range(15):
        f(X, n)
    with pytest.warns(CompileWarning, match="compiled 16 times"):
        f(X, 15)
    f(X, 16)  # once is enough


@pytest.mark.parametrize("static", [1, -1, (1,)])
def test_static_arguments_decide_about_loops_and_branches(static):
    def power(x, n):
        y = x
        for _ in range(n - 1):
            y = y * x
        return y if n > 2 else -y

    f = ad.jit(power, static_argnums=static)
    for n in (2, 3, 5):
        np.testing.assert_array_equal(f(X, n), power(X, n))


def test_a_static_argument_that_cannot_be_hashed():
    with pytest.raises(SettingError, match=r"argument 1 .a Bag. cannot be hashed\n.*where.*\n.*why.*\n.*") as caught:
        ad.jit(lambda x, how: x, static_argnums=1)(X, Bag())
    assert "close over" in str(caught.value)
    with pytest.raises(SettingError, match=r"argument 0 .a list., how .a ndarray. cannot be hashed"):
        ad.jit(lambda x, how: x, static_argnums=0, static_argnames="how")([1, 2], how=X)


def test_an_object_of_arrays_is_told_how_to_become_a_container():
    @dataclasses.dataclass
    class Params:
        w: np.ndarray

    cures = []
    for run in (ad.jit, ad.vmap, ad.grad):
        with pytest.raises(ad.errors.AutodiffError, match="make Params a container") as caught:
            run(lambda p: np.sum(p.w))(Params(X))
        cures.append(str(caught.value))
    with pytest.raises(SettingError, match="make Params a container"):
        ad.jit(lambda x: Params(x * 2.0))(X)
    said = cures[0].partition("optree.")[2].replace("(x.w, x.b)", "(x.w,)")
    eval(f"optree.{said}", {"optree": optree, "Params": Params})
    assert ad.jit(lambda p: np.sum(p.w))(Params(X)) == np.sum(X)
    np.testing.assert_array_equal(ad.grad(lambda p: np.sum(p.w))(Params(X)).w, np.ones(3))
    np.testing.assert_array_equal(ad.vmap(lambda p: p.w * 2)(Params(X)), X * 2)


def test_settings_in_a_decorator():
    @ad.jit(static_argnums=1)
    def power(x, n):
        return x if n == 0 else x * power(x, n - 1)

    np.testing.assert_array_equal(power(X, 2), X * (X * X))
    assert ad.jit()(np.sin)(0.5) == np.sin(0.5)

    @ad.vmap(in_axes=(None, 0))
    def scaled(w, x):
        return w * x

    np.testing.assert_array_equal(scaled(X, np.arange(2.0)), [X * 0, X])



class Bag:
    __hash__ = None


def test_a_pass_that_does_not_exist():
    with pytest.raises(SettingError, match=r"no pass 'shar'.*\n.*where.*\n.*nearest: share"):
        ad.jit(np.sin, passes=("shar",))


# -- leaks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "word"), [
    (lambda x: x if np.sum(x) > 0 else -x, "truth"),
    (lambda x: x * float(np.sum(x)), "float(x)"),
    (lambda x: x * int(np.sum(x)), "int(x)"),
    (lambda x: x * np.sum(x).item(), "item"),
    (lambda x: np.asarray(x) * 2, "np.asarray"),
    (lambda x: x[x > 0], "indexing"),
    (lambda x: [1.0, 2.0, 3.0][np.argmax(x)], "index"),
    (lambda x: [y for y in x if y in x], "value"),
    (lambda x: x[: np.argmax(x)], "index"),
    (lambda x: np.nonzero(x)[0], "value"),
    (lambda x: range(np.argmax(x)), "index"),
    (lambda x: x.tolist(), "tolist"),
    (lambda x: np.zeros(np.argmax(x)), "index"), (lambda x: np.ones((2, np.argmax(x))), "index"),
    (lambda x: ad.numpy.zeros(np.argmax(x)), "index"), (lambda x: np.full(np.argmax(x), 2.0), "index"),
    (lambda x: np.empty(np.argmax(x)), "index"), (lambda x: np.eye(np.argmax(x)), "index"),
    (lambda x: np.linspace(0, 1, np.argmax(x)), "index"), (lambda x: np.reshape(x, np.argmax(x)), "index"),
    (lambda x: np.reshape(np.ones(3), (np.argmax(x), 1)), "index"), (lambda x: np.sum(x, axis=np.argmax(x)), "index"),
    (lambda x: np.arange(np.argmax(x)), "np.asarray"),
    (lambda x: hash(x.item()), "item"), (lambda x: math.sin(x[0]), "float(x)"),
], ids=lambda x: x if isinstance(x, str) else "")  # fmt: skip
def test_what_depends_on_a_value_is_refused(f, word):
    with pytest.raises(LeakError) as caught:
        ad.jit(f)(X)
    text = str(caught.value)
    assert word in text
    assert "np.where" in text
    assert "static_argnums" in text
    assert __file__ in text


@pytest.mark.parametrize(("f", "args", "names"), [
    (lambda x, n: [x for _ in range(n)], (1.0, 2), "n"), (lambda x, n: x[: n + 1], (X, 2), "n"),
    (lambda x, n: float(x + n), (1.0, 2), "x, n"), (lambda p: float(p["w"]), ({"w": 1.0, "b": X},), "p['w']"),
    (lambda *xs: bool(xs[1] > 0), (1.0, 2.0), "argument1"), (lambda x: ad.grad(lambda y: y * float(x))(x), (2.0,), "x"),
])  # fmt: skip
def test_a_leak_names_the_arguments_that_it_depends_on(f, args, names):
    with pytest.raises(LeakError) as caught:
        ad.jit(f)(*args)
    assert f"it depends on {names}\n" in str(caught.value)


@pytest.mark.parametrize("f", [
    np.nanmean, np.nanvar, np.nanmedian, np.linalg.cond, np.polyfit, np.unique, np.average, np.gradient, np.histogram,
])  # fmt: skip
def test_a_leak_names_the_function_of_numpy_that_decides(f):
    calls = {np.polyfit: lambda x: f(x[0], x[1], 1), np.average: lambda x: f(x, weights=x),
             np.gradient: lambda x: f(x[0], x[1])}  # fmt: skip
    name = f"{f.__module__}.{f.__name__}".replace("numpy", "np")
    with pytest.raises(LeakError, match=f"^{name}: the (value|truth) of a tensor"):
        ad.jit(calls.get(f, lambda x: f(x)))(np.eye(3) + 1.0)


def test_printing_is_no_leak(capsys):
    def f(x):
        print(x, f"{x}", repr(x))
        return x * 2.0

    ad.jit(f)(X)
    assert capsys.readouterr().out.count("being compiled") == 3


def test_random_numbers_are_told():
    with pytest.warns(CompileWarning, match="draws random numbers"):
        ad.jit(lambda x: x + np.random.rand(3))(X)  # noqa: NPY002
    rng = np.random.default_rng(0)
    with pytest.warns(CompileWarning, match="draws random numbers"):
        ad.jit(lambda x: x + rng.random(3))(X)


def test_another_array_in_the_surroundings_compiles_anew():
    scale = np.array(2.0)

    def f(x):
        return x * scale

    program = ad.jit(f)
    np.testing.assert_array_equal(program(X), X * 2)
    scale = np.array(5.0)
    np.testing.assert_array_equal(program(X), X * 5)


@pytest.mark.parametrize(("wrap", "unwrap"), [
    (lambda d: d, lambda x: x), (lambda d: [1.0, (d,)], lambda x: x[1][0]), (lambda d: {"in": d}, lambda x: x["in"]),
])  # fmt: skip
def test_dicts_keep_the_order_in_which_they_are_given(wrap, unwrap):
    def f(x):
        d = unwrap(x)
        return sum((n + 1) * v for n, v in enumerate(d.values())), {key: v * 2 for key, v in d.items()}

    program = ad.jit(f)
    for d in ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, {"a": 5.0, "b": 7.0}, {"b": 3.0, "a": 4.0}):
        (want, doubled), (got, found) = f(wrap(d)), program(wrap(d))
        assert (got, list(found.items())) == (want, list(doubled.items()))
        assert ad.grad(lambda x: program(x)[0])(wrap(d)) == ad.grad(lambda x: f(x)[0])(wrap(d))
    assert repr(program) == "<jit f: 4 programs>"  # two orders, each run and differentiated


def store(a, x):
    a[1] = x


@pytest.mark.parametrize("a", [
    np.zeros(3), np.zeros(3, np.float32), np.zeros(3, int), np.zeros(3, bool), np.zeros(3, complex), np.zeros((3, 3)),
], ids=lambda a: f"{a.dtype}{a.ndim}")  # fmt: skip
@pytest.mark.parametrize("wrap", [ad.jit, ad.vmap, lambda f: ad.jit(ad.vmap(f)), lambda f: ad.jit(ad.grad(f))])
def test_a_write_into_a_plain_array_is_refused_as_under_grad(a, wrap):
    def f(x):
        here = a.copy()
        store(here, x if here.ndim == 2 else x[0])
        return np.sum(here)

    with pytest.raises(LostHistoryError, match=r"(?s)into a plain array|plain numbers.*autodiff.numpy.zeros") as caught:
        wrap(f)(np.ones((3, 3)) if wrap is not ad.jit else X)
    assert f"{__file__}:" in str(caught.value)


def test_what_a_tensor_says_is_not_hidden_by_numpy():
    for wrap in (ad.jit, ad.vmap):
        with pytest.raises(LeakError, match=r"float\(x\)"):
            wrap(lambda x: np.zeros(2).fill(x[0]))(np.ones((2, 2)) if wrap is ad.vmap else X)


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [
    lambda x: x, lambda x: x.T, lambda x: x[1:], lambda x: np.reshape(x, -1), lambda x: np.broadcast_to(x, (2, 2, 3)),
    lambda x: np.real(x), lambda x: (x * 2.0).T, lambda x: np.reshape((x * 2.0).T, (2, 3)), lambda x: np.tanh(x)[:, 1:],
    lambda x: np.diagonal(x), lambda x: np.flip(x + 1.0), lambda x: (lambda y: (y, y, y.T, y[0]))(x * 3.0),
    lambda x: np.zeros(3) + np.sum(x), lambda x: np.arange(3.0), lambda x: (x, x),
    lambda x: (np.exp(x), np.real(np.exp(x))), lambda x: (np.real(np.exp(x)), np.exp(x)),
    lambda x: (lambda y: (y.real, y.imag, y, y.real))(np.exp(1j * x)), lambda x: tuple(np.split(np.exp(x), 3, 1)),
    lambda x: (lambda y: (y[:, :1], np.squeeze(y[:1, ::3])))(np.exp(x)), lambda x: np.squeeze((x * 2)[:1, ::3]),
    lambda x: (lambda y: (y[:], np.real(y)))(np.exp(x)), lambda x: (lambda y: (np.real(y), y.T))(np.exp(x)),
    lambda x: (lambda y: (y, np.real(np.real(y)), np.einsum("ij->ji", y)))(np.exp(x)),
])  # fmt: skip
def test_results_share_memory_with_nothing(f):
    x = np.arange(6.0).reshape(2, 3)
    program = ad.jit(f)
    first, second = program(x), program(x)
    kept = [np.array(y) for y in several(first)]
    all_of_them = [*several(first), *several(second), x]
    for i, a in enumerate(all_of_them):
        assert a.flags.writeable
        for b in all_of_them[:i]:
            assert not np.shares_memory(a, b)
    program(x * 7.0)  # a later run leaves earlier results alone
    for y, was in zip(several(first), kept, strict=True):
        np.testing.assert_array_equal(y, was)


def test_arguments_are_only_read():
    x = np.arange(6.0).reshape(2, 3)
    x.flags.writeable = False
    f = ad.jit(lambda x: np.tanh(x * 2.0) + x)
    np.testing.assert_array_equal(f(x), np.tanh(x * 2.0) + x)

    def writes(x):
        x[0] = 0.0
        return x * 2.0

    y = np.ones((2, 3))
    np.testing.assert_array_equal(ad.jit(writes)(y), [[0, 0, 0], [2, 2, 2]])
    np.testing.assert_array_equal(y, np.ones((2, 3)))  # as under grad: the write is the function's own


def test_one_array_as_two_arguments_and_overlapping_ones():
    f = ad.jit(lambda a, b: (a * 2.0 + b, b - a))
    base = np.arange(10.0)
    for a, b in ((base, base), (base[:5], base[3:8]), (base[::2], base[1::2])):
        for got, want in zip(f(a, b), (a * 2.0 + b, b - a), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("layout", [
    np.asfortranarray, lambda x: x[::-1, ::-1], lambda x: np.broadcast_to(x[0], x.shape),
    lambda x: x.astype(">f8"), lambda x: np.repeat(x, 2, 1)[:, ::2],
])  # fmt: skip
def test_every_layout(layout):
    x = layout(np.random.default_rng(0).standard_normal((300, 200)))
    turned = [lambda x: np.reshape(x, (200, 300)) + 1.0, lambda x: np.sum(np.exp(x * 0.1), axis=1)]
    for f in (lambda x: np.tanh(x) * 2.0, *turned):
        np.testing.assert_allclose(ad.jit(f)(x), f(x), rtol=1e-14)


# -- running -----------------------------------------------------------------------------------------------------------


def test_many_threads_and_a_program_inside_itself():
    f = ad.jit(lambda x: np.cumsum(np.tanh(x) + np.sin(x) * x))
    xs = [np.random.default_rng(k).standard_normal(200) for k in range(8)]
    wanted = [f(x) for x in xs]
    wrong = []

    def work(k):
        for _ in range(200):
            if not np.array_equal(f(xs[k]), wanted[k]):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_an_error_inside_names_the_users_line():
    def f(a):
        b = a * 2.0
        return np.linalg.cholesky(b)  # here

    program = ad.jit(f)
    program(np.eye(3))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        program(-np.eye(3))
    line = f.__code__.co_firstlineno + 2
    assert caught.value.__notes__ == [f"in the compiled f, at what {__file__}:{line} computes"]
    text = "".join(traceback.format_exception(caught.value))
    assert "cholesky(b0)" in text  # the line of the program, which can be stepped through
    np.testing.assert_array_equal(program(np.eye(3)), np.linalg.cholesky(2 * np.eye(3)))


def test_warnings_are_those_of_numpy():
    f = ad.jit(lambda x: np.log(x))
    f(X + 2)
    with pytest.warns(RuntimeWarning, match="invalid value encountered in log"):
        f(X)
    g = ad.jit(ad.grad(lambda x: np.sum(np.sqrt(x))))
    assert g(np.array([0.0, 1.0])).tolist() == [np.inf, 0.5]  # silent, as the eager sweep is


def test_warnings_of_the_forward_run_in_a_group_with_its_sweep():
    g = ad.jit(ad.value_and_grad(lambda x: np.sum(np.log(x) * np.tanh(x))))
    x = np.ones(100_000)
    g(x)
    assert g.lower(x).source.count("run_tiles(") == 1
    with pytest.warns(RuntimeWarning, match="invalid value encountered in log"):
        g(x - 2)


def test_true_zeros_beside_what_is_not_finite():
    def f(x):
        return np.sum(np.where(x > 0, np.sqrt(np.abs(x) + 1.0 / x), 0.0))

    g = ad.jit(ad.grad(f))
    fine = np.array([4.0, 1.0, 2.0])
    np.testing.assert_allclose(g(fine), ad.grad(f)(fine), rtol=1e-14)
    with np.errstate(divide="ignore", invalid="ignore"):
        for x in (np.array([0.0, 4.0, -1.0]), np.array([np.inf, 1.0, np.nan]), fine):
            np.testing.assert_allclose(g(x), ad.grad(f)(x), rtol=1e-14, equal_nan=True)


def test_what_could_swallow_an_inf_is_looked_at():
    """The step is clipped, so nothing in the result would show that a guard was needed."""

    def step(x):
        g = ad.grad(lambda x: np.sum(np.where(x > 0, np.log(np.abs(x)), 0.0)))(x)
        return x - np.clip(g, -1.0, 1.0)

    x = np.array([0.0, 2.0, -3.0])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ad.jit(step)(x), step(x))
        np.testing.assert_array_equal(ad.jit(step)(x + 5), step(x + 5))


def test_looking_at_a_program(tmp_path):
    f = ad.jit(ad.grad(lambda x: np.sum(np.tanh(x) ** 2)))
    program = f.lower(X)
    assert [name for name, _ in program.history] == ["record", *ad.compiler.PASSES]
    for _, graph in program.history:
        ad.check(graph)
        graph.draw(tmp_path / "pass.svg")
    assert len(program.graph) <= len(program.history[0][1])
    assert "tanh(x0, b0)" in program.source
    cost = program.cost()
    assert cost.operations == sum(op.name not in ("input", "constant") for op in program.graph.ops)
    assert cost.peak == program.memory_plan.arena + program.memory_plan.results
    assert program.graph.names[program.graph.arguments[0]] == "x"


def square(x):
    return x * x


def test_pickled_where_the_function_is():
    f = ad.jit(square)
    f(X)
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again(X), X * X)


def test_ten_thousand_steps_compile_in_seconds():
    def f(x, w):
        for _ in range(10_000):
            x = np.tanh(x * w) + 0.01
        return np.sum(x)

    x, w = np.linspace(-1, 1, 8), np.linspace(0.5, 1.5, 8)
    program = ad.jit(ad.grad(f))
    np.testing.assert_allclose(program(x, w), ad.grad(f)(x, w), rtol=1e-12)
    assert sys.getrecursionlimit() <= 10_000


# -- positions that are arguments --------------------------------------------------------------------------------------


TABLE, ROWS = np.random.default_rng(0).standard_normal((5, 3)), np.array([0, 2, -1, 2])


def looked_up(t, i):
    t = t * 1.0
    t[i] = 0.5
    return t


@pytest.mark.parametrize("f", [
    lambda t, i: t[i], lambda t, i: t[i, 1:], lambda t, i: t[1:, i[0]], lambda t, i: np.take(t, i, axis=0),
    lambda t, i: np.take_along_axis(t, i[:, None], axis=0), lambda t, i: t[i[:, None], np.arange(3)],
    lambda t, i: t[np.argmax(t, axis=0), np.arange(3)], lambda t, i: t[np.argsort(t[:, 0])], looked_up,
])  # fmt: skip
def test_tables_are_looked_up_at_positions_that_are_arguments(f):
    program = ad.jit(f)
    for t, i in ((TABLE, ROWS), (TABLE[::-1] * 2, ROWS[::-1])):
        np.testing.assert_array_equal(program(t, i), f(t, i))
        g = ad.grad(lambda t, i: np.sum(f(t, i) ** 2))
        np.testing.assert_allclose(ad.jit(g)(t, i), g(t, i), rtol=1e-14)


def test_labels_that_are_arguments():
    rng = np.random.default_rng(0)
    x, w, y = rng.standard_normal((6, 3)), rng.standard_normal((3, 4)), rng.integers(0, 4, 6)

    def loss(w, x, y):
        return np.mean(ad.nn.cross_entropy(x @ w, y))

    def ignoring(w, x, y):
        return np.mean(ad.nn.cross_entropy(x @ w, y, ignore_index=2))

    for f in (loss, ignoring):
        program = ad.jit(ad.grad(f))
        for labels in (y, y[::-1]):
            np.testing.assert_allclose(program(w, x, labels), ad.grad(f)(w, x, labels), rtol=1e-13)
    program = ad.jit(ad.grad(loss))
    program(w, x, y)
    with pytest.raises(ad.errors.LabelError, match="label 4 among 4 classes"):
        program(w, x, y * 0 + 4)
    with pytest.raises(ad.errors.LabelError, match="label -1"):
        program(w, x, y * 0 - 1)


# -- what surrounds a function -----------------------------------------------------------------------------------------


class Scaled:
    def __init__(self, scale):
        self.scale, self.layers, self.uses = scale, [{"w": scale}], 0

    def __call__(self, x):
        return x * self.scale + self.layers[0]["w"]


SETTING = {"scale": np.array(2.0), "power": 2}


def helped(x):
    return helper(x) + 1.0


def helper(x):
    return x ** SETTING["power"] * SETTING["scale"]


def test_what_stands_in_containers_objects_and_helpers_is_watched():
    program = ad.jit(helped)
    for change in ({}, {"scale": np.array(3.0)}, {"power": 3}):
        SETTING.update(change)
        np.testing.assert_array_equal(program(X), helped(X))
    model = Scaled(2.0)
    program = ad.jit(model)
    np.testing.assert_array_equal(program(X), X * 2 + 2)
    model.scale = 3.0
    np.testing.assert_array_equal(program(X), X * 3 + 2)
    model.layers[0]["w"] = 5.0
    np.testing.assert_array_equal(program(X), X * 3 + 5)
    model.layers = [{"w": 6.0}]
    np.testing.assert_array_equal(program(X), X * 3 + 6)


class Slotted:
    __slots__ = ("scale",)

    def __init__(self):
        self.scale = np.ones(3)


class Layer:
    def __init__(self):
        self.w, self.mode = np.ones(3), "sum"

    @property
    def twice(self):
        return self.w * 2

    def through_a_property(self, x):
        return self.twice * x

    def by_mode(self, x):
        return x + self.w if self.mode == "sum" else x * self.w


class Table(dict):
    pass


SLOTTED, LAYERS, DEQUE = Slotted(), [Layer(), Layer(), Layer()], collections.deque([np.ones(3)])
OWN, ORDERED = Table(w=np.ones(3)), collections.OrderedDict(w=2.0)
ZEROS = np.zeros(3)


def with_keyword(x, *, table=DEQUE):
    return x * table[0]


@pytest.mark.parametrize(("f", "change"), [
    (lambda x: x * SLOTTED.scale, lambda: setattr(SLOTTED, "scale", ZEROS)),
    (LAYERS[0].through_a_property, lambda: setattr(LAYERS[0], "w", ZEROS)),
    (LAYERS[1].by_mode, lambda: setattr(LAYERS[1], "mode", "product")),
    (LAYERS[2].by_mode, lambda: setattr(LAYERS[2], "mode", None)),
    (lambda x: x * OWN["w"], lambda: OWN.update(w=ZEROS)),
    (lambda x: x * ORDERED["w"], lambda: ORDERED.update(w=3.0)),
    (with_keyword, lambda: operator.setitem(DEQUE, 0, ZEROS)),
], ids=["slot", "property", "string", "None", "dict of one's own", "ordered dict", "keyword"])  # fmt: skip
def test_places_of_every_kind_are_watched(f, change):
    program = ad.jit(f)
    x = np.arange(3.0)
    before = program(x)
    change()
    np.testing.assert_array_equal(program(x), f(x))
    assert not np.array_equal(before, f(x))


def test_the_state_of_libraries_is_their_own_affair():
    def f(x):
        logging.getLogger("autodiff").debug("here")
        warnings.warn("look", UserWarning, stacklevel=1)
        return collections.deque([x, x], maxlen=1)[0] * random.Random(0).random()

    run, calls = counted(f)
    program = ad.jit(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(3):
            warnings.filterwarnings("ignore", message=f"{k}")
            program(X)
    assert len(calls) == 1
    assert not any(place.value is logging.root for place in program._known.around.places)


@pytest.mark.parametrize("n", [8, 600, 100_000])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "g", "c8", "c16", "i4", "?"])
def test_one_element_of_an_array_around_is_watched_whatever_its_size(dtype, n):
    table = np.zeros(2 * n, dtype)[::2]
    program = ad.jit(lambda x: x + np.sum(table).astype(float) if table.dtype.kind != "c" else x + np.sum(table.real))
    for place, number in ((n - 1, 1), (n // 2, 1), (0, 1), (0, 0)):
        table[place] = number
        np.testing.assert_array_equal(program(X), X + np.sum(table).real)
    if dtype in ("f4", "f8"):
        before = program.lower(X)
        table[n // 3] = -0.0
        program(X)
        assert program.lower(X) is not before


def test_what_is_read_only_is_taken_at_its_word():
    table = np.ones(5000)
    table.setflags(write=False)
    program = ad.jit(lambda x: x * table[3])
    program(X)
    (held,) = program._known.around.contents
    assert held.held is None
    table.setflags(write=True)
    table[3] = 2.0
    np.testing.assert_array_equal(program(X), X * 2.0)


def test_numbers_in_lists_are_watched():
    rates = {"by block": [0.5, 1.0]}
    program = ad.jit(lambda x: x * sum(rates["by block"]))
    np.testing.assert_array_equal(program(X), X * 1.5)
    rates["by block"][1] = 4.0
    np.testing.assert_array_equal(program(X), X * 4.5)


class Weighted:
    w = 1.0


def wrapped(f, rates):
    @functools.wraps(f)
    def inner(x):
        return f(x) * rates[0]

    return inner


def _around():
    """Functions of x, what their surroundings are changed by, and the factor before and after."""
    rates, table, item = [1.0], {"a": 1.0}, Weighted()
    module, things = types.ModuleType("made"), np.array([1.0, None], dtype=object)
    rows = np.ones(2, [("u", float)])
    module.k = 1.0
    return {
        "what a decorator's function names": (wrapped(lambda x: x, rates), lambda: rates.__setitem__(0, 7.0)),
        "values of a dict": (lambda x: x * sum(table.values()), lambda: table.update(a=7.0)),
        "a dict that is gone through": (lambda x: x * sum(table[k] for k in table), lambda: table.update(a=7.0)),
        "a default of a class": (lambda x: x * item.w, lambda: setattr(item, "w", 7.0)),
        "a module made by hand": (lambda x: x * module.k, lambda: setattr(module, "k", 7.0)),
        "an array of objects": (lambda x: x * things[0], lambda: things.__setitem__(0, 7.0)),
        "an array of records": (lambda x: x * rows["u"][1], lambda: rows["u"].__setitem__(1, 7.0)),
    }


@pytest.mark.parametrize("name", _around())
def test_more_of_what_is_around_is_watched(name):
    f, change = _around()[name]
    program = ad.jit(f)
    np.testing.assert_array_equal(program(X), X)
    change()
    np.testing.assert_array_equal(program(X), X * 7.0)
    np.testing.assert_array_equal(program(X), f(X))


def test_objects_among_the_arguments_are_watched():
    run, calls = counted(lambda model, x: x * model.scale)
    program = ad.jit(run)
    models = Scaled(2.0), Scaled(4.0)
    for model in (*models, *models):
        np.testing.assert_array_equal(program(model, X), X * model.scale)
    assert len(calls) == 2
    models[0].scale = 3.0
    np.testing.assert_array_equal(program(models[0], X), X * 3)
    models[0].uses += 1  # which the function does not read
    before = len(calls)
    np.testing.assert_array_equal(program(models[0], X), X * 3)
    assert len(calls) == before


@pytest.mark.parametrize("f", [
    lambda x, w: np.sum(w**2), lambda x, w: {"x": x, "w": w * 1.0}["w"], lambda x, w: np.sum(x * w), lambda x, w: w,
    lambda x, w: (x * 2.0) @ w,
])  # fmt: skip
def test_a_tensor_around_the_function_never_loses_its_history(f):
    def eager(w):
        return np.sum(f(X, w) * 3.0)

    def closed_over(w):
        return np.sum(ad.jit(lambda x: f(x, w))(X) * 3.0)

    np.testing.assert_allclose(ad.grad(closed_over)(X + 5), ad.grad(eager)(X + 5), rtol=1e-15)
    held = {"w": X}
    program = ad.jit(lambda x: f(x, held["w"]))
    program(X)  # compiled with an array in the place where the tensor will stand

    def swapped(w):
        held["w"] = w
        return np.sum(program(X) * 3.0)

    np.testing.assert_allclose(ad.grad(swapped)(X + 5), ad.grad(eager)(X + 5), rtol=1e-15)
    held["w"] = X - 1
    np.testing.assert_array_equal(program(X), f(X, X - 1))
