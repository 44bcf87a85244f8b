"""Outputs: the same whatever the order, the interruptions and the day; nothing made twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from calibration.configuration import Calibration
from calibration.corpus.records import Record, read_corpus, write_corpus
from calibration.models import generation, language_models
from calibration.models.checkpoints import locate
from calibration.models.generation import generate, outputs
from calibration.models.language_models import Prompt, load_language_model, sample, seed_of
from calibration.models.tiny import TinyModels, build_tiny
from calibration.stage_settings import CorpusSource, EvaluatorSpec, GenerationSettings, ModelSpec
from calibration.workspace import Log, StageCounts, Stamp, Workspace, read_stamp, write_stamp
from poq_abm.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

torch.set_num_threads(1)  # tiny models: a second thread would only wait for the first

RECORDS = [
    Record("r1", "qa", "Who won the game?", ("Denver",)),
    Record("r2", "qa", "When does the train leave?", ("at nine", "nine")),
    Record(
        "r3", "summarization", "Denver won the game in 2015. The train leaves.", ("Denver won.",)
    ),
    Record("r4", "qa", "Who says so?", ("Ann",)),
    Record("r5", "qa", "Which year?", ("2015",)),
]
FIELDS = {
    *("record", "model", "key", "prompt_sha256", "output", "input_tokens", "cut_tokens"),
    *("output_tokens", "stop", "seconds", "batch_size"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    return build_tiny(tmp_path_factory.mktemp("tiny"), [record.input for record in RECORDS])


@pytest.fixture
def settings(tiny: TinyModels, tmp_path: Path) -> Callable[..., Calibration]:
    """Return a calibration of one tiny model in a folder of its own."""

    def make(
        name: str, records: Sequence[Record] = RECORDS, family: str = "llama", **changes: Any
    ) -> Calibration:
        model = {"name": family, "model": str(tiny.language[family]), **changes.pop("model", {})}
        decoding = {"max_new_tokens": 6, "device": "cpu", **changes.pop("generation", {})}
        out = tmp_path / name
        write_corpus(Workspace(out).corpus, records)
        return Calibration(
            name="trial",
            out=out,
            corpus=(CorpusSource(format="squad", path=out / "none.json"),),
            models=(ModelSpec(**model),),
            evaluators=(EvaluatorSpec(name="ce", model="none", kind="cross_encoder"),),
            generation=GenerationSettings(**decoding),
            **changes,
        )

    return make


def rows_of(calibration: Calibration) -> list[dict[str, Any]]:
    return Log(Workspace(calibration.out).generations(calibration.models[0].name)).read()[0]


def texts_of(calibration: Calibration) -> dict[str, tuple[str, int, str]]:
    current = outputs(calibration, calibration.models[0], RECORDS)
    return {
        record: (row["output"], row["output_tokens"], row["stop"])
        for record, row in current.items()
    }


def interrupt_after(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Let so many rows reach the disk; then somebody presses Ctrl-C."""
    append, written = Log.append, []

    def limited(self: Log, row: dict[str, Any]) -> None:
        if len(written) == rows:
            raise KeyboardInterrupt
        written.append(row)
        append(self, row)

    monkeypatch.setattr(Log, "append", limited)


@pytest.mark.parametrize("family", ["llama", "gemma2", "phi3", "qwen2"])
def test_every_record_gets_a_row_of_the_contract(
    settings: Callable[..., Calibration], family: str
) -> None:
    calibration = settings("whole", family=family)
    lines: list[str] = []
    assert generate(calibration, lines.append) == {family: StageCounts(5, 0, 5, 0, 0)}
    rows = rows_of(calibration)
    assert [row["record"] for row in rows] == [record.id for record in RECORDS]
    assert all(set(row) == FIELDS for row in rows)
    assert all(1 <= row["output_tokens"] <= 6 and row["seconds"] > 0 for row in rows)
    assert {row["stop"] for row in rows} <= {"eos", "length"}
    assert len({row["output"] for row in rows}) > 1
    assert len({row["key"] for row in rows}) == len({row["prompt_sha256"] for row in rows}) == 5
    assert lines == [f"{family}: 5 outputs to make on cpu", f"{family}: 5 of 5 rows, 5 of them new"]


