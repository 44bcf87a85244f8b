from __future__ import annotations

import json
import subprocess
import sys

import pytest
from scenario_support import POPULATION, error, errors, small

from poq_abm.scenario import load, parse

BETA = "mechanism.beta_inference: [0.0, 0.5]"
MORE = "mechanism.trust.rate: {low: 0.001, high: 1, scale: log}, mechanism.committee_size: [1, 3]"


def swept(design: str, rest: str = "") -> str:
    return f"sweep:\n  {design}\n{rest}"


def settings(text: str) -> list[dict[str, object]]:
    return [treatment.settings for treatment in small(text).treatments()]


def test_a_latin_hypercube_tries_every_stratum_of_every_field() -> None:
    text = swept(f"latin_hypercube: {{samples: 12, ranges: {{{BETA}, {MORE}}}}}")
    drawn = settings(text)
    betas = sorted(float(str(row["mechanism.beta_inference"])) for row in drawn)
    sizes = sorted(int(str(row["mechanism.committee_size"])) for row in drawn)
    half = 5e-7  # of the last digit kept: a value may be rounded over the edge of its stratum
    for stratum, beta in enumerate(betas):
        assert stratum / 24 - half <= beta <= (stratum + 1) / 24 + half
    assert sizes == [1] * 4 + [2] * 4 + [3] * 4
    assert settings(text) == drawn
    assert settings(text.replace("samples: 12", "samples: 12, seed: 1")) != drawn


def test_samples_are_played_as_drawn() -> None:
    text = swept(f"sobol: {{samples: 4, scramble: false, ranges: {{{BETA}, {MORE}}}}}")
    treatments = small(text).treatments()
    assert [treatment.id for treatment in treatments] == [
        "beta_inference=0,rate=0.001,committee_size=1",
        "beta_inference=0.25,rate=0.0316228,committee_size=2",
        "beta_inference=0.375,rate=0.00562341,committee_size=1",
        "beta_inference=0.125,rate=0.177828,committee_size=3",
    ]
    played = treatments[3].scenario.mechanism
    assert (played.beta_inference, played.trust.rate, played.committee_size) == (0.125, 0.177828, 3)
    assert json.loads(json.dumps([t.settings for t in treatments])) == settings(text)


def test_samples_are_crossed_with_other_axes() -> None:
    text = swept(
        f"sobol: {{samples: 2, scramble: false, ranges: {{{BETA}}}}}",
        "  schedule: [uniform, weighted]\n",
    )
    assert [treatment.id for treatment in small(text).treatments()] == [
        "beta_inference=0,schedule=uniform",
        "beta_inference=0,schedule=weighted",
        "beta_inference=0.25,schedule=uniform",
        "beta_inference=0.25,schedule=weighted",
    ]


def test_parameters_are_whole_where_both_ends_are() -> None:
    text = "malicious: {share: 0.3, behaviour: boost}\n"
    for ends, kind in (("[1, 4]", int), ("[1.0, 4.0]", float)):
        sweep = f"sobol: {{samples: 4, ranges: {{malicious.b: {ends}}}}}"
        behaviours = [
            treatment.scenario.malicious.behaviour  # type: ignore[union-attr]
            for treatment in small(text + swept(sweep)).treatments()
        ]
        assert [type(behaviour["b"]) for behaviour in behaviours] == [kind] * 4


def test_shares_of_tasks_are_never_whole() -> None:
    ranges = "ranges: {tasks.qa: [0, 1]}"
    lines = errors(
        POPULATION
        + "tasks: {qa: 0.5, summarization: 0.5}\n"
        + swept(f"sobol: {{samples: 4, scramble: false, {ranges}}}")
    )
    assert lines == [
        f"bad.yaml:10: tasks: the shares sum to {total}, not to 1"
        for total in ("0.5", "1.25", "0.75")
    ]


def test_a_design_knows_that_its_values_are_drawn() -> None:
    assert load("cost_space").is_drawn
    assert not load("cost_weight").is_drawn
    assert not load("cost_aware_poq").is_drawn


