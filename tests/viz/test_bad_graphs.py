"""Graphs that have nothing to show, or too much, or nothing but what is no number: a right picture or a named error."""

import re
import time

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError
from tests.viz import nets
from tests.viz.watching import DRAWN, DRAWS, FORMATS, check, check_dot, check_svg, drawn, nothing_left

ASKED = ("svg", "png", "pdf", "dot")  # of Graphviz, each in its own way
LIMIT = 20.0  # seconds, for any of these graphs in any format

BAD = (np.nan, np.inf, -np.inf)


def everywhere(number, dtype=float):
    """A flow in which every value and every δ is this number."""
    x = np.full((2, 3), number, dtype)
    graph = ad.trace(lambda x, w: ad.name(x + w, "sum") * 1.0)(x, x)
    return graph.backward(np.full((2, 3), number, dtype))


def mixed():
    """All that is no number among numbers, so that products of infinities and zeros arise on the way."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1.7e308, 1.0])
    with np.errstate(all="ignore"):
        graph = ad.trace(lambda x: np.log(x) * np.exp(x) - x / x)(x)
        return graph.backward(x[::-1].copy())


def of(f, *args, seed=None):
    """A flow of anything; the seed is ones."""
    graph = ad.trace(f)(*args)
    ones = [np.ones(graph.shapes[v], graph.dtypes[v]) for v in graph.outputs]
    return graph.backward(seed if seed is not None else ones if len(ones) != 1 else ones[0])


def twice(x):
    return np.sum(x * 2.0, axis=0)


GRAPHS = {
    **{f"{number} everywhere": lambda number=number: everywhere(number) for number in BAD},
    "nan in half precision": lambda: everywhere(np.nan, np.float16),
    "complex nan": lambda: everywhere(complex(np.nan, np.inf), complex),
    "everything that is no number": mixed,
    "every state": nets.states_flow,
    "largest numbers": lambda: everywhere(np.finfo(float).max),
    "smallest numbers": lambda: everywhere(np.finfo(float).smallest_subnormal),
    "zeros": lambda: everywhere(-0.0),
    "zero-size": lambda: of(twice, np.ones((0, 3))),
    "zero-size result": lambda: of(twice, np.ones((3, 0))),
    "zero-size all the way": lambda: of(lambda x, y: (x @ y) * 2.0, np.ones((0, 0)), np.ones((0, 0))),
    "no path": lambda: of(lambda x, y: (np.floor(x * 3.0), y * 2.0)[1], np.ones(2), np.ones(2)),
    "nothing but no path": lambda: of(lambda x: np.floor(x), np.ones(2)),
    "unused input": lambda: of(lambda x, y: y * 2.0, np.ones(2), np.ones(2)),
    "one node": lambda: of(lambda x: x, np.ones(2)),
    "no inputs": lambda: of(lambda: 2.0),
    "integers": lambda: ad.trace(lambda n: n * 2 + 1)(3),
    "integers and a float": lambda: ad.trace(lambda n, x: x * n)(3, 2.0),
    "many outputs": lambda: of(lambda x: [x * float(k) for k in range(20)], np.ones(2)),
    "one output twice": lambda: of(lambda x: [x * 2.0] * 2, np.ones(2)),
    "33 dimensions": lambda: of(lambda x: x * 2.0, np.ones((1,) * 33)),
    "the same argument six times": lambda: of(lambda x: np.einsum("i,i,i,i,i,i->", x, x, x, x, x, x), np.ones(2)),
}


@pytest.fixture(scope="module")
def bad():
    """Each of the graphs, made once. NumPy's warnings are the user's own; those of a draw would be errors."""
    made = {}

    def make(name):
        if name not in made:
            with np.errstate(all="ignore"):
                made[name] = GRAPHS[name]()
        return made[name]

    return make


@pytest.mark.parametrize("form", [pytest.param(x, marks=pytest.mark.engine) if x in ASKED else x for x in FORMATS])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_right_picture_or_a_named_error(name, form, bad, monkeypatch, capfd, tmp_path):
    source = bad(name)
    if isinstance(source, ad.Graph) and form in ("notebook", "explorer"):
        form = {"notebook": "svg", "explorer": "html"}[form]
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"):
        began = time.monotonic()
        try:
            found = drawn(source, form)
        except PictureError:
            assert form in DRAWN
            assert not DRAWS
        else:
            check(form, found)
        assert time.monotonic() - began < LIMIT


def test_the_picture_says_what_is_no_number(bad):
    for number, word in ((np.nan, "NaN ×6"), (np.inf, "+Inf ×6"), (-np.inf, "−Inf ×6")):
        text = drawn(bad(f"{number} everywhere"), "txt")
        assert text.count(word) >= 6, word  # value and δ of all four nodes, and the notes
        root = check_svg(drawn(bad(f"{number} everywhere"), "svg", engine="builtin"), boxes=4)
        shown = " ".join(element.text or "" for element in root.iter())
        assert f"{word} of 6" in shown
    assert "empty" in drawn(bad("zero-size"), "txt")
    assert "no path" in drawn(bad("no path"), "txt")


CHOICES = (
    {"collapse": 1}, {"collapse": 1, "direction": "LR"}, {"prune": 0.98}, {"arrows": "both"}, {"arrows": "reverse"},
    {"focus": 0}, {"theme": "dark"},
)  # fmt: skip


@pytest.mark.parametrize("number", [*BAD, 0.0, 1e308])
@pytest.mark.parametrize("form", ["svg", "dot", "html", "json", "txt"])
def test_a_residual_net_of_no_numbers_with_every_choice(number, form, monkeypatch, capfd, tmp_path):
    rng = np.random.default_rng(0)
    flow = nets.residual_flow(rng)
    with np.errstate(all="ignore"):
        flow = flow.graph.backward(np.float64(number))
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"):
        for options in CHOICES:
            if form == "html" and "arrows" in options:
                continue
            found = drawn(flow, form, engine="builtin", **options)
            check(form, found)
            if form == "svg":
                shown = [element.text or "" for element in check_svg(found).iter() if not element.tag.endswith("style")]
                assert not any(re.search(r"\b(nan|inf)\b|-0 %|  ,| ,", text) for text in shown), shown


# -- 10⁵ nodes ---------------------------------------------------------------------------------------------------------


def long(x):
    for block in range(100):
        with ad.scope(f"block{block}"):
            for _ in range(1000):
                x = x + 1.0
    return x


@pytest.fixture(scope="module")
def huge():
    return ad.flow(long)(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["svg", "dot"])
def test_a_hundred_thousand_nodes_are_refused_with_what_would_help(huge, form):
    began = time.process_time()  # a busy machine does not count
    with pytest.raises(PictureError, match=r"100,001 boxes[\s\S]*'block0'[\s\S]*collapse=1 gives 100;[\s\S]*\.json"):
        drawn(huge, form)
    assert time.process_time() - began < LIMIT / 2  # no numbers are gathered for a picture that is not drawn


@pytest.mark.slow
def test_a_hundred_thousand_nodes_collapsed_and_in_focus(huge):
    check_svg(drawn(huge, "svg", collapse=1, engine="builtin"), boxes=100)  # what is read first stands in the first
    check_dot(drawn(huge, "dot", collapse=1), boxes=100)
    check_svg(drawn(huge, "svg", focus=50_000, hops=3, engine="builtin"), boxes=7)


@pytest.mark.slow
def test_a_hundred_thousand_nodes_in_a_notebook_are_a_table(huge):
    assert drawn(huge, "notebook") is None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", ["json", "txt", "html"])
def test_a_hundred_thousand_nodes_as_data(huge, form):
    check(form, drawn(huge, form), boxes=100_001)
