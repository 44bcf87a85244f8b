from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from scenario_support import POPULATION, error, errors

from poq_abm.scenario import ScenarioError, load, parse
from poq_abm.scenario.yaml_source import question, read, read_value


def only(text: str) -> str:
    (line,) = errors(text)
    return line


def test_every_path_knows_its_line() -> None:
    places = read("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml").places
    assert {path: place.line for path, place in places.items()} == {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ('!!python/object/apply:os.system ["touch CANARY"]', "!!python/object/apply:os.system"),
        ("!foo 3", "!foo"),
        ("!!int '3'", "!!int"),
        ("! 3", "!"),
    ],
)
def test_tags_are_refused_by_name_and_line(tag: str, shown: str) -> None:
    assert error(f"rounds: {tag}") == (
        f"bad.yaml:8: rounds: the tag {shown} is refused: scenarios are data"
    )


def test_a_tag_on_a_key_is_refused() -> None:
    assert error("!foo rounds: 3").startswith("bad.yaml:8: the tag !foo is refused")


def test_duplicate_keys_name_both_lines() -> None:
    assert error("rounds: 1\nrounds: 2") == "bad.yaml:9: rounds: already given on line 8"


@pytest.mark.parametrize("key", ["1", "true", "~", ".nan", "1.5"])
def test_keys_are_text(key: str) -> None:
    line = error(f"tasks: {{{key}: 1.0, qa: 1.0}}")
    assert line.startswith("bad.yaml:8: tasks: the key ")
    assert line.endswith(" is not text; write it in quotes")


def test_collections_are_no_keys() -> None:
    assert error("? [a]\n: 1") == "bad.yaml:8: a list or mapping cannot be a key; keys are text"


def test_one_document_only() -> None:
    assert only(POPULATION + "---\nrounds: 1\n") == (
        "bad.yaml:8: a second document starts; a scenario is one document"
    )


def test_a_value_cannot_contain_itself() -> None:
    assert only("a: 1\nb: &b [*b]") == "bad.yaml:2: *b stands inside the value that it names"


def test_an_alias_needs_its_anchor() -> None:
    assert only("a: *b") == "bad.yaml:1: *b names an anchor that was not set above"


def test_aliases_are_copied() -> None:
    scenario = parse("population:\n  inference: [&g {model: a}, *g]\n  evaluators: [{model: b}]\n")
    assert scenario.population.inference_labels == ("a", "a_2")


def test_an_alias_bomb_is_bounded() -> None:
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    start = time.perf_counter()
    assert "more than 100,000 values, counting aliases" in only("\n".join(rows))
    assert time.perf_counter() - start < 5


def test_aliases_cannot_dig_below_the_depth_limit() -> None:
    rows = ["a0: &a0 [1]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60))]
    assert only("\n".join(rows)).endswith("nested more than 50 levels deep")


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "? ", "[a, "])
def test_depth_is_bounded_without_recursion(bracket: str) -> None:
    start = time.perf_counter()
    assert only(bracket * 100_000) == "bad.yaml:1: nested more than 50 levels deep"
    assert time.perf_counter() - start < 5


def test_the_number_of_values_is_bounded() -> None:
    assert "more than 100,000 values" in only("a: 1\n" * 150_000)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "~", "---\n...\n"])
def test_an_empty_file_says_so(text: str) -> None:
    assert only(text) == "bad.yaml:1: the file is empty: nothing to play"


@pytest.mark.parametrize(("text", "got"), [("[1, 2]", "[1, 2]"), ("text", "'text'"), ("3", "3")])
def test_the_top_level_is_a_mapping(text: str, got: str) -> None:
    line = f"bad.yaml:1: a scenario is a mapping of keys to values, got {got}"
    assert only(text) == line


@pytest.mark.parametrize("character", ["\0", "\a", "\x1b", "\x7f", "\ufffe", "\ud800", "\ufeff"])
def test_characters_that_are_no_text_are_refused(character: str) -> None:
    line = only(f"a: 1\nb: {character}x")
    said = f"the character U+{ord(character):04X} has no place in a scenario"
    assert line == f"bad.yaml:2: {said}"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + POPULATION.encode())
    assert load(file) == parse(POPULATION, origin="bom.yaml")


def test_syntax_errors_have_a_line() -> None:
    assert only("a: 1\nb: [1, 2\nc: 3\n").startswith("bad.yaml:3: not valid YAML: ")


def test_directives_are_not_read() -> None:
    assert only("%TAG ! x\n---\na: !b 1") == "bad.yaml:1: YAML directives are not read here"


def test_numbers_of_absurd_length_are_not_read() -> None:
    line = error("rounds: " + "9" * 5000)
    assert line == "bad.yaml:8: rounds: a number of 5000 characters; at most 100 are read"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nope.yaml' is no file; of the scenarios that ship"):
        load(tmp_path / "nope.yaml")
    with pytest.raises(ScenarioError, match=r"did you mean 'cost_aware_poq'\?"):
        load(tmp_path / "cost_aware_pok.yaml")
    with pytest.raises(ScenarioError, match=r"is a folder; of the scenarios that ship"):
        load(tmp_path)
    with pytest.raises(ScenarioError, match=r"name too long|is no file"):
        load("x" * 5000 + ".yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"rounds: 1\nname: \xff\xfe\n")
    with pytest.raises(ScenarioError, match=r"binary.yaml:2: this is not UTF-8 text"):
        load(binary)
    large = tmp_path / "large.yaml"
    large.write_text("#" * 1_000_001)
    with pytest.raises(ScenarioError, match="larger than 1,000,000 bytes"):
        load(large)


def test_large_texts_are_refused() -> None:
    assert only("#" * 1_000_001) == "bad.yaml:1: larger than 1,000,000 characters"


def test_values_are_read_like_files() -> None:
    assert read_value("{a: [1, yes, ~]}", "x") == {"a": [1, "yes", None]}
    for bad in ("!foo 1", "{a: 1, a: 2}", "[", "1\n---\n2"):
        with pytest.raises(ScenarioError):
            read_value(bad, "x")


def test_the_pure_python_parser_reads_the_same() -> None:
    """Without libyaml the bounds and the messages hold too."""
    program = textwrap.dedent(
        """
        import yaml
        del yaml.CSafeLoader
        from poq_abm.scenario import ScenarioError, load, parse
        from poq_abm.scenario import yaml_source
        assert yaml_source._Loader is yaml.SafeLoader
        assert len(load("cost_weight").treatments()) == 11
        for text in ("[" * 100_000, 'a: "\\\\ud800"', "a: !foo 1", "a: &a [*a]", "a: [1"):
            try:
                parse(text)
            except ScenarioError as error:
                print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for said in ("50 levels deep", "surrogate", "tag !foo", "stands inside", "not valid YAML"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Who earns? Read on.\nrounds: 1", "Who earns?"),
        (
            "# A question that runs\n# over two lines? Yes.\n",
            "A question that runs over two lines?",
        ),
        ("# first line\n# second line\n", "first line"),
        ("# first\n#\n# second paragraph.\n", "first"),
        ("## Costs of 1.5 x? Yes", "Costs of 1.5 x?"),
        ("rounds: 1 # not leading", ""),
        ("", ""),
    ],
)
def test_question(text: str, expected: str) -> None:
    assert question(text) == expected
