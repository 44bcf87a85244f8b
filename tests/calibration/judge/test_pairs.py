"""Preferences: what can be read, shares of wins, and strengths against a likelihood at its top."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.corpus.records import Record
from calibration.judge.pairs import bradley_terry, order_effect, pair_scores, win_shares
from calibration.judge.verdicts import UnusableError, make_pair, parse_preference

RECORDS = [Record(f"r{i}", "qa" if i < 30 else "math", "?", ("!",)) for i in range(60)]


@pytest.mark.parametrize(
    ("reply", "better"),
    [
        ('{"better": "first", "justification": "x"}', "first"),
        ('Sure:\n```json\n{"better": "Second"}\n```', "second"),
        ("{'better': 'tie',}", "tie"),
        ('<think>{"better": "first"}</think> {"better": "B"}', "second"),
        ("I prefer the first. [[A]]", "first"),
        ("[[C]]", "tie"),
        ("**Second.**", "second"),
    ],
)
def test_a_preference_is_read(reply: str, better: str) -> None:
    assert parse_preference(reply).better == better


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ("The first is better.", "prefers neither and calls no tie"),
        ('{"better": "maybe"}', "prefers neither and calls no tie"),
        ('{"better": "first", "better": "second"}', "the key better twice"),
        ("[[A]] or [[B]]", "prefers now one and now the other"),
        ("", "prefers neither"),
    ],
)
def test_what_is_no_preference_is_not_guessed(reply: str, complaint: str) -> None:
    with pytest.raises(UnusableError, match=complaint):
        parse_preference(reply)


def test_the_judge_is_not_told_who_wrote_what() -> None:
    question = make_pair("gpt", RECORDS[0], ("large", "one"), ("tiny", "two"))
    assert "large" not in question.text + question.prompt
    swapped = make_pair("gpt", RECORDS[0], ("tiny", "two"), ("large", "one"))
    assert question.key != swapped.key
    assert question.schema["properties"]["better"]["enum"] == ["first", "second", "tie"]


def test_refused_comparisons_do_not_count() -> None:
    rows = [
        {"record": "r", "model": "a", "against": "b", "better": "first"},
        {"record": "r", "model": "b", "against": "a", "refused": "declined"},
        {"record": "s", "model": "a", "against": "b", "refused": "declined"},
    ]
    assert win_shares(rows) == [
        {"record": "r", "model": "a", "score": 10.0},
        {"record": "r", "model": "b", "score": 0.0},
        {"record": "s", "model": "a", "refused": "declined"},
        {"record": "s", "model": "b", "refused": "declined"},
    ]
    assert order_effect(rows) == (0, 0)


def test_strengths_have_the_greatest_likelihood() -> None:
    wins = np.array([[0.0, 7.0, 9.5], [3.0, 0.0, 6.0], [0.5, 4.0, 0.0]])
    spared = wins + 0.5 * (1 - np.eye(3))

    def likelihood(logs: NDArray[np.float64]) -> float:
        chance = 1 / (1 + np.exp(logs[None, :] - logs[:, None]))
        return float((spared * np.log(chance)).sum())

    scores = bradley_terry(wins)
    chances = scores / 10
    assert math.isclose(float(scores.mean()), 5.0)
    best = max(
        (np.array([0.0, -a, -b]) for a in np.arange(0, 4, 0.02) for b in np.arange(0, 4, 0.02)),
        key=likelihood,
    )
    expected = [
        np.mean([1 / (1 + math.exp(best[j] - best[i])) for j in range(3) if j != i])
        for i in range(3)
    ]
    assert chances.tolist() == pytest.approx(expected, abs=0.005)


def test_one_that_never_loses_keeps_a_finite_strength() -> None:
    scores = bradley_terry(np.array([[0.0, 100.0], [0.0, 0.0]]))
    assert scores.tolist() == pytest.approx([10 * 100.5 / 101, 10 * 0.5 / 101])


def comparisons(chance: dict[str, float]) -> list[dict[str, Any]]:
    generator = np.random.default_rng(7)
    rows = []
    for record in RECORDS:
        for pair in (("a", "b"), ("b", "a")):
            wins = generator.random() < (chance[record.task] if pair[0] == "a" else 0.5)
            better = "first" if wins else "second"
            rows.append(
                {"record": record.id, "model": pair[0], "against": pair[1], "better": better}
            )
    return rows


def test_every_model_has_a_score_and_an_interval_on_every_task() -> None:
    table = pair_scores(comparisons({"qa": 0.9, "math": 0.5}), RECORDS, ["a", "b"])
    assert table[["task", "model"]].to_numpy().tolist() == [
        ["qa", "a"], ["qa", "b"], ["math", "a"], ["math", "b"],
    ]  # fmt: skip
    assert (table["low"] < table["score"]).all()
    assert (table["score"] < table["high"]).all()
    assert table["score"][0] > table["score"][2]
    assert table["score"][0] + table["score"][1] == pytest.approx(10.0)
    assert pair_scores([], RECORDS, ["a", "b"]).empty
