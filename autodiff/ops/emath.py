"""The functions of np.emath: real while the result is, complex numbers for all as soon as one needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import as_array
from ..makers import composite
from ..traced import plain


def _widened(x: Any, outside: Callable[[Any], Any]) -> Any:
    """As complex numbers, where a real one lies outside the domain: in single precision those that fit there."""
    x = as_array(x)
    held = plain(x)
    if not np.any(np.isreal(held) & outside(held)):
        return x
    single = x.dtype in (np.single, np.csingle) or (x.dtype.kind in "iu" and x.dtype.itemsize <= 2)
    return x.astype(np.csingle if single else np.cdouble)


def _negative(x: Any) -> Any:
    return x < 0


def _beyond_one(x: Any) -> Any:
    return np.abs(x) > 1


def _extended(function: Any, outside: Callable[[Any], Any], *functions: Any) -> None:
    composite(*functions)(lambda x: function(_widened(x, outside)))


_extended(np.sqrt, _negative, np.emath.sqrt)
_extended(np.log, _negative, np.emath.log)
_extended(np.log2, _negative, np.emath.log2)
_extended(np.log10, _negative, np.emath.log10)
_extended(np.arccos, _beyond_one, np.emath.arccos)
_extended(np.arcsin, _beyond_one, np.emath.arcsin)
_extended(np.arctanh, _beyond_one, np.emath.arctanh)


@composite(np.emath.logn)
def logn(n: Any, x: Any) -> Any:
    return np.log(_widened(x, _negative)) / np.log(_widened(n, _negative))


@composite(np.emath.power)
def power(x: Any, p: Any) -> Any:
    p = as_array(p)
    return np.power(_widened(x, _negative), p * 1.0 if np.any(plain(p) < 0) else p)
