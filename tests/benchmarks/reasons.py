"""What limits the rows on which this package is not first: printed only where a row is really missed."""

from __future__ import annotations

_CONVOLUTION = (
    "NumPy has no convolution: windows are copied and multiplied by BLAS, where PyTorch's kernel reads the image in "
    "place ([decision 7](decisions/0007-convolution.md))."
)
_PASSES = "Each NumPy call is a pass over an array; a native kernel reads a row once and keeps it in registers."

_FUSED = (
    "PyTorch's compiler has a C++ compiler write one loop for the whole group, in which every intermediate is a "
    "register; a program calls NumPy once an operation, on tiles that stay in the cache."
)

TIME: dict[str, str] = {
    "Σ tanh(xy) + exp(−x²) sin y, 2·10⁶ numbers": _FUSED,
    "Black–Scholes, 10⁶ options": _FUSED,
    "100 residual blocks, width 64, batch 32":
        "Three hundred products of 32 × 64 by 64 × 64 take most of the time; what is left is a call of NumPy an "
        "operation.",
    "attention, 2 layers, 8 × 64 × 64":
        "Stacks of eight 64 × 64 products: NumPy calls BLAS for each matrix of a stack, others for the stack at once; "
        "exp and the sums of the softmax are passes.",
    "causal attention, 4 × 8 heads × 128 × 64, float32":
        "Scores are computed whole and then masked; a native kernel leaves out the half that the mask hides.",
    "sort, 10⁶ numbers": "The sort itself is the time, and is the same for all but JAX.",
    "300 × (tanh, mul, mul, add) on 32 numbers":
        "On 32 numbers a NumPy call costs more than its arithmetic; native code has no calls "
        "([decision 9](decisions/0009-compiler.md)).",
    "MLP 64-64-64-10, batch 32, float64":
        "The same calls of NumPy as by hand, on arrays so small that the calls are the time; what the program adds is "
        "its signature and the proof that all is finite ([decision 9](decisions/0009-compiler.md)).",
    "MLP 784-1024-1024-10, batch 256, float32":
        "Five large products in BLAS take nearly all of the time and are the same for all.",
    "Gaussian-process likelihood, n = 300":
        "One factorisation and its inverse serve the whole program; NumPy's copies into LAPACK's order and back are "
        "half of it ([decision 11](decisions/0011-rows.md)).",
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
        "NumPy copies into LAPACK's order and back, half of its time; without a triangular solve the rule inverts "
        "by halves ([decision 11](decisions/0011-rows.md)).",
    "cumprod, 500 × 2000":
        "Two thirds are two running products and sums, each written and read again by NumPy's `accumulate` "
        "([decision 11](decisions/0011-rows.md)).",
    "10⁵ rows gathered from 10⁴ × 64":
        "`np.add.at` adds two numbers at a time; a native scatter adds rows ([decision 11](decisions/0011-rows.md)).",
}  # fmt: skip
"""By the name of the row: why another engine takes less time."""

_WINDOWS = (
    "Windows along W are copied: as many images as a kernel is wide ([decision 7](decisions/0007-convolution.md))."
)

_KEPT = (
    "A program keeps its arena from call to call, and results lie beside it; others give memory back as the sweep goes."
)

MEMORY: dict[str, str] = {
    "MLP 784-1024-1024-10, batch 256, float32": _KEPT,
    "100 residual blocks, width 64, batch 32": _KEPT,
    "Gaussian-process likelihood, n = 300": _KEPT,
    "LSTM, 40 steps, 16 × 64": _KEPT,
    "cholesky, 300 × 300": _KEPT,
    "svd, 120 × 120": _KEPT,
    "eigh, 150 × 150": _KEPT,
    "max pooling, 8×64×56×56, 3×3, stride 2, float32":
        "Ties are counted beside the maxima, which PyTorch does not do; not measured in parts.",
    "softmax cross-entropy, 256 × 10⁴ classes, float32": _KEPT,
    "layer norm, 2048 × 768, float32": _KEPT,
    "causal attention, 4 × 8 heads × 128 × 64, float32":
        "Scores are kept whole for the sweep; a native kernel keeps a row of them.",
    "10⁵ rows gathered from 10⁴ × 64": _KEPT,
    "gradients of each of 256 examples, net 2-4-4-3": "A tenth of a MiB: the arena's blocks are rounded up.",
    "conv2d, 8×16×32×32 by 32 of 3×3, float32": _WINDOWS,
    "conv2d, 32×64×14×14 by 64 of 3×3, float32": _WINDOWS,
    "conv2d, 32×64×14×14 by 64 of 3×3, float64": _WINDOWS,
    "conv2d, 1×3×224×224 by 64 of 7×7, stride 2, float32": _WINDOWS,
}
"""By the name of the row: why another engine takes less memory."""
