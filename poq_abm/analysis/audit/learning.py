"""Everybody learns: best responses to best responses, until nothing gains any more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from poq_abm.analysis.audit.best_response import FoundAttack, SearchSettings, best_response
from poq_abm.analysis.audit.deviations import ALL, Deviation, deviating, members_of, ring_of
from poq_abm.analysis.audit.families import in_words
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.search import Step, Tables
from poq_abm.rules.behaviour.base import spell

__all__ = ["everybody_learns", "learning_sentence"]

MOST_GENERATIONS = 6


def everybody_learns(
    runner: VariantRunner, one: Deviation, settings: SearchSettings
) -> Generator[Step, Sequence[Tables], list[FoundAttack]]:
    """Return what a node finds as, each time, all nodes of its role do what it found before.

    A search for :func:`poq_abm.experiment.search.drive`: iterated best response. ``one`` says who
    looks, as :func:`.deviations.ring_of` gives it. The first search is against the scenario as it
    is. Once one finds nothing that gains, what everybody does is a symmetric equilibrium of the
    family within epsilon, as far as that search sees; it need not be the only one, and where best
    responses go in circles there is no such end. Every generation has keys of its own.
    """
    scenario, group = runner.scenario, one.group
    everyone = members_of(scenario, one.role, ALL, 1.0)
    found: list[FoundAttack] = []
    for generation in range(MOST_GENERATIONS):
        here = settings._replace(first=settings.first + generation * settings.most_keys)
        found.append((yield from best_response(runner, one, here)))
        if not found[-1].gains or found[-1].ended in ("spent", "interrupted"):
            break
        doing = found[-1].deviation.behaviour
        learned = deviating(scenario, Deviation(one.role, ALL, everyone, doing))
        runner = replace(runner, plan=Plan.of(learned, profile=runner.plan.profile(0)))
        one = ring_of(learned, one.role, group, None)
    return found


def learning_sentence(found: Sequence[FoundAttack]) -> str:
    """Return where learning ended, in words."""
    last, steps = found[-1], len(found)
    doing = last.deviation.behaviour
    said = (
        f"reports {in_words(doing)}" if doing["name"] == "linear_report" else f"does {spell(doing)}"
    )
    if last.ended in ("spent", "interrupted"):
        return f"Learning ended early, after {steps} searches."
    if last.gains:
        return f"After {steps} searches something still gains: learning did not settle."
    if last.ended != "settled":
        return f"As everybody {said}, it is undecided whether anything gains: more replications."
    return (
        f"As everybody {said}, nothing found gains {last.epsilon:.2g} tokens per {last.per}: a "
        f"symmetric equilibrium within that, as far as {steps} searches see."
    )
