"""What is kept of every epoch: by group, and for the network as a whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.epochs.accounting import PARTS, Pay
from poq_abm.simulation.epochs.double_entry import Fund, Holding
from poq_abm.simulation.histograms import RELATIVE_ERROR, cell_percentile, percentiles
from poq_abm.simulation.inequality import gini, hhi, nakamoto_coefficient

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy import Economy
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["GROUP_COLUMNS", "NETWORK_COLUMNS", "NODE_COLUMNS", "Record"]

Array = NDArray[np.float64]

_LATENCY_SHARES = (0.5, 0.95)
_BINNED = f"mean of its cell, off by less than {RELATIVE_ERROR:.2%}, exact if it never varies"

#: by group and for all together: name, unit, meaning
GROUP_COLUMNS = (
    ("nodes", "nodes", "nodes that were there while the epoch was played"),
    ("deviating", "nodes", "of these, those that did anything but play honestly"),
    ("stake", "tokens", "bonds at the end of the epoch, after slashing and topping up"),
    ("jobs", "rounds", "rounds the nodes took part in"),
    ("reward", "tokens", "rewards paid, less what audits took back"),
    ("cost_in_money", "tokens", "paid for energy, machines, bandwidth; 0 unless costs are money"),
    ("slashed", "tokens", "bonds lost"),
    ("profit", "tokens", "reward + redistributed bonds - cost_in_money - slashed - capital cost"),
    ("trust", "weight", "mean trust of evaluators, mean reputation (0-1) of inference nodes"),
    ("busy", "share", "inference nodes: work taken on over their places' time; above 1 it queues"),
)
#: for the network only: name, unit, meaning
NETWORK_COLUMNS = (
    ("queries", "queries", "queries that arrived"),
    ("dropped", "queries", "of these, those that would have waited too long"),
    ("latency_p50", "s", "median of waiting and service, over queries served; exact"),
    ("latency_p95", "s", "95 % quantile of the same; exact"),
    ("quality", "0-1", "mean truth / 10 over queries served"),
    ("price", "tokens", "fee for a query"),
    ("alpha_inference", "points", "alpha_F"),
    ("beta_inference", "points", "beta_F"),
    ("alpha_evaluator", "points", "alpha_M"),
    ("beta_evaluator", "points", "beta_M"),
    ("bounded", "controllers", "controllers that a bound held back"),
    ("fees", "tokens", "fees users paid"),
    ("emissions", "tokens", "tokens minted"),
    ("burned", "tokens", "tokens burned in the epoch"),
    ("treasury", "tokens", "what the treasury holds at the end"),
    ("network_income", "tokens", "what the network has kept so far"),
    ("welfare", "tokens", "value x quality of answers - what running the network cost"),
    ("gini", "0-1", "Gini coefficient of rewards over nodes that were there, of both roles"),
    ("hhi", "0-1", "Herfindahl-Hirschman index of rewards over operators"),
    ("nakamoto", "operators", "fewest operators who hold more than half of all bonds"),
    ("malicious_stake", "0-1", "share of evaluators' bonds that deviating evaluators hold"),
    ("imbalance", "share", "what all accounts together hold over all that was moved; 0"),
)
#: of every node, over all epochs: name, unit, meaning
NODE_COLUMNS = (
    ("epochs", "epochs", "epochs in which the node was there"),
    ("presence", "0-1", "share of all epochs in which it was there"),
    ("jobs", "rounds", "rounds it took part in"),
    ("reward", "tokens", "rewards paid, less what audits took back"),
    ("received", "tokens", "of other nodes' slashed bonds"),
    ("cost_in_money", "tokens", "paid for energy, machines, bandwidth, changes of hardware"),
    ("slashed", "tokens", "bonds lost"),
    ("capital", "tokens", "what locked tokens would have earned elsewhere"),
    ("profit", "tokens", "reward + received - cost_in_money - slashed - capital"),
    ("wallet", "tokens", "what it holds at the end"),
    ("stake", "tokens", "its bond at the end"),
    ("trust", "weight", "trust of an evaluator, reputation (0-1) of an inference node, at the end"),
    ("busy", "share", "inference nodes: work taken on over its places' time, while there"),
    ("latency_p50", "s", f"inference nodes: median of waiting and service; {_BINNED}"),
    ("latency_p95", "s", f"inference nodes: 95 % quantile of the same; {_BINNED}"),
    *PARTS,
)
_GROUP = {name: place for place, (name, _, _) in enumerate(GROUP_COLUMNS)}


class Record:
    """Arrays that fill up as epochs end.

    Attributes
    ----------
    groups
        Shape (epochs, groups + 1, columns); the last group is the whole network.
    network
        Shape (epochs, columns); NaN in epochs after the network halted, whose groups are 0.
    sums
        Sums over epochs for every node: epochs, jobs, reward, received, cost, slashed, capital,
        busy seconds; shape (8, N).
    parts
        Sums over epochs of what pay was for and audits took, shape (6, N).
    pay
        The tokens of every node, job by job.
    """

    def __init__(self, economy: Economy) -> None:
        self._economy = economy
        settings, population = economy.settings, economy.game.population
        count = len(population.groups)
        self.starts = np.searchsorted(population.group, np.arange(count))
        self.groups: Array = np.zeros((settings.epochs, count + 1, len(GROUP_COLUMNS)))
        self.network: Array = np.full((settings.epochs, len(NETWORK_COLUMNS)), math.nan)
        self.sums: Array = np.zeros((8, population.size))
        self.parts: Array = np.zeros((len(PARTS), population.size))
        self.pay = Pay(economy)
        self._burned = 0.0

    def add_empty(self) -> None:
        """Keep an epoch in which nothing happens: queries, if any come, find nobody."""
        self.groups[self._economy.epoch] = 0.0

    def add(self, end: EpochEnd) -> None:
        """Keep an epoch."""
        economy, flows = self._economy, end.flows
        roster, takings, outcome = economy.roster, economy.takings, end.played.outcome
        first, active = roster.inference, end.active
        busy = np.concatenate([takings.busy_s, np.zeros(roster.size - first)])
        per_node = np.array(
            [
                active,
                active & end.deviated,
                economy.books.nodes[Holding.BOND],
                outcome.jobs,
                flows.paid,
                flows.running,
                flows.slashed,
                flows.profit,
                np.where(active, self._standing(), 0.0),
                busy,
            ]
        )
        rows = self.groups[economy.epoch]
        rows[:-1] = np.add.reduceat(per_node, self.starts, axis=1).T  # groups lie side by side
        rows[-1] = rows[:-1].sum(axis=0)
        self._average(rows)
        self.network[economy.epoch] = self._network(end)
        self.sums += np.array(
            [
                active,
                outcome.jobs,
                flows.paid,
                flows.received,
                flows.running,
                flows.slashed,
                flows.capital,
                busy,
            ]
        )
        self.parts += np.array(flows.parts)
        self.pay.add(end)

    def _standing(self) -> Array:
        economy = self._economy
        return np.concatenate([economy.reputation, economy.memory.trust.mean(axis=1)])

    def _average(self, rows: Array) -> None:
        """Turn sums of trust and busy seconds into means."""
        economy = self._economy
        nodes = rows[:, _GROUP["nodes"]]
        with np.errstate(invalid="ignore", divide="ignore"):
            rows[:, _GROUP["trust"]] /= nodes
            places = nodes * economy.settings.service.capacity * 3600.0 * economy.hours
            rows[:, _GROUP["busy"]] /= places
        evaluators = [g.role == "evaluator" for g in economy.game.population.groups]
        rows[[*evaluators, False], _GROUP["busy"]] = math.nan
        rows[-1, _GROUP["trust"]] = math.nan  # of weights and reputations there is no mean
        rows[-1, _GROUP["busy"]] = self._utilisation()

    def _utilisation(self) -> float:
        economy = self._economy
        active = self.groups[economy.epoch, :-1, _GROUP["nodes"]]
        inference = [g.role == "inference" for g in economy.game.population.groups]
        places = float(active[inference].sum()) * economy.settings.service.capacity
        return float(economy.takings.busy_s.sum()) / (places * 3600.0 * economy.hours)

    def _network(self, end: EpochEnd) -> list[float]:
        economy, flows = self._economy, end.flows
        takings, roster, books = economy.takings, economy.roster, economy.books
        served = int(takings.served[0])
        rules = end.played.rules
        quality = float(takings.sums[0]) / served / 10.0 if served else math.nan
        value = economy.settings.demand.value * float(takings.sums[0]) / 10.0
        bonds = np.maximum(books.nodes[Holding.BOND], 0.0)
        first = roster.inference
        staked, bad = bonds[first:], end.deviated[first:]
        burned = float(books.funds[Fund.BURNED])
        rewards = np.maximum(flows.paid, 0.0)
        by_operator = np.bincount(roster.operator, rewards, roster.size)
        held = np.bincount(roster.operator, bonds, roster.size)
        row = [
            float(end.played.count),
            float(end.played.count - served),
            *percentiles(self._latencies(end.played.count), _LATENCY_SHARES),
            quality,
            end.price,
            rules.alpha_inference,
            rules.beta_inference,
            rules.alpha_evaluator,
            rules.beta_evaluator,
            float(economy.coefficients.held),
            flows.fees,
            flows.minted,
            burned - self._burned,
            float(books.funds[Fund.TREASURY]),
            float(books.funds[Fund.NETWORK]),
            value - float(flows.running.sum()),
            gini(rewards[end.active]),
            hhi(by_operator),
            nakamoto_coefficient(held),
            float(staked[bad].sum() / staked.sum()) if staked.sum() > 0.0 else math.nan,
            books.imbalance(),
        ]
        self._burned = burned
        return row

    def _latencies(self, count: int) -> Array:
        """Return waiting and service of the queries that the epoch served, in seconds."""
        play = self._economy.play
        served = play.assigned.node[:count] >= 0
        latencies: Array = (play.queries.wait[:count] + play.queries.service[:count])[served]
        return latencies

    def nodes(self) -> Array:
        """Return what every node did over all epochs, shape (N, columns of ``NODE_COLUMNS``)."""
        economy = self._economy
        roster, books = economy.roster, economy.books
        epochs, jobs, reward, received, running, slashed, capital, busy = self.sums
        first = roster.inference
        with np.errstate(invalid="ignore", divide="ignore"):
            places = epochs * economy.settings.service.capacity * 3600.0 * economy.hours
            share = np.where(np.arange(roster.size) < first, busy / places, math.nan)
        latency = np.full((2, roster.size), math.nan)
        for row, q in enumerate(_LATENCY_SHARES):
            for node in range(first):
                latency[row, node] = cell_percentile(economy.takings.latencies, node, q)
        return np.array(
            [
                epochs,
                epochs / economy.settings.epochs,
                jobs,
                reward,
                received,
                running,
                slashed,
                capital,
                reward + received - running - slashed - capital,
                books.nodes[Holding.WALLET],
                books.nodes[Holding.BOND],
                self._standing(),
                share,
                *latency,
                *self.parts,
            ]
        ).T
