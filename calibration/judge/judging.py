"""The judge: a second opinion on a sample of the outputs, asked of a model behind an HTTP API.

Every reply that was paid for is on the disk before the next question is asked, so judging can be
stopped at any moment and goes on where it stopped. A judge that declines, or whose replies stay
unusable, is recorded as having refused, with the reason. A server that fails is not recorded: its
questions are asked again by the next run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean
from typing import Any, TypeVar

from calibration.configuration import Calibration
from calibration.corpus.record_samples import sample_records
from calibration.corpus.records import Record, read_corpus
from calibration.judge.client import JudgeClient, Reply
from calibration.judge.pairs import win_shares
from calibration.judge.verdicts import (
    Question,
    UnusableError,
    make_pair,
    make_question,
)
from calibration.libraries import require
from calibration.models.endpoints import NoAnswerError
from calibration.models.generation import outputs
from calibration.models.server_keys import OFFICIAL, Secret, read_secret
from calibration.models.spending import Budget, Sent, side_by_side
from calibration.progress import Advance, Report, progress
from calibration.stage_settings import AskedSettings, JudgeSettings
from calibration.workspace import Log, Workspace
from poq_abm.errors import InputError

__all__ = [
    "Session",
    "Summary",
    "check_judge",
    "judge",
    "read_judgements",
    "read_verdicts",
    "served_by",
]

FORMS = {"json_object": "a JSON object", "text": "text"}  # what is asked for in place of a schema
FAILURES_IN_A_ROW = 3  # questions without an answer before we call the server broken
REFUSED_FROM_THE_START = 3  # questions refused, and none judged, before we call the judge unfit
EXCERPT = 300  # characters of a reply that was declined or cut off
REPLIES_UNPROVEN = 2  # paid for one question while no reply of the judge could be read yet

Row = dict[str, Any]
Number = TypeVar("Number", int, float)


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
    report: Report,
    *,
    again: bool = False,
    resend: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Summary:
    """Ask the judge about every sampled output that has no judgement yet; return what was done.

    At most ``per_group`` outputs per task and model, the same records for every model. ``again``
    asks refused questions once more, ``resend`` those that were on their way when an earlier run
    was killed. ``environment`` holds the key, by default that of the process.

    Raises :class:`~poq_abm.errors.InputError` when there is no corpus or key, the server cannot be
    reached or refuses the key, three questions in a row remain without an answer, or the first
    three are all refused. A budget that is spent is no error: the summary says what is left.
    """
    settings = calibration.judge
    if settings is None:
        report("no judge: the configuration names none")
        return Summary()
    secret = _secret(settings, environment)
    questions, missing = _questions(calibration, settings)
    if missing:
        report(f"{missing} sampled outputs are not there yet: `poq calibrate generate` makes them")
    log = Log(Workspace(calibration.out).judgements)
    rows, dropped = log.read()
    if dropped:
        report(f"{log.path}: the last line is damaged and dropped; its question is asked again")
    latest = _latest(rows)
    answered = {key for key, row in latest.items() if not (again and "refused" in row)}
    is_proven = any(
        "refused" not in latest[_identity(q)] for q in questions if _identity(q) in latest
    )
    waiting = [question for question in questions if _identity(question) not in answered]
    done = len(questions) - len(waiting)
    report(f"{settings.model}: {done} outputs judged before, {len(waiting)} to judge")
    sent = Sent(settings, log.path)
    budget = Budget(settings, rows, sent.unknown)
    asked = sent.to_ask(waiting, _name, report, resend=resend)
    stopped = None
    with JudgeClient(settings, secret) as client:
        session = Session(settings, client, budget, secret, log, sent, is_proven=is_proven)
        session.served = served_by(latest.get(_identity(q), {}) for q in questions)
        try:
            with progress(report, settings.model, len(asked)) as advance:
                stopped = session.ask_all(asked, advance)
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
    """Return a score or a refusal of each sampled output that was judged.

    Of an output that was judged in two orders it is their mean, of outputs that were compared ten
    times the share of wins (:func:`calibration.judge.pairs.win_shares`).
    """
    rows = read_verdicts(calibration)
    if calibration.judge is None or calibration.judge.mode == "score":
        return list(_averaged(rows))
    return win_shares(rows)


def read_verdicts(calibration: Calibration) -> list[Row]:
    """Return the answers of the judge as they are now, refusals included.

    A judgement of an output, or by a judge or a prompt, that has since been replaced is left out.
    """
    if calibration.judge is None:
        return []
    questions, _ = _questions(calibration, calibration.judge)
    rows, _ = Log(Workspace(calibration.out).judgements).read()
    latest = _latest(rows)
    return [latest[_identity(q)] for q in questions if _identity(q) in latest]


def served_by(rows: Iterable[Row]) -> str:
    """Return what the server called its model when it first said so; nothing if it never did."""
    return next((str(row["served"]) for row in rows if row.get("served")), "")


def _averaged(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield a row for each output: the mean of its scores, or a refusal where there is one."""
    of_output: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        of_output.setdefault((row["record"], row["model"]), []).append(row)
    for own in of_output.values():
        refused = next((row for row in own if "refused" in row), None)
        yield refused or {**own[0], "score": fmean(row["score"] for row in own)}


