"""``zkml``: every answer carries a proof that the named model gave it."""

from __future__ import annotations

import math
from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["ZkMl", "proving_time"]


def proving_time(parameters: float, reference_s: float, reference_parameters: float) -> float:
    """Return k N log N in seconds, with k such that the reference size takes ``reference_s``.

    Source: the abstract of arXiv 2512.20176 for the growth.

    >>> round(proving_time(70e9, 1200.0, 7e9) / 3600.0, 2)
    3.67
    """
    k = reference_s / (reference_parameters * math.log(reference_parameters))
    return k * parameters * math.log(parameters)


class ZkMl(VerificationProtocol):
    """Zero-knowledge machine learning."""

    name = "zkml"
    summary = "Every answer waits for a proof; no proof can be made of another model's answer."
    formula = (
        "p = 1; honest iff p F >= G; proof_s = k N log N, its cost in proportion; final when "
        "proved and checked"
    )
    source = (
        "published: O(k N log N) (abstract of arXiv 2512.20176), over 20 min at 7 billion "
        "parameters (the authors' blog); that $45 belongs to that size is inferred"
    )
    limits = (
        "Provers are as many as it takes, on machines of their own (on_node: false): machine_s "
        "counts them, throughput does not. All models are of one size."
    )
    sections = ("zkml",)

    def changes(self) -> dict[str, Any]:
        figures = self.verification.zkml
        size, reference = figures.parameters_billion * 1e9, figures.reference_billion * 1e9
        seconds = proving_time(size, figures.reference_s, reference)
        return {
            "proof_rate": 1.0,
            "proof_s": seconds,
            "proof_usd": figures.reference_usd * seconds / figures.reference_s,
            "proof_on_node": figures.on_node,
            "release_s": float(figures.verify_s),
        }
