"""`checkpoint` in a compiled function: computed again in the sweep, in the memory that this is for."""

import math

import numpy as np
import pytest

import autodiff as ad
from autodiff.compiler import PASSES
from autodiff.errors import LostHistoryError

X, W = np.linspace(-1.0, 1.0, 100), np.linspace(0.5, 1.5, 100)


def steps(x, w, count):
    for _ in range(count):
        x = np.tanh(x * w) + 0.01
    return x


def stretches(n, wrap):
    """n steps in stretches of √n, each of which is wrapped."""
    each = math.isqrt(n)
    stretch = wrap(lambda x, w: steps(x, w, each))

    def f(x, w):
        for _ in range(n // each):
            x = stretch(x, w)
        return np.sum(x)

    return ad.value_and_grad(f, (0, 1))


def tanhs(program):
    return sum(op.name == "tanh" for op in program.graph.ops)


def test_memory_grows_with_the_root_of_the_steps():
    counts = (64, 256, 1024)
    programs = [ad.jit(stretches(n, ad.checkpoint)).lower(X, W) for n in counts]
    kept = [ad.jit(stretches(n, lambda f: f)).lower(X, W) for n in counts]
    for n, program, plain in zip(counts, programs, kept, strict=True):
        assert tanhs(program) == tanhs(plain) + n
        (value, grads), (want, wanted) = program.run([X, W]), plain.run([X, W])
        assert value == want
        for a, b in zip(grads, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)

    def slope(programs):
        arenas = [program.memory_plan.arena for program in programs]
        return np.polyfit(np.log(counts), np.log(arenas), 1)[0]

    assert slope(programs) == pytest.approx(0.5, abs=0.03)
    assert slope(kept) == pytest.approx(1.0, abs=0.03)


def test_each_pass_leaves_what_is_computed_again_where_it_is():
    full = ad.jit(stretches(64, ad.checkpoint)).lower(X, W)
    for name in PASSES:
        without = ad.jit(stretches(64, ad.checkpoint), passes=[p for p in PASSES if p != name]).lower(X, W)
        assert tanhs(without) == tanhs(full) == 128
        alone = ad.jit(stretches(64, ad.checkpoint), passes=[name]).lower(X, W)
        np.testing.assert_allclose(alone.run([X, W])[1][1], full.run([X, W])[1][1], rtol=1e-11)


def test_one_in_another():
    inner = ad.checkpoint(lambda x, w: steps(x, w, 8))

    def outer(x, w):
        for _ in range(8):
            x = inner(x, w)
        return x

    def f(wrap):
        block = wrap(outer)
        return ad.value_and_grad(lambda x, w: np.sum(block(block(x, w), w)), (0, 1))

    program = ad.jit(f(ad.checkpoint)).lower(X, W)
    # forward, again for the outer ones, again for the inner ones; not what only the end of an outer one would read
    assert 3 * 128 - 2 * 8 <= tanhs(program) <= 3 * 128
    assert program.memory_plan.arena < ad.jit(f(lambda f: f)).lower(X, W).memory_plan.arena
    want = ad.value_and_grad(lambda x, w: np.sum(steps(x, w, 128)), (0, 1))(X, W)
    got = program.run([X, W])
    assert got[0] == want[0]
    np.testing.assert_allclose(got[1][1], want[1][1], rtol=1e-11)


def pair(x, w):
    return {"y": np.sin(x) * w, "n": (np.sum(x**2), x[::-1] * 2.0)}


def mixed(block):
    def f(x, w):
        out = block(x, w)
        return np.sum(out["y"] * out["n"][1]) + out["n"][0]

    return f


@pytest.mark.parametrize("transform", [
    lambda f: ad.grad(f, (0, 1)),
    lambda f: ad.grad(lambda x, w: np.sum(ad.grad(f)(x, w) ** 2), (0, 1)),
    lambda f: lambda x, w: ad.hvp(f, (x, w), (w, x)),
    lambda f: lambda x, w: ad.jvp(f, (x, w), (w, x)),
    lambda f: ad.hessian(f),
    lambda f: lambda x, w: ad.vmap(ad.grad(f), (0, None))(np.stack([x, w]), w),
    lambda f: f,
], ids=["grad", "second", "hvp", "jvp", "hessian", "vmap of grad", "value"])  # fmt: skip
def test_every_transform(transform):
    x, w = X[:5], W[:5]
    want = transform(mixed(pair))(x, w)
    outside, inside = ad.jit(transform(mixed(ad.checkpoint(pair)))), transform(mixed(ad.checkpoint(ad.jit(pair))))
    for got in (outside(x, w), inside(x, w)):
        for a, b in zip(ad.call.optree.tree_leaves(got), ad.call.optree.tree_leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_what_decides_by_values_and_what_is_no_float():
    def block(x, labels):
        return np.linalg.svd(np.outer(x, x) + np.eye(5))[1] + x[labels]

    def f(wrap):
        return ad.grad(lambda x, labels: np.sum(wrap(block)(x, labels) ** 2))

    labels = np.array([0, 3, 1, 1, 4])
    np.testing.assert_allclose(ad.jit(f(ad.checkpoint))(X[:5], labels), f(lambda f: f)(X[:5], labels), rtol=1e-10)


def test_a_tensor_of_the_closure_is_refused_as_elsewhere():
    def f(x, w):
        return np.sum(ad.checkpoint(lambda x: x * w)(x))

    for g in (ad.grad(f, (0, 1)), ad.jit(ad.grad(f, (0, 1)))):
        with pytest.raises(LostHistoryError, match="not among its arguments"):
            g(X, W)


def test_large_arrays_in_tiles():
    x, w = np.linspace(-1, 1, 70_000), np.linspace(0.5, 1.5, 70_000)
    program, plain = (ad.jit(stretches(16, wrap)).lower(x, w) for wrap in (ad.checkpoint, lambda f: f))
    assert plain.memory_plan.arena == 0  # one group: what the sweep reads lives in a tile
    assert program.memory_plan.arena <= 8 * x.nbytes
    np.testing.assert_allclose(program.run([x, w])[1][1], plain.run([x, w])[1][1], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("body", [lambda q: q, lambda q: q.T, lambda q: q[::-1], lambda q: (q, q.T)])
def test_a_body_that_hands_out_its_argument(body):
    def f(x):
        y = np.exp(x)
        z = ad.checkpoint(body)(y)
        z = z[0] * z[1] if isinstance(z, tuple) else z
        return z * np.sum(np.sin(y))

    x = np.linspace(1.0, 2.0, 4).reshape(2, 2)
    np.testing.assert_array_equal(ad.jit(f)(x), f(x))
    slope = ad.grad(lambda x: np.sum(f(x)))
    np.testing.assert_allclose(ad.jit(slope)(x), slope(x), rtol=1e-13)
