"""The three stages of a search, against games that a few lines play."""

import math

import numpy as np
import pytest

from poq_abm.analysis.design.certificate import as_certificate, replay
from poq_abm.analysis.design.figures import design_figures
from poq_abm.analysis.design.found import Audited, BestDeviation
from poq_abm.analysis.design.problem import load_design
from poq_abm.analysis.design.proposing import Genetic
from poq_abm.analysis.design.searching import CERTIFIED_SEED, search_designs
from poq_abm.analysis.design.tables import certified_level, design_tables, notes, paragraph
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.paired import paired
from poq_abm.experiment.search import drive

HEAD = "extends: cost_aware_poq\nname: mock\nseed: 7\nsearch:\n"


class Listed:
    """Proposes what a list says, in its order."""

    def __init__(self, designs):
        self.designs = iter(designs)

    def ask(self, count):
        """Return the next designs."""
        return [next(self.designs) for _ in range(count)]

    def tell(self, outcomes):
        """Forget."""


def problem_of(tmp_path, text):
    path = tmp_path / "mock.yaml"
    path.write_text(HEAD + text)
    return load_design(path)


def playing(game):
    """Return who plays a game of (scenario, generator of its replication) -> figures."""

    def play(step):
        answers = []
        for scenario in step.scenarios:
            rows = [
                game(scenario.mechanism, np.random.default_rng([scenario.seed, r]))
                for r in range(step.first, step.last)
            ]
            answers.append({name: np.array([row[name] for row in rows]) for name in rows[0]})
        return answers

    return play


ALPHA = """
  variables: {mechanism.alpha_inference: {low: 0.0, high: 1.0}}
  objectives: [{minimise: welfare}]
  budget: {designs: 20, generation: 10, replications: 2, confirm: 0, front: 8, fresh: 8, looks: 3}
"""


def test_a_front_that_fits_its_keys_is_caught_on_fresh_ones(tmp_path):
    """One design is lucky on the keys of the search: there it looks best, and it is not."""
    problem = problem_of(tmp_path, ALPHA.replace("{minimise: welfare}",
                         "{minimise: welfare}, {minimise: bias}"))  # fmt: skip
    lucky = 0.9

    def play(step):
        answers = []
        for scenario in step.scenarios:
            alpha = scenario.mechanism.alpha_inference
            r = np.arange(step.first, step.last)
            luck = np.where((alpha == lucky) & (r < 2) & (scenario.seed == 7), -5.0, 0.0)
            noise = 0.01 * np.random.default_rng([scenario.seed, step.first]).normal(size=r.size)
            answers.append({"welfare": alpha + luck + noise, "bias": np.full(r.size, alpha)})
        return answers

    grid = [{"mechanism.alpha_inference": n / 20} for n in range(1, 21)]
    found = drive(search_designs(problem, Listed(grid)), play)
    planted = [m for m in found.members if m.settings["mechanism.alpha_inference"] == lucky]
    assert [member.state for member in planted] == ["out"]
    assert planted[0].probability == 0.0
    assert found.chosen.settings == {"mechanism.alpha_inference": 0.05}
    assert "lost it on" in " ".join(notes(found))


def test_what_only_looks_best_is_found_out_before_the_search_goes_on_from_it(tmp_path):
    """Of ten designs each is lucky on the two keys of the search with one chance in three.

    Without more keys the search goes on from luck; with them, from the best of all.
    """
    problem = problem_of(tmp_path, ALPHA.replace("confirm: 0", "confirm: 98"))
    seen = []

    def play(step):
        answers, r = [], np.arange(step.first, step.last)
        for scenario in step.scenarios:
            alpha = scenario.mechanism.alpha_inference
            lucky = np.where((round(20 * alpha) % 3 == 0) & (r < 2), -1.0, 0.0)
            answers.append({"welfare": alpha + lucky})
            seen.append((alpha, step.first, step.last))
        return answers

    told = []

    class Listening(Listed):
        def tell(self, outcomes):
            """Note the best of a generation."""
            told.append(min(losses[0] for losses, _ in outcomes))

    grid = [{"mechanism.alpha_inference": n / 20} for n in range(20, 0, -1)]
    found = drive(search_designs(problem, Listening(grid)), play)
    assert found.chosen.settings == {"mechanism.alpha_inference": 0.05}
    assert told[1] == pytest.approx(0.05)
    confirmed = {alpha for alpha, *keys in seen if keys == [2, 100]}
    assert {0.6, 0.05} <= confirmed, "who looked best, and who is"
    assert 0.7 not in confirmed, "nobody asks again what is dominated"
    fresh = {(first, last) for _, first, last in seen if first >= 100}
    assert (100, 108) in fresh, "the front is decided on keys that follow"
    assert found.members[0].state == "in"


