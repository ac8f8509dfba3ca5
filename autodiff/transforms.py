"""What users call: grad, vjp, jvp and the rest, on nested containers.

Containers are flattened here, at the door, and nowhere deeper. Every transform is the same three steps: trace the
function on its arguments, seed one end of the graph, sweep to the other.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import optree

from .apply import apply, relate
from .batching import BatchTrace
from .call import Call, argument_names, forward_sweep, name_of, owned, rebuild, scalar_seed, seeds
from .contents import checksum
from .debugging import DebugTrace, Session, full, is_floating, lean
from .errors import (
    ArgumentError,
    DtypeError,
    LostHistoryError,
    RuleError,
    SettingError,
    callable_or_refused,
    message,
    too_deep,
)  # fmt: skip
from .flows import GradientFlow
from .graph import LITERAL, Graph
from .made import made
from .op import DEBUG, NUMBERS, Op
from .ops.flat import stop_gradient as _stop
from .recorders import SCOPE, Trace, watched
from .traced import Traced, every, is_batched, is_compiled, memory

# -- reverse mode ------------------------------------------------------------------------------------------------------


def _yes_or_no(name: str, given: Any) -> None:
    if not isinstance(given, (bool, int, np.bool_)):
        raise ArgumentError(
            message(f"{name} is a {type(given).__name__}", "it is a question with two answers", f"{name}=True")
        )


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The value of a scalar function together with its gradient, for the cost of one forward run and one sweep.

    Parameters
    ----------
    f : callable
        A function of arrays (or of dicts, lists, tuples of arrays), written in NumPy, that returns one real number.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        The function returns ``(number, anything)``; the second is passed through.

    Returns
    -------
    callable
        With f's own signature; returns ``(value, gradient)``, or ``((value, aux), gradient)``. A gradient has the
        containers, shapes and dtypes of its argument; for several `argnums` it is a tuple.

    Raises
    ------
    NotScalarError
        Where f returns anything but one real number.
    DtypeError
        Where an argument has no derivative by its type.
    OverwrittenError
        Where f writes into a large array (half a megabyte) after it was used: smaller ones are copied.

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986; Griewank and Walther,
    "Evaluating derivatives", 2008, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.value_and_grad(lambda w: np.sum(w**2))(np.array([1.0, 3.0]))
    (np.float64(10.0), array([2., 6.]))
    """
    callable_or_refused("ad.value_and_grad", f)
    _yes_or_no("has_aux", has_aux)

    @made(value_and_grad, f, argnums, has_aux)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call, gradients = _pulled_back(f, argnums, has_aux, args, kwargs)
        y = call.out[0]
        return ((y, call.aux) if has_aux else y), (gradients[0] if isinstance(argnums, int) else gradients)

    return value_and_gradient


def _pulled_back(
    f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Call, Any]:
    """One call of a scalar function, swept: the call, and the gradients of the chosen arguments."""
    trace = lean(guarding=True)
    call = Call(f, argnums, args).run(trace, args, kwargs, has_aux=has_aux)
    gradients = call.sweep(scalar_seed(call), release=True, masked=False)
    if trace.guarded:
        trace.check_guarded(call.where)
    return call, gradients


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar function.

    It raises what :func:`value_and_grad` raises.

    Parameters
    ----------
    f : callable
        A function of arrays, or of nested containers of arrays, that returns one real number.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        The function returns ``(number, anything)``; the second is passed through.

    Returns
    -------
    callable
        With f's own signature; returns the gradient, or ``(gradient, aux)``. A gradient has the containers, shapes and
        dtypes of its argument; for several `argnums` it is a tuple.

    Notes
    -----
    For a complex argument z = x + iy the result is ∂f/∂x − i ∂f/∂y; a descent step is ``z - rate * np.conj(g)``.

    References
    ----------
    Griewank and Walther, "Evaluating derivatives", 2008, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> ad.grad(lambda p: np.sum(p["w"] * p["b"]))({"w": np.ones(2), "b": 3.0})
    {'w': array([3., 3.]), 'b': np.float64(2.0)}
    """
    callable_or_refused("ad.grad", f)
    _yes_or_no("has_aux", has_aux)

    @made(grad, f, argnums, has_aux)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        call, gradients = _pulled_back(f, argnums, has_aux, args, kwargs)
        found = gradients[0] if isinstance(argnums, int) else gradients
        return (found, call.aux) if has_aux else found

    return gradient


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Run f, and return its result with a function that pulls a δ of the result back to the arguments.

    Parameters
    ----------
    f : callable
        Any function of arrays or containers of arrays, returning an array or a container.
    *primals
        Its arguments.
    has_aux : bool
        f returns ``(output, anything)``.

    Returns
    -------
    y, pullback
        And the auxiliary output third, with ``has_aux``. ``pullback(seed)`` returns a tuple with one δ an argument;
        it may be called any number of times. The seed has the containers and shapes of y.

    Raises
    ------
    SeedError
        From the pullback, where the seed's shape or dtype is not that of y.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> y, pullback = ad.vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 30.]), np.float64(21.0))
    """
    callable_or_refused("vjp", f)
    _yes_or_no("has_aux", has_aux)
    call = Call(f, None, primals).run(lean(), primals, {}, has_aux=has_aux)
    pullback = _Pullback(call)
    return (rebuild(call), pullback, call.aux) if has_aux else (rebuild(call), pullback)


