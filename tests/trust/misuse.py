"""Random wrong calls, each a line of code, and the judge of what they give.

A case of NumPy's face is an expression and a mode. It is evaluated on plain arrays and, in that mode, on tensors: NumPy
itself says what it gives or which exception it raises. Cases of the package's own face are in misuse_face.
"""

import contextlib
import inspect
import io
import operator
import os
import re
import signal
import threading
import traceback
import warnings

import numpy as np
import optree

import autodiff as ad
from autodiff.errors import AutodiffError
from autodiff.graph import OPERATIONS

HOUSE = os.path.dirname(os.path.abspath(ad.__file__)) + os.sep
SECONDS = 10.0

# -- what the cases are made of ----------------------------------------------------------------------------------------


def arrays():
    """The arrays that a case can name: those whose derivatives are asked for, anew for each case."""
    return {
        "x": np.array([[0.5, -1.25, 2.0], [3.0, 0.25, -0.75]]),
        "v": np.array([0.5, 1.5, -2.0]),
        "m": np.array([[2.0, 0.5, 0.25], [0.5, 3.0, 0.125], [0.25, 0.125, 1.5]]),
        "s": np.float64(0.5),
        "z": np.array([1.0 + 2.0j, -0.5j, 0.25 + 0.0j]),
        "e": np.zeros(0),
        "t": np.arange(1.0, 13.0).reshape(2, 3, 2) / 4,
        "f": np.array([0.5, 1.5, -2.0], np.float32),
    }


ARRAYS = tuple(arrays())

class At:
    """What x.at is for a plain array."""

    def __init__(self, a, index=None):
        self.a, self.index = a, index

    def __getitem__(self, index):
        return At(self.a, index)

    def _with(self, write):
        y = np.array(self.a)
        write(y)
        return y[()]

    def set(self, v):
        return self._with(lambda y: y.__setitem__(self.index, v))

    def add(self, v):
        return self._with(lambda y: np.add.at(y, self.index, v))

    def multiply(self, v):
        return self._with(lambda y: np.multiply.at(y, self.index, v))

    def max(self, v):
        return self._with(lambda y: np.maximum.at(y, self.index, v))


def at(a):
    """x.at of a tensor, and the like of it for a plain array."""
    return a.at if isinstance(a, ad.Tensor) else At(a)


PLAIN = {"at": at, "operator": operator, "np": np, "ad": ad, "k": np.array([0, 2, 1]),
    "b": np.array([True, False, True]), "one": np.ones((4, 5))}

WRONG = (
    "None", "'text'", "object()", "{}", "{'a': 1}", "[]", "()", "99", "-99", "2**62", "-2**62", "-1", "0", "1", "2",
    "1.5", "True",
    "False", "1j", "np.nan", "np.inf", "(0, 0)", "(0, 5)", "(0, -1)", "(1.5, 0)", "[v, 'a']", "[v, v]", "(v, x)",
    "(i for i in range(3))", "float", "int", "np.float32", "lambda q: q", "lambda: 0", "'nonsense'", "'Z'", "'i4'",
    "'f4'", "complex",
    "slice(1)", "slice(None, None, 0)", "...", "np.array(['a', 'b', 'c'])", "np.array([None, 1, 2])", "one",
    "np.array([1.5])",
    "x", "v", "m", "s", "z", "e", "t", "f", "k", "b", "v > 0", "x > 0", "np.int64(1)", "np.ma.array([1.0, 2.0, 3.0])",
    "np.matrix([[1.0, 2.0, 3.0]])", "b'ab'", "np.datetime64('2020')", "range(3)", "{1, 2}", "[[1, 2], [3]]", "'ij'",
    "'C'", "'F'",
    "np.zeros(3, [('a', float)])", "np.zeros(3, object)", "np.float16(2)", "np.uint8(3)", "np.array(7)", "v[0]",
    "x[0]", "x.T", "[0, 1]",
    "(1, 2)", "(2, 3)", "(6,)", "(-1,)", "(3, -1, -1)", "'wrap'", "'reflect'", "'full'", "'valid'", "10**30", "-0.0",
    "print", "np", "NotImplemented",
    "np.zeros((0, 3))", "np.zeros((3, 0))", "memoryview(b'ab')", "type", "'float64'", "np.dtype('f8')", "(2, 0, 1)",
    "'i,j->ij'", "'ij,jk'",
)  # fmt: skip

