"""Histograms: counts are steps, weights are linear, edges follow the extremes of the data."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads
from tests.ops.as_numpy import check_numpys_error

A = np.array([0.3, 1.7, -0.4, 2.2, 0.9, 1.1, 2.2, 3.1])
B = np.array([1.0, 0.2, 0.7, -1.0, 2.0, 0.4, 0.1, 1.6])
W = np.array([1.15, -2.0, 0.45, 3.0, 0.25, 1.5, 2.5, 4.0])
EDGES = np.array([-0.4, 0.5, 1.1, 2.2])

CALLS = {
    "bincount": lambda a, w: np.bincount([0, 2, 2, 5, 1, 0, 0, 2], w),
    "bincount, longer": lambda a, w: np.bincount([0, 2, 2, 5, 1, 0, 0, 2], weights=w, minlength=9),
    "edges": lambda a, w: np.histogram_bin_edges(a, 4),
    "edges, automatic": lambda a, w: np.histogram_bin_edges(a, "auto"),
    "edges, by Scott": lambda a, w: np.histogram_bin_edges(a, "scott"),
    "edges, range": lambda a, w: np.histogram_bin_edges(a, 3, (w[0] - 9, w[3] + 9)),
    "edges, given": lambda a, w: np.histogram_bin_edges(a, np.sort(w)),
    "edges of equal numbers": lambda a, w: np.histogram_bin_edges(a[:1], 3),
    "histogram": lambda a, w: np.histogram(a, 5),
    "histogram, weights": lambda a, w: np.histogram(a, 5, weights=w),
    "histogram, range": lambda a, w: np.histogram(a, 4, range=(0, 2.2), weights=w),
    "histogram, given edges": lambda a, w: np.histogram(a, EDGES, weights=w),
    "histogram, density": lambda a, w: np.histogram(a, 3, density=True, weights=w),
    "histogram, density of counts": lambda a, w: np.histogram(a, 3, density=True),
    "histogram, automatic": lambda a, w: np.histogram(a, "sturges", density=True),
    "histogram2d": lambda a, w: np.histogram2d(a, B, 3, weights=w),
    "histogram2d, counts": lambda a, w: np.histogram2d(a, B, (2, 3)),
    "histogram2d, edges": lambda a, w: np.histogram2d(a, B, EDGES, weights=w, density=True),
    "histogram2d, range": lambda a, w: np.histogram2d(a, w, [2, EDGES], [(0, 3), None], True, weights=w * w),
    "histogramdd": lambda a, w: flattened(np.histogramdd(np.stack([a, B, w], axis=1), (2, 3, 2), weights=w)),
    "histogramdd, density": lambda a, w: flattened(np.histogramdd((a, w), 2, density=True, weights=w)),
    "histogramdd, one axis": lambda a, w: flattened(np.histogramdd(a, 3, [(0, 2)], weights=w)),
    "digitize": lambda a, w: (a * np.digitize(a, EDGES), w * np.digitize(a, EDGES, right=True)),
}


def flattened(found):
    n, edges = found
    return (n, *edges)


@pytest.mark.parametrize("name", CALLS)
def test_as_numpy(name):
    f = CALLS[name]
    for dtype in (np.float64, np.float32):
        a, w = A.astype(dtype), W.astype(dtype)
        found, expected = ad.vjp(f, a, w)[0], f(a, w)
        assert type(found) is type(expected)
        for got, want in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, expected)), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-14 if dtype is np.float64 else 1e-5)
    check_grads(f, (A + 1e-3 * np.arange(8), W), order=2)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "edges, automatic"])
def test_replayed_at_other_values(name):
    """Where each element falls is found anew; how many bins there are is not."""
    f, moved = CALLS[name], (A[::-1] * 0.99, W[::-1].copy())
    graph = ad.graph.check(ad.trace(f)(A, W))
    values = ad.sweep.evaluate(graph, moved)
    expected = f(*moved)
    for node, want in zip(graph.outputs, expected if isinstance(expected, tuple) else (expected,), strict=True):
        np.testing.assert_allclose(values[node], want, rtol=1e-14)


def test_counts_are_steps():
    y, pull = ad.vjp(lambda a: np.histogram(a, EDGES)[0] * np.sum(a), A)
    np.testing.assert_array_equal(y, np.histogram(A, EDGES)[0] * A.sum())
    np.testing.assert_array_equal(pull(np.ones(3))[0], np.histogram(A, EDGES)[0].sum())
    weights = ad.grad(lambda w: np.histogram(A, EDGES, weights=w)[0][-1])(W)
    np.testing.assert_array_equal(weights, (A >= 1.1) & (A <= 2.2))


def test_what_lies_outside_or_is_nan_has_no_weight():
    a = np.array([-1.0, 0.5, np.nan, 7.0])
    weights = ad.grad(lambda w: np.histogram(a, [0.0, 1.0], weights=w)[0][0])(np.ones(4))
    np.testing.assert_array_equal(weights, [0, 1, 0, 0])


def test_complex_weights():
    w = W + 1j * W[::-1]
    y, _ = ad.vjp(lambda w: np.histogram(A, 3, weights=w)[0], w)
    np.testing.assert_allclose(y, np.histogram(A, 3, weights=w)[0], rtol=1e-14)
    check_grads(lambda w: np.histogram(A, 3, weights=w)[0], (w,), order=2)


@pytest.mark.parametrize(
    ("f", "error", "said"),
    [
        (lambda x: np.histogram(x, range=(2, 1)), ValueError, "larger than min"),
        (lambda x: np.histogram(x, [2.0, 1.0]), ValueError, "increase"),
        (lambda x: np.histogram(x, 0), ValueError, "positive"),
        (lambda x: np.histogram(x, np.ones((2, 2))), ValueError, "1d"),
        (lambda x: np.histogram(x, 1.5), TypeError, "integer"),
        (lambda x: np.histogram(x, "best"), ValueError, "estimator"),
        (lambda x: np.histogram(x, "auto", weights=x), TypeError, "weighted"),
        (lambda x: np.histogram(x, weights=x[:2]), ValueError, "same shape"),
        (lambda x: np.histogram(x * np.inf), ValueError, "not finite"),
        (lambda x: np.histogram2d(x, x[:2]), ValueError, "same length"),
        (lambda x: np.histogramdd(x, (2, 2)), ValueError, "dimension"),
        (lambda x: np.histogramdd(x, 2, ((0, 1), (0, 1))), ValueError, "one entry"),
        (lambda x: np.histogramdd(x, 0), ValueError, "positive"),
        (lambda x: np.histogramdd(x, [[2.0, 1.0]]), ValueError, "monotonically"),
        (lambda x: np.histogramdd((x, x), weights=1j * x), TypeError, "cast"),
        (lambda x: np.bincount([0, 1], x), ValueError, "same length"),
        (lambda x: np.bincount([0, -1, 1], x), ValueError, "negative"),
        (lambda x: np.bincount([0, 1, 1], 1j * x), TypeError, "cast"),
    ],
)
def test_numpys_own_errors(f, error, said):
    check_numpys_error(f, np.array([1.0, 2.0, 4.0]), error, said)
