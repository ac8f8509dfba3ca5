"""Convolution against its defining sum, and what no law can know: paddings by name, shapes that do not fit, layouts."""

import itertools

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import SettingError, ShapeError
from autodiff.testing import check_grads

CASES = {
    "plain": ((2, 3, 6), (4, 3, 3), {}),
    "stride and padding": ((2, 2, 7), (3, 2, 3), {"stride": 2, "padding": 1}),
    "dilation in groups": ((2, 4, 8), (6, 2, 3), {"dilation": 2, "groups": 2, "padding": ((2, 1),)}),
    "two axes": ((2, 3, 5, 6), (4, 3, 3, 2), {}),
    "two axes, all settings": (
        (2, 4, 7, 6), (4, 2, 3, 2), {"stride": (2, 3), "padding": (2, 1), "dilation": (2, 1), "groups": 2},
    ),
    "one element": ((3, 2, 4, 4), (5, 2, 1, 1), {}),
    "one element, strided": ((2, 2, 5, 5), (3, 2, 1, 1), {"stride": 2}),
    "depthwise": ((2, 3, 6, 5), (3, 1, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise, two results a channel": ((2, 3, 6, 5), (6, 1, 3, 2), {"groups": 3, "stride": (1, 2)}),
    "padding larger than the kernel": ((1, 2, 3, 3), (2, 2, 2, 2), {"padding": ((4, 0), (0, 3))}),
    "three axes": (
        (2, 2, 4, 5, 3), (3, 2, 2, 3, 2), {"stride": (2, 1, 1), "padding": (1, 0, 1), "dilation": (1, 2, 1)},
    ),
    "no batch axis": ((3, 5, 6), (4, 3, 3, 3), {"padding": 1}),
    "an empty batch": ((0, 3, 5, 6), (4, 3, 3, 3), {}),
}  # fmt: skip
SMALL = {name: case for name, case in CASES.items() if name not in ("plain", "an empty batch")}


def pairs(padding, rank):
    padding = (padding,) * rank if isinstance(padding, int) else padding
    return [(p, p) if isinstance(p, int) else p for p in padding]


def by_definition(x, w, stride=1, padding=0, dilation=1, groups=1):
    """One number after the other, as the sum is written."""
    rank = w.ndim - 2
    if x.ndim < w.ndim:
        return by_definition(x[None], w, stride, padding, dilation, groups)[0]
    stride, dilation = (np.broadcast_to(s, rank) for s in (stride, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *pairs(padding, rank)])
    kernel, own = w.shape[2:], w.shape[0] // groups
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *out), np.result_type(x, w))
    for n, o, *p in np.ndindex(*y.shape):
        for i, *k in np.ndindex(*w.shape[1:]):
            at = tuple(np.multiply(p, stride) + np.multiply(k, dilation))
            y[(n, o, *p)] += w[(o, i, *k)] * x[(n, o // own * w.shape[1] + i, *at)]
    return y


def drawn(rng, case):
    x, w, settings = case
    return rng.standard_normal(x), rng.standard_normal(w), settings


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_are_those_of_the_sum(case, rng):
    x, w, settings = drawn(rng, case)
    want = by_definition(x, w, **settings)
    np.testing.assert_allclose(nn.conv(x, w, **settings), want, rtol=1e-12, atol=1e-13)
    y, _ = ad.vjp(lambda x, w: nn.conv(x, w, **settings), x, w)
    assert y.shape == want.shape
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_derivatives(case, rng):
    x, w, settings = drawn(rng, case)
    bias = rng.standard_normal(w.shape[0])
    check_grads(lambda x, w, b: nn.conv(x, w, b, **settings), (x, w, bias), order=1)
    check_grads(lambda x, w: nn.conv(x, w, **settings), (x, w), order=2)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_transpose_is_the_transpose(case, rng):
    """⟨e, conv(x)⟩ = ⟨conv_transpose(e), x⟩, where the length of the result is the one that x had."""
    x, w, settings = drawn(rng, case)
    rank = w.ndim - 2
    y = nn.conv(x, w, **settings)
    e = rng.standard_normal(y.shape)
    reached = [
        (m - 1) * s + d * (k - 1) + 1 - a - b
        for m, k, s, d, (a, b) in zip(
            y.shape[-rank:], w.shape[2:], np.broadcast_to(settings.get("stride", 1), rank),
            np.broadcast_to(settings.get("dilation", 1), rank), pairs(settings.get("padding", 0), rank), strict=True,
        )
    ]  # fmt: skip
    more = tuple(n - int(m) for n, m in zip(x.shape[-rank:], reached, strict=True))
    back = nn.conv_transpose(e, w, output_padding=more, **settings)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(back * x), np.sum(e * y), rtol=1e-11, atol=1e-11)
    if x.size:
        _, pullback = ad.vjp(lambda x: nn.conv(x, w, **settings), x)
        np.testing.assert_allclose(back, pullback(e)[0], rtol=1e-12, atol=1e-13)


TRANSPOSED = {
    "plain": ((2, 3, 4), (3, 2, 3), {}),
    "stride": ((2, 2, 3, 4), (2, 3, 3, 2), {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}),
    "groups": ((2, 4, 3, 3), (4, 2, 2, 3), {"groups": 2, "dilation": 2, "padding": 1}),
    "depthwise": ((2, 3, 4, 3), (3, 1, 3, 3), {"groups": 3, "stride": 2}),
    "three axes": ((1, 2, 2, 3, 2), (2, 2, 2, 2, 2), {"stride": (1, 2, 1)}),
    "no batch axis": ((2, 4), (2, 3, 3), {"stride": 2}),
    "same": ((1, 2, 5, 4), (2, 3, 3, 1), {"stride": (2, 3), "padding": "same"}),
}


@pytest.mark.parametrize("case", TRANSPOSED.values(), ids=TRANSPOSED)
def test_derivatives_of_the_transpose(case, rng):
    x, w, settings = drawn(rng, case)
    bias = rng.standard_normal(w.shape[1] * settings.get("groups", 1))
    check_grads(lambda x, w, b: nn.conv_transpose(x, w, b, **settings), (x, w, bias), order=1)
    check_grads(lambda x, w: nn.conv_transpose(x, w, **settings), (x, w), order=2)


def test_the_transpose_puts_kernels_down():
    x, w = np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0, 3.0]]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w), [[1, 12, 23, 30]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, stride=2), [[1, 2, 13, 20, 30]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, stride=2, padding=1), [[2, 13, 20]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, stride=2, output_padding=1), [[1, 2, 13, 20, 30, 0]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, dilation=2), [[1, 10, 2, 20, 3, 30]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, stride=2, padding="same"), [[1, 2, 13, 20]])
    np.testing.assert_array_equal(nn.conv_transpose(x, w, np.array([0.5])), [[1.5, 12.5, 23.5, 30.5]])


