"""Which operations may hand out an argument, or a view of it: declared, since compiled memory rests on it."""

import warnings

import numpy as np
import pytest

from autodiff.testing.cases import cases
from tests.laws.registry import OPS

DTYPES = (np.float64, np.float32, np.complex128, np.int64, np.uint8, np.bool_)
REFUSALS = (TypeError, ValueError, IndexError, OverflowError, np.linalg.LinAlgError)


def handed_out(op):
    """The places of the arguments in whose memory a result lies, at any example and in any dtype that NumPy takes."""
    found = set()
    for case in cases(op):
        for dtype in DTYPES:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                args = [
                    np.array(x, dtype) if np.asarray(x).dtype.kind in "fc" else np.array(x)[()]  # a number is basic
                    for x in case.args
                ]
                try:
                    y = op.forward(*args, **case.example.params)
                except REFUSALS:
                    continue
            results = [part for part in (y if isinstance(y, tuple) else (y,)) if isinstance(part, np.ndarray)]
            found |= {k for k, x in enumerate(args) if any(np.may_share_memory(part, x) for part in results)}
    return found


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_a_result_lies_in_the_memory_of_the_first_argument_where_that_is_declared(op):
    assert handed_out(op) == ({0} if op.view else set())
