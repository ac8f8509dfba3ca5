"""Functions of neural networks, as plain functions of arrays and tensors."""

from __future__ import annotations

from .ops.attention import attention
from .ops.conv import conv, conv_transpose
from .ops.gelu import gelu
from .ops.layers import dense, dropout, embedding, one_hot
from .ops.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl_divergence,
    mae,
    mse,
    nll,
)
from .ops.nn import (
    elu,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    swish,
    tanh,
)
from .ops.normalisation import batch_norm, group_norm, layer_norm, rms_norm
from .ops.pool import avg_pool, max_pool
from .ops.recurrent import gru_cell, lstm_cell, rnn_cell
from .ops.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "attention", "avg_pool", "batch_norm", "binary_cross_entropy_with_logits", "conv", "conv_transpose",
    "cross_entropy", "dense", "dropout", "elu", "embedding", "gelu", "group_norm", "gru_cell", "hardtanh", "hinge",
    "huber", "kl_divergence", "layer_norm", "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "lstm_cell",
    "mae", "max_pool", "mish", "mse", "nll", "one_hot", "relu", "relu6", "rms_norm", "rnn_cell", "selu", "sigmoid",
    "silu", "softmax", "softplus", "swish", "tanh",
]  # fmt: skip
