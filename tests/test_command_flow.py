"""``flow`` and ``diff`` as a shell runs them: tables, files, exit codes, and what a mistake is told.

What depends on the process (pipes, encodings, exit codes, tracebacks) runs in one of its own, as a user runs it; of
tables and refusals one each does, the others run in this process.
"""

import csv
import errno
import io
import json
import math
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

import autodiff as ad
from autodiff import GradientFlow
from autodiff.__main__ import DONE, REFUSED, main
from autodiff.cli import source
from autodiff.cli.diff import _change, _most
from autodiff.cli.flow import TABLES
from autodiff.errors import CommandError
from autodiff.flows import Rows

MODEL = """
import numpy as np
import autodiff as ad

def net(x, w):
    for i in range(3):
        with ad.scope(f"block{i}"):
            x = x + np.tanh(x @ w)
    return np.sum(x * x)

def plain(x):
    return np.sum(x * 2.0)

def several(x):
    return np.sin(x), {"sum": np.sum(x)}

def broken(x, w):
    raise ValueError("raised on purpose")

def example_args():
    return np.ones((2, 3)), np.eye(3) * 0.5
"""
COMMANDS = ("flow", "draw", "explore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a user's file and two saved flows of it."""
    where = tmp_path_factory.mktemp("flow")
    (where / "model.py").write_text(MODEL, encoding="utf-8")
    made = types.ModuleType("made")
    exec(MODEL, made.__dict__)
    ad.flow(made.net)(*made.example_args()).save(where / "before.json")
    ad.flow(made.net)(np.ones((2, 3)), np.eye(3) * -0.25).save(where / "after.json")
    ad.trace(made.net)(*made.example_args()).save(where / "graph.json")
    ad.flow(made.net)(*made.example_args()).draw(where / "picture.json")
    (where / "picture.npz").write_bytes((where / "before.npz").read_bytes())
    (where / "x.pkl").write_bytes(pickle.dumps([1]))
    (where / "hidden.json").write_bytes(pickle.dumps([1]))
    (where / "junk.json").write_text("no json")
    (where / "junk.npz").write_bytes(b"no archive")
    (where / "alone.json").write_bytes((where / "before.json").read_bytes())
    (where / "folder.json").mkdir()
    return where


def shell(folder, *argv, **more):
    """Run one command in the folder."""
    run = [sys.executable, "-m", "autodiff", *argv]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120, **more)


