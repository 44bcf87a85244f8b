"""A report holds the question, what the numbers lean on, the numbers, and how to get them again."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.stored_run import open_results
from poq_abm.experiment.files import checksum
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.report import report_page
from poq_abm.report.assumptions import assumptions
from poq_abm.report.provenance import provenance, reproduction
from poq_abm.report.tables import comparisons
from poq_abm.scenario import load, parse
from tests.conftest import Poq, interrupt

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]

SMALL = ["rounds=200", "replications=4"]
CROSSED = {
    "sweep": {"malicious.share": [0.0, 0.3, 0.6], "mechanism.aggregation": ["mean", "huber"],
              "mechanism.committee_size": [3, 5]},
    "rounds": 200, "replications": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(stored_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("runs")
    scenarios = {
        "one": load("cost_aware_poq", ["rounds=100", "replications=1"]),
        "swept": load("committee_size", SMALL),
        "crossed": load("adversary_sweep").replace(CROSSED),
    }
    made = {name: poq_abm.run(scenario).save(home / name) for name, scenario in scenarios.items()}
    return {**stored_runs, **made}


@pytest.fixture(scope="module")
def pages(runs) -> dict[str, str]:
    return {name: report_page(folder) for name, folder in runs.items()}


class Addresses(HTMLParser):
    """Collects everything that a page could load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.found += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]


@pytest.mark.parametrize("name", ["base", "one", "swept", "crossed", "economy", "protocols"])
def test_a_page_is_whole_and_loads_nothing(pages, name: str) -> None:
    page = pages[name]
    collected = Addresses()
    collected.feed(page)
    assert [a for a in collected.found if not a.startswith(("data:", "#"))] == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page)
    for part in ("results", "figures", "scenario", "assumptions", "methods", "odd", "provenance"):
        assert f'<section id="{part}">' in page
    assert page.count("<img ") >= (1 if name == "protocols" else 3)


def test_a_page_asks_the_scenarios_question_and_holds_its_file(pages, runs) -> None:
    page = pages["swept"]
    assert "What does a larger committee do to evaluator pay?" in page
    (encoded,) = re.findall(r'href="data:text/yaml;base64,([^"]+)"', page)
    scenario = parse(base64.b64decode(encoded).decode())
    manifest = json.loads((runs["swept"] / "manifest.json").read_text())
    assert Plan.of(scenario).hash() == manifest["hash"]


@pytest.mark.parametrize("name", ["base", "swept", "economy", "protocols"])
def test_the_provenance_pins_every_file_by_its_checksum(runs, name: str) -> None:
    told = dict(provenance(open_results(runs[name])))
    files = list(runs[name].glob("*.parquet/*.parquet"))
    assert files
    for path in files:
        said = told[f"{path.parent.name}/{path.name}"]
        digest = said.removeprefix("SHA-256 begins with ")
        assert len(digest) == 16
        assert checksum(path).startswith(digest)
        count = len(list(path.parent.glob("*.parquet")))
        assert told[path.parent.name].endswith(f" rows, files: {count}")


def test_a_table_of_many_files_lists_the_first(runs) -> None:
    run = open_results(runs["base"])
    (first, *_) = run.manifest["files"].values()
    many = {**first, "blocks": first["blocks"] * 300}
    told = provenance(replace(run, manifest={**run.manifest, "files": {"rounds": many}}))
    assert sum(line.startswith("SHA-256 begins with") for _, line in told) == 200
    assert any(line.endswith("; the first 200 follow") for _, line in told)


@pytest.mark.parametrize("name", ["base", "one", "swept", "economy"])
def test_the_command_reproduces_the_hash(runs, name: str) -> None:
    told = reproduction(open_results(runs[name]))
    assert not told.needs_file
    words = shlex.split(told.command)
    manifest = json.loads((runs[name] / "manifest.json").read_text())
    settings = [word for word in words[3:] if word != "--set"]
    assert words[:2] == ["poq", "run"]
    assert Plan.load(words[2], settings).hash() == manifest["hash"]


def test_a_scenario_that_is_not_in_the_library_is_played_from_its_file(runs) -> None:
    told = reproduction(open_results(runs["crossed"]))
    assert (told.command, told.needs_file) == ("poq run adversary_sweep.yaml", True)
    assert "another hash" not in told.note


def test_the_numbers_are_those_of_the_tables(pages, runs) -> None:
    summary = poq_abm.read_results(runs["base"]).summary()
    row = summary[summary["group"] == "llama_3_2_3b"].iloc[0]
    cells = re.findall(r'class="number" data-value="([^"]+)"', pages["base"])
    shown = [float(value) for value in cells]
    for value in (row["reward_mean"], row["reward_low"], row["latency_ms"]):
        assert np.isclose(shown, value, rtol=1e-12).any()


