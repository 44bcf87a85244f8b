"""The profile in memory."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile import Profile, read_profile


@pytest.fixture
def tiny(parts: dict[str, Any], tmp_path: Path) -> Profile:
    return read_profile(write_parts(tmp_path / "tiny", **parts))


ARRAYS = ("task_of_record", "scores", "truth", "judge")


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_contiguous_and_cannot_be_written(tiny: Profile, name: str) -> None:
    array = getattr(tiny, name)
    assert array.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0


def test_arrays_stay_read_only_in_another_process(tiny: Profile) -> None:
    copy = pickle.loads(pickle.dumps(tiny))
    assert not any(getattr(copy, name).flags.writeable for name in ARRAYS)
    assert copy.content_hash == tiny.content_hash


def test_the_callers_array_is_left_writeable(tiny: Profile) -> None:
    mine = np.ones((3, 2))
    fields = {name: getattr(tiny, name) for name in tiny.__dataclass_fields__}
    profile = Profile(**{**fields, "truth": mine})
    mine[0, 0] = 5.0
    assert mine.flags.writeable
    assert profile.truth[0, 0] == 1.0, "the profile has a copy of its own"


def test_fields_cannot_be_replaced(tiny: Profile) -> None:
    with pytest.raises(AttributeError):
        tiny.name = "other"  # type: ignore[misc]


def test_dtypes(tiny: Profile) -> None:
    assert tiny.task_of_record.dtype == np.int64
    assert {getattr(tiny, name).dtype for name in ARRAYS[1:]} == {np.dtype(np.float64)}


def test_latency_of_a_pair(tiny: Profile) -> None:
    assert tiny.latency_ms("large", "gpu_a") == 30.0
    assert tiny.latency_ms("large", "gpu_b") == 20.0
    assert tiny.latency_ms("cross", "gpu_a") == 2.0


def test_hardware_of_a_node(tiny: Profile) -> None:
    assert tiny.hardware_of("large") == ("gpu_a", "gpu_b")
    assert tiny.hardware_of("bi") == ("gpu_a",)


def test_unmeasured_hardware_names_the_measured(tiny: Profile) -> None:
    with pytest.raises(InputError, match=r"'small' on 'gpu_b'; measured on: 'gpu_a'$"):
        tiny.latency_ms("small", "gpu_b")


def test_unknown_node_names_the_nearest(tiny: Profile) -> None:
    with pytest.raises(InputError, match="did you mean 'cross'"):
        tiny.latency_ms("cros", "gpu_a")
    with pytest.raises(InputError, match="did you mean 'small'"):
        tiny.hardware_of("smal")


def test_repr_is_short(tiny: Profile) -> None:
    assert repr(tiny) == f"<Profile 'tiny' {tiny.content_hash[:12]}: 3 x 2 x 2 scores>"


def test_import_needs_no_model_and_no_plot() -> None:
    script = (
        "import sys, poq_abm.profile;"
        "sys.exit(bool({'torch', 'seaborn', 'matplotlib', 'transformers', 'calibration'}"
        " & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
