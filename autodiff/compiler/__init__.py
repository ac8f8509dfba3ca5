"""The compiler: passes (graph to graph), a plan of memory, and the Python text of the program."""

from .jit import Compiled, Jit, jit
from .passes import ASKED_FOR, PASSES

__all__ = ["ASKED_FOR", "PASSES", "Compiled", "Jit", "jit"]
