"""What no law can know of the pointwise operations: branch cuts, corners, high orders, spellings that mean the same."""

import itertools

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.graph import OPERATIONS
from autodiff.op import UFUNCS

GUFUNCS = {f for f in vars(np).values() if isinstance(f, np.ufunc) and f.signature is not None}
POINTWISE = sorted({f for f in vars(np).values() if isinstance(f, np.ufunc)} - GUFUNCS, key=lambda f: f.__name__)


def derivative(f, order=1):
    for _ in range(order):
        f = ad.elementwise_grad(f)
    return f


def forward(f, x):
    return ad.jvp(f, (x,), (np.ones_like(x),))[1]


# -- the rule book is complete -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ufunc", POINTWISE, ids=lambda f: f.__name__)
def test_every_ufunc_is_registered(ufunc):
    assert ufunc in UFUNCS


@pytest.mark.parametrize("ufunc", POINTWISE, ids=lambda f: f.__name__)
def test_a_flat_ufunc_has_no_slope_and_another_has_one(ufunc):
    """Between its jumps a function that is registered as flat really is; any other moves somewhere."""
    if ufunc.nout > 1 or "d" * ufunc.nin not in {types.split("->")[0] for types in ufunc.types}:
        pytest.skip("several results, or no loop for floats: tested below")
    rng = np.random.default_rng(5)
    args = [rng.uniform(1.1, 1.9, 200) if ufunc is np.arccosh else rng.uniform(0.1, 0.9, 200) for _ in range(ufunc.nin)]
    moved = False
    for k in range(ufunc.nin):
        shifted = [x + 1e-9 * (i == k) for i, x in enumerate(args)]
        change = np.asarray(ufunc(*shifted)).astype(float) - np.asarray(ufunc(*args)).astype(float)
        moved = moved or np.count_nonzero(change) > 50
    op = OPERATIONS[ufunc.__name__]
    if op.name == "nextafter":  # flat by decision: it moves with its argument, but tells where stored numbers stand
        moved = False
    if op.name == "heaviside":  # it is its second argument where the first is zero, which no draw hits
        assert not moved
        assert not op.flat
    else:
        assert op.flat != moved


@pytest.mark.parametrize("ufunc", [np.gcd, np.lcm, np.bitwise_and, np.left_shift, np.invert, np.bitwise_count])
def test_ufuncs_of_integers_refuse_floats_as_numpy_does(ufunc):
    args = (1.0,) * ufunc.nin
    with pytest.raises(TypeError):
        ufunc(*args)
    with pytest.raises(TypeError):
        ad.grad(lambda x: np.sum(ufunc(x, *args[1:])))(1.0)


# -- ufuncs with several results ---------------------------------------------------------------------------------------


def test_divmod_is_the_quotient_and_the_remainder():
    a, b = np.array([7.5, -7.5, 3.25]), np.array([2.0, 2.0, -1.5])
    got = ad.vjp(np.divmod, a, b)[0]
    for mine, numpys in zip(got, np.divmod(a, b), strict=True):
        np.testing.assert_array_equal(mine, numpys)
    da, db = ad.grad(lambda a, b: np.sum(np.divmod(a, b)[1]), (0, 1))(a, b)
    np.testing.assert_array_equal(da, np.ones(3))
    np.testing.assert_array_equal(db, -np.floor(a / b))


def test_modf_passes_delta_to_the_fraction_alone():
    x = np.array([1.25, -2.5, 3.75])
    y, pullback = ad.vjp(np.modf, x)
    np.testing.assert_array_equal(y, np.modf(x))
    seed = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(pullback((seed, 100 * seed))[0], seed)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.modf(x)[1]))(x), np.zeros(3))
    fraction, whole = ad.jvp(np.modf, (x,), (seed,))[1]
    np.testing.assert_array_equal(fraction, seed)
    np.testing.assert_array_equal(whole, np.zeros(3))


def test_frexp_divides_by_the_power_of_two():
    x = np.array([3.0, -0.3, 40.0])
    exponent = np.frexp(x)[1]
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(np.frexp(x)[0]))(x), 2.0**-exponent)

    def whole(x):
        mantissa, exponent = np.frexp(x)
        return np.ldexp(mantissa, exponent)

    np.testing.assert_array_equal(derivative(whole)(x), np.ones(3))
    np.testing.assert_array_equal(forward(whole, x), np.ones(3))


