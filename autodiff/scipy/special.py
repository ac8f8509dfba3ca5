"""``scipy.special`` for code that wants to be differentiated: ``from autodiff.scipy import special``.

The rules for SciPy's ufuncs stand in tables, by family; a tensor that meets one of those ufuncs loads this module by
itself, so ``from scipy.special import erf`` needs nothing else. SciPy's plain Python functions (``logsumexp``,
``zeta``, ``multigammaln`` …) never let NumPy see a tensor, so they stand here under their own names and are to be
called from here. Every other name is SciPy's own.

An order or degree (of a Bessel function, a polygamma, an exponential integral) has no rule: with a tensor there the
call is refused by name.

Examples
--------
>>> import autodiff as ad
>>> from scipy.special import erf
>>> ad.grad(erf)(0.5)
np.float64(0.8787825789)
>>> from autodiff.scipy import special
>>> ad.grad(lambda a: special.multigammaln(a, 2))(3.0)
np.float64(1.6259409757)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DtypeError, message
from ..graph import OPERATIONS
from ..makers import REAL, at, composite, flat, op, refuse
from ..makers import elementwise as _elementwise
from ..op import Op
from ..ops import softmax as _exponentials
from ..ops.branches import masked
from ..ops.elementwise import POSITIVE, UNIT, away_from_zero, gap, ln, power_log
from ..ops.reduce import restored
from ..traced import plain
from . import derivatives as _d
from . import ufuncs as _scipy
from .derivatives import counts as _counts
from .derivatives import real_only as _real_only
from .drop_in import drop_in

FRACTION = (0.05, 0.95)
LARGE = (2.5, 6.0)
ROOT_PI, ROOT_TWO_PI, ROOT_HALF = math.sqrt(math.pi), math.sqrt(2 * math.pi), math.sqrt(0.5)


def elementwise(forward: Any, *rules: Any, **settings: Any) -> Op:
    """The maker, under a name of its own where NumPy has an operation of the same one."""
    name = settings.pop("name", forward.__name__)
    return _elementwise(forward, *rules, name=f"special.{name}" if name in OPERATIONS else name, **settings)


def _of_real(ufunc: np.ufunc, *rules: Any, **settings: Any) -> Op:
    """A ufunc that takes complex numbers too, where its rule does not hold for them."""
    return elementwise(_real_only(ufunc), *rules, numpy=(ufunc,), **settings)


_ORDERS = (at((3, 4), (3, 4), draw=(_counts, None)), at((3, 1), (4,), draw=(_counts, None)))
"""Examples of a function of an order and an argument."""

# -- the gamma function and its logarithm ------------------------------------------------------------------------------


def _rgamma_slope(x: Any) -> Any:
    """−ψ(x) / Γ(x), which is finite at the poles of both: by reflection, left of ½."""
    left = np.real(x) < 0.5
    z, turn = np.where(left, x, 0), np.where(left, x - 2 * np.round(np.real(x) / 2), 0)
    z_sin, z_cos = np.sin(np.pi * turn), np.cos(np.pi * turn)
    reflected = _scipy.gamma(1 - z) * (z_cos - _scipy.psi(1 - z) * z_sin / np.pi)
    end = x == np.inf
    right = np.where(left | end, 1, x)
    return np.where(left, reflected, np.where(end, 0, -_scipy.psi(right) * _scipy.rgamma(right)))


elementwise(
    _scipy.gamma, lambda d, y, x: d * (y * _scipy.psi(x)), smooth=(POSITIVE,), formulas=("δx = δy·y·ψ(x)",)
)  # fmt: skip
elementwise(_scipy.rgamma, lambda d, y, x: d * _rgamma_slope(x), formulas=("δx = −δy·y·ψ(x)",), edges=((0.0, 1.0),),
    note="the limit at the pole of Γ")
elementwise(_scipy.gammaln, lambda d, y, x: d * _scipy.psi(x), smooth=(POSITIVE,), formulas=("δx = δy·ψ(x)",))
elementwise(_scipy.loggamma, lambda d, y, x: d * _scipy.psi(x), smooth=(POSITIVE,), formulas=("δx = δy·ψ(x)",))
_of_real(_scipy.psi, lambda d, y, x: d * _d.polygamma(1, x), smooth=(POSITIVE,), formulas=("δx = δy·ψ′(x)",))
flat(_scipy.gammasgn)

elementwise(
    _scipy.beta,
    lambda d, y, a, b: -d * (y * _d.psi_gap(a, b)), lambda d, y, a, b: -d * (y * _d.psi_gap(b, a)),
    smooth=(POSITIVE,), formulas=("δa = δy·y·(ψ(a) − ψ(a + b))", "δb = δy·y·(ψ(b) − ψ(a + b))"),
)  # fmt: skip
elementwise(
    _scipy.betaln, lambda d, y, a, b: -d * _d.psi_gap(a, b), lambda d, y, a, b: -d * _d.psi_gap(b, a),
    smooth=(POSITIVE,), formulas=("δa = δy·(ψ(a) − ψ(a + b))", "δb = δy·(ψ(b) − ψ(a + b))"),
)  # fmt: skip
elementwise(
    _scipy.poch, lambda d, y, z, m: d * (y * _d.psi_gap(z, m)), lambda d, y, z, m: d * (y * _scipy.psi(z + m)),
    smooth=(POSITIVE,), formulas=("δz = δy·y·(ψ(z + m) − ψ(z))", "δm = δy·y·ψ(z + m)"),
)  # fmt: skip


def _choices_slopes(y: Any, n: Any, k: Any) -> tuple[Any, Any]:
    """By n y·(ψ(n + 1) − ψ(n − k + 1)), by k y·(ψ(n − k + 1) − ψ(k + 1)).

    With g(x) = 1 / Γ(x) it is y = Γ(n + 1)·g(k + 1)·g(n − k + 1). At a pole of Γ one g is 0, but its slope is not.
    """
    low, high = k + 1, n - k + 1
    zero = (y == 0) & (n > -1) & (((high <= 0) & (high == np.floor(high))) | ((low <= 0) & (low == np.floor(low))))
    top, p, q = _scipy.gamma(np.where(zero, n, 0) + 1), np.where(zero, low, 1), np.where(zero, high, 1)
    over, under = top * _scipy.rgamma(p) * _rgamma_slope(q), top * _scipy.rgamma(q) * _rgamma_slope(p)
    rising = top * _scipy.psi(np.where(zero, n, 0) + 1) * _scipy.rgamma(p) * _scipy.rgamma(q)  # 0; its slope is not
    low, high, free = np.where(zero, 1, low), np.where(zero, 1, high), np.where(zero, 0, n - 2 * k)
    by_n, by_k = _d.psi_gap(high, np.where(zero, 0, k)), _d.psi_gap(low, free)
    return np.where(zero, over + rising, y * by_n), np.where(zero, under - over, y * by_k)


elementwise(
    _scipy.binom,
    lambda d, y, n, k: d * _choices_slopes(y, n, k)[0], lambda d, y, n, k: d * _choices_slopes(y, n, k)[1],
    smooth=(LARGE, (0.1, 2.4)), formulas=("δn = δy·y·(ψ(n + 1) − ψ(n − k + 1))", "δk = δy·y·(ψ(n − k + 1) − ψ(k + 1))"),
)  # fmt: skip

# -- incomplete gamma and beta functions, and their inverses -----------------------------------------------------------

_GAMMA_FORMULAS = ("δa = ±δy·∂P(a, x) / ∂a", "δx = ±δy·xᵃ⁻¹·e⁻ˣ / Γ(a)")
_BETA_FORMULAS = ("δa = ±δy·∂I / ∂a", "δb = ±δy·∂I / ∂b", "δx = ±δy·xᵃ⁻¹·(1 − x)ᵇ⁻¹ / B(a, b)")
_INVERSE = ("δa = −δy·(∂F / ∂a) / (∂F / ∂y), of the function F that it inverts",)


def _incomplete_gamma(function: np.ufunc, inverse: np.ufunc, sign: int) -> None:
    """P(a, x) or 1 − P(a, x), and its inverse in x."""
    elementwise(
        function, lambda d, y, a, x: d * (sign * _d.gammainc_by_a(a, x)),
        lambda d, y, a, x: d * (sign * _d.gamma_density(a, x)), smooth=(POSITIVE,), formulas=_GAMMA_FORMULAS,
        examples=(at((2,), (2,)),),
    )  # fmt: skip
    elementwise(
        inverse, lambda d, y, a, p: -d * (_d.gammainc_by_a(a, y) / _d.gamma_density(a, y)),
        lambda d, y, a, p: d * sign / _d.gamma_density(a, y),
        smooth=((0.5, 3.0), FRACTION), formulas=(*_INVERSE, "δp = δy / (∂F / ∂y)"), examples=(at((2,), (2,)),),
    )  # fmt: skip


def _incomplete_beta(function: np.ufunc, inverse: np.ufunc, sign: int) -> None:
    """Iₓ(a, b) or 1 − Iₓ(a, b), and its inverse in x."""
    elementwise(
        function, lambda d, y, a, b, x: d * (sign * _d.betainc_by_shapes(a, b, x)),
        lambda d, y, a, b, x: d * (sign * _d.betainc_by_shapes(a, b, x, i=0, j=1)),
        lambda d, y, a, b, x: d * (sign * _d.beta_density(a, b, x)),
        smooth=(POSITIVE, POSITIVE, FRACTION), formulas=_BETA_FORMULAS, examples=(at((2,), (2,), (2,)),),
    )  # fmt: skip
    elementwise(
        inverse, lambda d, y, a, b, p: -d * (_d.betainc_by_shapes(a, b, y) / _d.beta_density(a, b, y)),
        lambda d, y, a, b, p: -d * (_d.betainc_by_shapes(a, b, y, i=0, j=1) / _d.beta_density(a, b, y)),
        lambda d, y, a, b, p: d * sign / _d.beta_density(a, b, y),
        smooth=((0.8, 3.0), (0.8, 3.0), FRACTION), formulas=(*_INVERSE, "δb likewise", "δp = δy / (∂F / ∂y)"),
        examples=(at((2,), (2,), (2,)),),
    )  # fmt: skip


_incomplete_gamma(_scipy.gammainc, _scipy.gammaincinv, 1)
_incomplete_gamma(_scipy.gammaincc, _scipy.gammainccinv, -1)
_incomplete_beta(_scipy.betainc, _scipy.betaincinv, 1)
_incomplete_beta(_scipy.betaincc, _scipy.betainccinv, -1)


def _student_density(v: Any, t: Any) -> Any:
    """(1 + t²/v)^−(v + 1)/2 / √v·B(½, v/2), and for an infinite v the normal one."""
    normal = np.isinf(v)
    n = np.where(normal, 1.0, v)
    y = np.exp(np.log1p(t * t / n) * -0.5 * (n + 1) - _scipy.betaln(0.5, n / 2)) / np.sqrt(n)
    return np.where(normal, np.exp(t * t * -0.5) / ROOT_TWO_PI, y)


def _student_by_degrees(v: Any, t: Any) -> Any:
    """2F = 1 ± I_w(½, v/2) with w = t² / (v + t²), where t² < v, and else 2F = 1 ± (1 − I_u(v/2, ½)) with u = 1 − w."""
    whole = v + t * t
    near = t * t < v
    w, u = np.where(near & (t != 0), t * t / whole, 0.5), np.where(near, 0.5, v / whole)
    inner = _d.betainc_by_shapes(0.5, v / 2, w, i=0, j=1) / 2 - _d.beta_density(0.5, v / 2, w) * w / whole
    outer = _d.betainc_by_shapes(v / 2, 0.5, u) / 2 + _d.beta_density(v / 2, 0.5, u) * (1 - u) / whole
    at_zero = t * (_student_density(v, 0.0) * (_d.psi_gap(v / 2, 0.5) - 1 / v) / 2)
    return np.where(t == 0, at_zero, np.sign(t) / 2 * np.where(near, inner, -outer))


elementwise(
    _scipy.stdtr, lambda d, y, v, t: d * _student_by_degrees(v, t), lambda d, y, v, t: d * _student_density(v, t),
    smooth=((1.0, 4.0), REAL), examples=(at((2,), (2,)),), edges=(((2.0, 0.0), (0.0, math.sqrt(0.125))),),
    note="the limit at the middle",
    formulas=("δv = δy·∂F / ∂v", "δt = δy·(1 + t²/v)^−(v + 1)/2 / √v·B(½, v/2)"),
)  # fmt: skip
composite(_scipy.chdtr)(lambda v, x: _scipy.gammainc(v / 2, np.maximum(x, 0) / 2))
composite(_scipy.chdtrc)(lambda v, x: _scipy.gammaincc(v / 2, np.maximum(x, 0) / 2))
composite(_scipy.gdtr)(lambda a, b, x: _scipy.gammainc(b, a * x))
composite(_scipy.gdtrc)(lambda a, b, x: _scipy.gammaincc(b, a * x))
composite(_scipy.pdtr)(lambda k, m: _scipy.gammaincc(np.floor(k) + 1, m))
composite(_scipy.pdtrc)(lambda k, m: _scipy.gammainc(np.floor(k) + 1, m))

# -- error functions and the normal distribution -----------------------------------------------------------------------

elementwise(_scipy.erf, lambda d, y, x: d * (2 / ROOT_PI * _d.gaussian(x)), formulas=("δx = δy·2·exp(−x²) / √π",))
elementwise(_scipy.erfc, lambda d, y, x: -d * (2 / ROOT_PI * _d.gaussian(x)), formulas=("δx = −δy·2·exp(−x²) / √π",))
elementwise(_scipy.erfi, lambda d, y, x: d * (2 / ROOT_PI * np.exp(x * x)), formulas=("δx = δy·2·exp(x²) / √π",))
elementwise(
    _scipy.erfcx, lambda d, y, x: d * _d.erfcx_derivative(x), smooth=(_d.NEAR,), formulas=("δx = δy·(2xy − 2/√π)",)
)
elementwise(_scipy.dawsn, lambda d, y, x: d * _d.dawsn_derivative(x), formulas=("δx = δy·(1 − 2xy)",))
elementwise(
    _scipy.wofz, lambda d, y, x: d * (-1j * _d.erfcx_derivative(-1j * x)), formulas=("δx = δy·(2i/√π − 2xy)",),
    examples=(at((3, 4)), at((1,))),  # NumPy's products of complex scalars and arrays differ in the last bit
)  # fmt: skip
elementwise(
    _scipy.erfinv, lambda d, y, x: d * (ROOT_PI / 2 * np.exp(y * y)), smooth=(UNIT,), formulas=("δx = δy·√π/2·exp(y²)",)
)
elementwise(
    _scipy.erfcinv, lambda d, y, x: -d * (ROOT_PI / 2 * np.exp(y * y)), smooth=(FRACTION,),
    formulas=("δx = −δy·√π/2·exp(y²)",),
)  # fmt: skip


def _mills(x: Any) -> Any:
    """Φ(x) over the density there, and its inverse where x is far below 0: √(π/2)·erfcx(−x/√2)."""
    return ROOT_PI * ROOT_HALF * _scipy.erfcx(x * -ROOT_HALF)


elementwise(
    _scipy.ndtr, lambda d, y, x: d * (_d.gaussian(x * ROOT_HALF) / ROOT_TWO_PI), formulas=("δx = δy·exp(−x²/2) / √2π",)
)


def _hazard(x: Any) -> Any:
    """The normal density over Φ, without 0 / 0 far below zero and without inf far above it.

    It is −x − 1/x + … below zero, so that from −10⁹ on nothing but −x is left.
    """
    left, far = x < 0, x * 1e-9 < -1  # 1e9 itself is no float16
    density = _d.gaussian(np.where(left, 0, x) * ROOT_HALF) / ROOT_TWO_PI
    near = np.where(left, 1 / _mills(np.where(left & ~far, x, 0)), density / _scipy.ndtr(np.where(left, 0, x)))
    return np.where(far, -x, near)


elementwise(
    _scipy.log_ndtr, lambda d, y, x: d * (1 / _mills(x) if x.dtype.kind == "c" else _hazard(x)),
    formulas=("δx = δy·exp(−x²/2) / √2π / Φ(x)",), edges=((np.inf, 0.0),),
    note="the limit",
)  # fmt: skip
elementwise(
    _scipy.ndtri, lambda d, y, p: d * (ROOT_TWO_PI * np.exp(y * y * 0.5)), smooth=(FRACTION,),
    formulas=("δp = δy·√2π·exp(y²/2)",),
)  # fmt: skip
elementwise(
    _scipy.ndtri_exp, lambda d, y, x: d * _mills(y), smooth=((-3.0, -0.1),), formulas=("δx = δy·√2π·exp(y²/2)·eˣ",)
)
elementwise(
    _scipy.owens_t,
    lambda d, y, h, a: -d * (np.exp(h * h * -0.5) * _scipy.erf(a * h * ROOT_HALF) / (2 * ROOT_TWO_PI)),
    lambda d, y, h, a: d * (np.exp(h * h * (1 + a * a) * -0.5) / (2 * np.pi * (1 + a * a))),
    formulas=("δh = −δy·exp(−h²/2)·erf(ah/√2) / 2√2π", "δa = δy·exp(−h²(1 + a²)/2) / 2π(1 + a²)"),
)  # fmt: skip

# -- Bessel functions, in their argument -------------------------------------------------------------------------------


def _by_order(ufunc: np.ufunc, combined: Any, formula: str, declare: Any = elementwise, order: Any = _counts) -> None:
    """A function of an order and an argument, whose slope is a combination of its neighbours; ``combined(f, v, x)``."""
    declare(
        ufunc, None, lambda d, y, v, x: d * combined(ufunc, v, x),
        smooth=(None, POSITIVE), formulas=("", f"δx = δy·{formula}"),
        examples=(at((3, 4), (3, 4), draw=(order, None)), at((3, 1), (4,), draw=(order, None))),
    )  # fmt: skip


_LESS, _MORE = "(yᵥ₋₁ − yᵥ₊₁) / 2", "(yᵥ₋₁ + yᵥ₊₁) / 2"
for _f in (_scipy.jv, _scipy.yv, _scipy.hankel1, _scipy.hankel2):
    _by_order(_f, lambda f, v, x: 0.5 * (f(v - 1, x) - f(v + 1, x)), _LESS)
for _f in (_scipy.jve, _scipy.yve):  # of complex numbers they are scaled by |Im x|, which is not holomorphic
    _by_order(_f, lambda f, v, x: 0.5 * (f(v - 1, x) - f(v + 1, x)), _LESS, _of_real)
_by_order(_scipy.yn, lambda f, n, x: 0.5 * (f(n - 1, x) - f(n + 1, x)), _LESS)
_by_order(_scipy.iv, lambda f, v, x: 0.5 * (f(v - 1, x) + f(v + 1, x)), _MORE)
_by_order(_scipy.kv, lambda f, v, x: -0.5 * (f(v - 1, x) + f(v + 1, x)), f"−{_MORE}")
_by_order(_scipy.kn, lambda f, n, x: -0.5 * (_scipy.kv(n - 1, x) + _scipy.kv(n + 1, x)), f"−{_MORE}")
_by_order(
    _scipy.ive, lambda f, v, x: 0.5 * (f(v - 1, x) + f(v + 1, x)) - np.sign(x) * f(v, x),
    f"({_MORE} − y·sign x)", _of_real,
)  # fmt: skip
_by_order(_scipy.kve, lambda f, v, x: f(v, x) - 0.5 * (f(v - 1, x) + f(v + 1, x)), f"(y − {_MORE})")
_by_order(_scipy.hankel1e, lambda f, v, x: 0.5 * (f(v - 1, x) - f(v + 1, x)) - 1j * f(v, x), f"({_LESS} − iy)")
_by_order(_scipy.hankel2e, lambda f, v, x: 0.5 * (f(v - 1, x) - f(v + 1, x)) + 1j * f(v, x), f"({_LESS} + iy)")


def _of_fixed_order(ufunc: np.ufunc, slope: Any, formula: str, smooth: Any = POSITIVE, **settings: Any) -> None:
    """A function of the order 0 or 1, by its slope."""
    elementwise(ufunc, lambda d, y, x: d * slope(x), smooth=(smooth,), formulas=(f"δx = δy·{formula}",), **settings)


_of_fixed_order(_scipy.j0, lambda x: -_scipy.j1(x), "(−J₁(x))", REAL)
_of_fixed_order(_scipy.j1, lambda x: 0.5 * (_scipy.j0(x) - _scipy.jv(2, x)), "(J₀(x) − J₂(x)) / 2", REAL)
_of_fixed_order(_scipy.y0, lambda x: -_scipy.y1(x), "(−Y₁(x))")
_of_fixed_order(_scipy.y1, lambda x: 0.5 * (_scipy.y0(x) - _scipy.yn(2, x)), "(Y₀(x) − Y₂(x)) / 2")
_of_fixed_order(_scipy.i0, _scipy.i1, "I₁(x)", REAL)
_of_fixed_order(_scipy.i1, lambda x: 0.5 * (_scipy.i0(x) + _scipy.iv(2, x)), "(I₀(x) + I₂(x)) / 2", REAL)
_of_fixed_order(_scipy.k0, lambda x: -_scipy.k1(x), "(−K₁(x))")
_of_fixed_order(_scipy.k1, lambda x: -0.5 * (_scipy.k0(x) + _scipy.kn(2, x)), "(−(K₀(x) + K₂(x)) / 2)")
_of_fixed_order(
    _scipy.i0e, lambda x: _d.scaled_bessel(x, v=0), "(e^−|x|·I₁(x) − y·sign x)", edges=((0.0, 0.0),),
    note="the mean of the one-sided slopes at the kink of e^−|x|",
)  # fmt: skip
_of_fixed_order(
    _scipy.i1e, lambda x: _d.scaled_bessel(x, v=1), "(e^−|x|·(I₀(x) + I₂(x)) / 2 − y·sign x)", edges=((0.0, 0.5),),
    note="the limit: no 0/0 is formed",
)  # fmt: skip
_of_fixed_order(_scipy.k0e, lambda x: _d.scaled_bessel(x, v=0, second=True), "(y − eˣ·K₁(x))")
_of_fixed_order(_scipy.k1e, lambda x: _d.scaled_bessel(x, v=1, second=True), "(y − eˣ·(K₀(x) + K₂(x)) / 2)")


def _spherical(original: Any, less: int, more: int) -> Any:
    """A spherical Bessel function: (2n + 1)·yₙ′ = ±n·yₙ₋₁ ± (n + 1)·yₙ₊₁, where the first term is absent for n = 0."""
    name = original.__name__
    formula = f"δx = δy·({'−' if less < 0 else ''}n·yₙ₋₁ {'−' if more < 0 else '+'} (n + 1)·yₙ₊₁) / (2n + 1)"

    def slope(n: Any, z: Any) -> Any:
        return (less * n * made(np.maximum(n - 1, 0), z) + more * (n + 1) * made(n + 1, z)) / (2 * n + 1)

    made = elementwise(
        original, None, lambda d, y, n, z: d * slope(n, z), name=name, smooth=(None, POSITIVE),
        examples=_ORDERS, formulas=("", formula),
    )  # fmt: skip
    return drop_in(original)(lambda n, z, derivative=False: slope(n, z) if derivative else made(n, z))


spherical_jn, spherical_yn = _spherical(_scipy.spherical_jn, 1, -1), _spherical(_scipy.spherical_yn, 1, -1)
spherical_in, spherical_kn = _spherical(_scipy.spherical_in, 1, 1), _spherical(_scipy.spherical_kn, -1, -1)

# -- logistic, exponential and logarithmic functions -------------------------------------------------------------------

elementwise(_scipy.expit, lambda d, y, x: d * (y * _scipy.expit(-x)), formulas=("δx = δy·y·(1 − y)",))
elementwise(_scipy.logit, lambda d, y, x: d * (1 / x + 1 / (1 - x)), smooth=(FRACTION,),
            formulas=("δx = δy·(1/x + 1/(1 − x))",))
elementwise(_scipy.log_expit, lambda d, y, x: d * _scipy.expit(-x), formulas=("δx = δy·(1 − expit x)",))
elementwise(_scipy.expm1, lambda d, y, x: d * np.exp(x), formulas=("δx = δy·eˣ",))
elementwise(_scipy.log1p, lambda d, y, x: d / (1 + x), smooth=(UNIT,), formulas=("δx = δy / (1 + x)",))
elementwise(_scipy.exp2, lambda d, y, x: d * (y * ln(2, y.dtype)), formulas=("δx = δy·y·ln 2",))
elementwise(_scipy.exp10, lambda d, y, x: d * (y * ln(10, y.dtype)), formulas=("δx = δy·y·ln 10",))
elementwise(
    _scipy.cbrt, lambda d, y, x: d / (3 * y * y), smooth=(POSITIVE,), formulas=("δx = δy / 3y²",),
    edges=((0.0, np.inf),),
    note="an infinite slope is infinite",
)  # fmt: skip
elementwise(_scipy.cosm1, lambda d, y, x: -d * np.sin(x), formulas=("δx = −δy·sin x",))
elementwise(_scipy.exprel, lambda d, y, x: d * _d.exprel_derivative(x), formulas=("δx = δy·exprel′(x)",))
elementwise(
    _scipy.powm1, lambda d, y, a, b: d * (b * np.power(a, b - 1)), lambda d, y, a, b: d * power_log(a, b, order=1),
    smooth=(POSITIVE, REAL), formulas=("δa = δy·b·aᵇ⁻¹", "δb = δy·aᵇ·ln a"),
)  # fmt: skip


def _ratio(a: Any, b: Any) -> Any:
    """The quotient a / b, 0 where both are zero."""
    return a / np.where((a == 0) & (b == 0), 1, b)


def _log_ratio(x: Any, y: Any) -> Any:
    """The logarithm of x / y, with all its digits where they are nearly equal, and without overflow."""
    near = np.absolute(x - y) < 0.5 * y
    return np.where(near, np.log1p(np.where(near, (x - y) / y, 0)), np.log(x) - np.log(y))


elementwise(
    _scipy.xlogy, lambda d, y, a, b: d * np.log(b), lambda d, y, a, b: d * _ratio(a, b), smooth=(REAL, POSITIVE),
    formulas=("δa = δy·ln b", "δb = δy·a / b"),
    edges=(((0.0, 0.0), (-np.inf, 0.0)), ((0.0, 2.0), (math.log(2.0), 0.0))),
    note="the slope in x is the logarithm, also where it is −∞; in y it is x / y, 0 where x is",
)  # fmt: skip
elementwise(
    _scipy.xlog1py, lambda d, y, a, b: d * np.log1p(b), lambda d, y, a, b: d * _ratio(a, 1 + b), smooth=(REAL, UNIT),
    formulas=("δa = δy·ln(1 + b)", "δb = δy·a / (1 + b)"), edges=(((0.0, -1.0), (-np.inf, 0.0)),),
    note="as xlogy",
)  # fmt: skip
elementwise(
    _scipy.entr, lambda d, y, x: masked(d * (-1 - np.log(x)), x >= 0), smooth=(POSITIVE,),
    formulas=("δx = −δy·(1 + ln x), 0 where x < 0",), edges=((0.0, np.inf), (-1.0, 0.0)),
    note="an infinite slope is infinite; constant, −∞, for negative x",
)  # fmt: skip
elementwise(
    _scipy.rel_entr, lambda d, y, a, b: masked(d * (_log_ratio(a, b) + 1), (a >= 0) & (b >= 0)),
    lambda d, y, a, b: masked(-d * _ratio(a, b), (a >= 0) & (b >= 0)), smooth=(POSITIVE,),
    formulas=("δa = δy·(ln(a / b) + 1)", "δb = −δy·a / b"),
    edges=(((0.0, 2.0), (-np.inf, 0.0)), ((2.0, 2.0), (1.0, -1.0)), ((-1.0, 2.0), (0.0, 0.0))),
    note="an infinite slope is infinite; constant, ∞, for negative x",
)  # fmt: skip
elementwise(
    _scipy.kl_div, lambda d, y, a, b: masked(d * _log_ratio(a, b), (a >= 0) & (b >= 0)),
    lambda d, y, a, b: masked(d * _ratio(b - a, b), (a >= 0) & (b >= 0)), smooth=(POSITIVE,),
    formulas=("δa = δy·ln(a / b)", "δb = δy·(1 − a / b)"),
    edges=(((0.0, 2.0), (-np.inf, 1.0)), ((2.0, 2.0), (0.0, 0.0)), ((-1.0, 2.0), (0.0, 0.0))),
    note="an infinite slope is infinite; constant, ∞, for negative x",
)  # fmt: skip

# -- losses and transformations of Box and Cox -------------------------------------------------------------------------

elementwise(
    _scipy.huber, lambda d, y, s, r: masked(d * np.where(np.absolute(r) > s, np.absolute(r) - s, 0), s >= 0),
    lambda d, y, s, r: masked(d * np.where(np.absolute(r) > s, np.sign(r) * s, r), s >= 0),
    smooth=((0.1, 0.9), (1.1, 3.0)),
    formulas=("δs = δy·max(|r| − s, 0)", "δr = δy·r, within ±s"),
    edges=(((2.0, 2.0), (0.0, 2.0)), ((1.0, 0.0), (0.0, 0.0))),
    note="the quadratic part reaches to delta itself; flat in x where delta is 0",
)  # fmt: skip
elementwise(
    _scipy.pseudo_huber,
    lambda d, y, s, r: masked(d * (np.square(r * (r / (np.hypot(s, r) + s))) / away_from_zero(np.hypot(s, r))), s >= 0),
    lambda d, y, s, r: masked(d * (r * (s / away_from_zero(np.hypot(s, r)))), s >= 0),
    smooth=(POSITIVE, REAL), formulas=("δs = δy·(h − s)² / h with h² = s² + r²", "δr = δy·rs / h"),
)  # fmt: skip
elementwise(
    _scipy.boxcox, lambda d, y, x, p: d * np.power(x, p - 1),
    lambda d, y, x, p: d * _d.box_cox(np.log(x), p),
    smooth=(POSITIVE, REAL), formulas=("δx = δy·xᵖ⁻¹", "δp = δy·(xᵖ·ln x − y) / p"),
    edges=(((2.0, 0.0), (0.5, math.log(2.0) ** 2 / 2)),),
    note="the limit at λ = 0",
)  # fmt: skip
elementwise(
    _scipy.boxcox1p, lambda d, y, x, p: d * np.exp(_scipy.xlog1py(p - 1, x)),
    lambda d, y, x, p: d * _d.box_cox(np.log1p(x), p),
    smooth=(UNIT, REAL), formulas=("δx = δy·(1 + x)ᵖ⁻¹", "δp = δy·((1 + x)ᵖ·ln(1 + x) − y) / p"),
)  # fmt: skip
elementwise(
    _scipy.inv_boxcox, lambda d, y, x, p: d * (y / (1 + p * x)),
    lambda d, y, x, p: d * (y * (x * x) * _d.log1p_over(p * x, 1)),
    smooth=(POSITIVE,), formulas=("δx = δy·y / (1 + px)", "δp = δy·y·x²·L′(px), L(v) = ln(1 + v) / v"),
    edges=(((2.0, 0.0), (math.exp(2.0), -2.0 * math.exp(2.0))),),
    note="the limit at λ = 0",
)  # fmt: skip
elementwise(
    _scipy.inv_boxcox1p, lambda d, y, x, p: d * ((1 + y) / (1 + p * x)),
    lambda d, y, x, p: d * ((1 + y) * (x * x) * _d.log1p_over(p * x, 1)),
    smooth=(POSITIVE,), formulas=("δx = δy·(1 + y) / (1 + px)", "δp = δy·(1 + y)·x²·L′(px), L(v) = ln(1 + v) / v"),
)  # fmt: skip

# -- integrals ---------------------------------------------------------------------------------------------------------


def _expn_slope(n: Any, x: Any) -> Any:
    return np.where(n >= 1, _scipy.expn(np.maximum(n - 1, 0), x), (1 + 1 / x) * np.exp(-x) / x)


elementwise(_scipy.exp1, lambda d, y, x: -d * (np.exp(-x) / x), smooth=(POSITIVE,), formulas=("δx = −δy·e⁻ˣ / x",))
elementwise(_scipy.expi, lambda d, y, x: d * (np.exp(x) / x), smooth=(POSITIVE,), formulas=("δx = δy·eˣ / x",))
elementwise(
    _scipy.expn, None, lambda d, y, n, x: -d * _expn_slope(n, x), smooth=(None, POSITIVE), examples=_ORDERS,
    formulas=("", "δx = −δy·Eₙ₋₁(x)"),
)  # fmt: skip
_of_real(
    _scipy.spence, lambda d, y, x: -d * _d.log1p_over(x - 1, 0), smooth=(POSITIVE,),
    formulas=("δx = δy·ln x / (1 − x)",), edges=((1.0, -1.0),),
    note="the limit: no 0/0 is formed",
)  # fmt: skip


def _paired(ufunc: np.ufunc, first: Any, second: Any, formula: str, draw: Any = None) -> None:
    """Two integrals from one ufunc, each with its integrand."""
    slopes = (first, second)
    op(
        ufunc,
        lambda d, y, x: sum(part * slope(x) for part, slope in zip(d, slopes, strict=True) if part is not None),
        jvps=(lambda t, y, x: tuple(t * slope(x) for slope in slopes),), results=True, numpy=(ufunc,),
        examples=(at((3, 4), draw=draw), at((), draw=draw)), formulas=(formula,),
    )  # fmt: skip


def _positive(rng: np.random.Generator, shape: Any) -> Any:
    return rng.uniform(*POSITIVE, shape)


def _sinhc(x: Any) -> Any:
    """The quotient sinh x / x; within 1 of 0 the series Σ x²ᵏ / (2k + 1)!, whose tenth term is below 2·10⁻²⁰."""
    near = np.absolute(x) < 1
    small, large = np.square(np.where(near, x, 0)), np.where(near, 1, x)
    series = sum(small**k * (1 / math.factorial(2 * k + 1)) for k in range(10))
    return np.where(near, series, np.sinh(large) / large)


_paired(
    _scipy.sici, lambda x: np.sinc(x / np.pi), lambda x: np.cos(x) / x, "δx = δSi·sin x / x + δCi·cos x / x", _positive
)
_paired(
    _scipy.shichi, _sinhc, lambda x: np.cosh(x) / x,
    "δx = δShi·sinh x / x + δChi·cosh x / x", _positive,
)  # fmt: skip
_paired(
    _scipy.fresnel, lambda x: np.sin(0.5 * np.pi * x * x), lambda x: np.cos(0.5 * np.pi * x * x),
    "δx = δS·sin(πx²/2) + δC·cos(πx²/2)",
)  # fmt: skip


def _airy_slopes(y: Any, x: Any) -> Any:
    """Ai′, Ai″ = x·Ai, and the same for Bi."""
    return y[1], x * y[0], y[3], x * y[2]


op(
    _scipy.airy,
    lambda d, y, x: sum(part * slope for part, slope in zip(d, _airy_slopes(y, x), strict=True) if part is not None),
    jvps=(lambda t, y, x: tuple(t * slope for slope in _airy_slopes(y, x)),), results=True, numpy=(_scipy.airy,),
    examples=(at((3, 4)), at(())), formulas=("δx = δAi·Ai′ + δAi′·x·Ai + δBi·Bi′ + δBi′·x·Bi",),
)  # fmt: skip


def _ellipk_slope(m: Any) -> Any:
    """π/8·₂F₁(3/2, 3/2; 2; m), or (E − (1 − m)K) / 2m(1 − m) far out, where nothing cancels and SciPy's ₂F₁ is lost."""
    far = m < -_d.FAR
    z = np.where(far, m, -1)
    closed = (_scipy.ellipe(z) / (1 - z) - _scipy.ellipk(z)) / (2 * z)
    return np.where(far, closed, np.pi / 8 * _scipy.hyp2f1(1.5, 1.5, 2.0, np.where(far, 0, m)))


