"""Edges, decided once: what the derivative is where mathematics leaves a choice or arithmetic would go astray.

Each entry is a text that is run: an expression, the point, the derivative that was decided for it, and the reason. With
the corners that pointwise operations declare (``edges=``) they make docs/edges.md, and each is a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import nn, transforms
from ..graph import OPERATIONS
from ..op import Op


class Edge(NamedTuple):
    """One decision.

    Attributes
    ----------
    expression : str
        As people write it, of the names in `at`.
    at : str
        The point: assignments, separated by semicolons.
    slopes : str
        The derivative of the sum of the expression with respect to each name in `at`, in order, separated by
        semicolons; or the name of the error that is raised.
    why : str
        The reason.
    """

    expression: str
    at: str
    slopes: str
    why: str


EVEN = "ties share δ equally: the only choice that does not depend on the order of the elements"
MEAN = "the mean of the one-sided slopes, as a tie of the two branches"
TRUE = "a branch that was not taken has a true zero, never 0·inf or 0·nan"
CORNER = "0 is the subgradient of least norm at the tip of the cone"

DECIDED: dict[str, tuple[Edge, ...]] = {
    "Ties": (
        Edge("np.max(x)", "x = [1., 3., 3.]", "[0, .5, .5]", EVEN),
        Edge("np.min(x)", "x = [1., 1., 3., 1.]", "[1/3, 1/3, 0, 1/3]", EVEN),
        Edge("np.max(x, initial=3.)", "x = [1., 3.]", "[0, .5]", "`initial` is one of those that tie"),
        Edge("np.ptp(x)", "x = [2., 2.]", "[0, 0]", "the shares of maximum and minimum cancel"),
        Edge("np.sort(x)[0]", "x = [2., 2., 5.]", "[.5, .5, 0]", EVEN),
        Edge("np.partition(x, 1)[1]", "x = [5., 2., 5.]", "[.5, 0, .5]", EVEN),
        Edge("np.median(x)", "x = [1., 2., 2., 5.]", "[0, .5, .5, 0]", EVEN),
        Edge("np.quantile(x, .25)", "x = [1., 1., 2.]", "[.5, .5, 0]", EVEN),
        Edge("np.cumsum(np.maximum(x, y))[-1]", "x = [1., 2.]; y = [1., 0.]", "[.5, 1]; [.5, 0]", EVEN),
        Edge("np.linalg.norm(x, np.inf)", "x = [2., -2., 1.]", "[.5, -.5, 0]", EVEN),
        Edge("nn.max_pool(x, (2, 2))", "x = [[[[1., 1.], [0., 1.]]]]", "[[[[1/3, 1/3], [0, 1/3]]]]", EVEN),
    ),
    "Kinks": (
        Edge("np.abs(x)", "x = 0.", "0", MEAN),
        Edge("np.maximum(x, 0.)", "x = 0.", ".5", MEAN),
        Edge("np.clip(x, 0., 1.)", "x = [0., 1.]", "[.5, .5]", MEAN),
        Edge("nn.relu(x)", "x = 0.", ".5", f"{MEAN}; as maximum(x, 0) and clip(x, 0, None)"),
        Edge("nn.leaky_relu(x, .1)", "x = 0.", ".55", MEAN),
        Edge("np.where(x > 0, x, 0.)", "x = 0.", "0", "the branch that was taken is the constant: it was asked for"),
        Edge("np.heaviside(x, y)", "x = 0.; y = .3", "0; 1", "the jump is flat on both sides; at 0 the value is y"),
        Edge("np.interp(x, [0., 1., 2.], [0., 1., 4.])", "x = 1.", "3", "the line to its right, as NumPy takes it"),
        Edge("np.sum(np.sign(x) + np.floor(x))", "x = [0., 1.]", "[0, 0]", "flat on both sides of the jump"),
        Edge("np.mod(x, 1.)", "x = 2.", "1", "at a jump as on its right, where NumPy's value belongs"),
    ),
    "A branch that is not taken": (
        Edge("np.where(x > 0, np.sqrt(x), 0.)", "x = [0., 4., -1.]", "[0, .25, 0]", TRUE),
        Edge("np.where(x != 0, 1 / x, 0.)", "x = [0., 2.]", "[0, -.25]", TRUE),
        Edge("np.where(x > 0, np.log(x), x)", "x = [0., -1., 1.]", "[1, 1, 1]", TRUE),
        Edge("np.select([x > 0, x < 0], [np.log(x), np.log(-x)], 0.)", "x = [0., -2., 4.]", "[0, -.5, .25]", TRUE),
        Edge("np.piecewise(x, [x > 0], [np.sqrt, 0.])", "x = [-1., 4.]", "[0, .25]", TRUE),
        Edge("np.choose([0, 1], [np.log(x), x])", "x = [1., 0.]", "[1, 1]", TRUE),
        Edge("np.sum(np.log(x), where=[True, False])", "x = [2., 0.]", "[.5, 0]", TRUE),
        Edge("np.log(x)[0]", "x = [2., 0.]", "[.5, 0]", "an element that is not read is a branch that is not taken"),
        Edge("np.maximum(np.sqrt(x), 1.)", "x = 0.", "0", "the one that lost is a branch that is not taken"),
        Edge("np.nansum(np.log(x))", "x = [2., -1.]", "[.5, 0]", "a nan that is skipped was not read"),
        Edge("np.nan_to_num(np.sqrt(x))", "x = [4., -1.]", "[.25, 0]", "a nan that is replaced was not read"),
    ),
    "A norm of zero, a variance of zero": (
        Edge("np.linalg.norm(x)", "x = [0., 0.]", "[0, 0]", CORNER),
        Edge("np.linalg.norm(x, 3)", "x = [0., 0.]", "[0, 0]", CORNER),
        Edge("np.linalg.norm(x, 'nuc')", "x = [[0., 0.], [0., 0.]]", "[[0, 0], [0, 0]]", CORNER),
        Edge("np.hypot(x, y)", "x = 0.; y = 0.", "0; 0", CORNER),
        Edge("np.arctan2(x, y)", "x = 0.; y = 0.", "0; 0", "undefined there; 0 keeps a point at the origin at rest"),
        Edge("np.abs(x)", "x = 0j", "0", CORNER),
        Edge("np.std(x)", "x = [1., 1.]", "[0, 0]", CORNER),
        Edge("np.var(x)", "x = [1., 1.]", "[0, 0]", "its derivative there"),
        Edge("np.std(x, ddof=1)", "x = [2., 2., 2.]", "[0, 0, 0]", CORNER),
        Edge("np.nanstd(x)", "x = [1., np.nan, 1.]", "[0, 0, 0]", CORNER),
        Edge("nn.layer_norm(x)[0]", "x = [1., 1.]", "[.5/np.sqrt(1e-5), -.5/np.sqrt(1e-5)]", "eps keeps it finite"),
    ),
    "Zeros in products": (
        Edge("np.prod(x)", "x = [0., 2., 3.]", "[6, 0, 0]", "no rule divides by an element"),
        Edge("np.prod(x)", "x = [0., 0., 3.]", "[0, 0, 0]", "no rule divides by an element"),
        Edge("np.cumprod(x)", "x = [2., 0., 3., 4.]", "[1, 32, 0, 0]", "no rule divides by an element"),
        Edge("np.nanprod(x)", "x = [0., np.nan, 3.]", "[3, 0, 0]", "no rule divides; the nan was not read"),
        Edge("np.multiply.reduce(x)", "x = [0., 2., 3.]", "[6, 0, 0]", "the same function"),
        Edge("np.linalg.det(x)", "x = [[0., 0.], [0., 1.]]", "[[1, 0], [0, 0]]", "cofactors, not det · inverse"),
        Edge("np.linalg.det(x)", "x = [[1., 2.], [2., 4.]]", "[[4, -2], [-2, 1]]", "cofactors, not det · inverse"),
    ),
    "0**0 and its neighbours": (
        Edge("x**y", "x = 0.; y = 0.", "0; -np.inf", "0**y falls from 1 to 0 at once; x**0 is constant"),
        Edge("x**y", "x = 0.; y = 2.", "0; 0", "0**y is 0 on both sides of y = 2"),
        Edge("x**y", "x = 0.; y = 1.", "1; 0", "the limit of both partial derivatives"),
        Edge("x**y", "x = 0.; y = .5", "np.inf; 0", "the slope of the root is infinite there"),
        Edge("x**2", "x = 0.", "0", "an exponent that is a plain number is no argument"),
        Edge("x**0", "x = 0.", "0", "constant"),
        Edge("ad.grad(lambda x: x**2)(x)", "x = 0.", "2", "the second derivative of x² is 2 everywhere"),
        Edge("ad.grad(lambda x, y: x**y, 1)(x, y)", "x = 23.; y = 0.", "1/23; np.log(23)**2", "both orders agree"),
        Edge("x**3.", "x = -2.", "12", "a whole power of a negative number is real"),
        Edge("x**y", "x = -2.; y = 3.", "12; np.nan", "in y it is real at whole numbers only: no slope there"),
        Edge("np.sqrt(x)", "x = 0.", "np.inf", "an infinite slope is infinite"),
        Edge("np.cbrt(x)", "x = 0.", "np.inf", "an infinite slope is infinite"),
        Edge("np.sinc(x)", "x = 0.", "0", "its derivative there; no 0/0 is formed"),
        Edge("ad.grad(np.sinc)(x)", "x = 0.", "-np.pi**2 / 3", "the second derivative there; no 0/0 is formed"),
    ),
    "Repeated eigenvalues and singular values": (
        Edge("np.linalg.eigvalsh(x)", "x = np.eye(2)", "np.eye(2)", "the sum of eigenvalues is the trace"),
        Edge("np.linalg.eigvalsh(x)[0]", "x = np.eye(2)", "np.eye(2) / 2", EVEN),
        Edge("np.linalg.svdvals(x)", "x = np.eye(2)", "np.eye(2)", "the sum of singular values at the identity"),
        Edge("np.linalg.norm(x, 'nuc')", "x = np.eye(2)", "np.eye(2)", "the same function"),
        Edge("np.linalg.norm(x, 2)", "x = np.eye(2)", "np.eye(2) / 2", EVEN),
        Edge("np.linalg.eigvals(x).real", "x = np.diag([1., 2.])", "np.eye(2)", "the trace"),
    ),
    "Singular matrices": (
        Edge("np.linalg.inv(x)", "x = np.zeros((2, 2))", "LinAlgError", "NumPy's own error"),
        Edge("np.linalg.solve(x, np.ones(2))", "x = np.zeros((2, 2))", "LinAlgError", "NumPy's own error"),
        Edge("np.linalg.cholesky(x)", "x = -np.eye(2)", "LinAlgError", "NumPy's own error"),
        Edge("np.linalg.slogdet(x)[0]", "x = np.eye(2)", "np.zeros((2, 2))", "the sign of a real determinant is flat"),
    ),
    "±inf and nan": (
        Edge("np.exp(x)", "x = [-np.inf, np.inf]", "[0, np.inf]", "the limits"),
        Edge("np.tanh(x)", "x = [-np.inf, np.inf]", "[0, 0]", "the limits"),
        Edge("np.logaddexp(x, y)", "x = np.inf; y = 1.", "1; 0", "the infinite one is all of it"),
        Edge("np.maximum(x, y)", "x = np.inf; y = np.inf", ".5; .5", EVEN),
        Edge("np.fmax(x, y)", "x = np.nan; y = 1.", "0; 1", "a nan that is passed over was not taken"),
        Edge("np.nanmax(x)", "x = [np.nan, 2., 1.]", "[0, 1, 0]", "a nan that is passed over was not taken"),
        Edge("np.nanmean(x)", "x = [np.nan, 2., 1.]", "[0, .5, .5]", "a nan that is passed over was not taken"),
        Edge("np.nan_to_num(x)", "x = [np.nan, np.inf, 1.]", "[0, 0, 1]", "what is replaced is a constant"),
        Edge("nn.logsumexp(x)", "x = [-np.inf, 0.]", "[0, 1]", "exp(−inf) is a true zero"),
        Edge("nn.softmax(x)[1]", "x = [-np.inf, 0., 0.]", "[0, .25, -.25]", "exp(−inf) is a true zero"),
        Edge("nn.softplus(x)", "x = [-1e10, 1e10]", "[0, 1]", "no overflow on the way"),
        Edge("np.sort(x)[0]", "x = [np.nan, 2.]", "[0, 1]", "nans are last"),
    ),
    "Empty arrays": (
        Edge("np.sum(x)", "x = np.zeros(0)", "np.zeros(0)", "a sum of nothing is 0, and its δ has no element"),
        Edge("np.prod(x)", "x = np.zeros((0, 2))", "np.zeros((0, 2))", "a product of nothing is 1"),
        Edge("np.max(x)", "x = np.zeros(0)", "ValueError", "NumPy's own error"),
        Edge("np.max(x, initial=1.)", "x = np.zeros(0)", "np.zeros(0)", "the initial value is all there is"),
        Edge("x @ np.ones((0, 2))", "x = np.zeros((3, 0))", "np.zeros((3, 0))", "a sum of no products"),
        Edge("np.linalg.det(x)", "x = np.zeros((0, 0))", "np.zeros((0, 0))", "a product of nothing is 1"),
        Edge("np.linalg.norm(x)", "x = np.zeros(0)", "np.zeros(0)", "the length of nothing is 0"),
    ),
}  # fmt: skip
"""The decisions, by topic."""

NAMESPACE: dict[str, Any] = {"np": np, "nn": nn, "ad": transforms}
"""What the texts of an edge may name."""


def point(edge: Edge) -> dict[str, Any]:
    """The arguments of an edge, by name: arrays and NumPy scalars of floats or complex numbers."""
    found: dict[str, Any] = {}
    for assignment in edge.at.split(";"):
        name, _, text = assignment.partition("=")
        found[name.strip()] = np.asarray(eval(text, dict(NAMESPACE)))[()]
    return found


def evaluated(edge: Edge, *args: Any) -> Any:
    """The value of the expression, with these in the place of the names in `at`."""
    names = [assignment.partition("=")[0].strip() for assignment in edge.at.split(";")]
    return eval(edge.expression, {**NAMESPACE, **dict(zip(names, args, strict=True))})


def slopes(edge: Edge) -> tuple[Any, ...] | type[Exception]:
    """What was decided: an array for each argument, or the error."""
    known: dict[str, Any] = {"LinAlgError": np.linalg.LinAlgError, "ValueError": ValueError}
    if edge.slopes in known:
        error: type[Exception] = known[edge.slopes]
        return error
    return tuple(np.asarray(eval(text, dict(NAMESPACE))) for text in edge.slopes.split(";"))


def numbers(x: Any) -> str:
    """Numbers as a page shows them."""
    return " ".join(np.array2string(np.asarray(x), precision=6, separator=", ", suppress_small=True).split())


def declared() -> Iterator[tuple[Op, Any, Any, str]]:
    """The corners that pointwise operations declare: the operation, the arguments, the slopes, and the reason."""
    for op in OPERATIONS.values():
        for at, partials in op.edges if not op.user else ():
            yield op, at, partials, op.note
