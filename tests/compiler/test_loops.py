"""What repeats in a program is written once, and the work for each node does not grow with the program."""

import functools
import re
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff.compiler import loops
from autodiff.compiler.loops import Loop, rolled

X, W = np.linspace(-1.0, 1.0, 5), np.linspace(0.5, 1.5, 5)


def chain(steps):
    def f(x, w):
        for _ in range(steps):
            x = np.tanh(x) * w * 1.01 + 0.01
        return np.sum(x)

    return ad.value_and_grad(f, argnums=(0, 1))


def unrolled(items):
    """The lines that a program with loops stands for."""
    found = []
    for item in items:
        if not isinstance(item, Loop):
            found.append(item)
            continue
        for t in range(item.rounds):
            names = [column[t] for column in item.names]
            for text, quiet, place in item.lines:
                found.append((re.sub(r"\ba(\d+)\b", lambda m, n=names: n[int(m[1])], text), quiet, place))
    return found


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(loops, "LONG", 0)


@pytest.mark.parametrize("seed", range(30))
def test_a_loop_says_letter_for_letter_what_stood_there(seed, always):
    rng = np.random.default_rng(seed)
    lines = []
    while len(lines) < 300:
        length, rounds = int(rng.integers(1, 12)), int(rng.integers(1, 30))
        shape = [(int(rng.integers(4)), bool(rng.integers(2))) for _ in range(length)]
        for _ in range(rounds):
            for kind, quiet in shape:
                b, c = rng.integers(0, 5, 2)
                lines.append((f"f{kind}_(b{b}, x1[{b}, 3], c{c}, v{kind}[{c}])", quiet, ("file", kind)))
    items = rolled(lines)
    assert unrolled(items) == lines
    assert len(items) < len(lines)
    for item in items:
        if isinstance(item, Loop):
            assert item.rounds >= loops.ROUNDS
            assert all(len(set(column)) > 1 for column in item.names)
            assert len(set(item.names)) == len(item.names)


def several_lengths(x, w):
    for k in range(40):
        x = np.sin(x * w) + 0.1 * k  # another constant in each round
    for _ in range(40):
        x = np.tanh(x) @ (np.outer(w, w) * 0.1)
    for _ in range(40):
        x = x / np.sum(np.abs(x))
        for _ in range(3):
            x = x * np.cos(w)
    return np.sum(x * x)


def results_of_each_step(x, w):
    found = []
    for _ in range(30):
        x = np.tanh(x * w)
        found.append(np.sum(x))
    return np.sum(np.stack(found) * 1.5) + np.linalg.norm(x)


def twice_as_much(x, w):
    for _ in range(30):
        x, w = w, x * np.tanh(w)
    return np.sum(x)


@pytest.mark.parametrize("f", [several_lengths, results_of_each_step, twice_as_much])
def test_a_program_with_loops_computes_the_same_bits(f, monkeypatch):
    g = ad.value_and_grad(f, argnums=(0, 1))
    straight = ad.jit(g).lower(X, W)
    monkeypatch.setattr(loops, "LONG", 0)
    looping = ad.jit(g).lower(X, W)
    assert "for a0" in looping.source
    assert "for a0" not in straight.source
    assert len(looping.source) < 0.6 * len(straight.source)
    for x, w in ((X, W), (X * 2, W + 1), (X[::-1], W)):
        (value, (dx, dw)), (want, (dx_, dw_)) = looping.run([x, w]), straight.run([x, w])
        assert value == want
        np.testing.assert_array_equal(dx, dx_)
        np.testing.assert_array_equal(dw, dw_)
        np.testing.assert_allclose(dx, g(x, w)[1][0], rtol=1e-12)


def test_numbers_are_locals_and_loop_where_no_sweep_keeps_them(always):
    def f(x):
        s = np.sum(x)
        for _ in range(60):
            s = np.tanh(s * 0.9) + 0.1
        return s

    program = ad.jit(f).lower(X)
    assert "for _ in range(" in program.source
    assert program.run([X]) == f(X)
    np.testing.assert_array_equal(ad.jit(ad.grad(f))(X), ad.grad(f)(X))  # each value has a name of its own


def test_positions_run_with_the_rounds(always):
    def f(x, w):
        h = np.zeros(5)
        for t in range(40):
            h = np.tanh(h * w + x[t]) + x[t, 2]
        return h

    x = np.random.default_rng(0).standard_normal((40, 5))
    program = ad.jit(f).lower(x, W)
    assert len(program.source.splitlines()) < 20
    np.testing.assert_array_equal(program.run([x, W]), f(x, W))
    g = ad.grad(lambda x, w: np.sum(f(x, w)), (0, 1))
    for got, want in zip(ad.jit(g)(x, W), g(x, W), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_a_long_program_is_no_longer_to_read_than_a_short_one():
    short, long = (ad.jit(chain(steps)).lower(X, W) for steps in (1000, 2000))
    assert len(short.graph) > loops.LONG
    assert len(long.source.splitlines()) == len(short.source.splitlines()) < 60
    np.testing.assert_allclose(long.run([X, W])[1][1], chain(2000)(X, W)[1][1], rtol=1e-10)


def test_an_error_in_a_round_names_the_users_line(always):
    def f(x):
        for _ in range(40):
            x = np.linalg.cholesky(x) * 2.0  # here
        return x

    program = ad.jit(f).lower(np.eye(2))
    assert "for a0" in program.source or "for _" in program.source
    with pytest.raises(np.linalg.LinAlgError) as caught:
        program.run([-np.eye(2)])
    assert caught.value.__notes__ == [f"in the compiled f, at what {__file__}:{f.__code__.co_firstlineno + 2} computes"]


def calls_made(f):
    """How many functions are called, Python's own among them, while f runs."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        f()
    finally:
        sys.setprofile(None)
    return count


def test_the_work_for_each_node_does_not_grow():
    """Calls, not seconds: of tracing, the sweep, each pass, the plan of memory and the text."""
    ad.jit(chain(10)).lower(X, W)  # what is done once in a process
    small, large = (calls_made(functools.partial(ad.jit(chain(steps)).lower, X, W)) for steps in (250, 1000))
    assert large < 4.05 * small
