"""Language models in memory, and the check that every model could get there."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.batching import is_out_of_memory
from calibration.configuration import Calibration, EvaluatorSpec, ModelSpec
from calibration.libraries import library, quiet
from calibration.locating import Source, locate
from poq_abm.errors import InputError

__all__ = [
    "LanguageModel",
    "check_models",
    "chosen_device",
    "kind_of_device",
    "load_language_model",
    "loading",
    "locate_all",
    "release",
]

Spec = ModelSpec | EvaluatorSpec

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


def chosen_device(setting: str) -> str:
    """Return the device a setting means: ``auto`` is CUDA where there is one, else the processor.

    Raises :class:`~poq_abm.errors.InputError` when the device cannot be used here.
    """
    torch = library("torch")
    if setting == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=setting)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {setting!r} cannot be used on this machine: {reason}") from error
    return setting


def kind_of_device(device: str) -> str:
    """Return a device without its number.

    >>> kind_of_device("cuda:1")
    'cuda'
    """
    return device.partition(":")[0]


def check_models(
    calibration: Calibration, report: Callable[[str], None] = lambda _: None
) -> dict[str, Source]:
    """Return where every model and evaluator is, before any work, and report a line for each.

    Raises :class:`~poq_abm.errors.InputError` listing every one that is neither on this disk nor
    allowed to be downloaded, every one whose code would have to be trusted first, and a device
    that this machine lacks.
    """
    wrong = [*_device_faults(calibration)]
    found: dict[str, Source] = {}
    specs: list[Spec] = [*calibration.models, *calibration.evaluators]
    for spec in specs:
        try:
            found[spec.name] = locate(spec.model, spec.revision)
            _check_architecture(spec, found[spec.name])
        except InputError as error:
            wrong.append(f"{spec.name}: {error}")
        else:
            report(f"{spec.name}: {_described(found[spec.name])}")
    if wrong:
        raise InputError("\n".join(wrong))
    return found


def locate_all(specs: Sequence[Spec]) -> dict[str, Source]:
    """Return where each model is; an error for any of them comes before work on the first."""
    found = {}
    for spec in specs:
        try:
            found[spec.name] = locate(spec.model, spec.revision)
        except InputError as error:
            raise InputError(f"{spec.name}: {error}") from error
    return found


def load_language_model(spec: ModelSpec, source: Source, device: str) -> LanguageModel:
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


@contextlib.contextmanager
def loading(name: str, source: Source) -> Iterator[None]:
    """Turn every refusal to load a model into an input error that names the model.

    Checkpoints are what others made: they fail in as many ways as there are libraries to read them.
    """
    try:
        with quiet():
            yield
    except Exception as error:
        if is_out_of_memory(error):
            raise InputError(
                f"{name}: {source.where} does not fit into the memory of this device; "
                "choose a smaller dtype or another device"
            ) from error
        reason = " ".join(str(error).split())[:500]
        raise InputError(
            f"{name}: {source.where} cannot be loaded ({type(error).__name__}): {reason}"
        ) from error


def release(device: str) -> None:
    """Give back what no model in use occupies."""
    gc.collect()
    if kind_of_device(device) == "cuda":
        library("torch").cuda.empty_cache()


def _device_faults(calibration: Calibration) -> Iterator[str]:
    for setting in sorted({calibration.generation.device, calibration.scoring.device}):
        try:
            chosen_device(setting)
        except InputError as error:
            yield str(error)


def _described(source: Source) -> str:
    place = f"in {source.where}" if source.is_local else f"to be downloaded from {source.where}"
    return f"{place}, revision {source.revision[:19]}"


def _check_architecture(spec: Spec, source: Source) -> None:
    """Raise for a folder whose architecture this version of transformers cannot build by itself."""
    if not source.is_local:
        return
    file = Path(source.where) / "config.json"
    try:
        configuration = json.loads(file.read_text(encoding="utf-8"))
        kind, own_code = configuration.get("model_type"), "auto_map" in configuration
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not a readable configuration") from error
    if kind in library("transformers").CONFIG_MAPPING or (own_code and spec.trust_remote_code):
        return
    if own_code:
        raise InputError(
            f"{source.where} brings its own code, which runs only with 'trust_remote_code: true'"
        )
    raise InputError(f"{file}: this version of transformers knows no model type {kind!r}")


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
