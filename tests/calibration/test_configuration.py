"""The configuration file: complete when it is right, and every mistake at once when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.configuration import Calibration, load_configuration
from calibration.stage_settings import ModelSpec
from poq_abm.errors import InputError

SOUND = """\
out: runs/mine
corpus: [{format: squad, path: data/squad.json}]
models: [llama_3_2_3b]
evaluators: [sts_stsb]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "my_study.yaml").write_text(SOUND)
    return tmp_path / "my_study.yaml"


def load(file: Path, extra: str) -> Calibration:
    file.write_text(SOUND + extra)
    return load_configuration(file)


def complaint(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_configuration(file)
    return str(caught.value)


def test_four_keys_are_enough_and_the_rest_is_as_published(file: Path) -> None:
    found = load_configuration(file)
    assert (found.name, found.seed, found.judge, found.prompts) == ("my_study", 1, None, {})
    generation = found.generation
    assert (generation.max_new_tokens, generation.temperature, generation.top_p) == (128, 0.7, 0.9)
    assert (found.scoring.pairs, found.scoring.normalise) == ("reference_output", "per_task")
    efficiency = found.efficiency
    assert (efficiency.prompts, efficiency.warm_up, efficiency.batch_sizes) == (100, 3, (1,))
    assert found.corpus[0].task == "qa"


def test_relative_paths_start_at_the_folder_of_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    for found in (load_configuration(file), load_configuration(file.name)):
        assert found.out == file.parent / "runs" / "mine"
        assert found.corpus[0].path == file.parent / "data" / "squad.json"


def test_a_checkpoint_is_a_folder_where_there_is_one_and_a_hub_id_otherwise(file: Path) -> None:
    (file.parent / "org" / "here").mkdir(parents=True)
    names = ["org/here", "org/away", "./away", "/away"]
    text = SOUND.replace(
        "[llama_3_2_3b]",
        "[" + ", ".join(f"{{name: m{i}, model: {name}}}" for i, name in enumerate(names)) + "]",
    )
    file.write_text(text)
    found = [Path(model.model) for model in load_configuration(file).models]
    here, away = file.parent / "org" / "here", file.parent / "away"
    assert found == [here, Path("org/away"), away, Path("/away")]


def test_settings_of_a_registered_name_go_before_the_registry(file: Path) -> None:
    models = "[{name: qwen2_1_5b, batch_size: 8, revision: abc}, llama_3_2_3b]"
    file.write_text(SOUND.replace("[llama_3_2_3b]", models))
    qwen, llama = load_configuration(file).models
    assert (qwen.model, qwen.batch_size, qwen.revision) == ("Qwen/Qwen2-1.5B-Instruct", 8, "abc")
    assert (qwen.dtype, llama.batch_size, llama.revision) == ("bfloat16", 1, None)


def test_code_of_a_checkpoint_is_trusted_only_where_the_file_says_so(file: Path) -> None:
    models = "[{name: a, model: x/a, trust_remote_code: true}, {name: b, model: x/b}, qwen2_1_5b]"
    file.write_text(SOUND.replace("[llama_3_2_3b]", models))
    trusted = [model.trust_remote_code for model in load_configuration(file).models]
    assert trusted == [True, False, False]


def test_batches_of_evaluators_follow_their_kind(file: Path) -> None:
    evaluators = (
        "[{name: a, model: x/a, kind: bi_encoder}, {name: b, model: x/b, kind: cross_encoder},"
        " {name: c, model: x/c, kind: bi_encoder, batch_size: 5}]"
    )
    file.write_text(SOUND.replace("[sts_stsb]", evaluators))
    assert [e.batch_size for e in load_configuration(file).evaluators] == [64, 32, 5]


MISTAKES = """\
nmae: x
seed: -1
corpus:
  - {format: squadd, path: x.json, sample: 0, taks: qa}
  - {format: squad, path: x.json, id: qa}
  - {format: table, path: x.csv, task: qa, task_column: kind}
  - {format: cnn_dailymail, path: x.csv, task_column: kind}
models:
  - llama_3_2_3
  - {name: Mine, modell: ./folder, trust_remote_code: 1}
evaluators:
  - {name: a, model: x/y, kind: bi_encoder, activation: sigmoid}
  - {name: b, model: x/y, kind: cross_encoder, label: good}
  - {name: c, model: x/y, kind: cross}
generation: {temperature: -1, top_p: 0, device: gpu, max_new_token: 5}
scoring: {normalise: per_record}
efficiency: {batch_sizes: [1, 8, 8], weights: none}
prompts: {qa: hello, summarization: 3}
"""


def test_every_mistake_is_named_at_once_with_its_line_and_the_nearest_word(file: Path) -> None:
    said = complaint(file, MISTAKES).replace(f"{file}:", "").splitlines()
    for expected in (
        "1: nmae: unknown key; did you mean 'name'?",
        "1: out: this key is needed",
        "2: seed: must be at least 0, got -1",
        "4: corpus.0.format: must be one of 'squad', 'cnn_dailymail', 'gsm8k', 'mt_bench' or "
        "'table', got 'squadd'; did you mean 'squad'?",
        "4: corpus.0.sample: must be at least 1",
        "4: corpus.0.taks: unknown key; did you mean 'task'?",
        "5: corpus.1: 'id' names a column",
        "6: corpus.2: give 'task' or 'task_column', not both",
        "7: corpus.3: 'task_column' is for tables",
        "9: models.0: no model 'llama_3_2_3' is registered; did you mean 'llama_3_2_3b'?",
        "10: models.1.name: must be made of a-z",
        "10: models.1.model: needs a hub id or a folder; 'Mine' is not registered",
        "10: models.1.modell: unknown key; did you mean 'model'?",
        "10: models.1.trust_remote_code: must be true or false, got 1",
        "12: evaluators.0: a bi encoder has a cosine",
        "13: evaluators.1: 'label' names the class",
        "14: evaluators.2.kind: must be one of",
        "15: generation.temperature: must be at least 0",
        "15: generation.top_p: must be greater than 0",
        "15: generation.device: must be auto, cpu, cuda",
        "15: generation.max_new_token: unknown key; did you mean 'max_new_tokens'?",
        "16: scoring.normalise: must be one of",
        "17: efficiency.batch_sizes: names 8 twice",
        "17: efficiency.weights: must be one of",
        "18: prompts.qa: a template needs '{input}' exactly once",
        "18: prompts.summarization: must be text, got 3",
    ):
        assert any(line.startswith(expected) for line in said), (expected, said)
    lines = [int(line.split(":")[0]) for line in said]
    assert lines == sorted(lines)


def test_a_key_of_the_judge_never_shows_even_where_it_does_not_belong(file: Path) -> None:
    secret = "sk-abc123"  # a made-up one
    judge = f"judge: {{model: m, key_variable: {secret}, api_key: {secret}, base_url: 'http://u:{secret}@h'}}"
    said = complaint(file, SOUND + judge)
    assert secret not in said
    assert "judge.key_variable: must be the name of an environment variable" in said
    assert "judge.api_key: unknown key; did you mean 'api'?" in said
    assert "judge.base_url: must not hold a user name or password" in said


def test_a_budget_in_dollars_needs_prices(file: Path) -> None:
    assert "max_usd cannot be kept without usd_per_million_input and" in complaint(
        file, SOUND + "judge: {model: m, max_usd: 2}"
    )
    prices = "usd_per_million_input: 0.15, usd_per_million_output: 0.6"
    judge = load(file, f"judge: {{model: m, max_usd: 2, {prices}}}").judge
    assert judge is not None
    assert (judge.max_usd, judge.per_group, judge.key_variable) == (2, 30, "OPENAI_API_KEY")


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://h/x", "http://", "http://[::1"])
def test_what_is_no_address_of_a_server_is_refused(file: Path, address: str) -> None:
    said = complaint(file, SOUND + f"judge: {{model: m, base_url: '{address}'}}")
    assert "judge.base_url: " in said


def test_the_slash_at_the_end_of_an_address_does_not_matter(file: Path) -> None:
    judge = load(file, "judge: {model: m, base_url: 'http://127.0.0.1:8000/v1/'}").judge
    assert judge is not None
    assert judge.base_url == "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[llama_3_2_3b]", "[qwen2_1_5b, qwen2_1_5b]", "models: names 'qwen2_1_5b' twice"),
        ("[llama_3_2_3b]", "[]", "models: needs at least one entry"),
        ("[sts_stsb]", "sts_stsb", "evaluators: must be a list"),
        (
            "[sts_stsb]",
            "[{name: judge, model: x/y, kind: bi_encoder}]",
            "'judge' cannot be the name of an evaluator as well",
        ),
        ("runs/mine", "''", "out: must be the path"),
        ("runs/mine", "3", "out: must be the path"),
    ],
)
def test_names_and_lists(file: Path, old: str, new: str, message: str) -> None:
    assert message in complaint(file, SOUND.replace(old, new))