# -- powers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 2.0, True, np.float64(3), np.int64(3), np.float32(2)])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_literal_exponents(exponent, order):
    x = np.array([0.5, 1.5, 2.0])
    want = np.prod([float(exponent) - i for i in range(order)]) * x ** (float(exponent) - order)
    for f in (lambda x: x**exponent, lambda x: np.power(x, exponent), lambda x: np.float_power(x, exponent)):
        np.testing.assert_allclose(derivative(f, order)(x), want, rtol=1e-14)


@pytest.mark.parametrize("base", [0.0, -0.0, -2.0, 2.0])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, np.array(0), np.array([2, 2]), np.array([0, 1], np.uint8)])
def test_whole_exponents_at_any_base(base, exponent):
    """Polynomials have every derivative everywhere, with no warning and no nan: also at zero and below it."""
    x = np.array([base, base])
    want = np.array([np.polyder(np.poly1d([1.0] + [0.0] * int(n)))(base) for n in np.broadcast_to(exponent, 2)])
    for f in (lambda x: x**exponent, lambda x: np.float_power(x, exponent)):
        np.testing.assert_array_equal(derivative(f)(x), want)
        np.testing.assert_array_equal(forward(f, x), want)
        second = [np.polyder(np.poly1d([1.0] + [0.0] * int(n)), 2)(base) for n in np.broadcast_to(exponent, 2)]
        np.testing.assert_array_equal(derivative(f, 2)(x), second)


def test_mixed_second_derivative_of_a_power_in_both_orders():
    for a, b in ((23.0, 0.0), (0.5, 0.0), (2.0, 1.0), (3.0, -1.5)):
        want = a ** (b - 1) * (1 + b * np.log(a))
        assert ad.grad(lambda b: ad.grad(np.power)(a, b))(b) == pytest.approx(want, rel=1e-14)  # noqa: B023
        assert ad.grad(lambda a: ad.grad(np.power, 1)(a, b))(a) == pytest.approx(want, rel=1e-14)  # noqa: B023
    assert ad.grad(lambda b: ad.grad(np.power)(23.0, b))(0.0) == 1 / 23


def test_powers_of_zero_by_the_exponent():
    assert ad.grad(lambda y: 0.0**y)(2.0) == 0.0
    assert ad.grad(lambda y: np.power(np.zeros(2), y).sum())(2.0) == 0.0
    assert ad.grad(ad.grad(lambda y: 0.0**y))(2.0) == 0.0
    assert ad.grad(np.power, 1)(0.0, 0.0) == -np.inf  # from 1 down to 0, and down from inf to 1


def test_an_exponent_of_integer_bases():
    assert ad.grad(lambda y: 2**y)(3.0) == pytest.approx(8 * np.log(2), rel=1e-15)
    got = ad.grad(lambda y: np.sum(np.array([0, 1, 2]) ** y))(2.0)
    assert got == pytest.approx(4 * np.log(2), rel=1e-15)


def test_a_literal_exponent_takes_no_logarithm():
    graph = ad.trace(ad.grad(lambda x: np.sum(x**2)))(np.ones(3))
    assert not {"log", "power_log"} & {node.op.name for node in graph.nodes}


def test_the_value_of_a_power_is_numpys_to_the_bit():
    x = np.random.default_rng(0).uniform(0.1, 9.0, 1000)
    for exponent in (2, 3, 0.5, -1, 1.7, x[::-1].copy()):
        got = ad.vjp(lambda x: np.power(x, exponent), x)[0]  # noqa: B023
        assert np.array_equal(got, np.power(x, exponent))


def test_a_power_of_a_complex_number():
    z, w = 0.5 - 1.5j, 1.2 + 0.3j
    assert ad.grad(lambda z: np.real(z**w))(z) == pytest.approx(w * z ** (w - 1), rel=1e-13)
    assert ad.grad(lambda w: np.real(z**w))(w) == pytest.approx(z**w * np.log(z), rel=1e-13)
    assert ad.grad(lambda z: np.real(z**2))(0j) == 0


