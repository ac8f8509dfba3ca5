"""Names are untrusted text: nothing that a name says may become markup, an escape, a command or a broken file."""

import json
import re
import unicodedata

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import PictureError
from autodiff.viz import picture
from autodiff.viz.lettering import clean
from tests.viz.watching import DRAWN, DRAWS, FORMATS, Elements, check, check_html, check_svg, drawn, nothing_left

SVG = "{http://www.w3.org/2000/svg}"

PAYLOADS = [
    # quotation marks and backslashes
    '"', "'", '""', '"]; evil [label="', '"; }', '\\', "\\\\", '\\"', 'a\\', '\\"]; evil -> evil; //', "`", "a\\\nb",
    # escapes of dot
    "\\N", "\\G", "\\E", "\\L", "\\T", "\\H", "\\l\\r\\n", "%n", "${x}",
    # dot's own syntax and html-like labels
    "<b>bold</b>", "<<b>bold</b>>", "<<table><tr><td>x</td></tr></table>>", "<", ">", "<>", "{a|b|{c}}", "<port> a",
    "strict digraph {", "subgraph cluster_0", "node", "edge", "graph", "a:n", "a -> b", "/* x */", "// x", "# x", "a;b",
    # svg, html and json
    "</svg><script>alert(1)</script>", "<script>alert(1)</script>", "]]>", "<![CDATA[x", "<!-- x -->", "-->", "&amp;",
    "&#x41;&lt;b&gt;", "&undefined;", '" onload="alert(1)', "' onmouseover='alert(1)", "javascript:alert(1)",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>", "<?xml version='1.0'?>", "</title>", "</text>", "\\u003cscript\\u003e",
    '{"a": 1}', "url(#x)", "__proto__", "constructor",
    # what cannot be seen, and what turns text round
    "\x00", "a\x00b", "\x07\x08\x1b[31mred", "\x7f\x85\x9f", "line\nbreak", "tab\ttab", "\r\n", "\u2028\u2029",
    "\u202eevil\u202c", "\u2066x\u2069", "שלום", "مرحبا = 1", "\u200b\u200d\ufeff",
    "\ud800", "\udfff\ud800", "\ufffe\uffff",
    "\U000e0041", "e\u0301\u0301\u0301", "Z̷̢̛a", "😀👩‍👩‍👧🏽", "中文名字", "ﷺ", "𝒳",
    # nothing, and too much
    "", " ", "   ", "x" * 10_000, "<" * 1000, "é" * 500, "a b " * 300, "../../etc/passwd", "$(touch evil)",
    "; rm -rf x",
    "None", "nan", "0",
    # what could be asked for, formats, and what is far too much
    "url(http://example.invalid/x.png)", "</style><style>*{background:url(//example.invalid)}", "file:///etc/passwd",
    "@import '//example.invalid';", "<a href='file:///etc/passwd'>x</a>", "<img src=x onerror=alert(1)>",
    "http://example.invalid/", "data:text/html,<script>alert(1)</script>", "<foreignObject><iframe/></foreignObject>",
    "<use href='#x'/>", "<image xlink:href='//example.invalid'/>", "</SCRIPT\t>", "<!--<script>", "--!>", "@@DATA@@",
    "@@", "{{7*7}}", "{0.__class__}", "%s%s%n", "{name!r}", "%(x)d", "a\\\\\\", "\\u0000", "\\x3c", "';alert(1)//",
    "`${alert(1)}`", "&lt;script&gt;", "Z" + "\u0351\u0362\u0489" * 400, "e\u0301" * 5000, "😀" * 3000, "x" * 100_000,
    "<b>" * 40_000, "\x00" * 100_000, "toString", "hasOwnProperty", "</textarea>", "\u2029</script>\u2028",
    "cluster_0", "n0", "s0", "n1u2",
]  # fmt: skip


def flow_of(names):
    def f(x):
        for name in names:
            with ad.scope(name):
                x = ad.name(x * 1.5, name)
        return np.sum(x)

    f.__name__ = names[0] or "f"
    return ad.flow(f)(np.ones(2))


def test_there_are_enough_of_them():
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


each_payload = pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text)[:24])


