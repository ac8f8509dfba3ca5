"""The array API standard: every function of it on tensors, and SciPy's functions for arrays of any namespace."""

import os
import subprocess
import sys

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.traced import plain

STANDARD = {
    "": """
        e pi inf nan newaxis bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64
        complex128 arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like
        tril triu zeros zeros_like astype can_cast finfo iinfo isdtype result_type abs acos acosh add asin asinh atan
        atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or bitwise_right_shift bitwise_xor ceil clip
        conj copysign cos cosh divide equal exp expm1 floor floor_divide greater greater_equal hypot imag isfinite
        isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not logical_or logical_xor
        maximum minimum multiply negative nextafter not_equal positive pow real reciprocal remainder round sign
        signbit sin sinh square sqrt subtract tan tanh trunc take take_along_axis matmul matrix_transpose tensordot
        vecdot broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze
        stack tile unstack argmax argmin count_nonzero nonzero searchsorted where unique_all unique_counts
        unique_inverse unique_values argsort sort cumulative_prod cumulative_sum max mean min prod std sum var all any
        diff __array_namespace_info__ __array_api_version__
    """,
    "linalg": """
        cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank matrix_transpose outer
        pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm
    """,
    "fft": """
        fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift
    """,
}
"""The names of the standard of 2024.12, by namespace."""

METHODS = """
    __abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__ __eq__ __float__
    __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__
    __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__ __sub__ __truediv__ __xor__ to_device
    __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__ __ipow__ __imod__ __imatmul__ __radd__ __rsub__ __rmul__
    __rtruediv__ __rfloordiv__ __rpow__ __rmod__ __rmatmul__ __rand__ __ror__ __rxor__ __rlshift__ __rrshift__
    dtype device mT ndim shape size T
"""

NO_CALL = """
    e pi inf nan newaxis bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128
    from_dlpack iinfo __array_namespace_info__ __array_api_version__
"""

X = np.array([[1.5, -2.25, 0.5], [3.0, 0.25, -0.75]])

DOMAIN = {
    **dict.fromkeys(("acos", "asin", "atanh"), lambda x: x / 4), "acosh": lambda x: x * x + 1,
    **dict.fromkeys(("log", "log1p", "log2", "log10", "sqrt"), lambda x: x * x),
}  # fmt: skip
ONE = """
    abs acos acosh asin asinh atan atanh ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan log log1p log2
    log10 logical_not negative positive real reciprocal round sign signbit sin sinh square sqrt tan tanh trunc
"""
TWO = """
    add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and
    logical_or logical_xor maximum minimum multiply nextafter not_equal remainder subtract
"""
WHOLE = "bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor"
UNIQUE = "unique_all unique_counts unique_inverse unique_values"


def _definite(x):
    return x @ x.mT + 2 * np.eye(2)


def _named(table, names, make):
    table.update((name, make(name.rpartition(".")[2])) for name in names.split())


