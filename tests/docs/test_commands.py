"""Every command that a page shows is one of ours, runs, and prints what 80 columns can hold."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from docs_support import ROOT, WIDTH, blocks, commands, misfits

from poq_abm.cli import app
from poq_abm.profile.profile import folder_of
from tests.conftest import Poq

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]

PAGES = {
    str(page.relative_to(ROOT)): commands(page)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if commands(page)
}
#: pages whose commands have a test of their own, which sets the scene for them
STAGED = {
    "README.md": "test_docs.py",
    "docs/tutorial.md": "docs/test_tutorial.py",
    "docs/tutorial_own_models.md": "docs/test_tutorial_own_models.py",
    "docs/gallery.md": "analysis/test_figure_geometry.py",  # with fewer rounds
    "docs/how-to/calibration.md": "docs/test_tutorial_own_models.py",  # the same, of other models
}
#: verbs that are run elsewhere: they serve a page, need models, or take long
ELSEWHERE = {
    "calibrate": "cli/test_calibrate.py",
    "design": "cli/test_design.py",
    "explore": "page",
    "reproduce": "cli/test_robust.py",
    "warm": "cli/test_warm.py",
}
#: what makes a command quick, and changes nothing of what its output looks like
FEW = ("--rounds", "120", "--replications", "2")
QUICK = {
    **dict.fromkeys(("run", "audit", "equilibrium"), FEW),
    "attack": ("--rounds", "50", "--replications", "8"),
    "converge": ("--rounds", "50", "--replications", "4"),
    "contract": ("--resamples", "20"),
    "sensitivity": (*FEW, "--samples", "2"),
}
SEARCHES = ("attack", "audit", "contract", "converge", "equilibrium", "sensitivity")
#: what is for a program, or a file as it is: no line of it is broken
RAW = {"--csv", "--json", "--schema", "show"}

MINE = """\
# Does a coalition gain?
extends: cost_aware_poq
population:
  inference: [{model: llama_3_2_3b}, {model: gemma_2_2b_it, name: cheat}]
  evaluators: [{model: sts_stsb, count: 4}, {model: ce_minilm, count: 3}]
mechanism: {committee_size: 3, trust: {update: relative, rate: 0.1}}
"""
SEARCHED = """\
# Which rule?
extends: cost_aware_poq
rounds: 50
search:
  variables: {mechanism.aggregation: {choices: [mean, median]}}
  objectives: [{maximise: correlation}]
  budget: {designs: 4, generation: 2, replications: 2, front: 1, fresh: 2, looks: 1, certified: 2}
"""


def parsed(arguments: list[str]) -> Any:
    """Return the context that a call comes to, none of its options unknown."""
    command, context, left = typer.main.get_command(app), None, arguments
    while getattr(command, "commands", None):
        verb, *left = left
        assert verb in command.commands, arguments
        context = typer.Context(command, info_name=verb, parent=context)
        command = command.commands[verb]
    return command.make_context(verb, left, parent=context)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_has_the_options_that_the_verb_has(page: str) -> None:
    for arguments in PAGES[page]:
        parsed(arguments)


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    for named in (*STAGED.values(), *ELSEWHERE.values()):
        assert (ROOT / "tests" / named).exists(), named


def own_scenario(_: Poq) -> None:
    Path("mine.yaml").write_text(MINE)


def scenarios_of_the_page(_: Poq) -> None:
    for text in blocks(ROOT / "docs/how-to/first_scenarios.md", "yaml"):
        name, _, _ = text.removeprefix("# ").partition(":")
        Path(name).write_text(text)


def own_behaviour(_: Poq) -> None:
    code, *_ = blocks(ROOT / "docs/reference/behaviours.md", "python")
    Path("mine.py").write_text(code)
    Path("mine.yaml").write_text(MINE)


def own_profile(_: Poq) -> None:
    shutil.copytree(folder_of("extractive_baselines"), "mine")


def snapshot(_: Poq) -> None:
    stakes, votes = [300.0, 100.0, 0.0, 0.0], [[0, 0, 1, 3], [0, 0, 3, 1], [0] * 4, [0] * 4]
    Path("FILE.json").write_text(json.dumps({"S": stakes, "W": votes}))


def price_list(_: Poq) -> None:
    prices = {f"m{place}": {"prompt": place * 1e-8, "completion": 0} for place in range(1, 4)}
    data = [{"id": name, "pricing": pricing} for name, pricing in prices.items()]
    for name in ("LIST.json", "list.json"):
        Path(name).write_text(json.dumps({"data": data}))


def played(scenario: str, name: str = "x") -> Callable[[Poq], None]:
    def stage(poq: Poq) -> None:
        assert poq("run", scenario, *FEW, "--out", f"results/{name}").code == 0

    return stage


def searched(poq: Poq) -> None:
    Path("which.yaml").write_text(SEARCHED)
    assert poq("design", "which.yaml", "--no-report").code == 0
    (folder,) = Path("designs").glob("which-*/")
    folder.rename("designs/mine-1a2b3c4d")


#: what a page takes for granted
STAGE: dict[str, list[Callable[[Poq], None]]] = {
    "docs/how-to/analysis.md": [played("committee_size"), played("verification_trilemma", "y")],
    "docs/how-to/audit.md": [own_scenario],
    "docs/how-to/commands.md": [played("cost_aware_poq"), snapshot, price_list],
    "docs/how-to/equilibrium.md": [own_scenario],
    "docs/how-to/figures.md": [
        played("cost_aware_poq"),
        played("adversary_sweep", "y"),
        played("committee_size", "z"),
    ],
    "docs/how-to/first_scenarios.md": [scenarios_of_the_page],
    "docs/how-to/find_an_attack.md": [own_scenario],
    "docs/how-to/report.md": [played("cost_aware_poq"), searched],
    "docs/reference/behaviours.md": [own_behaviour],
    "docs/reference/profiles.md": [own_profile],
    "docs/reference/scenario_files.md": [price_list],
}


def chosen() -> dict[str, list[list[str]]]:
    """Return what is run of each page: of searches, which take long, every form once."""
    seen: set[tuple[str, ...]] = set()
    run: dict[str, list[list[str]]] = {}
    for page in (page for page in PAGES if page not in STAGED):
        run[page] = []
        for verb, *arguments in PAGES[page]:
            form = (
                verb,
                *sorted({each for each in arguments if each.startswith("--")} - {"--set"}),
            )
            if verb in ELSEWHERE or (verb in SEARCHES and form in seen):
                continue
            seen.add(form)
            run[page].append([verb, *arguments])
    return run


RUN = chosen()


@pytest.mark.parametrize("page", [page for page in RUN if RUN[page]])
def test_every_command_runs_and_what_it_prints_fits(
    page: str, poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr("poq_abm.analysis.audit.best_response._BATCHES", 1)  # short climbs
    monkeypatch.syspath_prepend(tmp_path)
    for stage in STAGE.get(page, []):
        stage(poq)
    for verb, *arguments in RUN[page]:
        told = poq(verb, *arguments, *QUICK.get(verb, ()))
        assert told.code == 0, (verb, arguments, told.err)
        if not RAW & {verb, *arguments}:
            assert misfits(told.out) == [], (verb, arguments)
    sys.modules.pop("mine", None)
