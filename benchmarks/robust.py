"""What robustness costs: rules, trust and behaviours against the honest mean, in rounds per second.

``python -m benchmarks.robust`` plays the compiled engine at (F, M, K) = (100, 50, 5) on one core,
each turn next to one of the mean with honest nodes, of whose rate a share is wanted. Each rule runs
with honest nodes, each trust update with the rule ``trust_weighted``, each evaluator behaviour on a
share of 0.3 of the evaluators and each inference behaviour on all inference nodes. Payment by batch
pays honest nodes whose consensus is the mean. Behaviours that
wait for trust to rise or fall run with ``trust_weighted`` and its published update. The second part
times the scenario ``adversary_sweep`` with two workers; ``--quick`` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import poq_abm
from benchmarks.machine import describe, on_one_core
from benchmarks.measuring import Contestant, duels, spread
from benchmarks.networks import Network, scenario_of
from benchmarks.reporting import measurement, print_values
from poq_abm.experiment.running import run
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.payment import EVALUATOR_PAYMENT, Counted
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Parameter
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.scenario import Scenario
from poq_abm.simulation.model import PoQModel

__all__ = ["BASELINE", "NETWORK", "SWEEP", "measure", "scenarios"]

NETWORK = Network(100, 50, 5)
BASELINE = "mean, all honest"
SHARE = 0.3
LEARNING = {
    "mechanism.aggregation": "trust_weighted",
    "mechanism.trust.update": "multiplicative",
}
WATCH_TRUST = ("sleeper", "whitewash")  # without learning, they would never do what they are for
GOAL = 0.25  # of a mean that is settled in stages and has nothing to decide between them
PAYMENT = "payment"
PAYMENT_GOAL = 0.5  # of pay for closeness: what counting a batch may cost
SWEEP = "adversary_sweep"
SWEEP_WORKERS = 2
SWEEP_GOAL_S = 30.0
TURN_S, QUICK_TURN_S = 0.25, 0.002


def scenarios() -> dict[str, Scenario]:
    """Return what is timed, by name; the first is the baseline."""
    base = scenario_of(NETWORK)
    changes: dict[str, dict[str, Any]] = {BASELINE: {}}
    for rule in shipped(AGGREGATION):
        if rule != "mean":
            changes[f"rule {rule}"] = {"mechanism.aggregation": rule}
    for name, update in shipped(TRUST_UPDATE).items():
        if update.learns:
            changes[f"trust {name}"] = {
                "mechanism.aggregation": "trust_weighted",
                "mechanism.trust.update": name,
            }
    for name, payment in shipped(EVALUATOR_PAYMENT).items():
        if payment.counted != Counted.NOTHING:
            changes[f"{PAYMENT} {name}"] = {"mechanism.evaluator_reward": name}
    resolved = base.resolved()["population"]
    group = base.population.inference_labels[0]
    for kind in shipped(BEHAVIOURS["evaluator"]).values():
        behaviour = {"name": kind.name, **_needed(kind.parameters, group)}
        watched = LEARNING if kind.name in WATCH_TRUST else {}
        malicious = {"share": SHARE, "behaviour": behaviour}
        changes[f"evaluator {kind.name}"] = {"malicious": malicious, **watched}
    for deviation in shipped(BEHAVIOURS["inference"]).values():
        model = resolved["inference"][0]["model"]
        behaviour = {"name": deviation.name, **_needed(deviation.parameters, model)}
        groups = [{**entry, "behaviour": behaviour} for entry in resolved["inference"]]
        changes[f"inference {deviation.name}"] = {"population.inference": groups}
    return {name: base.replace(change) for name, change in changes.items()}


def _needed(parameters: Any, name: str) -> dict[str, Any]:
    """Return a value for every parameter that must be given: a name, or a number in its range."""
    values: dict[str, Any] = {}
    for key, parameter in parameters.items():
        if isinstance(parameter, Parameter) and parameter.required:
            values[key] = name if parameter.kind == "text" else parameter.example()
    return values


def measure(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return all rates relative to the baseline and the time of the sweep, ready for JSON."""
    seconds = QUICK_TURN_S if quick else TURN_S
    with on_one_core() as core:
        machine = {**describe(), "core": core}
        baseline, *rest = [_contestant(name, s, seconds) for name, s in scenarios().items()]
        pairs = duels(baseline, rest, repeats)
    rows = [
        measurement(
            name,
            [rate / honest for rate, honest in turns],
            "of the mean",
            at_least=PAYMENT_GOAL if name.startswith(PAYMENT) else GOAL,
        )
        for name, turns in pairs.items()
    ]
    rates = {name: [rate for rate, _ in turns] for name, turns in pairs.items()}
    rates[BASELINE] = [honest for turns in pairs.values() for _, honest in turns]
    walls = [] if quick else [_time_sweep()]
    rows.append(measurement(f"{SWEEP}, {SWEEP_WORKERS} workers", walls, "s", at_most=SWEEP_GOAL_S))
    return {
        "benchmark": f"robust, {NETWORK.label}",
        "machine": machine,
        "repeats": repeats,
        "quick": quick,
        "rounds_per_second": {name: spread(turns) for name, turns in rates.items()},
        "measurements": rows,
    }


def _contestant(name: str, scenario: Scenario, seconds: float) -> Contestant:
    model = PoQModel(scenario)
    return Contestant(name, lambda rounds: model.run(model.rounds_played + rounds), seconds)


def _time_sweep() -> float:
    """Return the wall time of the whole sweep, its workers started and its code compiled before."""
    scenario = poq_abm.load(SWEEP)
    run(scenario.replace({"rounds": 10, "replications": 1}), n_jobs=SWEEP_WORKERS)
    begun = time.perf_counter()
    run(scenario, n_jobs=SWEEP_WORKERS)
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.robust", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each contestant")
    parser.add_argument("--quick", action="store_true", help="very short turns and no sweep")
    chosen = parser.parse_args(arguments)
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    document = measure(chosen.repeats, quick=chosen.quick)
    if chosen.json:
        print(json.dumps(document, indent=2))
    else:
        print_values(document)
        rate = document["rounds_per_second"][BASELINE]["median"]
        print(f"{BASELINE}: {rate / 1e6:.2f} million rounds per second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