class _Pullback:
    """δ of the result in, a tuple of δ of the arguments out."""

    def __init__(self, call: Call) -> None:
        self._swept = call

    def __call__(self, seed: Any) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._swept.sweep(seeds(self._swept, seed))
        return found


def elementwise_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The derivative of a function that works element by element, at every element at once.

    The sum of each column of the Jacobian: for a function whose elements do not mix, that is its derivative. It nests,
    so second derivatives are ``elementwise_grad(elementwise_grad(f))``.

    Parameters
    ----------
    f : callable
        A function of arrays or containers of arrays, whose results do not mix elements.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.

    Returns
    -------
    callable
        With f's own signature; returns the derivative with the containers, shapes and dtypes of the argument; for
        several `argnums` a tuple of them.

    Raises
    ------
    DtypeError
        Where f returns complex numbers for real arguments, or an argument has no derivative by its type.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.elementwise_grad(lambda x: x**3)(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    callable_or_refused("ad.elementwise_grad", f)

    @made(elementwise_grad, f, argnums)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        call = Call(f, argnums, args).run(lean(), args, kwargs)
        if any(map(np.iscomplexobj, call.out)) and not all(map(np.iscomplexobj, call.values)):
            raise DtypeError(
                message(
                    f"elementwise_grad: {name_of(f)} returned complex numbers for real arguments",
                    "a δ of a real argument is real and would lose the imaginary part",
                    "differentiate np.real(f) and np.imag(f), or use ad.jvp(f, (x,), (np.ones_like(x),))",
                )
            )
        seeds = [np.ones(np.shape(y), y.dtype if hasattr(y, "dtype") else float)[()] for y in call.out]
        found = call.sweep(seeds, release=True, masked=False)
        return found[0] if isinstance(argnums, int) else found

    return derivative


# -- forward mode ------------------------------------------------------------------------------------------------------


def _in_a_tuple(what: str, **given: Any) -> None:
    """Refuse what is no sequence of arguments; an array would be taken apart into its rows."""
    for name, x in given.items():
        if not isinstance(x, (tuple, list)):
            raise ArgumentError(
                message(
                    f"{what}: {name} is a {type(x).__name__}",
                    "it holds one thing for each argument, in a tuple or a list",
                    f"{what}(f, (x,), (tangent,))",
                )
            )


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents_in: Sequence[Any]) -> tuple[Any, Any]:
    """The value of f and its derivative along a direction, by one forward sweep.

    Parameters
    ----------
    f : callable
        Any function of arrays or containers of arrays.
    primals, tangents_in : sequence
        The arguments, and for each of them a tangent with its containers and shapes.

    Returns
    -------
    y, tangent
        Both with the containers of f's result.

    Raises
    ------
    SeedError
        Where a tangent's shape or dtype is not that of its argument.

    References
    ----------
    Griewank and Walther, "Evaluating derivatives", 2008, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    callable_or_refused("jvp", f)
    _in_a_tuple("jvp", primals=primals, tangents_in=tangents_in)
    primals = tuple(primals)
    directions: Any = tuple(tangents_in)
    try:
        directions = optree.tree_map(owned, directions, namespace="autodiff")  # f may write into them
    except RecursionError:
        raise too_deep("jvp: a tangent") from None
    call = Call(f, None, primals).run(full(lines=False), primals, {})
    tangent = forward_sweep(call, directions)
    taken: set[int] = set()

    def own(t: Any) -> Any:
        """A tangent that shares memory with no other: one tensor that is returned twice has one tangent."""
        if not isinstance(t, np.ndarray):
            return owned(t)
        if t.base is not None or not t.flags.writeable or id(t) in taken:
            t = t.copy()
        taken.add(id(t))
        return t

    return rebuild(call), own(tangent) if call.out_tree is None else optree.tree_map(own, tangent, namespace="autodiff")


# -- matrices of derivatives -------------------------------------------------------------------------------------------


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    mode: Literal["auto", "reverse", "forward"] = "auto",
) -> Callable[..., Any]:
    """The whole Jacobian: for each result the derivative with respect to each argument.

    Parameters
    ----------
    f : callable
        Any function of arrays or containers of arrays.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    mode : {"auto", "reverse", "forward"}
        One seed of the reverse sweep a number in the result, or one of the forward sweep a number in the arguments;
        "auto" takes what is fewer. All seeds are swept at once, or many at a time where that would take much memory.
        For complex arguments with complex results f must be holomorphic; for real results "auto" is
        "reverse" and gives ∂f/∂x − i ∂f/∂y.

    Raises
    ------
    DtypeError
        Where the mode that was asked for cannot give the Jacobian: "reverse" for complex results of real arguments,
        "forward" for real results of complex ones.

    Returns
    -------
    callable
        With f's own signature. For a result of shape s and an argument of shape t the Jacobian has shape s + t;
        containers of results hold containers of arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.jacobian(lambda x: np.array([[0.0, 1.0], [2.0, 0.0]]) @ x)(np.ones(2))
    array([[0., 1.],
           [2., 0.]])
    """
    callable_or_refused("ad.jacobian", f)
    if not isinstance(mode, str) or mode not in ("auto", "reverse", "forward"):
        raise SettingError(
            message(
                f"jacobian: mode={mode!r}",
                "one sweep goes back from each result, or forward from each argument",
                'mode="auto", "reverse" or "forward"',
            )
        )

    @made(jacobian, f, argnums, mode)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        call = Call(f, argnums, args).run(full(lines=False), args, kwargs)
        _refuse_mixed(call, mode)
        real = not any(map(np.iscomplexobj, call.values))
        wide = sum(int(np.size(y)) for y in call.out) > sum(int(np.size(x)) for x in call.values)
        # of a complex result with respect to a real argument a δ carries the real part alone; a tangent carries both
        both = real and any(map(np.iscomplexobj, call.out))
        forward = mode == "forward" or (mode == "auto" and real and (wide or both))
        blocks = _columns(call) if forward else _rows(call)
        per_result = [optree.tree_unflatten(call.tree, row) for row in blocks]
        if isinstance(argnums, int):
            per_result = [row[0] for row in per_result]
        return per_result[0] if call.out_tree is None else optree.tree_unflatten(call.out_tree, per_result)

    return matrix


def _refuse_mixed(call: Call, mode: str) -> None:
    """A Jacobian that one real sweep a number cannot give is refused by name."""
    real_in = not any(map(np.iscomplexobj, call.values))
    complex_out = any(map(np.iscomplexobj, call.out))
    if mode == "reverse" and real_in and complex_out:
        raise DtypeError(
            message(
                f"jacobian: {name_of(call.f)} returned complex numbers for real arguments, in reverse mode",
                "a δ of a real argument is real and would lose the imaginary part",
                'mode="forward" (or "auto"), or the Jacobians of np.real(f) and np.imag(f)',
            )
        )
    if mode == "forward" and not real_in and not complex_out:
        raise DtypeError(
            message(
                f"jacobian: {name_of(call.f)} returned real numbers for complex arguments, in forward mode",
                "such a function is not holomorphic, and one tangent a number tells half of its derivative",
                'mode="reverse" (or "auto"), which gives ∂f/∂x − i ∂f/∂y',
            )
        )


AT_ONCE = 1 << 25
"""How many bytes a sweep with many seeds may take, if every node had its δ at the same time. In blocks of a few
megabytes wide graphs are as fast, and small ones are swept once."""

FEW = 4
"""So many unit vectors are swept one after the other in the time that they take at once."""


def _seeds_at_once(call: Call) -> int:
    """How many unit vectors one sweep is seeded with; a user's own rule is given one at a time, as it was written."""
    graph = call.trace.graph
    if any(op.user for op in graph.ops):
        return 1
    return max(1, AT_ONCE // max(1, sum(map(_bytes, graph.shapes, graph.dtypes))))


def _bytes(shape: Any, dtype: Any) -> int:
    if isinstance(dtype, tuple):  # of a node with several results
        return sum(map(_bytes, shape, dtype))
    count: int = math.prod(shape)
    return count * int(np.dtype(dtype).itemsize)


def _swept(x: Any, at_once: int, sweep: Callable[[Any], list[Any]]) -> list[Any]:
    """What a sweep makes of the unit vectors of the space that x lives in, each result along a leading axis."""
    shape, dtype, size = np.shape(x), x.dtype if hasattr(x, "dtype") else np.dtype(float), int(np.size(x))
    blocks: list[list[Any]] = []
    at_once = 1 if size < FEW else at_once
    for first in range(0, size, at_once):
        count = min(at_once, size - first)
        units = np.zeros((count, size), dtype)
        units[np.arange(count), first + np.arange(count)] = 1
        units = np.reshape(units, (count, *shape))
        if count == 1:
            blocks.append([y[None] for y in sweep(units[0])])
            continue
        trace = BatchTrace(count)
        found = sweep(trace.tensor(units))
        trace.close()
        blocks.append([
            y.value.array if isinstance(y, Traced) and y.recorder is trace else np.broadcast_to(y, (count, *y.shape))
            for y in found
        ])  # fmt: skip
    return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*blocks, strict=True)]


