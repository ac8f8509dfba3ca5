"""The flow over training: what is recorded when, that it is what the flow says, and files."""

import json

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import WatchError
from autodiff.training import load

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
