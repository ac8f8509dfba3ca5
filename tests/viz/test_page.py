"""The page in a real browser: what it shows is the document, its numbers are NumPy's, and nothing leaves it."""

import re

import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import document, picture
from autodiff.viz.lettering import clean, number
from autodiff.viz.options import Options
from autodiff.viz.theme import contrast
from autodiff.viz.view import select
from tests.viz import nets
from tests.viz.browsing import data, ids, nested_flow, residual_net, rms, table, until
from tests.viz.test_hostile import PAYLOADS, flow_of

# -- the picture -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["auto", "builtin"])
@pytest.mark.parametrize(("view", "collapse"), [("0", None), ("1", 2), ("2", 1)])
def test_the_picture_holds_what_the_document_holds(visit, engine, view, collapse):
    flow = nested_flow()
    page = visit(flow, engine=engine)
    page.select_option("#view", view)
    drawn = select(document(flow, joins=True), Options(collapse=collapse))
    assert len(ids(page, "node")) == len(drawn.boxes)
    assert sorted(ids(page, "edge")) == sorted(arrow.id for arrow in drawn.arrows)
    if collapse is None:
        assert ids(page, "node") == [box.id for box in drawn.boxes]
        assert len(ids(page, "node")) == len(flow.graph)
        assert len(ids(page, "edge")) == sum(1 for _ in flow.graph.edges)


def test_weights_used_often_are_drawn_once_a_use(visit, rng):
    values = (np.zeros(2), rng.normal(size=(2, 2)), rng.normal(size=(4, 2)))
    flow = ad.flow(nets.recurrent)(*values)
    page = visit(flow)
    for view, collapse in (("0", None), ("1", 1)):
        page.select_option("#view", view)
        drawn = select(document(flow), Options(collapse=collapse))
        shown = [re.sub(r"^s\d+$", "s", name) for name in ids(page, "node")]
        assert shown == [re.sub(r"^s\d+$", "s", box.id) for box in drawn.boxes]
    assert page.locator("#world text", has_text="⟲4").count() == sum(box.uses == 4 for box in drawn.boxes) > 0


def test_boxes_say_what_the_static_picture_says(visit):
    page = visit(ad.flow(nets.s2)(2.0, 3.0))
    words = set(page.eval_on_selector_all("#world text", "all => all.map(one => one.textContent)"))
    assert {"o = multiply(·, 0.5)", "10.5", "8", "3 (29 %)", "7.5 (71 %)", "0.5", "2.5"} <= words
    page = visit(nets.states_flow())
    words = " ".join(page.eval_on_selector_all("#world text", "all => all.map(one => one.textContent)"))
    for state in ("no path to the output", "exactly 0", "subnormal", "+Inf ×1 of 3", "NaN ×1, −Inf ×1 of 3",
                  "contributions cancel"):  # fmt: skip
        assert state in words
    assert page.locator("#world .box.dashed").count() == 4
    assert "Dashed box: no path leads from it to the output." in page.inner_text("#legend")


def test_boxes_of_a_layout_made_in_the_page_do_not_overlap(visit):
    page = visit(residual_net(6))
    page.select_option("#view", "1")
    page.focus("#stage")
    for scope in ("s1", "s4"):
        page.keyboard.press("Escape")
        while page.locator(f"#{scope}.chosen").count() == 0:
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("c")
    assert page.input_value("#view") == "mixed"
    assert "layout of this page" in page.inner_text("#legend")
    frames = page.eval_on_selector_all(
        "#world .box .outline", "all => all.map(r => ['x','y','width','height'].map(k => Number(r.getAttribute(k))))"
    )
    assert len(frames) == len(ids(page, "node")) == 1 + 4 + 2 * 8 + 1
    for i, (x, y, w, h) in enumerate(frames):
        for u, v, s, t in frames[:i]:
            assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


def test_scopes_collapse_and_expand(visit):
    flow = nested_flow()
    page = visit(flow)
    page.locator("#n2").click()
    assert page.inner_text("#toggle") == "Collapse block0"
    page.click("#toggle")
    assert "s1" in ids(page, "node")
    assert page.inner_text("#toggle") == "Expand block0"
    page.click("#toggle")
    assert len(ids(page, "node")) == len(flow.graph)


