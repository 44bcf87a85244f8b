"""``redundancy``: several providers answer, and the first divergence is recomputed."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol, rounds_of_bisection
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Redundancy"]


class Redundancy(VerificationProtocol):
    """Several different nodes answer every query, and check each other.

    Where answers differ, a bisection finds the first step in which they do, and that step is
    recomputed; who lied loses the bond.
    """

    name = "redundancy"
    gloss = "several answer, compare"
    bonded = True
    formula = (
        "p = 1 - a^(n - 1), a the share believed to be accomplices; honest iff p (S + F) >= G; "
        "each of n providers is paid F and has its bond in flight; answers are final when all n "
        "are there and agree; a search takes ceil(log2 steps) x step_s"
    )
    source = Source(
        "assumed",
        "n, times and fees; the dispute is that of Verde (arXiv 2502.19405)",
    )
    limits = (
        "Dishonest providers of one query agree if they cheat alike, which is the worst case. "
        "Where answers differ one search convicts everybody who lied. An answer that loses it is "
        "refused, nobody is paid for it, and the query is not served again. Honest ones always "
        "agree: reproducible arithmetic is taken for granted. A node expects Byzantine nodes only "
        "to be its accomplices."
    )
    parameters = {
        "providers": Parameter(
            "nodes that answer each query; Verde asks for two", 2, "count", symbol="n",
            unit="nodes", status="inferred", low=2, high=8,
        ),
        "comparison_s": Parameter("time to compare the answers", 0.01, unit="s", low=0.0),
        "trace_steps": Parameter(
            "steps of a trace, searched for the first divergence", 2**20, "count", unit="steps",
            low=2,
        ),
        "step_s": Parameter("time of one step of the search", 0.05, unit="s", low=0.0),
        "step_usd": Parameter("fee of one step of the search", 1e-4, unit="USD", low=0.0),
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        figures = self.values
        rounds = rounds_of_bisection(figures["trace_steps"])
        return {
            "providers": figures["providers"],
            "release_s": float(figures["comparison_s"]),
            "dispute_s": float(rounds * figures["step_s"]),
            "dispute_usd": float(rounds * figures["step_usd"]),
        }
