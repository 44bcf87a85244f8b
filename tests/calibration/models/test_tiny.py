"""Tiny models: real architectures that the ordinary Auto classes reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.models.checkpoints import locate
from calibration.models.tiny import CLASSES, FAMILIES, TinyModels, build_tiny

pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
transformers = pytest.importorskip("transformers")

TEXTS = ["Who won the game? Denver won the game in 2015.", "The train leaves at nine, says Ann."]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    return build_tiny(tmp_path_factory.mktemp("tiny"), TEXTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_language_model_reloads_as_its_family(tiny: TinyModels, family: str) -> None:
    folder = tiny.language[family]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert model.config.model_type == family
    assert type(model).__module__ == f"transformers.models.{family}.modeling_{family}"
    assert sum(weight.numel() for weight in model.parameters()) < 500_000


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reloaded_tokenizer_reads_and_writes_any_text(tiny: TinyModels, family: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        tiny.language[family], local_files_only=True
    )
    text = "Who won?\n Größe, 日本, 👋"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.padding_side == "left"
    assert tokenizer.chat_template


def test_heads_have_the_classes_they_should(tiny: TinyModels) -> None:
    for folder, classes in ((tiny.cross_encoder, ("LABEL_0",)), (tiny.entailment, CLASSES)):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        assert tuple(model.config.id2label.values()) == classes


def test_the_same_texts_and_seed_give_the_same_models(tiny: TinyModels, tmp_path: Path) -> None:
    def revisions(models: TinyModels) -> list[str]:
        evaluators = (models.cross_encoder, models.entailment, models.bi_encoder)
        return [locate(str(f)).revision for f in (*models.language.values(), *evaluators)]

    again = build_tiny(tmp_path / "again", TEXTS)
    other = build_tiny(tmp_path / "other", TEXTS, seed=2)
    assert revisions(again) == revisions(tiny)
    assert not set(revisions(other)) & set(revisions(tiny))


def test_building_leaves_the_generator_of_torch_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build_tiny(tmp_path, TEXTS)
    assert torch.equal(torch.rand(4), expected)