def test_too_large_a_graph_opens_collapsed_or_near_its_output(visit):
    page = visit(residual_net(10), max_nodes=40)
    assert len(ids(page, "node")) == 12
    assert [view["name"] for view in data(page)["views"]] == ["scopes at depth 1"]
    page = visit(ad.flow(nets.chain)(1.0, 500), max_nodes=40)
    assert "n500" in ids(page, "node")
    assert len(ids(page, "node")) == 3
    page.fill("#search", "x")
    page.press("#search", "Enter")
    assert "n0" in ids(page, "node")


def test_zoom_move_and_fit(visit):
    page = visit(residual_net(6))
    until(page, "document.getElementById('world').hasAttribute('transform')")
    place = "document.getElementById('world').getCTM()"
    scale = page.evaluate(f"{place}.a")
    page.focus("#stage")
    page.keyboard.press("+")
    until(page, f"{place}.a > {scale} * 1.2")
    page.keyboard.press("-")
    page.mouse.move(300, 500)
    page.mouse.wheel(0, -200)
    until(page, f"{place}.a > {scale} * 1.2")
    before = page.evaluate(f"[{place}.e, {place}.f]")
    page.mouse.down()
    page.mouse.move(360, 530, steps=4)
    page.mouse.up()
    until(page, f"Math.abs({place}.e - {before[0]} - 60) < 1 && Math.abs({place}.f - {before[1]} - 30) < 1")
    page.keyboard.press("0")
    stage = page.locator("#stage").bounding_box()
    until(page, f"document.getElementById('world').getBoundingClientRect().height <= {stage['height']}")


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_the_inspector_has_numpys_numbers(visit):
    flow = residual_net(3)
    page = visit(flow)
    page.select_option("#view", "0")
    for v in (0, 2, 13, len(flow.graph) - 1):
        page.fill("#search", "")
        page.locator(f"#listing tbody tr:nth-child({v + 1}) button").click()
        rows = {row[0]: row[1:] for row in table(page, "#panel-node .numbers")}
        x, d = flow.values[v], flow[v]
        assert rows["RMS"] == [number(rms(part), 6) for part in (x, d)]
        assert rows["least"] == [number(float(np.min(part)), 6) for part in (x, d)]
        assert rows["greatest"] == [number(float(np.max(part)), 6) for part in (x, d)]
        assert rows["elements"] == [str(np.size(x))] * 2
        sent = table(page, "#panel-node .contributions")
        shares = flow.shares(v)["terms"]
        real = [term for term in shares if term["consumer"] is not None]
        assert len(sent) == len(shares)
        for row, term in zip(sent, real, strict=False):
            assert f"({term['consumer']})" in row[0]
            assert row[1] == str(term["position"])
            assert [row[2], row[3]] == [f"{number(100 * term[key], 3)} %" for key in ("projection", "norm_share")]
            assert row[4] == number(term["cosine"], 3)
            assert row[5] == number(rms(term["contribution"]), 6)


def test_the_histogram_is_numpys(visit):
    flow = residual_net(2)
    page = visit(flow)
    counted = data(page)["nodeColumns"]["histogram"]
    assert counted.keys() == {str(v) for v in range(len(flow.graph)) if np.ptp(flow[v]) > 0}
    for v, counts in counted.items():
        assert counts == np.histogram(flow[int(v)], 16)[0].tolist()
    page.select_option("#view", "0")
    page.locator("#n1").click()
    label = page.get_attribute("#panel-node .histogram", "aria-label")
    assert label.endswith(", ".join(map(str, counted["1"])))


def test_the_inspector_has_the_rule_the_line_and_links(visit):
    flow = residual_net(2)
    page = visit(flow)
    v = next(v for v, op in enumerate(flow.graph.ops) if op.name == "matmul")
    a, b = flow.graph.inputs[v]
    page.fill("#search", "matmul")
    page.press("#search", "Enter")
    panel = page.inner_text("#panel-node")
    assert f"node {v}" in panel
    assert "nets.py:" in panel
    assert "x = x + np.tanh(x @ w1 + b1) @ w2" in panel
    rules = page.locator("#panel-node .rules li").all_inner_texts()
    assert [rule.split(" → ")[0].strip() for rule in rules] == ["δA = δY·Bᵀ (4×8)", "δB = Aᵀ·δY (8×8)"]
    assert page.inner_text("#panel-node .where").startswith("where A = x (4×8), B = layers[0][0] (8×8), Y = this (4×8)")
    for n, u in enumerate((a, b)):
        page.fill("#search", "")
        page.locator(f"#listing tbody tr:nth-child({v + 1}) button").click()
        page.locator("#panel-node .rules button").nth(n).click()
        assert page.inner_text("#panel-node h2").endswith(f"node {u}")
        assert page.locator("#world .chosen").get_attribute("id") == f"n{u}"
    page.locator("#panel-node .contributions button").click()  # what the weight got its δ from
    assert page.inner_text("#panel-node h2").endswith(f"node {v}")


