"""The parts of the judge that need no server: question, verdict, sample, budget, waiting, key."""

from __future__ import annotations

import json
from random import Random

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.corpus.record_samples import sample_records
from calibration.corpus.records import Record
from calibration.judge.judging import Budget
from calibration.judge.verdicts import (
    SCHEMA,
    SYSTEM_PROMPT,
    UnusableError,
    Verdict,
    make_question,
    parse_verdict,
)
from calibration.models.server_keys import HIDDEN, OFFICIAL, Secret, read_secret
from calibration.stage_settings import JudgeSettings
from poq_abm.errors import InputError
from poq_abm.limits import MAX_SEED

property_test = hypothesis.settings(deadline=None, derandomize=True)
RECORD = Record("q1", "qa", "Who won?", ("Denver", "the Broncos"))
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
corpora = st.lists(
    st.tuples(st.text(max_size=6), st.sampled_from(["qa", "summarization"])),
    unique_by=lambda pair: pair[0],
    max_size=40,
).map(lambda pairs: [Record(id_, task, "?", ("!",)) for id_, task in pairs])


@property_test
@given(st.text())
def test_no_output_breaks_out_of_its_quotes(output: str) -> None:
    message = json.loads(make_question("gpt", RECORD, "tiny", output).text)
    assert message == {
        "task": "qa",
        "input": "Who won?",
        "references": ["Denver", "the Broncos"],
        "answer": output,
    }


def test_half_a_surrogate_pair_can_be_sent() -> None:
    assert make_question("gpt", RECORD, "tiny", "so \ud83d").text.encode()


def test_the_key_covers_what_is_asked_of_whom_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Record("q2", RECORD.task, RECORD.input, RECORD.references)
    keys = {
        make_question("gpt", RECORD, "tiny", "Denver").key,
        make_question("gpt-2", RECORD, "tiny", "Denver").key,
        make_question("gpt", other, "tiny", "Denver").key,
        make_question("gpt", RECORD, "large", "Denver").key,
        make_question("gpt", RECORD, "tiny", "Boston").key,
    }
    assert len(keys) == 5
    monkeypatch.setattr("calibration.judge.verdicts.SYSTEM_PROMPT", SYSTEM_PROMPT + " Be kind.")
    assert make_question("gpt", RECORD, "tiny", "Denver").key not in keys


def test_the_schema_is_one_that_strict_servers_take() -> None:
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == {"score", "justification"}
    assert SCHEMA["additionalProperties"] is False


@property_test
@given(st.floats(0, 10), st.text())
def test_a_verdict_is_read_as_it_was_given(score: float, why: str) -> None:
    verdict = parse_verdict(json.dumps({"score": score, "justification": why}))
    assert (verdict.score, verdict.justification) == (score, why)


@property_test
@given(st.one_of(st.floats(), st.integers()).filter(lambda score: not 0 <= score <= 10))
def test_a_score_off_the_scale_is_never_clipped(score: float) -> None:
    with pytest.raises(UnusableError, match="not between 0 and 10"):
        parse_verdict(json.dumps({"score": score, "justification": ""}))


WELL = '{"score": 8, "justification": "ok"}'

