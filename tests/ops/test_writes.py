"""Writes into an array by NumPy's functions and ndarray's methods: the array afterwards, and what passes through."""

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff.errors import KeywordError, LostHistoryError, NoRuleError, ViewWriteError
from autodiff.testing import check_grads

MASK = np.array([[True, False, True, False], [False, True, False, False], [True, True, True, False]])


def put(*args, **settings):
    return lambda a, v: np.put(a, *args, v=v, **settings)


WRITES = {
    "put": (put([0, 7, -2]), (3,)),
    "put one number": (put([[0, 7], [1, 2]]), ()),
    "put, the last of several": (put([5, 1, 5, 5]), (4,)),
    "put, repeated": (put([0, 7, 3, 1, 11]), (2,)),
    "put, too many": (put([4, 2]), (2, 3)),
    "put, wrapped": (put([-20, 30, 12], mode="wrap"), (3,)),
    "put, clipped": (put([-20, 30, 2], mode="clip"), (3,)),
    "put a number at a number": (put(3), (1,)),
    "put nowhere": (put([]), (2,)),
    "put nothing": (put([1, 2]), (0,)),
    "method put": (lambda a, v: a.put([3, 3, 1], v, mode="wrap"), (2,)),
    "put_along_axis": (lambda a, v: np.put_along_axis(a, np.array([[0, 3], [1, 1], [-1, 2]]), v, 1), (3, 2)),
    "put_along_axis, one row": (lambda a, v: np.put_along_axis(a, np.array([[0, 2, 1, -1]]), v, axis=0), (4,)),
    "put_along_axis, flat": (lambda a, v: np.put_along_axis(a, np.array([4, -1, 4]), v, None), (3,)),
    "place": (lambda a, v: np.place(a, MASK, v), (6,)),
    "place, repeated": (lambda a, v: np.place(a, MASK.ravel().tolist(), v), (2, 2)),
    "place nowhere": (lambda a, v: np.place(a, MASK & False, v), (0,)),
    "putmask": (lambda a, v: np.putmask(a, MASK, v), (3, 4)),
    "putmask, repeated": (lambda a, v: np.putmask(a, a > 0.2, v), (5,)),
    "putmask with one": (lambda a, v: np.putmask(a, mask=MASK, values=v), ()),
    "putmask with none": (lambda a, v: np.putmask(a, MASK, v), (0,)),
    "copyto": (lambda a, v: np.copyto(a, v), (3, 4)),
    "copyto, broadcast": (lambda a, v: np.copyto(dst=a, src=v), (4,)),
    "copyto where": (lambda a, v: np.copyto(a, v, where=MASK), (3, 1)),
    "copyto where, broadcast": (lambda a, v: np.copyto(a, v, "same_kind", [True, False, False, True]), ()),
    "copyto where it is small": (lambda a, v: np.copyto(a, v, where=a < 0.5), (3, 4)),
    "fill_diagonal": (lambda a, v: np.fill_diagonal(a, v), ()),
    "fill_diagonal with a vector": (lambda a, v: np.fill_diagonal(a, v), (3,)),
    "fill_diagonal, repeated": (lambda a, v: np.fill_diagonal(a, val=v), (2,)),
    "put at what is cut to whole numbers": (put([0.5, 7.9]), (2,)),
    "fill_diagonal with nothing": (lambda a, v: np.fill_diagonal(a, v), (0,)),
    "fill": (lambda a, v: a.fill(v), ()),
    "flat": (lambda a, v: a.flat.__setitem__(slice(None, None, 5), v), (3,)),
    "flat, one": (lambda a, v: a.flat.__setitem__(6, v), ()),
    "flat, named": (lambda a, v: a.flat.__setitem__([1, 1, 8], v), (3,)),
    "flat, all": (lambda a, v: setattr(a, "flat", v), (5,)),
    "flat, masked": (lambda a, v: a.flat.__setitem__(MASK.ravel(), v), (6,)),
    "a row": (lambda a, v: np.put(a[1], [0, 2], v), (2,)),
    "a slice": (lambda a, v: np.copyto(a[:, 1:3], v, where=[True, False]), (3, 2)),
    "real": (lambda a, v: setattr(a, "real", v), (3, 4)),
    "a list with numbers": (lambda a, v: a.__setitem__((slice(0, 2), 0), [v, 2 * v]), ()),
    "a list of rows": (lambda a, v: a.__setitem__(slice(0, 2), [v, [1.0, 2.0, 3.0, v[0]]]), (4,)),
    "put a list": (lambda a, v: np.put(a, [2, 9], [v, v * v]), ()),
}


