"""How NumPy's functions are called, for the law on keywords: the arguments of one call, and values for keywords.

A function that an operation stands for directly is called as the operation's first example calls it. What is written in
other operations, or called by functions and lists, stands in `CALLS`. A value of a keyword is looked for in the
function's own call, then in `VALUES` by the keyword's name.
"""

import inspect
from typing import NamedTuple

import numpy as np

from autodiff.graph import OPERATIONS
from autodiff.op import FUNCTIONS, UFUNCS
from autodiff.testing.laws import cases

_rng = np.random.default_rng(11)


def _draw(*shape, low=0.3, high=1.7):
    """Distinct numbers away from integers and from each other, so that no order and no rounding is near a change."""
    count = int(np.prod(shape))
    grid = np.linspace(low, high, count) + 0.007
    return _rng.permutation(grid).reshape(shape)


A, B, V, W = _draw(3, 4), _draw(3, 4), _draw(5), _draw(5)
CUBE = _draw(2, 3, 4)
SIGNED = A - 1.03
NANS = np.where(np.arange(12).reshape(3, 4) % 5 == 2, np.nan, A)
SQUARE = _draw(3, 3) + 2.0 * np.eye(3)
SYMMETRIC = SQUARE + SQUARE.T
DEFINITE = SQUARE @ SQUARE.T
COMPLEX = A + 1j * B
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]], bool)
RISING = np.sort(V)
QUOTIENT = np.array([0.7, 2.9, 7.3]), np.array([0.5, 1.1, 1.9])
SMALL = np.array([1.5432, 1e-12, 3.25, 2.0, 1.0, 0.5, 0.25, 4.0])
INTS = np.array([2, 0, 1])


class Sample(NamedTuple):
    """One call: its arguments, of which the floating arrays are traced, in lists as well; and values of keywords."""

    args: tuple
    keywords: dict


class Together(dict):
    """Several keywords that only go together, as the value of one of them."""


def call(*args, **keywords):
    return Sample(args, keywords)


class Instead(Sample):
    """Other arguments with one keyword, as a value of it: it does not fit the function's own sample."""


def instead(*args, **keywords):
    return Instead(args, keywords)