def _rows(call: Call) -> list[list[Any]]:
    """For each result the blocks of all arguments, by one reverse sweep for all numbers in the result."""
    at_once, taken = _seeds_at_once(call), set[int]()
    blocks = []
    for n, y in enumerate(call.out):

        def sweep(unit: Any, n: int = n) -> list[Any]:
            seeds = [unit if i == n else None for i in range(len(call.out))]
            return optree.tree_leaves(call.sweep(seeds), namespace="autodiff")

        found = _swept(y, at_once, sweep)
        blocks.append([_shaped(found, i, np.shape(y) + x.shape, x.dtype, taken) for i, x in enumerate(call.values)])
    return blocks


def _columns(call: Call) -> list[list[Any]]:
    """The same blocks, by one forward sweep for all numbers in an argument."""
    at_once, taken = _seeds_at_once(call), set[int]()
    zero = [np.zeros(x.shape, x.dtype)[()] for x in call.values]
    found: list[list[Any]] = []
    for i, x in enumerate(call.values):

        def sweep(unit: Any, i: int = i) -> list[Any]:
            out = forward_sweep(call, optree.tree_unflatten(call.tree, [*zero[:i], unit, *zero[i + 1 :]]))
            return [out] if call.out_tree is None else optree.tree_leaves(out, namespace="autodiff")

        found.append(_swept(x, at_once, sweep))
    blocks = []
    for n, y in enumerate(call.out):
        row = []
        for columns, x in zip(found, call.values, strict=True):
            block = _shaped(columns, n, x.shape + np.shape(y), getattr(y, "dtype", np.dtype(float)), taken)
            axes = (*range(x.ndim, block.ndim), *range(x.ndim))
            row.append(np.transpose(block, axes) if block.ndim else block)
        blocks.append(row)
    return blocks


