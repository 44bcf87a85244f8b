"""The methods paragraph of a run: what a reader needs to judge the numbers, in sentences."""

from __future__ import annotations

from poq_abm.analysis.stored_run import StoredRun
from poq_abm.report.settings import charged_costs, spoken

__all__ = ["methods"]


def methods(run: StoredRun) -> str:
    """Return the paragraph that says what was played, how often, and how it was estimated."""
    said = [
        _design(run),
        _round(run),
        _randomness(run),
        _estimation(run),
        _software(run),
    ]
    return " ".join(filter(None, said))


def _design(run: StoredRun) -> str:
    people = run.scenario.population
    rounds = spoken([f"{value:,}" for value in run.values("rounds")])
    least, most = run.replications
    count = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    treatments = len(run.treatments)
    design = (
        f"{treatments:,} treatments vary {', '.join(run.axes)}; each was"
        if run.is_swept
        else "One treatment was"
    )
    profile = spoken([_profile_name(value) for value in run.values("profile")])
    return (
        f"The agent-based model has {people.inference_nodes:,} inference nodes and "
        f"{people.evaluator_nodes:,} evaluator nodes, which draw scores, truth and costs from the "
        f"profile {profile}. {design} played for {rounds} rounds in {count} "
        f"independent replication{'s' * (most != 1)}."
    )


def _profile_name(source: object) -> str:
    return str(source).replace("\\", "/").rstrip("/").rpartition("/")[2]


def _round(run: StoredRun) -> str:
    if run.has_queries:
        protocols = spoken(run.values("verification.protocol"))
        return (
            "A round is one query, answered by an inference node and checked by a protocol "
            f"({protocols}); nodes cheat where it pays, or always, in the shares that the scenario "
            "names."
        )
    size = spoken(run.values("mechanism.committee_size"))
    rule = spoken([str(v).replace("_", " ") for v in run.values("mechanism.aggregation")])
    reference = spoken([str(v).replace("_", " ") for v in run.values("mechanism.reference")])
    family = spoken([str(v).replace("_", " ") for v in run.values("mechanism.reward.family")])
    coefficients = ", ".join(
        f"{symbol}_{role[0].upper().replace('E', 'M').replace('I', 'F')} = "
        f"{spoken(run.values(f'mechanism.{symbol}_{role}'))}"
        for role in ("inference", "evaluator")
        for symbol in ("alpha", "beta")
    )
    said = (
        f"In every round a committee of K = {size} evaluators, sampled without replacement, scores "
        f"an answer; the consensus is their {rule}; rewards are {family} in quality and cost "
        f"({coefficients}), and an evaluator is compared with the consensus under the reference "
        f"{reference}. The cost charged is {charged_costs(run)}."
    )
    if any(e is not None and e.payment.scheme == "pool" for e in run.values("economy")):
        said += (
            " Rewards give points, which share a pool in every epoch; rewards are shown in the "
            "tokens paid for them."
        )
    updates = [value for value in run.values("mechanism.trust.update") if value != "none"]
    if updates:
        said += f" Evaluators' weights follow the trust update {spoken(updates)}."
    shares = [m.share for m in run.values("malicious") if m is not None]
    if shares:
        said += f" A share {spoken(list(dict.fromkeys(shares)))} of the evaluators deviates."
    epochs = [e.epochs for e in run.values("economy") if e is not None]
    if epochs:
        said += (
            f" The rounds make up {spoken(list(dict.fromkeys(epochs)))} epochs, at whose ends "
            "nodes are paid and decide."
        )
    return said


def _randomness(run: StoredRun) -> str:
    shared = (
        " Treatments share their keys, so that replication r of each saw the same luck and their "
        "differences are taken over matched pairs."
        if run.is_swept
        else ""
    )
    return (
        f"Every random draw is a function of the seed ({run.manifest.get('seed')}), "
        f"replication, purpose, round and slot (Philox 4x32-10).{shared}"
    )


def _estimation(run: StoredRun) -> str:
    least, _ = run.replications
    if least < 2:
        return (
            "Where a treatment has a single replication, figures stand without an interval and "
            "nothing is concluded from them."
        )
    said = "A replication is one observation; intervals are Student's at 95% over replications."
    if run.is_swept:
        said += (
            " Differences have Student intervals over pairs, each for itself; verdicts are at a "
            "family-wise error of 5% over all comparisons of this report (Holm 1979)."
        )
    return said


def _software(run: StoredRun) -> str:
    versions = run.manifest.get("versions", {})
    return (
        f"Played with poq_abm {versions.get('poq_abm', '?')} on Python "
        f"{versions.get('python', '?')}, engine {run.manifest.get('engine', '?')}."
    )
