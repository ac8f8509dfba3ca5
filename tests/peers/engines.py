"""The engines, each behind the same two doors: its namespace, and the gradient of a scalar function of arrays."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad


class Engine(NamedTuple):
    """One engine: `space` is its NumPy (or torch), `pull` takes (f, xs) to a gradient for each x.

    `pull` may be called inside itself, for second derivatives; `array` and `plain` lead in and out.
    """

    name: str
    space: Any
    pull: Callable[[Callable[..., Any], tuple[Any, ...]], tuple[Any, ...]]
    array: Callable[[Any], Any]
    plain: Callable[[Any], Any]


def _installed(name):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an engine says of itself while it is imported
            return importlib.import_module(name)
    except ImportError:
        return None


def _ours():
    def pull(f, xs):
        return ad.grad(f, argnums=tuple(range(len(xs))))(*xs)

    return Engine("autodiff", np, pull, np.array, np.asarray)


def _jax(jax):
    jax.config.update("jax_enable_x64", True)
    jnp = importlib.import_module("jax.numpy")

    def pull(f, xs):
        return jax.grad(f, argnums=tuple(range(len(xs))))(*xs)

    return Engine("JAX", jnp, pull, jnp.asarray, np.asarray)


def _autograd(autograd):
    anp = importlib.import_module("autograd.numpy")
    importlib.import_module("autograd.numpy.linalg")

    def pull(f, xs):
        return autograd.grad(f, argnum=tuple(range(len(xs))))(*xs)

    return Engine("autograd", anp, pull, np.array, np.asarray)


def _torch(torch):
    torch.set_num_threads(1)

    def pull(f, xs):
        xs = tuple(x if x.requires_grad else x.clone().requires_grad_() for x in xs)
        y = f(*xs)
        if not y.requires_grad:
            return tuple(torch.zeros_like(x) for x in xs)
        found = torch.autograd.grad(y, xs, create_graph=True, allow_unused=True)
        return tuple(torch.zeros_like(x) if d is None else d for x, d in zip(xs, found, strict=True))

    def plain(x):
        return x.detach().resolve_conj().numpy(force=True)

    return Engine("PyTorch", torch, pull, lambda x: torch.tensor(np.asarray(x)), plain)


def _mygrad(mygrad):
    def pull(f, xs):
        xs = tuple(mygrad.tensor(x) for x in xs)
        y = f(*xs)
        y.backward()
        return tuple(np.zeros(x.shape) if x.grad is None else x.grad for x in xs)

    return Engine("MyGrad", mygrad, pull, np.array, np.asarray)


MAKERS = {"jax": _jax, "torch": _torch, "autograd": _autograd, "mygrad": _mygrad}
OURS = _ours()


def installed(*names):
    """The engines of these modules that are installed, in order."""
    found = ((name, _installed(name)) for name in names)
    return [MAKERS[name](module) for name, module in found if module is not None]


def derivatives(engine, f, xs, names, pointwise):
    """Every derivative of Σ f by name: x, y of first order; of second xx, xy, yy where f is pointwise, else H·v as xx.

    v is a fixed direction. Complex arguments have no second derivative here.
    """
    given = tuple(engine.array(x) for x in xs)
    found = {}

    def total(*args):
        return f(engine.space, *args).sum()

    def slope(along):
        def along_one(*args):
            parts = [(d * v).sum() for d, v in zip(engine.pull(total, args), along, strict=True) if v is not None]
            return sum(part.real if "complex" in str(part.dtype) else part for part in parts)

        return along_one

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.update(zip(names, engine.pull(total, given), strict=True))
        for k, x in enumerate(xs):
            ones = np.ones_like(x) if pointwise else 0.5 + 0.25 * np.arange(x.size).reshape(x.shape)
            along = [engine.array(ones.astype(x.dtype)) if i == k else None for i in range(len(xs))]
            second = engine.pull(slope(along), given)
            found.update((names[k] + names[i], second[i]) for i in range(k, len(xs)))
    return {name: engine.plain(d) for name, d in found.items()}