@pytest.mark.parametrize(
    ("n", "k", "stride", "dilation"),
    [(n, k, s, d) for n, k, s, d in itertools.product((4, 5), (1, 2, 3), (1, 2, 3), (1, 2)) if d * (k - 1) + 1 <= n],
)
def test_same_padding(n, k, stride, dilation, rng):
    """⌈n / stride⌉ results; an odd number of zeros has one more behind."""
    x, w = rng.standard_normal((1, 1, n)), rng.standard_normal((1, 1, k))
    out = -(-n // stride)
    total = max(0, (out - 1) * stride + dilation * (k - 1) + 1 - n)
    y = nn.conv(x, w, stride=stride, dilation=dilation, padding="same")
    assert y.shape == (1, 1, out)
    want = by_definition(x, w, stride, ((total // 2, total - total // 2),), dilation)
    np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-15)
    back = nn.conv_transpose(y, w, stride=stride, dilation=dilation, padding="same")
    assert back.shape == (1, 1, out * stride)


def test_paddings_of_one_meaning(rng):
    x, w = rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 3))
    one = nn.conv(x, w, padding=1)
    for padding in ((1, 1), ((1, 1), (1, 1)), "same", np.array([1, 1]), [(1, 1), (1, 1)]):
        np.testing.assert_array_equal(nn.conv(x, w, padding=padding), one)
    np.testing.assert_array_equal(nn.conv(x, w, padding="valid"), nn.conv(x, w))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)))
    np.testing.assert_array_equal(nn.conv(x, w, padding=((1, 2), (0, 1))), nn.conv(padded, w))


