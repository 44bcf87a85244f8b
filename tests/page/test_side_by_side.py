from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.page.exploring import Exploration, explorable, side_by_side
from poq_abm.page.panel import Panel, read_link, write_link
from poq_abm.page.samples import difference
from poq_abm.scenario import load
from tests.conftest import Poq

FEW = ["rounds=200", "replications=4"]
#: what a run calls figures of all nodes
METRICS = {
    "bias (points)": "bias",
    "mean distance from truth (points)": "mean_absolute_error",
    "correlation with truth": "correlation",
    "all inference nodes": "inference_reward_mean",
    "all evaluators": "evaluator_reward_mean",
}


def cells(table: str) -> list[list[str]]:
    """Return the texts of a table, row by row."""
    root = ElementTree.fromstring(f"<div>{table}</div>")
    return [[cell.text or "" for cell in row.iter("td")] for row in root.iter("tr")][1:]


@pytest.fixture(scope="module")
def pair() -> Exploration:
    """Committees of one and of three evaluators."""
    sweep = load("committee_size", FEW)
    return Exploration(*(explorable(sweep, f"committee_size={k}") for k in (1, 3)))


def test_each_side_is_what_a_run_of_it_plays_and_b_less_a_what_compare_says(
    pair: Exploration,
) -> None:
    a, b = (pair.play(pair.start, side) for side in (0, 1))
    assert (a.trace.record == b.trace.record).all()
    assert (a.trace.committee[:, 0] == b.trace.committee[:, 0]).all()
    results = poq_abm.run(load("committee_size", FEW))
    compared = results.compare("committee_size=1", "committee_size=3").set_index("metric")
    shown = pair.shown(pair.start)
    now = [pair.page.figures(one.played, one.length) for one in shown]
    for one, other in zip(*now, strict=True):
        metric = METRICS.get(one.what, METRICS.get(one.whose, f"reward of {one.whose}"))
        row = compared.loc[metric]
        apart = difference(one.sample, other.sample, one.within)
        assert apart == pytest.approx((row["difference"], row["low"], row["high"]), rel=1e-9)
        assert one.estimate[0] == pytest.approx(row["mean_a"], rel=1e-12)


def test_every_round_of_both_is_that_of_a_run_bit_for_bit(pair: Exploration) -> None:
    state = pair.start.moved("beta_F", 0.9).moved("B.K", 2)
    for side in (0, 1):
        rounds = poq_abm.run(pair.scenario(state, side), trace=True).rounds
        played = pair.play(state, side)
        for replication in range(4):
            mine = rounds[rounds["replication"] == replication]
            assert (mine["consensus"].to_numpy() == played.consensus[replication]).all()
        first = rounds[rounds["replication"] == 0]
        assert (first["inference_reward"].to_numpy() == played.trace.inference_reward).all()


def test_what_both_have_moves_both_and_what_they_differ_in_moves_one(pair: Exploration) -> None:
    assert {"beta_F", "A.K", "B.K"} <= set(pair.panel.controls)
    assert "K" not in pair.panel.controls
    state = pair.start.moved("beta_F", 0.9).moved("B.K", 2)
    scenarios = [pair.scenario(state, side).mechanism for side in (0, 1)]
    assert [one.beta_inference for one in scenarios] == [0.9, 0.9]
    assert [one.committee_size for one in scenarios] == [1, 2]
    assert [one.moved for one in pair.shown(pair.start.moved("B.K", 2))] == [False, True]


def test_both_have_the_same_axes_and_charts_of_their_own(pair: Exploration) -> None:
    a, b = (pair.page.charts(one) for one in pair.shown(pair.start.moved("beta_F", 0.9)))
    assert list(a) == list(b)
    for name in ("inference", "evaluator", "trust"):
        figures = [ElementTree.fromstring(charts[name]) for charts in (a, b)]
        assert [one.get("data-chart") for one in figures] == [f"{name}-A", f"{name}-B"]
        ticks = [[text.text for text in one.iter("text")] for one in figures]
        assert ticks[0] == ticks[1]


