"""What the tests of the page share: nets, a real browser, and what a test does without one."""

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
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install autodiff[browser]")
    if BROWSER is None:
        pytest.skip("needs Chromium: apt-get install chromium, or its path in AUTODIFF_CHROMIUM")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
