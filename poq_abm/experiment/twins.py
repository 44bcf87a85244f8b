"""The honest twin of a replication: the same draws, with nobody deviating.

Keyed randomness makes the twin a paired run: what differs between the two is the effect of the
deviation and nothing else. Treatments that differ only in who deviates share their twins.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import NamedTuple

from poq_abm.experiment.playing import play_replication
from poq_abm.network.columns import Conduct, Ploy, Trait
from poq_abm.network.game import Game, build_game
from poq_abm.network.ledger import MID_SCALE, Agreement, Column, Ledger
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario

__all__ = ["Outcome", "Twins", "honest_twin", "is_honest"]


class Outcome(NamedTuple):
    """What a replication is compared with its twin by."""

    consensus_mean: float  #: over rounds, in [0, 10]
    payout: float  #: all rewards of all nodes

    @classmethod
    def of(cls, ledger: Ledger, rounds: int) -> Outcome:
        """Return the outcome that stands in a ledger."""
        consensus = float(ledger.network()[Agreement.CONSENSUS]) / rounds + MID_SCALE
        return cls(consensus, float(ledger.nodes()[:, Column.REWARD].sum()))

    def against(self, twin: Outcome) -> dict[str, float]:
        """Return how far the consensus drifted and the payout was inflated."""
        inflation = self.payout / twin.payout - 1.0 if twin.payout > 0.0 else math.nan
        return {
            "consensus_drift": self.consensus_mean - twin.consensus_mean,
            "payout_inflation": inflation,
        }


def is_honest(conduct: Conduct) -> bool:
    """Return whether nobody deviates; noise and bias of honest evaluators do not count."""
    evaluators, inference = conduct
    return not (evaluators[:, Trait.MALICIOUS].any() or inference[:, Ploy.DEVIATES].any())


def honest_twin(scenario: Scenario) -> Scenario:
    """Return the scenario with every node honest and all else as it is."""
    honest = {"behaviour": {"name": "honest"}}
    people = scenario.population
    population = people.model_copy(
        update={
            "inference": tuple(group.model_copy(update=honest) for group in people.inference),
            "evaluators": tuple(group.model_copy(update=honest) for group in people.evaluators),
        }
    )
    return scenario.model_copy(update={"population": population, "malicious": None})


@dataclass
class Twins:
    """Outcomes of the twins that a plan needed so far."""

    _outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    _games: dict[str, Game] = field(default_factory=dict)

    def outcome(self, scenario: Scenario, profile: Profile, replication: int) -> Outcome:
        """Return the outcome of a replication's twin, played unless another treatment needed it."""
        twin = honest_twin(scenario)
        key = json.dumps([twin.resolved(), profile.content_hash], sort_keys=True)
        known = self._outcomes.get((key, replication))
        if known is None:
            game = self._games.get(key) or self._games.setdefault(key, build_game(twin, profile))
            ledger, _ = play_replication(twin, game, replication)
            known = self._outcomes.setdefault((key, replication), Outcome.of(ledger, twin.rounds))
        return known
