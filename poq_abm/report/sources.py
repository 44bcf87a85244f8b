"""Where every rule that ships comes from: published, inferred or assumed, and by whom."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = [
    "AGGREGATION",
    "REFERENCE",
    "REWARD",
    "TRUST_REFERENCE",
    "TRUST_UPDATE",
    "Origin",
    "Status",
    "origin_of",
]

Status = Literal["published", "inferred", "assumed"]

COST_AWARE: Final = "arXiv 2512.16317"
ROBUST: Final = "arXiv 2601.21189"


class Origin(NamedTuple):
    """How far somebody else answers for a rule, and who."""

    status: Status
    source: str


_OURS: Final = Origin("assumed", "ours")
_RECONSTRUCTED: Final = Origin("assumed", f"named by {ROBUST}; the formula is our reconstruction")
_LITERATURE: Final = Origin("assumed", "ours to use here; the estimator is from the literature")

#: ``mechanism.aggregation``
AGGREGATION: Final[dict[str, Origin]] = {
    "mean": Origin("published", f"{COST_AWARE}, Eq. 1"),
    "median": Origin("published", f"{ROBUST} names it"),
    "trimmed_mean": _RECONSTRUCTED,
    "winsorized_mean": _LITERATURE,
    "huber": _LITERATURE,
    "mad_filter": _LITERATURE,
    "trust_weighted": _RECONSTRUCTED,
    "trust_weighted_median": _LITERATURE,
    "stake_median": Origin("assumed", "ours to use here; after the consensus of Yuma"),
}
#: ``mechanism.reference``
REFERENCE: Final[dict[str, Origin]] = {
    "inclusive": Origin("published", f"{COST_AWARE}, Eq. 3"),
    "leave_one_out": _OURS,
}
#: ``mechanism.reward.family``
REWARD: Final[dict[str, Origin]] = {
    "linear": Origin("published", f"{COST_AWARE}, Eq. 2 and 5"),
    "convex_cost": _OURS,
    "ratio": _OURS,
    "threshold": _OURS,
    "task_weighted": _OURS,
}
#: ``mechanism.trust.update``, where there is one
TRUST_UPDATE: Final[dict[str, Origin]] = {
    "multiplicative": Origin("published", f"{ROBUST}, Eq. 21"),
    "relative": _OURS,
    "hedge": Origin("assumed", "ours, after Freund and Schapire 1997"),
    "ema": _OURS,
    "gold": _OURS,
}
#: ``mechanism.trust.reference``
TRUST_REFERENCE: Final[dict[str, Origin]] = {
    "inclusive": Origin("published", ROBUST),
    "leave_one_out": _OURS,
    "median": _OURS,
}


_TABLES: Final = {
    "mechanism.aggregation": AGGREGATION,
    "mechanism.reference": REFERENCE,
    "mechanism.reward.family": REWARD,
    "mechanism.trust.update": TRUST_UPDATE,
    "mechanism.trust.reference": TRUST_REFERENCE,
}


def origin_of(path: str, value: str) -> Origin | None:
    """Return where the rule that a field names comes from; none of what is no rule."""
    return _TABLES[path].get(value)
