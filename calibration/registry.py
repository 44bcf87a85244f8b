"""The models and evaluators of the published study, and their architectures, as data.

A registry entry says how to load a checkpoint; an architecture is the configuration it is built
from, so that its cost can be measured without its weights. Neither holds any weight, and no entry
turns ``trust_remote_code`` on.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from poq_abm.errors import InputError, nearest

__all__ = [
    "PUBLISHED",
    "architecture",
    "architectures",
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
