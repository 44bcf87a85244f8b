"""What is said of Optimistic TEE-Rollups beside what the simulation gives, with the arithmetic.

Of arXiv 2512.20176 the abstract is known to us, and what its authors' blog says. A *claim* is a
figure of theirs; beside it stands what the simulation gives under the parameters that are named,
and what the shipped comparison of protocols (``verification_trilemma``) gives at the product's own
defaults. Most claims hold because an input was chosen so, or is the claim itself, and each row says
which (:mod:`.checks`); where two claims ask for different inputs, the one is
contradicted under the input of the other. *Consequences* follow from our reconstruction of the
economics: they hold the simulation to its formulas and are no figures of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.deterrence import (
    capital_cost,
    detection_after,
    detection_if_broken,
    verifier_cost,
)
from poq_abm.analysis.reproduce.checks import Check, PublishedStudy
from poq_abm.analysis.trilemma import changed
from poq_abm.experiment.estimates import mean_interval
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.protocol.terms import Found
from poq_abm.rules.protocol.watching import inspection_equilibrium, learn_by_playing
from poq_abm.rules.protocol.zkml import proving_time
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.market import open_market
from poq_abm.simulation.queries.query_replication import open_query_trace, play_queries

__all__ = ["SIGMAS", "STUDY", "otr_checks"]

NOTE = """\
Of arXiv 2512.20176 the abstract is known to us, and what its authors' blog says; its theorems and
its simulation are not. Most claims hold because an input was solved for so that they do, or is the
claim itself; where two ask for different inputs, one is contradicted under that of the other, with
the arithmetic. Consequences hold the simulation to our own formulas and are no figures of the
paper. Our defaults are those of `poq run verification_trilemma`, where nothing is chosen to agree.
Proof cost and proof time are inferred; watchers, stakes and the window are assumed. Every tolerance
that covers chance is 4.5 standard errors: a correct simulation misses any of them under any of 8
seeds with a chance of about 0.1%."""

#: Half-width of every tolerance that covers chance, in standard errors. A correct simulation misses
#: one such figure with chance 7e-6, so any of some 20 figures under any of 8 seeds with 0.1%.
SIGMAS: Final = 4.5
QUERIES: Final = 20_000
NODES: Final = 200
NAMED, CHEAPER = "model_1", "model_2"

#: what is published, by the key of the claim
PROVISIONAL_S, WEIGHTED_S, COST_USD, PROOF_RATE = 0.5, 0.8, 0.07, 0.01
THROUGHPUT, OVERHEADS = 0.99, (0.15, 0.20)
ZKML_S, ZKML_USD, OPML_S, OPML_USD = 1200.0, 45.0, 604_800.0, 0.06
HONEST_JUDGE, DISHONEST_JUDGE, HUMAN_DROP = 0.91, 0.89, 0.40

_FREE: Final = {  # everything but what a row is about costs nothing
    "economics.machine_usd_per_hour": 0.0,
    "economics.capital_rate_per_year": 0.0,
    "tee.attestation_usd": 0.0,
    "watchers.check_usd": 0.0,
}
_ALL_HONEST: Final = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 0.0}
_ALL_CHEAT: Final = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 1.0}
_ALL_RATIONAL: Final = {"adversaries.rational_share": 1.0, "adversaries.byzantine_share": 0.0}
_BROKEN: Final = {"adversaries.enclaves": "broken"}
#: on what basis a claim agrees, where the simulation is not what makes it so
_SOLVED: Final[dict[str, Any]] = {"basis": "solved for"}
_INPUT: Final[dict[str, Any]] = {"basis": "input"}
_UNTESTABLE: Final[dict[str, Any]] = {"basis": "not testable", "tolerance": math.nan}


def otr_checks(replications: int = 10, seed: int = 1) -> list[Check]:
    """Return a check for every claim, under every parameter they imply, and every consequence."""
    study = _Study(replications, seed)
    parts = (_latency, _cost, _throughput, _rivals, _downgrade, _detection, _threshold, _inspection)
    return [check for part in parts for check in part(study)]


class _Study:
    """Plays the queries of one setting after the other on one population."""

    def __init__(self, replications: int, seed: int) -> None:
        self.replications, self.seed = replications, seed
        self.profile = _two_models(seed)
        population = {
            "inference": [{"model": NAMED, "count": NODES}],
            "evaluators": [{"model": "evaluator_1", "count": 5}],
        }
        self.base = load("cost_aware_poq").replace({"population": population, "seed": seed})
        self._by_default: dict[str, dict[str, float]] = {}

    def by_default(self, protocol: str) -> dict[str, float]:
        """Return every measure, meaned over replications, at the product's own defaults.

        Those of the comparison of protocols that ships, ``verification_trilemma``.
        """
        if protocol not in self._by_default:
            shipped = load("verification_trilemma", [f"seed={self.seed}"])
            of = {str(t.settings["verification.protocol"]): t for t in shipped.treatments()}
            market = open_market(of[protocol].scenario, load_profile(shipped.profile))
            rows = [play_queries(market, r) for r in range(self.replications)]
            self._by_default[protocol] = {
                name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]
            }
        return self._by_default[protocol]

    def measure(
        self, protocol: str, *settings: Mapping[str, Any], queries: int = QUERIES
    ) -> dict[str, NDArray[np.float64]]:
        """Return every measure, one value per replication."""
        market = self._market(protocol, settings, queries)
        rows = [play_queries(market, r) for r in range(self.replications)]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def once(self, protocol: str, *settings: Mapping[str, Any], queries: int) -> dict[str, float]:
        """Return every measure of one long replication."""
        return play_queries(self._market(protocol, settings, queries), 0)

    def found(self, *settings: Mapping[str, Any], queries: int) -> NDArray[np.bool_]:
        """Return which queries a proof found, one by one."""
        trace = open_query_trace(queries)
        play_queries(self._market("otr", settings, queries), 0, trace=trace)
        return np.asarray(trace.found == Found.PROOF)

    def _market(self, protocol: str, settings: tuple[Mapping[str, Any], ...], queries: int) -> Any:
        together = {key: value for part in settings for key, value in part.items()}
        chosen = changed(Verification(protocol=protocol), {**_alone(), **together})
        return open_market(self.base.replace({"rounds": queries}), self.profile, chosen)


def _alone() -> dict[str, Any]:
    """Return settings in which no query waits for another: what is said of one query."""
    return {"demand.arrivals_per_s": 1e-3, "demand.service_cv": 0.0}


def _two_models(seed: int) -> Profile:
    """Return a profile of two models that a judge hardly tells apart and people do.

    Judge scores are those of the blog; that people's verdict is the truth, 40% lower, is assumed.
    The named model answers so fast that its enclave delivers in the published 0.5 s.
    """
    service_ms = (PROVISIONAL_S - 0.02) / 1.175 * 1e3  # attestation and overhead at their defaults
    settings = SyntheticSettings(
        models=2,
        evaluators=1,
        truth_mean=10.0 * HONEST_JUDGE,
        truth_sd=0.0,
        noise_sd=0.2,
        latency_ms=(service_ms, 0.5 * service_ms),
        seed=seed,
    )
    profile = synthetic_profile(settings)
    scores, truth = profile.scores.copy(), profile.truth.copy()
    scores[:, 1] -= 10.0 * (HONEST_JUDGE - DISHONEST_JUDGE)
    truth[:, 1] *= 1.0 - HUMAN_DROP
    return replace(profile, scores=scores, truth=truth)


def _sampled(
    figure: str,
    item: str,
    quantity: str,
    expected: float,
    values: Any,
    margin: float,
    why: str,
    **more: Any,
) -> Check:
    """Hold a mean over replications to a number, give or take ``margin``.

    ``more`` are further fields of :class:`~.checks.Check`.
    """
    mean, sd, low, high = mean_interval(values)
    tolerance = margin + SIGMAS * sd / math.sqrt(len(values))
    return Check(figure, item, quantity, expected, mean, low, high, tolerance, why, **more)


def _exact(
    figure: str,
    item: str,
    quantity: str,
    expected: float,
    observed: float,
    why: str,
    tolerance: float = 1e-9,
    **more: Any,
) -> Check:
    nan = math.nan
    return Check(figure, item, quantity, expected, observed, nan, nan, tolerance, why, **more)


def _share(item: str, quantity: str, expected: float, hits: float, trials: int) -> Check:
    """Hold a share of independent trials to its probability, within its binomial spread."""
    spread = math.sqrt(expected * (1.0 - expected) / trials)
    observed = hits / trials
    half = 1.96 * math.sqrt(observed * (1.0 - observed) / trials)
    why = f"{SIGMAS} binomial standard errors, n = {trials:,}"
    tolerance = SIGMAS * spread + 1.0 / trials
    low, high = observed - half, observed + half
    return Check("consequence", item, quantity, expected, observed, low, high, tolerance, why)


def _latency(study: _Study) -> list[Check]:
    short = study.measure("otr", _ALL_HONEST)
    long = study.measure("otr", _ALL_HONEST, {"otr.proof_s": ZKML_S})
    mean, median = "mean to provisional, s", "median to provisional, s"
    ours = study.by_default("otr")
    return [
        _sampled(
            "claim", "otr", median, PROVISIONAL_S, short["provisional_p50_s"], 0.0005,
            "the named model's time is chosen for it", **_SOLVED, default=ours["provisional_p50_s"],
        ),
        _sampled(
            "claim", "otr, proof of 30 s", mean, WEIGHTED_S, short["provisional_mean_s"], 0.005,
            "0.99 x 0.5 + 0.01 x 30.5 = 0.8", **_SOLVED, default=ours["provisional_mean_s"],
        ),
        _sampled(
            "claim", "otr, proof of 20 min", mean, WEIGHTED_S, long["provisional_mean_s"], 0.005,
            "0.99 x 0.5 + 0.01 x 1200.5 = 12.5", contradicts=True,
        ),
    ]  # fmt: skip


def _cost(study: _Study) -> list[Check]:
    """Return the cost of a query under the proof costs that are printed or implied."""

    def total(proof_usd: float, base_usd: float) -> NDArray[np.float64]:
        settings = {"otr.proof_usd": proof_usd, "tee.attestation_usd": base_usd}
        return study.measure("otr", _ALL_HONEST, _FREE, settings)["total_usd"]

    cost = "USD per query"
    formula = verifier_cost(1e-4, 0.2, 2.0, 0.3, 0.05, 0.8 * 0.3, 20 * 0.01)
    parts = {
        "otr.proof_rate": 0.2,
        "otr.proof_usd": 2.0,
        "watchers.count": 1,
        "watchers.check_probability": 0.3,
        "watchers.check_usd": 0.05,
        "watchers.delay_s": 1.0,
        "tee.attestation_usd": 1e-4,
    }
    summed = study.measure("otr", _ALL_CHEAT, _BROKEN, _FREE, parts)["total_usd"]
    return [
        _sampled("claim", "otr, proof of $7", cost, COST_USD, total(7.0, 0.0), 0.0005,
                 "0.01 x 7 = 0.07", **_SOLVED, default=study.by_default("otr")["total_usd"]),
        _sampled("claim", "otr, $0.06 and a proof of $1", cost, COST_USD, total(1.0, 0.06), 0.0005,
                 "0.06 + 0.01 x 1 = 0.07", **_SOLVED),
        _sampled("claim", "otr, proof of $45", cost, COST_USD, total(ZKML_USD, 0.0), 0.0005,
                 "0.01 x 45 = 0.45", contradicts=True),
        _sampled("consequence", "otr, all components", cost, formula, summed, 0.0005,
                 "c_attest + rho c_zk + phi c_recheck + P(dispute) c_dispute"),
    ]  # fmt: skip


def _throughput(study: _Study) -> list[Check]:
    """Throughput against the same nodes without a protocol; the same draws, so no chance in it."""

    def against(overhead: float, *, both: bool = False) -> float:
        settings = {"tee.overhead": overhead, "centralised.pays_tee_overhead": both}
        rates = [
            study.once(name, _ALL_HONEST, settings, queries=QUERIES)["throughput_per_s"]
            for name in ("otr", "centralised")
        ]
        return rates[0] / rates[1]

    of = "throughput over centralised"
    most = 1.0 / THROUGHPUT - 1.0
    ours, trusted = (study.by_default(name)["throughput_per_s"] for name in ("otr", "centralised"))
    rows = [
        _exact("claim", f"otr, overhead {overhead:g}", of, THROUGHPUT, against(overhead),
               f"1 / {1.0 + overhead:g}", 0.005, contradicts=True)
        for overhead in OVERHEADS
    ]  # fmt: skip
    return [
        _exact("claim", f"otr, overhead {most:.4f}", of, THROUGHPUT, against(most),
               "the most that 0.99 leaves: 1 / 0.99 - 1", **_SOLVED, default=ours / trusted),
        *rows,
        _exact("claim", "otr, baseline in enclaves too", of, THROUGHPUT,
               against(0.175, both=True), "nothing is left of the overhead: 1, not 0.99", 0.005,
               contradicts=True),
    ]  # fmt: skip


def _rivals(study: _Study) -> list[Check]:
    zkml = study.once("zkml", _ALL_HONEST, _FREE, queries=1000)
    opml = study.once("opml", _ALL_HONEST, _FREE, queries=1000)
    scenario = load("cost_aware_poq").replace({"rounds": 1000, "seed": study.seed})
    alone = changed(Verification(protocol="poq"), {**_alone(), **_ALL_HONEST})
    profile = load_profile("published")
    poq = play_queries(open_market(scenario, profile, alone), 0)
    none = play_queries(open_market(scenario, profile, changed(alone, {"protocol": "none"})), 0)
    added_ms = 1e3 * (poq["provisional_mean_s"] - none["provisional_mean_s"])
    hours = proving_time(70e9, ZKML_S, 7e9) / 3600.0
    ours = {name: study.by_default(name) for name in ("zkml", "opml", "poq", "none")}
    ours_added = ours["poq"]["provisional_mean_s"] - ours["none"]["provisional_mean_s"]
    word = "is a word and no figure"
    return [
        _exact("claim", "zkml, 7 billion", "mean proving and answering, s", ZKML_S,
               zkml["provisional_mean_s"], "a parameter; up to 2 s to answer and check", 2.0,
               **_INPUT, default=ours["zkml"]["provisional_mean_s"]),
        _exact("claim", "zkml, 70 billion", "proving, h", math.nan, hours,
               f"'hours' {word}; 1200 s x 10 log(70e9) / log(7e9)", **_UNTESTABLE),
        _exact("claim", "zkml", "USD per query", ZKML_USD, zkml["total_usd"],
               "a parameter: nothing else costs", **_INPUT, default=ours["zkml"]["total_usd"]),
        _exact("claim", "opml", "days to economic", OPML_S / 86_400.0,
               opml["economic_mean_s"] / 86_400.0, "a parameter: the window, and the answer", 1e-4,
               **_INPUT, default=ours["opml"]["economic_mean_s"] / 86_400.0),
        _exact("claim", "opml", "USD per query", OPML_USD, opml["total_usd"],
               "a parameter: nothing else costs", **_INPUT, default=ours["opml"]["total_usd"]),
        _exact("claim", "poq, published profile", "ms added", math.nan, added_ms,
               f"'milliseconds' {word}: the slowest of three evaluators", **_UNTESTABLE,
               default=1e3 * ours_added),
        _exact("claim", "poq, published profile", "USD of evaluation per query", math.nan,
               poq["evaluation_usd"], f"'about 0' {word}", **_UNTESTABLE,
               default=ours["poq"]["evaluation_usd"]),
    ]  # fmt: skip


def _downgrade(study: _Study) -> list[Check]:
    """Check what comes of a cheaper model that a judge hardly tells from the named one."""
    intact = {"adversaries.enclaves": "intact"}
    poq = study.measure("poq", _ALL_RATIONAL, {"poq.accept_score": 8.0})
    otr = study.measure("otr", _ALL_RATIONAL, intact)
    forced = study.measure("otr", _ALL_CHEAT, intact)
    honest = study.measure("poq", _ALL_HONEST)
    drop = 1.0 - poq["truth_mean"] / honest["truth_mean"]
    why = "put into the profile: that people's verdict is the truth is assumed"
    ours = {name: study.by_default(name) for name in ("poq", "otr")}
    fails = "put into the protocol: an intact enclave cannot sign for another model"
    return [
        _sampled("claim", "poq, 8B for 70B", "mean consensus", 10.0 * DISHONEST_JUDGE,
                 poq["consensus_mean"], 0.01, "put into the profile, printed to two decimals",
                 **_INPUT),
        _sampled("claim", "poq, 8B for 70B", "cheating share of rational nodes", 1.0,
                 poq["cheating_share"], 0.0, "costs 0.02 x F = 0.002 USD and saves 0.05, assumed",
                 default=ours["poq"]["cheating_share"]),
        _sampled("claim", "poq, 8B for 70B", "dishonest, paid and stands", 1.0,
                 poq["dishonest_stands"], 0.001, "no consensus below 8",
                 default=ours["poq"]["dishonest_stands"]),
        _sampled("claim", "poq, 8B for 70B", "quality lost", HUMAN_DROP, drop, 0.001, why,
                 **_INPUT),
        _sampled("claim", "otr, 8B for 70B", "cheating share of rational nodes", 0.0,
                 otr["cheating_share"], 0.0, f"{fails}, p = 1", **_INPUT,
                 default=ours["otr"]["cheating_share"]),
        _sampled("claim", "otr, 8B for 70B regardless", "dishonest, paid and stands", 0.0,
                 forced["dishonest_stands"], 0.0, fails, **_INPUT,
                 default=ours["otr"]["dishonest_stands"]),
    ]  # fmt: skip


def _detection(study: _Study) -> list[Check]:
    queries, rate = 230 * 2000, PROOF_RATE
    watch = {"watchers.count": 3, "watchers.check_probability": 0.1, "watchers.delay_s": 1.0}
    broken = study.once("otr", _ALL_CHEAT, _BROKEN, watch, queries=queries)
    phi = 1.0 - 0.9**3
    unseen = {"watchers.count": 0, "otr.proof_rate": rate}
    found = study.found(_ALL_CHEAT, _BROKEN, unseen, queries=queries)
    checks = [
        _share("otr, enclave broken", "detection", detection_if_broken(rate, phi),
               broken["detected_share"] * queries, queries)
    ]  # fmt: skip
    for n in (230, 459):
        blocks = found[: queries // n * n].reshape(-1, n).any(axis=1)
        item = f"{n} cheats, proof rate {rate:g}"
        checks.append(
            _share(item, "noticed", detection_after(n, rate), float(blocks.sum()), blocks.size)
        )
    window = {"otr.window_s": OPML_S, "otr.proof_rate": 0.0}
    held = study.once("otr", _ALL_HONEST, window, queries=1000)["capital_usd"]
    expected = capital_cost(5.0, 0.08, OPML_S)
    checks.append(
        _exact("consequence", "otr, window of 7 days", "capital, USD per query", expected, held,
               "B r W / year, and the answer's half second", 1e-7)
    )  # fmt: skip
    return checks


def _threshold(study: _Study) -> list[Check]:
    """Find by bisection the stake at which cheating stops paying in the simulation."""
    gain, fee, rate = 0.5, 0.1, 0.2
    settings = {
        "otr.proof_rate": rate,
        "watchers.count": 0,
        "adversaries.downgrade.gain_usd": gain,
        "economics.fee_usd": fee,
        "economics.bounty_usd": 0.0,
    }
    low, high = 0.0, 100.0
    for _ in range(16):
        stake = 0.5 * (low + high)
        played = study.once(
            "otr", _ALL_CHEAT, _BROKEN, settings, {"economics.stake_usd": stake}, queries=400_000
        )
        low, high = (stake, high) if played["cheat_advantage_usd"] > 0.0 else (low, stake)
    expected = gain / rate - fee
    return [
        _exact("consequence", "p = 0.2, G = 0.5, F = 0.1", "stake that deters, USD", expected,
               0.5 * (low + high), "within 2% of G / p - F", 0.02 * expected)
    ]  # fmt: skip


def _inspection(study: _Study) -> list[Check]:
    """Check the inspection game: learnt from payoffs alone, and both indifferent when played."""
    gain, stake, fee, check, bounty = 0.5, 4.4, 0.1, 0.02, 0.4
    expected = inspection_equilibrium(gain, stake, fee, check, bounty)
    learnt = learn_by_playing(gain, stake, fee, check, bounty, 1_000_000)
    settings = {
        "watchers.check_probability": "equilibrium",
        "watchers.check_usd": check,
        "watchers.delay_s": 1.0,
        "adversaries.downgrade.gain_usd": gain,
        "economics.fee_usd": fee,
        "economics.stake_usd": stake,
        "economics.bounty_usd": bounty,
        "economics.keeps_gain_when_caught": False,
    }
    played = study.measure("opml", _ALL_RATIONAL, settings, queries=10 * QUERIES)
    keeping = {
        **settings,
        "watchers.count": 1,
        "watchers.check_probability": expected.checking,
        "economics.keeps_gain_when_caught": True,
    }
    kept = study.measure("opml", _ALL_CHEAT, keeping)["cheat_advantage_usd"]
    left = gain - expected.checking * (stake + fee)
    item, why = "G = 0.5, S = 4.4, F = 0.1", "fictitious play, 1,000,000 rounds"
    return [
        _exact("consequence", item, "cheating, c / bounty", expected.cheating, learnt.cheating,
               why, 0.02 * expected.cheating),
        _exact("consequence", item, "checking, G / (G + S + F)", expected.checking,
               learnt.checking, why, 0.02 * expected.checking),
        _sampled("consequence", item, "cheating share, played", expected.cheating,
                 played["cheating_share"], 0.0, f"{SIGMAS} standard errors"),
        _sampled("consequence", item, "advantage of cheating, USD", 0.0,
                 played["cheat_advantage_usd"], 0.0, f"{SIGMAS} standard errors; indifferent"),
        _sampled("consequence", item, "profit of watching, USD", 0.0,
                 played["watcher_profit_usd"], 0.0, f"{SIGMAS} standard errors; indifferent"),
        _sampled("consequence", "y* with p (S + F) >= G", "advantage of cheating, USD", 0.0, kept,
                 0.0, f"y* loses G if caught, the threshold keeps it: G - y* (S + F) = {left:.3g}",
                 contradicts=True),
    ]  # fmt: skip


STUDY = PublishedStudy(
    "otr",
    lambda replications, seed, _: otr_checks(replications, seed),
    lambda: NOTE,
    usual=20,
    least=10,
    takes=("replications",),
)
