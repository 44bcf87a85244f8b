"""Reports in Debian's chromium: nothing fails, nothing is fetched, tables sort, phones can read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import poq_abm
from poq_abm.report import write_report
from poq_abm.scenario import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (the extra `browser`)"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SCENARIOS = {
    "base": ("cost_aware_poq", ["rounds=200", "replications=4"]),
    "economy": ("entry_exit", ["rounds=2400", "replications=3"]),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("runs")
    return {
        name: write_report(poq_abm.run(load(*given)).save(home / name))
        for name, given in SCENARIOS.items()
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=SCENARIOS)
def page(request, browser, files) -> Iterator[object]:
    """The open report, with everything it said and asked for."""
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    opened.goto(files[request.param].as_uri())
    yield opened
    opened.close()


def test_a_report_opens_from_disk_without_errors_or_requests(page) -> None:
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in page.asked if url.startswith("file:")]) == 1


def test_its_images_are_there(page) -> None:
    sizes = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert len(sizes) >= 3
    assert min(sizes) > 100


def test_it_fits_a_phone(page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_click_on_a_heading_sorts_and_another_turns_round(page) -> None:
    table = page.locator("table.sortable").filter(has_text="Who earned what")
    column = table.locator("thead button").all_inner_texts().index("reward tokens per job")
    heading = table.locator("thead button").nth(column)

    def values() -> list[float]:
        cells = table.locator(f"tbody td:nth-child({column + 1})")
        return [float(v) for v in cells.evaluate_all("all => all.map(td => td.dataset.value)")]

    before = values()
    heading.click()
    assert values() == sorted(before)
    heading.click()
    assert values() == sorted(before, reverse=True)
    assert before not in (sorted(before), sorted(before, reverse=True))
    assert table.locator("th").nth(column).get_attribute("aria-sort") == "descending"


def test_on_paper_nothing_scrolls(page) -> None:
    page.emulate_media(media="print")
    assert page.eval_on_selector_all(
        ".scroll, pre", "all => all.every(one => getComputedStyle(one).maxHeight === 'none')"
    )
    assert not page.locator("nav").is_visible()
    assert len(page.pdf()) > 50_000
