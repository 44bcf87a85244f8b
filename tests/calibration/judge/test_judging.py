"""The judge against a real HTTP server: what it asks, what it writes, how it fails and goes on."""

from __future__ import annotations

import email.utils
import json
import logging
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer, Mode

from calibration.configuration import Calibration
from calibration.corpus.records import Record, write_corpus
from calibration.demo import grade
from calibration.judge.judging import Summary, check_judge, judge, read_judgements
from calibration.judge.verdicts import SCHEMA, SYSTEM_PROMPT
from calibration.workspace import Log, Workspace
from poq_abm.errors import InputError

pytest.importorskip("openai")

KEY = "sk-proj-AbC/dEf+0123456789" * 6  # about as long as a real one
MODELS = ("large", "tiny")
Row = dict[str, Any]


class Study:
    """A calibration whose corpus and outputs are there: 2 models, 2 tasks, 4 records each."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder)
        self.log = Log(self.workspace.judgements)
        self.said: list[str] = []
        records = [
            Record(f"{task}{i}", task, f"What is {i}?", (f"It is {i}",))
            for task in ("qa", "summarization")
            for i in range(4)
        ]
        write_corpus(self.workspace.corpus, records)
        for model in MODELS:
            for record in records:
                self.write_output(model, record.id, f"{model} says it is {record.id[-1]}")

    def write_output(self, model: str, record: str, output: str) -> None:
        row = {"record": record, "model": model, "output": output}
        Log(self.workspace.generations(model)).append(row)

    def calibration(self, base_url: str | None, **changes: Any) -> Calibration:
        judge = {"model": "judge-1", "base_url": base_url, "key_variable": "JUDGE_KEY", **changes}
        return Calibration.model_validate(
            {
                "name": "study",
                "out": str(self.workspace.out),
                "corpus": [{"format": "table", "path": "corpus.csv"}],
                "models": [{"name": name, "model": f"org/{name}"} for name in MODELS],
                "evaluators": [{"name": "cosine", "model": "org/e", "kind": "bi_encoder"}],
                "judge": judge,
            }
        )

    def run(self, base_url: str | None, again: bool = False, **changes: Any) -> Summary:
        calibration = self.calibration(base_url, **changes)
        return judge(calibration, self.said.append, again=again)

    @property
    def rows(self) -> list[Row]:
        return self.log.read()[0]

    @property
    def untimed(self) -> list[Row]:
        """The rows without how long their replies took."""
        return [{key: cell for key, cell in row.items() if key != "seconds"} for row in self.rows]


@pytest.fixture(autouse=True)
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; nobody does."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    return Study(tmp_path / "study")


def asked(server: JudgeServer) -> list[Row]:
    """Return the messages the server was sent, read back."""
    return [json.loads(body["input"]) for body in server.questions]


def test_every_output_gets_the_score_the_judge_gave(study: Study) -> None:
    with JudgeServer() as server:
        summary = study.run(server.base_url)
        expected = [grade(body["input"]) for body in server.questions]
    assert summary == Summary(judged=16, calls=16)
    assert [row["score"] for row in study.rows] == expected
    assert len(set(expected)) > 1
    assert study.rows[0].keys() == {
        *("record", "model", "judge", "key", "score", "justification"),
        *("attempts", "input_tokens", "output_tokens", "usd", "seconds", "served"),
    }
    assert study.rows[0]["input_tokens"] == 200
    assert study.said[-1] == "judged 16, refused 0, left 0; 16 calls in all"


def test_the_judge_is_told_everything_but_the_model(study: Study) -> None:
    with JudgeServer() as server:
        study.write_output("tiny", "qa0", "It is 0")
        study.run(server.base_url)
        body = next(
            b for b in server.questions if "is 0" in b["input"] and "says" not in b["input"]
        )
    assert body["instructions"] == SYSTEM_PROMPT
    assert body["text"]["format"]["schema"] == SCHEMA
    assert body["text"]["format"]["strict"] is True
    assert body["store"] is False
    assert "tiny" not in json.dumps(body)


def test_models_are_judged_on_the_same_records(study: Study) -> None:
    with JudgeServer() as server:
        study.run(server.base_url, per_group=2)
    seen = {model: {r["record"] for r in study.rows if r["model"] == model} for model in MODELS}
    assert seen["large"] == seen["tiny"]
    assert sorted(record[:-1] for record in seen["tiny"]) == ["qa"] * 2 + ["summarization"] * 2


def test_what_is_done_is_not_asked_again(study: Study) -> None:
    with JudgeServer() as server:
        study.run(server.base_url, per_group=2)
        first = study.rows
        summary = study.run(server.base_url)
    assert (summary.done, summary.judged) == (8, 8)
    assert study.rows[:8] == first
    assert len(server.questions) == 16


def test_questions_are_asked_at_once_once_the_judge_was_read(study: Study) -> None:
    with JudgeServer() as server:
        summary = study.run(server.base_url, concurrency=4)
        scores = {(row["record"], row["model"]): row["score"] for row in study.rows}
        assert (summary.judged, summary.calls, len(scores)) == (16, 16, 16)
        study.log.path.unlink()
        study.run(server.base_url)
    assert scores == {(row["record"], row["model"]): row["score"] for row in study.rows}


def test_a_budget_holds_though_questions_are_asked_at_once(study: Study) -> None:
    prices = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
    with JudgeServer() as server:
        assert study.run(server.base_url, concurrency=8, max_calls=5).judged == 5
        assert study.run(server.base_url, concurrency=8, max_usd=0.01, **prices).calls == 8
        assert len(server.questions) == 8


def test_the_second_order_asks_twice_and_the_mean_counts(study: Study) -> None:
    with JudgeServer() as server:
        calibration = study.calibration(server.base_url, second_order=True, per_group=1)
        assert judge(calibration, study.said.append).judged == 8
    first, second = asked(server)[:2]
    assert list(first) == ["task", "input", "references", "answer"]
    assert list(second) == ["answer", "task", "input", "references"]
    found = read_judgements(calibration)
    assert len(found) == 4
    both = [row["score"] for row in study.rows if row["key"] in {r["key"] for r in study.rows[:2]}]
    assert found[0]["score"] == pytest.approx(sum(both) / 2)


def test_pairs_are_compared_in_both_orders_and_won_by_shares(study: Study) -> None:
    study.write_output("tiny", "qa0", "large says it is 0")
    with JudgeServer() as server:
        calibration = study.calibration(server.base_url, mode="pairs")
        summary = judge(calibration, study.said.append)
        assert (summary.judged, summary.left) == (16, 0)
        assert judge(calibration, study.said.append).done == 16
    question = asked(server)[0]
    assert list(question) == ["task", "input", "references", "first", "second"]
    scores = {(row["record"], row["model"]): row["score"] for row in read_judgements(calibration)}
    assert scores["qa0", "tiny"] == scores["qa0", "large"] == 5.0
    assert (scores["qa1", "large"], scores["qa1", "tiny"]) == (10.0, 0.0)
    assert len(scores) == 16
    assert {(row["model"], row["against"]) for row in study.rows} == {
        ("large", "tiny"),
        ("tiny", "large"),
    }


def test_a_new_output_is_judged_anew(study: Study) -> None:
    with JudgeServer() as server:
        study.run(server.base_url)
        study.write_output("tiny", "qa2", "It is 2")
        calibration = study.calibration(server.base_url)
        assert len(read_judgements(calibration)) == 15
        assert study.run(server.base_url).judged == 1
        assert len(read_judgements(calibration)) == 16
    assert asked(server)[-1]["answer"] == "It is 2"


def test_an_output_that_is_not_there_is_waited_for(study: Study) -> None:
    study.workspace.generations("tiny").unlink()
    study.write_output("tiny", "qa0", "It is 0")
    with JudgeServer() as server:
        summary = study.run(server.base_url)
    assert (summary.judged, summary.missing) == (9, 7)
    assert study.said[0].startswith("7 sampled outputs are not there yet")


def test_a_damaged_last_line_is_asked_again(study: Study) -> None:
    with JudgeServer() as server:
        study.run(server.base_url)
        whole = study.untimed
        study.log.path.write_bytes(study.log.path.read_bytes()[:-30])
        assert study.run(server.base_url).judged == 1
    assert study.untimed == whole
    assert any("is damaged" in line for line in study.said)


def test_an_interrupted_run_ends_in_the_same_rows(study: Study, tmp_path: Path) -> None:
    class Interrupt:
        """Shows each verdict, and somebody presses Ctrl-C at the tenth."""

        shows, verdicts = True, 0

        def __call__(self, line: str) -> None:
            self.verdicts += "score" in line
            if self.verdicts == 10:
                raise KeyboardInterrupt

    with JudgeServer() as server:
        calibration = study.calibration(server.base_url)
        with pytest.raises(KeyboardInterrupt):
            judge(calibration, Interrupt())
        assert len(study.rows) == 10
        assert study.run(server.base_url).judged == 6
        other = Study(tmp_path / "other")
        other.run(server.base_url)
    assert study.untimed == other.untimed


def test_a_judge_that_changes_its_model_is_stopped(study: Study) -> None:
    """What the other model said was paid for, is kept, and counts for nothing."""
    with JudgeServer() as server:
        assert study.run(server.base_url, max_calls=3).judged == 3
        rows = [json.loads(line) for line in study.log.path.read_text().splitlines()]
        for row in rows:
            row["served"] = "judge-0"
        study.log.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(InputError, match="'judge-1' now, and called it 'judge-0' before"):
            study.run(server.base_url)
        assert len(server.questions) == 4
    assert len(study.rows) == 4
    assert len(read_judgements(study.calibration(None))) == 3


def test_without_a_judge_nothing_happens(study: Study) -> None:
    calibration = study.calibration(None).model_copy(update={"judge": None})
    assert judge(calibration, study.said.append) == Summary()
    assert read_judgements(calibration) == []
    assert not study.log.path.exists()


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_responses_is_asked_by_chat_from_then_on(
    study: Study, status: int
) -> None:
    with JudgeServer(routes=["chat/completions"], unknown=status) as server:
        summary = study.run(server.base_url)
    assert (summary.judged, summary.calls) == (16, 16)
    assert server.paths == ["responses", *["chat/completions"] * 16]
    body = server.questions[0]
    assert body["messages"][0] == {"role": "system", "content": SYSTEM_PROMPT}
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert study.rows[0]["input_tokens"] == 200


def test_both_ways_of_asking_give_the_same_judgements(study: Study, tmp_path: Path) -> None:
    other = Study(tmp_path / "other")
    with JudgeServer() as server:
        study.run(server.base_url, api="responses")
        other.run(server.base_url, api="chat")
    assert server.paths == ["responses"] * 16 + ["chat/completions"] * 16
    assert study.untimed == other.untimed


@pytest.mark.parametrize("api", ["auto", "chat", "responses"])
def test_an_unknown_model_is_the_users_mistake(study: Study, sleeps: list[float], api: str) -> None:
    with (
        JudgeServer("404") as server,
        pytest.raises(InputError, match="does not know the model 'judge-1' or the path"),
    ):
        study.run(server.base_url, api=api)
    assert sleeps == []


def test_a_slow_server_is_waited_for(study: Study) -> None:
    with JudgeServer("slowly", delay_s=0.01) as server:
        assert study.run(server.base_url).judged == 16


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_server_too_slow_is_asked_again(study: Study, sleeps: list[float], api: str) -> None:
    """It would take longer than any test; only the client's patience ends the first request."""
    with JudgeServer("slowly", "well", delay_s=600.0) as server:
        summary = study.run(server.base_url, timeout_s=0.5, per_group=1, api=api)
    assert summary.judged == 4
    assert study.rows[0]["attempts"] >= 2
    assert len(sleeps) == sum(row["attempts"] - 1 for row in study.rows)