def _shaped(found: list[Any], i: int, shape: tuple[int, ...], dtype: Any, taken: set[int]) -> Any:
    """One block of a Jacobian in its shape, sharing memory with none of those taken before.

    Without a unit vector there was nothing to sweep.
    """
    if not found:
        return np.zeros(shape, dtype)
    block = np.reshape(found[i], shape)
    if isinstance(block, np.ndarray):
        if not block.flags.writeable or id(_owner(block)) in taken:
            block = block.copy()
        taken.add(id(_owner(block)))
    return block if block.ndim else block[()]


def _owner(x: Any) -> Any:
    return x if x.base is None else x.base


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar function.

    Parameters
    ----------
    f : callable
        A scalar function, as for :func:`value_and_grad`.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.

    Returns
    -------
    callable
        With f's own signature. For an argument of shape t the Hessian has shape t + t; for containers it is a container
        of containers, as :func:`jacobian` of :func:`grad` is.

    Raises
    ------
    NotScalarError
        Where f returns anything but one real number.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [4., 2.]])
    """
    callable_or_refused("ad.hessian", f)
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents_in: Sequence[Any]) -> tuple[Any, Any]:
    """The gradient of a scalar function and its Hessian times a vector, without the Hessian: forward over reverse.

    Parameters
    ----------
    f : callable
        A scalar function, as for :func:`value_and_grad`.
    primals, tangents_in : sequence
        The arguments of f, and the vector, which has their containers and shapes.

    Returns
    -------
    gradient, product
        Each as the gradient is: alone for one argument, a tuple for several.

    Raises
    ------
    NotScalarError
        Where f returns anything but one real number.
    SeedError
        Where the vector's shape or dtype is not that of its argument.

    References
    ----------
    Pearlmutter, "Fast exact multiplication by the Hessian", 1994.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (array([ 3., 12.]), array([6., 0.]))
    """
    callable_or_refused("hvp", f)
    _in_a_tuple("hvp", primals=primals, tangents_in=tangents_in)
    count = len(primals)
    return jvp(grad(f, 0 if count == 1 else tuple(range(count))), primals, tangents_in)


# -- graphs ------------------------------------------------------------------------------------------------------------


def trace(f: Callable[..., Any], argnums: int | Sequence[int] | None = None) -> Callable[..., Graph]:
    """The graph of a function at given arguments, with every value.

    Parameters
    ----------
    f : callable
        Any function of arrays or containers of arrays.
    argnums : int or sequence of int, optional
        The positional arguments that become inputs of the graph; all of them by default. What has no derivative
        (integers, strings, None) stays a constant.

    Returns
    -------
    callable
        With f's own signature; returns a :class:`~autodiff.Graph`. Its arrays are read-only.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> graph = ad.trace(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0)
    >>> [node.op.name for node in graph.nodes]
    ['input', 'input', 'add', 'multiply', 'multiply', 'multiply']
    """
    callable_or_refused("ad.trace", f)

    @made(trace, f, argnums)
    def traced(*args: Any, **kwargs: Any) -> Graph:
        call = Call(f, argnums, args).run(full(), args, kwargs, lenient=True)
        graph = call.trace.graph
        graph.outputs = [node for node in call.nodes if node is not None]
        graph.seal()
        return graph

    return traced


def flow(
    f: Callable[..., Any], argnums: int | Sequence[int] | None = None, seed: Any = None
) -> Callable[..., GradientFlow]:
    """Trace and sweep in one step: the graph of f with the δ of each node and the contribution of each edge.

    Parameters
    ----------
    f, argnums
        As for :func:`trace`.
    seed : array_like, optional
        The δ of the output; 1 for a scalar output.

    Returns
    -------
    callable
        With f's own signature; returns a :class:`~autodiff.GradientFlow`.

    Examples
    --------
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0)
    >>> flow["a"], flow["b"]
    (np.float64(10.5), np.float64(8.0))
    """
    callable_or_refused("ad.flow", f)
    make = trace(f, argnums)

    @made(flow, f, argnums, seed)
    def flowing(*args: Any, **kwargs: Any) -> GradientFlow:
        found: GradientFlow = make(*args, **kwargs).backward(seed)
        return found

    return flowing


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name a part of the graph: what runs inside stands under this name, nested scopes one in another.

    Parameters
    ----------
    name : str
        What is not a text is turned into one.

    Yields
    ------
    None

    Examples
    --------
    >>> import autodiff as ad
    >>> def f(x):
    ...     with ad.scope("block1"):
    ...         return x * x
    >>> ad.trace(f)(2.0).nodes[1].scope
    ('block1',)
    """
    name = str(name)
    before = SCOPE.get()
    depth = len(before)
    try:
        SCOPE.set((*before, name))
        yield
    finally:
        try:
            _close(name, depth)
        except BaseException:  # a key was pressed as it was left
            SCOPE.set(before)
            raise


