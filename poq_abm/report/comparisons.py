"""What the treatments of a sweep did: matched differences, with verdicts that hold together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.comparing import compare
from poq_abm.analysis.paired import holm
from poq_abm.analysis.sweeps import literal_values
from poq_abm.analysis.telling import describe, is_equal
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.query_study import SHOWN
from poq_abm.report.subject import Subject
from poq_abm.report.tables import Table, of_frame

__all__ = ["Comparison", "comparisons"]

MOST_COMPARED = 10  #: of more treatments, the ends of every axis are compared instead
#: what is compared: rewards, how well the committee does, and what an economy comes to
_MEASURES = (
    "inference_reward_mean", "evaluator_reward_mean", "consensus_mean", "correlation",
    "mean_absolute_error", "bias", "reward_gap", "payout_inflation",
    "profit_mean", "welfare", "dropped_share", "deviating_share",
)  # fmt: skip


class Comparison(NamedTuple):
    """Two sides of a sweep, the sentence about them, and the table behind it."""

    sentence: str
    table: Table


def comparisons(subject: Subject) -> list[Comparison]:
    """Return every comparison that a run invites; none where there is one treatment.

    Few treatments are compared with the first of them. Of many, the two ends of each axis are
    compared, every measure averaged over the treatments that agree on all other axes. Holm's
    adjustment runs over all rows of all comparisons, so that the verdicts hold together.
    """
    played = subject.results.main
    measures = [name for name in (*_MEASURES, *SHOWN) if name in played.select_dtypes("float")]
    few = len(subject.treatments) <= MOST_COMPARED
    sides = _against_first(subject) if few else _ends_of_axes(subject)
    found: list[tuple[str, str, pd.DataFrame]] = []
    for name_a, name_b, these, those in sides:
        a, b = _matched(played, these, those, measures)
        if len(a):
            found.append((name_a, name_b, compare(a, b)))
    if not found:
        return []
    adjusted = holm(pd.concat([table["p_value"] for *_, table in found]).to_numpy())
    done, start = [], 0
    for name_a, name_b, table in found:
        told = _judged(table, adjusted[start : start + len(table)])
        start += len(table)
        done.append(Comparison(describe(told, name_a, name_b), _shown(told, name_a, name_b)))
    return done


def _judged(table: pd.DataFrame, adjusted: NDArray[np.float64]) -> pd.DataFrame:
    """Replace a comparison's own verdicts by those that hold beside all others."""
    told = table.assign(p_adjusted=adjusted)
    shown = told["p_adjusted"] < 1.0 - CONFIDENCE
    told["moved"] = "no evidence"
    told.loc[shown & (told["difference"] > 0.0), "moved"] = "up"
    told.loc[shown & (told["difference"] < 0.0), "moved"] = "down"
    return told


def _shown(table: pd.DataFrame, name_a: str, name_b: str) -> Table:
    frame = table.copy()
    silent = frame["low"].isna()
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    equal = np.array([is_equal(row) for row in rows])
    frame["verdict"] = frame["moved"].mask(silent, "one pair: no verdict").mask(equal, "equal")
    return of_frame(
        f"{name_b} against {name_a}", frame, ["metric", "unit", "verdict"],
        [("mean_a", name_a, ""), ("mean_b", name_b, "")],
        [("difference", "low", "high", "difference", "")],
    )  # fmt: skip


def _matched(
    played: pd.DataFrame, these: list[str], those: list[str], measures: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides by replication, every measure averaged over the same cells on each.

    A cell in which either side has no number (as a gap between honest and malicious nodes where
    nobody is malicious) counts on neither; a replication that lacks a cell counts on neither.
    """
    keys = ["cell", "replication"]
    sides = []
    for ids in (these, those):
        cell = played["treatment"].astype(str).map({name: i for i, name in enumerate(ids)})
        part = played[["replication", *measures]].assign(cell=cell).dropna(subset=["cell"])
        sides.append(part.set_index(keys)[measures])
    a, b = sides
    shared = a.index.intersection(b.index)
    cells = pd.Series(1, index=shared).groupby(level="replication").sum()
    whole = shared[shared.get_level_values("replication").isin(cells.index[cells == len(these)])]
    a, b = a.loc[whole], b.loc[whole]
    both = a.notna() & b.notna()
    done = (side.where(both).groupby(level="replication").mean().reset_index() for side in (a, b))
    left, right = done
    return left, right


Sides = list[tuple[str, str, list[str], list[str]]]


def _against_first(subject: Subject) -> Sides:
    first, *others = subject.treatments
    return [(first, other, [first], [other]) for other in others]


def _ends_of_axes(subject: Subject) -> Sides:
    """Return, for each axis, the treatments at its first value and those at its last.

    Only treatments with a partner that agrees on every other axis count, so that nothing but the
    axis differs; axes that move together, or drawn ones, have none.
    """
    table = subject.results.treatments
    table = table[table["treatment"].astype(str).isin(subject.treatments)]
    texts = {axis: literal_values(table[axis]) for axis in subject.axes}
    ids = [str(name) for name in table["treatment"]]
    sides: Sides = []
    for axis, values in texts.items():
        first, last = values[0], values[-1]
        rest = list(zip(*(texts[other] for other in subject.axes if other != axis), strict=True))
        cells = rest or [()] * len(ids)
        at = {end: {c: i for c, i, v in zip(cells, ids, values, strict=True) if v == end}
              for end in (first, last)}  # fmt: skip
        shared = [cell for cell in at[first] if cell in at[last]]
        if first != last and shared:
            leaf = axis.rpartition(".")[2]
            sides.append((f"{leaf}={first}", f"{leaf}={last}",
                          [at[first][c] for c in shared],
                          [at[last][c] for c in shared]))  # fmt: skip
    return sides
