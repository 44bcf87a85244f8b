"""The command that costs the published architectures, on tiny ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from calibration.latency.measurement import read_measurement
from calibration.models.architectures import architecture, evaluator_names, model_names
from calibration.shipped import architecture_costs
from calibration.shipped.architecture_costs import (
    PUBLISHED,
    QUICK,
    jobs_of,
    main,
    measure_architectures,
)
from calibration.stage_settings import EfficiencySettings

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 96,
    "head_dim": 16,
    "pooler_hidden_size": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
TINY = EfficiencySettings(batch_sizes=(1, 2), prompts=2, warm_up=1, new_tokens=3)


@pytest.fixture(autouse=True)
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str) -> dict[str, Any]:
        shipped = architecture(name)
        config = {**shipped["config"], **SMALL}
        if "num_key_value_heads" in config:
            config["num_key_value_heads"] = 2
        return {**shipped, "config": config}

    monkeypatch.setattr(architecture_costs, "architecture", small)


def test_all_eight_architectures_at_their_batch_sizes(tmp_path: Path) -> None:
    files = measure_architectures(tmp_path, TINY, "cpu")
    found = [read_measurement(file) for file in files]
    sizes: dict[str, list[int]] = {}
    for one in found:
        sizes.setdefault(one["node"], []).append(one["batch_size"])
    assert sizes == {
        "ce_minilm": [1, 2, 32],
        "ce_deberta": [1, 2, 32],
        "sts_stsb": [1, 2, 64],
        **{name: [1, 2] for name in model_names()},
    }
    assert {one["weights"] for one in found} == {"random"}
    assert {one["output_tokens"] for one in found if one["role"] == "inference"} == {3.0}


def test_the_plan_of_the_published_study() -> None:
    plan = PUBLISHED
    assert (plan.batch_sizes, plan.prompts, plan.warm_up, plan.new_tokens) == (
        (1, 8, 32),
        100,
        3,
        128,
    )
    assert QUICK.prompts < plan.prompts
    subjects = [task.subject for task in jobs_of(plan, "cpu")]
    assert [subject.node for subject in subjects] == [*evaluator_names(), *model_names()]
    assert {subject.identity["dtype"] for subject in subjects} == {"bfloat16"}


def test_the_command_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(architecture_costs, "QUICK", TINY)
    arguments = [str(tmp_path), "--quick", "--device", "cpu", "--only", "qwen2_1_5b"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out.split() == [
        str(tmp_path / "efficiency" / f"inference.qwen2_1_5b.b{size}.json") for size in (1, 2)
    ]
    assert main(arguments) == 0
    assert "already measured" in capsys.readouterr().err


def test_a_misspelt_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--device", "cpu", "--only", "qwen_1_5b"]) == 2
    assert "did you mean 'qwen2_1_5b'?" in capsys.readouterr().err


def test_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(architecture_costs, "measure_all", stop)
    assert main([str(tmp_path), "--device", "cpu"]) == 130
    assert "the same command measures the rest" in capsys.readouterr().err