# -- saturation, overflow, cancellation --------------------------------------------------------------------------------


def test_tanh_at_saturation():
    assert derivative(lambda v: np.tanh(-1e8 * v) * (-1e8 * v) ** 2, 2)(1.0) == -2e16


@pytest.mark.parametrize("x", [1e200, -1e200, 1e-200])
def test_inverse_functions_far_out_do_not_overflow(x):
    with mpmath.workdps(30):
        wide = mpmath.mpf(x)
        assert derivative(np.arcsinh)(x) == pytest.approx(float(1 / mpmath.sqrt(1 + wide**2)), rel=1e-15)
        assert derivative(np.arccosh)(abs(x) + 2) == pytest.approx(
            float(1 / mpmath.sqrt((abs(wide) + 2) ** 2 - 1)), rel=1e-15
        )
        assert derivative(np.arctan)(x) == float(1 / (1 + wide**2))
        assert ad.grad(np.arctan2)(x, 2 * x) == pytest.approx(float(2 / (5 * wide)), rel=1e-15)


def test_half_precision_does_not_overflow_where_its_square_does():
    x = np.array([300.0, -300.0], np.float16)
    for f, want in ((np.arctan, 1 / 90001), (np.arcsinh, 1 / 300), (lambda x: np.hypot(x, x), 2**0.5)):
        got = derivative(f)(x)
        assert got.dtype == np.float16
        assert np.abs(got) == pytest.approx(want, rel=2e-3, abs=6e-8)


@pytest.mark.parametrize("f", [np.arcsin, np.arccos, np.arctanh, np.arccosh])
def test_next_to_the_edge_of_the_domain(f):
    """1 − x² has all its digits where x has."""
    x = 1 + 2.0**-50 if f is np.arccosh else 1 - 2.0**-50
    exact = {np.arcsin: mpmath.asin, np.arccos: mpmath.acos, np.arctanh: mpmath.atanh, np.arccosh: mpmath.acosh}[f]
    with mpmath.workdps(60):
        assert derivative(f)(x) == pytest.approx(float(mpmath.diff(exact, mpmath.mpf(x), h=1e-30)), rel=1e-14)


@pytest.mark.parametrize(("f", "base"), [(np.exp2, 2), (np.log2, 2), (np.log10, 10), (np.logaddexp2, 2)])
def test_constants_have_the_precision_of_the_dtype(f, base):
    x = np.longdouble(1.3)
    ln = np.log(np.longdouble(base))
    want = {np.exp2: f(x, *[x] * (f.nin - 1)) * ln, np.logaddexp2: np.longdouble(0.5)}.get(f, 1 / (x * ln))
    got = ad.grad(f)(*[x] * f.nin)
    assert got.dtype == np.longdouble
    assert abs(got - want) <= 4 * np.finfo(np.longdouble).eps * abs(want)


def test_logaddexp_of_large_numbers_that_tie():
    for big in (1e16, 1e150, -1e150):
        assert ad.grad(np.logaddexp, (0, 1))(big, big) == (0.5, 0.5)
    second = ad.grad(lambda a: ad.grad(np.logaddexp)(a, 5.0))(5.0)
    assert second == 0.25


