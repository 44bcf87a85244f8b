"""What optimistic protocols share: a window in which watchers dispute, and a bisection in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol, rounds_of_bisection
from poq_abm.rules.protocol.watching import watch

__all__ = ["OptimisticProtocol", "bisection_s"]


def bisection_s(figures: Mapping[str, Any]) -> float:
    """Return how long one bisection takes, in seconds: rounds x step_s.

    >>> bisection_s({"trace_steps": 2**20, "step_s": 2.0})
    40.0
    """
    return float(rounds_of_bisection(figures["trace_steps"]) * figures["step_s"])


class OptimisticProtocol(VerificationProtocol):
    """Base class of protocols that rest on watchers; its section says window and bisection."""

    bonded = watched = True

    @classmethod
    def conflict(cls, values: Mapping[str, Any]) -> str | None:
        """Refuse a window that is shorter than one bisection."""
        if not values or values["window_s"] >= bisection_s(values):
            return None
        return (
            f"{cls.name}.window_s = {values['window_s']:g} s is shorter than one bisection: "
            f"{rounds_of_bisection(values['trace_steps'])} rounds of {cls.name}.step_s = "
            f"{values['step_s']:g} s take {bisection_s(values):g} s"
        )

    def watched_terms(self, figures: Mapping[str, Any], proof_rate: float) -> dict[str, Any]:
        """Return the terms of watching and of disputes."""
        window, bisection = float(figures["window_s"]), bisection_s(figures)
        watching = watch(self.conditions, window, bisection, proof_rate)
        rounds = rounds_of_bisection(figures["trace_steps"])
        return {
            "watched": watching.disputed,
            "checks": watching.checks,
            "cheating": watching.cheating,
            "window_s": window,
            "dispute_s": bisection,
            "dispute_usd": float(rounds * figures["step_usd"]),
        }
