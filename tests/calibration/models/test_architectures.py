"""The registry: names, and architectures with the number of parameters that is published."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from calibration.models import architectures
from calibration.stage_settings import EvaluatorSpec, ModelSpec
from poq_abm.errors import InputError
from poq_abm.profile import load_profile
from poq_abm.profile.published_figures import EVALUATORS, INFERENCE

#: Parameters as the makers of the models publish them, and the last digit they print.
PUBLISHED = {
    "tinylama_1_1b": (1.10e9, 0.01e9),
    "qwen2_1_5b": (1.54e9, 0.01e9),
    "gemma_2_2b_it": (2.61e9, 0.01e9),
    "phi3_mini_4k": (3.82e9, 0.01e9),
    "llama_3_2_3b": (3.21e9, 0.01e9),
    "ce_minilm": (22.7e6, 0.1e6),
    "ce_deberta": (44e6 + 98e6, 1e6),  # backbone, and the embedding of 128,100 tokens
    "sts_stsb": (82e6, 1e6),
}


def test_the_registry_has_the_nodes_of_the_published_profile_and_their_checkpoints() -> None:
    profile = load_profile("published")
    assert set(architectures.model_names()) == set(profile.models)
    assert set(architectures.evaluator_names()) == set(profile.evaluators)
    for name, printed in INFERENCE.items():
        assert architectures.model_entry(name)["model"] == printed.checkpoint
    for name, printed in EVALUATORS.items():
        assert architectures.evaluator_entry(name)["model"] == printed.checkpoint


def test_every_entry_is_a_valid_spec_that_runs_no_code_of_a_checkpoint() -> None:
    specs = [ModelSpec(**architectures.model_entry(name)) for name in architectures.model_names()]
    others = [
        EvaluatorSpec(**architectures.evaluator_entry(n)) for n in architectures.evaluator_names()
    ]
    assert not any(spec.trust_remote_code for spec in (*specs, *others))
    assert {spec.batch_size for spec in specs} == {1}
    assert {spec.name: spec.batch_size for spec in others} == {
        "ce_minilm": 32, "ce_deberta": 32, "sts_stsb": 64
    }  # fmt: skip


def test_an_entry_cannot_be_changed_for_the_next_reader() -> None:
    architectures.model_entry("qwen2_1_5b")["model"] = "changed"
    assert architectures.model_entry("qwen2_1_5b")["model"] == "Qwen/Qwen2-1.5B-Instruct"


@pytest.mark.parametrize(
    ("look_up", "what"),
    [
        (architectures.model_entry, "no model"),
        (architectures.architecture, "no architecture"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(look_up, what) -> None:
    with pytest.raises(InputError, match=f"{what} 'lama_3_2_3b' .* did you mean 'llama_3_2_3b'"):
        look_up("lama_3_2_3b")
    with pytest.raises(InputError, match="known: "):
        look_up("../published")


def test_an_evaluator_is_no_model() -> None:
    with pytest.raises(InputError, match="no evaluator 'qwen2_1_5b' is registered"):
        architectures.evaluator_entry("qwen2_1_5b")


@pytest.mark.parametrize("name", architectures.architectures())
def test_an_architecture_counts_the_parameters_that_are_published(name: str) -> None:
    about, last_digit = PUBLISHED[name]
    found = architectures.architecture(name)
    assert abs(found["parameters"] - about) <= last_digit
    entry = (architectures.model_entry if name in INFERENCE else architectures.evaluator_entry)(
        name
    )
    assert found["checkpoint"] == entry["model"]
    assert found["kind"] == entry.get("kind", "causal_lm")


@pytest.mark.parametrize("name", architectures.architectures())
def test_transformers_builds_each_architecture_with_exactly_its_parameters(name: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    found = copy.deepcopy(architectures.architecture(name))
    configuration = transformers.AutoConfig.for_model(**found["config"])
    automatic = {
        "causal_lm": transformers.AutoModelForCausalLM,
        "cross_encoder": transformers.AutoModelForSequenceClassification,
        "bi_encoder": transformers.AutoModel,
    }[found["kind"]]
    with torch.device("meta"):
        model = automatic.from_config(configuration)
    assert type(model).__name__ in found["config"]["architectures"]
    assert sum(weight.numel() for weight in model.parameters()) == found["parameters"]
    unknown = set(found["config"]) - set(configuration.to_dict())
    assert unknown == set()  # a key the family does not know would change nothing


def test_the_registry_is_plain_data_of_a_few_kilobytes() -> None:
    folder = Path(architectures.__file__).with_name("registry")
    files = sorted(folder.iterdir())
    assert [file.stem for file in files] == sorted([*architectures.architectures(), "published"])
    for file in files:
        json.loads(file.read_text(encoding="utf-8"))
        assert file.stat().st_size < 4000
