"""What a report is about: a results folder, and everything about it that the report needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from poq_abm.analysis.reading import Opened, open_results, scenarios_of
from poq_abm.errors import InputError
from poq_abm.experiment.manifest import read_manifest
from poq_abm.experiment.results import Results
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.idle import idle_settings
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build
from poq_abm.simulation.playable import profile_of

__all__ = ["MOST_TREATMENTS", "Subject"]

MOST_TREATMENTS = 12  #: tables of every group stop here; those of whole networks do not


@dataclass(frozen=True)
class Subject:
    """A run that is to be reported."""

    folder: Path
    opened: Opened
    manifest: dict[str, Any]

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> Subject:
        """Open a results folder.

        Raises
        ------
        InputError
            If the folder is no run, or one that has not stored anything yet.
        """
        opened = open_results(folder)
        return cls(Path(folder), opened, read_manifest(Path(folder)))

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.opened.name

    @property
    def results(self) -> Results:
        """The tables."""
        return self.opened.results

    @cached_property
    def scenario(self) -> Scenario:
        """The resolved scenario, its sweep included, with the question that its file asks."""
        data = {**self.results.scenario, "profile": self.manifest.get("profile", "published")}
        return build(data, Origins({}), str(self.manifest.get("question", "")))

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """What every treatment played, by its id."""
        return scenarios_of(self.results)

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know first: what is missing, and the settings that did nothing."""
        idle = idle_settings(self.scenario, self.scenario.treatments())
        said = [f"{found.path} did nothing: {found.message}" for found in idle.warnings]
        return [*self.opened.notes, *said]

    @cached_property
    def profiles(self) -> tuple[list[Profile], list[str]]:
        """The profiles that were drawn from, and the names of those that are not as they were."""
        written: dict[str, str] = self.manifest.get("profiles", {})
        found: dict[str, Profile] = {}
        for scenario in self._one_of_each_profile():
            try:
                profile = profile_of(scenario)
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

    @cached_property
    def treatments(self) -> list[str]:
        """Ids of the treatments of which something is stored, in the order of the sweep."""
        played = set(self.results.main["treatment"].astype(str))
        return [str(t) for t in self.results.treatments["treatment"] if str(t) in played]

    @property
    def axes(self) -> list[str]:
        """The swept fields."""
        return [str(c) for c in self.results.treatments.columns if c != "treatment"]

    @property
    def is_swept(self) -> bool:
        """Whether there is more than one treatment."""
        return len(self.treatments) > 1

    @property
    def has_queries(self) -> bool:
        """Whether verification protocols were played, query by query, instead of rounds."""
        return "queries" in self.results.tables

    @property
    def has_economy(self) -> bool:
        """Whether any treatment was played as an economy."""
        return "epochs" in self.results.tables

    @cached_property
    def replications(self) -> tuple[int, int]:
        """The fewest and the most replications of a treatment that are stored."""
        counts = self.results.main["treatment"].astype(str).value_counts()
        return int(counts.min()), int(counts.max())

    @property
    def costs(self) -> str:
        """What the cost C that rewards charge was normalised from, and over whom."""
        found: dict[str, None] = {}
        for scenario in self.scenarios.values():
            economy = scenario.economy
            money = economy is not None and economy.cost.basis == "money"
            text = (
                "the money a job costs (energy, hardware, bandwidth)" if money else "mean latency"
            )
            if economy is not None and economy.latency.charged == "realised":
                text += ", times the realised over the mean time of the job"
            found[text] = None
        over = "the nodes that are there, in each epoch anew" if self.has_economy else "all nodes"
        return f"{' or '.join(found)}, min-max normalised inside each node class over {over}"

    def values(self, path: str) -> list[Any]:
        """Return the values that a field takes over the treatments, each once, in their order."""
        found: dict[str, Any] = {}
        for scenario in self.scenarios.values():
            value: Any = scenario
            for part in path.split("."):
                value = None if value is None else getattr(value, part)
            found.setdefault(repr(value), value)
        return list(found.values())
