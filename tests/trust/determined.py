"""One program that computes, differentiates, compiles, draws and saves, and prints a digest of every result.

    python -m tests.trust.determined [setting ...]      # see SETTINGS: what is done to it from inside; reordered,
                                                        # in_thread, operations: how, and on what, it runs

Run twice under whatever circumstances, it must print the same lines.
"""

import gc
import hashlib
import itertools
import json
import os
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np

import autodiff as ad
import autodiff.numpy as anp
from autodiff import nn
from autodiff.errors import AutodiffError

SETTINGS = {}


def setting(f):
    """Something that is done before the program runs, and again between its parts."""
    SETTINGS[f.__name__] = f
    return f


@setting
def plain():
    pass


@setting
def gc_off():
    gc.disable()


@setting
def gc_always():
    gc.set_threshold(1)


@setting
def gc_frozen():
    gc.freeze()


@setting
def after_failures():
    """Exceptions in functions, rules, pictures and programs, that somebody caught."""

    @ad.primitive
    def fails(x):
        return x * 1.0

    fails.defvjp(lambda d, y, x: 1 / 0)
    for wrong in (
        lambda: ad.grad(lambda x: np.sum(fails(x)))(np.ones(3)), lambda: ad.grad(np.tanh)(np.ones(3)),
        lambda: ad.jit(lambda x: x if x > 0 else -x)(1.0), lambda: ad.flow(lambda x: 1 / 0)(1.0),
        lambda: ad.vmap(lambda x: float(x))(np.ones(3)), lambda: ad.Graph.load(os.devnull),
    ):  # fmt: skip
        try:
            wrong()
        except (ZeroDivisionError, AutodiffError, OSError):
            continue
        raise AssertionError("it did not fail")


@setting
def after_others():
    """Graphs that were traced before, of which some are still alive."""
    KEPT.append(ad.flow(lambda x: np.sum(np.tanh(x) ** 2))(np.ones(4)))
    ad.jit(ad.grad(lambda x: np.sum(np.exp(x))))(np.ones(3))
    KEPT.append(ad.vjp(np.sin, np.ones(2)))


@setting
def settrace():
    sys.settrace(lambda frame, event, arg: None)


@setting
def setprofile():
    sys.setprofile(lambda frame, event, arg: None)


for _count in (1, 2, 3, 4, 8):
    SETTINGS[f"threads_{_count}"] = lambda count=_count: ad.set_threads(count)

KEPT = []

# -- functions of many kinds -------------------------------------------------------------------------------------------


