"""Fourth stage: every evaluator scores every output, and keeps the raw numbers beside the value."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from calibration.configuration import Calibration
from calibration.corpus.records import Record, read_corpus
from calibration.judge.client import JudgeClient
from calibration.judge.judging import Session, served_by
from calibration.judge.verdicts import SCHEMA, SCORE_PROMPT, Question, make_score_question
from calibration.models.checkpoints import ModelSource, locate_all
from calibration.models.devices import Batches, chosen_device, chunks, kind_of_device, release
from calibration.models.encoders import Evaluator, Pair, load_evaluator
from calibration.models.endpoint_answers import check_endpoints
from calibration.models.generation import outputs
from calibration.models.reranking import RerankClient, make_rerank_question
from calibration.models.server_keys import origin, read_secret
from calibration.models.spending import Budget, Sent
from calibration.progress import Advance, Report, progress
from calibration.stage_settings import AskedEvaluatorSpec, EvaluatorSpec
from calibration.workspace import (
    Log,
    StageCounts,
    Stamp,
    Workspace,
    complete_log,
    current_rows,
    digest,
    versions,
)
from poq_abm.errors import InputError

__all__ = ["pairs_of", "score", "scores"]

Row = dict[str, Any]
Name = tuple[str, str]  # record, model


@dataclass(frozen=True)
class _Item:
    """One output of one model, with the pairs of texts it is scored by."""

    record: str
    model: str
    pairs: tuple[Pair, ...]


def pairs_of(record: Record, output: str, kind: str) -> tuple[Pair, ...]:
    """Return the pairs an evaluator reads for one output; an empty output is a text like any other.

    ``reference_output`` gives one pair per reference, of which the best value counts;
    ``input_output`` gives one.

    >>> pairs_of(Record("r", "qa", "Who?", ("Ann", "Bo")), "Bo", "reference_output")
    (('Ann', 'Bo'), ('Bo', 'Bo'))
    """
    firsts = record.references if kind == "reference_output" else (record.input,)
    return tuple((first, output) for first in firsts)


def score(
    calibration: Calibration, report: Report, *, resend: bool = False
) -> dict[str, StageCounts]:
    """Score every output that is not scored yet; return the counts of each evaluator.

    ``resend`` asks servers again for what was on its way when an earlier run was killed.

    Raises :class:`~poq_abm.errors.InputError` when there are no outputs, when an evaluator cannot
    be found (before any work) or loaded, and, naming evaluator, record and model, when it returns
    NaN or infinity. Whatever interrupts it, the scores made so far are kept.
    """
    _require_outputs(calibration, report)
    device = chosen_device(calibration.scoring.device) if calibration.encoders else ""
    sources = locate_all(calibration.encoders)
    check_endpoints(calibration.asked_evaluators)
    counts = {}
    for spec in calibration.evaluators:
        items = _items(calibration, spec)
        if isinstance(spec, AskedEvaluatorSpec):
            counts[spec.name] = _ask(calibration, spec, items, report, resend=resend)
            report(f"{spec.name}: {counts[spec.name]}")
            continue
        stage = _Scoring(calibration, spec, items, device, report)
        counts[spec.name] = stage.run(sources[spec.name])
        release(device)
        report(f"{spec.name}: {counts[spec.name]}")
    return counts


def scores(calibration: Calibration, spec: EvaluatorSpec | AskedEvaluatorSpec) -> dict[Name, Row]:
    """Return the current row of each scored output, by the ids of record and model.

    Current: for the texts and settings of today, by the revision and libraries of the last run.
    Needs neither evaluator nor libraries. Of a log without a stamp, made by other means, the last
    row of an output counts.
    """
    items = _items(calibration, spec)
    log = Workspace(calibration.out).scores(spec.name)
    if isinstance(spec, AskedEvaluatorSpec):
        rows = current_rows(log, lambda _: _asked_keys(spec, items), _name_of)
        return {name: {"value": row.get("score"), **row} for name, row in rows.items()}
    return current_rows(log, lambda stamp: _keys(calibration, spec, items, stamp), _name_of)


class _Scoring:
    """The scores of one evaluator, model by model in the order of the corpus."""

    def __init__(
        self,
        calibration: Calibration,
        spec: EvaluatorSpec,
        items: Sequence[_Item],
        device: str,
        report: Report,
    ) -> None:
        self.calibration = calibration
        self.spec = spec
        self.items = items
        self.device = device
        self.report = report
        self.log = Log(Workspace(calibration.out).scores(spec.name))
        self.batches = Batches(spec.batch_size, spec.name, report, partial(release, device))

    def run(self, source: ModelSource) -> StageCounts:
        libraries = versions("torch", "transformers", "tokenizers", "sentence-transformers")
        stamp = Stamp(source.revision, kind_of_device(self.device), libraries)
        keys = _keys(self.calibration, self.spec, self.items, stamp)

        def make(found: Mapping[Name, Row], missing: int) -> int:
            self.report(f"{self.spec.name}: {missing} outputs to score on {self.device}")
            evaluator = load_evaluator(self.spec, source, self.device)
            with progress(self.report, self.spec.name, missing) as advance:
                self._make(evaluator, keys, found, advance)
            return missing

        return complete_log(self.log, stamp, keys, _name_of, make)

    def _make(
        self,
        evaluator: Evaluator,
        keys: Mapping[Name, str],
        found: Mapping[Name, Row],
        advance: Advance,
    ) -> None:
        """Score every chunk that lacks a row, as a whole, so that batches stay what they were."""
        for chunk in chunks(self.items, self.spec.batch_size):
            if all((item.record, item.model) in found for item in chunk):
                continue
            pairs = [pair for item in chunk for pair in item.pairs]
            raw = [row for _, part in self.batches.run(pairs, evaluator.raw) for row in part]
            for item in chunk:
                mine, raw = raw[: len(item.pairs)], raw[len(item.pairs) :]
                name = (item.record, item.model)
                if name not in found:
                    row = self._row(evaluator, item, mine, keys[name])
                    self.log.append(row)
                    advance(f"{row['value']:.4g} for {item.pairs[0][1]}")

    def _row(
        self, evaluator: Evaluator, item: _Item, raw: Sequence[Sequence[float]], key: str
    ) -> Row:
        """Return the row of one output: of several references, the pair of highest value counts."""
        values = [evaluator.value(numbers) for numbers in raw]
        if not all(math.isfinite(x) for x in (*values, *(x for numbers in raw for x in numbers))):
            raise InputError(
                f"evaluator {self.spec.name!r} returns NaN or infinity for record {item.record!r} "
                f"and model {item.model!r}"
            )
        best = max(range(len(values)), key=values.__getitem__)
        is_referred = self.calibration.pairs_of(self.spec) == "reference_output"
        return {
            "record": item.record,
            "model": item.model,
            "evaluator": self.spec.name,
            "key": key,
            "raw": list(raw[best]),
            "activation": self.spec.activation,
            "value": values[best],
            "reference": best if is_referred else None,
        }


def _ask(
    calibration: Calibration,
    spec: AskedEvaluatorSpec,
    items: Sequence[_Item],
    report: Report,
    *,
    resend: bool,
) -> StageCounts:
    """Ask an evaluator behind a server for the scores that are missing, within its budget."""
    log, keys = Log(Workspace(calibration.out).scores(spec.name)), _asked_keys(spec, items)
    side = "references" if calibration.pairs_of(spec) == "reference_output" else "input"

    def make(found: Mapping[Name, Row], missing: int) -> int:
        report(f"{spec.name}: {missing} outputs to score at {origin(spec.base_url)}")
        secret = read_secret(spec.key_variable, spec.base_url, os.environ)
        sent = Sent(spec, log.path)
        budget = Budget(spec, log.read()[0], sent.unknown)
        waiting = [item for item in items if (item.record, item.model) not in found]
        questions = [_question(spec, item, side, keys) for item in waiting]
        questions = sent.to_ask(
            questions,
            lambda question: question.name,
            lambda line: report(f"{spec.name}: {line}"),
            resend=resend,
        )
        section = f"evaluators.{spec.name}"
        make_client = RerankClient if spec.kind == "reranker" else JudgeClient
        with make_client(spec, secret, "evaluator", section) as client:
            session = Session(spec, client, budget, secret, log, sent, bool(found))
            session.again, session.served = "poq calibrate score", served_by(found.values())
            with progress(report, spec.name, len(questions)) as advance:
                stopped = session.ask_all(questions, advance)
        if session.refused:
            report(f"{spec.name}: {session.refused} outputs got no score; run again to ask")
        if stopped:
            report(f"{spec.name}: stopped: {stopped}")
        return session.judged

    return complete_log(log, Stamp(spec.model, "endpoint", {}), keys, _name_of, make)


def _question(
    spec: AskedEvaluatorSpec, item: _Item, side: str, keys: Mapping[Name, str]
) -> Question:
    """Return what is asked of one output; to a reranker its references are documents."""
    firsts, output = [first for first, _ in item.pairs], item.pairs[0][1]
    key = keys[item.record, item.model]
    if spec.kind == "reranker":
        query, documents = (output, firsts) if side == "references" else (firsts[0], [output])
        return make_rerank_question(item.record, item.model, query, documents, key)
    beside = {side: firsts if side == "references" else firsts[0]}
    return make_score_question(item.record, item.model, beside, output, key)


def _asked_keys(spec: AskedEvaluatorSpec, items: Sequence[_Item]) -> dict[Name, str]:
    common: dict[str, Any] = {"model": spec.model, "prompt": SCORE_PROMPT, "schema": SCHEMA}
    if spec.kind == "reranker":
        common = {"model": spec.model, "kind": spec.kind}
    return {
        (item.record, item.model): digest({**common, "texts": [list(p) for p in item.pairs]})
        for item in items
    }


def _require_outputs(calibration: Calibration, report: Report) -> None:
    """Say which models lack outputs; raise where there is none of any."""
    records = read_corpus(Workspace(calibration.out).corpus)
    found = 0
    for spec in calibration.models:
        made = len(outputs(calibration, spec, records))
        if made < len(records):
            report(f"{spec.name}: {len(records) - made} of {len(records)} outputs are missing")
        found += made
    if not found:
        raise InputError(
            f"there are no outputs of these models in {calibration.out}; "
            "make them with `poq calibrate generate`"
        )


def _items(calibration: Calibration, evaluator: EvaluatorSpec | AskedEvaluatorSpec) -> list[_Item]:
    """Return the outputs there are, with the pairs that this evaluator reads."""
    records, kind = read_corpus(Workspace(calibration.out).corpus), calibration.pairs_of(evaluator)
    items = []
    for spec in calibration.models:
        made = outputs(calibration, spec, records)
        items += [
            _Item(r.id, spec.name, pairs_of(r, made[r.id]["output"], kind))
            for r in records
            if r.id in made
        ]
    return items


def _name_of(row: Row) -> Name:
    return str(row.get("record")), str(row.get("model"))


def _keys(
    calibration: Calibration, spec: EvaluatorSpec, items: Sequence[_Item], stamp: Stamp
) -> dict[Name, str]:
    """Return the key that the row of each output must have."""
    common = {
        "evaluator": spec.model_dump(include={"kind", "activation", "label", "dtype"}),
        "pairs": calibration.pairs_of(spec),
        "stamp": stamp.as_data(),
    }
    return {
        (item.record, item.model): digest({**common, "texts": [list(p) for p in item.pairs]})
        for item in items
    }