def test_a_design_survives_yaml_and_can_be_extended() -> None:
    scenario = load("cost_space")
    again = parse(scenario.to_yaml())
    assert again == scenario
    ids = [treatment.id for treatment in scenario.treatments()]
    assert [treatment.id for treatment in again.treatments()] == ids
    assert len(set(ids)) == 32
    more = load("cost_space", ["sweep.latin_hypercube.samples=40"])
    assert len(more.treatments()) == 40
    path = "sweep.latin_hypercube.ranges.mechanism.committee_size"
    narrow = load("cost_space", [f"{path}=[2, 3]"]).treatments()
    assert {t.scenario.mechanism.committee_size for t in narrow} == {2, 3}


def test_drawn_fields_cannot_be_silently_overridden() -> None:
    text = swept(f"sobol: {{samples: 4, ranges: {{{BETA}}}}}")
    line = error(text, ["mechanism.beta_inference=1"])
    assert "set sweep.sobol.ranges.mechanism.beta_inference=[...]" in line


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ("latin_hypercub: {samples: 3}", "latin_hypercub: no such field: unknown key; did you "
         "mean 'latin_hypercube'?"),
        ("sobl: [1]", "sobl: no such field: unknown key; did you mean 'sobol'?"),
        ("sobol: 3", "sobol: must be a mapping of keys to values, got 3"),
        ("sobol: {samples: 4}", "sobol.ranges: this key is needed and has no default"),
        ("sobol: {samples: 4, ranges: {}}", "sobol.ranges: 1 to 1,000 ranges are needed, got 0"),
        ("sobol: {samples: 4, ranges: [1]}", "sobol.ranges: must be a mapping of keys to values"),
        ("sobol: {samples: 100, ranges: {BETA}}", "sobol.samples: must be a power of two, got 100; "
         "the nearest: 64 or 128"),
        ("sobol: {samples: 65537, ranges: {BETA}}", "sobol.samples: must be a power of two, got "
         "65537; the nearest: 65536"),
        ("sobol: {samples: 0, ranges: {BETA}}", "sobol.samples: must be at least 1, got 0"),
        ("sobol: {samples: 4, scramble: 1, ranges: {BETA}}", "sobol.scramble: must be true or "
         "false, got 1"),
        ("latin_hypercube: {samples: 4, scramble: true, ranges: {BETA}}",
         "latin_hypercube.scramble: unknown key"),
        ("latin_hypercube: {samples: 4, seed: -1, ranges: {BETA}}",
         "latin_hypercube.seed: must be at least 0, got -1"),
        ("latin_hypercube: {samples: 100001, ranges: {BETA}}",
         "latin_hypercube.samples: must be at most 100000, got 100001"),
    ],
)  # fmt: skip
def test_mistakes_in_a_design(design: str, said: str) -> None:
    assert error(swept(design.replace("BETA", BETA))).startswith(f"bad.yaml:9: sweep.{said}")


