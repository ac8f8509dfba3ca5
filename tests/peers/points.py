"""Where engines are compared: functions that NumPy, JAX, autograd and PyTorch have, at ordinary points and at corners.

An expression is one text for the three that speak NumPy (``np`` is the engine's namespace) and one for PyTorch.
"""

from typing import NamedTuple

import numpy as np

INF, NAN = np.inf, np.nan


class Point(NamedTuple):
    """An expression at arguments x, y …; `torch` is None where PyTorch has no such function."""

    text: str
    torch: str | None
    args: tuple
    pointwise: bool = False

    @property
    def names(self):
        return "xyz"[: len(self.args)]

    def f(self, engine):
        """The expression as a function of an engine's namespace and arrays; None where the engine has none."""
        text = self.torch if engine.name == "PyTorch" else self.text
        if text is None:
            return None
        code = compile(text, text, "eval")
        space = "torch" if engine.name == "PyTorch" else "np"
        return lambda module, *xs: eval(code, {space: module, **dict(zip(self.names, xs, strict=True))})


ONE = np.array([0.37, -1.3, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, 20.0, -20.0, 400.0, -400.0, 1e150, 1e-150, INF, -INF])
SIDE = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0])
GRID = tuple(side.ravel() for side in np.meshgrid(SIDE, SIDE))

UNARY = (
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "reciprocal", "abs", "sign", "floor", "ceil",
    "sinc", "negative", "deg2rad", "rad2deg", "nan_to_num",
)  # fmt: skip
ALONE = ("cbrt", "fabs", "rint", "trunc")
"""Functions that PyTorch has not, or calls otherwise."""

BINARY = (
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "fmax", "fmin", "hypot", "arctan2",
    "logaddexp", "logaddexp2", "copysign", "remainder", "fmod", "float_power",
)  # fmt: skip

TORCH = {"power": "pow"}

POINTWISE = (
    *(Point(f"np.{name}(x)", f"torch.{name}(x)", (ONE,), True) for name in UNARY),
    *(Point(f"np.{name}(x)", None, (ONE,), True) for name in ALONE),
    *(Point(f"np.{name}(x, y)", f"torch.{TORCH.get(name, name)}(x, y)", GRID, True) for name in BINARY),
    Point("x ** 0", "x ** 0", (ONE,), True),
    Point("x ** 2", "x ** 2", (ONE,), True),
    Point("x ** 3.0", "x ** 3.0", (ONE,), True),
    Point("x ** 0.5", "x ** 0.5", (ONE,), True),
    Point("np.maximum(x, 0.0)", "torch.relu(x)", (ONE,), True),
    Point("np.clip(x, -1.0, 1.0)", "torch.clip(x, -1.0, 1.0)", (ONE,), True),
    Point("np.where(x > 0, x, 0.0)", "torch.where(x > 0, x, 0.0)", (ONE,), True),
    Point("np.where(x > 0, np.sqrt(x), 0.0)", "torch.where(x > 0, torch.sqrt(x), 0.0)", (ONE,), True),
    Point("np.where(x > 0, np.log(x), x)", "torch.where(x > 0, torch.log(x), x)", (ONE,), True),
    Point("np.where(x == 0, 1.0, np.sin(x) / x)", "torch.where(x == 0, 1.0, torch.sin(x) / x)", (ONE,), True),
    Point("np.exp(x) / (1 + np.exp(x))", "torch.exp(x) / (1 + torch.exp(x))", (ONE[:15],), True),
    Point("np.logaddexp(x, 0.0)", "torch.logaddexp(x, torch.zeros_like(x))", (ONE,), True),
    Point("np.sqrt(x * x)", "torch.sqrt(x * x)", (ONE,), True),
    Point("np.tanh(x) * x * x", "torch.tanh(x) * x * x", (ONE,), True),
)

MASK = "np.array([True, False, True])"
TORCH_MASK = "torch.tensor([True, False, True])"
X3 = np.array([1.0, 2.0, 3.0])
TIES = np.array([2.0, 3.0, 3.0, 1.0, 1.0])
EQUAL = np.ones(4)
ZEROS = np.zeros(3)
ONE_ZERO = np.array([2.0, 0.0, 3.0, 4.0])
TWO_ZEROS = np.array([2.0, 0.0, 0.0, 4.0])
WITH_NAN = np.array([1.0, np.nan, 3.0])
M = np.array([[2.0, 0.5, -1.0], [0.3, 1.5, 0.7], [-0.4, 0.2, 3.0]])
S = M @ M.T + np.eye(3)
EYE = np.eye(3)
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
EMPTY = np.zeros((0,))
N34 = np.linspace(-1.1, 1.3, 12).reshape(3, 4) ** 3
SINGLE = np.array([1.0, 2.5, -0.5], np.float32)
W4 = "np.array([1.0, -2.0, 3.0, 0.5])"
T4 = "torch.tensor([1.0, -2.0, 3.0, 0.5])"

