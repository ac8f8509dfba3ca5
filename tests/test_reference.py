"""Every public name is documented: what it takes, what it returns, an example that runs, a place in the reference."""

import contextlib
import doctest
import functools
import inspect
import io
import re
import types
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import scipy, sweep, training
from autodiff.flows.amounts import Rows, Told
from autodiff.graph import OPERATIONS
from autodiff.numpy import linalg
from autodiff.primitives import Primitive
from autodiff.scipy import linalg as scipy_linalg
from autodiff.scipy import special, stats

REFERENCE = Path(__file__).resolve().parents[1] / "docs/reference"
MODULES = (ad, ad.nn, ad.testing, ad.viz, ad.compiler)
OTHERS = (
    Primitive, Rows, Told, training.Watch, training.load, sweep.evaluate, sweep.tangents, sweep.deltas, ad.viz.plots,
    scipy, special, stats, scipy_linalg, linalg,
)  # fmt: skip
"""What users meet without finding it in a list of public names."""
SECTION = re.compile(r"^(\w+)\n-+$", re.MULTILINE)


def is_ours(thing):
    return str(getattr(thing, "__module__", "")).startswith("autodiff")


def named():
    """The public face: (name under which the reference has it, the thing itself)."""
    for module in MODULES:
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
    for name in ad.numpy.__all__:
        if is_ours(getattr(ad.numpy, name)):
            yield f"autodiff.numpy.{name}", getattr(ad.numpy, name)
    for name, thing in vars(ad.viz.plots).items():
        if name.startswith("plot_"):
            yield f"autodiff.viz.plots.{name}", thing
    for name, thing in vars(ad.errors).items():
        if isinstance(thing, type) and issubclass(thing, (Exception, Warning)) and is_ours(thing):
            yield f"autodiff.errors.{name}", thing
    for thing in OTHERS:
        yield (thing.__name__ if inspect.ismodule(thing) else f"{thing.__module__}.{thing.__name__}"), thing


INSIDE = {ad.Op: {"formula"}, ad.testing.Report: {"total"}}
"""Classes of which the package alone calls the other methods."""

PUBLIC: dict[str, object] = {}
for _name, _thing in named():
    if not any(_thing is known for known in PUBLIC.values()):  # autodiff.compiler.jit is autodiff.jit
        PUBLIC[_name] = _thing
CLASSES = {name: thing for name, thing in PUBLIC.items() if isinstance(thing, type)}


def members():
    """The public methods and properties of the public classes; a tensor's that are NumPy's are documented there."""
    for name, cls in CLASSES.items():
        if issubclass(cls, BaseException):
            continue
        for key, thing in vars(cls).items():
            if key.startswith("_") or key.endswith("_hook") or isinstance(thing, types.MemberDescriptorType):
                continue
            numpys = cls is ad.Tensor and (hasattr(np.ndarray, key) or hasattr(np.float64, key))
            if numpys or key not in INSIDE.get(cls, {key}):
                continue
            if isinstance(thing, (types.FunctionType, classmethod, staticmethod, property, functools.cached_property)):
                yield f"{name}.{key}", thing


MEMBERS = dict(members())
FUNCTIONS = {name: thing for name, thing in {**PUBLIC, **MEMBERS}.items()
             if isinstance(getattr(thing, "__func__", thing), types.FunctionType)}  # fmt: skip


def document(thing):
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "")


def sections(text):
    """The sections of a docstring by their titles, as NumPy's style underlines them."""
    parts = SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", [*PUBLIC, *MEMBERS])
def test_every_public_name_has_a_docstring(name):
    thing = {**PUBLIC, **MEMBERS}[name]
    if isinstance(thing, (tuple, dict)):  # a constant: the reference page says what it is
        return
    text = document(thing)
    assert text
    if isinstance(thing, type):  # not the one of a class that it is made from
        assert text != document(thing.__mro__[1])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_and_returns_and_shows_it(name):
    function = getattr(FUNCTIONS[name], "__func__", FUNCTIONS[name])
    found = sections(document(function))
    signature = inspect.signature(function)
    taken = [key for key in signature.parameters if key not in ("self", "cls")]
    listed = found.get("Parameters", "")
    heads = " ".join(line.partition(" :")[0] for line in listed.splitlines() if line and not line[0].isspace())
    missing = [key for key in taken if key not in re.findall(r"\w+", heads)]
    assert not missing, f"{name}: Parameters says nothing of {missing}"
    if signature.return_annotation not in ("None", None):
        assert {"Returns", "Yields"} & set(found), f"{name}: no Returns"
    assert ">>> " in found.get("Examples", ""), f"{name}: no example"


def test_every_public_name_stands_in_the_reference():
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md")))
    stands = set(re.findall(r"^\.\. auto(?:function|class|exception|module):: ([\w.]+)$", text, re.MULTILINE))
    constants = re.findall(r"^\.\. py:data:: (\w+)\n   :module: ([\w.]+)$", text, re.MULTILINE)
    stands |= {f"{module}.{name}" for name, module in constants}
    catalogue = (REFERENCE.parent / "errors.md").read_text(encoding="utf-8")
    stands |= {f"autodiff.errors.{name}" for name in re.findall(r"^### (\w+)$", catalogue, re.MULTILINE)}
    assert sorted(set(PUBLIC) - {"autodiff.ops", "autodiff.errors"} - stands) == []
    whole = dict(re.findall(r"^\.\. autoclass:: ([\w.]+)\n   :members:(.*)$", text, re.MULTILINE))
    for name in MEMBERS:
        bearer, _, key = name.rpartition(".")
        assert bearer in whole, name
        assert not whole[bearer] or key in whole[bearer].replace(",", " ").split(), name


@pytest.mark.parametrize("name", [*PUBLIC, *MEMBERS])
def test_every_example_imports_what_it_uses(name, tmp_path, monkeypatch):
    """As a reader would type it; that it gives what it shows is tested where it stands."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "reader"}
    for example in doctest.DocTestParser().get_examples(document({**PUBLIC, **MEMBERS}[name])):
        if not example.exc_msg:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(example.source, name, "single"), namespace)
    for added in [key for key in OPERATIONS if key.startswith("reader.")]:  # an example's own operation
        del OPERATIONS[added]
