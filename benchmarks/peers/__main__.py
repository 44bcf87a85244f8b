"""Rounds per second of what a competent user would write: ``python -m benchmarks.peers``.

A loop of one's own in Numba, arrays in NumPy and JAX, tables in Polars, models in AgentPy, radCAD
and plain Mesa play the published mechanism beside the compiled engine, each in a process of its
own, on one core and turn by turn. Before anybody is timed, the means that each leaves (pay,
consensus, truth and closeness of every group) are held to the engine's. Rates are per CPU second.
What precedes the second chunk of rounds is told apart: imports, and compilation from an empty
cache. What is none of our dependencies lives in an environment of its own, and is left out where
there is none::

    for peer in polars jax agentpy radcad; do
        python -m venv .peers/$peer
        .peers/$peer/bin/pip install $peer numpy typing_extensions  # which radCAD does not declare
    done
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from benchmarks.machine import describe, on_one_core
from benchmarks.measuring import ratio, spread
from benchmarks.networks import NETWORKS, Network, model_of
from benchmarks.peers.here import CONTESTANTS
from benchmarks.peers.worker import SUMS, PublishedGame, Reals
from benchmarks.reporting import command_line, console_of, footing, number, show

__all__ = ["OURS", "PEERS", "differing", "measure", "published_game"]

OURS = "poq_abm"
PEERS = ("polars", "jax", "agentpy", "radcad")  #: each in an environment of its own
ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".peers"
TOLERANCE = 5.0  #: standard errors
TURN_S, QUICK_TURN_S = 0.5, 0.01


def published_game(network: Network) -> PublishedGame:
    """Return the published scenario on a network as bare arrays."""
    game = model_of(network).game
    tables, nodes, rules = game.tables, game.nodes, game.rules
    return PublishedGame(
        scores=tables.scores,
        truth=tables.truth,
        task_first=tables.task_first,
        task_size=tables.task_size,
        task_ends=tables.task_limits / 2**32,
        model=nodes.model,
        evaluator=nodes.evaluator,
        inference_cost=nodes.inference_cost,
        evaluator_cost=nodes.evaluator_cost,
        coefficients=np.array(
            [
                rules.alpha_inference,
                rules.beta_inference,
                rules.alpha_evaluator,
                rules.beta_evaluator,
            ]
        ),
        committee=rules.committee_size,
    )


def differing(growth: Reals, other: Reals) -> list[str]:
    """Return which means of which groups differ by more than Monte Carlo error.

    ``growth`` and ``other`` hold what every group's sums grew by in each batch of rounds, shape
    (batches, groups, 5). A mean is a sum a job; its standard error is that of the batches, which
    holds whatever members of one committee have in common.
    """
    (one, error), (two, other_error) = _means(growth), _means(other)
    apart = np.abs(one - two) > TOLERANCE * np.hypot(error, other_error) + 1e-9
    return [f"{SUMS[column]} of group {group}" for group, column in np.argwhere(apart)]


def _means(growth: Reals) -> tuple[Reals, Reals]:
    """Return the mean of every sum of every group and its standard error; of jobs, per round."""
    growth = growth.copy()
    rounds = growth[:, growth[0, :, 4] == 0.0, 0].sum(axis=1)  # an answer a round
    jobs = np.where(growth[:, :, 0] > 0.0, growth[:, :, 0], 1.0)[:, :, None].copy()
    total = jobs.sum(axis=0)
    means = growth.sum(axis=0) / total
    residuals = growth - means * jobs
    means[:, 0] = growth[:, :, 0].sum(axis=0) / rounds.sum()
    residuals[:, :, 0] = growth[:, :, 0] - means[:, 0] * rounds[:, None]
    batches = len(growth)
    errors = np.sqrt((residuals**2).sum(axis=0) * batches / (batches - 1))
    errors[:, 0] /= rounds.sum()
    errors[:, 1:] /= total
    return means, errors


class _Contestant:
    """A process that plays when asked."""

    def __init__(self, command: list[str], cache: str) -> None:
        places = {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cache,
            env={**os.environ, **places},
        )  # fmt: skip
        self.begun = self.answer()

    def ask(self, order: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.process.args!r} ended early")
        return json.loads(line)


def measure(
    repeats: int,
    *,
    environments: Path = ENVIRONMENTS,
    networks: Sequence[Network] | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Return rates and ratios at every network, ready for JSON.

    Raises
    ------
    ArithmeticError
        If a contestant's means are not the engine's: it plays another game.
    """
    commands = _commands(environments)
    with on_one_core() as core, TemporaryDirectory() as cache:
        found = []
        for network in networks or NETWORKS:
            with _started(network, commands, Path(cache)) as players:
                found.append(_contest(network, players, repeats, quick))
    return {
        "benchmark": "peers",
        "machine": {**describe(), "core": core},
        "repeats": repeats,
        "quick": quick,
        "absent": [name for name in PEERS if name not in commands],
        "networks": found,
    }


