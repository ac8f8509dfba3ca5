"""check_grads: the derivatives of one function at one point, doubted."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from ..call import Call, name_of
from ..errors import ArgumentError, CheckError, DtypeError, SettingError, callable_or_refused, message
from ..recorders import Trace
from .differences import Function, derivative, scale_of
from .laws import floating
from .probe import Arrays, derived, draw_like, norm, only, pairing, pull, push

BLAMED = 1024
"""How many elements of an argument are looked at, one by one, to say which is wrong."""


class _Level(NamedTuple):
    """One function whose first derivatives are checked: f itself, or a derivative of it."""

    f: Function
    order: int
    over: str

    def called(self, mode: str) -> str:
        return f"order {self.order}, {mode}" + (f" over {self.over}" if self.over else "")


class _Checker:
    """What does not change between the orders and the arguments of one call of check_grads."""

    def __init__(self, call: Call, places: Sequence[int], xs: Arrays, rtol: float | None, atol: float | None) -> None:
        self.call, self.places, self.xs = call, places, tuple(xs)
        eps = max(float(np.finfo(x.dtype).eps) for x in self.xs)
        # in float64 and better 1e-6, which differences reach; below, what rounding at order 2 leaves
        self.rtol = rtol if rtol is not None else 1e-6 if eps < 1e-15 else 8 * eps**0.5
        self.eps, self.atol = eps, atol
        self.wide = tuple(_at_least_double(x) for x in self.xs)
        self.count = 0

    def level(self, level: _Level, modes: Sequence[str], rng: np.random.Generator) -> None:
        """Every argument of one level, in each mode."""
        ws = tuple(draw_like(rng, y) for y in level.f(*self.xs))
        back = pull(level.f, self.xs, ws) if "reverse" in modes else ()
        for i, x in enumerate(self.xs):
            if not np.size(x):
                continue
            v = draw_like(rng, x)
            vs = only(i, v, self.xs)
            truth, allowed = self.truth(level, i, v)
            if "forward" in modes:
                ahead = push(level.f, self.xs, vs)
                self.count += 1
                off = [scale_of(np.subtract(a, b)) for a, b in zip(ahead, truth, strict=True)]
                if not all(o <= a for o, a in zip(off, allowed, strict=True)):
                    self.blame(level, "forward", i, ws)
            if "reverse" in modes:
                self.count += 1
                bound = sum(a * norm([w]) for a, w in zip(allowed, ws, strict=True))
                if not abs(pairing([back[i]], [v]) - pairing(ws, truth)) <= bound:
                    self.blame(level, "reverse", i, ws)
            if "forward" in modes and "reverse" in modes:
                self.count += 1
                # our two modes share every rounding of f itself, so they must be closer than any difference can tell
                bound = 2**16 * self.eps * (norm(ws) * norm(ahead) + norm([back[i]]) * norm([v]))
                if not abs(pairing([back[i]], [v]) - pairing(ws, ahead)) <= bound:
                    self.blame(level, "reverse", i, ws, against_forward=True)

    def truth(self, level: _Level, i: int, v: Any) -> tuple[Arrays, list[float]]:
        """The derivative along argument i by evaluation alone, and how far each result may be from it."""
        vs = only(i, v.astype(self.wide[i].dtype), self.wide)
        found = derivative(level.f, self.wide, vs)
        allowed = []
        for value, error in zip(found.values, found.errors, strict=True):
            floor = self.atol if self.atol is not None else self.rtol * 1e-6 * norm([v])
            limit = max(self.rtol, found.rtol) * scale_of(value) + floor
            if not scale_of(error) <= limit:
                raise CheckError(
                    message(
                        f"check_grads: {self.call.where(self.places[i])}: order {level.order} cannot be checked here",
                        f"{found.method} do not settle: they leave {scale_of(error):.1e}, and {limit:.1e} is allowed",
                        "choose a point where the function is smooth (no kink or tie within 1e-5), or a larger atol",
                    )
                )
            allowed.append(limit)
        return found.values, allowed

    def blame(self, level: _Level, mode: str, i: int, ws: Arrays, against_forward: bool = False) -> None:
        """Find the element of argument i that is most wrong, and raise the error that names it."""
        x = self.xs[i]
        worst: tuple[float, tuple[int, ...], Any, Any] = (-1.0, (), None, None)
        back = pull(level.f, self.xs, ws)
        for place in list(np.ndindex(*x.shape))[:BLAMED]:
            unit = np.zeros(x.shape, x.dtype)
            unit[place] = 1
            v = unit[()]
            ahead = push(level.f, self.xs, only(i, v, self.xs))
            got = pairing(ws, ahead) if mode == "forward" else pairing([back[i]], [v])
            want = pairing(ws, ahead if against_forward else self.truth(level, i, v)[0])
            off = abs(float(got) - float(want))
            off = np.inf if np.isnan(off) else off
            if off > worst[0]:
                worst = (off, place, got, want)
        _, place, got, want = worst
        index = f", index {list(place)}" if place else ""
        raise CheckError(
            message(
                f"check_grads: {self.call.where(self.places[i])}{index}: {level.called(mode)} mode is wrong\n"
                f"  got:     {float(got)!r}\n  wanted:  {float(want)!r}",
                "forward and reverse mode differ" if against_forward else "evaluating the function says otherwise",
                "autodiff.testing.check_op on each operation of yours finds the rule; with none of your own, report it",
            )
        )


def _at_least_double(x: Any) -> Any:
    return x.astype(np.promote_types(x.dtype, np.float64))


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("forward", "reverse"),
    rtol: float | None = None,
    atol: float | None = None,
) -> int:
    """Doubt the derivatives of a function at one point, in every mode and up to an order.

    Each derivative is held against one that is found by evaluating `f` alone: by the complex step where f is analytic,
    by extrapolated central differences elsewhere. Forward and reverse mode are held against each other more sharply.
    Of the second order each mode is checked over each.

    Parameters
    ----------
    f : callable
        A function of arrays or containers of arrays, returning arrays or containers of them.
    args : sequence
        Its arguments. Leaves that are not floating (integers, strings, None) are constants.
    order : int
        The highest order to check.
    modes : sequence of {"forward", "reverse"}
        Which modes to check.
    rtol, atol : float, optional
        How far off a derivative may be, relative to the largest one of its array, and absolutely. By default
        `rtol` is 1e-6 for float64 and wider and 8·√ε below, and `atol` a millionth of that.

    Returns
    -------
    int
        How many comparisons were made.

    Raises
    ------
    CheckError
        Where one fails: names the argument, the index in it, both numbers, the mode and the order. Also where f is not
        smooth enough at this point for anything to be said.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.testing import check_grads
    >>> check_grads(lambda p: np.tanh(p["w"] @ p["x"]), [{"w": np.ones((2, 3)), "x": np.arange(3.0)}])
    18

    A rule that is wrong is found and named:

    >>> @ad.primitive
    ... def cube(x):
    ...     return x**3
    >>> _ = cube.defvjp(lambda d, y, x: d * 2 * x**2)
    >>> check_grads(cube, [np.array([1.0, 2.0])])
    Traceback (most recent call last):
    ...
    autodiff.errors.CheckError: check_grads: argument 0 (x) of cube, index [1]: order 1, forward mode is wrong
    ...
    """
    modes = tuple(modes) if isinstance(modes, Iterable) else (modes,)
    known = all(isinstance(mode, str) and mode in ("forward", "reverse") for mode in modes)
    if not modes or not known or isinstance(order, bool) or not isinstance(order, int) or not 1 <= order <= 8:
        raise SettingError(
            message(f"check_grads: order={order!r}, modes={modes!r}",
                    "derivatives up to this order, from 1 to 8, are checked in each mode",
                    'order=1 or 2, modes=("forward", "reverse")')
        )  # fmt: skip
    callable_or_refused("ad.testing.check_grads", f)
    if not isinstance(args, Sequence):
        raise ArgumentError(
            message(f"check_grads: args is a {type(args).__name__}", "it holds the arguments, in a tuple or a list",
                    "check_grads(f, (x,))")
        )  # fmt: skip
    args = tuple(args)
    call = Call(f, None, args).run(Trace(), args, {}, lenient=True)
    arguments: Any = args
    leaves, tree = optree.tree_flatten(arguments, namespace="autodiff")
    places = [i for i, x in enumerate(leaves) if isinstance(x, (float, complex)) or _is_floating(x)]
    if not places:
        raise DtypeError(
            message(
                "check_grads: no argument is real or complex",
                "there is nothing to differentiate with respect to",
                "pass floats or arrays of floats",
            )
        )
    xs = tuple(np.array(leaves[i]) for i in places)

    def flat(*given: Any) -> tuple[Any, ...]:
        filled = list(leaves)
        for i, x in zip(places, given, strict=True):
            filled[i] = x.copy() if isinstance(x, np.ndarray) else x  # f may write into its arguments
        out = f(*optree.tree_unflatten(tree, filled))
        return floating(tuple(optree.tree_leaves(out, namespace="autodiff")))

    for name, given in (("rtol", rtol), ("atol", atol)):
        number = isinstance(given, (int, float, np.integer, np.floating)) and not isinstance(given, bool)
        if given is not None and not (number and 0 < given < np.inf):
            raise SettingError(
                message(f"check_grads: {name}={given!r}", "a tolerance is a positive, finite number", f"{name}=1e-6")
            )
    if not flat(*xs) or not any(np.size(x) for x in xs):
        raise CheckError(
            message(
                f"check_grads: nothing to check in {name_of(f)}",
                "it has no real or complex numbers among its results, or none among its arguments",
                "return numbers, and pass arrays that are not empty",
            )
        )
    rng = np.random.default_rng(zlib.crc32(b"check_grads"))
    checker = _Checker(call, places, xs, rtol, atol)
    levels = [_Level(flat, 1, "")]
    for n in range(1, order + 1):
        for level in levels:
            checker.level(level, modes, rng)
        if n < order:
            levels = [_over(level, mode, xs, rng) for level in levels for mode in modes]
    return checker.count


def _is_floating(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc"


def _over(level: _Level, mode: str, xs: Arrays, rng: np.random.Generator) -> _Level:
    """The derivative of one level, as the next: its arguments are those of f, its results δ or tangents."""
    along = tuple(draw_like(rng, a) for a in (level.f(*xs) if mode == "reverse" else xs))
    return _Level(derived(level.f, mode, along), level.order + 1, f"{mode} over {level.over}" if level.over else mode)