@pytest.fixture
def inside(folder, monkeypatch, capsys):
    """Run one command in the folder without a new process: its exit code, what it printed, what it said."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "model", raising=False)

    def run(*argv):
        capsys.readouterr()
        code = main(list(argv))
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    sys.modules.pop("model", None)


@pytest.fixture
def printed(inside):
    """What a command prints that goes well and says nothing else."""

    def run(*argv):
        code, out, err = inside(*argv)
        assert (code, err) == (DONE, "")
        return out

    return run


@pytest.fixture
def refused(inside):
    """What a mistake is told: exit code 2, nothing on stdout, no traceback, the mistake in the first line."""

    def run(*argv):
        code, out, err = inside(*argv)
        assert (code, out) == (REFUSED, "")
        assert "Traceback" not in err
        assert err.startswith("autodiff: ")
        return err

    return run


# -- flow --------------------------------------------------------------------------------------------------------------


def test_flow_prints_joins_and_trend_with_their_sentences(folder, printed):
    ran = shell(folder, "flow", "model.py:net")
    said, flow = ran.stdout, GradientFlow.load(folder / "before.json")
    assert (ran.returncode, ran.stderr) == (DONE, "")
    assert said.startswith(f"Gradient flow of net: {len(flow.graph)} nodes, {len(flow.contributions)} edges with δ\n")
    for table in (flow.joins(), flow.trend()):
        assert table.told in said
    for row in flow.joins():
        (line,) = (line for line in said.splitlines() if line.split()[1:3] == [str(row["join"]), str(row["fork"])])
        assert f"{100 * row['skip_share']:.3g} %" in line
        assert f"{100 * row['residual_share']:.3g} %" in line
    assert "Paths" not in said


def test_flow_takes_a_module_and_a_saved_file(printed):
    said = printed("flow", "model.py:net")
    assert printed("flow", "model:net") == said
    assert printed("flow", "before.json") == said
    assert printed("flow", "before.npz") == said
    assert printed("flow", "graph.json") == said


def test_flow_as_json_has_every_digit(folder, printed):
    held = json.loads(printed("flow", "before.json", "--json", "--paths", "x", "w", "--table", *TABLES))
    flow = GradientFlow.load(folder / "before.json")
    assert (held["title"], held["nodes"]) == ("net", len(flow.graph))
    for name, table in (("trend", flow.trend()), ("scopes", flow.by_scope())):
        assert held[name] == {"told": table.told, "summary": table.summary, "rows": list(table)}
    for got, row in zip(held["joins"]["rows"], flow.joins(), strict=True):
        assert {key: got[key] for key in row} == row
        assert got["rms"] == flow.statistics(row["fork"])["delta"]["rms"]
    norms = [row["norm"] for row in held["paths"]["rows"] if row["node"] == "w"]
    assert norms == [row["norm"] for row in flow.spectrum("w")]


def test_flow_as_csv_has_the_same_rows(printed):
    held = json.loads(printed("flow", "before.json", "--json"))
    rows = list(csv.DictReader(io.StringIO(printed("flow", "before.json", "--csv"))))
    assert [float(row["skip_share"]) for row in rows] == [row["skip_share"] for row in held["joins"]["rows"]]
    assert rows[0]["norm"] == ""
    paths = list(csv.DictReader(io.StringIO(printed("flow", "before.json", "--csv", "--paths"))))
    assert [row["branches"] for row in paths] == ["0", "1", "2", "3"]


def test_a_table_without_rows_has_a_heading(printed):
    said = printed("flow", "model.py:plain", "--args", "f8[3]", "--csv")
    assert said.startswith("block,join,fork")
    assert said.count("\n") == 1
    assert "No skip connection was found." in printed("flow", "model.py:plain", "--args", "f8[3]")


def test_flow_writes_into_a_file_whose_suffix_says_how(tmp_path, printed):
    for suffix, flags in (("txt", ()), ("json", ("--json",)), ("csv", ("--csv",))):
        out = tmp_path / f"t.{suffix}"
        assert printed("flow", "before.json", "-o", str(out)) == f"{out}\n"
        assert out.read_text(encoding="utf-8") == printed("flow", "before.json", *flags)


@pytest.mark.parametrize("command", ["flow", "diff"])
def test_a_table_is_written_whole_or_not_at_all(tmp_path, refused, monkeypatch, command):
    out = tmp_path / "t.txt"
    out.write_text("of last week")

    def full(*places):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    both = ("before.json", "after.json") if command == "diff" else ("before.json",)
    assert os.strerror(errno.ENOSPC) in refused(command, *both, "-o", str(out))
    assert out.read_text() == "of last week"
    assert list(tmp_path.iterdir()) == [out]


def test_flow_saves_what_flow_reads(tmp_path, printed):
    said = printed("flow", "model.py:net", "--save", str(tmp_path / "run.json"))
    assert printed("flow", str(tmp_path / "run.json")) == said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.npz"]


def test_flow_takes_seeds(folder, printed):
    said = shell(folder, "flow", "model.py:several", "--args", "f8[3]", "--json")
    assert said.stderr.startswith("note: several returned float64[3], float64[]")
    ran = printed("flow", "model.py:plain", "--args", "f8[2]", "--seed", "3.0", "--table", "scopes", "--json")
    assert json.loads(ran)["scopes"]["rows"][0]["parameters"] == pytest.approx(6.0)


# -- diff --------------------------------------------------------------------------------------------------------------


def test_diff_says_what_compare_says(folder, printed):
    rows = GradientFlow.load(folder / "before.json").compare(GradientFlow.load(folder / "after.json"))
    said = printed("diff", "before.json", "after.json")
    assert said.startswith("δ before (before.json) and after (after.json)")
    assert rows.told in said
    held = json.loads(printed("diff", "before.json", "after.json", "--json"))
    assert [row["after"] for row in held["nodes"]["rows"]] == [row["after"] for row in rows]
    assert held["nodes"]["summary"] == rows.summary
    assert held["nodes"]["told"] == rows.told
    listed = list(csv.DictReader(io.StringIO(printed("diff", "before.json", "after.json", "--csv"))))
    assert [float(row["factor"]) for row in listed] == [row["factor"] for row in rows]


def test_diff_shows_what_changed_most_and_says_that_it_is_not_all(folder, printed):
    rows = GradientFlow.load(folder / "before.json").compare(GradientFlow.load(folder / "after.json"))
    said = printed("diff", "before.json", "after.json", "--most", "2")
    assert f"The 2 of {len(rows)} nodes that changed most" in said
    largest = sorted(rows, key=lambda row: -abs(math.log(row["factor"])))[:2]
    shown = {int(line.split()[0]) for line in said.splitlines() if line[:1].isdecimal() and "nodes" not in line}
    assert shown == {row["node"] for row in largest}
    assert f"{len(rows)} nodes" in printed("diff", "before.json", "after.json", "--most", "0")


def test_what_came_or_went_changed_most():
    sizes = [(1.0, 2.0), (0.0, 1.0), (1.0, None), (1.0, 1.0), (0.0, 0.0), (1.0, math.nan), (1.0, 0.25)]
    rows = Rows({"before": before, "after": after} for before, after in sizes)
    assert [_change(row) for row in rows] == [math.log(2), math.inf, math.inf, 0.0, 0.0, math.inf, math.log(4)]
    assert list(_most(rows, 4)) == [rows[n] for n in (1, 2, 5, 6)]
    assert _most(rows, 0) is rows


def test_a_mistake_ends_the_process_with_2(folder):
    for argv in (("flow", "x.pkl"), ("diff", "before.json", "junk.json"), ("draw", "before.json", "-o", "x.svgg")):
        ran = shell(folder, *argv)
        assert (ran.returncode, ran.stdout) == (REFUSED, "")
        assert ran.stderr.startswith("autodiff: ")
        assert "Traceback" not in ran.stderr


def test_diff_of_functions(printed):
    said = printed("diff", "model.py:net", "before.json")
    assert "δ is of the same size everywhere" in said


def test_flows_with_nothing_in_common(folder):
    ran = shell(folder, "diff", "model.py:plain", "model:several", "--args", "f8[3]")
    assert ran.returncode == DONE
    assert "nodes are in both flows" in ran.stdout


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("x.pkl", "can hold a pickle, and is not read"),
        ("hidden.json", "can hold a pickle, and is not read"),
        ("junk.json", "cannot be read as a graph"),
        ("alone.json", "there is no file alone.npz"),
        ("befor.json", "there is no file befor.json"),
        ("folder.json", "folder.json is a folder"),
        ("picture.json", "holds the data of a picture"),
        ("nowhere:net", "there is no module nowhere"),
        ("model:nett", "model has no nett"),
    ],
)
def test_what_is_no_flow_is_refused_by_every_command(command, spec, told, refused):
    assert told in refused(command, spec).splitlines()[0]


def test_a_pickle_is_not_opened(folder, tmp_path, refused):
    """Reading it would leave a mark."""

    class Mark:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "mark"),)

    for name in ("evil.pkl", "evil.json", "evil.npy"):
        (folder / name).write_bytes(pickle.dumps(Mark()))
        refused("flow", name)
        refused("diff", "before.json", name)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("before.json", "--args", "1.0"), "before.json was given with --args"),
        (("before.json", "--seed", "1.0"), "before.json was given with --seed"),
        (("before.json", "--paths", "y"), "no node is named 'y'"),
        (("before.json", "--paths", "999"), "there is no node 999"),
        (("before.json", "-o", "t.svg"), "t.svg has the suffix '.svg'"),
        (("before.json", "--json", "-o", "t.csv"), "--json was given with -o t.csv"),
        (("before.json", "--csv", "--table", "joins", "trend"), "2 tables were asked for as csv"),
        (("before.json", "--save", "s.npz"), "--save s.npz does not end in .json"),
        (("before.json", "--save", "nowhere/s.json"), "nowhere/s.json cannot be written"),
        (("before.json", "-o", "nowhere/t.txt"), "nowhere/t.txt cannot be written"),
    ],
)
def test_options_that_cannot_be(argv, told, refused):
    assert told in refused("flow", *argv).splitlines()[0]


@pytest.mark.parametrize("command", ["flow", "draw", "diff"])
def test_a_saved_flow_is_not_overwritten_by_what_is_made_from_it(folder, refused, command):
    before = (folder / "before.json").read_bytes()
    both = ("after.json", "before.json") if command == "diff" else ("before.json",)
    assert "would overwrite the flow" in refused(command, *both, "-o", "./before.json")
    assert (folder / "before.json").read_bytes() == before


def test_diff_refuses_the_same(folder, refused):
    assert "cannot be read" in refused("diff", "before.json", "junk.json")
    assert "--most -1 is negative" in refused("diff", "before.json", "after.json", "--most", "-1")
    assert shell(folder, "diff", "before.json").returncode == REFUSED


def test_an_exception_of_the_users_file_keeps_its_traceback_from_there_on(folder):
    for argv in (("flow", "model.py:broken"), ("flow", "model:broken"), ("diff", "before.json", "model:broken")):
        ran = shell(folder, *argv)
        assert ran.returncode == REFUSED
        assert "raised on purpose" in ran.stderr
        assert "model.py" in ran.stderr
        assert "__main__" not in ran.stderr


def test_a_module_that_imports_what_is_not_there_says_so_itself(folder):
    (folder / "needy.py").write_text("import not_installed_anywhere\n\ndef f(x):\n    return x\n")
    ran = shell(folder, "flow", "needy:f", "--args", "1.0")
    assert ran.returncode == REFUSED
    assert "not_installed_anywhere" in ran.stderr


def test_a_saved_graph_whose_rules_fail_is_refused(folder, refused):
    document = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    (last,) = document["outputs"]
    document["nodes"][last]["params"] = {"dict": [["axis", "x"]]}
    (folder / "bent.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "bent.npz").write_bytes((folder / "graph.npz").read_bytes())
    assert "bent.json cannot be swept" in refused("flow", "bent.json")


def test_picture_commands_write_nothing_where_they_may_not(folder, refused):
    for command, out in (("draw", "x.svg"), ("explore", "x.html")):
        assert "there is no folder" in refused(command, "before.json", "-o", f"nowhere/{out}")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(tmp_path, refused):
    tmp_path.chmod(0o555)
    for command, name in (("flow", "t.txt"), ("draw", "t.svg"), ("explore", "t.html"), ("diff", "t.csv")):
        both = ("before.json", "after.json") if command == "diff" else ("before.json",)
        assert "cannot be written" in refused(command, *both, "-o", str(tmp_path / name))
    assert "cannot be written" in refused("flow", "before.json", "--save", str(tmp_path / "s.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that even root may not write to")
def test_a_folder_that_no_one_may_write_to(refused):
    for command, name in (("flow", "t.txt"), ("draw", "t.svg"), ("explore", "t.html")):
        assert "cannot be written" in refused(command, "before.json", "-o", f"/proc/{name}")


# -- where it prints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [("--help",), ("flow", "--help"), ("doctor",), ("ops",), ("flow", "before.json"),
     ("diff", "before.json", "after.json"), ("draw", "before.json", "-o", "piped.svg"),
     ("explore", "before.json", "-o", "piped.html")],
    ids=" ".join,
)  # fmt: skip
def test_a_reader_that_is_gone_is_no_error(folder, argv):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        ran = subprocess.run(
            [sys.executable, "-m", "autodiff", *argv], cwd=folder, stdout=pipe, stderr=subprocess.PIPE, timeout=120
        )
    assert (ran.returncode, ran.stderr) == (DONE, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_told(folder):
    with open("/dev/full", "wb") as full:
        run = [sys.executable, "-m", "autodiff", "flow", "before.json"]
        ran = subprocess.run(run, cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=120)
    assert ran.returncode == REFUSED
    assert ran.stderr.startswith(b"autodiff: the output cannot be written")
    assert ran.stderr.count(b"\n") == 1


def test_a_terminal_without_greek_gets_codes(folder):
    ran = shell(folder, "flow", "before.json", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ran.returncode == DONE
    assert "edges with \\u03b4" in ran.stdout


def test_names_cannot_write_to_the_terminal(tmp_path, printed):
    def hostile(x):
        with ad.scope("\x1b[31mred\x07"):
            return x + np.sin(x)

    path = str(tmp_path / "h.json")
    ad.flow(hostile)(1.0).save(path)
    for said in (printed("flow", path, "--table", *TABLES), printed("diff", path, path)):
        assert "red" in said
        assert "\x1b" not in said
        assert "\x07" not in said


def test_the_readers_own_refusals():
    with pytest.raises(CommandError, match="is not FILE"):
        source.find("model.py", None)
