"""Functions of neural networks at their extremes."""

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.ops.blocks import POINTS

scipy_special = pytest.importorskip("scipy.special")

ROWS = {
    "plain": np.array([[0.3, -1.2, 2.0], [5.0, 5.0, 5.0]]),
    "large": np.array([[1e3, 1e3, -1e3], [-1e150, 1e150, 1e150]]),
    "−inf among others": np.array([[-np.inf, 1.0, 2.0], [0.0, -np.inf, -np.inf]]),
}
SECOND = {name: x for name, x in ROWS.items() if name != "large"}


@pytest.mark.parametrize("x", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_values_are_scipys(name, x):
    for axis in (-1, 0, 1, (0, 1)):
        got, want = getattr(nn, name)(x, axis=axis), getattr(scipy_special, name)(x, axis=axis)
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-300)
        got = ad.vjp(lambda x, axis=axis: getattr(nn, name)(x, axis=axis), x)[0]
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("x", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, -1, 0, (0, 1)])
def test_the_gradient_of_logsumexp_is_softmax(x, axis, keepdims):
    want = scipy_special.softmax(x, axis=axis)
    got = ad.grad(lambda x: np.sum(nn.logsumexp(x, axis=axis, keepdims=keepdims)))(x)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-300)
    t = np.random.default_rng(0).standard_normal(x.shape)
    y, ahead = ad.jvp(lambda x: nn.logsumexp(x, axis=axis, keepdims=keepdims), (x,), (t,))
    assert ahead.shape == y.shape
    np.testing.assert_allclose(np.sum(ahead), np.sum(want * t), rtol=1e-12)


@pytest.mark.parametrize("x", SECOND.values(), ids=SECOND)
def test_second_derivatives_are_finite_where_something_is_masked(x):
    p = scipy_special.softmax(x[0])
    hessian = ad.hessian(nn.logsumexp)(x[0])
    np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-15)
    jacobian = ad.jacobian(nn.softmax)(x[0])
    np.testing.assert_allclose(jacobian, np.diag(p) - np.outer(p, p), atol=1e-15)
    np.testing.assert_allclose(ad.jacobian(nn.log_softmax)(x[0]), np.eye(3) - p, atol=1e-15)


def test_rows_of_nothing_but_minus_infinity():
    x = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    y, pullback = ad.vjp(lambda x: nn.logsumexp(x, axis=1), x)
    np.testing.assert_array_equal(y, [-np.inf, np.log(2)])
    np.testing.assert_array_equal(pullback(np.ones(2))[0], np.full((2, 2), 0.5))  # equal elements share equally
    np.testing.assert_array_equal(pullback(np.array([0.0, 1.0]))[0], [[0.0, 0.0], [0.5, 0.5]])
    for f in (nn.softmax, nn.log_softmax):  # 0 / 0, as in SciPy; no other row is touched
        y, pullback = ad.vjp(f, x)
        assert np.isnan(y[0]).all()
        assert np.isfinite(y[1]).all()
        np.testing.assert_array_equal(pullback(np.array([[0.0, 0.0], [1.0, 0.0]]))[0][0], [0.0, 0.0])
        assert np.isfinite(pullback(np.ones((2, 2)))[0][1]).all()


