"""The command line: what each command prints and writes, exit codes, and what a mistake is told."""

import json
import subprocess
import sys
from argparse import Namespace

import numpy as np
import pytest

from autodiff import __version__, errors
from autodiff.__main__ import DONE, FAILED, REFUSED, main
from autodiff.cli import doctor, operations, target
from autodiff.graph import OPERATIONS

MODEL = '''
import numpy as np
import autodiff as ad

def paths(a, b):
    return 0.5 * (a + b) * (a * b)

def product(x, w):
    with ad.scope("layer"):
        return ad.name(x @ w, "scores")

def several(x):
    return np.sin(x), {"sum": np.sum(x)}

def nested(p, n):
    return np.sum(p["w"] * n) + p["b"][0]

def steps(x):
    return np.packbits(x)

def broken(x):
    raise ValueError("raised on purpose")

def outside(x):
    return np.linalg.inv(np.ones((2, 3))) * x

@ad.primitive
def cube(x):
    return x**3

cube.defvjp(lambda d, y, x: 2 * d * x**2)

constant = 3

def example_args():
    return 2.0, 3.0
'''


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A user's file in the folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    before = dict(OPERATIONS)
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    yield path
    sys.modules.pop("model", None)
    OPERATIONS.clear()
    OPERATIONS.update(before)


def drawn(capsys, *argv):
    """Draw as JSON; the document, and what was said on stderr."""
    assert main(["draw", *argv, "-o", "out.json"]) == DONE
    said = capsys.readouterr()
    assert said.out == "out.json\n"
    with open("out.json", encoding="utf-8") as file:
        return json.load(file), said.err


def delta_of(document, name):
    """The statistics of the δ of a node."""
    return next(node["delta"] for node in document["nodes"] if node["name"] == name)


def refused(capsys, *argv):
    """What a mistake is told on stderr: no traceback, nothing on stdout."""
    capsys.readouterr()
    assert main(list(argv)) == REFUSED
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_without_arguments_it_prints_help(capsys):
    assert main([]) == DONE
    said = capsys.readouterr().out
    assert all(command in said for command in ("demo", "draw", "explore", "flow", "diff", "check", "ops", "errors",
        "doctor"))


