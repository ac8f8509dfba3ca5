"""The rule book, by family. Importing this package registers every operation."""

from . import (
    choice,
    contract,
    eigen,
    elementwise,
    fft,
    flat,
    index,
    join,
    linalg,
    lstsq,
    nans,
    nn,
    norm,
    order,
    pad,
    quantile,
    reduce,
    shape,
    signal,
)

__all__ = [
    "choice", "contract", "eigen", "elementwise", "fft", "flat", "index", "join", "linalg", "lstsq", "nans", "nn",
    "norm", "order", "pad", "quantile", "reduce", "shape", "signal",
]  # fmt: skip
