"""What the cheapest honest contract costs: pay by score bin that makes a model the best to run.

A node chooses which model it runs and is paid by the scores of its answers, which fall into bins.
What a contract is, and how the cheapest is found: :mod:`poq_abm.analysis.cheapest_contract`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.cheapest_contract import (
    ContractProgram,
    cheapest_contract,
    imitation,
    least_alpha,
    robust_costs,
)
from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours, need, records_of
from poq_abm.analysis.questions import of_profile
from poq_abm.analysis.resampling import CONFIDENCE, record_intervals
from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.committee import open_committee
from poq_abm.rules.payment.batch_payment import cut_points
from poq_abm.rules.payment.contract import MOST_BINS
from poq_abm.rules.payment.formulas import SCORE_SCALE, min_max_cost
from poq_abm.rules.registry import find, rules

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "ScoreBins",
    "bin_names",
    "contract_plot",
    "contract_sentence",
    "contract_table",
    "model_costs",
    "score_bins",
]

Array = NDArray[np.float64]

RESAMPLES: Final = 200  #: of records: six linear programs each
_MOST_SCORES: Final = 2_000_000  # consensus scores that are computed one by one
_VERSIONS: Final = ("as known", "cost-robust", "monotone")


class ScoreBins(NamedTuple):
    """How the consensus scores of each model's answers fall into bins, record by record."""

    edges: tuple[float, ...]  #: least score of each bin but the first, rising
    shares: Array  #: (records, models, bins) over committees: what each record adds to F
    quality: Array  #: (records, models) mean Q, in [0, 1]

    @property
    def chances(self) -> Array:
        """F, over all records; shape (models, bins)."""
        mean: Array = self.shares.mean(axis=0)
        return mean


def score_bins(
    profile: Profile,
    *,
    evaluator: str | None = None,
    committee_size: int | None = None,
    aggregation: str = "mean",
    bins: int = 5,
    spacing: Literal["quantile", "equal"] = "quantile",
) -> ScoreBins:
    """Return how the models' scores fall into bins.

    Scores are those of one evaluator, or the consensus of every committee of ``committee_size``
    different evaluators (default 3, or all of fewer), each as likely. Bins are equally likely over
    the answers of all models together (scores that many answers have stay together, so that there
    may be fewer), or equally wide.

    Raises
    ------
    InputError
        For an evaluator or a rule that is not known, a size or a number of bins out of range, and
        more committees than can be looked at.

    Examples
    --------
    >>> from poq_abm.profile import load_profile
    >>> found = score_bins(load_profile("published"), bins=4)
    >>> found.chances.shape, found.chances.mean(axis=0).round(2).tolist()
    ((5, 4), [0.25, 0.25, 0.25, 0.25])
    """
    if not 2 <= bins <= MOST_BINS:
        raise InputError(f"a contract has 2 to {MOST_BINS} bins, not {bins}")
    scores = _consensus(profile, evaluator, committee_size, aggregation)
    if spacing == "equal":
        cuts = np.arange(1, bins) * (SCORE_SCALE / bins)
    else:
        cuts = cut_points(scores.ravel(), bins)
    # As they are written down: what is found holds for the numbers that are read again.
    edges = np.unique(np.round(cuts[np.isfinite(cuts)], 4))
    edges = edges[edges > 0.0]
    place = np.searchsorted(edges, scores, side="right")
    shares = (place[..., None] == np.arange(edges.size + 1)).mean(axis=2)
    return ScoreBins(tuple(edges.tolist()), shares, scores.mean(axis=2) / SCORE_SCALE)


