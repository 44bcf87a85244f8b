"""Debian's chromium for tests: what a page said, whom it asked, and what of it cannot be seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason='a browser is driven by pip install "poq-abm[browser]"'
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)

WIDTHS = (1280, 400)  # of a screen and of a phone
#: elements that end right or left of the window, and texts of a drawing that leave it
_OUTSIDE = """width => [...document.querySelectorAll("body *")]
  .filter(one => !one.closest(".scroll, .poq-wide, pre") && one.checkVisibility())
  .filter(one => { const box = one.getBoundingClientRect();
    const drawing = one.closest("svg")?.getBoundingClientRect();
    const within = drawing && one.tagName === "text" ? drawing : {left: 0, right: width};
    return box.width && (box.right > within.right + 1 || box.left < within.left - 1); })
  .map(one => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`)"""


@contextmanager
def opened_browser() -> Iterator[Any]:
    """A browser without a window."""
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched_page(browser: Any, own: tuple[str, ...]) -> Iterator[Any]:
    """A page that fails the test if it complained, or asked for anything that is not its own."""
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url.replace("ws://", "http://")))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert asked
    assert [url for url in asked if not url.startswith((*own, "data:", "blob:"))] == []
    assert complaints == []


def outside(page: Any, width: int) -> list[str]:
    """What of a page lies outside a window of this width; the page itself, if it scrolls aside."""
    page.set_viewport_size({"width": width, "height": 900})
    found: list[str] = page.evaluate(_OUTSIDE, width)
    scrolled = page.evaluate("document.documentElement.scrollWidth")
    return [*found, *([f"the page is {scrolled} wide"] if scrolled > width else [])]
