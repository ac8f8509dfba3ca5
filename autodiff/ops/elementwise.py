"""Pointwise functions. One line a rule: ``d`` is the incoming δ, ``y`` the result, then the arguments."""

from __future__ import annotations

import numpy as np

from ..makers import REAL, elementwise

POSITIVE = (0.1, 3.0)
UNIT = (-0.95, 0.95)

# arithmetic: the derivative of a sum, a product, a quotient

add = elementwise(np.add, lambda d, y, a, b: d, lambda d, y, a, b: d, bounded=True, formulas=("δa = δy", "δb = δy"))
subtract = elementwise(
    np.subtract, lambda d, y, a, b: d, lambda d, y, a, b: -d, bounded=True, formulas=("δa = δy", "δb = −δy")
)
multiply = elementwise(
    np.multiply, lambda d, y, a, b: d * b, lambda d, y, a, b: d * a, formulas=("δa = δy·b", "δb = δy·a")
)
divide = elementwise(
    np.divide, lambda d, y, a, b: d / b, lambda d, y, a, b: -d * y / b,
    smooth=(REAL, POSITIVE), formulas=("δa = δy / b", "δb = −δy·y / b"),
)  # fmt: skip
negative = elementwise(np.negative, lambda d, y, x: -d, bounded=True, formulas=("δx = −δy",))
positive = elementwise(np.positive, lambda d, y, x: d, bounded=True, formulas=("δx = δy",))

# exponentials and hyperbolic functions

exp = elementwise(np.exp, lambda d, y, x: d * y, formulas=("δx = δy·y",))
log = elementwise(np.log, lambda d, y, x: d / x, smooth=(POSITIVE,), formulas=("δx = δy / x",))
sqrt = elementwise(np.sqrt, lambda d, y, x: d * 0.5 / y, smooth=(POSITIVE,), formulas=("δx = δy / 2y",))
tanh = elementwise(np.tanh, lambda d, y, x: d * (1 - y * y), formulas=("δx = δy·(1 − y²)",))
sin = elementwise(np.sin, lambda d, y, x: d * np.cos(x), formulas=("δx = δy·cos x",))
cos = elementwise(np.cos, lambda d, y, x: -d * np.sin(x), formulas=("δx = −δy·sin x",))

# a branch that was not taken gets a true zero

where = elementwise(
    np.where,
    None,
    lambda d, y, c, a, b: np.where(c, d, 0),
    lambda d, y, c, a, b: np.where(c, 0, d),
    masks=True, bounded=True, smooth=(None, REAL, REAL), numpy=(np.where,),
    formulas=("", "δa = δy where the condition holds, else 0", "δb = 0 where the condition holds, else δy"),
)  # fmt: skip

power = elementwise(
    np.power,
    lambda d, y, a, b: d * b * np.power(a, b - 1),
    lambda d, y, a, b: d * y * np.log(a),
    smooth=(POSITIVE, REAL),
)
remainder = elementwise(
    np.remainder, lambda d, y, a, b: d, lambda d, y, a, b: -d * np.floor(a / b),
    smooth=((0.1, 0.4), (0.5, 0.9)),
)  # fmt: skip
