"""``poq attack``: what nodes would do if they looked for what pays."""

from __future__ import annotations

import math
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

    from poq_abm.analysis.audit.best_response import FoundAttack, SearchSettings
    from poq_abm.analysis.audit.deviations import Deviation
    from poq_abm.analysis.audit.variants import VariantRunner
    from poq_abm.rules.behaviour.base import Role

__all__ = ["attack"]

_ROLES = ("evaluator", "inference", "ring")
_SHARE = 0.3  #: of the evaluators, in a ring
_ANY = "any"  #: inference group: the ring favours whom it gains most by

RoleName = Annotated[
    str, typer.Option(metavar="evaluator|inference|ring", help="Who looks for what pays.")
]
Group = Annotated[
    str | None, typer.Option(metavar="GROUP", help="Its group; default: each, or all.")
]
Share = Annotated[
    float | None, typer.Option(help=f"Of a ring: share of the evaluators in it ({_SHARE:g}).")
]
Favour = Annotated[
    str | None,
    typer.Option(
        metavar="GROUP|any",
        help="Of a ring: inference group in it, whose pay counts; any: the one it gains most by.",
    ),
]
Answering = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC", help="Of a ring: what the group it favours does; default: as now."
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option(help="Gain too small to matter, per job; default: 1% of pay as it is."),
]
Seconds = Annotated[float | None, typer.Option(help="Stop after so long, with what was found.")]
Everybody = Annotated[
    bool,
    typer.Option(
        "--everybody", help="Add what is found to what all of the role may do, and look again."
    ),
]
SearchSeed = Annotated[int, typer.Option(min=0, help="Key of where candidates lie.")]
TreatmentName = Annotated[
    str | None, typer.Option(metavar="ID", help="Which treatment of a sweep.")
]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where attacks that gain are written.")]


