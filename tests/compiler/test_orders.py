"""The order of axes in memory: buffers lie as the arrays of the eager run do, and no number depends on it."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.compiler.arena import inverse, laid_out
from autodiff.compiler.draft import order_of


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_an_array_is_laid_out_as_it_is_asked_for(order):
    shape = (2, 3, 4)
    x = laid_out(np.arange(24.0), shape, order if order != (0, 1, 2) else None)
    assert x.shape == shape
    assert x.base is not None
    assert order_of(x) == (None if order == (0, 1, 2) else order)
    assert tuple(order[k] for k in inverse(order)) == (0, 1, 2)


@pytest.mark.parametrize(("n", "axis", "order"), [
    (6, 0, (1, 0)),
    (400, None, (1, 0)),  # in tiles that look at arrays as one row
    (400, 0, None),  # in tiles of rows, which are cut along the first axis
])  # fmt: skip
def test_buffers_lie_as_the_eager_arrays_do(n, axis, order):
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((n + 1, n)))

    def f(x):
        y = np.tanh(x)  # lies as x does: by columns
        return np.sum(y * np.exp(-y), axis=axis) * np.cos(y)[0, 0]

    program = ad.jit(f).lower(x)
    assert {part.order for part in program._program.parts if part.shape == (n + 1, n)} == {order}
    np.testing.assert_allclose(program.run([x]), f(x), rtol=1e-12)
    np.testing.assert_allclose(program.run([np.ascontiguousarray(x)]), f(x), rtol=1e-12)


def test_sums_of_small_arrays_keep_their_bits_in_any_order():
    x = np.random.default_rng(0).standard_normal((7, 9, 11))
    for axes in ((2, 0, 1), (1, 0, 2), (2, 1, 0)):
        for axis in (0, 1, 2, (0, 2), None):
            def f(x, axes=axes, axis=axis):
                return np.sum(np.tanh(np.transpose(x, axes)) * 1.1, axis=axis)

            np.testing.assert_array_equal(ad.jit(f)(x), f(x))


def program_of(seed):
    """A random function of two arrays with transposes in it, and arrays in several orders."""
    rng = np.random.default_rng(seed)
    large = seed % 3 == 0
    shape = tuple(rng.permutation([int(rng.integers(20, 40)), 40, 30])) if large else tuple(rng.integers(2, 6, 3))
    steps = [
        (int(rng.integers(0, 8)), tuple(rng.permutation(3)), int(rng.integers(0, 3)), int(rng.integers(0, 100)))
        for _ in range(int(rng.integers(3, 10)))
    ]

    def f(x, y):
        values, sums = [x, y], []
        for kind, axes, axis, pick in steps:
            a, b = values[pick % len(values)], values[pick // 7 % len(values)]
            if kind == 7:
                sums.append(np.sum(a, axis=axis))
                continue
            values.append(
                np.transpose(a, axes) if kind == 0
                else np.tanh(a) if kind == 1
                else a * b if kind == 2 and a.shape == b.shape
                else a + np.sum(a, axis=axis, keepdims=True) if kind == 3
                else np.exp(-a * a) if kind == 4
                else np.where(a > 0, a, b) if kind == 5 and a.shape == b.shape
                else np.reshape(np.reshape(a, (-1,)), a.shape) + 1 if kind == 6
                else np.copy(a) * 1.5
            )  # fmt: skip
        return (*sums, values[-1], values[-2])

    x, y = rng.standard_normal(shape), rng.standard_normal(shape)
    if seed % 2:
        x = np.asfortranarray(x)
    if seed % 5 == 0:
        y = np.ascontiguousarray(y.transpose(1, 2, 0)).transpose(2, 0, 1)
    return f, x, y


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_with_transposes(seed):
    f, x, y = program_of(seed)
    g = ad.grad(lambda x, y: sum(np.sum(np.tanh(out)) for out in f(x, y)), (0, 1))
    run, slope = ad.jit(f), ad.jit(g)
    for a, b in ((x, y), (np.ascontiguousarray(x), np.asfortranarray(y))):  # the same programs on other orders
        for got, want in zip([*run(a, b), *slope(a, b)], [*f(a, b), *g(a, b)], strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * np.abs(want).max())
