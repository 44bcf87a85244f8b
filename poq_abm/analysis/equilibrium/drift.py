"""The figure of where a population drifts, by what it does now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.equilibrium.mixture_payoffs import compositions, mixture_payoffs
from poq_abm.analysis.equilibrium.reduced_game import ReducedGame
from poq_abm.analysis.equilibrium.solution import RESAMPLES, SolvedGame, bootstrap_ends
from poq_abm.analysis.figure_style import PALETTE, canvas, caption
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["drift", "drift_figure"]

Array = NDArray[np.float64]

_POINTS = 201  # along an edge
_STEPS = 24  # of the grid of a triangle
_SHADE = "0.88"
_HEIGHT = np.sqrt(3.0) / 2.0


def drift(payoffs: Array, game: ReducedGame, mixes: Array) -> Array:
    """Return how fast shares grow: x_i (u_i(x) - sum_j x_j u_j(x)), in tokens.

    ``payoffs`` has shape (..., strategies, ways), ``mixes`` (points, strategies); what is returned
    (..., points, strategies).
    """
    paid = mixture_payoffs(payoffs, game.others, mixes)
    return np.asarray(mixes * (paid - (mixes * paid).sum(axis=-1, keepdims=True)))


def drift_figure(solved: SolvedGame) -> Figure:
    """Return the replicator dynamics of two or three strategies as a figure.

    Of two, the drift of the deviation's share against that share, with its interval; of three, a
    triangle of arrows. Where no share's drift has a sure sign it is shaded. Equilibria to which
    replicator dynamics come back are filled, others hollow.

    Raises
    ------
    InputError
        If there are more than three strategies.
    """
    game = solved.game
    count = len(game.strategies)
    if count > 3:
        raise InputError(f"a figure shows two or three strategies, not {count}")
    if count == 2:
        figure, (axes,) = canvas(6.4, 4.0)
        _edge(axes, solved)
    else:
        figure, (axes,) = canvas(6.4, 5.6)
        _triangle(axes, solved)
    table = solved.payoffs
    table.attrs["scenario"] = game.scenario.name
    caption(
        figure,
        f"Drift among {', '.join(game.strategies)}",
        table,
        f"n = {len(game.samples)} replications",
        f"{solved.confidence:.0%} intervals",
        "shaded: the sign of the drift is not sure",
        "filled: stable, hollow: not",
    )
    return figure


def _edge(axes: Axes, solved: SolvedGame) -> None:
    game = solved.game
    shares = np.linspace(0.0, 1.0, _POINTS)
    mixes = np.stack([1.0 - shares, shares], axis=1)
    at = drift(game.payoffs, game, mixes)[:, 1]
    low, high = _ends(solved, mixes)[:, :, 1]
    unsure = (low <= 0.0) & (high >= 0.0) & (shares > 0.0) & (shares < 1.0)
    axes.fill_between(
        shares, 0, 1, where=unsure.tolist(), transform=axes.get_xaxis_transform(),
        color=_SHADE, linewidth=0,
    )  # fmt: skip
    axes.axhline(0.0, color="0.35", linewidth=0.8)
    axes.fill_between(shares, low, high, color=PALETTE[0], alpha=0.25, linewidth=0)
    axes.plot(shares, at, color=PALETTE[0])
    for share, stable in _rest_points(solved):
        _dot(axes, float(share[1]), 0.0, stable)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"share of {game.strategies[1]}; the rest is {game.strategies[0]}")
    axes.set_ylabel(f"drift of that share, tokens per {game.per}")


def _triangle(axes: Axes, solved: SolvedGame) -> None:
    game = solved.game
    mixes = (compositions(_STEPS - 3, 3) + 1) / float(_STEPS)
    moves = drift(game.payoffs, game, mixes)
    low, high = _ends(solved, mixes)
    unsure = ((low <= 0.0) & (high >= 0.0)).all(axis=1)
    places, along = _plane(mixes), _plane(moves)
    length = np.sqrt((along**2).sum(axis=1, keepdims=True))
    arrows = np.divide(along, length, out=np.zeros_like(along), where=length > 0.0)
    corners = _plane(np.eye(3))
    outline = np.concatenate([corners, corners[:1]])
    axes.plot(outline[:, 0], outline[:, 1], color="0.35", linewidth=0.8)
    axes.scatter(places[unsure, 0], places[unsure, 1], s=150, marker="h", color=_SHADE, zorder=0)
    drawn: Any = axes.quiver(
        places[:, 0], places[:, 1], arrows[:, 0], arrows[:, 1], length[:, 0],
        cmap="viridis_r", angles="xy", pivot="mid", scale=34, width=0.004,
    )  # fmt: skip
    axes.figure.colorbar(drawn, ax=axes, shrink=0.6, label=f"drift, tokens per {game.per}")
    for mix, stable in _rest_points(solved):
        x, y = _plane(mix[None])[0]
        _dot(axes, float(x), float(y), stable)
    sides = (("right", "top"), ("left", "top"), ("center", "bottom"))
    shifts = ((0.0, -0.035), (0.0, -0.035), (0.0, 0.025))
    for name, (x, y), (side, rise), (dx, dy) in zip(
        game.strategies, corners, sides, shifts, strict=True
    ):
        axes.text(x + dx, y + dy, name, ha=side, va=rise, fontsize=9)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _plane(mixes: Array) -> Array:
    """Return where mixes of three lie in a triangle: the third at the top."""
    x = mixes[:, 1] + 0.5 * mixes[:, 2]
    return np.stack([x, _HEIGHT * mixes[:, 2]], axis=1)


def _ends(solved: SolvedGame, mixes: Array) -> Array:
    game = solved.game
    again = np.array([drift(one, game, mixes) for one in game.resampled(RESAMPLES)])
    return bootstrap_ends(again, len(game.samples), solved.confidence)


def _rest_points(solved: SolvedGame) -> list[tuple[Array, bool]]:
    """Return the equilibria, each with whether it is stable."""
    table = solved.equilibria[solved.equilibria["equilibrium"]]
    mixes = table[list(solved.game.strategies)].to_numpy(dtype=np.float64)
    return list(zip(mixes, table["stable"].tolist(), strict=True))


def _dot(axes: Axes, x: float, y: float, stable: bool) -> None:
    axes.plot(
        [x], [y], "o", markersize=9, markeredgecolor=PALETTE[3], markeredgewidth=1.5,
        markerfacecolor=PALETTE[3] if stable else "white", clip_on=False, zorder=5,
    )  # fmt: skip
