"""What every verification protocol owes whoever compares it, as a test class to inherit from.

A query is settled once: time runs forward, money adds up, and what stands was not found.
"""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.terms import Found, Query, Settlement
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.testing.rule import RuleContract, examples

__all__ = ["VerificationContract", "queries"]

_examples = examples(200)
_draw = st.floats(1e-9, 1.0 - 1e-9)
_seconds = st.floats(1e-3, 1e4)
_score = st.floats(0.0, 10.0)
_points = st.floats(-2.0, 1.0)  # alpha = 1


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Draw a query: honest or not, enclave intact or broken, with any luck of the checks."""
    service, waiting = draw(_seconds), draw(_seconds)
    dishonest = draw(st.booleans())
    return Query(
        dishonest=dishonest,
        broken=draw(st.booleans()),
        diverges=draw(st.booleans()),
        liars=draw(st.integers(1, 8)),
        service_s=service,
        plain_s=service,
        answered_s=waiting + service,
        validated_s=draw(_seconds),
        scored_s=0.01,
        scoring_s=0.03,
        consensus=draw(_score),
        honest_consensus=draw(_score),
        points=draw(_points),
        honest_points=draw(_points),
        gain=draw(st.floats(0.0, 1.0)) if dishonest else 0.0,
        proof_draw=draw(_draw),
        sample_draw=draw(_draw),
        confirm_draw=draw(_draw),
        watch_draw=draw(_draw),
    )


class VerificationContract(RuleContract):
    """Tests that a protocol passes; inherit and set :attr:`rule`.

    Attributes
    ----------
    verification
        The figures under which it is held to them; by default those of the schema.

    Examples
    --------
    >>> from poq_abm.rules.protocol.tee import Tee
    >>> class TestTee(VerificationContract):
    ...     rule = Tee
    >>> TestTee().protocol().name
    'tee'
    """

    rule: ClassVar[type[VerificationProtocol]]
    verification: ClassVar[Verification] = Verification()

    def protocol(self) -> VerificationProtocol:
        """Return the protocol with its terms."""
        return protocol_of(self.verification, self.rule)

    def settled(self, query: Query) -> Settlement:
        """Return what comes of a query, of whose answers the protocol asks for so many."""
        protocol = self.protocol()
        return protocol.settle(_answered(query, protocol.terms.providers))

    def test_its_page_can_be_written(self) -> None:
        """It says in a few words what it is, and what it does not do; its figures have units."""
        assert self.rule.gloss.strip()
        assert self.rule.limits.strip()
        assert all(parameter.unit for parameter in self.rule.parameters.values())

    @_examples
    @given(queries())
    def test_time_runs_forward(self, query: Query) -> None:
        """Arrival < answer <= provisional <= economic finality."""
        outcome = self.settled(query)
        assert 0.0 < query.answered_s <= outcome.provisional_s
        assert outcome.provisional_s <= outcome.economic_s + 1e-9
        assert outcome.machine_s >= query.service_s

    @_examples
    @given(queries())
    def test_no_component_of_the_cost_is_negative(self, query: Query) -> None:
        """Costs are resources used."""
        outcome = self.settled(query)
        costs = {name: getattr(outcome, name) for name in outcome._fields if name.endswith("_usd")}
        assert min(costs.values()) >= 0.0, costs
        assert all(math.isfinite(cost) for cost in costs.values())

    @_examples
    @given(queries())
    def test_what_stands_was_dishonest_and_not_found(self, query: Query) -> None:
        """A dishonest answer is found, or stands: never both, never neither."""
        outcome = self.settled(query)
        found = outcome.found != Found.NOTHING
        assert outcome.stands == (query.dishonest and not found)

    @_examples
    @given(queries())
    def test_who_is_found_out_is_not_paid(self, query: Query) -> None:
        """No fee for an answer that does not stand, and never more than one for each provider."""
        outcome = self.settled(query)
        fee = self.verification.economics.fee_usd
        assert 0.0 <= outcome.paid <= fee * self.protocol().terms.providers
        if outcome.found != Found.NOTHING:
            assert outcome.paid == 0.0

    @_examples
    @given(queries())
    def test_no_honest_node_is_punished(self, query: Query) -> None:
        """An honest answer may be refused by a committee; nothing is taken from its node."""
        outcome = self.settled(query._replace(dishonest=False, gain=0.0, diverges=False))
        assert outcome.penalty == 0.0
        assert outcome.advantage == 0.0
        assert outcome.found in (Found.NOTHING, Found.COMMITTEE)

    @_examples
    @given(queries())
    def test_a_penalty_is_never_more_than_the_bond(self, query: Query) -> None:
        """Slashed is at most slash_share x stake, and nothing where there is no bond."""
        economics = self.verification.economics
        bond = economics.stake_usd * economics.slash_share if self.rule.bonded else 0.0
        assert 0.0 <= self.settled(query).penalty <= bond * self.protocol().terms.providers

    @_examples
    @given(queries())
    def test_what_somebody_pays_somebody_receives(self, query: Query) -> None:
        """User, providers, watchers, validators and evaluators together lose what is used up.

        That is the cost of the query and what is burned of a penalty, which is never less than
        nothing: a bounty comes out of a slash.
        """
        outcome = self.settled(query)
        burned = outcome.penalty - outcome.bounty
        assert burned >= 0.0
        for_answering = (
            outcome.compute_usd + outcome.attestation_usd + outcome.capital_usd
            + outcome.proof_usd + outcome.posting_usd + outcome.dispute_usd
        )  # fmt: skip
        together = math.fsum(
            (
                -outcome.paid,  # the user
                outcome.paid - outcome.penalty - for_answering,  # whoever answers
                outcome.watcher_profit,
                outcome.validator_profit,
                -outcome.evaluation_usd,  # the evaluators
            )
        )
        used = for_answering + outcome.recheck_usd + outcome.evaluation_usd
        assert together + used + burned == pytest.approx(0.0, abs=1e-9 * (1.0 + used + burned))

    @pytest.mark.parametrize("broken", [False, True])
    def test_detection_is_a_chance_that_the_rule_keeps(self, broken: bool) -> None:
        """Over a grid of draws the rule finds as many cheats as the formula says, within 0.1%."""
        protocol = self.protocol()
        terms, points = protocol.terms, 1000
        expected = protocol.detection(broken=broken)
        assert 0.0 <= expected <= 1.0
        grid = [(i + 0.5) / points for i in range(points)]
        passes = 1.0
        for place in map(Query._fields.index, ("proof_draw", "sample_draw", "watch_draw")):
            cheat, found = list(_cheat(broken)), 0
            for cheat[place] in grid:
                found += protocol.settle(Query._make(cheat)).found != Found.NOTHING
            passes *= 1.0 - found / points
        if terms.providers > 1:
            passes *= self.verification.adversaries.byzantine_share ** (terms.providers - 1)
        if not terms.trusted:
            assert 1.0 - passes == pytest.approx(expected, abs=1.5e-3)


def _answered(query: Query, providers: int) -> Query:
    """Return the query with as many liars as there can be among so many providers."""
    if providers == 1 or not query.diverges:
        alike = providers if query.dishonest else 0
        return query._replace(diverges=False, liars=alike)
    most = providers if query.dishonest else providers - 1
    return query._replace(liars=min(query.liars, most))


def _cheat(broken: bool) -> Query:
    """Return a dishonest query that no random check hits, by a validator who does not collude."""
    never = 1.0 - 1e-12
    return Query(
        dishonest=True,
        broken=broken,
        diverges=False,
        liars=1,
        service_s=1.0,
        plain_s=1.0,
        answered_s=1.0,
        validated_s=1.0,
        scored_s=0.0,
        scoring_s=0.0,
        consensus=5.0,
        honest_consensus=5.0,
        points=0.5,
        honest_points=0.5,
        gain=0.05,
        proof_draw=never,
        sample_draw=never,
        confirm_draw=never,
        watch_draw=never,
    )
