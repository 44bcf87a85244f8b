"""Saving what the page shows as a scenario file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from poq_abm.errors import InputError
from poq_abm.scenario import load

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["free_name", "save_scenario", "scenario_text"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_MOST_FILES = 10_000


def scenario_text(scenario: Scenario, name: str) -> str:
    """Return the file of a scenario under another name.

    Raises
    ------
    InputError
        If no scenario may have this name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} is no name of a scenario: up to 80 letters, digits, '_', '-' and '.', "
            "the first a letter or digit"
        )
    return scenario.replace({"name": name}).to_yaml()


def free_name(folder: Path, name: str) -> str:
    """Return the name, or the first of name_2, name_3 ... that no file in the folder has."""
    for number in range(1, _MOST_FILES):
        wanted = name if number == 1 else f"{name[:70]}_{number}"
        if not (folder / f"{wanted}.yaml").exists():
            return wanted
    raise InputError(f"{folder} has too many files named {name}")


def save_scenario(scenario: Scenario, folder: Path, name: str) -> Path:
    """Write ``folder/name.yaml`` and return its path; a file that is there already stays.

    The name has no folder in it, so that nothing outside ``folder`` can be written.

    Raises
    ------
    InputError
        If the name is taken or cannot be used, or the file cannot be written.
    """
    name = name.strip().removesuffix(".yaml")
    text = scenario_text(scenario, name)
    path = folder / f"{name}.yaml"
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            f"{path} exists already; nothing was written. {free_name(folder, name)} is free"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    load(path)  # what was written is what `poq run` takes
    return path
