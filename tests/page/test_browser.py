"""The page in a real browser: Debian's chromium through playwright."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser_support import WIDTHS, opened_browser, outside, watched_page

from poq_abm.scenario import load

pytest.importorskip("solara", reason='the page needs the extra: pip install "poq-abm[explore]"')
pytest.importorskip("solara_assets", reason='the page needs pip install "poq-abm[explore]"')
pytestmark = pytest.mark.slow
#: `poq`, in a process that notes whom it would call
PROGRAM = """
import socket, sys
real = socket.getaddrinfo
def noted(host, *rest, **more):
    if host not in ("127.0.0.1", "localhost", None):
        print("CALLED", host, file=sys.stderr, flush=True)
    return real(host, *rest, **more)
socket.getaddrinfo = noted
sys.argv[0] = "poq"
from poq_abm.cli import main
main()
"""
EXPLORED = {
    "rounds": ("cost_aware_poq", "--rounds", "400", "--replications", "5"),
    "queries": ("verification_trilemma", "--rounds", "200", "--replications", "3"),
    "economy": ("entry_exit", "--set", "rounds=1200", "--set", "economy.epochs=60",
                "--replications", "4"),
    "pair": ("committee_size", "--treatment", "committee_size=1", "--treatment",
             "committee_size=3", "--rounds", "400", "--replications", "5"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explored")


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Serve a scenario in a process of its own; where it serves, it says itself."""
    command = [sys.executable, "-u", "-c", PROGRAM, "explore", "--port", "0", *arguments]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with (
        (folder / "said").open("a") as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=folder,
            env={**os.environ, **environment},
        ) as server,
    ):  # fmt: skip
        try:
            yield server
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture(scope="module")
def addresses(folder: Path) -> Iterator[dict[str, str]]:
    """Serve a scenario of each kind, all at once."""
    with ExitStack() as stack:
        servers = {
            kind: stack.enter_context(served(folder, *words)) for kind, words in EXPLORED.items()
        }
        found = {}
        for kind, server in servers.items():
            assert server.stdout is not None
            said = re.search(r"http://\S+", server.stdout.readline())
            assert said, (folder / "said").read_text()
            found[kind] = said.group().rstrip("/")
        yield found


