"""Scenarios in which evaluators cannot disagree, so that agreement pay tells nothing about them."""

from __future__ import annotations

from collections.abc import Mapping

from poq_abm.scenario.scenario import Scenario
from poq_abm.scenario.schema.population import EvaluatorGroup

__all__ = ["unanimity_notes", "why_unanimous"]


def why_unanimous(scenario: Scenario) -> str | None:
    """Return why every evaluator always earns the highest closeness, 1; nothing if it does not.

    Alone on a committee (K = 1) an evaluator is compared with its own score, whatever the reference
    (equation 3 of arXiv 2512.16317). A monoculture, where all evaluators honestly report what one
    model says without noise, has one score and agrees with itself. Where an economy lets evaluators
    choose what they do, they may stop agreeing.

    >>> from poq_abm.scenario import load
    >>> why_unanimous(load("cost_aware_poq")) is None
    True
    >>> print(why_unanimous(load("cost_aware_poq", ["mechanism.committee_size=1"])))
    K = 1: each evaluator is compared with itself, so all earn a closeness of 1 by construction, \
whatever they report
    """
    if scenario.verification is not None:
        return None
    if scenario.mechanism.committee_size == 1:
        return (
            "K = 1: each evaluator is compared with itself, so all earn a closeness of 1 by "
            "construction, whatever they report"
        )
    groups = [group for group in scenario.population.evaluators if group.count]
    models = {group.model for group in groups}
    if len(models) != 1 or not all(_repeats_its_model(group) for group in groups):
        return None
    if scenario.malicious is not None and scenario.malicious.share > 0.0:
        return None
    if scenario.economy is not None and scenario.economy.adaptation:
        return None
    return (
        f"all evaluators run {models.pop()} without noise, so they always agree and all earn a "
        "closeness of 1 by construction"
    )


def unanimity_notes(scenarios: Mapping[str, Scenario]) -> list[str]:
    """Return a sentence for every reason why evaluators agree in some of the treatments.

    ``scenarios`` are those of the treatments, by their ids; a reason that does not hold in all of
    them names those in which it does.
    """
    found: dict[str, list[str]] = {}
    for treatment, scenario in scenarios.items():
        if (reason := why_unanimous(scenario)) is not None:
            found.setdefault(reason, []).append(treatment)
    return [
        reason if len(names) == len(scenarios) else f"{_listed(names)}: {reason}"
        for reason, names in found.items()
    ]


def _repeats_its_model(group: EvaluatorGroup) -> bool:
    return group.behaviour["name"] == "honest" and group.noise_sd == 0.0 and group.bias_sd == 0.0


def _listed(names: list[str]) -> str:
    more = len(names) - 1
    return f"in {names[0]}" + (f" and {more} more treatment{'s' * (more > 1)}" if more else "")
