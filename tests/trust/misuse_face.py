"""Random wrong calls of the package's own face: a statement each, and the judge of what it gives."""

import inspect
import re
import tempfile
import traceback
import warnings

import numpy as np

import autodiff as ad
from autodiff.errors import AutodiffError
from autodiff.graph import OPERATIONS
from autodiff.scipy import linalg, special, stats

from .misuse import ACCIDENT, GOOD, HOUSE, NEVER, WRONG, arrays, outcome

# -- what the statements name ------------------------------------------------------------------------------------------


class Odd:
    """An object that answers nothing."""

    def __repr__(self):
        return "Odd()"


class Holder:
    """A container that the package does not know."""

    def __init__(self):
        self.w = np.ones(2)


def raising(x):
    """A function that fails in its own way."""
    raise ZeroDivisionError("the function's own")


KEPT = []


def keeping(x):
    """A function that lets its tensor escape."""
    KEPT[:] = [x]
    return x


def leaked():
    """A tensor of a function that has returned."""
    ad.vjp(keeping, 1.0)
    return KEPT.pop()


def names():
    """What a statement can name, anew for each."""
    x = arrays()
    flow = ad.flow(lambda a, b: ad.name(np.tanh(a @ b), "hidden").sum() + a.sum())(x["m"], x["v"])
    graph = ad.trace(lambda a: np.sin(a) * a)(x["v"])
    y, pullback = ad.vjp(lambda a: {"y": a * 2.0, "z": (a[0], a.sum())}, x["v"])
    return {
        "np": np, "ad": ad, "special": special, "stats": stats, "linalg": linalg, "Odd": Odd, "Holder": Holder,
        "raising": raising, "leaked": leaked, **x,
        "k": np.array([0, 2, 1]), "b": np.array([True, False, True]), "one": np.ones((4, 5)), "flow": flow,
        "graph": graph,
        "pullback": pullback, "y": y, "rng": np.random.default_rng(0), "room": tempfile.mkdtemp,
        "watched": ad.watch(lambda a: np.sum(a * a), every=1), "jitted": ad.jit(lambda a: a * 2.0),
        "primitive": ad.primitive(lambda a, b: a * b),
    }


