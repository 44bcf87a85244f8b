"""The assumption register: what a result leans on, and who answers for each part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from poq_abm.analysis.stored_run import StoredRun
from poq_abm.profile import Profile
from poq_abm.report.facts import set_by_hand, spoken
from poq_abm.rules.adaptation.base import ADAPTATIONS
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role
from poq_abm.rules.payment import EVALUATOR_PAYMENT, INFERENCE_PAYMENT, REFERENCE
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import find, rules
from poq_abm.rules.rule import COST_AWARE, Kind, Source, Status
from poq_abm.rules.trust import TRUST_REFERENCE, TRUST_UPDATE

__all__ = ["Assumption", "assumptions"]

#: the rules whose source is cited, by their field
_CITED: dict[Kind[Any], str] = {
    INFERENCE_PAYMENT: "reward",
    AGGREGATION: "consensus",
    EVALUATOR_PAYMENT: "evaluator reward",
    REFERENCE: "evaluator reward",
    TRUST_UPDATE: "trust",
    TRUST_REFERENCE: "trust",
}


class Assumption(NamedTuple):
    """One line of the register."""

    status: Status
    about: str
    statement: str
    source: str


def assumptions(run: StoredRun) -> list[Assumption]:
    """Return everything that a run leans on: published things first, assumed ones last."""
    found = [*_profiles(run), *_rules(run), *_behaviours(run), *_economy(run),
             *_protocols(run)]  # fmt: skip
    order = ("published", "inferred", "assumed")
    return sorted(dict.fromkeys(found), key=lambda line: order.index(line.status))


def _profiles(run: StoredRun) -> Iterator[Assumption]:
    profiles, lost = run.profiles
    for profile in profiles:
        yield from _of_profile(profile)
    for name in lost:
        yield Assumption(
            "assumed",
            f"profile {name}",
            "The profile that was played is not here as it was; what it says of itself is missing "
            "from this register.",
            "its hash stands under provenance",
        )
    nodes = run.nodes("latency_source") if run.has("nodes") else ()
    if any((part["latency_source"] == "estimated").any() for part in nodes):
        said = "Latencies on hardware that nobody measured are estimated by a roofline."
        yield Assumption("inferred", "latencies", said, "the catalogue of hardware")


def _of_profile(profile: Profile) -> Iterator[Assumption]:
    written = profile.provenance
    source = str(written.get("source", "")) or "its author"
    statuses: tuple[Status, ...] = ("published", "inferred", "assumed")
    for status in statuses:
        for statement in written.get(status, []):
            yield Assumption(status, f"profile {profile.name}", str(statement), source)
    for caveat in written.get("caveats", []):
        yield Assumption("assumed", f"profile {profile.name}, caveat", str(caveat), source)


def _rules(run: StoredRun) -> Iterator[Assumption]:
    trusts = run.values("mechanism.trust.update") != ["none"]
    for kind, about in _CITED.items():
        if trusts or about != "trust":
            yield from _named(run, kind, about)
    if trusts:
        for name in ("rate", "start", "minimum", "maximum"):
            yield _set(run, f"mechanism.trust.{name}", "trust", "the paper's is not known to us")
    yield _set(run, "mechanism.committee_size", "committee")
    for symbol, fitted in (("alpha", 1.0), ("beta", 0.3)):
        for role in ("inference", "evaluator"):
            yield _coefficient(run, f"mechanism.{symbol}_{role}", fitted)
    if run.values("malicious") != [None]:
        yield _set(run, "malicious.share", "attack")


def _named(run: StoredRun, kind: Kind[Any], about: str) -> Iterator[Assumption]:
    """Say where the rules of a kind come from that are in play, by what they declare."""
    known = rules(kind)
    for value in run.values(kind.key):
        rule = known[value if isinstance(value, str) else value["name"]]
        yield Assumption(rule.source.status, about, f"{kind.key}: {value}", rule.source.reference)


def _set(run: StoredRun, path: str, about: str, why: str = "") -> Assumption:
    statement = f"{path} = {spoken(run.values(path))}"
    return Assumption(
        "assumed", about, statement, "; ".join(filter(None, ["set by the scenario", why]))
    )


def _coefficient(run: StoredRun, path: str, fitted: float) -> Assumption:
    """Alpha = 1 and beta = 0.3 are those the profile was fitted under; others the scenario's."""
    values = run.values(path)
    if values == [fitted] and run.values("profile") == ["published"]:
        source = f"not stated in {COST_AWARE}, whose Table 4 fixes only alpha Q - beta C"
        return Assumption("assumed", "reward", f"{path} = {fitted:g}", source)
    return _set(run, path, "reward")


def _behaviours(run: StoredRun) -> Iterator[Assumption]:
    played: dict[tuple[Role, str], dict[str, Any]] = {}
    for scenario in run.scenarios.values():
        people = scenario.population
        for group in people.inference:
            played.setdefault(("inference", str(group.behaviour["name"])), group.behaviour)
        for member in people.evaluators:
            played.setdefault(("evaluator", str(member.behaviour["name"])), member.behaviour)
        if scenario.malicious is not None:
            attack = scenario.malicious.behaviour
            played.setdefault(("evaluator", str(attack["name"])), attack)
    for (role, name), settings in played.items():
        kind = rules(BEHAVIOURS[role]).get(name)
        about = f"behaviour of {role} nodes"
        if kind is None:
            yield Assumption(
                "assumed", about, name, "a behaviour of the user's own, not loaded here"
            )
            continue
        given = ", ".join(f"{key} = {value}" for key, value in settings.items() if key != "name")
        formula = f"{name}: {kind.formula}" + (f" ({given})" if given else "")
        yield Assumption(kind.source.status, about, formula, kind.source.reference)


def _protocols(run: StoredRun) -> Iterator[Assumption]:
    """Say where each protocol comes from; its source tells published from assumed figures."""
    if not run.has("queries"):
        return
    for name in run.values("verification.protocol"):
        kind = find(PROTOCOLS, str(name))
        said, (status, reference) = f"{name}: {kind.formula}", kind.source
        yield Assumption(status, "protocol", said, reference)
        yield Assumption("assumed", "protocol", f"{name} leaves out: {kind.limits}", "ours")
    said = "Figures of a protocol that its source does not name are the defaults of the schema."
    yield Assumption("assumed", "protocol", said, "ours")


def _economy(run: StoredRun) -> Iterator[Assumption]:
    if not run.has("epochs"):
        return
    known = rules(ADAPTATIONS)
    for settings in run.values("economy.adaptation"):
        for adaptation in settings or ():
            name = str(adaptation["name"])
            if name in known:
                rule = known[name]
                said, source = f"{name}: {rule.formula}", rule.source
            else:
                said, source = name, Source("assumed", "a rule of the user's own, not loaded here")
            yield Assumption(source.status, "adaptation", said, source.reference)
    for path, value, meaning in set_by_hand(run):
        yield Assumption(
            "assumed", "economy", f"{path} = {value}: {meaning}", "set by the scenario"
        )
    said = "Every other number of the economy is the default of the schema."
    yield Assumption("assumed", "economy", said, "ours")
