"""What to run on what: better hardware where it pays, the model of a node that does better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.adaptation.base import RATE, TEMPERATURE, Adaptation
from poq_abm.rules.adaptation.choosing import imitate
from poq_abm.rules.behaviour.base import Parameter
from poq_abm.rules.payment.rewards import family_reward

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["ModelSwitch", "Upgrade"]

Array = NDArray[np.float64]


class Upgrade(Adaptation):
    """An inference node changes its machine where the epoch would have paid more on another one.

    The projection keeps the jobs, and their quality, as they were: what changes is the cost that
    rewards charge and what the machine costs to run.
    """

    name = "upgrade"
    formula = "changes if horizon x projected gain > price of the change"
    source = "ours"
    parameters = {
        "rate": RATE,
        "price": Parameter("tokens that a change of hardware costs", 0.0, low=0.0),
        "horizon": Parameter("epochs over which the gain is counted", 10.0, low=1.0),
    }
    draws = 1

    def revise(self, end: EpochEnd, draws: Array) -> None:
        """Let each node that revises compare all machines of the roster."""
        roster = end.roster
        for node in end.staying("inference"):
            if draws[0, node] >= self.values["rate"]:
                continue
            gains = [self._gain(end, int(node), m) for m in range(len(roster.machines))]
            best = int(np.argmax(gains))
            if gains[best] * self.values["horizon"] > self.values["price"]:
                end.change_machine(int(node), best, self.values["price"])

    def _gain(self, end: EpochEnd, node: int, machine: int) -> float:
        """Return the projected gain an epoch, in tokens; minus infinity where it cannot run."""
        roster = end.roster
        if machine == roster.machine[node]:
            return 0.0
        if not roster.fits(int(roster.model[node]), machine):
            return -np.inf
        return self._worth(end, node, machine) - self._worth(end, node, int(roster.machine[node]))

    def _worth(self, end: EpochEnd, node: int, machine: int) -> float:
        roster, performance, rules = end.roster, end.played.performance, end.played.rules
        jobs, quality = performance.jobs[node], performance.quality[node]
        cost, running = roster.costs_on(end.economy, node, machine, float(jobs))
        if jobs == 0.0:
            return -running
        reward = family_reward(
            rules.reward_family,
            rules.reward_parameter,
            1.0,
            rules.alpha_inference,
            rules.beta_inference,
            10.0 * float(quality),
            cost,
        )
        # A pool pays one price for all points of a role, but none to who has less than none.
        price = float(end.flows.point_price[: roster.inference].max())
        points = float(jobs * reward)
        owed = end.economy.settings.payment.scheme == "per_round"
        return price * (points if owed else max(points, 0.0)) - running


class ModelSwitch(Adaptation):
    """An inference node takes over the model of another one the more likely, the better it did."""

    name = "model_switch"
    formula = "copies the model with chance 1 / (1 + exp(-(profit' - profit) / temperature))"
    source = "Fermi rule (Traulsen, Nowak and Pacheco, 2006), applied to models"
    parameters = {
        "rate": RATE,
        "temperature": TEMPERATURE,
        "mutation": Parameter(
            "chance of any model of economy.options.models instead", 0.0, low=0.0, high=1.0
        ),
    }
    draws = 5

    def revise(self, end: EpochEnd, draws: Array) -> None:
        """Let each node copy the model of another one, if its own machine holds it."""
        roster, nodes = end.roster, end.staying("inference")
        copied = np.empty(nodes.size, np.int64)
        rate, temperature = float(self.values["rate"]), float(self.values["temperature"])
        imitate(end.profit, nodes, rate, temperature, draws, copied)
        models = roster.model[copied]
        if roster.model_options.size:
            options = roster.model_options
            place = np.minimum((draws[4, nodes] * options.size).astype(np.int64), options.size - 1)
            models = np.where(draws[3, nodes] < self.values["mutation"], options[place], models)
        for node, model in zip(nodes, models, strict=True):
            if model != roster.model[node] and roster.fits(int(model), int(roster.machine[node])):
                end.change_model(int(node), int(model))