CALLS = {
    np.all: call(np.where(MASK, A, 0.0)),
    np.any: call(np.where(MASK, 0.0, A)),
    np.divmod: call(*QUOTIENT),
    np.floor_divide: call(*QUOTIENT),
    np.matmul: call(SQUARE, DEFINITE, axes=[[(0, 1), (0, 1), (1, 0)]]),
    np.vecdot: call(A, B),
    np.allclose: call(NANS, NANS + 0.1, rtol=[Together(rtol=0.5, equal_nan=True)],
                      atol=[Together(atol=0.5, equal_nan=True)], equal_nan=[Together(equal_nan=True, rtol=0.5)]),
    np.isclose: call(NANS, NANS + 0.1, rtol=[0.5], atol=[0.5]),
    np.array_equal: call(NANS, NANS),
    np.angle: call(COMPLEX),
    np.append: call(A, B),
    np.argpartition: call(A, 1, kind=["introselect"], order=[None]),
    np.argsort: call(A, order=[None]),
    np.sort: call(A, order=[None]),
    np.array2string: call(SMALL, edgeitems=[Together(edgeitems=1, threshold=2)]),
    np.array_repr: call(SMALL),
    np.array_str: call(SMALL),
    np.array_equiv: call(A, B),
    np.array_split: call(A, 2),
    np.astype: call(A, np.float32),
    np.atleast_1d: call(A, V),
    np.atleast_2d: call(A, V),
    np.atleast_3d: call(A, V),
    np.average: call(A, weights=[B]),
    np.block: call([[A, B], [B, A]]),
    np.broadcast_arrays: call(A, B[:1]),
    np.broadcast_to: call(A, (2, 3, 4)),
    np.can_cast: call(np.float64, np.float32),
    np.choose: call(INTS, [V[:3], W[:3], V[2:]], mode=[
        instead(INTS + 2, [V[:3], W[:3], V[2:]], mode=mode) for mode in ("wrap", "clip")
    ]),
    np.clip: call(A, a_min=[Together(a_min=0.8, a_max=None)], a_max=[Together(a_min=None, a_max=0.9)],
                  min=[0.8], max=[0.9]),
    np.column_stack: call([A, B]),
    np.common_type: call(A, B),
    np.compress: call(MASK[0], A, axis=[1, -1]),
    np.concatenate: call([A, B], axis=[1, -1, None]),
    np.convolve: call(V, W[:3], mode=["same", "valid", 1]),
    np.correlate: call(V, W[:3], mode=["same", "full", 1]),
    np.corrcoef: call(A, y=[B]),
    np.cov: call(A, y=[B], ddof=[0], fweights=[np.array([1, 2, 3, 1])], aweights=[V[:4]]),
    np.cross: call(CUBE[:, :, :3], CUBE[:, :, 1:], axis=[1, -1], axisa=[1], axisb=[1], axisc=[0, 1]),
    np.delete: call(A, 1, axis=[0, 1, -1]),
    np.diff: call(CUBE, prepend=[CUBE[..., :1], 0.5], append=[CUBE[..., :1], 0.5], n=[2, 0]),
    np.digitize: call(A, RISING),
    np.dsplit: call(CUBE, 2),
    np.dstack: call([A, B]),
    np.ediff1d: call(A, to_end=[W, 0.5], to_begin=[W, 0.5]),
    np.einsum: call("ij,ik->jk", A, B, optimize=[True, "greedy"]),
    np.einsum_path: call("ij,ik->jk", A, B, optimize=[True, "optimal"], einsum_call=[False]),
    np.extract: call(MASK, A),
    np.fill_diagonal: call(SQUARE.copy(), 2.0, wrap=[instead(_draw(7, 3), 2.0, wrap=True)]),
    np.full_like: call(A, 2.5),
    np.gradient: call(_draw(3, 4, 3), axis=[0, (0, 2), -1], edge_order=[2]),
    np.hsplit: call(A, 2),
    np.hstack: call([A, B]),
    np.histogram: call(A, bins=[4, RISING, "auto"], range=[(0.5, 1.5)], density=[True], weights=[B]),
    np.histogram_bin_edges: call(A, bins=[4, RISING, "auto"], range=[(0.5, 1.5)], weights=[B]),
    np.histogram2d: call(V**2, W**3, bins=[4, RISING], range=[((0.5, 1.5), (0.2, 1.2))], density=[True], weights=[V]),
    np.histogramdd: call(np.stack([V**2, W**3], axis=1), bins=[4, (RISING, 3)], range=[((0.5, 1.5), (0.2, 1.2))],
                         density=[True], weights=[V]),
    np.bincount: call(np.array([0, 2, 2, 5, 1]), W, weights=[instead(np.array([0, 2, 2, 5, 1]), weights=V)],
                      minlength=[9]),
    np.linspace: call(0.4, np.array(1.3), num=[7, 1], endpoint=[False], retstep=[True], dtype=[np.float32],
                      axis=[instead(V, 2.0, 4, axis=-1)]),
    np.logspace: call(0.4, np.array(1.3), num=[7, 1], endpoint=[False], base=[2.0, V],
                      axis=[instead(V, 2.0, 4, axis=-1)]),
    np.geomspace: call(0.4, np.array(1.3), num=[7, 1], endpoint=[False], axis=[instead(V, 2.0, 4, axis=-1)]),
    np.insert: call(A, 1, 2.5, axis=[0, 1, -1]),
    np.interp: call(SIGNED, 0.6 * RISING - 0.8, W, left=[0.25], right=[0.75], period=[0.9]),
    np.intersect1d: call(V, W + 9.0),  # of equal elements differences would see no more than that they part
    np.ix_: call(V, W),
    np.isin: call(A, A[:1], invert=[True], assume_unique=[True], kind=["sort"]),
    np.kron: call(A, B),
    np.lexsort: call(CUBE),
    np.may_share_memory: call(A, B),
    np.shares_memory: call(A, B),
    np.mean: call(A, where=[MASK]),
    np.median: call(A),
    np.meshgrid: call(V, W[:3], indexing=["ij"], sparse=[True], copy=[False]),
    np.min_scalar_type: call(A),
    np.moveaxis: call(CUBE, 0, -1),
    np.nan_to_num: call(np.where(NANS > 1.2, np.inf, np.where(NANS < 0.5, -np.inf, NANS)),
                        nan=[0.5], posinf=[3.0], neginf=[-3.0], copy=[False]),
    np.percentile: call(A, 37.0, weights=[Together(weights=B, method="inverted_cdf")]),
    np.quantile: call(A, 0.37, weights=[Together(weights=B, method="inverted_cdf")]),
    np.nanpercentile: call(NANS, 37.0, weights=[Together(weights=B, method="inverted_cdf")]),
    np.nanquantile: call(NANS, 0.37, weights=[Together(weights=B, method="inverted_cdf")]),
    np.pad: call(A, 2, mode=["reflect", "edge", "wrap", "symmetric", "linear_ramp", "maximum", "mean", "median",
                             "minimum", "empty"]),
    np.piecewise: call(A, [A > 0.9], [np.sin, np.cos]),
    np.poly: call(V),
    np.polyadd: call(V, W),
    np.polysub: call(V, W),
    np.polymul: call(V, W),
    np.polydiv: call(V, W[:3]),
    np.polyder: call(V, m=[2, 0]),
    np.polyint: call(V, m=[2], k=[0.5]),
    np.polyval: call(V, A),
    np.polyfit: call(RISING, W, 2, w=[V], rcond=[0.2], full=[True], cov=[True]),
    np.roots: call(np.array([1.0, -6.2, 11.3, -5.9])),
    np.ravel_multi_index: call((INTS, INTS), (3, 3), order=["F"],
                               mode=[instead((INTS + 2, INTS), (3, 3), mode=mode) for mode in ("wrap", "clip")]),
    np.kaiser: call(5, 2.5),
    np.emath.logn: call(2.5, A),
    np.emath.power: call(A, 2.5),
    np.result_type: call(A, np.float32),
    np.unravel_index: call(INTS, (3, 3)),
    np.real_if_close: call(A + 1e-14j, tol=[2]),
    np.repeat: call(A, 2),
    np.reshape: call(A, (2, 6), copy=[True]),
    np.resize: call(A, (5, 4)),
    np.roll: call(CUBE, 1),
    np.rollaxis: call(CUBE, 2, start=[1]),
    np.searchsorted: call(RISING, RISING, sorter=[np.array([4, 3, 2, 1, 0])]),
    np.select: call([A > 1.2, A > 0.8], [A, B], default=[0.5]),
    np.setdiff1d: call(V, W + 9.0),
    np.setxor1d: call(V, W + 9.0),
    np.union1d: call(V, W),
    np.sort_complex: call(V),
    np.split: call(CUBE, 2, axis=[2, -1]),
    np.squeeze: call(A[:, None, :, None], axis=[1, -1, (1, 3)]),
    np.stack: call([A, B]),
    np.take: call(A, INTS, mode=[instead(A, INTS - 14, mode=mode) for mode in ("wrap", "clip")]),
    np.take_along_axis: call(SQUARE, np.argsort(SQUARE, axis=-1), axis=[0, 1]),
    np.partition: call(A, (1, 2), axis=[instead(A, 1, axis=0), instead(V, (1, 3), axis=None)], kind=["introselect"],
                       order=[None]),  # these determine the place of every element: the rest is up to NumPy
    np.place: call(A.copy(), MASK, W),
    np.put: call(A.copy(), [0, 7, 2], W[:3], mode=[
        instead(A.copy(), [-20, 30, 2], W[:3], mode=mode) for mode in ("wrap", "clip")
    ]),
    np.putmask: call(A.copy(), MASK, W),
    np.put_along_axis: call(A.copy(), np.argsort(A, axis=-1)[:, :2], 2.5, -1),
    np.tile: call(A, (2, 1)),
    np.transpose: call(CUBE, axes=[(1, 2, 0)]),
    np.trapezoid: call(A, x=[np.sort(V[:4]), A], dx=[0.3]),
    np.trim_zeros: call(np.pad(A, 1), axis=[0, -1]),
    np.tril_indices_from: call(SQUARE),
    np.triu_indices_from: call(SQUARE),
    np.diag_indices_from: call(SQUARE),
    np.unique: call(V, axis=[instead(A, axis=0), instead(A, axis=-1)], equal_nan=[instead(NANS, equal_nan=False)]),
    np.unwrap: call(np.array([[0.0, 0.5, 7.1, 7.4, 2.0], [7.0, 0.3, 0.9, 9.1, 2.2]]), discont=[6.0],
                    period=[3.0], axis=[0]),
    np.vander: call(V, N=[4], increasing=[True]),
    np.vsplit: call(A, 3),
    np.vstack: call([A, B]), getattr(np, "row_stack", np.vstack): call([A, B]),
    np.where: call(MASK, A, B),
    np.copyto: call(A.copy(), B),
    np.apply_along_axis: call(np.sort, 0, A),
    np.apply_over_axes: call(np.sum, A, [0]),
    np.lib.stride_tricks.sliding_window_view: call(
        CUBE, (2, 2, 3), axis=[instead(CUBE, 2, axis=1), instead(CUBE, (2, 2), axis=(-1, 1))], subok=[True],
        writeable=[True],
    ),
    np.linalg.cond: call(SQUARE + np.diag([1.0, 3.0, 6.0]), p=[2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"]),
    np.linalg.cross: call(CUBE[:, :, :3], CUBE[:, :, 1:], axis=[1, -1]),
    np.linalg.lstsq: call(A.T, V[:4], rcond=[0.4]),
    np.linalg.matmul: call(A, B.T),
    np.linalg.matrix_norm: call(CUBE),
    np.linalg.matrix_power: call(SQUARE, 3),
    np.linalg.multi_dot: call([A, B.T, A]),
    np.linalg.norm: call(A, ord=[1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"], axis=[0, 1, (0, 1)]),
    np.linalg.outer: call(V, W),
    np.linalg.pinv: call(A, rcond=[0.4], rtol=[0.4], hermitian=[instead(SYMMETRIC, hermitian=True)]),
    np.linalg.qr: call(A, mode=["complete", "r", "raw"]),
    np.linalg.svd: call(A, full_matrices=[False], compute_uv=[False],
                        hermitian=[instead(SYMMETRIC, hermitian=True)]),
    np.linalg.tensorinv: call(_draw(2, 3, 6), ind=[instead(_draw(6, 2, 3), ind=1)]),
    np.linalg.tensorsolve: call(_draw(2, 3, 6), A[:2, :3], axes=[instead(_draw(6, 2, 3), A[:2, :3], axes=(0,))]),
    np.linalg.vecdot: call(A, B),
    np.linalg.vector_norm: call(A, ord=[0, 1, 3, np.inf, -np.inf]),
    np.linalg.matrix_rank: call(SQUARE, tol=[3.0], rtol=[0.5],
                                hermitian=[instead(np.tril(np.ones((3, 3))), hermitian=True)]),
    np.linalg.cholesky: call(DEFINITE),
    np.linalg.eigh: call(SQUARE, UPLO=["U"]),
    np.linalg.eigvalsh: call(SQUARE, UPLO=["U"]),
    np.tensordot: call(SQUARE, SQUARE, axes=[1, 0, ((0,), (1,))]),
    np.linalg.tensordot: call(SQUARE, SQUARE, axes=[1, 0, ((0,), (1,))]),
    np.diagonal: call(_draw(3, 3, 3), axis1=[2], axis2=[2]),
    np.trace: call(_draw(3, 3, 3), axis1=[2], axis2=[2]),
    np.rot90: call(A, k=[2, -1], axes=[(1, 0)]),
    np.round: call(A * 100, decimals=[1, -1]),
    np.around: call(A * 100, decimals=[1, -1]),
    np.ptp: call(A),
}  # fmt: skip
CALLS |= {
    function: call(NANS)
    for function in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nanmedian,
                     np.nancumsum, np.nancumprod, np.nanargmax, np.nanargmin)
}  # fmt: skip
CALLS |= {
    getattr(np.fft, name): call(CUBE, n=[3, 6], s=[(3, 5), (2, 6)])
    for name in np.fft.__all__
    if "shift" not in name and "freq" not in name
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    CALLS |= {
        np.cumulative_prod: call(V, axis=[instead(A, axis=0), instead(A, axis=-1)], include_initial=[True]),
        np.cumulative_sum: call(V, axis=[instead(A, axis=0), instead(A, axis=-1)], include_initial=[True]),
    }
CALLS |= {np.fft.fftfreq: call(6), np.fft.rfftfreq: call(6)}
CALLS |= {
    function: call(A, mean=[np.mean(A, keepdims=True) + 0.1]) for function in (np.var, np.std)
} | {
    function: call(NANS, mean=[np.nanmean(NANS, keepdims=True) + 0.1]) for function in (np.nanvar, np.nanstd)
}  # fmt: skip

ONE_ARRAY = (A, SQUARE, V)
"""What a function of one array is tried with, where nothing is said of it."""

VALUES = {
    "axis": [0, -1, (0, 1), None],
    "axes": [(0, 1), (1,), 0, [(0, 1), (0, 1), (0, 1)]],
    "keepdims": [True],
    "where": [MASK, Together(where=MASK, initial=-9.0), Together(where=MASK, initial=9.0)],
    "initial": [0.9, -9.0, 9.0],
    "ddof": [1],
    "correction": [1],
    "dtype": [np.float32, np.complex128],
    "order": ["F"],
    "casting": ["unsafe"],
    "subok": [True, False],
    "device": ["cpu"],
    "norm": ["ortho", "forward"],
    "k": [1, -1],
    "offset": [1, -1],
    "kind": ["stable", "heapsort"],
    "stable": [True],
    "shape": [(2, 6)],
    "copy": [False, True],
    "equal_nan": [True],
    "overwrite_input": [True],
    "returned": [True],
    "assume_unique": [True],
    "return_index": [True],
    "return_inverse": [True],
    "return_counts": [True],
    "return_indices": [True],
    "sorted": [False],
    "method": [
        "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
        "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
    ],
    "mode": ["wrap", "clip"],
    "side": ["right"],
    "right": [True],
    "rowvar": [False],
    "bias": [True],
    "deg": [True],
    "upper": [True],
    "ord": [1, 2, np.inf],
    "trim": ["f"],
    "optimize": [True],
    "max_work": [1],
    "precision": [2],
    "suppress_small": [True],
    "max_line_width": [20],
    "separator": [", "],
    "prefix": ["array("],
    "suffix": [")"],
    "formatter": [{"float": str}],
    "threshold": [2],
    "edgeitems": [1],
    "sign": ["+"],
    "floatmode": ["fixed"],
    "legacy": ["1.13"],
    "N": [4],
    "rcond": [0.4],
}  # fmt: skip

SILENT = frozenset((
    "order", "copy", "subok", "casting", "device", "optimize", "kind", "stable", "overwrite_input", "max_work",
    "assume_unique", "sorted", "legacy", "suffix", "histogram_bin_edges weights", "prefix", "einsum_call", "writeable",
))  # fmt: skip
"""Keywords that may leave every number as it is: they say how it is computed, kept or printed, or need ties to show."""


def name_of(function):
    """A NumPy function as it is written."""
    module = "numpy" if isinstance(function, np.ufunc) else function.__module__
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"


def keywords_of(function):
    """The keywords of a NumPy function: those with a default, and those that can only be given by name."""
    if isinstance(function, np.ufunc):
        common = ["where", "casting", "order", "dtype", "subok", "out"]
        return common if function.signature is None else [*common[1:], "axes", "axis", "keepdims"]
    parameters = inspect.signature(function).parameters.values()
    return [
        p.name for p in parameters
        if p.kind is p.KEYWORD_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty)
    ]  # fmt: skip


def _of_operation(function):
    """The first call with an axis among the examples of the operation that stands for a function; None without."""
    for op in OPERATIONS.values():
        if function in op.numpy and (isinstance(function, np.ufunc) or FUNCTIONS.get(function) == op.from_numpy):
            drawn = [case for case in cases(op) if not case.example.params] or cases(op)
            for case in sorted(drawn, key=lambda case: not case.args or not np.ndim(case.args[0])):
                settings = case.example.params
                if not settings:
                    return call(*case.args)
                required = [key for key in op.signature[len(case.args) :] if key in settings]
                return call(*case.args, *(settings[key] for key in required))
    return None


def sample(function):
    """How a function is called; None where nobody has said."""
    if function in CALLS:
        return CALLS[function]
    found = _of_operation(function)
    if found is None and isinstance(function, np.ufunc) and function.signature is None:
        found = call(*(A, B)[: function.nin])
    if found is None and not isinstance(function, np.ufunc):
        required = [
            p for p in inspect.signature(function).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]  # fmt: skip
        found = next((call(x) for x in ONE_ARRAY if len(required) == 1 and _takes(function, x)), None)
    return found


def _takes(function, x):
    try:
        function(x)
    except (TypeError, ValueError, np.linalg.LinAlgError):
        return False
    return True


def values_of(function, keyword):
    """The values of one keyword to try, each not its default; None where nobody has said any."""
    given = sample(function)
    if given is not None and keyword in given.keywords:
        return given.keywords[keyword]
    return VALUES.get(keyword)


def _is_numpys(function):
    """SciPy's stand in the same tables, once a test has imported them; they have tests of their own."""
    if isinstance(function, np.ufunc):
        return getattr(np, function.__name__, None) is function
    return function.__module__.startswith("numpy")


KNOWN = sorted(filter(_is_numpys, {*FUNCTIONS, *UFUNCS}), key=name_of)
"""Every NumPy function that has a rule or is written in operations that have."""