def test_hovering_tells_the_numbers(visit):
    flow = ad.flow(nets.s2)(2.0, 3.0)
    page = visit(flow)
    page.locator("#n0 .outline").hover()
    assert page.inner_text("#tip").splitlines()[0] == "a (0)"
    assert "10.5" in page.inner_text("#tip")
    (w, k), *_ = [use for use in flow.contributions if flow.graph.inputs[use[0]][use[1]] == 0]
    share = flow.shares(0)["terms"][[t["consumer"] for t in flow.shares(0)["terms"]].index(w)]
    page.locator(f"#e{w}x{k} polygon").hover()
    told = page.inner_text("#tip")
    assert f"contribution {number(float(flow.contributions[w, k]), 6)}" in told
    assert f"projection share {number(100 * share['projection'], 3)} %" in told


def test_the_joins_the_depth_and_the_cuts_are_the_flows(visit):
    flow = residual_net(5)
    page = visit(flow)
    joins, rows = flow.joins(), table(page, "#panel-joins .joins")
    assert [row[0] for row in rows] == [f"block{n + 1}" for n in range(5)]
    for join, row in zip(joins, rows, strict=True):
        assert row[1:4] == [f"{number(100 * join['skip_share'], 3)} %", f"{number(100 * join['residual_share'], 3)} %",
                            number(join["cosine"], 3)]  # fmt: skip
        assert row[-1] == join["kind"]
        u = flow.graph.inputs[join["join"]][join["skip"]]
        left = flow.cut((u, join["join"], join["skip"]))
        assert row[5] == f"×{number(np.linalg.norm(left['x']) / np.linalg.norm(flow['x']), 3)}"
    spectrum = flow.spectrum("x")
    page.click("#tab-depth")
    assert page.inner_text("#panel-depth .said") == spectrum.told
    shown = table(page, "#panel-depth")
    assert [row[:2] for row in shown] == [
        [str(row["branches"]), f"{number(100 * row['projection'])} %"] for row in spectrum
    ]
    assert [row[3] for row in shown] == [number(row["norm"]) for row in spectrum]
    shares = [float(row[2].removesuffix(" %")) / 100 for row in shown]
    assert shares == pytest.approx([row["norm_share"] for row in spectrum], rel=6e-3)
    page.click("#tab-cuts")
    page.select_option("#cut", label="block3")
    join = joins[2]
    for column, way in ((2, "skip"), (3, "residual")):
        u = flow.graph.inputs[join["join"]][join[way]]
        left = flow.cut((u, join["join"], join[way]))
        for row in table(page, "#panel-cuts .cuts"):
            v = int(re.search(r"\((\d+)\)$", row[0])[1])
            before, after = rms(flow[v]), rms(left[v])
            assert row[1] == number(before, 3)
            shown = row[column].split("  ")[0].split(" (")[0]
            assert shown == (number(after, 3) if left.has_path(v) else "no path")


def test_the_sentences_stand_on_top(visit):
    flow = residual_net(20)
    page = visit(flow)
    top = page.inner_text("#told")
    assert flow.trend().told in top
    assert flow.joins().told in top
    assert "block10" in page.inner_text("#panel-joins")
    page = visit(ad.flow(nets.s2)(2.0, 3.0))
    assert page.inner_text("#answers") == ""
    assert "No skip connection was found." in page.inner_text("#told")


def test_the_slider_follows_the_sweep(visit):
    flow = residual_net(2)
    visited = []
    ad.sweep.deltas(flow.graph, flow.values, flow.seeds, visit=lambda v, w, k: visited.append((v, w, k)))
    page = visit(flow)
    page.select_option("#view", "0")
    page.focus("#step")
    arrived = {}
    for n, (v, w, k) in enumerate(visited, 1):
        page.keyboard.press("ArrowRight")
        arrived[v] = arrived.get(v, 0) + 1
        total = len(flow.shares(v)["terms"])
        told = page.inner_text("#told-step")
        assert told.startswith(f"Call {n} of {len(visited)}: ")
        assert f"({w}) sends" in told
        assert f"argument {k}, " in told
        assert f"({v}): {arrived[v]} of {total} contribution" in told
        assert page.eval_on_selector_all("#world .arrow.now", "all => all.map(one => one.id)") == [f"e{w}x{k}"]
        assert page.eval_on_selector_all("#world .gathering", "all => all.map(one => one.id)") == [f"n{v}"]
    assert page.locator("#world .arrow.dim").count() == 0