elementwise(
    _scipy.ellipk, lambda d, y, m: d * _ellipk_slope(m), smooth=(UNIT,),
    formulas=("δm = δy·(E − (1 − m)K) / 2m(1 − m)",), edges=((0.0, math.pi / 8),),
    note="the limit: no 0/0 is formed",
)  # fmt: skip
elementwise(
    _scipy.ellipe, lambda d, y, m: d * (-np.pi / 8 * _scipy.hyp2f1(0.5, 1.5, 2.0, m)), smooth=(UNIT,),
    formulas=("δm = δy·(E − K) / 2m",), edges=((0.0, -math.pi / 8),),
    note="the limit: no 0/0 is formed",
)  # fmt: skip
elementwise(
    _scipy.ellipkinc, lambda d, y, u, m: d / np.sqrt(1 - m * np.square(np.sin(u))), None,
    smooth=(REAL, FRACTION), formulas=("δu = δy / √(1 − m·sin² u)", ""),
)  # fmt: skip
elementwise(
    _scipy.ellipeinc, lambda d, y, u, m: d * np.sqrt(1 - m * np.square(np.sin(u))), None,
    smooth=(REAL, FRACTION), formulas=("δu = δy·√(1 − m·sin² u)", ""),
)  # fmt: skip

# -- hypergeometric functions, in their argument -----------------------------------------------------------------------


