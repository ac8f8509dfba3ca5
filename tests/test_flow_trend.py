"""The trend of δ over depth: constructed nets whose factor a block is known."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.flows.trend import fit, numbered


def chain(factor, blocks):
    def f(x):
        for i in range(blocks):
            with ad.scope(f"layer{i}"):
                x = x * factor
        return np.sum(x)

    return f


def test_the_factor_of_a_chain_is_what_it_multiplies_by():
    rows = ad.flow(chain(0.5, 20))(np.ones(3)).trend()
    assert [row["block"] for row in rows] == [f"layer{i}" for i in reversed(range(20))]
    assert rows.summary["factor"] == pytest.approx(0.5)
    assert rows.summary["r2"] == pytest.approx(1)
    assert [row["factor"] for row in rows[1:]] == pytest.approx([0.5] * 19)
    assert rows.told == (
        "On its way back through 20 blocks δ shrinks by ×0.5 a block, from 1 to 1.91e-06 (R² = 1.00)."
    )
    assert rows.summary["blocks_to_floor"] == pytest.approx(1022 - 19)


def test_the_floor_of_short_floats():
    rows = ad.flow(chain(np.float16(0.25), 12))(np.ones(3, np.float16)).trend()
    assert [row["below_floor"] for row in rows] == [False] * 8 + [True] * 4
    assert rows.told.endswith("In 4 of them δ is below the smallest normal number of float16, 6.1e-05.")


def test_blocks_without_scopes_are_those_of_the_joins(rng):
    def f(x):
        x = np.sin(x)
        for _ in range(5):
            x = x + np.negative(np.negative(x))
        return x

    rows = ad.flow(f)(0.3).trend()
    assert rows.summary["factor"] == pytest.approx(2)
    assert len(rows) == 5


def test_no_trend_where_there_are_no_blocks():
    rows = ad.flow(lambda x: x * x)(1.0).trend()
    assert rows == []
    assert rows.summary["factor"] is None
    assert rows.told.startswith("There is no trend")


def test_a_block_is_no_trend_and_two_have_no_quality():
    assert ad.flow(chain(0.5, 1))(np.ones(3)).trend().told == "There is no trend over 1 block."
    assert ad.flow(chain(0.5, 2))(np.ones(3)).trend().told == (
        "On its way back through 2 blocks δ shrinks by ×0.5 a block, from 1 to 0.5."
    )


def scaled(*factors):
    def f(x):
        for i, factor in enumerate(factors):
            with ad.scope(f"layer{i}"):
                x = x * factor
        return np.sum(x)

    with np.errstate(invalid="ignore"):
        return ad.flow(f)(np.ones(3)).trend()


def test_what_a_trend_says_of_zeros_of_nan_and_of_zigzags():
    assert scaled(1.0, 1.0, 0.0, 1.0).told == (
        "On its way back through 4 blocks δ keeps its size, from 1 to 1. In 2 of them δ is zero."
    )
    rows = scaled(0.5, 0.5, np.array([np.nan, 1.0, 1.0]), 0.5)
    assert [row["nonfinite"] > 0 for row in rows] == [False, False, True, True]
    assert rows.told.endswith("In 2 of them some of δ is not finite.")
    rows = scaled(0.5, np.nan, 0.5, 0.5)
    assert [row["block"] for row in rows] == [f"layer{i}" for i in (3, 2, 1, 0)]  # a block of nan is still a block
    assert np.isnan(rows[-1]["delta"])
    assert rows.summary["factor"] == pytest.approx(0.5)
    rows = scaled(*[2.0, 0.5] * 10)
    assert "keeps its size, unevenly, from 1 to 0.5 (R² = 0.0" in rows.told
    assert scaled(*[0.0] * 4).told.startswith("There is no trend over 4 blocks: in fewer than two of them")
    assert "grows by ×3 a block, from 1 to 5.9e+04 (R² = 1.00)" in scaled(*[3.0] * 11).told


def test_blocks_in_stages_and_the_floor_of_the_coarsest():
    def f(x):
        for stage in range(3):
            for i in range(4):
                with ad.scope(f"stage{stage}"), ad.scope(f"block{i}"):
                    x = x * np.float16(0.25)
        return np.sum(x.astype(np.float32))

    rows = ad.flow(f)(np.ones(3, np.float16)).trend(depth=2)
    assert [row["block"] for row in rows] == [f"stage{s}/block{i}" for s in (2, 1, 0) for i in (3, 2, 1, 0)]
    assert rows.summary["factor"] == pytest.approx(0.25)
    assert rows.summary["floor"] == np.finfo(np.float16).smallest_normal


def test_the_forks_of_a_u_shaped_net_stand_in_order():
    def f(x):
        levels = []
        for _ in range(4):
            levels.append(x := np.tanh(0.5 * x))
        for level in reversed(levels):
            x = np.tanh(np.tanh(x)) + level
        return x

    flow = ad.flow(f)(0.5)
    assert [row["delta"] for row in flow.trend()] == [abs(flow[v]) for v in sorted(
        {row["fork"] for row in flow.joins()}, reverse=True)]  # fmt: skip


def test_names_that_differ_in_one_number():
    names = ["stem", "block10/a", "block2/a", "block2/b", "head", "block1/a"]
    assert [names[i] for i in numbered(names)] == ["block1/a", "block2/a", "block10/a"]
    assert numbered(["a", "b"]) == []
    stages = ["stage0/block0", "stage0/block1", "stage1/block0", "stage10/block0", "stage2/block0"]
    assert [stages[i] for i in numbered(stages)] == [*stages[:3], stages[4], stages[3]]


def test_a_fit_passes_over_zeros_and_says_how_good_it_is(rng):
    assert fit([1.0, 0.0, 0.25]) == {"factor": pytest.approx(0.5), "r2": pytest.approx(1)}
    assert fit([1.0, 1.0, 1.0]) == {"factor": pytest.approx(1), "r2": 1.0}
    assert fit([0.0, 1.0, float("inf")]) == {"factor": None, "r2": None}
    sizes = list(np.exp(rng.normal(size=50)))
    slope, _ = np.polyfit(range(50), np.log(sizes), 1)
    assert fit(sizes)["factor"] == pytest.approx(np.exp(slope))
    assert fit(sizes)["r2"] == pytest.approx(np.corrcoef(range(50), np.log(sizes))[0, 1] ** 2)
