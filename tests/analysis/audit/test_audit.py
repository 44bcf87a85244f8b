"""What an audit tries, how sure it is, and what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.deviations import (
    ALL,
    Deviation,
    deviating,
    deviations,
    members_of,
    name_switches,
)
from poq_abm.analysis.audit.gains import (
    VERDICTS,
    cheapest,
    gain_table,
    replications_to_decide,
    sentences,
)
from poq_abm.analysis.audit.variants import PlayedVariant, VariantRunner
from poq_abm.errors import InputError
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.population import build_population

pytestmark = pytest.mark.usefixtures("shipped_rules")

SEVERAL = ["population.evaluators.0.count=4", "population.evaluators.2.count=3", "rounds=200"]


@pytest.fixture
def crowd() -> Scenario:
    """Eight evaluators in three groups."""
    return load("cost_aware_poq", [*SEVERAL, "replications=3"])


def test_every_declared_behaviour_of_every_group_is_tried(crowd: Scenario) -> None:
    found, skipped = deviations(crowd, share=0.5)
    alone = {d.behaviour["name"] for d in found if d.group == "ce_minilm"}
    assert alone == {
        "noise", "boost", "sabotage", "intermittent", "constant", "copycat", "targeted",
    }  # fmt: skip
    rings = {(d.group, len(d.members)) for d in found if d.behaviour["name"] == "collude"}
    assert rings == {(ALL, 4), ("sts_stsb", 2)}
    models = {d.behaviour["model"] for d in found if d.behaviour["name"] == "downgrade"}
    assert len(models) == 5
    assert any("whitewash: watches trust" in reason for reason in skipped)


def test_where_trust_is_updated_who_watches_it_is_tried() -> None:
    scenario = load("cost_aware_poq", ["mechanism.trust.update=relative"])
    names = {d.behaviour["name"] for d in deviations(scenario)[0]}
    assert {"sleeper", "whitewash"} <= names


def test_a_larger_coalition_contains_a_smaller_one(crowd: Scenario) -> None:
    sizes = [members_of(crowd, "evaluator", ALL, share) for share in (0.25, 0.5, 1.0)]
    assert [len(members) for members in sizes] == [2, 4, 8]
    assert set(sizes[0]) < set(sizes[1]) < set(sizes[2])


def test_malicious_nodes_of_the_background_are_not_chosen(crowd: Scenario) -> None:
    contested = crowd.replace({"malicious": {"share": 0.5, "behaviour": {"name": "boost"}}})
    runner = VariantRunner.of(contested)
    population = build_population(contested, runner.plan.profile(0))
    bad = set(np.flatnonzero(population.behaviour == len(population.groups)) - 5)
    assert len(bad) == 4
    assert set(members_of(contested, "evaluator", ALL, 1.0)) == set(range(8)) - bad


def test_a_deviation_leaves_all_other_nodes_and_draws_alone(crowd: Scenario) -> None:
    runner = VariantRunner.of(crowd)
    members = (1, 5)
    changed = deviating(crowd, Deviation("evaluator", ALL, members, {"name": "boost"}))
    before = build_population(crowd, runner.plan.profile(0))
    after = build_population(changed, runner.plan.profile(0))
    assert (before.cost == after.cost).all()
    doing = [str(after.behaviours[b][1]["name"]) for b in after.behaviour[5:]]
    assert [place for place, name in enumerate(doing) if name == "boost"] == list(members)
    played = runner.play({"base": crowd, "changed": changed}, 0, 3)
    assert (played["base"].jobs == played["changed"].jobs).all()
    assert not (played["base"].rewards == played["changed"].rewards).all()


def test_doing_the_same_gains_exactly_nothing(crowd: Scenario) -> None:
    same = [{"name": "boost", "b": 0.0}]
    found = audit(crowd, behaviours=same, roles=["evaluator"])
    assert (found.gains[["gain", "low", "high", "drift"]] == 0.0).all(axis=None)
    assert set(found.gains["verdict"]) == {"never acted"}
    assert (found.gains["acted"] == 0.0).all()
    assert found.sentences[0] == (
        "evaluator sts_stsb: no deviation ever acted: nothing was tested."
    )


def test_what_acts_now_and_then_is_counted(crowd: Scenario) -> None:
    """Intermittent boosts by chance p; a round it sits in is the same but for that."""
    specs = [
        {"name": "intermittent", "p": p, "inner": {"name": "boost", "b": 3.0}}
        for p in (0.0, 0.25, 1.0)
    ]
    found = audit(crowd.replace({"rounds": 2000}), behaviours=specs, roles=["evaluator"])
    rates = found.gains.groupby("behaviour", sort=False)["acted"].mean().tolist()
    assert rates[0] == 0.0
    assert rates[1] == pytest.approx(0.25, abs=0.05)
    assert 0.9 < rates[2] <= 1.0  # a score at the end of the scale cannot be raised
    asleep = found.gains["verdict"] == "never acted"
    assert (asleep == found.gains["behaviour"].str.contains("p=0.0")).all()


def test_inference_nodes_act_on_answers_and_on_costs(crowd: Scenario) -> None:
    specs = [{"name": "freeload"}, {"name": "misreport_cost", "factor": 0.5}]
    found = audit(crowd, behaviours=specs, roles=["inference"]).gains
    assert (found[found["behaviour"] == "freeload"]["acted"] > 0.9).all()
    lies = found[found["behaviour"] != "freeload"].set_index("group")
    assert (lies["acted"].drop("llama_3_2_3b") == 1.0).all()
    # The quickest has cost 0, and half of it is no lie.
    assert lies.loc["llama_3_2_3b", "verdict"] == "never acted"


def test_a_sleeper_that_never_wakes_was_not_tested() -> None:
    settings = ["mechanism.trust.update=relative", "rounds=200", "replications=3"]
    sleeper = {"name": "sleeper", "inner": {"name": "boost"}, "jobs": 10_000}
    found = audit(load("cost_aware_poq", settings), behaviours=[sleeper], roles=["evaluator"])
    assert set(found.gains["verdict"]) == {"never acted"}
    assert "nothing was tested" in found.sentences[0]


def test_workers_change_nothing(crowd: Scenario) -> None:
    specs = [{"name": "boost"}, {"name": "freeload"}]
    one = audit(crowd, behaviours=specs).gains
    pd.testing.assert_frame_equal(
        one, audit(VariantRunner.of(crowd, n_jobs=2), behaviours=specs).gains
    )


def test_more_replications_are_played_until_intervals_are_narrow_enough() -> None:
    scenario = load("cost_aware_poq", ["rounds=300", "replications=5"])
    specs = [{"name": "noise"}, {"name": "boost"}]
    rough = audit(scenario, behaviours=specs, roles=["evaluator"])
    half = rough.widest / 2.5
    fine = audit(scenario, behaviours=specs, roles=["evaluator"], half_width=half)
    assert fine.widest <= half
    assert fine.gains["replications"].max() > 5
    # Those that were narrow enough at first were left as they were.
    first = rough.gains["high"] - rough.gains["low"] <= 2 * half
    assert (fine.gains["replications"][first] == 5).all()


def test_a_width_out_of_reach_is_admitted() -> None:
    scenario = load("cost_aware_poq", ["rounds=2", "replications=3"])
    found = audit(scenario, behaviours=[{"name": "noise"}], roles=["evaluator"], half_width=1e-6)
    assert found.gains["replications"].max() == 1000
    assert any(line.startswith("Not every interval reached +-1e-06") for line in found.sentences)


def test_one_replication_has_no_interval_and_no_verdict(crowd: Scenario) -> None:
    found = audit(crowd, behaviours=[{"name": "boost"}], roles=["evaluator"], replications=1)
    assert set(found.gains["verdict"]) == {"one replication"}
    assert found.gains[["low", "high", "family_low", "p_value"]].isna().all(axis=None)
    assert "no interval" in " ".join(found.sentences)


def test_departures_from_a_dishonest_background_include_honesty() -> None:
    scenario = load("cost_aware_poq", ["rounds=100", "replications=3"]).replace(
        {"population.evaluators.1.behaviour": {"name": "boost", "b": 3.0}}
    )
    found = audit(scenario, behaviours=[{"name": "sabotage"}], roles=["evaluator"])
    rows = found.gains[found.gains["group"] == "ce_minilm"].set_index("behaviour")
    assert set(rows.index) == {"sabotage", "honest"}
    assert (rows["instead_of"] == "boost(b=3.0)").all()
    assert rows.loc["honest", "gain"] > 0


def fake(
    trial: np.random.Generator, gains: np.ndarray, count: int
) -> tuple[PlayedVariant, list[PlayedVariant]]:
    """Return a background and deviations whose true gains are known, with shared luck."""
    luck = trial.normal(size=(count, gains.size + 1))
    jobs = np.full((count, gains.size + 1), 10.0)
    consensus = trial.normal(size=count)

    def played(moved: np.ndarray) -> PlayedVariant:
        return PlayedVariant(jobs * (luck + moved), jobs, consensus, consensus, 10)

    deviating_ = []
    for node, gain in enumerate(gains):
        moved = np.zeros((count, gains.size + 1))
        moved[:, node + 1] = gain + 0.3 * trial.normal(size=count)
        deviating_.append(played(moved))
    return played(np.zeros((count, gains.size + 1))), deviating_


def test_intervals_cover_alone_and_together_at_their_nominal_rates() -> None:
    """1,000 synthetic audits of eight deviations, six of which gain nothing.

    Coverage over 1,000 trials has an s.d. of 0.7 points (0.25 over the 8,000 single intervals,
    which are independent); the bands are four of them. Holm's verdicts are wrong at most as often.
    """
    generator = np.random.default_rng(3)
    gains = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4, -0.4])
    people = build_population(
        load("cost_aware_poq", ["population.evaluators.0.count=6"]),
        VariantRunner.of(load("cost_aware_poq")).plan.profile(0),
    )
    # Node 0 is nobody's; the deviators are nodes 1 to 8, whatever their role.
    tried = [Deviation("inference", "x", (node + 1,), {"name": "honest"}) for node in range(8)]
    alone, together, wrong = [], [], []
    for _ in range(1000):
        base, played = fake(generator, gains, 8)
        table = gain_table(tried, base, played, people)
        covered = (table["low"] <= gains) & (gains <= table["high"])
        family = (table["family_low"] <= gains) & (gains <= table["family_high"])
        alone.append(covered.mean())
        together.append(family.all())
        wrong.append(table["verdict"][:6].isin(["gains", "loses"]).any())
    assert np.mean(alone) == pytest.approx(0.95, abs=0.01)
    assert np.mean(together) == pytest.approx(0.95, abs=0.028)
    assert np.mean(wrong) < 0.05 + 0.028


def row(**changed: object) -> dict[str, object]:
    base = {
        "role": "evaluator", "group": "all", "behaviour": "boost", "members": 3,
        "instead_of": "honest", "replications": 20, "gain": 0.012, "low": 0.010, "high": 0.014,
        "family_low": 0.008, "family_high": 0.016, "gain_per_round": 0.0051, "verdict": "gains",
        "epsilon": 0.01, "needed": float("nan"),
    }  # fmt: skip
    return base | changed


def test_a_ring_that_gains_is_said_to_with_its_interval() -> None:
    said = sentences(pd.DataFrame([row()]))
    assert said[0] == (
        "evaluator all: boost by a ring of 3 of all gains 0.0120 per job of a member "
        "[0.0100, 0.0140], 0.0051 per round together."
    )


def test_honesty_is_a_best_response_within_the_largest_simultaneous_end() -> None:
    rows = [
        row(verdict="loses", gain=-0.1, low=-0.2, high=-0.05, family_high=-0.01),
        row(verdict="bounded", gain=0.001, low=-0.001, high=0.0026, family_high=0.00412),
    ]
    said = sentences(pd.DataFrame(rows))
    assert said[0] == (
        "evaluator all: honesty is a best response within epsilon = 0.01 per job: no deviation "
        "that acted gains more than 0.0042."
    )


def test_absence_of_evidence_is_not_honesty() -> None:
    """Two replications of a true gain of .0165 were once "within +-.15"."""
    open_ = row(verdict="undecided", gain=0.0165, low=-0.02, high=0.05, family_low=-0.117,
                family_high=0.15, replications=2, epsilon=0.008)  # fmt: skip
    open_["needed"] = replications_to_decide(open_, 0.99)
    said = sentences(pd.DataFrame([open_]))[0]
    assert said.startswith("evaluator all: undecided: boost may gain up to 0.15 per job, not below")
    assert said.endswith("replications would decide.")
    assert open_["needed"] > 2
    assert "best response" not in said


def test_the_replications_named_would_decide() -> None:
    """With that number the same spread clears the margin, with one fewer it does not."""
    for gain, epsilon, first in ((0.0, 0.1, 5), (0.05, 0.2, 20), (-0.3, 0.1, 3), (0.5, 0.1, 8)):
        spread, level = 1.0, 0.98
        half = stdtrit(first - 1, 0.99) * spread / np.sqrt(first)
        said = replications_to_decide(
            {"gain": gain, "family_low": gain - half, "family_high": gain + half,
             "epsilon": epsilon, "replications": first}, level)  # fmt: skip
        margin = max(abs(gain), epsilon - gain)
        widths = [stdtrit(n - 1, 0.99) * spread / np.sqrt(n) for n in (said, said - 1)]
        assert widths[0] <= margin < widths[1]


def test_a_verdict_of_honesty_needs_an_upper_end_below_epsilon(crowd: Scenario) -> None:
    """The same table, judged by two epsilons; more than nothing stays more than nothing."""
    specs = [{"name": "noise", "sigma": 0.2}]
    wide = audit(crowd, behaviours=specs, roles=["evaluator"], epsilon=1.0)
    narrow = audit(crowd, behaviours=specs, roles=["evaluator"], epsilon=1e-9)
    for found in (wide, narrow):
        table = found.gains
        bounded = table["verdict"] == "bounded"
        assert (table["family_high"][bounded] < table["epsilon"][bounded]).all()
        assert (table["needed"].notna() == (table["verdict"] == "undecided")).all()
    assert set(wide.gains["verdict"]) <= {"bounded", "loses", "gains"}
    assert "bounded" not in set(narrow.gains["verdict"])
    assert any("epsilon = 1 per job" in line for line in wide.sentences)
    ordinary = audit(crowd, behaviours=specs, roles=["evaluator"])
    assert ordinary.gains["epsilon"].to_numpy() == pytest.approx(0.01 * ordinary.gains["honest"])
    assert any("epsilon = 1% of what the same nodes get" in line for line in ordinary.sentences)


def test_running_a_better_model_is_called_an_upgrade() -> None:
    """By published truth and latency: llama > gemma > tinylama > qwen2, phi3; and quicker so."""
    scenario = load("cost_aware_poq")
    profile = VariantRunner.of(scenario).plan.profile(0)
    tried = [d for d in deviations(scenario, roles=["inference"])[0] if len(d.members) == 1]
    named = {
        (d.group, d.behaviour["model"]): d.doing
        for d in name_switches(tried, scenario, profile)
        if d.behaviour["name"] == "downgrade"
    }
    assert named["phi3_mini_4k", "llama_3_2_3b"] == "upgrade(model=llama_3_2_3b; better, cheaper)"
    assert named["llama_3_2_3b", "phi3_mini_4k"] == "switch(model=phi3_mini_4k; no better, dearer)"
    # Both have a truth of 1.65: what differs is luck of the records.
    assert named["phi3_mini_4k", "qwen2_1_5b"] == "downgrade(model=qwen2_1_5b)"
    assert named["qwen2_1_5b", "phi3_mini_4k"] == "switch(model=phi3_mini_4k; no better, dearer)"
    truth = dict(zip(profile.models, profile.truth.mean(axis=0).round(1), strict=True))
    for (group, model), doing in named.items():
        quicker = profile.latency_ms(model, "rtx_4090") < profile.latency_ms(group, "rtx_4090")
        if doing.startswith("downgrade"):
            assert truth[model] <= truth[group]
            assert quicker
        else:
            assert doing.startswith("upgrade") == (truth[model] > truth[group])


def test_a_cheaper_and_worse_model_is_a_downgrade() -> None:
    made = {"models": 2, "evaluators": 3, "latency_ms": [2000.0, 500.0], "truth_sd": 0.0}
    scenario = load("cost_aware_poq").replace(
        {
            "profile": "synthetic",
            "synthetic": made,
            "population": {
                "inference": [{"model": "model_1"}, {"model": "model_2"}],
                "evaluators": [{"model": f"evaluator_{e}"} for e in (1, 2, 3)],
            },
        }
    )
    profile = VariantRunner.of(scenario).plan.profile(0)
    tried = [
        Deviation("inference", f"model_{a}", (a - 1,), {"name": "downgrade", "model": f"model_{b}"})
        for a, b in ((1, 2), (2, 1))
    ]
    slow, quick = (d.doing for d in name_switches(tried, scenario, profile))
    assert slow == "downgrade(model=model_2)"
    assert quick == "switch(model=model_1; no better, dearer)"


@pytest.mark.parametrize(
    "settings",
    [
        ["mechanism.committee_size=1"],
        ["population.evaluators.1.model=sts_stsb", "population.evaluators.2.model=sts_stsb"],
    ],
)
def test_evaluators_that_cannot_disagree_are_said_to(settings: list[str]) -> None:
    scenario = load("cost_aware_poq", [*settings, "rounds=100", "replications=3"])
    found = audit(scenario, behaviours=[{"name": "boost"}], roles=["evaluator"])
    (said,) = [line for line in found.sentences if line.startswith("Without a deviation, ")]
    assert "a closeness of 1 by construction" in said


def test_the_cheapest_needs_the_fewest_then_gains_most() -> None:
    rows = [row(members=3, gain=0.9), row(members=1, gain=0.1), row(members=1, gain=0.2),
            row(members=1, gain=0.8, verdict="undecided")]  # fmt: skip
    found = cheapest(pd.DataFrame(rows))
    assert found is not None
    assert (found["members"], found["gain"]) == (1, 0.2)
    assert cheapest(pd.DataFrame(rows), "inference") is None


def test_every_verdict_is_one_of_those_declared(crowd: Scenario) -> None:
    assert set(audit(crowd).gains["verdict"]) <= set(VERDICTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"behaviours": [{"name": "bost"}]}, "did you mean 'boost'"),
        ({"share": 0.0}, "share must lie"),
        ({"half_width": 0.0}, "must be above 0"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
        ({"confidence": 1.0}, "must lie between 0 and 1"),
        ({"behaviours": [{"name": "collude"}], "share": 0.01}, "nobody can deviate"),
        ({"behaviours": [{"name": "boost", "b": 99.0}]}, r"must lie in \[0, 10\]"),
    ],
)
def test_bad_input_is_refused(crowd: Scenario, arguments, message: str) -> None:
    with pytest.raises(InputError, match=message):
        audit(crowd, **arguments)


def test_a_sweep_is_refused() -> None:
    with pytest.raises(InputError, match="3 treatments; an audit takes one"):
        audit(load("committee_size"))


def test_the_profitable_are_listed_cheapest_first(crowd: Scenario) -> None:
    found = audit(crowd, replications=10)
    first = found.profitable[0]
    row = cheapest(found.gains)
    assert row is not None
    assert (first.role, first.group, len(first.members)) == (
        row["role"], row["group"], row["members"],
    )  # fmt: skip
    assert len(found.profitable) == (found.gains["verdict"] == "gains").sum()


@pytest.mark.parametrize("count", [0, -1])
def test_no_replications_are_refused(crowd: Scenario, count: int) -> None:
    with pytest.raises(InputError, match="at least one replication"):
        audit(crowd, behaviours=[{"name": "boost"}], replications=count)


def test_a_precision_target_starts_with_its_least_replications(crowd: Scenario) -> None:
    asked = {"until": {"metric": "bias", "half_width": 0.1}, "at_least": 4, "at_most": 9}
    found = audit(crowd.replace({"replications": asked}), behaviours=[{"name": "boost"}])
    assert (found.gains["replications"] == 4).all()
