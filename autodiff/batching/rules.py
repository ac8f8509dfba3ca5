"""How each operation is carried out on all examples of a batch at once.

The rule follows from the kind of operation. What is pointwise is computed as it is, once the arrays are laid beside
each other; a linear map along axes has its axes shifted by one; a product gets one more index; what NumPy itself
computes for stacks of matrices is given a stack. :data:`RULES` has them by name. For what stands nowhere (a user's own
function, a rule that takes decisions on values) the examples are taken one after the other: :func:`one_by_one`.

A rule is ``(op, args, params, count)``: at least one of the arguments is a :class:`~.examples.Batched`, the others are
the same for all examples. It returns an array (for several results a tuple) whose first axis is that of the batch, and
is written in operations that dispatch, because the arrays may be tensors of an outer trace.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..errors import BatchError, message
from ..op import Op
from ..ops.index import scatter
from ..traced import Traced
from . import places, products
from .examples import Batched, aligned, everywhere, lifted, whole

BatchRule = Callable[[Op, tuple[Any, ...], dict[str, Any], int], Any]


def carried_out(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """The operation on all examples: an array (a tuple for several results) with the axis of the batch in front."""
    return rule_of(op)(op, args, params, count)


def rule_of(op: Op) -> BatchRule:
    """How an operation is carried out on all examples."""
    if op.user:
        return one_by_one
    rule = RULES.get(op.name)
    if rule is None:
        rule = pointwise if op.kind == "elementwise" or isinstance(op.forward, np.ufunc) else one_by_one
    return rule


def loops(op: Op) -> bool:
    """Whether the examples are taken one after the other."""
    return rule_of(op) is one_by_one


# -- the declared fallback ---------------------------------------------------------------------------------------------


def one_by_one(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """The operation on one example after the other."""
    if not count:
        raise BatchError(
            message(
                f"vmap: {op.name} of no examples",
                "its examples are taken one after the other, and without one the shape of its result is not known",
                "leave an empty batch out",
            )
        )
    found = []
    for i in range(count):
        given = tuple(x.array[i] if type(x) is Batched else x for x in args)
        traced = any(isinstance(x, Traced) for x in given)
        found.append(op(*given, **params) if traced else op.run(given, params))
    if op.results:
        parts = [_together(op, part) for part in zip(*found, strict=True)]
        return type(found[0])(*parts) if hasattr(found[0], "_fields") else tuple(parts)
    return _together(op, found)


def _together(op: Op, found: Any) -> Any:
    shapes = {np.shape(y) for y in found}
    if len(shapes) > 1:
        raise BatchError(
            message(
                f"vmap: {op.name} has results of shapes {' and '.join(map(str, sorted(shapes)))} in one batch",
                "the results of a batch stand in one array",
                "leave that operation out of the batch",
            )
        )
    return np.stack(found)


# -- pointwise, and whole stacks ---------------------------------------------------------------------------------------


def pointwise(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """Axes of length one behind the batch, as NumPy puts them in front of an example."""
    return op(*aligned(args), **params)


def stacked(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """What works on the last axes, and takes the others as a stack."""
    return op(*(everywhere(x, count) for x in args), **params)


def matrices(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """The same of matrices. An example that is none would make one of the batch: it is for the operation to refuse."""
    return (stacked if all(np.ndim(x) > 1 for x in args) else one_by_one)(op, args, params, count)


def stacked_beside(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """The same where the axes in front broadcast."""
    ndim = max(np.ndim(x) for x in args)
    return op(*(lifted(whole(x, count), ndim) for x in args), **params)


def first_alone(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """Pointwise in one argument, for any others that are the same for all examples."""
    which = FIRST[op.name]
    if any(type(x) is Batched for k, x in enumerate(args) if k != which):
        return one_by_one(op, args, params, count)
    return op(*(x.array if type(x) is Batched else x for x in args), **params)


FIRST = {"interp": 0, "digitize": 0, "searchsorted": 1, "isin": 0}
"""Which argument they are pointwise in."""


def normalised(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """Along axes counted from the front; weight and bias stretch."""
    x, *rest = args
    ndim, axes = np.ndim(x), tuple(a + 1 for a in params["axis"])
    rest = [lifted(p, ndim) if type(p) is Batched else p for p in rest]
    return op(everywhere(x, count), *rest, **{**params, "axis": axes})


# -- along axes --------------------------------------------------------------------------------------------------------


def shifted(axis: Any, ndim: int) -> Any:
    """An axis, or several, of an example as axes of the batch; NumPy's error where there is no such axis."""
    if np.iterable(axis):
        return tuple(a + 1 for a in normalize_axis_tuple(tuple(axis), ndim, allow_duplicate=True))
    return normalize_axis_index(axis, ndim) + 1


