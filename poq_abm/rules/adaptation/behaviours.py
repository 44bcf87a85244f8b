"""Which behaviour to show: by imitation, by best response, by trial and error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.adaptation.base import RATE, ROLE, TEMPERATURE, Adaptation, SettledEpoch
from poq_abm.rules.adaptation.choosing import choose, imitate
from poq_abm.rules.rule import Parameter, Source

__all__ = ["BestResponse", "EpsilonGreedy", "Imitation"]

Array = NDArray[np.float64]


class Imitation(Adaptation):
    """Now and then a node looks at another one and copies it the more likely, the better it did."""

    name = "imitation"
    formula = "copies with chance 1 / (1 + exp(-(profit' - profit) / temperature))"
    source = Source(
        "assumed",
        "ours; the Fermi rule is that of Traulsen, Nowak and Pacheco (2006), "
        "rate and mutation are not",
    )
    parameters = {
        "role": ROLE,
        "rate": RATE,
        "temperature": TEMPERATURE,
        "mutation": Parameter(
            "chance of any behaviour instead", 0.0, low=0.0, high=1.0, unit="per revision"
        ),
    }
    draws = 5

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Let each node copy another one's behaviour, or try any."""
        nodes = end.staying(self.values["role"])
        copied = np.empty(nodes.size, np.int64)
        rate, temperature = self.values["rate"], self.values["temperature"]
        imitate(end.profit, nodes, float(rate), float(temperature), draws, copied)
        behaviours = end.was[copied]
        options = end.population.options(self.values["role"])
        mutates = draws[3, nodes] < self.values["mutation"]
        place = np.minimum((draws[4, nodes] * options.size).astype(np.int64), options.size - 1)
        decides = mutates | (copied != nodes)  # others keep what an earlier rule made of them
        chosen = np.where(mutates, options[place], behaviours)
        end.adopt(nodes[decides], chosen[decides])


class BestResponse(Adaptation):
    """A few nodes each work out what every behaviour would have paid, and choose by the logit rule.

    The payoffs are paired counterfactuals: the epoch played again with the same draws, everybody
    else as they were.
    """

    name = "best_response"
    formula = "behaviour drawn in proportion to exp(payoff / temperature)"
    source = Source(
        "assumed",
        "ours; the logit response is that of McKelvey and Palfrey (1995), "
        "who revises and when is not",
    )
    parameters = {
        "role": ROLE,
        "revisions": Parameter(
            "how many revise", 1.0, low=0.0, high=1000.0, unit="nodes per epoch"
        ),
        "temperature": TEMPERATURE,
    }
    draws = 2
    replays = True

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Let the nodes of the lowest draws revise, one after the other."""
        role = self.values["role"]
        nodes, options = end.staying(role), end.population.options(role)
        chosen = nodes[np.argsort(draws[0, nodes], kind="stable")][: int(self.values["revisions"])]
        for node in chosen:
            payoffs = np.array([end.payoff_if(int(node), int(option)) for option in options])
            best = options[choose(payoffs, float(self.values["temperature"]), draws[1, node])]
            end.adopt(np.array([node]), np.array([best]))


class EpsilonGreedy(Adaptation):
    """Every node remembers what each behaviour paid, plays the best, and now and then tries any."""

    name = "epsilon_greedy"
    formula = "with chance epsilon any behaviour, else that of the highest remembered profit"
    source = Source(
        "assumed", "ours to use here; the rule is from Sutton and Barto (2018), chapter 2"
    )
    parameters = {
        "role": ROLE,
        "epsilon": Parameter(
            "chance of trying any behaviour", 0.1, low=0.0, high=1.0, unit="per epoch"
        ),
        "memory": Parameter(
            "weight of the last epoch in what is remembered", 0.3, low=0.0, high=1.0, unit="share"
        ),
    }
    draws = 2

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._remembered: Array | None = None  #: (N, options); NaN where never tried

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Update what is remembered, then choose."""
        role = self.values["role"]
        nodes, options = end.staying(role), end.population.options(role)
        if self._remembered is None:
            self._remembered = np.full((end.population.size, options.size), np.nan)
        self._remembered[~end.active] = np.nan  # who takes up a free row has no memory
        place = np.searchsorted(options, end.was[nodes])
        known = self._remembered[nodes, place]
        paid = end.profit[nodes]
        weight = self.values["memory"]
        self._remembered[nodes, place] = np.where(
            np.isnan(known), paid, known + weight * (paid - known)
        )
        hopeful = np.nan_to_num(self._remembered[nodes], nan=-np.inf)
        best = np.argmax(hopeful, axis=1)
        any_place = np.minimum((draws[1, nodes] * options.size).astype(np.int64), options.size - 1)
        explores = draws[0, nodes] < self.values["epsilon"]
        end.adopt(nodes, options[np.where(explores, any_place, best)])
