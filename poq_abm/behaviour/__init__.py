"""What nodes may do: honest play, and (in time) every declared deviation from it."""

from poq_abm.behaviour.honest import honest_report

__all__ = ["honest_report"]
