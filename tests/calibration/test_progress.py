"""Progress of a stage: lines in a log, a bar on a terminal, outputs where they are asked for."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from calibration.progress import progress


class Terminal:
    """Reports above a bar."""

    def __init__(self, shows: bool = False) -> None:
        self.console = Console(file=io.StringIO(), force_terminal=True, width=400)
        self.shows = shows

    def __call__(self, line: str) -> None:
        self.console.print(line)

    @property
    def written(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


def test_a_log_has_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 8.0, 12.0, 16.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said: list[str] = []
    with progress(said.append, "llama", 5000) as advance:
        for _ in range(5):
            advance("an output")
    assert said == [
        "llama: 3 of 5,000 (0%), 0.25/s, 5:33:08 left",
        "llama: 5 of 5,000 (0%), 0.167/s, 8:19:30 left",
    ]


def test_a_terminal_has_a_bar_with_rate_and_remaining_time() -> None:
    terminal = Terminal()
    with progress(terminal, "llama", 3) as advance:
        for _ in range(3):
            advance("an output")
    assert "llama" in terminal.written
    assert "3/3" in terminal.written
    assert "0:00:0" in terminal.written
    assert "an output" not in terminal.written


def test_outputs_are_shown_where_they_are_asked_for() -> None:
    terminal = Terminal(shows=True)
    with progress(terminal, "llama", 1) as advance:
        advance("an\n output " + 300 * "x")
    assert "llama: an output xxx" in terminal.written
    assert terminal.written.count("x") < 250
