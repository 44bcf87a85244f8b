"""Economies as a study: epochs of rounds, in which nodes are paid, adapt, come and go."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.experiment.calibration_error import stacked, widen
from poq_abm.experiment.estimates import CONFIDENCE, COUNT, UNBOUNDED, Range, mean_interval
from poq_abm.experiment.round_study import ReplicationArrays, RoundStudy
from poq_abm.experiment.round_tables import (
    REWARD_QUANTILES,
    distribution_measures,
    majority_probability,
    rounds_table,
)
from poq_abm.experiment.schemas import NETWORK, range_of
from poq_abm.experiment.study import Options, Played
from poq_abm.experiment.twins import Outcome
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_state import settings_of
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS, NODE_COLUMNS
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.settlement import Settled
from poq_abm.simulation.table_columns import Rows, keys, words

__all__ = [
    "LAST_SHARE",
    "EconomyStudy",
    "economy_measures",
    "first_of_last",
    "play_economy",
    "range_of_nodes",
    "summarise_economy",
]

_GROUP = {name: place for place, (name, _, _) in enumerate(GROUP_COLUMNS)}
_NETWORK = {name: place for place, (name, _, _) in enumerate(NETWORK_COLUMNS)}


LAST_SHARE = 0.2  #: share of the epochs, at the end, that a summary averages over

#: what a summary shows of each group and of the network: column of ``epochs``, unit
_SHOWN = {
    "nodes": "nodes",
    "deviating": "nodes",
    "stake": "tokens",
    "reward": "tokens per epoch",
    "cost_in_money": "tokens per epoch",
    "profit": "tokens per epoch",
}
_OF_NETWORK = {
    "queries": "queries",
    "dropped": "queries",
    "busy": "share",
    "latency_p50": "s",
    "latency_p95": "s",
    "quality": "0-1",
    "price": "tokens",
    "alpha_inference": "points",
    "beta_inference": "points",
    "bounded": "controllers",
    "emissions": "tokens per epoch",
    "burned": "tokens per epoch",
    "welfare": "tokens per epoch",
    "gini": "0-1",
    "nakamoto": "operators",
    "malicious_stake": "0-1",
}


class EconomyStudy(RoundStudy):
    """Epochs of an economy, each compared with its honest twin."""

    @property
    def traced_rows(self) -> None:
        """Nothing: how many queries there are is drawn at random."""

    def rows(self, profile: Profile) -> dict[str, int]:
        """Return the tables of rounds, and those of epochs and accounts."""
        people, economy = self.scenario.population, settings_of(self.scenario)
        return {
            **super().rows(profile),
            "epochs": economy.epochs * (people.group_count + 1),
            "accounts": people.inference_nodes + people.evaluator_nodes,
        }

    def why_missing(self, measure: str) -> str | None:
        """Return why a measure is missing: it takes points that are tokens."""
        if measure in REWARD_QUANTILES and not points_are_tokens(settings_of(self.scenario)):
            return (
                "is missing where a point is not paid as a token: a pool shares, or audits take "
                "back"
            )
        return self._of_a_batch(measure)

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
        """Play replications, epoch by epoch, beside their honest twins."""
        scenario = self.scenario
        game = build_game(scenario, profile, options.populations)
        twin = self._twin(game, profile, options)
        arrays = ReplicationArrays(last - first)
        names: dict[str, list[str]] = {}

        def play(replication: int) -> None:
            economy = play_economy(scenario, game, profile, replication, treatment, options)
            outcome = _outcome_of(economy)
            other = twin.outcomes(replication, replication + 1)[0] if twin else outcome
            measures = {
                **outcome.against(other, _bad(economy)),
                **distribution_measures(game, economy.memory),
                **economy_measures(economy),
                "deviation_gain": _gain_over(economy, other),
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
            tables["epochs"] = epoch_rows(game, groups, network, *key)
            tables["accounts"] = account_rows(
                game, arrays["accounts"], arrays["final"], names, *key
            )
        return Played(tables, failures)

    def honest(self) -> Scenario:
        """Return the scenario with every node honest: nodes adapt, and can choose nothing else."""
        scenario, economy = super().honest(), settings_of(self.scenario)
        options = economy.options.model_copy(update={"inference": (), "evaluator": ()})
        update = {"economy": economy.model_copy(update={"options": options})}
        return scenario.model_copy(update=update)

    def _can_come_to_deviate(self) -> bool:
        options = settings_of(self.scenario).options
        return any(spec["name"] != "honest" for spec in (*options.inference, *options.evaluator))

    @staticmethod
    def _outcomes(
        scenario: Scenario, game: Game, profile: Profile, first: int, last: int
    ) -> list[Outcome]:
        found = []
        for replication in range(first, last):
            economy = Economy(scenario, game, profile, replication)
            economy.run()
            found.append(_outcome_of(economy))
        return found

    def _settled(self, _: Game, arrays: ReplicationArrays, /) -> Settled:
        return Settled(*np.moveaxis(arrays["settled"], 1, 0))

    def _rounds(self, arrays: ReplicationArrays) -> NDArray[np.int64]:
        return arrays["served"]


def play_economy(
    scenario: Scenario,
    game: Game,
    profile: Profile,
    replication: int,
    treatment: str = "base",
    options: Options = Options(),  # noqa: B008  (a tuple)
) -> Economy:
    """Play all epochs of one replication; the sink of the options takes its rounds."""
    if options.engine == "agents" or game.needs_agents:
        # Mesa takes over a second to import and the compiled engine does without it.
        from poq_abm.simulation.epochs.economy_model import EconomyModel  # noqa: PLC0415

        model = EconomyModel(
            scenario, replication=replication, profile=profile, game=game, by_agents=True
        )
        economy = model.economy
    else:
        economy = Economy(scenario, game, profile, replication)
    while not economy.finished:
        economy.step()
        if options.sink:
            numbers, trace = economy.trace()
            options.sink(rounds_table(game, trace, numbers, treatment, replication))
        if options.progress:
            options.progress(economy.rounds_per_epoch)
    return economy


def _outcome_of(economy: Economy) -> Outcome:
    first = economy.population.inference
    outcome = Outcome.of(economy.ledger, economy.served, first, economy.settled.reward)
    return outcome._replace(profits=economy.record.profit)


def _kept_of(economy: Economy) -> dict[str, Any]:
    """Return what is kept of an economy until its rows are made."""
    now = economy.population
    model = np.full(now.size, -1)
    model[: now.inference] = now.model
    return {
        "served": economy.served,
        "settled": np.array(economy.settled),
        "epoch_groups": economy.record.groups,
        "epoch_network": economy.record.network,
        "accounts": economy.record.nodes(),
        "final": np.array([now.operator, now.behaviour, model, now.machine, now.estimated]),
    }


def _names_of(economy: Economy) -> dict[str, list[str]]:
    """Return what the codes in ``final`` mean, the same in every replication of a treatment."""
    population = economy.population
    return {
        "behaviour": [str(spec["name"]) for _, spec in population.behaviours],
        "model": list(population.models),
        "hardware": list(population.machines),
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


def _deviating(economy: Economy) -> NDArray[np.bool_]:
    """Return which nodes deviated in a round, or would without any; shape (N,)."""
    jobs = economy.ledger.nodes()[:, NodeSum.JOBS]
    deviated: NDArray[np.bool_] = economy.record.pay.deviating_jobs > 0
    return np.where(jobs > 0, deviated, economy.population.deviates)


def _bad(economy: Economy) -> NDArray[np.bool_]:
    """Return which evaluators deviated; shape (M,)."""
    return _deviating(economy)[economy.population.inference :]


def _gain_over(economy: Economy, twin: Outcome) -> float:
    """Return what deviating gained per node and epoch, over all epochs; missing without any.

    Who is driven out has nothing from then on, and what it has in the twin all the same.
    """
    deviating = _deviating(economy)
    assert twin.profits is not None
    moved = economy.record.profit[deviating] - twin.profits[deviating]
    return _over(math.fsum(moved), moved.size * len(economy.record.groups))


def _pay_by_honesty(economy: Economy) -> dict[str, float]:
    """Return tokens per job of evaluators in epochs in which they were honest, and deviated."""
    first, pay = economy.population.inference, economy.record.pay
    jobs, reward = economy.ledger.nodes()[first:, NodeSum.JOBS], economy.settled.reward[first:]
    bad_jobs, deviates = pay.deviating_jobs[first:], _bad(economy)
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


def epoch_rows(
    game: Game,
    groups: NDArray[np.float64],
    network: NDArray[np.float64],
    treatment: str,
    replications: NDArray[np.int32],
) -> Rows:
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
    return {
        **keys(epochs * rows, treatment, replications),
        "epoch": np.tile(np.repeat(np.arange(epochs, dtype=np.int32), rows), times),
        "role": words(roles, place),
        "group": words(known, place),
        "latency_source": words(sources, place),
        **{name: groups[..., number] for name, number in _GROUP.items()},
        **{name: wide[..., number] for name, number in _NETWORK.items()},
    }


def account_rows(
    game: Game,
    accounts: NDArray[np.float64],
    final: NDArray[np.int64],
    names: dict[str, list[str]],
    treatment: str,
    replications: NDArray[np.int32],
) -> Rows:
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
    return {
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


def first_of_last(epochs: int) -> int:
    """Return the first of the last epochs, over which a summary averages: a fifth, at least one.

    >>> first_of_last(10), first_of_last(1)
    (8, 0)
    """
    return epochs - max(1, math.ceil(LAST_SHARE * epochs))


def range_of_nodes(most: float, *, varies: bool) -> Range:
    """Return the range of a count of nodes in a group that ever had at most so many.

    A count that nobody ever saw change has no end, so that it has no error either.

    >>> range_of_nodes(4.0, varies=True)
    Range(low=0.0, high=4.0, whole=True, known=False)
    """
    return COUNT._replace(high=most) if varies else UNBOUNDED


def summarise_economy(
    epochs: pd.DataFrame,
    confidence: float = CONFIDENCE,
    resampled: pd.DataFrame | None = None,
    records: int = 0,
) -> pd.DataFrame:
    """Return one row per treatment, group and measure: its first epoch, and its last ones.

    The estimate of one replication is the mean over the last fifth of the epochs (at least one);
    mean and interval (:func:`~poq_abm.experiment.estimates.mean_interval`, inside the measure's
    range) are over replications. ``first`` is the mean of the first epoch, from which the economy
    came; ``occurred`` counts the replications that end with anything but 0: where they are some and
    not all, 8 of 40 say more than their mean. Nodes that nobody ever saw change have no error; of
    others there are at most as many as the group ever had. What is told of a group that ends with
    nobody in every replication is an estimate over nothing: 0, without an interval.

    Parameters
    ----------
    epochs
        A table with the columns of :data:`poq_abm.experiment.schemas.EPOCHS`.
    confidence
        Level of the interval, in (0, 1).
    resampled, records
        The same of resampled profiles, if there are any, and the fewest records of a task: for the
        columns :data:`~poq_abm.experiment.calibration_error.WIDENED`, inside the same ranges.
    """
    keys = ["treatment", "role", "group"]
    measures = [*_SHOWN, *_OF_NETWORK]
    ends = _ends(epochs)
    firsts = epochs[epochs["epoch"] == 0]
    starts = firsts.groupby([*keys, "replication"], observed=True, sort=False)[measures].mean()
    began = {key: group.mean() for key, group in starts.groupby(level=keys, observed=True)}
    cells = epochs.groupby(keys, observed=True)
    most = cells["nodes"].max().to_dict()
    changes = {name: cells[name].nunique().to_dict() for name in ("nodes", "deviating")}
    rows, ranges = [], []
    for key, group in ends.groupby(level=keys, observed=True, sort=False):
        network = list(key)[2] == NETWORK
        for measure, unit in {**_SHOWN, **(_OF_NETWORK if network else {})}.items():
            values = group[measure].dropna()
            within = range_of(measure, unit)
            if unit == "nodes":
                within = range_of_nodes(float(most[key]), varies=changes[measure][key] > 1)
            ranges.append(within)
            mean, _, low, high = mean_interval(values, confidence, within)
            if measure != "nodes" and (group["nodes"] == 0.0).all():
                low = high = math.nan
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    "measure": measure,
                    "unit": unit,
                    "first": float(began[key][measure]),
                    "last": mean,
                    "low": low,
                    "high": high,
                    "occurred": int((values != 0.0).sum()),
                    "replications": len(group),
                }
            )
    summary = pd.DataFrame(rows)
    if resampled is None:
        return summary
    sides = (stacked(ends, "measure"), stacked(_ends(resampled), "measure"))
    return widen(summary, sides, ("last", "low", "high"), records, confidence, ranges)


def _ends(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every measure over the last epochs of a group in a replication."""
    count = int(epochs["epoch"].max()) + 1
    last = epochs["epoch"] >= first_of_last(count)
    keys = ["treatment", "role", "group", "replication"]
    measures = [*_SHOWN, *_OF_NETWORK]
    return epochs[last].groupby(keys, observed=True, sort=False)[measures].mean()


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")
