"""One class a mistake: what happened, where, why, and what to type instead.

Every message has the same four parts, built by ``message``. The line named in it is the user's own: the innermost
frame outside this package, outside NumPy and outside SciPy.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

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


def printable(text: str, width: int = 80) -> str:
    """A name that can be printed anywhere: on one line, what a terminal would obey or no encoding has as its escape."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: width + 1])
    return text if len(text) <= width else text[: width - 1] + "…"


def _told(text: str) -> str:
    """A part of a message, in which anybody's names may stand: as :func:`printable`, but for line breaks."""
    if text.isprintable() and len(text) < 1000:
        return text
    return "\n".join(printable(row, 4000) for row in text.split("\n")[:200])


def message(what: str, why: str, instead: str, *, where: str | None = None, more: str = "") -> str:
    """What happened, where, why, and what to type instead, in that order.

    The user's own line that is now running is where it happened, if no other place is given; `more` are whole
    lines that belong to what happened.
    """
    line = where or user_line()
    place = f"\n  where:   {_told(line)}" if line else ""
    return f"{_told(what)}{_told(more)}{place}\n  why:     {_told(why)}\n  instead: {_told(instead)}"


def registered(name: str) -> str:
    """What to type that makes a class a container, of whose arrays one can ask for derivatives."""
    return (
        f"make {name} a container: optree.register_pytree_node({name}, lambda x: ((x.w, x.b), None), "
        f'lambda _, parts: {name}(*parts), namespace="autodiff")'
    )


def callable_or_refused(what: str, f: Any) -> None:
    """Refuse by name what is not a function.

    Raises
    ------
    ArgumentError
    """
    if not callable(f):
        kind = type(f).__name__
        raise ArgumentError(
            message(
                f"{what}: a {kind} is not a function",
                f"{what} takes the function itself, and what it returns is called with the arguments",
                f"{what}(f)(x), not {what}(f(x))" if what.startswith("ad.") else "a function",
            )
        )


class AutodiffError(Exception):
    """The base of every error that this package raises on purpose."""


class LostHistoryError(AutodiffError, TypeError):
    """A tensor was about to become a plain number or array, and its derivative would have been lost.

    Where the derivative is not wanted, say so: ``float(ad.stop_gradient(x))``.

    Wrong
    -----
    >>> import math
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda x: math.sin(x))(0.0)
    Traceback (most recent call last):
    autodiff.errors.LostHistoryError: float(x), a function of the math module, or a[0] = x for a plain array a would ...
    ...

    Right
    -----
    >>> ad.grad(lambda x: np.sin(x))(0.0)
    np.float64(1.0)
    """


class NotScalarError(AutodiffError, TypeError):
    """`grad` was asked for the gradient of something that is not one real number.

    Sum it; or ask for the whole ``ad.jacobian(f)``; or give a seed to ``ad.vjp``.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda x: x * 2.0)(np.ones(3))
    Traceback (most recent call last):
    autodiff.errors.NotScalarError: grad: <lambda> returned an array of shape (3,)
    ...

    Right
    -----
    >>> ad.grad(lambda x: np.sum(x * 2.0))(np.ones(3))
    array([2., 2., 2.])
    >>> y, pullback = ad.vjp(lambda x: x * 2.0, np.ones(3))
    >>> pullback(np.array([1.0, 0.0, 0.0]))
    (array([2., 0., 0.]),)
    """


class DtypeError(AutodiffError, TypeError):
    """An argument has no derivative by its very type: integers, booleans, objects, strings, dates, masked arrays.

    Wrong
    -----
    >>> import autodiff as ad
    >>> ad.grad(lambda x: x**2)(3)
    Traceback (most recent call last):
    autodiff.errors.DtypeError: argument 0 (x) of <lambda> is the int 3
    ...

    Right
    -----
    >>> ad.grad(lambda x: x**2)(3.0)
    np.float64(6.0)
    """


class SeedError(AutodiffError, ValueError):
    """The first δ (or tangent) does not have the shape or the kind of number of what it belongs to.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> y, pullback = ad.vjp(lambda x: x * 2.0, np.ones(3))
    >>> pullback(1.0)
    Traceback (most recent call last):
    autodiff.errors.SeedError: the seed for what <lambda> returned has shape (), not (3,)
    ...

    Right
    -----
    >>> pullback(np.ones(3))
    (array([2., 2., 2.]),)
    """


