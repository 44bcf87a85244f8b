"""The efficiency stage on tiny models: both kinds of weights, resumption, memory that runs out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

from calibration.configuration import Calibration
from calibration.corpus.records import Record, join_question, write_corpus
from calibration.latency import measurement
from calibration.latency.measurement import (
    TimingJob,
    jobs_of,
    measure,
    measure_all,
    read_measurement,
)
from calibration.latency.timing import Timed
from calibration.models.tiny import TinyModels, build_tiny
from calibration.stage_settings import EfficiencySettings, EvaluatorSpec
from calibration.workspace import Workspace
from poq_abm.errors import InputError

RECORDS = [
    Record("a", "qa", join_question("Who won?", "Denver won the game."), ("Denver",)),
    Record("b", "qa", join_question("When does it leave?", "The train leaves at nine."), ("nine",)),
    Record("c", "summarization", "It rained all day, and nobody was out.", ("It rained.",)),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    texts = [text for record in RECORDS for text in (record.input, *record.references)]
    return build_tiny(tmp_path_factory.mktemp("tiny"), texts)


@pytest.fixture
def plan(tiny: TinyModels, tmp_path: Path) -> Callable[..., Calibration]:
    write_corpus(Workspace(tmp_path).corpus, RECORDS)

    def made(**settings: Any) -> Calibration:
        return Calibration.model_validate(
            {
                "name": "trial",
                "out": tmp_path,
                "corpus": [{"format": "squad", "path": "none.json"}],
                "models": [
                    {"name": name, "model": str(tiny.language[name]), "dtype": "float32"}
                    for name in ("llama", "qwen2")
                ],
                "evaluators": [
                    {"name": "ce", "model": str(tiny.cross_encoder), "kind": "cross_encoder",
                     "batch_size": 2},
                    {"name": "bi", "model": str(tiny.bi_encoder), "kind": "bi_encoder",
                     "batch_size": 4},
                ],
                "generation": {"device": "cpu"},
                "scoring": {"device": "cpu"},
                "efficiency": {
                    "prompts": 3, "warm_up": 1, "new_tokens": 4, "batch_sizes": [1, 2], **settings,
                },
            }
        )  # fmt: skip

    return made


@pytest.mark.parametrize("weights", ["real", "random"])
def test_every_node_is_timed_at_its_batch_sizes(
    plan: Callable[..., Calibration], weights: str
) -> None:
    calibration = plan(weights=weights)
    files = measure(calibration, lambda _: None)
    assert [file.name for file in files] == [
        "inference.llama.b1.json",
        "inference.llama.b2.json",
        "inference.qwen2.b1.json",
        "inference.qwen2.b2.json",
        "evaluator.ce.b2.json",
        "evaluator.bi.b4.json",
    ]
    assert files == [file for file in files if file in Workspace(calibration.out).efficiencies()]
    for file in files:
        found = read_measurement(file)
        assert found["weights"] == weights
        assert len(found["latencies_ms"]) == 3
        assert min(found["latencies_ms"]) > 0
        assert found["peak_memory_mb"] > 1
        assert str(calibration.out) not in file.read_text()
        if found["role"] == "inference":
            parts = zip(found["prefill_ms"], found["latencies_ms"], strict=True)
            assert all(0 < prefill < whole for prefill, whole in parts)
            assert found["output_tokens"] <= 4 == found["new_tokens"]


def test_random_weights_write_the_same_number_of_tokens_everywhere(
    plan: Callable[..., Calibration],
) -> None:
    files = measure(plan(weights="random"), lambda _: None)
    assert {read_measurement(file)["output_tokens"] for file in files[:4]} == {4.0}


def test_random_prompts_are_as_long_as_those_of_the_corpus(
    plan: Callable[..., Calibration],
) -> None:
    calibration = plan(weights="random")
    with_corpus = jobs_of(calibration)[0].subject
    Workspace(calibration.out).corpus.unlink()
    without = jobs_of(calibration)[0].subject
    assert len(with_corpus.identity["prompt_tokens"]) == 3
    assert max(with_corpus.identity["prompt_tokens"]) < max(without.identity["prompt_tokens"])


def test_prompts_leave_room_for_the_answer(plan: Callable[..., Calibration]) -> None:
    calibration = plan(weights="random", new_tokens=500)
    subject = jobs_of(calibration)[0].subject
    # the tiny models hold 512 tokens
    assert {batch.shape for batch in subject.load().batches(1, 3)} == {(1, 12)}


def test_real_answers_of_no_room_are_refused(plan: Callable[..., Calibration]) -> None:
    with pytest.raises(InputError, match="llama holds 512 tokens, prompt and output together"):
        measure(plan(new_tokens=512), lambda _: None)


def test_what_is_measured_is_not_measured_again(plan: Callable[..., Calibration]) -> None:
    calibration = plan(weights="random")
    first = {file: file.read_bytes() for file in measure(calibration, lambda _: None)}
    said: list[str] = []
    assert {file: file.read_bytes() for file in measure(calibration, said.append)} == first
    assert said[0] == "llama, batch 1: already measured"
    assert not any("loading" in line for line in said)


def test_only_what_is_missing_or_damaged_is_measured(plan: Callable[..., Calibration]) -> None:
    calibration = plan(weights="random")
    files = measure(calibration, lambda _: None)
    before = [file.read_bytes() for file in files]
    files[0].unlink()
    files[5].write_text(files[5].read_text()[:100])
    said: list[str] = []
    measure(calibration, said.append)
    assert [line for line in said if "loading" in line] == [
        "llama: loading on cpu",
        "bi: loading on cpu",
    ]
    assert [file.read_bytes() for file in files[1:5]] == before[1:5]
    assert json.loads(files[5].read_text())["node"] == "bi"


def test_another_corpus_is_measured_anew(plan: Callable[..., Calibration]) -> None:
    calibration = plan()
    measure(calibration, lambda _: None)
    write_corpus(Workspace(calibration.out).corpus, RECORDS[:2])
    said: list[str] = []
    measure(calibration, said.append)
    assert not any("already" in line for line in said)


def test_a_pair_seen_again_is_not_the_same_text(plan: Callable[..., Calibration]) -> None:
    subject = jobs_of(plan())[3].subject
    (batch,) = subject.load().batches(7, 1)
    assert len(set(batch)) == 7
    assert [list(pair) for pair in batch[:3]] == subject.identity["pairs"]


def test_an_evaluator_reads_outputs_where_there_are_any(plan: Callable[..., Calibration]) -> None:
    calibration = plan()
    rows = [{"record": record.id, "output": f"out {record.id}"} for record in RECORDS]
    log = Workspace(calibration.out).generations("llama")
    log.parent.mkdir()
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    subject = jobs_of(calibration)[2].subject
    # the second model has none, and the models take turns
    pairs = [["Denver", "out a"], ["nine", "nine"], ["It rained.", "out c"]]
    assert subject.identity["pairs"] == pairs


def test_a_real_corpus_must_be_there(plan: Callable[..., Calibration]) -> None:
    calibration = plan()
    Workspace(calibration.out).corpus.unlink()
    with pytest.raises(InputError, match="make it with `poq calibrate corpus`"):
        measure(calibration, lambda _: None)


def test_a_missing_model_is_told_before_any_work(plan: Callable[..., Calibration]) -> None:
    calibration = plan()
    gone = calibration.models[1].model_copy(update={"model": "/no/such/folder"})
    wrong = calibration.model_copy(update={"models": (calibration.models[0], gone)})
    with pytest.raises(InputError, match="there is no folder"):
        measure(wrong, lambda _: None)
    assert Workspace(calibration.out).efficiencies() == []


class Large:
    """A subject that has room for one answer at a time, or for none."""

    role, node, device, weights = "inference", "large", "cpu", "random"

    def __init__(self, room: int, error: BaseException) -> None:
        self.room, self.error = room, error
        self.identity: dict[str, Any] = {}

    def load(self) -> Large:
        return self

    def batches(self, batch_size: int, calls: int) -> list[int]:
        return [batch_size] * calls

    def run(self, batch: Any) -> Timed:
        if batch > self.room:
            raise self.error
        return Timed(1.0)

    def tokens_in(self, batch: Any) -> int | None:
        return None


def run_large(subject: Large, out: Path, report: Callable[[str], None] = print) -> list[Path]:
    settings = EfficiencySettings(prompts=2, warm_up=0, new_tokens=1)
    return measure_all([TimingJob(subject, (1, 8))], Workspace(out), settings, report)


def test_a_batch_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    files = run_large(Large(1, RuntimeError("CUDA out of memory")), tmp_path, said.append)
    assert [file.name for file in files] == ["inference.large.b1.json"]
    assert said[-1] == "large, batch 8: out of memory; left out"


def test_a_model_that_does_not_fit_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="large: out of memory on cpu at batch 1"):
        run_large(Large(0, RuntimeError("CUDA out of memory")), tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyboardInterrupt()])
def test_whatever_stops_it_results_stay_and_memory_is_given_back(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, released = Large(1, error), list[str]()
    monkeypatch.setattr(measurement, "release", released.append)
    with pytest.raises(type(error)):
        run_large(subject, tmp_path)
    assert [file.name for file in Workspace(tmp_path).efficiencies()] == ["inference.large.b1.json"]
    assert released == ["cpu"]


def test_the_hardware_a_user_names_is_the_one_recorded(plan: Callable[..., Calibration]) -> None:
    calibration = plan(weights="random", batch_sizes=[1])
    named = calibration.models[0].model_copy(update={"hardware": "rtx_4090"})
    tasks = jobs_of(calibration.model_copy(update={"models": (named,)}))
    settings = EfficiencySettings(prompts=1, warm_up=0, new_tokens=4)
    files = measure_all(tasks[:1], Workspace(calibration.out), settings, lambda _: None)
    assert read_measurement(files[0])["hardware"] == "rtx_4090"


def test_a_device_that_is_not_there(plan: Callable[..., Calibration]) -> None:
    calibration = plan()
    absent = calibration.generation.model_copy(update={"device": "xpu:99"})
    with pytest.raises(InputError, match="device 'xpu:99' cannot be used"):
        measure(calibration.model_copy(update={"generation": absent}), lambda _: None)


def test_which_subjects_a_calibration_has(plan: Callable[..., Calibration]) -> None:
    real, random = (jobs_of(plan(weights=weights))[0].subject for weights in ("real", "random"))
    assert (real.weights, random.weights) == ("real", "random")
    assert measurement.TimingJob(real, (1,)).hardware is None


def test_a_likelihood_is_timed_with_either_weights(
    plan: Callable[..., Calibration], tiny: TinyModels
) -> None:
    spec = EvaluatorSpec(name="ll", model=str(tiny.language["llama"]), kind="likelihood")
    for weights in ("real", "random"):
        calibration = plan(weights=weights).model_copy(update={"evaluators": (spec,)})
        jobs = [job for job in jobs_of(calibration) if job.subject.node == "ll"]
        settings = EfficiencySettings(prompts=2, warm_up=0)
        files = measure_all(jobs, Workspace(calibration.out), settings, lambda _: None)
        assert read_measurement(files[0])["weights"] == weights
