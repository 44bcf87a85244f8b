from __future__ import annotations

import pytest
from scenario_support import POPULATION, error, errors, small

from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Population


def test_defaults() -> None:
    scenario = small()
    assert scenario.name == "small"
    assert scenario.resolved() | {"population": None} == {
        "name": "small",
        "profile": "published",
        "rounds": 5000,
        "replications": 20,
        "resample_profile": False,
        "seed": 1,
        "tasks": None,
        "schedule": "uniform",
        "mechanism": {
            "committee_size": 3,
            "aggregation": "mean",
            "tau": 0.2,
            "huber_bend": 1.345,
            "mad_cutoff": 3.0,
            "kappa": 0.5,
            "score_bins": 3,
            "minimum_shared": 20,
            "neutral_pay": 0.0,
            "trust": {
                "update": "none",
                "rate": 0.1,
                "start": 1.0,
                "minimum": 0.1,
                "maximum": 5.0,
                "reference": "inclusive",
                "per_task": False,
                "gold_share": 0.1,
                "interval": 0,
            },
            "reference": "inclusive",
            "reward": {
                "family": "linear",
                "minimum_shared": 20,
                "neutral_pay": 0.5,
                "prior_ties": 1.0,
                "score_edges": [5.0],
                "pays": [0.0, 1.0],
                "exponent": 2.0,
                "threshold": 0.5,
                "task_weights": {},
            },
            "alpha_inference": 1.0,
            "evaluator_reward": "closeness",
            "beta_inference": 0.3,
            "alpha_evaluator": 1.0,
            "beta_evaluator": 0.3,
            "cost_inference": "latency",
            "cost_evaluator": "latency",
        },
        "population": None,
        "synthetic": None,
        "malicious": None,
        "economy": None,
        "verification": None,
        "sweep": {},
    }
    assert scenario.resolved()["population"]["inference"][1] == {
        "model": "phi3_mini_4k",
        "count": 2,
        "hardware": None,
        "region": None,
        "active": None,
        "stake": 1.0,
        "usd_per_answer": None,
        "behaviour": {"name": "honest"},
        "weight": 1.0,
        "name": None,
    }
    assert scenario.resolved()["population"]["evaluators"][0] == {
        "model": "sts_stsb",
        "count": 1,
        "hardware": None,
        "region": None,
        "active": None,
        "behaviour": {"name": "honest"},
        "bias_sd": 0.0,
        "family": None,
        "noise_sd": 0.0,
        "stake": 1.0,
        "name": None,
    }


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("rounds: 0", "rounds: must be at least 1, got 0"),
        ("rounds: 281474976710656", "rounds: must be at most 281474976710655, got 281474976710656"),
        ('rounds: "3"', "rounds: must be a whole number, got '3'; a number stands without quotes"),
        ("rounds: true", "rounds: must be a whole number, got true"),
        ("rounds: 1e3", "rounds: must be a whole number, got 1000.0; write 1000"),
        ("rounds: .nan", "rounds: must be a whole number, got nan"),
        ("rounds:", "rounds: must be a whole number, got null"),
        ("replications: 0", "replications: must be at least 1, got 0"),
        ("replications: 4294967297", "replications: must be at most 4294967296, got 4294967297"),
        ("seed: -1", "seed: must be at least 0, got -1"),
        ("seed: 9223372036854775808", "seed: must be at most 9223372036854775807, got 922"),
        ("schedule: round-robin",
         "schedule: unknown schedule 'round-robin'; did you mean 'round_robin'?"),
        ("name: -x", "name: must start with a letter or digit"),
        ("name: " + "x" * 81, "name: must start with a letter or digit"),
        ("name: 3", "name: must be text, got 3"),
        ('profile: ""', "profile: must not be empty, got ''"),
        ('profile: "a\\nb"', "profile: must be printable"),
        ("profiles: x", "profiles: unknown key; did you mean 'profile'?"),
        ("zzz: 1", "zzz: unknown key; known: 'economy', 'extends', 'malicious'"),
        ("malicious: {share: 0.1}", "malicious.behaviour: this key is needed and has no default"),
        ("malicious: {behaviour: boost}", "malicious.share: this key is needed and has no default"),
        ("malicious: {share: 1.1, behaviour: boost}",
         "malicious.share: must be at most 1, got 1.1"),
        ("malicious: {share: -0.1, behaviour: boost}",
         "malicious.share: must be at least 0, got -0.1"),
        ("malicious: {share: 0.1, behaviour: {b: 3}}",
         "malicious.behaviour: a behaviour needs a name, as in {name: boost, b: 3.0}"),
        ("tasks: {qa: 0.5, summarization: 0.4}", "tasks: the shares sum to 0.9, not to 1"),
        ("tasks: {}", "tasks: the shares sum to 0, not to 1"),
        ("tasks: {qa: 2, summarization: -1}", "tasks.qa: must be at most 1, got 2"),
        ("tasks: [qa]", "tasks: must be a mapping of keys to values, got ['qa']"),
        ("tasks: {qa: one}", "tasks.qa: must be a number, got 'one'"),
        ("mechanism:", "mechanism: must be a mapping of keys to values, got null"),
        ("sweep: [1]", "sweep: must be a mapping of keys to values, got [1]"),
        ("<<: 3", "<< takes a mapping, or a list of mappings"),
    ],
)  # fmt: skip
def test_top_level_mistakes(extra: str, message: str) -> None:
    lines = errors(POPULATION + extra)
    assert lines[0].startswith(f"bad.yaml:8: {message}")
    assert len(lines) == 1 + (extra.startswith("tasks: {qa: 2"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("comittee_size: 2", "comittee_size: unknown key; did you mean 'committee_size'?"),
        ("committee_size: 0", "committee_size: must be at least 1, got 0"),
        ("committee_size: 2.0", "committee_size: must be a whole number, got 2.0; write 2"),
        ("aggregation: meen", "aggregation: unknown aggregation rule 'meen'; did you mean 'mean'?"),
        ("reference: inclusiv",
         "reference: unknown reference 'inclusiv'; did you mean 'inclusive'?"),
        ("evaluator_reward: clossness",
         "evaluator_reward: unknown evaluator payment 'clossness'; did you mean 'closeness'?"),
        ("reward: {family: 3}", "reward.family: must name a rule, or be {name: RULE, "
         "PARAMETER: VALUE}, got 3"),
        ("aggregation: {name: trimmed_mean, tau: 0.3}",
         "aggregation: tau of trimmed_mean is a key of its own: mechanism.tau"),
        ("aggregation: {name: median, share: 1}",
         "aggregation: median has no parameter 'share'; it has none"),
        ("reward: {exponent: 0.5}", "reward.exponent: must be at least 1, got 0.5"),
        ("reward: {task_weights: {qa: -1}}",
         "reward.task_weights.qa: must be at least 0, got -1"),
        ("alpha_inference: -0.5", "alpha_inference: must be at least 0, got -0.5"),
        ("alpha_evaluator: .nan", "alpha_evaluator: must be finite, got nan"),
        ("beta_evaluator: .inf", "beta_evaluator: must be finite, got inf"),
        ("alpha_inference: 1e200", "alpha_inference: must be at most 1e+30, "
         "so that squares of sums are finite, got 1e+200"),
        ("beta_inference: 1e999", "beta_inference: must be finite, got inf"),
        ("beta_inference: true", "beta_inference: must be a number, got true"),
        ("beta_inference: yes", "beta_inference: must be a number, got 'yes'"),
        ("aggregation: medain",
         "aggregation: unknown aggregation rule 'medain'; did you mean 'median'?"),
        ("tau: 0.5", "tau: must be less than 0.5, got 0.5"),
        ("tau: -0.1", "tau: must be at least 0, got -0.1"),
        ("huber_bend: 0", "huber_bend: must be greater than 0, got 0"),
        ("mad_cutoff: 0", "mad_cutoff: must be greater than 0, got 0"),
        ("kappa: 0", "kappa: must be greater than 0, got 0"),
        ("kappa: 1.5", "kappa: must be at most 1, got 1.5"),
        ("trust: {update: hegde}",
         "trust.update: unknown trust update 'hegde'; did you mean 'hedge'?"),
        ("trust: {rate: 0}", "trust.rate: must be greater than 0, got 0"),
        ("trust: {rate: 1.5}", "trust.rate: must be at most 1, got 1.5"),
        ("trust: {minimum: 0}", "trust.minimum: must be greater than 0, got 0"),
        ("trust: {minimum: 6}",
         "trust: minimum <= start <= maximum is needed, got 6, 1, 5"),
        ("trust: {maximum: 0.5}",
         "trust: minimum <= start <= maximum is needed, got 0.1, 1, 0.5"),
        ("trust: {reference: mean}",
         "trust.reference: unknown trust reference 'mean'; did you mean 'median'?"),
        ("trust: {interval: -1}", "trust.interval: must be at least 0, got -1"),
        ("trust: {gold_share: 2}", "trust.gold_share: must be at most 1, got 2"),
        ("trust: {ratte: 0.1}", "trust.ratte: unknown key; did you mean 'rate'?"),
    ],
)  # fmt: skip
def test_mechanism_mistakes(entry: str, message: str) -> None:
    assert error(f"mechanism:\n  {entry}") == f"bad.yaml:9: mechanism.{message}"


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("{count: 1}", ".model: this key is needed and has no default"),
        ("{model: a, cuont: 1}", ".cuont: unknown key; did you mean 'count'?"),
        ("{model: a, count: -1}", ".count: must be at least 0, got -1"),
        ("{model: a, count: 1000001}", ".count: must be at most 1000000, got 1000001"),
        ("{model: a, weight: 0}", ".weight: must be greater than 0, got 0"),
        ("{model: a, weight: .inf}", ".weight: must be finite, got inf"),
        ("{model: a, behaviour: 3}", ".behaviour: must be a mapping of keys to values, got 3"),
        ("{model: a, behaviour: {b: 3}}",
         ".behaviour: a behaviour needs a name, as in {name: boost, b: 3.0}"),
        ("{model: a, bias_sd: 1}", ".bias_sd: unknown key; known: 'active', 'behaviour', "
         "'count', 'hardware', 'model', 'name', 'region', 'stake', 'usd_per_answer', 'weight'"),
        ("{model: a, hardware: 4090}", ".hardware: must be text, got 4090"),
        ("{model: ' a'}", ".model: must be printable, without blanks around it, got ' a'"),
        ("a", ": must be a mapping of keys to values, got 'a'"),
    ],
)  # fmt: skip
def test_group_mistakes(group: str, message: str) -> None:
    text = f"population:\n  evaluators: [{{model: b}}]\n  inference:\n    - {group}\n"
    assert errors(text) == [f"bad.yaml:4: population.inference.0{message}"]


