"""The README and the docs say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from poq_abm.experiment.running import run
from poq_abm.experiment.schemas import ACCOUNTS, EPOCHS, NODES, REPLICATIONS, ROUNDS, TRUST
from poq_abm.profile.synthetic import SyntheticSettings
from poq_abm.rules.adaptation import registry
from poq_abm.rules.adaptation.registry import SHIPPED
from poq_abm.rules.behaviour import resolving
from poq_abm.rules.behaviour.base import Behaviour, Role
from poq_abm.rules.behaviour.evaluators import EVALUATOR_BEHAVIOURS
from poq_abm.rules.behaviour.inference import INFERENCE_BEHAVIOURS
from poq_abm.rules.behaviour.resolving import behaviours
from poq_abm.rules.trust.updates import TrustReference, TrustUpdate
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Mechanism, Precision, Until, load
from poq_abm.scenario.schema.key_reference import keys_below, markdown
from poq_abm.scenario.schema.settings import Malicious, Reward, Settings, Trust
from poq_abm.simulation.queries.query_tables import QUERIES, QUERY_TRACE
from tests.conftest import Poq

ROOT = Path(__file__).parents[1]


def test_what_the_readme_shows_runs(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text()
    (scenario,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "boost.yaml").write_text(scenario)
    assert poq("run", "boost.yaml", "--out", "boost").code == 0
    told = poq("compare", *["aggregation=mean,share=0.3", "aggregation=median,share=0.3"],
               "--in", "boost", "--on", "bias")  # fmt: skip
    assert "bias fell by 0.2207 [0.2169, 0.2245] (30 matched replications)" in told.out
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "mine" / "nodes.parquet").is_dir()
    assert (tmp_path / "boost.svg").stat().st_size > 10_000
    nodes = names["model"].node_table()
    assert nodes["jobs"].sum() == 5000 * 3


COLUMNS = [
    (NODES, "nodes"),
    (REPLICATIONS, "replications"),
    (EPOCHS, "epochs"),
    (ACCOUNTS, "accounts"),
    (TRUST, "trust"),
    (ROUNDS, "rounds"),
    (QUERIES, "queries"),
    (QUERY_TRACE, "query_trace"),
]


def section(page: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


@pytest.mark.parametrize(("schema", "table"), COLUMNS, ids=[name for _, name in COLUMNS])
def test_every_column_is_documented(schema, table: str) -> None:
    text = section((ROOT / "docs" / "results.md").read_text(), table)
    assert [name for name in schema.names if f"`{name}`" not in text] == []


KEYS = [
    (Settings, ""),
    (Precision, "replications."),
    (Until, "replications.until."),
    (Mechanism, "mechanism."),
    (Trust, "mechanism.trust."),
    (Reward, "mechanism.reward."),
    (Malicious, "malicious."),
    (InferenceGroup, ""),
    (EvaluatorGroup, ""),
]


def keys_of_tables(text: str) -> set[str]:
    """Return every key in the first cell of a table's row; a bare one shares its row's prefix."""
    keys: set[str] = set()
    for line in text.splitlines():
        if line.startswith("| `"):
            prefix = ""
            for key in re.findall(r"`([^`]+)`", line.split("|")[1]):
                full = key if "." in key or not prefix else prefix + key
                prefix = full.rpartition(".")[0] + "." if "." in full else prefix
                keys.add(full)
    return keys


def test_the_keys_of_an_economy_are_documented_as_the_schema_has_them() -> None:
    keys = (key for key in keys_below(Settings) if key.path.startswith("economy."))
    assert markdown(keys, "economy.") in (ROOT / "docs" / "economy.md").read_text()


def test_every_adaptation_is_documented() -> None:
    table = rows("economy.md", "Adaptation")
    assert set(table) == {kind.name for kind in SHIPPED}


@pytest.mark.parametrize(("part", "prefix"), KEYS, ids=[part.__name__ for part, _ in KEYS])
def test_every_key_is_documented(part, prefix: str) -> None:
    known = keys_of_tables((ROOT / "docs" / "scenarios.md").read_text())
    told_in_prose = {
        "mechanism",
        "population",
        "malicious",
        "trust",
        "reward",
        "sweep",
        "model",
        "until",
    }
    missing = {key for key in part.model_fields if prefix + key not in known}
    assert missing - told_in_prose == set()


def test_the_search_for_keys_sees_a_missing_one() -> None:
    assert keys_of_tables("| `a.b`, `c` | `d` |\n| `e` | |") == {"a.b", "a.c", "e"}


def test_every_key_of_a_synthetic_profile_is_documented() -> None:
    text = section((ROOT / "docs" / "scenarios.md").read_text(), "Synthetic profiles")
    assert keys_of_tables(text) - {"synthetic"} == set(SyntheticSettings.__dataclass_fields__)


def rows(page: str, title: str) -> dict[str, str]:
    """Return the rows of a section's tables, by the name in their first cell."""
    lines = section((ROOT / "docs" / page).read_text(), title).splitlines()
    found = (re.match(r"\| `(\w+)` \|", line) for line in lines)
    return {match[1]: match.string for match in found if match}