# -- sinc --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_sinc_in_every_order(order):
    xs = [0.0, -0.0, 1e-300, 1e-9, 1e-3, 0.2, -0.6, 1.0, 1.9, -2.5, 20.0, 400.25]
    found = derivative(np.sinc, order)(np.array(xs))
    with mpmath.workdps(60):
        for x, got in zip(xs, found, strict=True):
            true = mpmath.quad(
                lambda t, x=x: (mpmath.pi * t) ** order * mpmath.cos(mpmath.pi * (x * t + mpmath.mpf(order) / 2)),
                mpmath.linspace(0, 1, 2 + int(abs(x)) // 4),
            )
            assert got == pytest.approx(float(true), rel=1e-12, abs=1e-14 * np.pi**order)


def test_sinc_of_a_complex_number():
    z = np.array([0.1 + 0.2j, 2.0 - 0.3j, 0j])
    h = 1e-6
    central = (np.sinc(z + h) - np.sinc(z - h)) / (2 * h)
    np.testing.assert_allclose(ad.jvp(np.sinc, (z,), (np.ones_like(z),))[1], central, rtol=1e-8, atol=1e-9)


# -- corners -----------------------------------------------------------------------------------------------------------

SAME_AS_RELU = {
    "maximum(x, 0)": lambda x: np.maximum(x, 0),
    "maximum(0, x)": lambda x: np.maximum(0.0, x),
    "fmax": lambda x: np.fmax(x, 0),
    "−minimum(−x, 0)": lambda x: -np.minimum(-x, 0),
    "clip(x, 0, None)": lambda x: np.clip(x, 0, None),
    "clip(min=0)": lambda x: np.clip(x, min=0),
    "clip(a_min=0, a_max=None)": lambda x: np.clip(x, a_min=0, a_max=None),
    "x.clip(0)": lambda x: np.clip(x, 0, np.inf),
    "relu": ad.nn.relu,
    "(x + |x|) / 2": lambda x: (x + np.abs(x)) / 2,
    "x·heaviside(x, ½)": lambda x: x * np.heaviside(x, 0.5),
}


@pytest.mark.parametrize("f", SAME_AS_RELU.values(), ids=SAME_AS_RELU)
def test_spellings_that_mean_the_same_agree_at_the_corner(f):
    x = np.array([-1.0, -0.0, 0.0, 2.0])
    np.testing.assert_array_equal(derivative(f)(x), [0.0, 0.5, 0.5, 1.0])
    np.testing.assert_array_equal(forward(f, x), [0.0, 0.5, 0.5, 1.0])
    np.testing.assert_array_equal(derivative(f, 2)(x), np.zeros(4))


def test_where_is_the_exception():
    assert ad.grad(lambda x: np.where(x > 0, x, 0))(0.0) == 0.0
    assert ad.grad(lambda x: np.where(x >= 0, x, 0))(0.0) == 1.0


@pytest.mark.parametrize(
    ("f", "partials"), [(np.hypot, (0.0, 0.0)), (np.arctan2, (0.0, 0.0)), (lambda a, b: np.abs(a + 1j * b), (0.0, 0.0))]
)
def test_at_the_origin_nothing_is_divided_by_zero(f, partials):
    assert ad.grad(f, (0, 1))(0.0, 0.0) == partials
    hessian = ad.hessian(f, (0, 1))(0.0, 0.0)
    assert hessian == ((0.0, 0.0), (0.0, 0.0))


@pytest.mark.parametrize("f", [np.arcsin, np.arccos, np.arccosh, np.arctanh])
@pytest.mark.parametrize("end", [1.0, -1.0])
def test_at_the_end_of_its_domain_an_inverse_function_is_infinitely_steep_and_curved(f, end):
    """Of the sign that both have beside it."""
    if f is np.arccosh and end < 0:
        return
    x, beside = np.array([end]), np.array([np.nextafter(end, 3.0 if f is np.arccosh else 0.0)])
    with np.errstate(divide="ignore"):
        for order in (1, 2):
            want = np.copysign(np.inf, derivative(f, order)(beside))
            np.testing.assert_array_equal(derivative(f, order)(x), want)
            np.testing.assert_array_equal(forward(derivative(f, order - 1), x), want)


def test_an_infinite_delta_does_not_pass_a_branch_that_was_not_taken():
    """sqrt has slope inf at 0; what maximum, clip, where and relu did not take stays at zero all the same."""
    x = np.array([-1.0, 4.0])
    for f in (lambda x: np.maximum(x, 0), lambda x: np.clip(x, 0, 9), ad.nn.relu, lambda x: np.where(x > 0, x, 0)):
        root = lambda x, f=f: np.sqrt(f(x))
        np.testing.assert_array_equal(derivative(root)(x), [0.0, 0.25])
        np.testing.assert_array_equal(forward(root, x), [0.0, 0.25])
        np.testing.assert_array_equal(derivative(root, 2)(x), [0.0, -1 / 32])


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_ties_share_and_sum_to_the_whole(f):
    a = np.array([1.0, 2.0, -0.0, np.inf])
    b = np.array([1.0, 2.0, 0.0, np.inf])
    da, db = ad.grad(lambda a, b: np.sum(np.where(np.isfinite(a), f(a, b), 0)), (0, 1))(a, b)
    np.testing.assert_array_equal(da, [0.5, 0.5, 0.5, 0.0])
    np.testing.assert_array_equal(db, da)


def test_maximum_of_a_log_that_lost_is_a_true_zero():
    with np.errstate(divide="ignore"):
        assert ad.grad(lambda x: np.maximum(np.log(x), -5.0))(0.0) == 0.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.complex64])