def test_evaluators_have_no_weight() -> None:
    text = "population:\n  inference: [{model: a}]\n  evaluators: [{model: b, weight: 2}]\n"
    (line,) = errors(text)
    assert line.startswith("bad.yaml:3: population.evaluators.0.weight: unknown key; known: ")


@pytest.mark.parametrize("groups", ["[]", "[{model: a, count: 0}]"])
def test_a_role_cannot_be_empty(groups: str) -> None:
    text = f"population:\n  inference: {groups}\n  evaluators: [{{model: b}}]\n"
    said = "the population is empty: at least one node is needed here"
    assert errors(text) == [f"bad.yaml:2: population.inference: {said}"]


def test_a_population_is_needed_and_has_two_roles() -> None:
    said = "this key is needed and has no default"
    assert errors("rounds: 1") == [f"bad.yaml:1: population: {said}"]
    assert errors("rounds: 1\npopulation:\n  inference: [{model: a}]") == [
        f"bad.yaml:2: population.evaluators: {said}"
    ]
    text = "population:\n  inference: {model: a}\n  evaluators: [{model: b}]"
    assert errors(text) == ["bad.yaml:2: population.inference: must be a list, got {'model': 'a'}"]


def test_the_whole_population_is_bounded() -> None:
    group = "{model: a, count: 1000000}"
    text = f"population:\n  inference: [{group}, {group}]\n  evaluators: [{{model: b}}]"
    said = "2,000,001 nodes in all; at most 2,000,000 are possible"
    assert errors(text) == [f"bad.yaml:1: population: {said}"]