def _commands(environments: Path) -> dict[str, list[str]]:
    here = {name: [sys.executable, "-m", "benchmarks.peers.here", name] for name in CONTESTANTS}
    pythons = {name: environments.resolve() / name / "bin" / "python" for name in PEERS}
    return here | {
        name: [str(python), "-m", f"benchmarks.peers.in_{name}"]
        for name, python in pythons.items()
        if python.exists()
    }


def _contest(
    network: Network, players: Mapping[str, _Contestant], repeats: int, quick: bool
) -> dict[str, Any]:
    growth = {name: np.array(p.ask("check")["growth"]) for name, p in players.items()}
    for name, own in growth.items():
        if wrong := differing(own, growth[OURS]):
            raise ArithmeticError(f"{name} at {network.label}: {', '.join(wrong)}")
    rates: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(repeats):
        for name, player in players.items():
            turn = QUICK_TURN_S if quick else TURN_S
            rates[name].append(player.ask(f"turn {turn}")["rate"])
    return {
        **network._asdict(),
        "started": {name: player.begun for name, player in players.items()},
        "rounds_per_second": {name: spread(own) for name, own in rates.items()},
        "ratios": {name: ratio(rates, OURS, name) for name in rates},
    }


@contextmanager
def _started(
    network: Network, commands: Mapping[str, list[str]], cache: Path
) -> Iterator[dict[str, _Contestant]]:
    """Yield the contestants' processes; the first network finds the cache of Numba empty."""
    with ExitStack() as stack:
        file = cache / "game.npz"
        published_game(network).save(file)
        players = {}
        for name, command in commands.items():
            players[name] = _Contestant([*command, str(file)], str(cache))
            stack.callback(players[name].process.wait)
            stack.callback(players[name].process.communicate)  # closes what it reads from
        yield players


def _print(document: dict[str, Any]) -> None:
    networks = document["networks"]
    labels = [Network(*list(network.values())[:3]).label for network in networks]
    turns = f"median of {document['repeats']} turns"
    rates = Table(*["contestant", "in", "imports", "compilation", *labels], box=box.MARKDOWN)
    ratios = Table(*["contestant", *labels], box=box.MARKDOWN)
    for name, begun in networks[0]["started"].items():
        times = [f"{begun[key]:.2f} s" for key in ("import_s", "compile_s")]
        own = [number(network["rounds_per_second"][name]["median"]) for network in networks]
        rates.add_row(name, begun["library"], *times, *own)
        found = [network["ratios"][name] for network in networks]
        spans = (f"{r['ratio']:,.3g} ({r['min']:,.3g} to {r['max']:,.3g})" for r in found)
        ratios.add_row(name, *spans)
    console = console_of()
    console.print(f"rounds per CPU second, {turns}; CPU seconds of imports and of compilation")
    console.print(rates)
    console.print(f"{OURS} over each: ratio of medians (min to max of the ratios turn by turn)")
    console.print(ratios)
    if document["absent"]:
        console.print(f"left out, for want of an environment: {', '.join(document['absent'])}")
    console.print(footing(document["machine"]), soft_wrap=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "peers", __doc__, repeats=7, counted="turns of each contestant", quick="very short turns"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="see above")
    chosen = parser.parse_args(arguments)
    document = measure(chosen.repeats, environments=chosen.environments, quick=chosen.quick)
    show(document, as_json=chosen.json, table=_print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
