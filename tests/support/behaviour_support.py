"""What the hand-computed cases share: a tiny profile with known scores, and a way to play it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from network_support import Game, game_of, model_of, published, small_profile
from numpy.typing import NDArray

from poq_abm.profile import Profile
from poq_abm.simulation.replication import Memory, Trace, open_trace

Array = NDArray[np.float64]
Spec = dict[str, Any]

INFERENCE = 2  #: nodes; evaluator nodes follow them
SCORES = np.array(
    [
        # i0: what e0, e1 and e2 measure; i1: likewise
        [[9.0, 4.0, 5.0], [1.0, 2.0, 6.0]],
        [[6.5, 7.0, 3.0], [8.0, 0.5, 2.0]],
        [[2.0, 10.0, 6.0], [0.0, 3.0, 7.5]],
    ]
)
TRUTH = np.array([[6.0, 3.0], [5.5, 4.0], [7.0, 2.0]])


class Played(NamedTuple):
    """What a play leaves, with what every evaluator measured."""

    trace: Trace
    memory: Memory
    game: Game
    table: Array  #: (rounds, 3) the profile's scores
    reports: Array  #: (rounds, 3) what e0, e1 and e2 reported


def tiny(scores: Array = SCORES, truth: Array = TRUTH) -> Profile:
    """Three records, the models f0 and f1 (the dearer), the evaluators m0, m1 and m2."""
    latency = (1000.0, 3000.0, 10.0, 20.0, 30.0)
    profile = small_profile(records=(len(scores),), latency_ms=latency)
    return replace(profile, scores=scores, truth=truth)


def play(
    evaluators: dict[str, Spec] | None = None,
    inference: dict[str, Spec] | None = None,
    *,
    profile: Profile | None = None,
    rounds: int = 200,
    families: dict[str, str] | None = None,
    **changes: Any,
) -> Played:
    """Play i0 (f0), i1 (f1) and e0, e1, e2 (m0, m1, m2), all evaluators in every committee."""
    profile = tiny() if profile is None else profile
    honest = {"name": "honest"}
    population = {
        "inference": [
            {"name": f"i{i}", "model": f"f{i}", "behaviour": (inference or {}).get(f"i{i}", honest)}
            for i in range(2)
        ],
        "evaluators": [
            {
                "name": f"e{i}",
                "model": f"m{i}",
                "behaviour": (evaluators or {}).get(f"e{i}", honest),
                "family": (families or {}).get(f"e{i}"),
            }
            for i in range(3)
        ],
    }
    scenario = published(rounds=rounds, population=population, **changes)
    game = game_of(scenario, profile)
    model = model_of(game, scenario)
    trace = open_trace(rounds, 3)
    model.run(rounds, trace)
    order = np.argsort(trace.committee, axis=1)
    reports = np.take_along_axis(trace.scores, order, axis=1)
    table = profile.scores[trace.record, trace.node]
    return Played(trace, model.memory, game, table, reports)


def seats(trace: Trace, evaluator: int) -> NDArray[np.int64]:
    """Where an evaluator sat in every round; all three sit in all of them."""
    return np.argmax(trace.committee == INFERENCE + evaluator, axis=1)
