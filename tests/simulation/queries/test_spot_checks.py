from __future__ import annotations

import numpy as np
import pytest

from poq_abm.errors import InputError
from poq_abm.simulation.queries.attestation import keyed_bytes
from poq_abm.simulation.queries.spot_checks import Beacon, WithheldError, commitment, is_drawn

SECRETS = {name: keyed_bytes(1, 0, i, 3) for i, name in enumerate(("sequencer", "a", "b"))}


def beacon(secrets: dict[str, bytes] = SECRETS, batch: bytes = b"root") -> Beacon:
    made = Beacon()
    for party, secret in secrets.items():
        made.commit(party, commitment(party, secret))
    made.close(batch)
    return made


def seed(secrets: dict[str, bytes] = SECRETS, batch: bytes = b"root") -> bytes:
    made = beacon(secrets, batch)
    for party in sorted(secrets, reverse=True):
        made.reveal(party, secrets[party])
    return made.seed()


def test_everybodys_secret_and_the_batch_decide() -> None:
    others = [seed({**SECRETS, party: bytes(32)}) for party in SECRETS]
    assert len({seed(), seed(batch=b"other"), *others}) == 5
    assert seed() == seed(dict(reversed(SECRETS.items()))), "the order of reveals does not"


def test_nobody_can_choose_after_seeing() -> None:
    made = beacon()
    with pytest.raises(InputError, match="commits after"):
        made.commit("late", commitment("late", bytes(32)))
    with pytest.raises(InputError, match="did not commit to"):
        made.reveal("a", bytes(32))
    with pytest.raises(InputError, match="already closed"):
        made.close(b"another batch")


def test_nobody_reveals_before_the_batch_is_closed() -> None:
    made = Beacon()
    made.commit("a", commitment("a", bytes(32)))
    with pytest.raises(InputError, match="before the batch is closed"):
        made.reveal("a", bytes(32))


def test_a_commitment_cannot_be_copied_or_made_twice() -> None:
    made = Beacon()
    made.commit("a", commitment("a", bytes(32)))
    with pytest.raises(InputError, match="copies"):
        made.commit("b", commitment("a", bytes(32)))
    with pytest.raises(InputError, match="already committed"):
        made.commit("a", commitment("a", b"1" * 32))
    assert commitment("a", bytes(32)) != commitment("b", bytes(32))


def test_who_withholds_is_named_and_there_is_no_seed() -> None:
    made = beacon()
    made.reveal("a", SECRETS["a"])
    with pytest.raises(WithheldError, match="b, sequencer did not reveal") as caught:
        made.seed()
    assert caught.value.parties == ("b", "sequencer")


def test_a_batch_without_commitments_is_refused() -> None:
    with pytest.raises(InputError, match="known beforehand"):
        Beacon().close(b"root")


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_one_unknown_secret_makes_the_draws_fair(rate: float) -> None:
    """400 seeds x 50 queries, all other secrets fixed; 4.5 binomial standard errors."""
    draws = [
        is_drawn(seed({**SECRETS, "a": keyed_bytes(1, 0, n, 4)}), query, rate)
        for n in range(400)
        for query in range(50)
    ]
    spread = 4.5 * np.sqrt(rate * (1 - rate) / len(draws))
    assert np.mean(draws) == pytest.approx(rate, abs=spread)


def test_a_higher_rate_adds_queries_to_those_of_a_lower() -> None:
    drawn = {rate: {q for q in range(500) if is_drawn(seed(), q, rate)} for rate in (0.1, 0.4)}
    assert drawn[0.1] < drawn[0.4]
