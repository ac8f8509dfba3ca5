"""NumPy is the language: each snippet runs on an array and inside a trace, and both must say the same, bit for bit.

Gradients are judged by differences of the plain NumPy function, which knows nothing of this package.
"""

import copy
import operator

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import AutodiffError, KeywordError, LostHistoryError, NoRuleError, ViewWriteError

MATRIX = np.array([[0.7, -1.2, 0.4, 1.9], [1.1, 0.3, -0.8, 0.6], [-0.5, 1.4, 2.2, -1.7]])
VECTOR = np.array([0.9, -1.3, 0.45, 1.6, -0.2])
SCALAR = np.float64(0.8)

NAMES = {
    "np": np,
    "copy": copy,
    "operator": operator,
    "row": np.array([1.5, -0.5, 2.0, 0.25]),
    "column": np.array([[1.5], [-0.5], [2.0]]),
    "square": np.arange(16.0).reshape(4, 4) / 7,
    "positions": np.array([2, 0, 2]),
    "mask": np.array([True, False, True]),
    "grid": MATRIX > 0.5,
}


def program(code):
    """A function of x that runs these statements and returns y."""
    compiled = compile(code if "y =" in code or "y=" in code else f"y = {code}", code, "exec")

    def f(x):
        scope = {**NAMES, "x": x}
        exec(compiled, scope)
        return scope["y"]

    return f


def slopes(f, x, seed, step=1e-3):
    """The gradient of Σ seed·f(x), by central differences extrapolated to the sixth order."""
    x = np.array(x)
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):

        def moved(h, i=i):
            shifted = x.copy()
            shifted[i] += h
            return np.sum(seed * f(shifted if x.ndim else shifted[()]))

        near, far, wide = ((moved(k * step) - moved(-k * step)) / (2 * k * step) for k in (1, 2, 4))
        found[i] = (16 * (4 * near - far) / 3 - (4 * far - wide) / 3) / 15
    return found


def same(found, expected):
    """Equal types, dtypes, shapes and bits, through tuples and lists."""
    if isinstance(expected, (tuple, list)):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
        return
    assert type(found) is type(expected)
    if isinstance(expected, (np.ndarray, np.generic)):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()
    else:
        assert found == expected


def agrees(f, x, reference=None):
    """f on a tensor does what `reference` (f itself) does on an array; its gradient is that of the differences."""
    reference = reference or f
    before = np.array(x)
    expected = reference(np.array(x)[()])
    y, pullback = ad.vjp(f, x)
    same(y, expected)
    assert np.array_equal(x, before)
    if not isinstance(y, (np.ndarray, np.floating)) or y.dtype.kind != "f":
        return
    seed = np.cos(np.arange(np.size(y), dtype=y.dtype)).reshape(np.shape(y))
    (found,) = pullback(seed[()])
    same_kind = np.asarray(found)
    assert same_kind.dtype == np.asarray(x).dtype
    rough = 1e-3 if y.dtype == np.float32 else 0  # differences of a result in float32 have no more digits
    np.testing.assert_allclose(same_kind, slopes(reference, x, seed), rtol=1e-7 + rough, atol=1e-8 + rough)


# -- operators -----------------------------------------------------------------------------------------------------

OPERATORS = [
    "x + x", "x + 2", "x + 2.5", "x + np.float64(2.5)", "x + row", "x + column", "x + [1.0, 2.0, 3.0, 4.0]", "x + True",
    "x - x * 2", "x - 2", "x - row", "x - [[1.0], [2.0], [3.0]]",
    "x * x", "x * 3", "x * np.float64(3)", "x * column", "x * [1, 2, 3, 4]", "x * np.int64(3)",
    "x / (x * x + 1)", "x / 3", "x / row", "x / [1.0, 2.0, 4.0, 8.0]",
    "x ** 2", "x ** 3.0", "(x * x + 1) ** x", "(x * x + 1) ** np.float64(0.5)", "x ** 0", "x ** 1",
    "x % 5.5", "x // 0.75", "divmod(x, 5.5)", "(x * x) % (x * x + 1.5)",
    "x @ square", "x @ row", "x @ x.T", "x @ [1.0, 2.0, 3.0, 4.0]", "x[0] @ x[1]", "x[0] @ square",
    "-x", "+x", "abs(x)", "operator.neg(x)", "operator.add(x, 1)",
    "x < 0.5", "x <= row", "x > x * 2", "x >= 1", "x == 0.7", "x != 0.7", "0.5 < x", "row >= x",
    "(x > 0) & (x < 1)", "(x > 0) | grid", "(x > 0) ^ grid", "~(x > 0)",
    # reflected: NumPy stands on the left
    "2 + x", "2.5 - x", "np.float64(2.5) * x", "1 / (x * x + 1)", "2.0 ** x", "np.float64(2) ** x",
    "row + x", "row - x", "row * x", "row / (x * x + 1)", "column + x", "(row * row + 1) ** -x", "(row * row + 1) ** x",
    "5.5 % (x * x + 6)", "3 // (x * x + 6)", "divmod(5.5, x * x + 6)", "row % (x * x + 6)",
    "[1.0, 2.0, 3.0, 4.0] + x", "[1, 2, 3, 4] * x", "[[1.0], [2.0], [3.0]] - x", "[1.0, 2.0, 3.0, 4.0] / (x * x + 1)",
    "[[1.0, 2.0, 3.0]] @ x", "np.ones((2, 3)) @ x", "np.ones(3) @ x", "True + x", "np.int32(2) * x",
    "np.ones((2, 3, 4)) * x", "x - np.zeros((5, 1, 4))",
]  # fmt: skip