@pytest.mark.parametrize("command", ["demo", "draw", "explore", "flow", "diff", "check", "ops", "errors", "doctor"])
def test_every_command_has_examples(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == DONE
    assert f"python -m autodiff {command}" in capsys.readouterr().out.partition("examples:")[2]


def test_unknown_commands_and_options_exit_with_2(capsys):
    for argv in (["drow"], ["ops", "--jsn"], ["demo", "--epochs", "0"], ["ops", "--json", "--markdown"]):
        with pytest.raises(SystemExit) as stopped:
            main(argv)
        assert stopped.value.code == REFUSED
    assert "0 is not a count" in capsys.readouterr().err


def test_as_a_module_it_says_its_version():
    ran = subprocess.run([sys.executable, "-m", "autodiff", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"autodiff {__version__}\n"


def test_a_reader_that_stops_reading_is_no_error():
    code = "import sys; from autodiff.__main__ import main; sys.exit(main(['ops', '--json']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.read(1)
        running.stdout.close()
        said = running.stderr.read()
        assert running.wait() == DONE
    assert said == b""


# -- draw --------------------------------------------------------------------------------------------------------------


def test_draw_takes_literals(capsys, model):
    document, said = drawn(capsys, "model.py:paths", "--args", "2.0", "3.0")
    assert (delta_of(document, "a")["rms"], delta_of(document, "b")["rms"]) == (10.5, 8.0)
    assert said == ""


def test_draw_takes_the_files_own_arguments(capsys, model):
    assert drawn(capsys, "model.py:paths")[0] == drawn(capsys, "model.py:paths", "--args", "2.0", "3.0")[0]


def test_draw_names_its_file_after_the_function(capsys, model):
    assert main(["draw", "model.py:paths"]) == DONE
    assert capsys.readouterr().out == "paths.svg\n"
    assert (model.parent / "paths.svg").read_text(encoding="utf-8").startswith("<svg")


def test_explore_writes_a_page(capsys, model):
    assert main(["explore", "model.py:paths", "--title", "Two <ways>", "--theme", "dark"]) == DONE
    assert capsys.readouterr().out == "paths.html\n"
    text = (model.parent / "paths.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>Two &lt;ways&gt;</title>" in text
    assert 'data-theme="dark"' in text
    assert "10.5" in text
    assert main(["explore", "model.py:paths", "-o", "page.svg"]) == REFUSED
    assert "-o page.html" in capsys.readouterr().err


def test_draw_starts_from_ones_where_the_result_is_no_number_and_says_so(capsys, model):
    _, said = drawn(capsys, "model.py:product", "--args", "f8[3,4]", "f4[4]")
    assert "note: product returned float64[3]" in said
    _, said = drawn(capsys, "model.py:several", "--args", "f8[3]")
    assert "float64[3], float64[]" in said


def test_draw_takes_a_seed(capsys, model):
    doubled, _ = drawn(capsys, "model.py:paths", "--seed", "2.0")
    assert delta_of(doubled, "a")["rms"] == 21.0
    given, said = drawn(capsys, "model.py:several", "--args", "[0.0, 1.0]", "--seed", "[3.0, 0.0]", "0.0")
    assert said == ""
    assert (delta_of(given, "x")["max"], delta_of(given, "x")["zero"]) == (3.0, 1)
    assert "shape" in refused(capsys, "draw", "model.py:product", "--args", "f8[3,4]", "f8[4]", "--seed", "[1.0, 2.0]")


def test_draw_counts_seeds(capsys, model):
    said = refused(capsys, "draw", "model.py:several", "--args", "f8[3]", "--seed", "1.0")
    assert "2 outputs, and --seed was given 1" in said


def test_draw_hands_its_options_to_the_picture(capsys, model):
    args = ("draw", "model.py:product", "--args", "f8[3,4]", "f8[4]", "--seed", "f8[3]")
    assert main([*args, "-o", "a.svg", "--title", "A & B", "--collapse", "1", "--engine", "builtin"]) == DONE
    assert "A &amp; B" in (model.parent / "a.svg").read_text(encoding="utf-8")
    assert main([*args, "-o", "b.svg", "--focus", "scores", "--hops", "0"]) == DONE
    assert "'scors'" in refused(capsys, *args, "-o", "c.svg", "--focus", "scors")
    assert ".svg" in refused(capsys, *args, "-o", "c.svgg")


def test_draw_refuses_what_has_no_derivative(capsys, model):
    assert "2.0 instead of --args 2" in refused(capsys, "draw", "model.py:paths", "--args", "2", "3")
    said = refused(capsys, "draw", "model.py:steps", "--args", "0.5")
    assert "packbits" in said
    line = MODEL.splitlines().index("    return np.packbits(x)") + 1
    assert f"model.py:{line}" in said


# -- the function and its arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("model.py", "is not FILE.py:FUNCTION"),
        (":paths", "is not FILE.py:FUNCTION"),
        ("modle.py:paths", "one of model.py"),
        ("nowhere/model.py:paths", "there is no file"),
        ("model.py:path", "one of paths"),
        ("model.py:zzz", "broken"),
        ("model.py:constant", "is a int"),
    ],
)
def test_a_function_that_is_not_there_is_told_with_the_nearest(capsys, model, spec, told):
    assert told in refused(capsys, "draw", spec)


def test_a_file_that_is_not_python_is_refused(capsys, model):
    (model.parent / "notes.txt").write_text("x")
    assert "is not a Python file" in refused(capsys, "draw", "notes.txt:f")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["__import__('os')", "1.0"], "neither a Python literal nor a shape"),
        (["1.0 +", "1.0"], "neither a Python literal nor a shape"),
        (["i8[3]", "1.0"], "i8 is not a dtype that has derivatives"),
        (["1.0"], "missing a required argument: 'b'"),
        (["1.0", "2.0", "3.0"], "too many positional arguments"),
    ],
)
def test_arguments_that_cannot_be_are_refused(capsys, model, args, told):
    assert told in refused(capsys, "draw", "model.py:paths", "--args", *args)


