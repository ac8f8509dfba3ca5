"""What usually makes a nan or an infinity, operation by operation, and what to type instead."""

from __future__ import annotations

from typing import Any

import numpy as np

Cause = tuple[str, str]

_LOGITS = "with logits at hand nn.log_softmax or nn.cross_entropy, which never take the logarithm of 0"

_LOG: dict[str, Cause] = {
    "-inf": ("the logarithm of 0 is −inf", f"np.log(np.maximum(x, 1e-12)), or np.log(x + 1e-12); {_LOGITS}"),
    "nan": ("a negative number has no real logarithm", "see why it is negative; np.log(np.maximum(x, 1e-12))"),
}
_ROOT: dict[str, Cause] = {
    "nan": ("a negative number has no real root", "np.sqrt(np.maximum(x, 0.0)), where rounding took it below 0"),
}
_EXP: dict[str, Cause] = {
    "inf": ("e^x is larger than the dtype can hold (float64: x > 709, float32: x > 88, float16: x > 11)",
            "take the largest away first, np.exp(x - np.max(x)), or use nn.softmax, nn.logsumexp, np.logaddexp, "
            "np.tanh"),
}  # fmt: skip
_DIVIDE: dict[str, Cause] = {
    "nan": ("0/0 and inf/inf are no numbers", "np.where(b == 0, 0.0, a / b), which is right in both directions; or "
            "a / np.maximum(b, 1e-12)"),
    "inf": ("a number was divided by 0, or by one so small that the quotient overflowed",
            "a / np.maximum(b, 1e-12); np.where(b == 0, 0.0, a / b)"),
}  # fmt: skip
_POWER: dict[str, Cause] = {
    "nan": ("a negative number to a power that is not whole is no real number", "np.abs(x) ** p, or a whole power"),
    "inf": ("0 to a negative power, or an overflow", "np.maximum(x, 1e-12) ** p, or exp(p·log x) with p·log x bounded"),
}
_ARC: dict[str, Cause] = {
    "nan": ("it is defined from −1 to 1, and rounding may have taken the argument a little beyond",
            "clip it first: np.arccos(np.clip(x, -1.0, 1.0))"),
    "inf": ("it is infinite at −1 and 1", "np.arctanh(np.clip(x, -1 + 1e-12, 1 - 1e-12))"),
}  # fmt: skip
_MEAN: dict[str, Cause] = {
    "nan": ("the mean of nothing is 0/0, and so is a variance of no more numbers than ddof",
            "check that the selection is not empty (x.size), or ddof=0"),
}  # fmt: skip
_SOLVE: dict[str, Cause] = {
    "*": ("the matrix is singular, or nearly so", "np.linalg.lstsq or np.linalg.pinv; or add a small multiple of the "
          "unit matrix, A + 1e-9 * np.eye(n)"),
}  # fmt: skip

FORWARD: dict[str, dict[str, Cause]] = {
    "log": _LOG, "log2": _LOG, "log10": _LOG,
    "log1p": {"-inf": ("log1p(−1) is −inf", "np.log1p(np.maximum(x, -1 + 1e-12))"),
              "nan": ("below −1 log1p is no real number", "np.log1p(np.maximum(x, -1 + 1e-12))")},
    "sqrt": _ROOT, "exp": _EXP, "exp2": _EXP, "expm1": _EXP, "sinh": _EXP, "cosh": _EXP,
    "divide": _DIVIDE, "reciprocal": _DIVIDE, "power": _POWER, "float_power": _POWER,
    "arccos": _ARC, "arcsin": _ARC, "arctanh": _ARC,
    "arccosh": {"nan": ("below 1 arccosh is no real number", "np.arccosh(np.maximum(x, 1.0))")},
    "mean": _MEAN, "var": _MEAN, "std": _MEAN, "inv": _SOLVE, "solve": _SOLVE, "det": _SOLVE,
    "softmax": {"nan": ("a row of nothing but −inf has no softmax", "leave at least one number in each row of a mask")},
    "log_softmax": {"nan": ("a row of nothing but −inf has no softmax", "leave at least one number in each row")},
    "multiply": {"nan": ("0·inf is no number", "np.where(mask, x, 0.0) instead of a product with a mask of zeros"),
                 "inf": ("the product is larger than the dtype can hold", "scale the numbers, add logarithms, or "
                         "compute in float64")},
    "subtract": {"nan": ("inf − inf is no number", "keep infinities out of differences: np.where(mask, a - b, 0.0)")},
    "remainder": {"nan": ("division by 0", "np.where(b == 0, 0.0, np.remainder(a, b))")},
    "tan": {"inf": ("a pole", "keep away from odd multiples of π/2")},
}  # fmt: skip
"""For the forward run: by operation, then by what was made (-inf and inf fall back on inf, all on *)."""

