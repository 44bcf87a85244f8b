"""``poq compare``, as a user calls it."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from poq_abm.cli.compare import _broken
from tests.conftest import interrupt

FEW = ("--rounds", 200, "--replications", 4)
LARGER = """\
# Does a larger committee pay less?
extends: cost_aware_poq
name: larger
mechanism: {committee_size: 1}
"""
MADE = """\
# Does a made profile do the same?
profile: synthetic
synthetic: {records: 300}
rounds: 150
population:
  inference: [{model: model_1}]
  evaluators: [{model: evaluator_1, count: 3}]
"""


@pytest.fixture
def larger(tmp_path: Path) -> str:
    """A scenario that differs from `cost_aware_poq` in the size of the committee."""
    (tmp_path / "larger.yaml").write_text(LARGER)
    return "larger.yaml"


@pytest.fixture
def swept(poq) -> str:
    """A results folder of three treatments."""
    assert poq("run", "committee_size", *FEW, "--out", "swept").code == 0
    return "swept"


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


def test_two_scenarios_are_played_and_compared(poq, larger: str) -> None:
    done = poq("compare", larger, "cost_aware_poq", *FEW, "--metric", "closeness_mean")
    assert done.code == 0
    assert "A = larger.yaml, B = cost_aware_poq" in done.out
    assert "From larger.yaml to cost_aware_poq, closeness_mean fell by 0." in said(done)
    assert "(4 matched replications)" in said(done)


def test_two_treatments_of_a_stored_run(poq, swept: str) -> None:
    done = poq("compare", "committee_size=1", "committee_size=3", "--in", swept)
    assert done.code == 0
    assert "reward of evaluator sts_stsb" in done.out
    assert "Equal in every pair: inference_cost_mean, truth_mean" in said(done)
    assert not any(line.startswith("│ truth_mean") for line in done.out.splitlines())


def test_what_is_asked_for_has_a_row_even_where_it_is_equal(poq, swept: str) -> None:
    ids = ("committee_size=1", "committee_size=3")
    done = poq("compare", *ids, "--in", swept, "--metric", "truth_mean")
    assert any(line.startswith("│ truth_mean") for line in done.out.splitlines())


def test_stored_and_played_agree(poq, swept: str, larger: str) -> None:
    ids = ("committee_size=1", "committee_size=3")
    stored = poq("compare", *ids, "--in", swept, "--csv")
    played = poq("compare", larger, "cost_aware_poq", *FEW, "--csv")
    assert stored.code == played.code == 0
    assert stored.out == played.out


def test_folders_and_scenarios_mix(poq, larger: str) -> None:
    poq("run", larger, *FEW, "--out", "a")
    poq("run", "cost_aware_poq", *FEW, "--out", "b")
    folders = poq("compare", "a", "b", "--csv")
    mixed = poq("compare", "a", "cost_aware_poq", *FEW, "--csv")
    assert folders.code == mixed.code == 0
    assert folders.out == mixed.out


def test_csv_is_the_table_and_nothing_else(poq, swept: str) -> None:
    ids = ("committee_size=1", "committee_size=3")
    done = poq("compare", *ids, "--in", swept, "--csv", "--metric", "bias", "--metric", "spearman")
    table = pd.read_csv(io.StringIO(done.out))
    assert table["metric"].tolist() == ["bias", "spearman"]
    assert {"difference", "low", "high", "variance_reduction", "moved"} <= set(table.columns)


def test_settings_reach_both_sides(poq, larger: str) -> None:
    setting = ("--set", "mechanism.committee_size=2")
    done = poq("compare", larger, "cost_aware_poq", *FEW, *setting)
    assert "nothing is shown to have moved" in said(done)
    assert "No evidence" not in said(done)


def test_other_rounds_and_profiles_are_noted(poq, tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(MADE)
    done = poq("compare", "cost_aware_poq", "made.yaml", "--replications", 2, "--metric", "bias")
    assert done.code == 0
    assert "Different rounds (5,000 and 150) and profiles (published and synthetic): " in said(done)
    assert "pairs match less" in said(done)


def test_swept_rounds_and_profiles_are_noted(poq, tmp_path: Path) -> None:
    sweep = "sweep: {zip: {rounds: [100, 150], synthetic.noise_sd: [1.0, 2.0]}}\n"
    (tmp_path / "made.yaml").write_text(MADE + sweep)
    assert poq("run", "made.yaml", "--replications", 2, "--out", "swept").code == 0
    ids = ("rounds=100,noise_sd=1", "rounds=150,noise_sd=2")
    done = poq("compare", *ids, "--in", "swept", "--csv")
    assert done.code == 0
    assert "Different rounds (100 and 150) and profiles (two of one name): " in said(done)
    assert "Different" not in done.out


def test_alike_sides_bring_no_note(poq, larger: str) -> None:
    assert "Different" not in poq("compare", larger, "cost_aware_poq", *FEW).out


def test_replications_without_a_partner_are_counted(poq, larger: str) -> None:
    poq("run", larger, "--rounds", 200, "--replications", 6, "--out", "six")
    done = poq("compare", "six", "cost_aware_poq", *FEW, "--metric", "bias")
    assert "(4 matched replications)" in said(done)
    assert "Replications without a partner on the other side, left out: 2." in said(done)


def test_one_replication_is_too_few(poq, larger: str) -> None:
    few = ("--rounds", 50, "--replications", 1)
    done = poq("compare", larger, "cost_aware_poq", *few, "--metric", "bias")
    assert done.code == 0
    assert "Too few pairs to judge: bias." in said(done)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("committee_size=1", "comittee_size=3", "--in", "swept"),
            "no axis 'comittee_size'; did you mean 'committee_size'?",
        ),
        (
            ("committee_size", "cost_aware_poq"),
            "committee_size has 3 treatments (committee_size=1; committee_size=2; "
            "committee_size=3); play it with `poq run committee_size` and compare two of them "
            "with --in FOLDER",
        ),
        (("swept", "cost_aware_poq"), "swept holds 3 treatments"),
        (("swept", "cost_aware_poq"), "compare two with --in swept"),
        (
            ("cost_aware_poq", "many_nodes", "--metric", "corelation"),
            "--metric corelation: unknown metric; did you mean 'correlation'?",
        ),
        (
            (
                "committee_size=1",
                "committee_size=3",
                "--in",
                "swept",
                "--metric",
                "reward of x sts_stsb",
            ),
            "no metric 'reward of x sts_stsb'; did you mean 'reward of evaluator sts_stsb'?",
        ),
        (
            ("committee_size=1", "committee_size=3", "--in", "swept", "--rounds", "9"),
            "stored results are compared as they are; rounds=9 has no use here",
        ),
        (("cost_aware_pog", "many_nodes"), "did you mean 'cost_aware_poq'?"),
        (("a", "b", "--in", "nowhere"), "nowhere is not a results folder"),
    ],
)
@pytest.mark.usefixtures("swept")
def test_a_mistake_is_explained(poq, arguments: tuple[str, ...], complaint: str) -> None:
    done = poq("compare", *arguments)
    assert done.code == 2
    assert complaint in said(done)
    assert done.out == ""


def test_other_seeds_are_no_pairs(poq, larger: str) -> None:
    poq("run", larger, *FEW, "--seed", 7, "--out", "seven")
    done = poq("compare", "cost_aware_poq", "seven", *FEW)
    assert done.code == 2
    assert "cost_aware_poq is drawn with seed 1, seven with seed 7" in said(done)
    assert poq("compare", "cost_aware_poq", "seven", *FEW, "--seed", 7).code == 0


def test_an_unfinished_folder_is_refused(poq, swept: str, tmp_path: Path) -> None:
    interrupt(tmp_path / swept)
    done = poq("compare", "committee_size=1", "committee_size=3", "--in", swept)
    assert done.code == 2
    assert "unfinished" in done.err


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_no_number_is_cut_off(poq, swept: str, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    ids = ("committee_size=1", "committee_size=3")
    monkeypatch.setenv("COLUMNS", str(width))
    done = poq("compare", *ids, "--in", swept)
    assert "…" not in done.out
    assert max(len(line) for line in done.out.splitlines()) <= width


def test_names_break_at_spaces_and_underscores() -> None:
    assert _broken("reward of inference llama_3_2_3b", 19) == "reward of inference\nllama_3_2_3b"
    assert _broken("malicious_majority_expected", 19) == "malicious_majority_\nexpected"
    assert _broken("bias", 19) == "bias"
