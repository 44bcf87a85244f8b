"""The agents: inference nodes, evaluator nodes and the scheduler, as readable Mesa agents.

A node's state lives in the model's columns and an agent is a named view of one row, so that ten
thousand agents cost no more than the columns and both engines keep the same accounts. Users
subclass the nodes and override :meth:`InferenceNode.answer` or :meth:`EvaluatorNode.report`.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import mesa
import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.payment import Counted
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import Assignments, EvaluatorColumn, InferenceColumn
from poq_abm.simulation.batch_counts import count_answer, count_committee
from poq_abm.simulation.buffers import draw_ahead, draw_behaviour_luck
from poq_abm.simulation.game import refuse_consensus, refuse_report
from poq_abm.simulation.ledger import NodeSum, credit, observe
from poq_abm.simulation.population import find_active
from poq_abm.simulation.replication import Counter, State, Trace
from poq_abm.simulation.round_steps import (
    RoundDraw,
    Seat,
    agree,
    answer_truth,
    compare,
    evaluator_points,
    inference_points,
    learn,
    measure,
    member_report,
)
from poq_abm.simulation.rounds import count_rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poq_abm.simulation.game import Game
    from poq_abm.simulation.ledger import Ledger
    from poq_abm.simulation.population import NodePopulation
    from poq_abm.simulation.replication import Replication

__all__ = ["Answer", "EvaluatorNode", "InferenceNode", "Node", "Round", "Scheduler", "write_round"]


class Answer(NamedTuple):
    """An inference node's answer: the profile's row of a record and an inference model."""

    record: int
    model: int
    truth: float
    node: int


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


def write_round(trace: Trace, row: int, played: Round) -> None:
    """Write one round, as the agents played it, into a row of the trace."""
    for column in Trace._fields:
        getattr(trace, column)[row] = getattr(played, column)


class Network(Protocol):
    """What an agent sees of the model it belongs to."""

    game: Game
    kept: Replication
    rounds_played: int
    scheduler: Scheduler

    @property
    def inference_nodes(self) -> Sequence[InferenceNode]:
        """All inference nodes, in the order of their index."""

    @property
    def evaluator_nodes(self) -> Sequence[EvaluatorNode]:
        """All evaluator nodes, in the order of their number."""

    @property
    def ledger(self) -> Ledger:
        """The accounts of the replication."""


class Node(mesa.Agent):
    """A row of the model's columns; ``index`` is the node id, unique across roles."""

    model: Network

    def __init__(self, model: Network, index: int) -> None:
        super().__init__(model)
        self.index = index

    def _sum(self, column: NodeSum) -> float:
        ledger = self.model.ledger
        return float(ledger.node_total[self.index, column] + ledger.node_block[self.index, column])

    @property
    def jobs(self) -> int:
        """Number of rounds the node took part in."""
        return int(self._sum(NodeSum.JOBS))

    @property
    def reward_total(self) -> float:
        """Sum of all rewards paid to the node, in token units."""
        return self._sum(NodeSum.REWARD)

    @property
    def group(self) -> str:
        """Label of the population group the node belongs to."""
        population: NodePopulation = self.model.game.population
        label: str = population.groups[population.group[self.index]].label
        return label