#: replies of which exactly one score can be read, as models and servers write them
READABLE = {
    "as asked": WELL,
    "fenced": f"```json\n{WELL}\n```",
    "fenced without a language": f"```\n{WELL}\n```",
    "after a trace": f"<think>3? {{}} No, Score: 9.</think>\n{WELL}",
    "after a trace whose tag is in the prompt": f"Let me see: 3/10?</think>{WELL}",
    "after words": f"Here is my grade:\n{WELL}",
    "between words": f"My grade: {WELL} I hope {{this}} helps.",
    "byte-order mark": f"\ufeff{WELL}",
    "blank lines": f"\n{WELL}\n\n",
    "text": '{"score": "8", "justification": "ok"}',
    "text of ten": '{"score": "8/10", "justification": "ok"}',
    "other case": '{"Score": 8, "Justification": "ok"}',
    "other order": '{"justification": "ok", "score": 8}',
    "one key more": '{"score": 8, "justification": "ok", "confidence": 0.9}',
    "list of one": f"[{WELL}]",
    "nested": f'{{"judgement": {WELL}}}',
    "twice the same": f"{WELL}\nSo: {WELL}",
    "single quotes": "{'score': 8, 'justification': 'ok'}",
    "a comma too many": '{"score": 8, "justification": "ok",}',
}
READABLE_WITHOUT_WHY = {
    "no justification": '{"score": 8}',
    "empty justification": '{"score": 8, "justification": null}',
    "MT-Bench": "The answer is right. Rating: [[8]]",
    "brackets": "[[8]]",
    "named": "**Score:** 8",
    "named of ten": "Right, but long.\nScore: 8/10.",
    "of ten": "8/10",
    "out of ten": "I would say 8 out of 10.",
    "the number alone": " 8.0 ",
}
UNREADABLE = {
    "": "no score",
    "seven": "no score",
    "[7]": "no score",
    "{}": "no score",
    '{"score": true, "justification": ""}': "'True' is no number",
    '{"score": null, "justification": ""}': "'None' is no number",
    '{"score": NaN}': "the score nan is not between 0 and 10",
    '{"score": Infinity}': "the score inf is not between 0 and 10",
    '{"score": -Infinity}': "the score -inf is not between 0 and 10",
    '{"score": "NaN"}': "'NaN' is no number",
    '{"score": 1' + "0" * 5000 + "}": "the score inf is not between 0 and 10",
    "{'score': 1" + "0" * 5000 + "}": "the reply has no score",
    '{"score": 10.0000001}': "the score 10.0000001 is not between 0 and 10",
    '{"score": "-1"}': "the score -1 is not between 0 and 10",
    '{"score": "4/5"}': "'4/5' is no number",
    '{"score": "80%"}': "'80%' is no number",
    '{"score": 1, "score": 9}': "the key score twice",
    '{"Score": 1, "score": 9}': "the key score twice",
    "{'score': 1, 'score': 9}": "the key score twice",
    f'{WELL} or {{"score": 9}}': "several scores (8, 9)",
    '{"style": {"score": 3}, "truth": {"score": 8}}': "several scores (3, 8)",
    "[[3]] and [[8]]": "several scores (3, 8)",
    "Score: 8/5": "no score",
    "Score: 80%": "no score",
    "Score: 42": "the score 42 is not between 0 and 10",
    "<think>Score: 8, I think": "no score",
    '{"score": 7, "justification": "cut off he': "no score",
    "[" * 100_000: "no score",
    "{" * 10_000: "no score",
}


@pytest.mark.parametrize("form", READABLE)
def test_a_verdict_is_read_in_whatever_it_is_wrapped(form: str) -> None:
    assert parse_verdict(READABLE[form]) == Verdict(8.0, "ok")


@pytest.mark.parametrize("form", READABLE_WITHOUT_WHY)
def test_a_score_needs_no_reason(form: str) -> None:
    assert parse_verdict(READABLE_WITHOUT_WHY[form]) == Verdict(8.0, "")


