"""How the page looks: contrast as it is rendered, nothing over anything else; and what a screen reader is told."""

import base64
import re

import pytest

import autodiff as ad
from autodiff.viz.theme import contrast
from tests.viz import nets
from tests.viz.browsing import nested_flow, plain_net, plain_values, residual_net, until

SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def colour(text):
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", text)[:3])


# -- contrast ----------------------------------------------------------------------------------------------------------

LETTERS = """() => {
    const found = [];
    for (const one of document.querySelectorAll("svg text")) {
        const style = getComputedStyle(one), {left, top, right, bottom} = one.getBoundingClientRect();
        const frame = one.closest("svg").getBoundingClientRect();
        const inside = left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom;
        if (right - left < 2 || !one.checkVisibility() || !inside || bottom > innerHeight) continue;
        const halo = style.paintOrder === "stroke" ? style.stroke : "";
        found.push([one.textContent, style.fill, halo, [left, top, right, bottom]]);
    }
    for (const one of document.querySelectorAll("svg text")) one.style.visibility = "hidden";
    return found;
}"""

PIXELS = """async ([png, frames]) => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    [canvas.width, canvas.height] = [image.width, image.height];
    pen.drawImage(image, 0, 0);
    return frames.map(([left, top, right, bottom]) => Array.from({length: 9}, (_, n) => {
        const x = left + (right - left) * (n + 0.5) / 9, y = (top + bottom) / 2;
        return "rgb(" + pen.getImageData(Math.floor(x), Math.floor(y), 1, 1).data.slice(0, 3).join(", ") + ")";
    }));
}"""


@SCHEMES
@pytest.mark.parametrize("make", [nested_flow, nets.states_flow, lambda: ad.flow(plain_net)(*plain_values())])
def test_letters_of_the_picture_can_be_read_as_they_are_rendered(visit, scheme, make):
    """Each letter's colour against the pixels behind it: the letters are hidden, and the ground is looked at."""
    page = visit(make(), browser={"color_scheme": scheme, "viewport": {"width": 1440, "height": 1000}})
    page.click("#tab-depth")
    page.wait_for_timeout(250)  # what fades, fades in .15 s
    letters = page.evaluate(LETTERS)
    assert len(letters) > 30
    png = base64.b64encode(page.screenshot()).decode("ascii")
    grounds = page.evaluate(PIXELS, [png, [frame for *_, frame in letters]])
    for (text, ink, halo, _), behind in zip(letters, grounds, strict=True):
        for ground in {halo} if halo else set(behind):
            assert contrast(colour(ink), colour(ground)) >= 4.5, (text, ink, ground)


EDGES = """() => {
    const style = (selector, key) => getComputedStyle(document.querySelector(selector))[key];
    const fit = document.getElementById("fit");
    fit.focus();
    return {
        paper: style("body", "backgroundColor"), focus: style("#fit", "outlineColor"),
        button: style("#fit", "borderTopColor"), field: style("#search", "borderTopColor"),
        box: style("#world .box .outline", "stroke"), arrow: style("#world .arrow.sized .casing", "stroke"),
        head: style("#world .arrow.sized polygon", "fill"), link: style("#answers button", "color"),
        bar: style(".for", "fill"), tab: style("#tabs [aria-selected=true]", "borderBottomColor"),
    };
}"""


@SCHEMES
def test_edges_of_controls_boxes_and_arrows_can_be_seen(visit, scheme):
    page = visit(residual_net(3), browser={"color_scheme": scheme})
    page.keyboard.press("Tab")
    found = {key: colour(said) for key, said in page.evaluate(EDGES).items()}
    paper = found.pop("paper")
    assert len(found) == 9
    for key, ink in found.items():
        assert contrast(ink, paper) >= 3, (key, ink, paper)
    assert contrast(found["link"], paper) >= 4.5


# -- nothing over anything else ----------------------------------------------------------------------------------------

