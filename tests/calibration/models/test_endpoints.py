"""Endpoints as inference models: what is measured, what is paid, and servers of every temper."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import STREAM, ChatServer, Reply, Temper, failing, streamed, well

from calibration.configuration import Calibration
from calibration.corpus.records import Record, write_corpus
from calibration.latency.measurement import measure_endpoint, read_measurement
from calibration.models.generation import generate, outputs
from calibration.profile.building import build
from calibration.profile.costs import measured_costs
from calibration.workspace import Log, StageCounts, Workspace
from poq_abm.errors import InputError
from poq_abm.profile import read_profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.population import build_population

pytest.importorskip("openai")

KEY = "sk-secret-0123456789"
RECORDS = [Record(f"r{i}", "qa", f"Is it {i} or more?", (f"It is {i}",)) for i in range(6)]
PRICES = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
PROMPT = "say {input}"


class Study:
    """A calibration of one endpoint whose corpus is there."""

    def __init__(self, folder: Path, base_url: str, **changes: Any) -> None:
        self.said: list[str] = []
        others = changes.pop("calibration", {})
        model = {
            "name": "served",
            "model": "llm-1",
            "base_url": base_url,
            "key_variable": "SOME_KEY",
            "retries": 1,
            **changes,
        }
        self.calibration = Calibration.model_validate(
            {
                "name": "study",
                "out": str(folder / "study"),
                "corpus": [{"format": "table", "path": "corpus.csv"}],
                "models": [model],
                "evaluators": [{"name": "cosine", "model": "org/e", "kind": "bi_encoder"}],
                "prompts": {"qa": PROMPT},
                **others,
            }
        )
        self.workspace = Workspace(self.calibration.out)
        self.log = Log(self.workspace.generations("served"))
        write_corpus(self.workspace.corpus, RECORDS)

    def run(self) -> StageCounts:
        return generate(self.calibration, self.said.append)["served"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.log.read()[0]

    @property
    def outputs(self) -> dict[str, str]:
        found = outputs(self.calibration, self.calibration.models[0], RECORDS)
        return {record: row["output"] for record, row in found.items()}


@pytest.fixture(autouse=True)
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; nobody does."""
    monkeypatch.setenv("SOME_KEY", KEY)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_every_record_is_answered_measured_and_priced(tmp_path: Path) -> None:
    with ChatServer() as server:
        study = Study(tmp_path, server.base_url, **PRICES)
        assert study.run() == StageCounts(6, 0, 6, 0, 0)
    assert study.outputs == {record.id: f"say {record.input}" for record in RECORDS}
    body = server.bodies[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("llm-1", 128, 0.7)
    assert set(server.keys) == {KEY}
    row = study.rows[0]
    assert (row["input_tokens"], row["output_tokens"], row["stop"]) == (6, 6, "eos")
    assert 0.0 < row["first_token_s"] <= row["seconds"]
    assert row["token_s"] >= 0.0
    assert (row["attempts"], row["served"], row["concurrency"]) == (1, "llm-1", 1)
    assert row["usd"] == pytest.approx(6 * 60e-6, abs=1e-15)
    assert KEY not in study.log.path.read_text() + "".join(study.said)


def test_the_seed_of_a_question_is_its_own(tmp_path: Path) -> None:
    with ChatServer() as server:
        Study(tmp_path, server.base_url).run()
        Study(tmp_path / "again", server.base_url).run()
    seeds = [body["seed"] for body in server.bodies]
    assert len(set(seeds[:6])) == 6
    assert seeds[:6] == seeds[6:]


def test_options_go_into_every_request_and_into_the_key(tmp_path: Path) -> None:
    options = {"chat_template_kwargs": {"enable_thinking": False}}
    with ChatServer() as server:
        Study(tmp_path, server.base_url).run()
        study = Study(tmp_path, server.base_url, options=options)
        assert study.outputs == {}
        study.run()
    assert server.bodies[-1]["chat_template_kwargs"] == {"enable_thinking": False}


def test_system_prompt_and_stop_strings_are_sent(tmp_path: Path) -> None:
    others = {"generation": {"system": "Be brief.", "stop": "END"}}
    with ChatServer() as server:
        Study(tmp_path, server.base_url).run()
        study = Study(tmp_path, server.base_url, calibration=others)
        assert study.outputs == {}
        study.run()
    assert "stop" not in server.bodies[0]
    assert server.bodies[-1]["stop"] == ["END"]
    assert server.bodies[-1]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_requests_run_side_by_side_up_to_the_concurrency(tmp_path: Path) -> None:
    """From the second on, no question is answered before five are there."""
    with ChatServer(together=5) as server:
        study = Study(tmp_path, server.base_url, concurrency=5)
        assert study.run().made == 6
    assert server.busiest == 5
    assert len(study.outputs) == 6


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    with ChatServer() as server:
        study = Study(tmp_path, server.base_url)
        study.run()
        assert study.run() == StageCounts(6, 6, 0, 0, 0)
    assert len(server.asked) == 6


@pytest.mark.parametrize("concurrency", [1, 3])
def test_what_is_on_its_way_when_interrupted_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    append, kept = Log.append, list[Any]()

    def interrupted(self: Log, row: dict[str, Any]) -> None:
        if len(kept) == 2:
            kept.append(None)
            raise KeyboardInterrupt
        kept.append(row)
        append(self, row)

    with ChatServer() as server:
        study = Study(tmp_path, server.base_url, concurrency=concurrency)
        with monkeypatch.context() as patch:
            patch.setattr(Log, "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                study.run()
        assert len(study.rows) == len(server.asked)
        study.run()
    assert sorted(server.asked) == sorted(f"say {record.input}" for record in RECORDS)


def test_a_budget_that_ends_in_the_middle(tmp_path: Path) -> None:
    """6 tokens in and out are 0.00036 dollars."""
    with ChatServer() as server:
        study = Study(tmp_path, server.base_url, max_usd=0.001, concurrency=4, **PRICES)
        assert study.run() == StageCounts(6, 0, 2, 0, 0)
        assert "of the budget of 0.001 dollars, 0.00072 are spent" in study.said[-2]
        study = Study(tmp_path, server.base_url, max_calls=5, concurrency=4)
        assert study.run() == StageCounts(6, 2, 3, 0, 0)
        assert "the budget of 5 calls is spent" in study.said[-2]
    assert len(server.asked) == 5


def once(reply: Reply) -> Temper:
    """A server that says something else the second time."""
    return lambda body, before: reply if before == 1 else well(body, before)


GARBAGE = (200, STREAM, [b"data: {oops\n\n"])
#: what is counted as an error, and answered when asked again
PASSING: dict[str, Reply] = {
    "busy": failing(429),
    "broken": failing(500),
    "garbage": GARBAGE,
    "no stream": (200, STREAM, [b"<html>Welcome</html>"]),
    "a page": (200, {"Content-Type": "text/html"}, [b"<html>Welcome</html>"]),
    "cut": (200, STREAM, [b'data: {"choices": [{"delta": {"content": "Well"}}]}\n\n']),
    "an error": (200, STREAM, [b'data: {"error": {"message": "overloaded"}}\n\n']),
    "too long": (200, {**STREAM, "Content-Length": "9"}, [b"data: {}"]),
}


@pytest.mark.parametrize("temper", PASSING)
def test_an_error_that_passes_is_counted_and_asked_again(tmp_path: Path, temper: str) -> None:
    with ChatServer(once(PASSING[temper])) as server:
        study = Study(tmp_path, server.base_url)
        assert study.run().made == 6
    assert [row["attempts"] for row in study.rows] == [1, 2, 1, 1, 1, 1]
    assert len(study.outputs) == 6


#: what every request gets, and what is said of it
STAYING: dict[str, tuple[Reply, str]] = {
    "broken": (
        failing(500, f"no {KEY}"),
        r"3 questions in a row got no answer: .* 500 no \[hidden",
    ),
    "garbage": (GARBAGE, "3 questions in a row got no answer: .* streamed something that is not"),
    "no stream": ((200, STREAM, []), "3 questions in a row got no answer: .* streamed no answer"),
    "refused": (failing(401, KEY), r"refuses the key in SOME_KEY \(401 \[hidden\]\)"),
    "unknown": (failing(404, "no such model"), "does not know the model 'llm-1' or the path"),
    "rejected": (failing(400, "bad"), "3 questions in a row got no answer: .* answered 400 bad"),
    "credit": (failing(402, "pay"), "has no credit left"),
    "later": (failing(429, "wait", **{"Retry-After": "3600"}), "model asks us to wait 3600 s"),
}


@pytest.mark.parametrize("temper", STAYING)
def test_a_server_of_no_use_ends_with_one_clear_line(tmp_path: Path, temper: str) -> None:
    reply, message = STAYING[temper]
    with ChatServer(lambda *_: reply) as server:
        study = Study(tmp_path, server.base_url)
        with pytest.raises(InputError, match=message) as caught:
            study.run()
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert study.outputs == {}


def test_failures_are_counted_in_the_profile_and_asked_again(tmp_path: Path) -> None:
    broken: Temper = lambda body, before: failing(500) if before in (1, 2) else well(body, before)  # noqa: E731
    with ChatServer(broken) as server:
        study = Study(tmp_path, server.base_url)
        assert study.run() == StageCounts(6, 0, 5, 0, 0)
        assert "1 questions got no answer; run again to ask" in study.said[-2]
        assert study.run() == StageCounts(6, 5, 1, 0, 0)
    assert len(study.rows) == 7
    assert sum(row["attempts"] for row in study.rows) == 8


def test_a_server_that_is_down_is_said_at_once(tmp_path: Path, sleeps: list[float]) -> None:
    with ChatServer() as server:
        address = server.base_url
    study = Study(tmp_path, address)
    with pytest.raises(InputError, match=r"no model can be reached at .* models.served.base_url"):
        study.run()
    assert sleeps == []


def test_a_slow_server_is_given_up_after_the_time_a_call_may_take(tmp_path: Path) -> None:
    clock = iter(range(0, 10**6, 1000))

    def ticking() -> float:
        return float(next(clock))

    with ChatServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", ticking)
        with pytest.raises(InputError, match=r"3 questions .* was not done in 60 s"):
            Study(tmp_path, server.base_url, timeout_s=60).run()


def test_a_server_that_counts_no_tokens_has_no_price(tmp_path: Path) -> None:
    with ChatServer(lambda body, _: streamed(body, usage=False)) as server:
        study = Study(tmp_path, server.base_url, **PRICES)
        study.run()
        assert len(study.outputs) == 6
        made = {"served": outputs(study.calibration, study.calibration.models[0], RECORDS)}
        costs = measured_costs(study.calibration, made, print)
        assert costs.assumed[-1] == (
            "Money per answer of served: not known, the server counts no tokens."
        )
        bounded = Study(tmp_path / "bounded", server.base_url, max_usd=1.0, **PRICES)
        assert bounded.run().made == 1
        assert "a budget in dollars cannot be kept" in bounded.said[-2]


def test_a_server_that_changes_its_model_is_stopped(tmp_path: Path) -> None:
    renamed: Temper = lambda body, before: streamed(body, model="llm-2" if before > 2 else "llm-1")  # noqa: E731
    with ChatServer(renamed) as server:
        study = Study(tmp_path, server.base_url)
        with pytest.raises(InputError, match="calls its model 'llm-2' now, and called it 'llm-1'"):
            study.run()
    assert len(study.rows) == 4, "what was paid for is kept"
    assert len(study.outputs) == 3, "and not mixed with the others"


def test_a_redirect_gets_neither_key_nor_question(tmp_path: Path) -> None:
    with ChatServer() as other:
        there = other.base_url
        reply: Reply = (307, {"Location": f"{there}/chat/completions"}, [b""])
        with ChatServer(lambda *_: reply) as server:
            study = Study(tmp_path, server.base_url)
            with pytest.raises(InputError, match=f"redirects to {there[:-3]}, where neither"):
                study.run()
    assert other.keys == []


def test_empty_answers_are_answers_and_counted(tmp_path: Path) -> None:
    with ChatServer(lambda body, _: streamed(body, [], finish="length")) as server:
        study = Study(tmp_path, server.base_url)
        assert study.run().made == 6
    assert set(study.outputs.values()) == {""}
    assert study.said[-2] == "served: 6 of 6 answers are empty"
    assert study.rows[0]["stop"] == "length"


def test_reasoning_that_a_server_keeps_apart_is_no_output(tmp_path: Path) -> None:
    def thinking(body: dict[str, Any], _: int) -> Reply:
        thought = streamed(body, ["Is it", " 7?"], kind="reasoning_content", finish=None)
        return 200, STREAM, [*thought[2][:2], *streamed(body)[2]]

    with ChatServer(thinking) as server:
        study = Study(tmp_path, server.base_url)
        study.run()
    assert study.outputs["r1"] == "say Is it 1 or more?"
    assert study.rows[0]["thought"] == "Is it 7?"


def test_a_server_that_does_not_stream_is_read(tmp_path: Path) -> None:
    choice = b'{"message": {"content": "Well."}, "finish_reason": "stop"}'
    whole = b'{"model": "llm-1", "choices": [' + choice + b'], "usage": {"prompt_tokens": 3}}'
    with ChatServer(lambda *_: (200, {"Content-Type": "application/json"}, [whole])) as server:
        study = Study(tmp_path, server.base_url)
        study.run()
    assert set(study.outputs.values()) == {"Well."}
    assert study.rows[0]["first_token_s"] is None
    assert (study.rows[0]["input_tokens"], study.rows[0]["output_tokens"]) == (3, None)


@pytest.mark.parametrize("unknown", ["max_tokens", "seed", "stream_options"])
def test_a_server_is_asked_in_the_way_it_takes(tmp_path: Path, unknown: str) -> None:
    temper: Temper = lambda body, n: failing(422, "what?") if unknown in body else well(body, n)  # noqa: E731
    with ChatServer(temper) as server:
        study = Study(tmp_path, server.base_url, max_calls=6)
        assert study.run().made == 6
    assert [row["attempts"] for row in study.rows] == [1] * 6


def test_a_key_is_needed_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(InputError, match="SOME_KEY holds no key for https://api"):
        Study(tmp_path, "https://api.example.org/v1").run()


def timings(study: Study) -> dict[str, Any]:
    spec = study.calibration.endpoints[0]
    return read_measurement(measure_endpoint(study.calibration, spec, study.said.append))


def test_outputs_asked_for_one_by_one_are_the_timings(tmp_path: Path) -> None:
    with ChatServer() as server:
        study = Study(tmp_path, server.base_url)
        study.run()
        found = timings(study)
        assert timings(study) == found
        assert study.said[-1] == "served: already measured"
    assert len(server.asked) == 6
    assert found["latencies_ms"] == [1000.0 * row["seconds"] for row in study.rows]
    assert found["prefill_ms"] == [1000.0 * row["first_token_s"] for row in study.rows]
    assert found["hardware"] == f"127_0_0_1_{server.base_url.split(':')[2][:-3]}"
    assert found["output_tokens"] == 6.0
    assert found["stamp"]["served"] == "llm-1"


def test_latency_is_that_of_one_request_at_once_unless_told(tmp_path: Path) -> None:
    with ChatServer() as server:
        study = Study(tmp_path, server.base_url, concurrency=2)
        study.run()
        assert timings(study)["concurrency"] == 1
        assert timings(study)["prompts"] == 6
        assert len(server.asked) == 12
        wide = Study(
            tmp_path, server.base_url, concurrency=2, calibration={"efficiency": {"concurrency": 2}}
        )
        assert timings(wide)["concurrency"] == 2
        assert len(server.asked) == 12


def test_providers_of_one_model_are_nodes_with_a_price_each(tmp_path: Path) -> None:
    """A price list times tokens is the profile's money per answer."""
    prices = {"cheap": (0.1, 0.4), "dear": (1.5, 6.0)}
    with ChatServer() as server:
        models = [
            {"name": name, "model": "llm-1", "base_url": server.base_url,
             "usd_per_million_input": of_input, "usd_per_million_output": of_output}
            for name, (of_input, of_output) in prices.items()
        ]  # fmt: skip
        study = Study(tmp_path, server.base_url, calibration={"models": models})
        generate(study.calibration, study.said.append)
        for spec in study.calibration.endpoints:
            measure_endpoint(study.calibration, spec, study.said.append)
    for name in prices:
        for number, record in enumerate(RECORDS):
            row = {"record": record.id, "model": name, "value": 0.1 * number}
            Log(study.workspace.scores("cosine")).append(row)
    profile = read_profile(build(study.calibration, study.said.append))
    costs = profile.costs.set_index("node")
    for name, (of_input, of_output) in prices.items():
        tokens = 6
        expected = (of_input * tokens + of_output * tokens) / 1e6
        assert costs.loc[name, "usd_per_answer"] == pytest.approx(expected, abs=1e-9)
        assert costs.loc[name, "latency_ms"] > 0.0
        hardware = costs.loc[name, "hardware"]
        assert profile.usd_per_answer(name, hardware) == pytest.approx(expected, abs=1e-9)
    assert profile.costs["usd_per_answer"].notna().sum() == 2
    people = {
        "inference": [{"model": "dear"}, {"model": "cheap"}],
        "evaluators": [{"model": "cosine"}],
    }
    data = {"population": people, "mechanism": {"committee_size": 1, "cost_inference": "price"}}
    assert build_population(Scenario.model_validate(data), profile).cost.tolist() == [1.0, 0.0, 0.0]
    assert KEY not in "".join(path.read_text() for path in study.workspace.out.rglob("*.json*"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dtype": "float16"}, r"models\.0\.dtype: unknown key"),
        ({"key_variable": KEY}, "must be the name of an environment variable"),
        ({"max_usd": 1.0}, "max_usd cannot be kept without usd_per_million_input"),
        ({"concurrency": 0}, r"models\.0\.concurrency: must be at least 1, got 0"),
    ],
)
def test_settings_that_make_no_sense(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    from calibration.configuration import load_configuration

    model = {"name": "served", "model": "llm-1", "base_url": "http://127.0.0.1:1/v1", **change}
    text = f"out: o\ncorpus: [{{format: squad, path: s}}]\nmodels: [{model!r}]\n"
    (tmp_path / "study.yaml").write_text(text + "evaluators: [sts_stsb]\n")
    with pytest.raises(InputError, match=complaint) as caught:
        load_configuration(tmp_path / "study.yaml")
    assert KEY not in str(caught.value)
