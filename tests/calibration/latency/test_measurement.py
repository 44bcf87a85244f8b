"""One measurement: its counts, its key, and how it is written and read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from calibration.latency.measurement import (
    is_measured,
    key_of,
    measure_batches,
    read_measurement,
    timed_calls,
    write_measurement,
)
from calibration.latency.timing import Timed
from calibration.stage_settings import EfficiencySettings
from poq_abm.errors import InputError


@dataclass
class Clockwork:
    """A subject whose batches take 64 ms each, 100 for the first."""

    role: str = "inference"
    node: str = "clockwork"
    device: str = "cpu"
    weights: str = "random"
    dtype: str = "float32"
    ran: list[Any] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        return {"dtype": self.dtype}

    def load(self) -> Clockwork:
        return self

    def batches(self, batch_size: int, calls: int) -> list[int]:
        return list(range(calls))

    def run(self, batch: Any) -> Timed:
        self.ran.append(batch)
        steps = (6.0, 7.0, 50.0) if self.role == "inference" else ()
        prefill = 1.0 if self.role == "inference" else None
        return Timed(64.0 if batch else 100.0, prefill, steps, 8 if steps else 0)

    def tokens_in(self, batch: Any) -> int | None:
        return 3


def measured(subject: Clockwork, batch_size: int = 2, **changes: int) -> dict[str, Any]:
    counts = {"prompts": 4, "warm_up": 1, **changes}
    return measure_batches(subject, subject, batch_size, EfficiencySettings(new_tokens=4, **counts))


def test_warm_up_does_not_count() -> None:
    subject = Clockwork()
    found = measured(subject)
    assert found["latencies_ms"] == [64.0] * 4
    assert subject.ran == [0, 1, 2, 3, 4]
    assert measured(Clockwork(), warm_up=0)["latencies_ms"][0] == 100.0


def test_an_answer_waits_for_its_batch_and_a_pair_takes_its_share() -> None:
    assert measured(Clockwork())["latencies_ms"][0] == 64.0
    assert measured(Clockwork("evaluator"))["latencies_ms"][0] == 32.0


def test_prefill_and_decode_apart() -> None:
    found = measured(Clockwork())
    assert found["prefill_ms"] == [1.0] * 4
    assert found["decode_ms_per_token"] == [7.0] * 4, "the median step: one slow step is luck"
    assert found["decode_steps_ms"]["count"] == 12
    assert found["output_tokens"] == 4.0


def test_throughput_counts_the_whole_batch() -> None:
    found = measured(Clockwork())
    assert found["throughput_tokens_per_s"] == pytest.approx(8 / 0.064)
    assert found["throughput_items_per_s"] == pytest.approx(2 / 0.064)


def test_an_evaluator_writes_no_tokens() -> None:
    found = measured(Clockwork("evaluator"))
    assert found["prefill_ms"] == found["decode_ms_per_token"] == []
    assert found["throughput_tokens_per_s"] is None


@pytest.mark.parametrize(
    ("prompts", "batch_size", "calls"), [(100, 1, 100), (100, 8, 20), (1, 64, 1), (1000, 32, 32)]
)
def test_how_many_batches_are_timed(prompts: int, batch_size: int, calls: int) -> None:
    assert timed_calls(prompts, batch_size) == calls


@pytest.mark.parametrize(
    ("subject", "batch_size", "changes"),
    [
        (Clockwork(dtype="bfloat16"), 2, {}),
        (Clockwork(node="other"), 2, {}),
        (Clockwork(weights="real"), 2, {}),
        (Clockwork("evaluator"), 2, {}),
        (Clockwork(), 4, {}),
        (Clockwork(), 2, {"prompts": 5}),
        (Clockwork(), 2, {"warm_up": 2}),
        (Clockwork(), 2, {"hardware": "rtx_4090"}),
    ],
)
def test_the_key_covers_what_times_depend_on(
    subject: Clockwork, batch_size: int, changes: dict[str, Any]
) -> None:
    usual = EfficiencySettings(prompts=4, warm_up=1)
    key = key_of(Clockwork(), 2, usual)
    assert key == key_of(Clockwork(), 2, usual)
    hardware = changes.pop("hardware", None)
    assert key != key_of(subject, batch_size, usual.model_copy(update=changes), hardware)


def test_what_is_not_known_is_null_on_disk_and_nan_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "efficiency" / "m.json"
    found = measured(Clockwork("evaluator"))
    write_measurement(path, found)
    assert json.loads(path.read_text())["energy_j"] is None
    read = read_measurement(path)
    assert math.isnan(read["energy_j"])
    assert math.isnan(read["throughput_tokens_per_s"])
    assert read["latencies_ms"] == found["latencies_ms"]
    assert is_measured(path, found["key"])
    assert not is_measured(path, "other")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"key": 3}', "\x00"])
def test_a_damaged_file_is_no_measurement(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    assert not is_measured(path, "key")
    with pytest.raises(InputError, match="is no measurement; delete it"):
        read_measurement(path)


def test_a_missing_file(tmp_path: Path) -> None:
    assert not is_measured(tmp_path / "m.json", "key")
    with pytest.raises(InputError, match="cannot read"):
        read_measurement(tmp_path / "m.json")
