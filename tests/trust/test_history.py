"""No lost history: every way from a tensor to a plain number or array keeps the derivative, or is refused by name.

Each route is a line of code. It runs on a plain array, which tells its value and, by differences, its gradient; and on
tensors in every mode. There it must have that value and that gradient, or raise the error of its table.
"""

import ast
import contextlib
import gc
import importlib
import itertools
import math
import operator
import pickle
import sqlite3
import struct
import weakref

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import AutodiffError, DtypeError, KeywordError, LeakError, LostHistoryError, NoRuleError

from .scale import times

X = np.array([0.53, -1.23, 2.17])  # away from kinks, ties and whole numbers, by more than a difference reaches
OTHER = np.array([0.73, -0.52, 1.57])
DIRECTION = np.array([1.0, 10.0, 100.0])
PLAIN = np.array([10.0, 20.0, 30.0])


class Sub(np.ndarray):
    """A subclass that adds nothing."""


class Loud(np.ndarray):
    """A subclass that stands above others."""

    __array_priority__ = 100


class Own(np.ndarray):
    """A subclass that computes by itself what it can."""

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        bare = [x.view(np.ndarray) if isinstance(x, Own) else x for x in inputs]
        return getattr(ufunc, method)(*bare, **settings)


class Converting(np.ndarray):
    """A subclass that makes plain arrays of all that it meets."""

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        return getattr(ufunc, method)(*map(np.asarray, inputs), **settings)


