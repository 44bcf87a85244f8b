"""Every mistake a user can make: a clear message, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import json
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
    "unknown hardware": (GROUPS.replace("sts_stsb", "sts_stsb, hardware: h100"), "rtx_4090"),
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
    before = (tmp_path / "mine" / "nodes.parquet").read_bytes()
    refused = poq("run", "cost_aware_poq", "--rounds", 10, "--out", "mine")
    assert refused.code == 2
    assert "another configuration" in refused.err
    assert (tmp_path / "mine" / "nodes.parquet").read_bytes() == before


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
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot write results to mine" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "mine").rglob("*.parquet*"))
