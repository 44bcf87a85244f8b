"""Variants of one scenario, played in memory under common random numbers, and what they changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.analysis.audit.compute_cost import cost_run
from poq_abm.analysis.audit.deviations import Deviation
from poq_abm.errors import InputError
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan, study_of
from poq_abm.experiment.schemas import ROUNDS
from poq_abm.experiment.search import PlayInMemory, Step, Tables
from poq_abm.experiment.study import Options, Progress
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.economy_state import settings_of

__all__ = ["MOST_ROUNDS", "PlayedVariant", "VariantRunner", "activation_rate", "trace_of"]

Array = NDArray[np.float64]
MOST_ROUNDS = 200_000  #: of one replication, compared round by round; some 20 MB


class PlayedVariant(NamedTuple):
    """What one variant left: arrays over replications x nodes, inference nodes first.

    Of an economy, what counts is profit, by epoch: over all epochs of the run, so that a node which
    is driven out has nothing from then on.
    """

    rewards: Array  #: (R, F + M) tokens over the run: rewards net of compute, or profits
    jobs: Array  #: (R, F + M) rounds the node was paid for, or an economy's epochs
    consensus: Array  #: (R,) mean consensus, in [0, 10]
    bias: Array  #: (R,) mean consensus less mean truth
    rounds: int  #: of the run; of an economy, its epochs
    per: str = "job"  #: or ``epoch``, what ``jobs`` counts
    uncovered: Array | None = None  #: (R, F + M) of an economy, fines that bonds did not cover

    @classmethod
    def of(
        cls, scenario: Scenario, tables: Tables, count: int, spent: Array | None = None
    ) -> PlayedVariant:
        """Return what stands in the tables of a scenario that was played ``count`` times.

        ``spent`` is what a job costs every node, in tokens, where that is not nothing.
        """

        def by_node(table: str, name: str) -> Array:
            values = tables[table].column(name).to_numpy().astype(np.float64)
            return np.asarray(values.reshape(count, -1))

        network = tables["replications"]
        consensus, bias = (network.column(name).to_numpy() for name in ("consensus_mean", "bias"))
        if "accounts" not in tables:
            paid, jobs = (by_node("nodes", name) for name in ("reward_total", "jobs"))
            net = paid if spent is None else paid - jobs * spent
            return cls(net, jobs, consensus, bias, scenario.rounds)
        profit, uncovered = (by_node("accounts", name) for name in ("profit", "uncovered"))
        epochs = settings_of(scenario).epochs
        each = np.full_like(profit, epochs)
        return cls(profit, each, consensus, bias, epochs, "epoch", uncovered)

    def joined(self, later: PlayedVariant) -> PlayedVariant:
        """Return these replications followed by later ones."""
        return PlayedVariant(
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
class VariantRunner:
    """A scenario without a sweep, the profile it draws from, and workers to play it with.

    Variants share the seed, so that replication r of one and of another saw the same luck. In an
    economy nobody adapts: nodes that answered a deviation would change what it is compared with.
    """

    plan: Plan
    workers: Workers
    progress: Progress | None = None
    left_out: tuple[str, ...] = ()  #: rules of adaptation that the scenario has
    #: tokens that running a model of cost C = 1 takes for a job, which who does not run it saves
    compute_cost: float = 0.0

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        *,
        n_jobs: int = 1,
        progress: Progress | None = None,
        compute_cost: float = 0.0,
    ) -> VariantRunner:
        """Return the runner of a scenario, or raise if it has several treatments."""
        if not 0.0 <= compute_cost < math.inf:
            raise InputError(f"the cost of compute must be 0 or above, got {compute_cost!r}")
        if compute_cost and scenario.economy is not None:
            raise InputError(
                "a cost of compute does nothing in an economy: what running a model costs there "
                "is in profits where economy.cost.basis is money"
            )
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
        if scenario.resample_profile:
            raise InputError("resample_profile does nothing in an audit: set it to false")
        alone = plan.treatments[0].scenario.model_copy(update={"sweep": {}})
        rules: tuple[str, ...] = ()
        if alone.economy is not None:
            rules = tuple(dict.fromkeys(str(rule["name"]) for rule in alone.economy.adaptation))
            data = alone.resolved()
            data["economy"]["adaptation"] = []
            # Written out in full: nobody asked for what no longer acts without these rules.
            alone = Scenario.model_validate(data)
        alone_plan = Plan.of(alone, profile=plan.profile(0))
        return cls(alone_plan, Workers(n_jobs), progress, rules, compute_cost)

    @cached_property
    def player(self) -> PlayInMemory:
        """What plays variants of the scenario, and searches among them."""
        return PlayInMemory(self.workers, self.progress, dict(self.plan.profiles), self.plan.twins)

    @property
    def scenario(self) -> Scenario:
        """The scenario that variants are of."""
        return self.plan.scenario

    @property
    def replications(self) -> int:
        """The scenario's replications; of a precision target, the least it asks for."""
        written = self.scenario.replications
        return written if isinstance(written, int) else written.at_least

    def play(
        self, variants: Mapping[str, Scenario], first: int, last: int
    ) -> dict[str, PlayedVariant]:
        """Play replications ``first`` to ``last - 1`` of every variant.

        Raises
        ------
        InputError
            If there is nothing to play, a variant cannot be played, or a replication raises.
        """
        step = Step(list(variants.values()), first, last)
        return dict(zip(variants, self.read(step, self.player(step)), strict=True))

    def read(self, step: Step, tables: Sequence[Tables]) -> list[PlayedVariant]:
        """Return what stands in the tables of a step, net of what compute costs."""
        profile, price = self.plan.profile(0), self.compute_cost
        return [
            PlayedVariant.of(
                scenario,
                one,
                step.last - step.first,
                price * cost_run(scenario, profile) if price else None,
            )
            for scenario, one in zip(step.scenarios, tables, strict=True)
        ]


