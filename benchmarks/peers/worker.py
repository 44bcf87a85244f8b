"""One contestant in a process of its own: it plays what it is told to, and says what it took.

Some run in environments that lack ``poq_abm``: this module needs NumPy alone. Told ``check``, a
contestant plays batches and says what every group's sums grew by in each; told ``turn SECONDS``, it
plays chunks for so long. All times are CPU seconds of the process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BATCHES", "SUMS", "Player", "PublishedGame", "committees", "serve"]

SUMS = ("jobs", "reward", "consensus", "truth", "closeness")  #: the columns of every account
BATCHES, BATCH_ROUNDS = 20, 1000

Words = NDArray[np.int64]
Reals = NDArray[np.float64]


class PublishedGame(NamedTuple):
    """What a round needs: tables by record, nodes (inference nodes first), coefficients."""

    scores: Reals  #: (records, models, evaluator models)
    truth: Reals  #: (records, models)
    task_first: Words
    task_size: Words
    task_ends: Reals  #: running sums of the tasks' shares
    model: Words  #: of every inference node
    evaluator: Words  #: the model of every evaluator node
    inference_cost: Reals
    evaluator_cost: Reals
    coefficients: Reals  #: alpha and beta of inference nodes, then of evaluators
    committee: int

    @property
    def nodes(self) -> int:
        """The number of nodes of both roles."""
        return int(self.model.size + self.evaluator.size)

    def save(self, path: Path) -> None:
        """Write the game to a file."""
        np.savez(path, **self._asdict())

    @classmethod
    def load(cls, path: Path) -> PublishedGame:
        """Return a game as it was written."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in cls._fields}
        return cls(**{**arrays, "committee": int(arrays["committee"])})


class Player(Protocol):
    """Somebody who plays rounds, ``chunk`` at a time, and keeps an account of every node."""

    chunk: int

    def play(self) -> None:
        """Play the next ``chunk`` rounds."""

    def accounts(self) -> Reals:
        """Return the sums of every node so far, shape (nodes, 5), in the order of SUMS."""


def committees(
    rng: np.random.Generator, rounds: int, evaluators: int, size: int
) -> NDArray[np.int64]:
    """Return committees without replacement, shape (size, rounds): all equally likely."""
    seats = np.empty((size, rounds), np.int64)
    for seat in range(size):
        drawn = rng.integers(evaluators - seat, size=rounds)
        for earlier in np.sort(seats[:seat], axis=0):
            drawn += drawn >= earlier  # over those that sit already
        seats[seat] = drawn
    return seats


def serve(make: Callable[[PublishedGame], Player], library: str) -> None:
    """Be the contestant that ``make`` returns, for the game that the command line names."""
    game = PublishedGame.load(Path(sys.argv[1]))
    player = make(game)
    first, second = _seconds(player), _seconds(player)
    _say(library=f"{library} {version(library)}", import_s=time.process_time() - first - second,
         compile_s=max(0.0, first - second))  # fmt: skip
    for line in sys.stdin:
        order, *rest = line.split()
        if order == "check":
            _say(growth=_batches(player, game).tolist())
        else:
            _say(rate=_rate(player, float(rest[0])))


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _seconds(player: Player) -> float:
    begun = time.process_time()
    player.play()
    return time.process_time() - begun


def _rate(player: Player, seconds: float) -> float:
    """Return rounds per second over at least so long."""
    begun, rounds, spent = time.process_time(), 0, 0.0
    while spent < seconds:
        player.play()
        rounds += player.chunk
        spent = time.process_time() - begun
    return rounds / spent


def _batches(player: Player, game: PublishedGame) -> Reals:
    """Return what the sums of each group grew by in each batch, shape (batches, groups, 5)."""
    models = game.scores.shape[1]
    group = np.concatenate([game.model, models + game.evaluator])
    growth, before = [], _by_group(player, group)
    for _ in range(BATCHES):
        for _ in range(max(1, BATCH_ROUNDS // player.chunk)):
            player.play()
        after = _by_group(player, group)
        growth.append(after - before)
        before = after
    return np.array(growth)


def _by_group(player: Player, group: Words) -> Reals:
    columns = player.accounts().T
    return np.array([np.bincount(group, weights=column) for column in columns]).T
