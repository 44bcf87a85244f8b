"""The last stage: what the logs hold comes out as a profile, and what they lack is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.configuration import Calibration
from calibration.corpus.records import Record, write_corpus
from calibration.judge.verdicts import make_pair, make_question
from calibration.profile.building import build
from calibration.workspace import Log, Workspace
from poq_abm.errors import InputError
from poq_abm.profile import Profile, read_profile

MODELS, EVALUATORS = ("large", "tiny"), ("cosine", "entails")
Row = dict[str, Any]


class Study:
    """A calibration whose logs are there: 2 models, 2 evaluators, 2 tasks of 3 records each."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder)
        self.said: list[str] = []
        self.records = [
            Record(f"{task}{i}", task, f"What is {i}?", (f"it is {i} and all",))
            for task in ("qa", "news")
            for i in range(3)
        ]
        write_corpus(self.workspace.corpus, self.records)
        for m, model in enumerate(MODELS):
            for r, record in enumerate(self.records):
                self.write_output(model, record.id, "it is" if (m + r) % 2 else f"it is {r}")
                for e, evaluator in enumerate(EVALUATORS):
                    self.write_value(evaluator, record.id, model, 0.1 * (r + 2 * m + e * r * m))

    def write_output(self, model: str, record: str, output: str, **more: Any) -> None:
        row = {"record": record, "model": model, "output": output, **more}
        Log(self.workspace.generations(model)).append(row)

    def write_value(self, evaluator: str, record: str, model: str, value: float) -> None:
        row = {"record": record, "model": model, "evaluator": evaluator, "value": value}
        Log(self.workspace.scores(evaluator)).append(row)

    def write_timing(self, role: str, node: str, batch_size: int = 1, **changes: Any) -> None:
        row: Row = {
            "role": role, "node": node, "hardware": "gpu_a", "batch_size": batch_size,
            "new_tokens": 128, "weights": "real", "latencies_ms": [10.0, 20.0, 60.0],
            "prefill_ms": [], "decode_ms_per_token": [], "throughput_tokens_per_s": 50.0,
            "peak_memory_mb": 9.0, "energy_j": None, "stamp": {"gpu": "A"}, **changes,
        }  # fmt: skip
        path = self.workspace.efficiency(role, node, batch_size)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(row))

    def judged(self, record: int, model: str, outcome: Row) -> None:
        rows, _ = Log(self.workspace.generations(model)).read()
        own = self.records[record]
        output = {row["record"]: row["output"] for row in rows}[own.id]
        key = make_question("judge-1", own, model, output).key
        row = {"record": own.id, "model": model, "judge": "judge-1", "key": key, **outcome}
        Log(self.workspace.judgements).append(row)

    def calibration(self, **changes: Any) -> Calibration:
        return Calibration.model_validate(
            {
                "name": "study",
                "out": str(self.workspace.out),
                "corpus": [{"format": "table", "path": str(self.workspace.out / "corpus.csv")}],
                "models": [{"name": name, "model": f"org/{name}"} for name in MODELS],
                "evaluators": [
                    {"name": name, "model": f"org/{name}", "kind": "bi_encoder"}
                    for name in EVALUATORS
                ],
                **changes,
            }
        )

    def build(self, **changes: Any) -> Profile:
        return read_profile(build(self.calibration(**changes), self.said.append))

    def header(self) -> Row:
        found: Row = json.loads((self.workspace.profile / "profile.json").read_text("utf-8"))
        return found


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path / "study")


def test_everything_measured_arrives(study: Study) -> None:
    profile = study.build()
    assert profile.name == "study"
    assert profile.tasks == ("qa", "news")
    assert profile.models == MODELS
    assert profile.evaluators == EVALUATORS
    place = profile.records.index("qa2")
    # "it is" and "it is 2" against "it is 2 and all": F1 of 2 in 2 + 5 and of 3 in 3 + 5 tokens
    assert profile.truth[place].tolist() == pytest.approx([10 * 6 / 8, 10 * 4 / 7])
    assert np.isnan(profile.judge).all()


def test_scores_are_normalised_and_the_transform_is_kept(study: Study) -> None:
    profile = study.build()
    transform = study.header()["normalisation"]
    assert transform["scope"] == "task"
    assert transform["evaluators"]["cosine"]["qa"] == {"minimum": 0.0, "maximum": 0.4}
    assert profile.scores[profile.records.index("qa1"), 0, 0] == pytest.approx(2.5)
    assert profile.scores.min() == 0.0
    assert profile.scores.max() == 10.0