REDUCTIONS = [
    Point(f"np.{name}(x)", torch, (x,))
    for name, torch in (("sum", "torch.sum(x)"), ("mean", "torch.mean(x)"), ("prod", "torch.prod(x)"),
                        ("max", "torch.amax(x)"), ("min", "torch.amin(x)"),
                        ("var", "torch.var(x, correction=0)"), ("std", "torch.std(x, correction=0)"),
                        ("ptp", "torch.amax(x) - torch.amin(x)"), ("median", None),
                        ("linalg.norm", "torch.linalg.vector_norm(x)"), ("cumsum", "torch.cumsum(x, 0)"),
                        ("cumprod", "torch.cumprod(x, 0)"), ("sort", "torch.sort(x).values"),
                        ("nansum", "torch.nansum(x)"), ("nanmean", "torch.nanmean(x)"), ("nanmax", None))
    for x in (X3, TIES, EQUAL, ZEROS, ONE_ZERO, TWO_ZEROS, WITH_NAN, np.array([INF, 1.0, 2.0]))
] + [
    Point(f"np.{name}(x)", torch, (EMPTY,))
    for name, torch in (("sum", "torch.sum(x)"), ("prod", "torch.prod(x)"),
                        ("linalg.norm", "torch.linalg.vector_norm(x)"))
]  # fmt: skip

MASKED = [
    Point(f"np.{name}(x, where={MASK}{extra})", None, (X3,))
    for name, extra in (("sum", ""), ("mean", ""), ("prod", ""), ("var", ""), ("std", ""), ("max", ", initial=-9.0"))
] + [
    Point("np.max(x, initial=5.0)", None, (X3,)),
    Point("np.max(x, initial=3.0)", None, (X3,)),
    Point("np.max(x, axis=0)", "torch.amax(x, 0)", (np.array([[1.0, 2.0], [1.0, 3.0]]),)),
    Point(f"np.sort(x) * {W4}", f"torch.sort(x).values * {T4}", (np.array([2.0, 1.0, 2.0, 5.0]),)),
    Point(f"np.cumprod(x) * {W4}", f"torch.cumprod(x, 0) * {T4}", (ONE_ZERO,)),
    Point("np.sum(x, axis=(0, 1))", "torch.sum(x, (0, 1))", (N34,)),
    Point("np.var(x, axis=1, ddof=1)", "torch.var(x, 1)", (N34,)),
    Point("np.var(x, ddof=1)", "torch.var(x)", (np.ones(1),)),
    Point("np.percentile(x, 50.0)", "torch.quantile(x, 0.5)", (TIES,)),
    Point("np.quantile(x, 0.3)", "torch.quantile(x, 0.3)", (TIES,)),
    Point("np.linalg.norm(x) ** 2", "torch.linalg.vector_norm(x) ** 2", (ZEROS,)),
    Point("np.abs(x[0] - x[1])", "torch.abs(x[0] - x[1])", (EQUAL,)),
    Point("np.interp(x, np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0]))", None,
          (np.array([0.5, 1.0, 1.5, 2.5]),)),
    Point("np.interp(0.5, np.array([0.0, 1.0, 2.0]), x)", None, (X3,)),
    Point("np.diff(x, n=2)", "torch.diff(x, n=2)", (TIES**2,)),
    Point("np.pad(x, 1, mode='reflect') ** 2", None, (X3,)),
    Point("np.convolve(x, x)", None, (X3,)),
    Point("np.unwrap(x)", None, (np.array([0.0, 3.0, 6.5]),)),
    Point("np.heaviside(x, 0.5) * x", None, (X3 - 2.0,)),
    Point("x[np.array([0, 0, 1])] ** 2", "x[torch.tensor([0, 0, 1])] ** 2", (X3,)),
    Point("np.roll(x, 1) * x", "torch.roll(x, 1) * x", (X3,)),
    Point("np.trapezoid(x * x)", "torch.trapezoid(x * x)", (X3,)),
    Point("np.nan_to_num(x) * 2", "torch.nan_to_num(x) * 2", (np.array([np.nan, INF, 1.0]),)),
]  # fmt: skip

