"""Certificates: a file that says what was found, and plays it again."""

from __future__ import annotations

import textwrap
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignProblem, Objective, SearchedAudit, Settings
from poq_abm.analysis.design.searching import CERTIFIED_SEED, AuditOf, DesignPlayer, FoundDesigns
from poq_abm.analysis.design.tables import paragraph
from poq_abm.errors import InputError
from poq_abm.experiment.search import Step
from poq_abm.scenario import Scenario
from poq_abm.scenario.schema.fields import Strict
from poq_abm.scenario.yaml_text import to_yaml

__all__ = ["as_certificate", "auditor", "replay"]

_ROUNDING = 1e-9  #: of a figure: what another processor may sum otherwise


class _Expected(Strict):
    """The section ``certificate``: what was chosen, and the means that came of it."""

    design: dict[str, Any]
    replications: int = Field(ge=2)
    expected: dict[str, float]
    audited: float | None = None


def auditor(asked: SearchedAudit | None, jobs: int = 1) -> AuditOf | None:
    """Return what audits a design as a search asks for it, if it asks."""
    if asked is None:
        return None

    def upper_end(scenario: Scenario) -> float:
        runner = VariantRunner.of(scenario, n_jobs=jobs)
        chosen = [{"name": one} if isinstance(one, str) else dict(one) for one in asked.behaviours]
        found = audit(
            runner,
            share=asked.share,
            behaviours=chosen or None,
            replications=asked.replications,
            epsilon=asked.at_most,
        )
        ends = found.gains["family_high"].to_numpy(dtype=np.float64)
        return float(np.nanmax(ends)) if np.isfinite(ends).any() else 0.0

    return upper_end


def as_certificate(found: FoundDesigns) -> str:
    """Return a file that says what was chosen and certified, and can be played again.

    It is a design file whose scenario is written out, with a section ``certificate``.
    """
    certified, chosen = found.certified, found.chosen
    if certified is None or chosen is None:
        raise InputError("nothing was certified")
    problem = found.problem
    means = _means(problem.search.objectives, certified.outcome.losses)
    data = {
        **problem.scenario.resolved(),
        "search": problem.search.model_dump(mode="json", exclude_unset=True),
        "certificate": {
            "design": chosen.settings,
            "replications": len(certified.outcome.losses),
            "expected": means,
            **({} if certified.audited is None else {"audited": certified.audited}),
        },
    }
    said = textwrap.wrap(paragraph(found), 96)
    return "".join(f"# {line}\n" for line in said) + "\n" + to_yaml(data)


def _means(objectives: Sequence[Objective], losses: Any) -> dict[str, float]:
    return {
        one.label: float(one.sign * losses[:, number].mean())
        for number, one in enumerate(objectives)
    }


def replay(
    problem: DesignProblem, audited: AuditOf | None = None
) -> Generator[Step, Sequence[Figures], list[tuple[str, float, float]]]:
    """Return the figures of a certificate that came out otherwise: name, expected, played.

    None where all are the same up to rounding.

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
    keys = (0, said.replications)
    (outcome,) = yield from DesignPlayer(problem).certain([settings], keys, CERTIFIED_SEED)
    played = _means(problem.search.objectives, outcome.losses)
    expected = dict(said.expected)
    if said.audited is not None and audited is not None:
        seed = {"seed": problem.scenario.seed + CERTIFIED_SEED}
        expected["audit"] = said.audited
        played["audit"] = audited(problem.scenario.replace({**seed, **settings}))
    if missing := expected.keys() ^ played.keys():
        raise InputError(f"certificate: {', '.join(sorted(missing))} is no objective of its search")
    return [
        (name, value, played[name])
        for name, value in expected.items()
        if not abs(played[name] - value) <= _ROUNDING * max(1.0, abs(value))
    ]
