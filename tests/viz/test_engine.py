"""Graphviz in its child process, and everything that can go wrong there; files that are written whole or not at all."""

import os
import stat
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError
from autodiff.viz import engine as engine_room
from autodiff.viz import picture
from autodiff.viz.engine import EngineError, engines, run
from autodiff.viz.options import Options
from tests.viz import nets

HERE = bool(engines(Options()))
needs_graphviz = pytest.mark.skipif(not HERE, reason="needs pygraphviz, or a dot on the PATH")
only_posix = pytest.mark.skipif(os.name != "posix", reason="a fake dot is a script with a first line that names Python")


@pytest.fixture
def flow():
    return ad.flow(nets.s2)(2.0, 3.0)


@pytest.fixture
def fake_dot(tmp_path, monkeypatch):
    """A function that puts a dot with this body on an otherwise empty PATH."""

    def make(body):
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "dot"
        script.write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return make


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(engine_room.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


FAILURES = {
    "junk": ("print('this is no layout')", "gave no layout"),
    "silence": ("sys.stdin.read()", "said nothing"),
    "exit code": ("sys.stderr.write('Error: out of luck\\n'); sys.exit(3)", "ended with 3: Error: out of luck"),
    "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal 11"),
    "json of another graph": ("print('{\"bb\": \"0,0,1,1\", \"objects\": []}')", "gave no layout"),
    "binary": ("sys.stdout.buffer.write(bytes(range(256)) * 100)", "gave no layout"),
    "half": ("print('{\"bb\": \"0,0,')", "gave no layout"),
    "hang": ("time.sleep(60)", "took more than 1 s"),
}


