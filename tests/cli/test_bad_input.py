"""Every mistake a user can make: a clear message, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import poq_abm

GROUPS = """
population:
  inference: [{model: llama_3_2_3b}, {model: phi3_mini_4k}]
  evaluators: [{model: sts_stsb}, {model: ce_minilm}]
"""

BAD_FILES = {
    "unknown key": ("mechanism: {comittee_size: 2}" + GROUPS, "committee_size"),
    "wrong type": ("rounds: many" + GROUPS, "rounds"),
    "number in quotes": ("rounds: '5000'" + GROUPS, "rounds"),
    "NaN": ("mechanism: {beta_inference: .nan}" + GROUPS, "beta_inference"),
    "infinity": ("mechanism: {beta_inference: .inf}" + GROUPS, "beta_inference"),
    "K above the evaluators": ("mechanism: {committee_size: 3}" + GROUPS, "committee_size"),
    "K below one": ("mechanism: {committee_size: 0}" + GROUPS, "committee_size"),
    "zero rounds": ("rounds: 0" + GROUPS, "rounds"),
    "negative rounds": ("rounds: -5" + GROUPS, "rounds"),
    "no replications": ("replications: 0" + GROUPS, "replications"),
    "unknown model": (GROUPS.replace("phi3_mini_4k", "phi3_mini"), "phi3_mini_4k"),
    "empty population": ("population: {inference: [], evaluators: []}", "empty"),
    "a population of nobody": (
        GROUPS.replace("phi3_mini_4k", "phi3_mini_4k, count: 0").replace(
            "llama_3_2_3b", "llama_3_2_3b, count: 0"
        ),
        "empty",
    ),
    "unknown task": ("tasks: {qa: 0.5, translation: 0.5}" + GROUPS, "translation"),
    "shares that do not sum to 1": ("tasks: {qa: 0.5, summarization: 0.4}" + GROUPS, "0.9"),
    "unknown hardware": (GROUPS.replace("sts_stsb", "sts_stsb, hardware: h100"), "h100_sxm"),
    "unknown behaviour": (GROUPS.replace("sts_stsb", "sts_stsb, behaviour: hones"), "honest"),
    "unknown profile": ("profile: publishd" + GROUPS, "published"),
    "code in a tag": (
        'name: !!python/object/apply:os.system ["touch CANARY"]' + GROUPS,
        "python/object/apply",
    ),
    "syntax": ("rounds: [1, 2" + GROUPS, "bad.yaml"),
    "empty file": ("", "bad.yaml"),
    "an axis that does not exist": ("sweep: {mechanism.commitee_size: [1]}" + GROUPS, "committee_"),
    "a swept value out of range": ("sweep: {mechanism.committee_size: [1, 9]}" + GROUPS, "9"),
    "cyclic extends": ("extends: bad.yaml", "bad.yaml"),
    "extends nobody": ("extends: cost_aware", "cost_aware_poq"),
}


PEOPLE = GROUPS.replace("sts_stsb}", "sts_stsb, count: 2}")  # enough for the default K
MADE = """
profile: synthetic
population: {inference: [{model: model_1}], evaluators: [{model: evaluator_1, count: 70}]}
"""


def malicious(behaviour: str, share: float = 0.5) -> str:
    return f"malicious: {{share: {share}, behaviour: {{name: {behaviour}}}}}" + PEOPLE


def inference(behaviour: str) -> str:
    return PEOPLE.replace("phi3_mini_4k", f"phi3_mini_4k, behaviour: {{name: {behaviour}}}")


#: file, the place that must be named, and a word of the message
BAD_ADVERSARIES = {
    "tau of a half": ("mechanism: {tau: 0.5}" + PEOPLE, "bad.yaml:1: mechanism.tau: ", "0.5"),
    "negative sigma": (
        malicious("noise, sigma: -1"),
        "bad.yaml:1: malicious.behaviour.sigma: ",
        "sigma must ",
    ),
    "w_min above w_max": (
        "mechanism:\n  trust: {minimum: 3, start: 2, maximum: 1}" + PEOPLE,
        "bad.yaml:2: mechanism.trust: ",
        "minimum <= start <= maximum",
    ),
    "share above one": (malicious("boost", 1.5), "bad.yaml:1: malicious.share: ", "at most 1"),
    "share below zero": (malicious("boost", -0.1), "bad.yaml:1: malicious.share: ", "at least 0"),
    "a ring of one": (
        malicious("collude"),
        "bad.yaml:1: malicious.behaviour: ",
        "a ring of one",
    ),
    "a ring of one behind a gate": (
        malicious("intermittent, inner: {name: collude}"),
        "bad.yaml:1: malicious.behaviour: ",
        "a ring of one",
    ),
    "an unknown behaviour": (
        malicious("bost"),
        "bad.yaml:1: malicious.behaviour: ",
        "did you mean 'boost'",
    ),
    "an unknown inner behaviour": (
        malicious("sleeper, inner: {name: sabotge}"),
        "bad.yaml:1: malicious.behaviour.inner: ",
        "did you mean 'sabotage'",
    ),
    "an unknown parameter": (
        malicious("whitewash, bellow: 1"),
        "bad.yaml:1: malicious.behaviour.bellow: ",
        "did you mean 'below'",
    ),
    "a parameter that is not a number": (
        malicious("boost, b: .nan"),
        "bad.yaml:1: malicious.behaviour.b: ",
        "must be a number",
    ),
    "a parameter that is missing": (
        malicious("targeted"),
        "bad.yaml:1: malicious.behaviour.group: ",
        "needs 'group'",
    ),
    "an evaluator that freeloads": (
        malicious("freeload"),
        "bad.yaml:1: malicious.behaviour: ",
        "behaviour of inference nodes",
    ),
    "an inference node that boosts": (
        inference("boost"),
        "bad.yaml:3: population.inference.1.behaviour: ",
        "behaviour of evaluator nodes",
    ),
    "a targeted group that does not exist": (
        malicious("targeted, group: phi3"),
        "bad.yaml:1: malicious.behaviour",
        "phi3_mini_4k",
    ),
    "a favoured group that does not exist": (
        malicious("collude, favour: phi3", 1.0),
        "bad.yaml:1: malicious.behaviour",
        "phi3_mini_4k",
    ),
    "a downgrade to an unknown model": (
        inference("downgrade, model: phi3_mini"),
        "bad.yaml:3: population.inference.1.behaviour",
        "did you mean 'phi3_mini_4k'",
    ),
    "an unknown rule": (
        "mechanism: {aggregation: medain}" + PEOPLE,
        "bad.yaml:1: mechanism.aggregation: ",
        "did you mean 'median'",
    ),
    "an unknown trust update": (
        "mechanism: {trust: {update: hegde}}" + PEOPLE,
        "bad.yaml:1: mechanism.trust.update: ",
        "did you mean 'hedge'",
    ),
    "a committee too large to sort": (
        "mechanism: {committee_size: 65, aggregation: median}" + MADE,
        "bad.yaml:1: mechanism.committee_size: ",
        "at most 64",
    ),
    "a synthetic profile of negative noise": (
        "synthetic: {noise_sd: -1}" + MADE,
        "bad.yaml:1: synthetic",
        "noise_sd must be",
    ),
    "a synthetic profile with an unknown setting": (
        "synthetic: {nois_sd: 1}" + MADE,
        "bad.yaml:1: synthetic",
        "nois_sd",
    ),
    "a synthetic profile without a number": (
        "synthetic: {records: many}" + MADE,
        "bad.yaml:1: synthetic",
        "records must be",
    ),
    "a swept share out of range": (
        "sweep: {malicious.share: [0.5, 1.5]}\n" + malicious("boost"),
        "bad.yaml:1: ",
        "at most 1",
    ),
    "a swept parameter out of range": (
        "sweep: {malicious.behaviour.b: [3.0, 30.0]}\n" + malicious("boost, b: 3.0"),
        "bad.yaml:1: ",
        "b must lie in [0, 10], got 30",
    ),
}


@pytest.mark.parametrize("case", BAD_ADVERSARIES)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_bad_adversary_is_explained_where_it_stands(
    poq, tmp_path: Path, verb: str, case: str
) -> None:
    text, place, said = BAD_ADVERSARIES[case]
    (tmp_path / "bad.yaml").write_text(text)
    outcome = poq(verb, "bad.yaml")
    assert outcome.code == 2
    lines = [line for line in outcome.err.splitlines() if place in line]
    assert any(said in line for line in lines), outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"], "nothing is written"


@pytest.mark.parametrize(
    "text",
    [
        "mechanism: {aggregation: trimmed_mean, tau: 0.499}" + PEOPLE,
        malicious("noise, sigma: 0"),
        "mechanism: {trust: {update: ema, minimum: 1, start: 1, maximum: 1}}" + PEOPLE,
        malicious("boost", 1.0),
        malicious("collude, favour: phi3_mini_4k", 1.0),
        inference("downgrade, model: qwen2_1_5b"),
        "mechanism: {committee_size: 65}" + MADE,
        "mechanism: {committee_size: 64, aggregation: median}" + MADE,
    ],
)
def test_what_lies_just_inside_is_valid(poq, tmp_path: Path, text: str) -> None:
    (tmp_path / "good.yaml").write_text(text)
    outcome = poq("validate", "good.yaml")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("verb", ["run", "validate", "show"])
def test_a_bad_file_is_explained(poq, tmp_path: Path, verb: str, case: str) -> None:
    text, mentioned = BAD_FILES[case]
    (tmp_path / "bad.yaml").write_text(text)
    outcome = poq(verb, "bad.yaml")
    assert outcome.code == 2
    assert mentioned in outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"], "nothing is written"


def test_all_mistakes_of_a_file_are_reported_at_once(poq, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("rounds: 0\nseeed: 1\nreplications: x" + GROUPS)
    lines = poq("validate", "bad.yaml").err
    assert all(place in lines for place in ("bad.yaml:1", "bad.yaml:2", "bad.yaml:3"))


def test_schema_and_profile_speak_at_once(poq, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "rounds: 0\nmechanism: {committee_size: 9}\ntasks: {qa: 0.5, chess: 0.5}"
        + GROUPS.replace("phi3_mini_4k", "phi3_mini")
    )
    for verb in ("run", "validate", "show"):
        err = poq(verb, "bad.yaml").err
        for place in (
            "bad.yaml:1: rounds",
            "bad.yaml:2: mechanism.committee_size",
            "chess",
            "phi3",
        ):
            assert place in err


def test_an_unknown_profile_is_found_on_its_line(poq, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("rounds: 5\nprofile: publishd" + GROUPS)
    assert poq("validate", "bad.yaml").err.startswith("bad.yaml:2: profile: ")


@pytest.mark.parametrize(
    ("arguments", "mentioned"),
    [
        (["run", "cost_aware"], "cost_aware_poq"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "."], "."),
        (["run", "cost_aware_poq", "--rounds", "0"], "rounds"),
        (["run", "cost_aware_poq", "--rounds", "few"], "--rounds"),
        (["run", "cost_aware_poq", "--seed", "-1"], "seed"),
        (["run", "cost_aware_poq", "--engine", "agent"], "agents"),
        (["run", "cost_aware_poq", "--set", "mechanism.committee_size=9"], "committee_size"),
        (["run", "cost_aware_poq", "--set", "mechanism"], "mechanism"),
        (["run", "cost_aware_poq", "--jobs", "0"], "jobs"),
        (["reproduce", "cost-awar"], "cost-aware"),
        (["reproduce", "robus"], "robust"),
        (["run", "trust_saturation", "--set", "mechanism.tau=0.5"], "mechanism.tau"),
        (["run", "adversary_sweep", "--set", "malicious.share=2"], "malicious.share"),
        (["new", "no/such/folder/mine"], "mine"),
        (["new", "-strange name"], "name"),
        (["rnu"], "rnu"),
    ],
)
def test_a_bad_command_is_explained(poq, tmp_path: Path, arguments: list[str], mentioned) -> None:
    outcome = poq(*arguments)
    assert outcome.code == 2
    assert mentioned in outcome.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profiles") / "mine"
    shutil.copytree(Path(poq_abm.__file__).parent / "profile" / "data" / "published", folder)
    return folder


@pytest.mark.parametrize("missing", ["profile.json", "scores.parquet", "costs.parquet"])
def test_a_profile_without_a_file(poq, tmp_path: Path, profile: Path, missing: str) -> None:
    (profile / missing).unlink()
    outcome = poq("run", "cost_aware_poq", "--set", f"profile={profile}")
    assert outcome.code == 2
    assert missing in outcome.err
    assert not list(tmp_path.iterdir())


def test_an_altered_table(poq, tmp_path: Path, profile: Path) -> None:
    table = profile / "costs.parquet"
    table.write_bytes(table.read_bytes() + b" ")
    outcome = poq("run", "cost_aware_poq", "--set", f"profile={profile}")
    assert outcome.code == 2
    assert "costs.parquet" in outcome.err
    assert not list(tmp_path.iterdir())


def test_an_altered_description(poq, profile: Path) -> None:
    path = profile / "profile.json"
    description = json.loads(path.read_text())
    description["provenance"]["published"] = []
    path.write_text(json.dumps(description))
    assert poq("run", "cost_aware_poq", "--set", f"profile={profile}").code == 2


def test_results_of_another_configuration_are_left_alone(poq, tmp_path: Path) -> None:
    assert poq("run", "cost_aware_poq", "--rounds", 9, "--out", "mine").code == 0
    (block,) = (tmp_path / "mine" / "nodes.parquet").iterdir()
    before = block.read_bytes()
    refused = poq("run", "cost_aware_poq", "--rounds", 10, "--out", "mine")
    assert refused.code == 2
    assert "another configuration" in refused.err
    assert block.read_bytes() == before


def test_a_folder_that_cannot_be_written(poq, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = poq("run", "cost_aware_poq", "--rounds", 9, "--out", "file/run")
    assert refused.code == 2
    assert "cannot write" in refused.err


def test_a_folder_of_something_else(poq, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused = poq("run", "cost_aware_poq", "--rounds", 9, "--out", "mine")
    assert refused.code == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


LITTLE_SPACE = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from poq_abm.cli import main
main()
"""


@pytest.mark.parametrize("trace", [[], ["--trace"]])
def test_a_disk_that_fills_up(tmp_path: Path, trace: list[str]) -> None:
    """A limit on file sizes makes the operating system refuse a write, as a full disk does."""
    command = ["run", "many_nodes", "--rounds", "20000", "--replications", "1", "--out", "mine"]
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_SPACE, *command, *trace],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(poq_abm.__file__).parents[1])},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert re.search(r"cannot write results to \S*mine: ", done.stderr)
    assert "Traceback" not in done.stderr
    left = {path.name for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert left <= {".lock", "manifest.json"}  # tables are folders, and no block lies in them
