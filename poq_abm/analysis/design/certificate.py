"""Certificates: a file that says what was found, and plays it again."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.best_response import FoundAttack, SearchSettings, best_response
from poq_abm.analysis.audit.deviations import searchers
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.design.found import Audited, AuditOf, Certified
from poq_abm.analysis.design.objectives import Objective
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignProblem, SearchSection, Settings
from poq_abm.analysis.design.searching import (
    MOST_AUDITED,
    certified_scenario,
    play_certified,
)
from poq_abm.analysis.design.tables import paragraph
from poq_abm.errors import InputError
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.search import Step, drive
from poq_abm.experiment.study import Progress
from poq_abm.scenario import Scenario
from poq_abm.scenario.schema.fields import Strict
from poq_abm.scenario.yaml_text import to_yaml

__all__ = ["as_certificate", "auditor", "replay"]

_ROUNDING = 1e-9  #: of a figure: what another processor may sum otherwise


class _AuditedBefore(Strict):
    """The part ``audit`` of a certificate: what deviations could gain at most."""

    declared: float
    searched: float | None = None
    tried: int = 0
    told: str = ""
    per: str = "job"


class _Expected(Strict):
    """The section ``certificate``: what was chosen, and the means that came of it."""

    design: dict[str, Any]
    designs: int = Field(ge=1)
    probability: float
    replications: int = Field(ge=2)
    expected: dict[str, float]
    audit: _AuditedBefore | None = None


def auditor(
    search: SearchSection, workers: Workers | None = None, progress: Progress | None = None
) -> AuditOf | None:
    """Return what audits a design as a search asks for it, if it asks.

    All declared deviations, and a search for the best response of each that the section's ``by``
    names. Their upper ends hold together, and for all members that may come to be audited
    (Bonferroni).
    """
    asked = search.audit
    if asked is None:
        return None

    def audited(scenario: Scenario) -> Audited:
        runner = VariantRunner.of(scenario, progress=progress)
        runner = replace(runner, workers=workers or Workers())
        who = [one for by in asked.by for one in searchers(scenario, by, asked.share)]
        wrong = (1.0 - search.budget.confidence) / (MOST_AUDITED * (1 + len(who)))
        chosen = [{"name": one} if isinstance(one, str) else dict(one) for one in asked.behaviours]
        gains = audit(
            runner,
            share=asked.share,
            behaviours=chosen or None,
            replications=asked.replications,
            epsilon=asked.at_most,
            confidence=1.0 - wrong,
        ).gains
        ends = gains["family_high"].to_numpy(dtype=np.float64)
        declared = float(np.nanmax(ends)) if np.isfinite(ends).any() else 0.0
        per = "job" if runner.scenario.economy is None else "epoch"
        how = SearchSettings(
            tested=asked.replications, confidence=1.0 - wrong, epsilon=asked.at_most
        )
        found = [drive(best_response(runner, one, how), runner.player) for one in who]
        if any(one.ended == "interrupted" for one in found):
            raise KeyboardInterrupt
        if not found:
            return Audited(declared, per=per)
        worst = max(found, key=_upper)
        return Audited(
            declared, _upper(worst), sum(one.tried for one in found), worst.sentence, per
        )

    return audited


def _upper(found: FoundAttack) -> float:
    """Return the most that anything a search looked at may gain over the scenario as it is."""
    if found.last is None:
        return math.inf
    further = found.last[1].high
    return further if found.gain is None else max(found.gain.high, found.gain.high + further)


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
            **({} if certified.audited is None else {"audit": asdict(certified.audited)}),
        },
    }
    said = [
        *textwrap.wrap(paragraph(problem, certified), 96, break_on_hyphens=False),
        "",
        "Play it again, to the byte: poq design THIS_FILE --replay",
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in said) + "\n" + to_yaml(data)


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
    if (said.audit is None) != (problem.search.audit is None):
        raise InputError("certificate: there is an audit in one of `search` and `certificate` only")
    outcome, published = yield from play_certified(problem, settings)
    certified = Certified(settings, outcome, published, None, said.designs, said.probability)
    expected, played = dict(said.expected), _means(problem.search.objectives, certified)
    if missing := expected.keys() ^ played.keys():
        raise InputError(f"certificate: {', '.join(sorted(missing))} is no objective of its search")
    if said.audit is not None and audited is not None:
        again = audited(certified_scenario(problem, settings))
        certified = replace(certified, audited=again)
        for name in ("declared", "searched", "tried"):
            expected[f"audit.{name}"] = _number(getattr(said.audit, name))
            played[f"audit.{name}"] = _number(getattr(again, name))
    return certified, [
        (name, value, played[name])
        for name, value in expected.items()
        if not abs(played[name] - value) <= _ROUNDING * max(1.0, abs(value))
    ]


def _number(value: float | None) -> float:
    return -math.inf if value is None else float(value)
