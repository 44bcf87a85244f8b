"""Files that are whole or absent, and refusals of the disk in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from poq_abm.errors import InputError

__all__ = ["naming", "write_whole"]


@contextlib.contextmanager
def naming(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn a refusal by the operating system, such as a full disk, into an input error.

    >>> with naming(Path("a.txt"), "read"):
    ...     Path("no/such/folder/a.txt").read_text()
    Traceback (most recent call last):
    poq_abm.errors.InputError: cannot read a.txt: No such file or directory
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot {doing} {path}: {error.strerror or error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a UTF-8 file aside, flush it to the disk, and rename it: nobody ever sees half of it.

    Makes the folder if there is none. Raises :class:`~poq_abm.errors.InputError` when the disk
    refuses; what was at ``path`` then is as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
