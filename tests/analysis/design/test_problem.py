"""Design files: read as strictly as scenarios."""

import numpy as np
import pytest

from poq_abm import run
from poq_abm.analysis.design.playing import FigurePlayer
from poq_abm.analysis.design.problem import load_design
from poq_abm.experiment.search import Step
from poq_abm.profile import load_profile
from poq_abm.scenario import ScenarioError
from poq_abm.scenario.library import find_scenario

TEXT = """\
# Which committee?
extends: cost_aware_poq
rounds: 50
search:
  variables:
    mechanism.aggregation: {choices: [mean, trimmed_mean]}
    mechanism.committee_size: {low: 1, high: 3}
    mechanism.tau: {low: 0.01, high: 0.4, scale: log, when: {mechanism.aggregation: trimmed_mean}}
  populations:
    boosters: {malicious: {share: 0.4, behaviour: boost}}
  objectives:
    - {maximise: correlation}
    - {minimise: bias, absolute: true, under: [honest, boosters]}
  constraints:
    - {metric: evaluator_reward_mean, at_least: 0.1}
  budget: {designs: 40, generation: 10}
"""


@pytest.fixture
def read(tmp_path):
    """Read a design file with some of its text replaced."""

    def read_with(*changes):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "which.yaml"
        path.write_text(text)
        return load_design(path)

    return read_with


def test_it_says_what_is_needed_and_what_the_scenario_itself_has(read):
    problem = read()
    assert problem.populations == ("honest", "boosters")
    assert problem.metrics == ("correlation", "bias", "evaluator_reward_mean")
    assert problem.published == {"mechanism.aggregation": "mean", "mechanism.committee_size": 3}
    honest, attacked = problem.scenarios({"mechanism.committee_size": 2}, seed=4)
    assert (honest.mechanism.committee_size, honest.seed, honest.malicious) == (2, 5, None)
    assert attacked.malicious is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("low: 1, high: 3", "low: 4, high: 3", 7, "low must be below high, got 4 and 3"),
        ("low: 1, high: 3", "low: 4", 7, "needs both low and high"),
        ("choices: [mean, trimmed_mean]", "choices: [mean]", 6, "one choice is none"),
        ("{low: 1, high: 3}", "{low: 1, high: 3, choices: [1, 2]}", 7, "either low and high"),
        ("mechanism.tau:", "mechanism.taau:", 8, "did you mean 'tau'"),
        ("{mechanism.aggregation: trimmed", "{mechanism.agregation: trimmed", 8, "aggregation"),
        ("{maximise: correlation}", "{maximise: corelation}", 12, "did you mean 'correlation'"),
        ("{maximise: correlation}", "{under: honest}", 12, "one of minimise and maximise"),
        ("{maximise: correlation}", "{maximise: {corelation: 1}}", 12, "mean 'correlation'"),
        ("{maximise: correlation}", "{maximise: {}}", 12, "adds nothing up"),
        ("{maximise: correlation}", "{maximise: mechanism.taau}", 12, "did you mean 'tau'"),
        ("{maximise: correlation}", "{maximise: mechanism.aggregation}", 12, "no number"),
        ("{maximise: correlation}", "{maximise: {bias: .inf}}", 12, "bias: must be finite"),
        ("at_least: 0.1", "at_lest: 0.1", 15, "unknown key"),
        (", at_least: 0.1", "", 15, "one of at_most and at_least"),
        ("[honest, boosters]", "[honest, bosters]", 4, "did you mean 'boosters'"),
        ("share: 0.4", "share: 1.4", 10, "must be at most 1"),
        ("behaviour: boost", "behaviour: bost", 10, "boost"),
        ("designs: 40", "designs: 4", 16, "a budget of 4 designs is too small"),
        ("designs: 40", "designs: !!python/name:os.system 4", 16, ""),
        ("search:", "searching:", 4, "unknown key"),
        ("boosters: {", "boosters: {mechanism.committee_size: 2, ", 10, "is a variable as well"),
        ("  budget:", "  audit: {at_most: 1, by: [nodes]}\n  budget:", 16, "evaluator"),
        ("  budget:", "  audit: {at_most: 1, by: [ring]}\n  budget:", 16, "leaves nobody"),
        (
            "  budget:",
            "  audit: {behaviours: [noise, bost]}\n  budget:",
            16,
            "behaviours.1: no beh",
        ),
        (
            "  budget:",
            "  audit: {behaviours: [downgrade]}\n  budget:",
            16,
            "downgrade needs",
        ),
        ("  budget:", "  audit: {behaviours: [5]}\n  budget:", 16, "5 is no behaviour"),
        ("  budget:", "  audit: {behaviours: [{name: boost, b: 99}]}\n  budget:", 16, "in [0, 10]"),
        ("rounds: 50", "sweep: {rounds: [5, 6]}", 3, "a design file has no sweep"),
    ],
)
def test_a_mistake_is_named_with_its_line(read, old, new, line, said):
    with pytest.raises(ScenarioError) as caught:
        read((old, new))
    assert any(f"which.yaml:{line}" in text and said in text for text in
               str(caught.value).splitlines()), caught.value  # fmt: skip


def test_a_field_of_which_a_choice_is_no_number_cannot_be_added_up(read):
    with pytest.raises(ScenarioError, match=r"which.yaml:12: .* is None, no number to add up"):
        read(
            ("{low: 1, high: 3}", "{choices: [1, null]}"),
            ("{maximise: correlation}", "{minimise: mechanism.committee_size}"),
        )