def _parameters(rng: np.random.Generator, shape: Any) -> Any:
    return rng.uniform(0.5, 3.0, shape)


elementwise(
    _scipy.hyp0f1, None, lambda d, y, v, x: d * (_scipy.hyp0f1(v + 1, x) / v),
    examples=(at((3, 4), (3, 4), draw=(_parameters, None)),), formulas=("", "δx = δy·₀F₁(v + 1; x) / v"),
)  # fmt: skip


_hyp1f1: Any = elementwise(
    lambda a, b, x: _scipy.hyp1f1(a, b, np.where(np.isfinite(x), x, np.nan)),  # for an infinite x it may never return
    None, None, lambda d, y, a, b, x: d * (_hyp1f1(a + 1, b + 1, x) * (a / b)),
    name="hyp1f1", numpy=(_scipy.hyp1f1,),
    examples=(at((3, 4), (3, 4), (3, 4), draw=(_parameters, _parameters, None)),),
    formulas=("", "", "δx = δy·a/b·₁F₁(a + 1; b + 1; x)"),
)  # fmt: skip
elementwise(
    _scipy.hyp2f1, None, None, None,
    lambda d, y, a, b, c, x: d * (_scipy.hyp2f1(a + 1, b + 1, c + 1, x) * (a * b / c)),
    smooth=((-0.8, 0.8),), examples=(at((3, 4), (3, 4), (3, 4), (3, 4), draw=(*[_parameters] * 3, None)),),
    formulas=("", "", "", "δx = δy·ab/c·₂F₁(a + 1, b + 1; c + 1; x)"),
)  # fmt: skip
elementwise(
    _scipy.hyperu, None, None, lambda d, y, a, b, x: d * (_scipy.hyperu(a + 1, b + 1, x) * -a), smooth=(POSITIVE,),
    examples=(at((3, 4), (3, 4), (3, 4), draw=(_parameters, _parameters, None)),),
    formulas=("", "", "δx = −δy·a·U(a + 1, b + 1, x)"),
)  # fmt: skip

