"""What limits the rows on which this package is not first: printed only where a row is really missed."""

from __future__ import annotations

_CONVOLUTION = (
    "NumPy has no convolution: windows are copied and multiplied by BLAS, where PyTorch's kernel reads the image in "
    "place ([decision 7](decisions/0007-convolution.md))."
)
_PASSES = "Each NumPy call is a pass over an array; a native kernel reads a row once and keeps it in registers."

TIME: dict[str, str] = {
    "300 × (tanh, mul, mul, add) on 32 numbers":
        "On 32 numbers a NumPy call costs more than its arithmetic; native code has no calls "
        "([decision 9](decisions/0009-compiler.md)).",
    "MLP 64-64-64-10, batch 32, float64":
        "The same calls of NumPy as by hand, on arrays so small that the calls are the time; what the program adds is "
        "its signature and the proof that all is finite ([decision 9](decisions/0009-compiler.md)).",
    "MLP 784-1024-1024-10, batch 256, float32":
        "Five large products in BLAS take nearly all of the time and are the same for all.",
    "Gaussian-process likelihood, n = 300":
        "NumPy has no triangular solve and keeps no factors: each solution factors a general matrix anew.",
    "gradients of each of 256 examples, net 2-4-4-3":
        "Arrays of a few kilobytes: a NumPy call costs about as much as its arithmetic, and native code has no calls.",
    "conv2d, 8×16×32×32 by 32 of 3×3, float32": _CONVOLUTION,
    "conv2d, 32×64×14×14 by 64 of 3×3, float32": _CONVOLUTION,
    "conv2d, 32×64×14×14 by 64 of 3×3, float64": _CONVOLUTION,
    "conv2d, 1×3×224×224 by 64 of 7×7, stride 2, float32": _CONVOLUTION,
    "conv2d, 8×32×32×32, 3×3 a channel, float32":
        "A kernel a channel leaves BLAS nothing to multiply; PyTorch's kernel keeps its sums in registers, which no "
        "sequence of NumPy calls does ([decision 7](decisions/0007-convolution.md)).",
    "max pooling, 8×64×56×56, 3×3, stride 2, float32":
        "Nine passes for the nine places of a window, and δ is shared among ties, which PyTorch does not look for.",
    "softmax cross-entropy, 256 × 10⁴ classes, float32": _PASSES,
    "layer norm, 2048 × 768, float32": _PASSES,
    "svd, 120 × 120": "The factorization is LAPACK's through NumPy's copies; PyTorch's is MKL's.",
    "eigh, 150 × 150": "The factorization is LAPACK's through NumPy's copies; PyTorch's is MKL's.",
    "cholesky, 300 × 300":
        "NumPy has no triangular solve: δ is solved for with general matrices, which do twice the arithmetic.",
    "cumprod, 500 × 2000":
        "The rule does not divide, so that zeros are right; PyTorch looks for zeros first and divides where there are "
        "none.",
    "10⁵ rows gathered from 10⁴ × 64":
        "`np.add.at` adds row after row; a native scatter writes each sum in one pass.",
}  # fmt: skip
"""By the name of the row: why another engine takes less time."""

_WINDOWS = (
    "Windows along W are copied: as many images as a kernel is wide ([decision 7](decisions/0007-convolution.md))."
)

MEMORY: dict[str, str] = {
    "conv2d, 8×16×32×32 by 32 of 3×3, float32": _WINDOWS,
    "conv2d, 32×64×14×14 by 64 of 3×3, float32": _WINDOWS,
    "conv2d, 32×64×14×14 by 64 of 3×3, float64": _WINDOWS,
    "conv2d, 1×3×224×224 by 64 of 7×7, stride 2, float32": _WINDOWS,
}
"""By the name of the row: why another engine takes less memory."""
