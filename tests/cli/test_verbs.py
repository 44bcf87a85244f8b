"""Every verb, as a user calls it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import poq_abm
from poq_abm.cli.progress import announce_compilation
from poq_abm.compilation import compiled
from poq_abm.scenario import load, scenario_names


def test_run_prints_a_table_and_stores_results(poq, tmp_path: Path) -> None:
    done = poq("run", "cost_aware_poq", "--rounds", 200, "--replications", 3)
    assert done.code == 0
    assert "llama_3_2_3b" in done.out
    folder = Path(re.search(r"Results: (\S+)", done.out)[1])
    assert folder.name.startswith("cost_aware_poq-")
    assert poq_abm.read_results(tmp_path / folder).nodes["jobs"].sum() == 3 * 200 * 4


def test_the_same_command_finds_its_results(poq) -> None:
    first = poq("run", "cost_aware_poq", "--rounds", 50)
    again = poq("run", "cost_aware_poq", "--rounds", 50)
    assert (again.code, again.out) == (0, first.out)


def test_engines_print_the_same_table(poq) -> None:
    options = ("--rounds", 50, "--replications", 2)
    compiled = poq("run", "cost_aware_poq", *options, "--out", "a").out.replace("Results: a", "")
    agents = poq("run", "cost_aware_poq", *options, "--engine", "agents", "--out", "b")
    assert agents.out.replace("Results: b", "") == compiled


def test_one_replication_has_no_interval_and_says_so(poq) -> None:
    done = poq("run", "cost_aware_poq", "--rounds", 50, "--replications", 1)
    assert "no interval" in done.out


def test_a_sweep_prints_every_treatment(poq) -> None:
    done = poq("run", "committee_size", "--rounds", 50, "--replications", 2, "--jobs", 2)
    assert all(f"committee_size={k}" in done.out for k in (1, 2, 3))


def test_a_trace_is_stored(poq, tmp_path: Path) -> None:
    poq("run", "cost_aware_poq", "--rounds", 50, "--replications", 2, "--trace", "--out", "t")
    assert len(poq_abm.read_results(tmp_path / "t").rounds) == 100


def test_set_reaches_any_field(poq, tmp_path: Path) -> None:
    poq("run", "cost_aware_poq", "--rounds", 9, "--set", "mechanism.committee_size=2", "--out", "s")
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["configuration"]["scenario"]["mechanism"]["committee_size"] == 2


def test_scenarios_prints_the_schema_of_a_file(poq) -> None:
    schema = json.loads(poq("scenarios", "--schema").out)
    assert schema["properties"]["seed"]["description"] == "the key of every random draw"


def test_scenarios_asks_one_question_a_line(poq) -> None:
    listed = pd.read_csv(io.StringIO(poq("scenarios", "--csv").out))
    assert listed["name"].tolist() == scenario_names()
    assert listed["question"].str.endswith("?").all()
    printed = [line for line in poq("scenarios").out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in printed] == scenario_names()


def test_show_prints_a_scenario_that_plays_alike(poq, tmp_path: Path) -> None:
    shown = poq("show", "many_nodes", "--set", "mechanism.committee_size=7")
    (tmp_path / "many_nodes.yaml").write_text(shown.out)
    assert load(tmp_path / "many_nodes.yaml") == load("many_nodes", ["mechanism.committee_size=7"])


def test_show_lists_treatments(poq) -> None:
    assert "#   committee_size=3" in poq("show", "committee_size").out


def test_every_scenario_that_ships_is_valid(poq) -> None:
    assert poq("validate", *scenario_names()).code == 0


def test_a_setting_is_validated_in_every_file(poq) -> None:
    files = ("cost_aware_poq", "committee_size")
    said = poq("validate", *files, "--set", "sweep=null", "--set", "mechanism.committee_size=2")
    assert said.out.splitlines() == [f"{file}: valid, 1 treatment" for file in files]
    refused = poq("validate", *files, "--set", "mechanism.committe_size=2")
    assert refused.code == 2
    assert refused.err.count("committee_size") == 2


def test_new_writes_a_scenario_that_plays(poq, tmp_path: Path) -> None:
    assert poq("new", "mine").code == 0
    assert poq("validate", "mine.yaml").code == 0
    assert poq("run", "mine.yaml", "--rounds", 20, "--replications", 2).code == 0


def test_new_never_overwrites(poq, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    refused = poq("new", "mine")
    assert refused.code == 2
    assert "exists" in refused.err
    assert (tmp_path / "mine.yaml").read_text() == "precious"


def test_reproduce_agrees_and_says_what_that_means(poq) -> None:
    done = poq("reproduce", "cost-aware")
    assert done.code == 0
    assert (
        "38 figures: 10 reproduced, 6 input, 22 solved for, 0 contradicted, 0 not testable"
        in done.out
    )
    assert "fitted to Table 4" in done.out
    assert "are assumed" in done.out
    assert "beta_F = 0.5: mean quality llama_3_2_3b 0.623" in done.out
    assert "beta_M = 0.1" in done.out


def test_reproduce_refuses_an_option_that_does_nothing(poq) -> None:
    done = poq("reproduce", "otr", "--jobs", 2)
    assert done.code == 2
    said = " ".join(done.err.split())
    assert "--jobs does nothing in `poq reproduce otr`; cost-aware, robust take it" in said
    done = poq("reproduce", "robust", "--replications", 5)
    assert done.code == 2
    assert "robust needs 10 or more" in done.err


def test_a_scheduler_without_its_backend_is_refused(poq) -> None:
    done = poq("run", "cost_aware_poq", "--scheduler", "tcp://127.0.0.1:1")
    assert done.code == 2
    assert "--scheduler does nothing without --backend dask" in done.err


def test_a_run_says_where_evaluators_cannot_disagree(poq) -> None:
    few = ("--rounds", 50, "--replications", 2)
    done = poq("run", "cost_aware_poq", *few, "--set", "mechanism.committee_size=1")
    assert "note: K = 1: each evaluator is compared with itself" in " ".join(done.out.split())
    assert "note:" not in poq("run", "cost_aware_poq", *few).out


def test_reproduce_fails_when_a_figure_misses(poq, monkeypatch: pytest.MonkeyPatch) -> None:
    from poq_abm.analysis.reproduce import cost_aware

    wrong = {**cost_aware.TRUTH_CORRELATION, "sts_stsb": 0.5}
    monkeypatch.setattr(cost_aware, "TRUTH_CORRELATION", wrong)
    done = poq("reproduce", "cost-aware", "--replications", 2)
    assert done.code == 1
    assert "CONTRADICTED" in done.out
    assert "1 of them are not as documented" in done.out


def figures(printed: str) -> list[str]:
    return re.findall(r"-?\d+\.\d+", printed)


def test_reproduce_robust_is_keyed_by_its_seed(poq) -> None:
    """Other draws, other numbers; every interval still agrees."""
    first, other = (poq("reproduce", "robust", "--seed", seed) for seed in (1, 2))
    assert (first.code, other.code) == (0, 0), other.out
    assert figures(first.out) != figures(other.out)
    assert figures(poq("reproduce", "robust").out) == figures(first.out)


def made_up(module: str | None) -> Callable[[float], float]:
    """A compiled function that was never called, from a module of that name."""
    space: dict[str, Any] = {"__name__": module, "compiled": compiled}
    exec("@compiled\ndef twice(x):\n    return 2.0 * x\n", space)
    twice: Callable[[float], float] = space["twice"]
    return twice


def test_what_plays_rounds_is_announced_when_it_is_compiled(capsys) -> None:
    rounds, more = made_up("poq_abm.simulation.rounds"), made_up("poq_abm.simulation.buffers")
    announce_compilation()
    assert made_up("poq_abm.analysis.other")(1.5) == made_up(None)(1.5) == 3.0
    assert capsys.readouterr().err == ""
    assert rounds(1.5) == 3.0
    assert capsys.readouterr().err.startswith("Compiling the code that plays such rounds; this")
    assert more(1.5) == 3.0
    assert capsys.readouterr().err == "", "once is enough"


def test_what_was_compiled_before_is_not_announced(capsys) -> None:
    rounds = made_up("poq_abm.simulation.rounds")
    rounds(1.5)
    capsys.readouterr()
    announce_compilation()
    rounds(2.5)
    assert capsys.readouterr().err == ""
    rounds(1)  # an integer is another type, and compiled apart
    assert "Compiling" in capsys.readouterr().err


def test_version(poq) -> None:
    assert poq("--version").out.strip() == f"poq_abm {poq_abm.__version__}"


def test_heavy_libraries_stay_out_of_the_package_and_the_run(tmp_path: Path) -> None:
    heavy = ("torch", "transformers", "sentence_transformers", "seaborn", "matplotlib", "solara")
    script = (
        "import sys, poq_abm;"
        f"print([m for m in {heavy!r} if m in sys.modules], 'numba' in sys.modules);"
        "poq_abm.run(poq_abm.load('cost_aware_poq'), replications=1);"
        f"print([m for m in (*{heavy!r}, 'mesa') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split("\n")[:2] == ["[] False", "[]"]


def test_help_and_completion_need_no_library_of_numbers(tmp_path: Path) -> None:
    script = (
        "import atexit, sys; from poq_abm.cli import main;"
        "heavy = ('joblib', 'numba', 'numpy', 'pandas', 'pyarrow', 'scipy');"
        "atexit.register(lambda: print([m for m in heavy if m in sys.modules]));"
        "main()"
    )
    for options in (["--help"], ["run", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *options],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "name",
    ["collusion_ring", "committee_tradeoff", "model_downgrade", "task_inversion"],
)
def test_a_scenario_of_each_kind_runs(poq, tmp_path: Path, name: str) -> None:
    done = poq("run", name, "--rounds", 60, "--replications", 2, "--out", "out")
    assert done.code == 0
    results = poq_abm.read_results(tmp_path / "out")
    treatments = len(list(load(name).treatments()))
    assert len(results.replications) == 2 * treatments


def test_trust_is_stored_where_it_is_asked_for(poq, tmp_path: Path) -> None:
    poq("run", "trust_saturation", "--rounds", 60, "--replications", 2, "--out", "with")
    poq("run", "model_downgrade", "--rounds", 60, "--replications", 2, "--out", "without")
    assert (tmp_path / "with" / "trust.parquet").is_dir()
    assert not (tmp_path / "without" / "trust.parquet").exists()
    stored = poq_abm.read_results(tmp_path / "with")
    assert len(stored.trust) == 10 * 2 * 3 * 10  # treatments, replications, entries, evaluators


def test_engines_print_the_same_table_under_attack(poq) -> None:
    options = ("--rounds", 60, "--replications", 2)
    compiled = poq("run", "collusion_ring", *options, "--out", "a").out.replace("Results: a", "")
    agents = poq("run", "collusion_ring", *options, "--engine", "agents", "--out", "b")
    assert agents.out.replace("Results: b", "") == compiled


def test_estimated_latencies_are_flagged_wherever_the_population_is_shown(
    poq, tmp_path: Path
) -> None:
    onto = ("--set", "population.inference.0.hardware=h100_sxm")
    said = "estimated, not measured: llama_3_2_3b on h100_sxm takes 320.2 ms"
    assert f"# {said}" in poq("show", "cost_aware_poq", *onto).out
    assert said in poq("plan", "cost_aware_poq", "--rounds", 9, *onto).out
    done = poq("run", "cost_aware_poq", "--rounds", 50, *onto, "--out", "e")
    assert "320.2*" in done.out
    assert "* estimated" in done.out
    nodes = poq_abm.read_results(tmp_path / "e").nodes
    assert nodes.groupby("hardware", observed=True)["latency_source"].first().to_dict() == {
        "h100_sxm": "estimated",
        "rtx_4090": "measured",
    }
    assert "estimated" not in poq("show", "cost_aware_poq").out


def test_hardware_that_nobody_knows_is_refused_with_the_nearest_name(poq) -> None:
    refused = poq("show", "cost_aware_poq", "--set", "population.inference.0.hardware=h100")
    assert refused.code == 2
    assert "did you mean 'h100_sxm'?" in refused.err