def test_certificates_cover_a_game_solved_by_hand_as_often_as_they_say(tmp_path, monkeypatch):
    """200 searches of the inspection game: cost c p + r / p at the slash 1 / p that deters a cheat.

    Eight rates p, of which luck chooses. A certificate has four intervals that hold together at
    95%: cost and slash, and both less those of the scenario's own p = 1. How often all of them hold
    has a binomial 95% interval that ends at 184 of 200; one alone at its own 95% lies inside it, to
    196. Were the keys of the search certified, the chosen one would mostly look better than it is.
    """
    text = ALPHA.replace("designs: 20, generation: 10", "designs: 8, generation: 4")
    text = text.replace("{minimise: welfare}", "{minimise: welfare}, {minimise: bias}")
    problem = problem_of(tmp_path, text.replace("looks: 3", "looks: 1, certified: 10"))
    monkeypatch.setattr(
        "poq_abm.analysis.design.searching.probabilities", lambda played, seed: np.ones(8)
    )
    made, make = {}, type(problem).scenarios

    def scenarios(self, settings, seed=0, case=None):
        key = (str(settings), seed)
        return made[key] if key in made else made.setdefault(key, make(self, settings, seed))

    monkeypatch.setattr(type(problem), "scenarios", scenarios)
    grid = [{"mechanism.alpha_inference": n / 9} for n in range(1, 9)]

    def truth(rate):
        p = max(rate, 0.05)  # the tornado tries 0
        return np.array([0.02 * p + 0.001 / p, 1.0 / p])

    together = alone = fooled = 0
    for repetition in range(200):
        rng = np.random.default_rng(repetition)

        def play(step, rng=rng):
            size, answers = step.last - step.first, []
            shared = rng.normal(size=(2, size))
            for scenario in step.scenarios:
                luck = (shared + rng.normal(size=(2, size))) * [[0.01], [0.5]]
                cost, slash = truth(scenario.mechanism.alpha_inference)[:, None] + luck
                answers.append({"welfare": cost, "bias": slash})
            return answers

        found = drive(search_designs(problem, Listed(grid)), play)
        certified, chosen = found.certified, found.chosen.settings["mechanism.alpha_inference"]
        level = certified_level(problem, certified)
        own = [mean_interval(one, level)[2:] for one in certified.outcome.losses.T]
        pairs = [
            paired(before, after, level)[4:6]
            for before, after in zip(
                certified.published.losses.T, certified.outcome.losses.T, strict=True
            )
        ]
        values = [*truth(chosen), *(truth(chosen) - truth(1.0))]
        together += all(
            low <= value <= high for (low, high), value in zip([*own, *pairs], values, strict=True)
        )
        low, high = mean_interval(certified.outcome.losses[:, 0])[2:]
        alone += low <= values[0] <= high
        fooled += found.first_losses[found.chosen_member, 0] < values[0]
    assert together >= 184
    assert 184 <= alone <= 196
    assert fooled > 120


