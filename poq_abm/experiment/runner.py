"""Running a plan: jobs go to workers, every worker returns tables or stores them itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import joblib
import pyarrow as pa

from poq_abm.experiment.plan import Job, Plan
from poq_abm.experiment.playing import Engine, TraceSink, play_replication
from poq_abm.experiment.tables import node_table, replication_table, trust_table
from poq_abm.experiment.twins import Outcome, is_honest
from poq_abm.network.game import Game
from poq_abm.network.ledger import Ledger

__all__ = ["Progress", "play_job", "play_jobs"]

Progress = Callable[[int], None]  #: is told how many rounds were played since it was last called
Tables = dict[
    str, Any
]  #: rows of one job by table: nodes, replications and, where it is logged, trust


def play_job(
    plan: Plan,
    job: Job,
    game: Game,
    engine: Engine = "compiled",
    sink: TraceSink | None = None,
    progress: Progress | None = None,
) -> Tables:
    """Play the replications of one job and return their rows, table by table."""
    treatment = plan.treatments[job.treatment]
    nodes, replications, trust = [], [], []
    for replication in range(job.first, job.last):
        ledger, memory = play_replication(
            treatment.scenario,
            game,
            replication,
            engine=engine,
            sink=sink,
            treatment=treatment.id,
            progress=progress,
        )
        sums = ledger.nodes()
        rounds = treatment.scenario.rounds
        nodes.append(node_table(game, sums, treatment.id, replication))
        drift = _against_twin(plan, job.treatment, game, ledger, replication)
        replications.append(
            replication_table(
                game, sums, ledger.network(), memory, drift, rounds, treatment.id, replication
            )
        )
        if plan.logs_trust:
            trust.append(trust_table(game, memory, treatment.id, replication))
    tables = {"nodes": nodes, "replications": replications, "trust": trust}
    return {name: pa.concat_tables(parts) for name, parts in tables.items() if parts}


def _against_twin(
    plan: Plan, treatment: int, game: Game, ledger: Ledger, replication: int
) -> dict[str, float]:
    """Return what deviation did to a replication; it is its own twin where nobody deviates."""
    scenario = plan.treatments[treatment].scenario
    outcome = Outcome.of(ledger, scenario.rounds)
    if is_honest(game.conduct):
        return outcome.against(outcome)
    return outcome.against(plan.twins.outcome(scenario, plan.profile(treatment), replication))


def play_jobs(
    plan: Plan,
    jobs: Iterable[Job],
    work: Callable[[Plan, Job, Game, Progress | None], Any],
    *,
    n_jobs: int = 1,
    engine: Engine = "compiled",
    progress: Progress | None = None,
) -> Iterator[Any]:
    """Yield what ``work`` returns for each job, in the order of the jobs.

    The compiled engine releases Python's global lock, so its workers are threads; the agents need
    processes, and report progress job by job.
    """
    games = _Games(plan)
    jobs = list(jobs)
    if n_jobs == 1 or len(jobs) == 1:
        for job in jobs:
            yield work(plan, job, games[job.treatment], progress)
        return
    in_threads = engine == "compiled"
    parallel = joblib.Parallel(
        n_jobs=n_jobs, backend="threading" if in_threads else "loky", return_as="generator"
    )
    tasks = (
        joblib.delayed(work)(plan, job, games[job.treatment], progress if in_threads else None)
        for job in jobs
    )
    for job, result in zip(jobs, parallel(tasks), strict=True):
        if progress and not in_threads:
            rounds = plan.treatments[job.treatment].scenario.rounds
            progress((job.last - job.first) * rounds)
        yield result


class _Games:
    """The game of the treatment in hand; jobs come treatment by treatment, so one is kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._treatment: int | None = None
        self._game: Game | None = None

    def __getitem__(self, treatment: int) -> Game:
        if self._game is None or self._treatment != treatment:
            self._treatment, self._game = treatment, self._plan.game(treatment)
        return self._game
