"""The bench: variants of one scenario, played in memory under common random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.blocks import Span
from poq_abm.experiment.executor import Workers, map_blocks
from poq_abm.experiment.in_memory import BlockPlayer, BlocksInMemory
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.study import Progress
from poq_abm.scenario import Scenario, Treatment
from poq_abm.simulation.epochs.economy_state import settings_of
from poq_abm.simulation.playable import check_playable

__all__ = ["Bench", "Played"]

Array = NDArray[np.float64]


class Played(NamedTuple):
    """What one variant left: arrays over replications x nodes, inference nodes first.

    Of an economy, what counts is profit, by epoch: over all epochs of the run, so that a node which
    is driven out has nothing from then on.
    """

    rewards: Array  #: (R, F + M) tokens over the run: rewards, or an economy's profits
    jobs: Array  #: (R, F + M) rounds the node was paid for, or an economy's epochs
    consensus: Array  #: (R,) mean consensus, in [0, 10]
    bias: Array  #: (R,) mean consensus less mean truth
    rounds: int  #: of the run; of an economy, its epochs
    per: str = "job"  #: or ``epoch``, what ``jobs`` counts
    uncovered: Array | None = None  #: (R, F + M) of an economy, fines that bonds did not cover

    def joined(self, later: Played) -> Played:
        """Return these replications followed by later ones."""
        return Played(
            np.concatenate([self.rewards, later.rewards]),
            np.concatenate([self.jobs, later.jobs]),
            np.concatenate([self.consensus, later.consensus]),
            np.concatenate([self.bias, later.bias]),
            self.rounds,
            self.per,
            _both(self.uncovered, later.uncovered),
        )

    def ran_out(self, nodes: NDArray[np.int64]) -> int:
        """Return in how many replications a bond of some nodes could not pay what was due."""
        if self.uncovered is None:
            return 0
        return int((self.uncovered[:, nodes] > 0.0).any(axis=1).sum())


@dataclass(frozen=True)
class Bench:
    """A scenario without a sweep, the profile it draws from, and workers to play it with.

    Variants share the seed, so that replication r of one and of another saw the same luck. In an
    economy nobody adapts: nodes that answered a deviation would change what it is compared with.
    """

    plan: Plan
    workers: Workers
    progress: Progress | None = None
    left_out: tuple[str, ...] = ()  #: rules of adaptation that the scenario has

    @classmethod
    def of(cls, scenario: Scenario, *, n_jobs: int = 1, progress: Progress | None = None) -> Bench:
        """Return the bench of a scenario, or raise if it has several treatments."""
        plan = Plan.of(scenario)
        if "nodes" not in plan.tables:
            raise InputError(
                f"{scenario.name} has a verification: whether it pays to cheat there is the column "
                "cheating_share of its queries (`poq run`); an audit takes rounds"
            )
        if len(plan.treatments) > 1:
            raise InputError(
                f"{scenario.name} has {len(plan.treatments)} treatments; an audit takes one"
            )
        alone = plan.treatments[0].scenario.model_copy(update={"sweep": {}})
        rules: tuple[str, ...] = ()
        if alone.economy is not None:
            rules = tuple(dict.fromkeys(str(rule["name"]) for rule in alone.economy.adaptation))
            data = alone.resolved()
            data["economy"]["adaptation"] = []
            # Written out in full: nobody asked for what no longer acts without these rules.
            alone = Scenario.model_validate(data)
        return cls(Plan.of(alone, profile=plan.profile(0)), Workers(n_jobs), progress, rules)

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
        blocks = BlocksInMemory(plan)
        spans = [Span(number, first, last) for number in range(len(treatments))]
        cut = plan.blocks(spans)
        for outcome in map_blocks(plan, cut, BlockPlayer(), self.workers, progress=self.progress):
            blocks.record(outcome)
        tables = blocks.results()
        if tables.failures:
            raise InputError(f"a replication raised: {tables.failures[0]['error']}")
        network = tables.tables["replications"]
        both = [network.column(name).to_numpy() for name in ("consensus_mean", "bias")]
        if self.scenario.economy is None:
            nodes = tables.tables["nodes"]
            paid = [nodes.column(name).to_numpy() for name in ("reward_total", "jobs")]
            lengths = [variant.rounds for variant in variants.values()]
            return _split(list(variants), last - first, paid, both, lengths, "job")
        accounts = tables.tables["accounts"]
        profit, uncovered = (accounts.column(n).to_numpy() for n in ("profit", "uncovered"))
        lengths = [settings_of(variant).epochs for variant in variants.values()]
        epochs = np.repeat(lengths, profit.size // len(lengths))
        nodes_too = [profit, epochs, uncovered]
        return _split(list(variants), last - first, nodes_too, both, lengths, "epoch")


def _split(
    names: Sequence[str],
    count: int,
    nodes: list[Array],
    network: list[Array],
    rounds: list[int],
    per: str,
) -> dict[str, Played]:
    """Cut columns, which run over variants, replications and nodes, by variant."""
    size = nodes[0].size // (len(names) * count)
    rewards, jobs, *rest = (
        column.astype(np.float64).reshape(len(names), count, size) for column in nodes
    )
    consensus, bias = (column.reshape(len(names), count) for column in network)
    return {
        name: Played(
            rewards[i], jobs[i], consensus[i], bias[i], rounds[i], per, *(part[i] for part in rest)
        )
        for i, name in enumerate(names)
    }


def _both(first: Array | None, later: Array | None) -> Array | None:
    return None if first is None or later is None else np.concatenate([first, later])
