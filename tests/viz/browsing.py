"""What the tests of the page share: nets, a real browser, and what a test does without one."""

import json
import os
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

import autodiff as ad
from tests.viz import nets

BROWSER = os.environ.get("AUTODIFF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def residual_net(count=20, width=8, seed=0, gain=0.5):
    rng = np.random.default_rng(seed)
    scale = gain / np.sqrt(width)
    layers = [
        (rng.normal(size=(width, width)) * scale, rng.normal(size=width) * 0.1, rng.normal(size=(width, width)) * scale)
        for _ in range(count)
    ]
    return ad.flow(nets.residual)(rng.normal(size=(4, width)), layers, rng.normal(size=(width, 2)) / 4)


def plain_net(x, params):
    """A residual net as one writes it: nothing of this package but the names of its blocks."""
    for n, (w, v) in enumerate(params):
        with ad.scope(f"block{n + 1}"):
            x = x + np.maximum(x @ w, 0) @ v
    return np.mean(x**2)


def plain_values(count=20, width=16, seed=0):
    rng = np.random.default_rng(seed)
    params = [(rng.normal(size=(width, width)) / 4, rng.normal(size=(width, width)) / 16) for _ in range(count)]
    return rng.normal(size=(8, width)), params


def nested(x, weights):
    for i, pair in enumerate(weights):
        with ad.scope(f"stage{i}"):
            for j, w in enumerate(pair):
                with ad.scope(f"block{j}"):
                    x = x + np.tanh(x @ w)
    return np.sum(x * x)


def nested_flow(seed=0):
    rng = np.random.default_rng(seed)
    return ad.flow(nested)(rng.normal(size=(2, 3)), [[rng.normal(size=(3, 3)) for _ in range(2)] for _ in range(2)])


@contextmanager
def chromium():
    """A browser; the test is skipped with the reason where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e .[browser]")
    if BROWSER is None:
        pytest.skip("needs Chromium: apt-get install chromium, or its path in AUTODIFF_CHROMIUM")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


# -- what a page shows -------------------------------------------------------------------------------------------------


def data(page):
    return json.loads(page.evaluate("document.getElementById('data').textContent"))


def ids(page, kind):
    return page.eval_on_selector_all(f"#world [data-kind={kind}]", "all => all.map(one => one.id)")


def table(page, selector):
    return page.eval_on_selector_all(
        f"{selector} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )


def until(page, what):
    """Wait for the page; playwright's own way of waiting for an expression is evaluation, which the policy forbids."""
    for _ in range(100):
        if page.evaluate(what):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"it never came about that {what}")


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))
