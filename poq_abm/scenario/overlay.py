"""Values laid over values: the one way in which files, overrides and axes of a sweep merge.

``extends``, ``--set``, :meth:`Scenario.replace` and the axes of a sweep all say what holds above
what was said before:

* a mapping is merged key by key, so that setting a field keeps its siblings;
* ``null`` and ``{}`` remove what was said, and the axes inside it, and leave the default;
* a list and a single value replace, as do shares, which only together sum to 1, and a sweep, which
  is one design;
* a behaviour keeps the parameters that the new one has as well, and the others go with the old.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from poq_abm.rules.adaptation.base import ADAPTATIONS
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Kind
from poq_abm.scenario.checks.problems import KeyPath, shown
from poq_abm.scenario.paths import is_open, is_share, keys_at, kind_at, rule_at, split
from poq_abm.scenario.schema.fields import named
from poq_abm.scenario.schema.settings import gathered
from poq_abm.scenario.sweep.designs import DESIGNS
from poq_abm.scenario.sweep.listing import LABEL

__all__ = ["laid_over", "leaves", "put", "removals", "without_axes"]

_MALICIOUS: KeyPath = ("malicious",)


def laid_over(below: Any, above: Any, path: KeyPath = ()) -> Any:
    """Return what holds at ``path`` once ``above`` is said over ``below``; neither is changed.

    >>> laid_over({"trust": {"rate": 0.2, "start": 2.0}}, {"trust": {"rate": 0.5}})
    {'trust': {'rate': 0.5, 'start': 2.0}}
    >>> laid_over({"economy": {"epochs": 3}, "rounds": 9}, {"economy": None})
    {'rounds': 9}
    >>> old = {"name": "boost", "b": 6.0}
    >>> laid_over(old, "sabotage", ("malicious", "behaviour"))
    {'name': 'sabotage', 'b': 6.0}
    >>> laid_over(old, {"name": "constant", "score": 2.0}, ("malicious", "behaviour"))
    {'name': 'constant', 'score': 2.0}
    """
    if path == _MALICIOUS:
        below, above = gathered(below), gathered(above)
    rule = rule_at(path)
    if rule is not None:
        return _rule_laid_over(below, above, rule)
    if not _merges(above, path):
        return above
    if not isinstance(below, Mapping):
        below = {}
    kind = kind_at(path)
    if kind is not None and below.get("name") != above.get("name", below.get("name")):
        other = rules(kind).get(str(above["name"]))  # keeps what it has as well
        below = {key: below[key] for key in below if other and key in other.parameters}
    merged = dict(below)
    for key, value in above.items():
        if _is_removal(value) and _is_known((*path, key)):
            merged.pop(key, None)
        else:
            merged[key] = laid_over(below.get(key), value, (*path, key))
    return merged


def _is_removal(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and not value)


def _is_known(path: KeyPath) -> bool:
    """Return whether a scenario can have this key; one that it cannot have stays, to be refused."""
    known = keys_at(path[:-1])
    return is_open(path[:-1]) or path[0] == "sweep" if known is None else path[-1] in known


def _merges(value: Any, path: KeyPath) -> bool:
    """Return whether a value keeps what it does not say: ``{}`` removes, and some are one."""
    is_one = path == ("sweep",) or is_share(path) or _shares_out(value)
    return isinstance(value, Mapping) and bool(value) and not is_one


def _shares_out(value: Any) -> bool:
    """Return whether every part of a mapping says its share, as vendors do: together they sum to 1.

    >>> _shares_out({"a": {"share": 0.5}, "b": {"share": 0.5}}), _shares_out({"a": {"days": 2.0}})
    (True, False)
    """
    return isinstance(value, Mapping) and all(
        isinstance(part, Mapping) and "share" in part for part in value.values()
    )


def _rule_laid_over(below: Any, above: Any, rule: str) -> Any:
    """Return one behaviour, or rule of adaptation, over another."""
    old, new = named(below), named(above)
    if not (isinstance(old, Mapping) and isinstance(new, Mapping) and new):
        return above
    merged = dict(old)
    if new.get("name", old.get("name")) != old.get("name"):
        known = _parameters(rule, new["name"])
        merged = {"name": new["name"], **{key: old[key] for key in old if key in known}}
    for key, value in new.items():
        if _is_removal(value):
            merged.pop(key, None)
            continue
        nested = isinstance(merged.get(key), Mapping) and isinstance(value, str | Mapping)
        merged[key] = _rule_laid_over(merged[key], value, rule) if nested else value
    return merged


def _parameters(rule: str, name: Any) -> Mapping[str, Any]:
    """Return the parameters that a behaviour or a rule of adaptation declares."""
    if not isinstance(name, str):
        return {}
    kind: Kind[Any] = (
        ADAPTATIONS
        if rule == "adaptation"
        else BEHAVIOURS["inference" if rule == "inference" else "evaluator"]
    )
    known = rules(kind).get(name)
    return {} if known is None else known.parameters


def put(data: Any, path: KeyPath, value: Any, at: KeyPath = ()) -> Any:
    """Return ``data``, which stands ``at`` a place, with ``value`` laid over what is at ``path``.

    Only what lies along the path is copied, and mappings that are missing on the way are made.
    Raises :class:`LookupError` if ``path`` leads into a single value or past the end of a list.

    >>> put({"rounds": 1}, ("mechanism", "committee_size"), 2)
    {'rounds': 1, 'mechanism': {'committee_size': 2}}
    """
    if not path:
        return laid_over(data, value, at)
    if at == _MALICIOUS and path[0] not in ("share", "behaviour"):
        path = ("behaviour", *path)
    if at == _MALICIOUS:
        data = gathered(data)
    if rule_at(at) is not None:
        data = named(data)
        if path == ("name",):  # another name is another behaviour
            return laid_over(data, {"name": value}, at)
    first, rest = path[0], path[1:]
    if isinstance(data, list):
        if not isinstance(first, int) or first >= len(data):
            raise LookupError(f"a list of {len(data)} has no {shown(first)}")
        inner = put(data[first], rest, value, (*at, first))
        return [*data[:first], inner, *data[first + 1 :]]
    if data is None or isinstance(data, Mapping):
        key = str(first)
        if not rest and _is_removal(value) and _is_known((*at, key)):
            return {known: item for known, item in (data or {}).items() if known != key}
        known = data or {}
        return {**known, key: put(known.get(key), rest, value, (*at, key))}
    raise LookupError(f"{shown(data)} is a single value: there is no {shown(first)} in it")


def leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield where a value, laid over others at ``path``, hides what was said there.

    >>> list(leaves({"rounds": 1, "mechanism": {"trust": {"rate": 0.1}}}))
    [('rounds',), ('mechanism', 'trust', 'rate')]
    """
    if path == _MALICIOUS:
        value = gathered(value)
    if rule_at(path) is not None:
        value = named(value)
    if not _merges(value, path):
        yield path
        return
    for key, inner in value.items():
        yield from leaves(inner, (*path, key))


