"""JSON files that say of each of their keys whether it is as it was written.

A manifest and a receipt decide which rows count, so a changed character in one of them is as bad as
one in a table. Each carries the digests of its own values; a value that disagrees is named by its
key, and the others can be trusted all the same.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["DIGESTS", "altered", "read_object", "sealed"]

DIGESTS = "digests"  #: the key that holds the digests of all the others
_LENGTH = 16  # hexadecimal digits: accidents are found, forgeries are what replays are for
_DEPTH = 64  # far below what Python can recurse into


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return plain data with the digests of its values.

    >>> sealed({"seed": 1})["digests"]["seed"]
    '6b86b273ff34fce1'
    """
    digests = {key: _digest(value) for key, value in data.items()}
    return {**data, DIGESTS: {**digests, DIGESTS: _digest(digests)}}


def altered(data: dict[str, Any]) -> list[str]:
    """Return the keys that are missing, added, or not as they were sealed.

    Where the digests themselves are not as they were, nothing can be said of the other keys.

    >>> altered({**sealed({"seed": 1, "rounds": 5}), "seed": 2})
    ['seed']
    """
    digests = data.get(DIGESTS)
    if not isinstance(digests, dict):
        return [DIGESTS]
    others = {key: digest for key, digest in digests.items() if key != DIGESTS}
    if digests.get(DIGESTS) != _digest(others):
        return [DIGESTS]
    missing = [key for key in others if key not in data]
    values = {key: value for key, value in data.items() if key != DIGESTS}
    return missing + [key for key, value in values.items() if digests.get(key) != _digest(value)]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def read_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such file.
    ValueError
        If it cannot be read, or holds something else; says what.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is no regular file")
    try:
        data = json.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ValueError(f"{error.strerror or error}") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not _is_shallow(data):
        raise ValueError("it is nested too deeply")
    if not isinstance(data, dict):
        raise ValueError("it holds no object")  # noqa: TRY004  (of the file, not of an argument)
    return data


def _is_shallow(data: Any) -> bool:
    """Return whether nothing lies deeper than any of our files goes."""
    level = [data] if isinstance(data, dict | list) else []
    for _ in range(_DEPTH):
        pairs = [value.values() if isinstance(value, dict) else value for value in level]
        level = [v for values in pairs for v in values if isinstance(v, dict | list)]
        if not level:
            return True
    return False
