"""What an operation is: how to compute it, and how a δ or a tangent passes through it.

On plain arrays an operation is NumPy's function and nothing else. How a call is recorded is :mod:`autodiff.apply`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import FrameType
from typing import Any, ClassVar

import numpy as np

from .errors import GraphError, KeywordError, NoRuleError, RuleError, message, printable, user_line
from .faults import tell, written_at
from .graph import LITERAL, OPERATIONS
from .rules import NOTHING, SHAPE, VALUE, Plan, Rule, Slot, reads

DEBUG: ContextVar[Any] = ContextVar("autodiff_debug", default=None)
"""The session of `ad.debug()` that the running code stands in: None where it stands in none."""

NUMBERS = "biufc"
"""The kinds of dtype that may stand in a graph: bool, signed, unsigned, float, complex."""

KEPT, PLANS = 64, 1024
"""Of calls with at most so many arguments, so many plans are kept an operation."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""For each NumPy function that is not a ufunc: what to call in its place when a tensor is among its arguments."""

UFUNCS: dict[Any, Callable[..., Any]] = {}
"""The same for ufuncs called with positional arguments only."""

REFUSED: dict[Any, str] = {}
"""For each function of NumPy that no derivative passes through: why not."""


class Op:
    """One operation: how to compute it, and how a δ or a tangent passes through it.

    Made by the makers in :mod:`autodiff.makers`, never by hand. In every rule the parameters stand in the order
    ``d`` (the incoming δ, or ``t``, the incoming tangent), ``y`` (the result), the arguments, then keyword settings.

    Attributes
    ----------
    name : str
        As NumPy spells it.
    kind : str
        elementwise, linear, bilinear, op, flat; input and constant for the ends of a graph.
    forward : callable
        Arrays positional, settings keyword.
    vjps : tuple
        One rule an argument; None where there is no derivative with respect to it.
    joint : callable or None
        One rule for all arguments, returning a tuple, where they share costly work.
    jvps : tuple or None
        One forward rule an argument; where it is None forward mode transposes the vjp.
    accepts : frozenset of str
        Keyword settings that the rules understand; any other is refused when the call is recorded.
    results : bool
        Whether the result is a tuple.
    view : bool
        Whether the result may share memory with the first argument, as NumPy's does.
    masks : bool
        Whether its vjp makes exact zeros where a branch was not taken; upstream rules then never form 0·inf.
    inlined : bool
        Whether a function that is being compiled takes in what it computes, node by node, instead of the operation.
    guard : callable or None
        ``guard(term, rule, k, d, y, args, params)``: the same term with a true zero where d is zero.
    """

    __slots__ = (
        "accepts", "arity", "call", "defaults", "edges", "examples", "flat", "formulas", "forward", "guard", "home",
        "inlined", "joint", "joint_wanted", "jvps", "kind", "masks", "name", "note", "numpy", "plans", "primitive",
        "readings", "results", "signature", "smooth", "user", "view", "vjps",
    )  # fmt: skip

    apply_hook: ClassVar[Callable[..., Any]]
    """Filled by autodiff.apply when it is imported: rooms above an operation are reached through hooks, not imports."""

    def __init__(
        self,
        name: str,
        kind: str,
        forward: Callable[..., Any],
        *,
        arity: int | None,
        vjps: tuple[Rule | None, ...] = (),
        joint: Rule | None = None,
        jvps: tuple[Rule | None, ...] | None = None,
        accepts: frozenset[str] = frozenset(),
        signature: tuple[str, ...] = (),
        defaults: dict[str, Any] | None = None,
        results: bool = False,
        view: bool = False,
        masks: bool = False,
        guard: Callable[..., Any] | None = None,
        reading: str | None = None,
        formulas: tuple[str, ...] = (),
        examples: tuple[Any, ...] = (),
        smooth: tuple[Any, ...] = (),
        edges: tuple[Any, ...] = (),
        numpy: tuple[Any, ...] = (),
        note: str = "",
        user: bool = False,
        inlined: bool = False,
    ) -> None:
        self.name, self.kind, self.forward, self.arity = name, kind, forward, arity
        self.vjps, self.joint, self.jvps = vjps, joint, jvps
        self.accepts, self.signature, self.defaults = accepts, signature, defaults or {}
        self.results, self.view, self.masks, self.guard = results, view, masks, guard
        self.formulas, self.examples, self.smooth, self.edges = formulas, examples, smooth, edges
        self.numpy, self.note, self.user, self.inlined = numpy, note, user, inlined
        self.flat = kind == "flat"
        self.joint_wanted = joint is not None and "wanted" in inspect.signature(joint).parameters
        self.readings = self.readings_of(self.vjps if joint is None else (joint,), reading)
        self.plans: dict[Any, Plan] = {}
        self.call: Callable[..., Any] | None = None  # a shorter path than apply, where there is one
        self.home = ""  # the module that declared it, where it is registered
        self.primitive: Any = None  # of a user's own operation: what stands for it in the user's code

    def readings_of(self, rules: Iterable[Rule | None], reading: str | None = None) -> list[list[int]]:
        """For each rule: what it reads of the result, then of each argument."""
        if reading is not None:
            what = {"nothing": NOTHING, "shapes": SHAPE, "values": VALUE}[reading]
            return [[NOTHING, *[what] * (self.arity or 1)] for _ in rules]
        found = []
        for rule in rules:
            read = list(reads(rule).values())[1:] if rule is not None else []
            fill = VALUE if rule is not None else NOTHING
            found.append(read + [fill] * ((self.arity or 1) + 1 - len(read)))
        return found

    def plan(self, inputs: tuple[int, ...]) -> Plan:
        """What to keep of a call in which these arguments are nodes and the others literals."""
        pattern = 1
        for i in inputs:
            pattern += pattern + (i != LITERAL)
        plan = self.plans.get(pattern)
        if plan is None:
            active = [i != LITERAL for i in inputs]
            if self.joint is not None:
                rows = self.readings
            else:
                rows = [row for row, on in zip(self.readings, active, strict=False) if on]
            width = len(active) + 1
            spread = [row[:width] + [row[-1]] * (width - len(row)) for row in rows]
            needs = [max(column) for column in zip(*spread, strict=True)] or [NOTHING] * width
            plan = Plan(needs[0], tuple(needs[1:]), self._ruled(inputs))
            if len(inputs) <= KEPT:  # a join of very many comes in another number each time
                if len(self.plans) >= PLANS:
                    self.plans.clear()
                self.plans[pattern] = plan
        return plan

    def _ruled(self, inputs: tuple[int, ...]) -> bool:
        """Whether there is a rule for every argument that is a node."""
        if self.flat or self.joint is not None:
            return True
        return all(i == LITERAL or (k < len(self.vjps) and self.vjps[k] is not None) for k, i in enumerate(inputs))

    def __call__(self, *args: Any, **params: Any) -> Any:
        """On plain arrays the function itself; on tensors the same, recorded."""
        return Op.apply_hook(self, args, params) if self.call is None else self.call(*args, **params)

    def run(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute on plain arrays, for a recorded call.

        A user's function may neither write into what is saved nor keep a hold on what it returned.
        """
        if not self.user:
            return self.forward(*args, **params)
        session = DEBUG.get()
        given = tuple(map(_told, args)) if not session else tuple(getattr(x, "number", x) for x in args)
        try:
            y = session.forward(self, given, params) if session else self.forward(*given, **locked_in(params))
        except Exception as error:
            tell(error, f"in the function of {self.name}{written_at(self.forward)}, called at {user_line()}")
            raise
        if not self.results:
            return self._own(y)
        if not isinstance(y, (tuple, list)):
            kind = type(y).__name__
            raise self._wrong(f"a {kind}", "with results=True it returns a tuple of arrays", "return a tuple")
        return tuple(map(self._own, y))

    def _own(self, y: Any) -> Any:
        """What a user's function returned, as an array of numbers that nobody else has."""
        why, instead = "a node of a graph is a number or an array of numbers", "return an array"
        if isinstance(y, np.ndarray) and type(y) is not np.ndarray and not isinstance(y, np.memmap):
            raise self._wrong(f"a {type(y).__name__}", "it computes by rules of its own", "return np.asarray(y)")
        if isinstance(y, (tuple, list)):  # which stays one where nothing is traced, and would be an array here
            instead = "return np.stack(y), or declare @ad.primitive(results=True) where it has several results"
            raise self._wrong(f"a {type(y).__name__}", why, instead)
        array = np.array(y)
        if array.dtype.kind not in NUMBERS:
            raise self._wrong(f"a {type(y).__name__} of {array.dtype}", why, instead)
        return array[()]

    def _wrong(self, what: str, why: str, instead: str) -> RuleError:
        return RuleError(message(f"{self.name}: its function returned {what}", why, instead))

    def admit(self, inputs: tuple[int, ...], params: dict[str, Any]) -> None:
        """Refuse, when the call is recorded, what no rule covers."""
        for key in params:
            if key not in self.accepts:
                raise KeywordError(
                    message(
                        f"{self.name}: the keyword {key!r} is not understood by its derivative rule",
                        "a keyword that the rule ignored would give a wrong gradient without a word",
                        f"leave it out; {self.name} understands: {', '.join(sorted(self.accepts)) or 'no keywords'}",
                    )
                )
        if self._ruled(inputs):
            return
        k = next(k for k in range(len(inputs)) if not self._ruled(inputs[: k + 1]))
        raise NoRuleError(
            message(
                f"{self.name} has no derivative rule for its argument {k}",
                "none was declared",
                f"pass a plain array there (ad.stop_gradient(x)), or declare one: {self.name}.defvjp(...)",
            )
        )

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """NumPy's call, as written, to (arrays, settings): positional settings get their names, defaults go."""
        names = self.signature
        count = self.arity if self.arity is not None else len(args)
        params = dict(zip(names[count:], args[count:], strict=False))
        if len(args) > max(len(names), count):
            raise TypeError(f"{self.name}() takes at most {len(names)} arguments, {len(args)} were given")
        arrays = list(args[:count])
        if kwargs:
            kwargs = dict(kwargs)
            for name in names[len(arrays) : count]:
                if name in kwargs:
                    arrays.append(kwargs.pop(name))
            params.update(kwargs)
        if params and self.defaults:
            for key in list(params):
                if key in self.defaults and _is_default(params[key], self.defaults[key]):
                    del params[key]
        return tuple(arrays), params

    def from_numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Called as NumPy's function of the same name is called."""
        if len(args) != self.arity or kwargs:
            args, kwargs = self.bind(args, kwargs)
        return Op.apply_hook(self, args, kwargs)

    def formula(self, position: int) -> str:
        """The rule of one argument, as mathematics.

        Parameters
        ----------
        position : int
            Of the argument.

        Returns
        -------
        str

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.trace(lambda x: x * x)(3.0).nodes[1].op.formula(0)
        'δa = δy·b'
        """
        if self.flat:
            return "δ = 0 (flat)"
        if position < len(self.formulas):
            return self.formulas[position]
        return self.formulas[-1] if self.formulas else ""

    def __repr__(self) -> str:
        return f"<op {printable(self.name)} ({self.kind})>"

    def __reduce__(self) -> Any:
        if self.primitive is not None:
            return getattr, (self.primitive, "op")
        if OPERATIONS.get(self.name) is not self:
            raise GraphError(
                message(
                    f"the operation {self.name} is not registered and cannot be pickled",
                    "an operation is stored by its name, which brings back its rules; this one was made during a call",
                    "pickle the function instead, or the graph of the function without ad.checkpoint and ad.jit",
                )
            )
        return _registered, (self.name, self.home)

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: Any) -> Op:
        return self


