"""What is read off the machine around one piece of work: time, peak memory, energy.

The device is synchronised before the clock starts and before it stops, so that no work of another
call is counted and none of this one is missed. Every reading has an honest answer where the machine
gives none: NaN.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from calibration.libraries import library

__all__ = [
    "EnergyMeter",
    "StepClock",
    "Timed",
    "memory_kind",
    "peak_memory_mb",
    "quantiles",
    "reset_peak_memory",
    "synchronise",
    "time_call",
    "time_generation",
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


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Timed:
    """One timed batch, milliseconds.

    ``prefill_ms`` is from the start to the first new token, ``decode_ms`` has one entry for each
    token after it, and both lie inside ``latency_ms``; a batch of pairs has neither. ``tokens``
    counts the new tokens of the whole batch, without padding.
    """

    latency_ms: float
    prefill_ms: float | None = None
    decode_ms: tuple[float, ...] = ()
    tokens: int = 0


def time_generation(model: Any, inputs: Mapping[str, Any], *, device: str, settings: Any) -> Timed:
    """Return the times of a call of ``model.generate`` with these generation ``settings``.

    ``inputs`` are tensors with ``input_ids`` of shape (batch, prompt) on ``device``. A stopping
    criterion that never stops marks each step.
    """
    torch = library("torch")
    clock = StepClock(device)

    def mark(input_ids: Any, *_: Any, **__: Any) -> Any:
        clock.mark()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    marks = library("transformers").StoppingCriteriaList([mark])
    model.generation_config = settings
    synchronise(device)
    start = time.perf_counter()
    clock.mark()
    with torch.inference_mode():
        output = model.generate(**inputs, stopping_criteria=marks)
    synchronise(device)
    latency_ms = 1000.0 * (time.perf_counter() - start)
    prefill_ms, *decode_ms = clock.gaps_ms()
    new = output[:, inputs["input_ids"].shape[1] :]
    return Timed(
        latency_ms, prefill_ms, tuple(decode_ms), _written(new.tolist(), settings.eos_token_id)
    )


def time_call(call: Callable[[], object], *, device: str = "cpu") -> float:
    """Return the milliseconds that ``call`` takes.

    >>> time_call(lambda: None) >= 0.0
    True
    """
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return 1000.0 * (time.perf_counter() - start)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the number of values and their quantiles, by name.

    >>> quantiles([1.0, 2.0, 3.0])["p50"]
    2.0
    """
    found = np.quantile(np.asarray(values, dtype=np.float64), QUANTILES) if len(values) else ()
    named = {f"p{round(100 * q):02d}": float(v) for q, v in zip(QUANTILES, found, strict=False)}
    return {"count": len(values), **named}


def _written(rows: Sequence[Sequence[int]], ends: Sequence[int] | None) -> int:
    """Count the new tokens of each row up to and with its first end."""
    stops = frozenset(ends or ())
    firsts = (next((i + 1 for i, t in enumerate(row) if t in stops), len(row)) for row in rows)
    return sum(firsts)