def _both(first: Array | None, later: Array | None) -> Array | None:
    return None if first is None or later is None else np.concatenate([first, later])


def trace_of(scenario: Scenario, profile: Profile, replication: int = 0) -> Any:
    """Return the rounds of a replication as they were played, the first :data:`MOST_ROUNDS`.

    Rows of :data:`poq_abm.experiment.schemas.ROUNDS`, as an Arrow table.

    Raises
    ------
    InputError
        If the replication raises.
    """
    short = study_of(scenario).shortened(MOST_ROUNDS)
    rounds = [ROUNDS.empty_table()]
    played = study_of(short).play(
        "base", profile, replication, replication + 1, Options(sink=rounds.append)
    )
    if played.failures:
        raise InputError(f"a replication raised: {played.failures[0].error}")
    return pa.concat_tables(rounds).unify_dictionaries()


def activation_rate(base: Any, played: Any, deviation: Deviation, first: int) -> float:
    """Return the share of the members' jobs in which the deviation changed anything, in [0, 1].

    Compared are two traces of one replication (:func:`trace_of`), without and with the deviation:
    what a member reports as an evaluator (whose node ids start at ``first``); the scores that an
    inference node's answer gets, its truth, and what it is paid, in which its reported cost stands.
    In an economy the two can come apart; only rounds in which the same node answers the same record
    before the same committee are compared. NaN where there are none.
    """
    one, other = (trace.column("round").to_numpy() for trace in (base, played))
    _, ours, theirs = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    if ours.size == 0:
        return float("nan")

    def both(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        return _values(base, name)[ours], _values(played, name)[theirs]

    def differs(name: str) -> NDArray[np.bool_]:
        without, with_ = both(name)
        changed = without != with_
        if changed.dtype == bool and without.dtype.kind == "f":  # a truth that nobody knows
            changed &= ~(np.isnan(without) & np.isnan(with_))
        return np.asarray(changed)

    committee = both("committee")[0]
    alike = ~(differs("node") | differs("record") | differs("committee").any(axis=1))
    changed = differs("scores")
    members = np.asarray(deviation.members)
    if deviation.role == "evaluator":
        seats = np.isin(committee, members + first) & alike[:, None]
        return _share(changed[seats])
    jobs = np.isin(both("node")[0], members) & alike
    acted = changed.any(axis=1) | differs("truth") | differs("inference_reward")
    return _share(acted[jobs])


def _share(acted: NDArray[np.bool_]) -> float:
    return float(acted.mean()) if acted.size else float("nan")


def _values(rounds: Any, name: str) -> NDArray[Any]:
    """Return a column of a trace: numbers, codes of words, or lists as rows."""
    column = rounds.column(name).combine_chunks()
    if pa.types.is_list(column.type):
        return np.asarray(column.flatten()).reshape(rounds.num_rows, -1)
    return np.asarray(column.indices if pa.types.is_dictionary(column.type) else column)