def test_an_output_ends_before_a_stop_string(settings: Callable[..., Calibration]) -> None:
    whole = settings("whole")
    generate(whole, lambda _: None)
    longest = max(rows_of(whole), key=lambda row: len(row["output"].split()))
    words = longest["output"].split()
    stop = words[-1]
    cut = settings("cut", generation={"stop": stop})
    assert outputs(cut, cut.models[0], RECORDS) == {}
    generate(cut, lambda _: None)
    (row,) = (row for row in rows_of(cut) if row["record"] == longest["record"])
    assert row["stop"] == "stop"
    assert row["output"] == longest["output"].partition(stop)[0].strip()
    assert row["output_tokens"] <= longest["output_tokens"]


def test_a_shuffled_run_equals_the_ordered_one(settings: Callable[..., Calibration]) -> None:
    ordered, shuffled = settings("ordered"), settings("shuffled", RECORDS[::-1])
    generate(ordered, lambda _: None)
    generate(shuffled, lambda _: None)
    assert [row["record"] for row in rows_of(shuffled)] == ["r5", "r4", "r3", "r2", "r1"]
    assert texts_of(shuffled) == texts_of(ordered)


def test_a_larger_corpus_keeps_the_outputs_of_the_smaller(
    settings: Callable[..., Calibration],
) -> None:
    few, many = settings("few", RECORDS[1:3]), settings("many")
    generate(few, lambda _: None)
    generate(many, lambda _: None)
    assert texts_of(few).items() <= texts_of(many).items()


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_an_interrupted_run_continues_to_the_same_outputs(
    settings: Callable[..., Calibration], rows: int, batch_size: int
) -> None:
    whole = settings("whole", model={"batch_size": batch_size})
    broken = settings("broken", model={"batch_size": batch_size})
    generate(whole, lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, rows)
        with pytest.raises(KeyboardInterrupt):
            generate(broken, lambda _: None)
    assert len(rows_of(broken)) == rows
    assert generate(broken, lambda _: None) == {"llama": StageCounts(5, rows, 5 - rows, 0, 0)}
    assert texts_of(broken) == texts_of(whole)
    assert len(rows_of(broken)) == 5


def test_a_truncated_line_is_dropped_counted_and_made_again(
    settings: Callable[..., Calibration],
) -> None:
    whole, broken = settings("whole"), settings("broken")
    generate(whole, lambda _: None)
    generate(broken, lambda _: None)
    log = Workspace(broken.out).generations("llama")
    log.write_bytes(log.read_bytes()[:-20])
    lines: list[str] = []
    assert generate(broken, lines.append) == {"llama": StageCounts(5, 4, 1, 0, 1)}
    assert "1 damaged last line was dropped" in lines[-1]
    assert texts_of(broken) == texts_of(whole)


