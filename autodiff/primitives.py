"""A user's own operations: a function of arrays, and the rules that are declared for it afterwards."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from .apply import apply, is_bare
from .errors import ArgumentError, RuleError, callable_or_refused, message, printable
from .graph import OPERATIONS
from .made import stored
from .makers import guard_whole
from .op import Op, locked, locked_in
from .rules import NOTHING, SHAPE, Rule, keywords, stretches
from .traced import Traced


class Primitive:
    """A user's own operation: a function of arrays with the rules declared for it.

    Made by :func:`autodiff.primitive`. Calling it on arrays calls the function; calling it on tensors records one node.
    """

    def __init__(self, function: Callable[..., Any], results: bool) -> None:
        callable_or_refused("ad.primitive", function)
        called = getattr(function, "__name__", type(function).__name__)
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise ArgumentError(
                message(
                    f"primitive: {called} does not tell its arguments",
                    "each array argument needs a rule of its own, each setting a name",
                    "write a function with def that calls it",
                )
            ) from None
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            raise ArgumentError(
                message(
                    f"primitive: {called} takes *args or **kwargs",
                    "each array argument needs a rule of its own, each setting a name",
                    "name the arguments; gather several arrays in the function that calls it",
                )
            )
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.__wrapped__ = function
        self.__name__, self.__doc__ = called, function.__doc__
        self.__module__, self.__qualname__ = function.__module__, getattr(function, "__qualname__", called)
        self.op = Op(
            called, "op", function,
            arity=len(positional), vjps=(None,) * len(positional), results=results, guard=guard_whole, user=True,
            accepts=frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
            signature=tuple(p.name for p in parameters), formulas=tuple(f"vjp of {name}" for name in positional),
        )  # fmt: skip
        self.op.primitive = self
        self._vjps: tuple[Rule | None, ...] = ()
        OPERATIONS[_key(function)] = self.op

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """On plain arrays the function itself; on tensors the same, recorded as one node."""
        arrays, params = self.op.bind(args, kwargs)
        return apply(self.op, arrays, params)

    def defvjp(self, *rules: Rule | None) -> Primitive:
        """Declare the reverse rules, one for each array argument.

        Parameters
        ----------
        *rules : callable or None
            ``rule(d, y, *args, **settings)``, given the incoming δ, the result and the arguments, returns the δ of its
            argument, in that argument's shape. None says that there is no derivative with respect to it.

        Returns
        -------
        Primitive
            The same.

        Raises
        ------
        RuleError
            Where the number of rules is not the number of array arguments, or a rule has other settings.

        Examples
        --------
        >>> import autodiff as ad
        >>> @ad.primitive
        ... def scaled(x, *, by):
        ...     return by * x
        >>> _ = scaled.defvjp(lambda d, y, x, *, by: by * d)
        >>> ad.grad(lambda x: scaled(x, by=3.0))(1.0)
        np.float64(3.0)
        """
        self._declare(rules, "defvjp")
        known = [SHAPE if rule is not None else NOTHING for rule in rules]  # what is complex is known of all arguments
        readings = [  # of the rules as written, before they are wrapped
            [max(read, least) for read in row]
            for row, least in zip(self.op.readings_of(rules), known, strict=True)
        ]
        vjps = tuple(None if rule is None else _numeric(rule, self.op, k) for k, rule in enumerate(rules))
        self._vjps, self.op.vjps, self.op.readings, self.op.plans = rules, vjps, readings, {}
        return self

    def defjvp(self, *rules: Rule | None) -> Primitive:
        """Declare the forward rules, one for each array argument.

        Optional, beside :meth:`defvjp`: where they are absent forward mode transposes the reverse rules.

        Parameters
        ----------
        *rules : callable or None
            ``rule(t, y, *args, **settings)``, given the tangent of its argument, returns its part of the tangent of y.

        Returns
        -------
        Primitive
            The same.

        Raises
        ------
        RuleError
            As :meth:`defvjp`.

        Examples
        --------
        >>> import autodiff as ad
        >>> @ad.primitive
        ... def scaled(x, *, by):
        ...     return by * x
        >>> _ = scaled.defvjp(lambda d, y, x, *, by: by * d)
        >>> _ = scaled.defjvp(lambda t, y, x, *, by: by * t)
        >>> ad.jvp(lambda x: scaled(x, by=3.0), (1.0,), (2.0,))
        (np.float64(3.0), np.float64(6.0))
        """
        self._declare(rules, "defjvp")
        self.op.jvps = tuple(None if rule is None else _tangent(rule, self.op, k) for k, rule in enumerate(rules))
        return self

    def _declare(self, rules: tuple[Rule | None, ...], what: str) -> None:
        if len(rules) != self.op.arity:
            raise RuleError(
                message(
                    f"{self.__name__}.{what} was given {len(rules)} rules",
                    f"{self.__name__} has {self.op.arity} array arguments, and each needs one",
                    "give one rule an argument, None where there is no derivative",
                )
            )
        for rule in rules:
            if rule is not None and not callable(rule):
                raise RuleError(
                    message(
                        f"{self.__name__}.{what} was given a {type(rule).__name__} for a rule",
                        "a rule is called with the δ (or the tangent), the result and the arguments",
                        "a function, or None where there is no derivative",
                    )
                )
            try:
                declared = keywords(rule) if rule is not None else None
            except (TypeError, ValueError):
                raise RuleError(
                    message(
                        f"{self.__name__}.{what}: {getattr(rule, '__name__', rule)} does not tell its arguments",
                        "what a rule reads is what its operation keeps",
                        "write a function with def that calls it",
                    )
                ) from None
            if declared is not None and declared != self.op.accepts:
                raise RuleError(
                    message(
                        f"{self.__name__}.{what}: a rule declares the settings {sorted(declared)}",
                        f"{self.__name__} has the settings {sorted(self.op.accepts)}; one that a rule ignored would "
                        "give a wrong gradient",
                        "declare the same keyword-only settings, or take **settings",
                    )
                )

    def __repr__(self) -> str:
        return f"<primitive {printable(self.__name__)}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return stored(self, _again, (self.__wrapped__, self.op.results, self._vjps, self.op.jvps or ()))


def _key(function: Callable[..., Any]) -> str:
    """The name of a user's operation in the registry."""
    called = getattr(function, "__name__", type(function).__name__)
    return f"{function.__module__}.{getattr(function, '__qualname__', called)}"


