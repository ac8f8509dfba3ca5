"""Taylor series in two parameters: the incomplete gamma and beta functions with their derivatives by the parameters.

A jet holds the Taylor coefficients of a quantity in (a, b): ``jet[i, j]`` is the coefficient of aⁱ·bʲ, an array. Sums,
products and quotients of jets are those of truncated power series, so a series or a continued fraction that is computed
on jets gives its derivatives by the parameters to the same accuracy as its value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import ufuncs as special

STEPS = 4000
"""After so many terms what has not converged is nan."""

LARGEST = 1e5
"""Up to this a the series of the gamma function converge in time, in eight times its root; from there on an integral.

Where both parameters of the beta function exceed ten times as much, its derivatives by them are nan: its fraction takes
twice the root of the smaller one.
"""

_EPS = float(np.finfo(float).eps)

_POWERS = np.arange(2, 14, 2)
_STIRLING = special.bernoulli(12)[_POWERS] / (_POWERS * (_POWERS - 1))


def _places(jet: Any) -> Iterable[tuple[int, int]]:
    return itertools.product(range(jet.shape[0]), range(jet.shape[1]))


def variable(like: Any, value: Any, by_a: float = 0.0, by_b: float = 0.0) -> Any:
    """A linear function of the parameters, in as many orders as another jet has."""
    jet = np.zeros_like(like)
    jet[0, 0] = value
    if jet.shape[0] > 1:
        jet[1, 0] = by_a
    if jet.shape[1] > 1:
        jet[0, 1] = by_b
    return jet


def times(p: Any, q: Any) -> Any:
    """The product of two jets."""
    y = p[0, 0] * q
    for k, m in _places(p):
        if k or m:
            y[k:, m:] += p[k, m] * q[: len(q) - k, : q.shape[1] - m]
    return y


def over(p: Any, q: Any) -> Any:
    """The quotient of two jets: the one that times q is p."""
    y = np.zeros_like(p)
    for i, j in _places(p):
        known = sum(q[k, m] * y[i - k, j - m] for k in range(i + 1) for m in range(j + 1) if k or m)
        y[i, j] = (p[i, j] - known) / q[0, 0]
    return y


def exponential(value: Any, log: Any) -> Any:
    """The jet of exp(log), where its value is known better than by taking exp: n·eₙ = Σ k·lₖ·eₙ₋ₖ."""
    y = np.zeros_like(log)
    y[0, 0] = value
    for i, j in _places(log):
        if i:
            y[i, j] = sum(k * log[k, m] * y[i - k, j - m] for k in range(1, i + 1) for m in range(j + 1)) / i
        elif j:
            y[i, j] = sum(m * log[i, m] * y[i, j - m] for m in range(1, j + 1)) / j
    return y


def _settled(change: Any, total: Any) -> bool:
    """Whether no coefficient changes any more, but for rounding; a nan never will."""
    small = np.abs(change) <= 4 * _EPS * np.max(np.abs(total), axis=(0, 1))
    return bool(np.all(small | ~np.isfinite(change)))


def summed(first: Any, ratio: Callable[[int], tuple[Any, Any]]) -> Any:
    """Σ tₙ with tₙ = tₙ₋₁·x / q, where (x, q) = ratio(n): a number a place, and a jet."""
    total = term = first
    for n in range(1, STEPS):
        x, q = ratio(n)
        term = over(term * x, q)
        total = total + term
        if _settled(term, total):
            return total
    return np.full_like(total, np.nan)


def continued(b: Any, fraction: Callable[[int], tuple[Any, Any]]) -> Any:
    """b₀ + a₁/(b₁ + a₂/(b₂ + …)) with (aₙ, bₙ) = fraction(n), by Lentz's method."""
    y = c = b
    d = np.zeros_like(b)
    one = variable(b, 1.0)
    for n in range(1, STEPS):
        a, b = fraction(n)
        d = over(one, b + times(a, d))
        c = b + over(a, c)
        step = times(c, d)
        y = times(y, step)
        if _settled(step - one, one):
            return y
    return np.full_like(y, np.nan)


def polygammas(x: Any, count: int) -> list[Any]:
    """ψ⁽ⁿ⁾(x) / n! · 1/(n + 1): the Taylor coefficients of ln Γ from the first on."""
    return [special.polygamma(n, x) / math.factorial(n + 1) for n in range(count)]


_BERNOULLI = special.bernoulli(16)[2::2]


