"""The rules that settle a query: which check finds a cheat, who is paid, when it is final."""

from __future__ import annotations

from poq_abm.compilation import compiled_or_python
from poq_abm.rules.protocol.terms import Found, Query, Settlement, Terms

__all__ = ["detection", "disputed", "found_by", "pay_by_score", "settle"]


def detection(terms: Terms, broken: bool, accomplices: float) -> float:
    """Return the chance that a cheat is found, before any draw; in [0, 1].

    1 where an intact enclave attests. Else 1 - (1 - rho)(1 - phi)(1 - s (1 - r))(1 - d): proof
    rate rho, watchers' phi, sample rate s with the share r of validators that confirm, and the
    chance d = 1 - a^(n - 1) that one of the n - 1 other providers is no accomplice, each being one
    with chance ``accomplices``. A committee's refusal is not in it: it depends on the record.

    >>> from poq_abm.scenario.schema.verification import Verification, protocol_of
    >>> terms = protocol_of(Verification(protocol="zkml")).terms
    >>> round(detection(terms, True, 0.0), 3)
    1.0
    """
    if terms.attests and not broken:
        return 1.0
    passes = (1.0 - terms.proof_rate) * (1.0 - terms.watched)
    passes *= 1.0 - terms.sample_rate * (1.0 - terms.confirmed)
    if terms.providers > 1:
        passes *= accomplices ** (terms.providers - 1)
    return 1.0 - passes


def disputed(terms: Terms, broken: bool) -> float:
    """Return the chance that a watcher is the one who finds a cheat, before any draw; in [0, 1].

    0 where an intact enclave attests, else (1 - rho) phi: what is proved needs no dispute.

    >>> from poq_abm.scenario.schema.verification import Verification, protocol_of
    >>> terms = protocol_of(Verification(protocol="otr")).terms
    >>> disputed(terms, False), round(disputed(terms, True), 4)
    (0.0, 0.0484)
    """
    if terms.attests and not broken:
        return 0.0
    return (1.0 - terms.proof_rate) * terms.watched


@compiled_or_python
def found_by(terms: Terms, query: Query) -> int:  # noqa: PLR0911  (one per check)
    """Return the first check that finds or refuses the answer, as :class:`Found`."""
    if query.dishonest:
        if terms.attests and not query.broken:
            return Found.ATTESTATION.value
        if query.proof_draw < terms.proof_rate:
            return Found.PROOF.value
        if query.diverges:
            return Found.COMPARISON.value
    if terms.committee and query.consensus < terms.accept_score:
        return Found.COMMITTEE.value
    if query.dishonest:
        sampled = query.sample_draw < terms.sample_rate
        if sampled and query.confirm_draw >= terms.confirmed:
            return Found.SAMPLE.value
        if query.watch_draw < terms.watched:
            return Found.WATCHER.value
    return Found.NOTHING.value


@compiled_or_python
def pay_by_score(terms: Terms, consensus: float, points: float) -> float:
    """Return what an accepted answer is paid: F, or F max(0, points) with a committee.

    Points are those of the mechanism's reward, alpha Q - beta C if it is linear; one of them is
    worth F. A consensus below the accepted score is paid nothing.
    """
    if not terms.committee:
        return terms.fee
    if consensus < terms.accept_score:
        return 0.0
    return terms.fee * max(0.0, points)


@compiled_or_python
def _finality(
    terms: Terms, query: Query, proved: bool, sampled: bool, refused: bool
) -> tuple[float, float]:
    """Return provisional and economic finality, in seconds from arrival."""
    provisional = query.answered_s + terms.release_s + query.scored_s
    proof_apart = terms.proof_s if proved and not terms.proof_on_node else 0.0
    final = provisional + proof_apart
    if proved and terms.proof_first:
        provisional += proof_apart
    if query.diverges:
        provisional += terms.dispute_s
    if refused:
        return provisional, provisional
    economic = max(provisional, final) if proved else provisional + terms.window_s
    if sampled:
        economic = max(economic, query.validated_s + terms.release_s)
    return provisional, economic


@compiled_or_python
def _advantage(terms: Terms, query: Query, found: int, paid: float, penalty: float) -> float:
    """Return what cheating brought over the honest answer to the same query, in USD."""
    if not query.dishonest:
        return 0.0
    honest = pay_by_score(terms, query.honest_consensus, query.honest_points)
    kept = query.gain if found == Found.NOTHING or terms.keeps_gain else 0.0
    back = terms.refund if found == Found.WATCHER else 0.0
    return kept + paid + back - penalty - honest


@compiled_or_python
def settle(terms: Terms, query: Query) -> Settlement:
    """Return what comes of one query under a protocol."""
    found = found_by(terms, query)
    proved = query.proof_draw < terms.proof_rate
    sampled = query.sample_draw < terms.sample_rate
    late = found == Found.SAMPLE or found == Found.WATCHER  # noqa: PLR1714
    late = late or (found == Found.PROOF and not terms.proof_first)
    refused = found != Found.NOTHING and not late

    provisional, economic = _finality(terms, query, proved, sampled, refused)

    convicted = query.dishonest and found != Found.NOTHING and found != Found.COMMITTEE  # noqa: PLR1714
    accepted = found == Found.NOTHING
    fee = pay_by_score(terms, query.consensus, query.points) if accepted else 0.0
    slash = terms.slash if convicted else 0.0
    advantage = _advantage(terms, query, found, fee, slash)
    # Where answers differ whoever lied is found; where they agree all share what becomes of one.
    penalty = terms.slash * query.liars if convicted or query.diverges else 0.0
    paid = fee * (terms.providers - (query.liars if query.diverges else 0))

    searched = found == Found.WATCHER or query.diverges
    validated = query.plain_s if sampled and query.confirm_draw >= terms.lazy else 0.0
    proving = terms.proof_s if proved else 0.0
    checking = terms.checks * terms.check_usd
    watcher_bounty = terms.bounty if found == Found.WATCHER else 0.0
    validator_bounty = terms.bounty if found == Found.SAMPLE else 0.0
    validator_usd = validated * terms.machine_usd_per_s
    proof_usd = terms.proof_usd if proved else 0.0
    dispute_usd = terms.dispute_usd if searched else 0.0
    machine = query.service_s + validated + proving + query.scoring_s
    return Settlement(  # in the order of its fields: the compiler takes few names
        provisional,
        economic,
        found,
        proved,
        not refused,
        query.dishonest and accepted,
        paid,
        penalty,
        watcher_bounty + validator_bounty,
        advantage,
        watcher_bounty - checking,
        validator_bounty - validator_usd,
        query.service_s * terms.machine_usd_per_s,
        terms.attestation_usd * terms.providers,
        proof_usd,
        checking + validator_usd,
        query.scoring_s * terms.machine_usd_per_s,
        dispute_usd,
        terms.posting_usd,
        terms.capital_usd_per_s * terms.providers * economic,
        machine + terms.checks * query.plain_s,
    )
