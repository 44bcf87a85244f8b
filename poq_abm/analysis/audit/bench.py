"""The bench: variants of one scenario, played in memory under common random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.granary import Gather, Granary
from poq_abm.experiment.harvest import Progress
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.runner import Workers, play_chunks
from poq_abm.experiment.spans import Span
from poq_abm.network.checking import check_playable
from poq_abm.scenario import Scenario, Treatment

__all__ = ["Bench", "Played"]

Array = NDArray[np.float64]


class Played(NamedTuple):
    """What one variant left: arrays over replications x nodes, inference nodes first."""

    rewards: Array  #: (R, F + M) tokens over the run
    jobs: Array  #: (R, F + M) rounds the node was paid for
    consensus: Array  #: (R,) mean consensus, in [0, 10]
    bias: Array  #: (R,) mean consensus less mean truth
    rounds: int

    def joined(self, later: Played) -> Played:
        """Return these replications followed by later ones."""
        return Played(
            np.concatenate([self.rewards, later.rewards]),
            np.concatenate([self.jobs, later.jobs]),
            np.concatenate([self.consensus, later.consensus]),
            np.concatenate([self.bias, later.bias]),
            self.rounds,
        )


@dataclass(frozen=True)
class Bench:
    """A scenario without a sweep, the profile it draws from, and workers to play it with.

    Variants share the seed, so that replication r of one and of another saw the same luck.
    """

    plan: Plan
    workers: Workers
    progress: Progress | None = None

    @classmethod
    def of(cls, scenario: Scenario, *, n_jobs: int = 1, progress: Progress | None = None) -> Bench:
        """Return the bench of a scenario, or raise if it has several treatments."""
        plan = Plan.of(scenario)
        if plan.verifies:
            raise InputError(
                f"{scenario.name} has a verification: whether it pays to cheat there is the column "
                "cheating_share of its queries (`poq run`); an audit takes rounds"
            )
        if len(plan.treatments) > 1:
            raise InputError(
                f"{scenario.name} has {len(plan.treatments)} treatments; an audit takes one"
            )
        alone = plan.treatments[0].scenario.model_copy(update={"sweep": {}})
        return cls(Plan.of(alone, profile=plan.profile(0)), Workers(n_jobs), progress)

    @property
    def scenario(self) -> Scenario:
        """The scenario that variants are of."""
        return self.plan.scenario

    @property
    def replications(self) -> int:
        """The scenario's replications; of a precision target, the least it asks for."""
        written = self.scenario.replications
        return written if isinstance(written, int) else written.at_least

    def play(self, variants: Mapping[str, Scenario], first: int, last: int) -> dict[str, Played]:
        """Play replications ``first`` to ``last - 1`` of every variant.

        Raises
        ------
        InputError
            If there is nothing to play, a variant cannot be played, or a replication raises.
        """
        if last <= first:
            raise InputError(f"at least one replication is needed, got {last - first}")
        profile = self.plan.profile(0)
        for variant in variants.values():
            check_playable(variant, profile)
        treatments = tuple(Treatment(name, {}, variant) for name, variant in variants.items())
        # The profile stands under the key of the scenario's source, which variants share.
        plan = Plan(self.scenario, treatments, self.plan.profiles, twins=self.plan.twins)
        granary = Granary(plan)
        spans = [Span(number, first, last) for number in range(len(treatments))]
        chunks = plan.chunks(spans, workers=self.workers.count)
        gather = Gather("compiled")
        for _, outcome in play_chunks(plan, chunks, gather, self.workers, progress=self.progress):
            granary.record(outcome)
        tables = granary.results()
        if tables.failures:
            raise InputError(f"a replication raised: {tables.failures[0]['error']}")
        nodes, network = tables.tables["nodes"], tables.tables["replications"]
        return _split(
            list(variants),
            last - first,
            [nodes.column(name).to_numpy() for name in ("reward_total", "jobs")],
            [network.column(name).to_numpy() for name in ("consensus_mean", "bias")],
            [variant.rounds for variant in variants.values()],
        )


def _split(
    names: Sequence[str],
    count: int,
    nodes: list[Array],
    network: list[Array],
    rounds: list[int],
) -> dict[str, Played]:
    """Cut columns, which run over variants, replications and nodes, by variant."""
    size = nodes[0].size // (len(names) * count)
    rewards, jobs = (column.astype(np.float64).reshape(len(names), count, size) for column in nodes)
    consensus, bias = (column.reshape(len(names), count) for column in network)
    return {
        name: Played(rewards[i], jobs[i], consensus[i], bias[i], rounds[i])
        for i, name in enumerate(names)
    }
