"""``opml``: answers stand unless somebody disputes them inside a long window."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.watching import watch
from poq_abm.scenario.schema.verification import bisection_s, rounds_of_bisection

__all__ = ["Opml"]


class Opml(VerificationProtocol):
    """Optimistic machine learning."""

    name = "opml"
    bonded = True
    summary = (
        "Native execution; the answer is posted and becomes final after a challenge window. A "
        "watcher who disputes wins an interactive bisection of log2(steps) rounds."
    )
    formula = (
        "p = phi = 1 - (1 - c t)^n, t = 1 - exp(-(W - bisection) / delay); "
        "honest iff p (S + F) >= G; economic = provisional + W; checks cost n c c_check; a dispute "
        "costs ceil(log2 steps) x step_usd"
    )
    source = (
        "published: opML (arXiv 2401.17555) for bisection and one honest challenger; 7 days and "
        "$0.06 are what the OTR authors' blog says of it; times, fees and watchers are assumed"
    )
    limits = (
        "A dispute always ends inside the window and the honest side always wins it. Watchers "
        "recompute on machines of their own. Where nobody cheats they pay for their checks and "
        "earn nothing (watcher_profit_usd): that some give up is said by lazy_share, or by the "
        "inspection game."
    )
    sections = ("opml", "watchers")

    def changes(self) -> dict[str, Any]:
        figures = self.verification.opml
        watching = watch(self.verification, figures, 0.0)
        return {
            "overhead": float(figures.overhead),
            "watched": watching.disputed,
            "checks": watching.checks,
            "cheating": watching.cheating,
            "window_s": float(figures.window_s),
            "dispute_s": float(bisection_s(figures)),
            "dispute_usd": float(rounds_of_bisection(figures.trace_steps) * figures.step_usd),
            "posting_usd": float(figures.posting_usd),
        }
