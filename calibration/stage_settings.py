"""The parts of a calibration's configuration: what each may say, and what it means by default."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from calibration.corpus.records import template_fault
from calibration.models.architectures import (
    evaluator_entry,
    evaluator_names,
    model_entry,
    model_names,
)
from calibration.profile.truth import metric_fault
from calibration.workspace import NAME
from poq_abm.errors import InputError
from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.fields import Strict, complaint

__all__ = [
    "Address",
    "AsTuple",
    "AskedEvaluatorSpec",
    "AskedSettings",
    "Checkpoint",
    "Concurrency",
    "CorpusSource",
    "Count",
    "Counts",
    "Device",
    "Dollars",
    "Dtype",
    "EfficiencySettings",
    "EndpointSpec",
    "EvaluatorSpec",
    "Folder",
    "GenerationSettings",
    "JudgeSettings",
    "Metric",
    "ModelSpec",
    "Name",
    "Names",
    "Pairs",
    "ScoringSettings",
    "ServerSettings",
    "Templates",
    "Text",
    "Variable",
    "registered_evaluator",
    "registered_model",
    "somebody",
]

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?|xpu(:\d{1,3})?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _as_tuple(value)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise complaint(f"must be made of a-z, 0-9 and _, at most 80, got {shown(value)}")
    return value


def _metric(value: str) -> str:
    if wrong := metric_fault(value):
        raise complaint(wrong)
    return value


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise complaint(f"must be auto, cpu, cuda, cuda:0 or the like, got {shown(value)}")
    return value


def _variable(value: str) -> str:
    # what stands here may be the key itself, put in the wrong place: it must not be repeated
    if not _VARIABLE.fullmatch(value):
        raise complaint(
            "must be the name of an environment variable, A-Z, 0-9 and _; "
            "the key itself never stands in a file"
        )
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        secret = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise complaint("is not the address of a server") from error
    if secret:
        raise complaint("must not hold a user name or password; the key comes from key_variable")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise complaint(
            f"must be the address of a server, http://... or https://..., got {shown(value)}"
        )
    return value.rstrip("/")


def _folder_of(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", ""))


def _placed(value: Any, info: ValidationInfo) -> Any:
    """Turn the text of a path into a path, relative to the folder of the file it stands in."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise complaint(f"must be the path of a file or folder, got {shown(value)}")
    return _folder_of(info) / Path(value).expanduser()


def _checkpoint(value: str, info: ValidationInfo) -> str:
    """Return a folder's path if it is one or can be nothing else; otherwise the hub id."""
    folder = _folder_of(info) / Path(value).expanduser()
    is_path = value.startswith((".", "/", "~", "\\")) or Path(value).is_absolute()
    is_path = is_path or value.endswith(".gguf")
    return str(folder) if is_path or folder.is_dir() else value


def _template(value: str) -> str:
    if wrong := template_fault(value):
        raise complaint(wrong)
    return value


