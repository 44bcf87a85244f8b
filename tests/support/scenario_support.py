"""What the scenario tests share: a small valid text, a fake profile, a way to read errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from poq_abm.scenario import Scenario, ScenarioError, parse

POPULATION = """\
population:
  inference:
    - {model: llama_3_2_3b}
    - {model: phi3_mini_4k, count: 2}
  evaluators:
    - {model: sts_stsb}
    - {model: ce_minilm, count: 2}
"""


class FakeProfile:
    """The names of the published profile, measured on one card."""

    tasks = ("qa", "summarization")
    models = ("llama_3_2_3b", "gemma_2_2b_it", "tinylama_1_1b", "qwen2_1_5b", "phi3_mini_4k")
    evaluators = ("sts_stsb", "ce_minilm", "ce_deberta")

    def hardware_of(self, node: str) -> tuple[str, ...]:
        return ("rtx_4090",) if node in (*self.models, *self.evaluators) else ()

    def hardware_fault(self, node: str, hardware: str) -> str | None:
        known = ("rtx_4090", "rtx_3090", "a100_80gb")
        return None if hardware in known else f"no latency on {hardware!r}"

    def price_fault(self, node: str, hardware: str | None) -> str | None:
        return f"no price of {node!r}"


def small(extra: str = "", overrides: Sequence[str] = ()) -> Scenario:
    """The small scenario (its last key is on line 7) with more keys below, from line 8."""
    return parse(POPULATION + extra, origin="small.yaml", overrides=overrides)


def errors(text: str, overrides: Sequence[str] = (), folder: Path | None = None) -> list[str]:
    """The lines of the error that a text gives."""
    with pytest.raises(ScenarioError) as caught:
        parse(text, origin="bad.yaml", overrides=overrides, folder=folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return lines


def error(extra: str, overrides: Sequence[str] = ()) -> str:
    """The only error of the small scenario with more keys below, from line 8."""
    (line,) = errors(POPULATION + extra, overrides)
    return line