# -- circular functions of degrees -------------------------------------------------------------------------------------

_DEGREE = math.pi / 180
elementwise(
    _scipy.sindg, lambda d, y, x: d * (_scipy.cosdg(x) * _DEGREE), smooth=((-80.0, 80.0),),
    formulas=("δx = δy·cos x·π/180",),
)  # fmt: skip
elementwise(
    _scipy.cosdg, lambda d, y, x: -d * (_scipy.sindg(x) * _DEGREE), smooth=((-80.0, 80.0),),
    formulas=("δx = −δy·sin x·π/180",),
)  # fmt: skip
elementwise(
    _scipy.tandg, lambda d, y, x: d * ((1 + y * y) * _DEGREE), smooth=((-80.0, 80.0),),
    formulas=("δx = δy·(1 + y²)·π/180",),
)  # fmt: skip
elementwise(
    _scipy.cotdg, lambda d, y, x: -d * ((1 + y * y) * _DEGREE), smooth=((10.0, 80.0),),
    formulas=("δx = −δy·(1 + y²)·π/180",),
)  # fmt: skip
flat(_scipy.round, name="special.round")
elementwise(_scipy.wrightomega, lambda d, y, x: d * (y / (1 + y)), formulas=("δx = δy·y / (1 + y)",))

# -- plain Python functions of SciPy: here under their own names -------------------------------------------------------