def test_a_search_of_fields_alone_plays_nothing(read):
    with pytest.raises(
        ScenarioError, match=r"which.yaml:11: search.objectives: no figure is a col"
    ):
        read(
            ("{maximise: correlation}", "{minimise: mechanism.tau}"),
            ("    - {minimise: bias, absolute: true, under: [honest, boosters]}\n", ""),
            ("  constraints:\n    - {metric: evaluator_reward_mean, at_least: 0.1}\n", ""),
        )


def test_figures_add_up_columns_and_fields(read):
    sums = "{minimise: {mechanism.committee_size: 0.5, bias: -1}, under: [honest, boosters]}"
    problem = read(
        ("{minimise: bias, absolute: true, under: [honest, boosters]}", sums),
        ("{metric: evaluator_reward_mean,", "{metric: {evaluator_reward_mean: 2},"),
    )
    assert problem.metrics == (
        "correlation", "mechanism.committee_size", "bias", "evaluator_reward_mean",
    )  # fmt: skip
    _, cost = problem.search.objectives
    (pay,) = problem.search.constraints
    assert cost.label == "0.5 committee_size - 1 bias (honest, boosters)"
    figures = FigurePlayer(problem.metrics)(Step(problem.scenarios({}), 0, 3))
    played = dict(zip(problem.populations, figures, strict=True))
    biases = [played[name]["bias"] for name in problem.populations]
    np.testing.assert_allclose(cost.losses(played), 1.5 - np.minimum(*biases))
    paid = played["honest"]["evaluator_reward_mean"]
    np.testing.assert_allclose(pay.excess(played), 0.1 - 2.0 * paid)


@pytest.mark.parametrize("path", sorted(find_scenario("cost_aware_poq").parent.glob("designs/*")))
def test_designs_that_ship_can_be_searched(path):
    problem = load_design(path.stem)
    assert problem.scenario.name == path.stem
    for settings in (problem.published, {**problem.published, **_other(problem)}):
        assert len(problem.scenarios(settings)) == len(problem.populations)


def _other(problem):
    """Return the last end of every variable."""
    return {path: variable.ends[-1] for path, variable in problem.search.variables.items()}


def test_what_deterrence_costs_is_bonds_lost_locked_tokens_and_planted_records():
    """The sum that better_slash minimises, against the accounts of its economy."""
    problem = load_design("better_slash")
    bonded = problem.scenario.replace({"economy.stake.bond": 20.0, "replications": 2})
    results = run(bonded)
    accounts = results.accounts.groupby("replication")
    evaluators = 20 * 5  # and epochs
    lost = (accounts["slashed"].sum() + accounts["capital"].sum()) / evaluators
    cost = problem.search.objectives[0]
    share = bonded.mechanism.trust.gold_share
    figures = {name: results.replications.get(name, 0.0) for name in cost.weights}
    figures["mechanism.trust.gold_share"] = np.full(2, share)
    found = cost.losses({"honest": figures})
    assert (lost > 0.5).all()
    np.testing.assert_allclose(found, lost + 115 * share, rtol=1e-9)
    np.testing.assert_allclose(accounts["reward"].sum() / evaluators, 115.0, rtol=0.01)


def test_planted_records_hardly_tell_a_constant_from_the_weaker_evaluators():
    """How many put what a constant of 5 is expected to miss 2 s.d. above what an honest node does.

    n = 4 q (1 - q) / (q' - q)^2 with q and q' the shares scored wrongly: the s.d. is that of the
    honest share, binomial. The least over the tolerances that better_slash searches, in steps of
    .001. (Half of an epoch's 140 jobs, the most that it plants, are 70.)
    """
    profile = load_profile("published")
    searched = load_design("better_slash").search.variables
    tolerance = searched["economy.stake.slashing.gold_tolerance"]
    limits = 10.0 * np.arange(tolerance.low, tolerance.high + 1e-9, 0.001)[:, None, None]
    away = (np.abs(5.0 - profile.truth) > limits).mean(axis=(1, 2))
    needed, shares = {}, {}
    for place, name in enumerate(profile.evaluators):
        off = (np.abs(profile.scores[:, :, place] - profile.truth) > limits).mean(axis=(1, 2))
        shown = away > off
        n = (4 * off * (1 - off))[shown] / (away - off)[shown] ** 2
        needed[name] = n.min(initial=np.inf)
        shares[name] = off[200], away[200]  # at a tolerance of .3, as shipped
    assert needed == pytest.approx({"sts_stsb": 12.6, "ce_minilm": np.inf, "ce_deberta": 839}, 0.01)
    assert shares["ce_minilm"] == pytest.approx((0.6015, 0.56))
    assert shares["ce_deberta"] == pytest.approx((0.5625, 0.56))


def test_a_key_that_is_younger_than_a_search_leaves_what_it_played_known(monkeypatch):
    player, scenario = FigurePlayer(("bias",)), load_design("better_slash").scenario
    now, data = player.key(scenario, ["bias"], 0, 3), scenario.resolved()
    for group in data["population"]["inference"]:
        assert group.pop("usd_per_answer") is None
    monkeypatch.setattr(type(scenario), "resolved", lambda _: data)
    assert player.key(scenario, ["bias"], 0, 3) == now
