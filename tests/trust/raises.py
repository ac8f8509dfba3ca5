"""Where the package raises, as its source says it."""

import ast
import builtins
from pathlib import Path
from typing import NamedTuple

import autodiff as ad

HOUSE = Path(ad.__file__).parent


class Site(NamedTuple):
    """One `raise` of a new exception."""

    file: str
    function: str
    raises: str
    argument: ast.expr | None
    line: int

    @property
    def of_python(self):
        """Whether it is one of Python's own exceptions, or NumPy's."""
        return hasattr(builtins, self.raises) or self.raises.startswith("np.")

    @property
    def has_parts(self):
        """Whether its text is made by `message`."""
        return isinstance(self.argument, ast.Call) and ast.unparse(self.argument.func) in ("message", "_not_each")


def sites():
    """Every place in the package that raises a new exception."""
    for path in sorted(HOUSE.rglob("*.py")):
        yield from _inside(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(HOUSE).as_posix(), ())


def _inside(node, file, around):
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
        path = (*around, child.name) if named else around
        if isinstance(child, ast.Raise) and child.exc is not None:
            called = isinstance(child.exc, ast.Call)
            name = ast.unparse(child.exc.func if called else child.exc)
            argument = child.exc.args[0] if called and child.exc.args else None
            yield Site(file, ".".join(path), name, argument, child.lineno)
        yield from _inside(child, file, path)


def advice():
    """The last part of every message that stands in the source as a text: (file, line, text)."""
    for path in sorted(HOUSE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("message", "refuse", "warn", "_refuse"):
                for part in ast.walk(node.args[-1]) if node.args else ():
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield path.relative_to(HOUSE).as_posix(), part.lineno, part.value
