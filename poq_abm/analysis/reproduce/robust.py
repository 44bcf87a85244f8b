"""Claims and computed consequences of arXiv 2601.21189 beside what the simulation gives.

Only the paper's abstract and three formulas are known to us. What is checked is therefore of two
kinds: *claims* of the abstract, as signs of paired differences, and *consequences* that follow from
the formulas by hand, as numbers. Sizes of attacks and constants of the trust rule are our defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.reproduce import five_evaluators
from poq_abm.analysis.reproduce.checks import Check, PublishedStudy
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.results import Results
from poq_abm.experiment.round_tables import majority_probability
from poq_abm.experiment.running import run
from poq_abm.scenario import Scenario, load

__all__ = ["STUDY", "robust_checks"]

NOTE = """\
Of arXiv 2601.21189 only the abstract and three formulas are known to us. Claims are checked as
signs of paired differences on synthetic evaluators; consequences follow by hand from the formulas.
Noise, sabotage, trimming and weighting are our reconstruction, and all constants are our defaults.
Task inversion is built into its profile: that check shows what it does, not that it occurs. Where
the claim of better alignment does not hold (symmetric noise of our size), the row says
`contradicted`. `reproduced` here means: by synthetic evaluators, not by the paper's."""

TEN = 10
RECORDS = 20_000

#: computed by hand from the formulas: mean closeness by committee size, score s.d. 2
INCLUSIVE = {1: 1.000, 2: 0.887, 3: 0.870, 5: 0.858, 7: 0.852, 10: 0.848}
LEAVE_ONE_OUT = {2: 0.774, 3: 0.805, 5: 0.822, 7: 0.828, 10: 0.832}
#: bias of consensus under boosting b = 3, K = 10, score s.d. 1.5, by malicious share
BOOST_BIAS = {
    "mean": {0.1: 0.29, 0.2: 0.59, 0.3: 0.88, 0.4: 1.18},
    "median": {0.1: 0.19, 0.2: 0.42, 0.3: 0.71, 0.4: 1.07},
    "trimmed_mean": {0.1: 0.21, 0.2: 0.47, 0.3: 0.78, 0.4: 1.14},
}
MAJORITY_SIZES = (1, 3, 5, 7, 9)
SATURATED_AFTER = 60  # rounds, with all ten evaluators on every committee


def robust_checks(replications: int = 20, n_jobs: int = 1, seed: int = 1) -> list[Check]:
    """Return a check for every claim and every computed consequence we know of.

    ``seed`` is the key of every draw: the rounds' and those of the synthetic profiles.
    """
    studies = (
        _closeness_checks,
        _bias_checks,
        _attack_checks,
        _saturation_checks,
        _inversion_checks,
    )
    return [check for study in studies for check in study(replications, n_jobs, seed)]


def _population(evaluators: int) -> dict[str, Any]:
    return {
        "inference": [{"model": "model_1"}],
        "evaluators": [{"model": f"evaluator_{e + 1}"} for e in range(evaluators)],
    }


def _study(settings: dict[str, Any], n_jobs: int, seed: int) -> Results:
    scenario = load("cost_aware_poq").replace({"profile": "synthetic", **settings})
    return run(_keyed(scenario, seed), n_jobs=n_jobs)


def _keyed(scenario: Scenario, seed: int) -> Scenario:
    """Return the scenario with all that it draws keyed by ``seed``, its synthetic profile too."""
    synthetic = {**(scenario.synthetic or {}), "seed": seed}
    return scenario.replace({"seed": seed, "synthetic": synthetic})


def _column(results: Results, treatment: str, column: str) -> NDArray[np.float64]:
    table = results.replications
    values: NDArray[np.float64] = table.loc[table["treatment"] == treatment, column].to_numpy()
    return values


def _number(
    item: str, quantity: str, expected: float, values: Sequence[float] | Any, margin: float
) -> Check:
    """Hold a mean over replications to a number, which itself leaves ``margin`` open."""
    mean, sd, low, high = mean_interval(values)
    tolerance = margin + 4.0 * sd / np.sqrt(len(values))
    reason = "four standard errors" + (f" and {margin:g}" if margin else "")
    return Check("consequence", item, quantity, expected, mean, low, high, tolerance, reason)