def _same_code(a: Any, b: Any) -> bool:
    """Whether two functions are one, as far as it shows: the same code, with nothing of their own around it."""
    if a is b:
        return True
    codes = [getattr(f, "__code__", None) for f in (a, b)]
    own = any(getattr(f, kind, None) for f in (a, b) for kind in ("__closure__", "__defaults__", "__kwdefaults__"))
    return codes[0] is not None and codes[0] == codes[1] and not own


def _again(
    function: Callable[..., Any], results: bool, vjps: tuple[Rule | None, ...], jvps: tuple[Rule | None, ...]
) -> Primitive:
    """The same from its parts, where it has no name to be found by; one that is registered already stays so."""
    known = OPERATIONS.get(_key(function))
    if known is not None and known.primitive is not None:
        there = known.primitive
        parts, others = (function, *vjps, *jvps), (there.__wrapped__, *there._vjps, *(known.jvps or ()))
        if known.results == results and len(parts) == len(others) and all(map(_same_code, parts, others)):
            return there  # type: ignore[no-any-return]
    made = Primitive(function, results)
    if vjps:
        made.defvjp(*vjps)
    if jvps:
        made.defjvp(*jvps)
    OPERATIONS[_key(function)] = known or made.op
    return made


def _numeric(rule: Rule, op: Op, k: int) -> Rule:
    """A user's rule as it is called: it can write into nothing that is saved, and returns an array or a NumPy scalar.

    Anything else is an error that names the operation.
    """
    who = f"{op.name}: its vjp for argument {k}"

    @functools.wraps(rule)
    def checked(d: Any, y: Any, *args: Any, **params: Any) -> Any:
        term = rule(locked(d), locked(y), *map(locked, args), **locked_in(params))
        return _own(term, who, "the δ of its argument", "that argument", (d, y, *args))

    return checked


