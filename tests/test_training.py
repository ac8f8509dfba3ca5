"""The flow over training: what is recorded when, that it is what the flow says, and files."""

import gc
import json
import weakref

import numpy as np
import optree
import pytest
from hypothesis import given

import autodiff as ad
from autodiff.errors import NotScalarError, WatchError
from autodiff.training import COLUMNS, load
from tests.laws.graphs import programs

figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


def loss(params, x):
    for i, w in enumerate(params):
        with ad.scope(f"block{i}"):
            x = x + np.tanh(np.tanh(x @ w) @ w)
    return np.sum(x**2)


@pytest.fixture
def params(rng):
    return [rng.normal(size=(3, 3)) / 3 for _ in range(2)]


@pytest.fixture
def x(rng):
    return rng.normal(size=(2, 3))


def test_value_and_gradient_are_those_of_every_step(params, x):
    step = ad.watch(loss, every=2)
    for _ in range(3):
        value, slopes = step(params, x)
        want, wanted = ad.value_and_grad(loss)(params, x)
        assert value == want
        np.testing.assert_array_equal(slopes, wanted)
    assert step.step == 3


def test_the_history_is_what_the_flow_says(params, x):
    step = ad.watch(loss, every=3)
    seen = []
    for n in range(7):
        seen.append([w.copy() for w in params])
        _, slopes = step(params, x)
        params = [w - 0.01 * s for w, s in zip(params, slopes, strict=True)]
        assert len({row["step"] for row in step.history}) == n // 3 + 1
    for n in (0, 3, 6):
        flow = ad.flow(loss, argnums=0)(seen[n], x)
        for row, want in zip([r for r in step.history if r["step"] == n], flow.by_scope(1), strict=True):
            assert row["block"] == want["scope"]
            assert row["value"] == float(loss(seen[n], x))
            assert [row[k] for k in ("delta", "skip", "residual")] == [want[k] for k in ("delta", "skip", "residual")]
    assert {row["block"] for row in step.history} >= {"block0", "block1"}


