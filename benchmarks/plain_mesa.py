"""The same game in plain Mesa, twice: as a scientific-Python user writes it, and tuned by hand.

:class:`PlainModel` draws with ``model.rng``, the NumPy generator that Mesa gives every model (a
task by its share, a record of it, a node, a committee without replacement), looks scores up in
NumPy tables and averages with ``np.mean``. :class:`TunedModel` knows what is slow in that: it draws
with Python's ``random``, reads nested lists, sums in plain Python and draws the record in one go,
which is as likely where tasks are of one size. Agents hold Python floats in both. Squared rewards
and the network's sums, which the engines of ``poq_abm`` keep besides, are left out, and so is
Mesa's data collection.
"""

from __future__ import annotations

from typing import Any

import mesa
import numpy as np

from poq_abm.simulation.game import Game

__all__ = ["PlainModel", "TunedModel"]


class PlainNode(mesa.Agent):
    """A node with an account of its own."""

    model: PlainModel

    def __init__(self, model: PlainModel, runs: int, cost: float) -> None:
        super().__init__(model)
        self.runs = runs
        self.cost = cost
        self.jobs = 0
        self.reward_total = 0.0
        self.consensus_total = 0.0
        self.truth_total = 0.0


class PlainInference(PlainNode):
    """An inference node."""

    def receive(self, consensus: float, truth: float) -> None:
        """Take the reward for an answer."""
        rules = self.model.rules
        self.jobs += 1
        self.reward_total += (
            rules.alpha_inference * consensus / 10 - rules.beta_inference * self.cost
        )
        self.consensus_total += consensus
        self.truth_total += truth


class PlainEvaluator(PlainNode):
    """An evaluator node."""

    closeness_total = 0.0

    def score(self, record: int, answered_by: int) -> float:
        """Return the score of an answer."""
        score: float = self.model.scores[record, answered_by, self.runs]
        return score

    def receive(self, score: float, consensus: float, truth: float) -> None:
        """Take the reward for a score."""
        rules = self.model.rules
        near = 1 - abs(score - consensus) / 10
        self.jobs += 1
        self.reward_total += rules.alpha_evaluator * near - rules.beta_evaluator * self.cost
        self.consensus_total += consensus
        self.truth_total += truth
        self.closeness_total += near


class TunedEvaluator(PlainEvaluator):
    """An evaluator node that reads nested lists."""

    def score(self, record: int, answered_by: int) -> float:
        """Return the score of an answer."""
        score: float = self.model.scores[record][answered_by][self.runs]
        return score


class PlainModel(mesa.Model):
    """Proof of Quality with mean aggregation and a uniform schedule, NumPy all the way."""

    evaluator_class: type[PlainEvaluator] = PlainEvaluator

    def __init__(self, game: Game, seed: int) -> None:
        super().__init__(rng=seed)
        nodes = game.nodes
        self.rules = game.rules
        self.task_first, self.task_size = game.tables.task_first, game.tables.task_size
        self.shares = np.diff(game.tables.task_limits.astype(float), prepend=0.0) / 2**32
        self.scores: Any = game.tables.scores
        self.truth: Any = game.tables.truth
        self.inference_nodes: list[PlainInference] = _agents(
            self, PlainInference, nodes.model, nodes.inference_cost
        )
        self.evaluators: list[PlainEvaluator] = _agents(
            self, self.evaluator_class, nodes.evaluator, nodes.evaluator_cost
        )

    def step(self) -> None:
        """Play one round."""
        task = self.rng.choice(len(self.shares), p=self.shares)
        record = self.task_first[task] + self.rng.integers(self.task_size[task])
        node = self.inference_nodes[self.rng.integers(len(self.inference_nodes))]
        seats = self.rng.choice(len(self.evaluators), size=self.rules.committee_size, replace=False)
        committee = [self.evaluators[seat] for seat in seats]
        truth = self.truth[record, node.runs]
        scores = [evaluator.score(record, node.runs) for evaluator in committee]
        consensus = np.mean(scores)
        self.settle(node, committee, scores, float(consensus), float(truth))

    def settle(
        self,
        node: PlainInference,
        committee: list[PlainEvaluator],
        scores: list[float],
        consensus: float,
        truth: float,
    ) -> None:
        """Pay the node and every member of the committee."""
        node.receive(consensus, truth)
        for evaluator, score in zip(committee, scores, strict=True):
            evaluator.receive(score, consensus, truth)


class TunedModel(PlainModel):
    """The same without NumPy in the round."""

    evaluator_class = TunedEvaluator

    def __init__(self, game: Game, seed: int) -> None:
        super().__init__(game, seed)
        self.scores = game.tables.scores.tolist()
        self.truth = game.tables.truth.tolist()

    def step(self) -> None:
        """Play one round."""
        record = self.random.randrange(len(self.truth))
        node = self.random.choice(self.inference_nodes)
        committee = self.random.sample(self.evaluators, self.rules.committee_size)
        truth = self.truth[record][node.runs]
        scores = [evaluator.score(record, node.runs) for evaluator in committee]
        consensus = sum(scores) / len(scores)
        self.settle(node, committee, scores, consensus, truth)


def _agents(model: PlainModel, kind: type[Any], runs: Any, costs: Any) -> list[Any]:
    """Return one agent per node, with plain Python numbers."""
    pairs = zip(runs.tolist(), costs.tolist(), strict=True)
    return [kind(model, which, cost) for which, cost in pairs]