_zeta: Any = elementwise(
    lambda s, q: _scipy.zeta(s, q), None, lambda d, y, s, q: -d * (s * _zeta(s + 1, q)), name="zeta",
    smooth=((1.5, 4.0), POSITIVE), formulas=("", "δq = −δy·s·ζ(s + 1, q)"),
)  # fmt: skip
_lambertw: Any = elementwise(
    _scipy.lambertw, lambda d, y, z, *, k=0, tol=1e-8: d * (np.exp(-y) / (1 + y)), name="lambertw", smooth=(POSITIVE,),
    examples=(at((3, 4)), at((1,)), at((3, 4), k=-1, tol=1e-10)), formulas=("δz = δy·e⁻ʸ / (1 + y)",),
)  # fmt: skip


@drop_in(_scipy.polygamma)
def polygamma(n: Any, x: Any) -> Any:
    """The derivative of order n of the digamma function; no rule for n."""
    return _d.polygamma(n, x)


@drop_in(_scipy.zeta)
def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """Hurwitz's zeta function Σ (q + k)⁻ˣ, differentiable in q; no rule for the exponent x."""
    refuse("zeta", out=out)
    return _zeta(x, 1.0 if q is None else q)


@drop_in(_scipy.lambertw)
def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    """The branch k of the function w(z) with w·eʷ = z; complex, as SciPy's."""
    return _lambertw(z, k=k, tol=tol)