def test_a_table_has_a_task_column_unless_it_has_a_task(file: Path) -> None:
    tables = (
        "[{format: table, path: x.csv}, {format: table, path: x.csv, task: qa},"
        " {format: table, path: x.csv, task_column: kind, reference: [a, b]},"
        " {format: cnn_dailymail, path: x.csv, reference: summary}]"
    )
    file.write_text(SOUND.replace("[{format: squad, path: data/squad.json}]", tables))
    found = load_configuration(file).corpus
    assert [source.task_column for source in found] == ["task", None, "kind", None]
    assert [source.task for source in found] == [None, "qa", None, "summarization"]
    assert [source.reference for source in found] == [None, None, ("a", "b"), ("summary",)]
    assert [source.input for source in found] == ["input", "input", "input", "article"]


def test_a_file_that_is_not_there_gets_the_nearest_beside_it(file: Path) -> None:
    with pytest.raises(InputError, match=r"my_stdy.yaml is no file; did you mean 'my_study.yaml'"):
        load_configuration(file.with_name("my_stdy.yaml"))
    with pytest.raises(InputError, match="is a folder"):
        load_configuration(file.parent)
    assert "is empty; a calibration needs out, corpus, models, evaluators" in complaint(file, "\n")


def test_a_file_whose_name_is_no_name_needs_one(file: Path) -> None:
    other = file.with_name("My Study.yaml")
    assert "name: this key is needed" in complaint(other, SOUND)
    assert load(other, "name: mine\n").name == "mine"


