"""How often a deviation did anything at all: a behaviour that never wakes was not tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import Deviation
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.trace import Trace, open_trace

__all__ = ["MOST_ROUNDS", "activation_rate", "trace_of"]

MOST_ROUNDS = 200_000  #: of one replication, compared round by round; some 20 MB


def trace_of(scenario: Scenario, profile: Profile, replication: int = 0) -> Trace:
    """Return the rounds of a replication as they were played, the first :data:`MOST_ROUNDS`.

    Rounds of an economy stand one after the other, epoch by epoch; a query that nobody answered has
    node -1.
    """
    game = build_game(scenario, profile)
    if scenario.economy is None:
        model = PoQModel(scenario, replication=replication, game=game)
        last = min(scenario.rounds, MOST_ROUNDS)
        trace = open_trace(last, game.rules.committee_size)
        model.run(last, trace)
        return trace
    return _joined(list(_epochs(scenario, game, profile, replication)))


def activation_rate(base: Trace, deviating: Trace, deviation: Deviation, first: int) -> float:
    """Return the share of the members' jobs in which the deviation changed anything, in [0, 1].

    Compared are two traces of one replication, without and with the deviation: what a member
    reports as an evaluator (whose node ids start at ``first``); the scores that an inference node's
    answer gets, its truth, and what it is paid, in which its reported cost stands. In an economy
    the two can come apart; only rounds in which the same node answers the same record before the
    same committee are compared. NaN where there are none.
    """
    rounds = min(base.node.size, deviating.node.size)
    committee = base.committee[:rounds]
    alike = (
        (base.node[:rounds] >= 0)
        & (base.node[:rounds] == deviating.node[:rounds])
        & (base.record[:rounds] == deviating.record[:rounds])
    )
    alike &= np.where(alike, (committee == deviating.committee[:rounds]).all(axis=1), False)
    changed = base.scores[:rounds] != deviating.scores[:rounds]
    members = np.asarray(deviation.members)
    if deviation.role == "evaluator":
        seats = np.isin(committee, members + first) & alike[:, None]
        return _share(changed[seats])
    jobs = np.isin(base.node[:rounds], members) & alike
    acted = (
        changed.any(axis=1)
        | (base.truth[:rounds] != deviating.truth[:rounds])
        | (base.inference_reward[:rounds] != deviating.inference_reward[:rounds])
    )
    return _share(acted[jobs])


def _share(acted: NDArray[np.bool_]) -> float:
    return float(acted.mean()) if acted.size else float("nan")


def _epochs(scenario: Scenario, game: Game, profile: Profile, replication: int) -> Iterator[Trace]:
    """Yield the rounds of an economy's epochs, until there are enough."""
    economy = Economy(scenario, game, profile, replication)
    kept = 0
    while not economy.finished and kept < MOST_ROUNDS:
        before = economy.rounds_played
        economy.step()
        count = economy.rounds_played - before
        columns: Any = (column[:count].copy() for column in economy.rounds.trace)
        yield Trace(*columns)
        kept += count


def _joined(parts: list[Trace]) -> Trace:
    if not parts:
        return open_trace(0, 1)
    joined: Any = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Trace(*joined)