def psi_gap(a: Any, b: Any, *, order: int = 0) -> Any:
    """ψ⁽ⁿ⁾(a + b) − ψ⁽ⁿ⁾(a): from a + 20 on by the asymptotic series, each of whose terms is a difference of powers.

    The first term left out, B₁₈ / (18·20¹⁸) for n = 0, is below 10⁻²³.
    """
    total = np.zeros_like(a)
    for j in range(20):  # ψ⁽ⁿ⁾(z) = ψ⁽ⁿ⁾(z + 1) − (−1)ⁿ·n! / zⁿ⁺¹
        total += _power_gap(a + j, b, order + 1) * math.factorial(order)
    z = a + 20
    powers: list[Any] = [(1.0, 0 if order == 0 else order, math.factorial(max(order - 1, 0)))]
    powers.append((0.5, order + 1, math.factorial(order)))
    for k, number in zip(range(2, 18, 2), _BERNOULLI, strict=True):
        powers.append((number, order + k, math.factorial(k + order - 1) / math.factorial(k)))
    for number, power, factor in powers:
        total += number * factor * (-np.log1p(b / z) if power == 0 else _power_gap(z, b, power))
    plain = special.polygamma(order, a + b) - special.polygamma(order, a)
    return np.where((a > 0) & (a + b > 0), -((-1) ** order) * total, plain)


def _power_gap(z: Any, b: Any, power: int) -> Any:
    """The difference of (z + b) and z, each to the power −n."""
    return np.expm1(-power * np.log1p(b / z)) / z**power


# -- two weights without cancellation ----------------------------------------------------------------------------------


def _stirling(a: Any) -> Any:
    """What Stirling's formula for ln Γ(a) leaves, for a ≥ 20: Σ B₂ₖ / (2k(2k − 1)·a²ᵏ⁻¹), to 10⁻¹⁹."""
    return sum(number / a ** float(power - 1) for number, power in zip(_STIRLING, _POWERS, strict=True))


def _log1p_minus(u: Any) -> Any:
    """log(1 + u) − u, also where u is small: with r = u / (2 + u) it is −u·r + 2·(r³/3 + r⁵/5 + …).

    For |u| < 0.4, which is |r| ≤ 1/4, the term after r²⁷/27 is 10⁻¹⁷ of the first.
    """
    r = np.clip(u / (2 + u), -0.25, 0.25)
    tail = sum(r ** (2 * k + 1) / (2 * k + 1) for k in range(1, 14))
    return np.where(np.abs(u) < 0.4, 2 * tail - u * r, np.log1p(u) - u)


def gamma_weight(a: Any, x: Any) -> Any:
    """xᵃ·e⁻ˣ / Γ(a + 1): for large a by the distance of x from a, because each factor alone is beyond all bounds."""
    large = (a >= 20) & (x > 0)
    n, z = np.where(large, a, 20.0), np.where(large, x, 20.0)
    far = np.exp(n * _log1p_minus((z - n) / n) - _stirling(n)) / np.sqrt(2 * np.pi * n)
    m = np.where(large, 1.0, a)
    return np.where(large, far, np.exp(special.xlogy(m, x) - x) * special.rgamma(m + 1))


def beta_weight(a: Any, b: Any, x: Any) -> Any:
    """xᵃ·(1 − x)ᵇ / B(a, b), in the same way."""
    large = (a >= 20) & (b >= 20) & (x > 0) & (x < 1)
    m, n, z = np.where(large, a, 20.0), np.where(large, b, 20.0), np.where(large, x, 0.5)
    s = m + n
    # the two distances, of x·s from a and of (1 − x)·s from b, are opposite: their linear parts cancel
    gap = z * n - (1 - z) * m
    log = m * _log1p_minus(gap / m) + n * _log1p_minus(-gap / n) + _stirling(s) - _stirling(m) - _stirling(n)
    direct = special.xlogy(a, x) + special.xlog1py(b, -x) - special.betaln(a, b)
    return np.where(large, np.sqrt(m * n / (2 * np.pi * s)) * np.exp(log), np.exp(direct))


# -- the incomplete gamma and beta functions ---------------------------------------------------------------------------


def lower_gamma(a: Any, x: Any, order: int) -> Any:
    """The derivative of this order, 1 or higher, by a of P(a, x), the regularized lower incomplete gamma function."""
    ends = (x == 0) | np.isposinf(x)
    y = np.where(ends, 0.0, np.nan)
    known, large = ~ends & (a > 0) & (a < np.inf) & (x > 0), a > LARGEST
    near, far, bell = known & ~large & (x < a + 1), known & ~large & (x >= a + 1), known & large
    y[near] = _gamma_series(a[near], x[near], order)
    y[far] = -_gamma_fraction(a[far], x[far], order)
    y[bell] = _gamma_bell(a[bell], x[bell], order)
    return y * math.factorial(order)


