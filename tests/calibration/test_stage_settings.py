"""Every setting is documented, with the default it has, and the example in the docs is sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from calibration import stage_settings
from calibration.configuration import Calibration, load_configuration

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "calibration.md").read_text(
    encoding="utf-8"
)
NAMED = [getattr(stage_settings, name) for name in stage_settings.__all__]
PARTS = [Calibration, *(part for part in NAMED if isinstance(part, type))]


@pytest.mark.parametrize("part", PARTS)
def test_every_key_stands_in_the_docs(part: type[BaseModel]) -> None:
    assert [key for key in part.model_fields if f"`{key}`" not in PAGE] == []


@pytest.mark.parametrize(
    ("part", "heading"),
    [
        (stage_settings.GenerationSettings, "generation"),
        (stage_settings.ScoringSettings, "scoring"),
        (stage_settings.JudgeSettings, "judge"),
        (stage_settings.EfficiencySettings, "efficiency"),
    ],
)
def test_documented_defaults_are_the_ones_in_force(part: type[BaseModel], heading: str) -> None:
    table = PAGE.split(f"**`{heading}`**", 1)[1].split("\n\n**")[0].split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", table, re.MULTILINE))
    defaults = {key: field.default for key, field in part.model_fields.items()}
    plain = {key: value for key, value in defaults.items() if isinstance(value, int | float | str)}
    assert {key: told[key].strip("`") for key in plain} == {
        key: f"{value:g}" if isinstance(value, float) and value != 1 else str(value)
        for key, value in plain.items()
    }


def test_the_example_of_the_docs_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(name: my_study.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.yaml").write_text(example)
    found = load_configuration(tmp_path / "study.yaml")
    assert [model.name for model in found.models] == ["llama_3_2_3b", "qwen2_1_5b", "mine"]
    assert found.models[2].model == str(tmp_path / "checkpoints" / "mine")
    assert [source.sample for source in found.corpus] == [200, 200]
    assert found.prompts == {"qa": "Answer in one word.\n\n{input}"}
