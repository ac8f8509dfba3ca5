"""Batches: `vmap`, the trace that carries out operations on all examples at once, and the rules by which it does."""

from .examples import Batched
from .rules import FIRST, RULES, loops
from .trace import BatchTrace
from .vmap import vmap

__all__ = ["FIRST", "RULES", "BatchTrace", "Batched", "loops", "vmap"]