def test_the_table_says_the_difference_as_written_once_anything_moved(pair: Exploration) -> None:
    still = cells(pair.page.compared(*pair.shown(pair.start)))
    moved = cells(pair.page.compared(*pair.shown(pair.start.moved("beta_F", 0.9))))
    assert [row[:2] for row in still] == [row[:2] for row in moved]
    assert [row[4] for row in still] == [row[5] for row in moved]
    assert "NaN" not in str(moved)


def test_a_link_says_both_and_is_told_from_one_of_either(pair: Exploration) -> None:
    state = pair.start.moved("A.K", 2).moved("alpha_M", 1.5).at(50)
    link = write_link(pair.panel, state)
    assert link.startswith("alpha_M=1.5&A.K=2&round=50&of=committee_size%2Bcommittee_size.")
    assert read_link(pair.panel, link) == (state, [])
    assert "another scenario" in read_link(Panel.of(pair.page), link)[1][0]


def test_keys_are_made_common_and_that_is_said() -> None:
    a = load("cost_aware_poq", [*FEW, "seed=5"])
    b = load("cost_weight", ["sweep={}", "rounds=300", "replications=6", "seed=7",
                             "mechanism.beta_inference=0.5"])  # fmt: skip
    exploration = Exploration(a, b)
    said = " ".join(exploration.notes)
    assert "B is drawn with the seed of A, 5, not 7" in said
    assert "Of B the first 200 rounds are played" in said
    plays = [exploration.play(exploration.start, side) for side in (0, 1)]
    assert (plays[0].trace.record == plays[1].trace.record).all()
    assert [one.reward.shape[:2] for one in plays] == [(4, 201)] * 2


