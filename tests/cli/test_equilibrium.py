"""``poq equilibrium``: what it prints, writes and refuses."""

import json

import pytest
from typer.testing import CliRunner

from poq_abm.cli import app
from poq_abm.errors import InputError

SHORT = ["equilibrium", "cost_aware_poq", "--rounds", "100", "--replications", "3"]


@pytest.fixture
def poq(tmp_path, monkeypatch):
    """Run `poq equilibrium` in a folder of its own, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        return CliRunner().invoke(app, [*SHORT, *arguments], catch_exceptions=False)

    return run


def test_it_fits_eighty_columns_and_says_what_it_comes_to(poq):
    said = poq("--strategy", "{name: boost, b: 3.0}").stdout
    assert max(map(len, said.splitlines())) <= 80
    for words in ("others", "regret", "Alpha-rank", "Logit equilibria", "deviation"):
        assert words in said
    assert "All honest is" in said or "Whether all honest is" in said


def test_for_a_program(poq):
    asked = ["--strategy", "boost", "--players", "2"]
    found = json.loads(poq(*asked, "--json").stdout)
    assert list(found) == ["said", "payoffs", "equilibria", "ranks", "path", "invasion"]
    assert [row["others"] for row in found["payoffs"][::2]] == ["2 honest", "2 boost"]
    assert poq(*asked, "--csv").stdout.startswith("others,strategy,payoff,low,high")


def test_of_both_roles(poq):
    asked = ["--role", "both", "--strategy", "freeload", "--strategy", "copycat"]
    said = poq(*asked).stdout
    assert max(map(len, said.splitlines())) <= 80
    assert "what all inference nodes and all evaluators do" in " ".join(said.split())
    found = json.loads(poq(*asked, "--json").stdout)
    assert list(found) == ["said", "profiles", "payoffs", "path"]
    assert [row["inference"] for row in found["profiles"]] == ["honest"] * 2 + ["freeload"] * 2
    assert len(found["said"]) >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--role", "ring"], "--role ring: "),
        (["--role", "both", "--players", "3"], "--players does nothing with --role both"),
        (["--role", "both", "--strategy", "boots"], "no behaviour 'boots'"),
        (["--strategy", "{b: 2}"], "--strategy {b: 2}: write a name"),
        (["--strategy", "boots"], "no behaviour 'boots'"),
        (["--replications", "1", "--strategy", "boost"], "two or more are needed"),
    ],
)
def test_mistakes_are_told(poq, arguments, message):
    with pytest.raises(InputError, match=message):
        poq(*arguments)
