"""Pay by score bin that makes a model the best to run: linear programs, and why there may be none.

Row i of F has the chances of the bins under model i, which costs c_i an answer. A contract t pays
t_j >= 0 for an answer in bin j; the target n is a best response if (F_n - F_i) t >= c_n - c_i for
every other model i. Pay is least in expectation (F_n t), or in its largest payment (max_j t_j):
each is one linear program. After Saig, Einav and Talgam-Cohen, arXiv 2406.11118.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ContractProgram", "cheapest_contract", "imitation", "least_alpha", "robust_costs"]

Array = NDArray[np.float64]

_SLACK: Final = 1e-9  # relative: what a second program may lose of the first one's optimum
_TINY: Final = 1e-7  # of the largest payment: what solvers leave of none


def robust_costs(costs: Array, target: int) -> Array:
    """Return costs against which a contract works whatever the cheaper models cost.

    No model costs less than the cheapest does, which any cheaper one than the target may: theirs
    are 0 and the target's is c_n - c_1. Dearer models cost as much more than it as they do.

    >>> robust_costs(np.array([1.0, 2.0, 4.0, 5.0]), 2).tolist()
    [0.0, 0.0, 3.0, 4.0]
    """
    least = float(costs.min())
    return np.where(costs < costs[target], 0.0, costs - least)


def cheapest_contract(
    chances: Array,
    costs: Sequence[float] | Array,
    target: int,
    *,
    minimise: Literal["pay", "budget"] = "pay",
    monotone: bool = False,
) -> Array | None:
    """Return pay by bin that makes a model the best to run, or None if nothing does.

    ``chances`` is F, shape (models, bins), rows summing to 1; ``costs`` are in the unit in which is
    paid. Of the contracts with the least expected pay it is one with the least largest payment; of
    those with the least largest payment (``"budget"``), one with the least expected pay.
    ``monotone`` asks for pay that does not fall from bin to bin.

    >>> passing = np.array([0.335, 0.36, 0.53])
    >>> chances = np.stack([1.0 - passing, passing], axis=1)
    >>> costs = 0.105 * np.array([1.73, 2.3, 6.1])
    >>> cheapest_contract(chances, costs, 2).round(5).tolist()
    [0.0, 2.35308]
    >>> cheapest_contract(chances, robust_costs(costs, 2), 2).round(5).tolist()
    [0.0, 2.69912]
    >>> cheapest_contract(chances[[0, 0]], [0.0, 0.1], 1) is None
    True
    """
    program = ContractProgram.of(chances, np.asarray(costs), target, monotone=monotone)
    first, second = program.objectives if minimise == "pay" else program.objectives[::-1]
    found = program.solve(first)
    if found is None:
        return None
    most = float((first * found).sum())
    again = program.solve(second, first, most + _SLACK * max(1.0, abs(most)))
    pays = (found if again is None else again)[:-1]
    return np.where(pays > _TINY * pays.max(), pays, 0.0)


class ContractProgram(NamedTuple):
    """The linear program of a contract; its unknowns are t_1 ... t_B and a bound on all of them."""

    objectives: tuple[Array, Array]  #: expected pay, and the bound
    rows: Array
    ends: Array  #: of each row times the unknowns, at most

    @classmethod
    def of(cls, chances: Array, costs: Array, target: int, *, monotone: bool) -> ContractProgram:
        """Return the program for a target, among all other models."""
        bins = chances.shape[1]
        others = np.arange(len(costs)) != target
        best = (chances - chances[target])[others]
        rising = -np.diff(np.eye(bins), axis=0) if monotone else np.empty((0, bins))
        bounded = np.hstack([np.eye(bins), -np.ones((bins, 1))])
        plain = np.vstack([best, rising])
        rows = np.vstack([np.hstack([plain, np.zeros((len(plain), 1))]), bounded])
        ends = np.zeros(len(rows))
        ends[: len(best)] = (costs - costs[target])[others]
        pay, bound = np.append(chances[target], 0.0), np.append(np.zeros(bins), 1.0)
        return cls((pay, bound), rows, ends)

    def solve(self, objective: Array, kept: Array | None = None, most: float = 0.0) -> Array | None:
        """Return the unknowns with the least ``objective`` while ``kept`` is ``most`` or less."""
        from scipy.optimize import linprog  # noqa: PLC0415  (half of all that a verb may load)

        rows, ends = self.rows, self.ends
        if kept is not None:
            rows, ends = np.vstack([rows, kept]), np.append(ends, most)
        found = linprog(objective, A_ub=rows, b_ub=ends, bounds=(0.0, None), method="highs")
        return np.asarray(found.x, dtype=np.float64) if found.status == 0 else None


def imitation(
    chances: Array, costs: Sequence[float] | Array, target: int, *, monotone: bool = False
) -> Array | None:
    """Return why no contract exists: a mix of other models, at a lower cost, that scores alike.

    Weights of the models, summing to 1, whose mix falls into the bins as often as the target does
    (``monotone``: reaches each bin or a better one at least as often), and costs least. By duality
    there is one that costs less than the target exactly where there is no contract; None else.

    >>> imitation(np.array([[0.5, 0.5], [0.5, 0.5]]), [0.1, 0.2], 1).tolist()
    [1.0, 0.0]
    """
    from scipy.optimize import linprog  # noqa: PLC0415

    costs = np.asarray(costs)
    tails = np.cumsum(chances[:, ::-1], axis=1).T[:-1]  # chance of a bin or a better one
    one = np.ones((1, len(costs)))
    bounds = [(0.0, 0.0 if model == target else 1.0) for model in range(len(costs))]
    if monotone:
        found = linprog(costs, -tails, -tails[:, target], one, [1.0], bounds, method="highs")
    else:
        alike = np.vstack([one, tails])
        found = linprog(costs, None, None, alike, [1.0, *tails[:, target]], bounds, method="highs")
    if found.status != 0 or found.fun >= costs[target] - 1e-9 * max(1.0, abs(costs[target])):
        return None
    weights: Array = np.asarray(found.x, dtype=np.float64).round(9)
    return weights


def least_alpha(quality: Array, costs: Sequence[float] | Array, target: int) -> float:
    """Return the least alpha with which alpha Q - c makes a model the best to run; NaN if none.

    ``quality`` has the models' mean Q.

    >>> least_alpha(np.array([0.25, 0.5, 0.625]), [0.0, 0.25, 0.5], 1)
    1.0
    """
    gain = quality[target] - np.delete(quality, target)
    dearer = np.asarray(costs)[target] - np.delete(np.asarray(costs), target)
    better, worse = gain > 0.0, gain < 0.0
    low = max(0.0, *(dearer[better] / gain[better]), 0.0)
    high = min(np.inf, *(dearer[worse] / gain[worse]), np.inf)
    alike = dearer[~better & ~worse]
    # What is decided by rounding alone counts as equal: 0.1 / 0.1 is not always 1.
    fits = low <= high * (1.0 + 1e-12) and not (alike > 0.0).any()
    return float(low) if fits else np.nan
