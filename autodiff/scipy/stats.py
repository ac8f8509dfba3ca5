"""Distributions of ``scipy.stats`` for code that wants to be differentiated: ``from autodiff.scipy import stats``.

Each is spelled as SciPy spells it, ``stats.norm.logpdf(x, loc=0, scale=1)``, and on plain arrays it is SciPy's own.
With a tensor among the arguments the same value comes with its derivative by the variable and by every parameter.
Outside the support the logarithm of a density is −inf and its derivative zero; where a parameter is invalid or the
variable is nan, both are nan. The variable of a discrete distribution
and counts of trials are whole numbers, so there is no derivative with respect to them. What is not differentiated here
(``rvs``, ``fit``, moments, other distributions) is SciPy's.

Examples
--------
>>> import autodiff as ad
>>> from autodiff.scipy import stats
>>> ad.grad(stats.norm.logpdf, argnums=(0, 1, 2))(1.0, 0.0, 2.0)
(np.float64(-0.25), np.float64(0.25), np.float64(-0.375))
>>> ad.grad(lambda mu: stats.poisson.logpmf(3, mu))(2.0)
np.float64(0.5)
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats as _scipy

from ..apply import as_array, has_history
from ..errors import NoRuleError, message
from ..traced import plain
from . import ufuncs as _sc
from .drop_in import drop_in, has_tensor

LOG_ROOT_TWO_PI = math.log(2 * math.pi) / 2
LOG_PI = math.log(math.pi)
LOG_TWO_OVER_PI = math.log(2 / math.pi)
INF = math.inf

_METHODS = ("logpdf", "pdf", "logpmf", "pmf", "cdf", "sf", "logcdf", "logsf", "ppf", "isf")

Formula = Callable[..., Any]


def _bare(values: Any) -> Any:
    return type(values)(map(plain, values)) if isinstance(values, (list, tuple)) else plain(values)


def _positive(*shapes: Any) -> Any:
    return functools.reduce(operator.and_, (s > 0 for s in shapes))


class Distribution:
    """A distribution of SciPy whose functions also take tensors. Everything else of it is SciPy's.

    A formula takes the standardized variable ``z = (x − loc) / scale`` and the shape parameters, each broadcast, and is
    asked only where z lies in the support and the parameters are valid.
    """

    def __init__(
        self,
        original: Any,
        *,
        support: tuple[Any, Any] = (-INF, INF),
        within: Any = 0.0,
        valid: Formula = _positive,
        discrete: bool = False,
        counts: tuple[str, ...] = (),
        **formulas: Formula,
    ) -> None:
        self._original = original
        self.__doc__ = f"``scipy.stats.{original.name}``, differentiable; see there."
        self._names = [name.strip() for name in (original.shapes or "").split(",") if name.strip()]
        self._support = tuple(end if callable(end) else lambda *shapes, end=end: end for end in support)
        self._within, self._valid, self._discrete, self._counts = within, valid, discrete, counts
        self._formulas = formulas
        for name in _METHODS:
            if self._can(name):
                setattr(self, name, self._method(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """SciPy's frozen distribution: for plain parameters."""
        return self._original(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<distribution {self._original.name}>"

    def _can(self, name: str) -> bool:
        """Whether a method can be had from the formulas that were given."""
        known = self._formulas
        density = "logpmf" if self._discrete else "logpdf"
        return name in known or name in (density, density[3:]) or (name in ("logcdf", "sf", "logsf") and "cdf" in known)

    def _method(self, name: str) -> Callable[..., Any]:
        original = getattr(self._original, name)
        variable = "q" if name in ("ppf", "isf") else "k" if self._discrete else "x"
        ends = {"loc": 0.0} if self._discrete else {"loc": 0.0, "scale": 1.0}
        needed = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in (variable, *self._names)]
        others = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=e) for n, e in ends.items()]
        signature = inspect.Signature([*needed, *others])

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not has_tensor(args) and not has_tensor(kwargs.values()):
                return original(*args, **kwargs)
            given = {**ends, **signature.bind(*args, **kwargs).arguments}  # TypeError for what SciPy does not take
            shapes = [plain(given[n]) if n in self._counts else given[n] for n in self._names]
            with np.errstate(all="ignore"):
                return self._value(name, given[variable], shapes, given["loc"], given.get("scale", 1.0))

        return call

    def _value(self, name: str, x: Any, shapes: list[Any], loc: Any, scale: Any) -> Any:
        """One method at one place: nan for invalid parameters, the constant outside the support, else the formula.

        An invalid parameter enters the formula as nan times itself, so that its derivative is nan too.
        """
        x, loc, scale, *shapes = (as_array(part) for part in (x, loc, scale, *shapes))
        valid = self._valid(*shapes) if shapes else np.True_
        shapes = [np.where(valid, s, np.nan * s) for s in shapes]
        good = valid & (scale > 0)
        scale = np.where(scale > 0, scale, np.nan * scale)
        if name in ("ppf", "isf"):
            good = good & (x >= 0) & (x <= 1)
            q = np.where((x >= 0) & (x <= 1), x, np.nan * x)
            return (self._formulas[name](q, *shapes) * scale + loc) * np.where(good, 1.0, np.nan)
        z = (np.floor(x) if self._discrete and name not in ("logpmf", "pmf") else x) - loc
        z = z / scale if not self._discrete else plain(z)
        low, high = (end(*shapes) for end in self._support)
        good = good & (z == z)
        below, above = z < low, z > high
        if self._discrete and name in ("logpmf", "pmf"):
            below = below | (z > np.floor(z))
        inside = ~(below | above) | ~good
        z = np.where(inside, z, self._within(*shapes) if callable(self._within) else self._within)
        y = np.where(inside, self._formula(name)(z, *shapes, scale=scale), self._outside(name, below))
        return y * np.where(good, 1.0, np.nan)

    @staticmethod
    def _outside(name: str, below: Any) -> Any:
        """The constant value of a method outside the support."""
        if name in ("logpdf", "logpmf"):
            return -INF
        if name in ("pdf", "pmf"):
            return 0.0
        zero, one = (-INF, 0.0) if name in ("logcdf", "logsf") else (0.0, 1.0)
        first, second = (zero, one) if name in ("cdf", "logcdf") else (one, zero)
        return np.where(below, first, second)

    def _formula(self, name: str) -> Formula:
        """What a method is inside the support: as given, or by the others."""
        known = self._formulas
        if name in ("logpdf", "logpmf"):
            return lambda z, *shapes, scale: known[name](z, *shapes) - (0 if self._discrete else np.log(scale))
        if name in known:
            return lambda z, *shapes, scale: known[name](z, *shapes)
        if name in ("pdf", "pmf"):
            log = self._formula(f"log{name}")
            return lambda z, *shapes, scale: np.exp(log(z, *shapes, scale=scale))
        if name == "sf":
            return lambda z, *shapes, scale: 1 - known["cdf"](z, *shapes)
        one, other = (self._formula(part) for part in (("cdf", "sf") if name == "logcdf" else ("sf", "cdf")))
        return lambda z, *shapes, scale: _log_of(one(z, *shapes, scale=scale), other(z, *shapes, scale=scale))


