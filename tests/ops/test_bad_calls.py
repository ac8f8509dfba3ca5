"""Calls that NumPy does not take are not taken, with NumPy's own error; calls that it takes are."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from autodiff.testing import check_grads

MATRIX, VECTOR, NUMBER = np.arange(1.0, 7.0).reshape(2, 3), np.arange(3.0), np.float64(2.0)

BAD = {
    "gradient, axis twice": (lambda x: np.gradient(x, axis=(0, 0)), MATRIX),
    "resize": (lambda x: np.resize(x, -3), MATRIX),
    "compress, a matrix of conditions": (lambda x: np.compress(x > 1, x), MATRIX),
    "compress, one condition": (lambda x: np.compress(True, x), VECTOR),
    "polyder": (np.polyder, NUMBER),
    "polyint": (np.polyint, NUMBER),
    "delete, axis": (lambda x: np.delete(x, 0, 5), MATRIX),
    "delete, axis from behind": (lambda x: np.delete(x, [1], -3), MATRIX),
    "delete, no axis": (lambda x: np.delete(x, 1, 1.5), MATRIX),
    "insert, axis": (lambda x: np.insert(x, 0, 1.0, 5), MATRIX),
    "cross, axis": (lambda x: np.cross(x, x, axis=4), MATRIX),
    "trapezoid": (np.trapezoid, NUMBER),
    "diff": (np.diff, NUMBER),
    "diff, another ndim in front": (lambda x: np.diff(x, prepend=[1, 2]), MATRIX),
    "unwrap": (np.unwrap, NUMBER),
    "hsplit": (lambda x: np.hsplit(x, 2), NUMBER),
    "vsplit": (lambda x: np.vsplit(x, 2), VECTOR),
    "dsplit": (lambda x: np.dsplit(x, 2), VECTOR),
    "max, where": (lambda x: np.max(x, where=x > 0), VECTOR),
    "reshape": (lambda x: x.reshape(), MATRIX),
}
if hasattr(np, "unstack"):  # NumPy 2.1
    BAD["unstack"] = (np.unstack, NUMBER)


@pytest.mark.parametrize("name", BAD)
def test_the_error_is_that_of_numpy(name):
    function, x = BAD[name]
    with pytest.raises(Exception) as right:  # noqa: PT011 whatever NumPy raises
        function(x)
    with pytest.raises(type(right.value)) as ours:
        ad.vjp(function, x)
    assert type(ours.value) is type(right.value)
    assert str(ours.value) == str(right.value)


def test_a_number_is_no_polynomial():
    for call in (lambda: np.polyval(NUMBER, 2.0), lambda: ad.grad(lambda p: np.polyval(p, 2.0))(NUMBER)):
        with pytest.raises(TypeError, match=r"0-d|unsized"):
            call()


TAKEN = {
    "take, nothing": (lambda x: np.take(x, []), MATRIX),
    "x.take, nothing": (lambda x: x.take([]), MATRIX),
    "take, a float": (lambda x: np.take(x, 1.5), MATRIX),
    "repeat, a float": (lambda x: np.repeat(x, 2.5), MATRIX),
    "trim_zeros": (np.trim_zeros, NUMBER),
    "pad": (lambda x: np.pad(x, 1), NUMBER),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    TAKEN["cumulative_sum"] = (np.cumulative_sum, NUMBER)


@pytest.mark.parametrize("name", TAKEN)
def test_what_numpy_takes_is_taken(name):
    function, x = TAKEN[name]
    want = function(x)
    y, pull = ad.vjp(function, x)
    np.testing.assert_array_equal(y, want)
    assert np.sum(pull(np.ones_like(y))[0]) == np.size(want)


@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.pad(VECTOR * t, 2, constant_values=(t, 2 * t)),
        lambda t: np.pad(MATRIX * t, ((1, 2), (0, 3)), constant_values=((t, 1.0), (t * t, 3.0))),
        lambda t: np.pad(MATRIX * t, 2, "linear_ramp", end_values=t * t),
        lambda t: np.pad(VECTOR * t, (2, 3), "linear_ramp", end_values=(t, 3 * t)),
        lambda t: np.insert(VECTOR * t, [1, 3], [t, t * t]),
        lambda t: np.select([VECTOR > 1, VECTOR > 0], [[t, 2.0, t * t], VECTOR * t]),
    ],
)
def test_tensors_among_the_numbers_of_a_setting(function):
    y, _ = ad.vjp(function, NUMBER)
    np.testing.assert_allclose(y, function(NUMBER), rtol=1e-12)
    check_grads(function, (NUMBER,), order=2)


@pytest.mark.parametrize("call", [np.max, np.min, np.maximum.reduce, np.nanmax])
def test_a_tensor_as_the_start_of_an_extreme_is_refused_by_name(call):
    with pytest.raises(KeywordError, match="initial is a tensor"):
        ad.grad(lambda t: call(VECTOR * t, initial=t))(NUMBER)
