"""The classes of nodes that the page draws a line for: few enough to tell apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.behaviour.base import Role, spell

if TYPE_CHECKING:
    from poq_abm.simulation.population import Population

__all__ = ["MOST_CLASSES", "NodeClass", "classes_of"]

MOST_CLASSES = 8  #: of a role; beyond that, lines can no longer be told apart


@dataclass(frozen=True)
class NodeClass:
    """Nodes that share a line: their role, what they are called, and how many there are."""

    role: Role
    label: str
    nodes: int
    name: str  #: the label without the parameters of what they do, which a slider may move


def classes_of(population: Population) -> tuple[tuple[NodeClass, ...], NDArray[np.int64]]:
    """Return the classes, inference first, and the class of every node, shape (F + M,).

    Nodes are told apart by group and behaviour; where a role would have more than
    :data:`MOST_CLASSES` lines, by behaviour alone; where even those are more, the rarest ones
    share a line.
    """
    roles = [group.role for group in population.groups]
    owner = np.empty(population.size, np.int64)
    classes: list[NodeClass] = []
    kinds: tuple[Role, ...] = ("inference", "evaluator")
    for role in kinds:
        nodes = np.flatnonzero(np.array([r == role for r in roles])[population.group])
        labels = [_label(population, int(node)) for node in nodes]
        if len(set(labels)) > MOST_CLASSES:
            labels = [_spec(population, int(node)) for node in nodes]
        labels = _fewer(labels)
        for label in dict.fromkeys(labels):
            mine = nodes[[one == label for one in labels]]
            owner[mine] = len(classes)
            name = re.sub(r"\(.*\)$", "", label)
            classes.append(NodeClass(role, label, int(mine.size), name))
    return tuple(classes), owner


def _spec(population: Population, node: int) -> str:
    return spell(population.behaviours[population.behaviour[node]][1])


def _label(population: Population, node: int) -> str:
    said = _spec(population, node)
    group = population.groups[population.group[node]].label
    return group if said == "honest" else f"{group}, {said}"


def _fewer(labels: list[str]) -> list[str]:
    """Return labels of which at most as many differ as can be told apart."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if len(counts) <= MOST_CLASSES:
        return labels
    kept = set(sorted(counts, key=lambda label: -counts[label])[: MOST_CLASSES - 1])
    return [label if label in kept else "others" for label in labels]