@pytest.mark.parametrize(("metric", "shared"), [("token_f1", 2), ("squad_f1", 3)])
def test_the_truth_is_what_the_metric_says(study: Study, metric: str, shared: int) -> None:
    """ "it is -2" against "it is 2 and all": the official script deletes the sign."""
    study.write_output("large", "qa2", "it is -2")
    profile = study.build(truth=metric)
    told = study.header()["provenance"]
    place, model = profile.records.index("qa2"), profile.models.index("large")
    assert profile.truth[place, model] == pytest.approx(10 * 2 * shared / 8)
    assert told["truth"] == metric
    assert any(sentence.startswith(f"Truth: {metric} times 10") for sentence in told["measured"])


def test_a_judge_of_pairs_leaves_shares_and_strengths(study: Study) -> None:
    rows, models = {}, list(MODELS)
    for model in models:
        rows[model] = {
            r["record"]: r["output"] for r in Log(study.workspace.generations(model)).read()[0]
        }
    for record in study.records:
        said = [(model, rows[model][record.id]) for model in models]
        for pair, better in ((said, "first"), (said[::-1], "tie")):
            key = make_pair("judge-1", record, *pair).key
            names = {"record": record.id, "model": pair[0][0], "against": pair[1][0]}
            Log(study.workspace.judgements).append({**names, "key": key, "better": better})
    profile = study.build(judge={"model": "judge-1", "mode": "pairs"})
    assert profile.judge.tolist() == [[7.5, 2.5]] * 6
    told = study.header()["provenance"]["judge"]
    assert (told["judged"], told["pairs_in_both_orders"], told["decided_by_order"]) == (12, 6, 6)
    first = told["bradley_terry"][0]
    assert (first["task"], first["model"], first["score"]) == (
        "qa",
        models[0],
        pytest.approx(5 / 7 * 10),
    )
    assert first["low"] <= first["score"] <= first["high"]


def test_a_thinking_trace_is_removed_where_the_setting_says_so(study: Study) -> None:
    study.write_output("large", "qa2", "<think>it may be 7</think> it is 2")
    kept = study.build()
    place, model = kept.records.index("qa2"), kept.models.index("large")
    assert study.header()["provenance"]["generation"]["traces"] == "keep"
    # "it is 2" against "it is 2 and all": F1 of 3 in 3 + 5 tokens; with "it may be 7" less
    removed = study.build(generation={"traces": "remove"})
    assert study.header()["provenance"]["generation"]["traces"] == "remove"
    assert removed.truth[place, model] == pytest.approx(10 * 6 / 8)
    assert kept.truth[place, model] < 6.0
    assert kept.content_hash != removed.content_hash


def test_the_default_decoding_is_said_to_be_assumed(study: Study) -> None:
    study.build()
    assert "Decoding at temperature 0.7 from the nucleus of 0.9" in " ".join(
        study.header()["provenance"]["assumed"]
    )
    study.build(generation={"temperature": 0.2})
    assert "Decoding" not in " ".join(study.header()["provenance"]["assumed"])


def test_normalisation_over_the_whole_set(study: Study) -> None:
    study.build(scoring={"normalise": "whole_set"})
    assert set(study.header()["normalisation"]["evaluators"]["cosine"]) == {""}


def test_the_profile_carries_its_findings_and_its_caveats(study: Study) -> None:
    build(study.calibration(), study.said.append, caveats=["Nothing here means anything."])
    told = study.header()["provenance"]
    assert told["caveats"] == ["Nothing here means anything."]
    assert {row["task"] for row in told["findings"]["correlations"]} == {"qa", "news", "average"}
    assert told["findings"]["variance_shares"]
    assert str(study.workspace.out.parent) not in json.dumps(study.header()), "no path of ours"


def test_a_judge_that_spoke_in_part(study: Study) -> None:
    study.judged(0, "large", {"score": 8.0})
    study.judged(1, "tiny", {"refused": "no"})
    profile = study.build(judge={"model": "judge-1"})
    assert profile.judge[profile.records.index("qa0"), 0] == 8.0
    assert np.isnan(profile.judge).sum() == profile.judge.size - 1
    assert "the judge refused 1 of 2 outputs; they have no score" in study.said
    assert study.header()["provenance"]["judge"] == {"model": "judge-1", "judged": 1, "refused": 1}