@pytest.mark.parametrize("status", ["429", "500"])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_busy_server_is_asked_again_ever_later(
    study: Study, sleeps: list[float], status: Mode, api: str
) -> None:
    with JudgeServer(status, status, status, "well") as server:
        summary = study.run(server.base_url, api=api)
    assert (summary.judged, summary.calls) == (16, 19)
    assert study.rows[0]["attempts"] == 4
    assert len(sleeps) == 3
    assert 0.0 < sleeps[0] < sleeps[1] < sleeps[2]


def test_a_server_is_left_alone_as_long_as_it_asks(study: Study, sleeps: list[float]) -> None:
    with JudgeServer("429", "well", retry_after="50") as server:
        study.run(server.base_url)
    assert sleeps == [50.0]


def test_a_server_is_left_alone_until_the_date_it_names(study: Study, sleeps: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 50.0, usegmt=True)
    with JudgeServer("429", "well", retry_after=date) as server:
        study.run(server.base_url)
    assert 30.0 < sleeps[0] <= 50.0


def test_a_server_that_wants_an_hour_is_left_to_the_next_run(
    study: Study, sleeps: list[float]
) -> None:
    with JudgeServer("well", "429", "well", retry_after="3600") as server:
        with pytest.raises(InputError, match="asks us to wait 3600 s"):
            study.run(server.base_url)
        assert len(study.rows) == 1
        assert study.run(server.base_url).judged == 15
    assert sleeps == []


