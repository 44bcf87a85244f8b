"""The agents: inference nodes, evaluator nodes and the scheduler, as readable Mesa agents.

A node's state lives in the model's columns and an agent is a named view of one row, so that ten
thousand agents cost no more than the columns and both engines keep the same accounts. Users
subclass the nodes and override :meth:`InferenceNode.answer` or :meth:`EvaluatorNode.report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import mesa

from poq_abm.behaviour import honest_report
from poq_abm.errors import InputError
from poq_abm.mechanism.aggregation import aggregate
from poq_abm.mechanism.committee import seat_committee
from poq_abm.mechanism.reference import reference_score
from poq_abm.mechanism.rewards import SCORE_SCALE, closeness, evaluator_reward, inference_reward
from poq_abm.mechanism.schedule import Slot
from poq_abm.network.ledger import MID_SCALE, Column, credit, observe
from poq_abm.network.rounds import draw_batch, open_desk

if TYPE_CHECKING:
    from poq_abm.network.model import PoQModel
    from poq_abm.network.population import Population

__all__ = ["Answer", "EvaluatorNode", "InferenceNode", "Node", "Round", "Scheduler"]


class Answer(NamedTuple):
    """An inference node's answer: the profile's row of a record and an inference model."""

    record: int
    model: int
    truth: float


class Round(NamedTuple):
    """One round as it was played; its committee, scores and evaluator rewards share an order."""

    round: int
    task: int
    record: int
    node: int
    committee: tuple[int, ...]
    scores: tuple[float, ...]
    consensus: float
    truth: float
    inference_reward: float
    evaluator_rewards: tuple[float, ...]


class Node(mesa.Agent):
    """A row of the model's columns; ``index`` is the node id, unique across roles."""

    model: PoQModel

    def __init__(self, model: PoQModel, index: int) -> None:
        super().__init__(model)
        self.index = index
        self.cost = float(model.game.population.cost[index])

    def _sum(self, column: Column) -> float:
        ledger = self.model.ledger
        return float(ledger.node_total[self.index, column] + ledger.node_block[self.index, column])

    @property
    def jobs(self) -> int:
        """Number of rounds the node took part in."""
        return int(self._sum(Column.JOBS))

    @property
    def reward_total(self) -> float:
        """Sum of all rewards paid to the node, in token units."""
        return self._sum(Column.REWARD)

    @property
    def group(self) -> str:
        """Label of the population group the node belongs to."""
        population: Population = self.model.game.population
        label: str = population.groups[population.group[self.index]].label
        return label


class InferenceNode(Node):
    """Runs an LLM, answers records and is paid for the quality of its answers less its cost.

    Life-cycle: the scheduler calls :meth:`answer` when the node's turn comes and :meth:`receive`
    once the committee has a consensus. A node never fails a round.
    """

    def __init__(self, model: PoQModel, index: int) -> None:
        super().__init__(model, index)
        self.runs = int(model.game.nodes.model[index])

    def answer(self, record: int) -> Answer:
        """Return the node's answer to ``record``."""
        truth = self.model.game.tables.truth[record, self.runs]
        return Answer(record, self.runs, float(truth))

    def receive(self, consensus: float, truth: float) -> float:
        """Take the reward for an answer into the node's account and return it."""
        rules = self.model.game.rules
        alpha, beta = rules.alpha_inference, rules.beta_inference
        reward = inference_reward(alpha, beta, consensus, self.cost)
        anchor = inference_reward(alpha, beta, MID_SCALE, self.cost)
        block = self.model.ledger.node_block
        credit(block, self.index, reward, anchor, consensus, truth, 0.0)
        return reward


