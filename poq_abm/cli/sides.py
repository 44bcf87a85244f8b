"""The two sides of a comparison: scenarios to play, or results that were stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from poq_abm.analysis.axis_effects import averaged_side, treatments_at
from poq_abm.cli.progress import announce_compilation, progress_bar
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.manifest import read_manifest
from poq_abm.experiment.paired import SideTables
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, read_results
from poq_abm.experiment.running import run
from poq_abm.scenario import scenario_names

__all__ = ["Side", "is_stored", "matched", "open_side", "sides_of_folder", "what_differs"]

SHOWN = 6  # treatments named in a message; more are counted


class Side(NamedTuple):
    """One treatment: how the user called it, what keyed its draws, and its tables, when needed."""

    name: str
    seed: int
    profile: str  # its name
    profile_hash: str  # what tells it apart from another of that name
    main: str  # its table of one row per replication
    tables: Callable[[], SideTables]


def is_stored(source: str) -> bool:
    """Return whether a side is a results folder; a name from the library is that scenario."""
    return source not in scenario_names() and Path(source).is_dir()


def open_side(source: str, overrides: Sequence[str], jobs: int) -> Side:
    """Return a side that is a results folder or a scenario, each of exactly one treatment."""
    if is_stored(source):
        manifest = read_manifest(Path(source))
        results = read_results(source)
        names = [str(entry["id"]) for entry in manifest["treatments"]]
        if len(names) > 1:
            raise InputError(f"{source} holds {_several(names)}; compare two with --in {source}")
        ((profile, content),) = manifest["profiles"].items()
        tables = results.side(names[0])
        seed, main = int(results.scenario["seed"]), _main(results)
        return Side(source, seed, profile, content, main, lambda: tables)
    plan = Plan.load(source, overrides)
    names = [treatment.id for treatment in plan.treatments]
    if len(names) > 1:
        raise InputError(
            f"{source} has {_several(names)}; play it with `poq run {source}` and compare two of "
            "them with --in FOLDER"
        )
    drawn = plan.profile(0)

    def play() -> SideTables:
        announce_compilation()
        with progress_bar(source) as bar:
            bar.expect(plan.rounds)
            return run(plan.scenario, n_jobs=jobs, progress=bar.played).side(names[0])

    return Side(source, plan.scenario.seed, drawn.name, drawn.content_hash, plan.main, play)


def sides_of_folder(folder: str, a: str, b: str) -> tuple[Side, Side]:
    """Return two treatments of one stored run, or the means over all that share a value."""
    results = read_results(folder)
    manifest = read_manifest(Path(folder))
    settings = {str(entry["id"]): entry["settings"] for entry in manifest["treatments"]}

    def side(name: str) -> Side:
        found = [name] if name in settings else treatments_at(results, name)
        if not found:
            raise InputError(f"{folder} has no treatment {name!r}; {nearest(name, settings)}")
        swept = [settings[one] for one in found]
        profiles = [str(one.get("profile", results.scenario["profile"])) for one in swept]
        made = [{k: v for k, v in one.items() if k.startswith("synthetic")} for one in swept]
        told_apart = json.dumps([profiles, made], sort_keys=True)
        tables = averaged_side(results, found)
        seed, said = int(results.scenario["seed"]), name
        if len(found) > 1:
            said = f"{name} (mean of {len(found)} treatments)"
        profile = Path(profiles[0]).name
        return Side(said, seed, profile, told_apart, _main(results), lambda: tables)

    return side(a), side(b)


def matched(a: Side, b: Side) -> None:
    """Raise unless the replications of both sides saw the same luck, and measured the same."""
    if a.main != b.main:
        raise InputError(
            f"{a.name} leaves {a.main} and {b.name} leaves {b.main}: rounds and queries of "
            "verification protocols share no measure; give both a verification, or neither"
        )
    if a.seed != b.seed:
        raise InputError(
            f"{a.name} is drawn with seed {a.seed}, {b.name} with seed {b.seed}: their "
            "replications are no matched pairs; play both with one seed (--seed)"
        )


def what_differs(a: Side, b: Side, left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    """Return a line for whatever leaves replications unmatched, or matched less closely."""
    differ = []
    noun = _length(left)
    rounds = [" or ".join(f"{n:,}" for n in sorted(t[_length(t)].unique())) for t in (left, right)]
    if rounds[0] != rounds[1]:
        differ.append(f"{noun} ({rounds[0]} and {rounds[1]})")
    if a.profile_hash != b.profile_hash:
        other = f"{a.profile} and {b.profile}" if a.profile != b.profile else "two of one name"
        differ.append(f"profiles ({other})")
    lines = []
    if differ:
        lines.append(
            f"Different {' and '.join(differ)}: draws are keyed alike, but the pairs match less."
        )
    alone = len(set(left["replication"]) ^ set(right["replication"]))
    if alone:
        lines.append(f"Replications without a partner on the other side, left out: {alone}.")
    return lines


def _main(results: Results) -> str:
    return "queries" if "queries" in results.tables else "replications"


def _length(table: pd.DataFrame) -> str:
    return "rounds" if "rounds" in table else "queries"


def _several(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} treatments ({'; '.join(names[:SHOWN])}{more})"
