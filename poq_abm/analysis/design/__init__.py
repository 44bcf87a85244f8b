"""The search for a mechanism: which rules, and how large, are better than those one has."""

from poq_abm.analysis.design.attainment import look_again
from poq_abm.analysis.design.certificate import as_certificate, auditor, replay
from poq_abm.analysis.design.feasibility import play_cases, prim
from poq_abm.analysis.design.found import FoundDesigns, read_found, write_found
from poq_abm.analysis.design.listing import select_design
from poq_abm.analysis.design.playing import FigurePlayer, PlayedDesigns
from poq_abm.analysis.design.problem import DesignProblem, load_design
from poq_abm.analysis.design.proposing import Genetic
from poq_abm.analysis.design.searching import search_designs
from poq_abm.analysis.design.selection import kim_nelson
from poq_abm.analysis.design.tables import design_tables, notes, paragraph

__all__ = [
    "DesignProblem",
    "FigurePlayer",
    "FoundDesigns",
    "Genetic",
    "PlayedDesigns",
    "as_certificate",
    "auditor",
    "design_tables",
    "kim_nelson",
    "load_design",
    "look_again",
    "notes",
    "paragraph",
    "play_cases",
    "prim",
    "read_found",
    "replay",
    "search_designs",
    "select_design",
    "write_found",
]
