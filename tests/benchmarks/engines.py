"""The engines that run the workloads. Peers are optional: what is not installed is left out, and the table says so."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad

from .workloads import Workload

Run = Callable[[], tuple[Any, tuple[Any, ...]]]


def numpy_by_hand(work: Workload, args: tuple[Any, ...]) -> Run | None:
    """What a patient person would write."""
    by_hand = work.by_hand
    return None if by_hand is None else lambda: by_hand(*args)


def autodiff(work: Workload, args: tuple[Any, ...]) -> Run:
    """This package, on plain NumPy spelling."""
    run = ad.value_and_grad(lambda *xs: work.f(np, *xs), work.wanted)
    return lambda: run(*args)


def autodiff_jit(work: Workload, args: tuple[Any, ...]) -> Run:
    """This package, compiled; its first call, which compiles, is reported apart."""
    run = ad.jit(ad.value_and_grad(lambda *xs: work.f(np, *xs), work.wanted))
    return lambda: run(*args)


def autograd(work: Workload, args: tuple[Any, ...]) -> Run:
    """HIPS autograd."""
    import autograd as ag
    import autograd.numpy as anp

    run = ag.value_and_grad(lambda *xs: work.f(anp, *xs), work.wanted)
    return lambda: run(*args)


def torch(work: Workload, args: tuple[Any, ...]) -> Run:
    """PyTorch, eager."""
    import torch as th

    tensors = [th.tensor(x, requires_grad=i in work.wanted) for i, x in enumerate(args)]
    wanted = [tensors[i] for i in work.wanted]

    def run() -> tuple[Any, tuple[Any, ...]]:
        y = work.f(th, *tensors)
        return y.detach(), th.autograd.grad(y, wanted)

    return run


def mygrad(work: Workload, args: tuple[Any, ...]) -> Run | None:
    """MyGrad."""
    import mygrad as mg

    if "linalg.cholesky" in _names(work):
        return None

    def run() -> tuple[Any, tuple[Any, ...]]:
        tensors = [mg.tensor(x, copy=False) if i in work.wanted else x for i, x in enumerate(args)]
        y = work.f(mg, *tensors)
        y.backward()
        return y.data, tuple(tensors[i].grad for i in work.wanted)

    return run


def jax(work: Workload, args: tuple[Any, ...]) -> Run | None:
    """JAX under jit; its first call, which compiles, is reported apart."""
    import jax as jx

    jx.config.update("jax_enable_x64", True)
    if work.name.startswith(("one vector", "4000 scalar")):
        return None  # thousands of unrolled operations take it minutes to compile
    arrays = [jx.numpy.asarray(x) for x in args]
    run = jx.jit(jx.value_and_grad(lambda *xs: work.f(jx.numpy, *xs), work.wanted))
    return lambda: jx.block_until_ready(run(*arrays))


def _names(work: Workload) -> str:
    return " ".join("linalg.cholesky" if name == "cholesky" else name for name in work.f.__code__.co_names)


ENGINES: dict[str, Callable[[Workload, tuple[Any, ...]], Run | None]] = {
    "numpy by hand": numpy_by_hand,
    "autodiff": autodiff,
    "autodiff jit": autodiff_jit,
    "autograd": autograd,
    "torch": torch,
    "mygrad": mygrad,
    "jax": jax,
}


def runner(engine: str, work: Workload, args: tuple[Any, ...]) -> Run | None:
    """One call of a workload by an engine; None where it cannot run it."""
    return ENGINES[engine](work, args) if work.engines is None or engine.removesuffix(" jit") in work.engines else None


def installed() -> list[str]:
    """The engines that can run here."""
    always = ("numpy by hand", "autodiff", "autodiff jit")
    return [name for name in ENGINES if name in always or importlib.util.find_spec(name) is not None]


def plain(result: tuple[Any, tuple[Any, ...]]) -> list[np.ndarray[Any, Any]]:
    """Value and gradients of any engine as NumPy arrays."""
    value, gradients = result
    return [np.asarray(value), *(np.asarray(g) for g in gradients)]


def agree(ours: list[Any], theirs: list[Any], tolerance: float) -> bool:
    """Whether two results are the same up to rounding, array by array, relative to the largest number in each."""


    def largest(x: Any) -> float:
        return float(np.max(np.abs(x), initial=0))

    return len(ours) == len(theirs) and all(
        a.shape == b.shape and largest(a - b) <= tolerance * (1 + largest(b)) for a, b in zip(ours, theirs, strict=True)
    )
