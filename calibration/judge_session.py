"""One run of asking: attempts, waiting, the budget, and a line on the disk for every outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from calibration.jsonl import Log
from calibration.judge_budget import Budget
from calibration.judge_client import JudgeClient, NoAnswerError, Reply
from calibration.judge_patience import Clock, backoff_s
from calibration.judge_question import Question, UnusableError, parse_verdict
from calibration.judge_secret import Secret
from calibration.settings import JudgeSettings
from poq_abm.errors import InputError

__all__ = ["Session"]

FAILURES_IN_A_ROW = 3  # questions without an answer before we call the server broken
REFUSED_FROM_THE_START = 3  # questions refused, and none judged, before we call the judge unfit
EXCERPT = 300  # characters of a reply that was declined or cut off
REPLIES_UNPROVEN = 2  # paid for one question while no reply of the judge could be read yet
LONGEST_WAIT_S = 600.0  # a server that wants more is left alone until the next run

Number = TypeVar("Number", int, float)


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

    def add(self, reply: Reply, usd: float | None) -> None:
        self.replies += 1
        self.input_tokens = _sum(self.input_tokens, reply.input_tokens)
        self.output_tokens = _sum(self.output_tokens, reply.output_tokens)
        self.usd = _sum(self.usd, usd)


@dataclass
class Session:
    """Asks questions one after the other and appends each outcome to the log.

    A question ends in a score, in a refusal (the judge declined, or no reply was usable), or, when
    the server failed throughout, in nothing. Three of the last kind in a row end the session with
    an :class:`~poq_abm.errors.InputError`: the server is broken, not the question. So do refusals
    of the first three questions, unless the judge ``is_proven`` by earlier scores: a judge of whom
    nothing can be read would refuse the rest too.
    """

    settings: JudgeSettings
    seed: int
    client: JudgeClient
    budget: Budget
    secret: Secret
    clock: Clock
    log: Log
    is_proven: bool = False
    judged: int = 0
    refused: int = 0
    unanswered: int = 0
    failures: int = 0  # in a row
    pause_s: float = 0.0  # owed to the server before the next request

    def ask_all(self, questions: Iterable[Question], report: Callable[[int], None]) -> str | None:
        """Ask until all are answered or the budget is spent; return why some are left, if so."""
        for number, question in enumerate(questions, start=1):
            if reason := self.budget.exhausted():
                return reason
            self._ask(question)
            report(number)
        if self.unanswered:
            return "the server failed now and then; the next run asks again"
        return None

    def _ask(self, question: Question) -> None:
        attempt, before = _Attempt(), self.client.calls
        verdict = self._try(question, attempt)
        if verdict is None and attempt.replies:
            verdict = {"refused": self.secret.redact(attempt.complaint)}
        if verdict is not None:
            self.failures = 0
            self._write(question, verdict, attempt, self.client.calls - before)
            self._check_use(verdict)
            return
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
                f"{verdict['refused']}; mend the judge and run `poq calibrate judge --again`"
            )

    def _try(self, question: Question, attempt: _Attempt) -> dict[str, Any] | None:
        """Return the verdict, or ``None`` once asking again is pointless or not allowed."""
        for number in range(self.settings.retries + 1):
            if number and self.budget.exhausted():
                return None
            try:
                reply = self._request(question)
            except NoAnswerError as error:
                attempt.failure = str(error)
                if not error.passing:
                    return None
                self._owe(max(error.wait_s or 0.0, backoff_s(self.seed, question.key, number)))
                continue
            attempt.add(reply, self.budget.charge(reply.input_tokens, reply.output_tokens))
            verdict = self._read(reply, attempt)
            if verdict is not None or attempt.is_over:
                return verdict
        return None

    def _read(self, reply: Reply, attempt: _Attempt) -> dict[str, Any] | None:
        """Return the verdict of a reply, or note what is wrong with it and whether to go on."""
        if reply.declined or reply.is_cut:  # the same limit would cut the next one
            cut = "the server cut the reply off at its limit"
            said = cut if reply.is_cut else "the judge declined"
            attempt.complaint = f"{said}: {' '.join(reply.text.split())[:EXCERPT]}"
            attempt.is_over = True
            return None
        try:
            verdict = parse_verdict(reply.text)
        except UnusableError as error:
            attempt.complaint = str(error)
            attempt.is_over = not self._has_been_read and attempt.replies == REPLIES_UNPROVEN
            return None
        return {"score": verdict.score, "justification": self.secret.redact(verdict.justification)}

    def _request(self, question: Question) -> Reply:
        if self.pause_s:
            self.clock.sleep(self.pause_s)
            self.pause_s = 0.0
        before = self.client.calls
        try:
            return self.client.ask(question.text)
        finally:
            self.budget.count_calls(self.client.calls - before)

    def _owe(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT_S:
            raise InputError(
                f"the judge's server asks us to wait {seconds:.0f} s; what was judged is kept, "
                f"run again after that"
            )
        self.pause_s = seconds

    def _write(
        self, question: Question, verdict: dict[str, Any], attempt: _Attempt, calls: int
    ) -> None:
        """Append the outcome; only then does it count."""
        self.log.append(
            {
                "record": question.record,
                "model": question.model,
                "judge": self.settings.model,
                "key": question.key,
                **verdict,
                "attempts": calls,
                "input_tokens": attempt.input_tokens,
                "output_tokens": attempt.output_tokens,
                "usd": attempt.usd,
            }
        )
        if "refused" in verdict:
            self.refused += 1
        else:
            self.judged += 1


def _sum(so_far: Number | None, more: Number | None) -> Number | None:
    return so_far if more is None else more if so_far is None else so_far + more
