"""`vmap`: a function of one example, called once for all examples of a batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, overload

import numpy as np
import optree

from ..apply import is_bare, still
from ..errors import BatchError, BatchWarning, callable_or_refused, message, registered, too_deep, unhidden, warn
from ..faults import settle
from ..made import made
from ..op import DEBUG, NUMBERS, locked
from ..randomness import Draws
from ..recorders import CONSTANTS, SCOPE, TRACING
from ..traced import Traced, held
from .trace import BatchTrace


@overload
def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]: ...
@overload
def vmap(
    f: None = None, in_axes: Any = 0, out_axes: Any = 0
) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def vmap(f: Callable[..., Any] | None = None, in_axes: Any = 0, out_axes: Any = 0) -> Any:
    """A function of one example, made one of a batch: it is called once, on all examples together.

    Each operation is carried out on all examples at once by a rule that follows from its kind; those that have none (a
    user's own function) are run on one example after the other. It nests with every other transform: ``vmap(grad(f))``
    gives the gradient of each example, ``grad`` of a function that calls ``vmap``, ``vmap(vmap(f))``,
    ``jit(vmap(f))``.

    Parameters
    ----------
    f : callable
        A function of arrays, or of containers of arrays, as it is written for one example. Without it
        ``@vmap(in_axes=(None, 0))`` decorates one.
    in_axes : int, None or containers of them
        Along which axis of an argument its examples stand; None for what is the same for all of them. One for all
        positional arguments, or a tuple with one for each; where an argument is a container, one for all of its arrays
        or a container of its form. Arguments passed by keyword are mapped along axis 0; what is the same for all
        examples is bound beforehand: ``vmap(functools.partial(f, training=False))``.
    out_axes : int, None or containers of them
        Along which axis of the results the examples are put, likewise; None for a result that is the same for all of
        them. What does not depend on the batch is repeated.

    Returns
    -------
    callable
        With f's own signature.

    Raises
    ------
    BatchError
        Where an argument has no such axis, where two have different numbers of examples, where none is mapped, and
        where a result that does depend on the batch has None for its axis.
    LeakError
        Where f decides something by a value: ``if x > 0`` has one answer for each example.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> xs, ys = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> ad.vmap(np.dot)(xs, ys)
    array([1., 4.])

    The gradient of each example, with one set of parameters for all of them:

    >>> def loss(w, x):
    ...     return np.sum(w * x) ** 2
    >>> ad.vmap(ad.grad(loss), in_axes=(None, 0))(np.ones(2), xs)
    array([[ 6., 12.],
           [42., 56.]])
    """
    if f is None:
        return functools.partial(vmap, in_axes=in_axes, out_axes=out_axes)
    callable_or_refused("ad.vmap", f)

    @made(vmap, f, in_axes, out_axes)
    def batched(*args: Any, **kwargs: Any) -> Any:
        given: Any = (args, kwargs)
        leaves, tree = _flatten(given)
        session = DEBUG.get()
        if session is not None and session.watches(leaves):
            again = vmap(f, in_axes, out_axes)  # not this function itself, which would be a cycle
            return session.watch(again, args, kwargs)
        axes = _axes_of_arguments(f, in_axes, args, kwargs)
        count = _count(f, leaves, axes, tree)
        trace = BatchTrace(count)
        mapped = [
            _unmapped(x) if axis is None else trace.tensor(_front(x, axis))
            for x, axis in zip(leaves, axes, strict=True)
        ]
        draws = Draws(f)
        outside, scope, around = TRACING.get(), SCOPE.get(), copy_context()
        try:
            TRACING.set(outside + 1)
            inside: Any = optree.tree_unflatten(tree, mapped)
            out = unhidden(f, *inside)
        except BaseException as error:
            settle(error, around)
            raise
        finally:
            try:
                TRACING.set(outside)
            finally:
                try:
                    if SCOPE.get() is not scope:
                        SCOPE.set(scope)
                finally:
                    trace.close()
        if draws.seen() and not trace.draws:
            warn(
                BatchWarning,
                f"vmap: {_name(f)} draws random numbers",
                "they are drawn once, and are the same for all examples",
                "draw outside, for each example, and pass them in as an argument",
            )
        results, out_tree = _flatten(out)
        places = _prefix(out_axes, out, "out_axes", f"what {_name(f)} returned")
        taken = set[int]()
        found = [_result(f, trace, y, axis, taken) for y, axis in zip(results, places, strict=True)]
        return optree.tree_unflatten(out_tree, found)

    return batched


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of a container, None among them."""
    try:
        return optree.tree_flatten(tree, none_is_leaf=True, namespace="autodiff")
    except RecursionError:
        raise too_deep("vmap: an argument or a result") from None


def _prefix(axes: Any, tree: Any, setting: str, what: str) -> list[Any]:
    """For each leaf of a tree its axis, where one axis stands for all leaves of a container."""
    try:
        found: list[Any] = optree.broadcast_prefix(axes, tree, none_is_leaf=True, namespace="autodiff")
    except (ValueError, TypeError) as error:
        raise BatchError(
            message(
                f"vmap: {setting}={axes!r} does not have the form of {what}",
                str(error).splitlines()[0],
                "one axis for all, or a container of the same form, in which one axis may stand for all that is inside",
            )
        ) from None
    for axis in found:
        if axis is not None and type(axis) is not int:
            raise BatchError(
                message(
                    f"vmap: {setting} has {axis!r} for an axis",
                    "an axis is a whole number, or None for what is the same for all examples",
                    f"{setting}=0",
                )
            )
    return found


def _axes_of_arguments(f: Callable[..., Any], in_axes: Any, args: Any, kwargs: Any) -> list[Any]:
    """For each leaf of the arguments its axis; a list stands for a tuple, as for each argument one."""
    each = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    if isinstance(each, tuple) and len(each) != len(args):
        raise BatchError(
            message(
                f"vmap: in_axes={in_axes!r}, but {_name(f)} was called with {len(args)} positional arguments",
                "a tuple has one axis for each of them; those passed by keyword are mapped along axis 0",
                f"in_axes=({', '.join(['0'] * len(args))}{',' * (len(args) == 1)}), with None for what is not mapped",
            )
        )
    return [
        *_prefix(each, args, "in_axes", f"the arguments of {_name(f)}"),
        *(None if x is None else 0 for x in _flatten(kwargs)[0]),
    ]


def _count(f: Callable[..., Any], leaves: list[Any], axes: list[Any], tree: Any) -> int:
    """How many examples there are; the arguments that say so must agree."""
    counts: dict[int, list[int]] = {}
    for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if x is None:
            axes[i] = None
        elif axis is not None:
            shape: tuple[int, ...] = np.shape(held(x)) if isinstance(x, (Traced, np.ndarray)) else ()
            if not -len(shape) <= axis < len(shape):
                kind = f"an array of shape {shape}" if hasattr(x, "shape") else f"a {type(x).__name__}"
                where = _where(f, tree, i)
                alike = "None in its place in in_axes"
                if optree.treespec_accessors(tree)[i][0].entry:
                    alike = f"functools.partial({_name(f)}, {where.partition('[')[0]}=…)"
                own = isinstance(getattr(x, "__dict__", None), dict)
                raise BatchError(
                    message(
                        f"vmap: {where} is {kind}, which has no axis {axis}",
                        "its examples stand along that axis",
                        f"{alike}, where it is the same for all examples; or an array of examples"
                        + (f"; or {registered(type(x).__name__)}" if own else ""),
                    )
                )
            counts.setdefault(shape[axis], []).append(i)
    if len(counts) == 1:
        return next(iter(counts))
    if not counts:
        raise BatchError(
            message(
                f"vmap: no argument of {_name(f)} is mapped",
                "without one it is not known how many examples there are",
                "in_axes=0 for an argument whose first axis counts the examples",
            )
        )
    said = "; ".join(
        f"{n} in {', '.join(f'{_where(f, tree, i)} (axis {axes[i]} of {np.shape(leaves[i])})' for i in places)}"
        for n, places in counts.items()
    )
    raise BatchError(
        message(
            f"vmap: different numbers of examples: {said}",
            "each example takes one element of every argument that is mapped",
            "in_axes=None for an argument that is the same for all of them, or another axis",
        )
    )


def _where(f: Callable[..., Any], tree: Any, i: int) -> str:
    """Leaf number i in words: the argument and the path in it."""
    path = optree.treespec_accessors(tree)[i]
    if path[0].entry:  # by keyword
        return f"{path[1].entry}{path[2:].codify('')}"
    n = path[1].entry
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        names = []
    name = f" ({names[n]}{path[2:].codify('')})" if n < len(names) else path[2:].codify("")
    return f"argument {n}{name}"


def _unmapped(x: Any) -> Any:
    """What is the same for all examples; an array as a constant, which can be indexed by what each has for its own."""
    if isinstance(x, np.ndarray) and x.ndim and is_bare(x) and x.dtype.kind in NUMBERS:
        return CONSTANTS.record(None, (), (), None, locked(np.asarray(x)))  # a write makes a copy of its own first
    return x


def _front(x: Any, axis: int) -> Any:
    """The array with its examples along the first axis; one of its own, into which no one else can write.

    It is copied as it lies in memory: a gradient inside may keep it until its sweep.
    """
    if isinstance(x, Traced):
        x = x.value if x.recorder is CONSTANTS else still(x)
    if isinstance(x, np.ndarray):
        x = x.copy("K")
    return np.moveaxis(x, axis, 0) if axis else x


def _result(f: Callable[..., Any], trace: BatchTrace, y: Any, axis: Any, taken: set[int]) -> Any:
    """One result as the caller gets it: an array of its own with the examples along that axis."""
    if y is None:
        return None
    if not (isinstance(y, Traced) and y.recorder is trace):
        return _same_for_all(f, y, axis, trace.count)
    if axis is None:
        raise BatchError(
            message(
                f"vmap: out_axes has None for {y.value.dtype}{list(y.value.shape)} that {_name(f)} returned",
                "each example has its own, and None is for a result that is the same for all of them",
                "out_axes=0, or a reduction over the examples outside of vmap",
            )
        )
    array = y.value.array
    if isinstance(array, Traced):
        array = array.value if array.recorder is CONSTANTS else still(array)
    elif id(array) in taken or array.base is not None or not array.flags.writeable:
        array = array.copy()
    taken.add(id(array))
    return np.moveaxis(array, 0, _place(axis, array.ndim)) if axis else array


def _place(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise BatchError(
            message(
                f"vmap: out_axes has {axis} for a result of {ndim} axes",
                "the examples are one more axis of it",
                f"an axis from {-ndim} to {ndim - 1}",
            )
        )
    return axis


def _same_for_all(f: Callable[..., Any], y: Any, axis: Any, count: int) -> Any:
    """A result that does not depend on the batch, repeated along that axis."""
    y = y.value if isinstance(y, Traced) and y.recorder is CONSTANTS else y
    if not isinstance(y, Traced):
        y = np.array(y)
        if y.dtype.kind not in "biufc":
            raise BatchError(
                message(
                    f"vmap: {_name(f)} returned {y.dtype if y.dtype != object else 'an object'}",
                    "the results of all examples stand in arrays of numbers",
                    "return numbers, arrays, or containers of them",
                )
            )
    if axis is None:
        return y if isinstance(y, Traced) else y[()]
    stretched = np.broadcast_to(y, (count, *y.shape))
    stretched = stretched if isinstance(y, Traced) else stretched.copy()
    return np.moveaxis(stretched, 0, _place(axis, y.ndim + 1)) if axis else stretched
