"""The four charts of the page, for a state of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poq_abm.page.drawing import cloud_chart, line_chart
from poq_abm.page.playing import Played
from poq_abm.page.views import Curve, cloud, reward_curves, trust_curves

__all__ = ["charts"]

_ROLES = {
    "inference": "Inference nodes: reward per job",
    "evaluator": "Evaluators: reward per job",
}


def charts(played: Played, written: Played, shown: int) -> dict[str, str]:
    """Return the charts by name, as SVG in HTML.

    Curves of what was ``written``, where it is another play, are drawn thin behind the others.
    """
    found = {}
    moved = played is not written
    for role, title in _ROLES.items():
        curves = reward_curves(played, role, shown)
        before = reward_curves(written, role, shown) if moved else []
        limits = _limits(
            *(
                reward_curves(one, role, rounds)
                for one in (played, written)
                for rounds in (played.rounds, max(1, played.rounds // 10))
            )
        )
        found[role] = line_chart(
            role, title, "reward per job", curves, played.rounds, limits, before
        )
    update = played.scenario.mechanism.trust.update
    weights = trust_curves(played, shown)
    before = trust_curves(written, shown) if moved else []
    limits = _limits(trust_curves(played, played.rounds), trust_curves(written, played.rounds))
    found["trust"] = line_chart(
        "trust",
        f"Evaluators: mean trust weight (update: {update})",
        "weight",
        weights,
        played.rounds,
        limits,
        before,
    )
    found["consensus"] = cloud_chart(
        "consensus", "Consensus against truth (latest 400 rounds of one replication)",
        *cloud(played, shown), played.game.tasks,
    )  # fmt: skip
    return found


def _limits(*groups: Sequence[Curve]) -> tuple[float, float]:
    """Return the range of the vertical axis, which stays while rounds are played."""
    values = [np.concatenate([c.y, c.low, c.high]) for curves in groups for c in curves]
    every = np.concatenate(values) if values else np.zeros(1)
    known = every[np.isfinite(every)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.1 * max(1.0, abs(high))
    return low - room, high + room
