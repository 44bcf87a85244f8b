"""The tutorial leads from the installation to a report, by its own commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Poq

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]


def test_every_command_of_the_tutorial_runs(poq: Poq, tmp_path: Path) -> None:
    text = TUTORIAL.read_text()
    (scenario,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    commands = [
        shlex.split(line, comments=True)
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) >= 10
    said: dict[str, str] = {}
    for program, verb, *arguments in commands:
        assert program == "poq"
        told = poq(verb, *arguments)
        assert told.code == 0, (verb, told.err)
        said[verb] = told.out
        if verb == "new":  # what the page tells the reader to write
            (tmp_path / "mine.yaml").write_text(scenario)
    assert "From aggregation=mean to aggregation=median, bias fell by" in said["compare"]
    assert (tmp_path / "mine" / "report.html").stat().st_size > 100_000
    assert (tmp_path / "mine" / "lines.svg").is_file()