@pytest.mark.parametrize("code", OPERATORS)
def test_operators(code):
    agrees(program(code), MATRIX)


@pytest.mark.parametrize("code", [
    "x + 1", "1 - x", "x * 2.5", "2 / x", "x ** 2", "2 ** x", "x % 0.3", "-x", "abs(x)", "x + row", "row * x", "x * x",
    "np.float64(3) - x", "x // 0.3", "x > 0.5", "round(x * 1.2, 1)", "divmod(x, 0.3)",
    "np.sin(x)", "np.add(x, 1)", "np.sum(x)", "x.sum()", "x.T", "x.reshape(1, 1)", "x[()]", "x[None]", "x[...]",
])  # fmt: skip
def test_scalars(code):
    agrees(program(code), SCALAR)


# -- indexing ------------------------------------------------------------------------------------------------------

INDEXING = [
    "x[1]", "x[-1]", "x[1, 2]", "x[-1, -4]", "x[np.int64(1)]", "x[1][2]", "x[(1, 2)]", "x[()]", "x[:]", "x[1:]",
    "x[::-1]", "x[::2]", "x[5:]", "x[:, 1]", "x[:, 1:3]", "x[1:, ::-2]", "x[-2:, -2:]", "x[...]", "x[..., 0]",
    "x[0, ...]", "x[..., 1:]", "x[None]", "x[:, None]", "x[..., None]", "x[None, 1, None]",
    "x[np.newaxis, :, np.newaxis, 2]", "x[[0, 2]]", "x[[0, 0, 0]]", "x[positions]", "x[positions, 1]",
    "x[:, [3, 0, 3]]", "x[positions, [1, 1, 0]]", "x[[0, 2], 1:3]", "x[[[0, 1], [2, 0]]]",
    "x[positions[:, None], [0, 3]]", "x[np.ix_([0, 2], [1, 3])]", "x[[]]", "x[[-1, 0]]", "x[[0, 2], :, None]",
    "x[1:, [0, 2]]", "x[0, [1, 1, 1]]", "x[None, positions]", "x[mask]", "x[mask, 1]", "x[mask, 1:]", "x[grid]",
    "x[x > 0]", "x[~mask]", "x[x > 100]", "x[grid & (x < 1)]", "x[True]", "x[np.argmax(row)]", "x[np.array(1)]",
    "x[slice(None, 2), slice(1, None)]", "x[1:][0]", "x[1:][:, 1:][0]", "x[positions][1:]", "x.T[1]",
    "x[:, 1].sum() * x", "x[0] * x[1] + x[2, ::-1]",
]  # fmt: skip


@pytest.mark.parametrize("code", INDEXING)
def test_indexing(code):
    agrees(program(code), MATRIX)


# -- x.at: the functional spelling of a write, beside NumPy's ------------------------------------------------------

