"""Language models in memory: a batch of records in, prompts that fit, sampled answers out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from calibration.corpus.records import Record
from calibration.libraries import library
from calibration.models.checkpoints import ModelSource, loading
from calibration.stage_settings import EvaluatorSpec, GenerationSettings, ModelSpec
from calibration.workspace import digest
from poq_abm.errors import InputError

__all__ = [
    "LanguageModel",
    "ModelAnswer",
    "Prompt",
    "PromptForm",
    "decoding",
    "fit_prompt",
    "load_language_model",
    "padded",
    "render",
    "sample",
    "seed_of",
]

_ENDLESS = 10**9  # tokenizers without a limit say 10**30


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, ready to generate.

    ``context`` is how many tokens it can hold, prompt and output together (``None``: no limit is
    known); ``ends`` are the tokens that end an output; ``pad`` fills a batch on the left.
    """

    name: str
    model: Any
    tokenizer: Any
    device: str
    context: int | None
    ends: frozenset[int]
    pad: int


def load_language_model(
    spec: ModelSpec | EvaluatorSpec, source: ModelSource, device: str
) -> LanguageModel:
    """Return a model on ``device`` with its tokenizer, in the number format of its settings.

    No code of the checkpoint runs unless the settings trust it. Raises
    :class:`~poq_abm.errors.InputError` when it cannot be loaded, and when the checkpoint lacks
    weights of a language model: they would be random.
    """
    transformers = library("transformers")
    common = {
        "revision": source.commit,
        "local_files_only": source.is_local,
        "trust_remote_code": spec.trust_remote_code,
        **({"gguf_file": source.gguf} if source.gguf else {}),
    }
    with loading(spec.name, source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source.where, padding_side="left", **common
        )
        model, notes = transformers.AutoModelForCausalLM.from_pretrained(
            source.where, dtype=spec.dtype, output_loading_info=True, **common
        )
        model = model.to(device).eval()
    if missing := sorted(notes["missing_keys"]):
        raise InputError(
            f"{spec.name}: {source.where} is no language model: {missing[0]} and "
            f"{len(missing) - 1} more weights are missing and would be random"
        )
    ends = _ends(model, tokenizer)
    return LanguageModel(
        spec.name,
        model,
        tokenizer,
        device,
        _context(model, tokenizer),
        ends,
        _pad(tokenizer, ends),
    )


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every end that generation settings, configuration or tokenizer name."""
    named = (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    )
    lists = (ends if isinstance(ends, list | tuple) else [ends] for ends in named)
    return frozenset(int(end) for ends in lists for end in ends if end is not None)


def _pad(tokenizer: Any, ends: frozenset[int]) -> int:
    """Return the padding token; masked on the left, dropped behind an end, so any one will do."""
    return int(tokenizer.pad_token_id) if tokenizer.pad_token_id is not None else min(ends or {0})


def _context(model: Any, tokenizer: Any) -> int | None:
    text = model.config.get_text_config()
    limits = (getattr(text, "max_position_embeddings", None), tokenizer.model_max_length)
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < _ENDLESS]
    return min(known, default=None)


#: Some templates write today's date into every prompt, so that tomorrow's prompts would differ.
#: A macro of the same name hides the clock from them.
PINNED_DATE = "26 Jul 2024"  #: the date that the Llama 3.2 template writes where it has no clock
_CLOCK = "strftime_now"
_PIN = f"{{%- macro {_CLOCK}(format) -%}}{PINNED_DATE}{{%- endmacro -%}}"
_GAP = " ... "


@dataclass(frozen=True)
class Prompt:
    """The tokens of one prompt; ``cut_tokens`` of the record's input did not fit."""

    tokens: tuple[int, ...]
    cut_tokens: int = 0


@dataclass(frozen=True)
class PromptForm:
    """How an instruction is given: ``chat`` or ``plain``, after which system prompt.

    ``template`` are arguments of the chat template.
    """

    style: str
    system: str | None = None
    template: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: ModelSpec, settings: GenerationSettings) -> PromptForm:
        """Return the form of a model's prompts."""
        return cls(spec.prompt, settings.system, spec.template)


def render(tokenizer: Any, text: str, form: PromptForm) -> tuple[int, ...]:
    """Return an instruction as tokens: within the chat template, where there is one, or plain.

    The same text gives the same tokens on every day. A template that knows no system prompt gets it
    at the head of the instruction, as a plain prompt does.
    """
    headed = text if form.system is None else f"{form.system}\n\n{text}"
    if form.style != "chat" or not tokenizer.chat_template:
        return tuple(tokenizer(headed)["input_ids"])
    template = tokenizer.get_chat_template()
    write = partial(
        tokenizer.apply_chat_template,
        chat_template=_PIN + template if _CLOCK in template else template,
        add_generation_prompt=True,
        tokenize=False,
        **form.template,
    )
    written = ""
    if form.system is not None:  # some templates refuse a system prompt, some pass over it
        system = {"role": "system", "content": form.system}
        with contextlib.suppress(library("jinja2").exceptions.TemplateError):
            written = write([system, {"role": "user", "content": text}])
    if form.system is None or form.system not in written:
        written = write([{"role": "user", "content": headed}])
    return tuple(tokenizer(written, add_special_tokens=False)["input_ids"])


