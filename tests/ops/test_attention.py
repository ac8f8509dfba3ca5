"""Attention against its definition in other operations; masks, rows in which all is masked, heads."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import DtypeError, SettingError, ShapeError
from autodiff.testing import check_grads

SHAPES = {
    "plain": ((5, 4), (6, 4), (6, 3)),
    "batch and heads": ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 3)),
    "one set of keys for all heads": ((2, 3, 5, 4), (2, 1, 6, 4), (2, 1, 6, 3)),
    "values for several": ((5, 4), (6, 4), (2, 6, 3)),
    "queries for several": ((2, 5, 4), (6, 4), (6, 3)),
}


def drawn(rng, name):
    return tuple(rng.standard_normal(shape) for shape in SHAPES[name])


def by_definition(q, k, v, mask=None, causal=False, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    return nn.softmax(scores) @ v


@pytest.mark.parametrize("settings", [{}, {"causal": True}, {"scale": 0.7}], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_its_definition(rng, name, settings):
    args = drawn(rng, name)
    want = by_definition(*args, **settings)
    np.testing.assert_allclose(nn.attention(*args, **settings), want, rtol=1e-13, atol=1e-14)
    seed = rng.standard_normal(want.shape)
    got, true = (
        ad.grad(lambda *args, f=f: np.sum(f(*args, **settings) * seed), argnums=(0, 1, 2))(*args)
        for f in (nn.attention, by_definition)
    )
    for g, t in zip(got, true, strict=True):
        np.testing.assert_allclose(g, t, rtol=1e-12, atol=1e-13)
    check_grads(lambda *args: nn.attention(*args, **settings), args, order=2)


@pytest.mark.parametrize("shape", [(5, 6), (6,), (5, 1), (3, 1, 6), (2, 3, 5, 6)])
def test_masks_stretch(rng, shape):
    q, k, v = drawn(rng, "batch and heads")
    seen = rng.random(shape) < 0.7
    seen[..., 0] = True
    np.testing.assert_allclose(nn.attention(q, k, v, seen), by_definition(q, k, v, seen), rtol=1e-13, atol=1e-14)
    same = np.where(seen, 0.0, -np.inf)
    np.testing.assert_array_equal(nn.attention(q, k, v, same), nn.attention(q, k, v, seen))
    added = rng.standard_normal(shape)
    if shape[-1] > 1:
        check_grads(nn.attention, (q, k, v, added), order=2)
    else:  # the same for all keys: it changes nothing
        np.testing.assert_allclose(ad.grad(lambda m: np.sum(nn.attention(q, k, v, m) ** 2))(added), 0, atol=1e-13)


def test_both_the_mask_and_the_past_must_allow_it(rng):
    q, k, v = (rng.standard_normal((4, 3)) for _ in range(3))
    seen = np.array([True, False, True, True])
    p = nn.attention(q, k, v, seen, causal=True, return_weights=True)[1]
    np.testing.assert_array_equal(p > 0, np.tri(4) * seen > 0)
    np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["booleans", "numbers"])
def test_a_query_that_may_look_at_nothing_gets_zeros(rng, kind):
    q, k, v = drawn(rng, "plain")
    seen = np.ones((5, 6), bool)
    seen[2] = False
    mask = seen if kind == "booleans" else np.where(seen, 0.5, -np.inf)
    y, pullback = ad.vjp(lambda q, k, v: nn.attention(q, k, v, mask), q, k, v)
    np.testing.assert_array_equal(y[2], 0)
    others = np.delete(np.arange(5), 2)
    np.testing.assert_allclose(y[others], by_definition(q[others], k, v), rtol=1e-13)
    dq, dk, dv = pullback(np.ones_like(y))
    np.testing.assert_array_equal(dq[2], 0)
    assert all(np.isfinite(d).all() for d in (dq, dk, dv))
    alone = pullback(np.eye(5, 3) * 0 + np.where(np.arange(5)[:, None] == 2, 1.0, 0.0))
    assert all((d == 0).all() for d in alone)
    if kind == "numbers":
        d = ad.grad(lambda m: np.sum(nn.attention(q, k, v, m) ** 2))(mask)
        assert np.isfinite(d).all()
        np.testing.assert_array_equal(d[2], 0)
    hvp = ad.hvp(lambda q: np.sum(nn.attention(q, k, v, mask) ** 2), (q,), (np.ones_like(q),))
    assert np.isfinite(hvp[1]).all()


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_large_scores_neither_overflow_nor_vanish(size, dtype):
    q = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype) * dtype(size)
    v = np.array([[1.0], [2.0], [4.0]], dtype)
    y, pullback = ad.vjp(lambda q, k, v: nn.attention(q, k, v), q, q, v)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.ravel(), [2.5, 3.0, 4.0])  # the first two look at two keys alike
    assert all(np.isfinite(d).all() and d.dtype == dtype for d in pullback(np.ones_like(y)))


def test_heads_are_parts_of_the_last_axis(rng):
    q, k, v = (rng.standard_normal((2, 5, 12)) for _ in range(3))
    y = nn.attention(q, k, v, heads=3, causal=True)
    assert y.shape == q.shape
    for h in range(3):
        part = slice(4 * h, 4 * h + 4)
        want = by_definition(q[..., part], k[..., part], v[..., part], causal=True)
        np.testing.assert_allclose(y[..., part], want, rtol=1e-13, atol=1e-14)
    seen = rng.random((2, 1, 1, 5)) < 0.6
    check_grads(lambda q, k, v: nn.attention(q, k, v, seen, heads=3), (q, k, v), order=2)
    for heads in (5, 0, -1, 3.0):
        with pytest.raises(SettingError, match=f"{heads} heads"):
            nn.attention(q, k, v, heads=heads)


def test_the_probabilities_have_derivatives_too(rng):
    args = drawn(rng, "batch and heads")
    y, p = nn.attention(*args, return_weights=True)
    np.testing.assert_allclose(p @ args[2], y, rtol=1e-13, atol=1e-14)
    check_grads(lambda q, k, v: nn.attention(q, k, v, return_weights=True)[1] ** 2, args, order=2)

    def both(q, k, v):
        y, p = nn.attention(q, k, v, return_weights=True)
        return np.sum(y * y) + np.sum(p * p * p)

    check_grads(both, drawn(rng, "values for several"), order=2)


@pytest.mark.parametrize("half", [False, True])
def test_half_precision_is_computed_in_single(rng, half):
    """Scores of 80000 and sums of 70000 are beyond half precision."""
    dtype = np.float16 if half else np.float64
    q, k, v = np.full((2, 64), 100, dtype), np.full((3, 64), 100, dtype), np.ones((3, 2), dtype)
    y, pullback = ad.vjp(nn.attention, q, k, v)
    np.testing.assert_array_equal(y, np.ones((2, 2)))
    np.testing.assert_allclose(pullback(np.ones_like(y))[2], np.full((3, 2), 2 / 3), rtol=1e-3)
    y, pullback = ad.vjp(nn.attention, np.zeros((1, 1), dtype), np.zeros((70000, 1), dtype), np.ones((70000, 1), dtype))
    np.testing.assert_allclose(y, [[1.0]], rtol=1e-3)
    assert y.dtype == dtype
    assert all(d.dtype == dtype and np.isfinite(d).all() for d in pullback(np.ones_like(y)))
    args = drawn(rng, "plain")
    want = ad.grad(lambda *args: np.sum(nn.attention(*args) ** 2), argnums=(0, 1, 2))(*args)
    near = tuple(a.astype(dtype) for a in args)
    got = ad.grad(lambda *args: np.sum(nn.attention(*args) ** 2), argnums=(0, 1, 2))(*near)
    second = ad.hvp(lambda q: np.sum(nn.attention(q, *near[1:]) ** 2), near[:1], (np.ones_like(near[0]),))[1]
    for g, w in zip(got, want, strict=True):
        assert g.dtype == second.dtype == dtype
        np.testing.assert_allclose(g, w, atol=2e-2 if half else 1e-12)


def test_scale_is_a_number_and_leaves_the_precision_alone(rng):
    q, k, v = (x.astype(np.float32) for x in drawn(rng, "plain"))
    y = nn.attention(q, k, v, scale=np.float64(0.5))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, nn.attention(q, k, v, scale=0.5))
    with pytest.raises(SettingError, match="attention: scale is a tensor"):
        ad.grad(lambda s: np.sum(nn.attention(q, k, v, scale=s)))(0.5)
    with pytest.raises(SettingError, match="one real number"):
        nn.attention(q, k, v, scale=np.ones(3))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_a_mask_of_whole_numbers_is_refused(rng, dtype):
    mask = np.array([1, 1, 0, 0, 1, 0], dtype)
    args = drawn(rng, "plain")
    with pytest.raises(DtypeError, match=r"mask\.astype\(bool\)"):
        nn.attention(*args, mask)
    assert (nn.attention(*args, mask.astype(bool), return_weights=True)[1][:, mask == 0] == 0).all()


def test_nothing_to_compare_looks_at_all_alike(rng):
    v = rng.standard_normal((4, 2))
    y, pullback = ad.vjp(lambda v: nn.attention(np.ones((3, 0)), np.ones((4, 0)), v), v)
    np.testing.assert_allclose(y, np.broadcast_to(v.mean(axis=0), (3, 2)), rtol=1e-15)
    np.testing.assert_allclose(pullback(np.ones_like(y))[0], np.full((4, 2), 0.75), rtol=1e-15)


def test_vectors_in_the_place_of_matrices():
    x = np.ones((2, 3))
    for args in ((x[0], x, x), (x, x[0], x), (x, x, x[0]), (1.0, x, x)):
        with pytest.raises(ShapeError, match=r"q\[None, :\]"):
            nn.attention(*args)


def test_small_whole_numbers_do_not_wrap():
    q, v = np.full((1, 4), 100, np.uint8), np.array([[200], [100]], np.uint8)
    np.testing.assert_array_equal(nn.attention(q, np.ones((2, 4), np.uint8), v), [[150.0]])


def test_complex_queries_are_refused(rng):
    q = rng.standard_normal((2, 3))
    with pytest.raises(DtypeError, match="attention"):
        nn.attention(q + 1j, q, q)
    check_grads(lambda v: nn.attention(q, q, v), (q + 1j,), order=2)


def test_one_node(rng):
    graph = ad.trace(nn.attention)(*drawn(rng, "plain"))
    assert [op.name for op in graph.ops if op.kind not in ("input", "constant")] == ["attention", "item"]


def test_lists_and_nothing():
    assert nn.attention([[1.0]], [[1.0], [1.0]], [[2.0], [4.0]]).tolist() == [[3.0]]
    assert nn.attention(np.ones((2, 0, 3)), np.ones((2, 4, 3)), np.ones((2, 4, 5))).shape == (2, 0, 5)
    np.testing.assert_array_equal(nn.attention(np.ones((2, 3)), np.ones((0, 3)), np.ones((0, 5))), np.zeros((2, 5)))