REVERSE: dict[str, Cause] = {
    "sqrt": ("the root has an infinite slope at 0",
             "np.sqrt(x + 1e-12); for a length np.linalg.norm, which has derivative 0 there"),
    "cbrt": ("the root has an infinite slope at 0", "np.cbrt(x + 1e-12)"),
    "log": ("1/x at 0, or overflowed near it", f"np.log(np.maximum(x, 1e-12)); {_LOGITS}"),
    "log2": ("1/x at 0, or overflowed near it", "np.log2(np.maximum(x, 1e-12))"),
    "log10": ("1/x at 0, or overflowed near it", "np.log10(np.maximum(x, 1e-12))"),
    "power": ("a power below 1 has an infinite slope at 0", "(x + 1e-12) ** p, or np.sqrt and np.square of what is "
              "above 0"),
    "float_power": ("a power below 1 has an infinite slope at 0", "(x + 1e-12) ** p"),
    "divide": ("the slope is −a/b², and b² is 0 or too small for the dtype", "a / np.maximum(b, 1e-6)"),
    "reciprocal": ("the slope is −1/x², and x² is 0 or too small for the dtype", "1 / np.maximum(x, 1e-6)"),
    "arccos": ("the slope is infinite at −1 and 1", "np.arccos(np.clip(x, -1 + 1e-7, 1 - 1e-7)), or np.arctan2"),
    "arcsin": ("the slope is infinite at −1 and 1", "np.arcsin(np.clip(x, -1 + 1e-7, 1 - 1e-7)), or np.arctan2"),
    "arccosh": ("the slope is infinite at 1", "np.arccosh(np.maximum(x, 1 + 1e-7))"),
    "arctanh": ("the slope is infinite at −1 and 1", "np.arctanh(np.clip(x, -1 + 1e-7, 1 - 1e-7))"),
    "arctan2": ("it has no slope at (0, 0)", "keep one of the two away from 0"),
    "svd": ("equal singular values have no derivative of their vectors", "a function that no choice of basis changes"),
    "eigh": ("equal eigenvalues have no derivative of their vectors", "a function that no choice of basis changes"),
    "eig": ("equal eigenvalues have no derivative of their vectors", "a function that no choice of basis changes"),
    "qr": ("the columns that fill up an orthogonal matrix have no derivative", 'the reduced form: mode="reduced"'),
    "std": ("the standard deviation of equal numbers has no slope", "np.sqrt(np.var(x) + 1e-12)"),
}  # fmt: skip
"""For the rules of both directions."""


def kind_of(value: Any) -> str:
    """What a number is, in a word: nan, inf, -inf; of a complex number by its worse part."""
    if np.isnan(value):
        return "nan"
    if np.iscomplexobj(value):
        return "inf"
    return "inf" if value > 0 else "-inf"


def cause(phase: str, op: Any, kind: str, dtype: Any) -> Cause:
    """Why, and what to type instead."""
    name = op.name
    if phase == "forward":
        known = FORWARD.get(name, {})
        found = known.get(kind) or (known.get("inf") if kind == "-inf" else None) or known.get("*")
        if found is not None:
            return found
    elif name in REVERSE:
        return REVERSE[name]
    if op.user:
        return (
            "it is an operation of your own, and its arguments were finite",
            "mend its function or its rule at these values; autodiff.testing.check_op tries it at many",
        )
    if kind != "nan":
        most = f" ({np.finfo(dtype).max:.3g})" if dtype.kind in "fc" else ""
        return (
            f"the result is larger than {dtype} can hold{most}",
            "scale the numbers, work with logarithms, or compute in a wider dtype: x.astype(np.float64)",
        )
    return "it has no value at these arguments", "keep them away from there: np.where(good, x, 1.0), np.clip"