def _log_of(part: Any, rest: Any) -> Any:
    """The logarithm of a probability, by what it leaves of 1 where that is the smaller one."""
    small = part < 0.5
    return np.where(small, np.log(np.where(small, part, 1.0)), np.log1p(-np.where(small, 0.0, rest)))


_LINE = (0.0, INF)

# -- on the whole line -------------------------------------------------------------------------------------------------

norm = Distribution(
    _scipy.norm,
    logpdf=lambda z: -(z * z) / 2 - LOG_ROOT_TWO_PI,
    cdf=lambda z: _sc.ndtr(z), sf=lambda z: _sc.ndtr(-z),
    logcdf=lambda z: _sc.log_ndtr(z), logsf=lambda z: _sc.log_ndtr(-z),
    ppf=lambda q: _sc.ndtri(q), isf=lambda q: -_sc.ndtri(q),
)  # fmt: skip
cauchy = Distribution(
    _scipy.cauchy,
    logpdf=lambda z: -LOG_PI - 2 * np.log(np.hypot(1.0, z)),
    cdf=lambda z: np.arctan2(1, -z) / np.pi, sf=lambda z: np.arctan2(1, z) / np.pi,
    ppf=lambda q: _cauchy_ppf(q), isf=lambda q: -_cauchy_ppf(q),
)  # fmt: skip
laplace = Distribution(
    _scipy.laplace,
    logpdf=lambda z: -math.log(2) - np.absolute(z),
    cdf=lambda z: _laplace_cdf(z), sf=lambda z: _laplace_cdf(-z),
)  # fmt: skip
logistic = Distribution(
    _scipy.logistic,
    logpdf=lambda z: _sc.log_expit(z) + _sc.log_expit(-z),
    cdf=lambda z: _sc.expit(z), sf=lambda z: _sc.expit(-z),
    logcdf=lambda z: _sc.log_expit(z), logsf=lambda z: _sc.log_expit(-z),
    ppf=lambda q: _sc.logit(q), isf=lambda q: -_sc.logit(q),
)  # fmt: skip
gumbel_r = Distribution(
    _scipy.gumbel_r,
    logpdf=lambda z: -z - np.exp(-z),
    cdf=lambda z: np.exp(-np.exp(-z)), sf=lambda z: -np.expm1(-np.exp(-z)), logcdf=lambda z: -np.exp(-z),
    ppf=lambda q: -np.log(-np.log(q)), isf=lambda q: -np.log(-np.log1p(-q)),
)  # fmt: skip
gumbel_l = Distribution(
    _scipy.gumbel_l,
    logpdf=lambda z: z - np.exp(z),
    cdf=lambda z: -np.expm1(-np.exp(z)), sf=lambda z: np.exp(-np.exp(z)), logsf=lambda z: -np.exp(z),
    ppf=lambda q: np.log(-np.log1p(-q)), isf=lambda q: np.log(-np.log(q)),
)  # fmt: skip
t = Distribution(
    _scipy.t,
    logpdf=lambda z, df: _student(z, df),
    cdf=lambda z, df: _sc.stdtr(df, z), sf=lambda z, df: _sc.stdtr(df, -z),
)  # fmt: skip


