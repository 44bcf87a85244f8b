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
from pathlib import Path

from calibration.latency.measurement import TimingJob, measure_all
from calibration.latency.subjects import PAIR_TOKENS, PROMPT_TOKENS, random_evaluator, random_model
from calibration.models.architectures import (
    architecture,
    evaluator_entry,
    evaluator_names,
    model_names,
)
from calibration.models.devices import chosen_device
from calibration.stage_settings import EfficiencySettings, GenerationSettings
from calibration.workspace import Workspace
from poq_abm.errors import InputError, nearest

__all__ = ["PUBLISHED", "QUICK", "jobs_of", "main", "measure_architectures"]

DTYPE = "bfloat16"


PUBLISHED = EfficiencySettings(weights="random", batch_sizes=(1, 8, 32))
QUICK = EfficiencySettings(
    weights="random", batch_sizes=(1, 8), prompts=5, warm_up=1, new_tokens=16
)


def measure_architectures(
    folder: str | Path, settings: EfficiencySettings, device: str, names: Sequence[str] = ()
) -> list[Path]:
    """Measure the architectures called ``names``, by default all, and return the files.

    Raises :class:`~poq_abm.errors.InputError` for a name that is not registered.
    """
    return measure_all(
        jobs_of(settings, device, names),
        Workspace(Path(folder)),
        settings,
        lambda line: print(line, file=sys.stderr),  # noqa: T201
    )


def jobs_of(
    settings: EfficiencySettings, device: str, names: Sequence[str] = ()
) -> list[TimingJob]:
    """Return what is timed, evaluators first: they take seconds.

    Evaluators are timed at these batch sizes and at their own, the published one.
    """
    known = (*evaluator_names(), *model_names())
    for name in names:
        if name not in known:
            raise InputError(f"no architecture {name!r} ships; {nearest(name, known)}")
    return [
        (_evaluator if name in evaluator_names() else _model)(name, settings, device)
        for name in known
        if name in (names or known)
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
    settings = QUICK if given.quick else PUBLISHED
    if given.prompts is not None:
        settings = settings.model_copy(update={"prompts": max(1, given.prompts)})
    try:
        device = chosen_device(given.device)
        files = measure_architectures(given.folder, settings, device, given.only)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command measures the rest\n")
        return 130
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0


def _model(name: str, settings: EfficiencySettings, device: str) -> TimingJob:
    subject = random_model(
        node=name,
        configuration=architecture(name)["config"],
        dtype=DTYPE,
        device=device,
        prompt_tokens=PROMPT_TOKENS,
        new_tokens=settings.new_tokens,
        settings=GenerationSettings(),
    )
    return TimingJob(subject, settings.batch_sizes)


def _evaluator(name: str, settings: EfficiencySettings, device: str) -> TimingJob:
    entry = evaluator_entry(name)
    subject = random_evaluator(
        node=name,
        configuration=architecture(name)["config"],
        kind=entry["kind"],
        dtype=DTYPE,
        device=device,
        pair_tokens=PAIR_TOKENS,
    )
    return TimingJob(subject, tuple(sorted({*settings.batch_sizes, entry["batch_size"]})))


if __name__ == "__main__":
    sys.exit(main())
