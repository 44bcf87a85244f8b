"""The demonstration: every stage with real libraries on tiny models, and a run on its profile."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from calibration.demo import CAVEAT, demo_records
from poq_abm.profile import read_profile
from tests.conftest import Poq


def test_records_are_of_two_tasks_and_have_ids_of_their_own() -> None:
    records = demo_records()
    assert len({record["id"] for record in records}) == len(records) == 20
    assert {record["task"] for record in records} == {"qa", "summarization"}


@pytest.mark.slow
def test_demo_then_run(poq: Poq, tmp_path: Path) -> None:
    for module in ("torch", "transformers", "sentence_transformers", "openai"):
        pytest.importorskip(module)
    shown = poq("calibrate", "demo", "--out", "demo")
    assert shown.code == 0, shown.err
    profile = read_profile(tmp_path / "demo" / "profile")
    assert profile.scores.shape == (20, 4, 3)
    assert CAVEAT in profile.provenance["caveats"]
    command = shlex.split(shown.out.partition("Try: poq ")[2].replace("\\\n", " "))
    run = poq(*command, "--rounds", 50, "--replications", 2)
    assert run.code == 0, run.err
    assert "tiny_gemma2" in run.out
    again = poq("calibrate", "run", "demo/calibration.yaml")
    assert again.code == 0, "the judge has gone, but nothing is left to ask"
    assert "already built" in again.err


@pytest.mark.skipif("not __import__('importlib.util').util.find_spec('torch') is None")
def test_without_the_libraries_the_verb_says_what_to_install(poq: Poq) -> None:
    refused = poq("calibrate", "demo")
    assert refused.code == 2
    assert 'pip install "poq-abm[calibration]"' in refused.err


def test_the_verbs_of_calibration_are_listed(poq: Poq) -> None:
    shown = poq("calibrate", "--help").out
    for verb in ("run", "check", "corpus", "generate", "score", "judge", "efficiency", "build"):
        assert f" {verb} " in shown
    for verb in ("import", "smooth", "demo", "doctor"):
        assert f" {verb} " in shown


def test_a_misspelt_configuration_is_refused_with_its_line(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nout: runs\ncorpuss: []\n")
    refused = poq("calibrate", "check", "mine.yaml")
    assert refused.code == 2
    assert "mine.yaml:3" in refused.err
    assert "did you mean 'corpus'" in refused.err


def test_a_metric_of_ones_own_is_a_plugin(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "my_metric.py").write_text(
        "from calibration.profile.truth import register_metric\n"
        "register_metric('first_word', lambda output, reference: 1.0)\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "out: runs\ncorpus: [{format: squad, path: nowhere.json}]\n"
        "models: [qwen2_1_5b]\nevaluators: [sts_stsb]\ntruth: first_word\n"
    )
    refused = poq("calibrate", "check", "mine.yaml")
    assert "no metric of truth is called 'first_word'" in refused.err
    known = poq("calibrate", "check", "mine.yaml", "--plugin", "my_metric")
    assert known.code == 2
    assert "nowhere.json" in known.err


def test_a_corpus_that_is_not_there_is_named_before_any_work(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "out: runs\ncorpus: [{format: squad, path: nowhere.json}]\n"
        "models: [qwen2_1_5b]\nevaluators: [sts_stsb]\n"
    )
    refused = poq("calibrate", "run", "mine.yaml")
    assert refused.code == 2
    assert "nowhere.json" in refused.err
    assert not (tmp_path / "runs").exists()