FUNCTIONS = (
    "lambda a: a", "lambda a: np.sum(a)", "lambda a: np.sum(a * a)", "lambda a, b: np.sum(a * b)",
    "lambda a: a * 2.0", "lambda a: None", "lambda a: 'text'",
    "lambda a: {'a': a, 'b': [a]}", "lambda a: (a, a)", "lambda: 0.0", "lambda a: a[0]",
    "lambda a: [np.sum(a), None]", "lambda a: object()", "raising",
    "lambda a: leaked()", "lambda a: np.sum(a) * leaked()", "lambda a: lambda: a", "lambda a: (p for p in a)",
    "lambda a: a.nonsense", "lambda a: float(a)",
    "lambda a: Odd()", "lambda *a: np.sum(a[0])", "lambda a, **more: np.sum(a)",
    "lambda a: np.sum(a) if np.sum(a) > 0 else 0.0", "lambda a: 1", "lambda a: True",
    "lambda a: np.array(['a'])", "lambda a: 1j * np.sum(a)", "lambda a: np.zeros(0)", "lambda a: {1: a, 'x': a}",
    "lambda a: {a}", "lambda a: [a] * 3", "lambda a: dict(w=a)['b']",
    "lambda a: np.sum(a, axis=7)", "lambda a: ad.grad(lambda c: c * a)(1.0)", "lambda a: ad.stop_gradient(a)",
    "np.sin", "np.linalg.svd", "ad.nn.relu", "print", "Odd()", "None",
    "3", "'f'", "int", "[]", "np.ones(3)", "ad", "ad.grad", "Holder", "type", "max", "len", "sum", "abs", "np.sum",
    "np.add", "lambda a: {'w': np.sum(a), 'b': {}}", "lambda a: a.shape",
    "lambda a: a.dtype", "lambda a: range(3)", "lambda a: NotImplemented", "lambda a: ...",
    "lambda a: np.ma.array([1.0])", "lambda a: (np.sum(a), 'more')", "lambda a: (np.sum(a), a)",
)  # fmt: skip
ODD = (
    *WRONG, "Odd()", "Odd", "Holder()", "leaked()", "{'w': v, 'b': 1.0}", "[v, {'a': (v, 1.0)}]", "(v, v)", "flow",
    "graph", "raising", "pullback", "np.array(1.0)", "1.0", "2.0", "0.5",
    "'hidden'", "'x'", "'a'", "('a', 'hidden')", "-0.5", "float('nan')", "{'a': 1, 2: 3}", "[None]", "(None,)",
    "(0, None)", "[0, 1]", "'mean'", "'sum'", "'none'", "iter([1])",
    "np.ones((1, 3, 4, 4))", "np.ones((2, 3, 3, 3))", "[[1.0, 2.0]]", "(3, 3)", "rng", "jitted", "watched",
    "np.random", "frozenset()", "bytearray(3)", "'0'", "\"'quoted'\"", "'\\u0394'",
)  # fmt: skip
KEYS = {
    "argnums": ("0", "1", "(0, 1)", "[0]"), "has_aux": ("True", "False"),
    "mode": ("'auto'", "'forward'", "'reverse'"), "in_axes": ("0", "None", "(0, None)"), "out_axes": ("0", "None"),
    "static_argnums": ("0", "1", "(1,)"), "every": ("1", "2"), "depth": ("1", "None"),
    "reduction": ("'mean'", "'none'"), "axis": ("0", "-1", "1"), "rate": ("0.5",), "heads": ("1",),
    "labels": ("k",), "num_classes": ("3",), "kernel": ("2", "(2, 2)"), "stride": ("1",), "padding": ("0", "1"),
    "key": ("'hidden'", "0"), "keep": ("0.9",), "factor": ("0.5",),
    "source": ("0",), "consumer": ("2",), "f": FUNCTIONS, "x": ("v", "x", "m"), "path": ("'p.nonsense'",),
    "order": ("1",), "eps": ("1e-5",), "training": ("True",), "groups": ("1",),
    "num_groups": ("1",), "rng": ("rng", "None"), "seed": ("None", "1.0"), "ord": ("2",), "args": ("(v,)", "[1.0]"),
    "indices": ("k",), "table": ("x",), "count": ("2",), "name": ("'n'",),
}  # fmt: skip
TRANSFORMS = ("grad", "value_and_grad", "jacobian", "hessian", "elementwise_grad", "trace", "flow", "checkpoint",
    "jit", "vmap", "watch")
FILES = {"save", "load", "draw", "explore", "dump", "dumps", "plot_depth", "plot_path_spectrum", "plot_shares",
    "restored", "stored", "by_path", "plot", "picture"}


CHECKS = ("modes", "rtol", "atol", "order", "nonsense")


def odd(rng, key="", wrong=0.6):
    """A wrong value, or one that may be right for a parameter of this name."""
    return rng.choice(ODD) if rng.random() < wrong else rng.choice(KEYS.get(key) or GOOD.get(key) or ("v", "x", "m",
        "z", "1.0", "k", "f"))


def function(rng):
    return rng.choice(FUNCTIONS)


def call_of(rng, spelled, thing, wrong=0.5):
    """A call by a function's own parameters, some wrong, missing or too many."""
    try:
        parameters = list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    given = []
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            given += [odd(rng, p.name, wrong) for _ in range(rng.randrange(3))]
        elif p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty or rng.random() < 0.3:
                given.append(f"{p.name}={odd(rng, p.name, wrong)}")
        elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            if p.default is not p.empty and rng.random() < 0.6:
                if rng.random() < 0.5:
                    break
                if p.kind is p.POSITIONAL_OR_KEYWORD:
                    given.append(f"{p.name}={odd(rng, p.name, wrong)}")
                continue
            if any("=" in re.sub(r"\(.*?\)|lambda[^:]*:|'[^']*'|==|!=|<=|>=|\{.*?\}", "", one) for one in given):
                given.append(f"{p.name}={odd(rng, p.name, wrong)}")
            else:
                given.append(odd(rng, p.name, wrong))
    if rng.random() < 0.06:
        given = given[:-1]
    if rng.random() < 0.05:
        given.append(f"nonsense={odd(rng)}")
    return f"{spelled}({', '.join(given)})"


