"""Who gains from an economy, and how much: users, nodes, and the network that stands between them.

*Consumer surplus* is the area under the declared demand above the price. A user whose query is
answered would have paid up to some price; of as many as ask at the price p, the share

    s(x) = min((x / fee_0)^-e, 1000) / min((p / fee_0)^-e, 1000)

would still ask at the price x, with e ``demand.elasticity`` (0 where no controller moves the fee)
and fee_0 the first fee; and nobody pays more than an answer is worth: v q, with v ``demand.value``
and q the mean quality of the epoch's answers. So an epoch in which n queries are answered has

    CS = n (integral of s(x) from p to v q)  -  what fast service cost on top of the fee

which for e = 0 is n (v q - p), for e > 0, e /= 1 is n p ((v q / p)^(1 - e) - 1) / (1 - e), for
e = 1 is n p ln(v q / p), and without a declared value (v = 0, no end) is n p / (e - 1) for e > 1
and not known for others, whose area is infinite. Where answers were worth less than the price, the
users lose n (v q - p). Queries that were dropped gain nobody anything.

*Producer surplus* is the income of nodes (rewards, and what they get of others' bonds, less their
bonds lost) less the cost that an answer more or less would change: energy, which machines draw idle
too, and bandwidth, or the answers that are bought. *Profit* is what is left of it after fixed cost:
machines, by the hour, of who does not buy its answers, and the capital cost of bonds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from poq_abm.analysis import questions
from poq_abm.analysis.questions import AnalysisRequest, TableKind, told
from poq_abm.analysis.stored_run import scenarios_of
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import NETWORK
from poq_abm.profile.hardware import hardware
from poq_abm.scenario import Scenario
from poq_abm.scenario.schema.economy import EconomySettings
from poq_abm.scenario.schema.fields import named
from poq_abm.scenario.schema.service import MOST_DEMAND, QueryDemand
from poq_abm.simulation.epochs.economy_state import settings_of
from poq_abm.simulation.epochs.prices import hourly_usd
from poq_abm.simulation.population import model_run_by

__all__ = ["TABLES", "surplus", "surplus_by_replication", "surplus_of_a_user"]

_KEYS = ["treatment", "replication"]
#: rules after which a node's machine is the one it had from the start, and its own
_KEEP_MACHINES = frozenset(
    ("imitation", "best_response", "epsilon_greedy", "model_switch", "entry_exit")
)
_ROLES = ("inference", "evaluator")
#: measure, whose it is, what it is of
_MEASURES = (
    ("consumer_surplus", "users"),
    *(("producer_surplus", role) for role in (*_ROLES, "nodes")),
    *(("profit", role) for role in (*_ROLES, "nodes")),
    ("kept", "network"),
    ("total", "all"),
)


def surplus_of_a_user(
    price: ArrayLike, worth: ArrayLike, demand: QueryDemand, first_fee: float
) -> NDArray[np.float64]:
    """Return what a user who is answered gains in the mean, in tokens; NaN where it is not known.

    Parameters
    ----------
    price
        What a query costs, in tokens.
    worth
        The most that an answer is worth to anybody, in tokens; infinite where nobody said.
    demand
        How demand answers the price.
    first_fee
        The price at which demand is at its normal level.

    Examples
    --------
    >>> linear, unit = QueryDemand(), QueryDemand(elasticity=1.0)
    >>> surplus_of_a_user([1.0, 3.0], 2.0, linear, 1.0).tolist()
    [1.0, -1.0]
    >>> round(float(surplus_of_a_user(1.0, math.e, unit, 1.0)), 12)
    1.0
    >>> float(surplus_of_a_user(2.0, math.inf, QueryDemand(elasticity=3.0), 1.0))
    1.0
    """
    p, end = np.broadcast_arrays(np.asarray(price, np.float64), np.asarray(worth, np.float64))
    e = demand.elasticity
    if e == 0.0:
        return np.where(np.isinf(end), np.nan, end - p)
    # Up to this price demand is at the most that there can be.
    corner = np.maximum(p, first_fee * MOST_DEMAND ** (-1.0 / e))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(end / corner)
        tail = corner * (logs if e == 1.0 else np.expm1((1.0 - e) * logs) / (1.0 - e))
    area = np.where(end > corner, corner - p + tail, end - p)
    return np.where(np.isinf(area), np.nan, area)


def surplus_by_replication(results: Results) -> pd.DataFrame:
    """Return who gained how much, in tokens per epoch, a row a replication of a treatment.

    Columns are pairs of a measure and whose it is; the mean is over all epochs, in those after a
    network halted nobody gains anything. ``kept`` is what network and treasury keep and what was
    burned, less what was minted, which all who hold tokens bear. ``total`` is the surplus of users,
    the income of nodes less their cost in money, and what is kept: where demand is inelastic, the
    measure ``welfare`` per epoch.

    Raises
    ------
    InputError
        If the run is of no economy.
    """
    scenarios = scenarios_of(results)
    found = []
    for treatment, accounts in results.accounts.groupby("treatment", observed=True, sort=False):
        scenario = scenarios[str(treatment)]
        epochs = results.epochs[results.epochs["treatment"] == treatment]
        network = epochs[epochs["group"].astype(str) == NETWORK]
        found.append(_of_treatment(scenario, network, accounts, str(treatment)))
    return pd.concat(found)


def _of_treatment(
    scenario: Scenario, network: pd.DataFrame, accounts: pd.DataFrame, treatment: str
) -> pd.DataFrame:
    """Return the rows of one treatment."""
    economy = settings_of(scenario)
    by = network["replication"]
    users = _consumer_surplus(network, economy).groupby(by).sum(min_count=economy.epochs)
    sums = network.groupby(by)[["burned", "emissions"]].sum()
    held = network.groupby(by)[["treasury", "network_income"]].last()
    kept = held.sum(axis=1) + sums["burned"] - sums["emissions"]
    worked = accounts.assign(
        producer_surplus=accounts["profit"] + accounts["capital"] + _machines(scenario, accounts)
    )
    columns = ["producer_surplus", "profit", "capital"]
    by_role = worked.groupby(["replication", "role"], observed=True)[columns].sum(min_count=1)
    nodes = by_role.groupby(level="replication").sum(min_count=len(_ROLES))
    parts = {("consumer_surplus", "users"): users, ("kept", "network"): kept}
    for measure in ("producer_surplus", "profit"):
        for role in _ROLES:
            parts[measure, role] = by_role[measure].xs(role, level="role")
        parts[measure, "nodes"] = nodes[measure]
    parts["total", "all"] = users + nodes["profit"] + nodes["capital"] + kept
    table = pd.concat(parts, axis=1)[list(_MEASURES)] / economy.epochs
    table.index = pd.MultiIndex.from_product([[treatment], table.index], names=_KEYS)
    return table


def _consumer_surplus(network: pd.DataFrame, economy: EconomySettings) -> pd.Series[float]:
    """Return what users gained in each epoch, in tokens; NaN where it is not known."""
    moves = any(rule.move == "fee" for rule in economy.controllers)
    demand = economy.demand.model_copy(update={} if moves else {"elasticity": 0.0})
    worth = demand.value * network["quality"] if demand.value > 0.0 else math.inf
    served, price = network["queries"] - network["dropped"], network["price"]
    each = surplus_of_a_user(price, worth, demand, economy.payment.fee)
    surcharge = network["fees"] - price * served
    return (served * each - surcharge).where(served > 0.0, 0.0)


def _machines(scenario: Scenario, accounts: pd.DataFrame) -> Any:
    """Return what machines cost each node over all epochs, in tokens; NaN where it is not known.

    A node that changed its machine, or shares one with other identities, left no record of that.
    Who buys its answers has none.
    """
    economy = settings_of(scenario)
    if economy.cost.basis != "money":
        return 0.0
    if any(rule["name"] not in _KEEP_MACHINES for rule in economy.adaptation):
        return math.nan
    hourly = {str(name): hourly_usd(hardware(str(name)), economy.cost)
              for name in accounts["hardware"].unique()}  # fmt: skip
    usd = accounts["hardware"].astype(str).map(hourly) * accounts["epochs"] * economy.epoch_hours
    rented = accounts["group"].astype(str).map(_rented(scenario)).fillna(1.0)
    return usd * rented.where(accounts["role"] == "inference", 1.0) / economy.cost.usd_per_token


def _rented(scenario: Scenario) -> dict[str, float]:
    """Return 0 for each group of inference nodes that buys its answers, by its label.

    1 where it buys none, as it answers with a model that nobody buys; NaN where that may change.
    """
    people, economy = scenario.population, settings_of(scenario)
    bought = {one.model for one in people.inference if one.count and one.usd_per_answer is not None}
    chosen = [named(spec) for spec in economy.options.inference] if economy.adaptation else []
    found = {}
    for label, group in zip(people.inference_labels, people.inference, strict=True):
        if group.usd_per_answer is None:
            continue
        does = [named(group.behaviour), *([{"name": "honest"}, *chosen] if chosen else [])]
        runs = {float((model_run_by(spec) or group.model) not in bought) for spec in does}
        for machine, _ in group.machines:
            mixed = f" on {machine}" if isinstance(group.hardware, dict) else ""
            found[f"{label}{mixed}"] = max(runs) if len(runs) == 1 else math.nan
    return found


def surplus(results: Results, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return who gains how much with intervals, in tokens per epoch, and what treatments change.

    Returns
    -------
    DataFrame
        ``treatment``, ``measure``, ``whose``, ``mean``, ``low``, ``high``, and ``change``,
        ``change_low``, ``change_high`` against the first treatment, over matched replications;
        ``replications``, ``unit``. Intervals are Student's over replications.

    Raises
    ------
    InputError
        If the run is of no economy.
    """
    found = surplus_by_replication(results)
    treatments = list(dict.fromkeys(found.index.get_level_values("treatment")))
    first, rows = found.loc[treatments[0]], []
    for treatment in treatments:
        own = found.loc[treatment]
        for measure, whose in _MEASURES:
            values = own[measure, whose].dropna()
            mean, _, low, high = mean_interval(values, confidence)
            change = (math.nan,) * 3
            if treatment != treatments[0]:
                moved = (own[measure, whose] - first[measure, whose]).dropna()
                middle, _, *ends = mean_interval(moved, confidence)
                change = (middle, ends[0], ends[1])
            rows.append([treatment, measure, whose, mean, low, high, *change, len(values)])
    columns = ["treatment", "measure", "whose", "mean", "low", "high", "change", "change_low",
               "change_high", "replications"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).assign(unit="tokens per epoch")


def _table(request: AnalysisRequest) -> pd.DataFrame:
    return told(surplus(request.run.results), request.run)


TABLES = (
    TableKind(
        "surplus",
        "economies: what users, nodes and the network gain, in tokens per epoch",
        _table,
        needs=(questions.EPOCHS,),
    ),
)
