"""Derivatives that SciPy has no function for and whose closed forms cancel, as operations of every order.

Each has a setting ``order`` and is differentiated by the next order of itself, so that a rule of :mod:`.special` is as
accurate at its second derivative as at its first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DtypeError, message
from ..makers import at, elementwise
from ..ops.elementwise import POSITIVE
from . import jets
from . import ufuncs as special

NEAR = (-1.5, 3.0)
"""Where erfcx stays within the shortest floats."""


def in_double(function: Any) -> Any:
    """A function of flat float64 arrays of one length as a function of broadcast arrays; precision is restored."""

    def call(*args: Any, **settings: Any) -> Any:
        arrays = [np.asarray(x) for x in args]
        dtype = np.result_type(*arrays, np.float32)
        if dtype not in (np.float32, np.float64):  # as SciPy's own ufuncs
            raise DtypeError(
                message(f"arguments of dtype {dtype}", "it is computed in double precision", "x.astype(float)")
            )
        spread = np.broadcast_arrays(*arrays)
        with np.errstate(all="ignore"):
            y = function(*(x.astype(float).ravel() for x in spread), **settings)
        return np.reshape(y, spread[0].shape).astype(dtype)[()]

    return call


# -- polygamma, and its differences ------------------------------------------------------------------------------------


def real_only(function: Any) -> Any:
    """A function that takes no complex numbers: for a rule that would not hold for them."""

    def call(*args: Any, **settings: Any) -> Any:
        if any(np.iscomplexobj(x) for x in args):
            raise DtypeError(
                message(f"{function.__name__}: complex numbers", "its rule is that of real ones", "pass real numbers")
            )
        return function(*args, **settings)

    call.__name__ = function.__name__
    return call


def counts(rng: np.random.Generator, shape: Any) -> Any:
    """Small counts 0, 1, 2, …, as orders and degrees are."""
    return np.asarray(rng.integers(0, 4, shape))


polygamma: Any = elementwise(
    special.polygamma, None, lambda d, y, n, x: d * polygamma(n + 1, x),
    smooth=(None, POSITIVE), examples=(at((3, 4), (3, 4), draw=(counts, None)), at((), (5,), draw=(counts, None))),
    formulas=("", "δx = δy·ψ⁽ⁿ⁺¹⁾(x)"),
)  # fmt: skip


psi_gap: Any = elementwise(
    in_double(jets.psi_gap),
    lambda d, y, a, b, *, order=0: d * psi_gap(a, b, order=order + 1),
    lambda d, y, a, b, *, order=0: d * polygamma(order + 1, a + b),
    name="psi_gap", smooth=(POSITIVE,), examples=(at((3, 4), (3, 4)), at((3, 1), (4,), order=1)),
    formulas=("δa = δy·(ψ⁽ⁿ⁺¹⁾(a + b) − ψ⁽ⁿ⁺¹⁾(a))", "δb = δy·ψ⁽ⁿ⁺¹⁾(a + b)"), note="ψ⁽ⁿ⁾(a + b) − ψ⁽ⁿ⁾(a)",
)  # fmt: skip

# -- the bell ----------------------------------------------------------------------------------------------------------

gaussian: Any = elementwise(
    lambda x: np.exp(-x * x), lambda d, y, x: d * (np.where(y == 0, 0, -2 * x) * y),
    name="gaussian", formulas=("δx = −δy·2xy",), edges=((np.inf, 0.0), (-np.inf, 0.0)),
    note="exp(−x²), and 0 with all its derivatives at both infinities",
)  # fmt: skip

# -- erfcx, dawsn: recurrence, and far out the asymptotic series differentiated term by term ---------------------------


def _falling(x: Any, sign: int, order: int) -> Any:
    """The derivative of Σ (±1)ᵏ (2k − 1)!! / (2ᵏ·x²ᵏ⁺¹), for |x| > 7: there its 24th term is below 10⁻¹⁷."""
    part, total = 1 / x, np.zeros_like(x)
    for k in range(24):
        total = total + part * math.perm(2 * k + order, order) / (-x) ** order
        part = part * (sign * (2 * k + 1) / 2) / (x * x)
    return total


def _gaussian_orders(y: Any, first: Any, x: Any, sign: int, order: int) -> Any:
    """y⁽ⁿ⁺¹⁾ = ±2·(x·y⁽ⁿ⁾ + n·y⁽ⁿ⁻¹⁾)."""
    for n in range(1, order):
        y, first = first, sign * 2 * (x * first + n * y)
    return first


def _erfcx_derivative(x: Any, *, order: int = 1) -> Any:
    y = special.erfcx(x)
    x = np.asarray(x, y.dtype)
    far = np.real(x) > 7
    near = _gaussian_orders(y, 2 * x * y - 2 / math.sqrt(math.pi), x, 1, order)
    return np.where(far, _falling(np.where(far, x, 8), -1, order) / math.sqrt(math.pi), near)[()]


def _dawsn_derivative(x: Any, *, order: int = 1) -> Any:
    y = special.dawsn(x)
    x = np.asarray(x, y.dtype)
    far = np.isreal(x) & (np.abs(np.real(x)) > 7)
    near = _gaussian_orders(y, 1 - 2 * x * y, x, -1, order)
    return np.where(far, _falling(np.where(far, x, 8), 1, order) / 2, near)[()]


erfcx_derivative: Any = elementwise(
    _erfcx_derivative, lambda d, y, x, *, order=1: d * erfcx_derivative(x, order=order + 1),
    name="erfcx_derivative", smooth=(NEAR,), examples=(at((3, 4)), at(()), at((3, 4), order=2)),
    formulas=("δx = δy·erfcx⁽ⁿ⁺¹⁾(x)",),
)  # fmt: skip
dawsn_derivative: Any = elementwise(
    _dawsn_derivative, lambda d, y, x, *, order=1: d * dawsn_derivative(x, order=order + 1),
    name="dawsn_derivative", examples=(at((3, 4)), at(()), at((3, 4), order=2)), formulas=("δx = δy·dawsn⁽ⁿ⁺¹⁾(x)",),
)  # fmt: skip

# -- e⁻ˣ·I(x) and eˣ·K(x): differences of neighbours, and far out Hankel's series differentiated term by term ----------


def _hankel(x: Any, v: int, sign: int, order: int) -> Any:
    """The derivative of Σ (±1)ᵏ·aₖ / xᵏ⁺½, aₖ = Π (4v² − (2j − 1)²) / 8j; its 24th term at x = 30 is 10⁻¹⁷."""
    part, total = np.sqrt(1 / x) * (-1 / x) ** order, np.zeros_like(x)
    for k in range(24):
        total = total + part * math.prod(k + 0.5 + j for j in range(order))
        part = part * (sign * (4 * v * v - (2 * k + 1) ** 2) / (8 * (k + 1))) / x
    return total


def _scaled_bessel(x: Any, *, v: int = 0, second: bool = False, order: int = 1) -> Any:
    """Of I for |x|, whose slope is (Iᵥ₋₁ + Iᵥ₊₁) / 2 − Iᵥ, or of K, where all signs are opposite."""
    size = np.abs(x) if not second else x
    far = size > 30
    function, sign = (special.kve, -1) if second else (special.ive, 1)
    near, z = 0.0, np.where(far, 1.0, size)
    turn = np.where(x == 0, 0.0, 1.0)  # the mean of the two sides, where the scale has its kink
    weights = [np.ones_like(x)]
    for _ in range(order):
        padded = [0.0, 0.0, *weights, 0.0, 0.0]
        weights = [sign * (0.5 * (p + r) - turn * q) for p, q, r in zip(padded, padded[1:], padded[2:], strict=False)]
    for k, weight in enumerate(weights):
        near = near + weight * function(v + k - order, z)
    beyond = _hankel(np.where(far, size, 30.0), v, -sign, order) * math.sqrt(math.pi / 2 if second else 0.5 / math.pi)
    y = np.where(far, beyond, near)
    return y if second else np.where(x < 0, (-1) ** (v + order) * y, y)


scaled_bessel: Any = elementwise(
    in_double(_scaled_bessel),
    lambda d, y, x, *, v=0, second=False, order=1: d * scaled_bessel(x, v=v, second=second, order=order + 1),
    name="scaled_bessel", smooth=(POSITIVE,),
    examples=(at((3, 4), v=1), at((), second=True), at((3, 4), v=1, second=True, order=2)),
    formulas=("δx = δy·∂ⁿ⁺¹(e^−|x|·Iᵥ(x)) / ∂xⁿ⁺¹",), note="∂ⁿ(e^−|x|·Iᵥ(x)) / ∂xⁿ, or of eˣ·Kᵥ(x)",
)  # fmt: skip

# -- exprel ------------------------------------------------------------------------------------------------------------


def _exprel_derivative(x: Any, *, order: int = 1) -> Any:
    """The integral of tⁿ·exp(xt) over [0, 1]: near 0 by series without a sign change, elsewhere y = (eˣ − n·y) / x.

    What the series leave out is the chance of 2u + 52 or more of a Poisson number of mean u: below 10⁻²⁰.
    """
    near = np.abs(x) < 4 + 2 * order
    u = np.where(near, np.abs(x), 0.0)
    rising, falling = np.zeros_like(u), np.zeros_like(u)
    for k in range(60 + 4 * order):  # Σ uᵏ / (k!·(k + n + 1)), and e⁻ᵘ·Σ uᵏ·n! / (k + n + 1)!
        power = u**k / math.factorial(k)
        rising += power / (k + order + 1)
        falling += power * (math.factorial(k) * math.factorial(order) / math.factorial(k + order + 1))
    z = np.where(near, 1.0, x)
    far = special.exprel(z)
    for n in range(1, order + 1):
        far = (np.exp(z) - n * far) / z
    return np.where(near, np.where(x < 0, falling * np.exp(-u), rising), far)


exprel_derivative: Any = elementwise(
    in_double(_exprel_derivative), lambda d, y, x, *, order=1: d * exprel_derivative(x, order=order + 1),
    name="exprel_derivative", examples=(at((3, 4)), at(()), at((3, 4), order=2)), formulas=("δx = δy·exprel⁽ⁿ⁺¹⁾(x)",),
)  # fmt: skip

box_cox: Any = elementwise(
    lambda u, p, *, order=1: u ** (order + 1) * _exprel_of_product(u, p, order),
    lambda d, y, u, p, *, order=1: d * (u**order * np.exp(p * u)),
    lambda d, y, u, p, *, order=1: d * box_cox(u, p, order=order + 1),
    name="box_cox", examples=(at((3, 4), (3, 4)), at((3, 1), (4,), order=2)),
    formulas=("δu = δy·uⁿ·exp(pu)", "δp = δy·∂ⁿ⁺¹((exp(pu) − 1) / p) / ∂pⁿ⁺¹"), note="∂ⁿ((exp(pu) − 1) / p) / ∂pⁿ",
)  # fmt: skip


def _exprel_of_product(u: Any, p: Any, order: int) -> Any:
    return in_double(_exprel_derivative)(u * p, order=order)


# -- the incomplete gamma and beta functions by their parameters -------------------------------------------------------


def _orders_of_exponential(i: int, j: int, log: Any) -> Any:
    """The derivative of exp(f) of order i by a and j by b, over exp(f); log(k, m) is that of f."""
    known: dict[tuple[int, int], Any] = {}
    for n in range(i + 1):
        for m in range(j + 1):
            up, across = (n - 1, m) if n else (n, m - 1)
            known[n, m] = 1.0 if not n + m else sum(
                (math.comb(up, k) * math.comb(across, q) * known[up - k, across - q])
                * log(k + (n > 0), q + (n == 0))
                for k in range(up + 1) for q in range(across + 1)
            )  # fmt: skip
    return known[i, j]


def _gamma_density(a: Any, x: Any) -> Any:
    inside = jets.gamma_weight(a, x) * a / np.where(x > 0, x, 1.0)
    edge = np.exp(special.xlogy(a - 1, x) - x) * special.rgamma(a)
    return np.where(x == np.inf, 0.0, np.where(x > 0, inside, edge))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    within = (x > 0) & (x < 1)
    z = np.where(within, x, 0.5)
    edge = np.exp(special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b))
    return np.where(within, jets.beta_weight(a, b, z) / z / (1 - z), edge)


def _by_shape(slope: Any, y: Any) -> Any:
    """The slope of a logarithm times y, 0 where y is."""
    return np.where(y == 0, 0, slope) * y


gamma_density: Any = elementwise(
    in_double(_gamma_density),
    lambda d, y, a, x: d * _by_shape(np.log(x) - special.psi(a), y),
    lambda d, y, a, x: d * _by_shape(np.where(x == np.inf, 0.0, np.where(a == 1, 0.0, (a - 1) / x)) - 1.0, y),
    name="gamma_density", smooth=(POSITIVE,), formulas=("δa = δy·y·(ln x − ψ(a))", "δx = δy·y·(a − 1 − x) / x"),
    note="xᵃ⁻¹·e⁻ˣ / Γ(a)",
)  # fmt: skip
beta_density: Any = elementwise(
    in_double(_beta_density),
    lambda d, y, a, b, x: d * _by_shape(np.log(x) + psi_gap(a, b), y),
    lambda d, y, a, b, x: d * _by_shape(np.log1p(-x) + psi_gap(b, a), y),
    lambda d, y, a, b, x: d * (y * ((a - 1) / x - (b - 1) / (1 - x))),
    name="beta_density", smooth=(POSITIVE, POSITIVE, (0.1, 0.9)),
    formulas=("δa = δy·y·(ln x − ψ(a) + ψ(a + b))", "δb = δy·y·(ln(1 − x) − ψ(b) + ψ(a + b))",
              "δx = δy·y·((a − 1) / x − (b − 1) / (1 − x))"),
    note="xᵃ⁻¹·(1 − x)ᵇ⁻¹ / B(a, b)",
)  # fmt: skip


def _gamma_density_by_a(a: Any, x: Any, order: int) -> Any:
    orders = _orders_of_exponential(
        order, 0, lambda k, _: np.log(x) - special.psi(a) if k == 1 else -polygamma(k - 1, a)
    )
    return _by_shape(orders, gamma_density(a, x))


def _beta_density_by(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    def log(k: int, m: int) -> Any:
        if k and m:
            return polygamma(k + m - 1, a + b)
        gap = psi_gap(a, b, order=k - 1) if k else psi_gap(b, a, order=m - 1)
        return gap if k + m > 1 else gap + (np.log(x) if k else np.log1p(-x))

    return _by_shape(_orders_of_exponential(i, j, log), beta_density(a, b, x))


gammainc_by_a: Any = elementwise(
    in_double(lambda a, x, *, order=1: jets.lower_gamma(a, x, order)),
    lambda d, y, a, x, *, order=1: d * gammainc_by_a(a, x, order=order + 1),
    lambda d, y, a, x, *, order=1: d * _gamma_density_by_a(a, x, order),
    name="gammainc_by_a", smooth=(POSITIVE,), examples=(at((2,), (2,)), at((), (2,), order=2)),
    formulas=("δa = δy·∂ⁿ⁺¹P(a, x) / ∂aⁿ⁺¹", "δx = δy·∂ⁿ(xᵃ⁻¹·e⁻ˣ / Γ(a)) / ∂aⁿ"),
)  # fmt: skip
betainc_by_shapes: Any = elementwise(
    in_double(lambda a, b, x, *, i=1, j=0: jets.lower_beta(a, b, x, i, j)),
    lambda d, y, a, b, x, *, i=1, j=0: d * betainc_by_shapes(a, b, x, i=i + 1, j=j),
    lambda d, y, a, b, x, *, i=1, j=0: d * betainc_by_shapes(a, b, x, i=i, j=j + 1),
    lambda d, y, a, b, x, *, i=1, j=0: d * _beta_density_by(a, b, x, i, j),
    name="betainc_by_shapes", smooth=(POSITIVE, POSITIVE, (0.1, 0.9)),
    examples=(at((2,), (2,), (2,)), at((2,), (), (2,), i=0, j=1)),
    formulas=("δa = δy·∂ⁱ⁺¹∂ʲI", "δb = δy·∂ⁱ∂ʲ⁺¹I", "δx = δy·∂ⁱ∂ʲ(xᵃ⁻¹·(1 − x)ᵇ⁻¹ / B(a, b))"),
)  # fmt: skip

# -- ln(1 + x) / x -----------------------------------------------------------------------------------------------------


FAR = 100.0
"""From here on closed forms no longer cancel, and SciPy's ₂F₁ begins to lose digits: x·10⁻¹⁸ of itself."""


def log1p_over(x: Any, order: int) -> Any:
    """The derivative of this order of L(x) = ln(1 + x) / x, through x = 0.

    It is (−1)ⁿ·n! / (n + 1)·₂F₁(n + 1, n + 1; n + 2; −x), far out by x·L⁽ⁿ⁾ + n·L⁽ⁿ⁻¹⁾ = −(n − 1)! / (−1 − x)ⁿ.
    """
    n, far = float(order), x > FAR
    factor = (-1.0) ** order * math.factorial(order) / (n + 1)
    near = factor * special.hyp2f1(n + 1, n + 1, n + 2, -np.where(far, 0, x))
    z = np.where(far, x, 1)
    y = np.log1p(z) / z
    for k in range(1, order + 1):
        y = -(math.factorial(k - 1) / (-1 - z) ** k + k * y) / z
    return np.where(far, y, near)