def test_contributions_arrive_one_by_one(visit):
    flow = ad.flow(lambda x: np.sin(x) * x + np.cos(x))(0.5)
    page = visit(flow)
    page.focus("#step")
    arrived = []
    for _ in flow.contributions:
        page.keyboard.press("ArrowRight")
        found = re.search(r"\(0\): (\d of 3) contributions arrived", page.inner_text("#told-step"))
        arrived += [found[1]] if found else []
    assert arrived == ["1 of 3", "2 of 3", "3 of 3"]


@pytest.mark.parametrize(("motion", "pace"), [("no-preference", 500), ("reduce", 2000)])
def test_the_reverse_pass_plays_at_its_pace_and_stops(visit, motion, pace):
    page = visit(ad.flow(lambda x: np.sin(x) * 2.0)(0.5), browser={"reduced_motion": motion})
    page.clock.install(time=0)
    page.clock.pause_at(3_600_000)  # from here on time passes where the test says so
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    steps = []
    for wait in (pace - 50, 100, pace - 100):
        page.clock.run_for(wait)
        steps.append(page.input_value("#step"))
    assert steps == ["0", "1", "1"]
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    page.clock.run_for(3 * pace)
    assert page.input_value("#step") == "1"
    page.click("#play")
    page.clock.run_for(3 * pace)
    assert page.input_value("#step") == "2"  # the last
    assert page.inner_text("#play") == "Play"


def test_paths_that_carry_the_gradient_are_marked(visit):
    flow = residual_net(3)
    page = visit(flow)
    page.select_option("#view", "0")
    page.locator("#n0").click()
    page.get_by_role("button", name="Mark the paths that carry its δ").click()
    dim = set(page.eval_on_selector_all("#world .arrow.dim", "all => all.map(one => one.id)"))
    weights = [v for v in range(1, 8) if flow.graph.ops[v].kind == "input"]
    assert {f"e{w}x{k}" for v in weights for w, k in flow.graph.consumers[v]} <= dim
    assert dim < set(ids(page, "edge"))


def test_search(visit):
    page = visit(residual_net(4))
    page.fill("#search", "TANH")
    assert page.inner_text("#found") == "4 hits"
    page.press("#search", "Enter")
    assert page.inner_text("#panel-node h2").startswith("tanh")
    assert page.inner_text("#found") == "1 of 4 hits"
    first = page.inner_text("#panel-node h2")
    page.press("#search", "Enter")
    assert page.inner_text("#panel-node h2") != first
    page.fill("#search", "block3")
    assert page.inner_text("#found") == "8 hits"
    page.fill("#search", "nothing is called so")
    assert page.inner_text("#found") == "0 hits"


def test_the_table_sorts_and_says_everything(visit):
    flow = residual_net(4)
    page = visit(flow)
    rows = table(page, "#listing")
    assert [int(row[0]) for row in rows] == list(range(len(flow.graph)))
    page.click("#sort-delta")
    order = [int(row[0]) for row in table(page, "#listing")]
    sizes = [float(f"{rms(flow[v]):.6g}") for v in order]
    assert sizes == sorted(sizes, reverse=True)
    assert page.locator("#listing th[aria-sort=descending]").count() == 1
    page = visit(nets.states_flow())
    words = " ".join(row[-1] for row in table(page, "#listing"))
    assert "no path to the output" in words
    assert "δ exactly zero" in words
    assert "contributions cancel" in words


def test_compare_with_another_page_and_with_json(visit, tmp_path):
    flow, other = residual_net(3), residual_net(3, seed=1)
    page = visit(flow)
    expected = {row["node"]: row["factor"] for row in flow.compare(other)}
    page.click("#tab-compare")
    for form in ("html", "json"):
        path = tmp_path / f"other.{form}"
        path.write_text(picture(other, form), encoding="utf-8")
        page.set_input_files("#other", str(path))
        page.wait_for_selector("#panel-compare tbody tr")
        rows = table(page, "#panel-compare .compared")
        assert len(rows) == len(flow.graph)
        for row in rows:
            v = int(re.search(r"\((\d+)\)$", row[0])[1])
            shown = float(row[3][1:].replace("−", "-"))
            assert shown == pytest.approx(expected[v], rel=6e-3)
    path = tmp_path / "junk.json"
    path.write_text('{"format": "<b>else</b>"}', encoding="utf-8")
    page.set_input_files("#other", str(path))
    until(page, "document.querySelector('#panel-compare .said').textContent.includes('neither')")


