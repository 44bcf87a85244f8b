"""The tutorial leads from the installation to a report, by its own commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_support import WIDTH, blocks, commands, misfits

from tests.conftest import Poq

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]


def test_every_command_of_the_tutorial_runs(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    (scenario,) = blocks(TUTORIAL, "yaml")
    assert len(commands(TUTORIAL)) >= 10
    said: dict[str, str] = {}
    for verb, *arguments in commands(TUTORIAL):
        told = poq(verb, *arguments)
        assert told.code == 0, (verb, told.err)
        assert misfits(told.out) == [], (verb, arguments)
        said[verb] = told.out
        if verb == "new":  # what the page tells the reader to write
            (tmp_path / "mine.yaml").write_text(scenario)
    (drift,) = re.findall(r"the drift (fell by .*?\])", TUTORIAL.read_text())
    compared = " ".join(said["compare"].split())
    assert f"to aggregation=median, consensus_drift {drift}" in compared
    audited = " ".join(said["audit"].split())
    assert "honest by one node of booster gains" in audited
    assert "constant by a ring of 3 of all gains" in audited
    assert (tmp_path / "mine" / "report.html").stat().st_size > 100_000
    assert (tmp_path / "mine" / "lines.svg").is_file()