def test_choices_keep_the_dtype(dtype):
    x = np.array([-1.0, 0.5, 3.0], dtype)
    for f in (lambda x: np.maximum(x, 1), lambda x: np.where(x == 0.5, x, 0), lambda x: np.nan_to_num(x)):
        y, pullback = ad.vjp(f, x)
        assert y.dtype == pullback(np.ones_like(y))[0].dtype == dtype


# -- clip --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high"), [*itertools.product([None, 0.0, 2.0, np.nan], [None, 1.0, 2.0]), (np.array([0.0, 1.0, 3.0]), 2.0)]
)
def test_clip_is_minimum_of_maximum(low, high):
    x = np.array([0.0, 1.5, 2.0])

    def spelled(x):
        x = x if low is None else np.maximum(x, low)
        return x if high is None else np.minimum(x, high)

    if low is None and high is None:
        np.testing.assert_array_equal(derivative(lambda x: np.clip(x, None, None))(x), np.ones(3))
        return
    np.testing.assert_array_equal(ad.vjp(lambda x: np.clip(x, low, high), x)[0], np.clip(x, low, high))
    np.testing.assert_array_equal(derivative(lambda x: np.clip(x, low, high))(x), derivative(spelled)(x))


def test_bounds_of_clip_get_their_share():
    x, low, high = np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), 0.0, 1.0
    dx, dlow, dhigh = ad.grad(lambda x, low, high: np.sum(np.clip(x, low, high)), (0, 1, 2))(x, low, high)
    np.testing.assert_array_equal(dx, [0.0, 0.5, 1.0, 0.5, 0.0])
    assert (dlow, dhigh) == (1.5, 1.5)
    assert ad.grad(lambda high: np.sum(np.clip(x, None, high)))(1.0) == 1.5


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: np.clip(x, 0, 1, out=np.zeros(3)), KeywordError, "'out'"),
        (lambda x: np.clip(x, 0, 1, where=np.ones(3, bool)), KeywordError, "'where'"),
        (lambda x: np.clip(x, 0, 1, min=0), ValueError, "two pairs"),
        (lambda x: np.clip(x, a_min=0), TypeError, "a_max"),
        (lambda x: np.clip(x, a_max=0), TypeError, "a_min"),
        (lambda x: np.nan_to_num(x, copy=False), KeywordError, "'copy'"),
        (lambda x: np.round(x, 1, np.zeros(3)), KeywordError, "'out'"),
    ],
)
def test_what_is_not_covered_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        ad.grad(lambda x: np.sum(call(x)))(np.ones(3))


def test_settings_at_their_defaults_pass():
    x = np.array([1.0, np.nan, -np.inf])
    np.testing.assert_array_equal(
        derivative(lambda x: np.nan_to_num(x, True, 0.0, None, neginf=None))(x), [1.0, 0.0, 0.0]
    )
    got = ad.vjp(lambda x: np.nan_to_num(x, nan=7.0, neginf=-2.0), x)[0]
    np.testing.assert_array_equal(got, [1.0, 7.0, -2.0])


# -- complex numbers ---------------------------------------------------------------------------------------------------

CUTS = {
    np.arcsin: [2, -2], np.arccos: [2, -2], np.arctanh: [2, -2], np.arccosh: [0.5, -0.5, -2],
    np.arctan: [2j, -2j], np.arcsinh: [2j, -2j], np.log: [-2], np.sqrt: [-2], np.log1p: [-2],
}  # fmt: skip