def _close(name: str, depth: int) -> None:
    """Leave a scope, and no other one.

    Generators that are taken in turns leave theirs in another order than they came into them, and one that is thrown
    away may end in another thread, where there is nothing to leave.
    """
    now = SCOPE.get()
    for k in range(min(depth, len(now) - 1), -1, -1):
        if now[k] == name:
            SCOPE.set(now[:k] + now[k + 1 :])
            return


def name(x: Any, label: str) -> Any:
    """Give a tensor a name, by which the graph and the flow find its node; returns x. Elsewhere it does nothing.

    Parameters
    ----------
    x : tensor
        Anything else is returned as it is.
    label : str
        Where two nodes have the same name, neither is found by it.

    Returns
    -------
    tensor
        x itself.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.flow(lambda x: ad.name(x * 2.0, "doubled") ** 2)(3.0)["doubled"]
    np.float64(12.0)
    """
    t = x
    while isinstance(t, Traced):
        if t.recorder.full:
            t.recorder.graph.names[t.index if t.index >= 0 else t.recorder.place(t)] = str(label)
        t = t.value
    return x


def stop_gradient(x: Any) -> Any:
    """The same numbers as a constant: no derivative passes. For containers, each leaf.

    Parameters
    ----------
    x : array_like, or container of them

    Returns
    -------
    array, or container of arrays
        Of the same shapes and dtypes.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(lambda x: x * ad.stop_gradient(x))(3.0)
    np.float64(3.0)
    """

    def stopped(leaf: Any) -> Any:
        return _stop(leaf) if isinstance(leaf, Traced) else owned(leaf)

    return optree.tree_map(stopped, x, namespace="autodiff")


