"""Known traps of other engines, each with its right answer."""

import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.op import FUNCTIONS, UFUNCS

MASK = np.array([True, False, True])
X123 = np.array([1.0, 2.0, 3.0])


def known(function):
    return function in FUNCTIONS or function in UFUNCS


def nth(f, n):
    for _ in range(n):
        f = ad.grad(f)
    return f


def power(x, y):
    return x**y


TRAPS = [
    # what, NumPy functions that it needs, derivative, right answer
    ("sum where", [np.sum], lambda: ad.grad(lambda x: np.sum(x, where=MASK))(X123), [1, 0, 1]),
    ("mean where", [np.mean], lambda: ad.grad(lambda x: np.mean(x, where=MASK))(X123), [0.5, 0, 0.5]),
    ("prod where", [np.prod], lambda: ad.grad(lambda x: np.prod(x, where=MASK))(X123), [3, 0, 1]),
    ("var where", [np.var], lambda: ad.grad(lambda x: np.var(x, where=MASK))(X123), [-1, 0, 1]),
    ("std where", [np.std], lambda: ad.grad(lambda x: np.std(x, where=MASK))(X123), [-0.5, 0, 0.5]),
    ("max initial", [np.max], lambda: ad.grad(lambda x: np.max(x, initial=5.0))(X123), [0, 0, 0]),
    ("norm inf", [np.linalg.norm], lambda: ad.grad(lambda x: np.linalg.norm(x, np.inf))(X123), [0, 0, 1]),
    ("prod with a zero", [np.prod], lambda: ad.grad(np.prod)(np.array([0.0, 2.0, 3.0])), [6, 0, 0]),
    (
        "cumprod with a zero", [np.cumprod],
        lambda: ad.grad(lambda x: np.sum(np.cumprod(x)))(np.array([2.0, 0.0, 3.0, 4.0])), [1, 32, 0, 0],
    ),
    ("norm at 0", [np.linalg.norm], lambda: ad.grad(np.linalg.norm)(np.zeros(3)), [0, 0, 0]),
    ("norm² at 0", [np.linalg.norm], lambda: ad.grad(lambda x: np.linalg.norm(x) ** 2)(np.zeros(3)), [0, 0, 0]),
    ("std of equals", [np.std], lambda: ad.grad(np.std)(np.ones(2)), [0, 0]),
    ("∂x∂y x**y", [np.power], lambda: ad.grad(ad.grad(power, 0), 1)(23.0, 0.0), 1 / 23),
    ("∂y∂x x**y", [np.power], lambda: ad.grad(ad.grad(power, 1), 0)(23.0, 0.0), 1 / 23),
    ("d/dy 0**y", [np.power], lambda: ad.grad(power, 1)(0.0, 2.0), 0),
    ("d x**0 at 0", [np.power], lambda: ad.grad(lambda x: x**0)(0.0), 0),
    ("d x**0.0 at 0", [np.power], lambda: ad.grad(power, 0)(0.0, 0.0), 0),
    ("d² x**2 at 0", [np.power], lambda: nth(lambda x: x**2, 2)(0.0), 2),
    ("sinc′ at 0", [np.sinc], lambda: ad.grad(np.sinc)(0.0), 0),
    ("sinc″ at 0", [np.sinc], lambda: nth(np.sinc, 2)(0.0), -np.pi**2 / 3),
    ("i0″ at 0", [np.i0], lambda: nth(lambda x: np.sum(np.i0(x)), 2)(0.0), 0.5),
    (
        "tanh(u)·u² saturated", [np.tanh],
        lambda: nth(lambda v: np.tanh(-1e8 * v) * (-1e8 * v) ** 2, 2)(1.0), -2e16,
    ),
    (
        "where not taken", [np.where, np.sqrt],
        lambda: ad.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))(np.array([0.0, 4.0, -1.0])), [0, 0.25, 0],
    ),
    ("a + a then b + b", [np.add], lambda: ad.grad(lambda a: (lambda b: b + b)(a + a))(1.0), 4),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")  # the forward value, as in NumPy
@pytest.mark.parametrize(("needs", "found", "right"), [pytest.param(*trap[1:], id=trap[0]) for trap in TRAPS])
def test_trap(needs, found, right):
    for function in needs:
        if not known(function):
            pytest.skip(f"np.{function.__name__} has no rule yet")
    np.testing.assert_allclose(found(), right, rtol=1e-14, atol=0)


@pytest.mark.parametrize("function", [np.linalg.eigvalsh, np.linalg.svdvals], ids=lambda function: function.__name__)
def test_spectra_of_the_identity_are_finite(function):
    if not known(function):
        pytest.skip(f"np.linalg.{function.__name__} has no rule yet")
    found = ad.grad(lambda x: np.sum(function(x) * np.array([1.0, 2.0, 3.0])))(np.eye(3))
    assert np.all(np.isfinite(found))


def _in_place(y):
    """With y = x; y += 1 with z = y taken first: z is the same object, so it shows the write."""
    z = y
    y += 1.0
    return np.sum(z**2)


def test_in_place_with_another_name_first():
    x = np.array([1.0, 2.0])
    value, slope = ad.value_and_grad(lambda x: _in_place(x * 1.0))(x)
    assert value == _in_place(x.copy()) == 13.0
    np.testing.assert_array_equal(slope, [4.0, 6.0])
    value, slope = ad.value_and_grad(lambda x: _in_place(x))(x.copy())
    assert value == 13.0
    np.testing.assert_array_equal(slope, [4.0, 6.0])


def test_two_threads_with_nested_gradients():
    """Each thread waits for the other inside its inner function, so that their traces interleave."""
    barrier = threading.Barrier(2, timeout=30)
    answers = {}

    def work(name, scale):
        def inner(y, x):
            barrier.wait()
            return np.sin(scale * x * y)

        def outer(x):
            barrier.wait()
            return ad.grad(inner)(x, x) * x

        answers[name] = [float(ad.grad(outer)(0.5)) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(name, scale)) for name, scale in (("one", 1.0), ("two", 2.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # ∂y sin(s·x·y) at y = x is s·x·cos(s·x²); times x: s·x²·cos(s·x²), whose derivative is 2s·x·(cos u − u·sin u)
    for name, s in (("one", 1.0), ("two", 2.0)):
        u = s * 0.25
        exact = 2 * s * 0.5 * (np.cos(u) - u * np.sin(u))
        np.testing.assert_allclose(answers[name], [exact] * 5, rtol=1e-14)


SINGLE = np.array([0.5, 2.0, -1.0], np.float32)


@pytest.mark.parametrize(
    "f", [np.mean, np.max, np.var, np.std, lambda x: np.sum(np.where(x > 0, x * 2, 0.5 * x))],
    ids=["mean", "max", "var", "std", "where"],
)  # fmt: skip
def test_float32_stays(f):
    value, slope = ad.value_and_grad(f)(SINGLE)
    assert value.dtype == np.float32
    assert slope.dtype == np.float32
    assert ad.jvp(f, (SINGLE,), (np.ones_like(SINGLE),))[1].dtype == np.float32
    np.testing.assert_allclose(slope, ad.grad(f)(SINGLE.astype(float)), rtol=1e-5)