@drop_in(_scipy.multigammaln)
def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension d."""
    _scipy.multigammaln(plain(a), d)  # says what SciPy says of a bad dimension
    start = _scipy.gammaln(a) + d * (d - 1) / 4 * math.log(math.pi)
    return sum((_scipy.gammaln(a - 0.5 * j) for j in range(1, d)), start)


@drop_in(_scipy.comb)
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """The number of ways to choose k of N, as a function of real numbers."""
    if exact:
        return _scipy.comb(N, k, exact=True, repetition=repetition)
    if repetition:
        return np.where((k == 0) & (N >= 0), 1.0, _scipy.binom(N + k - 1, k))
    return np.where((k <= N) & (N >= 0) & (k >= 0), _scipy.binom(N, k), 0.0)


@drop_in(_scipy.perm)
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """The number of ordered choices of k of N, as a function of real numbers."""
    if exact:
        return _scipy.perm(N, k, exact=True)
    return np.where((k <= N) & (N >= 0) & (k >= 0), _scipy.poch(N - k + 1, k), 0.0)


@drop_in(_scipy.softmax)
def softmax(x: Any, axis: Any = None) -> Any:
    """Exponentials divided by their sum along an axis, without overflow."""
    return _exponentials.softmax(x, axis=axis)


@drop_in(_scipy.log_softmax)
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of :func:`softmax`, accurate where that underflows."""
    return _exponentials.log_softmax(x, axis=axis)


