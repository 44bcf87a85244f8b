"""Every round of some replications, played for the page and summed up by class of nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.page.samples import PlayedReplications
from poq_abm.rules.behaviour.base import Role, spell
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.population import find_active
from poq_abm.simulation.replication import Memory, Trace, open_replication, open_trace
from poq_abm.simulation.rounds import check_reports, play_rounds

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.population import NodePopulation

__all__ = [
    "MOST_CLASSES",
    "MOST_REPLICATIONS",
    "MOST_ROUNDS",
    "NodeClass",
    "PlayedRounds",
    "classes_of",
    "play",
    "replications_of",
]


MOST_CLASSES = 8  #: of a role; beyond that, lines can no longer be told apart


@dataclass(frozen=True)
class NodeClass:
    """Nodes that share a line: their role, what they are called, and how many there are."""

    role: Role
    label: str
    nodes: int
    name: str  #: the label without the parameters of what they do, which a slider may move


def classes_of(population: NodePopulation) -> tuple[tuple[NodeClass, ...], NDArray[np.int64]]:
    """Return the classes, inference first, and the class of every node, shape (F + M,).

    Nodes are told apart by group and behaviour; where a role would have more than
    :data:`MOST_CLASSES` lines, by behaviour alone; where even those are more, the rarest ones
    share a line.
    """
    roles = [group.role for group in population.groups]
    owner = np.empty(population.size, np.int64)
    classes: list[NodeClass] = []
    kinds: tuple[Role, ...] = ("inference", "evaluator")
    for role in kinds:
        nodes = np.flatnonzero(np.array([r == role for r in roles])[population.group])
        labels = [_label(population, int(node)) for node in nodes]
        if len(set(labels)) > MOST_CLASSES:
            labels = [_spec(population, int(node)) for node in nodes]
        labels = _fewer(labels)
        for label in dict.fromkeys(labels):
            mine = nodes[[one == label for one in labels]]
            owner[mine] = len(classes)
            name = re.sub(r"\(.*\)$", "", label)
            classes.append(NodeClass(role, label, int(mine.size), name))
    return tuple(classes), owner


def _spec(population: NodePopulation, node: int) -> str:
    return spell(population.behaviours[population.behaviour[node]][1])


def _label(population: NodePopulation, node: int) -> str:
    said = _spec(population, node)
    group = population.groups[population.group[node]].label
    return group if said == "honest" else f"{group}, {said}"


def _fewer(labels: list[str]) -> list[str]:
    """Return labels of which at most as many differ as can be told apart."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if len(counts) <= MOST_CLASSES:
        return labels
    kept = set(sorted(counts, key=lambda label: -counts[label])[: MOST_CLASSES - 1])
    return [label if label in kept else "others" for label in labels]


MOST_ROUNDS = 5000  #: of a replication; a page has no room for more


MOST_REPLICATIONS = 20


_TRUST_ENTRIES = 100


#: seats (rounds x replications x K) that the compiled loop fills in about a fifth of a second
_SEATS = 800_000


_ROUNDS_BY_AGENTS = 4000  # that agents play in that time


Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PlayedRounds(PlayedReplications):
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
    trace: Trace  #: every round of the first of them

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


def play(scenario: Scenario, profile: Profile, rounds: int, first: int, last: int) -> PlayedRounds:
    """Play ``rounds`` rounds of replications ``first`` to ``last - 1`` of a playable scenario."""
    # Trust is always noted, so that there is one loop to compile and not two.
    interval = max(1, rounds // _TRUST_ENTRIES)
    game = build_game(scenario.replace({"mechanism.trust.interval": interval}), profile)
    classes, owner = classes_of(game.population)
    count = last - first
    shape = (count, rounds + 1, len(classes))
    reward, jobs = np.zeros(shape), np.zeros(shape)
    entries = rounds // interval
    trust = np.full((count, entries, len(classes)), np.nan)
    consensus, truth = np.empty((count, rounds)), np.empty((count, rounds))
    traces = [open_trace(rounds, game.rules.committee_size) for _ in range(min(2, count))]
    evaluators = owner[game.population.inference_count :]
    for place in range(count):
        trace = traces[min(place, 1)]  # the first one is kept
        memory = _play(scenario, game, first + place, rounds, trace)
        _sum_up(trace, owner, reward[place], jobs[place])
        consensus[place], truth[place] = trace.consensus, trace.truth
        weights = memory.trust_log.mean(axis=2)
        for one in np.unique(evaluators):
            trust[place, :, one] = weights[:, evaluators == one].mean(axis=1)
    noted = np.arange(1, entries + 1) * interval
    return PlayedRounds(
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
    play_rounds(0, rounds, game.arrays, kept, active, trace, game.kernels)
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
