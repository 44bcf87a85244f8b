"""Every field of the schema changes what comes of some scenario, or is refused where it cannot.

For each field there is a scenario in which another value of it changes a number in a table of the
results. In every other scenario that is tried, another value changes the results too, or the
field is refused there: what is accepted and does nothing would be found here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import poq_abm
from poq_abm.experiment.plan import Plan
from poq_abm.rules import registry
from poq_abm.rules.payment import EvaluatorPayment
from poq_abm.rules.registry import register, rules
from poq_abm.rules.rule import Source
from poq_abm.scenario import Scenario, ScenarioError, load, parse
from poq_abm.scenario.schema.rule_keys import NamedRule
from poq_abm.scenario.schema.settings import Settings

#: fields that are not about results, each with the reason
APART = {
    "name": "names the results folder",
    "replications": "how often the same is played",
    "replications.until.metric": "when to stop",
    "replications.until.against": "when to stop",
    "replications.until.half_width": "when to stop",
    "replications.until.relative": "when to stop",
    "replications.at_least": "when to stop",
    "replications.at_most": "when to stop",
    "replications.confidence": "when to stop",
    "sweep": "which treatments there are",
    "profile": "other tables, which name other models",
    "synthetic": "checked against the profile by a finding of its own",
    "verification.adversaries.vendors.vendor_a.share": "sums to 1 with the others",
    "mechanism.cost_inference": "needs a profile with prices: tests/simulation/test_population.py",
    "mechanism.cost_evaluator": "the same",
    "population.inference.0.name": "a label",
    "population.evaluators.0.name": "a label",
}

PEOPLE = {
    "inference": [
        {"model": "llama_3_2_3b", "count": 3, "hardware": "rtx_4090"},
        {"model": "tinylama_1_1b", "count": 2, "hardware": "rtx_4090"},
        {"model": "gemma_2_2b_it", "count": 1, "hardware": "rtx_4090"},
    ],
    "evaluators": [
        {"model": "sts_stsb", "count": 3, "hardware": "rtx_4090"},
        {"model": "ce_minilm", "count": 2, "hardware": "rtx_4090"},
        {"model": "ce_deberta", "count": 2, "hardware": "rtx_4090"},
    ],
}
ROUNDS = {"population": PEOPLE, "rounds": 60, "replications": 1, "mechanism": {"committee_size": 5}}
ECONOMY = {**ROUNDS, "economy": {"epochs": 3}}
QUERIES = {
    **ROUNDS,
    "rounds": 400,
    "mechanism": {"committee_size": 3},
    "verification": {"protocol": "otr"},
}


def _money(**more: Any) -> dict[str, Any]:
    return {"economy.cost.basis": "money", **more}


POOL = {"economy.payment.scheme": "pool", "economy.payment.pool": 100.0}
YUMA = {"economy.payment.scheme": "yuma", "economy.payment.pool": 100.0}
LIQUID = {**YUMA, "economy.payment.yuma": {"bond_rate_low": 0.1, "bond_rate_high": 0.3}}
BOND = {"economy.stake.bond": 100.0}
SLASHED = {**BOND, "economy.stake.slashing.deviation": 0.01}
DOWN = {"economy.latency.outage_probability": 0.9}
FEE = {"economy.payment.fee": 1.0}
LIARS = {"population.inference.0.behaviour": {"name": "misreport_cost", "factor": 0.5}}
AUDITED = {**BOND, **LIARS, "economy.audits.rate": 1.0, "economy.audits.slash": 5.0}
BROKEN = {
    "verification.adversaries.rational_share": 0.4,
    "verification.adversaries.enclaves": "broken",
    "verification.adversaries.byzantine_share": 0.6,
    "verification.watchers.check_probability": 0.5,
}
CHEATS = {
    "verification.adversaries.byzantine_share": 0.6,
    "verification.adversaries.rational_share": 0.4,
}
ADAPTS = {"economy.adaptation": [{"name": "epsilon_greedy"}]}

RANKED = {"mechanism.reward.family": "bradley_terry"}

V = "verification"
#: what a field needs, besides what every scenario of its section has; by the start of its path
NEEDS: dict[str, dict[str, Any]] = {
    "resample_profile": {"replications": 4},
    "mechanism.tau": {"mechanism.aggregation": "trimmed_mean"},
    "mechanism.huber_bend": {"mechanism.aggregation": "huber"},
    "mechanism.mad_cutoff": {"mechanism.aggregation": "mad_filter"},
    "mechanism.kappa": {"mechanism.aggregation": "stake_median"},
    "mechanism.score_bins": {"mechanism.evaluator_reward": "output_agreement"},
    "mechanism.minimum_shared": {"mechanism.evaluator_reward": "output_agreement"},
    "mechanism.neutral_pay": {
        "mechanism.evaluator_reward": "output_agreement",
        "mechanism.minimum_shared": 60,
    },
    "mechanism.trust": {
        "mechanism.trust.update": "multiplicative",
        "mechanism.aggregation": "trust_weighted",
    },
    "mechanism.trust.minimum": {
        "mechanism.trust.update": "hedge",
        "mechanism.trust.rate": 1.0,
        "mechanism.aggregation": "trust_weighted",
        "malicious": {"share": 0.4, "behaviour": {"name": "constant", "score": 0.0}},
    },
    "mechanism.trust.gold_share": {
        "mechanism.trust.update": "gold",
        "mechanism.aggregation": "trust_weighted",
    },
    "mechanism.trust.interval": {"mechanism.trust.update": "multiplicative"},
    "mechanism.reward.exponent": {"mechanism.reward.family": "convex_cost"},
    "mechanism.reward.threshold": {"mechanism.reward.family": "threshold"},
    "mechanism.reward.task_weights": {"mechanism.reward.family": "task_weighted"},
    "mechanism.reward.minimum_shared": {**RANKED, "rounds": 200},
    "mechanism.reward.neutral_pay": {**RANKED, "mechanism.reward.minimum_shared": 60},
    "mechanism.reward.prior_ties": {**RANKED, "rounds": 900},
    "population.evaluators.0.family": {
        "population.inference.0.behaviour": {"name": "hack", "family": "ce_minilm"},
    },
    "mechanism.reward.score_edges": {"mechanism.reward.family": "contract"},
    "mechanism.reward.pays": {"mechanism.reward.family": "contract"},
    "population.inference.0.weight": {"schedule": "weighted"},
    "population.inference.0.stake": {"economy": {"epochs": 2}, **BOND},
    "population.inference.0.usd_per_answer": {"economy": {"epochs": 2}, **_money()},
    "population.evaluators.0.stake": {"mechanism.aggregation": "stake_median"},
    "population.inference.0.region": {"economy": {"epochs": 2}, **_money()},
    "population.evaluators.0.region": {"economy": {"epochs": 2}, **_money()},
    "population.inference.0.active": {"economy": {"epochs": 2}},
    "population.evaluators.0.active": {"economy": {"epochs": 2}},
    "malicious": {"malicious": {"share": 0.4, "behaviour": "boost"}},
    "economy.cost": _money(),
    "economy.cost.basis": {},
    "economy.cost.usd_per_gigabyte": _money(),
    "economy.cost.bytes_per_job": _money(**{"economy.cost.usd_per_gigabyte": 9.0}),
    "economy.regions": _money(
        **{"economy.regions": {"us": 50.0}, "population.inference.0.region": "us"}
    ),
    "economy.latency.sigma": {"economy.latency.distribution": "lognormal"},
    "economy.latency.charged": {"economy.latency.distribution": "lognormal"},
    "economy.latency.tail_share": {"economy.latency.distribution": "lognormal"},
    "economy.latency.tail_index": {
        "economy.latency.distribution": "lognormal",
        "economy.latency.tail_share": 0.3,
    },
    "economy.latency.outage": DOWN,
    "economy.demand.amplitude": {"economy.demand.arrivals": "diurnal"},
    "economy.demand.peak_hour": {"economy.demand.arrivals": "diurnal"},
    "economy.demand.burst": {"economy.demand.arrivals": "bursty"},
    "economy.demand.elasticity": {**FEE, "economy.controllers": [{"move": "fee"}]},
    "economy.demand.surge": {"economy.demand.surge": {"first": 1, "last": 2, "factor": 3.0}},
    "economy.service.patience_s": {"economy.epoch_hours": 0.005},
    "economy.service.temperature": {"schedule": "trust_softmax"},
    "economy.payment": {**POOL, **FEE},
    "economy.payment.scheme": {"economy.payment.fee": 0.0},
    "economy.payment.yuma": YUMA,
    "economy.payment.yuma.bond_rate": YUMA,
    "economy.payment.yuma.bond_rate_low": LIQUID,
    "economy.payment.yuma.bond_rate_high": LIQUID,
    "economy.controllers": {**FEE, "economy.controllers": [{"move": "beta_inference"}]},
    "economy.controllers.0.minimum": {"economy.controllers": [{"move": "beta_inference"}]},
    "economy.controllers.0.maximum": {
        "economy.controllers": [{"move": "beta_inference", "step": -0.5}]
    },
    "economy.preference": {"economy.preference": {"start": 0.5, "end": 0.8}},
    "economy.stake": BOND,
    "economy.stake.unbonding_epochs": {
        **BOND,
        "economy.adaptation": [{"name": "entry_exit", "rate": 0.5, "outside": 6.0}],
    },
    "economy.stake.eject_below": {**SLASHED, "economy.stake.slashing.rate": 1.0},
    "economy.stake.sampling": SLASHED,
    "economy.stake.top_up": SLASHED,
    "economy.stake.slashing": SLASHED,
    "economy.stake.slashing.deviation": BOND,
    "economy.stake.slashing.gold": BOND,
    "economy.stake.slashing.gold_tolerance": {
        **BOND,
        "economy.stake.slashing.gold": 0.01,
        "mechanism.trust.gold_share": 0.9,
    },
    "economy.stake.slashing.downtime": {**BOND, **DOWN},
    "economy.stake.slashing.correlation": {**SLASHED, "economy.stake.slashing.form": "correlated"},
    "economy.audits": AUDITED,
    "economy.audits.commit_reveal": {
        f"population.inference.{group}.behaviour": "misreport_cost" for group in (0, 1)
    },
    "economy.options.inference": {
        "economy.adaptation": [{"name": "epsilon_greedy", "role": "inference", "epsilon": 1.0}]
    },
    "economy.options.evaluator": {
        "economy.adaptation": [{"name": "epsilon_greedy", "role": "evaluator", "epsilon": 1.0}]
    },
    "economy.options.hardware": {"economy.adaptation": [{"name": "upgrade", "rate": 1.0}]},
    "economy.options.models": {"economy.adaptation": [{"name": "model_switch", "mutation": 1.0}]},
    f"{V}.economics": BROKEN,
    f"{V}.watchers": BROKEN,
    f"{V}.adversaries": CHEATS,
    f"{V}.adversaries.downgrade": {**CHEATS, f"{V}.protocol": "none"},
    f"{V}.adversaries.actions": {**CHEATS, f"{V}.protocol": "none"},
    f"{V}.adversaries.cached": {
        **CHEATS,
        f"{V}.protocol": "poq",
        f"{V}.adversaries.actions": ["cached"],
    },
    f"{V}.adversaries.judge_hack": {
        **CHEATS,
        f"{V}.protocol": "poq",
        f"{V}.adversaries.actions": ["judge_hack"],
    },
    f"{V}.adversaries.vendors": {
        **CHEATS,
        f"{V}.protocol": "tee",
        f"{V}.adversaries.vendors": {"vendor_a": {"share": 1.0, "vulnerability_per_year": 12.0}},
    },
    f"{V}.adversaries.collusion": BROKEN,
    f"{V}.adversaries.collusion.validator_share": {
        **CHEATS,
        f"{V}.protocol": "proof_of_sampling",
        f"{V}.proof_of_sampling.challenge_probability": 0.5,
    },
    f"{V}.adversaries.collusion.censorship": {
        **BROKEN,
        f"{V}.adversaries.collusion.sequencer": True,
    },
    f"{V}.centralised": {f"{V}.protocol": "centralised"},
    f"{V}.poq": {**CHEATS, f"{V}.protocol": "poq"},
    f"{V}.redundancy": {**CHEATS, f"{V}.protocol": "redundancy"},
    f"{V}.proof_of_sampling": {**CHEATS, f"{V}.protocol": "proof_of_sampling"},
    f"{V}.opml": {
        **CHEATS,
        f"{V}.protocol": "opml",
        f"{V}.opml.window_s": 3600.0,
        f"{V}.watchers.check_probability": 0.5,
        f"{V}.watchers.count": 2,
    },
    f"{V}.zkml": {f"{V}.protocol": "zkml"},
    f"{V}.otr.step_s": {
        **BROKEN,
        f"{V}.otr.window_s": 60.0,
        f"{V}.watchers.delay_s": 20.0,
    },
    f"{V}.otr": {**BROKEN, f"{V}.otr.proof_rate": 0.2},
}
#: values of fields that their type does not tell
VALUES: dict[str, list[Any]] = {
    "tasks": [{"qa": 1.0}],
    "mechanism.aggregation": ["median"],
    "mechanism.reward.task_weights": [{"qa": 3.0}],
    "mechanism.reward.score_edges": [[4.0]],
    "mechanism.reward.pays": [[0.0, 2.0]],
    "population.inference.0.model": ["qwen2_1_5b"],
    "population.inference.0.hardware": ["a100_80gb"],
    "population.inference.0.region": ["germany"],
    "population.inference.0.behaviour": ["freeload"],
    "population.evaluators.0.model": ["ce_deberta"],
    "population.evaluators.0.hardware": ["a100_80gb"],
    "population.evaluators.0.region": ["germany"],
    "population.evaluators.0.behaviour": ["constant"],
    "population.evaluators.0.family": ["ce_minilm"],
    "malicious.behaviour": ["sabotage"],
    "economy.regions": [{"us": 900.0}],
    "economy.demand.tasks_end": [{"qa": 1.0}],
    "economy.options.inference": [["freeload"]],
    "economy.options.evaluator": [["constant"]],
    "economy.options.hardware": [["h100_sxm"]],
    "economy.options.models": [["qwen2_1_5b"]],
    "economy.adaptation": [[{"name": "entry_exit", "rate": 1.0, "outside": 1e6}]],
    "verification.protocol": ["none"],
    "verification.adversaries.rational_share": [0.0, 0.2],
    "verification.watchers.check_probability": [0.9],
    "verification.adversaries.actions": [["cached"]],
    "verification.adversaries.downgrade.model": ["llama_3_2_3b", "qwen2_1_5b"],
}


def leaves(model: type[BaseModel] = Settings, at: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        section, kind = _section_of(field.annotation)
        path = f"{at}{name}"
        if section is None:
            yield path, field
        else:
            yield from leaves(
                section, {"list": f"{path}.0.", "named": f"{path}.vendor_a."}.get(kind, f"{path}.")
            )


def _section_of(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _section_of(arguments[0])
    if origin in (Union, UnionType):
        found = [_section_of(argument) for argument in arguments]
        return next((one for one in found if one[0] is not None), (None, ""))
    if origin is tuple:
        return _section_of(arguments[0])[0], "list"
    if origin is dict:
        return _section_of(arguments[1])[0], "named"
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return (annotation, "") if is_section else (None, "")


def candidates(path: str, field: FieldInfo, now: Any) -> list[Any]:
    """Other values of a field, from its type and its range."""
    if path in VALUES:
        return VALUES[path]
    kinds, bounds = _kinds(field.annotation), [*field.metadata]
    for annotation in get_args(field.annotation):
        bounds += getattr(annotation, "__metadata__", ())
    found: list[Any] = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            found += get_args(kind)
        elif kind is bool:
            found += [True, False]
        elif kind in (int, float):
            found += _numbers(kind, bounds, now)
    for bound in bounds:
        if isinstance(bound, NamedRule):
            found += rules(bound.kind)
    return [value for value in found if value != now]


def _kinds(annotation: Any) -> list[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(arguments[0])
    if origin in (Union, UnionType):
        return [kind for argument in arguments for kind in _kinds(argument)]
    return [] if annotation is NoneType else [annotation]


def _numbers(kind: type, bounds: list[Any], now: Any) -> list[Any]:
    flat = [inner for bound in bounds for inner in getattr(bound, "metadata", [bound])]
    low = max(
        [b.ge for b in flat if isinstance(b, Ge)] + [b.gt for b in flat if isinstance(b, Gt)],
        default=0,
    )
    high = min(
        [b.le for b in flat if isinstance(b, Le)] + [b.lt for b in flat if isinstance(b, Lt)],
        default=math.inf,
    )
    if kind is int:
        return [v for v in (int(now or 0) + 1, int(now or 0) - 1, 2) if low <= v <= high]
    near = [now * 0.5, now * 2.0, now * 20.0, now * 0.01] if now else []
    tried = [*near, 0.5, 0.25, 0.05, 0.9, 3.0, 50.0, low + 1e-3]
    return [float(value) for value in tried if low < value < high]


def base_of(path: str) -> Scenario:
    """The scenario in which a field is tried."""
    section = path.partition(".")[0]
    made = {"economy": ECONOMY, "verification": QUERIES}.get(section, ROUNDS)
    starts = [
        start for start in NEEDS if f"{path}.".startswith(f"{start}.") or path.startswith(start)
    ]
    needed = NEEDS[max(starts, key=len)] if starts else {}
    # One by one, as --set does: what one removes, another may need.
    return load({"extends": "cost_aware_poq", **made}).replace(needed)


def value_of(scenario: Any, path: str) -> Any:
    for part in path.split("."):
        if scenario is None:
            return None
        if isinstance(scenario, dict):
            scenario = scenario.get(part)
        else:
            is_entry = part.isdigit() and int(part) < len(scenario)
            scenario = scenario[int(part)] if is_entry else getattr(scenario, part, None)
    return scenario


_played: dict[str, dict[str, np.ndarray[Any, Any]]] = {}


def numbers_of(scenario: Scenario) -> dict[str, np.ndarray[Any, Any]]:
    """Every number in every table of the results."""
    key = scenario.to_yaml()
    if key not in _played:
        results = poq_abm.run(scenario)
        frames = {name: results._frame(name) for name in results.tables}
        _played[key] = {
            f"{name}.{column}": frame[column].to_numpy(dtype=np.float64)
            for name, frame in frames.items()
            for column in frame.select_dtypes("number")
        }
    return _played[key]


def differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() != other.keys() or any(
        not np.array_equal(one[key], other[key], equal_nan=True) for key in one
    )


def outcome(base: Scenario, path: str, value: Any) -> str:
    """What comes of another value: `acts`, `idle` (refused as such), `refused` or `nothing`."""
    try:
        changed = base.replace({path: value})
        Plan.of(changed)
    except ScenarioError as error:
        idle = any("acts only" in str(p) or "does nothing" in str(p) for p in error.problems)
        return "idle" if idle else "refused"
    return "acts" if differ(numbers_of(base), numbers_of(changed)) else "nothing"


FIELDS = dict(leaves())


class Half(EvaluatorPayment):
    """Half the pay for closeness: one rule of its kind ships, so another is one's own."""

    name = "half"
    formula = "alpha closeness / 2 - beta C"
    source = Source("assumed", "made up for this test")

    @staticmethod
    def kernel(committee, seat, cost, alpha, beta):  # type: ignore[no-untyped-def]
        return alpha * committee.nearness[seat] / 2.0 - beta * cost


