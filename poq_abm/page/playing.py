"""Playing a scenario for the page: every round of some replications, summed up by class.

The rounds are keyed, so that the same ones are played whatever a slider says: what moves on the
page is the effect of the slider and nothing else. All rounds are played at once, in the compiled
loop; how many of them are shown is a matter of drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.page.classes import NodeClass, classes_of
from poq_abm.simulation.behaviour_columns import find_active
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.playable import check_playable
from poq_abm.simulation.replication_state import Memory, open_replication
from poq_abm.simulation.rounds import check_reports, play_rounds
from poq_abm.simulation.trace import Trace, open_trace

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["MOST_REPLICATIONS", "MOST_ROUNDS", "Played", "play", "replications_of"]

MOST_ROUNDS = 5000  #: of a replication; a page has no room for more
MOST_REPLICATIONS = 20
_TRUST_ENTRIES = 100
#: seats (rounds x replications x K) that the compiled loop fills in about a fifth of a second
_SEATS = 800_000
_ROUNDS_BY_AGENTS = 4000  # that agents play in that time

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """R replications of T rounds, as sums over the first t rounds, t = 0 ... T, by class."""

    scenario: Scenario
    game: Game
    classes: tuple[NodeClass, ...]
    reward: Floats  #: (R, T + 1, classes) rewards paid so far
    jobs: Floats  #: (R, T + 1, classes) jobs done so far
    trust_rounds: NDArray[np.int64]  #: (entries,) rounds after which trust was noted
    trust: Floats  #: (R, entries, classes) mean weight; NaN for inference classes
    consensus: Floats  #: (R, T)
    truth: Floats  #: (R, T)
    trace: Trace  #: every round of the first replication

    @property
    def replications(self) -> int:
        """R, the independent repetitions played."""
        return int(self.consensus.shape[0])

    @property
    def rounds(self) -> int:
        """T, the rounds of each."""
        return int(self.consensus.shape[1])


def replications_of(scenario: Scenario, rounds: int, *, agents: bool = False) -> int:
    """Return how many replications are played: the scenario's, as far as a slider can wait.

    >>> from poq_abm.scenario import load
    >>> replications_of(load("cost_aware_poq"), 5000)
    20
    """
    wanted = min(scenario.most_replications, MOST_REPLICATIONS)
    seats = rounds * scenario.mechanism.committee_size
    affordable = _ROUNDS_BY_AGENTS // rounds if agents else _SEATS // seats
    return max(1, min(wanted, affordable), min(wanted, 0 if agents else 2))


def play(scenario: Scenario, profile: Profile, rounds: int) -> Played:
    """Play ``rounds`` rounds of a scenario without a sweep, in as many replications as can be had.

    Raises
    ------
    InputError
        If the scenario cannot be played on the profile.
    """
    check_playable(scenario, profile)
    # Trust is always noted, so that there is one loop to compile and not two.
    interval = max(1, rounds // _TRUST_ENTRIES)
    game = build_game(scenario.replace({"mechanism.trust.interval": interval}), profile)
    classes, owner = classes_of(game.population)
    count = replications_of(scenario, rounds, agents=game.needs_agents)
    shape = (count, rounds + 1, len(classes))
    reward, jobs = np.zeros(shape), np.zeros(shape)
    entries = rounds // interval
    trust = np.full((count, entries, len(classes)), np.nan)
    consensus, truth = np.empty((count, rounds)), np.empty((count, rounds))
    traces = [open_trace(rounds, game.rules.committee_size) for _ in range(min(2, count))]
    evaluators = owner[game.population.inference_count :]
    for replication in range(count):
        trace = traces[min(replication, 1)]  # the first one is kept
        memory = _play(scenario, game, replication, rounds, trace)
        _sum_up(trace, owner, reward[replication], jobs[replication])
        consensus[replication], truth[replication] = trace.consensus, trace.truth
        weights = memory.trust_log.mean(axis=2)
        for place in np.unique(evaluators):
            trust[replication, :, place] = weights[:, evaluators == place].mean(axis=1)
    noted = np.arange(1, entries + 1) * interval
    return Played(
        scenario, game, classes, reward, jobs, noted, trust, consensus, truth, traces[0]
    )  # fmt: skip


def _play(scenario: Scenario, game: Game, replication: int, rounds: int, trace: Trace) -> Memory:
    if game.needs_agents:
        # Mesa takes over a second to import and the compiled engine does without it.
        from poq_abm.simulation.model import PoQModel  # noqa: PLC0415

        model = PoQModel(scenario.replace({"rounds": rounds}), replication=replication, game=game)
        model.run(rounds, trace)
        return model.memory
    kept = open_replication(game.arrays, scenario.seed, replication, rounds)
    active = find_active(game.conduct)  # trust is noted, so the quick loop will not do
    play_rounds(0, rounds, game.arrays, kept, active, trace, game.compiled_plugin)
    check_reports(game, kept.memory, kept.buffers)
    return kept.memory


def _sum_up(trace: Trace, owner: NDArray[np.int64], reward: Floats, jobs: Floats) -> None:
    """Write the running sums of one replication's rewards and jobs, shape (T + 1, classes)."""
    rounds = trace.node.size
    classes = reward.shape[1]
    here = np.arange(rounds) * classes
    places = np.concatenate(
        [here + owner[trace.node], (here[:, None] + owner[trace.committee]).reshape(-1)]
    )
    paid = np.concatenate([trace.inference_reward, trace.evaluator_rewards.reshape(-1)])
    cells = rounds * classes
    sums = np.bincount(places, weights=paid, minlength=cells).reshape(rounds, classes)
    counts = np.bincount(places, minlength=cells).reshape(rounds, classes)
    np.cumsum(sums, axis=0, out=reward[1:])
    np.cumsum(counts, axis=0, out=jobs[1:])
