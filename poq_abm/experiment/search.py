"""Searching scenarios: a generator yields what to play next and is sent what came of it.

A search holds no loop over workers and reads no file, so that the same one runs on this thread, on
threads, processes or a cluster, and in a test against a few lines that answer for a simulation:

.. code-block:: python

    def search(scenario):
        best = None
        for step in steps(scenario):  # some scenarios at a time, on the keys of replications
            results = yield step
            best = better_of(best, step, results)
        return best

    drive(search(scenario), PlayInMemory(), SearchBudget(rounds=1_000_000))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from poq_abm.errors import InputError
from poq_abm.experiment.blocks import Span
from poq_abm.experiment.executor import Workers, map_blocks
from poq_abm.experiment.plan import Plan, source_of
from poq_abm.experiment.running import BlockPlayer, BlocksInMemory
from poq_abm.experiment.study import Progress
from poq_abm.experiment.twins import Twins
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario, Treatment
from poq_abm.simulation.playable import check_playable, profile_of
from poq_abm.simulation.population import Populations

__all__ = ["BudgetSpentError", "PlayInMemory", "SearchBudget", "Step", "Tables", "drive"]

Tables = dict[str, Any]  #: Arrow tables of one scenario by name, as in a run's folder
Sent = TypeVar("Sent")
Found = TypeVar("Found")


class Step(NamedTuple):
    """Scenarios without sweeps, to be played beside one another on the same keys."""

    scenarios: Sequence[Scenario]
    first: int  #: replication
    last: int  #: replication after the last; others than those seen so far are fresh keys

    @property
    def rounds(self) -> int:
        """Rounds of all of them together."""
        return (self.last - self.first) * sum(scenario.rounds for scenario in self.scenarios)


class BudgetSpentError(Exception):
    """What is thrown into a search whose next step its budget does not cover.

    One that catches it may return what it has found, or yield a step that costs less.
    """


@dataclass
class SearchBudget:
    """What a search may spend, and what it has spent.

    Seconds are of the clock: a search that ends by them finds other things on another machine.
    """

    rounds: float = math.inf
    seconds: float = math.inf
    spent: int = 0  #: rounds
    _begun: float = field(default_factory=time.monotonic)

    def request(self, rounds: int) -> None:
        """Take what a step costs out of the budget, or raise without taking anything."""
        if self.spent + rounds > self.rounds:
            left = self.rounds - self.spent
            raise BudgetSpentError(f"{rounds:,} rounds are more than the {left:,.0f} left")
        if time.monotonic() - self._begun >= self.seconds:
            raise BudgetSpentError(f"{self.seconds:g} seconds are over")
        self.spent += rounds


def drive(
    search: Generator[Step, Sequence[Sent], Found],
    play: Callable[[Step], Sequence[Sent]],
    budget: SearchBudget | None = None,
) -> Found:
    """Return what a search returns once it was sent, for every step, one result a scenario.

    :class:`BudgetSpentError` and ``KeyboardInterrupt`` are thrown into the search at the step they
    keep from being played, so that nothing found before is lost.

    >>> def two(scenario):
    ...     (mean,) = yield Step([scenario], 0, 1)
    ...     (other,) = yield Step([scenario], 1, 2)
    ...     return mean, other
    >>> from poq_abm.scenario import load
    >>> drive(two(load("cost_aware_poq")), lambda step: [step.first + 0.5])
    (0.5, 1.5)
    """
    budget = budget or SearchBudget()
    try:
        step = next(search)
        while True:
            try:
                budget.request(step.rounds)
                results = play(step)
            except (BudgetSpentError, KeyboardInterrupt) as stop:
                step = search.throw(stop)
            else:
                step = search.send(results)
    except StopIteration as end:
        found: Found = end.value
        return found


@dataclass
class PlayInMemory:
    """Plays steps, and keeps what scenarios share: profiles, populations, honest twins."""

    workers: Workers = field(default_factory=Workers)
    progress: Progress | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)  #: by the source they are read from
    twins: Twins = field(default_factory=Twins)
    populations: Populations = field(default_factory=Populations)
    wanted: frozenset[str] | None = None  #: columns of the main table that alone are read

    def __call__(self, step: Step) -> list[Tables]:
        """Return the tables of every scenario; the treatment of their rows is its place.

        Raises
        ------
        InputError
            If there is nothing to play, a scenario cannot be played, or a replication raises.
        """
        scenarios, first, last = step
        if last <= first or not scenarios:
            raise InputError(f"at least one replication is needed, got {last - first}")
        for scenario in scenarios:
            source = source_of(scenario)
            if source not in self.profiles:
                self.profiles[source] = profile_of(scenario)
            check_playable(scenario, self.profiles[source])
        treatments = tuple(Treatment(str(n), {}, one) for n, one in enumerate(scenarios))
        plan = Plan(
            scenarios[0],
            treatments,
            self.profiles,
            twins=self.twins,
            populations=self.populations,
        )
        blocks = BlocksInMemory(plan)
        cut = plan.blocks([Span(number, first, last) for number in range(len(treatments))])
        player = BlockPlayer(wanted=self.wanted)
        for outcome in map_blocks(plan, cut, player, self.workers, progress=self.progress):
            blocks.record(outcome)
        results = blocks.results()
        if results.failures:
            raise InputError(f"a replication raised: {results.failures[0]['error']}")
        found: list[Tables] = [{} for _ in treatments]
        for name, rows in results.tables.items():
            if self.wanted is not None and name != plan.main:
                continue
            at = 0
            for number, tables in enumerate(found):
                size = plan.rows(number)[name] * (last - first)
                tables[name] = rows.slice(at, size)
                at += size
        return found
