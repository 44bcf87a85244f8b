"""``poq attack``: what it prints and writes, and what it refuses."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from poq_abm import load
from poq_abm.cli import app
from poq_abm.errors import InputError

SHORT = ["attack", "cost_aware_poq", "--rounds", "100", "--replications", "8"]


@pytest.fixture
def poq(tmp_path, monkeypatch):
    """Run `poq attack` in a folder of its own, with short climbs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("poq_abm.analysis.audit.best_response._BATCHES", 1)

    def run(*arguments):
        return CliRunner().invoke(app, [*SHORT, *arguments], catch_exceptions=False)

    return run


def test_an_attack_is_a_file_that_is_never_overwritten(poq, tmp_path):
    asked = ["--group", "ce_minilm", "--epsilon", "0.005"]
    (first,) = json.loads(poq(*asked, "--json").stdout)["attacks"]
    assert first["gains"]
    assert 0.0 < first["low"] < first["gain"] < first["high"]
    path = tmp_path / first["file"]
    written = path.read_text()
    found = load(path)
    spec = yaml.safe_load(first["behaviour"])
    assert spec in [dict(group.behaviour) for group in found.population.evaluators]
    poq(*asked)
    assert [one.name for one in path.parent.iterdir()] == [path.name]  # the same find, once
    path.write_text("mine")
    assert "cost_aware_poq_ce_minilm_2.yaml" in poq(*asked).stdout
    assert path.read_text() == "mine"
    assert (path.parent / "cost_aware_poq_ce_minilm_2.yaml").read_text() == written


def test_what_does_not_gain_is_said_and_not_written(poq, tmp_path):
    said = poq("--set", "mechanism.committee_size=1", "--group", "sts_stsb").stdout
    assert "one evaluator node of sts_stsb: nothing found gains anything" in said
    assert not (tmp_path / "attacks").exists()
    said = poq("--seconds", "0").stdout
    assert said.count("nothing was tested, the budget was spent") == 3


def test_a_ring_looks_for_whom_to_favour(poq):
    ring = ["--role", "ring", "--share", "0.7", "--favour", "any", "--json"]
    (found,) = json.loads(poq(*ring).stdout)["attacks"]
    assert found["role"] == "evaluator + inference"
    assert found["group"] in [
        f"all + {one.model}" for one in load("cost_aware_poq").population.inference
    ]


def test_what_everybody_learns_is_a_table(poq):
    alike = ["--set", "mechanism.committee_size=1", "--group", "sts_stsb", "--everybody"]
    told = json.loads(poq(*alike, "--json").stdout)
    assert told["learned"] == [{"strategy": "honest", "share": 1.0, "group": "sts_stsb"}]
    assert [one["ended"] for one in told["attacks"]] == ["settled"]
    said = " ".join(poq(*alike).stdout.split())
    assert "sts_stsb: as all play honest, nothing found gains" in said
    assert poq(*alike, "--csv").stdout.startswith("role,group,members,behaviour,gains")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--role", "evaluators"], "--role evaluators: did you mean 'evaluator'"),
        (["--share", "0.5"], "--share does nothing with --role evaluator"),
        (["--role", "inference", "--favour", "x"], "--favour does nothing"),
        (["--role", "ring", "--everybody"], "--everybody does nothing with --role ring"),
        (["--role", "ring", "--share", "2"], "share must lie in"),
        (
            ["--role", "ring", "--answering", "freeload"],
            "--answering does nothing without --favour",
        ),
        (
            [
                "--role",
                "ring",
                "--share",
                "0.7",
                "--favour",
                "phi3_mini_4k",
                "--answering",
                "boost",
            ],
            "no behaviour 'boost' of inference nodes",
        ),
        (["--replications", "1"], "two or more are needed"),
        (["--group", "ce_minilmm"], "no group 'ce_minilmm' of evaluator nodes"),
        (["--role", "ring", "--favour", "phi"], "no group 'phi' of inference nodes"),
        (
            ["--role", "ring", "--share", "0.1"],
            "a share of 0.1 of all leaves no evaluator",
        ),
    ],
)
def test_mistakes_are_told(poq, arguments, message):
    with pytest.raises(InputError, match=message):
        poq(*arguments)
