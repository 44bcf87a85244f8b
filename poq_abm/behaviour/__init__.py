"""What nodes may do: honest play, and (in time) every declared deviation from it."""

from __future__ import annotations

from poq_abm.behaviour.honest import honest_report

__all__ = ["BEHAVIOURS", "honest_report"]

#: the behaviours a scenario can name, by role
BEHAVIOURS: dict[str, tuple[str, ...]] = {"inference": ("honest",), "evaluator": ("honest",)}
