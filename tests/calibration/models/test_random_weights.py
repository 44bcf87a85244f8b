"""Architectures without weights: exact, initialised, and with their buffers rebuilt."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from calibration.models.architectures import (  # noqa: E402
    build_random,
    count_parameters,
)
from poq_abm.errors import InputError  # noqa: E402

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 96,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 1024,
}
FAMILIES: list[dict[str, Any]] = [
    {"model_type": "llama", "rope_parameters": LLAMA_3, "tie_word_embeddings": True},
    {"model_type": "gemma2", "head_dim": 16, "num_key_value_heads": 2},
    {"model_type": "phi3"},
    {"model_type": "qwen2", "num_key_value_heads": 2},
]


def small(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **changes}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["model_type"])
def test_buffers_are_those_of_an_ordinary_model(family: dict[str, Any]) -> None:
    configuration = small(**family)
    built = build_random(configuration)
    kind = transformers.CONFIG_MAPPING[family["model_type"]]
    usual = transformers.AutoModelForCausalLM.from_config(
        kind.from_dict(configuration), dtype=torch.bfloat16
    )
    expected = dict(usual.named_buffers())
    assert expected, "a model without buffers tests nothing"
    for name, buffer in built.named_buffers():
        assert buffer.dtype == expected[name].dtype
        torch.testing.assert_close(buffer, expected[name], rtol=0, atol=0)
    assert count_parameters(built) == count_parameters(usual)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["model_type"])
def test_weights_are_initialised_and_give_numbers(family: dict[str, Any]) -> None:
    model = build_random(small(**family), dtype="float32")
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    embedding = model.get_input_embeddings().weight.detach()
    # 96 x 64 draws of s.d. 0.02: their s.d. is known to 1%; the padding row is zero
    assert float(embedding[2:].std()) == pytest.approx(0.02, rel=0.05)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[3, 4, 5]])).logits
    assert bool(torch.isfinite(logits).all())


def test_tied_weights_are_one() -> None:
    model = build_random(small(model_type="llama", tie_word_embeddings=True))
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("kind", "name"), [("cross_encoder", "logits"), ("bi_encoder", "last_hidden_state")]
)
@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2"])
def test_evaluators(family: str, kind: str, name: str) -> None:
    model = build_random(small(model_type=family, num_labels=1), kind=kind, dtype="float32")
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([[3, 4, 5]]))
    assert bool(torch.isfinite(getattr(output, name)).all())


def test_the_same_configuration_gives_the_same_weights_and_leaves_torch_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = build_random(small(model_type="llama"))
    assert torch.equal(torch.rand(1), expected)
    second = build_random(small(model_type="llama"))
    assert torch.equal(first.lm_head.weight, second.lm_head.weight)


def test_code_that_a_configuration_names_is_never_run() -> None:
    named = small(model_type="llama", auto_map={"AutoModelForCausalLM": "evil.Model"})
    assert type(build_random(named)).__module__.startswith("transformers.")


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"model_type": "lama"}, {}, "no model type 'lama'; did you mean 'llama'"),
        ({}, {}, "no model type None"),
        ({"model_type": "llama"}, {"dtype": "bfloat"}, "dtype 'bfloat' is not"),
        ({"model_type": "llama"}, {"dtype": "nn"}, "dtype 'nn' is not"),
        ({"model_type": "bert"}, {"kind": "cross_encode"}, "did you mean 'cross_encoder'"),
    ],
)
def test_mistakes(changes: dict[str, Any], arguments: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_random(small(**changes), **arguments)


def test_a_buffer_that_nobody_rebuilds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.PreTrainedModel, "initialize_weights", lambda _: None)
    with pytest.raises(
        InputError, match=r"leaves 'model\.rotary_emb\.inv_freq' of LlamaForCausalLM"
    ):
        build_random(small(model_type="llama"))
