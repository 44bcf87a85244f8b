"""What the tests of the network and of its two engines share: small games, ways to play them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import poq_abm
from poq_abm.limits import MAX_ROUNDS
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.buffers import ReplicationKey, open_buffers
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import Ledger, open_ledger
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.population import find_active
from poq_abm.simulation.replication import Memory, Replication, Trace, open_memory, open_trace
from poq_abm.simulation.rounds import play_rounds


def published(**settings: Any) -> Scenario:
    """The published scenario with changes; ``__`` stands for the dot of a path."""
    changes = {path.replace("__", "."): value for path, value in settings.items()}
    return poq_abm.load("cost_aware_poq").replace(changes)


def game_of(scenario: Scenario, profile: Profile | None = None) -> Game:
    return build_game(scenario, profile or poq_abm.load_profile(scenario.profile))


def small_profile(
    records: tuple[int, ...] = (3, 2),
    models: int = 2,
    evaluators: int = 3,
    seed: int = 0,
    latency_ms: tuple[float, ...] | None = None,
) -> Profile:
    """A profile in memory: ``records`` per task, models ``f0 f1 ..``, evaluators ``m0 m1 ..``."""
    chance = np.random.default_rng(seed)
    count = sum(records)
    nodes = [f"f{i}" for i in range(models)] + [f"m{i}" for i in range(evaluators)]
    latency = latency_ms or tuple(chance.uniform(1.0, 2000.0, len(nodes)))
    roles = ["inference"] * models + ["evaluator"] * evaluators
    return Profile(
        name="small",
        content_hash="0" * 64,
        tasks=tuple(f"t{i}" for i in range(len(records))),
        records=tuple(f"r{i}" for i in range(count)),
        task_of_record=np.repeat(np.arange(len(records)), records),
        models=tuple(nodes[:models]),
        evaluators=tuple(nodes[models:]),
        scores=chance.uniform(0.0, 10.0, (count, models, evaluators)),
        truth=chance.uniform(0.0, 10.0, (count, models)),
        judge=np.full((count, models), np.nan),
        costs=pd.DataFrame(
            {"role": roles, "node": nodes, "hardware": "gpu", "latency_ms": latency}
        ),
        provenance={},
    )


def memory_of(game: Game, scenario: Scenario, replication: int = 0) -> Memory:
    key = ReplicationKey(scenario.seed, replication)
    memory = open_memory(game.arrays, key, scenario.rounds)
    memory.trust_log.fill(np.nan)
    return memory


def play_compiled(
    game: Game,
    scenario: Scenario,
    first: int,
    last: int,
    *,
    replication: int = 0,
    ledger: Ledger | None = None,
    memory: Memory | None = None,
    plain: bool | None = None,
) -> tuple[Ledger, Trace]:
    """Play a stretch in the compiled loop; return the ledger and the stretch's trace.

    ``plain`` chooses the loop; by default the game does.
    """
    plain = game.plain if plain is None else plain
    ledger = open_ledger(game.population.size) if ledger is None else ledger
    memory = memory_of(game, scenario, replication) if memory is None else memory
    trace = open_trace(last - first, game.rules.committee_size)
    key = ReplicationKey(scenario.seed, replication)
    kept = Replication(key, open_buffers(game.rules, game.nodes), ledger, memory)
    active = None if plain else find_active(game.conduct)
    play_rounds(first, last, game.arrays, kept, active, trace, game.kernels)
    return ledger, trace


def model_of(
    game: Game, scenario: Scenario, replication: int = 0, start: int = 0, **classes: Any
) -> PoQModel:
    """A model about to play round ``start``, and on past the scenario's end.

    What its trust log does not hold yet is NaN.
    """
    model = PoQModel(scenario, replication=replication, game=game, **classes)
    model.rounds = MAX_ROUNDS - 1
    model.memory.trust_log.fill(np.nan)
    model.rounds_played = start
    return model


def assert_same_bits(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Ledgers or traces are equal column by column, to the last bit (and sign of zero)."""
    assert type(one) is type(other)
    for name, left, right in zip(one._fields, one, other, strict=True):  # type: ignore[attr-defined]
        if isinstance(left, tuple):
            assert_same_bits(left, right)
            continue
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes(), name


def rows(trace: Trace, chosen: Any) -> Trace:
    """The same rows of every column."""
    return Trace(*(np.ascontiguousarray(column[chosen]) for column in trace))