class NoRuleError(AutodiffError, NotImplementedError):
    """A function has no derivative rule; raised at the call, never later in a sweep.

    A rule for it can be written with :func:`autodiff.primitive`.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda x: np.sum(x * np.packbits(x)))(np.ones(1))
    Traceback (most recent call last):
    autodiff.errors.NoRuleError: np.packbits has no derivative rule
    ...

    Right
    -----
    >>> ad.grad(lambda x: np.sum(x * np.packbits(ad.stop_gradient(x) > 0)))(np.ones(1))
    array([128.])
    """


class KeywordError(AutodiffError, TypeError):
    """An operation was called with a keyword that its rule does not understand; nothing is ever ignored.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda x: np.sum(np.multiply(x, 2.0, where=x > 0)))(np.ones(3))
    Traceback (most recent call last):
    autodiff.errors.KeywordError: np.multiply(…, where=…)
    ...

    Right
    -----
    >>> ad.grad(lambda x: np.sum(np.where(x > 0, x * 2.0, 0.0)))(np.ones(3))
    array([2., 2., 2.])
    """


class ArgumentError(AutodiffError, TypeError):
    """A function of this package was given another kind of thing than it takes, or for arguments that are not there.

    No function to differentiate, an array where a tuple of arguments is meant, ``argnums`` beyond those of the call.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> slope = ad.grad(lambda a, b: np.sum(a * b), argnums=2)
    >>> slope(1.0, 2.0)
    Traceback (most recent call last):
    autodiff.errors.ArgumentError: argnums=2, but <lambda> was called with 2 positional arguments
    ...

    Right
    -----
    >>> slope = ad.grad(lambda a, b: np.sum(a * b), argnums=(0, 1))
    >>> slope(1.0, 2.0)
    (np.float64(2.0), np.float64(1.0))
    """


class SettingError(AutodiffError, ValueError):
    """A setting has a value that means nothing here: a rate of 2, an unknown reduction, 3 heads for a width of 8.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> scores, labels = np.zeros((2, 4)), np.array([0, 3])
    >>> ad.nn.cross_entropy(scores, labels, reduction="average")
    Traceback (most recent call last):
    autodiff.errors.SettingError: reduction='average'
    ...

    Right
    -----
    >>> ad.nn.cross_entropy(scores, labels, reduction="mean")
    np.float64(1.3862943611198906)
    """


class ShapeError(AutodiffError, ValueError):
    """The shapes of arguments do not fit together, in an operation that NumPy does not have.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> images = np.ones((1, 3, 8, 8))
    >>> ad.nn.conv(images, np.ones((2, 4, 3, 3)))
    Traceback (most recent call last):
    autodiff.errors.ShapeError: conv: 3 channels and w of shape (2, 4, 3, 3) in 1 groups
    ...

    Right
    -----
    >>> ad.nn.conv(images, np.ones((2, 3, 3, 3))).shape
    (1, 2, 6, 6)
    """


class LabelError(AutodiffError, IndexError):
    """A label is no number of a class, or an index no row of a table; a negative one does not count from the end.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.one_hot(np.array([1, 3]), 3)
    Traceback (most recent call last):
    autodiff.errors.LabelError: one_hot: the label 3 among 3 classes
    ...

    Right
    -----
    >>> ad.nn.one_hot(np.array([1, 3]), 4)
    array([[0., 1., 0., 0.],
           [0., 0., 0., 1.]])
    """


class RuleError(AutodiffError, TypeError):
    """A rule returned something that cannot be a δ of its argument: wrong count, shape or kind of number.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> doubled = ad.primitive(lambda x: 2.0 * x)
    >>> _ = doubled.defvjp(lambda d, y, x: 2.0 * np.sum(d))
    >>> ad.grad(lambda x: np.sum(doubled(x)))(np.ones(3))
    Traceback (most recent call last):
    autodiff.errors.RuleError: <lambda>: its vjp for argument 0 returned shape ()
    ...

    Right
    -----
    >>> _ = doubled.defvjp(lambda d, y, x: 2.0 * d)
    >>> ad.grad(lambda x: np.sum(doubled(x)))(np.ones(3))
    array([2., 2., 2.])
    """


