"""``poq audit``: whether honesty pays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
    ComputeCost,
    Jobs,
    Plugins,
    Replications,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.analysis.audit.auditing import Audit
    from poq_abm.analysis.audit.break_even import BreakEven
    from poq_abm.analysis.audit.variants import VariantRunner
    from poq_abm.scenario import Scenario

__all__ = ["audit", "behaviour_of", "treatment_of"]

_ROLES = ("inference", "evaluator", "ring")


Share = Annotated[float, typer.Option(help="Share of a group or role in a coalition.")]
Specs = Annotated[
    list[str] | None,
    typer.Option("--behaviour", metavar="SPEC", help="Try this instead; may be repeated."),
]
RoleName = Annotated[
    str | None,
    typer.Option(metavar="inference|evaluator|ring", help="Whose deviations; ring: of both."),
]
HalfWidth = Annotated[
    float | None, typer.Option(help="Play on until every interval is within +- this.")
]
Epsilon = Annotated[
    float | None,
    typer.Option(
        help="Gain too small to matter, per job (economies: profit per epoch); "
        "default: 1% of honest pay."
    ),
]
BreakEvens = Annotated[
    list[str] | None,
    typer.Option(
        "--break-even", metavar="PATH=LOW:HIGH", help="Look here for where what gains stops."
    ),
]
Frontier = Annotated[
    bool, typer.Option("--frontier", help="What coalitions move, and at what cost.")
]
Breakdown = Annotated[bool, typer.Option("--breakdown", help="How many members break each rule.")]
Splits = Annotated[
    list[int] | None,
    typer.Option("--split", metavar="N", help="What coming as N nodes gains; may be repeated."),
]
TreatmentName = Annotated[
    str | None, typer.Option(metavar="ID", help="Which treatment of a sweep.")
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write every table as CSV here.")]


def audit(
    scenario: ScenarioArgument,
    share: Share = 0.3,
    behaviour: Specs = None,
    role: RoleName = None,
    half_width: HalfWidth = None,
    epsilon: Epsilon = None,
    compute_cost: ComputeCost = 0.0,
    break_even: BreakEvens = None,
    frontier: Frontier = False,
    breakdown: Breakdown = False,
    split: Splits = None,
    treatment: TreatmentName = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    out: Out = None,
) -> None:
    """Try every declared deviation against a scenario: what it gains, and how surely."""
    from poq_abm.analysis.audit.auditing import audit as audited  # noqa: PLC0415
    from poq_abm.analysis.audit.variants import VariantRunner  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    further = {"frontier": frontier, "breakdown": breakdown, "split": split}
    if as_csv and out is None:
        _refuse_dropped({"break_even": break_even, **further})
    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    chosen = treatment_of(scenario, [*(settings or []), *overrides], treatment)
    ranges = [_range(text) for text in break_even or []]
    announce_compilation()
    with progress_bar(chosen.name) as bar:
        runner = VariantRunner.of(
            chosen, n_jobs=jobs, progress=bar.played, compute_cost=compute_cost
        )
        found = audited(
            runner,
            share=share,
            behaviours=[behaviour_of(text) for text in behaviour] if behaviour else None,
            roles=_roles(role),
            half_width=half_width,
            epsilon=epsilon,
        )
        tables, lines = _more(runner, found, ranges, further)
    tables = {"gains": found.gains, **tables}
    if out is not None:
        _write(tables, out)
    said = [*found.sentences, *lines, *(f"left out: {said}" for said in found.skipped)]
    if print_data(tables, as_json=as_json, as_csv=as_csv, said=said):
        return
    _print(found, tables)
    for line in said:
        say(line, indent=2)


def _write(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    from poq_abm.experiment.files import write_text  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.to_csv(index=False))


def _refuse_dropped(tables: Mapping[str, Any]) -> None:
    """Refuse further tables where only one is printed and none is written."""
    asked = [f"--{name.replace('_', '-')}" for name, wanted in tables.items() if wanted]
    if asked:
        raise InputError(f"{asked[0]} does nothing with --csv, which prints the gains; add --out")


def treatment_of(source: str, overrides: list[str], wanted: str | None) -> Scenario:
    """Return the treatment of a scenario that is asked for, or its only one."""
    from poq_abm.analysis.audit.variants import VariantRunner  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415

    plan = Plan.load(source, overrides)
    if "nodes" not in plan.tables:
        VariantRunner.of(
            plan.treatments[0].scenario.model_copy(update={"sweep": {}})
        )  # says why not
    known = {treatment.id: treatment.scenario for treatment in plan.treatments}
    if wanted is None and len(known) > 1:
        raise InputError(
            f"{source} has {len(known)} treatments; audit one: --treatment {next(iter(known))!r}"
        )
    wanted = wanted or next(iter(known))
    if wanted not in known:
        raise InputError(f"{source} has no treatment {wanted!r}; {nearest(wanted, known)}")
    return known[wanted].model_copy(update={"sweep": {}})


def _roles(name: str | None) -> tuple[Any, ...]:
    if name is None:
        return _ROLES[:2]
    if name not in _ROLES:
        raise InputError(f"--role {name}: {nearest(name, _ROLES)}")
    return (name,)


def behaviour_of(text: str, option: str = "--behaviour") -> dict[str, Any]:
    """Return a behaviour as it is written in a scenario: a name, or a mapping with one."""
    from poq_abm.scenario.yaml_source import read_value  # noqa: PLC0415

    value = read_value(text, f"{option} {text}")
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return dict(value)
    raise InputError(f"{option} {text}: write a name, or {{name: boost, b: 3.0}}")


def _range(text: str) -> tuple[str, float, float]:
    path, _, ends = text.partition("=")
    low, _, high = ends.partition(":")
    try:
        return path, float(low), float(high)
    except ValueError:
        raise InputError(
            f"--break-even {text}: write PATH=LOW:HIGH, as in mechanism.beta_evaluator=0:1"
        ) from None


def _break_evens(
    runner: VariantRunner, found: Audit, ranges: list[tuple[str, float, float]]
) -> list[BreakEven]:
    """Return where the deviations that gain stop gaining.

    In the ranges asked for, all of them; without any, the cheapest of each role in the usual ones.
    """
    from poq_abm.analysis.audit.break_even import break_even, usual_ranges  # noqa: PLC0415

    if ranges:
        return [break_even(runner, paying, *span) for paying in found.profitable for span in ranges]
    cheapest = {deviation.role: deviation for deviation in reversed(found.profitable)}
    return [
        break_even(runner, deviation, *span)
        for role, deviation in cheapest.items()
        for span in usual_ranges(runner.scenario, role)
    ]


def _more(
    runner: VariantRunner,
    found: Audit,
    ranges: list[tuple[str, float, float]],
    further: Mapping[str, Any],
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the further tables that were asked for, and what they say."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.analysis.aggregation_robustness import breakdown_shares  # noqa: PLC0415
    from poq_abm.analysis.audit.attacks import attack_frontier  # noqa: PLC0415
    from poq_abm.analysis.audit.identities import (  # noqa: PLC0415
        identity_gains,
        identity_sentences,
    )

    tables: dict[str, pd.DataFrame] = {}
    roots = _break_evens(runner, found, ranges)
    lines = [f"{root.said}." for root in roots]
    if roots:
        tables["break_even"] = pd.DataFrame(roots)
    elif ranges:
        lines.append("No deviation is shown to gain: there is nothing to break even.")
    if further["frontier"]:
        specs = {str(d.behaviour): d.behaviour for d in found.deviations if d.role == "evaluator"}
        tables["frontier"] = attack_frontier(runner, specs.values())
    if further["breakdown"]:
        tables["breakdown"] = breakdown_shares(runner.scenario.mechanism)
    if split := further["split"]:
        audited = {part.role for one in found.deviations for part in one.parts}
        tables["identities"] = identity_gains(runner, split, roles=sorted(audited, reverse=True))
        lines += identity_sentences(tables["identities"])
    return tables, lines


def _print(found: Audit, tables: dict[str, pd.DataFrame]) -> None:
    from poq_abm.analysis.audit.attacks import COSTS  # noqa: PLC0415
    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    bonds = ["bonds"] if found.gains["bonds"].any() else []
    columns = ["role", "group", "behaviour", "members", *bonds, "acted", "honest", "gain",
               "interval", "simultaneous", "drift", "verdict"]  # fmt: skip
    gains = found.gains.assign(
        interval=_intervals(found.gains, "low", "high"),
        simultaneous=_intervals(found.gains, "family_low", "family_high"),
        acted=["?" if math.isnan(rate) else f"{rate:.1%}" for rate in found.gains["acted"]],
    )
    gain = "gain in profit per node and epoch" if found.scenario.economy else "gain per job"
    title = f"{found.scenario.name}: {gain} of deviating, {found.confidence:.0%} intervals"
    print_frame(gains[columns], title, keys=3, number=".4f")
    if "frontier" in tables:
        frontier = tables["frontier"]
        cost = COSTS["epoch" if found.scenario.economy else "job"]
        kept = ["behaviour", "members", "share", "drift", "interval", cost, "efficient"]
        shown = frontier.assign(interval=_intervals(frontier, "drift_low", "drift_high"))
        title = "What coalitions of all evaluators move, points of 10"
        print_frame(shown[kept], title, number=".4f")
    if "breakdown" in tables:
        print_frame(tables["breakdown"], "Members that break each rule", number=".4f")
    if "identities" in tables:
        split = tables["identities"]
        kept = ["role", "group", "identities", "one", "several", "gain", "interval"]
        shown = split.assign(interval=_intervals(split, "low", "high"))
        each = "epoch" if found.scenario.economy else "round"
        title = f"Coming as several nodes: tokens per {each}, all together"
        print_frame(shown[kept], title, keys=3, number=".4f")


def _intervals(table: pd.DataFrame, low: str, high: str) -> list[str]:
    pairs = zip(table[low], table[high], strict=True)
    return ["-" if math.isnan(a) else f"[{a:+.4f}, {b:+.4f}]" for a, b in pairs]
