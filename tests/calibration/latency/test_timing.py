"""Times of one piece of work: their parts and their counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.latency.subjects import token_batches
from calibration.latency.timing import Timed, quantiles, time_generation
from calibration.libraries import library
from calibration.models.architectures import build_random
from calibration.models.language_models import decoding
from calibration.stage_settings import GenerationSettings


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(2, 50),
)
def test_every_batch_is_as_long_as_its_longest_prompt(
    lengths: list[int], size: int, calls: int, vocabulary: int
) -> None:
    batches = token_batches(lengths, size, calls, vocabulary=vocabulary)
    assert len(batches) == calls
    for call, batch in enumerate(batches):
        own = [lengths[(call * size + i) % len(lengths)] for i in range(size)]
        assert batch.shape == (size, max(own))
        assert 0 <= batch.min() <= batch.max() < vocabulary


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_quantiles_are_ordered_and_inside(values: list[float]) -> None:
    found = quantiles(values)
    assert found.pop("count") == len(values)
    ordered = list(found.values())
    assert ordered == sorted(ordered)
    # interpolation may differ from an end by the last bit
    assert ordered[0] >= min(values) * (1 - 1e-12)
    assert ordered[-1] <= max(values) * (1 + 1e-12)


def test_nothing_has_no_quantiles() -> None:
    assert quantiles([]) == {"count": 0}


@pytest.fixture(scope="module")
def model() -> Any:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    configuration = {
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 40,
    }
    return build_random(configuration, dtype="float32")


def timed(model: Any, ends: list[int], *, forced: bool = False) -> Timed:
    ids = library("torch").tensor([[3, 4, 5], [6, 7, 8]])
    settings = decoding(GenerationSettings(), 6, ends=ends, pad=0, forced=forced)
    inputs = {"input_ids": ids, "attention_mask": ids > 0}
    return time_generation(model, inputs, device="cpu", settings=settings)


def test_each_step_is_timed_inside_the_whole(model: Any) -> None:
    found = timed(model, [], forced=True)
    assert len(found.decode_ms) == 5, "six tokens are a prefill and five steps"
    assert found.tokens == 12
    assert found.prefill_ms is not None
    assert 0 < found.prefill_ms + sum(found.decode_ms) <= found.latency_ms


def test_a_forced_answer_ends_nowhere_else(model: Any) -> None:
    assert timed(model, list(range(1, 40)), forced=True).tokens == 12
    assert timed(model, list(range(40))).tokens == 2, "every token ends an answer"


def test_greedy_decoding_takes_no_temperature(model: Any) -> None:
    greedy = decoding(GenerationSettings(temperature=0), 6, ends=[], pad=0)
    assert greedy.do_sample is False
    assert greedy.temperature is None or greedy.temperature == 1.0