def test_what_nobody_meets_is_said_with_the_least_violated_design(tmp_path):
    text = ALPHA + "  constraints: [{metric: bias, at_most: 0.0}, {metric: welfare, at_most: 9}]\n"
    problem = problem_of(tmp_path, text)
    game = playing(lambda m, rng: {"welfare": 1.0, "bias": m.alpha_inference})
    grid = [{"mechanism.alpha_inference": n / 20} for n in range(1, 21)]
    found = drive(search_designs(problem, Listed(grid)), game)
    assert found.certified is None
    said = " ".join(notes(found))
    assert "No design meets every constraint. The least violated is alpha_inference 0.05" in said
    assert "misses bias <= 0 by 0.05" in said
    assert "Objective welfare is the same for every design" in said
    assert found.chosen is None


def test_what_was_tried_is_counted_by_choice_and_by_quarter_of_a_range(tmp_path):
    """Nineteen designs that can be: the median is feasible below .5, and the mean nowhere."""
    variables = """1.0},
    mechanism.committee_size: {low: 1, high: 9},
    mechanism.aggregation: {choices: [mean, median, huber]},
    mechanism.beta_evaluator: {low: 0.01, high: 1.0, scale: log,
      when: {mechanism.aggregation: huber}}}"""
    text = ALPHA.replace("1.0}}", variables) + (
        "  constraints: [{metric: bias, at_most: 0.4}, {metric: reward_gap, at_most: 0.0}]\n"
    )
    problem = problem_of(tmp_path, text.replace("{minimise: welfare}", "{maximise: welfare}"))
    grid = [
        {
            "mechanism.alpha_inference": n / 20,
            "mechanism.committee_size": 9 if n == 20 else 1 + n % 3,
            "mechanism.aggregation": "median" if n % 2 else "mean",
        }
        for n in range(1, 21)
    ]
    game = playing(
        lambda m, rng: {
            "welfare": m.alpha_inference,
            "bias": m.alpha_inference,
            "reward_gap": -1.0 if m.aggregation == "median" else 1.0,
        }
    )
    found = drive(search_designs(problem, Listed(grid)), game)
    table, ranges = (
        design_tables(found)[name].set_index(["field", "value"]) for name in ("choices", "ranges")
    )
    counts = ["designs", "feasible", "bias <= 0.4", "reward_gap <= 0"]
    assert table.loc[("aggregation", "median"), counts].tolist() == [10, 4, 4, 10]
    assert table.loc[("aggregation", "mean"), counts].tolist() == [9, 0, 4, 0]
    assert table.loc[("aggregation", "huber"), counts].tolist() == [0, 0, 0, 0]
    assert table.loc[("aggregation", "median"), "best welfare"] == pytest.approx(0.35)
    assert np.isnan(table.loc[("aggregation", "mean"), "best welfare"])
    parts = ranges.loc["alpha_inference"]
    assert parts.index.tolist() == ["0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1"]
    assert parts["designs"].tolist() == [4, 5, 5, 5], "a part is without its upper end"
    assert parts["feasible"].tolist() == [2, 2, 0, 0]
    sizes = ranges.loc["committee_size"]
    assert sizes.index.tolist() == ["1 to 3", "4 to 5", "6 to 7", "8 to 9"]
    assert sizes["designs"].tolist() == [19, 0, 0, 0]
    rates = ranges.loc["beta_evaluator"]
    assert rates.index.tolist() == [
        "0.01 to 0.03162",
        "0.03162 to 0.1",
        "0.1 to 0.3162",
        "0.3162 to 1",
    ]
    assert rates["designs"].sum() == 0, "it acts in none"
    assert "no sample of all, so that a share of them has no interval" in " ".join(notes(found))


