"""The judge: a second opinion on a sample of the outputs, asked of a model behind an HTTP API.

Every reply that was paid for is on the disk before the next question is asked, so judging can be
stopped at any moment and goes on where it stopped. A judge that declines, or whose replies stay
unusable, is recorded as having refused, with the reason. A server that fails is not recorded: its
questions are asked again by the next run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calibration.configuration import Calibration
from calibration.extra import require
from calibration.folders import Workspace
from calibration.generation import outputs
from calibration.jsonl import Log
from calibration.judge_budget import Budget
from calibration.judge_client import JudgeClient
from calibration.judge_patience import Clock
from calibration.judge_question import Question, make_question
from calibration.judge_sample import sample_records
from calibration.judge_secret import OFFICIAL, Secret, read_secret
from calibration.judge_session import Session
from calibration.records import read_corpus
from calibration.settings import JudgeSettings

__all__ = ["Summary", "check_judge", "judge", "read_judgements"]

EVERY = 10  # questions between two reports of progress
FORMS = {"json_object": "a JSON object", "text": "text"}  # what is asked for in place of a schema

Row = dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """What one run of the judge did; ``stopped`` says why questions are left, if any are.

    ``done`` were answered by earlier runs, ``missing`` wait for an output, ``left`` were not
    answered yet; ``calls`` and ``usd`` count all runs of this calibration.
    """

    done: int = 0
    judged: int = 0
    refused: int = 0
    left: int = 0
    missing: int = 0
    calls: int = 0
    usd: float = 0.0
    stopped: str | None = None


def judge(
    calibration: Calibration,
    report: Callable[[str], None],
    *,
    again: bool = False,
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Ask the judge about every sampled output that has no judgement yet; return what was done.

    At most ``per_group`` outputs per task and model, the same records for every model. ``again``
    asks refused questions once more. ``environment`` holds the key, by default that of the process.

    Raises :class:`~poq_abm.errors.InputError` when there is no corpus or key, the server cannot be
    reached or refuses the key, three questions in a row remain without an answer, or the first
    three are all refused. A budget that is spent is no error: the summary says what is left.
    """
    settings = calibration.judge
    if settings is None:
        report("no judge: the configuration names none")
        return Summary()
    secret = _secret(settings, environment)
    clock = clock or Clock()
    questions, missing = _questions(calibration, settings)
    if missing:
        report(f"{missing} sampled outputs are not there yet: `poq calibrate generate` makes them")
    log = Log(Workspace(calibration.out).judgements)
    rows, dropped = log.read()
    if dropped:
        report(f"{log.path}: the last line is damaged and dropped; its question is asked again")
    latest = _latest(rows)
    answered = {key for key, row in latest.items() if not (again and "refused" in row)}
    is_proven = any("score" in latest[_identity(q)] for q in questions if _identity(q) in latest)
    waiting = [question for question in questions if _identity(question) not in answered]
    done = len(questions) - len(waiting)
    report(f"{settings.model}: {done} outputs judged before, {len(waiting)} to judge")
    budget = Budget(settings, rows)
    stopped = None
    with JudgeClient(settings, secret, clock) as client:
        session = Session(
            settings, calibration.seed, client, budget, secret, clock, log, is_proven=is_proven
        )
        try:
            stopped = session.ask_all(waiting, _progress(len(waiting), report))
        finally:
            left = len(waiting) - session.judged - session.refused
            if client.way is not None and client.way.form != "json_schema":
                report(f"the server takes no schema: asked for {FORMS[client.way.form]}")
            report(_account(session, left, budget))
    if stopped:
        report(f"stopped: {stopped}")
    return Summary(
        done, session.judged, session.refused, left, missing, budget.calls, budget.usd, stopped
    )


def check_judge(calibration: Calibration, environment: Mapping[str, str] | None = None) -> None:
    """Raise an input error if there is a judge but no client library or no key; ask nothing."""
    if calibration.judge is not None:
        require("openai")
        _secret(calibration.judge, environment)


def read_judgements(calibration: Calibration) -> list[Row]:
    """Return the judgements of the sampled outputs as they are now, refusals included.

    A judgement of an output, or by a judge or a prompt, that has since been replaced is left out.
    """
    if calibration.judge is None:
        return []
    questions, _ = _questions(calibration, calibration.judge)
    rows, _ = Log(Workspace(calibration.out).judgements).read()
    latest = _latest(rows)
    return [latest[_identity(q)] for q in questions if _identity(q) in latest]


def _secret(settings: JudgeSettings, environment: Mapping[str, str] | None) -> Secret:
    address = settings.base_url or OFFICIAL
    known = os.environ if environment is None else environment
    return read_secret(settings.key_variable, address, known)


def _questions(calibration: Calibration, settings: JudgeSettings) -> tuple[list[Question], int]:
    """Return the questions in the order of asking, and how many more wait for an output."""
    workspace = Workspace(calibration.out)
    sample = sample_records(read_corpus(workspace.corpus), calibration.seed, settings.per_group)
    made = {spec.name: outputs(calibration, spec, sample) for spec in calibration.models}
    questions = [
        make_question(settings.model, record, name, rows[record.id]["output"])
        for record in sample
        for name, rows in made.items()
        if record.id in rows
    ]
    return questions, len(sample) * len(made) - len(questions)


def _identity(question: Question) -> tuple[str, str, str]:
    return question.record, question.model, question.key


def _latest(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    return {(row["record"], row["model"], row["key"]): row for row in rows}


def _progress(questions: int, report: Callable[[str], None]) -> Callable[[int], None]:
    def progress(number: int) -> None:
        if number % EVERY == 0 and number < questions:
            report(f"asked {number} of {questions}")

    return progress


def _account(session: Session, left: int, budget: Budget) -> str:
    paid = f" and {budget.usd:.4g} dollars" if budget.usd else ""
    return (
        f"judged {session.judged}, refused {session.refused}, left {left}; "
        f"{budget.calls} calls{paid} in all"
    )
