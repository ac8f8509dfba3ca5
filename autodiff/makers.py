"""The five makers: each states what kind of function an operation is and derives the rest.

=============  =================================================  ====================================================
maker          for                                                the author writes
=============  =================================================  ====================================================
elementwise    pointwise functions                                the NumPy function; one local derivative an argument
linear         reshape, transpose, sum, index, concatenate, …     forward; adjoint; examples
bilinear       matmul, tensordot, einsum, …                       forward; two adjoints; examples
op             the rest                                           forward; a vjp an argument or one joint vjp; a jvp
flat           floor, sign, comparisons, argmax, …                forward: its derivative is zero by nature
=============  =================================================  ====================================================

A rule is written in this package's own operations, which on plain arrays are NumPy's functions. Its parameters stand
in the order ``d`` (or ``t``), ``y``, the arguments; the keyword settings that it declares are the ones that the
operation accepts. A linear map's adjoint is its transpose, without conjugation: see "Conventions" in docs/design.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from .apply import binary_path, unary_path
from .errors import KeywordError, message
from .graph import OPERATIONS
from .op import FUNCTIONS, REFUSED, UFUNCS, Op, register
from .rules import Rule, keywords
from .traced import is_compiled, surely

REAL = (-3.0, 3.0)
"""The interval to draw from where a function is smooth everywhere."""


class Example(NamedTuple):
    """One call that every law is run on: the shapes of the arrays, the settings, and how to draw each array.

    `draw` takes a numpy.random.Generator and a shape, and returns a float64 array at which the operation is smooth;
    None draws from the standard normal distribution. A tuple gives one for each argument.
    """

    shapes: tuple[Any, ...]
    params: dict[str, Any]
    draw: Any = None


def at(*shapes: Any, draw: Any = None, **params: Any) -> Example:
    """An example in one line: ``at((3, 4), axis=0)``.

    Parameters
    ----------
    *shapes : tuple of int
        The shape of each array argument.
    draw : callable or tuple of them, optional
        ``draw(rng, shape)`` returns the array that is used; a tuple gives one for each argument.
    **params
        The settings of the call.

    Returns
    -------
    Example

    Examples
    --------
    >>> from autodiff.testing import at
    >>> at((3, 4), axis=0)
    Example(shapes=((3, 4),), params={'axis': 0}, draw=None)
    """
    return Example(shapes, params, draw)


def _numpy_signature(functions: tuple[Any, ...], forward: Callable[..., Any]) -> tuple[str, ...]:
    """Names of NumPy's parameters in order, for settings that were passed by position."""
    for function in (*functions, forward):
        if isinstance(function, np.ufunc):
            continue
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            continue
        return tuple(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL and p.kind is not p.VAR_KEYWORD)
    return ()


def _numpy_defaults(functions: tuple[Any, ...]) -> dict[str, Any]:
    """NumPy's own defaults: a setting passed at its default is the same as one not passed."""
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            continue
        return {p.name: p.default for p in parameters if p.default is not p.empty}
    return {"out": None}


def _accepted(rules: Iterable[Rule | None]) -> frozenset[str]:
    """The settings that all the rules declare; a rule that forgot one of another's is a mistake in the declaration."""
    found: frozenset[str] | None = None
    for rule in rules:
        if rule is None:
            continue
        declared = keywords(rule)
        if declared is None:
            continue
        declared -= {"wanted"}
        if found is not None and declared != found:
            raise TypeError(f"rules of one operation declare different settings: {set(found)} and {set(declared)}")
        found = declared
    return found or frozenset()


def _enter(op: Op) -> Op:
    """Register an operation, and let NumPy's functions lead to it."""
    register(op)
    short = op.kind in ("elementwise", "bilinear") and not op.accepts and None not in op.vjps
    if short and isinstance(op.forward, np.ufunc):
        if op.arity == 1:
            op.call = unary_path(op)
        elif op.arity == 2:
            op.call = binary_path(op)[0]
    for function in op.numpy:
        if isinstance(function, np.ufunc):
            UFUNCS[function] = op.call or op
        else:
            FUNCTIONS[function] = op.from_numpy
    return op


def _name(forward: Callable[..., Any], name: str | None) -> str:
    return name or forward.__name__


def is_finite(x: Any) -> bool:
    """Whether no element is inf or nan; where a function is being compiled nobody knows, and it is not.

    The sum of squares takes one call of BLAS, which warns of no overflow; where it is finite every element is.
    """
    if type(x) is np.ndarray:
        line = x.ravel("K")
        return bool(abs(np.vdot(line, line)) < np.inf) or bool(np.isfinite(x).all())
    if is_compiled(x):
        return False  # without a question that the program would have to answer
    return surely(np.isfinite(x).all())


def where_reached(term: Any, reached: Callable[[], Any]) -> Any:
    """A term with a true zero where it is not finite and no δ but zeros reached it.

    What is finite stays: a zero times a number is a zero already, and still depends on its δ. `reached` is asked only
    where there is something that is not finite.
    """
    return term if is_finite(term) else np.where(np.isfinite(term) | reached(), term, np.zeros((), term.dtype))


