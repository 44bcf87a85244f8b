"""What columns mean, for whoever reads the tables: units, labelled arrays, rows of summaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from poq_abm.errors import InputError
from poq_abm.experiment.estimates import shown
from poq_abm.experiment.schemas import EPOCHS, NODES, REPLICATIONS, SCHEMAS
from poq_abm.simulation.histograms import QUANTILES

__all__ = [
    "attributes",
    "dataset",
    "field_in_words",
    "label",
    "measure_in_words",
    "told",
    "unit_in_words",
]

_NODE_KEYS = ("treatment", "replication", "node")
_NODE_PREFIX = "node_"
_END = "end of the 95% interval over replications"
#: unit and meaning of what stands in summaries and in no table
_OF_SUMMARY = {
    "nodes": ("nodes", "of the group that were there at a time"),
    "replications": ("replications", "that the estimate rests on"),
    "jobs_mean": ("rounds", "jobs of the group in a replication"),
    "reward_mean": ("tokens per job", "mean over replications"),
    "reward_sd": ("tokens per job", "s.d. over replications"),
    "reward_low": ("tokens per job", f"lower {_END}"),
    "reward_high": ("tokens per job", f"upper {_END}"),
    "measure": ("", "what is measured, in the unit of its row"),
    "unit": ("", "unit of first, last, mean, low and high"),
    "first": ("", "mean of the first epoch"),
    "last": ("", "mean of the last fifth of the epochs"),
    "mean": ("", "estimate over replications"),
    "low": ("", f"lower {_END}"),
    "high": ("", f"upper {_END}"),
    "occurred": ("replications", "in which the measure was not 0 at the end"),
    "widened_low": ("", f"lower {_END} with the calibration's error"),
    "widened_high": ("", f"upper {_END} with the calibration's error"),
    "calibration_share": ("0-1", "share of the variance that more records would remove"),
}


def label(name: str, table: str = "") -> tuple[str, str]:
    """Return unit and meaning of a column of a table, or of a summary where none is named.

    >>> label("latency_ms")[0], label("jobs", "nodes")
    ('ms', ('rounds', 'rounds the node took part in'))
    """
    if not table and name in _OF_SUMMARY:
        return _OF_SUMMARY[name]
    for schema in (SCHEMAS[table],) if table else (NODES, EPOCHS):
        if name in schema.names:
            metadata = schema.field(name).metadata
            return metadata[b"unit"].decode(), metadata[b"meaning"].decode()
    return "", ""


#: units that a reader would not know by their short names
_UNITS_IN_WORDS = {
    "0-1": "0 to 1", "score 0-10": "points of 10", "score -10 to 10": "points of 10",
    "C": "cost C", "s": "seconds", "s per query": "seconds per query",
    "queries per s": "queries per second",
    "tokens per node and epoch": "tokens per present node and epoch",
}  # fmt: skip
#: measures and fields whose names with blanks for underscores do not say what they are
_IN_WORDS = {
    "bias": "bias of the consensus",
    "consensus_mean": "mean consensus",
    "truth_mean": "mean truth",
    "correlation": "correlation of consensus and truth",
    "spearman": "rank correlation of consensus and truth",
    "inference_reward_mean": "mean reward of inference nodes",
    "evaluator_reward_mean": "mean reward of evaluators",
    "inference_cost_mean": "mean cost of inference nodes",
    "evaluator_cost_mean": "mean cost of evaluators",
    "honest_reward_mean": "mean reward of honest evaluators",
    "malicious_reward_mean": "mean reward of malicious evaluators",
    "closeness_mean": "mean closeness",
    "profit_mean": "mean profit",
    "malicious_majority": "share of rounds that a malicious majority rules",
    "malicious_majority_expected": "chance of a malicious majority",
    "dishonest_stands": "dishonest answers that stand",
    "provisional_mean_s": "mean time until an answer",
    "provisional_p50_s": "median time until an answer",
    "provisional_p95_s": "95th percentile of the time until an answer",
    "provisional_p99_s": "99th percentile of the time until an answer",
    "economic_mean_s": "mean time until an answer is final",
    "economic_p50_s": "median time until an answer is final",
    "economic_p95_s": "95th percentile of the time until an answer is final",
    "economic_p99_s": "99th percentile of the time until an answer is final",
    "waiting_mean_s": "mean time in the queue",
    "machine_s": "machine time",
    "total_usd": "cost of a query",
    "compute_usd": "cost of machines that answer",
    "attestation_usd": "cost of attestations",
    "proof_usd": "cost of proofs",
    "recheck_usd": "cost of checks and recomputation",
    "evaluation_usd": "cost of machines that evaluate",
    "dispute_usd": "cost of disputes",
    "posting_usd": "cost of posting answers",
    "capital_usd": "return forgone on bonds",
    "paid_usd": "fees paid to providers",
    "penalty_usd": "slashed of providers",
    "bounty_usd": "bounties paid",
    "burned_usd": "slashed and burned",
    "cheat_advantage_usd": "advantage of cheating",
    "watcher_profit_usd": "profit of watchers",
    "validator_profit_usd": "profit of validators",
    "capital_locked_usd": "bonds in flight",
    "evaluator_pay_usd": "pay of evaluators",
    "honest_evaluator_usd": "pay of honest evaluators",
    "malicious_evaluator_usd": "pay of malicious evaluators",
    "throughput_per_s": "throughput",
    "malicious.share": "malicious share of evaluators",
    "mechanism.aggregation": "consensus rule",
    "mechanism.beta_evaluator": "weight of cost beta (evaluators)",
    "mechanism.beta_inference": "weight of cost beta (inference nodes)",
    "mechanism.committee_size": "committee size K (evaluators)",
    "verification.protocol": "verification protocol",
    "economy.payment.scheme": "payment scheme",
} | {
    f"{kind}_reward_{name}": f"{share:.0%} quantile of rewards of {nodes}"
    for kind, nodes in (
        ("honest_inference", "honest inference nodes"),
        ("deviating_inference", "inference nodes that deviate"),
        ("honest_evaluator", "honest evaluators"),
        ("malicious_evaluator", "malicious evaluators"),
    )
    for name, share in QUANTILES.items()
}


def unit_in_words(unit: str) -> str:
    """Return a unit as an axis of a figure says it.

    >>> unit_in_words("score -10 to 10"), unit_in_words("tokens per job")
    ('points of 10', 'tokens per job')
    """
    return _UNITS_IN_WORDS.get(unit, unit)


def measure_in_words(name: str, unit: str | None = None) -> str:
    """Return a measure as a figure names it, with its unit where one is given.

    >>> measure_in_words("bias", "score -10 to 10"), measure_in_words("reward_gap")
    ('bias of the consensus (points of 10)', 'reward gap')
    """
    # What is said of a group already has blanks, and the group's name is its owner's.
    words = _IN_WORDS.get(name, name if " " in name else name.replace("_", " "))
    told = unit_in_words(unit) if unit else ""
    return f"{words} ({told})" if told and told != words else words


def field_in_words(path: str) -> str:
    """Return a field of a scenario as a figure names it: its own words, or the end of its path.

    >>> field_in_words("malicious.share"), field_in_words("economy.stake.slashing.rate")
    ('malicious share of evaluators', 'slashing rate')
    """
    if path in _IN_WORDS:
        return _IN_WORDS[path]
    first, *rest = path.split(".")
    parts = rest if rest and first == "mechanism" else [first, *rest]
    return " ".join(parts[-2:]).replace("_", " ")


def attributes(scenario: str, columns: Iterable[str], table: str = "") -> dict[str, Any]:
    """Return the attributes of a DataFrame: the scenario, and the units of columns that have one.

    >>> attributes("mine", ["role", "cost", "latency_ms"])
    {'scenario': 'mine', 'units': {'cost': 'C', 'latency_ms': 'ms'}}
    """
    units = {name: unit for name in columns if (unit := label(name, table)[0])}
    return {"scenario": scenario, "units": _Units(units)}


class _Units(dict[str, str]):
    """Units by column; one object where pandas copies a frame's attributes, as it often does."""

    def __deepcopy__(self, _memory: Any) -> _Units:
        return self