PLACED = """() => {
    const frame = (one) => {
        const {left, top, right, bottom} = one.getBoundingClientRect();
        return [left, top, right, bottom];
    };
    const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
    for (const one of all("#world .gone")) one.classList.remove("gone");
    const points = (path) => Array.from({length: 60}, (_, n) => {
        const {x, y} = path.getPointAtLength(path.getTotalLength() * n / 59).matrixTransform(path.getScreenCTM());
        return [x, y, x, y];
    });
    return {ids: all("#world .box").map(box => box.id), boxes: all("#world .box .outline").map(frame),
            labels: all("#world .tag").map(frame), curves: all("#world .arrow .casing").flatMap(points),
            letters: all("#world .box").map(b => [frame(b.querySelector(".outline")), all("text", b).map(frame)])};
}"""


def apart(one, other):
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_a_layout_made_in_the_page_runs_as_asked_and_overlaps_nothing(visit, direction):
    flow = residual_net(6)
    page = visit(flow, direction=direction, hops=3)
    page.click("#listing tbody tr:nth-child(14) button")
    page.get_by_role("button", name="Only what is near").click()
    assert "layout of this page" in page.inner_text("#legend")
    until(page, "document.getElementById('world').hasAttribute('transform')")
    for _ in range(6):
        page.click("#in")  # letters are drawn from a certain size on
    page.wait_for_timeout(200)
    found = page.evaluate(PLACED)
    assert len(found["boxes"]) > 6
    assert len(found["labels"]) > 9
    for n, box in enumerate(found["boxes"]):
        assert all(apart(box, other) for other in found["boxes"][:n])
    for n, label in enumerate(found["labels"]):
        assert all(apart(label, other) for other in [*found["boxes"], *found["labels"][:n], *found["curves"]]), label
    for outline, letters in found["letters"]:
        for left, top, right, bottom in letters:
            assert left >= outline[0]
            assert right <= outline[2] + 0.5
            assert top >= outline[1]
            assert bottom <= outline[3] + 0.5
    shown = dict(zip(found["ids"], found["boxes"], strict=True))
    low, high = (0, 2) if direction == "LR" else (1, 3)
    drawn = page.eval_on_selector_all("#world .arrow", "all => all.map(one => one.id)")
    assert drawn
    for edge in drawn:
        w, k = map(int, re.findall(r"\d+", edge))
        v = flow.graph.inputs[w][k]
        assert shown[f"n{v}"][high] < shown[f"n{w}"][low], edge


@pytest.mark.parametrize("decades", [1, 3, 5, 8, 17, 40, 300])
def test_the_numbers_of_the_legend_stand_apart(visit, decades):
    page = visit(ad.flow(lambda x: x * 10.0 ** -(decades / 2) * 10.0 ** -(decades / 2))(1.0))
    frames = page.eval_on_selector_all(
        "#legend svg text",
        "all => all.map(one => one.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])",
    )
    assert len(frames) > 5
    for n, one in enumerate(frames):
        assert all(apart(one, other) for other in frames[:n])


@pytest.mark.parametrize("width", [320, 390, 820, 1024, 1440])
def test_no_width_makes_the_page_scroll_sideways(visit, width):
    page = visit(ad.flow(plain_net)(*plain_values()), browser={"viewport": {"width": width, "height": 844}})
    for key in ("node", "joins", "depth", "cuts", "compare"):
        page.click(f"#tab-{key}")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, key
    over = page.evaluate("""() => {
        const parts = [...document.querySelectorAll("header > *, .bar > *, #legend > *, #tabs > *, #answers > *")];
        const seen = parts.filter(one => one.checkVisibility()).map(one => [one, one.getBoundingClientRect()]);
        return seen.flatMap(([a, p], n) => seen.slice(0, n).filter(([b, q]) => !a.contains(b) && !b.contains(a) &&
            p.left < q.right - 0.5 && q.left < p.right - 0.5 && p.top < q.bottom - 0.5 && q.top < p.bottom - 0.5)
            .map(([b]) => a.outerHTML.slice(0, 60) + " over " + b.outerHTML.slice(0, 60)));
    }""")
    assert over == []


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700), (900, 860), (390, 844)])
def test_however_long_its_head_a_page_has_room_for_the_picture(visit, width, height):
    page = visit(ad.flow(plain_net)(*plain_values()), browser={"viewport": {"width": width, "height": height}})
    stage = page.locator("#stage").bounding_box()
    assert stage["height"] >= 300
    assert stage["width"] >= min(width, 540)
    for one in ("#panels", "#reverse", "#legend"):  # nothing is pushed out of its part of the page
        inner, outer = page.locator(one).bounding_box(), page.locator("main").bounding_box()
        assert inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1


