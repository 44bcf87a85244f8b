"""Killed parents, killed workers, interrupts: the same bytes in the end, little played twice."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import load
from tests.faults.conftest import Launch, blocks, finished, tables, wait_until

KILLS = 20


@pytest.mark.slow
def test_twenty_kills_of_the_parent_leave_the_same_bytes(launch: Launch, tmp_path: Path) -> None:
    settings = ["rounds=1000000", "replications=240"]  # 60 blocks of a fifth of a second
    dice = random.Random(7)
    command = ("run", "cost_aware_poq", "--jobs", 2, "--out", "run")
    flags = [argument for setting in settings for argument in ("--set", setting)]
    stored: dict[str, int] = {}
    kills = 0
    for _ in range(KILLS):
        process = launch(*command, *flags)
        more = len(stored) + dice.randint(0, 2)
        wait_until(
            lambda p=process, n=more: p.poll() is not None or len(blocks(tmp_path / "run")) >= n
        )
        time.sleep(dice.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += process.returncode == -signal.SIGKILL
        now = blocks(tmp_path / "run")
        assert {name: now.get(name) for name in stored} == stored, "a stored block was played again"
        stored = now
    assert kills == KILLS
    code, _, err = finished(launch(*command, *flags))
    assert code == 0, err
    last = blocks(tmp_path / "run")
    assert {name: last[name] for name in stored} == stored
    run_to_folder(Plan.of(load("cost_aware_poq", settings)), tmp_path / "whole", workers=Workers(2))
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_worker_costs_its_block(launch: Launch, tmp_path: Path) -> None:
    settings = ["rounds=2000", "replications=120"]
    flags = [argument for setting in settings for argument in ("--set", setting)]
    command = ("run", "cost_aware_poq", "--engine", "agents", "--jobs", 2, "--out", "run")
    process = launch(*command, *flags)
    wait_until(lambda: len(blocks(tmp_path / "run")) >= 1 or process.poll() is not None)
    worker = busiest_child(process)
    worker.send_signal(signal.SIGKILL)
    code, _, err = finished(process)
    assert code == 0, err
    run_to_folder(Plan.of(load("cost_aware_poq", settings)), tmp_path / "whole")
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


def busiest_child(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the worker process that has computed most."""
    children = children_of(process)
    assert children, "the agents play in processes"
    return max(children, key=lambda child: sum(child.cpu_times()[:2]))


@pytest.mark.slow
@pytest.mark.parametrize("deadly", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(
    launch: Launch, tmp_path: Path, deadly: signal.Signals
) -> None:
    """They had minutes of work, and would wait five minutes for more."""
    flags = ("--engine", "agents", "--rounds", 20_000, "--replications", 400)
    process = launch("run", "cost_aware_poq", "--jobs", 2, *flags, "--out", "run")
    wait_until(lambda: len(children_of(process)) >= 2)
    workers = children_of(process)
    process.send_signal(deadly)
    process.wait()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the worker processes."""
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
def test_an_interrupt_stops_cleanly_and_is_taken_up(launch: Launch, tmp_path: Path) -> None:
    for replications in (60, 240, 960):  # on a busy machine a short run is over before we look
        settings = ["rounds=1000000", f"replications={replications}"]
        flags = [argument for setting in settings for argument in ("--set", setting)]
        folder = f"run{replications}"
        command = ("run", "cost_aware_poq", "--jobs", 2, "--out", folder, *flags)
        process = launch(*command)
        wait_until(lambda folder=folder: len(blocks(tmp_path / folder)) >= 1)
        process.send_signal(signal.SIGINT)
        code, _, err = finished(process)
        if code == 130:
            break
    assert code == 130
    assert f"the same command finishes {folder}" in err
    assert "Traceback" not in err
    assert not list((tmp_path / folder).rglob(".*.part"))
    assert finished(launch(*command))[0] == 0
    run_to_folder(Plan.of(load("cost_aware_poq", settings)), tmp_path / "whole")
    assert tables(tmp_path / folder) == tables(tmp_path / "whole")