def transformed(rng):
    """A transform of an odd function, with odd settings, called with odd arguments."""
    name = rng.choice(TRANSFORMS)
    settings = {
        "grad": ("argnums", "has_aux"), "value_and_grad": ("argnums", "has_aux"), "jacobian": ("argnums", "mode"),
        "hessian": ("argnums",), "elementwise_grad": ("argnums",),
        "trace": ("argnums",), "flow": ("argnums", "seed"), "checkpoint": (), "jit": ("static_argnums", "passes"),
        "vmap": ("in_axes", "out_axes"), "watch": ("every", "argnums", "depth"),
    }[name]  # fmt: skip
    given = [function(rng)]
    for key in settings:
        if rng.random() < 0.35:
            given.append(f"{key}={odd(rng, key)}")
    if rng.random() < 0.03:
        given.append(f"nonsense={odd(rng)}")
    wrong = rng.choice((0.1, 0.4, 0.8))
    args = [odd(rng, "x", wrong) for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 2, 3)))]
    if rng.random() < 0.08:
        args.append(f"a={odd(rng, 'x', wrong)}")
    return f"ad.{name}({', '.join(given)})({', '.join(args)})"


def sided(rng):
    """vjp, jvp and hvp, whose seeds and tangents may be anything."""
    name = rng.choice(("vjp", "jvp", "hvp", "pullback", "vjp"))
    wrong = rng.choice((0.1, 0.4, 0.8))
    if name == "pullback":
        seed = rng.choice(("{'y': v, 'z': (1.0, 1.0)}", f"{{'y': {odd(rng)}, 'z': (1.0, {odd(rng)})}}", "{'y': v}",
            odd(rng)))
        return f"pullback({seed})"
    if name == "vjp":
        given = ", ".join(odd(rng, "x", wrong) for _ in range(rng.choice((0, 1, 1, 2))))
        return f"ad.vjp({function(rng)}, {given})[1]({odd(rng, 'x', wrong)})"
    shape = rng.choice(("({},), ({},)", "({},), ({},)", "[{}], [{}]", "{}, {}", "({},), {}", "({}, v), ({},)",
        "(), ()"))
    return f"ad.{name}({function(rng)}, {shape.format(odd(rng, 'x', wrong), odd(rng, 'x', wrong))})"


def layer(rng):
    """A function of autodiff.nn, or of its twin of SciPy, with and without a derivative."""
    where, names = rng.choice((("ad.nn", ad.nn.__all__), ("ad.nn", ad.nn.__all__), ("special", special.__all__),
        ("linalg", LINALG), ("ad.numpy", ad.numpy.__all__)))
    name = rng.choice(names)
    code = call_of(rng, f"{where}.{name}",
        getattr({"ad.nn": ad.nn, "special": special, "linalg": linalg, "ad.numpy": ad.numpy}[where], name),
        rng.choice((0.2, 0.4, 0.7)))
    how = rng.choice(("{}", "ad.vjp(lambda v: {}, v)", "ad.jvp(lambda x: {}, (x,), (x,))", "ad.jit(lambda v: {})(v)",
        "ad.vmap(lambda m: {})(m)", "ad.trace(lambda x: {})(x)"))
    return how.format(code)


LINALG = [name for name in dir(linalg) if not name.startswith("_") and inspect.isfunction(getattr(linalg,
    name)) and getattr(linalg, name).__module__.startswith("autodiff.scipy")]
DISTRIBUTIONS = [name for name in dir(stats) if not name.startswith("_") and hasattr(getattr(stats, name), "logpdf")]


def distribution(rng):
    """A method of a distribution."""
    method = rng.choice(("pdf", "logpdf", "cdf", "logcdf", "sf", "ppf", "nonsense"))
    given = ", ".join(odd(rng, "x", 0.5) for _ in range(rng.randrange(4)))
    return f"ad.vjp(lambda v: stats.{rng.choice(DISTRIBUTIONS)}.{method}({given}), v)"


def explored(rng):
    """A method of a flow, a graph, a watch, a primitive or a compiled function."""
    thing, cls = rng.choice((("flow", ad.GradientFlow), ("graph", ad.Graph), ("flow", ad.GradientFlow),
        ("watched", type(names_once()["watched"])), ("jitted", ad.compiler.Jit),
        ("primitive", type(names_once()["primitive"]))))
    methods = [name for name in dir(cls) if not name.startswith("_") and not name.endswith("_hook")]
    methods = [name for name in methods if name not in FILES]
    name = rng.choice([*methods, "__getitem__", "__call__", "nonsense"])
    member = getattr(cls, name, None)
    if name == "nonsense" or member is None:
        return f"{thing}[{odd(rng, 'key')}]"
    if name == "__getitem__":
        return f"{thing}[{odd(rng, 'key')}]"
    if isinstance(member, property) or not callable(member):
        return f"{thing}.{name}"
    code = call_of(rng, f"{thing}.{name}", getattr(names_once()[thing], name, None), 0.7)
    return code