AT = [
    ("x.at[1].set(2.0)", "y[1] = 2.0"),
    ("x.at[1, 2].set(7)", "y[1, 2] = 7"),
    ("x.at[1].set(row)", "y[1] = row"),
    ("x.at[1].set(x[0] * 2)", "y[1] = x[0] * 2"),
    ("x.at[:, 1:3].set(x[:, 0:1])", "y[:, 1:3] = x[:, 0:1]"),
    ("x.at[...].set(x[0])", "y[...] = x[0]"),
    ("x.at[positions].set(3.0)", "y[positions] = 3.0"),
    ("x.at[[0, 2]].set(x[[1, 1]])", "y[[0, 2]] = x[[1, 1]]"),
    ("x.at[mask].set(0.0)", "y[mask] = 0.0"),
    ("x.at[grid].set(-1.0)", "y[grid] = -1.0"),
    ("x.at[x > 1].set(x[0, 0])", "y[x > 1] = x[0, 0]"),
    ("x.at[::-1, 0].set(x[:, 3])", "y[::-1, 0] = x[:, 3]"),
    ("x.at[1].add(2.0)", "y[1] += 2.0"),
    ("x.at[1].add(1)", "y[1] += 1"),
    ("x.at[:, 1].add(x[:, 0])", "y[:, 1] += x[:, 0]"),
    ("x.at[positions].add(1.0)", "np.add.at(y, positions, 1.0)"),
    ("x.at[positions].add(x)", "np.add.at(y, positions, x)"),
    ("x.at[grid].add(x[grid])", "y[grid] += x[grid]"),
    ("x.at[1].subtract(x[0])", "y[1] -= x[0]"),
    ("x.at[1:].multiply(x[:2])", "y[1:] *= x[:2]"),
    ("x.at[1:].multiply(3)", "y[1:] *= 3"),
    ("x.at[1].divide(x[0] * x[0] + 1)", "y[1] /= x[0] * x[0] + 1"),
    ("x.at[1].power(2)", "y[1] **= 2"),
    ("x.at[1].min(0.5)", "y[1] = np.minimum(y[1], 0.5)"),
    ("x.at[:, 2].max(x[:, 0])", "y[:, 2] = np.maximum(y[:, 2], x[:, 0])"),
    ("x.at[1].apply(np.sin)", "y[1] = np.sin(y[1])"),
    ("x.at[mask].apply(lambda part: part * part)", "y[mask] = y[mask] * y[mask]"),
    ("x.at[1].get()", "y = y[1]"),
    ("x.at[1].set(0.0).at[2].set(x[1])", "y[1] = 0.0; y[2] = x[1]"),
]


@pytest.mark.parametrize(("functional", "written"), AT)
def test_at_is_the_write_on_a_copy(functional, written):
    agrees(program(functional), MATRIX, program(f"y = x.copy(); {written}"))


def test_at_leaves_the_tensor_as_it_was():
    def f(x):
        x.at[0].set(9.0)
        return x * 1

    agrees(f, VECTOR, lambda x: x * 1)


# -- writing -------------------------------------------------------------------------------------------------------