def test_numpys_own_convolution_is_this_one_with_a_reversed_kernel(rng):
    a, v = rng.standard_normal(9), rng.standard_normal(4)
    np.testing.assert_allclose(nn.conv(a[None], v[None, None])[0], np.correlate(a, v, "valid"), rtol=1e-12)
    np.testing.assert_allclose(nn.conv_transpose(a[None], v[None, None])[0], np.convolve(a, v), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_dtypes_stay(dtype, rng):
    x, w = rng.standard_normal((2, 3, 5, 5)).astype(dtype), rng.standard_normal((4, 3, 3, 3)).astype(dtype)
    exact = by_definition(x.astype(np.clongdouble), w.astype(np.clongdouble), stride=2)
    y, pullback = ad.vjp(lambda x, w: nn.conv(x, w, stride=2), x, w)
    assert [a.dtype for a in (y, *pullback(np.ones_like(y)))] == [dtype] * 3
    np.testing.assert_allclose(y, exact, atol=64 * float(np.finfo(dtype).eps))


def test_half_precision_is_summed_in_single_precision():
    """4096 ones and more: half precision has no number between 2048 and 2050."""
    x, w = np.ones((1, 1, 4099), np.float16), np.ones((1, 1, 4099), np.float16)
    assert nn.conv(x, w)[0, 0, 0] == np.float16(4099)


def test_complex_numbers_are_not_conjugated(rng):
    x, w = (rng.standard_normal((2, *shape)) for shape in ((2, 3, 6), (4, 3, 2)))
    x, w = x[0] + 1j * x[1], w[0] + 1j * w[1]
    np.testing.assert_allclose(nn.conv(x, w), by_definition(x, w), rtol=1e-12)
    check_grads(lambda x, w: nn.conv(x, w, stride=2), (x, w), order=2)


def test_layouts_give_the_same(rng):
    """Channels last, reversed, strided, read-only: what lies how in memory changes nothing but speed."""
    x, w = rng.standard_normal((2, 4, 6, 6)), rng.standard_normal((3, 4, 3, 3))
    want = nn.conv(x, w, padding=1)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    wide = np.repeat(x, 2, axis=3)[..., ::2]
    still = x.copy()
    still.flags.writeable = False
    for other in (last, wide, still, np.asfortranarray(x), x[:, :, ::-1][:, :, ::-1]):
        np.testing.assert_array_equal(nn.conv(other, w, padding=1), want)
    np.testing.assert_array_equal(nn.conv(x, np.asfortranarray(w), padding=1), want)


def test_nan_stays_where_its_kernel_reaches(rng):
    x, w = rng.standard_normal((1, 2, 7, 7)), rng.standard_normal((2, 2, 3, 3))
    x[0, 1, 0, 0] = np.nan
    y = nn.conv(x, w)
    assert np.isnan(y[0, :, 0, 0]).all()
    assert np.isnan(y).sum() == 2


def test_a_zero_delta_meets_no_infinity(rng):
    """0·inf of a result that nothing uses never counts."""
    x, w = rng.standard_normal((1, 1, 6)), rng.standard_normal((1, 1, 2))
    x[0, 0, 5] = np.inf
    _, dw = ad.grad(lambda x, w: np.sum(nn.conv(x, w)[..., :3]), argnums=(0, 1))(x, w)
    np.testing.assert_allclose(dw[0, 0], [x[0, 0, :3].sum(), x[0, 0, 1:4].sum()])


def test_a_network_learns_by_it(rng):
    """δ of every parameter of a small network against differences, float32 kept throughout."""

    def loss(parameters, x):
        h = np.tanh(nn.conv(x, parameters["w"], parameters["b"], stride=2, padding="same"))
        h = nn.max_pool(h, 2)
        return np.mean(nn.conv_transpose(h, parameters["u"], stride=2) ** 2)

    parameters = {
        "w": rng.standard_normal((4, 2, 3, 3)), "b": rng.standard_normal(4), "u": rng.standard_normal((4, 2, 2, 2)),
    }  # fmt: skip
    x = rng.standard_normal((3, 2, 8, 8))
    check_grads(loss, (parameters, x), order=2)
    half = {key: p.astype(np.float32) for key, p in parameters.items()}
    value, d = ad.value_and_grad(loss)(half, x.astype(np.float32))
    assert value.dtype == np.float32
    assert {p.dtype for p in d.values()} == {np.dtype(np.float32)}


def test_third_order(rng):
    """A bilinear map of one number in both places: d³ of Σ conv(t·x, t·w)³."""
    x, w = rng.standard_normal((1, 2, 4)), rng.standard_normal((2, 2, 2))

    def f(t):
        return np.sum(nn.conv(t * x, t * w) ** 3)

    third = ad.grad(ad.grad(ad.grad(f)))(1.3)
    assert third == pytest.approx(6 * 5 * 4 * 1.3**3 * np.sum(nn.conv(x, w) ** 3), rel=1e-11)


X, W = np.zeros((2, 4, 6, 6)), np.zeros((8, 4, 3, 3))

WRONG = {
    "channels": (ShapeError, "(1·results, 4, …)", lambda: nn.conv(X, np.zeros((8, 3, 3, 3)))),
    "channels in groups": (ShapeError, "3 groups", lambda: nn.conv(X, W, groups=3)),
    "results in groups": (ShapeError, "(4·results, 1, …)", lambda: nn.conv(X, np.zeros((6, 1, 3, 3)), groups=4)),
    "kernel": (ShapeError, "pad more", lambda: nn.conv(X, np.zeros((8, 4, 7, 3)))),
    "dilated kernel": (ShapeError, "spans (7, 7)", lambda: nn.conv(X, W, dilation=3)),
    "empty kernel": (ShapeError, "fits nowhere", lambda: nn.conv(X, np.zeros((8, 4, 0, 3)))),
    "axes": (ShapeError, "same 1 to 3 axes", lambda: nn.conv(X, np.zeros((8, 4, 3)))),
    "too few axes": (ShapeError, "same 1 to 3 axes", lambda: nn.conv(np.zeros(4), np.zeros((4, 4)))),
    "too many axes": (ShapeError, "same 1 to 3 axes", lambda: nn.conv(np.zeros((1,) * 6), np.zeros((1,) * 6))),
    "bias": (ShapeError, "shape (8,)", lambda: nn.conv(X, W, np.zeros(4))),
    "stride": (SettingError, "stride=0", lambda: nn.conv(X, W, stride=0)),
    "fractions": (SettingError, "whole number", lambda: nn.conv(X, W, stride=1.5)),
    "too many strides": (SettingError, "over 2 axes", lambda: nn.conv(X, W, stride=(1, 1, 1))),
    "dilation": (SettingError, "dilation=-1", lambda: nn.conv(X, W, dilation=-1)),
    "padding": (SettingError, "from 0 on", lambda: nn.conv(X, W, padding=-1)),
    "pairs": (SettingError, "from 0 on", lambda: nn.conv(X, W, padding=((0, -1), (0, 0)))),
    "name": (SettingError, '"same"', lambda: nn.conv(X, W, padding="full")),
    "groups": (SettingError, "groups=0", lambda: nn.conv(X, W, groups=0)),
    "whole number as a fraction": (SettingError, "instead: stride=2\n", lambda: nn.conv(X, W, stride=2.0)),
    "one number": (SettingError, "groups=0\n", lambda: nn.conv(X, W, groups=0)),
    "a pair over one axis": (SettingError, "padding=((1, 2),)", lambda: nn.conv(X[0], W[0], padding=(1, 2))),
    "channels of a transpose": (ShapeError, "w of shape (4, results, …)", lambda: nn.conv_transpose(X, W[:3])),
    "a transpose as conv has it": (ShapeError, "np.swapaxes(w, 0, 1)", lambda: nn.conv_transpose(X, W)),
    "groups of a transpose": (ShapeError, "divides 4", lambda: nn.conv_transpose(X, W[:4], groups=3)),
    "output_padding": (SettingError, "less than the stride", lambda: nn.conv_transpose(X, W[:4], output_padding=1)),
    "padding of a transpose": (ShapeError, "nothing is left", lambda: nn.conv_transpose(X, W[:4], padding=9)),
}


@pytest.mark.parametrize(("error", "said", "call"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_with_the_cure(error, said, call):
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value) + "\n"
    assert __file__ in str(caught.value)


THIN = {
    "depthwise": ((2, 3, 19), (3, 1, 3), {"groups": 3, "padding": 1}),
    "strided": ((1, 2, 21), (4, 1, 3), {"groups": 2, "stride": 2}),
    "strided, dilated, over two axes": (
        (2, 2, 5, 20), (2, 1, 2, 3), {"groups": 2, "stride": (1, 3), "dilation": 2, "padding": 1},
    ),
    "one group": ((2, 3, 9), (2, 3, 3), {"padding": 1}),
}  # fmt: skip


def term_by_term(x, w, e, stride=1, padding=0, dilation=1, groups=1):
    """The three derivatives of Σ e·w·x: (y, δx, δw), each a sum of no other products than those of the definition."""
    rank = w.ndim - 2
    stride, dilation = (np.broadcast_to(s, rank) for s in (stride, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * rank])
    y, dx, dw = np.zeros(e.shape), np.zeros(x.shape), np.zeros(w.shape)
    for n, o, *p in np.ndindex(*e.shape):
        for i, *k in np.ndindex(*w.shape[1:]):
            at = tuple(np.multiply(p, stride) + np.multiply(k, dilation))
            at = (n, o // (w.shape[0] // groups) * w.shape[1] + i, *at)
            y[(n, o, *p)] += w[(o, i, *k)] * x[at]
            dx[at] += w[(o, i, *k)] * e[(n, o, *p)]
            dw[(o, i, *k)] += x[at] * e[(n, o, *p)]
    return y, dx[(..., *[slice(padding, n - padding) for n in x.shape[2:]])], dw


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("spoiled", ["x", "w", "δ"])
@pytest.mark.parametrize("spot", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", THIN.values(), ids=THIN)
def test_nan_and_inf_reach_what_they_are_multiplied_with_and_nothing_else(case, spot, spoiled, rng):
    """Whatever is computed in blocks: a zero that the definition does not have would make nan of either."""
    x, w, settings = drawn(rng, case)
    e = rng.standard_normal(nn.conv(x, w, **settings).shape)
    array = {"x": x, "w": w, "δ": e}[spoiled]
    array[(0, 0, *(n // 2 for n in array.shape[2:]))] = spot
    y, pullback = ad.vjp(lambda x, w: nn.conv(x, w, **settings), x, w)
    want = term_by_term(x, w, e, **settings)
    for got, true in zip((y, *pullback(e)), want, strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(nn.conv(x, w, **settings), want[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, bool])
def test_whole_numbers_are_taken_as_floats(dtype):
    x, w = np.full((1, 1, 3), 100).astype(dtype), np.full((1, 1, 2), 100).astype(dtype)
    want = 2 * float(x[0, 0, 0]) * float(w[0, 0, 0])
    assert nn.conv(x, w).dtype == nn.conv_transpose(x, w).dtype == np.float64
    np.testing.assert_array_equal(nn.conv(x, w), np.full((1, 1, 2), want))
    np.testing.assert_array_equal(nn.conv_transpose(x, w)[0, 0], want * np.array([0.5, 1, 1, 0.5]))
