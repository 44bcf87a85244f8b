"""The README and the docs say what is so."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import pytest
import yaml
from docs_support import WIDTH, commands, misfits

from poq_abm.experiment.running import run
from poq_abm.experiment.schemas import ACCOUNTS, EPOCHS, NODES, REPLICATIONS, ROUNDS, TRUST
from poq_abm.profile.synthetic import SyntheticSettings
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import rules, shipped
from poq_abm.rules.trust import TRUST_REFERENCE, TRUST_UPDATE
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Mechanism, Precision, Until, load
from poq_abm.scenario.schema.key_reference import keys_below, markdown
from poq_abm.scenario.schema.settings import Malicious, Reward, Settings, Trust
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.query_tables import QUERIES, QUERY_TRACE
from tests.conftest import Poq

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import gallery  # noqa: E402
import generated  # noqa: E402


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_what_the_readme_shows_runs(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text()
    (scenario,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "boost.yaml").write_text(scenario)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    said = ""
    for arguments in commands(ROOT / "README.md"):
        told = poq(*arguments)
        assert told.code == 0, (arguments, told.err)
        assert misfits(told.out) == [], arguments
        said += told.out
    compared = "bias fell by 0.2207 [0.2169, 0.2245] (30 matched replications)"
    assert compared in " ".join(said.split())
    assert (tmp_path / "boost" / "lines.svg").is_file()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "mine" / "nodes.parquet").is_dir()
    assert (tmp_path / "boost.svg").stat().st_size > 10_000
    nodes = names["model"].node_table()
    assert nodes["jobs"].sum() == 5000 * 3


def test_the_picture_of_a_terminal_shows_what_is_printed(
    poq: Poq, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = (ROOT / "docs" / "images" / "terminal.svg").read_text()
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "").replace(
        "https://www.textualize.io", ""
    )
    shown = html.unescape(re.sub(r"<[^>]+>", " ", picture)).replace("\xa0", " ").split()
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    told = poq(*gallery.SESSION.split()[1:])
    printed = [word for word in told.out.split() if not word.startswith("results/")]
    assert [word for word in printed if word not in shown] == [], "python docs/gallery.py terminal"


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
    text = section((ROOT / "docs" / "reference" / "results.md").read_text(), table)
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
    assert markdown(keys, "economy.") in (ROOT / "docs" / "explanation" / "economy.md").read_text()


@pytest.mark.parametrize(("part", "prefix"), KEYS, ids=[part.__name__ for part, _ in KEYS])
def test_every_key_is_documented(part, prefix: str) -> None:
    known = keys_of_tables((ROOT / "docs" / "reference" / "scenario_files.md").read_text())
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
    text = section(
        (ROOT / "docs" / "reference" / "scenario_files.md").read_text(), "Synthetic profiles"
    )
    assert keys_of_tables(text) - {"synthetic"} == set(SyntheticSettings.__dataclass_fields__)


def rows(page: str, title: str) -> dict[str, str]:
    """Return the rows of a section's tables, by the name in their first cell."""
    lines = section((ROOT / "docs" / page).read_text(), title).splitlines()
    found = (re.match(r"\| `(\w+)` \|", line) for line in lines)
    return {match[1]: match.string for match in found if match}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.stem)
@pytest.mark.usefixtures("shipped_rules")
def test_what_is_generated_in_a_page_is_what_the_code_writes(page: Path) -> None:
    text = page.read_text()
    assert generated.updated(text) == text, "python docs/generated.py"


def test_no_page_of_the_repository_is_a_placeholder() -> None:
    pages = {path: path.read_text() for path in (ROOT / "docs").rglob("*.md")}
    parts = [name for text in pages.values() for name in re.findall("generated: (\\w+)", text)]
    assert sorted(parts) == sorted(generated.PARTS)
    assert all(text.count("<!-- end") == len(re.findall(r"<!-- (?:rules|generated): ", text))
               for text in pages.values())  # fmt: skip


@pytest.mark.parametrize("name", shipped(PROTOCOLS))
def test_every_protocol_has_the_page_that_its_class_writes(name: str) -> None:
    page = generated.page_of(name)
    written = page.read_text()
    assert written == generated.protocol_page(shipped(PROTOCOLS)[name]), "python docs/generated.py"
    assert {"Formula", "Parameters", "Sources", "Limits"} <= set(
        re.findall(r"^## (.*)$", written, re.MULTILINE)
    )
    assert f"[`{name}`]({page.name})" in generated.protocols()


