"""What two commits report is compared by name, in alternation; no time is asserted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import against
from benchmarks.against import Figure, Tree, compare, figures, play
from benchmarks.exporting import exported


def document(rate, seconds):
    network = {"inference": 5, "evaluators": 3, "committee": 3}
    rates = {"compiled": {"median": rate}, "c_loop": None}
    return {
        "networks": [{**network, "rounds_per_second": rates}],
        "queries_per_second": {"otr": {"median": 7.0}},
        "measurements": [
            {"name": "large", "value": seconds, "unit": "s"},
            {"name": "share", "value": 0.5, "unit": "of the run"},
            {"name": "absent", "value": None, "unit": "s"},
        ],
    }


def test_rates_and_times_are_found_in_any_document():
    assert figures(document(3.0, 2.0)) == {
        "compiled F=5,M=3,K=3": Figure(3.0, "rounds/s", True),
        "otr": Figure(7.0, "queries/s", True),
        "large": Figure(2.0, "s", False),
    }


def test_trees_take_turns_and_the_better_reads_above_one(monkeypatch):
    played = []
    documents = {"here": document(3.0, 2.0), "abc": document(1.5, 3.0)}

    def answer(_suite, tree, _quick):
        played.append(tree.path.name)
        return documents[tree.path.name]

    monkeypatch.setattr(against, "_document", answer)
    trees = {name: Tree(Path(name), Path("cache")) for name in documents}
    turns = play("throughput", trees, 2, quick=True)
    assert played == ["here", "abc", "abc", "here"]
    ratios = {row["name"]: row["ratio"] for row in compare("throughput", turns)}
    assert ratios == {"compiled F=5,M=3,K=3": 2.0, "otr": 1.0, "large": 1.5}


def test_what_one_alone_reports_is_listed(monkeypatch, capsys):
    monkeypatch.setattr(against, "exported", lambda _checkout, folder, _commit: folder)

    def answer(_suite, tree, _quick):
        mine = {"name": "mine", "value": 1.0, "unit": "s"}
        both = {"name": "both", "value": 1.0 if tree.path == against.ROOT else 0.5, "unit": "s"}
        return {"measurements": [both, mine] if tree.path == against.ROOT else [both]}

    monkeypatch.setattr(against, "_document", answer)
    options = ["abc", "--only", "trace", "--repeats", "1"]
    assert against.main([*options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["ratio"]) for row in found["rows"]] == [("both", 0.5)]
    assert found["not_compared"] == {"trace": ["mine"]}
    assert against.main(options) == 0
    printed = capsys.readouterr().out
    assert "below 0.95: trace, both: 0.5" in printed
    assert "trace, reported by one of them only: mine" in printed


def test_a_commit_is_written_beside(tmp_path):
    asked = ["git", "rev-parse", "HEAD"]
    known = subprocess.run(asked, cwd=against.ROOT, capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip("no git here")
    folder = exported(against.ROOT, tmp_path / "tree")
    assert (folder / "pyproject.toml").is_file()
