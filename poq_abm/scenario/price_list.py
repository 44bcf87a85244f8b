"""A population from a router's price list: inference nodes that buy what they answer."""

from __future__ import annotations

import csv
import json
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile

__all__ = ["JobTokens", "ListedModel", "PriceList", "market_text", "read_price_list"]

_ROUNDS_PER_EPOCH, _EPOCHS, _COMMITTEE, _NODES, _EVALUATORS = 2000, 30, 3, 4, 3
_DEAREST = Decimal("0.01")  # USD a token: more can only be a price of a thousand or a million
_SHAPES = (
    '{"data": [{"id": ..., "pricing": {"prompt": ..., "completion": ...}}]}, '
    '{MODEL: {"input_cost_per_token": ..., "output_cost_per_token": ...}}, '
    "or a .csv with the columns model, prompt and completion"
)

_TEXT = """\
# {name}: which models does a market keep, where an answer is bought at its list price?
#
# From {source} are the names and prices, in USD per token, of {chosen} of its {all} models that
# write text at a price.
# Assumed by us:
# * a job has {prompt} tokens of prompt and {completion} of completion, so that an answer costs
#   {prompt} x prompt price + {completion} x completion price + what a request costs;
# * which model of the profile answers, and how fast, for which of the list: the one of that name,
#   else by the rank of their prices, the dearest with the model of the highest mean truth;
# * {count} nodes buy each; a token is worth {worth} USD, {basis};
# * evaluators run on machines of their own, pay for them, and stay whatever they earn.
#
# In rounds, without a market: --set economy=null --set mechanism.cost_inference=price

name: {name}
profile: {profile}
rounds: {rounds}
replications: 10

mechanism: {{committee_size: {committee}}}

population:
  inference:
{inference}
  evaluators:
{evaluators}

economy:
  epochs: {epochs}
  cost: {{basis: money, usd_per_token: {worth}, ownership: own}}
  adaptation:
    - {{name: entry_exit, rate: 0.2, scale: 5.0, stays: {evaluator_nodes}}}
"""


class JobTokens(NamedTuple):
    """What a job is assumed to take, in tokens."""

    prompt: int
    completion: int


class ListedModel(NamedTuple):
    """A model of a price list, and its prices.

    >>> ListedModel("a", Decimal("2e-8"), Decimal("4e-8"), Decimal(0)).usd(JobTokens(500, 200))
    1.8e-05
    """

    name: str
    prompt: Decimal  #: USD a token
    completion: Decimal  #: USD a token
    request: Decimal  #: USD a request, besides

    def usd(self, job: JobTokens) -> float:
        """Return what an answer costs, in USD."""
        return float(self.prompt * job.prompt + self.completion * job.completion + self.request)


class PriceList(NamedTuple):
    """The models of a list that write text and have a price."""

    listed: tuple[ListedModel, ...]

    def chosen(self, names: Sequence[str], limit: int, job: JobTokens) -> list[ListedModel]:
        """Return the models of these names, or ``limit`` of all, by price, the cheapest first.

        These stand at equal steps of the ranks of price, the cheapest and the dearest among them.
        Raises :class:`~poq_abm.errors.InputError` for a name that is not in the list.
        """
        known = {model.name: model for model in self.listed}
        for name in names:
            if name not in known:
                raise InputError(f"the price list has no model {name!r}; {nearest(name, known)}")
        kept = [known[name] for name in dict.fromkeys(names)] if names else self.listed
        ranked = sorted(kept, key=lambda model: (model.usd(job), model.name))
        if names or len(ranked) <= limit:
            return ranked
        places = np.linspace(0, len(ranked) - 1, limit).round().astype(int)
        return [ranked[place] for place in places]


