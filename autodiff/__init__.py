"""Reverse-mode automatic differentiation of NumPy code, with a graph that you can see."""

from . import compiler, errors, nn, numpy, ops, testing, viz
from .batching import vmap
from .compiler import jit
from .flows import GradientFlow
from .graph import Graph, Node, check
from .op import Op
from .primitives import primitive
from .tensor import Tensor
from .threads import set_threads
from .training import watch
from .transforms import (
    checkpoint,
    debug,
    elementwise_grad,
    flow,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    name,
    scope,
    stop_gradient,
    trace,
    value_and_grad,
    vjp,
)

__version__ = "0.1.0"

__all__ = [
    "GradientFlow", "Graph", "Node", "Op", "Tensor", "check", "checkpoint", "compiler", "debug",
    "elementwise_grad", "errors", "flow", "grad", "hessian", "hvp", "jacobian", "jit", "jvp", "name", "nn", "numpy",
    "ops", "primitive", "scope", "set_threads", "stop_gradient", "testing", "trace", "value_and_grad", "viz", "vjp",
    "vmap", "watch",
]  # fmt: skip