def fit_prompt(
    tokenizer: Any,
    record: Record,
    instruct: Callable[[Record], str],
    form: PromptForm,
    limit: int | None,
) -> Prompt:
    """Return the prompt of a record in at most ``limit`` tokens.

    Where the whole does not fit, tokens are taken out of the middle of the record's input,
    so that the instruction and both ends of the input stay: one of them is where a question is.

    Raises :class:`~poq_abm.errors.InputError` when not even the instruction fits.
    """
    tokens = render(tokenizer, instruct(record), form)
    if limit is None or len(tokens) <= limit:
        return Prompt(tokens)
    pieces = tokenizer(record.input, add_special_tokens=False)["input_ids"]
    kept = len(pieces)
    while (excess := len(tokens) - limit) > 0:
        kept -= excess
        if kept < 2:
            raise InputError(f"record {record.id!r}: the instruction alone exceeds {limit} tokens")
        shorter = replace(record, input=_without_middle(tokenizer, pieces, kept))
        tokens = render(tokenizer, instruct(shorter), form)
    return Prompt(tokens, cut_tokens=len(pieces) - kept)


def _without_middle(tokenizer: Any, pieces: list[int], kept: int) -> str:
    head, tail = kept - kept // 2, kept // 2
    ends = (pieces[:head], pieces[len(pieces) - tail :])
    return _GAP.join(tokenizer.decode(end, skip_special_tokens=True) for end in ends)


@dataclass(frozen=True)
class ModelAnswer:
    """What a model wrote. ``tokens`` counts those that end it; ``stop`` is eos, stop or length."""

    text: str
    tokens: int
    stop: str


def seed_of(seed: int, model: str, records: Sequence[str]) -> int:
    """Return the seed, in [0, 2**63), of the batch in which ``model`` answers ``records``.

    >>> seed_of(1, "m", ["a"]) == seed_of(1, "m", ["b"])
    False
    """
    return int(digest([seed, model, *records])[:16], 16) >> 1


def sample(
    language_model: LanguageModel,
    prompts: Sequence[Prompt],
    settings: GenerationSettings,
    seed: int,
) -> list[ModelAnswer]:
    """Return a model's answers to a batch of prompts.

    Nucleus sampling at the temperature of the settings (greedy at 0) and nothing else: the sampling
    defaults that a checkpoint ships (top-k, penalties) are put aside. The generator of torch is
    seeded first.

    Raises :class:`~poq_abm.errors.InputError` when the model returns no numbers to sample from.
    """
    torch = library("torch")
    inputs = padded(language_model, [prompt.tokens for prompt in prompts])
    language_model.model.generation_config = decoding(
        settings, settings.max_new_tokens, ends=language_model.ends, pad=language_model.pad
    )
    stops: dict[str, Any] = {}
    if settings.stop:
        stops = {"stop_strings": list(settings.stop), "tokenizer": language_model.tokenizer}
    torch.manual_seed(seed)
    with torch.inference_mode():
        try:
            made = language_model.model.generate(**inputs, **stops)
        except RuntimeError as error:
            if "probability tensor" not in str(error):
                raise
            raise InputError(
                f"{language_model.name}: the model returns NaN or infinity instead of "
                "probabilities; its dtype may be too narrow (bfloat16 and float32 are wide enough)"
            ) from error
    written = made[:, inputs["input_ids"].shape[1] :].tolist()
    return [_answer(language_model, tokens, settings.stop) for tokens in written]


def padded(language_model: LanguageModel, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return the tensors of a batch, ``input_ids`` and ``attention_mask``, padded on the left."""
    torch, device = library("torch"), language_model.device
    width = max(map(len, prompts))
    ids = [[language_model.pad] * (width - len(prompt)) + [*prompt] for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def decoding(
    settings: GenerationSettings,
    new_tokens: int,
    *,
    ends: Iterable[int],
    pad: int,
    forced: bool = False,
) -> Any:
    """Return generation settings: nucleus sampling (greedy at temperature 0), nothing else on.

    Every default of a checkpoint is off, and so is the library's top-k.

    An answer has at most ``new_tokens`` tokens, and exactly so many when it is ``forced``.
    """
    nucleus = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
    return library("transformers").GenerationConfig(
        do_sample=settings.temperature > 0,
        max_new_tokens=new_tokens,
        eos_token_id=sorted(ends) or None,
        pad_token_id=pad,
        **({"min_new_tokens": new_tokens} if forced else {}),
        **(nucleus if settings.temperature > 0 else {}),
    )


def _answer(
    language_model: LanguageModel, tokens: Sequence[int], stops: Sequence[str] = ()
) -> ModelAnswer:
    end = next((i for i, token in enumerate(tokens) if token in language_model.ends), None)
    written = tokens if end is None else tokens[:end]
    decode = partial(language_model.tokenizer.decode, skip_special_tokens=True)
    text = decode(written)
    if places := [text.index(stop) for stop in stops if stop in text]:
        enough = (n for n in range(len(written) + 1) if _has_any(decode(written[:n]), stops))
        return ModelAnswer(text[: min(places)].strip(), next(enough, len(written)), "stop")
    count = len(tokens) if end is None else end + 1
    return ModelAnswer(text.strip(), count, "length" if end is None else "eos")


def _has_any(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops)
