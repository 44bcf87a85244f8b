"""What the prose of a report says of a run: facts for its templates, and how values are spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from poq_abm.analysis.stored_run import StoredRun
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import find
from poq_abm.scenario.schema.economy import EconomySettings
from poq_abm.scenario.schema.key_reference import keys_below

__all__ = ["FILTERS", "charged_costs", "facts", "set_by_hand", "spoken"]

MOST_VALUES = 8
#: how the templates are called that say what a run does otherwise than rounds, by its table
_OTHERWISE = {"queries": "_queries", "epochs": "_economy"}
#: told elsewhere in a report, each with its source
_ELSEWHERE = ("economy.adaptation",)


def spoken(values: Sequence[Any]) -> str:
    """Return values as a sentence lists them.

    >>> spoken([1.0, 2.5, None])
    '1, 2.5, none'
    """
    words = [_word(value) for value in values[:MOST_VALUES]]
    left_out = len(values) - len(words)
    return ", ".join([*words, *([f"and {left_out} more values"] if left_out else [])])


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_word, value)) + "]"
    return str(value)


def _thousands(number: int) -> str:
    return f"{number:,}"


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _leaf(source: object) -> str:
    return str(source).replace("\\", "/").rstrip("/").rpartition("/")[2]


#: how templates write values
FILTERS: dict[str, Callable[[Any], str]] = {
    "spoken": spoken,
    "thousands": _thousands,
    "words": _words,
    "leaf": _leaf,
}


def facts(run: StoredRun) -> dict[str, Any]:
    """Return what the templates of the methods and of the ODD protocol are filled with."""
    economies = [one for one in run.values("economy") if one is not None]
    rules = [str(rule["name"]) for one in economies for rule in one.adaptation]
    shares = [one.share for one in run.values("malicious") if one is not None]
    known = [ways for ways in run.values("verification.adversaries.actions") if ways is not None]
    people = run.scenario.population
    groups = (*people.inference, *people.evaluators)
    return {
        "run": run,
        "part": next((part for table, part in _OTHERWISE.items() if run.has(table)), ""),
        "seated": _seated(run),
        "epoch_hours": list(dict.fromkeys(one.epoch_hours for one in economies)),
        "varies": not all(one.demand.is_constant for one in economies),
        "everybody": people.inference_nodes + people.evaluator_nodes,
        "present": sum(g.count if g.active is None else g.active for g in groups),
        "values": run.values,
        "economies": economies,
        "adaptations": list(dict.fromkeys(rules)),
        "updates": [rule for rule in run.values("mechanism.trust.update") if rule != "none"],
        "shares": list(dict.fromkeys(shares)),
        "charged": charged_costs(run),
        "actions": list(dict.fromkeys(way for ways in known for way in ways)),
        "columns": len(run.results.main.columns),
        "versions": run.manifest.get("versions", {}),
    }


def _seated(run: StoredRun) -> list[str]:
    """Return the protocols of a run under which evaluators score answers."""
    return [str(name) for name in run.values("verification.protocol")
            if name is not None and find(PROTOCOLS, str(name)).scored]  # fmt: skip


def set_by_hand(run: StoredRun) -> Iterator[tuple[str, str, str]]:
    """Yield path, values and meaning of the economy's fields that are not as the schema says."""
    default = EconomySettings()
    for key in keys_below(EconomySettings, "economy."):
        if "*" in key.path or key.path in _ELSEWHERE:
            continue
        values = _taken(run, key.path)
        if values and values != [_at(default, key.path.removeprefix("economy."))]:
            yield key.path, spoken(values), key.meaning


def _taken(run: StoredRun, path: str) -> list[Any]:
    """Return the values of a field; of a section that may be absent, those where it is there."""
    found: list[Any] = []
    for economy in run.values("economy"):
        value = None if economy is None else _at(economy, path.removeprefix("economy."))
        if economy is not None and value not in found:
            found.append(value)
    return found


def _at(section: Any, path: str) -> Any:
    for name in path.split("."):
        section = None if section is None else getattr(section, name)
    return section


_SPOKEN_BASIS = {"latency": "mean latency", "price": "the price of an answer"}


def charged_costs(run: StoredRun) -> str:
    """Return what the cost C that rewards charge was normalised from, and over whom."""
    found: dict[str, None] = {}
    for scenario in run.scenarios.values():
        economy = scenario.economy
        money = economy is not None and economy.cost.basis == "money"
        bases = {role: scenario.mechanism.cost_basis(role) for role in ("inference", "evaluator")}
        text = _SPOKEN_BASIS[bases["inference"]]
        if money:
            buy = any(one.usd_per_answer is not None for one in scenario.population.inference)
            bought = "; where answers are bought, their price" * buy
            text = f"the money a job costs (energy, hardware, bandwidth{bought})"
        elif len(set(bases.values())) > 1:
            text = " and ".join(f"{_SPOKEN_BASIS[bases[r]]} of the {r} nodes" for r in bases)
        if economy is not None and economy.latency.charged == "realised":
            text += ", times the realised over the mean time of the job"
        found[text] = None
    over = "the nodes that are there, in each epoch anew" if run.has("epochs") else "all nodes"
    return f"{' or '.join(found)}, min-max normalised inside each node class over {over}"
