"""``poq profile list | show | compare | validate``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from poq_abm.analysis.quality_latency import quality_against_latency
from poq_abm.cli import profile_tables
from poq_abm.profile import load_profile, profile_names
from poq_abm.profile.profile import folder_of
from tests.conftest import Poq


def test_list_names_every_profile_that_ships(poq: Poq) -> None:
    listed = poq("profile", "list")
    assert listed.code == 0
    for name in profile_names():
        assert f" {name} " in listed.out
    assert "A reconstruction that has" in listed.out


def test_show_tells_the_story_of_a_profile(poq: Poq) -> None:
    shown = poq("profile", "show", "published", "--resamples", 200)
    assert shown.code == 0
    for words in (
        "400 records x 5 models x 3 evaluators; 2,000 of 2,000 outputs judged",
        "tasks: qa (200 records), summarization (200 records)",
        "models: llama_3_2_3b, gemma_2_2b_it",
        "assumed",
        "2,409.30",
        "records resampled 200 times",
    ):
        assert words in shown.out
    (row,) = [
        line for line in shown.out.splitlines()
        if "average" in line and "sts_stsb" in line and "truth" in line
    ]  # fmt: skip
    assert "0.660" in row
    assert "[0.6" in row


def test_a_terminal_of_80_columns_shows_names_and_numbers_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    loaded = load_profile("small_llms")
    profile_tables.print_head(loaded)
    profile_tables.print_costs(loaded)
    profile_tables.print_qualities(quality_against_latency(loaded, resamples=20, seed=1))
    lines = capsys.readouterr().out.splitlines()
    names = {line.split()[0] for line in lines if line.startswith(" ") and line.strip()}
    assert {*loaded.models, "inference", "evaluator"} <= names
    assert not any("…" in line for line in lines)
    assert max(map(len, lines[1:])) <= 80  # the first has the hash


def test_show_is_the_same_twice(poq: Poq) -> None:
    first, again = (poq("profile", "show", "published", "--resamples", 50) for _ in range(2))
    assert first.out == again.out


def test_compare_with_itself(poq: Poq) -> None:
    assert "the same" in poq("profile", "compare", "published", "published").out


def test_compare_names_what_differs(poq: Poq, tmp_path: Path) -> None:
    from profile_support import write_parts

    from poq_abm.profile import load_profile

    base = load_profile("published")
    scores = pd.read_parquet(folder_of("published") / "scores.parquet")
    write_parts(
        tmp_path / "mine",
        name="mine",
        scores_table=scores,
        costs_table=base.costs.assign(latency_ms=base.costs["latency_ms"] * 2),
        tasks=base.tasks,
        models=base.models,
        evaluators=base.evaluators,
        normalisation={},
        hardware=["rtx_4090"],
        provenance={"summary": "Twice as slow."},
    )
    told = poq("profile", "compare", "published", "mine")
    assert told.code == 0
    assert "latency_ms of llama_3_2_3b on rtx_4090" in told.out
    assert "2155.4" in told.out
    assert "Twice as slow." in told.out


def test_validate(poq: Poq, tmp_path: Path) -> None:
    shutil.copytree(folder_of("published"), tmp_path / "mine")
    assert poq("profile", "validate", "mine", "published").out == "mine: valid\npublished: valid\n"


def test_validate_tells_every_fault(poq: Poq, tmp_path: Path) -> None:
    shutil.copytree(folder_of("published"), tmp_path / "mine")
    (tmp_path / "mine" / "costs.parquet").unlink()
    (tmp_path / "mine" / "scores.parquet").write_bytes(b"junk")
    told = poq("profile", "validate", "mine", "published")
    assert told.code == 2
    assert "mine: costs.parquet is missing" in told.err
    assert "mine: scores.parquet was altered" in told.err
    assert "published: valid" in told.out


@pytest.mark.parametrize(
    "arguments",
    [("show", "publishd"), ("validate", "publishd"), ("compare", "published", "publishd")],
)
def test_an_unknown_profile(poq: Poq, arguments: tuple[str, ...]) -> None:
    refused = poq("profile", *arguments)
    assert refused.code == 2
    assert "did you mean 'published'" in refused.err


def test_a_scenario_whose_models_the_profile_lacks(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "population:\n"
        "  inference: [{model: llama_3_2_3b}, {model: phi3_mini}]\n"
        "  evaluators: [{model: sts_stsb}, {model: ce_minilm}, {model: ce_debreta}]\n"
    )
    refused = poq("validate", "mine.yaml")
    assert refused.code == 2
    assert "mine.yaml:2" in refused.err
    assert "the profile has no inference model 'phi3_mini'; did you mean" in refused.err
    assert "the profile has no evaluator 'ce_debreta'; did you mean 'ce_deberta'" in refused.err