def read_price_list(path: Path) -> PriceList:
    """Read a price list, in USD per token: of OpenRouter, of LiteLLM, or a table.

    JSON is ``{"data": [{"id", "pricing": {"prompt", "completion", "request"}}]}``, prices being
    numbers or words, -1 where they vary; or a mapping of models to ``input_cost_per_token`` and
    ``output_cost_per_token``. A ``.csv`` has the columns model, prompt and completion. Models
    without a price, with one that varies, or that write no text are left out; who stands there
    twice at one price is one.

    Raises
    ------
    InputError
        If the file cannot be read or is of another shape, a price is negative or none, a model
        has two prices, or no model is left.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8") from None
    rows = _of_table(path, text) if path.suffix.lower() == ".csv" else _of_json(path, text)
    found: dict[str, ListedModel] = {}
    for where, name, prices in rows:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError(f"{where}: a model needs a name in printable characters")
        prompt, completion, request = (_price(where, name, price) for price in prices)
        if prompt is not None and completion is not None and request is not None:
            model = ListedModel(name.strip(), prompt, completion, request)
            if found.setdefault(model.name, model) != model:
                raise InputError(f"{where}: {name!r} stands there twice, at two prices")
    if not found:
        raise InputError(f"{path} has no model with prices: {_SHAPES}")
    return PriceList(tuple(found.values()))


_Row = tuple[str, Any, tuple[Any, Any, Any]]  # where it stands, the model, its three prices


def _of_table(path: Path, text: str) -> Iterator[_Row]:
    rows = csv.reader(text.splitlines())
    names = [name.strip().lower() for name in next(rows, [])]
    if missing := [name for name in ("model", "prompt", "completion") if name not in names]:
        raise InputError(f"{path}:1: the table has no column {missing[0]}: {_SHAPES}")
    for row in rows:
        where = f"{path}:{rows.line_num}"
        if not row:
            continue
        if len(row) != len(names):
            raise InputError(f"{where}: {len(row)} cells under {len(names)} names of columns")
        cells = dict(zip(names, (cell.strip() or None for cell in row), strict=True))
        yield (
            where,
            cells["model"],
            (cells["prompt"], cells["completion"], cells.get("request") or 0),
        )


def _of_json(path: Path, text: str) -> Iterator[_Row]:
    try:
        data = json.loads(text, parse_float=Decimal, object_pairs_hook=_once)
    except _TwiceError as error:
        raise InputError(f"{path}: {error} stands there twice, and not alike") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    entries = data.get("data") if isinstance(data, Mapping) else data
    where = str(path)
    if isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries):
        for entry in entries:
            prices = entry.get("pricing")
            if isinstance(prices, Mapping) and _writes_text(entry.get("architecture")):
                request = prices.get("request") or 0
                three = (prices.get("prompt"), prices.get("completion"), request)
                yield where, entry.get("id"), three
    elif isinstance(data, Mapping) and all(isinstance(entry, Mapping) for entry in data.values()):
        for name, entry in data.items():
            if name != "sample_spec" and entry.get("mode", "chat") in _WRITES:
                yield where, name, _lite_prices(entry)
    else:
        raise InputError(f"{path} is no price list: {_SHAPES}")


_WRITES = ("chat", "completion", "responses")


def _lite_prices(entry: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the prices of a model of LiteLLM's, of a token and of a request."""
    per_token = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
    return *per_token, entry.get("input_cost_per_request") or 0


def _writes_text(architecture: Any) -> bool:
    """Return whether a model of OpenRouter's writes text, as one does of which nothing is said.

    >>> _writes_text({"modality": "text->image"}), _writes_text({"output_modalities": None})
    (False, True)
    """
    if not isinstance(architecture, Mapping):
        return True
    writes = architecture.get("output_modalities") or architecture.get("modality") or "text"
    return "text" in (writes.rpartition("->")[2] if isinstance(writes, str) else writes)


class _TwiceError(ValueError):
    """A key of a mapping that says two things."""


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping of JSON, in which no key says two things; of a model, two prices."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made and _said(made[key]) != _said(value):
            raise _TwiceError(repr(key))
        made[key] = value
    return made