def _same_again(a: Any, b: Any) -> bool:
    """Whether a checkpointed function computed the same a second time. Where it is compiled that is not known."""
    return is_compiled(a) or np.array_equal(every(a), every(b), equal_nan=True)


class _Fingerprint(NamedTuple):
    """Of a trace: its structure, what its rules read, the compiled functions among its nodes."""

    structure: int
    contents: int
    programs: tuple[Op, ...]

    def differs(self, other: _Fingerprint) -> bool:
        """Whether another run was not the same. A compiled function runs as it is where a forward sweep comes along."""
        if self.structure != other.structure:
            return not (self.programs or other.programs)
        return self.contents != other.contents or self.programs != other.programs


class _Checkpoint(Op):
    """One call of a checkpointed function.

    Attributes
    ----------
    seen : dict of int to _Fingerprint
        By the arguments: a graph may be evaluated again on others.
    """

    __slots__ = ("seen",)
    seen: dict[int, _Fingerprint]


def _checksum(given: Sequence[Any], before: int = 0) -> int:
    """One number for all the numbers in these tensors, arrays, settings and containers of them."""
    waiting, found = list(given), before
    for x in waiting:  # what containers hold is added to its end
        if isinstance(x, Traced):
            x = memory(x)
        if isinstance(x, np.ndarray):
            found = checksum(x, found) if x.dtype.kind in NUMBERS else found
        elif isinstance(x, (tuple, list)):
            waiting += x
        elif isinstance(x, (float, int, complex, str, slice, np.generic)):
            found = zlib.crc32(repr(x).encode(), found)
    return found


RUNS_KNOWN = 8
"""Of how many runs of one call on other arguments it is known what they read."""


def _fingerprint(trace: Trace) -> _Fingerprint:
    """What stands for all that a sweep of this trace would read: equal ones mean that the gradient is the same.

    Equal results do not: x·c is 0 at x = 0 for every c, and its derivative is c.
    """
    graph, contents = trace.graph, 0
    known: dict[int, int] = {}  # what many nodes read is looked at once
    for v, (op, inputs, row, result) in enumerate(
        zip(graph.ops, graph.inputs, trace.values.arguments, trace.values.results, strict=True)
    ):
        node = zlib.crc32(op.name.encode())
        for i, x in zip(inputs, row, strict=True):
            if i == LITERAL:
                node = _checksum((x,), node)
            elif x is not None:
                if i not in known:
                    known[i] = _checksum((x,))
                node = zlib.crc32(known[i].to_bytes(4), node)
        node = _checksum(sorted((graph.params[v] or {}).items()), node)
        if result is not None:
            known.setdefault(v, _checksum((result,)))
            node = zlib.crc32(known[v].to_bytes(4), node)
        if type(op) is _Checkpoint:  # one inside of this one
            node = _checksum(list(op.seen.values()), node)
        contents += node  # a sum: threads that compute parts record them in another order each time
    return _Fingerprint(
        hash(tuple(sorted([op.name for op in graph.ops]))),
        contents,
        tuple([op for op in graph.ops if op.name.startswith("jit(")]),
    )


_AFTER = Op(
    "after", "op", lambda x, known: x, arity=2, view=True, vjps=(lambda d, y, x, known: d, None),
    jvps=(lambda t, y, x, known: t, None), formulas=("δx = δy",),
)  # fmt: skip
"""The first argument, from when the second is known. What is computed from it is not what was computed before, and not
computed before: a compiled program neither shares the one nor hastens the other."""


def _compiled_part(x: Any) -> Any:
    """What a tensor holds in the program that is being compiled; nothing for a batch, whose shape is another."""
    while isinstance(x, Traced) and not x.recorder.compiling:
        if x.recorder.batching:
            return None
        x = x.value
    return x if isinstance(x, Traced) else None