WRITES = [
    "y = x * 1; y[1] = 2.0",
    "y = x * 1; y[1] = x[0]",
    "y = x * 1; y[1, 2] = x[0, 0] * 5",
    "y = x * 1; y[1:] = x[:2]",
    "y = x * 1; y[...] = 1.5",
    "y = x * 1; y[:] = row",
    "y = x * 1; y[mask] = x[0]",
    "y = x * 1; y[grid] = 0.0",
    "y = x * 1; y[y > 1] = x[0, 0]",
    "y = x * 1; y[positions] = 4.0",
    "y = x * 1; y[[0, 2]] = x[[1, 0]] * 2",
    "y = x * 1; y[1:] += row",
    "y = x * 1; y[1:] *= y[:2]",
    "y = x * 1; y[1] /= 2; y[0] -= y[1]",
    "y = x * 1; y[positions] += 1.0",
    "y = x * 1; y[::2] **= 2",
    "y = x * 1; y += 1",
    "y = x * 1; y += x",
    "y = x * 1; y += row; y -= column; y *= x; y /= 2.0; y **= 2",
    "y = x * 1; y %= 5.5",
    "y = x * 1; y //= 0.75",
    "y = x * 1; y @= square",
    "y = x * 1; y.fill(2.0)",
    "y = x; y += 1",
    "z = x; z += 1; y = x * z",
    "y = x * 1; z = y; y += 1; y = z * z",
    "y = x * 1; z = y; z *= 2; z[0] = 1.0; y = y * z",
    "x[0] = x[1]; y = x * 1",
    "x += 1; y = x * x",
    "y = x * 1; z = y[1:]; z += 1",
    "y = x * 1; z = y[1:]; z += 1; y = z * 1",
    "y = x * 1; z = y[1]; z[2] = x[0, 0]",
    "y = x * 1; z = y[1]; z *= z",
    "y = x * 1; z = y[:, 1:3]; z[0] = 5.0; z += x[:, 0:2]; z = z * 1; y = y * 1",
    "y = x * 1; a = y[1:]; b = y[:2]; a += 1; y = y[0] + a + b * b",
    "y = x * 1; a = y[1:]; y += 1; y = a",
    "y = x * 1; a = y[1:]; y[2] = 0.0; y = a * y[1:]",
    "y = x * 1; a = y[1:]; b = a[0]; b *= 2.0; y = y[1] * a[0] * b",
    "y = x * 1; a = y[1:]; b = a[0]; y[1] = x[0]; y = b * a[0]",
    "y = x * 1; a = y[1]; b = y[1]; a += 1; y = a * b",
    "y = x * 1; a = y[::-1]; b = a[::-1]; b[0] = a[0]; y = y * a * b",
    "a = x[1:]; x += 1; y = a",
    "a = [r for r in x]; x[0] = 0.0; y = a[0] * a[1]",
    "a = list(x); a[0] += 1.0; a[1][:] = a[0]; y = x * a[1]",
    "y = np.zeros_like(x); a = y[1:]; a += x[1:]; a[0] *= 2; y = y * 1",
    "y = np.zeros_like(x); a = y[1:]; y[1] = x[0]; y = a * 1",
    "y = np.zeros_like(x); a = y[1:]; y[1] = 3.0; a[1] = x[0]; y[0] = 2.0; y = a + y[0]",
    "y = x * 1\nfor i in range(1, 3):\n    y[i] = y[i - 1]\n    y[i, 1:] += y[i, :-1]",
    "y = x * 1; y[1:-1] = (y[:-2] + y[2:]) / 2",
    "y = x * 1; y[:, 0], y[:, 1] = y[:, 1], y[:, 0]",
    "y = x * 1; z = y[1:].copy(); z += 1; y = y.sum() + z",
    "y = x * 1; z = y[[0, 1]]; z += 1; y = y[0] + z",
    "y = x * 1; z = y[mask]; z *= 3; y = y.sum() + z",
    "y = x * 1; z = y + 0; y += 1; y = y * z",
    "y = x * 1; z = y[1:]; del z; y[2] = 0.5",
    "y = [r * 1 for r in x]; y[0] += y[1]; y = y[0] * y[2]",
    "y = x[0, 0]; y += 1; y = y * x[0, 0]",
    "y = x[0, 0]; z = y; y += 1; y = y * z",
    "y = x.sum(); y *= 2; y -= x[0, 0]; y /= 3; y **= 2",
    "y = 0.0\nfor r in x:\n    y += r.sum() ** 2",
    "y = 0\nfor r in x:\n    y += r",
    "y = np.float64(1)\nfor r in x[0]:\n    y *= r",
    "y = x * 1\nfor i in range(3):\n    y[i] = y[i - 1] * 0.5 + x[i]",
    "y = x * 1; y[0], y[1] = y[1].copy(), y[0].copy()",
    "y = np.zeros_like(x); y[1] = x[0]; y[2] += x[1]; y[1] *= 2",
    "y = np.ones_like(x); y += x",
    "y = np.empty_like(x); y[:] = x * x",
    "y = x.astype(np.float32); y[0] = x[1]; y = y.astype(float) * 0 + x",
    "y = x * 1; z = y.copy(); z[0] = 0.0; y = y * z",
    "y = x * 1; z = copy.copy(y); z[0] = 0.0; y = y * z",
    "y = x * 1; z = copy.deepcopy(y); z += 1; y = y * z",
    "y = x.flatten(); y[0] = 3.0; y = x * y[0] + y.sum()",
    # through views that are no slices, and through a base that is gone
    "y = x * 1; a = y.T; a += 1",
    "y = x * 1; a = y.T; y[0] = 1.0; y = a",
    "y = x * 1; a = y.reshape(4, 3); a[0] = 1.0",
    "y = x * 1; a = y[None]; y += 1; y = a",
    "y = x * 1; a = y[1:]; b = y[:2]; del y; a += 1; y = b",
    "y = x * 1; a = y[1:].T; y[2] = 0.0; y = a",
    "a = np.swapaxes(x, 0, 1); x[0] = 0.0; y = a",
    "y = x * 1; a = y[::2].ravel(); b = y[:, 0].ravel(); a[0] = 5.0; b[0] = 7.0",
    "y = x * 1; a = np.split(y, 2, axis=1); a[1] *= a[0]",
    "y = x * 1; a = y[:, 1:3]; a += 1; b = a.ravel(); b[0] = 9.0; y = y * a.sum()",
    "y = x * 1; a = np.diagonal(y); y[0, 0] = 2.0; y = a",
    "y = x * 1; a = np.einsum('ij->ji', y); a[0] = 2.0",
    "y = x * 1; a = y.T; y.shape = (2, 6); y[0] = 1.0; y = a",
    "y = x * 1; a = y.squeeze(); a.shape = (2, 6); y[0] = 1.0; y = y * a",
    "y = x + 1j * x; a = y.imag; a[0] = x[1]; y.real += 1.0; y = np.abs(y)",
    "y = x + 1j * x; y.real = x[::-1] * x; y.imag = x; y = np.abs(y)",
]