def _cauchy_ppf(q: Any) -> Any:
    """−cot πq: about the middle tan π(q − ½), beyond it by the smaller one of q and 1 − q."""
    middle, low = np.absolute(q - 0.5) < 0.25, q < 0.5
    beside = np.where(low, -1.0, 1.0) / np.tan(np.pi * np.where(middle, 0.25, np.where(low, q, 1 - q)))
    return np.where(middle, np.tan(np.pi * (np.where(middle, q, 0.5) - 0.5)), beside)


def _student(z: Any, df: Any) -> Any:
    """The logarithm of Γ((ν + 1)/2) / √πν·Γ(ν/2)·(1 + z²/ν)^−(ν + 1)/2; the normal one for an infinite ν."""
    normal = np.isinf(df)
    v = np.where(normal, 1.0, df)
    y = np.log(_sc.poch(v / 2, 0.5)) - np.log(np.pi * v) / 2 - (v + 1) / 2 * np.log1p(z * z / v)
    return np.where(normal, -(z * z) / 2 - LOG_ROOT_TWO_PI, y)


def _laplace_cdf(z: Any) -> Any:
    half = np.exp(-np.absolute(z)) / 2
    return np.where(z > 0, 1 - half, half)


# -- on the positive line ----------------------------------------------------------------------------------------------

