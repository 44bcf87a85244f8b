"""A real Dask scheduler and two worker processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import load
from tests.faults.conftest import Launch, blocks, finished, tables, wait_until

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        wait_until(lambda: self._file.exists() and self._file.stat().st_size > 0)
        self.workers = [
            self._start("dask_worker", "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
            for _ in range(2)
        ]

    def _start(self, tool: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", f"distributed.cli.{tool}"),
                *("--scheduler-file", str(self._file), "--no-dashboard", *arguments),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(json.loads(self._file.read_text())["address"])

    def stop(self) -> None:
        """Kill everything."""
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()


PLUGIN = """
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Source


@register
class Halving(EvaluatorBehaviour):
    name, formula, source = "halving", "s' = s / 2", Source("assumed", "a test")

    def report(self, measured, node, answer):
        return measured / 2
"""


def test_a_cluster_leaves_the_same_bytes(cluster: Cluster, launch: Launch, tmp_path: Path) -> None:
    """Workers lack the user's module; it travels to them."""
    (tmp_path / "halving.py").write_text(PLUGIN)
    command = (
        *("run", "cost_aware_poq", "--rounds", 400, "--replications", 12, "--plugin", "halving"),
        *("--set", "malicious={share: 0.4, behaviour: halving}"),
    )
    away = ("--backend", "dask", "--scheduler", cluster.address)
    code, _, err = finished(launch(*command, "--out", "away", *away))
    assert code == 0, err
    assert finished(launch(*command, "--out", "here"))[0] == 0
    assert tables(tmp_path / "away") == tables(tmp_path / "here")


DESIGN = """
extends: cost_aware_poq
rounds: 60
search:
  variables:
    mechanism.committee_size: {low: 1, high: 3}
  objectives: [{maximise: correlation}]
  audit: {at_most: 9.0, replications: 2, behaviours: [boost], by: []}
  budget: {designs: 8, generation: 4, replications: 2, front: 2, fresh: 4, looks: 1, certified: 4}
"""


def test_a_search_on_a_cluster_leaves_the_same_bytes(
    cluster: Cluster, launch: Launch, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "which.yaml").write_text(DESIGN)
    away = ("--backend", "dask", "--scheduler", cluster.address)
    code, _, err = finished(launch("design", "which.yaml", "--out", "away", "--no-report", *away))
    assert code == 0, err
    for place, jobs in (("here", 1), ("threads", 2)):
        command = ("design", "which.yaml", "--out", place, "--no-report", "--jobs", jobs)
        assert finished(launch(*command))[0] == 0
        assert files(tmp_path / "away") == files(tmp_path / place)


def files(folder: Path) -> dict[Path, bytes]:
    """Return what lies in a folder, by path."""
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_killed_cluster_worker_does_not_stop_the_run(
    cluster: Cluster, launch: Launch, tmp_path: Path
) -> None:
    settings = ["rounds=2000", "replications=120"]
    flags = [argument for setting in settings for argument in ("--set", setting)]
    away = ("--backend", "dask", "--scheduler", cluster.address, "--engine", "agents")
    process = launch("run", "cost_aware_poq", *flags, *away, "--jobs", 2, "--out", "run")
    wait_until(lambda: len(blocks(tmp_path / "run")) >= 1 or process.poll() is not None)
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    code, _, err = finished(process)
    assert code == 0, err
    run_to_folder(Plan.of(load("cost_aware_poq", settings)), tmp_path / "whole")
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


def test_a_scheduler_that_is_not_there_is_a_message(launch: Launch) -> None:
    away = ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:1")
    code, _, err = finished(launch("run", "cost_aware_poq", *away))
    assert code == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in err
    assert "Traceback" not in err