def test_a_file_without_examples_asks_for_arguments(capsys, model):
    model.write_text("def f(x):\n    return x\n")
    assert "defines no example_args()" in refused(capsys, "draw", "model.py:f")


@pytest.mark.parametrize(
    ("text", "shape", "dtype"),
    [
        ("f8[3,4]", (3, 4), np.float64),
        ("float32[2]", (2,), np.float32),
        ("f4[]", (), np.float32),
        ("c16[ 2, 1 ]", (2, 1), np.complex128),
        ("f8[0,]", (0,), np.float64),
        ("[1.0, 2.0]", (2,), np.float64),
        ("[[1.0], [2.0]]", (2, 1), np.float64),
        ("[1, 2]", (2,), np.int64),
    ],
)
def test_texts_become_arrays(text, shape, dtype, rng):
    array = target.read(text, rng)
    assert (array.shape, array.dtype) == (shape, dtype)


def test_texts_become_literals_and_containers(rng):
    assert target.read("2.0", rng) == 2.0
    assert type(target.read("2", rng)) is int
    assert target.read("None", rng) is None
    assert target.read("1+2j", rng) == 1 + 2j
    assert target.read("-1.5", rng) == -1.5
    held = target.read("{'w': 'f8[2,3]', 'layers': [{'b': [1.0]}, (2.0, 'text')]}", rng)
    assert held["w"].shape == (2, 3)
    assert held["layers"][0]["b"].tolist() == [1.0]
    assert held["layers"][1] == (2.0, "text")