expon = Distribution(
    _scipy.expon, support=_LINE, within=1.0,
    logpdf=lambda z: -z,
    cdf=lambda z: -np.expm1(-z), sf=lambda z: np.exp(-z), logsf=lambda z: -z,
    ppf=lambda q: -np.log1p(-q), isf=lambda q: -np.log(q),
)  # fmt: skip
gamma = Distribution(
    _scipy.gamma, support=_LINE, within=1.0,
    logpdf=lambda z, a: _sc.xlogy(a - 1, z) - z - _sc.gammaln(a),
    cdf=lambda z, a: _sc.gammainc(a, z), sf=lambda z, a: _sc.gammaincc(a, z),
    ppf=lambda q, a: _sc.gammaincinv(a, q), isf=lambda q, a: _sc.gammainccinv(a, q),
)  # fmt: skip
chi2 = Distribution(
    _scipy.chi2, support=_LINE, within=1.0,
    logpdf=lambda z, df: _sc.xlogy(df / 2 - 1, z) - z / 2 - _sc.gammaln(df / 2) - math.log(2) / 2 * df,
    cdf=lambda z, df: _sc.gammainc(df / 2, z / 2), sf=lambda z, df: _sc.gammaincc(df / 2, z / 2),
    ppf=lambda q, df: 2 * _sc.gammaincinv(df / 2, q), isf=lambda q, df: 2 * _sc.gammainccinv(df / 2, q),
)  # fmt: skip
invgamma = Distribution(
    _scipy.invgamma, support=_LINE, within=1.0,
    logpdf=lambda z, a: _from_zero(z, lambda z: -(a + 1) * np.log(z) - _sc.gammaln(a) - 1 / z, -INF),
    cdf=lambda z, a: _from_zero(z, lambda z: _sc.gammaincc(a, 1 / z), 0.0),
    sf=lambda z, a: _from_zero(z, lambda z: _sc.gammainc(a, 1 / z), 1.0),
    ppf=lambda q, a: 1 / _sc.gammainccinv(a, q), isf=lambda q, a: 1 / _sc.gammaincinv(a, q),
)  # fmt: skip
lognorm = Distribution(
    _scipy.lognorm, support=_LINE, within=1.0,
    logpdf=lambda z, s: _from_zero(z, lambda z: -np.square(np.log(z) / s) / 2 - np.log(s * z) - LOG_ROOT_TWO_PI, -INF),
    cdf=lambda z, s: _sc.ndtr(np.log(z) / s), sf=lambda z, s: _sc.ndtr(-np.log(z) / s),
    logcdf=lambda z, s: _sc.log_ndtr(np.log(z) / s), logsf=lambda z, s: _sc.log_ndtr(-np.log(z) / s),
    ppf=lambda q, s: np.exp(s * _sc.ndtri(q)), isf=lambda q, s: np.exp(-s * _sc.ndtri(q)),
)  # fmt: skip
pareto = Distribution(
    _scipy.pareto, support=(1.0, INF), within=2.0,
    logpdf=lambda z, b: np.log(b) - (b + 1) * np.log(z),
    cdf=lambda z, b: -np.expm1(-b * np.log(z)), sf=lambda z, b: np.power(z, -b), logsf=lambda z, b: -b * np.log(z),
    ppf=lambda q, b: np.power(1 - q, -1 / b), isf=lambda q, b: np.power(q, -1 / b),
)  # fmt: skip
weibull_min = Distribution(
    _scipy.weibull_min, support=_LINE, within=1.0,
    logpdf=lambda z, c: np.log(c) + _sc.xlogy(c - 1, z) - np.power(z, c),
    cdf=lambda z, c: -np.expm1(-np.power(z, c)), sf=lambda z, c: np.exp(-np.power(z, c)),
    logsf=lambda z, c: -np.power(z, c), ppf=lambda q, c: np.power(-np.log1p(-q), 1 / c),
    isf=lambda q, c: np.power(-np.log(q), 1 / c),
)  # fmt: skip
halfnorm = Distribution(
    _scipy.halfnorm, support=_LINE, within=1.0,
    logpdf=lambda z: LOG_TWO_OVER_PI / 2 - z * z / 2,
    cdf=lambda z: _sc.erf(z * math.sqrt(0.5)), sf=lambda z: 2 * _sc.ndtr(-z),
    ppf=lambda q: _sc.ndtri((1 + q) / 2), isf=lambda q: -_sc.ndtri(q / 2),
)  # fmt: skip
halfcauchy = Distribution(
    _scipy.halfcauchy, support=_LINE, within=1.0,
    logpdf=lambda z: LOG_TWO_OVER_PI - np.log1p(z * z),
    cdf=lambda z: 2 / np.pi * np.arctan(z), sf=lambda z: 2 / np.pi * np.arctan2(1, z),
    ppf=lambda q: np.where(q == 1, INF, np.tan(np.pi / 2 * q)),
    isf=lambda q: np.where(q == 1, (1 - q) * (np.pi / 2), 1 / np.tan(np.pi / 2 * q)),
)  # fmt: skip


