"""What makes a module of this package a drop-in for SciPy's: SciPy's own functions, but for calls with a tensor.

SciPy's functions are plain Python that starts with ``np.asarray``, where a tensor would lose its history, so NumPy's
protocols never see the call: the name must lead here instead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from ..traced import Traced


def has_tensor(values: Iterable[Any]) -> bool:
    """Whether a tensor is among these arguments, or in a list or tuple among them."""
    return any(
        isinstance(x, Traced) or (isinstance(x, (list, tuple)) and has_tensor(x)) for x in values
    )


def drop_in(original: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare what to call in place of a function of SciPy when a tensor is among its arguments.

    The decorated function takes SciPy's own signature. On plain arrays SciPy's function is called, and nothing else.
    """

    def enter(composition: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            traced = has_tensor(args) or has_tensor(kwargs.values())
            return (composition if traced else original)(*args, **kwargs)

        return call

    return enter
