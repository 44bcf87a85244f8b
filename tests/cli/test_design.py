"""``poq design``: what it prints and keeps, after a kill as without one, and what it refuses."""

import base64
import json
import re
import sys

import pytest
from typer.testing import CliRunner

from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.best_response import SearchSettings, best_response
from poq_abm.analysis.audit.deviations import searchers
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.design import load_design
from poq_abm.analysis.design.searching import CERTIFIED_SEED, MOST_AUDITED
from poq_abm.cli import app
from poq_abm.errors import InputError
from poq_abm.experiment.search import drive

TEXT = """\
# Which committee?
extends: cost_aware_poq
rounds: 60
search:
  variables:
    mechanism.aggregation: {choices: [mean, median]}
    mechanism.committee_size: {low: 1, high: 3}
  objectives:
    - {maximise: correlation, tolerance: 0.001}
    - {maximise: evaluator_reward_mean, tolerance: 0.001}
  constraints:
    - {metric: inference_reward_mean, at_least: 0.0}
  budget: {designs: 12, generation: 4, replications: 2, front: 4, fresh: 4, looks: 1, certified: 6}
"""


@pytest.fixture
def poq(tmp_path, monkeypatch):
    """Run `poq design` in a folder that has a design file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "which.yaml").write_text(TEXT)

    def run(*arguments):
        given = [*arguments, "--no-report"] if "--report" not in arguments else arguments
        return CliRunner().invoke(app, ["design", *given], catch_exceptions=False)

    return run


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_search_that_was_killed_ends_with_the_same_bytes_and_is_certified(
    poq, tmp_path, monkeypatch
):
    pytest.importorskip("optuna")
    whole = poq("which.yaml", "--out", "whole")
    assert whole.exit_code == 0
    assert max(map(len, whole.stdout.split("Written")[0].splitlines())) <= 80
    (kept,) = (tmp_path / "whole").glob("*.jsonl")
    lines = kept.read_bytes().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / kept.name).write_bytes(b"".join(lines[:5]) + lines[5][:40])
    assert poq("which.yaml", "--out", "cut").exit_code == 0
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")
    (certificate,) = (tmp_path / "whole").rglob("certificate.yaml")
    again = poq(str(certificate), "--replay")
    assert again.exit_code == 0
    assert "byte for byte" in again.stdout
    text = certificate.read_text()
    certificate.write_text(f"{text}# and what somebody noted\n")
    noted = poq(str(certificate), "--replay")
    assert noted.exit_code == 0
    assert "every figure is as the certificate says" in noted.stdout
    wrong = text.replace("expected: {correlation: 0", "expected: {correlation: 1")
    assert wrong != text
    certificate.write_text(wrong)
    assert poq(str(certificate), "--replay").exit_code == 1
    certificate.write_text(text.replace("replications: 6", "replications: 5"))
    with pytest.raises(InputError, match="5 replications"):
        poq(str(certificate), "--replay")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("poq_abm.experiment.search.PlayInMemory.__call__", interrupted)
    stopped = poq("which.yaml", "--out", "fresh")
    assert stopped.exit_code == 1
    assert "the same command goes on" in stopped.stdout


def test_a_space_that_grew_keeps_what_was_played_and_begins_with_what_was_found(poq, tmp_path):
    pytest.importorskip("optuna")
    assert poq("which.yaml", "--out", "kept").exit_code == 0
    (played,) = (tmp_path / "kept").glob("*.jsonl")
    (certificate,) = (tmp_path / "kept").rglob("certificate.yaml")
    before = played.read_bytes()
    size = "mechanism.committee_size: {low: 1, high: 3}"
    grown = TEXT.replace(size, f"{size}\n    mechanism.beta_evaluator: {{low: 0.0, high: 0.6}}")
    (tmp_path / "which.yaml").write_text(grown)
    for folder in ("kept", "fresh"):
        done = poq("which.yaml", "--out", folder, "--from", str(certificate))
        assert done.exit_code == 0
    after = played.read_bytes()
    assert after.startswith(before)
    fresh = (tmp_path / "fresh" / played.name).read_bytes()
    assert len(after) - len(before) < len(fresh), "the mechanism and the certified design are there"
    (found,) = (tmp_path / "fresh").rglob("certificate.yaml")
    assert (tmp_path / "kept" / found.relative_to(tmp_path / "fresh")).read_bytes() == (
        found.read_bytes()
    ), "what was played before changes nothing"
    assert poq("which.yaml", "--out", "kept").exit_code == 0
    there = list((tmp_path / "kept").glob("which-*"))
    assert "Begun with aggregation" in " ".join(done.stdout.split())
    assert len(there) == 3, "another beginning is another search, in a folder of its own"
    with pytest.raises(InputError, match="is no certificate of poq design"):
        poq("which.yaml", "--from", "which.yaml")


def test_the_audit_of_a_certificate_is_carried_out_and_played_again(poq, tmp_path, monkeypatch):
    """Its figures are those of an audit and a search made here, on the certificate's own keys.

    Under an absurd bound the first member passes. Where nothing at all may gain, a committee of
    one is left, whose member is always paid the most, and the others are said to have failed. What
    a kill left of an audit is not made again.
    """
    pytest.importorskip("optuna")
    monkeypatch.setattr("poq_abm.analysis.audit.best_response._BATCHES", 2)
    asked = (
        "  audit: {at_most: 9.0, share: 0.7, replications: 3, behaviours: [boost], by: [ring]}\n"
    )
    text = TEXT.replace("rounds: 60", "rounds: 20") + asked
    (tmp_path / "audited.yaml").write_text(text)
    assert poq("audited.yaml").exit_code == 0
    (certificate,) = (tmp_path / "designs").rglob("certificate.yaml")
    problem = load_design(certificate)
    said = problem.certificate["audit"]["chosen"]
    keys = {"seed": problem.scenario.seed + CERTIFIED_SEED}
    chosen = problem.scenario.replace({**keys, **problem.certificate["design"]})
    level = 1.0 - 0.05 / ((1 + MOST_AUDITED) * 2)
    how = {"replications": 3, "epsilon": 9.0, "confidence": level}
    roles = ("inference", "evaluator", "ring")
    gains = audit(chosen, share=0.7, behaviours=[{"name": "boost"}], roles=roles, **how).gains
    best = {one["by"]: one for one in said["best"]}
    assert set(best) == {"evaluator", "ring"}
    alone, together = gains[gains["members"] == 1], gains[gains["members"] > 1]
    assert len(together) > 5, "across roles, too"
    assert best["evaluator"]["gain"] == alone["gain"].max()
    assert best["evaluator"]["upper"] == alone["family_high"].max()
    (ring,) = searchers(chosen, "ring", 0.7)
    runner = VariantRunner.of(chosen)
    how = SearchSettings(tested=3, confidence=level, epsilon=9.0)
    found = drive(best_response(runner, ring, how), runner.player)
    assert best["ring"]["tried"] == found.tried + len(together) > 120
    assert best["ring"]["upper"] == max(found.last[1].high, together["family_high"].max())
    words = " ".join(certificate.read_text().replace("#", "").split())
    assert "deviations that were declared or searched for, in tokens per job" in words
    (kept,) = (tmp_path / "designs").glob("*.jsonl")
    whole, lines = files_of(tmp_path / "designs"), kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join(lines[:-2]) + lines[-2][:40])
    assert poq("audited.yaml").exit_code == 0
    assert files_of(tmp_path / "designs") == whole
    with monkeypatch.context() as without:
        without.setattr("poq_abm.analysis.design.certificate.audit", None)
        assert poq("audited.yaml").exit_code == 0, "nothing is audited again"
    again = poq(str(certificate), "--replay")
    assert again.exit_code == 0
    assert "byte for byte" in again.stdout
    (tmp_path / "strict.yaml").write_text(text.replace("9.0", "1.0e-9").replace("[ring]", "[]"))
    strict = poq("strict.yaml", "--json")
    said = json.loads(strict.stdout)
    assert said["chosen"]["mechanism.committee_size"] == 1
    assert "failed its audit" in " ".join(said["notes"])


def test_a_design_that_cannot_be_played_is_passed_over_and_said(poq, tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "large.yaml").write_text(TEXT.replace("high: 3", "high: 9"))
    done = poq("large.yaml", "--json")
    assert done.exit_code == 0
    said = " ".join(json.loads(done.stdout)["notes"])
    assert "cannot be, the first because a committee of" in said


def test_a_search_is_repeated_and_the_choice_is_tried_in_drawn_cases(poq, tmp_path):
    pytest.importorskip("optuna")
    cases = """
  uncertainties: {rounds: {low: 2, high: 60}}
  constraints: [{metric: correlation, at_least: 0.0}]
  budget: {cases: 40, """
    text = TEXT.replace("rounds: 60", "rounds: 40").replace("  budget: {", cases)
    text = text.replace(
        "  constraints:\n    - {metric: inference_reward_mean, at_least: 0.0}\n", ""
    )
    (tmp_path / "cases.yaml").write_text(text)
    done = poq("cases.yaml", "--repeat", "2", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert {row["search"] for row in said["progress"]} == {1, 2}
    assert {row["attained"] for row in said["attainment"]} <= {0.5, 1.0}
    assert len(said["cases"]) == 40
    designs = [row["designs"] for row in said["choices"] if row["field"] == "aggregation"]
    assert f" {sum(designs)} of them different" in " ".join(said["notes"])
    notes = " ".join(said["notes"])
    assert "Searched again from 1 other seed" in notes
    assert "Of 40 cases of rounds (2 replications each)" in notes
    assert poq("cases.yaml", "--repeat", "2", "--report").exit_code == 0
    (page,) = (tmp_path / "designs").rglob("report.html")
    text = page.read_text()
    (certificate,) = (tmp_path / "designs").rglob("certificate.yaml")
    inside = re.search(r'download="certificate.yaml" href="data:text/yaml;base64,([^"]+)"', text)
    assert base64.b64decode(inside[1]) == certificate.read_bytes()
    assert "Of 40 cases of rounds" in " ".join(certificate.read_text().replace("#", "").split())
    assert "byte for byte" in poq(str(certificate), "--replay").stdout
    one_less = certificate.with_name("one_less.yaml")
    one_less.write_text(certificate.read_text().replace("drawn: 40", "drawn: 39"))
    assert (
        "cases.drawn: the certificate says 39, played 40" in poq(str(one_less), "--replay").stdout
    )
    assert text.count("<img src=") >= 4
    for part in ("Certificate", "The front", "What does it", "Searched again from 1 other seed",
                 "What was tried of each choice", "quarters of each range"):  # fmt: skip
        assert part in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    before = page.read_bytes()
    page.unlink()
    assert CliRunner().invoke(app, ["report", str(page.parent)]).exit_code == 0
    assert page.read_bytes() == before
    found = page.with_name("found.json")
    found.write_text(found.read_text().replace('"settings"', '"setting"'))
    with pytest.raises(InputError, match="run poq design again"):
        CliRunner().invoke(app, ["report", str(page.parent)], catch_exceptions=False)


def test_a_short_list_is_selected_from_and_its_table_is_data(poq, tmp_path):
    listed = TEXT.replace("{low: 1, high: 3}", "{choices: [1, 3]}")
    (tmp_path / "listed.yaml").write_text(listed)
    done = poq("listed.yaml", "--select", "0.5", "--json")
    said = json.loads(done.stdout)
    assert len(said["candidates"]) == 4
    assert sum(row["selected"] for row in said["candidates"]) == 1
    assert "Kim and Nelson" in said["selected"]
    with pytest.raises(InputError, match="committee_size has a range"):
        poq("which.yaml", "--select", "0.5")


def test_what_is_missing_or_does_nothing_is_refused(poq, monkeypatch):
    with pytest.raises(InputError, match="no section `certificate`"):
        poq("which.yaml", "--replay")
    with pytest.raises(InputError, match="leave --set, --select, --from"):
        poq("which.yaml", "--replay", "--select", "1")
    with pytest.raises(InputError, match="search"):
        poq("cost_aware_poq")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"poq-abm\[search\]"):
        poq("which.yaml")
