"""Real signals: SIGINT at random times over everything that the package does. Run as a process of its own.

Its arguments: how many signals, a seed, a folder. It prints one line of JSON: how many came, and what was wrong.
"""

import contextlib
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import autodiff as ad
from autodiff.recorders import SCOPE, TRACING
from tests.trust.faults import bits

A = np.linspace(0.1, 0.9, 3)
W = np.arange(6.0).reshape(2, 3) / 5
LARGE = np.linspace(0.1, 0.9, 600_000)


def f(x):
    with ad.scope("written"):
        y = np.tanh(x)
        y[0] = 2.0 * x[1]
        part = y[1:]
        part *= 3.0
    return np.sum(y * np.sin(W @ x).sum()) + ad.checkpoint(lambda t: np.sum(np.cos(t) * t))(x)


def twice(x):
    return np.sum(ad.grad(f)(x) ** 2)


def everything(room):
    """What is interrupted, each with whether its result is a file."""
    graph = ad.trace(lambda x: np.sum(np.tanh(x) * np.sin(W @ x).sum() + x[::-1] ** 3))(A)
    flow = graph.backward()
    _, pullback = ad.vjp(f, A)
    compiled, slope = ad.jit(f), ad.grad(ad.jit(f))
    tiled = ad.jit(lambda x: np.sum(np.tanh(x) * np.sin(x) + np.sqrt(x)))
    saved, drawn, picture = room / "flow.json", room / "flow.dot", room / "flow.svg"
    watched = ad.watch(f, every=1, path=room / "watch.jsonl")

    def save():
        flow.save(saved)
        return ad.GradientFlow.load(saved)["x"]

    def draw():
        flow.draw(drawn)
        return drawn.read_bytes()

    def lay_out():
        flow.draw(picture)
        return picture.read_bytes()

    def watch():
        found = watched(A)
        assert len(watched.history) == watched.step * len({row["block"] for row in watched.history})
        assert len(watched.path.read_text().splitlines()) == len(watched.history)
        return found

    return {
        "grad": lambda: ad.grad(f)(A), "grad of grad": lambda: ad.grad(twice)(A),
        "jvp": lambda: ad.jvp(f, (A,), (A,)), "hessian": lambda: ad.hessian(f)(A), "pullback": lambda: pullback(1.0),
        "vmap": lambda: ad.vmap(ad.grad(f))(np.stack([A, A])), "run": lambda: compiled(A),
        "tiles": lambda: tiled(LARGE),
        "grad of jit": lambda: slope(A), "compile": lambda: ad.jit(ad.grad(f))(A),
        "backward": lambda: graph.backward()["x"],
        "save": save, "draw": draw, "watch": watch, **({"layout": lay_out} if laid_out(flow, picture) else {}),
    }  # fmt: skip


def laid_out(flow, path):
    """Whether there is something to lay pictures out with, in a child process."""
    try:
        flow.draw(path, engine="dot")
    except ad.errors.PictureError:
        return False
    return True


def children():
    """The processes that this one has started and that are still there, ended or not."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc/self/stat").exists() else ():
        with contextlib.suppress(OSError, ValueError):
            parts = (entry / "stat").read_text().rpartition(")")[2].split()
            if entry.name.isdigit() and int(parts[1]) == os.getpid():
                found.append(entry.name)
    return found


def seconds(call):
    """About how long a call takes, in which the signal is to come."""
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(count, seed, folder):
    room = Path(folder)
    rng = np.random.default_rng(seed)
    calls = everything(room)
    want = {name: bits(call()) for name, call in calls.items()}
    lasts = {name: seconds(call) for name, call in calls.items()}
    files = sorted(path.name for path in room.iterdir())
    around = (SCOPE.get(), TRACING.get(), np.geterr(), A.tobytes(), LARGE.flags.writeable)
    wrong, came, tried = [], dict.fromkeys(calls, 0), 0
    names = list(calls)
    while sum(came.values()) < count and tried < 4 * count:
        name = names[tried % len(names)]
        tried += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, max(1e-5, rng.uniform(0, lasts[name])))
            calls[name]()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            came[name] += 1
        except BaseException as error:
            wrong.append(f"{name}: turned into {error!r}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        if (SCOPE.get(), TRACING.get(), np.geterr(), A.tobytes(), LARGE.flags.writeable) != around:
            wrong.append(f"{name}: left {(SCOPE.get(), TRACING.get(), np.geterr())}")
        if sorted(path.name for path in room.iterdir()) != files:
            wrong.append(f"{name}: files {sorted(path.name for path in room.iterdir())}")
        if children():
            wrong.append(f"{name}: child processes {children()}")
        try:
            if bits(calls[name]()) != want[name]:
                wrong.append(f"{name}: a retry gives something else")
        except BaseException as error:
            wrong.append(f"{name}: a retry raises {error!r}")
    gc.collect()
    print(json.dumps({"came": came, "wrong": wrong}))


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # a timer's signal, told as the key that is pressed is
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
