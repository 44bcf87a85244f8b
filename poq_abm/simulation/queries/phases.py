"""Phase diagrams: over which parameters rational nodes are honest, by the protocols' own terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from poq_abm.rules.protocol.settling import disputed
from poq_abm.scenario.overlay import put
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.queries.economics import deterrence_threshold
from poq_abm.simulation.queries.vulnerability import broken_share

__all__ = [
    "changed",
    "proof_rate_by_stake",
    "vulnerability_by_patch",
    "watchers_by_window",
]


def changed(verification: Verification, settings: Mapping[str, Any]) -> Verification:
    """Return the section with other values at these dotted paths, validated as a file's is.

    >>> changed(Verification(), {"otr.proof_rate": 0.05}).otr.proof_rate
    0.05
    """
    data: Any = verification.model_dump(mode="json")
    for path, value in settings.items():
        data = put(data, tuple(path.split(".")), value, ("verification",))
    return Verification.model_validate(data)


def proof_rate_by_stake(
    verification: Verification, proof_rates: Sequence[float], stakes: Sequence[float]
) -> pd.DataFrame:
    """Return a row per proof rate and stake: whether cheating with a broken enclave is deterred.

    Columns as in :func:`watchers_by_window`, after ``proof_rate`` and ``stake_usd``. The bounty is
    held at no more than the slash.
    """
    economics = verification.economics
    rows = []
    for rate, stake in product(proof_rates, stakes):
        bounty = min(economics.bounty_usd, stake * economics.slash_share)
        settings = {
            "otr.proof_rate": rate,
            "economics.stake_usd": stake,
            "economics.bounty_usd": bounty,
        }
        found = _deterrence(changed(verification, settings))
        rows.append({"proof_rate": rate, "stake_usd": stake, **found})
    return pd.DataFrame(rows)


def watchers_by_window(
    verification: Verification, active_shares: Sequence[float], windows_s: Sequence[float]
) -> pd.DataFrame:
    """Return a row per share of active watchers and challenge window.

    Columns, after ``active_share`` and ``window_s``: ``detection``, the chance that a cheat with a
    broken enclave is found; ``threshold``, the chance that deters the largest known gain;
    ``margin``, the first over the second; ``deterred``.
    """
    name = "opml" if verification.protocol == "opml" else "otr"
    return pd.DataFrame(
        {
            "active_share": share,
            "window_s": window,
            **_deterrence(
                changed(
                    verification,
                    {"watchers.lazy_share": 1.0 - share, f"{name}.window_s": window},
                )
            ),
        }
        for share, window in product(active_shares, windows_s)
    )


def vulnerability_by_patch(
    verification: Verification, rates_per_year: Sequence[float], patches_days: Sequence[float]
) -> pd.DataFrame:
    """Return a row per rate of vulnerabilities and mean patch delay.

    Columns, after ``vulnerability_per_year`` and ``patch_days``: ``broken_share``;
    ``dishonest_stands``, the long-run share of queries whose dishonest answer is paid and stands,
    with the scenario's adversaries; and those of :func:`watchers_by_window`.
    """
    adversaries = verification.adversaries
    found = _deterrence(verification)
    cheats = adversaries.byzantine_share
    if not found["deterred"]:
        cheats += adversaries.rational_share
    return pd.DataFrame(
        {
            "vulnerability_per_year": rate,
            "patch_days": days,
            "broken_share": share,
            "dishonest_stands": share * cheats * (1.0 - found["detection"]),
            **found,
        }
        for rate, days, share in _shares(rates_per_year, patches_days)
    )


def _shares(
    rates: Sequence[float], patches: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    for rate, days in product(rates, patches):
        yield rate, days, broken_share(rate, days)


def _deterrence(verification: Verification) -> dict[str, Any]:
    """Return whether the largest known gain is deterred while the enclave is broken."""
    protocol = protocol_of(verification)
    terms, adversaries = protocol.terms, verification.adversaries
    gain = max(getattr(adversaries, name).gain_usd for name in adversaries.actions)
    detection = protocol.detection(broken=True)
    at_risk = terms.slash + (0.0 if terms.keeps_gain else gain)
    back = disputed(terms, True) * terms.refund  # what the node's own watchers get of bounties
    threshold = deterrence_threshold(gain + back, at_risk, terms.fee)
    return {
        "detection": detection,
        "threshold": threshold,
        "margin": detection / threshold if threshold > 0.0 else float("inf"),
        "deterred": detection >= threshold,
    }