def result(write):
    """The array after the write, as a function of the array before it and of what is written."""

    def f(a, v):
        a = a * 1.0
        write(a, v)
        return a * a

    return f


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
@pytest.mark.parametrize("name", WRITES)
def test_as_numpy(name, dtype, rng):
    write, shape = WRITES[name]
    a, v = rng.standard_normal((3, 4)).astype(dtype), rng.standard_normal(shape).astype(dtype)[()]
    if dtype == np.complex128:
        a, v = a + 1j * rng.standard_normal((3, 4)), v + 1j * rng.standard_normal(shape)
        if "a > 0" in name or name in ("real", "putmask, repeated", "copyto where it is small"):
            v = v.real  # complex numbers have no order, and no imaginary part fits into a real one
    f = result(write)
    expected = f(a, v)
    y, _ = ad.vjp(f, a, v)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(ad.vjp(lambda a: f(a, v), a)[0], expected)
    np.testing.assert_array_equal(ad.vjp(lambda v: f(anp.array(a), v), v)[0], expected)
    if dtype != np.float32:
        check_grads(f, (a, v), order=2)


@pytest.mark.parametrize(
    ("write", "shape"),
    [
        (lambda x: x.sort(), (3, 4)), (lambda x: x.sort(0, "stable"), (3, 4)), (lambda x: x.sort(axis=-2), (2, 3)),
        (lambda x: x.partition((1, 2)), (3, 4)), (lambda x: x.partition((0, -1), 0), (3, 4)),
        (lambda x: x[1].sort(), (3, 4)), (lambda x: np.fill_diagonal(x, x[1, 1, 1] * 2), (3, 3, 3)),
        (lambda x: setattr(x, "shape", (4, 3)), (3, 4)), (lambda x: setattr(x, "shape", -1), (3, 4)),
    ],
)  # fmt: skip
def test_methods_that_write(write, shape, rng):
    x = rng.standard_normal(shape)

    def f(x):
        x = x * 1.0
        write(x)
        return x * np.arange(1.0, x.size + 1).reshape(x.shape) + x * x

    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))
    check_grads(f, (x,), order=2)


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (3, 3, 3), (1, 1), (2, 0), (0, 2)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_fill_diagonal_of_every_shape(wrap, shape, count, rng):
    a, v = rng.standard_normal(shape), rng.standard_normal(count)

    def f(a, v):
        a = a * 1.0
        np.fill_diagonal(a, v, wrap)
        return a * a

    np.testing.assert_array_equal(ad.vjp(f, a, v)[0], f(a, v))
    check_grads(f, (a, v), order=1)


def test_parts_of_complex_numbers(rng):
    z, v = rng.standard_normal(3) + 1j * rng.standard_normal(3), rng.standard_normal(3)

    def f(z, v):
        z = z * 1.0
        z.real = v
        z.imag = z.imag * v
        return z * z

    np.testing.assert_array_equal(ad.vjp(f, z, v)[0], f(z, v))
    check_grads(f, (z, v), order=2)
    with pytest.raises(TypeError, match="imaginary"):
        ad.vjp(lambda x: setattr(x, "imag", 1.0), v)


def test_a_write_shows_through_live_views(rng):
    x = rng.standard_normal((3, 4))

    def f(x):
        x = x * 1.0
        row, block = x[1], x[:2, 1:]
        np.put(row, [0, 3], 7.0)
        np.copyto(block, 2 * x[1:, 1:], where=[True, False, True])
        np.fill_diagonal(x, 5.0)
        return np.concatenate([row, block.ravel(), x.ravel()]) ** 2

    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))
    check_grads(f, (x,), order=2)


def test_a_write_is_followed_through_a_reversed_view_and_a_new_shape():
    def turned(x):
        x = x * 1.0
        back = np.flip(x)
        np.put(back, 0, 1.0)
        return x + back

    def shaped(x):
        x = x * 1.0
        row = x[0]
        x.shape = (4,)
        x[1] = 7.0
        return x * row[1] + row[0]

    for f, x in ((turned, np.arange(3.0)), (shaped, np.arange(4.0).reshape(2, 2))):
        y, pullback = ad.vjp(f, x)
        np.testing.assert_array_equal(y, f(x))
        found = pullback(np.arange(1.0, 1.0 + y.size))[0]
        for place in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[place] = 1.0  # both are linear
            assert found[place] == np.arange(1.0, 1.0 + y.size) @ (f(x + step) - f(x))


def _summed(x):
    y = x.T * 1.0
    y += np.ones(y.shape)  # laid out otherwise
    v = y.ravel()
    y[0] = 9.0
    return np.sum(v * np.arange(v.size))


def _turned(x):
    y = x.T
    y[0] = 1.0
    y.reshape(-1)[0] = 9.0
    return np.sum(y * np.arange(y.size).reshape(y.shape))


def _whole(x):
    x += x.sum(axis=0)
    v = x.ravel(order="F")
    x[0] = 9.0
    return np.sum(v * np.arange(v.size))