def _sign(item: str, quantity: str, values: Any, sign: int) -> Check:
    """Hold the sign of a paired difference: its interval must lie on one side of zero."""
    mean, _, low, high = mean_interval(values)
    reason = "interval lies " + ("above" if sign > 0 else "below") + " zero"
    return Check("claim", item, quantity, 0.0, mean, low, high, 0.0, reason, sign)


def _closeness_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    results = _study(
        {
            "replications": replications,
            "synthetic": {"records": RECORDS, "truth_sd": 0.0, "noise_sd": 2.0},
            "population": _population(TEN),
            "sweep": {
                "mechanism.reference": ["inclusive", "leave_one_out"],
                "mechanism.committee_size": list(INCLUSIVE),
            },
        },
        n_jobs,
        seed,
    )
    # Printed to three decimals, for unclipped scores; the scale cuts off 1.2% of these.
    margin = 0.003
    checks = [
        _number(
            f"{reference}, K = {size}",
            "mean closeness",
            expected,
            _column(results, f"reference={reference},committee_size={size}", "closeness_mean"),
            margin,
        )
        for reference, table in (("inclusive", INCLUSIVE), ("leave_one_out", LEAVE_ONE_OUT))
        for size, expected in table.items()
    ]
    return checks + _committee_claims(results)


def _committee_claims(results: Results) -> list[Check]:
    """Larger committees lower evaluator pay and raise its variance; inference pay stays."""
    small, large = (f"reference=inclusive,committee_size={size}" for size in (3, 10))
    spread = results.nodes.query("role == 'evaluator'").pivot_table(
        index="replication", columns="treatment", values="reward_sd", observed=True
    )
    checks = [
        _sign(
            "K = 10 against 3",
            "evaluator reward, difference",
            _column(results, large, "evaluator_reward_mean")
            - _column(results, small, "evaluator_reward_mean"),
            -1,
        ),
        _sign(
            "K = 3 against 1",
            "s.d. of evaluator reward, difference",
            spread[small] - spread["reference=inclusive,committee_size=1"],
            1,
        ),
    ]
    moved = _column(results, large, "inference_reward_mean") - _column(
        results, small, "inference_reward_mean"
    )
    same = _number("K = 10 against 3", "inference reward, difference", 0.0, moved, 0.0)
    return [*checks, replace(same, figure="claim")]


def _bias_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    shares = [0.0, *BOOST_BIAS["mean"]]
    results = _study(
        {
            "replications": replications,
            # Truth at mid-scale: the consequence was computed where boosting is cut off at 10.
            "synthetic": {"records": RECORDS, "truth_sd": 0.0, "noise_sd": 1.5},
            "mechanism.committee_size": TEN,
            "population": _population(TEN),
            "malicious": {"share": 0.1, "behaviour": {"name": "boost", "b": 3.0}},
            "sweep": {"mechanism.aggregation": list(BOOST_BIAS), "malicious.share": shares},
        },
        n_jobs,
        seed,
    )
    return [
        _number(
            f"{rule}, share {share:g}",
            "bias under boost",
            expected,
            _column(results, f"aggregation={rule},share={share:g}", "bias")
            - _column(results, f"aggregation={rule},share=0", "bias"),
            0.01,  # printed to two decimals, and simulated itself
        )
        for rule, table in BOOST_BIAS.items()
        for share, expected in table.items()
    ]


def _attack_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    """Alignment under the four attacks, and malicious majorities."""
    robust = ("median", "trimmed_mean", "trust_weighted_median")
    attacks = ("noise", "boost", "sabotage", "intermittent")
    base = load("adversary_sweep").resolved()
    settings = {
        "replications": replications,
        "synthetic": base["synthetic"],
        "population": base["population"],
        "mechanism.trust": base["mechanism"]["trust"],
        "malicious": {"share": 0.3, "behaviour": {"name": "boost"}},
    }
    results = _study(
        {
            **settings,
            "mechanism.committee_size": 9,
            "sweep": {
                "mechanism.aggregation": ["mean", *robust, "trust_weighted"],
                "malicious.behaviour": list(attacks),
            },
        },
        n_jobs,
        seed,
    )

    def shift(rule: str, attack: str) -> NDArray[np.float64]:
        return np.abs(_column(results, f"aggregation={rule},behaviour={attack}", "bias"))

    checks = [
        _sign(
            f"{rule}, {attack}, share 0.3",
            "|bias| less that of the mean",
            shift(rule, attack) - shift("mean", attack),
            -1,
        )
        for rule in robust
        for attack in ("boost", "sabotage")
    ]
    # All weights saturate at this shift, so the published rule is the mean, and helps no more.
    saturated = shift("trust_weighted", "boost") - shift("mean", "boost")
    checks.append(
        _number(
            "trust_weighted (Eq. 21), boost", "|bias| less that of the mean", 0.0, saturated, 0.02
        )
    )
    return checks + _unconfirmed(results) + _majority_checks(settings, n_jobs, seed)