def test_the_resolved_object_holds_specs_and_does_not_change(file: Path) -> None:
    found = load_configuration(file)
    assert all(isinstance(model, ModelSpec) for model in found.models)
    with pytest.raises(ValueError, match="frozen"):
        found.seed = 2  # type: ignore[misc]
    again = Calibration.model_validate(found.model_dump())
    assert again == found


def test_truth_has_a_metric_or_one_for_each_task(file: Path) -> None:
    assert load(file, "truth: rouge_l\n").metric_of("qa") == "rouge_l"
    by_task = load(file, "truth: {math: numeric, default: exact}\n")
    assert [by_task.metric_of(task) for task in ("math", "qa")] == ["numeric", "exact"]
    assert load(file, "truth: {math: numeric}\n").metric_of("qa") == "token_f1"
    assert "did you mean 'rouge_l'" in complaint(file, SOUND + "truth: {qa: rogue_l}\n")
    assert "did you mean 'rouge_l'" in complaint(file, SOUND + "truth: rogue_l\n")


def test_a_judge_of_pairs_needs_a_pair_and_no_second_order(file: Path) -> None:
    judge = "judge: {model: m, mode: pairs}\n"
    assert "a judge of pairs needs two models" in complaint(file, SOUND + judge)
    both = SOUND.replace("[llama_3_2_3b]", "[llama_3_2_3b, qwen2_1_5b]") + judge
    file.write_text(both)
    assert load_configuration(file).judge is not None
    assert "pairs are judged in both orders" in complaint(
        file, both.replace("pairs}", "pairs, second_order: true}")
    )