def _gamma_log(a: Any, x: Any, order: int) -> Any:
    """The jet of ln(xᵃ·e⁻ˣ / Γ(a + 1)) but for its value."""
    log = np.zeros((order + 1, 1, *a.shape))
    log[1:, 0] = -np.array(polygammas(a + 1, order))
    log[1, 0] += np.log(x)
    return log


def _gamma_series(a: Any, x: Any, order: int) -> Any:
    """P = xᵃ·e⁻ˣ / Γ(a + 1) · Σ xⁿ / ((a + 1)⋯(a + n))."""
    log = _gamma_log(a, x, order)
    total = summed(variable(log, 1.0), lambda n: (x, variable(log, a + n, 1.0)))
    return times(exponential(gamma_weight(a, x), log), total)[order, 0]


def _gamma_fraction(a: Any, x: Any, order: int) -> Any:
    """1 − P = a·xᵃ·e⁻ˣ / Γ(a + 1) / (x + 1 − a − (1 − a)/(x + 3 − a − 2·(2 − a)/(x + 5 − a − …)))."""
    log = _gamma_log(a, x, order)
    below = continued(
        variable(log, x + 1 - a, -1.0),
        lambda n: (variable(log, -n * (n - a), float(n)), variable(log, x + (2 * n + 1) - a, -1.0)),
    )
    above = times(variable(log, a, 1.0), exponential(gamma_weight(a, x), log))
    return over(above, below)[order, 0]


def _gamma_bell(a: Any, x: Any, order: int) -> Any:
    """The derivative of the density, integrated from x away from the mode, by Gauss and Legendre.

    With z = |x − a| / √a the density has fallen to e⁻⁵⁰ of itself after u·√a, where zu + u²/2 = 50.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    right, z = x > a, np.abs(x - a) / np.sqrt(a)
    width = np.minimum(np.sqrt(a) * (100 / (z + np.sqrt(z * z + 100))), np.where(right, np.inf, x))
    t = x + np.where(right, width, -width) * ((nodes + 1) / 2)[:, None]
    a = np.broadcast_to(a, t.shape)
    log = _gamma_log(a, t, order)
    log[1, 0] = np.log1p((t - a) / a) - (1 / 2 - 1 / (12 * a)) / a  # ln t − ψ(a + 1), each of which is large
    density = times(variable(log, a, 1.0), exponential(gamma_weight(a, t), log))[order, 0] / t
    return np.where(right, -width, width) * (weights @ density) / 2


def lower_beta(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    """The derivative of order i by a and j by b, not both 0, of Iₓ(a, b), the regularized incomplete beta function."""
    ends, turn = (x == 0) | (x == 1), (a + 1) / (a + b + 2)
    y = np.where(ends, 0.0, np.nan)
    known = (a > 0) & (b > 0) & (np.minimum(a, b) <= 10 * LARGEST) & (np.maximum(a, b) < np.inf) & (x > 0) & (x < 1)
    near, far = known & (x < turn), known & (x >= turn)
    y[near] = _beta_fraction(a[near], b[near], x[near], i, j)
    y[far] = -_beta_fraction(b[far], a[far], 1 - x[far], j, i)
    return y * math.factorial(i) * math.factorial(j)


def _beta_fraction(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    """I = xᵃ·(1 − x)ᵇ / (a·B(a, b)) / (1 + d₁/(1 + d₂/(1 + …))), where a·Γ(a) is Γ(a + 1)."""
    log = np.zeros((i + 1, j + 1, *a.shape))
    for k, m in _places(log):
        if k and m:
            log[k, m] = special.polygamma(k + m - 1, a + b) / math.factorial(k) / math.factorial(m)
        elif k:
            log[k, 0] = psi_gap(a + 1, b - 1, order=k - 1) / math.factorial(k)
        elif m:
            log[0, m] = psi_gap(b, a, order=m - 1) / math.factorial(m)
    log[1:2, 0] += np.log(x)
    log[0, 1:2] += np.log1p(-x)
    one = variable(log, 1.0)

    def step(n: int) -> tuple[Any, Any]:
        m = n // 2
        below = times(variable(log, a + n - 1, 1.0), variable(log, a + n, 1.0))
        if n % 2:
            above = times(variable(log, a + m, 1.0), variable(log, a + b + m, 1.0, 1.0))
            return over(-x * above, below), one
        return over(m * x * variable(log, b - m, 0.0, 1.0), below), one

    return over(exponential(beta_weight(a, b, x) / a, log), continued(one, step))[i, j]
