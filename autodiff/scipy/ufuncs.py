"""``scipy.special`` with its ufuncs themselves, which under ``SCIPY_ARRAY_API=1`` stand behind plain functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special as _scipy


def __getattr__(name: str) -> Any:
    function = getattr(_scipy, name)
    behind = getattr(function, "__wrapped__", None)
    return behind if isinstance(behind, np.ufunc) else function


def __dir__() -> list[str]:
    return dir(_scipy)
