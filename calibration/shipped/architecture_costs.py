"""Measure the cost of the published architectures on one GPU, without their weights.

``python -m calibration.shipped.architecture_costs FOLDER`` times the five inference models and the
three evaluators of the published study, with random weights in bfloat16, 128 new tokens, at batch
1, 8 and 32, and leaves one file per node and batch size in ``FOLDER/efficiency``. It can be stopped
and started again; ``--quick`` takes few prompts and short answers, to see whether everything runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.files import Workspace
from calibration.latency.efficiency import TimingJob, measure_all
from calibration.latency.subjects import PAIR_TOKENS, PROMPT_TOKENS, RandomEvaluator, RandomModel
from calibration.models.architectures import (
    architecture,
    evaluator_entry,
    evaluator_names,
    model_names,
)
from calibration.models.devices import chosen_device
from calibration.settings import GenerationSettings
from poq_abm.errors import InputError, nearest

__all__ = ["CostPlan", "jobs_of", "main", "measure_architectures"]

DTYPE = "bfloat16"


@dataclass(frozen=True)
class CostPlan:
    """What to measure: batch sizes, timed prompts, new tokens, and a depth to cut models to."""

    batch_sizes: tuple[int, ...] = (1, 8, 32)
    prompts: int = 100
    warm_up: int = 3
    new_tokens: int = 128
    layers: int | None = None


QUICK = CostPlan(batch_sizes=(1, 8), prompts=5, warm_up=1, new_tokens=16)


def measure_architectures(
    folder: str | Path, plan: CostPlan, device: str, names: Sequence[str] = ()
) -> list[Path]:
    """Measure the architectures called ``names``, by default all, and return the files.

    Raises :class:`~poq_abm.errors.InputError` for a name that is not registered.
    """
    return measure_all(
        jobs_of(plan, device, names),
        Workspace(Path(folder)),
        prompts=plan.prompts,
        warm_up=plan.warm_up,
        new_tokens=plan.new_tokens,
        report=lambda line: print(line, file=sys.stderr),  # noqa: T201
    )


def jobs_of(plan: CostPlan, device: str, names: Sequence[str] = ()) -> list[TimingJob]:
    """Return the tasks of a plan, evaluators first: they take seconds.

    Evaluators are timed at the plan's batch sizes and at their own, the published one.
    """
    known = (*evaluator_names(), *model_names())
    for name in names:
        if name not in known:
            raise InputError(f"no architecture {name!r} ships; {nearest(name, known)}")
    wanted = [name for name in known if name in (names or known)]
    return [
        _evaluator(name, plan, device) if name in evaluator_names() else _model(name, plan, device)
        for name in wanted
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.shipped.architecture_costs", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="folder for the results; may hold earlier ones")
    parser.add_argument("--quick", action="store_true", help="few prompts, short answers")
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1, cpu")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these alone")
    parser.add_argument("--prompts", type=int, help="timed prompts per batch size")
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else CostPlan()
    if given.prompts is not None:
        plan = CostPlan(plan.batch_sizes, max(1, given.prompts), plan.warm_up, plan.new_tokens)
    try:
        files = measure_architectures(given.folder, plan, chosen_device(given.device), given.only)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command measures the rest\n")
        return 130
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0


def _model(name: str, plan: CostPlan, device: str) -> TimingJob:
    subject = RandomModel(
        node=name,
        configuration=architecture(name)["config"],
        dtype=DTYPE,
        device=device,
        prompt_tokens=PROMPT_TOKENS,
        new_tokens=plan.new_tokens,
        settings=GenerationSettings(),
        layers=plan.layers,
    )
    return TimingJob(subject, plan.batch_sizes)


def _evaluator(name: str, plan: CostPlan, device: str) -> TimingJob:
    entry = evaluator_entry(name)
    subject = RandomEvaluator(
        node=name,
        configuration=architecture(name)["config"],
        kind=entry["kind"],
        dtype=DTYPE,
        device=device,
        pair_tokens=PAIR_TOKENS,
        layers=plan.layers,
    )
    return TimingJob(subject, tuple(sorted({*plan.batch_sizes, entry["batch_size"]})))


if __name__ == "__main__":
    sys.exit(main())
