"""What nodes of a role would settle on: every solution of a game, with what is sure of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from poq_abm.analysis.equilibrium.alpha_rank import alpha_rank
from poq_abm.analysis.equilibrium.invasion import invasion_threshold
from poq_abm.analysis.equilibrium.logit_path import logit_path
from poq_abm.analysis.equilibrium.mixture_payoffs import mixture_payoffs
from poq_abm.analysis.equilibrium.reduced_game import ReducedGame
from poq_abm.analysis.equilibrium.regret import hoeffding_error, regret
from poq_abm.analysis.equilibrium.replicator import Basins, replicator_basins, simplex_grid
from poq_abm.analysis.equilibrium.symmetric import symmetric_equilibria
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval

__all__ = ["SolvedGame", "bootstrap_ends", "solve"]

Array = NDArray[np.float64]

RESAMPLES = 500
POPULATION = 50  #: of alpha-rank
#: of the logit path, in one over the spread of the game's payoffs
PRECISIONS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_STARTS = 40  # steps of the grid that basins are counted on, along an edge of two or three
_FEW = 12  # the same, of more strategies
_NEAR = 0.01
_MOST_ENDS = 4  # named in a sentence
_NUDGED = 0.001  # of a mix, to see whether it is stable


@dataclass(frozen=True)
class SolvedGame:
    """A game and its solutions.

    ``payoffs`` has a row for every composition of the others and strategy; ``equilibria`` one for
    every symmetric equilibrium of the mean payoffs and every pure mix, with its regret, whether it
    is stable under replicator dynamics, and its basin; ``ranks`` is alpha-rank; ``path`` the logit
    equilibria; ``invasion`` from what share of deviators on a deviation from honesty pays.
    Intervals are of replications, by bootstrap.
    """

    game: ReducedGame
    payoffs: pd.DataFrame
    equilibria: pd.DataFrame
    ranks: pd.DataFrame
    path: pd.DataFrame
    invasion: pd.DataFrame
    unsettled: float  #: share of the starting mixes from which replicator dynamics do not settle
    confidence: float = CONFIDENCE

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        names = ("payoffs", "equilibria", "ranks", "path", "invasion")
        return {name: getattr(self, name) for name in names}

    @property
    def sentences(self) -> list[str]:
        """What it comes to, in words."""
        unit = f"tokens per {self.game.per}"
        payoffs = self.game.payoffs
        if payoffs.max() == payoffs.min():
            names = ", ".join(self.game.strategies)
            return [f"Whatever the others do, {names} earn the same: every mix is an equilibrium."]
        said = [_of_honesty(self), _of_basins(self)]
        top = self.ranks.iloc[int(self.ranks["time"].to_numpy().argmax())]
        said.append(
            f"By alpha-rank a population that copies what earns more spends {top['time']:.1%} "
            f"[{top['low']:.1%}, {top['high']:.1%}] of its time as all {top['strategy']}."
        )
        said += [_of_invasion(row) for row in self.invasion.to_dict("records")]
        players, nodes = self.game.others[0].sum() + 1, self.game.nodes[0].sum() + 1
        said.append(
            f"Payoffs are in {unit}, of one node among {nodes}, whose others split as those of "
            f"{players} players do; {len(self.game.samples)} replications on common keys, "
            f"{self.confidence:.0%} intervals."
        )
        off = hoeffding_error(
            self.game.width, payoffs.size, len(self.game.samples), self.confidence
        )
        if not math.isnan(off):
            said.append(
                f"Intervals are of a bootstrap. Whatever pay is spread like, no payoff is off by "
                f"more than {off:.2g} and no regret by more than {2.0 * off:.2g} (Hoeffding, "
                f"{self.confidence:.0%}, pay in a range of {self.game.width:.3g})."
            )
        if self.game.dropped:
            said.append(f"{self.game.dropped} replications were left out: the node had no job.")
        return said


def bootstrap_ends(values: Array, sample: int, confidence: float = CONFIDENCE) -> Array:
    """Return the two ends of an expanded percentile interval, shape (2, ...).

    ``values`` holds the statistic in each resample of ``sample`` replications, the resamples first.
    The plain percentiles are too narrow for few replications, by sqrt((n - 1) / n) and by what
    Student's t is wider than the normal; here they are taken further out by as much.

    Source: Hesterberg (2015), The American Statistician 69, 371-386.
    """
    t = float(stdtrit(sample - 1, (1.0 + confidence) / 2.0))
    tail = float(ndtr(-math.sqrt(sample / (sample - 1.0)) * t))
    return np.asarray(np.quantile(values, [tail, 1.0 - tail], axis=0, method="inverted_cdf"))


def solve(game: ReducedGame, confidence: float = CONFIDENCE) -> SolvedGame:
    """Return all solutions of a game; what is resampled are its replications."""
    count = len(game.strategies)
    steps = _STARTS if count <= 3 else _FEW
    ended = replicator_basins(game.paid, simplex_grid(steps, count))
    resampled = game.resampled(RESAMPLES)
    return SolvedGame(
        game,
        _payoffs(game, confidence),
        _equilibria(game, ended, resampled, confidence),
        _ranks(game, resampled, confidence),
        _path(game),
        _invasion(game, resampled, confidence),
        max(0.0, 1.0 - float(ended.basins.sum())),
        confidence,
    )


def _payoffs(game: ReducedGame, confidence: float) -> pd.DataFrame:
    rows = []
    for way, nodes in enumerate(game.nodes):
        named = zip(nodes.tolist(), game.strategies, strict=True)
        others = " + ".join(f"{n} {name}" for n, name in named if n)
        for number, strategy in enumerate(game.strategies):
            mean, _, low, high = mean_interval(game.samples[:, number, way], confidence)
            rows.append((others, strategy, mean, low, high, len(game.samples)))
    return pd.DataFrame(
        rows, columns=["others", "strategy", "payoff", "low", "high", "replications"]
    )


def _equilibria(
    game: ReducedGame, ended: Basins, resampled: Array, confidence: float
) -> pd.DataFrame:
    found = symmetric_equilibria(game.paid, len(game.strategies))
    corners = [
        corner
        for corner in np.eye(len(game.strategies))
        if not any(np.abs(corner - mix).max() < _NEAR for mix in found)
    ]
    rows = []
    for mix in [*found, *corners]:
        (paid,) = game.paid(mix[None])
        again = mixture_payoffs(resampled, game.others, mix[None])[:, 0]
        low, high = bootstrap_ends(regret(mix, again), len(game.samples), confidence)
        near = np.abs(ended.attractors - mix).max(axis=1) < _NEAR
        rows.append(
            {
                **dict(zip(game.strategies, mix.tolist(), strict=True)),
                "equilibrium": not any(mix is one for one in corners),
                "stable": _is_stable(game, mix),
                "regret": float(regret(mix, paid)),
                "low": float(low),
                "high": float(high),
                "basin": float(ended.basins[near].sum()),
                "best": game.strategies[int(paid.argmax())],
            }
        )
    return pd.DataFrame(rows)


def _is_stable(game: ReducedGame, mix: Array) -> bool:
    """Return whether replicator dynamics come back to a mix from a little way off to each side."""
    if game.payoffs.max() == game.payoffs.min():
        return False
    starts = (1.0 - _NUDGED) * mix + _NUDGED * (0.9 * np.eye(mix.size) + 0.1 / mix.size)
    ended = replicator_basins(game.paid, starts)
    near = np.abs(ended.attractors - mix).max(axis=1) < _NUDGED / 2.0
    return bool(ended.basins[near].sum() > 1.0 - 0.5 / mix.size)


def _ranks(game: ReducedGame, resampled: Array, confidence: float) -> pd.DataFrame:
    alpha = 1.0 / game.spread
    ranks = alpha_rank(_gains_along_edges(game, game.payoffs), alpha)
    again = [alpha_rank(_gains_along_edges(game, payoffs), alpha) for payoffs in resampled]
    low, high = bootstrap_ends(np.array(again), len(game.samples), confidence)
    columns = {"strategy": game.strategies, "time": ranks, "low": low, "high": high}
    return pd.DataFrame({**columns, "alpha": alpha, "population": POPULATION})


def _gains_along_edges(game: ReducedGame, payoffs: Array) -> Array:
    """Return what those who do r earn more than those who do s while j of m do r, by r, s, j."""
    count, m = len(game.strategies), POPULATION
    gains = np.zeros((count, count, m - 1))
    j = np.arange(1, m)
    for r in range(count):
        for s in range(r):
            mixes = np.zeros((2, m - 1, count))
            mixes[:, :, r] = np.stack([j - 1, j]) / (m - 1.0)  # of the others of each
            mixes[:, :, s] = 1.0 - mixes[:, :, r]
            one = mixture_payoffs(payoffs[[r]], game.others, mixes[0])[:, 0]
            other = mixture_payoffs(payoffs[[s]], game.others, mixes[1])[:, 0]
            gains[r, s] = one - other
            gains[s, r] = -gains[r, s, ::-1]
    return gains


def _path(game: ReducedGame) -> pd.DataFrame:
    spread = game.spread

    def paid(shares: Array) -> Array:
        return np.asarray(game.paid(shares[None])[0] / spread)

    path = logit_path(paid, [len(game.strategies)], PRECISIONS)
    table = pd.DataFrame(path, columns=list(game.strategies))
    table.insert(0, "lambda", np.array(PRECISIONS) / spread)
    return table


def _invasion(game: ReducedGame, resampled: Array, confidence: float) -> pd.DataFrame:
    rows = []
    total = int(game.others[0].sum())
    for number, strategy in enumerate(game.strategies[1:], start=1):
        # Others that are honest or do this, the most honest first.
        ways = np.flatnonzero(game.others[:, 0] + game.others[:, number] == total)
        ways = ways[np.argsort(game.others[ways, number])]
        shares = game.nodes[ways, number] / float(game.nodes[0].sum())

        def threshold(
            payoffs: Array,
            shares: Array = shares,
            ways: NDArray[np.int64] = ways,
            number: int = number,
        ) -> float:
            return invasion_threshold(shares, payoffs[number, ways] - payoffs[0, ways])

        again = np.array([threshold(payoffs) for payoffs in resampled])
        low, high = bootstrap_ends(again, len(game.samples), confidence)
        rows.append((strategy, threshold(game.payoffs), float(low), float(high)))
    return pd.DataFrame(rows, columns=["deviation", "threshold", "low", "high"])


def _of_honesty(solved: SolvedGame) -> str:
    table, unit = solved.equilibria, f"tokens per {solved.game.per}"
    (row,) = table[table["honest"] == 1.0].to_dict("records")
    span = f"[{row['low']:.4f}, {row['high']:.4f}]"
    others = ", ".join(solved.game.strategies[1:])
    if row["high"] == 0.0:
        return f"All honest is an equilibrium against {others}: nobody gains by leaving it."
    if row["low"] > 0.0:
        return (
            f"All honest is no equilibrium: who leaves it for {row['best']} gains "
            f"{row['regret']:.4f} {span} {unit}."
        )
    return (
        f"Whether all honest is an equilibrium is not decided against {others}: leaving it gains "
        f"{row['regret']:.4f} {span} {unit}."
    )


def _of_basins(solved: SolvedGame) -> str:
    table = solved.equilibria
    parts = []
    for row in table[table["basin"] > 0.0].sort_values("basin", ascending=False).to_dict("records"):
        shares = {name: float(row[name]) for name in solved.game.strategies}
        used = {name: share for name, share in shares.items() if share > 0.0005}
        mix = " and ".join(f"{share:.0%} {name}" for name, share in used.items())
        parts.append(
            f"{row['basin']:.0%} end as {mix if len(used) > 1 else 'all ' + next(iter(used))}"
        )
    if len(parts) > _MOST_ENDS:
        rest = float(np.sort(table["basin"].to_numpy())[:-_MOST_ENDS].sum())
        parts[_MOST_ENDS:] = [f"{rest:.0%} elsewhere"]
    if solved.unsettled > 0.0005:
        parts.append(f"{solved.unsettled:.0%} do not settle")
    return f"Of mixes from which more and more do what earns more, {', '.join(parts)}."


def _of_invasion(row: Mapping[Hashable, Any]) -> str:
    name, at, low, high = (row[key] for key in ("deviation", "threshold", "low", "high"))
    span = f"[{_share(low)}, {_share(high)}]"
    if at == 0.0:
        return f"{name} pays the first who deviates from honesty {span}."
    if at == math.inf:
        return f"{name} pays at no share of deviators {span}."
    return f"{name} pays from a share of {_share(at)} {span} of deviators on."


def _share(value: float) -> str:
    return "never" if value == math.inf else f"{value:.2f}"
