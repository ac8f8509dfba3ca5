"""Law 11: every keyword of NumPy's function is supported, and right at a value that is not its default, or refused.

A keyword that was accepted and ignored would give a number without a word; here that is a failure, and so is a keyword
that no sample covers.
"""

import warnings
from collections import Counter

import numpy as np
import optree
import pytest

import autodiff as ad
from autodiff.errors import DtypeError, KeywordError, LostHistoryError, NoRuleError
from autodiff.op import FUNCTIONS
from autodiff.testing import check_grads
from autodiff.traced import Traced, plain
from tests.laws.calls import KNOWN, SILENT, Instead, Together, keywords_of, name_of, sample, values_of

REFUSALS = (KeywordError, LostHistoryError, NoRuleError)
RAISED = (TypeError, ValueError, IndexError, AttributeError, np.linalg.LinAlgError)
"""What NumPy says of values that do not fit a function."""


UNSPECIFIED = (np.empty_like,)
"""Functions that promise a shape and a dtype, and no numbers."""

SHAPED_BY_VALUES = (np.trim_zeros, np.nextafter)
"""Functions that cannot be evaluated beside the point: a zero that is moved is no longer trimmed, and what is flat by
decision moves with its argument all the same."""


def is_floating(x):
    return isinstance(x, np.ndarray) and x.dtype.kind in "fc"


def opened(args):
    """The floating arrays among arguments and in lists, and how to put others in their places."""
    leaves, tree = optree.tree_flatten(args)
    places = [i for i, x in enumerate(leaves) if is_floating(x)]

    def closed(xs):
        filled = list(leaves)
        for i, x in zip(places, xs, strict=True):
            filled[i] = x
        return optree.tree_unflatten(tree, filled)

    return [leaves[i] for i in places], closed


REFUSED = object()


def quietly(function, *args, **settings):
    """What NumPy computes on copies of these, its warnings about numbers aside; REFUSED where it refuses."""
    xs, closed = opened((args, settings))
    args, settings = closed([x.copy() for x in xs])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return written(function(*args, **settings), args)
        except RAISED:
            return REFUSED


def written(y, args):
    """The result of a function; of one that writes into its first argument, that argument."""
    return args[0] if y is None else y


def results(y):
    return [x for x in optree.tree_leaves(y) if x is not None]


