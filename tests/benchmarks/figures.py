"""Single figures of growth, each measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

FIGURES = {
    "10⁶-operation chain: forward, backward, release": """
import numpy as np, autodiff as ad, time
def f(x):
    for _ in range(250_000):
        x = np.tanh(x) * 1.0000001 * 0.9999 + 0.0001
    return x
start = time.perf_counter()
ad.value_and_grad(f)(1.0)
status = open("/proc/self/status").read()  # getrusage would count the process that started this one
peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
print(f"{time.perf_counter() - start:.2f} s, peak {peak:.2f} GiB")
""",
    "10⁵ steps without the garbage collector": """
import gc, numpy as np, autodiff as ad
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
def f(w, x):
    return np.sum(np.tanh(x @ w) ** 2)
w, x, step = np.ones((3, 2)), np.ones((4, 3)), ad.value_and_grad(f)
for _ in range(1000):
    step(w, x)
gc.collect()
gc.disable()
before = resident()
for _ in range(100_000):
    step(w, x)
print(f"grew by {resident() - before:.2f} MiB; gc.collect() found {gc.collect()} objects")
""",
    "gradients of each of 256 examples, net 2-4-4-3: a loop over `grad` against `vmap(grad)`": """
import numpy as np, autodiff as ad
from tests.benchmarks.timing import best_of
from tests.benchmarks.workloads import examples_arguments, one_example
args = examples_arguments(np.random.default_rng(0))
one = ad.grad(lambda *xs: one_example(np, *xs), tuple(range(2, len(args))))
batch = ad.vmap(one, (0, 0) + (None,) * (len(args) - 2))
compiled = ad.jit(batch)
def loop():
    each = [one(x, y, *args[2:]) for x, y in zip(*args[:2])]
    return tuple(np.stack(found) for found in zip(*each))
for way in (batch, compiled):
    for a, b in zip(loop(), way(*args)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
ratios, short = [], []
for _ in range(5):
    slow = best_of(loop, 3)
    ratios.append(slow / best_of(lambda: batch(*args), 30))
    short.append(slow / best_of(lambda: compiled(*args), 30))
print(f"{np.median(ratios):.0f} ×; against `jit(vmap(grad))` {np.median(short):.0f} ×")
""",
}
"""What, and the script that prints it."""


def figures() -> list[list[str]]:
    """What and measured, of each."""
    found = []
    for name, script in FIGURES.items():
        out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
        found.append([name, out])
        print(" | ".join(found[-1]), flush=True)
    return found
