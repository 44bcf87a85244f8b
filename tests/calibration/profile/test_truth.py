"""The truth proxy: what the official SQuAD 2.0 evaluation script says of short answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.profile.truth import (
    METRICS,
    best_exact_match,
    best_f1,
    exact_match,
    normalised,
    numeric_match,
    register_metric,
    rouge_l,
    squad_normalised,
    token_f1,
    truth_score,
)
from poq_abm.errors import InputError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "squad_f1_vectors.json"
ROUNDING = 1e-12  # the script divides thrice, we divide once
WORDS = st.text(alphabet="ab the,.X é", max_size=20)

#: output, reference, token F1, exact match
FACTS = [
    (
        "This law is known as Boyle's Law, named after Robert Boyle.",
        "Sir Robert Boyle",
        2 / 7,
        False,
    ),
    ("Maria Sharapova", "Maria Scharapowa", 1 / 2, False),
    ("Colonel Tom Parker.", "Colonel Tom Parker", 1, True),
    ("1973", "1973", 1, True),
    ("Uranus", "Sol-7", 0, False),
    ("Tiddlywinks", "Tiddlywink", 0, False),
    (
        "Coca-Cola pioneered the use of coupons in consumer marketing, beginning in 1887.",
        "Coca-Cola 1",
        2 / 13,
        False,
    ),
    (" Jimi Hendrix was 27 years old when he died.", "27", 1 / 5, False),
    (
        'The original "Spirit in the Sky" was performed by Norman Greenbaum in 1969.',
        "Norman Greenbaum",
        4 / 13,
        False,
    ),
    ("Caviar", "Black caviar", 2 / 3, False),
    ("The medical name for the longest bone in the human body is the femur.", "Feumur", 0, False),
    ("Afghanistan", "Afgahanistan", 0, False),
    ("Tom Brady has been the Patriots quarterback since 2000.", "2001", 0, False),
    ('The most common pub name in the UK is "The Red Lion".', "The Red Lion", 4 / 11, False),
    ("1930", "1935", 0, False),
    (
        "The UK has 87 seats in the European Parliament, which is elected for a five-year term.",
        "EU Parliament",
        2 / 15,
        False,
    ),
    (
        "The individual widely credited with introducing Whitney Houston to drugs is Bobby Brown.",
        "Robert Barisford Brown",
        2 / 15,
        False,
    ),
    ("Osaka", "Tōkyō, JP-13", 0, False),
    (
        "Russia and Georgia went to war over the region of South Ossetia in 2008.",
        "List of islands of South Ossetia",
        6 / 19,
        False,
    ),
    (" Mel Gibson's middle name is Columcille.", "Life of St. Columba", 0, False),
    ('"Raindrops Keep Fallin\' On My Head" was sung by B.J. Thomas.', "B. J. Thomas", 1 / 7, False),
    (
        "Brooklyn is situated in the borough of the same name in New York City.",
        "Long island",
        0,
        False,
    ),
    ("M.C. Escher's lithographs", "Perceptual organization", 0, False),
    ("a dribbler", "Triple threat", 0, False),
    ("Real Madrid", "Real Madrid", 1, True),
    ("tentilla", "tentilla", 1, True),
    ("international metropolitan", "international metropolitan", 1, True),
    ("Catherine Parr.", "Katharine Parr", 1 / 2, False),
    ("", "x", 0, False),
    ("the", "a", 1, True),
    ("The  U.S.A.!", "usa", 1, True),
    ("", "", 1, True),
    ("one two", "two one", 1, False),
    ("a an the", "the cat", 0, False),
    ("café", "cafe", 0, False),
    ("well-known", "well known", 0, False),
    ("3,000", "3000", 1, True),
]


@pytest.mark.parametrize("metric", ["token_f1", "squad_f1"])
@pytest.mark.parametrize(("output", "reference", "f1", "same"), FACTS)
def test_short_answers_score_what_the_official_script_gives_them(
    output: str, reference: str, f1: float, same: bool, metric: str
) -> None:
    assert token_f1(output, reference, metric) == pytest.approx(f1, abs=ROUNDING)
    assert exact_match(output, reference, metric) is same


#: output, reference, token F1 as it should be, and what the official script makes of it
BEYOND_THE_SCRIPT = [
    ("北京。", "北京", 1.0, 0.0),
    ("答案是：北京", "北京", 4 / 7, 0.0),
    ("東京タワー", "東京", 4 / 7, 0.0),
    ("กรุงเทพ", "กรุงเทพ!", 1.0, 1.0),
    ("서울。", "서울", 1.0, 0.0),
    ("«Москва»", "москва", 1.0, 0.0),
    ("¿Lima?", "Lima", 1.0, 0.0),
    ("İstanbul", "istanbul", 1.0, 0.0),
    ("Straße", "STRASSE", 1.0, 0.0),
    ("cafe\u0301", "caf\u00e9", 1.0, 0.0),
    ("it’s", "it's", 1.0, 0.0),
    ("3.5", "35", 0.0, 1.0),
    ("3.5.", "$3.5", 1.0, 1.0),
    ("3,5", "35", 0.0, 1.0),
    ("1,234,567", "1234567", 1.0, 1.0),
    ("1,00,000", "100000", 1.0, 1.0),
    ("-5", "5", 0.0, 1.0),
    ("\u22125", "-5", 1.0, 0.0),
    ("-$5", "$5", 0.0, 1.0),
    (".5", "5", 0.0, 1.0),
    ("1/2", "12", 0.0, 1.0),
    ("3:1", "31", 0.0, 1.0),
    ("24-10", "24–10", 1.0, 0.0),
    ("24-10", "2410", 0.0, 1.0),
    ("No. 5", "no 5", 1.0, 1.0),
    ("(5)", "5", 1.0, 1.0),
]


@pytest.mark.parametrize(("output", "reference", "right", "script"), BEYOND_THE_SCRIPT)
def test_what_the_script_does_not_know_is_read_right_and_the_script_kept_under_its_name(
    output: str, reference: str, right: float, script: float
) -> None:
    assert token_f1(output, reference) == pytest.approx(right, abs=ROUNDING)
    assert token_f1(reference, output) == pytest.approx(right, abs=ROUNDING)
    assert token_f1(output, reference, "squad_f1") == pytest.approx(script, abs=ROUNDING)


@given(st.text(alphabet="ab the,.X!?-'", max_size=20))
def test_prose_in_ascii_is_normalised_as_the_script_does(text: str) -> None:
    assert normalised(text) == squad_normalised(text)


@given(
    st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
)
def test_two_numbers_agree_if_they_are_the_same(one: float, other: float) -> None:
    assert token_f1(f"{one:.3f}", f"{other:.3f}") == float(f"{one:.3f}" == f"{other:.3f}")
    assert token_f1(f"{one:,.3f}", f"{one:.3f}") == 1.0


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(InputError, match="did you mean 'squad_f1'"):
        truth_score("x", ["x"], "squad")


@pytest.mark.skipif(not SHARED.is_file(), reason="the file of facts is not here")
def test_every_fact_of_the_file_holds() -> None:
    facts = json.loads(SHARED.read_text(encoding="utf-8"))["vectors"]
    assert len(facts) == len(FACTS)
    for fact in facts:
        f1 = token_f1(fact["prediction"], fact["gold"])
        assert f1 == pytest.approx(fact["f1"], abs=ROUNDING), fact
        assert exact_match(fact["prediction"], fact["gold"]) == bool(fact["em"]), fact


def test_punctuation_goes_before_articles() -> None:
    assert normalised("U.S.A. -- 'the' an-d a\tB") == "usa and b"


def test_repeated_tokens_count_as_often_as_both_have_them() -> None:
    assert token_f1("x x x y", "x x z") == pytest.approx(4 / 7, abs=ROUNDING)


def test_the_best_reference_counts() -> None:
    references = ["Denver Broncos", "Broncos", "Carolina"]
    assert best_f1("the Broncos", references) == 1.0
    assert truth_score("Denver", references) == pytest.approx(20 / 3, abs=10 * ROUNDING)
    assert best_exact_match("broncos!", references)
    assert not best_exact_match("Denver", references)


def test_no_reference_is_an_error() -> None:
    with pytest.raises(InputError, match="without any reference"):
        truth_score("x", [])


@given(WORDS, WORDS)
def test_f1_is_symmetric_and_one_for_equal_bags_of_tokens(one: str, other: str) -> None:
    f1 = token_f1(one, other)
    assert 0.0 <= f1 <= 1.0
    assert f1 == token_f1(other, one)
    assert (f1 == 1.0) == (sorted(normalised(one).split()) == sorted(normalised(other).split()))


@given(WORDS, st.lists(WORDS, min_size=1, max_size=4))
def test_a_further_reference_never_lowers_the_truth(output: str, references: list[str]) -> None:
    assert best_f1(output, references) >= best_f1(output, references[:1])
    assert 0.0 <= truth_score(output, references) <= 10.0
    if best_exact_match(output, references):
        assert best_f1(output, references) == 1.0


@given(WORDS, WORDS)
def test_rouge_l_is_the_longest_common_subsequence(output: str, reference: str) -> None:
    tokens, wanted = normalised(output).split(), normalised(reference).split()
    table = [[0] * (len(wanted) + 1) for _ in range(len(tokens) + 1)]
    for i, token in enumerate(tokens, start=1):
        for j, other in enumerate(wanted, start=1):
            longest = max(table[i - 1][j], table[i][j - 1])
            table[i][j] = table[i - 1][j - 1] + 1 if token == other else longest
    sizes = len(tokens) + len(wanted)
    expected = float(tokens == wanted) if not tokens or not wanted else 2 * table[-1][-1] / sizes
    assert rouge_l(output, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "reference", "same"),
    [
        ("3 + 4 = 7", "7", True),
        ("The answer is 1,234.50 dollars.", "1234.5", True),
        ("−5", "-5", True),
        ("12-4", "4", True),
        ("3.5", "35", False),
        (".5", "0.5", True),
        ("1e3", "1000", True),
        ("seven", "7", False),
        ("none", "None.", True),
        ("", "7", False),
    ],
)
def test_numbers_are_compared_as_numbers(output: str, reference: str, same: bool) -> None:
    assert numeric_match(output, reference) is same
    assert truth_score(output, [reference], "numeric") == 10.0 * same


def test_a_metric_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibration.profile.truth.METRICS", dict(METRICS))

    def half(output: str, reference: str) -> float:
        return 0.5

    register_metric("half", half)
    register_metric("half", half)
    assert truth_score("a", ["b"], "half") == 5.0
    with pytest.raises(InputError, match="called 'exact' already"):
        register_metric("exact", half)
    register_metric("points", lambda output, reference: 7.0)
    with pytest.raises(InputError, match="'points' gives 7 for 'a', not 0 to 1"):
        truth_score("a", ["b"], "points")
    with pytest.raises(InputError, match="no metric of truth is called 'halve'; did you mean"):
        truth_score("a", ["b"], "halve")
