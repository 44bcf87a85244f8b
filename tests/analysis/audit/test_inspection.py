"""The best inspection of an economy: break-evens that are simulated, the cost of what deters."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from poq_abm import run
from poq_abm.analysis.audit.deviations import Deviation, deviating
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.design.playing import FigurePlayer
from poq_abm.analysis.design.problem import load_design
from poq_abm.analysis.design.searching import search_designs
from poq_abm.experiment.search import drive
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build

pytestmark = pytest.mark.usefixtures("shipped_rules")

NODES, EPOCHS, REPLICATIONS = 1000, 25, 4
MISREPORTS = Deviation(
    "inference", "model_2", tuple(range(1, NODES + 1)), {"name": "misreport_cost", "factor": 0.0}
)
RATES, SLASHES = (0.1, 0.2, 0.3, 0.5), (1.0, 8.0)


def inspected(rate: float, slash: float, epochs: int = EPOCHS) -> Scenario:
    """Return an economy whose slow nodes may report a cost of 0, and are audited with chance p.

    Each has one job an epoch, of true cost C = 1 at beta = 1: G = 1 token an epoch. Who is found
    loses S of a bond that is topped up, and keeps its reward: F = 0.
    """
    made = {
        "models": 2, "evaluators": 1, "truth_sd": 0.0, "noise_sd": 0.0, "records": 50,
        "latency_ms": [1000.0, 2000.0],
    }  # fmt: skip
    data = {
        "profile": "synthetic",
        "synthetic": made,
        "population": {
            "inference": [{"model": "model_1"}, {"model": "model_2", "count": NODES}],
            "evaluators": [{"model": "evaluator_1"}],
        },
        "rounds": (NODES + 1) * epochs,
        "replications": REPLICATIONS,
        "schedule": "round_robin",
        "mechanism": {"committee_size": 1, "beta_inference": 1.0},
        "economy": {
            "epochs": epochs,
            "stake": {"bond": 100.0, "top_up": True},
            "audits": {"rate": rate, "slash": slash, "forfeit": False},
        },
    }
    return build(data, Origins({}))


def simulated_gains() -> NDArray[np.float64]:
    """Return what a node and epoch gained by misreporting, (rates, slashes, nodes x replications).

    Of matched pairs; who is honest is not fined, so that one honest play serves all.
    """
    honest = inspected(RATES[0], SLASHES[0])
    variants = {
        f"{rate} {slash}": deviating(inspected(rate, slash), MISREPORTS)
        for rate in RATES
        for slash in SLASHES
    }
    played = VariantRunner.of(honest).play({"honest": honest, **variants}, 0, REPLICATIONS)
    profits = np.array([one.rewards[:, 1 : NODES + 1].ravel() for one in played.values()]) / EPOCHS
    return (profits[1:] - profits[0]).reshape(len(RATES), len(SLASHES), -1)


def break_evens(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slash at which misreporting gains nothing, by rate: the gain is linear in S."""
    low, high = gains.mean(axis=2).T
    return SLASHES[0] + low * (SLASHES[1] - SLASHES[0]) / (low - high)


def best(slashes: NDArray[np.float64], c: float = 0.02, r: float = 0.001) -> tuple[float, float]:
    """Return p* and S* of the least c p + r S on the curve S = A p^-b fitted to break-evens.

    c = r A b p^(-b - 1), so p* = (r A b / c)^(1 / (1 + b)).
    """
    slope, level = np.polyfit(np.log(RATES), np.log(slashes), 1)
    scale = math.exp(level)
    rate = (-r * scale * slope / c) ** (1.0 / (1.0 - slope))
    return rate, scale * rate**slope