def numbers(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def mlp(p, x):
    for k, layer in enumerate(p["layers"]):
        with ad.scope(f"layer{k}"):
            x = np.tanh(x @ layer["w"] + layer["b"])
    return np.mean((x - p["shift"]) ** 2)


def residual(x, w):
    for k in range(4):
        with ad.scope(f"block{k}"):
            x = x + 0.5 * np.tanh(ad.name(x @ w, f"hidden{k}"))
    return np.sum(x**2)


def convolution(x, w):
    y = nn.max_pool(nn.relu(nn.conv(x, w, padding=1)), 2)
    return np.sum(nn.layer_norm(np.reshape(y, (y.shape[0], -1))) ** 3)


def attention(q, k, v):
    return np.sum(nn.attention(q, k, v, causal=True, heads=2) ** 2)


def linear_algebra(a):
    s = a @ a.T + 3.0 * np.eye(len(a))
    w, v = np.linalg.eigh(s)
    values = np.sum(np.sqrt(w)) + np.sum(np.linalg.svd(a)[1])
    return np.sum(np.linalg.solve(s, v) ** 2) + np.linalg.slogdet(s)[1] + values


def transforms(x):
    return np.sum(np.abs(np.fft.fft2(x) * np.fft.fftshift(np.fft.ifft2(x))) ** 2)


def positions(x):
    y = x[np.array([0, 2, 2, 1])] * np.sort(x, axis=0)[:4]
    z = anp.zeros((4, 3))
    z[1:] = y[1:, :3]
    return np.sum(z * np.take(y, [2, 1, 0], axis=1)) + sum(x[i, 0] * x[i, 1] for i in range(4))


def contraction(a, b):
    return np.sum(np.einsum("ij,jk,kl->il", a, b, a) ** 2) + np.sum(np.tensordot(a, b, 1) * np.cumsum(a @ b, axis=0))


def recurrent(x, h, w, u):
    c = h
    for t in range(3):
        h, c = nn.lstm_cell(x[t], h, c, w, u)
    return np.sum(h * c)


def pointwise(x, y):
    """Large enough to be spread over threads."""
    return np.sum(np.tanh(x * y) + np.exp(-(x**2)) * np.sin(y))


def fans_out(x):
    return np.sum(sum((x * float(k) for k in range(30)), 0.0) ** 2)


LAYERS = {
    "layers": [{"w": numbers(5, 7, seed=1), "b": numbers(7, seed=2)}, {"w": numbers(7, 3, seed=3), "b": np.zeros(3)}],
    "shift": 0.25,
}
PROGRAMS = {
    "mlp": (mlp, (LAYERS, numbers(6, 5))),
    "mlp of single precision": (
        lambda w, x: np.sum(np.tanh(x @ w) ** 2), (numbers(9, 4, dtype=np.float32), numbers(6, 9, dtype=np.float32))
    ),
    "residual": (residual, (numbers(3, 4), numbers(4, 4, seed=5))),
    "convolution": (convolution, (numbers(2, 3, 6, 6), numbers(4, 3, 3, 3, seed=6))),
    "attention": (attention, tuple(numbers(2, 5, 4, seed=k) for k in range(3))),
    "linear algebra": (linear_algebra, (numbers(4, 4),)),
    "fft": (transforms, (numbers(4, 6),)),
    "index": (positions, (numbers(5, 4),)),
    "einsum": (contraction, (numbers(4, 5), numbers(5, 4, seed=8))),
    "lstm": (recurrent, (numbers(3, 2, 4), numbers(2, 3), numbers(4, 12, seed=9), numbers(3, 12, seed=10))),
    "fan": (fans_out, (numbers(5),)),
}  # fmt: skip
LARGE = (numbers(300_000, seed=11), numbers(300_000, seed=12))


def reordered(x):
    """The same containers, in which the keys of dicts come in another order."""
    if isinstance(x, dict):
        return {key: reordered(x[key]) for key in reversed(list(x))}
    return type(x)(map(reordered, x)) if isinstance(x, (list, tuple)) else x


def told(x, digest):
    """Every bit of a result; of a dict in the order of its keys' names, because that of its keys is the caller's."""
    if isinstance(x, dict):
        for key in sorted(x, key=repr):
            digest.update(repr(key).encode())
            told(x[key], digest)
    elif isinstance(x, (list, tuple)):
        digest.update(f"{len(x)} of".encode())
        for part in x:
            told(part, digest)
    elif isinstance(x, (np.ndarray, np.generic)):
        digest.update(f"{x.dtype.str}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x).tobytes())
    else:
        digest.update(repr(x).encode() if not isinstance(x, bytes) else x)


def every_operation():
    """Each operation at each of its examples: its values, and δ of its arguments for random seeds."""
    from tests.laws.registry import SHARP, name

    for case in SHARP:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y, pullback = ad.vjp(case.f, *case.xs)
            yield name(case), (y, pullback(case.seeds(np.random.default_rng(0))))


def results(rearranged, operations):
    """Every result by name, one after the other."""
    for name, (f, args) in PROGRAMS.items():
        args = reordered(args) if rearranged else args
        every = tuple(range(len(args)))
        value_and_slopes = ad.value_and_grad(f, every)
        yield f"{name}: value and gradient", value_and_slopes(*args)
        yield f"{name}: compiled", ad.jit(value_and_slopes)(*args)
        yield f"{name}: gradient of a program", ad.grad(ad.jit(f), every)(*args)
        yield f"{name}: checkpoint", ad.value_and_grad(ad.checkpoint(f), every)(*args)
        yield f"{name}: hvp", ad.hvp(f, args, args)
        yield f"{name}: graph", str(ad.trace(f)(*args))
        flow = ad.flow(f)(*args)
        yield f"{name}: flow", str(flow)
        statistics = [flow.statistics(v) for v in flow.graph.nodes]
        yield f"{name}: tables of the flow", (flow.by_scope(), flow.joins(), statistics)
        yield f"{name}: program", ad.jit(value_and_slopes).lower(*args).source
        yield f"{name}: passes", [(key, len(graph)) for key, graph in ad.jit(f).lower(*args).history]
    if operations:
        yield from every_operation()
    rows = np.stack([numbers(4, seed=k) for k in range(5)])
    w = numbers(4, 4, seed=5)
    yield "vmap", ad.vmap(ad.grad(lambda x: residual(x, w)))(rows)
    yield "jacobian", ad.jacobian(lambda x: np.tanh(x @ w))(rows[0])
    yield "hessian", ad.hessian(lambda x: residual(x, w))(rows[0])
    second = ad.grad(lambda y: np.sum(ad.grad(fans_out)(y) ** 2))
    yield "third order", ad.grad(lambda x: np.sum(second(x) ** 2))(rows[0])
    yield "large", ad.value_and_grad(pointwise, (0, 1))(*LARGE)
    yield "large, compiled", ad.jit(ad.value_and_grad(pointwise, (0, 1)))(*LARGE)


def files(room):
    """Every file by name: its bytes."""
    f, args = PROGRAMS["residual"]
    flow = ad.flow(f)(*args)
    for suffix in ("svg", "html", "dot", "json", "txt"):
        flow.draw(room / f"flow.{suffix}")
        flow.draw(room / f"built-in.{suffix}", engine="builtin")
    flow.save(room / "flow-saved.json")
    flow.graph.save(room / "graph.json")
    watch = ad.watch(lambda w: f(args[0], w), every=1, path=room / "history.jsonl")
    for _ in range(2):
        watch(args[1])
    ad.Graph.load(room / "graph.json").save(room / "again.json")
    for path in sorted(room.iterdir()):
        yield path.name, path.read_bytes()


def run(between=lambda: None, rearranged=False, operations=False):
    """The digests by name."""
    found = {}
    with tempfile.TemporaryDirectory() as room:
        for name, result in itertools.chain(results(rearranged, operations), files(Path(room))):
            digest = hashlib.sha256()
            told(result, digest)
            found[name] = digest.hexdigest()
            between()
    return found


def main():
    names = sys.argv[1:] or ["plain"]
    rearranged, in_thread, operations = (name in names for name in ("reordered", "in_thread", "operations"))
    chosen = [SETTINGS[name] for name in names if name in SETTINGS]
    assert len(chosen) + rearranged + in_thread + operations == len(names), names

    def between():
        for act in chosen:
            act()

    between()
    found = []
    if in_thread:
        work = lambda: found.append(run(between, rearranged, operations))
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 2
        assert found[0] == found[1], "two threads at a time differ"
    else:
        found.append(run(between, rearranged, operations))
    sys.settrace(None)
    sys.setprofile(None)
    print(json.dumps(found[0]))


if __name__ == "__main__":
    main()
