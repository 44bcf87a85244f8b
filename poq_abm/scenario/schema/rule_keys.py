"""Keys of a scenario that come from the declarations of rules: their names and their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator
from pydantic_core import core_schema

from poq_abm.rules.registry import RuleError, complete, find, rules, shipped
from poq_abm.rules.rule import Kind, Parameter, Rule
from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.fields import (
    Label,
    Strict,
    When,
    as_tuple,
    complaint,
    countable,
    name_or_mapping,
)

__all__ = ["NamedRule", "WithRules", "acts_of", "keys_of", "with_rule"]


class NamedRule(NamedTuple):
    """The type of a key that names a rule of a kind, or one's own with values for its parameters.

    A shipped rule's parameters are keys beside it.
    """

    kind: Kind[Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        return name_or_mapping(rules(self.kind))

    def read(self, value: Any) -> Any:
        """Return a rule as it is stored: its name or, with values, a mapping; or complain."""
        if not isinstance(value, str | Mapping) or not isinstance(_name(value), str):
            said = "must name a rule, or be {name: RULE, PARAMETER: VALUE}"
            raise complaint(f"{said}, got {shown(value)}")
        given = {} if isinstance(value, str) else {k: v for k, v in value.items() if k != "name"}
        try:
            rule = find(self.kind, _name(value))
            if rule.name not in shipped(self.kind):
                complete(rule, given)
            for key in given.keys() & rule.parameters.keys():
                if rule.name in shipped(self.kind):
                    section = self.kind.key.rpartition(".")[0]
                    raise complaint(f"{key} of {rule.name} is a key of its own: {section}.{key}")
            if given:
                complete(rule, given)
        except RuleError as error:
            raise complaint(error.message) from None
        return {"name": rule.name, **given} if given else rule.name


def _name(written: str | Mapping[str, Any]) -> Any:
    return written if isinstance(written, str) else written.get("name")


def shipped_parameters(kind: Kind[Any]) -> dict[str, tuple[Parameter, list[str]]]:
    """Return the parameters of the rules of a kind that ship, and which rules have each."""
    found: dict[str, tuple[Parameter, list[str]]] = {}
    for rule in shipped(kind).values():
        for key, parameter in rule.parameters.items():
            found.setdefault(key, (parameter, []))[1].append(rule.name)
    return found


def keys_of(kind: Kind[Any], *after: str) -> type[WithRules]:
    """Return a section with a key for every parameter of the rules of a kind that ship.

    ``after`` are keys that stand before them; the section that inherits says what they are.
    """
    fields: dict[str, Any] = dict.fromkeys(after, (Any, None))
    for key, (parameter, names) in shipped_parameters(kind).items():
        unit = f" [{parameter.unit}]" if parameter.unit else ""
        fields[key] = _field(parameter, f"{parameter.meaning}{unit} ({', '.join(names)})")
    name = f"{kind.name.title().replace(' ', '')}Keys"
    made: type[WithRules] = create_model(name, __base__=WithRules, __module__=__name__, **fields)
    return made


def _field(parameter: Parameter, description: str) -> tuple[Any, Any]:
    bounds: dict[str, Any] = {}
    if parameter.low > -float("inf"):
        bounds["gt" if parameter.open_low else "ge"] = parameter.low
    if parameter.high < float("inf"):
        bounds["lt" if parameter.open_high else "le"] = parameter.high
    if parameter.kind == "by task":
        number = Annotated[float, Field(**bounds), AfterValidator(countable)]
        each: Any = dict[Label, number]
        return each, Field(default_factory=dict, description=description)
    if parameter.kind == "list":
        entry = Annotated[float, Field(**bounds), AfterValidator(countable)]
        entries: Any = Annotated[
            tuple[entry, ...],
            BeforeValidator(as_tuple),
            Field(min_length=1, max_length=parameter.most),
        ]
        return entries, Field(default=parameter.default, description=description)
    number_kind = int if parameter.kind == "count" else float
    return number_kind, Field(default=parameter.default, description=description, **bounds)


def acts_of(kind: Kind[Any]) -> dict[str, When]:
    """Return when each of those keys acts: with the rules that have it."""

    def having(names: Sequence[str]) -> When:
        return with_rule(kind, lambda rule: rule.name in names)

    return {key: having(names) for key, (_, names) in shipped_parameters(kind).items()}


def with_rule(kind: Kind[Any], test: Callable[[type[Any]], bool]) -> When:
    """Return the condition that the rule of a kind in play passes a test."""

    def fault(settings: Any, _section: Any) -> str | None:
        for key in kind.key.split("."):
            settings = getattr(settings, key)
        if test(find(kind, _name(settings))):
            return None
        names = [name for name, rule in rules(kind).items() if test(rule)]
        return f"acts only with {kind.key}: {' or '.join(names)}, not {shown(settings)}"

    return When(fault, (kind.key,))


@cache
def _kind_of(section: type[Strict], key: str) -> Kind[Any]:
    """Return the kind of the rules that a key of a section names."""
    metadata = section.model_fields[key].metadata
    return next(item.kind for item in metadata if isinstance(item, NamedRule))


class WithRules(Strict):
    """A section in which some keys name rules."""

    def rule(self, key: str) -> tuple[type[Any], dict[str, Any]]:
        """Return the rule that a key names, and the values of its parameters."""
        rule = find(_kind_of(type(self), key), _name(getattr(self, key)))
        return rule, self.values_of(key, rule)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse values of a rule's parameters that are right one by one and not together."""
        for key, field in type(self).model_fields.items():
            if any(isinstance(item, NamedRule) for item in field.metadata):
                rule, values = self.rule(key)
                if fault := rule.conflict(values):
                    raise complaint(fault)
        return self

    def values_of(self, key: str, rule: type[Rule]) -> dict[str, Any]:
        """Return the values that the parameters of a rule would have if the key named it.

        Those of a shipped rule stand in keys beside it, those of one's own with its name.
        """
        if shipped(rule.kind).get(rule.name) is rule:
            return {name: getattr(self, name) for name in rule.parameters}
        written = getattr(self, key)
        given = written if isinstance(written, Mapping) and written["name"] == rule.name else {}
        return complete(rule, {name: value for name, value in given.items() if name != "name"})