@only_posix
@pytest.mark.parametrize("kind", FAILURES)
def test_a_dot_that_fails_leaves_the_built_in_layout_which_says_so(kind, flow, fake_dot, capfd, tmp_path):
    body, told = FAILURES[kind]
    fake_dot(body)
    started = time.monotonic()
    flow.draw(tmp_path / "flow.svg", engine="dot", timeout=1.0 if kind == "hang" else 20.0)
    assert time.monotonic() - started < 20
    text = (tmp_path / "flow.svg").read_text(encoding="utf-8")
    legend = " ".join(word.text for word in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text"))
    assert "built-in layout" in legend
    assert told in legend
    assert "10.5" in legend
    assert capfd.readouterr() == ("", "")


@only_posix
def test_what_a_hanging_dot_started_is_ended_with_it(flow, fake_dot, tmp_path):
    note = tmp_path / "pid"
    fake_dot(
        f"child = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(120)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{child.pid}} {{os.getpid()}}')\ntime.sleep(120)"
    )
    picture(flow, "svg", engine="dot", timeout=2.0)
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    assert not any(map(is_running, pids))


@only_posix
def test_raster_needs_a_dot_that_draws(flow, fake_dot, tmp_path):
    fake_dot("print('no picture')")
    with pytest.raises(PictureError, match=r"no png could be made[\s\S]*did not write a png[\s\S]*autodiff\[images\]"):
        flow.draw(tmp_path / "flow.png", engine="dot")
    assert os.listdir(tmp_path) == ["bin"]


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_without_graphviz_raster_says_what_to_install(flow, nothing_installed, form):
    with pytest.raises(PictureError, match=r'neither pygraphviz nor a dot[\s\S]*pip install "autodiff\[images\]"'):
        picture(flow, form)


def test_without_graphviz_the_rest_is_drawn(flow, nothing_installed):
    assert "Graphviz is not installed" in picture(flow, "svg")
    for form in ("dot", "json", "txt"):
        assert "10.5" in picture(flow, form)
    assert "10.5" in flow._repr_svg_()


@needs_graphviz
def test_with_graphviz_the_picture_says_which():
    text = picture(ad.flow(nets.s2)(2.0, 3.0), "svg")
    assert f"Layout: {engines(Options())[0].kind}" in text


@needs_graphviz
def test_the_time_limit_holds_for_the_real_one(rng):
    flow = nets.residual_flow(rng, 60)
    started = time.monotonic()
    text = picture(flow, "svg", timeout=0.05)
    assert "took more than 0.05 s" in text
    assert time.monotonic() - started < 10


@needs_graphviz
@only_posix
def test_the_memory_limit_holds_for_the_real_one(flow):
    text = picture(flow, "svg", memory=0.02)
    assert "built-in layout" in text


@needs_graphviz
def test_errors_of_the_real_one_are_kept():
    for engine in engines(Options()):
        with pytest.raises(EngineError, match=r"syntax error|ended with"):
            run(engine, "digraph {", "dot", "json0", Options())


@needs_graphviz
def test_nothing_is_printed_and_graphviz_stays_out_of_this_process(flow, tmp_path):
    script = (
        "import sys, autodiff as ad\n"
        "flow = ad.flow(lambda a, b: a * b)(2.0, 3.0)\n"
        f"for form in ('svg', 'png', 'pdf', 'dot', 'json', 'txt'): flow.draw({str(tmp_path)!r} + '/flow.' + form)\n"
        "assert not any(name.startswith('pygraphviz') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert sorted(os.listdir(tmp_path)) == [f"flow.{form}" for form in ("dot", "json", "pdf", "png", "svg", "txt")]


# -- png and pdf -------------------------------------------------------------------------------------------------------


def pixels(data):
    """The size of a png, and its rows of pixels as an array."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, header = 8, b"", None
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        place += 12 + length
    across, down, depth, colour = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), *header[8:10]
    assert depth == 8
    channels = {2: 3, 6: 4}[colour]
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(down, 1 + across * channels)
    image = np.zeros((down, across, channels), np.uint8)
    above = np.zeros((across, channels), np.uint8)
    for y, row in enumerate(raw):
        above = image[y] = _unfiltered(row[0], row[1:].reshape(across, channels), above)
    return image


def _unfiltered(kind, row, above):
    """One row of a png with its filter undone."""
    if kind in (0, 2):
        return row + above * (kind == 2)
    out = np.zeros_like(row)
    left = corner = np.zeros(row.shape[1], int)
    for x in range(len(row)):
        up = above[x].astype(int)
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            p = left + up - corner
            a, b, c = abs(p - left), abs(p - up), abs(p - corner)
            guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
        out[x] = (row[x] + guess) % 256
        left, corner = out[x].astype(int), up
    return out


@needs_graphviz
@pytest.mark.parametrize(("theme", "paper"), [("light", (255, 255, 255)), ("dark", (13, 17, 23))])
def test_a_png_is_as_large_as_the_svg_and_as_colourful(flow, theme, paper):
    root = ET.fromstring(picture(flow, "svg", theme=theme))
    image = pixels(picture(flow, "png", theme=theme, dpi=72))
    assert image.shape[1] == pytest.approx(float(root.get("width")), abs=2)
    assert image.shape[0] == pytest.approx(float(root.get("height")), abs=2)
    assert tuple(image[2, 2][:3]) == paper
    for g in root.iter("{http://www.w3.org/2000/svg}g"):
        if g.get("data-kind") == "node":  # the band of δ, at its right end where no text stands
            band = g.findall("{http://www.w3.org/2000/svg}rect")[1]
            x, y, w, h = (float(band.get(key)) for key in ("x", "y", "width", "height"))
            seen = image[round(y + h / 2), round(x + w - 4)][:3].astype(int)
            told = [int(band.get("fill")[i : i + 2], 16) for i in (1, 3, 5)]
            assert np.abs(seen - told).max() <= 3


@needs_graphviz
def test_dots_an_inch(flow):
    small, large = (pixels(picture(flow, "png", dpi=dpi)).shape for dpi in (36, 72))
    assert large[0] == pytest.approx(2 * small[0], abs=2)


@needs_graphviz
def test_a_pdf(flow):
    data = picture(flow, "pdf")
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")


@needs_graphviz
def test_a_long_picture_is_more_than_graphviz_reads_between_two_quotation_marks(rng):
    assert picture(nets.residual_flow(rng, 20), "png", dpi=30).startswith(b"\x89PNG")


# -- files -------------------------------------------------------------------------------------------------------------


def test_draw_returns_the_path_and_replaces_a_file(flow, tmp_path):
    target = tmp_path / "flow.svg"
    target.write_text("old")
    assert flow.draw(str(target), engine="builtin") == target
    assert target.read_text(encoding="utf-8").startswith("<svg")
    assert os.listdir(tmp_path) == ["flow.svg"]


@only_posix
def test_the_file_has_the_mode_of_any_new_file(flow, tmp_path):
    flow.draw(tmp_path / "flow.txt")
    (tmp_path / "other").write_text("")
    assert stat.S_IMODE((tmp_path / "flow.txt").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_missing_folder(flow, tmp_path):
    with pytest.raises(PictureError, match=r"there is no folder[\s\S]*makedirs"):
        flow.draw(tmp_path / "no" / "flow.svg")


def test_a_place_that_cannot_be_written_leaves_nothing(flow, tmp_path):
    (tmp_path / "flow.svg").mkdir()
    (tmp_path / "flow.svg" / "full").write_text("")
    with pytest.raises(PictureError, match="is a folder"):
        flow.draw(tmp_path / "flow.svg", engine="builtin")
    assert os.listdir(tmp_path) == ["flow.svg"]


def test_a_read_only_folder(flow, tmp_path, monkeypatch):
    def refused(**given):
        raise PermissionError(13, "Permission denied", str(given["dir"]))

    monkeypatch.setattr(tempfile, "mkstemp", refused)  # the mode of a folder does not bind an administrator
    with pytest.raises(PictureError, match=r"cannot be written[\s\S]*Permission denied"):
        flow.draw(tmp_path / "flow.txt")
    assert os.listdir(tmp_path) == []


@only_posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="no mode of a folder binds an administrator")
def test_a_folder_that_really_is_read_only(flow, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PictureError, match="cannot be written"):
        flow.draw(tmp_path / "flow.txt")


def test_an_error_leaves_an_old_picture_alone(flow, tmp_path, monkeypatch):
    target = tmp_path / "flow.svg"
    target.write_text("old")
    with pytest.raises(PictureError):
        flow.draw(target, max_nodes=1)
    assert target.read_text() == "old"


def test_a_graph_is_drawn_without_delta(tmp_path):
    path = ad.trace(nets.s2)(2.0, 3.0).draw(tmp_path / "graph.svg", engine="builtin")
    text = path.read_text(encoding="utf-8")
    assert "δ" not in text.replace("formulas", "").split("<desc")[0]
    assert "value" in text
    assert "colour: RMS" not in text
