"""Every attack on an attestation is refused, for its own reason."""

from __future__ import annotations

import pytest

from poq_abm.simulation.queries.attestation import (
    Delivery,
    Enclave,
    Rejection,
    Request,
    Vendor,
    Verifier,
    deliver,
    keyed_bytes,
)
from poq_abm.simulation.queries.execution import execute, measure

VENDOR, OTHER = Vendor("vendor", keyed_bytes(1, 0, 0, 0)), Vendor("other", keyed_bytes(1, 0, 1, 0))
STEPS = 10


def secret(number: int) -> bytes:
    return keyed_bytes(1, 0, number, 1)


def request(number: int = 0, model: str = "large") -> Request:
    return Request(model, b"a question", keyed_bytes(1, 0, number, 2, 16))


def answer(asked: Request, ran: str = "large", firmware: int = 3) -> Delivery:
    enclave = Enclave(VENDOR, secret(0), firmware)
    return deliver(enclave, asked, execute(ran, asked.prompt, STEPS), ran)


@pytest.fixture
def verifier() -> Verifier:
    models = {name: measure(name) for name in ("large", "small")}
    vendors = {"vendor": VENDOR.public, "other": OTHER.public}
    return Verifier(models, vendors, firmware={"vendor": 3})


def test_an_honest_answer_is_accepted(verifier: Verifier) -> None:
    assert verifier.verify(request(), answer(request())) is None


@pytest.mark.parametrize("byte", [0, 31, 63])
def test_a_forged_signature(verifier: Verifier, byte: int) -> None:
    honest = answer(request())
    signature = bytearray(honest.report.signature)
    signature[byte] ^= 1
    forged = honest._replace(report=honest.report._replace(signature=bytes(signature)))
    assert verifier.verify(request(), forged) is Rejection.FORGED_SIGNATURE


def test_a_signature_by_a_key_that_no_vendor_certified(verifier: Verifier) -> None:
    rogue = Enclave(Vendor("vendor", secret(9)), secret(8), 3)
    forged = deliver(rogue, request(), execute("large", b"a question", STEPS), "large")
    assert verifier.verify(request(), forged) is Rejection.FORGED_SIGNATURE


def test_a_certificate_of_another_vendor_or_a_later_firmware_written_in(verifier: Verifier) -> None:
    honest = answer(request(), firmware=2)
    later = honest._replace(certificate=honest.certificate._replace(firmware=3))
    renamed = honest._replace(certificate=honest.certificate._replace(vendor="other"))
    assert verifier.verify(request(), later) is Rejection.FORGED_SIGNATURE
    assert verifier.verify(request(), renamed) is Rejection.FORGED_SIGNATURE


def test_what_an_enclave_did_not_sign_is_forged(verifier: Verifier) -> None:
    honest = answer(request(), ran="small")
    claimed = honest._replace(report=honest.report._replace(measurement=measure("large")))
    assert verifier.verify(request(), claimed) is Rejection.FORGED_SIGNATURE


def test_a_replayed_attestation(verifier: Verifier) -> None:
    first = answer(request(1))
    assert verifier.verify(request(1), first) is None
    assert verifier.verify(request(1), first) is Rejection.REPLAYED
    assert verifier.verify(request(2), first) is Rejection.REPLAYED


def test_a_refused_delivery_does_not_spend_the_nonce(verifier: Verifier) -> None:
    asked = request(5)
    assert verifier.verify(asked, answer(asked, ran="small")) is Rejection.WRONG_MODEL
    assert verifier.verify(asked, answer(asked)) is None


def test_the_wrong_model(verifier: Verifier) -> None:
    assert verifier.verify(request(), answer(request(), ran="small")) is Rejection.WRONG_MODEL
    asked = request(model="small")
    assert verifier.verify(asked, answer(asked, ran="small")) is None


@pytest.mark.parametrize("part", ["answer", "opening", "prompt"])
def test_an_altered_trace(verifier: Verifier, part: str) -> None:
    honest, asked = answer(request()), request()
    if part == "prompt":
        asked = asked._replace(prompt=b"another question")
        altered = honest
    elif part == "answer":
        altered = honest._replace(answer=b"x" * 32)
    else:
        altered = honest._replace(opening=(b"y" * 32, *honest.opening[1:]))
    assert verifier.verify(asked, altered) is Rejection.ALTERED_TRACE


def test_a_revoked_vendor_key(verifier: Verifier) -> None:
    assert verifier.verify(request(1), answer(request(1))) is None
    verifier.revoked.add("vendor")
    assert verifier.verify(request(2), answer(request(2))) is Rejection.REVOKED_KEY


def test_stale_firmware(verifier: Verifier) -> None:
    assert verifier.verify(request(), answer(request(), firmware=2)) is Rejection.STALE_FIRMWARE
    assert verifier.verify(request(), answer(request(), firmware=3)) is None
    verifier.firmware["vendor"] = 4
    assert verifier.verify(request(1), answer(request(1), firmware=3)) is Rejection.STALE_FIRMWARE


def test_an_unregistered_model_or_vendor(verifier: Verifier) -> None:
    asked = request(model="unheard of")
    assert verifier.verify(asked, answer(asked)) is Rejection.UNKNOWN
    stranger = Enclave(Vendor("stranger", secret(7)), secret(6), 3)
    made = deliver(stranger, request(), execute("large", b"a question", STEPS), "large")
    assert verifier.verify(request(), made) is Rejection.UNKNOWN


def test_a_key_of_the_wrong_length_is_a_forgery_and_no_crash(verifier: Verifier) -> None:
    verifier.vendors["vendor"] = b"short"
    assert verifier.verify(request(), answer(request())) is Rejection.FORGED_SIGNATURE


def test_a_broken_enclave_signs_for_any_model(verifier: Verifier) -> None:
    enclave = Enclave(VENDOR, secret(0), 3)
    enclave.broken = True
    made = deliver(enclave, request(), execute("small", b"a question", STEPS), "small")
    assert verifier.verify(request(), made) is None


def test_every_reason_is_told_in_words() -> None:
    assert len({reason.value for reason in Rejection}) == 7