def _said(value: Any) -> Any:
    return _lite_prices(value) if isinstance(value, Mapping) else value


def _price(where: str, name: str, written: Any) -> Decimal | None:
    """Return a price in USD; nothing where there is none, or it varies (-1)."""
    if written is None or written == "":
        return None
    try:
        price = Decimal(str(written))
    except InvalidOperation:
        price = Decimal("NaN")
    if isinstance(written, bool) or not price.is_finite():
        raise InputError(f"{where}: {name!r} has a price that is no number: {written!r}")
    if price == -1:
        return None
    if price < 0:
        raise InputError(f"{where}: {name!r} has a negative price: {written}")
    if price > _DEAREST:
        raise InputError(
            f"{where}: {name!r} costs {written} USD a token? Prices are per token, not per million"
        )
    return price


def market_text(
    name: str,
    source: str,
    prices: PriceList,
    chosen: Sequence[ListedModel],
    job: JobTokens,
    profile: Profile,
) -> str:
    """Return a scenario file: a market of nodes that buy from a list, what is assumed said in it.

    ``chosen`` are models of the list, the cheapest first.
    """  # fmt: skip
    usd = [model.usd(job) for model in chosen]
    middle = statistics.median(usd) or statistics.fmean(usd)
    worth = float(f"{2.0 * middle:.2g}") if middle else 0.001
    basis = "about twice what an answer costs in the median" if middle else "as all are free"
    answering = _answering([model.name for model in chosen], profile)
    labels = [model.name.rsplit("/", 1)[-1] for model in chosen]
    alike = len({label.casefold() for label in labels}) < len(labels)
    inference = [
        f"    - {{model: {answers}, name: {json.dumps(label, ensure_ascii=False)}, "
        f"count: {_NODES}, usd_per_answer: {price!r}}}  # {ground}"
        for (answers, ground), label, price in zip(
            answering,
            [model.name for model in chosen] if alike else labels,
            usd,
            strict=True,
        )
    ]
    evaluators = [f"    - {{model: {model}, count: {_EVALUATORS}}}" for model in profile.evaluators]
    return _TEXT.format(
        name=name,
        source=source,
        chosen=len(chosen),
        all=len(prices.listed),
        prompt=job.prompt,
        completion=job.completion,
        count=_NODES,
        worth=worth,
        basis=basis,
        profile=profile.name,
        rounds=_ROUNDS_PER_EPOCH * _EPOCHS,
        epochs=_EPOCHS,
        committee=_COMMITTEE,
        evaluator_nodes=_EVALUATORS * len(profile.evaluators),
        inference="\n".join(inference),
        evaluators="\n".join(evaluators),
    )


def _answering(listed: Sequence[str], profile: Profile) -> list[tuple[str, str]]:
    """Return which model of a profile answers for each listed one, and on what ground."""
    parts = {model: _parts(model) for model in profile.models}
    found: dict[str, tuple[str, str]] = {}
    for name in listed:
        own = _parts(name.rsplit("/", 1)[-1])
        alike = [model for model, its in parts.items() if own[: len(its)] == its]
        if alike:
            found[name] = (max(alike, key=lambda model: len(parts[model])), "by its name")
    worth = profile.truth if profile.knows_truth else profile.agreed
    best_first = np.argsort(-worth.mean(axis=0), kind="stable")
    dearest_first = [name for name in reversed(listed) if name not in found]
    for place, names in zip(
        best_first, np.array_split(dearest_first, best_first.size), strict=True
    ):
        found.update({str(name): (profile.models[place], "by its price") for name in names})
    return [found[name] for name in listed]


def _parts(name: str) -> list[str]:
    """Return a name's letters and numbers: ``Llama-3.2-3B`` is llama, 3, 2, 3 and b."""
    return re.findall(r"[a-z]+|[0-9]+", name.lower())