def _not_before(arrays: Sequence[Any], d: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    """The arguments of a function that is computed again, from when the δ of its results are known, or the results."""
    known = [part for part in map(_compiled_part, d) if part is not None]
    known = known or [part for part in map(_compiled_part, y) if part is not None]  # where δ is a constant
    found = []
    for x in arrays:
        if _compiled_part(x) is not None:
            for part in known:
                x = apply(_AFTER, (x, part), {})
        found.append(x)
    return found


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but its inner values are computed again in the reverse sweep instead of being kept.

    What stays in memory is its arguments and results; the cost is one more forward run. Tensors must come in as
    arguments, not through the closure, and the function must compute the same both times. Under `jit` the program
    computes again as well: n steps in √n stretches of √n take memory for about 3√n of them.

    Parameters
    ----------
    f : callable
        A function of arrays or containers of arrays.

    Returns
    -------
    callable
        With f's own signature and results.

    Raises
    ------
    LostHistoryError
        Where f uses a tensor that is not among its arguments.
    RuleError
        In the reverse sweep, where f computes something else the second time (random numbers, overwritten arrays).

    References
    ----------
    Griewank and Walther, "Evaluating derivatives", 2008, chapter 12.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> block = ad.checkpoint(lambda x: np.tanh(np.sin(x)))
    >>> bool(ad.grad(block)(1.0) == ad.grad(lambda x: np.tanh(np.sin(x)))(1.0))
    True
    """
    callable_or_refused("ad.checkpoint", f)

    @made(checkpoint, f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        given: Any = args
        flat, tree = optree.tree_flatten(given, namespace="autodiff")
        if DEBUG.get() is not None:  # node by node, so that what is made inside has its own line
            out = f(*optree.tree_unflatten(tree, list(map(owned, flat))), **kwargs)
            for part, x in itertools.product(optree.tree_leaves(out, namespace="autodiff"), flat):
                if part is not x and isinstance(part, Traced) and isinstance(x, Traced):
                    relate(part, x)  # as below
            return out
        places = [
            i for i, x in enumerate(flat)
            if isinstance(x, Traced) and not ((is_batched(x) or is_compiled(x)) and x.value.dtype.kind not in "fc")
        ]  # fmt: skip
        if not places:
            return f(*args, **kwargs)
        tensors = tuple(flat[i] for i in places)
        for i in places:
            flat[i] = None  # a rule that held its own trace's tensors would be a cycle
        flat = [owned(x) for x in flat]  # the plain arrays among them may be overwritten before the reverse sweep
        found_tree: list[Any] = []
        seen: dict[int, _Fingerprint] = {}

        def rebuilt(*given: Any) -> Any:
            filled = list(flat)
            for i, x in zip(places, given, strict=True):
                filled[i] = x
            return f(*optree.tree_unflatten(tree, filled), **kwargs)

        def run(*arrays: Any) -> Call:
            return Call(rebuilt, None, arrays).run(watched(), arrays, {}, own=False)

        def forward(*arrays: Any) -> tuple[Any, ...]:
            call = run(*arrays)  # traced, as in the reverse sweep: a write into an argument must not reach the array
            found_tree[:] = [call.out_tree]
            if not any(map(is_compiled, arrays)):
                seen[_checksum(arrays)] = _fingerprint(call.trace)
                while len(seen) > RUNS_KNOWN:
                    del seen[next(iter(seen))]
            own = [x.recorder for x in arrays if isinstance(x, Traced)]
            if any(isinstance(y, Traced) and y.recorder not in own for y in call.out):
                raise LostHistoryError(
                    message(
                        f"checkpoint: {name_of(f)} uses a tensor that is not among its arguments",
                        "what a checkpointed function reads is saved as its arguments",
                        "pass the tensor as an argument",
                    )
                )
            return tuple(y if isinstance(y, Traced) else np.asarray(y)[()] for y in call.out)

        def joint(d: Any, y: Any, *arrays: Any) -> Any:
            call = run(*_not_before(arrays, d, y))
            before = None if any(map(is_compiled, (*arrays, *y))) else seen.get(_checksum(arrays))
            same = all(map(_same_again, call.out, y))
            if not same or (before is not None and before.differs(_fingerprint(call.trace))):
                raise RuleError(
                    message(
                        f"checkpoint: {name_of(f)} computed something else the second time",
                        "its values are computed again in the reverse sweep: the gradient would be that of another run",
                        "draw random numbers outside and pass them in, and leave what it closes over unchanged",
                    )
                )
            seeds = [
                np.zeros(part.shape, part.dtype)[()] if part_d is None else part_d
                for part_d, part in zip(d, y, strict=True)
            ]
            return call.sweep(seeds, release=True)

        op = _Checkpoint("checkpoint", "op", forward, arity=len(places), joint=joint, results=True,
                         formulas=("computed again",), inlined=True)  # fmt: skip
        op.seen = seen
        results = apply(op, tensors, {})
        for part, x in itertools.product(results, tensors):
            if part is not x and isinstance(part, Traced):
                relate(part, x)  # f may hand out an argument, or a view of it
        return results[0] if found_tree[0] is None else optree.tree_unflatten(found_tree[0], results)

    return checkpointed



# -- debugging ---------------------------------------------------------------------------------------------------------


@contextmanager
def debug(*, nan: bool = True, inf: bool = True, rules: bool = True) -> Iterator[Session]:
    """Name the first operation that makes a nan or an infinity, and watch every rule, in what runs inside.

    What the transforms of this package call inside is recorded in full, and runs node by node: `jit` and `checkpoint`
    leave functions as they are. When values, gradients or tangents are there and one of them is not finite, the record
    is searched for the operation that made what reached it. What a mask, or a branch that was not taken, keeps from the
    results is not told, and neither is an infinity that a constant had. It takes up to three times the time, and the
    memory of every value. `@ad.debug()` decorates a function; other threads do not see it.

    Parameters
    ----------
    nan, inf : bool
        Whether results with a NaN, or with an infinity, are errors: with ``inf=False`` losses may be infinite.
    rules : bool
        Whether rules are watched: that they write into nothing that they are given, return no memory of values, no
        tensor of another call and no fewer digits than they were given. Shapes are checked with and without it.

    Yields
    ------
    Session
        Counts what was looked at.

    Raises
    ------
    NonFiniteError
        From the call inside whose results are not finite: the operation and the direction, the user's own line, the
        values and δ at the first such element, and a picture: ``error.draw("nan.svg")``.
    RuleError
        From the sweep whose rule broke its word, with the lines of the call and of the rule.

    Notes
    -----
    A pullback of `vjp` belongs to where `vjp` was called: made inside it is watched wherever it is used. An inner
    derivative is judged with the results of the outer one. An exception of the user's own, or of NumPy's, has a note
    with what was not finite before it.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> def loss(p):
    ...     return -np.sum(p * np.log(p))
    >>> with np.errstate(all="ignore"), ad.debug():
    ...     ad.grad(loss)(np.array([0.5, 0.0]))
    Traceback (most recent call last):
    ...
    autodiff.errors.NonFiniteError: log made -inf in the forward run: node 1, at index (1,), 1 of 2 elements
    ...
    """
    session = Session(nan, inf, rules, _watched)
    session.outside = DEBUG.get()
    try:
        DEBUG.set(session)
        yield session
    finally:
        session.over = True
        now = DEBUG.get()
        while now is not None and now.over:  # generators leave in another order than they came in, or elsewhere
            now = now.outside
        DEBUG.set(now)


def _watched(session: Session, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of f with its arrays recorded, so that it can be judged: no derivative is wanted of it."""
    given: Any = (args, kwargs)
    leaves, tree = optree.tree_flatten(given, none_is_leaf=True, namespace="autodiff")
    places = [i for i, x in enumerate(leaves) if is_floating(x)]
    found: list[Any] = []
    found_tree: Any = None

    def called(*arrays: Any) -> Any:
        nonlocal found_tree
        filled = list(leaves)
        for i, x in zip(places, arrays, strict=True):
            filled[i] = x
        inside: Any = optree.tree_unflatten(tree, filled)
        out = f(*inside[0], **inside[1])
        found[:], found_tree = optree.tree_flatten(out, none_is_leaf=True, namespace="autodiff")
        return [y for y in found if isinstance(y, Traced)]

    called.__name__ = name_of(f)
    paths, names = optree.treespec_accessors(tree), argument_names(f, len(args))
    named = [
        (str(path[1].entry) if path[0].entry else names[path[1].entry]) + path[2:].codify("")
        for path in (paths[i] for i in places)
    ]
    arrays = tuple(leaves[i] for i in places)
    call = Call(called, None, arrays).run(DebugTrace(session, False, named), arrays, {})
    tensors = iter(rebuild(call))
    return optree.tree_unflatten(found_tree, [next(tensors) if isinstance(y, Traced) else y for y in found])
