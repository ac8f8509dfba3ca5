"""The benchmark room: wrong results are refused before timing, differences are told from noise, pages are made."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.benchmarks import __main__ as command_line
from tests.benchmarks import compare, copies, curves, debugging, engines, memory, page, plots, reasons, timing, workers
from tests.benchmarks.engines import ENGINES, OURS, Engine, UnableError
from tests.benchmarks.page import Findings
from tests.benchmarks.timing import Row
from tests.benchmarks.workloads import Workload

SQUARES = Workload(
    "squares", lambda rng: (rng.standard_normal(50),), lambda xp, x: xp.sum(x * x), (0,),
    lambda x: ((x * x).sum(), (2 * x,)), repeats=2,
)  # fmt: skip
HERE = ["numpy by hand", *OURS]


def row(name: str = "squares", missing: dict[str, str] | None = None, **seconds: list[float]) -> Row:
    times = {engine.replace("_", " "): found for engine, found in seconds.items()}
    return Row(name, times, {engine: 1.25 for engine in times}, missing or {})


# -- results before times --------------------------------------------------------------------------------------------


def test_a_row_is_compared_then_timed():
    found = timing.measure(SQUARES, HERE, rounds=3)
    assert list(found.times) == HERE
    assert all(len(times) == 3 and min(times) > 0 for times in found.times.values())


@pytest.mark.parametrize("spoil", [lambda g: g * (1 + 1e-6), lambda g: g[:-1], lambda g: g * np.nan])
def test_an_engine_with_another_gradient_is_refused_and_nothing_is_timed(spoil, monkeypatch):
    def wrong(work: Workload, args: Any) -> Any:
        return lambda: ((args[0] ** 2).sum(), (spoil(2 * args[0]),))

    monkeypatch.setitem(ENGINES, "torch", Engine(wrong, "torch"))
    monkeypatch.setattr(timing, "best_of", lambda *args: pytest.fail("timed"))
    with pytest.raises(SystemExit, match="squares: torch disagrees with numpy by hand; nothing was timed"):
        timing.measure(SQUARES, ["numpy by hand", "torch"], rounds=1)


def test_an_engine_with_another_value_is_refused(monkeypatch):
    monkeypatch.setitem(ENGINES, "jax", Engine(lambda work, args: lambda: (1.0, (2 * args[0],)), "jax"))
    with pytest.raises(SystemExit, match="jax disagrees"):
        timing.measure(SQUARES, ["autodiff", "jax"], rounds=1)


def test_a_peer_that_raises_is_left_out_with_its_reason_and_ours_is_an_error(monkeypatch):
    def broken(work: Workload, args: Any) -> Any:
        def run() -> Any:
            raise NotImplementedError("no squares\nand more")

        return run

    monkeypatch.setitem(ENGINES, "torch", Engine(broken, "torch"))
    found = timing.measure(SQUARES, ["autodiff", "torch"], rounds=1)
    assert found.missing == {"torch": "NotImplementedError: no squares"}
    assert list(found.times) == ["autodiff"]
    monkeypatch.setitem(ENGINES, "autodiff jit", Engine(broken))
    with pytest.raises(NotImplementedError):
        timing.measure(SQUARES, OURS, rounds=1)


def test_what_is_known_to_be_missing_is_not_asked(monkeypatch):
    monkeypatch.setitem(ENGINES, "jax", Engine(lambda work, args: pytest.fail("asked"), "jax"))
    found = timing.measure(SQUARES, ["autodiff", "jax"], 1, {"jax": "takes longer than 12 s", "mygrad": "not here"})
    assert found.missing == {"jax": "takes longer than 12 s"}


def test_a_row_is_only_run_by_engines_that_have_its_function():
    only = SQUARES._replace(engines=("torch",))
    with pytest.raises(UnableError):
        engines.runner("autodiff jit", only, (np.ones(2),))
    assert engines.runner("autodiff jit", only._replace(engines=("autodiff",)), (np.ones(2),))


@pytest.mark.parametrize("engine", [name for name in engines.installed() if name in ("jax", "torch compiled")])
def test_peers_that_compile_are_kept_from_what_would_take_all_memory(engine):
    with pytest.raises(UnableError, match="one by one"):
        engines.runner(engine, SQUARES._replace(unrolled=True), (np.ones(2),))


def test_gradients_of_examples_are_those_of_a_loop():
    each = Workload(
        "each", lambda rng: (rng.standard_normal((5, 3)), rng.standard_normal(3)),
        lambda xp, x, w: xp.sum(xp.tanh(x * w)), (1,), mapped=(0,),
    )  # fmt: skip
    args = each.arguments(np.random.default_rng(1))
    loop = engines.one_by_one(each, lambda x, w: (np.tanh(x * w).sum(), (x / np.cosh(x * w) ** 2,)), args)
    for engine in OURS:
        assert engines.agree(engines.plain(engines.runner(engine, each, args)()), engines.plain(loop()), 1e-12)


# -- a baseline ------------------------------------------------------------------------------------------------------


def test_a_saved_baseline_is_what_was_measured(tmp_path):
    path = tmp_path / "folder" / "baseline.json"
    found = [row(autodiff=[2.0, 3.0], numpy_by_hand=[1.0, 1.5])]
    compare.save(found, path)
    commit, times = compare.load(path)
    assert times == {"squares": {"autodiff": [2.0, 3.0], "numpy by hand": [1.0, 1.5]}}
    assert [(c.ratio, c.word) for c in compare.changes(found, times)] == [(1, ""), (1, "")]
    assert compare.told(compare.changes(found, times), commit)[-1] == "  no difference seen"


@pytest.mark.parametrize(
    ("now", "word"),
    [
        ([1.3, 1.4, 1.5], "slower"),
        ([0.5, 0.6, 0.7], "faster"),
        ([1.1, 1.4, 1.5], ""),  # one round is as fast as one of those before
        ([1.21, 1.21, 1.21], ""),  # apart, but by less than two runs of one commit differ
    ],
)
def test_a_change_is_told_where_rounds_do_not_overlap(now, word):
    before = {"squares": {"autodiff": [1.1, 1.15, 1.2]}}
    (change,) = compare.changes([row(autodiff=now), row("new", autodiff=now)], before)
    assert change.word == word
    assert compare.told([change], "abc")[-1].startswith("  squares, autodiff:" if word else "  no difference seen")


# -- two commits -----------------------------------------------------------------------------------------------------


def test_how_many_ratios_an_interval_leaves_out():
    def outside(n: int, k: int) -> float:
        """How often the true median lies outside of the k-th ratios from either end, by going through all signs."""
        wrong = sum(1 for signs in itertools.product((0, 1), repeat=n) if min(sum(signs), n - sum(signs)) <= k)
        return wrong / 2**n

    for n in range(1, 13):
        k = compare.outermost(n, 0.95)
        assert k < 0 or outside(n, k) <= 0.05
        assert outside(n, k + 1) > 0.05
    assert compare.rounds_needed(0.95) == 6
    assert compare.rounds_needed(0.99) == 8


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ([1.1, 1.2, 1.05, 1.1, 1.3, 1.1, 1.02, 1.2], "B is slower"),
        ([0.9, 0.8, 0.95, 0.9, 0.7, 0.9, 0.98, 0.8], "B is faster"),
        ([1.1, 1.2, 1.05, 1.1, 1.3, 1.1, 0.99, 1.2], "no difference seen"),
        ([2.0] * 7, "no difference seen"),  # too few to say anything at 99 %
    ],
)
def test_a_verdict_needs_enough_pairs_of_one_sign(ratios, word):
    assert compare.verdict(ratios).word == word


def test_equal_commits_are_hardly_ever_told_apart(rng):
    told = [compare.verdict(np.exp(rng.normal(0, 0.05, 10))).word for _ in range(2000)]
    assert sum(word != "no difference seen" for word in told) <= 20
    slower = [compare.verdict(1.2 * np.exp(rng.normal(0, 0.05, 10))).word for _ in range(200)]
    assert slower.count("B is slower") > 150


def test_the_table_of_a_comparison():
    head, *lines = compare.lines({"squares": {"autodiff": [1.5] * 8, "autodiff jit": [1.5] * 3}})
    assert head == ["workload", "engine", "B / A", "99% interval", ""]
    assert lines[0] == ["squares", "autodiff", "1.500 ×", "1.500 … 1.500", "B is slower"]
    assert lines[1][3:] == ["none from 3 rounds", "no difference seen"]


def test_too_few_rounds_are_refused_before_anything_is_checked_out():
    with pytest.raises(SystemExit, match="take at least 8"):
        compare.compare(("HEAD", "HEAD"), [memory.ROWS[0]], memory.ROWS, rounds=7)


@pytest.mark.slow
def test_two_copies_of_this_checkout_are_compared_each_by_its_own_package(capsys):
    with compare.checkouts((".", ".")) as (a, b, texts):
        with compare.Side(a, texts, OURS) as side:
            assert a != b
            assert side.ask(1)["row"] == memory.ROWS[1].name
        with pytest.raises(SystemExit, match="was imported in place of"):
            compare.Side(texts.parent / "C", texts, OURS)
        ratios = compare.pairs((a, b), texts, [1], rounds=1)
    assert {engine: len(found) for engine, found in ratios[memory.ROWS[1].name].items()} == dict.fromkeys(OURS, 1)
    assert not texts.exists()


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not memory.measurable(), reason="the system does not set the mark back")
@pytest.mark.slow
def test_the_peak_is_that_of_the_arrays_that_live_at_once():
    env = workers.environment(**memory.HONEST)
    script = """