@pytest.mark.parametrize("reply", UNREADABLE, ids=lambda reply: reply[:40])
def test_a_reply_without_one_score_is_unusable_and_says_why(reply: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_verdict(reply)
    assert UNREADABLE[reply] in str(caught.value)
    assert len(str(caught.value)) < 200


def test_minus_zero_is_zero() -> None:
    assert str(parse_verdict('{"score": -0.0}').score) == "0.0"


@property_test
@given(st.text(max_size=60))
def test_a_reply_is_read_or_refused_whatever_it_says(text: str) -> None:
    for reply in (text, f'{{"score": {text}}}', json.dumps({"score": text}), f"Score: {text}"):
        try:
            assert 0.0 <= parse_verdict(reply).score <= 10.0
        except UnusableError as error:
            assert len(str(error)) < 1000


@property_test
@given(corpora, st.integers(0, MAX_SEED), st.integers(1, 10), st.randoms(use_true_random=False))
def test_a_sample_is_nested_and_knows_no_order(
    records: list[Record], seed: int, size: int, random: Random
) -> None:
    sample = sample_records(records, seed, size)
    for task in ("qa", "summarization"):
        chosen = [record for record in sample if record.task == task]
        larger = [r for r in sample_records(records, seed, size + 1) if r.task == task]
        assert larger[: len(chosen)] == chosen
        assert len(chosen) == min(size, sum(record.task == task for record in records))
    shuffled = list(records)
    random.shuffle(shuffled)
    assert sample_records(shuffled, seed, size) == sample


def test_a_record_that_joins_the_corpus_replaces_at_most_one() -> None:
    records = [Record(f"q{i}", "qa", "?", ("!",)) for i in range(50)]
    before, after = (set(sample_records(records[:n], 1, 10)) for n in (49, 50))
    assert len(before - after) <= 1


def test_every_record_has_the_same_chance_of_being_judged() -> None:
    """5 of 10 under 2,000 seeds: 1,000 +- 22 each; five standard errors are 112."""
    records = [Record(f"q{i}", "qa", "?", ("!",)) for i in range(10)]
    counts = dict.fromkeys((record.id for record in records), 0)
    for seed in range(2000):
        for record in sample_records(records, seed, 5):
            counts[record.id] += 1
    assert all(abs(count - 1000) < 112 for count in counts.values())


def test_a_sample_stopped_early_is_balanced() -> None:
    records = [
        Record(f"{task}{i}", task, "?", ("!",)) for task in ("a", "b", "c") for i in range(9)
    ]
    assert [record.task for record in sample_records(records, 1, 4)] == ["a", "b", "c"] * 4


def settings(**changes: object) -> JudgeSettings:
    prices = {"usd_per_million_input": 2.0, "usd_per_million_output": 8.0}
    return JudgeSettings.model_validate({"model": "gpt", **prices, **changes})


def test_a_reply_costs_its_tokens_at_their_prices() -> None:
    budget = Budget(settings(max_usd=1.0), [])
    assert budget.charge(100_000, 50_000) == pytest.approx(0.2 + 0.4)
    assert budget.usd == pytest.approx(0.6)


@property_test
@given(st.lists(st.floats(0.001, 0.3), max_size=20))
def test_a_budget_is_passed_only_by_a_call_dearer_than_all_before(costs: list[float]) -> None:
    budget, paid = Budget(settings(max_usd=1.0), []), []
    for cost in costs:
        if budget.exhausted():
            break
        paid.append(budget.charge(round(cost * 5e5), 0) or 0.0)
    assert budget.usd <= 1.0 or max(paid[:-1], default=0.0) < paid[-1]


def test_earlier_runs_count() -> None:
    rows = [{"attempts": 3, "usd": 0.4}, {"attempts": 2, "usd": None}, {"refused": "no"}]
    budget = Budget(settings(max_usd=0.7), rows)
    assert (budget.calls, budget.usd) == (5, 0.4)
    assert budget.exhausted() == "of the budget of 0.7 dollars, 0.4 are spent"


def test_what_cannot_be_counted_is_not_spent_blindly() -> None:
    budget = Budget(settings(max_usd=1.0), [])
    assert budget.charge(None, 3) is None
    assert "no token counts" in str(budget.exhausted())
    unlimited = Budget(settings(), [])
    unlimited.charge(None, None)
    assert unlimited.exhausted() is None


@property_test
@given(KEYS, st.text(), st.text())
def test_a_key_is_blotted_out_of_any_text(key: str, before: str, after: str) -> None:
    secret = Secret(key)
    once = secret.redact(before + key + after)
    assert key not in once or key in HIDDEN
    assert key not in repr(secret)


def test_a_short_key_does_not_spoil_words() -> None:
    assert Secret("key").redact("a monkey has the key") == f"a monkey has the {HIDDEN}"


def test_a_key_comes_from_its_variable_alone() -> None:
    environment = {"MINE": " sk-mine-0123456789\n", "OPENAI_API_KEY": "sk-other"}
    assert read_secret("MINE", OFFICIAL, environment).reveal() == "sk-mine-0123456789"


@pytest.mark.parametrize("value", ["", "  "])
def test_a_server_elsewhere_needs_a_key(value: str) -> None:
    with pytest.raises(InputError, match=r"MINE holds no key for https://api\.openai\.com;"):
        read_secret("MINE", OFFICIAL, {"MINE": value})


@pytest.mark.parametrize("value", ["sk-with a blank", "sk-ключ-0123456", "sk-two\nlines"])
def test_a_key_that_cannot_be_sent_is_not_repeated(value: str) -> None:
    with pytest.raises(InputError, match="the key in MINE") as caught:
        read_secret("MINE", OFFICIAL, {"MINE": value})
    assert value not in str(caught.value)