def _unconfirmed(results: Results) -> list[Check]:
    """Return where the claim of better alignment is contradicted: noise that pulls no way."""
    error = {
        rule: _column(results, f"aggregation={rule},behaviour=noise", "mean_absolute_error")
        for rule in ("mean", "median")
    }
    item = "median, noise, share 0.3"
    check = _sign(
        item, "mean absolute error less that of the mean", error["median"] - error["mean"], -1
    )
    return [replace(check, contradicts=True)]


def _majority_checks(settings: dict[str, Any], n_jobs: int, seed: int) -> list[Check]:
    results = _study(
        {**settings, "sweep": {"mechanism.committee_size": list(MAJORITY_SIZES)}}, n_jobs, seed
    )
    return [
        _number(
            f"20 evaluators, 6 malicious, K = {size}",
            "malicious majority",
            majority_probability(20, 6, size),
            _column(results, f"committee_size={size}", "malicious_majority"),
            0.0,
        )
        for size in MAJORITY_SIZES
    ]


def _saturation_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    """Check that a shift of 3 saturates the published update and a shift of 8 is punished."""
    scenario = load("trust_saturation").replace({"replications": replications})
    updates = {"mechanism.trust.update": ["multiplicative"]}
    scenario = scenario.replace({"sweep": {"malicious.behaviour.b": [3.0, 8.0], **updates}})
    results = run(_keyed(scenario, seed), n_jobs=n_jobs)
    rounds = _column(results, "b=3,update=multiplicative", "saturated_round") + 1  # from 0
    mean, _, low, high = mean_interval(rounds)
    saturated = Check(
        "consequence",
        "Eq. 21, b = 3, 10 evaluators",
        "rounds until all weigh w_max",
        SATURATED_AFTER,
        mean,
        low,
        high,
        3.0,
        "about 60; the honest scores' spread moves it",
    )
    return [saturated, *_punished(results)]


def _punished(results: Results) -> list[Check]:
    nodes, trust = results.nodes, results.trust
    behaviours = nodes.drop_duplicates("node").set_index("node")["behaviour"].astype(str)
    last = trust[
        (trust["round"] == trust["round"].max())
        & (trust["treatment"].astype(str) == "b=8,update=multiplicative")
    ]
    liars = behaviours.loc[last["node"]].to_numpy() == "boost"
    final: pd.Series[float] = last["trust"][liars].groupby(last["replication"][liars]).mean()
    return [_number("Eq. 21, b = 8", "final weight of malicious", 0.1, final.to_numpy(), 0.0)]


def _inversion_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    """Check what a slope of changing sign does; it is assumed in the profile, not found."""
    scenario = load("task_inversion").replace({"replications": replications})
    results = run(_keyed(scenario, seed), n_jobs=n_jobs)
    gain = _column(results, "per_task=true", "mean_absolute_error") - _column(
        results, "per_task=false", "mean_absolute_error"
    )
    check = _sign("task_inversion", "error with a weight per task, difference", gain, -1)
    return [replace(check, basis="input", reason=f"the inversion is put in; {check.reason}")]


def _checks(replications: int, seed: int, jobs: int) -> list[Check]:
    own = robust_checks(replications, jobs, seed)
    return [*own, *five_evaluators.five_evaluator_checks(replications, jobs, seed)]


STUDY = PublishedStudy(
    "robust",
    _checks,
    lambda: f"{NOTE}\n{five_evaluators.NOTE}",
    usual=20,
    least=10,
)
