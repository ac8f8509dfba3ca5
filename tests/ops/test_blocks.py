"""Large arrays in blocks: the same numbers as in one piece, and the same bits on any number of threads."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn, threads
from autodiff.ops import blocks, convolution


@pytest.fixture(autouse=True)
def as_before():
    yield
    ad.set_threads(None)


def _of(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _near_one(shape):
    return np.random.default_rng(0).uniform(0.9, 1.1, shape)


LABELS = np.random.default_rng(1).integers(0, 90, 1000)

CASES = {
    "layer norm": (nn.layer_norm, (_of((700, 300)), _of(300), _of(300, seed=1))),
    "layer norm, no weight": (lambda x, b: nn.layer_norm(x, None, b), (_of((700, 300)), _of(300))),
    "layer norm, two axes": (
        lambda x, w: nn.layer_norm(x, w, axis=(1, 2)), (_of((500, 20, 20), np.float64), _of((20, 20), np.float64)),
    ),
    "layer norm of shorts": (nn.layer_norm, (_of((700, 300), np.float16), _of(300, np.float16))),
    "layer norm, a wide bias": (nn.layer_norm, (_of((700, 300)), _of(300), _of(300, np.float64))),
    "rms norm": (nn.rms_norm, (_of((700, 300)), _of(300))),
    "group norm": (lambda x, w: nn.group_norm(x, 4, w), (_of((70, 16, 200)), _of(16))),
    "batch norm": (lambda x: nn.batch_norm(x, training=True)[0], (_of((700, 300)),)),
    "cross entropy": (lambda x: nn.cross_entropy(x, LABELS, reduction="none"), (_of((1000, 300)),)),
    "cross entropy, first axis": (lambda x: nn.cross_entropy(x, LABELS, 0, reduction="none"), (_of((300, 1000)),)),
    "cumsum": (lambda x: np.cumsum(x, axis=1), (_of((500, 300)),)),
    "cumprod": (lambda x: np.cumprod(x, axis=1), (_near_one((500, 300)),)),
    "cumprod, first axis": (lambda x: np.cumprod(x, axis=0), (_near_one((300, 500)),)),
    "cumprod with zeros": (lambda x: np.cumprod(x, axis=1), (np.where(_near_one((500, 300)) < 0.902, 0, 1.01),)),
    "max pool": (lambda x: nn.max_pool(x, 3, 2, 1), (_of((6, 16, 50, 50)),)),
    "max pool, channels last": (
        lambda x: nn.max_pool(x, 3, 2, 1), (np.moveaxis(_of((6, 50, 50, 16)), -1, 1),),
    ),
    "avg pool": (lambda x: nn.avg_pool(x, (2, 3)), (_of((6, 16, 50, 50)),)),
    "conv": (lambda x, w: nn.conv(x, w, padding=1), (_of((8, 16, 30, 30)), _of((24, 16, 3, 3)))),
    "conv, strided": (lambda x, w: nn.conv(x, w, stride=2, padding=3), (_of((2, 3, 99, 99)), _of((32, 3, 7, 7)))),
    "conv, a channel each": (
        lambda x, w: nn.conv(x, w, padding=1, groups=32), (_of((8, 32, 30, 30)), _of((32, 1, 3, 3))),
    ),
}  # fmt: skip


def _results(f, args):
    y, pullback = ad.vjp(f, *args)
    return [y, *pullback(_of(y.shape, y.dtype, seed=3))]


@pytest.mark.parametrize("name", CASES)
def test_no_number_of_threads_changes_a_bit(name, monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 0)
    monkeypatch.setattr(blocks, "ROWS", 1 << 13)
    monkeypatch.setattr(convolution, "PIECE", 1 << 16)
    found = []
    for count in (1, 2, 5):
        ad.set_threads(count)
        found.append(_results(*CASES[name]))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_in_blocks_as_in_one_piece(name, monkeypatch):
    f, args = CASES[name]
    monkeypatch.setattr(blocks, "ROWS", 1 << 13)
    monkeypatch.setattr(convolution, "PIECE", 1 << 16)
    cut = _results(f, args)
    eps = max(np.finfo(x.dtype).eps for x in args)
    for constant in ("ROWS", "POINTS"):
        monkeypatch.setattr(blocks, constant, 1 << 60)
    monkeypatch.setattr(convolution, "PIECE", 1 << 60)
    for a, b in zip(cut, _results(f, args), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        size = np.max(np.abs(b.astype(float)))
        np.testing.assert_allclose(a, b, rtol=0, atol=64 * eps * size)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, ((2, 0), (0, 1)), ((7, 9), (1, 1))])
def test_convolution_row_by_row(stride, padding, dilation, monkeypatch):
    """Pieces of one row each: some of them stand on padding alone."""
    x, w = _of((2, 3, 9, 8), np.float64), _of((4, 3, 3, 2), np.float64)

    def f(x, w):
        return nn.conv(x, w, stride=stride, padding=padding, dilation=dilation)

    whole = _results(f, (x, w))
    monkeypatch.setattr(convolution, "PIECE", 1)
    for a, b in zip(_results(f, (x, w)), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_what_goes_wrong_on_a_thread_is_raised(monkeypatch):
    ad.set_threads(3)

    def part(number, thread):
        if number == 5:
            raise ZeroDivisionError("number five")

    with pytest.raises(ZeroDivisionError, match="number five"):
        threads.spread(part, 8, 1 << 40)


def test_parts_of_parts_stay_on_their_thread():
    """A part that hands on its own parts would wait for the thread that it keeps busy."""
    ad.set_threads(2)
    done = []

    def inner(number, thread):
        assert thread == 0
        done.append(number)

    threads.spread(lambda number, thread: threads.spread(inner, 4, 1 << 40), 6, 1 << 40)
    assert sorted(done) == sorted([*range(4)] * 6)


@pytest.mark.parametrize("name", ["layer norm", "rms norm", "cross entropy", "cumprod"])
def test_rules_hand_out_arrays_of_their_own(name, monkeypatch):
    """A view would be copied once more before it is handed out."""
    copied = []
    monkeypatch.setattr("autodiff.compiler.program.own_unless_new", lambda x, *given: copied.append(x.base) or x)
    f, args = CASES[name]
    ad.jit(ad.grad(lambda *xs: np.sum(f(*xs) ** 2), argnums=tuple(range(len(args)))))(*args)
    assert copied
    assert all(base is None for base in copied)
