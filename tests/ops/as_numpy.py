"""What holds of a composition of operations: NumPy's own value, shape and dtype, and the right derivatives."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.testing import check_grads


def check_as_numpy(f, x, rtol=1e-14):
    """Compare f inside a trace with f on plain arrays; its derivatives, twice, with differences of plain f."""
    expected = f(x)
    y, _ = ad.vjp(f, x)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=rtol)
    narrow, _ = ad.vjp(f, x.astype(np.float32))
    assert narrow.dtype == f(x.astype(np.float32)).dtype
    graph = ad.graph.check(ad.trace(f)(x))
    np.testing.assert_array_equal(ad.sweep.evaluate(graph, [x])[graph.outputs[0]], y)
    check_grads(f, (x,), order=1)
    check_grads(lambda x: f(x) * f(x), (x,), order=2)


def check_numpys_error(f, x, error, said):
    """The same error of plain arrays and inside a trace."""
    with pytest.raises(error, match=said):
        f(x)
    with pytest.raises(error, match=said):
        ad.vjp(f, x)