def guard_pointwise(term: Any, rule: Rule, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero wherever d is zero, so that 0·inf and 0·nan of a branch that was not taken never count.

    Under an outer trace the slope may have an infinite derivative of its own, which a zero of d must not meet either.
    """
    if type(term) is np.ndarray or isinstance(term, np.generic) or term.dtype.kind == "c":
        return where_reached(term, lambda: d != 0)
    if is_finite(term):
        return term
    one = np.ones_like(d)
    still: Any = 0
    for part, unit in ((d.real, one), (d.imag, one * 1j)) if d.dtype.kind == "c" else ((d, one),):
        slope = rule(unit, y, *args, **params)  # of a real result: linear in the two parts of d, each by itself
        still = still + np.where(np.isfinite(slope), part * OPERATIONS["shield"](slope), np.zeros((), term.dtype))
    return np.where(d == 0, still, term)


def guard_whole(term: Any, rule: Rule, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """Zero where the whole of d is zero; all that can be said of an operation that mixes its elements."""
    return where_reached(term, lambda: np.any(d != 0))


def guard_bilinear(term: Any, rule: Rule, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """Drop from a bilinear sum the products of a zero in d with an inf or nan in the other operand.

    The sum is taken again over the finite part of the other operand; an element keeps its inf or nan only if one of
    its products has a non-zero d.
    """
    if is_finite(term):
        return term
    other = args[1 - k]
    bad = ~np.isfinite(other)
    clean, marks = list(args), list(args)
    clean[1 - k] = np.where(bad, np.zeros((), other.dtype), other)
    marks[1 - k] = bad.astype(float)
    touched = rule((d != 0).astype(float), y, *marks, **params) != 0
    return np.where(touched, term, rule(d, y, *clean, **params))


def elementwise(
    forward: Callable[..., Any],
    *local: Rule | None,
    name: str | None = None,
    smooth: Any = (REAL,),
    numpy: tuple[Any, ...] | None = None,
    jvps: tuple[Rule | None, ...] | None = None,
    formulas: tuple[str, ...] = (),
    edges: tuple[Any, ...] = (),
    masks: bool = False,
    bounded: bool = False,
    view: bool = False,
    examples: tuple[Example, ...] = (),
    note: str = "",
) -> Op:
    """A pointwise function of broadcast arguments.

    Parameters
    ----------
    forward : callable
        A NumPy ufunc, or a function of arrays.
    *local : callable
        For each argument, ``(d, y, *args) -> d · ∂y/∂arg``. Being linear and pointwise in d, the same rule carries
        tangents forward; broadcasting is undone by the sweep, once, for every operation.
    smooth : tuple of (low, high)
        For each argument the interval in which the function is smooth; the laws draw from it. Fewer than the
        arguments: the last one holds for the rest.
    jvps : tuple of callable, optional
        Forward rules, where the function is not holomorphic and the two differ (abs, real, conj …).
    edges : tuple of (arguments, derivatives)
        What the derivative is at corners and ties, by convention: executed as tests, printed in the table.
    masks : bool
        The rule makes exact zeros for a branch that was not taken.
    bounded : bool
        The local derivatives are constant or read no value, so no 0·inf can arise and no guard is needed.
    examples : tuple of Example
        Only where there are settings to give; without them the laws draw shapes of their own.
    """
    arity = len(local)
    smooth = tuple(smooth) if isinstance(smooth[0], tuple) or smooth[0] is None else (smooth,)
    smooth = smooth + (smooth[-1],) * (arity - len(smooth))
    functions = numpy if numpy is not None else ((forward,) if isinstance(forward, np.ufunc) else ())
    made = Op(
        _name(forward, name), "elementwise", forward,
        arity=arity, vjps=local, jvps=jvps if jvps is not None else local, accepts=_accepted(local),
        signature=_numpy_signature(functions, forward), defaults=_numpy_defaults(functions),
        masks=masks, guard=None if bounded else guard_pointwise, view=view,
        formulas=formulas, smooth=smooth, edges=tuple(edges), examples=examples, numpy=functions, note=note,
    )  # fmt: skip
    return _enter(made)


def linear(
    forward: Callable[..., Any],
    adjoint: Rule,
    *,
    examples: tuple[Example, ...],
    name: str | None = None,
    numpy: tuple[Any, ...] = (),
    arity: int | None = 1,
    formulas: tuple[str, ...] = (),
    view: bool = False,
    masks: bool = False,
    reading: str | None = None,
    signature: tuple[str, ...] | None = None,
    note: str = "",
) -> Op:
    """A linear map of its arguments taken together; its forward rule is itself.

    `adjoint` is ``(d, y, x, **settings)`` and returns the transpose applied to d. With several arguments
    (``arity=None``) it is ``(d, y, *xs, **settings)`` and returns a tuple.
    """
    many = arity != 1
    made = Op(
        _name(forward, name), "linear", forward,
        arity=arity, vjps=() if many else (adjoint,), joint=adjoint if many else None, accepts=_accepted((adjoint,)),
        signature=signature if signature is not None else _numpy_signature(numpy, forward),
        defaults=_numpy_defaults(numpy), view=view, masks=masks, reading=reading,
        formulas=formulas, examples=examples, numpy=numpy, note=note,
    )  # fmt: skip
    return _enter(made)


def bilinear(
    forward: Callable[..., Any],
    left: Rule,
    right: Rule,
    *,
    examples: tuple[Example, ...],
    name: str | None = None,
    numpy: tuple[Any, ...] = (),
    formulas: tuple[str, ...] = (),
    signature: tuple[str, ...] | None = None,
    note: str = "",
) -> Op:
    """A function that is linear in each of its two arguments; its forward rule is the product rule on itself."""
    made = Op(
        _name(forward, name), "bilinear", forward,
        arity=2, vjps=(left, right), accepts=_accepted((left, right)),
        signature=signature if signature is not None else _numpy_signature(numpy, forward),
        defaults=_numpy_defaults(numpy), guard=guard_bilinear,
        formulas=formulas, examples=examples, numpy=numpy, note=note,
    )  # fmt: skip
    return _enter(made)


def op(
    forward: Callable[..., Any],
    *vjps: Rule | None,
    joint: Rule | None = None,
    jvps: tuple[Rule | None, ...] | None = None,
    examples: tuple[Example, ...],
    name: str | None = None,
    numpy: tuple[Any, ...] = (),
    arity: int | None = None,
    results: bool = False,
    masks: bool = False,
    guard: Callable[..., Any] | None = guard_whole,
    reading: str | None = None,
    formulas: tuple[str, ...] = (),
    signature: tuple[str, ...] | None = None,
    view: bool = False,
    note: str = "",
) -> Op:
    """The general case: a vjp for each argument, or one joint vjp where the arguments share costly work.

    A joint vjp is ``(d, y, *args, **settings)`` and returns a tuple; where it declares a keyword ``wanted`` it is told
    which arguments are wanted (a tuple of bool) and may return None for the others. Where no jvp is given, forward mode
    transposes the vjp. With ``results=True`` the forward returns a tuple, and d is a tuple with None for each result
    that no one used.
    """
    if joint is None and arity is None:
        arity = len(vjps)
    made = Op(
        _name(forward, name), "op", forward,
        arity=arity, vjps=vjps, joint=joint, jvps=jvps, accepts=_accepted((*vjps, joint, *(jvps or ()))),
        signature=signature if signature is not None else _numpy_signature(numpy, forward),
        defaults=_numpy_defaults(numpy), results=results, masks=masks, guard=guard, reading=reading, view=view,
        formulas=formulas, examples=examples, numpy=numpy, note=note,
    )  # fmt: skip
    return _enter(made)


def flat(
    forward: Callable[..., Any],
    *,
    name: str | None = None,
    numpy: tuple[Any, ...] | None = None,
    arity: int = 1,
    accepts: tuple[str, ...] = (),
    examples: tuple[Example, ...] = (),
    signature: tuple[str, ...] | None = None,
    note: str = "",
) -> Op:
    """A function whose derivative is zero by nature, said once: steps, comparisons, positions, tests."""
    functions = numpy if numpy is not None else ((forward,) if isinstance(forward, np.ufunc) else ())
    made = Op(
        _name(forward, name), "flat", forward,
        arity=arity, accepts=frozenset(accepts),
        signature=signature if signature is not None else _numpy_signature(functions, forward),
        defaults=_numpy_defaults(functions), examples=examples, numpy=functions, note=note,
    )  # fmt: skip
    return _enter(made)


def composite(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare that these NumPy functions are a composition of other operations, written out in the decorated function.

    It is called in NumPy's place when a tensor is among the arguments, so it must take NumPy's own signature.
    """

    def enter(composition: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            table = UFUNCS if isinstance(function, np.ufunc) else FUNCTIONS
            table[function] = composition
        return composition

    return enter


def refused(because: str, *names: str) -> None:
    """Declare that no derivative passes through these functions of NumPy, and why.

    They are given by name, several to a text, because a version of NumPy may lack one: "save fft.fftfreq".
    """
    for name in " ".join(names).split():
        found: Any = np
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not None:
            REFUSED[found] = because


def refuse(name: str, **settings: Any) -> None:
    """Raise KeywordError for each of these settings that was given: a composition says so what it does not cover.

    ``refuse("sum", out=out)`` stands first in the composition that takes NumPy's place for sum.
    """
    for key, value in settings.items():
        if value is not None:
            raise KeywordError(
                message(
                    f"{name}: the keyword {key!r} is not understood when derivatives are recorded",
                    "nodes never change, so nothing is written into an array that was made before"
                    if key == "out"
                    else "a keyword that was ignored would give a wrong gradient without a word",
                    "take the result: a = np." + name + "(…)" if key == "out" else f"leave {key} out",
                )
            )
