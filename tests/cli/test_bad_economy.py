"""Every mistake about an economy: a clear message where it stands, exit code 2, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.profile import latencies

PEOPLE = """
rounds: 100
replications: 1
population:
  inference: [{model: llama_3_2_3b}, {model: phi3_mini_4k}]
  evaluators: [{model: sts_stsb}, {model: ce_minilm, count: 2}]
"""
MONEY = "economy: {cost: {basis: money}}"


def section(text: str) -> str:
    return f"economy: {{epochs: 2, {text}}}" + PEOPLE


def group(text: str, economy: str = "economy: {epochs: 1}") -> str:
    return economy + PEOPLE.replace("llama_3_2_3b", f"llama_3_2_3b, {text}")


#: file, the place that must be named, and a word of the message
BAD = {
    "a negative fee": (section("payment: {fee: -1}"), "economy.payment.fee", "at least 0"),
    "a negative bond": (section("stake: {bond: -5}"), "economy.stake.bond", "at least 0"),
    "a negative price of energy": (
        section("cost: {usd_per_mwh: -1}"), "economy.cost.usd_per_mwh", "at least 0"),
    "a negative price of a region": (
        section("regions: {north: -3}"), "economy.regions.north", "at least 0"),
    "a token worth nothing": (
        section("cost: {usd_per_token: 0}"), "economy.cost.usd_per_token", "greater than 0"),
    "skims of more than all": (
        section("payment: {network_share: 0.7, treasury_share: 0.7}"), "economy.payment", "1.4"),
    "no epochs": ("economy: {epochs: 0}" + PEOPLE, "economy.epochs", "at least 1"),
    "epochs that do not share the rounds": (
        "economy: {epochs: 7}" + PEOPLE, "economy.epochs", "shared equally"),
    "bounds of a controller the wrong way round": (
        section("controllers: [{move: fee, minimum: 3, maximum: 1}]"), "economy.controllers",
        "lies below"),
    "a controller of nothing known": (
        section("controllers: [{move: price}]"), "economy.controllers", "fee"),
    "a surge that ends before it begins": (
        section("demand: {surge: {first: 5, last: 1, factor: 2}}"), "economy.demand.surge",
        "before"),
    "a task that drifts away": (
        section("demand: {tasks_end: {qa: 0.5, translation: 0.5}}"),
        "economy.demand.tasks_end", "translation"),
    "a last mix that does not sum to 1": (
        section("demand: {tasks_end: {qa: 0.5, summarization: 0.4}}"),
        "economy.demand.tasks_end", "0.9"),
    "an unknown rule": (
        section("adaptation: [{name: imitashun, role: evaluator}]"), "economy.adaptation",
        "did you mean 'imitation'"),
    "an unknown parameter of a rule": (
        section("adaptation: [{name: entry_exit, ouside: 1}]"), "economy.adaptation", "'outside'"),
    "a rule without its role": (
        section("adaptation: [imitation]"), "economy.adaptation", "needs 'role'"),
    "an unknown option": (
        section("options: {inference: [freelode]}"), "economy.options", "'freeload'"),
    "an option that runs an unknown model": (
        section("options: {inference: [{name: downgrade, model: lama}]}"), "economy.options",
        "lama"),
    "an option aimed at an unknown group": (
        section("options: {evaluator: [{name: targeted, group: lama}]}"), "economy.options",
        "lama"),
    "an unknown model to change to": (
        section("options: {models: [lama]}"), "economy.options.models", "lama"),
    "unknown hardware to change to": (
        section("options: {hardware: [h100_sxn]}"), "economy.options.hardware", "'h100_sxm'"),
    "an unknown region": (
        group("region: germny"), "population.inference.0.region", "germny"),
    "an unknown key": (section("stakes: {bond: 1}"), "economy.stakes", "'stake'"),
    "more there than in all": (group("active: 3"), "population.inference.0", "more than count 1"),
    "a mix that does not sum to 1": (
        group("count: 4, hardware: {rtx_4090: 0.5, rtx_3090: 0.3}"),
        "population.inference.0.hardware", "0.8"),
    "a mix of unknown hardware": (
        group("count: 4, hardware: {rtx_4090: 0.5, rtx_3091: 0.5}"),
        "population.inference.0.hardware", "'rtx_3090'"),
    "a schedule that needs an economy": ("schedule: cheapest" + PEOPLE, "schedule", "economy"),
    "a region without an economy": (
        group("region: germany", ""), "population.inference.0.region", "needs the section"),
    "a log of trust where epochs differ": (
        "mechanism: {trust: {interval: 10}}\n" + section("demand: {arrivals: poisson}"),
        "mechanism.trust.interval", "constant demand"),
    "a swept bond out of range": (
        "sweep: {economy.stake.bond: [1, -1]}\n" + section("stake: {bond: 1}"), "", "at least 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_bad_economy_is_explained_where_it_stands(
    poq, tmp_path: Path, verb: str, case: str
) -> None:
    text, place, said = BAD[case]
    (tmp_path / "bad.yaml").write_text(text)
    outcome = poq(verb, "bad.yaml")
    assert outcome.code == 2
    lines = [line for line in outcome.err.splitlines() if "bad.yaml:" in line and place in line]
    assert any(said in line for line in lines), outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"], "nothing is written"


def test_a_model_too_large_for_its_gpu_is_refused(
    poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latencies, "memory_gb", lambda shape: 40.0)
    (tmp_path / "bad.yaml").write_text(group("hardware: rtx_3060"))
    outcome = poq("validate", "bad.yaml")
    assert outcome.code == 2
    assert outcome.err == (
        "bad.yaml:5: population.inference.0.hardware: 'llama_3_2_3b' needs 40.0 GB of memory, and "
        "'rtx_3060' has 12 GB\n"
    )


def test_a_fee_of_zero_moves_nothing(poq, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(section("controllers: [{move: fee}]"))
    outcome = poq("run", "bad.yaml")
    assert outcome.code == 2
    assert "economy.payment.fee: must be above 0 to be moved" in outcome.err


def test_an_economy_is_traced_by_either_engine(poq, tmp_path: Path) -> None:
    """Queries come at random: nobody knows beforehand how many rounds there will be."""
    text = section("demand: {arrivals: poisson}, service: {patience_s: 1}, epoch_hours: 0.02")
    (tmp_path / "good.yaml").write_text(text.replace("replications: 1", "replications: 2"))
    for engine in ("compiled", "agents"):
        done = poq("run", "good.yaml", "--trace", "--engine", engine, "--out", engine)
        assert done.code == 0, done.err
    one, other = (poq_abm.read_results(tmp_path / name) for name in ("compiled", "agents"))
    assert_frame_equal(one.rounds, other.rounds, check_exact=True)
    assert_frame_equal(one.nodes, other.nodes, check_exact=True)
    served = one.replications.set_index("replication")["rounds"]
    assert one.rounds.groupby("replication").size().to_dict() == served.to_dict()
    assert poq("verify", "compiled").code == 0


@pytest.mark.parametrize(
    "text",
    [
        section("stake: {bond: 0}, payment: {fee: 0}"),
        section(
            "payment: {fee: 1}, controllers: [{move: fee, step: 1, maximum: 1000}]"
        ),  # diverges; is bounded
        section("epoch_hours: 0.001, service: {patience_s: 1}"),  # far beyond capacity
        group("active: 0"),
        MONEY + PEOPLE,
    ],
)
def test_what_is_odd_but_allowed_runs(poq, tmp_path: Path, text: str) -> None:
    (tmp_path / "good.yaml").write_text(text)
    outcome = poq("run", "good.yaml", "--out", "results")
    assert outcome.code == 0, outcome.err