def _consensus(
    profile: Profile, evaluator: str | None, committee_size: int | None, aggregation: str
) -> Array:
    """Return the consensus of every answer by every committee; (records, models, committees)."""
    known = profile.evaluators
    if evaluator is not None:
        if evaluator not in known:
            raise InputError(
                f"profile {profile.name!r} has no evaluator {evaluator!r}; "
                f"{nearest(evaluator, known)}"
            )
        return profile.scores[:, :, [known.index(evaluator)]]
    size = min(3, len(known)) if committee_size is None else committee_size
    if not 1 <= size <= len(known):
        raise InputError(
            f"a committee has 1 to {len(known)} different evaluators of profile "
            f"{profile.name!r}, not {size}"
        )
    if aggregation not in rules(AGGREGATION):
        raise InputError(f"no aggregation rule {aggregation!r}; "
                         f"{nearest(aggregation, rules(AGGREGATION))}")  # fmt: skip
    rule = find(AGGREGATION, aggregation)
    if rule.largest_committee is not None and size > rule.largest_committee:
        raise InputError(f"{aggregation} takes a committee of up to {rule.largest_committee}")
    answers = profile.scores.reshape(-1, len(known))
    if len(answers) * comb(len(known), size) > _MOST_SCORES:
        raise InputError(
            f"{comb(len(known), size):,} committees of {size} for each of {len(answers):,} answers "
            f"are too many; choose a smaller or larger one, or one evaluator"
        )
    kernel, values = rule.compiled(), rule.arguments(rule.array({}))
    committee, found = open_committee(np.zeros(size)), []
    for members in combinations(range(len(known)), size):
        for scores in answers[:, members]:
            committee.scores[:] = scores
            found.append(float(kernel(committee, *values)))
    shape = (-1, len(profile.records), len(profile.models))
    return np.moveaxis(np.array(found).reshape(shape), 0, 2)


def model_costs(
    profile: Profile,
    *,
    basis: Literal["latency", "price"] = "latency",
    beta: float = 0.3,
    hardware: str | None = None,
) -> Array:
    """Return what an answer of each model costs its node.

    beta C in points, with C the latency min-max normalised over the models of the profile; or
    dollars, with ``basis="price"``. On ``hardware``, else on the first that each was measured on.

    Raises :class:`~poq_abm.errors.InputError` where that is not known.

    >>> from poq_abm.profile import load_profile
    >>> model_costs(load_profile("published")).round(3).tolist()
    [0.0, 0.007, 0.088, 0.28, 0.3]
    """
    machines = [hardware or profile.hardware_of(model)[0] for model in profile.models]
    if basis == "price":
        pairs = zip(profile.models, machines, strict=True)
        return np.array([profile.usd_per_answer(model, machine) for model, machine in pairs])
    pairs = zip(profile.models, machines, strict=True)
    latency = np.array([profile.latency_ms(model, machine) for model, machine in pairs])
    return beta * min_max_cost(latency)


def _programs(
    chances: Array, costs: Array, target: int, margin: float
) -> Iterator[tuple[ContractProgram, Array, bool]]:
    """Yield the program of every version, its costs, and whether it is monotone."""
    for version in _VERSIONS:
        of = robust_costs(costs, target) if version == "cost-robust" else costs.copy()
        of[target] += margin
        monotone = version == "monotone"
        yield ContractProgram.of(chances, of, target, monotone=monotone), of, monotone