def test_masked_attention_is_trained_without_nan():
    """Scores masked with −inf, a whole row among them, which is dropped afterwards."""
    mask = np.array([[True, True, False], [False, False, False]])

    def loss(scores):
        weights = nn.softmax(np.where(mask, scores, -np.inf), axis=-1)
        return np.sum(np.where(mask, weights, 0.0) ** 2)

    d = ad.grad(loss)(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
    assert np.isfinite(d).all()
    np.testing.assert_array_equal(d[mask == 0], np.zeros(4))
    assert d[0, 0] != 0


def test_infinite_elements_share_what_they_tie_for():
    x = np.array([np.inf, 1.0, np.inf])
    assert nn.logsumexp(x) == np.inf
    np.testing.assert_array_equal(ad.grad(nn.logsumexp)(x), [0.5, 0.0, 0.5])


def test_sums_over_nothing():
    empty = np.zeros((2, 0))
    np.testing.assert_array_equal(nn.logsumexp(empty, axis=1), [-np.inf, -np.inf])
    assert ad.grad(lambda x: np.sum(np.where(np.ones(2, bool), 0, nn.logsumexp(x, axis=1))))(empty).shape == (2, 0)
    assert nn.softmax(empty).shape == (2, 0)


EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("x", [-700.0, -40.0, -1.5, 0.0, 1e-8, 3.0, 36.0, 40.0, 700.0])
def test_saturated_functions_keep_their_digits(name, x):
    """The value and both derivatives to the last digits, also the small ones of a saturated unit: no 1 − y."""
    f = getattr(nn, name)
    with mpmath.workdps(700):
        for order in range(3):
            true = float(mpmath.diff(EXACT[name], mpmath.mpf(x), order, h=mpmath.mpf(10) ** -50))
            g = f
            for _ in range(order):
                g = ad.elementwise_grad(g)
            assert g(np.float64(x)) == pytest.approx(true, rel=1e-13, abs=1e-16 if order == 2 and abs(x) < 1 else 0)


@pytest.mark.parametrize("f", [nn.relu, nn.sigmoid, nn.softplus])
def test_at_infinity(f):
    x = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(f(x), {nn.relu: [0, np.inf], nn.softplus: [0, np.inf]}.get(f, [0, 1]))
    np.testing.assert_array_equal(ad.elementwise_grad(f)(x), [0, 0] if f is nn.sigmoid else [0, 1])


@pytest.mark.parametrize("f", [nn.sigmoid, nn.softplus, nn.logsumexp])
def test_they_are_holomorphic(f):
    z = np.array([0.3 + 0.5j, -2.0 + 0.1j, 1.0 - 0.4j])
    t = np.array([1.0, -0.5j, 0.2 + 0.1j])
    h = 1e-6
    central = (f(z + h * t) - f(z - h * t)) / (2 * h)
    np.testing.assert_allclose(ad.jvp(f, (z,), (t,))[1], central, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize("f", [nn.relu, nn.sigmoid, nn.softplus, nn.softmax, nn.log_softmax, nn.logsumexp])
def test_dtypes_stay(f, dtype):
    x = np.array([-3.0, 0.0, 12.0], dtype)
    y, pullback = ad.vjp(f, x)
    assert y.dtype == pullback(np.ones_like(y))[0].dtype == dtype


def test_on_plain_arrays_and_lists_they_are_plain_functions():
    assert nn.relu([-1.0, 2.0]).tolist() == [0.0, 2.0]
    assert nn.sigmoid(0.0) == 0.5
    assert type(nn.logsumexp(np.zeros(4))) is np.float64
    with pytest.raises(TypeError):
        nn.softmax(np.zeros(3), dtype=float)


# -- activations -------------------------------------------------------------------------------------------------------


def exact_cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def exact_gelu_tanh(x):
    return x * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))) / 2