# -- what a screen reader is told --------------------------------------------------------------------------------------


CONTROLS = {"button", "link", "searchbox", "combobox", "slider", "tab", "tabpanel", "image", "img", "region", "table"}


def tree(page):
    """The accessibility tree as the browser gives it to a screen reader: role, name, description."""
    found = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    said = lambda node, key: node.get(key, {}).get("value", "")
    return [(said(n, "role"), said(n, "name"), said(n, "description"), n) for n in found if not n.get("ignored")]


def test_the_accessibility_tree_says_what_the_picture_shows(visit):
    flow = ad.flow(plain_net)(*plain_values(3))
    page = visit(flow)
    found = tree(page)
    for role, name, _, node in found:
        if role in CONTROLS:
            assert name, node
    (picture,) = (name + about for role, name, about, _ in found if role in ("image", "img") and "Gradient" in name)
    assert "drawn as" in picture
    headings = [name for role, name, _, _ in found if role == "heading"]
    assert headings[0] == "Gradient flow of plain_net"
    assert "What share of the gradient reaches block1 through skips alone?" in headings
    assert any(name.startswith("What happens if the skip of") for name in headings)
    texts = " ".join(name for role, name, _, _ in found if role == "StaticText")
    assert f"{100 * flow.spectrum('x')[0]['projection']:.3g} %" in texts
    tables = [name for role, name, _, _ in found if role == "table"]
    assert len(tables) == 2
    assert all(tables)
    rows = sum(role == "row" for role, *_ in found)
    assert rows == (1 + 3) + (1 + len(flow.graph))
    columns = [name for role, name, _, _ in found if role == "columnheader"]
    assert {"join", "skip share", "δ", "in words"} <= {name.strip(" ▲▼") for name in columns}


def test_steps_selections_and_cuts_are_announced(visit):
    page = visit(ad.flow(plain_net)(*plain_values(3)))
    page.focus("#step")
    page.keyboard.press("ArrowRight")
    assert [name for role, name, _, _ in tree(page) if role == "slider"] == ["Reverse pass"]
    assert page.get_attribute("#step", "aria-valuetext") == page.inner_text("#told-step")
    assert page.inner_text("#told-step").startswith("Call 1 of")
    live = "one => one.closest('[aria-live],[role=status],output') !== null"
    for selector in ("#status", "#told-step", "#answers section:nth-child(3) p", "#found"):
        assert page.eval_on_selector(selector, live), selector
    page.select_option("#skip", label="block3")
    assert page.evaluate("document.activeElement.id") != "BODY"
    assert page.input_value("#cut") == "2"


def test_the_three_answers_are_reached_and_used_by_keyboard_alone(visit):
    page = visit(ad.flow(plain_net)(*plain_values(3)))
    names = []
    for _ in range(12):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        if names[-1] == "skip":
            break
    assert names[-5:] == [
        "theme", "Mark the skips in the picture", "Mark the paths that carry it", "All lengths", "skip",
    ]  # fmt: skip
    before = page.inner_text("#answers section:nth-child(3) p")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#answers section:nth-child(3) p") != before
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "stage"
    assert page.locator("#world .chosen").count() == 1