def contract_table(
    profile: Profile,
    target: str,
    binned: ScoreBins,
    costs: Array,
    *,
    margin: float = 0.0,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> pd.DataFrame:
    """Return the cheapest contracts that make a model the best to run, and the linear reward.

    A row for what each version minimises. Columns: contract (``as known``; ``cost-robust``, which
    works whatever the cheaper models cost; ``monotone``, whose pay does not fall as scores rise;
    ``linear``, alpha Q), minimises (``pay`` or ``budget``), expected_pay and largest_pay per answer
    (of ``linear``, alpha), low and high (the 95 % interval of what is minimised), exists_in (the
    share of resamples in which there is one), pay_1 ... (by bin), and imitated_by: where there is
    none, the cheaper mix of models that scores alike. The target earns its node ``margin`` more
    than any other model does. Records are resampled within their tasks, with bins as they are; an
    interval needs a contract in nine tenths of the resamples.

    Raises :class:`~poq_abm.errors.InputError` for a model that the profile does not have, and for
    one that has no other beside it.
    """
    if target not in profile.models:
        raise InputError(
            f"profile {profile.name!r} has no model {target!r}; {nearest(target, profile.models)}"
        )
    if len(profile.models) < 2:
        raise InputError(f"profile {profile.name!r} has one model: there is nothing to choose")
    place, shape = profile.models.index(target), binned.shares.shape
    cells = shape[1] * shape[2]
    needed = costs + margin * (np.arange(costs.size) == place)

    def least(totals: Array) -> Array:
        found = []
        for total in totals.sum(axis=1):
            chances = total[:cells].reshape(shape[1:])
            chances = chances / chances.sum(axis=1, keepdims=True)
            row = []
            for program, _, _ in _programs(chances, costs, place, margin):
                for objective in program.objectives:
                    solved = program.solve(objective)
                    row.append(np.nan if solved is None else float((objective * solved).sum()))
            quality = total[cells:-1] / total[-1]
            row.append(least_alpha(quality, needed, place) * quality[place])
            found.append(row)
        drawn.append(np.isfinite(found).mean(axis=0))
        return np.array(found)

    drawn: list[Array] = []  # shares of samples with a contract: of the whole, then of resamples
    sums = np.hstack([binned.shares.reshape(shape[0], -1), binned.quality, np.ones((shape[0], 1))])
    _, strata = np.unique(profile.task_of_record, return_inverse=True)
    found = record_intervals(sums, strata.astype(np.int64), least, resamples=resamples, seed=seed)
    rows = list(_rows(profile, binned, costs, place, margin))
    frame = pd.DataFrame(rows).assign(low=found.low, high=found.high, exists_in=drawn[-1])
    frame.attrs["margin"] = margin
    return of_profile(frame, profile)


def _rows(
    profile: Profile, binned: ScoreBins, costs: Array, place: int, margin: float
) -> Iterator[dict[str, object]]:
    """Yield the rows of the table, without what takes resamples."""
    chances = binned.chances
    for version, (_, of, monotone) in zip(
        _VERSIONS, _programs(chances, costs, place, margin), strict=True
    ):
        mix = imitation(chances, of, place, monotone=monotone)
        for minimise in ("pay", "budget"):
            pay = cheapest_contract(chances, of, place, minimise=minimise, monotone=monotone)
            pays = np.full(chances.shape[1], np.nan) if pay is None else pay
            expected = float((chances[place] * pays).sum())
            row: dict[str, object] = {"contract": version, "minimises": minimise,
                   "expected_pay": expected, "largest_pay": float(pays.max()),
                   "low": np.nan, "high": np.nan, "exists_in": np.nan}  # fmt: skip
            row |= {f"pay_{number}": float(each) for number, each in enumerate(pays, start=1)}
            yield row | {"imitated_by": _mix(profile, mix) if pay is None else ""}
    quality = binned.quality.mean(axis=0)
    alpha = least_alpha(quality, costs + margin * (np.arange(costs.size) == place), place)
    yield {"contract": "linear", "minimises": "pay", "expected_pay": alpha * quality[place],
           "largest_pay": alpha, "imitated_by": ""}  # fmt: skip


def _mix(profile: Profile, weights: Array | None) -> str:
    """Return a mix of models in words, the largest share first.

    A share of less than a thousandth is left out.
    """
    if weights is None:
        return ""
    shares = [(float(weights[place]), name) for place, name in enumerate(profile.models)]
    named = [(share, name) for share, name in sorted(shares, reverse=True) if share >= 1e-3]
    if len(named) == 1:
        return named[0][1]
    return " + ".join(f"{share:.1%} {name}" for share, name in named)


def contract_sentence(frame: pd.DataFrame, target: str, unit: str = "points") -> str:
    """Return what the cheapest honest contract costs, in a few sentences.

    ``frame`` is :func:`contract_table`'s.
    """
    row, margin = frame.iloc[0], frame.attrs.get("margin", 0.0)
    by = f" by {margin:g} {unit}" if margin else ""
    less = f"costs less than {margin:g} {unit} more" if margin else "costs less"
    if np.isnan(row.expected_pay):
        why = row.imitated_by
        mix = "the mix " if "+" in why else ""
        said = f"{mix}{why} scores alike and {less}"
        return f"No contract on these scores makes {target} the best to run{by}: {said}."
    ends = "" if np.isnan(row.low) else f" [{row.low:.4g}, {row.high:.4g}]"
    parts = [
        f"The cheapest contract that makes {target} the best to run{by} pays {row.expected_pay:.4g}"
        f"{ends} {unit} an answer, {row.largest_pay:.4g} at most."
    ]
    rising = frame[frame["contract"] == "monotone"].iloc[0]
    pays = [row[name] for name in frame.columns if name.startswith("pay_")]
    falls = "It pays less for some better scores, so that a node can gain by spoiling its answers"
    if np.isnan(rising.expected_pay):
        parts.append(f"{falls}; no contract does whose pay never falls: {rising.imitated_by} "
                     f"scores as well and {less}.")  # fmt: skip
    elif (np.diff(pays) < 0.0).any():
        parts.append(f"{falls}; pay that never falls comes to {rising.expected_pay:.4g}.")
    linear = frame[frame["contract"] == "linear"].iloc[0]
    if np.isnan(linear.expected_pay):
        parts.append("No alpha makes alpha Q - beta C do it.")
    else:
        parts.append(
            f"alpha Q - beta C does it from alpha = {linear.largest_pay:.4g}, "
            f"for {linear.expected_pay:.4g}."
        )
    if row.exists_in < 1.0:
        parts.append(f"A contract exists in {row.exists_in:.0%} of the resamples of the records.")
    return " ".join(parts)


def contract_plot(frame: pd.DataFrame, profile: Profile, target: str, binned: ScoreBins) -> Figure:
    """Return the picture: what tells the models apart, and what each contract pays.

    ``frame`` is :func:`contract_table`'s.
    """
    need(frame, ["contract", "minimises", "expected_pay", "pay_1"])
    figure, (left, right) = canvas(8.2, 4.0, 2)
    places = np.arange(len(binned.edges) + 1)
    colour = colours(profile.models)
    for number, (model, row) in enumerate(zip(profile.models, binned.chances, strict=True)):
        wide = 2.4 if model == target else 1.0
        left.plot(places, row, DASHES[number % len(DASHES)], color=colour[model], label=model,
                  linewidth=wide, marker="o", markersize=3)  # fmt: skip
    first = (frame["minimises"] == "pay") | (frame["contract"] == "as known")
    shown = frame[frame["pay_1"].notna() & first]
    for number, row in enumerate(shown.to_dict("records")):
        pays = [row[f"pay_{place + 1}"] for place in places]
        right.step(places, pays, where="mid", linestyle=DASHES[number % len(DASHES)],
                   label=f"{row['contract']}, least {row['minimises']}")  # fmt: skip
    names = bin_names(binned.edges)
    for axes in (left, right):
        axes.set_xticks(places, names, rotation=30, ha="right", fontsize=7)
        axes.set_xlabel("bin of the consensus (0-10)")
    left.set_ylabel("share of answers (0-1)")
    right.set_ylabel(f"pay ({frame.attrs.get('unit', 'points')} per answer)")
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=7)
    caption(figure, "What does the cheapest honest contract cost?", frame,
            contract_sentence(frame, target, frame.attrs.get("unit", "points")),
            records_of(frame), f"intervals {CONFIDENCE:.0%}")  # fmt: skip
    return figure


def bin_names(edges: Sequence[float]) -> list[str]:
    """Return the bins in words.

    >>> bin_names((2.5, 5.0))
    ['< 2.5', '2.5 - 5', '>= 5']
    """
    if not edges:
        return ["all"]
    names = [f"{edge:.4g}" for edge in edges]
    inner = [f"{low} - {high}" for low, high in pairwise(names)]
    return [f"< {names[0]}", *inner, f">= {names[-1]}"]
