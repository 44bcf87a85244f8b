"""The section ``verification:``: what it refuses, what it allows and says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from poq_abm.rules.protocol.protocol import PROTOCOLS, rounds_of_bisection
from poq_abm.rules.registry import shipped
from poq_abm.scenario.checks.explaining import findings
from poq_abm.scenario.schema.verification import Verification, protocol_of

SHIPPED = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
FILES = [path for path in SHIPPED if "\nverification:\n" in path.read_text()]


def said(data: dict[str, object]) -> str:
    """Return what is wrong with a section, in the words of the loader."""
    with pytest.raises(ValidationError) as caught:
        Verification.model_validate(data)
    return "; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in findings(caught.value))


def figures(section: BaseModel) -> list[tuple[str, object]]:
    """Return every figure of a section and of those inside, with its field."""
    found: list[tuple[str, object]] = []
    for name, information in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found += figures(value)
        elif name != "protocol":
            found.append((name, information))
    return found


PROBABILITIES = [
    "otr.proof_rate",
    "proof_of_sampling.challenge_probability",
    "proof_of_sampling.lazy_share",
    "watchers.lazy_share",
    "watchers.check_probability",
    "adversaries.rational_share",
    "adversaries.byzantine_share",
    "adversaries.collusion.watcher_share",
    "adversaries.collusion.validator_share",
    "adversaries.collusion.censorship",
    "economics.slash_share",
]


@pytest.mark.parametrize("path", PROBABILITIES)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_probability_outside_the_unit_interval_is_refused(path: str, value: float) -> None:
    data: object = value
    for part in reversed(path.split(".")):
        data = {part: data}
    assert isinstance(data, dict)
    assert path.rpartition(".")[2] in said(data)


def test_a_window_shorter_than_one_bisection_is_refused_with_the_arithmetic() -> None:
    message = said({"otr": {"window_s": 39.0}})
    assert "otr.window_s = 39 s is shorter than one bisection" in message
    assert "20 rounds of otr.step_s = 2 s take 40 s" in message
    assert Verification.model_validate({"otr": {"window_s": 40.0}}).otr.window_s == 40.0
    assert "opml.window_s" in said({"opml": {"window_s": 60.0}})


def test_a_bond_below_the_bounty_is_refused() -> None:
    message = said({"economics": {"stake_usd": 1.0, "slash_share": 0.5, "bounty_usd": 0.6}})
    assert "the bond is below the bounty" in message
    assert "0.5 USD cannot pay bounty_usd = 0.6 USD" in message


def test_an_unknown_protocol_is_refused_with_the_nearest_name() -> None:
    assert "unknown protocol 'otrr'; did you mean 'otr'?" in said({"protocol": "otrr"})
    assert "did you mean 'proof_of_sampling'?" in said({"protocol": "proof_of_sample"})


def test_an_unknown_parameter_or_way_to_cheat_is_refused() -> None:
    assert "proof_rat" in said({"otr": {"proof_rat": 0.1}})
    assert "did you mean 'downgrade'?" in said({"adversaries": {"actions": ["downgrad"]}})


def test_more_adversaries_than_nodes_and_shares_that_do_not_sum_are_refused() -> None:
    assert "more than all nodes" in said(
        {"adversaries": {"rational_share": 0.6, "byzantine_share": 0.5}}
    )
    vendors = {"a": {"share": 0.5}, "b": {"share": 0.4}}
    assert "sum to 0.9, not to 1" in said({"adversaries": {"vendors": vendors}})


@pytest.mark.parametrize("name", ["opml", "otr", "poq+otr"])
@pytest.mark.parametrize(
    "watchers", [{"count": 0}, {"count": 3, "lazy_share": 1.0}, {"count": 1, "lazy_share": 0.5}]
)
def test_no_honest_watcher_is_allowed_and_reported(name: str, watchers: dict[str, float]) -> None:
    data = {"protocol": name, "watchers": watchers}
    found = protocol_of(Verification.model_validate(data)).weaknesses()
    assert found[0].startswith(f"no honest watcher: {name} is unprotected")


def test_colluding_watchers_are_not_honest_ones() -> None:
    data = {"watchers": {"count": 10}, "adversaries": {"collusion": {"watcher_share": 0.7}}}
    assert Verification.model_validate(data).honest_watchers == 3


def test_what_is_protected_is_not_reported() -> None:
    for name in shipped(PROTOCOLS):
        found = protocol_of(Verification(protocol=name)).weaknesses()
        assert bool(found) == (name == "none")


def test_every_figure_has_a_unit_a_meaning_and_one_of_three_sources() -> None:
    for name, information in figures(Verification()):
        extra = information.json_schema_extra  # type: ignore[attr-defined]
        assert extra["source"] in ("published", "inferred", "assumed"), name
        assert extra["unit"], name
        assert extra["meaning"], name
        assert f"; {extra['source']}]" in information.description, name  # type: ignore[attr-defined]


@pytest.mark.parametrize(("steps", "rounds"), [(2, 1), (3, 2), (4, 2), (1000, 10), (2**20, 20)])
def test_a_bisection_takes_the_logarithm_of_the_steps(steps: int, rounds: int) -> None:
    assert rounds_of_bisection(steps) == rounds


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_section_of_every_scenario_is_valid(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    assert Verification.model_validate(data.get("verification", {}))
    assert path.read_text().startswith("# ")
    for axis in data.get("sweep", {}):
        assert axis.startswith("verification.")


def test_the_five_scenarios_are_there() -> None:
    assert [path.stem for path in FILES] == [
        "hybrid_poq_otr",
        "model_downgrade_under_each_protocol",
        "otr_vulnerability_window",
        "otr_watchers",
        "verification_trilemma",
    ]