@pytest.fixture(scope="module")
def address(addresses: dict[str, str]) -> str:
    return addresses["rounds"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with watched_page(browser, (f"{address}/",)) as page:
        yield page


def visit(page: Any, url: str, chart: str = "consensus") -> Any:
    page.goto(url)
    page.wait_for_selector(f"[data-chart={chart}]")
    return page


def curves(page: Any, chart: str = "inference") -> list[str]:
    found = page.locator(f"[data-chart={chart}] path.curve")
    return [path.get_attribute("d") for path in found.all()]


def changed(page: Any, before: list[str], chart: str = "inference") -> list[str]:
    """Return the curves once they are others than before."""
    page.wait_for_function(
        "([chart, old]) => { const now = [...document.querySelectorAll("
        "`[data-chart=${chart}] path.curve`)].map(p => p.getAttribute('d'));"
        " return now.length && JSON.stringify(now) !== JSON.stringify(old); }",
        arg=[chart, before],
    )
    return curves(page, chart)


def slide(page: Any, label: str, value: float) -> None:
    slider = page.locator(f"input[type=range][aria-label^='{label}']")
    slider.evaluate(
        "(e, v) => { e.value = v; for (const name of ['input', 'change'])"
        " e.dispatchEvent(new Event(name, {bubbles: true})); }",
        value,
    )


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def cut_tables(page: Any) -> list[str]:
    """Return the tables that have not room for all of their columns."""
    found = page.evaluate(
        "() => { document.querySelectorAll('details').forEach(one => one.open = true);"
        " return [...document.querySelectorAll('.poq-wide')]"
        ".filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent); }"
    )
    return list(found)


def shown(page: Any) -> int:
    label = page.locator("label.poq-control", has_text="Rounds shown")
    return int(label.locator("output").inner_text())


def test_the_page_shows_all_charts_and_every_value(page: Any, address: str) -> None:
    visit(page, address)
    for chart in ("inference", "evaluator", "trust", "consensus"):
        assert page.locator(f"[data-chart={chart}] > svg").bounding_box()["height"] > 100
    assert "NaN" not in page.inner_text("body")
    assert page.locator("[data-table=rewards] tbody tr").count() == 8
    assert page.title().startswith("cost_aware_poq")


def test_a_slider_moves_the_curves_of_those_it_pays_and_of_nobody_else(
    page: Any, address: str
) -> None:
    visit(page, address)
    paid, others = curves(page), curves(page, "evaluator")
    slide(page, "β_F", 1.5)
    changed(page, paid)
    assert curves(page, "evaluator") == others
    button(page, "As written").click()
    page.wait_for_function("() => !document.querySelector('path.before')")
    assert curves(page) == paid


def test_a_rule_and_an_attack_can_be_chosen(page: Any, address: str) -> None:
    visit(page, address)
    before = curves(page, "evaluator")
    slide(page, "Malicious share", 0.4)
    attacked = changed(page, before, "evaluator")
    page.select_option("select[aria-label='Aggregation rule']", "median")
    changed(page, attacked, "evaluator")
    assert "boost(b=3.0)" in page.inner_text("[data-table=rewards]")
    flat = curves(page, "trust")
    page.select_option("select[aria-label='Trust update']", "relative")
    changed(page, flat, "trust")


def test_step_play_pause_and_reset_do_what_they_say(page: Any, address: str) -> None:
    visit(page, address)
    assert shown(page) == 400
    button(page, "Reset").click()
    page.wait_for_function("() => !document.querySelector('[data-chart=inference] path.curve')")
    assert shown(page) == 0
    button(page, "Step").click()
    page.wait_for_selector("[data-table=round]")
    assert shown(page) == 4
    assert "Round 4 of the first replication" in page.inner_text("[data-table=round]")
    button(page, "Play").click()
    page.wait_for_function(
        "() => Number(document.querySelector('[data-table=round] caption')"
        ".textContent.match(/Round (\\d+)/)[1]) >= 16"
    )
    button(page, "Pause").click()
    page.wait_for_selector("button:has-text('Pause')[disabled]")
    page.wait_for_timeout(300)  # a picture that was on its way
    stopped = shown(page)
    page.wait_for_timeout(800)
    assert shown(page) == stopped < 400


def test_the_link_restores_what_was_seen(browser: Any, page: Any, address: str) -> None:
    visit(page, address)
    before = curves(page)
    slide(page, "α_F", 0.6)
    moved = changed(page, before)
    slide(page, "Rounds shown", 200)
    moved = changed(page, moved)
    page.wait_for_function("() => location.search.includes('round=200')")
    other = visit(browser.new_page(), page.url)
    assert curves(other) == moved
    assert shown(other) == 200
    assert other.locator("[role=alert]").count() == 0
    other.close()


def test_a_link_that_says_nonsense_is_told_and_shows_the_scenario(page: Any, address: str) -> None:
    visit(page, f"{address}/?K=99&<script>=1&rule=median")
    assert page.locator("[role=alert]").count() == 2
    assert "K: must lie in [1, 3], got 99" in page.inner_text("body")


def test_what_cannot_be_played_is_told_and_the_last_picture_stays(page: Any, address: str) -> None:
    visit(page, address)
    before = curves(page)
    page.select_option("select[aria-label='Attack']", "collude")
    slide(page, "Malicious share", 0.4)
    page.wait_for_selector("[role=alert]:has-text('a ring of one')")
    assert curves(page) == before


def test_saving_writes_a_scenario_once(page: Any, address: str, folder: Path) -> None:
    visit(page, address)
    before = curves(page)
    slide(page, "β_F", 0.75)
    changed(page, before)
    page.get_by_label("Name of the scenario file").fill("cheaper")
    button(page, "Save as scenario file").click()
    page.wait_for_selector("[role=status]:has-text('Wrote cheaper.yaml')")
    text = (folder / "cheaper.yaml").read_text()
    assert load(folder / "cheaper.yaml").mechanism.beta_inference == 0.75
    button(page, "Save as scenario file").click()
    page.wait_for_selector("[role=alert]:has-text('cheaper_2 is free')")
    assert (folder / "cheaper.yaml").read_text() == text


def test_nothing_is_out_of_sight_and_a_phone_shows_slider_and_chart_at_once(
    page: Any, address: str, folder: Path
) -> None:
    visit(page, address)
    for width in WIDTHS:
        assert outside(page, width) == []
    slider = page.locator("input[type=range][aria-label^='α_F']").bounding_box()
    chart = page.locator("[data-chart=inference] > svg").bounding_box()
    assert chart["y"] + chart["height"] < slider["y"] < 900
    assert "CALLED" not in (folder / "said").read_text()


def test_an_economy_is_played_by_epochs_and_its_own_fields_move(
    browser: Any, addresses: dict[str, str]
) -> None:
    with watched_page(browser, (f"{addresses['economy']}/",)) as page:
        visit(page, addresses["economy"], "nodes")
        for chart in ("nodes", "profit", "pay", "quality"):
            assert page.locator(f"[data-chart={chart}] path.curve").count() >= 1
        before = curves(page, "nodes")
        slide(page, "Pool", 2000.0)
        changed(page, before, "nodes")
        assert "pool=2000" in page.url
        assert "NaN" not in page.inner_text("body")
        for width in WIDTHS:
            assert outside(page, width) == []


def test_protocols_stand_side_by_side_and_their_conditions_move(
    browser: Any, addresses: dict[str, str]
) -> None:
    with watched_page(browser, (f"{addresses['queries']}/",)) as page:
        visit(page, addresses["queries"], "vulnerability")
        assert page.locator("[data-table=protocols] tbody tr").count() == 10
        assert page.get_by_role("button", name="Play", exact=True).count() == 0
        slide(page, "Nodes that cheat where it pays", 0.0)
        page.wait_for_selector("[data-chart=vulnerability] circle.before")
        assert cut_tables(page) == []
        assert "NaN" not in page.inner_text("body")
        for width in WIDTHS:
            assert outside(page, width) == []


def test_two_scenarios_stand_side_by_side_and_one_slider_moves_both(
    browser: Any, addresses: dict[str, str], folder: Path
) -> None:
    with watched_page(browser, (f"{addresses['pair']}/",)) as page:
        visit(page, addresses["pair"], "inference-B")
        a, b = (
            page.locator(f"[data-chart=inference-{side}] > svg").bounding_box() for side in "AB"
        )
        assert a["y"] == b["y"]
        assert a["width"] == pytest.approx(b["width"], abs=1)
        before = [curves(page, f"inference-{side}") for side in "AB"]
        slide(page, "β_F", 1.5)
        for side, old in zip("AB", before, strict=True):
            changed(page, old, f"inference-{side}")
        table = page.locator("[data-table=difference]")
        assert "B - A as written" in table.inner_text()
        assert cut_tables(page) == []
        assert "NaN" not in page.inner_text("body")
        page.select_option("select[aria-label='Scenario to save']", "B")
        page.get_by_label("Name of the scenario file").fill("dear_b")
        button(page, "Save as scenario file").click()
        page.wait_for_selector("[role=status]:has-text('Wrote dear_b.yaml')")
        saved = load(folder / "dear_b.yaml").mechanism
        assert (saved.beta_inference, saved.committee_size) == (1.5, 3)
        for width in WIDTHS:
            assert outside(page, width) == []
        boxes = [page.locator(f"[data-chart=trust-{side}] > svg").bounding_box() for side in "AB"]
        assert boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]


def test_bands_with_the_calibration_s_error_are_wider_about_the_same_curves(
    page: Any, address: str
) -> None:
    visit(page, address)
    before = curves(page)
    assert "of the mean over replications" in page.inner_text("body")
    page.select_option("select[aria-label='Error that bands hold']", "of the calibration too")
    page.wait_for_selector("text=other records that might have been measured")
    # Wider bands need a longer axis, and nothing else moved.
    assert len(curves(page)) == len(before)
    assert page.locator("path.before").count() == 0
    page.wait_for_function("() => location.search.includes('bands=')")
    for width in WIDTHS:
        assert outside(page, width) == []