def test_all_mistakes_are_reported_at_once() -> None:
    text = """\
population:
  inference: [{model: a, cuont: 1}]
  evaluators: []
mechanism: {comittee_size: 1, alpha_inference: -1}
rounds: "3"
rounds: 4
1: 2
seed: !foo 1
tasks: {qa: 0.3}
"""
    places = [line.split(": ")[:2] for line in errors(text)]
    assert places == [
        ["bad.yaml:6", "rounds"],
        ["bad.yaml:7", "the key 1 is not text; write it in quotes"],
        ["bad.yaml:8", "seed"],
        ["bad.yaml:9", "tasks"],
        ["bad.yaml:4", "mechanism.alpha_inference"],
        ["bad.yaml:4", "mechanism.comittee_size"],
        ["bad.yaml:2", "population.inference.0.cuont"],
        ["bad.yaml:3", "population.evaluators"],
    ]


def test_shares_have_a_tolerance() -> None:
    assert small("tasks: {qa: 0.3333333, summarization: 0.6666667}").tasks is not None
    assert "sum to 0.99999" in error("tasks: {qa: 0.33333, summarization: 0.66666}")


def test_whole_numbers_serve_as_coefficients() -> None:
    alpha = small("mechanism: {alpha_inference: 2}").mechanism.alpha_inference
    assert alpha == 2.0
    assert isinstance(alpha, float)


