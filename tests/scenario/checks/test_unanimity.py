"""Scenarios in which evaluators cannot disagree, held against what they earn when played."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import poq_abm
from poq_abm.scenario import Scenario, load
from poq_abm.scenario.checks.unanimity import unanimity_notes, why_unanimous

FEW = ["rounds=60", "replications=2"]
SAME = [f"population.evaluators.{place}.model=sts_stsb" for place in (1, 2)]


def closeness(scenario: Scenario) -> np.ndarray:
    nodes = poq_abm.run(scenario).nodes
    values = nodes[(nodes["role"] == "evaluator") & (nodes["jobs"] > 0)]["closeness_mean"]
    return np.asarray(values.to_numpy())


@pytest.mark.parametrize(
    ("size", "models", "reference", "noise", "behaviour", "share"),
    [
        (size, models, reference, noise, behaviour, share)
        for size, models, reference in itertools.product(
            (1, 3), ("one", "several"), ("inclusive", "leave_one_out")
        )
        for noise, behaviour, share in (
            (0.0, "honest", 0.0),
            (0.5, "honest", 0.0),
            (0.0, "boost", 0.0),
            (0.0, "honest", 0.4),
        )
    ],
)
def test_a_reason_is_given_where_all_earn_the_most_and_nowhere_else(
    size: int, models: str, reference: str, noise: float, behaviour: str, share: float
) -> None:
    settings = [*FEW, *(SAME if models == "one" else []), f"mechanism.committee_size={size}"]
    scenario = load("cost_aware_poq", [*settings, f"mechanism.reference={reference}"]).replace(
        {
            "population.evaluators.0.noise_sd": noise,
            "population.evaluators.1.behaviour": {"name": behaviour},
            "malicious": {"share": share, "behaviour": {"name": "boost"}} if share else None,
        }
    )
    always = bool((np.abs(closeness(scenario) - 1.0) < 1e-12).all())
    assert (why_unanimous(scenario) is not None) == always


def test_notes_name_the_treatments_where_not_all_are_meant() -> None:
    sizes = {f"K={size}": load("cost_aware_poq", [f"mechanism.committee_size={size}"])
             for size in (1, 2, 3)}  # fmt: skip
    (said,) = unanimity_notes(sizes)
    assert said.startswith("in K=1: K = 1: each evaluator is compared with itself")
    both = {name: load("cost_aware_poq", SAME) for name in ("a", "b")}
    (said,) = unanimity_notes(both)
    assert said.startswith("all evaluators run sts_stsb without noise")
    assert unanimity_notes({"base": load("cost_aware_poq")}) == []


def test_an_economy_whose_evaluators_may_choose_is_not_called_unanimous() -> None:
    rules = "[{name: imitation, role: evaluator, rate: 0.1, temperature: 1.0}]"
    adaptive = load("cost_aware_poq", [*SAME, f"economy={{epochs: 3, adaptation: {rules}}}"])
    assert why_unanimous(adaptive) is None
    assert why_unanimous(load("cost_aware_poq", [*SAME, "economy={epochs: 3}"])) is not None
