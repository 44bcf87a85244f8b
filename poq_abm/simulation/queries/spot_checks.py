"""Spot checks from a seed that nobody can grind: commit first, reveal later.

The order of events is what protects: every party commits to a secret, then the sequencer commits to
the batch, then the secrets are revealed, and only then does a seed exist. Whoever chose the batch
did not know the seed, and whoever reveals can no longer choose. One party can still refuse to
reveal; it is named, loses its deposit, and the batch is drawn again with fresh secrets, so that
refusing buys one redraw per deposit lost and not the choice between two known seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from poq_abm.errors import InputError
from poq_abm.simulation.queries.execution import sha256

__all__ = ["Beacon", "WithheldError", "commitment", "is_drawn"]

TOP = 2**64


class WithheldError(InputError):
    """Some parties did not reveal; ``parties`` names those who lose their deposits."""

    def __init__(self, parties: tuple[str, ...]) -> None:
        self.parties = parties
        super().__init__(f"no seed: {', '.join(parties)} did not reveal")


def commitment(party: str, secret: bytes) -> bytes:
    """Return what binds a party to a secret of 32 bytes and hides it."""
    return sha256(b"commit", sha256(party.encode()), secret)


def is_drawn(seed: bytes, query: int, rate: float) -> bool:
    """Return whether a query must carry a proof: its keyed hash falls below ``rate``.

    >>> is_drawn(bytes(32), 7, 1.0), is_drawn(bytes(32), 7, 0.0)
    (True, False)
    """
    digest = sha256(b"draw", seed, query.to_bytes(8, "big"))
    return int.from_bytes(digest[:8], "big") < rate * TOP


@dataclass
class Beacon:
    """One batch's seed, made of everybody's secret and the batch itself.

    >>> beacon = Beacon()
    >>> beacon.commit("a", commitment("a", b"1" * 32))
    >>> beacon.close(b"root of the batch".ljust(32))
    >>> beacon.reveal("a", b"1" * 32)
    >>> len(beacon.seed())
    32
    """

    _commitments: dict[str, bytes] = field(default_factory=dict)
    _secrets: dict[str, bytes] = field(default_factory=dict)
    _batch: bytes | None = None

    def commit(self, party: str, committed: bytes) -> None:
        """Take a party's commitment; once, and before the batch is closed."""
        if self._batch is not None:
            raise InputError(f"{party} commits after the batch was closed")
        if party in self._commitments:
            raise InputError(f"{party} has already committed")
        if committed in self._commitments.values():
            raise InputError(f"{party} copies the commitment of somebody else")
        self._commitments[party] = committed

    def close(self, batch_root: bytes) -> None:
        """Take the sequencer's commitment to the batch; nobody can commit any more."""
        if self._batch is not None:
            raise InputError("the batch is already closed")
        if not self._commitments:
            raise InputError("nobody has committed: the seed would be known beforehand")
        self._batch = batch_root

    def reveal(self, party: str, secret: bytes) -> None:
        """Take a secret that was committed to; only after the batch is closed."""
        if self._batch is None:
            raise InputError(f"{party} reveals before the batch is closed")
        if self._commitments.get(party) != commitment(party, secret):
            raise InputError(f"{party} reveals what it did not commit to")
        self._secrets[party] = secret

    def seed(self) -> bytes:
        """Return the seed; raise :class:`WithheldError` naming who has not revealed."""
        missing = tuple(sorted(set(self._commitments) - set(self._secrets)))
        if missing:
            raise WithheldError(missing)
        if self._batch is None:
            raise InputError("the batch is not closed yet")
        return sha256(b"seed", self._batch, *(_ordered(self._secrets)))


def _ordered(secrets: Mapping[str, bytes]) -> list[bytes]:
    return [secrets[party] for party in sorted(secrets)]
