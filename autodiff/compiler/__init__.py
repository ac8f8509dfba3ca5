"""The compiler: passes (graph to graph), a plan of memory, and the Python text of the program."""

from .compiled import Compiled
from .jit import Jit, jit
from .passes import ASKED_FOR, PASSES

__all__ = ["ASKED_FOR", "PASSES", "Compiled", "Jit", "jit"]