def _whole(axis: Any) -> None:
    """NumPy's error for an axis that is neither a whole number nor a tuple of them; its functions take no list."""
    if isinstance(axis, bool):
        raise TypeError("an integer is required for the axis")
    if axis is not None and not isinstance(axis, tuple):
        operator.index(axis)


def reducing(default: Any = None) -> BatchRule:
    """Reductions: without an axis over all of an example."""

    def rule(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
        x, *rest = args
        ndim, axis = np.ndim(x), params.get("axis", default)
        _whole(axis)
        x = everywhere(x, count)
        rest = [lifted(w, ndim) if type(w) is Batched else w for w in rest]
        if ndim == 0:  # NumPy reduces a number along its axis 0 or −1
            np.sum(np.zeros(()), axis=axis)  # NumPy's error, where it is another one
            rest = [w[:, None] if np.ndim(w) else w for w in rest]
            settings = {key: value for key, value in params.items() if key != "keepdims"}
            return np.reshape(op(x[:, None], *rest, **{**settings, "axis": 1}), (count,))
        axes = tuple(range(1, ndim + 1)) if axis is None else shifted(axis, ndim)
        return op(x, *rest, **{**params, "axis": axes})

    return rule


def finding(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """The place of an extreme: without an axis among all elements of an example."""
    x, axis = args[0], params.get("axis")
    _whole(axis)
    if axis is not None and x.ndim:
        return op(x.array, **{**params, "axis": shifted(axis, x.ndim)})
    y = op(np.reshape(x.array, (count, x.size)), axis=1)
    return np.reshape(y, (count,) + (1,) * x.ndim) if params.get("keepdims") else y


def norm(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """Of all of an example as of one vector, or by `ord` as the vector or the matrix that it is."""
    x, axis = args[0], params.get("axis")
    if axis is not None:
        return op(x.array, **{**params, "axis": shifted(axis, x.ndim)})
    if params.get("ord") is None and x.ndim != 2:
        y = op(np.reshape(x.array, (count, x.size)), axis=1)
        return np.reshape(y, (count,) + (1,) * x.ndim) if params.get("keepdims") else y
    if x.ndim not in (1, 2):
        raise ValueError("Improper number of dimensions to norm.")
    return op(x.array, **{**params, "axis": 1 if x.ndim == 1 else (1, 2)})


def along(default: Any, more: int = 0) -> BatchRule:
    """Maps along an axis; without one, of an example as a vector. The axis may be one of a result with `more` axes."""

    def rule(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
        arrays = [everywhere(x, count) for x in args]
        axis, ndim = params.get("axis", default), arrays[0].ndim - 1 + more
        _whole(axis)
        if axis is None and default is not None:
            operator.index(axis)  # type: ignore[arg-type]  # raises
        if ndim == 0 and axis is not None:
            np.cumsum(np.zeros(1), axis=axis)  # NumPy's error, where it is not the one that a number can be given
        if axis is None or ndim == 0:
            arrays = [np.reshape(x, (count, math.prod(x.shape[1:]))) for x in arrays]
            axis = 1
        else:
            axis = shifted(axis, ndim)
        return op(*arrays, **{**params, "axis": axis})

    return rule


def concatenate(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
    """Along an axis of the examples; numbers have none."""
    if any(np.ndim(x) == 0 for x in args):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    return along(0)(op, args, params, count)


def shifting(**defaults: Any) -> BatchRule:
    """Maps with axes in settings of these names; without one, what is given here, and nothing where that is None."""

    def rule(op: Op, args: tuple[Any, ...], params: dict[str, Any], count: int) -> Any:
        x = args[0]
        axes = {
            key: shifted(params[key] if default is None else params.get(key, default), x.ndim)
            for key, default in defaults.items()
        }
        return op(x.array, **{**params, **axes})

    return rule


def _all_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(1, x.ndim + 1))


def flip(op: Op, args: Any, params: Any, count: int) -> Any:
    """Without axes along all of those of an example."""
    x, axis = args[0], params.get("axis")
    return op(x.array, axis=_all_axes(x) if axis is None else shifted(axis, x.ndim))


def transpose(op: Op, args: Any, params: Any, count: int) -> Any:
    """Without axes in the opposite order."""
    x, axes = args[0], params.get("axes")
    order = _all_axes(x)[::-1] if axes is None else shifted(axes, x.ndim)
    return op(x.array, axes=(0, *order))


def roll(op: Op, args: Any, params: Any, count: int) -> Any:
    """Without an axis an example is rolled as a vector."""
    x, axis = args[0], params.get("axis")
    if axis is not None:
        return op(x.array, **{**params, "axis": shifted(axis, x.ndim)})
    shift = params["shift"]
    rolled = op(np.reshape(x.array, (count, x.size)), shift=sum(shift) if isinstance(shift, tuple) else shift, axis=1)
    return np.reshape(rolled, x.array.shape)


def expand_dims(op: Op, args: Any, params: Any, count: int) -> Any:
    """The new axes are counted in the result."""
    x, axis = args[0], params["axis"]
    more = np.size(axis)
    return op(x.array, axis=shifted(axis, x.ndim + more))


def squeeze(op: Op, args: Any, params: Any, count: int) -> Any:
    """Without axes along those of length one in an example, not that of the batch."""
    x, axis = args[0], params.get("axis")
    if axis is None:
        axis = tuple(k for k, n in enumerate(x.shape) if n == 1)
    return op(x.array, axis=shifted(axis, x.ndim))


def linspace(op: Op, args: Any, params: Any, count: int) -> Any:
    """The axis of the numbers is counted in the result."""
    start, stop = aligned(tuple(whole(x, count) for x in args))
    return op(start, stop, **{**params, "axis": shifted(params.get("axis", 0), start.ndim)})


# -- shapes ------------------------------------------------------------------------------------------------------------


def reshape(op: Op, args: Any, params: Any, count: int) -> Any:
    """In Fortran's order the last axes are the slow ones, so all axes are turned around before and behind."""
    x, shape = args[0], params["shape"]
    order: Any = params.get("order") or "C"
    shape = np.broadcast_to(False, x.shape).reshape(shape, order=order).shape  # what −1 stands for
    if order == "C":
        return op(x.array, shape=(count, *shape))
    turned = op(np.transpose(x.array, (0, *_all_axes(x)[::-1])), shape=(count, *shape[::-1]))
    return np.transpose(turned, (0, *range(len(shape), 0, -1)))


def broadcast_to(op: Op, args: Any, params: Any, count: int) -> Any:
    """New axes stand behind that of the batch."""
    shape = params["shape"]
    shape = shape if isinstance(shape, tuple) else (shape,)
    return op(lifted(args[0], len(shape)), shape=(count, *shape))


def tile(op: Op, args: Any, params: Any, count: int) -> Any:
    """The batch itself is not repeated."""
    x, reps = args[0], params["reps"]
    ndim = max(x.ndim, len(reps))
    return op(lifted(x, ndim), reps=(1,) * (1 + ndim - len(reps)) + reps)


def pad(op: Op, args: Any, params: Any, count: int) -> Any:
    """Nothing stands around the batch."""
    return op(args[0].array, **{**params, "pad_width": ((0, 0), *params["pad_width"])})


def triangle(op: Op, args: Any, params: Any, count: int) -> Any:
    """Of a vector NumPy takes the triangle of the matrix that has it in each row."""
    x = args[0]
    if x.ndim > 1:
        return op(x.array, **params)
    n = x.shape[0]
    return op(np.broadcast_to(x.array[:, None, :], (count, n, n)), **params)


def diag(op: Op, args: Any, params: Any, count: int) -> Any:
    """The diagonal of a matrix, or a matrix with a vector on its diagonal."""
    x, k = args[0], params.get("k", 0)
    if x.ndim == 2:
        return np.diagonal(x.array, k, 1, 2)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    return _on_diagonal(x.array, k, count)


def diagflat(op: Op, args: Any, params: Any, count: int) -> Any:
    """A matrix with an example as a vector on its diagonal."""
    return _on_diagonal(np.reshape(args[0].array, (count, args[0].size)), params.get("k", 0), count)


def _on_diagonal(x: Any, k: int, count: int) -> Any:
    n = x.shape[1]
    rows = np.arange(n)
    side = n + abs(k)
    index = (slice(None), rows + max(0, -k), rows + max(0, k))
    return scatter(x, index=index, shape=(count, side, side))


def sparse_matmul(op: Op, args: Any, params: Any, count: int) -> Any:
    """All examples are columns beside each other."""
    x = np.moveaxis(args[0].array, 0, -1)
    y = op(np.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), **params)
    return np.moveaxis(np.reshape(y, (y.shape[0], *x.shape[1:])), -1, 0)


def array_equal(op: Op, args: Any, params: Any, count: int) -> Any:
    """Arrays of different shapes are not equal; of those of one shape all elements are."""
    if np.shape(args[0]) != np.shape(args[1]) or params:
        return one_by_one(op, args, params, count)
    same = np.equal(*aligned(args))
    return np.all(same, axis=tuple(range(1, same.ndim)))


RULES: dict[str, BatchRule] = {
    **dict.fromkeys(
        ("copy", "astype", "round", "fix", "isclose", "iscomplex", "isreal", "isposinf", "isneginf", "stop_gradient",
         "to_integers", "checked_positions", "modf", "frexp", "cross"), pointwise),
    **dict.fromkeys(
        ("sum", "mean", "prod", "max", "min", "nanmax", "nanmin", "var", "std", "any", "all", "count_nonzero",
         "logsumexp"), reducing()),
    **dict.fromkeys(("softmax", "log_softmax"), reducing(-1)),
    **dict.fromkeys(("argmax", "argmin", "nanargmax", "nanargmin"), finding),
    **dict.fromkeys(("cumsum", "cumprod", "take", "repeat"), along(None)),
    **dict.fromkeys(("argsort", "argpartition", "partition", "sort", "arrange", "unarrange", "fft", "ifft", "rfft",
                     "hfft", "irfft", "ihfft", "cross_entropy", "cross_entropy_delta"), along(-1)),
    **dict.fromkeys(("split", "distinct"), along(0)), "concatenate": concatenate,
    "stack": along(0, more=1), "linspace": linspace, "norm": norm,
    "swapaxes": shifting(axis1=None, axis2=None), "transpose": transpose,
    "moveaxis": shifting(source=None, destination=None),
    "diagonal": shifting(axis1=0, axis2=1), "trace": shifting(axis1=0, axis2=1), "rot90": shifting(axes=(0, 1)),
    "flip": flip, "roll": roll, "expand_dims": expand_dims, "squeeze": squeeze,
    "sliding_window_view": shifting(axes=0), "window_add": shifting(axes=0),
    "reshape": reshape, "broadcast_to": broadcast_to, "tile": tile, "pad": pad, "tril": triangle, "triu": triangle,
    "diag": diag, "diagflat": diagflat, "sparse_matmul": sparse_matmul, "array_equal": array_equal,
    "getitem": places.read, "scatter": places.spread, "scatter_add": places.write, "update": places.write,
    "gather": places.read_own, "scatter_at": places.spread_own,
    "update_at": places.write_own, "pick": products.pick, "drop": products.drop,
    "matmul": products.matmul, "tensordot": products.tensordot, "dot": products.dot, "inner": products.inner,
    "outer": products.outer, "vdot": products.vdot, "vecdot": products.vecdot, "matvec": products.matvec,
    "vecmat": products.vecmat, "kron": products.kron, "einsum": products.einsum, "solve": products.solve,
    "conv": products.conv, "conv_transpose": products.conv, "conv_weight": products.conv_weight,
    "convolve": products.convolve, "quantile_places": pointwise,
    **dict.fromkeys(
        ("inv", "inverse_of_lower", "cholesky", "qr", "det", "slogdet", "eigh", "eigvalsh", "eig",
         "eigvals", "svd", "svdvals", "pinv", "matrix_rank"), matrices),
    **dict.fromkeys(
        ("eigvals_slope", "svdvals_slope", "singular_slope", "null_vectors", "ranked", "max_pool",
         "window_sum", "window_spread", "window_pick", "window_drop",
         "lstm_gates", "gru_gates", "eigvalsh_slope"), stacked),
    "attention": stacked_beside,
    **dict.fromkeys(FIRST, first_alone),
    **dict.fromkeys(("layer_norm", "rms_norm", "batch_norm", "group_norm"), normalised),
}  # fmt: skip
"""The rule of an operation by its name; pointwise ones need none, all others are taken one by one."""
