"""What an attack achieves and what it costs those who attack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.audit.deviations import ALL, Deviation, deviating, members_of
from poq_abm.analysis.audit.gains import earned_by, places
from poq_abm.analysis.audit.variants import PlayedVariant, VariantRunner
from poq_abm.analysis.charts import cells_of, paint_cells, write_cells
from poq_abm.analysis.figure_style import MARKERS, canvas, caption, colours, count_of, need
from poq_abm.analysis.questions import NODES, AnalysisRequest, FigureKind, Need, told
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.analysis.sweeps import (
    SHARE,
    axes_to_show,
    axis_named,
    fixed_axes,
    metric_over_axes,
    other_axis,
)
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.labels import field_in_words
from poq_abm.experiment.paired import paired
from poq_abm.experiment.results import Results
from poq_abm.rules.behaviour.base import Role, spell
from poq_abm.scenario import Scenario
from poq_abm.simulation.population import NodePopulation, build_population

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COSTS",
    "FIGURES",
    "SHARES",
    "attack_frontier",
    "attack_frontier_figure",
    "attack_phase_diagram",
    "attack_phases",
    "attack_phases_of",
]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
#: columns of what an attack costs, by what gains are counted per
COSTS = {"job": "cost_per_round", "epoch": "cost_per_epoch"}
_SIGNS = {"pays": "+", "costs": "\N{MINUS SIGN}", "undecided": "?"}


def attack_frontier(
    runner: VariantRunner,
    behaviours: Iterable[Mapping[str, Any]],
    *,
    shares: Sequence[float] = SHARES,
    role: Role = "evaluator",
    replications: int | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return how far coalitions of growing size move the consensus, and what they pay for it.

    A coalition holds floor(share x nodes) nodes of the role, those of a smaller share among those
    of a larger one. Shares that give nobody are left out, and the same number is played once.
    Replications default to the scenario's.

    Returns
    -------
    DataFrame
        One row per behaviour and share: ``behaviour``, ``share``, ``members``, ``replications``;
        ``drift``, mean consensus less the background's (points of 10), with ``drift_low``,
        ``drift_high``; ``gain`` per job of a member with ``gain_low``, ``gain_high``;
        ``cost_per_round``, tokens per round that the coalition gives up (below 0: it earns); in an
        economy ``cost_per_epoch``, in profit, as are gains;
        ``efficient``: whether no other attack in the table moves the consensus at least as far, in
        either direction, at a lower cost, or further at the same. Intervals are paired Student
        intervals, each by itself; ``efficient`` compares the estimates.

    Raises
    ------
    InputError
        If no share gives a coalition.
    """
    attacks = [
        deviation
        for behaviour in behaviours
        for deviation in _coalitions(runner.scenario, dict(behaviour), shares, role)
    ]
    if not attacks:
        raise InputError("no share in the list gives a coalition of even one node")
    variants = {f"a{i}": deviating(runner.scenario, attack) for i, attack in enumerate(attacks)}
    count = runner.replications if replications is None else replications
    played = runner.play({"base": runner.scenario, **variants}, 0, count)
    population = build_population(runner.scenario, runner.plan.profile(0))
    base = played.pop("base")
    total = population.role_is(role).sum()
    rows = [
        {"behaviour": spell(attack.behaviour), "share": len(attack.members) / total,
         **_effect(attack, base, one, population, confidence)}
        for attack, one in zip(attacks, played.values(), strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(efficient=_efficient(table))


def attack_phases(
    runner: VariantRunner,
    behaviour: Mapping[str, Any],
    field: str,
    values: Sequence[Any],
    *,
    shares: Sequence[float] = SHARES,
    role: Role = "evaluator",
    replications: int | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return whether an attack pays, by its share and by the value of a field.

    Columns: ``field`` (its path), ``value``, then those of :func:`attack_frontier` without
    ``efficient``, and ``phase``: ``pays`` or ``costs`` where the interval of the gain excludes
    zero, else ``undecided``. Each interval holds by itself.
    """
    parts = []
    for value in values:
        here = VariantRunner.of(
            runner.scenario.replace({field: value}),
            n_jobs=runner.workers.count,
            progress=runner.progress,
        )
        table = attack_frontier(
            here,
            [behaviour],
            shares=shares,
            role=role,
            replications=replications,
            confidence=confidence,
        )
        phase = np.select(
            [table["gain_low"] > 0.0, table["gain_high"] < 0.0], ["pays", "costs"], "undecided"
        )
        table = table.drop(columns="efficient").assign(phase=phase)
        table.insert(0, "value", [value] * len(table))
        table.insert(0, "field", field)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _coalitions(
    scenario: Scenario, behaviour: dict[str, Any], shares: Sequence[float], role: Role
) -> list[Deviation]:
    least = 2 if behaviour["name"] == "collude" else 1
    teams = {members_of(scenario, role, ALL, share) for share in shares}
    return [
        Deviation(role, ALL, members, behaviour)
        for members in sorted(teams, key=len)
        if len(members) >= least
    ]


def _effect(
    attack: Deviation,
    base: PlayedVariant,
    played: PlayedVariant,
    population: NodePopulation,
    confidence: float,
) -> dict[str, Any]:
    nodes = places(population, attack)
    drift = paired(base.consensus, played.consensus, confidence)
    gain = paired(earned_by(base, nodes), earned_by(played, nodes), confidence)
    moved = (played.rewards[:, nodes] - base.rewards[:, nodes]).sum(axis=1)
    return {
        "members": len(attack.members),
        "replications": drift.replications,
        "drift": drift.difference,
        "drift_low": drift.low,
        "drift_high": drift.high,
        "gain": gain.difference,
        "gain_low": gain.low,
        "gain_high": gain.high,
        COSTS[played.per]: 0.0 - float(moved.mean()) / played.rounds,
    }


def _efficient(table: pd.DataFrame) -> list[bool]:
    (name,) = (name for name in COSTS.values() if name in table)
    far, cost = table["drift"].abs().to_numpy(), table[name].to_numpy()
    return [
        not bool(np.any((far >= f) & (cost <= c) & ((far > f) | (cost < c))))
        for f, c in zip(far, cost, strict=True)
    ]


def attack_phases_of(
    results: Results,
    field: str,
    *,
    where: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return where attackers earn more than they would honestly, by share and another axis.

    From a run that sweeps ``malicious.share`` and ``field``. ``gain`` is what malicious evaluators
    earn per job less what the same nodes earn in the honest twin, where nobody deviates: the gain
    of them all together, where :func:`attack_phases` asks for one's. Columns:
    ``field``, ``value``, ``share``, ``drift``, ``gain``, ``gain_low``, ``gain_high``, ``phase``
    (``pays``, ``costs`` or ``undecided``), ``replications``. Cells without attackers are left out.
    """
    axes = ["malicious.share", field]
    gap = metric_over_axes(results, "reward_gap", axes, where=where, confidence=confidence)
    drift = metric_over_axes(results, "consensus_drift", axes, where=where, confidence=confidence)
    axis = axis_named(results.treatments, field)
    table = pd.DataFrame(
        {
            "field": axis,
            "value": gap[axis],
            "share": gap["malicious.share"],
            "drift": drift["mean"],
            "gain": -gap["mean"],
            "gain_low": -gap["high"],
            "gain_high": -gap["low"],
            "replications": gap["replications"],
        }
    )
    table["phase"] = np.select(
        [table["gain_low"] > 0.0, table["gain_high"] < 0.0], ["pays", "costs"], "undecided"
    )
    return table[table["gain"].notna()].reset_index(drop=True)


def attack_phase_diagram(frame: pd.DataFrame) -> Figure:
    """Return where an attack pays: drift of the consensus as colour, the sign of its gain as mark.

    ``frame`` has the columns of :func:`attack_phases` or of
    :func:`attack_phases_of`: field, value, share, drift, phase. A plus
    means that the 95% interval of the attackers' gain lies above zero, a minus below, a question
    mark that it contains zero.
    """
    need(frame, ["field", "value", "share", "drift", "phase"])
    field = str(frame["field"].iloc[0])
    table = cells_of(frame, "share", "value", "drift")
    marks = cells_of(frame, "share", "value", "phase").map(lambda phase: _SIGNS.get(phase, ""))
    figure, (axes,) = canvas(
        max(5.4, 1.4 + 0.75 * table.shape[1]), max(3.4, 1.8 + 0.5 * len(table))
    )
    paint_cells(figure, axes, table, "drift of the mean consensus (points of 10)")
    write_cells(axes, table, marks, size=12)
    axes.set_xlabel("share of evaluators that attack (0-1)")
    axes.set_ylabel(field_in_words(field))
    against = frame.attrs.get("gain_against", "being honest")
    caption(figure, "Where the attack pays", frame,
            f"+ pays, {_SIGNS['costs']} costs, ? undecided, against {against} (95%)",
            count_of(frame))  # fmt: skip
    return figure


def attack_frontier_figure(frame: pd.DataFrame) -> Figure:
    """Return how far coalitions move the consensus against what it costs them, a line per attack.

    ``frame`` is :func:`attack_frontier`.
    """
    cost = "cost_per_epoch" if "cost_per_epoch" in frame else "cost_per_round"
    need(frame, ["behaviour", "members", "drift", cost, "efficient"])
    figure, (axes,) = canvas(6.8, 4.4)
    attacks = list(dict.fromkeys(frame["behaviour"]))
    paint = colours(attacks)
    for number, attack in enumerate(attacks):
        line = frame[frame["behaviour"] == attack].sort_values("members")
        mark = MARKERS[number % len(MARKERS)]
        axes.plot(line[cost], line["drift"], color=paint[attack], linewidth=1.0)
        for efficient, part in line.groupby("efficient"):
            axes.plot(part[cost], part["drift"], mark, color=paint[attack],
                      markerfacecolor=paint[attack] if efficient else "white")  # fmt: skip
        axes.plot([], [], mark, color=paint[attack], label=attack)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_xlabel(
        f"cost to the coalition (tokens {cost[5:].replace('_', ' ')}; left of 0 it earns)"
    )
    axes.set_ylabel("drift of the mean consensus (points of 10)")
    axes.legend(frameon=False, fontsize=7.5)
    sizes = ", ".join(f"{n}" for n in sorted(set(frame["members"])))
    caption(figure, "What an attack moves, and what it costs", frame, count_of(frame),
            f"coalitions of {sizes}; filled: no other attack moves more for less")  # fmt: skip
    return figure


def _phases(request: AnalysisRequest) -> Figure:
    run = request.run
    y = other_axis(run, request.y, "name the other axis with --y", [SHARE])
    table = attack_phases_of(run.results, y, where=request.where)
    table.attrs["gain_against"] = "their honest twins"
    return attack_phase_diagram(told(table, run, *fixed_axes(request.where)))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("nodes") and len(run.moving_axes) > 1 and SHARE in run.moving_axes:
        _, y, where = axes_to_show(run)
        yield {"y": y, "where": where}


_ATTACKS = Need(
    "a sweep of malicious.share and of another axis",
    lambda run: SHARE in run.axes and len(run.axes) > 1,
)
FIGURES = (
    FigureKind(
        "phases",
        "where an attack pays, by malicious share and another axis (--y)",
        _phases,
        ("y", "where"),
        _fits,
        (NODES, _ATTACKS),
    ),
)
