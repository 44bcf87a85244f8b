"""The published mechanism in JAX: many rounds as one compiled array program, with doubles."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.worker import PublishedGame, Reals, serve

jax.config.update("jax_enable_x64", True)
ROUNDS = 50_000


class JaxArrays:
    """A jitted function from a key to what every account grows by."""

    chunk = ROUNDS

    def __init__(self, game: PublishedGame) -> None:
        tables = [jnp.asarray(table) for table in game[:-1]]
        self.step: Any = jax.jit(partial(_play, game.committee), donate_argnums=1)
        self.tables = tables
        self.key = jax.random.key(1)
        self.sums = jnp.zeros((game.nodes, 5))

    def play(self) -> None:
        """Play on."""
        self.key, key = jax.random.split(self.key)
        self.sums = self.step(key, self.sums, *self.tables)
        self.sums.block_until_ready()

    def accounts(self) -> Reals:
        """Return the sums."""
        return np.array(self.sums)


def _play(
    size: int, key: Any, sums: Any, scores: Any, truth: Any, first: Any, records: Any, ends: Any,
    model: Any, evaluator: Any, cost: Any, evaluator_cost: Any, coefficients: Any,
) -> Any:  # fmt: skip
    alpha, beta, alpha_evaluator, beta_evaluator = coefficients
    nodes = model.size
    keys = jax.random.split(key, 3 + size)
    drawn = jax.random.uniform(keys[0], ROUNDS, dtype=jnp.float64)
    task = jnp.minimum(jnp.searchsorted(ends, drawn), ends.size - 1)
    record = first[task] + jax.random.randint(keys[1], ROUNDS, 0, records[task])
    node = jax.random.randint(keys[2], ROUNDS, 0, nodes)
    seats: Any = []
    for seat in range(size):
        other = jax.random.randint(keys[3 + seat], ROUNDS, 0, evaluator.size - seat)
        for earlier in jnp.sort(jnp.array(seats), axis=0) if seats else []:
            other += other >= earlier  # over those that sit already
        seats.append(other)
    seats = jnp.array(seats)
    scored = scores[record, model[node], evaluator[seats]]
    consensus, true = scored.mean(axis=0), truth[record, model[node]]
    near = 1.0 - jnp.abs(scored - consensus) / 10.0
    one = jnp.ones(ROUNDS)
    pay = alpha * consensus / 10.0 - beta * cost[node]
    sums = sums.at[node].add(jnp.stack([one, pay, consensus, true, 0.0 * one], axis=1))
    pays = alpha_evaluator * near - beta_evaluator * evaluator_cost[seats]
    for seat in range(size):
        rows = jnp.stack([one, pays[seat], consensus, true, near[seat]], axis=1)
        sums = sums.at[nodes + seats[seat]].add(rows)
    return sums


if __name__ == "__main__":
    serve(JaxArrays, "jax")
