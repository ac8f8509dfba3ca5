"""Functions of neural networks, as plain functions of arrays and tensors."""

from __future__ import annotations

from .ops.nn import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    swish,
    tanh,
)

__all__ = [
    "elu", "gelu", "hardtanh", "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "softmax", "softplus", "swish", "tanh",
]  # fmt: skip
