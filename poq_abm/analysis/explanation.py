"""What a node was paid for: its reward, or profit in an economy, split into components."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.questions import NODES, TREATMENTS, AnalysisRequest, TableKind
from poq_abm.analysis.stored_run import select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.rules.payment import earned_before_cost
from poq_abm.rules.payment.formulas import quality
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.payment import PARTS

__all__ = [
    "COMPONENTS",
    "KEYS",
    "PROFIT_COMPONENTS",
    "REMAINDER",
    "TABLES",
    "Component",
    "close_rows",
    "closing",
    "explain",
    "explain_difference",
    "explain_profit",
    "scenario_of",
    "split",
]

Array = NDArray[np.float64]
KEYS = ["treatment", "replication", "node", "role", "group", "behaviour"]
_TOTAL = "reward_total"
REMAINDER = "remainder"  #: what the components leave over, so that the row sums to what was paid
_PROFIT = "profit"


class Component(NamedTuple):
    """One part of a reward: the columns of ``nodes`` it reads, and its amount in tokens per row."""

    needs: tuple[str, ...]
    amount: Callable[[pd.DataFrame, Scenario], Array]


def _quality(nodes: pd.DataFrame, scenario: Scenario) -> Array:
    mechanism = scenario.mechanism
    rule, _ = mechanism.reward.rule("family")
    coefficients = mechanism.alpha_inference, mechanism.beta_inference
    consensus: Any = nodes["consensus_mean"].to_numpy()  # the formula is written for one answer
    merit: Any = quality(consensus)
    return _earned(nodes, "inference", merit, coefficients, rule.charges_shortfall)


def _closeness(nodes: pd.DataFrame, scenario: Scenario) -> Array:
    mechanism = scenario.mechanism
    rule, _ = mechanism.rule("evaluator_reward")
    coefficients = mechanism.alpha_evaluator, mechanism.beta_evaluator
    merit = nodes["closeness_mean"].to_numpy()
    return _earned(nodes, "evaluator", merit, coefficients, rule.pays_closeness)


def _earned(
    nodes: pd.DataFrame,
    role: str,
    merit: Array,
    coefficients: tuple[float, float],
    for_merit: bool,
) -> Array:
    """Return what one role's nodes earned before cost, in plain runs, where a point is a token."""
    paid, jobs, cost = (nodes[name].to_numpy(np.float64) for name in (_TOTAL, "jobs", "cost"))
    earned = earned_before_cost(paid, jobs, merit, cost, coefficients, for_merit=for_merit)
    return np.where(nodes["role"] == role, earned, 0.0)


def _cost(nodes: pd.DataFrame, scenario: Scenario) -> Array:
    earned = _quality(nodes, scenario) + _closeness(nodes, scenario)
    return np.asarray(nodes[_TOTAL].to_numpy() - earned)


#: What rewards are made of. Another rule of payment adds an entry, which takes part wherever the
#: run's table has the columns it needs.
COMPONENTS: dict[str, Component] = {
    "quality": Component(("consensus_mean",), _quality),
    "closeness": Component(("closeness_mean",), _closeness),
    "cost": Component(("cost", "consensus_mean", "closeness_mean"), _cost),
}


def closing(components: Iterable[float], paid: float) -> float:
    """Return the remainder that makes the components add up to what was paid, to the last bit.

    remainder = paid - sum of components, taken exactly and rounded once. Then
    ``math.fsum([*components, remainder]) == paid``, bit for bit, wherever the remainder is at most
    a quarter of what was paid, and to half a unit in its own last place anywhere. Where the
    components are the whole of the rule the remainder is rounding: for n rounds about n units in
    the last place of the largest component.

    >>> import math
    >>> rest = closing([0.3, -0.1], 0.2)
    >>> 0.3 - 0.1 == 0.2, math.fsum([0.3, -0.1, rest]) == 0.2
    (False, True)
    """
    return math.fsum([paid, *(-component for component in components)])


def explain(nodes: pd.DataFrame, scenarios: Mapping[str, Scenario]) -> pd.DataFrame:
    """Return every node's reward split into its components, which sum exactly to what it was paid.

    :func:`poq_abm.rules.payment.earned_before_cost` says what an inference node earned for quality
    and an evaluator for closeness, under the rule that paid it. The rest was charged for cost: with
    the published rules -beta J C, for J jobs at a mean cost of C.

    Parameters
    ----------
    nodes
        Rows of :data:`poq_abm.experiment.schemas.NODES`, of plain runs.
    scenarios
        The scenario each treatment played: :func:`poq_abm.analysis.stored_run.scenarios_of`.

    Returns
    -------
    DataFrame
        ``treatment``, ``replication``, ``node``, ``role``, ``group``, ``behaviour``, ``jobs``, one
        column per component in tokens, ``remainder`` (:func:`closing`) and ``reward_total``:
        ``math.fsum`` of the components and the remainder *is* ``reward_total``, bit for bit.

    Raises
    ------
    InputError
        If a treatment has no scenario, or is an economy, whose tokens
        :func:`explain_profit` explains from its accounts.
    """
    if nodes.empty:
        raise InputError("no nodes: there is nothing to explain")
    for treatment in nodes["treatment"].astype(str).unique():
        if treatment in scenarios and scenarios[treatment].economy is not None:
            raise InputError(
                f"{treatment} is an economy, in which points, coefficients and costs may move: "
                "its accounts are explained, by explain_profit"
            )
    return split(nodes, scenarios, COMPONENTS, _TOTAL)