def _secret(settings: JudgeSettings, environment: Mapping[str, str] | None) -> Secret:
    address = settings.base_url or OFFICIAL
    known = os.environ if environment is None else environment
    return read_secret(settings.key_variable, address, known)


def _questions(calibration: Calibration, settings: JudgeSettings) -> tuple[list[Question], int]:
    """Return the questions in the order of asking, and how many more wait for an output."""
    workspace = Workspace(calibration.out)
    sample = sample_records(read_corpus(workspace.corpus), calibration.seed, settings.per_group)
    made = {spec.name: outputs(calibration, spec, sample) for spec in calibration.models}
    questions: list[Question] = []
    missing = 0
    for record in sample:
        there = {
            name: rows[record.id]["output"] for name, rows in made.items() if record.id in rows
        }
        missing += len(made) - len(there)
        questions += _questions_of(settings, record, there)
    return questions, missing


def _questions_of(
    settings: JudgeSettings, record: Record, there: Mapping[str, str]
) -> Iterator[Question]:
    """Yield what the judge is asked of one record: of each output, or of each pair of them."""
    if settings.mode == "pairs":
        pairs = permutations(there.items(), 2)
        yield from (make_pair(settings.model, record, *pair) for pair in pairs)
        return
    for model, output in there.items():
        yield make_question(settings.model, record, model, output)
        if settings.second_order:
            yield make_question(settings.model, record, model, output, answer_first=True)


def _name(question: Question) -> str:
    return question.name


def _identity(question: Question) -> tuple[str, str, str]:
    return question.record, question.model, question.key


