"""Recurrent cells against the same formulas in other operations; several steps, odd shapes, saturation."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import ShapeError
from autodiff.testing import check_grads

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def drawn(rng, cell, batch=(5,), n=4, m=3, biases=True):
    states = 2 if cell == "lstm" else 1
    g = GATES[cell] * m
    shapes = [(*batch, n), *[(*batch, m)] * states, (n, g), (m, g), *([(g,), (g,)] if biases else [])]
    return tuple(rng.standard_normal(s) for s in shapes)


def rnn(x, h, w, u, b=0.0, c=0.0):
    return np.tanh(x @ w + b + h @ u + c)


def lstm(x, h, c, w, u, b=0.0, e=0.0):
    i, f, g, o = np.split(x @ w + b + h @ u + e, 4, axis=-1)
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * np.tanh(g)
    return nn.sigmoid(o) * np.tanh(c), c


def gru(x, h, w, u, b=0.0, c=0.0):
    (ar, az, an), (hr, hz, hn) = np.split(x @ w + b, 3, axis=-1), np.split(h @ u + c, 3, axis=-1)
    r, z = nn.sigmoid(ar + hr), nn.sigmoid(az + hz)
    return (1 - z) * np.tanh(an + r * hn) + z * h


CELLS = {"rnn": (nn.rnn_cell, rnn), "lstm": (nn.lstm_cell, lstm), "gru": (nn.gru_cell, gru)}


def energy(f, seeds):
    def total(*args):
        y = f(*args)
        return sum(np.sum(part * seed) for part, seed in zip(y if isinstance(y, tuple) else (y,), seeds, strict=False))

    return total


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_its_formulas(rng, cell, batch, biases):
    ours, formulas = CELLS[cell]
    args = drawn(rng, cell, batch, biases=biases)
    for got, want in zip(np.atleast_1d(ours(*args)), np.atleast_1d(formulas(*args)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)
    seeds = rng.standard_normal((2, *batch, 3))
    for used in (seeds, seeds * [[[1.0]], [[0.0]]] if len(batch) == 1 else seeds, seeds[:1]):
        positions = tuple(range(len(args)))
        got, want = (ad.grad(energy(f, used), argnums=positions)(*args) for f in (ours, formulas))
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives(rng, cell):
    check_grads(CELLS[cell][0], drawn(rng, cell), order=2)


@pytest.mark.parametrize("cell", CELLS)
def test_through_time(rng, cell):
    """The gradient through several steps; a state of one row stretches over the batch."""
    ours, formulas = CELLS[cell]
    x, *state, w, u, b, c = drawn(rng, cell)
    state = tuple(s[:1] for s in state)

    def run(f, w, u, b, c, state):
        total = 0.0
        for _ in range(4):
            y = f(x, *state, w, u, b, c)
            state = y if isinstance(y, tuple) else (y,)
            total = total + np.sum(state[0] ** 2)
        return total

    got, want = (ad.grad(lambda *a, f=f: run(f, *a), argnums=(0, 1, 2, 3, 4))(w, u, b, c, state)
                 for f in (ours, formulas))  # fmt: skip
    for g, v in zip([*got[:4], *got[4]], [*want[:4], *want[4]], strict=True):
        np.testing.assert_allclose(g, v, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_saturated_gates(rng, cell, dtype):
    x, *state, w, u, b, c = (a.astype(dtype) for a in drawn(rng, cell))
    y, pullback = ad.vjp(lambda x, *state: CELLS[cell][0](x, *state, w, u, b, c), x * dtype(1e4), *state)
    for part in y if isinstance(y, tuple) else (y,):
        assert part.dtype == dtype
        assert np.isfinite(part).all()
    assert all(np.isfinite(d).all() for d in pullback(y))


def test_weights_of_another_width_are_refused(rng):
    x, h, c, w, u, b, e = drawn(rng, "lstm")
    with pytest.raises(ShapeError, match="lstm_cell"):
        nn.lstm_cell(x, h, c[:, :1], w, u, b, e)
    x, h, w, u, b, c = drawn(rng, "gru")
    with pytest.raises(ShapeError, match="gru_cell"):
        nn.gru_cell(x, h[:, :1], w, u[:1], b, c)