def _registered(name: str, home: str) -> Op:
    """The operation of this name; where it is not known yet the module that declares it is loaded."""
    if name not in OPERATIONS:
        importlib.import_module(home)
    op: Op = OPERATIONS[name]
    return op


def _is_default(given: Any, default: Any) -> bool:
    if given is default:
        return True
    return isinstance(default, (bool, int, float, str)) and type(given) is type(default) and given == default


def register(op: Op) -> Op:
    """Enter an operation under its name; a second one of the same name is an error."""
    if op.name in OPERATIONS:
        raise ValueError(f"an operation named {op.name!r} is already registered")
    OPERATIONS[op.name] = op
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _DECLARERS:
        frame = frame.f_back
    op.home = "" if frame is None else str(frame.f_globals.get("__name__", ""))
    return op


def _unreachable(*args: Any, **params: Any) -> Any:
    raise AssertionError("an end of a graph is not computed")


_DECLARERS = frozenset((f"{__package__}.makers", f"{__package__}.primitives"))
"""The modules that register operations on behalf of another one."""

INPUT = register(Op("input", "input", _unreachable, arity=0))
CONSTANT = register(Op("constant", "constant", _unreachable, arity=1, vjps=(None,)))
ITEM = register(
    Op(
        "item",
        "linear",
        lambda x, *, index: x[index],
        arity=1,
        vjps=(lambda d, y, x, *, index: Slot(index, d),),
        accepts=frozenset(("index",)),
        formulas=("δx[index] = δy",),
    )
)


def locked(x: Any) -> Any:
    """The same array, read-only: a rule that wrote into what is saved would spoil every later reading of it."""
    if isinstance(x, tuple):
        return tuple(map(locked, x))
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
    return x


def locked_in(params: dict[str, Any]) -> dict[str, Any]:
    """The same settings with read-only arrays."""
    return {key: locked(x) for key, x in params.items()} if params else params


def _told(x: Any) -> Any:
    """An argument as a user's function gets it: read-only; a number of a program that is being compiled as that."""
    return locked(getattr(x, "number", x))
