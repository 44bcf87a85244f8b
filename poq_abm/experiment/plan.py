"""What a run consists of: treatments, replications, and the jobs that workers play."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poq_abm.errors import InputError
from poq_abm.network.game import Game, build_game
from poq_abm.profile import Profile, load_profile
from poq_abm.scenario import Scenario, ScenarioError, Treatment, check, load
from poq_abm.scenario.problems import Problem
from poq_abm.scenario.salvage import further

if TYPE_CHECKING:
    from typing import Self

__all__ = ["RESULTS_VERSION", "Job", "Plan"]

#: raised whenever the same configuration would give other numbers or other columns
RESULTS_VERSION = 1

ROUNDS_PER_JOB = 4_000_000


@dataclass(frozen=True)
class Job:
    """Replications ``first`` to ``last - 1`` of one treatment: what a worker plays and stores."""

    number: int
    treatment: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """A checked scenario, its treatments, and the profiles they draw from, by their source."""

    scenario: Scenario
    treatments: tuple[Treatment, ...]
    profiles: dict[str, Profile]
    trace: bool = False

    @classmethod
    def of(cls, scenario: Scenario, *, profile: Profile | None = None, trace: bool = False) -> Self:
        """Return the plan of ``scenario``, or raise with everything that is wrong with it.

        ``profile`` stands in for every profile the scenario names.
        """
        treatments = tuple(scenario.treatments())
        sources = dict.fromkeys(treatment.scenario.profile for treatment in treatments)
        profiles = {source: profile or _profile(scenario, source) for source in sources}
        for source, used in profiles.items():
            if len(profiles) == 1:
                check(scenario, used)
            else:
                for treatment in treatments:
                    if treatment.scenario.profile == source:
                        check(treatment.scenario, used)
        return cls(scenario, treatments, profiles, trace)

    @classmethod
    def load(
        cls, source: str | Path, overrides: Sequence[str] = (), *, trace: bool = False
    ) -> Self:
        """Load a scenario and plan it, reporting what schema and profile refuse in one go."""
        try:
            scenario = load(source, overrides)
        except ScenarioError as error:
            raise ScenarioError([*error.problems, *_hidden_behind(error)]) from None
        return cls.of(scenario, trace=trace)

    @property
    def rounds(self) -> int:
        """Number of rounds of all treatments and replications together."""
        return sum(t.scenario.rounds for t in self.treatments) * self.scenario.replications

    def game(self, treatment: int) -> Game:
        """Build the game of one treatment."""
        scenario = self.treatments[treatment].scenario
        return build_game(scenario, self.profiles[scenario.profile])

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs in the order of their rows; the cut does not depend on the workers."""
        number = 0
        for index, treatment in enumerate(self.treatments):
            size = 1 if self.trace else max(1, ROUNDS_PER_JOB // treatment.scenario.rounds)
            for first in range(0, self.scenario.replications, size):
                last = min(first + size, self.scenario.replications)
                yield Job(number, index, first, last)
                number += 1

    def configuration(self) -> dict[str, Any]:
        """Return all that determines the results, as plain data."""
        resolved = self.scenario.resolved()
        return {
            "results_version": RESULTS_VERSION,
            # Where a profile lies does not matter; what it holds does.
            "scenario": {**resolved, "profile": Path(self.scenario.profile).name},
            "profiles": [profile.content_hash for profile in self.profiles.values()],
            "trace": self.trace,
        }

    def hash(self) -> str:
        """Return the SHA-256 digest of :meth:`configuration`, which names the results folder."""
        text = json.dumps(self.configuration(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _profile(scenario: Scenario, source: str) -> Profile:
    try:
        return load_profile(source)
    except InputError as error:
        raise ScenarioError([scenario.origins.problem((("profile",), str(error)))]) from error


def _hidden_behind(error: ScenarioError) -> list[Problem]:
    """Return what the profile refuses in a scenario whose schema is already refused."""
    if error.salvaged is None:
        return []
    try:
        Plan.of(error.salvaged)
    except ScenarioError as more:
        return further(more.problems, error.problems)
    return []