def dataset(treatments: pd.DataFrame, replications: pd.DataFrame, nodes: pd.DataFrame) -> Any:
    """Return one ``xarray.Dataset`` over treatment, replication and node.

    Measures of replications keep their names and have the dimensions (treatment, replication);
    measures of nodes are called ``node_...`` and have (treatment, replication, node). What a
    treatment lacks is missing. Swept fields are coordinates of treatment.

    Raises
    ------
    InputError
        If the package ``xarray`` is missing.
    """
    try:
        import xarray  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InputError('labelled arrays need an extra: pip install "poq-abm[xarray]"') from None
    of_replications = _measures(replications, REPLICATIONS, ["treatment", "replication"], "")
    of_nodes = _measures(nodes, NODES, list(_NODE_KEYS), _NODE_PREFIX)
    made = xarray.merge([of_replications, of_nodes], join="outer", compat="no_conflicts")
    made = made.reindex(treatment=treatments["treatment"].tolist())
    settings = treatments.set_index("treatment")
    swept = {name: ("treatment", settings[name].to_numpy()) for name in settings}
    return made.assign_coords(swept)


def _measures(frame: pd.DataFrame, schema: Any, keys: list[str], prefix: str) -> Any:
    """Return the numbers of a table as a dataset over its keys, with their units."""
    columns = [f.name for f in schema if f.name not in keys and str(f.type) in ("double", "int64")]
    indexed = frame.astype({"treatment": str}).set_index(keys)[columns].astype(float)
    arrays = indexed.to_xarray().rename({name: prefix + name for name in columns})
    for name in columns:
        metadata = schema.field(name).metadata
        arrays[prefix + name].attrs = {
            "units": metadata[b"unit"].decode(),
            "long_name": metadata[b"meaning"].decode(),
        }
    return arrays


def told(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return the cells of a row of a summary that a paper prints, by their headings."""
    if "measure" in row:
        mean, interval = shown(row["last" if "last" in row else "mean"], row["low"], row["high"])
        ours = {key: str(row[key]) for key in ("group", "measure", "unit") if key in row}
        first = {"first": shown(row["first"], row["low"], row["high"])[0]} if "first" in row else {}
        return {**ours, **first, "last" if first else "mean": mean, "95% interval": interval}
    mean, interval = shown(row["reward_mean"], row["reward_low"], row["reward_high"])
    return {
        "role": str(row["role"]),
        "group": str(row["group"]),
        "tokens per job": mean,
        "95% interval": interval,
        "cost C": f"{row['cost']:.3f}",
        "latency, ms": f"{row['latency_ms']:,.0f}",
    }
