"""Flat functions: NumPy's own results, in every trace, with every keyword."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.sweep import evaluate

X = np.array([[3.0, -1.0, 2.0, 2.0], [0.0, 5.0, np.nan, -4.0]])
Y = np.array([[1.4, -0.6, 2.5, 1.0], [0.0, 5.2, 0.25, -4.0]])

CALLS = {
    "argmax": lambda x: np.argmax(x),
    "argmax axis": lambda x: np.argmax(x, axis=1),
    "argmax keepdims": lambda x: np.argmax(x, 0, keepdims=True),
    "argmin": lambda x: x.argmin(axis=-1),
    "nanargmax": lambda x: np.nanargmax(x, axis=1),
    "argsort": lambda x: np.argsort(x, axis=0, kind="stable"),
    "argsort stable": lambda x: np.argsort(x, stable=True),
    "argpartition": lambda x: np.argpartition(x, 2, axis=1),
    "lexsort": lambda x: np.lexsort((x[0], x[1])),
    "searchsorted": lambda x: np.searchsorted(np.array([-2.0, 0.0, 2.0]), x, side="right"),
    "searchsorted of tensors": lambda x: np.searchsorted(x[0] * 0 + np.arange(4.0), x),
    "searchsorted sorter": lambda x: np.searchsorted(x[0], 2.0, sorter=np.array([1, 2, 3, 0])),
    "digitize": lambda x: np.digitize(x, np.array([-2.0, 0.0, 2.0]), right=True),
    "count_nonzero": lambda x: np.count_nonzero(x, axis=0, keepdims=True),
    "any": lambda x: np.any(x > 2, axis=1),
    "any where": lambda x: np.any(x, where=x < 0),
    "any where axis": lambda x: np.any(x > 2, axis=0, keepdims=True, where=np.array([True, False, True, True])),
    "all": lambda x: (x > -5).all(),
    "all axis": lambda x: np.all(x, axis=0),
    "round": lambda x: np.round(x / 3, 2),
    "around": lambda x: np.around(x / 3, decimals=1),
    "fix": lambda x: np.fix(x / 2),
    "rint": lambda x: np.rint(x / 3),
    "floor_divide": lambda x: x // 2.0,
    "spacing": np.spacing,
    "signbit": np.signbit,
    "isclose": lambda x: np.isclose(x, 2.0, rtol=0.5, equal_nan=True),
    "allclose": lambda x: np.allclose(x, x, equal_nan=True),
    "array_equal": lambda x: np.array_equal(x, X, equal_nan=True),
    "array_equiv": lambda x: np.array_equiv(x[0], X[0]),
    "iscomplex": np.iscomplex,
    "isreal": np.isreal,
    "isposinf": np.isposinf,
    "isin": lambda x: np.isin(x, [2.0, 3.0], invert=True),
    "logical": lambda x: np.logical_and(x > 0, np.logical_not(np.isnan(x))),
    "logical xor": lambda x: np.logical_xor(x, x > 1),
    "shift": lambda x: np.left_shift(np.argmax(x, 1), 2),
    "gcd": lambda x: np.gcd(np.argmax(x, 1), 6),
    "bitwise_count": lambda x: np.bitwise_count(np.argsort(x, 1)),
    "nonzero": lambda x: np.stack(np.nonzero(x > 0)),
    "flatnonzero": lambda x: np.flatnonzero(x > 0),
    "argwhere": lambda x: np.argwhere(x > 0),
    "can_cast": lambda x: np.can_cast(x, np.float32),
    "shape": lambda x: (*np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)),
    "iscomplexobj": lambda x: (np.iscomplexobj(x), np.isrealobj(x)),
    "result_type": lambda x: np.result_type(x, np.complex64) == np.complex128,
    "may_share_memory": lambda x: np.may_share_memory(x, x[0]),
}


@pytest.mark.parametrize("x", [X, Y], ids=["with nan", "finite"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_tensor_gets_numpys_own_answer_and_sends_nothing_back(call, x):
    want = call(x)
    seen = []

    def f(x):
        with np.errstate(invalid="ignore"):
            seen.append(np.asarray(call(x)))
        return np.sum(x)

    np.testing.assert_array_equal(ad.grad(f)(x), np.ones_like(x))
    ad.trace(f)(x)  # a full trace records flat nodes as well
    ad.jvp(f, (x,), (np.ones_like(x),))
    ad.grad(lambda x: ad.grad(f)(x).sum())(x)
    for got in seen:
        np.testing.assert_array_equal(got, want)
        assert got.dtype == np.asarray(want).dtype
    assert len(seen) == 4


def test_stopped_by_a_flat_function_the_gradient_is_zero():
    x = np.array([1.2, -0.7])
    for f in (np.floor, np.ceil, np.trunc, np.rint, np.round, np.sign, np.fix, np.spacing):
        np.testing.assert_array_equal(ad.grad(lambda x, f=f: np.sum(f(x) * x))(x), f(x))
        np.testing.assert_array_equal(ad.grad(lambda x, f=f: np.sum(f(x)))(x), np.zeros(2))


def test_flat_nodes_are_computed_again_on_replay():
    graph = ad.trace(lambda x: np.where(np.isclose(x, 1.0), x, np.round(x, 1)))(np.array([1.0, 2.04]))
    values = evaluate(graph, [np.array([1.54, 1.0])])
    np.testing.assert_array_equal(values.results[graph.outputs[0]], [1.5, 1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.argmax(x, out=np.zeros((), np.intp)),
        lambda x: np.any(x, out=np.zeros((), bool)),
        lambda x: np.all(x, out=np.zeros((), bool)),
        lambda x: np.round(x, out=np.zeros(2)),
        lambda x: np.argsort(x, order="field"),
    ],
)
def test_keywords_without_meaning_here_are_refused(call):
    with pytest.raises(KeywordError):
        ad.grad(lambda x: np.sum(x * call(x)))(np.ones(2))


def test_full_like_carries_a_derivative_of_what_it_is_filled_with():
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.full_like(x, x[1])))(np.ones(3)), [0.0, 3.0, 0.0])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x * np.full_like(x, 2.0)))(np.ones(3)), [2.0, 2.0, 2.0])


def test_the_grid_of_numbers_has_no_slope():
    """What nextafter and spacing tell is where the numbers stand that can be stored."""
    for f in (lambda x: np.nextafter(x, 9.0), lambda x: np.nextafter(2.0, x), np.spacing):
        assert ad.vjp(f, 1.5)[0] == f(1.5)
        assert ad.grad(lambda x, f=f: f(x) * x)(1.5) == f(1.5)
