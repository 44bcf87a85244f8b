"""``otr``: attestation, watchers in a challenge window, and random ZK proofs."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.tee import attested_terms
from poq_abm.rules.protocol.watching import watch
from poq_abm.scenario.schema.verification import bisection_s, rounds_of_bisection

__all__ = ["Otr", "rollup_terms"]


def rollup_terms(protocol: VerificationProtocol) -> dict[str, Any]:
    """Return the terms of the rollup, alone or with a committee on top."""
    figures = protocol.verification.otr
    watching = watch(protocol.verification, figures, figures.proof_rate)
    return {
        **attested_terms(protocol),
        "proof_rate": float(figures.proof_rate),
        "proof_s": float(figures.proof_s),
        "proof_usd": float(figures.proof_usd),
        "proof_first": figures.proof_before_release,
        "proof_on_node": figures.on_node,
        "watched": watching.disputed,
        "checks": watching.checks,
        "cheating": watching.cheating,
        "window_s": float(figures.window_s),
        "dispute_s": float(bisection_s(figures)),
        "dispute_usd": float(rounds_of_bisection(figures.trace_steps) * figures.step_usd),
    }


class Otr(VerificationProtocol):
    """Optimistic TEE-Rollups."""

    name = "otr"
    bonded = True
    summary = (
        "An enclave answers and attests (provisional finality); watchers may dispute inside a "
        "window (economic finality); a random share of the queries must carry a proof, which "
        "makes those final at once."
    )
    formula = (
        "p = 1 while enclaves are intact, else 1 - (1 - rho)(1 - phi); honest iff p (S + F) >= G; "
        "checks cost c_attest + rho c_zk + n c c_check + P(dispute) c_dispute, n c the checks of n "
        "watchers who each check with chance c"
    )
    source = (
        "published: arXiv 2512.20176, abstract, and the authors' blog (rho = 0.01); proof time and "
        "proof cost are inferred from its figures; window, watchers and economics are assumed. The "
        "theorems and the simulation of the paper are not known to us: this is our reconstruction"
    )
    limits = (
        "As for tee and opml. The seed that draws the proofs is taken to be unpredictable; the "
        "agents draw it by commit and reveal, where withholding is punished and not impossible."
    )
    sections = ("otr", "tee", "watchers")

    def changes(self) -> dict[str, Any]:
        return rollup_terms(self)
