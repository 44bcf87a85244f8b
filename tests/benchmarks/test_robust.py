"""The benchmark of rules and behaviours runs and reports everything it promises."""

from __future__ import annotations

import json

import pytest

from benchmarks import robust
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.payment import EVALUATOR_PAYMENT, Counted
from poq_abm.rules.registry import shipped
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.model import PoQModel

SPREAD = {"min", "lower_quartile", "median", "upper_quartile", "max"}


def expected() -> set[str]:
    return (
        {f"rule {rule}" for rule in shipped(AGGREGATION) if rule != "mean"}
        | {f"trust {name}" for name in shipped(TRUST_UPDATE) if name != "none"}
        | {
            f"payment {name}"
            for name, payment in shipped(EVALUATOR_PAYMENT).items()
            if payment.counted != Counted.NOTHING
        }
        | {f"evaluator {kind.name}" for kind in shipped(BEHAVIOURS["evaluator"]).values()}
        | {f"inference {kind.name}" for kind in shipped(BEHAVIOURS["inference"]).values()}
    )


def test_quick_mode_has_all_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert robust.main(["--json", "--quick", "--repeats", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["machine"]) >= {"cpu", "python", "numba", "core"}
    assert set(document["rounds_per_second"]) == expected() | {robust.BASELINE}
    assert all(set(rate) == SPREAD for rate in document["rounds_per_second"].values())
    rows = {row["name"]: row for row in document["measurements"]}
    *contests, sweep = rows
    assert set(contests) == expected()
    for name in contests:
        row = rows[name]
        goal = 0.5 if name.startswith("payment ") else 0.25
        assert row["goal"] == goal
        assert row["goal_is"] == "at least"
        assert row["met"] is (row["value"] >= goal)
    assert rows[sweep]["value"] is None, "not timed in quick mode"
    assert rows[sweep]["met"] is None


def test_every_contestant_differs_from_the_baseline_where_it_should() -> None:
    scenarios = robust.scenarios()
    assert next(iter(scenarios)) == robust.BASELINE
    base = scenarios[robust.BASELINE]
    assert (base.population.inference_nodes, base.population.evaluator_nodes) == (100, 50)
    assert base.mechanism.committee_size == 5
    assert all(s == base for name, s in scenarios.items() if name == robust.BASELINE)
    assert [name for name, s in scenarios.items() if s == base] in (
        [robust.BASELINE],
        [robust.BASELINE, "inference honest"],
    )


def test_behaviours_that_watch_trust_are_timed_where_trust_moves() -> None:
    scenarios = robust.scenarios()
    for name in ("sleeper", "whitewash"):
        scenario = scenarios[f"evaluator {name}"]
        assert scenario.mechanism.trust.update == "multiplicative"
        model = PoQModel(scenario)
        model.run(20_000)
        trust = model.memory.trust[
            model.game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
        ]
        assert trust.max() >= 2.0, "a sleeper attacks from here on"


def test_the_sweep_is_that_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    played = []
    monkeypatch.setattr(robust, "run", lambda scenario, n_jobs: played.append((scenario, n_jobs)))
    assert robust._time_sweep() >= 0.0
    scenario, workers = played[-1]
    assert workers == 2
    rounds = len(list(scenario.treatments())) * scenario.replications * scenario.rounds
    assert rounds == 60_000_000
