"""Coefficients that follow utilisation, within bounds, or the mix of users."""

from __future__ import annotations

from collections.abc import Mapping

from poq_abm.scenario.schema.economy import Controller, EconomySettings, Preference

__all__ = ["COEFFICIENTS", "Coefficients", "preferred", "stepped"]

COEFFICIENTS = ("alpha_inference", "beta_inference", "alpha_evaluator", "beta_evaluator", "fee")


_LEAST = 1e-3  # of a coefficient's first value; where a controller names no minimum


def stepped(
    value: float, utilisation: float, rule: Controller, first: float = 1.0
) -> tuple[float, bool]:
    """Return the value after one epoch, and whether a bound held it back.

    x (1 + step clip((u - target) / target, -1, 1)) outside the zone around the target, x inside
    it; then kept in [minimum, maximum]. The form of base-fee rules of public chains. Without a
    minimum it is a thousandth of the ``first`` value: from 0 no relative move would lead back.

    >>> stepped(1.0, 1.0, Controller(move="fee", target=0.5, step=0.125))
    (1.125, False)
    >>> stepped(9.9, 1.0, Controller(move="fee", target=0.5, maximum=10.0))
    (10.0, True)
    >>> stepped(2.0, 0.0, Controller(move="fee", step=1.0))
    (0.001, True)
    """
    distance = (utilisation - rule.target) / rule.target
    if abs(utilisation - rule.target) <= rule.zone:
        moved = value
    else:
        moved = value * (1.0 + rule.step * min(1.0, max(-1.0, distance)))
    least = _LEAST * first if rule.minimum is None else rule.minimum
    kept = min(max(moved, least), rule.maximum)
    return kept, kept != moved


def preferred(preference: Preference, progress: float) -> tuple[float, float]:
    """Return the factors on alpha_F and beta_F for a mix of users.

    Twice the share that wants quality, and twice the share that wants low cost, so that an even mix
    leaves both as they are. ``progress`` runs from 0 in the first epoch to 1 in the last.

    >>> preferred(Preference(start=0.5, end=1.0), 0.5)
    (1.5, 0.5)
    """
    share = preference.start + progress * (preference.end - preference.start)
    return 2.0 * share, 2.0 * (1.0 - share)


class Coefficients:
    """The values of all coefficients, epoch after epoch.

    Life-cycle: :attr:`now` while an epoch is played, :meth:`follow` at its end.
    """

    def __init__(self, economy: EconomySettings, first: Mapping[str, float]) -> None:
        self._economy = economy
        self._first = dict(first)
        self._moved = dict(first)
        self.held = 0  #: controllers that a bound held back at the end of the last epoch

    def now(self, epoch: int) -> dict[str, float]:
        """Return every coefficient's value in an epoch."""
        values = dict(self._moved)
        preference = self._economy.preference
        if preference is not None:
            progress = epoch / max(1, self._economy.epochs - 1)
            quality, cost = preferred(preference, progress)
            values["alpha_inference"] *= quality
            values["beta_inference"] *= cost
        return values

    def follow(self, utilisation: float) -> None:
        """Let every controller make its step."""
        self.held = 0
        for rule in self._economy.controllers:
            value, first = self._moved[rule.move], self._first[rule.move]
            self._moved[rule.move], held = stepped(value, utilisation, rule, first)
            self.held += held

    def highest(self, name: str) -> float:
        """Return the most that a coefficient can become."""
        bounds = [rule.maximum for rule in self._economy.controllers if rule.move == name]
        preference = self._economy.preference
        factor = 1.0
        if preference is not None and name in ("alpha_inference", "beta_inference"):
            factor = max(
                preferred(preference, progress)[name == "beta_inference"] for progress in (0.0, 1.0)
            )
        return max([self._moved[name], *bounds]) * factor
