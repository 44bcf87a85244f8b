"""A commit as files alone: what is measured finds nothing compiled beside its sources."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

__all__ = ["exported"]


def exported(checkout: Path, folder: Path, commit: str = "HEAD") -> Path:
    """Write the files of a commit into a folder and return it; a checkout without Git as it is."""
    if not (checkout / ".git").exists():
        return checkout
    archive = subprocess.run(
        ["git", "archive", commit], cwd=checkout, stdout=subprocess.PIPE, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder
