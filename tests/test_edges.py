"""What was decided at edges, executed: NumPy's own value, the decided derivative, forward and reverse."""

from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff.cli import operations
from autodiff.testing import edges

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    pytest.param(edge, id=f"{topic.lower()}: {edge.expression} at {edge.at}")
    for topic, decided in edges.DECIDED.items()
    for edge in decided
]


def directions(args, k):
    """Tangents that are one unit vector of argument k, and zero else; for complex numbers the imaginary ones too."""
    for index in np.ndindex(np.shape(args[k])):
        for unit in (1.0, 1j) if np.iscomplexobj(args[k]) else (1.0,):
            tangents = [np.zeros_like(x) for x in args]
            tangents[k][index] = unit
            yield index, unit, tuple(x[()] for x in tangents)


@pytest.mark.parametrize("edge", ROWS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_decided(edge):
    args = tuple(edges.point(edge).values())
    wanted = edges.slopes(edge)

    def f(*xs):
        return np.sum(edges.evaluated(edge, *xs))

    every = tuple(range(len(args)))
    if isinstance(wanted, type):
        with pytest.raises(wanted) as plainly:
            f(*args)
        with pytest.raises(wanted) as traced:
            ad.grad(f, every)(*args)
        assert str(plainly.value) == str(traced.value)
        return
    value, found = ad.value_and_grad(f, every)(*args)
    np.testing.assert_array_equal(value, f(*args))
    for k, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert got.shape == want.shape == np.shape(args[k])
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=0)
        for index, unit, tangents in directions(args, k):
            ahead = ad.jvp(f, args, tangents)[1]
            np.testing.assert_allclose(ahead, np.real(want[index] * unit), rtol=1e-14, atol=0)


def test_every_decision_and_every_corner_has_its_reason():
    assert [edge for decided in edges.DECIDED.values() for edge in decided if not edge.why] == []
    assert [(op.name, at) for op, at, _, why in edges.declared() if not why] == []


def test_a_wrong_decision_is_caught():
    wrong = edges.Edge("np.max(x)", "x = [1., 3., 3.]", "[0, 1, 0]", "the first of those that tie")
    with pytest.raises(AssertionError):
        test_decided(wrong)


def test_the_page_is_fresh():
    kept = (ROOT / "docs/edges.md").read_text(encoding="utf-8")
    assert kept.rstrip("\n") == operations.edges_as_markdown(), "`make ops` writes it anew"