class Holder:
    """What stands for an array, by the protocol."""

    def __init__(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value


class Row:
    """What has elements, and nothing else."""

    def __init__(self, value):
        self.value = value

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return self.value[range(3)[i]]


class Deferred:
    """What NumPy leaves operators to."""

    __array_ufunc__ = None

    def __rmul__(self, other):
        return other * 2

    def __mul__(self, other):
        return other * 3


class Handling:
    """What computes for itself whatever it meets."""

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        (other,) = (x for x in inputs if x is not self)
        return other * 5


class Float(float):
    """A subclass of Python's own."""


class Number:
    """What says that it can be a float."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


MODULES = (
    "array", "base64", "bisect", "cmath", "collections", "copy", "ctypes", "datetime", "decimal", "fractions",
    "functools", "hashlib", "heapq", "io", "itertools", "json", "marshal", "math", "operator", "pickle", "pprint",
    "random", "reprlib", "sqlite3", "statistics", "struct", "tempfile", "zlib",
)  # fmt: skip

KNOWN = {name: importlib.import_module(name) for name in MODULES} | {
    "np": np, "ad": ad, "anp": anp, "PLAIN": PLAIN, "Sub": Sub, "Loud": Loud, "Own": Own, "Converting": Converting,
    "Holder": Holder, "Row": Row, "Deferred": Deferred, "Handling": Handling, "Float": Float, "Number": Number,
}  # fmt: skip


def scope():
    """What the routes know: these modules and classes, and fresh arrays `a` and `M`."""
    return KNOWN | {"a": PLAIN.copy(), "M": np.arange(9.0).reshape(3, 3) / 7 + np.eye(3)}


def leaves(y):
    """The numbers, arrays and tensors in a result, through containers."""
    if isinstance(y, dict):
        y = list(y.values())
    if isinstance(y, (list, tuple, map, zip, filter, itertools.chain)):
        for part in y:
            yield from leaves(part)
    elif isinstance(y, np.ndarray) and y.dtype == object:
        yield from leaves(y.ravel().tolist())
    elif not isinstance(y, (str, type(None))):
        yield y


def weighed(y):
    """One real number that depends on every number in a result."""
    total, k = 0.0, 0
    for leaf in leaves(y):
        leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        weights = np.cos(0.7 * np.arange(k, k + leaf.size) + 0.3).reshape(leaf.shape)
        k += leaf.size
        part = np.sum(leaf * weights)
        total = total + (np.real(part) + 0.3 * np.imag(part) if np.iscomplexobj(part) else part)
    return total


def route(code):
    """The function of x that a line of code is."""
    last = ast.parse(code).body[-1]
    text = code if isinstance(last, ast.Assign) and last.targets[0].id == "y" else f"y = {code}"
    compiled = compile(text, __file__, "exec")

    def f(x):
        known = scope() | {"x": x}
        exec(compiled, known)
        return weighed(known["y"])

    return f


def slopes(f, x, step=1e-3):
    """The gradient by central differences, extrapolated to the sixth order."""
    found = np.zeros(3)
    for i, unit in enumerate(np.eye(3)):
        near, far, wide = ((f(x + k * step * unit) - f(x - k * step * unit)) / (2 * k * step) for k in (1, 2, 4))
        found[i] = (16 * (4 * near - far) / 3 - (4 * far - wide) / 3) / 15
    return found


def curvature(f, x, v, step=4e-3):
    """Differences of those in one direction: H·v, to fewer digits."""
    reach = step / np.max(np.abs(v))
    near, far = (
        (slopes(f, x + k * reach * v, step) - slopes(f, x - k * reach * v, step)) / (2 * k * reach) for k in (1, 2)
    )
    return (4 * near - far) / 3


def own(f):
    """The function as the body of a user's operation, whose rule is by differences."""
    operation = ad.primitive(lambda x: f(x.copy()))
    operation.defvjp(lambda d, y, x: d * slopes(f, np.array(x)))
    return operation


def twice(f):
    """The function at two points by one compiled function, so that nothing of the first one can be built in."""
    return [f(X.copy()), f(OTHER.copy())]


EAGER = {
    "grad": lambda f: ad.grad(f)(X.copy()),
    "value_and_grad": lambda f: ad.value_and_grad(f)(X.copy())[1],
    "jvp": lambda f: ad.jvp(f, (X.copy(),), (DIRECTION,))[1],
    "trace": lambda f: ad.trace(f)(X.copy()).backward()["x"],
    "flow": lambda f: ad.flow(f)(X.copy())["x"],
    "hessian": lambda f: ad.hessian(f)(X.copy()) @ DIRECTION,
    "grad of grad": lambda f: ad.grad(lambda x: ad.grad(f)(x) @ DIRECTION)(X.copy()),
    "checkpoint": lambda f: ad.grad(ad.checkpoint(f))(X.copy()),
    "value": lambda f: ad.vjp(f, X.copy())[0],
}
LATER = {
    "vmap": lambda f: ad.vmap(f)(np.stack([X, OTHER])),
    "vmap of grad": lambda f: ad.vmap(ad.grad(f))(np.stack([X, OTHER])),
    "jit": lambda f: twice(ad.jit(f)),
    "grad of jit": lambda f: twice(ad.grad(ad.jit(f))),
    "jit of grad": lambda f: twice(ad.jit(ad.grad(f))),
}
BODY = {"primitive": lambda f: ad.grad(own(f))(X.copy())}
MODES = EAGER | LATER | BODY

WANTED = {
    "jvp": lambda f: slopes(f, X) @ DIRECTION,
    "hessian": lambda f: curvature(f, X, DIRECTION),
    "grad of grad": lambda f: curvature(f, X, DIRECTION),
    "value": lambda f: f(X.copy()),
    "vmap": lambda f: [f(X.copy()), f(OTHER.copy())],
    "jit": lambda f: [f(X.copy()), f(OTHER.copy())],
} | dict.fromkeys(("vmap of grad", "grad of jit", "jit of grad"), lambda f: [slopes(f, X), slopes(f, OTHER)])
ROUGH = {"hessian": 1e-3, "grad of grad": 1e-3}  # differences of differences
READ_ONLY = "read-only"  # what a user's operation is given cannot be written into; there is nothing to lose


def some(code, modes):
    """The modes that a route is tried in under this profile; which ones, its text decides."""
    names, count = list(modes), times(2, 6, len(modes))
    first = sum(map(ord, code))
    return [names[(first + k) % len(names)] for k in range(min(count, len(names)))]


def judged(code, mode):
    """The route in one mode: right by differences of the plain function; errors go through."""
    f = route(code)
    found = np.asarray(MODES[mode](f))
    wanted = np.asarray(WANTED.get(mode, lambda f: slopes(f, X))(f))
    digits = ROUGH.get(mode, 1e-6)
    np.testing.assert_allclose(found, wanted, rtol=digits, atol=digits * max(1.0, np.max(np.abs(wanted))), err_msg=code)


def refused(code, mode, *classes):
    """The error that the route raises in one mode, of one of these classes, with its four parts."""
    with pytest.raises(classes) as caught:
        MODES[mode](route(code))
    text = str(caught.value)
    assert [part.split(":")[0] for part in text.split("\n  ")[1:]] == ["where", "why", "instead"], text
    return caught.value


# -- the routes --------------------------------------------------------------------------------------------------------

WORKS = r"""
math.prod(x)
round(x[0])
round(x[0], 1) + x[0]
divmod(x, 0.4)
divmod(x[0], 0.4)
divmod(7.0, x[2])
pow(x[0], 2)
pow(x[2], x[0])
pow(2, x[0])
abs(x)
sum(x)
sum(x, 3.0)
list(reversed(x))
list(enumerate(x))
list(zip(x, x))
list(map(lambda t: t*t, x))
x == x
(x[0] == 0.5) * x
functools.reduce(operator.mul, x)
functools.partial(np.multiply, x)(x)
list(itertools.accumulate(x))
list(itertools.accumulate(x, operator.mul))
[p*q for p, q in itertools.product(x, x)]
[p*q for p, q in itertools.combinations(x, 2)]
list(itertools.starmap(operator.mul, zip(x, x)))
list(itertools.chain(x, x))
list(itertools.islice(x, 2))
list(itertools.repeat(x[0], 3))
list(itertools.pairwise(x))
list(itertools.compress(x, [1,0,1]))
collections.deque(x)[0]
collections.OrderedDict(a=x)['a']
random.Random(0).uniform(x[0], 1.0)
random.Random(0).uniform(0.0, x[0])
random.Random(0).gauss(x[0], 1.0)
random.Random(0).normalvariate(x[0], 1.0)
random.Random(0).gauss(0.0, x[2])
random.Random(0).choices(x, k=2)
random.Random(0).choice(x)
random.Random(0).sample(list(x), 2)
random.Random(0).triangular(x[0], 3.0)
random.Random(0).expovariate(x[2])
random.Random(0).vonmisesvariate(x[0], 1.0)
random.Random(0).paretovariate(x[2])
random.Random(0).weibullvariate(x[2], 1.0)
L = list(x); random.Random(0).shuffle(L); y = L
random.Random(0).random() < x[0]
np.random.default_rng(0).choice(a, p=[0.2, 0.3, 0.5]) * x
np.random.default_rng(0).shuffle(x)
z = x * 1; np.random.default_rng(0).shuffle(z); y = z
L = list(x); np.random.default_rng(0).shuffle(L); y = L
np.random.default_rng(0).standard_normal(3) * x
np.array({'a': x})
np.fromfunction(lambda i: i * x, (3,))
np.fromfunction(lambda i, j: x[0] * i + j, (2, 2))
np.frompyfunc(lambda t: t*x[0], 1, 1)(a)
np.apply_along_axis(lambda r: r*2, 0, x)
np.apply_over_axes(np.sum, x, [0])
[x[i] for i in np.ndindex(x.shape)]
[x[i]*2 for i in np.ndindex(3)]
np.broadcast_arrays(x, M)
np.lib.stride_tricks.sliding_window_view(x, 2)
a @= M; y = a*x
np.sum(x, where=a > 15)
np.sum(a, where=x > 0) * x
copy.copy(x)
copy.deepcopy(x)
copy.deepcopy({'a': [x]})['a'][0]
copy.copy([x])[0]
f'{x}' and x
f'{x[0]:.3f}' and x
f'{x[0]!r}' and x
'{:.2e}'.format(x[0]) and x
'%s' % x[0] and x
'%r' % x[0] and x
'%s' % x and x
str(x) and x
repr(x) and x
format(x[0], '.3f') and x
pprint.pformat(x) and x
reprlib.repr(x) and x
x.view(np.ndarray)
x.view(type=np.ndarray)
x.__array_ufunc__(np.sin, '__call__', x)
x.real
x.imag
x.T
x.flat[1]
x.flat[0:2]
list(x.flat)
x.astype(int)
x.astype(complex)
x.astype(np.float64, copy=False)
len(x) * x
next(iter(x))
slice(x[0], x[2]).start
a + x
a.__add__(x)
a.__radd__(x)
np.ndarray.__add__(a, x)
np.float64.__add__(np.float64(1), x[0])
np.float64(2) * x
np.float64(2) * x[0]
np.float32(2) * x
np.str_(x[0])
operator.add(x, x)
operator.itemgetter(0)(x)
operator.attrgetter('real')(x)
operator.methodcaller('sum')(x)
operator.matmul(x, M)
[1.0] * x
x * [1.0, 2.0, 3.0]
np.where(x > 0, x, a)
np.where(x > 0, 1.0, 2.0) * x
np.where(a > 15, x, 0)
np.where([True, False, True], x, -x)
np.select([x > 1, x > 0], [x, x*x], -1.0)
np.select([a > 25, a > 15], [x, x*x], x[0])
np.choose([0, 1, 0], [x, x*x])
np.ix_(x)
M[np.ix_([0,1],[1,2])] * x[0]
np.mgrid[0:1:3j] * x
np.mgrid[0:x[2]:3j]
np.ogrid[0:x[2]:3j]
np.index_exp[x]
np.linspace(x[0], x[2], 3)
np.linspace(0.0, x[2], 3)
np.linspace(x, 3.0, 2)
np.logspace(x[0], x[2], 3)
np.full_like(x, x[0])
np.eye(3) * x
np.zeros_like(x) + x
np.ones_like(x) * x
np.empty_like(x) * 0 + x
np.diag(x)
np.diagflat(x)
np.tri(3) * x
np.vander(x)
np.block([[x], [a]])
np.block([x[0], 1.0])
np.block([x, a])
np.concatenate([x, a])
np.concatenate([a, x])
np.append(a, x)
np.append(x, 3.0)
np.append(a, x[0])
np.insert(a, 1, x[0])
np.insert(x, 1, 5.0)
np.delete(x, 1)
np.hstack([x, a])
np.hstack((x[0], 1.0))
np.vstack([a, x])
np.dstack([a, x])
np.column_stack([a, x])
np.stack([a, x])
np.stack([1.0, x[0]])
np.tile(x, 2)
np.repeat(x, [1, 2, 0])
np.pad(x, 1)
np.pad(x, 1, mode='reflect')
np.einsum('i,i', x, a)
np.einsum('i,j->ij', a, x)
np.einsum(x, [0], a, [0])
np.einsum('i->', x, optimize=True)
np.tensordot(a, x, 1)
np.kron(x, a)
np.outer(a, x)
np.inner(a, x)
np.vdot(a, x)
np.cross(a, x)
np.dot(a, x)
np.matmul(M, x)
M @ x
x @ M
M.T @ x
np.linalg.solve(M, x)
np.linalg.norm(x)
np.linalg.lstsq(M, x)[0]
np.linalg.multi_dot([M, M, x])
np.linalg.det(M * x[0])
np.linalg.inv(M * x)
np.linalg.eigh(M + M.T + np.diag(x))[0]
np.linalg.matrix_power(np.diag(x), 2)
np.linalg.matrix_rank(M * x) * x
np.linalg.tensorsolve(M, x)
np.polynomial.polynomial.polyval(x, [1.0, 2.0])
np.polynomial.chebyshev.chebval(x, [1.0, 2.0])
np.poly1d([1.0, 2.0])(x)
np.polyval(x, 0.3)
np.polyval([1.0, 2.0], x)
np.polyval(a, x)
np.polyadd(x, a)
np.polyder(x)
np.polyint(x)
np.poly(x)
np.array_equal(x, x) * x
np.array_equiv(x, x) * x
np.allclose(x, x) * x
np.isclose(x, 0.5) * x
np.histogram(x, bins=[-2.0, 0.0, 3.0], density=True)
np.digitize(x, [0.0, 1.0]) * x
np.digitize(a, np.sort(x)) * x
np.searchsorted(np.sort(x), 0.7) * x
np.interp(0.3, np.sort(x), a)
np.interp(x, [-5.0, 0.0, 5.0], [1.0, 2.0, 7.0])
np.interp(15.0, a, x)
np.trapezoid(x, a)
np.trapezoid(a, x)
np.gradient(x)
np.gradient(a, x[0])
np.diff(x)
np.diff(a, prepend=x[0])
np.ediff1d(x)
np.ediff1d(a, to_end=x[0])
np.cumsum(x)
np.cov(x, a)
np.corrcoef(x, a)
np.convolve(x, a)
np.correlate(a, x)
np.fft.fft(x)
np.fft.ifft(x)
np.real(np.fft.fft(x))
np.fft.rfft(x)
np.fft.fftshift(x)
np.sort(x)
np.sort_complex(x)
np.argsort(x) * x
np.partition(x, 1)
np.median(x)
np.quantile(x, 0.3)
np.average(x, weights=a)
np.nansum(x)
np.ptp(x)
np.clip(x, -1, 1)
np.clip(a, x, 25)
np.maximum(x, 0.1)
np.fmax(x, a)
np.heaviside(x, x[0])
np.copysign(x, a)
np.ldexp(x, 2)
np.frexp(x)
np.modf(x)
np.divmod(x, 0.4)
np.float_power(np.abs(x), 2)
np.logaddexp(x, a)
np.sinc(x)
np.i0(x)
np.unwrap(x)
np.angle(x + 1j)
np.nan_to_num(x)
np.isin(x, a) * x
np.take_along_axis(x, np.argsort(x), 0)
np.count_nonzero(x) * x
np.rot90(np.outer(x, x))
np.roll(x, 1)
np.resize(x, 5)
np.broadcast_to(x[0], 3)
np.broadcast_arrays(x[0], a)[0]
np.meshgrid(x, a)
np.indices((2, 2)) * x[0]
np.tril_indices(3)[0][0] * x
np.can_cast(x.dtype, float) * x
np.iscomplexobj(x) or x
np.apply_along_axis(np.sum, 0, x)
np.recarray((3,), dtype=[('v', float)]).v * 0 + x
z = np.memmap(tempfile.TemporaryFile(), float, 'w+', shape=3); z[:] = 2.0; y = z * x
z = np.empty(3, object); z[0] = x[0]; z[1] = x[1]; z[2] = 1.0; y = z
z = np.empty(1, object); z[0] = x; y = z[0]
z = np.array([None, None]); z[0] = x; y = z[0]
z = np.zeros(3, object); z[0] += x[0]; y = z
np.array(map(float, [1.0])) and x
np.interp(x[0], [0.0, 1.0], [x[1], 2.0])
x + [x[0], 1.0, 2.0]
np.float64(2.0) * [1.0] if False else x
np.mean(a, where=x > 0) * x
np.var(a, where=x > -5) * x
np.any(a > 15, where=x > 0) * x
np.max(a, where=x > 0, initial=0.0) * x
np.add.reduce(a, where=x > 0) * x
np.multiply.reduce(a, where=x > 0) * x
np.maximum.reduce(a, where=x > 0, initial=0) * x
np.logical_and.reduce(a > 0, where=x > 0) * x
a.sum(where=x > 0) * x
a.any(where=x > 0) * x
np.var(x, mean=x[0])
np.var(a, mean=x[0])
np.std(a, mean=np.mean(x), correction=1)
np.trapezoid(a, dx=x[0])
np.diff(a, append=x[0])
np.ediff1d(a, to_begin=x)
np.clip(a, min=x[0], max=x[2])
a.clip(x[0])
np.repeat(a, 2) * np.repeat(x, 2)
np.digitize(15.0, np.sort(x)) * x
np.fft.fft(a) * x
np.polyval([1.0, 2.0], x[0])
np.select([x > 0], [1.0]) * x
np.array_split(x, 2)
np.add.outer(a, x)
np.multiply.reduceat(a, [0, 1]) * x[:2]
np.add.at(x, [0], 1.0) or x
z = x * 1; np.add.at(z, [0, 0], 1.0); y = z
z = anp.zeros(3); np.add.at(z, [0, 0], x[:2]); y = z
z = anp.zeros(3); z[0] = x[0]; y = z
z = anp.zeros(3); z += x; y = z
z = anp.zeros(3); z[:] = x; z.fill(x[1]); y = z
z = anp.empty(3); z[...] = x; y = z
z = anp.array([x[0], 1.0]); y = z
z = anp.array([1.0, 2.0, 3.0]); z[1] = x[1]; y = z
z = anp.zeros(3, complex); z[:] = x; y = z
z = anp.zeros(3); z[:] = x > 0; y = z * x
z = anp.zeros(3); w = z.data; z[0] = 5.0; y = np.asarray(w) * x
z = anp.zeros(3); z.flat[1] = x[0]; y = z
z = anp.zeros((3, 3)); np.fill_diagonal(z, x); y = z
z = anp.zeros((3, 3)); z[np.diag_indices(3)] = x; y = z
z = anp.arange(3.0); a[:] = z; y = a * x
z = anp.arange(3.0); a[0] = z[2]; y = a * x
z = anp.arange(3); y = a[z] * x
z = anp.arange(3); a[z] = 1.0; y = a * x
z = anp.arange(3); a[z] += 1.0; y = a * x
z = anp.arange(3); y = np.asarray([z[0], 1.0]) * x[0]
z = anp.arange(3.0); y = float(z[1]) * x
z = anp.arange(3.0); y = math.sin(z[1]) * x
z = ad.stop_gradient(x); z[0] = 100.0; y = x * 1
z = x.astype(float, copy=False); z[0] = 5.0; y = x * z
sum([x[0], 1.0, x[1]], 0.5)
x[np.argsort(x)]
np.iterable(x) * x
x @ x
x.T @ x
2 ** x
x // 0.3 * x
-x ** 2
~(x > 0) * x
(x > 0) * 2 * x
(x > 0) @ x
x * range(3)
x * bytearray(b'abc')
x * memoryview(a)
x * array.array('d', [1, 2, 3])
x * (1.0, 2.0, x[0])
x * [[1.0], [x[0]]]
x * np.array(2)
x * 1j
x * np.float16(2)
x * np.longdouble(2)
x.astype('>f8')
x.astype('float128')
x.astype(bool) * x
x.astype(np.uint8) * x
anp.full(3, x[0], dtype=int)
anp.array([x[0], 2.0], dtype=int)
np.sum(x, dtype=int)
np.concatenate([x, a], dtype=int, casting='unsafe')
np.hstack([x, a], dtype=int, casting='unsafe')
np.full_like(x, 2, dtype=object)
np.linspace(x[0], 3, 3, dtype=int)
bool(x[0])
max(x)
min(x)
max(x[0], 1.0)
max(x, key=abs)
sorted(x)
sorted(x, key=lambda t: -t)
list(filter(lambda t: t > 0, x))
any(t > 1 for t in x)
(x[0] in x) * x
(0.5 in x) * x
(x[0] in [1.0, 0.5]) * x
(0 < x[0] < 1) * x
x if not x[0] else -x
x[0] and x[1]
x[0] or x[1]
not x[0]
[k * 1.0 for k, g in itertools.groupby(x)]
list(itertools.takewhile(lambda t: t > 0, x))
heapq.nlargest(2, x)
heapq.nsmallest(2, list(x))
heapq.heappop(list(x))
bisect.bisect([0.0, 1.0], x[0])
bisect.bisect(sorted(x), 0.7)
statistics.median(x)
statistics.median_low(x)
statistics.quantiles(x)
np.asarray(x > 0) * x
np.array([x[0] > 0, True]) * x[0]
np.copyto(a, PLAIN, where=x>0); y = a * x
np.array2string(x) and x
np.array_repr(x) and x
a[x > 0] * x[0]
a[x.astype(int)] * x
a[np.argmax(x)] * x
a.take(x.astype(int)) * x
a.searchsorted(15.0, sorter=x.argsort()) * x
a.repeat(x.astype(int)+2)
a.compress(x > 0) * x[0]
operator.contains(x, 0.5) * x
operator.countOf(x, 0.5) * x
operator.truth(x[0]) * x
np.where(x)
np.piecewise(x, [x < 0, x >= 0], [lambda t: -t, lambda t: t*t])
np.piecewise(x, [x < 0, x >= 0], [1.0, 2.0]) * x
np.choose((x > 0).astype(int), [x, x*x])
np.poly1d(x)(0.3)
np.poly1d(x).coeffs
np.polyfit(a, x, 1)
np.polymul(x, a)
np.polydiv(x, [1.0, 2.0])[0]
np.roots(x)
np.unique(x)
np.unique(x, return_index=True)[1] * x
np.unique(x, return_counts=True)
np.unique_values(x)
np.histogram(x, 3)
np.histogram(a, 3, weights=x)
np.histogram(a, bins=np.sort(x)*10)
np.histogram_bin_edges(x, 3)
np.histogram2d(x, a, 2)[0]
np.histogramdd(np.stack([x, a], 1), 2)[0]
np.bincount([0, 1, 1], weights=x)
np.bincount(x.astype(int)+2)
np.quantile(a, np.abs(x)/3)
np.percentile(a, x[2])
np.real_if_close(x + 0j)
np.intersect1d(x, a)
np.union1d(x, a)
np.setdiff1d(x, a)
np.extract(x > 0, x)
np.compress(x > 0, a) * x[0]
np.take(a, np.argmax(x)) * x
np.argwhere(x > 0) * x[0]
np.flatnonzero(x > 0) * x[0]
np.nonzero(x > 0)[0] * x[0]
np.trim_zeros(x)
np.roll(x, np.argmax(x))
np.unravel_index(np.argmax(x), (3,))[0] * x
np.lib.scimath.sqrt(x)
np.emath.sqrt(x)
np.emath.log(np.abs(x))
a.mean(where=x > 0) * x
np.quantile(a, x[0]/3)
np.quantile(a, 0.5, weights=x*x, method='inverted_cdf')
np.percentile(x, x[2])
np.cov(a, aweights=x*x)
np.cov(a, fweights=(x*x+1).astype(int)) * x
np.gradient(a, x)
np.unwrap(a, discont=x[2])
np.isclose(a, 10, rtol=x[2]) * x
np.isclose(a, 10, atol=x[2]) * x
np.allclose(a, a, atol=x[2]) * x
np.pad(x, x.astype(int)[2])
np.roll(a, x.astype(int)[2]) * x
np.linspace(0, 1, num=x.astype(int)[2]) * x[0]
np.full(x.astype(int)[2], 1.0) * x[0]
np.tile(a, x.astype(int)[2]) * x[0]
np.histogram(a, range=(x[0], 50.0))[1]
np.histogram(a, bins=3, range=(0.0, 40*np.abs(x[2])), weights=x)[0]
np.bincount([0,1,2], x)
np.vander(a, x.astype(int)[2])
np.where([x[0] > 0, True], 1.0, 2.0) * x[0]
np.add.reduceat(x, [0, 1])
z = anp.zeros(3); np.copyto(z, x); y = z
z = np.floor(x); y = np.asarray(z) * x
z = np.floor(x); y = float(z[1]) * x
z = np.floor(x); y = [10.0, 20.0, 30.0, 40.0][int(z[2])] * x
z = {np.argmax(x): 5.0}; y = z[2] * x
z = {2: 5.0}; y = z[np.argmax(x)] * x
z = {2: 5.0}; y = z[int(np.argmax(x))] * x
z = np.argmax(x); y = {0, 1, 2} & {z} and x
z = ad.stop_gradient(x); y = {float(z[0]): 1.0}[float(z[0])] * x
z = np.asarray(x > 0); z[0] = False; y = (x > 0) * x
sorted([3.0, x[0], 2.0])
max([1.0, x[2]])
max(x[2], 1.0, key=lambda t: -t)
min(x[0], x[1], x[2])
all(x > -5) * x
any(x > 5) + x
x[0] if x[0] > x[1] else x[1]
x[0] < x[1] < x[2] or x
x[bool(x[0] > 0)]
x[int(x[0] > 0)]
a[int(x[0] > 0)] * x
a[x[0] > 0] * x
a[(x > 0).nonzero()] * x[0]
x[x > 0]
x[::int(np.argmax(x))]
x[:np.argmax(x)]
a[:np.argmax(x)] * x[0]
list(a)[np.argmax(x)] * x
'abc'[np.argmax(x)] and x
range(np.argmax(x))[1] * x
[0.0] * np.argmax(x) + [x[0]]
np.zeros(np.argmax(x)).size * x
np.zeros((np.argmax(x), 2)).size * x
a.reshape(np.argmax(x) + 1, 1)[:, 0] * x
np.arange(np.argmax(x)).size * x
x.round().astype(object)
(x > 0).astype(object)
np.argmax(x).astype(str)
np.geomspace(x[0], x[2], 3)
np.linalg.cond(M * x)
np.average(a, weights=x*x)
np.nanmean(x)
np.average(a, weights=np.abs(x))
z = np.zeros(3, bool); z[0] = x[0]; y = z
z = np.zeros(3, bool); z[:] = x > 0; y = z * x
z = np.zeros(3, int); z[:] = np.argsort(x); y = z * x
z = np.zeros(3); z[:] = np.floor(x); y = z * x
z = np.zeros(3); z[0] = np.argmax(x); y = z * x
z = np.floor(x); a[0] = z[0]; y = a * x
np.concatenate([a.view(Sub), x])
a.view(Own) * x
np.sum(a.view(Own)) * x
np.asarray(Holder(a)) * x
x * Holder(a)
Holder(a) * x
np.multiply(x, Holder(a))
np.concatenate([x, Holder(a)])
np.stack(Row(x))
x * Row(a)
Deferred() * x
np.add(Handling(), x)
Float(2.0) * x
x * Float(2.0)
float(Number(2.0)) * x
np.stack(collections.deque([x, x]))
np.stack(collections.namedtuple('P', 'a b')(x, x))
""".strip().splitlines()
"""Each keeps its history: its gradient is that of the differences of the plain function."""

LOST = r"""
math.acos(x[0])
math.acosh(x[2])
math.asin(x[0])
math.asinh(x[0])
math.atan(x[0])
math.atan2(x[0], 2.0)
math.atan2(2.0, x[0])
math.atanh(x[0])
math.cbrt(x[0])
math.ceil(x[0])
math.copysign(x[0], 2.0)
math.copysign(2.0, x[0])
math.cos(x[0])
math.cosh(x[0])
math.degrees(x[0])
math.dist(x, a)
math.erf(x[0])
math.erfc(x[0])
math.exp(x[0])
math.exp2(x[0])
math.expm1(x[0])
math.fabs(x[0])
math.floor(x[0])
math.fmod(x[0], 2.0)
math.fmod(2.0, x[0])
math.frexp(x[0])
math.fsum(x)
math.gamma(x[2])
math.hypot(x[0], 2.0)
math.hypot(2.0, x[0])
math.isclose(x[0], 0.5)
math.isfinite(x[0])
math.isinf(x[0])
math.isnan(x[0])
math.ldexp(x[0], 2)
math.lgamma(x[0])
math.log(x[0], 2.0)
math.log(2.0, x[0])
math.log10(x[0])
math.log1p(x[0])
math.log2(x[0])
math.modf(x[0])
math.nextafter(x[0], 2.0)
math.nextafter(2.0, x[0])
math.pow(x[0], 2.0)
math.pow(2.0, x[0])
math.radians(x[0])
math.remainder(x[0], 2.0)
math.remainder(2.0, x[0])
math.sin(x[0])
math.sinh(x[0])
math.sqrt(x[0])
math.tan(x[0])
math.tanh(x[0])
math.trunc(x[0])
math.ulp(x[0])
math.hypot(*x)
math.hypot(x[0], x[1])
cmath.acos(x[0])
cmath.acosh(x[0])
cmath.asin(x[0])
cmath.asinh(x[0])
cmath.atan(x[0])
cmath.atanh(x[0])
cmath.cos(x[0])
cmath.cosh(x[0])
cmath.exp(x[0])
cmath.isclose(x[0], 0.5)
cmath.isfinite(x[0])
cmath.isinf(x[0])
cmath.isnan(x[0])
cmath.log(x[0])
cmath.log10(x[0])
cmath.phase(x[0])
cmath.polar(x[0])
cmath.rect(x[0], 1.0)
cmath.sin(x[0])
cmath.sinh(x[0])
cmath.sqrt(x[0])
cmath.tan(x[0])
cmath.tanh(x[0])
float(x[0])
int(x[0])
complex(x[0])
complex(x[0], x[1])
{x[0]: 1}
{x[0]}
hash(x[0])
frozenset([x[0]])
functools.lru_cache(lambda t: t*t)(x[0])
collections.Counter(x)
statistics.mean(x)
statistics.fmean(x)
statistics.stdev(x)
statistics.pstdev(x)
statistics.variance(x)
statistics.pvariance(x)
statistics.geometric_mean(x*x)
statistics.harmonic_mean(x*x)
statistics.mode(x)
statistics.correlation(x, x*x)
statistics.linear_regression(a, x)
statistics.NormalDist(x[0], x[2]).cdf(0.3)
statistics.NormalDist(x[0], 1.0).mean
random.Random(0).choices([1.0, 2.0, 3.0], weights=x*x)[0]
random.Random(0).choices([1.0, 2.0, 3.0], weights=list(x*x))[0]
random.Random(0).betavariate(x[2], 1.0)
random.Random(0).gammavariate(x[2], 1.0)
random.Random(0).lognormvariate(x[0], 1.0)
np.random.default_rng(0).normal(x)
np.random.default_rng(0).normal(loc=x[0])
np.random.default_rng(0).normal(0.0, x[2])
np.random.default_rng(0).uniform(x[0], 3.0)
np.random.default_rng(0).choice(3, p=np.abs(x)/np.sum(np.abs(x)))
np.random.default_rng(0).choice(x)
np.random.default_rng(0).choice(list(x), 2)
np.random.default_rng(0).permutation(x)
np.random.default_rng(0).permuted(x)
np.random.default_rng(0).multivariate_normal(x, np.eye(3))
np.random.default_rng(0).multivariate_normal(np.zeros(3), np.outer(x, x) + np.eye(3))
np.random.default_rng(0).dirichlet(x*x)
np.random.default_rng(0).poisson(x*x)
np.random.default_rng(0).gamma(x*x)
np.random.default_rng(0).beta(x*x, 1.0)
np.random.default_rng(0).exponential(x*x)
np.random.default_rng(0).binomial(5, x[0])
np.random.default_rng(0).multinomial(5, np.abs(x)/np.sum(np.abs(x)))
np.random.default_rng(0).integers(x[2])
np.random.RandomState(0).normal(x)
np.asarray(x)
np.array(x)
np.array(x, copy=False)
np.array(x, dtype=object)
np.array([x[0], 1.0])
np.array([x[0], 1.0], dtype=object)
np.array([x, x], dtype=object)
np.array([[x[0], 1.0], [2.0, x[1]]])
np.array([x, a])
np.array((x[0],))
np.array([x])
np.array(list(x))
np.array([x[0].real])
np.asanyarray(x)
np.asanyarray([x[0], 2.0])
np.asarray([x[0], 2.0])
np.asarray(x, dtype=np.float32)
np.asarray(x, dtype=int)
np.ascontiguousarray(x)
np.asfortranarray(x)
np.fromiter(x, float)
np.fromiter((t for t in x), float)
np.vectorize(lambda t: t*t)(x)
np.vectorize(lambda t: t*x[0])(a)
np.vectorize(lambda t: x[0] if t > 15 else 0.0)(a)
np.vectorize(np.dot, signature='(n),(n)->()')(x, a)
np.frompyfunc(lambda t: t*x[0], 1, 1)(a).astype(float)
np.apply_along_axis(lambda r: r*x, 0, a)
np.nditer(x)
[t*2 for t in np.nditer(x)]
[t*1.0 for _, t in np.ndenumerate(x)]
[p*q for p, q in np.broadcast(x, a)]
np.broadcast(x, a).shape[0] * x
a.fill(x[0]); y = a
a.put(0, x[0]); y = a
a.flat = x; y = a
a.real = x; y = a
z = a + 0j; z.imag = x; y = z
np.put(a, 0, x[0]); y = a
np.put(a, [0, 1], x[:2]); y = a
np.place(a, a > 15, x); y = a
np.putmask(a, a > 15, x); y = a
np.copyto(a, x); y = a
np.copyto(a, x[0]); y = a
np.copyto(a, x, where=a>15); y = a
np.put_along_axis(a, np.array([0]), x[:1], 0); y = a
np.fill_diagonal(M, x); y = M
np.fill_diagonal(M, x[0]); y = M
M.dot(x, out=a); y = a
bytes(x)
bytearray(x)
bytearray(x[2])
x.tobytes()
x.data
x.ctypes
x.ctypes.data
np.ctypeslib.as_array(x)
ctypes.c_double(x[0]).value
(ctypes.c_double * 3)(*x)[0]
array.array('d', x)
array.array('d', list(x))
struct.pack('d', x[0])
struct.pack('3d', *x)
json.dumps(x.tolist())
json.dumps({'a': x[0]}, default=float)
x.dump(io.BytesIO())
x.dumps()
'%f' % x[0]
'%d' % x[0]
np.format_float_positional(x[0]) and x
x[0].item()
x.item(1)
x.tolist()
x[0].tolist()
float(x[0].item())
x.view(np.int64)
x.__array__()
x.__dlpack__()
np.from_dlpack(x)
np.array(x.flat)
x.getfield(np.float64)
x.byteswap()
x.astype(object)
x.astype(str)
x.astype('S8')
x.astype([('a', float)])
x.astype('m8[s]')
int.from_bytes(x, 'big')
a[:int(x[2])]
a.searchsorted(x) * x
a.dot(x)
np.array([0,1,0]).choose([x, 2*x])
np.float64(x[0])
np.float32(x[0])
np.int64(x[0])
np.bool_(x[0])
np.complex128(x[0])
np.longdouble(x[0])
np.object_(x[0])
datetime.datetime.fromtimestamp(x[0])
np.select([a > 25, a > 15], [a, a*2], x[0])
np.piecewise(a, [a < 15, a >= 15], [lambda t: t*x[0], lambda t: t])
np.piecewise(a, [a < 15], [x[0], 3.0])
np.r_[x, 1.0]
np.r_[x[0], x[1]]
np.r_[0:x[2]:3j]
np.r_[0:x[2]]
np.c_[x, a]
np.c_[x, x]
np.mgrid[0:x[2]]
np.arange(x[0], 3.0)
np.arange(x[2])
np.arange(0.0, x[2], 0.5)
np.arange(0.0, 1.0, x[0])
np.full_like(a, x[0])
np.concatenate((a, [x[0]]))
np.concatenate([[x[0], 1.0], a])
np.pad(a, 1, constant_values=x[0])
np.pad(a, 1, mode='linear_ramp', end_values=x[0])
np.polynomial.Polynomial(x)(0.3)
np.polynomial.Polynomial([1.0, 2.0])(x)
np.polynomial.Polynomial([1.0, x[0]])(0.3)
np.polynomial.Polynomial([1.0, 2.0, 1.0])(x) * x
np.polynomial.Chebyshev(x)(0.3)
np.polynomial.Chebyshev([1.0, 2.0])(x)
np.polynomial.Legendre([1.0, 2.0, 0.5])(x)
np.polynomial.Hermite([1.0, 2.0, 0.5])(x)
np.polynomial.Laguerre([1.0, 2.0, 0.5])(x)
np.polynomial.Polynomial.fit(a, x, 1)(3.0)
np.polynomial.Polynomial.fromroots(x)(0.5)
np.polynomial.Polynomial(x).deriv()(0.3)
np.polynomial.Polynomial(x).integ()(0.3)
np.polynomial.Polynomial(x).roots()
np.polynomial.polynomial.polyval(0.3, x)
np.polynomial.polynomial.polyfit(a, x, 1)
np.polynomial.polynomial.polyadd(x, [1.0])
np.polynomial.polynomial.polymul(x, [1.0, 2.0])
np.polynomial.polynomial.polyder(x)
np.poly1d([1.0, x[0]])(0.3)
np.poly1d([1.0, 2.0]) * x[0]
np.testing.assert_allclose(x, x.copy()) or x
np.testing.assert_allclose(x, [0.53, -1.23, 2.17], rtol=1) or x
np.testing.assert_array_equal(x, x) or x
np.testing.assert_array_almost_equal(x, x) or x
np.testing.assert_array_less(x, 100) or x
np.testing.assert_approx_equal(x[0], x[0]) or x
np.nan_to_num(a, nan=x[0])
np.strings.str_len(x.astype(str)) * x
np.ma.array(x)
np.ma.masked_array(x, mask=[0, 1, 0])
np.ma.masked_where(x > 0, x)
np.ma.masked_greater(x, 0)
np.ma.array(a, mask=[0,1,0]) * x
np.ma.sum(x)
np.ma.mean(x)
np.ma.average(x)
np.ma.concatenate([x, a])
np.ma.where(x > 0, x, 0)
np.ma.dot(x, a)
np.ma.stack([x, a])
np.ma.sqrt(np.abs(x))
np.ma.filled(x)
np.ma.getdata(x)
np.ma.median(x)
np.rec.fromarrays([x, a])
z = np.rec.array(np.zeros(3, [('v', float)])); z.v = x; y = z.v
np.array([(x[0], 1)], dtype=[('v', float), ('n', int)])['v']
np.array([x[0], None])
np.sum([x[0], x[1]])
np.sum([x, x])
np.sum((x[0], 2.0))
np.mean([x[0], x[1]])
np.max([x[0], x[1]])
np.sin([x[0], x[1]])
np.add([x[0]], 1.0)
np.add([x[0], 1.0], [2.0, x[1]])
np.dot([x[0], 1.0], [2.0, 3.0])
np.sort([x[0], 1.0])
np.linalg.norm([x[0], 1.0])
np.linalg.norm([x[0], x[1]])
np.linalg.det([[x[0], 1.0], [2.0, x[1]]])
np.where([True, False], [x[0], 1.0], 0.0)
np.concatenate([[x[0]], [1.0]])
np.reshape([x[0], 1.0], (2, 1))
np.transpose([[x[0], 1.0]])
np.sum(list(map(lambda t: t*t, x)))
np.prod([x[0], 2.0])
np.cumsum([x[0], 2.0])
np.var([x[0], 2.0])
np.median([x[0], 2.0, 3.0])
np.outer([x[0], 1.0], [1.0, 2.0])
np.cross([x[0], 1.0, 2.0], [1.0, 2.0, x[1]])
np.matmul([[x[0], 1.0]], [1.0, 2.0])
M @ [x[0], 1.0, 2.0]
a * [x[0], 1.0, 2.0]
[x[0], 1.0, 2.0] * a
[x[0], 1.0, 2.0] + np.float64(2)
a + (x[0], 1.0, 2.0)
a == [x[0], 1.0, 2.0]
np.sum(a, initial=x[0])
np.max(a, initial=x[0])
np.max(a, initial=x[2]*100)
np.prod(a, initial=x[0])
np.add.reduce(a, initial=x[0])
a.sum(initial=x[0])
a.max(initial=x[0])
a.prod(initial=x[0])
a.std(ddof=x[0])
np.std(x, ddof=x[0])
np.interp(15.0, a, a, left=x[0])
np.interp(-15.0, a, a, left=x[0])
np.interp(5.0, a, a, period=x[2])
np.nan_to_num(np.array([np.nan]), nan=x[0])
np.unwrap(a, period=x[2])
np.pad(a, 2, constant_values=(x[0], x[1]))
np.linalg.pinv(M, rcond=x[0]*1e-9) * x
np.linalg.matrix_rank(M, tol=x[0]) * x
np.convolve(a, [x[0], 1.0])
np.einsum('i,i->i', [x[0], 1.0], [1.0, x[1]])
np.kaiser(5, x[2])
np.i0([x[0], 1.0])
np.full_like(a, [x[0], 1.0, 2.0])
np.apply_along_axis(lambda r: r * x[0], 0, a)
np.frompyfunc(lambda p, q: p + q, 2, 1).reduce(list(x))
np.add.reduce([x[0], x[1]])
np.add.accumulate([x[0], x[1]])
z = anp.arange(3.0); z[1] = x[0]; y = math.sin(z[2]) * x
x.astype('V8')
x.astype(np.void)
x.astype('M8[s]')
x.astype(np.str_)
np.astype(x, object)
np.astype(x, str)
np.array(x).astype(object)
anp.array(x, dtype=object)
anp.asarray(x, dtype=str)
anp.asarray([x[0], 1.0], dtype=object)
anp.full(3, x[0], dtype=object)
np.add(x, 1, dtype=object)
np.sum(x, dtype=object)
np.cumsum(x, dtype=object)
np.prod(x, dtype=object)
np.concatenate([x, a], dtype=object)
np.stack([x, a], dtype=object)
np.linspace(x[0], 1, 3, dtype=object)
np.einsum('i->', x, dtype=object)
np.add.reduce(x, dtype=object)
np.trace(np.outer(x, x), dtype=object)
x.sum(dtype=object)
x.cumsum(dtype=object)
np.asarray_chkfinite(x)
np.require(x)
np.require(x, float, 'C')
np.lib.stride_tricks.as_strided(x, (2,2), (8,8))
a[0] = x[0]; y = a
a[:] = x; y = a
a[1:] = x[1:]; y = a
a[a > 5] = x; y = a
a[[0, 1]] = x[:2]; y = a
a[...] = x[0]; y = a
a[0:2] = [x[0], x[1]]; y = a
a[0], a[1] = x[0], x[1]; y = a
a += x; y = a
a -= x[0]; y = a
a *= x; y = a
a /= x; y = a
a **= x; y = a
a //= x; y = a
a %= x; y = a
a[0] += x[0]; y = a
a[1:] += x[1:]; y = a
a[1:] *= x[1:]; y = a
a.flat[0] = x[0]; y = a
a.flat[:] = x; y = a
a.real[:] = x; y = a
np.sin(x, out=a); y = a
np.sin(x, a); y = a
np.sin(x, out=(a,)); y = a
np.add(x, 1, a); y = a
np.add(x, 1, out=a); y = a
np.add(PLAIN, 1, out=x); y = x
np.add(x, 1, out=x); y = x
z = np.zeros_like(x); np.add(x, 1, out=z); y = z
np.modf(x, out=(a, a.copy())); y = a
np.divmod(x, 0.4, out=(a, a.copy())); y = a
np.frexp(x, out=(a, np.zeros(3, int))); y = a
np.multiply.outer(x, x, out=np.zeros((3,3)))
np.matmul(M, x, out=a); y = a
np.less(x, 1, out=np.zeros(3, bool)) * x
np.floor(x, out=a); y = a * x
z = array.array('d', a); z[0] = x[0]; y = z
pickle.dumps(x)
pickle.dumps([x[0]])
pickle.loads(pickle.dumps(x))
a.__iadd__(x)
np.full(3, x[0])
np.full((2, 3), x)
z = np.zeros(3, [('v', float)]); z['v'] = x; y = z['v']
z = np.zeros(3, [('v', float)]); z[0] = (x[0],); y = z['v']
z = np.memmap(tempfile.TemporaryFile(), float, 'w+', shape=3); z[:] = x; y = z
z = np.empty(3, object); z[:] = x; y = z
z = np.empty(3, object); z[:] = list(x); y = z
z = np.zeros(3, object); z += x; y = z
z = np.zeros(3, int); z[:] = x; y = z
z = np.zeros(3, int); z[0] = x[0]; y = z
z = np.zeros(3, complex); z[:] = x; y = z
np.full((2,), [x[0], 1.0])
z = np.zeros_like(x); np.sin(x, out=z); y = z
z = anp.zeros(3); np.add(a, 1, out=z); y = z * x
z = anp.arange(3.0); a += z; y = a * x
z = anp.arange(3.0); np.add(a, z, out=a); y = a * x
z = anp.arange(3.0); np.add(a, 1, out=a, where=z > 0); y = a * x
z = a.view(Sub); z += x; y = z
z = a.view(Sub); z[0] = x[0]; y = z
np.asarray(x).view(Sub)
a.view(Converting) * x
np.multiply(a.view(Converting), x)
np.asarray(Row(x))
np.sum(Row(x))
x * Row(x)
np.multiply(Row(x), 2.0)
Float(x[0])
math.prod(map(float, x))
complex(x[0], 1.0)
""".strip().splitlines()
"""Each would turn a tensor into plain numbers: LostHistoryError; in a batch or a program LeakError too."""

WITHOUT_RULE = r"""
np.frompyfunc(lambda t: t*t, 1, 1)(x)
np.negative.at(x, [0]); y = x
np.save(io.BytesIO(), x)
np.savez(io.BytesIO(), x=x)
np.savez_compressed(io.BytesIO(), x)
np.savetxt(io.StringIO(), x)
a.clip(x, 30)
a.clip(min=x[0], max=15)
np.linalg.lstsq(M, a, rcond=x[0]*1e-9)[0] * x
np.add.at(a, [0], x[0]); y = a
np.multiply.at(a, [0, 1], x[:2]); y = a
x.base
x.setfield(0, np.float64)
z = x * 1; np.multiply.at(z, [0, 0], 2.0); y = z
np.logaddexp.at(a, [0, 1], x[:2]); y = a
""".strip().splitlines()
"""Each is a function that no rule covers: NoRuleError."""

SETTINGS = r"""
np.add.reduce(x, out=a[:1].reshape(())); y = a
np.add.accumulate(x, out=a); y = a
np.add.reduceat(x, [0, 1], out=a[:2]); y = a
np.sum(x, out=a[:1].reshape(()), axis=0); y = a
x.sum(axis=0, out=a[:1].reshape(())); y = a
x.cumsum(out=a); y = a
x.clip(0, 1, out=a); y = a
x.round(out=a); y = a
x.take([0,1,2], out=a); y = a
x.dot(M, out=a); y = a
np.dot(M, x, out=a); y = a
np.clip(x, 0, 1, out=a); y = a
np.clip(PLAIN, 0, x, out=a); y = a
np.clip(PLAIN, x, 40, a); y = a
np.einsum('ij,j->i', M, x, out=a); y = a
np.concatenate([x[:1], x[1:]], out=a); y = a
np.stack([x[0], x[1], x[2]], out=a); y = a
np.mean(x, out=a[:1].reshape(()), axis=0); y = a
np.var(x, out=a[:1].reshape(()), axis=0); y = a
np.max(x, axis=0, out=a[:1].reshape(())); y = a
np.cumprod(x, out=a); y = a
np.take(x, [0,1,2], out=a); y = a
np.compress([1,1,1], x, out=a); y = a
np.choose([0,1,0], [x, 2*x], out=a); y = a
np.median(x, out=a[:1].reshape(())); y = a
np.quantile(x, 0.3, out=a[:1].reshape(())); y = a
np.percentile(x, 30, out=a[:1].reshape(())); y = a
np.nan_to_num(x, copy=False); y = x
np.round(x, out=a); y = a
np.outer(x, x, out=np.zeros((3,3)))
np.trace(np.outer(x, x), out=a[:1].reshape(())); y = a
np.argmax(x, out=np.zeros((), int)) * x
np.fft.fft(x, out=np.zeros(3, complex))
np.sin(x, where=a > 15)
np.add(x, a, where=x > 0)
z = anp.zeros(3); np.dot(M, a, out=z); y = z * x
z = anp.zeros(3); np.cumsum(a, out=z); y = z * x
z = anp.zeros(3); np.clip(a, 0, 1, out=z); y = z * x
""".strip().splitlines()
"""Each asks for what no rule covers, mostly to write into a given array: KeywordError."""

NO_NUMBERS = r"""
fractions.Fraction(1, 2) * x
x * fractions.Fraction(1, 2)
x[0] + fractions.Fraction(1, 2)
fractions.Fraction(1, 2) + x[0]
datetime.timedelta(seconds=1) * x[0]
np.polynomial.Polynomial([1.0, 2.0]) * x[0]
x * np.ma.array(a, mask=[0,1,0])
np.sum(np.array([1.0, 2.0], object) * x[0])
np.linalg.norm(a, ord=x[2])
z = anp.zeros(3, int); z[:] = x; y = z
z = anp.zeros(3, int); z[0] = x[0]; y = z
x * np.array([2], dtype=object)
x * np.timedelta64(1, 's')
np.mean(x, dtype=object)
np.mean(x, dtype=int)
np.concatenate([x, np.array([1, 'a'], object)])
np.concatenate([x, np.array(['a'])])
np.where(x > 0, x, None)
np.where(x > 0, x, 'a')
x.mean(dtype=object)
a.view(Sub) * x
x * a.view(Sub)
np.add(a.view(Sub), x)
np.dot(a.view(Sub), x)
a.view(Loud) * x
x * a.view(Loud)
x * a.view(Own)
np.add(x, a.view(Own))
x * a.view(Converting)
x * Deferred()
x * Handling()
np.add(x, Handling())
""".strip().splitlines()
"""Each meets or makes what is no number: DtypeError."""

OWN_WORDS = r"""
fractions.Fraction(x[0])
decimal.Decimal(x[0])
random.seed(x[0])
random.Random(x[0]).random()
np.frombuffer(x)
memoryview(x)
memoryview(x)[0]
json.dumps([x[0]])
np.ndarray.sum(x)
datetime.timedelta(seconds=x[0])
hashlib.md5(x)
zlib.crc32(x)
base64.b64encode(x)
io.BytesIO(x)
io.BytesIO().write(x)
z = anp.zeros(3); w = memoryview(z); y = x
z = anp.zeros(3); a.cumsum(out=z); y = z * x
np.random.default_rng(0).standard_normal(out=x)
np.random.default_rng(0).random(out=x)
marshal.dumps(x)
np.rec.array(x)
z = np.zeros(3, 'm8[s]'); z[0] = x[0]; y = z
z = anp.zeros(3); np.random.default_rng(0).random(out=z); y = z * x
np.ctypeslib.as_ctypes(x)
x.__array_interface__
x.__array_struct__
x.__array_wrap__(x)
x.__array_priority__
sqlite3.connect(':memory:').execute('select ?', (x[0],)).fetchone()[0]
np.ndarray.__new__(Sub, 3, buffer=x)
np.asarray(Holder(x))
np.multiply(Holder(x), 2.0)
x * Holder(x)
float(Number(x[0]))
math.sin(Number(x[0]))
""".strip().splitlines()
"""Python or NumPy refuse these by the type of the tensor, before it is asked for anything."""

SCIPY_WORKS = r"""
scipy.special.expit(x)
scipy.special.gammaln(x[2])
scipy.special.erf(a * x)
scipy.integrate.fixed_quad(lambda t: t * x[0], 0, 1)[0]
scipy.sparse.csr_matrix(M) @ x
x @ scipy.sparse.csr_matrix(M)
scipy.sparse.csr_matrix(M).dot(x)
scipy.sparse.csr_array(M) @ x
scipy.sparse.linalg.norm(scipy.sparse.csr_matrix(M)) * x
scipy.optimize.newton(lambda p: p*p - x[2], 1.0)
scipy.optimize.fixed_point(lambda p: np.cos(p) * 0.1 + x[0], 0.5)
scipy.interpolate.lagrange(a, x)(15.0)
""".strip().splitlines()
"""The same for SciPy's functions …"""

SCIPY_LOST = r"""
scipy.special.logsumexp(x)
scipy.special.softmax(x)
scipy.optimize.minimize(lambda p: np.sum((p - x)**2), np.zeros(3)).x
scipy.optimize.minimize_scalar(lambda p: (p - x[0])**2).x
scipy.optimize.root_scalar(lambda p: p**3 - x[2], bracket=[0, 3]).root
scipy.optimize.brentq(lambda p: p - x[0], -5, 5)
scipy.optimize.brentq(lambda p: p - 1.0, x[1], 5)
scipy.optimize.fsolve(lambda p: p - x, np.zeros(3))
scipy.optimize.root(lambda p: p - x, np.zeros(3)).x
scipy.optimize.least_squares(lambda p: p - x, np.zeros(3)).x
scipy.optimize.linprog(np.abs(x), bounds=(1, 2)).fun
scipy.optimize.lsq_linear(M, x).x
scipy.optimize.linear_sum_assignment(M * x)[1] * x
scipy.optimize.approx_fprime(x, lambda p: np.sum(p*p))
scipy.optimize.check_grad(lambda p: np.sum(p*p), lambda p: 2*p, x)
scipy.optimize.rosen(x)
scipy.integrate.quad(lambda t: t * x[0], 0, 1)[0]
scipy.integrate.quad(lambda t: t, 0, x[0])[0]
scipy.integrate.quad_vec(lambda t: t * x, 0, 1)[0]
scipy.integrate.solve_ivp(lambda t, y: -x[2] * y, [0, 1], [1.0]).y[0, -1]
scipy.integrate.solve_ivp(lambda t, y: -y, [0, 1], x).y[0, -1]
scipy.integrate.odeint(lambda y, t: -x[2] * y, 1.0, [0.0, 1.0])[-1]
scipy.integrate.odeint(lambda y, t: -y, x, [0.0, 1.0])[-1]
scipy.integrate.trapezoid(x, a)
scipy.integrate.simpson(x)
scipy.integrate.cumulative_trapezoid(x)
scipy.integrate.romb(np.concatenate([x, x[:2]]))
scipy.interpolate.interp1d(a, x)(15.0)
scipy.interpolate.interp1d(np.sort(x), a)(0.6)
scipy.interpolate.interp1d(a, a * 2)(x * 0 + 15)
scipy.interpolate.CubicSpline(a, x)(15.0)
scipy.interpolate.CubicSpline(a, a**2)(x)
scipy.interpolate.PchipInterpolator(a, x)(15.0)
scipy.interpolate.make_interp_spline(a, x, 1)(15.0)
scipy.interpolate.BSpline([0., 1, 2, 3, 4], x, 1)(1.5)
scipy.interpolate.RegularGridInterpolator((a,), x)([[15.0]])
scipy.interpolate.griddata(a, x, [15.0])
scipy.interpolate.UnivariateSpline(a, x, k=1)(15.0)
scipy.interpolate.RBFInterpolator(a[:, None], x)([[15.0]])
scipy.interpolate.barycentric_interpolate(a, x, 15.0)
scipy.signal.convolve(x, a)
scipy.signal.fftconvolve(x, a)
scipy.signal.lfilter([1.0, 0.5], [1.0], x)
scipy.signal.lfilter(x, [1.0], a)
scipy.signal.detrend(x)
scipy.signal.find_peaks(x)[0] * x[0]
scipy.signal.savgol_filter(x, 3, 1)
scipy.signal.resample(x, 4)
scipy.signal.hilbert(x)
scipy.signal.correlate(x, a)
scipy.signal.medfilt(x)
scipy.signal.sosfilt(np.ones((1, 6)), x)
scipy.signal.periodogram(x)[1]
scipy.signal.welch(x, nperseg=3)[1]
scipy.signal.butter(2, x[0])[0]
scipy.stats.norm.pdf(x)
scipy.stats.norm.logpdf(x)
scipy.stats.norm.cdf(0.3, loc=x)
scipy.stats.norm(loc=x[0]).pdf(0.3)
scipy.stats.norm.fit(x)
scipy.stats.zscore(x)
scipy.stats.pearsonr(x, a)[0]
scipy.stats.spearmanr(x, a)[0]
scipy.stats.ttest_1samp(x, 0.0)[0]
scipy.stats.gmean(x*x)
scipy.stats.hmean(x*x)
scipy.stats.skew(x)
scipy.stats.kurtosis(x)
scipy.stats.sem(x)
scipy.stats.entropy(x*x)
scipy.stats.gaussian_kde(x)(0.3)
scipy.stats.gaussian_kde(a)(x)
scipy.stats.multivariate_normal.logpdf(x, np.zeros(3))
scipy.stats.multivariate_normal.logpdf(np.zeros(3), x)
scipy.stats.rankdata(x) * x
scipy.stats.mode(x)[0]
scipy.stats.linregress(a, x)[0]
scipy.stats.percentileofscore(a, x[0])
scipy.stats.trim_mean(x, 0.1)
scipy.stats.wasserstein_distance(x, a)
scipy.stats.describe(x).mean
scipy.stats.moment(x, 2)
scipy.stats.iqr(x)
scipy.stats.poisson.pmf(2, x*x)
scipy.stats.beta.pdf(0.3, x*x, 1.0)
scipy.spatial.distance.euclidean(x, a)
scipy.spatial.distance.cosine(x, a)
scipy.spatial.distance.cdist(x[None], a[None])
scipy.spatial.distance.pdist(x[:, None])
scipy.spatial.distance_matrix(x[:, None], a[:, None])
scipy.spatial.KDTree(x[:, None]).query([[0.3]])[0]
scipy.spatial.cKDTree(a[:, None]).query(x[:, None])[0]
scipy.spatial.ConvexHull(np.stack([x, x*x], 1)).volume
scipy.spatial.Delaunay(np.stack([x, x*x], 1)).points
scipy.spatial.transform.Rotation.from_euler('x', x[0]).as_matrix()
scipy.spatial.transform.Rotation.from_rotvec(x).as_matrix()
scipy.spatial.transform.Rotation.identity().apply(x)
scipy.sparse.csr_matrix(x).toarray()
scipy.sparse.csr_matrix((x, ([0,1,2],[0,1,2]))).toarray()
scipy.sparse.diags([x], [0]).toarray()
scipy.sparse.coo_matrix(M * x).toarray()
scipy.sparse.linalg.spsolve(scipy.sparse.csc_matrix(M), x)
scipy.sparse.linalg.cg(M.T @ M, x)[0]
scipy.sparse.linalg.aslinearoperator(M) @ x
scipy.sparse.linalg.aslinearoperator(M).matvec(x)
scipy.sparse.kron(M, x[None]).toarray()
scipy.linalg.expm(M * x)
scipy.linalg.toeplitz(x)
scipy.linalg.cho_solve(scipy.linalg.cho_factor(M @ M.T), x)
scipy.linalg.lu_solve(scipy.linalg.lu_factor(M), x)
scipy.linalg.block_diag(x, a)
scipy.linalg.qr(M * x)[1]
scipy.linalg.blas.ddot(x, a)
scipy.linalg.blas.daxpy(x, a)
scipy.linalg.lapack.dgesv(M, x)[2]
scipy.fft.fft(x)
scipy.fft.dct(x)
scipy.fft.rfft(x)
scipy.ndimage.gaussian_filter(x, 1.0)
scipy.ndimage.convolve(x, a)
scipy.ndimage.map_coordinates(x, [[0.5]])
scipy.ndimage.map_coordinates(a, x[None])
scipy.ndimage.zoom(x, 2)
scipy.ndimage.shift(a, x[0])
scipy.cluster.hierarchy.linkage(x[:, None])
scipy.optimize.curve_fit(lambda t, b: b * t, a, x)[0]
scipy.optimize.nnls(M, np.abs(x))[0]
z = scipy.sparse.csr_matrix(M); z.data *= x[0]; y = z.toarray()
z = scipy.sparse.csr_matrix(M); z.data[:3] = x; y = z.toarray()
scipy.linalg.solve(M, x)
scipy.linalg.norm(x)
scipy.linalg.det(M * x)
scipy.linalg.inv(M * x)
scipy.linalg.circulant(x)
""".strip().splitlines()
"""… of which most ask for plain numbers,"""

SCIPY_WITHOUT_RULE = r"""
scipy.sparse.csr_matrix(M) * x[0]
scipy.sparse.csr_matrix(M).multiply(x)
z = scipy.sparse.lil_matrix((3, 3)); z[0, 0] = x[0]; y = z.toarray()
""".strip().splitlines()
"""and some operators of sparse matrices have no rule."""

LIBRARIES = {
    "pandas": r"""
pandas.Series(x)
pandas.Series(list(x))
pandas.Series([x[0], 1.0])
pandas.Series(a) * x
x * pandas.Series(a)
pandas.Series(a) + x[0]
x[0] + pandas.Series(a)
pandas.Series(a) - x
pandas.Series(a).mul(x)
pandas.Series(a).dot(x)
np.dot(x, pandas.Series(a))
np.multiply(x, pandas.Series(a))
np.add(pandas.Series(a), x)
x @ pandas.Series(a)
pandas.Series(a) @ x
pandas.DataFrame({'a': x})
pandas.DataFrame({'a': list(x)})
pandas.DataFrame(np.eye(3)) * x
pandas.DataFrame(np.eye(3)) @ x
x @ pandas.DataFrame(np.eye(3))
x * pandas.DataFrame(np.eye(3))
pandas.DataFrame(np.eye(3)).dot(x)
z = pandas.Series(a); z[0] = x[0]; y = z
z = pandas.Series(a); z.iloc[0] = x[0]; y = z
z = pandas.Series(a); z.loc[:] = x; y = z
z = pandas.Series(a); z += x; y = z
z = pandas.DataFrame(np.eye(3)); z['q'] = x; y = z
z = pandas.DataFrame(np.eye(3)); z.iloc[0, 0] = x[0]; y = z
pandas.Series(a).apply(lambda t: t * x[0])
pandas.Series(a).apply(lambda t: t * x[0]).sum()
pandas.Series(a).map(lambda t: t * x[0])
pandas.Series(a).fillna(x[0])
pandas.Series([1.0, np.nan]).fillna(x[0])
pandas.Series(a).where(pandas.Series(a) > 15, x[0])
pandas.Series(a).clip(x[0], x[2])
pandas.Series(a).replace(10.0, x[0])
pandas.Series(a).quantile(x[0])
pandas.Series(a).ewm(alpha=x[0]).mean()
pandas.Series(a).shift(1, fill_value=x[0])
pandas.concat([pandas.Series(x)])
pandas.to_numeric(x)
pandas.Index(x)
pandas.isna(x) * x
pandas.isna(x[0]) * x
pandas.array(x)
pandas.Categorical(x)
pandas.unique(x)
pandas.factorize(x)[0] * x
pandas.DataFrame([[x[0], 1.0], [2.0, x[1]]])
pandas.DataFrame([x, a])
pandas.DataFrame.from_dict({'a': [x[0]]})
pandas.eval('x + 1')
""",
    "sklearn": r"""
sklearn.linear_model.LinearRegression().fit(x[:, None], a).coef_
sklearn.linear_model.LinearRegression().fit(a[:, None], x).coef_
sklearn.linear_model.LinearRegression().fit(a[:, None], a).predict(x[:, None])
sklearn.preprocessing.StandardScaler().fit_transform(x[:, None])
sklearn.preprocessing.scale(x)
sklearn.metrics.mean_squared_error(a, x)
sklearn.metrics.log_loss([0, 1, 1], np.abs(x)/3)
sklearn.metrics.pairwise_distances(x[:, None])
sklearn.metrics.pairwise.rbf_kernel(x[:, None], gamma=x[0]*x[0])
sklearn.metrics.pairwise.rbf_kernel(a[:, None], gamma=0.1) * x
sklearn.cluster.KMeans(2, random_state=0, n_init=1).fit(x[:, None]).cluster_centers_
sklearn.decomposition.PCA(1).fit_transform(M * x)
sklearn.svm.SVC(C=x[0]).fit(a[:, None], [0, 1, 1]).decision_function(a[:, None])
sklearn.linear_model.Ridge(alpha=x[0]).fit(a[:, None], a).coef_
sklearn.utils.check_array(x[:, None])
sklearn.utils.resample(x, random_state=0)
sklearn.model_selection.train_test_split(x, random_state=0)
""",
    "networkx": r"""
networkx.Graph([(0, 1, {'w': x[0]})]).edges[0, 1]['w']
g = networkx.Graph(); g.add_edge(0, 1, weight=x[0]); g.add_edge(1, 2, weight=x[2]); y = networkx.to_numpy_array(g)
g = networkx.DiGraph(); g.add_edge(0, 1, capacity=x[0]); y = networkx.maximum_flow_value(g, 0, 1)
g = networkx.Graph(); g.add_node(x[0]); y = x
""",
    "matplotlib": r"""
matplotlib.pyplot.plot(x) and x
matplotlib.pyplot.plot(a, x) and x
matplotlib.pyplot.scatter(a, x) and x
matplotlib.pyplot.bar([0, 1, 2], x) and x
matplotlib.pyplot.hist(x) and x
matplotlib.pyplot.imshow(x[None]) and x
matplotlib.pyplot.text(x[0], x[1], 'a') and x
matplotlib.pyplot.axhline(x[0]) and x
matplotlib.pyplot.fill_between(a, x) and x
matplotlib.pyplot.contour(np.outer(x, x)) and x
matplotlib.colors.Normalize()(x)
matplotlib.cm.viridis(x)
matplotlib.ticker.ScalarFormatter().format_data(x[0]) and x
""",
    "sympy": r"""
sympy.sin(x[0])
sympy.Float(x[0])
sympy.sympify(x[0])
sympy.Integer(2) * x[0]
x[0] * sympy.Integer(2)
x * sympy.Rational(1, 2)
sympy.Rational(1, 2) * x
sympy.Float(0.5) + x
sympy.pi * x
sympy.lambdify([sympy.Symbol('s')], sympy.sin(sympy.Symbol('s')), 'numpy')(x)
sympy.lambdify([sympy.Symbol('s')], sympy.sin(sympy.Symbol('s')), 'math')(x[0])
sympy.sin(sympy.Symbol('s')).subs('s', x[0])
sympy.Matrix(x)
""",
    "xarray": r"""
xarray.DataArray(x)
xarray.DataArray(a) * x
x * xarray.DataArray(a)
x[0] * xarray.DataArray(a)
xarray.DataArray(a) + x[0]
np.add(xarray.DataArray(a), x)
xarray.DataArray(a).fillna(x[0])
z = xarray.DataArray(a); z[0] = x[0]; y = z
z = xarray.DataArray(a); z.values[0] = x[0]; y = z
xarray.DataArray(a).interp(dim_0=x[0])
xarray.DataArray(a).dot(xarray.DataArray(x))
""",
    "polars": r"""
polars.Series([x[0], 1.0])
polars.Series(x)
polars.DataFrame({'a': x})
polars.DataFrame({'a': list(x)})
polars.Series(a) * x[0]
polars.Series(a) * x
x * polars.Series(a)
polars.DataFrame({'a': a}).with_columns(polars.col('a') * x[0])['a']
""",
}
"""Other libraries, as far as they are installed: whatever they do with a tensor, no wrong number comes of it."""

SUBMODULES = (
    "scipy.special", "scipy.optimize", "scipy.integrate", "scipy.interpolate", "scipy.signal", "scipy.stats",
    "scipy.spatial.distance", "scipy.spatial.transform", "scipy.sparse.linalg", "scipy.sparse.csgraph",
    "scipy.linalg", "scipy.fft", "scipy.ndimage", "scipy.cluster.vq", "scipy.cluster.hierarchy",
    "sklearn.linear_model", "sklearn.preprocessing", "sklearn.metrics", "sklearn.cluster", "sklearn.decomposition",
    "sklearn.svm", "sklearn.utils", "sklearn.model_selection", "matplotlib.pyplot", "matplotlib.cm",
    "matplotlib.colors",
)  # fmt: skip


@pytest.fixture
def known(monkeypatch):
    """A function that lets the routes know a library, or skips the test where it is not installed."""

    def let(name):
        module = pytest.importorskip(name)
        if name == "matplotlib":
            module.use("Agg")
        for inner in SUBMODULES:
            if inner.startswith(f"{name}."):
                importlib.import_module(inner)
        monkeypatch.setitem(KNOWN, name, module)

    return let


def test_there_are_enough_routes():
    table = [*WORKS, *LOST, *WITHOUT_RULE, *SETTINGS, *NO_NUMBERS, *OWN_WORDS, *SCIPY_WORKS, *SCIPY_LOST]
    assert len(table) == len(set(table))
    assert len(LOST) >= 60
    assert len(table) >= 1000


def of_the_table(*groups):
    return [pytest.param(code, classes, id=code) for codes, classes in groups for code in codes]


# Where a batch or a program is asked for a value it says LeakError, unless it has no value to lose or no rule anyway.
UNKNOWN = (LeakError, LostHistoryError)


def is_due(error, mode):
    """Whether a route that works may raise this: what is decided by values in a batch, or a write into an operand."""
    if mode in LATER:
        return isinstance(error, (LeakError, LostHistoryError, NoRuleError))
    return mode in BODY and READ_ONLY in str(error)


def works(code, tried):
    for mode in some(code, MODES):
        try:
            judged(code, mode)
        except Exception as error:
            if not is_due(error, mode):
                raise
    tried("routes that keep their history, in one mode each", len(some(code, MODES)))


def is_refused(code, classes, tried):
    for mode in some(code, EAGER):
        refused(code, mode, *classes)
    for mode in some(code, LATER):
        refused(code, mode, *classes, *UNKNOWN)
    tried("routes that are refused by name, in one mode each", len(some(code, EAGER)) + len(some(code, LATER)))


@pytest.mark.parametrize("code", WORKS)
@pytest.mark.filterwarnings("ignore")  # of NumPy and of batches that draw: another test's question
def test_a_route_that_works_has_the_gradient_of_differences(code, tried):
    works(code, tried)


@pytest.mark.parametrize(
    ("code", "classes"),
    of_the_table(
        (LOST, [LostHistoryError]), (WITHOUT_RULE, [NoRuleError]), (SETTINGS, [KeywordError]),
        (NO_NUMBERS, [DtypeError]),
    ),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_a_route_that_would_lose_it_raises_the_named_error(code, classes, tried):
    is_refused(code, classes, tried)


@pytest.mark.parametrize("code", OWN_WORDS)
@pytest.mark.filterwarnings("ignore")
def test_a_route_that_asks_for_nothing_is_refused_by_type(code, tried):
    for mode in some(code, EAGER | LATER):
        with pytest.raises((TypeError, ValueError, AttributeError, sqlite3.Error)) as caught:
            MODES[mode](route(code))
        assert not isinstance(caught.value, AutodiffError)
    tried("routes that Python or NumPy refuse by type, in one mode each", len(some(code, EAGER | LATER)))


@pytest.mark.parametrize(
    ("code", "classes"),
    of_the_table((SCIPY_WORKS, []), (SCIPY_LOST, [LostHistoryError]), (SCIPY_WITHOUT_RULE, [NoRuleError])),
)
@pytest.mark.filterwarnings("ignore")
def test_scipys_functions(code, classes, known, tried):
    known("scipy")
    if classes:
        is_refused(code, classes, tried)
    else:
        works(code, tried)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("ignore")
def test_other_libraries_never_make_a_wrong_number_of_a_tensor(library, known, tried):
    known(library)
    count = 0
    for code in LIBRARIES[library].strip().splitlines():
        for mode in ("grad", "jvp", "trace", "vmap", "jit"):
            count += 1
            try:
                MODES[mode](route(code))
            except Exception:  # refused, in the library's words or ours
                continue
            judged(code, mode)
    tried("routes through other libraries, in one mode each", count)


# -- what is said ------------------------------------------------------------------------------------------------------


def fails(call, *words):
    """The LostHistoryError that `call` raises: with four parts, this file's line, and all of these words."""
    with pytest.raises(LostHistoryError) as caught:
        call()
    text = str(caught.value)
    assert [part.split(":")[0] for part in text.split("\n  ")[1:]] == ["where", "why", "instead"], text
    assert f"{__file__}:" in text
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def test_what_is_said_for_each_kind_of_conversion():
    lost = "its derivative would be lost"
    said = [
        (lambda x: math.sin(x), ["math module", "np.sin", "float64[]", lost]),
        (lambda x: np.asarray(x), ["np.asarray(x)", "np.stack", "stop_gradient", lost]),
        (lambda x: operator.setitem(PLAIN.copy(), 0, x), ["a[0] = x", "autodiff.numpy.zeros", "np.stack", lost]),
        (lambda x: operator.iadd(PLAIN.copy(), x), ["out=a", "a + x", "keeps no history"]),
        (lambda x: x.item(), ["x.item()", lost]),
        (lambda x: int(x), ["int(x)", "np.floor", lost]),
        (lambda x: math.trunc(x), ["math.trunc(x)", "np.trunc", lost]),
        (lambda x: pickle.dumps(x), ["pickling", "graph.save", lost]),
        (lambda x: {x: 1}, ["key of a dict", "lru_cache", lost]),
        (lambda x: x.as_integer_ratio(), ["statistics", "np.mean", lost]),
        (lambda x: x.astype(object), ["astype(object)", lost]),
    ]
    for f, words in said:
        fails(lambda f=f: ad.grad(f)(3.0), *words)


# C code that puts an error of its own in the place of what the tensor said.
HIDING = {
    "struct.pack": lambda x: struct.pack("d", x),
    "bytearray": lambda x: bytearray(x),
    "'%d' %": lambda x: "%d" % x,  # noqa: UP031  # the spelling is what is tried
    "a.flat[0] = x": lambda x: operator.setitem(PLAIN.copy().flat, 0, x),
    "a[0] = x": lambda x: operator.setitem(PLAIN.copy(), 0, x),
    "np.nditer": lambda x: np.nditer(x),
}


@pytest.mark.parametrize("name", HIDING)
def test_what_the_tensor_said_is_what_is_read(name):
    fails(lambda: ad.grad(HIDING[name])(3.0), "its derivative would be lost")
    fails(lambda: ad.grad(lambda y: ad.grad(lambda x: HIDING[name](x * y))(2.0))(3.0), "its derivative would be lost")


def test_the_users_own_error_is_to_be_seen():
    """With an error of ours behind it, and at an instruction at which a tensor refused something a moment ago."""

    def chained(x):
        try:
            return float(x)
        except TypeError as error:
            raise KeyError("mine") from error

    with pytest.raises(KeyError, match="mine"):
        ad.grad(chained)(1.0)

    def elsewhere(x):
        with contextlib.suppress(TypeError):
            float(x)
        return x + float("text")

    with pytest.raises(ValueError, match="could not convert string to float"):
        ad.grad(elsewhere)(1.0)

    def caught_and_other(x):
        for thing in (x, "text"):
            with contextlib.suppress(TypeError):
                float(thing)
        return x

    with pytest.raises(LostHistoryError) as caught:
        ad.grad(caught_and_other)(1.0)
    assert "could not convert string to float" in str(caught.value.__cause__)


def test_nothing_of_a_refusal_stays_alive():
    gone = []

    def f(x):
        gone.append(weakref.ref(x))
        return struct.pack("d", x)

    gc.disable()
    try:
        with contextlib.suppress(LostHistoryError):
            ad.grad(f)(1.0)
        assert gone[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("write", [
    lambda a, x: operator.setitem(a, 0, x[0]), lambda a, x: operator.setitem(a, slice(None), x),
    lambda a, x: operator.setitem(a, slice(2), [1.0, x[0]]), lambda a, x: operator.iadd(a, x),
    lambda a, x: np.sin(x, out=a), lambda a, x: np.copyto(a, x), lambda a, x: np.add.at(a, [0], x[0]),
    lambda a, x: a.fill(x[0]), lambda a, x: np.put(a, [0, 1], x[:2]), lambda a, x: np.place(a, a > 0, x),
    lambda a, x: np.putmask(a, a > 0, x), lambda a, x: operator.setitem(a.flat, slice(None), x),
    lambda a, x: np.multiply(a, x, out=a),
])  # fmt: skip
def test_the_plain_array_was_not_written_into(write):
    a = PLAIN.copy()
    with pytest.raises(AutodiffError):
        ad.grad(lambda x: np.sum(a + (write(a, x) or 0.0)))(X)
    np.testing.assert_array_equal(a, PLAIN)


def test_what_has_no_history_may_become_a_number():
    """Inside a graph the constants, the flat results and the stopped values are plain numbers."""

    def f(x):
        steps = int(np.floor(x[2]))
        flags = np.asarray(x > 0)
        spot = np.argmax(x)
        assert [0.0, 1.0, 2.0][steps] == 2.0
        assert PLAIN[spot] == 30.0
        assert {2: "found"}[spot] == "found"
        assert [1.0] * spot == [1.0, 1.0]
        assert flags.tolist() == [True, False, True]
        assert float(ad.stop_gradient(x)[0]) == 0.53
        assert float(np.zeros_like(x)[0]) == 0.0
        return np.sum(x) * steps

    for call in (lambda: ad.grad(f)(X), lambda: ad.flow(f)(X)["x"], lambda: ad.jvp(f, (X,), (X,))[1] / np.sum(X)):
        np.testing.assert_allclose(call(), 2.0, rtol=1e-15)


@pytest.mark.parametrize("f", [
    lambda x: PLAIN[int(ad.stop_gradient(x[2]))] * x, lambda x: float(ad.stop_gradient(x[2])) * x,
    lambda x: np.asarray(ad.stop_gradient(x)) * x, lambda x: math.exp(ad.stop_gradient(x[0])) * x,
])  # fmt: skip
def test_what_is_stopped_counts_as_a_constant(f):
    constant = np.diag(ad.jacobian(f)(X))
    np.testing.assert_allclose(constant * X, f(X), rtol=1e-15)
