"""The double oracle: strategies are added until nobody finds one that earns more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.audit.best_response import FoundAttack, SearchSettings, best_response, does
from poq_abm.analysis.audit.deviations import ALL, Deviation, members_of
from poq_abm.analysis.audit.gains import earned_by, places
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.reduced_game import (
    HONEST,
    MOST_STRATEGIES,
    ReducedGame,
    play_reduced_game,
    splitting,
)
from poq_abm.analysis.equilibrium.regret import regret
from poq_abm.analysis.equilibrium.replicator import replicator_basins, simplex_grid
from poq_abm.analysis.equilibrium.symmetric import symmetric_equilibria
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.search import BudgetSpentError, Step, Tables
from poq_abm.rules.behaviour.base import spell
from poq_abm.simulation.population import build_population

__all__ = ["LearnedMix", "double_oracle"]

Array = NDArray[np.float64]
Spec = dict[str, Any]

_PLAYERS = 5  #: of the restricted game of two or three strategies
_FEWER = 3  #: of more strategies, whose compositions are many
_STARTS = 24  #: steps of the grid on which basins are counted, along an edge of two or three
_FEW = 12  #: the same, of more strategies
_NEAR = 0.01


@dataclass
class LearnedMix:
    """What nodes of a role come to do, and every attack that was found on the way."""

    strategies: list[Spec] = field(default_factory=lambda: [dict(HONEST)])
    #: shares of the strategies, in the equilibrium against which was last looked
    mix: Array = field(default_factory=lambda: np.ones(1))
    found: list[FoundAttack] = field(default_factory=list)  #: by each search, in order
    stopped: bool = False  #: before the last game was solved
    interrupted: bool = False

    @property
    def table(self) -> pd.DataFrame:
        """Every strategy with its share of the nodes, in the order in which they were found."""
        said = [spell(spec) for spec in self.strategies]
        return pd.DataFrame({"strategy": said, "share": self.mix})

    @property
    def sentence(self) -> str:
        """Where it ended, in words."""
        if self.stopped or not self.found or self.found[-1].ended in ("spent", "interrupted"):
            return f"learning ended early, after {len(self.found)} searches."
        last, searches = self.found[-1], len(self.found)
        used = [n for n in np.argsort(-self.mix, kind="stable") if self.mix[n] > _NEAR / 2.0]
        if len(used) == 1:
            doing = f"as all {does(self.strategies[used[0]])}"
        else:
            parts = (f"{self.mix[n]:.0%} {does(self.strategies[n])}" for n in used)
            doing = f"as {' and '.join(parts)}"
        told = "one search sees" if searches == 1 else f"{searches} searches see"
        if last.gains:
            return f"{doing}, something still gains after {searches} searches: it did not settle."
        if last.ended != "settled":
            return f"{doing}, it is undecided whether anything gains: more replications."
        return (
            f"{doing}, nothing found gains {last.epsilon:.2g} tokens per {last.per} more: a "
            f"symmetric equilibrium within that, as far as {told}."
        )


def double_oracle(
    runner: VariantRunner, one: Deviation, settings: SearchSettings
) -> Generator[Step, Sequence[Tables], LearnedMix]:
    """Return the mix of behaviours that nodes of a role settle on, once they look for what pays.

    A search for :func:`poq_abm.experiment.search.drive`. It begins with everybody honest. One node
    looks for its best response (:func:`.best_response.best_response`); what is shown to gain is
    added to the strategies; the game among these is played and solved; the others split as its
    equilibrium has it, and the node looks again, for what earns more than the best strategy so far.
    It ends once the upper end of what it finds is below epsilon: a symmetric equilibrium of the
    family within epsilon, as far as the search sees. It need not be the only one: of several
    equilibria of a restricted game that of the largest basin is taken. Every part has keys of its
    own.

    Parameters
    ----------
    runner
        The scenario.
    one
        Who looks, the first node of its group, as :func:`.deviations.ring_of` gives it.
    settings
        Of every search.

    Source: McMahan, Gordon and Blum (2003), ICML, 536-543; of empirical games Lanctot et al.
    (2017), NeurIPS 30.
    """
    learned = LearnedMix()
    first = settings.first
    while len(learned.strategies) <= MOST_STRATEGIES:
        try:
            doing = yield from _settle(runner, one, learned, (first, settings.tested))
        except BudgetSpentError:
            learned.stopped = True
            break
        except KeyboardInterrupt:
            learned.stopped = learned.interrupted = True
            break
        first += 2 * settings.tested if len(learned.strategies) > 1 else 0
        looking = replace(one, behaviour=doing, instead_of=spell(doing), told="")
        there = _among(runner, one, doing, learned)
        found = yield from best_response(there, looking, settings._replace(first=first))
        first += settings.most_keys
        learned.found.append(found)
        learned.interrupted = found.ended == "interrupted"
        if not found.gains or found.ended in ("spent", "interrupted"):
            break
        if found.deviation.behaviour in learned.strategies:  # which is best was not to be told
            break
        learned.strategies.append(dict(found.deviation.behaviour))
        learned.mix = np.append(learned.mix, 0.0)
    return learned


def _settle(
    runner: VariantRunner, one: Deviation, learned: LearnedMix, keys: tuple[int, int]
) -> Generator[Step, Sequence[Tables], Spec]:
    """Solve the game among the strategies so far; return the best of them against its mix.

    ``keys`` are the first replication and how many; of several strategies twice as many are used.
    """
    first, count = keys
    if len(learned.strategies) == 1:
        return learned.strategies[0]
    nodes = len(members_of(runner.scenario, one.role, ALL, 1.0))
    game = yield from play_reduced_game(
        runner,
        learned.strategies[1:],
        one.role,
        one.group,
        players=min(nodes, _PLAYERS if len(learned.strategies) <= 3 else _FEWER),
        keys=(first, first + count),
    )
    learned.mix = _equilibrium(game)
    # Whole nodes are not quite the mix: what is best of what is known is best of that.
    step = Step(
        [_among(runner, one, doing, learned).scenario for doing in learned.strategies],
        first + count,
        first + 2 * count,
    )
    node = places(build_population(runner.scenario, runner.plan.profile(0)), one)
    earned = [earned_by(played, node) for played in runner.read(step, (yield step))]
    return learned.strategies[int(np.argmax([np.nanmean(pay) for pay in earned]))]


def _equilibrium(game: ReducedGame) -> Array:
    """Return the symmetric equilibrium to which most mixes lead; without any, the best corner."""
    count = len(game.strategies)
    found = symmetric_equilibria(game.paid, count)
    if not len(found):
        corners = np.eye(count)
        return np.asarray(corners[int(np.argmin(regret(corners, game.paid(corners))))])
    ended = replicator_basins(game.paid, simplex_grid(_STARTS if count <= 3 else _FEW, count))
    basins = [
        float(ended.basins[np.abs(ended.attractors - mix).max(axis=1) < _NEAR].sum())
        for mix in found
    ]
    return np.asarray(found[int(np.argmax(basins))])


def _among(
    runner: VariantRunner, one: Deviation, doing: Spec, learned: LearnedMix
) -> VariantRunner:
    """Return the runner of the scenario in which others do what was learned."""
    shares = list(zip(learned.strategies, learned.mix.tolist(), strict=True))
    scenario = splitting(runner.scenario, one.role, one.group, doing, shares)
    return replace(runner, plan=Plan.of(scenario, profile=runner.plan.profile(0)))
