"""Profiles in memory and on disk: what comes back, and that nothing altered is read."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile import Profile, load_profile, profile, profile_names, read_profile
from poq_abm.profile.validity import content_hash


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


Parts = dict[str, Any]


@pytest.fixture
def folder(parts: Parts, tmp_path: Path) -> Path:
    return write_parts(tmp_path / "tiny", **parts)


def sign(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header and sign it again, as a careful forger would."""
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    change(header)
    header["content_hash"] = content_hash(header)
    (folder / "profile.json").write_text(json.dumps(header), encoding="utf-8")


def replace_table(folder: Path, file: str, blob: bytes) -> None:
    (folder / file).write_bytes(blob)
    digest = hashlib.sha256(blob).hexdigest()
    sign(folder, lambda header: header["files"].update({file: digest}))


def test_round_trip_keeps_every_number(folder: Path, parts: Parts) -> None:
    profile = read_profile(folder)
    assert profile.tasks == ("qa", "news")
    assert profile.records == ("q0", "q1", "n0")
    assert profile.task_of_record.tolist() == [0, 0, 1]
    assert profile.models == ("small", "large")
    assert profile.evaluators == ("bi", "cross")
    table = parts["scores_table"].set_index(["record", "model"])
    for i, record in enumerate(profile.records):
        for j, model in enumerate(profile.models):
            row = table.loc[(record, model)]
            assert profile.scores[i, j].tolist() == [row["bi"], row["cross"]]
            assert profile.truth[i, j] == row["truth"]
            np.testing.assert_equal(profile.judge[i, j], row["judge"])
    assert np.isnan(profile.judge).sum() == 1
    assert profile.provenance == parts["provenance"]
    pd.testing.assert_frame_equal(
        profile.costs, parts["costs_table"], check_like=True, check_dtype=False
    )


def test_rows_may_come_in_any_order(parts: Parts, folder: Path, tmp_path: Path) -> None:
    shuffled = parts["scores_table"].sample(frac=1.0, random_state=4)
    other = write_parts(tmp_path / "other", **{**parts, "scores_table": shuffled})
    one, two = read_profile(folder), read_profile(other)
    assert one.records == two.records
    np.testing.assert_array_equal(one.scores, two.scores)


def test_descriptions_are_kept(folder: Path) -> None:
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    assert header["models"] == [{"name": "small", "checkpoint": "org/small"}, {"name": "large"}]
    assert header["normalisation"] == {"method": "min_max", "scope": "task"}


def test_hash_is_pinned_and_depends_on_the_numbers(folder: Path, parts: Parts) -> None:
    pinned = read_profile(folder).content_hash
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    assert pinned == header["content_hash"] == content_hash(header)
    again = write_parts(folder.parent / "again", **parts)
    assert read_profile(again).content_hash == pinned
    parts["scores_table"].loc[0, "truth"] += 1e-9
    other = write_parts(folder.parent / "other", **parts)
    assert read_profile(other).content_hash != pinned


def test_nothing_but_the_profile_is_left(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    names = {path.name for path in folder.iterdir()}
    assert names == {"profile.json", "scores.parquet", "costs.parquet"}


def test_an_existing_folder_is_never_overwritten(folder: Path, parts: Parts) -> None:
    before = (folder / "profile.json").read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        write_parts(folder, **{**parts, "name": "usurper"})
    assert (folder / "profile.json").read_bytes() == before


def test_a_refusing_disk_is_an_input_error(tmp_path: Path, parts: Parts) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write the profile"):
        write_parts(tmp_path / "file" / "tiny", **parts)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_provenance_must_be_plain_json(tmp_path: Path, parts: Parts, value: object) -> None:
    with pytest.raises(InputError, match="not plain JSON"):
        write_parts(tmp_path / "tiny", **{**parts, "provenance": {"x": value}})
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no profile folder"):
        read_profile(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["profile.json", "scores.parquet", "costs.parquet"])
def test_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"{file} is missing"):
        read_profile(folder)