class InferenceNode(Node):
    """Runs an LLM, answers records and is paid for the quality of its answers less its cost.

    Life-cycle: the scheduler calls :meth:`answer` when the node's turn comes and :meth:`receive`
    once the committee has a consensus. A node never fails a round.
    """

    def __init__(self, model: Network, index: int) -> None:
        super().__init__(model, index)
        self.refresh()

    def refresh(self) -> None:
        """Take up what the model's game says of the node; in an economy it changes by epoch."""
        nodes = self.model.game.nodes
        self.runs = int(nodes.model[self.index])
        self.cost = float(nodes.inference_cost[self.index])

    def answer(self, record: int) -> Answer:
        """Return the node's answer to ``record``."""
        game = self.model.game
        known = float(game.tables.truth[record, self.runs])
        truth = known if game.plain else answer_truth(known, game.conduct.inference[self.index])
        return Answer(record, self.runs, truth, self.index)

    def receive(self, consensus: float, truth: float) -> float:
        """Take the reward for an answer into the node's account and return it."""
        game = self.model.game
        task = self.model.scheduler.task
        cost = self.cost * self.model.scheduler.cost_factor
        reward = self.model.scheduler.price
        if math.isnan(reward):
            reward = inference_points(game.rules, task, consensus, cost, game.kernels)
        anchor = game.nodes.inference_anchor[self.index]
        block = self.model.ledger.node_block
        credit(block, self.index, reward, anchor, consensus, truth, 0.0)
        return reward


class EvaluatorNode(Node):
    """Runs an evaluator model, scores answers, is paid for closeness to consensus less its cost.

    Life-cycle: :meth:`report` when it sits on a committee, :meth:`receive` when the round is
    settled.
    """

    def __init__(self, model: Network, index: int) -> None:
        super().__init__(model, index)
        number = index - model.game.population.inference_count
        self.number = number
        self.seat = 0  # in the committee that sits; set by the scheduler
        behaviour = model.game.population.behaviour[index]
        self.plugin: Any = copy.copy(model.game.plugins[behaviour])  # a node has its own state
        self.refresh()

    def refresh(self) -> None:
        """Take up what the model's game says of the node; in an economy it changes by epoch."""
        nodes = self.model.game.nodes
        self.runs = int(nodes.evaluator[self.number])
        self.cost = float(nodes.evaluator_cost[self.number])

    @property
    def trust(self) -> NDArray[np.float64]:
        """The node's weight, one value or one per task."""
        weights: NDArray[np.float64] = self.model.kept.memory.trust[self.number]
        return weights

    def measure(self, answer: Answer) -> float:
        """Return the score the node's model gives, its own bias and noise included."""
        model, game = self.model, self.model.game
        looked_up = game.tables.scores[answer.record, answer.model, self.runs]
        if game.plain:
            return float(looked_up)
        return measure(
            looked_up,
            game.conduct.inference[answer.node],
            game.conduct.evaluators[self.number, EvaluatorColumn.FAMILY],
            model.kept.memory.state[self.number, State.BIAS],
            game.conduct.evaluators[self.number, EvaluatorColumn.NOISE_SD],
            self.seat,
            model.rounds_played,
            model.kept.key,
        )

    def report(self, answer: Answer) -> float:
        """Return the score the node reports for ``answer``, in [0, 10]."""
        measured = self.measure(answer)
        model, game, scheduler = self.model, self.model.game, self.model.scheduler
        if game.plain:
            return measured
        if not scheduler.active.deviates:
            return measured
        if self.plugin is not None and not self.plugin.is_compiled():
            return float(self.plugin.report(measured, self, answer))
        own = game.in_play.kernels(None if self.plugin is None else self.plugin.report)
        buffers, place = model.kept.buffers, scheduler.drawn_at
        seat = Seat(
            self.seat,
            model.rounds_played,
            game.tables.agreed[answer.record, answer.model],
            game.conduct.inference[answer.node, InferenceColumn.GROUP],
            model.kept.memory.trust[self.number, scheduler.column],
            buffers.chances[self.seat, place],
            buffers.shocks[self.seat, place],
        )
        traits, state = game.conduct.evaluators[self.number], model.kept.memory.state[self.number]
        return member_report(measured, seat, model.kept.key, traits, state, scheduler.active, own)

    def receive(self, near: float, consensus: float, truth: float) -> float:
        """Take the reward for a score into the node's account and return it."""
        game, committee = self.model.game, self.model.kept.buffers.committee
        reward = evaluator_points(game.rules, self.seat, self.cost, committee, game.kernels)
        anchor = self.model.game.nodes.evaluator_anchor[self.number]
        block = self.model.ledger.node_block
        credit(block, self.index, reward, anchor, consensus, truth, near)
        return reward


