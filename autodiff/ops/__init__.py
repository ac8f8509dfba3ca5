"""The rule book, by family. Importing this package registers every operation."""

from . import (
    choice,
    contract,
    convolution,
    eigen,
    elementwise,
    fft,
    flat,
    index,
    join,
    layers,
    linalg,
    losses,
    lstsq,
    mapping,
    nans,
    nn,
    norm,
    order,
    pad,
    polynomial,
    quantile,
    ranges,
    reduce,
    refused,
    shape,
    signal,
    singular,
    window,
    writes,
)

__all__ = [
    "choice", "contract", "convolution", "eigen", "elementwise", "fft", "flat", "index", "join", "layers",
    "linalg", "losses", "lstsq", "mapping", "nans", "nn", "norm", "order", "pad", "polynomial", "quantile",
    "ranges", "reduce", "refused", "shape", "signal", "singular", "window", "writes",
]  # fmt: skip
