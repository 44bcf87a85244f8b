"""Whether it pays a node to come as several: stake and schedule weight split over identities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import ROLES
from poq_abm.analysis.audit.variants import PlayedVariant, VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.paired import paired
from poq_abm.rules.behaviour.base import Role
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Scenario

__all__ = ["identity_gains", "identity_sentences"]


def identity_gains(
    runner: VariantRunner,
    counts: Sequence[int],
    *,
    roles: Sequence[Role] = ROLES,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return what the first node of every group gains by coming as several.

    Its stake and its schedule weight are divided by their number; each runs the same model on such
    a machine and does as before. Pay is of all of them together, by round (in an economy, profit by
    epoch): who comes as several may have more jobs, not better paid ones. Replications are matched
    by their keys, but committees are drawn from more nodes, so that pairs share less luck than
    those of a deviation do.

    Returns
    -------
    DataFrame
        One row per group and number: ``role``, ``group``, ``identities``, ``replications``,
        ``one`` and ``several`` (tokens per round, all identities together), ``gain``, and ``low``,
        ``high``: paired Student intervals, each at level 1 - (1 - confidence) / rows (Bonferroni).

    Raises
    ------
    InputError
        If a number is below 2, or the scenario's ``malicious`` block draws from all nodes.
    """
    scenario = runner.scenario
    if any(count < 2 for count in counts):
        raise InputError("a node is split into 2 identities or more")
    if scenario.malicious is not None:
        raise InputError(
            "the block malicious draws from all evaluators, so that another identity would change "
            "who attacks: give behaviours to groups instead"
        )
    nodes = [one for role in roles for one in _first_nodes(scenario, role)]
    asked = list(itertools.product(nodes, sorted(set(counts))))
    variants = {
        f"i{number}": _split(scenario, role, index, count)
        for number, ((role, index, _), count) in enumerate(asked)
    }
    played = runner.play({"base": scenario, **variants}, 0, runner.replications)
    level = 1.0 - (1.0 - confidence) / max(len(asked), 1)
    rows = []
    for ((role, index, place), count), one in zip(asked, list(played.values())[1:], strict=True):
        alone, several = _together(played["base"], place, 1), _together(one, place, count)
        gain = paired(alone, several, level)
        labels = _labels(scenario, role)
        rows.append(
            {
                "role": role,
                "group": labels[index],
                "identities": count,
                "replications": gain.replications,
                "one": gain.mean_a,
                "several": gain.mean_b,
                "gain": gain.difference,
                "low": gain.low,
                "high": gain.high,
            }
        )
    return pd.DataFrame(rows)


def identity_sentences(gains: pd.DataFrame) -> list[str]:
    """Return for each role whether coming as several pays anybody, and whom most."""
    lines = []
    for role, part in gains.groupby("role", sort=False):
        paying = part[part["low"] > 0.0]
        if paying.empty:
            lines.append(f"No {role} node is shown to gain by coming as several.")
            continue
        best: Any = paying.sort_values("gain").iloc[-1].to_dict()
        lines.append(
            f"Coming as several pays {role} nodes of {paying['group'].nunique()} of "
            f"{part['group'].nunique()} groups: as {best['identities']}, one of {best['group']} "
            f"has {best['several']:.4f}, not {best['one']:.4f}, a gain of {best['gain']:+.4f} "
            f"[{best['low']:+.4f}, {best['high']:+.4f}]."
        )
    return lines


def _together(played: PlayedVariant, first: int, count: int) -> NDArray[np.float64]:
    """Return what some nodes in a row get together, by round or epoch, in each replication."""
    total: NDArray[np.float64] = played.rewards[:, first : first + count].sum(axis=1)
    return total / played.rounds


def _entries(scenario: Scenario, role: Role) -> Sequence[InferenceGroup | EvaluatorGroup]:
    people = scenario.population
    return people.inference if role == "inference" else people.evaluators


def _labels(scenario: Scenario, role: Role) -> tuple[str, ...]:
    people = scenario.population
    return people.inference_labels if role == "inference" else people.evaluator_labels


def _first_nodes(scenario: Scenario, role: Role) -> Iterator[tuple[Role, int, int]]:
    """Yield the role, the entry and the node id of the first node of every entry that has any."""
    place = 0
    if role == "evaluator":
        place = sum(group.count for group in scenario.population.inference)
    for index, group in enumerate(_entries(scenario, role)):
        if group.count and group.active != 0:
            yield role, index, place
        place += group.count


def _split(scenario: Scenario, role: Role, index: int, count: int) -> Scenario:
    """Return the scenario in which the first node of an entry comes as ``count``."""
    entries, labels = list(_entries(scenario, role)), _labels(scenario, role)
    group = entries[index]
    machines = [name for name, number in group.machines for _ in range(number)]
    own: dict[str, Any] = {"count": count, "hardware": machines[0], "active": None}
    own |= {"name": f"{labels[index]} (split)", "stake": group.stake / count}
    if isinstance(group, InferenceGroup):
        own["weight"] = group.weight / count
    pieces = [group.model_copy(update=own)]
    rest = machines[1:]
    active = None if group.active is None else group.active - 1
    for machine, run in itertools.groupby(rest):
        number = len(list(run))
        here = None if active is None else min(active, number)
        active = None if active is None or here is None else active - here
        kept = {"count": number, "hardware": machine, "name": labels[index], "active": here}
        pieces.append(group.model_copy(update=kept))
    entries[index : index + 1] = pieces
    field = "inference" if role == "inference" else "evaluators"
    population = scenario.population.model_copy(update={field: tuple(entries)})
    return scenario.model_copy(update={"population": population})
