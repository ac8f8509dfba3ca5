"""NumPy's own namespace is the judge: every public name is differentiable, flat, or refused with its reason."""

import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff.cli.names import ATTRIBUTES, DIFFERENTIABLE, FLAT, NAMESPACES, NOT, OBJECTS, names
from autodiff.op import FUNCTIONS, REFUSED
from autodiff.tensor import Tensor
from autodiff.traced import plain

SPELLED = {f"{spelling}.{name}": getattr(space, name) for spelling, space in NAMESPACES for name in dir(space)}
CALLABLE = [s for s in names() if s.name in SPELLED and callable(SPELLED[s.name])]
REFUSED_NAMES = [s.name for s in CALLABLE if s.status == NOT and not s.name.endswith(".test")]


def test_no_name_is_missing():
    judged = {s.name for s in names()}
    public = {name for name in SPELLED if not name.rpartition(".")[2].startswith("_")}
    public |= {f"ndarray.{name}" for name in dir(np.ndarray) if not name.startswith("_")}
    assert judged == public
    assert [s.name for s in names() if s.status not in (DIFFERENTIABLE, FLAT, NOT)] == []


def test_each_refusal_says_why():
    assert [s.name for s in names() if s.status == NOT and not s.through.startswith("because ")] == []


def test_what_is_declared_about_attributes_is_true_of_numpy_and_of_tensors():
    declared = {name for reasons in ATTRIBUTES.values() for told in reasons.values() for name in told.split()}
    assert [name for name in declared if not hasattr(np.ndarray, name)] == []
    differentiable = {name for told in ATTRIBUTES[DIFFERENTIABLE].values() for name in told.split()}
    assert [name for name in differentiable if not hasattr(Tensor, name)] == []
    assert [name for name in OBJECTS if not hasattr(np, name)] == []


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_what_is_refused_never_returns_numbers_without_their_history(name, tmp_path, monkeypatch):
    """A tensor given to it as its first argument: an error, or nothing that is made of its numbers."""
    monkeypatch.chdir(tmp_path)
    function = SPELLED[name]
    came_out = []

    def f(x):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                came_out.append(function(x))
        except Exception:  # whatever it raises, nothing was lost in silence
            came_out.append(None)
        return np.sum(x)

    ad.grad(f)(np.array([[0.5, 1.5], [2.5, 3.5]]))
    (result,) = came_out
    if isinstance(result, np.ndarray) and np.asarray(plain(result)).dtype.kind in "fc":
        assert result.size == 0 or not np.isin(np.asarray(plain(result)), [0.5, 1.5, 2.5, 3.5]).any()


@pytest.mark.parametrize("name", [s.name for s in CALLABLE if hasattr(SPELLED[s.name], "_implementation")])
def test_where_numpy_hands_a_refused_call_over_the_error_says_the_reason(name):
    function = SPELLED[name]
    if function not in REFUSED:
        assert function in FUNCTIONS
        return

    def f(x):
        with pytest.raises(ad.errors.NoRuleError) as caught:
            x.__array_function__(function, (Tensor,), (x,), {})
        assert REFUSED[function] in str(caught.value)
        return np.sum(x)

    ad.grad(f)(np.ones((2, 2)))
