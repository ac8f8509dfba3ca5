"""The compiler: passes (graph to graph), a plan of memory, and the Python text of the program."""

from .jit import Jit, jit

__all__ = ["Jit", "jit"]