CALLS = {
    "bitwise_invert": lambda xp, x: xp.bitwise_invert(xp.astype(x, xp.int64)),
    "pow": lambda xp, x: xp.pow(x * x, x),
    "clip": lambda xp, x: (xp.clip(x, -1, 1), xp.clip(x, x - 1, None), xp.clip(x, max=0.5)),
    "arange": lambda xp, x: xp.arange(1, 7, 2, dtype=xp.float32, device="cpu"),
    "asarray": lambda xp, x: (xp.asarray(x, dtype=xp.float32, device="cpu", copy=True), xp.asarray([x[0, 0], 2.0])),
    "empty": lambda xp, x: xp.empty((2, 3), dtype=x.dtype, device="cpu").shape,
    "empty_like": lambda xp, x: xp.empty_like(x, dtype=xp.float32, device="cpu").shape,
    "eye": lambda xp, x: xp.eye(2, 3, k=1, dtype=x.dtype, device="cpu"),
    "full": lambda xp, x: (xp.full((2, 3), 2.5, dtype=xp.float32, device="cpu"), xp.full(2, 1)),
    "full_like": lambda xp, x: xp.full_like(x, 2.0, dtype=xp.float32, device="cpu"),
    "linspace": lambda xp, x: (xp.linspace(0, 1, num=5, endpoint=False), xp.linspace(x[0, 0], x[0, 1], num=4)),
    "meshgrid": lambda xp, x: (*xp.meshgrid(x[0], x[1], indexing="ij"), *xp.meshgrid(x[0], x[1])),
    "ones": lambda xp, x: xp.ones((2, 3), dtype=xp.complex64, device="cpu"),
    "ones_like": lambda xp, x: xp.ones_like(x, dtype=xp.float32, device="cpu"),
    "tril": lambda xp, x: xp.tril(x, k=-1),
    "triu": lambda xp, x: xp.triu(x, k=1),
    "zeros": lambda xp, x: xp.zeros(3, dtype=xp.float32, device="cpu"),
    "zeros_like": lambda xp, x: xp.zeros_like(x, dtype=xp.complex128, device="cpu"),
    "astype": lambda xp, x: (
        xp.astype(x, xp.float32, copy=False), xp.astype(x, xp.complex128, device="cpu"), xp.astype(x, xp.bool)
    ),
    "can_cast": lambda xp, x: (xp.can_cast(x.dtype, xp.float64), xp.can_cast(x.dtype, xp.float32)),
    "finfo": lambda xp, x: (xp.finfo(x.dtype).eps, xp.finfo(x.dtype).bits, str(xp.finfo(x.dtype).dtype)),
    "isdtype": lambda xp, x: (xp.isdtype(x.dtype, "real floating"), xp.isdtype(x.dtype, ("integral", "bool"))),
    "result_type": lambda xp, x: (str(xp.result_type(x, xp.float32)), str(xp.result_type(x, 1.0, xp.complex64))),
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 2]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "matmul": lambda xp, x: xp.matmul(x, x.mT),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "tensordot": lambda xp, x: (xp.tensordot(x, x, axes=((0, 1), (0, 1))), xp.tensordot(x, x.T, axes=1)),
    "vecdot": lambda xp, x: xp.vecdot(x, x, axis=0),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[0]),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, 2, 3)),
    "concat": lambda xp, x: (xp.concat([x, x * 2], axis=-1), xp.concat((x, x[0]), axis=None)),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "flip": lambda xp, x: (xp.flip(x), xp.flip(x, axis=(0, -1))),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, 1),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (1, 0)),
    "repeat": lambda xp, x: (xp.repeat(x, 2), xp.repeat(x, xp.asarray([1, 2]), axis=0)),
    "reshape": lambda xp, x: (xp.reshape(x, (3, -1), copy=True), xp.reshape(x, (6,), copy=False)),
    "roll": lambda xp, x: (xp.roll(x, (1, -2), axis=(0, 1)), xp.roll(x, 2)),
    "squeeze": lambda xp, x: xp.squeeze(x[None, :, None], axis=(0, 2)),
    "stack": lambda xp, x: xp.stack([x, x], axis=1),
    "tile": lambda xp, x: xp.tile(x, (2, 1, 2)),
    "unstack": lambda xp, x: (*xp.unstack(x, axis=1), *xp.unstack(x)),
    "argmax": lambda xp, x: (xp.argmax(x), xp.argmax(x, axis=1, keepdims=True)),
    "argmin": lambda xp, x: (xp.argmin(x), xp.argmin(x, axis=0, keepdims=True)),
    "count_nonzero": lambda xp, x: xp.count_nonzero(x, axis=0, keepdims=True),
    "nonzero": lambda xp, x: xp.nonzero(x > 0),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.sort(x[0]), x[1], side="right"),
    "where": lambda xp, x: (xp.where(x > 0, x, 0.0), xp.where(x > 0, x, x * x)),
    "argsort": lambda xp, x: (xp.argsort(x, axis=0, stable=False), xp.argsort(x)),
    "sort": lambda xp, x: (xp.sort(x, axis=0, stable=True), xp.sort(x)),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True, dtype=xp.float32),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=0, include_initial=True),
    "max": lambda xp, x: (xp.max(x), xp.max(x, axis=1, keepdims=True)),
    "min": lambda xp, x: (xp.min(x), xp.min(x, axis=(0, 1))),
    "mean": lambda xp, x: (xp.mean(x), xp.mean(x, axis=(0, 1), keepdims=True)),
    "prod": lambda xp, x: (xp.prod(x), xp.prod(x, axis=0, dtype=xp.float32)),
    "sum": lambda xp, x: (xp.sum(x), xp.sum(x, dtype=xp.float32, keepdims=True)),
    "std": lambda xp, x: (xp.std(x), xp.std(x, axis=1, correction=1.0)),
    "var": lambda xp, x: (xp.var(x), xp.var(x, axis=0, correction=1, keepdims=True)),
    "all": lambda xp, x: (xp.all(x > 0, axis=0), xp.all(x)),
    "any": lambda xp, x: (xp.any(x > 0, axis=0, keepdims=True), xp.any(x)),
    "diff": lambda xp, x: xp.diff(x, axis=1, n=1, prepend=x[:, :1], append=x[:, :2]),
    "linalg.cholesky": lambda xp, x: (xp.linalg.cholesky(_definite(x)), xp.linalg.cholesky(_definite(x), upper=True)),
    "linalg.cross": lambda xp, x: xp.linalg.cross(x, x * x, axis=1),
    "linalg.det": lambda xp, x: xp.linalg.det(_definite(x)),
    "linalg.diagonal": lambda xp, x: xp.linalg.diagonal(x, offset=1),
    "linalg.eigh": lambda xp, x: xp.linalg.eigh(_definite(x)),
    "linalg.eigvalsh": lambda xp, x: xp.linalg.eigvalsh(_definite(x)),
    "linalg.inv": lambda xp, x: xp.linalg.inv(_definite(x)),
    "linalg.matmul": lambda xp, x: xp.linalg.matmul(x, x.mT),
    "linalg.matrix_norm": lambda xp, x: (xp.linalg.matrix_norm(x), xp.linalg.matrix_norm(x, keepdims=True, ord="nuc")),
    "linalg.matrix_power": lambda xp, x: xp.linalg.matrix_power(_definite(x), -3),
    "linalg.matrix_rank": lambda xp, x: xp.linalg.matrix_rank(x, rtol=1e-3),
    "linalg.matrix_transpose": lambda xp, x: xp.linalg.matrix_transpose(x),
    "linalg.outer": lambda xp, x: xp.linalg.outer(x[0], x[1]),
    "linalg.pinv": lambda xp, x: xp.linalg.pinv(x, rtol=1e-3),
    "linalg.qr": lambda xp, x: xp.linalg.qr(x.mT, mode="reduced"),
    "linalg.slogdet": lambda xp, x: xp.linalg.slogdet(_definite(x)),
    "linalg.solve": lambda xp, x: xp.linalg.solve(_definite(x), x),
    "linalg.svd": lambda xp, x: xp.linalg.svd(x, full_matrices=False),
    "linalg.svdvals": lambda xp, x: xp.linalg.svdvals(x),
    "linalg.tensordot": lambda xp, x: xp.linalg.tensordot(x, x, axes=2),
    "linalg.trace": lambda xp, x: xp.linalg.trace(x, offset=1, dtype=xp.float64),
    "linalg.vecdot": lambda xp, x: xp.linalg.vecdot(x, x, axis=-1),
    "linalg.vector_norm": lambda xp, x: (
        xp.linalg.vector_norm(x), xp.linalg.vector_norm(x, axis=(0, 1), keepdims=True, ord=3)
    ),
    "fft.irfft": lambda xp, x: xp.fft.irfft(x + 0j, n=5, axis=1),
    "fft.irfftn": lambda xp, x: xp.fft.irfftn(x + 0j),
    "fft.fftfreq": lambda xp, x: xp.fft.fftfreq(4, d=0.5, device="cpu"),
    "fft.rfftfreq": lambda xp, x: xp.fft.rfftfreq(4, d=0.5, device="cpu"),
    "fft.fftshift": lambda xp, x: xp.fft.fftshift(x, axes=1),
    "fft.ifftshift": lambda xp, x: xp.fft.ifftshift(x),
}  # fmt: skip
_named(CALLS, ONE, lambda n: lambda xp, x: getattr(xp, n)(DOMAIN.get(n, lambda x: x)(x)))
_named(CALLS, TWO, lambda n: lambda xp, x: (getattr(xp, n)(x, x * 2 + 0.25), getattr(xp, n)(x, 2.0)))
_named(CALLS, WHOLE, lambda n: lambda xp, x: getattr(xp, n)(xp.astype(x, xp.int64), 3))
_named(CALLS, UNIQUE, lambda n: lambda xp, x: getattr(xp, n)(x))
_named(CALLS, "fft.fft fft.ifft fft.rfft fft.hfft fft.ihfft",
       lambda n: lambda xp, x: getattr(xp.fft, n)(x, n=4, axis=0, norm="ortho"))  # fmt: skip