def test_a_server_that_stays_broken_ends_the_run_and_loses_nothing(study: Study) -> None:
    with JudgeServer("well", "500") as server, pytest.raises(InputError, match=r"3 questions in"):
        study.run(server.base_url, retries=1)
    assert len(study.rows) == 1
    assert study.said[-1] == "judged 1, refused 0, left 15; 7 calls in all"
    with JudgeServer() as server:
        assert study.run(server.base_url).judged == 15


def test_one_question_the_server_rejects_does_not_hold_up_the_rest(
    study: Study, sleeps: list[float]
) -> None:
    with JudgeServer("well", "400", "well") as server:
        summary = study.run(server.base_url)
        assert (summary.judged, summary.left) == (15, 1)
        assert summary.stopped is not None
        assert study.run(server.base_url).judged == 1
    assert sleeps == []


def test_only_failures_in_a_row_mean_a_broken_server(study: Study) -> None:
    with JudgeServer("well", "400", "400", "well", "400", "400", "well") as server:
        summary = study.run(server.base_url)
    assert (summary.judged, summary.left) == (12, 4)


def test_a_page_in_place_of_an_answer_is_no_answer(study: Study) -> None:
    with JudgeServer("html", "well") as server:
        assert study.run(server.base_url).judged == 16
    assert study.rows[0]["attempts"] == 2


