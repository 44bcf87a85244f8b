"""What a run consists of: treatments, replications, and the jobs that workers play."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poq_abm.behaviour.resolving import behaviours
from poq_abm.experiment.twins import Twins
from poq_abm.network.checking import SYNTHETIC, check_playable, profile_of
from poq_abm.network.game import Game, build_game
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario, ScenarioError, Treatment, load
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
    twins: Twins = field(default_factory=Twins, compare=False, repr=False)

    @classmethod
    def of(cls, scenario: Scenario, *, profile: Profile | None = None, trace: bool = False) -> Self:
        """Return the plan of ``scenario``, or raise with everything that is wrong with it.

        ``profile`` stands in for every profile the scenario names.
        """
        treatments = tuple(scenario.treatments())
        profiles: dict[str, Profile] = {}
        for treatment in treatments:
            key = _source(treatment.scenario)
            if key not in profiles:
                profiles[key] = profile or profile_of(treatment.scenario)
        if len(profiles) == 1:
            check_playable(scenario, next(iter(profiles.values())))
        else:
            for treatment in treatments:
                check_playable(treatment.scenario, profiles[_source(treatment.scenario)])
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
    def logs_trust(self) -> bool:
        """Whether any treatment keeps a log of trust."""
        return any(t.scenario.mechanism.trust.interval > 0 for t in self.treatments)

    @property
    def rounds(self) -> int:
        """Number of rounds of all treatments and replications together."""
        return sum(t.scenario.rounds for t in self.treatments) * self.scenario.replications

    def game(self, treatment: int) -> Game:
        """Build the game of one treatment."""
        return build_game(self.treatments[treatment].scenario, self.profile(treatment))

    def profile(self, treatment: int) -> Profile:
        """Return the profile that one treatment draws from."""
        return self.profiles[_source(self.treatments[treatment].scenario)]

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
            **self._own_behaviours(),
        }

    def _own_behaviours(self) -> dict[str, Any]:
        """Return the digests of users' own behaviours, whose code determines results too."""
        text = json.dumps(self.scenario.resolved())
        known = {
            kind.name: kind.digest()
            for kind in behaviours("evaluator").values()
            if kind.report is not None and json.dumps(kind.name) in text
        }
        return {"plugins": known} if known else {}

    def hash(self) -> str:
        """Return the SHA-256 digest of :meth:`configuration`, which names the results folder."""
        text = json.dumps(self.configuration(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _source(scenario: Scenario) -> str:
    """Return what tells the profiles of treatments apart."""
    if scenario.profile != SYNTHETIC:
        return scenario.profile
    return json.dumps(scenario.synthetic, sort_keys=True)


def _hidden_behind(error: ScenarioError) -> list[Problem]:
    """Return what the profile refuses in a scenario whose schema is already refused."""
    if error.salvaged is None:
        return []
    try:
        Plan.of(error.salvaged)
    except ScenarioError as more:
        return further(more.problems, error.problems)
    return []
