"""``python -m calibration.extractive CORPUS FOLDER``: rebuild the profile."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from calibration.extractive.building import build_profile
from poq_abm.errors import InputError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write the profile to the folder named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.extractive",
        description="Measure classical question-answering systems and write them as a profile.",
    )
    parser.add_argument("corpus", type=Path, help="questions in SQuAD's JSON format")
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist")
    parser.add_argument("--limit", type=int, help="take this many questions from the start")
    parser.add_argument(
        "--keep-scores",
        type=Path,
        metavar="PROFILE",
        help="earlier profile of the same questions: keep its scores, measure the times alone",
    )
    given = parser.parse_args(arguments)
    try:
        folder = build_profile(
            given.corpus,
            given.folder,
            limit=given.limit,
            keep_scores=given.keep_scores,
            report=_say,
        )
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{folder}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