def somebody(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the entries of a list that is not empty and names nothing twice."""
    if not entries:
        raise complaint("needs at least one entry")
    names = [getattr(entry, "name", entry) for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise complaint(f"names {shown(name)} twice")
    return entries


def registered_model(value: Any) -> Any:
    """Turn the name of a registered model into its settings; settings go before the registry's.

    >>> registered_model({"name": "qwen2_1_5b", "batch_size": 4})["model"]
    'Qwen/Qwen2-1.5B-Instruct'
    """
    return _registered(value, model_entry, model_names())


def registered_evaluator(value: Any) -> Any:
    """Turn the name of a registered evaluator into its settings, as :func:`registered_model`."""
    return _registered(value, evaluator_entry, evaluator_names())


def _registered(value: Any, entry: Callable[[str], dict[str, Any]], names: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        try:
            return entry(value)
        except InputError as error:
            raise complaint(str(error)) from error
    if not isinstance(value, dict) or "model" in value:
        return value
    name = value.get("name")
    if isinstance(name, str) and name in names:
        return {**entry(name), **value}
    return value


Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, AfterValidator(_name)]
Pairs = Literal["reference_output", "input_output"]
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_names), AfterValidator(somebody)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), AfterValidator(somebody)]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
Dollars = Annotated[float, Field(ge=0)]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
Metric = Annotated[str, AfterValidator(_metric)]
Device = Annotated[str, AfterValidator(_device)]
Variable = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]
Folder = Annotated[Path, BeforeValidator(_placed)]
Checkpoint = Annotated[Text, AfterValidator(_checkpoint)]
Templates = dict[Text, Annotated[str, AfterValidator(_template)]]
AsTuple = BeforeValidator(_as_tuple)
#: The formats of a corpus: the one task of each, if it has one, and the columns it is read from.
_FORMATS: dict[str, dict[str, Any]] = {
    "squad": {"task": "qa"},
    "cnn_dailymail": {
        "task": "summarization", "id": "id", "input": "article", "reference": ("highlights",),
    },
    "gsm8k": {"task": "math", "id": "id", "input": "question", "reference": ("answer",)},
    "mt_bench": {
        "task_column": "category", "id": "question_id", "input": "turns",
        "reference": ("reference",),
    },
    "table": {"task_column": "task", "id": "id", "input": "input"},
}  # fmt: skip


class CorpusSource(Strict):
    """One file of records and how many of each task to take; ``sample`` null takes all.

    ``id``, ``input`` and ``reference`` name columns; every format but ``squad`` has some by
    default. A source has either one ``task`` or a ``task_column``; a table without ``reference``
    has its column ``reference`` or ``references``, whichever there is. ``unreferenced: skip``
    leaves out records without a reference.
    """

    format: Literal["squad", "cnn_dailymail", "gsm8k", "mt_bench", "table"]
    path: Folder
    task: Name | None = None
    task_column: Text | None = None
    sample: Count | None = None
    id: Text | None = None
    input: Text | None = None
    reference: Names | None = None
    unreferenced: Literal["refuse", "skip"] = "refuse"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_format(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("format") not in _FORMATS:
            return data
        usual = dict(_FORMATS[data["format"]])
        if data.get("task") is not None:
            usual.pop("task_column", None)
        return {**usual, **data}

    @model_validator(mode="after")
    def _fits_the_format(self) -> CorpusSource:
        if self.format == "squad":
            for key in ("id", "input", "reference"):
                if getattr(self, key) is not None:
                    raise complaint(f"{key!r} names a column, and a squad file has no columns")
        if "task_column" not in _FORMATS[self.format] and self.task_column is not None:
            raise complaint("'task_column' is for tables; this format has one task")
        if self.task is not None and self.task_column is not None:
            raise complaint("give 'task' or 'task_column', not both")
        return self


class ServerSettings(Strict):
    """A model behind a server that speaks OpenAI's protocol, and what asking it may cost.

    ``key_variable`` names an environment variable, never the key. Prices are in dollars per million
    tokens, and a budget in dollars needs both. ``concurrency`` requests are on their way at once.
    """

    model: Text
    base_url: Address | None = None
    key_variable: Variable = "OPENAI_API_KEY"
    max_calls: Count | None = None
    max_usd: Dollars | None = None
    usd_per_million_input: Dollars | None = None
    usd_per_million_output: Dollars | None = None
    concurrency: Concurrency = 1
    retries: int = Field(default=5, ge=0, le=100)
    timeout_s: float = Field(default=60.0, gt=0, le=86_400)

    @model_validator(mode="after")
    def _dollars_need_prices(self) -> Self:
        prices = ("usd_per_million_input", "usd_per_million_output")
        missing = [price for price in prices if getattr(self, price) is None]
        if self.max_usd is not None and missing:
            raise complaint(f"max_usd cannot be kept without {' and '.join(missing)}")
        return self


class ModelSpec(Strict):
    """One inference model and how it is loaded.

    ``model`` is a hub id, or the path of a folder or of a GGUF file. ``template`` are arguments of
    its chat template, such as ``enable_thinking: false``. ``trust_remote_code`` lets the checkpoint
    run Python of its own; it is false unless the user's file turns it on for this very model.
    """

    name: Name
    model: Checkpoint
    revision: Text | None = None
    dtype: Dtype = "auto"
    prompt: Literal["chat", "plain"] = "chat"
    template: dict[str, Any] = Field(default_factory=dict)
    batch_size: Count = 1
    trust_remote_code: bool = False
    hardware: Name | None = None


class EndpointSpec(ServerSettings):
    """One inference model behind a server; ``model`` is the name it has there.

    ``options`` go into the body of every request, such as the arguments of a chat template.
    """

    name: Name
    base_url: Address
    options: dict[str, Any] = Field(default_factory=dict)
    hardware: Name | None = None
    timeout_s: float = Field(default=600.0, gt=0, le=86_400)


class AskedSettings(ServerSettings):
    """A model that is asked for verdicts, by the Responses API or by chat completions."""

    api: Literal["auto", "responses", "chat"] = "auto"


class AskedEvaluatorSpec(AskedSettings):
    """One evaluator behind a server: a language model that is asked for scores, or a reranker.

    A reranker (:mod:`calibration.models.reranking`) writes nothing: its tokens are all input.
    """

    name: Name
    base_url: Address
    kind: Literal["llm", "reranker"] = "llm"
    hardware: Name | None = None
    timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    pairs: Pairs | None = None

    @model_validator(mode="before")
    @classmethod
    def _rerankers_write_nothing(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("kind") != "reranker":
            return data
        for name in ("api", "usd_per_million_output"):
            if name in data:
                raise complaint(f"a reranker is asked in one way and writes nothing: no {name!r}")
        is_priced = data.get("usd_per_million_input") is not None
        return {**data, "usd_per_million_output": 0.0} if is_priced else data


class EvaluatorSpec(Strict):
    """One evaluator, which scores pairs of texts.

    A cross encoder reads both, a bi encoder each by itself, and gives their cosine; a language
    model gives the likelihood of the first after the second. ``activation`` turns raw logits into
    one number; ``entailment`` is the probability of the class called ``label``, by default the one
    the checkpoint itself calls entailment. ``batch_size`` is 32 for a cross encoder, 64 for a bi
    encoder and 8 for a likelihood unless it is given. ``pairs`` is what it reads, by default what
    the section ``scoring`` says.
    """

    name: Name
    model: Checkpoint
    kind: Literal["cross_encoder", "bi_encoder", "likelihood"]
    activation: Literal["identity", "sigmoid", "entailment"] = "identity"
    label: Text | None = None
    batch_size: Count = 32
    pairs: Pairs | None = None
    revision: Text | None = None
    dtype: Dtype = "auto"
    trust_remote_code: bool = False

    @model_validator(mode="before")
    @classmethod
    def _batch_of_its_kind(cls, data: Any) -> Any:
        usual = {"bi_encoder": 64, "likelihood": 8}
        if isinstance(data, dict) and data.get("kind") in usual:
            return {"batch_size": usual[data["kind"]], **data}
        return data

    @model_validator(mode="after")
    def _activation_fits(self) -> EvaluatorSpec:
        if self.kind != "cross_encoder" and self.activation != "identity":
            has = (
                "bi encoder has a cosine" if self.kind == "bi_encoder" else "likelihood is a number"
            )
            raise complaint(f"a {has} and no logits: it takes no {self.activation}")
        if self.kind != "likelihood" and self.model.endswith(".gguf"):
            raise complaint("a GGUF file is a language model: its kind is likelihood")
        if self.label is not None and self.activation != "entailment":
            raise complaint("'label' names the class of the activation entailment, of no other")
        return self


class GenerationSettings(Strict):
    """How outputs are sampled: at most ``max_new_tokens``, from the nucleus of mass ``top_p``.

    Published (arXiv:2512.16317, section 4) are the 128 tokens and "nucleus sampling with moderate
    temperature"; the temperature of 0.7 and the mass of 0.9 are assumed. A temperature of 0 is
    greedy decoding. ``traces: remove`` takes the thinking trace off an output before anybody reads
    it (:func:`calibration.models.generation.without_trace`); the log keeps it. ``system`` is what a
    chat begins with, and an output ends before the first text of ``stop``.
    """

    max_new_tokens: Count = 128
    temperature: float = Field(default=0.7, ge=0, le=100)
    top_p: float = Field(default=0.9, gt=0, le=1)
    traces: Literal["keep", "remove"] = "keep"
    system: Text | None = None
    stop: Annotated[tuple[Text, ...], BeforeValidator(_as_names)] = ()
    device: Device = "auto"

    def determining(self, *others: str) -> dict[str, Any]:
        """Return, as plain data, all that determines an output, but for ``others``."""
        usual = {name for name in ("system", "stop") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude={"device", *others, *usual})


class ScoringSettings(Strict):
    """Which pair an evaluator reads, and over what the minimum and maximum are taken."""

    pairs: Pairs = "reference_output"
    normalise: Literal["per_task", "whole_set"] = "per_task"
    device: Device = "auto"


class JudgeSettings(AskedSettings):
    """The judge and its budget.

    ``per_group`` is the number of judged outputs per task and model. In the mode ``score`` each is
    given a score, with ``second_order`` twice, the answer once before and once after the rest; in
    the mode ``pairs`` it is compared with that of every other model, in both orders.
    """

    mode: Literal["score", "pairs"] = "score"
    second_order: bool = False
    per_group: Count = 30
    max_calls: Count | None = 1000

    @model_validator(mode="after")
    def _pairs_have_both_orders(self) -> Self:
        if self.mode == "pairs" and self.second_order:
            raise complaint("second_order is for the mode score; pairs are judged in both orders")
        return self


class EfficiencySettings(Strict):
    """How cost is timed: ``prompts`` after ``warm_up``, of at most ``new_tokens`` tokens each.

    With random weights an output has exactly so many. ``batch_sizes`` are those of inference
    models; an evaluator is timed at its own, an endpoint with ``concurrency`` requests at once.
    """

    prompts: Count = 100
    warm_up: int = Field(default=3, ge=0, le=10_000)
    weights: Literal["real", "random"] = "real"
    new_tokens: Count = 128
    batch_sizes: Counts = (1,)
    concurrency: Concurrency = 1