def test_who_fails_the_audit_is_passed_over_with_what_it_failed_by(tmp_path):
    text = ALPHA + "  audit: {at_most: 0.2, by: [evaluator]}\n"
    problem = problem_of(tmp_path, text.replace("{minimise: welfare}",
                         "{minimise: welfare}, {maximise: bias}"))  # fmt: skip
    game = playing(lambda m, rng: {"welfare": m.alpha_inference + 0 * rng.normal(),
                                   "bias": m.alpha_inference})  # fmt: skip
    grid = [{"mechanism.alpha_inference": n / 20} for n in range(1, 21)]
    asked = []

    def gains(searched, lowest=0.05):
        node = BestDeviation("evaluator", "boost by 1 of a", 0.1, lowest, 0.15, searched, 576)
        return Audited((node,))

    def audited(scenario):
        asked.append((scenario.seed, scenario.mechanism.alpha_inference))
        return gains([0.3, 0.1, 0.4][len(asked) - 1])

    found = drive(search_designs(problem, Listed(grid), audited), game)
    assert [seed for seed, _ in asked] == [7 + CERTIFIED_SEED] * 3
    assert found.certified.settings == {"mechanism.alpha_inference": asked[1][1]}
    assert asked[2][1] == problem.scenario.mechanism.alpha_inference
    said = " ".join(notes(found))
    assert "failed its audit: boost by 1 of a, or another deviation by an evaluator, may" in said
    assert "gain up to 0.3 tokens per job" in said
    sentence = paragraph(problem, found.certified)
    assert "best of 1,152 deviations" in sentence
    assert "an evaluator gains +0.1 [0.05, 0.15] (boost by 1 of a), not told" in sentence
    assert "that each search came to, is 0.1, of 0.2 that are allowed" in sentence
    table = design_tables(found)["audit"]
    assert table["design"].tolist() == ["chosen", "published"]
    (axes,) = design_figures(found)["audit"].axes
    assert [one.get_text() for one in axes.get_yticklabels()] == [
        "evaluator: chosen", "evaluator: published"]  # fmt: skip
    path = tmp_path / "certificate.yaml"
    path.write_text(as_certificate(problem, found.certified))

    def again(upper):
        asked[:] = asked[:1]
        return drive(replay(load_design(path), lambda one: audited(one) if upper is None
                            else gains(upper)), game)  # fmt: skip

    certified, other = again(None)
    assert other == []
    assert as_certificate(load_design(path), certified) == path.read_text()
    _, other = again(0.125)
    assert other == [
        ("audit.chosen.evaluator.upper", 0.1, 0.125),
        ("audit.published.evaluator.upper", 0.4, 0.125),
    ]


@pytest.mark.parametrize(
    ("low", "high", "upper", "said"),
    [
        (0.3, 0.5, 9.0, "more than"),
        (0.26, 0.5, 9.0, "not told apart"),  # own deviations that looked worse may gain up to .27
        (0.0, 0.1, 0.14, "less than"),
        (0.0, 0.1, 0.2, "not told apart"),
        (0.15, 0.25, 0.27 + 1e-15, "member, a ring gains +0.2 [0.15, 0.25] (boost by 3 of a), as"),
    ],
)
def test_an_audit_without_a_bound_refuses_nobody_and_says_who_gains_more(
    tmp_path, low, high, upper, said
):
    problem = problem_of(tmp_path, ALPHA + "  audit: {}\n")
    game = playing(lambda m, rng: {"welfare": m.alpha_inference + 0 * rng.normal()})
    grid = [{"mechanism.alpha_inference": n / 20} for n in range(1, 21)]
    own = problem.scenario.mechanism.alpha_inference

    def audited(scenario):
        is_own = scenario.mechanism.alpha_inference == own
        ends = (0.15, 0.25, 0.27) if is_own else (low, high, upper)
        gain = (ends[0] + ends[1]) / 2
        return Audited((BestDeviation("ring", "boost by 3 of a", gain, *ends, 5),), "epoch")

    found = drive(search_designs(problem, Listed(grid), audited), game)
    assert found.certified.audits["chosen"].upper == upper
    assert f"a ring gains {(low + high) / 2:+.4g}" in paragraph(problem, found.certified)
    assert said in paragraph(problem, found.certified)


