"""What a calibration needs and what it will take, told before it starts: nothing is paid for.

Looked at are the libraries, the device, every file, model and server of a configuration; what is
left to do is counted, and its time, disk and money are reckoned where something tells them.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from calibration.configuration import Calibration
from calibration.corpus.record_samples import draw_records, sample_records
from calibration.corpus.records import Record, instruction, read_corpus
from calibration.judge.judging import read_verdicts
from calibration.latency.machine import hardware_stamp
from calibration.libraries import COMMAND
from calibration.models.checkpoints import locate
from calibration.models.devices import chosen_device
from calibration.models.endpoints import Endpoint
from calibration.models.generation import outputs
from calibration.models.server_keys import OFFICIAL, origin, read_secret
from calibration.models.spending import Sent, money
from calibration.stage_settings import (
    EndpointSpec,
    EvaluatorSpec,
    JudgeSettings,
    ModelSpec,
    ServerSettings,
)
from calibration.workspace import Workspace, without_folder
from poq_abm.errors import InputError, PoqError

__all__ = ["Finding", "examine"]

#: what each library is for
LIBRARIES = {
    "torch": "models and evaluators",
    "transformers": "models and evaluators",
    "sentence-transformers": "evaluators",
    "openai": "endpoints and the judge",
}
CHARACTERS_PER_TOKEN = 4.0  #: assumed, to reckon money before any server has counted
VERDICT_TOKENS = 60  #: assumed, of a judge's reply
PROMPT_TOKENS = 250  #: of what a judge is told beside the texts
ROW_BYTES = 2500  #: assumed, of a row nobody has written yet
Row = Mapping[str, Any]


class Finding(NamedTuple):
    """One thing that was looked at; ``is_fine`` unless it has to be mended first."""

    text: str
    is_fine: bool = True


def examine(calibration: Calibration | None) -> Iterator[Finding]:
    """Yield what was found, in the order in which it matters; without a configuration the machine.

    No request costs anything: servers are asked for the list of their models alone.
    """
    yield from _libraries(calibration)
    yield _device("auto" if calibration is None else calibration.generation.device)
    if calibration is None:
        return
    loaded: list[ModelSpec | EvaluatorSpec] = [*calibration.checkpoints, *calibration.encoders]
    for spec in loaded:
        yield _found(spec.name, partial(_described, spec.model, spec.revision))
    for endpoint in calibration.endpoints:
        yield _server(endpoint, endpoint.name, "model", f"models.{endpoint.name}")
    for asked in calibration.asked_evaluators:
        yield _server(asked, asked.name, "evaluator", f"evaluators.{asked.name}")
    if calibration.judge is not None:
        yield _server(calibration.judge, "judge", "judge", "judge")
    records: list[Record] = []
    finding = _found("corpus", lambda: _counted(_draw(calibration, records)))
    yield finding
    if finding.is_fine:
        yield from _reckoned(calibration, records)


def _libraries(calibration: Calibration | None) -> Iterator[Finding]:
    needed = set(LIBRARIES)
    if calibration is not None:
        asked = [*calibration.endpoints, *calibration.asked_evaluators, calibration.judge]
        needed -= set() if any(asked) else {"openai"}
        needed -= set() if calibration.encoders else {"sentence-transformers"}
        is_loading = bool(calibration.checkpoints or calibration.encoders)
        needed -= set() if is_loading else {"torch", "transformers"}
    for name, use in LIBRARIES.items():
        try:
            yield Finding(f"{name} {version(name)}")
        except PackageNotFoundError:
            if name in needed:
                yield Finding(f"{name} is not installed ({use}); run: {COMMAND}", is_fine=False)


def _device(setting: str) -> Finding:
    if find_spec("torch") is None:
        return Finding("device: not known without torch")
    try:
        stamp = hardware_stamp(chosen_device(setting))
    except InputError as error:
        return Finding(f"device: {error}", is_fine=False)
    part = stamp["gpu"] or stamp["cpu"]
    formats = ", ".join(name for name, how in stamp["dtypes"].items() if how == "native")
    named = f"{stamp['device']}, {part['name']}, {part['memory_gib']} GiB"
    return Finding(f"device: {named}; computes in {formats}")


def _found(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(f"{what}: {look()}")
    except PoqError as error:
        return Finding(f"{what}: {error}", is_fine=False)


def _described(model: str, revision: str | None) -> str:
    source = locate(model, revision)
    return f"in {source.where}" if source.is_local else f"to be downloaded from {source.where}"


def _server(settings: ServerSettings, name: str, who: str, section: str) -> Finding:
    address = settings.base_url or OFFICIAL

    def look() -> str:
        secret = read_secret(settings.key_variable, address, os.environ)
        with Endpoint(settings, secret, who, section) as endpoint:
            known = endpoint.models()
        if len(known) == 1 and settings.model not in known:  # it takes any name
            return f"{origin(address)} answers and has {without_folder(known[0])} alone"
        if known and settings.model not in known:
            listed = ", ".join(known[:5])
            raise InputError(f"{origin(address)} lists no {settings.model!r}, but {listed}")
        return f"{origin(address)} answers" + (f" and has {settings.model}" if known else "")

    return _found(name, look)


def _draw(calibration: Calibration, records: list[Record]) -> list[Record]:
    """Put the records into a list: those of the first stage, or those it would draw."""
    path = Workspace(calibration.out).corpus
    records += read_corpus(path) if path.exists() else draw_records(calibration, lambda _: None)
    return records


def _counted(records: Sequence[Record]) -> str:
    tasks = dict.fromkeys(record.task for record in records)
    return f"{len(records):,} records of {', '.join(tasks)}"


def _reckoned(calibration: Calibration, records: Sequence[Record]) -> Iterator[Finding]:
    """Yield what is left to do, model by model, then the judge's part, then disk and money."""
    usd, rows = 0.0, 0
    for spec in calibration.models:
        made = outputs(calibration, spec, records)
        waiting = [record for record in records if record.id not in made]
        rows += len(waiting)
        text = f"{spec.name}: {len(waiting):,} of {len(records):,} outputs to make, "
        text += _time(list(made.values()), len(waiting), spec)
        if isinstance(spec, EndpointSpec):
            cost = _price(calibration, spec, waiting)
            usd += cost or 0.0
            text += ", no price" if cost is None else f", at most {_dollars(cost)}"
        yield Finding(text)
        if isinstance(spec, EndpointSpec):
            yield from _lost(spec, spec.name, Workspace(calibration.out).generations(spec.name))
    for asked in calibration.asked_evaluators:
        yield from _lost(asked, asked.name, Workspace(calibration.out).scores(asked.name))
    rows += len(records) * len(calibration.models) * len(calibration.evaluators)
    if calibration.judge is not None:
        yield from _lost(calibration.judge, "judge", Workspace(calibration.out).judgements)
        left, cost = _judged(calibration, calibration.judge, records)
        usd, rows = usd + (cost or 0.0), rows + left
        told = "no price" if cost is None else f"about {_dollars(cost)}"
        yield Finding(f"judge: {left:,} questions to ask, {told}")
    yield Finding(f"money: at most {_dollars(usd)} where prices are known")
    yield _disk(calibration.out, rows * ROW_BYTES)


