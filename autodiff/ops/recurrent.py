"""Cells of recurrent networks: the gates of a cell are one operation, the products before them are matmul's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import ShapeError, message
from ..makers import at, op
from ..rules import unbroadcast
from .elementwise import sigmoid as _sigmoid
from .layers import dense


def _check_width(name: str, cut: int, z: Any, state: Any) -> None:
    """The gates stand beside each other along the last axis, each as wide as the state."""
    z, state = as_array(z), as_array(state)
    if not z.ndim or not state.ndim or z.shape[-1] != cut * state.shape[-1]:
        raise ShapeError(
            message(
                f"{name}: gates of shape {z.shape} and a state of shape {state.shape}",
                f"the {cut} gates stand beside each other along the last axis, each as wide as the state",
                f"weights and biases with a last axis of {cut} times that of the state",
            )
        )


def _lstm_parts(z: Any) -> tuple[Any, Any, Any, Any]:
    n = z.shape[-1] // 4
    return _sigmoid(z[..., :n]), _sigmoid(z[..., n : 2 * n]), np.tanh(z[..., 2 * n : 3 * n]), _sigmoid(z[..., 3 * n :])


def _lstm(z: Any, c: Any) -> tuple[Any, Any]:
    _check_width("lstm_cell", 4, z, c)
    i, f, g, o = _lstm_parts(z)
    fresh = f * c + i * g
    return o * np.tanh(fresh), fresh


def _lstm_joint(d: Any, y: Any, z: Any, c: Any) -> tuple[Any, Any]:
    i, f, g, o = _lstm_parts(z)
    dh, dc = d
    dc = 0.0 if dc is None else dc
    do = np.zeros_like(y[1])
    if dh is not None:
        t = np.tanh(y[1])
        dc, do = dc + dh * o * (1 - t * t), dh * t * o * (1 - o)
    dz = np.concatenate((dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), do), axis=-1)
    return unbroadcast(dz, z.shape), unbroadcast(dc * f, c.shape)


_lstm_gates = op(
    _lstm, joint=_lstm_joint, results=True, name="lstm_gates", arity=2,
    examples=(at((3, 8), (3, 2)), at((4,), (1,)), at((2, 3, 4), (2, 3, 1))),
    formulas=("δc′ += δh·o·(1 − tanh²c′): δi = δc′·g·i(1 − i), δf = δc′·c·f(1 − f), δg = δc′·i·(1 − g²), …",
              "δc = δc′·f"),
    note="results: h = o·tanh(c′) and c′ = f·c + i·g",
)  # fmt: skip


def _gru_parts(a: Any, u: Any) -> tuple[Any, Any, Any, Any]:
    n = a.shape[-1] // 3
    r, z = _sigmoid(a[..., :n] + u[..., :n]), _sigmoid(a[..., n : 2 * n] + u[..., n : 2 * n])
    return r, z, np.tanh(a[..., 2 * n :] + r * u[..., 2 * n :]), u[..., 2 * n :]


def _gru(a: Any, u: Any, h: Any) -> Any:
    _check_width("gru_cell", 3, a, h)
    _check_width("gru_cell", 3, u, h)
    _, z, n, _ = _gru_parts(a, u)
    return n + z * (h - n)


def _gru_joint(d: Any, y: Any, a: Any, u: Any, h: Any) -> tuple[Any, Any, Any]:
    r, z, n, inner = _gru_parts(a, u)
    dn = d * (1 - z) * (1 - n * n)
    dz, dr = d * (h - n) * z * (1 - z), dn * inner * r * (1 - r)
    da, du = np.concatenate((dr, dz, dn), axis=-1), np.concatenate((dr, dz, dn * r), axis=-1)
    return unbroadcast(da, a.shape), unbroadcast(du, u.shape), unbroadcast(d * z, h.shape)


_gru_gates = op(
    _gru, joint=_gru_joint, name="gru_gates", arity=3,
    examples=(at((3, 6), (3, 6), (3, 2)), at((3,), (3,), (1,)), at((2, 2, 3), (2, 2, 3), (2, 2, 1))),
    formulas=("δa = (δr, δz, δn): δn = δy·(1 − z)(1 − n²), δz = δy·(h − n)·z(1 − z), δr = δn·u_n·r(1 − r)",
              "δu = (δr, δz, δn·r)", "δh = δy·z"),
    note="h′ = n + z·(h − n)",
)  # fmt: skip

# -- as they are called ------------------------------------------------------------------------------------------------


def rnn_cell(x: Any, h: Any, w_x: Any, w_h: Any, b_x: Any = None, b_h: Any = None) -> Any:
    """One step of a plain recurrent network: tanh(x·w_x + b_x + h·w_h + b_h).

    Parameters
    ----------
    x : array_like
        Shape (…, n).
    h : array_like
        Shape (…, m): the state.
    w_x, w_h : array_like
        Shapes (n, m) and (m, m): PyTorch's ``weight_ih`` and ``weight_hh``, transposed.
    b_x, b_h : array_like, optional
        Shape (m,).

    Returns
    -------
    array of shape (…, m), the new state

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.rnn_cell(np.ones(1), np.zeros(1), np.zeros((1, 1)), np.ones((1, 1)))
    array([0.])
    """
    return np.tanh(dense(x, w_x, b_x) + dense(h, w_h, b_h))


def lstm_cell(x: Any, h: Any, c: Any, w_x: Any, w_h: Any, b_x: Any = None, b_h: Any = None) -> tuple[Any, Any]:
    """One step of a network with long short-term memory.

    With z = x·w_x + b_x + h·w_h + b_h cut into four, in PyTorch's order: i, f, o = σ(z_i), σ(z_f), σ(z_o) and
    g = tanh(z_g), the third; c′ = f·c + i·g; h′ = o·tanh(c′).

    Parameters
    ----------
    x : array_like
        Shape (…, n).
    h, c : array_like
        Shape (…, m): output and memory of the step before.
    w_x, w_h : array_like
        Shapes (n, 4m) and (m, 4m): PyTorch's ``weight_ih`` and ``weight_hh``, transposed.
    b_x, b_h : array_like, optional
        Shape (4m,).

    Returns
    -------
    h, c : arrays of shape (…, m)

    Raises
    ------
    ShapeError
        Where the weights do not have four gates of the width of the state.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; with the forget gate of Gers, Schmidhuber and Cummins,
    2000.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> h, c = ad.nn.lstm_cell(np.ones(1), np.zeros(1), np.ones(1), np.zeros((1, 4)), np.zeros((1, 4)))
    >>> c
    array([0.5])
    """
    h, c = _lstm_gates(dense(x, w_x, b_x) + dense(h, w_h, b_h), c)
    return h, c


def gru_cell(x: Any, h: Any, w_x: Any, w_h: Any, b_x: Any = None, b_h: Any = None) -> Any:
    """One step of a network of gated recurrent units.

    With a = x·w_x + b_x and u = h·w_h + b_h cut into three, in PyTorch's order: r = σ(a_r + u_r), z = σ(a_z + u_z),
    n = tanh(a_n + r·u_n), the reset gate behind the matrix; h′ = (1 − z)·n + z·h.

    Parameters
    ----------
    x : array_like
        Shape (…, n).
    h : array_like
        Shape (…, m): the state.
    w_x, w_h : array_like
        Shapes (n, 3m) and (m, 3m): PyTorch's ``weight_ih`` and ``weight_hh``, transposed.
    b_x, b_h : array_like, optional
        Shape (3m,).

    Returns
    -------
    array of shape (…, m), the new state

    Raises
    ------
    ShapeError
        Where the weights do not have three gates of the width of the state.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.gru_cell(np.ones(1), np.ones(1), np.zeros((1, 3)), np.zeros((1, 3)))
    array([0.5])
    """
    return _gru_gates(dense(x, w_x, b_x), dense(h, w_h, b_h), h)
