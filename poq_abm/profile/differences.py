"""What differs between two profiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.profile.profile import Profile
from poq_abm.profile.validity import COST_COLUMNS, COST_KEYS, MONEY_COLUMNS

__all__ = ["Difference", "differences"]

Array = NDArray[np.float64]


class Difference(NamedTuple):
    """One difference: what, and its value in the first and in the second profile."""

    what: str
    first: str
    second: str


def differences(first: Profile, second: Profile) -> list[Difference]:
    """Return what differs between two profiles, from names to single costs; empty if they agree.

    Names that only one of them has are listed; of what both have, the records of each task, the
    means of truth, judge and scores by model and evaluator, how many cells of the shared records
    differ, and the costs. Provenance is compared as a whole.

    >>> from poq_abm.profile import load_profile
    >>> differences(load_profile("published"), load_profile("published"))
    []
    """
    if first.content_hash == second.content_hash:
        return []
    found = [Difference("name", first.name, second.name)] if first.name != second.name else []
    found.append(Difference("content hash", first.content_hash[:12], second.content_hash[:12]))
    for what in ("tasks", "models", "evaluators"):
        found += _of_names(what, getattr(first, what), getattr(second, what))
    found += _of_records(first, second)
    found += _of_means(first, second)
    found += _of_cells(first, second)
    found += _of_costs(first.costs, second.costs)
    if first.provenance != second.provenance:
        told = [str(profile.provenance.get("summary", "-")) for profile in (first, second)]
        found.append(Difference("provenance", *told))
    return found


def _of_names(what: str, first: tuple[str, ...], second: tuple[str, ...]) -> list[Difference]:
    if first == second:
        return []
    only = [", ".join(n for n in a if n not in b) for a, b in ((first, second), (second, first))]
    if not any(only):
        return [Difference(f"order of {what}", ", ".join(first), ", ".join(second))]
    return [Difference(f"{what} of one only", only[0] or "-", only[1] or "-")]


def _of_records(first: Profile, second: Profile) -> list[Difference]:
    found = []
    for task in (task for task in first.tasks if task in second.tasks):
        records = [set(_records(profile, task)) for profile in (first, second)]
        if records[0] != records[1]:
            shared = len(records[0] & records[1])
            told = [f"{len(own):,} ({shared:,} shared)" for own in records]
            found.append(Difference(f"records of {task}", *told))
    return found


def _records(profile: Profile, task: str) -> list[str]:
    of_task = np.flatnonzero(profile.task_of_record == profile.tasks.index(task))
    return [profile.records[record] for record in of_task]


def _of_means(first: Profile, second: Profile) -> list[Difference]:
    found = []
    for model in (model for model in first.models if model in second.models):
        for what in ("truth", "judge"):
            means = [
                _mean(getattr(profile, what)[:, profile.models.index(model)])
                for profile in (first, second)
            ]
            found += _of_text(f"mean {what} of {model}", *means)
    for evaluator in (name for name in first.evaluators if name in second.evaluators):
        means = [
            _mean(profile.scores[:, :, profile.evaluators.index(evaluator)])
            for profile in (first, second)
        ]
        found += _of_text(f"mean score of {evaluator}", *means)
    return found


def _of_cells(first: Profile, second: Profile) -> list[Difference]:
    """Return how many values of shared records, models and evaluators are not the same."""
    records = _shared(first.records, second.records)
    models = _shared(first.models, second.models)
    evaluators = _shared(first.evaluators, second.evaluators)
    found = []
    for what in ("truth", "judge", "scores"):
        arrays = []
        for side, profile in enumerate((first, second)):
            array = getattr(profile, what)[np.ix_(records[side], models[side])]
            arrays.append(array[:, :, evaluators[side]] if what == "scores" else array)
        differ = ~((arrays[0] == arrays[1]) | (np.isnan(arrays[0]) & np.isnan(arrays[1])))
        if differ.any():
            told = f"{int(differ.sum()):,} of {differ.size:,}"
            found.append(Difference(f"{what} of shared records that differ", told, told))
    return found


def _shared(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[list[int], list[int]]:
    place = {name: index for index, name in enumerate(second)}
    pairs = [(index, place[name]) for index, name in enumerate(first) if name in place]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _of_costs(first: pd.DataFrame, second: pd.DataFrame) -> list[Difference]:
    keyed = [costs.set_index(list(COST_KEYS)).sort_index() for costs in (first, second)]
    found = []
    for key in keyed[0].index.union(keyed[1].index):
        _, node, hardware = key
        has = [key in costs.index for costs in keyed]
        if not all(has):
            told = ["measured" if own else "-" for own in has]
            found.append(Difference(f"costs of {node} on {hardware}", *told))
            continue
        for column in (*COST_COLUMNS[len(COST_KEYS) :], *MONEY_COLUMNS):
            told = [_told(costs.loc[key].get(column), 6) for costs in keyed]
            found += _of_text(f"{column} of {node} on {hardware}", *told)
    return found


def _of_text(what: str, first: str, second: str) -> list[Difference]:
    return [Difference(what, first, second)] if first != second else []


def _mean(values: Array) -> str:
    known = values[~np.isnan(values)]
    return _told(known.mean() if known.size else np.nan, 5)


def _told(value: object, digits: int) -> str:
    number = np.nan if value is None else float(value)  # type: ignore[arg-type]
    return "-" if np.isnan(number) else f"{number:.{digits}g}"
