"""Exact architectures without their weights: built from a configuration alone, nothing downloaded.

What a model costs does not depend on the values of its weights, only on their shapes, as long as
it writes the same number of tokens. So a model that is gated, huge or not at hand can be timed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.libraries import library
from poq_abm.errors import InputError, nearest

__all__ = ["KINDS", "build_random", "count_parameters"]

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
    layers: int | None = None,
) -> Any:
    """Return a model of the architecture in ``configuration`` (a ``config.json``), random weights.

    The model is laid out without memory, given memory on ``device``, initialised the way its
    family is, and its buffers (rotary frequencies, positions) are rebuilt. ``layers`` cuts the
    depth, for trying things out. Nothing is read from a hub and no code is taken from the
    configuration.

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
            model = automatic.from_config(_parsed(configuration, layers), dtype=number_format)
        model.to_empty(device=device)
        _poison_buffers(model)
        model.initialize_weights()
        model.tie_weights()  # memory was given to each tensor by itself, tied ones included
    _check_rebuilt(model)
    return model.eval()


def count_parameters(model: Any) -> int:
    """Return the number of parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _parsed(configuration: Mapping[str, Any], layers: int | None) -> Any:
    known = library("transformers").CONFIG_MAPPING
    kind = configuration.get("model_type")
    if kind not in known:
        hint = nearest(kind, known.keys())
        raise InputError(f"transformers knows no model type {kind!r}; {hint}")
    own_code = ("auto_map", "_name_or_path")  # where other code or a hub would come in
    plain = {key: value for key, value in configuration.items() if key not in own_code}
    if layers is not None:
        plain["num_hidden_layers"] = layers
        if isinstance(plain.get("layer_types"), list):
            plain["layer_types"] = plain["layer_types"][:layers]
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
