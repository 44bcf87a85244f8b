"""A stored run, opened to be looked at: whole, or what there is of one still under way."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.manifest import COMPLETE, FAILED, read_manifest
from poq_abm.experiment.results import Results, read_results
from poq_abm.profile import Profile, load_profile
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.checks.unanimity import unanimity_notes
from poq_abm.scenario.scenario import build
from poq_abm.simulation.playable import SYNTHETIC, profile_of

__all__ = ["StoredRun", "open_results", "scenarios_of", "select", "selected", "thin_notes"]

MOST_CURVES = 6  #: treatments in one picture of a report
MOST_LOOKED_AT = 1000  #: treatments whose scenarios are read for a note; more would take seconds


@dataclass(frozen=True)
class StoredRun:
    """A results folder: its tables, what it played, and what to know before trusting it."""

    folder: Path
    name: str  #: of the scenario
    manifest: dict[str, Any]
    results: Results
    notes: tuple[str, ...]
    _summaries: dict[tuple[str, ...], pd.DataFrame] = field(default_factory=dict, repr=False)

    @cached_property
    def scenario(self) -> Scenario:
        """The resolved scenario, its sweep included, with the question that its file asks."""
        data = {**self.results.scenario, "profile": self.manifest.get("profile", "published")}
        return build(data, Origins({}), str(self.manifest.get("question", "")))

    @cached_property
    def profile(self) -> Profile:
        """The profile that the run drew from.

        Raises
        ------
        InputError
            If it cannot be read any more.
        """
        return load_profile(str(self.manifest["profile"]))

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """What every treatment played, by its id."""
        return scenarios_of(self.results)

    def notes_on(self, treatments: Collection[str]) -> list[str]:
        """Return what to know before trusting what is said of these treatments, by their ids."""
        of_all = len(_of_treatments(self.results))
        whole = self.notes[: len(self.notes) - of_all]
        return [*whole, *_of_treatments(self.results, treatments)]

    @cached_property
    def treatments(self) -> list[str]:
        """Ids of the treatments of which something is stored, in the order of the sweep."""
        played = set(self.results.main["treatment"].astype(str))
        return [name for name in self._ids if name in played]

    @property
    def _ids(self) -> list[str]:
        return [str(name) for name in self.results.treatments["treatment"]]

    @property
    def axes(self) -> list[str]:
        """The swept fields."""
        return [str(c) for c in self.results.treatments.columns if c != "treatment"]

    @property
    def moving_axes(self) -> list[str]:
        """The swept fields that take more than one value."""
        table = self.results.treatments
        return [axis for axis in self.axes if len(set(table[axis].astype(str))) > 1]

    @property
    def few_curves(self) -> bool:
        """Whether the treatments fit into one picture as curves."""
        return len(self.treatments) <= MOST_CURVES

    @property
    def is_swept(self) -> bool:
        """Whether there is more than one treatment."""
        return len(self.treatments) > 1

    def nodes(
        self, *columns: str, treatments: Collection[str] | None = None, table: str = "nodes"
    ) -> Iterator[pd.DataFrame]:
        """Yield some columns of the nodes, or of accounts, part by part, every replication whole.

        With them come treatment and replication; ``treatments`` leaves out the others.

        Raises
        ------
        InputError
            If the run has no such table.
        """
        if not self.has(table):
            getattr(self.results, table)  # says why
        return self.results.batches(table, columns, treatments)

    def summary(self, *treatments: str) -> pd.DataFrame:
        """Return :meth:`~poq_abm.experiment.results.Results.summary` of some treatments."""
        if treatments not in self._summaries:
            self._summaries[treatments] = self.results.summary(treatments=treatments)
        return self._summaries[treatments].copy()

    def has(self, table: str) -> bool:
        """Return whether the run left a table: ``nodes`` of rounds, ``epochs``, ``queries`` ..."""
        return table in self.results.tables

    @property
    def studied(self) -> str:
        """What the run is of, in words."""
        if self.has("queries"):
            return "verification protocols"
        return "an economy" if self.has("epochs") else "rounds"

    @cached_property
    def replications(self) -> tuple[int, int]:
        """The fewest and the most replications of a treatment that are stored."""
        counts = self.results.main["treatment"].astype(str).value_counts()
        return int(counts.min()), int(counts.max())

    @cached_property
    def profiles(self) -> tuple[list[Profile], list[str]]:
        """The profiles that were drawn from, and the names of those that are not as they were."""
        written: dict[str, str] = self.manifest.get("profiles", {})
        found: dict[str, Profile] = {}
        here = self.manifest.get("profile")
        for scenario in self._one_of_each_profile():
            is_here = scenario.profile == here != SYNTHETIC
            try:
                profile = self.profile if is_here else profile_of(scenario)
            except InputError:
                continue
            if profile.content_hash in written.values():
                found[profile.content_hash] = profile
        lost = [name for name, digest in written.items() if digest not in found]
        return list(found.values()), lost

    def _one_of_each_profile(self) -> list[Scenario]:
        kinds: dict[str, Scenario] = {}
        for scenario in self.scenarios.values():
            kinds.setdefault(f"{scenario.profile} {scenario.synthetic}", scenario)
        source = self.manifest.get("profile")
        # The configuration keeps a folder's name alone; the manifest knows where it lay.
        moved = [
            scenario.replace({"profile": str(source)})
            for scenario in kinds.values()
            if source and scenario.profile == Path(str(source)).name != str(source)
        ]
        return [*kinds.values(), *moved]

    def values(self, path: str) -> list[Any]:
        """Return the values that a field takes over the treatments, each once, in their order."""
        found: dict[str, Any] = {}
        for scenario in self.scenarios.values():
            value: Any = scenario
            for part in path.split("."):
                value = None if value is None else getattr(value, part)
            found.setdefault(repr(value), value)
        return list(found.values())

    def one_treatment(self, wanted: str | None) -> str:
        """Return the treatment asked for, or the only one.

        Raises
        ------
        InputError
            If there is no such treatment, or none is asked for where there are several.
        """
        known = self._ids
        if wanted is None and len(known) > 1:
            raise InputError(f"{len(known)} treatments; name one with --treatment, as {known[0]!r}")
        if wanted is not None and wanted not in known:
            raise InputError(f"no treatment {wanted!r}; {nearest(wanted, known)}")
        return wanted or known[0]


def open_results(folder: str | os.PathLike[str]) -> StoredRun:
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
    notes += _of_treatments(results)
    name = str(manifest.get("name", path.name))
    return StoredRun(path, name, manifest, results, tuple(notes))


def _of_treatments(results: Results, some: Collection[str] | None = None) -> list[str]:
    """Return what to say of treatments, of all or of some: of those alone that are looked at."""
    main = results.main
    chosen = main if some is None else main[main["treatment"].astype(str).isin(list(some))]
    notes = thin_notes(chosen)
    if len(results.treatments) <= MOST_LOOKED_AT:
        with contextlib.suppress(InputError):  # behaviours of the user's own may not be loaded
            scenarios = scenarios_of(results)
            notes += unanimity_notes({name: scenarios[name] for name in some or scenarios})
    return notes


def thin_notes(replications: pd.DataFrame) -> list[str]:
    """Return what to say of comparisons on too few records, of a table of replications.

    >>> import pandas as pd
    >>> counted = [0.0, 3.0, 0.0]
    >>> thin_notes(pd.DataFrame({"treatment": ["a", "a", "b"], "thin_comparisons": counted}))
    ['in 1 of 2 treatments 1.5 comparisons a replication, at most, rested on fewer records than
    minimum_shared, and count for the neutral pay']
    """
    if "thin_comparisons" not in replications:
        return []
    mean = replications.groupby("treatment", observed=True)["thin_comparisons"].mean()
    thin = mean[mean > 0.0]
    if thin.empty:
        return []
    where = f"in {len(thin)} of {len(mean)} treatments " if len(mean) > 1 else ""
    return [
        f"{where}{thin.max():,.3g} comparisons a replication, at most, rested on fewer records "
        "than minimum_shared, and count for the neutral pay"
    ]


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
    (found,) = selected([table], **wanted)
    return found


def selected(parts: Iterable[pd.DataFrame], **wanted: str | None) -> Iterator[pd.DataFrame]:
    """Yield of every part of a table the rows that :func:`select` returns of a whole one.

    Raises
    ------
    InputError
        After the last part, if a value occurred in none.
    """
    asked = {column: value for column, value in wanted.items() if value is not None}
    seen: dict[str, set[str]] = {column: set() for column in asked}
    for part in parts:
        rows = part
        for column, value in asked.items():
            seen[column].update(map(str, rows[column].unique()))
            rows = rows[rows[column] == value]
        yield rows
    for column, value in asked.items():
        if value not in seen[column]:
            raise InputError(f"no rows with {column} {value!r}; {nearest(value, seen[column])}")
