"""Law 13: deep and wide graphs, shared values, gradients inside gradients."""

import sys

import numpy as np
import pytest

import autodiff as ad

MILLION = 10**6


@pytest.mark.slow
def test_chain_of_a_million_operations():
    def f(x):
        for _ in range(MILLION // 2):
            x = x * 1.5
            x = x / 1.5
        return x

    assert ad.grad(f)(2.0) == pytest.approx(1.0, rel=1e-9)  # half a million roundings up and as many down
    assert sys.getrecursionlimit() <= 10_000, "no walk over the graph may need a deeper stack"


@pytest.mark.slow
def test_fan_out_of_a_million():
    def f(x):
        total = x * 0.0
        for _ in range(MILLION // 2):
            total = total + x
        return total

    value, slope = ad.value_and_grad(f)(3.0)
    assert slope == MILLION // 2
    assert value == 3.0 * (MILLION // 2)


@pytest.mark.slow
def test_chain_forward_and_released():
    def f(x):
        for _ in range(MILLION // 10):
            x = np.sin(x)
        return x

    _, ahead = ad.jvp(f, (1.0,), (1.0,))
    assert ahead == pytest.approx(ad.grad(f)(1.0), rel=1e-12)
    graph = ad.trace(f)(1.0)
    assert len(graph) == MILLION // 10 + 1
    del graph  # a graph that linked its nodes would overflow the stack here


def test_doubling_counts_every_path():
    def f(a):
        for _ in range(1000):
            a = a + a
        return a

    assert ad.grad(f)(1.0) == 2.0**1000  # as many paths as that, in two thousand edges
    flow = ad.flow(lambda a: (a + a) + (a + a))(1.0)
    assert flow["a"] == 4.0


def test_the_same_node_in_both_places():
    flow = ad.flow(lambda a: (lambda b: b + b)(a + a))(1.0)
    assert flow["a"] == 4.0
    assert [float(term) for term in flow.edge("a", 1)] == [2.0, 2.0]
    assert [float(term) for term in flow.edge(1, 2)] == [1.0, 1.0]


def test_gradient_inside_a_gradient():
    def f(x):
        return x * ad.grad(lambda y: x * y * y)(x)  # ∂/∂y at y = x is 2x², and x itself counts: 2x³

    assert ad.grad(f)(3.0) == pytest.approx(54.0, rel=1e-14)
    assert ad.grad(ad.grad(f))(3.0) == pytest.approx(36.0, rel=1e-14)


@pytest.mark.parametrize("outer", ["reverse", "forward"])
@pytest.mark.parametrize("inner", ["reverse", "forward"])
def test_perturbations_are_not_confused(outer, inner):
    def derivative(mode, f, x):
        return ad.grad(f)(x) if mode == "reverse" else ad.jvp(f, (x,), (1.0,))[1]

    # d/dx [x · d/dy (x + y)] is 1; an engine that takes the two for one another says 2
    assert derivative(outer, lambda x: x * derivative(inner, lambda y: x + y, 1.0), 1.0) == 1.0


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_derivatives_of_high_order(order):
    f = np.sin
    for _ in range(order):
        f = ad.grad(f)
    exact = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin][(order - 1) % 4]
    assert f(0.7) == pytest.approx(float(exact(0.7)), rel=1e-13)


def test_a_wide_sum_of_many_reads():
    x = np.linspace(-1.0, 1.0, 2000)
    found = ad.grad(lambda x: sum(np.sin(x[i]) for i in range(len(x))))(x)
    np.testing.assert_array_equal(found, np.cos(x))
