"""A real browser for the tests of the page."""

import pytest

from autodiff.viz import picture
from tests.viz.browsing import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page; whatever it asks for besides itself, and whatever goes wrong in its script, fails the test."""
    asked, wrong, contexts = [], [], []

    def open_(flow, text=None, **options):
        path = tmp_path / f"page{len(contexts)}.html"
        asks = options.pop("browser", {})
        path.write_text(text or picture(flow, "html", **options), encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **asks}))
        page = contexts[-1].new_page()
        page.route("**/*", lambda route: route.continue_() if route.request.url == path.as_uri() else (
            asked.append(route.request.url), route.abort()))  # fmt: skip
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(path.as_uri())
        page.wrong = wrong
        return page

    yield open_
    for context in contexts:
        context.close()
    assert asked == []
    assert wrong == []
