"""The stamp: what it says, and what it must never say."""

from __future__ import annotations

import getpass
import json
import platform
import socket
from pathlib import Path

import pytest

from calibration.latency import machine
from calibration.latency.machine import (
    hardware_name,
    hardware_stamp,
    library_versions,
    slug,
    usable_cores,
)
from calibration.workspace import NAME


def test_a_stamp_is_plain_json_without_who_or_where() -> None:
    text = json.dumps(hardware_stamp("cpu"), allow_nan=False)
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    for secret in {getpass.getuser(), socket.gethostname()}:
        assert f'"{secret}"' not in text


def test_what_a_stamp_of_a_processor_says() -> None:
    stamp = hardware_stamp("cpu")
    assert stamp["hardware"] == hardware_name("cpu")
    assert stamp["cpu"]["usable_cores"] == usable_cores() >= 1
    assert stamp["versions"]["python"] == platform.python_version()
    assert stamp["gpu"] is None
    assert set(stamp["dtypes"].values()) <= {"native", "emulated"}


def test_a_name_is_one_a_profile_allows() -> None:
    assert NAME.fullmatch(hardware_name("cpu"))


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("NVIDIA H200", "nvidia_h200"),
        ("Intel(R) Core(TM) i9-12900K", "intel_core_i9_12900k"),
        ("", "unknown"),
        ("大", "unknown"),
    ],
)
def test_slugs(told: str, name: str) -> None:
    assert slug(told) == name


def test_libraries_that_are_missing_are_left_out() -> None:
    assert "no-such-library" not in library_versions(("no-such-library",))


def on_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "_CPU_INFORMATION", tmp_path / "cpuinfo")


def test_number_formats_come_from_the_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_machine(monkeypatch, tmp_path, "model name\t: Some CPU\nflags\t\t: fpu avx2 amx_bf16\n")
    stamp = hardware_stamp("cpu")
    assert stamp["cpu"]["name"] == "Some CPU"
    assert stamp["cpu"]["extensions"] == ["avx2", "amx_bf16"]
    assert stamp["dtypes"] == {"float32": "native", "bfloat16": "native", "float16": "emulated"}


def test_a_system_without_a_processor_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_CPU_INFORMATION", tmp_path / "nothing")
    stamp = hardware_stamp("cpu")
    assert stamp["cpu"]["name"]
    assert stamp["dtypes"]["bfloat16"] == "emulated"


def test_the_driver_is_read_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
    (tmp_path / "version").write_text(line)
    monkeypatch.setattr(machine, "_DRIVER", tmp_path / "version")
    assert machine._driver() == "550.54.15"
    monkeypatch.setattr(machine, "_DRIVER", tmp_path / "nothing")
    assert machine._driver() is None
