"""The rule book, by family. Importing this package registers every operation."""

from . import contract, elementwise, fft, flat, index, join, linalg, nans, nn, norm, order, pad, reduce, shape

__all__ = [
    "contract", "elementwise", "fft", "flat", "index", "join", "linalg", "nans", "nn", "norm", "order", "pad",
    "reduce", "shape",
]  # fmt: skip
