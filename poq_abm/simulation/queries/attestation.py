"""Proof of Efficient Attribution: pay only if the attested model is the one the request names.

Two signatures (Ed25519, RFC 8032) bind an answer to a model: the vendor's, over the enclave's key
and its firmware, and the enclave's, over measurement, nonce, hashes of prompt and answer, and the
root of the trace. :class:`Verifier` says which of seven things is wrong, if any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from poq_abm.random import Purpose, word
from poq_abm.simulation.queries.execution import Execution, measure, root_from_opening, sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "Certificate",
    "Delivery",
    "Enclave",
    "Rejection",
    "Report",
    "Request",
    "Vendor",
    "Verifier",
    "deliver",
    "keyed_bytes",
]


class Rejection(Enum):
    """Why an attested answer is refused and not paid."""

    FORGED_SIGNATURE = "the signature does not belong to the enclave or the vendor it names"
    REPLAYED = "the nonce is not that of this request, or was used before"
    WRONG_MODEL = "the measurement is not that of the model named in the request"
    ALTERED_TRACE = "prompt, answer or trace are not those that were signed"
    REVOKED_KEY = "the vendor's key has been revoked"
    STALE_FIRMWARE = "the enclave's firmware is older than the vendor's latest patch"
    UNKNOWN = "the request names a model, or the enclave a vendor, that is not registered"


class Request(NamedTuple):
    """What a user asks for."""

    model: str
    prompt: bytes
    nonce: bytes  #: 16 bytes, chosen by the user, once


class Certificate(NamedTuple):
    """What a vendor says of an enclave."""

    vendor: str
    enclave_key: bytes
    firmware: int
    signature: bytes


class Report(NamedTuple):
    """What an enclave says of an answer."""

    measurement: bytes
    nonce: bytes
    prompt_hash: bytes
    answer_hash: bytes
    trace_root: bytes
    steps: int
    signature: bytes = b""

    def signed_part(self) -> bytes:
        """Return the bytes that the enclave signs; every part has a fixed length."""
        hashes = (self.prompt_hash, self.answer_hash, self.trace_root)
        return b"".join((self.measurement, self.nonce, *hashes, self.steps.to_bytes(8, "big")))


class Delivery(NamedTuple):
    """What a node hands over: the answer, its place in the trace, and who vouches for it."""

    answer: bytes
    opening: tuple[bytes, ...]
    report: Report
    certificate: Certificate


def keyed_bytes(seed: int, replication: int, number: int, part: int, length: int = 32) -> bytes:
    """Return bytes that look random and are a pure function of their key; for simulated secrets.

    >>> len(keyed_bytes(1, 0, 7, 0)), keyed_bytes(1, 0, 7, 0) == keyed_bytes(1, 0, 7, 1)
    (32, False)
    """
    words = -(-length // 4)
    first, purpose = part * 8, int(Purpose.SECRET)
    made = (word(seed, replication, purpose, number, first + i) for i in range(words))
    return b"".join(int(w).to_bytes(4, "big") for w in made)[:length]


def _private(secret: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  (slow to load)
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(secret)


class Vendor:
    """Who makes enclaves and certifies their keys; ``secret`` has 32 bytes."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.name = name
        self._key = _private(secret)

    @property
    def public(self) -> bytes:
        """The vendor's public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def certify(self, enclave_key: bytes, firmware: int) -> Certificate:
        """Return the vendor's word for an enclave's key and firmware."""
        signed = self._key.sign(_certified(self.name, enclave_key, firmware))
        return Certificate(self.name, enclave_key, firmware, signed)


class Enclave:
    """Signs what ran inside it; one that is broken signs whatever its owner wants."""

    def __init__(self, vendor: Vendor, secret: bytes, firmware: int) -> None:
        self._key = _private(secret)
        public = self._key.public_key().public_bytes_raw()
        self.certificate = vendor.certify(public, firmware)
        self.broken = False

    def sign(self, report: Report, *, ran: str) -> Report:
        """Return the report, signed, with the measurement of what ran.

        A broken enclave leaves the measurement as its owner wrote it.
        """
        honest = report if self.broken else report._replace(measurement=measure(ran))
        return honest._replace(signature=self._key.sign(honest.signed_part()))


def deliver(enclave: Enclave, request: Request, run: Execution, ran: str) -> Delivery:
    """Return an answer with its attestation, as the node that ran ``ran`` hands it over."""
    steps = len(run.states) - 1
    hashes = (sha256(request.prompt), sha256(run.answer), run.root)
    report = Report(measure(request.model), request.nonce, *hashes, steps)
    return Delivery(run.answer, run.open(steps), enclave.sign(report, ran=ran), enclave.certificate)


@dataclass
class Verifier:
    """Checks deliveries against a registry of models and vendors; remembers every nonce it saw.

    Attributes
    ----------
    models
        Measurement of every registered model.
    vendors
        Public key of every vendor, 32 bytes.
    revoked
        Vendors whose key is no longer believed.
    firmware
        The oldest firmware that is accepted, by vendor.
    """

    models: dict[str, bytes]
    vendors: dict[str, bytes]
    revoked: set[str] = field(default_factory=set)
    firmware: dict[str, int] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)
    _keys: dict[bytes, Ed25519PublicKey] = field(default_factory=dict)
    _certified: set[Certificate] = field(default_factory=set)

    def verify(self, request: Request, delivery: Delivery) -> Rejection | None:
        """Return why the delivery is refused, or nothing; an accepted nonce is spent.

        What costs nothing is looked at first; a certificate's signature is checked once, its
        revocation and its firmware every time.
        """
        report, certificate = delivery.report, delivery.certificate
        rejection = self._registered(request, certificate)
        if rejection is None and (report.nonce != request.nonce or report.nonce in self._seen):
            rejection = Rejection.REPLAYED
        if rejection is None and not self._signed(report, certificate):
            rejection = Rejection.FORGED_SIGNATURE
        if rejection is None and report.measurement != self.models[request.model]:
            rejection = Rejection.WRONG_MODEL
        if rejection is None and not _intact(request, delivery):
            rejection = Rejection.ALTERED_TRACE
        if rejection is None:
            self._seen.add(report.nonce)
        return rejection

    def _registered(self, request: Request, certificate: Certificate) -> Rejection | None:
        vendor = certificate.vendor
        if request.model not in self.models or vendor not in self.vendors:
            return Rejection.UNKNOWN
        if vendor in self.revoked:
            return Rejection.REVOKED_KEY
        if certificate.firmware < self.firmware.get(vendor, 0):
            return Rejection.STALE_FIRMWARE
        return None

    def _signed(self, report: Report, certificate: Certificate) -> bool:
        if certificate not in self._certified:
            certified = _certified(
                certificate.vendor, certificate.enclave_key, certificate.firmware
            )
            if not self._valid(self.vendors[certificate.vendor], certificate.signature, certified):
                return False
            self._certified.add(certificate)
        return self._valid(certificate.enclave_key, report.signature, report.signed_part())

    def _valid(self, public: bytes, signature: bytes, signed: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

        try:
            if public not in self._keys:
                self._keys[public] = Ed25519PublicKey.from_public_bytes(public)
            self._keys[public].verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def _certified(vendor: str, enclave_key: bytes, firmware: int) -> bytes:
    return b"".join((sha256(vendor.encode()), enclave_key, firmware.to_bytes(8, "big")))


def _intact(request: Request, delivery: Delivery) -> bool:
    report = delivery.report
    root = root_from_opening(report.steps, delivery.answer, delivery.opening)
    return (
        report.prompt_hash == sha256(request.prompt)
        and report.answer_hash == sha256(delivery.answer)
        and report.trace_root == root
    )