GOOD = {
    "axis": ("0", "-1", "1", "None", "(0,)", "(0, 1)"), "axes": ("(0,)", "(1, 0)", "None", "1"),
    "keepdims": ("True", "False"),
    "dtype": ("None", "float", "np.float32", "'c16'"), "out": ("None",), "where": ("True", "v > 0", "b"),
    "shape": ("(2, 3)", "(3,)", "6"),
    "newshape": ("(3, 2)", "-1"), "reps": ("2", "(2, 1)"), "repeats": ("2", "k"), "indices": ("k", "0", "[1]"),
    "n": ("1", "2", "3"),
    "order": ("None", "'C'", "'F'"), "mode": ("'wrap'", "'clip'", "'same'"), "q": ("0.5", "[0.25, 0.5]"),
    "bins": ("3", "[0.0, 1.0, 2.0]"),
    "condition": ("b", "v > 0", "x > 0"), "k": ("0", "1", "-1"), "offset": ("0", "1"), "axis1": ("0",),
    "axis2": ("1",), "ddof": ("0", "1"),
    "decimals": ("0", "1"), "pad_width": ("1", "((0, 1), (1, 0))"), "sections": ("3",),
    "indices_or_sections": ("3", "1", "[1, 2]"),
    "source": ("0",), "destination": ("-1", "1"), "shift": ("1", "-1"),
    "subscripts": ("'ij->ji'", "'i,i->'", "'ij,kj->ik'"), "fill_value": ("0.0", "s"),
    "arrays": ("(v, v)", "[x, x]", "(s, s)"), "tup": ("(v, v)", "[x, x]"), "choices": ("[v, v]", "x"),
    "a_min": ("0.0", "None"),
    "func1d": ("np.sum", "lambda q: q * 2.0"), "func": ("np.sum",), "pyfunc": ("lambda q: q * 2.0",),
    "ord": ("None", "2", "'fro'", "1", "np.inf"), "UPLO": ("'L'",),
    "start": ("0.0", "s"), "stop": ("1.0", "s"), "num": ("3",), "method": ("'linear'", "'nearest'"),
    "xp": ("np.array([0.0, 1.0, 2.0])",), "fp": ("v",),
    "deg": ("1",), "condlist": ("[v > 0, v <= 0]",), "choicelist": ("[v, v * 2.0]",), "a_max": ("1.0",), "p": ("v",),
    "s": ("None", "(2, 2)"), "N": ("3",), "M": ("3",),
    "norm": ("None", "'ortho'"), "kth": ("1", "[0, 1]"), "side": ("'left'",), "mask": ("b",), "vals": ("v", "s"),
    "values": ("v", "s"), "obj": ("1", "[0]"), "edge_order": ("1", "2"),
    "dx": ("1.0", "s"), "varargs": ("1.0",), "correction": ("0",), "rcond": ("None", "1e-12"),
    "full_matrices": ("False", "True"), "compute_uv": ("True", "False"),
    "rowvar": ("True",), "bias": ("False",), "weights": ("None", "v"), "nan": ("0.0",), "period": ("None", "1.0"),
    "signature": ("None",), "otypes": ("None",), "args": ("v",),
    "array1": ("v",), "iterable": ("(s for _ in range(2))",), "buffer": ("v",), "object": ("v", "x"),
    "copy": ("None", "True"), "subok": ("False",), "ndmin": ("0",), "like": ("None",),
}  # fmt: skip
VALUES = ("x", "v", "m", "s", "z", "t", "f", "e", "x", "v", "m", "2.0", "k", "one", "[v, v]")