def _latest(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    return {(row["record"], row["model"], row["key"]): row for row in rows}


def _account(session: Session, left: int, budget: Budget) -> str:
    paid = f" and {budget.usd:.4g} dollars" if budget.usd else ""
    return (
        f"judged {session.judged}, refused {session.refused}, left {left}; "
        f"{budget.calls} calls{paid} in all"
    )


@dataclass
class _Attempt:
    """One question being asked: what its replies cost, and why there is no score yet."""

    replies: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    complaint: str = ""  # about the last reply
    is_over: bool = False  # asking again would be pointless
    failure: str = ""  # of the server
    verdict: dict[str, Any] | None = None
    calls: int = 0
    seconds: float = 0.0  # of the last reply
    served: str = ""  # by which model, in the server's word

    def add(self, reply: Reply, usd: float | None) -> None:
        self.replies += 1
        self.input_tokens = _sum(self.input_tokens, reply.input_tokens)
        self.output_tokens = _sum(self.output_tokens, reply.output_tokens)
        self.usd = _sum(self.usd, usd)
        self.served = reply.served


@dataclass
class Session:
    """Asks questions, some at once, and appends each outcome to the log as it comes.

    A question ends in a score, in a refusal (the judge declined, or no reply was usable), or, when
    the server failed throughout, in nothing. Three of the last kind in a row end the session with
    an :class:`~poq_abm.errors.InputError`: the server is broken, not the question. So do refusals
    of the first three questions, unless the judge ``is_proven`` by earlier scores: a judge of whom
    nothing can be read would refuse the rest too. Until one reply could be read, questions go one
    by one.
    """

    settings: AskedSettings
    client: JudgeClient
    budget: Budget
    secret: Secret
    log: Log
    sent: Sent
    is_proven: bool = False
    again: str = "poq calibrate judge --again"  # what asks what was refused once more
    served: str = ""  # what the server called its model so far
    judged: int = 0
    refused: int = 0
    unanswered: int = 0
    failures: int = 0  # in a row
    last: str = ""  # what came of the last question

    def ask_all(self, questions: Iterable[Question], advance: Advance) -> str | None:
        """Ask until all are answered or the budget is spent; return why some are left, if so."""

        def permit(on_their_way: int) -> int:
            if on_their_way and not self._has_been_read:
                return 0
            return self.budget.permit(on_their_way, self.settings.retries + 1)

        def after() -> None:
            advance(self.last)

        side_by_side(questions, self._ask, self._keep, self.settings.concurrency, permit, after)
        if self.budget.stopped is None and self.unanswered:
            return "the server failed now and then; the next run asks again"
        return self.budget.stopped

    def _ask(self, question: Question, left: int) -> _Attempt:
        """Return the verdict, or none once asking again is pointless or not allowed."""
        attempt, name = _Attempt(), question.name
        self.sent.leaving(name)
        try:
            while left > 0 and not (attempt.replies and self.budget.exhausted()):
                before, start = self.client.calls, time.perf_counter()
                try:
                    reply = self.client.ask(
                        question.prompt,
                        question.text,
                        question.schema,
                        left - 1,
                        self.sent.headers(name, attempt.replies),
                    )
                except NoAnswerError as error:
                    attempt.failure = str(error)
                    break
                finally:
                    sent = self.client.calls - before
                    self.budget.count_calls(sent)
                    attempt.calls += sent
                    left -= sent
                attempt.seconds = time.perf_counter() - start
                attempt.add(reply, self.budget.charge(reply.input_tokens, reply.output_tokens))
                attempt.verdict = self._read(question, reply, attempt)
                if attempt.verdict is not None or attempt.is_over:
                    break
        except InputError:  # no request can succeed, and this one was not paid for
            self.sent.back(name)
            raise
        finally:
            self.budget.give_back(left)
        return attempt

    def _keep(self, question: Question, attempt: _Attempt) -> None:
        verdict = attempt.verdict
        if verdict is None and attempt.replies:
            verdict = {"refused": self.secret.redact(attempt.complaint)}
        self.last = attempt.failure if verdict is None else str(verdict)
        if verdict is not None:
            self.failures = 0
            self._write(question, verdict, attempt)
            self._check_use(verdict)
            return
        self.sent.back(question.name)
        self.unanswered += 1
        self.failures += 1
        if self.failures == FAILURES_IN_A_ROW:
            raise InputError(
                f"{self.failures} questions in a row got no answer: {attempt.failure}; what was "
                f"judged is kept, run again to go on"
            )

    @property
    def _has_been_read(self) -> bool:
        return self.is_proven or self.judged > 0

    def _check_use(self, verdict: dict[str, Any]) -> None:
        if not self._has_been_read and self.refused == REFUSED_FROM_THE_START:
            raise InputError(
                f"the first {self.refused} questions were all refused, the last because "
                f"{verdict['refused']}; mend the judge and run `{self.again}`"
            )

    def _read(self, question: Question, reply: Reply, attempt: _Attempt) -> dict[str, Any] | None:
        """Return the verdict of a reply, or note what is wrong with it and whether to go on."""
        if reply.declined or reply.is_cut:  # the same limit would cut the next one
            cut = "the server cut the reply off at its limit"
            said = cut if reply.is_cut else "the judge declined"
            attempt.complaint = f"{said}: {' '.join(reply.text.split())[:EXCERPT]}"
            attempt.is_over = True
            return None
        try:
            verdict = question.read(reply.text)
        except UnusableError as error:
            attempt.complaint = str(error)
            attempt.is_over = not self._has_been_read and attempt.replies == REPLIES_UNPROVEN
            return None
        return {**verdict, "justification": self.secret.redact(verdict["justification"])}

    def _write(self, question: Question, verdict: dict[str, Any], attempt: _Attempt) -> None:
        """Append the outcome; only then does it count. That of another model is kept apart."""
        self.served = self.served or attempt.served
        is_same = attempt.served in ("", self.served)
        self.log.append(
            {
                **question.names,
                "judge": self.settings.model,
                "key": question.key if is_same else f"{question.key} other",
                **verdict,
                "attempts": attempt.calls,
                "input_tokens": attempt.input_tokens,
                "output_tokens": attempt.output_tokens,
                "usd": attempt.usd,
                "seconds": attempt.seconds,
                "served": attempt.served,
            }
        )
        self.sent.back(question.name)
        if not is_same:
            raise InputError(
                f"the server calls the model {self.settings.model!r} {attempt.served!r} now, and "
                f"called it {self.served!r} before; name the version you want as 'model', or "
                f"remove {self.log.path} to begin anew"
            )
        if "refused" in verdict:
            self.refused += 1
        else:
            self.judged += 1


def _sum(so_far: Number | None, more: Number | None) -> Number | None:
    return so_far if more is None else more if so_far is None else so_far + more
