"""``poq plan``, ``status`` and ``verify``; progress in a log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from poq_abm.cli import progress
from poq_abm.cli.progress import LineBar
from poq_abm.experiment import block_files
from tests.conftest import Poq

SMALL = ("--rounds", 50, "--replications", 4)


def test_plan_lists_treatments_and_what_they_take(poq: Poq, tmp_path: Path) -> None:
    poq("run", "committee_size", *SMALL, "--out", "played")  # compiles: without, time is not known
    planned = poq("plan", "committee_size", *SMALL, "--jobs", 2)
    assert planned.code == 0
    assert "3 treatments, 4 replications each" in planned.out
    assert "600 rounds in all" in planned.out
    assert "committee_size=2" in planned.out
    for line in ("time", "memory", "disk"):
        assert f"\n{line} " in planned.out
    assert list(tmp_path.iterdir()) == [tmp_path / "played"], "nothing is stored"


def test_plan_names_the_folder_that_run_uses(poq: Poq, tmp_path: Path) -> None:
    planned = poq("plan", "cost_aware_poq", *SMALL)
    poq("run", "cost_aware_poq", *SMALL)
    (folder,) = (tmp_path / "results").iterdir()
    assert f"results/{folder.name}" in planned.out


def test_plan_tells_of_a_precision_target(poq: Poq) -> None:
    target = "replications={until: {metric: bias, half_width: 0.1}, at_least: 5, at_most: 9}"
    planned = poq("plan", "cost_aware_poq", "--rounds", 50, "--set", target)
    assert "5 to 9 replications each, until bias is known within 0.1" in planned.out
    assert "450 rounds in all at most" in planned.out
    run = poq("run", "cost_aware_poq", "--rounds", 50, "--set", target)
    assert run.code == 0
    assert "bias within 0.1" in run.out


def test_status_of_a_finished_run(poq: Poq) -> None:
    poq("run", "committee_size", *SMALL, "--out", "mine")
    status = poq("status", "mine")
    assert status.out.splitlines()[0] == "committee_size: complete"
    assert "12 replications of 3 treatments stored, of 12" in status.out


def test_status_of_an_interrupted_run(poq: Poq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poq_abm.experiment.plan.MOST_ROUNDS", 100)
    play_block = block_files.play_block

    def failing(plan, block, *rest):
        if block.spans[0].treatment == 1:
            raise KeyboardInterrupt
        return play_block(plan, block, *rest)

    monkeypatch.setattr(block_files, "play_block", failing)
    assert poq("run", "committee_size", *SMALL, "--out", "mine").code == 130
    status = poq("status", "mine")
    assert status.code == 0
    assert "committee_size: unfinished" in status.out
    assert "4 replications of 3 treatments stored, of 12" in status.out
    assert "committee_size=3: 0" in status.out
    assert poq("verify", "mine").code == 2


@pytest.mark.parametrize("verb", ["status", "verify"])
def test_a_folder_of_something_else(poq: Poq, tmp_path: Path, verb: str) -> None:
    (tmp_path / "thesis").mkdir()
    refused = poq(verb, "thesis")
    assert refused.code == 2
    assert "not a results folder" in refused.err


@pytest.mark.parametrize("backend", ["lokky", "mpi"])
def test_an_unknown_backend(poq: Poq, backend: str) -> None:
    refused = poq("run", "cost_aware_poq", "--backend", backend)
    assert refused.code == 2
    assert f"unknown backend '{backend}'" in refused.err


def test_dask_needs_the_address_of_its_scheduler(poq: Poq) -> None:
    refused = poq("run", "cost_aware_poq", *SMALL, "--backend", "dask")
    assert refused.code == 2
    assert "--scheduler" in refused.err


def test_a_log_gets_a_line_now_and_then() -> None:
    now = 0.0
    lines: list[str] = []
    bar = LineBar("mine", lines.append, every=10.0, clock=lambda: now)
    bar.expect(100_000_000)
    for _ in range(25):
        now += 1.0
        bar.played(2_000_000)
    assert lines == [
        "mine: 20%, 2.0 M rounds/s, 40 s left",
        "mine: 40%, 2.0 M rounds/s, 30 s left",
    ]


def test_a_bar_leaves_what_came_before_the_first_rounds_out_of_their_rate() -> None:
    lines: list[str] = []
    now = 0.0
    bar = LineBar("mine", lines.append, every=10.0, clock=lambda: now)
    bar.expect(100_000_000)
    now += 60.0  # code is compiled
    for _ in range(3):
        bar.played(2_000_000)
        now += 1.0
    assert lines == ["mine: 4%, 2.0 M rounds/s, 48 s left"]


def test_a_bar_that_expects_nothing_counts_rounds() -> None:
    """A search does not know how much it will play: no share and no time are made up."""
    lines: list[str] = []
    now = 0.0
    bar = LineBar("mine", lines.append, every=10.0, clock=lambda: now)
    for _ in range(12):
        now += 1.0
        bar.played(500_000)
    assert lines == ["mine: 5,000,000 rounds, 500 k rounds/s"]


def test_time_that_is_left_does_not_count_what_compiles_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Code of another kind of rounds is compiled when the first of them come, not before all."""
    now = 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now))
    announcer = progress._announcer
    about = SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=len), "args": ()})
    lines: list[str] = []
    bar = LineBar("mine", lines.append, every=3.0)
    bar.expect(10_000)
    for second in range(4):
        now += 1.0
        bar.played(1_000)
        if second == 1:
            announcer.on_start(about)
            announcer.on_start(about)  # what it calls
            now += 30.0
            announcer.on_end(about)
            now += 30.0
            announcer.on_end(about)
    assert lines == ["mine: 30%, 1,000 rounds/s, 7 s left"]