def _from_zero(z: Any, formula: Formula, there: float) -> Any:
    """A formula in which infinities would meet at zero; what it tends to there, and its slope 0."""
    zero = z == 0
    return np.where(zero, there, formula(np.where(zero, 1.0, z)))


# -- on an interval ----------------------------------------------------------------------------------------------------


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of Φ(b) − Φ(a), by the tail in which both lie, or by the two that are left out."""
    right, across = a > 0, (a <= 0) & (b > 0)
    low, high = np.where(right, -b, a), np.where(right, -a, b)
    low, high = np.where(across, -2.0, low), np.where(across, -1.0, high)
    tail = _sc.log_ndtr(high) + np.log1p(-np.exp(_sc.log_ndtr(low) - _sc.log_ndtr(high)))
    left, over = np.where(across, a, -1.0), np.where(across, b, 1.0)
    return np.where(across, np.log1p(-_sc.ndtr(left) - _sc.ndtr(-over)), tail)


uniform = Distribution(
    _scipy.uniform, support=(0.0, 1.0), within=0.5,
    logpdf=lambda z: 0 * z, cdf=lambda z: z, sf=lambda z: 1 - z, ppf=lambda q: q, isf=lambda q: 1 - q,
)  # fmt: skip
beta = Distribution(
    _scipy.beta, support=(0.0, 1.0), within=0.5,
    logpdf=lambda z, a, b: _sc.xlog1py(b - 1, -z) + _sc.xlogy(a - 1, z) - _sc.betaln(a, b),
    cdf=lambda z, a, b: _sc.betainc(a, b, z), sf=lambda z, a, b: _sc.betaincc(a, b, z),
    ppf=lambda q, a, b: _sc.betaincinv(a, b, q), isf=lambda q, a, b: _sc.betainccinv(a, b, q),
)  # fmt: skip
truncnorm = Distribution(
    _scipy.truncnorm, support=(lambda a, b: a, lambda a, b: b), within=lambda a, b: np.clip(0.0, plain(a), plain(b)),
    valid=lambda a, b: a < b,
    logpdf=lambda z, a, b: -(z * z) / 2 - LOG_ROOT_TWO_PI - _log_mass(a, b),
)  # fmt: skip

# -- on whole numbers: there is no derivative with respect to the variable ---------------------------------------------


def _log_choices(n: Any, k: Any) -> Any:
    return -_sc.betaln(n - k + 1, k + 1) - np.log(n + 1)


def _binomial(k: Any, n: Any, p: Any) -> Any:
    return _log_choices(n, k) + _sc.xlogy(k, p) + _sc.xlog1py(n - k, -p)


def _probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


def _trials(n: Any) -> Any:
    return (n >= 0) & (n == np.floor(n))


bernoulli = Distribution(
    _scipy.bernoulli, support=(0, 1), valid=_probability, discrete=True,
    logpmf=lambda k, p: _sc.xlogy(k, p) + _sc.xlog1py(1 - k, -p), pmf=lambda k, p: np.where(k < 1, 1 - p, p),
    cdf=lambda k, p: np.where(k >= 1, 1.0, 1 - p), sf=lambda k, p: np.where(k >= 1, 0.0, p),
)  # fmt: skip
binom = Distribution(
    _scipy.binom, support=(0, lambda n, p: n), valid=lambda n, p: _trials(n) & _probability(p),
    discrete=True, counts=("n",), logpmf=_binomial,
    cdf=lambda k, n, p: _binomial_cdf(k, n, p), sf=lambda k, n, p: _binomial_sf(k, n, p),
)  # fmt: skip
poisson = Distribution(
    _scipy.poisson, support=(0, INF), valid=lambda mu: mu >= 0, discrete=True,
    logpmf=lambda k, mu: _sc.xlogy(k, mu) - _sc.gammaln(k + 1) - mu,
    cdf=lambda k, mu: _sc.gammaincc(k + 1, mu), sf=lambda k, mu: _sc.gammainc(k + 1, mu),
)  # fmt: skip
geom = Distribution(
    _scipy.geom, support=(1, INF), within=1.0, valid=lambda p: (p > 0) & (p <= 1), discrete=True,
    logpmf=lambda k, p: _sc.xlog1py(k - 1, -p) + np.log(p),
    cdf=lambda k, p: -np.expm1(_sc.xlog1py(k, -p)), sf=lambda k, p: np.exp(_sc.xlog1py(k, -p)),
    logsf=lambda k, p: _sc.xlog1py(k, -p),
)  # fmt: skip
nbinom = Distribution(
    _scipy.nbinom, support=(0, INF), valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1), discrete=True,
    logpmf=lambda k, n, p: -_sc.betaln(n, k + 1) - np.log(n + k) + n * np.log(p) + _sc.xlog1py(k, -p),
    cdf=lambda k, n, p: _sc.betainc(n, k + 1, p), sf=lambda k, n, p: _sc.betaincc(n, k + 1, p),
)  # fmt: skip
betabinom = Distribution(
    _scipy.betabinom, support=(0, lambda n, a, b: n), valid=lambda n, a, b: _trials(n) & (a > 0) & (b > 0),
    discrete=True, counts=("n",),
    logpmf=lambda k, n, a, b: _log_choices(n, k) + _sc.betaln(k + a, n - k + b) - _sc.betaln(a, b),
)  # fmt: skip


def _binomial_cdf(k: Any, n: Any, p: Any) -> Any:
    return np.where(k >= n, 1.0, _sc.betaincc(np.minimum(k, n - 1) + 1, np.maximum(n - k, 1), p))


def _binomial_sf(k: Any, n: Any, p: Any) -> Any:
    return np.where(k >= n, 0.0, _sc.betainc(np.minimum(k, n - 1) + 1, np.maximum(n - k, 1), p))


# -- of several variables ----------------------------------------------------------------------------------------------


class Joint:
    """A distribution of several variables whose logarithmic density also takes tensors; the rest is SciPy's."""

    def __init__(self, original: Any, **functions: Formula) -> None:
        self._original = original
        self.__doc__ = f"``scipy.stats.{type(original).__name__.removesuffix('_gen')}``, differentiable; see there."
        for name, function in functions.items():
            exponential = functools.partial(_exponential, function)
            setattr(self, name, drop_in(getattr(original, name))(function))
            setattr(self, name[3:], drop_in(getattr(original, name[3:]))(exponential))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """SciPy's frozen distribution: for plain parameters."""
        return self._original(*args, **kwargs)


