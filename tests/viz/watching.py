"""What the tests of bad input share: every format, what a right file of it is, and what a draw may leave behind."""

import json
import math
import os
import re
import tempfile
import time
import unicodedata
import uuid
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from html.parser import HTMLParser

from autodiff.viz import picture
from autodiff.viz.engine import engines, run
from autodiff.viz.options import Options
from autodiff.viz.raster import able

HERE = bool(engines(Options()))  # something lays out
DRAWS = able(Options())  # something draws png and pdf: it needs fonts as well
SVG = "{http://www.w3.org/2000/svg}"
FORMATS = ("svg", "png", "pdf", "dot", "html", "json", "txt", "notebook", "explorer")
DRAWN = ("png", "pdf")  # by Graphviz alone
PARTS = {"svg", "title", "desc", "g", "rect", "path", "polygon", "text", "style"}
MARK = "AUTODIFF_TEST_MARK"


def drawn(source, form, **options):
    """A picture in one of FORMATS; a notebook's is None where the table beside it must do."""
    if form == "notebook":
        return source._repr_mimebundle_().get("image/svg+xml")
    if form == "explorer":
        return source.explore(**options)._repr_html_()
    return picture(source, form, **options)


# -- what a right file is ----------------------------------------------------------------------------------------------


def check(form, data, boxes=None):
    """A file is whole, holds nothing that runs or asks for anything, and has so many boxes."""
    {"svg": check_svg, "notebook": check_svg, "png": check_png, "pdf": check_pdf, "dot": check_dot, "html": check_html,
     "explorer": check_frame, "json": check_json, "txt": check_text}[form](data, boxes)  # fmt: skip


def check_svg(text, boxes=None):
    root = ET.fromstring(text.encode("utf-8"))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= PARTS
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.startswith("on"), key
            assert "href" not in key
            assert "url(" not in value
            if key in ("x", "y", "width", "height", "rx", "stroke-width", "font-size"):
                assert math.isfinite(float(value))
            if key in ("d", "points", "viewBox"):
                assert re.fullmatch(r"[-MC0-9., ]*", value), value[:80]
    assert "@import" not in "".join(element.text or "" for element in root.iter(f"{SVG}style"))
    if boxes is not None:
        assert sum(g.get("data-kind") == "node" for g in root.iter(f"{SVG}g")) == boxes
    return root


def check_png(data, boxes=None):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    assert min(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) > 50


def check_pdf(data, boxes=None):
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")
    assert not re.search(rb"/(JavaScript|JS|URI|Launch|OpenAction|AA)\b", data)


def check_dot(text, boxes=None):
    """Every Graphviz that is here reads it, and finds the boxes."""
    for engine in engines(Options()):
        found = json.loads(run(engine, text, "dot", "json0", Options()))
        nodes = [thing["name"] for thing in found["objects"] if not thing["name"].startswith("cluster_")]
        assert all(re.fullmatch(r"[ns]\d+(u\d+)?", name) for name in nodes), nodes
        assert not any(key.lower() in ("url", "href", "image") for thing in found["objects"] for key in thing)
        assert boxes is None or len(nodes) == boxes


class Elements(HTMLParser):
    """The elements of a page with their attributes, its texts, and what its script gets as data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found, self.texts, self.here = [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(attrs)))
        self.here = tag

    def handle_data(self, data):
        self.texts[self.here] = self.texts.get(self.here, "") + data

    def handle_comment(self, data):
        self.found.append(("!--", ()))

    def handle_pi(self, data):
        self.found.append(("?", ()))


LOADING = {
    "iframe", "object", "embed", "img", "image", "link", "base", "form", "audio", "video", "foreignobject", "!--", "?",
}  # fmt: skip
ASKING = {"src", "srcset", "srcdoc", "action", "formaction", "background", "data", "ping", "poster", "manifest"}


def check_html(text, boxes=None):
    page = Elements(text)
    policies = [dict(attrs)["content"] for tag, attrs in page.found if dict(attrs).get("http-equiv")]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; script-src 'sha256-")
    for tag, attrs in page.found:
        assert tag not in LOADING
        for key, value in attrs:
            assert not key.startswith("on"), (tag, key)
            assert key not in ASKING, (tag, key)
            assert key != "href" or value.startswith("#"), value
    assert not re.search(r"url\(\s*['\"]?(?!#|data:)|@import", page.texts["style"])
    data = re.search(r"<script[^>]*application/json[^>]*>([^<]*)</script>", text)
    json.loads(data.group(1), parse_constant=_no_constant)


def check_frame(text, boxes=None):
    (frame,) = Elements(text).found
    assert frame[0] == "iframe"
    attrs = dict(frame[1])
    assert attrs["sandbox"] == "allow-scripts"
    assert "src" not in attrs
    check_html(attrs["srcdoc"], boxes)


def check_json(text, boxes=None):
    assert text.isascii()
    assert not set("<>&") & set(text)
    found = json.loads(text, parse_constant=_no_constant)
    assert boxes is None or len(found["nodes"]) == boxes


def _no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def check_text(text, boxes=None):
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Cf") for sign in text if sign not in "\n\u2068\u2069")
    assert boxes is None or sum(re.match(r"\d+ {2,}", row) is not None for row in text.splitlines()) == boxes


# -- what is left behind -----------------------------------------------------------------------------------------------


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def started(mark):
    """Every process that has this mark in its surroundings, wherever it hangs in the tree."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"{MARK}={mark}".encode() in file.read() and is_running(pid):
                    found.append(int(pid))
        except OSError:  # it ended, or is somebody else's
            continue
    return found


def left(mark, patience=10.0):
    """The processes with this mark that go on; what was killed takes a moment to go."""
    until = time.monotonic() + patience
    while (found := started(mark)) and time.monotonic() < until:
        time.sleep(0.01)
    return found


@contextmanager
def nothing_left(monkeypatch, capfd, folder):
    """Nothing on stdout or stderr, no process that goes on, no temporary file."""
    mark = uuid.uuid4().hex
    folder.mkdir()
    monkeypatch.setenv(MARK, mark)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    capfd.readouterr()
    yield mark
    assert left(mark) == []
    assert os.listdir(folder) == []
    assert capfd.readouterr() == ("", "")
