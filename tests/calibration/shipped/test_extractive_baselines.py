"""The whole way from a file of questions to a profile, with an encoder made of letters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from calibration.models.checkpoints import ModelSource
from calibration.shipped import extractive_baselines
from calibration.shipped.extractive_baselines import main
from calibration.shipped.extractive_systems import SYSTEMS
from poq_abm.profile import load_profile

PARAGRAPHS = [
    ("Rain fell on Bonn. Denver won the final in 2016.", "Who won the final?", "Denver"),
    ("The train is late. It leaves at nine.", "When does the train leave?", "nine"),
    ("Ann wrote a book. The book sold 300 copies.", "How many copies were sold?", "300"),
]


class Letters:
    """The cosine of the counts of letters."""

    def raw(self, pairs: Sequence[tuple[str, str]]) -> list[list[float]]:
        return [[self.cosine(Counter(first), Counter(second))] for first, second in pairs]

    def value(self, raw: Sequence[float]) -> float:
        return raw[0]

    def cosine(self, first: Counter[str], second: Counter[str]) -> float:
        norms = [np.sqrt(sum(n * n for n in counts.values())) for counts in (first, second)]
        return float(sum(first[letter] * second[letter] for letter in first) / np.prod(norms))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(extractive_baselines, "load_encoder", Letters)
    monkeypatch.setattr(
        extractive_baselines, "encoder_source", lambda: ModelSource("letters", "sha256:0", True)
    )
    data = [
        {
            "context": context,
            "qas": [{"id": f"x{i}", "question": asked, "answers": [{"text": said}]}],
        }
        for i, (context, asked, said) in enumerate(PARAGRAPHS)
    ]
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"data": [{"paragraphs": data}]}))
    return path


def test_the_command_writes_a_profile(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(corpus), str(tmp_path / "made")]) == 0
    profile = load_profile(tmp_path / "made")
    assert profile.models == tuple(SYSTEMS)
    assert profile.scores.shape == (3, 5, 4)
    assert profile.truth[0, 3] == 10.0, "the span system finds Denver"
    assert profile.truth[0, 0] == 0.0, "the first sentence has nothing of it"
    assert (profile.costs["latency_ms"] > 0).all()
    assert profile.scores.min(axis=(0, 1)).tolist() == [0.0] * 4
    assert profile.scores.max(axis=(0, 1)).tolist() == [10.0] * 4
    assert main([str(corpus), str(tmp_path / "made")]) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_no_text_and_no_path_of_the_questions_gets_into_it(corpus: Path, tmp_path: Path) -> None:
    main([str(corpus), str(tmp_path / "made")])
    header = (tmp_path / "made" / "profile.json").read_text()
    assert str(tmp_path) not in header
    for context, asked, _ in PARAGRAPHS:
        assert context not in header
        assert asked not in header
    names = load_profile(tmp_path / "made").records
    assert names == ("qa_0000", "qa_0001", "qa_0002")
    assert "x0" not in header


def test_times_alone_can_be_measured_again(corpus: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([str(corpus), str(first)]) == 0
    assert main([str(corpus), str(second), "--keep-scores", str(first)]) == 0
    assert (first / "scores.parquet").read_bytes() == (second / "scores.parquet").read_bytes()
    assert (first / "costs.parquet").read_bytes() != (second / "costs.parquet").read_bytes()


def test_scores_of_other_questions_are_not_kept(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(corpus), str(tmp_path / "first"), "--limit", "2"])
    kept = ["--keep-scores", str(tmp_path / "first")]
    assert main([str(corpus), str(tmp_path / "second"), *kept]) == 2
    assert "has another corpus: its scores cannot be kept" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()


def test_the_first_questions_alone(corpus: Path, tmp_path: Path) -> None:
    assert main([str(corpus), str(tmp_path / "made"), "--limit", "2"]) == 0
    assert len(load_profile(tmp_path / "made").records) == 2


def test_a_single_question_is_too_few(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(corpus), str(tmp_path / "made"), "--limit", "1"]) == 2
    assert "needs two questions or more, found 1" in capsys.readouterr().err


def test_a_file_of_another_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.json").write_text("[]")
    assert main([str(tmp_path / "other.json"), str(tmp_path / "made")]) == 2
    assert "a squad file is an object with 'data'" in capsys.readouterr().err
