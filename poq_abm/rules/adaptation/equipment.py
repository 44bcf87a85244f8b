"""What to run on what: better hardware where it pays, the model of a node that does better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.adaptation.base import RATE, TEMPERATURE, Adaptation, SettledEpoch
from poq_abm.rules.adaptation.choosing import imitate
from poq_abm.rules.rule import Parameter, Source

__all__ = ["ModelSwitch", "Upgrade"]

Array = NDArray[np.float64]


class Upgrade(Adaptation):
    """An inference node changes its machine where the epoch would have paid more on another one.

    The projection keeps the jobs, and their quality, as they were: what changes is the cost that
    rewards charge and what the machine costs to run.
    """

    name = "upgrade"
    formula = "changes if horizon x projected gain > price of the change"
    source = Source("assumed", "ours")
    parameters = {
        "rate": RATE,
        "price": Parameter("what a change of hardware costs", 0.0, low=0.0, unit="tokens"),
        "horizon": Parameter("how long the gain is counted", 10.0, low=1.0, unit="epochs"),
    }
    draws = 1

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Let each node that revises compare all machines of the population."""
        for node in end.staying("inference"):
            if draws[0, node] >= self.values["rate"]:
                continue
            gains = [self._gain(end, int(node), m) for m in range(len(end.population.machines))]
            best = int(np.argmax(gains))
            if gains[best] * self.values["horizon"] > self.values["price"]:
                end.change_machine(int(node), best, self.values["price"])

    def _gain(self, end: SettledEpoch, node: int, machine: int) -> float:
        """Return the projected gain an epoch, in tokens; minus infinity where it cannot run."""
        population = end.population
        if machine == population.machine[node]:
            return 0.0
        if not population.fits(int(population.model[node]), machine):
            return -np.inf
        return end.worth_on(node, machine) - end.worth_on(node, int(population.machine[node]))


class ModelSwitch(Adaptation):
    """An inference node takes over the model of another one the more likely, the better it did."""

    name = "model_switch"
    formula = "copies the model with chance 1 / (1 + exp(-(profit' - profit) / temperature))"
    source = Source("assumed", "Fermi rule (Traulsen, Nowak and Pacheco, 2006), applied to models")
    parameters = {
        "rate": RATE,
        "temperature": TEMPERATURE,
        "mutation": Parameter(
            "chance of any model of economy.options.models instead",
            0.0,
            low=0.0,
            high=1.0,
            unit="per revision",
        ),
    }
    draws = 5

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Let each node copy the model of another one, if its own machine holds it."""
        population, nodes = end.population, end.staying("inference")
        copied = np.empty(nodes.size, np.int64)
        rate, temperature = float(self.values["rate"]), float(self.values["temperature"])
        imitate(end.profit, nodes, rate, temperature, draws, copied)
        models = population.model[copied]
        if population.model_options.size:
            options = population.model_options
            place = np.minimum((draws[4, nodes] * options.size).astype(np.int64), options.size - 1)
            models = np.where(draws[3, nodes] < self.values["mutation"], options[place], models)
        for node, model in zip(nodes, models, strict=True):
            if model != population.model[node] and population.fits(
                int(model), int(population.machine[node])
            ):
                end.change_model(int(node), int(model))