def shipped(role: Role) -> dict[str, type[Behaviour]]:
    """Return what ships; other tests may have registered behaviours of their own."""
    kinds = EVALUATOR_BEHAVIOURS if role == "evaluator" else INFERENCE_BEHAVIOURS
    return {kind.name: behaviours(role)[kind.name] for kind in kinds}


@pytest.mark.parametrize("role", ["evaluator", "inference"])
def test_every_behaviour_is_documented(role: Role) -> None:
    table = rows("behaviours.md", "Evaluators" if role == "evaluator" else "Inference nodes")
    kinds = shipped(role)
    assert list(table) == [name for name in table if name in kinds], "nothing is made up"
    for name, kind in kinds.items():
        row = table[name]
        for key, parameter in kind.parameters.items():
            assert f"`{key}`" in row
            if parameter.default is not None:
                default = parameter.default
                shown = default if isinstance(default, str) else f"{default:g}"
                assert re.search(rf"`{key}` \([^)]*{re.escape(shown)}", row), (name, key)
        traits = {word.replace("_", " ") for word, has in vars(kind.traits).items() if has}
        told = {word.strip() for word in row.split("|")[4].split(",")} - {""}
        assert told == traits, name
        source = kind.source
        kept = "reconstruction" if "reconstruction" in source else source.split(" (")[0]
        assert kept in row.split("|")[5], name


@pytest.mark.parametrize(
    ("enumeration", "title"),
    [
        (TrustUpdate, "Updates: `mechanism.trust.update`"),
        (TrustReference, "References: `mechanism.trust.reference`"),
    ],
)
def test_every_trust_update_and_reference_is_documented(enumeration, title: str) -> None:
    assert set(rows("trust.md", title)) == {member.name.lower() for member in enumeration}


@pytest.mark.parametrize("page", ["scenarios.md", "behaviours.md", "trust.md", "economy.md"])
def test_the_examples_are_valid(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        keys = yaml.safe_load(example)
        path = tmp_path / "example.yaml"
        base = None if {"population", "extends"} & keys.keys() else "many_nodes"
        path.write_text((f"extends: {base}\n" if base else "") + example)
        load(path)


def test_the_adaptation_of_ones_own_can_be_written_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", registry.adaptations())
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs/economy.md").read_text(), re.DOTALL)
    assert block is not None
    exec(block[1], {})
    overrides = ["rounds=90", "economy={epochs: 3, adaptation: [give_up]}"]
    dear = [*overrides, "mechanism.beta_inference=9"]
    results = run(load("cost_aware_poq", dear), replications=1)
    assert results.epochs.query("group == 'network'")["nodes"].iloc[-1] < 8


def test_the_behaviour_of_ones_own_can_be_written_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    roles: tuple[Role, ...] = ("evaluator", "inference")
    monkeypatch.setattr(resolving, "_REGISTRY", {role: behaviours(role) for role in roles})
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs/behaviours.md").read_text(), re.DOTALL)
    assert block is not None
    names: dict[str, object] = {}
    exec(block[1], names)
    assert behaviours("evaluator")["timid"] is names["Timid"]


PAGES = ["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_experiments_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "experiments.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert len(names["results"].replications) == 3 * 40
