"""``redundancy``: several providers answer, and the first divergence is recomputed."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.scenario.schema.verification import rounds_of_bisection

__all__ = ["Redundancy"]


class Redundancy(VerificationProtocol):
    """Providers that check each other."""

    name = "redundancy"
    bonded = True
    summary = (
        "n different nodes answer every query. Where answers differ, a bisection finds the first "
        "step in which they do, and that step is recomputed; who lied loses the bond."
    )
    formula = (
        "p = 1 - a^(n - 1), a the share believed to be accomplices; honest iff p (S + F) >= G; "
        "each of n providers is paid F and has its bond in flight; answers are final when all n "
        "are there and agree; a search takes ceil(log2 steps) x step_s"
    )
    source = "Verde (arXiv 2502.19405) for the dispute; n, times and fees are assumed"
    limits = (
        "Dishonest providers of one query agree if they cheat alike, which is the worst case. "
        "Where answers differ one search convicts everybody who lied. An answer that loses it is "
        "refused, nobody is paid for it, and the query is not served again. Honest ones always "
        "agree: reproducible arithmetic is taken for granted. A node expects Byzantine nodes only "
        "to be its accomplices."
    )
    sections = ("redundancy",)

    def changes(self) -> dict[str, Any]:
        figures = self.verification.redundancy
        rounds = rounds_of_bisection(figures.trace_steps)
        return {
            "providers": figures.providers,
            "release_s": float(figures.comparison_s),
            "dispute_s": float(rounds * figures.step_s),
            "dispute_usd": float(rounds * figures.step_usd),
        }