def asked(rng):
    """Pictures, checks, scopes, names: what has options of its own."""
    option = rng.choice(("title", "theme", "direction", "arrows", "collapse", "focus", "hops", "prune", "until",
        "split", "max_nodes", "engine", "timeout", "memory", "dpi", "nonsense"))
    return rng.choice((
        f"flow.draw(room() + '/p.txt', {option}={odd(rng, option)})",
        f"graph.draw(room() + '/p.json', {option}={odd(rng, option)})", f"flow.draw({odd(rng)})",
        f"flow.draw(room() + '/p.dot', {option}={odd(rng, option)})",
        f"ad.viz.document({odd(rng)}, {option}={odd(rng)})",
        f"ad.viz.Theme({rng.choice(('ground', 'paper', 'delta', 'ink', 'x'))}={odd(rng)})",
        f"ad.viz.Options({option}={odd(rng)})", f"ad.check({odd(rng)})", f"ad.set_threads({odd(rng)})",
        f"ad.stop_gradient({odd(rng)})", f"ad.name({odd(rng)}, {odd(rng)})", f"ad.scope({odd(rng)}).__enter__()",
        f"ad.testing.check_grads({function(rng)}, {odd(rng, 'args')}, order={odd(rng, 'order', 0.3)})",
        f"ad.testing.check_grads({function(rng)}, (v,), {rng.choice(CHECKS)}={odd(rng)})",
        f"ad.testing.check_op({odd(rng)})", f"ad.primitive({function(rng)})",
        f"ad.primitive({function(rng)}).defvjp({function(rng)}, {odd(rng)})",
        f"ad.grad(ad.primitive(lambda a: a * 1.0).defvjp({function(rng)}))(1.0)",
        f"ad.grad(ad.primitive(lambda a: a * 1.0).defvjp(lambda d, y, a: {odd(rng)}))(v[0])",
        f"ad.jvp(ad.primitive(lambda a: a * 1.0).defjvp(lambda t, y, a: {odd(rng)}), (v,), (v,))",
        f"ad.trace(ad.primitive({function(rng)}))({odd(rng, 'x')})",
        f"flow.save({rng.choice(('None', '3', 'object()', 'room()', 'v', chr(39) + chr(39)))})",
        f"ad.Graph.load({odd(rng)})", f"ad.GradientFlow.load({odd(rng)})", f"flow.compare({odd(rng)})",
        f"graph.backward({odd(rng, 'x')})", f"flow.cut({odd(rng)}, skip={odd(rng)})",
        f"flow.scale({odd(rng)}, {odd(rng)})", f"ad.Op({odd(rng)}, {odd(rng)}, {odd(rng)})",
        f"jitted.lower({odd(rng, 'x')})",
        f"ad.jit(lambda a: a * 2.0, passes={odd(rng)})(v)", f"ad.Node({odd(rng)}, {odd(rng)})",
        f"ad.Tensor({odd(rng)})", f"ad.compiler.jit({odd(rng)})",
    ))  # fmt: skip


_NAMES = {}


def names_once():
    """The same for looking at alone."""
    if not _NAMES:
        _NAMES.update(names())
    return _NAMES


def statement(rng):
    """One random statement."""
    return rng.choice((transformed, transformed, transformed, sided, sided, layer, layer, layer, explored, asked,
        distribution))(rng)


# -- the judge ---------------------------------------------------------------------------------------------------------

SIGNATURE = re.compile(
    r"\w+\(\) (takes|missing|got an unexpected|got multiple|got some|argument)|missing (a required|\d+ required)|"
    r"too many positional|unexpected keyword|"
    r"takes (no|exactly|at (most|least)|from|\d+) |multiple values|expected (at (most|least)|exactly)? ?\d+ |"
    r"required positional|missing 1 required|got 0 positional|"
    r"required argument|cannot accept .* keyword|not callable|expected \d+ arguments?|"
    r"positional arguments? expected|invalid number of arguments"
)  # fmt: skip
"""What Python says of a call that does not fit a function's own signature."""


def is_users(error):
    """Whether an error is the program's own: raised by its function, or by what that called itself."""
    frames = traceback.extract_tb(error.__traceback__)
    last = max((i for i, frame in enumerate(frames) if frame.filename == "case.py"), default=-1)
    return last > 0 and not any(frame.filename.startswith(HOUSE) for frame in frames[last + 1 :])