_named(CALLS, "fft.fftn fft.ifftn fft.rfftn",
       lambda n: lambda xp, x: getattr(xp.fft, n)(x, s=(3, 4), axes=(0, 1), norm="forward"))  # fmt: skip

OBJECT = {
    "in place": lambda xp, x: _in_place(x),
    "writes": lambda xp, x: _writes(xp, x),
    "indices": lambda xp, x: (x[..., None, 1:], x[x > 0], x[xp.asarray([0, 1]), xp.asarray([2, 0])], x[-1, ::-2]),
    "reflected": lambda xp, x: (2 + x, 2 - x, 2 * x, 2 / x, 2 // x, 2**x, 2 % x, np.ones((2, 2)) @ x),
    "attributes": lambda xp, x: (x.mT, x.T, x.shape, x.size, x.ndim, x.device, x.to_device("cpu"), str(x.dtype)),
    "numbers": lambda xp, x: (bool(x[0, 0] > 0), int(xp.argmax(x)), float(xp.astype(x, xp.int64)[0, 0])),
    "namespace": lambda xp, x: x.__array_namespace__(api_version="2024.12").sum(x),
}


def _in_place(x):
    y = x * 1
    y += 1
    y *= 2
    y -= x
    y /= 3
    y **= 2
    y //= 0.5
    y %= 3
    y = y + x
    y[:, :2] @= x[:, :2]
    return y


def _writes(xp, x):
    y = xp.zeros((2, 3))
    y[0] = x[1]
    y[1, x[0] > 0] = 5.0
    y[:, 2:] = x[:, :1]
    return y


def _names():
    return [f"{part}.{name}".lstrip(".") for part, names in STANDARD.items() for name in names.split()]


def _flat(y):
    return [part for each in y for part in _flat(each)] if isinstance(y, (tuple, list)) else [y]


def _in_a_trace(call, x):
    found = []

    def f(x):
        found.extend(map(plain, _flat(call(anp, x))))
        return np.sum(x)

    ad.grad(f)(x)
    return found


def test_the_namespace_has_every_name_and_says_which_standard_it_follows():
    spaces = {"": anp, "linalg": anp.linalg, "fft": anp.fft}
    for part, names in STANDARD.items():
        assert not [name for name in names.split() if not hasattr(spaces[part], name)]
    assert anp.__array_api_version__ == np.__array_api_version__ >= "2024.12"
    assert anp.__array_namespace_info__().dtypes() == np.__array_namespace_info__().dtypes()


def test_a_tensor_has_every_method_and_attribute():
    seen = {}

    def f(x):
        seen.update({name: hasattr(type(x), name) for name in METHODS.split()})
        assert x.__array_namespace__() is anp
        assert x.__array_namespace__(api_version="2023.12") is anp
        with pytest.raises(ValueError, match="9999"):
            x.__array_namespace__(api_version="9999.12")
        return np.sum(x)

    ad.grad(f)(X)
    assert not [name for name, there in seen.items() if not there]


def test_every_function_of_the_standard_is_called_below():
    assert set(_names()) - set(NO_CALL.split()) == set(CALLS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*CALLS, *OBJECT])
