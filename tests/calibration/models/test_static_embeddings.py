"""The recipe that makes WordLlama's static embeddings a bi encoder, where their package is."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from calibration.models.checkpoints import locate
from calibration.models.encoders import load_evaluator
from calibration.stage_settings import EvaluatorSpec

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "calibration.md"


def test_words_that_mean_the_same_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentence_transformers")
    if find_spec("wordllama") is None:
        pytest.skip("needs the package wordllama, which holds the embeddings")
    (recipe,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "wordllama" in block
    )
    monkeypatch.chdir(tmp_path)
    exec(recipe, {})
    spec = EvaluatorSpec(name="words", model=str(tmp_path / "wordllama"), kind="bi_encoder")
    encoder = load_evaluator(spec, locate(spec.model), "cpu")
    same, empty, near, far = (
        row[0]
        for row in encoder.raw(
            [
                ("The train leaves at nine.", "The train leaves at nine."),
                ("The train leaves at nine.", ""),
                ("a very happy dog", "a glad puppy"),
                ("a very happy dog", "tax law"),
            ]
        )
    )
    assert same == pytest.approx(1.0, abs=1e-6)
    assert empty == 0.0
    assert near > far + 0.1