def attack(
    scenario: ScenarioArgument,
    role: RoleName = "evaluator",
    group: Group = None,
    share: Share = None,
    favour: Favour = None,
    answering: Answering = None,
    everybody: Everybody = False,
    epsilon: Epsilon = None,
    compute_cost: ComputeCost = 0.0,
    seconds: Seconds = None,
    search_seed: SearchSeed = 0,
    treatment: TreatmentName = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    out: Out = Path("attacks"),
) -> None:
    """Search for the behaviour that gains most, test it on fresh keys, and write it as a file."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.analysis.audit.best_response import SearchSettings  # noqa: PLC0415
    from poq_abm.analysis.audit.variants import VariantRunner  # noqa: PLC0415
    from poq_abm.cli.audit import treatment_of  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    _refuse(role, share=share, favour=favour, answering=answering, everybody=everybody)
    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    chosen = treatment_of(scenario, [*(settings or []), *overrides], treatment)
    announce_compilation()
    with progress_bar(chosen.name) as bar:
        runner = VariantRunner.of(
            chosen, n_jobs=jobs, progress=bar.played, compute_cost=compute_cost
        )
        how = SearchSettings(tested=runner.replications, epsilon=epsilon, seed=search_seed)
        whom = _searchers(runner, how, role, group, share, favour, answering)
        found, lines, learned = _search(runner, whom, how, seconds, everybody=everybody)
    written = [_write(one, out) if one.gains else None for one in found]
    rows = pd.DataFrame([_row(one, path) for one, path in zip(found, written, strict=True)])
    tables = {"attacks": rows, **({"learned": pd.concat(learned)} if learned else {})}
    if print_data(tables, as_json=as_json, as_csv=as_csv, said=lines):
        return
    for one, path in zip(found, written, strict=True):
        say(one.sentence)
        if path is not None:
            say(f"  written to {path}; play it with: poq run {path}", indent=4)
    for line in lines:
        say(line)


def _search(
    runner: VariantRunner,
    whom: list[Deviation],
    how: SearchSettings,
    seconds: float | None,
    *,
    everybody: bool,
) -> tuple[list[FoundAttack], list[str], list[pd.DataFrame]]:
    """Return what each of some nodes finds, what else there is to say, and what all come to do."""
    from poq_abm.analysis.audit.best_response import best_response  # noqa: PLC0415
    from poq_abm.analysis.equilibrium.double_oracle import double_oracle  # noqa: PLC0415
    from poq_abm.experiment.search import SearchBudget, drive  # noqa: PLC0415

    budget = SearchBudget(seconds=math.inf if seconds is None else seconds)
    found: list[FoundAttack] = []
    lines, tables = [], []
    for who in whom:
        if everybody:
            learned = drive(double_oracle(runner, who, how), runner.player, budget)
            lines.append(f"{who.groups}: {learned.sentence}")
            tables.append(learned.table.assign(group=who.groups))
            found += learned.found
            interrupted = learned.interrupted
        else:
            found.append(drive(best_response(runner, who, how), runner.player, budget))
            interrupted = found[-1].ended == "interrupted"
        if interrupted:
            break
    if runner.left_out:
        lines.append(f"Adaptation is left out ({', '.join(runner.left_out)}).")
    return found, lines, tables


def _refuse(role: str, *, everybody: bool, **of_rings: Any) -> None:
    if role not in _ROLES:
        raise InputError(f"--role {role}: {nearest(role, _ROLES)}")
    if of_rings["answering"] is not None and of_rings["favour"] is None:
        raise InputError("--answering does nothing without --favour, which says whose answers")
    if role == "ring" and everybody:
        raise InputError("--everybody does nothing with --role ring: it is of single nodes")
    for name, value in of_rings.items():
        if role != "ring" and value is not None:
            raise InputError(f"--{name} does nothing with --role {role}; --role ring takes it")


def _searchers(
    runner: VariantRunner,
    how: SearchSettings,
    whose: str,
    group: str | None,
    share: float | None,
    favour: str | None,
    answering: str | None,
) -> list[Deviation]:
    """Return who searches: the first node of a group or of each, or a ring."""
    from poq_abm.analysis.audit.best_response import favouring_most  # noqa: PLC0415
    from poq_abm.analysis.audit.deviations import ALL, groups_of, ring_of, searchers  # noqa: PLC0415
    from poq_abm.cli.audit import behaviour_of  # noqa: PLC0415
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    scenario = runner.scenario
    role: Role = "inference" if whose == "inference" else "evaluator"
    known = groups_of(scenario, role)
    if group is not None and group not in known:
        raise InputError(f"no group {group!r} of {role} nodes; {nearest(group, known)}")
    if whose == "ring":
        spec = None if answering is None else behaviour_of(answering, "--answering")
        size = _SHARE if share is None else share
        favoured = groups_of(scenario, "inference") if favour == _ANY else [favour]
        rings = [ring_of(scenario, role, group or ALL, size, one, spec) for one in favoured]
        if favour == _ANY:
            rings = [drive(favouring_most(runner, rings, how), runner.player)]
        return rings
    return searchers(scenario, role) if group is None else [ring_of(scenario, role, group, None)]


def _write(found: FoundAttack, folder: Path) -> Path:
    """Write an attack beside those found before, of which none is overwritten."""
    text = found.as_scenario()
    groups = "_".join(part.group for part in found.deviation.parts)
    stem = "".join(
        c if c.isalnum() or c in "-_" else "_" for c in f"{found.scenario.name}_{groups}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (f"{stem}.yaml" if number == 1 else f"{stem}_{number}.yaml")
            if path.exists() and path.read_text(encoding="utf-8") == text:
                return path
            try:
                with path.open("x", encoding="utf-8") as stream:
                    stream.write(text)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror or error}") from error
    raise InputError(f"{folder} holds 9,999 attacks of this name already")


def _row(found: FoundAttack, path: Path | None) -> dict[str, Any]:
    """Return what was found as a row of a table."""
    from poq_abm.analysis.audit.best_response import plainly  # noqa: PLC0415

    gain = found.gain or (found.last[1] if found.last else None)
    best = found.deviation.behaviour if found.found else (found.last[0] if found.last else None)
    return {
        "role": found.deviation.roles,
        "group": found.deviation.groups,
        "members": found.deviation.size,
        "behaviour": None if best is None else plainly(best),
        "gains": found.gains,
        "per": found.per,
        "replications": gain.replications if gain else 0,
        "honest": gain.mean_a if gain else math.nan,
        "gain": gain.difference if gain else math.nan,
        "low": gain.low if gain else math.nan,
        "high": gain.high if gain else math.nan,
        "confidence": found.settings.confidence,
        "epsilon": found.epsilon,
        "tried": found.tried,
        "ended": found.ended,
        "file": None if path is None else str(path),
        "sentence": found.sentence,
    }
