"""What the page answers at once about a residual net, and what it says where not all was computed beforehand."""

import re

import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import insight, picture
from autodiff.viz.lettering import number
from tests.viz.browsing import data, plain_net, plain_values, residual_net, rms, table, until


def by_hand(x, params, cut=None):
    """The gradient of plain_net at x and what comes back to it through skips alone, in NumPy; one skip may be cut."""
    hidden = []
    for w, v in params:
        hidden.append(x @ w)
        x = x + np.maximum(hidden[-1], 0) @ v
    g = seed = 2 * x / x.size
    for n in reversed(range(len(params))):
        w, v = params[n]
        g = (g if n != cut else 0) + ((g @ v.T) * (hidden[n] > 0)) @ w.T
    return g, seed


def shown(share):
    return f"{number(100 * share, 3)} %"


def test_the_three_answers_are_numpys_and_three_lines_of_python(visit):
    x, params = plain_values()
    flow = ad.flow(plain_net)(x, params)

    share = flow.spectrum("x")[0]["projection"]
    paths = {row["branches"]: row["projection"] for row in flow.spectrum("x")}
    left = np.linalg.norm(flow.cut(skip="block10")["x"]) / np.linalg.norm(flow["x"])

    g, alone = by_hand(x, params)
    assert share == pytest.approx(np.sum(alone * g) / np.sum(g * g))
    assert sum(paths.values()) == pytest.approx(1)
    assert left == pytest.approx(np.linalg.norm(by_hand(x, params, 9)[0]) / np.linalg.norm(g))
    page = visit(flow)
    first, second, third = page.locator("#answers section > p:not(.links)").all_inner_texts()
    asked = page.locator("#answers h2").all_inner_texts()
    assert asked[:2] == ["What share of the gradient reaches block1 through skips alone?", "Which paths carry it?"]
    assert first.startswith(f"{shown(share)} of the gradient at x, which goes into block1, came back through skips")
    assert second.startswith(f"{shown(paths[0] + paths[1] + paths[2])} of it came along paths through 0,")
    assert f"{shown(paths[0])} through none, {shown(paths[1])} through 1, {shown(paths[2])} through 2." in second
    assert f"{flow.paths('x'):,} paths".replace(",", "\u202f") in second
    assert page.locator("#skip option:checked").inner_text() == "block10"
    before, after = rms(flow["x"]), left * rms(flow["x"])
    said = f"×{number(left, 3)}: the gradient at x goes from {number(before, 3)} to {number(after, 3)} (RMS of δ)."
    assert third.startswith(said)
    sizes = {}
    for n in range(20):
        page.select_option("#skip", label=f"block{n + 1}")
        sizes[f"block{n + 1}"] = np.linalg.norm(by_hand(x, params, n)[0]) / np.linalg.norm(g)
        told = page.inner_text("#answers section:nth-child(3) p")
        assert told.startswith(f"×{number(sizes[f'block{n + 1}'], 3)}: ")
    least, most = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    assert told.endswith(
        f"The cut at {least} leaves least, ×{number(sizes[least], 3)}, that at {most} most, ×{number(sizes[most], 3)}."
    )
    page.click("#tab-cuts")
    assert page.locator("#cut option:checked").inner_text() == "block20"


def test_the_answers_lead_to_their_place_in_the_picture(visit):
    flow = ad.flow(plain_net)(*plain_values(4))
    page = visit(flow)
    page.get_by_role("button", name="Mark the skips in the picture").click()
    lit = "all => all.filter(one => !one.classList.contains('dim')).map(one => one.id)"
    expected = {f"e{row['join']}x{row['skip']}" for row in flow.joins()}
    last = flow.joins()[-1]["join"]
    while flow.graph.consumers[last]:
        (edge,) = {f"e{w}x{k}": w for w, k in flow.graph.consumers[last] if (w, k) in flow.contributions}.items()
        expected.add(edge[0])
        last = edge[1]
    assert set(page.eval_on_selector_all("#world .arrow", lit)) == expected
    assert page.evaluate("document.activeElement.id") == "stage"
    assert "skips alone are marked" in page.inner_text("#status")
    page.get_by_role("button", name="Mark the paths that carry it", exact=True).click()
    assert set(page.eval_on_selector_all("#world .arrow", lit)) > expected
    page.get_by_role("button", name="All lengths").click()
    assert page.locator("#panel-depth").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-depth"
    page.select_option("#skip", label="block3")
    page.get_by_role("button", name="Show that join").click()
    assert page.locator("#world .chosen").get_attribute("id") == f"n{flow.joins()[2]['join']}"
    page.get_by_role("button", name="All gradients").click()
    assert page.locator("#panel-cuts").is_visible()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_answers_are_seen_at_once(visit, width, height, scheme):
    asked = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    page = visit(ad.flow(plain_net)(*plain_values()), browser=asked)
    frames = [page.locator("#answers section").nth(n).bounding_box() for n in range(3)]
    for n, one in enumerate(frames):
        assert one["x"] >= 0
        assert one["x"] + one["width"] <= width
        assert one["y"] + one["height"] <= height
        for other in frames[:n]:
            beside = one["x"] >= other["x"] + other["width"] or one["y"] >= other["y"] + other["height"]
            assert beside, (one, other)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_what_is_not_a_number_is_said_on_top(visit):
    x, params = plain_values(2)
    params[1][1][0, 0] = np.nan
    with np.errstate(all="ignore"):
        page = visit(ad.flow(plain_net)(x, params))
    assert "is not finite: no share of it can be told." in page.inner_text("#answers")
    assert "nan" not in page.inner_text("header").lower()


