"""Who differentiates what: the calls of the law on keywords and the methods of arrays, as they are written for NumPy.

Each call is made for each engine by the same name in the engine's own namespace, and its gradient is held against
differences of NumPy's values. *Right*; *wrong*: a number, and not the derivative; *refused*: an error.
"""

import warnings
from collections import Counter

import numpy as np
import optree

from autodiff.errors import CheckError
from autodiff.testing.differences import derivative
from tests.laws.calls import CALLS, KNOWN, SILENT, A, Instead, Together, keywords_of, name_of, sample, values_of
from tests.peers.engines import OURS

PEERS = ("jax", "autograd", "mygrad")

ON_PURPOSE = {
    "np.linalg.qr": "mode='raw' is LAPACK's own packing, and refused",
    "np.nextafter": "a step from one float to the next is flat, as rounding is",
}
"""Functions of which a call is refused, or flat against what differences say, and why."""

SETTINGS = SILENT | {"out", "dtype", "returned", "full", "cov", "equal_nan", "return_index", "return_inverse",
                     "return_counts", "return_indices", "include_initial"}  # fmt: skip
"""Keywords without a derivative of their own: they are not counted as calls."""

METHODS = (
    "x.sum()", "x.sum(axis=0)", "x.sum(0, keepdims=True)", "x.mean()", "x.mean(axis=1)", "x.prod()", "x.prod(axis=0)",
    "x.max()", "x.max(axis=1)", "x.min()", "x.min(axis=0)", "x.var()", "x.var(axis=0, ddof=1)", "x.std()",
    "x.std(axis=1)", "x.cumsum()", "x.cumsum(axis=1)", "x.cumprod()", "x.reshape(4, 3)", "x.reshape((2, 6))",
    "x.reshape(-1)", "x.ravel()", "x.flatten()", "x.T", "x.transpose()", "x.transpose(1, 0)", "x.swapaxes(0, 1)",
    "x.squeeze()", "x.repeat(2)", "x.repeat(2, axis=1)", "x.take([0, 2])", "x.take([0, 2], axis=1)", "x.diagonal()",
    "x.trace()", "x.clip(0.6, 1.2)", "x.clip(min=0.8)", "x.dot(x.T)", "x.conj()", "x.real", "x.copy()", "x.round(1)",
    "x.compress([True, False, True], axis=0)", "x.argsort() * 1.0", "x.astype(np.float64)", "x[0]",
    "x[-1, ::2]", "x[:, None]", "x[..., 1]", "x[[0, 2, 0]]", "x[x > 1.0]", "x[np.array([0, 1]), np.array([2, 2])]",
    "x[::-1]", "x[1:, :-1]", "x + 2.0", "2.0 - x", "x * x", "x / (x + 1.0)", "1.0 / x", "x ** 2", "x ** 2.5",
    "2.0 ** x", "x ** x", "-x", "+x", "abs(x)", "x @ x.T", "x % 0.7", "x // 0.7", "divmod(x, 0.7)[1]",
    "x - x.mean()", "sum(x)", "x.mean(axis=(0, 1))",
    "x.max(axis=(0, 1))", "x.sum() * x.mean()",
)  # fmt: skip


def differentiable(y):
    """The floating results, as one vector; None where there is none."""
    parts = [np.ravel(part) for part in optree.tree_leaves(y) if getattr(part, "dtype", np.dtype(bool)).kind in "fc"]
    return np.concatenate(parts) if parts else None


class Call:
    """One call with the arrays in it: `f(space, *xs)` makes it with the functions of an engine."""

    def __init__(self, text, make, xs):
        self.text, self.make, self.xs = text, make, xs

    def weighted(self, space):
        """Σ of the real parts of all the results with fixed weights, and of the imaginary parts with others."""

        def f(*xs):
            total, seen = 0.0, 0
            for part in optree.tree_leaves(self.make(space, *xs), none_is_leaf=False):
                if not hasattr(part, "dtype") or np.dtype(str(part.dtype)).kind not in "fc":
                    continue
                weights = 1.0 + 0.1 * (np.arange(seen, seen + part.size).reshape(part.shape) % 7)
                seen += part.size
                if np.dtype(str(part.dtype)).kind == "c":
                    total = total + (part.real * weights).sum() + (part.imag * weights[::-1]).sum()
                else:
                    total = total + (part * weights).sum()
            return total

        return f


def opened(args):
    leaves, tree = optree.tree_flatten(args)
    places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and x.dtype == np.float64]

    def closed(xs):
        filled = list(leaves)
        for i, x in zip(places, xs, strict=True):
            filled[i] = x
        return optree.tree_unflatten(tree, filled)

    return tuple(leaves[i] for i in places), closed