@each_payload
def test_svg(payload):
    text = picture(flow_of([payload, "after"]), "svg", engine="builtin", title=payload)
    root = check_svg(text, boxes=4)
    assert sum(g.get("data-kind") == "edge" for g in root.iter(f"{SVG}g")) == 3
    shown = {element.text for element in root.iter(f"{SVG}text")}
    assert clean(payload) == "" or any(clean(payload) in (word or "") for word in shown)


@pytest.fixture(scope="module")
def plain_page():
    return Elements(picture(flow_of(["plain", "after"]), "html", engine="builtin", title="plain")).found


@each_payload
def test_html(payload, plain_page):
    """The page of a hostile name has the elements of any other page, one for one; the name stands in its data."""
    text = picture(flow_of([payload, "after"]), "html", engine="builtin", title=payload)
    check_html(text)
    assert Elements(text).found == plain_page


@each_payload
def test_notebook(payload):
    flow = flow_of([payload])
    for text in (str(flow), repr(flow), str(flow.graph), repr(flow.graph), str(flow.joins()), str(flow.trend())):
        assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text if sign != "\n")
    check_svg(flow._repr_svg_(), boxes=3)


@each_payload
def test_dot(payload):
    pygraphviz = pytest.importorskip("pygraphviz")
    text = picture(flow_of([payload, "after"]), "dot", title=payload)
    graph = pygraphviz.AGraph(string=text)
    assert sorted(graph.nodes()) == ["n0", "n1", "n2", "n3"]
    assert sorted(graph.edges()) == [("n0", "n1"), ("n1", "n2"), ("n2", "n3")]
    assert len(graph.subgraphs()) == 2
    label = graph.get_node("n1").attr["label"]
    assert not re.search(r"=\s*<", re.sub(r'"(\\.|[^"\\])*"', '""', text))  # outside quotation marks there is no html
    unescaped = re.sub(r"\\(.)", r"\1", label.split("   float64")[0])
    assert unescaped == (f"{clean(payload)} = multiply(·, 1.5)" if payload else "multiply(·, 1.5)")


@each_payload
def test_json(payload):
    text = picture(flow_of([payload]), "json")
    assert text.isascii()
    assert not set("<>&") & set(text)
    found = json.loads(text)
    assert found["nodes"][1]["name"] == payload
    assert found["nodes"][1]["scope"] == [payload]


@each_payload
def test_text(payload):
    text = picture(flow_of([payload]), "txt")
    assert "\x1b" not in text
    assert text.isprintable() or not any(
        unicodedata.category(sign) in ("Cc", "Cs") for sign in text.replace("\n", "")
    )
    assert sum(line[:2] in ("0 ", "1 ", "2 ") for line in text.splitlines()) == 3


@pytest.mark.engine
@pytest.mark.parametrize("form", FORMATS)
def test_all_of_them_at_once(form, monkeypatch, capfd, tmp_path):
    flow = flow_of(PAYLOADS)
    with nothing_left(monkeypatch, capfd, tmp_path / "temporary"):
        options = {} if form == "notebook" else {"title": PAYLOADS[0]} | ({"dpi": 36} if form in DRAWN else {})
        if form in DRAWN and not DRAWS:
            with pytest.raises(PictureError, match=r"Graphviz is not installed|no fonts"):
                drawn(flow, form, **options)
        else:
            check(form, drawn(flow, form, **options), boxes=len(PAYLOADS) + 2)


def test_layout_sees_no_names(monkeypatch):
    """What Graphviz is given to lay out holds no text of the user's at all."""
    pytest.importorskip("pygraphviz")
    import autodiff.viz.engine as engine

    seen = []
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda *given: seen.append(given[1]) or run(*given))
    picture(flow_of(["secret", "hidden"]), "svg", engine="pygraphviz")
    assert len(seen) == 1
    assert "secret" not in seen[0]
    assert "hidden" not in seen[0]


def test_clean_keeps_what_can_be_read():
    assert clean("layer_1/W[0].weight") == "layer_1/W[0].weight"
    assert clean("a\x00b\n") == "a‹0›b‹a›"
    assert clean("\u202eabc") == "‹202e›abc"
    assert clean("x" * 100, 10) == "x" * 9 + "…"
    assert clean("中文 é 😀") == "中文 é 😀"
