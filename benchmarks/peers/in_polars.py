"""The published mechanism in Polars: scores as a long table, rounds joined to it and grouped."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.peers.worker import PublishedGame, Reals, committees, serve


class PolarsTables:
    """Draws by NumPy; look-ups, consensus, pay and accounts by joins and groups."""

    chunk = 20_000

    def __init__(self, game: PublishedGame) -> None:
        self.game = game
        self.rng = np.random.default_rng(1)
        self.sums = np.zeros((game.nodes, 5))
        evaluators = game.scores.shape[2]
        record, model, evaluator = np.indices(game.scores.shape).reshape(3, -1)
        self.scores = pl.LazyFrame(
            {"record": record, "model": model, "evaluator": evaluator,
             "score": game.scores.ravel(), "truth": np.repeat(game.truth.ravel(), evaluators)}
        )  # fmt: skip
        size = game.model.size
        self.inference = pl.LazyFrame(
            {"node": np.arange(size), "model": game.model, "cost": game.inference_cost}
        )
        self.evaluators = pl.LazyFrame(
            {"member": size + np.arange(game.evaluator.size), "evaluator": game.evaluator,
             "member_cost": game.evaluator_cost}
        )  # fmt: skip

    def play(self) -> None:
        """Play on."""
        game, rng = self.game, self.rng
        alpha, beta, alpha_evaluator, beta_evaluator = game.coefficients.tolist()
        task = np.minimum(np.searchsorted(game.task_ends, rng.random(self.chunk)),
                          game.task_ends.size - 1)  # fmt: skip
        seats = committees(rng, self.chunk, game.evaluator.size, game.committee)
        rounds = pl.LazyFrame(
            {
                "round": np.arange(self.chunk),
                "record": game.task_first[task] + rng.integers(game.task_size[task]),
                "node": rng.integers(game.model.size, size=self.chunk),
                "member": game.model.size + seats.T,
            }
        )
        consensus = pl.col("score").mean().over("round").alias("consensus")
        near = 1.0 - (pl.col("score") - pl.col("consensus")).abs() / 10.0
        played = (
            rounds.join(self.inference, on="node")
            .explode("member")
            .join(self.evaluators, on="member")
            .join(self.scores, on=["record", "model", "evaluator"])
            .with_columns(consensus)
            .with_columns(near.alias("near"))
            .with_columns(
                reward=alpha_evaluator * pl.col("near") - beta_evaluator * pl.col("member_cost")
            )
        )
        members = played.group_by("member").agg(
            pl.len().cast(pl.Float64), pl.sum("reward", "consensus", "truth", "near")
        )
        answered = (
            played.group_by("round")
            .agg(pl.first("node", "cost", "consensus", "truth"))
            .with_columns(reward=alpha * pl.col("consensus") / 10.0 - beta * pl.col("cost"))
            .group_by("node")
            .agg(pl.len().cast(pl.Float64), pl.sum("reward", "consensus", "truth"))
        )
        for found in pl.collect_all([members, answered]):
            rows = found.to_numpy()
            self.sums[rows[:, 0].astype(int), : rows.shape[1] - 1] += rows[:, 1:]

    def accounts(self) -> Reals:
        """Return the sums."""
        return self.sums.copy()


if __name__ == "__main__":
    serve(PolarsTables, "polars")
