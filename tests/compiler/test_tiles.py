"""Large pointwise work: groups, tiles, reductions, threads."""

import numpy as np
import pytest

import autodiff as ad

RNG = np.random.default_rng(0)
N = 100_003  # no multiple of any tile


@pytest.fixture(autouse=True)
def one_thread_a_core_again():
    yield
    ad.set_threads(None)


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def cross_entropy(w, x, labels):
    z = x @ w
    return -np.sum((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))) * labels) / len(x)


def normed(x, scale, shift):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * scale + shift


CASES = {
    "one shape": (lambda x, y: np.tanh(x * y) + np.exp(-x * x) * np.sin(y), lambda: RNG.standard_normal((2, N))),
    "three axes": (lambda x: np.tanh(x) * x + 1.0, lambda: [RNG.standard_normal((7, 90, 101))]),
    "a row": (lambda x, b: np.tanh(x + b), lambda: (RNG.standard_normal((500, 300)), RNG.standard_normal(300))),
    "a column": (
        lambda x, c: np.tanh(x * c) - c, lambda: (RNG.standard_normal((500, 300)), RNG.standard_normal((500, 1)))
    ),
    "a number": (lambda x, c: np.tanh(x * c) - c, lambda: (RNG.standard_normal((500, 300)), np.array(0.5))),
    "a square": (lambda x, b: np.tanh(x + b) * b, lambda: (RNG.standard_normal((300, 300)), RNG.standard_normal(300))),
    "rows of rows": (softmax, lambda: [RNG.standard_normal((40, 20, 100))]),
    "normed": (normed, lambda: (RNG.standard_normal((400, 200)), RNG.standard_normal(200), RNG.standard_normal(200))),
    "where": (lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x * 0.1), lambda: [RNG.standard_normal(N)]),
    "clip": (lambda x: np.clip(x, -1, 1) * np.abs(x), lambda: [RNG.standard_normal(N)]),
    "float32": (lambda x: np.tanh(x * 0.5) + x, lambda: [RNG.standard_normal(N).astype(np.float32)]),
    "complex": (lambda x: np.exp(1j * x) * x, lambda: [RNG.standard_normal(N)]),
    "integers": (lambda x, n: x * n + n, lambda: (RNG.standard_normal(N), RNG.integers(0, 9, N))),
    "a constant": (lambda x: x * np.linspace(0, 1, N) + 1.0, lambda: [RNG.standard_normal(N)]),
    "a transposed one": (
        lambda x, y: np.tanh(x.T) + y, lambda: (RNG.standard_normal((300, 500)), RNG.standard_normal((500, 300)))
    ),
    "reversed": (lambda x: np.tanh(x[::-1]) * x, lambda: [RNG.standard_normal(N)]),
    "its own real part": (
        lambda x: (lambda w: np.where(x > 1, w, 0.0) * 2.0 + w)(np.real(x * x)), lambda: [RNG.standard_normal(N)]
    ),
    "parts of complex numbers": (
        lambda x: (lambda z: np.abs(np.sin(z) * 2) * np.imag(z * z) + (z * z).real)(np.exp(1j * x)),
        lambda: [RNG.standard_normal(N)],
    ),
    "few rows": (lambda x: np.tanh(x) * x, lambda: [RNG.standard_normal((2, N))]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_bit_of_pointwise_work(name):
    f, draw = CASES[name]
    args = tuple(draw())
    want, got = f(*args), ad.jit(f)(*args)
    assert got.dtype == want.dtype
    if name in ("rows of rows", "normed"):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", [name for name in CASES if name != "complex"])
def test_gradients(name):
    f, draw = CASES[name]
    args = tuple(draw())
    places = tuple(k for k, x in enumerate(args) if x.dtype.kind == "f")
    g = ad.value_and_grad(lambda *args: np.sum(f(*args) ** 2), places)
    (want, wanted), (got, found) = g(*args), ad.jit(g)(*args)
    rtol = 1e-4 if name == "float32" else 1e-11
    np.testing.assert_allclose(got, want, rtol=rtol)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("how", [
    dict(), dict(axis=0), dict(axis=1), dict(axis=-1), dict(axis=(0, 1)), dict(axis=(0, 2)), dict(axis=(1, 2)),
    dict(axis=None, keepdims=True), dict(axis=0, keepdims=True), dict(axis=2, keepdims=True),
    dict(axis=(0, 2), keepdims=True),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("reduce", [np.sum, np.max, np.min, np.mean])
def test_reductions_at_the_end_of_a_group(reduce, how):
    def f(x):
        return reduce(np.tanh(x) * x, **how)

    x = RNG.standard_normal((70, 30, 50))
    want, got = f(x), ad.jit(f)(x)
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("shape", [(400, 400), (4, 16000, 4), (20, 300, 20), (330, 1, 330)])
@pytest.mark.parametrize("f", [
    lambda m, x: (np.sin(m) * x, np.sum(x)),
    lambda m, x: (np.sum((m * x) ** 2) + np.sum(x * x),),
    lambda m, x: (np.sin(m) * x, np.sin(x) * 2),
    lambda m, x: (x + 1, np.tanh(m) * x, np.max(x), np.cos(m) - x),
], ids=["sum", "ridge", "two results", "by row first"])  # fmt: skip
def test_a_vector_read_by_row_and_whole_in_one_group(shape, f):
    m, x = RNG.standard_normal(shape), RNG.standard_normal(shape[0])
    slopes = ad.grad(lambda m, x: sum(np.sum(part) for part in f(m, x)), (0, 1))
    for run in (f, slopes):
        for got, want in zip(ad.jit(run)(m, x), run(m, x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("derivative", [ad.jacobian, ad.hessian])
def test_square_derivatives(derivative):
    f = (lambda x: np.cumsum(x) * x) if derivative is ad.jacobian else lambda x: np.sum(np.sin(x) * x) ** 2
    run, x = derivative(f), RNG.standard_normal(400)
    np.testing.assert_allclose(ad.jit(run)(x), run(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("axis", [0, -1, (0,), None])
@pytest.mark.parametrize("reduce", [np.sum, np.max])
def test_a_reduction_of_the_only_axis_may_stand_first_in_a_group(reduce, axis):
    x = RNG.standard_normal(N)
    total, wave = ad.jit(lambda x: (reduce(x, axis=axis), np.sin(x)))(x)
    assert total == pytest.approx(reduce(x), rel=1e-12)
    np.testing.assert_array_equal(wave, np.sin(x))


def test_a_large_chain_is_one_group():
    f, draw = CASES["one shape"]
    program = ad.jit(ad.grad(lambda x, y: np.sum(f(x, y)), (0, 1))).lower(*draw())
    assert program.source.count("run_tiles(") == 1
    assert program.memory_plan.arena == 0  # nothing but the two results is ever whole


@pytest.mark.parametrize("name", ["one shape", "a row", "rows of rows", "normed", "where"])
def test_no_number_of_threads_changes_a_bit(name):
    f, draw = CASES[name]
    args = tuple(draw())
    g = ad.value_and_grad(lambda *args: np.sum(f(*args) ** 2), tuple(range(len(args))))
    found = []
    for count in (1, 2, 3, 8):
        ad.set_threads(count)
        found.append(ad.jit(g)(*args))
    for value, gradients in found[1:]:
        assert value == found[0][0]
        for a, b in zip(gradients, found[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_more_threads_than_the_program_was_first_run_with():
    f = ad.jit(CASES["one shape"][0])
    args = tuple(CASES["one shape"][1]())
    ad.set_threads(1)
    want = f(*args)
    for count in (4, 2, 1):
        ad.set_threads(count)
        np.testing.assert_array_equal(f(*args), want)


def test_an_error_or_a_warning_in_a_thread_reaches_the_caller():
    f = ad.jit(lambda x: np.log(x) * 2.0 + x)
    x = np.ones(1 << 20)
    f(x)
    x[-5] = -1.0  # in the last tile
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(f(x)[-5])
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError) as caught:
        f(x)
    assert __file__ in caught.value.__notes__[0]
    with np.errstate(invalid="ignore"):
        assert np.isnan(f(x)[-5])


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_a_count_of_threads_that_is_none(count):
    with pytest.raises(ad.errors.SettingError, match=r"set_threads\(.*\n.*where.*\n.*why.*\n.*set_threads\(2\)"):
        ad.set_threads(count)


def test_cross_entropy_keeps_to_the_rows_of_its_batch():
    x, w = RNG.standard_normal((2000, 20)), RNG.standard_normal((20, 50))
    labels = np.eye(50)[RNG.integers(0, 50, 2000)]
    g = ad.value_and_grad(cross_entropy)
    want, got = g(w, x, labels), ad.jit(g)(w, x, labels)
    assert got[0] == pytest.approx(want[0], rel=1e-13)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-11, atol=1e-14)


PLACES = np.random.default_rng(2).integers(-50, 50, 40_000)


@pytest.mark.parametrize("rest", [(), (8,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.int32])
@pytest.mark.parametrize("table_rows", [50, 40_000])
def test_rows_of_a_table_are_read_within_the_tiles(rest, dtype, table_rows):
    table = np.random.default_rng(0).standard_normal((table_rows, *rest))
    weights = np.random.default_rng(1).standard_normal((40_000, *rest))

    def f(table, places, weights):
        return np.sum(np.tanh(table[places]) * weights)

    want = ad.value_and_grad(f, (0, 2))(table, PLACES.astype(dtype), weights)
    run = ad.jit(ad.value_and_grad(f, (0, 2)))
    assert "take(" in run.lower(table, PLACES.astype(dtype), weights).source
    found = []
    for count in (1, 2, 3):
        ad.set_threads(count)
        found.append(run(table, PLACES.astype(dtype), weights))
    for got in found:
        np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
        for a, b, c in zip(got[1], want[1], found[0][1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
            np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("place", [50, -51])
def test_a_place_outside_of_the_table_is_an_error(place):
    table, places = np.ones((50, 8)), PLACES.copy()
    places[-3] = place

    def f(table, places):
        return np.sum(np.exp(table[places]))

    for run in (f, ad.jit(f)):
        with pytest.raises(IndexError, match=f"index {place} is out of bounds for axis 0 with size 50"):
            run(table, places)


def test_places_that_are_computed_in_the_group():
    table = np.random.default_rng(0).standard_normal((64, 8))

    def f(table, places):
        return np.sum(np.exp(table[np.bitwise_and(places, 63)]))

    np.testing.assert_allclose(ad.jit(f)(table, PLACES), f(table, PLACES), rtol=1e-12)