def test_a_file_that_grows_and_one_that_is_saved(params, x, tmp_path):
    step = ad.watch(loss, every=2, path=tmp_path / "growing.jsonl")
    for n in range(4):
        step(params, x)
        lines = (tmp_path / "growing.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [row["step"] for row in step.history]
        assert len({json.loads(line)["step"] for line in lines}) == n // 2 + 1
    assert load(tmp_path / "growing.jsonl") == load(step.save(tmp_path / "saved.jsonl")) == step.history


def test_numbers_that_json_has_not(tmp_path):
    step = ad.watch(lambda w: w * np.inf, every=1)
    step(1.0)
    text = step.save(tmp_path / "h.jsonl").read_text()
    assert '"value": "inf"' in text
    assert load(tmp_path / "h.jsonl")[0]["value"] == np.inf


def test_a_scope_may_be_called_nan(tmp_path):
    def named(w):
        with ad.scope("nan"):
            return w * np.nan

    step = ad.watch(named, every=1)
    step(1.0)
    (row,) = [row for row in load(step.save(tmp_path / "h.jsonl")) if row["nonfinite"]]
    assert row["block"] == "nan"
    assert np.isnan(row["value"])


@pytest.mark.parametrize("text", ["[]\n", "not json\n", '{"step": 1}\n', "a note", "[]", "\n\n", "\udcff"])
def test_a_file_that_is_no_history_is_left_alone(tmp_path, text):
    file = tmp_path / "h.jsonl"
    file.write_text(text, errors="surrogateescape")
    for ask in (load, lambda path: ad.watch(loss, path=path)):
        with pytest.raises(WatchError, match="line 1, is no row of a history"):
            ask(file)
    assert file.read_text(errors="surrogateescape") == text


def test_an_interrupted_training_goes_on_in_the_same_file(params, x, tmp_path):
    """At every byte at which a process may have ended: the whole lines stay, and what comes next follows them."""
    file = tmp_path / "h.jsonl"
    step = ad.watch(loss, every=2, path=file)
    for _ in range(3):
        step(params, x)
    text, blocks = file.read_bytes(), len(step.history) // 2
    ends = [i for i, byte in enumerate(text, 1) if byte == ord("\n")]
    for length in {*range(0, len(text), 37), *ends, *(end - 1 for end in ends), *(end - 2 for end in ends)}:
        file.write_bytes(text[:length])
        whole = sum(end <= length + 1 for end in ends)  # a row that lacks its line's end alone is a row
        assert load(file) == step.history[:whole]
        again = ad.watch(loss, every=2, path=file)
        assert again.history == step.history[:whole]
        assert again.step == (0 if not whole else 2 if whole <= blocks else 4)
        again(params, x)
        assert load(file) == again.history
        assert again.history[whole:] == [{**row, "step": again.step - 1} for row in step.history[:blocks]]


def test_a_step_may_be_set_and_other_intervals_meet_it(params, x, tmp_path):
    file = tmp_path / "h.jsonl"
    step = ad.watch(loss, every=2, path=file)
    for _ in range(3):
        step(params, x)
    again = ad.watch(loss, every=5, path=file)
    assert again.step == 5
    again.step = 10
    again(params, x)
    assert [row["step"] for row in load(file)][-1] == 10


def test_a_place_that_cannot_be_written(tmp_path):
    for place in (tmp_path, tmp_path / "missing" / "h.jsonl"):
        with pytest.raises(WatchError, match="a file in a folder that can be written"):
            ad.watch(loss, path=place)


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_a_count_that_is_none(every):
    with pytest.raises(WatchError, match="every=10"):
        ad.watch(loss, every=every)


@pytest.mark.parametrize("what", ["delta", "skip"])
def test_plot(params, x, what):
    step = ad.watch(loss, every=1)
    for _ in range(3):
        step(params, x)
    ax = figure.Figure().subplots()
    assert step.plot(ax, what) is ax
    for line in ax.lines:
        rows = [r for r in step.history if (r["block"] or "(outside)") == line.get_label()]
        np.testing.assert_array_equal(line.get_ydata(), [r[what] for r in rows])
    assert len(ax.lines) == len({r["block"] for r in step.history if r[what] is not None})
    with pytest.raises(WatchError, match="the history has delta, parameters"):
        step.plot(ax, "sum")


def counted(f):
    """The function, and how often it was called."""
    calls = []

    def counting(*args):
        calls.append(len(args))
        return f(*args)

    return counting, calls


def test_a_recorded_step_runs_the_function_once(params, x):
    """What draws numbers draws as many whether it is watched or not, and the record is of the run that was returned."""
    f, calls = counted(loss)
    step = ad.watch(f, every=2)
    for n in range(1, 5):
        step(params, x)
        assert len(calls) == n

    def dropped(w, rng):
        with ad.scope("drop"):
            return np.sum(w * (rng.random(4) < 0.5))

    step, rng, again = ad.watch(dropped, every=1), np.random.default_rng(3), np.random.default_rng(3)
    for row in range(5):
        value, slope = step(np.arange(1.0, 5.0), rng)
        np.testing.assert_array_equal(slope, again.random(4) < 0.5)
        assert {r["value"] for r in step.history if r["step"] == row} == {value}


def test_no_array_outlives_a_recorded_step(params, x):
    seen = []

    def kept(params, x):
        hidden = np.tanh(x @ params[0])
        seen.append(weakref.ref(hidden.value))
        return np.sum(hidden)

    step = ad.watch(kept, every=1)
    for _ in range(3):
        step(params, x)
    gc.collect()
    assert len(seen) == 3
    assert not any(ref() is not None for ref in seen)


def gathered(params, x):
    """Reads of the same rows, which are added into one buffer, beside a product."""
    w = params[0]
    return np.sum(w[np.array([0, 2, 2, 0, 0])] ** 3) + np.sum((x @ w)[0]) + np.sum(w[1] * w[1:2]) + np.sum(w * w)


def several(params, x):
    """Operations with several results, masks that make zeros, and what no derivative passes through."""
    q, r = np.linalg.qr(params[0] + np.eye(3))
    lower = np.linalg.solve(params[1] @ params[1].T + np.eye(3), q)
    return np.sum(np.where(x > 0, np.log(np.abs(x)), 0.0) @ lower) + np.sum(r * np.sign(params[1])) + np.max(q)


def unused(params, x):
    return np.sum(params[0]) * float(np.sum(x > 0)) + 0.0


def constant(params, x):
    return np.sum(x)


@given(program=programs())
def test_a_watched_step_gives_the_same_bits(program):
    leaves = program.leaves()
    every = tuple(range(len(leaves)))
    same_bits(ad.watch(program, every=1, argnums=every)(*leaves), ad.value_and_grad(program, every)(*leaves))


@pytest.mark.parametrize("f", [loss, gathered, several, unused, constant])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_watched_step_gives_the_same_bits_of_nets(f, dtype, rng):
    params, x = [rng.normal(size=(3, 3)).astype(dtype) for _ in range(2)], rng.normal(size=(2, 3)).astype(dtype)
    same_bits(ad.watch(f, every=1)(params, x), ad.value_and_grad(f)(params, x))
    same_bits(ad.watch(f, every=1, argnums=(1, 0))(params, x), ad.value_and_grad(f, (1, 0))(params, x))


def same_bits(found, wanted):
    leaves = [optree.tree_leaves(pair) for pair in (found, wanted)]
    assert optree.tree_structure(found) == optree.tree_structure(wanted)
    for a, b in zip(*leaves, strict=True):
        assert (type(a), np.shape(a), np.asarray(a).dtype) == (type(b), np.shape(b), np.asarray(b).dtype)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_net_that_changes_on_the_way_is_recorded_as_it_is(rng):
    """Blocks that come and go: the outline of one step is not that of the next."""
    x, params = rng.normal(size=(2, 3)), [rng.normal(size=(3, 3)) / 3 for _ in range(4)]
    step = ad.watch(loss, every=1)
    for n, count in enumerate((2, 4, 4, 3)):
        step(params[:count], x)
        want = ad.flow(loss, argnums=0)(params[:count], x).by_scope(1)
        rows = [row for row in step.history if row["step"] == n]
        assert [[row[key] for key in COLUMNS] for row in rows] == [[row[key] for key in COLUMNS] for row in want]


@pytest.mark.parametrize("f", [lambda p, x: x @ p[0], lambda p, x: (np.sum(p[0]), 1.0), lambda p, x: 1j * np.sum(p[0])])
def test_what_is_no_loss_is_refused_as_ever(f, params, x):
    step, said = ad.watch(f, every=1), []
    for differentiate in (ad.value_and_grad(f), step):
        with pytest.raises(NotScalarError) as found:
            differentiate(params, x)
        said.append(str(found.value))
    assert said[0] == said[1]
    assert step.history == []
    assert step.step == 0
