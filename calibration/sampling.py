"""A batch of prompts in, a batch of answers out: nucleus sampling from a known seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.caching import digest
from calibration.configuration import GenerationSettings
from calibration.libraries import library
from calibration.loading import LanguageModel
from calibration.prompting import Prompt
from poq_abm.errors import InputError

__all__ = ["Answer", "decoding", "sample", "seed_of"]


@dataclass(frozen=True)
class Answer:
    """What a model wrote. ``tokens`` counts the token that ends it; ``stop`` is eos or length."""

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
) -> list[Answer]:
    """Return a model's answers to a batch of prompts.

    Nucleus sampling at the temperature of the settings (greedy at 0) and nothing else: the sampling
    defaults that a checkpoint ships (top-k, penalties) are put aside. The generator of torch is
    seeded first.

    Raises :class:`~poq_abm.errors.InputError` when the model returns no numbers to sample from.
    """
    torch = library("torch")
    width = max(len(prompt.tokens) for prompt in prompts)
    gaps = [width - len(prompt.tokens) for prompt in prompts]
    padded = [
        [language_model.pad] * gap + [*p.tokens] for gap, p in zip(gaps, prompts, strict=True)
    ]
    masks = [[0] * gap + [1] * (width - gap) for gap in gaps]
    language_model.model.generation_config = decoding(
        settings, settings.max_new_tokens, ends=language_model.ends, pad=language_model.pad
    )
    torch.manual_seed(seed)
    with torch.inference_mode():
        try:
            made = language_model.model.generate(
                torch.tensor(padded, device=language_model.device),
                attention_mask=torch.tensor(masks, device=language_model.device),
            )
        except RuntimeError as error:
            if "probability tensor" not in str(error):
                raise
            raise InputError(
                f"{language_model.name}: the model returns NaN or infinity instead of "
                "probabilities; its dtype may be too narrow (bfloat16 and float32 are wide enough)"
            ) from error
    return [_answer(language_model, tokens) for tokens in made[:, width:].tolist()]


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


def _answer(language_model: LanguageModel, tokens: Sequence[int]) -> Answer:
    end = next((i for i, token in enumerate(tokens) if token in language_model.ends), None)
    written = tokens if end is None else tokens[:end]
    text = language_model.tokenizer.decode(written, skip_special_tokens=True).strip()
    count = len(tokens) if end is None else end + 1
    return Answer(text, count, "length" if end is None else "eos")
