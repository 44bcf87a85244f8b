"""The parts of a calibration's configuration: what each may say, and what it means by default."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from calibration.fields import (
    Address,
    Checkpoint,
    Count,
    Counts,
    Device,
    Dollars,
    Dtype,
    Folder,
    Name,
    Names,
    Text,
    Variable,
)
from poq_abm.scenario.schema.strict import Strict, complaint

__all__ = [
    "CorpusSource",
    "EfficiencySettings",
    "EvaluatorSpec",
    "GenerationSettings",
    "JudgeSettings",
    "ModelSpec",
    "ScoringSettings",
]

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


class ModelSpec(Strict):
    """One inference model and how it is loaded.

    ``model`` is a hub id or the path of a folder. ``trust_remote_code`` lets the checkpoint run
    Python of its own; it is false unless the user's file turns it on for this very model.
    """

    name: Name
    model: Checkpoint
    revision: Text | None = None
    dtype: Dtype = "auto"
    prompt: Literal["chat", "plain"] = "chat"
    batch_size: Count = 1
    trust_remote_code: bool = False
    hardware: Name | None = None


class EvaluatorSpec(Strict):
    """One evaluator: a cross encoder that reads a pair of texts, or a bi encoder with its cosine.

    ``activation`` turns raw logits into one number; ``entailment`` is the probability of the class
    called ``label``, by default the one the checkpoint itself calls entailment. ``batch_size`` is
    32 for a cross encoder and 64 for a bi encoder unless it is given.
    """

    name: Name
    model: Checkpoint
    kind: Literal["cross_encoder", "bi_encoder"]
    activation: Literal["identity", "sigmoid", "entailment"] = "identity"
    label: Text | None = None
    batch_size: Count = 32
    revision: Text | None = None
    dtype: Dtype = "auto"
    trust_remote_code: bool = False

    @model_validator(mode="before")
    @classmethod
    def _batch_of_its_kind(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("kind") == "bi_encoder":
            return {"batch_size": 64, **data}
        return data

    @model_validator(mode="after")
    def _activation_fits(self) -> EvaluatorSpec:
        if self.kind == "bi_encoder" and self.activation != "identity":
            raise complaint(
                f"a bi encoder has a cosine and no logits: it takes no {self.activation}"
            )
        if self.label is not None and self.activation != "entailment":
            raise complaint("'label' names the class of the activation entailment, of no other")
        return self


class GenerationSettings(Strict):
    """How outputs are sampled: at most ``max_new_tokens``, from the nucleus of mass ``top_p``.

    Published (arXiv:2512.16317, section 4) are the 128 tokens and "nucleus sampling with moderate
    temperature"; the temperature of 0.7 and the mass of 0.9 are assumed. A temperature of 0 is
    greedy decoding. ``traces: remove`` takes the thinking trace off an output before anybody reads
    it (:func:`calibration.traces.without_trace`); the log keeps it.
    """

    max_new_tokens: Count = 128
    temperature: float = Field(default=0.7, ge=0, le=100)
    top_p: float = Field(default=0.9, gt=0, le=1)
    traces: Literal["keep", "remove"] = "keep"
    device: Device = "auto"


class ScoringSettings(Strict):
    """Which pair an evaluator reads, and over what the minimum and maximum are taken."""

    pairs: Literal["reference_output", "input_output"] = "reference_output"
    normalise: Literal["per_task", "whole_set"] = "per_task"
    device: Device = "auto"


class JudgeSettings(Strict):
    """The judge and its budget; ``key_variable`` names an environment variable, never the key.

    ``per_group`` is the number of judged outputs per task and model. A budget in dollars needs both
    prices, in dollars per million tokens.
    """

    model: Text
    base_url: Address | None = None
    key_variable: Variable = "OPENAI_API_KEY"
    api: Literal["auto", "responses", "chat"] = "auto"
    per_group: Count = 30
    max_calls: Count = 1000
    max_usd: Dollars | None = None
    usd_per_million_input: Dollars | None = None
    usd_per_million_output: Dollars | None = None
    retries: int = Field(default=5, ge=0, le=100)
    timeout_s: float = Field(default=60.0, gt=0, le=86_400)

    @model_validator(mode="after")
    def _dollars_need_prices(self) -> JudgeSettings:
        prices = ("usd_per_million_input", "usd_per_million_output")
        missing = [price for price in prices if getattr(self, price) is None]
        if self.max_usd is not None and missing:
            raise complaint(f"max_usd cannot be kept without {' and '.join(missing)}")
        return self


class EfficiencySettings(Strict):
    """How cost is timed: ``prompts`` after ``warm_up``, of at most ``new_tokens`` tokens each.

    With random weights an output has exactly so many. ``batch_sizes`` are those of inference
    models; an evaluator is timed at its own.
    """

    prompts: Count = 100
    warm_up: int = Field(default=3, ge=0, le=10_000)
    weights: Literal["real", "random"] = "real"
    new_tokens: Count = 128
    batch_sizes: Counts = (1,)
