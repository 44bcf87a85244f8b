"""``poq equilibrium``: what nodes of a role would settle on."""

from __future__ import annotations

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
    from poq_abm.analysis.audit.variants import VariantRunner
    from poq_abm.analysis.equilibrium.solution import SolvedGame
    from poq_abm.analysis.equilibrium.two_roles import TwoRoleGame
    from poq_abm.rules.behaviour.base import Role

__all__ = ["equilibrium"]

_ROLES = ("evaluator", "inference", "both")

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="SPEC",
        help="A behaviour besides honest; may be repeated. Default: the two (of both roles: the "
        "one of each) that gain most.",
    ),
]
RoleName = Annotated[str, typer.Option(metavar="evaluator|inference|both", help="Whose game.")]
Group = Annotated[
    str | None, typer.Option(metavar="GROUP", help="Whose payoff counts; default: each group's.")
]
Players = Annotated[
    int | None, typer.Option(help="That stand for all nodes of the role; default: 5 at most.")
]
TreatmentName = Annotated[
    str | None, typer.Option(metavar="ID", help="Which treatment of a sweep.")
]
Figure = Annotated[
    Path | None,
    typer.Option(
        metavar="STEM", help="Draw the drift of two or three strategies as STEM.svg, .png."
    ),
]


def equilibrium(
    scenario: ScenarioArgument,
    strategy: Strategies = None,
    role: RoleName = "evaluator",
    group: Group = None,
    players: Players = None,
    compute_cost: ComputeCost = 0.0,
    treatment: TreatmentName = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    figure: Figure = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Play the game among behaviours of a role: equilibria, basins, what invades honesty."""
    from poq_abm.analysis.audit.deviations import ALL  # noqa: PLC0415
    from poq_abm.analysis.audit.variants import VariantRunner  # noqa: PLC0415
    from poq_abm.analysis.equilibrium.reduced_game import (  # noqa: PLC0415
        best_deviations,
        reduced_game,
    )
    from poq_abm.analysis.equilibrium.solution import SolvedGame, solve  # noqa: PLC0415
    from poq_abm.cli.audit import behaviour_of, treatment_of  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    _refuse(role, group=group, players=players, figure=figure)
    whose: Role = "inference" if role == "inference" else "evaluator"
    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    chosen = treatment_of(scenario, [*(settings or []), *overrides], treatment)
    specs = [behaviour_of(text, "--strategy") for text in strategy or []]
    announce_compilation()
    with progress_bar(chosen.name) as bar:
        runner = VariantRunner.of(
            chosen, n_jobs=jobs, progress=bar.played, compute_cost=compute_cost
        )
        if role == "both":
            solved: TwoRoleGame | SolvedGame = _between_roles(runner, specs)
        else:
            specs = specs or best_deviations(runner, role=whose, group=group or ALL)
            game = reduced_game(runner, specs, role=whose, group=group or ALL, players=players)
            solved = solve(game)
    said = solved.sentences
    if runner.left_out:
        said.append(f"Adaptation is left out ({', '.join(runner.left_out)}).")
    if not print_data(solved.tables, as_json=as_json, as_csv=as_csv, said=said):
        if isinstance(solved, SolvedGame):
            _print(solved)
        else:
            _print_between(solved)
        for line in said:
            say(line)
    if figure is not None and isinstance(solved, SolvedGame):
        _draw(solved, figure)


def _refuse(role: str, **of_one_role: object) -> None:
    if role not in _ROLES:
        raise InputError(f"--role {role}: {nearest(role, _ROLES)}")
    for name, value in of_one_role.items():
        if role == "both" and value is not None:
            raise InputError(f"--{name} does nothing with --role both")


def _print(solved: SolvedGame) -> None:
    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    game, level = solved.game, f"{solved.confidence:.0%} intervals"
    payoffs = solved.payoffs.assign(
        half=(solved.payoffs["high"] - solved.payoffs["low"]) / 2.0,
        shown=[f"{mean:.4f}" for mean in solved.payoffs["payoff"]],
    )
    wide = payoffs.pivot_table(
        index="others", columns="strategy", values="shown", aggfunc="first", sort=False
    )
    widest = payoffs["half"].max()
    print_frame(
        wide[list(game.strategies)].reset_index(),
        f"{game.scenario.name}: tokens per {game.per} of a node by what it does (columns) and what "
        f"the others do (rows); the widest interval is +-{widest:.2g}",
    )
    equilibria = solved.equilibria.assign(
        interval=[f"[{a:.4f}, {b:.4f}]" for a, b in solved.equilibria[["low", "high"]].to_numpy()],
        equilibrium=[
            "no" if not is_one else "stable" if stable else "unstable"
            for is_one, stable in solved.equilibria[["equilibrium", "stable"]].to_numpy()
        ],
        regret=[f"{one:.4f}" for one in solved.equilibria["regret"]],
        basin=[f"{one:.0%}" for one in solved.equilibria["basin"]],
    )
    kept = [*game.strategies, "equilibrium", "regret", "interval", "basin"]
    print_frame(
        equilibria[kept],
        f"Symmetric equilibria of the mean payoffs, and pure mixes: shares, regret, {level}",
        keys=len(game.strategies),
        number=".3f",
    )
    ranks = solved.ranks.assign(
        interval=[f"[{a:.3f}, {b:.3f}]" for a, b in solved.ranks[["low", "high"]].to_numpy()]
    )
    title = (
        f"Alpha-rank: share of time, {ranks['population'][0]} nodes, alpha {ranks['alpha'][0]:.3g}"
    )
    print_frame(ranks[["strategy", "time", "interval"]], title, number=".3f")
    print_frame(
        solved.path, "Logit equilibria: shares by precision lambda, per token", number=".4g"
    )
    shown = solved.invasion.assign(
        interval=[f"[{a:.3f}, {b:.3f}]" for a, b in solved.invasion[["low", "high"]].to_numpy()]
    )
    print_frame(
        shown[["deviation", "threshold", "interval"]],
        "Share of deviators among the others from which on one more gains (inf: never)",
        number=".3f",
    )


def _between_roles(runner: VariantRunner, specs: list[dict[str, Any]]) -> TwoRoleGame:
    """Return the game between roles; a strategy is of every role that knows it."""
    from poq_abm.analysis.audit.deviations import ROLES  # noqa: PLC0415
    from poq_abm.analysis.equilibrium.reduced_game import best_deviations  # noqa: PLC0415
    from poq_abm.analysis.equilibrium.two_roles import two_role_game  # noqa: PLC0415
    from poq_abm.rules.behaviour.base import BEHAVIOURS  # noqa: PLC0415
    from poq_abm.rules.registry import rules  # noqa: PLC0415

    known = {role: rules(BEHAVIOURS[role]) for role in ROLES}
    names = [name for some in known.values() for name in some]
    for spec in specs:
        if spec["name"] not in names:
            raise InputError(f"no behaviour {spec['name']!r}; {nearest(spec['name'], names)}")
    wanted = {role: [spec for spec in specs if spec["name"] in known[role]] for role in ROLES}
    for role in ROLES:
        wanted[role] = wanted[role] or best_deviations(runner, role=role, most=1)
    return two_role_game(runner, wanted)


def _print_between(between: TwoRoleGame) -> None:
    from poq_abm.analysis.audit.deviations import ROLES  # noqa: PLC0415
    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    table = between.profiles()
    shown = table[list(ROLES)].assign(
        equilibrium=["yes" if one else "no" for one in table["equilibrium"]]
    )
    for role in ROLES:
        ends = table[[f"{role}_{name}" for name in ("regret", "low", "high")]].to_numpy()
        best = table[f"{role}_best"]
        shown[f"{role} regret"] = [
            f"{name}: {gain:.4f} [{low:.4f}, {high:.4f}]" if gain > 0.0 else "0"
            for name, (gain, low, high) in zip(best, ends, strict=True)
        ]
    print_frame(
        shown,
        f"{between.scenario.name}: what a node gains by leaving what all of its role do, in tokens "
        f"per {between.per}, by what all inference nodes and all evaluators do",
        keys=2,
    )
    print_frame(
        between.path, "Logit equilibria: shares by precision lambda, per token", number=".4g"
    )


def _draw(solved: SolvedGame, stem: Path) -> None:
    from poq_abm.analysis.equilibrium.drift import drift_figure  # noqa: PLC0415
    from poq_abm.analysis.figure_style import write  # noqa: PLC0415

    for path in write(drift_figure(solved), stem):
        typer.echo(f"wrote {path}", err=True)