def test_an_audit_that_could_tell_nothing_passes_no_bound_and_says_so(tmp_path):
    text, grid = ALPHA + "  audit: {at_most: 0.2}\n", [{"mechanism.alpha_inference": 0.5}]
    game = playing(lambda m, rng: {"welfare": m.alpha_inference + 0 * rng.normal()})
    for asked, chosen in ((text, False), (text.replace("{at_most: 0.2}", "{}"), True)):
        problem = problem_of(tmp_path, asked)
        found = drive(search_designs(problem, Listed(grid * 40), lambda _: Audited(())), game)
        assert (found.certified is not None) == chosen
        said = [*notes(found), *([paragraph(problem, found.certified)] if chosen else [])]
        assert "nobody who could" in " ".join(said)
        assert "audit" not in design_tables(found) and "audit" not in design_figures(found)


def test_a_field_without_effect_and_designs_that_cannot_be_are_said(tmp_path):
    text = ALPHA.replace("1.0}}", "1.0}, mechanism.committee_size: {low: 2, high: 9}}")
    problem = problem_of(tmp_path, text)
    grid = [
        {"mechanism.alpha_inference": n / 20, "mechanism.committee_size": 3 if n > 1 else 9}
        for n in range(1, 21)
    ]
    game = playing(lambda m, rng: {"welfare": m.alpha_inference + rng.normal()})
    found = drive(search_designs(problem, Listed(grid)), game)
    said = " ".join(notes(found))
    assert "1 cannot be, the first because a committee of 9 cannot be drawn from 3" in said
    assert "committee_size has no effect around the chosen design" in said
    tables = design_tables(found)
    assert tables["progress"]["hypervolume"].is_monotonic_increasing
    assert "alpha_inference" in set(tables["tornado"]["field"])


def test_every_stage_has_keys_of_its_own(tmp_path):
    problem = problem_of(tmp_path, ALPHA)
    seen = []
    game = playing(lambda m, rng: {"welfare": m.alpha_inference + rng.normal()})

    def play(step):
        seen.append((step.scenarios[0].seed, step.first, step.last))
        return game(step)

    grid = [{"mechanism.alpha_inference": n / 20} for n in range(1, 21)]
    drive(search_designs(problem, Listed(grid)), play)
    search = {s for s in seen if s[1:] == (0, 2)}
    assert search == {(7, 0, 2)}
    assert all(first >= 2 for seed, first, _ in seen if seed == 7 and (seed, first) != (7, 0))
    assert (7 + CERTIFIED_SEED, 0, problem.search.budget.certified) in seen


INSPECTION = """
  variables:
    mechanism.alpha_inference: {low: 0.05, high: 1.0, scale: log}
    mechanism.beta_inference: {low: 1.0, high: 20.0, scale: log}
  objectives: [{minimise: welfare}]
  constraints: [{metric: reward_gap, at_most: 0.0}]
  budget: {designs: 600, generation: 30, replications: 1, confirm: 0, front: 1, fresh: 2, looks: 1,
    certified: 2, seed: 3}
"""
DRAWS = (np.arange(200_000) + np.random.default_rng(5).random(200_000)) / 200_000


def inspected(step):
    """Play an inspection game: p is alpha_inference, the slash S beta_inference.

    Of 200,000 Bernoulli inspections, one from each stratum and the same luck for all p, the share
    that caught a cheat who gains G = 1; what it costs is c p + r S with c = .02, r = .001. (That of
    an economy stands in ``tests/analysis/audit/test_inspection.py``.)
    """
    answers = []
    for scenario in step.scenarios:
        p, slash = scenario.mechanism.alpha_inference, scenario.mechanism.beta_inference
        caught, size = np.searchsorted(DRAWS, p) / DRAWS.size, step.last - step.first
        answers.append({"welfare": np.full(size, 0.02 * p + 0.001 * slash),
                        "reward_gap": np.full(size, 1.0 - caught * slash)})  # fmt: skip
    return answers


def test_the_genetic_search_comes_within_two_percent_of_the_least_cost(tmp_path):
    pytest.importorskip("optuna")
    problem = problem_of(tmp_path, INSPECTION)
    found = drive(search_designs(problem, Genetic(problem)), inspected)
    assert found.first_losses[0, 0] == pytest.approx(2 * math.sqrt(0.02 * 0.001), rel=0.02)
