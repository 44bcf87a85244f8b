"""Where a model is, and which version of it: a folder, the hub's cache on this disk, or the hub."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calibration.files import naming
from calibration.libraries import library
from poq_abm.errors import InputError

__all__ = ["Source", "folder_digest", "locate"]

#: What can change what a model says: configurations, weights, tokenizers, templates, own code.
_KINDS = frozenset(
    (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py", ".pt", ".pth", ".tiktoken")
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_CHUNK = 1 << 20
_TIMEOUT_S = 15


@dataclass(frozen=True)
class Source:
    """Where one model is loaded from.

    ``where`` is a folder if ``is_local``, otherwise a hub id that has yet to be downloaded.
    ``revision`` is the commit of a hub snapshot, or ``sha256:`` and the digest of a folder.
    """

    where: str
    revision: str
    is_local: bool

    @property
    def commit(self) -> str | None:
        """What to ask the hub for; ``None`` for a folder."""
        return None if self.is_local else self.revision


def locate(model: str, revision: str | None = None) -> Source:
    """Return where a model is, without loading or downloading it.

    A folder comes first, then a complete snapshot in the hub's cache, then the hub itself, of which
    only the headers of ``config.json`` are asked: they say whether a download would be allowed, and
    the commit it would bring.

    Raises :class:`~poq_abm.errors.InputError` naming everything that was tried.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _in_folder(folder, revision)
    if folder.is_absolute() or model.startswith((".", "~", "\\")) or model.count("/") > 1:
        raise InputError(f"there is no folder {str(folder)!r}")
    cached, gap = _in_cache(model, revision)
    return cached or _on_hub(model, revision, [f"there is no folder {model!r}", gap])


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 (hex) over the names and contents of a folder's files.

    Files that cannot change an output (a read-me, hidden files) do not count. A file that has kept
    its size and time since this process last read it is not read again.
    """
    whole = hashlib.sha256()
    for path in _files(folder):
        state = path.stat()
        content = _file_digest(path, state.st_size, state.st_mtime_ns)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def _in_folder(folder: Path, revision: str | None) -> Source:
    if revision is not None:
        raise InputError(
            f"{str(folder)!r} is a folder, which has no revisions: it takes no 'revision'"
        )
    if wrong := _fault(folder):
        raise InputError(f"the folder {str(folder)!r} {wrong}")
    with naming(folder, "read"):
        return Source(str(folder), f"sha256:{folder_digest(folder)}", is_local=True)


def _in_cache(model: str, revision: str | None) -> tuple[Source | None, str]:
    """Return the snapshot in the cache, or what is wrong with it."""
    hub = library("huggingface_hub")
    place = hub.constants.HF_HUB_CACHE
    try:
        found = hub.try_to_load_from_cache(model, "config.json", revision=revision)
    except ValueError as error:  # a name that no repository can have
        raise InputError(f"there is no folder {model!r}, and it is no hub id: {error}") from error
    if not isinstance(found, str):
        return None, f"the cache {place} has no snapshot of it"
    snapshot = Path(found).parent
    if wrong := _fault(snapshot):
        return None, f"the snapshot {snapshot} {wrong}"
    return Source(str(snapshot), snapshot.name, is_local=True), ""


def _on_hub(model: str, revision: str | None, tried: list[str]) -> Source:
    hub = library("huggingface_hub")
    try:
        address = hub.hf_hub_url(model, "config.json", revision=revision)
        commit = hub.get_hf_file_metadata(address, timeout=_TIMEOUT_S).commit_hash
    except Exception as error:  # whatever the network did, the user needs the list of what failed
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        tried.append(f"the hub does not give it ({type(error).__name__}: {reason})")
        wanted = model if revision is None else f"{model} at revision {revision}"
        raise InputError(f"{wanted} cannot be had: {'; '.join(tried)}") from error
    return Source(model, str(commit), is_local=False)


def _fault(folder: Path) -> str | None:
    """Return what a model's folder lacks, or ``None``."""
    if not (folder / "config.json").is_file():
        return "has no config.json"
    if not any(path.suffix in _WEIGHTS for path in _files(folder)):
        return f"has no weights ({', '.join(_WEIGHTS)})"
    if any((folder / whole).is_file() for whole in _WHOLE):
        return None
    gaps = [_gap(index) for index in sorted(folder.glob("*.index.json"))]
    return gaps[0] if gaps and all(gaps) else None  # one complete set of shards is enough


def _gap(index: Path) -> str | None:
    """Return what is missing of the shards that an index lists, or ``None``."""
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return f"has an unreadable {index.name}"
    missing = sorted(shard for shard in shards if not (index.parent / shard).is_file())
    if not missing:
        return None
    return f"lacks {missing[0]} ({len(missing)} of {len(shards)} shards are missing)"


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _KINDS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  (key of the cache)
    content = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()