LEFT_OUT = {
    "save", "savez", "savez_compressed", "savetxt", "load", "loadtxt", "genfromtxt", "fromfile", "memmap",
    "DataSource", "test", "info", "get_include",
    "show_config", "show_runtime", "seterr", "seterrcall", "setbufsize", "set_printoptions", "printoptions",
    "errstate", "open_memmap", "from_dlpack",
    "fromregex", "getbufsize", "geterr", "geterrcall", "get_printoptions", "typename", "nditer", "nested_iters",
    "frompyfunc", "broadcast", "ndarray",
    "recarray", "record", "void", "flatiter", "ufunc", "dtype", "ndenumerate", "ndindex", "busdaycalendar", "matrix",
    "chararray", "asmatrix", "bmat", "mat",
    "set_numeric_ops", "lib", "finfo", "iinfo", "vectorize", "poly1d", "generic", "number", "inexact", "floating",
    "integer", "signedinteger", "unsignedinteger",
    "complexfloating", "flexible", "character", "isdtype", "deprecate", "who", "source", "lookfor", "safe_eval",
    "require", "asfarray", "LinAlgError", "fromiter",
}  # fmt: skip
"""Of files, of settings, of types; what has no array to differentiate."""


def _functions():
    found = {}
    for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft), ("np.emath", np.emath)):
        for name in sorted(dir(module)):
            thing = getattr(module, name)
            if name.startswith("_") or name in LEFT_OUT or not callable(thing) or isinstance(thing, type):
                continue
            found[f"{prefix}.{name}"] = thing
    return found


FUNCTIONS = _functions()
METHODS = [name for name in dir(np.ndarray) if not name.startswith("_") and name not in {"tofile", "dump", "ctypes",
    "data"}]
MODES = ("vjp", "vjp", "jvp", "trace", "jit", "vmap", "grad", "second", "checkpoint")


def parameters(function):
    """The names of a function's parameters, and how many of them it must have."""
    if isinstance(function, np.ufunc):
        return ["x"] * function.nin, function.nin, ["where", "dtype", "out", "casting", "axis", "order", "nonsense"]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ["x", "x"], 1, ["axis", "dtype", "nonsense"]
    first, need, keys = [], 0, ["nonsense"]
    for p in signature.parameters.values():
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            first.append(p.name)
            need += p.default is p.empty
            if p.default is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD:
                keys.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            first += [p.name, p.name]
            need += 1
        elif p.kind is p.KEYWORD_ONLY:
            keys.append(p.name)
    return first, need, keys


SIGNATURES = {name: parameters(function) for name, function in FUNCTIONS.items()}


SETTINGS = ("axis", "dtype", "out", "keepdims", "order", "where", "mode", "ddof", "initial", "nonsense")
BUILTINS = ("len", "abs", "list", "iter", "bool", "repr", "hash", "sum", "max", "float", "tuple", "sorted", "dir")
WRITES = ("set", "add", "multiply", "max", "nonsense")
UFUNCS = ("add", "multiply", "maximum", "subtract")
OF_UFUNCS = ("reduce", "accumulate", "outer", "at", "reduceat")


def value(rng, name, wrong):
    if rng.random() < wrong:
        return rng.choice(WRONG)
    return rng.choice(GOOD.get(name, VALUES))


def call(rng):
    """A call of one of NumPy's functions, with about one wrong argument."""
    name = rng.choice(list(FUNCTIONS))
    first, need, keys = SIGNATURES[name]
    wrong = rng.choice((0.0, 0.15, 0.35, 0.6))
    count = need + (rng.random() < 0.3) * rng.randrange(0, 2)
    if rng.random() < 0.05:
        count = rng.randrange(0, 5)
    given = [value(rng, first[min(i, len(first) - 1)] if first else "x", wrong) for i in range(count)]
    taken = set(first[:count])
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        key = rng.choice(keys)
        if key not in taken and (key != "nonsense" or rng.random() < 0.2):
            taken.add(key)
            given.append(f"{key}={value(rng, key, wrong + 0.2)}")
    return f"{name}({', '.join(given)})"


