"""The pages on analysis, audit and figures say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poq_abm.analysis.audit.gains import VERDICTS
from poq_abm.analysis.explanation import COMPONENTS, PROFIT_COMPONENTS
from poq_abm.analysis.questions import figures
from poq_abm.analysis.rewards import STATISTICS

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]


@pytest.mark.parametrize("page", ["how-to/analysis.md", "how-to/audit.md", "how-to/figures.md"])
def test_the_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})


def in_tables(page: str) -> set[str]:
    """Return every name in the first cells of a page's tables."""
    rows = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_kind_of_figure_is_documented() -> None:
    assert in_tables("how-to/figures.md") == set(figures())


def test_every_statistic_and_component_is_documented() -> None:
    assert {*STATISTICS, *COMPONENTS, *PROFIT_COMPONENTS} <= in_tables("how-to/analysis.md")


def test_every_verdict_is_documented() -> None:
    text = (DOCS / "how-to" / "audit.md").read_text()
    assert [v for v in VERDICTS if f"`{v}`" not in text and v != "one replication"] == []
