"""Graphviz in its child process, and everything that can go wrong there."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError
from autodiff.viz import engine as engine_room
from autodiff.viz import picture
from autodiff.viz.engine import EngineError, SlowError, engines, run
from autodiff.viz.options import Options
from tests.viz import nets
from tests.viz.watching import DRAWS, HERE, check_svg, is_running, left, nothing_left, started

pytestmark = pytest.mark.engine

needs_graphviz = pytest.mark.skipif(not HERE, reason="needs pygraphviz, or a dot on the PATH")
needs_raster = pytest.mark.skipif(not DRAWS, reason="needs Graphviz with fonts, such as those of DejaVu")
only_posix = pytest.mark.skipif(os.name != "posix", reason="a fake dot is a script with a first line that names Python")
each_engine = pytest.mark.parametrize("engine", [engine.kind for engine in engines(Options())])


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


GRANDCHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])"

FAILURES = {
    "junk": ("print('this is no layout')", "gave no layout"),
    "silence": ("sys.stdin.read()", "said nothing"),
    "empty file": ("sys.exit(0)", "said nothing"),
    "junk beside nothing": ("print('junk', file=sys.stderr)", "said nothing: junk"),
    "colours on stderr": ("sys.stderr.write('\\x1b[31mred\\x1b[0m'); sys.exit(2)", "ended with 2: ‹1b›[31mred"),
    "endless junk": ("while True: sys.stdout.buffer.write(bytes(2**20))", "File too large"),
    "endless complaint": ("while True: sys.stderr.buffer.write(b'x' * 2**20)", "ended with 1: xxx"),
    "greedy": ("bytes(2**40)", "MemoryError"),
    "no program": ("raise SystemExit(127)", "ended with 127"),
    "one that holds the pipe": (f"{GRANDCHILD}; print('junk')", "gave no layout"),
    "a daemon that holds the pipe": (f"{GRANDCHILD}; sys.exit(4)", "ended with 4"),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", "took more than 1 s"),
    "deaf": ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", "took more than 1 s"),
    "exit code": ("sys.stderr.write('Error: out of luck\\n'); sys.exit(3)", "ended with 3: Error: out of luck"),
    "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal 11"),
    "json of another graph": ("print('{\"bb\": \"0,0,1,1\", \"objects\": []}')", "gave no layout"),
    "binary": ("sys.stdout.buffer.write(bytes(range(256)) * 100)", "gave no layout"),
    "half": ("print('{\"bb\": \"0,0,')", "gave no layout"),
    "hang": ("time.sleep(60)", "took more than 1 s"),
}


@only_posix
@pytest.mark.parametrize("kind", FAILURES)
def test_a_dot_that_fails_leaves_the_built_in_layout_which_says_so(kind, flow, fake_dot, capfd, monkeypatch, tmp_path):
    body, told = FAILURES[kind]
    fake_dot(body)
    monkeypatch.setattr(engine_room, "LARGEST_ANSWER", 2**22)
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"):
        began = time.monotonic()
        flow.draw(tmp_path / "flow.svg", engine="dot", timeout=1.0 if "took more" in told else 20.0)
        assert time.monotonic() - began < 15  # what holds the pipe would hold it up for 20 s and more
    root = check_svg((tmp_path / "flow.svg").read_text(encoding="utf-8"), boxes=6)
    legend = " ".join(word.text for word in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "built-in layout" in legend
    assert told in legend
    assert "10.5" in legend


@only_posix
def test_a_gigabyte_of_junk_takes_no_memory_here(fake_dot):
    resource = pytest.importorskip("resource")
    as_no_python = "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)"
    fake_dot(f"{as_no_python}\nfor _ in range(1024): sys.stdout.buffer.write(b'x' * 2**20)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EngineError, match="File size limit exceeded"):
        run(engines(Options(engine="dot"))[0], "digraph {}", "dot", "json0", Options())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


@only_posix
@pytest.mark.parametrize("after", ["time.sleep(120)", "print('junk')", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_what_dot_started_is_ended_with_it(after, flow, fake_dot, tmp_path):
    note = tmp_path / "pid"
    fake_dot(f"child = {GRANDCHILD}\nopen({str(note)!r}, 'w').write(f'{{child.pid}} {{os.getpid()}}')\n{after}")
    picture(flow, "svg", engine="dot", timeout=2.0)
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    until = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.01)  # a killed process takes a moment to go
    assert not any(map(is_running, pids))


DRAW = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
import autodiff as ad
flow = ad.flow(lambda a, b: a * b)(2.0, 3.0)
print("ready", flush=True)
flow.draw(sys.argv[1], engine="dot", timeout=60.0)
"""


@only_posix
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGKILL"])
def test_an_interrupted_draw_leaves_no_process_and_no_file(ending, fake_dot, tmp_path, monkeypatch):
    """Ctrl-C ends dot at once. Where nobody is left to do so, it ends itself when its time is over."""
    mark = f"interrupted-{os.getpid()}-{ending}"
    monkeypatch.setenv("AUTODIFF_TEST_MARK", mark)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    fake_dot(f"open({str(tmp_path / 'begun')!r}, 'w'); time.sleep(100)")
    target = tmp_path / "flow.svg"
    target.write_text("old")
    script = DRAW if ending == "SIGINT" else DRAW.replace("60.0", "2.0")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script, target], stdout=pipe, stderr=pipe) as user:
        assert user.stdout.readline() == b"ready\n"
        until = time.monotonic() + 30
        while not (tmp_path / "begun").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert len(started(mark)) == 2
        user.send_signal(getattr(signal, ending))
        _, said = user.communicate(timeout=30)
    assert user.returncode == -getattr(signal, ending)
    assert (b"KeyboardInterrupt" in said) == (ending == "SIGINT")
    assert left(mark, patience=30.0) == []
    assert target.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["begun", "bin", "flow.svg"]


