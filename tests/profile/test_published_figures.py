"""The figures in the code against the figures restated by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poq_abm.profile import published_figures as figures

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "published_profile.json").read_text(encoding="utf-8")
)


def test_mean_quality_undoes_the_reward() -> None:
    assert figures.mean_quality() == pytest.approx(GOLDEN["quality"]["value"], abs=1e-12)


def test_mean_closeness_undoes_the_reward() -> None:
    assert figures.mean_closeness() == pytest.approx(GOLDEN["closeness"]["value"], abs=1e-12)


def test_printed_rewards_follow_from_the_assumed_coefficients() -> None:
    quality = {"llama": 0.623, "gemma": 0.605, "tinylama": 0.514, "qwen2": 0.437, "phi3": 0.426}
    for name, value in figures.mean_quality().items():
        assert value == pytest.approx(quality[name.split("_")[0]], abs=0.00051)


#: mean quality of Phi-3, mean closeness of DeBERTa: what costs 1 moves by beta, what costs 0 stays
FAMILY = {0.1: (0.226, 0.644), 0.2: (0.326, 0.744), 0.3: (0.426, 0.844), 0.4: (0.526, 0.944),
          0.5: (0.626, 1.044)}  # fmt: skip


def test_table_4_fits_every_beta_with_other_qualities() -> None:
    family = figures.coefficient_family()
    assert [row.beta for row in family] == [*FAMILY, *FAMILY]
    for row in family:
        quality, closeness = FAMILY[row.beta]
        free = {"phi3_mini_4k": quality, "ce_deberta": closeness}
        fixed = {"llama_3_2_3b": 0.623, "sts_stsb": 0.856}
        for name in row.implied.keys() & (free | fixed).keys():
            assert row.implied[name] == pytest.approx((free | fixed)[name], abs=1e-12)
        assert row.residual < 1e-15
        assert row.alpha == 1.0


def test_only_what_scores_can_have_narrows_the_family() -> None:
    """Deviations from a mean of three sum to zero: .456 - b <= .144 + .166 - .007 b."""
    lowest, highest = (0.456 - 0.310) / 0.993, (0.144 + 0.456 - 0.166) / 0.993
    near = [lowest - 1e-9, lowest + 1e-9, highest - 1e-9, highest + 1e-9]
    found = [row.admissible for row in figures.coefficient_family(near) if row.role == "evaluator"]
    assert found == [False, True, True, False]
    shown = [row for row in figures.coefficient_family() if row.role == "inference"]
    assert all(row.admissible for row in shown), "nothing tells beta_F apart"


def test_halving_alpha_doubles_the_implied_means() -> None:
    for one, half in zip(
        figures.coefficient_family(), figures.coefficient_family(alpha=0.5), strict=True
    ):
        assert half.implied == pytest.approx({k: 2 * v for k, v in one.implied.items()})


@pytest.mark.parametrize("key", ["truth_correlation", "judge_correlation"])
def test_correlations(key: str) -> None:
    assert getattr(figures, key.upper()) == GOLDEN[key]["value"]


def test_evaluator_latencies_agree_with_print() -> None:
    latency = figures.evaluator_latencies()
    printed = GOLDEN["evaluator_latency_ms"]["value"]
    assert {name: round(ms, 1) for name, ms in latency.items()} == printed
    fastest, slowest = min(latency.values()), max(latency.values())
    for name, ms in latency.items():
        cost = (ms - fastest) / (slowest - fastest)
        assert round(cost, 3) == GOLDEN["cost"]["value"][name]


def test_printed_latencies_alone_would_not_give_the_printed_cost() -> None:
    assert round((1.0 - 0.9) / (5.9 - 0.9), 3) == 0.02 != GOLDEN["cost"]["value"]["ce_minilm"]


def test_fastest_latency_lies_inside_its_interval() -> None:
    latency = figures.evaluator_latencies()["sts_stsb"]
    for ms in (latency - 0.015, latency + 0.015):  # still feasible: the interval is 0.037 wide
        assert ms + 0.0075 * (5.9 - ms) >= 0.95
        assert 0.85 <= ms < 0.95


def test_every_figure_names_the_same_nodes() -> None:
    assert figures.TRUTH.keys() | figures.INFERRED_TRUTH.keys() == figures.INFERENCE.keys()
    assert figures.JUDGE.keys() | figures.INFERRED_JUDGE.keys() == figures.INFERENCE.keys()
    assert not figures.TRUTH.keys() & figures.INFERRED_TRUTH.keys()
    assert not figures.JUDGE.keys() & figures.INFERRED_JUDGE.keys()
    assert figures.TRUTH_CORRELATION.keys() == figures.EVALUATORS.keys()
    assert figures.JUDGE_CORRELATION.keys() == figures.EVALUATORS.keys()