@pytest.mark.parametrize("code", WRITES)
def test_writes(code):
    agrees(program(code), MATRIX)


def handed_out(y):
    """A view by a way that is not known: a function that is computed again in the sweep has made it."""
    return ad.checkpoint(lambda t: t[1:])(y)


def test_a_write_that_would_show_by_a_way_that_is_not_known_is_refused():
    def f(x):
        y = x * 1
        a = handed_out(y)
        y[1] = 0.0
        return np.sum(a)

    with pytest.raises(ViewWriteError, match=r"view.*\n.*where:.*\n.*NumPy.*\n.*copy first") as caught:
        ad.vjp(f, MATRIX)
    assert isinstance(caught.value, TypeError)


def test_a_refused_write_changes_nothing():
    def f(x):
        y = x * 1
        view, turned = handed_out(y), y.T
        with pytest.raises(ViewWriteError):
            y += 1
        with pytest.raises(ViewWriteError):
            view[0] = 0.0
        with pytest.raises(ViewWriteError):
            turned[0] = 0.0
        return y.sum() + (turned * turned).sum()

    value, gradient = ad.value_and_grad(f)(MATRIX)
    assert value == f_without_write(MATRIX)
    np.testing.assert_array_equal(gradient, ad.grad(f_without_write)(MATRIX))


@pytest.mark.parametrize("view", [
    lambda y: np.broadcast_to(y, (2, 3, 4)), lambda y: np.diagonal(y), lambda y: np.broadcast_to(y[0], (3, 4))[1],
    lambda y: np.lib.stride_tricks.sliding_window_view(y, 2, 0),
])  # fmt: skip
def test_a_view_that_numpy_locks_is_locked(view):
    def f(x):
        y = x * 1
        part = view(y)
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            part += 1.0
        return y

    agrees(f, MATRIX)


def f_without_write(x):
    return x.sum() + (x.T * x.T).sum()


def test_a_view_that_is_gone_does_not_stand_in_the_way():
    def f(x):
        y = x * 1
        view = y[1:]
        total = view.sum()
        del view
        y += 1
        return y * total

    agrees(f, MATRIX)


# -- attributes, methods, functions --------------------------------------------------------------------------------

ATTRIBUTES = [
    "x.shape", "x.dtype", "x.ndim", "x.size", "x.itemsize", "x.nbytes", "len(x)", "x.T", "x.mT", "x.real", "x.imag",
    "[e * 2 for e in x.flat]", "x.T.shape", "np.shape(x)", "np.ndim(x)", "np.size(x)", "np.size(x, 0)",
    "x.shape[0] * x", "np.iscomplexobj(x)", "np.isrealobj(x)", "np.isscalar(x)", "np.result_type(x, np.float32)",
    "x.dtype.kind", "np.can_cast(x, float)", "np.may_share_memory(x, row)", "np.iterable(x)", "x.device", "str(x)",
    "f'{x}'", "f'{x[0, 0]:.3f}'", "'{}'.format(x[0, 0])", "str(x[0])", "bool(x[0, 0])",
]  # fmt: skip


@pytest.mark.parametrize("code", ATTRIBUTES)
def test_attributes(code):
    agrees(program(code), MATRIX)