HERE = "sweep.sobol.ranges."


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("mechanism.bta_inference: [0, 1]", "mechanism.bta_inference: no such field: unknown key; "
         "did you mean 'beta_inference'?"),
        ("seed: [0, 3]", "seed: seed cannot be swept: "),
        ("replications.at_most: [5, 9]", "replications.at_most: replications cannot be swept: "),
        ("mechanism.aggregation: [0, 3]", "mechanism.aggregation: a range needs a number, which "
         "mechanism.aggregation is not: list its values on an axis"),
        ("mechanism: [0, 3]", "mechanism: a range needs a number, which mechanism is not"),
        ("synthetic.task: [0, 3]", "synthetic.task: a range needs a number, but synthetic.task "
         "is 'qa'"),
        ("mechanism.committee_size: [1.5, 3]", "mechanism.committee_size: must be a whole number, "
         "got 1.5"),
        ("mechanism.committee_size: [0, 3]", "mechanism.committee_size: must be at least 1, got 0"),
        ("mechanism.tau: [0, 0.5]", "mechanism.tau: must be less than 0.5, got 0.5"),
        ("mechanism.tau: [0.1, 0.1]", "mechanism.tau: low must be below high, got 0.1 and 0.1"),
        ("mechanism.tau: [0.2, 0.1]", "mechanism.tau: low must be below high, got 0.2 and 0.1"),
        ("mechanism.tau: [0.1]", "mechanism.tau: write a range as [low, high] or {low, high, "
         "scale}, got [0.1]"),
        ("mechanism.tau: 0.1", "mechanism.tau: write a range as [low, high] or {low, high, "
         "scale}, got 0.1"),
        ("mechanism.tau: [a, 0.1]", "mechanism.tau.low: must be a number, got 'a'"),
        ("mechanism.tau: [0.1, true]", "mechanism.tau.high: must be a number, got true"),
        ("mechanism.tau: [0.1, .inf]", "mechanism.tau.high: must be finite, got inf"),
        ("mechanism.tau: {low: 0, high: 0.1, scale: log}", "mechanism.tau: a log scale starts "
         "above 0, got low 0"),
        ("mechanism.tau: {low: 0.1, high: 0.2, scale: lg}", "mechanism.tau.scale: must be one of "
         "'linear' or 'log', got 'lg'; did you mean 'log'?"),
        ("mechanism.tau: {low: 0.1, high: 0.2, scal: log}", "mechanism.tau.scal: unknown key; did "
         "you mean 'scale'?"),
    ],
)  # fmt: skip
def test_mistakes_in_a_range(span: str, said: str) -> None:
    text = f"synthetic: {{task: qa}}\nsweep:\n  sobol:\n    samples: 4\n    ranges:\n      {span}\n"
    assert error(text).startswith(f"bad.yaml:13: {HERE}{said}")


def test_all_mistakes_of_a_design_are_reported_at_once() -> None:
    lines = errors(POPULATION + swept("sobol: {sampels: 3, ranges: {rouds: [1, 2], seed: [1, 2]}}"))
    assert [line.split(": ")[1] for line in lines] == [
        "sweep.sobol.ranges.rouds",
        "sweep.sobol.ranges.seed",
        "sweep.sobol.samples",
        "sweep.sobol.sampels",
    ]


def test_samples_that_come_out_the_same_are_refused() -> None:
    """Unscrambled, the first four points are 0, 1/2, 3/4, 1/4: of two numbers, 1, 2, 2, 1."""
    few = "sobol: {samples: 4, scramble: false, ranges: {mechanism.committee_size: [1, 2]}}"
    assert error(swept(few)) == (
        "bad.yaml:9: sweep.sobol: samples 2 and 3 are the same (mechanism.committee_size=2): "
        "draw fewer, or write axes that list the values"
    )


def test_a_design_is_bounded() -> None:
    wide = ", ".join(f"population.inference.{i}.weight: [1, 2]" for i in range(11))
    text = swept(f"latin_hypercube: {{samples: 100000, ranges: {{{wide}}}}}")
    assert (
        "sweep.latin_hypercube: 1,100,000 values; at most 1,000,000"
        in errors(POPULATION + text)[-1]
    )
    crossed = swept(f"sobol: {{samples: 2048, ranges: {{{BETA}}}}}", "  rounds: [1, 2, 3]\n")
    assert len(small(crossed).treatments()) == 3 * 2048
    rounds = f"  rounds: {list(range(1, 101))}\n"
    line = error(swept(f"sobol: {{samples: 2048, ranges: {{{BETA}}}}}", rounds))
    assert line == "bad.yaml:8: sweep: 204,800 treatments; at most 100,000 are made"


def test_a_design_overlaps_like_any_axis() -> None:
    text = swept(f"sobol: {{samples: 2, ranges: {{{BETA}}}}}", "  mechanism.beta_inference: [1]\n")
    assert error(text).endswith("overlaps with the axis mechanism.beta_inference")


def test_scenarios_without_a_design_do_not_import_scipy() -> None:
    program = (
        "import sys\nfrom poq_abm.scenario import load\n"
        "load('cost_weight').treatments()\nassert 'scipy' not in sys.modules\n"
        "load('cost_space').treatments()\nassert 'scipy' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
