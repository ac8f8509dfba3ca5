"""Reads and writes of elements: a number taken out is a copy, a row is a view, as in NumPy, batched and compiled."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import numpy as anp

X = np.array([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]])


def swap(x):
    y = x.copy()
    t = y[0]
    y[0] = y[1]
    y[1] = t
    return y


def turn(x):
    y = x * 1.0
    a, b = y[0], y[2]
    y[0] += 5.0
    y[2] = a * b
    y[1] = a
    return y


def view_of_one(x):
    y = x * 1.0
    s = y[..., 0]
    s += 7.0
    return y


def eliminate(x):
    a = np.stack([x, x[::-1] + np.array([1.0, -2.0, 0.5]), x * x])
    b = x + 1.0
    for i in range(3):
        p = a[i, i]
        a[i] /= p
        b[i] /= p
        for k in range(i + 1, 3):
            q = a[k, i]
            a[k] -= q * a[i]
            b[k] -= q * b[i]
    return b


@pytest.mark.parametrize("f", [swap, turn, view_of_one, eliminate])
def test_numbers_and_views_of_elements(f):
    want = np.stack([f(x) for x in X])
    slopes = np.stack([ad.grad(lambda x: np.sum(f(x) ** 2))(x) for x in X])
    for run in (ad.vmap(f), ad.jit(ad.vmap(f))):
        np.testing.assert_allclose(run(X), want, rtol=1e-14)
    np.testing.assert_allclose(ad.vmap(ad.grad(lambda x: np.sum(f(x) ** 2)))(X), slopes, rtol=1e-13)
    np.testing.assert_allclose(np.stack([ad.jit(f)(x) for x in X]), want, rtol=1e-14)


def row_added(x, i):
    y = x.copy()
    row = y[i]
    row += 10.0
    return y


def row_of_row_set(x, i):
    y = x.copy()
    y[i][0] = 9.0
    return y


def row_read_after_a_write(x, i):
    y = x.copy()
    row = y[i]
    y[...] = 7.0
    return row * 1.0


def row_added_in_place(x, i):
    y = x.copy()
    y[i] += x[i, 0]
    return y


@pytest.mark.parametrize("f", [row_added, row_of_row_set, row_read_after_a_write, row_added_in_place])
def test_a_row_at_a_place_that_is_an_argument_is_a_view(f):
    x, i = X.reshape(3, 2), 1
    for place in (i, np.int64(i)):
        np.testing.assert_array_equal(ad.jit(f)(x, place), f(x, place))
        np.testing.assert_array_equal(ad.vmap(f, in_axes=(None, 0))(x, np.array([place]))[0], f(x, place))
        want = ad.grad(lambda x, place=place: np.sum(f(x, place) ** 2))(x)
        np.testing.assert_array_equal(ad.jit(ad.grad(lambda x, i: np.sum(f(x, i) ** 2)))(x, place), want)


def test_a_row_at_a_place_that_is_an_array_is_a_copy():
    place = np.array(1)
    for f in (row_added, row_of_row_set, row_read_after_a_write):
        want = f(X, place)
        np.testing.assert_array_equal(ad.vjp(lambda x, f=f: f(x, place), X)[0], want)
        np.testing.assert_array_equal(ad.jit(f)(X, place), want)


@pytest.mark.parametrize("read", [
    lambda y, i: y[i], lambda y, i: y[i][1:], lambda y, i: y[:, i], lambda y, i: np.take(y, i, axis=0),
    lambda y, i: y[np.argmax(y[0])], lambda y, i: y[0][..., i], lambda y, i: y[0, i, ...],
])  # fmt: skip
def test_what_is_read_at_an_argument_outlives_what_it_is_read_of(read):
    def f(x, i):
        y = np.exp(x)
        z = read(y, i)
        return np.sin(z) * np.sum(np.sin(y))  # the sine may lie where y was

    x = np.linspace(0.1, 2.0, 9).reshape(3, 3)
    np.testing.assert_allclose(ad.jit(f)(x, 1), f(x, 1), rtol=1e-14)
    g = ad.grad(lambda x, i: np.sum(f(x, i)))
    np.testing.assert_allclose(ad.jit(g)(x, 1), g(x, 1), rtol=1e-13)


@pytest.mark.parametrize("index", [(Ellipsis, 0), (0, Ellipsis), 0])
def test_one_element_as_a_view_or_as_a_number(index):
    def f(x):
        y = np.exp(x)
        z = y[index]
        return z * np.sum(np.sin(y))

    x = np.linspace(0.1, 2.0, 7)
    assert ad.jit(f)(x) == pytest.approx(f(x), rel=1e-14)
    assert type(ad.jit(lambda x: np.exp(x)[index])(x)) is type(np.exp(x)[index])


@pytest.mark.parametrize("make", [lambda x: anp.zeros(2), np.zeros_like, lambda x: np.argsort(x) * 1])
def test_writes_through_views_of_constants(make):
    def up(x):
        y = make(x)
        w = y[:1]
        w += 1
        w[0] = 5
        return y * x

    def down(x):
        y = make(x)
        w = y[:1]
        w += 1
        y[0] = 7
        return np.concatenate([w, y]) * x[0]

    x = np.array([1.0, 2.0])
    for f in (up, down):
        want = f(x)
        np.testing.assert_array_equal(ad.vjp(f, x)[0], want)
        np.testing.assert_array_equal(ad.jit(f)(x), want)
        np.testing.assert_array_equal(ad.vmap(f)(x[None])[0], want)
