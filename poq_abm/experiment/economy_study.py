"""Economies as a study: epochs of rounds, in which nodes are paid, adapt, come and go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.round_study import ReplicationArrays, RoundStudy
from poq_abm.experiment.round_tables import (
    REWARD_QUANTILES,
    distribution_measures,
    majority_probability,
)
from poq_abm.experiment.schemas import ACCOUNTS, EPOCHS, NETWORK
from poq_abm.experiment.study import Options, Played
from poq_abm.experiment.twins import TWIN_MEASURES, is_honest
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Finding
from poq_abm.simulation.epochs.economy import Economy, settings_of
from poq_abm.simulation.epochs.economy_playable import adaptation_findings
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS, NODE_COLUMNS
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.settlement import Settled, spread_of_points
from poq_abm.simulation.table_columns import keys, table, words

__all__ = ["EconomyStudy", "economy_measures", "play_economy"]

_GROUP = {name: place for place, (name, _, _) in enumerate(GROUP_COLUMNS)}
_NETWORK = {name: place for place, (name, _, _) in enumerate(NETWORK_COLUMNS)}


class EconomyStudy(RoundStudy):
    """Epochs of an economy; where somebody deviates, they have no honest twin."""

    traced = None

    def rows(self, profile: Profile) -> dict[str, int]:
        """Return the tables of rounds, and those of epochs and accounts."""
        people, economy = self.scenario.population, settings_of(self.scenario)
        return {
            **super().rows(profile),
            "epochs": economy.epochs * (people.group_count + 1),
            "accounts": people.inference_nodes + people.evaluator_nodes,
        }

    def findings(self, profile: Profile) -> Iterator[Finding]:
        """Yield rules of adaptation that cannot be played."""
        return adaptation_findings(self.scenario, profile)

    def why_missing(self, measure: str) -> str | None:
        """Return why a measure is missing: it takes a twin, or points that are tokens."""
        if measure == "reward_gap":
            return "is missing in an economy, which has no honest twin"
        if measure in REWARD_QUANTILES and not points_are_tokens(settings_of(self.scenario)):
            return (
                "is missing where a point is not paid as a token: a pool shares, or audits take "
                "back"
            )
        return None

    def shortened(self, rounds: int) -> Scenario:
        """Return the scenario with fewer epochs of as many rounds."""
        economy = settings_of(self.scenario)
        per_epoch = self.scenario.rounds // economy.epochs
        epochs = min(economy.epochs, max(1, rounds // per_epoch))
        fewer = economy.model_copy(update={"epochs": epochs})
        update = {"rounds": per_epoch * epochs, "economy": fewer}
        return self.scenario.model_copy(update=update)

    def play(
        self, treatment: str, profile: Profile, first: int, last: int, options: Options
    ) -> Played:
        """Play replications, epoch by epoch."""
        scenario, game = self.scenario, build_game(self.scenario, profile)
        arrays = ReplicationArrays(last - first)
        drift = dict.fromkeys(TWIN_MEASURES, 0.0 if is_honest(game.conduct) else math.nan)
        drift["reward_gap"] = math.nan
        names: dict[str, list[str]] = {}

        def play(replication: int) -> None:
            economy = play_economy(scenario, game, profile, replication, options.progress)
            measures = {
                **drift,
                **distribution_measures(economy.memory),
                **economy_measures(economy),
            }
            if not points_are_tokens(economy.settings):
                # Counted were points, whose price in tokens moves from epoch to epoch.
                measures |= dict.fromkeys(REWARD_QUANTILES, math.nan)
            arrays.add(replication, economy.ledger, economy.memory, measures, **_kept_of(economy))
            names.update(_names_of(economy))

        failures = self._failures(first, last, play)
        tables = self._tables(treatment, game, arrays)
        if tables:
            key = (treatment, arrays["replication"])
            groups, network = arrays["epoch_groups"], arrays["epoch_network"]
            tables["epochs"] = epoch_table(game, groups, network, *key)
            tables["accounts"] = account_table(
                game, arrays["accounts"], arrays["final"], names, *key
            )
        return Played(tables, failures)

    def _settled(self, _: Game, arrays: ReplicationArrays, /) -> Settled:
        return Settled(*np.moveaxis(arrays["settled"], 1, 0))

    def _rounds(self, arrays: ReplicationArrays) -> NDArray[np.int64]:
        return arrays["served"]


def play_economy(
    scenario: Scenario,
    game: Game,
    profile: Profile,
    replication: int,
    progress: Callable[[int], None] | None = None,
) -> Economy:
    """Play all epochs of one replication.

    Raises :class:`~poq_abm.errors.InputError` where a behaviour needs the agent engine: the rounds
    of an economy are compiled.
    """
    if game.needs_agents:
        raise InputError(
            "an economy plays compiled rounds: a behaviour of one's own must be a compiled "
            "function or set columns, and a scenario can have one that is compiled"
        )
    economy = Economy(scenario, game, profile, replication)
    while not economy.finished:
        economy.step()
        if progress:
            progress(economy.rounds_per_epoch)
    return economy


def _kept_of(economy: Economy) -> dict[str, Any]:
    """Return what is kept of an economy until its rows are made."""
    roster = economy.roster
    model = np.full(roster.size, -1)
    model[: roster.inference] = roster.model
    return {
        "served": economy.served,
        "settled": _settled(economy),
        "epoch_groups": economy.record.groups,
        "epoch_network": economy.record.network,
        "accounts": economy.record.nodes(),
        "final": np.array(
            [roster.operator, roster.behaviour, model, roster.machine, roster.estimated]
        ),
    }


def _settled(economy: Economy) -> NDArray[np.float64]:
    """Return the fields of :class:`~poq_abm.simulation.settlement.Settled`, shape (5, N)."""
    pay, presence = economy.record.pay, economy.record.sums[0] / economy.settings.epochs
    reward, spread = pay.reward, pay.spread
    if points_are_tokens(economy.settings):  # then the ledger has kept tokens, to the bit
        sums = economy.ledger.nodes()
        reward, spread = sums[:, NodeSum.REWARD], spread_of_points(economy.game, sums)
    return np.array([reward, spread, pay.cost, pay.latency_ms, presence])


def _names_of(economy: Economy) -> dict[str, list[str]]:
    """Return what the codes in ``final`` mean, the same in every replication of a treatment."""
    roster = economy.roster
    return {
        "behaviour": [str(spec["name"]) for _, spec in roster.behaviours],
        "model": list(roster.models),
        "hardware": list(roster.machines),
    }


def economy_measures(economy: Economy) -> dict[str, float]:
    """Return the columns of ``replications`` that an economy fills.

    Besides its own, those of evaluators in which it matters who is there and what each does then.
    """
    groups, network = economy.record.groups, economy.record.network
    everybody = groups[:, -1]
    nodes = everybody[:, _GROUP["nodes"]]
    last = economy.halted - 1 if economy.halted >= 0 else len(groups) - 1
    queries = np.nansum(network[:, _NETWORK["queries"]])
    return {
        "halted_epoch": float(economy.halted) if economy.halted >= 0 else np.nan,
        "dropped_share": _over(np.nansum(network[:, _NETWORK["dropped"]]), queries),
        "deviating_share": _over(everybody[last, _GROUP["deviating"]], nodes[last]),
        "profit_mean": _over(everybody[:, _GROUP["profit"]].sum(), nodes.sum()),
        "welfare": float(np.nansum(network[:, _NETWORK["welfare"]])),
        **_pay_by_honesty(economy),
        "malicious_majority_expected": _majority_expected(economy),
        "saturated_share": _over(economy.saturated.sum(), economy.saturated.size),
    }


def _pay_by_honesty(economy: Economy) -> dict[str, float]:
    """Return tokens per job of evaluators in epochs in which they were honest, and deviated."""
    first, pay = economy.roster.inference, economy.record.pay
    sums, reward = economy.ledger.nodes()[first:], _settled(economy)[0, first:]
    jobs, bad_jobs = sums[:, NodeSum.JOBS], pay.deviating_jobs[first:]
    deviates = np.where(jobs > 0, bad_jobs > 0, economy.roster.deviates[first:])
    measures = {}
    for name, mine, part in (
        ("honest", ~deviates | (bad_jobs < jobs), jobs - bad_jobs),
        ("malicious", deviates, bad_jobs),
    ):
        # Who never changed is paid what it was paid altogether, to the bit.
        changed = (bad_jobs > 0) & (bad_jobs < jobs)
        bad = pay.deviating_reward[first:]
        tokens = np.where(changed, bad if name == "malicious" else reward - bad, reward)
        measures[f"{name}_reward_mean"] = _over(tokens[mine].sum(), part[mine].sum())
    return measures


def _majority_expected(economy: Economy) -> float:
    """Return the chance that a committee had a malicious majority, mean over rounds."""
    groups, network = economy.record.groups, economy.record.network
    of_evaluators = [g.role == "evaluator" for g in economy.game.population.groups]
    counts = groups[:, :-1][:, of_evaluators][..., [_GROUP["nodes"], _GROUP["deviating"]]].sum(
        axis=1
    )
    served = np.nan_to_num(network[:, _NETWORK["queries"]] - network[:, _NETWORK["dropped"]])
    size = economy.game.rules.committee_size
    chances: dict[tuple[int, int], float] = {}
    for evaluators, bad in counts[served > 0].astype(int).tolist():
        chances[evaluators, bad] = majority_probability(evaluators, bad, size)
    if len(chances) < 2:
        return next(iter(chances.values()), float("nan"))
    by_epoch = [chances[e, b] for e, b in counts[served > 0].astype(int).tolist()]
    return float(np.average(by_epoch, weights=served[served > 0]))


def epoch_table(
    game: Game,
    groups: NDArray[np.float64],
    network: NDArray[np.float64],
    treatment: str,
    replications: NDArray[np.int32],
) -> Any:
    """Return the rows of :data:`EPOCHS` for replications of one treatment.

    ``groups`` has the shape (replications, epochs, groups + 1, columns), ``network`` (replications,
    epochs, columns).
    """
    times, epochs, rows, _ = groups.shape
    known = [*(group.label for group in game.population.groups), NETWORK]
    roles = [*(group.role for group in game.population.groups), NETWORK]
    place = np.tile(np.arange(rows), times * epochs)
    sources = [group.latency_source for group in game.population.groups]
    sources.append("estimated" if "estimated" in sources else "measured")
    wide = np.full((times, epochs, rows, network.shape[-1]), np.nan)
    wide[:, :, -1] = network
    columns = {
        **keys(epochs * rows, treatment, replications),
        "epoch": np.tile(np.repeat(np.arange(epochs, dtype=np.int32), rows), times),
        "role": words(roles, place),
        "group": words(known, place),
        "latency_source": words(sources, place),
        **{name: groups[..., number] for name, number in _GROUP.items()},
        **{name: wide[..., number] for name, number in _NETWORK.items()},
    }
    return table(EPOCHS, columns)


def account_table(
    game: Game,
    accounts: NDArray[np.float64],
    final: NDArray[np.int64],
    names: dict[str, list[str]],
    treatment: str,
    replications: NDArray[np.int32],
) -> Any:
    """Return the rows of :data:`ACCOUNTS` for replications of one treatment.

    ``accounts`` has the shape (replications, nodes, columns), ``final`` (replications, 5, nodes):
    operator, behaviour, model and machine, the last three as indices into ``names``, and whether
    the latency is estimated.
    """
    times, nodes, _ = accounts.shape
    population = game.population
    group = np.tile(population.group, times)
    operator, behaviour, model, machine, estimated = (final[:, row].reshape(-1) for row in range(5))
    evaluators = np.tile(population.group, times)[model < 0]
    model = model.copy()
    model[model < 0] = len(names["model"]) + evaluators
    models = [*names["model"], *(g.model for g in population.groups)]
    columns = {
        **keys(nodes, treatment, replications),
        "node": np.tile(np.arange(nodes, dtype=np.int32), times),
        "role": words([g.role for g in population.groups], group),
        "group": words([g.label for g in population.groups], group),
        "operator": operator.astype(np.int32),
        "behaviour": words(names["behaviour"], behaviour),
        "model": words(models, model),
        "hardware": words(names["hardware"], machine),
        "latency_source": words(["measured", "estimated"], estimated),
        **{name: accounts[..., number] for number, (name, _, _) in enumerate(NODE_COLUMNS)},
    }
    return table(ACCOUNTS, columns)


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")