METHODS = [
    "x.sum()", "x.sum(0)", "x.sum(axis=1)", "x.sum(axis=(0, 1))", "x.sum(1, keepdims=True)", "x.sum(axis=-1)",
    "x.mean()", "x.mean(0)", "x.mean(axis=1, keepdims=True)", "x.var()", "x.var(0)", "x.var(axis=1, ddof=1)",
    "x.std()", "x.std(axis=0, ddof=1, keepdims=True)", "x.max()", "x.max(0)", "x.min()", "x.min(axis=1)", "x.prod()",
    "x.prod(1)", "x.cumsum()", "x.cumsum(0)", "x.cumsum(axis=1)", "x.cumprod()", "x.cumprod(1)", "x.argmax()",
    "x.argmin(0)", "x.argsort(1)", "(x > 0).any()", "(x > 0).all(0)", "x.any()", "x.all()", "x.clip(-0.55, 1.05)",
    "x.clip(0.05)", "x.clip(max=0.95)", "x.conj()", "x.conjugate()", "(x * 1.2).round()", "(x * 1.2).round(1)",
    "x.nonzero()",
    "x.ravel()", "x.flatten()", "x.reshape(4, 3)", "x.reshape((2, 6))", "x.reshape(-1)", "x.reshape(2, -1)",
    "x.transpose()", "x.transpose(1, 0)", "x.transpose((1, 0))", "x.swapaxes(0, 1)", "x[None].squeeze()",
    "x[None].squeeze(0)", "x.repeat(2)", "x.repeat(2, axis=0)", "x.take([0, 2], axis=1)", "x.take(3)",
    "x.compress([True, False, True], axis=0)", "x.diagonal()", "x.diagonal(1)", "x.trace()", "x.dot(row)",
    "x.dot(square)", "x.copy()", "x.astype(float)", "x.astype(np.float32)", "x.astype(int)", "x.astype(bool)",
    "x.astype('f8')", "x[0].searchsorted(0.5)", "x.reshape(4, 3, order='F')", "x.ravel(order='F')", "x.ravel('F')",
    "x.flatten('F')",
]  # fmt: skip


@pytest.mark.parametrize("code", METHODS)
def test_methods(code):
    agrees(program(code), MATRIX)


FUNCTIONS = [
    "np.sin(x) * np.cos(x)", "np.exp(x)", "np.tanh(x)", "np.log(x * x + 1)", "np.sqrt(x * x + 1)", "np.add(x, row)",
    "np.subtract(row, x)", "np.multiply(x, x)", "np.matmul(x, square)", "np.power(x, 2)", "np.negative(x)",
    "np.abs(x)", "np.maximum(x, 0.55)", "np.minimum(row, x)", "np.where(x > 0, x, x * x)", "np.where(grid, 0, x)",
    "np.sum(x)", "np.sum(x, axis=0)", "np.mean(x, 1)", "np.reshape(x, (4, 3))", "np.reshape(x, -1)",
    "np.transpose(x)", "np.ravel(x)", "np.concatenate([x, x * 2])", "np.concatenate((x, x), axis=1)",
    "np.stack([x, x * x])", "np.stack([x[0], row], axis=1)", "np.stack(list(x))", "np.expand_dims(x, 0)",
    "np.squeeze(x[None])", "np.broadcast_to(x, (2, 3, 4))", "np.flip(x)", "np.flip(x, 0)", "np.roll(x, 1)",
    "np.roll(x, 1, axis=1)", "np.tile(x, 2)", "np.repeat(x, 2, axis=1)", "np.pad(x, 1)", "np.split(x, 2, axis=1)",
    "np.swapaxes(x, 0, 1)", "np.moveaxis(x, 0, 1)", "np.cumsum(x)", "np.dot(x, square)", "np.dot(row, x.T)",
    "np.inner(x, x)", "np.outer(x[0], x[1])", "np.vdot(x, x)", "np.tensordot(x, square, axes=1)",
    "np.einsum('ij,jk->ik', x, square)", "np.einsum('ij->j', x)", "np.trace(x)", "np.diagonal(x)", "np.tril(x)",
    "np.triu(x, 1)", "np.take(x, [0, 2], axis=1)", "np.clip(x, -0.55, 1.05)", "np.prod(x)", "np.max(x, axis=0)",
    "np.min(x)", "np.var(x)", "np.std(x)", "np.linalg.norm(x)", "np.linalg.norm(x, axis=1)", "np.linalg.det(x @ x.T)",
    "np.linalg.inv(x @ x.T)", "np.linalg.solve(square @ x.T @ x + np.eye(4), row)", "np.copy(x)",
    "np.astype(x, np.float32)", "np.add.reduce(x)", "np.add.reduce(x, axis=1)", "np.multiply.outer(x[0], x[1])",
    "np.subtract.outer(row, x[0])", "np.add.accumulate(x, axis=1)", "np.maximum.reduce(x)",
    "np.multiply.reduce(x, 1)", "np.floor(x)", "np.sign(x)", "np.isfinite(x)", "np.argmax(x)", "np.greater(x, 0)",
    "np.zeros_like(x)", "np.ones_like(x)", "np.add(x, 1, dtype=float)", "np.add(x, 1, where=True)",
    "np.add(x, 1, casting='same_kind')", "np.array_equal(x, x)", "np.allclose(x, x)", "np.logaddexp(x, 0)",
    "np.hypot(x, 2.0)", "np.arctan2(x, 2.0)", "np.square(x)", "np.expm1(x)", "np.full_like(x, 2.0)",
    "np.linalg.cholesky(x @ x.T)", "np.linalg.slogdet(x @ x.T)", "np.array_split(x, 2)", "np.hstack([x, x])",
    "np.vstack([x, row])", "np.atleast_2d(x[0])", "np.count_nonzero(x)",
]  # fmt: skip


