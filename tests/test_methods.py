"""Each method of ndarray, in all the ways to call it: NumPy's bits, dtype and type, and the right derivatives."""

import inspect

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import KeywordError
from autodiff.tensor import Tensor
from autodiff.testing import check_grads

GRID = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])

CALLS = {
    "all": [lambda x: x.all(), lambda x: x.all(0, keepdims=True), lambda x: x.all(axis=(0, 1), where=GRID)],
    "any": [lambda x: x.any(), lambda x: x.any(-1, keepdims=True), lambda x: x.any(axis=1, where=GRID)],
    "argmax": [lambda x: x.argmax(), lambda x: x.argmax(0), lambda x: x.argmax(axis=-1, keepdims=True)],
    "argmin": [lambda x: x.argmin(), lambda x: x.argmin(1, None), lambda x: x.argmin(keepdims=True)],
    "argpartition": [
        lambda x: x.argpartition(1), lambda x: x.argpartition((0, 2), 0), lambda x: x.argpartition(5, None),
        lambda x: x.argpartition(kth=-1, axis=-2, kind="introselect"),
    ],
    "argsort": [
        lambda x: x.argsort(), lambda x: x.argsort(0, "stable"), lambda x: x.argsort(axis=None),
        lambda x: x.argsort(-1, stable=True),
    ],
    "astype": [
        lambda x: x.astype(np.complex128), lambda x: x.astype("f4", "F", "unsafe"), lambda x: x.astype(x.dtype, copy=0),
        lambda x: x.astype(dtype=np.clongdouble, order="K", casting="safe", subok=False, copy=True),
    ],
    "choose": [
        lambda x: anp.array(GRID).astype(int).choose([x, 2 * x]), lambda x: anp.ones((3, 4), int).choose([x, x * x]),
        lambda x: (anp.array(GRID) * 5).choose([x[0], x[1]], mode="wrap"),
        lambda x: (9 * anp.array(GRID)).choose(x, x * x, out=None, mode="clip"),
    ],
    "clip": [
        lambda x: x.real.clip(-0.5, 0.5), lambda x: x.real.clip(min=x.real[0]), lambda x: x.real.clip(None, 0.3),
        lambda x: x.real.clip(max=0.7), lambda x: x.real.clip(-0.5, 0.5, None),
    ],
    "compress": [
        lambda x: x.compress([True, False, True]), lambda x: x.compress([0, 1, 1, 0], axis=1),
        lambda x: x.compress(GRID[:, 0], 0), lambda x: x.compress(condition=[True], axis=-1, out=None),
    ],
    "conj": [lambda x: x.conj()],
    "conjugate": [lambda x: x.conjugate()],
    "copy": [lambda x: x.copy(), lambda x: x.copy("F"), lambda x: x.copy(order="K")],
    "cumprod": [lambda x: x.cumprod(), lambda x: x.cumprod(0, np.complex128), lambda x: x.cumprod(axis=-1, out=None)],
    "cumsum": [lambda x: x.cumsum(), lambda x: x.cumsum(1, dtype=np.clongdouble), lambda x: x.cumsum(axis=0)],
    "diagonal": [
        lambda x: x.diagonal(), lambda x: x.diagonal(-1), lambda x: x[None].diagonal(1, 1, -1),
        lambda x: x.diagonal(offset=2, axis1=1, axis2=0),
    ],
    "dot": [lambda x: x.dot(x.T), lambda x: x.dot(np.ones(4)), lambda x: x.dot(2.0), lambda x: x[0].dot(b=x[1])],
    "flatten": [
        lambda x: x.flatten(), lambda x: x.flatten("F"), lambda x: x.T.flatten(order="A"), lambda x: x.T.flatten("K"),
    ],
    "max": [
        lambda x: x.max(), lambda x: x.max(0), lambda x: x.max((0, 1), None, True),
        lambda x: x.max(axis=-1, initial=0.25, where=GRID),
    ],
    "mean": [
        lambda x: x.mean(), lambda x: x.mean(0, np.complex128), lambda x: x.mean((0, -1), keepdims=True),
        lambda x: x.mean(axis=1, where=GRID),
    ],
    "min": [lambda x: x.min(), lambda x: x.min(axis=1, keepdims=True), lambda x: x.min(0, initial=9, where=GRID)],
    "nonzero": [lambda x: np.stack(x.nonzero())],
    "prod": [
        lambda x: x.prod(), lambda x: x.prod(0, np.complex128), lambda x: x.prod((0, 1), None, None, True, 2.0),
        lambda x: x.prod(axis=1, initial=2, where=GRID),
    ],
    "ravel": [
        lambda x: x.ravel(), lambda x: x.ravel("F"), lambda x: x.T.ravel(order="A"), lambda x: x.T.ravel("K"),
    ],
    "repeat": [
        lambda x: x.repeat(2), lambda x: x.repeat([1, 0, 2], 0), lambda x: x.repeat(repeats=3, axis=-1),
        lambda x: x.repeat(np.array([2]), axis=1),
    ],
    "reshape": [
        lambda x: x.reshape(4, 3), lambda x: x.reshape((2, -1)), lambda x: x.reshape(-1, order="F"),
        lambda x: x.T.reshape([2, 6], order="A"), lambda x: x.reshape(12, copy=True),
        lambda x: x.reshape(12, copy=None),
    ],
    "round": [
        lambda x: x.round(), lambda x: x.round(1), lambda x: (100 * x).round(decimals=-1), lambda x: x.round(2, None),
    ],
    "searchsorted": [
        lambda x: x[0].searchsorted(x[1], "right", x[0].argsort()), lambda x: x[0].searchsorted(v=0.5, side="left"),
    ],
    "squeeze": [
        lambda x: x[None].squeeze(), lambda x: x[None, :, :, None].squeeze((0, -1)), lambda x: x[:1].squeeze(axis=0),
    ],
    "std": [
        lambda x: x.std(), lambda x: x.std(0, None, None, 1), lambda x: x.std((0, 1), ddof=1, keepdims=True),
        lambda x: x.std(axis=1, where=GRID),
        lambda x: x.std(axis=1, mean=x.mean(axis=1, keepdims=True)),
    ],
    "sum": [
        lambda x: x.sum(), lambda x: x.sum(0, np.complex128), lambda x: x.sum((0, -1), keepdims=True),
        lambda x: x.sum(1, None, None, False, 2.5), lambda x: x.sum(axis=-1, where=GRID, initial=1),
    ],
    "swapaxes": [lambda x: x.swapaxes(0, 1), lambda x: x[None].swapaxes(-1, 0)],
    "take": [
        lambda x: x.take([0, -1]), lambda x: x.take([[0, 2], [1, 1]], 1), lambda x: x.take(2, axis=0),
        lambda x: x.take([-9, 17], 0, None, "wrap"), lambda x: x.take(indices=[-9, 17], axis=1, mode="clip"),
    ],
    "to_device": [lambda x: x.to_device("cpu"), lambda x: x.to_device("cpu", stream=None)],
    "trace": [
        lambda x: x.trace(), lambda x: x.trace(1), lambda x: x[None].trace(-1, 1, 2), lambda x: x.trace(dtype=complex),
        lambda x: x.trace(offset=0, axis1=1, axis2=0, out=None),
    ],
    "transpose": [
        lambda x: x.transpose(), lambda x: x.transpose(None), lambda x: x[None].transpose(2, 0, 1),
        lambda x: x.transpose([1, 0]), lambda x: x[None].transpose((-1, 0, -2)),
    ],
    "var": [
        lambda x: x.var(), lambda x: x.real.var(0, np.result_type(x.real, float), None, 1),
        lambda x: x.var(axis=(0, 1), keepdims=True),
        lambda x: x.var(1, ddof=1, where=GRID | (np.arange(4) < 2)),
        lambda x: x.var(axis=0, mean=x.mean(0, keepdims=True)),
    ],
    "view": [
        lambda x: x.view(), lambda x: x.view(x.dtype), lambda x: x.view(np.ndarray), lambda x: x.view(type=np.ndarray),
    ],
}  # fmt: skip

