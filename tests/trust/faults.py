"""An exception in the k-th call of an operation or of a rule, for a chosen k, and what must be as it was afterwards."""

import gc
import sys

import numpy as np

from autodiff.graph import OPERATIONS
from autodiff.op import DEBUG
from autodiff.recorders import SCOPE, TRACING

SLOTS = ("forward", "joint", "guard")


class Calls:
    """Counts every call of an operation's function and of its rules; raises `error` in the one number `at`.

    A context: inside of it all registered operations, and the short paths that know a function by themselves, are
    wrapped. What was compiled before is wrapped with :meth:`program`.
    """

    def __init__(self):
        self.count, self.at, self.error, self.where = 0, None, None, None
        self._undo = []

    def arm(self, at, error):
        """Count anew, and raise this in that call; None counts alone."""
        self.count, self.at, self.error, self.where = 0, at, error, None

    def wrapped(self, function, where):
        def call(*args, **kwargs):
            self.count += 1
            if self.count == self.at:
                self.where = where
                raise self.error
            return function(*args, **kwargs)

        call.__wrapped__ = function  # signature and code are looked for behind it
        return call

    def _set(self, op, slot, value):
        self._undo.append((setattr, op, slot, getattr(op, slot)))
        setattr(op, slot, value)

    def _cell(self, cell, where):
        self._undo.append((setattr, cell, "cell_contents", cell.cell_contents))
        cell.cell_contents = self.wrapped(cell.cell_contents, where)

    def operation(self, op):
        """Wrap one operation, a user's own or one that is not registered."""
        for slot in SLOTS:
            if getattr(op, slot) is not None:
                self._set(op, slot, self.wrapped(getattr(op, slot), f"{op.name}.{slot}"))
        for slot in ("vjps", "jvps"):
            rules = getattr(op, slot)
            if rules:
                made = (rule and self.wrapped(rule, f"{op.name}.{slot}[{k}]") for k, rule in enumerate(rules))
                self._set(op, slot, tuple(made))
        for path in (op.call, getattr(op.call, "__wrapped__", None)):
            for name, cell in zip(path.__code__.co_freevars, path.__closure__ or (), strict=True) if path else ():
                if name in ("ufunc", "scalar"):
                    self._cell(cell, f"{op.name} (short path)")

    def program(self, run):
        """Wrap what a compiled program calls."""
        names = run.__globals__
        for name, value in list(names.items()):
            if callable(value) and not name.startswith("__") and name not in ("program", "errstate"):
                self._undo.append((names.__setitem__, name, value))
                names[name] = self.wrapped(value, f"program: {name}")

    def __enter__(self):
        for op in dict.fromkeys(OPERATIONS.values()):
            if op.kind not in ("input", "constant"):
                self.operation(op)
        return self

    def __exit__(self, *exc_info):
        for undo, *args in reversed(self._undo):
            undo(*args)


class Surroundings:
    """What stands around a call: context variables, NumPy's warnings, the arrays that it is given, who holds them."""

    def __init__(self, arrays, cyclic=False):
        self.arrays, self.cyclic = arrays, cyclic
        self.before = self.now()

    def again(self):
        """Note it anew, from where nothing but the caller's own names holds the arrays."""
        self.before = self.now()

    def now(self):
        held = [sys.getrefcount(x) for x in self.arrays]
        return {
            "scope": SCOPE.get(), "tracing": TRACING.get(), "debug": DEBUG.get(), "warnings": np.geterr(),
            "bytes": [x.tobytes() for x in self.arrays], "writeable": [x.flags.writeable for x in self.arrays],
            "held": held if not self.cyclic else None,
        }  # fmt: skip

    def check(self, where, cycles=0):
        """See that all is as it was, with no more objects in cycles than a call that succeeds leaves by itself."""
        now = self.now()
        changed = {key: (self.before[key], now[key]) for key in now if now[key] != self.before[key]}
        assert not changed, f"{where}: (before, now) {changed}"
        found = gc.collect()
        assert found <= cycles, f"{where}: {found} objects that only the garbage collector could free"


def bits(x):
    """A result as something that is equal where every bit is."""
    if isinstance(x, dict):
        return {key: bits(value) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return [bits(part) for part in x]
    if isinstance(x, str | bytes | None):
        return x
    array = np.asarray(x)
    return array.dtype.str, array.shape, array.tobytes()


def raised(call, error):
    """What a call raises, None where it returns. Afterwards no traceback holds what ran, that of `error` neither."""
    try:
        call()
    except BaseException as found:
        forget(found)
        return found
    finally:
        forget(error)
    return None


def forget(error):
    """Let go of everything that an exception came through, and of its notes."""
    error.__traceback__ = error.__context__ = None
    vars(error).pop("__notes__", None)