def test_blocks_with_two_joins_are_told_apart(visit):
    def f(x, w):
        for n in range(2):
            with ad.scope(f"block{n}"):
                x = x + np.tanh(x @ w)
                x = x + np.sin(x @ w)
        return np.sum(x)

    flow = ad.flow(f)(np.ones((2, 3)), np.eye(3) / 2)
    page = visit(flow)
    rows = flow.joins()
    assert page.locator("#skip option").all_inner_texts() == [f"{row['scope']}, add {row['join']}" for row in rows]
    page.select_option("#skip", index=2)
    left = np.linalg.norm(flow.cut(skip=rows[2]["join"])["x"]) / np.linalg.norm(flow["x"])
    assert f"×{number(left, 3)}: " in page.inner_text("#answers")


def test_what_was_not_computed_is_said(visit, monkeypatch):
    flow = residual_net(6)
    everything = visit(flow)
    for key in ("joins", "depth", "cuts"):
        everything.click(f"#tab-{key}")
        assert "shown;" not in everything.inner_text(f"#panel-{key}")
    monkeypatch.setattr(insight, "JOINS", 4)
    monkeypatch.setattr(insight, "TARGETS", 2)
    monkeypatch.setattr(insight, "PARTS", 1)
    page = visit(flow)
    whole = data(page)["followed"]
    assert whole == 6 + sum(d is not None for d in (flow.delta[v] for v in flow.graph.arguments)) - 1  # x is a fork
    page.click("#tab-joins")
    assert "4 of 6 cuts shown; flow.cut(skip=…) has any other." in page.inner_text("#panel-joins")
    page.click("#tab-cuts")
    assert "4 of 6 cuts shown;" in page.inner_text("#panel-cuts")
    assert f"6 of {whole} forks and inputs shown;" in page.inner_text("#panel-cuts")
    assert len(table(page, "#panel-cuts .cuts")) == 6
    page.click("#tab-depth")
    some = page.locator("#target option").count()
    assert f"{some} of {whole} forks and inputs shown; flow.spectrum(…) has any" in page.inner_text("#panel-depth")
    assert page.locator("#skip option").count() == 4


def test_what_is_near_a_node_says_where_it_ends(visit):
    page = visit(ad.flow(lambda x: sum(np.sin(x * float(n)) for n in range(300)))(1.0), max_nodes=400)
    assert "shown;" not in page.inner_text("#counts")
    page.click("#listing tbody tr:first-child button")
    page.get_by_role("button", name="Only what is near").click()
    assert page.inner_text("#counts").endswith("150 of 901 nodes shown; search has any other.")


def test_names_that_are_cut_are_compared_whole(visit, tmp_path):
    stem = "a name that is longer than a picture has room for, and then "

    def net(order, factor):
        def f(x):
            x = np.sin(x)
            for which in order:
                with ad.scope(stem + which):
                    x = ad.name(x * (factor + ord(which)), stem + which * 2)
            return x

        return ad.trace(f)(np.ones(3)).backward(np.ones(3))

    here, there = net("abc", 1.0), net("ca", 2.0)
    expected = {row["node"]: row["factor"] for row in here.compare(there)}
    assert len(expected) == 4  # x, its sine, a, c
    page = visit(here)
    page.click("#tab-compare")
    for form in ("html", "json"):
        path = tmp_path / f"there.{form}"
        path.write_text(picture(there, form), encoding="utf-8")
        page.set_input_files("#other", str(path))
        until(page, "document.querySelector('#panel-compare .said').textContent.includes('in both')")
        assert page.inner_text("#panel-compare .said").startswith("4 nodes are in both, 1 only here, 0 only there.")
        found = {int(re.search(r"\((\d+)\)$", row[0])[1]): row[3] for row in table(page, "#panel-compare .compared")}
        assert {v: float(said[1:]) for v, said in found.items()} == pytest.approx(expected, rel=6e-3)
        page.evaluate("document.querySelector('#panel-compare .said').textContent = ''")