def test_a_finished_model_is_not_even_loaded(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration = settings("whole")
    generate(calibration, lambda _: None)
    before = rows_of(calibration)
    monkeypatch.setattr(generation, "load_language_model", lambda *_: pytest.fail("loaded"))
    assert generate(calibration, lambda _: None) == {"llama": StageCounts(5, 5, 0, 0, 0)}
    assert rows_of(calibration) == before


@pytest.mark.parametrize(
    "change",
    [
        {"generation": {"temperature": 1.0}},
        {"generation": {"top_p": 0.5}},
        {"generation": {"max_new_tokens": 5}},
        {"model": {"dtype": "bfloat16"}},
        {"model": {"prompt": "plain"}},
        {"model": {"batch_size": 2}},
        {"prompts": {"qa": "{input}", "summarization": "{input}"}},
        {"seed": 2},
    ],
)
def test_rows_of_other_settings_are_kept_and_ignored(
    settings: Callable[..., Calibration], change: dict[str, Any]
) -> None:
    first = settings("shared")
    generate(first, lambda _: None)
    expected = texts_of(first)
    second = settings("shared", **change)
    lines: list[str] = []
    assert outputs(second, second.models[0], RECORDS) == {}
    assert generate(second, lines.append) == {"llama": StageCounts(5, 0, 5, 5, 0)}
    assert "5 rows of other settings are kept and ignored" in lines[-1]
    assert len(rows_of(second)) == 10
    assert texts_of(first) == expected
    assert generate(settings("shared"), lambda _: None) == {"llama": StageCounts(5, 5, 0, 5, 0)}


def test_a_changed_template_of_one_task_concerns_that_task_alone(
    settings: Callable[..., Calibration],
) -> None:
    generate(settings("shared"), lambda _: None)
    changed = settings("shared", prompts={"summarization": "Shorten: {input}"})
    assert generate(changed, lambda _: None) == {"llama": StageCounts(5, 4, 1, 1, 0)}


def test_rows_of_another_revision_or_library_are_ignored(
    settings: Callable[..., Calibration],
) -> None:
    calibration = settings("whole")
    generate(calibration, lambda _: None)
    log = Workspace(calibration.out).generations("llama")
    stamp = read_stamp(log)
    assert stamp is not None
    assert set(stamp.versions) == {"torch", "transformers", "tokenizers"}
    write_stamp(log, Stamp("sha256:other", stamp.device, stamp.versions))
    assert texts_of(calibration) == {}
    write_stamp(log, Stamp(stamp.revision, stamp.device, {**stamp.versions, "torch": "1.0"}))
    assert texts_of(calibration) == {}
    write_stamp(log, stamp)
    assert len(texts_of(calibration)) == 5


def test_a_log_that_others_made_counts_by_its_last_rows(
    settings: Callable[..., Calibration],
) -> None:
    calibration = settings("whole")
    log = Log(Workspace(calibration.out).generations("llama"))
    for record, output in (("r1", "old"), ("r1", "new"), ("elsewhere", "x")):
        log.append({"record": record, "model": "llama", "key": "?", "output": output})
    assert outputs(calibration, calibration.models[0], RECORDS) == {
        "r1": {"record": "r1", "model": "llama", "key": "?", "output": "new"}
    }


def test_out_of_memory_halves_the_batch_and_says_so(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(language_model: Any, prompts: Sequence[Prompt], *rest: Any) -> Any:
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return sample(language_model, prompts, *rest)

    monkeypatch.setattr(generation, "sample", scarce)
    calibration, single = settings("scarce", model={"batch_size": 4}), settings("single")
    lines: list[str] = []
    assert generate(calibration, lines.append) == {"llama": StageCounts(5, 0, 5, 0, 0)}
    assert "llama: out of memory with a batch of 4; going on with 2" in lines
    assert "llama: out of memory with a batch of 2; going on with 1" in lines
    assert {row["batch_size"] for row in rows_of(calibration)} == {1}
    generate(single, lambda _: None)
    assert texts_of(calibration) == texts_of(single)
    assert generate(calibration, lambda _: None) == {"llama": StageCounts(5, 5, 0, 0, 0)}


def test_a_single_prompt_that_does_not_fit_is_an_input_error(
    settings: Callable[..., Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(language_model: Any, prompts: Sequence[Prompt], *rest: Any) -> Any:
        raise RuntimeError("MPS backend out of memory")

    monkeypatch.setattr(generation, "sample", scarce)
    with pytest.raises(InputError, match="llama: out of memory with a batch of one"):
        generate(settings("scarce"), lambda _: None)


def test_prompts_that_were_cut_are_counted(settings: Callable[..., Calibration]) -> None:
    long = Record("long", "qa", "Who won the game? " * 100, ("Denver",))
    calibration = settings("long", [*RECORDS[:1], long])
    lines: list[str] = []
    generate(calibration, lines.append)
    first, second = rows_of(calibration)
    assert first["cut_tokens"] == 0
    assert second["cut_tokens"] > 0
    assert second["input_tokens"] <= 512 - 6
    assert "llama: 1 prompts lost the middle of their input to fit 512 tokens" in lines


def test_a_window_without_room_for_a_prompt_is_an_input_error(
    settings: Callable[..., Calibration],
) -> None:
    with pytest.raises(InputError, match="max_new_tokens of 512 leaves none for the prompt"):
        generate(settings("none", generation={"max_new_tokens": 512}), lambda _: None)


def test_without_a_corpus_there_is_a_hint(settings: Callable[..., Calibration]) -> None:
    calibration = settings("none")
    Workspace(calibration.out).corpus.unlink()
    with pytest.raises(InputError, match="poq calibrate corpus"):
        generate(calibration, lambda _: None)


def test_a_missing_model_stops_everything_before_work(
    settings: Callable[..., Calibration], tmp_path: Path
) -> None:
    calibration = settings("none")
    gone = ModelSpec(name="gone", model=str(tmp_path / "gone"))
    both = calibration.model_copy(update={"models": (*calibration.models, gone)})
    with pytest.raises(InputError, match="gone: there is no folder"):
        generate(both, lambda _: None)
    assert not Workspace(calibration.out).generations("llama").exists()


def test_seeds_depend_on_every_part_of_the_key() -> None:
    keys = [
        (1, "m", ["a"]),
        (2, "m", ["a"]),
        (1, "n", ["a"]),
        (1, "m", ["b"]),
        (1, "m", ["a", "b"]),
    ]
    seeds = {seed_of(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)


def language_model(tiny: TinyModels) -> Any:
    folder = tiny.language["qwen2"]
    return load_language_model(ModelSpec(name="m", model=str(folder)), locate(str(folder)), "cpu")


def test_sampling_defaults_of_a_checkpoint_are_put_aside(tiny: TinyModels) -> None:
    plain, shipped = language_model(tiny), language_model(tiny)
    shipped.model.generation_config = transformers.GenerationConfig(
        top_k=1, temperature=0.1, repetition_penalty=5.0, do_sample=True, max_length=3, min_p=0.9
    )
    settings = GenerationSettings(max_new_tokens=8)
    prompts = [Prompt((5, 6, 7))]
    assert sample(shipped, prompts, settings, 1) == sample(plain, prompts, settings, 1)
    assert sample(plain, prompts, settings, 1) != sample(plain, prompts, settings, 2)


def test_a_temperature_of_zero_is_greedy(tiny: TinyModels) -> None:
    model, settings = language_model(tiny), GenerationSettings(max_new_tokens=8, temperature=0.0)
    assert sample(model, [Prompt((5, 6))], settings, 1) == sample(
        model, [Prompt((5, 6))], settings, 2
    )


def test_padding_on_the_left_does_not_change_greedy_text(tiny: TinyModels) -> None:
    model, settings = language_model(tiny), GenerationSettings(max_new_tokens=6, temperature=0.0)
    short, long = Prompt((40, 41)), Prompt((50, 51, 52, 53, 54, 55))
    together = sample(model, [short, long], settings, 1)
    assert together == [sample(model, [prompt], settings, 1)[0] for prompt in (short, long)]


def test_an_end_is_counted_and_not_written(tiny: TinyModels) -> None:
    model = language_model(tiny)
    words = model.tokenizer(" game", add_special_tokens=False)["input_ids"]
    answer = language_models._answer(model, [*words, 2, 0, 0])
    assert (answer.text, answer.tokens, answer.stop) == ("game", len(words) + 1, "eos")
    assert language_models._answer(model, words).stop == "length"
    assert language_models._answer(model, [2, 0]).text == ""


def test_a_model_without_numbers_is_an_input_error(tiny: TinyModels) -> None:
    model = language_model(tiny)
    with torch.no_grad():
        model.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="m: the model returns NaN or infinity"):
        sample(model, [Prompt((5,))], GenerationSettings(max_new_tokens=2), 1)


def test_rows_are_plain_json_lines(settings: Callable[..., Calibration]) -> None:
    calibration = settings("whole", RECORDS[:2])
    generate(calibration, lambda _: None)
    lines = Workspace(calibration.out).generations("llama").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["record"] for line in lines] == ["r1", "r2"]
    assert read_corpus(Workspace(calibration.out).corpus) == RECORDS[:2]


def test_a_model_without_a_chat_template_gets_the_instruction_as_it_is(
    settings: Callable[..., Calibration], tiny: TinyModels, tmp_path: Path
) -> None:
    """As of a GGUF file that holds none; said once, and no reason to stop."""
    bare = tmp_path / "bare"
    shutil.copytree(tiny.language["llama"], bare)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(bare))
    tokenizer.chat_template = None
    (bare / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer.save_pretrained(str(bare))
    said: list[str] = []
    calibration = settings("bare", model={"name": "bare", "model": str(bare)})
    assert generate(calibration, said.append)["bare"].made == len(RECORDS)
    told = "bare: no chat template; the instruction is given as it is"
    assert said.count(told) == 1
    plain = settings("plain", model={"name": "bare", "model": str(bare), "prompt": "plain"})
    generate(plain, said.append)
    assert said.count(told) == 1
    assert texts_of(plain) == texts_of(calibration)