def _portions(y: Any, a: Any, b: Any, axis: Any, keepdims: bool) -> Any:
    """Exp(a) over the absolute value of Σ b·exp(a), with its sign; elements infinite with that share it equally."""
    top, sign = (restored(part, a.shape, axis, keepdims) for part in y)
    ends = np.isinf(top) & (a == top)
    total = np.sum(np.where(ends, np.absolute(b), 0), axis=axis, keepdims=True)
    with np.errstate(over="ignore"):  # of an element that counts for nothing, because its weight is 0
        e = np.exp(gap(a, top))
    return np.where(sign == 0, 1, sign) * np.where(ends & (total != 0), e / np.where(total == 0, 1, total), e)


def _weighted_forward(a: Any, b: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        raise DtypeError(
            message("logsumexp: complex numbers, with weights", "its rule is that of real ones",
                    "np.log(np.sum(b * np.exp(a)))")
        )  # fmt: skip
    return tuple(_scipy.logsumexp(a, axis, b, keepdims, return_sign=True))


_weighted: Any = op(
    _weighted_forward,
    joint=lambda d, y, a, b, *, axis=None, keepdims=False: _weighted_terms(
        restored(d[0], a.shape, axis, keepdims) * _portions(y, a, b, axis, keepdims), b
    ),
    arity=2, name="weighted_logsumexp", results=True, formulas=("δa = δy·b·eᵃ / Σ b·eᵃ", "δb = δy·eᵃ / Σ b·eᵃ"),
    examples=(at((5,), (5,)), at((3, 4), (3, 4), axis=0), at((2, 3, 2), (2, 3, 2), axis=(0, -1), keepdims=True)),
)  # fmt: skip


def _weighted_terms(term: Any, b: Any) -> Any:
    return np.where((b == 0) & np.isinf(term), 0, term * b), term


@drop_in(_scipy.logsumexp)
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """The logarithm of Σ b·exp(a), without overflow, and the sign of that sum where it is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.scipy import special
    >>> ad.grad(special.logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    if b is None and not return_sign:
        return _exponentials.logsumexp(a, axis=axis, keepdims=keepdims)
    shape = np.broadcast_shapes(np.shape(a), np.shape(1.0 if b is None else b))
    spread = (np.broadcast_to(x, shape or (1,)) for x in (a, 1.0 if b is None else b))
    y, sign = _weighted(*spread, axis=axis, keepdims=keepdims)
    if not shape:
        y, sign = (np.reshape(part, ()) for part in (y, sign))
    return (y, sign) if return_sign else np.where(sign < 0, np.nan, y)


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(_scipy)})


__all__ = [
    "comb", "lambertw", "log_softmax", "logsumexp", "multigammaln", "perm", "polygamma", "softmax", "spherical_in",
    "spherical_jn", "spherical_kn", "spherical_yn", "zeta",
]  # fmt: skip
