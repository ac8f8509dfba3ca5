"""The demo: it learns, it writes what it says, and its numbers are those of the gradient."""

import csv
import importlib
import re
import subprocess
import sys

import numpy as np
import pytest

from autodiff import demo, flow, value_and_grad
from autodiff.__main__ import DONE, REFUSED, main
from autodiff.errors import CommandError

FILES = {"delta.txt", "delta_by_block.csv", "delta_by_depth.csv"}


@pytest.fixture(scope="module")
def small():
    """A few digits, and parameters as they are drawn."""
    _, held_out = demo.load_digits()
    digits = demo.Digits(held_out.images[:40], held_out.labels[:40])
    params = demo.initial_parameters(np.random.default_rng(0))
    return params, digits


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_network_learns_to_read(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path)]) == DONE
    said = capsys.readouterr().out
    right = float(re.match(r"([\d.]+)%", said).group(1))
    assert right >= 97


def test_quick_writes_everything_that_it_names(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert main(["demo", "--quick", "-o", str(out)]) == DONE
    said = capsys.readouterr()
    assert said.err == ""  # no progress bar where stderr is no terminal
    assert float(re.match(r"([\d.]+)% of 359 held-out digits", said.out).group(1)) > 85
    written = {path.name for path in out.iterdir()}
    assert written >= FILES
    assert {name.partition(".")[0] for name in written} >= {"block", "network", "worked_example"}
    for name in re.findall(r"^  (\S+)  ", said.out.partition("written:")[2], re.MULTILINE):
        assert name in {str(path) for path in out.iterdir()}
    assert (out / "delta.txt").read_text(encoding="utf-8") in said.out


def test_the_same_seed_gives_the_same_numbers(tmp_path, capsys):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert main(["demo", "--epochs", "1", "--seed", seed, "-o", str(tmp_path / name)]) == DONE
    a, b, c = ((tmp_path / name / "delta_by_block.csv").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_without_graphviz_the_pictures_are_svg(tmp_path, monkeypatch, small):
    monkeypatch.setattr(demo, "able", lambda options: False)
    written = demo.draw(tmp_path, demo.on_held_out(*small))
    assert [path.suffix for path, _ in written] == [".svg"] * 3
    worked = (tmp_path / "worked_example.svg").read_text(encoding="utf-8")
    assert ">10.5<" in worked
    assert ">8<" in worked
    block = (tmp_path / "block.svg").read_text(encoding="utf-8")
    assert "maximum" in block
    assert "matmul" in block
    network = (tmp_path / "network.svg").read_text(encoding="utf-8")
    assert all(f">block{number}<" in network for number in range(1, demo.BLOCKS + 1))
    assert "matmul" not in re.sub(r"<title>.*?</title>", "", network, flags=re.DOTALL)


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "-o", str(tmp_path / "file")]) == REFUSED
    assert "cannot write into" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["sklearn.datasets", "tqdm"])
def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch, missing):
    def absent(name):
        if name == missing:
            raise ImportError(f"No module named {name!r}")
        return importlib.import_module(name)

    monkeypatch.setattr(demo.importlib, "import_module", absent, raising=True)
    with pytest.raises(CommandError, match=r'pip install -e ".\[demo\]"'):
        demo.needed(missing)


def test_the_rest_of_the_package_needs_neither():
    code = "import sys, autodiff.__main__; print(sorted({'sklearn', 'tqdm'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# -- the network and its gradient --------------------------------------------------------------------------------------


def test_the_split_holds_every_digit_once():
    training, held_out = demo.load_digits()
    assert len(training.labels) + len(held_out.labels) == 1797
    assert len(held_out.labels) == 1797 // 5
    assert training.images.max() == held_out.images.max() == 1.0
    rows = {row.tobytes() for row in np.concatenate([training.images, held_out.images])}
    again = demo.load_digits()
    np.testing.assert_array_equal(again[1].labels, held_out.labels)
    assert len(rows) > 1700


def test_the_gradient_is_that_of_the_layers_written_out_by_hand(small):
    params, digits = small
    x, target = digits.images, demo.one_hot(digits.labels)
    value, gradient = value_and_grad(demo.loss)(params, x, target)

    kept, h = [], np.maximum(x @ params["stem"]["W"] + params["stem"]["b"], 0)
    for p in params["blocks"]:
        inner = h @ p["in"]["W"] + p["in"]["b"]
        kept.append((h, inner))
        h = h + np.maximum(inner, 0) @ p["out"]["W"] + p["out"]["b"]
    scores = h @ params["head"]["W"] + params["head"]["b"]
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.isclose(value, -np.mean(np.log(np.sum(likely * target, axis=1))), rtol=1e-12)

    d = (likely - target) / len(x)
    np.testing.assert_allclose(gradient["head"]["W"], h.T @ d, rtol=1e-9, atol=1e-14)
    d = d @ params["head"]["W"].T
    for number in reversed(range(demo.BLOCKS)):
        p, (h, inner) = params["blocks"][number], kept[number]
        found = gradient["blocks"][number]
        np.testing.assert_allclose(found["out"]["W"], np.maximum(inner, 0).T @ d, rtol=1e-9, atol=1e-14)
        back = (d @ p["out"]["W"].T) * (inner > 0)
        np.testing.assert_allclose(found["in"]["b"], back.sum(axis=0), rtol=1e-9, atol=1e-14)
        d = d + back @ p["in"]["W"].T
    first = x @ params["stem"]["W"] + params["stem"]["b"]
    np.testing.assert_allclose(gradient["stem"]["W"], x.T @ (d * (first > 0)), rtol=1e-9, atol=1e-14)


def test_every_block_has_a_row_whose_parts_make_the_whole(small):
    found = demo.on_held_out(*small)
    rows = demo.by_block(found, "now")
    assert [row["block"] for row in rows] == [f"block{number}" for number in range(1, demo.BLOCKS + 1)]
    for row, join in zip(rows, found.joins(), strict=True):
        assert row["skip_share"] + row["residual_share"] == pytest.approx(1)
        skip = found.contributions[join["join"], join["skip"]]
        assert row["skip"] == pytest.approx(np.linalg.norm(skip))
        assert row["residual"] == pytest.approx(np.linalg.norm(found[join["fork"]] - skip))
        together = row["skip"] ** 2 + row["residual"] ** 2 + 2 * row["cosine"] * row["skip"] * row["residual"]
        assert row["delta"] ** 2 == pytest.approx(together)


def test_the_depths_sum_to_the_gradient(small):
    found = demo.on_held_out(*small)
    rows = demo.by_depth(found, "now")
    assert [row["residual branches"] for row in rows] == list(range(demo.BLOCKS + 1))
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_the_worked_example_is_that_of_the_figure():
    found = flow(demo.worked_example)(2.0, 3.0)
    values = {name: found.values[found.graph.node(name)] for name in "cdo"}
    assert values == {"c": 5, "d": 6, "o": 15}
    assert {name: float(found[name]) for name in "abcdo"} == {"a": 10.5, "b": 8, "c": 3, "d": 2.5, "o": 1}
    assert (found.edge("a", "c"), found.edge("a", "d")) == ([3], [7.5])


def test_csv_holds_the_numbers_in_full(tmp_path, small):
    rows = demo.by_block(demo.on_held_out(*small), "now")
    demo.write_csv(tmp_path / "rows.csv", rows)
    for written, row in zip(read_csv(tmp_path / "rows.csv"), rows, strict=True):
        assert float(written["skip_share"]) == row["skip_share"]
        assert written["block"] == row["block"]
