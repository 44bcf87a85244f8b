"""The configuration of a calibration: strict YAML, checked as a whole before any work starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic import BeforeValidator as Before

from calibration.models.architectures import evaluator_names, model_names
from calibration.stage_settings import (
    AskedEvaluatorSpec,
    AsTuple,
    CorpusSource,
    EfficiencySettings,
    EndpointSpec,
    EvaluatorSpec,
    Folder,
    GenerationSettings,
    JudgeSettings,
    Metric,
    ModelSpec,
    Name,
    ScoringSettings,
    Templates,
    Text,
    registered_evaluator,
    registered_model,
    somebody,
)
from calibration.workspace import NAME
from poq_abm.errors import InputError, nearest
from poq_abm.limits import MAX_SEED
from poq_abm.profile.validity import SCORE_COLUMNS
from poq_abm.scenario.checks.explaining import findings
from poq_abm.scenario.checks.problems import Finding, KeyPath, Origins, ScenarioError
from poq_abm.scenario.schema.fields import Strict, complaint
from poq_abm.scenario.yaml_source import read, read_text

__all__ = [
    "AskedEvaluatorSpec",
    "Calibration",
    "CorpusSource",
    "EfficiencySettings",
    "EndpointSpec",
    "EvaluatorSpec",
    "GenerationSettings",
    "JudgeSettings",
    "ModelSpec",
    "ScoringSettings",
    "load_configuration",
]


_KINDS = ("checkpoint", "endpoint")


def _kind(model: Any) -> str:
    has_address = "base_url" in model if isinstance(model, dict) else hasattr(model, "base_url")
    return _KINDS[has_address]


#: An inference model: a checkpoint that is loaded here, or an endpoint, which has a ``base_url``.
Inference = Annotated[
    Annotated[ModelSpec, Tag("checkpoint")] | Annotated[EndpointSpec, Tag("endpoint")],
    Discriminator(_kind),
]


#: An evaluator: one that is loaded here, or one that a server runs, which has a ``base_url``.
Evaluating = Annotated[
    Annotated[EvaluatorSpec, Tag("checkpoint")] | Annotated[AskedEvaluatorSpec, Tag("endpoint")],
    Discriminator(_kind),
]


class Calibration(Strict):
    """Everything a calibration needs to know; registered names are looked up, paths made whole.

    ``prompts`` holds the templates of the file alone;
    :func:`calibration.corpus.records.instruction` adds the defaults. Relative paths start at the
    folder of the file. ``truth`` is the metric of :data:`calibration.profile.truth.METRICS` that an
    output is worth, one for all tasks or by task, with ``default`` for the others.
    """

    name: Name
    out: Folder
    seed: int = Field(default=1, ge=0, le=MAX_SEED)
    corpus: Annotated[tuple[CorpusSource, ...], AsTuple, AfterValidator(somebody)]
    models: Annotated[
        tuple[Annotated[Inference, Before(registered_model)], ...],
        AsTuple,
        AfterValidator(somebody),
    ]
    evaluators: Annotated[
        tuple[Annotated[Evaluating, Before(registered_evaluator)], ...],
        AsTuple,
        AfterValidator(somebody),
    ]
    generation: GenerationSettings = GenerationSettings()
    prompts: Templates = Field(default_factory=dict)
    truth: Metric | dict[Text, Metric] = "token_f1"
    scoring: ScoringSettings = ScoringSettings()
    judge: JudgeSettings | None = None
    efficiency: EfficiencySettings = EfficiencySettings()
    caveats: Annotated[tuple[Text, ...], AsTuple] = ()

    @property
    def encoders(self) -> tuple[EvaluatorSpec, ...]:
        """The evaluators that are loaded here."""
        return tuple(spec for spec in self.evaluators if isinstance(spec, EvaluatorSpec))

    @property
    def asked_evaluators(self) -> tuple[AskedEvaluatorSpec, ...]:
        """The evaluators that a server runs."""
        return tuple(spec for spec in self.evaluators if isinstance(spec, AskedEvaluatorSpec))

    def pairs_of(self, evaluator: EvaluatorSpec | AskedEvaluatorSpec) -> str:
        """Return the pairs that an evaluator reads: its own setting, or that of all."""
        return evaluator.pairs or self.scoring.pairs

    def metric_of(self, task: str) -> str:
        """Return the metric that an output of a task is worth."""
        if isinstance(self.truth, str):
            return self.truth
        return self.truth.get(task, self.truth.get("default", "token_f1"))

    @property
    def checkpoints(self) -> tuple[ModelSpec, ...]:
        """The inference models that are loaded here."""
        return tuple(model for model in self.models if isinstance(model, ModelSpec))

    @property
    def endpoints(self) -> tuple[EndpointSpec, ...]:
        """The inference models that a server runs."""
        return tuple(model for model in self.models if isinstance(model, EndpointSpec))

    @model_validator(mode="after")
    def _pairs_have_two_models(self) -> Calibration:
        if self.judge is not None and self.judge.mode == "pairs" and len(self.models) < 2:
            raise complaint("a judge of pairs needs two models or more")
        return self

    @model_validator(mode="after")
    def _columns_are_told_apart(self) -> Calibration:
        taken = {*SCORE_COLUMNS, *(model.name for model in self.models)}
        for evaluator in self.evaluators:
            if evaluator.name in taken:
                raise complaint(f"{evaluator.name!r} cannot be the name of an evaluator as well")
        return self


_TAGS = tuple((kind,) for kind in _KINDS)
_NEEDED = ("out", "corpus", "models", "evaluators")
_REGISTERED: dict[str | int, Callable[[], tuple[str, ...]]] = {
    "models": model_names,
    "evaluators": evaluator_names,
}
_PARTS: dict[KeyPath, type[BaseModel]] = {
    (): Calibration,
    ("corpus", "*"): CorpusSource,
    ("models", "*", "checkpoint"): ModelSpec,
    ("models", "*", "endpoint"): EndpointSpec,
    ("evaluators", "*", "checkpoint"): EvaluatorSpec,
    ("evaluators", "*", "endpoint"): AskedEvaluatorSpec,
    ("generation",): GenerationSettings,
    ("scoring",): ScoringSettings,
    ("judge",): JudgeSettings,
    ("efficiency",): EfficiencySettings,
}


def load_configuration(path: str | Path) -> Calibration:
    """Return the calibration that a YAML file describes; ``name`` is by default the file's.

    Raises :class:`~poq_abm.scenario.checks.problems.ScenarioError`, an input error, that names
    every mistake with its file and line.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mine.yaml"
    >>> text = "out: o, corpus: [{format: squad, path: s}], models: [qwen2_1_5b]"
    >>> _ = file.write_text(f"{{{text}, evaluators: [sts_stsb]}}")
    >>> load_configuration(file).models[0].model
    'Qwen/Qwen2-1.5B-Instruct'
    """
    path = Path(path)
    document = read(_text(path), str(path))
    data, origins = document.data, Origins(document.places)
    if "name" not in data and NAME.fullmatch(path.stem):
        data = {"name": path.stem, **data}
    problems = list(document.problems)
    try:
        calibration = Calibration.model_validate(data, context={"folder": path.parent.absolute()})
    except ValidationError as error:
        problems += [origins.problem(finding) for finding in _explained(error)]
    if problems:
        raise ScenarioError(sorted(problems, key=lambda problem: problem.place.line or 0))
    return calibration


def _text(path: Path) -> str:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file"
        beside = [found.name for found in path.parent.glob("*.y*ml")]
        hint = f"; {nearest(path.name, beside)}" if beside else ""
        raise InputError(f"{path} {what}{hint}")
    text = read_text(path, str(path))
    if not text.strip():
        raise InputError(f"{path} is empty; a calibration needs {', '.join(_NEEDED)}")
    return text


def _explained(error: ValidationError) -> list[Finding]:
    """Return every mistake in words, an unknown key with the nearest one of its own part."""
    details = error.errors(include_url=False)
    explained = []
    for index, (found, message) in enumerate(findings(error)):
        path, said = _placed(found), message
        kind = details[index]["type"] if index < len(details) else ""
        if kind == "extra_forbidden":
            said = f"unknown key; {nearest(str(path[-1])[:80], _keys(found[:-1]))}"
        elif kind == "missing" and path[-1] == "model" and path[0] in _REGISTERED:
            names = _REGISTERED[path[0]]()
            name = str(details[index]["input"].get("name"))[:80]
            said = f"needs a hub id or a folder; {name!r} is not registered, {nearest(name, names)}"
        explained.append((path, said))
    return explained


def _placed(path: KeyPath) -> KeyPath:
    """Return a path as it stands in the file, which does not say where a model is."""
    is_tagged = path[:1] in (("models",), ("evaluators",)) and path[2:3] in _TAGS
    return (*path[:2], *path[3:]) if is_tagged else path


def _keys(path: KeyPath) -> tuple[str, ...]:
    part = _PARTS.get(tuple("*" if isinstance(step, int) else step for step in path))
    return () if part is None else tuple(part.model_fields)
