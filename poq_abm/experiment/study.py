"""Studies: what one treatment plays, and the tables that this leaves.

Rounds, the epochs of an economy and the queries of verification protocols are three studies behind
one interface; :func:`poq_abm.experiment.plan.study_of` says which one a scenario asks for, and
nobody else needs to know.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from poq_abm.errors import InputError
from poq_abm.experiment.twins import Twins
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Finding
from poq_abm.simulation.population import Populations

__all__ = ["Engine", "Failure", "Options", "Played", "Progress", "Study", "TraceSink"]

Engine = Literal["compiled", "agents"]
TraceSink = Callable[[Any], None]  #: takes one table of a trace at a time
Progress = Callable[[int], None]  #: is told how many rounds were played since it was last called


@dataclass(frozen=True)
class Failure:
    """A replication that raised, and all that is needed to see it again."""

    treatment: int
    replication: int
    seed: int
    error: str
    traceback: str

    def as_data(self) -> dict[str, Any]:
        """Return the failure as plain data."""
        return asdict(self)


class Options(NamedTuple):
    """How replications are played, which never changes their numbers."""

    engine: Engine = "compiled"
    sink: TraceSink | None = None  #: where a trace goes, if one is asked for
    progress: Progress | None = None
    twins: Twins | None = None  #: the honest twins that treatments of a plan share
    populations: Populations | None = None  #: what else they share
    #: columns of the main table that alone are read: what else it holds may be missing, and there
    #: may be no other table
    wanted: frozenset[str] | None = None


class Played(NamedTuple):
    """Rows by table, but for a trace's, and the replications that raised and left none.

    What a study plays are columns (:data:`~poq_abm.simulation.table_columns.Rows`), of which a
    block makes tables of Arrow.
    """

    tables: dict[str, Any]
    failures: tuple[Failure, ...] = ()


class Study(ABC):
    """What one treatment plays: its tables, its measures, and how to play its replications.

    A subclass is an implementation for all scenarios of its kind. Playing is a pure function of
    scenario, profile and replication; a replication that raises is recorded with its traceback and
    seed, and the others go on.
    """

    main = "replications"  #: the table of one row per replication, whose columns are the measures
    traced = "rounds"  #: the table that a trace goes to
    unit = "rounds"  #: what is played one after the other, in the plural

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    @property
    def traced_rows(self) -> int | None:
        """How many rows one replication adds to its trace; none if that is drawn at random."""
        return self.scenario.rounds

    @abstractmethod
    def rows(self, profile: Profile) -> dict[str, int]:
        """Return the tables that are left, and how many rows one replication adds to each."""

    @abstractmethod
    def play(
        self, treatment: str, profile: Profile, first: int, last: int, options: Options
    ) -> Played:
        """Play replications ``first`` to ``last - 1``; ``treatment`` is the id in their rows.

        Raises
        ------
        InputError
            If the scenario cannot be played: a user's mistake, which the others would repeat.
        """

    def findings(self, profile: Profile) -> Iterable[Finding]:  # noqa: ARG002  (some need it)
        """Yield what of the scenario cannot be played."""
        return ()

    def why_missing(self, measure: str) -> str | None:  # noqa: ARG002  (some need it)
        """Return why a measure is missing in every replication, if it is."""
        return None

    def shortened(self, rounds: int) -> Scenario:
        """Return the scenario with at most so many rounds, to try what they take."""
        return self.scenario.model_copy(update={"rounds": min(self.scenario.rounds, rounds)})

    def _failures(self, first: int, last: int, play: Callable[[int], None]) -> tuple[Failure, ...]:
        """Play replications one by one; return those that raised, the treatment yet to be named."""
        failures = []
        for replication in range(first, last):
            try:
                play(replication)
            except InputError:
                raise
            except Exception as error:
                said, trail = f"{type(error).__name__}: {error}", traceback.format_exc()
                failures.append(Failure(0, replication, self.scenario.seed, said, trail))
        return tuple(failures)
