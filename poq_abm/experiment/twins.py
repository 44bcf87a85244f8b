"""The honest twin of a replication: the same draws, with nobody deviating.

Keyed randomness makes the twin a paired run: what differs between the two is the effect of the
deviation and nothing else. Treatments that differ only in who deviates share their twins.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import MID_SCALE, Agreement, Ledger, NodeSum
from poq_abm.simulation.replication import ReplicationSums

__all__ = ["AGAINST_TWIN", "Outcome", "Twin", "Twins"]

#: the measures that compare a replication with its twin
AGAINST_TWIN = ("consensus_drift", "payout_inflation", "reward_gap")


class Outcome(NamedTuple):
    """What a replication is compared with its twin by."""

    consensus_mean: float  #: over rounds, in [0, 10]; missing without any
    payout: float  #: all rewards of all nodes, in tokens
    evaluators: NDArray[np.float64]  #: (M, 2) jobs and rewards of every evaluator node
    profits: NDArray[np.float64] | None = None  #: (N,) of an economy: profit of every node

    @classmethod
    def of(
        cls, ledger: Ledger, rounds: int, inference: int, paid: NDArray[np.float64] | None = None
    ) -> Outcome:
        """Return the outcome that stands in a ledger, whose first rows are inference nodes.

        ``paid`` is what every node got in tokens, where that is not its points.
        """
        total = float(ledger.network()[Agreement.CONSENSUS])
        nodes = ledger.nodes()
        tokens = nodes[:, NodeSum.REWARD] if paid is None else paid
        evaluators = np.column_stack([nodes[:, NodeSum.JOBS], tokens])[inference:]
        mean = total / rounds + MID_SCALE if rounds else math.nan
        return cls(mean, float(tokens.sum()), evaluators)

    @classmethod
    def of_many(cls, sums: ReplicationSums, rounds: int, inference: int) -> list[Outcome]:
        """Return the outcomes of replications that were summed up."""
        found = []
        for nodes, network in zip(sums.nodes, sums.network, strict=True):
            jobs_and_pay = nodes[:, [NodeSum.JOBS, NodeSum.REWARD]]
            mean = float(network[Agreement.CONSENSUS]) / rounds + MID_SCALE if rounds else math.nan
            payout = float(nodes[:, NodeSum.REWARD].sum())
            found.append(cls(mean, payout, jobs_and_pay[inference:]))
        return found

    def against(self, twin: Outcome, malicious: NDArray[np.bool_]) -> dict[str, float]:
        """Return how far the consensus drifted, the payout was inflated and honesty would pay.

        The gap is the reward per job of the malicious evaluators, in the honest twin less here:
        the same nodes with the same models, costs and jobs. Missing without any, or without a job.
        """
        inflation = self.payout / twin.payout - 1.0 if twin.payout > 0.0 else math.nan
        return {
            "consensus_drift": self.consensus_mean - twin.consensus_mean,
            "payout_inflation": inflation,
            "reward_gap": twin.pay_of(malicious) - self.pay_of(malicious),
        }

    def pay_of(self, nodes: NDArray[np.bool_]) -> float:
        """Return the reward per job of some evaluators together; missing without a job."""
        jobs, rewards = self.evaluators[nodes].T
        return math.fsum(rewards) / math.fsum(jobs) if jobs.any() else math.nan


#: plays replications from one to before another, and returns what each came to
PlaySome = Callable[[Scenario, Game, Profile, int, int], list[Outcome]]


@dataclass
class Twins:
    """Outcomes of the twins that a plan needed so far, shared by its treatments."""

    _twins: dict[str, Twin] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"_twins": {}}  # a worker finds its own sooner than it reads ours

    def of(self, honest: Scenario, profile: Profile, play: PlaySome) -> Twin:
        """Return the twin that plays a scenario; treatments that share it share its outcomes."""
        key = json.dumps([honest.resolved(), profile.content_hash], sort_keys=True)
        return self._twins.setdefault(key, Twin(honest, profile, play))


@dataclass
class Twin:
    """One honest scenario, and the outcomes of the replications that were needed."""

    scenario: Scenario
    profile: Profile
    play: PlaySome
    _outcomes: dict[int, Outcome] = field(default_factory=dict)

    @functools.cached_property
    def _game(self) -> Game:
        return build_game(self.scenario, self.profile)

    def outcomes(self, first: int, last: int) -> list[Outcome]:
        """Return the outcomes of replications, played unless they all were before."""
        wanted = range(first, last)
        if any(number not in self._outcomes for number in wanted):
            played = self.play(self.scenario, self._game, self.profile, first, last)
            self._outcomes.update(zip(wanted, played, strict=True))
        return [self._outcomes[number] for number in wanted]