class NonFiniteError(AutodiffError, FloatingPointError):
    """Inside of ``ad.debug()`` a result or a derivative has a nan or an infinity; the message names what made it.

    Where infinities are meant, ``ad.debug(inf=False)`` looks for nan alone. The error has what the message tells as
    ``operation``, ``phase``, ``index``, ``values``, ``delta`` and ``line``, the whole ``graph`` and ``flow``, and draws
    the neighbourhood: ``error.draw("nan.svg")``.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> with ad.debug():
    ...     ad.grad(lambda x: np.sum(np.sqrt(x)))(np.array([4.0, 0.0]))
    Traceback (most recent call last):
    autodiff.errors.NonFiniteError: the reverse rule of sqrt made inf: node 1, at index (1,), 1 of 2 elements
    ...

    Right
    -----
    >>> with ad.debug():
    ...     ad.grad(lambda x: np.sum(np.sqrt(x + 1e-4)))(np.array([4.0, 0.0]))
    array([ 0.24999688, 50.        ])
    """

    _told: Any = None

    def __init__(self, text: str = "", told: Any = None) -> None:
        super().__init__(text)
        if told is not None:
            self._told = told

    @property
    def operation(self) -> str:
        """The first operation that made what reached a result, by its name."""
        return str(self._told.operation)

    @property
    def phase(self) -> str:
        """Where it was made: forward, reverse or tangent by an operation or a rule of it; sum by a sum of finite terms.

        argument, constant or seed, where it was there already.
        """
        return str(self._told.phase)

    @property
    def step(self) -> str:
        """The operation that made it: inside of a rule, where a derivative was taken of a derivative."""
        return str(self._told.step)

    @property
    def kind(self) -> str:
        """What it is: nan, inf or -inf."""
        return str(self._told.kind)

    @property
    def index(self) -> tuple[int, ...]:
        """The first such element of its result that reached one; of a reverse rule that of the argument's δ."""
        return tuple(self._told.index)

    @property
    def example(self) -> tuple[int, ...]:
        """Inside of `vmap`, and in the rows of a Jacobian, which one."""
        return tuple(self._told.example)

    @property
    def line(self) -> tuple[str, int] | None:
        """The user's own file and line that called the operation."""
        line: tuple[str, int] | None = self._told.line
        return line

    @property
    def values(self) -> dict[str, Any]:
        """What its arguments and its result have there, with broadcasting undone; whole arrays where elements mix."""
        return dict(self._told.values)

    @property
    def delta(self) -> Any:
        """The δ that came to it, where a reverse rule made it."""
        return self._told.delta

    @property
    def node(self) -> Any:
        """Its node."""
        return self._told.node

    @property
    def graph(self) -> Any:
        """All that was recorded, with values."""
        return self._told.graph

    @property
    def flow(self) -> Any:
        """The same with every δ, where it was made on the way back; None elsewhere."""
        return self._told.flow

    @property
    def picture(self) -> str:
        """The neighbourhood in a few lines."""
        return str(self._told.picture)

    def draw(self, path: Any, **options: Any) -> Any:
        """Draw the neighbourhood of the operation, with values and, on the way back, with δ.

        Parameters
        ----------
        path : path
            Its suffix names the format: svg, png, pdf, html, dot, json, txt.
        **options
            See :class:`~autodiff.viz.options.Options`; ``hops=5`` shows more of the graph.

        Returns
        -------
        pathlib.Path
            The file.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import autodiff as ad
        >>> path = os.path.join(tempfile.mkdtemp(), "nan.svg")
        >>> with np.errstate(all="ignore"), ad.debug():
        ...     try:
        ...         ad.grad(np.sqrt)(0.0)
        ...     except ad.errors.NonFiniteError as error:
        ...         error.operation, error.phase, error.draw(path).name
        ('sqrt', 'reverse', 'nan.svg')
        """
        source = self.flow or self.graph
        return source.draw(path, **{**self._told.shown(), **options})

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the message and the picture."""
        svg = self._told.svg() if self._told is not None else None
        return {"text/plain": f"{type(self).__name__}: {self}", **({"image/svg+xml": svg} if svg else {})}

    def __reduce__(self) -> Any:
        return type(self), (str(self),)  # of a graph another process would have no use


class ViewWriteError(AutodiffError, TypeError):
    """A write would, in NumPy, have shown through another live tensor (a view, or the base of one).

    It does show through every view whose way from its base is known: slices, transposed and reshaped ones. Not known is
    the way of a view that a checkpointed function returned.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> turned = ad.checkpoint(np.transpose)
    >>> def f(x):
    ...     y = turned(x)
    ...     x[0] = 0.0
    ...     return np.sum(y)
    >>> ad.grad(f)(np.ones((2, 2)))
    Traceback (most recent call last):
    autodiff.errors.ViewWriteError: x[i] = v, where another live tensor is a view of x (or its base)
    ...

    Right
    -----
    >>> def g(x):
    ...     y = turned(x)
    ...     x = x.copy()
    ...     x[0] = 0.0
    ...     return np.sum(y) + np.sum(x)
    >>> ad.grad(g)(np.ones((2, 2)))
    array([[1., 1.],
           [2., 2.]])
    """


class LeakError(AutodiffError, RuntimeError):
    """A function that is being compiled asked for the value of a tensor, which its program will know only when it runs.

    Or a function of one example asked for it inside of `vmap`, where it has one value for each example. An argument
    that is a number and the same for many calls can be static: ``ad.jit(f, static_argnums=1)``; inside of `vmap` one
    can be left out: ``ad.vmap(f, in_axes=(0, None))``.

    No TypeError: where NumPy asks for a length or an axis it would put a message of its own in the place of one.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.jit(lambda x: x if x > 0 else -x)(-2.0)
    Traceback (most recent call last):
    autodiff.errors.LeakError: if, while, and, or, not: the truth of a tensor (bool[]) was asked for ...
    ...

    Right
    -----
    >>> float(ad.jit(lambda x: np.where(x > 0, x, -x))(-2.0))
    2.0
    """


class NestingError(AutodiffError, RecursionError):
    """Containers of arguments or results are nested a thousand deep, as no model is.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> layers = []
    >>> for _ in range(2000):
    ...     layers = [np.ones(2), layers]
    >>> ad.grad(lambda layers: np.sum(layers[0]))(layers)
    Traceback (most recent call last):
    autodiff.errors.NestingError: an argument of <lambda> is nested too deep
    ...

    Right
    -----
    >>> layers = [np.ones(2) for _ in range(2000)]
    >>> len(ad.grad(lambda layers: np.sum(layers[0]))(layers))
    2000
    """


def too_deep(what: str) -> NestingError:
    """The error for containers in containers without end."""
    return NestingError(
        message(
            f"{what} is nested too deep",
            "containers are taken apart by recursion, which ends at a thousand levels",
            "keep arrays in a list or a dict of few levels",
        )
    )


class BatchError(AutodiffError, ValueError):
    """The axes that `vmap` was told to map over are not there, not of one length, or not of that many examples.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> x, scale = np.ones((3, 2)), np.array([10.0, 20.0])
    >>> ad.vmap(np.multiply)(x, scale)
    Traceback (most recent call last):
    autodiff.errors.BatchError: vmap: different numbers of examples: 3 in argument 0 (x1) (axis 0 of (3, 2)); ...
    ...

    Right
    -----
    >>> ad.vmap(np.multiply, in_axes=(0, None))(x, scale)
    array([[10., 20.],
           [10., 20.],
           [10., 20.]])
    """


class ClosedTraceError(AutodiffError, RuntimeError):
    """A tensor was used after the function that it was traced in had returned.

    Wrong
    -----
    >>> import autodiff as ad
    >>> kept = []
    >>> def f(x):
    ...     kept.append(x * 3.0)
    ...     return x * x
    >>> ad.grad(f)(2.0)
    np.float64(4.0)
    >>> kept[0] + 1.0
    Traceback (most recent call last):
    autodiff.errors.ClosedTraceError: add: one of its arguments is a tensor of a function that has already returned
    ...

    Right
    -----
    >>> def g(x):
    ...     return x * x, x * 3.0
    >>> gradient, tripled = ad.grad(g, has_aux=True)(2.0)
    >>> tripled + 1.0
    np.float64(7.0)
    """


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
    autodiff.errors.OverwrittenError: a constant of multiply (float64[100000]) was overwritten while the gradient ran
    ...

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
    """A graph breaks one of its own rules, or lacks what was asked for: an edge, a join, its values.

    Wrong
    -----
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda x: (x * 2.0) * 3.0)(1.0)
    >>> flow.cut((0, 2))
    Traceback (most recent call last):
    autodiff.errors.GraphError: no δ goes along an edge (0, 2)
    ...

    Right
    -----
    >>> flow.cut((0, 1))["x"]
    np.float64(0.0)
    """


class LoadError(AutodiffError, ValueError):
    """A file is not a graph that this version can read.

    Wrong
    -----
    >>> import contextlib
    >>> import pathlib
    >>> import tempfile
    >>> import autodiff as ad
    >>> room = pathlib.Path(tempfile.mkdtemp())
    >>> with contextlib.chdir(room):
    ...     ad.trace(lambda x: x * 2.0)(1.0).save("graph.json")
    ...     _ = pathlib.Path("graph.json").write_text("{}")
    ...     ad.Graph.load("graph.json")
    Traceback (most recent call last):
    autodiff.errors.LoadError: graph.json cannot be read as a graph
    ...

    Right
    -----
    >>> ad.trace(lambda x: x * 2.0)(1.0).save(room / "graph.json")
    >>> len(ad.Graph.load(room / "graph.json").nodes)
    2
    """


class UnknownNameError(AutodiffError, KeyError):
    """A name that nothing bears; the message lists the nearest ones.

    Wrong
    -----
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda x: ad.name(x * 2.0, "hidden") * 3.0)(1.0)
    >>> flow["hiden"]
    Traceback (most recent call last):
    autodiff.errors.UnknownNameError: no node is named 'hiden'
    ...

    Right
    -----
    >>> flow["hidden"]
    np.float64(3.0)
    """

    def __str__(self) -> str:  # KeyError would print the repr, with its line breaks escaped
        return str(self.args[0]) if self.args else ""


class PictureError(AutodiffError, ValueError):
    """A picture cannot be drawn as asked: unknown format or option, too large to read, nothing to render with.

    Wrong
    -----
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda x: x * 2.0)(1.0)
    >>> flow.draw("flow.tiff")
    Traceback (most recent call last):
    autodiff.errors.PictureError: draw: 'flow.tiff' has the suffix 'tiff'
    ...

    Right
    -----
    >>> import os
    >>> import tempfile
    >>> os.path.basename(flow.draw(os.path.join(tempfile.mkdtemp(), "flow.svg")))
    'flow.svg'
    """


class CheckError(AutodiffError, AssertionError):
    """A check of a derivative failed; the message carries the numbers.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> doubled = ad.primitive(lambda x: 2.0 * x)
    >>> _ = doubled.defvjp(lambda d, y, x: 3.0 * d)
    >>> ad.testing.check_grads(doubled, (1.0,), modes=("reverse",), order=1)
    Traceback (most recent call last):
    autodiff.errors.CheckError: check_grads: argument 0 (x) of <lambda>: order 1, reverse mode is wrong
    ...

    Right
    -----
    >>> _ = doubled.defvjp(lambda d, y, x: 2.0 * d)
    >>> ad.testing.check_grads(doubled, (1.0,), modes=("reverse",), order=1)
    1
    """


class WatchError(AutodiffError, ValueError):
    """A watch was asked for something that it cannot record or draw, or a file is no history.

    Wrong
    -----
    >>> import autodiff as ad
    >>> ad.watch(lambda w: w * w, every=0)
    Traceback (most recent call last):
    autodiff.errors.WatchError: watch(every=0)
    ...

    Right
    -----
    >>> step = ad.watch(lambda w: w * w, every=10)
    >>> step(3.0)
    (np.float64(9.0), np.float64(6.0))
    """


class MissingExtraError(AutodiffError, ImportError):
    """A part of this package needs a library that only one of its extras installs.

    The program hides the library, as if it were not installed.

    Wrong
    -----
    >>> import sys
    >>> from unittest import mock
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda x: x * 2.0)(1.0)
    >>> with mock.patch.dict(sys.modules, {"matplotlib.pyplot": None}):
    ...     flow.plot_depth()
    Traceback (most recent call last):
    autodiff.errors.MissingExtraError: matplotlib is not at hand (import of matplotlib.pyplot halted; ...)
    ...

    Right
    -----
    >>> flow["x"]
    np.float64(2.0)
    """


class CommandError(AutodiffError):
    """The command line was asked for something that it cannot do; told in one paragraph and exit code 2.

    The program does what ``python -m autodiff check nowhere.py:loss`` does.

    Wrong
    -----
    >>> from autodiff.__main__ import parser
    >>> given = parser().parse_args(["check", "nowhere.py:loss"])
    >>> given.run(given)
    Traceback (most recent call last):
    autodiff.errors.CommandError: there is no file nowhere.py
    ...

    Right
    -----
    >>> given = parser().parse_args(["check", "numpy:sin", "--args", "1.0"])
    >>> given.run(given)
    sin: 9 comparisons agree (order 2, forward and reverse mode)
    """


_Said = TypeVar("_Said", bound=AutodiffError)

_Words = tuple[type[AutodiffError], str, tuple[str, int, int]]

_SAID: ContextVar[_Words | None] = ContextVar("autodiff_said", default=None)
"""What a tensor said last when a number was asked of it: the class, the words, and the instruction that asked."""


def _instruction(frame: FrameType, last: int) -> tuple[str, int, int]:
    return frame.f_code.co_filename, frame.f_code.co_firstlineno, last


def said(error: _Said) -> _Said:
    """The error that a tensor raises where it is asked for plain numbers, noted: who asks may put his own in its place.

    C code often does: ``struct.pack``, ``bytearray``, ``np.nditer``, the solvers of SciPy.
    """
    frame = user_frame()
    if frame is not None:
        _SAID.set((type(error), str(error), _instruction(frame, frame.f_lasti)))
    return error


def _hidden(error: Exception) -> AutodiffError | None:
    """What a tensor said, where this error of someone else's was raised from it, or at the very same instruction."""
    told = _SAID.get()
    if told is None or isinstance(error, AutodiffError):
        return None
    if isinstance(error, SystemError) and isinstance(error.__cause__, AutodiffError):
        return error.__cause__  # C code went on, with ours standing
    found, trace = None, error.__traceback__
    while trace is not None:
        if not is_inside(trace.tb_frame.f_code.co_filename):
            found = _instruction(trace.tb_frame, trace.tb_lasti)
        trace = trace.tb_next
    kind, words, instruction = told
    return kind(words) if found == instruction else None