import numpy as np
from tests.benchmarks.memory import peak
def one_then_two():
    x = np.ones(1_000_000)
    del x
    y, z = np.ones(1_000_000), np.ones(1_000_000)
    return None
print(peak(one_then_two))
"""
    out = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
    assert 15e6 < int(out) < 22e6  # two at once, of 8 MB each; not one, not three


def test_the_arena_of_a_program_counts(monkeypatch):
    args = SQUARES.arguments(np.random.default_rng(0))
    run = engines.runner("autodiff jit", SQUARES._replace(f=lambda xp, x: xp.sum(xp.tanh(x) * x)), args)
    run()
    monkeypatch.setattr(memory, "rise", lambda run: 1000)
    assert isinstance(run, engines.Program)
    assert memory.peak(run) == 1000 + run.kept() > 1000
    assert memory.peak(lambda: None) == 1000


def test_a_worker_that_takes_too_long_is_ended_with_what_it_started():
    with workers.Worker("memory", "no such engine") as worker, pytest.raises(RuntimeError, match="no such engine"):
        worker.wait(30.0)
    worker = workers.Worker("memory", "autodiff", "0")
    with pytest.raises(TimeoutError, match="took longer than 0 s"):
        worker.line(0.0)
    assert worker.process.poll() is not None


# -- growth ----------------------------------------------------------------------------------------------------------


def points(power: float, engine: str = "autodiff", curve: str = "nodes") -> list[curves.Point]:
    return [curves.Point(curve, engine, 10**n, 1e-6 * 10 ** (n * power)) for n in range(2, 6)]


def test_slopes_are_those_of_the_large_end():
    assert curves.slope(points(1.0)) == pytest.approx(1)
    assert curves.slope([curves.Point("nodes", "autodiff", 10, 1.0), *points(2.0)[1:]]) == pytest.approx(2)
    assert curves.foretold([(10, 1.0), (100, 100.0)], 1000) == pytest.approx(10_000)
    assert curves.foretold([(10, 1.0), (100, 1.1)], 1000) == pytest.approx(11)


def test_a_curve_of_a_peer_ends_before_it_is_unbearable(monkeypatch):
    monkeypatch.setattr(curves, "BEARABLE", 0.0)
    curve = curves.CURVES[0]._replace(sizes=(8, 16, 32))
    assert len(list(curves.measure(curve, "numpy by hand"))) == 0  # nobody wrote it
    assert [p.size for p in curves.measure(curve, "autodiff jit")] == [8]
    assert [p.size for p in curves.measure(curve._replace(what="first call"), "autodiff jit")] == [8, 16, 32]
    assert [p.size for p in curves.measure(curve, "autodiff")] == [8, 16, 32]
    by_hand = Workload("", lambda rng: (np.ones(3),), SQUARES.f, (0,), SQUARES.by_hand)
    assert [p.size for p in curves.measure(curve._replace(make=lambda n: by_hand), "numpy by hand")] == [8]


def test_every_curve_is_measured_and_counts_as_many_nodes_as_it_says():
    for curve in curves.CURVES:
        small = curve._replace(sizes=curve.sizes[:1])
        if curve.what != "memory" or memory.measurable():
            (found,) = curves.measure(small, "autodiff jit" if curve.what == "first call" else "autodiff")
            assert found.value >= 0
            assert found.size == curve.sizes[0]
    assert curves.power_of_ten(100_000) == "10⁵"


def test_the_table_of_growth():
    table = curves.table([*points(1.0), *points(1.5, "torch")[:2], *points(1.5, "jax")[:1]])
    assert table[0] == ["growth", "autodiff", "torch", "jax"]
    assert table[1] == [curves.CURVES[0].title, "1.00 (10⁵: 100 ms)", "1.50 (10³: 32 ms)", "– (10²: 1 ms)"]


def test_pictures_of_the_same_points_are_the_same_bytes(tmp_path):
    pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    found = [*points(1.0), *points(1.5, "torch"), *points(1.0, curve="nodes-memory")]
    first, second = plots.draw(found, tmp_path / "a"), plots.draw(found, tmp_path / "b")
    assert [path.name for _, path in first] == ["growth-nodes.svg", "growth-nodes-memory.svg"]
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    text = first[0][1].read_text(encoding="utf-8")
    assert "autodiff, n¹·⁰⁰" in text
    assert "torch, n¹·⁵⁰" in text
    assert "dc:date" not in text


def test_names_at_the_ends_of_curves_do_not_meet():
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure()
    ax = figure.subplots()
    ax.set(yscale="log", ylim=(1, 100))
    ends = {"a": 99, "b": 98, "c": 97, "d": 1.0, "e": 1.01}
    plots._names(ax, [(name, "black", 1.0, y) for name, y in ends.items()])
    heights = sorted(text.xy[1] for text in ax.texts)
    assert all(b - a > 0.06 for a, b in itertools.pairwise(heights))
    assert heights[0] >= -0.01
    assert heights[-1] <= 1


# -- the page --------------------------------------------------------------------------------------------------------


def test_rows_in_first_place_need_no_reason():
    ahead = {"autodiff": 2.0, "autodiff jit": 1.02, "torch": 1.0}
    assert page.overtaken(ahead) is None  # the better of ours, within what runs differ by
    assert page.overtaken({**ahead, "autodiff jit": 1.5}) == ("torch", 1.5)
    assert page.overtaken({"autodiff": 1.0}) is None
    assert page.overtaken({"autodiff": 0.09, "jax": 0.01}, floor=0.1) is None


def test_the_page_says_what_limits_a_row_only_where_it_is_missed(monkeypatch):
    monkeypatch.setattr(reasons, "TIME", {"missed": "Because.", "reached": "Never said."})
    rows = [
        row("missed", autodiff=[3.0], torch=[1.0]),
        row("reached", autodiff=[1.0], torch=[3.0], missing={"jax": "took longer than 12 s"}),
        row("unknown", autodiff=[2.0], jax=[1.0], missing={"torch": engines.UNWRITTEN}),
    ]
    names = ["autodiff", "torch", "jax"]
    text = page.page(Findings(names, rows))
    assert "- **missed**: 3.00 × the time of torch. Because." in text
    assert "Never said." not in text
    assert "- **unknown**: 2.00 × the time of jax. Not explained yet." in text
    assert "First place in time on 1 of 3 rows" in text
    assert "- jax: took longer than 12 s (reached)." in text
    assert engines.UNWRITTEN not in text
    assert "| missed | 3000 ms | 0.33 × | – |" in text
    assert "| unknown | 2000 ms | – | 0.50 × (1.2 s) |" in text
    assert "Not measured here: numpy by hand, autodiff jit, autograd, torch compiled, mygrad." in text
    assert "## Peak memory" not in text


def test_the_page_has_memory_growth_and_pictures_where_they_were_measured():
    ours, theirs = {"first": 0.5, "peak": 3 * 2**20}, {"first": 7.04, "peak": 1024}
    probes = {"autodiff": {"squares": ours}, "jax": {"squares": theirs}}
    found = Findings(
        ["autodiff", "jax"], [row(autodiff=[1.0], jax=[2.0])], probes,
        [["growth", "autodiff"], ["a", "1.00"]], [("time", "images/growth-a.svg")],
        [["what", "1 s"]], [["what", "measured", "goal"], ["x", "1 s", "< 2 s"]], 3.0,
    )  # fmt: skip
    text = page.page(found)
    assert "| squares | 3.0 | < 0.1 |" in text
    assert "- **squares**: 30.00 × the memory of jax. Not explained yet." in text
    assert "2.00 × (7.0 s)" in text  # the first call in a fresh process, not the one beside others
    for part in ("| a | 1.00 |", "![time](images/growth-a.svg)", "| what | 1 s |", "| x | 1 s | < 2 s |", "load 3.0"):
        assert part in text


def test_debugging_is_measured_beside_plain_calls():
    head, small = debugging.rows(1, [SQUARES])
    assert head == ["workload", "plain", "inside of `ad.debug()`"]
    assert small[0] == "squares"
    assert re.fullmatch(r"[\d.e+-]+ ms", small[1])
    assert re.fullmatch(r"\d+\.\d\d ×", small[2])
    text = page.page(Findings(["autodiff"], debug=[head, small]))
    assert "## Debugging" in text
    assert " | ".join(small) in text
    assert len(debugging.chosen()) == len(debugging.PARTS)


def test_every_reason_is_one_of_a_row():
    names = {work.name for work in memory.ROWS}
    assert set(reasons.TIME) <= names
    assert set(reasons.MEMORY) <= names
    assert len(names) == len(memory.ROWS)


def test_peers_that_compile_are_tried_in_a_process_of_their_own_before_they_are_timed_here(monkeypatch):
    def probe_all(engine: str, *rest: Any) -> dict[str, memory.Probe]:
        assert engine == "jax"
        return {"squares": {"missing": "its process ended"}}

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # put back afterwards
    monkeypatch.setattr(command_line, "installed", lambda: ["autodiff", "autodiff jit", "jax"])
    monkeypatch.setattr(command_line, "probe_all", probe_all)
    given = argparse.Namespace(engines="", rounds=1, patience=1.0, markdown=None)
    found = command_line.everything(given, [SQUARES], ["rows"])
    assert found.rows[0].missing == {"jax": "its process ended"}
    assert "## Peak memory" not in page.page(found)


# -- the commands ----------------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=compare.ROOT, env={**os.environ, "PYTHONPATH": str(compare.ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_quick_look_saves_and_compares(tmp_path):
    path = tmp_path / "baseline.json"
    quick = ("tests.benchmarks", "--quick", "--rows", "MLP 64", "--rounds", "2", "--baseline", str(path))
    assert f"no baseline at {path}" in command(*quick).stdout
    assert command(*quick, "--save").returncode == 0
    assert set(json.loads(path.read_text(encoding="utf-8"))["times"]) == {memory.ROWS[1].name}
    assert "against the baseline of" in command(*quick).stdout


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path):
    page = tmp_path / "benchmarks.md"
    few = ("--rows", "MLP 64", "--engines", "none", "--rounds", "1")
    done = command("tests.benchmarks", *few, "--markdown", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count("| MLP 64-64-64-10, batch 32, float64 | ") == (2 if memory.measurable() else 1)


@pytest.mark.parametrize("wrong", [("--rows", "no such row"), ("--only", "nothing")])
def test_what_is_not_there_is_refused(wrong):
    done = command("tests.benchmarks", *wrong)
    assert done.returncode == 1
    assert wrong[1] in done.stderr


@pytest.mark.slow
def test_benchmarks_run_under_pytest():
    done = command(
        "pytest", "tests/benchmarks/test_speed.py", "--benchmark-only", "-q", "-p", "no:cacheprovider",
        "-k", "test_speed and 64-64-64", "--benchmark-disable-gc",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


# -- copies ----------------------------------------------------------------------------------------------------------


def test_the_ways_are_what_they_are_called(monkeypatch):
    for place, name in ((copies.recording, "LARGE"), (copies.door, "LARGE"), (copies.Trace, "guard")):
        monkeypatch.setattr(place, name, getattr(place, name))  # put back at the end
    constant, other = np.full(100_000, 3.0), np.full(100_000, 5.0)

    def overwritten(x):
        constant[:] = 3.0
        y = np.sum(x * constant)
        constant[:] = 5.0
        return y

    gradient = copies.ad.grad(overwritten)
    with pytest.raises(copies.ad.errors.OverwrittenError):
        gradient(other)
    with monkeypatch.context() as patched:
        patched.setattr(copies.Trace, "guard", copies.Trace.guard)
        copies.nothing()
        np.testing.assert_array_equal(gradient(other), 5.0)  # the wrong one
    copies.copies()
    np.testing.assert_array_equal(gradient(other), 3.0)


@pytest.mark.parametrize("way", copies.WAYS)
def test_each_way_is_measured_in_a_process_of_its_own(way):
    rows = [work.name for work in copies.ROWS]
    assert copies.measured(way, rows.index("Σ x·c, 100,000 numbers"), memory=False) > 0
