"""Loading language models: what is checked before work, and what the tokens of a prompt are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, join_question
from calibration.models.checkpoints import check_models, locate, locate_all
from calibration.models.devices import chosen_device
from calibration.models.language_models import (
    PINNED_DATE,
    PromptForm,
    fit_prompt,
    load_language_model,
    render,
)
from calibration.models.tiny import TinyModels, build_tiny
from calibration.stage_settings import CorpusSource, EvaluatorSpec, GenerationSettings, ModelSpec
from poq_abm.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

torch.set_num_threads(1)  # tiny models: a second thread would only wait for the first

CHAT, PLAIN = PromptForm("chat"), PromptForm("plain")
TEXTS = ["Who won the game? Denver won the game in 2015.", "The train leaves at nine, says Ann."]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    return build_tiny(tmp_path_factory.mktemp("tiny"), TEXTS)


def calibration(tiny: TinyModels, out: Path, **changes: object) -> Calibration:
    models = [ModelSpec(name=name, model=str(f)) for name, f in tiny.language.items()]
    settings = {
        "name": "trial",
        "out": out,
        "corpus": (CorpusSource(format="squad", path=out / "none.json"),),
        "models": tuple(models),
        "evaluators": (
            EvaluatorSpec(name="ce", model=str(tiny.cross_encoder), kind="cross_encoder"),
        ),
    }
    return Calibration.model_validate({**settings, **changes})


def copied(folder: Path, to: Path, **configuration: object) -> Path:
    shutil.copytree(folder, to)
    path = to / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **configuration}))
    return to


def loaded(folder: Path, **changes: object) -> object:
    spec = ModelSpec.model_validate({"name": "m", "model": str(folder), **changes})
    return load_language_model(spec, locate(str(folder)), "cpu")


def test_a_check_finds_everything_and_says_where(tiny: TinyModels, tmp_path: Path) -> None:
    lines: list[str] = []
    found = check_models(calibration(tiny, tmp_path), lines.append)
    assert list(found) == [*tiny.language, "ce"]
    assert lines[0].startswith(f"llama: in {tiny.language['llama']}, revision sha256:")


def test_a_check_lists_every_fault_at_once(tiny: TinyModels, tmp_path: Path) -> None:
    unknown = copied(tiny.language["llama"], tmp_path / "unknown", model_type="lama")
    brings = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    own = copied(tiny.language["llama"], tmp_path / "own", model_type="own", auto_map=brings)
    specs = {"unknown": unknown, "own": own, "gone": tmp_path / "gone"}
    models = tuple(ModelSpec(name=name, model=str(folder)) for name, folder in specs.items())
    settings = GenerationSettings(device="cuda:99")
    with pytest.raises(InputError) as caught:
        check_models(calibration(tiny, tmp_path, models=models, generation=settings))
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "'cuda:99' cannot be used" in lines[0]
    assert lines[1].startswith("unknown: ")
    assert "knows no model type 'lama'" in lines[1]
    assert "only with 'trust_remote_code: true'" in lines[2]
    assert "there is no folder" in lines[3]


def test_code_of_a_checkpoint_does_not_run_unless_trusted(tiny: TinyModels, tmp_path: Path) -> None:
    brings = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    folder = copied(tiny.language["llama"], tmp_path / "own", model_type="own", auto_map=brings)
    marker = tmp_path / "ran"
    (folder / "own.py").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        loaded(folder)
    assert not marker.exists()


def test_a_fault_comes_before_work_on_the_first_model(tiny: TinyModels) -> None:
    specs = [
        ModelSpec(name="good", model=str(tiny.language["llama"])),
        ModelSpec(name="bad", model="/no/such/folder"),
    ]
    with pytest.raises(InputError, match="bad: there is no folder"):
        locate_all(specs)


def test_automatic_is_a_device_that_works() -> None:
    assert chosen_device("cpu") == "cpu"
    assert torch.empty(1, device=chosen_device("auto")).numel() == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_model_comes_in_the_number_format_asked_for(tiny: TinyModels, dtype: str) -> None:
    assert loaded(tiny.language["qwen2"], dtype=dtype).model.dtype is getattr(torch, dtype)


def test_every_end_that_a_checkpoint_names_ends_an_output(tiny: TinyModels, tmp_path: Path) -> None:
    folder = copied(tiny.language["phi3"], tmp_path / "m")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [7, 9]}))
    model = loaded(folder)
    assert model.ends == {2, 7, 9}
    assert (model.pad, model.context) == (0, 512)


def test_an_encoder_is_no_language_model(tiny: TinyModels) -> None:
    with pytest.raises(InputError, match=r"is no language model: .* would be random"):
        loaded(tiny.cross_encoder)


def test_damaged_weights_are_an_input_error(tiny: TinyModels, tmp_path: Path) -> None:
    folder = copied(tiny.language["llama"], tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"m: .* cannot be loaded \("):
        loaded(folder)


def test_a_model_too_large_for_the_device_is_an_input_error(
    tiny: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **settings: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "to", full)
    with pytest.raises(InputError, match="does not fit into the memory of this device"):
        loaded(tiny.language["llama"])


def test_a_prompt_is_written_by_the_chat_template_where_there_is_one(tiny: TinyModels) -> None:
    tokenizer = loaded(tiny.language["gemma2"]).tokenizer
    chat = tokenizer.decode(render(tokenizer, "Hello", CHAT))
    assert chat == "<s><|user|>\nHello</s>\n<|assistant|>\n"
    assert tokenizer.decode(render(tokenizer, "Hello", PLAIN)) == "Hello"
    tokenizer.chat_template = None
    assert render(tokenizer, "Hello", CHAT) == render(tokenizer, "Hello", PLAIN)


def test_a_system_prompt_stands_where_the_template_has_a_place_for_it(tiny: TinyModels) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny.language["llama"])
    form = PromptForm("chat", system="Be brief.", template={"shout": True})
    told = {
        "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}": (
            "system Be brief. user Hello "
        ),
        "{{ messages[-1].content }}": "Be brief.\n\nHello",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "{{ messages[0].content }}{% if shout %} Ann{% endif %}": "Be brief.\n\nHello Ann",
    }
    for template, expected in told.items():
        tokenizer.chat_template = template
        tokens = tokenizer(expected, add_special_tokens=False)["input_ids"]
        assert render(tokenizer, "Hello", form) == tuple(tokens)
    tokenizer.chat_template = None
    assert render(tokenizer, "Hello", form) == render(tokenizer, "Be brief.\n\nHello", PLAIN)


def test_a_template_that_reads_the_clock_gives_the_same_prompt_every_day(
    tiny: TinyModels,
) -> None:
    tokenizer = loaded(tiny.language["llama"]).tokenizer
    tokenizer.chat_template = (
        "{%- if strftime_now is defined %}{%- set today = strftime_now('%d %b %Y') %}"
        "{%- else %}{%- set today = 'none' %}{%- endif %}"
        "{{ bos_token }}Today: {{ today }}\n{{ messages[0]['content'] }}"
    )
    written = tokenizer.decode(render(tokenizer, "Hello", CHAT))
    assert written == f"<s>Today: {PINNED_DATE}\nHello"


def test_a_long_input_loses_its_middle(tiny: TinyModels) -> None:
    tokenizer = loaded(tiny.language["llama"]).tokenizer
    words = " ".join(f"word{number}" for number in range(200))
    record = Record("r", "qa", join_question("Who won?", words), ("Ann",))
    whole = fit_prompt(tokenizer, record, instruction, CHAT, None)
    assert whole.cut_tokens == 0
    assert fit_prompt(tokenizer, record, instruction, CHAT, len(whole.tokens)) == whole
    cut = fit_prompt(tokenizer, record, instruction, CHAT, 150)
    text = tokenizer.decode(cut.tokens)
    assert 100 < len(cut.tokens) <= 150
    assert len(whole.tokens) - 150 <= cut.cut_tokens <= len(whole.tokens) - 100
    assert "Question: Who won?" in text
    assert "word199\n\nAnswer:" in text
    assert "word100" not in text


def test_an_instruction_that_does_not_fit_is_an_input_error(tiny: TinyModels) -> None:
    tokenizer = loaded(tiny.language["llama"]).tokenizer
    with pytest.raises(InputError, match="'r': the instruction alone exceeds 9 tokens"):
        fit_prompt(tokenizer, Record("r", "qa", "Who won?", ("Ann",)), instruction, CHAT, 9)