def _like(x):
    z = np.zeros_like(x.T)
    z[0] = x[:, 0]
    z.reshape(-1)[0] = 9.0
    return np.sum(z * x.T)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("f", [_summed, _turned, _whole, _like])
def test_what_is_written_lies_in_memory_as_numpys(f, order):
    """It decides whether what is read next is a view or a copy."""
    x = np.asarray(np.arange(1.0, 7.0).reshape(2, 3), order=order)
    value, found = ad.value_and_grad(f)(x)
    assert value == f(x.copy("K"))
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 0.5
        assert found[place] == f(x + step) - f(x - step)  # of degree two at most
    assert ad.jit(f)(x) == ad.vjp(f, x)[0] == value


def test_a_write_whose_way_is_not_known_is_refused():
    turned = ad.checkpoint(np.flip)

    def f(x):
        x = x * 1.0
        back = turned(x)
        np.put(back, 0, 1.0)
        return x + back

    with pytest.raises(ViewWriteError):
        ad.vjp(f, np.ones(3))


def test_copyto_drops_axes_in_front_and_needs_no_values():
    def f(x):
        y = x * 1.0
        np.copyto(y, (x * 2)[None], where=np.array([True, False, True]))
        np.copyto(y, 1, where=[False, True, False])
        return np.sum(y * x)

    x = np.arange(3.0)
    assert ad.value_and_grad(f)(x)[0] == ad.jit(f)(x) == f(x)
    np.testing.assert_array_equal(ad.grad(f)(x), [0.0, 1.0, 8.0])


INTO_PLAIN = [
    lambda a, x: np.put(a, [0], x), lambda a, x: np.put_along_axis(a, np.array([[0], [0], [0]]), x[0, 0], 1),
    lambda a, x: np.place(a, a == 0, x), lambda a, x: np.putmask(a, a == 0, values=x), lambda a, x: np.copyto(a, x),
    lambda a, x: np.copyto(src=x, dst=a), lambda a, x: np.fill_diagonal(a, x), lambda a, x: a.put([0], x),
    lambda a, x: a.__setitem__(0, x[0]), lambda a, x: a.flat.__setitem__(slice(9), x),
]  # fmt: skip


@pytest.mark.parametrize("write", INTO_PLAIN)
def test_a_tensor_does_not_go_into_a_plain_array(write):
    with pytest.raises(LostHistoryError, match=r"autodiff\.numpy\.zeros"):
        ad.vjp(lambda x: write(np.zeros((3, 3)), x), np.ones((3, 3)))


@pytest.mark.parametrize("write", INTO_PLAIN)
def test_what_has_no_history_does(write):
    def f(x):
        a = np.zeros((3, 3))
        write(a, np.floor(x))
        return a * x

    x = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))


def test_a_constant_takes_a_tensor_up_and_numbers_too():
    def f(x):
        a = anp.zeros((3, 2))
        np.put(a, [0, 1], [1.0, 2.0])
        np.place(a, a == 0, x)
        a[2] = [x[0], 2 * x[1]]
        return a

    x = np.array([3.0, 5.0])
    np.testing.assert_array_equal(ad.vjp(f, x)[0], [[1, 2], [3, 5], [3, 10]])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(f(x)))(x), [2, 3])


def test_a_write_is_replayed_and_nested(rng):
    x = rng.standard_normal((3, 3))

    def f(x):
        a = anp.zeros((3, 3))
        np.fill_diagonal(a, np.sum(x * x, axis=0))
        np.put(a, [1, 5], x[0, :2])
        return np.sum(a @ a * x)

    graph = ad.graph.check(ad.trace(f)(x))
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, [x + 1])[graph.outputs[0]], f(x + 1))
    hessian = ad.hessian(lambda v: f(v.reshape(3, 3)))(x.ravel())
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)


MISTAKES = [
    (lambda a: np.put(a, [20], 1.0), IndexError),
    (lambda a: np.put(a, [0], 1.0, mode="bounce"), ValueError), (lambda a: np.place(a, [True], 1.0), ValueError),
    (lambda a: np.place(a, a == a, []), ValueError), (lambda a: np.putmask(a, [True], 1.0), ValueError),
    (lambda a: np.copyto(a, np.ones(5)), ValueError), (lambda a: np.copyto(a, 1j), TypeError),
    (lambda a: np.copyto(a, 1.0, where=np.ones(5, bool)), ValueError), (lambda a: np.copyto(a, "a"), TypeError),
    (lambda a: np.fill_diagonal(a[0], 1.0), ValueError), (lambda a: np.fill_diagonal(a[None], 1.0), ValueError),
    (lambda a: np.put_along_axis(a, np.zeros(1, int), 1.0, 0), ValueError), (lambda a: a.sort(axis=5), ValueError),
    (lambda a: np.put_along_axis(a, np.zeros((1, 1), int), 1.0, None), ValueError), (lambda a: a.sort(None), TypeError),
    (lambda a: np.put_along_axis(a, np.zeros((1, 1), int), 1.0, 2), ValueError), (lambda a: a.partition(9), ValueError),
    (lambda a: np.put_along_axis(a, np.array([[9]]), 1.0, 0), IndexError), (lambda a: a.to_device("gpu"), ValueError),
    (lambda a: setattr(a, "shape", (5,)), ValueError),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "error"), MISTAKES)
