"""What is kept of every epoch: by group, and for the network as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.epochs.accounts import Fund, Holding
from poq_abm.simulation.epochs.payment import PARTS
from poq_abm.simulation.histograms import RELATIVE_ERROR, cell_percentile, percentiles
from poq_abm.simulation.inequality import gini, hhi, nakamoto_coefficient
from poq_abm.simulation.settlement import EpochPay

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy_state import EconomyState
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["GROUP_COLUMNS", "NETWORK_COLUMNS", "NODE_COLUMNS", "EpochRecord"]

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
#: what is summed over epochs for every node, besides what its pay was for
_SUMMED = (
    *("epochs", "jobs", "reward", "received", "cost_in_money", "slashed", "capital", "busy_s"),
)


def _in_order(columns: tuple[tuple[str, str, str], ...], values: Mapping[str, object]) -> Array:
    """Return named values in the order of the columns that declare them, each exactly once."""
    names = [name for name, _, _ in columns]
    if set(names) != set(values):
        raise KeyError(f"columns and values differ in {sorted(set(names) ^ set(values))}")
    return np.array([values[name] for name in names], dtype=np.float64)


class EpochRecord:
    """Arrays that fill up as epochs end.

    Attributes
    ----------
    groups
        Shape (epochs, groups + 1, columns); the last group is the whole network.
    network
        Shape (epochs, columns); NaN in epochs after the network halted, whose groups are 0.
    sums
        Sums over epochs for every node by name: ``epochs``, ``jobs``, ``reward``, ``received``,
        ``cost_in_money``, ``slashed``, ``capital``, ``busy_s`` (seconds of service), and those of
        :data:`~poq_abm.simulation.epochs.payment.PARTS`; each of shape (N,).
    pay
        The tokens of every node, job by job.
    """

    def __init__(self, economy: EconomyState) -> None:
        self._economy = economy
        settings, population = economy.settings, economy.game.population
        count = len(population.groups)
        self.starts = np.searchsorted(population.group, np.arange(count))
        self.groups: Array = np.zeros((settings.epochs, count + 1, len(GROUP_COLUMNS)))
        self.network: Array = np.full((settings.epochs, len(NETWORK_COLUMNS)), math.nan)
        summed = (*_SUMMED, *(name for name, _, _ in PARTS))
        self.sums: dict[str, Array] = {name: np.zeros(population.size) for name in summed}
        self.pay = EpochPay(economy.game)
        roles = [group.role for group in population.groups]
        self._of_evaluators = np.array([*(role == "evaluator" for role in roles), False])
        self._burned = 0.0

    def add_empty(self) -> None:
        """Keep an epoch in which nothing happens: queries, if any come, find nobody."""
        self.groups[self._economy.epoch] = 0.0

    def add(self, end: EpochEnd) -> None:
        """Keep an epoch."""
        economy, flows = self._economy, end.flows
        population, totals, performance = economy.population, economy.totals, end.played.performance
        busy = np.concatenate([totals.busy_s, np.zeros(population.size - population.inference)])
        per_node = {
            "nodes": end.active,
            "deviating": end.active & end.deviated,
            "stake": economy.accounts.nodes[Holding.BOND],
            "jobs": performance.jobs,
            "reward": flows.paid,
            "cost_in_money": flows.running,
            "slashed": flows.slashed,
            "profit": flows.profit,
            "trust": np.where(end.active, self._trust(), 0.0),
            "busy": busy,
        }
        rows = self.groups[economy.epoch]  # groups lie side by side
        rows[:-1] = np.add.reduceat(_in_order(GROUP_COLUMNS, per_node), self.starts, axis=1).T
        rows[-1] = rows[:-1].sum(axis=0)
        self._average(rows, end.utilisation)
        self.network[economy.epoch] = _in_order(NETWORK_COLUMNS, self._network(end))
        summed = {
            "epochs": end.active,
            "jobs": performance.jobs,
            "reward": flows.paid,
            "received": flows.received,
            "cost_in_money": flows.running,
            "slashed": flows.slashed,
            "capital": flows.capital,
            "busy_s": busy,
            **flows.parts._asdict(),
        }
        for name, amounts in summed.items():
            self.sums[name] += amounts
        self.pay.add(
            performance.sums,
            flows.paid,
            np.where(flows.parts.forfeited > 0.0, 0.0, flows.point_price),
            end.deviated,
            end.played.cost,
            end.played.latency_ms,
        )

    def _trust(self) -> Array:
        """Return the mean trust of evaluators and the reputation of inference nodes, shape (N,)."""
        economy = self._economy
        return np.concatenate([economy.reputation, economy.memory.trust.mean(axis=1)])

    def _average(self, rows: Array, utilisation: float) -> None:
        """Turn sums of trust and busy seconds into means."""
        economy = self._economy
        nodes = rows[:, _GROUP["nodes"]]
        places = nodes * economy.settings.service.capacity * 3600.0 * economy.hours
        with np.errstate(invalid="ignore", divide="ignore"):
            rows[:, _GROUP["trust"]] /= nodes
            rows[:, _GROUP["busy"]] /= places
        rows[self._of_evaluators, _GROUP["busy"]] = math.nan
        rows[-1, _GROUP["trust"]] = math.nan  # of weights and reputations there is no mean
        rows[-1, _GROUP["busy"]] = utilisation

    def _network(self, end: EpochEnd) -> dict[str, float]:
        economy, flows, rules = self._economy, end.flows, end.played.game.rules
        totals, accounts = economy.totals, economy.accounts
        served = int(totals.served[0])
        median, late = percentiles(self._latencies(end.played.count), _LATENCY_SHARES)
        value = economy.settings.demand.value * float(totals.sums[0]) / 10.0
        burned = float(accounts.funds[Fund.BURNED])
        before, self._burned = self._burned, burned
        return {
            "queries": float(end.played.count),
            "dropped": float(end.played.count - served),
            "latency_p50": median,
            "latency_p95": late,
            "quality": float(totals.sums[0]) / served / 10.0 if served else math.nan,
            "price": end.price,
            "alpha_inference": rules.alpha_inference,
            "beta_inference": rules.beta_inference,
            "alpha_evaluator": rules.alpha_evaluator,
            "beta_evaluator": rules.beta_evaluator,
            "bounded": float(economy.coefficients.held),
            "fees": flows.fees,
            "emissions": flows.minted,
            "burned": burned - before,
            "treasury": float(accounts.funds[Fund.TREASURY]),
            "network_income": float(accounts.funds[Fund.NETWORK]),
            "welfare": value - float(flows.running.sum()),
            **self._concentration(end),
            "imbalance": accounts.imbalance(),
        }

    def _concentration(self, end: EpochEnd) -> dict[str, float]:
        """Return how unequal rewards and bonds are at the end of an epoch."""
        population = self._economy.population
        bonds = np.maximum(self._economy.accounts.nodes[Holding.BOND], 0.0)
        staked, bad = bonds[population.inference :], end.deviated[population.inference :]
        rewards = np.maximum(end.flows.paid, 0.0)
        held = np.bincount(population.operator, bonds, population.size)
        return {
            "gini": gini(rewards[end.active]),
            "hhi": hhi(np.bincount(population.operator, rewards, population.size)),
            "nakamoto": nakamoto_coefficient(held),
            "malicious_stake": (
                float(staked[bad].sum() / staked.sum()) if staked.sum() > 0.0 else math.nan
            ),
        }

    def _latencies(self, count: int) -> Array:
        """Return waiting and service of the queries that the epoch served, in seconds."""
        rounds = self._economy.rounds
        served = rounds.assigned.node[:count] >= 0
        latencies: Array = (rounds.queries.wait[:count] + rounds.queries.service[:count])[served]
        return latencies

    @property
    def profit(self) -> Array:
        """Profit of every node over all epochs, shape (N,)."""
        sums = self.sums
        income: Array = sums["reward"] + sums["received"] - sums["cost_in_money"]
        return income - sums["slashed"] - sums["capital"]

    def nodes(self) -> Array:
        """Return what every node did over all epochs, shape (N, columns of ``NODE_COLUMNS``)."""
        economy, sums = self._economy, self.sums
        population, accounts = economy.population, economy.accounts
        first = population.inference
        with np.errstate(invalid="ignore", divide="ignore"):
            places = sums["epochs"] * economy.settings.service.capacity * 3600.0 * economy.hours
            share = np.where(np.arange(population.size) < first, sums["busy_s"] / places, math.nan)
        latency = np.full((2, population.size), math.nan)
        for row, q in enumerate(_LATENCY_SHARES):
            for node in range(first):
                latency[row, node] = cell_percentile(economy.totals.latencies, node, q)
        values = {
            **{name: amounts for name, amounts in sums.items() if name != "busy_s"},
            "presence": sums["epochs"] / economy.settings.epochs,
            "profit": self.profit,
            "wallet": accounts.nodes[Holding.WALLET],
            "stake": accounts.nodes[Holding.BOND],
            "trust": self._trust(),
            "busy": share,
            "latency_p50": latency[0],
            "latency_p95": latency[1],
        }
        return _in_order(NODE_COLUMNS, values).T
