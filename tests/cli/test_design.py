"""``poq design``: what it prints and keeps, after a kill as without one, and what it refuses."""

import json
import sys

import pytest
from typer.testing import CliRunner

from poq_abm.cli import app
from poq_abm.errors import InputError

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
        return CliRunner().invoke(app, ["design", *arguments], catch_exceptions=False)

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
    assert "is as it says" in again.stdout
    text = certificate.read_text()
    wrong = text.replace("replications: 6", "replications: 5")
    assert wrong != text
    certificate.write_text(wrong)
    assert poq(str(certificate), "--replay").exit_code == 1

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
    with pytest.raises(InputError, match="leave --select, --from"):
        poq("which.yaml", "--replay", "--select", "1")
    with pytest.raises(InputError, match="search"):
        poq("cost_aware_poq")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"poq-abm\[search\]"):
        poq("which.yaml")
