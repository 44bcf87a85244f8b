"""Playing the rounds of replications, with either engine, with or without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.round_tables import rounds_table
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import MEASURES
from poq_abm.simulation.ledger import BLOCK_ROUNDS, ROW, Ledger
from poq_abm.simulation.replication import (
    Memory,
    ReplicationSums,
    Trace,
    open_replication,
    open_trace,
)
from poq_abm.simulation.rounds import play_replications
from poq_abm.simulation.stages import (
    is_published,
    open_stages,
    play,
    play_replications_in_stages,
)

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["Engine", "TraceSink", "many_at_once", "play_plain", "play_replication"]

Engine = Literal["compiled", "agents"]
TraceSink = Callable[[Any], None]  #: takes one table of ROUNDS at a time

QUIET_STRETCH = 64 * BLOCK_ROUNDS  # rounds between two signs of life; about a fifth of a second
AGENTS_STRETCH = 2**12
TRACED_STRETCH = 2 * BLOCK_ROUNDS  # rounds of a trace held in memory at once


def play_replication(
    scenario: Scenario,
    game: Game,
    replication: int,
    *,
    engine: Engine = "compiled",
    sink: TraceSink | None = None,
    treatment: str = "base",
    progress: Callable[[int], None] | None = None,
) -> tuple[Ledger, Memory]:
    """Play all rounds of one replication and return its ledger and what is remembered.

    The rounds are played in stretches, so that memory stays flat, a trace can be written as it
    comes and an interrupt is noticed. ``progress`` is told how many rounds were played since it was
    last called.
    """
    stretch = TRACED_STRETCH if sink else QUIET_STRETCH
    stretch = min(stretch, AGENTS_STRETCH) if engine == "agents" else stretch
    ledger, memory, play_on = _engine(scenario, game, replication, engine)
    for first, last in _stretches(scenario.rounds, stretch):
        trace = open_trace(last - first, game.rules.committee_size) if sink else None
        play_on(first, last, trace)
        if sink and trace is not None:
            sink(rounds_table(game, trace, np.arange(first, last), treatment, replication))
        if progress:
            progress(last - first)
    return ledger, memory


def play_plain(
    scenario: Scenario,
    game: Game,
    first: int,
    last: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Play replications ``first`` to ``last - 1`` of a plain game; return sums and measures.

    The ledgers' sums, of shape (replications, nodes, 8) and (replications, 8), and what the
    histograms tells, (replications, measures) in the order of
    :data:`poq_abm.simulation.histograms.MEASURES`. The same bits as one by one; for
    :func:`many_at_once`.
    """
    node_sums = np.empty((last - first, game.population.size, ROW))
    network_sums = np.empty((last - first, ROW))
    measures = np.empty((last - first, len(MEASURES)))
    kept = open_replication(game.arrays, scenario.seed, 0, scenario.rounds)
    stages = open_stages(game) if is_published(game) else None
    step = max(1, QUIET_STRETCH // scenario.rounds)
    for start in range(first, last, step):
        stop = min(last, start + step)
        rows = slice(start - first, stop - first)
        sums = ReplicationSums(node_sums[rows], network_sums[rows], measures[rows])
        given = (start, stop, scenario.rounds, game.arrays, kept, sums)
        if stages is None:
            play_replications(*given)
        else:
            play_replications_in_stages(*given, stages)
        if progress:
            progress((stop - start) * scenario.rounds)
    return node_sums, network_sums, measures


def many_at_once(scenario: Scenario, game: Game, engine: Engine, sink: TraceSink | None) -> bool:
    """Return whether replications can be played by :func:`play_plain`.

    Nothing of what a long replication or a contested one needs, and no trace.
    """
    short = scenario.rounds <= QUIET_STRETCH
    return engine == "compiled" and sink is None and short and game.plain and not game.needs_agents


def _stretches(rounds: int, stretch: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rounds, stretch):
        yield first, min(rounds, first + stretch)


def _engine(
    scenario: Scenario, game: Game, replication: int, engine: Engine
) -> tuple[Ledger, Memory, Callable[[int, int, Trace | None], None]]:
    if engine == "agents" or game.needs_agents:
        # Mesa takes over a second to import and the compiled engine does without it.
        from poq_abm.simulation.model import PoQModel  # noqa: PLC0415

        model = PoQModel(scenario, replication=replication, game=game)
        return model.ledger, model.memory, lambda _, last, trace: model.run_agents(last, trace)
    kept = open_replication(game.arrays, scenario.seed, replication, scenario.rounds)
    stages = open_stages(game)
    return (
        kept.ledger,
        kept.memory,
        lambda first, last, trace: play(first, last, game, kept, stages, trace),
    )