class EvaluatorNode(Node):
    """Runs an evaluator model, scores answers, is paid for closeness to consensus less its cost.

    Life-cycle: :meth:`report` when it sits on a committee, :meth:`receive` when the round is
    settled.
    """

    def __init__(self, model: PoQModel, index: int) -> None:
        super().__init__(model, index)
        seat = index - model.game.population.inference_count
        self.runs = int(model.game.nodes.evaluator[seat])

    def report(self, answer: Answer) -> float:
        """Return the score the node reports for ``answer``, in [0, 10]."""
        measured = self.model.game.tables.scores[answer.record, answer.model, self.runs]
        return honest_report(measured)

    def receive(self, near: float, consensus: float, truth: float) -> float:
        """Take the reward for a score into the node's account and return it."""
        rules = self.model.game.rules
        alpha, beta = rules.alpha_evaluator, rules.beta_evaluator
        reward = evaluator_reward(alpha, beta, near, self.cost)
        anchor = evaluator_reward(alpha, beta, 1.0, self.cost)
        block = self.model.ledger.node_block
        credit(block, self.index, reward, anchor, consensus, truth, near)
        return reward


class Scheduler(mesa.Agent):
    """Draws and settles each round: Algorithm 1 of arXiv 2512.16317."""

    model: PoQModel

    def __init__(self, model: PoQModel) -> None:
        super().__init__(model)
        self._desk = open_desk(model.game.rules, model.game.nodes)
        self._drawn = range(0)  # the rounds whose draws lie on the desk

    def step(self) -> Round:
        """Play one round and return it."""
        model = self.model
        task, record, node, committee = self._draw(model.rounds_played)
        answer = model.inference_nodes[node].answer(record)
        evaluators = [model.evaluator_nodes[member] for member in committee]
        scores = [self._checked(evaluator, evaluator.report(answer)) for evaluator in evaluators]
        self._desk.scores[:] = scores
        consensus = aggregate(model.game.rules.aggregation, self._desk.scores, len(scores))
        reward = model.inference_nodes[node].receive(consensus, answer.truth)
        observe(model.ledger.network_block, consensus, answer.truth)
        rewards = [
            evaluator.receive(self._near(k, consensus), consensus, answer.truth)
            for k, evaluator in enumerate(evaluators)
        ]
        return Round(
            model.rounds_played,
            task,
            record,
            node,
            tuple(evaluator.index for evaluator in evaluators),
            tuple(scores),
            consensus,
            answer.truth,
            reward,
            tuple(rewards),
        )

    def _draw(self, round_: int) -> tuple[int, int, int, list[int]]:
        if round_ not in self._drawn:
            self._draw_ahead(round_)
        desk, t = self._desk, round_ - self._drawn.start
        seat_committee(desk.committee, desk.order, desk.swapped, desk.draws, t)
        task, record, node = desk.draws[: Slot.COMMITTEE, t].tolist()
        return task, record, node, desk.committee.tolist()

    def _draw_ahead(self, round_: int) -> None:
        """Put the draws of the coming rounds on the desk; keyed, they are the same at any time."""
        game, desk = self.model.game, self._desk
        draw_batch(
            desk.draws,
            desk.bounds,
            round_,
            self.model.key,
            self.model.replication,
            game.rules.schedule,
            game.rules.committee_size,
            game.nodes.evaluator.size,
            game.tables.task_limits,
            game.tables.task_first,
            game.tables.task_size,
            game.nodes.limits,
        )
        self._drawn = range(round_, round_ + desk.draws.shape[1])

    def _checked(self, evaluator: EvaluatorNode, score: float) -> float:
        """Return a reported score, or stop at this round if it is none."""
        if not 0.0 <= score <= SCORE_SCALE:  # NaN fails this too
            raise InputError(
                f"round {self.model.rounds_played}: evaluator node {evaluator.index} "
                f"({type(evaluator).__name__}) reported {score}; a score lies in [0, 10]"
            )
        return score

    def _near(self, member: int, consensus: float) -> float:
        rules, desk = self.model.game.rules, self._desk
        count = rules.committee_size
        against = reference_score(
            rules.reference, rules.aggregation, desk.scores, count, member, consensus, desk.others
        )
        return closeness(desk.scores[member], against)