LINALG = [
    Point(text, torch, (x,))
    for text, torch in (
        ("np.linalg.det(x)", "torch.linalg.det(x)"), ("np.linalg.inv(x)", "torch.linalg.inv(x)"),
        ("np.linalg.slogdet(x)[1]", "torch.linalg.slogdet(x)[1]"), ("np.linalg.pinv(x)", "torch.linalg.pinv(x)"),
        ("np.linalg.eigvalsh(x)", "torch.linalg.eigvalsh(x)"),
        ("np.linalg.eigvalsh(x) * np.array([1.0, 2.0, 4.0])",
         "torch.linalg.eigvalsh(x) * torch.tensor([1.0, 2.0, 4.0])"),
        ("np.linalg.svd(x, compute_uv=False)", "torch.linalg.svdvals(x)"),
        ("np.linalg.cholesky(x)", "torch.linalg.cholesky(x)"),
        ("np.linalg.norm(x)", "torch.linalg.matrix_norm(x)"),
        ("np.linalg.norm(x, 2)", "torch.linalg.matrix_norm(x, 2)"),
        ("np.linalg.norm(x, 'nuc')", "torch.linalg.matrix_norm(x, 'nuc')"),
        ("np.linalg.norm(x, np.inf)", "torch.linalg.matrix_norm(x, torch.inf)"),
        ("np.linalg.matrix_power(x, 3)", "torch.linalg.matrix_power(x, 3)"),
        ("np.trace(x @ x)", "torch.trace(x @ x)"), ("np.linalg.solve(x, x.T)", "torch.linalg.solve(x, x.T)"),
        ("np.tril(x) * x", "torch.tril(x) * x"), ("np.outer(x, x)", "torch.outer(x.reshape(-1), x.reshape(-1))"),
        ("np.kron(x, x)", "torch.kron(x, x)"), ("np.einsum('ii->i', x)", "torch.einsum('ii->i', x)"),
        ("np.linalg.qr(x)[1] ** 2", "torch.linalg.qr(x)[1] ** 2"),
    )
    for x in ((S, EYE) if "cholesky" in text or "eigvalsh" in text
              else (M, EYE) if "inv" in text or "solve" in text else (M, EYE, SINGULAR))
] + [
    Point(f"np.linalg.norm(x, {ord})", f"torch.linalg.vector_norm(x, {ord.replace('np', 'torch')})", (x,))
    for ord in ("1", "2", "3", "0.5", "np.inf", "-np.inf", "0")
    for x in (X3, -X3, ZEROS, TIES, np.array([0.0, 1.0, 2.0]))
]  # fmt: skip

COMPLEX = [
    Point(text, torch, (np.array([0.6 - 0.8j, 1.5 + 0.5j]),))
    for text, torch in (
        ("np.real(x * x * x)", "torch.real(x * x * x)"), ("np.abs(x)", "torch.abs(x)"),
        ("np.imag(np.exp(x))", "torch.imag(torch.exp(x))"), ("np.angle(x)", "torch.angle(x)"),
        ("np.abs(np.fft.fft(x)) ** 2", "torch.abs(torch.fft.fft(x)) ** 2"),
        ("np.real(x * np.conj(x))", "torch.real(x * torch.conj(x))"),
    )
] + [Point("np.abs(x)", "torch.abs(x)", (np.zeros(2, complex),))]

PRECISION = [
    Point(f"np.{name}(x)", torch, (SINGLE,))
    for name, torch in (("sum", "torch.sum(x)"), ("mean", "torch.mean(x)"), ("max", "torch.amax(x)"),
                        ("var", "torch.var(x, correction=0)"), ("std", "torch.std(x, correction=0)"),
                        ("sin", "torch.sin(x)"), ("sort", "torch.sort(x).values"),
                        ("linalg.norm", "torch.linalg.vector_norm(x)"))
] + [
    Point("np.where(x > 0, x * 2.0, x)", "torch.where(x > 0, x * 2.0, x)", (SINGLE,)),
    Point("x * 3.0", "x * 3.0", (SINGLE,)),
    Point("np.average(x, weights=np.array([1.0, 2.0, 3.0]))", None, (SINGLE,)),
]  # fmt: skip

POINTS = (*POINTWISE, *REDUCTIONS, *MASKED, *LINALG, *COMPLEX, *PRECISION)