# -- safety ------------------------------------------------------------------------------------------------------------


def test_hostile_names_are_text(visit):
    page = visit(flow_of(PAYLOADS), title="</title><script>alert(1)</script>")
    page.select_option("#view", "0")
    assert page.evaluate("document.title") == clean("</title><script>alert(1)</script>", 100)
    page.click("text=/Show \\d+ more/")
    for n in range(1, len(PAYLOADS), 9):
        page.locator(f"#listing tbody tr:nth-child({n}) button").click()
    for key in ("joins", "depth", "cuts", "compare"):
        page.click(f"#tab-{key}")
    tags = set(page.evaluate("[...document.querySelectorAll('*')].map(one => one.localName)"))
    assert not tags & {"img", "iframe", "object", "embed", "b", "a:not(.skip-link)", "image", "foreignObject"}
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.querySelectorAll('a').length") == 1
    attributes = "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes]).map(a => a.name)"
    active = [name for name in page.evaluate(attributes) if name.startswith("on") or name in ("href", "src")]
    assert active == ["href"]  # the link to the picture
    names = page.eval_on_selector_all("#listing tbody tr td:nth-child(3)", "all => all.map(one => one.textContent)")
    assert {clean(name) for name in PAYLOADS[:40] if name} <= set(names)


def test_nothing_that_is_put_into_the_page_runs(visit):
    page = visit(ad.flow(nets.s2)(2.0, 3.0))
    page.evaluate("""() => {
        window.ran = [];
        const inline = document.createElement("script");
        inline.textContent = "window.ran.push('script')";
        document.body.append(inline);
        document.body.insertAdjacentHTML("beforeend", "<p onclick=\\"window.ran.push('handler')\\" id=trap>x</p>");
        document.getElementById("trap").click();
        const style = document.createElement("style");
        style.textContent = "#trap { position: fixed; }";
        document.head.append(style);
    }""")
    assert page.evaluate("window.ran") == []
    assert page.evaluate("getComputedStyle(document.getElementById('trap')).position") == "static"
    assert all("Content Security Policy" in text for text in page.wrong)
    assert len(page.wrong) == 3
    page.wrong.clear()


def test_a_notebook_shows_it_in_a_sandbox(visit):
    shown = ad.flow(nets.s2)(2.0, 3.0).explore()
    bundle = shown._repr_mimebundle_()
    assert bundle.keys() == {"text/html", "image/svg+xml", "text/plain"}
    assert re.findall(r'sandbox="([^"]*)"', bundle["text/html"]) == ["allow-scripts"]
    page = visit(None, text=f"<!doctype html><title>notebook</title>{bundle['text/html']}")
    frame = page.frames[-1]
    frame.wait_for_selector("#n5")
    assert frame.evaluate("self.origin") == "null"
    assert len(frame.query_selector_all("#world [data-kind=node]")) == 6


# -- for everyone ------------------------------------------------------------------------------------------------------


def test_the_keyboard_is_enough(visit):
    page = visit(residual_net(3))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert visible != "none", seen[-1]
        if seen[-1] == "listing":
            break
    assert {"play", "back", "step", "next", "tab-joins"} <= set(seen)
    page.focus("#stage")
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#world .chosen").get_attribute("id") == ids(page, "node")[0]
    page.keyboard.press("Shift+ArrowDown")
    chosen = page.locator("#world .chosen").get_attribute("id")
    assert chosen.startswith("n") or chosen.startswith("s")
    assert page.inner_text("#status") != ""
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.focus("#tab-node")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-joins"
    assert page.locator("#panel-joins").is_visible()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.focus("#stage")
    page.keyboard.press("c")
    page.keyboard.press(".")
    assert page.inner_text("#told-step").startswith("Call 1 of")
    page.keyboard.press("Escape")
    assert page.locator("#world .chosen").count() == 0


