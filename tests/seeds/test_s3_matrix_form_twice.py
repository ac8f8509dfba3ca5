"""S3: the matrix form of backpropagation, with ω = ∂C/∂φ and with λ = ∂C/∂ρ, both read off one graph.

φ⁰ = X, ρᴸ = Wᴸφᴸ⁻¹ + Bᴸ, φᴸ = σ(ρᴸ), C = (1/2n) Σ (φ(xᵢ) − yᵢ)². One example a column.
"""

import numpy as np
import pytest

import autodiff as ad
from autodiff.sweep import deltas

SIZES = (3, 5, 4, 2)
LAYERS = (1, 2, 3)
COUNT = 6


def sigma(rho):
    return 1 / (1 + np.exp(-rho))


def slope(rho):
    return sigma(rho) * (1 - sigma(rho))


def cost(weights, biases, xs, ys):
    phi = ad.name(xs, "φ0")
    for layer in LAYERS:
        rho = ad.name(weights[layer] @ phi + biases[layer], f"ρ{layer}")
        phi = ad.name(activation(rho), f"φ{layer}")
    return np.sum((phi - ys) ** 2) / (2 * xs.shape[1])


@ad.primitive
def activation(rho):
    return sigma(rho)


activation.defvjp(lambda d, y, rho: d * y * (1 - y))


@pytest.fixture
def net(rng):
    weights = {layer: rng.standard_normal((SIZES[layer], SIZES[layer - 1])) for layer in LAYERS}
    biases = {layer: rng.standard_normal((SIZES[layer], 1)) for layer in LAYERS}
    xs, ys = rng.standard_normal((SIZES[0], COUNT)), rng.standard_normal((SIZES[-1], COUNT))
    flow = ad.flow(lambda weights, biases, xs: cost(weights, biases, xs, ys))(weights, biases, xs)
    return flow, weights, ys


def value(flow, name):
    return flow.graph.node(name).value


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)


def test_omega_of_the_last_layer_is_the_slope_of_the_cost(net):
    flow, _, ys = net
    close(flow["φ3"], (value(flow, "φ3") - ys) / COUNT)


def test_the_equations_in_omega(net):
    flow, weights, _ = net
    for layer in LAYERS:
        omega, rho = flow[f"φ{layer}"], value(flow, f"ρ{layer}")
        close(flow[f"φ{layer - 1}"], weights[layer].T @ (omega * slope(rho)))                      # A1
        close(flow[f"biases[{layer}]"], np.sum(omega * slope(rho), axis=1, keepdims=True))         # A2
        close(flow[f"weights[{layer}]"], (omega * slope(rho)) @ value(flow, f"φ{layer - 1}").T)    # A3


def test_the_equations_in_lambda(net):
    flow, weights, _ = net
    for layer in LAYERS:
        lam = flow[f"ρ{layer}"]
        if layer < LAYERS[-1]:
            close(lam, (weights[layer + 1].T @ flow[f"ρ{layer + 1}"]) * slope(value(flow, f"ρ{layer}")))  # B1
        close(flow[f"biases[{layer}]"], np.sum(lam, axis=1, keepdims=True))                        # B2
        close(flow[f"weights[{layer}]"], lam @ value(flow, f"φ{layer - 1}").T)                     # B3


def test_lambda_is_omega_times_the_slope(net):
    flow, _, _ = net
    for layer in LAYERS:
        close(flow[f"ρ{layer}"], flow[f"φ{layer}"] * slope(value(flow, f"ρ{layer}")))


def in_omega(omega, weights, slopes, phis):
    """A1 to A3 as they are written: the product ω ∘ σ′ stands in each of them."""
    found = []
    for layer in reversed(LAYERS):
        found.append(np.sum(omega * slopes[layer], axis=1, keepdims=True))
        found.append((omega * slopes[layer]) @ phis[layer - 1].T)
        omega = weights[layer].T @ (omega * slopes[layer])
    return (*found, omega)


def in_lambda(omega, weights, slopes, phis):
    """B1 to B3: the product is given a name."""
    found = []
    for layer in reversed(LAYERS):
        lam = omega * slopes[layer]
        found.append(np.sum(lam, axis=1, keepdims=True))
        found.append(lam @ phis[layer - 1].T)
        omega = weights[layer].T @ lam
    return (*found, omega)


def test_lambda_saves_the_repeated_products_and_the_sweep_does_as_lambda_does(net):
    flow, weights, _ = net
    slopes = {layer: slope(value(flow, f"ρ{layer}")) for layer in LAYERS}
    phis = {layer: value(flow, f"φ{layer}") for layer in range(4)}
    graphs = [ad.trace(form)(flow["φ3"], weights, slopes, phis) for form in (in_omega, in_lambda)]
    a, b = ([op.name for op in graph.ops].count("multiply") for graph in graphs)
    assert (a, b) == (3 * len(LAYERS), len(LAYERS))
    for left, right in zip(*(graph.outputs for graph in graphs), strict=True):
        close(graphs[0].nodes[left].value, graphs[1].nodes[right].value)

    visits = []
    graph = flow.graph
    deltas(graph, graph.values, {graph.outputs[0]: np.float64(1.0)}, visit=lambda v, w, k: visits.append((v, w, k)))
    factors = [visit for visit in visits if graph.ops[visit[1]] is activation.op]
    assert len(factors) == b  # ω ∘ σ′ is formed once a layer, and …
    for layer in LAYERS:
        total = graph.node(f"ρ{layer}")
        product, bias = total.inputs
        served = [visit for visit in visits if visit[1] in (total.index, product.index)]
        assert len(served) == 4  # … handed on to B, to the product, and through it to W and to φ of the layer before
        assert bias.name == f"biases[{layer}]"
        np.testing.assert_array_equal(flow[product], flow[total])
