"""One class a mistake: what happened, where, why, and what to type instead.

Every message has the same four parts, built by ``message``. The line named in it is the user's own: the innermost
frame outside this package, outside NumPy and outside SciPy.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

import numpy

_SCIPY = importlib.util.find_spec("scipy")  # where it lies, without importing it

_INSIDE = (
    *(os.path.dirname(os.path.abspath(path)) + os.sep for path in (__file__, numpy.__file__)),
    *((os.path.dirname(os.path.abspath(_SCIPY.origin)) + os.sep,) if _SCIPY and _SCIPY.origin else ()),
    "<__array_function__",
    "<frozen ",  # the interpreter's own: imports, and `python -m`
)


def is_inside(filename: str) -> bool:
    """Whether a source file belongs to this package, to NumPy or to SciPy, and so is not the user's own."""
    return filename.startswith(_INSIDE)


def user_frame() -> FrameType | None:
    """The innermost frame of the user's own code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (is_inside(frame.f_code.co_filename) or _is_made_here(frame)):
        frame = frame.f_back
    return frame


def _is_made_here(frame: FrameType) -> bool:
    """Whether a frame runs code that was made for a class of this package, such as the __init__ of a dataclass."""
    made = frame.f_code.co_filename == "<string>"
    return made and str(frame.f_globals.get("__name__", "")).startswith(f"{__package__}.")


def user_place() -> tuple[str, int] | None:
    """File and line of the user's own code that is now running, None where there is none."""
    frame = user_frame()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def user_line() -> str | None:
    """The same as ``file:line``."""
    place = user_place()
    return None if place is None else f"{place[0]}:{place[1]}"


