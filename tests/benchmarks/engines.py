"""The engines that run the workloads. Peers are optional: what is not installed is left out, and the page says so."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad

from .workloads import Workload

Run = Callable[[], tuple[Any, tuple[Any, ...]]]


OURS = ("autodiff", "autodiff jit")
UNWRITTEN = "the row is not written for it"
UNROLLED = "thousands of operations one by one, which it does not compile in bearable time and memory"


class UnableError(Exception):
    """Why an engine does not run a workload."""


class Engine(NamedTuple):
    """What makes one call of a workload, the module that it needs, and whether its first call compiles."""

    make: Callable[[Workload, tuple[Any, ...]], Run]
    module: str = ""
    compiles: bool = False


def numpy_by_hand(work: Workload, args: tuple[Any, ...]) -> Run:
    """What a patient person would write."""
    by_hand = work.by_hand
    if by_hand is None:
        raise UnableError(UNWRITTEN)
    return lambda: by_hand(*args)


def _axes(work: Workload, count: int) -> tuple[int | None, ...]:
    return tuple(0 if i in work.mapped else None for i in range(count))


def _ours(work: Workload, args: tuple[Any, ...]) -> Callable[..., Any]:
    run: Callable[..., Any] = ad.value_and_grad(lambda *xs: work.f(np, *xs), work.wanted)
    return ad.vmap(run, _axes(work, len(args))) if work.mapped else run


def autodiff(work: Workload, args: tuple[Any, ...]) -> Run:
    """This package, on plain NumPy spelling."""
    run = _ours(work, args)
    return lambda: run(*args)


class Program:
    """A compiled function of ours with its arguments."""

    def __init__(self, run: Any, args: tuple[Any, ...]) -> None:
        self.run, self.args = run, args

    def __call__(self) -> Any:
        return self.run(*self.args)

    def kept(self) -> int:
        """Bytes of the arena, which stay with the program from call to call."""
        return int(self.run.lower(*self.args).memory_plan.arena)


def autodiff_jit(work: Workload, args: tuple[Any, ...]) -> Run:
    """This package, compiled."""
    return Program(ad.jit(_ours(work, args)), args)


def one_by_one(work: Workload, run: Callable[..., Any], args: tuple[Any, ...]) -> Run:
    """What one does with an engine that knows no batches: a loop over the examples."""

    def loop() -> tuple[Any, tuple[Any, ...]]:
        found = []
        for n in range(len(args[work.mapped[0]])):
            found.append(run(*(x[n] if i in work.mapped else x for i, x in enumerate(args))))
        values, gradients = zip(*found, strict=True)
        return np.stack(values), tuple(np.stack(each) for each in zip(*gradients, strict=True))

    return loop


def autograd(work: Workload, args: tuple[Any, ...]) -> Run:
    """HIPS autograd."""
    import autograd as ag
    import autograd.numpy as anp

    run = ag.value_and_grad(lambda *xs: work.f(anp, *xs), work.wanted)
    return one_by_one(work, run, args) if work.mapped else lambda: run(*args)


def _torch_run(work: Workload, args: tuple[Any, ...], compiled: bool) -> Run:
    import torch as th

    compile_ = th.compile if compiled else lambda f: f
    if work.mapped:
        each = th.func.grad_and_value(lambda *xs: work.f(th, *xs), work.wanted)
        batch, plain_tensors = compile_(th.func.vmap(each, _axes(work, len(args)))), [th.tensor(x) for x in args]
        return lambda: batch(*plain_tensors)[::-1]
    tensors = [th.tensor(x, requires_grad=i in work.wanted) for i, x in enumerate(args)]
    wanted = [tensors[i] for i in work.wanted]
    f = compile_(lambda *xs: work.f(th, *xs))

    def run() -> tuple[Any, tuple[Any, ...]]:
        y = f(*tensors)
        return y.detach(), th.autograd.grad(y, wanted)

    return run


def torch(work: Workload, args: tuple[Any, ...]) -> Run:
    """PyTorch, eager."""
    return _torch_run(work, args, compiled=False)


def torch_compiled(work: Workload, args: tuple[Any, ...]) -> Run:
    """PyTorch under ``torch.compile``, which needs a C++ compiler on the machine."""
    import torch as th

    if work.unrolled:
        raise UnableError(UNROLLED)
    warnings.filterwarnings("ignore", module="torch")  # it warns of itself while it compiles
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    th.compiler.reset()  # one row's programs do not count against the next one's
    return _torch_run(work, args, compiled=True)


def mygrad(work: Workload, args: tuple[Any, ...]) -> Run:
    """MyGrad."""
    import mygrad as mg

    def run(*xs: Any) -> tuple[Any, tuple[Any, ...]]:
        tensors = [mg.tensor(x, copy=False) if i in work.wanted else x for i, x in enumerate(xs)]
        y = work.f(mg, *tensors)
        y.backward()
        return y.data, tuple(tensors[i].grad for i in work.wanted)

    return one_by_one(work, run, args) if work.mapped else lambda: run(*args)


def jax(work: Workload, args: tuple[Any, ...]) -> Run:
    """JAX under jit."""
    import jax as jx

    if work.unrolled:
        raise UnableError(UNROLLED)
    jx.config.update("jax_enable_x64", True)
    arrays = [jx.numpy.asarray(x) for x in args]
    each = jx.value_and_grad(lambda *xs: work.f(jx.numpy, *xs), work.wanted)
    run = jx.jit(jx.vmap(each, _axes(work, len(args))) if work.mapped else each)
    return lambda: jx.block_until_ready(run(*arrays))



ENGINES: dict[str, Engine] = {
    "numpy by hand": Engine(numpy_by_hand),
    "autodiff": Engine(autodiff),
    "autodiff jit": Engine(autodiff_jit, compiles=True),
    "autograd": Engine(autograd, "autograd"),
    "torch": Engine(torch, "torch"),
    "torch compiled": Engine(torch_compiled, "torch", compiles=True),
    "mygrad": Engine(mygrad, "mygrad"),
    "jax": Engine(jax, "jax", compiles=True),
}


def runner(engine: str, work: Workload, args: tuple[Any, ...]) -> Run:
    """One call of a workload by an engine.

    Raises
    ------
    UnableError
        Where the engine cannot run it.
    """
    if work.engines is not None and engine.removesuffix(" jit").removesuffix(" compiled") not in work.engines:
        raise UnableError(UNWRITTEN)
    return ENGINES[engine].make(work, args)


def installed() -> list[str]:
    """The engines that can run here."""
    return [name for name, e in ENGINES.items() if not e.module or importlib.util.find_spec(e.module) is not None]


def plain(result: tuple[Any, tuple[Any, ...]]) -> list[np.ndarray[Any, Any]]:
    """Value and gradients of any engine as NumPy arrays."""
    value, gradients = result
    return [np.asarray(value), *(np.asarray(g) for g in gradients)]


def first_result(engine: str, run: Run) -> list[np.ndarray[Any, Any]]:
    """What the first call gives. What a peer raises is why it does not run the row; what we raise is an error."""
    if engine in OURS or engine == "numpy by hand":
        return plain(run())
    try:
        return plain(run())
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        raise UnableError(f"{type(error).__name__}: {text[:120]}") from error


def agree(ours: list[Any], theirs: list[Any], tolerance: float) -> bool:
    """Whether two results are the same up to rounding, array by array, relative to the largest number in each.

    A number that is not finite agrees with nothing.
    """

    def largest(x: Any) -> float:
        return float(np.max(np.abs(x), initial=0))

    return len(ours) == len(theirs) and all(
        a.shape == b.shape and largest(a - b) <= tolerance * (1 + largest(b)) < np.inf
        for a, b in zip(ours, theirs, strict=True)
    )
