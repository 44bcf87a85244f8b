"""The published mechanism in AgentPy: agents that hold their accounts, a model that steps."""

from __future__ import annotations

import agentpy as ap
import numpy as np

from benchmarks.peers.worker import PublishedGame, Reals, serve


class Worker(ap.Agent):
    """A node with an account of its own."""

    def setup(self) -> None:
        """Open the account."""
        self.jobs, self.reward, self.consensus, self.truth, self.closeness = 0, 0.0, 0.0, 0.0, 0.0

    def receive(self, reward: float, consensus: float, truth: float, near: float = 0.0) -> None:
        """Take what a round pays."""
        self.jobs += 1
        self.reward += reward
        self.consensus += consensus
        self.truth += truth
        self.closeness += near


class RoundModel(ap.Model):
    """One round a step."""

    def setup(self) -> None:
        """Make the nodes."""
        game = self.p.game
        self.inference = ap.AgentList(self, game.model.size, Worker)
        self.evaluators = ap.AgentList(self, game.evaluator.size, Worker)
        for agents, runs, costs in (
            (self.inference, game.model, game.inference_cost),
            (self.evaluators, game.evaluator, game.evaluator_cost),
        ):
            for agent, which, cost in zip(agents, runs.tolist(), costs.tolist(), strict=True):
                agent.runs, agent.cost = which, cost
        self.coefficients = game.coefficients.tolist()
        self.shares = np.diff(game.task_ends, prepend=0.0)

    def step(self) -> None:
        """Play one round."""
        game, random = self.p.game, self.nprandom
        alpha, beta, alpha_evaluator, beta_evaluator = self.coefficients
        task = random.choice(self.shares.size, p=self.shares)
        record = game.task_first[task] + random.integers(game.task_size[task])
        node = self.inference[self.random.randrange(len(self.inference))]
        committee = self.random.sample(self.evaluators, game.committee)
        scores = [game.scores[record, node.runs, member.runs] for member in committee]
        consensus, truth = float(np.mean(scores)), game.truth[record, node.runs]
        node.receive(alpha * consensus / 10.0 - beta * node.cost, consensus, truth)
        for member, score in zip(committee, scores, strict=True):
            near = 1.0 - abs(score - consensus) / 10.0
            pay = alpha_evaluator * near - beta_evaluator * member.cost
            member.receive(pay, consensus, truth, near)


class AgentpyPlayer:
    """An AgentPy model, stepped."""

    chunk = 200

    def __init__(self, game: PublishedGame) -> None:
        self.model = RoundModel({"game": game, "seed": 1})
        self.model.sim_setup(steps=10**9)

    def play(self) -> None:
        """Play on."""
        for _ in range(self.chunk):
            self.model.sim_step()

    def accounts(self) -> Reals:
        """Return what the agents hold."""
        agents = (*self.model.inference, *self.model.evaluators)
        return np.array([(a.jobs, a.reward, a.consensus, a.truth, a.closeness) for a in agents])


if __name__ == "__main__":
    serve(AgentpyPlayer, "agentpy")