def _exponential(function: Formula, *args: Any, **kwargs: Any) -> Any:
    return np.exp(function(*args, **kwargs))


def _normal(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """−½·(x − μ)ᵀ·Σ⁻¹·(x − μ) − ½·ln det 2πΣ, by the Cholesky factor of Σ."""
    frozen = _scipy.multivariate_normal(_bare(mean), _bare(cov), allow_singular=allow_singular)  # SciPy's own errors
    size = frozen.dim
    x = np.asarray(x) if isinstance(x, (list, tuple, float, int)) else x
    x = np.reshape(x, (*np.shape(x), 1)) if size == 1 and np.shape(x)[-1:] != (1,) else x
    off = x - (0.0 if mean is None else mean)
    if frozen.cov_object.rank < size:
        return _singular(off, cov, frozen)
    cov = cov if np.ndim(cov) == 2 else cov * np.eye(size)
    factor = np.linalg.cholesky(cov)
    z = np.linalg.solve(factor, np.reshape(off, (-1, size)).T)
    logs = np.sum(np.log(np.diagonal(factor)))
    y = -np.sum(np.square(z), axis=0) / 2 - logs - size * LOG_ROOT_TWO_PI
    return np.reshape(y, off.shape[:-1])


def _singular(off: Any, cov: Any, frozen: Any) -> Any:
    """The density on the subspace that a singular Σ spans; −inf beside it."""
    if has_history(cov):
        raise NoRuleError(
            message(
                "multivariate_normal.logpdf of a singular covariance has no derivative with respect to it",
                "the smallest change of the covariance opens another direction, and the density jumps",
                "pass ad.stop_gradient(cov), or add a small multiple of the identity",
            )
        )
    known = frozen.cov_object
    white = off @ known.whiten(np.eye(frozen.dim))  # it is linear, and would take a tensor for an array
    y = -(np.sum(np.square(white), axis=-1) + known.log_pdet) / 2 - known.rank * LOG_ROOT_TWO_PI
    return np.where(np.isfinite(frozen.logpdf(plain(off) + frozen.mean)), y, -INF)


def _dirichlet(x: Any, alpha: Any) -> Any:
    """Σ (αᵢ − 1)·ln xᵢ − ln B(α); one row of x may be left out, it is what the others leave of 1."""
    _scipy.dirichlet.logpdf(_bare(x), _bare(alpha))  # SciPy's own errors
    x, alpha = (np.asarray(part) if isinstance(part, (list, tuple)) else part for part in (x, alpha))
    if np.shape(x)[0] < np.shape(alpha)[0]:
        x = np.concatenate((x, 1 - np.sum(x, axis=0, keepdims=True)))
    column = np.reshape(alpha, (-1,) + (1,) * (np.ndim(x) - 1))
    scaled = np.sum(_sc.gammaln(alpha)) - _sc.gammaln(np.sum(alpha))
    return np.sum(_sc.xlogy(column - 1, x), axis=0) - scaled


def _multinomial(x: Any, n: Any, p: Any) -> Any:
    """Σ (xᵢ·ln pᵢ − ln xᵢ!) + ln n!, where the last p is what the others leave of 1, as SciPy has it."""
    x, n = (np.asarray(_bare(part)) for part in (x, n))
    value = _scipy.multinomial.logpmf(x, n, _bare(p))
    p = np.concatenate((p[..., :-1], 1 - np.sum(p[..., :-1], axis=-1, keepdims=True)), axis=-1)
    y = _sc.gammaln(n + 1) + np.sum(_sc.xlogy(x, p) - _sc.gammaln(x + 1), axis=-1)
    return np.where(np.isfinite(value), y, value)


multivariate_normal = Joint(_scipy.multivariate_normal, logpdf=_normal)
dirichlet = Joint(_scipy.dirichlet, logpdf=_dirichlet)
multinomial = Joint(_scipy.multinomial, logpmf=_multinomial)


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(_scipy)})


__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "truncnorm",
    "uniform",
    "weibull_min",
]  # fmt: skip