@pytest.mark.parametrize("file", ["profile.json", "scores.parquet"])
def test_a_folder_in_place_of_a_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    (folder / file).mkdir()
    with pytest.raises(InputError, match="cannot read"):
        read_profile(folder)


@pytest.mark.parametrize("text", [b"{", b"", b"\xff\xfe"])
def test_unreadable_json(folder: Path, text: bytes) -> None:
    (folder / "profile.json").write_bytes(text)
    with pytest.raises(InputError, match="not readable JSON"):
        read_profile(folder)


@pytest.mark.parametrize("file", ["scores.parquet", "costs.parquet"])
@pytest.mark.parametrize("blob", [b"", b"not a table at all"])
def test_unreadable_parquet(folder: Path, file: str, blob: bytes) -> None:
    replace_table(folder, file, blob)
    with pytest.raises(InputError, match=f"{file}' is not readable Parquet"):
        read_profile(folder)


@pytest.mark.parametrize("file", ["scores.parquet", "costs.parquet"])
def test_an_altered_table_is_named(folder: Path, file: str) -> None:
    blob = bytearray((folder / file).read_bytes())
    blob[len(blob) // 2] ^= 1
    (folder / file).write_bytes(bytes(blob))
    with pytest.raises(InputError, match=f"{file}' was altered"):
        read_profile(folder)


def test_an_altered_description(folder: Path) -> None:
    path = folder / "profile.json"
    path.write_text(path.read_text(encoding="utf-8").replace("everything", "nothing"), "utf-8")
    with pytest.raises(InputError, match=r"profile\.json' was altered"):
        read_profile(folder)


def test_the_order_of_names_is_pinned(folder: Path) -> None:
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    header["evaluators"].reverse()
    (folder / "profile.json").write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(InputError, match="was altered"):
        read_profile(folder)


def test_another_schema_version(folder: Path) -> None:
    sign(folder, lambda header: header.update(schema_version=2))
    with pytest.raises(InputError, match="schema version 2; this version reads 1"):
        read_profile(folder)


def test_not_a_number_in_the_description(folder: Path) -> None:
    path = folder / "profile.json"
    text = path.read_text(encoding="utf-8").replace('"everything: été"', "NaN")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="NaN or infinity"):
        read_profile(folder)


def test_a_signed_but_invalid_table_is_refused(folder: Path, parts: Parts) -> None:
    spoilt = folder.parent / "spoilt.parquet"
    parts["scores_table"].drop(columns="bi").to_parquet(spoilt)
    replace_table(folder, "scores.parquet", spoilt.read_bytes())
    with pytest.raises(InputError, match="lacks the columns bi"):
        read_profile(folder)


@pytest.mark.parametrize("file", ["profile.json", "scores.parquet"])
def test_a_pipe_in_the_place_of_a_file_is_refused(folder: Path, file: str) -> None:
    """Reading it would wait for ever."""
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(InputError, match="it is no regular file"):
        read_profile(folder)


def test_a_file_beyond_memory_is_refused_unread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "MAX_BYTES", 10)
    with pytest.raises(InputError, match=r"profile.json' has [0-9,]+ bytes; at most 10 are read"):
        read_profile(folder)


def test_every_profile_that_ships_loads_under_its_name() -> None:
    assert "published" in profile_names()
    for name in profile_names():
        assert load_profile(name).name == name


def test_a_path_may_be_text_or_path(parts: dict[str, Any], tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "mine", **parts)
    assert load_profile(folder).content_hash == load_profile(str(folder)).content_hash


def test_a_shipped_name_wins_over_a_folder(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(tmp_path / "published", **parts)
    monkeypatch.chdir(tmp_path)
    assert load_profile("published").name == "published"
    assert load_profile("./published").name == "tiny"
    assert load_profile(Path("published")).name == "tiny"


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean 'published'"):
        load_profile("publised")


def test_a_missing_path_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a profile that ships nor a folder"):
        load_profile(tmp_path / "nowhere")


def test_a_folder_that_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"profile\.json is missing"):
        load_profile(tmp_path)