@pytest.mark.parametrize(
    ("mode", "reason"), [("42", "the score 42 is not"), ("malformed", "the reply has no score")]
)
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_an_unusable_reply_is_asked_again_then_recorded(
    study: Study, mode: Mode, reason: str, api: str
) -> None:
    with JudgeServer("well", *[mode] * 4, "well") as server:
        summary = study.run(server.base_url, retries=2, api=api)
    assert (summary.judged, summary.refused, summary.calls) == (15, 1, 1 + 3 + 2 + 13)
    first, second = study.rows[1:3]
    assert reason in first["refused"]
    assert "score" not in first
    assert (first["attempts"], first["input_tokens"]) == (3, 600)
    assert (second["attempts"], second["input_tokens"]) == (2, 400)


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_refusal_is_recorded_at_once_and_asked_again_only_on_request(
    study: Study, api: str
) -> None:
    with JudgeServer("refusal", "well") as server:
        assert study.run(server.base_url, api=api).refused == 1
        assert study.rows[0]["refused"].startswith("the judge declined: I cannot grade this")
        assert study.rows[0]["attempts"] == 1
        assert study.run(server.base_url, api=api).done == 16
        summary = study.run(server.base_url, again=True, api=api)
        assert (summary.done, summary.judged) == (15, 1)
        current = read_judgements(study.calibration(server.base_url))
    assert len(study.rows) == 17
    assert len(current) == 16
    assert not any("refused" in row for row in current)


def test_a_judge_of_whom_nothing_can_be_read_is_left_after_three(study: Study) -> None:
    with JudgeServer("refusal") as server:
        with pytest.raises(InputError, match=r"first 3 questions were all refused, .*--again"):
            study.run(server.base_url)
        assert len(server.questions) == 3
        assert study.said[-1] == "judged 0, refused 3, left 13; 3 calls in all"


def test_a_judge_that_nobody_could_read_yet_is_asked_twice_a_question(study: Study) -> None:
    with JudgeServer("malformed") as server:
        with pytest.raises(InputError, match="the reply has no score"):
            study.run(server.base_url)
        assert len(server.questions) == 3 * 2
    assert [row["attempts"] for row in study.rows] == [2, 2, 2]


def test_a_judge_that_was_read_before_may_refuse_the_rest(study: Study) -> None:
    with JudgeServer("well", "refusal") as server:
        study.run(server.base_url, max_calls=1)
        assert study.run(server.base_url).refused == 15


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_server_without_schemas_is_told_once(study: Study, api: str) -> None:
    with JudgeServer("400", "well") as server:
        summary = study.run(server.base_url, api=api)
    assert (summary.judged, summary.calls, len(server.questions)) == (16, 16, 17)
    assert study.said[-2] == "the server takes no schema: asked for a JSON object"


def test_paid_replies_are_recorded_though_the_server_breaks(study: Study) -> None:
    with JudgeServer("42", "500", "500", "well") as server:
        study.run(server.base_url, retries=2)
    assert "score 42 " in study.rows[0]["refused"]
    assert study.rows[0]["attempts"] == 3


def test_a_budget_of_calls_holds_over_all_runs(study: Study) -> None:
    with JudgeServer() as server:
        first = study.run(server.base_url, max_calls=5)
        second = study.run(server.base_url, max_calls=7)
        third = study.run(server.base_url, max_calls=7)
    assert (first.judged, first.left, first.stopped) == (5, 11, "the budget of 5 calls is spent")
    assert (second.judged, second.done, second.left) == (2, 5, 9)
    assert third.judged == 0
    assert len(server.questions) == 7


