"""Sentences about a flow where its parts oppose each other, cancel, vanish or are no numbers."""

import numpy as np
import pytest

import autodiff as ad


def branched(factors):
    """x passes blocks whose residual branch multiplies by a factor; three operations a branch leave no doubt."""

    def f(x):
        for n, factor in enumerate(factors):
            with ad.scope(f"block{n + 1}"):
                x = x + np.negative(np.negative(factor * x))
        return x

    return ad.flow(f)(1.0)


def test_a_part_that_opposes_the_rest_is_not_called_most():
    flow = branched([-0.25])
    assert [row["projection"] for row in flow.spectrum("x")] == pytest.approx([4 / 3, -1 / 3])
    assert flow.spectrum("x").told == (
        "Of the δ of x 133 % came through skips alone; weighted by length it took 0.2 of 1 residual branch on average."
    )
    told = branched([-3.0]).spectrum("x").told
    assert told.startswith("Of the δ of x −50 % (opposing the rest) came through skips alone, and most, 150 %, through")
    flow = branched([-1.4, 1.5, 0.2])  # of the parts 1, 0.3, −2.08, −0.42 the third is the longest
    rows = flow.spectrum("x")
    assert [row["projection"] * flow["x"] for row in rows] == pytest.approx([1, 0.3, -2.08, -0.42])
    assert max(rows, key=lambda row: row["norm"])["branches"] == 2
    assert "most, 173 %, through 2 residual branches" in rows.told  # δ itself is negative: it is the first that opposes
    assert "−83.3 % (opposing the rest) came through skips alone" in rows.told
    flow = branched([-2.0, -2.0, 1.5])  # 1, −2.5, −2, 6
    assert "and most, 240 %, through 3" in flow.spectrum("x").told


def test_the_longest_part_may_oppose_the_rest():
    flow = branched([-0.5, -0.6])  # of the parts 1, −1.1, 0.3
    assert [row["projection"] for row in flow.spectrum("x")] == pytest.approx([5, -5.5, 1.5])
    assert flow.spectrum("x").told.startswith(
        "Of the δ of x 500 % came through skips alone, and the longest part, −550 % (opposing the rest), through 1 "
        "residual branch; "
    )


@pytest.mark.parametrize(
    ("factors", "seed", "said"),
    [
        ([-1.0], 1.0, "The parts of the δ of x by residual branches cancel: no share of it can be told."),
        ([0.5], 0.0, "The δ of x is zero along every path."),
        ([np.nan, 0.5], 1.0, "The δ of x, or a part of it, is not finite: no share of it can be told."),
        ([0.5, np.inf], 1.0, "The δ of x, or a part of it, is not finite: no share of it can be told."),
    ],
)
def test_shares_that_do_not_exist_are_not_told_as_numbers(factors, seed, said):
    flow = branched(factors)
    rows = flow.graph.backward(np.float64(seed)).spectrum("x")
    assert rows.told == said
    assert "nan" not in rows.told


def test_joins_where_skips_oppose():
    told = branched([-3.0, 0.5]).joins().told
    assert "8.33 % of δ on average, from −50 % (opposing the rest) at block1 to 66.7 % at block2;" in told
    assert "at 1 of them skip and residual branch oppose each other" in told
    told = branched([np.nan]).joins().told
    assert told == "1 join; at its fork δ is not finite, and no share of it can be told."


@pytest.mark.parametrize(
    ("factors", "seed", "said"),
    [
        ([0.5], 1.0, "1 join. Back through the skip comes 66.7 % of δ."),
        ([-0.5], 1.0, "1 join. Back through the skip comes 200 % of δ; skip and residual branch oppose each other."),
        ([0.5, 0.5], 0.0, "2 joins; at all of their forks δ is zero, and no share of it can be told."),
        ([-1.0], 1.0, "1 join; at its fork δ is zero, and no share of it can be told."),
        ([-1.0, 1.0], 1.0, "2 joins. Back through the skip comes 50 % of δ; at 1 of them skip and residual branch "
         "oppose each other; at 1 of their forks δ is zero, and no share of it can be told."),
    ],
)  # fmt: skip
def test_what_joins_say_of_one_skip_and_of_none(factors, seed, said):
    assert branched(factors).graph.backward(np.float64(seed)).joins().told == said


def test_what_joins_say_where_shares_are_lacking_at_some():
    told = branched([np.inf, 1.0, 0.5]).joins().told
    assert told.startswith("3 joins. Back through the skips comes 58.3 % of δ on average, from 50 % at block2 to 66.7")
    assert told.endswith(" % at block3; at 1 of their forks δ is not finite, and no share of it can be told.")


@pytest.mark.parametrize(
    ("f", "seed", "said"),
    [
        (lambda x: x + np.sin(x), 0.0, "The δ of x is zero along each of 2 edges."),
        (np.sin, 0.0, "The δ of x is zero along one edge."),
        (lambda x: np.sin(x) - np.sin(x), 1.0, "The δ of x is zero: what comes back along 2 edges cancels."),
        (lambda x: x + np.nan * x, 1.0, "The δ of x is not finite: no share of it can be told."),
        (lambda x: x + np.inf * x, 1.0, "The δ of x is not finite: no share of it can be told."),
    ],
)
def test_what_shares_say_of_a_δ_that_has_none(f, seed, said):
    assert ad.trace(f)(1.0).backward(np.float64(seed)).shares("x").told == said


def test_scopes_of_one_size_and_a_gradient_of_zero():
    assert branched([0.0, 0.0, 0.0]).by_scope().told == "In all 3 scopes with a δ its RMS is 1."
    assert branched([0.0, 0.0]).by_scope().told == "In both scopes with a δ its RMS is 1."
    assert branched([0.5]).graph.backward(np.float64(0.0)).prune().told == (
        "The gradient is zero: no edge carries any of it."
    )


# -- three answers in three lines --------------------------------------------------------------------------------------


def test_a_skip_or_a_residual_branch_is_cut_by_the_name_of_its_block():
    flow = branched([-3.0, 0.5, 2.0])
    join = flow.joins()[1]
    assert (join["scope"], join["kind"]) == ("block2", "identity")
    assert flow.cut(skip="block2")["x"] == flow.cut((join["fork"], join["join"], join["skip"]))["x"] == -2 * 0.5 * 3
    assert flow.cut(residual="block2")["x"] == -2 * 3
    assert flow.cut(skip=join["join"])["x"] == flow.cut(skip=flow.graph.nodes[join["join"]])["x"] == -3
    assert flow.cut(residual=["block1", "block2", "block3"])["x"] == 1
    assert flow.cut(skip="block1", residual="block1").has_path("x") is False


def test_a_cut_that_names_no_one_join_is_refused():
    flow = branched([0.5])
    with pytest.raises(ad.errors.GraphError, match="the joins are block1"):
        flow.cut(skip="block9")
    with pytest.raises(ad.errors.GraphError, match="the joins are block1"):
        flow.cut(residual=0)
    unclear = ad.flow(lambda x: np.sin(x) + np.cos(x))(1.0)
    with pytest.raises(ad.errors.GraphError, match="both ways may be the skip"):
        unclear.cut(skip=unclear.joins()[0]["join"])

    def twice(x):
        with ad.scope("pair"):
            x = x + np.negative(2.0 * x)
            return x + np.negative(2.0 * x)

    flow = ad.flow(twice)(1.0)
    with pytest.raises(ad.errors.GraphError, match="2 joins, at the nodes 3, 6"):
        flow.cut(skip="pair")
    assert flow.cut(skip=6)["x"] == 2.0