ACTIVATIONS = {
    "gelu": (nn.gelu, lambda x: x * exact_cdf(x)),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"), exact_gelu_tanh),
    "silu": (nn.silu, lambda x: x / (1 + mpmath.exp(-x))),
    "mish": (nn.mish, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -mpmath.log1p(mpmath.exp(-x))),
    "elu": (nn.elu, lambda x: x if x > 0 else mpmath.expm1(x)),
    "elu, alpha": (lambda x: nn.elu(x, 0.5), lambda x: x if x > 0 else mpmath.expm1(x) / 2),
    "leaky_relu": (lambda x: nn.leaky_relu(x, 0.25), lambda x: x if x > 0 else x / 4),
    "relu6": (nn.relu6, lambda x: min(max(x, 0), 6)),
    "hardtanh": (lambda x: nn.hardtanh(x, -2, 3), lambda x: min(max(x, -2), 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("x", [-1e4, -700.0, -36.5, -11.0, -2.1, -1e-8, 1e-8, 0.7, 5.5, 9.0, 40.0, 1e4])
def test_activations_keep_their_digits(name, x):
    f, exact = ACTIVATIONS[name]
    with mpmath.workdps(1000):
        value = float(exact(mpmath.mpf(x)))
        if abs(x) < 1000:
            slope = float(mpmath.diff(exact, mpmath.mpf(x), h=mpmath.mpf(10) ** -60))
        else:  # far out every one of them is a straight line
            slope = float(round(exact(mpmath.mpf(x) + 2) - exact(mpmath.mpf(x) - 2), 8)) / 4
    y, d = f(np.float64(x)), ad.grad(f)(np.float64(x))
    assert y == pytest.approx(value, rel=3e-15 if name == "gelu" else 2e-14, abs=1e-300)
    assert d == pytest.approx(slope, rel=1e-12, abs=1e-300)
    narrow = ad.grad(f)(np.float32(x))
    assert narrow.dtype == np.float32
    assert narrow == pytest.approx(slope, rel=1e-4, abs=1e-38)


def test_gelu_is_right_to_the_last_digits():
    """The distribution function that it is made of is off by a few units in the last place, however small it is."""
    x = np.concatenate([np.linspace(-37, 9, 700), [-1e-300, -1e-8, 5e-324]])
    with mpmath.workdps(40):
        for dtype in (np.float64, np.float32):
            points = x[x > -12].astype(dtype) if dtype is np.float32 else x
            true = [mpmath.mpf(float(v)) * exact_cdf(mpmath.mpf(float(v))) for v in points]
            off = [abs(mpmath.mpf(float(y)) - t) for y, t in zip(nn.gelu(points), true, strict=True)]
            allowed = [12 * np.finfo(dtype).eps * abs(t) + np.finfo(dtype).tiny for t in true]
            assert all(o <= a for o, a in zip(off, allowed, strict=True))
    long = nn.gelu(np.longdouble(-3))
    with mpmath.workdps(40):
        assert float(abs(mpmath.mpf(str(long)) + 3 * exact_cdf(mpmath.mpf(-3)))) < 1e-20


@pytest.mark.parametrize(("name", "values", "slopes"), [
    ("gelu", [0, np.inf], [0, 1]), ("gelu tanh", [0, np.inf], [0, 1]), ("silu", [0, np.inf], [0, 1]),
    ("mish", [0, np.inf], [0, 1]), ("log_sigmoid", [-np.inf, 0], [1, 0]), ("elu", [-1, np.inf], [0, 1]),
    ("leaky_relu", [-np.inf, np.inf], [0.25, 1]), ("relu6", [0, 6], [0, 0]), ("hardtanh", [-2, 3], [0, 0]),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_activations_at_infinity(name, values, slopes, dtype):
    f, x = ACTIVATIONS[name][0], np.array([-np.inf, np.inf], dtype)
    y, pullback = ad.vjp(f, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array(values, dtype))
    np.testing.assert_array_equal(pullback(np.ones(2, dtype))[0], np.array(slopes, dtype))
    np.testing.assert_array_equal(ad.jvp(lambda x: ad.elementwise_grad(f)(x), (x,), (np.ones(2, dtype),))[1], 0)
    assert np.isnan(f(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize(("f", "x", "slope"), [
    (nn.relu6, 0.0, 0.5), (nn.relu6, 6.0, 0.5), (nn.hardtanh, -1.0, 0.5), (nn.hardtanh, 1.0, 0.5),
    (nn.leaky_relu, 0.0, 0.505), (lambda x: nn.leaky_relu(x, 0.0), 0.0, 0.5), (lambda x: nn.elu(x, 3.0), 0.0, 2.0),
    (lambda x: ad.grad(nn.elu)(x), 0.0, 0.5),
    (nn.selu, 0.0, 1.0507009873554805 * (1 + 1.6732632423543772) / 2),
])  # fmt: skip
def test_at_a_kink_the_mean_of_both_sides(f, x, slope):
    assert ad.grad(f)(x) == pytest.approx(slope, rel=1e-14)
    h = 1e-7
    assert (f(x + h) - f(x - h)) / (2 * h) == pytest.approx(slope, rel=1e-6)


def test_leaky_relu_without_a_slope_masks_as_relu_does():
    f = lambda x: np.sum(nn.leaky_relu(np.sqrt(x) - 1, 0.0))
    np.testing.assert_array_equal(ad.grad(f)(np.array([0.0, 4.0])), [0.0, 0.25])


def test_leaky_relu_without_a_slope_is_relu_at_infinity():
    x = np.array([-np.inf, -1.0, 0.0, np.inf])
    y, pullback = ad.vjp(lambda x: nn.leaky_relu(x, 0.0), x)
    np.testing.assert_array_equal(y, [0, 0, 0, np.inf])
    np.testing.assert_array_equal(pullback(np.ones(4))[0], [0, 0, 0.5, 1])
    assert np.isnan(nn.leaky_relu(np.nan, 0.0))


REAL = {"relu": nn.relu, "relu6": nn.relu6, "hardtanh": nn.hardtanh, "leaky_relu": nn.leaky_relu, "elu": nn.elu,
        "selu": nn.selu, "gelu": nn.gelu, "gelu tanh": lambda x: nn.gelu(x, "tanh")}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_what_orders_numbers_refuses_complex_ones(name):
    f, z = REAL[name], np.array([1 + 1j, -2j])
    for call in (lambda: f(z), lambda: f([1j]), lambda: f(1j), lambda: ad.vjp(f, z)):
        with pytest.raises(ad.errors.DtypeError, match=f"{name.partition(' ')[0]} of complex numbers"):
            call()


@pytest.mark.parametrize("f", [
    lambda x, s: nn.leaky_relu(x, s), lambda x, s: nn.elu(x, s), lambda x, s: nn.hardtanh(x, -s, s),
], ids=["leaky_relu", "elu", "hardtanh"])  # fmt: skip
def test_settings_do_not_raise_the_precision(f):
    x = np.array([-2.0, 0.5, 3.0], np.float32)
    y, pullback = ad.vjp(lambda x: f(x, np.float64(0.3)), x)
    assert y.dtype == pullback(y)[0].dtype == np.float32
    np.testing.assert_array_equal(y, f(x, 0.3))


@pytest.mark.parametrize(("f", "words"), [
    (lambda s: nn.leaky_relu(-1.0, s), "leaky_relu: negative_slope is a tensor"),
    (lambda s: nn.elu(-1.0, s), "elu: alpha is a tensor"),
])  # fmt: skip
def test_settings_are_no_tensors(f, words):
    with pytest.raises(ad.errors.SettingError, match=words):
        ad.grad(f)(0.5)
    assert ad.grad(lambda high: nn.hardtanh(2.0, -1.0, high))(1.5) == 1  # bounds are arguments of np.clip


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_small_whole_numbers_do_not_wrap(name, dtype):
    f, x = ACTIVATIONS[name][0], np.array([0, 1, 5, 200, -128]).astype(dtype)
    np.testing.assert_allclose(f(x), f(x.astype(float)), rtol=1e-15)
    np.testing.assert_allclose(nn.sigmoid(x), nn.sigmoid(x.astype(float)), rtol=1e-15)
    np.testing.assert_allclose(nn.softplus(x), nn.softplus(x.astype(float)), rtol=1e-15)


def test_selu_keeps_mean_and_variance_of_normal_numbers():
    with mpmath.workdps(20):
        moments = [mpmath.quad(lambda x, n=n: mpmath.mpf(float(nn.selu(float(x)))) ** n * mpmath.npdf(x), [-9, 0, 9])
                   for n in (1, 2)]  # fmt: skip
    np.testing.assert_allclose([float(m) for m in moments], [0, 1], atol=1e-13)


def test_gelu_is_refused_where_it_means_nothing():
    with pytest.raises(ad.errors.SettingError, match="approximate='erf'"):
        nn.gelu(1.0, "erf")
    with pytest.raises(ad.errors.DtypeError, match="gelu"):
        nn.gelu(np.array([1j]))
    assert nn.gelu([1, -2]).dtype == np.float64
    assert nn.swish is nn.silu


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_arrays_of_any_size(rng, name):
    f = ACTIVATIONS[name][0]
    half = POINTS // 2
    x = 3 * rng.standard_normal((3, half + 1))  # more than one block, and not a whole number of them
    y, (d,) = f(x), ad.vjp(f, x)[1](np.ones_like(x))
    for i in (0, half - 2, half - 1, half):  # the second block begins in the second row
        np.testing.assert_allclose(y[:, i], [f(v) for v in x[:, i]], rtol=4e-16)
        np.testing.assert_allclose(d[:, i], [ad.grad(f)(v) for v in x[:, i]], rtol=4e-16)
    assert f(np.zeros((0, 3))).shape == (0, 3)
    assert type(f(0.5)) is np.float64


MANY = 70000  # more than the largest number of half precision, 65504


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_over_many_halves_do_not_overflow(axis):
    x = np.zeros((MANY, 1) if axis == 0 else (1, MANY), np.float16)
    spread, log = np.float16(1 / MANY), np.float16(np.log(MANY))
    assert (nn.softmax(x, axis) == spread).all()
    assert (nn.log_softmax(x, axis) == -log).all()
    value, pullback = ad.vjp(lambda x: nn.logsumexp(x, axis=axis), x)
    assert value[0] == log
    assert value.dtype == np.float16
    assert (pullback(np.ones_like(value))[0] == spread).all()
    assert ad.jvp(lambda x: nn.logsumexp(x, axis=axis), (x,), (np.ones_like(x),))[1][0] == 1
    seed = np.ones_like(x)
    for f in (nn.softmax, nn.log_softmax):
        along = ad.jvp(lambda x, f=f: f(x, axis), (x,), (seed,))[1]
        for d in (ad.vjp(lambda x, f=f: f(x, axis), x)[1](seed)[0], along):
            assert d.dtype == np.float16
            np.testing.assert_allclose(d, 0, atol=2e-3)  # all alike change nothing


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_half_precision_is_the_rounding_of_single(rng, name):
    f, x = getattr(nn, name), rng.standard_normal((4, 50)).astype(np.float16)
    y, pullback = ad.vjp(f, x)
    want, exact = ad.vjp(f, x.astype(float))
    seed = rng.standard_normal(np.shape(want)).astype(np.float16)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, want, rtol=1e-3)
    np.testing.assert_allclose(pullback(seed)[0], exact(seed.astype(float))[0], rtol=5e-3, atol=3e-3)
    second = ad.hvp(lambda x: np.sum(f(x) ** 2), (x,), (np.ones_like(x),))[1]
    assert second.dtype == np.float16
    assert np.isfinite(second).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_whole_numbers_are_taken_as_floats(name, dtype):
    x = np.array([1, 0, 1]).astype(dtype)
    y = getattr(nn, name)(x)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, getattr(nn, name)(x.astype(float)))
    np.testing.assert_array_equal(y, getattr(nn, name)(x.tolist()))