def split(
    rows: pd.DataFrame,
    scenarios: Mapping[str, Scenario],
    components: Mapping[str, Component],
    total: str,
) -> pd.DataFrame:
    """Return the components of the column ``total`` of every row, and the remainder.

    A component of whose columns one is missing is left out.
    """
    parts = []
    for treatment, part in rows.groupby("treatment", observed=True, sort=False):
        scenario = scenario_of(scenarios, str(treatment))
        table = part[[*KEYS, "jobs"]].copy()
        for name, component in components.items():
            if set(component.needs) <= set(part.columns):
                table[name] = component.amount(part, scenario)
        parts.append(close_rows(table, total, part[total].to_numpy()))
    return pd.concat(parts, ignore_index=True)


def scenario_of(scenarios: Mapping[str, Scenario], treatment: str) -> Scenario:
    """Return the scenario of a treatment, or raise :class:`InputError`."""
    if treatment not in scenarios:
        known = nearest(treatment, scenarios)
        raise InputError(f"no scenario for treatment {treatment!r}; {known}")
    return scenarios[treatment]


def explain_difference(
    ledger: pd.DataFrame, a: str, b: str, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return how the pay of each node changed from treatment ``a`` to ``b``, by component.

    Pairs are the same node in the same replication, so the two treatments must share the seed and
    have the same nodes; nodes or replications in one of them alone are left out.

    Parameters
    ----------
    ledger
        What :func:`explain`, or :func:`explain_profit`, returned for both.
    a, b
        Ids of the treatments; differences are b minus a.
    confidence
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        ``node``, ``role``, ``group``, ``component`` (the total last), ``replications``,
        ``difference`` in tokens per run with its Student interval ``low``, ``high`` over matched
        replications. The differences of a node's components and remainder sum exactly, as
        ``math.fsum`` does, to that of the total, ``reward_total`` or ``profit``.
    """
    sides = []
    for treatment in (a, b):
        side = ledger[ledger["treatment"].astype(str) == treatment]
        if side.empty:
            known = nearest(treatment, ledger["treatment"].astype(str).unique())
            raise InputError(f"no treatment {treatment!r} in the ledger; {known}")
        sides.append(side.set_index(["node", "replication"]))
    shared = sides[0].index.intersection(sides[1].index)
    if shared.empty:
        raise InputError(f"{a} and {b} have no node of a replication in common")
    names = _after_jobs(ledger)
    total = names[-1]
    moved = sides[1].loc[shared, names] - sides[0].loc[shared, names]
    who = sides[0].loc[shared, ["role", "group"]].astype(str).groupby(level="node").first()
    named = {node: (row[0], row[1]) for node, row in zip(who.index, who.to_numpy(), strict=True)}
    rows = []
    for node, part in moved.groupby(level="node", sort=True):
        found = {name: mean_interval(part[name].to_numpy(), confidence) for name in names}
        rest = closing((found[name][0] for name in names[:-2]), found[total][0])
        for name in names:
            rows.append(
                {
                    "node": node,
                    "role": named[node][0],
                    "group": named[node][1],
                    "component": name,
                    "replications": len(part),
                    "difference": rest if name == REMAINDER else found[name][0],
                    "low": found[name][2],
                    "high": found[name][3],
                }
            )
    return pd.DataFrame(rows)


def close_rows(table: pd.DataFrame, total: str, paid: Array) -> pd.DataFrame:
    """Add the remainder of every row, and the total; components are the columns after ``jobs``."""
    parts = table[_after_jobs(table)].to_numpy(dtype=np.float64).tolist()
    rests = [closing(row, amount) for row, amount in zip(parts, paid.tolist(), strict=True)]
    table[REMAINDER] = rests
    table[total] = paid
    return table


def _after_jobs(table: pd.DataFrame) -> list[str]:
    """Return the columns of amounts: components, and the remainder and total where there."""
    names = list(table.columns)
    return names[names.index("jobs") + 1 :]


def _column(name: str, sign: float = 1.0) -> Component:
    # 0.0 + : what was not charged is 0, not -0.
    return Component((name,), lambda nodes, _: 0.0 + sign * nodes[name].to_numpy(dtype=np.float64))


def _audits(nodes: pd.DataFrame, _: Scenario) -> Array:
    return np.asarray(0.0 - (nodes["forfeited"] + nodes["fined"]), dtype=np.float64)


def _slashing(nodes: pd.DataFrame, _: Scenario) -> Array:
    return np.asarray(0.0 - (nodes["slashed"] - nodes["fined"]), dtype=np.float64)


#: What profits are made of, from columns of ``accounts``. Another source of profit adds an entry.
PROFIT_COMPONENTS: dict[str, Component] = {
    "quality": _column("quality_paid"),
    "closeness": _column("closeness_paid"),
    "cost": _column("cost_charged", -1.0),
    "audits": Component(("forfeited", "fined"), _audits),
    "slashing": Component(("slashed", "fined"), _slashing),
    "redistribution": _column("received"),
    "running": _column("cost_in_money", -1.0),
    "capital": _column("capital", -1.0),
}


def explain_profit(accounts: pd.DataFrame, scenarios: Mapping[str, Scenario]) -> pd.DataFrame:
    """Return every node's profit split into its components, which sum exactly to the profit.

    Exactly as in :func:`explain`: ``math.fsum`` of a row's components and
    remainder *is* ``profit`` wherever the remainder is at most a quarter of it. All components are
    tokens: coefficients that move, and the price that a pool pays for a point, are taken as they
    were in each epoch. Trust is no component: no token is paid for it; it
    moves the consensus that quality and closeness are measured by, and, where seats or queries go
    by it, ``jobs``.

    Parameters
    ----------
    accounts
        Rows of :data:`poq_abm.experiment.schemas.ACCOUNTS`.
    scenarios
        The scenario each treatment played: :func:`poq_abm.analysis.stored_run.scenarios_of`.

    Returns
    -------
    DataFrame
        ``treatment``, ``replication``, ``node``, ``role``, ``group``, ``behaviour`` (at the end),
        ``jobs``, a column for each of :data:`PROFIT_COMPONENTS` in tokens over the run,
        ``remainder`` and ``profit``.

    Raises
    ------
    InputError
        If a treatment has no scenario, there are no rows, or they lack what the split needs.
    """
    missing = [name for name, _, _ in PARTS if name not in accounts]
    if missing:
        raise InputError(
            f"these accounts have no {missing[0]}: they were stored before profits could be "
            "explained; run the scenario again, into a new folder"
        )
    if accounts.empty:
        raise InputError("no accounts: there is nothing to explain")
    return split(accounts, scenarios, PROFIT_COMPONENTS, _PROFIT)


def _ledger(request: AnalysisRequest) -> pd.DataFrame:
    """Return the ledger of rewards, or of profits where the run has an economy's accounts."""
    return _explained(request, request.rows(*_read(request), table=_table_of(request)))


def _table_of(request: AnalysisRequest) -> str:
    return "accounts" if request.run.has("epochs") else "nodes"


def _read(request: AnalysisRequest) -> list[str]:
    """Return the columns that are split, and those that the components are taken from."""
    table = _table_of(request)
    components = COMPONENTS if table == "nodes" else PROFIT_COMPONENTS
    of_components = [name for component in components.values() for name in component.needs]
    of_parts = [] if table == "nodes" else [name for name, _, _ in PARTS]
    read = [*KEYS, "jobs", _TOTAL, _PROFIT, *of_components, *of_parts]
    return [name for name in dict.fromkeys(read) if name in SCHEMAS[table].names]


def _explained(request: AnalysisRequest, parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    explained = explain_profit if request.run.has("epochs") else explain
    return pd.concat(
        [explained(part, request.run.scenarios) for part in parts if len(part)], ignore_index=True
    )


def _difference(request: AnalysisRequest) -> pd.DataFrame:
    a, b = request.treatment, request.against
    if a is None or b is None:
        raise InputError("a difference needs two treatments: --treatment A --against B")
    for name in (a, b):
        request.run.one_treatment(name)
    both = request.run.nodes(*_read(request), treatments=[a, b], table=_table_of(request))
    found = explain_difference(_explained(request, both), a, b)
    return select(found, role=request.role, group=request.group)


_NODES = ("treatment", "role", "group")
TABLES = (
    TableKind(
        "explain",
        "every node's reward, or profit in an economy, split into what it was paid for",
        _ledger,
        _NODES,
    ),
    TableKind(
        "difference",
        "the same for the difference of two treatments (--treatment, --against)",
        _difference,
        (*_NODES, "against"),
        (NODES, TREATMENTS),
    ),
)
