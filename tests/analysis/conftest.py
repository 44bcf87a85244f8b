"""The runs that the gallery shows, with few rounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import poq_abm
from poq_abm.scenario import load

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
import gallery


@pytest.fixture(scope="session")
def gallery_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Results folders by their names in the gallery, to look at and never to change."""
    home = tmp_path_factory.mktemp("gallery")
    folders = {}
    for name, (scenario, settings) in gallery.RUNS.items():
        economy = load(scenario).economy
        few = {"rounds": 100 if economy is None else 2400, "replications": 3}
        results = poq_abm.run(load(scenario).replace({**settings, **few}))
        folders[name] = str(results.save(home / name))
    return folders
