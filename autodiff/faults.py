"""What is done about an exception on its way out: it is told where it happened, and what stood around is put back.

The exception itself stays what it is, the same object. What is told goes into its notes (PEP 678), which a traceback
prints below it.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextvars import Context
from types import FrameType
from typing import Any

import numpy as np

from .errors import is_inside

TOLD = "autodiff: "
"""What the notes of this module begin with."""

_WHEN = "_autodiff_told"
_count = itertools.count(1)

END = ")"
"""What nothing is added to any more."""

_NUMPYS = frozenset(
    getattr(method, "__code__", None) for method in (np.errstate.__enter__, np.errstate.__exit__)
)  # fmt: skip


def frames(error: BaseException) -> Iterator[FrameType]:
    """The frames that an exception came through, from the one that asks to the one that raised it."""
    at = error.__traceback__
    while at is not None:
        yield at.tb_frame
        at = at.tb_next


def so_far() -> int:
    """How often something was told until now: what :func:`tell` takes as `since`."""
    return next(_count)


def tell(error: BaseException, text: str, since: int | None = None) -> None:
    """Add a note to an exception, unless something was told of it `since` then, by what was called in between.

    An exception that is raised again elsewhere loses what was told of it before. One that takes no notes goes without.
    """
    if not isinstance(error, Exception):
        return
    with contextlib.suppress(Exception):  # a class of the user's may refuse; what it says itself is what counts
        if since is not None and vars(error).get(_WHEN, 0) > since:
            return
        known = getattr(error, "__notes__", None)
        if known:
            known[:] = [note for note in known if not note.startswith(TOLD)]
        error.add_note(TOLD + text)
        setattr(error, _WHEN, next(_count))


def tell_more(error: BaseException, text: str) -> None:
    """Add to what was told of an exception last, once."""
    with contextlib.suppress(Exception):
        notes = error.__notes__
        if notes[-1].startswith(TOLD) and not notes[-1].endswith(END):
            notes[-1] += f" ({text}{END}"


def written_at(function: Callable[..., Any] | None) -> str:
    """Where a user's function is written, in words to be put behind others; nothing for the package's own."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return "" if code is None or is_inside(code.co_filename) else f", which is {code.co_filename}:{code.co_firstlineno}"


def settle(error: BaseException, around: Context) -> None:
    """Put NumPy's warnings back where a key was pressed while np.errstate was setting them.

    Between its setting them and its noting what they were before, nobody else knows that.
    """
    if any(frame.f_code in _NUMPYS for frame in frames(error)):
        np.seterr(**around.run(np.geterr))
