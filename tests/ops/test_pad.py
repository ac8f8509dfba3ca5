"""Padding: every mode with every spelling of its widths and settings."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import KeywordError
from tests.ops.as_numpy import check_as_numpy

PADS = {
    "zeros": lambda x: np.pad(x, 1),
    "a constant": lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=5.0),
    "a constant a side": lambda x: np.pad(x, (1, 2), constant_values=(1, 2)),
    "a constant a side and axis": lambda x: np.pad(x, (1, 2), constant_values=((1, 2), (3, 4))),
    "a traced constant": lambda x: np.pad(x, 1, constant_values=x[0, 0]),
    "a pair an axis": lambda x: np.pad(x, [[1], [2]], mode="edge"),
    "widths by axis": lambda x: np.pad(x, {-1: (1, 2)}, mode="wrap"),
    "reflect, several times over": lambda x: np.pad(x, 7, "reflect"),
    "symmetric": lambda x: np.pad(x, ((2, 7),), mode="symmetric", reflect_type="even"),
    "maximum": lambda x: np.pad(x, ((1, 2), (0, 1)), "maximum"),
    "minimum of some": lambda x: np.pad(x, 2, "minimum", stat_length=2),
    "mean of some": lambda x: np.pad(x, ((1, 2), (3, 1)), "mean", stat_length=((1, 2), (3, 9))),
    "median": lambda x: np.pad(x, 1, "median"),
    "ramp": lambda x: np.pad(x, ((2, 3), (0, 2)), "linear_ramp", end_values=((1, 2), (3, 4))),
    "ramp to zero": lambda x: np.pad(x, 3, "linear_ramp"),
}


@pytest.mark.parametrize("name", PADS)
def test_as_numpy(name, rng):
    check_as_numpy(PADS[name], rng.standard_normal((3, 4)))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_nothing_is_padded_with_nothing(mode):
    x = np.arange(3.0)
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x * np.pad(x, 0, mode)))(x), 2 * x)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "empty"}, "pad: mode='empty'"),
        ({"mode": "reflect", "reflect_type": "odd"}, "pad: reflect_type='odd'"),
        ({"mode": "edge", "constant_values": 1.0}, "pad: the keyword 'constant_values'"),
        ({"mode": lambda *_: None}, "pad: mode=<function"),
    ],
)
def test_what_no_rule_covers_is_refused_by_name(settings, words):
    with pytest.raises(KeywordError, match=words):
        ad.grad(lambda x: np.sum(np.pad(x, 1, **settings)))(np.ones(3))


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        ad.grad(lambda x: np.sum(np.pad(x, ((1, 2), (3, 4)))))(np.ones(3))