WRITES = {"fill", "partition", "put", "resize", "setfield", "setflags", "sort"}
SUMMED = {"mean", "prod", "std", "sum", "var"}
PLAIN = {"byteswap", "dump", "dumps", "getfield", "item", "tobytes", "tofile", "tolist"}
CASES = [pytest.param(name, call, id=f"{name}-{k}") for name, calls in CALLS.items() for k, call in enumerate(calls)]


def test_every_method_is_called():
    methods = {n for n in dir(np.ndarray) if not n.startswith("_") and callable(getattr(np.ndarray, n))}
    assert set(CALLS) | WRITES | PLAIN == methods


@pytest.mark.parametrize(("name", "call"), CASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128, np.longdouble])
@pytest.mark.filterwarnings("error", "ignore:Casting complex values to real")
def test_as_numpy(name, call, dtype, rng):
    x = rng.standard_normal((3, 4)).astype(dtype)
    if x.dtype.kind == "c":
        x = x + (1j * rng.standard_normal((3, 4))).astype(dtype)
    expected = call(x)
    y, _ = ad.vjp(call, x)
    assert type(y) is type(expected)
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
    rtol = 8 * np.finfo(dtype).eps if name in SUMMED else 0.0  # `initial` comes last in our sums, first in NumPy's
    np.testing.assert_allclose(y, expected, rtol=rtol, atol=rtol)
    if dtype in (np.float64, np.complex128) and y.dtype in (np.float64, np.complex128):
        check_grads(call, (x,), order=1)
        check_grads(lambda x: call(x) ** 2, (x,), order=2)


