"""Files that are written whole or not at all, wherever they are to stand."""

import os
import stat
import subprocess
import sys
import threading

import pytest

import autodiff as ad
from autodiff.errors import PictureError
from tests.viz import nets
from tests.viz.watching import nothing_left

only_posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and devices as POSIX has them")
only_linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder in which not even root can write")


@pytest.fixture
def flow():
    return ad.flow(nets.s2)(2.0, 3.0)


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


@only_posix
def test_a_file_that_is_there_keeps_its_mode(flow, tmp_path):
    target = tmp_path / "flow.txt"
    target.write_text("private")
    target.chmod(0o600)
    flow.draw(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_missing_folder(flow, tmp_path):
    with pytest.raises(PictureError, match=r"there is no folder[\s\S]*makedirs"):
        flow.draw(tmp_path / "no" / "flow.svg")


def test_a_folder_of_that_name_is_left_as_it_is(flow, tmp_path):
    (tmp_path / "flow.svg").mkdir()
    with pytest.raises(PictureError, match="is a folder"):
        flow.draw(tmp_path / "flow.svg", engine="builtin")
    assert os.listdir(tmp_path) == ["flow.svg"]
    assert os.listdir(tmp_path / "flow.svg") == []


def test_a_file_where_a_folder_should_be(flow, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PictureError, match="there is no folder"):
        flow.draw(tmp_path / "file" / "flow.svg", engine="builtin")


@only_linux
@pytest.mark.parametrize("place", ["/proc/flow.txt", "/proc/self/flow.txt", "/sys/flow.txt"])
def test_a_folder_in_which_nobody_can_write(flow, place, monkeypatch, capfd, tmp_path):
    refused = pytest.raises(PictureError, match=rf"'{place}' cannot be written[\s\S]*Errno[\s\S]*may write to")
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"), refused:
        flow.draw(place)


@only_posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="no mode of a folder binds an administrator")
def test_a_folder_that_is_read_only(flow, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PictureError, match="cannot be written"):
        flow.draw(tmp_path / "flow.txt")


FULL = """
import resource, sys
import autodiff as ad
from autodiff.errors import PictureError
flow = ad.flow(lambda a, b: a * b)(2.0, 3.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # as a full disk: the first bytes are written, the rest is not
try:
    flow.draw(sys.argv[1], engine="builtin")
except PictureError as error:
    sys.exit("cannot be written" in str(error) and 7)
"""


@only_posix
@pytest.mark.parametrize("form", ["svg", "html", "json"])
def test_a_disk_that_is_full_half_way_leaves_the_old_file(form, tmp_path):
    target = tmp_path / f"flow.{form}"
    target.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, target], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == [target.name]


@only_posix
def test_a_link_stays_and_what_it_leads_to_is_written(flow, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.svg").write_text("old")
    (tmp_path / "flow.svg").symlink_to(tmp_path / "there" / "real.svg")
    (tmp_path / "new.svg").symlink_to(tmp_path / "there" / "made.svg")
    for name in ("flow.svg", "new.svg"):
        assert flow.draw(tmp_path / name, engine="builtin") == tmp_path / name
        assert (tmp_path / name).is_symlink()
    assert sorted(os.listdir(tmp_path / "there")) == ["made.svg", "real.svg"]
    assert (tmp_path / "there" / "real.svg").read_text(encoding="utf-8").startswith("<svg")


@only_posix
def test_a_link_that_leads_nowhere(flow, tmp_path):
    (tmp_path / "away.svg").symlink_to(tmp_path / "no" / "folder.svg")
    with pytest.raises(PictureError, match="cannot be written"):
        flow.draw(tmp_path / "away.svg", engine="builtin")
    assert os.listdir(tmp_path) == ["away.svg"]


@only_posix
def test_a_link_to_itself_gives_way_to_the_file(flow, tmp_path):
    (tmp_path / "round.txt").symlink_to(tmp_path / "round.txt")
    assert flow.draw(tmp_path / "round.txt").read_text(encoding="utf-8").startswith("Gradient flow of s2")
    assert not (tmp_path / "round.txt").is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_device_is_written_into_and_never_replaced(flow, tmp_path):
    (tmp_path / "flow.svg").symlink_to("/dev/full")
    before = os.stat("/dev/full")
    with pytest.raises(PictureError, match=r"cannot be written[\s\S]*No space left on device"):
        flow.draw(tmp_path / "flow.svg", engine="builtin")
    assert os.stat("/dev/full").st_rdev == before.st_rdev
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@only_posix
def test_a_pipe_gets_the_picture(flow, tmp_path):
    os.mkfifo(tmp_path / "flow.txt")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "flow.txt").read_text(encoding="utf-8")))
    reader.start()
    flow.draw(tmp_path / "flow.txt")
    reader.join(10)
    assert read[0].startswith("Gradient flow of s2")
    assert stat.S_ISFIFO((tmp_path / "flow.txt").stat().st_mode)


@pytest.mark.parametrize("name", ["a\x00b.txt", "x" * 300 + ".txt", "\ud800.txt"], ids=["NUL", "too long", "surrogate"])
def test_a_name_that_no_file_can_have(name, flow, tmp_path):
    with pytest.raises(PictureError, match="cannot be written"):
        flow.draw(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["two words.txt", "δ.txt", "-o.txt", "a\nb.txt", "%s{0}$x.txt", ".x.txt", "X.TXT"])
def test_a_name_that_a_file_can_have(name, flow, tmp_path):
    if os.name != "posix" and "\n" in name:
        pytest.skip("not on this system")
    flow.draw(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_an_error_leaves_an_old_picture_alone(flow, tmp_path):
    target = tmp_path / "flow.svg"
    target.write_text("old")
    with pytest.raises(PictureError):
        flow.draw(target, max_nodes=1)
    assert target.read_text() == "old"


def test_a_key_that_is_pressed_while_it_is_written(flow, tmp_path, monkeypatch):
    target = tmp_path / "flow.txt"
    target.write_text("old")

    def pressed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", pressed)
    with pytest.raises(KeyboardInterrupt):
        flow.draw(target)
    assert os.listdir(tmp_path) == ["flow.txt"]
    assert target.read_text() == "old"


def test_a_graph_is_drawn_without_delta(tmp_path):
    path = ad.trace(nets.s2)(2.0, 3.0).draw(tmp_path / "graph.svg", engine="builtin")
    text = path.read_text(encoding="utf-8")
    assert "δ" not in text.replace("formulas", "").split("<desc")[0]
    assert "value" in text
    assert "colour: RMS" not in text
