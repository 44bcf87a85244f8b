"""The honest twin of a replication: the same draws, with nobody deviating.

Keyed randomness makes the twin a paired run: what differs between the two is the effect of the
deviation and nothing else. Treatments that differ only in who deviates share their twins.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.round_replication import play_replication
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import Conduct, EvaluatorColumn, InferenceColumn
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import MID_SCALE, Agreement, Ledger, NodeSum

__all__ = ["TWIN_MEASURES", "Outcome", "Twin", "Twins", "honest_twin", "is_honest"]


class Outcome(NamedTuple):
    """What a replication is compared with its twin by."""

    consensus_mean: float  #: over rounds, in [0, 10]; missing without any
    payout: float  #: all rewards of all nodes, in tokens
    evaluators: NDArray[np.float64]  #: (M, 2) jobs and rewards of every evaluator node

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
    def of_economy(cls, economy: Economy) -> Outcome:
        """Return the outcome of an economy whose epochs were played."""
        first = economy.population.inference
        return cls.of(economy.ledger, economy.served, first, economy.settled.reward)

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


#: what :meth:`Outcome.against` tells
TWIN_MEASURES = ("consensus_drift", "payout_inflation", "reward_gap")


def is_honest(scenario: Scenario, conduct: Conduct) -> bool:
    """Return whether nobody deviates or can come to; noise and bias of honest ones do not count."""
    evaluators, inference = conduct
    options = scenario.economy.options if scenario.economy else None
    tempting = (*options.inference, *options.evaluator) if options else ()
    return not (
        evaluators[:, EvaluatorColumn.MALICIOUS].any()
        or inference[:, InferenceColumn.DEVIATES].any()
        or any(behaviour["name"] != "honest" for behaviour in tempting)
    )


def honest_twin(scenario: Scenario) -> Scenario:
    """Return the scenario with every node honest and all else as it is.

    In an economy nodes adapt as ever, but have nothing else to choose from than to be honest.
    """
    honest = {"behaviour": {"name": "honest"}}
    people = scenario.population
    population = people.model_copy(
        update={
            "inference": tuple(group.model_copy(update=honest) for group in people.inference),
            "evaluators": tuple(group.model_copy(update=honest) for group in people.evaluators),
        }
    )
    update: dict[str, Any] = {"population": population, "malicious": None}
    if (economy := scenario.economy) is not None:
        options = economy.options.model_copy(update={"inference": (), "evaluator": ()})
        update["economy"] = economy.model_copy(update={"options": options})
    return scenario.model_copy(update=update)


@dataclass
class Twins:
    """Outcomes of the twins that a plan needed so far, shared by its treatments."""

    _twins: dict[str, Twin] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"_twins": {}}  # a worker finds its own sooner than it reads ours

    def of(self, scenario: Scenario, profile: Profile) -> Twin:
        """Return the twin of a treatment; treatments that share a twin share its outcomes."""
        twin = honest_twin(scenario)
        key = json.dumps([twin.resolved(), profile.content_hash], sort_keys=True)
        return self._twins.setdefault(key, Twin(twin, profile))


@dataclass
class Twin:
    """One honest scenario, and the outcomes of the replications that were needed."""

    scenario: Scenario
    profile: Profile
    _outcomes: dict[int, Outcome] = field(default_factory=dict)

    @functools.cached_property
    def _game(self) -> Game:
        return build_game(self.scenario, self.profile)

    def outcome(self, replication: int) -> Outcome:
        """Return the outcome of a replication, played unless it was before."""
        known = self._outcomes.get(replication)
        if known is None:
            known = self._outcomes[replication] = self._play(replication)
        return known

    def _play(self, replication: int) -> Outcome:
        if self.scenario.economy is not None:
            economy = Economy(self.scenario, self._game, self.profile, replication)
            economy.run()
            return Outcome.of_economy(economy)
        ledger, _ = play_replication(self.scenario, self._game, replication)
        return Outcome.of(ledger, self.scenario.rounds, self._game.population.inference_count)
