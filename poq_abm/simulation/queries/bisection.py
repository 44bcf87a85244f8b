"""Interactive bisection: two parties who disagree find the one step that somebody must recompute.

Each round both open the state in the middle of what is still in doubt; the openings are checked
against the roots they committed to. After ceil(log2 steps) rounds one step is left. Both agree on
the state before it, the referee recomputes it, and who claims another result loses.
"""

from __future__ import annotations

from typing import NamedTuple

from poq_abm.errors import InputError
from poq_abm.simulation.queries.execution import Execution, next_state
from poq_abm.simulation.queries.merkle import root_from_opening

__all__ = ["Dispute", "bisect"]


class Dispute(NamedTuple):
    """What a dispute came to."""

    step: int  #: the first step after which the two differ, from 0
    rounds: int
    prover_lies: bool
    challenger_lies: bool
    seconds: float
    usd: float  #: fees of all rounds


def bisect(
    measurement: bytes,
    prover: Execution,
    challenger: Execution,
    *,
    prover_root: bytes,
    step_s: float = 0.0,
    step_usd: float = 0.0,
) -> Dispute:
    """Return who loses a dispute about a run of the model with ``measurement``.

    ``prover_root`` is the root that the prover signed; a prover who opens states that do not lead
    to it loses where that shows. Both runs have the same number of steps and the same prompt, and
    differ in their last state.

    Raises
    ------
    InputError
        If there is nothing to dispute: lengths or first states differ, or last states do not.

    Examples
    --------
    >>> from poq_abm.simulation.queries.execution import execute, measure
    >>> honest, lied = execute("a", b"p", 100), execute("a", b"p", 100, cheat_from=42)
    >>> dispute = bisect(measure("a"), lied, honest, prover_root=lied.root)
    >>> dispute.step, dispute.rounds, dispute.prover_lies, dispute.challenger_lies
    (42, 7, True, False)
    """
    steps = len(prover.states) - 1
    if len(challenger.states) - 1 != steps or prover.states[0] != challenger.states[0]:
        raise InputError("a dispute needs two runs of as many steps from the same prompt")
    if prover.answer == challenger.answer:
        raise InputError("both runs end in the same answer; there is nothing to dispute")
    agreed, differing, rounds = 0, steps, 0
    while differing - agreed > 1:
        middle = (agreed + differing) // 2
        rounds += 1
        if not _opens(prover, middle, prover_root):
            return Dispute(middle, rounds, True, False, rounds * step_s, rounds * step_usd)
        if not _opens(challenger, middle, challenger.root):
            return Dispute(middle, rounds, False, True, rounds * step_s, rounds * step_usd)
        if prover.states[middle] == challenger.states[middle]:
            agreed = middle
        else:
            differing = middle
    right = next_state(measurement, agreed, prover.states[agreed])
    prover_lies = prover.states[differing] != right or not _opens(prover, differing, prover_root)
    challenger_lies = challenger.states[differing] != right
    spent = (rounds * step_s, rounds * step_usd)
    return Dispute(agreed, rounds, prover_lies, challenger_lies, *spent)


def _opens(run: Execution, number: int, root: bytes) -> bool:
    return root_from_opening(number, run.states[number], run.open(number)) == root