def test_published_inferred_and_assumed_are_told_apart(runs) -> None:
    lines = assumptions(open_results(runs["base"]))
    said = {line.statement: line.status for line in lines}
    assert said["mechanism.aggregation: mean"] == "published"
    assert said["mechanism.beta_inference = 0.3"] == "assumed"
    assert said["mechanism.committee_size = 3"] == "assumed"
    assert {line.status for line in lines if line.about == "profile published"} == {
        "published", "inferred", "assumed"}  # fmt: skip


def test_a_coefficient_that_is_not_table_4s_is_assumed(tmp_path: Path) -> None:
    scenario = load(
        "cost_aware_poq", ["rounds=50", "replications=2", "mechanism.beta_inference=0.5"]
    )
    lines = assumptions(open_results(poq_abm.run(scenario).save(tmp_path / "x")))
    (line,) = [one for one in lines if "beta_inference" in one.statement]
    assert (line.status, line.statement) == ("assumed", "mechanism.beta_inference = 0.5")


def test_protocols_are_reported_with_their_sources(pages, runs) -> None:
    lines = [one for one in assumptions(open_results(runs["protocols"])) if one.about == "protocol"]
    said = {one.statement.split(":")[0]: one.status for one in lines}
    assert (said["opml"], said["none"]) == ("inferred", "assumed")
    assert "What the protocols let through, take and cost" in pages["protocols"]
    assert "From protocol=centralised to protocol=none" in pages["protocols"]
    assert pages["protocols"].count("Common random numbers") == 1


def test_what_an_economy_comes_to_is_compared(runs) -> None:
    compared = comparisons(open_results(runs["economy"]))
    profit = "mean profit (tokens per present node and epoch) rose by"
    assert all(profit in sentence for sentence in compared.sentences)
    assert len(compared.sentences) == 2
    (equal, _) = compared.table.notes
    assert "mean consensus" in equal


def test_differences_of_shares_stay_inside_their_range(runs) -> None:
    rows = comparisons(open_results(runs["protocols"])).table.rows
    said = [row for row in rows if row[1].value == "dishonest_stands"]
    assert {row[2].text for row in said} == {"0 to 1"}
    ends = [float(end) for row in said for end in row[5].text.strip("[]").split(", ")]
    assert -1.0 <= min(ends) < max(ends) <= 1.0


def test_an_economys_choices_are_in_the_register(runs) -> None:
    said = {line.statement.split(" = ")[0] for line in assumptions(open_results(runs["economy"]))}
    assert {"economy.epochs", "economy.payment.pool", "economy.payment.scheme"} <= said
    assert any(text.startswith("entry_exit: chance rate x") for text in said)


def test_one_replication_has_no_interval_and_says_so(pages) -> None:
    page = pages["one"]
    assert "One replication: no interval can be given" in page
    assert "none: one replication" in page
    assert not re.search(r">\[[-\d]", page.split('id="assumptions"')[0])


def test_a_partial_run_is_reported_and_said_to_be_partial(tmp_path: Path) -> None:
    run_to_folder(Plan.of(load("cost_aware_poq", ["rounds=50", "replications=4"])), tmp_path)
    interrupt(tmp_path)
    assert 'role="status">Partial: 4 of 4 replications' in report_page(tmp_path)


def test_a_setting_that_did_nothing_is_named(pages, tmp_path: Path) -> None:
    scenario = load("cost_aware_poq", ["mechanism.aggregation=trimmed_mean", "mechanism.tau=0.1"])
    scenario = scenario.replace({"mechanism.aggregation": "mean"})
    poq_abm.run(scenario.replace({"rounds": 20}), replications=2).save(tmp_path / "run")
    assert "Mechanism.tau did nothing: acts only with" in report_page(tmp_path / "run")
    assert not any("did nothing" in page for page in pages.values())


def test_a_folder_that_is_no_run_is_refused(poq: Poq, tmp_path: Path) -> None:
    told = poq("report", tmp_path)
    assert told.code == 2
    assert "is not a results folder" in told.err


def test_poq_report_writes_where_it_is_told(poq: Poq, runs, tmp_path: Path) -> None:
    assert poq("report", runs["base"], "--out", tmp_path / "a/b.html").code == 0
    assert (tmp_path / "a/b.html").read_text().startswith("<!doctype html>")
    assert poq("report", runs["base"]).out.strip().endswith("report.html")
    assert poq("verify", runs["base"]).code == 0, "a report beside the results harms nothing"