@only_posix
@pytest.mark.parametrize("form", ["svg", "png"])
def test_two_engines_share_one_patience(form, flow, fake_dot, monkeypatch):
    """Where one way to Graphviz took too long the other is not tried: it would take as long."""
    fake_dot("time.sleep(60)")
    dot = engines(Options(engine="dot"))[0]
    monkeypatch.setattr(engine_room, "engines", lambda options: [dot, dot])
    for room in ("scene", "raster"):
        monkeypatch.setattr(f"autodiff.viz.{room}.engines", lambda options: [dot, dot])
    if form == "svg":
        assert picture(flow, form, timeout=1.0).count("took more than 1 s") == 1
    else:
        with pytest.raises(PictureError) as caught:
            picture(flow, form, timeout=1.0)
        assert str(caught.value).count("took more than 1 s") == 1


@only_posix
def test_a_raster_that_takes_too_long_names_the_limit(flow, fake_dot):
    fake_dot("time.sleep(60)")
    with pytest.raises(PictureError, match=r"no png could be made[\s\S]*took more than 1 s[\s\S]*timeout=60 gives"):
        picture(flow, "png", engine="dot", timeout=1.0)


@needs_raster
@each_engine
def test_a_raster_that_takes_too_much_memory_names_the_limit(flow, engine):
    with pytest.raises(PictureError, match=r"no png could be made[\s\S]*instead: memory=2 gives it more \(GiB\)"):
        picture(flow, "png", engine=engine, memory=0.25, dpi=3000)


@needs_graphviz
def test_a_png_that_graphviz_would_shrink_is_refused_with_what_fits(flow):
    with pytest.raises(PictureError, match=r"a png of \d+ × \d+ dots[\s\S]*more than 32767[\s\S]*dpi=\d+, or"):
        picture(flow, "png", dpi=100_000)


@needs_graphviz
@each_engine
def test_a_machine_without_fonts_draws_no_boxes_for_letters(flow, engine, tmp_path, monkeypatch):
    """What the layout needs of fonts is in the package itself, so that an svg is the same."""
    before = picture(flow, "svg", engine=engine)
    (tmp_path / "fonts.conf").write_text('<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig/>')
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    monkeypatch.setenv("FONTCONFIG_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert picture(flow, "svg", engine=engine) == before
    for form in ("png", "pdf"):
        with pytest.raises(PictureError, match=r"finds no fonts[\s\S]*install fonts"):
            picture(flow, form, engine=engine)


@needs_graphviz
@pytest.mark.parametrize("options", [{"timeout": 1e300}, {"timeout": np.inf}, {"memory": 1e300}, {"memory": np.inf}])
def test_no_limit_is_a_limit_too(flow, options):
    assert "took more" not in picture(flow, "svg", **options)
    assert "built-in layout" not in picture(flow, "svg", **options)


@needs_raster
def test_the_built_in_layout_as_png(flow):
    """Who lays out and who draws are two questions."""
    assert picture(flow, "png", engine="builtin", dpi=30).startswith(b"\x89PNG")


@only_posix
def test_raster_needs_a_dot_that_draws(flow, fake_dot, tmp_path):
    fake_dot("print('no picture')")
    with pytest.raises(PictureError, match=r"no png could be made[\s\S]*did not write a png[\s\S]*\.\[images\]"):
        flow.draw(tmp_path / "flow.png", engine="dot")
    assert os.listdir(tmp_path) == ["bin"]


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_without_graphviz_raster_says_what_to_install(flow, nothing_installed, form):
    with pytest.raises(PictureError, match=r'neither pygraphviz nor a dot[\s\S]*pip install -e "\.\[images\]"'):
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
@each_engine
@pytest.mark.parametrize("memory", [0, 0.001])
def test_the_memory_limit_holds_for_the_real_one(engine, memory, flow, monkeypatch, capfd, tmp_path):
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"):
        assert "built-in layout" in picture(flow, "svg", engine=engine, memory=memory)


@needs_graphviz
def test_errors_of_the_real_one_are_kept():
    for engine in engines(Options()):
        with pytest.raises(EngineError, match=r"syntax error|ended with"):
            run(engine, "digraph {", "dot", "json0", Options())
        with pytest.raises(SlowError, match="took more than 0 s"):
            run(engine, "digraph {}", "dot", "json0", Options(timeout=0))


@needs_raster
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


@needs_raster
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


@needs_raster
def test_dots_an_inch(flow):
    small, large = (pixels(picture(flow, "png", dpi=dpi)).shape for dpi in (36, 72))
    assert large[0] == pytest.approx(2 * small[0], abs=2)


@needs_raster
def test_a_pdf(flow):
    data = picture(flow, "pdf")
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")


@needs_raster
def test_a_long_picture_is_more_than_graphviz_reads_between_two_quotation_marks(rng):
    assert picture(nets.residual_flow(rng, 20), "png", dpi=30).startswith(b"\x89PNG")
