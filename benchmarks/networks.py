"""The networks that are timed: from the published one to ten thousand nodes of each kind."""

from __future__ import annotations

from typing import Any, NamedTuple

import poq_abm
from poq_abm.scenario import Scenario
from poq_abm.simulation.model import PoQModel

__all__ = ["NETWORKS", "ROUNDS", "SCENARIO", "Network", "model_of", "scenario_of"]

SCENARIO = "cost_aware_poq"


ROUNDS = 10**9  # more than anybody plays: a model ends with its scenario


class Network(NamedTuple):
    """Numbers of inference nodes F and evaluators M, and the committee size K."""

    inference: int
    evaluators: int
    committee: int

    @property
    def label(self) -> str:
        """The three numbers as one word."""
        return f"F={self.inference},M={self.evaluators},K={self.committee}"


NETWORKS = (Network(5, 3, 3), Network(100, 50, 5), Network(10_000, 10_000, 7))


def scenario_of(network: Network) -> Scenario:
    """Return the published scenario with its models spread evenly over a network of this size."""
    scenario = poq_abm.load(SCENARIO)
    people = scenario.resolved()["population"]
    return scenario.replace(
        {
            "population.inference": _spread(people["inference"], network.inference),
            "population.evaluators": _spread(people["evaluators"], network.evaluators),
            "mechanism.committee_size": network.committee,
            "rounds": ROUNDS,
        }
    )


def model_of(network: Network) -> PoQModel:
    """Return a fresh model of a network."""
    return PoQModel(scenario_of(network))


def _spread(groups: list[dict[str, Any]], nodes: int) -> list[dict[str, Any]]:
    share, rest = divmod(nodes, len(groups))
    return [{**group, "count": share + (i < rest)} for i, group in enumerate(groups)]