def test_costs_come_from_the_efficiency_stage(study: Study) -> None:
    for node in MODELS:
        study.write_timing("inference", node)
    study.write_timing("inference", "large", 8, latencies_ms=[500.0])
    for node in EVALUATORS:
        study.write_timing("evaluator", node, 64, throughput_tokens_per_s=None)
    study.write_timing("inference", "elsewhere")
    profile = study.build()
    row = profile.costs.set_index("node").loc["large"]
    assert row[["latency_ms", "latency_p50_ms"]].tolist() == [30.0, 20.0]
    assert row["latency_sd_ms"] == pytest.approx(np.std([10, 20, 60], ddof=1))
    assert np.isnan(row["energy_j"])
    assert set(profile.costs["node"]) == {*MODELS, *EVALUATORS}
    told = study.header()["provenance"]
    assert not any("Latenc" in sentence for sentence in told["assumed"])
    assert [row["batch_size"] for row in told["efficiency"] if row["node"] == "large"] == [1, 8]
    assert study.header()["hardware"] == [{"name": "gpu_a", "stamp": {"gpu": "A"}}]


def test_random_weights_are_told(study: Study) -> None:
    for node in MODELS:
        study.write_timing("inference", node, weights="random")
    study.build()
    assert "with random weights" in " ".join(study.header()["provenance"]["inferred"])


def test_half_a_class_is_not_timed(study: Study) -> None:
    """Cost is relative inside a class: a timing beside an assumption would mean nothing."""
    study.write_timing("inference", "large")
    profile = study.build()
    assert profile.costs.groupby("role")["latency_ms"].nunique().tolist() == [1, 1]
    assert "inference nodes: no timing of tiny" in study.said[0]
    assumed = " ".join(study.header()["provenance"]["assumed"])
    assert "inference nodes: not measured, set equal" in assumed
    assert "evaluators: not measured, set equal" in assumed


def test_the_generation_logs_stand_in(study: Study) -> None:
    for m, model in enumerate(MODELS):
        for record in study.records:
            more = {"seconds": 1.0 + m, "batch_size": 1, "output_tokens": 10}
            study.write_output(model, record.id, "it is", **more)
    profile = study.build()
    costs = profile.costs.set_index("node")
    assert costs.loc[list(MODELS), "latency_ms"].tolist() == [1000.0, 2000.0]
    assert costs.loc["tiny", "throughput_tokens_per_s"] == pytest.approx(5.0)
    assert "while generating" in " ".join(study.header()["provenance"]["inferred"])


def test_building_twice_changes_nothing(study: Study) -> None:
    first = study.build()
    assert study.build().content_hash == first.content_hash
    assert "already built" in study.said[-1]
    assert [path.name for path in study.workspace.out.glob("*profile*")] == ["profile"]


def test_another_profile_is_kept(study: Study) -> None:
    first = study.build()
    study.write_value("cosine", "qa0", "large", 0.3)
    assert study.build().content_hash != first.content_hash
    kept = study.workspace.out / f"profile_{first.content_hash[:12]}"
    assert read_profile(kept).content_hash == first.content_hash


def test_a_missing_output_names_the_stage(study: Study) -> None:
    log = study.workspace.generations("tiny")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-2]))
    with pytest.raises(InputError, match=r"tiny: 2 of 6 outputs .*'news1'; run `poq calibrate gen"):
        study.build()
    assert not study.workspace.profile.exists()


def test_a_missing_score_names_the_stage(study: Study) -> None:
    study.workspace.scores("entails").unlink()
    with pytest.raises(InputError, match=r"entails: 12 of 12 .* run `poq calibrate score`"):
        study.build()


def test_a_constant_evaluator_is_refused(study: Study) -> None:
    for record in study.records:
        for model in MODELS:
            study.write_value("cosine", record.id, model, 0.5)
    with pytest.raises(InputError, match=r"evaluator 'cosine' is constant \(0\.5\)"):
        study.build()


def test_a_task_with_one_record_is_refused(study: Study) -> None:
    write_corpus(study.workspace.corpus, study.records[:4])
    with pytest.raises(InputError, match="task 'news' has one record"):
        study.build()


def test_no_corpus_yet(study: Study) -> None:
    study.workspace.corpus.unlink()
    with pytest.raises(InputError, match="poq calibrate corpus"):
        study.build()