def test_the_best_inspection_is_that_of_theory_from_simulated_break_evens() -> None:
    """Minimise p c + r S with p S >= G: p* = sqrt(r G / c) = .2236, S* = sqrt(c G / r) = 4.472.

    The cost is flat (at 2% from p* it is .02% higher), so that the least of single simulated costs
    would wander; a curve through the break-evens of 100,000 jobs at each of four rates does not.
    The s.d. of a break-even is sqrt((1 - p) / (100,000 p)), .9% at p = .1, of which p* has half and
    S* less; resampled nodes say so, and an s.d. of .5% puts 2% at four of them.
    """
    gains = simulated_gains()
    np.testing.assert_allclose(break_evens(gains) * RATES, 1.0, rtol=0.03)
    found = np.array(best(break_evens(gains)))
    assert found == pytest.approx([0.2236, 4.472], rel=0.02)
    rng = np.random.default_rng(3)
    units = gains.shape[-1]
    drawn = [best(break_evens(gains[..., rng.integers(0, units, units)])) for _ in range(200)]
    assert (np.std(drawn, axis=0) < 0.005 * found).all()
    low, high = np.quantile(drawn, [0.005, 0.995], axis=0)
    assert (low < [0.2236, 4.4721]).all()
    assert (high > [0.2236, 4.4721]).all()


DESIGN = """
  variables:
    economy.audits.rate: {low: 0.05, high: 1.0, scale: log}
    economy.audits.slash: {low: 1.0, high: 20.0, scale: log}
  populations:
    cheats: {population.inference.1.behaviour: {name: misreport_cost, factor: 0.0}}
  objectives: [{minimise: {economy.audits.rate: 0.02, economy.audits.slash: 0.001}}]
  constraints: [{metric: deviation_gain, under: cheats, at_most: 0.0}]
  budget: {designs: 9, generation: 3, replications: 1, confirm: 0, front: 1, fresh: 2, looks: 1,
    certified: 2}
"""


class Listed:
    """Proposes what a list says, in its order."""

    def __init__(self, designs: list[dict[str, float]]) -> None:
        self.designs = iter(designs)

    def ask(self, count: int) -> list[dict[str, float]]:
        """Return the next designs."""
        return [next(self.designs) for _ in range(count)]

    def tell(self, outcomes: object) -> None:
        """Forget."""


def test_a_search_takes_the_cheapest_inspection_that_deters_in_simulation(tmp_path: Path) -> None:
    """Of three rates, each with a slash below, at and above G / p: p* with the middle one.

    15% below the break-even cheats gain, 15% above they lose: five s.d. or more of 10,000 jobs.
    """
    path = tmp_path / "inspection.yaml"
    data = {**inspected(0.4, 4.0, epochs=10).written(), "name": "inspection"}
    path.write_text(yaml.safe_dump(data) + "search:" + DESIGN)
    problem = load_design(path)
    grid = [
        {"economy.audits.rate": rate, "economy.audits.slash": factor / rate}
        for rate in (0.1, math.sqrt(0.05), 0.5)
        for factor in (0.85, 1.15, 1.4)
    ]
    player = FigurePlayer(problem.metrics)
    found = drive(search_designs(problem, Listed(grid)), player)
    assert found.chosen is not None
    assert found.chosen.settings == grid[4]
    assert found.certified is not None
    rate, slash = grid[4].values()
    cost = found.certified.outcome.losses[:, 0]
    assert cost == pytest.approx(0.02 * rate + 0.001 * slash)
    gain = found.certified.outcome.excesses[:, 0]
    assert gain == pytest.approx(-0.15, abs=0.1)


def test_the_gain_of_who_deviates_is_that_of_an_audit() -> None:
    """Of inference nodes here; where nobody deviates there is none."""
    honest = inspected(0.5, 4.0, epochs=4)
    cheats = deviating(honest, MISREPORTS)
    gained = run(cheats.replace({"replications": 2})).replications["deviation_gain"]
    played = VariantRunner.of(honest).play({"honest": honest, "cheats": cheats}, 0, 2)
    before, after = (played[name].rewards[:, 1 : NODES + 1] for name in ("honest", "cheats"))
    np.testing.assert_allclose(gained, (after - before).mean(axis=1) / 4, rtol=1e-12)
    assert run(honest.replace({"replications": 1})).replications["deviation_gain"].isna().all()
