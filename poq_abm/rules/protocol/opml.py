"""``opml``: answers stand unless somebody disputes them inside a long window."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.watching import OptimisticProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Opml"]


class Opml(OptimisticProtocol):
    """Native execution; the answer is posted and becomes final after a challenge window.

    A watcher who disputes wins an interactive bisection of log2(steps) rounds.
    """

    name = "opml"
    gloss = "7 days in which to dispute"
    formula = (
        "p = phi = 1 - (1 - c t)^n, t = 1 - exp(-(W - bisection) / delay); "
        "honest iff p (S + F) >= G; economic = provisional + W; checks cost n c c_check; a dispute "
        "costs ceil(log2 steps) x step_usd"
    )
    source = Source(
        "inferred",
        "from opML (arXiv 2401.17555) for bisection and one honest challenger; "
        "7 days and $0.06 are what the OTR authors' blog says of it; "
        "times, fees and watchers are assumed",
    )
    limits = (
        "A dispute always ends inside the window and the honest side always wins it. Watchers "
        "recompute on machines of their own. Where nobody cheats they pay for their checks and "
        "earn nothing (watcher_profit_usd): that some give up is said by lazy_share, or by the "
        "inspection game."
    )
    parameters = {
        "window_s": Parameter(
            "the challenge window: 7 days", 604_800.0, symbol="W", unit="s", status="published",
            low=0.0, open_low=True,
        ),
        "posting_usd": Parameter(
            "cost of posting an answer", 0.06, unit="USD per query", status="published", low=0.0
        ),
        "overhead": Parameter(
            "what native execution adds", 0.0, unit="share of service", status="inferred", low=0.0
        ),
        "trace_steps": Parameter(
            "steps of the disputed trace", 2**20, "count", unit="steps", low=2
        ),
        "step_s": Parameter("time of one step of a bisection", 60.0, unit="s", low=0.0),
        "step_usd": Parameter("fee of one step", 0.05, unit="USD", low=0.0),
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        return {
            **self.watched_terms(self.values, 0.0),
            "overhead": float(self.values["overhead"]),
            "posting_usd": float(self.values["posting_usd"]),
        }
