"""Runs ``poq`` as real processes, which can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Launch = Callable[..., subprocess.Popen[str]]
PATIENCE_S = 240.0


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start ``poq`` with these arguments in the test's folder; whatever still runs dies with it."""
    started = []

    def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-m", "poq_abm.cli", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; return its exit code and what it said."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come to pass."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def tables(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a run's tables, file by file."""
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def blocks(folder: Path) -> dict[str, int]:
    """Return the blocks of a run that are done and when each was written."""
    found = {}
    for path in (folder / "replications.parquet").glob("*.parquet"):
        found[path.name] = path.stat().st_mtime_ns
    return found
