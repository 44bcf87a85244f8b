"""Reports in Debian's chromium: nothing fails, nothing is fetched, tables sort, phones can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_support import WIDTHS, opened_browser, outside, watched_page

from poq_abm.report import write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module", params=["base", "economy", "protocols"])
def address(request, stored_runs, tmp_path_factory: pytest.TempPathFactory) -> str:
    out: Path = tmp_path_factory.mktemp("reports") / f"{request.param}.html"
    return write_report(stored_runs[request.param], out).as_uri()


@pytest.fixture
def page(browser, address: str) -> Iterator[Any]:
    with watched_page(browser, (address,)) as page:
        page.goto(address)
        yield page


def test_its_images_are_there_and_nothing_is_out_of_sight(page) -> None:
    sizes = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert sizes
    assert min(sizes) > 100
    for width in WIDTHS:
        assert outside(page, width) == []


def test_a_click_on_a_heading_sorts_and_another_turns_round(page) -> None:
    table = page.locator("table.sortable").first
    column = table.locator("th.number").first.evaluate("th => th.cellIndex")
    heading = table.locator("thead button").nth(column)

    def values() -> list[float]:
        cells = table.locator(f"tbody td:nth-child({column + 1})")
        return [float(v) for v in cells.evaluate_all("all => all.map(td => td.dataset.value)")]

    heading.click()
    found = values()
    assert found == sorted(found)
    heading.click()
    assert values() == sorted(found, reverse=True)
    assert len(set(found)) > 1
    assert table.locator("th").nth(column).get_attribute("aria-sort") == "descending"


def test_on_paper_nothing_scrolls_or_is_cut(page) -> None:
    page.emulate_media(media="print")
    assert page.eval_on_selector_all(
        ".scroll, pre", "all => all.every(one => getComputedStyle(one).maxHeight === 'none')"
    )
    assert not page.locator("nav").is_visible()
    page.set_viewport_size({"width": 673, "height": 1000})  # what A4 leaves between its margins
    assert (
        page.eval_on_selector_all(
            ".scroll, pre", "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
        )
        == 0
    )
    assert len(page.pdf()) > 50_000
