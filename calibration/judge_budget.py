"""What judging may cost, in calls and in dollars, over all runs of one calibration together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calibration.settings import JudgeSettings

__all__ = ["Budget"]


class Budget:
    """Counts what was spent and says when it is enough.

    ``rows`` are the judgements already on the disk. A budget in dollars stops before the call that
    would pass it, if that call costs no more than the dearest so far; requests that failed and
    report no tokens count as calls and cost nothing that we could know of.

    >>> settings = JudgeSettings(model="m", max_calls=2)
    >>> Budget(settings, [{"attempts": 2}]).exhausted()
    'the budget of 2 calls is spent'
    """

    def __init__(self, settings: JudgeSettings, rows: Iterable[Mapping[str, Any]]) -> None:
        self._settings = settings
        self._dearest = 0.0
        self._is_blind = False
        self.calls = 0
        self.usd = 0.0
        for row in rows:
            self.calls += row.get("attempts") or 0
            self._spend(row.get("usd") or 0.0)

    def count_calls(self, calls: int) -> None:
        """Count requests that were sent, whatever came of them."""
        self.calls += calls

    def charge(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return what these tokens cost in dollars and count it; ``None`` if it is not known.

        ``usd = (input price x input tokens + output price x output tokens) / 10^6``
        """
        prices = (self._settings.usd_per_million_input, self._settings.usd_per_million_output)
        if prices[0] is None or prices[1] is None:
            return None
        if input_tokens is None or output_tokens is None:
            self._is_blind = True
            return None
        usd = (prices[0] * input_tokens + prices[1] * output_tokens) / 1e6
        self._spend(usd)
        return usd

    def exhausted(self) -> str | None:
        """Return why no further call may be made, or ``None`` if one may."""
        calls, usd = self._settings.max_calls, self._settings.max_usd
        if self.calls >= calls:
            return f"the budget of {calls} calls is spent"
        if usd is None:
            return None
        if self._is_blind:
            return "the server reports no token counts, so a budget in dollars cannot be kept"
        if self.usd >= usd or self.usd + self._dearest > usd:
            return f"of the budget of {usd:g} dollars, {self.usd:.4g} are spent"
        return None

    def _spend(self, usd: float) -> None:
        self.usd += usd
        self._dearest = max(self._dearest, usd)
