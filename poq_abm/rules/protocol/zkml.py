"""``zkml``: every answer carries a proof that the named model gave it."""

from __future__ import annotations

import math
from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.rule import Parameter, Source

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
    """Every answer waits for a proof; no proof can be made of another model's answer."""

    name = "zkml"
    gloss = "a proof for every answer"
    formula = (
        "p = 1; honest iff p F >= G; proof_s = k N log N, its cost in proportion; final when "
        "proved and checked"
    )
    source = Source(
        "inferred",
        "from O(k N log N) (abstract of arXiv 2512.20176), over 20 min at 7 billion "
        "parameters (the authors' blog); that $45 belongs to that size is inferred",
    )
    limits = (
        "Provers are as many as it takes, on machines of their own (on_node: false): machine_s "
        "counts them, throughput does not. All models are of one size."
    )
    parameters = {
        "reference_s": Parameter(
            "proving time at the reference size: 'over 20 min', so at least this", 1200.0,
            unit="s", status="published", low=0.0, open_low=True,
        ),
        "reference_billion": Parameter(
            "size to which reference_s belongs", 7.0, unit="10^9 parameters", status="published",
            low=0.01, open_low=True,
        ),
        "reference_usd": Parameter(
            "cost of a proof at that size; printed without a size", 45.0, unit="USD",
            status="inferred", low=0.0,
        ),
        "parameters_billion": Parameter(
            "size of the model a request names", 7.0, symbol="N", unit="10^9 parameters", low=0.01,
            open_low=True,
        ),
        "verify_s": Parameter("time to check a proof", 0.1, unit="s", low=0.0),
        "on_node": Parameter(
            "whether the node that answers also proves, in its queue", False, "switch",
            unit="yes or no",
        ),
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        figures = self.values
        size, reference = figures["parameters_billion"] * 1e9, figures["reference_billion"] * 1e9
        seconds = proving_time(size, figures["reference_s"], reference)
        return {
            "proof_rate": 1.0,
            "proof_s": seconds,
            "proof_usd": figures["reference_usd"] * seconds / figures["reference_s"],
            "proof_on_node": figures["on_node"],
            "release_s": float(figures["verify_s"]),
        }
