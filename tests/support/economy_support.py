"""What the tests of the economy share: small profiles, small economies, what their accounts say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import poq_abm
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS, NODE_COLUMNS
from poq_abm.simulation.game import build_game

Array = NDArray[np.float64]

GROUP = {name: place for place, (name, _, _) in enumerate(GROUP_COLUMNS)}
NETWORK = {name: place for place, (name, _, _) in enumerate(NETWORK_COLUMNS)}
NODE = {name: place for place, (name, _, _) in enumerate(NODE_COLUMNS)}


def small_profile(
    latency_ms: tuple[float, ...] = (1000.0, 2000.0, 50.0, 100.0, 100.0),
    models: int = 2,
    records: tuple[int, ...] = (3, 2),
    scores: float | None = None,
    hardware: str = "gpu",
    seed: int = 0,
) -> Profile:
    """A profile in memory: models ``f0 f1 ..``, evaluators ``m0 m1 ..``, as many as latencies.

    ``scores`` makes everybody score everything alike.
    """
    chance = np.random.default_rng(seed)
    count, evaluators = sum(records), len(latency_ms) - models
    nodes = [f"f{i}" for i in range(models)] + [f"m{i}" for i in range(evaluators)]
    drawn = chance.uniform(0.0, 10.0, (count, models, evaluators))
    return Profile(
        name="small",
        content_hash="0" * 64,
        tasks=tuple(f"t{i}" for i in range(len(records))),
        records=tuple(f"r{i}" for i in range(count)),
        task_of_record=np.repeat(np.arange(len(records)), records),
        models=tuple(nodes[:models]),
        evaluators=tuple(nodes[models:]),
        scores=drawn if scores is None else np.full_like(drawn, scores),
        truth=chance.uniform(0.0, 10.0, (count, models)),
        judge=np.full((count, models), np.nan),
        costs=pd.DataFrame(
            {
                "role": ["inference"] * models + ["evaluator"] * evaluators,
                "node": nodes,
                "hardware": hardware,
                "latency_ms": latency_ms,
            }
        ),
        provenance={},
    )


PROFILE = small_profile()
PEOPLE: dict[str, Any] = {
    "inference": [{"model": "f0", "count": 2}, {"model": "f1", "count": 2}],
    "evaluators": [{"model": "m0", "count": 2}, {"model": "m1"}, {"model": "m2", "count": 2}],
}


def scenario_of(
    economy: dict[str, Any] | None = None, rounds: int = 240, **changes: Any
) -> Scenario:
    """A small scenario on the small profile; ``__`` stands for the dot of a path."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": rounds,
            "replications": 2,
            "tasks": None,
            "population": PEOPLE,
            "economy": economy,
            **paths,
        }
    )


def economy_on(scenario: Scenario, profile: Profile = PROFILE, replication: int = 0) -> Economy:
    """An economy before its first epoch."""
    poq_abm.scenario.check(scenario, profile)
    return Economy(scenario, build_game(scenario, profile), profile, replication)


def opened(
    economy: dict[str, Any],
    rounds: int = 240,
    profile: Profile = PROFILE,
    replication: int = 0,
    **changes: Any,
) -> Economy:
    """A small economy before its first epoch."""
    return economy_on(scenario_of(economy, rounds, **changes), profile, replication)


def played(economy: dict[str, Any], *arguments: Any, **changes: Any) -> Economy:
    """A small economy after its last epoch."""
    made = opened(economy, *arguments, **changes)
    made.run()
    return made


def network(economy: Economy, name: str) -> Array:
    """One network column, epoch by epoch."""
    return economy.record.network[:, NETWORK[name]]


def groups(economy: Economy, name: str) -> Array:
    """One group column, shape (epochs, groups + 1)."""
    return economy.record.groups[:, :, GROUP[name]]


def account(economy: Economy, name: str) -> Array:
    """One column of the nodes' accounts, shape (N,)."""
    return economy.record.nodes()[:, NODE[name]]


def held(economy: Economy, account: Holding) -> Array:
    """What the nodes have in an account."""
    return economy.accounts.nodes[account]
