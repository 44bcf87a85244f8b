"""The protocols that ship, by name."""

from __future__ import annotations

from poq_abm.errors import InputError, nearest
from poq_abm.rules.protocol.centralised import Centralised
from poq_abm.rules.protocol.none import Unchecked
from poq_abm.rules.protocol.opml import Opml
from poq_abm.rules.protocol.otr import Otr
from poq_abm.rules.protocol.poq import Poq
from poq_abm.rules.protocol.poq_otr import PoqOtr
from poq_abm.rules.protocol.proof_of_sampling import ProofOfSampling
from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.redundancy import Redundancy
from poq_abm.rules.protocol.tee import Tee
from poq_abm.rules.protocol.terms import Terms
from poq_abm.rules.protocol.zkml import ZkMl
from poq_abm.scenario.schema.verification import PROTOCOLS as NAMES
from poq_abm.scenario.schema.verification import Verification

__all__ = ["PROTOCOLS", "find_protocol", "protocol_of", "terms_of"]

_KINDS: tuple[type[VerificationProtocol], ...] = (
    Centralised,
    Unchecked,
    Poq,
    Redundancy,
    ProofOfSampling,
    Opml,
    ZkMl,
    Tee,
    Otr,
    PoqOtr,
)
#: every protocol that a scenario can name, in the order of tables and figures
PROTOCOLS: dict[str, type[VerificationProtocol]] = {kind.name: kind for kind in _KINDS}


def protocol_of(verification: Verification) -> VerificationProtocol:
    """Return the protocol that a scenario names, with its terms.

    >>> protocol_of(Verification(protocol="tee")).terms.attests
    True
    """
    return PROTOCOLS[verification.protocol](verification)


def terms_of(verification: Verification) -> Terms:
    """Return the terms of the protocol that a scenario names."""
    return protocol_of(verification).terms


def find_protocol(name: str) -> type[VerificationProtocol]:
    """Return a protocol by name; raise :class:`~poq_abm.errors.InputError` with the nearest."""
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name[:80]!r}; {nearest(name[:80], NAMES)}")
    return PROTOCOLS[name]
