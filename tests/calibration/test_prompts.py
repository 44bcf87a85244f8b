"""Templates: one per task, and nothing special in them but the input."""

from __future__ import annotations

import pytest

from calibration.prompts import SLOT, TEMPLATES, instruction, template_fault
from calibration.records import Record

QA, TRANSLATION = (Record("r", task, "{x} {input}?", ("!",)) for task in ("qa", "translation"))


@pytest.mark.parametrize("task", TEMPLATES)
def test_every_template_that_ships_is_sound_and_keeps_the_input_whole(task: str) -> None:
    assert template_fault(TEMPLATES[task]) is None
    before, after = TEMPLATES[task].split(SLOT)
    record = Record("r", task, "the input", ("!",))
    assert instruction(record) == f"{before}the input{after}"


def test_the_users_template_of_the_task_comes_first_then_ours_then_the_default() -> None:
    mine = {"default": "D {input}"}
    assert instruction(TRANSLATION, mine) == "D {x} {input}?"
    assert instruction(QA, mine) == instruction(QA)
    assert instruction(QA, {"qa": "Q {input} {}"}) == "Q {x} {input}? {}"
    assert instruction(TRANSLATION) == TEMPLATES["default"].replace(SLOT, TRANSLATION.input)


@pytest.mark.parametrize("template", ["", "{Input}", "{input} {input}"])
def test_a_template_needs_the_input_exactly_once(template: str) -> None:
    assert "exactly once" in str(template_fault(template))
