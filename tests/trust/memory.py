"""Memory that runs out: programs on large arrays under a limit of the system's. Run as a process of its own.

It needs ``MALLOC_MMAP_THRESHOLD_``, so that what is freed goes back to the system at once and counts no more.
Its argument: how many limits for each program. It prints one line of JSON: how often memory ran out, what was wrong.
"""

import gc
import json
import resource
import sys
import tracemalloc

import numpy as np

import autodiff as ad
from autodiff.recorders import SCOPE, TRACING
from tests.trust.faults import bits

LARGE = np.linspace(0.1, 0.9, 1 << 17)  # 1 MB
"""Products of matrices are left out: where OpenBLAS gets no memory for itself it ends the process."""


def chain(x):
    for _ in range(3):
        x = np.sin(x) * x + np.sqrt(x * x + 1.0)
    return np.sum(x)


def written(x):
    with ad.scope("written"):
        y = np.tanh(x)
        y[::2] = x[::2] * 2.0
        part = y[1000:]
        part *= x[1000:]
    return np.sum(y * x)


def programs():
    compiled, slope = ad.jit(lambda x: np.tanh(x) * x), ad.jit(ad.grad(chain))
    _, pullback = ad.vjp(chain, LARGE)
    graph = ad.trace(written)(LARGE)
    return {
        "grad": lambda: ad.grad(chain)(LARGE), "written": lambda: ad.grad(written)(LARGE),
        "pullback": lambda: pullback(1.0),
        "backward": lambda: graph.backward()["x"], "jvp": lambda: ad.jvp(chain, (LARGE,), (LARGE,)),
        "checkpoint": lambda: ad.grad(ad.checkpoint(chain))(LARGE),
        "vmap": lambda: ad.vmap(ad.grad(chain))(LARGE.reshape(4, -1)),
        "compiled": lambda: compiled(LARGE), "compiled gradient": lambda: slope(LARGE),
        "compiling": lambda: ad.jit(ad.grad(written))(LARGE),
    }  # fmt: skip


def used():
    """The bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def peak(call):
    """The most bytes that a call takes over what there was before."""
    tracemalloc.start()
    try:
        call()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def main(count):
    calls = programs()
    ad.set_threads(1)  # a thread's stack is memory as well, and how many there are no matter of the limit
    want = {name: bits(call()) for name, call in calls.items()}
    wrong, came = [], dict.fromkeys(calls, 0)
    for name, call in calls.items():
        most = peak(call)
        gc.collect()
        before = used()
        for k in range(count):
            room = int(most * (k + 0.5) / count)
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            try:
                resource.setrlimit(resource.RLIMIT_AS, (used() + room, hard))
                call()
            except MemoryError:
                came[name] += 1
            except BaseException as error:
                wrong.append(f"{name}: turned into {error!r}")
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
            if SCOPE.get() or TRACING.get() or np.geterr()["divide"] != "warn":
                wrong.append(f"{name}: left {(SCOPE.get(), TRACING.get(), np.geterr())}")
            gc.collect()
            if used() - before > LARGE.nbytes // 2:
                wrong.append(f"{name}: {used() - before} bytes are left")
            if bits(call()) != want[name]:
                wrong.append(f"{name}: a retry gives something else")
    print(json.dumps({"came": came, "wrong": wrong}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
