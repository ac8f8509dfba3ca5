"""In which dtype the functions of neural networks compute, and what may stand where they take a number."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import SettingError, message
from ..traced import Traced


def wide(dtype: Any) -> Any:
    """A dtype of at least single precision: sums and squares in half precision overflow beyond 65504."""
    return np.promote_types(dtype, np.float32)


def widened(x: Any) -> Any:
    """The same array in at least single precision."""
    return x.astype(wide(x.dtype), copy=False)


def floating(x: Any) -> Any:
    """An array of floats or complex numbers; integers and booleans as NumPy's mean takes them, which would wrap."""
    x = as_array(x)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Two arrays of floats: whole numbers in the dtype of the other, whose precision they are not to raise."""
    a, b = as_array(a), as_array(b)
    if a.dtype.kind not in "fc" and b.dtype.kind in "fc":
        a = a.astype(b.dtype)
    a = floating(a)
    return a, b if b.dtype.kind in "fc" else b.astype(a.dtype)


def number(name: str, key: str, setting: Any) -> float:
    """A setting as Python's float, which leaves the precision of arrays alone where NumPy's own would raise it.

    Raises
    ------
    SettingError
        Where it is a tensor, an array or no real number.
    """
    if isinstance(setting, Traced):
        why = "a setting is a constant: no derivative passes through it"
        instead = f"a number, float(ad.stop_gradient({key})); for its derivative spell the formula in NumPy's functions"
        raise SettingError(message(f"{name}: {key} is a tensor", why, instead))
    if isinstance(setting, np.ndarray) and setting.ndim == 0:
        setting = setting[()]
    if not isinstance(setting, (numbers.Real, np.bool)):
        raise SettingError(message(f"{name}: {key}={setting!r}", f"{key} is one real number", f"{key}=0.5, say"))
    return float(setting)