@pytest.mark.parametrize("code", FUNCTIONS)
def test_functions(code):
    agrees(program(code), MATRIX)


# -- iteration and control flow ------------------------------------------------------------------------------------

FLOW = [
    "y = [r for r in x]",
    "a, b, c = x; y = a * b + c",
    "(a, b, *c), *rest = x; y = a * rest[1] + b * sum(c)",
    "y = sum(x)",
    "y = sum(e for r in x for e in r)",
    "y = max(x[0]) * min(x[1])",
    "y = sorted(x[0])[1]",
    "y = list(reversed(x))[0]",
    "y = [i * r for i, r in enumerate(x)]",
    "y = [a * b for a, b in zip(x[0], row)]",
    "y = list(map(np.sum, x))",
    "y = x if x[0, 0] > 0 else -x",
    "y = x if x[0, 0] > 100 else -x * x",
    "y = x if x.any() and not (x > 5).any() else None",
    "y = x * 1\nwhile y.sum() < 40:\n    y = y * 1.5",
    "y = x * 1\nwhile np.max(np.abs(y)) > 0.5:\n    y = y / 2",
    "y = x[0, 0]\nfor _ in range(5):\n    y = y - (y * y - 2) / (2 * y)",
    "y = 0\nfor r in x:\n    if r[0] > 0 and r[1] < 1:\n        y = y + r * r",
    "y = x * ((0.123 in x) + 1)",
    "y = [r for r in x if r[0] > 0]",
    "y = x[np.argmax(x[:, 0])] ** 2",
    "y = x[int(np.argmax(x[:, 0]))] ** 2",
    "y = {'a': x, 'b': [x * 2]}['b'][0]",
    "y = x.sum() if len(x) == 3 and x.ndim == 2 else None",
    "y = x * float(x.shape[0]) * int(x.size)",
    "try:\n    y = x / [1, 2]\nexcept ValueError:\n    y = x",
    "assert x is not None and (x != 0).all(); y = x",
]


@pytest.mark.parametrize("code", FLOW)
def test_iteration_and_control_flow(code):
    agrees(program(code), MATRIX)


# -- where NumPy raises, so do tensors -----------------------------------------------------------------------------

MISTAKES = [
    "x[3]", "x[0, 4]", "x[0, 0, 0]", "x[[0, 3]]", "x['a']", "x[1.5]", "x[0:1.5]", "x[np.array([True, False])]",
    "x + np.ones(3)", "x + [1.0, 2.0]", "x @ np.ones(3)", "x @ x", "x.reshape(5)", "x.transpose(0, 0)", "x.sum(2)",
    "x.nothing", "if x: pass\ny = x", "len(x[0, 0])", "iter(x[0, 0])", "[e for e in x[0, 0]]", "hash(x)",
    "y = x[0, 0]; y[0] = 1.0", "y = x[0, 0]; y[...] = 1.0", "y = x * 1; y[3] = 1.0", "y = x * 1; y[0] = np.ones(3)",
    "y = x * 1; y += np.ones((2, 3, 4))", "y = x * 1; y += 1j", "y = x * 1; y += 'a'", "x + 'a'", "x + None", "x()",
    "x @ 2.0", "2.0 @ x", "x.astype('nonsense')", "np.reshape(x, (5, 5))", "np.concatenate([x, row])", "x.T[3, 3]",
    "a, b = x; y = a", "np.broadcast_to(x, (4, 3))", "x.squeeze(0)", "x < 'a'", "x & 1", "y = x * 1; y[[0, 5]] = 1.0",
    "x[None, None, 5]", "x.swapaxes(0, 5)", "np.stack([x, row])",
]  # fmt: skip


@pytest.mark.parametrize("code", MISTAKES)
def test_what_numpy_refuses_is_refused_in_the_same_way(code):
    with pytest.raises(Exception) as by_numpy:  # noqa: PT011  # the class is what is compared
        program(code)(MATRIX.copy())
    with pytest.raises(Exception) as found:  # noqa: PT011
        ad.vjp(program(code), MATRIX)
    classes = [c for c in by_numpy.type.__mro__ if c.__module__ == "builtins"]
    assert issubclass(found.type, classes[0]), (found.value, by_numpy.value)


