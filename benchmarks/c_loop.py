"""The C loops: ``vectors.c`` on ``loop.c``, compiled on the spot and called through ctypes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import ROW

__all__ = ["SOURCE", "VARIANTS", "CLoop", "compile_loop", "find_compiler"]

SOURCE = Path(__file__).with_name("vectors.c")  # which includes loop.c
VARIANTS = {
    "c_loop": "play_rounds",
    "c_batched": "play_rounds_batched",
    "c_vectors": "play_rounds_in_vectors",
}
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-std=c11", "-fPIC", "-shared", "-Wno-psabi")
LARGEST_COMMITTEE = 64  # as in loop.c

_LONG, _WORD, _REAL, _ADDRESS = ctypes.c_int64, ctypes.c_uint64, ctypes.c_double, ctypes.c_void_p


class _Game(ctypes.Structure):
    """``struct game`` of ``loop.c``."""

    _fields_ = (
        *((name, _LONG) for name in ("inference_nodes", "evaluators", "committee_size")),
        *((name, _LONG) for name in ("tasks", "models", "scorers")),
        *((name, _WORD) for name in ("seed", "replication")),
        *((name, _REAL) for name in ("alpha_inference", "beta_inference")),
        *((name, _REAL) for name in ("alpha_evaluator", "beta_evaluator")),
        *((name, _ADDRESS) for name in ("scores", "truth", "task_first", "task_size")),
        *((name, _ADDRESS) for name in ("task_limits", "model_of", "scorer_of")),
        *((name, _ADDRESS) for name in ("inference_cost", "evaluator_cost", "order")),
    )


def find_compiler() -> str | None:
    """Return the C compiler that ``$CC`` names or that is found as ``cc``, or ``None``."""
    return shutil.which(os.environ.get("CC", "cc"))


def compile_loop(folder: Path) -> Any | None:
    """Compile the C source into ``folder`` and load it; ``None`` where there is no compiler.

    Raises
    ------
    subprocess.CalledProcessError
        If there is a compiler and it refuses the source.
    """
    compiler = find_compiler()
    if compiler is None:
        return None
    library = folder / "loop.so"
    subprocess.run([compiler, *FLAGS, "-o", library, SOURCE, "-lm"], check=True)
    return ctypes.CDLL(str(library))


class CLoop:
    """One replication played by the C loop; ``nodes`` and ``network`` hold its sums.

    The rows are laid out as in :class:`poq_abm.simulation.ledger.Ledger`. ``variant`` is one of
    :data:`VARIANTS`.
    """

    def __init__(
        self, library: Any, game: Game, seed: int, replication: int = 0, variant: str = "c_loop"
    ) -> None:
        if game.rules.committee_size > LARGEST_COMMITTEE:
            raise ValueError(f"the C loop takes committees of up to {LARGEST_COMMITTEE}")
        self.nodes = np.zeros((game.population.size, ROW))
        self.network = np.zeros(ROW)
        self.rounds_played = 0
        self._arrays = _arrays(game)  # the structure holds bare addresses: keep what they point to
        self._game = _structure(game, self._arrays, seed, replication)
        self._play = getattr(library, VARIANTS[variant])
        self._play.argtypes = [_ADDRESS, _WORD, _WORD, _ADDRESS, _ADDRESS]
        self._play.restype = None

    def run(self, until: int) -> None:
        """Play on to round ``until``."""
        self._play(
            ctypes.byref(self._game),
            self.rounds_played,
            until,
            self.nodes.ctypes.data,
            self.network.ctypes.data,
        )
        self.rounds_played = until


def _arrays(game: Game) -> dict[str, NDArray[Any]]:
    tables, nodes = game.tables, game.nodes
    arrays = {
        "scores": tables.scores,
        "truth": tables.truth,
        "task_first": tables.task_first,
        "task_size": tables.task_size,
        "task_limits": tables.task_limits,
        "model_of": nodes.model,
        "scorer_of": nodes.evaluator,
        "inference_cost": nodes.inference_cost,
        "evaluator_cost": nodes.evaluator_cost,
        "order": np.arange(nodes.evaluator.size),
    }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _structure(game: Game, arrays: dict[str, NDArray[Any]], seed: int, replication: int) -> _Game:
    rules = game.rules
    return _Game(
        inference_nodes=game.nodes.model.size,
        evaluators=game.nodes.evaluator.size,
        committee_size=rules.committee_size,
        tasks=game.tables.task_first.size,
        models=game.tables.scores.shape[1],
        scorers=game.tables.scores.shape[2],
        seed=seed,
        replication=replication,
        alpha_inference=rules.alpha_inference,
        beta_inference=rules.beta_inference,
        alpha_evaluator=rules.alpha_evaluator,
        beta_evaluator=rules.beta_evaluator,
        **{name: array.ctypes.data for name, array in arrays.items()},
    )
