"""What is read off the machine around a piece of work: time, peak memory, energy.

Every reading has an honest answer where the machine gives none: NaN.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from calibration.libraries import library

__all__ = [
    "EnergyMeter",
    "StepClock",
    "memory_kind",
    "peak_memory_mb",
    "reset_peak_memory",
    "synchronise",
]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # what the kernel takes as "reset the peak of the resident set"
_MB = 1e6
_KIB = 1024.0


def synchronise(device: str) -> None:
    """Return once ``device`` has done all the work it was given; a CPU always has."""
    kind = device.partition(":")[0]
    if kind == "mps":
        library("torch").mps.synchronize()
    elif kind != "cpu":
        getattr(library("torch"), kind).synchronize(device)


def reset_peak_memory(device: str) -> None:
    """Start a new peak; where the system cannot, the peak of the whole process stands."""
    if device.startswith("cuda"):
        library("torch").cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return  # not Linux, or not permitted


def memory_kind(device: str) -> str:
    """Say what :func:`peak_memory_mb` reads on ``device``.

    >>> memory_kind("cuda:0")
    'most that torch had allocated on the GPU'
    """
    if device.startswith("cuda"):
        return "most that torch had allocated on the GPU"
    return "largest resident set of the process, libraries included"


def peak_memory_mb(device: str) -> float:
    """Return the peak since the last reset in megabytes (1e6 bytes), NaN where nobody knows.

    On a GPU what torch had allocated on it at once; elsewhere the resident set of the process,
    Python and libraries included.

    >>> peak_memory_mb("cpu") > 1.0
    True
    """
    if device.startswith("cuda"):
        return float(library("torch").cuda.max_memory_allocated(device)) / _MB
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return _peak_of_process_mb()
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return float(peaks[0]) * _KIB / _MB if peaks else _peak_of_process_mb()


def _peak_of_process_mb() -> float:
    try:
        resource = import_module("resource")
    except ImportError:  # Windows
        return math.nan
    unit = 1.0 if sys.platform == "darwin" else _KIB
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit / _MB


class EnergyMeter:
    """The energy counter of a GPU, in joules, as its driver reports it through NVML.

    It needs ``nvidia-ml-py`` and a driver that counts energy (Volta or newer). Without them, and
    on a CPU, every reading is NaN.

    >>> meter = EnergyMeter("cpu")
    >>> meter.joules()
    nan
    """

    def __init__(self, device: str) -> None:
        self._read: Callable[[], float] = _energy_counter(device)

    def joules(self) -> float:
        """Return the joules the whole device has used since the driver was loaded, or NaN."""
        return self._read()


def _energy_counter(device: str) -> Callable[[], float]:
    def unknown() -> float:
        return math.nan

    if not device.startswith("cuda"):
        return unknown
    try:
        torch = library("torch")
        pynvml = import_module("pynvml")
        pynvml.nvmlInit()
        # NVML numbers all devices, torch only those it may see; the identifier is common to both.
        identifier = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(identifier)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # whatever is missing, the answer is the same: not known
        return unknown

    def joules() -> float:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000.0

    return joules


class StepClock:
    """Marks moments of a running generation without making the device wait.

    On a GPU a mark is an event in its queue, read after the end; elsewhere it is the clock. The
    first mark is the start.

    >>> clock = StepClock("cpu")
    >>> clock.mark(); clock.mark()
    >>> [gap >= 0.0 for gap in clock.gaps_ms()]
    [True]
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Mark this moment."""
        if self._device.startswith("cuda"):
            cuda = library("torch").cuda
            event = cuda.Event(enable_timing=True)
            event.record(cuda.current_stream(self._device))
            self._marks.append(event)
        else:
            synchronise(self._device)
            self._marks.append(time.perf_counter())

    def gaps_ms(self) -> list[float]:
        """Return the milliseconds between neighbouring marks, once the device is done."""
        synchronise(self._device)
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self._device.startswith("cuda"):
            return [float(first.elapsed_time(second)) for first, second in pairs]
        return [1000.0 * (second - first) for first, second in pairs]