def same(these, those, rtol=1e-12):
    """Whether two calls gave the same numbers in the same dtypes and shapes."""
    these, those = results(these), results(those)
    if len(these) != len(those):
        return False
    for a, b in zip(these, those, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.kind not in "fc":
            if not np.array_equal(a, b):
                return False
        elif not np.allclose(a, b, rtol=max(rtol, 8 * float(np.finfo(a.dtype).eps)), atol=1e-12, equal_nan=True):
            return False
    return True


def traced_value(f, xs):
    """What a function computes on tensors, as plain arrays; the errors on the way are the caller's."""
    kept = []

    def run(*tensors):
        y = f(*(x * 1.0 for x in tensors))  # what is written into is not the argument itself
        kept[:] = [plain(part) if isinstance(part, Traced) else part for part in results(y)]
        return sum((np.sum(np.real(x)) * 0.0 for x in tensors), 0.0)

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.vjp(run, *xs)
    return kept


def judge(function, args, settings, keyword):
    """'right', or 'refused'; an AssertionError tells what is wrong."""
    xs, closed = opened((args, settings))

    def f(*given):
        arguments, keywords = closed(given)
        return written(function(*arguments, **keywords), arguments)

    want = quietly(f, *xs)

    try:
        got = traced_value(f, xs)
    except DtypeError:
        return "refused"
    except REFUSALS as error:
        said = str(error)
        named = keyword in said or str(settings[keyword]) in said  # the keyword, or the mode that it asks for
        if named:
            return "refused"
        raise AssertionError(f"refused without its name: {said}") from error
    assert function in UNSPECIFIED or same(got, want), f"value {got}, NumPy's {results(want)}"
    floats = [y for y in results(want) if np.asarray(y).dtype.kind in "fc"]
    if not floats or function in UNSPECIFIED or not all(np.size(x) for x in xs):
        return "right"
    double = all(x.dtype in (np.float64, np.complex128) for x in map(np.asarray, floats))
    finite = [np.isfinite(y) for y in floats]


    def read(*given):
        floating = [y for y in results(f(*given)) if getattr(y, "dtype", np.dtype(bool)).kind in "fc"]
        return [np.where(mask, y, 0.0) for mask, y in zip(finite, floating, strict=True)]

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = [np.where(np.isfinite(x), x, 0.5) for x in xs]
        if function in SHAPED_BY_VALUES:
            _check_modes(read, xs, differences=False)
        elif all(np.array_equal(a, b) for a, b in zip(clean, xs, strict=True)) and double:
            check_grads(read, xs, order=1)
        else:  # differences see no nan, and little in single precision: forward and reverse, and their size
            _check_modes(read, xs)
    return "right"


def _check_modes(f, xs, differences=True):
    rng = np.random.default_rng(3)
    vs = [np.where(np.isfinite(x), rng.standard_normal(x.shape), 0.0).astype(x.dtype) for x in xs]
    ys, ahead = ad.jvp(f, tuple(xs), tuple(vs))
    ws = [rng.standard_normal(np.shape(y)).astype(np.asarray(y).dtype)[()] for y in ys]
    back = ad.vjp(f, *xs)[1](ws)
    one = sum(np.real(np.sum(w * t)) for w, t in zip(ws, ahead, strict=True))
    two = sum(np.real(np.sum(d * v)) for d, v in zip(back, vs, strict=True))
    scale = 1.0 + abs(one)
    assert abs(one - two) <= 1e-5 * scale, f"forward {one}, reverse {two}"
    if not differences:
        return
    h = 1e-3
    above, below = (results(quietly(f, *(x + s * h * v for x, v in zip(xs, vs, strict=True)))) for s in (1, -1))
    slope = sum(np.real(np.sum(w * (np.asarray(a, complex) - b))) / (2 * h)
                for w, a, b in zip(ws, above, below, strict=True))  # fmt: skip
    assert abs(one - slope) <= 2e-3 * scale, f"forward {one}, by differences {slope}"


def outs(want):
    """An array for `out`, or as many as there are results."""
    parts = results(want)
    blank = tuple(np.zeros_like(np.asarray(y)) for y in parts)
    return [blank if isinstance(want, tuple) else blank[0]]


def takes_floats(function):
    return not isinstance(function, np.ufunc) or any("d" in kinds.partition("->")[0] for kinds in function.types)


PAIRS = [
    pytest.param(function, keyword, id=f"{name_of(function)}-{keyword}")
    for function in KNOWN
    if takes_floats(function)  # nothing that a ufunc of integers takes has a derivative
    for keyword in keywords_of(function)
]


@pytest.mark.parametrize("function", KNOWN, ids=name_of)
def test_every_function_has_a_sample(function):
    if takes_floats(function):
        given = sample(function)
        assert given is not None, f"say in tests/laws/calls.py how {name_of(function)} is called"
        assert quietly(function, *given.args) is not REFUSED, f"NumPy refuses the sample of {name_of(function)}"


@pytest.mark.parametrize(("function", "keyword"), PAIRS)
def test_keyword(function, keyword):
    given = sample(function)
    if given is None:
        pytest.fail(f"say in tests/laws/calls.py how {name_of(function)} is called")
    default = quietly(function, *given.args)
    values = outs(default) if keyword == "out" else values_of(function, keyword)
    assert values is not None, f"say in tests/laws/calls.py which values {keyword} of {name_of(function)} takes"
    tried, shown = Counter(), False
    for value in values:
        args, settings = given.args, value if isinstance(value, Together) else {keyword: value}
        if isinstance(value, Instead):
            args, settings = value
        if keyword == "where" and isinstance(function, np.ufunc):
            shape = np.shape(results(default)[0])
            settings = {keyword: np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2 == 0}
            shown = True  # what NumPy leaves where it does not compute is any number
        want = quietly(function, *args, **settings)
        if want is REFUSED:
            continue
        shown = shown or not same(want, default)
        try:
            tried[judge(function, args, settings, keyword)] += 1
        except AssertionError as error:
            raise AssertionError(f"{name_of(function)}(…, {keyword}={value!r}): {error}") from error
    if isinstance(function, np.ufunc) and not tried:
        return  # a keyword of other generalized ufuncs
    assert tried, f"NumPy takes none of {values} for {keyword}: mend the sample in tests/laws/calls.py"
    silent = keyword in SILENT or f"{function.__name__} {keyword}" in SILENT
    assert shown or silent or keyword == "out", (
        f"none of {values} changes what NumPy computes, so an ignored {keyword} would pass: "
        "mend the sample in tests/laws/calls.py"
    )
    if keyword == "out":
        assert tried == Counter(refused=1), "nodes never change: out must be refused"


@pytest.mark.parametrize(
    ("function", "keyword"),
    [(np.sum, "axis"), (np.sum, "where"), (np.max, "initial"), (np.std, "ddof"), (np.linalg.norm, "ord"),
     (np.fft.fft, "norm"), (np.sort, "axis"), (np.quantile, "method")],
)  # fmt: skip
def test_an_ignored_keyword_is_caught(monkeypatch, function, keyword):
    known = FUNCTIONS[function]

    def ignoring(*args, **settings):
        settings.pop(keyword, None)
        return known(*args, **settings)

    monkeypatch.setitem(FUNCTIONS, function, ignoring)
    with pytest.raises(AssertionError):
        test_keyword(function, keyword)


def test_a_keyword_that_only_the_gradient_ignores_is_caught(monkeypatch):
    known = FUNCTIONS[np.sum]

    def ignoring(a, **settings):
        where = settings.pop("where", True)
        return known(a, **settings) + ad.stop_gradient(known(a, where=where, **settings) - known(a, **settings))

    monkeypatch.setitem(FUNCTIONS, np.sum, ignoring)
    with pytest.raises(AssertionError, match="order 1"):
        test_keyword(np.sum, "where")