def test_random_arguments_are_seeded(model):
    found = target.load("model.py:paths")
    first, again = (target.arguments(found, ["f8[3]", "f8[3]"], 1) for _ in range(2))
    other = target.arguments(found, ["f8[3]", "f8[3]"], 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


# -- the user's own exceptions -----------------------------------------------------------------------------------------


def test_an_exception_of_the_users_file_keeps_its_traceback_from_there_on(capsys, model):
    assert main(["draw", "model.py:broken", "--args", "1.0"]) == REFUSED
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "raised on purpose" in said
    assert "model.py" in said
    assert "__main__" not in said
    assert main(["check", "model.py:outside", "--args", "1.0"]) == REFUSED
    assert "LinAlgError" in capsys.readouterr().err


def test_a_file_that_does_not_compile_shows_where(capsys, model):
    model.write_text("def f(:\n")
    assert main(["draw", "model.py:f", "--args", "1.0"]) == REFUSED
    said = capsys.readouterr().err
    assert "SyntaxError" in said
    assert "__main__" not in said


def test_a_mistake_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setattr(doctor, "report", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


# -- check -------------------------------------------------------------------------------------------------------------


def test_check_counts_what_agrees(capsys, model):
    assert main(["check", "model.py:paths"]) == DONE
    both = capsys.readouterr().out
    assert both.startswith("paths: ")
    assert main(["check", "model.py:nested", "--args", "{'w': 'f8[3]', 'b': [1.0]}", "2", "--order", "1"]) == DONE
    assert "order 1" in capsys.readouterr().out
    assert main(["check", "model.py:paths", "--mode", "reverse"]) == DONE
    assert int(both.split()[1]) > int(capsys.readouterr().out.split()[1])


def test_check_of_a_wrong_rule_fails_with_the_numbers(capsys, model):
    assert main(["check", "model.py:cube", "--args", "2.0"]) == FAILED
    said = capsys.readouterr().err
    assert "argument 0 (x) of cube" in said
    assert "Traceback" not in said


def test_check_refuses_what_has_no_derivative(capsys, model):
    assert "real or complex" in refused(capsys, "check", "model.py:paths", "--args", "2", "3")


# -- ops ---------------------------------------------------------------------------------------------------------------


def test_ops_lists_every_operation_of_the_rule_book(capsys):
    assert main(["ops", "--json"]) == DONE
    table = json.loads(capsys.readouterr().out)
    listed = [row["name"] for row in table["operations"]]
    assert len(listed) == len(set(listed))
    ends = {"input", "constant", "item"}
    assert set(listed) == {op.name for op in OPERATIONS.values() if not op.user} - ends
    standings = {row["name"]: row["status"] for row in table["names"]}
    assert standings["np.sort"] == standings["ndarray.sum"] == standings["np.fft.fft"] == "differentiable"
    assert standings["np.shape"] == standings["np.floor"] == "flat"
    assert standings["np.save"] == "not differentiable"


def test_ops_says_what_the_declaration_says():
    rows = {row.name: row for row in operations.rows()}
    assert rows["multiply"].arguments == ("a", "b")
    assert rows["multiply"].formula == ("δa = δy·b", "δb = δy·a")
    assert rows["multiply"].numpy == ("np.multiply",)
    assert rows["sum"].kind == "linear"
    assert rows["sum"].family == "reduce"
    assert "keepdims" in rows["sum"].keywords
    assert rows["concatenate"].arguments[0].startswith("*")
    assert rows["floor"].formula == ()


def test_ops_as_text_and_as_markdown_have_a_line_each(capsys):
    names = [row.name for row in operations.rows()]
    assert main(["ops"]) == DONE
    text = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert text[1 : len(names) + 1] == names
    assert main(["ops", "--markdown"]) == DONE
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in rows] == names
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}


def test_ops_with_a_word_shows_what_has_it_in_its_name(capsys):
    assert main(["ops", "argsort"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line] == [
        "operation", "argsort", "name", "np.argsort", "ndarray.argsort", "0"
    ]  # fmt: skip
    assert lines[-1] == "0 differentiable, 2 flat, 0 not differentiable"


# -- doctor ------------------------------------------------------------------------------------------------------------


def test_doctor_names_what_is_there(capsys):
    assert main(["doctor"]) == DONE
    said = capsys.readouterr().out
    for line in (f"numpy     {np.__version__}", f"autodiff  {__version__}"):
        assert line in said
    assert "optree" in said


def test_doctor_names_what_is_missing_and_the_command_that_installs_it(monkeypatch):
    there = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda package: None if package == "tqdm" else there(package))
    monkeypatch.setattr(doctor, "engines", lambda options: [])
    said = doctor.report()
    assert [line.split()[1] for line in said.splitlines() if line.strip().startswith("tqdm")] == ["missing"]
    assert 'pip install -e ".[demo]"' in said
    assert 'pip install -e ".[images]"' in said
    assert "built-in layout" in said


def test_doctor_tries_graphviz_before_it_says_that_it_works(monkeypatch):
    monkeypatch.setattr(doctor, "engines", lambda options: [Namespace(kind="dot", place="/usr/bin/dot")])

    def fail(*args):
        raise doctor.EngineError("dot was ended by signal 11")

    monkeypatch.setattr(doctor, "run", fail)
    assert "does not work: dot was ended by signal 11" in doctor.graphviz()
    monkeypatch.setattr(doctor, "run", lambda *args: b"")
    monkeypatch.setattr(doctor, "check_letters", fail)
    assert "lays out, but no PNG or PDF: dot was ended by signal 11" in doctor.graphviz()


def test_commands_raise_the_packages_own_errors():
    assert issubclass(errors.CommandError, errors.AutodiffError)
