"""The published run: every number of Table 4 and Figure 4, restated here and played anew."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

import poq_abm
from poq_abm.analysis.reproduce.checks import Check
from poq_abm.analysis.reproduce.cost_aware import cost_aware_checks
from poq_abm.profile import load_profile
from poq_abm.scenario import load

GOLDEN = json.loads((Path(__file__).parent / "cost_aware_poq.json").read_text())


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    results = poq_abm.run(load("cost_aware_poq"), replications=100)
    return cost_aware_checks(results.nodes, load_profile("published"))


def test_every_printed_number_is_checked_against_what_was_printed(checks: list[Check]) -> None:
    expected = {
        (model, quantity): value
        for model, row in GOLDEN["table_4"].items()
        for quantity, value in row.items()
    } | {
        (model, f"correlation with {against}"): value
        for against, row in GOLDEN["figure_4"].items()
        for model, value in row.items()
    }
    assert {(check.item, check.quantity): check.expected for check in checks} == expected


def test_every_number_agrees(checks: list[Check]) -> None:
    assert [check for check in checks if not check.passes] == []


def test_only_costs_and_jobs_of_inference_nodes_were_chosen_by_nobody(checks: list[Check]) -> None:
    reproduced = {(check.item, check.quantity) for check in checks if check.status == "reproduced"}
    models = ("gemma_2_2b_it", "llama_3_2_3b", "phi3_mini_4k", "qwen2_1_5b", "tinylama_1_1b")
    assert reproduced == {(model, what) for model in models for what in ("cost", "jobs")}


def test_no_tolerance_is_so_wide_that_a_neighbour_would_do(checks: list[Check]) -> None:
    """Every other node's printed reward, and every other printed correlation, would miss."""
    for quantity in ("reward", "correlation with truth", "correlation with judge"):
        alike = [check for check in checks if check.quantity == quantity]
        for one, other in itertools.permutations(alike, 2):
            assert abs(one.observed - other.expected) > one.tolerance


def test_rewards_agree_closely(checks: list[Check]) -> None:
    """Mean of 100 runs: s.d. of one run 0.005, so 4 standard errors are 0.002, and rounding."""
    rewards = [check for check in checks if check.quantity == "reward"]
    assert all(abs(check.observed - check.expected) < 0.0025 for check in rewards)


def test_a_wrong_beta_is_noticed() -> None:
    nodes = poq_abm.run(load("cost_aware_poq", ["mechanism.beta_inference=0.35"])).nodes
    missed = [
        check for check in cost_aware_checks(nodes, load_profile("published")) if not check.passes
    ]
    assert {check.item for check in missed} >= {"phi3_mini_4k", "qwen2_1_5b"}
