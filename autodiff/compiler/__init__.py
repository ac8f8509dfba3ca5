"""The compiler: passes (graph to graph), a plan of memory, and the Python text of the program."""

from .jit import Compiled, Jit, jit
from .passes import PASSES

__all__ = ["PASSES", "Compiled", "Jit", "jit"]
