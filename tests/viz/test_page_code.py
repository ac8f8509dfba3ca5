"""The page as a file: its size, its policy, its scripts, what it is made of. No browser is needed here."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import zipfile

import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import document, page, picture
from autodiff.viz.compact import compact, histogram
from autodiff.viz.options import Options
from autodiff.viz.squeeze import squeeze_script, squeeze_style
from tests.viz import nets
from tests.viz.browsing import nested_flow, residual_net
from tests.viz.test_hostile import PAYLOADS, flow_of

CODE = 60_000
A_NODE = 600
"""Bytes."""


def data(text):
    held = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(held, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def hashed(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_is_small():
    code = sum(len(part.encode()) for part in (page.page_script(), page.page_style(), page.page_skeleton()))
    assert code <= CODE
    for flow in (residual_net(20), residual_net(60, 16), nested_flow(), ad.flow(nets.chain)(1.0, 300)):
        size = len(picture(flow, "html", engine="builtin").encode())
        assert size <= CODE + A_NODE * len(flow.graph)


def test_the_policy_allows_this_script_and_these_styles_alone():
    text = picture(nested_flow(), "html")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    assert policy.split("; ") == [
        "default-src 'none'", f"script-src '{hashed(script)}'", f"style-src '{hashed(style)}'", "img-src data:",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    assert text.count("<script") == 2
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(|Function\(|fetch\(|XMLHttp|import\(", text)


def test_the_same_flow_gives_the_same_page(rng):
    flow = nets.residual_flow(rng)
    assert picture(flow, "html") == picture(flow, "html")


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text)[:24])
def test_names_stay_inside_the_data(payload):
    text = picture(flow_of([payload, "after"]), "html", engine="builtin", title=payload)
    text.encode("utf-8")
    assert len(re.findall(r"<script|</script|<style|</style|<title|</title", text)) == 10  # one of them of the svg
    assert data(text)["texts"][0] == ""
    assert "@@" in payload or "@@" not in text.replace(page.page_script(), "")


def test_the_data_holds_the_document():
    flow = nested_flow()
    found, whole = document(flow, joins=True), compact(flow, Options())
    nodes, edges = whole["nodeColumns"], whole["edgeColumns"]
    texts = whole["texts"]
    assert [texts[n] for n in nodes["call"]] == [node["call"] for node in found["nodes"]]
    assert [texts[n] for n in nodes["name"]] == [node["name"] or "" for node in found["nodes"]]
    assert [part[1] if isinstance(part, list) else abs(part) for part in nodes["delta"]] == pytest.approx(
        [node["delta"]["rms"] for node in found["nodes"]], rel=1e-5
    )
    swept = list(flow.contributions)
    assert list(zip(edges["to"], edges["slot"], strict=True))[: len(swept)] == swept
    assert len(edges["from"]) == len(found["edges"])
    for (w, k), share in zip(swept, edges["shares"], strict=True):
        edge = next(edge for edge in found["edges"] if (edge["to"], edge["slot"]) == (w, k))
        shown = [1, 1, 1] if share == 0 else share[:3]
        assert shown == pytest.approx([edge[key] for key in ("projection", "norm_share", "cosine")], rel=1e-5)
    assert [view["name"] for view in whole["views"]] == ["everything", "scopes at depth 2", "scopes at depth 1"]


def test_spectra_and_cuts_are_the_flows():
    flow = nested_flow()
    whole = compact(flow, Options())
    for spectrum in whole["spectra"]:
        rows = flow.spectrum(spectrum["of"])
        parts = spectrum["parts"]
        assert not spectrum["more"]
        assert [part[0] for part in parts] == pytest.approx([row["projection"] for row in rows][: len(parts)], rel=1e-3)
        assert [part[1] for part in parts] == pytest.approx([row["norm"] for row in rows][: len(parts)], rel=1e-3)
        assert all(row["norm"] == 0 for row in rows[len(parts) :])
    table, joins = whole["cutTable"], flow.joins()
    assert len(table["of"]) == len(joins) == 4
    for row, *after in table["of"]:
        join = joins[row]
        for way, sizes in zip(("skip", "residual"), after, strict=True):
            left = flow.cut((flow.graph.inputs[join["join"]][join[way]], join["join"], join[way]))
            for v, before, size in zip(table["targets"], table["before"], sizes, strict=True):
                expected = np.sqrt(np.mean(left[v] ** 2)) if left.has_path(v) else -1
                assert {0: before, -2: 0}.get(size, size) == pytest.approx(expected, rel=1e-4)


def test_a_very_deep_net_is_split_as_far_as_it_was_swept(monkeypatch):
    from autodiff.viz import insight

    flow = residual_net(20, 4)
    monkeypatch.setattr(insight, "SWEPT", 9 * len(flow.graph))
    first = insight.insight(flow)["spectra"][0]
    assert first["more"]
    rows = first["rows"]
    assert len(rows) == 10
    assert sum(row["projection"] for row in rows) == pytest.approx(1)
    assert [row["norm"] for row in rows[:-1]] == pytest.approx([row["norm"] for row in flow.spectrum("x")][:9])
    assert "9 residual branches or more" in first["told"]
    assert len(insight.insight(flow)["cuts"]["of"]) < 20


def test_histograms_of_what_is_not_finite():
    from autodiff.flows import statistics

    for x in (np.array([1e308, -1e308, 0.0]), np.array([np.nan, 1.0, 2.0, np.inf]), np.array([1 + 1j, 0.5, 2j])):
        counts = histogram(x, statistics(x))
        assert len(counts) == 16
        assert sum(counts) == np.isfinite(x).sum()
    for x in (np.full(3, np.nan), np.ones(4), np.zeros(0)):
        assert histogram(x, statistics(x)) is None


@pytest.mark.parametrize(
    ("make", "options"),
    [(nets.states_flow, {}), (lambda: ad.flow(lambda x: x)(1.0), {}), (lambda: ad.flow(np.sum)(np.zeros(0)), {}),
     (lambda: ad.trace(nets.s2)(2.0, 3.0), {"direction": "LR"}), (nested_flow, {"collapse": ["stage1"]}),
     (nested_flow, {"focus": 3, "hops": 1})],
)  # fmt: skip
def test_every_flow_has_a_page(make, options):
    assert data(picture(make(), "html", engine="builtin", **options))["format"] == "autodiff page"


# -- squeezing ---------------------------------------------------------------------------------------------------------


def test_squeezing_keeps_what_a_script_says():
    script = """
    // a comment; with 'quotes'
    const first = (given) => { /* another */ return given + +given; };
    const second = `a // b ${ first(`${ 1 } ; c`) }  d`;
    let other = { second, third: first(2), "fourth": /[/"']x/g.test("//") };
    for (const [key, value] of [[1, 2]]) Math.max(key - -value, second, other.third, other?.fourth, ...[first(3)]);
    """
    assert squeeze_script(script) == (
        'let a=b=>{return b+ +b},second=`a // b ${a(`${1} ; c`)}  d`,c={second,third:a(2),'
        '"fourth":/[/"\']x/g.test("//")};for(let[d,e]of[[1,2]])Math.max(d- -e,second,c.third,c?.fourth,...[a(3)]);\n'
    )  # fmt: skip
    assert squeeze_script("function f(x) {\n  if (x) {\n    g();\n  }\n  x = 1;\n}\nlet z = () => {}\nf(z)\n") == (
        "function f(x){if(x){g()}\nx=1}let z=()=>{}\nf(z)\n"
    )
    assert squeeze_script("return (x) => (x, y) => async (z) => f(z)") == "return x=>(x,y)=>async z=>f(z)\n"
    assert squeeze_style("a { b : c; }\n/* d */ @media (x: y) { e f > g { h: i j; } }") == (
        "a{b : c}@media (x: y){e f > g{h:i j}}\n"
    )


node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


@node
def test_node_reads_the_script(tmp_path):
    for name, text in (("source.js", page.script_source()), ("page.js", page.page_script())):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        subprocess.run(["node", "--check", str(path)], check=True, capture_output=True, timeout=60)


@node
@pytest.mark.skipif(shutil.which("eslint") is None, reason="needs eslint: npm install -g eslint")
def test_eslint_finds_nothing(tmp_path):
    given = "document addEventListener getComputedStyle matchMedia requestAnimationFrame setInterval clearInterval"
    names = "undef unused-vars const-assign redeclare dupe-keys var unreachable"
    rules = {f"no-{name}": 2 for name in names.split()}
    rules |= {"prefer-const": 2, "eqeqeq": [2, "always", {"null": "ignore"}]}
    plain = {"languageOptions": {"ecmaVersion": 2022, "sourceType": "script",
                                 "globals": dict.fromkeys([*given.split(), "DOMParser"], "readonly")}}  # fmt: skip
    (tmp_path / "source.js").write_text(page.script_source(), encoding="utf-8")
    (tmp_path / "page.js").write_text(page.page_script(), encoding="utf-8")
    config = [
        {**plain, "files": ["source.js"], "rules": rules}, {**plain, "files": ["page.js"], "rules": {"no-undef": 2}},
    ]  # fmt: skip
    (tmp_path / "eslint.config.mjs").write_text(f"export default {json.dumps(config)};", encoding="utf-8")
    done = subprocess.run(["eslint", "."], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_wheel_carries_the_files_of_the_page(tmp_path):
    pytest.importorskip("hatchling")
    from pathlib import Path

    from hatchling.builders.wheel import WheelBuilder

    root = Path(ad.__file__).parent.parent
    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {f"autodiff/viz/browser/{name}" for name in (*page.SCRIPTS, "page.css", "page.html")} <= held