def _tangent(rule: Rule, op: Op, k: int) -> Rule:
    """A user's forward rule whose result is a tangent of y, or an error that names the operation."""
    who = f"{op.name}: its jvp for argument {k}"

    @functools.wraps(rule)
    def checked(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        found = rule(locked(t), locked(y), *map(locked, args), **locked_in(params))
        if not op.results:
            return _fitting(_own(found, who, "a tangent of the result", "the result", (y, *args)), y, who)
        if not isinstance(found, (tuple, list)) or len(found) != len(y):
            given = f"{len(found)} tangents" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
            raise RuleError(
                message(
                    f"{who} returned {given}",
                    f"{op.name} has {len(y)} results, and each has a tangent",
                    "return a tuple, with zeros for a result that does not depend on that argument",
                )
            )
        return tuple(
            _fitting(_own(t, who, "a tangent of each result", "that result", (part, *args)), part, who)
            for t, part in zip(found, y, strict=True)
        )

    return checked


def _own(term: Any, who: str, what: str, like: str, around: tuple[Any, ...]) -> Any:
    """What a user's rule returned as an array of real or complex numbers that nobody else has, or the error for it."""
    if isinstance(term, (float, complex, int)) and not isinstance(term, np.generic):
        term = np.asarray(term)[()]
    array: Any = term
    said = ""
    if not isinstance(term, (np.ndarray, np.generic, Traced)):
        said = f"a {type(term).__name__}"
    elif isinstance(term, Traced) and term.recorder.ops is not term.recorder.graph.ops:
        said = "a tensor of a function that has already returned"
    elif not isinstance(term, Traced) and not is_bare(term):
        said = f"a {type(term).__name__}, which computes by rules of its own"
    elif array.dtype.kind not in "fc":
        said = f"a {type(term).__name__} of {array.dtype}"
    elif array.dtype.kind == "c" and not any(_is_complex(x) for x in around):
        said = f"complex numbers ({array.dtype}), where all arguments and results are real"
    if said:
        raise RuleError(
            message(
                f"{who} returned {said}", f"a rule returns {what}",
                f"return an array with the shape and dtype of {like}",
            )
        )  # fmt: skip
    return np.array(term) if isinstance(term, np.ndarray) else term  # the rule may reuse its buffer


def _is_complex(x: Any) -> bool:
    """Whether it is, or may have been, where nothing is known of it."""
    if isinstance(x, tuple):
        return any(map(_is_complex, x))
    return x is None or bool(np.iscomplexobj(x))


def _fitting(t: Any, y: Any, who: str) -> Any:
    """A tangent that can be stretched to the shape of its value, without losing an imaginary part."""
    if np.shape(t) != np.shape(y) and not stretches(np.shape(t), np.shape(y)):
        said = f"shape {np.shape(t)}"
    elif t.dtype.kind == "c" and y.dtype.kind != "c":
        said = f"complex numbers ({t.dtype})"
    else:
        return t
    raise RuleError(
        message(
            f"{who} returned {said}",
            f"the result is {y.dtype}{list(np.shape(y))}, and so must its tangent be",
            "mend the rule; autodiff.testing.check_op shows which example it fails on",
        )
    )


@overload
def primitive(function: Callable[..., Any], *, results: bool = False) -> Primitive: ...
@overload
def primitive(function: None = None, *, results: bool = False) -> Callable[[Callable[..., Any]], Primitive]: ...


def primitive(function: Callable[..., Any] | None = None, *, results: bool = False) -> Any:
    """Make a function of arrays one operation of the graph, with rules of your own.

    Parameters
    ----------
    function : callable
        Its positional arguments are arrays, its keyword-only arguments settings. It sees plain arrays, never tensors.
    results : bool
        The function returns a tuple of arrays; ``d`` is then a tuple, with None for each result that no one used.

    Returns
    -------
    Primitive

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> @ad.primitive
    ... def softplus(x):
    ...     return np.logaddexp(x, 0)
    >>> _ = softplus.defvjp(lambda d, y, x: d * (1 - np.exp(-y)))
    >>> ad.grad(softplus)(0.0)
    np.float64(0.5)
    """
    if function is None:
        return lambda f: Primitive(f, results)
    return Primitive(function, results)
