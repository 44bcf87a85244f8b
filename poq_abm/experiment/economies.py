"""The tables of an economy: one row for each epoch and group, one for each node's account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.adversaries import majority_probability
from poq_abm.experiment.columns import KEYS, WORD, column, keys, table, words
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS, NODE_COLUMNS
from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.settlement import spread_of_points

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = [
    "ACCOUNTS",
    "ECONOMY_MEASURES",
    "EPOCHS",
    "NETWORK",
    "account_table",
    "economy_measures",
    "epoch_table",
    "kept_of",
    "names_of",
    "no_measures",
    "play_economy",
]

_SOURCE = "measured, or estimated from other hardware; of groups, where they began"
NETWORK = "network"  #: the group that stands for all nodes together

#: one row per treatment x replication x epoch x group, and one for the network
EPOCHS = pa.schema(
    [
        *KEYS,
        column("epoch", pa.int32(), "", "number of the epoch, from 0"),
        column("role", WORD, "", "inference or evaluator; `network` for all nodes together"),
        column("group", WORD, "", "label of the population group; `network` for all"),
        column("latency_source", WORD, "", _SOURCE),
        *(column(name, pa.float64(), unit, meaning) for name, unit, meaning in GROUP_COLUMNS),
        *(
            column(name, pa.float64(), unit, f"{meaning}; network rows only")
            for name, unit, meaning in NETWORK_COLUMNS
        ),
    ]
)

#: one row per treatment x replication x node, over all epochs
ACCOUNTS = pa.schema(
    [
        *KEYS,
        column("node", pa.int32(), "", "node id, as in nodes.parquet"),
        column("role", WORD, "", "inference or evaluator"),
        column("group", WORD, "", "label of the population group"),
        column("operator", pa.int32(), "", "id of its operator's first node"),
        column("behaviour", WORD, "", "what it does at the end"),
        column("model", WORD, "", "model it runs at the end"),
        column("hardware", WORD, "", "hardware it runs on at the end"),
        column("latency_source", WORD, "", _SOURCE),
        *(column(name, pa.float64(), unit, meaning) for name, unit, meaning in NODE_COLUMNS),
    ]
)

#: columns of replications.parquet that an economy fills: name, unit, meaning
ECONOMY_MEASURES = (
    ("halted_epoch", "epoch", "first epoch in which too few nodes were left; missing if never"),
    ("dropped_share", "0-1", "queries that would have waited too long"),
    ("deviating_share", "0-1", "nodes there in the last epoch that do anything but play honestly"),
    ("profit_mean", "tokens per node and epoch", "over nodes and epochs in which they were there"),
    ("welfare", "tokens", "sum over epochs"),
)
_GROUP = {name: place for place, (name, _, _) in enumerate(GROUP_COLUMNS)}
_NETWORK = {name: place for place, (name, _, _) in enumerate(NETWORK_COLUMNS)}


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


def kept_of(economy: Economy) -> dict[str, Any]:
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


def names_of(economy: Economy) -> dict[str, list[str]]:
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


def no_measures() -> dict[str, float]:
    """Return the same columns where there is no economy: missing."""
    return {name: np.nan for name, _, _ in ECONOMY_MEASURES}


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
