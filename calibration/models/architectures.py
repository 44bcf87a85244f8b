"""The models and evaluators of the published study, and exact architectures without their weights.

A registry entry says how to load a checkpoint; an architecture is the configuration it is built
from, so that its cost can be measured without its weights. Neither holds any weight, and no entry
turns ``trust_remote_code`` on. What a model costs does not depend on the values of its weights,
only on their shapes, as long as it writes the same number of tokens: so a model that is gated, huge
or not at hand can be timed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from calibration.libraries import library
from poq_abm.errors import InputError, nearest

__all__ = [
    "KINDS",
    "PUBLISHED",
    "architecture",
    "architectures",
    "build_random",
    "count_parameters",
    "evaluator_entry",
    "evaluator_names",
    "model_entry",
    "model_names",
]

_FOLDER = Path(__file__).with_name("registry")
PUBLISHED = "published.json"


def model_names() -> tuple[str, ...]:
    """Return the names of the registered inference models.

    >>> model_names()[0], len(model_names())
    ('tinylama_1_1b', 5)
    """
    return tuple(_published()["models"])


def evaluator_names() -> tuple[str, ...]:
    """Return the names of the registered evaluators.

    >>> evaluator_names()
    ('ce_minilm', 'ce_deberta', 'sts_stsb')
    """
    return tuple(_published()["evaluators"])


def model_entry(name: str) -> dict[str, Any]:
    """Return the settings of a registered inference model, ``name`` included.

    Raises :class:`~poq_abm.errors.InputError` with the nearest name.

    >>> model_entry("qwen2_1_5b")["model"]
    'Qwen/Qwen2-1.5B-Instruct'
    """
    return _entry("models", "model", name)


def evaluator_entry(name: str) -> dict[str, Any]:
    """Return the settings of a registered evaluator, ``name`` included.

    Raises :class:`~poq_abm.errors.InputError` with the nearest name.

    >>> evaluator_entry("sts_stsb")["kind"], evaluator_entry("sts_stsb")["batch_size"]
    ('bi_encoder', 64)
    """
    return _entry("evaluators", "evaluator", name)


def architectures() -> tuple[str, ...]:
    """Return the names whose architecture ships: the registered models, then the evaluators.

    >>> architectures() == model_names() + evaluator_names()
    True
    """
    return model_names() + evaluator_names()


def architecture(name: str) -> dict[str, Any]:
    """Return what ships of a registered architecture.

    ``config`` is what ``transformers.AutoConfig.for_model(**config)`` takes; ``kind`` is
    ``causal_lm``, ``cross_encoder`` or ``bi_encoder``; ``parameters`` is the exact number of
    parameters, tied ones counted once, and ``published_parameters`` the number the makers round it
    to. Raises :class:`~poq_abm.errors.InputError` with the nearest name.

    >>> architecture("qwen2_1_5b")["config"]["hidden_size"]
    1536
    """
    if name not in architectures():
        raise InputError(
            f"no architecture {name[:80]!r} ships; {nearest(name[:80], architectures())}"
        )
    found: dict[str, Any] = _read(f"{name}.json")
    return found


def _entry(section: str, what: str, name: str) -> dict[str, Any]:
    entries = _published()[section]
    if name not in entries:
        raise InputError(f"no {what} {name[:80]!r} is registered; {nearest(name[:80], entries)}")
    return {"name": name, **entries[name]}


@cache
def _published() -> dict[str, Any]:
    return _read(PUBLISHED)


def _read(file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / file).read_text(encoding="utf-8"))
    return found


#: Kind of model to the automatic class of transformers that builds it.
KINDS = {
    "causal_lm": "AutoModelForCausalLM",
    "cross_encoder": "AutoModelForSequenceClassification",
    "bi_encoder": "AutoModel",
}
SEED = 5
_POISON = -1


def build_random(
    configuration: Mapping[str, Any],
    *,
    kind: str = "causal_lm",
    dtype: str = "bfloat16",
    device: str = "cpu",
) -> Any:
    """Return a model of the architecture in ``configuration`` (a ``config.json``), random weights.

    The model is laid out without memory, given memory on ``device``, initialised the way its
    family is, and its buffers (rotary frequencies, positions) are rebuilt. Nothing is read from a
    hub and no code is taken from the configuration.

    Raises :class:`~poq_abm.errors.InputError` for a kind, a model type or a number format that
    does not exist, and when a buffer could not be rebuilt.
    """
    torch, transformers = library("torch"), library("transformers")
    if kind not in KINDS:
        raise InputError(f"no kind of model is called {kind!r}; {nearest(kind, KINDS)}")
    number_format = getattr(torch, dtype, None)
    if not isinstance(number_format, torch.dtype):
        raise InputError(f"dtype {dtype!r} is not a number format; bfloat16, float16, float32 are")
    with torch.random.fork_rng(devices=_generators(device)), torch.no_grad():
        torch.manual_seed(SEED)
        with torch.device("meta"):
            automatic = getattr(transformers, KINDS[kind])
            model = automatic.from_config(_parsed(configuration), dtype=number_format)
        model.to_empty(device=device)
        _poison_buffers(model)
        model.initialize_weights()
        model.tie_weights()  # memory was given to each tensor by itself, tied ones included
    _check_rebuilt(model)
    return model.eval()


def count_parameters(model: Any) -> int:
    """Return the number of parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _parsed(configuration: Mapping[str, Any]) -> Any:
    known = library("transformers").CONFIG_MAPPING
    kind = configuration.get("model_type")
    if kind not in known:
        hint = nearest(kind, known.keys())
        raise InputError(f"transformers knows no model type {kind!r}; {hint}")
    own_code = ("auto_map", "_name_or_path")  # where other code or a hub would come in
    plain = {key: value for key, value in configuration.items() if key not in own_code}
    return known[kind].from_dict(plain)


def _generators(device: str) -> list[str]:
    return [device] if device.startswith("cuda") else []


def _poison_buffers(model: Any) -> None:
    """Fill every buffer with what cannot be right, so that one nobody rebuilds is noticed."""
    for buffer in model.buffers():
        buffer.fill_(float("nan") if buffer.is_floating_point() else _POISON)


def _check_rebuilt(model: Any) -> None:
    torch = library("torch")
    for name, buffer in model.named_buffers():
        rebuilt = torch.isfinite(buffer) if buffer.is_floating_point() else buffer != _POISON
        if not bool(rebuilt.all()):
            raise InputError(
                f"this version of transformers leaves {name!r} of {type(model).__name__} empty; "
                "use weights: real, or a newer version"
            )