def _lost(settings: ServerSettings, name: str, log: Path) -> Iterator[Finding]:
    """Yield how many questions were lost on their way when a run was killed, if any were."""
    if lost := len(Sent(settings, log).lost):
        yield Finding(
            f"{name}: {lost:,} questions were on their way when a run was killed and may be paid "
            f"for; --resend asks them again",
            is_fine=False,
        )


def _time(made: Sequence[Row], waiting: int, spec: ModelSpec | EndpointSpec) -> str:
    """Return how long outputs will take, by those that are there."""
    timed = [row["seconds"] / row.get("batch_size", 1) for row in made if row.get("seconds")]
    if not waiting:
        return "no time"
    if not timed:
        return "time not known before the first"
    side_by_side = spec.concurrency if isinstance(spec, EndpointSpec) else 1
    seconds = fmean(timed) * waiting / side_by_side
    return f"about {timedelta(seconds=math.ceil(seconds))}"


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _price(calibration: Calibration, spec: EndpointSpec, records: Sequence[Record]) -> float | None:
    """Return the dollars of answers as long as may be; ``None`` without prices."""
    system = calibration.generation.system or ""
    asked = sum(_tokens(system + instruction(r, calibration.prompts)) for r in records)
    return money(spec, asked, len(records) * calibration.generation.max_new_tokens)


def _judged(
    calibration: Calibration, settings: JudgeSettings, records: Sequence[Record]
) -> tuple[int, float | None]:
    """Return how many questions the judge has not answered yet, and about what they cost."""
    sample = sample_records(list(records), calibration.seed, settings.per_group)
    done = read_verdicts(calibration) if Workspace(calibration.out).corpus.exists() else []
    models = len(calibration.models)
    each = models - 1 if settings.mode == "pairs" else 1 + settings.second_order
    left = len(sample) * models * each - len(done)
    texts = sum(_tokens(r.input + " ".join(r.references)) for r in sample) / max(1, len(sample))
    outputs_read = 2 if settings.mode == "pairs" else 1
    longest = texts + outputs_read * calibration.generation.max_new_tokens + PROMPT_TOKENS
    return left, money(settings, math.ceil(left * longest), left * VERDICT_TOKENS)


def _disk(out: Path, needed: int) -> Finding:
    here = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(here).free
    told = f"disk: about {needed / 1e6:,.1f} MB of {free / 1e9:,.1f} GB free in {here}"
    return Finding(told, needed < free)


def _dollars(usd: float) -> str:
    return f"{usd:.2g} dollars" if usd else "nothing"
