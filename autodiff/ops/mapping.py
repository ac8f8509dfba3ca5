"""Functions that take a function: along an axis, over axes, element by element."""
