"""Joins and splits: NumPy's spellings, parts that are not used, cuts that do not ascend."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.graph import OPERATIONS
from tests.ops.as_numpy import check_as_numpy

ROW = np.array([0.5, -1.0, 2.0, 0.25])
VECTOR = {
    "concatenate all, flattened": lambda x: np.concatenate([x, [[1.0], [2.0]]], axis=None),
    "concatenate, with itself": lambda x: np.concatenate((x, x * x, ROW)),
    "concatenate, dtype": lambda x: np.concatenate([x, x], dtype=np.longdouble),
    "concat": lambda x: np.concat([x, x]),
    "hstack with a number": lambda x: np.hstack([x, 1.0, x]),
    "vstack": lambda x: np.vstack([x, ROW, x[None]], dtype=np.longdouble),
    "dstack": lambda x: np.dstack([x, ROW]),
    "column_stack": lambda x: np.column_stack([x, np.ones((4, 2)), x]),
    "block of a row": lambda x: np.block([x, 1.0, x]),
    "block of nothing": lambda x: np.block(x),
    "append": lambda x: np.append(x, ROW),
    "split at places": lambda x: np.split(x, [1, 1, 3])[2],
    "split, cuts that descend": lambda x: np.concatenate(np.split(x, [3, 1])),
    "split, cuts from the end": lambda x: np.concatenate([p * p for p in np.split(x, [-1])]),
    "split, cuts beyond the end": lambda x: np.concatenate(np.split(x, [2, 9])),
    "array_split": lambda x: np.concatenate(np.array_split(x, 3)[::-1]),
    "hsplit": lambda x: np.hsplit(x, [2])[1],
    "ediff1d": lambda x: np.ediff1d(x, to_begin=2.0, to_end=[1.0, 5.0]),
    "diff with edges": lambda x: np.diff(x, prepend=1.0, append=ROW[:2]),
}
MATRIX = {
    "concatenate the rows": lambda x: np.concatenate(x),
    "stack at the end": lambda x: np.stack([x, x * 2], axis=-1),
    "stack the rows": lambda x: np.stack(x, 1),
    "hstack": lambda x: np.hstack([x, np.ones((3, 1))]),
    "dstack": lambda x: np.dstack([x, x]),
    "block": lambda x: np.block([[x, np.ones((3, 2))], [np.zeros((1, 4)), np.ones((1, 2))]]),
    "block, deeper than the arrays": lambda x: np.block([[[x, x]]]),
    "append along an axis": lambda x: np.append(x, x, axis=1),
    "split": lambda x: np.multiply(*np.split(x, 2, axis=1)),
    "vsplit": lambda x: np.vsplit(x, 3)[1],
    "hsplit": lambda x: np.hsplit(x, 2)[1],
    "dsplit": lambda x: np.dsplit(x[None], 2)[0],
    "unstack": lambda x: np.unstack(x, axis=1)[2] * np.unstack(x, axis=-1)[0],
    "diff": lambda x: np.diff(x),
    "diff, no time": lambda x: np.diff(x, 0),
    "diff, twice along an axis": lambda x: np.diff(x, 2, 0),
}


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        pytest.param(f, shape, id=f"{name} of {shape}")
        for shape, functions in (((4,), VECTOR), ((3, 4), MATRIX))
        for name, f in functions.items()
    ],
)
def test_as_numpy(f, shape, rng):
    check_as_numpy(f, rng.standard_normal(shape))


def test_split_is_one_node_with_an_item_for_each_part_that_is_used():
    graph = ad.trace(lambda x: np.multiply(*np.split(x, 3)[:2]))(np.arange(6.0))
    assert [node.op.name for node in graph.nodes] == ["input", "split", "item", "item", "multiply"]
    np.testing.assert_array_equal(graph.backward(np.ones(2))["x"], [2, 3, 0, 1, 0, 0])


def test_a_part_that_is_not_used_passes_a_true_zero():
    with np.errstate(divide="ignore"):
        found = ad.grad(lambda x: np.sum(np.split(np.log(x), 2)[0]))(np.array([2.0, 4.0, 0.0, 0.0]))
    np.testing.assert_array_equal(found, [0.5, 0.25, 0, 0])


def test_writing_into_one_part_while_another_lives():
    def f(x):
        y = x * 1.0
        a, b = np.split(y, 2)
        a += b
        return np.sum(a * b) + np.sum(y)

    x = np.arange(4.0)  # (x₀ + x₂)·x₂ + (x₁ + x₃)·x₃ + x₀ + x₁ + 2x₂ + 2x₃
    assert ad.value_and_grad(f)(x)[0] == f(x)
    np.testing.assert_array_equal(ad.grad(f)(x), [3.0, 4.0, 0.0 + 2 * 2 + 2, 1.0 + 2 * 3 + 2])


def test_join_of_several_traces():
    def f(x):
        return np.sum(ad.grad(lambda y: np.sum(np.concatenate([x, y, ROW]) ** 3))(x * 1.0))

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(ad.grad(f)(x), 6 * x)


def test_joins_keep_no_array():
    x = np.ones(3)
    for name in ("concatenate", "stack"):
        plan = OPERATIONS[name].plan((0, 1))
        assert all(not isinstance(kept, np.ndarray) for kept in plan.keep((x, x)))
        assert not plan.result


def test_refusals():
    x = np.ones((2, 3))
    for f in (np.concatenate, np.stack):
        with pytest.raises(KeywordError, match="'out'"):
            ad.grad(lambda x, f=f: np.sum(f([x, x], out=np.zeros((4, 3)))))(x)
    with pytest.raises(TypeError, match="Cannot cast"):
        ad.grad(lambda x: np.sum(np.concatenate([x, x], dtype=np.float32, casting="safe")))(x)
    for f, words in (
        (lambda x: np.split(x, 2, axis=1)[0], "equal division"),
        (lambda x: np.array_split(x, 0)[0], "larger than 0"),
        (lambda x: np.dsplit(x, 1)[0], "3 or more dimensions"),
        (lambda x: np.vsplit(x[0], 1)[0], "2 or more dimensions"),
        (lambda x: np.block([x, [x]]), "depths are mismatched"),
        (lambda x: np.block([[x], []]), "cannot be empty"),
        (lambda x: np.diff(x, -1), "non-negative"),
    ):
        with pytest.raises(ValueError, match=words):
            ad.grad(lambda x, f=f: np.sum(f(x)))(x)