# -- settings that would be ignored are refused --------------------------------------------------------------------


@pytest.mark.parametrize("code", [
    "np.add(x, 1, where=grid)", "np.sin(x, where=grid)", "np.multiply(x, x, where=grid)", "np.sum(x, like=x)",
    "np.exp(x, order='F')", "np.sin(x, nonsense=3)", "x.sum(nonsense=3)",
])  # fmt: skip
def test_settings_without_a_rule_are_refused_by_name(code):
    with pytest.raises((KeywordError, TypeError, NoRuleError)) as caught:
        ad.vjp(program(code), MATRIX)
    word = code.split(", ")[-1].partition("=")[0].rpartition("(")[2]
    assert word in str(caught.value)


@pytest.mark.parametrize("code", [
    "np.add(x, 1, out=np.zeros((3, 4)))", "np.sin(x, out=np.zeros((3, 4)))", "np.sin(x, np.zeros((3, 4)))",
    "np.add(row, row, out=x[0])", "np.sum(x, axis=0, out=np.zeros(4))", "np.matmul(x, square, out=np.zeros((3, 4)))",
    "np.copyto(np.zeros((3, 4)), x)", "np.put(np.zeros(4), [0], x[0, 0])", "np.add.at(np.zeros(4), [0], x[0, 0])",
    "x.sum(out=np.zeros(()))", "np.concatenate([x, x], out=np.zeros((6, 4)))", "np.clip(x, 0, 1, out=np.zeros((3, 4)))",
])  # fmt: skip
def test_results_written_into_a_given_array_are_refused(code):
    with pytest.raises(AutodiffError) as caught:
        ad.vjp(program(code), MATRIX)
    assert isinstance(caught.value, (LostHistoryError, KeywordError, NoRuleError))


# -- odds and ends -------------------------------------------------------------------------------------------------


def test_the_repr_shows_values_and_dtype():
    seen = []
    ad.grad(lambda x: seen.append((repr(x), repr(x[0]))) or x.sum())(np.array([1.0, 2.5]))
    assert seen == [("Tensor([1. , 2.5], dtype=float64)", "Tensor(1.0, dtype=float64)")]


def test_indices_are_kept_as_they_were():
    where = np.array([0, 1])

    def f(x):
        y = x[where]
        where[:] = 3
        return (y * y).sum()

    np.testing.assert_array_equal(ad.grad(f)(VECTOR), [2 * VECTOR[0], 2 * VECTOR[1], 0, 0, 0])


def test_tensors_stand_on_either_side_of_every_array_type():
    for other in (np.float32(2), np.int8(2), 2, True, np.array(2.0), np.array([2.0]), [2.0], (2.0,)):
        for op in (operator.add, operator.sub, operator.mul, operator.truediv):
            agrees(lambda x, op=op, other=other: op(x, other), VECTOR)
            agrees(lambda x, op=op, other=other: op(other, x), VECTOR)


def test_float32_meets_python_numbers_and_stays_float32():
    x = VECTOR.astype(np.float32)
    for code in ("x * 2.5", "1 + x", "x / 3", "x ** 2", "2 ** x", "x.sum() * 0.5", "np.sin(x) - 1"):
        y, pullback = ad.vjp(program(code), x)
        assert y.dtype == program(code)(x).dtype == np.float32
        assert pullback(np.ones_like(y))[0].dtype == np.float32


def test_the_namespace_is_numpy_in_shape():
    seen = []
    ad.grad(lambda x: seen.append(x.__array_namespace__()) or x.sum())(VECTOR)
    assert seen[0] is not None
    assert seen[0].sin is not None


# -- views that are no indices -----------------------------------------------------------------------------------------


def test_a_real_tensor_is_its_own_real_part():
    agrees(lambda x: (lambda part: part.__setitem__(0, 5.0) or x)(x.real), VECTOR)
    agrees(lambda x: (lambda part: part.__setitem__(0, 5.0) or x)(np.real(x)), VECTOR)


def test_a_real_tensor_is_its_own_conjugate():
    def f(x):
        y = x * 1.0
        c = y.conj()
        y *= 3.0
        return np.sum(c)

    value, g = ad.value_and_grad(f)(np.ones(2))
    assert value == f(np.ones(2))
    np.testing.assert_array_equal(g, [3.0, 3.0])