def unhidden(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What f returns. Where an error of another's hides what a tensor said, its own words are raised in its place.

    For ``a[0] = x`` NumPy speaks of a sequence, for ``struct.pack("d", x)`` Python of a float that is missing.
    """
    try:
        return f(*args, **kwargs)
    except Exception as error:
        words = _hidden(error)
        if words is None:
            raise
        _SAID.set(None)
        words = words.with_traceback(error.__traceback__)
        words.__cause__ = None if words is error.__cause__ else error  # in case that the words are of an earlier time
    try:
        raise words
    finally:
        del words  # this frame is in its traceback: a cycle otherwise


class DegenerateWarning(UserWarning):
    """A derivative does not exist at this point, because what was differentiated is not determined by its input there.

    Eigenvectors of a repeated eigenvalue are any basis of what they span; so are singular vectors of equal singular
    values, and the columns that fill up an orthogonal matrix. A pseudo-inverse jumps with the rank. δ is nan there, or
    what the message says. A function that no choice of basis changes is written without the vectors.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(2))
    Traceback (most recent call last):
    autodiff.errors.DegenerateWarning: eigh: δ is nan where vectors that are not determined are used
    ...

    Right
    -----
    >>> ad.grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """


class BatchWarning(UserWarning):
    """A function of one example does what was probably not meant: it draws the same numbers for all of them.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> rng = np.random.default_rng(0)
    >>> ad.vmap(lambda x: x + rng.normal())(np.zeros(3))
    Traceback (most recent call last):
    autodiff.errors.BatchWarning: vmap: <lambda> draws random numbers
    ...

    Right
    -----
    >>> ad.vmap(lambda x, noise: x + noise)(np.zeros(3), rng.normal(size=3)).shape
    (3,)
    """


class CompileWarning(UserWarning):
    """A compiled function does what was probably not meant: it draws the same numbers in every run, or compiles anew.

    Wrong
    -----
    >>> import numpy as np
    >>> import autodiff as ad
    >>> rng = np.random.default_rng(0)
    >>> ad.jit(lambda x: x + rng.normal())(np.zeros(3))
    Traceback (most recent call last):
    autodiff.errors.CompileWarning: jit: <lambda> draws random numbers
    ...

    Right
    -----
    >>> ad.jit(lambda x, noise: x + noise)(np.zeros(3), rng.normal(size=3)).shape
    (3,)
    """


_filters = threading.RLock()


def _renew() -> None:
    """After a fork nobody is left who would release it."""
    global _filters
    _filters = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def unwarned(text: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Without the warnings that begin so.

    Python has one list of filters for all threads, and two threads that change it in turns put back one another's. So
    one of ours at a time changes it.
    """
    with _filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", text, category)
        yield


def warn(category: type[Warning], what: str, why: str, instead: str) -> None:
    """Warn in the same four parts, at the user's own line."""
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame.f_code.co_filename):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message(what, why, instead), category, stacklevel=depth + 1)