def test_every_control_has_a_name_and_every_region_a_role(visit):
    page = visit(residual_net(3))
    tree = page.locator("body").aria_snapshot()
    for role in ("banner", "main", "complementary", "toolbar", "tablist", "tabpanel", "table", "status", "img"):
        assert f"- {role}" in tree, role
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select, [role=img], [role=region]")]
        .filter(one => !(one.innerText?.trim() || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
            || one.labels?.length)).map(one => one.outerHTML)""")
    assert nameless == []
    assert page.get_attribute("#stage", "role") == "img"
    assert page.get_attribute("html", "lang") == "en"
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map(o => o.id)).size") == page.evaluate(
        "document.querySelectorAll('[id]').length"
    )


LETTERS = """() => {
    const ground = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$|transparent/.test(colour)) return colour;
        }
    };
    return [...document.querySelectorAll("body *")].filter(one => !one.closest("svg") && one.offsetParent &&
        !one.disabled && [...one.childNodes].some(child => child.nodeType === 3 && child.textContent.trim()))
        .map(one => [one.textContent.slice(0, 30), getComputedStyle(one).color, ground(one)]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read_on_their_ground(visit, scheme):
    page = visit(residual_net(3), browser={"color_scheme": scheme})
    page.click("#tab-cuts")
    colour = lambda text: "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", text)[:3])
    found = page.evaluate(LETTERS)
    assert len(found) > 60
    for text, ink, ground in found:
        assert contrast(colour(ink), colour(ground)) >= 4.5, (text, ink, ground)
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)") == (scheme == "dark")


def test_the_theme_can_be_chosen(visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(ad.flow(nets.s2)(2.0, 3.0), browser={"color_scheme": "dark"})
    page.select_option("#theme", "light")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page = visit(ad.flow(nets.s2)(2.0, 3.0), theme="dark", browser={"color_scheme": "light"})
    assert page.evaluate(ground) == "rgb(13, 17, 23)"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert not page.locator("#search").is_visible()


def test_less_motion_and_forced_colours(visit):
    page = visit(residual_net(2), browser={"reduced_motion": "reduce", "forced_colors": "active"})
    assert page.evaluate("getComputedStyle(document.querySelector('#world .arrow')).transitionDuration") == "0s"
    assert page.locator("#world .box").count() > 0


def test_a_graph_without_a_flow_has_a_page(visit):
    page = visit(ad.trace(nets.s2)(2.0, 3.0))
    assert len(ids(page, "node")) == 6
    assert not page.locator("#reverse").is_visible()
    page.locator("#n4").click()
    assert "multiply" in page.inner_text("#panel-node h2")
    assert "δ" not in page.inner_text("#counts")


FRAMES = """async (count) => {
    const stage = document.getElementById("stage"), times = [];
    const {left, top, width, height} = stage.getBoundingClientRect();
    let last = performance.now();
    for (let n = 0; n < count; n++) {
        stage.dispatchEvent(new WheelEvent("wheel", {deltaY: n < count / 2 ? -60 : 60, clientX: left + width / 2,
            clientY: top + height / 2, bubbles: true, cancelable: true}));
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
        times.push(performance.now() - last);
        last = performance.now();
    }
    return times.sort((a, b) => a - b);
}"""


def test_zooming_a_thousand_nodes_is_measured(visit, record_property, capsys):
    """Times are told, not asserted: a busy machine would fail."""
    page = visit(residual_net(124, 4), engine="builtin")
    page.select_option("#view", "0")
    assert len(ids(page, "node")) == 998
    page.click("#fit")
    times = page.evaluate(FRAMES, 40)
    assert len(times) == 40
    record_property("zoom_median_ms", times[20])
    record_property("zoom_worst_ms", times[-1])
    with capsys.disabled():
        print(f" [998 nodes: {times[20]:.0f} ms a frame, at worst {times[-1]:.0f}]", end="")


def test_what_is_out_of_sight_comes_back(visit):
    page = visit(residual_net(30, 4), engine="builtin")
    page.select_option("#view", "0")
    page.focus("#stage")
    hidden = "[...document.querySelectorAll('#world .box')].filter(box => !box.getClientRects().length).length"
    until(page, f"{hidden} > 150")
    assert len(ids(page, "node")) == len(residual_net(30, 4).graph)
    page.keyboard.press("0")
    until(page, f"{hidden} === 0")


@pytest.mark.slow
def test_ten_thousand_nodes_open(visit):
    page = visit(residual_net(1250, 2), engine="builtin")
    assert len(data(page)["nodeColumns"]["op"]) == 10_006
    assert len(ids(page, "node")) == 1252
    page.fill("#search", "tanh")
    assert page.inner_text("#found") == "1 250 hits"