def test_ends_of_axes_are_compared_over_the_same_cells(runs) -> None:
    run = open_results(runs["crossed"])
    told = comparisons(run)
    rows = {tuple(cell.value for cell in row[:3]): row[5].value for row in told.table.rows}
    ends = {"share=0": "share=0.6", "aggregation=mean": "aggregation=huber",
            "committee_size=3": "committee_size=5"}  # fmt: skip
    assert {(a, b) for a, b, _ in rows} == set(ends.items())
    assert len(told.sentences) == 3
    played = run.results.replications.merge(run.results.treatments, on="treatment")
    wide = played.pivot_table(index="replication", columns="mechanism.aggregation", values="bias")
    found = rows["aggregation=mean", "aggregation=huber", "bias"]
    assert np.isclose(found, (wide["huber"] - wide["mean"]).mean(), rtol=1e-9)
    gap = played.dropna(subset=["reward_gap"])
    wide = gap.pivot_table(
        index="replication", columns="mechanism.aggregation", values="reward_gap"
    )
    found = rows["aggregation=mean", "aggregation=huber", "reward_gap"]
    assert np.isclose(found, (wide["huber"] - wide["mean"]).mean(), rtol=1e-9)
    assert ("share=0", "share=0.6", "reward_gap") not in rows


def test_verdicts_hold_over_all_comparisons_together(runs, monkeypatch) -> None:
    from poq_abm.report import tables as module

    seen: list[int] = []
    monkeypatch.setattr(module, "holm", lambda p: seen.append(len(p)) or np.ones(len(p)))
    done = comparisons(open_results(runs["swept"]))
    assert len(seen) == 1
    assert seen[0] >= len(done.table.rows)
    assert {row[3].text for row in done.table.rows} == {"no evidence"}


@pytest.mark.parametrize("name", ["base", "one", "swept", "crossed", "economy", "protocols"])
def test_odd_names_every_element_of_the_protocol(pages, name: str) -> None:
    section = re.search(r'<section id="odd">(.*?)</section>', pages[name], re.DOTALL)[1]
    parts = re.split(r"<h3>(.*?)</h3>", section)[1:]
    counts = {part: text.count("<dt>") for part, text in zip(parts[::2], parts[1::2], strict=True)}
    assert counts == {"Overview": 3, "Design concepts": 11, "Details": 3}
    texts = [" ".join(text.split()) for text in re.findall(r"<dd>(.*?)</dd>", section, re.DOTALL)]
    assert len(texts) == 17
    assert all(len(text) > 4 for text in texts)
    assert "nan" not in " ".join(texts).split()
    assert ("entry_exit" in section) == (name == "economy")
    assert ("of present nodes" in section) == (name == "economy")
    assert ("Each round:" in section) == (name not in ("economy", "protocols"))


def test_the_methods_say_what_was_played(pages) -> None:
    (section,) = re.findall(r'<section id="methods">(.*?)</section>', pages["swept"], re.DOTALL)
    said = html.unescape(" ".join(section.split()))
    assert "has 5 inference nodes and 3 evaluator nodes" in said
    assert "from the profile published. 3 treatments vary mechanism.committee_size" in said
    assert "played for 200 rounds in 4 independent replications." in said
    assert "a committee of K = 1, 2, 3 evaluators" in said
    assert "(alpha_F = 1, beta_F = 0.3, alpha_M = 1, beta_M = 0.3)" in said
    assert "Treatments share their keys" in said


def test_a_profile_that_changed_is_named_as_missing(runs, monkeypatch) -> None:
    run = open_results(runs["base"])
    monkeypatch.setitem(run.manifest, "profiles", {"published": "0" * 64})
    (line,) = [one for one in assumptions(run) if one.about == "profile published"]
    assert "not here as it was" in line.statement
    assert "profile published" not in {p.name for p in run.profiles[0]}


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    people = {"evaluators": [{"model": "sts_stsb", "name": "<script>alert(1)</script>"}],
              "inference": [{"model": "llama_3_2_3b"}]}  # fmt: skip
    scenario = load("cost_aware_poq", ["rounds=20", "replications=2"])
    scenario = scenario.replace({"population": people, "mechanism.committee_size": 1})
    page = report_page(poq_abm.run(scenario).save(tmp_path / "x"))
    assert "<script>alert" not in page


def test_missing_figures_are_dashes() -> None:
    from poq_abm.analysis.questions import Section
    from poq_abm.report.tables import table_of

    frame = pd.DataFrame({"a": [np.nan], "l": [np.nan], "h": [np.nan], "replications": [0]})
    (row,) = table_of(Section("t", frame, [], estimates=[("a", "l", "h", "a", "")])).rows
    assert [cell.text for cell in row] == ["-", "-"]
