"""Thinking traces: what of a text is the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.models.generation import without_trace

TAGS = ("think", "thinking", "thought", "reasoning", "analysis")


@pytest.mark.parametrize("tag", TAGS)
def test_the_answer_follows_the_last_closing_tag(tag: str) -> None:
    assert without_trace(f"<{tag}>The answer is 7</{tag}> 42") == "42"
    assert without_trace(f"The answer is 7</{tag.upper()}>\n\n42\n") == "42"
    assert without_trace(f"<{tag}>7</{tag}> or <{tag}>8</{tag}> 42") == "42"


@pytest.mark.parametrize("text", ["<think>The answer", "\n<think>", "<think>a</think><think>b"])
def test_a_trace_that_was_cut_off_leaves_nothing(text: str) -> None:
    assert without_trace(text) == ""


@given(st.text(alphabet="ab <>/think\n", max_size=20).filter(lambda text: "think>" not in text))
def test_a_text_without_tags_is_left_alone(text: str) -> None:
    assert without_trace(text) == text