def test_labels_never_collide() -> None:
    names = [("a", None), ("a", None), ("b", "a_2"), ("a", None), ("c", "a"), ("d", None)]
    groups = tuple(InferenceGroup(model=model, name=name) for model, name in names)
    population = Population(inference=groups, evaluators=(EvaluatorGroup(model="b", name="m"),))
    assert population.inference_labels == ("a", "a_3", "a_2", "a_4", "a_5", "d")
    assert population.evaluator_labels == ("m",)


def test_the_first_repetition_is_number_two() -> None:
    groups = tuple(InferenceGroup(model="a") for _ in range(3))
    population = Population(inference=groups, evaluators=(EvaluatorGroup(model="b"),))
    assert population.inference_labels == ("a", "a_2", "a_3")


def test_a_bare_behaviour_is_one_without_parameters() -> None:
    assert InferenceGroup(model="a", behaviour="lazy").behaviour == {"name": "lazy"}
    spelt = {"name": "boost", "b": 2.0}
    assert EvaluatorGroup(model="a", behaviour=spelt).behaviour == spelt


@pytest.mark.parametrize(
    "behaviour",
    ["boost, b: 2.0", "{name: boost, b: 2.0}"],
    ids=["beside the name", "as a mapping"],
)
def test_malicious_parameters_stand_beside_the_name_or_in_a_mapping(behaviour: str) -> None:
    malicious = small(f"malicious: {{share: 0.3, behaviour: {behaviour}}}").malicious
    assert malicious is not None
    assert malicious.share == 0.3
    assert malicious.behaviour == {"name": "boost", "b": 2.0}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("bias_sd: -1", "bias_sd: must be at least 0, got -1"),
        ("noise_sd: -0.5", "noise_sd: must be at least 0, got -0.5"),
        ("noise_sd: .inf", "noise_sd: must be finite, got inf"),
        ("stake: 0", "stake: must be greater than 0, got 0"),
    ],
)
def test_evaluator_mistakes(entry: str, message: str) -> None:
    text = f"population:\n  inference: [{{model: a}}]\n  evaluators: [{{model: b, {entry}}}]\n"
    assert errors(text) == [f"bad.yaml:3: population.evaluators.0.{message}"]


def test_a_flood_of_mistakes_is_counted() -> None:
    lines = errors(POPULATION + "".join(f"key{i}: 1\n" for i in range(1000)))
    assert len(lines) == 200
    assert lines[-1] == "bad.yaml:1: and 801 more problems"
