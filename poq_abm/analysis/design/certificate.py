"""Certificates: a file that says what was found, and plays it again."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field, ValidationError

from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.best_response import SearchSettings, best_response
from poq_abm.analysis.audit.deviations import ROLES, Deviation, searchers
from poq_abm.analysis.audit.families import in_words
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.design.feasibility import play_cases
from poq_abm.analysis.design.found import Audited, AuditOf, BestDeviation, Certified, FoundCases
from poq_abm.analysis.design.objectives import Objective
from poq_abm.analysis.design.playing import FigurePlayer, Figures
from poq_abm.analysis.design.problem import (
    DesignProblem,
    SearchedAudit,
    Searcher,
    SearchSection,
    Settings,
)
from poq_abm.analysis.design.searching import (
    MOST_AUDITED,
    certified_scenario,
    play_certified,
)
from poq_abm.analysis.design.tables import paragraph
from poq_abm.errors import InputError
from poq_abm.experiment.search import Step, drive
from poq_abm.scenario import Scenario
from poq_abm.scenario.schema.fields import Strict
from poq_abm.scenario.yaml_text import to_yaml

__all__ = ["as_certificate", "auditor", "replay"]

_ROUNDING = 1e-9  #: of a figure: what another processor may sum otherwise


class _GainBefore(Strict):
    """What somebody could gain, as a certificate says it."""

    by: Searcher
    deviation: str
    gain: float
    low: float
    high: float
    upper: float
    tried: int


class _AuditBefore(Strict):
    """One audit of a certificate."""

    best: list[_GainBefore]
    per: str


class _CasesBefore(Strict):
    """The part ``cases`` of a certificate: in how many drawn cases the choice was not feasible."""

    drawn: int
    fails: int


class _Expected(Strict):
    """The section ``certificate``: what was chosen, and the means that came of it."""

    design: dict[str, Any]
    designs: int = Field(ge=1)
    probability: float
    replications: int = Field(ge=2)
    expected: dict[str, float]
    audit: dict[Literal["chosen", "published"], _AuditBefore] = Field(default={})
    cases: _CasesBefore | None = None


def auditor(search: SearchSection, player: FigurePlayer) -> AuditOf | None:
    """Return what audits a design as a search asks for it, if it asks.

    All declared deviations, and a search for the best response of each that the section's ``by``
    names. Intervals hold together, for the scenario's own design and all members that may come to
    be audited (Bonferroni). Each part is kept where the player keeps what was played.
    """
    asked = search.audit
    if asked is None:
        return None
    designs = 1 + (1 if asked.at_most is None else MOST_AUDITED)

    def audited(scenario: Scenario) -> Audited:
        runner = VariantRunner.of(scenario, progress=player.progress)
        runner = replace(runner, workers=player.workers)
        who = [one for by in asked.by for one in searchers(scenario, by, asked.share)]
        level = 1.0 - (1.0 - search.budget.confidence) / (designs * (1 + len(who)))
        how = [version("poq-abm"), asked.model_dump(mode="json"), level]
        found: list[BestDeviation] = []
        for number, one in enumerate([None, *who]):
            key = player.key(runner.scenario, ["audit", *how, number])
            if key not in player.played.known:
                some = _declared(runner, asked, level) if one is None else []
                some += [] if one is None else [_searched(runner, one, asked, level)]
                player.played.keep([(key, [asdict(each) for each in some])])
            found += [BestDeviation(**each) for each in player.played.known[key]]
        per = "job" if runner.scenario.economy is None else "epoch"
        return Audited(tuple(_best_by(found)), per)

    return audited


def _declared(runner: VariantRunner, asked: SearchedAudit, level: float) -> list[BestDeviation]:
    """Return the best of all declared deviations, by who deviates."""
    chosen = [{"name": one} if isinstance(one, str) else dict(one) for one in asked.behaviours]
    gains = audit(
        runner,
        share=asked.share,
        behaviours=chosen or None,
        roles=(*ROLES, "ring") if "ring" in asked.by else ROLES,
        replications=asked.replications,
        epsilon=asked.at_most,
        confidence=level,
    ).gains
    rows = gains[np.isfinite(gains["family_high"])].to_dict("records")
    return [
        BestDeviation(
            by="ring" if row["members"] > 1 else row["role"],
            deviation=f"{row['behaviour']} by {row['members']} of {row['group']}",
            gain=row["gain"],
            low=row["family_low"],
            high=row["family_high"],
            upper=row["family_high"],
            tried=1,
        )
        for row in rows
    ]


def _searched(
    runner: VariantRunner, who: Deviation, asked: SearchedAudit, level: float
) -> BestDeviation:
    """Return the best response that a search of some nodes finds."""
    how = SearchSettings(tested=asked.replications, confidence=level, epsilon=asked.at_most)
    found = drive(best_response(runner, who, how), runner.player)
    if found.ended == "interrupted" or found.last is None:
        raise KeyboardInterrupt
    spec, further = found.last
    gain, upper = further, further.high
    if found.gain is not None:
        spec, gain = found.deviation.behaviour, found.gain
        upper = max(gain.high, gain.high + further.high)
    told = f"report {in_words(spec)}" if spec["name"] == "linear_report" else ""
    return BestDeviation(
        by="ring" if who.size > 1 else who.role,
        deviation=replace(who, behaviour=spec, told=told).name,
        gain=gain.difference,
        low=gain.low,
        high=gain.high,
        upper=upper,
        tried=found.tried,
    )


def _best_by(found: Sequence[BestDeviation]) -> Iterator[BestDeviation]:
    """Yield the best of each that deviates, and the most that any of its kind may gain."""
    for by in get_args(Searcher):
        some = [one for one in found if one.by == by]
        if some:
            best = max(some, key=lambda one: one.gain)
            tried = sum(one.tried for one in some)
            yield replace(best, upper=max(one.upper for one in some), tried=tried)


def as_certificate(problem: DesignProblem, certified: Certified) -> str:
    """Return a file that says what was chosen and certified, and can be played again.

    It is a design file whose scenario is written out, with a section ``certificate``.
    """
    data = {
        **problem.scenario.resolved(),
        "search": problem.search.model_dump(mode="json", exclude_unset=True),
        "certificate": {
            "design": certified.settings,
            "designs": certified.tried,
            "probability": certified.probability,
            "replications": len(certified.outcome.losses),
            "expected": _means(problem.search.objectives, certified),
            **({"audit": _as_data(certified.audits)} if certified.audits else {}),
            **({} if certified.cases is None else {"cases": _counted(certified.cases)}),
        },
    }
    said = [
        *textwrap.wrap(paragraph(problem, certified), 96, break_on_hyphens=False),
        "",
        "Play it again, to the byte: poq design THIS_FILE --replay",
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in said) + "\n" + to_yaml(data)


def _as_data(audits: Mapping[str, Audited]) -> dict[str, Any]:
    data = {name: asdict(one) for name, one in audits.items()}
    return {name: {**one, "best": list(one["best"])} for name, one in data.items()}


def _counted(cases: FoundCases) -> dict[str, int]:
    return {"drawn": len(cases.cases), "fails": int(cases.fails.sum())}


def _means(objectives: Sequence[Objective], certified: Certified) -> dict[str, float]:
    return {
        one.label: float(one.sign * certified.outcome.losses[:, number].mean())
        for number, one in enumerate(objectives)
    }


def replay(
    problem: DesignProblem, audited: AuditOf | None = None
) -> Generator[Step, Sequence[Figures], tuple[Certified, list[tuple[str, float, float]]]]:
    """Return what a certificate comes to when it is played again, audit and all.

    And the figures that came out otherwise, up to rounding: name, expected, played. Where there is
    none, :func:`as_certificate` of the first gives the file again.

    Raises
    ------
    InputError
        If the file has no certificate, or one that says something else than a certificate does.
    """
    if problem.certificate is None:
        raise InputError("this file has no section `certificate`: there is nothing to play again")
    try:
        said = _Expected.model_validate(problem.certificate)
    except ValidationError as error:
        raise InputError(f"certificate: {error.errors()[0]['msg']}") from None
    settings: Settings = said.design
    if said.replications != problem.search.budget.certified:
        raise InputError(
            f"certificate: it says {said.replications} replications, and its search.budget "
            f"certifies on {problem.search.budget.certified}"
        )
    for part, here, asked in (
        ("an audit", said.audit, problem.search.audit),
        ("a case", said.cases, problem.search.uncertainties),
    ):
        if bool(here) != bool(asked):
            raise InputError(
                f"certificate: there is {part} in one of `search` and `certificate` only"
            )
    outcome, published = yield from play_certified(problem, settings)
    certified = Certified(settings, outcome, published, {}, said.designs, said.probability)
    expected, played = dict(said.expected), _means(problem.search.objectives, certified)
    if missing := expected.keys() ^ played.keys():
        raise InputError(f"certificate: {', '.join(sorted(missing))} is no objective of its search")
    if audited is not None:
        of = {"chosen": settings, "published": problem.published}
        audits: dict[str, Audited] = {
            name: audited(certified_scenario(problem, of[name])) for name in said.audit
        }
        certified = replace(certified, audits=audits)
        expected |= _gains(said.audit)
        played |= _gains(audits)
    if said.cases is not None:
        cases = yield from play_cases(problem, settings)
        certified = replace(certified, cases=cases)
        expected |= {f"cases.{name}": count for name, count in said.cases}
        played |= {f"cases.{name}": count for name, count in _counted(cases).items()}
    return certified, [
        (name, expected.get(name, math.nan), played.get(name, math.nan))
        for name in dict.fromkeys([*expected, *played])
        if not _same(expected.get(name, math.nan), played.get(name, math.nan))
    ]


def _gains(audits: Mapping[Any, Audited | _AuditBefore]) -> dict[str, float]:
    return {
        f"audit.{name}.{one.by}.{figure}": float(getattr(one, figure))
        for name, audited in audits.items()
        for one in audited.best
        for figure in ("gain", "low", "high", "upper", "tried")
    }


def _same(expected: float, played: float) -> bool:
    """Return whether a figure is as expected, up to rounding."""
    return played == expected or abs(played - expected) <= _ROUNDING * max(1.0, abs(expected))
