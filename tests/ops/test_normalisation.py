"""Normalisation: against its definition on every layout of axes and parameters, at zero variance, and as pure state."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import DtypeError, SettingError, ShapeError
from autodiff.ops import blocks
from autodiff.testing import check_grads

NORMS = {
    "layer": lambda x, w, b: nn.layer_norm(x, w, b),
    "layer, two axes": lambda x, w, b: nn.layer_norm(x, w, b, axis=(-1, -2)),
    "layer, first axis": lambda x, w, b: nn.layer_norm(x, w, b, axis=0),
    "layer, outer axes": lambda x, w, b: nn.layer_norm(x, w, b, axis=(0, 2), eps=0.1),
    "rms": lambda x, w, b: nn.rms_norm(x, w),
    "rms, middle axis": lambda x, w, b: nn.rms_norm(x, w, axis=1),
    "group": lambda x, w, b: nn.group_norm(x, 2, w, b),
    "group, channels last": lambda x, w, b: nn.group_norm(x, 3, w, b, axis=-1),
    "batch": lambda x, w, b: nn.batch_norm(x, None, w, b, training=True)[0],
    "batch, channels last": lambda x, w, b: nn.batch_norm(x, None, w, b, training=True, axis=-1)[0],
}
SHAPES = {"layer, two axes": (4, 6), "layer, first axis": (5,), "layer, outer axes": (5, 6), "rms, middle axis": (4,),
          "group": (4,), "batch": (4,)}  # fmt: skip
X = np.random.default_rng(0).standard_normal((5, 4, 6))


def parameters(name, rng):
    return rng.standard_normal(SHAPES.get(name, (6,))), rng.standard_normal(SHAPES.get(name, (6,)))


def by_definition(name, x, w, b):
    """The same, spelled with np.mean and np.var."""
    if name.startswith("rms"):
        axis = 1 if "middle" in name else -1
        return x / np.sqrt(np.mean(x**2, axis, keepdims=True) + 1e-6) * (w[:, None] if axis == 1 else w)
    if name.startswith("group"):
        last = "last" in name
        parts = np.split(x, 3 if last else 2, axis=-1 if last else 1)
        done = [(p - p.mean((1, 2), keepdims=True)) / np.sqrt(p.var((1, 2), keepdims=True) + 1e-5) for p in parts]
        y = np.concatenate(done, axis=-1 if last else 1)
        return y * w + b if last else y * w[:, None] + b[:, None]
    axis = {"layer": -1, "layer, two axes": (1, 2), "layer, first axis": 0, "batch": (0, 2),
            "layer, outer axes": (0, 2), "batch, channels last": (0, 1)}[name]  # fmt: skip
    eps = 0.1 if "outer" in name else 1e-5
    z = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)
    if name in ("layer, first axis", "layer, outer axes", "batch"):
        shape = {"layer, first axis": (5, 1, 1), "batch": (4, 1)}.get(name, (5, 1, 6))
        w, b = np.reshape(w, shape), np.reshape(b, shape)
    return z * w + b


@pytest.mark.parametrize("block", [1, 7, 1 << 17])
@pytest.mark.parametrize("name", NORMS)
def test_values_and_gradients_are_those_of_the_definition(rng, name, block, monkeypatch):
    """Whatever the size of the blocks: one row, a few, all of them."""
    monkeypatch.setattr(blocks, "ROWS", block)
    w, b = parameters(name, rng)
    np.testing.assert_allclose(NORMS[name](X, w, b), by_definition(name, X, w, b), rtol=1e-12, atol=1e-13)
    seed = rng.standard_normal(X.shape)
    got, want = (
        ad.grad(lambda x, w, b, f=f: np.sum(f(x, w, b) * seed), argnums=(0, 1, 2))(X, w, b)
        for f in (NORMS[name], lambda x, w, b: by_definition(name, x, w, b))
    )
    for g, v in zip(got, want, strict=True):
        np.testing.assert_allclose(g, v, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives(rng, name):
    check_grads(NORMS[name], (X, *parameters(name, rng)), order=2)


@pytest.mark.parametrize("name", NORMS)
def test_parameters_may_be_left_out(rng, name):
    w, b = parameters(name, rng)
    ones, zeros = np.ones_like(w), np.zeros_like(b)
    for given, meant in (((None, None), (ones, zeros)), ((w, None), (w, zeros)), ((None, b), (ones, b))):
        np.testing.assert_allclose(NORMS[name](X, *given), NORMS[name](X, *meant), rtol=1e-14)
    d = ad.grad(lambda b: np.sum(NORMS[name](X, None, b) * X))(b)
    np.testing.assert_allclose(d, ad.grad(lambda b: np.sum(NORMS[name](X, ones, b) * X))(b), rtol=1e-13)


@pytest.mark.parametrize("f", [nn.layer_norm, nn.rms_norm, lambda x, eps: nn.group_norm(x, 2, eps=eps),
                               lambda x, eps: nn.batch_norm(x.T, training=True, eps=eps)[0].T])  # fmt: skip
@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_rows_without_variance_are_finite(f, eps):
    x = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 4.0, -3.0]])
    y, pullback = ad.vjp(lambda x: f(x, eps=eps), x)
    np.testing.assert_array_equal(y[0], 0)
    (d,) = pullback(np.ones_like(x) + x)
    assert np.isfinite(d).all()
    if eps == 0:
        np.testing.assert_array_equal(d[0], 0)
    hessian = ad.hessian(lambda x: np.sum(f(x, eps=eps) ** 2))(x)
    assert np.isfinite(hessian).all()


@pytest.mark.parametrize("offset", [1e4, -1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_mean_costs_no_more_than_its_rounding(dtype, offset):
    x = np.array([0.0, 1.0, 2.0, 3.0])
    got = nn.layer_norm((x + offset).astype(dtype))
    np.testing.assert_allclose(got, nn.layer_norm(x), rtol=4 * abs(offset) * np.finfo(dtype).eps)


def test_half_precision_is_computed_in_single():
    x = np.array([300.0, -300.0, 500.0, 0.0], np.float16)  # the squares overflow in half precision
    y, pullback = ad.vjp(nn.layer_norm, x)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, nn.layer_norm(x.astype(float)), rtol=2e-3)
    assert pullback(y)[0].dtype == np.float16
    single = nn.rms_norm(x.astype(np.float32), np.ones(4, np.float32))
    assert single.dtype == np.float32
    assert nn.layer_norm(np.array([1, 2, 3])).dtype == np.float64


def test_running_statistics_are_a_value_that_goes_in_and_comes_out(rng):
    mean, variance = np.zeros(4), np.ones(4)
    x = 3 + 2 * rng.standard_normal((50, 4, 6))
    running = (mean, variance)
    for _ in range(60):
        y, running = nn.batch_norm(x, running, training=True)
    np.testing.assert_allclose(running[0], x.mean((0, 2)), rtol=5e-3)
    np.testing.assert_allclose(running[1], x.var((0, 2), ddof=1), rtol=5e-3)
    np.testing.assert_array_equal(mean, 0)
    there, same = nn.batch_norm(x, running, training=False)
    assert same is running
    np.testing.assert_allclose(there, y, atol=2e-2)
    first = nn.batch_norm(x, training=True)[1]
    np.testing.assert_allclose(first[0], x.mean((0, 2)), rtol=1e-12)


def test_running_statistics_are_constants(rng):
    x = rng.standard_normal((8, 3))

    def f(x):
        y, (mean, variance) = nn.batch_norm(x, training=True)
        return np.sum(y**3) + np.sum(mean) + np.sum(variance)

    np.testing.assert_allclose(ad.grad(f)(x), ad.grad(lambda x: np.sum(nn.batch_norm(x, training=True)[0] ** 3))(x))
    running = (rng.standard_normal(3), rng.random(3) + 0.5)
    check_grads(lambda x, w, b: nn.batch_norm(x, running, w, b, training=False)[0],
                (x, rng.standard_normal(3), rng.standard_normal(3)), order=2)  # fmt: skip


def test_what_is_refused():
    with pytest.raises(SettingError, match="3 groups of 4 channels"):
        nn.group_norm(np.ones((2, 4)), 3)
    with pytest.raises(SettingError, match="0 groups"):
        nn.group_norm(np.ones((2, 4)), 0)
    with pytest.raises(SettingError, match=r"2\.0 groups"):
        nn.group_norm(np.ones((2, 4)), 2.0)
    with pytest.raises(SettingError, match="no running statistics"):
        nn.batch_norm(np.ones((2, 4)), training=False)
    with pytest.raises(DtypeError, match="layer_norm"):
        nn.layer_norm(np.ones(3) + 1j)
    with pytest.raises(ShapeError, match=r"shape \(3,\)"):
        nn.layer_norm(np.ones((3, 4)), np.ones(4), axis=0)


EVALUATED = (np.zeros(3), np.ones(3))
EVERY = {
    "layer_norm": nn.layer_norm, "rms_norm": nn.rms_norm,
    "group_norm": lambda x, *parameters, **settings: nn.group_norm(x, 1, *parameters, **settings),
    "batch_norm": lambda x, *parameters, **settings: nn.batch_norm(x, None, *parameters, training=True, **settings)[0],
    "batch_norm, running": lambda x, *parameters, **settings: nn.batch_norm(
        x, EVALUATED, *parameters, training=False, **settings
    )[0],
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_axes_that_are_not_there_are_refused_as_numpy_does(name):
    f = EVERY[name]
    for axis in (2, 5, -3):
        with pytest.raises(np.exceptions.AxisError, match=f"axis {axis} is out of bounds for array of dimension 2"):
            f(np.ones((3, 3)), axis=axis)
    with pytest.raises(np.exceptions.AxisError):
        f(np.float64(1.0))
    np.testing.assert_array_equal(f(np.eye(3), axis=1), f(np.eye(3), axis=-1))


@pytest.mark.parametrize("f", [nn.layer_norm, nn.rms_norm])
def test_axes_in_a_list_and_no_axes(rng, f):
    x = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(f(x, axis=[0, 1]), f(x, axis=(1, 0)))
    with pytest.raises(SettingError, match="axis=None"):
        f(x, axis=None)
    with pytest.raises(ValueError, match="repeated axis"):
        f(x, axis=(1, -1))


def test_the_axis_of_the_batch_has_no_groups():
    with pytest.raises(SettingError, match="axis 0 is the batch"):
        nn.group_norm(np.ones((4, 4)), 2, axis=-2)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (1,), (), (3,)])
@pytest.mark.parametrize("name", EVERY)
def test_parameters_of_another_shape_are_refused(name, shape):
    """Stretched they would be taken for something else, or change the shape of the result."""
    x = np.ones((3, 4))
    x = x if "running" not in name else x[:, :3].T @ x[:, :3]
    if "running" in name:
        shape = {(3,): (4,), (3, 4): (3, 3), (1, 4): (1, 3)}.get(shape, shape)
    with pytest.raises(ShapeError, match="a weight of shape"):
        EVERY[name](x, np.ones(shape))
    if name != "rms_norm":
        with pytest.raises(ShapeError, match="a bias of shape"):
            EVERY[name](x, None, np.ones(shape))


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_are_a_pair_of_numbers_a_channel(training):
    x = np.ones((3, 4))
    for running in ((np.zeros(4),), np.zeros(2), "ab", {"mean": 0, "variance": 1}):
        with pytest.raises(SettingError, match="it is a pair"):
            nn.batch_norm(x, running, training=training)
    with pytest.raises(ShapeError, match="a running mean of shape"):
        nn.batch_norm(x, (np.zeros((3, 1)), np.ones(4)), training=training)
    with pytest.raises(ShapeError, match="a running variance of shape"):
        nn.batch_norm(x, (np.zeros(4), np.ones(())), training=training)
    plain = nn.batch_norm(x, (np.zeros(4), np.ones(4)), training=training)
    lists = nn.batch_norm(x, [[0, 0, 0, 0], [1, 1, 1, 1]], training=training)
    np.testing.assert_array_equal(lists[0], plain[0])
    np.testing.assert_array_equal(lists[1], plain[1])


SETTINGS = [*((name, "eps") for name in EVERY), *((name, "momentum") for name in EVERY if "batch" in name)]


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_settings_are_numbers(name, key):
    f, x = EVERY[name], np.eye(3, dtype=np.float32)
    assert f(x, **{key: np.float64(0.5)}).dtype == np.float32
    with pytest.raises(SettingError, match=f"{name.partition(',')[0]}: {key} is a tensor"):
        ad.grad(lambda s: np.sum(f(x, **{key: s})))(0.5)
    if key == "eps":
        with pytest.raises(SettingError, match="added to a variance"):
            f(x, eps=-1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_running_statistics_do_not_raise_the_precision(rng, dtype, training):
    x = rng.standard_normal((5, 3)).astype(dtype)
    running = (np.full(3, 0.5), np.full(3, 2.0))
    y, pullback = ad.vjp(lambda x: nn.batch_norm(x, running, training=training)[0], x)
    assert y.dtype == pullback(np.ones_like(y))[0].dtype == dtype
    want = nn.batch_norm(x.astype(float), running, training=training)[0]
    np.testing.assert_allclose(y, want, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


def test_statistics_of_half_precision_are_kept_in_single():
    x = np.linspace(-300, 300, 100)[:, None].astype(np.float16)
    mean, variance = nn.batch_norm(x, training=True)[1]
    assert mean.dtype == variance.dtype == np.float32
    np.testing.assert_allclose(variance, x.astype(float).var(axis=0, ddof=1), rtol=1e-6)
    flat = np.array([[2.0], [2.0]], np.float16)
    statistics = (np.array([2.0], np.float16), np.zeros(1, np.float16))
    y, pullback = ad.vjp(lambda x: nn.batch_norm(x, statistics, training=False, eps=1e-8)[0], flat)
    np.testing.assert_array_equal(y, np.zeros((2, 1)))
    np.testing.assert_allclose(pullback(np.ones_like(y))[0], np.full((2, 1), 1e4), rtol=1e-3)


EXTREMES = {"doubles": (np.float64, 1e200), "singles": (np.float32, 1e25), "tiny": (np.float64, 1e-200)}


@pytest.mark.parametrize(("dtype", "size"), EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("f", [nn.layer_norm, nn.rms_norm])
def test_squares_that_overflow_or_vanish(f, dtype, size):
    """z/s is the same for x and for c·x, its derivative 1/c times as large; c is a power of two: nothing is rounded."""
    c, x = dtype(2.0 ** np.round(np.log2(size))), np.array([[1.0, -1.0, 1.0, 0.3], [4.0, 2.0, 7.0, 0.0]], dtype)
    scale = np.array([[c], [1]], dtype)  # one row of a usual size beside it
    seed = np.array([[1.0, 2.0, -3.0, 0.5], [1.0, 0.0, 0.0, 1.0]], dtype)
    want, usual = ad.vjp(lambda x: f(x, eps=0.0), x)
    y, pullback = ad.vjp(lambda x: f(x, eps=0.0), x * scale)
    np.testing.assert_allclose(y, want, rtol=8 * np.finfo(dtype).eps)
    tolerance = {"rtol": 1e-4 if dtype is np.float32 else 1e-13}
    np.testing.assert_allclose(pullback(seed)[0] * scale, usual(seed)[0], **tolerance)
    along = ad.jvp(lambda x: f(x, eps=0.0), (x * scale,), (seed * scale,))[1]
    np.testing.assert_allclose(along, ad.jvp(lambda x: f(x, eps=0.0), (x,), (seed,))[1], **tolerance)
    curved = ad.hvp(lambda x: np.sum(f(x, eps=0.0) ** 3), (x * scale,), (seed * scale,))[1]
    want = ad.hvp(lambda x: np.sum(f(x, eps=0.0) ** 3), (x,), (seed,))[1]
    np.testing.assert_allclose(curved * scale, want, rtol=1e-3 if dtype is np.float32 else 1e-12)
    if size > 1:
        np.testing.assert_allclose(f(x * scale)[0], f(x, eps=0.0)[0], rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, bool])
@pytest.mark.parametrize("f", [nn.layer_norm, nn.rms_norm])
def test_whole_numbers_are_taken_as_floats(f, dtype):
    x = np.array([100, 1, 0]).astype(dtype)
    np.testing.assert_array_equal(f(x), f(x.astype(float)))
    assert f(x).dtype == np.float64


def test_one_node_each(rng):
    for f in (nn.layer_norm, lambda x, w, b: nn.rms_norm(x, w), NORMS["batch, channels last"]):
        graph = ad.trace(f)(X, *parameters("layer", rng))
        assert sum(op.kind not in ("input", "constant") for op in graph.ops) == 1