@pytest.fixture
def _another_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_own", {})
    register(Half)


@pytest.mark.slow
@pytest.mark.usefixtures("_another_pay")
@pytest.mark.parametrize("path", [path for path in FIELDS if path not in APART])
def test_every_field_changes_the_result_of_some_scenario(path: str) -> None:
    base = base_of(path)
    tried = {}
    for value in candidates(path, FIELDS[path], value_of(base, path)):
        tried[str(value)] = outcome(base, path, value)
        if tried[str(value)] == "acts":
            return
    pytest.fail(f"{path}: {tried}")


#: what was accepted and did nothing, with the reason why it cannot be told beforehand
UNSEEN = {
    "economy.audits.rate": "honest nodes have nothing to hide, but `poq audit` tries deviations",
    "economy.audits.commit_reveal": "the same",
    "economy.service.patience_s": "nobody waits as long in so quiet a network",
    "verification.adversaries.vendors.vendor_a.vulnerability_per_year": "a rare event",
    "verification.adversaries.vendors.vendor_a.patch_days": "a rare event",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "made"),
    [
        ("mechanism", ROUNDS),
        ("economy", ECONOMY),
        ("verification", {**QUERIES, "verification": {"protocol": "poq"}}),
    ],
)
def test_what_is_accepted_acts(section: str, made: dict[str, Any]) -> None:
    """In a scenario that was made for no field in particular, too."""
    base = load({"extends": "cost_aware_poq", **made})
    silent = {}
    for path, field in FIELDS.items():
        if not path.startswith(f"{section}.") or path in UNSEEN:
            continue
        found = set()
        for value in candidates(path, field, value_of(base, path))[:5]:
            found.add(outcome(base, path, value))
            if found & {"acts", "idle"}:
                break
        if "nothing" in found and not found & {"acts", "idle"}:
            silent[path] = found
    assert not silent


def test_an_axis_without_effect_is_refused_with_its_line() -> None:
    text = """
profile: synthetic
synthetic: {evaluators: 3}
rounds: 300
replications: 2
population:
  inference: [{model: model_1}]
  evaluators: [{model: evaluator_1, count: 3}]
economy: {epochs: 3, demand: {surge: {first: 10, last: 12, factor: 2.0}}}
sweep: {mechanism.tau: [0.0, 0.1, 0.2], mechanism.trust.rate: [0.1, 0.2]}
"""
    with pytest.raises(ScenarioError) as caught:
        Plan.of(parse(text, origin="a.yaml"))
    assert sorted(str(problem).split(":")[1:3] for problem in caught.value.problems) == [
        ["10", " sweep.mechanism.tau"],
        ["10", " sweep.mechanism.trust.rate"],
        ["9", " economy.demand.surge"],
    ]