def method(rng):
    """A method or an attribute of a tensor."""
    name, thing = rng.choice(METHODS), rng.choice(ARRAYS)
    if not callable(getattr(np.ndarray, name)):
        return f"{thing}.{name}" if rng.random() < 0.6 else f"setattr({thing}, '{name}', {rng.choice(WRONG)})"
    given = [value(rng, rng.choice(list(GOOD)), 0.5) for _ in range(rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.4:
        given.append(f"{rng.choice(SETTINGS)}={rng.choice(WRONG)}")
    return f"{thing}.{name}({', '.join(given)})"


def operator_of(rng):
    """An operator, an index, a write, or a function of Python's."""
    a, w, w2 = rng.choice(ARRAYS), rng.choice(WRONG), rng.choice(WRONG)
    return rng.choice((
        f"{a} {rng.choice(('+', '-', '*', '/', '//', '%', '**', '@', '<', '==', '!=', '&', '|', '<<', '>='))} {w}",
        f"{w} {rng.choice(('+', '-', '*', '/', '//', '%', '**', '@', '<', '=='))} {a}",
        f"{a}[{w}]", f"{a}[{w}]", f"{a}[{w}, {w2}]", f"{a}[..., {w}]", f"(operator.setitem({a}, {w}, {w2}), {a})[1]",
        f"(operator.setitem({a}, 0, {w}), {a})[1]",
        f"operator.{rng.choice(('iadd', 'imul', 'isub', 'itruediv', 'ipow', 'imatmul', 'ifloordiv'))}({a}, {w})",
        f"{rng.choice(('divmod', 'pow'))}({a}, {w})", f"round({a}, {w})",
        f"{rng.choice(BUILTINS)}({a})",
        f"at({a})[{w}].{rng.choice(WRITES)}({w2})" if rng.random() < 0.3 else f"{w} in {a}",
        f"np.{rng.choice(UFUNCS)}.{rng.choice(OF_UFUNCS)}({a}, {w})",
        f"np.vectorize({rng.choice(('lambda q: q * 2.0', 'np.sum', w))})({a})", f"isinstance({a}, {w})",
        f"f'{{{a}:{rng.choice(('', '.3f', 'd', 'x', '>10'))}}}'",
    ))  # fmt: skip


def expression(rng):
    """One random expression on the arrays."""
    return rng.choice((call, call, call, call, method, operator_of))(rng)


# -- running them ------------------------------------------------------------------------------------------------------


class HangError(BaseException):
    """A case took too long."""


@contextlib.contextmanager
def limited(seconds=SECONDS):
    """Stop what takes longer than this, where the machine has alarms and this is the main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        raise HangError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def used(code):
    """The arrays that an expression names."""
    return [name for name in ARRAYS if re.search(rf"(?<![\w.'\"]){name}(?![\w'\"=(])", code)]


def outcome(act):
    """What an act gives: ("value", y) or ("error", e)."""
    try:
        with limited(), warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return "value", act()
    except (Exception, HangError) as error:
        return "error", error


def is_floating(a):
    """Whether a result is one that has a derivative."""
    return isinstance(a, (np.ndarray, np.generic, ad.Tensor)) and a.dtype.kind in "fc"


def traced(f, given, mode):
    """What f gives in a mode, without its tensors."""
    if mode == "vjp":
        y, pullback = ad.vjp(f, *given)
        delta(pullback, y, given)
        return y
    if mode == "jvp":
        return ad.jvp(f, given, tuple(np.ones_like(a)[()] for a in given))[0]
    if mode == "trace":
        kept = []

        def keeping(*given):
            kept.append(f(*given))
            return optree.tree_leaves(kept[0], namespace="autodiff")

        graph = ad.trace(keeping)(*given)
        values = [graph.values[graph.nodes[i].index] for i in graph.outputs]
        return optree.tree_unflatten(optree.tree_structure(kept[0], namespace="autodiff"), values)
    if mode == "jit":
        return ad.jit(f)(*given)
    if mode == "vmap":
        stacked = [np.stack([a, a]) for a in given]
        y = ad.vmap(f)(*stacked)
        return optree.tree_map(lambda a: np.asarray(a)[1][()], y, namespace="autodiff")
    kept = []

    def scalar(*given):
        y = f(*given)
        kept[:] = [ad.stop_gradient(y)]
        parts = [np.sum(np.real(a)) for a in optree.tree_leaves(y, namespace="autodiff") if is_floating(a)]
        return sum(parts, given[0].reshape(-1).sum().real * 0.0)

    if mode == "grad":
        ad.grad(scalar, argnums=tuple(range(len(given))))(*given)
    elif mode == "checkpoint":
        ad.grad(ad.checkpoint(scalar), argnums=tuple(range(len(given))))(*given)
        return kept[0]
    elif mode == "second":
        real = tuple(i for i, a in enumerate(given) if a.dtype.kind == "f")
        if real:
            def inner(*given):
                d = ad.grad(scalar, argnums=real)(*given)
                return sum(np.sum(part) for part in d)
            ad.grad(inner, argnums=real)(*given)
            return kept[0]
        ad.grad(scalar)(*given)
    return kept[0]


def delta(pullback, y, given):
    """δ of each argument has its shape and dtype."""
    leaves, tree = optree.tree_flatten(y, namespace="autodiff")
    if not all(map(is_floating, leaves)):
        return
    found = pullback(optree.tree_unflatten(tree, [np.ones_like(a) for a in leaves]))
    for d, a in zip(found, given, strict=True):
        assert np.shape(d) == np.shape(a), f"δ of shape {np.shape(d)} for {np.shape(a)}"
        assert d.dtype == a.dtype, f"δ of {d.dtype} for {a.dtype}"


def same(y, wanted, exact):
    """Whether two results are the same containers of the same numbers; what holds no numbers is not compared."""
    if isinstance(wanted, (tuple, list)):
        return isinstance(y, (tuple, list)) and len(y) == len(wanted) and all(same(a, b, exact) for a,
            b in zip(y, wanted, strict=True))
    if isinstance(wanted, dict):
        return isinstance(y, dict) and y.keys() == wanted.keys() and all(same(y[k], wanted[k], exact) for k in wanted)
    if not isinstance(wanted, (np.ndarray, np.generic, int, float, complex)):
        return True
    a, b = np.asarray(y), np.asarray(wanted)
    if b.dtype.kind not in "biufc":
        return True
    if a.shape != b.shape or (a.dtype != b.dtype and (exact or isinstance(wanted, (np.ndarray, np.generic)))):
        return False
    if exact:
        return a.tobytes() == b.tobytes() or (np.array_equal(a, b,
            equal_nan=True) and np.array_equal(np.signbit(a.real)[a == a], np.signbit(b.real)[a == a]))
    return np.allclose(a, b, rtol=1e-5 if b.dtype.itemsize <= 4 or b.dtype == np.complex64 else 1e-9, atol=1e-12,
        equal_nan=True)


NEVER = (AttributeError, KeyError, AssertionError, RecursionError, UnboundLocalError, NameError, StopIteration,
    SystemError, HangError)
"""What comes from inside; KeyError and AttributeError may be NumPy's own word for the same call."""


def frame_of(error):
    """The innermost frame of an error, as text, and whether the case itself is it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename.replace(HOUSE, '')}:{frame.lineno} {frame.name}", frame.filename == "case.py"


def judged(mode, code):
    """None where all is as it should be, else what is wrong with this case: (kind, what)."""
    names = used(code)
    if not names:
        return None
    try:
        f = eval(compile(f"lambda {', '.join(names)}: {code}", "case.py", "eval"), dict(PLAIN))
    except SyntaxError:
        return None
    before = arrays()
    given = tuple(before[name] for name in names)
    known = dict(OPERATIONS)
    kind, y = outcome(lambda: traced(f, given, mode))
    OPERATIONS.clear()
    OPERATIONS.update(known)
    for name, a in arrays().items():
        if name in names and not np.array_equal(a, before[name]) and not writes(f, names):
            return "WRITTEN", "the user's own array was written into"
    if kind == "error" and isinstance(y, AutodiffError):
        return None if all(part in str(y) for part in ("why:", "instead:")) else ("PARTS",
            f"a message without its parts: {y}")
    found = None
    for scalar in (lambda a: np.array(a)[()], np.array):  # a tensor without axes stands for a number and for an array
        plain = outcome(lambda scalar=scalar: f(*map(scalar, given)))
        if isinstance(plain[1], HangError):
            return None
        wrong = compared(mode, code, kind, y, *plain)
        if wrong is None:
            return None
        found = found or wrong
    return found


ACCIDENT = re.compile(
    r"object is not (iterable|subscriptable|callable)|values to unpack|has no len|has no attribute|'NoneType'|"
    r"index out of range$|"
    r"tuple index|unsupported operand|unhashable|bad operand|_NoValueType"
)  # fmt: skip
"""What a program says that fell over its own argument."""

STRICTER = re.compile(
    r"cannot be interpreted as an integer|Cannot cast array data|integer argument expected|index must be integer"
)  # fmt: skip
"""NumPy's words for what is no whole number and no mask, said in places where NumPy itself makes something of it."""

KNOWN = (
    (r"Cannot construct a dtype from an array",
    "a tensor where a dtype is meant stands for its own, as what has that attribute does"),
    (r"unsupported format string|Unknown format code",
    "a tensor whose value is not known prints what it is, however it is formatted"),
    (r"reshape\(\S*None|reshape\(.*shape=None", "NumPy takes None for no change, and says that it will not for long"),
    (r"\.fill\(", "NumPy's numbers have a fill that does nothing; a tensor without axes is refused as x[...] = v is"),
    (r"dtype=\S*complex|'complex'|complex128'\) to|ComplexWarning|np\.interp\(z",
    "NumPy warns that it discards imaginary parts; that is refused"),
    (r"Booleans unacceptable|\((True|False)", "True and False are 1 and 0, where NumPy takes them for no number"),
    (r"attribute '(dtype|ndim|shape)'", "NumPy itself falls over a list"),
    (r"outer\(.*matrix", "a matrix is an array"),
    (r"Cannot cast ufunc 'add' input 1", "np.add.at drops an imaginary part without a word; x.at[i].add refuses it"),
    (r"^(?!.*(value|jit)).*keepdims=None", "None for no"),
    (r"\.add\(", "x + 0.0 makes 0.0 of -0.0"),
    (r"polydiv|common_type", "polynomials are vectors of coefficients; a type is no number"),
    (r"isscalar", "a tensor is no scalar, see the limits"),
    (r"tensorsolve\(e|pow\(e, None|axes=\(i for",
    "of nothing there is nothing to solve; None is no number; a generator is read once"),
    (r"np\.dtype\('f8'\) ", "asked of the dtype, before the tensor"),
    (r"overwrite_input|subok", "nothing of a tensor is overwritten, and it has no subclasses"),
)  # fmt: skip
"""Where more is taken or refused than by NumPy: what NumPy says, or the case; and why."""


def writes(f, names):
    """Whether NumPy itself writes into what it is given."""
    given = arrays()
    outcome(lambda: f(*(given[name] for name in names)))
    return not all(np.array_equal(a, given[name]) for name, a in arrays().items())


def compared(mode, code, kind, y, kind_of_plain, plain):
    """What is wrong with an outcome beside that of NumPy on plain arrays."""
    said = f"gives {str(plain)[:80]!r} {getattr(plain, 'dtype', type(plain))}"
    if kind_of_plain == "error":
        said = f"{type(plain).__name__}: {str(plain)[:120]!r}"
    if any(re.search(known, f"{said} {code} {y if kind == 'error' else ''}") for known,
        _ in KNOWN) and not isinstance(y, NEVER):
        return None
    if kind == "error":
        place, at_the_call = frame_of(y)
        what = f"{type(y).__name__}: {str(y)[:150]!r} at {place}; NumPy {said}"
        alike = kind_of_plain == "error" and (isinstance(y, type(plain)) or isinstance(plain, type(y)))
        if alike and not isinstance(y, (AssertionError, RecursionError)) and type(y) is not Exception:
            return None
        if isinstance(y, NEVER):
            return "NEVER", what
        if kind_of_plain == "error":  # of two mistakes in one call another may be told first, but by name
            return ("TYPE",
                what) if ACCIDENT.search(str(y)) and "site-packages" not in place and not at_the_call else None
        stricter = isinstance(y, TypeError) and STRICTER.search(str(y))
        return None if stricter or (at_the_call and isinstance(y, TypeError)) else ("ACCIDENT", what)
    if kind_of_plain == "error":
        return "LENIENT", f"gives {str(y)[:80]!r}, NumPy {said}"
    if UNKNOWN.search(code):
        return None
    if not same(y, plain, mode not in ("jit", "vmap")):
        return "VALUE", f"gives {str(y)[:100]!r} {getattr(y, 'dtype', type(y))}, NumPy {said}"
    return None


UNKNOWN = re.compile(r"empty|^dir\(|strides|where=.*|hfft\(e")
"""What NumPy leaves to the memory: new arrays that are not filled, elements that are left out, the layout."""