def test_a_budget_of_calls_counts_those_that_fail(study: Study) -> None:
    with JudgeServer("500") as server:
        summary = study.run(server.base_url, max_calls=4)
    assert (summary.calls, summary.left, len(server.questions)) == (4, 16, 4)


def test_a_budget_in_dollars_is_kept(study: Study) -> None:
    """200 tokens at 10 and 20 at 50 dollars per million: 0.003 dollars a reply."""
    prices = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
    with JudgeServer() as server:
        summary = study.run(server.base_url, max_usd=0.01, **prices)
    assert (summary.judged, summary.left) == (3, 13)
    assert summary.usd == pytest.approx(0.009)
    assert study.rows[0]["usd"] == pytest.approx(0.003)
    assert summary.stopped == "of the budget of 0.01 dollars, 0.009 are spent"


def test_a_budget_in_dollars_needs_a_server_that_counts(study: Study) -> None:
    prices = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
    with JudgeServer(usage=False) as server:
        summary = study.run(server.base_url, max_usd=1.0, **prices)
        assert (summary.judged, summary.left) == (1, 15)
        assert "no token counts" in str(summary.stopped)
        assert study.run(server.base_url).judged == 15


def test_nobody_at_the_address_is_said_at_once(study: Study, sleeps: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and listening to nobody
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"no judge can be reached at http://127.0.0.1:{port}"):
            study.run(f"http://127.0.0.1:{port}/v1")
    assert sleeps == []


def test_a_local_server_needs_no_key(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    with JudgeServer() as server:
        assert study.run(server.base_url).judged == 16
    assert set(server.keys) == {"no-key-needed"}


def test_a_proxy_is_not_asked_for_what_is_local(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with JudgeServer() as server:
        assert study.run(server.base_url).judged == 16


def test_a_server_elsewhere_needs_a_key_before_anything_is_asked(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(InputError, match="JUDGE_KEY holds no key"):
        study.run(None)
    with pytest.raises(InputError, match="JUDGE_KEY holds no key"):
        check_judge(study.calibration(None))
    check_judge(study.calibration(None), {"JUDGE_KEY": KEY})
    check_judge(study.calibration("http://127.0.0.1:1/v1"))


def test_without_a_corpus_the_message_names_the_verb(study: Study) -> None:
    study.workspace.corpus.unlink()
    with JudgeServer() as server, pytest.raises(InputError, match="poq calibrate corpus"):
        study.run(server.base_url)


def everything_said(study: Study, error: BaseException | None, log: str) -> str:
    """Return all that a run left anywhere: files, reports, logs, the traceback with its locals."""
    files = [path.read_text() for path in study.workspace.out.rglob("*") if path.is_file()]
    shown = []
    while error is not None:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown += [*told.format(), str(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join([*files, *study.said, *shown, log])


@pytest.mark.parametrize("routes", [("responses",), ("chat/completions",), ()])
@pytest.mark.parametrize(
    "mode", ["400", "401", "402", "404", "429", "500", "malformed", "42", "refusal", "echo", "html"]
)
def test_the_key_is_sent_and_appears_nowhere(
    study: Study,
    mode: Mode,
    routes: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The server repeats the key in whatever it says."""
    caplog.set_level(logging.DEBUG)
    error = None
    with JudgeServer(mode, routes=routes) as server:
        try:
            study.run(server.base_url, retries=1, per_group=1)
        except InputError as caught:
            error = caught
    assert set(server.keys) == {KEY}
    said = everything_said(study, error, caplog.text + "".join(capfd.readouterr()))
    assert len(said) > 1000
    assert KEY[:16] not in said
    assert KEY[:16].replace("/", r"\/") not in said


@pytest.mark.parametrize("mode", ["401", "402"])
def test_a_key_refused_or_spent_ends_the_run_at_once(study: Study, mode: Mode) -> None:
    with JudgeServer(mode) as server, pytest.raises(InputError, match="key") as caught:
        study.run(server.base_url)
    assert len(server.questions) == 1
    assert "[hidden]" in str(caught.value)
    assert not study.rows


def test_an_echoed_key_is_hidden_in_the_justification(study: Study) -> None:
    with JudgeServer("echo") as server:
        study.run(server.base_url, per_group=1)
    assert study.rows[0]["justification"] == "Asked with [hidden]."


def test_importing_the_stage_does_not_import_the_client(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec: Callable[..., object] = lambda name, *_: None if name == "openai" else object()  # noqa: E731
    monkeypatch.setattr("calibration.libraries.find_spec", find_spec)
    with pytest.raises(InputError, match=r"openai is not installed; run: pip install"):
        study.run("http://127.0.0.1:9/v1")