def test_as_many_replications_are_played_of_both_as_of_the_larger() -> None:
    large = load("adversary_sweep", ["sweep={}", "replications=20", "mechanism.committee_size=20"])
    exploration = Exploration(large, large.replace({"mechanism.committee_size": 3}))
    assert [one.played.replications for one in exploration.shown(exploration.start)] == [8, 8]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("cost_aware_poq", "entry_exit", "plays rounds of the mechanism and entry_exit an economy"),
        ("entry_exit", "hybrid_poq_otr", "an economy and hybrid_poq_otr verification protocols"),
        ("cost_aware_poq", "cost_weight", "play the same game, sweeps apart"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused_before_anything_is_served(
    a: str, b: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        side_by_side(explorable(load(a)), explorable(load(b)))


def test_another_seed_or_length_is_no_other_game() -> None:
    for name in ("cost_aware_poq", "otr_watchers"):
        one = explorable(load(name, FEW))
        with pytest.raises(InputError, match="play the same game"):
            side_by_side(one, one.replace({"seed": one.seed + 1, "rounds": 100}))


def test_two_economies_end_as_runs_of_them_do() -> None:
    short = ["rounds=600", "economy.epochs=30", "replications=3"]
    a = explorable(load("entry_exit", short))
    exploration = Exploration(a, a.replace({"economy.payment.pool": 2000.0}))
    assert {"A.pool", "B.pool", "bond"} <= set(exploration.panel.controls)
    compared = cells(exploration.page.compared(*exploration.shown(exploration.start)))
    assert any(row[1] == "nodes present" and row[4].startswith("+") for row in compared)
    for side in (0, 1):
        epochs = poq_abm.run(exploration.scenario(exploration.start, side)).epochs
        groups = epochs[epochs["role"] != "network"]
        nodes = groups.sort_values(["replication", "epoch"], kind="stable")["nodes"].to_numpy()
        found = exploration.play(exploration.start, side).of_groups("nodes")
        np.testing.assert_array_equal(found.reshape(-1), nodes.astype(np.float64))


def test_two_protocols_stand_side_by_side_though_their_names_differ() -> None:
    base = explorable(load("otr_watchers", FEW))
    other = base.replace({"verification.protocol": "none"})
    compared = Exploration(base, other)
    rows = cells(compared.page.compared(*compared.shown(compared.start)))
    assert [row[0] for row in rows] == ["the protocol"] * 4
    stands = next(row for row in rows if row[1] == "dishonest answers that stand")
    assert stands[4].startswith("+")


def test_the_verb_refuses_a_third_treatment_and_two_kinds(poq: Poq) -> None:
    three = ("--treatment", "committee_size=1") * 3
    assert "two stand side by side" in poq("explore", "committee_size", *three).err
    outcome = poq("explore", "cost_aware_poq", "entry_exit")
    assert outcome.code == 2
    assert "explore each by itself" in outcome.err


def drawn(chart: str) -> dict[str, tuple[str | None, str | None]]:
    """Return colour and dash of every curve of a chart, by its label."""
    root = ElementTree.fromstring(chart)
    return {
        str(path[0].text): (path.get("stroke"), path.get("stroke-dasharray"))
        for path in root.iter("path")
        if path.get("class") == "curve"
    }


def inks(exploration: Exploration, chart: str) -> list[dict[str, tuple[str | None, str | None]]]:
    shown = exploration.shown(exploration.start)
    return [drawn(exploration.page.charts(one)[chart]) for one in shown]


def other_population(role: str, name: str) -> list[dict[str, object]]:
    """Return the groups of a role in the published scenario, the first as another at the end."""
    groups = load("cost_aware_poq").model_dump(mode="json", exclude_unset=True)["population"][role]
    return [*groups[1:], {**groups[0], "name": name}]


@pytest.mark.parametrize(("role", "chart"), [("inference", "inference"), ("evaluators", "trust")])
def test_a_class_has_one_colour_and_dash_on_both_sides(role: str, chart: str) -> None:
    a = load("cost_aware_poq", FEW)
    b = a.replace({"name": "b", f"population.{role}": other_population(role, "newcomer")})
    one, other = inks(Exploration(a, b), chart)
    both = one.keys() & other.keys()
    assert both and "newcomer" in other and "newcomer" not in one
    assert all(one[label] == other[label] for label in both)
    every = {**one, **other}
    assert len(set(every.values())) == len(every)


def test_a_group_of_an_economy_has_one_colour_on_both_sides() -> None:
    a = load("entry_exit", ["sweep={}", "rounds=400", "replications=2"])
    groups = a.model_dump(mode="json", exclude_unset=True)["population"]["inference"]
    b = a.replace({"name": "b", "population.inference": [{**groups[0], "name": "new"}, *groups]})
    one, other = inks(Exploration(a, b), "nodes")
    assert other.keys() - one.keys() == {"new"}
    assert all(other[label] == ink for label, ink in one.items())
    assert len(set(other.values())) == len(other)


def test_a_class_whose_behaviour_a_slider_strengthens_keeps_its_colour() -> None:
    malicious = {"share": 0.34, "behaviour": {"name": "boost", "b": 3.0}}
    exploration = Exploration(load("cost_aware_poq", FEW).replace({"malicious": malicious}))
    moved = exploration.start.moved("strength", 1.0)
    (before,), (after,) = (
        [drawn(exploration.page.charts(one)["evaluator"]) for one in exploration.shown(state)]
        for state in (exploration.start, moved)
    )
    attacker = next(label for label in before if "boost" in label)
    assert after[attacker.replace("b=3", "b=1")] == before[attacker]
    assert len(set(after.values())) == len(after) == 3


def test_what_does_nothing_is_said_and_of_which_side() -> None:
    a = load("cost_aware_poq", FEW)
    lazy = {"name": "b", "malicious": {"share": 0.5, "behaviour": "lazy"}}
    pair = Exploration(a, a.replace(lazy))
    state = pair.start.moved("A.share", 0.1)
    assert pair.idle(pair.start) == []
    assert pair.idle(state) == [
        "A · malicious.share does nothing: 0.1 of 3 evaluators is 0 nodes; the smallest share "
        "that acts is 0.3333"
    ]
    (said,) = pair.idle(pair.start.moved("lambda", 0.5))
    assert said.startswith("mechanism.trust.rate does nothing")