def named(space, function):
    """The function of the same name in an engine's namespace."""
    found = space
    for part in name_of(function).split(".")[1:]:
        found = getattr(found, part)
    return found


def _made(text, function, args, settings):
    xs, closed = opened((args, settings))

    def make(space, *given):
        arguments, keywords = closed(given)
        return named(space, function)(*arguments, **keywords)

    return Call(text, make, xs)


def patterns():
    """Every call by its text: those that NumPy takes, of real arguments, with a floating result that is smooth."""
    found = {}
    for function in sorted({*KNOWN, *CALLS}, key=name_of):
        given = sample(function)
        if given is None:
            continue
        name = name_of(function)
        found[f"{name}(…)"] = _made(f"{name}(…)", function, given.args, {})
        keywords = [] if isinstance(function, np.ufunc) else keywords_of(function)
        for keyword in keywords:
            for value in values_of(function, keyword) or () if keyword not in SETTINGS else ():
                settings = value if isinstance(value, Together) else {keyword: value}
                args, settings = value if isinstance(value, Instead) else (given.args, settings)
                shown = "…" if isinstance(value, (np.ndarray, Together, Instead)) else repr(value)
                text = f"{name}(…, {keyword}={shown})"
                found[text] = _made(text, function, args, settings)
    for text in METHODS:
        found[text] = Call(text, _method(text), (A,))
    return {text: call for text, call in found.items() if call.xs and _smooth(call)}


def _method(text):
    code = compile(text, text, "eval")
    return lambda space, x: eval(code, {"np": np, "x": x})


def _truth(call):
    """The gradient by differences along each element; None where they do not settle or nothing depends on it."""
    f = call.weighted(np)
    found = []
    for k, x in enumerate(call.xs):
        slopes = np.zeros(x.shape)
        for place in np.ndindex(*x.shape):
            unit = np.zeros(x.shape)
            unit[place] = 1.0
            along = [unit if i == k else np.zeros(y.shape) for i, y in enumerate(call.xs)]
            estimate = derivative(lambda *xs: (np.asarray(f(*(x.copy() for x in xs))),), call.xs, along)
            if not np.all(estimate.errors[0] <= 1e-5 * (1.0 + np.abs(estimate.values[0]))):
                return None
            slopes[place] = estimate.values[0]
        found.append(slopes)
    return found


TRUTHS = {}


def _smooth(call):
    if call.text not in TRUTHS:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                y = differentiable(call.make(np, *(x.copy() for x in call.xs)))
                calm = y is not None and y.size and np.isfinite(y).all() and all(np.isfinite(x).all() for x in call.xs)
                shifted = [x + 1e-5 * np.cos(np.arange(x.size)).reshape(x.shape) for x in call.xs]
                calm = calm and differentiable(call.make(np, *shifted)).shape == y.shape  # else values decide the shape
                TRUTHS[call.text] = _truth(call) if calm else None
            except (TypeError, ValueError, IndexError, AttributeError, np.linalg.LinAlgError, CheckError):
                TRUTHS[call.text] = None
    return TRUTHS[call.text] is not None


def judge(engine, call):
    """'right', 'wrong' or 'refused'."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = engine.pull(call.weighted(engine.space), tuple(engine.array(x) for x in call.xs))
            found = [np.asarray(engine.plain(d), complex) for d in found]
        except Exception:  # whatever another engine raises
            return "refused"
    for got, want in zip(found, TRUTHS[call.text], strict=True):
        if got.shape != want.shape or not np.all(np.abs(got - want) <= 1e-5 * (1.0 + np.max(np.abs(want)))):
            return "wrong"
    return "right"


def judged(peers):
    """For each engine what became of each call."""
    calls = patterns()
    return {engine.name: {text: judge(engine, call) for text, call in calls.items()} for engine in (OURS, *peers)}


def as_text(table):
    """Totals, and every call that some engine does not get right."""
    count = len(next(iter(table.values())))
    lines = [f"{count} calls", f"{'engine':12}{'right':>8}{'wrong':>8}{'refused':>9}"]
    for name, verdicts in table.items():
        totals = Counter(verdicts.values())
        lines.append(f"{name:12}{totals['right']:>8}{totals['wrong']:>8}{totals['refused']:>9}")
    lines += ["", f"{'call':56}" + "".join(f"{name:>10}" for name in table)]
    for text in next(iter(table.values())):
        row = [verdicts[text] for verdicts in table.values()]
        if set(row) != {"right"}:
            lines.append(f"{text[:55]:56}" + "".join(f"{'' if verdict == 'right' else verdict:>10}" for verdict in row))
    return "\n".join(lines)


