"""Jacobians and Hessians: all seeds in one sweep, in blocks where that would take much memory."""

import tracemalloc

import numpy as np
import pytest

import autodiff as ad
from autodiff import transforms
from autodiff.errors import DtypeError
from autodiff.ops.elementwise import tanh

RNG = np.random.default_rng(3)
W = RNG.standard_normal((4, 6)) / 2
X = RNG.standard_normal(4)


def net(x):
    return np.tanh(np.tanh(x @ W) @ W.T) * x


def rows(f, x):
    """A Jacobian by one pullback a number in the result."""
    y, pullback = ad.vjp(f, x)
    units = np.eye(y.size).reshape(y.size, *y.shape)
    return np.stack([pullback(unit)[0] for unit in units]).reshape(y.shape + x.shape)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("at_once", [1, 3, 4, 1 << 25], ids=["one by one", "blocks", "even blocks", "at once"])
def test_any_number_of_seeds_at_once_gives_the_same(mode, at_once, monkeypatch):
    x = RNG.standard_normal((2, 4))
    monkeypatch.setattr(transforms, "_seeds_at_once", lambda call: at_once)
    found = ad.jacobian(net_of_two, mode=mode)(x)
    np.testing.assert_allclose(found, rows(net_of_two, x), rtol=1e-13, atol=1e-15)
    assert found.flags.writeable


def net_of_two(x):
    return np.sort(np.tanh(x @ W), axis=1) * np.max(x, axis=1, keepdims=True) + np.linalg.norm(x)


def test_one_sweep_for_all_seeds(monkeypatch):
    """The rule of tanh is called once for each of its nodes, however many results there are."""
    calls = []
    rule = tanh.vjps[0]
    monkeypatch.setattr(tanh, "vjps", (lambda d, y, x: calls.append(d.shape) or rule(d, y, x),))
    ad.jacobian(net, mode="reverse")(X)
    assert calls == [(4,), (6,)]
    ad.hessian(lambda x: np.sum(net(x)))(X)
    assert len(calls) < 12


def test_a_budget_of_bytes(monkeypatch):
    """What a sweep takes at once stays within the budget, whatever the number of results."""

    def peak(budget):
        monkeypatch.setattr(transforms, "AT_ONCE", budget)
        jacobian = ad.jacobian(lambda x: np.sin(np.cos(x) * 2)[:64], mode="reverse")
        tracemalloc.start()
        try:
            jacobian(np.ones(2000))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    result = 64 * 2000 * 8
    peak(1 << 20)
    assert peak(1 << 18) < 2.5 * result + (1 << 20)
    assert peak(1 << 18) < peak(1 << 30)


def test_containers_of_results_and_arguments():
    def f(p):
        return {"y": p["a"] * p["b"], "z": [np.sum(p["a"]), p["b"]]}

    p = {"a": RNG.standard_normal(5), "b": RNG.standard_normal(5)}
    for mode in ("reverse", "forward"):
        found = ad.jacobian(f, mode=mode)(p)
        np.testing.assert_allclose(found["y"]["a"], np.diag(p["b"]))
        np.testing.assert_allclose(found["y"]["b"], np.diag(p["a"]))
        np.testing.assert_allclose(found["z"][0]["a"], np.ones(5))
        np.testing.assert_allclose(found["z"][0]["b"], np.zeros(5))
        np.testing.assert_allclose(found["z"][1]["b"], np.eye(5))
        blocks = [found["y"]["a"], found["y"]["b"], found["z"][0]["a"], found["z"][0]["b"], found["z"][1]["a"],
                  found["z"][1]["b"]]  # fmt: skip
        for i, one in enumerate(blocks):
            assert one.flags.writeable
            assert not any(np.shares_memory(one, other) for other in blocks[:i])


def test_arguments_that_get_the_same_delta_get_arrays_of_their_own():
    for mode in ("reverse", "forward"):
        a, b = ad.jacobian(np.add, (0, 1), mode=mode)(np.ones(5), np.ones(5))
        assert not np.shares_memory(a, b)
        a[0, 0] = 9
        np.testing.assert_array_equal(b, np.eye(5))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 9])
