"""The machine a measurement was made on, and keeping to one of its cores."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.c_loop import find_compiler

__all__ = ["describe", "on_one_core"]

_LIBRARIES = ("mesa", "numba", "numpy", "pyarrow")


def describe() -> dict[str, str | int | None]:
    """Return the processor, the system and the versions of what is being measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        "c_compiler": _compiler(),
    }


@contextlib.contextmanager
def on_one_core() -> Iterator[int | None]:
    """Keep this process on one core for a while; yield its number, ``None`` if that fails."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)  # interrupts tend to land on the first one
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _compiler() -> str | None:
    compiler = find_compiler()
    if compiler is None:
        return None
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.partition("\n")[0]