OUT = {
    "all": bool, "any": bool, "argmax": int, "argmin": int, "clip": float, "cumprod": float, "cumsum": float,
    "max": float, "mean": float, "min": float, "prod": float, "round": float, "std": float, "sum": float,
    "trace": float, "var": float,
}  # fmt: skip


@pytest.mark.parametrize("name", OUT)
def test_out_is_refused(name):
    arguments = {"clip": {"min": 0.0}, "cumsum": {"axis": 0}, "cumprod": {"axis": 0}}.get(name, {})
    shape = (2, 2) if name in ("clip", "cumsum", "cumprod", "round") else ()
    assert getattr(np.ones((2, 2)), name)(out=np.zeros(shape, OUT[name]), **arguments).shape == shape
    with pytest.raises(KeywordError, match="'out'"):
        ad.vjp(lambda x: getattr(x, name)(out=np.zeros(shape, OUT[name]), **arguments), np.ones((2, 2)))


@pytest.mark.parametrize("call", [
    lambda x: x.dot(np.ones((2, 2)), out=np.zeros((2, 2))), lambda x: x.take([0], out=np.zeros(1)),
    lambda x: x.compress([True], axis=0, out=np.zeros((1, 2))), lambda x: x.dot(np.ones((2, 2)), np.zeros((2, 2))),
])  # fmt: skip
def test_out_of_other_methods_is_refused(call):
    with pytest.raises(KeywordError, match="'out'"):
        ad.vjp(call, np.ones((2, 2)))


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"view"}))
def test_no_keyword_is_swallowed(name):
    with pytest.raises(TypeError):
        ad.vjp(lambda x: getattr(x, name)(nonsense=1), np.ones((2, 2)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.dot(2.0), lambda x: np.dot(2.0, x), lambda x: np.inner(x, 2), lambda x: np.outer(x, 2.0),
        lambda x: np.kron(2.0, x), lambda x: np.tensordot(x, 2.0, axes=0), lambda x: np.multiply.outer(x, 2.0),
        lambda x: np.multiply.outer([1.0, 2.0], x),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_in_a_product(f, dtype):
    x = np.arange(6.0, dtype=dtype).reshape(2, 3)
    y, _ = ad.vjp(f, x)
    assert y.dtype == f(x).dtype
    np.testing.assert_array_equal(y, f(x))
    if dtype == np.float64:
        check_grads(lambda x: f(x) ** 2, (x,), order=2)


def test_every_method_says_what_it_is():
    for name in CALLS.keys() | WRITES | PLAIN:
        assert inspect.getdoc(getattr(Tensor, name)), name