def test_few_and_no_results(size):
    x = np.arange(1.0, 6.0)
    for mode in ("reverse", "forward"):
        found = ad.jacobian(lambda x: np.resize(x, size) ** 2 if size else x[:0], mode=mode)(x)
        assert found.shape == (size, 5)
        np.testing.assert_array_equal(found, np.eye(5)[np.arange(size) % 5] * 2 * x)


def test_numbers_in_and_out():
    assert ad.jacobian(np.sin)(0.0) == 1.0
    assert np.shape(ad.jacobian(np.sin)(0.0)) == ()
    assert ad.jacobian(lambda x: np.stack([x, 2 * x, x * x, x, x]))(3.0).tolist() == [1.0, 2.0, 6.0, 1.0, 1.0]
    assert ad.jacobian(np.prod)(np.arange(1.0, 6.0)).tolist() == [120.0, 60.0, 40.0, 30.0, 24.0]


def test_kinks_and_branches_not_taken_keep_their_zeros():
    def f(x):
        return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0) + np.where(x > 0, np.log(x), x)

    x = np.array([1.0, -1.0, 0.0, 4.0, 2.0])
    with np.errstate(all="ignore"):
        found, want = ad.jacobian(f, mode="reverse")(x), rows(f, x)
    np.testing.assert_array_equal(found, want)
    assert np.isfinite(found).all()


def test_precision_is_kept():
    for dtype in (np.float32, np.complex64):
        assert ad.jacobian(lambda x: x * x[::-1])(np.ones(5, dtype)).dtype == dtype


def test_complex_numbers():
    z = RNG.standard_normal(5) + 1j * RNG.standard_normal(5)
    np.testing.assert_allclose(ad.jacobian(lambda z: z**2)(z), np.diag(2 * z))
    found = ad.jacobian(lambda x: np.exp(1j * x))(z.real)
    np.testing.assert_allclose(found, np.diag(1j * np.exp(1j * z.real)))
    with pytest.raises(DtypeError):
        ad.jacobian(lambda x: np.exp(1j * x), mode="reverse")(z.real)


def test_derivatives_of_jacobians_and_hessians():
    jacobian = ad.jacobian(net, mode="reverse")
    second = ad.jacobian(jacobian, mode="reverse")(X)
    np.testing.assert_allclose(second, np.swapaxes(second, 1, 2), rtol=1e-11, atol=1e-13)
    found = ad.grad(lambda x: np.sum(jacobian(x) ** 2))(X)
    np.testing.assert_allclose(found, 2 * np.einsum("ij,ijk->k", jacobian(X), second), rtol=1e-11)
    np.testing.assert_allclose(ad.jit(jacobian)(X), jacobian(X), rtol=1e-13)
    batch = RNG.standard_normal((3, 4))
    np.testing.assert_allclose(ad.vmap(jacobian)(batch), np.stack([jacobian(x) for x in batch]), rtol=1e-12)


def test_the_hessian_of_rosenbrocks_valley():
    def valley(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = RNG.standard_normal(20)
    diagonal = np.r_[1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0.0] + np.r_[0.0, np.full(19, 200.0)]
    want = np.diag(diagonal) + np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    np.testing.assert_allclose(ad.hessian(valley)(x), want, rtol=1e-12, atol=1e-10)


def test_a_users_rule_is_given_one_seed_at_a_time():
    shapes = []

    @ad.primitive
    def halved(x):
        return x / 2

    def rule(d, y, x):
        shapes.append(np.asarray(d).shape)  # np.asarray of a batch would be refused
        return d / 2

    halved.defvjp(rule)
    np.testing.assert_array_equal(ad.jacobian(halved, mode="reverse")(np.ones(5)), np.eye(5) / 2)
    assert shapes == [(5,)] * 5