@pytest.mark.parametrize(("f", "point"), [(f, p) for f, points in CUTS.items() for p in points])
@pytest.mark.parametrize("side", [1, -1])
def test_on_a_branch_cut_the_sign_of_zero_decides(f, point, side):
    """The derivative on a cut continues that from the side on which NumPy's value continues."""
    zero, off = np.copysign(0.0, side), side * 1e-9
    across = np.real(point) == 0 and point != 0
    z = complex(zero, np.imag(point)) if across else complex(np.real(point), zero)
    beside = complex(off, np.imag(point)) if across else complex(np.real(point), off)
    assert f(z) == pytest.approx(f(beside), rel=1e-7)
    got = ad.jvp(f, (z,), (1.0 + 0j,))[1]
    assert got == pytest.approx(ad.jvp(f, (beside,), (1.0 + 0j,))[1], rel=1e-7)


def test_absolute_and_sign_of_a_complex_number():
    z = np.array([3.0 + 4.0j, 0j, -2.0])
    np.testing.assert_allclose(ad.grad(lambda z: np.sum(np.abs(z)))(z), [0.6 - 0.8j, 0, -1], rtol=1e-15)
    np.testing.assert_allclose(ad.vjp(np.sign, z)[0], [0.6 + 0.8j, 0, -1], rtol=1e-15)
    # turning z leaves |z|, stretching z leaves z / |z|
    np.testing.assert_allclose(ad.jvp(np.sign, (z,), (z,))[1], np.zeros(3), atol=1e-16)
    np.testing.assert_allclose(ad.jvp(np.sign, (z,), (1j * z,))[1], 1j * np.sign(z), rtol=1e-15)
    np.testing.assert_allclose(ad.jvp(np.abs, (z,), (1j * z,))[1], np.zeros(3), atol=1e-15)


def test_sign_of_a_real_number_is_flat():
    graph = ad.trace(np.sign)(2.0)
    assert graph.nodes[-1].op.flat
    assert ad.grad(np.sign)(2.0) == 0.0


@pytest.mark.parametrize("deg", [False, True])
def test_angle(deg):
    unit = 180 / np.pi if deg else 1.0
    z = 3.0 + 4.0j
    assert ad.vjp(lambda z: np.angle(z, deg), z)[0] == np.angle(z, deg)
    assert ad.grad(lambda z: np.angle(z, deg=deg))(z) == pytest.approx(unit * (-1j / z), rel=1e-15)
    assert ad.vjp(lambda x: np.angle(x, deg), -2.0)[0] == np.angle(-2.0, deg)
    assert ad.grad(lambda x: np.angle(x, deg=deg))(-2.0) == 0.0


def test_parts_of_real_numbers():
    x = np.array([1.0, -2.0])
    np.testing.assert_array_equal(derivative(np.real)(x), [1.0, 1.0])
    np.testing.assert_array_equal(derivative(np.imag)(x), [0.0, 0.0])
    assert ad.jvp(np.imag, (2.0,), (1.0,))[1] == 0.0


def test_real_if_close():
    z = np.array([1.0 + 1e-15j, 2.0])
    assert ad.vjp(np.real_if_close, z)[0].dtype == float
    np.testing.assert_array_equal(ad.grad(lambda z: np.sum(np.real_if_close(z)))(z), [1.0, 1.0])
    assert ad.vjp(lambda z: np.real_if_close(z, tol=1e-20), z)[0].dtype == complex


# -- where, in each of its forms ---------------------------------------------------------------------------------------


def test_where_with_a_condition_of_numbers():
    c, a, b = np.array([0.0, 2.0, np.nan]), np.ones(3), np.ones(3)
    dc, da, db = ad.grad(lambda c, a, b: np.sum(np.where(c, a, b)), (0, 1, 2))(c, a, b)
    np.testing.assert_array_equal(dc, np.zeros(3))
    np.testing.assert_array_equal(da, [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(db, [1.0, 0.0, 0.0])


def test_where_in_forward_mode_and_in_a_full_trace():
    x = np.array([1.0, -1.0])
    np.testing.assert_array_equal(forward(lambda x: np.where(x > 0, x * 2, x * 3), x), [2.0, 3.0])
    graph = ad.trace(lambda x: np.where(x > 0, x, 0))(x)
    assert [node.op.name for node in graph.nodes] == ["input", "greater", "where"]


def test_where_with_one_argument_is_nonzero():
    x = np.array([1.0, 0.0, 3.0])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x[np.where(x)] ** 2))(x), [2.0, 0.0, 6.0])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x[np.where(x > 2)]))(x), [0.0, 0.0, 1.0])
