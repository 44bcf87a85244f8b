"""What a calibration needs and what it will take, told before it starts: nothing is paid for.

Looked at are the libraries, the device, every file, model and server of a configuration; what is
left to do is counted, and its time, disk and money are reckoned where something tells them.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from calibration.latency.measurement import read_measurement
from calibration.libraries import COMMAND
from calibration.models.checkpoints import locate
from calibration.models.devices import chosen_device
from calibration.models.endpoints import Endpoint
from calibration.models.generation import outputs
from calibration.models.scoring import scores
from calibration.models.server_keys import OFFICIAL, origin, read_secret
from calibration.models.spending import Sent, money
from calibration.stage_settings import (
    AskedEvaluatorSpec,
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


class _Left(NamedTuple):
    """What is left to do for one node: rows, seconds and dollars, ``None`` where not known."""

    rows: int
    seconds: float | None
    usd: float | None = 0.0


def _reckoned(calibration: Calibration, records: Sequence[Record]) -> Iterator[Finding]:
    """Yield what is left to do, node by node, then time, money and disk in all."""
    parts: list[_Left] = []
    for spec in calibration.models:
        made = outputs(calibration, spec, records)
        waiting = [record for record in records if record.id not in made]
        side_by_side = spec.concurrency if isinstance(spec, EndpointSpec) else 1
        left = _Left(len(waiting), _seconds(made.values(), len(waiting), side_by_side))
        text = f"{spec.name}: {left.rows:,} of {len(records):,} outputs to make, {_time(left)}"
        if isinstance(spec, EndpointSpec):
            left = left._replace(usd=_price(calibration, spec, waiting))
            text += ", no price" if left.usd is None else f", at most {_dollars(left.usd)}"
        yield Finding(text)
        parts.append(left)
        if isinstance(spec, EndpointSpec):
            yield from _lost(spec, spec.name, Workspace(calibration.out).generations(spec.name))
    for evaluator in calibration.evaluators:
        parts.append(_scored(calibration, evaluator, records))
        yield Finding(_told(evaluator.name, parts[-1], "scores to make", evaluator))
        if isinstance(evaluator, AskedEvaluatorSpec):
            log = Workspace(calibration.out).scores(evaluator.name)
            yield from _lost(evaluator, evaluator.name, log)
    if calibration.judge is not None:
        yield from _lost(calibration.judge, "judge", Workspace(calibration.out).judgements)
        parts.append(_judged(calibration, calibration.judge, records))
        yield Finding(_told("judge", parts[-1], "questions to ask", calibration.judge))
    yield from _in_all(calibration, parts)


def _in_all(calibration: Calibration, parts: Sequence[_Left]) -> Iterator[Finding]:
    """Yield time, money and disk of all that is left."""
    unknown = sum(part.seconds is None for part in parts)
    seconds = sum(part.seconds or 0.0 for part in parts)
    if unknown < len(parts):
        told = f"time: about {timedelta(seconds=math.ceil(seconds))}"
        yield Finding(told + (f" and {unknown} parts of {len(parts)} unknown" if unknown else ""))
    usd = sum(part.usd or 0.0 for part in parts)
    yield Finding(f"money: at most {_dollars(usd)} where prices are known")
    yield _disk(calibration.out, sum(part.rows for part in parts) * ROW_BYTES)


def _told(name: str, left: _Left, what: str, spec: object) -> str:
    """Return what is left for an evaluator or the judge in a line."""
    text = f"{name}: {left.rows:,} {what}, {_time(left)}"
    if not isinstance(spec, ServerSettings):
        return text
    return text + (", no price" if left.usd is None else f", about {_dollars(left.usd)}")


def _lost(settings: ServerSettings, name: str, log: Path) -> Iterator[Finding]:
    """Yield how many questions were lost on their way when a run was killed, if any were."""
    if lost := len(Sent(settings, log).lost):
        yield Finding(
            f"{name}: {lost:,} questions were on their way when a run was killed and may be paid "
            f"for; --resend asks them again",
            is_fine=False,
        )


def _seconds(made: Iterable[Row], waiting: int, side_by_side: int) -> float | None:
    """Return how long rows will take by those that are there, ``None`` without any."""
    timed = [row["seconds"] / row.get("batch_size", 1) for row in made if row.get("seconds")]
    if not waiting:
        return 0.0
    return fmean(timed) * waiting / side_by_side if timed else None


def _time(left: _Left) -> str:
    if not left.rows:
        return "no time"
    if left.seconds is None:
        return "time not known before the first"
    return f"about {timedelta(seconds=math.ceil(left.seconds))}"


def _scored(
    calibration: Calibration,
    spec: EvaluatorSpec | AskedEvaluatorSpec,
    records: Sequence[Record],
) -> _Left:
    """Return what is left to score; one loaded here is timed by the stage of efficiency alone."""
    workspace, outputs_each = Workspace(calibration.out), len(calibration.models)
    done = scores(calibration, spec) if workspace.corpus.exists() else {}
    left = len(records) * outputs_each - len(done)
    pairs = calibration.pairs_of(spec)
    beside = [r.references if pairs == "reference_output" else (r.input,) for r in records]
    if isinstance(spec, EvaluatorSpec):
        timed = workspace.efficiency("evaluator", spec.name, spec.batch_size)
        share = left / max(1, len(records))  # every pair of a record is scored
        if not left or not timed.exists():
            return _Left(left, None if left else 0.0)
        each = fmean(read_measurement(timed)["latencies_ms"]) / 1000.0
        return _Left(left, each * share * sum(map(len, beside)))
    read = sum(_tokens(" ".join(texts)) for texts in beside) / max(1, len(records))
    longest = read + calibration.generation.max_new_tokens
    written = 0 if spec.kind == "reranker" else VERDICT_TOKENS
    longest += 0 if spec.kind == "reranker" else PROMPT_TOKENS
    usd = money(spec, math.ceil(left * longest), left * written)
    return _Left(left, _seconds(done.values(), left, spec.concurrency), usd)


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _price(calibration: Calibration, spec: EndpointSpec, records: Sequence[Record]) -> float | None:
    """Return the dollars of answers as long as may be; ``None`` without prices."""
    system = calibration.generation.system or ""
    asked = sum(_tokens(system + instruction(r, calibration.prompts)) for r in records)
    return money(spec, asked, len(records) * calibration.generation.max_new_tokens)


def _judged(calibration: Calibration, settings: JudgeSettings, records: Sequence[Record]) -> _Left:
    """Return how many questions the judge has not answered yet, their time and their cost."""
    sample = sample_records(list(records), calibration.seed, settings.per_group)
    done = read_verdicts(calibration) if Workspace(calibration.out).corpus.exists() else []
    models = len(calibration.models)
    each = models - 1 if settings.mode == "pairs" else 1 + settings.second_order
    left = len(sample) * models * each - len(done)
    texts = sum(_tokens(r.input + " ".join(r.references)) for r in sample) / max(1, len(sample))
    outputs_read = 2 if settings.mode == "pairs" else 1
    longest = texts + outputs_read * calibration.generation.max_new_tokens + PROMPT_TOKENS
    usd = money(settings, math.ceil(left * longest), left * VERDICT_TOKENS)
    return _Left(left, _seconds(done, left, settings.concurrency), usd)


def _disk(out: Path, needed: int) -> Finding:
    here = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(here).free
    told = f"disk: about {needed / 1e6:,.1f} MB of {free / 1e9:,.1f} GB free in {here}"
    return Finding(told, needed < free)


def _dollars(usd: float) -> str:
    return f"{usd:.2g} dollars" if usd else "nothing"
