"""Readings around a piece of work."""

from __future__ import annotations

import math
import mmap
import sys
from pathlib import Path

import pytest

from calibration.latency import timing
from calibration.latency.timing import EnergyMeter, StepClock, peak_memory_mb, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux starts a new peak")
def test_a_peak_starts_anew() -> None:
    block = mmap.mmap(-1, 200_000_000)  # given back at once, whatever libraries make of malloc
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    high = peak_memory_mb("cpu")
    block.close()
    reset_peak_memory("cpu")
    # 200 MB were given back; other allocations of this process are far smaller
    assert peak_memory_mb("cpu") < high - 100.0


def test_a_system_without_a_status_file_tells_the_peak_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(timing, "_STATUS", tmp_path / "nothing")
    assert peak_memory_mb("cpu") > 1.0


def test_a_peak_that_cannot_be_reset_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(timing, "_CLEAR", tmp_path / "no" / "file")
    reset_peak_memory("cpu")
    assert peak_memory_mb("cpu") > 1.0


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_energy_nobody_counts_is_not_known(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "import_module", missing)
    assert math.isnan(EnergyMeter(device).joules())


def missing(name: str) -> object:
    raise ImportError(name)


def test_energy_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    torch = timing.library("torch")
    asked = []

    class Driver:
        def nvmlInit(self) -> None: ...

        def nvmlDeviceGetHandleByUUID(self, identifier: str) -> str:
            asked.append(identifier)
            return "handle"

        def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
            return 2500 if handle == "handle" else 0

    class Properties:
        uuid = "1-2-3"

    monkeypatch.setattr(timing, "import_module", lambda _: Driver())
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties())
    assert EnergyMeter("cuda").joules() == 2.5
    assert asked == ["GPU-1-2-3"]


class Gpu:
    """What a clock asks of torch on a GPU: events that count up, on the streams they name."""

    def __init__(self) -> None:
        self.cuda, self.asked = self, []
        self.moment = 0.0

    def Event(self, *, enable_timing: bool) -> Gpu:
        assert enable_timing
        event = Gpu()
        event.asked = self.asked
        self.moment += 2.5
        event.moment = self.moment
        return event

    def current_stream(self, device: str) -> str:
        return f"stream of {device}"

    def record(self, stream: str) -> None:
        self.asked.append(stream)

    def synchronize(self, device: str) -> None:
        self.asked.append(f"wait for {device}")

    def elapsed_time(self, later: Gpu) -> float:
        return later.moment - self.moment


def test_on_a_gpu_marks_are_events_of_its_own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu()
    monkeypatch.setattr(timing, "library", lambda _: gpu)
    clock = StepClock("cuda:1")
    for _ in range(3):
        clock.mark()
    assert gpu.asked == ["stream of cuda:1"] * 3, "no mark makes the device wait"
    assert clock.gaps_ms() == [2.5, 2.5]
    assert gpu.asked[-1] == "wait for cuda:1"


def test_gaps_lie_between_marks() -> None:
    clock = StepClock("cpu")
    assert clock.gaps_ms() == []
    for _ in range(4):
        clock.mark()
    assert len(clock.gaps_ms()) == 3
    assert min(clock.gaps_ms()) >= 0.0