def removals(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield what ``null`` or ``{}`` removes in a value that is laid over others at ``path``.

    >>> list(removals({"economy": None, "rounds": 5}))
    [('economy',)]
    """
    if _is_removal(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from removals(inner, (*path, key))


def without_axes(data: dict[str, Any], removed: Iterable[KeyPath]) -> dict[str, Any]:
    """Return data whose sweep has no axis inside what was removed: what is not there has no parts.

    >>> data = {"sweep": {"economy.epochs": [2, 3], "rounds": [5, 9]}}
    >>> without_axes(data, [("economy",)])
    {'sweep': {'rounds': [5, 9]}}
    """
    gone = [path for path in removed if path and path[0] != "sweep"]
    sweep = data.get("sweep")
    if not gone or not isinstance(sweep, Mapping):
        return data

    def stays(name: str) -> bool:
        path = split(name)
        return not any(path[: len(above)] == above for above in gone)

    def kept(key: str, written: Any) -> Any:
        if isinstance(written, list):
            return [item for entry in written if (item := kept("zip", entry)) not in ({}, [])]
        if not isinstance(written, Mapping):
            return written
        if key in DESIGNS:
            ranges = kept("zip", written.get("ranges"))
            return {**written, "ranges": ranges} if ranges else {}
        left = {name: value for name, value in written.items() if stays(name)}
        return left if left.keys() - {LABEL} else {}

    forms = ("zip", "list", *DESIGNS)
    left = {
        key: kept(key, value) if key in forms else value
        for key, value in sweep.items()
        if key in forms or stays(key)
    }
    return {**data, "sweep": {key: value for key, value in left.items() if value not in ({}, [])}}