def test_on_tensors_the_result_is_numpys(name, dtype):
    call, x = {**CALLS, **OBJECT}[name], X.astype(dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = _flat(call(np, x))
        got = _in_a_trace(call, x)
    assert len(got) == len(want)
    for y, true in zip(got, want, strict=True):
        if not isinstance(true, (np.ndarray, np.generic)):
            assert y == true
            continue
        assert y.dtype == true.dtype
        assert y.shape == true.shape
        np.testing.assert_allclose(y, true, rtol=8 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


# -- SciPy's functions for arrays of any namespace ---------------------------------------------------------------------

THROUGH_SCIPY = {
    "special": "logsumexp(x) softmax(x) log_softmax(x) entr(x) expit(x) gammaln(x) erf(x) logit(x/5) xlogy(x,x[::-1]) "
               "rel_entr(x,x[::-1]) log_ndtr(x)",
    "stats": "zscore(x) zmap(x,x) skew(x) kurtosis(x) gmean(x) hmean(x) pmean(x,3) variation(x) sem(x) moment(x,3) "
             "tmean(x) tvar(x) tstd(x) kstat(x,3) entropy(x) circmean(x) circvar(x) circstd(x) gstd(x) iqr(x) "
             "differential_entropy(x) lmoment(x,order=2) boxcox_llf(.5,x) ttest_1samp(x,1.).statistic "
             "ttest_1samp(x,1.).pvalue jarque_bera(x).statistic quantile(x,.3)",
    "integrate": "trapezoid(x**2,dx=.5) cumulative_trapezoid(x**2,dx=.5) cumulative_simpson(x**2,dx=.5)",
    "optimize": "rosen(x) rosen_der(x) rosen_hess(x)",
    "cluster.vq": "whiten(x.reshape(3,2))",
    "fft": "fft(x) rfft(x) irfft(x) fft2(x.reshape(2,3)) fftshift(x) fht(x,.1,.2)",
    "signal": "hilbert(x) fftconvolve(x,x[:3]) convolve(x,x,method='fft') resample(x,8) gausspulse(x,fc=1)",
    "linalg": "block_diag(x.reshape(2,3),x)",
    "differentiate": "derivative(xp.exp,x).df jacobian(xp.square,x).df",
}  # fmt: skip
"""Calls of functions of SciPy, by module."""

PROGRAM = """
import warnings
import numpy as np
import autodiff as ad
import autodiff.numpy as xp
from autodiff.testing import check_grads
from {package} import {name} as module
warnings.simplefilter("ignore")  # SciPy's own, about what is experimental
X = np.array([0.5, 1.25, 2.0, 0.75, 3.5, 1.6])
for text in {calls!r}.split():
    call = eval("lambda x: module." + text, {{"module": module, "xp": xp}})
    def number(x):
        y = call(x)
        return np.sum(np.sin(np.real(y)) + np.real(y * np.conj(y)) / 7)
    value, gradient = ad.value_and_grad(number)(X)
    assert np.isclose(value, number(X), rtol=1e-12), text
    assert gradient.any(), text
    check_grads(number, (X,), order=1)
    print(text, "ok")
"""


SLOW = ("signal", "stats")


@pytest.mark.parametrize(
    "module", [pytest.param(m, marks=pytest.mark.slow) if m in SLOW else m for m in THROUGH_SCIPY]
)
def test_functions_of_scipy_are_differentiated_through(module):
    """In a process of its own, because SciPy reads SCIPY_ARRAY_API when it is imported."""
    calls = THROUGH_SCIPY[module]
    package, _, name = f"scipy.{module}".rpartition(".")
    program = PROGRAM.format(package=package, name=name, calls=calls)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=200,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok") == len(calls.split())