def nearest(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names that are spelled most like `name`, best first: at least this share of their letters in common."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)


def message(what: str, why: str, instead: str) -> str:
    """What happened, where, why, and what to type instead, in that order."""
    line = user_line()
    where = f"\n  where:   {line}" if line else ""
    return f"{what}{where}\n  why:     {why}\n  instead: {instead}"


def registered(name: str) -> str:
    """What to type that makes a class a container, of whose arrays one can ask for derivatives."""
    return (
        f"make {name} a container: optree.register_pytree_node({name}, lambda x: ((x.w, x.b), None), "
        f'lambda _, parts: {name}(*parts), namespace="autodiff")'
    )


class AutodiffError(Exception):
    """The base of every error that this package raises on purpose."""


class LostHistoryError(AutodiffError, TypeError):
    """A tensor was about to become a plain number or array, and its derivative would have been lost.

    Wrong: ``grad(lambda x: math.sin(float(x)))``. Right: ``grad(lambda x: np.sin(x))``; where the derivative is not
    wanted, ``float(ad.stop_gradient(x))``.
    """


class NotScalarError(AutodiffError, TypeError):
    """`grad` was asked for the gradient of something that is not one real number.

    Wrong: ``grad(lambda x: x * 2)(np.ones(3))``. Right: sum it, ask for the ``jacobian``, or give a seed to ``vjp``.
    """


class DtypeError(AutodiffError, TypeError):
    """An argument has no derivative by its very type: integers, booleans, objects, strings, dates, masked arrays.

    Wrong: ``grad(f)(3)``. Right: ``grad(f)(3.0)``.
    """


class SeedError(AutodiffError, ValueError):
    """The first δ (or tangent) does not have the shape or the kind of number of what it belongs to."""


class NoRuleError(AutodiffError, NotImplementedError):
    """A function has no derivative rule; raised at the call, never later in a sweep."""


class KeywordError(AutodiffError, TypeError):
    """An operation was called with a keyword that its rule does not understand; nothing is ever ignored."""


class SettingError(AutodiffError, ValueError):
    """A setting has a value that means nothing here: a rate of 2, an unknown reduction, 3 heads for a width of 8."""


class ShapeError(AutodiffError, ValueError):
    """The shapes of arguments do not fit together, in an operation that NumPy does not have.

    Wrong: ``nn.conv(images, kernels)`` with images of 3 channels and kernels for 4. Right: kernels of shape
    (results, 3, …).
    """


class LabelError(AutodiffError, IndexError):
    """A label is no number of a class, or an index no row of a table; a negative one does not count from the end."""


class RuleError(AutodiffError, TypeError):
    """A rule returned something that cannot be a δ of its argument: wrong count, shape or kind of number."""


class ViewWriteError(AutodiffError, TypeError):
    """A write would, in NumPy, have shown through another live tensor (a view, or the base of one)."""


class LeakError(AutodiffError, RuntimeError):
    """A function that is being compiled asked for the value of a tensor, which its program will know only when it runs.

    Or a function of one example asked for it inside of `vmap`, where it has one value for each example.

    Wrong: ``jit(lambda x: x if x > 0 else -x)``. Right: ``jit(lambda x: np.where(x > 0, x, -x))``, or an argument that
    is static: ``jit(f, static_argnums=1)``; inside of `vmap` one that is left out: ``vmap(f, in_axes=(0, None))``.

    No TypeError: where NumPy asks for a length or an axis it would put a message of its own in the place of one.
    """


class BatchError(AutodiffError, ValueError):
    """The axes that `vmap` was told to map over are not there, not of one length, or not of that many examples.

    Wrong: ``vmap(f)(np.ones((3, 2)), np.ones(2))``. Right: ``vmap(f, in_axes=(0, None))(np.ones((3, 2)), np.ones(2))``.
    """


class ClosedTraceError(AutodiffError, RuntimeError):
    """A tensor was used after the function that it was traced in had returned."""


class OverwrittenError(AutodiffError, RuntimeError):
    """A large array that a gradient is computed from was written into before the gradient was there.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> weights = np.ones(100_000)
    >>> def loss(x):
    ...     y = np.sum(x * weights)
    ...     weights[:] = 0.0
    ...     return y
    >>> ad.grad(loss)(np.ones(100_000))
    Traceback (most recent call last):
    autodiff.errors.OverwrittenError: ...

    Right
    -----
    >>> weights = np.ones(100_000)
    >>> def loss(x):
    ...     y = np.sum(x * weights.copy())
    ...     weights[:] = 0.0
    ...     return y
    >>> ad.grad(loss)(np.ones(100_000))
    array([1., 1., 1., ..., 1., 1., 1.], shape=(100000,))
    """


class GraphError(AutodiffError, ValueError):
    """A graph breaks one of its own rules, or lacks what was asked for: an edge, a join, its values."""


class LoadError(AutodiffError, ValueError):
    """A file is not a graph that this version can read."""


class UnknownNameError(AutodiffError, KeyError):
    """A name that nothing bears; the message lists the nearest ones."""

    def __str__(self) -> str:  # KeyError would print the repr, with its line breaks escaped
        return str(self.args[0]) if self.args else ""


class PictureError(AutodiffError, ValueError):
    """A picture cannot be drawn as asked: unknown format or option, too large to read, nothing to render with."""


class CheckError(AutodiffError, AssertionError):
    """A check of a derivative failed; the message carries the numbers."""


class WatchError(AutodiffError, ValueError):
    """A watch was asked for something that it cannot record or draw, or a file is no history."""


class MissingExtraError(AutodiffError, ImportError):
    """A part of this package needs a library that only one of its extras installs."""


class CommandError(AutodiffError):
    """The command line was asked for something that it cannot do; told in one paragraph and exit code 2."""


def unhidden(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What f returns. For ``a[0] = x`` NumPy speaks of a sequence, and keeps what the tensor said as the cause."""
    try:
        return f(*args, **kwargs)
    except ValueError as error:
        if not isinstance(error.__cause__, (LostHistoryError, LeakError)):
            raise
        said = error.__cause__.with_traceback(error.__traceback__)
    try:
        raise said
    finally:
        del said  # this frame is in its traceback: a cycle otherwise


class DegenerateWarning(UserWarning):
    """A derivative does not exist at this point, because what was differentiated is not determined by its input there.

    Eigenvectors of a repeated eigenvalue are any basis of what they span; so are singular vectors of equal singular
    values, and the columns that fill up an orthogonal matrix. A pseudo-inverse jumps with the rank. δ is nan there, or
    what the message says.

    Wrong: ``grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(2))``. Right: a function that no choice of basis changes.
    """


class BatchWarning(UserWarning):
    """A function of one example does what was probably not meant: it draws the same numbers for all of them.

    Wrong: ``vmap(lambda x: x + np.random.rand())``. Right: ``vmap(lambda x, noise: x + noise)``.
    """


class CompileWarning(UserWarning):
    """A compiled function does what was probably not meant: it draws the same numbers in every run, or compiles anew.

    Wrong: ``jit(lambda x: x + np.random.rand())``. Right: ``jit(lambda x, noise: x + noise)``.
    """


def warn(category: type[Warning], what: str, why: str, instead: str) -> None:
    """Warn in the same four parts, at the user's own line."""
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame.f_code.co_filename):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message(what, why, instead), category, stacklevel=depth + 1)
