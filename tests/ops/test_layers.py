"""Affine maps, tables of rows and dropout: what is refused, what is drawn, what a lookup costs."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import DtypeError, LabelError, SettingError, ShapeError
from autodiff.testing import check_grads

LABELS = np.array([[2, 0], [1, 2]])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_dense_is_an_affine_map(rng, shape, bias):
    args = [rng.standard_normal(s) for s in (shape, (4, 5), (5,))][: 2 + bias]
    y = nn.dense(*args)
    np.testing.assert_array_equal(y, args[0] @ args[1] + (args[2] if bias else 0))
    check_grads(nn.dense, tuple(args), order=2)


def test_dense_takes_complex_numbers_and_lists(rng):
    z = rng.standard_normal((2, 3)) + 1j * rng.standard_normal((2, 3))
    check_grads(nn.dense, (z, rng.standard_normal((3, 2))), order=2)
    assert nn.dense([1.0, 2.0], [[1.0], [1.0]], [0.5]).tolist() == [3.5]


STRETCHED = [((2, 3), (2, 1)), ((3,), (5, 4)), ((2, 3), ()), ((2, 3), (1,)), ((2, 3), (3,))]


@pytest.mark.parametrize(("x", "bias"), STRETCHED)
def test_a_bias_that_would_stretch_is_refused(x, bias):
    with pytest.raises(ShapeError, match=r"instead: shape \(4,\)"):
        nn.dense(np.ones(x), np.ones((3, 4)), np.ones(bias))


def test_stacks_of_matrices_and_vectors_have_their_biases_too(rng):
    check_grads(nn.dense, tuple(rng.standard_normal(s) for s in ((2, 5, 3), (2, 3, 4), (4,))), order=2)
    check_grads(nn.dense, tuple(rng.standard_normal(s) for s in ((5, 3), (3,), ())), order=2)


def test_empty_lists_of_labels():
    assert nn.one_hot([], 3).shape == (0, 3)
    assert nn.embedding([[], []], np.ones((4, 5))).shape == (2, 0, 5)
    assert ad.grad(lambda t: np.sum(nn.embedding([], t)))(np.ones((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(DtypeError, match="float64"):
        nn.one_hot(np.zeros(0), 3)


def test_a_table_without_rows_is_refused():
    with pytest.raises(ShapeError, match="rows"):
        nn.embedding(0, np.float64(3.0))


def test_a_rate_is_a_number(rng):
    x = np.ones(8, np.float32)
    assert nn.dropout(x, np.float64(0.5), rng).dtype == np.float32
    with pytest.raises(SettingError, match=r"dropout\(x, rate, rng\)"):
        nn.dropout(x, rng, 0.2)
    with pytest.raises(SettingError, match="rate is a tensor"):
        ad.grad(lambda r: np.sum(nn.dropout(x, r, rng)))(0.5)
    with pytest.raises(SettingError, match="one real number"):
        nn.dropout(x, "half", rng)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, bool])
def test_one_hot_rows(dtype):
    rows = nn.one_hot(LABELS, 4, dtype=dtype)
    assert rows.shape == (2, 2, 4)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(np.argmax(rows, axis=-1), LABELS)
    np.testing.assert_array_equal(rows.sum(axis=-1), 1)


def test_one_hot_of_positions_found_in_a_trace():
    """Positions of a tensor are a constant; a full trace, which records them, takes them as well."""
    def f(x):
        return np.sum(nn.one_hot(np.argmax(x, axis=1), 3) * x)

    x = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
    np.testing.assert_array_equal(ad.grad(f)(x), [[0, 1, 0], [1, 0, 0]])
    assert ad.flow(f)(x).graph.values.results[-1] == 1.2


@pytest.mark.parametrize("indices", [np.array(3), np.array([1, 1, 0]), LABELS, np.zeros((0, 2), int)], ids=str)
@pytest.mark.parametrize("width", [(), (3,), (2, 3)])
def test_embedding_takes_rows(rng, indices, width):
    table = rng.standard_normal((5, *width))
    np.testing.assert_array_equal(nn.embedding(indices, table), table[indices])
    seed = rng.standard_normal((*indices.shape, *width))
    want = np.zeros_like(table)
    for place, row in np.ndenumerate(indices):
        want[row] += seed[place]
    np.testing.assert_allclose(ad.grad(lambda w: np.sum(nn.embedding(indices, w) * seed))(table), want, rtol=1e-15)
    check_grads(lambda w: nn.embedding(indices, w) ** 2, (table,), order=2)


def test_many_lookups_share_one_buffer(monkeypatch):
    """Each lookup writes its own rows: one dense array for all of them, not one for each."""
    made = []
    zeros = np.zeros
    monkeypatch.setattr(np, "zeros", lambda shape, *args, **kwargs: made.append(shape) or zeros(shape, *args, **kwargs))
    table = np.ones((1000, 4))
    d = ad.grad(lambda w: sum(np.sum(nn.embedding([i, 2 * i], w)) for i in range(20)))(table)
    assert made.count((1000, 4)) == 1
    assert d[0].tolist() == [2.0] * 4
    assert np.sum(d) == 20 * 2 * 4


@pytest.mark.parametrize("call", [
    lambda labels: nn.one_hot(labels, 3),
    lambda labels: nn.embedding(labels, np.ones((3, 2))),
    lambda labels: ad.grad(lambda w: np.sum(nn.embedding(labels, w)))(np.ones((3, 2))),
])  # fmt: skip
def test_labels_are_refused_by_name(call):
    for labels, worst in (([0, -1], "-1"), ([3, 1], "3")):
        with pytest.raises(LabelError, match=f"label {worst} among 3"):
            call(labels)
        with pytest.raises(IndexError):
            call(np.array(labels, np.int8))
    for labels in ([0.0, 1.0], [True, False], ["a"]):
        with pytest.raises(DtypeError):
            call(np.array(labels))


def test_dropout_is_what_the_generator_says():
    x = np.arange(1.0, 2001.0)
    y = nn.dropout(x, 0.25, np.random.default_rng(3))
    kept = np.random.default_rng(3).random(x.shape) >= 0.25
    np.testing.assert_allclose(y, np.where(kept, x / 0.75, 0), rtol=1e-15)
    assert 0.7 < np.mean(kept) < 0.8
    d = ad.grad(lambda x: np.sum(nn.dropout(x, 0.25, np.random.default_rng(3))))(x)
    np.testing.assert_allclose(d, kept / 0.75, rtol=1e-15)
    assert nn.dropout(x.astype(np.float32), 0.25, np.random.default_rng(3)).dtype == np.float32


def test_dropout_gives_what_it_drops_a_true_zero():
    x = np.full(100, np.inf)
    f = lambda x: np.sum(np.where(np.isinf(nn.dropout(1 / x, 0.5, np.random.default_rng(0))), 0.0, x))
    assert np.isfinite(ad.grad(f)(np.zeros(100) + 1.0)).all()
    y = nn.dropout(x, 0.5, np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, np.inf}


def test_dropout_at_the_ends_of_the_rate():
    x = np.arange(4.0)
    np.testing.assert_array_equal(nn.dropout(x, 0, None), x)
    np.testing.assert_array_equal(nn.dropout(x, 1, np.random.default_rng(0)), 0)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(nn.dropout(x, 1, np.random.default_rng(0))))(x), 0)
    rng = np.random.default_rng(0)
    nn.dropout(x, 0, rng)
    assert rng.random() == np.random.default_rng(0).random()  # nothing was drawn


@pytest.mark.parametrize(("rate", "rng"), [(-0.1, 0), (1.5, 0), (np.nan, 0), (0.5, None), (0.5, 7), (0.5, np.random)])
def test_dropout_refuses(rate, rng):
    rng = np.random.default_rng(rng) if rng == 0 else rng
    with pytest.raises(SettingError, match="dropout"):
        nn.dropout(np.ones(3), rate, rng)