VERIFICATION = (ROOT / "docs" / "verification" / "README.md").read_text()


@pytest.mark.usefixtures("shipped_rules")
def test_every_figure_of_a_verification_is_on_some_page() -> None:
    pages = (generated.page_of(name).read_text() for name in shipped(PROTOCOLS))
    told, verification = VERIFICATION + "".join(pages), Verification()
    for name in type(verification).model_fields:
        if name != "protocol":
            for row in generated.figure_rows(getattr(verification, name), f"verification.{name}"):
                assert row in told, row


@pytest.mark.usefixtures("shipped_rules")
def test_the_examples_of_verification_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", VERIFICATION, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, {})


def test_every_rule_that_is_a_class_is_documented() -> None:
    for kind in generated.KINDS.values():
        table = generated.rule_table(kind)
        assert any(table in page.read_text() for page in (ROOT / "docs").rglob("*.md"))
        for name, rule in shipped(kind).items():
            (row,) = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
            assert all(f"`{key}`" in row for key in rule.parameters)
            for key, parameter in rule.parameters.items():
                (told,) = [each for each in table.splitlines() if f"| `{name}` `{key}` |" in each]
                assert parameter.meaning in told
                assert f"| {parameter.unit} |" in told
                assert parameter.range().removeprefix("be ").removeprefix("lie ") in told
            assert str(rule.source) in row


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (TRUST_UPDATE, "Updates: `mechanism.trust.update`"),
        (TRUST_REFERENCE, "References: `mechanism.trust.reference`"),
    ],
)
def test_every_trust_update_and_reference_is_documented(kind, title: str) -> None:
    assert set(rows("reference/trust.md", title)) == set(shipped(kind))


@pytest.mark.parametrize(
    "page",
    [
        "reference/scenario_files.md",
        "reference/behaviours.md",
        "reference/trust.md",
        "explanation/economy.md",
    ],
)
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


@pytest.mark.usefixtures("shipped_rules")
def test_the_adaptation_of_ones_own_can_be_written_as_told() -> None:
    block = re.search(
        r"```python\n(.*?)```", (ROOT / "docs/explanation/economy.md").read_text(), re.DOTALL
    )
    assert block is not None
    exec(block[1], {})
    overrides = ["rounds=90", "economy={epochs: 3, adaptation: [give_up]}"]
    dear = [*overrides, "mechanism.beta_inference=9"]
    results = run(load("cost_aware_poq", dear), replications=1)
    assert results.epochs.query("group == 'network'")["nodes"].iloc[-1] < 8


@pytest.mark.usefixtures("shipped_rules")
def test_the_behaviour_of_ones_own_can_be_written_as_told() -> None:
    block = re.search(
        r"```python\n(.*?)```", (ROOT / "docs/reference/behaviours.md").read_text(), re.DOTALL
    )
    assert block is not None
    names: dict[str, object] = {}
    exec(block[1], names)
    assert rules(BEHAVIOURS["evaluator"])["timid"] is names["Timid"]


PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "notebooks/README.md"]
PAGES += sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))


def anchors(page: Path) -> set[str]:
    """Return what a link to a heading of a page may end in, as viewers of repositories name it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*?)\s*$", text, re.MULTILINE):
        kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
        slug, times = kept.replace(" ", "-"), 0
        while (name := f"{slug}-{times}" if times else slug) in found:
            times += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files that are there, headings that they have; no request is made for the others."""
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if not re.match(r"https?:|mailto:", link):
            there = (ROOT / page).parent / target if target else ROOT / page
            assert there.exists(), link
            assert not anchor or anchor in anchors(there), link


def test_the_experiments_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "how-to" / "experiments.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert len(names["results"].replications) == 3 * 40


def test_the_map_names_what_is_there() -> None:
    """Every file and function that the architecture names stands where it says."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.split("## Where each equation stands")[1].split("## ")[0]
    paths = re.findall(r"`(poq_abm/[\w/.]*)`", text)
    assert len(paths) > 30
    for path in paths:
        assert (ROOT / path).exists(), path
    for name, path in re.findall(r"`(\w+)` in `([\w/.]+)`", table):
        assert re.search(rf"^def {name}\b", (ROOT / path).read_text(), re.MULTILINE), name
    inside = re.findall(r"`((?:scenario|experiment|simulation|rules|cli|analysis)/[\w/.]*)`", text)
    for path in inside:
        assert (ROOT / "poq_abm" / path).exists(), path
