"""Law 3 once more for pointwise operations: the derivative of the second derivative, where they are smooth."""

import numpy as np
import pytest

from autodiff.testing import check_grads
from autodiff.testing.laws import cases
from autodiff.testing.probe import derived, draw_like
from tests.laws.registry import OPS

POINTWISE = [op for op in OPS if op.kind == "elementwise" and cases(op)[0].active]


def second(f, xs, modes, rng):
    """Along one direction after the other, each in its own mode."""
    for mode in modes:
        f = derived(f, mode, tuple(draw_like(rng, a) for a in (f(*xs) if mode == "reverse" else xs)))
    return f


@pytest.mark.parametrize("op", POINTWISE, ids=lambda op: op.name)
def test_third_order(op):
    case = cases(op)[0]
    case = case._replace(args=tuple(np.ravel(x)[0] for x in case.args))
    for modes in (("forward", "reverse"), ("reverse", "forward")):
        assert check_grads(second(case.f, case.xs, modes, case.rng("third")), case.xs, order=1, rtol=1e-5)
