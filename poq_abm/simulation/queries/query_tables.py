"""The tables of the queries: their columns, types and units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.rules.protocol.terms import Found
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.query_arrays import QueryTrace
from poq_abm.simulation.table_columns import KEYS, WORD, Rows, Words, coded, column, keys

__all__ = ["COSTS", "QUERIES", "QUERY_TRACE", "query_rows", "query_trace_table"]


def _number(name: str, unit: str, meaning: str) -> Any:
    return column(name, pa.float64(), unit, meaning)


def _share(name: str, meaning: str, trials: str = "queries") -> Any:
    """Return a share of what the column ``trials`` counts; its metadata says of what."""
    field = column(name, pa.float64(), "0-1", meaning)
    return field.with_metadata({**field.metadata, b"trials": trials.encode()})


#: the components of the cost of a query
COSTS = {
    "compute_usd": "machines that answer, all providers",
    "attestation_usd": "signing and checking attestations",
    "proof_usd": "ZK proofs",
    "recheck_usd": "watchers' checks and validators' recomputation",
    "evaluation_usd": "machines of the evaluators",
    "dispute_usd": "steps of bisections",
    "posting_usd": "posting answers",
    "capital_usd": "return forgone on the bonds of all providers in flight",
}

_FINALITIES = {"provisional": "until an answer or its refusal", "economic": "until it is final"}

#: one row per treatment x replication
QUERIES = pa.schema(
    [
        *KEYS,
        column("queries", pa.int64(), "queries", "queries played"),
        column("rational_queries", pa.int64(), "queries", "that a rational node got first"),
        column("dishonest_queries", pa.int64(), "queries", "answered dishonestly"),
        column(
            "enclaves_drawn",
            pa.bool_(),
            "",
            "whether all rests on enclaves that were drawn intact or broken for the replication",
        ),
        *(
            _number(
                f"{name}_{part}_s",
                "s",
                f"{'mean' if part == 'mean' else part + ' of the'} time {meaning}",
            )
            for name, meaning in _FINALITIES.items()
            for part in ("mean", "p50", "p95", "p99")
        ),
        _number("percentile_error", "ratio", "largest relative error of the percentiles; 0: exact"),
        _number("waiting_mean_s", "s", "mean time in the queue of the node that answers"),
        _number("throughput_per_s", "queries per s", "were all queries there at once"),
        _number("utilisation", "0-1", "busiest node's work until the last answer"),
        _number("machine_s", "s per query", "machine time, provers, watchers and scoring included"),
        *(_number(name, "USD per query", meaning) for name, meaning in COSTS.items()),
        _number("total_usd", "USD per query", "sum of the components"),
        _share("dishonest_share", "queries answered dishonestly"),
        _share(
            "cheating_share", "of rational nodes' queries; missing without any", "rational_queries"
        ),
        _share("detected_share", "of dishonest answers; missing without any", "dishonest_queries"),
        *(
            _share(f"found_by_{found.name.lower()}", "of all queries: dishonest, found so")
            for found in Found
            if found
        ),
        _share("dishonest_stands", "queries whose dishonest answer is paid and stands"),
        _share("dishonest_released", "queries whose user got a dishonest answer at first"),
        _share("honest_refused", "queries whose honest answer was refused"),
        _number("truth_mean", "score 0-10", "truth of the answers released; missing without any"),
        _number("consensus_mean", "score 0-10", "consensus; missing without a committee"),
        _number("paid_usd", "USD per query", "fees that users paid, to all providers"),
        _number("penalty_usd", "USD per query", "slashed, of all providers: bounties and burned"),
        _number("bounty_usd", "USD per query", "of it, paid to watchers and validators"),
        _number("burned_usd", "USD per query", "of it, received by nobody"),
        _number(
            "cheat_advantage_usd",
            "USD per dishonest query",
            "what cheating brought over honesty; missing without a dishonest answer",
        ),
        _number("watcher_profit_usd", "USD per query", "of all watchers: bounties less checks"),
        _number("validator_profit_usd", "USD per query", "bounties less what recomputing cost"),
        _share("proved_share", "queries that carried a proof"),
        _share(
            "broken_share",
            "queries at nodes whose vendor's enclaves were broken; missing without enclaves",
        ),
        _number(
            "capital_locked_usd",
            "USD",
            "bonds in flight on average: bonds of all providers x rate x time",
        ),
        _number("honest_watchers", "watchers", "neither lazy nor colluding; 0 is a failure"),
        _number(
            "evaluator_pay_usd",
            "USD per query",
            "of all members, less what they are charged for their cost; a point is worth the fee",
        ),
        _number(
            "honest_evaluator_usd", "USD per score", "pay of honest evaluators; missing without any"
        ),
        _number(
            "malicious_evaluator_usd",
            "USD per score",
            "pay of deviating evaluators; missing without any",
        ),
        _number(
            "malicious_acted",
            "scores per query",
            "given by evaluators that did as their behaviour has it; missing without a committee",
        ),
        _share(
            "malicious_majority",
            "queries whose committee they rule; missing without a committee",
        ),
    ]
)

#: one row per query, where a trace was asked for
QUERY_TRACE = pa.schema(
    [
        *KEYS,
        column("query", pa.int64(), "", "number of the query, from 0, in order of arrival"),
        _number("arrival_s", "s", "from the start"),
        column("node", pa.int32(), "", "inference node that answered"),
        column("record", WORD, "", "id of the record"),
        column("conduct", WORD, "", "what the node did"),
        column("broken", pa.bool_(), "", "whether its vendor's enclaves were broken"),
        _number("provisional_s", "s", "from arrival until an answer or its refusal"),
        _number("economic_s", "s", "from arrival until final"),
        column("found", WORD, "", "first check that found or refused it"),
        column("proved", pa.bool_(), "", "whether a proof was drawn"),
        column("released", pa.bool_(), "", "whether the user got the answer"),
        column("stands", pa.bool_(), "", "dishonest, paid, and not undone"),
        _number("consensus", "score 0-10", "missing without a committee"),
        _number("paid", "USD", "fees paid, to all providers"),
        _number("penalty", "USD", "slashed, of all providers"),
        _number("cost_usd", "USD", "all components"),
    ]
)


def query_rows(
    measured: list[dict[str, float]], treatment: str, replications: NDArray[np.int32]
) -> Rows:
    """Return the rows of :data:`QUERIES` for replications of one treatment.

    ``measured`` holds what :func:`poq_abm.simulation.queries.query_replication.play_queries`
    returned, in the order of ``replications``.
    """
    return {
        **keys(1, treatment, replications),
        **{
            name: np.array([row[name] for row in measured], kind.to_pandas_dtype())
            for name, kind in list(zip(QUERIES.names, QUERIES.types, strict=True))[len(KEYS) :]
        },
    }


def query_trace_table(
    trace: QueryTrace, records: tuple[str, ...], treatment: str, replication: int
) -> Any:
    """Return the rows of :data:`QUERY_TRACE` for one replication."""
    count = trace.node.size
    words = {
        "treatment": coded([Words(np.zeros(count, np.int32), [treatment])]),
        "record": coded([Words(trace.record, list(records))]),
        "conduct": coded([Words(trace.conduct, [c.name.lower() for c in Action])]),
        "found": coded([Words(trace.found, [f.name.lower() for f in Found])]),
    }
    whole = {"replication": np.full(count, replication, np.int32), "query": np.arange(count)}
    plain = {**trace._asdict(), **whole}
    arrays = [words[n] if n in words else pa.array(plain[n]) for n in QUERY_TRACE.names]
    return pa.table(arrays, schema=QUERY_TRACE)