def test_what_numpy_refuses(mistake, error):
    with pytest.raises(error):
        mistake(np.ones((3, 4)))
    with pytest.raises(error):
        ad.vjp(lambda a: mistake(a * 1.0), np.ones((3, 4)))


def test_sorting_by_fields_is_refused():
    for sort in (lambda x: x.sort(order="f"), lambda x: x.partition(0, order="f")):
        with pytest.raises(KeywordError, match="order="):
            ad.vjp(lambda x, sort=sort: sort(x * 1.0), np.ones(2))


MEMORY = {
    "byteswap": lambda x: x.byteswap(), "getfield": lambda x: x.getfield(np.int32), "dumps": lambda x: x.dumps(),
    "tobytes": lambda x: x.tobytes(), "tolist": lambda x: x.tolist(), "item": lambda x: x[:1].item(),
    "data": lambda x: x.data.tobytes(), "ctypes": lambda x: x.ctypes.shape[:], "view": lambda x: x.view(np.int64),
    "dlpack": lambda x: np.from_dlpack(x),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORY)
def test_what_gives_numbers_away_is_refused_where_they_have_a_history(name):
    x = np.array([1.5, -2.5])
    with pytest.raises(LostHistoryError):
        ad.vjp(lambda x: MEMORY[name](x * 1.0), x)
    found = []
    ad.vjp(lambda x: (found.append(MEMORY[name](anp.floor(anp.array([1.5, -2.5])))), x)[1], x)
    np.testing.assert_array_equal(found[0], MEMORY[name](np.floor(x)))


def test_files(tmp_path):
    path = tmp_path / "x"
    for write in (lambda x: x.tofile(path), lambda x: x.dump(path)):
        with pytest.raises(LostHistoryError):
            ad.vjp(lambda x, write=write: write(x), np.ones(2))
        assert not path.exists()
        ad.vjp(lambda x, write=write: (write(anp.ones(2)), x)[1], np.ones(2))
        assert path.exists()
        path.unlink()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.resize(3), lambda x: x.resize((2, 2), refcheck=False), lambda x: x.setfield(1, np.int8),
        lambda x: x.setflags(write=False), lambda x: x.base,
    ],
)  # fmt: skip
def test_the_memory_of_a_tensor_is_not_to_be_had(call):
    with pytest.raises(NoRuleError, match="instead:"):
        ad.vjp(call, np.ones(2))


def test_no_attribute_of_ndarray_is_missing():
    names = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert names <= set(dir(ad.tensor.Tensor))


def test_layout_is_that_of_the_array_it_holds(rng):
    x = rng.standard_normal((3, 4))

    def f(x):
        assert x.T.flags.f_contiguous
        assert not x.T.flags["C_CONTIGUOUS"]
        assert x[0, 0].flags.c_contiguous
        assert x.strides == (32, 8)
        assert x.T.strides == (8, 32)
        assert x.to_device("cpu") is x
        assert (x.flat.index, x.flat.coords, len(x.flat)) == (0, (0, 0), 12)
        elements = x.flat
        next(elements)
        assert (elements.index, elements.coords) == (1, (0, 1))
        return elements.copy()[2:] * sum(elements) * x.flat[5] * x.view()[0, 0] * x.flat[[1, 2]][0]

    y, _ = ad.vjp(f, x)
    flat = x.ravel()
    np.testing.assert_allclose(y, flat[2:] * sum(flat[1:]) * flat[5] * flat[0] * flat[1], rtol=1e-14)


def test_what_flat_gives_is_a_copy():
    def f(x):
        x = x * 1.0
        part = x.flat[1:3]
        x.flat[1] = 7.0
        return x * np.sum(part)

    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(ad.vjp(lambda x: x * np.asarray(np.floor(x + anp.zeros(2)).flat)[1], x)[0], x * 2)
    with pytest.raises(LostHistoryError):
        ad.vjp(lambda x: np.asarray(x.flat), x)


def test_operators_in_place_on_whole_numbers():
    def f(x):
        mask, bits = x > 0, anp.arange(3)
        also = bits
        mask &= np.array([True, True, False])
        mask |= np.array([False, False, True])
        mask ^= np.array([True, False, False])
        bits <<= 2
        bits >>= 1
        bits |= 1
        assert also is bits
        return x * mask * bits

    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(ad.vjp(f, x)[0], [0, 0, 15])
