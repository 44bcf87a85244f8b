"""The profiles that ship, and how a name or a path becomes a profile."""

from __future__ import annotations

from pathlib import Path

from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import HEADER_FILE
from poq_abm.profile.profile import Profile
from poq_abm.profile.store import read_profile

__all__ = ["folder_of", "load_profile", "profile_names"]

_SHELF = Path(__file__).parent / "data"


def profile_names() -> list[str]:
    """Return the names of the profiles that ship, sorted.

    >>> "published" in profile_names()
    True
    """
    return sorted(header.parent.name for header in _SHELF.glob(f"*/{HEADER_FILE}"))


def folder_of(name_or_path: str | Path) -> Path:
    """Return the folder of a profile that ships, by name, or the folder that a path names.

    The name of a shipped profile wins over a folder of that name in the working directory; write
    ``./published`` for the folder. A :class:`~pathlib.Path` is always a folder.

    Raises :class:`~poq_abm.errors.InputError` when it is neither, with the nearest name.

    >>> folder_of("published").name
    'published'
    """
    if isinstance(name_or_path, str) and name_or_path in profile_names():
        return _SHELF / name_or_path
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{str(name_or_path)!r} is neither a profile that ships nor a folder; "
            f"{nearest(folder.name, profile_names())}"
        )
    return folder


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a profile that ships, by name, or any other, by the path of its folder.

    Raises :class:`~poq_abm.errors.InputError` when :func:`folder_of` or
    :func:`~poq_abm.profile.store.read_profile` does.

    >>> load_profile("published").models[0]
    'llama_3_2_3b'
    """
    return read_profile(folder_of(name_or_path))