NUMPYS = re.compile(
    r"operands could not be broadcast|broadcast|cannot reshape|not supported for the input types|"
    r"did not contain a loop|Input operand|data type|"
    r"setting an array element|could not convert|invalid literal|only integer|only 0-dimensional|only length-1|"
    r"inhomogeneous|out of bounds|too many indices|"
    r"arrays used as indices|only integers, slices|Cannot interpret|Cannot cast|could not be promoted|"
    r"no common DType|must be at least|not aligned|"
    r"cannot be interpreted as an integer|must be str|expected a sequence of integers|negative dimensions|"
    r"Maximum allowed|array is too big|Unable to allocate|"
    r"The truth value of an array|must be real number|argument must be a string or a real number|mismatch|"
    r"object too deep|too small depth|zero-size array|"
    r"must be an array|object arrays|loop of ufunc|Cannot construct|not understood|repeated axis|"
    r"too large to convert|ufunc|must broadcast|LAPACK|did not converge|"
    r"malformed string|integer argument expected|duplicate value|has no len\(\)$|"
    r"invalid index to scalar|Python int|cannot convert float|square|must be a|must be \d|dimension"
)  # fmt: skip
"""What NumPy's own routines, written in C, say of what they are given."""


def judged(code):
    """None where all is as it should be, else what is wrong with this statement: (kind, what)."""
    known = dict(OPERATIONS)
    space = names()
    try:
        program = compile(code, "case.py", "exec")
    except SyntaxError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, y = outcome(lambda: exec(program, space))
    OPERATIONS.clear()
    OPERATIONS.update(known)
    ad.set_threads(1)
    for name, a in arrays().items():
        if not np.array_equal(a, space[name]):
            return "WRITTEN", f"the user's own {name} was written into"
    if kind == "value":
        return None
    if isinstance(y, AutodiffError):
        parts = all(f"\n  {part}:" in str(y) for part in ("where", "why", "instead"))
        return None if parts else ("PARTS", f"{type(y).__name__} without its parts: {y}")
    if "ad.numpy." in code:  # the twins of NumPy's functions refuse what those refuse
        kind, own = outcome(lambda: exec(code.replace("ad.numpy.", "np."), names()))
        if kind == "error" and type(own) is type(y):
            return None
        if kind == "error" and isinstance(y, (TypeError, ValueError, IndexError)):
            return None
    frame = traceback.extract_tb(y.__traceback__)[-1]
    what = f"{type(y).__name__}: {str(y)[:200]!r} at {frame.filename.replace(HOUSE, '')}:{frame.lineno} {frame.name}"
    if is_users(y) or isinstance(y, ZeroDivisionError) or frame.name in ("unhidden",
        "checkpointed") or frame.filename == __file__:
        return None  # a function of the program's, or one of Python's that it gave for its own
    if frame.name.startswith("__") and frame.name.endswith("__") and isinstance(y,
        (TypeError, AttributeError)) and frame.name != "__init__":
        return None  # Python's own protocols: len(x), x.nonsense
    if isinstance(y, TypeError) and "os.PathLike" in str(y):
        return None
    if any(folder in frame.filename for folder in ("/scipy/", "/numpy/",
        "/pathlib")) and not frame.filename.startswith(HOUSE):
        return None  # SciPy and NumPy on plain arguments, as they were given
    if isinstance(y, TypeError) and re.search(r"not supported between|unsupported operand|bad operand",
        str(y)) and re.match(r"\S*/(ops/\w+|scipy/\w+|op|apply)\.py", frame.filename):
        return None  # Python's operators, on what is no number, in a plain call
    if frame.filename == "case.py" and not isinstance(y, (RecursionError, AssertionError)):
        return None  # the statement itself
    if isinstance(y, NEVER):
        return "NEVER", what
    if isinstance(y, TypeError) and SIGNATURE.search(str(y)):
        return None
    if type(y).__module__.startswith(("numpy", "scipy")) or (NUMPYS.search(str(y)) and not ACCIDENT.search(str(y))):
        return None
    if isinstance(y, (OSError, MemoryError)):
        return None
    if frame.name == "apply" and frame.filename.startswith(HOUSE):
        return None  # one of Python's functions, made a primitive
    return "ACCIDENT", what