class Scheduler(mesa.Agent):
    """Draws and settles each round: Algorithm 1 of arXiv 2512.16317.

    In an economy another scheduler, which knows queues, stakes and money, has made the draws; its
    rounds are handed over by :meth:`assign`.
    """

    model: Network

    def __init__(self, model: Network) -> None:
        super().__init__(model)
        self.active = find_active(model.game.conduct)
        self._drawn = range(0)  # the rounds whose draws lie in the buffers
        self.drawn_at = 0  # column of the buffers in which the draws of the round played stand
        self.task = 0  # of the round that is played
        self.column = 0  # of the trust table, for the task of the round that is played
        self.cost_factor = 1.0  # cost charged over the node's cost, in the round that is played
        self.price = math.nan  # of its answer, where the schedule sets it
        self._uncounted = range(0)  # columns of the buffers whose rounds no histogram has yet
        self._assigned: Assignments | None = None
        self._first = 0  # number of the round that was assigned first

    def assign(self, assigned: Assignments, first: int) -> None:
        """Play from now on the rounds that were assigned, whose numbers begin at ``first``."""
        self._assigned, self._first = assigned, first
        self.active = find_active(self.model.game.conduct)
        self.forget_draws()

    def step(self) -> Round:
        """Play one round and return it."""
        model = self.model
        task, record, node, committee = self._draw(model.rounds_played)
        self.task = task
        self.column = int(model.game.tables.trust_task[task])
        answer = model.inference_nodes[node].answer(record)
        evaluators = [model.evaluator_nodes[member] for member in committee]
        scores = self._collect(evaluators, answer)
        consensus = self._agree()
        self._compare_members(answer, consensus)
        reward = model.inference_nodes[node].receive(consensus, answer.truth)
        observe(model.ledger.network_block, consensus, answer.truth)
        rewards = [
            evaluator.receive(near, consensus, answer.truth)
            for evaluator, near in zip(evaluators, self._nearness(consensus), strict=True)
        ]
        self._note(reward, rewards, consensus, answer.truth)
        if not model.game.plain:
            self._close(task, answer, consensus)
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
        buffers, t = self.model.kept.buffers, round_ - self._drawn.start
        members = buffers.committee.members
        self.drawn_at = t
        if self._assigned is not None:
            return self._take(self._assigned, round_ - self._first)
        seat_committee(members, buffers.order, buffers.swapped, buffers.draws, t)
        task, record, node = buffers.draws[: Slot.COMMITTEE, t].tolist()
        return task, record, node, members.tolist()

    def _take(self, assigned: Assignments, row: int) -> tuple[int, int, int, list[int]]:
        """Put a round that was assigned where a round looks for its draws."""
        buffers, t = self.model.kept.buffers, self.drawn_at
        drawn = int(assigned.task[row]), int(assigned.record[row]), int(assigned.node[row])
        buffers.draws[: Slot.COMMITTEE, t] = drawn
        buffers.committee.members[:] = assigned.committee[row]
        self.cost_factor = float(assigned.cost_factor[row])
        self.price = float(assigned.price[row])
        return *drawn, assigned.committee[row].tolist()

    def forget_draws(self) -> None:
        """Draw anew in the next step: the compiled loop writes over the buffers."""
        self.count()
        self._drawn = range(0)

    def _draw_ahead(self, round_: int) -> None:
        """Draw the coming rounds; keyed, the draws are the same at any time."""
        self.count()
        key, buffers = self.model.kept.key, self.model.kept.buffers
        if self._assigned is None:
            draw_ahead(round_, key, self.model.game.arrays, buffers)
        draw_behaviour_luck(round_, key, self.active, buffers)
        self._drawn = range(round_, round_ + buffers.draws.shape[1])

    def _collect(self, evaluators: list[EvaluatorNode], answer: Answer) -> list[float]:
        """Seat the members and return what they report, in the order of their seats."""
        scores = []
        for seat, evaluator in enumerate(evaluators):
            evaluator.seat = seat
            scores.append(self._checked(evaluator, evaluator.report(answer)))
        self.model.kept.buffers.committee.scores[:] = scores
        return scores

    def _agree(self) -> float:
        """Return the consensus of the scores in the buffers."""
        game, kept = self.model.game, self.model.kept
        trust = None if game.plain else kept.memory.trust
        column, committee, own = self.column, kept.buffers.committee, game.kernels
        consensus = agree(game.rules, game.nodes.stake, trust, column, committee, own)
        if own is not None:
            refuse_consensus(game, self.model.rounds_played, consensus)
        return consensus

    def _compare_members(self, answer: Answer, consensus: float) -> None:
        """Count the round, where nodes are paid for how they compare over a batch of them."""
        model, game = self.model, self.model.game
        if game.rules.counts_answers:
            count_answer(answer.record, answer.node, consensus, model.kept.memory.counts)
        if game.rules.counted != Counted.NOTHING:
            committee, counts = model.kept.buffers.committee, model.kept.memory.counts
            about = (model.rounds_played, answer.truth, bool(game.tables.gold[answer.record]))
            count_committee(*about, game.arrays, committee, counts)

    def _nearness(self, consensus: float) -> list[float]:
        """Return how close each member is to what it is compared with."""
        committee = self.model.kept.buffers.committee
        compare(consensus, self.model.game.rules, committee, self.model.game.kernels)
        nearness: list[float] = committee.nearness.tolist()
        return nearness

    def _note(self, paid: float, rewards: list[float], consensus: float, truth: float) -> None:
        """Keep what the round came to until it is counted with those beside it."""
        buffers, t = self.model.kept.buffers, self.drawn_at
        played = buffers.played
        played.seated[t], played.rewards[t] = buffers.committee.members, rewards
        played.consensus[t], played.truth[t], played.paid[t] = consensus, truth, paid
        if t != self._uncounted.stop:  # a query that was dropped lies between
            self.count()
            self._uncounted = range(t, t)
        self._uncounted = range(self._uncounted.start, t + 1)

    def count(self) -> None:
        """Count what was played since the last count: consensus and truth, rewards, majorities.

        A call of the compiled function takes as long as a third of a round, so that rounds are
        counted when they make way for others or somebody asks.
        """
        model, rounds = self.model, self._uncounted
        if not rounds:
            return
        self._uncounted = range(0)
        buffers, memory = model.kept.buffers, model.kept.memory
        nodes, played = buffers.draws[Slot.NODE], buffers.played
        about = (model.game.conduct, nodes, played, memory.histograms)
        majorities = count_rounds(rounds.start, rounds.stop, *about)
        memory.counters[Counter.MAJORITY] += majorities

    def _close(self, task: int, answer: Answer, consensus: float) -> None:
        """Let the members remember the round and update their trust."""
        model, game = self.model, self.model.game
        drawn = RoundDraw(
            model.rounds_played,
            self.drawn_at,
            task,
            answer.record,
            answer.node,
            answer.model,
            self.column,
            answer.truth,
        )
        committee, memory = model.kept.buffers.committee, model.kept.memory
        learn(drawn, consensus, game.arrays, committee, memory, game.kernels)

    def _checked(self, evaluator: EvaluatorNode, score: float) -> float:
        """Return a reported score, or stop at this round if it is none."""
        if not 0.0 <= score <= SCORE_SCALE:  # NaN fails this too
            made = type(evaluator).__name__ if type(evaluator) is not EvaluatorNode else ""
            refuse_report(self.model.game, self.model.rounds_played, evaluator.number, score, made)
        return score
