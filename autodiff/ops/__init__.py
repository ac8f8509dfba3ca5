"""The rule book, by family. Importing this package registers every operation."""

from . import contract, eigen, elementwise, fft, flat, index, join, linalg, nans, nn, norm, order, pad, reduce, shape

__all__ = [
    "contract", "eigen", "elementwise", "fft", "flat", "index", "join", "linalg", "nans", "nn", "norm", "order", "pad",
    "reduce", "shape",
]  # fmt: skip
