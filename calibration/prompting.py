"""From a record to the tokens a model reads: its chat template, and room for the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from calibration.records import Record
from poq_abm.errors import InputError

__all__ = ["Prompt", "fit", "render"]

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


def render(tokenizer: Any, text: str, style: str) -> tuple[int, ...]:
    """Return an instruction as tokens: within the chat template, where there is one, or plain.

    ``style`` is ``chat`` or ``plain``. The same text gives the same tokens on every day.
    """
    if style == "chat" and tokenizer.chat_template:
        template = tokenizer.get_chat_template()
        written = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            chat_template=_PIN + template if _CLOCK in template else template,
            add_generation_prompt=True,
            tokenize=False,
        )
        return tuple(tokenizer(written, add_special_tokens=False)["input_ids"])
    return tuple(tokenizer(text)["input_ids"])


def fit(
    tokenizer: Any,
    record: Record,
    instruct: Callable[[Record], str],
    style: str,
    limit: int | None,
) -> Prompt:
    """Return the prompt of a record in at most ``limit`` tokens.

    Where the whole does not fit, tokens are taken out of the middle of the record's input, so that
    the instruction and both ends of the input stay: one of them is where a question is.

    Raises :class:`~poq_abm.errors.InputError` when not even the instruction fits.
    """
    tokens = render(tokenizer, instruct(record), style)
    if limit is None or len(tokens) <= limit:
        return Prompt(tokens)
    pieces = tokenizer(record.input, add_special_tokens=False)["input_ids"]
    kept = len(pieces)
    while (excess := len(tokens) - limit) > 0:
        kept -= excess
        if kept < 2:
            raise InputError(f"record {record.id!r}: the instruction alone exceeds {limit} tokens")
        shorter = replace(record, input=_without_middle(tokenizer, pieces, kept))
        tokens = render(tokenizer, instruct(shorter), style)
    return Prompt(tokens, cut_tokens=len(pieces) - kept)


def _without_middle(tokenizer: Any, pieces: list[int], kept: int) -> str:
    head, tail = kept - kept // 2, kept // 2
    ends = (pieces[:head], pieces[len(pieces) - tail :])
    return _GAP.join(tokenizer.decode(end, skip_special_tokens=True) for end in ends)
