"""A population from a snapshot of a Bittensor subnet: its stakes, and its weights as ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.profile import Profile

__all__ = ["Metagraph", "read_metagraph", "scenario_text"]

_ROUNDS_PER_EPOCH, _EPOCHS, _COMMITTEE = 200, 60, 5

_TEXT = """\
# {name}: whom does Yuma pay on these stakes, where Proof of Quality shares the pool?
#
# From {source}: {validators} validators with their stakes, {miners} miners. Of the snapshot are who
# validates, the stakes in its own unit, and the miners' ranks by stake-weighted weights. Assumed by
# us is which model runs where: validators take the profile's evaluators in turn; miners, best rank
# first, share its models in equal parts, the model of the highest mean truth first.

name: {name}
profile: {profile}
rounds: {rounds}
replications: 20

mechanism: {{committee_size: {committee}}}

population:
  inference:
{inference}
  evaluators:
{evaluators}

economy:
  epochs: {epochs}
  payment: {{scheme: pool, pool: 100.0}}

sweep:
  economy.payment.scheme: [pool, yuma]
"""


class Metagraph(NamedTuple):
    """What a snapshot says of a subnet."""

    validators: list[int]  #: uids, by stake, the largest first
    stakes: list[float]  #: of the validators
    miners: list[int]  #: uids, by the stake-weighted mean of the weights set on them, best first


def read_metagraph(path: Path) -> Metagraph:
    """Read a snapshot in JSON: columns over uids, or a list of neurons.

    Columns are ``S`` (or ``stake``), ``W`` (or ``weights``, a row for each uid) and
    ``validator_permit``; a neuron has ``uid``, ``stake``, ``validator_permit`` and ``weights``, a
    list of pairs of uid and weight. Without permits, whoever sets a weight and has stake validates.

    Raises
    ------
    InputError
        If the file cannot be read, or says too little.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    try:
        stake, weights, permit = _columns(data)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path} is no metagraph ({error!r}): a list of neurons with uid, stake and weights, "
            "or columns S and W over uids"
        ) from None
    validates = (stake > 0.0) & (weights.any(axis=1) if permit is None else permit)
    validators = sorted(np.flatnonzero(validates).tolist(), key=lambda uid: -stake[uid])
    rows = weights[validators]
    totals = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0.0)
    rank = (stake[validators][:, None] * shares).sum(axis=0)
    miners = sorted(np.flatnonzero(~validates).tolist(), key=lambda uid: -rank[uid])
    if not validators or not miners:
        missing = "miner" if validators else "validator with stake"
        raise InputError(f"{path} has no {missing}; there is nobody to play")
    return Metagraph(validators, [float(stake[uid]) for uid in validators], miners)


def _columns(data: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], Any]:
    """Return stakes, the matrix of weights and the permits of a snapshot, by uid."""
    if isinstance(data, Mapping):
        stake = np.array(data.get("S", data.get("stake")), dtype=np.float64)
        weights = np.array(data.get("W", data.get("weights")), dtype=np.float64)
        permit = data.get("validator_permit")
        permits = None if permit is None else np.array(permit, dtype=bool)
    else:
        size = 1 + max(int(neuron["uid"]) for neuron in data)
        stake, weights = np.zeros(size), np.zeros((size, size))
        permits = np.zeros(size, bool) if "validator_permit" in data[0] else None
        for neuron in data:
            uid = int(neuron["uid"])
            stake[uid] = float(neuron["stake"])
            for other, weight in neuron["weights"]:
                weights[uid, int(other)] = float(weight)
            if permits is not None:
                permits[uid] = bool(neuron["validator_permit"])
    fits = weights.shape == (stake.size, stake.size)
    if not fits or (permits is not None and permits.size != stake.size):
        raise ValueError(f"{stake.size} stakes and weights of shape {weights.shape}")
    if not (np.isfinite(stake).all() and np.isfinite(weights).all()) or (weights < 0.0).any():
        raise ValueError("stakes and weights must be numbers, weights at least 0")
    return stake, weights, permits


def scenario_text(name: str, source: str, snapshot: Metagraph, profile: Profile) -> str:
    """Return a scenario file that plays a snapshot's population, what is assumed said in it."""
    best = np.argsort(-profile.truth.mean(axis=0), kind="stable")
    models = [profile.models[place] for place in best]
    parts = zip(models, np.array_split(np.array(snapshot.miners), len(models)), strict=True)
    inference = [
        f"    - {{model: {model}, count: {len(uids)}}}" for model, uids in parts if len(uids)
    ]
    evaluators = [
        f"    - {{model: {_in_turn(profile.evaluators, place)}, name: uid_{uid}, stake: {stake!r}}}"
        for place, (uid, stake) in enumerate(zip(snapshot.validators, snapshot.stakes, strict=True))
    ]
    return _TEXT.format(
        name=name,
        source=source,
        validators=len(snapshot.validators),
        miners=len(snapshot.miners),
        profile=profile.name,
        rounds=_ROUNDS_PER_EPOCH * _EPOCHS,
        epochs=_EPOCHS,
        committee=min(_COMMITTEE, len(evaluators)),
        inference="\n".join(inference),
        evaluators="\n".join(evaluators),
    )


def _in_turn(names: Sequence[str], place: int) -> str:
    return names[place % len(names)]
