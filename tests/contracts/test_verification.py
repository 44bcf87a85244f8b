"""Every protocol that ships passes the contract that authors of their own inherit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from poq_abm.analysis.trilemma import changed
from poq_abm.rules.protocol.protocol import PROTOCOLS, VerificationProtocol
from poq_abm.rules.registry import shipped
from poq_abm.scenario.schema.verification import Verification
from poq_abm.testing.verification import VerificationContract

BUSY = changed(
    Verification(),
    {
        "otr.proof_rate": 0.3,
        "otr.proof_before_release": False,
        "watchers.check_probability": 0.2,
        "proof_of_sampling.challenge_probability": 0.4,
        "poq.accept_score": 5.0,
        "economics.slash_share": 0.5,
        "economics.keeps_gain_when_caught": False,
        "redundancy.providers": 3,
    },
)


SHIPPED = shipped(PROTOCOLS)


def contract(rule: type[VerificationProtocol], figures: Verification) -> type[VerificationContract]:
    return type(
        f"Test_{rule.__name__}", (VerificationContract,), {"rule": rule, "verification": figures}
    )


for _rule in SHIPPED.values():
    globals()[f"Test{_rule.__name__}"] = contract(_rule, Verification())
    globals()[f"Test{_rule.__name__}WithOtherFigures"] = contract(
        _rule, changed(BUSY, {"poq.accept_score": 0.0})
    )


class TestPoqThatRefuses(VerificationContract):
    rule = SHIPPED["poq"]
    verification = changed(BUSY, {"poq.accept_score": 4.0})


class Leaky(SHIPPED["none"]):  # type: ignore[misc,name-defined]
    """A protocol that says it finds what it does not."""

    def detection(self, *, broken: bool) -> float:
        return 0.5


def test_the_contract_sees_a_protocol_that_claims_too_much() -> None:
    held = contract(Leaky, Verification())()
    with pytest.raises(AssertionError):
        held.test_detection_is_a_chance_that_the_rule_keeps(True)


def test_the_package_does_not_import_its_own_tests_or_cryptography() -> None:
    code = (
        "import sys, poq_abm.simulation.queries.query_replication\n"
        "import poq_abm.simulation.queries.verification_model\n"
        "wrong = ('pytest', 'hypothesis', 'cryptography', 'matplotlib', 'seaborn')\n"
        "sys.exit(any(m.split('.')[0] in wrong for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
