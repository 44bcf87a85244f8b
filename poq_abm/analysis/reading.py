"""Opening a results folder to look at it: a whole run, or what there is of one still under way."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.manifest import COMPLETE, FAILED, read_manifest
from poq_abm.experiment.results import Results, read_results
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.checks.unanimity import unanimity_notes
from poq_abm.scenario.scenario import build

__all__ = ["Opened", "open_results", "scenarios_of", "select"]

MOST_LOOKED_AT = 1000  #: treatments whose scenarios are read for a note; more would take seconds


class Opened(NamedTuple):
    """Results, and what a reader has to know before trusting them."""

    name: str  #: of the scenario
    results: Results
    notes: tuple[str, ...]


def open_results(folder: str | os.PathLike[str]) -> Opened:
    """Read a results folder, of a run that is finished or one that was interrupted.

    Of an unfinished run, the blocks whose files are as they were written count; the notes say how
    much that is. Notes also tell of replications that raised, and of treatments with a single
    replication, which have no interval.

    Raises
    ------
    InputError
        If the folder is no run, or one that has not stored anything yet.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path} is not a results folder: there is no such folder")
    manifest = read_manifest(path)
    whole = manifest.get("status") in (COMPLETE, FAILED)
    results = read_results(path, partial=True)
    played = results.main.groupby("treatment", observed=True).size()
    if played.empty:
        raise InputError(f"{path} holds no replication: every one that was tried raised")
    notes = []
    if not whole:
        notes.append(_progress(manifest, played))
    if results.failures:
        notes.append(f"{len(results.failures)} replications raised and are left out")
    if int(played.min()) < 2:
        single = int((played < 2).sum())
        subject = "one replication" if single == len(played) else f"{single} treatments have one"
        notes.append(f"{subject}: no interval can be given")
    if len(results.treatments) <= MOST_LOOKED_AT:
        with contextlib.suppress(InputError):  # behaviours of the user's own may not be loaded
            notes += unanimity_notes(scenarios_of(results))
    return Opened(str(manifest.get("name", path.name)), results, tuple(notes))


def _progress(manifest: dict[str, Any], played: pd.Series[int]) -> str:
    asked = manifest["configuration"]["scenario"]["replications"]
    most = asked if isinstance(asked, int) else asked["at_most"]
    treatments = len(manifest["treatments"])
    bound = "" if isinstance(asked, int) else "at most "
    return (
        f"partial: {int(played.sum()):,} of {bound}{most * treatments:,} replications are stored, "
        f"of {len(played):,} of {treatments:,} treatments; the same `poq run` finishes the rest"
    )


def scenarios_of(results: Results) -> dict[str, Scenario]:
    """Return the scenario that every treatment of the results played, by the treatment's id."""
    if results.plan is not None:
        return {treatment.id: treatment.scenario for treatment in results.plan.treatments}
    scenario = build(dict(results.scenario), Origins({}))
    return {treatment.id: treatment.scenario for treatment in scenario.treatments()}


def select(table: pd.DataFrame, **wanted: str | None) -> pd.DataFrame:
    """Return the rows whose columns hold the wanted values; nothing is wanted where it is None.

    Raises
    ------
    InputError
        If a value does not occur: an empty group has no statistic. The message names the nearest.

    Examples
    --------
    >>> table = pd.DataFrame({"role": ["inference", "evaluator"], "jobs": [1, 2]})
    >>> select(table, role="evaluator", group=None)["jobs"].tolist()
    [2]
    """
    for column, value in wanted.items():
        if value is None:
            continue
        found = table[column].astype(str) == value
        if not found.any():
            known = table[column].astype(str).unique()
            raise InputError(f"no rows with {column} {value!r}; {nearest(value, known)}")
        table = table[found]
    return table
