"""The model in the order of the ODD protocol (Grimm et al. 2020), as one scenario plays it."""

from __future__ import annotations

from typing import NamedTuple

from poq_abm.experiment.schemas import REPLICATIONS
from poq_abm.report.settings import spoken
from poq_abm.report.subject import Subject

__all__ = ["Element", "odd"]


class Element(NamedTuple):
    """One element of the protocol: its part, its name, and what is so in this run."""

    part: str
    name: str
    text: str


def odd(subject: Subject) -> list[Element]:
    """Return Overview, Design concepts and Details of a run."""
    overview = {
        "Purpose and patterns": _purpose(subject),
        "Entities, state variables, scales": _entities(subject),
        "Process overview and scheduling": _process(subject),
    }
    details = {
        "Initialization": _initialization(subject),
        "Input data": _input(subject),
        "Submodels": _submodels(subject),
    }
    parts = {"Overview": overview, "Design concepts": _concepts(subject), "Details": details}
    return [
        Element(part, name, text) for part, texts in parts.items() for name, text in texts.items()
    ]


def _purpose(subject: Subject) -> str:
    question = subject.scenario.question or "to learn who earns what, and what moves it"
    return (
        f"The model asks: {question} Patterns it is held against are the rewards, jobs and costs "
        "of Table 4 of arXiv 2512.16317 where the profile is published; they were used in fitting "
        "that profile, and matching them is a check of the calibration."
    )


def _entities(subject: Subject) -> str:
    people = subject.scenario.population
    answering = ", ".join(f"{g.count:,} {name}" for g, name in
                          zip(people.inference, people.inference_labels, strict=True))  # fmt: skip
    scoring = ", ".join(f"{g.count:,} {name}" for g, name in
                        zip(people.evaluators, people.evaluator_labels, strict=True))  # fmt: skip
    text = (
        f"Inference nodes ({answering}) have a model, hardware, mean latency, normalised cost, "
        f"behaviour, jobs and rewards. Evaluator nodes ({scoring}) have besides a trust weight and "
        "a stake. A round is one query; space has no meaning. "
    )
    if subject.has_economy:
        economy = next(e for e in subject.values("economy") if e is not None)
        text += (
            f"An epoch lasts {economy.epoch_hours:g} hours; nodes have bonds, wallets and an "
            "operator; the network has a treasury, a fee and coefficients that may move."
        )
    return text.strip()


def _process(subject: Subject) -> str:
    if subject.has_queries:
        return (
            "Each query: it arrives, waits for a node, is answered (honestly or not), "
            "provisionally accepted, checked by the protocol, and settled: payment, slashing, or "
            "nothing. "
            f"Protocols: {spoken(subject.values('verification.protocol'))}."
        )
    text = (
        "Each round: (1) a task, a record and an inference node are drawn, the node by the "
        f"schedule {spoken(subject.values('schedule'))}, and a committee of "
        f"{spoken(subject.values('mechanism.committee_size'))}; (2) the node's answer is a row of "
        "the profile; (3) members report scores; (4) the consensus is formed; (5) all are paid; "
        "(6) trust is updated where an update is on. Steps follow one another; none is concurrent."
    )
    if subject.has_economy:
        text += (
            " At the end of an epoch: fees and the pool are paid out, costs are charged, bonds are "
            "slashed and released, controllers move coefficients, and nodes decide in the order in "
            "which the scenario lists its rules of adaptation."
        )
    return text


def _concepts(subject: Subject) -> dict[str, str]:
    rules = [str(a["name"]) for s in subject.values("economy.adaptation") for a in s or ()] \
        if subject.has_economy else []  # fmt: skip
    adapts = f"Nodes adapt between epochs: {spoken(list(dict.fromkeys(rules)))}." if rules else (
        "None: nodes keep their behaviour for the whole run.")  # fmt: skip
    learns = [v for v in subject.values("mechanism.trust.update") if v != "none"]
    return {
        "Basic principles": "Pay for agreement: answers are worth what a committee says, and a "
        "member is worth what it agrees. The truth is known to the analyst and pays nobody.",
        "Emergence": "Rewards, their inequality, the error of the consensus and the gain of "
        "attackers emerge from draws and rules; none is imposed.",
        "Adaptation": adapts,
        "Objectives": "Honest nodes have none. Deviating ones follow the fixed rules in the "
        "assumption register; adapting ones compare profits in tokens.",
        "Learning": f"The network learns whom to trust ({spoken(learns)}); nodes do not learn "
        "about one another." if learns else "None.",
        "Prediction": "Nodes that consider another machine project its cost and jobs from the last "
        "epochs." if "upgrade" in rules else "None.",
        "Sensing": "A member sees the answer and its own score. Behaviours with the trait "
        "'private information' see more, and say so.",
        "Interaction": "Indirect: members of a committee move the consensus that all are paid by; "
        "costs are normalised over the nodes that are there.",
        "Stochasticity": "Tasks, records, nodes, committees, measurement noise and attacks are "
        "drawn by keyed Philox 4x32-10, each purpose with keys of its own.",
        "Collectives": "Committees, drawn anew each round. Rings and malicious shares, where the "
        "scenario has them, are fixed groups.",
        "Observation": f"Per replication {len(REPLICATIONS.names)} columns, per node totals and "
        "means; tables: " + ", ".join(sorted(subject.results.tables)) + ".",
    }  # fmt: skip


def _initialization(subject: Subject) -> str:
    start = spoken(subject.values("mechanism.trust.start"))
    text = f"All nodes begin without jobs or rewards; evaluators' weights are {start}."
    if subject.has_economy:
        text += (
            " New nodes lock their bond in the first epoch; groups begin with their active nodes."
        )
    return text + " Nothing is discarded as a warm-up."


def _input(subject: Subject) -> str:
    profiles, lost = subject.profiles
    told = [
        f"{p.name}: {len(p.records):,} records x {len(p.models)} models x {len(p.evaluators)} "
        f"evaluators, tasks {', '.join(p.tasks)}" for p in profiles
    ]  # fmt: skip
    missing = f" Not at hand as it was: {', '.join(lost)}." if lost else ""
    return "Profiles are read once and do not change: " + "; ".join(told) + "." + missing


def _submodels(subject: Subject) -> str:
    return (
        f"Cost: {subject.costs}. Quality: Q = consensus / 10 (Eq. 1 of arXiv 2512.16317). "
        "Closeness: 1 - |score - reference| / 10 (Eq. 3 and 4). Inference reward (family "
        f"{spoken(subject.values('mechanism.reward.family'))}): linear is alpha_F Q - beta_F C "
        "(Eq. 2). Evaluator reward: alpha_M closeness - beta_M C (Eq. 5). Consensus: "
        f"{spoken(subject.values('mechanism.aggregation'))}; trust update: "
        f"{spoken(subject.values('mechanism.trust.update'))}. Formulas and parameters of "
        "behaviours and rules of adaptation stand in the assumption register; poq rules, poq "
        "behaviours and poq adaptations print all of them."
    )
