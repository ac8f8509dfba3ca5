"""The rule book, by family. Importing this package registers every operation."""

from . import contract, elementwise, flat, index, linalg, nn, order, reduce, shape

__all__ = ["contract", "elementwise", "flat", "index", "linalg", "nn", "order", "reduce", "shape"]
