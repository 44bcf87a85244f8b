"""What a protocol asks for, what a query brings, and what comes of it: three flat records."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["Found", "Query", "Settlement", "Terms"]


class Found(IntEnum):
    """What convicted or refused an answer; the order is that in which the checks come."""

    NOTHING = 0
    ATTESTATION = 1  #: the enclave's signature does not name the model of the request
    PROOF = 2  #: no ZK proof can be made of it
    COMPARISON = 3  #: another provider answered differently
    COMMITTEE = 4  #: the consensus lies below the score that is accepted
    SAMPLE = 5  #: a validator recomputed it
    WATCHER = 6  #: a watcher disputed it in the challenge window


class Terms(NamedTuple):
    """A protocol as scalars; times in seconds, money in USD, rates and shares in [0, 1]."""

    trusted: bool  #: nobody here cheats
    overhead: float  #: share of service time added
    release_s: float  #: from the answer to its release
    providers: int  #: n, nodes that answer each query, each for a fee and behind a bond
    attests: bool  #: an intact enclave cannot sign for another model
    proof_rate: float  #: rho
    proof_s: float
    proof_first: bool  #: a drawn answer waits for its proof
    proof_on_node: bool  #: and the node that answered makes it
    sample_rate: float  #: share of queries that a validator recomputes
    lazy: float  #: share of validators that confirm without recomputing
    confirmed: float  #: share of validators that confirm a cheat, the lazy ones included
    watched: float  #: phi: chance that somebody disputes a dishonest answer in time
    checks: float  #: expected checks of watchers per query
    cheating: float  #: x* of the inspection game; NaN where none is played
    window_s: float  #: W; 0 where nothing is optimistic
    dispute_s: float  #: one bisection
    dispute_usd: float
    committee: bool  #: evaluators score the answer, and pay follows the score
    accept_score: float  #: consensus below which it is refused
    fee: float  #: F, of each provider
    slash: float  #: S, what a convicted node loses besides the fee; 0 without a bond
    refund: float  #: what a coalition's watchers get of a bounty
    bounty: float  #: out of a slash, to the watcher or validator who convicts; at most the slash
    keeps_gain: bool  #: whether a caught node keeps what it saved
    attestation_usd: float
    proof_usd: float
    check_usd: float
    posting_usd: float
    machine_usd_per_s: float
    capital_usd_per_s: float  #: bond x r / year, per provider and second in flight


class Query(NamedTuple):
    """What one query brings to its settlement."""

    dishonest: bool
    broken: bool  #: the vendor's enclaves can be made to sign anything
    diverges: bool  #: the providers' answers differ
    liars: int  #: providers whose answer is dishonest, this one included
    service_s: float  #: machine time of all providers
    plain_s: float  #: machine time of one honest answer, for whoever recomputes it
    answered_s: float  #: from arrival until the last provider has answered, waiting included
    validated_s: float  #: from arrival until a validator has recomputed it
    scored_s: float  #: the slowest evaluator's time; 0 without a committee
    scoring_s: float  #: all evaluators' time
    consensus: float
    honest_consensus: float  #: of the honest answer to the same record
    points: float  #: what the answer earned by the mechanism's reward; read with a committee only
    honest_points: float  #: what the honest answer to the same record would have
    gain: float  #: G, what cheating saved
    proof_draw: float  #: uniform draws of the checks
    sample_draw: float
    confirm_draw: float
    watch_draw: float


class Settlement(NamedTuple):
    """What comes of a query; times count from its arrival, in seconds, money in USD."""

    provisional_s: float  #: the user has an answer, or its refusal
    economic_s: float  #: nothing can take the payment back
    found: int  #: as :class:`Found`
    proved: bool
    released: bool  #: the user received the answer
    stands: bool  #: it is dishonest, was paid, and nothing will undo that
    paid: float  #: by the user, to all providers
    penalty: float  #: taken from all providers who were convicted
    bounty: float  #: out of it, to who convicted; the rest is burned
    advantage: float  #: of cheating over the honest answer to the same query; 0 if honest
    watcher_profit: float  #: bounty less the checks' cost
    validator_profit: float  #: bounty less what recomputing cost
    compute_usd: float
    attestation_usd: float
    proof_usd: float
    recheck_usd: float
    evaluation_usd: float
    dispute_usd: float
    posting_usd: float
    capital_usd: float
    machine_s: float  #: all machine time, provers and watchers included
